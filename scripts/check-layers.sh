#!/usr/bin/env bash
# check-layers.sh [ROOT] - the house is as it is drawn.
#
# Prints each violation and exits 1 if there is any:
#   - an include that runs up, or that does not name its room;
#   - a header that says "Used by: a.c, b.c." when others, or fewer, include it
#     (written in this form, or not at all);
#   - a name that is extern in one file and static in another: ctags and cscope
#     would show arrows that are not there;
#   - an extern name that does not begin with its module, which is its file or
#     the header that declares it;
#   - a file of more than 600 lines or a function of more than 55.
#
#   check-layers.sh rooms    prints the table of rooms and what each may include
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

# From the ground up.  A room may include itself and what stands behind it.
# "shop/shop.h" is the catalogue, and all that core may know of the shop.
rooms() {
    cat <<'END'
base
core     base shop/shop.h
log      base core
stream   base core
write    base core log stream
read     base core log stream
net/nng  base
net      base core stream net/nng
host     base core log stream write read net
audit    base core log read
shop     base core audit
END
}

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

mapfile -t sources < <(find libevents shop -name '*.[ch]' | LC_ALL=C sort)

# room_of FILE: libevents/net/nng/probe.c is in net/nng.
room_of() {
    local room=${1%/*}
    echo "${room#libevents/}"
}

arrows() {
    local file room may target
    for file in "${sources[@]}"; do
        room=$(room_of "$file")
        may=$(rooms | awk -v room="$room" '$1 == room { $1 = ""; print }')
        [ -n "$may" ] || rooms | grep -qx "$room *" ||
            echo "$file: there is no room '$room' (see: scripts/check-layers.sh rooms)"
        [ "$file" != shop/shop.c ] && [ "$file" != shop/shop.h ] || may=
        while read -r target; do
            case " $room $may " in
                *" ${target%/*} "* | *" $target "*) ;;
                *) echo "$file: must not include $target ($room may include:${may:- nothing})" ;;
            esac
        done < <(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file")
    done
}

# Who includes a header, among what is built from the source: not the tests.
users_of() { # HEADER as it is included
    grep -lE "^#include \"$1\"" "${sources[@]}" ./*-svc/*.[ch] saga-cli/*.[ch] \
        2>/dev/null | sed 's|.*/||' | LC_ALL=C sort -u | paste -sd ' ' || true
}

used_by() {
    local file said found
    for file in "${sources[@]}"; do
        [[ $file = *.h ]] || continue
        if grep -nE "only user|nobody else's|[Ii]nternal to|is used by" "$file" >"$work/claims"; then
            sed "s|^|$file: say \"Used by: a.c, b.c.\" or nothing; line |" "$work/claims"
        fi
        said=$(tr '\n' ' ' <"$file" | sed 's/ \* / /g' |
            grep -oE 'Used by: [a-z_0-9]+\.[ch](, +[a-z_0-9]+\.[ch])*' |
            sed 's/Used by: //; s/,//g' | xargs -n 1 2>/dev/null |
            LC_ALL=C sort -u | paste -sd ' ' || true)
        [ -n "$said" ] || continue
        found=$(users_of "${file#libevents/}")
        [ "$said" = "$found" ] ||
            echo "$file: says \"Used by: $said\"; included by: ${found:-nobody}"
    done
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
            if (sig ~ /= *\{?|=$/ && sig !~ /^(static|extern|typedef|struct [a-z_]+ \{|enum)/ &&
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
    local file kind name lines header module good
    mapfile -t c_files < <(printf '%s\n' "${sources[@]}" | grep '\.c$')
    definitions "${c_files[@]}" >"$work/definitions"
    awk '
        $2 == "extern" { in_file[$3] = $1 }
        { kind[NR] = $2; file[NR] = $1; name[NR] = $3 }
        END {
            for (i = 1; i <= NR; i++)
                if (kind[i] == "static" && (name[i] in in_file))
                    print file[i] ": " name[i] " is static here and extern in " in_file[name[i]]
        }' "$work/definitions"
    while read -r file kind name lines; do
        [ "$lines" -le $FUNCTION_LINES ] ||
            echo "$file: $name has $lines lines, more than $FUNCTION_LINES"
        [ "$kind" = extern ] || continue
        [[ " $UNPREFIXED " != *" $name "* ]] || continue
        good=
        for header in "$file" $(grep -lE "\b$name\b *[([;]" "${file%/*}"/*.h || true); do
            module=${header##*/}
            module=${module%.[ch]}
            module=${module%_internal}
            module=${module%_parts}
            [[ $name = "$module" || $name = "$module"_* ]] && good=1
        done
        [ -n "$good" ] ||
            echo "$file: $name does not begin with its module (${file##*/} or its header)"
    done <"$work/definitions"
}

sizes() {
    local file lines
    for file in "${sources[@]}"; do
        lines=$(wc -l <"$file")
        [ "$lines" -le $FILE_LINES ] ||
            echo "$file: $lines lines, more than $FILE_LINES"
    done
}

{ arrows; used_by; names; sizes; } >"$work/violations"
if [ -s "$work/violations" ]; then
    cat "$work/violations" >&2
    echo "check-layers: $(wc -l <"$work/violations") violations" >&2
    exit 1
fi
echo "check-layers: ${#sources[@]} files in $(rooms | wc -l) rooms, $(
    grep -c extern "$work/definitions") extern names, no arrow runs up"
