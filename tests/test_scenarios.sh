#!/usr/bin/env bash
# What runs the scenarios, the lab and the tutorial: it fails when it should,
# and leaves nothing behind.  The scenarios themselves are run by `make
# scenarios`, the chapters by `make docs-test`.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

# A document with one block of commands; prints its name.
document() { # NAME COMMAND...
    local name=$work/$1.md
    shift
    printf '# A story\n\n```console\n' >"$name"
    printf '$ %s\n' "$@" >>"$name"
    # shellcheck disable=SC2016 # a fence
    printf '```\n' >>"$name"
    echo "$name"
}

# Processes that have something of ours in their environment.
leftovers() { grep -lsa -- "$work/tmp" /proc/[0-9]*/environ | grep -v "/$$/"; }
none_left() { [ -z "$(leftovers)" ]; }

marked_is_refused() {
    mkdir "$work/marked"
    touch "$work/marked/lab"
    for s in order inventory payment; do
        said=$("$SAGA_BUILD/bin/$s-svc" --dir "$work/marked" 2>&1) && return 1
        shows "$said" 'a program of the ablation lab wrote this'
        [ ! -e "$work/marked/$s" ]
    done
    ends_with 65 "$SAGA_BUILD/bin/order-svc" --dir "$work/marked" 2>/dev/null
}

# A page of these lines is run as scenarios are, and that ends with CODE.
page() { printf '%s\n' '# A story' '' "$@" >"$work/page.md"; }
ran() { # CODE
    said=$(ends_with "$1" "$root/scripts/scenario.sh" file "$work/page.md" 2>&1)
}

# shellcheck disable=SC2016 # fences
told_apart() {
    page '```console' '$ echo fine' fine '$ false' '(exit code 1)' '```'
    ran 0
    page '```console' '$ echo good' good '$ echo fine' other '```'
    ran 1
    shows "$said" '^The output differs from .*/page\.md$'
    shows "$said" '^-other$'
    shows "$said" '^\+fine$'
    page '```console' '$ false' '```'
    ran 1
    shows "$said" '^\+\(exit code 1\)$'
    page '```console' '$ echo more' '```'
    ran 1
    shows "$said" '^\+more$'
}

# shellcheck disable=SC2016 # fences
some_things_may_differ() {
    local rule='<!-- compare only: echo ba => a+ -->'
    page '```console' '$ date +%FT%TZ' '2020-01-01T00:00:00Z' '```'
    ran 0
    page "$rule" '```console' '$ echo baab' 'it printed: caac' '```'
    ran 0
    page "$rule" '```console' '$ echo bab' 'caac' '```'
    ran 1
    page "$rule" '```console' '$ echo ba | tr a x' 'caac' '```'
    ran 1
    page "$rule" '```console' '$ echo baab; false' 'caac' '```'
    ran 1
    page "$rule" '```console' '$ echo more than baab' 'caac' '```'
    ran 1
}

# shellcheck disable=SC2016 # fences
not_shown() {
    page '<!-- run: x=5; echo said -->' '```console' '$ echo $x' 5 '```'
    ran 0
    page '<!-- run: false -->' '```console' '$ echo 5' 5 '```'
    ran 1
}

# shellcheck disable=SC2016 # fences
recorded() {
    page '```console' '$ mktemp -u' '$ echo fine' '```' 'Then.'
    "$root/scripts/scenario.sh" record "$work/page.md"
    [ "$(paste -sd , "$work/page.md")" = \
        '# A story,,```console,$ mktemp -u,/tmp/tmp.XXXXXXXXXX,$ echo fine,fine,```,Then.' ]
    ran 0
    page '```console' '$ date +%FT%TZ' '2020-01-01T00:00:00Z' '```'
    "$root/scripts/scenario.sh" record "$work/page.md"
    grep -q '^2020-' "$work/page.md"
}

no_story_before_an_error() {
    said=$(ends_with 64 "$root/scripts/scenario.sh" run 1 --without foo 2>&1)
    shows "$said" "^lab: nothing called 'foo' can be left out"
    [ "$(wc -l <<<"$said")" -eq 1 ]
}

refused() {
    ends_with 66 "$root/scripts/scenario.sh" show 99
    ends_with 66 "$root/scripts/scenario.sh" run seven
    ends_with 64 "$root/scripts/scenario.sh" run
    ends_with 64 "$root/scripts/lab.sh" without everything
    [ ! -x "$root/build/bin/saga" ] || no_story_before_an_error
    ends_with 66 "$root/scripts/learn.sh" 99
    ends_with 64 "$root/scripts/learn.sh" seven
}

