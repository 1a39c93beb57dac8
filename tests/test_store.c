/* test_store.c - the log file on a real disk: transactions, crashes, a disk
 * that is full or broken, and files that are not ours.
 *
 * What the shell makes of these answers is in test_shell.c. */
#include "core/codec.h"
#include "faultvfs.h"
#include "log/store.h"
#include "log/syncs.h"
#include "scratch.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch scratch;
static char path[160];
static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";

static void set_up(void)
{
    scratch_open(&scratch);
    snprintf(path, sizeof path, "%s", scratch_file(&scratch, "log.db"));
    faultvfs_register();
    faultvfs_set(0, 0, 0, false);
}

static void tear_down(void)
{
    scratch_close(&scratch);
}

TestSuite(store, .init = set_up, .fini = tear_down);

static struct store *open_with(const char *vfs)
{
    char why[STORE_WHY_BYTES] = "";
    struct store *store = NULL;

    cr_assert_eq(store_open(path, "payment", vfs, log_id, &store, why), EVT_OK,
                 "%s", why);
    return store;
}

static struct store *open_it(void)
{
    return open_with(NULL);
}

static struct store *open_readonly(void)
{
    char why[STORE_WHY_BYTES] = "";
    struct store *store = NULL;

    cr_assert_eq(store_open_readonly(path, "payment", NULL, &store, why),
                 EVT_OK, "%s", why);
    return store;
}

static uint64_t head_of(struct store *store)
{
    uint8_t hash[HASH_BYTES];
    uint64_t seq = 0;

    cr_assert_eq(store_head(store, &seq, hash), EVT_OK);
    return seq;
}

/* ---- appending ----------------------------------------------------------- */

enum { CUSTOMERS = 7 };

/* One deposit, under its customer's tag; the n-th of the log has command
 * "d-n". */
static enum evt_status append_one(struct store *store)
{
    struct event event = {.type = FUNDS_DEPOSITED, .time_ms = 1700000000000};
    uint8_t data[DATA_MAX], hash[HASH_BYTES], kept[HASH_BYTES];
    uint64_t before = head_of(store);
    struct row row;
    enum evt_status rc;

    *payload_in(event.data) = (struct payload){.amount_cents = 1};
    snprintf(payload_in(event.data)->customer, CUSTOMER_BYTES, "c-%d",
             (int)(before % CUSTOMERS));
    snprintf(event.cause.command_id, ID_BYTES, "d-%llu",
             (unsigned long long)before + 1);
    rc = store_append(store, &shop_domain, 1u << TAG_CUSTOMER, &event, data,
                      &row, hash);
    if (rc == EVT_OK) {
        cr_assert_eq(event.at.seq, before + 1);
        cr_assert_eq(row.seq, before + 1);
        cr_assert_arr_eq(event.at.log_id, log_id, LOG_ID_BYTES);
        cr_assert_str_eq(event.source, "payment");
        cr_assert_eq(store_head(store, &before, kept), EVT_OK);
        cr_assert_arr_eq(hash, kept, HASH_BYTES);
    } else {
        cr_assert_eq(event.at.seq, 0, "the event is unchanged");
        cr_assert_eq(head_of(store), before);
    }
    return rc;
}

/* @count deposits and a cursor that says how many there are, in the open
 * transaction. */
static enum evt_status fill(struct store *store, unsigned count)
{
    struct cursor cursor = {.at.seq = head_of(store) + count};
    enum evt_status rc = EVT_OK;

    for (unsigned i = 0; i < count && rc == EVT_OK; i++)
        rc = append_one(store);
    return rc == EVT_OK ? store_set_cursor(store, "order", &cursor) : rc;
}

static enum evt_status batch(struct store *store, unsigned count)
{
    enum evt_status rc = store_begin(store);

    if (rc != EVT_OK)
        return rc;
    rc = fill(store, count);
    if (rc == EVT_OK)
        rc = store_commit(store);
    if (rc != EVT_OK)
        store_rollback(store);
    return rc;
}

/* ---- what must hold of a file at any time -------------------------------- */

static void expect_cursor(struct store *store, uint64_t seq)
{
    struct cursor cursor;
    enum evt_status rc = store_cursor(store, "order", &cursor);

    cr_assert_eq(rc, seq == 0 ? EVT_NONE : EVT_OK);
    if (rc == EVT_OK)
        cr_assert_eq(cursor.at.seq, seq);
}

/* No hole, a whole chain, the tags exactly those of the events, the cursor
 * what the last batch left; returns the head. */
static uint64_t expect_whole(struct store *store)
{
    uint8_t hash[HASH_BYTES], stored[HASH_BYTES];
    uint64_t seq = 0, tags = 0;
    struct row row;

    event_genesis("payment", log_id, hash);
    cr_assert_eq(store_scan(store, NULL, 0, UINT64_MAX), EVT_OK);
    while (store_next(store, &row, stored) == EVT_OK) {
        cr_assert_eq(row.seq, ++seq);
        event_hash(hash, &row, hash);
        cr_assert_arr_eq(hash, stored, HASH_BYTES);
    }
    store_scan_end(store);
    cr_assert_eq(head_of(store), seq);
    for (int i = 0; i < CUSTOMERS; i++) {
        char tag[TAG_BYTES];

        snprintf(tag, sizeof tag, "customer:c-%d", i);
        cr_assert_eq(store_scan(store, tag, 0, UINT64_MAX), EVT_OK);
        while (store_next(store, &row, NULL) == EVT_OK) {
            cr_assert_eq((row.seq - 1) % CUSTOMERS, (unsigned)i);
            tags++;
        }
        store_scan_end(store);
    }
    cr_assert_eq(tags, seq);
    expect_cursor(store, seq);
    return seq;
}

static uint64_t expect_whole_file(void)
{
    struct store *store = open_it();
    uint64_t head = expect_whole(store);

    store_close(store);
    return head;
}

/* ---- transactions -------------------------------------------------------- */

Test(store, what_was_committed_is_there_after_a_reopen)
{
    struct store *store = open_it();

    cr_assert_eq(head_of(store), 0);
    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(batch(store, 2), EVT_OK);
    store_close(store);
    cr_assert_eq(expect_whole_file(), 5);
}

Test(store, an_open_transaction_ends_with_the_store)
{
    struct store *store = open_it();

    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(fill(store, 4), EVT_OK);
    cr_assert_eq(head_of(store), 7);
    store_close(store);
    cr_assert_eq(expect_whole_file(), 3);
}

