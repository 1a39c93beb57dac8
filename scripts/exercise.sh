#!/bin/bash -p
# exercise.sh start N | check N - the exercise of chapter N of docs/tutorial, for
# `saga learn exercise N` and `saga learn check N`.
#
#   start   makes the exercise, and says what is wrong and how to see it
#   check   judges what the reader has made of it: exit code 0 if it is solved, 1
#           if not yet
#
# Most exercises are a copy of the source with one fault in it, build/exercise/NN.
# The reader edits the copy; the program that judges it is built from the copy,
# with the tests as they are in the repository.  Chapters 0 and 12 look at the
# logs of the shop in $SAGA_DIR instead, chapter 14 at those of a shop that it makes.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"
came_from=$PWD
cd "$root"

fail() { # CODE TEXT
    complain 'learn: ' "$2"
    exit "$1"
}
usage='exercise.sh start N | check N, with N from 0 to 14'

if [ $# -ne 2 ] || [[ ! $2 =~ ^[0-9]{1,2}$ ]] || [ "$((10#$2))" -gt 14 ]; then
    fail 64 "$usage"
fi
chapter=$((10#$2))
printf -v copy 'build/exercise/%02d' "$chapter"

# What is wrong in the copy of a chapter, and the run that shows it.
patch='' shown_by=''
case $chapter in
    0 | 12 | 14) ;;
    1) patch=tests/bugs/36-total-without-quantity ;;
    2) patch=tests/bugs/33-a-charge-not-booked ;;
    3) patch=lab/without-compensation shown_by='--seed 3' ;;
    4) patch=tests/bugs/03-publish-before-commit ;;
    5) patch=tests/bugs/20-a-resend-counts-twice ;;
    6) patch=tests/bugs/41-pull-window-off-by-one ;;
    7) patch=tests/bugs/40-answers-before-the-view ;;
    8) patch=tests/bugs/27-tombstone-not-respected ;;
    9) patch=tests/bugs/17-a-full-disk-says-done ;;
    10) patch=tests/bugs/24-one-timer-disarms-all ;;
    11) patch=docs/tutorial/exercises/half-an-order ;;
    13) patch=docs/tutorial/exercises/a-reason-in-place ;;
esac
program=tests/sim/sim
[ $chapter -ne 11 ] || program=bench/one
[ $chapter -ne 13 ] || program=tests/tools/compat
[ -n "$shown_by" ] || shown_by="--replay $copy/failing.choices"

# ---- the copy -----------------------------------------------------------------

build() { # DIRECTORY
    env -u MAKEFLAGS -u MFLAGS make -s -j2 -C "$1" BUILD=build "build/$program"
}

