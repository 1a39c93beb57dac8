#!/bin/bash -p
# run.sh - runs the whole system with one command: installs missing packages,
# builds, seeds a fresh data directory, starts the three services, shows events
# as they happen, and stops everything on Ctrl-C.  `./run.sh --help` lists its
# modes; scripts/demo.sh is `./run.sh demo`.
#
# The keeper is the one run.sh that starts services in a data directory; it
# holds the lock on $SAGA_DIR/keeper.  A running service holds a lock on its own
# directory.  Who holds a lock runs, and `saga pids`, `saga signal` and `saga
# shutdown --force` find the process by it.  No pid is ever read from a file.
case $- in
    *p*) ;;
    *) exec bash -p -- "$0" "$@" ;; # sh run.sh
esac
set -euo pipefail

services=(order inventory payment)
came_from=$PWD
root=$(readlink -f "${BASH_SOURCE[0]}")
root=${root%/*}
# shellcheck source=scripts/common.sh
. "$root/scripts/common.sh"

usage() {
    cat <<'END'
usage: ./run.sh [MODE] [OPTION...]

  (no mode)         install, build, seed, start, show events until Ctrl-C
  demo              the whole story without a terminal; ends by itself
  scenario N ...    break the shop on purpose, as scenarios/N-*.md describes
  -d                start all services, and return when they are up
  stop              stop all services; say what is left undone
  status            show the health of the services
  restart SERVICE   stop one service if it is running, and start it again

  --no-hints              do not print paths and suggested commands
  --empty                 do not seed a new directory
  --restart               restart a service that dies
  --order-deadline-ms N   cancel an order that has not ended after N ms
  --bus URL               tcp://127.0.0.1:PORT instead of sockets in files
  --web                   show the services in a browser as well, and print
                          the link (docs/page.md); also with -d
  --web-port N            on this port of 127.0.0.1 (any free one)
  --web-read-only         visitors can look, and change nothing
  --web-metrics-open      a Prometheus here needs no token for /metrics

SAGA_DIR names the data directory (default: var beside run.sh), SAGA_BUS is
the default of --bus.  With SAGA_BUILD=dir, run.sh does not build but uses the
programs in dir/bin.
Exit codes: 0 success, 64 usage, 69 a package is missing or a service did not
start, 74 not all could be written or printed, 75 the directory is in use; in
`demo`, 1 if an invariant is broken.
END
}

fail() { # CODE TEXT [MORE LINES...]
    complain 'run.sh: ' "${@:2}"
    exit "$1"
}

fail_with() { # CODE TEXT OUTPUT
    local lines
    mapfile -t lines <<<"$3"
    fail "$1" "$2" "${lines[@]}"
}

# Says it.  What was asked is done whether or not that can be read; then the
# exit code is 74.
told=yes
say() { # TEXT...
    printf '%s\n' "$*" 2>/dev/null || told=no
}

# ---- what was asked ---------------------------------------------------------

mode='' subject='' scenario=() seed=yes hints=yes revive=no deadline_ms=''
bus=${SAGA_BUS:-} bus_option=() web=no web_options=()

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        esac
        case $1 in
            scenario)
                [ -z "$mode" ] || fail 64 "$mode and $1 exclude each other"
                mode=$1
                scenario=("${@:2}")
                return
                ;;
            demo | stop | status | restart | -d | keep)
                [ -z "$mode" ] || fail 64 "$mode and $1 exclude each other"
                mode=$1
                if [ "$mode" = restart ]; then
                    subject=${2:-}
                    shift $(($# > 1))
                fi
                ;;
            --empty) seed=no ;;
            --no-hints) hints=no ;;
            --restart) revive=yes ;;
            --order-deadline-ms)
                [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ && $2 -le 604800000 ]] ||
                    fail 64 "--order-deadline-ms takes milliseconds, 1 to 604800000, not '${2:-}'"
                deadline_ms=$2
                shift
                ;;
            --bus)
                [ -n "${2:-}" ] || fail 64 '--bus takes a URL, tcp://127.0.0.1:PORT'
                bus=$2 bus_option=(--bus "$2")
                shift
                ;;
            --web) web=yes ;;
            --web-port)
                [[ ${2:-} =~ ^[1-9][0-9]{3,4}$ && $2 -ge 1024 && $2 -le 65535 ]] ||
                    fail 64 "--web-port takes a port, 1024 to 65535, not '${2:-}'"
                web=yes web_options+=(--port "$2")
                shift
                ;;
            --web-read-only) web=yes web_options+=(--read-only) ;;
            --web-metrics-open) web=yes web_options+=(--metrics-open) ;;
            -h | --help)
                usage
                exit 0
                ;;
            *) fail 64 "unexpected argument '$1' ('./run.sh --help')" ;;
        esac
        shift
    done
    subject=${subject%-svc}
    case $web$mode in
        yes | yes-d | no*) ;;
        *) fail 64 "$mode and --web exclude each other" ;;
    esac
}
parse "$@"
[[ -z $bus || ($bus =~ ^tcp://(127\.0\.0\.1|localhost):([1-9][0-9]{3,4})$ &&
    ${BASH_REMATCH[2]} -ge 1024 && ${BASH_REMATCH[2]} -le 65526) ]] ||
    fail 64 "--bus takes tcp://127.0.0.1:PORT (nothing on the wire is authenticated), not '$bus'"

given_dir=${SAGA_DIR:-}
dir=${given_dir:-$root/var}
[[ $dir == /* ]] || dir=$came_from/$dir
export SAGA_DIR=$dir
if [ -n "$bus" ]; then export SAGA_BUS=$bus; fi

# How a path is written where the user stands, in $REPLY.
shown() { # PATH
    case $1 in
        "$came_from"/*) REPLY=./${1#"$came_from"/} ;;
        *) REPLY=$1 ;;
    esac
}
shown "$dir"
as_shown "$REPLY"
here=$REPLY
shown "$root/run.sh"
quoted "$REPLY"
run_shown=$REPLY
shown "$root/saga"
quoted "$REPLY"
saga_shown=$REPLY
shown "$dir"
quoted "$REPLY"
set_directory=SAGA_DIR=$REPLY
run=${given_dir:+$set_directory }$run_shown

use_build() { # DIRECTORY
    build=$1
    [[ $build == /* ]] || build=$came_from/$build
    saga=$build/bin/saga
}
use_build "${SAGA_BUILD:-$root/build}"

# ---- saying it --------------------------------------------------------------

bold='' plain=''
if has_colours; then
    bold=$'\e[1m' plain=$'\e[m'
fi

# One finished step of the start.  A path may be too long for its column.
step() { # NAME TEXT
    # printf counts bytes, and a "·" has two of them.
    local fill=$((61 > ${#2} ? 61 - ${#2} : 0))
    say "$(printf '  %-9s %s%*s %sok%s' "$1" "$2" $fill '' "$bold" "$plain")"
}
news() { say "$bold$*$plain"; }

# ---- services: locks, starting, stopping ------------------------------------

declare -A pids=() deaths=() revive_at=()

alive() { # PID: a child of ours that has not ended
    local state parent
    { read -r _ _ state parent _ <"/proc/$1/stat"; } 2>/dev/null &&
        [ "$state" != Z ] && [ "$parent" = $$ ]
}

# "NAME PID" of each service that runs in $dir, and of the keeper; the pid is -
# where it cannot be seen, or nothing is built that could look.
what_runs() {
    local path
    if [ -x "$saga" ]; then
        "$saga" pids
        return
    fi
    for path in "$dir/keeper" "$dir"/*/; do
        path=${path%/}
        [ ! -e "$path" ] || flock -n "$path" true || echo "${path##*/} -"
    done
}

