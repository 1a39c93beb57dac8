#!/usr/bin/env bash
# The verbs of `saga` that change something: whatever happens to the answer, to
# the service or to the person who waits, what was done is told, and a verb
# takes no longer than its --timeout.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

# Runs a verb whose standard output fails.  What is on stderr is in $said.
unheard() { # VERB...
    said=$(ends_with 74 "$saga" "$@" 2>&1 >/dev/full) || {
        echo "$said"
        return 1
    }
    shows "$said" 'the answer could not be written: No space left on device'
}
balance() { "$saga" --json show "customer:$1" | "$tools/json" balance_cents; }
orders_like() { # PATTERN
    sqlite3 -readonly "$SAGA_DIR/order/log.db" "SELECT count(*) FROM event
        WHERE type = 'OrderPlaced' AND order_id LIKE '$1'"
}
recorded() { # PATTERN NUMBER
    [ "$(orders_like "$1")" -ge "$2" ]
}
id_in() { # PREFIX
    grep -oE "\\b$1-[a-z0-9]{18}\\b" <<<"$said" | sort -u
}
# A process that is stopped answers nobody.
pause() { # SERVICE...
    local s
    for s; do kill -STOP "${pids[$s]}"; done
}
resume() { # SERVICE...
    local s
    for s; do kill -CONT "${pids[$s]}"; done
}
# COMMAND ends within SECONDS: far more than it should take, far less than if
# each of its parts had a time of its own.
takes_at_most() { # SECONDS COMMAND...
    local begun end
    read -r begun _ </proc/uptime
    "${@:2}"
    read -r end _ </proc/uptime
    [ $((${end%.*} - ${begun%.*})) -le "$1" ] || {
        echo "took $((${end%.*} - ${begun%.*})) s: ${*:2}"
        return 1
    }
}

shop() {
    new_shop "${FUNCNAME[1]}${1:-}"
    start_all
    seed
}

# ---- an answer that nobody hears ---------------------------------------------

effects_are_named() {
    local id
    shop
    for words in 'fund bob 10' 'stock widget 5' 'product widget 19.90'; do
        # shellcheck disable=SC2086 # many words
        unheard $words
        shows "$said" "c-[a-z0-9]{18} is recorded \((order|inventory|payment) #"
    done
    unheard fund bob 10 --id mine
    shows "$said" 'mine is recorded \(payment #[0-9]+\)$'
    same 4000 "$(balance bob)"
    ends_with 0 "$saga" fund bob 10 --id mine # told so, one repeats it safely
    same 4000 "$(balance bob)"
    unheard place widget:1
    id=$(id_in o)
    [ -n "$id" ]
    asked 0 show "$id"
    unheard place gizmo:1 --count 3 --id many
    shows "$said" '(^|; )many-1 to many-3 '
    unheard place gizmo:1 --no-wait --id quick --json
    shows "$said" '; quick is placed'
    pause payment
    asked 0 place gizmo:1 --no-wait --id pending
    unheard cancel pending
    shows "$said" "is recorded \\(order #[0-9]+\\)$"
    resume payment
}
all_verbs_fail() {
    local verb
    shop
    for verb in 'help' '--help' '--version' '--json --version' 'help place' \
        'flow' 'man' 'completion bash' 'status' 'status --json' 'ls' \
        'learn' 'log order' 'check' 'fault ls' 'parked' 'show sku:widget'; do
        # shellcheck disable=SC2086 # many words
        ends_with 74 "$saga" $verb >/dev/full 2>/dev/null || {
            echo "not 74: $verb" >&2
            return 1
        }
    done
    ! "$saga" scenario ls >/dev/full 2>&1
}
closed_streams() {
    local code=0
    shop
    said=$(ends_with 74 "$saga" fund bob 1 --id closed 2>&1 >&-)
    shows "$said" 'closed is recorded \(payment'
    ends_with 74 "$saga" fund bob 1 --id closed >&- 2>&-
    ends_with 0 "$saga" fund bob 1 --id closed <&-
    { said=$("$saga" fund bob 1 --id piped 2>&1 >&3 3>&-) || code=$?; } 3> >(true)
    case $code in
        0) ;; # the reader was slower than we
        74) shows "$said" 'Broken pipe; piped is recorded' ;;
        *) false ;;
    esac
    same 2200 "$(balance bob)"
}

# ---- one time for all ---------------------------------------------------------

hung_while_waiting() {
    shop
    pause payment
    "$saga" place widget:1 --count 40 --id late --timeout 4 \
        >"$work/late" 2>&1 &
    placing=$!
    within 30 recorded 'late-%' 40
    pause order
    takes_at_most 15 ends_with 75 wait "$placing"
    shows "$(<"$work/late")" '^40 orders in .*, 40 not yet ended$'
    resume order payment
}
hung_while_sending() {
    shop
    pause order
    takes_at_most 10 asked 75 place gizmo:1 --count 100 --id hung --timeout 1
    shows "$said" 'order-svc \(pid [0-9]+\) is running but does not answer'
    shows "$said" '^0 of 100 orders placed \(hung-1 to hung-100\), 64 may be recorded, 36 not sent$'
    shows "$said" '^To repeat them safely: .* --id hung$'
    resume order
    asked 0 place gizmo:1 --count 100 --id hung --timeout 60
    same 100 "$(orders_like 'hung-%')"
}
hung_alone() {
    shop
    pause order inventory payment
    takes_at_most 10 asked 75 place widget:1 --id alone --timeout 1
    shows "$said" 'alone may be recorded: to repeat it safely, use --id alone$'
    takes_at_most 12 asked 75 wait alone --timeout 1
    resume order inventory payment
    asked 0 place widget:1 --id alone
    pause inventory payment
    takes_at_most 12 asked 75 place widget:1 --id stuck --timeout 1
    shows "$said" 'stuck'
    resume inventory payment
}

