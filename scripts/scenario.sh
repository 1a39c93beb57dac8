#!/bin/bash -p
# scenario.sh - runs the scenarios in scenarios/NN-*.md, for `saga scenario`.
#
#   ls                          lists them, one line each
#   show N                      prints the file
#   run N [--without A[,B]]     runs its commands and compares their output with
#                               the file; --without uses programs of the
#                               ablation lab, and compares the result with the
#                               file's table
#   run --all                   runs all of them
#   score                       what was predicted in a terminal, and how well
#
# `run N` in a terminal is a game: it tells the story, has the reader choose one
# of the endings that the file lists, runs the commands, shows them and what they
# printed one by one, and then says whether the prediction was right.  The
# commands have all run before the first is shown, since a deadline does not wait
# for a reader.
#
# Exit codes: 0 if all is as the file says, with --without as its table says; 1 if
# not; 77 if something that it names is missing, so that it was skipped.
#
# A scenario's commands are those of its `console` blocks, one shell for all of
# them, run by play.sh in the repository's root.  What they print must be what
# stands in the file, but for docs/may-differ.txt.  They run in namespaces of
# their own for processes and mounts: however this ends, Ctrl-C and kill -9
# included, the kernel ends what they started and unmounts what they mounted.
# Their data directories, made with mktemp, lie below one of ours, in memory: no
# scenario cuts the power, so that memory is only faster.  With
# $SCENARIO_IN_TMPDIR they are on whatever $TMPDIR is on (scripts/soak.sh).
# /dev/shm is their own, too: libfaketime leaves files there that are named by
# pids, and pids repeat in each namespace.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"
# shellcheck source=scripts/ask.sh
. "$root/scripts/ask.sh"
cd "$root"

fail() { # CODE TEXT
    complain 'scenario: ' "$2"
    exit "$1"
}

usage='ls | show N | run N [--without A[,B]] | run --all | score'
refuse() { # TEXT
    fail 64 "$1 ($usage)"
}

