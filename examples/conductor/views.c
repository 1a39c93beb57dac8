/* views.c - what can be asked: an order, the stock, the accounts.
 *
 * Each is folded from the log of one service alone.  Next: invariants.c. */
#include "services.h"

#include <string.h>

/* Rows of one table under one key; what none of a view's questions is, NULL. */
static json_t *ask(struct view_db *db, const json_t *request, const char *name,
                   const char *key, unsigned one, unsigned all)
{
    const char *get = json_string_value(json_object_get(request, "get"));
    const char *of = NULL;
    json_t *rows;

    if (get == NULL || strcmp(get, name) != 0)
        return NULL;
    if (!view_request_id(request, key, &of))
        return view_error(65, "%s must be an id", key);
    rows =
        of != NULL ? view_select(db, one, "t", of) : view_select(db, all, "");
    if (rows == NULL)
        return view_unreadable(db);
    return json_pack("{s:o}", name, rows);
}

/* ---- orders ------------------------------------------------------------ */

enum { PLACED, STATUS, ORDER, ORDERS };

static const char *const order_sql[] = {
    [PLACED] = "INSERT INTO orders VALUES (?, 'PENDING', '')",
    [STATUS] = "UPDATE orders SET status = ?2, reason = ?3 WHERE order_id = ?1",
    [ORDER] = "SELECT order_id AS \"order\", status, reason FROM orders"
              " WHERE order_id = ?",
    [ORDERS] = "SELECT order_id AS \"order\", status, reason FROM orders"
               " ORDER BY rowid DESC LIMIT 100",
};

static enum evt_status project_order(struct view_db *db,
                                     const struct event *event)
{
    const char *id = event->order_id, *why = payload_of(event)->reason;

    switch (event->type) {
    case RESERVE_ASKED:
        return view_run(db, PLACED, "t", id);
    case SHIP_ASKED:
        return view_run(db, STATUS, "ttt", id, "CONFIRMED", "");
    case REFUND_ASKED:
    case RELEASE_ASKED:
        return view_run(db, STATUS, "ttt", id, "CANCELLING", why);
    case ORDER_DONE:
        return view_run(db, STATUS, "ttt", id, "DONE", "");
    case ORDER_FAILED:
        return view_run(db, STATUS, "ttt", id, "CANCELLED", why);
    default:
        return EVT_OK;
    }
}

/* {"get":"order","order":ID}: its row, and whether it is decided. */
static json_t *query_order(struct view_db *db, const json_t *request)
{
    json_t *reply = ask(db, request, "order", "order", ORDER, ORDERS);
    json_t *rows = json_object_get(reply, "order"), *row;
    const char *status;

    if (rows == NULL || json_object_get(request, "order") == NULL)
        return reply;
    if (json_array_size(rows) == 0) {
        json_decref(reply);
        return view_error(66, "no such order");
    }
    row = json_incref(json_array_get(rows, 0));
    status = json_string_value(json_object_get(row, "status"));
    json_object_set_new(reply, "order", row);
    json_object_set_new(reply, "ended",
                        json_boolean(strcmp(status, "CONFIRMED") == 0 ||
                                     strcmp(status, "DONE") == 0 ||
                                     strcmp(status, "CANCELLED") == 0));
    return reply;
}

static const char *const order_tables[] = {"orders", NULL};
static const char *const order_sources[] = {"conductor", NULL};

const struct view conductor_view = {
    .name = "order",
    .domain = &conducted_domain,
    .sources = order_sources,
    .revision = 1,
    .schema = "CREATE TABLE orders (order_id TEXT PRIMARY KEY,"
              " status TEXT NOT NULL, reason TEXT NOT NULL);",
    .tables = order_tables,
    .sql = order_sql,
    .sql_count = sizeof order_sql / sizeof order_sql[0],
    .project = project_order,
    .query = query_order,
};

/* ---- stock ------------------------------------------------------------- */

#define MOVE_PIECES                                                            \
    "UPDATE stock SET received = received + ?2, reserved = reserved + ?3,"     \
    " shipped = shipped + ?4 WHERE sku = ?1"

enum { MOVE, NEW, SKU, SKUS };

