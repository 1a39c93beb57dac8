/* view.c - the order view: one row an order, joined from all three logs, with
 * its timeline.
 *
 * The logs come in any interleaving: a row may learn that its stock is
 * reserved before it learns what was ordered.  So each column belongs to one
 * log alone, or is a sum or a maximum, and every event makes the row or changes
 * it: whatever the order of arrival, the same rows come out.  A row is listed
 * once its OrderPlaced is there.
 *
 * Events of one order come close together.  What they change is noted, and
 * written as one row for each transaction.  Next: libevents/read/projection.c,
 * which drives this. */
#include "order-svc/order.h"

#include "core/json.h"
#include "read/view.h"
#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { LIST_DEFAULT = 50, LIST_MAX = 200, TIMELINE_MAX = 100 };

enum source { FROM_ORDER, FROM_INVENTORY, FROM_PAYMENT, SOURCES };
static const char *const sources[SOURCES + 1] = {"order", "inventory",
                                                 "payment", NULL};

static const char schema[] =
    "CREATE TABLE orders (order_id TEXT PRIMARY KEY,"
    /* from the log of order: */
    " status TEXT NOT NULL DEFAULT '', customer TEXT NOT NULL DEFAULT '',"
    " total_cents INTEGER NOT NULL DEFAULT 0,"
    " lines_json TEXT NOT NULL DEFAULT '[]',"
    " reason TEXT NOT NULL DEFAULT '', placed_ms INTEGER NOT NULL DEFAULT 0,"
    " placed_seq INTEGER NOT NULL DEFAULT 0,"
    /* of inventory, of payment: */
    " stock TEXT NOT NULL, payment TEXT NOT NULL,"
    /* of several: */
    " ended_ms INTEGER NOT NULL, events INTEGER NOT NULL,"
    /* of each its part, JSON arrays with a comma behind each: see add_entry */
    " order_timeline TEXT NOT NULL, inventory_timeline TEXT NOT NULL,"
    " payment_timeline TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX orders_newest ON orders (placed_seq);"
    "CREATE INDEX orders_by_status ON orders (status, placed_seq);";

static const char *const tables[] = {"orders", NULL};

enum sql {
    PLACED,
    STATUS,
    NEW_STATUS,
    OTHER,
    NEW_OTHER,
    ORDER,
    NEWEST,
    NEWEST_BY_STATUS,
    PLACED_SEQ,
    STATEMENTS
};

/* Parameters have the same numbers in all that write: those of write_note. */
#define OTHER_COLUMNS                                                          \
    "order_id, stock, payment, ended_ms, events, order_timeline,"              \
    " inventory_timeline, payment_timeline"
#define OTHER_VALUES                                                           \
    "?1, ifnull(?2, 'NONE'), ifnull(?3, 'NONE'), ?4, ?5, ?6, ?7, ?8"
#define SET_OTHER                                                              \
    "stock = ifnull(?2, stock), payment = ifnull(?3, payment),"                \
    " ended_ms = max(ended_ms, ?4), events = events + ?5,"                     \
    " order_timeline = order_timeline || ?6,"                                  \
    " inventory_timeline = inventory_timeline || ?7,"                          \
    " payment_timeline = payment_timeline || ?8"
#define SET_STATUS SET_OTHER ", status = ?9, reason = ?10"

#define ORDER_COLUMNS                                                          \
    "order_id AS \"order\", status, customer, total_cents, lines_json,"        \
    " reason, stock, payment, placed_ms, nullif(ended_ms, 0) AS ended_ms,"     \
    " events"

