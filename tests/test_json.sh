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

any_words() {
    local verb word
    for verb in $verbs; do
        for word in $'\xff' $'\xc3(' $'a\eb[31m' $'\u202eko' $'two\nlines' '' \
            "$(printf 'long%.0s' {1..2000})"; do
            says_json "$verb" "$word" --json
            says_json --json "$verb" "$word" "$word"
            says_json "$verb" --json "--$word"
            says_json "$verb" x "$word" --js
        done
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

new_shop shop
trap 'end_processes; rm -rf "$work"' EXIT
start_all >&2 && seed >&2
mkdir "$work/here" && cd "$work/here" || exit # `backup WORD` makes it there
it 'any words are answered with one JSON value' any_words
it 'wrong words are, too' wrong_words
it 'so are directories with any name' any_directory
