#!/usr/bin/env bash
# lab-test.sh [N...] - every scenario (or those) without what its table names.
#
# The table of a scenario's file has rows such as
#
#   | `inbox,guards` | **red** S2 S4: alice was charged twice, `940.30` |
#   | `inbox` | green: the guard finds the order already charged |
#
# and `scenario.sh run N --without NAMES` says whether it came so, all of it: its
# exit code is 0 then.  A file without a red row teaches nothing, and fails.
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

# Tries one row; what is wrong with it is said at once, all of it.
try() { # ROW DIRECTORY
    local number names text code=0 said begun=$SECONDS
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
    {
        flock 9
        if [ $code -eq 0 ] && grep -q '^Expected [a-z]*, and it is' "$said"; then
            printf '  ok     %s without %-16s %-28s %3d s\n' "$number" \
                "$names" "${text%%:*}" $((SECONDS - begun))
            return
        fi
        touch "$said.bad"
        printf '  FAILED %s without %s:\n' "$number" "$names"
        sed 's/^/         | /' "$said"
    } 9>"$2/lock"
}

# ---- all ------------------------------------------------------------------------

case ${1:-} in
    row) try "$2" "$3" && exit ;;
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
