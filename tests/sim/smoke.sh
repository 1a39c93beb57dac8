#!/usr/bin/env bash
# smoke.sh - the simulation's part of .ci/run: what once failed, determinism,
# more than 100,000 sagas, and 20,000 power cuts of one log.
#
#   smoke.sh BUILD     SIM_SEED=1000, SIM_SEEDS=3400, SIM_HASHES=200,
#                      SIM_CUTS=20000
#
# The same runs each time; proof.sh and `make sim-long` use new seeds.  Exits
# with 0 when nothing was violated, two compilers agree on every run bit for
# bit, and each rare thing happened at least once.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

build=$1
sim=$build/tests/sim/sim
other=build/sim-clang
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT

for choices in tests/sim/seeds/*.choices; do
    "$sim" --replay "$choices" --keep "$kept"
done
echo '  sim   what once failed is good'

make -s CC=clang CFLAGS='-O1 -g' BUILD=$other $other/tests/sim/sim
hashes=${SIM_HASHES:-200}
"$sim" --seeds "1-$hashes" --hash --keep "$kept" | grep '^seed-' >"$kept/one"
$other/tests/sim/sim --seeds "1-$hashes" --hash --keep "$kept" |
    grep '^seed-' >"$kept/two"
if ! cmp "$kept/one" "$kept/two"; then
    echo 'sim: two builds of the same source do not agree' >&2
    exit 1
fi
echo "  sim   $hashes runs are the same with two compilers"

"$build/tests/sim/cuts" --cuts "${SIM_CUTS:-20000}" >"$kept/cuts" 2>&1 &
cuts=$!

# Half of the seeds on each processor; each half has to see all that is rare.
first=${SIM_SEED:-1000}
half=$((${SIM_SEEDS:-3400} / 2))
"$sim" --seeds "$first-$((first + half - 1))" --require-sometimes \
    --keep "$build" >"$kept/half" 2>&1 &
other_half=$!
bad=0
"$sim" --seeds "$((first + half))-$((first + 2 * half - 1))" \
    --require-sometimes --keep "$build" || bad=1
wait $other_half || bad=1
cat "$kept/half"
wait $cuts || bad=1
sed 's/^/  cuts  /' "$kept/cuts"
exit $bad
