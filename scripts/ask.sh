# shellcheck shell=bash
# ask.sh - what scenario.sh and learn.sh share: they show Markdown in a terminal,
# ask a reader to choose, and remember the answers.  Sourced, after common.sh.
#
# The answers are a log, and each score is a fold of it: one line for each answer,
#
#   SUBJECT LETTER right|wrong
#
# in $XDG_STATE_HOME/saga/answers (~/.local/state/saga/answers).  The first answer
# to a question counts, because after it the reader knows.

bold='' dim='' green='' red='' plain=''
if has_colours; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[m'
fi

# Whether somebody can be asked.
in_terminal() { [ -t 0 ] && [ -t 1 ]; }

width() {
    local columns
    columns=$(stty size 2>/dev/null | cut -d ' ' -f 2) || columns=''
    [[ $columns =~ ^[1-9][0-9]*$ ]] || columns=80
    echo $((columns < 102 ? (columns > 24 ? columns - 2 : 22) : 100))
}

# Markdown from standard input as a terminal shows it: paragraphs and list items
# as wide as it is, what is bold bold, code without its backticks, links without
# their targets.  Blocks and tables stay as they are.
render() {
    sed -E -e 's/\[([^]]*)\]\([^)]*\)/\1/g' \
        -e 's/(^|[ (])\*([^* ][^*]*)\*/\1\2/g' | awk -v wide="$(width)" \
        -v bold="$bold" -v code="$bold" -v off="$plain" '
        function put(word,  bare) {
            bare = word
            gsub(/\*\*|`/, "", bare)
            if (column > indent && column + 1 + length(bare) > wide) {
                printf "\n%*s", indent, ""
                column = indent
            } else if (column > indent) {
                printf " "
                column++
            }
            printf "%s", styled(word)
            column += length(bare)
        }
        function styled(word,  out, at) {
            out = ""
            while (match(word, /\*\*|`/)) {
                at = substr(word, RSTART, RLENGTH)
                on[at] = !on[at]
                out = out substr(word, 1, RSTART - 1) (on[at] ? \
                    (at == "`" ? code : bold) : off)
                word = substr(word, RSTART + RLENGTH)
            }
            return out word
        }
        function flush(  i, n, words) {
            if (text == "") return
            n = split(text, words, " ")
            printf "%*s", from, ""
            column = indent
            if (mark != "") printf "%s", mark
            for (i = 1; i <= n; i++) put(words[i])
            print ""
            text = mark = ""
            indent = from = 0
            on["**"] = on["`"] = 0
        }
        /^ *```/ { flush(); block = !block; next }
        block { print "    " $0; next }
        /^$/ { flush(); print; next }
        /^#+ / { flush(); sub(/^#+ /, ""); print bold $0 off; next }
        /^\|[-|: ]*$/ { next }
        /^\|/ { flush(); gsub(/\*\*|`/, ""); print; next }
        /^    / && text == "" { print; next }
        /^ *(-|[0-9]+\.) / {
            flush()
            match($0, /^ */)
            from = RLENGTH
            match($0, /^ *(-|[0-9]+\.) +/)
            mark = substr($0, from + 1, RLENGTH - from)
            indent = RLENGTH
            $0 = substr($0, RLENGTH + 1)
        }
        { text = text " " $0 }
        END { flush() }'
}

# Waits for Enter; false at the end of input or for q.
go_on() { # WHAT ENTER DOES
    local key
    printf '%s[Enter %s, q leaves]%s ' "$dim" "$1" "$plain"
    if ! IFS= read -r key; then
        echo
        return 1
    fi
    [[ $key != q* ]]
}

# Asks until one of LETTERS is typed, into $REPLY; empty if the reader passes.
# False at the end of input and for q.
choose() { # LETTERS
    local letters=$1
    while :; do
        printf '%sWhich one?%s %s[%s, Enter passes, q leaves]%s ' "$bold" "$plain" "$dim" \
            "$(sed 's/./& /g; s/ $//' <<<"$letters")" "$plain"
        if ! IFS= read -r REPLY; then
            echo
            return 1
        fi
        REPLY=${REPLY,,}
        [ "$REPLY" != q ] || return 1
        [ "$REPLY" != s ] || REPLY='' # it skips, elsewhere
        [ -z "$REPLY" ] || [[ ${#REPLY} -eq 1 && $letters == *"$REPLY"* ]] || {
            echo "'$REPLY' is not one of these letters."
            continue
        }
        return 0
    done
}

# The letters of the list in a text: "- a. ..." and so on.
letters_in() { sed -n 's/^ *- \([a-z]\)\. .*/\1/p' | tr -d '\n'; }

# ---- what was answered ------------------------------------------------------

answers_file() {
    local state=${XDG_STATE_HOME:-${HOME:+$HOME/.local/state}}
    [ -n "$state" ] || return 1
    echo "$state/saga/answers"
}

# Records an answer, and says whether it is right.
record_answer() { # SUBJECT LETTER RIGHT-LETTER
    local file verdict=wrong
    [ "$2" != "$3" ] || verdict=right
    if [ $verdict = right ]; then
        echo "${green}Right.$plain"
    else
        echo "${red}Not $2: the answer is $3.$plain"
    fi
    file=$(answers_file) || return 0
    { mkdir -p "${file%/*}" && echo "$1 $2 $verdict" >>"$file"; } 2>/dev/null ||
        echo "The answer cannot be kept: $file is not writable." >&2
}

# The first answer to SUBJECT: right, wrong, or nothing.
first_answer() { # SUBJECT
    local file
    file=$(answers_file) || return 0
    [ ! -r "$file" ] || awk -v s="$1" '$1 == s { print $3; exit }' "$file"
}

# How many of the SUBJECTS were answered rightly, of how many answered.
tally() { # SUBJECT...
    local subject right=0 answered=0
    for subject; do
        case $(first_answer "$subject") in
            right) right=$((right + 1)) answered=$((answered + 1)) ;;
            wrong) answered=$((answered + 1)) ;;
        esac
    done
    echo "$right of $answered answered right, $(($# - answered)) left"
}
