/* conductor.c - knows the whole plan, and tells the others what to do.
 *
 * Where an order stands is a fold of the conductor's own log, as everywhere:
 * killed at any point, it goes on from there.  It waits for one answer at a
 * time.  What an answer or a cancellation leads to is in plan[]; whatever is
 * not in there comes too late, and leads to nothing.  Next: inventory.c. */
#include "services.h"

#include <string.h>

static decide_fn list_product, place_order, go_on, take_back;

// clang-format off
static const struct rule rules[] = {
    /* on                decide          may emit                        */
    { LIST_PRODUCT,      list_product, { PRODUCT_LISTED              } },
    { PLACE_ORDER,       place_order,  { RESERVE_ASKED               } },
    { STOCK_RESERVED,    go_on,        { CHARGE_ASKED                } },
    { STOCK_REFUSED,     go_on,        { ORDER_FAILED                } },
    { PAYMENT_CHARGED,   go_on,        { SHIP_ASKED                  } },
    { PAYMENT_REFUSED,   go_on,        { RELEASE_ASKED               } },
    { STOCK_SHIPPED,     go_on,        { ORDER_DONE                  } },
    { CANCEL_ORDER,      take_back,    { RELEASE_ASKED, REFUND_ASKED } },
    { EXPIRE_ORDER,      take_back,    { RELEASE_ASKED, REFUND_ASKED } },
    { PAYMENT_REFUNDED,  go_on,        { RELEASE_ASKED               } },
    { PAYMENT_VOIDED,    go_on,        { RELEASE_ASKED               } },
    { STOCK_RELEASED,    go_on,        { ORDER_FAILED                } },
};

static const struct timer timers[] = {
    /* from         send          unless one of these comes first */
    { RESERVE_ASKED, EXPIRE_ORDER,
      { SHIP_ASKED, REFUND_ASKED, RELEASE_ASKED, ORDER_FAILED },
      "order-deadline-ms", 30000 },
};

enum order_status {
    NONE, RESERVING, CHARGING, SHIPPING, REFUNDING, RELEASING, DONE, FAILED };

static const struct step {
    enum order_status at;
    unsigned on, then;
} plan[] = {
    /* while      this comes,        do this */
    { RESERVING,  STOCK_RESERVED,    CHARGE_ASKED  },
    { CHARGING,   PAYMENT_CHARGED,   SHIP_ASKED    },
    { SHIPPING,   STOCK_SHIPPED,     ORDER_DONE    },
    /* somebody says no */
    { RESERVING,  STOCK_REFUSED,     ORDER_FAILED  },
    { CHARGING,   PAYMENT_REFUSED,   RELEASE_ASKED },
    /* the customer or the clock says no: undo what was asked, last first */
    { RESERVING,  CANCEL_ORDER,      RELEASE_ASKED },
    { RESERVING,  EXPIRE_ORDER,      RELEASE_ASKED },
    { CHARGING,   CANCEL_ORDER,      REFUND_ASKED  },
    { CHARGING,   EXPIRE_ORDER,      REFUND_ASKED  },
    { REFUNDING,  PAYMENT_REFUNDED,  RELEASE_ASKED },
    { REFUNDING,  PAYMENT_VOIDED,    RELEASE_ASKED },
    { REFUNDING,  PAYMENT_REFUSED,   RELEASE_ASKED },
    { RELEASING,  STOCK_RELEASED,    ORDER_FAILED  },
    { RELEASING,  STOCK_REFUSED,     ORDER_FAILED  },
};
// clang-format on

/* ---- states -------------------------------------------------------------- */

enum kind_number { ORDER, PRODUCT };

struct order {
    int64_t status;
    char customer[CUSTOMER_BYTES];
    char reason[REASON_BYTES];
    int64_t amount_cents;
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
    return strcmp(order->customer, asked->customer) == 0 &&
           order->line_count == asked->line_count &&
           memcmp(order->lines, asked->lines, sizeof order->lines) == 0;
}

static void place_order(const struct states *states, const struct event *cause,
                        struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);
    const struct payload *wish = payload_of(cause);
    struct payload *asked;
    int64_t total = 0;

    if (order->status != NONE) {
        if (!same_order(order, wish))
            refuse(out, "another order has this id", "order");
        return; /* sent again: the shell answers as the first time */
    }
    for (uint32_t i = 0; i < wish->line_count; i++) {
        const struct product *product =
            state_of(states, PRODUCT, wish->lines[i].sku);

        if (product->price_cents == 0) {
            refuse(out, "unknown product", wish->lines[i].sku);
            return;
        }
        total += wish->lines[i].quantity * product->price_cents;
    }
    asked = emit(out, RESERVE_ASKED, cause);
    asked->amount_cents = total;
}

