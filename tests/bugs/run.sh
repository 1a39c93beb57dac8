#!/usr/bin/env bash
# run.sh - seeded bugs: checks that each of them is noticed and named rightly, by
# the simulation or by the test that the patch names.
#
#   run.sh [check] [NAME...]   build each bug, replay its committed choices, and
#                              demand the violation that the patch expects
#   run.sh find [NAME...]      search for each again, a minute each, and shrink
#                              what was found into its .choices
#
# A bug is a patch against the source, NAME.patch: its first lines say what it
# takes away and which invariant must notice ("Expect: S1"), or which test of C
# must fail ("Expect: test_wal_vfs"; cuts is tests/sim/cuts.c).  It is applied to
# a copy under build/bugs; the code itself has no switch.  A patch that no longer
# applies is a failure.  FIND_SECONDS=60 bounds a search, SHRINK_SECONDS=60 what
# comes after it.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

copy=build/bugs
mode=check
case ${1-} in check | find) mode=$1; shift ;; esac

make_copy() {
    local part
    mkdir -p $copy/tests
    for part in Makefile VERSION scripts libevents shop order-svc inventory-svc \
        payment-svc tests/sim; do
        mkdir -p "$copy/$(dirname "$part")"
        # what has not changed keeps its time, and needs no compiling
        cp -ru --no-target-directory "$part" "$copy/$part"
    done
    cp -u tests/*.[ch] $copy/tests
}

build() { # PROGRAM: below build/tests
    make -C $copy -s -j2 BUILD=build CFLAGS=-O1 "build/tests/$1"
}

# Which program must notice what is expected.
program_of() { # EXPECT
    case $1 in
        test_*) echo "$1" ;;
        cuts) echo sim/cuts ;;
        *) echo sim/sim ;;
    esac
}

# The violation of a run, as the program says it; an abort is one, too.
verdict_of() {
    sed -n 's/.*BROKEN \([A-Za-z0-9]*\):.*/\1/p' "$1" | tail -n 1
}

find_choices() { # name expect
    local minutes out=$copy/out
    minutes=$(awk "BEGIN { print ${FIND_SECONDS:-60} / 60 }")
    rm -f $copy/found/*
    mkdir -p $copy/found
    timeout 300 $copy/build/tests/sim/sim --minutes "$minutes" --find "$2" \
        --keep $copy/found >$out 2>&1 || true
    set -- "$1" "$2" $copy/found/*.choices
    if [ ! -f "$3" ]; then
        echo "not found: $1 ($(tail -n 1 $out))"
        return 1
    fi
    $copy/build/tests/sim/sim --shrink "$3" --to "tests/bugs/$1.choices" \
        --seconds "${SHRINK_SECONDS:-60}" >$out 2>&1 || true
    echo "found: $1, by $2, $(wc -c <"tests/bugs/$1.choices") bytes"
}

check_choices() { # name expect
    local out=$copy/out
    if [ ! -f "tests/bugs/$1.choices" ]; then
        echo "no choices are committed for $1"
        return 1
    fi
    # in a shell of its own, which keeps to itself how the program died
    (
        $copy/build/tests/sim/sim --replay "tests/bugs/$1.choices" \
            --keep $copy >$out 2>&1 || true
    ) 2>/dev/null
    if [ "$(verdict_of $out)" != "$2" ]; then
        echo "$1: expected $2, got: $(tail -n 1 $out)"
        return 1
    fi
}

# A test of C has to fail, in its own words; 1 is how both say so.
check_test() { # name program
    local code=0
    timeout 300 "$copy/build/tests/$2" >$copy/out 2>&1 || code=$?
    [ $code -eq 1 ] || {
        echo "$1: $2 ended with $code: $(tail -n 1 $copy/out)"
        return 1
    }
}

one() { # name
    local patch=tests/bugs/$1.patch expect program rc=0
    expect=$(sed -n 's/^Expect: //p' "$patch")
    if ! patch -d $copy -p1 -s -F0 --no-backup-if-mismatch <"$patch"; then
        echo "$1: the patch does not apply"
        exit 1 # the copy is spoilt
    fi
    program=$(program_of "$expect")
    if ! build "$program"; then
        echo "$1: does not build"
        rc=1
    elif [ "$program" != sim/sim ]; then
        check_test "$1" "$program" || rc=1
    elif [ "$mode" = find ]; then
        find_choices "$1" "$expect" || rc=1
    else
        check_choices "$1" "$expect" || rc=1
    fi
    patch -d $copy -p1 -s -R -F0 --no-backup-if-mismatch <"$patch"
    return $rc
}

if [ $# -eq 0 ]; then
    for patch in tests/bugs/*.patch; do
        patch=${patch##*/}
        set -- "$@" "${patch%.patch}"
    done
fi
rm -rf $copy/libevents $copy/shop $copy/*-svc # whatever an interrupted run has left
make_copy
build sim/sim
failed=0
for name; do
    one "$name" || failed=$((failed + 1))
done
echo "$(($# - failed)) of $# seeded bugs were noticed"
[ $failed -eq 0 ]
