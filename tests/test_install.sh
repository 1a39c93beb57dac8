#!/usr/bin/env bash
# What `make install` puts down is enough: a copy of the source is built and
# installed under a path with spaces, the service of tests/install is compiled
# against that outside of the source tree, and the installed saga shows its
# event.  Then `make uninstall` takes all of it away.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"
unset DESTDIR PREFIX prefix bindir libdir includedir datadir mandir completionsdir
unset MAKEFLAGS MAKELEVEL CPPFLAGS LDFLAGS SAGA_BUS
export CFLAGS='-O0 -Wno-error'

source=$work/source
prefix="$work/a prefix"
lib=$prefix/lib
export PKG_CONFIG_PATH=$lib/pkgconfig

copy_source() {
    mkdir "$source"
    tar -C "$root" --anchored --exclude ./build --exclude ./.git \
        --exclude ./var --exclude ./saga -cf - . | tar -C "$source" -xf -
}
in_source() { make -s -j2 -C "$source" "$@"; }
# `!` does not end a test that fails.
no() { ! "$@"; }

# Every file with its mode, without the headers.
installed() { # DIRECTORY
    find "$1" ! -type d ! -name '*.h' -printf '%m %y %P\n' | LC_ALL=C sort -k 3
}

is_built_and_installed() {
    copy_source
    (
        umask 077
        in_source install PREFIX="$prefix" 2>/dev/null
    )
    same "755 f bin/saga
644 f lib/libsagaevents.a
777 l lib/libsagaevents.so
644 f lib/libsagaevents.so.0
644 f lib/pkgconfig/sagaevents.pc
644 f share/bash-completion/completions/saga
644 f share/man/man1/saga.1
644 f share/man/man3/sagaevents.3" "$(installed "$prefix")"
    same '' "$(find "$prefix" -name '*.h' ! -perm 644)"
    same '' "$(find "$prefix" -type d ! -perm 755)"
    same '' "$(find "$prefix" -type d -empty)"
    same libsagaevents.so.0 "$(readlink "$lib/libsagaevents.so")"
}

# ---- the library ----------------------------------------------------------------

headers() { (cd "$prefix/include/sagaevents" && find . -name '*.h' | sed 's,^\./,,'); }
flags() { pkg-config --cflags sagaevents; }

each_header_stands_alone() {
    local header
    for header in $(headers); do
        printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$work/alone.c"
        eval "${CC:-cc} -std=c17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
            $(flags) '$work/alone.c'"
    done
}

# As sagaevents(3) says: other libraries' headers first.
all_are_good_for_cplusplus() {
    local header
    {
        printf '#include <%s>\n' argp.h jansson.h sqlite3.h uthash.h
        echo 'extern "C" {'
        for header in $(headers); do printf '#include <%s>\n' "$header"; done
        echo '}'
    } >"$work/all.cpp"
    eval "clang -x c++ -std=c++20 -Wall -Werror -fsyntax-only $(flags) '$work/all.cpp'"
}

# What gcc says of the headers: functions from their prototypes, objects from
# their extern declarations.
declared() {
    local header
    for header in $(headers); do printf '#include <%s>\n' "$header"; done >"$work/all.c"
    eval "gcc -std=c17 -fsyntax-only -aux-info '$work/all.aux' $(flags) '$work/all.c'"
    grep '/sagaevents/' "$work/all.aux" | grep -v '\*/ static ' |
        sed 's/ (.*//; s/.*[ *]//'
    eval "gcc -std=c17 -E $(flags) '$work/all.c'" |
        awk '/^#/ { ours = /sagaevents/; next } ours' | tr '\n' ' ' | tr ';' '\n' |
        sed -n '/(/d; s/^ *extern //p' | tr , '\n' |
        sed 's/\[.*//; s/ *$//; s/.*[ *]//'
}
exported() {
    nm -D --defined-only "$lib/libsagaevents.so.0" | awk '$2 != "A" { print $3 }'
}

exports_what_is_declared() {
    local names
    names=$(exported)
    same '' "$(grep -v '@@SAGAEVENTS_0$' <<<"$names")"
    shows "$names" '^host_main@@'
    declared | LC_ALL=C sort -u >"$work/declared"
    cut -d @ -f 1 <<<"$names" | LC_ALL=C sort >"$work/exported"
    diff "$work/declared" "$work/exported"
}

is_a_good_citizen() {
    local said
    said=$(readelf -d "$lib/libsagaevents.so.0" "$prefix/bin/saga")
    shows "$said" 'SONAME.*\[libsagaevents\.so\.0\]'
    shows "$said" 'BIND_NOW'
    no grep -E 'RPATH|RUNPATH|TEXTREL|NEEDED.*libevent' <<<"$said"
    no grep -rF -e "$source" -e "$root" "$prefix/lib/pkgconfig" "$prefix/share"
}

