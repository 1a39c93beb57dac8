/* view.c - the order view: one row an order, joined from all three logs, and
 * its timeline.
 *
 * The logs come in any interleaving: a row may learn that its stock is
 * reserved before it learns what was ordered.  So each column belongs to one
 * log alone, or is a sum or a maximum, and every event makes the row or changes
 * it: whatever the order of arrival, the same rows come out.  A row is listed
 * once its OrderPlaced is there.  Next: libevents/read/projection.c, which
 * drives this. */
#include "order-svc/order.h"

#include "core/json.h"
#include "read/view.h"

#include <stdio.h>
#include <string.h>

enum { LIST_DEFAULT = 50, LIST_MAX = 200 };

static const char schema[] =
    "CREATE TABLE orders (order_id TEXT PRIMARY KEY,"
    /* from the log of order: */
    " status TEXT NOT NULL DEFAULT '', customer TEXT NOT NULL DEFAULT '',"
    " total_cents INTEGER NOT NULL DEFAULT 0,"
    " lines_json TEXT NOT NULL DEFAULT '[]',"
    " reason TEXT NOT NULL DEFAULT '', placed_ms INTEGER NOT NULL DEFAULT 0,"
    " placed_seq INTEGER NOT NULL DEFAULT 0,"
    /* of inventory, of payment: */
    " stock TEXT NOT NULL DEFAULT 'NONE',"
    " payment TEXT NOT NULL DEFAULT 'NONE',"
    /* of several: */
    " ended_ms INTEGER NOT NULL DEFAULT 0, events INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE INDEX orders_newest ON orders (placed_seq);"
    "CREATE INDEX orders_by_status ON orders (status, placed_seq);"
    "CREATE TABLE timeline (order_id TEXT, source TEXT, seq INTEGER,"
    " type TEXT NOT NULL, time_ms INTEGER NOT NULL,"
    " cause_source TEXT NOT NULL, cause_log TEXT NOT NULL,"
    " cause_seq INTEGER NOT NULL, command_id TEXT NOT NULL,"
    " data_json TEXT NOT NULL,"
    /* by rowid: events are added at the end, only their keys among others */
    " PRIMARY KEY (order_id, source, seq));";

static const char *const tables[] = {"orders", "timeline", NULL};

enum sql {
    PLACED,
    STATUS,
    NEW_STATUS,
    STOCK,
    NEW_STOCK,
    PAYMENT,
    NEW_PAYMENT,
    TIMELINE,
    ORDER,
    ORDER_TIMELINE,
    NEWEST,
    NEWEST_BY_STATUS,
    PLACED_SEQ,
    STATEMENTS
};

#define ORDER_COLUMNS                                                          \
    "SELECT order_id AS \"order\", status, customer, total_cents, lines_json," \
    " reason, stock, payment, placed_ms, nullif(ended_ms, 0) AS ended_ms,"     \
    " events FROM orders "

static const char *const statements[STATEMENTS] = {
    [PLACED] =
        "INSERT INTO orders (order_id, status, customer, total_cents,"
        " lines_json, placed_ms, placed_seq, events)"
        " VALUES (?1, 'PENDING', ?2, ?3, ?4, ?5, ?6, 1)"
        " ON CONFLICT DO UPDATE SET status = 'PENDING', customer = ?2,"
        " total_cents = ?3, lines_json = ?4, placed_ms = ?5, placed_seq = ?6,"
        " events = events + 1",
    [STATUS] = "UPDATE orders SET status = ?2, reason = ?3,"
               " ended_ms = max(ended_ms, ?4), events = events + 1"
               " WHERE order_id = ?1",
    [NEW_STATUS] =
        "INSERT INTO orders (order_id, status, reason, ended_ms, events)"
        " VALUES (?1, ?2, ?3, ?4, 1)",
    [STOCK] = "UPDATE orders SET stock = ?2, ended_ms = max(ended_ms, ?3),"
              " events = events + 1 WHERE order_id = ?1",
    [NEW_STOCK] = "INSERT INTO orders (order_id, stock, ended_ms, events)"
                  " VALUES (?1, ?2, ?3, 1)",
    [PAYMENT] = "UPDATE orders SET payment = ?2, events = events + 1"
                " WHERE order_id = ?1",
    [NEW_PAYMENT] = "INSERT INTO orders (order_id, payment, events)"
                    " VALUES (?1, ?2, 1)",
    [TIMELINE] = "INSERT INTO timeline VALUES (?,?,?,?,?,?,?,?,?,?)",
    [ORDER] = ORDER_COLUMNS "WHERE order_id = ? AND placed_seq > 0",
    [ORDER_TIMELINE] =
        "SELECT source, seq, type, time_ms, cause_source, cause_log, cause_seq,"
        " command_id, data_json FROM timeline WHERE order_id = ?"
        " ORDER BY time_ms, seq, source LIMIT 100",
    [NEWEST] = ORDER_COLUMNS "WHERE placed_seq > 0 AND placed_seq < ?"
                             " ORDER BY placed_seq DESC LIMIT ?",
    [NEWEST_BY_STATUS] =
        ORDER_COLUMNS "WHERE placed_seq > 0 AND placed_seq < ? AND status = ?3"
                      " ORDER BY placed_seq DESC LIMIT ?2",
    [PLACED_SEQ] = "SELECT placed_seq FROM orders WHERE order_id = ?",
};

