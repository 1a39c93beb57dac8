#!/bin/bash -p
# demo.sh - `./run.sh demo`: the system's story, told and checked on the real
# processes: four orders with four ends, then a kill -9 under load.
#
# It looks at everything from outside, with the `saga` command and its exit
# codes, and ends with 0 only if all that it says was true.  Options are those
# of run.sh; without SAGA_DIR it works in a directory of its own and removes it.
set -euo pipefail

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"
build=${SAGA_BUILD:-$root/build}
[[ $build == /* ]] || build=$PWD/$build
saga=$build/bin/saga
burst=3000

own_dir=
if [ -z "${SAGA_DIR:-}" ] || [ -n "$(ls -A -- "$SAGA_DIR" 2>/dev/null)" ]; then
    own_dir=$(mktemp -d "${TMPDIR:-/tmp}/saga-demo.XXXXXX")
    if [ -n "${SAGA_DIR:-}" ]; then
        # What runs there has the addresses, too.
        as_shown "$SAGA_DIR"
        echo "demo: $REPLY is not empty and is left alone; this is $own_dir"
        unset SAGA_BUS
    fi
    export SAGA_DIR=$own_dir
fi

# ---- telling and checking ---------------------------------------------------

say() {
    echo
    fold -s -w 78 <<<"$*" | sed 's/ *$//'
}

# Shows a command as one would type it, and runs it.
show() {
    printf '\n$ ./saga %s\n' "$*"
    "$saga" "$@"
}

broken() {
    printf '\ndemo: %s\n' "$*" >&2
    exit 1
}

# CODE COMMAND...: shows and runs it, and insists on its exit code.
expect() {
    local wanted=$1 code=0
    shift
    show "$@" || code=$?
    [ $code -eq "$wanted" ] ||
        broken "'saga $*' ended with $code where $wanted was expected"
}

# ORDER EVENT...: these events, and in the trace of that order.
happened() {
    local event trace order=$1
    shift
    trace=$("$saga" trace "$order" --json)
    for event; do
        grep -q "\"$event\"" <<<"$trace" ||
            broken "the trace of $order does not show $event"
    done
}

# SECONDS COMMAND...: waits until it succeeds, without a word.
wait_for() {
    within "$@" >/dev/null 2>&1 || broken "waited in vain for: ${*:2}"
}

count_orders() { # STATUS: how many, of the newest thousand
    "$saga" ls --status "$1" --limit 1000 --json |
        { grep -o '"order": *"' || true; } | wc -l
}

reserved() { "$saga" trace "$1" --json | grep -q '"StockReserved"'; }
# Sets $waiting to an order that has not ended, once the view has one.
found_waiting() {
    waiting=$("$saga" ls --status PENDING --json |
        sed -n 's/^[^[]*\[{"order": *"\([^"]*\)".*/\1/p')
    [ -n "$waiting" ]
}

is_down() { ! "$saga" pids "$1"; }

finish() {
    local code=$?
    trap '' INT TERM HUP EXIT
    "$root/run.sh" stop >/dev/null 2>&1
    if [ $code -ne 0 ]; then
        echo "demo: FAILED; data and logs are in $SAGA_DIR" >&2
    elif [ -n "$own_dir" ]; then
        rm -rf "$own_dir"
    fi
    exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# ---- the story --------------------------------------------------------------

"$root/run.sh" -d --no-hints "$@"

say "1. An order that succeeds. alice buys two widgets: order-svc places the" \
    "order, inventory-svc reserves, payment-svc charges, order-svc confirms," \
    "inventory-svc ships. Nobody conducts: each acts on the others' events."
expect 0 place widget:2 --customer alice --id o-confirmed
happened o-confirmed StockReserved PaymentCharged OrderConfirmed StockShipped

say "2. An order that is turned back. bob has 20.00 and orders for 98.00." \
    "payment-svc declines, and what inventory-svc had reserved is released."
expect 1 place gadget:2 --customer bob --id o-declined
happened o-declined StockReserved PaymentDeclined StockReleased OrderCancelled

say "3. An order for more than there is: inventory-svc rejects it, and nobody" \
    "is asked for money."
expect 1 place gizmo:500 --customer alice --id o-rejected
happened o-rejected StockRejected OrderCancelled

say "4. An order that is cancelled while it runs. payment-svc is paused" \
    "(SIGSTOP), so that the order waits on its rung when alice changes her mind."
show signal payment STOP
expect 0 place widget:1 --customer alice --id o-cancelled --no-wait
wait_for 10 reserved o-cancelled
expect 0 cancel o-cancelled
say "It is not cancelled yet: stock is reserved, and only payment-svc can say" \
    "that no money will be taken. payment-svc wakes up (SIGCONT):"
show signal payment CONT
expect 0 wait --quiet
expect 0 trace o-cancelled
happened o-cancelled OrderCancelling StockReleased OrderCancelled

say "5. A crash under load: $burst more orders. As payment-svc has written its" \
    "1000th charge, and not yet committed it, it dies of a kill -9."
expect 0 stock widget $burst --id demo-stock
expect 0 fund alice 100000.00 --id demo-fund
expect 0 fault set payment crash/after-append --after 1000
"$saga" place widget:1 --customer alice --count $burst --no-wait >/dev/null ||
    broken 'not every order of the burst was recorded'
wait_for 60 is_down payment
wait_for 30 found_waiting
say "All $burst orders are recorded, and more than half of them wait. One of them:"
show why "$waiting" || true

say "payment-svc starts again, reads its own log, and asks the others for what" \
    "it has missed:"
printf '\n$ ./run.sh restart payment\n'
"$root/run.sh" restart payment
expect 0 wait --quiet
expect 0 show "$waiting"
still=$(($(count_orders PENDING) + $(count_orders CANCELLING)))
[ $still -eq 0 ] || broken "$still orders have not ended"

say "6. Was anything lost, or done twice? The invariants, over all three logs:"
expect 0 check --final

say "Every order has ended, and the books balance."