# ---- part of it ----------------------------------------------------------------

part_is_told() {
    shop
    asked 0 place gizmo:1 --id part-3
    asked 1 place widget:1 --count 5 --id part
    shows "$said" '^saga: part-3 was not placed: '
    shows "$said" '^4 of 5 orders placed \(part-1 to part-5\), 1 refused$'
    shows "$said" '^4 orders in .*: 4 confirmed, 0 cancelled$'
    asked_json 1 place widget:1 --count 5 --id part
    has first part-1
    has last part-5
    has placed 4
    has refused 1
    has unknown 0
    has not_sent 0
    has confirmed 4
    # Refused in the first batch: the second is not sent.
    asked 1 place nothing:1 --count 70 --id none
    shows "$said" '^0 of 70 orders placed \(none-1 to none-70\), 64 refused, 6 not sent$'
    asked 0 place gizmo:1 --count 3 --no-wait
    shows "$said" '^3 orders placed \((o-[a-z0-9]{18})-1 to o-[a-z0-9]{18}-3\)$'
    end order
    asked 69 place widget:1 --count 5 --id down
    shows "$said" '^0 of 5 orders placed \(down-1 to down-5\), 5 not sent$'
    asked_json 69 place widget:1 --count 5 --id down
    has not_sent 5
}

# ---- before the effect ---------------------------------------------------------

# Four clients write into one journal: whole lines, whoever was first.
journal_of_many() {
    local n clients=()
    shop journals
    for n in 1 2 3 4; do
        "$saga" place gizmo:1 --count 200 --no-wait --journal "$work/shared" &
        clients+=($!)
    done
    for n in "${clients[@]}"; do wait "$n" || return 1; done
    same 800 "$(wc -l <"$work/shared")"
    asked 0 check --journal "$work/shared"
}
journal_first() {
    shop
    asked 74 place widget:1 --id unplaced --journal /nonexistent/j
    shows "$said" '^saga: /nonexistent/j: No such file or directory; no order was placed$'
    same 0 "$(orders_like unplaced)"
    asked 74 place widget:1 --id written --journal /dev/full
    shows "$said" '/dev/full: cannot write: No space left on device; orders that were placed are missing there$'
    shows "$said" '^written .* CONFIRMED'
}

# ---- whoever waits goes away ---------------------------------------------------

interrupted() { # SIGNAL
    shop "$1"
    pause payment
    # Without job control a background process ignores SIGINT: env has it back.
    env --default-signal=INT "$saga" place widget:1 --id "hurry-$1" \
        >"$work/out" 2>"$work/err" &
    placing=$!
    within 30 recorded "hurry-$1" 1
    kill -"$1" "$placing"
    ends_with $((128 + $(kill -l "$1"))) wait "$placing" 2>/dev/null
    shows "$(<"$work/err")" "^saga: interrupted; hurry-$1 (is placed|may be recorded): "
    resume payment
    asked 0 wait "hurry-$1"
}
# It has said in advance what is to be told: it catches SIGINT.  So does the
# bash that will become it, if that has a trap.
is_ready() { # PID
    [ "$(<"/proc/$1/comm")" = saga ] && (($((16#$(awk '/^SigCgt/ { print $2 }' "/proc/$1/status"))) & 2))
}
interrupted_unknown() {
    shop
    pause order
    env --default-signal=INT "$saga" place widget:1 --count 5 --id gone \
        >"$work/out" 2>"$work/err" &
    placing=$!
    within 30 is_ready "$placing"
    kill -INT "$placing"
    ends_with 130 wait "$placing" 2>/dev/null
    shows "$(<"$work/err")" '^saga: interrupted; gone-1 to gone-5 may be recorded: to repeat them safely, use --id gone$'
    resume order
}

it 'an answer that cannot be written: the effect is named, on stderr' \
    effects_are_named
it 'no verb ends with 0 when its answer cannot be written' all_verbs_fail
it 'closed streams and pipes: what was done is told, and nothing else is written to' \
    closed_streams
it 'a service that hangs while many orders are waited for: one --timeout for all' \
    hung_while_waiting
it 'one that hangs while they are sent: what is unknown, what was not sent' \
    hung_while_sending
it 'one order and services that hang: the id is told in time' hung_alone
it 'some of many are refused: how many, and which were placed' part_is_told
it 'clients that share a journal write whole lines' journal_of_many
it 'a journal that cannot be opened: nothing is placed' journal_first
for signal in INT TERM HUP; do
    it "SIG$signal while an order is waited for: its id is told" \
        interrupted $signal
done
it 'Ctrl-C before there is an answer: what may be recorded is told' \
    interrupted_unknown
