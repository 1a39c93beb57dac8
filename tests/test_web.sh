#!/usr/bin/env bash
# test_web.sh - saga-web: what it refuses, what it does for who has the token,
# what it says, and how it ends.  The page itself runs in a browser
# (tests/web/).
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

# ---- asking it ----------------------------------------------------------------

# Starts saga-web, and reads its link; fails with its error.
start_web() { # [OPTION...]
    rm -f "$SAGA_DIR/link"
    "$saga" web "$@" </dev/null >"$SAGA_DIR/link" 2>"$SAGA_DIR/web.error" &
    others+=($!)
    web_pid=$!
    within 10 link_or_end
    read_link "$(cat "$SAGA_DIR/link")"
}
link_or_end() { [ -s "$SAGA_DIR/link" ] || gone "$web_pid"; }
read_link() { # LINK
    [[ $1 =~ ^http://127\.0\.0\.1:([0-9]+)/#([0-9a-f]{32})$ ]] || {
        echo "no link: $1" "$(cat "$SAGA_DIR/web.error" 2>/dev/null)"
        return 1
    }
    port=${BASH_REMATCH[1]} token=${BASH_REMATCH[2]}
    at=http://127.0.0.1:$port
}

# Leaves status and body of the answer in $status and $body.
asked() { # [OPTION OF CURL...] PATH
    status=$(curl -s --max-time 30 -o "$SAGA_DIR/body" -w '%{http_code}' \
        "${@:1:$#-1}" "$at${*: -1}") || true
    body=$(cat "$SAGA_DIR/body" 2>/dev/null)
    rm -f "$SAGA_DIR/body"
}
answers() { # STATUS [OPTION...] PATH
    asked "${@:2}"
    [ "$status" = "$1" ] || {
        echo "status $status, not $1: ${*:2}"
        echo "$body"
        return 1
    }
}
with_token() { answers "$1" -H "Authorization: Bearer $token" "${@:2}"; }
json='Content-Type: application/json'
runs() { # STATUS WORD...: as the page runs a command
    local words
    printf -v words ',"%s"' "${@:2}"
    with_token "$1" -H "$json" -d "{\"words\":[${words:1}]}" /run
}

# The status that a request for / with these headers gets, as they are.
status_of() { # HEADER...
    local connection status
    exec {connection}<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\r\n' 'GET / HTTP/1.1' "$@" 'Connection: close' '' >&"$connection"
    read -r -t 10 _ status _ <&"$connection"
    exec {connection}>&-
    echo "$status"
}

shop_with_page() { # NAME [OPTION...]
    new_shop "$1"
    start_all
    seed
    start_web "${@:2}"
}

not_placed() { ends_with 66 "$saga" show "$1" >/dev/null 2>&1; }
place='{"words":["place","widget:1","--customer","alice","--id","o-forged"]}'

# ---- who gets an answer ---------------------------------------------------------

listens_on_loopback_alone() {
    shop_with_page loopback
    local hex
    printf -v hex %04X "$port"
    [ "$(awk -v port=":$hex" '$2 ~ port "$" && $4 == "0A" { print $2 }' \
        /proc/net/tcp)" = "0100007F:$hex" ]
    not grep -q ":$hex .* 0A " /proc/net/tcp6
}
not() { ! "$@"; }

every_answer_is_guarded() {
    shop_with_page headers
    local path
    for path in / /main.js /state /nothing; do
        curl -s -i --max-time 30 "$at$path" | tr -d '\r' >"$SAGA_DIR/answer"
        local said
        said=$(cat "$SAGA_DIR/answer")
        shows "$said" "^Content-Security-Policy: default-src 'none'; script-src 'self';"
        shows "$said" "base-uri 'none'; form-action 'none'; frame-ancestors 'none'$"
        shows "$said" '^X-Content-Type-Options: nosniff$'
        shows "$said" '^Referrer-Policy: no-referrer$'
        not grep -qi '^access-control\|^set-cookie' <<<"$said"
    done
}

forged_requests_are_refused() {
    shop_with_page forged
    local bearer="Authorization: Bearer $token" wrong
    wrong=$(tr 0-9a-f 1-9a-f0 <<<"$token")
    # A page elsewhere that rebinds its name to 127.0.0.1.
    answers 403 -H "Host: evil.example:$port" /
    answers 403 -H "Host: evil.example:$port" -H "$bearer" /state
    answers 403 -H "Host: 127.0.0.1" -H "$bearer" /state
    answers 403 --http1.0 -H 'Host:' -H "$bearer" /state
    [ "$(status_of "Host: 127.0.0.1:$port" "host: evil.example")" = 400 ]
    [ "$(status_of "Host: 127.0.0.1:$port" "Origin: $at" 'Origin: null')" = 400 ]
    [ "$(status_of "Host: 127.0.0.1:$port")" = 200 ]
    # A page elsewhere that sends its visitor's browser here.
    answers 403 -H 'Origin: http://evil.example' -H "$bearer" /state
    answers 403 -H 'Origin: null' -H "$bearer" /state
    answers 403 -H 'Sec-Fetch-Site: cross-site' -H "$bearer" /state
    answers 403 -H "Origin: http://127.0.0.1:1" -H "$bearer" -H "$json" -d "$place" /run
    answers 415 -H "$bearer" -H 'Content-Type: text/plain' -d "$place" /run
    answers 405 -X OPTIONS /run
    answers 405 -X DELETE -H "$bearer" /state
    # Another user of the machine.
    answers 401 -H "$json" -d "$place" /run
    answers 401 -H "Authorization: Bearer $wrong" -H "$json" -d "$place" /run
    answers 401 -H "Authorization: Bearer ${token:1}" /state
    answers 401 -H "Authorization: Bearer ${token}0" /stream
    answers 401 -H "Cookie: token=$token" /state
    answers 401 "/state?token=$token"
    answers 401 -H "Authorization: $token" /stream
    not_placed o-forged
    # What is not forged is answered.
    with_token 200 -H "Origin: http://127.0.0.1:$port" -H 'Sec-Fetch-Site: same-origin' /state
    with_token 200 -H "Host: localhost:$port" /state
    with_token 404 /nothing
}

# ---- what it does -----------------------------------------------------------------

does_what_the_terminal_does() {
    shop_with_page does
    runs 200 place widget:2 --customer alice --id o-page
    shows "$body" '^\{"code":0,"said":\{"order":"o-page","status":"CONFIRMED"'
    shows "$("$saga" show o-page)" CONFIRMED
    runs 200 signal payment STOP
    runs 200 show o-page --at order:4
    shows "$body" '"kind":"order",.*"status":"PENDING"'
    runs 200 trace o-none
    shows "$body" '"code":66'
    runs 200 signal payment CONT
}

other_commands_are_refused() {
    shop_with_page others
    runs 400 backup /tmp
    runs 400 shutdown --all
    runs 400 check --journal /etc/passwd
    runs 400 ls --dir /tmp
    runs 400 ls --di /tmp
    runs 400 ls --dir=/tmp
    runs 400 ls -d
    runs 400 ls --
    runs 400 'place widget:1'
    runs 400 place "widget:1;id" --customer alice
    # shellcheck disable=SC2016 # no shell sees it
    runs 400 show '$(id)'
    runs 400 restart payment now
    runs 400 show "$(printf 'a%.0s' {1..65})"
    with_token 400 -H "$json" -d '{"words":["ls"],"words":["undone"]}' /run
    with_token 400 -H "$json" -d '{"words":[]}' /run
    with_token 400 -H "$json" -d '{"words":["ls",7]}' /run
    with_token 400 -H "$json" -d '["ls"]' /run
    with_token 400 -H "$json" -d '{' /run
    runs 200 ls
}

read_only_changes_nothing() {
    shop_with_page reading --read-only
    runs 403 place widget:1 --customer alice --id o-read
    runs 403 signal payment KILL
    runs 403 fault set payment handler/slow
    runs 403 fault ls payment
    runs 403 restart payment
    not_placed o-read
    up
    runs 200 ls
    runs 200 undone
    with_token 200 /state
    shows "$body" '"read_only":true'
}

bounded() {
    shop_with_page bounds
    local long i
    printf -v long 'x%.0s' {1..3000}
    runs 413 show "$long"
    printf -v long 'x%.0s' {1..40000}
    asked -H "X-Long: $long" /
    [ "$status" != 200 ]
    asked "/$long"
    [ "$status" != 200 ]
    # Sixty-four that say nothing, and then one more.
    for i in {1..64}; do
        exec {connection}<>"/dev/tcp/127.0.0.1/$port"
    done
    ends_with 28 curl -s --max-time 1 "$at/"
    exec {connection}>&-
    answers 200 /
}

# ---- what it says -------------------------------------------------------------------

# Reads the stream into a file, until this shell ends.
watch() {
    : >"$SAGA_DIR/stream"
    curl -sN --max-time 60 -H "Authorization: Bearer $token" "$at/stream" \
        >"$SAGA_DIR/stream" &
    others+=($!)
    within 10 grep -q '^data: {"tick"' "$SAGA_DIR/stream"
}
streamed() { grep -qE -- "$1" "$SAGA_DIR/stream"; }

streams_what_is_committed() {
    shop_with_page stream
    watch
    "$saga" place widget:1 --customer alice --id o-seen >/dev/null
    within 10 streamed '"type":"OrderPlaced","version":1,"order":"o-seen"'
    within 10 streamed '"type":"StockShipped","version":1,"order":"o-seen"'
    within 10 streamed '"cursors":\{"inventory":\{"log":"[0-9a-f]*","seq":[45]'
    within 30 streamed '^data: \{"check":\{"code":0'
    streamed '^data: \{"services":\[\{"name":"inventory","process":"runs"'
}

# What a paused service has not consumed is seen all the same: in the files.
a_paused_service_is_seen() {
    shop_with_page paused
    watch
    kill -STOP "${pids[payment]}"
    "$saga" place widget:1 --customer alice --id o-piled --no-wait >/dev/null
    within 10 streamed '"type":"StockReserved","version":1,"order":"o-piled"'
    within 10 streamed '"name":"payment","process":"paused"'
    kill -CONT "${pids[payment]}"
    within 10 streamed '"type":"PaymentCharged","version":1,"order":"o-piled"'
    end payment KILL
    within 10 streamed '"name":"payment","process":"down"'
}

armed_faults_are_said() {
    shop_with_page faults
    watch
    runs 200 fault set payment handler/slow --times 3
    within 10 streamed '"point":"handler/slow",[^}]*"set":true'
}

a_burst_is_counted() {
    shop_with_page burst
    watch
    "$saga" bench --sagas 500 --no-check >/dev/null
    within 10 streamed '"skipped":[1-9]'
    [ "$(grep '^data: {"tick"' "$SAGA_DIR/stream" |
        sed 's/"seq":[0-9]*,"type"/\n&/g; s/^/\n/' | awk '
            /^data:/ { if (n > most) most = n; n = 0 } /"type"/ { n++ }
            END { print (n > most ? n : most) <= 40 }')" = 1 ]
}

# ---- metrics --------------------------------------------------------------------------

# A sample of the last scrape; nothing if there is none.
sample() { # NAME{LABELS}
    awk -v name="$1" '$1 == name { print $2 }' <<<"$body"
}
# Scrapes until it is so: the processes are looked at each two seconds.
scraped() { # NAME{LABELS} VALUE
    with_token 200 /metrics && [ "$(sample "$1")" = "$2" ]
}
counts() { # NAME{LABELS} VALUE
    within 30 scraped "$1" "$2" || {
        echo "$body"
        return 1
    }
}
took_of() { echo "saga_duration_seconds_count{service=\"order\",outcome=\"$1\"}"; }

metrics_count() {
    shop_with_page metrics
    counts "$(took_of OrderConfirmed)" 0
    "$saga" place widget:1 --customer alice --id o-private >/dev/null
    ends_with 1 "$saga" place widget:6 --customer bob >/dev/null
    counts 'saga_open_sagas{service="order"}' 0
    counts 'saga_oldest_open_seconds{service="order"}' 0.000
    counts "$(took_of OrderConfirmed)" 1
    counts "$(took_of OrderCancelled)" 1
    counts 'saga_duration_seconds_bucket{service="order",outcome="OrderConfirmed",le="+Inf"}' 1
    counts 'saga_parked_events{service="payment"}' 0
    counts 'saga_up{service="payment"}' 1
    [ "$(sample 'saga_commits_total{service="order"}')" -gt 2 ]
    [ "$(sample 'saga_syncs_total{service="order"}')" -gt 2 ]
    [ "$(sample 'saga_log_head_events{service="order"}')" = \
        "$(sqlite3 "$SAGA_DIR/order/log.db" 'SELECT max(seq) FROM event')" ]
    "$saga" fault set payment handler/slow --times 3 >/dev/null
    counts 'saga_faults_armed{service="payment"}' 1
    echo 'and nobody is named'
    shows_no "$body" 'o-private|alice|widget'
}

# What a dead service has not consumed is counted, in the files.
metrics_of_a_dead_service() {
    shop_with_page metrics-dead
    end payment KILL
    "$saga" place widget:1 --customer alice --no-wait >/dev/null
    counts 'saga_up{service="payment"}' 0
    counts 'saga_open_sagas{service="order"}' 1
    counts 'saga_feed_lag_events{service="payment",source="inventory"}' 1
    [ "$(sample 'saga_oldest_open_seconds{service="order"}')" != 0.000 ]
    same '' "$(sample 'saga_commits_total{service="payment"}')"
    start payment
    counts 'saga_feed_lag_events{service="payment",source="inventory"}' 0
    counts 'saga_open_sagas{service="order"}' 0
    counts "$(took_of OrderConfirmed)" 1
    echo 'another log is counted anew'
    end order
    rm -rf "$SAGA_DIR/order"
    start order
    counts "$(took_of OrderConfirmed)" 0
}

metrics_need_a_token() {
    shop_with_page metrics-shut
    answers 401 /metrics
    with_token 200 /metrics
    end_web
    start_web --metrics-open
    answers 200 /metrics
    shows "$body" '^saga_up{service="order"} 1$'
    answers 401 /state
    answers 401 -H "$json" -d "$place" /run
    answers 405 -X POST /metrics
    answers 403 -H "Host: evil.example:$port" /metrics
    answers 403 -H 'Origin: http://evil.example' /metrics
}
end_web() {
    kill -TERM "$web_pid"
    within 10 gone "$web_pid"
}

# ---- how it ends ----------------------------------------------------------------------

# A command that it has begun holds its lock, too, until it is another program.
its_pid() {
    pid=$("$saga" pids web)
    [[ $pid =~ ^[0-9]+$ ]]
}
one_a_directory() {
    local pid
    shop_with_page one
    ends_with 75 "$saga" web </dev/null >"$work/second" 2>&1
    shows "$(cat "$work/second")" "^saga: a saga-web runs on "
    within 10 its_pid
    same "$web_pid" "$pid"
    export SAGA_DIR=$work/other
    mkdir "$SAGA_DIR"
    start_all
    ends_with 75 "$saga" web --port "$port" </dev/null >"$work/second" 2>&1
    shows "$(cat "$work/second")" "^saga: port $port of 127.0.0.1 is in use"
}

shutdown_ends_it() {
    shop_with_page shutdown
    watch
    "$saga" shutdown --all --force >"$work/ended"
    shows "$(cat "$work/ended")" '^web.* ended|web'
    within 10 gone "$web_pid"
}

# Its command waits for a service that sleeps; both end with kill -9.
its_commands_end_with_it() {
    shop_with_page commands
    kill -STOP "${pids[payment]}"
    curl -s --max-time 30 -H "Authorization: Bearer $token" -H "$json" \
        -d "$place" "$at/run" >/dev/null &
    others+=($!)
    within 10 has_child
    kill -KILL "$web_pid"
    within 10 gone "$child"
}
has_child() {
    child=$(cat "/proc/$web_pid/task"/*/children 2>/dev/null | tr -d ' ')
    [ -n "$child" ]
}

run_sh_starts_and_stops_it() {
    export SAGA_DIR=$work/run
    trap 'NO_COLOR=1 "$root/run.sh" stop >/dev/null 2>&1' EXIT
    "$root/run.sh" -d --web --web-read-only >"$work/started"
    read_link "$(sed -n 's/^  page  *\(http[^ ]*\) .*/\1/p' "$work/started")"
    with_token 200 /state
    shows "$body" '"read_only":true,"can_start":true'
    local pid
    within 10 its_pid
    "$root/run.sh" stop >/dev/null
    gone "$pid"
    ends_with 64 "$root/run.sh" stop --web
    ends_with 64 "$root/run.sh" -d --web-port 80
}

it_ends_with_run_sh() {
    export SAGA_DIR=$work/front
    trap 'NO_COLOR=1 "$root/run.sh" stop >/dev/null 2>&1' EXIT
    "$root/run.sh" --web </dev/null >"$work/front.out" 2>&1 &
    local starter=$! pid
    within 60 grep -q 'Ctrl-C stops everything' "$work/front.out"
    within 10 its_pid
    kill -KILL $starter
    within 10 gone "$pid"
}

# ---- the page ---------------------------------------------------------------------------

small_and_its_own() {
    local bytes
    bytes=$(cat "$root"/saga-web/page/* | wc -c)
    echo "$bytes bytes"
    [ "$bytes" -le 81920 ]
    # Nothing from elsewhere: no address but the name of SVG.
    local elsewhere
    elsewhere=$(grep -nE '//[a-z0-9]+\.[a-z]' "$root"/saga-web/page/* |
        grep -v 'http://www.w3.org/2000/svg' || true)
    echo "$elsewhere"
    [ -z "$elsewhere" ]
    # All text from events is text, never markup.
    not grep -nE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function' \
        "$root"/saga-web/page/*.js
}

it 'it listens on 127.0.0.1 alone' listens_on_loopback_alone # F52 real
it 'every answer has the headers that keep others out' every_answer_is_guarded # F52 real
it 'forged requests are refused' forged_requests_are_refused # F52 real
it 'the page does what the terminal does' does_what_the_terminal_does
it 'commands and options that are not on the list are refused' other_commands_are_refused # F52 real
it 'a visitor who may only read changes nothing' read_only_changes_nothing # F52 real
it 'requests and connections are bounded' bounded # F52 real
it 'the stream says what is committed' streams_what_is_committed
it 'a paused service is seen, and so is a dead one' a_paused_service_is_seen
it 'armed faults are said' armed_faults_are_said
it 'a burst is counted, and at most 40 events of a tick are shown' a_burst_is_counted
it 'a Prometheus is told what happens, and no names' metrics_count # F52 real
it 'metrics count what a dead service has not done' metrics_of_a_dead_service
it 'metrics need the token, unless they are open' metrics_need_a_token # F52 real
it 'a directory has one saga-web, a port too' one_a_directory
it 'saga shutdown ends it' shutdown_ends_it
it 'its commands end with it' its_commands_end_with_it
it './run.sh --web starts it, and stop ends it' run_sh_starts_and_stops_it
it 'it ends with the run.sh that started it' it_ends_with_run_sh
it 'the page is small, and from nowhere else' small_and_its_own # F52 real
