/* order.c - opens the saga and closes it.
 *
 * Takes orders and prices them; from then on it only listens.  An order is
 * confirmed when order-svc hears that it was paid, cancelled when it hears
 * that the stock came back: always from evidence, never in hope.  Pure: states
 * come in through state_of, decisions go out through emit and refuse, and
 * shell.c does the rest.  Next: inventory-svc/inventory.c, the next rung. */
#include "order-svc/order.h"

#include "shop/shop.h"

#include <string.h>

static decide_fn list_product, place_order, cancel_order, expire_order,
    confirm_order, close_order;

// clang-format off
static const struct rule rules[] = {
    /* on                decide            may emit             */
    { LIST_PRODUCT,      list_product,   { PRODUCT_LISTED   } },
    { PLACE_ORDER,       place_order,    { ORDER_PLACED     } },
    { PAYMENT_CHARGED,   confirm_order,  { ORDER_CONFIRMED  } },
    { CANCEL_ORDER,      cancel_order,   { ORDER_CANCELLING } },
    { EXPIRE_ORDER,      expire_order,   { ORDER_CANCELLING } },
    { STOCK_RELEASED,    close_order,    { ORDER_CANCELLED  } },
    { STOCK_REJECTED,    close_order,    { ORDER_CANCELLED  } },
};

static const struct timer timers[] = {
    /* from        send          unless one of these comes first */
    { ORDER_PLACED, EXPIRE_ORDER,
      { ORDER_CONFIRMED, ORDER_CANCELLING, ORDER_CANCELLED },
      "order-deadline-ms", 30000 },
};
// clang-format on

/* ---- states -------------------------------------------------------------- */

enum kind_number { ORDER, PRODUCT };

enum order_status { NONE, PENDING, CANCELLING, CONFIRMED, CANCELLED };

struct order {
    int64_t status;
    char customer[CUSTOMER_BYTES];
    char reason[REASON_BYTES];
    int64_t total_cents;
    uint32_t line_count;
    struct line lines[LINES_MAX];
};

struct product {
    int64_t price_cents; /* 0: not listed */
};

/* ---- decide -------------------------------------------------------------- */

static void list_product(const struct states *states, const struct event *cause,
                         struct decision *out)
{
    (void)states; /* any price replaces any other */
    emit(out, PRODUCT_LISTED, cause);
}

static bool same_order(const struct order *order, const struct payload *asked)
{
    if (strcmp(order->customer, asked->customer) != 0 ||
        order->line_count != asked->line_count)
        return false;
    for (uint32_t i = 0; i < order->line_count; i++) {
        if (strcmp(order->lines[i].sku, asked->lines[i].sku) != 0 ||
            order->lines[i].quantity != asked->lines[i].quantity)
            return false;
    }
    return true;
}

static int64_t price_of(const struct states *states, const char *sku)
{
    const struct product *product = state_of(states, PRODUCT, sku);

    return product->price_cents;
}

static void place_order(const struct states *states, const struct event *cause,
                        struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);
    struct payload *placed;

    if (order->status != NONE) {
        if (!same_order(order, payload_of(cause)))
            refuse(out, "another order has this id", "order");
        return; /* sent again: the shell answers as the first time */
    }
    for (uint32_t i = 0; i < payload_of(cause)->line_count; i++) {
        if (price_of(states, payload_of(cause)->lines[i].sku) == 0) {
            refuse(out, "unknown product", payload_of(cause)->lines[i].sku);
            return;
        }
    }
    placed = emit(out, ORDER_PLACED, cause);
    placed->total_cents = 0;
    for (uint32_t i = 0; i < placed->line_count; i++) {
        struct line *line = &placed->lines[i];

        line->price_cents = price_of(states, line->sku);
        placed->total_cents += line->quantity * line->price_cents;
    }
}

/* The pivot: before this event every step can be undone, after it none is. */
static void confirm_order(const struct states *states,
                          const struct event *cause, struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);

    if (order->status == PENDING) /* else the refund is on its way */
        emit(out, ORDER_CONFIRMED, cause);
}

/* Only turns the saga round: payment refunds or voids, inventory releases, and
 * close_order hears of it. */
