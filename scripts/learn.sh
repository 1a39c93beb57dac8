#!/bin/bash -p
# learn.sh [CHAPTER | exercise N | check N | progress] - walks a chapter of
# docs/tutorial in the terminal, as `saga learn` does: shows the text, runs each
# command when you press Enter, and asks the chapter's questions.  Without CHAPTER
# it lists them, in a terminal with how far you came.
#
# In front of a command: Enter runs it, s skips it, q leaves, and anything else is
# run as a command of your own.  A scenario, a lab or an exercise that the text
# asks for is offered after its paragraph.  The commands run in one shell, in the
# repository's root.  Data directories that they make with mktemp lie below one of
# ours; however this ends, their services are stopped and the directories removed.
#
# Where a reader leaves is remembered, and a chapter goes on there: the commands
# before that are run once more, unseen, so that the shop is in the same state.
# The answers to the questions are in docs/tutorial/answers.md, not in the chapter.
set -u
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
came_from=$PWD
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"
# shellcheck source=scripts/ask.sh
. "$root/scripts/ask.sh"
cd "$root" || exit 74

# ---- what was learnt so far ---------------------------------------------------

# Lines of CHAPTER STEP OF-HOW-MANY; the last one of a chapter counts.
steps_file() {
    local file
    file=$(answers_file) && echo "${file%/*}/steps"
}
step_of() { # CHAPTER: STEP OF-HOW-MANY, or nothing
    local file
    file=$(steps_file) || return 0
    [ ! -r "$file" ] || awk -v c="$1" '$1 == c { at = $2 " " $3 } END { print at }' "$file"
}
keep_step() { # CHAPTER STEP OF-HOW-MANY
    local file
    file=$(steps_file) || return 0
    { mkdir -p "${file%/*}" && echo "$1 $2 $3" >>"$file"; } 2>/dev/null ||
        echo "Where you are cannot be kept: $file is not writable." >&2
}

# The questions of a chapter, as they are called among the answers.
questions_of() { # FILE NUMBER
    sed -n '/^## Questions/,/^## [^Q]/p' "$1" |
        sed -n "s/^\([0-9]\)\. .*/learn-$2-\1/p"
}
progress_of() { # FILE NUMBER
    local at total questions said='-'
    read -r at total <<<"$(step_of "$2")"
    if [ -n "$at" ]; then
        said="step $at of $total"
        [ "$at" -lt "$total" ] || said='done'
    fi
    mapfile -t questions < <(questions_of "$1" "$2")
    printf '  %-44s %-16s %s\n' "$(sed -n '1s/^# //p' "$1")" "$said" \
        "$(tally "${questions[@]}")"
}

list() { # titles|progress
    local file number
    for file in docs/tutorial/[0-9]*.md; do
        number=$(basename "$file" | cut -c 1-2)
        if [ "$1" = progress ]; then
            progress_of "$file" "$number"
        else
            sed -n '1s/^# //p' "$file"
        fi
    done
    echo
    echo "./saga learn 4   walks through chapter 4; docs/tutorial/ has the files"
}

case ${1:-} in
    '')
        if in_terminal; then list progress; else list titles; fi || exit 74
        exit 0
        ;;
    progress)
        list progress || exit 74
        exit 0
        ;;
    exercise | check)
        [ $# -eq 2 ] || {
            echo "learn: $1 takes the number of a chapter" >&2
            exit 64
        }
        action=$1
        [ "$action" = check ] || action=start
        cd "$came_from" || exit 74
        exec "$root/scripts/exercise.sh" "$action" "$2"
        ;;
