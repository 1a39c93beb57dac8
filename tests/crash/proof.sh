#!/usr/bin/env bash
# proof.sh SECONDS - the real processes' part of `make proof`: two of these
# tests at a time, again and again, each time with another seed.  It tries each
# kill point first, if the time is enough, and then samples.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." || exit 74
unset SAGA_DIR SAGA_BUS SEED
make -s crash-tools || exit 1
kept=build/proof/crash
rm -rf $kept
mkdir -p $kept
seconds=$1

left() { echo $((seconds - SECONDS)); }
# Runs a test for the time that is left, at most; says so if it failed.
attempt() { # LANE NAME [ARGUMENT...]
    local log=$kept/$1.log
    echo "== ${*:2}" >"$log"
    SECONDS_MAX=$(left) "tests/crash/$2.sh" "${@:3}" >>"$log" 2>&1 \
        </dev/null
    grep -E '^(== |(not )?ok )' "$log"
    grep -q '^ok ' "$log" && ! grep -q '^not ok ' "$log" && return
    echo "${*:2}" >>$kept/failed
    cp "$log" "$kept/failed-$1-$(date +%s).log"
    tail -n 40 "$log"
}

kill_lane() {
    [ "$seconds" -lt 2700 ] || attempt kills kills
    while [ "$(left)" -gt 30 ]; do attempt kills kills --sample 10; done
}
other_lane() {
    while [ "$(left)" -gt 30 ]; do
        attempt other torn 300
        [ "$(left)" -lt 60 ] || attempt other cuts 60
        [ "$(left)" -lt 60 ] || attempt other strangers 20000
        [ "$(left)" -lt 60 ] || attempt other again 100
        [ "$(left)" -lt 60 ] || attempt other errors --sample 3
        [ "$(left)" -lt 120 ] || attempt other outsiders
        [ "$(left)" -lt 180 ] || attempt other partitions
    done
}

kill_lane &
other_lane &
wait
[ ! -e $kept/failed ]
