#!/usr/bin/env bash
# run.sh as its users see it: what it starts, refuses, brings back and stops.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

run=$root/run.sh
port=$(nine_ports)
export NO_COLOR=1

# A data directory of its own for each test; stopped whatever happens.
in_directory() { # NAME COMMAND...
    export SAGA_DIR=$work/$1
    trap 'NO_COLOR=1 "$run" stop >/dev/null 2>&1' EXIT
    shift
    "$@"
}

pid_of() { "$saga" pids "$1" 2>/dev/null; }
says() { grep -qE -- "$2" "$1" 2>/dev/null; } # FILE PATTERN
on_hand() {
    "$saga" show "sku:$1" --json | tr -d ' \n' |
        grep -oE '"(received|on_hand|free)":[0-9]+' | head -n 1 | cut -d: -f2
}

demo_ends_well() {
    unset SAGA_DIR
    said=$("$run" demo 2>&1) || {
        echo "$said"
        return 1
    }
    shows "$said" 'the books balance'
    # Its directory is gone by now: nothing is said to be done there.
    if shows "$said" 'export SAGA_DIR|to type next|sockets' >/dev/null; then
        return 1
    fi
}

# Neither what lies in the directory nor what runs there is touched.
demo_takes_room() {
    "$run" -d --bus "tcp://127.0.0.1:$port"
    said=$(SAGA_BUS=tcp://127.0.0.1:$port ends_with 0 "$run" demo 2>&1)
    shows "$said" "^demo: $SAGA_DIR is not empty and is left alone; this is /"
    shows "$said" 'the books balance'
    ends_with 0 "$run" status
    [ "$("$saga" ls --json | grep -c o-declined)" -eq 0 ]
    own=$(sed -n 's/^demo: .*; this is //p' <<<"$said")
    [ ! -e "$own" ]
}

detached_and_back() {
    said=$("$run" -d)
    shows "$said" 'new: 3 products, 300 in stock, 2 accounts'
    shows "$said" "^  logs +$SAGA_DIR/log/\*\.log, sockets $SAGA_DIR/run/ "
    shows "$said" 'What to type next'
    shows "$said" '^    [^ ]*/run.sh scenario 02 +one of twenty accidents '
    shows "$said" '^    [^ ]*/saga learn +the tutorial'
    # 24, with those of packages and build, which $SAGA_BUILD leaves out.
    [ "$(wc -l <<<"$said")" -le 22 ]
    ends_with 0 "$saga" place widget:1 --customer alice --id o-first
    order=$(pid_of order)

    echo 'a second start changes nothing and says whom to stop'
    said=$(ends_with 75 "$run" -d 2>&1)
    shows "$said" "is in use by order-svc \\(pid $order\\); nothing was started"
    said=$(ends_with 75 "$run" 2>&1)
    [ "$(pid_of order)" = "$order" ]
    ends_with 0 "$saga" place widget:1 --customer alice --id o-second
    ends_with 0 "$run" status

    echo 'a killed service comes back'
    payment=$(pid_of payment)
    kill -KILL "$payment"
    within 5 gone "$payment"
    ends_with 0 "$run" restart payment
    ends_with 0 "$saga" place widget:1 --customer alice --id o-third

    echo 'a running one is stopped first'
    inventory=$(pid_of inventory)
    ends_with 0 "$run" restart inventory-svc
    gone "$inventory"
    ends_with 0 "$saga" place widget:1 --customer alice --id o-fourth
    inventory=$(pid_of inventory) payment=$(pid_of payment)

    ends_with 0 "$run" stop >"$work/stopped"
    says "$work/stopped" 'Left undone: nothing'
    gone "$order"
    gone "$inventory"
    gone "$payment"
    ends_with 0 "$run" stop
}

restarted_is_ready() {
    "$run" -d
    kill -STOP "$(pid_of order)" "$(pid_of inventory)" # it hears nobody
    ends_with 0 "$run" restart payment
    said=$("$saga" status payment --json)
    shows "$said" '"state": *"running"'
    kill -CONT "$(pid_of order)" "$(pid_of inventory)"
}

two_are_away() {
    local s
    "$run" -d
    for s in inventory payment; do ends_with 0 "$saga" shutdown $s; done
    said=$(ends_with 75 "$run" 2>&1)
    shows "$said" "in use by order-svc \(pid $(pid_of order)\)"
    shows "$said" 'inventory-svc is not running; start it: .*run.sh restart inventory$'
    shows "$said" 'payment-svc is not running; start it: .*run.sh restart payment$'
    if shows "$said" 'order-svc is not running' >/dev/null; then return 1; fi
    for s in inventory payment; do ends_with 0 "$run" restart $s; done
    ends_with 0 "$saga" place widget:1 --customer alice
}

no_directory() {
    local place
    echo 'a file' >"$work/file"
    ln -s nowhere "$work/dangling"
    for place in file file/deep dangling; do
        said=$(SAGA_DIR=$work/$place ends_with 74 "$run" -d 2>&1)
        [ "$(wc -l <<<"$said")" -eq 2 ] # the error alone, before anything else
        shows "$said" "cannot make the data directory $work/$place: $work/${place%/deep} is not a directory"
        shows "$said" 'use another one:  SAGA_DIR='
    done
}

order_is_away() {
    "$run" -d
    order=$(pid_of order)
    kill -KILL "$order"
    within 5 gone "$order"
    said=$(ends_with 0 "$run" stop)
    shows "$said" 'Left undone: no answer about PENDING, CANCELLING[A-Za-z, ]*\.$'
}

seeded_once() {
    "$run" -d
    "$run" stop
    : >"$SAGA_DIR/seeding" # as a seed leaves it that was interrupted
    "$run" -d
    [ ! -e "$SAGA_DIR/seeding" ]
    [ "$(on_hand widget)" -eq 100 ]
    ends_with 0 "$saga" place gadget:2 --customer alice # of 1000.00
    ends_with 1 "$saga" place gadget:19 --customer alice
}

empty() {
    "$run" -d --empty
    ends_with 1 "$saga" place widget:1 --customer alice
}

elsewhere() {
    mkdir -p "$work/here/deep"
    ln -s "$run" "$work/here/start"
    cd "$work/here/deep"
    SAGA_DIR=relative env -u HOME -u USER ../start -d
    [ -e relative/order/log.db ]
    export SAGA_DIR=$PWD/relative
    ends_with 0 "$saga" place widget:1 --customer alice
    "$run" stop
    # With nothing in the environment at all.
    env -i SAGA_DIR="$SAGA_DIR" SAGA_BUILD="$SAGA_BUILD" ../start -d
    env -i SAGA_DIR="$SAGA_DIR" SAGA_BUILD="$SAGA_BUILD" ../start stop
}

# In the foreground, in a process group of its own as on a terminal.
foreground() {
    env --default-signal=INT setsid "$run" >"$work/screen" 2>&1 &
    within 20 says "$work/screen" 'Ctrl-C stops everything'
}

# A busy machine gets three tries: it may take the time from us, and from the
# services, which are asked for less than a second.
ctrl_c() { # HC53
    local try
    for try in 1 2 3; do
        export SAGA_DIR=$work/ctrl-c-$try
        ctrl_c_once
        if [ $took -le 2000 ] && says "$work/screen" 'Left undone: 1 PENDING'; then
            return
        fi
    done
    return 1
}
ctrl_c_once() {
    foreground
    [ "$(wc -l <"$work/screen")" -le 22 ] # and packages, build: 24
    order=$(pid_of order) payment=$(pid_of payment)
    ends_with 0 "$saga" place widget:1 --customer alice --id o-shown
    within 5 says "$work/screen" 'OrderPlaced.*alice'
    kill -STOP "$payment" # even then
    ends_with 0 "$saga" place widget:1 --customer alice --no-wait
    keeper=$(pid_of keeper)
    begun=${EPOCHREALTIME/./}
    kill -INT "-$keeper"
    within 5 gone "$keeper"
    took=$(((${EPOCHREALTIME/./} - begun) / 1000))
    echo "stopped after $took ms"
    says "$work/screen" 'Left undone: (1 PENDING|no answer about PENDING)'
    gone "$order"
    gone "$payment"
    wait $!
}

paid_not_shipped() {
    "$run" -d
    payment=$(pid_of payment)
    kill -STOP "$payment"
    ends_with 0 "$saga" place widget:1 --id o-paid --no-wait
    within 10 has_status o-paid RESERVED
    ends_with 0 "$saga" shutdown inventory
    kill -CONT "$payment"
    within 10 has_status o-paid CONFIRMED
    said=$(ends_with 0 "$run" stop)
    shows "$said" '^Left undone: 1 CONFIRMED but not shipped\. The next start continues it\.$'
}
has_status() { # ORDER WORD
    "$saga" show "$1" | grep -qE "^  (status|stock) +$2$"
}

closed_output() {
    { "$run" || true; } | head -n 3 # it dies of SIGPIPE, as it should
    within 5 all_unlocked
    # What shows the events may end alone: that is no end of ours.
    "$run" >"$work/out" 2>"$work/err" &
    pid=$!
    within 20 says "$work/out" 'Events .Ctrl-C'
    within 10 kill_follower
    ended=0
    wait "$pid" || ended=$?
    [ $ended -eq 1 ]
    shows "$(cat "$work/err")" 'log --all --follow. has ended; stopping all services'
    shows "$(cat "$work/err")" 'Left undone: nothing'
    all_unlocked
}
kill_follower() { # run.sh's child that is no service
    local child children
    read -ra children <"/proc/$pid/task/$pid/children" || true
    for child in "${children[@]}"; do
        if tr '\0' ' ' <"/proc/$child/cmdline" | grep -q 'log --all --follow'; then
            kill -KILL "$child"
            return
        fi
    done
    return 1
}
all_unlocked() {
    local s
    for s in order inventory payment; do
        flock -n "$SAGA_DIR/$s" true || return 1
    done
}

another_pid() { # SERVICE PID
    local now
    now=$(pid_of "$1") && [ "$now" != "$2" ]
}

brought_back() {
    "$run" -d --restart
    payment=$(pid_of payment)
    kill -KILL "$payment"
    within 10 another_pid payment "$payment"
    ends_with 0 "$saga" place widget:1 --customer alice
    ends_with 0 "$run" restart payment
    # One that cannot live is not restarted, and the others are left in peace.
    payment=$(pid_of payment)
    kill -STOP "$payment"
    head -c 8192 /dev/urandom >"$SAGA_DIR/payment/log.db"
    rm -f "$SAGA_DIR/payment/log.db-wal" "$SAGA_DIR/payment/log.db-shm"
    kill -KILL "$payment"
    within 20 says "$SAGA_DIR/log/keeper.log" \
        'payment-svc died 5 times in 30 s and is not restarted.*log'
    kill -0 "$(pid_of order)"
    said=$(ends_with 69 "$saga" status)
    shows "$said" "^  payment +- +given up, it died 5 times in 30 s: .*\\(start it: SAGA_DIR=$SAGA_DIR \\./run.sh restart payment\\)$"
    said=$(ends_with 75 "$saga" wait --quiet --timeout 3 2>&1)
    shows "$said" 'payment-svc was given up after 5 deaths in 30 s'
    keeper=$(pid_of keeper)
    "$run" stop
    within 10 gone "$keeper"
}

does_not_start() {
    mkdir -p "$SAGA_DIR/payment"
    echo 'this is no database, and it is no log' >"$SAGA_DIR/payment/log.db"
    said=$(ends_with 69 "$run" -d 2>&1)
    shows "$said" 'payment-svc did not start: exit code'
    all_unlocked
}

over_tcp() {
    "$run" -d --bus "tcp://127.0.0.1:$port"
    ends_with 0 "$saga" place widget:1 --customer alice --bus \
        "tcp://127.0.0.1:$port"
    payment=$(pid_of payment)
    "$run" restart payment
    another_pid payment "$payment"
    ends_with 0 env -u SAGA_BUS "$saga" place widget:1 --customer alice
    "$run" stop
}

deadline() {
    "$run" -d --order-deadline-ms 300
    kill -STOP "$(pid_of payment)"
    ends_with 0 "$saga" place widget:1 --customer alice --id o-late --no-wait
    within 10 turned_back
    kill -CONT "$(pid_of payment)"
    ends_with 0 "$saga" wait --quiet
    shows "$("$saga" show o-late)" 'CANCELLED'
}
turned_back() { "$saga" trace o-late | grep -q OrderCancelling; }

usage() {
    ends_with 64 "$run" dance
    ends_with 64 "$run" -d stop
    ends_with 64 "$run" restart
    said=$(ends_with 64 "$run" restart bakery 2>&1)
    shows "$said" "restart takes a service \\(order inventory payment\\), not 'bakery'$"
    local wrong
    for wrong in soon 0 07 +5 ' 5' 5s 0x5 5e3 1.5 604800001 99999999999999999999; do
        ends_with 64 "$run" -d --order-deadline-ms "$wrong"
        ends_with 64 "$SAGA_BUILD/bin/order-svc" --order-deadline-ms "$wrong"
    done
    ends_with 64 "$run" -d --bus
    ends_with 64 "$run" -d --bus tcp://0.0.0.0:4444
    ends_with 64 "$run" -d --bus tcp://127.0.0.1:65527 # nine ports from there
    ends_with 64 env SAGA_BUS=ipc:///tmp "$run" -d
    [ ! -e "$SAGA_DIR" ]
    ends_with 0 "$run" --help
    shows "$("$run" stop)" 'Nothing is running'
}

# The characters around each range that the C code escapes, in one word a range.
around_ranges() {
    local from to code
    while read -r from to; do
        for code in $((from > 1 ? from - 1 : 1)) $((from ? from : 1)) $((to)) \
            $((to < 0x10ffff ? to + 1 : to)); do
            # shellcheck disable=SC2059 # it is one
            printf "\\U$(printf %08x $code)"
        done
        echo
    done < <(sed -n '/^static bool is_formatting/,/^}/p' \
        "$root/libevents/base/text.c" |
        grep -oE '\{0x[0-9a-f]+, [^}]*\}|\{0, [^}]*\}' | tr -d '{},')
}
shown_alike() {
    local word count=0
    while IFS= read -r word; do
        [ "$("$saga" "a$word" 2>&1 | sed "s/.*no verb //; s/ ('.*//")" = \
            "$("$run" "a$word" 2>&1 | sed "s/.*argument '//; s/' ('.*//")" ]
        count=$((count + 1))
    done < <(around_ranges)
    [ $count -ge 20 ]
}
odd=$'\u202eon\e[31m\xff\xc3\u200bK\u00e4se'
odd_shown='\\u202eon\\u001b\[31m\\xff\\xc3\\u200bKäse'
shown_by() { # CODE COMMAND...
    local said
    said=$(ends_with "$1" "${@:2}" 2>&1)
    shows "$said" "'${odd_shown}[ ']"
}
shown_by_scripts() {
    local scripts=$root/scripts
    shown_by 64 "$run" "$odd"
    shown_by 64 "$run" restart "$odd"
    shown_by 66 "$run" scenario "$odd"
    shown_by 64 "$scripts/learn.sh" 1 "$odd"
    shown_by 64 "$scripts/lab.sh" without "inbox,$odd"
    shown_by 64 "$scripts/lab.sh" older "$odd"
    shown_by 64 "$scripts/soak.sh" run 1 "$odd"
    shown_by 64 env prefix="$odd " "$scripts/install.sh" install built a.h
}

it 'what is typed is shown as saga shows it' shown_alike
it 'each script shows what is typed so' shown_by_scripts
it 'the demo ends with 0' demo_ends_well
it 'the demo leaves a directory in use alone and takes a new one' \
    in_directory full demo_takes_room
it 'a restart returns when the service takes commands' \
    in_directory ready restarted_is_ready
it 'a detached start, a refused second one, restarts, and a stop' \
    in_directory life detached_and_back # F07 real
it 'of a shop that runs in part, those that are away are named' \
    in_directory part two_are_away
it 'what can be no data directory is told at once, with its reason' no_directory
it 'what nobody could answer for is not called done' \
    in_directory away order_is_away
it 'an interrupted seed is completed and counts once' \
    in_directory seed seeded_once
it 'an empty start knows no products' in_directory empty empty
it 'it starts from anywhere, through a link, with no environment' \
    in_directory else elsewhere
it 'Ctrl-C stops all within two seconds and says what is left' \
    in_directory ctrl-c ctrl_c # F03 real
it 'what is paid and not shipped is left undone, too' \
    in_directory paid paid_not_shipped
it 'when nobody reads any more, everything stops' \
    in_directory pipe closed_output # F13 real
it 'with --restart the dead come back, the hopeless are given up' \
    in_directory revive brought_back # F05 real
it 'a service that cannot start is shown with the end of its log' \
    in_directory broken does_not_start # F26 real
it 'it also runs over tcp on the loopback address' in_directory tcp over_tcp
it 'orders are cancelled after --order-deadline-ms' \
    in_directory deadline deadline
it 'what makes no sense is refused and starts nothing' \
    in_directory usage usage
