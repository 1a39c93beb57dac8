#!/usr/bin/env bash
# The live page in a real browser: Debian's Chromium, driven by playwright-core
# from npm (tests/web), so this is not one of test_*.sh: make test-web.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

npm=$SAGA_BUILD/web-npm

install_driver() { npm_install web "$npm"; }

# No order ends by its deadline, however slow the browser is.
start_shop() {
    "$root/run.sh" -d --web --order-deadline-ms 3600000 >"$work/started"
    sed -n 's/^  page  *\(http[^ ]*\).*/\1/p' "$work/started" >"$work/link"
    [ -s "$work/link" ]
}

for program in npm node chromium; do
    command -v $program >/dev/null || {
        skip 'the live page in a browser' "no $program"
        exit
    }
done
export SAGA_DIR=$work/shop NO_COLOR=1
trap '"$root/run.sh" stop >/dev/null 2>&1; rm -rf "$work"' EXIT
it 'the driver is installed as the lock file says' install_driver
it 'a shop starts, with the page' start_shop
node "$npm/journey.mjs" "$(cat "$work/link")" "$(command -v chromium)" "$saga" </dev/null
