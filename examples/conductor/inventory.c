/* inventory.c - holds the stock, and does what the conductor asks.
 *
 * It reacts to nobody else and knows no other step.  Its guards are about
 * instructions that come twice or out of order: one that could not be read is
 * put aside, and handled again after later ones.  Next: payment.c. */
#include "services.h"

#include <string.h>

static decide_fn receive, reserve, release, ship;

// clang-format off
static const struct rule rules[] = {
    /* on             decide     may emit                          */
    { RECEIVE_STOCK,  receive, { STOCK_RECEIVED                } },
    { RESERVE_ASKED,  reserve, { STOCK_RESERVED, STOCK_REFUSED } },
    { RELEASE_ASKED,  release, { STOCK_RELEASED                } },
    { SHIP_ASKED,     ship,    { STOCK_SHIPPED                 } },
};
// clang-format on

/* ---- states -------------------------------------------------------------- */

enum kind_number { RESERVATION, SHELF };

enum reservation_status { NONE, RESERVED, REFUSED, RELEASED, SHIPPED };

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

static void receive(const struct states *states, const struct event *cause,
                    struct decision *out)
{
    const struct payload *delivery = payload_of(cause);
    const struct shelf *shelf = state_of(states, SHELF, delivery->sku);

    if (delivery->quantity > STOCK_TOTAL_MAX - shelf->received)
        refuse(out, "more than the shelf can ever hold", "quantity");
    else
        emit(out, STOCK_RECEIVED, cause);
}

static bool all_there(const struct states *states, const struct payload *order)
{
    for (uint32_t i = 0; i < order->line_count; i++) {
        const struct line *line = &order->lines[i];
        const struct shelf *shelf = state_of(states, SHELF, line->sku);

        if (line->quantity > shelf->free)
            return false;
    }
    return true;
}

static void reserve(const struct states *states, const struct event *cause,
                    struct decision *out)
{
    const struct reservation *reservation =
        state_of(states, RESERVATION, cause->order_id);

    if (reservation->status != NONE)
        return; /* released before it was reserved */
    if (all_there(states, payload_of(cause))) {
        emit(out, STOCK_RESERVED, cause);
    } else {
        struct payload *refused = emit(out, STOCK_REFUSED, cause);

        text_copy(refused->reason, REASON_BYTES, "insufficient stock");
    }
}

/* Emits @type with the lines that are held; none: a tombstone, behind which
 * nothing is reserved any more. */
static void let_go(const struct reservation *reservation, unsigned type,
                   const struct event *cause, struct decision *out)
{
    struct payload *gone = emit(out, type, cause);

    gone->line_count = reservation->line_count;
    memcpy(gone->lines, reservation->lines, sizeof gone->lines);
}

static void release(const struct states *states, const struct event *cause,
                    struct decision *out)
{
    const struct reservation *reservation =
        state_of(states, RESERVATION, cause->order_id);

    if (reservation->status == RESERVED || reservation->status == NONE)
        let_go(reservation, STOCK_RELEASED, cause, out);
}

static void ship(const struct states *states, const struct event *cause,
                 struct decision *out)
{
    const struct reservation *reservation =
        state_of(states, RESERVATION, cause->order_id);

    if (reservation->status == RESERVED)
        let_go(reservation, STOCK_SHIPPED, cause, out);
}

/* ---- evolve -------------------------------------------------------------- */

static void evolve_reservation(void *state, const char *key,
                               const struct event *own)
{
    const struct payload *data = payload_of(own);
    struct reservation *reservation = state;

    (void)key;
    if (own->type == STOCK_RESERVED) {
        reservation->status = RESERVED;
        reservation->line_count = data->line_count;
        memcpy(reservation->lines, data->lines, sizeof reservation->lines);
    } else if (own->type == STOCK_REFUSED) {
        reservation->status = REFUSED;
    } else if (own->type == STOCK_RELEASED) {
        reservation->status = RELEASED;
    } else if (own->type == STOCK_SHIPPED) {
        reservation->status = SHIPPED;
    }
}

static int64_t pieces_of(const char *sku, const struct payload *data)
{
    for (uint32_t i = 0; i < data->line_count; i++)
        if (strcmp(data->lines[i].sku, sku) == 0)
            return data->lines[i].quantity;
    return 0;
}

static void evolve_shelf(void *state, const char *key, const struct event *own)
{
    const struct payload *data = payload_of(own);
    int64_t pieces = pieces_of(key, data);
    struct shelf *shelf = state;

    if (own->type == STOCK_RECEIVED) {
        shelf->received += data->quantity;
        shelf->free += data->quantity;
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

static const char *const status_words[] = {"NONE", "RESERVED", "REFUSED",
                                           "RELEASED", "SHIPPED"};

// clang-format off
#define PIECES(member) {#member, FIELD_INT, AT(struct shelf, member), \
                        .unit = "pieces", .max = STOCK_TOTAL_MAX}

static const struct field line_fields[] = {
    {"sku", FIELD_ID, AT(struct line, sku)},
    {"quantity", FIELD_INT, AT(struct line, quantity), .unit = "pieces"},
    {.name = NULL},
};
static const struct field reservation_fields[] = {
    {"status", FIELD_INT, AT(struct reservation, status),
     .max = SHIPPED, .names = status_words},
    {"lines", FIELD_LIST, AT_LIST(struct reservation, line_count, lines),
     .max = LINES_MAX, .items = line_fields},
    {.name = NULL},
};
static const struct field shelf_fields[] = {
    PIECES(received), PIECES(free), PIECES(reserved), PIECES(shipped),
    {.name = NULL},
};

static const struct kind kinds[] = {
    [RESERVATION] = {"reservation", TAG_ORDER, sizeof(struct reservation),
                     reservation_fields, evolve_reservation,
                     {STOCK_RESERVED, STOCK_REFUSED, STOCK_RELEASED,
                      STOCK_SHIPPED}, .revision = 1},
    [SHELF] = {"shelf", TAG_SKU, sizeof(struct shelf), shelf_fields,
               evolve_shelf, {STOCK_RECEIVED, STOCK_RESERVED, STOCK_RELEASED,
                              STOCK_SHIPPED},
               .snapshotted = true, .revision = 1},
};
// clang-format on

static const char *const listens_to[] = {"conductor", NULL};

const struct service inventory_service = {
    .name = "inventory",
    .domain = &conducted_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
};
