#!/usr/bin/env bash
# The Dockerfile, the devcontainer and `make test-debian13` do the same.  However
# the target ends, it leaves nothing behind and touches nothing outside.  A made-up
# debootstrap stands in for the real one, which CI runs.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

debian13=$root/scripts/debian13.sh
export DEBIAN13_DIR=$work/root
mkdir "$work/bin" "$work/precious"
touch "$work/precious/file"

# SCRIPT is given the directory of the new system as $there.
debootstrap_is() { # SCRIPT
    # shellcheck disable=SC2016 # expands in the made-up debootstrap
    printf '#!/bin/bash\nthere=$3\n%s\n' "$1" >"$work/bin/debootstrap"
    chmod +x "$work/bin/debootstrap"
}
debian13() { PATH=$work/bin:$PATH "$debian13" "$@"; }

# One line for each RUN instruction, found in another way than the script's.
run_lines_are_the_dockerfiles() {
    diff <("$debian13" list) \
        <(awk 'toupper($1) == "RUN" { $1 = ""; print substr($0, 2) }' \
            "$root/Dockerfile")
    shows "$("$debian13" list)" '^scripts/packages.sh install test$'
    shows "$("$debian13" list)" '^make .*test$'
    shows "$("$debian13" list)" '^\./run\.sh demo$'
}
what_it_cannot_execute() {
    printf 'FROM x\nRUN true && \\\n    false\n' >"$work/Dockerfile"
    DOCKERFILE=$work/Dockerfile ends_with 65 "$debian13" list
    printf 'FROM x\n' >"$work/Dockerfile"
    DOCKERFILE=$work/Dockerfile ends_with 65 "$debian13" list
    ends_with 64 "$debian13" walk
}
member() { # NAME: of devcontainer.json
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" \
        "$root/.devcontainer/devcontainer.json"
}
devcontainer_agrees() {
    "$debian13" list | grep -qxF -- "$(member postCreateCommand)"
    [ "$root/.devcontainer/$(member dockerfile)" -ef "$root/Dockerfile" ]
    grep -qE "^FROM debian:13[a-z-]* AS $(member target)$" "$root/Dockerfile"
}
not_root() {
    printf '#!/bin/sh\necho 1000\n' >"$work/bin/id"
    chmod +x "$work/bin/id"
    said=$(ends_with 77 debian13 run 2>&1)
    rm "$work/bin/id"
    shows "$said" 'skipped: debootstrap needs root'
    [ ! -e "$DEBIAN13_DIR" ]
}

nothing_left() {
    [ ! -e "$DEBIAN13_DIR" ] && [ -e "$work/precious/file" ] && none_runs
}
# The brackets keep grep from finding itself.
none_runs() { ! grep -lsa "$work/end[s]" /proc/[0-9]*/cmdline >/dev/null; }
fails() {
    # shellcheck disable=SC2016 # expands in the made-up debootstrap
    debootstrap_is 'mkdir "$there/etc"; echo no such mirror; exit 3'
    said=$(ends_with 69 debian13 run 2>&1)
    shows "$said" '^no such mirror$'
    nothing_left
}
# A debootstrap that never ends, with a directory of ours mounted.
hangs() {
    debootstrap_is "mkdir \$there/in && mount --bind $work/precious \$there/in &&
        touch $work/up && exec tail -f /dev/null $work/ends"
    touch "$work/ends"
    rm -f "$work/up"
}
interrupted() {
    local signal
    for signal in TERM INT HUP; do
        hangs
        set -m # so that it may hear of Ctrl-C at all
        PATH=$work/bin:$PATH "$debian13" run &
        runner=$!
        set +m
        within 30 test -e "$work/up"
        kill "-$signal" $runner
        wait $runner && return 1
        within 10 nothing_left
    done
}
killed() {
    hangs
    PATH=$work/bin:$PATH "$debian13" run &
    runner=$!
    within 30 test -e "$work/up"
    kill -KILL $runner
    wait $runner && return 1
    within 10 none_runs
    fails # the next run removes what this one had to leave
}
too_slow() {
    hangs
    begun=$SECONDS
    said=$(DEBIAN13_SECONDS=1 ends_with 124 debian13 run 2>&1)
    [ $((SECONDS - begun)) -lt 15 ]
    shows "$said" 'not done within 1 s'
    within 10 nothing_left
}

it 'the lines to execute are the RUN lines of the Dockerfile' \
    run_lines_are_the_dockerfiles
it 'a Dockerfile that it cannot execute is refused' what_it_cannot_execute
it 'the devcontainer is a stage of the Dockerfile, and runs one of its lines' \
    devcontainer_agrees
it 'without root it says so and fails' not_root
for test in 'a debootstrap that fails leaves nothing:fails' \
    'an interrupted run leaves nothing, and no mount is looked into:interrupted' \
    'after kill -9 nothing runs, and the next run cleans up:killed' \
    'a run that takes too long ends:too_slow'; do
    if [ "$(id -u)" -eq 0 ] && unshare --mount --pid --fork true 2>/dev/null; then
        it "${test%:*}" "${test##*:}"
    else
        skip "${test%:*}" 'needs root, and namespaces'
    fi
done
