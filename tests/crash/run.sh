#!/usr/bin/env bash
# run.sh smoke|all - the tests of tests/crash, two at a time, and counted.
#
# smoke is what CI runs: every kill point of the happy scenario and a sample of
# the others, 40 power cuts, 20,000 bad inputs, a sample of I/O errors,
# partitions.  all takes every point of everything.  The last line is "N
# passed, N failed" and, if any were, ", N skipped"; what was skipped and why
# stands above it.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." || exit 74
export SAGA_BUILD=${SAGA_BUILD:-build}
unset SAGA_DIR SAGA_BUS
SEED=${SEED:-$RANDOM}
export SEED

case ${1:-} in
    smoke)
        limit=900
        lanes=(
            'kills counting confirmed
             kills --sample 8 rejected declined expired refunded
             kills --sample 25 recovery creation
             strangers 20000
             outsiders 20'
            'cuts 20
             torn 20
             again 20
             errors --sample 4
             partitions'
        )
        ;;
    all)
        limit=20000
        lanes=(
            'kills'
            'cuts 300
             torn 1000
             again 1000
             strangers 100000
             outsiders 100
             partitions
             errors'
        )
        ;;
    *)
        echo 'usage: run.sh smoke|all' >&2
        exit 64
        ;;
esac

kept=$SAGA_BUILD/crash
rm -rf "$kept"
mkdir -p "$kept"

# Each of the lines in turn; what they say goes to files of their own.
lane() { # NUMBER
    local n=0 name arguments begun code
    while read -r name arguments; do
        n=$((n + 1)) begun=$SECONDS code=0
        # shellcheck disable=SC2086 # words
        timeout -k 10 $limit tests/crash/"$name".sh $arguments \
            >"$kept/$1-$n.tap" 2>"$kept/$1-$n.out" </dev/null || code=$?
        grep -q '^\(not \)\?ok' "$kept/$1-$n.tap" && [ $code -eq 0 ] ||
            echo "not ok - $name $arguments ended with $code" \
                >>"$kept/$1-$n.tap"
        printf -- '-- %s %s: %d s\n' "$name" "$arguments" \
            $((SECONDS - begun))
        ! grep -q '^not ok' "$kept/$1-$n.tap" || cat "$kept/$1-$n.out"
        cat "$kept/$1-$n.tap"
    done <<<"${lanes[$1]}"
}

echo "SEED=$SEED"
for i in "${!lanes[@]}"; do lane "$i" & done
wait
cat "$kept"/*.tap | awk '
    /^ok .*# *SKIP/ { skip++; next }
    /^ok / { good++ }
    /^not ok / { bad++ }
    END {
        printf "%d passed, %d failed", good, bad
        if (skip)
            printf ", %d skipped", skip
        print ""
        exit bad > 0 || good + skip == 0
    }'
