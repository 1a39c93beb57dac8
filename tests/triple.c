/* triple.c - see triple.h.  Next: test_check.c, which spoils what is made
 * here. */
#include "triple.h"

#include "read/view_db.h"

#include "../inventory-svc/inventory.h"
#include "../order-svc/order.h"
#include "../payment-svc/payment.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct service *const triple_services[SERVICES] = {
    &order_service, &inventory_service, &payment_service};
const struct view *const triple_views[SERVICES] = {&order_view, &stock_view,
                                                   &account_view};

uint64_t triple_random(struct triple *triple, uint64_t below)
{
    triple->random ^= triple->random << 13; /* Marsaglia's xorshift64 */
    triple->random ^= triple->random >> 7;
    triple->random ^= triple->random << 17;
    return triple->random % below;
}

/* ---- files ----------------------------------------------------------------
 */

static void make_directories(struct triple *triple)
{
    const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char path[128];

    snprintf(triple->directory, sizeof triple->directory, "%s/triple-XXXXXX",
             top);
    cr_assert_not_null(mkdtemp(triple->directory));
    for (unsigned i = 0; i < SERVICES; i++) {
        snprintf(path, sizeof path, "%s/%s", triple->directory,
                 shop_services[i]);
        cr_assert_eq(mkdir(path, 0700), 0);
    }
}

static void open_log(struct triple *triple, unsigned number)
{
    struct triple_log *log = &triple->logs[number];
    char path[128], why[STORE_WHY_BYTES] = "";
    uint8_t log_id[LOG_ID_BYTES];

    for (size_t i = 0; i < sizeof log_id; i++)
        log_id[i] = (uint8_t)triple_random(triple, 256);
    log->service = triple_services[number];
    snprintf(path, sizeof path, "%s/%s/log.db", triple->directory,
             log->service->name);
    cr_assert_eq(
        store_open(path, log->service->name, NULL, log_id, &log->store, why),
        EVT_OK, "%s: %s", path, why);
    sqlite3_exec(store_connection(log->store), "PRAGMA synchronous=OFF", NULL,
                 NULL, NULL);
    log->cache = cache_open(log->service, log->store);
}

void triple_open(struct triple *triple, uint64_t seed)
{
    memset(triple, 0, sizeof *triple);
    triple->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    triple->now_ms = INT64_C(1700000000000);
    make_directories(triple);
    for (unsigned i = 0; i < SERVICES; i++)
        open_log(triple, i);
}

void triple_reopen(struct triple *triple)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        struct triple_log *log = &triple->logs[i];

        open_log(triple, i);
        memset(log->cursors, 0, sizeof log->cursors);
        for (unsigned from = 0; from < SERVICES; from++) {
            enum evt_status rc = store_cursor(log->store, shop_services[from],
                                              &log->cursors[from]);

            cr_assert(rc == EVT_OK || rc == EVT_NONE);
        }
    }
}

void triple_close(struct triple *triple)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        cache_close(triple->logs[i].cache);
        store_close(triple->logs[i].store);
        triple->logs[i].cache = NULL;
        triple->logs[i].store = NULL;
    }
}

void triple_remove(struct triple *triple)
{
    char command[256];

    triple_close(triple);
    snprintf(command, sizeof command, "rm -r '%s'", triple->directory);
    cr_assert_eq(system(command), 0);
}

void triple_copy(struct triple *to, const struct triple *from)
{
    char command[512];

    *to = *from;
    make_directories(to);
    snprintf(command, sizeof command, "cp -r '%s'/. '%s'", from->directory,
             to->directory);
    cr_assert_eq(system(command), 0);
}

/* ---- one step: a cause, a decision, a transaction -------------------------
 */

static void follow_timers(struct triple *triple, struct triple_log *log,
                          const struct event *own)
{
    for (size_t i = 0; i < log->service->timer_count; i++) {
        const struct timer *timer = &log->service->timers[i];
        struct armed armed = {.event_seq = own->at.seq,
                              .set_ms = triple->now_ms,
                              .after_ms = timer->default_ms};

        if (own->type == timer->from) {
            text_copy(armed.order_id, sizeof armed.order_id, own->order_id);
            cr_assert_eq(store_arm(log->store, &armed), EVT_OK);
        } else if (event_type_in(own->type, timer->unless, UNLESS_MAX)) {
            cr_assert_eq(store_disarm(log->store, own->order_id), EVT_OK);
        }
    }
}

static void append(struct triple *triple, struct triple_log *log,
                   struct event *event)
{
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    unsigned indexed = 0;
    struct row row;

