#!/usr/bin/env bash
# Who runs is who holds the lock: run.sh and saga stop, restart and signal
# that process, whatever a file says; and what they are started with (output
# that cannot be written, names, environment, open files) changes nothing.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

run=$root/run.sh
export NO_COLOR=1
unset SAGA_BUS

# A data directory of its own for each test; stopped whatever happens.
in_directory() { # NAME COMMAND...
    export SAGA_DIR=$work/$1
    trap stop_all EXIT
    shift
    "$@"
}
strangers=()
stop_all() {
    "$run" stop >/dev/null 2>&1
    [ ${#strangers[@]} -eq 0 ] || kill -KILL "${strangers[@]}" 2>/dev/null
}

start() { "$run" -d --no-hints >/dev/null; }
pid_of() { "$saga" pids "$1"; }
gone() { ! "$saga" pids "$1" >/dev/null 2>&1; }
nothing_runs() { [ -z "$("$saga" pids)" ]; }

# A process that has nothing to do with us.
a_stranger() {
    sleep 1000 &
    strangers+=($!)
}
lives() { [ -e "/proc/$1" ] && ! grep -q ') Z ' "/proc/$1/stat"; }

pid_file_is_empty() {
    start
    : >"$SAGA_DIR/order/pid"
    ends_with 0 "$run" stop
    nothing_runs
    flock -n "$SAGA_DIR/order" true
}

pid_file_names_a_stranger() {
    start
    a_stranger
    a_stranger
    echo "${strangers[0]}" >"$SAGA_DIR/order/pid"
    echo "${strangers[1]}" >"$SAGA_DIR/payment/pid"
    payment=$(pid_of payment)
    ends_with 0 "$run" restart payment
    [ "$(pid_of payment)" != "$payment" ]
    echo "${strangers[1]}" >"$SAGA_DIR/payment/pid"
    ends_with 0 timeout 5 "$saga" shutdown payment
    ends_with 69 "$saga" signal payment KILL
    ends_with 0 "$run" stop
    nothing_runs
    lives "${strangers[0]}"
    lives "${strangers[1]}"
}

# A supervisor's number, too, is nothing but a number.
keeper_file_names_a_stranger() {
    "$run" -d --restart --no-hints >/dev/null
    a_stranger
    echo "${strangers[0]}" >"$SAGA_DIR/keeper"
    keeper=$(pid_of keeper)
    ends_with 0 "$run" stop
    nothing_runs
    lives "${strangers[0]}"
    ! lives "$keeper"
}

# What runs outside of a PID namespace is not seen in it.
elsewhere() { unshare --pid --fork --mount-proc "$@"; }
another_namespace() {
    start
    order=$(pid_of order)
    said=$(ends_with 75 elsewhere "$run" stop 2>&1)
    shows "$said" 'order runs, but its process cannot be seen from here'
    said=$(ends_with 75 elsewhere "$run" restart order 2>&1)
    shows "$said" 'order runs, but its process cannot be seen from here'
    shows "$(elsewhere "$saga" pids)" '^order -$'
    ends_with 75 elsewhere "$saga" signal order KILL 2>/dev/null
    [ "$(pid_of order)" = "$order" ]
    ends_with 0 "$saga" status >/dev/null
    # It can be asked, and is seen to have ended.
    ends_with 0 elsewhere timeout 5 "$saga" shutdown order
    gone order
    # From outside, what runs inside is seen.
    ends_with 0 "$run" stop
    elsewhere "$run" -d --no-hints >/dev/null
}

# A service that run.sh did not start: it holds the lock of its directory.
a_fourth() {
    start
    mkdir "$SAGA_DIR/shipping"
    flock -F "$SAGA_DIR/shipping" sleep 1000 &
    fourth=$!
    within 5 pid_of shipping >/dev/null
    [ "$(pid_of shipping)" = $fourth ]
    said=$(ends_with 69 "$run" restart shipping 2>&1)
    shows "$said" 'run.sh did not start shipping-svc'
    lives $fourth
    ends_with 0 "$run" stop
    nothing_runs
    ! lives $fourth
}

# Stopped is stopped, heard or not; the exit code tells.
unheard() {
    start
    ends_with 74 "$run" stop >/dev/full
    nothing_runs
    start
    ends_with 74 "$run" stop >&-
    nothing_runs
    start
    { "$run" stop 2>/dev/null || true; } | true
    within 5 nothing_runs
    ends_with 74 "$run" -d >/dev/full
    ends_with 0 "$saga" status >/dev/null
    order=$(pid_of order)
    ends_with 74 "$run" restart order >&-
    [ "$(pid_of order)" != "$order" ]
    { "$run" restart order || true; } | true
    ends_with 0 "$saga" status >/dev/null
}

# Locks and pipes of the caller end with the caller.
no_files_of_others() {
    (
        exec 8>"$work/lock"
        flock 8
        "$run" -d --restart --no-hints >/dev/null
    )
    flock -n "$work/lock" true
    # To its end, or this waits for ever.
    { "$run" restart order >/dev/null; } 7>&1 | timeout 20 cat
    [ "${PIPESTATUS[1]}" -eq 0 ]
}

# Each name is used, and each printed command can be typed.
names() {
    local name said n=0
    # shellcheck disable=SC2016 # that is a name
    for name in 'R&D ä' 'back\slash' "it's" '-"dash' '*[a]?' '$HOME' '~' '#%s{a,b}!' \
        $'two\nlines' $'tail\n' $'\e[31m\u202e\'\\\xff'; do
        export SAGA_DIR=$work/names/$name
        n=$((n + 1))
        said=$("$run" -d --empty)
        [ -e "$SAGA_DIR/order/log.db" ]
        ends_with 0 "$saga" shutdown payment >/dev/null
        said=$("$run" -d 2>&1) && return 1
        said=$(sed -n 's/.*it:  \(SAGA_DIR=.*\)/\1/p' <<<"$said" | head -n 1)
        shows "$said" 'restart payment$'
        (unset SAGA_DIR && eval "$said") >/dev/null
        ends_with 0 "$saga" status >/dev/null
        said=$("$saga" status bakery 2>&1) || true
        said=$("$run" stop)
        [[ $said != *[$'\e\u202e']* ]]
        said=$("$saga" place widget:1 2>&1) && return 1
        shows "$(tail -n 1 <<<"$said")" "run\.sh'"
        said=${said#*"start it with '"}
        (unset SAGA_DIR && cd "$root" && eval "${said%\'} -d --no-hints") >/dev/null
        ends_with 0 "$saga" status >/dev/null
        ends_with 0 "$run" stop >/dev/null
    done
    # Nothing anywhere else.
    [ "$(find "$work/names" -mindepth 1 -maxdepth 1 -printf x | wc -c)" -eq $n ]
}

after_kill() {
    setsid "$run" --no-hints >"$work/screen" 2>&1 &
    within 20 grep -q 'Ctrl-C stops everything' "$work/screen"
    within 20 follows
    kill -KILL "$(pid_of keeper)"
    within 5 follows_no_more
    ends_with 0 "$run" stop
    nothing_runs
}
follows() { grep -zqsxF -- --follow /proc/[0-9]*/cmdline && [ -n "$(follower)" ]; }
follows_no_more() { [ -z "$(follower)" ]; }
follower() { # those that have our directory in their environment
    local process
    # shellcheck disable=SC2013 # words are lines
    for process in $(grep -zlsxF -- --follow /proc/[0-9]*/cmdline); do
        process=${process%/cmdline}
        ! grep -zqsxF "SAGA_DIR=$SAGA_DIR" "$process/environ" || echo "$process"
    done
}

environment() {
    local settings tmpdir
    mkdir -p "$work/env/order" && cd "$work/env"
    echo 'cd /; set -f; flock() { :; }; exit() { echo no; }' >rc
    settings=(BASH_ENV="$PWD/rc" ENV="$PWD/rc" CDPATH="$PWD" IFS=o0 TMOUT=1
        SHELLOPTS=noglob:posix BASHOPTS=nocasematch:nullglob GLOBIGNORE='*'
        POSIXLY_CORRECT=1 GREP_OPTIONS=-v TERM=dumb LC_ALL=de_DE LANG=tr_TR
        TZ=Asia/Kolkata MAKEFLAGS=-n BUILD=/nonexistent
        'BASH_FUNC_readlink%%=() { echo /; }' 'BASH_FUNC_kill%%=() { :; }')
    for tmpdir in /nonexistent "$PWD/rc" ''; do
        env "${settings[@]}" TMPDIR="$tmpdir" "$run" -d --no-hints >/dev/null
        ends_with 0 "$saga" status >/dev/null
        env "${settings[@]}" TMPDIR="$tmpdir" "$run" restart order >/dev/null
        ends_with 0 env "${settings[@]}" TMPDIR="$tmpdir" "$run" stop >/dev/null
        nothing_runs
    done 2>/dev/null
    cd "$(dirname "$run")"
    sh run.sh -d --no-hints >/dev/null
    ends_with 0 "$saga" status >/dev/null
    ends_with 0 sh ./run.sh stop
    nothing_runs
}

# What is there keeps its mode, and gets nothing where others can write.
not_ours() {
    mkdir -p "$SAGA_DIR/run"
    chmod 1777 "$SAGA_DIR" "$SAGA_DIR/run"
    said=$(ends_with 74 "$run" -d 2>&1)
    shows "$said" "cannot make the data directory $SAGA_DIR: other users can write to it"
    ends_with 74 "$SAGA_BUILD/bin/order-svc" 2>/dev/null
    [ "$(stat -c %a "$SAGA_DIR" "$SAGA_DIR/run" | xargs)" = '1777 1777' ]
    [ "$(ls "$SAGA_DIR")" = run ]
    rmdir "$SAGA_DIR/run"
    chmod 755 "$SAGA_DIR"
    start
    [ "$(stat -c %a "$SAGA_DIR" "$SAGA_DIR/run" | xargs)" = '755 700' ]
}

through_a_link() {
    mkdir "$SAGA_DIR.there"
    ln -s "$SAGA_DIR.there" "$SAGA_DIR"
    start
    ends_with 0 "$saga" place widget:1
    ends_with 0 "$run" restart order
    [ -e "$SAGA_DIR.there/order/log.db" ]
    said=$(SAGA_DIR=$SAGA_DIR.there ends_with 75 "$run" -d 2>&1)
    SAGA_DIR=$SAGA_DIR.there ends_with 0 "$run" stop
    nothing_runs
}

rotated() {
    local s
    "$run" -d --restart --no-hints >/dev/null
    order=$(pid_of order)
    for s in order keeper; do mv "$SAGA_DIR/log/$s.log" "$SAGA_DIR/log/$s.log.1"; done
    for s in HUP USR1 USR2; do ends_with 0 "$saga" signal order $s; done
    ends_with 0 "$saga" signal keeper HUP
    within 5 test -e "$SAGA_DIR/log/order.log"
    within 5 test -e "$SAGA_DIR/log/keeper.log"
    ends_with 0 "$saga" signal payment KILL
    within 5 grep -q 'payment-svc is gone' "$SAGA_DIR/log/keeper.log"
    ends_with 0 "$saga" status order >/dev/null
    [ "$(pid_of order)" = "$order" ]
    ends_with 0 "$run" stop
    grep -q 'ended, exit code 0' "$SAGA_DIR/log/order.log"
}

# Of another user's shop nothing is known: it is not called down.
somebody_elses() {
    start
    chmod 755 "$work"
    mkdir -p "$work/bin"
    cp "$saga" "$work/bin"
    said=$(ends_with 74 as_nobody status 2>&1)
    shows "$said" "^saga: $SAGA_DIR/? is closed to us: it belongs to user $(id -u);"
    chmod 755 "$SAGA_DIR"
    for verb in status pids 'signal order TERM' undone 'shutdown --all --force' \
        'show o-1' 'place widget:1'; do
        # shellcheck disable=SC2086 # words
        said=$(ends_with 74 as_nobody $verb 2>&1)
        shows "$said" "^saga: $SAGA_DIR/order is closed to us: it belongs to user "
    done
    chmod 700 "$work"
    ends_with 0 "$saga" status >/dev/null
}
as_nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups "$work/bin/saga" "$@"
}

# From anywhere, saga looks where run.sh has its shop.
one_default() {
    mkdir -p "$work/repository/docs" "$work/repository/build/bin"
    cp "$saga" "$work/repository/build/bin"
    : >"$work/repository/run.sh"
    chmod +x "$work/repository/run.sh"
    cd "$work/repository/docs"
    unset SAGA_DIR
    said=$(ends_with 66 ../build/bin/saga log order 2>&1)
    shows "$said" "^saga: no shop in $work/repository/var \\(looked there because SAGA_DIR is not set\\); start one with '$work/repository/run.sh'$"
    said=$(ends_with 64 ../build/bin/saga bakery 2>&1)
    shows "$said" "\\('$work/repository/saga --help' lists them\\)"
    cd ..
    said=$(ends_with 66 build/bin/saga log order 2>&1)
    shows "$said" "^saga: no shop in $work/repository/var \\(.*; start one with './run.sh'$"
    mkdir "$work/alone" && cp "$saga" "$work/alone" && cd "$work/alone"
    said=$(ends_with 66 ./saga log order 2>&1)
    shows "$said" "^saga: no shop in $work/alone/var \\("
}

# "nothing" is said of what was seen to the end: here the view cannot be
# written, so it lags behind its log.
stale_view() {
    start
    ends_with 0 "$saga" place widget:1 --id o-1 >/dev/null
    shows "$(ends_with 0 "$saga" undone)" '^Left undone: nothing\.$'
    mkfifo "$work/hold"
    sqlite3 -bail "$SAGA_DIR/order/view.db" >"$work/held" <<END &
.timeout 10000
BEGIN IMMEDIATE;
SELECT 'locked';
.shell cat '$work/hold'
END
    strangers+=($!)
    within 10 grep -q locked "$work/held"
    ends_with 0 "$saga" signal payment STOP
    ends_with 0 "$saga" place widget:1 --id o-2 --no-wait
    said=$(ends_with 75 "$saga" undone --within 500)
    shows "$said" '^Left undone: not known; the order view is [12] events? behind\.$'
    said=$("$saga" undone --within 500 --json) || true
    shows "$said" '"behind": ?[12],"pending": ?0'
    said=$(ends_with 0 "$run" stop)
    shows "$said" '^Left undone: not known; the order view is [12] events? behind\.$'
}

it 'an empty pid file does not keep a service from being stopped' \
    in_directory empty pid_file_is_empty
it 'a stranger whose number is in a pid file is left alone' \
    in_directory stranger pid_file_names_a_stranger
it 'so is one whose number is in the file of the supervisor' \
    in_directory keeper keeper_file_names_a_stranger
if elsewhere true 2>/dev/null; then
    it 'a process of another PID namespace is not taken for another one' \
        in_directory namespace another_namespace
else
    skip 'a process of another PID namespace is not taken for another one' \
        'needs a PID namespace'
fi
it 'every service that runs in the directory is stopped' \
    in_directory fourth a_fourth
it 'what was asked is done when nobody can hear of it' \
    in_directory unheard unheard
it 'services keep no file of those who start them' \
    in_directory files no_files_of_others
it 'a data directory may have any name' in_directory names names
it 'after kill -9 of run.sh nothing follows the events any more' \
    in_directory killed after_kill
it 'a directory of others is refused and keeps its mode' \
    in_directory others not_ours
it 'a data directory may be a symbolic link' in_directory link through_a_link
it 'HUP opens the log files again; USR1 and USR2 do nothing' \
    in_directory rotated rotated
if can_be_another; then
    it "another user's services are not called down" \
        in_directory closed somebody_elses
else
    skip "another user's services are not called down" "$another_needs"
fi
it 'nothing is left undone when all was seen, and not before' \
    in_directory stale stale_view
it 'saga and run.sh have one data directory by default' one_default
it 'the environment changes no command' in_directory environment environment
