#!/usr/bin/env bash
# prove.sh SOURCE TAP RESULTS - records which faults the tests of SOURCE covered.
#
# A test says which fault it injects in the comment behind its name:
#     Test(feed, only_a_reply_to_the_pull_in_flight_counts) /* F38 F50 */
#     it 'a read-only directory is refused' read_only # F26 real
# `real` means real files, sockets or processes; without it, simulated ones.
# One line for each such test that ran (TAP says how it went) is appended to
# RESULTS; scripts/fault-matrix.sh reads them.
set -euo pipefail
[ $# -eq 3 ] || { echo 'usage: prove.sh SOURCE TAP RESULTS' >&2; exit 64; }

awk -v OFS='\t' -v source="$(basename "$1")" '
    function note(name, comment) {
        if (comment ~ /F[0-5][0-9]/)
            faults[name] = comment
    }
    # Test(suite, name) ... up to its brace, in one line or several
    FNR == NR && FILENAME ~ /\.c$/ {
        if (/^Test\(/)
            head = ""
        if (/^Test\(/ || head != "")
            head = head " " $0
        if (head != "" && (/^\{/ || /\{$/)) {
            name = head
            sub(/^ *Test\( */, "", name)
            suite = name
            sub(/,.*/, "", suite)
            sub(/^[^,]*, */, "", name)
            sub(/[,)].*/, "", name)
            sub(/^[^\/]*/, "", head)
            note(suite "::" name, head)
            head = ""
        }
        next
    }
    # it '\''a sentence'\'' command # F26 real   (the comment may be on any of
    # the lines of the call)
    FNR == NR {
        if (/^ *it '\''/) {
            name = $0
            sub(/^ *it '\''/, "", name)
            sub(/'\''.*/, "", name)
        }
        if (name != "" && / # .*F[0-5][0-9]/) {
            comment = $0
            sub(/.* # /, "", comment)
            note(name, comment)
        }
        next
    }
    /^(not )?ok/ && !/# *SKIP/ {
        name = $0
        sub(/^(not )?ok *[0-9]* *-? */, "", name)
        sub(/ *(\([0-9.]+s\)|\(exit code.*\)|\[.*\]) *$/, "", name)
        if (!(name in faults))
            next
        how = faults[name] ~ /real/ ? "real" : "simulated"
        result = /^ok/ ? "ok" : "FAILED"
        rest = faults[name]
        while (match(rest, /F[0-5][0-9]/)) {
            print substr(rest, RSTART, 3), how, 1, result, source
            rest = substr(rest, RSTART + 3)
        }
    }
' "$1" "$2" >>"$3"