    for (unsigned tag = TAG_ORDER; tag < TAG_KINDS; tag++)
        if (service_indexes(log->service, event->type, (enum tag_kind)tag))
            indexed |= 1u << tag;
    event->time_ms = triple->now_ms++;
    cr_assert_eq(store_append(log->store, indexed, event, data, &row, hash),
                 EVT_OK, "%s", store_error(log->store));
    cr_assert_eq(cache_fold(log->cache, event), EVT_OK);
    follow_timers(triple, log, event);
}

/* Whether an event came of it. */
static bool decide(struct triple *triple, struct triple_log *log,
                   const struct event *cause, const struct cause *because)
{
    const struct rule *rule = service_rule(log->service, cause->type);
    struct decision decision;
    struct states states;

    if (rule == NULL)
        return false;
    cr_assert_eq(service_load_states(&states, log->service, cause, cache_load,
                                     log->cache),
                 EVT_OK);
    memset(&decision, 0, sizeof decision);
    service_decide(rule, NULL, &states, cause, &decision);
    if (!decision.emitted)
        return false;
    decision.event.cause = *because;
    append(triple, log, &decision.event);
    return true;
}

static void save_cursors(struct triple_log *log)
{
    for (unsigned i = 0; i < SERVICES; i++)
        if (log->cursors[i].at.seq > 0)
            cr_assert_eq(store_set_cursor(log->store, shop_services[i],
                                          &log->cursors[i]),
                         EVT_OK);
}

bool triple_take(struct triple *triple, unsigned reader, unsigned publisher)
{
    struct triple_log *log = &triple->logs[reader];
    struct store *from = triple->logs[publisher].store;
    struct cursor *cursor = &log->cursors[publisher];
    struct event event;
    struct row row;
    const char *why, *field;
    enum evt_status rc;
    struct cause because = {.at.seq = cursor->at.seq + 1};

    if (reader == publisher)
        return false;
    cr_assert_eq(store_scan(from, NULL, cursor->at.seq, cursor->at.seq + 1),
                 EVT_OK);
    rc = store_next(from, &row, cursor->hash);
    if (rc == EVT_OK)
        cr_assert_eq(codec_from_row(shop_services[publisher],
                                    store_log_id(from), &row, &event, &why,
                                    &field),
                     EVT_OK);
    store_scan_end(from);
    if (rc != EVT_OK)
        return false;
    cursor->at = event.at;
    because.at = event.at;
    text_copy(because.source, sizeof because.source, event.source);
    cr_assert_eq(store_begin(log->store), EVT_OK);
    if (decide(triple, log, &event, &because) || triple_random(triple, 2) == 0)
        save_cursors(log); /* without an event: lazily */
    cr_assert_eq(store_commit(log->store), EVT_OK);
    return true;
}

void triple_drain(struct triple *triple, unsigned reader, unsigned publisher)
{
    while (triple_take(triple, reader, publisher))
        ;
}

void triple_settle(struct triple *triple)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned reader = 0; reader < SERVICES; reader++)
            for (unsigned publisher = 0; publisher < SERVICES; publisher++)
                moved = triple_take(triple, reader, publisher) || moved;
    }
    for (unsigned i = 0; i < SERVICES; i++) {
        cr_assert_eq(store_begin(triple->logs[i].store), EVT_OK);
        save_cursors(&triple->logs[i]);
        cr_assert_eq(store_commit(triple->logs[i].store), EVT_OK);
    }
}

void triple_accept(struct triple *triple, unsigned reader, unsigned publisher)
{
    struct store *from = triple->logs[publisher].store;
    struct cursor *cursor = &triple->logs[reader].cursors[publisher];

    memcpy(cursor->at.log_id, store_log_id(from), LOG_ID_BYTES);
    cr_assert_eq(store_head(from, &cursor->at.seq, cursor->hash), EVT_OK);
}

/* ---- commands -------------------------------------------------------------
 */

/* What a client notes after the answer (check.h), at times twice: it may ask
 * again and get the same answer. */
static void note_in_journal(struct triple *triple, const struct triple_log *log,
                            enum message_type type, const char *command_id)
{
    char path[128], log_id[2 * LOG_ID_BYTES + 1];
    uint8_t hash[HASH_BYTES];
    uint64_t head;
    FILE *journal;

