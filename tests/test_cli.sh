#!/usr/bin/env bash
# Every verb of `saga` against three services that run: what it says as text
# and as JSON, and its exit codes.  test_trouble.sh tests what it says when
# something is wrong.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

verbs=$("$saga" --help | awk '/^  [a-z]/ { print $1 }')

# ---- words ------------------------------------------------------------------

help_for_all() {
    [ "$(wc -w <<<"$verbs")" -ge 23 ]
    asked 0 help
    shows "$said" "'\./saga help VERB' shows more"
    asked 64
    for verb in $verbs; do
        asked 0 "$verb" --help
        shows "$said" "^usage: saga $verb"
    done
    asked 64 plcae
    shows "$said" "^saga: no verb plcae \(did you mean place\?"
    asked 64 pirouette
    shows "$said" "^saga: no verb pirouette \('\./saga --help' lists them\)"
    for verb in foo top; do # a third of the letters, at most
        asked 64 $verb
        shows "$said" "^saga: no verb $verb \('\./saga --help' lists them\)"
    done
    asked 64 stat
    shows "$said" 'did you mean status\?'
    asked 64 ls --dir
    shows "$said" "^saga: --dir needs a value \('\./saga --help'\)$"
}
help_json() {
    asked_json 0 help
    has 'verbs.#' "$(wc -w <<<"$verbs")"
    diff <(sort <<<"$verbs") <(field 'verbs.*.name' | sort)
    asked_json 0 help wait
    has name wait
    shows "$(field help)" '--timeout S'
    asked_json 0 flow --help
    has name flow
    asked_json 0 --version
    [ -n "$(field version)" ]
    asked_json 64
    has code 64
}
scripts_json() {
    asked_json 0 scenario ls
    has 'scenarios.#' "$(find "$root/scenarios" -name '[0-9]*.md' | wc -l)"
    has scenarios.6.number 7
    shows "$(field scenarios.6.title)" '^Crash between publish'
    asked_json 0 learn
    has 'chapters.#' "$(find "$root/docs/tutorial" -name '[0-9]*.md' | wc -l)"
    has chapters.0.title 'Run it'
    asked_json 0 scenario show 7
    shows "$(field said)" '^# 07 Crash between publish'
    asked_json 66 scenario show 99
    has code 66
    shows "$(field error)" "no scenario '99'"
    asked_json 64 learn 1
}
words_for_values() { # --id --no-wait would be an order that nobody can name
    asked 64 place widget:1 --id --no-wait
    shows "$said" "^saga: --id needs a value, not --no-wait \\('\./saga place --help'\\)$"
    asked 64 place widget:1 --id --
    asked 64 place widget:1 --id=-y
    shows "$said" 'does not begin with -$'
    asked 64 fund alice 1 --id --json
    asked 64 show customer:alice --at -1
    shows "$said" "not '-1'$"
}
extra_words() { # one that is not understood is not passed over
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        asked 64 $words
        shows "$said" '^(saga|scenario|learn): .*(extra|--foo|8|--all|--without)'
        same 1 "$(wc -l <<<"$said")"
        # shellcheck disable=SC2086
        asked_json 64 $words
        has code 64
    done <<'END'
scenario run 7 8
scenario run --foo
scenario run 7 --foo
scenario run --all 7
scenario run --all --without outbox
scenario run 7 --without
scenario show 7 8
scenario ls extra
scenario score extra
scenario extra
show o-1 extra
trace o-1 extra
why o-1 extra
wait o-1 extra
wait --quiet extra
log order extra
log --all extra
ls extra
flow extra
status order extra
check extra
verify order extra
fault ls order extra
fault set order crash/after-commit extra
fault clear order crash/after-commit extra
parked order extra
redrive order extra
accept order payment extra
acknowledge extra
rebuild order extra
backup dir extra
shutdown order extra
shutdown --all extra
bench extra
help place extra
--help place extra
--version extra
END
    asked 64 learn 0 8
    shows "$said" "^learn: unexpected argument '8' \(learn \[CHAPTER\]\)$"
    asked 64 scenario run
    shows "$said" '^scenario: missing N \(ls \| show N'
    asked 0 --help place
    shows "$said" '^usage: saga place'
}
wrong_words() {
    for verb in $verbs; do
        case $verb in scenario | learn) continue ;; esac # scripts
        asked 64 "$verb" --nonsense
        shows "$said" '^saga: '
        asked_json 64 "$verb" --nonsense
        has code 64
        asked 64 "$verb" a b c d e f
        shows "$said" '^saga: '
    done
}
wrong_values() {
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        asked 64 $words
        shows "$said" '^saga: '
        [ "$(wc -l <<<"$said")" -eq 1 ]
    done <<'END'
place widget
place widget:0
place widget:1001
place widget:-2
place widget:1 widget:2
place a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1 j:1 k:1
place widget:1 --count 0
place widget:1 --customer a/b
place widget:1 --id a/b
place widget:1 --id 1234567890123456789012345678901234567890
place widget:1 --timeout 0
place widget:1 --customer
cancel a/b
stock widget 0
stock widget 1000001
stock wid/get 1
stock widget many
fund alice 0
fund alice 12.345
fund alice 1000000.01
fund alice -1
fund alice 007
fund alice 1e3
fund alice 0x10
product widget free
product widget 0.001
stock widget +5
stock widget 05
stock widget 5e0
stock widget 0x5
stock widget 5.0
stock widget 5,
stock widget 99999999999999999999
place widget:+1
place widget:01
place widget:1 --timeout 010
place widget:1 --count +2
log order --from 01
fault set order handler/slow --after +1
ls --status DONE
ls --limit 0
show a/b
show sku:
show customer:a/b
show o-1 --at payment
show o-1 --at bakery:1
show o-1 --at 1 --time 1
show sku:widget --time yesterday
show sku:widget --time 2026-11-31T00:00:00
show sku:widget --time 2026-02-29T00:00:00Z
show sku:widget --time 2026-01-01T24:00:00
show sku:widget --time 2016-12-31T23:59:60Z
show sku:widget --time 2026-1-1T0:0:0
show sku:widget --time 2026-01-01T00:00
show sku:widget --time 2026-01-01T00:00:00ZZ
show sku:widget --time 2026-01-01T00:00:00.5
show sku:widget --time 1764345600
show sku:widget --time 0
show sku:widget --time 99999999999999
show sku:widget --time 9223372036854775807
show sku:widget --time 9999999999999
show sku:widget --time 2999-01-01T00:00:00
show sku:widget --time +1764345600000
show sku:widget --at payment:1
log bakery
log order --from 0
log order --limit none
wait
wait o-1 --quiet
wait o-1 --timeout 0
verify bakery
fault set order
fault set bakery handler/slow
fault set order handler/slow --percent 0
fault set order handler/slow --percent 101
fault set order handler/slow --times -1
fault clear
fault clear bakery
parked bakery
redrive order --seq 0
redrive --timeout 0
rebuild order --timeout 1.5
redrive order --source bakery
accept order
accept order bakery
rebuild bakery
shutdown bakery
END
}
told_what() { # PATTERN VERB...: what is wrong is in the one line
    asked "${code:-64}" "${@:2}"
    shows "$said" "^saga: $1"
}
what_is_wrong() {
    told_what 'widget is given twice; give widget:QUANTITY once' \
        place widget:1 gizmo:1 widget:2
    told_what "a sku is 1 to [0-9]+ letters, .* not 'widget:1,gadget' \(separate lines" \
        place widget:1,gadget:2
    told_what "missing ORDER \('\./saga cancel --help'\)$" cancel
    told_what "missing AMOUNT \('\./saga fund --help'\)$" fund alice
    told_what "missing CUSTOMER \('\./saga fund --help'\)$" fund
    told_what "missing QTY \('\./saga stock --help'\)$" stock widget --id x
    for verb in place cancel stock fund product show trace why log wait \
        fault accept rebuild backup shutdown completion; do
        told_what "missing [^ ].* \('\./saga $verb --help'\)$" $verb
    done
    for verb in 'fault set' 'fault set order' 'fault clear' 'accept order'; do
        # shellcheck disable=SC2086 # two words
        told_what "missing [^ ].* \('\./saga ${verb%% *} --help'\)$" $verb
    done
    told_what "unexpected argument '7' \('\./saga product --help'\)$" \
        product widget 5 7
    told_what '-5 is negative, but numbers must not be' stock widget -5
    told_what '-1\.50 is negative' fund alice -1.50
    told_what 'amount must be 0\.01 to 1000000\.00, in whole cents, not 1\.234$' \
        fund alice 1.234
    told_what "an order id is 1 to 39 letters" cancel 'x y'
    told_what "a service and --all exclude each other$" \
        fault clear order --all
    asked 0 stock widget 1 --id s-once
    code=1 told_what \
        "s-once: this id was used for something else \('SAGA_DIR=[^ ]+ \./saga log inventory' has it\)$" \
        stock widget 2 --id s-once
    code=66
    told_what "order's log ends at #[0-9]+: there is no #999999 yet$" \
        log order --from 999999
    told_what "the longest log ends at #[0-9]+: there is no #999999 yet$" \
        log --all --from 999999
    told_what "no sku nope \('SAGA_DIR=[^ ]+ \./saga stock nope 1' receives one\)$" \
        show sku:nope
    told_what "no customer nope \('SAGA_DIR=[^ ]+ \./saga fund nope 10.00' opens an account\)$" \
        show customer:nope
    told_what "no order widget, but a sku: 'SAGA_DIR=[^ ]+ \./saga show sku:widget'$" show widget
    told_what "no order bob, but a customer: 'SAGA_DIR=[^ ]+ \./saga show customer:bob'$" \
        show bob --at 1
    told_what "no order widget \('SAGA_DIR=[^ ]+ \./saga ls' shows all\)$" show order:widget
}
new_names() { # what may be a slip is called new, once
    asked 0 stock wigdet 5 --id s-slip
    shows "$said" '^received 5 wigdet, a new sku; did you mean widget\? \(inv'
    asked 0 stock wigdet 5 --id s-slip # as the first time
    shows "$said" ', a new sku; did you mean'
    asked 0 stock wigdet 5
    shows "$said" '^received 5 wigdet \(inventory #'
    asked_json 0 stock qqqqqqqq 1
    has new true
    asked 0 stock qqqqqqqqx 1 # as close as may be
    shows "$said" 'did you mean qqqqqqqq\?'
    asked_json 0 stock widget 1
    has new false
    asked 0 fund alcie 1
    shows "$said" '^deposited 1.00 for alcie, a new customer; did you mean alice\?'
    asked_json 0 fund alcie 1
    has new false
    asked_json 0 product brandnew 3
    has new true
    asked 0 product brandnew 4
    shows "$said" '^brandnew costs 4.00 \(order #'
}
new_shop_is_all_new() {
    new_shop all-new
    start_all
    for words in 'stock widget 1' 'fund alice 1' 'product widget 1'; do
        # shellcheck disable=SC2086 # three words
        asked_json 0 $words
        has seq 1
        has new true
    done
}
times() { # what is asked for is what is answered for
    asked 64 stock widget " 5"
    shows "$said" 'quantity must be 1 to 1000000, not  5$'
    asked 64 show sku:widget --time " 2026-01-01T00:00:00"
    told_what 'there is no such time as 2026-11-31T00:00:00$' \
        show sku:widget --time 2026-11-31T00:00:00
    told_what '--time takes milliseconds, not seconds: 1764345600000 is ' \
        show sku:widget --time 1764345600
    told_what '2999-01-01T00:00:00Z has not come yet' \
        show sku:widget --time 2999-01-01T00:00:00Z
    TZ=CET-1CEST,M3.5.0,M10.5.0/3 told_what 'there is no such time as' \
        show sku:widget --time 2026-03-29T02:30:00
    TZ=EST5EDT,M3.2.0,M11.1.0 asked 66 show sku:widget --time 2026-03-29T02:30:00
    asked 66 show sku:widget --time 2026-01-31T00:00:00Z
    asked 66 show sku:widget --time 1764345600000
}
bus_elsewhere() {
    asked 64 status --bus tcp://192.0.2.1:7000
    shows "$said" 'only tcp://127.0.0.1:PORT'
}

