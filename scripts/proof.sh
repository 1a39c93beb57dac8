#!/usr/bin/env bash
# proof.sh MINUTES - runs everything that tries to break the system, until it
# was tried for MINUTES, then writes docs/fault-matrix.md: what was tried, with
# which result.
#
# First every test once; then each tests/*/proof.sh SECONDS in turns, until each
# has had its share.  All of them append lines to $PROOF_RESULTS, in the form
# that scripts/fault-matrix.sh describes.
#
# What was done is kept in build/proof/KEY, where KEY is a hash of the sources:
# the same command, stopped and started again, goes on with what is missing,
# larger MINUTES add to it, and changed sources begin at zero.  A turn that was
# stopped does not count.
#
# Exit code: 0 when nothing has failed, 1 when something has (the matrix is
# written all the same, and says so), 75 when the sources changed meanwhile, 129,
# 130 or 143 when it was stopped.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." || exit 74

fail() { # CODE TEXT
    echo "proof: $2" >&2
    exit "$1"
}

[[ ${1:-} =~ ^[1-9][0-9]{0,5}$ ]] || fail 64 'usage: proof.sh MINUTES'
minutes=$1
bad=0 running=''

say() { printf '\n== proof: %s (%d s)\n' "$*" $SECONDS; }

# How the time is shared out; a part that is not named here gets as much.
weight_of() {
    case $1 in
        crash) echo 4 ;; # in two hours enough for every kill point
        sim) echo 3 ;;
        fuzz) echo 2 ;;
        *) echo 1 ;;
    esac
}

# The longest turn.  One of 45 minutes is enough for crash to try every kill
# point; later turns sample them.
turn_of() { # PART
    if [ "$1" = crash ] && [ "$(seconds_of crash)" -eq 0 ]; then
        echo 3300
    else
        echo 600
    fi
}

# How long a part, or all of them, was tried.
seconds_of() { # [PART]
    awk -F '\t' -v part="${1:-}" \
        'part == "" || $1 == part { sum += $2 } END { print sum + 0 }' \
        "$state/turns"
}

share_of() { # PART
    echo $((minutes * 60 * $(weight_of "$1") / weights))
}

# Runs a turn, and keeps what it recorded if it came to its end, whatever that
# was.  Its processes are a group, which a signal to us ends.
turn() { # NAME SECONDS COMMAND...
    local code=0
    export PROOF_RESULTS=$PWD/$state/turn.tsv
    : >"$PROOF_RESULTS"
    set -m
    "${@:3}" </dev/null 9>&- &
    running=$!
    set +m
    wait $running || code=$?
    running=''
    [ "$(scripts/key.sh)" = "${state##*/}" ] ||
        fail 75 'the sources changed while it ran: start it again'
    cat "$PROOF_RESULTS" >>"$state/results.tsv"
    [ $code -ne 0 ] || printf '%s\t%s\n' "$1" "$2" >>"$state/turns"
    return $code
}

# shellcheck disable=SC2317 # the traps call it
stopped() { # CODE
    trap '' HUP INT TERM
    if [ -n "$running" ]; then
        kill -TERM -- "-$running" 2>/dev/null
        wait "$running" 2>/dev/null
    fi
    say "stopped after $(($(seconds_of) / 60)) of $minutes minutes; the same\
 command goes on"
    exit "$1"
}

every_test_once() {
    ! grep -q '^tests' "$state/turns" || return 0
    say 'every test once'
    turn tests 0 make -s -j2 test
}

# One turn of each that has not had its share; fails when there was none.
go_round() {
    local name left any=1
    for name in "${parts[@]}"; do
        left=$(($(share_of "$name") - $(seconds_of "$name")))
        [[ $left -ge 30 && " $broken " != *" $name "* ]] || continue
        [ $left -le "$(turn_of "$name")" ] || left=$(turn_of "$name")
        say "$name, for $left s"
        any=0
        turn "$name" "$left" "tests/$name/proof.sh" "$left" && continue
        bad=1
        broken+=" $name" # not again in this run
    done
    return $any
}

about() {
    local name text=''
    for name in "${parts[@]}"; do
        text+=", $name for $(($(seconds_of "$name") / 60)) minutes"
    done
    echo "Sources ${state##*/}: every test once$text; in" \
        "$(wc -l <"$state/runs") run(s)."
}

write_matrix() {
    say 'the matrix'
    PROOF_ABOUT=$(about) scripts/fault-matrix.sh "$state/results.tsv" \
        >"$state/fault-matrix.md" || bad=1
    [ -s "$state/fault-matrix.md" ] || return
    mkdir -p docs
    cp "$state/fault-matrix.md" docs/fault-matrix.md
    tail -n 1 docs/fault-matrix.md
}

mkdir -p build/proof
exec 9>build/proof/lock
flock -n 9 || fail 75 'another proof is running in this directory'
state=build/proof/$(scripts/key.sh)
mkdir -p "$state"
touch "$state/turns" "$state/results.tsv"
date -u '+%F %R' >>"$state/runs"
trap 'stopped 129' HUP
trap 'stopped 130' INT
trap 'stopped 143' TERM

parts=() weights=0 broken=''
for part in tests/*/proof.sh; do
    [ -x "$part" ] || continue
    name=$(basename "$(dirname "$part")")
    parts+=("$name")
    weights=$((weights + $(weight_of "$name")))
done
every_test_once || bad=1
while go_round; do :; done
write_matrix
exit $bad
