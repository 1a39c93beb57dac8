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
build=$1
turns=${BENCH_TURNS:-5} sagas=${BENCH_SAGAS:-30000}
# shellcheck source=bench/turns.sh
. bench/turns.sh

one_alone() { # fresh|warm: what the files of the services are by now
    local alone
    alone=$(saga --no-check --sagas 500 --inflight 1)
    value median "$alone" >>"$work/$1_ms"
    value p99 "$alone" >>"$work/$1_p99_ms"
}

turn() {
    local all alone files
    alone=$(floor --in-a-row 500) # before all else, as that of the system
    all=$(floor --sagas "$sagas" --group 1000)
    value sagas_per_second "$all" >>"$work/floor_rate"
    value cpu_us_per_saga "$all" >>"$work/floor_cpu"
    for files in fresh warm; do
        value median "$(member ${files}_us "$alone")" >>"$work/floor_$files"
        value p99 "$(member ${files}_us "$alone")" >>"$work/floor_${files}_p99"
    done
    value median "$(member sync_us "$all")" >>"$work/sync"
    value median "$(member sync_us "$alone")" >>"$work/sync"

    start
    one_alone fresh
    all=$(saga --no-check --sagas "$sagas" --inflight 1000)
    value sagas_per_second "$all" >>"$work/rate"
    value cpu_us_per_saga "$all" >>"$work/cpu"
    value catch_up_ms "$all" >>"$work/behind"
    all=$(saga --no-check --sagas "$sagas" --inflight 1000 --batch 1)
    value sagas_per_second "$all" >>"$work/single"
    value cpu_us_per_saga "$all" >>"$work/single_cpu"
    crowd 32 "$sagas"
    for all in "$work"/crowd.*; do
        value sagas_per_second "$(cat "$all")"
    done | awk '{ sum += $1 } END { print sum }' >>"$work/crowd"
    all=$(saga --no-check --sagas $((2 * sagas)) --inflight 10000 --batch 64)
    value sagas_per_second "$all" >>"$work/batched"
    value cpu_us_per_saga "$all" >>"$work/batched_cpu"
    value catch_up_ms "$all" >>"$work/batched_behind"
    one_alone warm # behind all that load
    stop
}

for ((i = 1; i <= turns; i++)); do
    printf 'turn %d of %d\n' "$i" "$turns" >&2
    turn
done

row() { # WHAT FLOOR SAGA, then for the saga's: times what it is
    awk -v what="$1" -v floor="$2" -v saga="$3" -v times="${4:-1}" 'BEGIN {
        printf "  %-36s %8.0f %8.0f %7.2f\n", what, floor, saga * times,
            saga * times / floor }'
}
printf 'medians of %d turns; a page and its fdatasync: %.0f us\n' \
    "$turns" "$(of sync)"
printf '  %-36s %8s %8s %7s\n' '' floor saga ratio
row 'sagas/s, 1,000 callers, packed' "$(of floor_rate)" "$(of rate)"
row 'the same, a request each' "$(of floor_rate)" "$(of single)"
row 'sagas/s, 32 processes, one each' "$(of floor_rate)" "$(of crowd)"
row 'sagas/s, 10,000 in flight, batched' "$(of floor_rate)" "$(of batched)"
row 'CPU us a saga, 1,000 callers' "$(of floor_cpu)" "$(of cpu)"
row 'the same, a request each' "$(of floor_cpu)" "$(of single_cpu)"
row 'CPU us a saga, batched' "$(of floor_cpu)" "$(of batched_cpu)"
for files in fresh warm; do
    row "one in flight, $files files, median us" "$(of floor_$files)" \
        "$(of ${files}_ms)" 1000
    row "one in flight, $files files, p99 us" "$(of floor_${files}_p99)" \
        "$(of ${files}_p99_ms)" 1000
done
printf '  %-36s %8s %8.0f\n' 'views behind at the end, ms' '' "$(of behind)" \
    'the same, batched' '' "$(of batched_behind)"
