#!/usr/bin/env bash
# smoke.sh - the simulation's part of .ci/run: what once failed, determinism,
# and as many new runs as fit.
#
#   smoke.sh BUILD     SIM_SECONDS=90, SIM_SEED=1000, SIM_HASHES=200
#
# Exits with 0 when nothing was violated, two compilers agree on every run bit
# for bit, and each rare thing happened at least once.
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

minutes=$(awk "BEGIN { print ${SIM_SECONDS:-90} / 60 }")
"$sim" --minutes "$minutes" --seed "${SIM_SEED:-1000}" --require-sometimes \
    --keep "$build"
