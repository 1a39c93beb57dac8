#!/usr/bin/env bash
# test_security.sh - the statements of SECURITY.md that need running services:
# nobody else gets in, nothing comes over a network, and all that comes in is
# checked.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

run=$root/run.sh
export NO_COLOR=1
nobody=65534

# Three services, started with a mask that hides nothing.
export SAGA_DIR=$work/data
start() {
    umask 000
    "$run" -d >"$work/started" 2>&1 || {
        cat "$work/started"
        return 1
    }
    "$saga" place widget:1 --customer alice --id o-secret
}
trap 'NO_COLOR=1 "$run" stop >/dev/null 2>&1; rm -rf "$work"' EXIT

# Succeeds when COMMAND fails; unlike `!`, set -e heeds it.
not() { ! "$@"; }

pids() { cat "$SAGA_DIR"/{order,inventory,payment}/pid; }

# TABLE COLUMN: the inodes of the services' sockets that a table of
# /proc/net lists.
listed() {
    local pid
    for pid in $(pids); do
        find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null
    done | tr -dc '0-9\n' | sort >"$work/inodes"
    [ -s "$work/inodes" ] || {
        echo 'the services have no sockets at all?' >&2
        return 1
    }
    awk -v column="$2" 'FNR > 1 { print $column }' "$1" | sort |
        comm -12 - "$work/inodes"
}

no_network() {
    local table
    for table in tcp tcp6 udp udp6 raw raw6; do
        [ -e "/proc/net/$table" ] || continue
        [ -z "$(listed "/proc/net/$table" 10)" ]
    done
}

# An abstract socket has no permissions: its name begins with @.
no_abstract_sockets() {
    [ -n "$(listed /proc/net/unix 7)" ] # the table is the right one
    listed /proc/net/unix 7 >"$work/ours"
    awk 'FNR == NR { ours[$1]; next } $7 in ours { print $8 }' \
        "$work/ours" /proc/net/unix >"$work/names"
    not grep '^@' "$work/names"
}

# The directory that was given to us stays as it is; all within is ours alone.
modes() {
    local wrong
    wrong=$(find "$SAGA_DIR" -mindepth 1 \( -type d ! -perm 0700 \
        -o ! -type d ! -type l ! -perm 0600 -o ! -uid "$(id -u)" \) -ls)
    [ -z "$wrong" ] || {
        echo "$wrong"
        return 1
    }
    [ "$(find "$SAGA_DIR" -type s | wc -l)" -eq 9 ]
    [ "$(find "$SAGA_DIR" -name '*.db' -type f | wc -l)" -ge 6 ]
}

# As somebody else: opens or connects to each PATH; prints those that let it.
get_in() { # PATH...
    # shellcheck disable=SC2016 # they are perl's
    setpriv --reuid $nobody --regid $nobody --clear-groups perl -e '
        use Socket;
        for my $path (@ARGV) {
            if (-S $path or $path =~ /\.(pub|cmd|qry)$/) {
                socket(my $to, PF_UNIX, SOCK_STREAM, 0) or die;
                print "$path\n" if connect($to, pack_sockaddr_un($path));
            } else {
                print "$path\n" if open(my $in, "<", $path);
                print "$path\n" if open(my $out, "+<", $path);
            }
        }' "$@"
}

