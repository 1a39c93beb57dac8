/* test_cache.c - a state is a fold of the log, wherever it comes from.
 *
 * Cached, from a snapshot, or from the first event on: the same bytes.  What
 * loading costs is counted in rows that SQLite returned, not in time. */
#include "core/codec.h"
#include "core/json.h"
#include "sample.h"
#include "scratch.h"
#include "write/cache.h"

#include "../payment-svc/payment.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static struct scratch scratch;
static struct store *log_file;
static struct cache *cache;
static struct sample sample = {.random = 31};
static uint64_t rows_read;

static int count_row(unsigned what, void *ctx, void *p, void *x)
{
    (void)what;
    (void)ctx;
    (void)p;
    (void)x;
    rows_read++;
    return 0;
}

static void set_up(void)
{
    static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";
    char why[STORE_WHY_BYTES] = "";
    sqlite3 *db;

    scratch_open(&scratch);
    cr_assert_eq(store_open(scratch_file(&scratch, "log.db"), "payment", NULL,
                            log_id, &log_file, why),
                 EVT_OK, "%s", why);
    db = store_connection(log_file);
    sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    sqlite3_trace_v2(db, SQLITE_TRACE_ROW, count_row, NULL);
    cache = cache_open(&payment_service, log_file);
    cr_assert_not_null(cache);
}

static void tear_down(void)
{
    cache_close(cache);
    store_close(log_file);
    scratch_close(&scratch);
}

TestSuite(cache, .init = set_up, .fini = tear_down);

static unsigned kind_of(const char *name)
{
    for (unsigned i = 0; i < payment_service.kind_count; i++)
        if (strcmp(payment_service.kinds[i].name, name) == 0)
            return i;
    cr_assert(false, "no kind %s", name);
    return 0;
}

static const void *load_by(struct cache *by, const char *kind, const char *key)
{
    const void *state = NULL;

    cr_assert_eq(cache_load(by, kind_of(kind), key, &state), EVT_OK, "%s",
                 cache_error(by));
    return state;
}

static const void *load(const char *kind, const char *key)
{
    return load_by(cache, kind, key);
}

static int64_t balance_of(const char *customer)
{
    json_t *json =
        json_from_fields(payment_service.kinds[kind_of("account")].fields,
                         load("account", customer));
    int64_t cents = json_integer_value(json_object_get(json, "balance_cents"));

    json_decref(json);
    return cents;
}

/* Appends and folds, in the open transaction. */
static void append(unsigned type, const char *order, const char *customer,
                   int64_t cents)
{
    struct event event = {.type = type};
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    struct row row;

    *payload_in(event.data) = (struct payload){.amount_cents = cents};
    text_copy(event.order_id, ID_BYTES, order);
    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, customer);
    cr_assert_eq(store_append(log_file, &shop_domain,
                              service_indexed(&payment_service, type), &event,
                              data, &row, hash),
                 EVT_OK, "%s", store_error(log_file));
    cr_assert_eq(cache_fold(cache, &event), EVT_OK);
}

static void begin(void)
{
    cr_assert_eq(store_begin(log_file), EVT_OK);
}

static void commit(void)
{
    cr_assert_eq(store_commit(log_file), EVT_OK);
}

/* A deposit, a charge or a refund of one of three customers. */
static void some_event(void)
{
    static const unsigned types[] = {FUNDS_DEPOSITED, PAYMENT_CHARGED,
                                     PAYMENT_REFUNDED};
    static const char *const customers[] = {"alice", "bob", "carol"};
    char order[ID_BYTES];
    unsigned type = types[sample_random(&sample, 3)];

    snprintf(order, sizeof order, "o-%d", (int)sample_random(&sample, 9));
    append(type, type == FUNDS_DEPOSITED ? "" : order,
           customers[sample_random(&sample, 3)],
           1 + (int64_t)sample_random(&sample, 999));
}

/* The state under @key is the same from the cache, from a fresh one (which
 * uses snapshots), and from the first event on. */
static void expect_fold(const char *kind, const char *key)
{
    size_t bytes = payment_service.kinds[kind_of(kind)].bytes;
    struct cache *new_rows = cache_open(&payment_service, log_file);
    struct cache *whole = cache_open(&payment_service, log_file);
    const void *cached = load(kind, key);

    cr_assert_eq(memcmp(cached, load_by(new_rows, kind, key), bytes), 0);
    begin();
    cr_assert_eq(sqlite3_exec(store_connection(log_file),
                              "DELETE FROM snapshot", NULL, NULL, NULL),
                 SQLITE_OK);
    cr_assert_eq(memcmp(cached, load_by(whole, kind, key), bytes), 0);
    store_rollback(log_file);
    cache_close(new_rows);
    cache_close(whole);
}

