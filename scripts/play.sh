#!/usr/bin/env bash
# play.sh PAGE COPY - runs the commands of PAGE in this one shell, says each of
# them and what it prints, and writes two copies of PAGE:
#
#   COPY       with what was printed, unless it varies, and comes as PAGE has it
#   COPY.new   with what was printed
#
# So PAGE is true if COPY is the same, but for docs/may-differ.txt.
#
# Commands are the lines of a `console` block that begin with "$ "; what is below
# a command, up to the next, is its output.  A code that is not 0 is told by a
# line "(exit code N)".  A block "mermaid ORDER" is the output of the command
# that draws it.  Comments, which a reader does not see:
#
#   <!-- run: COMMAND -->
#       It must succeed; what it prints is of no interest.
#   <!-- compare only: COMMAND => PATTERN -->
#       What COMMAND prints, and any that begins so, varies.  The page shows one
#       such output.  What matches PATTERN (grep -oP) must be the same in both.
#
# With $RECORD, a directory, each command and its output are kept there, as
# N.command and N.output, and a dot on $RECORD_TTY tells of it (scenario.sh).
#
# All names begin with play, for the commands are run in between.
set -u
play_page=$1 play_copy=$2

play_at=0 play_recorded='' play_command='' play_block='' play_when=() play_pattern=()
mapfile -t play_lines <"$play_page"
: >"$play_copy"
: >"$play_copy.new"

play_put() { # LINE
    printf '%s\n' "$1" >>"$play_copy"
    printf '%s\n' "$1" >>"$play_copy.new"
}

# Runs COMMAND.  What it prints goes to the terminal, and to COPY.said as a page
# shows it: directories are named as if they were in /tmp.
play_run() { # COMMAND
    local play_code=0
    rm -f "$play_copy.raw" # one that still runs keeps the old one
    eval "$1" >"$play_copy.raw" 2>&1 || play_code=$?
    [ -z "$(tail -c 1 "$play_copy.raw")" ] || echo >>"$play_copy.raw"
    [ $play_code -eq 0 ] || echo "(exit code $play_code)" >>"$play_copy.raw"
    sed -E -e "s|${TMPDIR:-/tmp}/|/tmp/|g" \
        -e 's/\btmp\.[A-Za-z0-9]{10}\b/tmp.XXXXXXXXXX/g' \
        "$play_copy.raw" >"$play_copy.said"
}

# Whether the command's output varies, but came as it stands in the page.
play_as_recorded() {
    local play_i play_any=1 play_came
    for play_i in "${!play_when[@]}" exit; do
        if [ "$play_i" = exit ]; then
            set -- '^\(exit code .*'
        elif [[ $play_command == "${play_when[play_i]}"* ]]; then
            play_any=0
            set -- "${play_pattern[play_i]}"
        else
            continue
        fi
        play_came=$(grep -oP -- "$1" "$play_copy.said")
        [ -n "$play_came" ] || [ "$play_i" = exit ] || return 1
        [ "$play_came" = "$(grep -oP -- "$1" <<<"$play_recorded")" ] || return 1
    done
    return $play_any
}

play_keep() {
    [ -n "${RECORD:-}" ] || return 0
    play_at=$((play_at + 1))
    echo "$play_command" >"$RECORD/$play_at.command"
    cp "$play_copy.raw" "$RECORD/$play_at.output"
    printf . >"$RECORD_TTY"
}

# The command whose recorded output has been read, if there is one.
play_pending() {
    [ -n "$play_command" ] || return 0
    printf '$ %s\n' "$play_command"
    play_run "$play_command"
    cat "$play_copy.raw"
    play_keep
    cat "$play_copy.said" >>"$play_copy.new"
    if play_as_recorded; then
        printf '%s' "$play_recorded" >>"$play_copy"
    else
        cat "$play_copy.said" >>"$play_copy"
    fi
    play_recorded='' play_command=''
}

play_comment() { # COMMENT
    case $1 in
        'run: '*)
            play_run "${1#run: }"
            grep '^(exit code ' "$play_copy.said" >>"$play_copy" &&
                cat "$play_copy.said"
            ;;
        'compare only: '*' => '*)
            set -- "${1#*: }"
            play_when+=("${1%% => *}")
            play_pattern+=("${1#* => }")
            ;;
    esac
}

for play_line in "${play_lines[@]}"; do
    case $play_block$play_line in
        'console$ '*)
            play_pending
            play_put "$play_line"
            play_command=${play_line#'$ '}
            ;;
        *'```')
            play_pending
            play_put "$play_line"
            [ -n "$play_block" ] && play_block='' || play_block=other
            ;;
        console* | mermaid*) play_recorded+=$play_line$'\n' ;;
        '```'*)
            play_put "$play_line"
            play_block=other
            case $play_line in
                '```console') play_block=console ;;
                '```mermaid '*)
                    play_block=mermaid
                    play_command="./saga trace ${play_line#* } --mermaid"
                    ;;
            esac
            ;;
        '<!-- '*' -->')
            play_put "$play_line"
            play_line=${play_line#'<!-- '}
            play_comment "${play_line%' -->'}"
            ;;
        *) play_put "$play_line" ;;
    esac
done
:
