#!/usr/bin/env bash
# partitions.sh [TEST...] - the network separates the services, over tcp://.
#
# All run in one network namespace of their own.  Each service dials from its own
# address (from.c), and its sockets are known by their ports, so that nft can
# drop what one sends to another, all of it or one kind of socket.  Nothing is
# refused or reset: packets vanish, as with a cable that is cut.  Clients are
# never cut off.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

can_part() {
    command -v ip && command -v ss && command -v nft && ip link set lo up &&
        nft add table inet crash && nft delete table inet crash
} >/dev/null 2>&1

if [ -z "${CRASH_NETWORK:-}" ]; then
    as=-n
    [ "$(id -u)" -eq 0 ] || as=-rn
    ! CRASH_NETWORK=own unshare $as true 2>/dev/null ||
        CRASH_NETWORK=own exec unshare $as "$0" "$@"
fi

# ---- a network --------------------------------------------------------------

port=21000 # nobody else is here
declare -A address=([order]=127.0.0.11 [inventory]=127.0.0.12
    [payment]=127.0.0.13)

ports_of() { # SERVICE [SOCKET]: "21000-21002"
    local i=0
    [ "$1" != inventory ] || i=3
    [ "$1" != payment ] || i=6
    case ${2:-} in
        pub) echo $((port + i)) ;;
        cmd) echo $((port + i + 1)) ;;
        qry) echo $((port + i + 2)) ;;
        *) echo "$((port + i))-$((port + i + 2))" ;;
    esac
}
drop() { nft add rule inet crash output "$@" counter drop; }
# From now on nothing that FROM says reaches TO: neither as who dialled nor as
# who was dialled.  SOCKET: only what concerns those sockets.
cut() { # FROM TO [SOCKET]
    drop ip saddr "${address[$1]}" tcp dport "$(ports_of "$2" "${3:-}")"
    drop ip daddr "${address[$2]}" tcp sport "$(ports_of "$1" "${3:-}")"
}
part() { # A B [SOCKET]
    cut "$1" "$2" "${3:-}"
    cut "$2" "$1" "${3:-}"
}
part_all() { # [SOCKET]
    part order inventory "${1:-}"
    part order payment "${1:-}"
    part inventory payment "${1:-}"
}
isolate() { # SERVICE
    local s
    for s in "${services[@]}"; do [ "$s" = "$1" ] || part "$1" "$s"; done
}
heal() { nft flush chain inet crash output; }
# The rules really drop something: a cut that cuts nothing proves nothing.
bites() {
    local n
    n=$(nft list chain inet crash output |
        awk '{ for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) }
            END { print n + 0 }')
    [ "$n" -gt 0 ]
}

begin() {
    local s
    export SAGA_BUS=tcp://127.0.0.1:$port
    nft add table inet crash
    nft add chain inet crash output '{ type filter hook output priority 0; }'
    heal
    for s in "${services[@]}"; do start_there "$s"; done
    all_up
    stock_up
    ends_with 0 "$saga" wait --quiet
}
start_there() { # SERVICE
    start_by=(env "LD_PRELOAD=$preloads/from.so" "FROM=${address[$1]}")
    start "$1" --order-deadline-ms 600000
    start_by=()
}

# Longer than a watchdog's patience, so that connections are dialled anew, too.
a_while() { sleep 4; }

converges() {
    local begun
    heal
    begun=$(date +%s%3N)
    ends_with 0 "$saga" wait --quiet --timeout 60
    echo "quiet $(($(date +%s%3N) - begun)) ms after it healed"
    ends_with 0 "$saga" check --final >/dev/null
}
status_of() { # ORDER STATUS
    asked_json 0 show "$1"
    has status "$2"
}

# ---- partitions -------------------------------------------------------------

without_payment() {
    isolate payment
    asked 1 place gadget:900 # which does not concern it
    asked 0 place gizmo:1 --id charged-later --no-wait
    within 30 has_event inventory StockReserved charged-later
    asked 0 fund bob 1 # its clients still reach it
    a_while
    status_of charged-later PENDING
    bites
    converges
    status_of charged-later CONFIRMED
}
without_inventory() {
    isolate inventory
    asked 0 place gizmo:1 --id reserved-later --no-wait
    asked 0 place gizmo:1 --id cancelled --no-wait
    asked 0 cancel cancelled
    within 30 has_event payment PaymentVoided cancelled # which is in between
    asked 0 stock gizmo 1
    a_while
    status_of reserved-later PENDING
    status_of cancelled CANCELLING
    bites
    converges
    status_of reserved-later CONFIRMED
    status_of cancelled CANCELLED
}
without_order() {
    isolate order
    asked 0 place gizmo:1 --id heard-later --no-wait
    asked 0 stock gizmo 1
    asked 0 fund bob 1
    a_while
    status_of heard-later PENDING
    ! has_event inventory StockReserved heard-later || return 1
    bites
    converges
    status_of heard-later CONFIRMED
}
one_alone() {
    begin
    without_payment
    without_inventory
    without_order
    injected 3
}
pairs() {
    begin
    echo 'order and payment'
    part order payment
    asked 1 place gadget:900
    asked 0 place gizmo:1 --id by-inventory --no-wait
    within 30 has_event payment PaymentCharged by-inventory # order cannot know
    a_while
    status_of by-inventory PENDING
    bites
    converges
    status_of by-inventory CONFIRMED
    echo 'inventory and payment'
    part inventory payment
    asked 1 place gadget:900
    asked 0 place gizmo:1 --id unpaid --no-wait
    within 30 has_event inventory StockReserved unpaid
    asked 0 cancel unpaid
    within 30 has_event payment PaymentVoided unpaid
    a_while
    status_of unpaid CANCELLING
    bites
    converges
    status_of unpaid CANCELLED
    echo 'order and inventory'
    part order inventory
    asked 0 place gizmo:1 --id unheard --no-wait
    asked 0 cancel unheard
    within 30 has_event payment PaymentVoided unheard
    # Payment was told, and inventory hears it from payment alone.
    within 30 has_event inventory StockReleased unheard
    a_while
    status_of unheard CANCELLING
    bites
    converges
    status_of unheard CANCELLED
    injected 3
}
directions() {
    local from to n=0
    begin
    begin_load
    for from in "${services[@]}"; do
        for to in "${services[@]}"; do
            [ "$from" != "$to" ] || continue
            echo "nothing that $from says reaches $to"
            cut "$from" "$to"
            a_while
            load_flows 20 # orders are taken all the while
            bites
            heal
            n=$((n + 1))
        done
    done
    injected $n
    all_healed
}
kinds_of_sockets() {
    begin
    echo 'no frames: pulls bring everything'
    part_all pub
    asked 0 place gizmo:1 --timeout 60
    asked 1 place gadget:1 --customer bob --timeout 60
    bites
    a_while
    asked 0 place gizmo:1 --timeout 60
    converges
    frames_flow # pulls alone may have healed it, before anybody dialled anew
    echo 'no pulls: frames bring everything, as long as none is lost'
    part_all qry
    asked 0 place gizmo:1 --timeout 60
    asked 1 place gadget:1 --customer bob --timeout 60
    asked 0 fault set inventory frame/drop --times 1
    asked 0 place gizmo:1 --no-wait --id lost
    a_while
    status_of lost PENDING
    bites
    converges
    status_of lost CONFIRMED
    injected 2
}
# Everybody gets frames from everybody: two more heartbeats at least.
frames_flow() {
    local before
    mapfile -t before < <(frames)
    within 30 all_have_more "${before[@]}" || {
        echo "frames: ${before[*]}, 30 s later $(frames | xargs)"
        return 1
    }
}
frames() {
    "$saga" status --json | "$tools/json" 'services.*.feeds.*.counts.frames'
}
all_have_more() { # COUNT...
    local now i
    mapfile -t now < <(frames)
    [ ${#now[@]} -eq 6 ] && [ $# -eq 6 ] || return 1
    for i in "${!now[@]}"; do
        [ "${now[i]}" -ge $(($1 + 2)) ] || return 1
        shift
    done
}
flapping() {
    local i s
    begin
    begin_load
    for ((i = 0; i < 12; i++)); do
        s=${services[i % 3]}
        isolate "$s"
        sleep 0.3
        heal
        sleep 0.2
    done
    injected 12
    all_healed
}
# A machine vanishes and comes back: no FIN, no RST; whoever only listens to it
# could listen for ever.
half_open() {
    local s begun
    begin
    for s in payment inventory; do
        drop ip saddr 127.0.0.1 tcp sport "$(ports_of "$s")" \
            tcp flags \& '(fin|rst)' != 0
        drop ip saddr "${address[$s]}" tcp flags \& '(fin|rst)' != 0
        end "$s" KILL 2>/dev/null
        others_are_connected "$s"
        start_there "$s"
        begun=$(date +%s%3N)
        asked 0 place gizmo:1 --timeout 60
        asked 1 place gadget:1 --customer bob --timeout 60
        echo "orders end $(($(date +%s%3N) - begun)) ms after $s came back"
        bites
        within 30 all_are_heard
        converges
    done
    injected 2
}

# To a process that is gone, for all they know.
others_are_connected() { # SERVICE
    local s
    for s in "${services[@]}"; do
        [ "$s" = "$1" ] || [ -n "$(ss -Htn state established \
            src "${address[$s]}" dport = ":$(ports_of "$1" pub)")" ] || {
            echo "$s knows that $1 is gone: nothing is half open here"
            return 1
        }
    done
}
all_are_heard() { # by order-svc, which gets heartbeats twice a second
    local ago
    asked_json 0 status
    for ago in $(field 'services.order.feeds.*.heard_ms_ago'); do
        [ "$ago" -lt 2000 ] || return 1
    done
    [ -n "${ago:-}" ]
}

all=(
    'F35|one service alone: the others go on, and all converges|one_alone'
    'F35|one pair parted: the third goes on, and all converges|pairs'
    'F35|one direction cut, each in turn, under load|directions'
    'F35 F32|one kind of socket cut: the other kind brings it all|kinds_of_sockets'
    'F36|a network that flaps, under load|flapping'
    'F36|a machine that vanished without a word is dialled anew|half_open'
)
for test in "${all[@]}"; do
    IFS='|' read -r faults sentence function <<<"$test"
    [ $# -eq 0 ] || [[ " $* " == *" $function "* ]] || continue
    if [ -n "${CRASH_NETWORK:-}" ] && can_part; then
        proves "$faults" "$sentence" in_shop "$function" "$function"
    else
        skip "$sentence" \
            'no network namespace of our own here, or no ip or nft to use it'
    fi
done
