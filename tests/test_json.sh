#!/usr/bin/env bash
# `saga --json` says one JSON value, always: for every verb, whatever the words,
# with the services up, one of them down, and all.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

verbs=$("$saga" --help | awk '/^  [a-z]/ { print $1 }')

# Standard output has to be one value; an error has the exit code in it.
says_json() { # WORDS...
    local code=0
    "$saga" "$@" >"$work/said" 2>"$work/told" </dev/null || code=$?
    "$tools/json" <"$work/said" || {
        echo "not one value (exit code $code): saga ${*@Q}"
        cat "$work/said" "$work/told"
        return 1
    }
    if grep -q '^{"error":' "$work/said"; then
        ends_with "$code" exit_as_said
    fi
    # Nothing in it moves a cursor.
    ! LC_ALL=C.UTF-8 grep -qP '[\x00-\x08\x0b-\x1f\x7f-\x9f\x{200b}-\x{200f}\x{202a}-\x{202e}]' "$work/said"
}

exit_as_said() { return "$("$tools/json" code <"$work/said")"; }

# What VERB says is one value of its schema, and so of docs/json.md.
is_of_schema() { # VERB WORDS...
    local wrong
    says_json "$@" --json || return 1
    wrong=$(jq -r -n --slurpfile common "$schemas/common.json" \
        --slurpfile schema "$schemas/$1.json" --slurpfile value "$work/said" \
        -f "$schemas/validate.jq") || wrong="jq ends with $?"
    [ -z "$wrong" ] || {
        echo "not of the schema: saga ${*@Q}: $wrong"
        cat "$work/said"
        return 1
    }
}
schemas=$root/tests/schemas

# What can be asked whatever runs, with an answer or an error.
asked_of_all() {
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        is_of_schema $words
    done <<'END'
ls
ls --limit 1 --status CONFIRMED
ls orders --customer bob
ls products
ls stock
ls customers --limit 1
show o-1
show o-2
show o-none
show order:o-1 --at 4
show o-1 --time 2100000000000
show o-1 --at inventory:4
show sku:widget
show sku:widget --at 2
show customer:alice
show customer:bob --at 2
show customer:none
wait o-1 --timeout 1
wait o-2 --timeout 1
wait --quiet --timeout 1
trace o-1
trace o-2
trace o-1 --mermaid
why o-1
why o-2
why o-none
log order
log --all
log payment --from 2 --limit 1
log inventory --from 999
status
status payment
check
check --final
check --explain
check --explain s6
check --explain S99
verify
verify order
fault ls
fault ls payment
parked
parked payment
undone --within 500
pids
pids payment
signal payment CONT
signal payment nope
flow
flow --mermaid
scenario ls
scenario show 7
learn
help
help place
version
man
completion bash
END
}
healthy() {
    is_of_schema place widget:1 --id o-1
    is_of_schema place gadget:2 --id o-2 --customer bob
    is_of_schema place gadget:2 --id o-3 --no-wait
    is_of_schema place widget:1 --count 3 --id many
    is_of_schema place widget:1 --count 2 --no-wait
    is_of_schema place nothing:1
    is_of_schema place widget:1 --id o-2
    is_of_schema cancel o-1
    is_of_schema cancel o-none
    is_of_schema fund dora 1.50
    is_of_schema stock lamp 2
    is_of_schema product lamp 7
    asked_of_all
    is_of_schema redrive
    is_of_schema redrive order --seq 1
    is_of_schema accept order payment
    is_of_schema acknowledge
    is_of_schema rebuild stock
    is_of_schema backup "$work/copy"
    is_of_schema fault set payment payment/decline --times 1
    is_of_schema fault ls
    is_of_schema fault clear payment
    is_of_schema fault clear --all
    is_of_schema bench --sagas 50 --no-check
}
# With payment-svc down: an order waits, and answers come from a file.
one_down() {
    end payment TERM
    is_of_schema place widget:1 --id o-waits --timeout 1
    is_of_schema place widget:1 --id some --count 3 --timeout 1
    is_of_schema cancel o-waits
    is_of_schema fund bob 1
    is_of_schema why o-waits
    is_of_schema trace o-waits
    is_of_schema show o-waits
    asked_of_all
    is_of_schema redrive
    is_of_schema accept order payment
    is_of_schema fault clear --all
    is_of_schema shutdown payment
    is_of_schema shutdown order
    start order
    all_but_payment_up
    start payment
    all_up
}
all_but_payment_up() { within 30 asked 0 status order && within 30 asked 0 status inventory; }
all_down() {
    local verb
    is_of_schema shutdown --all
    asked_of_all
    for verb in 'place widget:1' 'cancel o-1' 'fund bob 1' 'stock widget 1' \
        'product widget 1' redrive 'accept order payment' 'rebuild order' \
        "backup $work/second" 'shutdown --all' 'shutdown order' bench \
        'fault set payment payment/decline' 'fault clear --all'; do
        # shellcheck disable=SC2086 # words
        is_of_schema $verb
    done
}