/* ---- folding ------------------------------------------------------------- */

enum { LINES_TEXT_MAX = LINES_MAX * (SKU_BYTES + 96) };

/* The lines as the view shows them; a sku is an id, so nothing in it needs to
 * be escaped. */
static const char *lines_text(const struct payload *data,
                              char text[LINES_TEXT_MAX])
{
    int used = snprintf(text, LINES_TEXT_MAX, "[");

    for (uint32_t i = 0; i < data->line_count; i++) {
        const struct line *line = &data->lines[i];

        used += snprintf(text + used, LINES_TEXT_MAX - (size_t)used,
                         "%s{\"sku\":\"%s\",\"quantity\":%lld,"
                         "\"price_cents\":%lld}",
                         i > 0 ? "," : "", line->sku, (long long)line->quantity,
                         (long long)line->price_cents);
    }
    snprintf(text + used, LINES_TEXT_MAX - (size_t)used, "]");
    return text;
}

static enum evt_status place(struct view_db *db, const struct event *event)
{
    const struct payload *data = &event->data;
    char lines[LINES_TEXT_MAX];

    return view_run(db, PLACED, "ttitii", event->order_id, data->customer,
                    data->total_cents, lines_text(data, lines), event->time_ms,
                    (int64_t)event->at.seq);
}

static enum evt_status set_status(struct view_db *db, const struct event *event,
                                  const char *status)
{
    return view_update(db, STATUS, NEW_STATUS, "ttti", event->order_id, status,
                       event->data.reason,
                       event->type == ORDER_CANCELLED ? event->time_ms : 0);
}

static enum evt_status set_stock(struct view_db *db, const struct event *event,
                                 const char *stock)
{
    return view_update(db, STOCK, NEW_STOCK, "tti", event->order_id, stock,
                       event->type == STOCK_SHIPPED ? event->time_ms : 0);
}

static enum evt_status
set_payment(struct view_db *db, const struct event *event, const char *payment)
{
    return view_update(db, PAYMENT, NEW_PAYMENT, "tt", event->order_id,
                       payment);
}

static enum evt_status set_row(struct view_db *db, const struct event *event)
{
    switch (event->type) {
    case ORDER_PLACED:
        return place(db, event);
    case ORDER_CANCELLING:
        return set_status(db, event, "CANCELLING");
    case ORDER_CONFIRMED:
        return set_status(db, event, "CONFIRMED");
    case ORDER_CANCELLED:
        return set_status(db, event, "CANCELLED");
    case STOCK_RESERVED:
        return set_stock(db, event, "RESERVED");
    case STOCK_REJECTED:
        return set_stock(db, event, "REJECTED");
    case STOCK_RELEASED:
        return set_stock(db, event, "RELEASED");
    case STOCK_SHIPPED:
        return set_stock(db, event, "SHIPPED");
    case PAYMENT_CHARGED:
        return set_payment(db, event, "CHARGED");
    case PAYMENT_DECLINED:
        return set_payment(db, event, "DECLINED");
    case PAYMENT_REFUNDED:
        return set_payment(db, event, "REFUNDED");
    case PAYMENT_VOIDED:
        return set_payment(db, event, "VOIDED");
    default:
        return EVT_NONE;
    }
}

static enum evt_status add_to_timeline(struct view_db *db,
                                       const struct event *event)
{
    const struct cause *cause = &event->cause;
    char log[2 * LOG_ID_BYTES + 1] = "";
    char text[FIELDS_TEXT_MAX];

    (void)json_write_fields(shop_message(event->type)->fields, &event->data,
                            text);
    if (cause->source[0] != '\0')
        text_hex(cause->at.log_id, LOG_ID_BYTES, log);
    return view_run(db, TIMELINE, "ttitittitt", event->order_id, event->source,
                    (int64_t)event->at.seq, shop_type_name(event->type),
                    event->time_ms, cause->source, log, (int64_t)cause->at.seq,
                    cause->command_id, text);
}

