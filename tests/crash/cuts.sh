#!/usr/bin/env bash
# cuts.sh [CUTS] - the power fails, again and again, under load.
#
# The three services run on an ext4 file system in a file.  For a cut they are
# stopped, the file is copied, and they go on.  The copy is mounted, which
# replays ext4's journal, and services are started on it.  All that a client
# was told is done has to be there, every event that anybody could have seen has
# to be the same event, and everything has to come to rest.
#
# What a copy has: the loop device passes each write of the file system on to
# the file when the file system issues it, and reading the file shows it, synced
# or not.  So a copy has all that has left the page cache of the file system in
# it, and nothing of what is still dirty there: what write() has taken but no
# fsync() has sent on.  That is a power cut with a disk that writes in order and
# whose own cache survives; torn and reordered sectors are torn.sh's and
# the simulation's (tests/sim).  It has teeth: with an fdatasync() that lies, events are lost.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

# Mounts of our own: nobody else sees them, and they end with this process.
if [ -z "${CRASH_MOUNTS:-}" ] && [ "$(id -u)" -eq 0 ] &&
    CRASH_MOUNTS=own unshare -m true 2>/dev/null; then
    CRASH_MOUNTS=own exec unshare -m "$0" "$@"
fi

cuts=${1:-30}
deadline=$((SECONDS + ${SECONDS_MAX:-1000000}))

disks=() # mounted by us
new_disk() { # NAME: a file system in $work/NAME.img, mounted at $work/NAME
    truncate -s 256M "$work/$1.img"
    mkfs.ext4 -q -m 0 "$work/$1.img"
    mount_disk "$1"
}
mount_disk() { # NAME
    mkdir -p "$work/$1"
    mount -o loop "$work/$1.img" "$work/$1"
    disks+=("$work/$1")
}
drop_disk() { # NAME
    within 30 umount "$work/$1"
    rm "$work/$1.img"
}
leave() {
    local mounted
    end_processes
    for mounted in ${disks[@]+"${disks[@]}"}; do
        ! mountpoint -q "$mounted" || umount "$mounted" || umount -l "$mounted"
    done
} 2>/dev/null

# The shop lies on a disk of its own; what clients know, outside of it.
begin() { # NAME: of that disk
    disk=$1
    new_disk "$disk"
    export SAGA_DIR=$work/$disk/shop
    mkdir -m 700 "$SAGA_DIR"
    trap leave EXIT
}

# Places orders until told to end, its journal outside the disk.  While the
# services are stopped for a copy, some get no answer, and go on.
customers() {
    local n=0
    set +e
    until [ -e "$work/enough" ]; do
        n=$((n + 1))
        "$saga" place gizmo:1 --count 10 --no-wait --journal "$work/journal"
        "$saga" place gizmo:2 --customer bob --no-wait \
            --journal "$work/journal"
        "$saga" place gadget:900 --no-wait --journal "$work/journal"
        "$saga" place gizmo:1 --id "cut-$n" --no-wait --journal "$work/journal"
        "$saga" cancel "cut-$n"
    done
} >"$work/customers.log" 2>&1
told() { if [ -e "$work/journal" ]; then wc -l <"$work/journal"; else echo 0; fi; }
told_more() { # THAN
    [ "$(told)" -gt "$1" ]
}

# What another process can see of a log has been synced: SQLite shows a
# transaction to others once it is.
seen_of() { # SERVICE
    sqlite3 -readonly "$SAGA_DIR/$1/log.db" "SELECT seq, hex(hash) FROM event"
}

# The image as a power cut at this moment would leave it, and what the world
# knew before.
cut() {
    local s before
    before=$(told)
    within 60 told_more "$before" || {
        echo "no order was taken for a minute, after $before:"
        tail -n 5 "$work/customers.log"
        return 1
    }
    for s in "${services[@]}"; do seen_of "$s" >"$work/seen.$s"; done
    kill -STOP "${pids[@]}"
    cp "$work/journal" "$work/journal.cut"
    cp --sparse=always "$work/$disk.img" "$work/cut.img"
    kill -CONT "${pids[@]}"
}

# Services on the copy: whole, or something is lost.
come_back() { # in a shell of its own
    local s
    SAGA_DIR=$work/cut/shop pids=() others=()
    trap end_processes EXIT
    start_all >/dev/null || return 1
    "$saga" wait --quiet --timeout 60 || return 1
    "$saga" check --final --journal "$work/journal.cut" || return 1
    for s in "${services[@]}"; do
        # Whatever has been seen is there, and unchanged.
        seen_of "$s" | grep -Fxvf - "$work/seen.$s" >"$work/lost" || continue
        echo "$s has lost, or changed:"
        head -n 3 "$work/lost"
        return 1
    done
}
# Returns 1 when something was lost.
after_the_cut() {
    local code=0
    mount_disk cut
    (come_back) >"$work/came-back" 2>&1 || code=1
    drop_disk cut
    return $code
}

acknowledged_is_there() {
    local n done=0
    begin honest
    start_all
    stock_up
    "$saga" wait --quiet
    customers &
    others+=($!)
    for ((n = 1; n <= cuts; n++)); do
        [ $SECONDS -lt $deadline ] || { echo 'the time is over'; break; }
        cut
        if ! after_the_cut; then
            echo "this was cut $n, with $(wc -l <"$work/journal.cut") orders:"
            cat "$work/came-back"
            return 1
        fi
        done=$n
    done
    : >"$work/enough"
    echo "$done cuts, $(told) orders"
    injected $done
    [ $done -gt 0 ] || [ $SECONDS -ge $deadline ]
    # The disk that was not cut is whole, too.
    within 60 gone "${others[0]}"
    all_is_well --journal "$work/journal"
}

# The test of the test: where fdatasync does nothing, a cut is noticed.
lies_are_found_out() {
    local n s
    rm -f "$work/enough" "$work/journal"
    begin lying
    for s in "${services[@]}"; do
        mkdir -p "$SAGA_DIR"
        arm "$s" syncs lie 1 1000000000
        start_counted "$s"
    done
    all_up
    stock_up
    customers &
    others+=($!)
    for n in 1 2 3 4 5 6; do
        cut
        if ! after_the_cut; then
            echo "found out by cut $n"
            tail -n 3 "$work/came-back"
            return 0
        fi
    done
    echo 'nothing was lost in six cuts, though nothing was synced'
    return 1
}

can_mount() {
    [ -n "${CRASH_MOUNTS:-}" ] && command -v mkfs.ext4 >/dev/null &&
        (new_disk try && drop_disk try) 2>/dev/null
}

if can_mount; then
    proves F14 'a power cut loses nothing that anybody was told or could see' \
        acknowledged_is_there
    it 'a sync that lies is found out by the next cuts' lies_are_found_out
else
    skip 'a power cut loses nothing that anybody was told or could see' \
        'an image cannot be mounted here: that takes root and a loop device'
    skip 'a sync that lies is found out by the next cuts' \
        'an image cannot be mounted here: that takes root and a loop device'
fi