listed() {
    [ "$("$saga" scenario ls | wc -l)" -eq 20 ]
    shows "$("$saga" scenario show 7)" '^# 07 Crash between publish'
    shows "$("$saga" learn)" '^0 Run it$'
}

killed_leaves_nothing() {
    local signal name runner
    mkdir "$work/tmp"
    # shellcheck disable=SC2016 # for the document's own shell
    name=$(document services 'export SAGA_DIR=$(mktemp -d)' \
        "SAGA_BUILD=$SAGA_BUILD ./run.sh -d" "touch $work/tmp/up" 'sleep 600' \
        "touch $work/tmp/went-on")
    for signal in TERM INT KILL; do
        # Job control, so that it may hear of Ctrl-C at all.
        set -m
        TMPDIR=$work/tmp "$root/scripts/scenario.sh" file "$name" &
        runner=$!
        set +m
        within 60 test -e "$work/tmp/up"
        rm "$work/tmp/up"
        if none_left; then return 1; fi
        kill -$signal $runner
        wait $runner && return 1
        within 20 none_left
        [ ! -e "$work/tmp/went-on" ]
    done
}

# What is missing in a run that ended with CODE and printed SAID, where the table
# says TEXT.
judged() { # CODE SAID TEXT
    printf '%b' "$2" >"$work/said"
    "$root/scripts/scenario.sh" differences "$1" "$work/said" "$3"
}
# shellcheck disable=SC2016 # the backticks are Markdown's
rows_are_judged() {
    local bad='  FAIL  S4   charged twice\n  FAIL  S2   o-1\nhas 960.20\n'
    bad+='\nThe output differs from it\n@@ -1 +1 @@\n-has 960.20\n+has 940.30\n'
    [ -z "$(judged 0 '' 'green: nothing came twice')" ]
    shows "$(judged 1 "$bad" 'green: it holds')" '^it should pass'
    [ -z "$(judged 1 "$bad" 'red S2 S4: she has `940.30`')" ]
    [ -z "$(judged 1 'The output differs from it\n+no ids\n' 'red: says `no ids`')" ]
    shows "$(judged 0 "$bad" 'red S2 S4: it breaks')" '^it should fail'
    shows "$(judged 1 "$bad" 'red S4: only one')" \
        "^it should break 'S4', but breaks 'S2 S4'"
    shows "$(judged 1 "$bad" 'red S2 S4 Q1: one more')" '^it should break'
    shows "$(judged 1 "$bad" 'red S2 S4: `960.20`')" "^the output lacks '960.20'"
    shows "$(judged 1 "$bad" 'blue: what?')" '^the table says neither'
}

# How a run of scenario 7 without NAMES ends that ended with CODE and printed SAID:
# with EXPECTED.
ended_without() { # EXPECTED NAMES CODE SAID
    printf '%b' "$4" >"$work/said"
    said=$(ends_with "$1" "$root/scripts/scenario.sh" compare \
        "$(echo "$root"/scenarios/07-*.md)" "$2" "$3" "$work/said" | paste -sd ' ')
}
foretold_or_not() {
    local twice='' id
    for id in S2 S3 S4 S6; do twice+="  FAIL  $id it\n"; done
    twice+='The output differs from it\n'
    twice+='+PaymentCharged comes after PaymentCharged, 940.30\n'
    ended_without 0 inbox 0 ''
    shows "$said" \
        'Expected green, and it is: the event is handled twice, and the guard finds'
    ended_without 0 guards,inbox 1 "$twice"
    shows "$said" 'Expected red, and it is: alice was charged twice for o-2, '
    shows "$said" '940\.30\. Broken: S2 S3 S4 S6\.$'
    ended_without 1 guards,inbox 1 "${twice/ S3/ S5}"
    shows "$said" 'Expected red, but it is red: it should break .S2 S3 S4 S6., but'
    ended_without 1 inbox 1 "$twice"
    shows "$said" \
        'Expected green, but it is red: it should pass, .*07-.*\.md says green: the'
    ended_without 1 inbox,guards 0 "$twice"
    shows "$said" 'Expected red, but it is green: .*07-.*\.md says red S2 S3 S4 S6: alice'
    ended_without 1 outbox 1 ''
    shows "$said" 'No prediction: .*07-.* does not mention a run without outbox. It is red'
    ended_without 0 outbox 0 ''
}