# ---- placing ----------------------------------------------------------------

place_text() {
    asked 0 place widget:2 gizmo:1 --id o-text --customer alice
    shows "$said" '^o-text · alice · 2 widget, 1 gizmo · 44.80 · CONFIRMED · 5 ev'
    shows "$said" '^ +3 .*PaymentCharged +2 +44.80$'
    asked 1 place gadget:2 --id o-poor --customer bob
    shows "$said" 'CANCELLED: insufficient funds'
    shows "$said" 'PaymentDeclined +2 +needs 98.00, has 20.00$'
    shows "$said" 'StockReleased ↺ 2 .* OrderPlaced|StockReleased ↺ 2 +3'
    asked 1 place gadget:500 --id o-many
    shows "$said" 'CANCELLED: insufficient stock'
    asked 0 cancel o-many
    shows "$said" '^o-many is cancelled \(order #[0-9]+\)$'
    asked 1 place nothing:1
    shows "$said" '^saga: o-.* was not placed: unknown product nothing \(.SAGA_DIR=[^ ]+ \./saga product nothing 9\.90. lists it\)$'
    asked 1 place widget:2 nothing:1
    shows "$said" 'unknown product nothing '
    asked 1 place widget:3 --id o-text
    shows "$said" "this id was used for something else \('SAGA_DIR=[^ ]+ \./saga trace o-text' shows it"
    asked 0 place gizmo:1 --no-wait --id o-quick
    shows "$said" '^o-quick placed \(order #[0-9]+\)$'
    asked 0 wait o-quick
    shows "$said" '^o-quick has ended: CONFIRMED$'
}
place_json() {
    asked_json 0 place widget:1 --id j-1
    has order j-1
    has status CONFIRMED
    has ended true
    has 'events.#' 5
    same 'OrderPlaced StockReserved PaymentCharged OrderConfirmed StockShipped' \
        "$(field 'events.*.type' | paste -sd ' ')"
    same '0 1 2 3 4' "$(field 'events.*.because' | paste -sd ' ')"
    asked_json 0 place widget:1 --id j-2 --no-wait
    has order j-2
    [ "$(field seq)" -gt 1 ]
    asked_json 1 place nothing:1 --id j-3
    shows "$(field error)" 'unknown product'
    has code 1
    asked_json 0 wait j-2
    has status CONFIRMED
}
place_many() {
    asked_json 0 place gizmo:1 --count 30 --id many
    has placed 30
    has confirmed 30
    asked_json 0 show many-30
    has status CONFIRMED
    asked 1 place gizmo:1 --count 10 --customer nobody
    shows "$said" '^10 orders in .*: 0 confirmed, 10 cancelled \(10 insufficient funds\)$'
    asked 0 place gizmo:1 --count 3 --no-wait
    shows "$said" '^3 orders placed \(o-[a-z0-9]+-1 to o-[a-z0-9]+-3\)$'
    # The same ids again: the first answers, and no new orders.
    asked_json 0 place gizmo:1 --count 30 --id many
    has confirmed 30
    same 30 "$(sqlite3 "$SAGA_DIR/order/log.db" "SELECT count(*) FROM event
        WHERE type = 'OrderPlaced' AND order_id LIKE 'many-%'")"
}
same_id() { # HC15
    asked_json 0 place widget:1 --id twice --no-wait
    first=$(field seq)
    asked_json 0 wait twice
    asked_json 0 place widget:1 --id twice --no-wait
    has seq "$first"
    asked_json 1 place widget:2 --id twice
    shows "$(field error)" 'used for something else'
    asked_json 1 place widget:1 --customer bob --id twice
    local words
    for words in 'stock gizmo 7' 'fund bob 0.07' 'product clip 0.07'; do
        # shellcheck disable=SC2086 # words
        asked_json 0 $words --id "again-${words%% *}"
        first=$(field seq)
        # shellcheck disable=SC2086
        asked_json 0 $words --id "again-${words%% *}"
        has seq "$first"
        # shellcheck disable=SC2086
        asked 1 ${words/7/8} --id "again-${words%% *}"
        shows "$said" 'used for something else'
    done
    asked_json 0 show sku:gizmo
    same 100107 "$(field received)"
    asked_json 0 show customer:bob
    same 2007 "$(field deposited_cents)"
}
journal() {
    asked 0 place gizmo:1 --count 70 --journal "$work/journal"
    same 70 "$(wc -l <"$work/journal")"
    same 70 "$(sort -u "$work/journal" | wc -l)"
    asked 0 check --journal "$work/journal"
    shows "$said" 'ok +J1 .* 70 acknowledged'
    # An order that was acknowledged and is not there.
    line=$(head -n 1 "$work/journal")
    echo "${line/\"command\":\"o-/\"command\":\"lost-}" >>"$work/journal"
    asked_json 1 check --journal "$work/journal"
    has violations.0.id J1
    shows "$(field violations.0.subject)" '^lost-'
    asked 66 check --journal "$work/no-journal"
    echo 'not a line' >"$work/no-journal"
    asked 65 check --journal "$work/no-journal"
}

