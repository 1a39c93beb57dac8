#!/usr/bin/env bash
# docs.sh check | write | run FILE... | record FILE... - keeps the documents true to the system.
#
#   check   tests and scenarios that docs/hard-cases.md, docs/guarantees.md and
#           SECURITY.md name are there, and every promise of the README is among
#           the latter; a run of a scenario without something has a row in that
#           one's table; links lead somewhere; quoted code is what stands in the
#           source; words are known to hunspell or to docs/words.txt; no phrase of
#           docs/phrases.txt is used; lengths and widths are kept;
#           docs/architecture.md shows the tree (scripts/architecture.sh); the
#           index of docs/decisions/ has all records
#   write   puts into the documents the code that they quote, and the tree
#   run     the commands of FILEs (without one: of all chapters, README.md and
#           docs/debugging.md), as scenarios are run: what stands there is what
#           comes out
#   record  runs them, and the scenarios, and writes what comes out into those
#           where it is not what stands there
#
# Code is quoted by name, never pasted: the fence reads
#     ```c libevents/write/shell.c run_batch
# and the block is that function, table or struct of that file.  So is what a
# search through small worlds has found:
#     ```text lab/worlds.txt guards S3
# is the shortest way to S3 without guards.
#
# shellcheck disable=SC2016  # the backticks are Markdown's
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

documents=(*.md docs/*.md docs/decisions/*.md docs/tutorial/*.md scenarios/*.md lab/*.md
    tests/*.md)
# Those that people write; the matrix is printed, in the words of the tests.
written=()
for document in "${documents[@]}"; do
    [ "$document" = docs/fault-matrix.md ] || written+=("$document")
done
# Those with commands, but for the scenarios.
played=(README.md docs/debugging.md docs/tutorial/[0-9]*.md)
bad=0
wrong() {
    printf 'docs: %s\n' "$*" >&2
    bad=1
}

# ---- tests that documents name --------------------------------------------------

# known["suite/name"] and known['"name"']: the file that has the test.
declare -A known
know_tests() {
    local file name
    while read -r file name; do
        known[$name]=$file
    done < <(
        for file in tests/*.c tests/*/*.c; do
            # A long head of a test stands on two lines.
            { tr '\n' ' ' <"$file" && echo; } | sed -E 's/\bTest\( */\n&/g' | sed -nE \
                "s|^Test\( *([a-z_0-9]+), +([a-z_0-9]+).*|$file \1/\2|p"
        done
        for file in tests/*.sh; do
            sed -nE "s|^ *it '([^']*)'.*|$file \"\1\"|p" "$file"
        done
    )
}

# ---- hard cases ---------------------------------------------------------------

check_cases() {
    local page=docs/hard-cases.md n row name named
    local -A rows says
    while IFS='|' read -r _ name row; do
        rows[${name// /}]=$row
    done < <(grep '^| HC' $page)
    while IFS=: read -r name row; do
        says[$name]+=" ${row#Hard cases: } "
    done < <(grep -H '^Hard cases: ' scenarios/[0-9]*.md)

    for n in $(seq 69); do
        row=${rows[HC$n]:-} named=0
        while [[ $row =~ (\`([a-z_]+/[a-z_0-9]+)\`|[|,]' '(\"[^\"]+\"))(.*) ]]; do
            name=${BASH_REMATCH[2]}${BASH_REMATCH[3]} row=${BASH_REMATCH[4]}
            named=$((named + 1))
            [ -n "${known[$name]:-}" ] ||
                wrong "$page: HC$n: there is no test $name"
        done
        [ $named -gt 0 ] || wrong "$page: HC$n names no test"
        row=${rows[HC$n]:-}
        while [[ $row =~ (scenarios/[0-9a-z-]+\.md)(.*) ]]; do
            name=${BASH_REMATCH[1]} row=${BASH_REMATCH[2]}
            [[ ${says[$name]:-} =~ [^0-9A-Z]HC${n}[^0-9] ]] ||
                wrong "$page: $name does not say HC$n"
        done
    done
    for name in "${!says[@]}"; do
        row=${says[$name]}
        while [[ $row =~ (HC[0-9]+)(.*) ]]; do
            n=${BASH_REMATCH[1]} row=${BASH_REMATCH[2]}
            [[ ${rows[$n]:-} == *"$name"* ]] ||
                wrong "$name: $page does not say so of $n"
        done
    done
}

# ---- guarantees ---------------------------------------------------------------

# The sentences of the README between two of its heads.
promises() {
    awk '/^\*\*Guaranteed\*\*/ { inside = 1; next }
         /^\*\*Not guaranteed\*\*/ { exit }
         inside && NF { sub(/^- /, "\n"); sub(/^ +/, ""); printf "%s ", $0 }
         END { print "" }' \
        README.md | sed -e 's/ *$//' -e 's/\. \([A-Z]\)/.\n\1/g' -e '/^$/d'
}

