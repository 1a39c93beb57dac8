/* test_shell.c - the shell with its store and subscriptions, in all three
 * services together. */
#include "base/fault.h"
#include "cluster.h"
#include "payment-svc/payment.h"
#include "scratch.h"
#include "shop/shop.h"
#include "write/shell_internal.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HAPPY                                                                  \
    "OrderPlaced OrderConfirmed StockReserved StockShipped PaymentCharged"

/* A life of all three: in @directory, or in a fresh one. */
static struct cluster *seeded_in(const char *directory)
{
    struct cluster *cluster = cluster_open(directory, 1);

    fault_open(true);
    cluster_start_all(cluster, false);
    cluster_run(cluster, 100);
    cr_assert_eq(cluster_product(cluster, "widget", 1990).code, ANSWER_DONE);
    cr_assert_eq(cluster_stock(cluster, "widget", 100).code, ANSWER_DONE);
    cr_assert_eq(cluster_fund(cluster, "alice", 100000).code, ANSWER_DONE);
    cluster_run(cluster, 100);
    return cluster;
}

static struct cluster *seeded(void)
{
    return seeded_in(NULL);
}

static void place(struct cluster *cluster, const char *id, int64_t quantity)
{
    struct command command = cluster_order(id, "alice", "widget", quantity);

    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &command).code,
                 ANSWER_DONE);
}

static struct answer cancel(struct cluster *cluster, const char *order,
                            const char *id)
{
    struct command command = {.type = CANCEL_ORDER};

    text_copy(command.order_id, ID_BYTES, order);
    text_copy(command.command_id, ID_BYTES, id);
    return cluster_command(cluster, ORDER_SVC, &command);
}

/* Runs SQL on a service's file; the service is down. */
static void edit(struct cluster *cluster, unsigned service, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;

    cr_assert_eq(sqlite3_open(cluster->writers[service].path, &db), SQLITE_OK);
    sqlite3_exec(db, sql, NULL, NULL, &error);
    cr_assert_null(error, "%s", error);
    sqlite3_close(db);
}

static int64_t ask(struct cluster *cluster, unsigned service, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value;
    sqlite3 *db;

    cr_assert_eq(sqlite3_open_v2(cluster->writers[service].path, &db,
                                 SQLITE_OPEN_READONLY, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK,
                 "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

Test(shell, an_order_is_confirmed_and_shipped)
{
    struct cluster *cluster = seeded();

    place(cluster, "o-1", 2);
    cluster_run(cluster, 50);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

Test(shell, a_declined_payment_gives_the_stock_back)
{
    struct cluster *cluster = seeded();

    place(cluster, "o-1", 60);
    cluster_run(cluster, 50);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced OrderCancelled StockReserved StockReleased "
                     "PaymentDeclined");
    cluster_remove(cluster);
}

Test(shell, a_command_sent_again_is_answered_as_the_first_time) /* HC15 */
{
    struct cluster *cluster = seeded();
    struct command first = cluster_order("o-1", "alice", "widget", 2);
    struct command other = cluster_order("o-1", "alice", "widget", 3);
    struct answer one = cluster_command(cluster, ORDER_SVC, &first), two;
    struct command funds = {.type = DEPOSIT_FUNDS, .command_id = "d-1"};
    uint64_t seq;

    *payload_in(funds.data) =
        (struct payload){.customer = "carol", .amount_cents = 5};
    cluster_run(cluster, 50);
    two = cluster_command(cluster, ORDER_SVC, &first);
    cr_assert_eq(two.code, ANSWER_DONE);
    cr_assert_eq(two.at.seq, one.at.seq);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &other).code,
                 ANSWER_REFUSED);
    seq = cluster_command(cluster, PAYMENT_SVC, &funds).at.seq;
    cluster_stop(cluster, PAYMENT_SVC); /* also after a crash */
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 50);
    cr_assert_eq(cluster_command(cluster, PAYMENT_SVC, &funds).at.seq, seq);
    cr_assert_eq(ask(cluster, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE command_id='d-1'"),
                 1);
    cluster_remove(cluster);
}

/* Arms or disarms the timers of so many orders, as if they were open. */
static void fill(struct cluster *cluster, int count, bool open)
{
    struct store *store = cluster->writers[ORDER_SVC].shell->store;
    struct armed timer = {.set_ms = INT64_MAX / 2};
    sqlite3 *db = store_connection(store);

    cr_assert_eq(store_begin(store), EVT_OK);
    for (int i = 0; i < count && open; i++) {
        timer.event_seq = 1000000 + (uint64_t)i;
        cr_assert_eq(store_arm(store, &timer), EVT_OK);
    }
    if (!open)
        cr_assert_eq(sqlite3_exec(db,
                                  "DELETE FROM timer WHERE"
                                  " event_seq >= 1000000",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
}

Test(shell, more_open_orders_than_can_be_followed_are_not_taken) /* HC56 */
{
    struct cluster *cluster = seeded();
    struct command known = cluster_order("o-1", "alice", "widget", 1);
    struct command fresh = cluster_order("o-2", "alice", "widget", 1);
    struct command price = {.type = LIST_PRODUCT, .command_id = "p-1"};

    *payload_in(price.data) = (struct payload){.sku = "bolt", .price_cents = 5};
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &known).code, ANSWER_DONE);
    fill(cluster, OPEN_MAX, true);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &price).code, ANSWER_DONE);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &fresh).code, ANSWER_BUSY);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &known).code, ANSWER_DONE,
                 "what is recorded is said");
    cr_assert_eq(cancel(cluster, "o-1", "c-1").code, ANSWER_DONE,
                 "what ends an order is taken");
    fill(cluster, 0, false);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &price).code, ANSWER_DONE);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &fresh).code, ANSWER_DONE);
    cluster_remove(cluster);
}

Test(shell, a_cancel_sent_again_is_no_other_cancel) /* HC34 */
{
    struct cluster *cluster = seeded();
    struct answer first, again;

    place(cluster, "o-1", 1);
    first = cancel(cluster, "o-1", "c-1");
    again = cancel(cluster, "o-1", "c-1");
    cr_assert_eq(first.code, ANSWER_DONE);
    cr_assert_eq(again.code, ANSWER_DONE);
    cr_assert_eq(first.at.seq, again.at.seq);
    cr_assert_eq(cancel(cluster, "o-1", "c-2").code, ANSWER_DONE);
    cluster_run(cluster, 50);
    cr_assert_eq(ask(cluster, ORDER_SVC,
                     "SELECT count(*) FROM event WHERE type='OrderCancelling'"),
                 1);
    place(cluster, "o-2", 1);
    cluster_run(cluster, 50);
    cr_assert_eq(cancel(cluster, "o-2", "c-3").code, ANSWER_REFUSED);
    cr_assert_eq(cancel(cluster, "o-9", "c-4").code, ANSWER_REFUSED);
    cr_assert_eq(cancel(cluster, "o-2", "c-1").code, ANSWER_REFUSED,
                 "it is o-1's cancellation");
    cr_assert_eq(cancel(cluster, "o-2", "o-2").code, ANSWER_REFUSED,
                 "the order's own id is no cancellation's");
    cluster_remove(cluster);
}

