#!/usr/bin/env bash
# errors.sh [--sample K] [EIO|ENOSPC...] - the disk fails at every call that
# writes to it, once or from then on; until then it works.
#
# EIO: the process ends at once with 74, since nobody knows what is on the disk.
# Started again it goes on, or, if the disk still fails, ends again with 74 and
# says so.  ENOSPC: it waits, says so, and goes on by itself when there is room.
# Every file of a service is meant, its log and its view.
#
# --sample K tries every K-th call, beginning anywhere: SEED=n says where.
# SECONDS_MAX=n stops after so long.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

sample=1
[ "${1:-}" != --sample ] || { sample=$2; shift 2; }
wanted=("$@")
[ $# -gt 0 ] || wanted=(EIO ENOSPC)
seed=${SEED:-$RANDOM}
part=0 # of this run; each begins elsewhere
deadline=$((SECONDS + ${SECONDS_MAX:-1000000}))
for_ever=1000000000

# An order up the ladder and one down again.  The client does not give up.
two_orders() {
    take "up-$id" gizmo:1 &&
        take "down-$id" gadget:1 --customer bob &&
        attend "$saga" wait "up-$id" --timeout 60 &&
        { attend "$saga" wait "down-$id" --timeout 60 || true; }
}
take() { # ORDER SKU:QTY...
    local tries code
    for ((tries = 0; tries < 100; tries++)); do
        code=0
        attend "$saga" place "${@:2}" --id "$1" --no-wait --timeout 10 \
            --journal "$SAGA_DIR/journal" || code=$?
        [ $code -ne 0 ] || return 0
        sleep 0.05
    done
    echo "nobody takes $1: $(cat "$SAGA_DIR/attended")"
    return 1
}

# ---- EIO --------------------------------------------------------------------

# $target meets the error at its N-th call, or not at all.
eio_once() { # N
    ended=74
    arm "$target" storage EIO "$1"
    two_orders && at_rest && in_order && [ "$ended" -eq 74 ] && died_aloud
}
died_aloud() {
    [ "$deaths" -eq 0 ] ||
        tail -n 5 "$SAGA_DIR/$target.log" | grep -q 'exiting at once'
}
# The disk stays as it is: the next start says so, too, and only the one after
# it finds a whole disk.
eio_for_long() { # N
    local at_start
    ended=74
    arm "$target" storage EIO "$1" $for_ever
    "$saga" place gizmo:1 --id "early-$id" --no-wait --timeout 1 \
        --journal "$SAGA_DIR/journal" >/dev/null 2>&1 || true
    if within 3 gone "${pids[$target]}"; then
        ends "$target" 2>/dev/null
        [ "$ended" -eq 74 ] || return 1
        # Its first call fails, or its first sync: that of what it recovers.
        if (($1 % 2)); then at_start=files; else at_start=syncs; fi
        arm "$target" $at_start EIO 1 $for_ever
        start_counted "$target"
        ends "$target" 2>/dev/null
        [ "$ended" -eq 74 ] || {
            echo "on a disk that fails its start ended with $ended"
            return 1
        }
        tail -n 3 "$SAGA_DIR/$target.log" |
            grep -qiE 'I/O error|input/output error' || {
            echo 'it did not say why'
            return 1
        }
        calm "$target"
        start_counted "$target"
        deaths=1
    fi
    calm "$target"
    two_orders && at_rest && in_order
}

# ---- ENOSPC -----------------------------------------------------------------

# It may not end; two_orders would start it again, and that would show.
enospc_once() { # N
    arm "$target" files ENOSPC "$1"
    two_orders && at_rest && in_order && [ "$deaths" -eq 0 ] || return 1
    [ "$(seen "$target")" -lt "$1" ] || hits=$((hits + 1))
}
# No room from there on, until a client has been told, or a while has passed.
enospc_for_long() { # N
    arm "$target" files ENOSPC "$1" $for_ever
    "$saga" place gizmo:1 --id "early-$id" --no-wait --timeout 1 \
        --journal "$SAGA_DIR/journal" >/dev/null 2>&1 || true
    ! within 2 is_full || told=$((told + 1))
    [ "$(seen "$target")" -lt "$1" ] || hits=$((hits + 1))
    lives || { echo 'it has ended'; return 1; }
    calm "$target"
    two_orders && at_rest && in_order && [ "$deaths" -eq 0 ]
}
is_full() { "$saga" status 2>/dev/null | grep -q "! $target: .*storage full"; }

# ---- points -----------------------------------------------------------------

each_error() { # HOW SERVICE
    told=0
    begin_counted "$2"
    each_call "$1" at_call "$1"
    [ "$1" != enospc_for_long ] || [ "$points" -lt 3 ] || {
        echo "it said so $told times"
        [ $told -gt 0 ]
    }
}
at_call() { # HOW N
    id=$1-$target-$2
    "$1" "$2"
}

for error in "${wanted[@]}"; do
    for s in "${services[@]}"; do
        [ $SECONDS -lt $deadline ] || continue
        part=$((part + 1))
        case $error in
            EIO)
                proves 'F16 F17' "$s-svc leaves at once at each call that fails" \
                    in_shop "once-$s" each_error eio_once "$s"
                proves 'F16 F17' "$s-svc does so as long as the disk fails" \
                    in_shop "long-$s" each_error eio_for_long "$s"
                ;;
            ENOSPC)
                proves F18 "$s-svc survives each call that finds no room" \
                    in_shop "full-$s" each_error enospc_once "$s"
                proves F18 "$s-svc waits for room at each call" \
                    in_shop "long-full-$s" each_error enospc_for_long "$s"
                ;;
        esac
    done
done