# ---- looking ----------------------------------------------------------------

story() { # deposit 50, deposit 80, pay 30
    asked_json 0 fund carol 50
    first=$(field seq)
    sleep 0.002 # so that no two events carry the same millisecond
    asked_json 0 fund carol 80
    second=$(field seq)
    asked 0 product lamp 30
    asked 0 stock lamp 1
    sleep 0.002
    asked_json 0 place lamp:1 --customer carol
    third=$(field events.2.seq)
    local seq
    for seq in "$first 5000" "$second 13000" "$third 10000"; do
        asked_json 0 show customer:carol --at "${seq% *}"
        has states.0.state.balance_cents "${seq#* }"
    done
    asked 0 show customer:carol --at "$second"
    shows "$said" "^customer:carol, payment's account at #$second of [0-9]+$"
    shows "$said" '^  balance +130.00$'
    asked 0 show customer:carol --at payment:"$first"
    shows "$said" '^  balance +50.00$'
    asked 0 show customer:carol
    shows "$said" '^  balance +100.00$'
    shows "$said" '^  #[0-9]+ .* FundsDeposited +50.00 +50.00$'
    shows_no "$said" ' $'

    # The same by the clock.
    asked_json 0 log payment --from "$first"
    for seq in "$first 5000" "$second 13000" "$third 10000"; do
        time_ms=$(field $((${seq% *} - first)).time_ms)
        then=$said
        asked_json 0 show customer:carol --time "$time_ms"
        has states.0.state.balance_cents "${seq#* }"
        said=$then
    done
    asked_json 0 show customer:carol --time "$(date -u +%FT%T)Z"
    has states.0.state.balance_cents 10000
    asked 66 show customer:carol --time 2001-01-01T00:00:00
    asked 66 show customer:carol --at $((first - 1))
    asked 66 show customer:carol --at 999999
    shows "$said" "payment's log ends at #"
}
show_all() {
    asked_json 0 place widget:1 --id o-shown
    asked 0 show o-shown
    shows "$said" '^  status +CONFIRMED$'
    shows "$said" 'trace o-shown'
    asked_json 0 show o-shown
    has order o-shown
    has 'timeline.#' 5
    seq=$("$saga" trace o-shown --json | "$tools/json" events.0.seq)
    asked_json 0 show o-shown --at "$seq"
    has states.0.service order
    asked_json 0 show o-shown --at inventory:"$("$saga" trace o-shown --json |
        "$tools/json" events.1.seq)"
    has states.0.kind reservation
    asked 0 show sku:widget
    shows "$said" '^  reserved  0'
    asked_json 0 show sku:widget --at order:1
    has states.0.kind product
    asked 66 show o-showm
    shows "$said" 'did you mean o-shown'
    asked_json 66 show sku:nothing
    has code 66
    asked 66 show customer:nobody-else
}
ls_pages() {
    asked 0 place gizmo:1 --count 250 --id page --customer nobody --no-wait
    asked 0 wait --quiet
    asked 0 ls
    same 22 "$(wc -l <<<"$said")" # a header, 20 orders, and "older ones"
    shows "$said" '^  \.\.\. and older ones'
    asked_json 0 ls --limit 250
    same 250 "$(field 'orders.*.order' | sort -u | wc -l)"
    has more true
    asked_json 0 ls --limit 1000000
    has more false
    same "$(sqlite3 "$SAGA_DIR/order/log.db" "SELECT count(*) FROM event
        WHERE type = 'OrderPlaced'")" "$(field 'orders.*.order' | sort -u | wc -l)"
    asked_json 0 ls --status CONFIRMED --limit 1000
    same CONFIRMED "$(field 'orders.*.status' | sort -u)"
    asked 0 ls --status PENDING
    shows "$said" '^No orders that are PENDING'
}
ls_kinds() {
    asked 0 fund zoe 12.50
    asked 0 product zither 199.90
    asked 0 product zither 149.50
    asked 0 stock zither 3
    asked 0 place zither:1 --customer zoe --no-wait --id o-zoe
    asked 0 wait o-zoe
    asked_json 0 ls --customer zoe
    same o-zoe "$(field 'orders.*.order')"
    asked_json 0 ls orders --customer nobody --limit 3
    has 'orders.#' 3
    has more true
    asked 0 ls products --limit 1000
    shows "$said" '^  zither +149\.50$'
    asked_json 0 ls products --limit 1
    has 'products.#' 1
    has more true
    asked 0 ls stock --limit 1000
    shows "$said" '^  zither +3 +0 +3 +0$'
    asked_json 0 ls customers --limit 1000
    shows "$said" '"customer":"zoe","balance_cents":1250,'
    asked 0 ls customers --limit 1000
    shows "$said" '^  zoe +12\.50 +0\.00$'
    asked 64 ls bakers
    shows "$said" "unexpected argument 'bakers': orders, products, stock or cust"
    asked 64 ls stock --customer zoe
    asked 64 ls --customer a/b
}
logs() {
    asked 0 log order --limit 2
    same 2 "$(wc -l <<<"$said")"
    shows "$said" '^ +1 .* ProductListed +widget 19.90 +<- you$'
    asked_json 0 log order --from 2 --limit 1
    has '#' 1
    has 0.seq 2
    asked_json 0 log --all
    same 'inventory order payment' "$(field '*.source' | sort -u | paste -sd ' ')"
    # Ordinary events leave the causes in one column.
    asked 1 place gadget:2 --id o-logged --customer bob
    asked 0 log payment
    shows "$said" 'PaymentDeclined  needs 98.00, has 20'
    same 1 "$(sed 's/ <- .*//; s/.* \(Funds\|Payment\)/\1/; s/./x/g' <<<"$said" |
        sort -u | wc -l)"
    asked_json 66 log order --from 999999
    has code 66
    asked_json 0 log order # who polls asks for the next one
    n=$(field '#')
    asked_json 0 log order --from $((n + 1))
    has '#' 0
    asked 0 log order --from $((n + 1))
    same '' "$said"
    asked 66 log order --from $((n + 2))
    # A cause is never shown behind its effect.
    asked_json 0 log --all
    same sorted "$(field '*.time_ms' | sort -nc && echo sorted)"
}
follow() {
    "$saga" log order --follow --from 1 >"$work/followed" &
    others+=($!)
    "$saga" log --all --follow --json >"$work/from-now" &
    others+=($!)
    "$saga" log order --follow --from 100000 >"$work/beyond" 2>&1 &
    others+=($!)
    within 30 grep -q 'ProductListed *widget 19.90' "$work/followed"
    n=0
    until grep -q OrderPlaced "$work/from-now"; do # it may begin any time
        asked 0 place widget:1 --id o-followed-$((++n))
        [ $n -lt 100 ]
    done
    within 30 grep -q "o-followed-$n .*OrderConfirmed" "$work/followed"
    within 30 grep -q "o-followed-$n.*StockShipped\|StockShipped.*o-followed-$n" \
        "$work/from-now"
    while read -r said; do field seq; done <"$work/from-now" >/dev/null
    shows_no "$(cat "$work/from-now")" seed-product
    same '' "$(cat "$work/beyond")" # and no word of a lost tail
    # Ctrl-C is a good end (a shell's background job is deaf to it: TERM).
    for pid in "${others[@]}"; do
        kill -TERM "$pid"
        ends_with 0 wait "$pid"
    done
    # So is a reader that has had enough.
    "$saga" log order --follow --from 1 | head -n 3 >"$work/three"
    same 3 "$(wc -l <"$work/three")"
}
follow_json() {
    "$saga" log order --follow --from 1 --json --limit 3 >"$work/follow-json"
    while read -r said; do field seq; done <"$work/follow-json" >"$work/seqs"
    same '1 2 3' "$(paste -sd ' ' "$work/seqs")"
}
traces() {
    asked 0 place widget:1 --id o-traced
    asked 0 trace o-traced --mermaid
    shows "$said" '^sequenceDiagram$'
    shows "$said" '^    payment->>order: PaymentCharged$'
    asked 66 trace o-untraced
    shows "$said" 'did you mean o-traced|no order o-untraced'
    asked_json 66 trace o-untraced
    asked 0 why o-traced
    shows "$said" '^o-traced has ended: CONFIRMED\. It is not waiting for anything\.$'
    asked_json 0 why o-traced
    has ended true
    has 'waits.#' 0
    asked_json 66 why o-unwhy
}
states() {
    asked 0 status
    same 4 "$(wc -l <<<"$said")"
    for s in "${services[@]}"; do
        shows "$said" "^  $s +${pids[$s]} +[0-9]+ events +"
    done
    asked_json 0 status
    has running true
    for s in "${services[@]}"; do
        has "services.$s.pid" "${pids[$s]}"
        has "services.$s.state" running
        has "services.$s.view.trouble" ''
    done
    asked 0 wait --quiet
    shows "$said" '^quiet: '
    asked_json 0 wait --quiet
    has quiet true
    asked_json 0 flow
    has 0.service order
    asked 0 flow --mermaid
    shows "$said" '^flowchart TD$'
    asked_json 0 flow --asyncapi
    has asyncapi 3.1.0
    has 'channels.#' 6
    asked 64 flow --asyncapi --mermaid
    asked_json 0 log payment --cloudevents --limit 1
    has 0.source /payment
    has 0.dataschema urn:saga:message:FundsDeposited:2
    asked 0 check
    shows "$said" '^all 11 hold$'
    asked 0 check --final
    shows "$said" '^all 14 hold$'
    asked_json 0 check --final
    same 1 "$(wc -l <<<"$said")" # compact, as all JSON is
    has holds true
    has 'invariants.#' 16 # in JSON always, those that were skipped with why
    has invariants.13.id Q3
    has invariants.14.skipped 'only with --journal'
    asked 0 verify
    shows "$said" '^  ok +[0-9]+ events chain, 6 cursors'
    asked_json 0 verify payment
    same 1 "$(wc -l <<<"$said")"
    has intact true
    has witnesses 2
}
unfinished() {
    asked 66 wait o-no-such --timeout 1
    asked 0 parked
    shows "$said" '^nothing is parked$'
    asked_json 0 parked inventory
    has '#' 0
    asked 0 redrive
    shows "$said" '^nothing is parked$'
    asked 66 redrive --source order --seq 1
    asked 1 accept order payment
    shows "$said" "^saga: order: payment's log has not diverged, nothing to accept \\('SAGA_DIR=[^ ]+ \./saga status' shows"
    asked 64 accept order order
    shows "$said" "^saga: order: order's log is not one that it reads \\('SAGA_DIR=[^ ]+ \./saga status' shows"
    asked_json 1 accept order payment
    has code 1
}
faults() {
    asked 0 fault ls
    for point in before-begin after-append before-commit after-commit \
        before-publish after-publish read-before-commit read-after-commit; do
        shows "$said" "^crash/$point .* off +off +off$"
    done
    shows "$said" '^payment/decline +declines every payment +- +- +off$'
    asked_json 0 fault ls payment
    has payment.enabled true
    asked 0 fault set payment payment/decline --times 1 --after 1
    shows "$said" '^payment: payment/decline is on, once, after 1 pass$'
    asked 0 fault ls
    shows "$said" '^payment/decline .* - +- +ON$'
    # The first passes, the second does not, the third passes again.
    asked 0 place widget:1
    asked_json 1 place widget:1
    has status CANCELLED
    has events.2.type PaymentDeclined
    asked 0 trace "$(field order)"
    shows "$said" ' PaymentDeclined +2 +declined by a fault$' # alice has enough
    asked 0 place widget:1
    asked_json 0 fault ls payment
    shows "$said" '"point":"payment/decline"[^}]*"fired":1'
    asked 0 fault clear payment payment/decline
    logged payment '"message":"fault set: payment/decline"'
    logged payment '"message":"fault cleared: payment/decline"'
    asked 0 fault set order handler/slow
    shows "$said" 'until it is cleared'
    asked 0 fault clear --all
    logged order '"message":"fault cleared: all"'
    asked 0 fault ls
    shows_no "$said" ON
    asked 66 fault set order no/such
    asked 66 fault set order payment/decline
    asked 66 fault clear order no/such
    asked_json 66 fault set order handler/slwo
    shows "$(field error)" 'handler/slow'
}
rebuilt() {
    for view in order stock account; do
        asked 0 rebuild $view
        shows "$said" "^$view view: generation [0-9]+ serves, folded from"
        shows "$said" '^  the old generation was identical$'
        asked_json 0 rebuild $view
        has 'differences.#' 0
    done
    # A row that somebody spoilt is found and mended.
    asked 0 place widget:1 --id o-spoilt
    asked 0 wait --quiet
    sqlite3 "$(readlink -f "$SAGA_DIR/order/view.db")" \
        "UPDATE orders SET total_cents = 1 WHERE order_id = 'o-spoilt'" ||
        return 1
    asked 1 check --final
    shows "$said" 'FAIL +Q3'
    shows "$said" 'mend:  SAGA_DIR=[^ ]+ \./saga rebuild order'
    asked_json 0 rebuild order
    shows "$(field differences.0)" 'o-spoilt'
    asked 0 check --final
}
rebuild_in_flight() { # HC47
    "$saga" place gizmo:1 --customer nobody --count 1500 --json >"$work/flow" &
    others+=($!)
    for view in order stock account order; do
        asked_json 0 rebuild $view
        has 'differences.#' 0
        asked_json 0 ls --limit 1
    done
    wait "${others[-1]}" || true # they are declined
    same 1500 "$("$tools/json" cancelled <"$work/flow")"
    asked 0 wait --quiet
    asked 0 check --final
}
own_writes() { # HC46
    asked_json 0 status
    log=$(field services.order.log.id)
    for _ in $(seq 30); do
        asked_json 0 place gizmo:1 --no-wait
        order=$(field order) seq=$(field seq)
        said=$("$tools/ask" order qry "{\"get\":\"order\",\"order\":\"$order\",
            \"after\":[{\"service\":\"order\",\"log\":\"$log\",\"seq\":$seq}]}")
        has order.order "$order"
        [ "$(field as_of.order)" -ge "$seq" ]
    done
    said=$("$tools/ask" order qry "{\"get\":\"orders\",\"timeout_ms\":200,
        \"after\":[{\"service\":\"order\",\"log\":\"$log\",\"seq\":9999999}]}")
    has code 75
    # A position in another log than the one that is there is not waited for.
    said=$("$tools/ask" order qry "{\"get\":\"orders\",\"timeout_ms\":200,
        \"after\":[{\"service\":\"order\",\"log\":\"${log//[0-9]/0}\",\"seq\":1}]}")
    shows "$(field code)" '65|75'
}
read_sides() {
    local side
    for side in one two; do
        mkdir -p "$work/$side"
        "$SAGA_BUILD/bin/order-svc" --read-side "$work/$side" \
            >>"$work/$side.log" 2>&1 &
        others+=($!)
    done
    for side in one two; do
        within 30 side_is_up $side
        asked_json 0 place gizmo:1 --id o-$side
        within 30 side_shows $side
        asked 0 ls --read-side "$work/$side"
        shows "$said" "o-$side +CONFIRMED"
        asked 0 status --read-side "$work/$side"
        shows "$said" '^  order +[0-9]+ +- '
    done
    asked_json 0 status
    log=$(field services.order.log.id)
    asked_json 0 place gizmo:1 --id o-after --no-wait
    said=$("$tools/ask" --read-side "$work/one" order qry "{\"get\":\"order\",
        \"order\":\"o-after\",\"after\":[{\"service\":\"order\",
        \"log\":\"$log\",\"seq\":$(field seq)}]}")
    has order.order o-after
    asked_json 0 rebuild order --read-side "$work/two"
    has 'differences.#' 0

    echo 'a second one in the same directory is refused'
    ends_with 75 "$SAGA_BUILD/bin/order-svc" --read-side "$work/one" \
        2>"$work/refused"
    shows "$(cat "$work/refused")" "already running, pid ${others[0]}"
    echo 'one ends, the other and the service go on'
    kill -TERM "${others[0]}"
    ends_with 0 wait "${others[0]}"
    asked 69 ls --read-side "$work/one"
    asked_json 0 show o-after --read-side "$work/two"
    asked 0 ls
}
# In a subshell of its own, whose processes nobody else knows of.
with_read_sides() {
    trap 'kill -KILL "${others[@]}" 2>/dev/null' EXIT
    read_sides
}
side_is_up() { "$saga" status --read-side "$work/$1" >/dev/null 2>&1; }
side_shows() {
    "$saga" show "o-$1" --read-side "$work/$1" 2>/dev/null | grep -q CONFIRMED
}
backups() {
    "$saga" place gizmo:1 --customer nobody --count 1500 --json >"$work/flow" &
    others+=($!)
    asked 0 backup "$work/copy" # while orders flow
    shows "$said" 'the copies are consistent with each other'
    shows "$said" "SAGA_DIR=$work/copy ./run.sh"
    SAGA_DIR=$work/copy asked 0 check
    SAGA_DIR=$work/copy asked 0 verify
    wait "${others[-1]}" || true
    asked_json 0 backup "$work/copy-json"
    has directory "$work/copy-json"
    asked 64 backup "$work/copy"
    shows "$said" 'not empty'
    echo 'what was given up is on record in the copy, too'
    echo '{"id":"S2","subject":"o-x","text":"lost","time":1,"by":"t","reason":"r"}' \
        >"$SAGA_DIR/losses.jsonl"
    mkdir "$work/copy-losses"
    for copy in losses new-losses; do
        asked 0 backup "$work/copy-$copy"
        cmp "$SAGA_DIR/losses.jsonl" "$work/copy-$copy/losses.jsonl"
        SAGA_DIR=$work/copy-$copy asked 0 check
        same 'inventory losses.jsonl order payment' "$(names_in "$work/copy-$copy")"
    done
    rm "$SAGA_DIR/losses.jsonl"
    asked 66 backup "$work/no/such/copy"
}
backup_inside() {
    mkdir "$work/empty"
    asked 0 backup "$work/empty"
    same 'inventory order payment' "$(names_in "$work/empty")"
    can_mount || return 0
    mkdir "$work/mounted"
    mount -t tmpfs -o size=20m saga-test "$work/mounted"
    mkdir "$work/mounted/lost+found"
    asked 0 backup "$work/mounted"
    rmdir "$work/mounted/lost+found"
    same 'inventory order payment' "$(names_in "$work/mounted")"
    SAGA_DIR=$work/mounted asked 0 check
    umount "$work/mounted"
}
names_in() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs; }
can_mount() {
    [ "$(id -u)" -eq 0 ] && mkdir -p "$work/mnt" &&
        mount -t tmpfs -o size=1m saga-test "$work/mnt" 2>/dev/null &&
        umount "$work/mnt"
}
# Every verb that reads files, as the same files stay.
backup_is_looked_at() {
    local copy=$work/looked-at before
    asked 0 place widget:1 --id looked-at
    asked 0 backup "$copy"
    before=$(files_of "$copy")
    look_at "$copy"
    same "$before" "$(files_of "$copy")"
    can_mount || return 0
    echo 'on media that cannot be written'
    mkdir "$work/read-only"
    mount --bind "$copy" "$work/read-only"
    mount -o remount,bind,ro "$work/read-only"
    look_at "$work/read-only"
    umount "$work/read-only"
    echo 'and of logs that were in use once'
    sqlite3 "$copy/order/log.db" 'PRAGMA journal_mode = WAL' >/dev/null
    rm -f "$copy"/*/*-wal "$copy"/*/*-shm
    head -c 100000 /dev/zero >"$copy/order/log.db-wal" # a stop leaves it so
    mount --bind "$copy" "$work/read-only"
    mount -o remount,bind,ro "$work/read-only"
    look_at "$work/read-only"
    umount "$work/read-only"
}
files_of() { find "$1" -type f -exec sha256sum {} + | sort; }
look_at() { # DIRECTORY
    SAGA_DIR=$1 asked 0 check
    SAGA_DIR=$1 asked 0 verify
    SAGA_DIR=$1 asked 0 log order --limit 3
    SAGA_DIR=$1 asked 0 trace looked-at
    SAGA_DIR=$1 asked 0 backup "$1-again"
    rm -r "$1-again"
}
backup_starts() {
    new_shop copy
    start_all
    all_is_well
    asked 0 place widget:1
    end_all TERM
    same 0 "$ended"
    asked 0 backup "$work/second-copy" # of stopped ones
    SAGA_DIR=$work/second-copy asked 0 check
}

