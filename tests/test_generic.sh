#!/usr/bin/env bash
# build/saga-generic, the `saga` that is installed: without a domain, beside a
# shop that it was not built with.  Each verb of the library does its work from
# what the services say about themselves, and what only a domain knows is named.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

# Away from the source tree, as it is installed.
mkdir "$work/bin"
cp "$SAGA_BUILD/saga-generic" "$work/bin/saga"

start_shop() {
    start_all --order-deadline-ms 60000
    seed
    asked 0 place widget:1 --id o-1
    asked 1 place gadget:2 --customer bob --id o-2
    saga=$work/bin/saga
}

questions() {
    start_shop
    asked 0 status
    shows "$said" '^  inventory +[0-9]+ +[0-9]+ events +up to date +order, payment$'
    asked 0 status payment
    shows_no "$said" '^  order '
    asked 0 wait --quiet
    asked 0 wait o-1
    same 'o-1: no service has anything left to do for it' "$said"
    asked 0 trace o-2
    shows "$said" '^o-2 · 5 events · [0-9]+ ms$'
    shows "$said" '^   #    \+ms  inventory +order +payment +because$'
    shows "$said" ' StockReleased ↺ 2 .* 3 *$'
    asked_json 0 trace o-1
    has events.3.type OrderConfirmed
    has status ''
    asked 0 why o-1
    shows "$said" '^o-1: its first event is .* No service has anything to do for it\.$'
    asked 66 trace o-9
    same "saga: no saga o-9 ('SAGA_DIR=$SAGA_DIR $saga log --all' shows all)" "$said"
    asked 66 wait o-9
    asked 0 log --all
    shows "$said" ' o-2 +payment +PaymentDeclined +customer bob .*<- StockReserved$'
    asked 0 log payment
    shows "$said" ' FundsDeposited +customer alice  amount_cents 100000 +<- you$'
    asked_json 0 log order --cloudevents --limit 1
    has 0.type ProductListed
    asked 0 verify
    shows "$said" '6 cursors of other services agree'
    asked 0 pids
    same 3 "$(wc -l <<<"$said")"
}

operations() {
    start_shop
    asked 0 fault ls payment
    shows "$said" '^payment/decline '
    asked 0 fault set payment payment/decline --times 1
    asked 0 fault clear --all
    asked 0 parked
    same 'nothing is parked' "$said"
    asked 0 redrive
    asked 1 accept order payment
    shows "$said" "has not diverged.*\('SAGA_DIR=$SAGA_DIR $saga status' shows"
    asked 0 rebuild stock
    shows "$said" '^stock view: generation 2 serves'
    asked 64 rebuild shelf
    shows "$said" 'no view shelf: the views are stock, order and account$'
    asked 0 backup "$work/copy"
    shows "$said" "^    start from it:  SAGA_DIR=$work/copy SERVICE-svc$"
    asked 0 signal payment CONT
    asked 0 shutdown payment
    asked 69 status
    shows "$said" "down  \(start it: SAGA_DIR=$SAGA_DIR payment-svc\)$"
    asked 0 log payment # from its file
    asked 0 shutdown --all
    asked 0 shutdown --all --force
}

# Somebody waits in vain: who, for what, and until when.
unfinished() {
    start_all --order-deadline-ms 60000
    seed
    end payment TERM
    asked 0 place widget:1 --id o-3 --no-wait
    within 30 has_event inventory StockReserved o-3
    saga=$work/bin/saga
    asked 0 why o-3
    shows "$said" "^o-3: its first event is .* payment's answer to StockReserved"
    shows "$said" "^payment-svc is down.* Start it:  SAGA_DIR=$SAGA_DIR payment-svc$"
    shows "$said" '^At 60\.0 s \(in [0-9.]+ s\) order-svc acts\.$'
    asked 75 wait o-3 --timeout 1
    shows "$said" "still have something to do for o-3 after 1 s \('SAGA_DIR=[^ ]+ $saga why o-3'\)"
}

tables() {
    start_shop
    asked 0 flow
    shows "$said" '^StockReserved +inventory +payment +PaymentCharged'
    shows_no "$said" '^Forward'
    asked 0 flow --mermaid
    shows "$said" 'PlaceOrder --> OrderPlaced'
    asked_json 0 flow --asyncapi
    grep -q '"address":"run/payment.pub"' <<<"$said"
    asked_json 0 flow
    has 1.service order
}

