#!/bin/bash -p
# lab.sh without NAME[,NAME...] | worlds NAME[,NAME...] | older NAME |
# changed NAME[,NAME...] | chapter 12 - builds programs of the ablation lab: a
# copy of the source under build/lab/, changed.  Chapter 12's service needs no
# copy.
#
#   without inbox,guards   lab/mark.patch and lab/without-{inbox,guards}.patch
#                          applied; lies in build/lab/inbox,guards
#   worlds inbox,guards    the same copy, and there the search through small
#                          worlds: its program searches what the patched
#                          domains do; prints the command that runs it
#   older inventory        lab/older-inventory.patch: a program of an earlier
#                          version, which removes nothing and marks nothing;
#                          where $LAB_WITHOUT is set, without that as well
#   changed add,split      lab/schema-add.patch and lab/schema-split.patch: a
#                          shop whose events have changed, with a saga and a
#                          tests/tools/compat that know them
#   chapter 12             the files of the service that chapter 12 of the
#                          tutorial adds, in a new folder, which it prints
#
# Prints the build directory, for SAGA_BUILD.  It leaves alone what was already
# built from the same sources.  scenarios/README.md shows its use.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

fail() { # CODE TEXT
    complain 'lab: ' "$2"
    exit "$1"
}

known() {
    local file
    for file in lab/without-*.patch; do
        file=${file#lab/without-}
        echo "${file%.patch}"
    done
}

[ $# -eq 2 ] || fail 64 \
    'usage: lab.sh without|worlds|changed NAME[,NAME...] | older NAME | chapter 12'
patches=() copy=build/lab

leave_out() { # NAME,...
    local name names
    # An empty name among them, too: what was meant is not known.
    [[ ,$1, != *,,* ]] || fail 64 \
        "leave out what? make lab WITHOUT=inbox,guards (one or more of: $(known |
            paste -sd ' '))"
    # In one order, so that inbox,guards and guards,inbox are one thing.
    mapfile -t names < <(tr , '\n' <<<"$1" | LC_ALL=C sort -ur)
    for name in "${names[@]}"; do
        [ -e "lab/without-$name.patch" ] || fail 64 \
            "nothing called '$name' can be left out; there is: $(known |
                paste -sd ' ')"
        patches+=("lab/without-$name.patch")
    done
    patches+=(lab/mark.patch)
    copy+=/$(IFS=,; echo "${names[*]}")
}

change() { # NAME,...
    local name names
    IFS=, read -ra names <<<"$1"
    for name in "${names[@]}"; do
        [ -e "lab/schema-$name.patch" ] || fail 64 "no change '$name' of the schema"
        patches+=("lab/schema-$name.patch")
    done
    copy+=/changed-$1
}

# The files that a page tells its reader to write.
write_files() { # PAGE DIRECTORY
    awk -v into="$2" '
        /^```(c|make) (new|more) / {
            file = into "/" $3
            inside = 1
            next
        }
        /^```/ { inside = 0 }
        inside { print > file }' "$1"
}

case $1 in
    without | worlds) leave_out "$2" ;;
    older)
        [ -e "lab/older-$2.patch" ] || fail 64 "no older version of '$2'"
        [ -z "${LAB_WITHOUT:-}" ] || leave_out "$LAB_WITHOUT"
        patches+=("lab/older-$2.patch")
        copy=build/lab/older-$2${LAB_WITHOUT:+,without-${copy##*/}}
        ;;
    changed) change "$2" ;;
    chapter)
        [ "$2" = 12 ] || fail 64 'only chapter 12 adds a service'
        folder=$(mktemp -d)
        write_files docs/tutorial/12-your-own-service.md "$folder"
        echo "$folder"
        exit
        ;;
    *) fail 64 'missing without, worlds, older, changed or chapter' ;;
esac

sources=(Makefile VERSION scripts/packages.sh libevents shop order-svc inventory-svc
    payment-svc)
[ "$1" != changed ] || sources+=(saga-cli bench tests/tools tests/golden)
made_from=$(find "${sources[@]}" build/flags "${patches[@]}" -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)

mkdir -p build/lab
exec 9>"build/lab/.lock"
flock 9
if [ "$(cat "$copy/made-from" 2>/dev/null)" != "$made_from" ]; then
    [ ! -t 2 ] || echo "lab: building $copy, this takes some seconds" >&2
    rm -rf "$copy"
    mkdir -p "$copy/scripts" "$copy/build"
    # With what is built already: only what a patch touches is built anew.
    cp -a Makefile VERSION libevents shop order-svc inventory-svc payment-svc "$copy"
    cp -a scripts/packages.sh "$copy/scripts"
    cp -a build/flags build/libevents build/shop build/order-svc \
        build/inventory-svc build/payment-svc "$copy/build"
    for patch in "${patches[@]}"; do
        patch -s -p1 -F0 --no-backup-if-mismatch -d "$copy" <"$patch" >&2 ||
            fail 1 "$patch no longer applies"
    done
    programs=(build/bin/{order,inventory,payment}-svc)
    if [ "$1" = changed ]; then
        mkdir "$copy/tests"
        cp -a saga-cli bench "$copy"
        cp -a tests/tools tests/golden "$copy/tests"
        programs+=(build/bin/saga build/tests/tools/compat)
        # Nobody runs these services.
        [ "$2" != wrong ] || programs=(build/tests/tools/compat)
    fi
    env -u MAKEFLAGS -u MFLAGS make -s -j2 -C "$copy" \
        "${programs[@]}" >&2 9>&- ||
        fail 1 "$copy does not build"
    # Who asks and judges is the real one.
    [ "$1" = changed ] || ln -sf ../../../../bin/saga "$copy/build/bin/saga"
    echo "$made_from" >"$copy/made-from"
fi
if [ "$1" = worlds ]; then
    mkdir -p "$copy/tests" "$copy/lab"
    cp -u lab/worlds.txt "$copy/lab"
    cp -u tests/world.[ch] tests/scratch.[ch] tests/test_worlds.c "$copy/tests"
    env -u MAKEFLAGS -u MFLAGS make -s -j2 -C "$copy" \
        build/tests/test_worlds >&2 9>&- ||
        fail 1 "the search does not build in $copy"
    printf 'cd %q && LAB_WITHOUT=%q build/tests/test_worlds -j1 --filter %q\n' \
        "$copy" "${copy##*/}" 'ladder/*'
    exit
fi
echo "$copy/build"
