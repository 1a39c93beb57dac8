#!/usr/bin/env bash
# proof.sh SECONDS - the simulation's part of `make proof`: on both processors
# new seeds, and power cuts of one log for two fifths of the time; what they
# injected, fault by fault, and how many hours went by in the simulation.
#
# Begins at a seed that no run has used: the date.  PROOF_SEED sets another.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
sim=build/tests/sim/sim
make -s $sim build/tests/sim/cuts
kept=build/proof/sim
mkdir -p $kept
seed=${PROOF_SEED:-$(date +%s)000}
cut_seconds=$(($1 * 2 / 5))
minutes=$(awk "BEGIN { print ($1 - $cut_seconds) / 60 }")

# Which fault a counter of sim.c counts; those that are no fault are not here.
faults='
F01 a process died in the middle of a step
F01 a process died before its commit
F01 a process died unpublished
F01 a process died in a checkpoint
F01 a process died while it wrote its view
F02 a process died while it opened its files
F02 all processes died at once
F04 a process was stopped for long
F14 a power cut lost sectors
F15 a power cut lost sectors
F16 a sync failed
F16 a commit failed, yet was there
F17 a read failed
F17 a write failed
F17 a read was short
F18 a disk was full, and it went on
F20 a damaged view was built anew
F21 a backup was restored
F24 a database was locked, and it went on
F25 a start waited for an old snapshot
F28 a clock went back
F31 two clocks were days apart
F35 two services were cut off from each other
F35 a service was not heard by another
F30 due timers were held back
F32 a full queue lost a frame
F32 a gap was found
F33 a duplicate was dropped
F33 a held message was released
F34 rows that do not chain were dropped
F34 what is no frame was dropped
F36 a deaf listener was healed
F36 a dead dialer was healed
F36 a half-open connection was healed
F38 a reply to an older pull was dropped
F42 a log found itself behind its readers
F43 a release overtook its order
F43 a payment was voided before it was asked for
F44 a payment was refunded
F45 orders expired while a service was away
F50 a stream diverged by noise, and healed
'

# That something rare did not happen in a short time is no failure.
run_one() { # SEED: into $kept/SEED
    "$sim" --minutes "$minutes" --seed "$1" --require-sometimes \
        --keep $kept >"$kept/$1" 2>&1 ||
        [ "$(tail -n 1 "$kept/$1")" = 'something rare never happened' ] ||
        echo "$1" >>$kept/failed
}

rm -f $kept/failed
other=$((seed + 500000000))
run_one "$seed" &
first=$!
run_one $other
wait $first

cut_one() { # SEED: into $kept/cuts.SEED
    [ $cut_seconds -gt 0 ] || return 0
    build/tests/sim/cuts --cuts 1000000000 --seconds $cut_seconds --seed "$1" \
        >"$kept/cuts.$1" 2>&1
}
cut=ok
rm -f $kept/cuts.*
cut_one "$seed" &
first=$!
cut_one $other || cut=FAILED
wait $first || cut=FAILED
cuts=$(sed -n 's/^\([0-9]*\) power cuts.*/\1/p' $kept/cuts.* 2>/dev/null | paste -sd+)
cuts=$((${cuts:-0}))
tail -qn 1 $kept/cuts.* 2>/dev/null || true
grep -hE '^[0-9]+ runs' "$kept/$seed" "$kept/$other" || true

result=ok
detail="sim, from seed $seed"
if [ -e $kept/failed ]; then
    result=FAILED
    detail="sim, seeds from $(xargs <$kept/failed)"
    while read -r failed; do tail -n 40 "$kept/$failed"; done <$kept/failed
fi

# COUNTER: how often, in both
counted() {
    awk -v name="$1" '
        { text = $0; sub(/^ *[0-9]+  /, "", text) }
        text == name && /^ *[0-9]+  / { sum += $1; seen++ }
        END {
            if (!seen)
                exit 1
            print sum
        }' "$kept/$seed" "$kept/$other"
}

while read -r fault counter; do
    [ -n "$fault" ] || continue
    if ! times=$(counted "$counter"); then
        [ $result = ok ] || continue # it broke before it could count
        echo "sim: nobody counts '$counter'; see the table in $0" >&2
        exit 1
    fi
    [ "$times" -eq 0 ] || [ -z "${PROOF_RESULTS:-}" ] ||
        printf '%s\tsimulated\t%s\t%s\t%s\n' "$fault" "$times" $result \
            "$detail" >>"$PROOF_RESULTS"
done <<<"$faults"
hours=$(sed -n 's/^[0-9]* runs.* \([0-9.]*\) hours$/\1/p' "$kept/$seed" "$kept/$other" |
    awk '{ sum += $1 } END { print int(sum) }')
[ -z "${PROOF_RESULTS:-}" ] ||
    printf 'hours\tsimulated\t%s\t%s\t%s\n' "$hours" $result "$detail" \
        >>"$PROOF_RESULTS"
for fault in F14 F15; do
    [ -z "${PROOF_RESULTS:-}" ] || [ $cut$cuts = ok0 ] ||
        printf '%s\tsimulated\t%s\t%s\tcuts of one log, seed %s\n' $fault \
            $cuts $cut "$seed" >>"$PROOF_RESULTS"
done
[ $result$cut = okok ]
