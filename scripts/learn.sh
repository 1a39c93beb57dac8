#!/bin/bash -p
# learn.sh [CHAPTER] - walks a chapter of docs/tutorial in the terminal, as
# `saga learn` does: prints the text, and runs each command when you press
# Enter.  Without CHAPTER it lists them.
#
# In front of a command: Enter runs it, s skips it, q leaves.  A scenario or a
# lab that the text asks for is offered after its paragraph.  The commands run in
# one shell, in the repository's root.  Data directories that they make with
# mktemp lie below one of ours; however this ends, their services are stopped and
# the directories removed.
set -u
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"
cd "$root" || exit 74

if [ $# -eq 0 ]; then
    {
        for file in docs/tutorial/[0-9]*.md; do
            sed -n '1s/^# //p' "$file" || exit 74
        done
        echo
        echo "./saga learn 4   walks through chapter 4; docs/tutorial/ has the files"
    } || exit 74
    exit 0
fi
if [ $# -gt 1 ]; then
    as_shown "$2"
    echo "learn: unexpected argument '$REPLY' (learn [CHAPTER])" >&2
    exit 64
fi
if [[ ! $1 =~ ^[0-9]{1,2}$ ]]; then
    echo "learn: CHAPTER must be a number ('./saga learn' lists them)" >&2
    exit 64
fi
chapter=(docs/tutorial/"$(printf '%02d' "$((10#$1))")"-*.md)
if [ ! -e "${chapter[0]}" ]; then
    echo "learn: no chapter $1 ('./saga learn' lists them)" >&2
    exit 66
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/saga-learn.XXXXXX")
leave() {
    local dir
    trap '' INT TERM HUP EXIT
    for dir in "$work"/*/ "${SAGA_DIR:-$work/none}"; do # a chapter's own
        [ ! -d "$dir/order" ] ||
            SAGA_DIR=${dir%/} "$root/run.sh" stop >/dev/null 2>&1
    done
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
export TMPDIR=$work
unset SAGA_DIR SAGA_BUS

bold='' plain='' dim=''
if has_colours; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[m'
fi

# A remark of a chapter, as one says it.
expectation() { # REMARK
    case $1 in
        '--egrep '*) echo "a line that matches ${1#--egrep }" ;;
        '--exit '*) echo "exit code ${1#--exit }" ;;
        '--lines 1') echo 'one line' ;;
        '--lines '*) echo "${1#--lines } lines" ;;
        *) echo "$1" ;;
    esac
}

# One command, after Enter.  Its remark says what is to be expected.
offer() { # COMMAND
    local key command=${1%%'#=> '*} remark
    remark=${1#"$command"}
    command=${command%"${command##*[! ]}"}
    [ -z "$remark" ] || printf '%sexpect: %s%s\n' "$dim" \
        "$(expectation "${remark#'#=> '}")" "$plain"
    printf '%s$ %s%s  %s[Enter runs, s skips, q leaves]%s ' "$bold" "$command" \
        "$plain" "$dim" "$plain"
    if ! IFS= read -r key <&3; then
        echo
        exit 0
    fi
    case $key in
        q*) exit 0 ;;
        s*) return ;;
    esac
    # In this shell, so that variables and jobs last to the end.
    eval "$command" </dev/null || printf '%s(exit code %d)%s\n' "$dim" $? "$plain"
    echo
}

# The paragraph that has been read so far, as wide as a terminal, and the
# commands in it.
paragraph=''
tell() {
    local text=$paragraph command commands
    paragraph=''
    [ -n "$text" ] || return 0
    sed -e 's/\*\*\([^*]*\)\*\*/\1/g' -e 's/\[\([^]]*\)\]([^)]*)/\1/g' \
        <<<"$text" | fold -s -w 78 | sed 's/ *$//'
    # shellcheck disable=SC2016 # the backticks are Markdown's
    mapfile -t commands < <(grep -oE \
        '`(\./saga scenario run [0-9]+|make lab WITHOUT=)[^`]*`' <<<"$text" | tr -d '`')
    for command in "${commands[@]}"; do offer "$command"; done
}

exec 3<&0
block=''
while IFS= read -r line; do
    case $line in
        '```'* | '' | '#'* | '|'* | '- '* | [0-9]'. '*) tell ;;
    esac
    case $line in
        '```console') block=console ;;
        '```mermaid '*)
            block=diagram
            offer "./saga trace ${line#'```mermaid '}"
            ;;
        '```'*) [ -n "$block" ] && block='' || block=text ;;
        *)
            if [ "$block" = console ]; then
                case $line in
                    '$ '*) offer "${line#'$ '}" ;;
                esac # what comes out is seen, not told
            elif [ "$block" = text ]; then
                printf '    %s\n' "$line"
            elif [ -z "$block" ]; then
                case $line in
                    '') echo ;;
                    '|---'*) ;;
                    *) paragraph+=${paragraph:+ }${line#"${line%%[! ]*}"} ;;
                esac
            fi
            ;;
    esac
done <"${chapter[0]}"
tell
