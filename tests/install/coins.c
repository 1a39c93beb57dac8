/* coins.c - the catalogue. */
#include "coins.h"

static const struct field fields[] = {
    {"customer", FIELD_ID, AT(struct coins, customer), .tag = TAG_CUSTOMER},
    {"cents", FIELD_INT, AT(struct coins, cents), .unit = "cents", .min = 1,
     .max = PURSE_MAX},
    {.name = NULL},
};

static const struct message messages[] = {
    {DEPOSIT_COINS, 1, "DepositCoins", 1, .fields = fields},
    {COINS_DEPOSITED, 1, "CoinsDeposited", 0, .fields = fields},
};

static const char *const tags[TAG_KINDS] = {[TAG_CUSTOMER] = "customer"};

const struct domain coins_domain = {
    .messages = messages,
    .message_count = sizeof messages / sizeof messages[0],
    .tags = tags,
    .tag_count = TAG_KINDS,
    .payload_bytes = sizeof(struct coins),
    .payload_align = alignof(struct coins),
};