# Whoever answers, the same is said but for where it comes from.
same_up_and_down() {
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        "$saga" $words --json | jq -S 'if type == "object" then del(.from_files) else . end' >>"$work/$1"
    done <<'END'
show o-1
show o-2
show sku:widget
show customer:alice
show customer:bob --at 3
show o-1 --at inventory:4
trace o-1
trace o-2
why o-2
verify
parked
END
}
said_alike() {
    [ -s "$work/up" ]
    diff "$work/up" "$work/down"
}

any_words() {
    local verb word
    for verb in $verbs; do
        for word in $'\xff' $'\xc3(' $'a\eb[31m' $'\u202eko' $'two\nlines' \
            "$(printf 'long%.0s' {1..2000})"; do
            says_json "$verb" "$word" --json
            says_json --json "$verb" "--$word"
        done
        says_json "$verb" x '' $'\xff' --js
    done
}
wrong_words() {
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        says_json --json $words
        # shellcheck disable=SC2086
        says_json $words --jso
    done <<'END'
nope
--dir
--nope
place
place widget:1 --journal
show
show o-1 --at
wait
log
backup
fault
fault set
accept
acknowledge extra
completion
completion bash
man
learn 1
--help place extra
END
    says_json --json
    says_json --json --
}
any_directory() {
    local name
    for name in $'\xff' $'\u202e' $'new\nline'; do
        mkdir -p "$work/of/$name"
        says_json backup "$work/of/$name" --json
        ends_with 0 test -e "$work/of/$name/order/log.db"
        for verb in show ls log parked status verify check trace why; do
            says_json "$verb" order --json --dir "$work/of/$name"
            says_json "$verb" --json --dir "$work/not/$name"
        done
    done
}

documented() { # what the schemas say, docs/json.md says
    diff "$root/docs/json.md" <("$root/scripts/json-docs.sh")
    local verb
    for verb in $verbs; do [ -e "$schemas/$verb.json" ]; done
}

new_shop shop
trap 'end_processes; rm -rf "$work"' EXIT
start_all >&2 && seed >&2
mkdir "$work/here" && cd "$work/here" || exit # `backup WORD` makes it there
it 'any words are answered with one JSON value' any_words
it 'wrong words are, too' wrong_words
if command -v jq >/dev/null; then
    it 'what each verb says is of its schema' healthy
    "$saga" wait --quiet >&2
    it 'and is written down in docs/json.md' documented
    it 'with a service down it is, too' one_down
    "$saga" wait --quiet >&2
    same_up_and_down up
    it 'with all services down it is, too' all_down
    pids=()
    same_up_and_down down
    it 'an answer is the same, whoever gives it' said_alike
    start_all >&2
else
    skip 'what each verb says is of its schema' 'jq is not there'
fi
it 'directories may have any name' any_directory
