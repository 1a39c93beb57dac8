#!/usr/bin/env bash
# torn.sh [CUTS] - the power fails, and the disk has kept what it liked.
#
# The three services run with torn.so, which remembers what their calls have
# replaced.  For a cut all are killed at once, and tests/tools/power_cut.c puts
# old sectors back: of what no sync had made durable, each by itself, none to
# all.  Then the services start on what is left.  Every third cut comes while
# they start.  All that a client was told is done has to be there, every event
# that anybody could have seen has to be the same event, and everything has to
# come to rest.  It has teeth: where syncs lie, events are lost.
#
# cuts.sh cuts a mounted file system, with its journal and its names; this
# needs no root, takes a second for each cut, and tears.  SEED=n repeats which
# sectors are lost, not what had been written.  SECONDS_MAX=n stops after so
# long.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

cuts=${1:-30}
seed=${SEED:-$RANDOM}
deadline=$((SECONDS + ${SECONDS_MAX:-1000000}))
disk_is=() # more variables for torn.so

start_torn() {
    local s
    for s in "${services[@]}"; do
        start_by=(env "LD_PRELOAD=$preloads/torn.so"
            "TORN_LOG=$SAGA_DIR/torn.$s" ${disk_is[@]+"${disk_is[@]}"})
        start "$s"
    done
    start_by=()
}

# Orders of all kinds, until the power fails.
customers=()
begin_customers() { # NUMBER
    customer place gizmo:1 --count 200
    customer place gizmo:2 --customer bob --count 5
    customer place gadget:900 --count 5
    customer place gizmo:1 --id "cut-$1"
    customer cancel "cut-$(($1 - 1))" # it has long ended
}
customer() { # VERB...
    local journal=()
    [ "$1" != place ] || journal=(--no-wait --journal "$SAGA_DIR/journal")
    "$saga" "$@" ${journal[@]+"${journal[@]}"} >>"$SAGA_DIR/customers.log" 2>&1 &
    customers+=($!)
    others+=($!)
}
end_customers() {
    kill -KILL "${customers[@]}"
    wait "${customers[@]}"
    customers=()
} 2>/dev/null

# What another process can see of a log has been synced.
seen_of() { # SERVICE
    sqlite3 -readonly "$SAGA_DIR/$1/log.db" 'SELECT seq, hex(hash) FROM event'
}

# All stop at one moment; what clients know by then is in journal.cut.
power_fails() { # NUMBER
    local s torn open
    kill -STOP "${pids[@]}"
    cp "$SAGA_DIR/journal" "$SAGA_DIR/journal.cut"
    end_all KILL 2>/dev/null
    read -r torn open < <("$tools/power_cut" "$SAGA_DIR" $((seed + $1)) \
        "$SAGA_DIR"/torn.*)
    rm -f "$SAGA_DIR"/torn.*
    lost=$((lost + torn)) unsynced=$((unsynced + open)) done=$((done + 1))
}

up_or_ended() {
    local s
    for s in "${services[@]}"; do ! gone "${pids[$s]}" || return 0; done
    up
}
is_whole() {
    local s
    within 30 up_or_ended || return 1
    up || return 1
    "$saga" wait --quiet --timeout 60 || return 1
    "$saga" check --final --journal "$SAGA_DIR/journal.cut" || return 1
    for s in "${services[@]}"; do
        seen_of "$s" | grep -Fxvf - "$SAGA_DIR/seen.$s" >"$SAGA_DIR/lost" ||
            continue
        echo "$s has lost, or changed:"
        head -n 3 "$SAGA_DIR/lost"
        return 1
    done
}

# Under load; and, every third time, again while they start.
cut() { # NUMBER
    local s before wanted
    before=$(acknowledged) wanted=$((1 + (seed + $1 * 7) % 40))
    begin_customers "$1"
    within 30 flowing $((before + wanted)) || return 1
    for s in "${services[@]}"; do
        seen_of "$s" >"$SAGA_DIR/seen.$s"
        runs "${pids[$s]}" || return 1
    done
    power_fails "$1"
    end_customers || true
    start_torn
    (($1 % 3)) || {
        read -r -t "0.0$(((seed + $1) % 10))" <&"$never" || true
        power_fails $(($1 + 500000))
        start_torn
    }
    is_whole >"$SAGA_DIR/came-back" 2>&1
}

# Calls cut with 1 to CUTS; each shop has a few, since each look reads it all.
series() { # NAME CUTS
    local n
    lost=0 unsynced=0 done=0
    for ((n = 1; done < $2; n++)); do
        [ $SECONDS -lt $deadline ] || { echo 'the time is over'; break; }
        (((n - 1) % 15)) || {
            end_all KILL 2>/dev/null
            rm -rf "${work:?}/$1"
            mkdir "$work/$1"
            start_torn
            all_up
            stock_up
            : >"$SAGA_DIR/journal"
        }
        cut $n || {
            echo "this was cut $n of seed $seed, with $(acknowledged) orders:"
            cat "$SAGA_DIR/came-back"
            tail -n 3 "$SAGA_DIR"/*.log
            return 1
        }
    done
    echo "$done cuts put $lost sectors back, of $unsynced not yet durable"
}

torn_writes_lose_nothing() {
    series torn "$cuts" || return 1
    injected $done "seed $seed"
    [ $SECONDS -ge $deadline ] || [ $lost -gt 0 ]
}

# The test of the test.
lies_are_found_out() {
    disk_is=(TORN_LIE=1)
    if series lying 6; then
        echo 'nothing was lost in six cuts, though nothing was synced'
        return 1
    fi
    return 0
}

proves 'F14 F15' 'a power cut that tears what was not synced loses nothing' \
    in_shop torn torn_writes_lose_nothing
[ $SECONDS -ge $deadline ] ||
    it 'a sync that lies is found out by the next cuts' \
        in_shop lying lies_are_found_out