static const char *const statements[STATEMENTS] = {
    [PLACED] =
        "INSERT INTO orders (" OTHER_COLUMNS ", status, reason, customer,"
        " total_cents, lines_json, placed_ms, placed_seq) VALUES (" OTHER_VALUES
        ", ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
        " ON CONFLICT DO UPDATE SET " SET_STATUS ", customer = ?11,"
        " total_cents = ?12, lines_json = ?13, placed_ms = ?14,"
        " placed_seq = ?15",
    [STATUS] = "UPDATE orders SET " SET_STATUS " WHERE order_id = ?1",
    [NEW_STATUS] = "INSERT INTO orders (" OTHER_COLUMNS ", status, reason)"
                   " VALUES (" OTHER_VALUES ", ?9, ?10)",
    [OTHER] = "UPDATE orders SET " SET_OTHER " WHERE order_id = ?1",
    [NEW_OTHER] =
        "INSERT INTO orders (" OTHER_COLUMNS ") VALUES (" OTHER_VALUES ")",
    [ORDER] = "SELECT " ORDER_COLUMNS ", order_timeline, inventory_timeline,"
              " payment_timeline FROM orders"
              " WHERE order_id = ? AND placed_seq > 0",
    [NEWEST] = "SELECT " ORDER_COLUMNS " FROM orders"
               " WHERE placed_seq > 0 AND placed_seq < ?"
               " ORDER BY placed_seq DESC LIMIT ?",
    [NEWEST_BY_STATUS] =
        "SELECT " ORDER_COLUMNS " FROM orders"
        " WHERE placed_seq > 0 AND placed_seq < ? AND status = ?3"
        " ORDER BY placed_seq DESC LIMIT ?2",
    [PLACED_SEQ] = "SELECT placed_seq FROM orders WHERE order_id = ?",
};

/* ---- notes ----------------------------------------------------------------
 */

/* A growing text; NULL is an empty one. */
struct growing {
    char *text;
    size_t used, size;
};

/* What the events of a transaction have changed in one order. */
struct note {
    char order_id[ID_BYTES];
    const char *status, *stock, *payment; /* NULL: none of them did */
    char reason[REASON_BYTES];            /* of status */
    int64_t ended_ms, events;
    struct growing timeline[SOURCES];
    struct event *placed; /* its OrderPlaced, or NULL */
    UT_hash_handle hh;
};

struct notes {
    struct note *by_order;
};

static void free_note(struct notes *notes, struct note *note)
{
    HASH_DEL(notes->by_order, note);
    for (size_t i = 0; i < SOURCES; i++)
        free(note->timeline[i].text);
    free(note->placed);
    free(note);
}

static void forget(void *all)
{
    struct notes *notes = all;

    while (notes->by_order != NULL)
        free_note(notes, notes->by_order);
}

static struct note *note_of(struct notes *notes, const char *order_id)
{
    struct note *note;

    HASH_FIND_STR(notes->by_order, order_id, note);
    if (note == NULL) {
        note = calloc(1, sizeof *note);
        if (note == NULL)
            abort();
        text_copy(note->order_id, sizeof note->order_id, order_id);
        HASH_ADD_STR(notes->by_order, order_id, note);
    }
    return note;
}

/* Printing these with a format takes a tenth of a saga's instructions. */
static void append(struct growing *growing, const char *text)
{
    size_t count = strlen(text);

    if (growing->size - growing->used <= count) {
        growing->size += count + 256;
        growing->text = realloc(growing->text, growing->size);
        if (growing->text == NULL)
            abort();
    }
    memcpy(growing->text + growing->used, text, count + 1);
    growing->used += count;
}

static void append_number(struct growing *growing, int64_t number)
{
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    char digits[24], *first = digits + sizeof digits - 1;

    *first = '\0';
    do
        *--first = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--first = '-';
    append(growing, first);
}

/* [seq,type,time_ms,cause_source,cause_log,cause_seq,command_id,data], */
static void add_entry(struct growing *timeline, const struct event *event)
{
    const struct cause *cause = &event->cause;
    char log[2 * LOG_ID_BYTES + 1] = "";
    char text[FIELDS_TEXT_MAX];

    (void)json_write_fields(shop_message(event->type)->fields, event->data,
                            text);
    if (cause->source[0] != '\0')
        text_hex(cause->at.log_id, LOG_ID_BYTES, log);
    append(timeline, "[");
    append_number(timeline, (int64_t)event->at.seq);
    append(timeline, ",\"");
    append(timeline, shop_type_name(event->type));
    append(timeline, "\",");
    append_number(timeline, event->time_ms);
    append(timeline, ",\"");
    append(timeline, cause->source);
    append(timeline, "\",\"");
    append(timeline, log);
    append(timeline, "\",");
    append_number(timeline, (int64_t)cause->at.seq);
    append(timeline, ",\"");
    append(timeline, cause->command_id);
    append(timeline, "\",");
    append(timeline, text);
    append(timeline, "],");
}

