# shellcheck shell=bash
# common.sh - what the tests of tests/crash share: services whose calls that
# write are counted (nth.c), how to hit one of them, and what a test says of
# the faults it injected.  Sourced, and sources tap.sh and processes.sh.
# shellcheck source=tests/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "${BASH_SOURCE[0]}")/../processes.sh"

preloads=$SAGA_BUILD/tests/crash
script=crash/$(basename "$0")
[ -e "$preloads/nth.so" ] || {
    echo "$script: build it first: make crash-tools" >&2
    exit 69
}

# ---- counting and hitting ---------------------------------------------------

# What nth.c understands.
declare -A actions=([kill]=0 [EIO]=1 [ENOSPC]=2 [lie]=3)
declare -A kinds=([files]=1 [syncs]=2 [storage]=3 [all]=7)

# Without a process: this is done for every point.
numbers() { # N...: as nth.c has them
    local n i digits bytes=
    for n; do
        for i in 0 8 16 24 32 40 48 56; do
            printf -v digits '\\x%02x' $((n >> i & 255))
            bytes+=$digits
        done
    done
    printf '%b' "$bytes"
}

# From now on counts SERVICE's calls of a KIND (files, syncs, storage: both,
# all: sockets, too), and does ACTION to the AT-th and the next TIMES - 1.  AT
# 0 only counts.
arm() { # SERVICE KIND [ACTION AT [TIMES]]
    numbers 0 "${4:-0}" "${5:-1}" "${actions[${3:-kill}]}" "${kinds[$2]}" \
        1<>"$SAGA_DIR/nth.$1"
}
calm() { # SERVICE
    [ -s "$SAGA_DIR/nth.$1" ] || head -c 64 /dev/zero >"$SAGA_DIR/nth.$1"
    arm "$1" all
}
seen() { # SERVICE: how many calls since
    local n
    read -r n < <(od -An -td8 -N8 "$SAGA_DIR/nth.$1")
    echo "$n"
}
hit() { # SERVICE: the call that was hit last
    tail -c +41 "$SAGA_DIR/nth.$1" | tr -d '\0'
}

# Starts SERVICE so that it is counted, as it was armed before.
start_counted() { # SERVICE [OPTION...]
    start_by=(env "LD_PRELOAD=$preloads/nth.so" "NTH_CONTROL=$SAGA_DIR/nth.$1")
    start "$@"
    start_by=()
}

# ---- one that dies, and is started again ------------------------------------

target=    # the service that is hit
options=() # what it is started with
deaths=0   # how often it has ended so far
hits=0     # how often it was hit, and lived
ended=0    # and what with, last

# Runs COMMAND while $target may die; it is started again, calm.  What it ended
# with is in $ended, how often it did in $deaths.  Returns COMMAND's code.
# ("wait -n" may miss one that has just died.)
attend() { # COMMAND...
    local client code
    "$@" >"$SAGA_DIR/attended" 2>&1 &
    client=$!
    while runs $client; do
        lives || revive
        read -r -t 0.005 <&"$never" || true
    done 2>/dev/null
    lives || revive
    code=0
    wait $client || code=$?
    return $code
}
lives() { runs "${pids[$target]}" 2>/dev/null; }
# Not dead, whether or not this shell has noticed: bash may miss that a child
# ended, and "kill -0" finds a process until it has been waited for.
runs() { # PID
    ! gone "$1"
}
revive() {
    ended=0
    # shellcheck disable=SC2034 # for those who source this
    wait "${pids[$target]}" || ended=$?
    deaths=$((deaths + 1))
    calm "$target"
    start_counted "$target" ${options[@]+"${options[@]}"}
} 2>/dev/null
# Nothing ever comes out of it: to wait a little without a process for that.
mkfifo "$work/never"
exec {never}<>"$work/never"

# Three services that are counted, with goods and money, and nothing to do.
begin_counted() { # TARGET [OPTION...]
    local s
    target=$1 options=("${@:2}") deaths=0
    for s in "${services[@]}"; do
        calm "$s"
        start_counted "$s" ${options[@]+"${options[@]}"}
    done
    all_up
    stock_up
    ends_with 0 "$saga" wait --quiet
    : >"$SAGA_DIR/journal"
}

# What is true after every point.
at_rest() {
    attend "$saga" wait --quiet --timeout 60 || {
        cat "$SAGA_DIR/attended"
        return 1
    }
}
in_order() {
    ends_with 0 "$saga" check --final --journal "$SAGA_DIR/journal" \
        >"$SAGA_DIR/checked" 2>&1 || {
        cat "$SAGA_DIR/checked"
        return 1
    }
}

# ---- what was proved --------------------------------------------------------

# Says of the test that runs how often it injected its faults.
injected() { # TIMES [MORE DETAIL]
    printf '%s\t%s\n' "$1" "$script${2:+, $2}" >"$work/injected"
}

# it, and a line in $PROOF_RESULTS for each of the FAULTS.
proves() { # 'FAULTS' SENTENCE COMMAND...
    # Names that no test uses: it runs below, and sees them.
    local fault said injections=1 detail=$script result=FAILED
    rm -f "$work/injected"
    said=$(it "${@:2}")
    [ ! -e "$work/injected" ] || IFS=$'\t' read -r injections detail <"$work/injected"
    if [[ $said == ok* ]]; then
        result=ok
        said="ok - $2: $injections times"
    fi
    echo "$said"
    [ -n "${PROOF_RESULTS:-}" ] && [ "$injections" -gt 0 ] || return 0
    for fault in $1; do
        printf '%s\treal\t%s\t%s\t%s\n' "$fault" "$injections" $result "$detail" \
            >>"$PROOF_RESULTS"
    done
}

# Where every K-th of a series begins: anywhere, but no later than where even
# the shortest has one.  1 when K is 1.  (RANDOM is seeded here, since it begins
# anew in every subshell.)
choose_first() { # K SEED: into $first
    RANDOM=$2
    # shellcheck disable=SC2034 # for those who source this
    first=$((1 + RANDOM % ($1 < 10 ? $1 : 10)))
}

# Calls COMMAND with N, for every $sample-th call N of $target, until none of two
# in a row was hit: heartbeats come when they come.  COMMAND says so in $deaths
# or $hits; how many were is in $points.  $sample, $seed, $part and $deadline are
# the script's.
# shellcheck disable=SC2154
each_call() { # WHAT COMMAND...
    local n unhurt=0
    points=0
    choose_first "$sample" $((seed + part))
    for ((n = first; unhurt < 2; n += sample)); do
        [ $SECONDS -lt "$deadline" ] || { echo 'the time is over'; break; }
        deaths=0 hits=0
        if ! "${@:2}" $n; then
            echo "this was $1, $target-svc, call $n ($(hit "$target")), it" \
                "ended $deaths times, last with $ended"
            tail -n 5 "$SAGA_DIR/$target.log"
            return 1
        fi
        if [ $((deaths + hits)) -gt 0 ]; then
            points=$((points + 1)) unhurt=0
        else
            unhurt=$((unhurt + 1))
        fi
    done
    echo "$1: $target-svc was hit at $points calls"
    injected $points "$([ "$sample" -eq 1 ] || echo "seed $seed")"
    [ $points -gt 0 ] || [ $SECONDS -ge "$deadline" ]
}
