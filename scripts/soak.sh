#!/usr/bin/env bash
# soak.sh - finds intermittent failures: runs scenarios, rows of the lab,
# chapters of the tutorial and tests again and again, beside two busy loops.
#
#   run N ONLY [BINARY...]   until each item has been run N times; ONLY selects
#                            items by patterns of their names, '' is all
#   items [BINARY...]        the names of the items
#   item NAME                runs one of them, once
#
# An item is scenario-04, lab-04-inbox,guards, chapter-09, test_cli.sh, or the
# name of one of the BINARYs, tests in build/tests.
#
# The first run of each item has its data on a tmpfs, the second on the disk,
# the third and the fourth on the tmpfs with syncs slowed by 2 and by 20 ms
# (tests/crash/slow.c), the fifth again on the tmpfs, and so on.  A run that
# does not end within $SOAK_TIMEOUT seconds (600) has failed.
#
# Results and the logs of failures are kept in build/soak/KEY, where KEY is a
# hash of the sources: the same command, stopped and started again, goes on
# with the runs that are missing, a larger N adds runs, and changed sources
# begin at zero.  Nothing else may change build/ meanwhile.
#
# Exit code: 0 when nothing failed, 1 when something did, 75 when the sources
# changed meanwhile, 130 or 143 when it was stopped.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
root=$PWD
# shellcheck source=scripts/common.sh
. scripts/common.sh
# What `make soak N=4 ONLY=...` exports is no concern of the tests.
unset SAGA_DIR SAGA_BUS SAGA_BUILD N ONLY

fail() { # CODE TEXT
    complain 'soak: ' "$2"
    exit "$1"
}

# ---- items ------------------------------------------------------------------

number_of() { basename "$1" | cut -c 1-2; }

items() { # BINARY...
    local file number
    for file in scenarios/[0-9]*.md; do
        number=$(number_of "$file")
        echo "scenario-$number"
        scripts/scenario.sh rows "$file" | cut -f 1 | sed "s/^/lab-$number-/"
    done
    for file in docs/tutorial/[0-9]*.md; do
        echo "chapter-$(number_of "$file")"
    done
    for file in tests/test_*.sh "$@"; do
        basename "$file"
    done
}

# The names on standard input that a pattern of ONLY matches.
selected() { # ONLY
    local item pattern
    local -a patterns
    read -ra patterns <<<"${1:-*}"
    while read -r item; do
        for pattern in "${patterns[@]}"; do
            # shellcheck disable=SC2053 # it is a pattern
            if [[ $item == $pattern ]]; then
                echo "$item"
                break
            fi
        done
    done
}

run_lab_row() { # NUMBER NAMES
    local file row
    file=$(echo scenarios/"$1"-*.md)
    row=$(scripts/scenario.sh rows "$file" | awk -F '\t' -v names="$2" \
        '$1 == names')
    scripts/lab-test.sh row "$1"$'\t'"$row" "$TMPDIR"
    [ -z "$(find "$TMPDIR" -name "$1-$2.bad")" ] || return 1
    [ -z "$(find "$TMPDIR" -name "$1-$2.skipped")" ] || return 77
}

run_item() { # NAME
    local rest=${1#*-}
    case $1 in
        scenario-*) scripts/scenario.sh run "$rest" ;;
        lab-*) run_lab_row "${rest%%-*}" "${rest#*-}" ;;
        chapter-*) scripts/scenario.sh file docs/tutorial/"$rest"-*.md ;;
        *.sh) TEST_OUTPUT=$TMPDIR scripts/test.sh build "tests/$1" ;;
        *) TEST_OUTPUT=$TMPDIR scripts/test.sh build "build/tests/$1" ;;
    esac
}

# The lab's programs, so that no run has to build them within its time.
build_lab() { # ITEM...
    local item
    for item; do
        [[ $item != lab-* ]] || echo "${item#lab-*-}"
    done | sort -u | while read -r item; do
        scripts/lab.sh without "$item" >/dev/null
    done
}

# ---- storage ----------------------------------------------------------------

variants=(tmpfs disk sync-2ms sync-20ms)
preload=$root/build/tests/crash/slow.so
# Not below build: run.sh calls what lies in the repository by shorter names.
ours=saga-soak.$(id -u).$(cksum <<<"$root" | cut -d ' ' -f 1)
disk=/var/tmp/$ours
tmpfs=/dev/shm/$ours