refuse_if_in_use() {
    local name pid said up='' missing=()
    local -A at=()
    said=$(what_runs) || exit
    while read -r name pid; do
        [ -z "$name" ] || at[$name]=${pid/#-/unknown}
    done <<<"$said"
    for name in "${services[@]}"; do
        if [ -n "${at[$name]:-}" ]; then up=${up:-$name}; else missing+=("$name"); fi
    done
    # While somebody starts, or watches over, services, those that are not up
    # may be about to be.
    [ -z "${at[keeper]:-}" ] || missing=()
    if [ -n "$up" ]; then
        in_use_by "$up-svc" "${at[$up]}" ${missing[@]+"${missing[@]}"}
    elif [ -n "${at[keeper]:-}" ]; then
        in_use_by run.sh "${at[keeper]}"
    fi
}

in_use_by() { # NAME PID [SERVICE THAT DOES NOT RUN...]
    local s missing=()
    for s in "${@:3}"; do
        missing+=("$s-svc is not running; start it:  $run restart $s")
    done
    fail 75 "$here is in use by $1 (pid $2); nothing was started." \
        ${missing[@]+"${missing[@]}"} \
        "stop it:  $run stop        or use another directory:  SAGA_DIR=/elsewhere $run_shown"
}

# Becomes COMMAND, without the files that our caller had open: a lock or
# a pipe of theirs would live as long as a service.  File $keep stays.
alone() { # COMMAND...
    local fd
    for fd in "/proc/$BASHPID/fd"/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || [ "$fd" = "${keep:-}" ] || exec {fd}>&-
    done
    exec "$@"
}

start_service() { # SERVICE
    local options=(--faults)
    [ -z "$bus" ] || options+=(--bus "$bus")
    [ "$1" != order ] || [ -z "$deadline_ms" ] ||
        options+=(--order-deadline-ms "$deadline_ms")
    rm -f "$dir/$1/given-up"
    # Its own session, so that Ctrl-C reaches run.sh alone, which then asks
    # what is left undone before it stops anything.
    alone setsid "$build/bin/$1-svc" "${options[@]}" \
        </dev/null >>"$dir/log/$1.log" 2>&1 &
    pids[$1]=$!
}

# Starts saga-web, whose standard output says one thing, the link.  COMMAND
# becomes it: in the foreground it ends with us, whatever ends us.
start_web() { # [COMMAND...]
    local said link=''
    exec {said}< <(alone setsid "$@" "$build/bin/saga-web" \
        ${web_options[@]+"${web_options[@]}"} </dev/null 2>>"$dir/log/web.log")
    page=$!
    IFS= read -r -t 10 link <&"$said" ||
        fail 69 'saga-web did not start. The end of its log:' \
            "$(tail -n 1 "$dir/log/web.log")"
    exec {said}<&-
    step page "$link"
}

# ---- services that are not ours: which program runs as one ------------------

# What a service runs is seen on its process, while it holds its lock, and
# recorded in $dir/programs/SERVICE, with the directory that this is about: a
# copy of it, such as a backup, names no program to us.  Nothing that a service
# says about itself, or leaves in its directory, is ever run.
directory_id() { stat -c %d:%i "$dir"; }

record_program() { # SERVICE
    local pid program words file=$dir/programs/$1
    "$saga" status "$1" >/dev/null 2>&1 || return 0 # it is no service
    pid=$("$saga" pids "$1" 2>/dev/null) || return 0
    program=$(readlink "/proc/$pid/exe") || return 0
    program=${program% (deleted)} # built anew since
    mapfile -d '' -t words <"/proc/$pid/cmdline" || return 0
    # It held the lock before, and does so now: it was this process.
    [ "$("$saga" pids "$1" 2>/dev/null)" = "$pid" ] || return 0
    mkdir -p "$dir/programs"
    printf '%s\0' "$(directory_id)" "$program" "${words[@]:1}" >"$file.new"
    mv "$file.new" "$file"
}

record_others() { # WHAT RUNS
    local name
    while read -r name _; do
        [[ -z $name || " keeper ${services[*]} " == *" $name "* ]] ||
            record_program "$name"
    done <<<"$1"
}

# The words to start SERVICE with, in $program.
read_program() { # SERVICE
    local file=$dir/programs/$1
    program=()
    [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*$ && -f $file && ! -L $file && -O $file ]] ||
        return
    mapfile -d '' -t program <"$file"
    [ "${program[0]}" = "$(directory_id)" ] || return
    program=("${program[@]:1}")
    [ -x "${program[0]}" ]
}

