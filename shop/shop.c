/* shop.c - the catalogue: what each message carries, version by version.
 *
 * The one table from which messages are encoded, decoded, checked, tagged,
 * printed and compared; codec.c walks it and knows no message by name.  To add
 * a message: a line in enum message_type (shop.h), a row here. */
#include "shop/shop.h"

#include <stdalign.h>
#include <string.h>

_Static_assert(SERVICES == 3, "a service more: name it here, in roster.c and "
                              "in invariants.c");
const char *const shop_services[SERVICES + 1] = {"order", "inventory",
                                                 "payment"};

#define IN_PAYLOAD(member) AT(struct payload, member)
#define IN_LINE(member) AT(struct line, member)

// clang-format off

/* ---- fields --------------------------------------------------------------- */

#define CUSTOMER     {"customer", FIELD_ID, IN_PAYLOAD(customer), \
                      .tag = TAG_CUSTOMER}
#define SKU          {"sku", FIELD_ID, IN_PAYLOAD(sku), .tag = TAG_SKU}
#define REASON       {"reason", FIELD_TEXT, IN_PAYLOAD(reason)}
#define CENTS(member, most) {#member, FIELD_INT, IN_PAYLOAD(member), \
                      .unit = "cents", .min = 1, .max = most}
#define PIECES(member, least, most) {#member, FIELD_INT, IN_PAYLOAD(member), \
                      .unit = "pieces", .min = least, .max = most}
#define LINES(least, fields) {"lines", FIELD_LIST, AT_LIST(struct payload, line_count, lines), \
                      .min = least, .max = LINES_MAX, .items = fields}
#define END          {.name = NULL}

static const struct field plain_line[] = {
    {"sku", FIELD_ID, IN_LINE(sku), .tag = TAG_SKU},
    {"quantity", FIELD_INT, IN_LINE(quantity), .unit = "pieces",
     .min = 1, .max = QUANTITY_MAX},
    END };

static const struct field priced_line[] = {
    {"sku", FIELD_ID, IN_LINE(sku), .tag = TAG_SKU},
    {"quantity", FIELD_INT, IN_LINE(quantity), .unit = "pieces",
     .min = 1, .max = QUANTITY_MAX},
    {"price_cents", FIELD_INT, IN_LINE(price_cents), .unit = "cents",
     .min = 1, .max = PRICE_CENTS_MAX},
    END };

static const struct field nothing[] = { END };
static const struct field price[] = {
    SKU, CENTS(price_cents, PRICE_CENTS_MAX), END };
static const struct field wish[] = {
    CUSTOMER, LINES(1, plain_line), END };
static const struct field order[] = {
    CUSTOMER, LINES(1, priced_line), CENTS(total_cents, ORDER_TOTAL_MAX), END };
static const struct field reason[] = {
    REASON, END };
static const struct field delivery[] = {
    SKU, PIECES(quantity, 1, RECEIPT_MAX), END };
static const struct field reserved[] = {
    CUSTOMER, LINES(1, plain_line), CENTS(total_cents, ORDER_TOTAL_MAX), END };
static const struct field rejected[] = {
    REASON, {"sku", FIELD_ID, IN_PAYLOAD(sku)}, /* no tag: no shelf moves */
    PIECES(needed, 0, INT64_MAX), PIECES(available, 0, INT64_MAX), END };
static const struct field released[] = {
    REASON, LINES(0, plain_line), END };
static const struct field shipped[] = {
    LINES(1, plain_line), END };
static const struct field units[] = {
    CUSTOMER, {"amount_units", FIELD_INT, IN_PAYLOAD(amount_units),
               .unit = "units", .min = 1, .max = DEPOSIT_CENTS_MAX / 100},
    END };
static const struct field deposit[] = {
    CUSTOMER, CENTS(amount_cents, DEPOSIT_CENTS_MAX), END };
static const struct field charged[] = {
    CUSTOMER, CENTS(amount_cents, ORDER_TOTAL_MAX), END };
static const struct field declined[] = {
    CUSTOMER, REASON,
    {"needed", FIELD_INT, IN_PAYLOAD(needed), .unit = "cents", .max = INT64_MAX},
    {"available", FIELD_INT, IN_PAYLOAD(available), .unit = "cents",
     .max = INT64_MAX},
    END };