need_storage() {
    local free
    free=$(df --output=avail -t tmpfs /dev/shm 2>/dev/null | tail -n 1) || true
    [ "${free:-0}" -ge 262144 ] ||
        fail 69 'no tmpfs with 256 MB to spare is mounted on /dev/shm'
    [ "$(stat -f -c %T /var/tmp)" != tmpfs ] ||
        fail 69 '/var/tmp is a tmpfs, but must be on a disk'
}

# Ends what has a directory of ours in its environment, and removes these: a
# service that a test started belongs to no process group of ours.
end_leftovers() {
    local pids tries
    for ((tries = 0; tries < 100; tries++)); do
        pids=$(grep -lsaF -e "$disk" -e "$tmpfs" /proc/[0-9]*/environ |
            tr -dc '0-9\n') || true
        [ -n "$pids" ] || break
        # shellcheck disable=SC2086 # many words
        kill -KILL $pids 2>/dev/null || true # bash's own: there may be no other
        sleep 0.1
    done
    rm -rf "$disk" "$tmpfs"
}

# ---- one run ----------------------------------------------------------------

limit=${SOAK_TIMEOUT:-600}
runner=''
loops=()

# Becomes a COMMAND with a TMPDIR of its own in the storage of VARIANT.
in_storage() { # VARIANT COMMAND...
    local below=$tmpfs
    local -a more=()
    case $1 in
        disk) below=$disk ;;
        sync-*)
            more=("LD_PRELOAD=$preload" "SLOW_SYNC_MS=${1//[^0-9]/}")
            ;;
    esac
    exec env TMPDIR="$(mktemp -d "$below/XXXXXX")" SCENARIO_IN_TMPDIR=1 \
        TEST_TIMEOUT="$limit" "${more[@]}" "${@:2}"
}

# Runs an item and waits in a way that hears a signal at once.  Job control:
# tests need to hear Ctrl-C, which a plain job of a script ignores.
run_once() { # ITEM VARIANT LOG
    local code=0
    mkdir -m 700 "$disk" "$tmpfs"
    set -m
    in_storage "$2" setpriv --pdeathsig TERM timeout -k 10 "$limit" \
        scripts/soak.sh item "$1" </dev/null >"$3" 2>&1 9>&- &
    runner=$!
    set +m
    wait $runner || code=$?
    runner=''
    case $code in
        124 | 137) echo "soak: not finished within $limit s" >>"$3" ;;
    esac
    end_leftovers
    return $code
}

verdict_of() { # CODE
    case $1 in
        0) echo ok ;;
        77) echo skip ;;
        *) echo FAILED ;;
    esac
}