/* ---- folding ------------------------------------------------------------- */

static void place(struct note *note, const struct event *event)
{
    if (note->placed == NULL)
        note->placed = malloc(sizeof *event);
    if (note->placed == NULL)
        abort();
    *note->placed = *event;
    note->status = "PENDING";
}

static void set_status(struct note *note, const struct event *event,
                       const char *status)
{
    note->status = status;
    memcpy(note->reason, payload_of(event)->reason, sizeof note->reason);
}

static void ended(struct note *note, const struct event *event)
{
    if (event->time_ms > note->ended_ms)
        note->ended_ms = event->time_ms;
}

static void set_columns(struct note *note, const struct event *event)
{
    switch (event->type) {
    case ORDER_PLACED:
        place(note, event);
        break;
    case ORDER_CANCELLING:
        set_status(note, event, "CANCELLING");
        break;
    case ORDER_CONFIRMED:
        set_status(note, event, "CONFIRMED");
        break;
    case ORDER_CANCELLED:
        set_status(note, event, "CANCELLED");
        ended(note, event);
        break;
    case STOCK_RESERVED:
        note->stock = "RESERVED";
        break;
    case STOCK_REJECTED:
        note->stock = "REJECTED";
        break;
    case STOCK_RELEASED:
        note->stock = "RELEASED";
        break;
    case STOCK_SHIPPED:
        note->stock = "SHIPPED";
        ended(note, event);
        break;
    case PAYMENT_CHARGED:
        note->payment = "CHARGED";
        break;
    case PAYMENT_DECLINED:
        note->payment = "DECLINED";
        break;
    case PAYMENT_REFUNDED:
        note->payment = "REFUNDED";
        break;
    case PAYMENT_VOIDED:
        note->payment = "VOIDED";
        break;
    default:
        break;
    }
}

/* The part of its timeline that the log of @source has. */
static struct growing *part_of(struct note *note, const char *source)
{
    unsigned i = 0;

    while (i < SOURCES - 1 && strcmp(sources[i], source) != 0)
        i++;
    return &note->timeline[i];
}

static enum evt_status project(struct view_db *db, const struct event *event)
{
    struct note *note;

    if (event->order_id[0] == '\0')
        return EVT_OK; /* not about an order */
    note = note_of(view_notes(db), event->order_id);
    set_columns(note, event);
    note->events++;
    add_entry(part_of(note, event->source), event);
    return EVT_OK;
}

/* ---- writing --------------------------------------------------------------
 */

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

static const char *text_of(const struct growing *growing)
{
    return growing->text != NULL ? growing->text : "";
}

#define OTHER_TYPES "tttiittt"
#define OTHER_OF(note)                                                         \
    (note)->order_id, (note)->stock, (note)->payment, (note)->ended_ms,        \
        (note)->events, text_of(&(note)->timeline[FROM_ORDER]),                \
        text_of(&(note)->timeline[FROM_INVENTORY]),                            \
        text_of(&(note)->timeline[FROM_PAYMENT])

static enum evt_status write_note(struct view_db *db, const struct note *note)
{
    char lines[LINES_TEXT_MAX];
    const struct payload *data;

    if (note->status == NULL)
        return view_update(db, OTHER, NEW_OTHER, OTHER_TYPES, OTHER_OF(note));
    if (note->placed == NULL)
        return view_update(db, STATUS, NEW_STATUS, OTHER_TYPES "tt",
                           OTHER_OF(note), note->status, note->reason);
    data = payload_of(note->placed);
    return view_run(db, PLACED, OTHER_TYPES "tttitii", OTHER_OF(note),
                    note->status, note->reason, data->customer,
                    data->total_cents, lines_text(data, lines),
                    note->placed->time_ms, (int64_t)note->placed->at.seq);
}

static enum evt_status write_notes(struct view_db *db, void *all)
{
    struct notes *notes = all;
    enum evt_status rc = EVT_OK;

