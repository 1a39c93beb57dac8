#!/usr/bin/env bash
# make check-compat, on copies of the source with a change that breaks users'
# logs or old programs: each is refused, with the message, the version, the
# field and what to do; and changes that break nothing are not.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

tree=$work/tree
catalogue=$tree/shop/shop.c
tools=$SAGA_BUILD/tests/tools

as_it_was() {
    rm -rf "$tree"
    mkdir -p "$tree"
    (cd "$root" && cp -r --parents libevents shop \
        tests/golden tests/tools/compat.c scripts/compat.sh "$tree")
}

# A sed SCRIPT changes FILE, or the test is about nothing.
plant() { # FILE SCRIPT
    cp "$1" "$work/before"
    sed -i -E "$2" "$1"
    ends_with 1 cmp -s "$work/before" "$1"
}

# All that knows the catalogue is compiled; what else it needs, no plant changes.
checks() {
    local program=$tree/build/tests/tools/compat
    mkdir -p "$(dirname "$program")"
    (cd "$tree" && cc -std=c17 -D_GNU_SOURCE -Ilibevents -I. \
        -DSAGA_VERSION="\"$(cat "$root/VERSION")\"" -o "$program" \
        shop/shop.c libevents/core/describe.c tests/tools/compat.c \
        "$SAGA_BUILD/libevents.a" -ljansson -lsodium) || return 70
    "$tree/scripts/compat.sh" check build
}
refused() { # PATTERN...
    local said
    said=$(ends_with 1 checks) || {
        echo "$said"
        return 1
    }
    local pattern
    for pattern; do shows "$said" "$pattern"; done
}
accepted() {
    local said
    said=$(ends_with 0 checks) || {
        echo "$said"
        return 1
    }
    shows "$said" '^compat: 22 messages of 0\.1\.0 compared$'
}

nothing() {
    as_it_was
    accepted
}

# ---- a version is changed ----------------------------------------------------

new_version='declare a new version with an upcast'

widened_range() {
    as_it_was
    plant "$catalogue" '/ charged\[\] =/,/END/s/ORDER_TOTAL_MAX/2 * ORDER_TOTAL_MAX/'
    refused '^PaymentCharged version 1, field amount_cents: max was 1000000000000 in 0\.1\.0 and is 2000000000000$' \
        "$new_version"
}
widened_id() {
    as_it_was
    plant "$tree/shop/shop.h" 's/SKU_BYTES = 32/SKU_BYTES = 64/'
    refused '^OrderPlaced version 1, field lines\.sku: max was 31 in 0\.1\.0 and is 63$' \
        "$new_version"
}
other_unit() {
    as_it_was
    plant "$catalogue" '/ declined\[\] =/,/END/s/"cents", \.max/"units", .max/'
    refused '^PaymentDeclined version 1, field needed: unit was cents in 0\.1\.0 and is units$'
}
another_tag() {
    as_it_was
    plant "$catalogue" 's/(\{"sku", FIELD_ID, IN_PAYLOAD\(sku\))\}, .*no tag.*$/SKU,/'
    refused '^StockRejected version 1, field sku: tag was nothing in 0\.1\.0 and is sku$'
}
new_field() {
    as_it_was
    plant "$catalogue" '/ shipped\[\] =/,/END/s/LINES\(1, plain_line\)/&, REASON/'
    refused '^StockShipped version 1, field reason: it is new, and programs of 0\.1\.0 refuse it$' \
        "$new_version"
}
lost_field() {
    as_it_was
    plant "$catalogue" '/ refunded\[\] =/,/END/s/, REASON, END/, END/'
    refused '^PaymentRefunded version 1, field reason: it is in 0\.1\.0 and is gone$'
}
moved_field() {
    as_it_was
    plant "$catalogue" '/ reserved\[\] =/,/END/s/CUSTOMER, (LINES\(1, plain_line\)),/\1, CUSTOMER,/'
    refused '^StockReserved version 1, field customer: it was number 1 in 0\.1\.0$'
}
other_compensation() {
    as_it_was
    plant "$catalogue" 's/undoes = STOCK_RESERVED/undoes = STOCK_REJECTED/'
    refused '^StockReleased version 1: undoes was StockReserved in 0\.1\.0 and is StockRejected$'
}
changed_command() {
    as_it_was
    plant "$catalogue" '/ delivery\[\] =/,/END/s/RECEIPT_MAX/2 * RECEIPT_MAX/'
    refused '^ReceiveStock version 1, field quantity: max was 1000000 in 0\.1\.0 and is 2000000$' \
        'declare a command of another name'
}

# ---- a message goes, or comes ------------------------------------------------