Test(store, a_rollback_forgets_events_and_cursor_alike) /* HC14 */
{
    struct store *store = open_it();
    struct row row;

    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(fill(store, 4), EVT_OK);
    cr_assert_eq(store_find_command(store, "d-5", &row), EVT_OK);
    expect_cursor(store, 7);
    store_rollback(store);
    cr_assert_eq(store_find_command(store, "d-5", &row), EVT_NONE);
    cr_assert_eq(expect_whole(store), 3);
    store_close(store);
    cr_assert_eq(expect_whole_file(), 3);
}

Test(store, rollbacks_leave_no_holes) /* HC9 */
{
    struct store *store = open_it();
    uint64_t kept = 0;

    for (unsigned i = 0; i < 60; i++) {
        unsigned count = 1 + i % 4;

        cr_assert_eq(store_begin(store), EVT_OK);
        cr_assert_eq(fill(store, count), EVT_OK);
        if (i % 3 == 0) {
            store_rollback(store);
        } else {
            cr_assert_eq(store_commit(store), EVT_OK);
            kept += count;
        }
        cr_assert_eq(head_of(store), kept);
        if (i % 20 == 19) {
            store_close(store);
            store = open_it();
        }
    }
    store_close(store);
    cr_assert_eq(expect_whole_file(), kept);
}

Test(store, a_scan_in_a_rolled_back_transaction_ends)
{
    struct store *store = open_it();
    struct row row;

    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(fill(store, 1), EVT_OK);
    cr_assert_eq(store_scan(store, NULL, 2, UINT64_MAX), EVT_OK);
    cr_assert_eq(store_next(store, &row, NULL), EVT_OK);
    cr_assert_eq(store_next(store, &row, NULL), EVT_OK);
    cr_assert_eq(row.seq, 4, "a scan sees what was just appended");
    store_rollback(store);
    cr_assert_eq(batch(store, 1), EVT_OK);
    cr_assert_eq(expect_whole(store), 4);
    store_close(store);
}

/* ---- reading ------------------------------------------------------------- */

static uint64_t count_of(struct store *store, const char *tag, uint64_t after,
                         uint64_t upto)
{
    uint64_t count = 0, last = after;
    struct row row;

    cr_assert_eq(store_scan(store, tag, after, upto), EVT_OK);
    while (store_next(store, &row, NULL) == EVT_OK) {
        cr_assert(row.seq > last && row.seq <= upto);
        last = row.seq;
        count++;
    }
    store_scan_end(store);
    return count;
}

Test(store, a_scan_keeps_to_its_range_and_tag)
{
    struct store *store = open_it();

    cr_assert_eq(batch(store, 20), EVT_OK);
    cr_assert_eq(count_of(store, NULL, 0, UINT64_MAX), 20);
    cr_assert_eq(count_of(store, NULL, 5, 8), 3);
    cr_assert_eq(count_of(store, NULL, 20, UINT64_MAX), 0);
    cr_assert_eq(count_of(store, NULL, UINT64_MAX, UINT64_MAX), 0);
    cr_assert_eq(count_of(store, "customer:c-0", 0, UINT64_MAX), 3);
    cr_assert_eq(count_of(store, "customer:c-0", 1, 8), 1);
    cr_assert_eq(count_of(store, "customer:c-", 0, UINT64_MAX), 0);
    cr_assert_eq(count_of(store, "customer:nobody", 0, UINT64_MAX), 0);
    cr_assert_eq(count_of(store, "order:o-1", 0, UINT64_MAX), 0);
    store_close(store);
}

Test(store, tags_are_those_that_the_writer_allows)
{
    struct store *store = open_it();
    struct event event = {.type = ORDER_PLACED, .order_id = "o-1"};
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    struct row row;

    *payload_in(event.data) = (struct payload){
        .customer = "alice",
        .total_cents = 2,
        .line_count = 2,
        .lines = {{.sku = "a", .quantity = 1, .price_cents = 1},
                  {.sku = "b", .quantity = 1, .price_cents = 1}}};
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_append(store, &shop_domain,
                              1u << TAG_ORDER | 1u << TAG_SKU, &event, data,
                              &row, hash),
                 EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_eq(count_of(store, "order:o-1", 0, 9), 1);
    cr_assert_eq(count_of(store, "sku:a", 0, 9), 1);
    cr_assert_eq(count_of(store, "sku:b", 0, 9), 1);
    cr_assert_eq(count_of(store, "customer:alice", 0, 9), 0);
    store_close(store);
}

Test(store, a_command_is_found_by_its_id) /* HC15 */
{
    struct store *store = open_it();
    struct row row;

    cr_assert_eq(batch(store, 9), EVT_OK);
    cr_assert_eq(store_find_command(store, "d-4", &row), EVT_OK);
    cr_assert_eq(row.seq, 4);
    cr_assert_str_eq(row.type, "FundsDeposited");
    cr_assert_gt(row.data_bytes, 10);
    cr_assert_eq(store_find_command(store, "d-10", &row), EVT_NONE);
    cr_assert_eq(store_find_command(store, "", &row), EVT_NONE);
    cr_assert_eq(store_find_command(store, "d-4", &row), EVT_OK);
    cr_assert_eq(batch(store, 1), EVT_OK, "a borrowed row is in nobody's way");
    store_close(store);
}

Test(store, every_position_has_its_hash)
{
    struct store *store = open_it();
    uint8_t hash[HASH_BYTES], wanted[HASH_BYTES];
    uint64_t head;

    event_genesis("payment", log_id, wanted);
    cr_assert_eq(store_head(store, &head, hash), EVT_OK);
    cr_assert_arr_eq(hash, wanted, HASH_BYTES);
    cr_assert_eq(store_hash_at(store, 0, hash), EVT_OK);
    cr_assert_arr_eq(hash, wanted, HASH_BYTES);
    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(store_head(store, &head, wanted), EVT_OK);
    cr_assert_eq(store_hash_at(store, 3, hash), EVT_OK);
    cr_assert_arr_eq(hash, wanted, HASH_BYTES);
    cr_assert_eq(store_hash_at(store, 4, hash), EVT_NONE);
    cr_assert_eq(store_hash_at(store, UINT64_MAX, hash), EVT_NONE);
    store_close(store);
}

Test(store, a_reader_sees_one_instant)
{
    struct store *store = open_it(), *reader;

    cr_assert_eq(batch(store, 3), EVT_OK);
    reader = open_readonly();
    cr_assert_eq(store_snapshot_begin(reader), EVT_OK);
    cr_assert_eq(head_of(reader), 3);
    cr_assert_eq(batch(store, 4), EVT_OK);
    cr_assert_eq(head_of(reader), 3);
    cr_assert_eq(count_of(reader, NULL, 0, UINT64_MAX), 3);
    store_snapshot_end(reader);
    cr_assert_eq(head_of(reader), 7);
    store_close(reader);
    store_close(store);
}