others_are_refused() {
    mapfile -t paths < <(find "$SAGA_DIR" ! -type d)
    [ ${#paths[@]} -ge 15 ]
    [ -z "$(get_in "${paths[@]}")" ]
    not setpriv --reuid $nobody --regid $nobody --clear-groups \
        "$saga" cancel o-secret
    # Even where the way is open: each thing is closed by itself.
    find "$SAGA_DIR" -type d -exec chmod 0755 {} +
    chmod 0755 "$work"
    got=$(get_in "${paths[@]}")
    chmod 0700 "$work"
    find "$SAGA_DIR" -mindepth 1 -type d -exec chmod 0700 {} +
    [ -z "$got" ] || {
        echo "let in: $got"
        return 1
    }
    # And the probe itself is no blind one.
    : >"$work/open"
    chmod 0644 "$work/open"
    chmod 0755 "$work"
    [ -n "$(get_in "$work/open")" ]
    chmod 0700 "$work"
}

# What the other uid may not do, root's own client may.
the_owner_is_not_refused() {
    ends_with 0 "$saga" show o-secret
}

only_loopback() {
    local bus
    for bus in tcp://0.0.0.0:7000 tcp://192.0.2.1:7000 'tcp://[::]:7000' \
        tcp://example.org:7000; do
        said=$(SAGA_DIR=$work/none ends_with 64 \
            "$SAGA_BUILD/bin/order-svc" --bus "$bus" 2>&1)
        shows "$said" 'only tcp://127\.0\.0\.1'
    done
}

unlocked() { flock -n "$SAGA_DIR/payment" true; }

# run.sh starts them with --faults: here is one without.
faults_are_off() {
    kill -TERM "$(cat "$SAGA_DIR/payment/pid")"
    within 5 unlocked
    "$SAGA_BUILD/bin/payment-svc" 2>"$work/payment.log" &
    within 5 "$saga" status >/dev/null
    said=$(ends_with 1 "$saga" fault set payment payment/decline 2>&1)
    shows "$said" 'without --faults'
}

# Bytes of a stranger: msgpack is read by unpack.c alone, and JSON where
# duplicate names are refused.
nothing_is_decoded_unchecked() {
    local file
    cd "$root"
    grep -qF 'unpack_next(' libevents/core/codec.c
    grep -qF 'unpack_next(' libevents/stream/wire.c
    not grep -rlE 'msgpack_unpack' libevents shop saga-cli ./*-svc
    for file in read/queries write/router audit/check_journal; do
        [ "$(grep -c 'json_load[bs](' "libevents/$file.c")" -eq \
            "$(grep -c 'JSON_REJECT_DUPLICATES' "libevents/$file.c")" ]
    done
}

# No text from outside becomes SQL: it is bound.
sql_is_constant() {
    cd "$root"
    not grep -nE 'sqlite3_(v?mprintf|v?snprintf|str_)' order-svc/*.c \
        inventory-svc/*.c payment-svc/*.c shop/*.c libevents/log/*.c \
        libevents/write/*.c libevents/read/{queries,log_query,projection,rebuild}.c
    grep -q 'SQLITE_DBCONFIG_DEFENSIVE, 1' libevents/log/store_open.c
    grep -q 'SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0' libevents/log/store_open.c
}

# Every socket has a limit before it listens or dials.
every_socket_has_a_limit() {
    cd "$root"
    local file opened limited
    for file in libevents/*/*.c {saga-cli,shop/cli}/*.c bench/*.c; do
        opened=$(grep -cE 'nng_(pub0|sub0|req0|rep0)_open(_raw)?\(' "$file" ||
            true)
        limited=$(grep -c 'NNG_OPT_RECVMAXSZ, MESSAGE_MAX' "$file" || true)
        [ "$limited" -ge $((opened > 0)) ] || {
            echo "$file opens $opened kinds of sockets without a limit"
            return 1
        }
    done
}

# SECURITY.md names the test of every statement: by its function, or by words
# of its sentence.
named_tests_exist() {
    cd "$root"
    local name words
    # shellcheck disable=SC2016 # they are Markdown's
    for name in $(grep -o '`[a-z0-9_]*`' SECURITY.md | tr -d '`' |
        grep _ | grep -v '^test_'); do
        grep -q "[ (]$name\b" tests/test_*.c || {
            echo "there is no test $name"
            return 1
        }
    done
    while read -r words; do
        grep -qE "it '.*${words// ... /.*}" tests/test_security.sh || {
            echo "there is no test '$words'"
            return 1
        }
    done < <(grep 'test_security' SECURITY.md | grep -o '[ (]\*[^*]*\*' |
        sed 's/^.\*//; s/ \.\.\.\*$//; s/\*$//')
}

it 'three services start whatever the umask is' start
it 'the services have no socket on any network' no_network # F46 real
it 'no socket is an abstract one' no_abstract_sockets
it 'directories are 0700, files and sockets 0600, all of them ours' modes
if can_be_another && command -v perl >/dev/null; then
    it 'another user is refused by every socket and file' others_are_refused
else
    skip 'another user is refused by every socket and file' \
        "$another_needs, and perl"
fi
it 'the owner is not refused' the_owner_is_not_refused
it 'tcp is refused anywhere but on the loopback address' only_loopback
it 'fault points cannot be set unless the service was started for it' \
    faults_are_off
it 'nothing is decoded that was not checked' nothing_is_decoded_unchecked
it 'no text from outside becomes SQL' sql_is_constant
it 'every socket has a limit for what it receives' every_socket_has_a_limit
it 'every test that SECURITY.md names is there' named_tests_exist
