#!/usr/bin/env bash
# Which packages are missing, and who may install them: scripts/packages.sh
# before a made-up root directory and a made-up apt-get.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

packages=$root/scripts/packages.sh
headers='nng/nng.h msgpack.h sqlite3.h jansson.h sodium.h fiu.h uthash.h stdio.h'

# A machine in $work/NAME: all headers but nng's, and a PATH with hardly
# anything in it.  UID is whom `id -u` tells of.
machine() { # NAME UID
    local header tool
    machine=$work/$1
    mkdir -p "$machine/bin" "$machine/usr/include/nng"
    for header in $headers; do
        : >"$machine/usr/include/$header"
    done
    rm "$machine/usr/include/nng/nng.h"
    for tool in bash env rm mktemp tail touch true; do
        ln -s "$(type -P $tool)" "$machine/bin/$tool"
    done
    command_is cc 'exit 0'
    command_is make 'exit 0'
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
}

it 'nothing is done or said when all packages are there' all_there
it 'root installs what is missing and says which' root_installs
it 'without root and sudo the apt line is printed, exit 69' no_root_no_sudo
it 'sudo installs what is missing' sudo_installs
it 'a sudo that wants a password is not waited for' sudo_with_password
it 'a failed installation is told with what apt said' offline
it 'check installs nothing' check_only
it 'without apt the compiler may judge, but nothing is installed' another_system
it 'wrong arguments are refused' wrong_use
