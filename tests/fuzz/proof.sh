#!/usr/bin/env bash
# proof.sh SECONDS - the fuzz targets' part of `make proof`.
set -eu
cd "$(dirname "$0")/../.."
make -s fuzz SECONDS="$1"
