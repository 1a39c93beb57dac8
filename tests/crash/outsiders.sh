#!/usr/bin/env bash
# outsiders.sh [TIMES] - what people do to running services and their files: start
# them a second time, put an old backup back, or half of one.
#
# test_disks.sh tests locks held by sqlite3 and old readers; test_trouble.sh, a
# backup made by `saga backup`.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

times=${1:-100}

# ---- second instances -------------------------------------------------------

second_instances() {
    local n s begun took=0
    start_all
    stock_up
    begin_load
    for ((n = 0; n < times; n++)); do
        s=${services[n % 3]}
        begun=$(date +%s%3N)
        said=$(ends_with 75 "$SAGA_BUILD/bin/$s-svc" 2>&1)
        took=$((took + $(date +%s%3N) - begun))
        shows "$said" "already running, pid ${pids[$s]}$"
    done
    echo "refused after $((took / times)) ms on average"
    injected "$times"
    for s in "${services[@]}"; do kill -0 "${pids[$s]}"; done
    load_flows 20
    # They also hear whoever dials anew.
    end payment KILL 2>/dev/null
    start payment
    load_flows 20
    all_healed >/dev/null
}

# ---- backups ----------------------------------------------------------------

# Orders that everybody knows of, and a copy of payment's log from before them.
after_a_copy() { # FILE...: which are copied, as cp would
    local n
    start_all --order-deadline-ms 600000
    stock_up
    asked 0 place gizmo:1 --count 50 --journal "$SAGA_DIR/journal"
    ends_with 0 "$saga" wait --quiet
    mkdir "$SAGA_DIR/old"
    for n; do cp "$SAGA_DIR/payment/$n" "$SAGA_DIR/old/"; done
    asked 0 place gizmo:1 --count 50 --journal "$SAGA_DIR/journal"
    ends_with 0 "$saga" wait --quiet
    end payment KILL 2>/dev/null # the next start empties the WAL
    start payment
    all_up
    asked 0 place gizmo:1 --count 50 --journal "$SAGA_DIR/journal"
    ends_with 0 "$saga" wait --quiet
    end payment KILL 2>/dev/null
}
put_back() { # what was not copied is not there
    rm "$SAGA_DIR"/payment/log.db*
    cp "$SAGA_DIR"/old/* "$SAGA_DIR/payment/"
}
# Its readers are ahead of it: they stop, it records nothing, and an operator
# decides.
is_noticed() {
    start payment
    within 30 says order 'order has stopped reading payment: diverged'
    within 30 says inventory 'inventory has stopped reading payment: diverged'
    within 30 says payment 'payment: behind its readers'
    asked 75 fund dora 1
    asked 1 check --journal "$SAGA_DIR/journal"
    shows "$said" 'FAIL +S10'
    asked 0 accept order payment
    asked 0 accept inventory payment
    within 30 "$saga" fund alice 1000
    asked 0 place gizmo:1 --timeout 60
}
says() { # SERVICE TEXT
    "$saga" status 2>&1 | grep -q -- "$2"
}
without_its_wal() {
    after_a_copy log.db
    put_back
    is_noticed
}
an_old_one() { # whole: as it was at one moment, WAL and all
    after_a_copy log.db log.db-wal
    put_back
    is_noticed
}
# SQLite cannot know that a WAL belongs to another state of its file.  Whatever
# comes of it, nobody is told that all is well when it is not.
with_another_wal() {
    after_a_copy log.db
    cp "$SAGA_DIR/payment/log.db-wal" "$SAGA_DIR/old/"
    put_back
    start payment
    within 30 payment_has_decided
    if gone "${pids[payment]}"; then
        payment_refused
    elif "$saga" status | grep '^  !'; then
        asked 1 check --journal "$SAGA_DIR/journal"
    elif all_is_well --journal "$SAGA_DIR/journal" >/dev/null; then
        echo 'the WAL had all that the copy lacks'
    else # it came to read what is spoilt later
        payment_refused
    fi
}
payment_refused() {
    within 5 gone "${pids[payment]}"
    ends payment
    echo "refused with $ended: $(tail -n 1 "$SAGA_DIR/payment.log")"
    [ "$ended" -eq 65 ] || [ "$ended" -eq 74 ]
}
payment_has_decided() {
    gone "${pids[payment]}" || up || "$saga" status 2>&1 | grep -q '^  !'
}

proves F07 'a second instance is refused, and the first goes on' \
    in_shop second second_instances
proves 'F21 F42' 'an old copy in a log'\''s place is noticed by its readers' \
    in_shop old an_old_one
proves 'F22 F21' 'so is a copy without its WAL' in_shop walless without_its_wal
proves F22 'a copy with another'\''s WAL is refused, noticed, or whole' \
    in_shop mixed with_another_wal
