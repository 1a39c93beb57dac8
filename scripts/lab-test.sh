#!/usr/bin/env bash
# lab-test.sh [N...] - every scenario (or those) without what its table names.
#
# The table of a scenario's file has rows such as
#
#   | `inbox,guards` | **red** S2 S4: alice was charged twice, `940.30` |
#   | `inbox` | green: the guard finds the order already charged |
#
# Red: the scenario must fail, the invariants that `saga check` finds broken
# must be exactly these (one in parentheses depends on who wins a race, and may
# be among them or not), and each text in backticks must be among what it said.
# Green: it must pass.  A file without a red row teaches nothing, and fails.
#
# shellcheck disable=SC2016  # the backticks are Markdown's
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

jobs=${LAB_JOBS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM HUP

rows_of() { # FILE: number, names, the rest of each row, by tabs
    sed -n 's/^| `\([a-z,]*\)` | \(.*\) |$/\1\t\2/p' "$1"
}

# One row.  Writes what is wrong with it to FILE.wrong.
try() { # NUMBER NAMES TEXT OUT
    local code=0 said=$4.said wanted found literal id
    scripts/scenario.sh run "$1" --without "$2" >"$said" 2>&1 || code=$?
    found=$(sed -n 's/^+\{0,1\} *FAIL  \([A-Z][0-9]*\) .*/\1/p' "$said" |
        sort -u | paste -sd ' ')
    case $3 in
        green:*)
            [ $code -eq 0 ] || echo "should pass, and does not" >>"$4.wrong"
            ;;
        '**red**'*)
            wanted=${3#'**red**'}
            wanted=$(tr ' ' '\n' <<<"${wanted%%:*}" | while read -r id; do
                if [[ $id == \(*\) ]]; then
                    id=${id//[()]/}
                    grep -qw "$id" <<<"$found" || continue
                fi
                [ -z "$id" ] || echo "$id"
            done | sort -u | paste -sd ' ')
            [ $code -eq 1 ] || echo "should fail, and does not" >>"$4.wrong"
            [ "$found" = "$wanted" ] || echo \
                "should break '$wanted', and breaks '$found'" >>"$4.wrong"
            while read -r literal; do
                grep -qF -- "$literal" "$said" ||
                    echo "nothing says '$literal'" >>"$4.wrong"
            done < <(grep -o '`[^`]*`' <<<"${3#*:}" | tr -d '`')
            ;;
        *) echo "neither **red** nor green:" >>"$4.wrong" ;;
    esac
    echo "$found" >"$4.found"
}

files=()
if [ $# -gt 0 ]; then
    for number; do
        files+=(scenarios/"$(printf '%02d' "$((10#$number))")"-*.md)
    done
else
    files=(scenarios/[0-9]*.md)
fi

# Builds first, one after the other: they share the processors anyway.
while read -r names; do
    scripts/lab.sh without "$names" >/dev/null
done < <(cat "${files[@]}" | sed -n 's/^| `\([a-z,]*\)` | .* |$/\1/p' | sort -u)

bad=0 tried=0
for file in "${files[@]}"; do
    if ! grep -q '^| `[a-z,]*` | \*\*red\*\*' "$file"; then
        echo "  FAILED $file: no removal turns it red: it teaches nothing"
        bad=$((bad + 1))
    fi
    while IFS=$'\t' read -r names text; do
        number=$(basename "$file" | cut -c 1-2)
        out=$work/$number-$names
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
            wait -n || true
        done
        try "$number" "$names" "$text" "$out" &
        tried=$((tried + 1))
    done < <(rows_of "$file")
done
wait

for out in "$work"/*.found; do
    name=$(basename "$out" .found)
    if [ -e "${out%.found}.wrong" ]; then
        bad=$((bad + 1))
        printf '  FAILED %s without %s:\n' "${name%%-*}" "${name#*-}"
        sed 's/^/           /' "${out%.found}.wrong"
        sed 's/^/         | /' "${out%.found}.said"
    else
        printf '  ok     %s without %-16s %s\n' "${name%%-*}" "${name#*-}" \
            "$(sed 's/^./breaks &/' "$out")"
    fi
done
echo "$tried tried, $bad not as written"
[ $bad -eq 0 ] && [ $tried -gt 0 ]
