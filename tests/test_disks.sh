#!/usr/bin/env bash
# Three real processes in bad surroundings: full, slow, failing and locked
# disks, files that are damaged, deleted or another program's, a full standard
# error, few file descriptors.  Unless a test ends them, everything is done and
# nothing broken at its end.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

# ---- full -------------------------------------------------------------------

full_disk() { # HC50
    mount -t tmpfs -o size=6m,mode=700 saga-test "$SAGA_DIR"
    trap 'end_processes; umount -l "$SAGA_DIR"' EXIT
    start_all
    stock_up
    # Compensations under way when the room ends.
    kill -STOP "${pids[payment]}"
    asked 0 place gizmo:1 --id turning --no-wait
    within 30 has_event inventory StockReserved turning
    asked 0 cancel turning
    fill
    kill -CONT "${pids[payment]}"
    asked 75 place gizmo:1 --timeout 2 --id unrecorded
    shows "$said" 'storage full, nothing recorded'
    within 30 says_state 'order: storage full'
    asked 0 log order --limit 1 # reading goes on
    asked 0 status
    ! has_event order OrderPlaced unrecorded || return 1
    echo 'it goes on by itself when there is room again'
    rm "$SAGA_DIR/ballast"
    within 60 all_record
    asked 0 wait turning
    asked 0 place gizmo:1 --id unrecorded
    for _ in 1 2 3; do # and with load
        fill
        asked 75 place gizmo:1 --count 100 --timeout 1 --no-wait
        rm "$SAGA_DIR/ballast"
        within 60 all_record
    done
    all_is_well
}
full_start() { # HC50
    local s
    mount -t tmpfs -o size=6m,mode=700 saga-test "$SAGA_DIR"
    trap 'end_processes; umount -l "$SAGA_DIR"' EXIT
    start_all
    stock_up
    asked 0 place gizmo:1
    end_all KILL
    rm -f "$SAGA_DIR"/*/*-shm
    fill
    for s in "${services[@]}"; do start "$s"; done
    for s in "${services[@]}"; do within 30 logged "$s" 'waiting: .*full'; done
    rm "$SAGA_DIR/ballast"
    all_up
    all_is_well
}
# What is full in another way than by the disk's size.  Not even the first page
# of a WAL fits, so that a checkpoint, which starts it anew, makes no room.
quota() { # HC50
    start_all
    stock_up
    prlimit --pid "${pids[order]}" --fsize=4096:
    asked_any place gizmo:1 --count 100 --timeout 1 --no-wait
    within 30 says_state 'order: storage full'
    asked 0 log order --limit 1
    prlimit --pid "${pids[order]}" --fsize=unlimited:
    within 60 all_record
    all_is_well
}
fill() {
    dd if=/dev/zero of="$SAGA_DIR/ballast" bs=4096 2>/dev/null || true
    [ "$(df --output=avail "$SAGA_DIR" | tail -n 1)" -eq 0 ]
}
says_state() { "$saga" status 2>/dev/null | grep -q "! $1"; }
all_record() {
    "$saga" stock gizmo 1 >/dev/null 2>&1 && "$saga" fund bob 1 >/dev/null 2>&1 &&
        "$saga" product gizmo 5 >/dev/null 2>&1 &&
        ! "$saga" status | grep -q 'storage full'
}

# ---- locked -----------------------------------------------------------------

locked() { # HC54
    local s
    start_all
    stock_up
    begin_load
    for s in "${services[@]}"; do
        lock_database "$s"
        within 30 says_state "$s: database locked"
        within 60 says_locked "$s"
        unlock_database
        load_flows 20
    done
    all_healed
}
# A command to SERVICE; on a busy machine it may hear nothing in time.
says_locked() { # SERVICE
    case $1 in
        order) asked 75 place gizmo:1 --no-wait --timeout 1 ;;
        inventory) asked 75 stock gizmo 1 ;;
        payment) asked 75 fund bob 1 ;;
    esac && grep -q locked <<<"$said"
}
locked_at_start() { # HC54
    local waits
    start_all
    stock_up
    end payment KILL
    lock_database payment
    start payment
    within 30 logged payment 'waiting: .*locked.*held by pid'
    within 60 has_waited 2 # it was given up after five seconds once
    kill -0 "${pids[payment]}"
    unlock_database
    all_up
    lock_database payment
    end payment KILL
    waits=$(grep -c 'waiting: .*locked' "$SAGA_DIR/payment.log")
    start payment
    within 30 has_waited $((waits + 1))
    end payment TERM # and stops when it is told to
    same 0 "$ended"
    unlock_database
    start payment
    all_up
    all_is_well
}
has_waited() { # TIMES, in all its lives
    [ "$(grep -c 'waiting: .*locked' "$SAGA_DIR/payment.log")" -ge "$1" ]
}
long_reader() { # HC54
    start_all
    stock_up
    asked 0 place gizmo:1
    read_for_long payment
    asked 0 place gizmo:1 --count 20
    end payment KILL
    start payment
    all_up
    asked 0 place gizmo:1 --count 20
    end payment KILL
    end_reading
    start payment
    all_up
    all_is_well
}
# A snapshot of a service's log that somebody forgot.
read_for_long() { # SERVICE
    mkfifo "$SAGA_DIR/read-on"
    sqlite3 -bail "$SAGA_DIR/$1/log.db" >"$SAGA_DIR/reading" <<END &
BEGIN;
SELECT 'reading', count(*) FROM event;
.shell cat '$SAGA_DIR/read-on'
END
    reader=$!
    others+=("$reader")
    within 30 grep -q reading "$SAGA_DIR/reading"
}
end_reading() {
    : >"$SAGA_DIR/read-on"
    wait "$reader"
}

# ---- failing and slow -------------------------------------------------------

io_errors() { # HC51
    local s call
    start_all
    stock_up
    begin_load
    for s in "${services[@]}"; do
        for call in fdatasync pwrite64; do
            load_flows 5
            strace -f -qq -o /dev/null -e trace=$call \
                -e inject=$call:error=EIO:when=2+ -p "${pids[$s]}" &
            others+=($!)
            ends "$s"
            same 74 "$ended"
            within 30 gone "${others[-1]}"
            start "$s"
            all_up
        done
    done
    logged order 'exiting at once'
    all_healed
}
slow_disk() {
    start_all
    stock_up
    begin_load
    strace -f -qq -o /dev/null -e trace=fdatasync \
        -e inject=fdatasync:delay_enter=300000 -p "${pids[payment]}" &
    tracer=$!
    others+=("$tracer")
    load_flows 40
    kill -TERM "$tracer"
    within 30 gone "$tracer"
    all_healed
}
can_trace() {
    command -v strace >/dev/null &&
        strace -f -qq -o /dev/null -e trace=fdatasync \
            -e inject=fdatasync:error=EIO:when=1 true 2>/dev/null
}

# ---- other files ------------------------------------------------------------

newer_database() {
    local log=$SAGA_DIR/payment/log.db had
    start_all
    end_all TERM
    had=$(sqlite3 "$log" "SELECT value FROM meta WHERE key = 'schema'")
    sqlite3 "$log" "UPDATE meta SET value = 99 WHERE key = 'schema'"
    start payment
    ends payment
    same 65 "$ended"
    logged payment "99.*$had|$had.*99"
    sqlite3 "$log" "UPDATE meta SET value = $had WHERE key = 'schema'"
    echo "another service's log is no log of its own"
    cp "$log" "$SAGA_DIR/kept"
    cp "$SAGA_DIR/order/log.db" "$log"
    start payment
    ends payment
    same 65 "$ended"
    cp "$SAGA_DIR/kept" "$log"
    start_all
    stock_up
    asked 0 place widget:1
    all_is_well
}
deleted_log() {
    start_all
    stock_up
    asked 0 place widget:1
    rm "$SAGA_DIR/payment/log.db"
    ends payment
    same 74 "$ended"
    logged payment 'payment/log.db was deleted or replaced'
    kill -0 "${pids[order]}"
    asked 0 place widget:1 --no-wait
}
# Nothing that was acknowledged is lost with the files beside a log.
deleted_beside_log() {
    local s ending
    start_all
    stock_up
    begin_load
    for s in "${services[@]}"; do
        for ending in wal shm; do
            load_flows 20
            rm "$SAGA_DIR/$s/log.db-$ending"
            ends "$s"
            same 74 "$ended"
            logged "$s" "log.db-$ending was deleted or replaced; all that was recorded"
            start "$s"
            all_up
        done
    done
    load_flows 20
    mv "$SAGA_DIR/order/log.db-wal" "$SAGA_DIR/elsewhere"
    ends order
    same 74 "$ended"
    start order
    all_up
    all_healed
}
deleted_sockets() { # what can be made again is
    local s
    start_all
    stock_up
    rm -r "$SAGA_DIR/run"
    within 60 places_again
    rm "$SAGA_DIR"/run/*.cmd "$SAGA_DIR/run/order.qry"
    within 60 places_again
    rm "$SAGA_DIR"/run/*.lock
    for s in "${services[@]}"; do kill -0 "${pids[$s]}"; done
    within 30 locks_are_held
    all_is_well
}
locks_are_held() { # as they were before
    local s
    for s in "${services[@]}"; do
        ! flock -n "$SAGA_DIR/run/$s.lock" true || return 1
    done
}
places_again() { "$saga" place gizmo:1 --timeout 5 >/dev/null 2>&1; }
deleted_views() {
    local s what before
    start_all
    stock_up
    asked 0 place gizmo:1 --count 20
    for what in '' -wal -shm; do
        for s in "${services[@]}"; do
            before=$(readlink -f "$SAGA_DIR/$s/view.db")
            rm "$before$what"
            within 30 is_another_view "$s" "$before"
        done
        asked 0 show sku:gizmo
        all_is_well
    done
    before=$(readlink -f "$SAGA_DIR/order/view.db")
    rm "$SAGA_DIR/order/view.db"
    within 30 is_another_view order "$before"
    before=$(readlink -f "$SAGA_DIR/order/view.db")
    rm "$before"
    asked 0 rebuild order # joins what has begun by itself, or comes before it
    for s in "${services[@]}"; do kill -0 "${pids[$s]}"; done
    all_is_well
}
is_another_view() { # SERVICE FILE
    [ -e "$SAGA_DIR/$1/view.db" ] &&
        [ "$(readlink -f "$SAGA_DIR/$1/view.db")" != "$2" ]
}
damaged_views() { # what was folded can be folded again
    local s
    start_all
    stock_up
    asked 0 place widget:1
    end_all KILL
    for s in "${services[@]}"; do
        head -c 20000 /dev/urandom >"$(readlink -f "$SAGA_DIR/$s/view.db")"
        rm -f "$SAGA_DIR/$s"/view.*-wal "$SAGA_DIR/$s"/view.*-shm
    done
    start_all
    all_is_well
    asked 0 show sku:widget
}

# ---- surroundings -----------------------------------------------------------

full_stderr() {
    start_all
    stock_up
    end payment TERM
    "$SAGA_BUILD/bin/payment-svc" --faults --verbose >/dev/full 2>&1 &
    pids[payment]=$!
    until_it_runs $!
    all_up
    asked 0 place widget:1 --count 50
    end payment TERM
    same 0 "$ended"
    start payment
    all_up
    all_is_well
}
far_away() { # HC55
    SAGA_DIR=$SAGA_DIR/$(printf 'far%.0s' {1..60})
    mkdir -p "$SAGA_DIR"
    start_all
    stock_up
    asked 0 place widget:1
    all_is_well
}
few_descriptors() { # HC56
    ulimit -n 90
    start_all
    stock_up
    begin_load
    mkfifo "$SAGA_DIR/leave"
    exec 7<>"$SAGA_DIR/leave"
    crowd_in req cmd
    crowd_in sub pub
    load_flows 20 # whoever is connected goes on
    exec 7>&- # the crowd leaves
    load_flows 20
    all_healed
}
out_of_memory() {
    start_all
    stock_up
    begin_load
    load_flows 20
    # Not one byte more than it has: with its orders something has to grow.
    prlimit --pid "${pids[order]}" \
        --as="$(($(awk '{ print $1 }' "/proc/${pids[order]}/statm") * 4096))"
    asked_any place gizmo:1 --count 20000 --no-wait --timeout 5
    within 60 gone "${pids[order]}" || {
        echo 'order-svc goes on without memory'
        return 1
    }
    ends order
    [ "$ended" -ne 0 ]
    start order
    all_up
    all_healed
}
asked_any() { "$saga" "$@" >&2 || true; }
starved() { # the least of what four busy processes leave of two processors
    local s busy=()
    start_all
    stock_up
    for s in "${services[@]}"; do renice -n 19 -p "${pids[$s]}" >/dev/null; done
    for _ in 1 2 3 4; do
        (while :; do :; done) &
        busy+=($!)
        others+=($!)
    done
    begin_load
    load_flows 100
    kill -KILL "${busy[@]}"
    wait "${busy[@]}" 2>/dev/null || true
    all_healed
    asked_json 0 status
    for s in "${services[@]}"; do
        has "services.$s.state" running
        [ "$(field "services.$s.counts.redialled")" -le 6 ] # no storm of them
    done
}
crowd_in() { # sub|req SOCKET: 60 silent connections to order-svc
    "$tools/stranger" silent "$1" "$SAGA_DIR/run/order.$2" 60 \
        <"$SAGA_DIR/leave" 7>&- >"$SAGA_DIR/crowd.$2" &
    others+=($!)
    within 30 grep -q held "$SAGA_DIR/crowd.$2"
}

if [ "$(id -u)" -eq 0 ] && mkdir "$work/mnt" &&
    mount -t tmpfs -o size=1m saga-test "$work/mnt" 2>/dev/null; then
    umount "$work/mnt"
    it 'a full disk records nothing, says so, and goes on by itself' \
        in_shop full full_disk # F18 real
    it 'a full disk is waited for at the start' \
        in_shop start full_start # F18 real
else
    skip 'a full disk is waited for at the start' \
        'a small file system cannot be mounted here'
    skip 'a full disk records nothing, says so, and goes on by itself' \
        'a small file system cannot be mounted here'
fi
it 'a limit on the size of files is a full disk, too' \
    in_shop quota quota # F18 real
it 'a locked database is waited for' in_shop locked locked # F24 real
it 'a locked database is waited for at the start, and its holder named' \
    in_shop starting locked_at_start # F24 real
it 'an old reader is in nobody'"'"'s way at the start' \
    in_shop reader long_reader # F25 real
if can_trace; then
    it 'an I/O error ends the process at once, and all heals' \
        in_shop io io_errors # F16 F17 real
    it 'a slow disk is slow, and nothing else' in_shop slow slow_disk # F19 real
else
    skip 'an I/O error ends the process at once, and all heals' \
        'strace cannot trace here, or is not there'
    skip 'a slow disk is slow, and nothing else' \
        'strace cannot trace here, or is not there'
fi
it 'a newer database, or one of another service, is refused' \
    in_shop newer newer_database # F27 real
it 'a log that is deleted ends its service' in_shop deleted deleted_log # F23 real
it 'files beside a log that are deleted end its service, and nothing is lost' \
    in_shop beside deleted_beside_log # F23 real
it 'sockets that are deleted are made again' \
    in_shop sockets deleted_sockets # F23 real
it 'a view that is deleted is built anew, without a start' \
    in_shop unlinked deleted_views # F23 real
it 'damaged views are built anew' in_shop views damaged_views # F20 real
it 'a full standard error does no harm' in_shop stderr full_stderr # F13 real
it 'a path of any length will do' in_shop long far_away
it 'out of file descriptors, it goes on with whom it has' \
    in_shop files few_descriptors # F11 real
it 'without memory a service ends, and all heals' \
    in_shop memory out_of_memory # F10 real
it 'without processor time it is slow, and nothing else' \
    in_shop starved starved # F12 real
