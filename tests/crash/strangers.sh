#!/usr/bin/env bash
# strangers.sh [INPUTS] - bad inputs on every live socket, 20,000 of them, while
# a good client goes on.
#
# Each round sends so many to each of the nine sockets at once: noise, texts
# that mean nothing, requests and commands that were cut or damaged
# (tests/tools/stranger.c).  In each round the good client's order has to end as
# usual, and at the end memory and descriptors have to be where they were.
# SECONDS_MAX=n stops after so long.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

inputs=${1:-20000}
deadline=$((SECONDS + ${SECONDS_MAX:-1000000}))
seed_of_strangers=${SEED:-$RANDOM}
each=100 # inputs of a stranger, see BODIES in stranger.c

descriptors() { # how many files all three have open
    local s
    for s in "${services[@]}"; do ls "/proc/${pids[$s]}/fd"; done | wc -l
}
memory_kb() { # resident, of all three
    local s
    for s in "${services[@]}"; do cat "/proc/${pids[$s]}/status"; done |
        awk '/^VmRSS/ { sum += $2 } END { print sum }'
}
at_most() { # MOST COMMAND...
    [ "$("${@:2}")" -le "$1" ]
}

# One stranger at each socket says what it has to say, and stays while the good
# client goes on.  (Whoever leaves while the connection is being made can make a
# listener of NNG 1.5.2 deaf, and costs it a descriptor: bus.h says what is done
# about the former, and test_bus.c tries it.)
round() { # SEED
    local as path n=0 i strangers=() stranger
    rm -f "$SAGA_DIR/leave" "$SAGA_DIR"/stranger.*
    mkfifo "$SAGA_DIR/leave"
    exec 7<>"$SAGA_DIR/leave"
    while read -r as path; do
        n=$((n + 1))
        "$tools/stranger" bodies "$as" "$path" 1 $(($1 + n)) \
            <"$SAGA_DIR/leave" 7>&- >"$SAGA_DIR/stranger.$n" &
        strangers+=($!)
        others+=($!)
    done < <(sockets)
    for ((i = 1; i <= n; i++)); do
        within 60 grep -q held "$SAGA_DIR/stranger.$i"
    done
    good_client
    exec 7>&-
    for stranger in "${strangers[@]}"; do ends_with 0 wait "$stranger"; done
    others=()
    sent=$((sent + n * each))
}
good_client() {
    asked 0 place gizmo:1 --timeout 60
    asked 0 fund bob 0.01
    asked 0 stock gizmo 1
}

bad_inputs() {
    local sent=0 s rounds=0 files memory
    start_all
    stock_up
    round "$seed_of_strangers" # what is allocated once, is
    files=$(descriptors) memory=$(memory_kb)
    echo "SEED=$seed_of_strangers; at first $memory kB, $files files"
    while [ $sent -lt "$inputs" ] && [ $SECONDS -lt $deadline ]; do
        rounds=$((rounds + 1))
        round $((seed_of_strangers + rounds * 100))
    done
    echo "$sent inputs later $(memory_kb) kB, $(descriptors) files"
    injected $sent "seed $seed_of_strangers"
    within 60 at_most $((files + 10)) descriptors || {
        echo 'their connections are not given back'
        return 1
    }
    at_most $((memory + 20000)) memory_kb
    asked_json 0 status
    for s in "${services[@]}"; do
        # They were heard, and counted.
        [ "$(field "services.$s.counts.garbage")" -gt 0 ]
        [ "$(field "services.$s.view.counts.garbage")" -gt 0 ]
        # An order of theirs that was damaged where it does not show: none.
        same 0 "$(sqlite3 "$SAGA_DIR/$s/log.db" "SELECT count(*) FROM event
            WHERE order_id = 'o-damaged'")"
    done
    all_is_well >/dev/null
}

proves 'F46 F48 F34' 'bad inputs on every socket are in nobody'\''s way' \
    in_shop strangers bad_inputs