check_guarantees() {
    local page=docs/guarantees.md text promise row name file count=0
    text=$(<$page)
    while IFS= read -r promise; do
        count=$((count + 1))
        [[ $text == *$'\n'"| $promise |"* ]] ||
            wrong "$page: does not have: $promise"
    done < <(promises)
    [ $count -ge 6 ] || wrong 'README.md: where are its promises?'
    while IFS= read -r promise; do
        row=$promise count=0
        while [[ $row =~ (\`[a-z_]+/[a-z_0-9]+\`|'["'[^\"]+\")(.*) ]]; do
            name=${BASH_REMATCH[1]//[\`[]/} row=${BASH_REMATCH[2]}
            count=$((count + 1))
            file='no link'
            [[ $row =~ ^\]\(\.\./([^\)]*)\) ]] && file=${BASH_REMATCH[1]}
            [ "${known[$name]:-}" = "$file" ] ||
                wrong "$page: there is no test $name in $file"
        done
        [ $count -gt 0 ] || wrong "$page: no test: $promise"
    done < <(grep '^| [A-Z]' $page)
}

# What SECURITY.md says of a name of several words, a test of that name proves.
check_security() {
    local name count=0
    while read -r name; do
        count=$((count + 1))
        [[ " ${!known[*]} " == *"/$name "* ]] ||
            wrong "SECURITY.md: there is no test $name"
    done < <(grep '^|' SECURITY.md | grep -oE '`[a-z0-9]+(_[a-z0-9]+){2,}`' |
        tr -d '`')
    [ $count -ge 10 ] || wrong 'SECURITY.md: where are its tests?'
}

# ---- decisions ----------------------------------------------------------------

# The index has a row for each record, in order, with its title; a record has
# its four parts; a test that one names, by at least three words, is there.
check_decisions() { # DIRECTORY
    local file number=0 part name
    for file in "$1"/[0-9]*.md; do
        number=$((number + 1)) name=${file##*/}
        [[ $name == "$(printf '%04d' $number)"-* ]] || wrong "$file: is number $number"
        echo "| [${name%%-*}]($name) | $(sed -n '1s/^# [0-9]* //p' "$file") |"
        for part in Context Decision Consequences Evidence; do
            grep -qx "## $part" "$file" || wrong "$file: has no part '$part'"
        done
        while read -r name; do
            [ -n "${known[$name]:-}" ] || wrong "$file: there is no test $name"
        done < <(grep -oE '`[a-z_]+/[a-z]+(_[a-z0-9]+){2,}`' "$file" | tr -d '`')
    done >"$1/index.new"
    cmp -s "$1/index.new" <(grep '^| \[' "$1/README.md") ||
        wrong "$1/README.md: must have these rows:"$'\n'"$(<"$1/index.new")"
    rm "$1/index.new"
}

# ---- what is left out -----------------------------------------------------------

# A reader who is told to run a scenario without something finds it foretold.
check_removals() { # FILE...
    local file number names
    for file; do
        # A command in the text may go on in the next line.
        while read -r number names; do
            [ -n "$(scripts/scenario.sh foretold "$number" "$names")" ] ||
                wrong "$file: 'scenario run $number --without $names':" \
                    "the table of scenario $number has no row for $names"
        done < <(tr -s ' \n' ' ' <"$file" | sed -nE \
            's/scenario (run )?([0-9]+) --without[ =]([A-Za-z,_-]+)/\n\2 \3\n/gp' |
            grep -E '^[0-9]+ [A-Za-z,_-]+$')
    done
}

# ---- links --------------------------------------------------------------------

check_links() {
    local file link
    for file in "${documents[@]}"; do
        while read -r link; do
            case $link in
                http*://* | '#'*) continue ;;
            esac
            [ -e "${file%"${file##*/}"}${link%%#*}" ] ||
                wrong "$file: the link to $link leads nowhere"
        done < <(grep -oE '\]\([^) ]+\)' "$file" | sed 's/^](//; s/)$//')
    done
}

# ---- code, quoted by name -------------------------------------------------------

# The definition of NAME in FILE: from the line that begins it to the brace
# that closes it in the first column.  A return type may have a line to itself.
region() { # FILE NAME
    awk -v name="$2" '
        !inside && $0 ~ "(^|[ *])" name "(\\(|\\[| =| \\{|\\)\\()" &&
            /^[a-z]/ && !/;$/ {
            inside = 1
            if ($0 ~ "^" name) print before
        }
        inside { print; if (/^}/) exit }
        { before = $0 }' "$1"
}

# Of the part "== NAMES" of FILE, the way to what WHAT begins.
way() { # FILE NAMES WHAT
    awk -v part="== $2" -v what=": $3" '
        /^== / { inside = $0 == part }
        inside && /^-- / && index($0, what) { telling = 1 }
        /^$/ { telling = 0 }
        telling' "$1"
}

quoted() { # KIND FILE NAME...
    case $1 in
        c) region "$2" "$3" ;;
        text) way "$2" "$3" "$4" ;;
    esac
}

# The document with its quoted code as it stands in the source.
with_code() { # FILE
    local line quoting='' words
    while IFS= read -r line; do
        if [ -n "$quoting" ]; then
            [ "$line" != '```' ] || { quoting='' && echo "$line"; }
            continue
        fi
        printf '%s\n' "$line"
        if [[ $line =~ ^'```'(c' '[^ ]+' '[a-z_]+|text' '[^ ]+' '[a-z,]+' '.+)$ ]]; then
            read -ra words <<<"${BASH_REMATCH[1]}"
            quoting=yes
            if [ ! -e "${words[1]}" ] || [ -z "$(quoted "${words[@]}")" ]; then
                echo "docs: $1: ${words[1]} has no ${words[*]:2}" >&2
            else
                quoted "${words[@]}"
            fi
        fi
    done <"$1"
}

check_code() {
    local file
    for file in docs/tutorial/*.md; do
        cmp -s <(with_code "$file") "$file" ||
            wrong "$file: quotes other code than there is: make docs"
        ! grep -q '^```c$' "$file" ||
            wrong "$file: code without a name is code that rots"
    done
}

# ---- lengths and words ----------------------------------------------------------

# Prose only: no blocks, no code, no addresses, nothing that a script writes.
prose() {
    awk '/^<!-- .*: begin/ { written = 1 }
         /^<!-- .*: end/ { written = 0 }
         /^ *```/ { inside = !inside; next }
         !inside && !written && !/^    / && !/^<!--/' "$1" |
        sed -e 's/`[^`]*`//g' -e 's/](\([^)]*\))/]/g' -e 's|https\?://[^ ]*||g' \
            -e 's/\<\(HC\|[SLQJF]\)[0-9][0-9]*\>//g' -e 's/n-th//g' -e "s/'s\>//g"
}

check_lengths() {
    local file lines words
    for file in scenarios/[0-9]*.md; do
        lines=$(awk '/^```/ { inside = !inside } !inside || /^\$ /' "$file" | wc -l)
        [ "$lines" -le 60 ] ||
            wrong "$file: $lines lines without output, 60 are the limit"
    done
    for file in docs/tutorial/[0-9]*.md; do
        words=$(prose "$file" | wc -w)
        [ "$words" -le 1200 ] || wrong "$file: $words words, 1200 are the limit"
        lines=$(awk '/^```(c|text) / { n = 0; inside = 1; next }
            /^```/ { inside = 0 }
            inside && ++n > most { most = n }
            END { print most + 0 }' "$file")
        [ "$lines" -le 25 ] || wrong "$file: quotes $lines lines of code at once"
    done
}

# Tables, what readers type and what is printed may be as wide as they have to.
check_width() {
    local file wide
    for file in "${written[@]}"; do
        wide=$(sed -E '/^```console/,/^```$/d; /^(\||<!-- )/d' "$file" |
            LC_ALL=C.UTF-8 grep -E '^.{121,}' | head -n 1) || true
        [ -z "$wide" ] || wrong "$file: more than 120 columns: ${wide:0:60}..."
    done
}

# Phrases of docs/phrases.txt, wherever somebody reads them: not in this list,
# in what was recorded, or in the names of tests.
check_phrases() {
    local phrase remedy line
    while IFS=$'\t' read -r phrase remedy; do
        [[ $phrase != '#'* ]] || continue
        while IFS= read -r line; do
            wrong "$line (write: $remedy)"
        done < <(grep -rnE --include='*.md' --include='*.c' --include='*.h' \
            --include='*.sh' -- "$phrase" "${documents[@]}" run.sh scripts \
            libevents shop saga-cli bench ./*-svc lab | cut -c1-160 | sort -u)
    done <docs/phrases.txt
}

check_words() {
    local file unknown
    # All at once first: the dictionary takes longer to read than they do.
    unknown=$(for file in "${written[@]}"; do prose "$file"; done |
        hunspell -d en_US -p docs/words.txt -l)
    [ -n "$unknown" ] || return 0
    for file in "${written[@]}"; do
        unknown=$(prose "$file" | hunspell -d en_US -p docs/words.txt -l |
            sort -u | paste -sd ' ')
        [ -z "$unknown" ] || wrong "$file: unknown words: $unknown"
    done
}

# ---- commands -----------------------------------------------------------------

# A line, and all that was said if it failed; then a file in DIRECTORY tells.
run_one() { # FILE DIRECTORY
    local said verdict=ok begun=$SECONDS
    said=$2/${1##*/}
    setpriv --pdeathsig TERM scripts/scenario.sh file "$1" >"$said" 2>&1 ||
        verdict=FAILED
    {
        flock 9
        printf '  %-6s %-62s %3d s\n' $verdict "$1" $((SECONDS - begun))
        [ $verdict = ok ] || { touch "$said.bad" && cat "$said"; }
    } 9>"$2/lock"
}

# Each document has services and a directory of its own, and mostly waits: so
# $SAGA_JOBS (3) run at a time.
run_all() { # FILE...
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    printf '%s\n' "$@" >"$work/list"
    setpriv --pdeathsig TERM xargs -a "$work/list" -P "${SAGA_JOBS:-3}" -I '{}' \
        setpriv --pdeathsig TERM scripts/docs.sh run-one '{}' "$work" &
    wait $! || bad=1
    [ -z "$(find "$work" -name '*.bad')" ] || bad=1
    exit $bad
}

# ---- modes --------------------------------------------------------------------

case ${1:-} in
    check)
        know_tests
        check_cases
        check_guarantees
        check_security
        check_decisions docs/decisions
        check_removals "${documents[@]}"
        check_links
        check_code
        check_lengths
        check_width
        check_words
        check_phrases
        scripts/architecture.sh check >/dev/null || bad=1
        [ $bad -eq 0 ] && echo "docs: ${#documents[@]} documents, all true"
        exit $bad
        ;;
    write)
        for file in docs/tutorial/*.md; do
            with_code "$file" >"$file.new"
            mv "$file.new" "$file"
        done
        scripts/architecture.sh write
        ;;
    run)
        shift
        [ $# -gt 0 ] || set -- "${played[@]}"
        run_all "$@"
        ;;
    record)
        shift
        [ $# -gt 0 ] || set -- "${played[@]}" scenarios/[0-9]*.md
        printf '%s\n' "$@" |
            xargs -P "${SAGA_JOBS:-3}" -n 1 scripts/scenario.sh record
        ;;
    run-one) run_one "$2" "$3" ;; # this script's own
    removals) # FILE...: one of the checks alone, for tests
        check_removals "${@:2}"
        exit $bad
        ;;
    decisions) # DIRECTORY: the same
        know_tests
        check_decisions "$2"
        exit $bad
        ;;
    *)
        echo 'usage: docs.sh check | write | run FILE... | record FILE...' >&2
        exit 64
        ;;
esac
