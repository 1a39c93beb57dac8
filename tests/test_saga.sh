#!/usr/bin/env bash
# The errors of the saga command: each names the thing and the next command, and
# a program can read it.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

export NO_COLOR=1 SAGA_DIR=$work/data
trap '"$root/run.sh" stop >/dev/null 2>&1; rm -rf "$work"' EXIT

# The command has to exit with CODE and to say PATTERN.
refuses() { # CODE PATTERN WORDS...
    local said
    said=$(ends_with "$1" "$saga" "${@:3}" 2>&1) || {
        echo "$said"
        return 1
    }
    shows "$said" "$2"
}

orders_are_named() {
    ends_with 0 "$saga" place widget:1 --id o-done
    refuses 66 "^saga: no order o-none \\('SAGA_DIR=[^ ]+ \./saga ls'" cancel o-none
    refuses 1 '^saga: o-done: too late: .*saga trace o-done' cancel o-done
    refuses 66 '"code":66' cancel o-none --json
}

wrong_words_are_named() {
    refuses 64 '^saga: -3 is negative, but numbers must not be' fund alice -3
    refuses 64 '^saga: -35 is negative' fund alice -35
    refuses 64 '^saga: -x is not an option' fund alice -x
    refuses 64 '^saga: --customer needs a value' place widget:1 --customer
    refuses 64 '^saga: --follow=2 takes no value' log --follow=2
    refuses 64 '^saga: --nope=3 is not an option' ls --nope=3
    refuses 64 '^saga: no verb plase \(did you mean place' help plase
}

help_fits() {
    local verb
    for verb in $("$saga" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'); do
        said=$(ends_with 0 "$saga" "$verb" --help)
        [ "$said" = "$("$saga" help "$verb")" ]
        [ "$(wc -L <<<"$said")" -le 80 ]
        [[ $said != *' '$'\n'* ]]
    done
    shows "$("$saga" --version)" '^saga [0-9]+\.[0-9]+\.[0-9]+$'
    [ "$("$saga" -h)" = "$("$saga" help)" ]
}

# The service's name begins in one column, whatever stands before it.
columns_stay() {
    "$saga" log --all >"$work/log"
    [ "$(grep -oE '^.* (order|inventory|payment)  ' "$work/log" |
        sed 's/\(order\|inventory\|payment\) *$//' |
        awk '{ print length }' | sort -u | wc -l)" -eq 1 ]
}

diagrams_are_json() {
    said=$(ends_with 0 "$saga" trace o-done --mermaid --json)
    shows "$said" '^\{"mermaid":"sequenceDiagram.*OrderPlaced.*"\}$'
}

# On a terminal of 60 columns nothing is wider, and nothing is lost.
on_60_columns() { # VERB...
    local line
    printf -v line '%q ' "$saga" "$@"
    script -qec "stty cols 60; TERM=xterm $line" /dev/null </dev/null | tr -d '\r'
}
words_of() { tr '\n' ' ' <"$1" | tr -s ' '; } # FILE
narrow() {
    local words
    while read -r words; do
        # shellcheck disable=SC2086 # words of one line
        "$saga" $words >"$work/wide" 2>&1 || true
        # shellcheck disable=SC2086
        on_60_columns $words >"$work/narrow"
        echo "$words:"
        cat "$work/narrow"
        [ "$(wc -L <"$work/narrow")" -le 60 ]
        [ "${words%% *}" = trace ] || [ "${words%% *}" = status ] ||
            [ "${words%% *}" = ls ] ||
            diff <(words_of "$work/wide") <(words_of "$work/narrow")
    done <<'END'
help
help place
help show
help wait
ls
status
log order
log --all
trace o-done
show customer:alice
check
fault ls
flow
verify
END
    shows "$(on_60_columns trace o-done)" 'payment +PaymentCharged'
}

# What an event holds can neither move the cursor nor turn a line around.
text_is_plain() {
    local reason=$'cold \u202efeet\u200b \u2066x'
    "$saga" shutdown payment >/dev/null
    ends_with 0 "$saga" place widget:1 --id o-bidi --no-wait
    ends_with 0 "$saga" cancel o-bidi --reason "$reason"
    "$root/run.sh" restart payment >/dev/null
    ends_with 0 "$saga" wait o-bidi
    local words
    for words in 'trace o-bidi' 'show o-bidi' 'why o-bidi' ls 'log order' \
        'log --all' 'show o-bidi --at 999' 'wait o-bidi'; do
        # shellcheck disable=SC2086 # words
        said=$("$saga" $words 2>&1 || true)
        if grep -P '[\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}]' <<<"$said"; then
            return 1
        fi
    done
    shows "$("$saga" show o-bidi)" 'cold \\u202efeet\\u200b \\u2066x$'
    shows "$("$saga" trace o-bidi)" 'cold \\u202efeet'
    # A program gets it as it is.
    shows "$("$saga" show o-bidi --json)" $'"reason":"cold \u202efeet'
}

read_sides_are_named() {
    mkdir "$work/reads"
    refuses 69 "^saga: no read side of order .*$work/reads" \
        --read-side "$work/reads" ls
    refuses 69 '^saga: no read side of inventory ' \
        --read-side "$work/reads" show sku:widget
}

away_is_not_unfinished() {
    ends_with 0 "$saga" shutdown --all
    refuses 69 '^saga: order-svc is not running; start it with' \
        wait o-done --timeout 1
    said=$(ends_with 0 "$saga" show o-done)
    ! grep -q reason <<<"$said"
}

"$root/run.sh" -d >&2
it 'a cancellation that is refused names its order' orders_are_named
it 'what is wrong with a command line is the word that is named' \
    wrong_words_are_named
it 'every verb has its help, of at most 80 columns' help_fits
it 'the columns of a log begin where they begin' columns_stay
it 'a diagram is JSON for a program' diagrams_are_json
it 'on a terminal of 60 columns nothing is wider' narrow
it 'text of an event is shown, and does nothing else' text_is_plain
it 'a read side that is not there is named' read_sides_are_named
it 'of a service that is away nothing is claimed' away_is_not_unfinished
