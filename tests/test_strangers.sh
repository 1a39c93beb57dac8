#!/usr/bin/env bash
# Strangers at every socket of the three real services: many connections that
# say nothing, or nonsense, and an order that is confirmed beside them.
# tests/crash/strangers.sh tests single messages; test_bus.c, one bus alone.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

each=320 # that say nothing, and as many that send garbage, at each socket

descriptors() { # SERVICE: how many files it has open
    find "/proc/${pids[$1]}/fd" -type l | wc -l
}

# They stay until descriptor 7 is closed.
strangers_come() {
    local as path kind n=0 i
    mkfifo "$SAGA_DIR/leave"
    exec 7<>"$SAGA_DIR/leave"
    while read -r as path; do
        for kind in silent garbage; do
            n=$((n + 1))
            "$tools/stranger" $kind "$as" "$path" $each $n \
                <"$SAGA_DIR/leave" 7>&- >"$SAGA_DIR/stranger.$n" &
            others+=($!)
        done
    done < <(sockets)
    for ((i = 1; i <= n; i++)); do
        within 60 grep -qx "held $each" "$SAGA_DIR/stranger.$i"
    done
}
strangers_go() {
    local pid
    exec 7>&-
    for pid in "${others[@]}"; do ends_with 0 wait "$pid"; done
    others=()
}

# An order through all three, within ten seconds on the busiest machine.
order_is_confirmed() { # ID
    local begun=${EPOCHREALTIME/./}
    asked 0 place gizmo:1 --id "$1" --timeout 10
    echo "$1: $(((${EPOCHREALTIME/./} - begun) / 1000)) ms"
    asked_json 0 show "$1"
    has status CONFIRMED
}

crowd() {
    local s
    start_all
    stock_up
    order_is_confirmed before
    strangers_come
    order_is_confirmed beside
    # Nobody who says nothing was turned away: they were there.
    for s in "${services[@]}"; do
        echo "$s-svc: $(descriptors "$s") files"
        [ "$(descriptors "$s")" -gt $((3 * each)) ]
    done
    asked 0 stock gizmo 1
    asked 0 fund alice 1
    strangers_go
    order_is_confirmed afterwards
    all_is_well
}

it 'beside 640 strangers at each of nine sockets an order is confirmed' \
    in_shop crowd crowd # HC21 HC56 F46 real