# One run, its line, and its result; a log is kept if it failed.
try() { # ITEM ROUND
    local variant verdict log code=0 begun=$SECONDS
    variant=${variants[($2 - 1) % ${#variants[@]}]}
    log=$state/$1.$2.$variant.log
    run_once "$1" "$variant" "$state/running.log" || code=$?
    [ "$(scripts/key.sh)" = "${state##*/}" ] || fail 75 \
        'the sources changed while it ran: build them, and start it again'
    verdict=$(verdict_of $code)
    [ "$verdict" != FAILED ] || cp "$state/running.log" "$log"
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$variant" "$verdict" >>"$results"
    printf '  %-6s %-32s %-9s run %d of %d %5d s\n' "$verdict" "$1" \
        "$variant" "$2" "$runs" $((SECONDS - begun))
    [ "$verdict" != FAILED ] || {
        echo "         $log"
        said_wrong "$log"
    }
}

# The first lines of a log that tell what failed.
said_wrong() { # LOG
    grep -E '^(not ok|The output differs|\[FAILED|soak:| +FAILED )' "$1" |
        head -n 3 | sed 's/^ */         /' || true
}

# Their first argument is for who wonders what they are, in ps.
start_loops() {
    local i
    for i in 1 2; do
        setpriv --pdeathsig KILL bash -c 'while :; do :; done' \
            "busy loop $i of $root/scripts/soak.sh" 9>&- &
        loops+=($!)
    done
}

# ---- all --------------------------------------------------------------------

# How often what was run failed in which storage, of the items on standard
# input.  Fails when something did.
report() {
    echo
    awk -F '\t' -v variants="${variants[*]}" -v state="$state" '
        function cell(item, v) {
            if (runs[item, v]) return failed[item, v] + 0 "/" runs[item, v]
            return skips[item, v] ? "skipped" : "-"
        }
        function count(item, v, verdict) {
            verdict == "skip" ? skips[item, v]++ : runs[item, v]++
            if (verdict == "FAILED") failed[item, v]++
        }
        BEGIN { n = split(variants " total", v, " ") }
        FNR == NR { items[++m] = $1; wanted[$1]; next }
        !($1 in wanted) { next }
        {
            count($1, $3, $4); count($1, "total", $4); count("", "total", $4)
            if ($4 == "FAILED") logs[++l] = state "/" $1 "." $2 "." $3 ".log"
        }
        END {
            printf "%-32s", "failed/runs"
            for (i = 1; i <= n; i++) printf " %9s", v[i]
            for (k = 1; k <= m; k++) {
                printf "\n%-32s", items[k]
                for (i = 1; i <= n; i++) printf " %9s", cell(items[k], v[i])
            }
            printf "\n"
            if (l) printf "\nlogs of failures:\n"
            for (k = 1; k <= l; k++) print "  " logs[k]
            printf "\n%d %s, %d failed, %d skipped; sources %s\n",
                runs["", "total"], runs["", "total"] == 1 ? "run" : "runs",
                failed["", "total"], skips["", "total"],
                substr(state, length(state) - 11)
            exit l > 0
        }' <(printf '%s\n' "${chosen[@]}") "$results"
}

# Whatever way this ends, nothing of it stays.
clean_up() {
    local code=$?
    trap '' INT TERM HUP EXIT
    end_run
    [ ${#loops[@]} -eq 0 ] || {
        kill -KILL "${loops[@]}" || true
        wait "${loops[@]}" || true
    } 2>/dev/null
    end_leftovers
    exit $code
}
end_run() {
    [ -n "$runner" ] || return 0
    kill -TERM "$runner" 2>/dev/null || true
    wait "$runner" 2>/dev/null || true
    runner=''
}
stopped() { # CODE
    trap '' INT TERM HUP
    end_run
    report || true
    echo 'soak: stopped; the same command resumes it' >&2
    exit "$1"
}

# The runs that are missing, round by round: stopped early, it has tried all
# items about as often.
run_missing() {
    local item round
    local -A finished=()
    while IFS=$'\t' read -r item round _; do
        finished[$item]=$round
    done <"$results"
    for ((round = 1; round <= runs; round++)); do
        for item in "${chosen[@]}"; do
            [ "$round" -le "${finished[$item]:-0}" ] || try "$item" "$round"
        done
    done
}

run() { # N ONLY [BINARY...]
    [[ $1 =~ ^[1-9][0-9]{0,5}$ ]] || fail 64 "N=$1: N must be a number of runs, as in N=40"
    runs=$1
    mapfile -t chosen < <(items "${@:3}" | selected "$2")
    [ ${#chosen[@]} -gt 0 ] || fail 64 \
        "no item is called '$2' ('scripts/soak.sh items' lists them)"
    [ -e "$preload" ] || fail 69 'nothing is built yet; build with:  make tests'
    need_storage
    mkdir -p build/soak
    exec 9>build/soak/lock
    flock -n 9 || fail 75 'another soak is running in this directory'
    state=build/soak/$(scripts/key.sh)
    results=$state/results
    mkdir -p "$state"
    touch "$results"
    build_lab "${chosen[@]}"
    trap clean_up EXIT
    trap 'stopped 130' INT
    trap 'stopped 143' TERM
    trap 'stopped 129' HUP
    end_leftovers # of one that was killed
    start_loops
    run_missing
    report
}

case ${1:-} in
    run) run "${2:-}" "${3:-}" "${@:4}" ;;
    items) items "${@:2}" ;;
    item) run_item "$2" ;;
    *) fail 64 'usage: soak.sh run N ONLY [BINARY...] | items [BINARY...] | item NAME' ;;
esac
