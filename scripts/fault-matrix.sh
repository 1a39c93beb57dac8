#!/usr/bin/env bash
# fault-matrix.sh RESULTS... - prints docs/fault-matrix.md from what test runs
# wrote down; nothing in it is typed by hand.
#
# Each line of RESULTS has five columns, separated by tabs:
#     fault   how              times  result         detail
#     F01     real|simulated   188    ok|FAILED      a seed, or what did it
# tests/faults.tsv names the faults, and says which do not apply and why.
# Exits with 1 when a fault's last word is FAILED, with 65 when a line makes no
# sense.  PROOF_ABOUT (a sentence) says what the run was.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo 'usage: fault-matrix.sh RESULTS...' >&2; exit 64; }

commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo 'no commit')
[ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] ||
    commit+=', with changes'
# shellcheck disable=SC1091
system=$(. /etc/os-release && echo "$PRETTY_NAME")

awk -F '\t' -v now="$(date -u '+%Y-%m-%d %H:%M UTC')" -v commit="$commit" \
    -v machine="$system, Linux $(uname -r | cut -d. -f1,2), $(nproc) processors" \
    -v about="${PROOF_ABOUT:-}" '
    FILENAME == "tests/faults.tsv" {
        if (/^#/)
            next
        order[++faults] = $1
        fault[$1] = $2
        must[$1] = $3
        why_not[$1] = $4
        next
    }
    NF != 5 || !($1 in fault) || ($2 != "real" && $2 != "simulated") ||
    $3 !~ /^[0-9]+$/ || ($4 != "ok" && $4 != "FAILED") {
        printf "%s:%d: no result: %s\n", FILENAME, FNR, $0 >"/dev/stderr"
        senseless = 1
        next
    }
    {
        key = $1 SUBSEP $2
        times[key] += $3
        # a failure is not forgotten because something else went well
        if ($4 == "FAILED" && !(key in failed))
            failed[key] = $5
        if (!((key, $5) in seen) && (seen[key, $5] = 1) && ++kinds[key] <= 4)
            names[key] = names[key] (names[key] == "" ? "" : ", ") $5
    }
    # 12345678 -> 12,345,678
    function grouped(number,    text) {
        text = sprintf("%d", number)
        while (match(text, /[0-9][0-9][0-9][0-9]+/) &&
               text ~ /[0-9][0-9][0-9][0-9]/) {
            sub(/[0-9][0-9][0-9]($|,)/, ",&", text)
            if (text !~ /^[0-9][0-9][0-9][0-9]/)
                break
        }
        return text
    }
    function cell(id, how,    key) {
        key = id SUBSEP how
        if (!(key in times))
            return "-"
        if (key in failed) {
            bad++
            return grouped(times[key]) ", **FAILED**: " failed[key]
        }
        if (kinds[key] > 4)
            return grouped(times[key]) ", ok (" names[key] " and " \
                kinds[key] - 4 " more)"
        return grouped(times[key]) ", ok (" names[key] ")"
    }
    END {
        if (senseless)
            exit 65
        print "# The fault matrix"
        print ""
        print "<!-- printed by scripts/fault-matrix.sh from what the tests" \
            " wrote down (`make proof`); do not edit -->"
        print ""
        printf "%s, commit %s, on %s.\n", now, commit, machine
        if (about != "")
            print about
        print ""
        print "*Real*: real processes, files and sockets. *Simulated*: the" \
            " same code on a simulated clock, bus or disk. The"
        print "number says how often it was injected; what did it stands" \
            " behind it."
        print ""
        print "| id | fault | must | real | simulated |"
        print "|---|---|---|---|---|"
        for (i = 1; i <= faults; i++) {
            id = order[i]
            if (why_not[id] != "") {
                apart++
                printf "| %s | %s | does not apply: %s | | |\n", id, fault[id],
                    why_not[id]
                continue
            }
            real = cell(id, "real")
            simulated = cell(id, "simulated")
            if (real == "-" && simulated == "-")
                missing = missing (missing == "" ? "" : ", ") id
            else
                injected++
            printf "| %s | %s | %s | %s | %s |\n", id, fault[id], must[id],
                real, simulated
        }
        print ""
        printf "%d of %d faults were injected; %d do not apply.%s\n", injected,
            faults - apart, apart,
            missing == "" ? "" : " Not injected in this run: " missing "."
        exit bad > 0
    }
' tests/faults.tsv "$@"
