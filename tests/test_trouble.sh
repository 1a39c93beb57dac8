#!/usr/bin/env bash
# The output of `saga` in trouble: services that are down, stopped or diverged,
# events that no service can read, orders that wait; and the six ends of a saga.
# test_cli.sh tests the verbs on a healthy shop, test_survives.sh what the
# processes survive.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

# ---- when services are down -------------------------------------------------

down() {
    start_all
    seed
    asked 0 place widget:2 --id o-text
    asked 1 place gadget:2 --customer bob --id o-poor
    asked 0 shutdown payment
    shows "$said" '^payment-svc has stopped$'
    ends payment
    same 0 "$ended"
    echo 'one is down'
    asked 69 status
    shows "$said" '^  payment +- +down  \(start it: '"SAGA_DIR=$SAGA_DIR"' \./run\.sh restart payment\)$'
    asked_json 69 status
    has services.payment null
    has running false
    asked 69 fund alice 1
    shows "$said" "^saga: payment-svc is not running; start it with 'SAGA_DIR=$SAGA_DIR \./run\.sh restart payment'$"
    asked_json 69 fund alice 1
    has code 69
    asked 0 show customer:alice
    shows "$said" "^  From [a-z]*'s log file, since"
    asked 0 fault clear --all
    shows "$said" '^payment: not running'
    asked 75 wait --quiet --timeout 1
    shows "$said" 'payment-svc is down'
    asked 69 shutdown payment

    echo 'all are down'
    asked_json 0 shutdown --all
    has order ended
    has payment 'was down'
    ends order
    ends inventory
    asked 69 status
    shows "$said" '^  order +- +down  \(start it: '"SAGA_DIR=$SAGA_DIR"' \./run\.sh\)$'
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        asked 69 $words
        shows "$said" "^saga: [a-z]+-svc is not running; start it with 'SAGA_DIR=$SAGA_DIR \./run\.sh'$"
        # shellcheck disable=SC2086
        asked_json 69 $words
        has code 69
    done <<'END'
place widget:1
cancel o-text
stock widget 1
fund alice 1
product widget 1
ls
fault set order handler/slow
redrive order
accept order payment
rebuild order
shutdown order
bench --sagas 1
END
    asked 69 fault ls
    asked 0 shutdown --all
    shows "$said" '^order-svc was not running$'
}
hints() {
    mkdir -p "$work/plain/var" "$work/plain/it's here" "$work/plain/build/bin"
    cd "$work/plain" || return 1
    # Of the repository around it, which is this one now.
    install "$root/run.sh" .
    install "$saga" build/bin
    local saga=build/bin/saga
    echo 'the directory that run.sh takes by itself is not named'
    unset SAGA_DIR
    asked 69 status
    shows "$said" '  order +- +down  \(start it: \./run\.sh\)$'
    asked 69 status --dir "$work/plain/var/"
    shows "$said" 'down  \(start it: \./run\.sh\)$'
    asked 66 log order
    shows "$said" "^saga: no shop in $work/plain/var \(looked there because SAGA_DIR is not set\); start one with '\./run\.sh'$"
    echo 'any other is, so that a shell can read it'
    asked 69 status --dir "it's here"
    shows "$said" "down  \(start it: SAGA_DIR='it'\\\\''s here' \./run\.sh\)$"
    asked 69 fund alice 1 --dir /no/such/place
    shows "$said" "start one with 'SAGA_DIR=/no/such/place \./run\.sh'$"
    asked 66 log order --dir /no/such/place
    shows "$said" "^saga: no shop in /no/such/place; start one with 'SAGA_DIR=/no/such/place \./run\.sh'$"
    SAGA_DIR=/no/such/place asked 69 bench --sagas 1
    shows "$said" "start one with 'SAGA_DIR=/no/such/place \./run\.sh'$"
}
# From another directory, about a shop that is not the usual one: what a hint
# says works as it is, and is about the same shop.
hints_work() {
    local code words hint far=$work/far dir=$SAGA_DIR
    mkdir -p "$far/build/bin" "$far/docs"
    install "$root/run.sh" "$far"
    cp "$saga" "$far/build/bin"
    ln -s build/bin/saga "$far/saga"
    start_all
    seed
    asked 0 place widget:1 --id o-1
    asked 0 stock widget 1 --id s-1
    cd "$far/docs" || return 1
    unset SAGA_DIR
    while read -r code words; do
        # shellcheck disable=SC2086 # words of one line
        said=$(ends_with "$code" ../saga --dir "$dir" $words 2>&1) || {
            echo "$said"
            return 1
        }
        hint=$(grep -oE "(SAGA_DIR=$dir |'|  )$far/saga [^')]*" <<<"$said" |
            head -n 1) || {
            echo "no hint: $words: $said"
            return 1
        }
        [[ $hint == *--help ]] || shows "$hint" "^SAGA_DIR=$dir "
        said=$(cd "$far/docs" && ends_with 0 bash -c "${hint#"'"}" 2>&1) || {
            echo "$words: $hint: $said"
            return 1
        }
    done <<'END'
66 cancel o-none
1 cancel o-1
66 show o-none
66 wait o-none
66 show bob
66 show sku:none
66 show customer:none
1 place none:1
1 stock widget 2 --id s-1
1 place widget:9 --id o-1
64 wait
64 nonsense
64 wait --timeout
64 fault nonsense
66 fault set order nonsense
66 redrive --seq 9
1 accept order payment
0 show o-1
END
    said=$(../saga help place)
    shows "$said" "^  $far/saga place widget:2"
    shows "$(../saga help)" "^'$far/saga help VERB' shows more"
}
from_files() {
    export SAGA_DIR=$work/down
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        asked 0 $words
        # shellcheck disable=SC2086
        asked_json 0 $words
    done <<'END'
show o-text
show o-text --at inventory:4
show sku:widget
show customer:alice
trace o-poor
why o-poor
log order
log --all
parked
verify
check
END
    asked 0 trace o-text
    shows "$said" 'OrderConfirmed'
    asked_json 0 show customer:alice
    has balance_cents 96020
    has 'from_files.0' payment
    asked 0 log order --limit 1
    shows "$said" '^saga: order-svc is not running; its log was read from its file$'
    asked 66 trace o-untraced
}
nowhere() {
    export SAGA_DIR=$work/nowhere
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        asked 66 $words
        shows "$said" "no shop in $SAGA_DIR; start one with '"
    done <<'END'
show o-1
show sku:widget
trace o-1
why o-1
log order
check
verify
parked
backup /nowhere-else
END
    asked 69 status
    asked 69 place widget:1
    [ ! -e "$SAGA_DIR" ]
}

