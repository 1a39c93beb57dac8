# shellcheck shell=bash
# servers.sh - one run of a peer (redis.c, postgres.c) on a server of its own,
# which listens on a unix socket in a directory of its own and ends with it.
# Sourced after turns.sh.
: "${build:?}" "${work:?}"
postgres=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null |
    sort -V | tail -n 1)
bin=${postgres%/*}
peers=$build/bench/peers

# PostgreSQL refuses root.
as_server=()
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    as_server=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
fi

# A directory for a server, which has to be its user's.
new_home() {
    home=$(mktemp -d "${BENCH_DIR:-/tmp}/saga-peer-XXXXXX")
    trap 'kill -9 "${pids[@]}" 2>/dev/null || true; rm -rf "$home"' EXIT
    cp "$peers/syncs.so" "$home"
}

# redis-tools brings the server, too, but no service that starts by itself:
# it is the program of redis-check-rdb by another name.
start_redis() {
    local program
    program=$(command -v redis-server || command -v redis-check-rdb)
    new_home
    (
        export PEER_SYNCS=$home/syncs LD_PRELOAD=$home/syncs.so
        exec -a redis-server "$program" --port 0 --dir "$home" --save '' \
            --unixsocket "$home/redis.sock" --appendonly yes --appendfsync always
    ) >"$work/server.log" 2>&1 &
    pids=($!)
    await 30 redis-cli -s "$home/redis.sock" ping
}

start_postgres() {
    new_home
    [ ${#as_server[@]} -eq 0 ] || chown "$user" "$home"
    (
        cd "$home" || exit 69
        "${as_server[@]}" "$bin/initdb" -D "$home/data" -U postgres -A trust \
            -E UTF8 --locale=C >"$work/server.log" 2>&1 || { cat "$work/server.log" >&2; exit 69; }
        exec "${as_server[@]}" env "PEER_SYNCS=$home/syncs" \
            "LD_PRELOAD=$home/syncs.so" "$bin/postgres" -D "$home/data" \
            -c listen_addresses= -c "unix_socket_directories=$home" \
            -c synchronous_commit=on -c shared_buffers=256MB \
            -c max_wal_size=4GB >>"$work/server.log" 2>&1
    ) &
    pids=($!)
    await 30 "$bin/pg_isready" -h "$home" -U postgres
}

stop_server() {
    kill -INT "${pids[@]}"
    wait "${pids[@]}" || true
    pids=()
    rm -r "$home"
}

# Its JSON; 1 when its totals are wrong.  In a shell of its own, whose end ends
# the server, too.
peer() ( # NAME PROGRAM OPTION...
    code=0
    pids=()
    "start_$1"
    "$peers/$2" --dir "$home" --server "${pids[0]}" "${@:3}" || code=$?
    stop_server
    return "$code"
)
