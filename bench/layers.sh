#!/usr/bin/env bash
# layers.sh BUILD [OUT] - each layer alone (layers.c), and how cost grows with
# size: `make bench-layers`.  Figures go to OUT/layers.tsv and, when gnuplot is
# installed, plots to OUT/*.svg (plots.sh); OUT is docs/performance.
#
# LAYERS_SIZE (1000000) is how large a log becomes; at ten million the data
# takes some GB.  BENCH_DIR as in run.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8
build=$1 out=${2:-docs/performance} size=${LAYERS_SIZE:-1000000}
work=$(mktemp -d "${BENCH_DIR:-/tmp}/saga-layers-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

layer() { # WHAT N
    printf '  %s\n' "$1" >&2
    mkdir -m 700 "$work/data"
    "$build/bench/layers" "$1" "$2" "$work/data" "$build/bin/order-svc" \
        2>"$work/err" || {
        cat "$work/err" >&2
        tail -n 5 "$work/data/service.log" >&2 2>/dev/null || true
        exit 74
    }
    rm -r "$work/data"
}

{
    printf '# what\tfor how much\tfigure\tunit\n'
    layer codec 1000000
    layer append 50000
    layer account 100000
    layer catchup 1000000
    layer rebuild 40000
    layer size "$size"
    layer sagas "$size"
} >"$work/layers.tsv"
mv "$work/layers.tsv" "$out/layers.tsv"
column -t -s $'\t' "$out/layers.tsv"
if command -v gnuplot >/dev/null; then bench/plots.sh "$out"; fi