it 'every verb has its help, and a wrong one a suggestion' help_for_all
new_shop shop
trap 'end_processes; rm -rf "$work"' EXIT
start_all >&2 && seed &&
    { "$saga" stock gizmo 100000 && "$saga" fund alice 100000; } >&2
it 'help, too, is one JSON value when that is asked for' help_json
it 'scenarios and chapters are listed as JSON' scripts_json
it 'a value that is an option is none' words_for_values
it 'extra words are told on one line, with 64' extra_words
it 'wrong words are told on one line, with 64' wrong_words
it 'wrong values are told on one line, with 64' wrong_values
it 'what is wrong, or missing, is named' what_is_wrong
it 'a number or a time that is not one is refused' times
it 'no other address than the loopback one is taken' bus_elsewhere
it 'place says how it ended, and why not' place_text
it 'place --json is one value, whatever happens' place_json
it 'place --count places as many, once' place_many
it 'an id counts once, and not for something else' same_id
it 'a journal of acknowledged orders is checked' journal
it 'deposit 50, deposit 80, pay 30: the balance at each point' story
it 'show shows orders, skus and customers, now and then' show_all
it 'ls pages through any number of orders' ls_pages
it 'ls lists products, stock and customers, too' ls_kinds
it 'a name that is new is called so, and the one that may be meant' new_names
it 'in a new shop every name is new' new_shop_is_all_new
it 'log prints events as they are' logs
it 'log --follow goes on until it is told to stop' follow
it 'log --follow --json is one value a line' follow_json
it 'trace and why of an order that has ended' traces
it 'status, wait, flow, check and verify of a healthy shop' states
it 'what there is nothing of is told so' unfinished
it 'faults are listed, set, counted and cleared' faults
it 'a view is rebuilt, and what differed is told' rebuilt
it 'a rebuild while orders flow loses nothing' rebuild_in_flight
it 'a query after a position shows what was written' own_writes
it 'two lone read sides serve, and end alone' with_read_sides
it 'backup copies a running shop' backups
it 'a backup into an empty directory, or a mount point, is made inside it' \
    backup_inside
it 'a backup is looked at where it lies, and nothing is left there' \
    backup_is_looked_at
it 'a backup starts, and is backed up stopped' backup_starts