Test(shell, what_is_no_command_of_this_service_is_answered_so)
{
    struct cluster *cluster = seeded();
    struct command expire = {
        .type = EXPIRE_ORDER, .command_id = "x", .order_id = "o-1"};
    struct command funds = {.type = DEPOSIT_FUNDS, .command_id = "d"};
    struct command odd = cluster_order("o-1", "alice", "widget", 1);

    *payload_in(funds.data) =
        (struct payload){.customer = "carol", .amount_cents = 5};
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &expire).code, ANSWER_BAD);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &funds).code, ANSWER_BAD);
    text_copy(odd.command_id, ID_BYTES, "o-2");
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &odd).code, ANSWER_BAD);
    cluster_remove(cluster);
}

Test(shell, garbage_requests_are_answered_and_counted) /* HC21 F48 */
{
    struct cluster *cluster = seeded();
    json_t *reply = cluster_control(cluster, ORDER_SVC, "\xdd\x10");
    struct shell_status status;

    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 65);
    json_decref(reply);
    reply = cluster_control(cluster, ORDER_SVC, "{\"do\":");
    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 65);
    json_decref(reply);
    reply = cluster_control(cluster, ORDER_SVC, "{\"do\":[{}]}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 65);
    json_decref(reply);
    cluster_status(cluster, ORDER_SVC, &status);
    cr_assert_eq(status.garbage, 3);
    cluster_remove(cluster);
}

Test(shell, frames_that_never_arrive_are_pulled) /* HC3 HC4 F32 */
{
    struct cluster *cluster = seeded();

    for (unsigned i = 0; i < SERVICES; i++)
        cluster->writers[i].deaf = true;
    place(cluster, "o-1", 2);
    cluster_run(cluster,
                4 * PULL_IDLE_MS + 100); /* each rung waits for a pull */
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

Test(shell, a_lost_tail_is_found_by_the_next_heartbeat) /* HC3 F32 */
{
    struct cluster *cluster = seeded();

    place(cluster, "o-1", 2);
    cr_assert_gt(cluster_lose(cluster, INVENTORY_SVC), 0);
    cluster_run(cluster, HEARTBEAT_MS + 100);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

Test(shell, a_frame_that_comes_again_has_no_effect) /* HC13 F33 */
{
    struct cluster *cluster = seeded();
    struct cluster_node *inventory = &cluster->writers[INVENTORY_SVC];
    struct shell_status status;
    struct input frame;
    uint8_t copy[4096];

    place(cluster, "o-1", 2);
    cr_assert_eq(inventory->queue.count, 1);
    frame = inventory->queue.inputs[0];
    cr_assert_leq(frame.count, sizeof copy);
    memcpy(copy, frame.bytes, frame.count);
    cluster_run(cluster, 50);
    cluster_give(inventory, frame.kind, frame.from, copy, frame.count);
    cluster_run(cluster, 50);
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_eq(status.subscriptions[0].counts.duplicates, 1);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

Test(shell, a_service_that_was_away_catches_up) /* HC2 F40 */
{
    struct cluster *cluster = seeded();
    char id[ID_BYTES];

    cluster_stop(cluster, PAYMENT_SVC);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "o-%d", i);
        place(cluster, id, 1);
    }
    cluster_run(cluster, 1000);
    cr_assert_str_eq(cluster_story(cluster, "o-7"),
                     "OrderPlaced StockReserved");
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "o-%d", i);
        cr_assert_str_eq(cluster_story(cluster, id), HAPPY);
    }
    cluster_remove(cluster);
}

Test(shell, any_order_of_starting_comes_to_the_same) /* HC38 */
{
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (int i = 0; i < 6; i++) {
        struct cluster *cluster = seeded();

        place(cluster, "o-1", 2);
        for (unsigned k = 0; k < SERVICES; k++)
            cluster_stop(cluster, k);
        for (unsigned k = 0; k < SERVICES; k++) {
            cr_assert_eq(cluster_start(cluster, orders[i][k]), EVT_OK);
            cluster_run(cluster, 700);
        }
        cluster_run(cluster, 3000);
        cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
        cluster_remove(cluster);
    }
}

Test(shell, a_cancel_that_overtakes_the_reservation_voids) /* HC16 F43 */
{
    struct cluster *cluster = seeded();

    place(cluster, "o-1", 2);
    cluster_lose(cluster, INVENTORY_SVC); /* it will learn of the order late */
    cr_assert_eq(cancel(cluster, "o-1", "c-1").code, ANSWER_DONE);
    cluster_lose(cluster, INVENTORY_SVC);
    cluster_run(cluster, 5000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced OrderCancelling OrderCancelled "
                     "StockReleased PaymentVoided");
    cluster_remove(cluster);
}

