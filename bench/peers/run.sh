#!/usr/bin/env bash
# run.sh BUILD [check] - the floor, the system, and the same saga on Redis and
# on PostgreSQL (redis.c, postgres.c), in turn: `make bench-peers`.
#
# Each run has fresh files and takes about PEERS_SECONDS (5); PEERS_TURNS (5)
# turns, of which the medians count; BENCH_DIR is where the data goes.  Servers
# listen on a unix socket in a directory of their own, and end with the run.
# The totals are checked behind each run.  With `check` each peer runs once,
# and once more with a bug, which has to be noticed.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
turns=${PEERS_TURNS:-5} seconds=${PEERS_SECONDS:-5}
# shellcheck source=bench/turns.sh
. bench/turns.sh
# shellcheck source=bench/peers/servers.sh
. bench/peers/servers.sh

# How many sagas NAME does in the time of a run, by its last one.
enough() { # NAME
    local rate=4000
    [ ! -s "$work/$1.rate" ] || rate=$(tail -n 1 "$work/$1.rate")
    awk -v rate="$rate" -v seconds="$seconds" \
        'BEGIN { n = int(rate * seconds); print n < 1000 ? 1000 : n }'
}

keep() { # NAME RATE MEDIAN P99 CPU SYNCS; times in us
    local what
    for what in rate median p99 cpu syncs; do
        echo "$2" >>"$work/$1.$what"
        set -- "$1" "${@:3}"
    done
}

turn() {
    local name told alone
    alone=$(floor --in-a-row 500)
    told=$(floor --sagas "$(enough floor)" --group 1000)
    keep floor "$(value sagas_per_second "$told")" \
        "$(value median "$(member fresh_us "$alone")")" \
        "$(value p99 "$(member fresh_us "$alone")")" \
        "$(value cpu_us_per_saga "$told")" nan

    start
    alone=$(saga --no-check --sagas 500 --inflight 1)
    told=$(saga --sagas "$(enough saga)" --inflight 1000)
    stop
    # The client counts, as it does where it is a part of the peer.
    keep saga "$(value sagas_per_second "$told")" \
        "$(awk -v ms="$(value median "$alone")" 'BEGIN { print ms * 1000 }')" \
        "$(awk -v ms="$(value p99 "$alone")" 'BEGIN { print ms * 1000 }')" \
        "$(awk -v services="$(value cpu_us_per_saga "$told")" \
            -v client="$(value cpu_us_per_saga "${told##*\"client\"}")" \
            'BEGIN { print services + client }')" \
        "$(grep -oE '"fsyncs_per_saga":[0-9.e-]+' <<<"$told" | cut -d: -f2 |
            awk '{ sum += $1 } END { print sum }')"

    for name in redis postgres; do
        told=$(peer "$name" "$name" --sagas "$(enough "$name")")
        keep "$name" "$(value sagas_per_second "$told")" \
            "$(value median "$(member alone_us "$told")")" \
            "$(value p99 "$(member alone_us "$told")")" \
            "$(value cpu_us_per_saga "$told")" \
            "$(value syncs_per_saga "$told")"
    done
}

if [ "${2:-}" = check ]; then
    for name in redis postgres; do
        peer "$name" "$name" --sagas 2000 --alone 20 >/dev/null
        if peer "$name" "$name-bug" --sagas 2000 --alone 20 >/dev/null \
            2>"$work/said"; then
            echo "peers: $name: a bug was not noticed" >&2
            exit 1
        fi
        grep -q 'broken: each order is charged once' "$work/said" || {
            cat "$work/said" >&2
            exit 1
        }
        echo "$name: the totals hold, and do not with a bug"
    done
    exit
fi

for ((i = 1; i <= turns; i++)); do
    printf 'turn %d of %d\n' "$i" "$turns" >&2
    turn
done

row() { # NAME SETTINGS
    local what figures=()
    for what in rate median p99 cpu syncs; do figures+=("$(of "$1.$what")"); done
    printf '  %-9s %9.0f %9.2f %9.2f %9.0f %9.3f  %s\n' "$1" "${figures[0]}" \
        "$(awk -v us="${figures[1]}" 'BEGIN { print us / 1000 }')" \
        "$(awk -v us="${figures[2]}" 'BEGIN { print us / 1000 }')" \
        "${figures[3]}" "${figures[4]}" "$2"
}
printf 'medians of %d turns; 1,000 in flight, and 500 one at a time on fresh files\n' \
    "$turns"
printf '  %-9s %9s %9s %9s %9s %9s  %s\n' '' sagas/s 'alone ms' p99 'CPU us' \
    syncs settings
row floor 'synchronous=FULL, no messages, no decisions'
row saga 'synchronous=FULL; CPU with the client'
row redis "$(redis-cli --version | cut -d' ' -f2), appendfsync always, pipelined; the driver is a part of order"
row postgres "$("$postgres" --version | cut -d' ' -f3), synchronous_commit on; the driver is a part of order"
