#!/usr/bin/env bash
# flow.sh check|write SAGA - keeps the README's picture true to the rules.
#
# Between the two markers in README.md stands what the command SAGA prints for
# `flow`, from the rule tables themselves.
set -eu
cd "$(dirname "$0")/.."

with_flow() {
    awk -v flow="$1" '
        /^<!-- flow: end -->/ { within = 0 }
        !within { print }
        /^<!-- flow: begin/ {
            within = 1
            print "```text"
            printf "%s\n", flow
            print "```"
        }' README.md
}

# No data directory: a service that lies in one would be shown, too.
flow=$(NO_COLOR=1 SAGA_DIR=/nonexistent "$2" flow)
case $1 in
    check)
        if ! diff -u README.md <(with_flow "$flow"); then
            echo "check-flow: README.md differs from the rules;" \
                "write it:  make flow" >&2
            exit 1
        fi
        ;;
    write)
        with_flow "$flow" >README.md.new
        mv README.md.new README.md
        ;;
    *)
        echo 'usage: flow.sh check|write SAGA' >&2
        exit 64
        ;;
esac
