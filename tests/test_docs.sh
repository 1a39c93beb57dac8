#!/usr/bin/env bash
# scripts/architecture.sh, on copies of the tree: docs/architecture.md is wrong
# as soon as a file, a first comment, or a function that it names has changed.
# scripts/docs.sh, on copies of docs/decisions/.
# shellcheck source=tests/tap.sh
#
# shellcheck disable=SC2016  # the backticks are Markdown's
. "$(dirname "$0")/tap.sh"

script=$root/scripts/architecture.sh
tree=$work/tree

copy_tree() {
    rm -rf "$tree"
    mkdir -p "$tree/docs"
    cp -r "$root"/{libevents,shop,saga-cli,saga-web} "$root"/*-svc "$tree"
    cp "$root/docs/architecture.md" "$tree/docs"
}

# The tree as it is now is wrong, and the check says PATTERN of it.
complains() { # PATTERN
    local said
    said=$(ends_with 1 "$script" check "$tree" 2>&1) || {
        echo "$said"
        return 1
    }
    shows "$said" "$1"
}

# docs.sh on a copy of all documents, into which SENTENCE was put.
complains_of_phrase() { # SENTENCE PATTERN
    local said
    rm -rf "$work/copy"
    mkdir "$work/copy"
    (cd "$root" && tar -c --exclude=./build --exclude=./var --exclude=./.git .) |
        tar -x -C "$work/copy"
    printf '\n%s\n' "$1" >>"$work/copy/CONTRIBUTING.md"
    printf '\n/* %s */\n' "$1" >>"$work/copy/libevents/core/flow.h"
    said=$(ends_with 1 "$work/copy/scripts/docs.sh" check 2>&1)
    shows "$said" "CONTRIBUTING.md:[0-9]+:.*$2"
    shows "$said" "libevents/core/flow.h:[0-9]+:.*$2"
}

phrases_are_named() {
    complains_of_phrase 'Whoever reads this is lost.' 'name the actor'
    complains_of_phrase 'There are 1 events behind.' 'singular'
}

shows_the_tree() {
    copy_tree
    "$script" check "$tree"
    "$script" write "$tree"
    cmp "$root/docs/architecture.md" "$tree/docs/architecture.md"
}

a_file_is_new_or_gone() {
    copy_tree
    echo '/* clock_skew.c - how far two clocks are apart.  Not more. */' \
        >"$tree/libevents/base/clock_skew.c"
    complains \
        '^\+\| \[`clock_skew.c`\].* \| how far two clocks are apart \|$'
    "$script" write "$tree"
    "$script" check "$tree"
    rm "$tree/libevents/base/clock_skew.c"
    complains '^-\| \[`clock_skew.c`\]'
}

a_comment_is_another_or_none() {
    copy_tree
    sed -i '1s/ - .*/ - something else./' "$tree/libevents/log/sql.c"
    complains '^\+\| \[`sql.c`\].* \| something else \|$'
    copy_tree
    sed -i 1d "$tree/shop/invariants.h"
    complains \
        'shop/invariants.h: must begin with /\* invariants.h - what it is'
}

a_named_function_is_gone() {
    copy_tree
    sed -i 's/\bplace_order\b/put_order/' "$tree/order-svc/order.c"
    complains \
        'there is no function place_order\(\) in order-svc/order.c$'
    copy_tree
    sed -i '/^enum evt_status subscription_/d; s/^size_t subscription_frame(/size_t frame(/' \
        "$tree/libevents/stream/subscription.c"
    complains \
        'there is no function subscription_frame\(\) in libevents/stream/subscription.c$'
    copy_tree
    mv "$tree/libevents/net/client.c" "$tree/libevents/net/asking.c"
    complains 'there is no net/client.c$'
}

a_function_without_a_file() {
    copy_tree
    printf '\nThen `somebody_else()` takes over.\n' >>"$tree/docs/architecture.md"
    complains 'which file has somebody_else\(\)\?'
}

records=$work/decisions
copy_records() {
    rm -rf "$records"
    cp -r "$root/docs/decisions" "$records"
}
refuses() { # PATTERN
    local said
    said=$(ends_with 1 "$root/scripts/docs.sh" decisions "$records" 2>&1) || {
        echo "$said"
        return 1
    }
    shows "$said" "$1"
}
records_are_complete() {
    copy_records
    "$root/scripts/docs.sh" decisions "$records"
    sed -i '1s/.*/# 0001 Another title/' "$records"/0001-*.md
    refuses '^\| \[0001\]\(0001-the-log-is-the-outbox.md\) \| Another title \|$'
    copy_records
    rm "$records"/0002-*.md
    refuses '0003-pub-is-a-hint.md: is number 2$'
    copy_records
    sed -i '/^## Evidence/d' "$records"/0004-*.md
    refuses "0004-no-topic-filters.md: has no part 'Evidence'$"
    copy_records
    echo '`shell/nobody_wrote_this_test`' >>"$records"/0005-no-state-rows.md
    refuses '0005-no-state-rows.md: there is no test shell/nobody_wrote_this_test$'
}

it 'docs/architecture.md shows the tree as it is' shows_the_tree
it 'docs/architecture.md is wrong when a file is added or removed' a_file_is_new_or_gone
it 'docs/architecture.md is wrong when a first comment changes, or is missing' \
    a_comment_is_another_or_none
it 'docs/architecture.md is wrong when a function that it names is gone' a_named_function_is_gone
it 'docs/architecture.md names no function without its file' a_function_without_a_file
it 'the index of decisions has each record, and records name tests that exist' \
    records_are_complete
it 'a phrase that readers stumble over is named' phrases_are_named
