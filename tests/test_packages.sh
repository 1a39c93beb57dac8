#!/usr/bin/env bash
# Which packages are missing, and who may install them: scripts/packages.sh
# before a made-up root directory and a made-up apt-get.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

packages=$root/scripts/packages.sh
headers='nng/nng.h msgpack.h sqlite3.h jansson.h sodium.h fiu.h uthash.h microhttpd.h stdio.h'

# A machine in $work/NAME: all headers but nng's, and a PATH with hardly
# anything in it.  UID is what `id -u` prints.
machine() { # NAME UID [RELEASE]
    local header tool
    machine=$work/$1
    mkdir -p "$machine/bin" "$machine/etc" "$machine/usr/include/nng"
    debian_is "${3:-12}"
    for header in $headers; do
        : >"$machine/usr/include/$header"
    done
    rm "$machine/usr/include/nng/nng.h"
    for tool in bash env rm mktemp tail touch true grep; do
        ln -s "$(type -P $tool)" "$machine/bin/$tool"
    done
    command_is cc 'exit 0'
    command_is make 'exit 0'
    command_is pkg-config 'exit 0'
    command_is id "echo $2"
    command_is apt-get "echo \"\$*\" >>$machine/calls
        [ ! -e $machine/offline ] || exit 100
        case \"\$*\" in
            *update*) touch $machine/updated ;;
            *install*) [ -e $machine/updated ] || exit 100
                touch $machine/usr/include/nng/nng.h ;;
        esac"
}

command_is() { # NAME SCRIPT
    printf '#!/bin/bash\n%s\n' "$2" >"$machine/bin/$1"
    chmod +x "$machine/bin/$1"
}

debian_is() { # RELEASE
    printf 'PRETTY_NAME="Debian GNU/Linux"\nVERSION_ID="%s"\nID=debian\n' \
        "$1" >"$machine/etc/os-release"
}

run_packages() { # ARGUMENT...
    PATH=$machine/bin PACKAGES_ROOT=$machine "$packages" "$@" 2>&1
}

all_there() {
    machine there 0
    : >"$machine/usr/include/nng/nng.h"
    [ -z "$(run_packages install build)" ]
    [ ! -e "$machine/calls" ]
}
root_installs() {
    machine root 0
    shows "$(run_packages install build)" '^  packages  installing libnng-dev$'
    # Nothing was known of the package at first: the lists are fetched then.
    [ "$(grep -c update "$machine/calls")" -eq 1 ]
    ends_with 0 run_packages check build
}
no_root_no_sudo() {
    machine user 1000
    said=$(ends_with 69 run_packages install build)
    shows "$said" '    install:  apt-get install --no-install-recommends libnng-dev '
    [ ! -e "$machine/calls" ]
}
sudo_installs() {
    machine sudo 1000
    # shellcheck disable=SC2016 # expands in the made-up sudo
    command_is sudo '[ "$1" = -n ] && shift; exec "$@"'
    ends_with 0 run_packages install build
}
sudo_with_password() {
    machine password 1000
    command_is sudo 'exit 1'
    said=$(ends_with 69 run_packages install build)
    shows "$said" 'wants a password: libnng-dev'
    [ ! -e "$machine/calls" ]
}
offline() {
    machine offline 0
    : >"$machine/offline"
    said=$(ends_with 69 run_packages install build)
    shows "$said" 'could not be installed: libnng-dev'
}
check_only() {
    machine check 0
    said=$(ends_with 69 run_packages check build)
    shows "$said" 'missing: libnng-dev'
    [ ! -e "$machine/calls" ]
}
# The line that apt-get would be called with for LEVEL on a RELEASE that has
# everything but msgpack and what comes with LEVEL.
apt_line() { # RELEASE LEVEL
    machine "release-$1-$2" 0 "$1"
    : >"$machine/usr/include/nng/nng.h"
    rm "$machine/usr/include/msgpack.h"
    ends_with 69 run_packages check "$2"
}
names_by_release() {
    shows "$(apt_line 12 build)" ' missing: libmsgpack-dev$'
    shows "$(apt_line 13 build)" ' missing: libmsgpack-c-dev$'
    said=$(apt_line 12 ci)
    shows "$said" ' libclang-rt-14-dev .* clang-format-14 debootstrap '
    [[ $said != *libclang-rt-19* ]]
    said=$(apt_line 13 ci)
    shows "$said" ' libclang-rt-19-dev .* debootstrap '
    [[ $said != *libclang-rt-14* && $said != *clang-format* ]]
}
release_is_read() {
    machine releases 0
    [ "$(run_packages release)" = 12 ]
    debian_is 13
    [ "$(run_packages release)" = 13 ]
    # testing has no number, and a derivative's number is its own
    printf 'ID=debian\n' >"$machine/etc/os-release"
    [ "$(run_packages release)" = 13 ]
    printf 'ID=other\nVERSION_ID="12"\n' >"$machine/etc/os-release"
    [ "$(run_packages release)" = 13 ]
}
another_system() {
    machine other 0
    rm "$machine/bin/apt-get"
    ends_with 0 run_packages check build
    ends_with 69 run_packages install build
}
wrong_use() {
    machine usage 0
    ends_with 64 run_packages install everything
    ends_with 64 run_packages remove build
    ends_with 64 run_packages install
    ends_with 64 run_packages release 12
}

it 'nothing is done or said when all packages are there' all_there
it 'root installs what is missing and says which' root_installs
it 'without root and sudo the apt line is printed, exit 69' no_root_no_sudo
it 'sudo installs what is missing' sudo_installs
it 'a sudo that wants a password is not waited for' sudo_with_password
it 'a failed installation is told with what apt said' offline
it 'check installs nothing' check_only
it 'Debian 12 and 13 are asked for packages by their own names' names_by_release
it 'the release is read from /etc/os-release' release_is_read
it 'without apt the compiler may judge, but nothing is installed' another_system
# A server that runs from now on would be no business of a measurement.
no_cluster() {
    machine peers 0
    ln -s "$(type -P sh)" "$(type -P mkdir)" "$machine/bin"
    run_packages install peers || [ $? -eq 69 ] # nothing of it is there
    shows "$(cat "$machine/calls")" 'install .* redis-tools libhiredis-dev libpq-dev postgresql( |$)'
    shows "$(cat "$machine/etc/postgresql-common/createcluster.d/saga.conf")" \
        '^create_main_cluster = false$'
    machine others 0
    run_packages install ci || [ $? -eq 69 ]
    [ ! -e "$machine/etc/postgresql-common" ]
}
it 'PostgreSQL is installed for the peers alone, without a cluster' no_cluster
it 'wrong arguments are refused' wrong_use
