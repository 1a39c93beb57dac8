#!/usr/bin/env bash
# lab-worlds.sh check | write - the search through small worlds where a
# protection is missing (tests/test_worlds.c, "the ladder").
#
#   check   compares what it finds in each program of the lab with lab/worlds.txt
#   write   writes what it finds to that file; then read the difference
#
# lab/worlds.txt has a part for each, "== inbox,guards".  A removal that has
# none, and is not excused there ("# not searched: NAME"), fails.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
worlds=lab/worlds.txt

parts() { sed -n 's/^== //p' $worlds | grep -vx nothing; }

# Runs the search of one program; what is not as written is said.
search() { # NAMES
    local command
    command=$(scripts/lab.sh worlds "$1") || return
    bash -c "$command"
}

all_are_there() {
    local file name bad=0
    for file in lab/without-*.patch; do
        name=${file#lab/without-} name=${name%.patch}
        grep -qxF "== $name" $worlds ||
            grep -q "^# not searched: $name\>" $worlds || {
            echo "  FAILED $worlds has no part '$name'"
            bad=1
        }
    done
    return $bad
}

check() {
    local bad=0 tried=0 names said
    all_are_there || bad=1
    for names in $(parts); do
        tried=$((tried + 1))
        if said=$(search "$names" 2>&1); then
            printf '  ok     the search without %s\n' "$names"
        else
            printf '  FAILED the search without %s:\n' "$names"
            printf '%s\n' "$said" | sed 's/^/         | /'
            bad=1
        fi
    done
    echo "$tried searches, results $([ $bad -eq 0 ] && echo 'match' || echo 'differ from') $worlds"
    [ $bad -eq 0 ] && [ $tried -gt 0 ]
}

write() {
    local new names
    new=$(mktemp)
    sed '/^== /,$d' $worlds >"$new"
    LAB_WITHOUT='' LAB_WORLDS=$new build/tests/test_worlds -j1 --filter 'ladder/*'
    for names in $(parts); do
        LAB_WORLDS=$new search "$names"
    done
    cat "$new" >$worlds
    rm "$new"
}

case ${1:-} in
    check) check ;;
    write) write ;;
    *)
        echo 'usage: lab-worlds.sh check | write' >&2
        exit 64
        ;;
esac
