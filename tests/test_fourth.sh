#!/usr/bin/env bash
# A fourth service, which neither ./saga nor run.sh was built with: every verb
# sees it, running or not, from what it says about itself.
# tests/fourth/shipping.c is that service.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

fourth=$SAGA_BUILD/tests/fourth/shipping-svc
reader=$SAGA_BUILD/tests/fourth/order-svc
next=$SAGA_BUILD/tests/next/bin

start_shipping() {
    "$fourth" --faults </dev/null >>"$SAGA_DIR/shipping.log" 2>&1 &
    pids[shipping]=$!
    until_it_runs $!
    within 30 up_alone shipping
}
up_alone() { "$saga" status "$1" >/dev/null 2>&1; }
start_four() {
    start_all
    start_shipping
    seed
}
sent() { has_event shipping ParcelSent "$1"; }
place_and_send() { # ORDER
    asked 0 place widget:1 --id "$1"
    within 30 sent "$1"
    asked 0 wait --quiet --timeout 30
}

# ---- every verb -------------------------------------------------------------

is_seen() {
    start_four
    place_and_send o-1
    asked 0 status
    shows "$said" '^  shipping +[0-9]+ +1 event +up to date +order, inventory$'
    asked_json 0 status
    has services.shipping.service shipping
    asked 0 status shipping
    asked 0 log shipping
    shows "$said" ' o-1 +ParcelSent +reason by mail +<- OrderConfirmed \(order #[0-9]+\)$'
    asked 0 log --all
    shows "$said" ' shipping +ParcelSent +reason by mail +<- OrderConfirmed$'
    asked 0 trace o-1
    shows "$said" '^   #    \+ms  order +inventory +payment +shipping +because$'
    shows "$said" '  ParcelSent +[0-9]+$'
    shows_no "$said" 'cannot be read'
    asked_json 0 trace o-1
    has events.5.n 6
    has ended true
    asked 0 trace o-1 --mermaid
    shows "$said" 'order->>shipping: OrderConfirmed'
    asked 1 place gadget:2 --customer bob --id o-poor
    shows_no "$said" shipping # it has no part in that
    asked 0 flow
    shows "$said" '^ +shipping +ParcelSent$'
    shows "$said" '^ParcelSent +shipping +nobody$'
    shows "$said" '^ +shipping +nothing$'
    asked 0 flow --mermaid
    shows "$said" 'OrderConfirmed --> ParcelSent'
    asked_json 0 flow
    has 3.service shipping
    has 3.rules.0.may_emit.0 ParcelSent
    asked 0 verify
    shows "$said" '8 cursors of other services agree'
    asked 0 verify shipping
    asked 64 status bakery
    shows "$said" 'no service bakery: the services are order, inventory, payment and shipping$'
}

has_faults() {
    start_four
    asked 0 fault ls
    shows "$said" '^shipping/lose +a parcel is not sent +- +- +- +off$'
    asked 0 fault set shipping shipping/lose
    asked 0 fault ls shipping
    shows "$said" '^shipping/lose .* ON$'
    asked 0 place widget:1 --id o-lost
    asked 0 wait --quiet --timeout 30
    if sent o-lost; then return 1; fi
    asked 0 trace o-lost
    shows "$said" '^  shipping ignored event 4, OrderConfirmed\.$'
    asked 0 fault clear --all
    shows "$said" '^shipping: every fault is off$'
    asked 66 fault set shipping shipping/loose
    shows "$said" 'did you mean shipping/lose'
}

is_waited_for() {
    start_four
    place_and_send o-1
    kill -STOP "${pids[shipping]}"
    asked 0 place widget:1 --id o-2
    asked 75 wait --quiet --timeout 2
    shows "$said" 'shipping-svc does not answer'
    asked 75 status
    kill -CONT "${pids[shipping]}"
    within 30 sent o-2
    asked 0 wait --quiet --timeout 30
    end shipping
    asked 69 status
    shows "$said" '^  shipping +- +down '
    asked 75 wait --quiet --timeout 1
    shows "$said" 'shipping-svc is down'
    asked 0 place widget:1 --id o-3 # nobody needs it
    asked 0 trace o-3
    shows "$said" '^  shipping has not handled event 4, OrderConfirmed, yet: ParcelSent '
    asked_json 0 trace o-3
    has ended true
}