Test(shell, a_deadline_passes_while_payment_is_away) /* HC24 HC32 F45 */
{
    struct cluster *cluster = seeded();

    cluster_stop(cluster, PAYMENT_SVC);
    place(cluster, "o-1", 2);
    cluster_run(cluster, 20000);
    cluster_stop(cluster,
                 ORDER_SVC); /* the timer is in the file, not in memory */
    cr_assert_eq(cluster_start(cluster, ORDER_SVC), EVT_OK);
    cluster_run(cluster, 9000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced StockReserved");
    cluster_run(cluster, 5000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced OrderCancelling StockReserved");
    cr_assert_eq(ask(cluster, ORDER_SVC, "SELECT count(*) FROM timer"), 0);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 2000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced OrderCancelling OrderCancelled "
                     "StockReserved StockReleased PaymentVoided");
    cluster_remove(cluster);
}

Test(shell, deadlines_that_fell_due_meanwhile_wait_for_a_pull) /* HC31 F30 */
{
    struct cluster *cluster = seeded();

    place(cluster, "o-1", 2);
    for (int i = 0; i < 4; i++) { /* the others finish, order-svc is frozen */
        cr_assert_eq(cluster_step(cluster, INVENTORY_SVC), EVT_OK);
        cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
    }
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced StockReserved PaymentCharged");
    cluster_lose(cluster, ORDER_SVC);
    cluster_pass(cluster, 60000);
    cluster_run(cluster, 3000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

/* The second pull of order-svc for payment-svc's log is lost. */
static bool all_but_the_second_pull(void *ctx, enum channel channel,
                                    uint64_t to, const void *bytes,
                                    size_t count)
{
    int *pulls = ctx;
    struct pull pull;

    (void)to;
    return channel != TO_PUBLISHER || !pull_read(bytes, count, &pull) ||
           strcmp(pull.reader, "order") != 0 ||
           strcmp(pull.source, "payment") != 0 || ++*pulls != 2;
}

/* The first answers say how far the others have read; their events are asked
 * for again once all have spoken, and a deadline waits for these, too. */
Test(shell, deadlines_wait_for_what_a_start_has_postponed) /* HC31 F30 */
{
    struct cluster *cluster = seeded();
    int pulls = 0;

    place(cluster, "o-1", 2);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(cluster_step(cluster, INVENTORY_SVC), EVT_OK);
        cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
    }
    cluster_stop(cluster, ORDER_SVC);
    cluster_pass(cluster, 60000);
    cluster->sent = all_but_the_second_pull;
    cluster->ctx = &pulls;
    cr_assert_eq(cluster_start(cluster, ORDER_SVC), EVT_OK);
    cluster_run(cluster, 3000);
    cr_assert_geq(pulls, 2);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

Test(shell, the_wall_clock_may_jump) /* HC33 F28 F29 */
{
    struct cluster *cluster = seeded();

    cluster_stop(cluster, PAYMENT_SVC);
    place(cluster, "o-1", 2);
    cluster->wall_ms += 86400000; /* a day: no deadline passes */
    cluster_run(cluster, 1000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced StockReserved");
    cluster->wall_ms -=
        10 * 86400000LL; /* back, and a restart: no longer wait */
    cluster_stop(cluster, ORDER_SVC);
    cr_assert_eq(cluster_start(cluster, ORDER_SVC), EVT_OK);
    cluster_run(cluster, 34000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"),
                     "OrderPlaced OrderCancelling StockReserved");
    cluster_remove(cluster);
}

static const char *is_lost(void *ctx)
{
    return ctx;
}

/* Told by the host, which sees the files; what the shell makes of it. */
static const char *leaves_when_lost(const char *ending)
{
    static char path[300], error[STORE_WHY_BYTES];
    struct cluster *cluster = seeded();
    struct cluster_node *node = &cluster->writers[ORDER_SVC];

    cr_assert_eq(shell_step(node->shell, NULL, 0), EVT_OK);
    snprintf(path, sizeof path, "%s%s", node->path, ending);
    node->shell->lost = is_lost;
    node->shell->lost_ctx = path;
    cr_assert_eq(shell_step(node->shell, NULL, 0), EVT_IO);
    snprintf(error, sizeof error, "%s", shell_error(node->shell));
    cr_assert_not_null(strstr(error, path), "%s", error);
    node->shell->mode = SHELL_FULL; /* in whatever mode it is */
    cr_assert_eq(shell_step(node->shell, NULL, 0), EVT_IO);
    cluster_close(cluster);
    return error;
}

Test(shell, leaves_when_a_file_of_its_log_is_lost) /* F23 */
{
    cr_assert_not_null(strstr(leaves_when_lost(""), "from a backup"));
    cr_assert_not_null(strstr(leaves_when_lost("-wal"), "in log.db now"));
}

Test(shell, a_full_disk_records_nothing_and_goes_on_later) /* HC50 F18 */
{
    struct cluster *cluster = seeded();
    sqlite3 *db = store_connection(cluster->writers[ORDER_SVC].shell->store);
    struct command first = cluster_order("o-1", "alice", "widget", 1);
    struct answer answer;
    struct shell_status status;

    sqlite3_exec(db, "PRAGMA max_page_count=1", NULL, NULL, NULL);
    for (int i = 0; i < 200; i++) { /* until no page is left */
        char id[ID_BYTES];

        snprintf(id, sizeof id, "o-%d", i);
        text_copy(first.order_id, ID_BYTES, id);
        text_copy(first.command_id, ID_BYTES, id);
        answer = cluster_command(cluster, ORDER_SVC, &first);
        if (answer.code != ANSWER_DONE)
            break;
    }
    cr_assert_eq(answer.code, ANSWER_FULL);
    cr_assert_str_eq(cluster_story(cluster, first.order_id), "");
    cluster_status(cluster, ORDER_SVC, &status);
    cr_assert_eq(status.mode, SHELL_FULL);
    cluster_run(cluster,
                2000); /* pulls and heartbeats go on, nothing crashes */
    sqlite3_exec(db, "PRAGMA max_page_count=100000", NULL, NULL, NULL);
    cluster_run(cluster, 2000);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &first).code, ANSWER_DONE);
    cluster_run(cluster, 100);
    cr_assert_str_eq(cluster_story(cluster, first.order_id), HAPPY);
    cr_assert_str_eq(cluster_story(cluster, "o-0"), HAPPY);
    cluster_status(cluster, ORDER_SVC, &status);
    cr_assert_eq(status.mode, SHELL_RUNNING);
    cluster_remove(cluster);
}

Test(shell, a_database_locked_by_an_outsider_is_waited_for) /* HC54 F24 real */
{
    struct cluster *cluster = seeded();
    struct command first = cluster_order("o-1", "alice", "widget", 1);
    sqlite3 *db;

    cr_assert_eq(sqlite3_open(cluster->writers[ORDER_SVC].path, &db),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                 SQLITE_OK);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &first).code, ANSWER_BUSY);
    cluster_run(cluster, 200);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), "");
    /* Found out now, and not tried again at once though it is over. */
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &first).code, ANSWER_BUSY);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &first).code, ANSWER_BUSY);
    sqlite3_close(db);
    cluster_run(cluster, 200);
    cr_assert_eq(cluster_command(cluster, ORDER_SVC, &first).code, ANSWER_DONE);
    cluster_run(cluster, 1000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    cluster_remove(cluster);
}

/* Appends a row that our own code would never write to a log that is down. */
static void plant(struct cluster *cluster, unsigned service,
                  const struct row *what)
{
    struct row row = *what;
    uint8_t hash[HASH_BYTES];
    char why[STORE_WHY_BYTES], sql[1024], hex[2 * HASH_BYTES + 1];
    char data[2 * 256 + 1];
    struct store *log;

    cr_assert_eq(store_open_readonly(cluster->writers[service].path, NULL, NULL,
                                     &log, why),
                 EVT_OK);
    cr_assert_eq(store_head(log, &row.seq, hash), EVT_OK);
    store_close(log);
    row.seq++;
    event_hash(hash, &row, hash);
    snprintf(sql, sizeof sql,
             "INSERT INTO event (seq,type,version,order_id,time_ms,"
             "cause_source,cause_log,cause_seq,command_id,data,hash) VALUES "
             "(%llu,'%s',%u,'%s',0,'',x'',0,'',x'%s',x'%s')",
             (unsigned long long)row.seq, row.type, row.version, row.order_id,
             text_hex(row.data, row.data_bytes, data),
             text_hex(hash, HASH_BYTES, hex));
    edit(cluster, service, sql);
}

Test(shell,
     what_cannot_be_understood_is_parked_and_redriven) /* HC20 HC37 F27 F37 */
{
    struct cluster *cluster = seeded();
    struct row poison = {.type = "StockReserved",
                         .version = 9,
                         .order_id = "o-9",
                         .data = (const uint8_t *)"\x80",
                         .data_bytes = 1};
    struct row stranger = {.type = "StockPainted",
                           .version = 1,
                           .data = (const uint8_t *)"\x80",
                           .data_bytes = 1};
    json_t *reply;

    cluster_stop(cluster, INVENTORY_SVC);
    plant(cluster, INVENTORY_SVC, &poison);
    poison.version = 1; /* no customer: malformed */
    plant(cluster, INVENTORY_SVC, &poison);
    plant(cluster, INVENTORY_SVC, &stranger);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    cr_assert_eq(ask(cluster, PAYMENT_SVC, "SELECT count(*) FROM parked"), 2);
    place(cluster, "o-1", 2);
    cluster_run(cluster, 100);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);

    reply = cluster_control(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "left")), 2);
    cr_assert_eq(json_integer_value(json_object_get(reply, "redriven")), 0);
    json_decref(reply);
    cluster_remove(cluster);
}

/* ---- a publisher with structs and numbers of its own ----------------------
 */

/* What another program's StockReserved lies in: nothing stands where the shop
 * has it, and its types have other numbers. */
struct theirs {
    int64_t cents;
    uint32_t count;
    struct their_line {
        int64_t pieces;
        char what[SKU_BYTES];
    } lines[2];
    char who[CUSTOMER_BYTES];
};
enum { THEIR_RESERVED = 77 };

static const struct field their_line[] = {
    {"sku", FIELD_ID, AT(struct their_line, what)},
    {"quantity", FIELD_INT, AT(struct their_line, pieces), .max = 1000},
    {.name = NULL},
};
/* Appends to inventory-svc's log what a program would whose StockReserved has
 * the total in a field called @total. */
