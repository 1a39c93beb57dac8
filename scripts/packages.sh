#!/bin/bash -p
# packages.sh - what Debian 12 or 13 must have installed, and how it gets there.
#
#   packages.sh check LEVEL     exits 0 when all are installed; otherwise prints
#                               the command that installs them
#   packages.sh install LEVEL   installs missing packages, as root or with sudo
#   packages.sh release         prints 12 or 13: the release whose names it uses
#
# LEVEL is build (run.sh, make), test (make test) or ci (.ci/run); each includes
# the one before it.  peers (make bench-peers) includes build: servers, of which
# none starts by itself.  Exits with 69 when something is still missing.
# PACKAGES_ROOT is for the tests: where to look in place of /.
set -eu

# Package, a file or command that only it brings (looking for that takes no
# time, asking dpkg does), and the release that names it so, if only one does.
build='
make             make
pkgconf          pkg-config
libnng-dev       /usr/include/nng/nng.h
libmsgpack-dev   /usr/include/msgpack.h    12
libmsgpack-c-dev /usr/include/msgpack.h    13
libsqlite3-dev   /usr/include/sqlite3.h
libjansson-dev   /usr/include/jansson.h
libsodium-dev    /usr/include/sodium.h
libfiu-dev       /usr/include/fiu.h
uthash-dev       /usr/include/uthash.h
libmicrohttpd-dev /usr/include/microhttpd.h
'
test='
libcriterion-dev /usr/include/criterion/criterion.h
sqlite3          sqlite3
jq               jq
curl             curl
patch            patch
faketime         faketime
strace           strace
git              git
man-db           man
hunspell         hunspell
hunspell-en-us   /usr/share/hunspell/en_US.dic
'
ci='
gcc              gcc
clang            clang
libclang-rt-14-dev /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux      12
libclang-rt-14-dev /usr/lib/llvm-14/lib/clang/14.0.6/include/fuzzer 12
clang-format-14  clang-format-14           12
libclang-rt-19-dev /usr/lib/llvm-19/lib/clang/19/lib/linux          13
libclang-rt-19-dev /usr/lib/llvm-19/lib/clang/19/include/fuzzer     13
debootstrap      /usr/sbin/debootstrap
shellcheck       shellcheck
valgrind         valgrind
iproute2         /bin/ip
nftables         /usr/sbin/nft
e2fsprogs        /sbin/mkfs.ext4
nodejs           node
npm              npm
chromium         chromium
'

# redis-tools has the server as well, and no service; postgresql has one, but
# without a cluster it runs nothing.
peers='
redis-tools      redis-check-rdb
libhiredis-dev   /usr/include/hiredis/hiredis.h
libpq-dev        /usr/include/postgresql/libpq-fe.h
postgresql       /usr/lib/postgresql/*/bin/postgres
util-linux       setpriv
'

usage() {
    echo 'usage: packages.sh check|install build|test|ci|peers, or release' >&2
    exit 64
}

# What is not Debian 12 is taken for Debian 13: testing, derivatives.
release_of_this() {
    local system=${PACKAGES_ROOT:-}/etc/os-release
    if grep -qsx 'ID=debian' "$system" &&
        grep -qsxE 'VERSION_ID="?12"?' "$system"; then
        echo 12
    else
        echo 13
    fi
}
release=$(release_of_this)

# Prints the packages of $1, a list as above, that are not there.
missing_of() {
    local package proof only
    while read -r package proof only; do
        [ "${only:-$release}" = "$release" ] || continue
        case $proof in
            '') ;;
            /*) compgen -G "${PACKAGES_ROOT:-}$proof" >/dev/null ||
                echo "$package" ;;
            *) command -v "$proof" >/dev/null || echo "$package" ;;
        esac
    done <<<"$1"
}

if [ "$*" = release ]; then
    echo "$release"
    exit
fi
[ $# -eq 2 ] || usage
case $2 in
    build) wanted=$build ;;
    test) wanted=$build$test ;;
    ci) wanted=$build$test$ci ;;
    peers) wanted=$build$peers ;;
    *) usage ;;
esac

missing=$(missing_of "$wanted")
# Any compiler will do, and it has to bring the C library's headers.
if ! command -v cc >/dev/null && ! command -v clang >/dev/null; then
    missing+=$'\ngcc'
fi
[ -e "${PACKAGES_ROOT:-}/usr/include/stdio.h" ] || missing+=$'\nlibc6-dev'
read -r -d '' -a packages <<<"$missing" || true
[ ${#packages[@]} -gt 0 ] || exit 0

# Elsewhere than on Debian the headers may lie elsewhere, too: let the
# compiler judge.
if ! command -v apt-get >/dev/null; then
    [ "$1" = check ] && exit 0
    echo "packages: this is not Debian (no apt-get); install by hand:" >&2
    echo "    ${packages[*]}" >&2
    exit 69
fi

line="apt-get install --no-install-recommends ${packages[*]}"

give_up() {
    echo "packages: $1: ${packages[*]}" >&2
    echo "    install:  $line        (as root)" >&2
    exit 69
}

case $1 in
    check) give_up 'missing' ;;
    install) ;;
    *) usage ;;
esac

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        give_up 'missing, and neither root nor sudo is at hand'
    elif sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    elif [ -t 0 ] && [ -t 2 ]; then
        as_root=(sudo)
    else
        give_up 'missing, and sudo wants a password'
    fi
fi

[ -w "${TMPDIR:-/tmp}" ] || unset TMPDIR
log=$(mktemp)
trap 'rm -f "$log"' EXIT

apt() {
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y "$@" </dev/null >>"$log" 2>&1
}

echo "  packages  installing ${packages[*]}"
# Debian would make a cluster for PostgreSQL, and run it from now on.
case " ${packages[*]} " in
    *' postgresql '*)
        # shellcheck disable=SC2016 # for that shell
        ${as_root[@]+"${as_root[@]}"} sh -c 'mkdir -p "$1" &&
            echo "create_main_cluster = false" >"$1/saga.conf"' - \
            "${PACKAGES_ROOT:-}/etc/postgresql-common/createcluster.d" ;;
esac
# The lists are fetched only when apt cannot do without: that is what takes
# time, and what needs the network most.
if ! apt install --no-install-recommends "${packages[@]}"; then
    apt update || true
    if ! apt install --no-install-recommends "${packages[@]}"; then
        tail -n 15 "$log" >&2
        give_up 'could not be installed'
    fi
fi

still=$(missing_of "$wanted")
if [ -n "$still" ]; then
    read -r -d '' -a packages <<<"$still" || true
    give_up 'installed, yet not found'
fi