is_parked_and_redriven() {
    start_four
    end inventory TERM
    "$next/inventory-svc" </dev/null >>"$SAGA_DIR/inventory.log" 2>&1 &
    pids[inventory]=$!
    until_it_runs $!
    all_up
    asked 0 place widget:1 --id p-1 --no-wait
    within 30 is_parked
    asked 0 parked
    shows "$said" '^shipping +inventory #[0-9]+  p-1  StockReserved version 2'
    asked 1 redrive shipping
    shows "$said" '^shipping: 0 handled, 1 still parked$'
    end shipping TERM
    asked 0 parked shipping # from its file
    shows "$said" '^shipping +inventory #[0-9]+  p-1  StockReserved version 2'
}
is_parked() {
    [ "$(sqlite3 "$SAGA_DIR/shipping/log.db" \
        'SELECT count(*) FROM parked' 2>/dev/null)" = 1 ]
}

is_down() {
    start_four
    place_and_send o-1
    asked 0 shutdown shipping
    shows "$said" '^shipping-svc has stopped$'
    ends shipping
    same 0 "$ended"
    asked 0 log shipping
    shows "$said" ' o-1 +ParcelSent .* <- OrderConfirmed '
    shows "$said" 'its log was read from its file'
    asked 0 trace o-1
    shows "$said" '  ParcelSent +[0-9]+$'
    asked 0 flow # from the file that it left
    shows "$said" '^ParcelSent +shipping +nobody$'
    asked_json 0 shutdown --all
    has shipping 'was down'
    has payment ended
    asked 0 verify
}

is_backed_up() {
    start_four
    place_and_send o-1
    asked_json 0 backup "$SAGA_DIR/copy"
    has logs.shipping.head 1
    end_all TERM
    export SAGA_DIR=$SAGA_DIR/copy
    asked 0 log shipping
    shows "$said" ' o-1 +ParcelSent '
    asked 0 verify
    asked 0 flow
    shows "$said" '^ParcelSent +shipping +nobody$'
    local s
    for s in "${services[@]}"; do start "$s"; done
    start_shipping
    all_up
    place_and_send o-2
}

# ---- a log that was restored --------------------------------------------------

# A shop whose order-svc follows shipping, which follows order.
start_followed() {
    "$reader" --faults --order-deadline-ms 600000 </dev/null \
        >>"$SAGA_DIR/order.log" 2>&1 &
    pids[order]=$!
    until_it_runs $!
    start inventory
    start payment
    start_shipping
    all_up
}
says_status() { "$saga" status 2>&1 | grep -q -- "$1"; }

