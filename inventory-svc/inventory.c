/* inventory.c - holds the stock: the first step of the saga, and the last.
 *
 * Reserves an order's lines, all or nothing; ships them when the order is
 * confirmed; puts them back when payment took the saga back.  Compensations
 * can overtake the order that they compensate (two publishers, no order
 * between them): a release without a reservation closes it for good.  Pure,
 * like order.c.  Next: payment-svc/payment.c. */
#include "inventory-svc/inventory.h"

#include "shop/shop.h"

#include <string.h>

static decide_fn receive_stock, reserve_stock, release_stock, ship_stock;

// clang-format off
static const struct rule rules[] = {
    /* on                decide            may emit                          */
    { RECEIVE_STOCK,     receive_stock,  { STOCK_RECEIVED                 } },
    { ORDER_PLACED,      reserve_stock,  { STOCK_RESERVED, STOCK_REJECTED } },
    { ORDER_CONFIRMED,   ship_stock,     { STOCK_SHIPPED                  } },
    { PAYMENT_DECLINED,  release_stock,  { STOCK_RELEASED                 } },
    { PAYMENT_REFUNDED,  release_stock,  { STOCK_RELEASED                 } },
    { PAYMENT_VOIDED,    release_stock,  { STOCK_RELEASED                 } },
};
// clang-format on

/* ---- states -------------------------------------------------------------- */

enum kind_number { RESERVATION, SHELF };

enum reservation_status { NONE, RESERVED, REJECTED, RELEASED, SHIPPED };

struct reservation {
    int64_t status;
    uint32_t line_count; /* 0: never reserved */
    struct line lines[LINES_MAX];
};

/* Pieces of one sku.  Always: received = free + reserved + shipped. */
struct shelf {
    int64_t received;
    int64_t free;
    int64_t reserved;
    int64_t shipped;
};

/* ---- decide -------------------------------------------------------------- */

static void receive_stock(const struct states *states,
                          const struct event *cause, struct decision *out)
{
    const struct shelf *shelf = state_of(states, SHELF, payload_of(cause)->sku);

    /* Here goods come in, so here their sum is limited: no release, later,
     * can overflow. */
    if (payload_of(cause)->quantity > STOCK_TOTAL_MAX - shelf->received)
        refuse(out, "more than the shelf can ever hold", "quantity");
    else
        emit(out, STOCK_RECEIVED, cause);
}

/* The first line that is short, or NULL. */
static const struct line *short_line(const struct states *states,
                                     const struct payload *order)
{
    for (uint32_t i = 0; i < order->line_count; i++) {
        const struct line *line = &order->lines[i];
        const struct shelf *shelf = state_of(states, SHELF, line->sku);

        if (line->quantity > shelf->free)
            return line;
    }
    return NULL;
}

static void reserve_stock(const struct states *states,
                          const struct event *cause, struct decision *out)
{
    const struct reservation *reservation =
        state_of(states, RESERVATION, cause->order_id);
    const struct line *line = short_line(states, payload_of(cause));

    if (reservation->status != NONE)
        return; /* closed by a compensation that overtook the order */
    if (line == NULL) {
        emit(out, STOCK_RESERVED, cause); /* carries what payment needs */
    } else {
        const struct shelf *shelf = state_of(states, SHELF, line->sku);
        struct payload *rejected = emit(out, STOCK_REJECTED, cause);

        memcpy(rejected->sku, line->sku, SKU_BYTES);
        rejected->needed = line->quantity;
        rejected->available = shelf->free;
        text_copy(rejected->reason, REASON_BYTES, "insufficient stock");
    }
}

/* Puts back what this order holds; nothing yet, no lines: a tombstone. */
static void release_stock(const struct states *states,
                          const struct event *cause, struct decision *out)
{
    const struct reservation *reservation =
        state_of(states, RESERVATION, cause->order_id);

    if (reservation->status == RESERVED || reservation->status == NONE) {
        struct payload *released = emit(out, STOCK_RELEASED, cause);

        released->line_count = reservation->line_count;
        memcpy(released->lines, reservation->lines, sizeof released->lines);
    }
}

static void ship_stock(const struct states *states, const struct event *cause,
                       struct decision *out)
{
    const struct reservation *reservation =
        state_of(states, RESERVATION, cause->order_id);

