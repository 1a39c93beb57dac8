#!/usr/bin/env bash
# man-library.sh HEADER... - prints the manual page of the library,
# sagaevents(3), made of the comments and declarations in these headers and of
# the example in tests/install, which tests/test_install.sh compiles.
#
# A header has a section: its opening comment, then each declaration with the
# comment that stands above it.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
[ $# -gt 0 ] || {
    echo 'usage: man-library.sh HEADER...' >&2
    exit 64
}

# Text that is shown as it stands.
verbatim() {
    sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/"
}

example() { # FILE
    printf '.PP\n%s:\n.PP\n.EX\n' "$(basename "$1")"
    verbatim <"$1"
    echo .EE
}

cat <<END
.TH SAGAEVENTS 3 "" "sagaevents $(<VERSION)" "Pas de Trois"
.ad l
.nh
.SH NAME
sagaevents \\- event\\-sourced services that take part in a choreographed saga
.SH SYNOPSIS
.EX
#include <core/service.h>
#include <host/host.h>
.PP
cc \\-std=c17 \$(pkg\\-config \\-\\-cflags sagaevents) \\-c service.c
cc \\-o service service.o \$(pkg\\-config \\-\\-libs sagaevents)
.EE
.SH DESCRIPTION
A service is tables of rules over pure functions, in a struct service.
host_main() runs it as a process: it keeps the log of the service's events,
tells the other services about them, and answers commands and queries.
saga_main() is the command
.BR saga (1)
with what a program adds to it.
The other sections of this page are the headers.
.PP
The headers are C17.
A C++20 program includes <argp.h>, <jansson.h>, <sqlite3.h> and <uthash.h>
first, as far as it needs them, and then the headers of sagaevents inside
extern "C" { }.
END

awk '
    # @text as roff shows it; what a header calls @name is in italics.
    function roff(text) {
        gsub(/\\/, "\\e", text)
        gsub(/-/, "\\-", text)
        return text
    }
    function prose(text) {
        text = roff(text)
        while (match(text, /@[a-z_][a-z_0-9]*/))
            text = substr(text, 1, RSTART - 1) "\\fI" \
                substr(text, RSTART + 1, RLENGTH - 1) "\\fR" \
                substr(text, RSTART + RLENGTH)
        return text
    }
    function put(text) {
        print (text ~ /^[.\047]/ ? "\\&" : "") text
    }
    # The comment that is held: paragraphs; what is indented keeps its lines.
    function put_comment(i, kept) {
        for (i = 1; i <= lines; i++) {
            if (held[i] ~ /^  / && !kept) {
                print ".PP\n.nf"
                kept = 1
            } else if (held[i] !~ /^  / && kept) {
                print ".fi"
                kept = 0
                if (held[i] != "")
                    print ".PP"
            }
            if (held[i] == "")
                print ".PP"
            else
                put(prose(held[i]))
        }
        if (kept)
            print ".fi"
        lines = 0
    }
    function put_code(i) {
        if (codes == 0)
            return
        print ".PP\n.EX"
        for (i = 1; i <= codes; i++)
            put(roff(code[i]))
        print ".EE"
        codes = 0
        if (lines > 0) {
            print ".RS 4\n.PP"
            put_comment()
            print ".RE"
        }
    }
    # One line of a comment without its stars.  A line of dashes is a heading.
    function take(line) {
        sub(/ *\*\/ *$/, "", line)
        sub(/[ \t]+$/, "", line)
        if (line ~ /^ *-+$/)
            return
        if (match(line, /^ ?-+ .*[^-]/)) {
            line = substr(line, RSTART, RLENGTH)
            gsub(/^ ?-+ | $/, "", line)
            print ".SS " roff(line)
            return
        }
        sub(/^ /, "", line)
        if (lines > 0 || line != "")
            held[++lines] = line
    }
    FNR == 1 {
        put_code()
        file = FILENAME
        sub(/^libevents\//, "", file)
        print ".SH \"" roff(file) "\""
        lines = codes = comment = depth = 0
        first = 1
        sub(/^\/\* [a-z_]+\.h - /, "/* ")
    }
    comment || (depth == 0 && /^\/\*/) {
        if (!comment) {
            put_code()
            put_comment_alone()
        }
        text = $0
        if (comment)
            sub(/^ \*/, "", text)
        else
            sub(/^\/\*/, "", text)
        comment = $0 !~ /\*\/ *$/
        take(text)
        if (!comment && first) {
            put_comment()
            first = 0
        }
        next
    }
    /^#(ifndef|endif|include|define [A-Z_]+_H$)/ { next }
    /^$/ && depth == 0 { put_code(); put_comment_alone(); next }
    {
        code[++codes] = $0
        depth += gsub(/\{/, "{") - gsub(/\}/, "}")
    }
    # A comment that no declaration follows at once.
    function put_comment_alone() {
        if (lines > 0 && codes == 0) {
            print ".PP"
            put_comment()
        }
    }
    END { put_code(); put_comment_alone() }' "$@"

cat <<'END'
.SH EXAMPLE
A service that is built outside of the source tree, the program that sends it
a command, and the makefile of both:
END
for file in tests/install/*.c tests/install/Makefile; do
    example "$file"
done
cat <<'END'
.SH SEE ALSO
.BR saga (1),
.BR pkg\-config (1)
END
