# shellcheck shell=bash
# processes.sh - real services for the shell tests: a data directory for each
# test, its three processes, and whatever else was started, all ended by their
# pids.  Sourced after tap.sh.  test_run.sh does not use it: there run.sh starts
# the services.
: "${work:?}" "${saga:?}"

# shellcheck disable=SC2034 # used by those who source this
services=(order inventory payment)
tools=$SAGA_BUILD/tests/tools
export NO_COLOR=1
unset SAGA_BUS

declare -A pids=() # SERVICE -> pid, of those that we started
others=()          # more pids to end
start_by=()        # a command that starts what follows it: env A=B

# Begins a new shop in $work/NAME; it ends with this shell.
new_shop() { # NAME
    export SAGA_DIR=$work/$1
    mkdir -p "$SAGA_DIR"
    pids=() others=() # what a shell above this one started is its own
    trap end_processes EXIT
}

# A shop of its own for a test.
in_shop() { # NAME COMMAND...
    new_shop "$1"
    "${@:2}"
}

end_processes() {
    local pid
    for pid in "${pids[@]}" ${others[@]+"${others[@]}"}; do
        kill -KILL "$pid"
        wait "$pid"
    done 2>/dev/null || true
}

start() { # SERVICE [OPTION...]; --order-deadline-ms is order's alone
    [ "$1" = order ] || [ "${2:-}" != --order-deadline-ms ] || set -- "$1" "${@:4}"
    ${start_by[@]+"${start_by[@]}"} "$SAGA_BUILD/bin/$1-svc" --faults "${@:2}" \
        </dev/null >>"$SAGA_DIR/$1.log" 2>&1 &
    pids[$1]=$!
    until_it_runs "${pids[$1]}"
}
# A bash that has an EXIT trap catches signals, and so does its child until it
# has become another program: what is sent to it before that is lost.
until_it_runs() { # PID
    while cmp -s "/proc/$1/comm" /proc/$$/comm; do sleep 0.002; done
}

# shellcheck disable=SC2120 # options are few
start_all() { # [OPTION...]
    local s
    for s in "${services[@]}"; do start "$s" "$@"; done
    all_up
}

# All nine, as tests/tools/stranger takes them.
sockets() { # "sub PATH" or "req PATH"
    local s
    for s in "${services[@]}"; do
        echo "sub $SAGA_DIR/run/$s.pub"
        echo "req $SAGA_DIR/run/$s.cmd"
        echo "req $SAGA_DIR/run/$s.qry"
    done
}

