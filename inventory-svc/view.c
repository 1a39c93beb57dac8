/* view.c - the stock view: what is on the shelves, and for whom.
 *
 * Reserved pieces are still on hand but no longer available: a reader who saw
 * one number only would take held stock for sold.  Folded from the log of
 * inventory alone, by differences, like the shelves in inventory.c. */
#include "inventory-svc/inventory.h"

#include "read/view.h"
#include "shop/shop.h"

#include <string.h>

enum { SKUS_MAX = 400 }; /* in one answer */

static const char schema[] =
    "CREATE TABLE stock (sku TEXT PRIMARY KEY, received INTEGER NOT NULL,"
    " reserved INTEGER NOT NULL, shipped INTEGER NOT NULL) WITHOUT ROWID;";

static const char *const tables[] = {"stock", NULL};

enum sql { MOVE, NEW, SKUS, SKU, STATEMENTS };

#define STOCK_COLUMNS                                                          \
    "SELECT sku, received, received - shipped AS on_hand, reserved, shipped,"  \
    " received - shipped - reserved AS available FROM stock "

static const char *const statements[STATEMENTS] = {
    [MOVE] = "UPDATE stock SET received = received + ?2,"
             " reserved = reserved + ?3, shipped = shipped + ?4"
             " WHERE sku = ?1",
    [NEW] = "INSERT INTO stock VALUES (?1, ?2, ?3, ?4)",
    [SKUS] = STOCK_COLUMNS "WHERE sku > ? ORDER BY sku LIMIT ?",
    [SKU] = STOCK_COLUMNS "WHERE sku = ?",
};

/* ---- folding ------------------------------------------------------------- */

static enum evt_status move(struct view_db *db, const char *sku,
                            int64_t received, int64_t reserved, int64_t shipped)
{
    return view_update(db, MOVE, NEW, "tiii", sku, received, reserved, shipped);
}

/* Each line adds its quantity to the reserved pieces, and to the shipped ones,
 * so many times. */
static enum evt_status move_lines(struct view_db *db, const struct event *event,
                                  int reserved, int shipped)
{
    enum evt_status rc = EVT_OK;

    for (uint32_t i = 0; i < payload_of(event)->line_count && rc == EVT_OK;
         i++) {
        const struct line *line = &payload_of(event)->lines[i];

        rc = move(db, line->sku, 0, reserved * line->quantity,
                  shipped * line->quantity);
    }
    return rc;
}

static enum evt_status project(struct view_db *db, const struct event *event)
{
    switch (event->type) {
    case STOCK_RECEIVED:
        return move(db, payload_of(event)->sku, payload_of(event)->quantity, 0,
                    0);
    case STOCK_RESERVED:
        return move_lines(db, event, 1, 0);
    case STOCK_RELEASED:
        return move_lines(db, event, -1, 0);
    case STOCK_SHIPPED:
        return move_lines(db, event, -1, 1);
    default:
        return EVT_OK;
    }
}

/* ---- queries ------------------------------------------------------------- */

/* All skus, in their order; a long list goes on "past" the last one. */
static json_t *query_all(struct view_db *db, const json_t *request)
{
    const char *past = "";

    if (!view_request_id(request, "past", &past))
        return view_error(65, "past must be a sku");
    return view_page(db,
                     view_select(db, SKUS, "ti", past, (int64_t)SKUS_MAX + 1),
                     SKUS_MAX, "stock");
}

static json_t *query(struct view_db *db, const json_t *request)
{
    const char *get = json_string_value(json_object_get(request, "get"));
    const char *sku = NULL;
    json_t *stock;

    if (get == NULL || strcmp(get, "stock") != 0)
        return NULL;
    if (!view_request_id(request, "sku", &sku))
        return view_error(65, "sku must be a sku");
    if (sku == NULL)
        return query_all(db, request);
    stock = view_select(db, SKU, "t", sku);
    if (stock == NULL)
        return view_unreadable(db);
    if (json_array_size(stock) == 0) {
        json_decref(stock);
        return view_error(66, "no sku %s", sku);
    }
    return json_pack("{s:o}", "stock", stock);
}

static const char *const sources[] = {"inventory", NULL};

const struct view stock_view = {
    .name = "stock",
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
