/* shipping.c - a fourth service, in neither the roster nor run.sh's list.
 *
 * It sends a parcel for each order that is confirmed.  Its event is in its own
 * copy of the catalogue (catalogue.sed), so that ./saga knows nothing of it
 * but what shipping-svc itself says.  test_fourth.sh runs it. */
#include "host/host.h"
#include "shop/shop.h"

enum { PARCEL_SENT = MESSAGE_TYPES };

static decide_fn send_parcel, lose_parcel, watch_stock;

static const struct rule rules[] = {
    {ORDER_CONFIRMED, send_parcel, {PARCEL_SENT}},
    {STOCK_RESERVED, watch_stock, {NO_MESSAGE}},
};

enum kind_number { PARCEL };
enum parcel_status { NONE, SENT };

struct parcel {
    int64_t status;
};

static void send_parcel(const struct states *states, const struct event *cause,
                        struct decision *out)
{
    const struct parcel *parcel = state_of(states, PARCEL, cause->order_id);
    struct payload *data;

    if (parcel->status != NONE)
        return;
    data = emit(out, PARCEL_SENT, cause);
    text_copy(data->reason, sizeof data->reason, "by mail");
}

/* So that there is an event which it may fail to understand. */
static void watch_stock(const struct states *states, const struct event *cause,
                        struct decision *out)
{
    (void)states;
    (void)cause;
    (void)out;
}

static void lose_parcel(const struct states *states, const struct event *cause,
                        struct decision *out)
{
    watch_stock(states, cause, out);
}

static void evolve_parcel(void *state, const char *key, const struct event *own)
{
    struct parcel *parcel = state;

    (void)key;
    (void)own;
    parcel->status = SENT;
}

static const char *const status_words[] = {"NONE", "SENT"};
static const struct field parcel_fields[] = {
    {"status", FIELD_INT, AT(struct parcel, status), .max = SENT,
     .names = status_words},
    {.name = NULL},
};

static const struct kind kinds[] = {
    [PARCEL] = {"parcel",
                TAG_ORDER,
                sizeof(struct parcel),
                parcel_fields,
                evolve_parcel,
                {PARCEL_SENT},
                .revision = 1},
};

static const struct fault_rule faults[] = {
    {"shipping/lose", "a parcel is not sent", ORDER_CONFIRMED, lose_parcel},
};

static const char *const listens_to[] = {"order", "inventory", NULL};

static const struct service shipping_service = {
    .name = "shipping",
    .domain = &shop_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
    .faults = faults,
    .fault_count = sizeof faults / sizeof faults[0],
};

/* ---- its view ------------------------------------------------------------ */

static const char *const tables[] = {"parcels", NULL};
static const char *const statements[] = {
    "INSERT INTO parcels VALUES (?, ?)",
    "SELECT order_id, sent_ms FROM parcels ORDER BY order_id LIMIT 100",
};

static enum evt_status project(struct view_db *db, const struct event *event)
{
    if (event->type != PARCEL_SENT)
        return EVT_OK;
    return view_run(db, 0, "ti", event->order_id, event->time_ms);
}

static json_t *query(struct view_db *db, const json_t *request)
{
    (void)request;
    return json_pack("{s:o}", "parcels", view_select(db, 1, ""));
}

static const char *const sources[] = {"shipping", NULL};

static const struct view parcel_view = {
    .name = "parcel",
    .domain = &shop_domain,
    .sources = sources,
    .revision = 1,
    .schema = "CREATE TABLE parcels (order_id TEXT PRIMARY KEY,"
              " sent_ms INTEGER NOT NULL) WITHOUT ROWID;",
    .tables = tables,
    .sql = statements,
    .sql_count = 2,
    .project = project,
    .query = query,
};

int main(int argc, char **argv)
{
    return host_main(argc, argv, &shipping_service, &parcel_view);
}
