#!/usr/bin/env bash
# What comes from the tables of the verbs: each verb and each option is in the
# help, the man page and the completion, and an option takes its value in both
# ways.  No service runs.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

export NO_COLOR=1 SAGA_DIR=$work/none
unset SAGA_BUS

verbs=$("$saga" help | awk '/^  [a-z]/ { print $1 }')

# The options that `saga help VERB`, or `saga help`, lists: "--id ORDER".
options_of() { # [VERB]
    "$saga" help "$@" | sed -nE 's/^  (--[a-z-]+( [^ ]+)?) .*/\1/p'
}
# What `saga WORDS` says and ends with; the help of options has no part in it.
said_by() { # WORDS...
    local code=0
    "$saga" "$@" </dev/null 2>&1 || code=$?
    echo "exit code $code"
}

all_are_listed() {
    diff <(sort <<<"$verbs") \
        <(sed -nE 's/.*\.name = "([a-z]+)".*/\1/p' \
            "$root"/{saga-cli,shop/cli}/*.c "$root"/bench/saga_bench.c | sort -u)
    [ "$(uniq <<<"$verbs" | wc -l)" -ge 29 ]
    local verb
    for verb in $verbs; do
        said=$(ends_with 0 "$saga" "$verb" --help)
        shows "$said" "^usage: saga $verb( |$)"
        [ "$said" = "$("$saga" help "$verb")" ]
        [ "$(wc -L <<<"$said")" -le 80 ]
    done
}

# The README begins with the same verbs as the help.
first_ten_minutes() {
    local first
    first=$("$saga" help | sed -nE '/^The first/,/^$/ s/^  ([a-z]+) .*/\1/p')
    [ "$(wc -l <<<"$first")" = 5 ]
    diff <(echo "$first") <(sed -nE 's/^    \.\/saga ([a-z]+) .*/\1/p' "$root/README.md")
    diff <(echo "$first") \
        <("$saga" help --json | jq -r '.verbs[] | select(.first).name')
}

# Each has examples, whose words are words of that verb.
examples() {
    local verb example
    for verb in $verbs; do
        "$saga" help "$verb" | sed -n 's/^  \.\/saga //p' >"$work/examples"
        [ -s "$work/examples" ]
        while read -r example; do
            [ "${example%% *}" = "$verb" ]
            case $example in man* | learn* | scenario* | bench* | *--follow | 'wait --quiet' | undone) continue ;; esac
            # No shop is there: more than the words is not tried.
            eval "said=\$(said_by $example)"
            shows "$said" '^exit code (0|66|69|1)$'
        done <"$work/examples"
    done
}

# --option=VALUE and --option VALUE are one; a flag takes none.
both_ways() {
    local verb option arg one two count=0
    for verb in $verbs; do
        while read -r option arg; do
            if [ -z "$arg" ]; then
                shows "$(said_by "$verb" "$option=1")" \
                    "^saga: $option=1 takes no value "
                continue
            fi
            one=$(said_by "$verb" "$option=@@")
            two=$(said_by "$verb" "$option" @@)
            echo "$verb $option: $one"
            [ "$one" = "$two" ]
            if grep -E 'no option|takes no value' <<<"$one"; then return 1; fi
            shows "$(said_by "$verb" "$option")" "^saga: $option needs a value "
            shows "$(said_by "$verb" "$option" --nope)" \
                "^saga: $option needs a value, not --nope "
            count=$((count + 1))
        done < <(options_of "$verb")
    done
    [ $count -ge 25 ]
}

global_options() {
    local wanted words
    wanted=$(said_by --dir "$work/other" --json status)
    shows "$wanted" '"running":false'
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        [ "$(said_by $words)" = "$wanted" ]
    done <<END
--dir=$work/other --json status
status --dir $work/other --json
status --json --dir=$work/other
--json status --dir=$work/other
--dir $work/elsewhere --json status --dir $work/other
END
    while read -r option arg; do
        [ -z "$arg" ] || shows "$(said_by "$option")" \
            "^saga: $option needs a value \('\./saga --help'\)"
        shows "$(said_by status "$option=" "$option")" '^(saga|\{"error)'
    done < <(options_of)
    shows "$(said_by --bus=tcp://192.0.2.1:1 status)" 'only tcp://127'
    shows "$(said_by --bus tcp://192.0.2.1:1 status)" 'only tcp://127'
}

