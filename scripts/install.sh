#!/usr/bin/env bash
# install.sh install|uninstall BUILT HEADER... - puts down what `make install`
# has built in the directory BUILT, and the headers; or takes all of it away.
#
# Where to comes from the environment, as the Makefile exports it: prefix,
# bindir, libdir, includedir, mandir, completionsdir, and before all of these
# DESTDIR (may be empty).  Files are 644 and programs 755, whatever the umask.
# Nothing is written unless every directory can be.
#
# BUILT/made-directories remembers the directories that had to be made:
# uninstall removes those that are empty then, and no others.  Of another
# build it removes the files and include/sagaevents.  Exit codes: 64 usage, 69
# not built, 74 cannot write.
set -euo pipefail
umask 022
# shellcheck source=scripts/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

fail() { # CODE LINE...
    complain 'install: ' "${@:2}"
    exit "$1"
}

[ $# -ge 3 ] || fail 64 'usage: install.sh install|uninstall BUILT HEADER...'
verb=$1 built=$2
shift 2
: "${prefix:=}" "${bindir:=}" "${libdir:=}" "${includedir:=}" "${mandir:=}"
: "${completionsdir:=}"
for name in prefix bindir libdir includedir mandir completionsdir; do
    [[ ${!name-} == /* ]] || fail 64 "$name must begin with '/': '${!name-}'"
done
destdir=${DESTDIR-}
[[ -z $destdir || $destdir == /* ]] || destdir=$PWD/$destdir
record=$built/made-directories
soname=libsagaevents.so.0

# ---- what goes where ----------------------------------------------------------

modes=() froms=() tos=()
add() { # MODE FROM TO
    modes+=("$1") froms+=("$2") tos+=("$destdir$3")
}
add 755 "$built/saga" "$bindir/saga"
add 644 "$built/$soname" "$libdir/$soname"
add 644 "$built/libsagaevents.a" "$libdir/libsagaevents.a"
add 644 "$built/sagaevents.pc" "$libdir/pkgconfig/sagaevents.pc"
add 644 "$built/saga.1" "$mandir/man1/saga.1"
add 644 "$built/sagaevents.3" "$mandir/man3/sagaevents.3"
add 644 "$built/saga.bash" "$completionsdir/saga"
headers=$includedir/sagaevents
for header; do
    add 644 "$header" "$headers/${header#libevents/}"
done
link=$destdir$libdir/libsagaevents.so

# ---- directories ----------------------------------------------------------------

# Says why nothing can be put into DIRECTORY, if so: into it, or into the first
# above it that is there.
check_directory() { # DIRECTORY
    local there=$1 why=''
    until [ -e "$there" ] || [ -L "$there" ]; do
        there=$(dirname -- "$there")
    done
    if [ ! -d "$there" ]; then
        why='it is not a directory'
    elif [ ! -w "$there" ] || [ ! -x "$there" ]; then
        why='permission denied'
        [ "$(id -u)" -ne 0 ] || why='read-only'
    fi
    [ -z "$why" ] || fail 74 "cannot write to $there: $why" \
        "elsewhere:  make install PREFIX=\$HOME/.local" \
        'as root:    sudo make install'
}

make_directory() { # DIRECTORY
    [ ! -d "$1" ] || return 0
    make_directory "$(dirname -- "$1")"
    mkdir -- "$1" || fail 74 "cannot make the directory $1"
    printf '%s\n' "$1" >>"$record"
}

was_made() { grep -qsxF -e "$1" "$record"; }

remove_directories() { # upwards from DIRECTORY
    local directory=$1
    while was_made "$directory"; do
        rmdir -- "$directory" 2>/dev/null || [ ! -e "$directory" ] || return 0
        directory=$(dirname -- "$directory")
    done
}

# Forgets the directories that are gone.
tidy_record() {
    local directory
    [ -e "$record" ] || return 0
    while IFS= read -r directory; do
        [ ! -d "$directory" ] || printf '%s\n' "$directory"
    done <"$record" >"$record.new"
    mv -- "$record.new" "$record"
    [ -s "$record" ] || rm -f -- "$record"
}

remove_headers() {
    [ -d "$destdir$headers" ] || return 0
    find "$destdir$headers" -name '*.h' -delete
    find "$destdir$headers" -depth -type d -empty -delete
}

# ---- the rest --------------------------------------------------------------------

# The value of a variable in a .pc file, relative to ${prefix} if it is below
# it.  pkg-config reads a backslash and quotes as a shell does.
pc_value() { # PATH
    local path=$1 lead=''
    if [[ $1 == "$prefix"/* && $prefix != / ]]; then
        # shellcheck disable=SC2016 # pkg-config's own variable
        path=${1#"$prefix"} lead='${prefix}'
    fi
    printf '%s%s' "$lead" "$path"
}

# NNG has no .pc file.  Its static library needs what it was built with.
nng_libraries() {
    local archive
    archive=$("${CC:-cc}" -print-file-name=libnng.a)
    if [ -e "$archive" ] && nm -u "$archive" 2>/dev/null | grep mbedtls_ >/dev/null; then
        echo '-lnng -lmbedtls -lmbedx509 -lmbedcrypto'
    else
        echo '-lnng'
    fi
}

write_pc() {
    local msgpack='msgpack' text
    ! pkg-config --exists msgpack-c || msgpack='msgpack-c'
    text=$(<libevents/sagaevents.pc.in)
    text=${text//@prefix@/"$prefix"}
    text=${text//@libdir@/"$(pc_value "$libdir")"}
    text=${text//@includedir@/"$(pc_value "$includedir")"}
    text=${text//@version@/"$(<VERSION)"}
    text=${text//@nng@/"$(nng_libraries)"}
    printf '%s\n' "${text//@msgpack@/"$msgpack"}"
}

# Programs find the library by ldconfig's cache, or have to be told.
announce() {
    local ldconfig
    [ -z "$destdir" ] || return 0
    ldconfig=$(PATH=$PATH:/sbin:/usr/sbin command -v ldconfig) || return 0
    if ! "$ldconfig" -N -X -v 2>/dev/null | grep -q "^$libdir:"; then
        complain 'install: ' \
            "programs need LD_LIBRARY_PATH=$libdir: the loader does not look there"
    elif [ "$(id -u)" -eq 0 ]; then
        "$ldconfig"
    fi
}

install_all() {
    local i to
    for i in "${!froms[@]}"; do
        [ -e "${froms[i]}" ] || [[ ${froms[i]} == *.pc ]] ||
            fail 69 "${froms[i]} is missing: run make install"
    done
    for to in "${tos[@]}"; do
        check_directory "$(dirname -- "$to")"
    done
    work=$(mktemp)
    trap 'rm -f "$work"' EXIT
    write_pc >"$work"
    remove_headers
    for i in "${!tos[@]}"; do
        [[ ${froms[i]} != *.pc ]] || froms[i]=$work
        make_directory "$(dirname -- "${tos[i]}")"
        install -m "${modes[i]}" -- "${froms[i]}" "${tos[i]}" ||
            fail 74 "cannot write ${tos[i]}"
    done
    ln -sfn "$soname" "$link"
    announce
}

uninstall_all() {
    local to
    for to in "${tos[@]}" "$link"; do
        rm -f -- "$to" || fail 74 "cannot remove $to"
    done
    remove_headers
    for to in "${tos[@]}"; do
        remove_directories "$(dirname -- "$to")"
    done
    tidy_record
}

case $verb in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) fail 64 "'$verb' is neither install nor uninstall" ;;
esac