up() { "$saga" status >/dev/null 2>&1; }
all_up() {
    within 30 up || {
        "$saga" status || true
        tail -n 5 "$SAGA_DIR"/*.log
        return 1
    }
}

# Sends SIGNAL and waits for the end; leaves the exit code in $ended.
# shellcheck disable=SC2034 # $ended: for those who source this
end() { # SERVICE [SIGNAL]
    ended=0
    kill -"${2:-KILL}" "${pids[$1]}"
    wait "${pids[$1]}" 2>/dev/null || ended=$?
    unset "pids[$1]"
}
# Waits for one that ends by itself.
# shellcheck disable=SC2034
ends() { # SERVICE
    within 30 gone "${pids[$1]}" || {
        echo "$1-svc has not ended"
        return 1
    }
    ended=0
    wait "${pids[$1]}" 2>/dev/null || ended=$?
    unset "pids[$1]"
}
end_all() { # [SIGNAL]
    local s
    for s in "${!pids[@]}"; do end "$s" "${1:-TERM}"; done
}

# What run.sh puts into a new shop.
seed() {
    {
        "$saga" product widget 19.90 && "$saga" stock widget 100
        "$saga" product gadget 49.00 && "$saga" stock gadget 100
        "$saga" product gizmo 5.00 && "$saga" stock gizmo 100
        "$saga" fund alice 1000.00 && "$saga" fund bob 20.00
    } >/dev/null
}

# Nothing is left to do, nothing is broken.
# shellcheck disable=SC2120 # options are few
all_is_well() { # [OPTION of check...]
    ends_with 0 "$saga" wait --quiet --timeout 60 &&
        ends_with 0 "$saga" check --final "$@"
}

can_trace() {
    command -v strace >/dev/null && strace -qq -o /dev/null true 2>/dev/null
}

# ---- load -------------------------------------------------------------------

# Enough goods and money for any load.
stock_up() {
    seed
    {
        "$saga" stock gizmo 1000000 && "$saga" fund alice 1000000
    } >/dev/null
}

# Places orders of all kinds until end_load; what was acknowledged is in
# $SAGA_DIR/journal.  Whatever becomes of the services, this goes on.
begin_load() {
    rm -f "$SAGA_DIR/enough"
    {
        n=0
        until [ -e "$SAGA_DIR/enough" ]; do
            n=$((n + 1))
            a_few gizmo:1 --count 20
            a_few gizmo:2 widget:1 --customer bob # soon declined
            a_few gadget:900
            a_few gizmo:1 --id "cancelled-$n"
            "$saga" cancel "cancelled-$n" || true # too late, or down
        done
    } >>"$SAGA_DIR/load.log" 2>&1 &
    load=$!
    others+=("$load")
    within 30 flowing 1 || {
        tail -n 3 "$SAGA_DIR/load.log"
        return 1
    }
}
a_few() {
    "$saga" place "$@" --no-wait --journal "$SAGA_DIR/journal" --timeout 5 ||
        sleep 0.05
}
end_load() {
    : >"$SAGA_DIR/enough"
    within 60 gone "$load"
}
# So many have been acknowledged.
flowing() { [ "$(acknowledged)" -ge "$1" ]; }
acknowledged() {
    if [ -e "$SAGA_DIR/journal" ]; then wc -l <"$SAGA_DIR/journal"; else echo 0; fi
}
# Waits until so many more orders were acknowledged.
load_flows() { # MORE
    within 60 flowing $(($(acknowledged) + $1)) || {
        echo "no $1 more orders in 60 s"
        tail -n 3 "$SAGA_DIR/load.log"
        "$saga" status
        return 1
    }
}

# What a test with load comes to.
all_healed() {
    end_load
    all_up
    all_is_well --journal "$SAGA_DIR/journal"
    [ "$(acknowledged)" -gt 0 ]
    asked 0 place gizmo:1 # and life goes on
}

# ---- what was said ----------------------------------------------------------

# Runs a verb, insists on its exit code, and keeps what it says in $said.
asked() { # CODE VERB...
    said=$(ends_with "$1" "$saga" "${@:2}" 2>&1) || {
        echo "$said"
        return 1
    }
}

# The same with --json on standard output, where nothing else may be.
asked_json() { # CODE VERB...
    said=$(ends_with "$1" "$saga" "${@:2}" --json 2>/dev/null) || {
        echo "$said"
        return 1
    }
    "$tools/json" <<<"$said" || {
        echo "not JSON: $said"
        return 1
    }
}

# What $said, JSON, has there: "status", "orders.#".
field() { # PATH
    "$tools/json" "$1" <<<"$said"
}

shows_no() { # TEXT PATTERN
    grep -qE -- "$2" <<<"$1" || return 0
    printf "'%s' is in:\n%s\n" "$2" "$1"
    return 1
}

same() { # WANTED GIVEN
    [ "$1" = "$2" ] || {
        echo "'$2' where '$1' was expected"
        return 1
    }
}

# The field of what was said is so.
has() { # PATH WANTED
    same "$2" "$(field "$1")"
}

# A line of a service's log says so.
logged() { # SERVICE PATTERN
    grep -qE -- "$2" "$SAGA_DIR/$1.log"
}

# Holds the write lock on a service's log or view, as a sqlite3 that was left open.
lock_database() { # SERVICE [log|view]
    rm -f "$SAGA_DIR/locked" "$SAGA_DIR/unlock"
    mkfifo "$SAGA_DIR/unlock"
    sqlite3 -bail "$SAGA_DIR/$1/${2:-log}.db" >"$SAGA_DIR/locked" <<END &
.timeout 10000
BEGIN IMMEDIATE;
SELECT 'locked';
.shell cat '$SAGA_DIR/unlock'
ROLLBACK;
END
    locker=$!
    others+=("$locker")
    within 30 grep -q locked "$SAGA_DIR/locked"
}
unlock_database() {
    : >"$SAGA_DIR/unlock"
    wait "$locker"
}

has_event() { # SERVICE TYPE ORDER: its log, as it is on the disk
    [ "$(sqlite3 "$SAGA_DIR/$1/log.db" "SELECT count(*) FROM event
        WHERE type = '$2' AND order_id = '$3'" 2>/dev/null)" -gt 0 ]
}
