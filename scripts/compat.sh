#!/usr/bin/env bash
# compat.sh - what was released, and the programs that it was released with.
#
#   compat.sh check BUILD      compares today's catalogue with shop/released/*
#   compat.sh release BUILD    writes shop/released/VERSION.json: the catalogue
#                              of the commit that is checked out
#   compat.sh previous         builds the newest release from the commit that
#                              its file names; prints the build directory, for
#                              SAGA_BUILD
#
# CONTRIBUTING.md says how a message may change, docs/releasing.md what a
# release freezes.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

released=shop/released

fail() { # CODE TEXT
    echo "compat: $2" >&2
    exit "$1"
}

# A release is a commit, so that it can be built again.
write_release() { # BUILD
    local version file commit
    version=$(cat VERSION)
    file=$released/$version.json
    [ ! -e "$file" ] ||
        fail 73 "$file is there already, and a released file is never changed"
    git diff --quiet HEAD ||
        fail 65 'there are changes that are not committed; a release is a commit'
    commit=$(git rev-parse HEAD)
    "$1/tests/tools/compat" print "$commit" >"$file.new"
    mv "$file.new" "$file"
    echo "compat: wrote $file for commit $commit"
}

# The release that comes before what is worked on: the newest one.
newest_release() {
    local file
    file=$(find "$released" -name '*.json' -printf '%f\n' | sort -V | tail -n 1)
    [ -n "$file" ] || fail 66 "nothing is in $released"
    echo "${file%.json}"
}

commit_of() { # VERSION
    sed -n 's/^"commit":"\([0-9a-f]\{40\}\)",$/\1/p' "$released/$1.json"
}

build_previous() {
    local version commit copy
    version=$(newest_release)
    commit=$(commit_of "$version")
    [ -n "$commit" ] || fail 65 "$released/$version.json names no commit"
    git cat-file -e "$commit^{commit}" 2>/dev/null || fail 69 \
        "commit $commit, which is release $version, is not in this clone;
    fetch the whole history:  git fetch --unshallow"
    copy=build/previous/$version
    mkdir -p build/previous
    exec 9>build/previous/.lock
    flock 9
    if [ "$(cat "$copy/built-from" 2>/dev/null)" != "$commit" ]; then
        [ ! -t 2 ] || echo "compat: building $copy, this takes a while" >&2
        rm -rf "$copy"
        mkdir -p "$copy"
        git archive "$commit" | tar -x -C "$copy"
        env -u MAKEFLAGS -u MFLAGS -u BUILD make -s -j2 -C "$copy" \
            CFLAGS='-O1 -g' >&2 9>&- || fail 1 "release $version does not build"
        echo "$commit" >"$copy/built-from"
    fi
    echo "$PWD/$copy/build"
}

case $*:$# in
    check\ *:2) "$2/tests/tools/compat" check "$released" tests/golden ;;
    release\ *:2) write_release "$2" ;;
    previous:1) build_previous ;;
    *) fail 64 'usage: compat.sh check BUILD | release BUILD | previous' ;;
esac