start_other() { # SERVICE, whose words are in $program
    # A relative --dir was meant from elsewhere; the last one counts.
    [[ "${program[*]: -2}" == "--dir $dir" ]] || program+=(--dir "$dir")
    alone setsid "${program[@]}" \
        </dev/null >>"$dir/log/$1.log" 2>&1 &
    pids[$1]=$!
}

# The last line of SERVICE's log that says more than that it has ended.
last_words() {
    grep -v '"message":"ended, ' "$dir/log/$1.log" 2>/dev/null | tail -n 1 |
        sed 's/.*"message":"\(.*\)"}$/\1/' || true
}

# SERVICE takes commands and answers queries; fails for good if it has died.
answers() { # SERVICE
    if [ -n "${pids[$1]:-}" ] && ! alive "${pids[$1]}"; then
        how_ended "$1"
        fail 69 "$1-svc did not start: $how. The end of its log, $here/log/$1.log:" \
            "$(last_words "$1")"
    fi
    "$saga" status "$1" >/dev/null 2>&1
}
all_answer() { # those that we start; another service may be down
    local s
    for s in "${services[@]}"; do "$saga" status "$s" >/dev/null 2>&1 || return; done
}

how_ended() { # SERVICE, a child of ours that is gone; sets $how
    local code=0
    wait "${pids[$1]}" 2>/dev/null || code=$?
    how="exit code $code"
    [ $code -le 128 ] || how="killed by SIG$(kill -l $((code - 128)))"
}

