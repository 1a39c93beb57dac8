#!/usr/bin/env bash
# smoke.sh check|write BUILD - checks that the same work still takes as many
# instructions.  Callgrind counts them, so that no clock matters: `make
# bench-smoke`, and in CI.
#
# `write` notes the counts in smoke.txt, with the versions of what they depend
# on.  `check` compares within 5 per cent; where those versions differ, within
# 15.  Fewer instructions than that fail, too: then run `write`.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8
mode=$1 build=$2 noted=bench/smoke.txt
work=$(mktemp -d "${TMPDIR:-/tmp}/saga-smoke-XXXXXX")
trap 'rm -rf "$work"' EXIT

tools() {
    local package
    "${CC:-cc}" --version | head -n 1
    for package in libc6 libsqlite3-0 libsodium23 libmsgpackc2 valgrind; do
        dpkg-query -W -f '${Package} ${Version}\n' "$package"
    done
    # libc and libsodium choose their code by it
    grep -o -m 1 -w avx2 /proc/cpuinfo || echo 'no avx2'
}

count() { # KIND N: instructions for one of N
    mkdir "$work/data"
    valgrind --tool=callgrind --callgrind-out-file="$work/$1.callgrind" \
        --toggle-collect="measured_$1" \
        "$build/bench/smoke" "$1" "$2" "$work/data" 2>"$work/out" || {
        cat "$work/out" >&2
        exit 74
    }
    rm -r "$work/data"
    awk -v n="$2" '/Collected/ { printf "%.0f\n", $4 / n }' "$work/out"
}

{
    echo "codec $(count codec 1000)"
    echo "append $(count append 1000)"
    echo "saga $(count saga 2000)"
} >"$work/counts"
grep -qE ' 0$' "$work/counts" && {
    echo 'smoke.sh: nothing was counted' >&2
    exit 74
}

if [ "$mode" = write ]; then
    {
        echo '# Instructions of one event through the codec, one append, and'
        echo '# one saga in all three services; by bench/smoke.sh write, with:'
        tools | sed 's/^/# /'
        cat "$work/counts"
    } >"$noted"
    cat "$noted"
    exit
fi

percent=5
if [ "$(tools)" != "$(sed -n 's/^# //p' "$noted" | tail -n +3)" ]; then
    percent=15
    echo "  other versions than the noted ones: within $percent %"
fi
awk -v percent=$percent '
    /^#/ { next }
    NR == FNR { noted[$1] = $2; next }
    {
        change = ($2 - noted[$1]) / noted[$1] * 100
        bad = change > percent || change < -percent
        printf "  %-8s %8d instructions, noted %8d, %+.1f %%%s\n", $1, $2, \
            noted[$1], change, bad ? "  FAIL" : ""
        failed += bad
    }
    END { exit failed > 0 }' "$noted" "$work/counts" || {
    echo 'smoke.sh: if it is meant to be so: make bench-smoke-write' >&2
    exit 1
}
