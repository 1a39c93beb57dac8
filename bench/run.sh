#!/usr/bin/env bash
# run.sh BUILD - the system against the floor (floor.c), in turn, on this
# machine: `make bench`.
#
# One run of either says little where other work shares the machine, so both
# run several times, one after the other, and what counts is the ratio of the
# medians.  BENCH_TURNS (5), BENCH_SAGAS (30000, twice that in batches) and
# BENCH_DIR (where the data goes: the disk that is measured) may be set.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8
build=$1
turns=${BENCH_TURNS:-5} sagas=${BENCH_SAGAS:-30000}
work=$(mktemp -d "${BENCH_DIR:-/tmp}/saga-bench-XXXXXX")
export SAGA_DIR=$work/data
pids=()
trap 'kill -9 "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

value() { # NAME JSON: the number behind its first "NAME":
    grep -oE "\"$1\":-?[0-9.]+" <<<"$2" | head -n 1 | cut -d: -f2
}

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

floor() { # the floor's JSON for these options
    mkdir "$work/floor"
    "$build/bench/floor" --json "$@" "$work/floor"
    rm -r "$work/floor"
}

# Not through ./run.sh, which gives each service a session of its own: the
# scheduler shares the machine out among sessions, and the floor is in ours.
start() {
    local service tries
    mkdir -m 700 "$SAGA_DIR"
    for service in order inventory payment; do
        "$build/bin/$service-svc" --dir "$SAGA_DIR" 2>"$work/$service.log" &
        pids+=($!)
    done
    for ((tries = 0; tries < 300; tries++)); do
        if "$build/bin/saga" product warm-up 1.00 >/dev/null 2>&1 &&
            "$build/bin/saga" wait --quiet >/dev/null 2>&1; then
            return
        fi
        sleep 0.1
    done
    cat "$work"/*.log >&2
    exit 69
}

stop() {
    kill "${pids[@]}"
    wait "${pids[@]}"
    pids=()
    rm -r "$SAGA_DIR"
}

saga() { "$build/bin/saga" bench --no-check --json "$@"; }

turn() {
    local all alone
    all=$(floor --sagas "$sagas" --group 1000)
    alone=$(floor --in-a-row 500)
    value sagas_per_second "$all" >>"$work/floor_rate"
    value cpu_us_per_saga "$all" >>"$work/floor_cpu"
    value median "$alone" >>"$work/floor_alone"
    value p99 "$alone" >>"$work/floor_p99"
    # both lines hold the time of a synced page as their last median
    grep -oE '"sync_us":\{"median":[0-9.]+' <<<"$all$alone" |
        grep -oE '[0-9.]+$' >>"$work/sync"

    start
    alone=$(saga --sagas 500 --inflight 1)
    all=$(saga --sagas "$sagas" --inflight 1000)
    value median "$alone" >>"$work/alone_ms"
    value p99 "$alone" >>"$work/alone_p99_ms"
    value sagas_per_second "$all" >>"$work/rate"
    value cpu_us_per_saga "$all" >>"$work/cpu"
    all=$(saga --sagas $((2 * sagas)) --inflight 10000 --batch 64)
    value sagas_per_second "$all" >>"$work/batched"
    value cpu_us_per_saga "$all" >>"$work/batched_cpu"
    stop
}

for ((i = 1; i <= turns; i++)); do
    printf 'turn %d of %d\n' "$i" "$turns" >&2
    turn
done

of() { median <"$work/$1"; }
awk -v floor="$(of floor_rate)" -v floor_cpu="$(of floor_cpu)" \
    -v sync="$(of sync)" -v floor_alone="$(of floor_alone)" \
    -v floor_p99="$(of floor_p99)" -v rate="$(of rate)" -v cpu="$(of cpu)" \
    -v batched="$(of batched)" -v batched_cpu="$(of batched_cpu)" \
    -v alone="$(of alone_ms)" -v p99="$(of alone_p99_ms)" \
    -v turns="$turns" 'BEGIN {
    printf "medians of %d turns; a page and its fdatasync: %.0f us\n", \
        turns, sync
    row = "  %-34s %8s %8s %7s\n"
    printf row, "", "floor", "saga", "ratio"
    row = "  %-34s %8.0f %8.0f %7.2f\n"
    printf row, "sagas/s, 1,000 in flight", floor, rate, rate / floor
    printf row, "sagas/s, 10,000 in flight, batched", floor, batched, \
        batched / floor
    printf row, "CPU us a saga, 1,000 in flight", floor_cpu, cpu, \
        cpu / floor_cpu
    printf row, "CPU us a saga, batched", floor_cpu, batched_cpu, \
        batched_cpu / floor_cpu
    printf row, "one in flight, median us", floor_alone, alone * 1000, \
        alone * 1000 / floor_alone
    printf row, "one in flight, p99 us", floor_p99, p99 * 1000, \
        p99 * 1000 / floor_p99
}'
