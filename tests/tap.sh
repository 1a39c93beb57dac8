# shellcheck shell=bash
# tap.sh - what the shell tests share: TAP on standard output, all else on
# standard error, a directory that goes away.  Sourced, never run.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8
export SAGA_BUILD=${SAGA_BUILD:-$root/build}
[[ $SAGA_BUILD == /* ]] || SAGA_BUILD=$root/$SAGA_BUILD
# shellcheck disable=SC2034 # used by those who source this
saga=$SAGA_BUILD/bin/saga

work=$(mktemp -d "${TMPDIR:-/tmp}/saga-test.XXXXXX") || exit 74
trap 'rm -rf "$work"' EXIT

# Runs COMMAND (a function with set -e) and reports it under a SENTENCE.
it() { # SENTENCE COMMAND...
    local code
    (
        set -e
        "${@:2}"
    ) >&2 </dev/null
    code=$?
    if [ $code -eq 0 ]; then
        echo "ok - $1"
    else
        echo "not ok - $1 (exit code $code)"
    fi
}

# Counts a test that cannot be run here.
skip() { # SENTENCE WHY
    echo "ok - $1 # SKIP $2"
}

# Whether another user can be tried: by root, with setpriv, and on the way to
# $work ($TMPDIR may be a user's own).
can_be_another() {
    [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null &&
        setpriv --reuid 65534 --regid 65534 --clear-groups test -x "${work%/*}"
}
# shellcheck disable=SC2034 # used by those who source this
another_needs='needs root, setpriv, and a TMPDIR that others may enter'

# COMMAND has to end with exactly CODE.
ends_with() { # CODE COMMAND...
    local code=0
    "${@:2}" || code=$?
    [ $code -eq "$1" ] || {
        echo "exit code $code, not $1: ${*:2}"
        return 1
    }
}

# TEXT has to show PATTERN (grep -E).
shows() { # TEXT PATTERN
    grep -qE -- "$2" <<<"$1" || {
        printf "'%s' is not in:\n%s\n" "$2" "$1"
        return 1
    }
}

# The first of nine ports, for services over tcp: none that the kernel gives to
# connections by itself (/proc/sys/net/ipv4/ip_local_port_range), and none on
# which somebody listens.
nine_ports() {
    local first last i try
    read -r last _ </proc/sys/net/ipv4/ip_local_port_range
    [ "$last" -gt 21000 ] || last=30000
    for ((try = 0; try < 100; try++)); do
        first=$((10000 + ($$ + try * 37) * 16 % (last - 10016)))
        for ((i = 0; i < 9; i++)); do
            ! (: <"/dev/tcp/127.0.0.1/$((first + i))") 2>/dev/null || continue 2
        done
        echo $first
        return
    done
    return 1
}

# Whether a process has ended, also one that nobody has waited for yet.  A
# zombie whose threads still run has not: it holds its locks and files.  The
# process may vanish between two looks.
gone() { # PID
    local threads
    kill -0 "$1" 2>/dev/null || return 0
    threads=("/proc/$1/task"/*)
    ! grep -qsE '\) [^Z] ' "/proc/$1/stat" && [ ${#threads[@]} -le 1 ]
}

# Waits for a condition, at most SECONDS.
within() { # SECONDS COMMAND...
    local until up # SECONDS is on the wall clock
    read -r up _ </proc/uptime
    until=$((${up%.*} + $1))
    until "${@:2}"; do
        read -r up _ </proc/uptime
        [ "${up%.*}" -lt $until ] || {
            echo "not within $1 s: ${*:2}"
            return 1
        }
        sleep 0.05
    done
}

# Puts tests/NAME, with the packages of its lock file, into the build directory.
# A registry that does not answer is asked again by npm itself.
npm_install() { # NAME DIRECTORY
    cmp -s "$root/tests/$1/package-lock.json" "$2/installed" || rm -rf "$2"
    mkdir -p "$2"
    cp -r "$root/tests/$1/." "$2"
    [ ! -e "$2/installed" ] || return 0
    timeout 300 npm --prefix "$2" ci --ignore-scripts --no-progress
    cp "$2/package-lock.json" "$2/installed"
}