# What may stand where the last of WORDS stands.
completed() { # WORDS...
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _saga
    printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort -u
}
completion() {
    local verb
    "$saga" completion bash >"$work/saga.bash"
    # shellcheck source=/dev/null
    . "$work/saga.bash"
    complete -p saga
    diff <(sort <<<"$verbs") <(completed saga '')
    for verb in $verbs; do
        diff <({
            echo --help
            { options_of && options_of "$verb"; } | cut -d ' ' -f 1
        } | sort -u) <(completed saga "$verb" --)
    done
    [ "$(completed saga --dir x log '' | xargs)" = 'inventory order payment' ]
    [ "$(completed saga --dir = x fault s)" = set ]
    [ "$(completed saga wait --t)" = --timeout ]
    [ -z "$(completed saga place --customer '')" ]
    [ -z "$(completed saga place --customer =)" ]
    mkdir "$work/some"
    touch "$work/file"
    [ "$(completed saga backup "$work/so")" = "$work/some" ]
    [ "$(completed saga check --journal "$work/fi")" = "$work/file" ]
    [ "$(completed saga status --dir = "$work/so")" = "$work/some" ]
    shows "$(said_by completion)" '^saga: missing bash '
    shows "$(said_by completion zsh)" '^saga: zsh: only bash is supported'
}

man_page() {
    local verb option page
    "$saga" man >"$work/saga.1"
    # shellcheck disable=SC1003 # a backslash
    page=$(tr -d '\\' <"$work/saga.1" | sed 's/f[BIR]//g')
    for verb in $verbs; do
        shows "$page" "^\.SS $verb$"
        shows "$page" "^saga $verb( |$)"
        while read -r option; do
            shows "$page" "^$option$"
        done < <(options_of "$verb")
    done
}
man_warns_of_nothing() {
    local said
    said=$(MANWIDTH=79 man -l --warnings=w "$work/saga.1" 2>&1 >"$work/page")
    echo "$said"
    [ -z "$said" ]
    [ "$(wc -L <"$work/page")" -le 80 ]
    shows "$(cat "$work/page")" '--journal FILE'
}

# Every invariant is explained, by its name in any case, and the place that is
# said to check it is there.
explained() {
    local ids id file function
    # shellcheck source=/dev/null
    . <("$saga" completion bash)
    ids=$("$saga" check --explain --json | jq -r '.promises[].id' | xargs)
    [ "$ids" = 'S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 L1 Q1 Q2 Q3 J1 J2' ]
    [ "$(completed saga check --explain '' | sort | xargs)" = \
        "$(xargs -n 1 <<<"$ids" | sort | xargs)" ]
    for id in $ids; do
        "$saga" check --explain "${id,,}" --json | jq -e --arg id "$id" '
            (.promises | length) == 1 and (.promises[0] | .id == $id and
            all(.means, .accident; endswith(".")) and (.look | length > 0))'
    done
    "$saga" check --explain --json | jq -r '.promises[].where' |
        sed 's/; /\n/g' >"$work/places"
    while IFS=': ' read -r file function; do
        for function in ${function//,/}; do
            grep -qE "^[a-z].*\b${function%()}\(|^${function%()}\(" "$root/$file" || {
                echo "$file has no $function"
                return 1
            }
        done
    done <"$work/places"
    [ "$(wc -l <"$work/places")" -ge 16 ]
}
look_is_a_verb() {
    local verb
    while read -r verb _; do
        grep -qx "$verb" <<<"$verbs"
    done < <("$saga" check --explain --json | jq -r '.promises[].look')
    shows "$("$saga" check --explain S6)" '^     look +\S*\./saga show sku:SKU$'
    ends_with 66 "$saga" check --explain S99
    ends_with 64 "$saga" check S6
}

# A service more than the tables name does not compile.
all_are_named() {
    local file
    mkdir -p "$work/four"
    cp -r "$root/shop" "$work/four/"
    sed -i 's/SERVICES = 3 /SERVICES = 4 /' "$work/four/shop/shop.h"
    for file in shop/shop.c shop/roster.c shop/invariants.c; do
        ends_with 1 "${CC:-cc}" -std=c17 -fsyntax-only -D_GNU_SOURCE \
            -I"$work/four" -I"$root/libevents" -I"$root" \
            "$root/$file" 2>"$work/refused"
        shows "$(cat "$work/refused")" 'static.assert|_Static_assert'
    done
}

no_sql() {
    if grep -lE 'sqlite3|store_connection' "$root"/{saga-cli,shop/cli}/*.[ch] \
        "$root"/bench/saga_bench.c; then
        return 1
    fi
}

it 'every verb is in the help, and has its own' all_are_listed
it 'help and README begin with the same five verbs' first_ten_minutes
it 'every help has examples that can be typed' examples
it 'an option takes its value behind = or as a word' both_ways
it 'global options stand before or behind the verb' global_options
it 'the completion knows every verb and option' completion
it 'the man page has every verb and option' man_page
if command -v man >/dev/null; then
    it 'man shows the page without a warning' man_warns_of_nothing
else
    skip 'man shows the page without a warning' 'man is not there'
fi
it 'every invariant is explained, and checked where it says' explained
it 'what to look at is a verb of saga' look_is_a_verb
it 'a service that no table names does not compile' all_are_named
it 'saga asks the store, and knows no SQL' no_sql