Test(cache, a_state_is_the_same_however_it_is_come_by) /* HC43 */
{
    load("account", "alice"); /* bob's is loaded later, carol's last */
    for (int i = 0; i < 1500; i++) {
        begin();
        some_event();
        commit();
        if (i % 100 == 50)
            expect_fold("account", "alice");
        if (i % 300 == 250)
            expect_fold("account", "bob");
        if (i % 400 == 350)
            expect_fold("payment", "o-3");
    }
    expect_fold("account", "carol");
    cr_assert_gt(cache_snapshots(cache), 1);
}

Test(cache, a_key_that_no_event_has_touched_is_all_zeros)
{
    static const char zeros[256];
    size_t bytes = payment_service.kinds[kind_of("account")].bytes;

    cr_assert_leq(bytes, sizeof zeros);
    cr_assert_eq(memcmp(load("account", "nobody"), zeros, bytes), 0);
}

Test(cache, what_is_cached_is_not_read_again)
{
    begin();
    append(FUNDS_DEPOSITED, "", "alice", 500);
    commit();
    rows_read = 0;
    cr_assert_eq(balance_of("alice"), 500);
    cr_assert_eq(rows_read, 1);
    cr_assert_eq(balance_of("alice"), 500);
    cr_assert_eq(rows_read, 1);
    begin();
    append(FUNDS_DEPOSITED, "", "alice", 70); /* folded, not read */
    cr_assert_eq(balance_of("alice"), 570);
    cr_assert_eq(rows_read, 1);
    commit();
}

Test(cache, a_load_sees_the_open_transaction)
{
    begin();
    append(FUNDS_DEPOSITED, "", "alice", 500);
    cr_assert_eq(cache_count(cache), 0, "nobody had asked for it");
    cr_assert_eq(balance_of("alice"), 500);
    commit();
}

Test(cache, after_a_rollback_it_knows_no_more_than_the_log) /* HC14 */
{
    begin();
    append(FUNDS_DEPOSITED, "", "alice", 500);
    commit();
    cr_assert_eq(balance_of("alice"), 500);
    begin();
    append(FUNDS_DEPOSITED, "", "alice", 70);
    cr_assert_eq(balance_of("alice"), 570);
    store_rollback(log_file);
    cache_drop(cache);
    cr_assert_eq(cache_count(cache), 0);
    cr_assert_eq(balance_of("alice"), 500);
}

/* A snapshot that was rolled back is not missed: the next fold writes it. */
Test(cache, a_snapshot_goes_with_its_transaction)
{
    load("account", "alice");
    begin();
    for (int i = 0; i < SNAPSHOT_EVERY; i++)
        append(FUNDS_DEPOSITED, "", "alice", 1);
    cr_assert_eq(cache_snapshots(cache), 1);
    store_rollback(log_file);
    cache_drop(cache);
    cr_assert_eq(balance_of("alice"), 0);
    begin();
    for (int i = 0; i < SNAPSHOT_EVERY; i++)
        append(FUNDS_DEPOSITED, "", "alice", 2);
    commit();
    cr_assert_eq(cache_snapshots(cache), 2);
    expect_fold("account", "alice");
}

Test(cache, an_account_of_100000_events_is_loaded_in_a_few_rows) /* HC49 */
{
    enum { EVENTS = 100000 };

    load("account", "alice");
    for (int i = 0; i < EVENTS;) {
        begin();
        for (int k = 0; k < 5000; k++, i++)
            append(FUNDS_DEPOSITED, "", "alice", 1);
        commit();
    }
    cr_assert_geq(cache_snapshots(cache), EVENTS / SNAPSHOT_EVERY);
    cache_drop(cache);
    rows_read = 0;
    cr_assert_eq(balance_of("alice"), EVENTS);
    cr_assert_leq(rows_read, 1 + SNAPSHOT_EVERY, "read %d rows",
                  (int)rows_read);
    begin();
    sqlite3_exec(store_connection(log_file), "DELETE FROM snapshot", NULL, NULL,
                 NULL);
    commit();
    cache_drop(cache);
    rows_read = 0;
    cr_assert_eq(balance_of("alice"), EVENTS, "without it, all is read");
    cr_assert_eq(rows_read, EVENTS);
}

/* A state that is used all the time, and loaded anew every time: the events
 * replayed count towards the next snapshot, or none would ever be written. */
Test(cache, a_state_that_is_often_forgotten_gets_its_snapshot) /* HC49 */
{
    for (int i = 0; i < 2 * SNAPSHOT_EVERY; i++) {
        load("account", "alice");
        begin();
        append(FUNDS_DEPOSITED, "", "alice", 1);
        commit();
        cache_drop(cache);
    }
    cr_assert_geq(cache_snapshots(cache), 1);
    rows_read = 0;
    cr_assert_eq(balance_of("alice"), INT64_C(2) * SNAPSHOT_EVERY);
    cr_assert_leq(rows_read, 2 + SNAPSHOT_EVERY);
}