static enum evt_status project(struct view_db *db, const struct event *event)
{
    enum evt_status rc = set_row(db, event);

    if (rc == EVT_NONE)
        return EVT_OK; /* not about an order */
    return rc == EVT_OK ? add_to_timeline(db, event) : rc;
}

/* ---- queries ------------------------------------------------------------- */

static bool is(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL && strcmp(text, value) == 0;
}

/* Whether the row shows one of a saga's ends.  The status alone may say so
 * sooner: each log comes to the view by itself, and a client that has waited
 * for the end wants to see what was undone for it. */
static bool has_ended(const json_t *order)
{
    if (is(order, "status", "CONFIRMED"))
        return is(order, "stock", "SHIPPED") && is(order, "payment", "CHARGED");
    return is(order, "status", "CANCELLED") &&
           (is(order, "stock", "REJECTED") ||
            (is(order, "stock", "RELEASED") && !is(order, "payment", "NONE") &&
             !is(order, "payment", "CHARGED")));
}

static json_t *query_order(struct view_db *db, const json_t *request)
{
    const char *id = NULL;
    json_t *orders, *timeline, *answer;

    if (!view_request_id(request, "order", &id) || id == NULL)
        return view_error(65, "order must be an order's id");
    orders = view_select(db, ORDER, "t", id);
    timeline = view_select(db, ORDER_TIMELINE, "t", id);
    if (orders == NULL || timeline == NULL)
        answer = view_unreadable(db);
    else if (json_array_size(orders) == 0)
        answer = view_error(66, "no order %s", id);
    else
        answer = json_pack(
            "{s:O, s:b, s:O}", "order", json_array_get(orders, 0), "ended",
            has_ended(json_array_get(orders, 0)), "timeline", timeline);
    json_decref(orders);
    json_decref(timeline);
    return answer;
}

/* What "before" names, as a place in the list; NULL or an error. */
static json_t *read_before(struct view_db *db, const json_t *request,
                           int64_t *before)
{
    const char *id = NULL;
    json_t *rows, *error = NULL;

    *before = INT64_MAX;
    if (!view_request_id(request, "before", &id))
        return view_error(65, "before must be an order's id");
    if (id == NULL)
        return NULL;
    rows = view_select(db, PLACED_SEQ, "t", id);
    if (rows == NULL)
        error = view_unreadable(db);
    else if (json_array_size(rows) == 0)
        error = view_error(66, "no order %s", id);
    else /* 0, and nothing before it, for one whose OrderPlaced is not there */
        *before = json_integer_value(
            json_object_get(json_array_get(rows, 0), "placed_seq"));
    json_decref(rows);
    return error;
}

static json_t *query_orders(struct view_db *db, const json_t *request)
{
    const char *status = NULL;
    int64_t limit = LIST_DEFAULT, before;
    json_t *orders, *error;

    if (!view_request_number(request, "limit", 1, LIST_MAX, &limit))
        return view_error(65, "limit must be 1 to %d", LIST_MAX);
    if (!view_request_id(request, "status", &status) ||
        (status != NULL && strcmp(status, "PENDING") != 0 &&
         strcmp(status, "CANCELLING") != 0 &&
         strcmp(status, "CONFIRMED") != 0 && strcmp(status, "CANCELLED") != 0))
        return view_error(65, "status must be PENDING, CANCELLING, CONFIRMED "
                              "or CANCELLED");
    error = read_before(db, request, &before);
    if (error != NULL)
        return error;
    orders = status == NULL ? view_select(db, NEWEST, "ii", before, limit + 1)
                            : view_select(db, NEWEST_BY_STATUS, "iit", before,
                                          limit + 1, status);
    return view_page(db, orders, (size_t)limit, "orders");
}

static json_t *query(struct view_db *db, const json_t *request)
{
    if (is(request, "get", "order"))
        return query_order(db, request);
    if (is(request, "get", "orders"))
        return query_orders(db, request);
    return NULL;
}

static const char *const sources[] = {"order", "inventory", "payment", NULL};

const struct view order_view = {
    .name = "order",
    .sources = sources,
    .revision = 2,
    .schema = schema,
    .tables = tables,
    .sql = statements,
    .sql_count = STATEMENTS,
    .project = project,
    .query = query,
};
