#!/usr/bin/env bash
# plots.sh OUT - draws OUT/*.svg with gnuplot, from the figures in
# OUT/layers.tsv and in OUT/load.csv, of which either may be missing.
set -euo pipefail
export LC_ALL=C.UTF-8
out=$(readlink -f "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/saga-plots-XXXXXX")
trap 'rm -rf "$work"' EXIT

plot() { # FILE, and the rest of the script on standard input
    {
        echo "set terminal svg size 640,400 font 'sans-serif,12'"
        echo "set output '$out/$1.svg'"
        echo 'set logscale x; set grid; set key outside bottom center horizontal; set format x "10^{%L}"'
        echo "set style data linespoints; set yrange [0:*]; cd '$work'"
        cat
    } | gnuplot
}
# The curves of a plot that have points: FILE, what gnuplot is told behind it,
# and so on in pairs.
curves() {
    local told=plot
    while [ $# -gt 0 ]; do
        [ ! -s "$work/$1" ] || told+=" '$1' $2,"
        shift 2
    done
    echo "${told%,}"
}
# The points of WHO in load.csv: its place and the median of a column, over the
# turns.
load() { # WHO WHAT COLUMN FILE
    awk -F , -v who="$1" -v what="$2" -v column="$3" \
        '$1 == who && $2 == what { print $3, $column }' "$out/load.csv" |
        sort -k1,1g -k2,2g | awk '
            function put() { if (n > 0) print at, v[int((n + 1) / 2)] }
            $1 != at { put(); n = 0; at = $1 }
            { v[++n] = $2 }
            END { put() }' >"$work/$4"
}
if [ -e "$out/load.csv" ]; then
    for who in saga redis postgres; do
        load $who inflight 4 "$who-inflight"
        load $who offered 5 "$who-median"
        load $who offered 6 "$who-p99"
    done
    plot inflight <<END
set title 'sagas a second, by orders in flight'
$(curves saga-inflight "title 'this system'" redis-inflight "title 'Redis'" \
        postgres-inflight "title 'PostgreSQL'")
END
    plot offered <<END
set title 'latency in ms from when an order was due, by orders offered a second'
unset logscale x; set format x '%g'; set logscale y; set yrange [*:*]
$(curves saga-median "title 'this system' lc 1" \
        saga-p99 "title 'p99' lc 1 dt 2" \
        redis-median "title 'Redis' lc 2" redis-p99 "title 'p99' lc 2 dt 2" \
        postgres-median "title 'PostgreSQL' lc 3" \
        postgres-p99 "title 'p99' lc 3 dt 2")
END
fi
[ -e "$out/layers.tsv" ] || exit 0

points() { # WHAT FILE: its "for how much" and figure
    awk -F '\t' -v what="$1" '$1 == what { print $2, $3 }' "$out/layers.tsv" \
        >"$work/$2"
}
points append by_batch
points 'append at' append
points 'replay at' replay
points 'query at' query
points 'start at' start
points 'memory at' memory
points 'saga at' saga
points 'catch-up at' catch_up
points 'service start at' service
points 'service start after a crash at' crashed
points 'service memory at' resident

plot append <<'END'
set title 'append and commit: events a second, by events a transaction'
set logscale y; set yrange [*:*]; unset key
plot 'by_batch'
END
plot size <<END
set title 'events a second, by events in the log'
$(curves append "title 'append, 100 a commit'" \
    replay "title 'read, decode, fold'" \
    catch_up "title 'catch-up of a consumer'")
END
plot query <<'END'
set title 'by events in the log'
set y2tics; set y2range [0:*]; set ylabel 'microseconds'; set y2label 'ms, MiB'
plot 'query' title 'one saga by its tag (us)', \
    'start' axes x1y2 title 'opening the log (ms)', \
    'memory' axes x1y2 title 'memory of the reader (MiB)'
END
plot saga <<'END'
set title 'CPU of a whole saga (us), by events in the three logs'
unset key
plot 'saga'
END
if [ -s "$work/service" ]; then
    plot service <<END
set title 'order-svc, by events in its log'
set ylabel 'ms'; set y2label 'MiB'; set y2tics; set y2range [0:*]
$(curves service "title 'exec to first answers (ms)'" \
    crashed "title 'the same after a crash (ms)'" \
    resident "axes x1y2 title 'memory of the process (MiB)'")
END
fi