static const char *const stock_sql[] = {
    [MOVE] = MOVE_PIECES,
    [NEW] = "INSERT INTO stock VALUES (?, ?, ?, ?)",
    [SKU] = "SELECT * FROM stock WHERE sku = ?",
    [SKUS] = "SELECT * FROM stock ORDER BY sku LIMIT 400",
};

static enum evt_status move(struct view_db *db, const struct payload *data,
                            int reserved, int shipped)
{
    enum evt_status rc = EVT_OK;

    for (uint32_t i = 0; i < data->line_count && rc == EVT_OK; i++)
        rc = view_update(db, MOVE, NEW, "tiii", data->lines[i].sku, (int64_t)0,
                         reserved * data->lines[i].quantity,
                         shipped * data->lines[i].quantity);
    return rc;
}

static enum evt_status project_stock(struct view_db *db,
                                     const struct event *event)
{
    const struct payload *data = payload_of(event);

    switch (event->type) {
    case STOCK_RECEIVED:
        return view_update(db, MOVE, NEW, "tiii", data->sku, data->quantity,
                           (int64_t)0, (int64_t)0);
    case STOCK_RESERVED:
        return move(db, data, 1, 0);
    case STOCK_RELEASED:
        return move(db, data, -1, 0);
    case STOCK_SHIPPED:
        return move(db, data, -1, 1);
    default:
        return EVT_OK;
    }
}

static json_t *query_stock(struct view_db *db, const json_t *request)
{
    return ask(db, request, "stock", "sku", SKU, SKUS);
}

static const char *const stock_tables[] = {"stock", NULL};
static const char *const stock_sources[] = {"inventory", NULL};

const struct view inventory_view = {
    .name = "stock",
    .domain = &conducted_domain,
    .sources = stock_sources,
    .revision = 1,
    .schema = "CREATE TABLE stock (sku TEXT PRIMARY KEY,"
              " received INTEGER NOT NULL, reserved INTEGER NOT NULL,"
              " shipped INTEGER NOT NULL) WITHOUT ROWID;",
    .tables = stock_tables,
    .sql = stock_sql,
    .sql_count = sizeof stock_sql / sizeof stock_sql[0],
    .project = project_stock,
    .query = query_stock,
};

/* ---- accounts ---------------------------------------------------------- */

enum { PAY, OPEN, CUSTOMER, CUSTOMERS };

static const char *const account_sql[] = {
    [PAY] = "UPDATE accounts SET deposited_cents = deposited_cents + ?2,"
            " charged_cents = charged_cents + ?3,"
            " refunded_cents = refunded_cents + ?4 WHERE customer = ?1",
    [OPEN] = "INSERT INTO accounts VALUES (?, ?, ?, ?)",
    [CUSTOMER] = "SELECT * FROM accounts WHERE customer = ?",
    [CUSTOMERS] = "SELECT * FROM accounts ORDER BY customer LIMIT 400",
};

static enum evt_status project_account(struct view_db *db,
                                       const struct event *event)
{
    const struct payload *data = payload_of(event);
    int64_t cents = data->amount_cents, in = 0, out = 0, back = 0;

    if (event->type == FUNDS_DEPOSITED)
        in = cents;
    else if (event->type == PAYMENT_CHARGED)
        out = cents;
    else if (event->type == PAYMENT_REFUNDED)
        back = cents;
    else
        return EVT_OK;
    return view_update(db, PAY, OPEN, "tiii", data->customer, in, out, back);
}

static json_t *query_account(struct view_db *db, const json_t *request)
{
    return ask(db, request, "account", "customer", CUSTOMER, CUSTOMERS);
}

static const char *const account_tables[] = {"accounts", NULL};
static const char *const account_sources[] = {"payment", NULL};

const struct view payment_view = {
    .name = "account",
    .domain = &conducted_domain,
    .sources = account_sources,
    .revision = 1,
    .schema = "CREATE TABLE accounts (customer TEXT PRIMARY KEY,"
              " deposited_cents INTEGER NOT NULL,"
              " charged_cents INTEGER NOT NULL,"
              " refunded_cents INTEGER NOT NULL) WITHOUT ROWID;",
    .tables = account_tables,
    .sql = account_sql,
    .sql_count = sizeof account_sql / sizeof account_sql[0],
    .project = project_account,
    .query = query_account,
};
