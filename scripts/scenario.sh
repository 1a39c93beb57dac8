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
#
# Exit code 77: skipped, because something that it names is missing.
#
# A scenario's commands are its `console` blocks, one shell for all of them,
# run by clitest in the repository's root.  They run in namespaces of their own
# for processes and mounts: however this ends, Ctrl-C and kill -9 included, the
# kernel ends what they started and unmounts what they mounted.  Their data
# directories, made with mktemp, lie below one of ours, in memory: no scenario
# cuts the power, so that memory is only faster.  With $SCENARIO_IN_TMPDIR they
# are on whatever $TMPDIR is on (scripts/soak.sh).  /dev/shm is their own, too:
# libfaketime leaves files there that are named by pids, and pids repeat in each
# namespace.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"
cd "$root"

fail() { # CODE TEXT
    echo "scenario: $2" >&2
    exit "$1"
}

usage='ls | show N | run N [--without A[,B]] | run --all'
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

# A block "mermaid ORDER" stands for the command that prints it, so a diagram
# that is not what the run draws fails like any other output.
#
# The commands of a file, as clitest wants them: its 0.4.0 takes the fence
# behind a block for output, so only what is between the fences is handed on.
commands_of() {
    awk '/^```mermaid / { print "$ ./saga trace " $2 " --mermaid"
                          inside = 1; next }
         /^```/ { inside = $0 == "```console"; if (!inside) print "$ "; next }
         inside' "$1"
}

# The text of a file above its first block, or below its last.
story_of() { # FILE above|below
    awk -v part="$2" '
        /^```/ { fences++; next }
        /^\|/ { next }
        part == "above" && fences == 0
        part == "below" && fences >= 2 && fences % 2 == 0' "$1" |
        sed 's/^# //' | plainly | cat -s
}

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
        if all_among "$names" "$2" && all_among "$2" "$names"; then
            echo "$text"
        fi
    done < <(rows_of "$1") | plainly
}
all_among() { # NAME,... NAME,...
    local name
    for name in ${1//,/ }; do [[ ,$2, == *,"$name",* ]] || return 1; done
}

# How a run without NAMES ended, beside what was foretold.  The last that it
# says: lab-test.sh does not look for the table's words in here.
compare() { # FILE NAME,... CODE
    local row ended=green
    [ "$3" -eq 0 ] || ended=red
    row=$(foretold "$1" "$2")
    case $row in
        '') row="No prediction: $1 does not mention a run without $2. It is $ended." ;;
        "$ended"*) row="As predicted: $row" ;;
        *) row="Not as predicted: it is $ended, but $1 says $row" ;;
    esac
    echo
    fold -s -w 78 <<<"$row" | sed 's/ *$//'
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
without_namespaces() { # COMMAND...
    local code=0 environ pid
    if grep -q ' mount ' "$work/commands"; then
        echo 'Skipped: it mounts a small disk, but mounting is not possible here.'
        return 77
    fi
    TMPDIR=$work/tmp within_reach "$@" || code=$?
    for environ in /proc/[0-9]*/environ; do
        pid=${environ//[^0-9]/}
        if grep -qzxF "TMPDIR=$work/tmp" "$environ" 2>/dev/null; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
    return $code
}

# Runs FILE; its verdict is the exit code.  As root, or as root of a user
# namespace.
run_one() { # FILE
    local map=()
    [ "$(id -u)" -eq 0 ] || map=(--map-root-user)
    work=$(mktemp -d "${TMPDIR:-/tmp}/saga-scenario.XXXXXX")
    mkdir "$work/tmp"
    commands_of "$1" >"$work/commands"
    unset SAGA_DIR SAGA_BUS
    export NO_COLOR=1 COLUMNS=78
    if ! unshare "${map[@]}" --mount --pid --fork --mount-proc true 2>/dev/null; then
        without_namespaces clitest --color never --progress test \
            "$work/commands"
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
        clitest --color never --progress test "$work/commands"
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
    command -v clitest >/dev/null || fail 69 \
        "clitest is missing; install it:  scripts/packages.sh install test"
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
    story_of "$file" above
    [ -z "$without" ] ||
        echo "Without $without: lab/without-*.patch shows what was removed."$'\n'
    run_one "$file" || code=$?
    [ $code -eq 0 ] || [ $code -eq 77 ] || code=1
    if [ $code -eq 77 ]; then
        return $code
    elif [ -n "$without" ]; then
        compare "$file" "$without" $code
    elif [ $code -eq 0 ]; then
        story_of "$file" below
    else
        printf '\nThe output differs from %s\n' "$file"
    fi
    return $code
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
    one-of-all) one_of_all "$2" "$3" ;; # this script's own
    foretold) # N NAME,...: its row, for docs.sh
        file=$(file_of "${2:-}")
        foretold "$file" "${3:-}"
        ;;
    rows) rows_of "$2" ;; # FILE: for lab-test.sh
    compare) compare "$2" "$3" "$4" ;; # FILE NAME,... CODE: for tests
    file) # FILE: the commands of any document, for docs.sh
        [ -e "${2:-}" ] || refuse 'which file?'
        export SAGA_BUILD=build
        run_one "$2"
        ;;
    '') fail 64 "$usage" ;;
    *) refuse "unexpected argument '$1'" ;;
esac
