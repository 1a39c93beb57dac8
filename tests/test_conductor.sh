#!/usr/bin/env bash
# The conducted shop, examples/conductor, built outside of the source tree on
# what make install puts down.  KILLS=30 kills more often.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

kills=${KILLS:-9}
services=(conductor inventory payment)

# ---- building it ------------------------------------------------------------

builds_elsewhere() {
    local libraries
    export PKG_CONFIG_PATH=$SAGA_BUILD/prefix/lib/pkgconfig
    mkdir "$work/example"
    cp "$root"/examples/conductor/*.[ch] "$root"/examples/conductor/Makefile \
        "$work/example"
    libraries=$(pkg-config --static --libs sagaevents)
    make -s -C "$work/example" BUILD="$work/built" CC="${CC:-cc}" \
        CFLAGS="-O1 $(grep -oE -e '-fsanitize=[^ ]*|--coverage' "$SAGA_BUILD/flags" |
            sort -u | paste -sd ' ')" \
        libs="${libraries/-lsagaevents/-l:libsagaevents.a}"
    "$work/built/bin/conductor-svc" --version
}
it 'it builds outside of the source tree, with pkg-config' builds_elsewhere
[ -x "$work/built/bin/orchestra" ] || exit 1
SAGA_BUILD=$work/built
saga=$SAGA_BUILD/bin/orchestra

# ---- the ways in which an order ends ----------------------------------------

seed_few() {
    {
        "$saga" product widget 19.90 && "$saga" stock widget 100
        "$saga" fund alice 1000.00 && "$saga" fund bob 20.00
    } >/dev/null
}
comes_to() { # ORDER STATUS EVENTS
    within 30 it_has_ended "$1"
    asked_json 0 trace "$1"
    has status "$2"
    has 'events.#' "$3"
}
it_has_ended() {
    "$saga" trace "$1" --json 2>/dev/null | "$tools/json" ended | grep -qx true
}
well() {
    ends_with 0 "$saga" wait --quiet --timeout 60
    asked 0 check --final "$@"
    shows "$said" '^all 1[0-9] hold'
}

all_ends() {
    start_all
    seed_few
    asked 0 place widget:1 --id o-1
    comes_to o-1 DONE 7
    asked 0 place widget:2 --customer bob --id o-2
    comes_to o-2 FAILED 7
    asked 0 place widget:101 --id o-3
    comes_to o-3 FAILED 3
    asked 1 cancel o-1
    shows "$said" 'too late: the order is confirmed'
    kill -STOP "${pids[payment]}"
    asked 0 place widget:1 --id o-4
    within 30 has_event conductor ChargeAsked o-4
    asked 0 cancel o-4
    kill -CONT "${pids[payment]}"
    comes_to o-4 FAILED 9
    has_event payment PaymentRefunded o-4
    well
    asked 0 check --explain L1
    shows "$said" 'While conductor-svc runs, no order is pending'
}

deadline() {
    start conductor --order-deadline-ms=300
    start inventory
    start payment
    all_up
    seed_few
    kill -STOP "${pids[inventory]}"
    asked 0 place widget:1 --id o-1
    within 30 has_event conductor ReleaseAsked o-1
    kill -CONT "${pids[inventory]}"
    comes_to o-1 FAILED 5
    well
}

# ---- kill -9 ----------------------------------------------------------------

# Orders of all kinds until end_load.
load_it() {
    rm -f "$SAGA_DIR/enough"
    {
        n=0
        until [ -e "$SAGA_DIR/enough" ]; do
            n=$((n + 1))
            some gizmo:1 --id "many-$n" --count 10
            some gizmo:2 widget:1 --customer bob --id "bob-$n" # soon refused
            some widget:101 --id "short-$n"
            some gizmo:1 --id "cancelled-$n"
            "$saga" cancel "cancelled-$n" || true # too late, or down
        done
    } >>"$SAGA_DIR/load.log" 2>&1 &
    load=$!
    others+=("$load")
    load_flows 1
}
some() {
    "$saga" place "$@" --journal "$SAGA_DIR/journal" || sleep 0.05
}

killed() {
    local i victim
    start_all
    seed_few
    asked 0 product gizmo 0.01
    asked 0 stock gizmo 1000000
    load_it
    for ((i = 0; i < kills; i++)); do
        victim=${services[i % 3]}
        load_flows $((1 + RANDOM % 12))
        end "$victim"
        start "$victim"
        all_up
    done
    end_load
    all_up
    well --journal "$SAGA_DIR/journal"
    [ "$(acknowledged)" -gt "$kills" ]
    asked 0 place gizmo:1 --id at-last
    comes_to at-last DONE 7
}

it 'an order is done, refused, or taken back' in_shop ends all_ends
it 'one that nobody answers is taken back at its deadline' \
    in_shop deadline deadline
it "$kills times kill -9 under load: nothing is lost, nothing twice" \
    in_shop killed killed
