#!/usr/bin/env bash
# run.sh - runs the whole system with one command: installs missing packages,
# builds, seeds a fresh data directory, starts the three services, shows events
# as they happen, and stops everything on Ctrl-C.  `./run.sh --help` lists its
# modes; scripts/demo.sh is `./run.sh demo`.
#
# The keeper is the one run.sh that starts services in a data directory; it
# holds the lock on $SAGA_DIR/keeper.  A running service holds a lock on its own
# directory.  A pid is read from a file and trusted only while the lock is held.
set -euo pipefail

services=(order inventory payment)
came_from=$PWD
root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
export PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export LC_ALL=C.UTF-8

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

SAGA_DIR names the data directory (default: var beside run.sh), SAGA_BUS is
the default of --bus.  With SAGA_BUILD=dir, run.sh does not build but uses the
programs in dir/bin.
Exit codes: 0 success, 64 usage, 69 a package is missing or a service did not
start, 75 the directory is in use; in `demo`, 1 if an invariant is broken.
END
}

fail() { # CODE TEXT [MORE LINES...]
    printf 'run.sh: %s\n' "$2" "${@:3}" | sed '2,$s/^run.sh: /    /' >&2
    exit "$1"
}

# ---- what was asked ---------------------------------------------------------

mode='' subject='' scenario=() seed=yes hints=yes revive=no deadline_ms='' bus=${SAGA_BUS:-}

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
                bus=$2
                shift
                ;;
            -h | --help)
                usage
                exit 0
                ;;
            *) fail 64 "unexpected argument '$1' ('./run.sh --help')" ;;
        esac
        shift
    done
    if [ "$mode" = restart ]; then
        subject=${subject%-svc}
        [[ " ${services[*]} " == *" ${subject:-none} "* ]] ||
            fail 64 "restart takes a service (${services[*]}), not '$subject'"
    fi
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

