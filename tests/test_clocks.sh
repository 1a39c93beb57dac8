#!/usr/bin/env bash
# Clocks that are wrong, deadlines that pass at the worst moment, and a service
# that is away: three real services, with faketime in front of those whose clock
# is wrong.  tests/test_shell.c has the same on a clock that it moves.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

# Not by faketime itself, which stays between us and the service.
start_at() { # OFFSET SERVICE [OPTION...]
    start_by=(env "LD_PRELOAD=$(faketime -f +0 printenv LD_PRELOAD)"
        FAKETIME="$1")
    start "${@:2}"
    start_by=()
}
# Stops it, and waits until its last thread has stopped.
hold() { # SERVICE
    kill -STOP "${pids[$1]}"
    within 10 holds "${pids[$1]}"
}
holds() { # PID
    ! grep -hq '^State:[[:space:]]*[^T[:space:]]' /proc/"$1"/task/*/status
}
ended_as() { # ORDER STATUS
    within 60 is_now "$1" "$2" || {
        "$saga" trace "$1"
        return 1
    }
}
is_now() { # ORDER STATUS
    [ "$("$saga" show "$1" --json 2>/dev/null | "$tools/json" status)" = "$2" ]
}
# Whether so many milliseconds have passed since $begun, by our own clock.
passed() { # MS
    [ $(((${EPOCHREALTIME/./} - begun) / 1000)) -gt "$1" ]
}

days_apart() {
    start_at -3d order
    start_at +5d payment
    start inventory
    all_up
    seed
    asked 0 place widget:2 --id o-yes
    asked 1 place gadget:2 --customer bob --id o-poor
    asked 1 place gizmo:900 --id o-none
    hold payment
    asked 0 place widget:1 --id o-late --no-wait
    asked 0 cancel o-late
    kill -CONT "${pids[payment]}"
    ended_as o-late CANCELLED
    all_is_well
    echo 'and after a restart with yet other clocks'
    end_all TERM
    start_at +2d order
    start_at -9d payment
    start inventory
    all_up
    asked 0 place widget:2 --id o-again
    all_is_well
}

# While payment-svc is down: PENDING, with its stock reserved.
order_waits() { # ORDER
    asked 0 place widget:1 --id "$1" --no-wait
    within 30 has_event inventory StockReserved "$1"
}

# A clock that jumps while its service runs: its offset is in a file.
jump() { # OFFSET
    echo "$1" >"$SAGA_DIR/clock.new"
    mv "$SAGA_DIR/clock.new" "$SAGA_DIR/clock"
}
start_jumping() { # SERVICE [OPTION...]
    [ -e "$SAGA_DIR/clock" ] || jump +0
    start_by=(env "LD_PRELOAD=$(faketime -f +0 printenv LD_PRELOAD)"
        FAKETIME_TIMESTAMP_FILE="$SAGA_DIR/clock" FAKETIME_NO_CACHE=1
        DONT_FAKE_MONOTONIC=1)
    start "$@"
    start_by=()
}

# Orders have so long, by a clock that can jump, and one waits for payment-svc.
one_waits() { # DEADLINE_MS
    start_jumping order --order-deadline-ms "$1"
    start inventory
    start payment
    all_up
    seed
    end payment
    order_waits o-running
}

set_back() {
    one_waits 3000
    jump -1h
    within 30 has_event order OrderCancelling o-running
    echo 'while it is down'
    order_waits o-down
    end order
    jump -1d
    start_jumping order --order-deadline-ms 3000
    within 30 has_event order OrderCancelling o-down
    start payment
    all_up
    ended_as o-down CANCELLED
    all_is_well
}

set_forward() {
    one_waits 1800000
    jump +1h
    begun=${EPOCHREALTIME/./}
    within 30 passed 2000
    is_now o-running PENDING
    echo 'while it is down: expired, or charged before that was known'
    end order
    jump +1d
    start_jumping order --order-deadline-ms 1800000
    start payment
    all_up
    within 60 "$saga" wait --quiet --timeout 5
    is_now o-running CANCELLED || is_now o-running CONFIRMED
    all_is_well
}

# The charge came in time, and order-svc was away until the deadline had passed.
due_while_away() {
    start order --order-deadline-ms 2000
    start inventory
    start payment
    all_up
    seed
    hold payment
    begun=${EPOCHREALTIME/./}
    order_waits o-paid
    end order
    kill -CONT "${pids[payment]}"
    within 30 has_event payment PaymentCharged o-paid
    within 30 passed 3000
    start order --order-deadline-ms 2000
    all_up
    ended_as o-paid CONFIRMED
    all_is_well
}

# payment-svc wakes to a request and its cancellation, in whatever order it
# reads the two logs.
expired_meanwhile() {
    start order --order-deadline-ms 1000
    start inventory
    start payment
    all_up
    seed
    local n
    for n in 1 2 3 4 5; do
        hold payment
        order_waits "o-$n"
        within 30 has_event order OrderCancelling "o-$n"
        kill -CONT "${pids[payment]}"
        ended_as "o-$n" CANCELLED
    done
    all_is_well
}

away_for_long() {
    start_all --order-deadline-ms 600000
    seed
    asked 0 shutdown payment
    ends payment
    asked 0 place widget:1 --count 20 --no-wait
    order_waits o-visible
    asked 0 why o-visible
    shows "$said" 'payment-svc is down'
    echo 'nor do restarts of the others lose one'
    end order
    end inventory
    start order --order-deadline-ms 600000
    start inventory
    within 30 is_now o-visible PENDING
    start payment
    all_up
    ended_as o-visible CONFIRMED
    all_is_well
    asked_json 0 ls --status CONFIRMED --limit 100
    has 'orders.#' 21
}

it 'an order that is charged while order-svc is away past the deadline is confirmed' \
    in_shop away due_while_away # F30 real
it 'a deadline that passes while a charge is asked for: one of both, undone once' \
    in_shop expired expired_meanwhile # F43 F44 real
it 'orders wait for a service that is away, visibly, and end when it is back' \
    in_shop long away_for_long # F45 real
if command -v faketime >/dev/null; then
    it 'clocks that are days apart make no difference' in_shop apart days_apart # F31 real
    it 'a clock that is set back delays no deadline' in_shop back set_back # F28 real
    it 'a clock that is set forward does no harm' in_shop forward set_forward # F29 real
else
    skip 'wrong clocks do no harm' 'there is no faketime'
fi