# Runs a script in a terminal of 80 columns, in which KEYS are typed.
typed() { # KEYS SCRIPT WORDS...
    local line
    printf -v line '%q ' "$root/scripts/$2" "${@:3}"
    printf '%b' "$1" | XDG_STATE_HOME=$work/state NO_COLOR=1 timeout 120 \
        script -qec "stty cols 80; $line" /dev/null | tr -d '\r'
}
predicted() {
    local all
    rm -rf "$work/state"
    all=$(printf '\\n%.0s' {1..30})
    said=$(typed "x\\nb\\n$all" scenario.sh run 01)
    shows "$said" "'x' is not one of these letters\."
    shows "$said" '\$ \./saga place widget:2 --customer alice'
    shows "$said" 'CONFIRMED · 5 events'
    shows "$said" 'Answer: a\. Five events'
    shows "$said" '^Not b: the answer is a\.$'
    shows "$said" '^So far: 0 of 1 answered right, [0-9]+ left'
    # The end is told last, and nothing is lost of the story.
    shows "$(paste -sd ' ' <<<"$said")" 'all 14 hold.*Stopped.*Answer: a\.'
    # It is known now, so that this answer does not count.
    said=$(typed 'a\nq\n' scenario.sh run 01)
    shows "$said" '^Right\.$'
    shows "$said" '^So far: 0 of 1 answered right'
    said=$(typed 'a\nq\n' scenario.sh run 01 --without inbox)
    shows "$said" '^Expected green, and it is: nothing came twice\.$'
    shows "$said" '^Right\.$'
    said=$(XDG_STATE_HOME=$work/state "$saga" scenario score)
    shows "$said" '^  wrong  01 Everything goes well$'
    shows "$said" '^  right     without inbox$'
    shows "$said" '^  -      02 Payment declined$'
    shows "$said" '^1 of 2 answered right'
}
nothing_is_asked_without_a_terminal() {
    said=$(XDG_STATE_HOME=$work/none "$root/scripts/scenario.sh" run 01 </dev/null)
    shows "$said" '^Answer: a\. Five events'
    if grep -q 'Which one' <<<"$said"; then return 1; fi
    [ ! -e "$work/none" ]
}
# Two to four endings, and the answer is one of them.
endings_are_there() {
    local file letters
    for file in "$root"/scenarios/[0-9]*.md; do
        letters=$(sed -n 's/^- \([a-z]\)\. .*/\1/p' "$file" | tr -d '\n')
        echo "$file: $letters"
        [[ $letters =~ ^abc?d?$ ]]
        grep -qE "^\*\*Answer: [$letters]\.\*\* " "$file"
    done
}

