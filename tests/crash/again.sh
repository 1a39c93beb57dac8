#!/usr/bin/env bash
# again.sh [TIMES] - old messages come again: heartbeats, events, and replies to
# pulls, after newer ones and after a restart, to one who waits for another
# answer.  again.c sends them, TIMES of each at least.
#
# Nobody may take one for news or for the publisher's loss of its log.  What
# an old reply has replaced is lost, so that it has to be pulled again.
# SECONDS_MAX=n stops after so long.
# shellcheck source=tests/crash/common.sh
. "$(dirname "$0")/common.sh"

times=${1:-20}
deadline=$((SECONDS + ${SECONDS_MAX:-1000000}))

start_again() { # SERVICE
    start_by=(env "LD_PRELOAD=$preloads/again.so"
        "AGAIN_COUNTS=$SAGA_DIR/again.$1")
    start "$1"
    start_by=()
}
sent_again() { # LETTER
    cat "$SAGA_DIR"/again.* | tr -cd "$1" | wc -c
}
often() { # LETTER
    [ "$(sent_again "$1")" -ge "$times" ]
}

# How many replies the services took for old ones.
known_for_old() {
    local s i sum=0
    asked_json 0 status
    for s in "${services[@]}"; do
        for i in 0 1; do
            sum=$((sum + $(field "services.$s.feeds.$i.counts.stale")))
        done
    done
    echo "$sum old replies were known for that"
    [ $sum -gt 0 ]
}

old_messages_are_no_news() {
    local s kind
    for s in "${services[@]}"; do start_again "$s"; done
    all_up
    stock_up
    begin_load
    for s in "${services[@]}"; do
        load_flows 30
        end "$s" KILL 2>/dev/null
        start_again "$s"
    done
    for kind in h e r; do
        until often $kind || [ $SECONDS -ge "$deadline" ]; do load_flows 10; done
    done
    all_healed >/dev/null
    echo "again: $(sent_again h) heartbeats, $(sent_again e) frames," \
        "$(sent_again r) replies"
    injected "$(sent_again r)" # the fewest
    ! grep -hE '"level":"error"|diverged' "$SAGA_DIR"/*.log || return 1
    known_for_old
}

proves 'F33 F38 F50' 'old heartbeats, frames and replies are no news and no alarm' \
    in_shop again old_messages_are_no_news
