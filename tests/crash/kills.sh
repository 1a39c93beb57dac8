#!/usr/bin/env bash
# kills.sh [--sample K] [SCENARIO...] - kill -9 at every call that writes: every
# pwrite, sync, truncate, open, unlink and rename, every message to a socket,
# of whichever thread, of each service, in five scenarios and in the start.
#
# Two services run on from point to point; the third is killed at its N-th call
# and started again.  Then all has to come to rest as it would have without,
# with nothing lost that was acknowledged, and nothing broken.  N goes from 1
# to where the scenario ends before the N-th call comes.
#
# --sample K tries every K-th N, beginning anywhere: SEED=n says where.
# SECONDS_MAX=n stops after so long; what was tried then counts.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

sample=1
[ "${1:-}" != --sample ] || { sample=$2; shift 2; }
wanted=("$@")
[ $# -gt 0 ] ||
    wanted=(counting confirmed rejected declined expired refunded recovery
        creation)
seed=${SEED:-$RANDOM}
part=0 # of this run; each begins elsewhere
deadline=$((SECONDS + ${SECONDS_MAX:-1000000}))

# ---- scenarios: one order, while $target may die ----------------------------

# The same command until it is acknowledged, and then never again: what was
# acknowledged has to be there.
place() { # SKU:QTY [OPTION...]
    persist "$saga" place "$@" --no-wait --id "$id" \
        --journal "$SAGA_DIR/journal"
}
# Until there is an answer: not 69 (nobody there), nor 75 (not in time).
persist() { # VERB...
    local code tries
    for ((tries = 0; tries < 50; tries++)); do
        code=0
        attend "$@" --timeout 30 || code=$?
        case $code in
            0) return ;;
            69 | 75) sleep 0.02 ;;
            *) break ;;
        esac
    done
    echo "$* ended with $code: $(cat "$SAGA_DIR/attended")"
    return 1
}
has_ended() { persist "$saga" wait "$id"; }

confirmed() { # -> CONFIRMED
    place widget:1 && has_ended
}
rejected() { # -> CANCELLED
    place gadget:900 && has_ended
}
declined() { # -> CANCELLED
    place gadget:1 --customer bob && has_ended
}
# Nobody reserves before the deadline has passed.
expired() { # -> CANCELLED
    # It may die of a heartbeat that it sends meanwhile.
    until kill -STOP "${pids[inventory]}" 2>/dev/null; do attend true; done
    place widget:1 &&
        attend within 60 has_event order OrderCancelling "$id" &&
        kill -CONT "${pids[inventory]}" && has_ended
}
# order-svc hears of the charge late, and of the cancellation before.
refunded() { # -> CANCELLED; seldom CONFIRMED: it was late
    attend ask_until "$saga" fault set order frame/drop --times 2 &&
        place widget:1 &&
        attend within 60 has_event payment PaymentCharged "$id" &&
        attend ask_until "$saga" cancel "$id" && has_ended
}
# 1 is an answer, too: refused.
ask_until() { # VERB...
    local code tries
    for ((tries = 0; tries < 100; tries++)); do
        code=0
        "$@" || code=$?
        [ $code -gt 1 ] || return 0
        sleep 0.05
    done
    return 1
}

# ---- points -----------------------------------------------------------------

# Kills $target at each of its calls while COMMAND runs, one after the other.
each_point() { # NAME COMMAND...
    local calls
    id=$1-$target-0
    calm "$target"
    "${@:2}"
    at_rest
    calls=$(seen "$target")
    in_order
    echo "$1: $target-svc makes $calls calls that write (seed $seed)"
    each_call "$1" kill_at "$@"
}
kill_at() { # NAME COMMAND... N
    local n=${*: -1}
    id=$1-$target-$n
    arm "$target" all kill "$n"
    "${@:2:$#-2}" && at_rest && in_order
}

# Each order has ended as its scenario says.
all_ended_as() { # STATUS
    local other
    other=$("$saga" ls --limit 100000 --json | tr '{' '\n' |
        grep '"order":' | grep -vc "\"status\":\"$1\"" || true)
    [ "$other" -eq 0 ] || {
        echo "$other orders have not ended $1"
        return 1
    }
}

scenario() { # NAME SERVICE STATUS [OPTION...]
    begin_counted "$2" "${@:4}"
    each_point "$1" "$1"
    [ -z "$3" ] || all_ended_as "$3"
}

