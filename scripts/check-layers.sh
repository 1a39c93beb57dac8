#!/usr/bin/env bash
# check-layers.sh [ROOT] - checks the layers of the source.
#
# Prints each violation and exits 1 if there is any:
#   - an include that runs up, or that does not name its room;
#   - a header of another library in a room that has nothing to do with it, or
#     of a library that the table does not know;
#   - a header that says "Used by: a.c, b.c." when others, or fewer, include it
#     (written in this form, or not at all);
#   - a name that is extern in one file and static in another: ctags and cscope
#     would show arrows that are not there;
#   - an extern name that does not begin with its module, which is its file or
#     the header that declares it;
#   - a file of more than 600 lines or a function of more than 55;
#   - a word of the shop (shop/words.txt) in the library.
#
#   check-layers.sh rooms    prints the table of rooms and what each may include
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

# From the ground up.  A room may include itself and what stands behind it.
rooms() {
    cat <<'END'
base
core     base
log      base core
stream   base core
write    base core log stream
read     base core log stream
net/nng  base
net      base core stream net/nng
host     base core log stream write read net
audit    base core log read
shop     base core audit
saga-cli base core log stream read net host audit
shop/cli base core read net shop saga-cli
saga-web base core log host saga-cli
END
}

# The other libraries, by the first word of their headers, and the rooms that
# may include them.  SQLite stays behind log, where the events are, and the view
# files; NNG stays behind net; what core and stream include does no I/O.
libraries() {
    cat <<'END'
argp     saga-cli shop/cli
microhttpd saga-web
fiu      base
jansson  base core write read net host saga-cli saga-web
msgpack  core stream
nng      net net/nng
sodium   base core read net host saga-cli saga-web
sqlite3  log read audit
uthash   write audit order-svc saga-web
END
}

# The headers in < > that are no library's.  Those of C go anywhere, those of
# the system anywhere but into core and stream.
C_HEADERS='assert ctype endian errno inttypes limits stdalign stdarg stdatomic stdbool
    stddef stdint stdio stdlib string time'
SYSTEM_HEADERS='arpa dirent fcntl getopt grp libgen netinet poll pthread pwd
    signal stdio_ext strings sys termios unistd'

FILE_LINES=600 FUNCTION_LINES=55
# The words of the domains, which keep reading like sentences; and what the
# shop's invariants export.
UNPREFIXED='emit refuse state_of shop_invariants'

if [ "${1-}" = rooms ]; then
    rooms
    exit
fi
cd "${1-.}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mapfile -t sources < <(find libevents shop saga-cli saga-web -name '*.[ch]' | LC_ALL=C sort)
# Names and lengths: the command's are its own.
mapfile -t named < <(printf '%s\n' "${sources[@]}" | grep -vE '^(saga-cli|shop/cli)/')

arrows() {
    awk '
        FNR == NR { # the table of rooms
            room = $1
            $1 = ""
            known[room] = 1
            may[room] = $0 " "
            next
        }
        FNR == 1 {
            room = FILENAME
            sub(/^libevents\//, "", room)
            sub(/\/[^\/]*$/, "", room)
            if (!(room in known))
                print FILENAME ": there is no room \047" room "\047" \
                    " (see: scripts/check-layers.sh rooms)"
            allowed = may[room]
            if (FILENAME ~ /^shop\/shop\.[ch]$/)
                allowed = " core/event.h "
            if (FILENAME == "shop/roster.c") # who knows all services
                allowed = " order-svc inventory-svc payment-svc "
        }
        /^#include "/ {
            split($0, quoted, "\"")
            target = where = quoted[2]
            sub(/\/?[^\/]*$/, "", where)
            if (where != room && !index(allowed, " " where " ") &&
                !index(allowed, " " target " "))
                print FILENAME ": must not include " target " (" room \
                    " may include:" (allowed ~ /[^ ]/ ? allowed : " nothing") ")"
        }' <(rooms) "${sources[@]}" | sed 's/ )$/)/'
}

