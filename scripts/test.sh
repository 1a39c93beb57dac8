#!/usr/bin/env bash
# test.sh BUILD TEST... - runs Criterion binaries and shell tests, and counts.
#
# Both speak TAP: a binary through --tap, a script (tests/*.sh) on its standard
# output.  The last line is "N passed, N failed" and, if any were, ", N
# skipped"; the exit code is 0 only when all passed.  What TAP does not show
# counts as a failure, too: an exit code other than 0, a test binary in which
# no test ran, one that hangs.  What they print is kept in BUILD/tests, or in
# $TEST_OUTPUT.
set -u
cd "$(dirname "$0")/.." || exit 74
build=$1
shift

# A leak leaves Criterion's exit code at 0 unless it aborts.
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1:detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# For tests that start processes.
SAGA_BUILD=$build
export SAGA_BUILD
unset SAGA_DIR SAGA_BUS

limit=${TEST_TIMEOUT:-300} # seconds for one binary or script
passed=0 failed=0 skipped=0

for test; do
    name=$(basename "$test")
    tap=${TEST_OUTPUT:-$build/tests}/$name.tap
    out=${TEST_OUTPUT:-$build/tests}/$name.out
    rm -f "$tap"
    begun=$SECONDS
    case $test in
        *.sh) timeout -k 10 "$limit" bash "$test" >"$tap" 2>"$out" </dev/null ;;
        *) timeout -k 10 "$limit" "$test" --tap="$tap" >"$out" 2>&1 \
            </dev/null ;;
    esac
    code=$?
    read -r good bad skip < <(awk '
        /^(not )?ok .*# *SKIP/ { skip++; next }
        /^ok / { good++ }
        /^not ok / { bad++ }
        END { print good + 0, bad + 0, skip + 0 }' "$tap" 2>/dev/null)
    why=
    if [ $code -eq 124 ] || [ $code -eq 137 ]; then
        why="it did not end within $limit s"
    elif [ $((good + bad + skip)) -eq 0 ]; then
        why="no test ran (exit code $code)"
    elif [ $code -ne 0 ] && [ "$bad" -eq 0 ]; then
        why="its exit code is $code, though no test failed"
    fi
    if [ -n "${PROOF_RESULTS:-}" ] && [ -e "$tap" ]; then
        source=$test
        [[ $test == *.sh ]] || source=tests/$name.c
        scripts/prove.sh "$source" "$tap" "$PROOF_RESULTS" ||
            why='what it proves could not be written down'
    fi
    [ -z "$why" ] || bad=$((bad + 1))

    verdict=ok
    if [ "$bad" -gt 0 ]; then
        verdict=FAIL
        cat "$out"
        grep '^not ok' "$tap" 2>/dev/null
    fi
    printf '  %-4s  %-28s %4d tests  %3d s  %s\n' "$verdict" "$name" \
        $((good + bad + skip)) $((SECONDS - begun)) "$why"
    passed=$((passed + good))
    failed=$((failed + bad))
    skipped=$((skipped + skip))
done

if [ $((passed + failed)) -eq 0 ]; then
    echo 'test.sh: no test ran' >&2
    failed=1
fi
echo "$passed passed, $failed failed$(
    [ $skipped -eq 0 ] || echo ", $skipped skipped")"
[ $failed -eq 0 ]