static void plant_theirs(struct cluster *cluster, const char *total,
                         const char *order, int64_t cents)
{
    const struct field fields[] = {
        {"customer", FIELD_ID, AT(struct theirs, who)},
        {"lines", FIELD_LIST, AT_LIST(struct theirs, count, lines), .min = 1,
         .max = 2, .items = their_line},
        {total, FIELD_INT, AT(struct theirs, cents), .max = INT64_MAX},
        {.name = NULL},
    };
    const struct message message = {.type = THEIR_RESERVED,
                                    .version = 1,
                                    .name = "StockReserved",
                                    .fields = fields};
    const struct domain domain = {.messages = &message,
                                  .message_count = 1,
                                  .payload_bytes = sizeof(struct theirs),
                                  .payload_align = alignof(struct theirs)};
    struct event event = {.type = THEIR_RESERVED};
    struct theirs *theirs = (void *)event.data;
    uint8_t data[DATA_MAX];
    struct row row;

    text_copy(event.order_id, sizeof event.order_id, order);
    text_copy(theirs->who, sizeof theirs->who, "alice");
    text_copy(theirs->lines[0].what, SKU_BYTES, "widget");
    theirs->lines[0].pieces = 1;
    theirs->count = 1;
    theirs->cents = cents;
    codec_to_row(&domain, &event, data, &row);
    plant(cluster, INVENTORY_SVC, &row);
}

Test(shell, services_share_encoded_fields_and_no_struct_or_number)
{
    struct cluster *cluster = seeded();

    cluster_stop(cluster, INVENTORY_SVC);
    plant_theirs(cluster, "total_cents", "o-7", 1990);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    cr_assert_eq(ask(cluster, PAYMENT_SVC, "SELECT count(*) FROM parked"), 0);
    cr_assert_eq(ask(cluster, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE order_id = 'o-7'"
                     " AND type = 'PaymentCharged'"),
                 1);
    cluster_remove(cluster);
}

/* A field has another name, or is wider than it may be. */
Test(shell, one_name_and_version_defined_differently_is_parked)
{
    struct cluster *cluster = seeded();

    cluster_stop(cluster, INVENTORY_SVC);
    plant_theirs(cluster, "total_units", "o-7", 1990);
    plant_theirs(cluster, "total_cents", "o-8", ORDER_TOTAL_MAX + 1);
    plant_theirs(cluster, "total_cents", "o-9", 1990);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    cr_assert_eq(ask(cluster, PAYMENT_SVC, "SELECT count(*) FROM parked"), 2);
    cr_assert_eq(ask(cluster, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE type = 'PaymentCharged'"
                     " AND order_id IN ('o-7', 'o-8')"),
                 0, "it was misread");
    cr_assert_eq(ask(cluster, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE order_id = 'o-9'"
                     " AND type = 'PaymentCharged'"),
                 1, "what stands behind them is handled");
    cluster_remove(cluster);
}

/* What an upgrade would do: the parked bytes now decode. */
static void heal_parked(struct cluster *cluster)
{
    struct event event = {.type = STOCK_RESERVED, .order_id = "o-9"};
    uint8_t data[DATA_MAX], raw[4096];
    char sql[8300], hex[8193];
    struct row row;

    *payload_in(event.data) =
        (struct payload){.customer = "alice",
                         .total_cents = 100,
                         .line_count = 1,
                         .lines = {{.sku = "widget", .quantity = 1}}};
    event.at.seq =
        (uint64_t)ask(cluster, PAYMENT_SVC, "SELECT seq FROM parked");
    codec_to_row(&shop_domain, &event, data, &row);
    snprintf(sql, sizeof sql, "UPDATE parked SET raw=x'%s'",
             text_hex(raw, frame_row_write(&row, raw, sizeof raw), hex));
    edit(cluster, PAYMENT_SVC, sql);
}

Test(shell, a_redriven_event_is_a_late_one)
{
    struct cluster *cluster = seeded();
    struct row poison = {.type = "StockReserved",
                         .version = 9,
                         .order_id = "o-9",
                         .data = (const uint8_t *)"\x80",
                         .data_bytes = 1};
    json_t *reply;

    cluster_stop(cluster, INVENTORY_SVC);
    plant(cluster, INVENTORY_SVC, &poison);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    cluster_stop(cluster, PAYMENT_SVC);
    heal_parked(cluster);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 50);
    reply = cluster_control(cluster, PAYMENT_SVC,
                            "{\"do\":\"redrive\",\"source\":\"inventory\"}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "redriven")), 1);
    cr_assert_eq(json_integer_value(json_object_get(reply, "left")), 0);
    json_decref(reply);
    cr_assert_eq(ask(cluster, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE type='PaymentCharged' "
                     "AND cause_source='inventory' AND cause_seq>0"),
                 1);
    cluster_remove(cluster);
}

/* What a control comes to: "redriven", "left" or "code"; -1: it is not there.
 */
static json_int_t told(struct cluster *cluster, unsigned service,
                       const char *request, const char *member)
{
    json_t *reply = cluster_control(cluster, service, request);
    json_t *value = json_object_get(reply, member);
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;

    json_decref(reply);
    return number;
}

static void park(struct cluster *cluster, const char *source, int seq,
                 const struct row *row)
{
    uint8_t raw[4096];
    char sql[8400], hex[8193];

    snprintf(sql, sizeof sql,
             "INSERT INTO parked VALUES ('%s', zeroblob(16), %d, '', 'why',"
             " x'%s')",
             source, seq,
             row == NULL
                 ? "c1"
                 : text_hex(raw, frame_row_write(row, raw, sizeof raw), hex));
    edit(cluster, PAYMENT_SVC, sql);
}

/* Whatever has been parked; and only what the request names. */
Test(shell, a_redrive_is_for_what_it_names) /* HC37 */
{
    struct cluster *cluster = seeded();
    struct row listed = {.seq = 7,
                         .type = "ProductListed",
                         .version = 1,
                         .command_id = "p",
                         .data_bytes = 0};
    uint8_t data[DATA_MAX];
    struct event event = {.type = PRODUCT_LISTED};

    *payload_in(event.data) =
        (struct payload){.sku = "widget", .price_cents = 5};
    codec_to_row(&shop_domain, &event, data, &listed);
    cluster_stop(cluster, PAYMENT_SVC);
    park(cluster, "order", 7, &listed); /* nobody's business any more */
    park(cluster, "order", 8, &listed);
    park(cluster, "inventory", 7, NULL); /* no row at all */
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 50);
    cr_assert_eq(told(cluster, PAYMENT_SVC,
                      "{\"do\":\"redrive\",\"source\":\"payment\"}",
                      "redriven"),
                 0);
    cr_assert_eq(told(cluster, PAYMENT_SVC,
                      "{\"do\":\"redrive\",\"source\":\"order\",\"seq\":9}",
                      "left"),
                 3);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\",\"seq\":7}",
                      "redriven"),
                 1);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "redriven"),
                 1);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "left"), 1);
    cluster_remove(cluster);
}

