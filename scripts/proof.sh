#!/usr/bin/env bash
# proof.sh MINUTES - runs everything that tries to break the system, for about
# MINUTES, then writes docs/fault-matrix.md: what was tried, with which result.
#
# First every test once; then each tests/*/proof.sh SECONDS in turn, with its
# share of what is left.  All of them append lines to $PROOF_RESULTS, in the
# form that scripts/fault-matrix.sh describes.  Ends with 1 when anything
# failed; the matrix is written all the same, and says so.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 74
[[ ${1:-} =~ ^[1-9][0-9]*$ ]] || {
    echo 'usage: proof.sh MINUTES' >&2
    exit 64
}
minutes=$1
bad=0

mkdir -p build/proof
export PROOF_RESULTS=$PWD/build/proof/results.tsv
: >"$PROOF_RESULTS"

say() { printf '\n== proof: %s (%d s)\n' "$*" $SECONDS; }

# How the time is shared out; a part that is not named here gets as much.
weight_of() {
    case $1 in
        crash) echo 4 ;; # in two hours enough for every kill point
        sim) echo 3 ;;
        *) echo 1 ;;
    esac
}

say 'every test once'
make -s -j2 test || bad=1

parts=()
weights=0
for part in tests/*/proof.sh; do
    [ -x "$part" ] || continue
    name=$(basename "$(dirname "$part")")
    parts+=("$name")
    weights=$((weights + $(weight_of "$name")))
done
left=$((minutes * 60 - SECONDS))
[ $left -gt 60 ] || left=60

for name in "${parts[@]}"; do
    share=$((left * $(weight_of "$name") / weights))
    say "$name, for $share s"
    "tests/$name/proof.sh" "$share" || bad=1
done

say 'the matrix'
PROOF_ABOUT="The run was told to take $minutes minutes; it took $((SECONDS / 60 \
)): every test once, then ${parts[*]}." \
    scripts/fault-matrix.sh "$PROOF_RESULTS" >build/proof/fault-matrix.md ||
    bad=1
if [ -s build/proof/fault-matrix.md ]; then
    mkdir -p docs
    cp build/proof/fault-matrix.md docs/fault-matrix.md
    tail -n 1 docs/fault-matrix.md
fi
exit $bad
