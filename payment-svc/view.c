/* view.c - the account view: balances, and each account's statement.
 *
 * Folded from the log of payment alone.  A statement's line holds the balance
 * after it, so nothing has to be added up to show one; charges are told by
 * their type, every amount is positive. */
#include "payment-svc/payment.h"

#include "read/view.h"
#include "shop/shop.h"

#include <string.h>

/* In one answer; both fit a message. */
enum { ACCOUNTS_MAX = 300, STATEMENT_MAX = 200 };

static const char schema[] =
    "CREATE TABLE accounts (customer TEXT PRIMARY KEY,"
    " deposited_cents INTEGER NOT NULL, charged_cents INTEGER NOT NULL,"
    " refunded_cents INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE statement (customer TEXT, seq INTEGER,"
    " time_ms INTEGER NOT NULL, type TEXT NOT NULL, order_id TEXT NOT NULL,"
    " amount_cents INTEGER NOT NULL, balance_cents INTEGER NOT NULL,"
    " PRIMARY KEY (customer, seq)) WITHOUT ROWID;";

static const char *const tables[] = {"accounts", "statement", NULL};

enum sql { MOVE, NEW, STATE, ACCOUNTS, ACCOUNT, STATEMENT, STATEMENTS };

#define BALANCE "deposited_cents + refunded_cents - charged_cents"
#define ACCOUNT_COLUMNS                                                        \
    "SELECT customer, " BALANCE " AS balance_cents, deposited_cents,"          \
    " charged_cents, refunded_cents FROM accounts "

static const char *const statements[STATEMENTS] = {
    [MOVE] = "UPDATE accounts SET deposited_cents = deposited_cents + ?2,"
             " charged_cents = charged_cents + ?3,"
             " refunded_cents = refunded_cents + ?4 WHERE customer = ?1",
    [NEW] = "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4)",
    [STATE] = "INSERT INTO statement SELECT ?1, ?2, ?3, ?4, ?5, ?6, " BALANCE
              " FROM accounts WHERE customer = ?1",
    [ACCOUNTS] = ACCOUNT_COLUMNS "WHERE customer > ? ORDER BY customer LIMIT ?",
    [ACCOUNT] = ACCOUNT_COLUMNS "WHERE customer = ?",
    [STATEMENT] =
        "SELECT * FROM (SELECT seq, time_ms, type, order_id AS \"order\","
        " amount_cents, balance_cents FROM statement"
        " WHERE customer = ? AND seq < ? ORDER BY seq DESC LIMIT ?)"
        " ORDER BY seq",
};

/* ---- folding ------------------------------------------------------------- */

static enum evt_status move(struct view_db *db, const char *customer,
                            int64_t deposited, int64_t charged,
                            int64_t refunded)
{
    return view_update(db, MOVE, NEW, "tiii", customer, deposited, charged,
                       refunded);
}

static enum evt_status project(struct view_db *db, const struct event *event)
{
    const char *customer = payload_of(event)->customer;
    int64_t cents = payload_of(event)->amount_cents;
    enum evt_status rc;

    if (event->type == FUNDS_DEPOSITED)
        rc = move(db, customer, cents, 0, 0);
    else if (event->type == PAYMENT_CHARGED)
        rc = move(db, customer, 0, cents, 0);
    else if (event->type == PAYMENT_REFUNDED)
        rc = move(db, customer, 0, 0, cents);
    else
        return EVT_OK; /* no money moves */
    if (rc != EVT_OK)
        return rc;
    return view_run(db, STATE, "tiitti", customer, (int64_t)event->at.seq,
                    event->time_ms, shop_type_name(event->type),
                    event->order_id, cents);
}

/* ---- queries ------------------------------------------------------------- */

/* All accounts, in their order; a long list goes on "past" the last one. */
static json_t *query_accounts(struct view_db *db, const json_t *request)
{
    const char *past = "";

    if (!view_request_id(request, "past", &past))
        return view_error(65, "past must be a customer");
    return view_page(
        db, view_select(db, ACCOUNTS, "ti", past, (int64_t)ACCOUNTS_MAX + 1),
        ACCOUNTS_MAX, "accounts");
}

/* One account with the newest part of its statement; "before" a seq, the part
 * that came earlier. */
static json_t *query_account(struct view_db *db, const json_t *request)
{
    const char *customer = NULL;
    int64_t before = INT64_MAX;
    json_t *accounts, *lines, *answer;

    if (!view_request_id(request, "customer", &customer) || customer == NULL)
        return view_error(65, "customer must be a customer's name");
    if (!view_request_number(request, "before", 1, INT64_MAX, &before))
        return view_error(65, "before must be a position in the log");
    accounts = view_select(db, ACCOUNT, "t", customer);
    lines = view_select(db, STATEMENT, "tii", customer, before,
                        (int64_t)STATEMENT_MAX + 1);
    if (accounts == NULL || lines == NULL) {
        answer = view_unreadable(db);
    } else if (json_array_size(accounts) == 0) {
        answer = view_error(66, "no customer %s", customer);
    } else {
        bool more = json_array_size(lines) > STATEMENT_MAX;

        if (more)
            json_array_remove(lines, 0);
        answer =
            json_pack("{s:O, s:O, s:b}", "account", json_array_get(accounts, 0),
                      "statement", lines, "more", more);
    }
    json_decref(accounts);
    json_decref(lines);
    return answer;
}

static json_t *query(struct view_db *db, const json_t *request)
{
    const char *get = json_string_value(json_object_get(request, "get"));

    if (get != NULL && strcmp(get, "accounts") == 0)
        return query_accounts(db, request);
    if (get != NULL && strcmp(get, "account") == 0)
        return query_account(db, request);
    return NULL;
}

static const char *const sources[] = {"payment", NULL};

const struct view account_view = {
    .name = "account",
    .domain = &shop_domain,
    .sources = sources,
    .revision = 2,
    .schema = schema,
    .tables = tables,
    .sql = statements,
    .sql_count = STATEMENTS,
    .project = project,
    .query = query,
};
