/* catalogue.h - every message of the conducted shop.
 *
 * The conductor's events that end in "Asked" are what it tells the others to
 * do; theirs are the answers.  Nobody but the conductor reads an answer.  It
 * is a domain of its own: it shares no number and no struct with any other
 * program, only names and encoded fields.  Next: conductor.c. */
#ifndef CATALOGUE_H
#define CATALOGUE_H

#include "core/domain.h"

enum message_type {
    /* Commands of clients. */
    LIST_PRODUCT = 1,
    PLACE_ORDER,
    CANCEL_ORDER,
    EXPIRE_ORDER, /* sent by a timer only */
    RECEIVE_STOCK,
    DEPOSIT_FUNDS,

    /* The conductor writes: */
    PRODUCT_LISTED,
    RESERVE_ASKED, /* opens the saga */
    CHARGE_ASKED,
    SHIP_ASKED, /* the pivot: the order is confirmed */
    REFUND_ASKED,
    RELEASE_ASKED,
    ORDER_DONE,
    ORDER_FAILED,
    /* inventory-svc answers: */
    STOCK_RECEIVED,
    STOCK_RESERVED,
    STOCK_REFUSED,
    STOCK_RELEASED, /* compensates StockReserved */
    STOCK_SHIPPED,
    /* payment-svc answers: */
    FUNDS_DEPOSITED,
    PAYMENT_CHARGED,
    PAYMENT_REFUSED,
    PAYMENT_REFUNDED, /* compensates PaymentCharged */
    PAYMENT_VOIDED,   /* a tombstone: this order shall never be charged */

    MESSAGE_TYPES
};

enum tag_kind { TAG_SKU = TAG_ORDER + 1, TAG_CUSTOMER, TAG_KINDS };

enum {
    SKU_BYTES = 32, /* all *_BYTES include the final NUL */
    CUSTOMER_BYTES = 32,
    REASON_BYTES = 48,
    LINES_MAX = 10,
    QUANTITY_MAX = 1000,
    PRICE_CENTS_MAX = 100000000,
    RECEIPT_MAX = 1000000,
    DEPOSIT_CENTS_MAX = 100000000
};
#define STOCK_TOTAL_MAX INT64_C(1000000000000)
#define FUNDS_TOTAL_MAX INT64_C(1000000000000000)
#define ORDER_TOTAL_MAX ((int64_t)LINES_MAX * QUANTITY_MAX * PRICE_CENTS_MAX)

struct line {
    char sku[SKU_BYTES];
    int64_t quantity;
};

/* What a message can carry; each has the fields that its row names. */
struct payload {
    char customer[CUSTOMER_BYTES];
    char sku[SKU_BYTES];
    char reason[REASON_BYTES];
    int64_t quantity;
    int64_t price_cents;
    int64_t amount_cents;
    uint32_t line_count;
    struct line lines[LINES_MAX];
};

extern const struct domain conducted_domain;

#endif