# HC11, as test_trouble has it for payment.
is_restored() {
    start_followed
    seed
    place_and_send o-kept
    asked 0 backup "$SAGA_DIR/old"
    place_and_send o-lost
    end_all TERM
    rm -f "$SAGA_DIR"/shipping/*
    cp "$SAGA_DIR/old/shipping/log.db" "$SAGA_DIR/shipping/log.db"
    start_followed
    within 30 says_status 'order has stopped reading shipping: diverged'
    within 30 says_status 'shipping: behind its readers'
    asked 0 status
    shows "$said" '\(SAGA_DIR=[^ ]+ [^ ]+ accept order shipping\)$'
    # It has forgotten that it sent this parcel, and must not send it again.
    same 1 "$(sqlite3 "$SAGA_DIR/shipping/log.db" 'SELECT count(*) FROM event')"
    asked_json 1 verify
    has edited.0.witness order
    asked 1 verify
    shows "$said" "if shipping's log was restored: .* accept order shipping$"
    asked 0 accept order shipping
    shows "$said" "^order continues after #1 of shipping's log; it had consumed"
    within 30 sent o-lost
    asked 0 wait --quiet --timeout 30
    place_and_send o-new
    asked 0 verify
}

# ---- a file is a stranger's -------------------------------------------------

flow_leaves_out() { # WHY
    asked 0 flow
    shows_no "$said" '^ParcelSent '
    shows "$said" "saga: shipping-svc is left out: .*$1"
}

hostile() {
    start_four
    end shipping
    local file=$SAGA_DIR/shipping/service.json
    cp "$file" "$work/good.json"
    asked 0 flow
    shows "$said" '^ParcelSent +shipping +nobody$'
    echo 'one of another log'
    sed 's/"log": "......../"log": "00000000/' "$work/good.json" >"$file"
    flow_leaves_out 'does not describe the log beside it'
    echo 'one of another service'
    cp "$SAGA_DIR/order/service.json" "$file"
    flow_leaves_out 'another service'
    echo 'no JSON, too much of it, none at all, a pipe, a link'
    echo 'ParcelSent' >"$file"
    flow_leaves_out 'not JSON'
    { cat "$work/good.json" && head -c 100000 /dev/zero | tr '\0' ' '; } >"$file"
    flow_leaves_out 'too long'
    : >"$file"
    flow_leaves_out 'not JSON'
    rm "$file"
    flow_leaves_out 'No such file'
    mkfifo "$file"
    flow_leaves_out 'not a file'
    rm "$file"
    ln -s "$work/good.json" "$file"
    flow_leaves_out 'symbolic links'
    rm "$file"
    echo 'with a program to run, or what moves the cursor'
    sed '2s/^/"program": "\/bin\/sh",/' "$work/good.json" >"$file"
    flow_leaves_out 'members'
    sed 's/"ParcelSent"/"Parcel\\u001b[2J"/' "$work/good.json" >"$file"
    flow_leaves_out 'malformed'
    asked 0 log shipping # which needs no description

    echo 'what a process answers counts more than its file'
    start_shipping
    echo '{}' >"$file"
    asked 0 flow
    shows "$said" '^ParcelSent +shipping +nobody$'
    echo 'and the next start writes the file anew'
    end shipping
    start_shipping
    end shipping
    cmp "$file" "$work/good.json"
}

what_is_no_service() {
    start_all
    mkdir "$SAGA_DIR/empty" "$SAGA_DIR/a name" "$SAGA_DIR/a-name-of-16-chr"
    : >"$SAGA_DIR/a name/log.db"
    : >"$SAGA_DIR/a-name-of-16-chr/log.db"
    ln -s order "$SAGA_DIR/alias"
    asked_json 0 status
    has 'services.#' 3
    end_all TERM
}

# ---- run.sh -----------------------------------------------------------------

run() { "$root/run.sh" "$@"; }
said_by_run() { # CODE WORDS...
    said=$(ends_with "$1" "$root/run.sh" "${@:2}" 2>&1) || {
        echo "$said"
        return 1
    }
}
# Another link to the same program: it is not where run.sh builds.
start_elsewhere() {
    mkdir -p "$work/else where"
    cp -u "$fourth" "$work/else where/shipping-svc"
    (cd "$SAGA_DIR" && exec "$work/else where/shipping-svc" --dir . --verbose \
        </dev/null >>shipping.log 2>&1) &
    others+=($!)
    within 30 up_alone shipping
}
in_run() { # NAME COMMAND...
    new_shop "$1"
    trap 'run stop >/dev/null 2>&1; end_processes' EXIT
    "${@:2}"
}
pid_of() { "$saga" pids shipping; }

run_sh() {
    run -d --no-hints >/dev/null
    said_by_run 64 restart shipping
    shows "$said" 'restart takes a service'
    start_elsewhere
    said_by_run 0 status
    shows "$said" '^  shipping +[0-9]+ +0 events +up to date'
    local first
    first=$(pid_of)
    said_by_run 0 restart shipping
    shows "$said" '^shipping-svc is up \(pid [0-9]+\)\.$'
    [ "$(pid_of)" != "$first" ]
    tr '\0' ' ' <"/proc/$(pid_of)/cmdline" >&2
    tr '\0' ' ' <"/proc/$(pid_of)/cmdline" | grep -q -- '--verbose'
    place_and_send o-1
    echo 'one that was killed is started by what run.sh has seen'
    "$saga" signal shipping KILL
    said_by_run 69 status
    shows "$said" '^  shipping +- +down'
    said_by_run 0 restart shipping
    place_and_send o-2
    said_by_run 0 stop
    shows "$said" '^Stopped\.'
    same '' "$("$saga" pids)"
    echo 'a start goes on without it'
    run -d --no-hints >/dev/null
    said_by_run 69 status
    said_by_run 0 restart shipping
    place_and_send o-3
}

never_a_backups() {
    run -d --no-hints >/dev/null
    start_elsewhere
    said_by_run 0 restart shipping
    asked 0 backup "$work/copied"
    said_by_run 0 stop
    cp -a "$SAGA_DIR" "$work/copied-whole"
    local copy
    for copy in "$work/copied" "$work/copied-whole"; do
        export SAGA_DIR=$copy
        run -d --no-hints >/dev/null
        said_by_run 66 restart shipping
        shows "$said" 'has never seen shipping-svc run in '
        said_by_run 0 stop
    done
}

it 'a fourth service is seen by every verb' in_shop seen is_seen
it 'its faults are listed, set and cleared' in_shop faults has_faults
it 'status and wait see that it hangs, or is down' in_shop waited is_waited_for
it 'what it has parked is listed and redriven' \
    in_shop parked is_parked_and_redriven
it 'when it is down its files tell' in_shop down is_down
it 'a backup has its log and what it says about itself' \
    in_shop backup is_backed_up
it 'after a restored backup it learns that its reader is ahead' \
    in_shop restored is_restored
it 'a description from a file is a stranger'\''s' in_shop hostile hostile
it 'what is no directory of a service is no service' \
    in_shop none what_is_no_service
it 'run.sh stops and restarts it, by what it has seen run' in_run run run_sh
it 'a program comes from what run.sh has seen, never from a backup' \
    in_run copies never_a_backups