rebuild_waits() {
    start_all
    seed
    asked 0 place widget:1
    asked 0 wait --quiet
    end inventory
    echo 'two ask, and are told within seconds whom that waits for'
    for n in 1 2; do
        "$saga" rebuild order >"$work/rebuilt-$n" 2>&1 &
        others+=($!)
    done
    for n in 1 2; do
        within 20 grep -qF "inventory-svc is not running; start it with 'SAGA_DIR=$SAGA_DIR ./run.sh restart inventory'" \
            "$work/rebuilt-$n"
        shows "$(cat "$work/rebuilt-$n")" '^saga: order view: still rebuilding, at [0-9]+ events: '
    done
    asked 0 ls # the old one serves
    start inventory
    for pid in "${others[@]}"; do ends_with 0 wait "$pid"; done
    for n in 1 2; do
        shows "$(cat "$work/rebuilt-$n")" '^order view: generation 2 serves'
    done
}

# ---- the six ends -----------------------------------------------------------

six_ends() {
    start_all
    seed
    asked 0 place widget:1 --id shipped
    asked 1 place gizmo:500 --id rejected
    asked 1 place gadget:2 --customer bob --id declined

    echo 'voided: cancelled before it was reserved'
    kill -STOP "${pids[inventory]}"
    asked 0 place widget:1 --id voided --no-wait
    asked 0 cancel voided --reason 'changed my mind'
    within 30 has_event payment PaymentVoided voided
    kill -CONT "${pids[inventory]}"
    asked 0 wait voided

    echo 'refunded: charged, but payment dies before it can say so'
    asked 0 fault set payment crash/before-publish
    asked 0 place widget:1 --id refunded --no-wait
    ends payment
    asked 0 cancel refunded
    asked 0 cancel refunded # HC34: twice is once
    within 30 has_event order OrderCancelling refunded
    start payment
    asked 0 wait refunded

    echo 'rejected and voided: inventory dies before it can say so'
    asked 0 fault set inventory crash/before-publish
    asked 0 place gizmo:500 --id both --no-wait
    ends inventory
    asked 0 cancel both
    within 30 has_event payment PaymentVoided both
    start inventory
    asked 0 wait both

    # The order view is told of an end by order, of the payment by payment.
    asked 0 wait --quiet
    ends_as shipped CONFIRMED SHIPPED CHARGED 5
    ends_as rejected CANCELLED REJECTED NONE 3
    ends_as declined CANCELLED RELEASED DECLINED 5
    ends_as refunded CANCELLED RELEASED REFUNDED 7
    asked 0 trace refunded
    shows "$said" 'PaymentRefunded ↺ 3'
    shows "$said" 'StockReleased ↺ 2'
    shows "$said" 'OrderCancelled ↺ 1'
    asked 0 trace voided
    shows "$said" '^voided · alice · 1 widget · 19.90 · CANCELLED: changed my mind'
    shows "$said" 'PaymentVoided'
    ends_as both CANCELLED REJECTED VOIDED 5
    # Inventory hears of the order or of its end first: 5 events, or 6.
    asked_json 0 show voided
    has status CANCELLED
    has stock RELEASED
    has payment VOIDED

    asked 1 cancel shipped
    shows "$said" 'confirmed|too late'
    asked_json 0 cancel voided # ended already: nothing to do
    asked 66 cancel nobody-knows
    all_is_well
}
ends_as() { # ORDER STATUS STOCK PAYMENT EVENTS
    asked_json 0 show "$1"
    has status "$2"
    has stock "$3"
    has payment "$4"
    asked_json 0 trace "$1"
    has status "$2"
    has ended true
    has 'events.#' "$5"
    asked 0 trace "$1" --mermaid
    same 'sequenceDiagram' "$(head -n 1 <<<"$said")"
}

