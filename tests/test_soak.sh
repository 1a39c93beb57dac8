#!/usr/bin/env bash
# Tests scripts/soak.sh in its own repository, whose scenario has a race and
# whose tests count their runs.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

# A machine that has no disk, as a chroot in memory, is told it has one: what
# is tested here does not depend on it.
if [ "$(stat -f -c %T /var/tmp)" = tmpfs ]; then
    mkdir "$work/bin"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\n[ "$4" = /var/tmp ] && echo ext2/ext3 || exec %s "$@"\n' \
        "$(type -P stat)" >"$work/bin/stat"
    chmod +x "$work/bin/stat"
    PATH=$work/bin:$PATH
fi

# Enough of a repository; what is in build is no source.
repository() { # NAME
    local script
    repo=$work/$1
    mkdir -p "$repo"/{scenarios,scripts,docs/tutorial,tests,build/bin,build/tests/crash}
    for script in soak key scenario play ask common test; do
        cp "$root/scripts/$script.sh" "$repo/scripts"
    done
    ln -s "$saga" "$repo/build/bin/saga"
    ln -s "$SAGA_BUILD/tests/crash/slow.so" "$repo/build/tests/crash/slow.so"
    touch "$repo/build/flags" "$repo/docs/may-differ.txt"
    echo '# 00 Run it' >"$repo/docs/tutorial/00-run-it.md"
    echo '# 02 Nothing' >"$repo/scenarios/02-nothing.md"
}
# A test of it, which counts its runs in build/runs and then does COMMAND.
planted_test() { # NAME COMMAND
    printf '%s\n' 'echo >>build/runs' "$2" "echo 'ok - it ran'" \
        >"$repo/tests/test_$1.sh"
}
runs() { wc -l <"$repo/build/runs"; }

soak() { # CODE N ONLY
    said=$(ends_with "$1" "$repo/scripts/soak.sh" run "$2" "$3" 2>&1) || {
        echo "$said"
        return 1
    }
}

# Nothing of a soak is left: neither a process nor data.
nothing_stays() {
    local ours
    ours=saga-soak.$(id -u).$(cksum <<<"$repo" | cut -d ' ' -f 1)
    [ ! -e "/dev/shm/$ours" ]
    [ ! -e "/var/tmp/$ours" ]
    # A pattern that does not match the command line that has it.
    if grep -lsa "/$ours" /proc/[0-9]*/environ ||
        grep -lsa "$repo/[s]cripts/soak.sh" /proc/[0-9]*/cmdline; then
        return 1
    fi
}

# It waits half a second for 100 syncs, which take two when each takes 20 ms.
plant_race() {
    cat >"$repo/scenarios/01-race.md" <<'END'
# 01 A race

```console
$ f=$(mktemp)
$ { sync $(yes $f | head -n 100) && echo saved >$f; } &
$ sleep 0.5
$ cat $f
saved
```
END
}
race_is_found() {
    repository race
    plant_race
    planted_test good true
    soak 1 4 'scenario-01 test_*'
    shows "$said" '^  FAILED scenario-01 +sync-20ms run 4 of 4'
    shows "$said" '^scenario-01 .* 1/1 +[1-4]/4$'
    shows "$said" '^test_good.sh +0/1 +0/1 +0/1 +0/1 +0/4$'
    shows "$said" '^8 runs, [1-4] failed, 0 skipped'
    log=$(sed -n 's|^  \(build/soak/.*sync-20ms.log\)$|\1|p' <<<"$said")
    grep -q 'The output differs from scenarios/01-race.md' "$repo/$log"
    nothing_stays
}

# The second run stands still, with a process that left its group.
# shellcheck disable=SC2016 # for the test's own shell
stand_still_once() {
    planted_test counts 'if [ "$(wc -l <build/runs)" -eq 2 ]; then
        setsid sh -c "touch build/up; sleep 600; :" & sleep 600; fi'
}
stopped_in_second_run() { # SIGNAL CODE
    local code=0 soaking
    set -m
    "$repo/scripts/soak.sh" run 2 'test_*' >"$repo/build/said" 2>&1 &
    soaking=$!
    set +m
    within 60 test -e "$repo/build/up"
    kill "-$1" $soaking
    wait $soaking || code=$?
    [ $code -eq "$2" ]
    nothing_stays
    rm "$repo/build/up"
}
adds_up() {
    repository counting
    stand_still_once
    stopped_in_second_run INT 130
    shows "$(cat "$repo/build/said")" '^1 run, 0 failed'
    soak 0 3 'test_*' # the second again, and a third
    [ "$(runs)" -eq 4 ]
    shows "$said" '^test_counts.sh +0/1 +0/1 +0/1 +- +0/3$'
    soak 0 3 'test_*'
    [ "$(runs)" -eq 4 ]
    shows "$said" '^3 runs, 0 failed'
    echo '# other words' >>"$repo/tests/test_counts.sh"
    soak 0 1 'test_*'
    [ "$(runs)" -eq 5 ]
    shows "$said" '^1 run, 0 failed'
}

killed() {
    repository killed
    stand_still_once
    soak 0 1 'test_*'
    stopped_in_second_run TERM 143
}

never_ends() {
    repository endless
    planted_test endless 'sleep 600'
    SOAK_TIMEOUT=1 soak 1 1 'test_endless.sh'
    shows "$said" 'not finished within 1 s'
    nothing_stays
}

other_sources() {
    repository edited
    planted_test edits 'echo >>tests/notes'
    soak 75 1 'test_edits.sh'
    shows "$said" '^soak: the sources changed'
    soak 75 1 'test_edits.sh' # it was not counted
}

refused() {
    repository refused
    soak 64 0 ''
    shows "$said" '^soak: N=0'
    soak 64 1 'scenario-77'
    shows "$said" "^soak: no item is called 'scenario-77'"
}

it 'a race in a scenario is found, and its log is kept' race_is_found
it 'stopped and started again, runs of the same sources add up' adds_up
it 'ended by kill, it leaves nothing behind' killed
it 'a run that does not end has failed' never_ends
it 'a run during which the sources changed does not count' other_sources
it 'no runs and unknown items are refused' refused
