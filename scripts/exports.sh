#!/usr/bin/env bash
# exports.sh HEADER... - the version script of libsagaevents.so: what these
# headers declare is exported, all else is hidden.
#
# A function or an object counts if the header only declares it: what is
# static, a type or a macro leaves no name in the library.  Declarations are
# read as clang-format writes them; tests/test_install.sh compares the outcome
# with what the compiler says of the same headers.
set -euo pipefail
[ $# -gt 0 ] || {
    echo 'usage: exports.sh HEADER...' >&2
    exit 64
}

# The number of the library's binary interface, as in its soname.
echo 'SAGAEVENTS_0 {'
echo '    global:'
awk '
    function name_of(text) { # the last word of @text
        sub(/[ \t]+$/, "", text)
        sub(/.*[^A-Za-z_0-9]/, "", text)
        return text
    }
    function declared(text, names, n, i) {
        gsub(/[ \t]+/, " ", text)
        sub(/^ /, "", text)
        if (text ~ /^(typedef|static|_Static_assert)/)
            return
        if (text ~ /^extern [^(]*$/) {
            n = split(text, names, ",")
            for (i = 1; i <= n; i++) {
                sub(/\[.*/, "", names[i])
                print "        " name_of(names[i]) ";"
            }
        } else if (text ~ /^[^(]*[A-Za-z_0-9] ?\(/) {
            sub(/\(.*/, "", text)
            print "        " name_of(text) ";"
        }
    }
    FNR == 1 { statement = ""; depth = comment = more = 0 }
    {
        line = $0
        if (more || line ~ /^ *#/) { # the preprocessor, with its further lines
            more = line ~ /\\$/
            next
        }
        code = ""
        while (comment || (at = index(line, "/*"))) {
            if (!comment) {
                code = code substr(line, 1, at - 1) " "
                line = substr(line, at + 2)
            }
            at = index(line, "*/")
            comment = !at
            line = at ? substr(line, at + 2) : ""
            if (comment)
                break
        }
        line = code line
        sub(/\/\/.*/, "", line)
        n = split(line, letters, "")
        for (i = 1; i <= n; i++) {
            letter = letters[i]
            if (letter == "{") {
                depth++
            } else if (letter == "}") {
                depth--
                if (depth == 0 && statement ~ /\(/) # the body of a function
                    statement = ""
            } else if (depth == 0 && letter == ";") {
                declared(statement)
                statement = ""
            } else if (depth == 0) {
                statement = statement letter
            }
        }
        statement = statement " "
    }' "$@" | LC_ALL=C sort -u
echo '    local:'
echo '        *;'
echo '};'