    if (reservation->status == RESERVED) {
        struct payload *shipped = emit(out, STOCK_SHIPPED, cause);

        shipped->line_count = reservation->line_count;
        memcpy(shipped->lines, reservation->lines, sizeof shipped->lines);
    }
}

/* ---- evolve -------------------------------------------------------------- */

static void evolve_reservation(void *state, const char *key,
                               const struct event *own)
{
    struct reservation *reservation = state;

    (void)key;
    if (own->type == STOCK_RESERVED) {
        reservation->status = RESERVED;
        reservation->line_count = payload_of(own)->line_count;
        memcpy(reservation->lines, payload_of(own)->lines,
               sizeof payload_of(own)->lines);
    } else if (own->type == STOCK_REJECTED) {
        reservation->status = REJECTED;
    } else if (own->type == STOCK_RELEASED) {
        reservation->status = RELEASED;
    } else if (own->type == STOCK_SHIPPED) {
        reservation->status = SHIPPED;
    }
}

/* How many pieces of @sku @event moves. */
static int64_t pieces_of(const char *sku, const struct event *event)
{
    for (uint32_t i = 0; i < payload_of(event)->line_count; i++) {
        if (strcmp(payload_of(event)->lines[i].sku, sku) == 0)
            return payload_of(event)->lines[i].quantity;
    }
    return 0;
}

/* Stock moves by differences: an old absolute value is never put back. */
static void evolve_shelf(void *state, const char *key, const struct event *own)
{
    struct shelf *shelf = state;
    int64_t pieces = pieces_of(key, own);

    if (own->type == STOCK_RECEIVED) {
        shelf->received += payload_of(own)->quantity;
        shelf->free += payload_of(own)->quantity;
    } else if (own->type == STOCK_RESERVED) {
        shelf->free -= pieces;
        shelf->reserved += pieces;
    } else if (own->type == STOCK_RELEASED) {
        shelf->reserved -= pieces;
        shelf->free += pieces;
    } else if (own->type == STOCK_SHIPPED) {
        shelf->reserved -= pieces;
        shelf->shipped += pieces;
    }
}

/* ---- what the shell needs to know ---------------------------------------- */

static const char *const reservation_words[] = {"NONE", "RESERVED", "REJECTED",
                                                "RELEASED", "SHIPPED"};

// clang-format off
static const struct field line_fields[] = {
    {"sku", FIELD_ID, AT(struct line, sku)},
    {"quantity", FIELD_INT, AT(struct line, quantity), .unit = "pieces"},
    {.name = NULL},
};
static const struct field reservation_fields[] = {
    {"status", FIELD_INT, AT(struct reservation, status),
     .max = SHIPPED, .names = reservation_words},
    {"lines", FIELD_LIST, AT_LIST(struct reservation, line_count, lines),
     .max = LINES_MAX, .items = line_fields},
    {.name = NULL},
};
static const struct field shelf_fields[] = {
    {"received", FIELD_INT, AT(struct shelf, received), .unit = "pieces",
     .max = STOCK_TOTAL_MAX},
    {"free", FIELD_INT, AT(struct shelf, free), .unit = "pieces",
     .max = STOCK_TOTAL_MAX},
    {"reserved", FIELD_INT, AT(struct shelf, reserved), .unit = "pieces",
     .max = STOCK_TOTAL_MAX},
    {"shipped", FIELD_INT, AT(struct shelf, shipped), .unit = "pieces",
     .max = STOCK_TOTAL_MAX},
    {.name = NULL},
};

static const struct kind kinds[] = {
    [RESERVATION] = {"reservation", TAG_ORDER, sizeof(struct reservation),
                     reservation_fields, evolve_reservation,
                     {STOCK_RESERVED, STOCK_REJECTED, STOCK_RELEASED,
                      STOCK_SHIPPED}, .revision = 1},
    [SHELF] = {"shelf", TAG_SKU, sizeof(struct shelf), shelf_fields,
               evolve_shelf, {STOCK_RECEIVED, STOCK_RESERVED, STOCK_RELEASED,
                              STOCK_SHIPPED},
               .snapshotted = true, .revision = 1},
};
// clang-format on

static const char *const listens_to[] = {"order", "payment", NULL};

const struct service inventory_service = {
    .name = "inventory",
    .domain = &shop_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
};