# ---- a service that is built outside ------------------------------------------------

build_outside() { # NAME [LIBRARIES]
    mkdir "$work/$1"
    cp "$root"/tests/install/* "$work/$1"
    make -s -C "$work/$1" "${@:2}"
}

till_is_up() { "$prefix/bin/saga" status till >/dev/null; }

deposits() { # NAME LIBRARY-PATH
    local out=$work/$1
    export LD_LIBRARY_PATH=$2
    new_shop "$1-var"
    "$out/till-svc" </dev/null >>"$SAGA_DIR/till.log" 2>&1 &
    pids[till]=$!
    until_it_runs $!
    unset LD_LIBRARY_PATH # the installed saga needs none
    within 30 till_is_up 2>/dev/null
    same '{"deposits":[{"customer":"alice","cents":250}],"as_of":{"till":1}}' \
        "$(LD_LIBRARY_PATH=$2 "$out/deposit" "$SAGA_DIR" alice 250)"
    shows "$("$prefix/bin/saga" status)" '^  till +[0-9]+ +1 event +up to date'
    shows "$("$prefix/bin/saga" log till)" ' CoinsDeposited .*alice'
    shows "$("$prefix/bin/saga" flow)" '^DepositCoins +client +till +CoinsDeposited$'
    end till TERM
    same 0 "$ended"
}

works_shared() {
    build_outside shared
    shows "$(readelf -d "$work/shared/till-svc")" 'NEEDED.*\[libsagaevents\.so\.0\]'
    deposits shared "$lib"
}
works_static() {
    local libraries
    libraries=$(pkg-config --static --libs sagaevents)
    build_outside static LIBS="${libraries/-lsagaevents/-l:libsagaevents.a}"
    shows_no "$(readelf -d "$work/static/till-svc")" sagaevents
    deposits static ''
}
works_without_any_library() {
    build_outside alone CC="${CC:-cc} -static" \
        LIBS="$(pkg-config --static --libs sagaevents)" 2>/dev/null
    shows_no "$(readelf -d "$work/alone/till-svc")" NEEDED
    deposits alone ''
}

# ---- packages ---------------------------------------------------------------------

# As a package is made: DESTDIR, and directories of the distribution's own.
into_a_package() {
    local said libs=/usr/lib/somewhere
    said=$(in_source install DESTDIR="$work/a package" PREFIX=/usr libdir=$libs)
    same '' "$said"
    same "$(installed "$prefix" | sed "s,lib/,${libs#/usr/}/,; s, \([^ ]*\)$, usr/\1," |
        LC_ALL=C sort -k 3)" "$(installed "$work/a package")"
    same "$(cd "$prefix/include" && find . | sort)" \
        "$(cd "$work/a package/usr/include" && find . | sort)"
    no grep -rF "$work" "$work/a package/usr/lib" "$work/a package/usr/share"
    said=$(PKG_CONFIG_LIBDIR="$work/a package$libs/pkgconfig:$(pkg-config \
        --variable pc_path pkg-config)" PKG_CONFIG_PATH='' \
        pkg-config --cflags --libs sagaevents)
    shows "$said" '(^| )-I/usr/include/sagaevents '
    shows "$said" ' -L/usr/lib/somewhere -lsagaevents '
    in_source uninstall DESTDIR="$work/a package" PREFIX=/usr libdir=$libs
    [ ! -e "$work/a package" ]
}

# The flags of dpkg-buildflags reach every compiler and linker call.
takes_flags() {
    local said
    said=$(CFLAGS='-O1 -fcf-protection' CPPFLAGS='-D_FORTIFY_SOURCE=3 -DTOLD' \
        LDFLAGS=-Wl,--hash-style=gnu make -n V=1 -C "$source" BUILD=build/other install)
    grep -E '^cc .*-c -o' <<<"$said" >"$work/compile"
    grep -E '^cc .*(-pie|-shared)' <<<"$said" >"$work/link"
    [ -s "$work/compile" ] && [ -s "$work/link" ]
    no grep -vE -e '-D_FORTIFY_SOURCE=3 -DTOLD .*-O1 -fcf-protection' "$work/compile"
    no grep -F -e '-D_FORTIFY_SOURCE=2' "$work/compile"
    no grep -vF -e '-Wl,--hash-style=gnu' "$work/link"
}

# ---- again, and away -----------------------------------------------------------------

again_compiles_nothing() {
    local before said
    before=$(find "$prefix" -printf '%m %y %P %s\n' | sort)
    touch "$prefix/include/sagaevents/core/old.h" # of an older release
    said=$(make -C "$source" install PREFIX="$prefix" 2>/dev/null)
    no grep -E '^  (cc|ld) ' <<<"$said"
    same "$before" "$(find "$prefix" -printf '%m %y %P %s\n' | sort)"
}

goes_away() {
    mkdir -p "$work/old/lib" "$work/old/share/man/man1" "$work/old/bin"
    echo mine >"$work/old/bin/mine"
    find "$work/old" | sort >"$work/before"
    in_source install PREFIX="$work/old" 2>/dev/null
    in_source install PREFIX="$work/old" 2>/dev/null
    [ -x "$work/old/bin/saga" ]
    in_source uninstall PREFIX="$work/old"
    find "$work/old" | sort | diff "$work/before" -
    in_source uninstall PREFIX="$work/old" # of nothing
    in_source uninstall PREFIX="$prefix"
    [ ! -e "$prefix" ]
}

# ---- what goes wrong -------------------------------------------------------------------

as_user() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}
says_what_cannot_be_written() {
    local said
    : >"$work/a-file"
    said=$(ends_with 2 in_source install prefix="$work/a-file/usr" 2>&1)
    shows "$said" "^install: cannot write to $work/a-file: it is not a directory$"
    said=$(ends_with 2 in_source install prefix=usr 2>&1)
    shows "$said" "^install: prefix must begin with '/': 'usr'$"
}
is_refused_to_a_user() {
    local said
    mkdir -m 555 "$work/closed"
    cp -r "$source/build/install" "$work/built"
    chmod -R a+rX "$work" "$source"
    chmod 555 "$work/closed"
    said=$(cd "$source" && as_user env prefix="$work/closed/usr" bindir=/b \
        libdir="$work/closed/usr/lib" includedir=/i mandir=/m completionsdir=/c \
        DESTDIR='' scripts/install.sh install ../built saga-cli/saga.h 2>&1) &&
        return 1
    shows "$said" '^install: cannot write to /: permission denied$' ||
        shows "$said" "^install: cannot write to $work/closed: permission denied$"
    # shellcheck disable=SC2016 # what is typed
    shows "$said" 'make install PREFIX=\$HOME/\.local$'
    same '' "$(ls "$work/closed")"
}

# ---- what is read ----------------------------------------------------------------------

pages_are_good() {
    local page said
    for page in man1/saga.1 man3/sagaevents.3; do
        # groff 1.23 names each line that has no place to break it.
        said=$(MANWIDTH=79 man -l --warnings=w "$prefix/share/man/$page" \
            2>&1 >"$work/page" | sed '/cannot break line$/d')
        same '' "$said"
        shows "$(<"$work/page")" '^NAME'
    done
    # Each declared function is in the page of the library.
    while read -r said; do
        grep -qw -- "$said" "$work/page" || {
            echo "sagaevents(3) says nothing of $said"
            return 1
        }
    done < <(exported | cut -d @ -f 1)
}
completes() {
    (
        # shellcheck source=/dev/null # made by the command
        . "$prefix/share/bash-completion/completions/saga"
        COMP_WORDS=(saga stat) COMP_CWORD=1 COMPREPLY=()
        _saga
        same status "${COMPREPLY[*]}"
    )
}

it 'make install builds a clean copy and puts down every file, with its mode' \
    is_built_and_installed
it 'every installed header compiles alone' each_header_stands_alone
if command -v clang >/dev/null; then
    it 'C++ reads the headers inside extern "C"' all_are_good_for_cplusplus
fi
if command -v gcc >/dev/null; then
    it 'the library exports what its headers declare, and nothing else' \
        exports_what_is_declared
fi
it 'the library has a soname, no rpath, and no path of its source' is_a_good_citizen
it 'a service that is built outside records an event, which the installed saga shows' \
    works_shared
it 'the same with the static library' works_static
if [ "$("$root/scripts/packages.sh" release)" = 12 ]; then
    it 'the same without any shared library' works_without_any_library
fi
it 'the manual pages have no warning and name every function' pages_are_good
it 'bash completes the verbs of the installed saga' completes
it 'DESTDIR and directories of their own hold the same' into_a_package
it 'CFLAGS, CPPFLAGS and LDFLAGS of the environment reach every call' takes_flags
it 'what cannot be written is named, and nothing is installed' \
    says_what_cannot_be_written
if [ "$(id -u)" -ne 0 ] || can_be_another; then
    it 'a user is told what to do about a directory of root' is_refused_to_a_user
else
    skip 'a user is told what to do about a directory of root' "$another_needs"
fi
it 'make install again compiles nothing and leaves the same' again_compiles_nothing
it 'make uninstall leaves what was there before' goes_away