    snprintf(path, sizeof path, "%s/journal", triple->directory);
    journal = fopen(path, "a");
    cr_assert_not_null(journal, "%s", path);
    cr_assert_eq(store_head(log->store, &head, hash), EVT_OK);
    text_hex(store_log_id(log->store), LOG_ID_BYTES, log_id);
    for (uint64_t times = 1 + head % 2; times > 0; times--)
        fprintf(journal,
                "{\"command\":\"%s\",\"type\":\"%s\",\"service\":\"%s\","
                "\"log\":\"%s\",\"seq\":%llu}\n",
                command_id, shop_type_name(type), log->service->name, log_id,
                (unsigned long long)head);
    fclose(journal);
}

static void command(struct triple *triple, unsigned number,
                    enum message_type type, const char *order,
                    const struct payload *data)
{
    struct triple_log *log = &triple->logs[number];
    struct event cause = {.type = type, .data = *data};
    struct cause because = {.at.seq = 0};
    bool emitted;

    text_copy(cause.order_id, sizeof cause.order_id, order);
    if (type == PLACE_ORDER)
        text_copy(because.command_id, sizeof because.command_id, order);
    else
        snprintf(because.command_id, sizeof because.command_id, "c-%u",
                 ++triple->commands);
    cr_assert_eq(store_begin(log->store), EVT_OK);
    emitted = decide(triple, log, &cause, &because);
    cr_assert_eq(store_commit(log->store), EVT_OK);
    if (emitted)
        note_in_journal(triple, log, type, because.command_id);
}

void triple_product(struct triple *triple, const char *sku, int64_t cents)
{
    struct payload data = {.price_cents = cents};

    text_copy(data.sku, sizeof data.sku, sku);
    command(triple, ORDER_LOG, LIST_PRODUCT, "", &data);
}

void triple_stock(struct triple *triple, const char *sku, int64_t pieces)
{
    struct payload data = {.quantity = pieces};

    text_copy(data.sku, sizeof data.sku, sku);
    command(triple, INVENTORY_LOG, RECEIVE_STOCK, "", &data);
}

void triple_fund(struct triple *triple, const char *customer, int64_t cents)
{
    struct payload data = {.amount_cents = cents};

    text_copy(data.customer, sizeof data.customer, customer);
    command(triple, PAYMENT_LOG, DEPOSIT_FUNDS, "", &data);
}

void triple_place(struct triple *triple, const char *order,
                  const char *customer, const char *sku, int64_t pieces,
                  const char *sku2, int64_t pieces2)
{
    struct payload data = {.line_count = sku2 != NULL ? 2 : 1};

    text_copy(data.customer, sizeof data.customer, customer);
    text_copy(data.lines[0].sku, SKU_BYTES, sku);
    data.lines[0].quantity = pieces;
    if (sku2 != NULL) {
        text_copy(data.lines[1].sku, SKU_BYTES, sku2);
        data.lines[1].quantity = pieces2;
    }
    command(triple, ORDER_LOG, PLACE_ORDER, order, &data);
}

void triple_cancel(struct triple *triple, const char *order)
{
    struct payload data = {.line_count = 0};

    command(triple, ORDER_LOG, CANCEL_ORDER, order, &data);
}

void triple_expire(struct triple *triple)
{
    struct triple_log *log = &triple->logs[ORDER_LOG];
    struct event cause = {.type = EXPIRE_ORDER};
    struct cause because = {.at.seq = 0};
    struct armed due[64];
    size_t count;

    cr_assert_eq(store_due(log->store, INT64_MAX, due, 64, &count), EVT_OK);
    if (count == 0)
        return;
    count = triple_random(triple, count);
    text_copy(cause.order_id, sizeof cause.order_id, due[count].order_id);
    text_copy(because.source, sizeof because.source, log->service->name);
    memcpy(because.at.log_id, store_log_id(log->store), LOG_ID_BYTES);
    because.at.seq = due[count].event_seq;
    cr_assert_eq(store_begin(log->store), EVT_OK);
    decide(triple, log, &cause, &because);
    cr_assert_eq(store_commit(log->store), EVT_OK);
}

void triple_snapshot(struct triple *triple, unsigned number, unsigned kind,
                     const char *key)
{
    struct triple_log *log = &triple->logs[number];
    const struct kind *what = &log->service->kinds[kind];
    uint8_t hash[HASH_BYTES];
    const void *state;
    uint64_t head;

    cr_assert_eq(store_begin(log->store), EVT_OK);
    cr_assert_eq(cache_load(log->cache, kind, key, &state), EVT_OK);
    cr_assert_eq(store_head(log->store, &head, hash), EVT_OK);
    if (head > 0)
        cr_assert_eq(store_set_snapshot(log->store, what->name, key,
                                        service_kind_layout(what), state,
                                        what->bytes, head),
                     EVT_OK);
    cr_assert_eq(store_commit(log->store), EVT_OK);
}

