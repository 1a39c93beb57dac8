# shellcheck shell=bash
# turns.sh - what the measurements that run in turns share (run.sh,
# conductor.sh, peers/run.sh): figures out of JSON, medians, the floor and the
# services, each on fresh files in $work.  Sourced; `build` is the build
# directory.
: "${build:?}"
export LC_ALL=C.UTF-8
work=$(mktemp -d "${BENCH_DIR:-/tmp}/saga-bench-XXXXXX")
export SAGA_DIR=$work/data
pids=()
trap 'kill -9 "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

value() { # NAME JSON: the number behind its first "NAME":
    grep -oE "\"$1\":-?[0-9.]+" <<<"$2" | head -n 1 | cut -d: -f2
}
member() { # NAME JSON: the object behind its first "NAME":
    grep -oE "\"$1\":\{[^}]*\}" <<<"$2" | head -n 1
}

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
of() { median <"$work/$1"; } # FILE of figures

await() { # SECONDS COMMAND...: within them, or it ends with what the logs say
    local tries
    for ((tries = 0; tries < 10 * $1; tries++)); do
        ! "${@:2}" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo "not within $1 s: ${*:2}" >&2
    tail -n 20 "$work"/*.log >&2
    exit 69
}

floor() { # the floor's JSON for these options
    mkdir "$work/floor"
    "$build/bench/floor" --json "$@" "$work/floor"
    rm -r "$work/floor"
}

# Not through ./run.sh, which gives each service a session of its own: the
# scheduler shares the machine out among sessions, and the floor is in ours.
start() {
    local service
    mkdir -m 700 "$SAGA_DIR"
    for service in order inventory payment; do
        "$build/bin/$service-svc" --dir "$SAGA_DIR" 2>"$work/$service.log" &
        pids+=($!)
    done
    await 30 warm
}
warm() {
    "$build/bin/saga" product warm-up 1.00 && "$build/bin/saga" wait --quiet
}

stop() {
    kill "${pids[@]}"
    wait "${pids[@]}"
    pids=()
    rm -r "$SAGA_DIR"
}

# PROCESSES with one order in flight each, SAGAS in all; what they tell is left
# in $work/crowd.*.  None ends before all have: a bench ends when all is quiet.
crowd() { # PROCESSES SAGAS
    local i clients=()
    for ((i = 0; i < $1; i++)); do
        saga --no-check --sagas $(($2 / $1)) --inflight 1 >"$work/crowd.$i" &
        clients+=($!)
    done
    for i in "${clients[@]}"; do wait "$i"; done
}

saga() { "$build/bin/saga" bench --json "$@"; }
