#!/usr/bin/env bash
# run.sh - starts the conducted shop, with some goods and money in it.
#
# usage: ./run.sh        builds and starts it; returns when it is up
#        ./run.sh stop   ends it
# The data lies in $SAGA_DIR (./var).  Options of conductor-svc, as
# --order-deadline-ms 500, may follow.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${CONDUCTED_BUILD:-$here/build}/bin
export SAGA_DIR=${SAGA_DIR:-$here/var}

if [ "${1:-}" = stop ]; then
    exec "$bin/orchestra" shutdown --all
fi
[ -n "${CONDUCTED_BUILD:-}" ] || make --silent -C "$here"

umask 077
mkdir -p "$SAGA_DIR/log"
for service in conductor inventory payment; do
    options=()
    [ $service != conductor ] || options=("$@")
    setsid "$bin/$service-svc" ${options[@]+"${options[@]}"} </dev/null \
        >>"$SAGA_DIR/log/$service.log" 2>&1 &
done
for _ in {1..100}; do
    ! "$bin/orchestra" status >/dev/null 2>&1 || break
    sleep 0.1
done
if [ ! -e "$SAGA_DIR/seeded" ]; then
    {
        "$bin/orchestra" product widget 19.90
        "$bin/orchestra" stock widget 100
        "$bin/orchestra" fund alice 1000.00
        "$bin/orchestra" fund bob 20.00
    } >/dev/null
    : >"$SAGA_DIR/seeded"
fi
"$bin/orchestra" status
