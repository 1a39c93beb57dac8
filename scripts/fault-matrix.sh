#!/usr/bin/env bash
# fault-matrix.sh RESULTS... - prints docs/fault-matrix.md from what test runs
# recorded; nothing in it is typed by hand.
#
# Each line of RESULTS has five columns, separated by tabs:
#     fault   how              times  result         detail
#     F01     real|simulated   188    ok|FAILED      a seed, or what did it
# tests/faults.tsv names the faults, and says which do not apply and why.  A
# line for "hours" instead of a fault says how long the simulation ran, by its
# own clock.  What the runs come to stands above the table, with what is aimed
# at: power cuts are those of F14, executions those of fuzz targets.
# Each file is a run, the oldest first.  A failure is not forgotten because
# something else went well; only what did it can take it back, in a later run,
# and then the matrix says that it failed before.  Exits with 1 when a failure
# stands, with 65 when a line makes no sense.  PROOF_ABOUT (sentences) says what
# the runs were.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo 'usage: fault-matrix.sh RESULTS...' >&2; exit 64; }

commit=$(git rev-parse --short=12 HEAD 2>/dev/null) || commit=unknown
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
    FNR == 1 { run++ }
    NF != 5 || !($1 in fault || $1 == "hours") || ($2 != "real" && $2 != "simulated") ||
    $3 !~ /^[0-9]+$/ || ($4 != "ok" && $4 != "FAILED") {
        printf "%s:%d: no result: %s\n", FILENAME, FNR, $0 >"/dev/stderr"
        senseless = 1
        next
    }
    {
        key = $1 SUBSEP $2
        times[key] += $3
        if ($5 ~ /^fuzz target /)
            executions += $3
        last_run[key, $5] = run
        if ($4 == "FAILED")
            failed_in[key, $5] = run
        if ((key, $5) in seen)
            next
        seen[key, $5] = 1
        detail[key, ++kinds[key]] = $5
        if (kinds[key] <= 4)
            names[key] = names[key] (kinds[key] == 1 ? "" : ", ") $5
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
    # What did it, where it failed; `before`: and in a later run no more
    function failures(key, before,    i, what, all) {
        for (i = 1; i <= kinds[key]; i++) {
            what = key SUBSEP detail[key, i]
            if (what in failed_in &&
                before == (failed_in[what] < last_run[what]))
                all = all (all == "" ? "" : ", ") detail[key, i]
        }
        return all
    }
    function cell(id, how,    key, text) {
        key = id SUBSEP how
        if (!(key in times))
            return "-"
        if (failures(key, 0) != "") {
            bad++
            return grouped(times[key]) ", **FAILED**: " failures(key, 0)
        }
        text = grouped(times[key]) ", ok (" names[key]
        if (kinds[key] > 4)
            text = text " and " kinds[key] - 4 " more"
        if (failures(key, 1) != "")
            text = text "; FAILED before, until mended: " failures(key, 1)
        return text ")"
    }
    function count(id, how) {
        return (id, how) in times ? times[id, how] : 0
    }
    function total(what, reached, goal) {
        printf "| %s | %s | %s%s |\n", what, grouped(reached), grouped(goal),
            reached < goal ? ", not reached" : ""
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
        print "| in all | so many | aimed at |"
        print "|---|---|---|"
        total("power cuts, real", count("F14", "real"), 1000)
        total("power cuts, simulated", count("F14", "simulated"), 1000000)
        total("hours, simulated", count("hours", "simulated"), 1000)
        total("executions of fuzz targets", executions, 100000000)
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