/* ---- random walks ---------------------------------------------------------
 */

static const char *const skus[] = {"widget", "gadget", "gizmo"};
static const char *const customers[] = {"alice", "bob", "carol"};

static const char *random_sku(struct triple *triple)
{
    return skus[triple_random(triple, 3)];
}

static const char *random_order(struct triple *triple, char id[ID_BYTES])
{
    snprintf(id, ID_BYTES, "o-%d", (int)triple_random(triple, 12));
    return id;
}

static void random_command(struct triple *triple)
{
    const char *customer = customers[triple_random(triple, 3)];
    int64_t pieces = 1 + (int64_t)triple_random(triple, 4);
    const char *sku = random_sku(triple), *second = random_sku(triple);
    char id[ID_BYTES];

    switch (triple_random(triple, 8)) {
    case 0:
        triple_stock(triple, sku, pieces);
        break;
    case 1:
        triple_fund(triple, customer, 1000 * pieces);
        break;
    case 2:
        triple_product(triple, sku, 100 * pieces);
        break;
    case 3:
        triple_cancel(triple, random_order(triple, id));
        break;
    case 4:
        triple_expire(triple);
        break;
    default:
        triple_place(triple, random_order(triple, id), customer, sku, pieces,
                     sku != second ? second : NULL, 1);
    }
}

static void random_snapshot(struct triple *triple)
{
    static const unsigned kinds[SERVICES] = {1, 1, 1}; /* product, shelf,
                                                          account */
    unsigned log = (unsigned)triple_random(triple, SERVICES);

    triple_snapshot(triple, log, kinds[log],
                    log == PAYMENT_LOG ? customers[triple_random(triple, 3)]
                                       : random_sku(triple));
}

void triple_walk(struct triple *triple, unsigned steps)
{
    for (size_t i = 0; i < 3; i++) {
        triple_product(triple, skus[i], 500);
        triple_stock(triple, skus[i], 6);
        triple_fund(triple, customers[i], 3000);
    }
    while (steps-- > 0) {
        uint64_t choice = triple_random(triple, 20);

        if (choice < 3)
            random_command(triple);
        else if (choice == 3)
            random_snapshot(triple);
        else
            (void)triple_take(triple, (unsigned)triple_random(triple, SERVICES),
                              (unsigned)triple_random(triple, SERVICES));
    }
}

/* ---- read models ----------------------------------------------------------
 */

static void project_log(struct view_db *db, const struct view *view,
                        const char *directory, const char *source)
{
    char path[160], why[STORE_WHY_BYTES];
    const char *reason, *field;
    struct cursor cursor = {.at.seq = 0};
    struct store *log;
    struct event event;
    struct row row;

    snprintf(path, sizeof path, "%s/%s/log.db", directory, source);
    cr_assert_eq(store_open_readonly(path, source, NULL, &log, why), EVT_OK);
    cr_assert_eq(store_scan(log, NULL, 0, UINT64_MAX), EVT_OK);
    while (store_next(log, &row, cursor.hash) == EVT_OK) {
        cr_assert_eq(codec_from_row(source, store_log_id(log), &row, &event,
                                    &reason, &field),
                     EVT_OK);
        cr_assert_eq(view->project(db, &event), EVT_OK);
        cursor.at = event.at;
    }
    store_scan_end(log);
    if (cursor.at.seq > 0)
        cr_assert_eq(view_db_set_position(db, source, &cursor), EVT_OK);
    store_close(log);
}

void triple_build_views(struct triple *triple)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        char directory[160], why[STORE_WHY_BYTES] = "";
        struct view_files place = {triple_views[i], directory, NULL};
        struct view_db *db = NULL;
        unsigned count = 0;

        snprintf(directory, sizeof directory, "%s/%s", triple->directory,
                 shop_services[i]);
        cr_assert_eq(view_db_create(&place, 1, &db, why), EVT_OK, "%s", why);
        cr_assert_eq(view_db_begin(db), EVT_OK);
        while (place.view->sources[count] != NULL)
            count++;
        while (count-- > 0) /* the checker folds them the other way round */
            project_log(db, place.view, triple->directory,
                        place.view->sources[count]);
        cr_assert_eq(view_db_commit(db), EVT_OK);
        view_db_close(db);
        cr_assert_eq(generation_publish(&place, 1, why), EVT_OK, "%s", why);
    }
}