/* Text and blobs that an edited file can hold, one column after the other. */
Test(store, an_edited_row_is_no_event) /* HC48 F51 real */
{
    static const char *const edits[] = {
        "type = 'a type name of thirty-two bytes.'",
        "type = 'nul' || char(0) || 'inside'",
        "order_id = '1234567890123456789012345678901234567890'",
        "cause_source = '1234567890123456'",
        "cause_log = x'00'",
        "command_id = '1234567890123456789012345678901234567890'",
        "data = zeroblob(2049)",
        "hash = x'00'",
        "version = version + 4294967296",
        "time_ms = time_ms + 0.5",
        "cause_seq = cause_seq + 0.5"};

    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        struct store *store = open_it();
        char sql[200];
        struct row row;

        cr_assert_eq(batch(store, 1), EVT_OK);
        store_close(store);
        snprintf(sql, sizeof sql,
                 "DROP TRIGGER event_is_never_changed;"
                 "UPDATE event SET %s WHERE seq = 1",
                 edits[i]);
        scratch_sql(path, sql);
        store = open_readonly();
        cr_assert_eq(store_scan(store, NULL, 0, 9), EVT_OK);
        cr_assert_eq(store_next(store, &row, NULL), EVT_BAD, "%s", edits[i]);
        cr_assert_not_null(strstr(store_error(store), path));
        store_close(store);
        unlink(path);
    }
}

Test(store, the_log_is_append_only)
{
    static const char *const edits[] = {"UPDATE event SET time_ms = 1",
                                        "UPDATE event SET seq = 9",
                                        "DELETE FROM event WHERE seq = 2"};
    struct store *store = open_it();

    cr_assert_eq(batch(store, 3), EVT_OK);
    for (size_t i = 0; i < 3; i++) {
        char *error = NULL;

        cr_assert_eq(sqlite3_exec(store_connection(store), edits[i], NULL, NULL,
                                  &error) &
                         0xff,
                     SQLITE_CONSTRAINT);
        cr_assert_str_eq(error, "the log is append-only");
        sqlite3_free(error);
    }
    cr_assert_eq(expect_whole(store), 3);
    store_close(store);
}

/* What stands on one snapshot for minutes keeps every checkpoint from it. */
Test(store, a_reader_takes_a_long_log_in_slices) /* HC54 F25 */
{
    struct store *store = open_it(), *reader = open_readonly();
    uint64_t count = 0;
    struct row row;

    for (int i = 0; i < 10; i++)
        cr_assert_eq(batch(store, 1000), EVT_OK);
    cr_assert_eq(store_scan(reader, NULL, 0, UINT64_MAX), EVT_OK);
    cr_assert_eq(store_next(reader, &row, NULL), EVT_OK);
    cr_assert_eq(batch(store, 5), EVT_OK);
    for (count = 1; store_next(reader, &row, NULL) == EVT_OK; count++)
        cr_assert_eq(row.seq, count + 1);
    store_scan_end(reader);
    cr_assert_eq(count, 10005, "each slice as the log is then");
    cr_assert_eq(store_snapshot_begin(reader), EVT_OK);
    cr_assert_eq(head_of(reader), 10005);
    cr_assert_eq(batch(store, 5), EVT_OK);
    cr_assert_eq(count_of(reader, NULL, 0, UINT64_MAX), 10005, "one instant");
    store_close(reader);
    store_close(store);
}

/* ---- snapshots, timers, parked events ------------------------------------ */

Test(store, a_snapshot_of_another_layout_is_void) /* HC43 */
{
    struct store *store = open_it();
    char state[8] = "balance", got[16] = "";
    uint64_t seq = 0;

    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_set_snapshot(store, "account", "alice", 7, state, 8, 40),
                 EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_eq(store_snapshot(store, "account", "alice", 8, got, 8, &seq),
                 EVT_NONE);
    cr_assert_eq(store_snapshot(store, "account", "alice", 7, got, 16, &seq),
                 EVT_NONE);
    cr_assert_eq(store_snapshot(store, "account", "bob", 7, got, 8, &seq),
                 EVT_NONE);
    cr_assert_eq(store_snapshot(store, "shelf", "alice", 7, got, 8, &seq),
                 EVT_NONE);
    cr_assert_eq(seq, 0);
    cr_assert_str_eq(got, "");
    cr_assert_eq(store_snapshot(store, "account", "alice", 7, got, 8, &seq),
                 EVT_OK);
    cr_assert_eq(seq, 40);
    cr_assert_str_eq(got, "balance");
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(
        store_set_snapshot(store, "account", "alice", 8, "BALANCE", 8, 41),
        EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_eq(store_snapshot(store, "account", "alice", 8, got, 8, &seq),
                 EVT_OK, "the newer one has taken its place");
    cr_assert_eq(seq, 41);
    store_close(store);
}

/* Appends an order's event, for its tag, and arms a timer on it. */
static void arm(struct store *store, const char *order, int64_t set_ms,
                int64_t after_ms)
{
    struct event event = {.type = ORDER_CONFIRMED};
    struct armed armed = {.set_ms = set_ms, .after_ms = after_ms};
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    struct row row;

    text_copy(event.order_id, ID_BYTES, order);
    text_copy(armed.order_id, ID_BYTES, order);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_append(store, &shop_domain, 1u << TAG_ORDER, &event,
                              data, &row, hash),
                 EVT_OK);
    armed.event_seq = event.at.seq;
    cr_assert_eq(store_arm(store, &armed), EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
}

Test(store, timers_come_due_in_their_order) /* HC32 */
{
    struct store *store = open_it();
    struct armed due[4];
    size_t count = 77;
    int64_t next = 77;

    cr_assert_eq(store_next_due(store, &next), EVT_NONE);
    arm(store, "o-1", 1000, 500);
    arm(store, "o-2", 1100, 100);
    arm(store, "o-3", 900, 600);
    store_close(store);
    store = open_it(); /* they survive */
    cr_assert_eq(store_next_due(store, &next), EVT_OK);
    cr_assert_eq(next, 1200);
    cr_assert_eq(store_due(store, 1199, due, 4, &count), EVT_OK);
    cr_assert_eq(count, 0);
    cr_assert_eq(store_due(store, 1500, due, 4, &count), EVT_OK);
    cr_assert_eq(count, 3);
    cr_assert_str_eq(due[0].order_id, "o-2");
    cr_assert_str_eq(due[1].order_id, "o-1", "of two at once, the older event");
    cr_assert_str_eq(due[2].order_id, "o-3");
    cr_assert_eq(due[1].set_ms, 1000);
    cr_assert_eq(due[1].after_ms, 500);
    cr_assert_eq(due[1].event_seq, 1);
    cr_assert_eq(store_due(store, 1500, due, 2, &count), EVT_OK);
    cr_assert_eq(count, 2);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_disarm(store, "o-2"), EVT_OK);
    cr_assert_eq(store_disarm(store, "o-9"), EVT_OK, "none is fine");
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_eq(store_due(store, 9999, due, 4, &count), EVT_OK);
    cr_assert_eq(count, 2);
    store_close(store);
}