static const struct field refunded[] = {
    CUSTOMER, CENTS(amount_cents, ORDER_TOTAL_MAX), REASON, END };

/* Our one change of version.  FundsDeposited first counted whole units of
 * money; when customers wanted to pay in 19.95, version 2 counted cents.  The
 * old events stay in the log as they were written, for ever: a reader gets them
 * through this function, and no other code knows that there was a version 1. */
static void units_to_cents(void *data)
{
    struct payload *payload = data;

    payload->amount_cents = payload->amount_units * 100;
    payload->amount_units = 0;
}

/* ---- messages ------------------------------------------------------------- */

const struct message shop_catalogue[] = {
    /* type            version  name            command, and more */
    { LIST_PRODUCT,      1, "ListProduct",        1, .fields = price },
    { PLACE_ORDER,       1, "PlaceOrder",         1, .fields = wish,
      .saga = OPENS_SAGA },
    { CANCEL_ORDER,      1, "CancelOrder",        1, .fields = reason,
      .saga = OF_SAGA },
    { EXPIRE_ORDER,      1, "ExpireOrder",        1, .fields = nothing },
    { RECEIVE_STOCK,     1, "ReceiveStock",       1, .fields = delivery },
    { DEPOSIT_FUNDS,     1, "DepositFunds",       1, .fields = deposit },

    { PRODUCT_LISTED,    1, "ProductListed",      0, .fields = price },
    { ORDER_PLACED,      1, "OrderPlaced",        0, .fields = order },
    { ORDER_CANCELLING,  1, "OrderCancelling",    0, .fields = reason },
    { ORDER_CONFIRMED,   1, "OrderConfirmed",     0, .fields = nothing },
    { ORDER_CANCELLED,   1, "OrderCancelled",     0, .fields = reason,
      .undoes = ORDER_PLACED },

    { STOCK_RECEIVED,    1, "StockReceived",      0, .fields = delivery },
    { STOCK_RESERVED,    1, "StockReserved",      0, .fields = reserved },
    { STOCK_REJECTED,    1, "StockRejected",      0, .fields = rejected },
    { STOCK_RELEASED,    1, "StockReleased",      0, .fields = released,
      .undoes = STOCK_RESERVED },
    { STOCK_SHIPPED,     1, "StockShipped",       0, .fields = shipped },

    { FUNDS_DEPOSITED,   1, "FundsDeposited",     0, .fields = units,
      .upcast = units_to_cents },
    { FUNDS_DEPOSITED,   2, "FundsDeposited",     0, .fields = deposit },
    { PAYMENT_CHARGED,   1, "PaymentCharged",     0, .fields = charged },
    { PAYMENT_DECLINED,  1, "PaymentDeclined",    0, .fields = declined },
    { PAYMENT_REFUNDED,  1, "PaymentRefunded",    0, .fields = refunded,
      .undoes = PAYMENT_CHARGED },
    { PAYMENT_VOIDED,    1, "PaymentVoided",      0, .fields = reason },
};
// clang-format on

/* ---- looking up --------------------------------------------------------- */

const size_t shop_catalogue_count =
    sizeof shop_catalogue / sizeof shop_catalogue[0];

static const char *const tag_names[TAG_KINDS] = {
    [TAG_SKU] = "sku", [TAG_CUSTOMER] = "customer"};

const struct domain shop_domain = {
    .messages = shop_catalogue,
    .message_count = sizeof shop_catalogue / sizeof shop_catalogue[0],
    .tags = tag_names,
    .tag_count = TAG_KINDS,
    .payload_bytes = sizeof(struct payload),
    .payload_align = alignof(struct payload),
    .services = shop_services,
};

const struct message *shop_message(unsigned type)
{
    return domain_message(&shop_domain, type);
}

const struct message *shop_message_named(const char *name, uint32_t version,
                                         uint32_t *newest)
{
    return domain_message_named(&shop_domain, name, version, newest);
}

const char *shop_type_name(unsigned type)
{
    return domain_type_name(&shop_domain, type);
}
