#!/usr/bin/env bash
# test_proof.sh - the fault matrix says what the tests recorded.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
cd "$root" || exit 74

line() { printf '%s\t%s\t%s\t%s\t%s\n' "$@"; }
row_of() { grep "^| $1 |" "$work/matrix"; }
matrix() { scripts/fault-matrix.sh "$work/results" >"$work/matrix"; }

counts_and_failures() {
    {
        line F01 real 1188 ok crash
        line F01 real 1000000 ok crash
        line F14 simulated 3 ok 'seed 1'
        line F14 simulated 4 FAILED 'seed 7'
        line F14 simulated 5 ok 'seed 8'
    } >"$work/results"
    ends_with 1 matrix
    shows "$(row_of F01)" '\| 1,001,188, ok \(crash\) \| - \|$'
    shows "$(row_of F14)" '\| - \| 12, \*\*FAILED\*\*: seed 7 \|$'
    shows "$(row_of F02)" '\| - \| - \|$'
    shows "$(row_of F52)" 'does not apply: there is no dashboard'
    shows "$(tail -n 1 "$work/matrix")" '^2 of [0-9]+ faults .* F02, F03'
}

# What failed is taken back by the same, in a later run, and said all the same.
later_runs() {
    {
        line F01 real 5 FAILED kills
        line F14 real 3 FAILED cuts
        line F14 real 4 ok cuts
    } >"$work/first"
    {
        line F01 real 7 ok kills
        line F14 real 1 ok others
    } >"$work/second"
    ends_with 1 scripts/fault-matrix.sh "$work/first" "$work/second" \
        >"$work/matrix"
    shows "$(row_of F01)" '\| 12, ok \(kills; FAILED before, .*: kills\) \|'
    shows "$(row_of F14)" '\| 8, \*\*FAILED\*\*: cuts \|'
    line F14 real 1 ok cuts >>"$work/second"
    scripts/fault-matrix.sh "$work/first" "$work/second" >"$work/matrix"
    line F14 real 1 FAILED cuts >>"$work/second"
    ends_with 1 scripts/fault-matrix.sh "$work/first" "$work/second" \
        >"$work/matrix"
}

all_is_well() {
    line F01 real 1 ok crash >"$work/results"
    matrix
    local commit=unknown # in a source tree without git
    ! git rev-parse HEAD >/dev/null 2>&1 || commit='[0-9a-f]{12}'
    shows "$(cat "$work/matrix")" "^[0-9-]+ [0-9:]+ UTC, commit $commit"
}

senseless() {
    local bad
    for bad in 'F99 real 1 ok x' 'F01 maybe 1 ok x' 'F01 real many ok x' \
        'F01 real 1 perhaps x' 'F01 real 1 ok'; do
        # shellcheck disable=SC2086 # its words are the columns
        printf '%s\n' "$(printf '%s\t' $bad | sed 's/\t$//')" >"$work/results"
        ends_with 65 matrix
    done
}

annotations() {
    cat >"$work/test_it.c" <<'C'
Test(it, fails_at_times) /* HC1 F16 F17 real */
{
}
Test(it, has_a_name_that_is_so_long, .init = up,
     .fini = down) /* F24 */
{
}
Test(it, was_skipped) /* F25 */
{
}
Test(it, proves_nothing)
{
}
C
    printf '%s\n' 'not ok - it::fails_at_times  (0.01s)' \
        'ok - it::has_a_name_that_is_so_long  (0.00s)' \
        'ok - it::was_skipped # SKIP no root' \
        'ok - it::proves_nothing' >"$work/tap"
    scripts/prove.sh "$work/test_it.c" "$work/tap" "$work/proven"
    diff "$work/proven" - <<<"$(line F16 real 1 FAILED test_it.c
        line F17 real 1 FAILED test_it.c
        line F24 simulated 1 ok test_it.c)"
}

every_fault_is_named_once() {
    [ "$(grep -c '^F' tests/faults.tsv)" -eq 52 ]
    [ -z "$(cut -f 1 tests/faults.tsv | grep '^F' | uniq -d)" ]
    [ -z "$(awk -F '\t' '/^F/ && (NF < 3 || NF > 4)' tests/faults.tsv)" ]
}

it 'counts add up, and a failure is not forgotten' counts_and_failures
it 'what failed is taken back by the same in a later run only' later_runs
it 'a run that went well says when and of what' all_is_well
it 'a line that makes no sense is refused' senseless
it 'tests prove what the comment behind their name says' annotations
it 'every fault is named once' every_fault_is_named_once