Test(shell, a_control_that_cannot_be_done_says_why)
{
    struct cluster *cluster = seeded();
    static const struct {
        const char *request;
        int code;
    } cases[] = {
        {"{\"do\":\"dance\"}", 65},
        {"{\"do\":3}", 65},
        {"{\"do\":\"accept\"}", 64},
        {"{\"do\":\"accept\",\"source\":\"payment\"}", 64},
        {"{\"do\":\"accept\",\"source\":\"no id\"}", 64},
        {"{\"do\":\"accept\",\"source\":\"order\"}", 75}, /* it looks */
        {"{\"do\":\"accept\",\"source\":\"order\",\"look\":1}", 1},
        {"{\"do\":\"accept\",\"source\":\"order\",\"look\":99}", 75},
        {"{\"do\":\"accept\",\"source\":\"order\"", 65},
    };
    sqlite3 *db;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(told(cluster, PAYMENT_SVC, cases[i].request, "code"),
                     cases[i].code, "%s", cases[i].request);
    cluster_stop(cluster, PAYMENT_SVC);
    park(cluster, "order", 7, NULL);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 50);
    cr_assert_eq(sqlite3_open(cluster->writers[PAYMENT_SVC].path, &db),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"),
                 75);
    sqlite3_close(db);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "left"), 1);
    edit(cluster, PAYMENT_SVC,
         "UPDATE parked SET reason = printf('%.900c', 'x')");
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"), 74,
                 "a damaged row is no lock");
    cluster_remove(cluster);
}

static enum evt_status count_calls(void *ctx, const json_t *request,
                                   json_t **reply)
{
    unsigned *calls = ctx;

    (void)request;
    *reply = json_pack("{s:i}", "calls", ++*calls);
    return EVT_OK;
}

Test(shell, what_the_process_answers_it_is_asked)
{
    static const struct route routes[] = {{"get", "calls", count_calls},
                                          {"do", "redrive", count_calls},
                                          {NULL, NULL, NULL}};
    struct cluster *cluster = seeded();
    struct shell *shell = cluster->writers[ORDER_SVC].shell;
    unsigned calls = 0;

    cr_assert_eq(told(cluster, ORDER_SVC, "{\"get\":\"calls\"}", "code"), 65);
    shell->routes = routes;
    shell->routes_ctx = &calls;
    cr_assert_eq(told(cluster, ORDER_SVC, "{\"get\":\"calls\"}", "calls"), 1);
    cr_assert_eq(told(cluster, ORDER_SVC, "{\"do\":\"calls\"}", "code"), 65);
    cr_assert_eq(told(cluster, ORDER_SVC, "{\"get\":\"else\"}", "code"), 65);
    cr_assert_eq(told(cluster, ORDER_SVC, "{\"do\":\"redrive\"}", "redriven"),
                 0, "the shell's own come first");
    cr_assert_eq(calls, 1);
    cluster_remove(cluster);
}

/* Copies the log of a service to @backup while the service is down, and starts
 * it again. */
static void back_up(struct cluster *cluster, unsigned service, char backup[300])
{
    const char *path = cluster->writers[service].path;

    snprintf(backup, 300, "%s.backup", path);
    cluster_stop(cluster, service);
    scratch_copy(path, backup);
    cr_assert_eq(cluster_start(cluster, service), EVT_OK);
}

/* Stops a service and puts its log back; the caller starts it. */
static void restore(struct cluster *cluster, unsigned service,
                    const char *backup)
{
    const char *path = cluster->writers[service].path;
    char beside[400];

    cluster_stop(cluster, service);
    for (int i = 0; i < 2; i++) {
        snprintf(beside, sizeof beside, "%s-%s", path, i == 0 ? "wal" : "shm");
        unlink(beside);
    }
    scratch_copy(backup, path);
    unlink(backup);
}

/* Started @after_ms after payment-svc, whose heartbeats may tell it first. */
static void fires_no_timer(unsigned after_ms)
{
    struct cluster *cluster = seeded();
    char backup[300];
    struct shell_status before, after;

    cluster_stop(cluster, PAYMENT_SVC);
    place(cluster, "o-1", 1);
    cluster_run(cluster, 1000);
    back_up(cluster, ORDER_SVC, backup);
    cluster_run(cluster, 1000);
    place(cluster, "o-2", 1);
    cluster_run(cluster, 1000);
    restore(cluster, ORDER_SVC, backup);
    cluster_pass(cluster, 40000);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, after_ms);
    cr_assert_eq(cluster_start(cluster, ORDER_SVC), EVT_OK);
    cluster_status(cluster, ORDER_SVC, &before);
    cluster_run(cluster, 3000);
    cluster_status(cluster, ORDER_SVC, &after);
    cr_expect_eq(after.mode, SHELL_BEHIND, "started %u ms later", after_ms);
    cr_expect_eq(after.head_seq, before.head_seq, "started %u ms later",
                 after_ms);
    cluster_remove(cluster);
}

/* The answer that tells it may be the last one that due timers wait for. */
Test(shell, a_restored_log_fires_no_timer_until_accepted) /* HC11 F21 */
{
    for (unsigned after_ms = 10; after_ms < 1010; after_ms += 125)
        fires_no_timer(after_ms);
}

Test(shell, a_restored_backup_stops_the_stream_until_accepted) /* HC11 F21 */
{
    struct cluster *cluster = seeded();
    struct command stock = {.type = RECEIVE_STOCK, .command_id = "late"};
    char backup[300];
    struct shell_status status;
    json_t *reply;

    *payload_in(stock.data) = (struct payload){.sku = "widget", .quantity = 1};
    back_up(cluster, INVENTORY_SVC, backup);
    cluster_run(cluster, 100);
    place(cluster, "o-1", 2);
    cluster_run(cluster, 1000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    restore(cluster, INVENTORY_SVC, backup);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 3000);

    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_eq(status.subscriptions[1].state, SUB_DIVERGED);
    cr_assert_eq(status.subscriptions[1].verdict, PULL_AHEAD);
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert(status.mode == SHELL_BEHIND);
    cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                 ANSWER_BEHIND);

    reply = cluster_control(cluster, PAYMENT_SVC,
                            "{\"do\":\"accept\",\"source\":\"inventory\"}");
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    reply = cluster_control(cluster, ORDER_SVC,
                            "{\"do\":\"accept\",\"source\":\"inventory\"}");
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    cluster_run(cluster, 3000);
    cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                 ANSWER_DONE);
    place(cluster, "o-2", 1);
    cluster_run(cluster, 1000);
    cr_assert_str_eq(cluster_story(cluster, "o-2"), HAPPY);
    cluster_remove(cluster);
}

/* Loses what @ctx's reader, a service, asks of payment-svc. */
static bool all_but_pulls_of_payment(void *ctx, enum channel channel,
                                     uint64_t to, const void *bytes,
                                     size_t count)
{
    struct pull pull;

    (void)to;
    return channel != TO_PUBLISHER || !pull_read(bytes, count, &pull) ||
           strcmp(pull.reader, ctx) != 0 || strcmp(pull.source, "payment") != 0;
}

/* inventory-svc has lost a StockReserved that payment-svc has consumed and
 * order-svc has not.  order-svc tells it of the order again; of payment-svc it
 * has only heard heartbeats when this returns, not yet how far it has read. */
static struct cluster *half_heard(uint64_t *lost_head)
{
    static char reader[] = "inventory";
    struct cluster *cluster = seeded();
    char backup[300];

    back_up(cluster, INVENTORY_SVC, backup);
    cluster_run(cluster, 1000);
    *lost_head = cluster_head(cluster, INVENTORY_SVC);
    place(cluster, "o-1", 2);
    cluster_stop(cluster, ORDER_SVC);
    cluster_run(cluster, 1000);
    cr_assert_eq(cluster_head(cluster, INVENTORY_SVC), *lost_head + 1);
    restore(cluster, INVENTORY_SVC, backup);
    cr_assert_eq(cluster_start(cluster, ORDER_SVC), EVT_OK);
    cluster_run(cluster, 10);
    cluster->sent = all_but_pulls_of_payment;
    cluster->ctx = reader;
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 1500);
    return cluster;
}

