#!/usr/bin/env bash
# What the three real processes survive: kills, pauses, any order of starting,
# every fault point.  Each test ends with everything done and nothing broken,
# and with every order that was acknowledged.  test_disks.sh tests disks and
# other surroundings; test_strangers.sh, strangers; tests/crash, every single
# system call.
#
# KILLS=200 kills more often than the usual 40; SEED=n decides which.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

kills=${KILLS:-40}
seed_of_kills=${SEED:-$RANDOM}

pause() { # MILLISECONDS: how long a fault lasts, never what is waited for
    sleep "$(printf '0.%03d' "$1")"
}

# ---- kills and pauses -------------------------------------------------------

# shellcheck disable=SC2120 # its arguments are start_all's, if there are any
killed_at_random() { # HC5, HC6, HC52
    local s i
    start_all "$@"
    stock_up
    begin_load
    echo "SEED=$seed_of_kills KILLS=$kills"
    RANDOM=$seed_of_kills
    for ((i = 0; i < kills; i++)); do
        s=${services[RANDOM % 3]}
        end "$s" KILL
        # One in four dies again while it recovers, one in four later.
        start "$s" "$@"
        if ((RANDOM % 4 == 0)); then
            pause $((RANDOM % 60))
            end "$s" KILL
            pause $((RANDOM % 300))
            start "$s" "$@"
        fi
        pause $((RANDOM % 400))
    done
    all_up
    load_flows 50
    all_healed
}
over_tcp() {
    SAGA_BUS=tcp://127.0.0.1:$(nine_ports)
    export SAGA_BUS
    kills=$((kills / 4))
    # shellcheck disable=SC2119
    killed_at_random
}
at_once() { # all three, under load, again and again
    start_all
    stock_up
    begin_load
    for _ in 1 2 3 4 5; do
        load_flows 20
        kill -KILL "${pids[@]}"
        for s in "${services[@]}"; do ends "$s"; done
        start_all
    done
    all_healed
}
any_order() { # HC38
    local order s n=0 id
    start_all
    stock_up
    for order in 'order inventory payment' 'order payment inventory' \
        'inventory order payment' 'inventory payment order' \
        'payment order inventory' 'payment inventory order'; do
        n=$((n + 1))
        # Sagas on every rung when all die.
        kill -STOP "${pids[payment]}"
        asked 0 place gizmo:1 --count 10 --id "up-$n" --no-wait
        asked 0 place widget:1 --id "down-$n" --no-wait
        asked 0 cancel "down-$n"
        for s in "${services[@]}"; do end "$s" KILL; done
        for s in $order; do
            start "$s"
            within 30 answers "$s"
        done
        all_up
        all_is_well
        for id in "up-$n-1" "up-$n-10"; do
            asked_json 0 show $id
            has status CONFIRMED
        done
        asked_json 0 show "down-$n"
        has status CANCELLED
    done
}
answers() { "$saga" fault ls "$1" >/dev/null 2>&1; }
stopped_and_woken() { # HC2, HC24
    local s
    start_all
    stock_up
    begin_load
    for s in inventory payment; do
        kill -STOP "${pids[$s]}"
        load_flows 100 # the others go on
        kill -CONT "${pids[$s]}"
    done
    kill -STOP "${pids[order]}" # who takes the orders: nobody goes on
    sleep 4                     # longer than a watchdog's patience
    kill -CONT "${pids[order]}"
    load_flows 20
    all_healed
}
aborted() { # as when a library's thread gives up
    local s
    start_all
    stock_up
    begin_load
    for s in "${services[@]}"; do
        load_flows 20
        end "$s" ABRT
        same 134 "$ended"
        start "$s"
        all_up
    done
    all_healed
}
told_to_end() { # HC53
    local s
    start_all
    stock_up
    begin_load
    for s in "${services[@]}"; do
        load_flows 20
        kill -TERM "${pids[$s]}"
        kill -TERM "${pids[$s]}" 2>/dev/null || true # twice is once
        ends "$s"
        same 0 "$ended"
        start "$s"
        all_up
    done
    all_healed
}

# ---- fault points -----------------------------------------------------------

crash_points() {
    local s point
    start_all
    stock_up
    begin_load
    for s in "${services[@]}"; do
        for point in before-begin after-append before-commit after-commit \
            before-publish after-publish read-before-commit read-after-commit; do
            asked 0 fault set "$s" "crash/$point" --after $((RANDOM % 3))
            ends "$s" || {
                echo "$s did not die at $point"
                return 1
            }
            same 137 "$ended"
            start "$s"
            all_up
        done
    done
    all_healed
}
frame_faults() { # HC1, HC3, HC13
    local s point
    start_all
    stock_up
    begin_load
    for point in frame/drop frame/duplicate frame/delay handler/slow; do
        for s in "${services[@]}"; do
            asked 0 fault set "$s" $point --percent 50
        done
        within 60 fired_everywhere $point
        asked 0 fault clear --all
    done
    asked 0 fault set payment payment/decline --times 5
    within 60 fired payment payment/decline 5
    all_healed
    asked_json 0 ls --limit 100000
    shows "$said" '"payment":"DECLINED"'
}
fired() { # SERVICE POINT TIMES
    [ "$("$saga" fault ls "$1" --json | tr '{' '\n' |
        sed -n 's|^"point":"'"$2"'".*"fired":\([0-9]*\).*|\1|p')" -ge "$3" ]
}
fired_everywhere() {
    local s
    for s in "${services[@]}"; do fired "$s" "$1" 5 || return 1; done
}
small_buffers() { # HC1
    export SAGA_TEST_BUFFER=1
    start_all
    stock_up
    kill -STOP "${pids[payment]}" # its frames pile up, and are dropped
    asked 0 place gizmo:1 --count 10000 --no-wait --journal "$SAGA_DIR/journal"
    asked 0 place gadget:1 --customer bob --no-wait --id last
    within 60 has_event inventory StockReserved last
    kill -CONT "${pids[payment]}"
    asked 0 wait --quiet --timeout 120
    asked_json 0 status
    [ "$(field services.payment.feeds.1.counts.gaps)" -gt 0 ]
    asked 0 check --final --journal "$SAGA_DIR/journal"
}

it 'kill -9 of any service under load, again and again, loses nothing' \
    in_shop killed killed_at_random # F02 real
it 'the same over tcp' in_shop tcp over_tcp # F02 real
it 'all three killed at once, again and again' in_shop at-once at_once # F02 real
it 'started in any order, they end in the same way' \
    in_shop order any_order # F02 F39 real
it 'stopped for seconds under load, they catch up' \
    in_shop stopped stopped_and_woken # F04 F40 real
it 'abort() under load, of each in turn, loses nothing' \
    in_shop aborted aborted # F06 real
it 'SIGTERM under load ends a batch, exit 0' in_shop term told_to_end # F03 real
it 'each crash point: it dies there, comes back, and all heals' \
    in_shop points crash_points # F01 real
it 'frames dropped, doubled, late, slow steps, declines' \
    in_shop frames frame_faults # F32 F33 real
it 'a burst beyond every buffer is pulled' \
    in_shop buffers small_buffers # F32 F40 F41 real