Test(store, an_order_knows_its_own_deadline)
{
    struct store *store = open_it();
    int64_t due = 77;

    arm(store, "o-1", 1000, 100);
    arm(store, "o-2", 1000, 900);
    arm(store, "o-2", 1000, 500);
    cr_assert_eq(store_order_due(store, "o-2", &due), EVT_OK);
    cr_assert_eq(due, 1500);
    cr_assert_eq(store_order_due(store, "o-9", &due), EVT_NONE);
    cr_assert_eq(due, 1500, "untouched");
    store_close(store);
}

Test(store, no_timer_waits_longer_than_it_was_told) /* HC33 */
{
    struct store *store = open_it();
    int64_t next = 0;

    arm(store, "o-1", 1000, 500);
    arm(store, "o-2", 90000, 100); /* set on a clock that was ahead */
    cr_assert_eq(store_clamp_timers(store, 2000), EVT_OK);
    cr_assert_eq(store_next_due(store, &next), EVT_OK);
    cr_assert_eq(next, 1500, "this one has only what is left");
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_disarm(store, "o-1"), EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_eq(store_next_due(store, &next), EVT_OK);
    cr_assert_eq(next, 2100);
    store_close(store);
}

static struct parked parked_event(const char *source, uint8_t log, uint64_t seq)
{
    struct parked parked;

    memset(&parked, 0, sizeof parked);
    text_copy(parked.source, SERVICE_BYTES, source);
    memset(parked.at.log_id, log, LOG_ID_BYTES);
    parked.at.seq = seq;
    text_copy(parked.order_id, ID_BYTES, "o-1");
    snprintf(parked.reason, sizeof parked.reason, "%s/%d/%d", source, log,
             (int)seq);
    parked.raw_bytes = sizeof parked.raw;
    memset(parked.raw, (int)seq, sizeof parked.raw);
    return parked;
}

static void park(struct store *store, const struct parked *parked)
{
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_park(store, parked), EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
}

static const char *walk_parked(struct store *store)
{
    static char text[200];
    struct parked parked;

    memset(&parked, 0, sizeof parked);
    text[0] = '\0';
    while (store_next_parked(store, &parked) == EVT_OK) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ",
                 parked.reason);
        cr_assert_eq(parked.raw_bytes, sizeof parked.raw);
        cr_assert_eq(parked.raw[4095], (uint8_t)parked.at.seq);
    }
    return text;
}

Test(store, parked_events_are_kept_in_order) /* HC37 */
{
    static const struct {
        const char *source;
        uint8_t log;
        uint64_t seq;
    } events[] = {{"payment", 1, 2},
                  {"inventory", 2, 1},
                  {"inventory", 1, 300},
                  {"inventory", 1, 4}};
    struct store *store = open_it();
    struct parked parked;
    uint64_t count = 77;

    cr_assert_eq(store_parked_count(store, &count), EVT_OK);
    cr_assert_eq(count, 0);
    for (size_t i = 0; i < 4; i++) {
        parked = parked_event(events[i].source, events[i].log, events[i].seq);
        park(store, &parked);
    }
    park(store, &parked); /* the same one again */
    cr_assert_eq(store_parked_count(store, &count), EVT_OK);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(walk_parked(store), "inventory/1/4 inventory/1/300 "
                                         "inventory/2/1 payment/1/2 ");
    parked = parked_event("inventory", 1, 300);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_unpark(store, &parked), EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_str_eq(walk_parked(store),
                     "inventory/1/4 inventory/2/1 payment/1/2 ");
    store_close(store);
}

/* ---- files that are none of ours ----------------------------------------- */

static enum evt_status try_open(const char *service, char *why)
{
    struct store *store = NULL;
    enum evt_status rc = store_open(path, service, NULL, log_id, &store, why);

    if (rc == EVT_OK)
        store_close(store);
    else
        cr_assert_null(store, "untouched");
    return rc;
}

static enum evt_status try_readonly(const char *service, char *why)
{
    struct store *store = NULL;
    enum evt_status rc = store_open_readonly(path, service, NULL, &store, why);

    if (rc == EVT_OK)
        store_close(store);
    return rc;
}

Test(store, a_new_file_is_its_owners_alone)
{
    struct stat status;

    store_close(open_it());
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600);
}

Test(store, an_identity_is_given_once)
{
    uint8_t other[LOG_ID_BYTES] = "another identity";
    char why[STORE_WHY_BYTES];
    struct store *store;

    store_close(open_it());
    cr_assert_eq(store_open(path, "payment", NULL, other, &store, why), EVT_OK);
    cr_assert_arr_eq(store_log_id(store), log_id, LOG_ID_BYTES);
    cr_assert_str_eq(store_service(store), "payment");
    store_close(store);
}

Test(store, another_services_log_is_refused)
{
    char why[STORE_WHY_BYTES] = "";

    store_close(open_it());
    cr_assert_eq(try_open("order", why), EVT_BAD);
    cr_assert_not_null(strstr(why, "the log of payment, not of order"), "%s",
                       why);
    cr_assert_eq(try_readonly("order", why), EVT_BAD);
    cr_assert_eq(try_readonly(NULL, why), EVT_OK);
    cr_assert_eq(try_open("payment", why), EVT_OK);
}

