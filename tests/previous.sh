#!/usr/bin/env bash
# The previous release, built from its commit, and today's programs on the same
# logs and sockets: each reads what the other wrote, and parks what it cannot
# read.  Not one of test_*.sh, since it needs the history: make test-previous.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

today=$SAGA_BUILD
next=$today/tests/next
before=$("$root/scripts/compat.sh" previous) || {
    echo "not ok - the previous release is built"
    exit 1
}
old=$before/bin/saga

# Starts a service of a BUILD.
start_of() { # BUILD SERVICE [OPTION...]
    SAGA_BUILD=$1 start "${@:2}"
}
all_of() { # BUILD
    local s
    for s in "${services[@]}"; do start_of "$1" "$s"; done
    all_up
}

# Every end that an order can have, and a deposit on both sides of it.
live() { # PREFIX
    asked 0 fund alice 10
    asked 0 place widget:2 --id "$1-shipped"
    asked 1 place gadget:2 --customer bob --id "$1-declined"
    asked 1 place gizmo:900 --id "$1-rejected"
    kill -STOP "${pids[payment]}" # so that the order waits for what comes next
    asked 0 place widget:1 gadget:1 --id "$1-cancelled" --no-wait
    asked 0 cancel "$1-cancelled"
    kill -CONT "${pids[payment]}"
    ends_with 0 "$saga" wait --quiet --timeout 60
}

# What PROGRAM says of the shop: the events, and what they come to.  Of the
# JSON around them only the names of these members are the same.
told_by() { # SAGA PREFIX
    local id
    "$1" log --all --json | "$tools/json" '*.source' '*.seq' '*.type' \
        '*.version' '*.order' '*.time_ms' '*.data' '*.hash'
    for id in shipped declined rejected cancelled; do
        "$1" show "$2-$id" --json | grep -oE '"status":"[A-Z]+"' | head -n 1
    done
    "$1" show customer:alice --json | grep -oE '"balance_cents":[0-9]+' | head -n 1
    "$1" show sku:widget --json | grep -oE '"(shipped|reserved)":[0-9]+' | sort -u
}
both_tell_the_same() { # PREFIX
    told_by "$old" "$1" >"$SAGA_DIR/told-old"
    told_by "$saga" "$1" >"$SAGA_DIR/told-new"
    diff "$SAGA_DIR/told-old" "$SAGA_DIR/told-new"
    grep -qx '"status":"CONFIRMED"' "$SAGA_DIR/told-new"
    grep -q '^"balance_cents":' "$SAGA_DIR/told-new"
    grep -q '^"reserved":' "$SAGA_DIR/told-new"
}

# ---- what both know ----------------------------------------------------------

# A release finds nothing wrong with the logs.  A view of the other one has other
# tables: today's says that it cannot compare it, the previous one that it fails.
logs_hold() { # SAGA
    local said bad='none'
    said=$("$1" check --final 2>&1) || true
    [ "$1" = "$saga" ] || bad='  FAIL  Q3 '
    if [ "$(grep -c '^  ok ' <<<"$said")" -lt 12 ] ||
        grep -E '^  FAIL' <<<"$said" | grep -qv "^$bad"; then
        echo "$said"
        return 1
    fi
}

reads_files() {
    all_of "$today"
    seed
    live o
    end_all TERM
    ends_with 0 "$old" verify
    logs_hold "$old"
    both_tell_the_same o
}

# Back to the previous release on the same directory, and forth.
goes_back() {
    all_of "$today"
    seed
    live one
    end_all TERM
    all_of "$before"
    live two
    logs_hold "$old"
    end_all TERM
    all_of "$today"
    live three
    all_is_well
    both_tell_the_same two
}

# One service is of the previous release, and the two others are not.
beside() { # SERVICE
    local s
    for s in "${services[@]}"; do
        if [ "$s" = "$1" ]; then start_of "$before" "$s"; else start_of "$today" "$s"; fi
    done
    all_up
    seed
    live "$1"
    ends_with 0 "$saga" wait --quiet --timeout 60
    logs_hold "$saga"
    logs_hold "$old"
    both_tell_the_same "$1"
}

# ---- what it cannot know -----------------------------------------------------

