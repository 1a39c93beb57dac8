#!/usr/bin/env bash
# The AsyncAPI document and the CloudEvents that saga prints, judged by the
# programs of others: @asyncapi/parser, the SDK of CloudEvents, a JSON Schema
# validator.  They come from npm (tests/npm), so this is not one of test_*.sh:
# make test-schemas.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

npm=$SAGA_BUILD/npm

install_validators() { npm_install npm "$npm"; }

validates() { # CODE VERB FILE...
    said=$(ends_with "$1" node "$npm/validate.mjs" "${@:2}" 2>&1) || {
        echo "$said"
        return 1
    }
    echo "$said" | head -n 3
}

document=$work/asyncapi.json

is_asyncapi() {
    "$saga" flow --asyncapi >"$document"
    "$tools/json" <"$document"
    validates 0 document "$document"
    echo 'and what is none is not'
    sed 's/"action":"send"/"action":"shout"/' "$document" >"$work/action.json"
    validates 1 document "$work/action.json"
    sed 's/"StockShipped\.1":{"name"/"StockSent.1":{"name"/' "$document" \
        >"$work/ref.json"
    validates 1 document "$work/ref.json"
    shows "$said" "StockShipped\.1' does not exist"
}

# Every message of every version, commands too.
payloads() {
    local file
    for file in "$root"/tests/golden/*/messages.txt; do
        validates 0 payloads "$document" "$file"
    done
    echo 'and what no service would accept is refused'
    sed 's/"quantity": *[0-9]*/"quantity":1001/' "$file" >"$work/large.txt"
    validates 1 payloads "$document" "$work/large.txt"
    shows "$said" '^OrderPlaced 1: data/lines/0/quantity must be <= 1000'
    sed 's/^OrderConfirmed.*/OrderConfirmed 1 80 {"by":"bob"}/' "$file" \
        >"$work/more.txt"
    validates 1 payloads "$document" "$work/more.txt"
    shows "$said" '^OrderConfirmed 1: data must NOT have additional properties'
}

# The logs of a golden DIRECTORY, after a sed SCRIPT, as CloudEvents.
events_of() { # DIRECTORY SCRIPT
    local file service
    export SAGA_DIR=$work/golden
    rm -rf "$SAGA_DIR"
    for file in "$1"/*.sql; do
        service=$(basename "$file" .sql)
        mkdir -p "$SAGA_DIR/$service"
        sed "$2" "$file" | sqlite3 "$SAGA_DIR/$service/log.db"
    done
    "$saga" log --all --cloudevents >"$work/golden.json"
}

# As released versions wrote them, from their files.
golden_events() {
    local directory
    for directory in "$root"/tests/golden/*; do
        events_of "$directory" ''
        validates 0 events "$document" "$work/golden.json"
    done
    echo 'and what is none is refused'
    sed 's/"specversion":"1.0",//' "$work/golden.json" >"$work/none.json"
    validates 1 events "$document" "$work/none.json"
    shows "$said" 'it has no specversion'
    sed 's|"source":"/order"|"source":""|' "$work/golden.json" >"$work/nowhere.json"
    validates 1 events "$document" "$work/nowhere.json"
    sed 's/"customer":"alice"/"customer":"al ice"/' "$work/golden.json" \
        >"$work/blank.json"
    validates 1 events "$document" "$work/blank.json"
    shows "$said" 'data/customer must match pattern'
}

# Of a later version, of a name that is none, recorded in the year 311669.
unreadable_events() {
    events_of "$root/tests/golden/0.1.0" "s/'StockReserved', 1/'StockReserved', 9/
        s/'OrderConfirmed', 1/'', 1/; s/, 1700000000[0-9]*,/, 9777777777777777,/"
    validates 0 events "$document" "$work/golden.json"
    said=$(cat "$work/golden.json")
    shows "$said" '"type":"StockReserved",.*message:StockReserved:9",.*"data_base64":"[A-Za-z0-9+/]+=*"'
    shows "$said" '"type":"unreadable"'
    shows_no "$said" '"time"'
}

# From running services, once as an array and once as they happen.
live_events() {
    start_all
    seed
    asked 0 place widget:2 gadget:1
    asked 1 place gadget:3 --customer bob
    "$saga" log --all --cloudevents >"$work/live.json"
    validates 0 events "$document" "$work/live.json"
    local count
    count=$("$tools/json" '#' <"$work/live.json")
    "$saga" log --all --cloudevents --follow --from 1 --limit "$count" \
        >"$work/lines"
    same "$count" "$(wc -l <"$work/lines")"
    { echo '[' && paste -sd , "$work/lines" && echo ']'; } >"$work/followed.json"
    validates 0 events "$document" "$work/followed.json"
}

if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    skip 'our documents are valid' 'no node, no npm'
    exit
fi
it 'the validators are installed as the lock file says' install_validators
it 'saga flow --asyncapi prints a valid AsyncAPI 3.1 document' is_asyncapi
it 'the schemas accept every released payload' payloads
it 'recorded events of every release are CloudEvents of their schemas' golden_events
it 'an event that cannot be read is a CloudEvent with the bytes that it has' \
    unreadable_events
it 'events of running services are, once and as they happen' in_shop live live_events
