#!/usr/bin/env bash
# What `saga wait --quiet` promises, and how `saga check --final` tells what is
# under way from what is broken: right after work, and when a service is
# paused, dead, or has put an event aside.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

tries=${TRIES:-20}

begin() {
    start_all "$@"
    seed
    "$saga" fund alice 1000 >/dev/null
    asked 0 wait --quiet
}

# 0, or 75 and the words for it.
ended_or_under_way() {
    local code=0
    said=$("$saga" check --final 2>&1) || code=$?
    case $code in
        0) shows "$said" '^all 14 hold$' ;;
        75)
            shows "$said" '^  wait  Q[123] .* under way$'
            shows "$said" "under way, none broken  \('SAGA_DIR=[^ ]+ \./saga wait --quiet' "
            shows_no "$said" FAIL
            ;;
        *)
            printf 'exit code %s:\n%s\n' $code "$said"
            return 1
            ;;
    esac
}

right_after_work() {
    local i
    begin
    for ((i = 0; i < tries; i++)); do
        asked 0 place widget:1
        ended_or_under_way
    done
    for ((i = 0; i < tries; i++)); do
        asked 0 place widget:1 --no-wait
        ended_or_under_way
    done
}

quiet_means_saved() {
    local i
    begin
    for ((i = 0; i < tries; i++)); do
        asked 0 place widget:1
        asked 0 wait --quiet
        asked 0 check --final
    done
}

# Orders never stop coming: nobody is idle, and nothing is broken.
under_load() {
    begin
    "$saga" stock gizmo 1000000 >/dev/null
    "$saga" place gizmo:1 --customer nobody --count 3000 >&2 &
    others+=($!)
    while ! gone "${others[-1]}"; do ended_or_under_way; done
    wait "${others[-1]}" || true # they are declined
    all_is_well
}

paused() {
    local begun
    begin --order-deadline-ms 600000
    kill -STOP "${pids[payment]}"
    asked 0 place widget:1 --no-wait --id o-paused
    begun=$(date +%s%N)
    asked 1 check --final
    [ $(($(date +%s%N) - begun)) -ge 5000000000 ]
    shows "$said" 'Q1 +o-paused: has not ended'
    shows "$said" '^ +Q2 +payment: payment has consumed order up to #[0-9]+, the head is #[0-9]+$'
    shows "$said" "^ +payment-svc is paused:  kill -CONT ${pids[payment]}\$"
    shows "$said" 'of 14 broken'
    asked_json 1 check --final
    has holds false
    has under_way false
    kill -CONT "${pids[payment]}"
    asked 0 wait --quiet
    asked 0 check --final
    asked_json 0 check --final
    has under_way false
}

under_way_json() {
    local i code
    begin
    for ((i = 0; i < tries; i++)); do
        asked 0 place widget:1
        code=0
        said=$("$saga" check --final --json) || code=$?
        [ $code -ne 75 ] || break
    done
    same 75 $code # most tries find something
    has holds false
    has under_way true
    has violations.0.under_way true
    same 0 "$(($(field 'invariants.*.broken' | paste -sd +)))"
}

# Nobody waits for one that cannot come.
dead() {
    local begun
    begin --order-deadline-ms 600000
    end payment
    asked 0 place widget:1 --no-wait --id o-dead
    asked 1 check --final
    begun=$(date +%s%N)
    asked 1 check --final # whoever is left has done what can be done
    [ $(($(date +%s%N) - begun)) -lt 4000000000 ]
    shows "$said" 'payment-svc is down: '
    shows_no "$said" '^  wait'
    start payment
    all_is_well
}

it 'check --final right after work is 0 or "under way"' in_shop after right_after_work
it 'quiet means saved: check --final holds' in_shop saved quiet_means_saved
it 'what is under way is said as JSON, too' in_shop json under_way_json
it 'under a load that never pauses nothing is broken' in_shop load under_load
it 'a service that is paused makes no progress: broken' in_shop paused paused
it 'a service that is dead: broken at once' in_shop dead dead
