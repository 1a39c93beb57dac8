#!/usr/bin/env bash
# conductor.sh BUILD - the choreographed shop against the conducted one
# (examples/conductor), in turn, on this machine: `make bench-conductor`.
#
# Both have the same library, client and load (either.c); medians count.
# BENCH_TURNS (5), BENCH_SAGAS (20000) and BENCH_DIR (where the data goes) may
# be set.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
turns=${BENCH_TURNS:-5} sagas=${BENCH_SAGAS:-20000}
# shellcheck source=bench/turns.sh
. bench/turns.sh
unset pids
declare -A pids=() # by service: one of them dies

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# ---- the two shops ----------------------------------------------------------

cp -r examples/conductor "$work/example"
libraries=$(PKG_CONFIG_PATH=$build/prefix/lib/pkgconfig pkg-config --static --libs sagaevents)
PKG_CONFIG_PATH=$build/prefix/lib/pkgconfig make -s -C "$work/example" \
    BUILD="$work/conducted" libs="${libraries/-lsagaevents/-l:libsagaevents.a}"

choose() { # order|conductor: $first, $bin, $saga
    first=$1 bin=$build/bin saga=$build/bin/saga
    [ "$1" = order ] || bin=$work/conducted/bin saga=$work/conducted/bin/orchestra
}
begin() { # SERVICE
    "$bin/$1-svc" --dir "$SAGA_DIR" >>"$work/$1.log" 2>&1 &
    pids[$1]=$!
}
start() {
    mkdir -m 700 "$SAGA_DIR"
    begin "$first"
    begin inventory
    begin payment
    await 60 "$saga" status
}

# ---- measuring --------------------------------------------------------------

count() { # SERVICE WHERE
    sqlite3 -readonly "$SAGA_DIR/$1/log.db" \
        "SELECT count(*) FROM event WHERE $2"
}
# Events that another service's event caused.
messages() {
    local s sum=0
    for s in "$first" inventory payment; do
        sum=$((sum + $(count "$s" "cause_source NOT IN ('', '$s')")))
    done
    echo "$sum"
}
load() { # NAME SAGAS [OPTION...]: into the files of that name
    local name=$1 said before
    before=$(messages)
    said=$("$build/bench/either" --sagas "$2" "${@:3}" "$first" "$SAGA_DIR")
    for what in sagas_per_second median_ms p99_ms events commits fsyncs cpu_us; do
        value $what "$said" >>"$work/$first.$name.$what"
    done
    awk -v m=$(($(messages) - before)) -v n="$2" 'BEGIN { print m / n }' \
        >>"$work/$first.$name.messages"
}

# 200 orders wait for inventory when the first service dies for good: how far
# do they get without it?  And how long does the rest take when it is back?
dies() {
    local orders=200 begun
    "$saga" product widget 1.00 >/dev/null
    "$saga" stock widget 1000 >/dev/null
    "$saga" fund alice 1000.00 >/dev/null
    await 60 "$saga" wait --quiet
    kill -STOP "${pids[inventory]}"
    if [ "$first" = order ]; then
        "$saga" place widget:1 --count $orders --no-wait >/dev/null
    else
        "$saga" place widget:1 --count $orders >/dev/null
    fi
    kill -KILL "${pids[$first]}"
    wait "${pids[$first]}" 2>/dev/null || true
    kill -CONT "${pids[inventory]}"
    still
    count inventory "type = 'StockReserved' AND order_id LIKE 'o-%'" \
        >>"$work/$first.dies.reserved"
    count payment "type = 'PaymentCharged' AND order_id LIKE 'o-%'" \
        >>"$work/$first.dies.charged"
    count inventory "type = 'StockShipped' AND order_id LIKE 'o-%'" \
        >>"$work/$first.dies.shipped"
    begun=$(now_ms)
    begin "$first"
    await 60 shipped $orders
    echo $(($(now_ms) - begun)) >>"$work/$first.dies.back_ms"
}
shipped() {
    [ "$(count inventory "type = 'StockShipped' AND order_id LIKE 'o-%'")" -eq "$1" ]
}
still() { # until neither log has grown for a second
    local last='' now
    now=$(count inventory 1)/$(count payment 1)
    while [ "$now" != "$last" ]; do
        last=$now
        sleep 1
        now=$(count inventory 1)/$(count payment 1)
    done
}

turn() { # order|conductor
    choose "$1"
    start
    load one 500 --inflight 1
    load many "$sagas" --inflight 1000
    load declined 2000 --inflight 100 --decline 100
    dies
    await 60 "$saga" wait --quiet
    "$saga" check --final >"$work/checked" || {
        cat "$work/checked" >&2
        exit 1
    }
    stop
}

for ((i = 1; i <= turns; i++)); do
    printf 'turn %d of %d\n' "$i" "$turns" >&2
    # Neither always comes first.
    if ((i % 2)); then turn order && turn conductor; else turn conductor && turn order; fi
done

# ---- telling ----------------------------------------------------------------

row() { # WHAT NAME
    awk -v what="$1" -v a="$(of "order.$2")" -v b="$(of "conductor.$2")" 'BEGIN {
        ratio = (a > 0) ? sprintf("%.2f", b / a) : ""
        printf "  %-40s %10.2f %10.2f %7s\n", what, a, b, ratio }'
}
code() { # FILE: lines that are neither empty nor comments alone
    grep -cvE '^ *($|//|/\*|\* |\*/)' "$1"
}
lines() { # WHAT FILE OTHER-FILE
    printf '  %-40s %10d %10d\n' "$1" "$(code "$2")" "$(code "$3")"
}
printf 'medians of %d turns\n  %-40s %10s %10s %7s\n' "$turns" '' \
    choreo conducted ratio
row 'one in flight, median ms' one.median_ms
row 'one in flight, p99 ms' one.p99_ms
row 'sagas/s, 1,000 in flight' many.sagas_per_second
row 'CPU us a saga, 1,000 in flight' many.cpu_us
row 'fsyncs a saga, 1,000 in flight' many.fsyncs
row 'good order alone: messages' one.messages
row 'good order alone: events' one.events
row 'good order alone: fsyncs' one.fsyncs
row 'declined order: messages' declined.messages
row 'declined order: events' declined.events
row 'first dies, of 200 waiting: reserved' dies.reserved
row 'first dies, of 200 waiting: charged' dies.charged
row 'first dies, of 200 waiting: shipped' dies.shipped
row 'all shipped after its restart, ms' dies.back_ms
lines 'lines: who takes orders' order-svc/order.c examples/conductor/conductor.c
lines 'lines: inventory' inventory-svc/inventory.c \
    examples/conductor/inventory.c
lines 'lines: payment' payment-svc/payment.c examples/conductor/payment.c