# Never ok: what it could not check is named.
check_names_the_rest() {
    start_shop
    asked 0 wait --quiet
    asked 75 check
    shows "$said" '^  ok    S1 '
    shows "$said" '^  ok    S2 .* causes$'
    shows "$said" '^  ok    S9 '
    shows "$said" '^  ok    S10 .* 6 cursors$'
    shows_no "$said" ' S4 '
    shows "$said" "^Without their domain, not checked: the domain's promises, tags, snapshots$"
    shows "$said" '^all 5 that were checked hold$'
    asked 75 check --final
    shows "$said" '^  ok    Q2 '
    shows "$said" '^  --    Q3 .* not without its domain$'
    shows "$said" "not checked: Q3, the domain's promises, tags, snapshots$"
    asked_json 75 check --final
    has holds false
    has under_way false
    has unchecked.0 Q3
    has unchecked.1 "the domain's promises"
    asked 75 acknowledge
    shows "$said" '^Nothing that was checked is broken'
    asked 75 check --journal /dev/null
    shows "$said" 'known to their domain alone'
}

check_finds_what_is_broken() {
    start_shop
    asked 0 shutdown --all
    sqlite3 "$SAGA_DIR/payment/log.db" "DROP TRIGGER event_is_never_changed;
        UPDATE event SET order_id = 'o-7' WHERE seq = 3"
    asked 1 check
    shows "$said" '^  FAIL  S1 '
    asked 1 verify
    asked 1 acknowledge
    shows "$said" 'this is no loss to give up'
}

# The same shop with a service more: all four are alike to it.
a_fourth_is_seen() {
    start_all
    seed
    "$SAGA_BUILD/tests/fourth/shipping-svc" </dev/null \
        >>"$SAGA_DIR/shipping.log" 2>&1 &
    pids[shipping]=$!
    asked 0 place widget:1 --id o-1
    within 30 has_event shipping ParcelSent o-1
    saga=$work/bin/saga
    asked 0 wait --quiet
    asked 0 status
    same 5 "$(wc -l <<<"$said")"
    asked 0 trace o-1
    shows "$said" '  ParcelSent +[0-9]+ *$'
    asked 75 check
    shows "$said" '^  ok    S1 .* shipping [0-9]+$'
    shows "$said" '^all 5 that were checked hold$'
    sqlite3 "$SAGA_DIR/shipping/log.db" "DROP TRIGGER event_is_never_changed;
        UPDATE event SET order_id = 'o-7' WHERE seq = 1"
    asked 1 check
    shows "$said" '^        S2 +o-7: shipping #1 was caused by .*, which is about o-1$'
}

about_itself() {
    saga=$work/bin/saga
    export SAGA_DIR=$work/none
    asked 64 place widget:1
    same "saga: no verb place: this program has no domain, and none of its verbs ('$saga --help' lists them)" "$said"
    asked 64 stats
    shows "$said" 'no verb stats \(did you mean status\? '
    local verb known
    asked 0 help
    known=$said
    shows_no "$known" '^Commands:'
    for verb in trace why log status wait check verify fault parked redrive \
        accept acknowledge rebuild backup pids signal shutdown web flow scenario \
        learn help version man completion; do
        shows "$known" "^  $verb "
        asked 0 help "$verb"
        shows "$said" "^usage: saga $verb"
        shows_no "$said" '\./saga'
    done
    same 25 "$(grep -cE '^  [a-z]' <<<"$known")"
    asked 0 man
    shows "$said" '^\.SS acknowledge$'
    shows_no "$said" '^\.SH COMMANDS|^\.SS place'
    asked 0 completion bash
    shows "$said" '^        signal\)'
    shows_no "$said" 'place\)'
    asked 66 learn 1
    shows "$said" 'learn needs the source tree'
    asked 66 scenario run 7
    shows "$said" 'scenario needs the source tree'
    asked 69 status
    same "saga: no services in $SAGA_DIR; start one with 'SAGA_DIR=$SAGA_DIR SERVICE-svc'" "$said"
    asked 0 pids
    asked 0 shutdown --all
}

it 'its questions are answered without a domain' in_shop questions questions
it 'operators find their verbs' in_shop operations operations
it 'why and wait tell what a saga still waits for' in_shop unfinished unfinished
it 'the tables come from the services' in_shop tables tables
it 'check is never ok without a domain: it names what it could not check' \
    in_shop check check_names_the_rest
it 'check finds what is broken without a domain' \
    in_shop broken check_finds_what_is_broken
it 'a fourth service is one of four' in_shop fourth a_fourth_is_seen
it 'help, man page and completion have the verbs that are there' about_itself