/* What it recorded would take the number of the lost event. */
Test(shell, a_restored_log_records_nothing_until_all_were_heard) /* HC11 F21 */
{
    struct shell_status status;
    uint64_t head;
    struct cluster *cluster = half_heard(&head);

    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_eq(status.mode, SHELL_STARTING);
    cr_assert_eq(status.head_seq, head, "an event took a lost number");
    cluster->sent = NULL;
    cluster_run(cluster, 1500);
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_eq(status.mode, SHELL_BEHIND);
    cr_assert_eq(status.head_seq, head, "an event took a lost number");
    cluster_remove(cluster);
}

/* It would wait for ever for one that never answers. */
Test(shell, a_publisher_that_stays_silent_is_waited_for_three_seconds)
{
    struct shell_status status;
    uint64_t head;
    struct cluster *cluster = half_heard(&head);

    cluster_run(cluster, 1400);
    cr_assert_eq(cluster_head(cluster, INVENTORY_SVC), head);
    cluster_run(cluster, 200);
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_eq(status.mode, SHELL_RUNNING);
    cr_assert_gt(status.head_seq, head, "what waited is asked for again");
    cluster_remove(cluster);
}

/* One that was away when the log was restored, and is ahead, comes back when
 * the log has overtaken it: what else is recorded it would skip when it
 * accepts. */
Test(shell, a_reader_that_comes_back_with_lost_events_stops_the_log) /* F21 */
{
    struct cluster *cluster = seeded();
    struct shell_status before, after;
    char backup[300];

    back_up(cluster, ORDER_SVC, backup);
    cluster_run(cluster, 1000);
    place(cluster, "o-lost", 1);
    cluster_run(cluster, 1000);
    cluster_stop(cluster, PAYMENT_SVC);
    cluster_stop(cluster, INVENTORY_SVC);
    restore(cluster, ORDER_SVC, backup);
    cr_assert_eq(cluster_start(cluster, ORDER_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    for (int i = 0; i < 5; i++) {
        char id[8];

        snprintf(id, sizeof id, "o-%d", i);
        place(cluster, id, 1);
    }
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_run(cluster, 3000);
    cluster_status(cluster, ORDER_SVC, &before);
    cr_assert_eq(before.mode, SHELL_BEHIND);
    cluster_run(cluster, 60000); /* nor do deadlines fire */
    cluster_status(cluster, ORDER_SVC, &after);
    cr_assert_eq(after.head_seq, before.head_seq);
    json_decref(cluster_control(cluster, PAYMENT_SVC,
                                "{\"do\":\"accept\",\"source\":\"order\"}"));
    cluster_run(cluster, 3000);
    cluster_status(cluster, ORDER_SVC, &after);
    cr_assert_eq(after.mode, SHELL_RUNNING);
    cluster_remove(cluster);
}

/* Nobody need wait long for one that is down. */
Test(shell, events_are_handled_soon_while_a_publisher_is_away)
{
    struct cluster *cluster = seeded();
    uint64_t head;

    cluster_stop(cluster, PAYMENT_SVC);
    cluster_stop(cluster, INVENTORY_SVC);
    place(cluster, "o-1", 2);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    head = cluster_head(cluster, INVENTORY_SVC);
    cluster_run(cluster, 450);
    cr_assert_eq(cluster_head(cluster, INVENTORY_SVC), head);
    cluster_run(cluster, 100);
    cr_assert_eq(cluster_head(cluster, INVENTORY_SVC), head + 1);
    cluster_remove(cluster);
}

/* Asks as `saga` does: again, with what the answer adds, while it passes. */
static json_t *patiently(struct cluster *cluster, unsigned service,
                         const char *request)
{
    json_t *asked = json_loads(request, 0, NULL), *reply = NULL, *again;

    for (int times = 0; times < 200; times++) {
        char *text = json_dumps(asked, JSON_COMPACT);

        json_decref(reply);
        reply = cluster_control(cluster, service, text);
        free(text);
        again = json_object_get(reply, "again");
        if (again == NULL)
            break;
        json_object_update(asked, again);
        cluster_run(cluster, 10);
    }
    json_decref(asked);
    return reply;
}

/* An operator need not wait until a reader has noticed: it looks for itself,
 * and a log that is whole stays as it is. */
Test(shell, accept_looks_at_a_log_that_was_not_found_diverged_yet) /* HC11 */
{
    static const char accept[] = "{\"do\":\"accept\",\"source\":\"inventory\"}";
    struct cluster *cluster = seeded();
    char backup[300];
    struct shell_status status;
    json_t *reply;

    back_up(cluster, INVENTORY_SVC, backup);
    cluster_run(cluster, 100);
    place(cluster, "o-1", 2);
    cluster_run(cluster, 1000);
    reply = patiently(cluster, PAYMENT_SVC, accept);
    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 1);
    json_decref(reply);
    restore(cluster, INVENTORY_SVC, backup);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);

    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_neq(status.subscriptions[1].state, SUB_DIVERGED,
                  "nobody has noticed");
    reply = patiently(cluster, PAYMENT_SVC, accept);
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    reply = patiently(cluster, ORDER_SVC, accept);
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    cluster_run(cluster, 1000);
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_not(status.mode == SHELL_BEHIND);
    cluster_remove(cluster);
}

/* One answer that does not chain may be noise: it takes two, and between them
 * nobody can say that the log has not diverged. */
Test(shell, accept_waits_for_the_second_look_at_an_edited_log) /* HC48 */
{
    struct command stock = {.type = RECEIVE_STOCK, .command_id = "late"};
    struct cluster *cluster = seeded();
    json_int_t code = 75;
    json_t *reply;

    *payload_in(stock.data) = (struct payload){.sku = "widget", .quantity = 1};
    cluster_stop(cluster, PAYMENT_SVC);
    cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                 ANSWER_DONE);
    cluster_stop(cluster, INVENTORY_SVC);
    edit(cluster, INVENTORY_SVC,
         "DROP TRIGGER event_is_never_changed;"
         "UPDATE event SET command_id = 'edit' WHERE command_id = 'late'");
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    for (int i = 0; i < 50 && code == 75; i++) {
        reply = cluster_control(
            cluster, PAYMENT_SVC,
            "{\"do\":\"accept\",\"source\":\"inventory\",\"look\":1}");
        code = json_integer_value(json_object_get(reply, "code"));
        json_decref(reply); /* each control is a step, too */
    }
    cr_assert_eq(code, 0, "it is accepted, not found whole");
    cluster_remove(cluster);
}

/* A service that has just started, and hears nobody yet, is asked again. */
Test(shell, a_redrive_right_after_a_start_says_that_this_passes)
{
    struct cluster *cluster = seeded();
    struct shell_status status;
    json_t *reply;

    for (unsigned s = 0; s < SERVICES; s++)
        cluster_stop(cluster, s);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert(status.mode == SHELL_STARTING);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"),
                 75);
    reply = patiently(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "left")), 0);
    cr_assert(json_is_array(json_object_get(reply, "events")));
    json_decref(reply);
    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_not(status.mode == SHELL_STARTING);
    cluster_remove(cluster);
}