file_of() { # N, or the whole name
    local found=('')
    [[ ! $1 =~ ^[0-9]{1,3}$ ]] ||
        found=(scenarios/"$(printf '%02d' "$((10#$1))")"-*.md)
    [ -e "${found[0]}" ] ||
        fail 66 "no scenario '$1' ('./saga scenario ls' lists them)"
    echo "${found[0]}"
}

list() {
    local file
    for file in scenarios/[0-9]*.md; do
        sed -n '1s/^# //p' "$file"
    done
}

# The text of a file above its first block, or below its last.
part_of() { # FILE above|below
    awk -v part="$2" '
        /^```/ { fences++; next }
        /^\|/ || /^<!--/ { next }
        part == "above" && fences == 0
        part == "below" && fences >= 2 && fences % 2 == 0' "$1" | cat -s
}
story_of() { part_of "$@" | sed 's/^# //' | plainly; }

plainly() { sed -e 's/\*\*//g' -e 's/\[\([^]]*\)\]([^)]*)/\1/g'; }

# The rows of a file's table: names and the rest, by a tab.
rows_of() { # FILE
    sed -n "s/^| \`\([a-z,]*\)\` | \(.*\) |\$/\1\t\2/p" "$1"
}

# What the table of FILE says of exactly these NAMES, in any order; nothing if
# it has no such row.
foretold() { # FILE NAME,...
    local names text
    while IFS=$'\t' read -r names text; do
        if same_names "$names" "$2"; then
            echo "$text"
        fi
    done < <(rows_of "$1") | plainly
}
same_names() { all_among "$1" "$2" && all_among "$2" "$1"; }
all_among() { # NAME,... NAME,...
    local name
    for name in ${1//,/ }; do [[ ,$2, == *,"$name",* ]] || return 1; done
}

# What a run that ended with CODE and printed what is in SAID does not do as TEXT
# wants.  Red: it must fail, the invariants that `saga check` finds broken must be
# exactly these, and each text in backticks must be in a line that it printed and
# that the file does not have.  Green: it must pass.
differences() { # CODE SAID TEXT
    local found wanted literal new
    case $3 in
        green:*)
            [ "$1" -eq 0 ] || echo 'it should pass, but does not'
            return
            ;;
        red*:*) ;;
        *) echo 'the table says neither "**red** IDS: why" nor "green: why"' && return ;;
    esac
    found=$(broken "$2")
    wanted=${3#red}
    wanted=$(tr -s ' ' '\n' <<<"${wanted%%:*}" | sed '/^$/d' | sort -u |
        paste -sd ' ')
    [ "$1" -ne 0 ] || echo 'it should fail, but does not'
    [ "$found" = "$wanted" ] ||
        echo "it should break '$wanted', but breaks '$found'"
    new=$(sed '0,/^The output differs from /d' "$2" | sed -n 's/^+//p')
    # shellcheck disable=SC2016 # the backticks are Markdown's
    while read -r literal; do
        grep -qF -- "$literal" <<<"$new" || echo "the output lacks '$literal'"
    done < <(grep -o '`[^`]*`' <<<"${3#*:}" | tr -d '`')
}

broken() { # SAID: the ids of the invariants that do not hold, on one line
    sed -n 's/^ *FAIL  \([A-Z][0-9]*\) .*/\1/p' "$1" | sort -u | paste -sd ' '
}

# How a run without NAMES ended, which printed SAID, beside what was foretold.
compare() { # FILE NAME,... CODE SAID
    local row ended=green wrong found
    [ "$3" -eq 0 ] || ended=red
    row=$(foretold "$1" "$2")
    if [ -z "$row" ]; then
        say_last "No prediction: $1 does not mention a run without $2. It is $ended."
        return "$3"
    fi
    wrong=$(differences "$3" "$4" "$row" | paste -sd ';' | sed 's/;/; /g')
    if [ -n "$wrong" ]; then
        say_last "Expected ${row%%[ :]*}, but it is $ended: $wrong. $1 says $row"
        return 1
    fi
    found=$(broken "$4")
    say_last "Expected $ended, and it is: $(tr -d '`' <<<"${row#*: }").${found:+ Broken: $found.}"
}
say_last() { # TEXT
    echo
    fold -s -w 78 <<<"$1" | sed 's/ *$//'
}

work=''
clean_up() {
    local code=$?
    trap '' INT TERM HUP EXIT
    if [ -n "$runner" ]; then
        kill "-$ending" -- "-$runner" 2>/dev/null || true
        wait "$runner" 2>/dev/null || true
    fi
    [ -z "$work" ] || rm -rf "$work"
    exit $code
}
runner='' ending=TERM
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Runs a command in a process group of its own and waits for it in a way that
# hears a signal at once.
within_reach() {
    local code=0
    set -m
    "$@" </dev/null &
    runner=$!
    set +m
    wait $runner || code=$?
    runner=''
    return $code
}

# Without namespaces, what a scenario has left behind is found by the directory
# that it was told to use.
without_namespaces() { # FILE
    local code=0 environ pid
    if grep -q '^\$ .* mount ' "$1"; then
        echo 'Skipped: it mounts a small disk, but mounting is not possible here.'
        return 77
    fi
    TMPDIR=$work/tmp within_reach scripts/play.sh "$1" "$work/copy" || code=$?
    for environ in /proc/[0-9]*/environ; do
        pid=${environ//[^0-9]/}
        if grep -qzxF "TMPDIR=$work/tmp" "$environ" 2>/dev/null; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
    return $code
}

make_work() { work=$(mktemp -d "${TMPDIR:-/tmp}/saga-scenario.XXXXXX"); }

# Runs the commands of FILE, as root, or as root of a user namespace.
run_commands() { # FILE
    local map=()
    [ "$(id -u)" -eq 0 ] || map=(--map-root-user)
    mkdir "$work/tmp"
    unset SAGA_DIR SAGA_BUS
    export NO_COLOR=1 COLUMNS=78
    if ! unshare "${map[@]}" --mount --pid --fork --mount-proc true 2>/dev/null; then
        without_namespaces "$1"
        return
    fi
    ending=KILL # unshare ignores others, and so does the first in a namespace
    # shellcheck disable=SC2016 # for the shell that has the namespaces
    TMPDIR=$work/tmp within_reach \
        setpriv --pdeathsig KILL \
        unshare "${map[@]}" --mount --pid --fork --kill-child --mount-proc \
        sh -c '{ [ -n "$SCENARIO_IN_TMPDIR" ] ||
            mount -t tmpfs -o mode=700 tmpfs "$TMPDIR"; } &&
            case $TMPDIR in
                /dev/shm/*) ;;
                *) mount -t tmpfs -o mode=1777 tmpfs /dev/shm ;;
            esac && exec "$@"' sh \
        scripts/play.sh "$1" "$work/copy"
}

# Shows in which lines FILE and the run of it differ, as far as they may not.
agrees() { # FILE
    diff -u <(sed -Ef docs/may-differ.txt "$1") \
        <(sed -Ef docs/may-differ.txt "$work/copy") >"$work/diff" && return
    printf '\nThe output differs from %s\n' "$1"
    sed 1,2d "$work/diff"
    return 1
}

run_one() { # FILE
    run_commands "$1" && agrees "$1"
}

run() {
    local number='' without='' all=no file code=0
    while [ $# -gt 0 ]; do
        case $1 in
            --without=*) set -- --without "${1#*=}" "${@:2}" ;;
        esac
        case $1 in
            --all) all=yes ;;
            --without)
                without=${2:-}
                [ -n "$without" ] || refuse '--without takes the names of protections'
                shift
                ;;
            -*) refuse "$1 is not an option" ;;
            *)
                [ -z "$number" ] || refuse "one scenario at a time, not $number and $1"
                number=$1
                ;;
        esac
        shift
    done
    [ $all = no ] || [ -z "$number$without" ] ||
        refuse "--all and ${number:-"--without $without"} exclude each other"
    [ $all = yes ] || [ -n "$number" ] || refuse 'missing N'
    [ -x build/bin/saga ] || fail 69 "nothing is built yet; build with:  make"
    if [ $all = yes ]; then
        run_all
        return
    fi
    file=$(file_of "$number")
    export SAGA_BUILD=build
    if [ -n "$without" ]; then # a wrong name is reported before the story
        SAGA_BUILD=$(scripts/lab.sh without "$without")
        export LAB_WITHOUT=$without
    fi
    make_work
    if in_terminal; then
        play "$file" "$without"
        return
    fi
    story_of "$file" above
    [ -z "$without" ] || say_without "$without"
    judged_run "$file" || code=$?
    cat "$work/said"
    conclude "$file" "$without" $code
}

# 0 if all was as in FILE, 77 if it was skipped, otherwise 1.
judged_run() { # FILE
    local code=0
    run_one "$1" >"$work/said" 2>&1 || code=$?
    [ $code -eq 0 ] || [ $code -eq 77 ] || code=1
    return $code
}

say_without() { # NAME,...
    echo "Without $1: lab/without-*.patch shows what was removed."$'\n'
}

# What there is to say after a run that ended with CODE, and its exit code.
conclude() { # FILE NAME,... CODE
    [ "$3" -ne 77 ] || return 77
    if [ -n "$2" ]; then
        compare "$1" "$2" "$3" "$work/said"
    elif [ "$3" -ne 0 ]; then
        return 1
    elif [ -z "$game" ]; then
        story_of "$1" below
    else
        part_of "$1" below | render
    fi
}

# ---- in a terminal ------------------------------------------------------------

game=''

# What was recorded, one command after the other, as fast as the reader wants.
show_record() {
    local at lines
    for ((at = 1; ; at++)); do
        [ -e "$RECORD/$at.command" ] || return 0
        printf '%s$ %s%s\n' "$bold" "$(cat "$RECORD/$at.command")" "$plain"
        lines=$(wc -l <"$RECORD/$at.output")
        if [ "$lines" -le 30 ]; then
            cat "$RECORD/$at.output"
        else
            head -n 24 "$RECORD/$at.output"
            echo "$dim... and $((lines - 24)) more lines$plain"
        fi
        [ -e "$RECORD/$((at + 1)).command" ] || return 0
        go_on 'shows the next command' || return 0
    done
}

# What can be chosen before a run, into $endings: those of the file, or of its
# table, and the letter of the right one.
endings='' right=''
know_endings() { # FILE NAME,...
    local row
    if [ -z "$2" ]; then
        endings=$(part_of "$1" above | sed -n '/^- [a-z]\. /p')
        right=$(sed -n 's/^\*\*Answer: \([a-z]\)\.\*\*.*/\1/p' "$1")
        return
    fi
    row=$(foretold "$1" "$2")
    [ -n "$row" ] || return 0
    endings='- a. It is green: it ends as it does with everything in place.
- b. It is red: a promise is broken, or the order ends in another way.'
    right=a
    [[ $row != red* ]] || right=b
}

# The game.
play() { # FILE NAME,...
    local code=0 letters choice='' subject
    game=yes
    know_subjects
    subject=$(basename "$1" | cut -c 1-2)${2:+-$2}
    know_endings "$1" "$2"
    if [ -z "$2" ]; then
        part_of "$1" above | render
    else
        part_of "$1" above | sed '/^- [a-z]\. /d' | render
        say_without "$2"
        render <<<"$endings"
    fi
    letters=$(letters_in <<<"$endings")
    if [ -n "$letters" ]; then
        choose "$letters" || return 0
        choice=$REPLY
    fi
    printf '\n%sThe services run at full speed, since deadlines do not wait ' "$dim"
    export RECORD=$work/record RECORD_TTY # for play.sh
    RECORD_TTY=$(tty)
    mkdir "$RECORD"
    judged_run "$1" || code=$?
    printf '%s\n\n' "$plain"
    show_record
    case $code-$2 in
        [!0]*-) tail -n 40 "$work/said" ;; # what differs; with NAMES it should
        77-*) cat "$work/said" ;;
    esac
    echo
    conclude "$1" "$2" $code || return
    if [ -n "$choice" ]; then
        record_answer "$subject" "$choice" "$right"
        echo "So far: $(tally "${all_subjects[@]}"). ./saga scenario score lists them."
    fi
}

# What can be predicted: each scenario, and each row of its table.
all_subjects=()
know_subjects() {
    local file number names
    for file in scenarios/[0-9]*.md; do
        number=$(basename "$file" | cut -c 1-2)
        all_subjects+=("$number")
        while IFS=$'\t' read -r names _; do
            all_subjects+=("$number-$names")
        done < <(rows_of "$file")
    done
}

score() {
    local subject verdict title
    know_subjects
    for subject in "${all_subjects[@]}"; do
        verdict=$(first_answer "$subject")
        case $subject in
            *-*)
                [ -n "$verdict" ] || continue
                title="   without ${subject#*-}"
                ;;
            *) title=$(sed -n '1s/^# //p' "scenarios/$subject"-*.md) ;;
        esac
        printf '  %-6s %s\n' "${verdict:--}" "$title"
    done
    echo
    tally "${all_subjects[@]}"
    echo "The first prediction counts. They are kept in $(answers_file || echo 'no file, as HOME is not set')."
}

