#!/usr/bin/env bash
# What contributors get: one version, compile_commands.json, the
# pre-commit hook.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

# A checkout of what is here, committed or not, without what was built.
checkout() {
    rm -rf "$work/checkout"
    mkdir "$work/checkout"
    (cd "$root" && tar -c --exclude=./build --exclude=./var --exclude=./.git .) |
        tar -x -C "$work/checkout"
    cd "$work/checkout"
    git -c init.defaultBranch=main init -q .
    git config user.name test
    git config user.email test@localhost
    git add -A
    git commit -qm start
    make -s hooks >&2
}

one_version() {
    local version program
    version=$(<"$root/VERSION")
    shows "$version" '^[0-9]+\.[0-9]+\.[0-9]+$'
    for program in saga order-svc inventory-svc payment-svc; do
        [ "$("$SAGA_BUILD/bin/$program" --version)" = "$program $version" ]
    done
}

every_source_has_its_command() {
    local file
    cd "$root"
    make -s compile_commands.json
    "$SAGA_BUILD/tests/tools/json" <compile_commands.json >/dev/null
    for file in libevents/*/*.c libevents/net/nng/*.c shop/{,cli/}*.c saga-cli/*.c \
        tests/*.c bench/*.c; do
        grep -qF "\"file\": \"$file\"" compile_commands.json || {
            echo "$file is not in compile_commands.json"
            return 1
        }
    done
}

the_hook_lets_good_changes_through() {
    checkout
    echo '/* a comment */' >>libevents/core/flow.h
    git add -A
    git commit -qm good
}

the_hook_refuses_a_bad_format() {
    checkout
    printf 'int  flow_x ( void );\n' >>libevents/core/flow.h
    git add -A
    ends_with 1 git commit -qm bad 2>"$work/said"
    shows "$(<"$work/said")" 'pre-commit: the format \(make check-format\) failed'
    [ "$(git rev-list --count HEAD)" = 1 ]
}

the_hook_says_what_it_cannot_check() {
    checkout
    printf 'int  flow_x ( void );\n' >>libevents/core/flow.h
    git add -A
    git commit -qm unchecked 2>"$work/said"
    shows "$(<"$work/said")" \
        'not checked: the format \(make check-format\) \(clang-format-14 is missing'
}

the_hook_looks_at_the_index() {
    checkout
    printf 'int  flow_x ( void );\n' >>libevents/core/flow.h
    git add -A
    git show HEAD:libevents/core/flow.h >libevents/core/flow.h # not staged
    ends_with 1 git commit -qm bad 2>"$work/said"
}

a_bad_script_is_staged() {
    checkout
    # shellcheck disable=SC2016
    printf 'rm -rf $1/*\n' >>scripts/demo.sh
    git add -A
}
the_hook_refuses_a_bad_script() {
    a_bad_script_is_staged
    ends_with 1 git commit -qm bad >"$work/said" 2>&1
    shows "$(<"$work/said")" 'pre-commit: shellcheck'
}
the_hook_says_that_shellcheck_is_missing() {
    a_bad_script_is_staged
    git commit -qm unchecked >"$work/said" 2>&1
    shows "$(<"$work/said")" 'not checked: shellcheck'
}

it 'VERSION is what every program says' one_version
it 'compile_commands.json names every source' every_source_has_its_command
# Debian 13 has no clang-format-14, by whose taste the sources are formatted.
it 'the hook lets a good change through' the_hook_lets_good_changes_through
if type -P clang-format-14 >/dev/null; then
    it 'the hook refuses a bad format' the_hook_refuses_a_bad_format
    it 'the hook looks at what is staged' the_hook_looks_at_the_index
else
    it 'the hook says what it cannot check' the_hook_says_what_it_cannot_check
fi
if type -P shellcheck >/dev/null; then
    it 'the hook refuses a script that shellcheck complains about' \
        the_hook_refuses_a_bad_script
else
    it 'the hook says that shellcheck is missing' \
        the_hook_says_that_shellcheck_is_missing
fi
