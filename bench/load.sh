#!/usr/bin/env bash
# load.sh BUILD [OUT] - rate against orders in flight, and latency against the
# rate that is offered, of the system and of its peers (peers/): `make
# bench-load`.  Figures go to OUT/load.csv and, when gnuplot is installed, plots
# to OUT/inflight.svg and OUT/offered.svg (plots.sh); OUT is docs/performance.
#
# Each point is one run of about LOAD_SECONDS (3), and LOAD_TURNS (1) turns take
# them all anew: the plots show the medians.  Latency at a rate runs from the
# moment when an order was due.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 out=${2:-docs/performance}
turns=${LOAD_TURNS:-1} seconds=${LOAD_SECONDS:-3}
inflight=(1 10 100 1000 10000)
offered=(500 1000 2000 4000 6000 8000 12000 16000)
# shellcheck source=bench/turns.sh
. bench/turns.sh
# shellcheck source=bench/peers/servers.sh
. bench/peers/servers.sh
mkdir -p "$out"

tell() { # WHO WHAT AT JSON LATENCIES, whose unit is 1/$6 ms
    local figure line=$1,$2,$3
    line+=,$(value sagas_per_second "$4")
    for figure in median p99 p999 max; do
        line+=,$(awk -v v="$(value $figure "$5")" -v unit="$6" \
            'BEGIN { print v / unit }')
    done
    echo "$line" | tee -a "$work/load.csv" >&2
}

few() { # IN_FLIGHT: enough for a run, since that bounds the rate
    local rate=$(($1 * 300))
    echo $((seconds * (rate < 4000 ? rate : 4000)))
}

# One point of all three, one after another: other load on the machine changes.
point() { # WHAT AT SAGAS OPTION...
    local name told
    told=$(saga --no-check --sagas "$3" "${@:4}")
    tell saga "$1" "$2" "$told" "$(member latency_ms "$told")" 1
    for name in redis postgres; do
        told=$(peer $name $name --alone 0 --sagas "$3" "${@:4}")
        tell $name "$1" "$2" "$told" "$(member loaded_us "$told")" 1000
    done
}

echo '# who,what,at,sagas a second,median ms,p99 ms,p99.9 ms,longest ms' >"$work/load.csv"
start
for ((i = 0; i < turns; i++)); do
    for at in "${inflight[@]}"; do
        point inflight "$at" "$(few "$at")" --inflight "$at"
    done
    for at in "${offered[@]}"; do
        point offered "$at" $((at * seconds)) --rate "$at"
    done
done
stop
cp "$work/load.csv" "$out/load.csv"
if command -v gnuplot >/dev/null; then bench/plots.sh "$out"; fi