# One of all: a line, and all that was said if it failed.  A file in DIRECTORY
# tells that it did, or that it was skipped.
one_of_all() { # FILE DIRECTORY
    local log=$2/${1##*/} verdict=ok begun=$SECONDS
    within_reach setpriv --pdeathsig TERM scripts/scenario.sh run \
        "$(basename "$1" | cut -c 1-2)" >"$log" 2>&1 || verdict=$?
    case $verdict in
        ok) ;;
        77) verdict=skip ;;
        *) verdict=FAILED ;;
    esac
    {
        flock 9
        printf '  %-6s %-62s %3d s\n' $verdict "$(sed -n '1s/^# //p' "$1")" \
            $((SECONDS - begun))
        case $verdict in
            FAILED) touch "$log.bad" && cat "$log" ;;
            skip) touch "$log.skipped" ;;
        esac
    } 9>"$2/lock"
}

# They mostly wait, so $SAGA_JOBS (3) of them run at a time.
run_all() {
    local all bad skipped code=0
    work=$(mktemp -d "${TMPDIR:-/tmp}/saga-scenario.XXXXXX")
    all=(scenarios/[0-9]*.md)
    printf '%s\n' "${all[@]}" >"$work/list"
    within_reach setpriv --pdeathsig TERM xargs -a "$work/list" \
        -P "${SAGA_JOBS:-3}" -I '{}' setpriv --pdeathsig TERM scripts/scenario.sh one-of-all \
        '{}' "$work" || code=1
    bad=$(find "$work" -name '*.bad' | wc -l)
    skipped=$(find "$work" -name '*.skipped' | wc -l)
    echo "$((${#all[@]} - bad - skipped)) scenarios passed, $bad failed, $skipped skipped"
    [ $code -eq 0 ] && [ "$bad" -eq 0 ]
}

