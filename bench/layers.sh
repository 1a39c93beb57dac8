#!/usr/bin/env bash
# layers.sh BUILD [OUT] - each layer alone (layers.c), and how cost grows with
# size: `make bench-layers`.  Figures go to OUT/layers.tsv and, when gnuplot is
# there, plots to OUT/*.svg; OUT is docs/performance.
#
# LAYERS_SIZE (1000000) is how large a log becomes; BENCH_DIR as in run.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8
build=$1 out=${2:-docs/performance} size=${LAYERS_SIZE:-1000000}
work=$(mktemp -d "${BENCH_DIR:-/tmp}/saga-layers-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

layer() { # WHAT N
    printf '  %s\n' "$1" >&2
    mkdir "$work/data"
    "$build/bench/layers" "$1" "$2" "$work/data" 2>"$work/err" || {
        cat "$work/err" >&2
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
} >"$work/layers.tsv"
mv "$work/layers.tsv" "$out/layers.tsv"
column -t -s $'\t' "$out/layers.tsv"
command -v gnuplot >/dev/null || exit 0

points() { # WHAT: its "for how much" and figure
    awk -F '\t' -v what="$1" '$1 == what { print $2, $3 }' "$out/layers.tsv" \
        >"$work/$2"
}
points append by_batch
points 'append at' append
points 'replay at' replay
points 'query at' query
points 'start at' start
points 'memory at' memory

plot() { # FILE, and the rest of the script on standard input
    {
        echo "set terminal svg size 640,400 font 'sans-serif,12'"
        echo "set output '$out/$1.svg'"
        echo 'set logscale x; set grid; set key left; set format x "10^{%L}"'
        echo "set style data linespoints; set yrange [0:*]; cd '$work'"
        cat
    } | sed "s|'$out/|'$PWD/$out/|" | gnuplot
}
plot append <<'END'
set title 'append and commit: events a second, by events a transaction'
set logscale y; set yrange [*:*]; unset key
plot 'by_batch'
END
plot size <<'END'
set title 'events a second, by events in the log'
plot 'append' title 'append, 100 a commit', 'replay' title 'read, decode, fold'
END
plot query <<'END'
set title 'by events in the log'
set y2tics; set y2range [0:*]; set ylabel 'microseconds'; set y2label 'ms, MiB'
plot 'query' title 'one saga by its tag (us)', \
    'start' axes x1y2 title 'start-up (ms)', \
    'memory' axes x1y2 title 'memory of the reader (MiB)'
END
