#!/usr/bin/env bash
# scripts/check-layers.sh, on copies of the house in which something was
# planted: each kind of violation is named, with the file that has it.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/tap.sh"

check=$root/scripts/check-layers.sh
house=$work/house

build_house() {
    rm -rf "$house"
    mkdir "$house"
    cp -r "$root"/{libevents,shop,saga-cli,saga-web} "$root"/*-svc "$house"
}

# What the check says of the house as it is now; it has to be wrong.
complaint() {
    ends_with 1 "$check" "$house" 2>&1
}

it_is_as_drawn() {
    build_house
    "$check" "$house"
}

an_arrow_runs_up() {
    local said
    build_house
    sed -i '/^#include "log\/store.h"/a #include "host/host.h"' \
        "$house/libevents/log/store_internal.h"
    said=$(complaint)
    shows "$said" \
        'libevents/log/store_internal.h: must not include host/host.h \(log may include: base core\)'
}

the_library_looks_into_the_shop() {
    local said
    build_house
    sed -i '/^#include "core\/flow.h"/a #include "shop/invariants.h"' \
        "$house/libevents/core/flow.c"
    said=$(complaint)
    shows "$said" 'libevents/core/flow.c: must not include shop/invariants.h'
    build_house
    sed -i '/^#include "net\/address.h"/a #include "order-svc/order.h"' \
        "$house/libevents/net/address.c"
    said=$(complaint)
    shows "$said" 'libevents/net/address.c: must not include order-svc/order.h'
}

the_library_speaks_of_the_shop() {
    local said
    build_house
    sed -i '1a /* as many Widget as there are */' "$house/libevents/core/flow.c"
    sed -i '1a static const char *const first = "OrderPlaced";' \
        "$house/saga-cli/flow.c"
    said=$(complaint)
    shows "$said" 'libevents/core/flow.c: speaks of the shop \(.*\), line 2: Widget$'
    shows "$said" 'saga-cli/flow.c: speaks of the shop \(.*\), line 2: OrderPlaced$'
}

a_library_is_in_the_wrong_room() {
    local said
    build_house
    sed -i '/^#include <assert.h>/i #include <nng/nng.h>' \
        "$house/libevents/write/outbox.c"
    sed -i '1a #include <sqlite3.h>' "$house/shop/roster.c"
    sed -i '/^#include "core\/flow.h"/a #include <unistd.h>' \
        "$house/libevents/core/flow.c"
    sed -i '1a #include <zlib.h>' "$house/libevents/log/sql.c"
    said=$(complaint)
    shows "$said" \
        'libevents/write/outbox.c: must not include <nng/nng.h> \(rooms that may: net net/nng\)'
    shows "$said" 'shop/roster.c: must not include <sqlite3.h> .*: log read audit\)'
    shows "$said" 'libevents/core/flow.c: must not include <unistd.h> \(rooms that may: none\)'
    shows "$said" 'libevents/log/sql.c: must not include <zlib.h> \(rooms that may: none\)'
    shows "$said" 'check-layers: 4 violations'
}

an_include_names_no_room() {
    local said
    build_house
    sed -i 's/^#include "log\/sql.h"/#include "sql.h"/' "$house/libevents/log/sql.c"
    said=$(complaint)
    shows "$said" 'libevents/log/sql.c: must not include sql.h'
}

a_room_is_unknown() {
    local said
    build_house
    mkdir "$house/libevents/attic"
    echo '/* box.h - a box. */' >"$house/libevents/attic/box.h"
    said=$(complaint)
    shows "$said" "libevents/attic/box.h: there is no room 'attic'"
}

a_claim_of_users_is_untrue() {
    local said
    build_house
    sed -i 's/Used by: store.c, /Used by: /' "$house/libevents/log/store_internal.h"
    said=$(complaint)
    shows "$said" 'store_internal.h: says "Used by: .*"; included by:.* store.c'
}

a_claim_of_users_is_put_otherwise() {
    local said
    build_house
    sed -i '1s/ \*\/$/; host.c is its only user. *\//' "$house/libevents/host/options.h"
    said=$(complaint)
    shows "$said" 'libevents/host/options.h: say "Used by: a.c, b.c." or nothing'
}

a_name_is_extern_and_static() {
    local said
    build_house
    printf 'static int store_head(void)\n{\n    return 0;\n}\n' \
        >>"$house/libevents/core/flow.c"
    said=$(complaint)
    shows "$said" \
        'libevents/core/flow.c: store_head is static here and extern in libevents/log/store.c'
}

a_name_has_no_module() {
    local said
    build_house
    printf 'int look_around(void)\n{\n    return 0;\n}\n' >>"$house/libevents/core/flow.c"
    said=$(complaint)
    shows "$said" 'libevents/core/flow.c: look_around does not begin with its module'
}

something_is_too_long() {
    local said
    build_house
    {
        printf 'static void wander(void)\n{\n'
        for _ in $(seq 600); do echo '    ;'; done
        printf '}\n'
    } >>"$house/libevents/core/flow.c"
    said=$(complaint)
    shows "$said" 'libevents/core/flow.c: wander has 603 lines, more than 55'
    said=$(complaint)
    shows "$said" 'libevents/core/flow.c: [0-9]+ lines, more than 600'
}

it 'the house is as it is drawn' it_is_as_drawn
it 'an include that runs up is named' an_arrow_runs_up
it 'the library includes nothing of the shop' \
    the_library_looks_into_the_shop
it 'a word of the shop in the library is named' the_library_speaks_of_the_shop
it 'a header of another library in a room not meant for it is named' \
    a_library_is_in_the_wrong_room
it 'an include without its room is named' an_include_names_no_room
it 'a file in an unknown room is named' a_room_is_unknown
it 'an untrue "Used by" is named' a_claim_of_users_is_untrue
it 'a claim of users in other words is named' a_claim_of_users_is_put_otherwise
it 'a name that is extern in one file and static in another is named' \
    a_name_is_extern_and_static
it 'an extern name without its module is named' a_name_has_no_module
it 'a file or a function that is too long is named' something_is_too_long