case ${1:-} in
    ls)
        [ $# -eq 1 ] || refuse "unexpected argument '$2'"
        list
        ;;
    show)
        [ $# -ge 2 ] || refuse 'show which one?'
        [ $# -eq 2 ] || refuse "one scenario at a time, not $2 and $3"
        file=$(file_of "$2")
        cat "$file"
        ;;
    run) run "${@:2}" ;;
    score)
        [ $# -eq 1 ] || refuse "unexpected argument '$2'"
        score
        ;;
    one-of-all) one_of_all "$2" "$3" ;; # this script's own
    foretold) # N NAME,...: its row, for docs.sh
        file=$(file_of "${2:-}")
        foretold "$file" "${3:-}"
        ;;
    rows) rows_of "$2" ;; # FILE: for lab-test.sh
    compare) compare "$2" "$3" "$4" "$5" ;;     # FILE NAME,... CODE SAID, and
    differences) differences "$2" "$3" "$4" ;; # CODE SAID TEXT: for tests
    file) # FILE: the commands of any document, for docs.sh
        [ -e "${2:-}" ] || refuse 'which file?'
        export SAGA_BUILD=build
        make_work
        run_one "$2"
        ;;
    record) # FILE: the same; where it differs, FILE becomes what came
        export SAGA_BUILD=build
        make_work
        run_commands "$2" >/dev/null
        agrees "$2" || cp "$work/copy.new" "$2"
        ;;
    '') fail 64 "$usage" ;;
    *) refuse "unexpected argument '$1'" ;;
esac