await_up() { # SERVICE...
    local s
    for s; do
        within 10 answers "$s" ||
            fail 69 "$s-svc does not answer after 10 s; see $here/log/$s.log"
    done
}
await_all_up() {
    await_up "${services[@]}"
    within 10 all_answer || fail_with 69 'the read sides do not answer after 10 s:' \
        "$("$saga" status 2>&1)"
}

# Stops the services that we started within two seconds: first kindly, then not.
stop_services() {
    local s ours=()
    for s in "${!pids[@]}"; do
        if alive "${pids[$s]}"; then # it may not hold its lock yet
            kill -TERM "${pids[$s]}"
            ours+=("$s")
        fi
    done
    [ ${#ours[@]} -gt 0 ] || return 0
    "$saga" shutdown --force "${ours[@]}" >/dev/null || true
    for s in "${ours[@]}"; do
        if alive "${pids[$s]}"; then kill -KILL "${pids[$s]}"; fi
    done
}

# Says what has not ended yet.  Asked before the services stop.
tell_undone() { # MILLISECONDS
    "$saga" undone --within "$1" || [ $? -ne 74 ] || told=no
}

# ---- the steps of a start ---------------------------------------------------

install_packages() {
    "$root/scripts/packages.sh" install build
    step packages "$(awk '
        /define NNG_(MAJOR|MINOR|PATCH)_VERSION/ { nng = nng dot $3; dot = "." }
        /define SQLITE_VERSION / { gsub(/"/, "", $3); sqlite = $3; nextfile }
        /define MSGPACK_VERSION_(MAJOR|MINOR|REVISION)/ {
            msgpack = msgpack point $3; point = "." }
        END { print "nng " nng " · sqlite " sqlite " · msgpack " msgpack }' \
        /usr/include/nng/nng.h /usr/include/sqlite3.h \
        /usr/include/msgpack/version_master.h 2>/dev/null)"
}

build_all() {
    local log begun files
    begun=$(now_ms)
    [ ! -t 1 ] || printf '  %-9s ...\r' build
    log=$(make --no-print-directory -C "$root" -j2 BUILD=build SANITIZE= V= all \
        2>&1) || {
        tail -n 25 <<<"$log" >&2
        fail 69 'the build failed; see above'
    }
    files=$(grep -c '^  cc ' <<<"$log" || true)
    if [ "$files" -eq 0 ]; then
        step build 'up to date'
    else
        step build "$files files, $((($(now_ms) - begun) / 1000)) s"
    fi
}

no_directory() { # WHY
    fail 74 "cannot make the data directory $here: $1" \
        "use another one:  SAGA_DIR=/elsewhere $run_shown"
}

# An unusable directory is reported at once, not after a build.
check_directory() {
    local above=$dir
    until [ -e "$above" ] || [ -L "$above" ]; do above=${above%/*}; done
    above=${above:-/}
    shown "$above"
    [ -d "$above" ] || no_directory "$REPLY is not a directory"
    [ -w "$above" ] || no_directory "$REPLY cannot be written to"
    [ -d "$dir" ] || return 0
    [ -O "$dir" ] || no_directory 'it belongs to another user'
    # Nor is it closed to them: it may be /tmp, or what they share.
    [ -z "$(find -H "$dir" -maxdepth 0 -perm /022)" ] ||
        no_directory 'other users can write to it'
}

# Takes the directory: from here on a second run.sh is refused.
take_directory() {
    local why s
    fresh=no
    umask 077 # what is written from here on is ours alone
    for s in log "${services[@]}"; do
        why=$(mkdir -p "$dir/$s" 2>&1) || no_directory "${why##*: }"
    done
    exec 9>>"$dir/keeper" || no_directory 'it cannot be written to'
    flock -n 9 || refuse_if_in_use
    if [ ! -e "$dir/order/log.db" ]; then
        fresh=yes
        # Stays until the seed is complete: an interrupted one is done again,
        # under the same command ids, so nothing counts twice.
        [ $seed = no ] || : >"$dir/seeding"
    fi
    printf '%s\n' "$bus" "$deadline_ms" "$build" >"$dir/options"
}

# Each service's share at the same time as the others'.
seed_data() {
    local jobs=() job code=0
    seed product widget 19.90 gadget 49.00 gizmo 5.00 &
    jobs+=($!)
    seed stock widget 100 gadget 100 gizmo 100 &
    jobs+=($!)
    seed fund alice 1000.00 bob 20.00 &
    jobs+=($!)
    for job in "${jobs[@]}"; do wait "$job" || code=$?; done
    return $code
}
seed() { # VERB NAME AMOUNT ...
    local verb=$1
    shift
    while [ $# -gt 0 ]; do
        "$saga" "$verb" "$1" "$2" --id "seed-$verb-$1" || return
        shift 2
    done
}

prepare_data() {
    if [ -e "$dir/seeding" ] && [ $seed = yes ]; then
        local said
        said=$(seed_data 2>&1) || fail_with 69 'seeding failed:' "$said"
        rm "$dir/seeding"
        step data "$here (new: 3 products, 300 in stock, 2 accounts)"
    elif [ $fresh = yes ]; then
        step data "$here (new and empty)"
    else
        step data "$here (existing)"
    fi
    [ $hints = no ] || step logs "$here/log/*.log, sockets ${bus:-$here/run/}"
    # So that the table below shows three that know each other.
    timeout 5 "$saga" wait --quiet >/dev/null 2>&1 || true
}

show_next() { # WHERE MORE HINTS...
    say
    say "$("$saga" status)"
    [ $hints = yes ] || return 0
    say
    say "  $1:"
    shift
    if [ "$dir" != "$came_from/var" ]; then
        quoted "$dir"
        say "    export SAGA_DIR=$REPLY"
    fi
    if [ -n "$bus" ]; then
        quoted "$bus"
        say "    export SAGA_BUS=$REPLY"
    fi
    hints "$saga_shown place widget:2 --customer alice" 'an order, and its trace' \
        "$saga_shown place gadget:2 --customer bob" 'an order that is cancelled' \
        "$run_shown scenario 02" 'one of twenty accidents to predict' \
        "$saga_shown learn" 'the tutorial, chapter by chapter' \
        "$saga_shown help" 'everything else' "$@"
}

hints() { # COMMAND WHAT...
    local i width=0 words=("$@")
    for ((i = 0; i < $#; i += 2)); do
        ((${#words[i]} <= width)) || width=${#words[i]}
    done
    say "$(printf "    %-${width}s  %s\n" "$@")"
}

# ---- the keeper's loop ------------------------------------------------------

# Starts and watches the services until all have ended on purpose, or it is
# told to stop.
keep() { # nothing, or the pid of a child whose end ends us, too
    local s all_gone companion=${1:-}
    while [ -z "$stopping" ]; do
        all_gone=yes
        for s in "${services[@]}"; do
            look_after "$s"
            [ -z "${pids[$s]:-}${revive_at[$s]:-}" ] || all_gone=no
        done
        [ $all_gone = no ] || break
        if [ -n "$companion" ] && ! alive "$companion"; then
            break
        fi
        sleep 0.1 || true # Ctrl-C ends it early
    done
} 2>/dev/null # bash would tell of every killed child; we do, in on_end

look_after() { # SERVICE
    if [ -e "$dir/$1/restart" ]; then # ./run.sh restart asks for it
        rm -f "$dir/$1/restart"
        revive_at[$1]=0
    fi
    if [ -n "${pids[$1]:-}" ] && ! alive "${pids[$1]}"; then
        how_ended "$1"
        on_end "$1"
    fi
    if [ -z "${pids[$1]:-}" ] && [ -n "${revive_at[$1]:-}" ] &&
        [ "$(now_ms)" -ge "${revive_at[$1]}" ]; then
        unset "revive_at[$1]"
        start_service "$1"
        news "-- $1-svc starts again (pid ${pids[$1]})"
    fi
}

on_end() { # SERVICE, which ended as $how says
    local t now recent=()
    unset "pids[$1]"
    if [ "$how" = 'exit code 0' ]; then
        news "-- $1-svc has stopped, as requested"
        return
    fi
    news "-- $1-svc is gone: $how"
    died=yes
    if [ $revive = no ]; then
        news "   start it again:  $run restart $1"
        return
    fi
    now=$(now_ms)
    for t in ${deaths[$1]:-}; do
        [ $((now - t)) -ge 30000 ] || recent+=("$t")
    done
    recent+=("$now")
    deaths[$1]=${recent[*]}
    if [ ${#recent[@]} -ge 5 ]; then
        last_words "$1" >"$dir/$1/given-up" || true # for `saga status`
        news "-- $1-svc died 5 times in 30 s and is not restarted. The end of its log:" \
            "$(last_words "$1")"
        news "   start it again:  $run restart $1"
    else
        revive_at[$1]=$((now + (50 << ${#recent[@]})))
    fi
}

# ---- modes ------------------------------------------------------------------

stopping='' died=no started=no follower='' keeper='' page=''

# Whatever way we leave: nothing that we started stays behind.
clean_up() {
    local code=$? child
    trap '' INT TERM HUP EXIT
    set +e
    for child in $follower $keeper $page; do
        if alive "$child"; then kill "$child"; fi
    done
    if [ $started = yes ]; then stop_services; fi
    if [ $told = no ]; then
        echo 'run.sh: standard output cannot be written; what was asked is done' >&2
        [ $code -ne 0 ] || code=74
    fi
    exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

prepare() {
    refuse_if_in_use # an error comes first, and alone
    check_directory
    say "${bold}Pas de trois$plain: one saga, three services, no conductor"
    say
    if [ -z "${SAGA_BUILD:-}" ]; then
        install_packages
        build_all
    fi
    take_directory
}

start_all() {
    local s
    started=yes
    for s in "${services[@]}"; do
        rm -f "$dir/$s/restart"
        start_service "$s"
    done
}

run_in_foreground() {
    prepare
    start_all
    await_all_up
    prepare_data
    [ $web = no ] || start_web setpriv --pdeathsig TERM
    show_next 'In another terminal'
    trap 'stopping=yes' INT TERM HUP
    say
    say '  Events (Ctrl-C stops everything)'
    setpriv --pdeathsig TERM "$saga" log --all --follow 9>&- &
    follower=$!
    keep "$follower"
    if [ -n "$stopping" ]; then
        # 0.8 s at most here, and 1 in stop_services: two are promised.
        say
        tell_undone 800
        kill "$follower" 2>/dev/null || true # else it tells of each that ends
        stop_services
        started=no
        say "Stopped. The data stays in $here."
    elif [ $died = yes ]; then
        exit 1
    elif ! alive "$follower"; then # as when stdout was closed
        echo "run.sh: 'saga log --all --follow' has ended; stopping all services" >&2
        tell_undone 800 >&2
        exit 1
    fi
}

run_detached() {
    prepare
    if [ $revive = yes ]; then
        # The keeper inherits our lock on the directory, fd 9.
        keep=9 alone setsid "$root/run.sh" keep --restart \
            ${deadline_ms:+--order-deadline-ms "$deadline_ms"} \
            ${bus:+--bus "$bus"} </dev/null >>"$dir/log/keeper.log" 2>&1 &
        keeper=$!
        started=yes
    else
        start_all
    fi
    await_all_up
    prepare_data
    [ $web = no ] || start_web
    started=no keeper='' page='' # from here on they are on their own
    show_next 'What to type next' "$run stop" 'stop everything'
}

# Behind `-d --restart`: what stays and brings services back.
run_keeper() {
    flock -n 9 || fail 64 "keep is internal to run.sh; use:  ./run.sh -d --restart"
    start_all
    trap 'stopping=yes' INT TERM
    trap 'exec >>"$dir/log/keeper.log" 2>&1' HUP # a log that was moved away
    keep
}

# What the start wrote down, except for what we were told now.
read_options() {
    local recorded=''
    if [ -e "$dir/options" ]; then
        { read -r bus && read -r deadline_ms && IFS= read -rd '' recorded; } \
            <"$dir/options" || true
    fi
    recorded=${recorded%$'\n'}
    if [ -n "$bus" ]; then export SAGA_BUS=$bus; fi
    if [ -z "${SAGA_BUILD:-}" ] && [ -x "$recorded/bin/saga" ]; then
        use_build "$recorded"
    fi
}

stop_everything() {
    local running
    read_options
    if [ ! -x "$saga" ] && [ -z "${SAGA_BUILD:-}" ]; then build_all; fi
    [ -x "$saga" ] || fail 69 "no $saga; build with:  make"
    running=$(what_runs) || exit
    if [ -z "$running" ]; then
        say "Nothing is running in $here."
        return
    fi
    umask 077
    record_others "$running"
    tell_undone 3000
    # What could not be ended is told there.
    "$saga" shutdown --all --force >/dev/null || exit 75
    say "Stopped. The data stays in $here."
}

# Is one of ours, or says why it cannot be restarted.
check_subject() {
    local s running
    for s in "${services[@]}"; do
        [ "$s" != "$subject" ] || return 0
    done
    running=$(what_runs)
    record_others "$running"
    ! read_program "$subject" || return 0
    [ -z "$subject" ] || ! grep -q "^$subject " <<<"$running" ||
        fail 69 "run.sh did not start $subject-svc and cannot start it again" \
            "stop it:  ${given_dir:+$set_directory }$saga_shown shutdown --force $subject"
    [[ $subject != [A-Za-z0-9]* || $subject == */* || ! -e $dir/$subject/log.db ]] ||
        fail 66 "run.sh has never seen $subject-svc run in $here and knows no program for it" \
            "start it yourself, then run.sh can restart it:  $set_directory PROGRAM"
    fail 64 "restart takes a service (${services[*]}), not '$subject'"
}

restart_service() {
    local running program=()
    read_options
    umask 077
    check_subject
    [ -x "${program[0]:-$build/bin/$subject-svc}" ] ||
        fail 69 "nothing is built yet; build with:  make"
    [ -e "$dir/options" ] || fail 66 "no shop in $here; start one with:  $run"
    "$saga" shutdown --force "$subject" >/dev/null || exit 75
    running=$(what_runs) || exit
    if [ ${#program[@]} -gt 0 ]; then
        start_other "$subject"
    elif [[ $'\n'$running == *$'\nkeeper '* ]]; then
        : >"$dir/$subject/restart"
    else
        start_service "$subject"
    fi
    await_up "$subject"
    say "$subject-svc is up (pid $("$saga" pids "$subject"))."
}

show_status() {
    read_options
    [ -x "$saga" ] || fail 69 "nothing is built yet; build with:  make"
    "$saga" status
}

run_demo() {
    # An empty directory that was asked for is used; otherwise a new one.
    [ -n "$given_dir" ] || unset SAGA_DIR
    exec "$root/scripts/demo.sh" \
        ${deadline_ms:+--order-deadline-ms "$deadline_ms"} \
        ${bus_option[@]+"${bus_option[@]}"}
}

# Each has a directory of its own, so nothing of ours is touched.
run_scenario() {
    [ ${#scenario[@]} -gt 0 ] || exec "$root/scripts/scenario.sh" ls
    "$root/scripts/packages.sh" install test
    build_all
    exec "$root/scripts/scenario.sh" run "${scenario[@]}"
}

case $mode in
    -d | stop | restart) trap '' PIPE ;; # they do their work unheard
esac
case $mode in
    '') run_in_foreground ;;
    scenario) run_scenario ;;
    -d) run_detached ;;
    demo) run_demo ;;
    keep) run_keeper ;;
    stop) stop_everything ;;
    status) show_status ;;
    restart) restart_service ;;
esac