foreign() {
    awk -v of_c=" ${C_HEADERS//[[:space:]]/ } " \
        -v of_system=" ${SYSTEM_HEADERS//[[:space:]]/ } " '
        FNR == NR { # the table of libraries
            library = $1
            $1 = ""
            may[library] = $0 " "
            next
        }
        /^#include </ {
            room = FILENAME
            sub(/^libevents\//, "", room)
            sub(/\/[^\/]*$/, "", room)
            header = word = $0
            sub(/^#include </, "", header)
            sub(/>.*/, "", header)
            word = header
            sub(/[\/.-].*/, "", word)
            if (index(of_c, " " word " "))
                next
            if (word in may ? index(may[word], " " room " ") \
                            : index(of_system, " " word " ") && \
                              room != "core" && room != "stream")
                next
            print FILENAME ": must not include <" header "> (rooms that may:" \
                (word in may ? may[word] : " none") ")"
        }' <(libraries) "${sources[@]}" | sed 's/ )$/)/'
}

# What a header says of its users, against who includes it: of what is built
# from the source, not of the tests.
used_by() {
    mapfile -t users < <(printf '%s\n' "${sources[@]}" ./*-svc/*.[ch])
    awk '
        function base(path) { sub(/.*\//, "", path); return path }
        FNR == 1 { said = 0 }
        FILENAME ~ /\.h$/ && /only user|nobody else\047s|[Ii]nternal to|is used by/ {
            print FILENAME ": say \"Used by: a.c, b.c.\" or nothing; line " FNR ": " $0
        }
        FILENAME ~ /\.h$/ && /Used by: / { said = 1; sub(/.*Used by: /, "") }
        said {
            line = $0
            sub(/^ \* /, "", line)
            while (match(line, /^ *[a-z_0-9]+\.[ch],?/)) {
                name = substr(line, RSTART, RLENGTH)
                gsub(/[ ,]/, "", name)
                claims[FILENAME] = claims[FILENAME] " " name
                said = substr(line, RLENGTH, 1) == ","
                line = substr(line, RSTART + RLENGTH)
            }
        }
        /^#include "/ {
            split($0, quoted, "\"")
            includes[quoted[2]] = includes[quoted[2]] " " base(FILENAME)
        }
        END {
            for (header in claims) {
                target = header
                sub(/^libevents\//, "", target)
                n = split(claims[header], said_by, " ")
                m = split(includes[target], used, " ")
                good = n == m
                for (i = 1; i <= n; i++) good = good && \
                    index(includes[target] " ", " " said_by[i] " ")
                if (!good)
                    print header ": says \"Used by:" claims[header] "\"; included by:" \
                        (m > 0 ? includes[target] : " nobody")
            }
        }' "${users[@]}"
}

# Every definition at file level: FILE static|extern NAME LINES.
definitions() {
    awk '
        function finish() { sig = "" }
        FNR == 1 { comment = body = braces = 0; finish() }
        comment { if (/\*\//) comment = 0; next }
        body {
            if ($0 == "}") {
                print FILENAME, kind, name, FNR - start + 1
                body = 0
                finish()
            }
            next
        }
        braces { if (/^}/) { braces = 0; finish() } next }
        /^\/\*/ { if (!/\*\//) comment = 1; next }
        define || /^#/ { define = /\\$/; next } # with its further lines
        /^(\/\/|$)/ { if (/^$/) finish(); next }
        $0 == "{" && sig ~ /\(/ {
            match(sig, /[A-Za-z_][A-Za-z_0-9]* *\(/)
            name = substr(sig, RSTART, RLENGTH)
            sub(/ *\($/, "", name)
            kind = sig ~ /^static / ? "static" : "extern"
            body = 1
            next
        }
        {
            if (sig == "")
                start = FNR
            sig = sig (sig == "" ? "" : " ") $0
            if (sig ~ /= *\{?|=$/ && sig !~ /^(static|extern|typedef|struct [a-z_]+ \{|enum|_Static_assert)/ &&
                match(sig, /[A-Za-z_][A-Za-z_0-9]*(\[[^]]*\])* *=/)) {
                name = substr(sig, RSTART, RLENGTH)
                sub(/[[ =].*/, "", name)
                print FILENAME, "extern", name, 0
            }
            if (/\{$/ && !/\}$/)
                braces = 1
            if (/;$/)
                finish()
        }' "$@"
}

names() {
    mapfile -t c_files < <(printf '%s\n' "${named[@]}" | grep '\.c$')
    mapfile -t headers < <(printf '%s\n' "${named[@]}" | grep '\.h$')
    definitions "${c_files[@]}" >"$work/definitions"
    awk -v longest=$FUNCTION_LINES -v unprefixed=" $UNPREFIXED " '
        function module_of(file) {
            sub(/.*\//, "", file)
            sub(/(_internal|_parts)?\.[ch]$/, "", file)
            return file
        }
        function begins_with(name, module) {
            return name == module || index(name, module "_") == 1
        }
        FILENAME ~ /\.h$/ { # every word that is called or declared there
            room = FILENAME
            sub(/\/[^\/]*$/, "", room)
            text = $0
            while (match(text, /[A-Za-z_][A-Za-z_0-9]* *[[(;]/)) {
                word = substr(text, RSTART, RLENGTH)
                sub(/ *.$/, "", word)
                if (begins_with(word, module_of(FILENAME)))
                    declared[room, word] = 1
                text = substr(text, RSTART + RLENGTH)
            }
            next
        }
        {
            n++
            file[n] = $1
            kind[n] = $2
            name[n] = $3
            if ($2 == "extern")
                owner[$3] = $1
            if ($4 > longest)
                print $1 ": " $3 " has " $4 " lines, more than " longest
        }
        END {
            for (i = 1; i <= n; i++) {
                room = file[i]
                sub(/\/[^\/]*$/, "", room)
                if (kind[i] == "static" && (name[i] in owner))
                    print file[i] ": " name[i] " is static here and extern in " owner[name[i]]
                else if (kind[i] == "extern" && !((room, name[i]) in declared) &&
                    !begins_with(name[i], module_of(file[i])) &&
                    !index(unprefixed, " " name[i] " "))
                    print file[i] ": " name[i] " does not begin with its module" \
                        " (its file or the header that declares it)"
            }
        }' "${headers[@]}" "$work/definitions"
}

sizes() {
    wc -l "${named[@]}" | awk -v longest=$FILE_LINES \
        '$2 != "total" && $1 > longest {
            print $2 ": " $1 " lines, more than " longest }'
}

# A word of the shop in the library.
words() {
    { grep -v '^#' shop/words.txt
        sed -n 's/^    { [A-Z_]*, *[0-9]*, "\([A-Za-z]*\)",.*/\1/p' shop/shop.c; } |
        LC_ALL=C sort -u >"$work/words"
    printf '%s\n' "${sources[@]}" | grep -E '^(libevents|saga-cli)/' |
        { xargs grep -nowiFf "$work/words" || true; } |
        sed 's/^\([^:]*\):\([0-9]*\):\(.*\)/\1: speaks of the shop (shop\/words.txt), line \2: \3/'
}

{ arrows; foreign; used_by; names; sizes; words; } >"$work/violations"
if [ -s "$work/violations" ]; then
    cat "$work/violations" >&2
    count=$(wc -l <"$work/violations")
    echo "check-layers: $count violation$([ "$count" = 1 ] || echo s)" >&2
    exit 1
fi
echo "check-layers: ${#sources[@]} files in $(rooms | wc -l) rooms, $(
    grep -c extern "$work/definitions") extern names, no arrow runs up"
