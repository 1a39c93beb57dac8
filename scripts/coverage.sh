#!/usr/bin/env bash
# coverage.sh check|write BUILD - lists the branches that the tests never take.
#
# BUILD was built with --coverage.  Runs its tests (except those that start
# processes, which would be killed before they could count), the kept fuzz
# inputs and some simulated runs; gcov counts the branches of the files below.
# `check` compares the branches never taken with tests/coverage-missing.txt,
# which gives a reason for each; `write` writes that file again and keeps the
# reasons.
#
# A branch is known by its file, its function and the text of its line, so that
# the list outlives what is added above it; its number says how many branches
# of such lines are never taken.  A reason that begins with "at times:" is for
# one that is taken in some runs and not in others.  Branches of an assertion are
# left out, since no test may take the one that fails.  So are those within the
# macros of uthash and jansson, which are not ours.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -eq 2 ] || { echo 'usage: coverage.sh check|write BUILD' >&2; exit 64; }
what=$1
build=$2
list=tests/coverage-missing.txt
files='
libevents/base/text.c
libevents/core/event.c libevents/core/codec.c libevents/core/json.c
libevents/core/service.c libevents/log/store.c libevents/log/store_open.c
libevents/log/store_tables.c libevents/log/sql.c libevents/log/wal_vfs.c
libevents/stream/wire.c libevents/stream/frame.c libevents/stream/pull.c
libevents/stream/request.c libevents/stream/subscription.c
libevents/write/cache.c libevents/write/shell.c libevents/write/inbox.c
libevents/write/commands.c libevents/write/outbox.c libevents/write/timers.c
libevents/write/modes.c libevents/write/router.c libevents/write/control.c
libevents/read/projection.c libevents/read/generation.c
libevents/read/view_db.c libevents/read/view.c
libevents/read/queries.c libevents/read/log_query.c libevents/read/pull_answer.c
order-svc/order.c inventory-svc/inventory.c payment-svc/payment.c
'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run_tests() {
    local test name
    find "$build" -name '*.gcda' -delete
    for test in "$build"/tests/test_*; do
        [ -x "$test" ] || continue
        name=$(basename "$test")
        [[ $name != *.* ]] || continue
        timeout 600 "$test" >"$work/$name" 2>&1 </dev/null || {
            tail -n 30 "$work/$name"
            echo "coverage: $name failed" >&2
            exit 1
        }
    done
    for test in "$build"/tests/fuzz/replay_*; do
        [[ $test != *.* ]] || continue
        name=${test##*replay_}
        "$test" "tests/fuzz/corpus/$name" >"$work/replay" 2>&1
    done
    "$build/tests/sim/sim" --seeds 1-40 --keep "$work" >"$work/sim" 2>&1
}

# File, function, text, number of branches not taken; and totals on fd 3.
missing() {
    local file
    for file in $files; do
        gcov --branch-counts --branch-probabilities --stdout \
            --object-file "$build/${file%.c}.o" "$file" 2>/dev/null |
            awk -F: -v OFS='\t' -v file="$file" \
                -v not_ours='assert[(]|HASH_[A-Z]+[(]|json_[a-z]+_foreach[(]' '
                # gcov shows the headers of a file, too: not here
                $2 ~ /^ *0$/ && $3 == "Source" { mine = $4 == file; next }
                !mine { next }
                /^function / {
                    split($0, words, " ")
                    name = words[2]
                    next
                }
                /^branch / {
                    if (excluded)
                        next
                    all++
                    if ($0 ~ /taken 0|never executed/)
                        count[name OFS text]++
                    else
                        taken++
                    next
                }
                /^call / { next }
                {
                    text = $0
                    sub(/^[^:]*:[^:]*:/, "", text)
                    gsub(/[ \t]+/, " ", text)
                    sub(/^ /, "", text)
                    excluded = text ~ not_ours
                }
                END {
                    for (key in count)
                        print file, key, count[key]
                    printf "%-26s %5d of %5d branches, %5.1f %%\n", file,
                        taken, all, 100 * taken / all >>"/dev/fd/3"
                }'
    done | LC_ALL=C sort
}

run_tests
missing 3>"$work/totals" >"$work/missing"
cat "$work/totals"

# What has a reason keeps it.
awk -F '\t' -v OFS='\t' '
    FNR == NR {
        if (!/^#/)
            reason[$1, $2, $3] = $5
        next
    }
    { print $0, (($1, $2, $3) in reason) ? reason[$1, $2, $3] : "?" }
' "$list" "$work/missing" >"$work/list"
printf '%d branches are never taken, in %d places\n' \
    "$(awk -F '\t' '{ sum += $4 } END { print sum + 0 }' "$work/list")" \
    "$(wc -l <"$work/list")"

if [ "$what" = write ]; then
    {
        sed -n '/^#/p' "$list"
        cat "$work/list"
    } >"$work/new"
    cp "$work/new" "$list"
fi
if grep -q "$(printf '\t')?\$" "$work/list"; then
    echo "coverage: without a reason in $list (write a test, or why not):" >&2
    grep "$(printf '\t')?\$" "$work/list" >&2
    exit 1
fi
settled() { grep -vP '^#|\tat times: [^\t]*$' "$1"; }
if [ "$what" = check ] && ! diff <(settled "$list") <(settled "$work/list"); then
    echo "coverage: $list is out of date: make coverage-list" >&2
    exit 1
fi
