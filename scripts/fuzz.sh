#!/usr/bin/env bash
# fuzz.sh - runs the fuzz targets of tests/fuzz.
#
#   fuzz.sh run BUILD SECONDS TARGET...   libFuzzer on all, two at a time, in
#                                         SECONDS altogether
#   fuzz.sh replay BUILD TARGET...        each kept input once
#   fuzz.sh seed BUILD TARGET...          writes the first inputs of a search
#   fuzz.sh merge BUILD TARGET...         adds what was found since to the
#                                         corpora, as few inputs as cover it
#
# Inputs are kept in tests/fuzz/corpus/TARGET: those that a search begins with,
# and (found-...) those that once broke something.  An input that breaks
# something now is left in BUILD/tests/fuzz/found/, and the exit code is 1.
# SEARCH_SEED=N makes a search repeatable; without it, each is different.
set -euo pipefail
cd "$(dirname "$0")/.."
kept=tests/fuzz/corpus

# FAULT TARGET COUNT RESULT: for the fault matrix (scripts/fault-matrix.sh).
prove() {
    [ -z "${PROOF_RESULTS:-}" ] ||
        printf '%s\tsimulated\t%s\t%s\tfuzz target %s\n' "$1" "$3" "$4" "$2" \
            >>"$PROOF_RESULTS"
}

# Which fault of tests/faults.tsv a target injects.
fault_of() {
    case $1 in
        codec | json) echo F48 ;;
        wire | shell | reader) echo F34 ;;
        snapshot | database) echo F20 ;;
        web) echo F52 ;;
        *) echo F46 ;;
    esac
}

run_one() { # BUILD SECONDS TARGET
    local target=$3 found=$1/tests/fuzz/found fresh=$1/tests/fuzz/corpus/$3
    local log=$1/tests/fuzz/$3.log code=0 runs
    mkdir -p "$found" "$fresh" "$kept/$target"
    "$1/tests/fuzz/$target" -max_total_time="$2" -print_final_stats=1 \
        -rss_limit_mb=2048 -timeout=60 -max_len=8192 \
        -seed="${SEARCH_SEED:-0}" \
        -artifact_prefix="$found/$target-" "$fresh" "$kept/$target" \
        >"$log" 2>&1 </dev/null || code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    runs=${runs:-0}
    if [ $code -ne 0 ] || [ "$runs" -eq 0 ]; then
        prove "$(fault_of "$target")" "$target" "$runs" FAILED
        tail -n 60 "$log"
        printf 'fuzz: %s FAILED; inputs: %s\n' "$target" "$found"
        return 1
    fi
    prove "$(fault_of "$target")" "$target" "$runs" ok
    printf '  %-10s %9s runs in %4s s, %s new inputs\n' "$target" "$runs" \
        "$2" "$(find "$fresh" -type f | wc -l)"
}

# Those that only read a message run a hundred times as often as those that
# start services, and their inputs are many: they get three times as long.
weight_of() { # TARGET
    case $1 in
        codec | json | wire) echo 3 ;;
        *) echo 1 ;;
    esac
}

run() { # BUILD SECONDS TARGET...
    local build=$1 seconds=$2 weights=0 in_here=0 in_there=0
    local weight target first bad=0
    local -a here=() there=()
    shift 2
    for target; do weights=$((weights + $(weight_of "$target"))); done
    for weight in 3 1; do # the heavy ones first: both lanes end together
        for target; do
            [ "$(weight_of "$target")" -eq $weight ] || continue
            if [ $in_here -le $in_there ]; then
                here+=("$target") in_here=$((in_here + weight))
            else
                there+=("$target") in_there=$((in_there + weight))
            fi
        done
    done
    lane "${here[@]}" &
    first=$!
    lane ${there[@]+"${there[@]}"} || bad=1
    wait $first || bad=1
    return $bad
}
# One after the other; $seconds and $weights are run's.
lane() { # TARGET...
    local bad=0 each
    for target; do
        each=$((seconds * 2 * $(weight_of "$target") / weights))
        run_one "$build" $((each > 0 ? each : 1)) "$target" || bad=1
    done
    return $bad
}

replay() { # BUILD TARGET...
    local build=$1 target said
    shift
    for target; do
        said=$("$build/tests/fuzz/replay_$target" "$kept/$target")
        echo "  $said"
        prove "$(fault_of "$target")" "$target" \
            "$(grep -o '[0-9]* inputs' <<<"$said" | cut -d' ' -f1)" ok
    done
}

merge() { # BUILD TARGET...
    local build=$1 target
    shift
    for target; do
        mkdir -p "$build/tests/fuzz/corpus/$target"
        rm -rf "$kept/$target.new"
        mkdir "$kept/$target.new"
        "$build/tests/fuzz/$target" -merge=1 -max_len=8192 \
            "$kept/$target.new" "$kept/$target" \
            "$build/tests/fuzz/corpus/$target" >/dev/null 2>&1 </dev/null
        find "$kept/$target" -name 'found-*' \
            -exec mv -t "$kept/$target.new" {} +
        rm -rf "${kept:?}/$target"
        mv "$kept/$target.new" "$kept/$target"
        printf '  %-10s %s inputs\n' "$target" \
            "$(find "$kept/$target" -type f | wc -l)"
    done
}

what=$1
shift
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1:detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
case $what in
    run | replay | merge) "$what" "$@" ;;
    seed) "$1/tests/fuzz/seed" "$kept" ;;
    *)
        echo 'usage: fuzz.sh run|replay|seed|merge BUILD ...' >&2
        exit 64
        ;;
esac
