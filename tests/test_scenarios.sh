#!/usr/bin/env bash
# What runs the scenarios, the lab and the tutorial: that it fails when it
# should, and leaves nothing behind.  The scenarios themselves are run by `make
# scenarios`, the chapters by `make docs-test`.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

# A document with one block of commands; prints its name.
document() { # NAME COMMAND...
    local name=$work/$1.md
    shift
    printf '# A story\n\n```console\n' >"$name"
    printf '$ %s\n' "$@" >>"$name"
    # shellcheck disable=SC2016 # a fence
    printf '```\n' >>"$name"
    echo "$name"
}
run_document() { "$root/scripts/scenario.sh" file "$(document "$@")"; }

# Processes that have something of ours in their environment.
leftovers() { grep -lsa -- "$work/tmp" /proc/[0-9]*/environ | grep -v "/$$/"; }
none_left() { [ -z "$(leftovers)" ]; }

marked_is_refused() {
    mkdir "$work/marked"
    touch "$work/marked/lab"
    for s in order inventory payment; do
        said=$("$SAGA_BUILD/bin/$s-svc" --dir "$work/marked" 2>&1) && return 1
        shows "$said" 'a program of the ablation lab wrote this'
        [ ! -e "$work/marked/$s" ]
    done
    ends_with 65 "$SAGA_BUILD/bin/order-svc" --dir "$work/marked" 2>/dev/null
}

told_apart() {
    ends_with 0 run_document good 'echo fine #=> fine' 'true #=> --exit 0'
    ends_with 1 run_document bad 'echo fine #=> --egrep other'
    ends_with 1 run_document code 'false #=> --exit 0'
}

refused() {
    ends_with 66 "$root/scripts/scenario.sh" show 99
    ends_with 66 "$root/scripts/scenario.sh" run seven
    ends_with 64 "$root/scripts/scenario.sh" run
    ends_with 64 "$root/scripts/lab.sh" without everything
    ends_with 66 "$root/scripts/learn.sh" 99
    ends_with 64 "$root/scripts/learn.sh" seven
}

listed() {
    [ "$("$saga" scenario ls | wc -l)" -eq 20 ]
    shows "$("$saga" scenario show 7)" '^# 07 Crash between publish'
    shows "$("$saga" learn)" '^0 Run it$'
}

killed_leaves_nothing() {
    local signal name runner
    mkdir "$work/tmp"
    # shellcheck disable=SC2016 # for the document's own shell
    name=$(document services 'export SAGA_DIR=$(mktemp -d)' \
        "SAGA_BUILD=$SAGA_BUILD ./run.sh -d" "touch $work/tmp/up" 'sleep 600')
    for signal in TERM INT KILL; do
        # Job control, so that it may hear of Ctrl-C at all.
        set -m
        TMPDIR=$work/tmp "$root/scripts/scenario.sh" file "$name" &
        runner=$!
        set +m
        within 60 test -e "$work/tmp/up"
        rm "$work/tmp/up"
        if none_left; then return 1; fi
        kill -$signal $runner
        wait $runner && return 1
        within 20 none_left
    done
}

walked() {
    local said
    said=$(timeout 120 "$root/scripts/learn.sh" 0 < <(yes ''))
    shows "$said" 'CONFIRMED · 5 events'
    shows "$said" 'all 14 hold'
}

it 'services refuse a directory that a program of the lab has marked' \
    marked_is_refused
it 'a document whose commands say something else is told apart' told_apart
it 'what does not exist is refused' refused
it 'scenarios and chapters are listed and shown' listed
it 'TERM, Ctrl-C and kill -9 leave no service behind' killed_leaves_nothing
it 'a chapter can be walked through' walked
