#!/usr/bin/env bash
# lab-test.sh [N...] - every scenario (or those) without what its table names.
#
# The table of a scenario's file has rows such as
#
#   | `inbox,guards` | **red** S2 S4: alice was charged twice, `940.30` |
#   | `inbox` | green: the guard finds the order already charged |
#
# Red: the scenario must fail, the invariants that `saga check` finds broken
# must be exactly these, and each text in backticks must be among what it said.
# Green: it must pass.  A file without a red row teaches nothing, and fails.
# The exit code of scenario.sh, which is what the row foretells, proves nothing
# and is not looked at.
#
# $LAB_JOBS rows (3) are tried at a time: they mostly wait.
#
# shellcheck disable=SC2016  # the backticks are Markdown's
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

rows_of() { # FILE: number, names, the rest of each row, by tabs
    local number
    number=$(basename "$1" | cut -c 1-2)
    scripts/scenario.sh rows "$1" | sed "s/^/$number\t/"
}

# ---- one row --------------------------------------------------------------------

# What a scenario that ended with CODE and said that does not do as TEXT wants.
differences() { # CODE SAID TEXT
    local found wanted literal ran
    case $3 in
        green:*)
            [ "$1" -eq 0 ] || echo 'should pass, but does not'
            return
            ;;
        '**red**'*:*) ;;
        *) echo 'neither "**red** IDS: why" nor "green: why"' && return ;;
    esac
    found=$(broken "$2")
    wanted=${3#'**red**'}
    wanted=$(tr -s ' ' '\n' <<<"${wanted%%:*}" | sed '/^$/d' | sort -u |
        paste -sd ' ')
    [ "$1" -eq 1 ] || echo 'should fail, but does not'
    [ "$found" = "$wanted" ] ||
        echo "should break '$wanted', but breaks '$found'"
    ran=$(sed -E '/^(As|Not as) predicted: /,$d' "$2")
    while read -r literal; do
        grep -qF -- "$literal" <<<"$ran" || echo "the output lacks '$literal'"
    done < <(grep -o '`[^`]*`' <<<"${3#*:}" | tr -d '`')
}

broken() { # SAID: the ids of the invariants that do not hold, on one line
    sed -n 's/^+\{0,1\} *FAIL  \([A-Z][0-9]*\) .*/\1/p' "$1" | sort -u |
        paste -sd ' '
}

# Tries one row; what is wrong with it is said at once, all of it.
try() { # ROW DIRECTORY
    local number names text code=0 said wrong begun=$SECONDS
    IFS=$'\t' read -r number names text <<<"$1"
    said=$2/$number-$names
    setpriv --pdeathsig TERM scripts/scenario.sh run "$number" \
        --without "$names" >"$said" 2>&1 ||
        code=$?
    if [ $code -eq 77 ]; then
        touch "$said.skipped"
        printf '  skip   %s without %-16s it cannot run here\n' "$number" "$names"
        return
    fi
    wrong=$(
        differences $code "$said" "$text"
        grep -q '^As predicted: ' "$said" || echo 'it does not say "As predicted"'
    )
    {
        flock 9
        if [ -z "$wrong" ]; then
            printf '  ok     %s without %-16s %-28s %3d s\n' "$number" \
                "$names" "$(broken "$said" | sed 's/^./breaks &/')" \
                $((SECONDS - begun))
            return
        fi
        touch "$said.bad"
        printf '  FAILED %s without %s:\n' "$number" "$names"
        printf '%s\n' "$wrong" | sed 's/^/           /'
        sed 's/^/         | /' "$said"
    } 9>"$2/lock"
}

# ---- all ------------------------------------------------------------------------

case ${1:-} in
    row) try "$2" "$3" && exit ;;
    judge) differences "$2" "$3" "$4" && exit ;; # CODE SAID TEXT: for tests
esac

files=()
for number; do
    files+=(scenarios/"$(printf '%02d' "$((10#$number))")"-*.md)
done
[ $# -gt 0 ] || files=(scenarios/[0-9]*.md)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

bad=0
for file in "${files[@]}"; do
    rows_of "$file" >>"$work/rows"
    if ! grep -q '^| `[a-z,]*` | \*\*red\*\*' "$file"; then
        echo "  FAILED $file: no removal makes it fail, so it teaches nothing"
        bad=$((bad + 1))
    fi
    if [ "$(rows_of "$file" | wc -l)" -ne \
        "$(sed '1,/^|---/d' "$file" | grep -c '^|')" ]; then
        echo "  FAILED $file: a row of its table cannot be read"
        bad=$((bad + 1))
    fi
done
tried=$(wc -l <"$work/rows")

# Builds first, one after the other: they share the processors anyway.
begun=$SECONDS
while read -r names; do
    scripts/lab.sh without "$names" >/dev/null
done < <(cut -f 2 "$work/rows" | sort -u)
printf '  built missing programs %38d s\n' $((SECONDS - begun))

# A signal ends this shell at once, and that ends the others, which clean up.
setpriv --pdeathsig TERM xargs -a "$work/rows" -d '\n' -P "${LAB_JOBS:-3}" \
    -I '{}' setpriv --pdeathsig TERM scripts/lab-test.sh row '{}' "$work" &
wait $! || bad=$((bad + 1))
bad=$((bad + $(find "$work" -name '*.bad' | wc -l)))
skipped=$(find "$work" -name '*.skipped' | wc -l)
tried=$((tried - skipped))
echo "$tried tried, $bad not as predicted, $skipped skipped"
[ $bad -eq 0 ] && [ $((tried + skipped)) -gt 0 ]
