/* catalogue.c - what each message carries. */
#include "catalogue.h"

#include <stdalign.h>

// clang-format off
#define IN_PAYLOAD(member) AT(struct payload, member)
#define CUSTOMER {"customer", FIELD_ID, IN_PAYLOAD(customer), \
                  .tag = TAG_CUSTOMER}
#define SKU      {"sku", FIELD_ID, IN_PAYLOAD(sku), .tag = TAG_SKU}
#define REASON   {"reason", FIELD_TEXT, IN_PAYLOAD(reason)}
#define PIECES   {"quantity", FIELD_INT, IN_PAYLOAD(quantity), \
                  .unit = "pieces", .min = 1, .max = RECEIPT_MAX}
#define CENTS(member, most) {#member, FIELD_INT, IN_PAYLOAD(member), \
                  .unit = "cents", .min = 1, .max = (most)}
#define LINES(least) {"lines", FIELD_LIST, \
                  AT_LIST(struct payload, line_count, lines), \
                  .min = (least), .max = LINES_MAX, .items = line}
#define END      {.name = NULL}

static const struct field line[] = {
    {"sku", FIELD_ID, AT(struct line, sku), .tag = TAG_SKU},
    {"quantity", FIELD_INT, AT(struct line, quantity), .unit = "pieces",
     .min = 1, .max = QUANTITY_MAX},
    END };

static const struct field nothing[] = { END };
static const struct field reason[] = { REASON, END };
static const struct field price[] = {
    SKU, CENTS(price_cents, PRICE_CENTS_MAX), END };
static const struct field delivery[] = { SKU, PIECES, END };
static const struct field deposit[] = {
    CUSTOMER, CENTS(amount_cents, DEPOSIT_CENTS_MAX), END };
static const struct field wish[] = { CUSTOMER, LINES(1), END };
static const struct field order[] = {
    CUSTOMER, LINES(1), CENTS(amount_cents, ORDER_TOTAL_MAX), END };
static const struct field goods[] = { LINES(1), END };
static const struct field released[] = { LINES(0), END };
static const struct field money[] = {
    CUSTOMER, CENTS(amount_cents, ORDER_TOTAL_MAX), END };

static const struct message messages[] = {
    { LIST_PRODUCT,     1, "ListProduct",     1, .fields = price },
    { PLACE_ORDER,      1, "PlaceOrder",      1, .fields = wish,
      .saga = OPENS_SAGA },
    { CANCEL_ORDER,     1, "CancelOrder",     1, .fields = reason,
      .saga = OF_SAGA },
    { EXPIRE_ORDER,     1, "ExpireOrder",     1, .fields = nothing },
    { RECEIVE_STOCK,    1, "ReceiveStock",    1, .fields = delivery },
    { DEPOSIT_FUNDS,    1, "DepositFunds",    1, .fields = deposit },

    { PRODUCT_LISTED,   1, "ProductListed",   0, .fields = price },
    { RESERVE_ASKED,    1, "ReserveAsked",    0, .fields = order },
    { CHARGE_ASKED,     1, "ChargeAsked",     0, .fields = money },
    { SHIP_ASKED,       1, "ShipAsked",       0, .fields = nothing },
    { REFUND_ASKED,     1, "RefundAsked",     0, .fields = reason },
    { RELEASE_ASKED,    1, "ReleaseAsked",    0, .fields = reason },
    { ORDER_DONE,       1, "OrderDone",       0, .fields = nothing },
    { ORDER_FAILED,     1, "OrderFailed",     0, .fields = reason,
      .undoes = RESERVE_ASKED },

    { STOCK_RECEIVED,   1, "StockReceived",   0, .fields = delivery },
    { STOCK_RESERVED,   1, "StockReserved",   0, .fields = goods },
    { STOCK_REFUSED,    1, "StockRefused",    0, .fields = reason },
    { STOCK_RELEASED,   1, "StockReleased",   0, .fields = released,
      .undoes = STOCK_RESERVED },
    { STOCK_SHIPPED,    1, "StockShipped",    0, .fields = goods },

    { FUNDS_DEPOSITED,  1, "FundsDeposited",  0, .fields = deposit },
    { PAYMENT_CHARGED,  1, "PaymentCharged",  0, .fields = money },
    { PAYMENT_REFUSED,  1, "PaymentRefused",  0, .fields = reason },
    { PAYMENT_REFUNDED, 1, "PaymentRefunded", 0, .fields = money,
      .undoes = PAYMENT_CHARGED },
    { PAYMENT_VOIDED,   1, "PaymentVoided",   0, .fields = nothing },
};
// clang-format on

static const char *const services[] = {"conductor", "inventory", "payment",
                                       NULL};

static const char *const tags[TAG_KINDS] = {
    [TAG_SKU] = "sku", [TAG_CUSTOMER] = "customer"};

const struct domain conducted_domain = {
    .messages = messages,
    .message_count = sizeof messages / sizeof messages[0],
    .tags = tags,
    .tag_count = TAG_KINDS,
    .payload_bytes = sizeof(struct payload),
    .payload_align = alignof(struct payload),
    .services = services,
};