static const struct step *next_step(const struct order *order, unsigned on)
{
    for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++)
        if ((int64_t)plan[i].at == order->status && plan[i].on == on)
            return &plan[i];
    return NULL;
}

static void go_on(const struct states *states, const struct event *cause,
                  struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);
    const struct step *step = next_step(order, cause->type);
    struct payload *asked;

    if (step == NULL)
        return;
    asked = emit(out, step->then, cause);
    memcpy(asked->customer, order->customer, sizeof asked->customer);
    asked->amount_cents = order->amount_cents;
    if (asked->reason[0] == '\0')
        memcpy(asked->reason, order->reason, sizeof asked->reason);
}

static void take_back(const struct states *states, const struct event *cause,
                      struct decision *out)
{
    const struct order *order = state_of(states, ORDER, cause->order_id);
    const struct step *step = next_step(order, cause->type);

    if (step != NULL) {
        struct payload *asked = emit(out, step->then, cause);

        if (asked->reason[0] == '\0')
            text_copy(asked->reason, REASON_BYTES,
                      cause->type == EXPIRE_ORDER ? "timed out"
                                                  : "cancelled by customer");
    } else if (cause->type == CANCEL_ORDER && order->status == NONE) {
        refuse(out, "unknown order", "order");
    } else if (cause->type == CANCEL_ORDER &&
               (order->status == SHIPPING || order->status == DONE)) {
        refuse(out, "too late: the order is confirmed", "order");
    }
}

/* ---- evolve -------------------------------------------------------------- */

static int64_t status_after(unsigned type)
{
    switch (type) {
    case RESERVE_ASKED:
        return RESERVING;
    case CHARGE_ASKED:
        return CHARGING;
    case SHIP_ASKED:
        return SHIPPING;
    case REFUND_ASKED:
        return REFUNDING;
    case RELEASE_ASKED:
        return RELEASING;
    default:
        return type == ORDER_DONE ? DONE : FAILED;
    }
}

static void evolve_order(void *state, const char *key, const struct event *own)
{
    const struct payload *data = payload_of(own);
    struct order *order = state;

    (void)key;
    order->status = status_after(own->type);
    if (own->type == RESERVE_ASKED) {
        memcpy(order->customer, data->customer, sizeof order->customer);
        order->amount_cents = data->amount_cents;
        order->line_count = data->line_count;
        memcpy(order->lines, data->lines, sizeof order->lines);
    } else if (data->reason[0] != '\0') {
        memcpy(order->reason, data->reason, sizeof order->reason);
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

static const char *const status_words[] = {"NONE",     "RESERVING", "CHARGING",
                                           "SHIPPING", "REFUNDING", "RELEASING",
                                           "DONE",     "FAILED"};

// clang-format off
static const struct field line_fields[] = {
    {"sku", FIELD_ID, AT(struct line, sku)},
    {"quantity", FIELD_INT, AT(struct line, quantity), .unit = "pieces"},
    {.name = NULL},
};
static const struct field order_fields[] = {
    {"status", FIELD_INT, AT(struct order, status),
     .max = FAILED, .names = status_words},
    {"customer", FIELD_ID, AT(struct order, customer)},
    {"lines", FIELD_LIST, AT_LIST(struct order, line_count, lines),
     .max = LINES_MAX, .items = line_fields},
    {"amount_cents", FIELD_INT, AT(struct order, amount_cents),
     .unit = "cents"},
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
               evolve_order, {RESERVE_ASKED, CHARGE_ASKED, SHIP_ASKED,
                              REFUND_ASKED, RELEASE_ASKED, ORDER_DONE,
                              ORDER_FAILED}, .revision = 1},
    [PRODUCT] = {"product", TAG_SKU, sizeof(struct product), product_fields,
                 evolve_product, {PRODUCT_LISTED},
                 .snapshotted = true, .revision = 1},
};
// clang-format on

static const char *const listens_to[] = {"inventory", "payment", NULL};

const struct service conductor_service = {
    .name = "conductor",
    .domain = &conducted_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
    .timers = timers,
    .timer_count = sizeof timers / sizeof timers[0],
};