static void write_file(const char *bytes, size_t count)
{
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

Test(store, what_is_no_database_is_refused) /* F20 real */
{
    static char noise[8192];
    char why[STORE_WHY_BYTES] = "";

    memset(noise, 'x', sizeof noise);
    write_file(noise, sizeof noise);
    cr_assert_eq(try_open("payment", why), EVT_BAD, "%s", why);
    cr_assert_not_null(strstr(why, path), "%s", why);
    cr_assert_eq(try_readonly("payment", why), EVT_BAD, "%s", why);
    write_file("", 0);
    cr_assert_eq(try_readonly("payment", why), EVT_BAD, "%s", why);
    cr_assert_eq(try_open("payment", why), EVT_OK,
                 "an empty file is a new one");
}

Test(store, somebody_elses_database_is_refused)
{
    char why[STORE_WHY_BYTES] = "";

    scratch_sql(path, "CREATE TABLE holiday (day TEXT)");
    cr_assert_eq(try_open("payment", why), EVT_BAD);
    cr_assert_not_null(strstr(why, "not a log of this system"), "%s", why);
    scratch_sql(path, "CREATE TABLE meta (key TEXT PRIMARY KEY, value)");
    cr_assert_eq(try_open("payment", why), EVT_BAD);
    cr_assert_eq(try_readonly(NULL, why), EVT_BAD);
    cr_assert_eq(scratch_ask(path, "SELECT count(*) FROM holiday"), 0);
}

Test(store, a_file_that_is_not_there_is_not_made_by_a_reader)
{
    char why[STORE_WHY_BYTES] = "";

    cr_assert_eq(try_readonly(NULL, why), EVT_NONE);
    cr_assert_neq(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s", scratch_file(&scratch, "no-such/log.db"));
    cr_assert_eq(try_readonly(NULL, why), EVT_NONE);
    cr_assert_eq(try_open("payment", why), EVT_IO);
    cr_assert_not_null(strstr(why, "No such file"), "%s", why);
}

Test(store, a_newer_schema_is_refused_with_both_versions) /* F27 real */
{
    char why[STORE_WHY_BYTES] = "", wanted[80];

    store_close(open_it());
    scratch_sql(path, "UPDATE meta SET value = 99 WHERE key = 'schema'");
    snprintf(wanted, sizeof wanted,
             "schema version 99, but this program knows version %d",
             STORE_SCHEMA);
    cr_assert_eq(try_open("payment", why), EVT_NEWER);
    cr_assert_not_null(strstr(why, wanted), "%s", why);
    cr_assert_eq(try_readonly("payment", why), EVT_NEWER);
    cr_assert_eq(
        scratch_ask(path, "SELECT value FROM meta WHERE key = 'schema'"), 99);
}

/* Schema 1, as the first files had it: without the index by command. */
static const char schema_1[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, type TEXT NOT NULL,"
    " version INTEGER NOT NULL, order_id TEXT NOT NULL,"
    " time_ms INTEGER NOT NULL, cause_source TEXT NOT NULL,"
    " cause_log BLOB NOT NULL, cause_seq INTEGER NOT NULL,"
    " command_id TEXT NOT NULL, data BLOB NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE tag (tag TEXT NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY (tag, seq)) WITHOUT ROWID;"
    "CREATE TABLE inbox (source TEXT PRIMARY KEY NOT NULL,"
    " log_id BLOB NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE snapshot (kind TEXT NOT NULL, key TEXT NOT NULL,"
    " layout INTEGER NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL,"
    " PRIMARY KEY (kind, key)) WITHOUT ROWID;"
    "CREATE TABLE timer (event_seq INTEGER PRIMARY KEY,"
    " order_id TEXT NOT NULL, set_ms INTEGER NOT NULL,"
    " after_ms INTEGER NOT NULL);"
    "CREATE TABLE parked (source TEXT NOT NULL, log_id BLOB NOT NULL,"
    " seq INTEGER NOT NULL, order_id TEXT NOT NULL, reason TEXT NOT NULL,"
    " raw BLOB NOT NULL, PRIMARY KEY (source, log_id, seq));"
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value);"
    "CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event"
    " BEGIN SELECT raise(ABORT, 'the log is append-only'); END;"
    "CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event"
    " BEGIN SELECT raise(ABORT, 'the log is append-only'); END;"
    "INSERT INTO meta (key, value) VALUES ('schema', 1),"
    " ('service', 'payment'),"
    " ('log_id', x'61206c6f672773206964656e74697479');";

static const char copy_rows[] = "ATTACH '%s' AS new;"
                                "INSERT INTO event SELECT * FROM new.event;"
                                "INSERT INTO tag SELECT * FROM new.tag;"
                                "INSERT INTO inbox SELECT * FROM new.inbox;";

Test(store, an_old_schema_is_migrated_with_all_that_it_holds) /* F27 real */
{
    char newer[160], sql[512];
    struct store *store;
    struct row row;

    snprintf(newer, sizeof newer, "%s", path);
    store = open_it();
    cr_assert_eq(batch(store, 12), EVT_OK);
    store_close(store);
    snprintf(path, sizeof path, "%s", scratch_file(&scratch, "old.db"));
    scratch_sql(path, schema_1);
    snprintf(sql, sizeof sql, copy_rows, newer);
    scratch_sql(path, sql);
    store = open_it();
    cr_assert_eq(expect_whole(store), 12);
    cr_assert_eq(store_find_command(store, "d-7", &row), EVT_OK);
    cr_assert_eq(row.seq, 7);
    cr_assert_eq(batch(store, 3), EVT_OK);
    store_close(store);
    cr_assert_eq(
        scratch_ask(path, "SELECT value FROM meta WHERE key = 'schema'"),
        STORE_SCHEMA);
    cr_assert_eq(scratch_ask(path, "SELECT count(*) FROM sqlite_schema"
                                   " WHERE name = 'event_command'"),
                 1);
    cr_assert_eq(expect_whole_file(), 15);
}

/* A migration that fails half-way leaves the old schema whole. */
Test(store, a_migration_is_whole_or_not_at_all) /* HC50 */
{
    char why[STORE_WHY_BYTES] = "";
    struct store *store = NULL;
    unsigned failures = 0;

    for (unsigned nth = 1;; nth++) {
        unlink(path);
        scratch_sql(path, schema_1);
        faultvfs_set(FAULT_WRITES | FAULT_SYNCS, nth, SQLITE_FULL, true);
        if (store_open(path, "payment", FAULTVFS, log_id, &store, why) ==
            EVT_OK)
            break;
        failures++;
        faultvfs_set(0, 0, 0, false);
        cr_assert_eq(try_open("payment", why), EVT_OK, "%u: %s", nth, why);
        cr_assert_eq(scratch_ask(path, "SELECT count(*) FROM sqlite_schema"
                                       " WHERE name = 'event_command'"),
                     1);
    }
    faultvfs_set(0, 0, 0, false);
    store_close(store);
    cr_assert_gt(failures, 2);
}

/* ---- somebody else holds the file ---------------------------------------- */

Test(store, a_lock_of_an_outsider_is_waited_for_then_told) /* HC54 F24 real */
{
    struct store *store = open_it();
    sqlite3 *outsider;

    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(sqlite3_open(path, &outsider), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(outsider, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                 SQLITE_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(store_begin(store), EVT_BUSY);
        store_rollback(store);
    }
    cr_assert_not_null(strstr(store_error(store), "locked"), "%s",
                       store_error(store));
    cr_assert_eq(head_of(store), 3);
    cr_assert_eq(count_of(store, NULL, 0, UINT64_MAX), 3, "reading goes on");
    sqlite3_exec(outsider, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(outsider);
    cr_assert_eq(batch(store, 2), EVT_OK);
    store_close(store);
    cr_assert_eq(expect_whole_file(), 5);
}

/* What it keeps from the database lies in a WAL that was written again. */
Test(store, an_old_reader_is_in_no_starts_way) /* HC54 F25 real */
{
    struct store *store = open_it();
    struct store *reader;

    cr_assert_eq(batch(store, 3), EVT_OK);
    reader = open_readonly();
    cr_assert_eq(store_snapshot_begin(reader), EVT_OK);
    cr_assert_eq(head_of(reader), 3);
    cr_assert_eq(batch(store, 3), EVT_OK, "it is in nobody's way before");
    store_close(store);
    store = open_it();
    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(head_of(reader), 3, "and still has its instant");
    store_close(reader);
    store_close(store);
    cr_assert_eq(expect_whole_file(), 9);
}

static uint64_t sum_of(const char *name)
{
    FILE *file = fopen(name, "r");
    uint64_t sum = 14695981039346656037u; /* FNV-1a */
    int c;

    cr_assert_not_null(file, "%s", name);
    while ((c = fgetc(file)) != EOF)
        sum = (sum ^ (uint64_t)c) * 1099511628211u;
    fclose(file);
    return sum;
}

/* Ends a life without a word, as a kill would: the WAL stays. */
static void leave_hot(unsigned events)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct store *store = NULL;
        char why[STORE_WHY_BYTES];

        if (store_open(path, "payment", NULL, log_id, &store, why) != EVT_OK)
            _exit(1);
        _exit(batch(store, events) == EVT_OK ? 0 : 2);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(store, a_reader_changes_nothing)
{
    char wal[192];
    struct store *reader;
    uint64_t file, log;

    leave_hot(40);
    snprintf(wal, sizeof wal, "%s-wal", path);
    file = sum_of(path);
    log = sum_of(wal);
    reader = open_readonly();
    cr_assert_eq(head_of(reader), 40, "it reads what only the WAL holds");
    cr_assert_eq(count_of(reader, NULL, 0, UINT64_MAX), 40);
    store_close(reader);
    cr_assert_eq(sum_of(path), file);
    cr_assert_eq(sum_of(wal), log);
    cr_assert_eq(expect_whole_file(), 40);
}

/* What a clean stop leaves is no WAL to a reader, nor is what SQLite did not
 * come to write. */
Test(store, a_reader_takes_an_emptied_wal_for_none)
{
    static const long kept[] = {0, 10, 32, 4152};
    char wal[192];
    struct store *store = open_it();

    cr_assert_eq(batch(store, 40), EVT_OK);
    store_close(store);
    snprintf(wal, sizeof wal, "%s-wal", path);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        FILE *file = fopen(wal, "w");
        struct store *reader;

        cr_assert_not_null(file);
        fclose(file);
        cr_assert_eq(truncate(wal, kept[i]), 0);
        reader = open_readonly();
        cr_assert_eq(head_of(reader), 40, "%ld bytes", kept[i]);
        store_close(reader);
    }
    cr_assert_eq(expect_whole_file(), 40);
}

/* The next start leaves it as long as it is. */
Test(store, a_start_uses_the_wal_that_was_kept)
{
    struct store *store = open_it();
    struct stat before, after;
    char wal[192];

    snprintf(wal, sizeof wal, "%s-wal", path);
    cr_assert_eq(batch(store, 300), EVT_OK);
    store_close(store);
    cr_assert_eq(stat(wal, &before), 0);
    cr_assert_gt(before.st_size, 60000);
    store = open_it();
    cr_assert_eq(batch(store, 3), EVT_OK);
    cr_assert_eq(stat(wal, &after), 0);
    cr_assert_eq(after.st_ino, before.st_ino);
    cr_assert_eq(after.st_size, before.st_size);
    store_close(store);
    cr_assert_eq(expect_whole_file(), 303);
}

static bool go_on(void)
{
    return false;
}

static bool give_up(void)
{
    return true;
}

Test(store, a_copy_is_the_log_as_of_the_snapshot)
{
    char copy[192], why[STORE_WHY_BYTES] = "";
    struct store *reader, *writer;

    leave_hot(40);
    snprintf(copy, sizeof copy, "%s", scratch_file(&scratch, "copy.db"));
    writer = open_it();
    reader = open_readonly();
    cr_assert_eq(store_snapshot_begin(reader), EVT_OK);
    cr_assert_eq(head_of(reader), 40);
    cr_assert_eq(batch(writer, 5), EVT_OK);
    cr_assert_eq(store_copy(reader, copy, go_on, why), EVT_OK, "%s", why);
    cr_assert_eq(scratch_ask(copy, "SELECT count(*) FROM event"), 40);
    cr_assert_eq(head_of(writer), 45);
    store_close(reader);
    store_close(writer);
}

Test(store, a_copy_that_is_not_made_says_why)
{
    char why[STORE_WHY_BYTES] = "";
    struct store *store = open_it();

    cr_assert_eq(
        store_copy(store, scratch_file(&scratch, "copy.db"), give_up, why),
        EVT_BUSY);
    cr_assert_not_null(strstr(why, "copy.db: "), "%s", why);
    cr_assert_eq(store_copy(store, scratch_file(&scratch, "no-such/copy.db"),
                            go_on, why),
                 EVT_IO);
    cr_assert_not_null(strstr(why, "no-such/copy.db: "), "%s", why);
    store_close(store);
}

/* Nothing is published that lives in the WAL alone: see store.h. */
Test(store, a_start_checkpoints_all_that_was_left) /* HC51 */
{
    const char *alone = scratch_file(&scratch, "alone.db");
    struct store *store;

    leave_hot(40);
    scratch_copy(path, alone);
    cr_assert_eq(scratch_ask(alone, "SELECT count(*) FROM event"), 0);
    store = open_it();
    scratch_copy(path, alone);
    cr_assert_eq(scratch_ask(alone, "SELECT count(*) FROM event"), 40);
    store_close(store);
}

/* ---- a disk that is full ------------------------------------------------- */

Test(store, a_full_disk_takes_nothing_of_the_batch) /* HC50 F18 */
{
    struct store *store = open_it();
    sqlite3 *db = store_connection(store);
    enum evt_status rc = EVT_OK;
    uint64_t kept = 0;

    cr_assert_eq(
        sqlite3_exec(db, "PRAGMA max_page_count = 40", NULL, NULL, NULL),
        SQLITE_OK);
    for (int i = 0; i < 200 && rc == EVT_OK; i++) {
        kept = head_of(store);
        rc = batch(store, 10);
    }
    cr_assert_eq(rc, EVT_FULL);
    cr_assert_not_null(strstr(store_error(store), "full"), "%s",
                       store_error(store));
    cr_assert_gt(kept, 100);
    cr_assert_eq(expect_whole(store), kept);
    cr_assert_eq(batch(store, 10), EVT_FULL, "and again");
    cr_assert_eq(expect_whole(store), kept);
    sqlite3_exec(db, "PRAGMA max_page_count = 100000", NULL, NULL, NULL);
    cr_assert_eq(batch(store, 10), EVT_OK, "there is room again");
    store_close(store);
    cr_assert_eq(expect_whole_file(), kept + 10);
}

/* At whichever write of a batch it happens. */
Test(store, the_disk_may_be_full_at_any_write) /* HC50 F18 */
{
    struct store *store = open_with(FAULTVFS);
    uint64_t kept = 0;
    unsigned nth = 0;

    cr_assert_eq(batch(store, 5), EVT_OK);
    for (;;) {
        enum evt_status rc;

        kept = head_of(store);
        faultvfs_set(FAULT_WRITES, ++nth, SQLITE_FULL, false);
        rc = batch(store, 3000); /* more than one write, joined */
        if (!faultvfs_failed()) {
            cr_assert_eq(rc, EVT_OK);
            break;
        }
        cr_assert_eq(rc, EVT_FULL, "write %u: %s", nth, store_error(store));
        cr_assert_eq(expect_whole(store), kept, "write %u", nth);
        cr_assert_eq(batch(store, 3), EVT_OK, "write %u", nth);
        cr_assert_eq(expect_whole(store), kept + 3);
    }
    kept = head_of(store);
    store_close(store);
    cr_assert_gt(nth, 4);
    cr_assert_eq(expect_whole_file(), kept);
}

/* What the kernel says of every write from now on; 0: nothing. */
static int write_errno;
static sqlite3_syscall_ptr real_pwrite64;

static ssize_t refuse_write(int fd, const void *bytes, size_t count, off64_t at)
{
    if (write_errno == 0)
        return ((ssize_t(*)(int, const void *, size_t, off64_t))real_pwrite64)(
            fd, bytes, count, at);
    errno = write_errno;
    return -1;
}

static void set_up_refusing(void)
{
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find(NULL);

    real_pwrite64 = unix_vfs->xGetSystemCall(unix_vfs, "pwrite64");
    cr_assert(real_pwrite64 != NULL);
    cr_assert_eq(unix_vfs->xSetSystemCall(unix_vfs, "pwrite64",
                                          (sqlite3_syscall_ptr)refuse_write),
                 SQLITE_OK);
    syncs_count();
    set_up();
}

TestSuite(full, .init = set_up_refusing, .fini = tear_down);

/* A quota, or a limit on the size of files, as RLIMIT_FSIZE sets one. */
Test(full, whatever_has_no_room_is_full) /* HC50 F18 */
{
    static const int causes[] = {ENOSPC, EDQUOT, EFBIG};
    struct store *store = open_it();

    cr_assert_eq(batch(store, 3), EVT_OK);
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        write_errno = causes[i];
        cr_assert_eq(batch(store, 3), EVT_FULL, "%s", strerror(causes[i]));
        write_errno = 0;
        cr_assert_eq(batch(store, 1), EVT_OK, "%s", strerror(causes[i]));
    }
    write_errno = EIO;
    cr_assert_eq(batch(store, 1), EVT_IO);
    write_errno = 0;
    store_close(store);
    cr_assert_eq(expect_whole_file(), 6);
}

Test(full, a_start_says_so_too) /* HC50 F18 */
{
    static const int causes[] = {ENOSPC, EDQUOT, EFBIG};
    char why[STORE_WHY_BYTES] = "";

    leave_hot(40);
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        write_errno = causes[i];
        cr_assert_eq(try_open("payment", why), EVT_FULL, "%s", why);
        cr_assert_not_null(strstr(why, "full"), "%s", why);
    }
    write_errno = EIO;
    cr_assert_eq(try_open("payment", why), EVT_IO);
    write_errno = 0;
    cr_assert_eq(expect_whole_file(), 40);
}

/* ---- a disk that is broken ----------------------------------------------- */

/* One life on the failing disk; true if it came to the end of its batch
 * before anything failed.  *@when says what it was told. */
static bool live(unsigned events, enum evt_status *when)
{
    struct store *store = NULL;
    char why[STORE_WHY_BYTES] = "";
    bool untroubled;

    *when = store_open(path, "payment", FAULTVFS, log_id, &store, why);
    if (*when == EVT_OK) {
        *when = store_begin(store);
        if (*when == EVT_OK)
            *when = fill(store, events);
        if (*when == EVT_OK)
            *when = store_commit(store);
    }
    untroubled = !faultvfs_failed();
    store_close(store);
    return untroubled;
}

enum { BEFORE = 40, BATCH = 60 };

/* Every @which call of a start with a hot WAL and of one batch fails in turn;
 * what is found by the next start is all of the batch or nothing of it. */
static void breaks_at_every(unsigned which, int code)
{
    char hot[160], hot_wal[192], wal[192];
    unsigned nth, nothing = 0, all = 0;

    leave_hot(BEFORE);
    snprintf(hot, sizeof hot, "%s", path);
    snprintf(hot_wal, sizeof hot_wal, "%s-wal", path);
    snprintf(path, sizeof path, "%s", scratch_file(&scratch, "broken.db"));
    snprintf(wal, sizeof wal, "%s-wal", path);
    for (nth = 1;; nth++) {
        enum evt_status when;
        uint64_t head;

        scratch_copy(hot, path);
        scratch_copy(hot_wal, wal);
        faultvfs_set(which, nth, code, true);
        if (live(BATCH, &when)) {
            cr_assert_eq(when, EVT_OK);
            break;
        }
        cr_assert_eq(when, EVT_IO, "call %u", nth);
        faultvfs_set(0, 0, 0, false);
        head = expect_whole_file();
        cr_assert(head == BEFORE || head == BEFORE + BATCH, "call %u: %llu",
                  nth, (unsigned long long)head);
        nothing += head == BEFORE;
        all += head != BEFORE;
        unlink(path);
    }
    faultvfs_set(0, 0, 0, false);
    cr_assert_gt(nothing, 0);
    /* a sync that failed: told as an error, and on the disk all the same */
    cr_assert_eq(all > 0, which == FAULT_SYNCS);
    cr_assert_gt(nth, 3);
}

Test(store, any_write_may_fail) /* HC51 F17 */
{
    breaks_at_every(FAULT_WRITES, SQLITE_IOERR_WRITE);
}

Test(store, any_sync_may_fail) /* HC51 F16 */
{
    breaks_at_every(FAULT_SYNCS, SQLITE_IOERR_FSYNC);
}

Test(store, any_read_may_fail) /* HC51 F17 */
{
    breaks_at_every(FAULT_READS, SQLITE_IOERR_READ);
}

/* SQLite's automatic checkpoint would have kept it to itself. */
Test(store, a_checkpoint_that_fails_is_told) /* HC51 F16 */
{
    struct store *store = open_with(FAULTVFS);

    cr_assert_eq(batch(store, 3000), EVT_OK);
    faultvfs_set(FAULT_SYNCS, 1, SQLITE_IOERR_FSYNC, true);
    cr_assert_eq(store_checkpoint(store), EVT_OK);
    cr_assert_eq(faultvfs_calls(), 0, "it was not yet due");
    faultvfs_set(0, 0, 0, false);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(batch(store, 4), EVT_OK);
    faultvfs_set(FAULT_SYNCS, 1, SQLITE_IOERR_FSYNC, true);
    cr_assert_eq(store_checkpoint(store), EVT_IO);
    cr_assert(faultvfs_failed());
    store_close(store);
    faultvfs_set(0, 0, 0, false);
    cr_assert_eq(expect_whole_file(), 7000);
}

static void set_up_counted(void)
{
    syncs_count(); /* below faultvfs, which counts the same calls */
    set_up();
}

/* What the kernel sees is compared in test_bench.sh. */
Test(syncs, each_is_counted, .init = set_up_counted, .fini = tear_down)
{
    char why[STORE_WHY_BYTES] = "";
    struct store *store = NULL;
    uint64_t before;

    cr_assert_eq(store_open("/", "payment", NULL, log_id, &store, why), EVT_IO);
    cr_assert_eq(syncs_total(), 0, "nothing was opened");
    faultvfs_set(FAULT_SYNCS, 0, 0, false);
    store = open_with(FAULTVFS);
    cr_assert_gt(syncs_total(), 0, "it was made, and checkpointed");
    cr_assert_eq(batch(store, 3000), EVT_OK);
    before = syncs_total();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(batch(store, 1), EVT_OK);
    cr_assert_eq(syncs_total(), before + 5, "each commit");
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
    cr_assert_eq(syncs_total(), before + 5, "but not one of nothing");
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(batch(store, 4), EVT_OK);
    before = syncs_total();
    cr_assert_eq(store_checkpoint(store), EVT_OK);
    cr_assert_eq(syncs_total(), before + 2, "the WAL, then the database");
    store_close(store);
    cr_assert_eq(syncs_total(), faultvfs_calls());
    faultvfs_set(0, 0, 0, false);
    cr_assert_eq(expect_whole_file(), 7005);
}

Test(store, a_log_that_grows_is_checkpointed)
{
    struct store *store = open_it();
    struct stat before, after;

    cr_assert_eq(batch(store, 10), EVT_OK);
    cr_assert_eq(stat(path, &before), 0);
    for (int i = 0; i < 1000; i++) /* more frames than SQLite would allow */
        cr_assert_eq(batch(store, 4), EVT_OK);
    cr_assert_eq(stat(path, &after), 0);
    cr_assert_eq(before.st_size, after.st_size, "not by itself");
    cr_assert_eq(store_checkpoint(store), EVT_OK);
    cr_assert_eq(stat(path, &after), 0);
    cr_assert_gt(after.st_size, before.st_size + 100L * 4096);
    store_close(store);
}

/* Events that come one by one cost several pages each, and the disk is not
 * ours alone. */
Test(store, the_wal_does_not_outgrow_its_limit)
{
    struct store *store = open_it();
    char wal[200];
    struct stat grown;

    for (int i = 0; i < 3000; i++) {
        cr_assert_eq(batch(store, 1), EVT_OK);
        cr_assert_eq(store_checkpoint(store), EVT_OK);
    }
    snprintf(wal, sizeof wal, "%s-wal", path);
    cr_assert_eq(stat(wal, &grown), 0);
    cr_assert_lt(grown.st_size, 17L << 20);
    store_close(store);
}

/* ---- kill -9 ------------------------------------------------------------- */

/* What a life says after each commit. */
struct ack {
    uint64_t seq;
    uint8_t hash[HASH_BYTES];
};

static void append_for_ever(int out, unsigned seed)
{
    char why[STORE_WHY_BYTES];
    struct store *store = NULL;
    struct ack ack;

    if (store_open(path, "payment", NULL, log_id, &store, why) != EVT_OK)
        _exit(1);
    for (;;) {
        seed = seed * 1103515245 + 12345;
        if (batch(store, 1 + (seed >> 16) % 40) != EVT_OK ||
            store_checkpoint(store) != EVT_OK ||
            store_head(store, &ack.seq, ack.hash) != EVT_OK ||
            write(out, &ack, sizeof ack) != sizeof ack)
            _exit(2);
    }
}

/* Kills a life somewhere behind its @acks-th commit; the last it said. */
static struct ack cut_short(unsigned acks, unsigned seed)
{
    struct ack ack = {.seq = 0};
    int ends[2], status;
    pid_t child;

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        append_for_ever(ends[1], seed);
    }
    close(ends[1]);
    for (unsigned i = 0; i < acks; i++)
        cr_assert_eq(read(ends[0], &ack, sizeof ack), sizeof ack);
    for (volatile unsigned spin = seed % 400000; spin > 0; spin--)
        ; /* not always just behind a commit */
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(ends[0], &ack, sizeof ack) == sizeof ack)
        ; /* what it said and nobody had heard yet */
    close(ends[0]);
    return ack;
}

Test(store, what_was_acknowledged_survives_any_kill) /* HC52 F02 real */
{
    unsigned beyond = 0;

    for (unsigned life = 1; life <= 25; life++) {
        struct ack ack = cut_short(life % 9, life * 2654435761u);
        struct store *store = open_it();
        uint64_t head = expect_whole(store);
        uint8_t hash[HASH_BYTES];

        cr_assert_geq(head, ack.seq, "life %u", life);
        beyond += head > ack.seq && ack.seq > 0;
        if (ack.seq > 0) {
            cr_assert_eq(store_hash_at(store, ack.seq, hash), EVT_OK);
            cr_assert_arr_eq(hash, ack.hash, HASH_BYTES);
        }
        store_close(store);
    }
    cr_log_info("%u lives ended between a commit and its word", beyond);
}