esac
if [ $# -gt 1 ]; then
    complain 'learn: ' "unexpected argument '$2' (learn [CHAPTER])"
    exit 64
fi
if [[ ! $1 =~ ^[0-9]{1,2}$ ]]; then
    echo "learn: CHAPTER must be a number ('./saga learn' lists them)" >&2
    exit 64
fi
number=$(printf '%02d' "$((10#$1))")
chapter=(docs/tutorial/"$number"-*.md)
if [ ! -e "${chapter[0]}" ]; then
    echo "learn: no chapter $1 ('./saga learn' lists them)" >&2
    exit 66
fi

# ---- one step after the other --------------------------------------------------

# A step is a command or a question.  "unseen" is the way to the place where the
# reader left, "counting" only finds out how many there are.
mode=seen step=0 total=0 go_on_at=0

work=$(mktemp -d "${TMPDIR:-/tmp}/saga-learn.XXXXXX")
leave() {
    local dir
    trap '' INT TERM HUP EXIT
    [ $step -eq 0 ] || [ $total -eq 0 ] || keep_step "$number" $step $total
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

# What a reader types in front of a command, into $REPLY.
typed_at() { # TEXT HINT
    printf '%s%s%s  %s[%s]%s ' "$bold" "$1" "$plain" "$dim" "$2" "$plain"
    IFS= read -r <&3 || { echo && return 1; }
}

# In this shell, so that variables and jobs last to the end.  A scenario may ask
# for a prediction.
run() { # COMMAND
    local from=/dev/null
    [[ $1 != './saga scenario run '* ]] || [ ! -t 3 ] || from=/dev/fd/3
    eval "$1" <"$from" || printf '%s(exit code %d)%s\n' "$dim" $? "$plain"
    echo
}

# Whether the reader does not see this step: it is only counted, or COMMAND runs on
# the way to the place where the reader left.
is_passed() { # COMMAND
    [ $mode != seen ] || return 1
    step=$((step + 1))
    [ $mode = unseen ] || return 0
    eval "$1" </dev/null >/dev/null 2>&1
    [ "$step" -lt "$go_on_at" ] || mode=seen
    return 0
}

# One command, after Enter.
offer() { # COMMAND
    local command=$1 unseen=:
    [[ $command =~ ^(\./saga (scenario|learn)|make lab) ]] || unseen=$command
    is_passed "$unseen" && return
    while :; do
        typed_at "\$ $command" \
            "Enter runs, s skips, q leaves, or your own; $((step + 1)) of $total" || exit 0
        case $REPLY in
            '') run "$command" && break ;;
            s) break ;;
            q) exit 0 ;;
            *) run "$REPLY" ;;
        esac
    done
    step=$((step + 1))
}

# ---- questions -----------------------------------------------------------------

# What docs/tutorial/answers.md says to a question: a letter, and the reason.
answer_to() { # QUESTION
    sed -n "/^## $((10#$number)) /,/^## /p" docs/tutorial/answers.md | awk -v n="$1" '
        $1 == n "." { inside = 1; sub(/^[0-9]+\. +/, ""); print; next }
        /^[0-9]+\. |^$/ { inside = 0 }
        inside'
}

ask_question() { # TEXT
    local letters answer question=${1%%.*}
    is_passed : && return
    render <<<"$1"
    letters=$(letters_in <<<"$1")
    choose "$letters" <&3 || exit 0
    answer=$(answer_to "$question")
    [ -z "$REPLY" ] || record_answer "learn-$number-$question" "$REPLY" \
        "$(sed -n '1s/^\*\*\([a-z]\)\.\*\*.*/\1/p' <<<"$answer")"
    render <<<"$answer"
    echo
    step=$((step + 1))
}

# ---- the walk -------------------------------------------------------------------

# The paragraph that has been read so far, and the commands in it.
paragraph='' section=''
tell() {
    local text=$paragraph command commands
    paragraph=''
    [ -n "$text" ] || return 0
    if [ "$section" = Questions ] && [[ $text =~ ^[0-9]+\. ]]; then
        ask_question "$text"
        return
    fi
    [ $mode != seen ] || render <<<"$text"
    # shellcheck disable=SC2016 # the backticks are Markdown's
    mapfile -t commands < <(tr '\n' ' ' <<<"$text" | grep -oE \
        '`(\./saga scenario run [0-9]+|make lab WITHOUT=|\./saga learn exercise [0-9]+)[^`]*`' |
        tr -d '`')
    for command in "${commands[@]}"; do offer "$command"; done
}

say() { [ $mode != seen ] || printf '%s\n' "$1"; }

walk() {
    local line block=''
    section=''
    while IFS= read -r line; do
        case $line in
            '```'* | '' | '#'*) tell ;;
            [0-9]'. '*) [ "$section" != Questions ] || tell ;;
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
                    say "    $line"
                elif [ -z "$block" ]; then
                    case $line in
                        '<!-- '*) ;;
                        '') say '' ;;
                        '## '*) section=${line#'## '} && say "$bold$section$plain" ;;
                        *) paragraph+=${paragraph:+$'\n'}$line ;;
                    esac
                fi
                ;;
        esac
    done <"${chapter[0]}"
    tell
}

# Where to begin: at the top, or where the reader left.
choose_beginning() {
    local at
    read -r at _ <<<"$(step_of "$number")"
    [ -n "$at" ] && [ "$at" -lt $total ] || return 0
    typed_at "You left this chapter behind step $at of $total." \
        'Enter goes on there, b begins again, q leaves' || exit 0
    case $REPLY in
        q) exit 0 ;;
        b) return ;;
    esac
    go_on_at=$at mode=unseen
    echo "Its first $at steps run again, unseen ..."
}

exec 3<&0
mode=counting
walk
total=$step step=0 mode=seen
choose_beginning
walk
echo
echo "This was chapter ${number#0}. ./saga learn progress says what you have done."