static void cancel_order(const struct states *states, const struct event *cause,
                         struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);

    if (order->status == NONE) {
        refuse(out, "unknown order", "order");
    } else if (order->status == CONFIRMED) {
        refuse(out, "too late: the order is confirmed", "order");
    } else if (order->status == PENDING) {
        struct payload *cancelling = emit(out, ORDER_CANCELLING, cause);

        if (cancelling->reason[0] == '\0')
            text_copy(cancelling->reason, REASON_BYTES,
                      "cancelled by customer");
    }
}

static void expire_order(const struct states *states, const struct event *cause,
                         struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);

    if (order->status == PENDING) {
        struct payload *cancelling = emit(out, ORDER_CANCELLING, cause);

        text_copy(cancelling->reason, REASON_BYTES, "timed out");
    }
}

static void close_order(const struct states *states, const struct event *cause,
                        struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);

    if (order->status == PENDING || order->status == CANCELLING)
        emit(out, ORDER_CANCELLED, cause); /* with the reason it carries */
}

/* ---- evolve -------------------------------------------------------------- */

static void evolve_order(void *state, const char *key, const struct event *own)
{
    struct order *order = state;

    (void)key;
    if (own->type == ORDER_PLACED) {
        order->status = PENDING;
        memcpy(order->customer, payload_of(own)->customer,
               sizeof order->customer);
        order->total_cents = payload_of(own)->total_cents;
        order->line_count = payload_of(own)->line_count;
        memcpy(order->lines, payload_of(own)->lines, sizeof order->lines);
    } else if (own->type == ORDER_CANCELLING) {
        order->status = CANCELLING;
        memcpy(order->reason, payload_of(own)->reason, sizeof order->reason);
    } else if (own->type == ORDER_CONFIRMED) {
        order->status = CONFIRMED;
    } else if (own->type == ORDER_CANCELLED) {
        order->status = CANCELLED;
        memcpy(order->reason, payload_of(own)->reason, sizeof order->reason);
    }
}

static void evolve_product(void *state, const char *key,
                           const struct event *own)
{
    struct product *product = state;

    (void)key;
    product->price_cents = payload_of(own)->price_cents;
}

/* ---- what the shell needs to know ---------------------------------------- */

static const char *const order_words[] = {"NONE", "PENDING", "CANCELLING",
                                          "CONFIRMED", "CANCELLED"};

// clang-format off
static const struct field line_fields[] = {
    {"sku", FIELD_ID, AT(struct line, sku)},
    {"quantity", FIELD_INT, AT(struct line, quantity), .unit = "pieces"},
    {"price_cents", FIELD_INT, AT(struct line, price_cents), .unit = "cents"},
    {.name = NULL},
};
static const struct field order_fields[] = {
    {"status", FIELD_INT, AT(struct order, status),
     .max = CANCELLED, .names = order_words},
    {"customer", FIELD_ID, AT(struct order, customer)},
    {"lines", FIELD_LIST, AT_LIST(struct order, line_count, lines),
     .max = LINES_MAX, .items = line_fields},
    {"total_cents", FIELD_INT, AT(struct order, total_cents), .unit = "cents"},
    {"reason", FIELD_TEXT, AT(struct order, reason)},
    {.name = NULL},
};
static const struct field product_fields[] = {
    {"price_cents", FIELD_INT, AT(struct product, price_cents),
     .unit = "cents", .max = PRICE_CENTS_MAX},
    {.name = NULL},
};

static const struct kind kinds[] = {
    [ORDER] = {"order", TAG_ORDER, sizeof(struct order), order_fields,
               evolve_order, {ORDER_PLACED, ORDER_CANCELLING, ORDER_CONFIRMED,
                              ORDER_CANCELLED}, .revision = 1},
    [PRODUCT] = {"product", TAG_SKU, sizeof(struct product), product_fields,
                 evolve_product, {PRODUCT_LISTED},
                 .snapshotted = true, .revision = 1},
};
// clang-format on

static const char *const listens_to[] = {"inventory", "payment", NULL};

const struct service order_service = {
    .name = "order",
    .domain = &shop_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
    .timers = timers,
    .timer_count = sizeof timers / sizeof timers[0],
};
