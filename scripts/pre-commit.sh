#!/usr/bin/env bash
# pre-commit.sh - the quick checks of what is about to be committed; git runs it
# after `make hooks`.  `git commit --no-verify` goes around it.
#
# Looks at the staged files as they are in the index, not at the work tree:
# the format of C files, shellcheck of scripts, the layers, and, if a document
# is among them, the documents.  Takes some seconds; .ci/run decides.
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"

mapfile -d '' staged < <(git diff --cached --name-only --diff-filter=ACMR -z)
[ ${#staged[@]} -gt 0 ] || exit 0

index=$(mktemp -d)
trap 'rm -rf "$index"' EXIT
git checkout-index --all --prefix="$index/"
# Git hands these to hooks; commands in the copy must not follow them.
unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE
cd "$index"

bad=0
check() { # WHAT COMMAND...
    type -P "$2" >/dev/null || {
        echo "pre-commit: not checked: $1 ($2 is missing: scripts/packages.sh install ci)" >&2
        return
    }
    "${@:2}" || {
        echo "pre-commit: $1 failed (see above)" >&2
        bad=1
    }
}
of_kind() { # ENDING...: the staged files with one of them
    local file ending
    for file in "${staged[@]}"; do
        for ending; do
            [[ $file != *"$ending" ]] || printf '%s\0' "$file"
        done
    done
}

mapfile -d '' c_files < <(of_kind .c .h)
mapfile -d '' scripts < <(of_kind .sh .ci/run)
mapfile -d '' documents < <(of_kind .md docs/words.txt)
if [ ${#c_files[@]} -gt 0 ]; then
    check 'the format (make check-format)' \
        clang-format-14 --dry-run -Werror "${c_files[@]}"
    check 'the layers (make check-layers)' scripts/check-layers.sh
fi
[ ${#scripts[@]} -eq 0 ] ||
    check 'shellcheck (make shellcheck)' shellcheck -x "${scripts[@]}"
[ ${#documents[@]} -eq 0 ] ||
    check 'the documents (scripts/docs.sh check)' scripts/docs.sh check
exit $bad
