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
    shows "$(row_of F09)" 'does not apply: there is no lock file'
    shows "$(tail -n 1 "$work/matrix")" '^2 of [0-9]+ faults .* F02, F03'
}

totals() {
    {
        line F14 real 700 ok crash/cuts.sh
        line F14 real 400 ok crash/torn.sh
        line F14 simulated 999999 ok sim
        line hours simulated 1200 ok sim
        line F48 simulated 60000000 ok 'fuzz target codec'
        line F34 simulated 50000000 ok 'fuzz target wire'
        line F34 simulated 7 ok sim
    } >"$work/results"
    matrix
    shows "$(cat "$work/matrix")" '^\| power cuts, real \| 1,100 \| 1,000 \|$'
    shows "$(cat "$work/matrix")" \
        '^\| power cuts, simulated \| 999,999 \| 1,000,000, not reached \|$'
    shows "$(cat "$work/matrix")" '^\| hours, simulated \| 1,200 \| 1,000 \|$'
    shows "$(cat "$work/matrix")" \
        '^\| executions of fuzz targets \| 110,000,000 \| 100,000,000 \|$'
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

# ---- runs of proof.sh --------------------------------------------------------

# A source tree with two parts in which everything is over at once, but for one
# that waits as long as the file `hold` is there.
tree() {
    tree=$work/tree
    rm -rf "$tree"
    mkdir -p "$tree"/{scripts,build,tests/crash,tests/sim}
    cp scripts/{proof,key,fault-matrix}.sh "$tree/scripts"
    cp tests/faults.tsv "$tree/tests"
    echo flags >"$tree/build/flags"
    # shellcheck disable=SC2016
    printf 'test:\n\t@printf "F01\\treal\\t1\\tok\\ttests\\n" >>$$PROOF_RESULTS\n' \
        >"$tree/Makefile"
    # shellcheck disable=SC2016 # they expand in the parts
    printf '#!/bin/sh\nprintf "F14\\treal\\t$1\\tok\\tcrash\\n" >>$PROOF_RESULTS\n' \
        >"$tree/tests/crash/proof.sh"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n[ ! -e build/broken ] || exit 1\ntouch build/began\n%s\n%s\n' \
        'while [ -e build/hold ]; do sleep 0.05; done' \
        'printf "F15\tsimulated\t$1\tok\tsim\n" >>$PROOF_RESULTS' \
        >"$tree/tests/sim/proof.sh"
    chmod +x "$tree"/tests/*/proof.sh
}
prove() { # MINUTES
    env -u PROOF_RESULTS -u PROOF_ABOUT "$tree/scripts/proof.sh" "$1"
}
row() { grep "^| $1 |" "$tree/docs/fault-matrix.md"; }

runs_add_up() {
    tree
    prove 14
    shows "$(row F01)" '\| 1, ok \(tests\) '
    shows "$(row F14)" '\| 480, ok \(crash\) ' # four sevenths of 14 minutes
    shows "$(row F15)" '\| 360, ok \(sim\) \|$'
    prove 14 # there is nothing left to do
    shows "$(row F14)" '\| 480, ok '
    prove 28
    shows "$(row F01)" '\| 1, ok ' # every test once
    shows "$(row F14)" '\| 960, ok '
    shows "$(cat "$tree/docs/fault-matrix.md")" \
        'crash for 16 minutes, sim for 12 minutes; in 3 run'
    echo '# changed' >>"$tree/Makefile"
    prove 14
    shows "$(row F14)" '\| 480, ok '
}
stops_and_goes_on() {
    local pid
    tree
    : >"$tree/build/hold"
    env -u PROOF_RESULTS -u PROOF_ABOUT "$tree/scripts/proof.sh" 14 \
        >"$work/said" 2>&1 &
    pid=$!
    within 30 test -e "$tree/build/began"
    ends_with 75 prove 14 # only one at a time
    kill -TERM $pid
    ends_with 143 wait $pid
    shows "$(cat "$work/said")" 'stopped after 8 of 14 minutes; the same command goes on'
    [ ! -e "$tree/docs/fault-matrix.md" ]
    rm "$tree/build/hold"
    prove 14
    shows "$(row F14)" '\| 480, ok '
    shows "$(row F15)" '\| 360, ok '
}
what_fails_is_tried_again() {
    tree
    : >"$tree/build/broken"
    ends_with 1 prove 14
    shows "$(row F15)" '\| - \| - \|$'
    rm "$tree/build/broken"
    prove 14
    shows "$(row F14)" '\| 480, ok '
    shows "$(row F15)" '\| 360, ok '
}
sources_may_not_change() {
    tree
    printf '\techo >>Makefile\n' >>"$tree/Makefile"
    said=$(ends_with 75 prove 14 2>&1)
    shows "$said" 'the sources changed while it ran'
    ends_with 64 prove 0
}

it 'counts add up, and a failure is not forgotten' counts_and_failures
it 'totals stand beside what is aimed at' totals
it 'what failed is taken back by the same in a later run only' later_runs
it 'a run that went well says when and of what' all_is_well
it 'a line that makes no sense is refused' senseless
it 'tests prove what the comment behind their name says' annotations
it 'every fault is named once' every_fault_is_named_once
it 'runs of the same sources add up, and others begin at zero' runs_add_up
it 'a proof that was stopped goes on where it was' stops_and_goes_on
it 'a part that failed is tried again by the next run' what_fails_is_tried_again
it 'results of sources that changed meanwhile are not kept' sources_may_not_change