Test(cache, a_snapshot_of_another_revision_is_void) /* HC43 */
{
    struct service changed = payment_service;
    struct kind kinds[8];
    struct cache *other;

    cr_assert_leq(payment_service.kind_count, 8);
    memcpy(kinds, payment_service.kinds,
           payment_service.kind_count * sizeof kinds[0]);
    kinds[kind_of("account")].revision++;
    changed.kinds = kinds;
    load("account", "alice");
    begin();
    for (int i = 0; i < SNAPSHOT_EVERY; i++)
        append(FUNDS_DEPOSITED, "", "alice", 1);
    commit();
    cache_drop(cache);
    rows_read = 0;
    cr_assert_eq(balance_of("alice"), SNAPSHOT_EVERY);
    cr_assert_eq(rows_read, 1, "the snapshot alone");
    other = cache_open(&changed, log_file);
    rows_read = 0;
    load_by(other, "account", "alice");
    cr_assert_eq(rows_read, 1 + SNAPSHOT_EVERY, "looked at, and not used");
    cache_close(other);
}

/* Whatever a file holds, the state is the fold of the log, and no sum on the
 * way can overflow. */
Test(cache, a_damaged_snapshot_is_void) /* HC43 F20 real */
{
    static const char *const damages[] = {
        "seq = 1000000",
        "seq = -1",
        "bytes = cast(zeroblob(7) || x'ff' || zeroblob(24) AS BLOB)",
        "bytes = cast(zeroblob(24) || x'ffffffffffffff7f' AS BLOB)",
        "bytes = x'00'",
    };
    char sql[256];

    load("account", "alice");
    begin();
    for (int i = 0; i < SNAPSHOT_EVERY; i++)
        append(FUNDS_DEPOSITED, "", "alice", 1);
    commit();
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        snprintf(sql, sizeof sql,
                 "UPDATE snapshot SET seq = (SELECT max(seq) FROM event);"
                 "UPDATE snapshot SET %s",
                 damages[i]);
        begin();
        cr_assert_eq(
            sqlite3_exec(store_connection(log_file), sql, NULL, NULL, NULL),
            SQLITE_OK, "%s", sql);
        commit();
        cache_drop(cache);
        cr_assert_eq(balance_of("alice"), SNAPSHOT_EVERY, "%s", damages[i]);
    }
}

Test(cache, memory_is_bounded_and_what_is_used_stays) /* HC56 */
{
    enum { MORE = STATES_CACHED_MAX + 1000 }; /* once round, and on */
    char key[CUSTOMER_BYTES];

    begin(); /* so that loading it again would be seen */
    append(FUNDS_DEPOSITED, "", "used-often", 5);
    commit();
    load("account", "used-often");
    for (int i = 0; i < STATES_CACHED_MAX; i++) {
        snprintf(key, sizeof key, "c-%d", i);
        load("account", key);
    }
    cr_assert_eq(cache_count(cache), STATES_CACHED_MAX + 1);
    cache_trim(cache);
    cr_assert_eq(cache_count(cache), STATES_CACHED_MAX);
    load("account", "used-often"); /* all had been used once: it may be gone */
    rows_read = 0;
    for (int i = 0; i < MORE; i++) {
        snprintf(key, sizeof key, "d-%d", i);
        load("account", key);
        load("account", "used-often");
        cache_trim(cache);
    }
    cr_assert_eq(cache_count(cache), STATES_CACHED_MAX);
    cr_assert_eq(balance_of("used-often"), 5);
    cr_assert_eq(rows_read, 0, "it was never forgotten");
}

Test(cache, what_cannot_be_read_is_named_and_not_kept)
{
    const void *state = NULL;

    begin();
    append(FUNDS_DEPOSITED, "", "alice", 500);
    append(FUNDS_DEPOSITED, "", "alice", 500);
    commit();
    cr_assert_eq(sqlite3_exec(store_connection(log_file),
                              "DROP TRIGGER event_is_never_changed;"
                              "UPDATE event SET version = 9 WHERE seq = 2",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    cr_assert_eq(cache_load(cache, kind_of("account"), "alice", &state),
                 EVT_BAD);
    cr_assert_not_null(strstr(cache_error(cache), "own event 2"), "%s",
                       cache_error(cache));
    cr_assert_null(state);
    cr_assert_eq(cache_count(cache), 0);
    cr_assert_eq(balance_of("bob"), 0, "others are read all the same");
}