    while (notes->by_order != NULL && rc == EVT_OK) {
        /* clang-tidy 14 does not see that HASH_DEL took the freed one out */
        rc = write_note(db, notes->by_order); // NOLINT(*-unix.Malloc)
        free_note(notes, notes->by_order);
    }
    return rc;
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

/* ---- an order with its timeline -------------------------------------------
 */

/* An entry as it is answered. */
static json_t *entry_object(const char *source, const json_t *entry)
{
    static const char *const names[] = {
        "seq",       "type",      "time_ms",    "cause_source",
        "cause_log", "cause_seq", "command_id", "data"};
    json_t *object = json_pack("{s:s}", "source", source);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set(object, names[i], json_array_get(entry, i));
    return object;
}

static int compare_member(const json_t *a, const json_t *b, const char *name)
{
    json_int_t of_a = json_integer_value(json_object_get(a, name));
    json_int_t of_b = json_integer_value(json_object_get(b, name));

    return (of_a > of_b) - (of_a < of_b);
}

/* By time, then by position, then by service. */
static int compare_entries(const void *one, const void *other)
{
    const json_t *a = *(json_t *const *)one, *b = *(json_t *const *)other;
    int order = compare_member(a, b, "time_ms");

    if (order == 0)
        order = compare_member(a, b, "seq");
    return order != 0 ? order
                      : strcmp(json_string_value(json_object_get(a, "source")),
                               json_string_value(json_object_get(b, "source")));
}

/* Adds the entries of @source's part of @order's timeline to @all, and takes it
 * out of @order.  False: somebody edited the file. */
static bool read_part(json_t *order, const char *source, json_t *all)
{
    struct growing text = {.text = NULL};
    char column[SERVICE_BYTES + 16];
    json_t *entries, *entry;
    const char *part;
    size_t i;

    snprintf(column, sizeof column, "%s_timeline", source);
    part = json_string_value(json_object_get(order, column));
    append(&text, "[");
    append(&text, part != NULL ? part : "no text,"); /* and no JSON, either */
    if (text.used > 1) /* the comma behind the last */
        text.used--;
    append(&text, "]");
    entries = json_loads(text.text, 0, NULL);
    free(text.text);
    json_array_foreach(entries, i, entry)
        json_array_append_new(all, entry_object(source, entry));
    json_object_del(order, column);
    json_decref(entries);
    return entries != NULL;
}

static json_t *first_entries(const json_t *all)
{
    size_t count = json_array_size(all);
    json_t **sorted = calloc(count + 1, sizeof(json_t *));
    json_t *first = json_array();

    if (sorted == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        sorted[i] = json_array_get(all, i);
    qsort(sorted, count, sizeof(json_t *), compare_entries);
    for (size_t i = 0; i < count && i < TIMELINE_MAX; i++)
        json_array_append(first, sorted[i]);
    free(sorted);
    return first;
}

static json_t *answer_order(json_t *order)
{
    json_t *all = json_array(), *answer;
    bool good = true;

    for (size_t i = 0; i < SOURCES; i++)
        good = read_part(order, sources[i], all) && good;
    answer = good ? json_pack("{s:O, s:b, s:o}", "order", order, "ended",
                              has_ended(order), "timeline", first_entries(all))
                  : view_error(74, "the timeline is damaged ('./saga rebuild "
                                   "order' makes the view anew)");
    json_decref(all);
    return answer;
}

static json_t *query_order(struct view_db *db, const json_t *request)
{
    const char *id = NULL;
    json_t *orders, *answer;

    if (!view_request_id(request, "order", &id) || id == NULL)
        return view_error(65, "order must be an order's id");
    orders = view_select(db, ORDER, "t", id);
    if (orders == NULL)
        answer = view_unreadable(db);
    else if (json_array_size(orders) == 0)
        answer = view_error(66, "no order %s", id);
    else
        answer = answer_order(json_array_get(orders, 0));
    json_decref(orders);
    return answer;
}

/* ---- lists ----------------------------------------------------------------
 */

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

const struct view order_view = {
    .name = "order",
    .domain = &shop_domain,
    .sources = sources,
    .revision = 3,
    .schema = schema,
    .tables = tables,
    .sql = statements,
    .sql_count = STATEMENTS,
    .project = project,
    .notes_bytes = sizeof(struct notes),
    .write = write_notes,
    .forget = forget,
    .query = query,
};