# ---- the start --------------------------------------------------------------

# Killed where it leaves the most to recover, and again while it recovers.
recover() {
    place widget:1 || return 1
    id+=-bob
    place gadget:1 --customer bob || return 1
    end "$target" KILL 2>/dev/null
    arm_again
    start_counted "$target"
    attend within 60 up
}
# What is armed shall hit the start, not what was before it.
arm_again() { [ "$at" -eq 0 ] || arm "$target" all kill "$at"; }
start_at() { # N
    at=$1 id=recovered-$target-$1
    calm "$target"
    recover && at_rest && in_order
}
recovery() { # SERVICE
    begin_counted "$1"
    each_call recovery start_at
}

# A first start: directories, schema and migrations, an empty view.
creation() { # SERVICE
    target=$1 options=()
    each_call 'a first start' create_anew "$SAGA_DIR"
}
create_anew() { # SHOP N
    new_shop "$(basename "$1")-$2"
    create "$2" || return
    end_all KILL 2>/dev/null
    rm -rf "$SAGA_DIR"
}
create() { # N
    local s
    id=first
    calm "$target"
    arm "$target" all kill "$1"
    start_counted "$target"
    attend within 60 answers "$target" || return
    calm "$target" # what follows is not the start
    attend within 60 answers "$target" || return # it died in between
    for s in "${services[@]}"; do
        [ "$s" = "$target" ] || start "$s"
    done
    all_up && stock_up && confirmed && at_rest && in_order
}
answers() { "$saga" fault ls "$1" >/dev/null 2>&1; }

# ---- the library sees every call --------------------------------------------

# strace and nth.c count the same calls of a whole service, all threads.
nothing_escapes() {
    local calls traced counted
    calls=pwrite64,pwritev,pwritev2,write,writev,fsync,fdatasync,ftruncate
    calls+=,fallocate,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat
    calls+=,symlink,symlinkat,link,linkat,open,openat,creat,sendto,sendmsg
    calls+=,sendmmsg,sendfile,copy_file_range
    begin_counted order
    strace -f -qq -y -o "$SAGA_DIR/trace" -e trace=$calls -p "${pids[order]}" &
    others+=($!)
    within 30 traced_sees
    # Between two marks, so that both see the same.
    arm order all
    "$saga" status >/dev/null
    for id in traced-{1..20}; do confirmed; done
    at_rest
    kill -STOP "${pids[order]}"
    counted=$(seen order)
    kill -CONT "${pids[order]}"
    end order TERM
    within 30 gone "${others[-1]}"
    traced=$(awk '/ openat?\(/ && !/O_CREAT/ { next }
        / write\([0-9]+<(anon_inode|pipe)/ || / write\(2</ { next }
        $2 ~ /^[a-z0-9]+\(/ { n++ }
        END { print n + 0 }' "$SAGA_DIR/trace")
    echo "strace saw $traced calls, nth.so counted $counted"
    # strace also saw the calls before and behind the marks.
    [ "$counted" -gt 200 ]
    [ "$counted" -le "$traced" ]
    [ "$((traced - counted))" -lt 60 ]
}
traced_sees() { "$saga" status >/dev/null && grep -q . "$SAGA_DIR/trace"; }

# The faults and the sentence of a name.
prove() { # NAME SERVICE
    local status=CANCELLED
    part=$((part + 1))
    case $1 in
        recovery | creation)
            proves 'F01 F02' "$2-svc is killed at each call of its $1" \
                in_shop "$1-$2" "$1" "$2"
            return
            ;;
        confirmed) status=CONFIRMED ;;
        refunded) status= ;; # or it was too late
        expired) set -- "$@" --order-deadline-ms 300 ;;
    esac
    proves F01 "$2-svc is killed at each call while an order is $1" \
        in_shop "$1-$2" scenario "$1" "$2" "$status" "${@:3}"
}

for name in "${wanted[@]}"; do
    if [ "$name" = counting ]; then
        if can_trace; then
            it 'no call that writes goes uncounted' in_shop counting \
                nothing_escapes
        else
            skip 'no call that writes goes uncounted' \
                'strace cannot trace here, or is not there'
        fi
        continue
    fi
    for s in "${services[@]}"; do
        [ $SECONDS -ge $deadline ] || prove "$name" "$s"
    done
done