still_runs() { # SERVICE...
    local s
    for s; do kill -0 "${pids[$s]}"; done
}

# inventory-svc of a next release writes StockReserved 2.
a_newer_version() {
    start_of "$before" order --order-deadline-ms 600000
    start_of "$before" payment
    start_of "$next" inventory
    all_up
    seed
    asked 0 place widget:2 --id o-new --no-wait
    within 30 has_event inventory StockReserved o-new
    within 30 is_parked
    still_runs order inventory payment
    said=$("$old" parked)
    shows "$said" '^payment +inventory #[0-9]+  o-new  StockReserved version 2: newer than this program$'
    echo 'all else goes on'
    asked 1 place gizmo:900 --id o-other
    asked 0 fund alice 1
    echo 'its command does not misread the event, and does not fail'
    shows "$("$old" log inventory)" '  o-new +StockReserved +\(unreadable\) '
    ends_with 0 "$old" trace o-new
    said=$(ends_with 1 "$old" check --final)
    shows "$said" 'S1 +o-new: inventory #[0-9]+ StockReserved cannot be read: it is of a newer version'
    shows "$said" 'Q2 +o-new: payment has parked inventory #[0-9]+: StockReserved version 2'
    shows_no "$said" 'FAIL +(S[2-9]|S10|L1)'
    echo 'nor when it reads files; after a restart'
    end inventory TERM
    the_file_holds '"version":2,"order":"o-new",.*"raw":"[0-9a-f]+","problem":"newer than this program"'
    start_of "$next" inventory
    end payment TERM
    same 0 "$ended"
    start_of "$before" payment
    all_up
    is_parked
    echo 'a program that knows it handles it'
    end payment TERM
    end order TERM
    start_of "$next" payment
    start_of "$next" order
    all_up
    asked 0 redrive payment
    ends_with 0 "$next/bin/saga" wait --quiet --timeout 60
    said=$("$next/bin/saga" show o-new --json)
    has status CONFIRMED
    ends_with 0 "$next/bin/saga" check --final
}
# What the old command says of inventory's log, which it reads by itself.
the_file_holds() { # PATTERN
    shows "$("$old" log inventory --json 2>/dev/null)" "$1"
    ends_with 0 "$old" verify
}
is_parked() { [ "$("$old" parked --json | "$tools/json" '#')" -gt 0 ]; }

# inventory-svc of a next release calls StockShipped by a name of its own.
build_renamed() {
    mkdir -p "$work/renamed/bin"
    sed 's/"StockShipped"/"StockSent"/' "$root/shop/shop.c" >"$work/shop.c"
    ends_with 1 cmp -s "$root/shop/shop.c" "$work/shop.c"
    (cd "$root" && cc -std=c17 -D_GNU_SOURCE -Ilibevents -I. \
        -o "$work/renamed/bin/inventory-svc" "$work/shop.c" \
        "$today"/inventory-svc/*.o "$today/libevents.a" -lnng -lsqlite3 \
        -lmsgpackc -lsodium -ljansson -lfiu -lpthread)
}
an_unknown_event() {
    build_renamed
    start_of "$before" order
    start_of "$before" payment
    start_of "$work/renamed" inventory
    all_up
    seed
    asked 0 place widget:2 --id o-sent --no-wait
    within 30 has_event inventory StockSent o-sent
    echo 'a reader that has no rule for it goes on behind it'
    asked 1 place gadget:2 --customer bob --id o-declined
    still_runs order inventory payment
    said=$("$old" parked)
    shows "$said" '^nothing is parked$'
    ends_with 0 "$old" trace o-sent
    end inventory TERM
    the_file_holds '"type":"StockSent",.*"raw":"[0-9a-f]+","problem":"unknown type"'
}

it 'the previous release reads the logs of today as today does' \
    in_shop files reads_files
it 'its services go on with the logs of today, and today'\''s with theirs' \
    in_shop back goes_back
for service in "${services[@]}"; do
    it "its $service-svc works beside two services of today" \
        in_shop "beside-$service" beside "$service"
done
it 'it parks a version that it does not know, and a later one handles it' \
    in_shop newer a_newer_version
it 'it goes on behind an event that it does not know' \
    in_shop unknown an_unknown_event
