/* shop.h - the contract of this shop: every message of the system.
 *
 * A service that reacts to the others needs this file and nothing else of them.
 * It holds names, limits and payloads; who reacts to what stands in each
 * service's rule table (order-svc/order.c is the next file to read), and `saga
 * flow` prints it all.
 *
 * What is stored and sent is driven by the catalogue in shop.c: one row per
 * message and version, naming the fields that it carries. */
#ifndef SHOP_H
#define SHOP_H

#include "core/event.h"

enum message_type {
    /* Commands: imperative, asked by a client (or a timer), may be refused. */
    LIST_PRODUCT = 1,
    PLACE_ORDER,
    CANCEL_ORDER,
    EXPIRE_ORDER, /* sent by a timer only */
    RECEIVE_STOCK,
    DEPOSIT_FUNDS,

    /* Events: past tense, facts, never refused.  order-svc writes: */
    PRODUCT_LISTED,
    ORDER_PLACED,
    ORDER_CANCELLING,
    ORDER_CONFIRMED, /* the pivot: behind it nothing is undone */
    ORDER_CANCELLED,
    /* inventory-svc writes: */
    STOCK_RECEIVED,
    STOCK_RESERVED,
    STOCK_REJECTED,
    STOCK_RELEASED, /* compensates StockReserved */
    STOCK_SHIPPED,
    /* payment-svc writes: */
    FUNDS_DEPOSITED,
    PAYMENT_CHARGED,
    PAYMENT_DECLINED,
    PAYMENT_REFUNDED, /* compensates PaymentCharged */
    PAYMENT_VOIDED,   /* a tombstone: this order shall never be charged */

    MESSAGE_TYPES
};

/* The three services, in the order in which a saga climbs; then NULL. */
enum { SERVICES = 3 };
extern const char *const shop_services[SERVICES + 1];

/* Limits.  They are checked where a message enters, and chosen so that no sum
 * of anything the system accepts can overflow an int64_t: totals are limited
 * where money and goods come in, so that a refund or a release never has to
 * be refused. */
enum {
    SKU_BYTES = 32, /* all *_BYTES include the final NUL */
    CUSTOMER_BYTES = 32,
    REASON_BYTES = 48,
    LINES_MAX = 10,
    QUANTITY_MAX = 1000,          /* of one line */
    PRICE_CENTS_MAX = 100000000,  /* a million, for one piece */
    RECEIPT_MAX = 1000000,        /* pieces in one delivery */
    DEPOSIT_CENTS_MAX = 100000000 /* a million, in one deposit */
};
/* Pieces of one sku, and cents of one account, that can ever come in. */
#define STOCK_TOTAL_MAX INT64_C(1000000000000)
#define FUNDS_TOTAL_MAX INT64_C(1000000000000000)
#define ORDER_TOTAL_MAX ((int64_t)LINES_MAX * QUANTITY_MAX * PRICE_CENTS_MAX)

/* One line of an order. */
struct line {
    char sku[SKU_BYTES];
    int64_t quantity;
    int64_t price_cents; /* of one piece, as agreed when the order was placed */
};

/* What a message can carry.  A plain value of fixed size, the same for all
 * messages; each uses the fields that its catalogue row names, and the shell
 * zeroes the others before an event is folded or stored, so that a state
 * looks the same live and replayed.  Money is in cents of one currency. */
struct payload {
    char customer[CUSTOMER_BYTES];
    char sku[SKU_BYTES];
    char reason[REASON_BYTES]; /* why the saga turned back, in plain words */
    int64_t quantity;          /* pieces of sku */
    int64_t price_cents;       /* of one piece of sku */
    int64_t amount_cents;      /* deposited, charged, refunded */
    int64_t amount_units;      /* FundsDeposited version 1 only: whole units */
    int64_t total_cents;       /* sum over lines of quantity x price */
    int64_t needed;            /* a refusal's two numbers: pieces or cents */
    int64_t available;
    uint32_t line_count;
    struct line lines[LINES_MAX];
};

/* What @event carries. */
static inline const struct payload *payload_of(const struct event *event)
{
    return (const struct payload *)(const void *)event->data;
}

/* The same of the data of an event or a command, to be filled. */
static inline struct payload *payload_in(unsigned char data[PAYLOAD_BYTES_MAX])
{
    return (struct payload *)(void *)data;
}

/* A tag names a stream: "order:o-7", "sku:widget", "customer:alice". */
enum tag_kind { TAG_SKU = TAG_ORDER + 1, TAG_CUSTOMER, TAG_KINDS };

/* The catalogue: all messages, a type's versions in ascending order. */
extern const struct message shop_catalogue[];
extern const size_t shop_catalogue_count;

/* What each of its services hands to the library. */
extern const struct domain shop_domain;

/* The newest version of @type, or NULL for NO_MESSAGE. */
const struct message *shop_message(unsigned type);

/* Exactly @version of the message called @name, or NULL.  *@newest (may be
 * NULL) is set to the newest known version of that name, 0 for an unknown
 * name: so "unknown" and "too new" can be told apart. */
const struct message *shop_message_named(const char *name, uint32_t version,
                                         uint32_t *newest);

/* The type's name ("OrderPlaced"); "?" for NO_MESSAGE. */
const char *shop_type_name(unsigned type);

#endif
