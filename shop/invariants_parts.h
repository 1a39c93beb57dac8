/* invariants_parts.h - what the files of the shop's invariants share: what the
 * logs say of each order, sku and customer. */
#ifndef INVARIANTS_PARTS_H
#define INVARIANTS_PARTS_H

#include "audit/check_parts.h"
#include "shop/invariants.h"
#include "shop/shop.h"

enum { ORDER, INVENTORY, PAYMENT }; /* numbers in shop_services */

/* What all three logs say of one order. */
struct order_facts {
    const char *id; /* the saga's */
    /* the last event of each service: where the saga stands on its ladder */
    unsigned step[SERVICES];
    bool placed;
    char customer[CUSTOMER_BYTES];
    int64_t total_cents, charged_cents;
    uint32_t line_count;
    struct line *lines;
};

struct shelf_facts {
    char sku[SKU_BYTES];
    char tag[TAG_BYTES]; /* "sku:widget" */
    int64_t received, reserved, shipped;
    bool reported;
    UT_hash_handle hh;
};

struct account_facts {
    char customer[CUSTOMER_BYTES];
    char tag[TAG_BYTES]; /* "customer:alice" */
    int64_t deposited, charged, refunded;
    bool reported;
    UT_hash_handle hh;
};

/* What the checker keeps for us. */
struct facts {
    struct shelf_facts *shelves;
    struct account_facts *accounts;
    uint64_t confirmed, cancelled, charges, refunds;
};

/* Of all logs; made when missing. */
struct facts *invariants_facts(struct check *check);

/* What they are called, and why they are there (invariants_promises.c). */
extern const struct check_promise
    invariants_promises[CHECK_SHOP_IDS - CHECK_OWN];

/* What the views make of it, by service (invariants_view.c). */
extern const struct check_view invariants_views[SERVICES];

#endif