removed_event() {
    as_it_was
    plant "$catalogue" '/\{ PAYMENT_VOIDED,/d'
    refused '^PaymentVoided version 1: it was released in 0\.1\.0, a golden log holds one, and it is gone$' \
        'Put its row back in shop/shop\.c'
}
removed_version() {
    as_it_was
    plant "$catalogue" '/\{ FUNDS_DEPOSITED,   1,/,+1d'
    refused '^FundsDeposited version 1: it was released in 0\.1\.0, a golden log holds one' \
        '^FundsDeposited version 2: there is no version 1$'
}
renamed_command() {
    as_it_was
    plant "$catalogue" 's/"CancelOrder"/"AbandonOrder"/'
    refused '^CancelOrder version 1: it was released in 0\.1\.0, messages\.txt holds one, and it is gone$'
}
unheard_of() {
    as_it_was
    sed -i '/OrderConfirmed/d' "$tree"/tests/golden/*/*
    plant "$catalogue" '/\{ ORDER_CONFIRMED,/d'
    refused '^OrderConfirmed version 1: the catalogue of 0\.1\.0 has it, its golden 0\.1\.0/messages\.txt does not$'
}

version_2() { # TYPE NAME FIELDS [UPCAST]
    plant "$catalogue" "s/^( *\\{ $1, +)1(, .* $3)(.*)/\\1 1\\2${4:+, .upcast = $4} },\\n\\1 2\\2\\3/"
}
# As a golden log of 0.2.0 would have it.
golden_event() { # NAME VERSION
    mkdir -p "$tree/tests/golden/$(cat "$root/VERSION")"
    printf "INSERT INTO event VALUES (1, '%s', %s, 'o-1', 0, '', x'', 0, '', x'', x'');\n" \
        "$1" "$2" >"$tree/tests/golden/$(cat "$root/VERSION")/inventory.sql"
}
no_upcast() {
    as_it_was
    version_2 STOCK_SHIPPED StockShipped shipped
    golden_event StockShipped 2
    refused '^StockShipped version 1: there is no upcast to version 2$' 'units_to_cents'
}
no_golden_event() {
    as_it_was
    version_2 STOCK_SHIPPED StockShipped shipped units_to_cents
    refused '^StockShipped version 2: no golden log holds one$' 'make golden'
}
command_version() {
    as_it_was
    version_2 CANCEL_ORDER CancelOrder reason units_to_cents
    refused '^CancelOrder version 2: a command has version 1 only$' \
        'requests carry no version'
}
unreleased_catalogue() {
    as_it_was
    mkdir "$tree/tests/golden/0.1.5"
    cp "$tree"/tests/golden/0.1.0/* "$tree/tests/golden/0.1.5"
    refused '^version 0\.1\.5 has golden logs, and no shop/released/0\.1\.5\.json$'
}

complete_version() {
    as_it_was
    version_2 STOCK_SHIPPED StockShipped shipped units_to_cents
    golden_event StockShipped 2
    accepted
}
added_message() {
    as_it_was
    plant "$tree/shop/shop.h" 's/^( *)STOCK_SHIPPED,/&\n\1STOCK_COUNTED,/'
    plant "$catalogue" 's/^.*\{ STOCK_SHIPPED,.*$/&\n    { STOCK_COUNTED, 1, "StockCounted", 0, .fields = delivery },/'
    accepted
}

# ---- the files of releases ---------------------------------------------------

# A repository in $work/NAME with this version's sources, and no release of it.
repository() { # NAME
    local git=(git -C "$work/$1" -c user.name=t -c user.email=t@t)
    mkdir -p "$work/$1/shop/released" "$work/$1/scripts"
    cp "$root/scripts/compat.sh" "$work/$1/scripts"
    cp "$root/VERSION" "$work/$1"
    git init -q "$work/$1"
    "${git[@]}" add .
    "${git[@]}" commit -qm first
}
a_release_is_written_once() {
    repository written
    cd "$work/written"
    scripts/compat.sh release "$SAGA_BUILD"
    "$tools/json" <"shop/released/$(cat VERSION).json"
    shows "$("$tools/json" commit <"shop/released/$(cat VERSION).json")" \
        "^$(git rev-parse HEAD)$"
    said=$(ends_with 73 scripts/compat.sh release "$SAGA_BUILD" 2>&1)
    shows "$said" 'a released file is never changed'
}
a_release_is_a_commit() {
    repository dirty
    cd "$work/dirty"
    echo 9.9.9 >VERSION
    said=$(ends_with 65 scripts/compat.sh release "$SAGA_BUILD" 2>&1)
    shows "$said" 'changes that are not committed'
}
shallow() {
    repository shallow
    cd "$work/shallow"
    cp "$root"/shop/released/*.json shop/released
    said=$(ends_with 69 scripts/compat.sh previous 2>&1)
    shows "$said" '^compat: commit [0-9a-f]{40}, which is release 0\.1\.0, is not in this clone;'
    shows "$said" 'git fetch --unshallow'
}

it 'nothing is wrong with the catalogue as it is' nothing
it 'a widened range is refused' widened_range
it 'a longer id is refused, in the lines of an order, too' widened_id
it 'another unit is refused' other_unit
it 'another tag is refused' another_tag
it 'a field more is refused' new_field
it 'a field less is refused' lost_field
it 'another order of fields is refused' moved_field
it 'another compensation is refused' other_compensation
it 'a changed command is refused' changed_command
it 'a removed event is refused while a golden log holds one' removed_event
it 'a removed version is refused while a golden log holds one' removed_version
it 'a renamed command is refused' renamed_command
it 'an edited golden file is named' unheard_of
it 'a new version without an upcast is refused' no_upcast
it 'a new version without a golden event is refused' no_golden_event
it 'a new version of a command is refused' command_version
it 'golden logs without the catalogue of their version are named' unreleased_catalogue
it 'a new version with both is accepted' complete_version
it 'an added message is accepted' added_message
it 'make released writes a version once' a_release_is_written_once
it 'make released wants everything committed' a_release_is_a_commit
it 'a clone without the commit of the release says how to get it' shallow
