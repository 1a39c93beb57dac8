#!/usr/bin/env bash
# key.sh - prints a hash of everything that a run of the tests may depend on,
# but for what was built from it: the sources, and the flags they were built
# with.  scripts/soak.sh and scripts/proof.sh keep results under it.
#
# docs/fault-matrix.md is left out: a proof writes it.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
{
    find . \( -path ./build -o -path ./var -o -path ./.git \
        -o -path './seed-*.choices' -o -path ./docs/fault-matrix.md \) -prune \
        -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    cat build/flags
} 2>&1 | sha256sum | cut -c 1-12
