/* invariants_view.c - what the shop's views must say of each order, sku and
 * customer, by the facts that invariants.c has worked out (Q3). */
#include "shop/invariants_parts.h"

#include <string.h>

/* How the views call a step. */
static const char *const words[MESSAGE_TYPES] = {
    [NO_MESSAGE] = "NONE",
    [ORDER_PLACED] = "PENDING",
    [ORDER_CANCELLING] = "CANCELLING",
    [ORDER_CONFIRMED] = "CONFIRMED",
    [ORDER_CANCELLED] = "CANCELLED",
    [STOCK_RESERVED] = "RESERVED",
    [STOCK_REJECTED] = "REJECTED",
    [STOCK_RELEASED] = "RELEASED",
    [STOCK_SHIPPED] = "SHIPPED",
    [PAYMENT_CHARGED] = "CHARGED",
    [PAYMENT_DECLINED] = "DECLINED",
    [PAYMENT_VOIDED] = "VOIDED",
    [PAYMENT_REFUNDED] = "REFUNDED",
};

static bool order_agrees(struct check *check, sqlite3_stmt *row)
{
    struct checked_saga *saga;
    struct order_facts *order;

    if (!check_mine(check, check_text(row, 0)))
        return true;
    HASH_FIND_STR(check->sagas, check_text(row, 0), saga);
    order = saga != NULL ? saga->facts : NULL;
    return order != NULL && strcmp(check_text(row, 1), order->customer) == 0 &&
           sqlite3_column_int64(row, 2) == order->total_cents &&
           strcmp(check_text(row, 3), words[order->step[ORDER]]) == 0 &&
           strcmp(check_text(row, 4), words[order->step[INVENTORY]]) == 0 &&
           strcmp(check_text(row, 5), words[order->step[PAYMENT]]) == 0;
}

static bool shelf_agrees(struct check *check, sqlite3_stmt *row)
{
    struct shelf_facts *shelf;

    HASH_FIND_STR(invariants_facts(check)->shelves, check_text(row, 0), shelf);
    return shelf != NULL && sqlite3_column_int64(row, 1) == shelf->received &&
           sqlite3_column_int64(row, 2) == shelf->reserved &&
           sqlite3_column_int64(row, 3) == shelf->shipped;
}

static bool account_agrees(struct check *check, sqlite3_stmt *row)
{
    struct account_facts *account;

    HASH_FIND_STR(invariants_facts(check)->accounts, check_text(row, 0),
                  account);
    return account != NULL &&
           sqlite3_column_int64(row, 1) == account->deposited &&
           sqlite3_column_int64(row, 2) == account->charged &&
           sqlite3_column_int64(row, 3) == account->refunded;
}

static uint64_t order_rows(const struct check *check)
{
    return check->summary->sagas;
}

static uint64_t shelf_rows(const struct check *check)
{
    const struct facts *facts = check->facts;

    return facts == NULL ? 0 : HASH_COUNT(facts->shelves);
}

static uint64_t account_rows(const struct check *check)
{
    const struct facts *facts = check->facts;

    return facts == NULL ? 0 : HASH_COUNT(facts->accounts);
}

const struct check_view invariants_views[SERVICES] = {
    {"SELECT order_id, customer, total_cents, status, stock, payment"
     " FROM orders WHERE placed_seq > 0",
     true, order_agrees, order_rows},
    {"SELECT sku, received, reserved, shipped FROM stock", false, shelf_agrees,
     shelf_rows},
    {"SELECT customer, deposited_cents, charged_cents, refunded_cents"
     " FROM accounts",
     false, account_agrees, account_rows},
};