Test(shell, another_log_in_a_publishers_place_is_not_consumed) /* HC11 F22 */
{
    struct cluster *cluster = seeded();
    struct shell_status status;
    struct command stock = {.type = RECEIVE_STOCK, .command_id = "late"};

    *payload_in(stock.data) = (struct payload){.sku = "widget", .quantity = 1};
    cluster->writers[PAYMENT_SVC].deaf = true;
    cluster_stop(cluster, INVENTORY_SVC);
    cr_assert_eq(unlink(cluster->writers[INVENTORY_SVC].path), 0);
    cr_assert_eq(cluster_start(cluster, INVENTORY_SVC), EVT_OK);
    cluster_run(cluster, 1000);
    cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                 ANSWER_DONE);
    cluster_run(cluster, 3000);
    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_eq(status.subscriptions[1].state, SUB_DIVERGED);
    cr_assert_eq(status.subscriptions[1].verdict, PULL_OTHER_LOG);
    /* It has only been asked so far; which log it is, a heartbeat tells. */
    cr_assert_eq(told(cluster, PAYMENT_SVC,
                      "{\"do\":\"accept\",\"source\":\"inventory\"}", "code"),
                 75);
    cluster->writers[PAYMENT_SVC].deaf = false;
    cluster_run(cluster, 1000);
    /* Accepted, it is read from its beginning. */
    cr_assert_eq(told(cluster, PAYMENT_SVC,
                      "{\"do\":\"accept\",\"source\":\"inventory\"}", "seq"),
                 0);
    cluster_run(cluster, 1000);
    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_neq(status.subscriptions[1].state, SUB_DIVERGED);
    cluster_remove(cluster);
}

Test(shell, what_arrives_together_shares_one_commit)
{
    struct cluster *cluster = seeded();
    struct shell_status before, after;
    struct command commands[COMMANDS_PER_REQUEST];
    uint8_t message[MESSAGE_MAX];
    struct input input;

    for (int i = 0; i < COMMANDS_PER_REQUEST; i++) {
        char id[ID_BYTES];

        snprintf(id, sizeof id, "o-%d", i);
        commands[i] = cluster_order(id, "alice", "widget", 1);
    }
    input = (struct input){
        INPUT_REQUEST, 1, message,
        request_write(&shop_domain, commands, COMMANDS_PER_REQUEST, message)};
    cluster_status(cluster, ORDER_SVC, &before);
    cr_assert_eq(shell_step(cluster->writers[ORDER_SVC].shell, &input, 1),
                 EVT_OK);
    cluster_status(cluster, ORDER_SVC, &after);
    cr_assert_eq(after.commits, before.commits + 1);
    cr_assert_eq(after.appended, before.appended + COMMANDS_PER_REQUEST);
    cluster_remove(cluster);
}

/* Five events of inventory that payment hears, and does not react to. */
static void receive_five(struct cluster *cluster)
{
    for (int i = 0; i < 5; i++) {
        struct command stock = {.type = RECEIVE_STOCK};

        *payload_in(stock.data) =
            (struct payload){.sku = "widget", .quantity = 1};
        snprintf(stock.command_id, sizeof stock.command_id, "s-%d", i);
        cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                     ANSWER_DONE);
        cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
    }
}

Test(shell, cursors_that_nothing_hangs_on_move_when_idle)
{
    struct cluster *cluster = seeded();
    struct shell_status before, after;

    cluster_run(cluster, 1000);
    cluster_status(cluster, PAYMENT_SVC, &before);
    receive_five(cluster);
    cluster_status(cluster, PAYMENT_SVC, &after);
    cr_assert_eq(after.commits, before.commits);
    cluster_run(cluster, 1000);
    cluster_status(cluster, PAYMENT_SVC, &after);
    cr_assert_eq(after.commits, before.commits + 1);
    cr_assert_eq(ask(cluster, PAYMENT_SVC,
                     "SELECT seq FROM inbox WHERE source='inventory'"),
                 ask(cluster, INVENTORY_SVC, "SELECT max(seq) FROM event"));
    cluster_remove(cluster);
}

Test(shell, cursors_that_nothing_hangs_on_move_under_load_too)
{
    struct cluster *cluster = seeded();
    struct shell_status before, after;

    cluster_run(cluster, 1000);
    cluster_status(cluster, PAYMENT_SVC, &before);
    for (int i = 0; i < 22; i++) { /* 1100 ms, and never idle */
        struct command stock = {.type = RECEIVE_STOCK};

        *payload_in(stock.data) =
            (struct payload){.sku = "widget", .quantity = 1};
        snprintf(stock.command_id, sizeof stock.command_id, "l-%d", i);
        cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                     ANSWER_DONE);
        cluster_run(cluster, 50);
    }
    cluster_status(cluster, PAYMENT_SVC, &after);
    cr_assert_eq(after.commits, before.commits + 1);
    cluster_remove(cluster);
}

Test(shell, what_nobody_here_reacts_to_leaves_no_gap) /* HC10 */
{
    struct cluster *cluster = seeded();
    struct shell_status before, after;
    const struct subscription *was = &before.subscriptions[0],
                              *is = &after.subscriptions[0];

    cluster_run(cluster, 1000);
    cluster_status(cluster, PAYMENT_SVC, &before);
    while (was < &before.subscriptions[before.subscription_count] &&
           strcmp(was->source, "inventory") != 0)
        was++, is++;
    cr_assert_lt(was - before.subscriptions,
                 (ptrdiff_t)before.subscription_count);
    receive_five(cluster);
    cluster_status(cluster, PAYMENT_SVC, &after);
    cr_assert_eq(is->cursor.at.seq, was->cursor.at.seq + 5);
    cr_assert_eq(is->counts.events, was->counts.events + 5);
    cr_assert_eq(is->counts.gaps, was->counts.gaps);
    cr_assert_eq(is->counts.pulls, was->counts.pulls);
    cluster_remove(cluster);
}

/* Follows the queued frames of subscription @from from event @last on; the
 * last. */
static uint64_t follow(const struct cluster_node *node, uint64_t from,
                       uint64_t last)
{
    for (size_t q = 0; q < node->queue.count; q++) {
        const struct input *input = &node->queue.inputs[q];
        struct frame frame;

        if (input->kind != INPUT_FRAME || input->from != from)
            continue;
        cr_assert(frame_read(input->bytes, input->count, &frame));
        cr_assert_eq(frame.first_seq, last + 1);
        for (size_t i = 0; i < frame.count; i++)
            cr_assert_eq(frame.rows[i].seq, ++last);
    }
    return last;
}

/* A disk fills up in the middle of a batch.  Were the frames of what was undone
 * kept, numbers would be said twice, the first time for what never was. */