# How the directory, run.sh and saga are called from where the user stands.
shown() {
    case $1 in
        "$came_from"/*) echo "./${1#"$came_from"/}" ;;
        *) echo "$1" ;;
    esac
}
here=$(shown "$dir") run=$(shown "$root/run.sh")
saga_shown=$(shown "$root/saga")
[ -z "$given_dir" ] || run="SAGA_DIR=$(printf %q "$here") $run"

build=${SAGA_BUILD:-$root/build}
[[ $build == /* ]] || build=$came_from/$build
saga=$build/bin/saga

# ---- saying it --------------------------------------------------------------

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\e[1m' plain=$'\e[m'
fi

# One finished step of the start.  A path may be too long for its column.
step() { # NAME TEXT
    # printf counts bytes, and a "·" has two of them.
    local fill=$((61 > ${#2} ? 61 - ${#2} : 0))
    printf '  %-9s %s%*s %sok%s\n' "$1" "$2" $fill '' "$bold" "$plain"
}
news() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }

# ---- services: locks, starting, stopping ------------------------------------

declare -A pids=() deaths=() revive_at=()

locked() { # FILE OR DIRECTORY: somebody holds a lock on it
    [ -e "$1" ] && ! flock -n "$1" true
}

alive() { # PID: it runs, and is not a zombie that nobody has waited for
    local state
    { read -r _ _ state _ <"/proc/$1/stat"; } 2>/dev/null && [ "$state" != Z ]
}

# The pid of a running service, from the file that it writes behind its lock.
pid_of() { # SERVICE
    local pid
    locked "$dir/$1" || return 1
    read -r pid <"$dir/$1/pid" || return 1
    [[ $pid =~ ^[0-9]+$ ]] && alive "$pid" && echo "$pid"
}

refuse_if_in_use() {
    local s pid
    if locked "$dir/keeper"; then
        # Somebody is starting, or watches over, services: no lock of theirs
        # is touched, since they may be about to take it.
        pid=$(cat "$dir/order/pid" 2>/dev/null || true)
        [ -z "$pid" ] || ! alive "$pid" || in_use_by order-svc "$pid"
        in_use_by run.sh "$(cat "$dir/keeper" 2>/dev/null || true)"
    fi
    local up='' missing=()
    for s in "${services[@]}"; do
        if locked "$dir/$s"; then up=${up:-$s}; else missing+=("$s"); fi
    done
    [ -z "$up" ] || in_use_by "$up-svc" \
        "$(cat "$dir/$up/pid" 2>/dev/null || true)" ${missing[@]+"${missing[@]}"}
}

in_use_by() { # NAME PID [SERVICE THAT DOES NOT RUN...]
    local s missing=()
    for s in "${@:3}"; do
        missing+=("$s-svc is not running; start it:  $run restart $s")
    done
    fail 75 "$here is in use by $1 (pid ${2:-unknown}); nothing was started." \
        ${missing[@]+"${missing[@]}"} \
        "stop it:  $run stop        or use another directory:  SAGA_DIR=/elsewhere ${run##* }"
}

start_service() { # SERVICE
    local options=(--faults)
    [ -z "$bus" ] || options+=(--bus "$bus")
    [ "$1" != order ] || [ -z "$deadline_ms" ] ||
        options+=(--order-deadline-ms "$deadline_ms")
    # Its own session, so that Ctrl-C reaches run.sh alone, which then asks
    # what is left undone before it stops anything.
    setsid "$build/bin/$1-svc" "${options[@]}" 9>&- \
        </dev/null >>"$dir/log/$1.log" 2>&1 &
    pids[$1]=$!
}

# The last line of SERVICE's log that says more than that it has ended.
last_words() {
    grep -v '"message":"ended, ' "$dir/log/$1.log" 2>/dev/null | tail -n 1 |
        sed 's/.*"message":"\(.*\)"}$/\1/' || true
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# Waits until COMMAND succeeds, for at most SECONDS.
within() { # SECONDS COMMAND...
    local until=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$until" ] || return 1
        sleep 0.02
    done
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
all_answer() { "$saga" status >/dev/null 2>&1; }

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
    within 10 all_answer || fail 69 'the read sides do not answer after 10 s:' \
        "$("$saga" status 2>&1)"
}

# Stops SERVICEs within two seconds: first kindly, then not.
stop_services() { # SERVICE...
    local s pid until
    local -A left=()
    for s; do
        # A child of ours is known, even if it does not hold its lock yet.
        pid=${pids[$s]:-}
        [ -n "$pid" ] && alive "$pid" || pid=$(pid_of "$s") || pid=''
        if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
            # A stopped process (SIGSTOP) has to wake to hear of it.
            kill -CONT "$pid" 2>/dev/null || true
            left[$s]=$pid
        fi
    done
    until=$(($(now_ms) + 1000))
    while [ ${#left[@]} -gt 0 ]; do
        for s in "${!left[@]}"; do
            if ! alive "${left[$s]}"; then
                unset "left[$s]"
            elif [ "$(now_ms)" -gt $until ]; then
                printf 'run.sh: %s-svc (pid %s) did not stop, so it was killed. Its log has every event that it acknowledged.\n' \
                    "$s" "${left[$s]}" >&2
                kill -KILL "${left[$s]}" 2>/dev/null || true
                unset "left[$s]"
            fi
        done
        [ ${#left[@]} -eq 0 ] || sleep 0.02
    done
}

# What has not ended yet.  Asked before the services stop, and bounded, since
# one of them may not answer: then we do not know, and say so.
undone() { # SECONDS
    local status fd said count member what known='' unknown=''
    local -A asked=()
    for status in PENDING CANCELLING CONFIRMED parked; do
        local question=(ls --status "$status" --limit 1000)
        [ $status != parked ] || question=(parked)
        exec {fd}< <(timeout "$1" "$saga" "${question[@]}" --json 2>/dev/null)
        asked[$status]=$fd
    done
    for status in PENDING CANCELLING CONFIRMED parked; do
        fd=${asked[$status]}
        said=$(cat <&"$fd")
        exec {fd}<&-
        # Every order has one status, everything parked one reason.  What is
        # confirmed and not shipped is among the newest: inventory-svc reads on
        # in order.
        what=$status
        case $status in
            parked) member='"reason": *"' ;;
            CONFIRMED) member='"stock": *"(NONE|RESERVED)"' what+=' but not shipped' ;;
            *) member='"status": *"' ;;
        esac
        count=$(grep -oE "$member" <<<"$said" | wc -l) || true
        [ $status = CONFIRMED ] || [[ $said != *'"more":true}' ]] ||
            count="more than $count"
        case $said in
            '' | '{"error":'*) unknown+=", $status" ;;
            *) [ "$count" = 0 ] || known+=", $count $what" ;;
        esac
    done
    if [ -z "$known$unknown" ]; then
        echo 'Left undone: nothing.'
        return
    fi
    [ -z "$unknown" ] || unknown="; no answer about ${unknown#, }"
    known="${known#, }"
    case $known in
        '') what='' ;; # whether anything is, nobody says
        *,*' parked') what=" The next start continues it; to retry parked events:  $saga_shown redrive" ;;
        *' parked') what=" To retry parked events:  $saga_shown redrive" ;;
        *) what=' The next start continues it.' ;;
    esac
    known+=$unknown
    echo "Left undone: ${known#; }.$what"
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
    local log begun=$SECONDS files
    log=$(mktemp)
    [ ! -t 1 ] || printf '  %-9s ...\r' build
    if ! make --no-print-directory -C "$root" -j2 all >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        rm -f "$log"
        fail 69 'the build failed; see above'
    fi
    files=$(grep -c '^  cc ' "$log" || true)
    rm -f "$log"
    if [ "$files" -eq 0 ]; then
        step build 'up to date'
    else
        step build "$files files, $((SECONDS - begun)) s"
    fi
}

no_directory() { # WHY
    fail 74 "cannot make the data directory $here: $1" \
        "use another one:  SAGA_DIR=/elsewhere ${run##* }"
}

# An unusable directory is reported at once, not after a build.
check_directory() {
    local above=$dir
    until [ -e "$above" ] || [ -L "$above" ]; do above=$(dirname "$above"); done
    [ -d "$above" ] || no_directory "$(shown "$above") is not a directory"
    [ -w "$above" ] || no_directory "$(shown "$above") cannot be written to"
}

# Takes the directory: from here on a second run.sh is refused.
take_directory() {
    local why
    fresh=no
    umask 077 # what is written from here on is ours alone
    why=$(mkdir -p "$dir/log" "${services[@]/#/$dir/}" 2>&1) ||
        no_directory "${why##*: }"
    exec 9>>"$dir/keeper" || no_directory 'it cannot be written to'
    flock -n 9 || refuse_if_in_use
    echo $$ >"$dir/keeper"
    if [ ! -e "$dir/order/log.db" ]; then
        fresh=yes
        # Stays until the seed is complete: an interrupted one is done again,
        # under the same command ids, so nothing counts twice.
        [ $seed = no ] || : >"$dir/seeding"
    fi
    printf '%s\n' "$bus" "$deadline_ms" >"$dir/options"
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
        said=$(seed_data 2>&1) || fail 69 'seeding failed:' "$said"
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
    echo
    "$saga" status
    [ $hints = yes ] || return 0
    printf '\n  %s:\n' "$1"
    shift
    [ "$dir" = "$came_from/var" ] || printf '    export SAGA_DIR=%q\n' "$dir"
    [ -z "$bus" ] || printf '    export SAGA_BUS=%q\n' "$bus"
    hints "$saga_shown place widget:2 --customer alice" 'an order, and its trace' \
        "$saga_shown place gadget:2 --customer bob" 'an order that is cancelled' \
        "${run##* } scenario 02" 'one of twenty accidents to predict' \
        "$saga_shown learn" 'the tutorial, chapter by chapter' \
        "$saga_shown help" 'everything else' "$@"
}

hints() { # COMMAND WHAT...
    local i width=0 words=("$@")
    for ((i = 0; i < $#; i += 2)); do
        ((${#words[i]} <= width)) || width=${#words[i]}
    done
    printf "    %-${width}s  %s\n" "$@"
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
    local t recent=()
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
    for t in ${deaths[$1]:-}; do
        [ $((SECONDS - t)) -ge 30 ] || recent+=("$t")
    done
    recent+=("$SECONDS")
    deaths[$1]=${recent[*]}
    if [ ${#recent[@]} -ge 5 ]; then
        news "-- $1-svc died 5 times in 30 s and is not restarted. The end of its log:" \
            "$(last_words "$1")"
    else
        revive_at[$1]=$(($(now_ms) + (50 << ${#recent[@]})))
    fi
}

# ---- modes ------------------------------------------------------------------

stopping='' died=no started=no follower='' keeper=''

# Whatever way we leave: nothing that we started stays behind.
clean_up() {
    local code=$?
    trap '' INT TERM HUP EXIT
    set +e
    if [ -n "$follower$keeper" ]; then
        kill ${follower:+"$follower"} ${keeper:+"$keeper"} 2>/dev/null
    fi
    if [ $started = yes ]; then stop_services "${services[@]}"; fi
    exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

prepare() {
    refuse_if_in_use # an error comes first, and alone
    check_directory
    printf '%sPas de trois%s: one saga, three services, no conductor\n\n' \
        "$bold" "$plain"
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
    show_next 'In another terminal'
    trap 'stopping=yes' INT TERM HUP
    printf '\n  Events (Ctrl-C stops everything)\n'
    "$saga" log --all --follow 9>&- &
    follower=$!
    keep "$follower"
    if [ -n "$stopping" ]; then
        # 0.8 s at most here, and 1 in stop_services: two are promised.
        printf '\n%s\n' "$(undone 0.8)"
        kill "$follower" 2>/dev/null || true # else it tells of each that ends
        stop_services "${services[@]}"
        started=no
        echo "Stopped. The data stays in $here."
    elif [ $died = yes ]; then
        exit 1
    elif ! alive "$follower"; then # as when stdout was closed
        echo "run.sh: 'saga log --all --follow' has ended; stopping all services" >&2
        undone 0.8 >&2 || true
        exit 1
    fi
}

run_detached() {
    prepare
    if [ $revive = yes ]; then
        # The keeper inherits our lock on the directory, fd 9.
        setsid "$root/run.sh" keep --restart \
            ${deadline_ms:+--order-deadline-ms "$deadline_ms"} \
            ${bus:+--bus "$bus"} </dev/null >>"$dir/log/keeper.log" 2>&1 &
        keeper=$!
        started=yes
    else
        start_all
    fi
    await_all_up
    prepare_data
    started=no keeper='' # from here on they are on their own
    show_next 'What to type next' "$run stop" 'stop everything'
}

# Behind `-d --restart`: what stays and brings services back.
run_keeper() {
    flock -n 9 || fail 64 "keep is internal to run.sh; use:  ./run.sh -d --restart"
    echo $$ >"$dir/keeper"
    start_all
    trap 'stopping=yes' INT TERM HUP
    keep
}

read_options() {
    [ -e "$dir/options" ] || return 0
    { read -r bus && read -r deadline_ms; } <"$dir/options" || true
    if [ -n "$bus" ]; then export SAGA_BUS=$bus; fi
}

keeper_pid() {
    locked "$dir/keeper" && cat "$dir/keeper"
}

stop_everything() {
    local s running=no pid
    read_options
    for s in "${services[@]}"; do
        if locked "$dir/$s"; then running=yes; fi
    done
    if [ $running = no ] && ! locked "$dir/keeper"; then
        echo "Nothing is running in $here."
        return
    fi
    undone 3
    if pid=$(keeper_pid); then
        kill -TERM "$pid" 2>/dev/null || true
        within 2 unlocked "$dir/keeper" || true
    fi
    stop_services "${services[@]}"
    echo "Stopped. The data stays in $here."
}

unlocked() { ! locked "$1"; }

restart_service() {
    local pid
    read_options
    [ -x "$build/bin/$subject-svc" ] || fail 69 "nothing is built yet; build with:  make"
    [ -e "$dir/options" ] || fail 66 "no shop in $here; start one with:  $run"
    umask 077
    stop_services "$subject"
    within 2 unlocked "$dir/$subject" ||
        fail 75 "another process holds $here/$subject"
    if pid=$(keeper_pid); then
        : >"$dir/$subject/restart"
    else
        start_service "$subject"
    fi
    await_up "$subject"
    echo "$subject-svc is up (pid $(pid_of "$subject"))."
}

show_status() {
    read_options
    [ -x "$saga" ] || fail 69 "nothing is built yet; build with:  make"
    "$saga" status
}

run_demo() {
    # A directory that was asked for has to be empty; otherwise a new one.
    [ -n "$given_dir" ] || unset SAGA_DIR
    exec "$root/scripts/demo.sh" \
        ${deadline_ms:+--order-deadline-ms "$deadline_ms"} \
        ${bus:+--bus "$bus"}
}

# Each has a directory of its own, so nothing of ours is touched.
run_scenario() {
    [ ${#scenario[@]} -gt 0 ] || exec "$root/scripts/scenario.sh" ls
    "$root/scripts/packages.sh" install test
    build_all
    exec "$root/scripts/scenario.sh" run "${scenario[@]}"
}

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