# In a terminal, a chapter offers its commands, takes others, and asks.
asked_and_resumed() {
    local all
    rm -rf "$work/state"
    # shellcheck disable=SC2016 # for the chapter's shell
    said=$(typed '\necho my own $SAGA_DIR\ns\nq\n' learn.sh 5)
    shows "$said" 'my own /'
    shows "$said" '; 3 of [12][0-9]\]'
    # shellcheck disable=SC2016 # the backticks are Markdown's
    if grep -F -e '**' -e '`' <<<"$said"; then return 1; fi
    shows "$(cat "$work/state/saga/steps")" '^05 2 [12][0-9]$'
    shows "$(typed 'q\n' learn.sh 5)" 'You left this chapter behind step 2 of '
    # It goes on there, in the same state; the rest is skipped.
    all=$(printf 's\\n%.0s' {1..20})
    said=$(typed "\\necho again \$SAGA_DIR\\n${all:0:42}b\\nc\\n$all" learn.sh 5)
    shows "$said" 'again /'
    shows "$said" 'Which one'
    said=$(XDG_STATE_HOME=$work/state "$saga" learn progress)
    shows "$said" '^  5 Twice is once +done +1 of 2 answered right, 1 left'
    shows "$said" '^  6 Pub/sub forgets +- +0 of 0 answered right, 3 left'
}
# Each chapter asks two or three questions with choices; the page has no answer.
answers_are_there() {
    local file n page question letters right
    for file in "$root"/docs/tutorial/[0-9]*.md; do
        n=$(basename "$file" | cut -c 1-2)
        page=$(sed -n '/^## Questions/,/^## [^Q]/p' "$file")
        [[ $(grep -c '^[0-9]\. ' <<<"$page") =~ ^[23]$ ]]
        while read -r question; do
            letters=$(sed -n "/^$question\. /,/^\([0-9]\.\|$\)/p" <<<"$page" |
                sed -n 's/^   - \([a-z]\)\. .*/\1/p' | tr -d '\n')
            right=$(sed -n "/^## $((10#$n)) /,/^## /p" \
                "$root/docs/tutorial/answers.md" |
                sed -n "s/^$question\. \*\*\([a-z]\)\.\*\* ..*/\1/p")
            echo "$file: $question: $right of $letters"
            [ ${#right} -eq 1 ]
            [[ $letters == *"$right"* ]]
        done < <(sed -n 's/^\([0-9]\)\. .*/\1/p' <<<"$page")
    done
    shows "$(cat "$root"/docs/tutorial/04-*.md)" 'What problem does the outbox solve'
}
exercises_are_there() {
    local n patch copy=$work/copy
    mkdir "$copy"
    cp -r "$root"/{libevents,shop,order-svc,inventory-svc,payment-svc,bench} "$copy"
    for n in {0..14}; do
        grep -q '^## Exercise' "$root/docs/tutorial/$(printf '%02d' "$n")"-*.md
        grep -q "learn check $n" "$root/docs/tutorial/$(printf '%02d' "$n")"-*.md
        patch=$("$root/scripts/exercise.sh" patch "$n")
        [[ $n =~ ^(0|12|14)$ ]] ||
            patch --dry-run -s -p1 -F0 -d "$copy" <"$root/$patch"
    done
}
exercise_is_judged() {
    local copy=$root/build/exercise/11
    ends_with 64 "$root/scripts/learn.sh" exercise 15
    rm -rf "$copy"
    said=$(ends_with 66 "$root/scripts/learn.sh" check 11 2>&1)
    shows "$said" "is not begun; './saga learn exercise 11' makes it"
    said=$(ends_with 0 "$root/scripts/learn.sh" exercise 11 2>&1)
    shows "$said" 'In the copy of the source in build/exercise/11, something is wrong'
    shows "$said" 'stock, money and orders do not agree'
    said=$(ends_with 1 "$root/scripts/learn.sh" check 11 2>&1)
    shows "$said" '^Not yet: this is what is still wrong'
    echo 'not C' >>"$copy/bench/one.c"
    said=$(ends_with 1 "$root/scripts/learn.sh" check 11 2>&1)
    shows "$said" '^Not yet: .* does not build'
    cp "$root/bench/one.c" "$copy/bench/one.c"
    said=$(ends_with 0 "$root/scripts/learn.sh" check 11 2>&1)
    shows "$said" '^Solved\.'
    # One of those that the simulation judges.
    rm -rf "$root/build/exercise/01"
    said=$(ends_with 0 "$root/scripts/learn.sh" exercise 1 2>&1)
    shows "$said" 'BROKEN S8'
    ends_with 1 "$root/scripts/learn.sh" check 1
    cp "$root/order-svc/order.c" "$root/build/exercise/01/order-svc/order.c"
    said=$(ends_with 0 "$root/scripts/learn.sh" check 1)
    shows "$said" '^Solved\.'
    said=$(ends_with 0 "$root/scripts/learn.sh" exercise 13 2>&1)
    shows "$said" '^FundsDeposited version 2, field reason: it is new'
    copy=$root/build/exercise/13
    sed -i -e 's/^static void units_to_cents/static void\
no_reason(void *data)\n{\n    (void)data;\n}\n\n&/' \
        -e 's/^    { FUNDS_DEPOSITED,   2, .*/    { FUNDS_DEPOSITED, 2, "FundsDeposited", 0,\
      .fields = deposit, .upcast = no_reason },\n    { FUNDS_DEPOSITED, 3,\
      "FundsDeposited", 0, .fields = explained },/' "$copy/shop/shop.c"
    said=$(ends_with 0 "$root/scripts/learn.sh" check 13)
    shows "$said" '^Solved\.'
    sed -i 's/DEPOSIT_CENTS_MAX), REASON, END/DEPOSIT_CENTS_MAX), END/' "$copy/shop/shop.c"
    said=$(ends_with 1 "$root/scripts/learn.sh" check 13)
    shows "$said" 'no FundsDeposited version 3 that carries a reason'
    said=$(ends_with 0 "$root/scripts/learn.sh" exercise 14 2>&1)
    shows "$said" 'somebody has edited an event'
    said=$(ends_with 1 "$root/scripts/learn.sh" check 14)
    shows "$said" 'FAIL  payment #5 PaymentCharged'
    sqlite3 "$root/build/exercise/14/payment/log.db" "UPDATE event
        SET data = replace(data, 'alice', 'carol') WHERE order_id = 'o-2'"
    said=$(ends_with 0 "$root/scripts/learn.sh" check 14)
    shows "$said" '^Solved\.'
    rm -rf "$root/build/exercise"
}

nothing_to_leave_out() {
    local names
    for names in '' 'inbox,' ',inbox' 'inbox,,guards'; do
        said=$(ends_with 64 "$root/scripts/lab.sh" without "$names" 2>&1)
        shows "$said" '^lab: leave out what\? make lab WITHOUT=inbox,guards .*outbox'
    done
}

# shellcheck disable=SC2016 # the backticks are Markdown's
removals_are_rows() {
    local page=$work/page.md
    printf '%s\n' 'Try `./saga scenario run 07' '--without guards,inbox` first.' '' \
        '```console' '$ ./saga scenario run 7 --without=inbox' '```' \
        '`./run.sh scenario 20 --without inbox`, `./saga scenario run 07`' >"$page"
    ends_with 0 "$root/scripts/docs.sh" removals "$page"
    printf '%s\n' 'Then `./saga scenario run 07' '--without outbox`,' \
        '    ./saga scenario run 20 --without guards' >>"$page"
    said=$(ends_with 1 "$root/scripts/docs.sh" removals "$page" 2>&1)
    [ "$(wc -l <<<"$said")" -eq 2 ]
    shows "$said" "page.md: 'scenario run 07 --without outbox': the table of scenario 07 has no row for outbox"
    shows "$said" "page.md: 'scenario run 20 --without guards'"
}

# Enter for each command in a box and for the first in the text, s for others.
keys() { # FILE
    yes '' | head -n $(($(grep -c '^\$ ' "$1") + 1))
    yes s
}
walked() {
    local said file
    file=$(echo "$root"/docs/tutorial/00-*.md)
    said=$(XDG_STATE_HOME=$work/walked timeout 120 "$root/scripts/learn.sh" 0 < <(keys "$file"))
    shows "$said" 'CONFIRMED · 5 events'
    shows "$said" 'all 14 hold'
    # Of a command's line, the last word is the question; then a blank is right.
    if grep -vE '^\$ ' <<<"$said" | grep -nE ' $'; then
        echo 'these lines end with blanks'
        return 1
    fi
    if grep -n 'compare only' <<<"$said"; then return 1; fi
    # What the text has one run is offered, too, and runs.
    shows "$said" '^\$ ./saga scenario run 02 --without compensation  \[Enter runs'
    shows "$said" '^\$ ./saga scenario run 02  \[Enter runs'
    [ ! -x "$root/build/bin/saga" ] || shows "$said" '^Answer: '
}

it 'services refuse a directory that a program of the lab has marked' \
    marked_is_refused
it 'a document whose commands say something else is told apart' told_apart
it 'times differ, and of what varies only what the page names is compared' \
    some_things_may_differ
it 'a command of a comment runs, is not shown, and must succeed' not_shown
it 'a document is recorded, and kept if it was true' recorded
it 'what does not exist is refused' refused
it 'scenarios and chapters are listed and shown' listed
it 'TERM, Ctrl-C and kill -9 leave no service behind' killed_leaves_nothing
it 'a row of the lab is as written, or it is told what is not' rows_are_judged
it 'a run without something ends with what was foretold of it' foretold_or_not
it 'a chapter asks its questions, and goes on where it was left' asked_and_resumed
it 'each question has an answer among its choices' answers_are_there
it 'each chapter has an exercise that can be made' exercises_are_there
it 'an exercise is solved when its fault is repaired, and not before' exercise_is_judged
it 'each scenario has endings to choose from, and an answer' endings_are_there
if [ -x "$root/build/bin/saga" ]; then
    it 'in a terminal one predicts before the run, and is told how well' predicted
    it 'nothing is asked without a terminal' nothing_is_asked_without_a_terminal
fi
it 'the lab that is asked to leave out nothing says what there is' \
    nothing_to_leave_out
it 'a document says to leave out only what the scenario foretells' \
    removals_are_rows
it 'a chapter can be walked through' walked