Test(shell, frames_are_the_log_strictly_by_number) /* HC8 */
{
    struct cluster *cluster = seeded();
    sqlite3 *db =
        store_connection(cluster->writers[INVENTORY_SVC].shell->store);
    const struct cluster_node *reader = &cluster->writers[PAYMENT_SVC];
    struct shell_status status;
    uint64_t from = 0, last;

    while (strcmp(payment_service.listens_to[from], "inventory") != 0)
        from++;
    cluster_run(cluster, 1000);
    cluster_lose(cluster, PAYMENT_SVC);
    cluster_status(cluster, INVENTORY_SVC, &status);
    last = status.head_seq;
    for (int i = 0; i < 40; i++) { /* one batch for inventory */
        char id[ID_BYTES];

        snprintf(id, sizeof id, "o-%d", i);
        place(cluster, id, 1);
    }
    sqlite3_exec(db, "PRAGMA max_page_count=1", NULL, NULL, NULL);
    cr_assert_eq(cluster_step(cluster, INVENTORY_SVC), EVT_OK);
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_eq(status.mode, SHELL_FULL);
    cr_assert_eq(status.head_seq, last);
    cr_assert_eq(follow(reader, from, last), last);
    sqlite3_exec(db, "PRAGMA max_page_count=100000", NULL, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        cluster->mono_ms += 1000;
        cr_assert_eq(cluster_step(cluster, INVENTORY_SVC), EVT_OK);
    }
    cluster_status(cluster, INVENTORY_SVC, &status);
    cr_assert_eq(status.head_seq, last + 40);
    cr_assert_eq(follow(reader, from, last), last + 40);
    cluster_remove(cluster);
}

/* All states are folded anew after a restart: nothing is charged, reserved or
 * published again. */
Test(shell, a_replay_repeats_no_effect) /* HC41 */
{
    struct cluster *cluster = seeded();
    struct command funds = {.type = DEPOSIT_FUNDS, .command_id = "d-1"};
    struct shell_status before[SERVICES], after;

    *payload_in(funds.data) =
        (struct payload){.customer = "alice", .amount_cents = 5};
    place(cluster, "o-1", 2);
    cluster_run(cluster, 1000);
    for (unsigned i = 0; i < SERVICES; i++) {
        cluster_status(cluster, i, &before[i]);
        cluster_stop(cluster, i);
        edit(cluster, i, "DELETE FROM snapshot");
    }
    for (unsigned i = 0; i < SERVICES; i++)
        cr_assert_eq(cluster_start(cluster, i), EVT_OK);
    cluster_run(cluster, 1000);
    cr_assert_eq(cluster_command(cluster, PAYMENT_SVC, &funds).code,
                 ANSWER_DONE);
    cr_assert_eq(cancel(cluster, "o-1", "c-1").code, ANSWER_REFUSED);
    cluster_run(cluster, 3000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    for (unsigned i = 0; i < SERVICES; i++) {
        uint64_t heard = 0;

        cluster_status(cluster, i, &after);
        cr_assert_eq(after.head_seq, before[i].head_seq + (i == PAYMENT_SVC));
        for (size_t f = 0; f < after.subscription_count; f++)
            heard += after.subscriptions[f].counts.events;
        cr_assert_eq(heard, i == PAYMENT_SVC ? 0 : 1, "%u heard %d", i,
                     (int)heard);
    }
    cluster_remove(cluster);
}

Test(shell, a_cursor_that_cannot_be_saved_is_no_reason_to_spin)
{
    struct cluster *cluster = seeded();
    struct shell *shell = cluster->writers[PAYMENT_SVC].shell;
    struct command stock = {.type = RECEIVE_STOCK, .command_id = "s-1"};
    uint8_t hash[HASH_BYTES];

    *payload_in(stock.data) = (struct payload){.sku = "widget", .quantity = 1};
    cluster_run(cluster, 1000);
    cr_assert_eq(cluster_command(cluster, INVENTORY_SVC, &stock).code,
                 ANSWER_DONE);
    cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
    cr_assert_neq(shell->subscriptions[1].cursor.at.seq,
                  shell->saved[1].at.seq);
    /* as if a reply had said that order-svc is ahead of this log */
    cr_assert_eq(
        store_head(shell->store, &shell->subscriptions[0].on_us.at.seq, hash),
        EVT_OK);
    shell->subscriptions[0].on_us.at.seq++;
    memcpy(shell->subscriptions[0].on_us.at.log_id, store_log_id(shell->store),
           LOG_ID_BYTES);
    shell->subscriptions[0].owes_me = true;
    cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
    cr_assert_eq(shell->mode, SHELL_BEHIND);
    cr_assert_eq(told(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"),
                 75);
    cluster->mono_ms += 150;
    cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
    cr_assert_gt(shell_wake_ms(shell), cluster->mono_ms);
    cluster_remove(cluster);
}

Test(shell, a_long_account_is_loaded_from_its_snapshot) /* HC49 */
{
    struct cluster *cluster = seeded();
    struct shell_status status;

    for (int i = 0; i < SNAPSHOT_EVERY + 10; i++) {
        struct command funds = {.type = DEPOSIT_FUNDS};

        *payload_in(funds.data) =
            (struct payload){.customer = "alice", .amount_cents = 1};
        snprintf(funds.command_id, sizeof funds.command_id, "d-%d", i);
        cr_assert_eq(cluster_command(cluster, PAYMENT_SVC, &funds).code,
                     ANSWER_DONE);
        cluster_run(cluster, 10);
    }
    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_eq(status.snapshots, 1);
    cluster_stop(cluster, PAYMENT_SVC);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
    /* 1000.00 and 266 cents: an order for 50 widgets leaves 7.66 */
    place(cluster, "o-1", 50);
    cluster_run(cluster, 2000);
    cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY);
    place(cluster, "o-2", 1);
    cluster_run(cluster, 100);
    cr_assert_str_eq(cluster_story(cluster, "o-2"),
                     "OrderPlaced OrderCancelled StockReserved StockReleased "
                     "PaymentDeclined");
    cluster_remove(cluster);
}

/* One life that ends by kill -9 at the given pass of a fault point. */
static bool dies_at(const char *directory, const char *point, unsigned after)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct cluster *cluster = seeded_in(directory);

        if (fault_set(point, after, 1, 100) != EVT_OK)
            _exit(2);
        place(cluster, "o-1", 2);
        cluster_run(cluster, 200);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        cr_assert_eq(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void survives(const char *point) /* HC5 HC6 HC14 HC52 */
{
    unsigned deaths = 0;

    for (unsigned after = 0; after < 40; after++) {
        char directory[] = "/tmp/crash-XXXXXX";
        struct command again = cluster_order("o-1", "alice", "widget", 2);
        struct cluster *cluster;
        bool died;

        cr_assert_not_null(mkdtemp(directory));
        died = dies_at(directory, point, after);
        deaths += died;
        cluster = cluster_open(directory, 2); /* other nonces */
        cluster_start_all(cluster, false);
        cluster_run(cluster, 50);
        /* The client has no answer: it sends the command again. */
        cr_assert_eq(cluster_command(cluster, ORDER_SVC, &again).code,
                     ANSWER_DONE);
        cluster_run(cluster, 4000);
        cr_assert_str_eq(cluster_story(cluster, "o-1"), HAPPY,
                         "%s after %u: %s", point, after,
                         cluster_story(cluster, "o-1"));
        cluster_remove(cluster);
        if (!died)
            break;
    }
    cr_assert_geq(deaths, 4, "%s was reached %u times only", point, deaths);
}

Test(shell, a_crash_before_begin_heals) /* F01 real */
{
    survives("crash/before-begin");
}

Test(shell, a_crash_after_an_append_heals) /* F01 real */
{
    survives("crash/after-append");
}

Test(shell, a_crash_before_the_commit_heals) /* F01 real */
{
    survives("crash/before-commit");
}

Test(shell, a_crash_after_the_commit_heals) /* F01 real */
{
    survives("crash/after-commit");
}

Test(shell, a_crash_before_publishing_heals) /* F01 real */
{
    survives("crash/before-publish");
}

Test(shell, a_crash_after_publishing_heals) /* F01 real */
{
    survives("crash/after-publish");
}