# ---- what an order waits for ------------------------------------------------

whys() {
    start_all --order-deadline-ms 600000
    seed
    echo 'payment is stopped'
    kill -STOP "${pids[payment]}"
    asked 0 place widget:1 --id w-1 --no-wait
    within 30 has_event inventory StockReserved w-1
    asked 0 why w-1
    shows "$said" "^w-1 has been PENDING for [0-9.]+ s\. It has waited [0-9.]+ s for payment's answer to StockReserved \(inventory #[0-9]+\):$"
    shows "$said" '^PaymentCharged or PaymentDeclined\.$'
    shows "$said" '^payment-svc is running but does not answer.* Wake or restart it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh restart payment$'
    shows "$said" '^At 600\.0 s \(in [0-9.]+ s\) order-svc gives up and cancels it\.$'
    asked_json 0 why w-1
    has waits.0.service payment
    has waits.0.state 'does not answer'
    [ "$(field deadline_ms)" -gt "$(field begun_ms)" ]
    asked 75 status
    shows "$said" "^  payment +${pids[payment]} +is running but does not answer  \(paused\? SAGA_DIR=[^ ]+ \./saga signal payment CONT wakes it\)$"
    asked 75 place widget:1 --timeout 1 # and says why
    shows "$said" "It has waited [0-9.]+ s for payment's answer"
    begun=$SECONDS
    asked 75 fund alice 1
    shows "$said" '^saga: payment-svc \(pid [0-9]+\) is running but does not answer.*; (c-[0-9a-z]+) may be recorded: to repeat it safely, use --id \1$'
    [ $((SECONDS - begun)) -lt 40 ]
    asked 0 log payment
    shows "$said" '^saga: payment-svc does not answer; its log was read from its file$'
    asked 75 shutdown payment

    echo 'and cancelled: one owner, told once'
    asked 0 cancel w-1
    asked 0 why w-1
    shows "$said" '^w-1 has been CANCELLING'
    shows "$said" "payment's answer to OrderCancelling"
    same 1 "$(grep -c 'payment-svc is running but' <<<"$said")"

    echo 'payment is down'
    end payment KILL
    asked 0 why w-1
    shows "$said" '^payment-svc is down, .*Start it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh restart payment$'
    asked_json 0 why w-1
    has waits.0.state down
    has status CANCELLING

    echo 'its database is locked'
    start payment
    all_up
    asked 0 wait w-1
    lock_database payment
    asked 0 place widget:1 --id w-2 --no-wait
    within 30 why_says w-2 '^payment-svc is running, but reports: database locked'
    asked_json 0 why w-2
    has waits.0.state 'database locked'
    asked 0 status
    shows "$said" '^  ! payment: database locked$'
    unlock_database
    asked 0 wait w-2
    asked 0 wait w-1
    all_is_well
}
decisions() {
    start_all --verbose
    seed
    asked 0 place widget:1 --id v-1
    asked 1 cancel v-1
    asked 0 wait --quiet
    within 10 decided order 'PlaceOrder: OrderPlaced'
    decided order 'PaymentCharged: OrderConfirmed'
    decided order 'CancelOrder: too late: the order is confirmed'
    decided payment 'StockReserved: PaymentCharged'
}
decided() { # SERVICE TEXT
    grep -q '"level":"debug".*"message":"'"$2"'","order":"v-1"' \
        "$SAGA_DIR/$1.log"
}
no_answer_is_not_a_no() {
    local id
    start_all
    seed
    echo 'it dies behind its commit'
    asked 0 wait --quiet # or it would die of another one
    asked 0 fault set payment crash/after-commit --times 1
    asked 69 fund alice 5
    shows "$said" '; (c-[0-9a-z]+) may be recorded: to repeat it safely, use --id \1$'
    id=${said##* --id }
    id=${id%% *}
    ends payment
    start payment
    all_up
    asked 0 fund alice 5 --id "$id"
    asked 0 log payment
    same 1 "$(grep -c 'FundsDeposited  *alice 5\.00' <<<"$said")"

    echo 'nor does one that is frozen answer about several'
    kill -STOP "${pids[order]}"
    asked 75 place widget:1 --count 3 --id n --timeout 1 --no-wait
    shows "$said" '; n-1 to n-3 may be recorded: '
    kill -CONT "${pids[order]}"
    asked 0 place widget:1 --count 3 --id n --no-wait
    asked 0 wait --quiet
    asked_json 0 ls
    has 'orders.#' 3
    all_is_well
}
why_all_down() {
    start_all --order-deadline-ms 600000
    seed
    asked 0 wait --quiet
    end payment
    asked 0 place widget:1 --id w-3 --no-wait
    within 30 has_event inventory StockReserved w-3
    within 30 reads_order inventory

    echo 'who comes later is missing, too, and nobody keeps time'
    end order
    asked 0 why w-3
    shows "$said" '^payment-svc is down, .* Start it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh restart payment$'
    shows "$said" '^It also needs order-svc, which is down.*\. Start it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh restart order$'
    shows_no "$said" 'inventory-svc'
    shows "$said" '^Its deadline passes at 600\.0 s \(in [0-9.]+ s\): order-svc cancels it then, or as soon as it runs\.$'
    asked_json 0 why w-3
    has waits.0.service payment
    same order "$(field 'missing.*.service')"
    has missing.0.state down

    echo 'one that runs waits for one that does not'
    start payment
    within 30 has_event payment PaymentCharged w-3
    asked 0 why w-3
    shows "$said" '^order-svc is down.* Start it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh restart order$'

    echo 'all are down: one command starts them'
    end_all
    asked 0 why w-3
    shows "$said" '^order-svc is down\. Start it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh$'
    shows "$said" '^It also needs inventory-svc, which is down\. Start it:  '"SAGA_DIR=$SAGA_DIR"' \./run\.sh$'
    shows_no "$said" 'restart'
    start_all
    asked 0 wait w-3
    all_is_well
}
# It has come to the end of order's log: to what it does itself, that is.
reads_order() {
    [ "$("$saga" status --json | "$tools/json" "services.$1.feeds.0.seq")" -eq \
        "$("$saga" status --json | "$tools/json" services.order.log.head)" ]
}
why_says() { "$saga" why "$1" | grep -q -- "$2"; }
# Paid, and on its way: its own moment counts, and whoever is away is named.
paid_only() {
    start_all --order-deadline-ms 600000
    seed
    kill -STOP "${pids[payment]}"
    asked 0 place widget:1 --id paid --no-wait
    within 30 has_event inventory StockReserved paid
    sleep 1.5 # PENDING for so long
    end inventory TERM
    kill -CONT "${pids[payment]}"
    within 30 has_event order OrderConfirmed paid
    asked 0 why paid
    shows "$said" "^paid has been CONFIRMED for [0-9.]+ s\. It has waited [0-9.]+ s for inventory's answer to OrderConfirmed"
    same "$(grep -oE 'waited [0-9.]+ s' <<<"$said")" \
        "$(sed -nE 's/.*CONFIRMED for ([0-9.]+ s)\..*/waited \1/p' <<<"$said")"
    asked 1 check --final
    shows "$said" 'inventory-svc is down:  SAGA_DIR=.* \./run\.sh restart inventory$'
    # Whom redrive finds away keeps nobody else waiting.
    asked 69 redrive
    shows "$said" '^saga: inventory-svc is not running'
    asked_json 69 redrive
    has order.left 0
    has inventory.code 69
    has payment.left 0
    asked_json 69 redrive inventory
    has code 69
    start inventory
    all_is_well
}

deadline_passes() { # HC31, HC32
    start_all --order-deadline-ms 1000
    seed
    end payment
    asked 0 place widget:1 --id late --no-wait
    within 30 has_event order OrderCancelling late
    asked 0 why late
    shows "$said" '^late has been CANCELLING'
    shows "$said" "payment's answer to OrderCancelling"
    start payment
    asked 0 wait late
    asked_json 0 show late
    has status CANCELLED
    has reason 'timed out'
    all_is_well
}

# ---- parked -----------------------------------------------------------------

# inventory-svc of a next release writes a version 2 of StockReserved, which
# payment-svc of today cannot know.
next=$SAGA_BUILD/tests/next/bin
upgrade() { # SERVICE
    end "$1" TERM
    "$next/$1-svc" </dev/null >>"$SAGA_DIR/$1.log" 2>&1 &
    pids[$1]=$!
    until_it_runs $!
    all_up
}
parked_newer() { # HC20, HC37
    start_all --order-deadline-ms 600000
    seed
    asked 0 place widget:1 --id p-0 # of the old version
    upgrade inventory
    asked 0 place widget:1 --id p-1 --no-wait
    within 30 is_parked
    echo 'everything else goes on'
    asked 1 place widget:1000 --id p-2
    asked 0 fund alice 1
    asked 0 parked
    shows "$said" "^payment +inventory #[0-9]+  p-1  StockReserved version 2: newer than this program$"
    shows "$said" 'SAGA_DIR=[^ ]+ \./saga redrive'
    asked_json 0 parked
    has '#' 1
    has 0.service payment
    has 0.order p-1
    planted=$(field 0.seq)
    asked 0 why p-1
    shows "$said" "^p-1 has been PENDING for .* s\. payment-svc has parked StockReserved \(inventory #$planted\): StockReserved version 2: newer than this program\.$"
    shows "$said" 'SAGA_DIR=[^ ]+ \./saga redrive payment$'
    asked_json 0 why p-1
    has waits.0.state parked
    has waits.0.service payment
    asked 0 trace p-1
    shows "$said" "^  inventory #$planted StockReserved version 2 cannot be read by this program  \(SAGA_DIR=[^ ]+ \./saga log inventory\)$"
    shows_no "$said" ' ignored event '
    asked 0 status
    shows "$said" '! payment has parked 1 event  \(SAGA_DIR=[^ ]+ \./saga parked payment\)'
    asked 1 redrive
    shows "$said" '^payment: 0 handled, 1 still parked$'
    asked_json 1 redrive payment --source inventory --seq "$planted"
    has payment.left 1
    asked 66 redrive payment --source inventory --seq 999
    asked 1 check --final
    shows "$said" 'FAIL +Q2'

    echo 'one that was damaged is kept until it is mended'
    end payment TERM
    asked_json 0 parked # from its file
    has 0.order p-1
    good=$(parked_data)
    "$tools/craft" "$SAGA_DIR/payment/log.db" "$planted" data=c1c1c1
    start payment
    upgrade payment
    asked 1 redrive
    "$next/saga" parked >&2
    end payment TERM
    "$tools/craft" "$SAGA_DIR/payment/log.db" "$planted" data="$good"
    start payment

    echo 'a program that understands it handles it as a late event'
    upgrade payment
    upgrade order
    asked 0 redrive payment
    shows "$said" '^payment: 1 handled, 0 still parked$'
    shows "$said" "inventory #$planted  p-1  "
    asked 0 parked
    shows "$said" '^nothing is parked$'
    ends_with 0 "$next/saga" wait p-1
    said=$("$next/saga" show p-1 --json)
    has status CONFIRMED
    ends_with 0 "$next/saga" place widget:1
    ends_with 0 "$next/saga" wait --quiet
    ends_with 0 "$next/saga" check --final
}
is_parked() { [ "$("$saga" parked --json | "$tools/json" '#')" -gt 0 ]; }
parked_data() {
    "$tools/craft" "$SAGA_DIR/payment/log.db" "$planted"
}

# ---- apart ------------------------------------------------------------------

restored() { # HC11
    start_all --order-deadline-ms 600000
    seed
    asked 0 place widget:1 --id before
    asked 0 wait --quiet
    asked 0 backup "$work/old"
    asked 0 fund dora 100
    asked 0 place widget:1 --customer dora --id damaged --journal "$work/told"
    asked 0 wait --quiet
    end_all TERM
    rm -f "$SAGA_DIR"/payment/*
    cp "$work/old/payment/log.db" "$SAGA_DIR/payment/log.db"
    start_all --order-deadline-ms 600000
    within 30 says_status 'order has stopped reading payment: diverged'
    within 30 says_status 'inventory has stopped reading payment: diverged'
    within 30 says_status 'payment: behind its readers'
    asked 0 status
    shows "$said" '\(SAGA_DIR=[^ ]+ \./saga accept order payment\)$'
    shows "$said" '^  ! payment: behind its readers'
    asked 75 fund dora 1
    shows "$said" "lost events that others consumed.*saga status"
    asked 0 place widget:1 --id waits --no-wait
    within 30 has_event inventory StockReserved waits
    asked 0 why waits
    shows "$said" "^payment-svc has lost events that others consumed, and records nothing"
    shows "$said" 'SAGA_DIR=[^ ]+ \./saga accept order payment'
    shows "$said" 'SAGA_DIR=[^ ]+ \./saga accept inventory payment'
    asked_json 0 why waits
    has waits.0.state 'behind its readers'
    asked 1 check
    shows "$said" 'FAIL +S10'
    shows "$said" 'look:  SAGA_DIR=[^ ]+ \./saga verify$' # not of order, whose log is whole
    for s in order inventory; do
        shows "$said" "if payment's log was restored:  SAGA_DIR=[^ ]+ \./saga accept $s payment$"
    done
    shows_no "$said" 'acknowledge' # accept comes first
    asked 1 acknowledge
    shows "$said" '^saga: S10, .*: this is no loss to give up'
    ends_with 1 test -e "$SAGA_DIR/losses.jsonl"
    asked_json 1 verify
    same 'inventory order' "$(field 'edited.*.witness' | sort | paste -sd ' ')"
    asked 1 verify
    for s in order inventory; do
        shows "$said" "if payment's log was restored:  SAGA_DIR=[^ ]+ \./saga accept $s payment$"
    done
    shows "$said" '^  FAIL +payment #[0-9]+ order has consumed it, but the log does not have it$'

    asked 0 accept order payment
    shows "$said" "^order continues after #[0-9]+ of payment's log; it had consumed"
    asked_json 0 accept inventory payment
    has source payment
    asked 0 wait waits
    asked 0 wait --quiet
    # dora's deposit is lost, so the order that it paid for is not paid.
    asked 1 check --final
    shows "$said" "^If a log was restored, give these losses up:  SAGA_DIR=$SAGA_DIR \./saga acknowledge --reason TEXT$"
    asked_json 1 check --final
    shows "$(field 'violations.*.subject')" '^damaged$'
    shows_no "$(field 'violations.*.subject')" '^before$'
    gives_up_losses
    asked 0 place widget:1
}
# What an operator acknowledges is no longer broken, and is told for ever.
gives_up_losses() {
    asked 1 check
    asked 0 acknowledge --reason 'an old backup'
    shows "$said" '^given up: S[0-9]+, damaged: '
    asked 0 check
    shows "$said" '^  lost +S[0-9]+ +damaged: .*\(given up by .*: an old backup\)$'
    shows "$said" '^all [0-9]+ hold, but for the losses given up$'
    asked_json 0 check --final
    has holds true
    has given_up.0.reason 'an old backup'
    asked 0 acknowledge
    shows "$said" '^Nothing is broken\.$'
}
clock_set_back() {
    start order
    start_by=(faketime -f -1h)
    start inventory
    start payment
    all_up
    seed
    asked 0 place widget:1 --id o-back
    shows "$said" '^o-back · alice · 1 widget · 19.90 · CONFIRMED · 5 events$'
    shows "$said" '^   2      \?  '
    shows "$said" '^  \?  A clock was set back'
    asked 0 show o-back
    shows "$said" 'placed .*, ended, by a clock that was set back, at [0-9-]+ [0-9:]+$'
    shows_no "$said" '-[0-9]{4}'
    asked 0 ls
    shows_no "$said" ' -[0-9]'
    echo 'the clock is set back between two lives'
    end order TERM
    start order
    all_up
    asked 0 place widget:1 --id o-later
    asked 0 log order
    shows_no "$said" ' -[0-9]+\.[0-9]{3}'
    shows "$said" '^ *[0-9]* +\? +o-later +OrderPlaced'
    asked 0 log --all
    shows_no "$said" ' -[0-9]+\.[0-9]{3}'
}
# run.sh has left word that it gave a service up.
given_up_is_told() {
    start_all
    seed
    end payment
    echo 'it cannot open its log' >"$SAGA_DIR/payment/given-up"
    asked 69 status
    shows "$said" "^  payment +- +given up, it died 5 times in 30 s: it cannot open its log  \(start it: SAGA_DIR=$SAGA_DIR \./run\.sh restart payment\)$"
    asked 75 wait --quiet --timeout 1
    shows "$said" "payment-svc was given up after 5 deaths in 30 s \(it cannot open its log\); start it with 'SAGA_DIR=$SAGA_DIR \./run\.sh restart payment'"
    asked_json 69 status
    has given_up.payment.said 'it cannot open its log'
    has given_up.payment.start "SAGA_DIR=$SAGA_DIR ./run.sh restart payment"
    asked 0 place widget:1 --id o-1 --no-wait
    asked 75 wait o-1 --timeout 1
    shows "$said" "o-1 has not ended after 1 s .*; payment-svc was given up .*start it with 'SAGA_DIR=$SAGA_DIR \./run\.sh restart payment'"
    asked_json 75 wait o-1 --timeout 1
    shows "$(field error)" 'payment-svc was given up'
    start payment
    asked_json 0 wait o-1
    asked_json 0 status
    shows "$said" '"given_up": ?\{\}'
}
says_status() { "$saga" status 2>&1 | grep -q -- "$1"; }

# Nobody has to wait until a reader has noticed: here each step of theirs takes
# a while.
accepts_at_once() { # HC11
    local s
    start_all --order-deadline-ms 600000
    seed
    asked 0 wait --quiet
    asked 0 backup "$work/first"
    asked 0 place widget:1
    asked 0 wait --quiet
    end payment TERM
    rm -f "$SAGA_DIR"/payment/*
    cp "$work/first/payment/log.db" "$SAGA_DIR/payment/log.db"
    for s in order inventory; do asked 0 fault set $s handler/slow; done
    start payment
    within 30 controllable payment
    asked 0 accept order payment
    asked 0 accept inventory payment
    shows "$said" "^inventory continues after #[0-9]+ of payment's log"
    asked 0 fault clear --all
    asked 0 wait --quiet
    asked 1 accept order payment
    shows "$said" "has not diverged, nothing to accept"
}
says_that_it_starts() { # SERVICE
    end "$1" TERM
    start "$1"
    within 30 controllable "$1"
    asked 75 status "$1" && shows "$said" "^    $1 is starting: commands wait\$"
}
controllable() { "$saga" fault ls "$1" >/dev/null 2>&1; }

# What hears nobody does not know for half a second whether its log is whole:
# here, by a slow clock, for five, so that there is time to ask.
at_once_after_a_start() {
    start_all
    seed
    kill -STOP "${pids[order]}" "${pids[inventory]}"
    end payment TERM
    # Not by faketime itself, which is another process than what it starts.
    start_by=(env "LD_PRELOAD=$(faketime -f +0 printenv LD_PRELOAD)"
        FAKETIME='+0 x0.1')
    start payment
    within 30 controllable payment
    asked 0 redrive payment
    shows "$said" '^nothing is parked$'
    # A machine may yet take those seconds from us: then once more.
    within 60 says_that_it_starts payment
    within 30 "$saga" status payment >/dev/null
}

# A view is later than its log: here it cannot be written until we have asked.
shows_what_was_answered() { # HC46
    local asking
    start_all
    seed
    lock_database payment view
    asked 0 fund carol 7.00
    "$saga" show customer:carol >"$SAGA_DIR/shown" 2>&1 &
    asking=$!
    within 30 waits_for_the_view payment
    unlock_database
    ends_with 0 wait "$asking"
    shows "$(cat "$SAGA_DIR/shown")" '^  balance +7\.00$'
    echo 'one that stays behind answers as it is'
    lock_database payment view
    asked 0 fund carol 1.00
    asked 0 show customer:carol
    shows "$said" '^  balance +7\.00$'
    unlock_database
    asked 0 show customer:carol
    shows "$said" '^  balance +8\.00$'
}
waits_for_the_view() { # SERVICE: a query waits there
    [ "$("$saga" status --json |
        "$tools/json" "services.$1.view.counts.waited")" -gt 0 ]
}

forked() { # another history under numbers that were read
    start_all --order-deadline-ms 600000
    seed
    asked 0 wait --quiet
    asked 0 backup "$work/older"
    asked 0 place widget:1 --id kept
    asked 0 wait --quiet
    end_all TERM
    rm -f "$SAGA_DIR"/inventory/*
    cp "$work/older/inventory/log.db" "$SAGA_DIR/inventory/log.db"
    start inventory # alone: nobody tells it
    within 30 controllable inventory
    for _ in $(seq 9); do asked 0 stock gizmo 1; done
    end inventory TERM
    start_all --order-deadline-ms 600000
    within 30 says_status 'payment has stopped reading inventory: diverged'
    # Further events would be skipped by those who accept the log.
    within 30 says_status 'inventory: .*behind its readers'
    asked 0 place widget:1 --id apart --no-wait
    asked 0 why apart
    shows "$said" '^inventory-svc has lost events that others consumed, and records nothing until they accept the loss:$'
    shows "$said" '^  SAGA_DIR=[^ ]+ \./saga accept payment inventory$'
    asked 0 accept payment inventory
    asked 0 accept order inventory
    asked 0 wait apart
    has_event inventory StockReserved apart
}

edited() { # HC48
    start_all
    seed
    asked 0 place widget:2 --id honest
    asked 0 wait --quiet
    end_all TERM
    seq=$(sqlite3 "$SAGA_DIR/payment/log.db" \
        "SELECT seq FROM event WHERE type = 'PaymentCharged'")
    # The log defends itself as far as it can.
    said=$(ends_with 1 sqlite3 "$SAGA_DIR/payment/log.db" \
        "DELETE FROM event WHERE seq = $seq" 2>&1 ||
        ends_with 19 sqlite3 "$SAGA_DIR/payment/log.db" \
            "DELETE FROM event WHERE seq = $seq" 2>&1)
    shows "$said" 'append-only'
    sqlite3 "$SAGA_DIR/payment/log.db" "DROP TRIGGER event_is_never_changed;
        UPDATE event SET time_ms = time_ms + 1 WHERE seq = $seq"
    asked 1 verify
    shows "$said" "^  FAIL  payment #$seq PaymentCharged: the stored hash is"
    shows "$said" "look:  SAGA_DIR=[^ ]+ \./saga log payment --from $seq"
    asked_json 1 verify payment
    has edited.0.seq "$seq"
    asked 0 verify order
    asked 1 check
    shows "$said" 'FAIL +S1'
}

no_faults() {
    "$SAGA_BUILD/bin/order-svc" >"$work/order.log" 2>&1 </dev/null &
    pids[order]=$!
    start inventory
    start payment
    all_up
    asked 1 fault set order handler/slow
    shows "$said" "started without --faults, so none can be set \('SAGA_DIR=$SAGA_DIR \./run\.sh restart order' restarts it with"
    asked_json 0 fault ls order
    has order.enabled false
}

# One is paused: the verb says so soon, with the pid, and the others are asked.
paused_is_named() {
    local pid
    start_all
    pid=${pids[payment]}
    kill -STOP "$pid"
    "$saga" redrive >"$SAGA_DIR/told" 2>&1 &
    others+=("$!")
    within 5 grep -qE "^saga: waiting for payment-svc \(pid $pid\), which does not answer; if it is paused: kill -CONT $pid$" "$SAGA_DIR/told"
    kill "${others[-1]}"
    asked 75 fund alice 1
    shows "$said" "^saga: payment-svc \(pid $pid\) is running but does not answer; if it is paused: kill -CONT $pid "
    asked_json 75 shutdown --all
    has order ended
    has inventory ended
    has payment runs
    ends order
    ends inventory
    end payment KILL
}
# It was asked while it was paused, by one who then gave up: NNG's listener is
# deaf from that, and has to be opened anew before the next one gives up, too.
woken_and_told() {
    local n
    start order
    start inventory
    for n in 1 2; do
        start payment
        all_up
        kill -STOP "${pids[payment]}"
        asked 75 shutdown payment
        kill -CONT "${pids[payment]}"
        asked 0 shutdown payment
        ends payment
    done
}
# It ends before it can answer: by what another asked, or by a signal.
ended_while_asked() {
    local asking
    start order
    start inventory
    start payment
    all_up
    kill -STOP "${pids[payment]}"
    "$saga" shutdown payment >"$SAGA_DIR/told" 2>&1 &
    asking=$!
    others+=("$asking")
    within 30 has_found_it "$asking"
    end payment KILL
    ends_with 0 wait "$asking" || {
        cat "$SAGA_DIR/told"
        return 1
    }
    shows "$(cat "$SAGA_DIR/told")" '^payment-svc has stopped$'
}
# It holds the service's process, and dials.
has_found_it() { # PID
    local open
    open=$(readlink "/proc/$1/fd"/*) || true
    [[ $open == *pidfd* && $open == *socket:* ]]
}
# --timeout is of the whole verb, however many are paused, and says for whom.
frozen_and_bounded() {
    local began pid
    start_all
    seed
    asked 0 wait --quiet # it has heard of all that it will miss
    kill -STOP "${pids[order]}" "${pids[payment]}"
    began=$SECONDS
    asked 75 redrive --timeout 3
    [ $((SECONDS - began)) -le 5 ]
    for pid in "${pids[order]}" "${pids[payment]}"; do
        shows "$said" "^saga: (order|payment)-svc \(pid $pid\) is running but does not answer; if it is paused: kill -CONT $pid "
    done
    asked_json 75 redrive --timeout 2
    has inventory.left 0 # who answers is asked first
    has order.code 75
    has payment.code 75
    began=$SECONDS
    asked 75 rebuild order --timeout 2
    [ $((SECONDS - began)) -le 4 ]
    shows "$said" "^saga: waiting for order-svc \(pid ${pids[order]}\)"
    shows "$said" "^saga: order-svc \(pid ${pids[order]}\) is running but does "
    echo 'one whose events are needed is away'
    kill -CONT "${pids[order]}"
    within 30 "$saga" status order
    began=$SECONDS
    asked 75 rebuild order --timeout 4
    [ $((SECONDS - began)) -le 7 ]
    shows "$said" "^saga: the order view is still rebuilding; .*payment-svc \(pid ${pids[payment]}\) does not answer; if it is paused: kill -CONT ${pids[payment]}"
    asked_json 75 rebuild order --timeout 1
    kill -CONT "${pids[payment]}"
    all_up
    asked 0 rebuild order --timeout 30
    asked 0 redrive --timeout 30
}
rebuild_is_bounded() {
    local began
    start_all
    seed
    asked 0 wait --quiet # it has heard of all that it will miss
    end inventory
    began=$SECONDS
    asked 75 rebuild order
    [ $((SECONDS - began)) -lt 60 ]
    shows "$said" '^saga: the order view is still rebuilding; .*inventory-svc is not running; start it with '
}
used_up() {
    start_all
    seed
    asked 0 fault set payment payment/decline --times 1
    asked 1 place widget:1
    asked 0 fault ls payment
    shows "$said" '^payment/decline .* used up$'
    shows "$said" '^payment: payment/decline is on, once, and is used up; passed'
}
empty_quantity() {
    asked 64 place widget:
    shows "$said" '^saga: widget:: a line is SKU:QUANTITY, as in widget:2$'
}

it 'a service that is down is named, with what starts it' in_shop down down
it 'a hint starts the directory that was looked at' hints
it 'a hint works as it is, wherever it is given' in_shop far-away hints_work
it 'what files can tell is told without the services' from_files
it 'without data everything says so' nowhere
it 'a rebuild that waits says for whom, and goes on' \
    in_shop rebuild rebuild_waits
it 'each of the six ends has its trace' in_shop ends six_ends
it 'why names whom an order waits for' in_shop why whys
it 'no answer is not a no: the error names the id to use again' \
    in_shop unanswered no_answer_is_not_a_no
it 'why names all who are missing for an order to end' \
    in_shop missing why_all_down
it 'paid and not shipped: why says since when, and who is away' \
    in_shop paid paid_only
it 'an order whose deadline passes is cancelled' in_shop late deadline_passes
it 'an event of a newer version is parked, and redriven after an upgrade' \
    in_shop newer parked_newer # F27 F37 real
it 'after a restored backup, accept goes on and check names the damage' \
    in_shop restored restored # F21 F42 real
it 'no time is negative after a clock was set back' \
    in_shop set-back clock_set_back
it 'accept looks for itself, right after a backup was put back' \
    in_shop at_once accepts_at_once # F21 real
it 'a redrive right after a start waits until the service is ready' \
    in_shop ready at_once_after_a_start
it 'show waits until the view has what was answered' \
    in_shop fresh shows_what_was_answered
it 'a log with another history is not read on' in_shop forked forked # F21 real
it 'verify names an edited event' in_shop edited edited # F51 real
it '--verbose logs every decision' in_shop verbose decisions
it 'without --faults there are none' in_shop calm no_faults
it 'a paused service is named with its pid, and keeps no other waiting' \
    in_shop paused-one paused_is_named
it 'a service that was asked while it was paused hears the next who asks' \
    in_shop woken woken_and_told # F04 real
it 'a service that ends before it can answer shutdown has stopped' \
    in_shop ending ended_while_asked
it 'a rebuild does not wait for ever for a service that is away' \
    in_shop bounded rebuild_is_bounded
it 'a time limit is of the whole redrive or rebuild, with services paused' \
    in_shop frozen frozen_and_bounded
it 'a service that was given up is told, with what starts it' \
    in_shop given-up given_up_is_told
it 'a fault that has fired as often as it was to is used up' \
    in_shop used-up used_up
it 'a line without a quantity is shown what a line is' empty_quantity