# What judges is not the reader's to change.
with_real_tests() { # DIRECTORY
    mkdir -p "$1/tests" "$1/bench"
    cp -rpu tests/sim tests/tools tests/golden tests/*.[ch] "$1/tests"
    cp -rpu shop/released "$1/shop"
    [ $chapter -eq 11 ] || cp -pu bench/one.c "$1/bench"
}

# All copies begin as copies of one that is built, so that only what has a fault
# in it is built again.
make_copy() {
    local base=build/exercise/.base new=$copy.new
    exec 9>build/exercise/.lock
    flock 9
    rm -rf "$new"
    mkdir -p $base/build
    rm -rf $base/libevents $base/shop $base/*-svc # what is no longer there
    cp -rp Makefile VERSION scripts libevents shop order-svc inventory-svc \
        payment-svc bench $base
    with_real_tests $base
    echo "Building the copy, which takes some seconds ..."
    build $base >&2 9>&- || fail 1 "$base does not build"
    cp -a $base "$new"
    patch -s -p1 -F0 --no-backup-if-mismatch -d "$new" <"$patch.patch" >&2 ||
        fail 1 "$patch.patch no longer applies"
    [ ! -e "$patch.choices" ] || cp "$patch.choices" "$new/failing.choices"
    build "$new" >&2 9>&- || fail 1 "$new does not build"
    mv "$new" "$copy"
    exec 9>&-
}

start() {
    mkdir -p build/exercise
    if [ -d "$copy" ]; then
        echo "$copy is as you left it; remove it to begin again."
    else
        make_copy
    fi
    echo
    echo "In the copy of the source in $copy, something is wrong. This shows it:"
    echo
    if [ $chapter -eq 11 ]; then
        echo "    (cd $copy && mkdir -p data && build/bench/one --orders 50 data; rm -r data)"
    elif [ $chapter -eq 13 ]; then
        echo "    (cd $copy && build/tests/tools/compat check shop/released tests/golden)"
    else
        echo "    $copy/build/tests/sim/sim $shown_by"
        echo "    $copy/build/tests/sim/sim $shown_by --trace | less"
    fi
    echo
    judge || true
    echo
    echo "Repair the copy, then:  ./saga learn check $chapter"
}

# ---- judging ------------------------------------------------------------------

# What the program built from the copy says: 0 if nothing is wrong any more.
judge() {
    local said code=0
    if [ $chapter -eq 11 ]; then
        rm -rf "$copy/data"
        mkdir "$copy/data"
        "$copy/build/bench/one" --orders 50 "$copy/data" || code=1
        rm -rf "$copy/data"
        return $code
    fi
    if [ $chapter -eq 13 ]; then
        judge_versions
        return
    fi
    # shellcheck disable=SC2086 # its words
    said=$("$copy/build/tests/sim/sim" $shown_by --keep "$copy" 2>&1) || true
    if grep BROKEN <<<"$said"; then return 1; fi
    said=$("$copy/build/tests/sim/sim" --seeds 1-200 --keep "$copy" 2>&1) || code=1
    grep BROKEN <<<"$said" || tail -n 1 <<<"$said"
    return $code
}

# Nothing that was released has changed, and a version 3 has the reason.  That no
# golden log holds it yet is all that may be wrong.
judge_versions() {
    local said compat=$copy/build/tests/tools/compat
    said=$("$compat" check "$copy/shop/released" tests/golden |
        sed -e '/^FundsDeposited version 3: no golden log/,+1d' \
            -e '/^compat: .* compared$/d') || true
    if [ -n "$said" ]; then
        echo "$said"
        return 1
    fi
    "$compat" print 0 | grep '"name":"FundsDeposited","version":3,' |
        grep -q '"name":"reason"' || {
        echo 'There is no FundsDeposited version 3 that carries a reason.'
        return 1
    }
    echo 'All that was released is as it was, and version 3 carries a reason.'
}

check_copy() {
    local part
    [ -d "$copy" ] ||
        fail 66 "the exercise is not begun; './saga learn exercise $chapter' makes it"
    with_real_tests "$copy"
    if ! build "$copy"; then
        echo "Not yet: $copy does not build."
        return 1
    elif ! judge; then
        echo "Not yet: this is what is still wrong."
        return 1
    fi
    echo "Solved. Where the repository (+) differs from your copy (-):"
    for part in libevents shop ./*-svc bench/one.c; do
        diff -ru "$copy/$part" "$part"
    done | grep -E '^[-+]' | grep . || echo "    nowhere"
}

# ---- chapters that need a shop ------------------------------------------------

# A log of the shop in $SAGA_DIR, asked with SQL.
ask_log() { # SERVICE SQL
    sqlite3 -readonly "$dir/$1/log.db" "$2" 2>/dev/null
}
need_shop() {
    dir=${SAGA_DIR:-$root/var}
    [[ $dir == /* ]] || dir=$came_from/$dir
    [ -e "$dir/order/log.db" ] ||
        fail 66 "no shop in $dir; './run.sh -d' starts one (SAGA_DIR names another directory)"
}
count_is() { # WHAT WANTED FOUND
    echo "$1: $3"
    [ "$2" = "$3" ] || {
        echo "Not yet: it should be $2."
        exit 1
    }
}

check_three_ends() {
    need_shop
    count_is 'orders that are confirmed, at least one' yes \
        "$([ "$(ask_log order "SELECT count(*) FROM event WHERE type = 'OrderConfirmed'")" -gt 0 ] && echo yes)"
    count_is 'orders that payment-svc declined, at least one' yes \
        "$([ "$(ask_log payment "SELECT count(*) FROM event WHERE type = 'PaymentDeclined'")" -gt 0 ] && echo yes)"
    count_is 'orders that inventory-svc rejected, at least one' yes \
        "$([ "$(ask_log inventory "SELECT count(*) FROM event WHERE type = 'StockRejected'")" -gt 0 ] && echo yes)"
    SAGA_DIR=$dir ./saga check || {
        echo 'Not yet: a promise is broken.'
        return 1
    }
    echo Solved.
}

check_parcels() {
    local confirmed
    need_shop
    [ -e "$dir/shipping/log.db" ] ||
        fail 66 "no shipping-svc has run in $dir; start it as chapter 12 does"
    confirmed=$(ask_log order "SELECT order_id FROM event
        WHERE type = 'OrderConfirmed' ORDER BY 1" | paste -sd ' ')
    [ "$(wc -w <<<"$confirmed")" -ge 3 ] || {
        echo "Not yet: $(wc -w <<<"$confirmed") orders are confirmed; place some, three at least."
        return 1
    }
    count_is 'parcels, one for each confirmed order' "$confirmed" \
        "$(ask_log shipping "SELECT order_id FROM event
            WHERE type = 'ParcelSent' ORDER BY 1" | paste -sd ' ')"
    echo Solved.
}

# ---- a log that was edited -------------------------------------------------------

make_edited_shop() {
    export SAGA_DIR=$root/$copy.new
    rm -rf "$SAGA_DIR"
    mkdir -p "${SAGA_DIR%/*}"
    {
        ./run.sh -d --no-hints && ./saga fund carol 200.00 &&
            ./saga place widget:1 --customer alice --id o-1 &&
            ./saga place gadget:1 --customer carol --id o-2 &&
            ./saga place gizmo:3 --customer alice --id o-3 &&
            ./saga wait --quiet --timeout 60 && ./run.sh stop
    } >/dev/null || {
        ./run.sh stop >/dev/null
        fail 1 "the shop in $SAGA_DIR does not work"
    }
    sqlite3 "$SAGA_DIR/payment/log.db" "DROP TRIGGER event_is_never_changed;
        UPDATE event SET data = replace(data, 'carol', 'alice') WHERE order_id = 'o-2'"
    mv "$SAGA_DIR" "$copy"
}
start_edited() {
    if [ -d "$copy" ]; then
        echo "$copy is as you left it; remove it to begin again."
    else
        make_edited_shop
    fi
    echo
    echo "In the shop in $copy somebody has edited an event. Find it:"
    echo
    echo "    export SAGA_DIR=$root/$copy"
    echo "    ./saga verify; ./saga check; ./saga log --all"
    echo
    echo "Write back what it said, with sqlite3, then:  ./saga learn check 14"
}
check_edited() {
    [ -d "$copy" ] ||
        fail 66 "the exercise is not begun; './saga learn exercise 14' makes it"
    if SAGA_DIR=$root/$copy ./saga verify && SAGA_DIR=$root/$copy ./saga check; then
        echo Solved.
    else
        echo 'Not yet: the logs do not agree.'
        return 1
    fi
}

dir=''
case $1-$chapter in
    start-0 | start-12)
        echo "This exercise is done with a shop of your own; the chapter says what it asks for."
        echo "Then:  ./saga learn check $chapter"
        ;;
    start-14) start_edited ;;
    start-*) start ;;
    check-0) check_three_ends ;;
    check-12) check_parcels ;;
    check-14) check_edited ;;
    check-*) check_copy ;;
    patch-*) echo "$patch.patch" ;; # for tests
    *) fail 64 "$usage" ;;
esac
