#!/usr/bin/env bash
# What saga-web tells a Prometheus, judged by promtool and scraped by Prometheus
# itself.  Debian's package starts a server when it is installed, so it is only
# unpacked, into the build directory; this is not one of test_*.sh: make
# test-metrics.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source=tests/processes.sh
. "$(dirname "$0")/processes.sh"

there=$SAGA_BUILD/prometheus

unpack() {
    [ ! -x "$there/usr/bin/promtool" ] || return 0
    rm -rf "$there"
    mkdir -p "$there"
    cd "$there"
    apt-get -q download prometheus
    dpkg-deb -x prometheus_*.deb .
    rm prometheus_*.deb
}

# A shop with a page, and what it has to say in $work/metrics.
with_metrics() {
    start_all
    seed
    "$saga" place widget:1 --customer alice >/dev/null
    "$saga" web --metrics-open </dev/null >"$SAGA_DIR/link" &
    others+=($!)
    within 10 grep -q '#' "$SAGA_DIR/link"
    at=$(sed 's|/#.*||' "$SAGA_DIR/link")
    within 10 scrape
}
scrape() {
    curl -sf --max-time 30 "$at/metrics" >"$work/metrics" &&
        grep -q '^saga_up{service="payment"} 1$' "$work/metrics"
}

promtool_takes_it() {
    with_metrics
    "$there/usr/bin/promtool" check metrics <"$work/metrics"
    echo 'and what is none is refused'
    grep -v '^# HELP saga_up' "$work/metrics" >"$work/no-help"
    ends_with 3 "$there/usr/bin/promtool" check metrics <"$work/no-help"
    sed 's/{service="payment"} 1/{service=payment} 1/' "$work/metrics" \
        >"$work/unquoted"
    ends_with 1 "$there/usr/bin/promtool" check metrics <"$work/unquoted"
}

# Asks it for a number, or whether it is ready.
asked_prometheus() { curl -sf --max-time 10 "http://127.0.0.1:$port$1"; }
prometheus_has() { # QUERY VALUE
    [ "$(asked_prometheus "/api/v1/query?query=$1" |
        "$tools/json" data.result.0.value.1 2>/dev/null)" = "$2" ]
}
prometheus_scrapes_it() {
    with_metrics
    port=$(nine_ports)
    cat >"$work/prometheus.yml" <<END
scrape_configs:
  - job_name: saga
    scrape_interval: 1s
    static_configs: [{ targets: ['${at#http://}'] }]
END
    "$there/usr/bin/promtool" check config "$work/prometheus.yml"
    "$there/usr/bin/prometheus" --config.file="$work/prometheus.yml" \
        --storage.tsdb.path="$work/tsdb" --log.level=warn \
        --web.listen-address="127.0.0.1:$port" &
    others+=($!)
    within 60 asked_prometheus /-/ready
    within 60 prometheus_has 'up%7Bjob%3D%22saga%22%7D' 1
    within 60 prometheus_has 'sum(saga_up)' 3
    prometheus_has 'saga_duration_seconds_count%7Boutcome%3D%22OrderConfirmed%22%7D' 1
    prometheus_has 'count(histogram_quantile(0.5,saga_duration_seconds_bucket)%3E0)' 1
}

if ! command -v apt-get >/dev/null; then
    skip 'Prometheus reads our metrics' 'no Debian'
    exit
fi
it 'the package is unpacked' unpack
it 'promtool has nothing to say against them' in_shop promtool promtool_takes_it
it 'Prometheus scrapes them' in_shop prometheus prometheus_scrapes_it
