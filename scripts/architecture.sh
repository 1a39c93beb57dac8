#!/usr/bin/env bash
# architecture.sh check|write [ROOT] - keeps docs/architecture.md true to the
# tree.
#
# Between its markers the page shows what the tree says: the rooms as layers
# (scripts/check-layers.sh rooms) and each file with the first sentence of its
# first comment.  `write` puts both there; `check` prints what differs, and
# exits 1 if anything does.
#
# `check` reads the prose, too.  `name()` means a function of the file that
# was named last before it, in the same paragraph or list item; that file has
# to define it.
#
# shellcheck disable=SC2016  # the backticks are Markdown's
set -euo pipefail
scripts=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
usage() {
    echo 'usage: architecture.sh check|write [ROOT]' >&2
    exit 64
}
[[ $# -ge 1 && $# -le 2 && $1 =~ ^(check|write)$ ]] || usage
cd "${2-$scripts/..}"
page=docs/architecture.md

# ---- the rooms ------------------------------------------------------------------

# A room is one floor above the highest that it may include.
layers() {
    echo '```text'
    "$scripts/check-layers.sh" rooms | awk '
        {
            floor[$1] = 0
            for (i = 2; i <= NF; i++)
                if ($i in floor && floor[$i] >= floor[$1])
                    floor[$1] = floor[$i] + 1
            rooms[floor[$1]] = rooms[floor[$1]] sprintf("%-10s", $1)
            if (floor[$1] > top)
                top = floor[$1]
        }
        END {
            for (i = top; i >= 0; i--) {
                sub(/ +$/, "", rooms[i])
                print "  " i "   " rooms[i]
            }
        }'
    echo '```'
    echo
    echo '| room | may include |'
    echo '|---|---|'
    "$scripts/check-layers.sh" rooms | awk '{
        may = NF == 1 ? "nothing" : ""
        for (i = 2; i <= NF; i++)
            may = may (i > 2 ? ", " : "") "`" $i "`"
        print "| `" $1 "` | " may " |"
    }'
}

# ---- the files ------------------------------------------------------------------

# FILE, a tab, and the first sentence of the comment that it begins with.  One
# that only refers to its header has the header's sentence.
sentences() { # FILE...
    awk '
        function flush() {
            if (file == "")
                return
            sub(/ *\*\/.*/, "", text)
            if (match(text, /\.( |$)/))
                text = substr(text, 1, RSTART - 1)
            said[file] = text
        }
        FNR == 1 {
            flush()
            files[++n] = file = FILENAME
            name = FILENAME
            sub(/.*\//, "", name)
            text = ""
            begin = "/* " name " - "
            inside = index($0, begin) == 1
            if (!inside)
                next
            text = substr($0, length(begin) + 1)
        }
        inside && FNR > 1 {
            if (/^ \*($|\/)/) {
                inside = 0
                next
            }
            text = text " " substr($0, 4)
        }
        inside && /\*\// { inside = 0 }
        END {
            flush()
            for (i = 1; i <= n; i++) {
                file = files[i]
                text = said[file]
                name = file
                sub(/.*\//, "", name)
                header = substr(name, 1, length(name) - 2) ".h"
                if (text == "see " header) {
                    header = substr(file, 1, length(file) - 2) ".h"
                    text = said[header]
                }
                sub("^see " header ": ", "", text)
                print file "\t" text
            }
        }' "$@"
}

folders() {
    "$scripts/check-layers.sh" rooms |
        awk '{ print ($1 ~ /^(shop|saga-cli|saga-web)/ ? "" : "libevents/") $1 }'
    printf '%s\n' order-svc inventory-svc payment-svc
}

files() {
    local folder found=()
    while read -r folder; do
        found=("$folder"/*.[ch])
        [ -e "${found[0]}" ] || continue
        printf '\n| `%s/` | |\n|---|---|\n' "$folder"
        sentences "${found[@]}" | awk -F '\t' '{
            name = $1
            sub(/.*\//, "", name)
            gsub(/\|/, "\\|", $2)
            gsub(/\*/, "\\*", $2)
            print "| [`" name "`](../" $1 ") | " $2 " |"
        }'
    done < <(folders)
}

# Every file has a folder above, and says what it is.
check_files() {
    local file text found=()
    mapfile -t found < <(folders | while read -r folder; do
        find "$folder" -maxdepth 1 -name '*.[ch]'
    done)
    while IFS=$'\t' read -r file text; do
        [ -n "$text" ] ||
            wrong "$file: must begin with /* ${file##*/} - what it is. */"
    done < <(sentences "${found[@]}")
}

# ---- the page -------------------------------------------------------------------

with_parts() {
    local line
    while IFS= read -r line; do
        case $line in
            '<!-- rooms: begin'* | '<!-- files: begin'*)
                printf '%s\n' "$line"
                if [[ $line == *rooms:* ]]; then layers; else files; fi
                while IFS= read -r line && [[ $line != *': end -->' ]]; do :; done
                ;;
        esac
        printf '%s\n' "$line"
    done <"$page"
}

bad=0
wrong() {
    printf 'architecture: %s\n' "$*" >&2
    bad=1
}

# FILE and NAME of every `name()` in the prose; FILE is "-" where none was named.
mentioned() {
    awk '
        /^<!-- .*: begin/ { generated = 1 }
        /^<!-- .*: end/ { generated = 0 }
        /^```/ { fenced = !fenced }
        generated || fenced { next }
        /^ *$/ || /^ *([0-9]+\.|-) / || /^[|#]/ { file = "-" }
        {
            while (match($0, /`[a-z][a-z_0-9.\/-]*(\.[ch]|\(\))`/)) {
                word = substr($0, RSTART + 1, RLENGTH - 2)
                $0 = substr($0, RSTART + RLENGTH)
                if (word ~ /\(\)$/)
                    print file, substr(word, 1, length(word) - 2)
                else
                    file = word
            }
        }' "$page"
}

check_mentioned() {
    local file name path count=0
    while read -r file name; do
        count=$((count + 1))
        path=$file
        [ -e "$path" ] || path=libevents/$file
        if [ "$file" = - ]; then
            wrong "$page: which file has $name()?"
        elif [ ! -e "$path" ]; then
            wrong "$page: there is no $file"
        elif ! grep -qE "^[a-z].*\b$name\(|^$name\(" "$path"; then
            wrong "$page: there is no function $name() in $path"
        fi
    done < <(mentioned)
    [ $count -ge 20 ] || wrong "$page: where is the way of a command?"
}

case $1 in
    check)
        check_files
        diff -u "$page" <(with_parts) >&2 ||
            wrong "$page shows another tree; write it:  make docs"
        check_mentioned
        [ $bad -eq 0 ] && echo "architecture: $page shows the tree"
        exit $bad
        ;;
    write)
        with_parts >"$page.new"
        mv "$page.new" "$page"
        ;;
esac
