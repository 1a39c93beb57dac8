/* test_shell.c - the shell, its store and subscriptions, all three services
 * together.
 */
#include "base/fault.h"
#include "payment-svc/payment.h"
#include "trio.h"
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

static struct trio *seeded(void)
{
    struct trio *trio = trio_open(NULL);

    trio_run(trio, 100);
    trio_seed(trio);
    trio_run(trio, 100);
    return trio;
}

static void place(struct trio *trio, const char *id, int64_t quantity)
{
    struct command command = trio_place(id, "alice", "widget", quantity);

    cr_assert_eq(trio_command(trio, ORDER_SVC, &command).code, ANSWER_DONE);
}

static struct answer cancel(struct trio *trio, const char *order,
                            const char *id)
{
    struct command command = {.type = CANCEL_ORDER};

    text_copy(command.order_id, ID_BYTES, order);
    text_copy(command.command_id, ID_BYTES, id);
    return trio_command(trio, ORDER_SVC, &command);
}

/* Runs SQL on a service's file; the service is down. */
static void edit(struct trio *trio, unsigned service, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;

    cr_assert_eq(sqlite3_open(trio->nodes[service].path, &db), SQLITE_OK);
    sqlite3_exec(db, sql, NULL, NULL, &error);
    cr_assert_null(error, "%s", error);
    sqlite3_close(db);
}

static int64_t ask(struct trio *trio, unsigned service, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value;
    sqlite3 *db;

    cr_assert_eq(sqlite3_open_v2(trio->nodes[service].path, &db,
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
    struct trio *trio = seeded();

    place(trio, "o-1", 2);
    trio_run(trio, 50);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_close(trio);
}

Test(shell, a_declined_payment_gives_the_stock_back)
{
    struct trio *trio = seeded();

    place(trio, "o-1", 60);
    trio_run(trio, 50);
    cr_assert_str_eq(trio_story(trio, "o-1"),
                     "OrderPlaced OrderCancelled StockReserved StockReleased "
                     "PaymentDeclined");
    trio_close(trio);
}

Test(shell, a_command_sent_again_is_answered_as_the_first_time) /* HC15 */
{
    struct trio *trio = seeded();
    struct command first = trio_place("o-1", "alice", "widget", 2);
    struct command other = trio_place("o-1", "alice", "widget", 3);
    struct answer one = trio_command(trio, ORDER_SVC, &first), two;
    struct command funds = {.type = DEPOSIT_FUNDS,
                            .command_id = "d-1",
                            .data = {.customer = "carol", .amount_cents = 5}};
    uint64_t seq;

    trio_run(trio, 50);
    two = trio_command(trio, ORDER_SVC, &first);
    cr_assert_eq(two.code, ANSWER_DONE);
    cr_assert_eq(two.at.seq, one.at.seq);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &other).code, ANSWER_REFUSED);
    seq = trio_command(trio, PAYMENT_SVC, &funds).at.seq;
    trio_stop(trio, PAYMENT_SVC); /* also after a crash */
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_run(trio, 50);
    cr_assert_eq(trio_command(trio, PAYMENT_SVC, &funds).at.seq, seq);
    cr_assert_eq(ask(trio, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE command_id='d-1'"),
                 1);
    trio_close(trio);
}

/* Arms or disarms the timers of so many orders, as if they were open. */
static void fill(struct trio *trio, int count, bool open)
{
    struct store *store = trio->nodes[ORDER_SVC].shell->store;
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
    struct trio *trio = seeded();
    struct command known = trio_place("o-1", "alice", "widget", 1);
    struct command new_rows = trio_place("o-2", "alice", "widget", 1);
    struct command price = {.type = LIST_PRODUCT,
                            .command_id = "p-1",
                            .data = {.sku = "bolt", .price_cents = 5}};

    cr_assert_eq(trio_command(trio, ORDER_SVC, &known).code, ANSWER_DONE);
    fill(trio, OPEN_MAX, true);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &price).code, ANSWER_DONE);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &new_rows).code, ANSWER_BUSY);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &known).code, ANSWER_DONE,
                 "what is recorded is said");
    cr_assert_eq(cancel(trio, "o-1", "c-1").code, ANSWER_DONE,
                 "what ends an order is taken");
    fill(trio, 0, false);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &price).code, ANSWER_DONE);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &new_rows).code, ANSWER_DONE);
    trio_close(trio);
}

Test(shell, a_cancel_sent_again_is_no_other_cancel) /* HC34 */
{
    struct trio *trio = seeded();
    struct answer first, again;

    place(trio, "o-1", 1);
    first = cancel(trio, "o-1", "c-1");
    again = cancel(trio, "o-1", "c-1");
    cr_assert_eq(first.code, ANSWER_DONE);
    cr_assert_eq(again.code, ANSWER_DONE);
    cr_assert_eq(first.at.seq, again.at.seq);
    cr_assert_eq(cancel(trio, "o-1", "c-2").code, ANSWER_DONE);
    trio_run(trio, 50);
    cr_assert_eq(ask(trio, ORDER_SVC,
                     "SELECT count(*) FROM event WHERE type='OrderCancelling'"),
                 1);
    place(trio, "o-2", 1);
    trio_run(trio, 50);
    cr_assert_eq(cancel(trio, "o-2", "c-3").code, ANSWER_REFUSED);
    cr_assert_eq(cancel(trio, "o-9", "c-4").code, ANSWER_REFUSED);
    cr_assert_eq(cancel(trio, "o-2", "c-1").code, ANSWER_REFUSED,
                 "it is o-1's cancellation");
    cr_assert_eq(cancel(trio, "o-2", "o-2").code, ANSWER_REFUSED,
                 "the order's own id is no cancellation's");
    trio_close(trio);
}

Test(shell, what_is_no_command_of_this_service_is_answered_so)
{
    struct trio *trio = seeded();
    struct command expire = {
        .type = EXPIRE_ORDER, .command_id = "x", .order_id = "o-1"};
    struct command funds = {.type = DEPOSIT_FUNDS,
                            .command_id = "d",
                            .data = {.customer = "carol", .amount_cents = 5}};
    struct command odd = trio_place("o-1", "alice", "widget", 1);

    cr_assert_eq(trio_command(trio, ORDER_SVC, &expire).code, ANSWER_BAD);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &funds).code, ANSWER_BAD);
    text_copy(odd.command_id, ID_BYTES, "o-2");
    cr_assert_eq(trio_command(trio, ORDER_SVC, &odd).code, ANSWER_BAD);
    trio_close(trio);
}

Test(shell, garbage_requests_are_answered_and_counted) /* HC21 F48 */
{
    struct trio *trio = seeded();
    json_t *reply = trio_control(trio, ORDER_SVC, "\xdd\x10");
    struct shell_status status;

    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 65);
    json_decref(reply);
    reply = trio_control(trio, ORDER_SVC, "{\"do\":");
    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 65);
    json_decref(reply);
    reply = trio_control(trio, ORDER_SVC, "{\"do\":[{}]}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 65);
    json_decref(reply);
    trio_status(trio, ORDER_SVC, &status);
    cr_assert_eq(status.garbage, 3);
    trio_close(trio);
}

Test(shell, frames_that_never_arrive_are_pulled) /* HC3 HC4 F32 */
{
    struct trio *trio = seeded();

    for (unsigned i = 0; i < SERVICES; i++)
        trio->nodes[i].deaf = true;
    place(trio, "o-1", 2);
    trio_run(trio, 4 * PULL_IDLE_MS + 100); /* each rung waits for a pull */
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_close(trio);
}

Test(shell, a_lost_tail_is_found_by_the_next_heartbeat) /* HC3 F32 */
{
    struct trio *trio = seeded();

    place(trio, "o-1", 2);
    cr_assert_gt(trio_lose(trio, INVENTORY_SVC), 0);
    trio_run(trio, HEARTBEAT_MS + 100);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_close(trio);
}

Test(shell, a_frame_that_comes_again_has_no_effect) /* HC13 F33 */
{
    struct trio *trio = seeded();
    struct trio_message *queued, *copy;
    struct shell_status status;

    place(trio, "o-1", 2);
    queued = trio->nodes[INVENTORY_SVC].queue;
    cr_assert_not_null(queued);
    copy = malloc(sizeof *copy + queued->input.count);
    memcpy(copy, queued, sizeof *copy + queued->input.count);
    copy->input.bytes = copy->bytes;
    copy->next = NULL;
    trio_run(trio, 50);
    copy->next = trio->nodes[INVENTORY_SVC].queue;
    trio->nodes[INVENTORY_SVC].queue = copy;
    trio_run(trio, 50);
    trio_status(trio, INVENTORY_SVC, &status);
    cr_assert_eq(status.subscriptions[0].counts.duplicates, 1);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_close(trio);
}

Test(shell, a_service_that_was_away_catches_up) /* HC2 F40 */
{
    struct trio *trio = seeded();
    char id[ID_BYTES];

    trio_stop(trio, PAYMENT_SVC);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "o-%d", i);
        place(trio, id, 1);
    }
    trio_run(trio, 1000);
    cr_assert_str_eq(trio_story(trio, "o-7"), "OrderPlaced StockReserved");
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_run(trio, 1000);
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "o-%d", i);
        cr_assert_str_eq(trio_story(trio, id), HAPPY);
    }
    trio_close(trio);
}

Test(shell, any_order_of_starting_comes_to_the_same) /* HC38 */
{
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                          {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (int i = 0; i < 6; i++) {
        struct trio *trio = seeded();

        place(trio, "o-1", 2);
        for (unsigned k = 0; k < SERVICES; k++)
            trio_stop(trio, k);
        for (unsigned k = 0; k < SERVICES; k++) {
            cr_assert_eq(trio_start(trio, orders[i][k]), EVT_OK);
            trio_run(trio, 700);
        }
        trio_run(trio, 3000);
        cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
        trio_close(trio);
    }
}

Test(shell, a_cancel_that_overtakes_the_reservation_voids) /* HC16 F43 */
{
    struct trio *trio = seeded();

    place(trio, "o-1", 2);
    trio_lose(trio, INVENTORY_SVC); /* it will learn of the order late */
    cr_assert_eq(cancel(trio, "o-1", "c-1").code, ANSWER_DONE);
    trio_lose(trio, INVENTORY_SVC);
    trio_run(trio, 5000);
    cr_assert_str_eq(trio_story(trio, "o-1"),
                     "OrderPlaced OrderCancelling OrderCancelled "
                     "StockReleased PaymentVoided");
    trio_close(trio);
}

Test(shell, a_deadline_passes_while_payment_is_away) /* HC24 HC32 F45 */
{
    struct trio *trio = seeded();

    trio_stop(trio, PAYMENT_SVC);
    place(trio, "o-1", 2);
    trio_run(trio, 20000);
    trio_stop(trio, ORDER_SVC); /* the timer is in the file, not in memory */
    cr_assert_eq(trio_start(trio, ORDER_SVC), EVT_OK);
    trio_run(trio, 9000);
    cr_assert_str_eq(trio_story(trio, "o-1"), "OrderPlaced StockReserved");
    trio_run(trio, 5000);
    cr_assert_str_eq(trio_story(trio, "o-1"),
                     "OrderPlaced OrderCancelling StockReserved");
    cr_assert_eq(ask(trio, ORDER_SVC, "SELECT count(*) FROM timer"), 0);
    trio_start(trio, PAYMENT_SVC);
    trio_run(trio, 2000);
    cr_assert_str_eq(trio_story(trio, "o-1"),
                     "OrderPlaced OrderCancelling OrderCancelled "
                     "StockReserved StockReleased PaymentVoided");
    trio_close(trio);
}

Test(shell, deadlines_that_fell_due_meanwhile_wait_for_a_pull) /* HC31 F30 */
{
    struct trio *trio = seeded();

    place(trio, "o-1", 2);
    for (int i = 0; i < 4; i++) { /* the others finish, order-svc is frozen */
        cr_assert_eq(trio_step(trio, INVENTORY_SVC), EVT_OK);
        cr_assert_eq(trio_step(trio, PAYMENT_SVC), EVT_OK);
    }
    cr_assert_str_eq(trio_story(trio, "o-1"),
                     "OrderPlaced StockReserved PaymentCharged");
    trio_lose(trio, ORDER_SVC);
    trio->mono_ms += 60000;
    trio->wall_ms += 60000;
    trio_run(trio, 3000);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_close(trio);
}

Test(shell, the_wall_clock_may_jump) /* HC33 F28 F29 */
{
    struct trio *trio = seeded();

    trio_stop(trio, PAYMENT_SVC);
    place(trio, "o-1", 2);
    trio->wall_ms += 86400000; /* a day: no deadline passes */
    trio_run(trio, 1000);
    cr_assert_str_eq(trio_story(trio, "o-1"), "OrderPlaced StockReserved");
    trio->wall_ms -= 10 * 86400000LL; /* back, and a restart: no longer wait */
    trio_stop(trio, ORDER_SVC);
    cr_assert_eq(trio_start(trio, ORDER_SVC), EVT_OK);
    trio_run(trio, 34000);
    cr_assert_str_eq(trio_story(trio, "o-1"),
                     "OrderPlaced OrderCancelling StockReserved");
    trio_close(trio);
}

Test(shell, a_full_disk_records_nothing_and_goes_on_later) /* HC50 F18 */
{
    struct trio *trio = seeded();
    sqlite3 *db = store_connection(trio->nodes[ORDER_SVC].shell->store);
    struct command first = trio_place("o-1", "alice", "widget", 1);
    struct answer answer;
    struct shell_status status;

    sqlite3_exec(db, "PRAGMA max_page_count=1", NULL, NULL, NULL);
    for (int i = 0; i < 200; i++) { /* until no page is left */
        char id[ID_BYTES];

        snprintf(id, sizeof id, "o-%d", i);
        text_copy(first.order_id, ID_BYTES, id);
        text_copy(first.command_id, ID_BYTES, id);
        answer = trio_command(trio, ORDER_SVC, &first);
        if (answer.code != ANSWER_DONE)
            break;
    }
    cr_assert_eq(answer.code, ANSWER_FULL);
    cr_assert_str_eq(trio_story(trio, first.order_id), "");
    trio_status(trio, ORDER_SVC, &status);
    cr_assert_eq(status.mode, SHELL_FULL);
    trio_run(trio, 2000); /* pulls and heartbeats go on, nothing crashes */
    sqlite3_exec(db, "PRAGMA max_page_count=100000", NULL, NULL, NULL);
    trio_run(trio, 2000);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &first).code, ANSWER_DONE);
    trio_run(trio, 100);
    cr_assert_str_eq(trio_story(trio, first.order_id), HAPPY);
    cr_assert_str_eq(trio_story(trio, "o-0"), HAPPY);
    trio_status(trio, ORDER_SVC, &status);
    cr_assert_eq(status.mode, SHELL_RUNNING);
    trio_close(trio);
}

Test(shell, a_database_locked_by_an_outsider_is_waited_for) /* HC54 F24 real */
{
    struct trio *trio = seeded();
    struct command first = trio_place("o-1", "alice", "widget", 1);
    sqlite3 *db;

    cr_assert_eq(sqlite3_open(trio->nodes[ORDER_SVC].path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                 SQLITE_OK);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &first).code, ANSWER_BUSY);
    trio_run(trio, 200);
    cr_assert_str_eq(trio_story(trio, "o-1"), "");
    /* Found out now, and not tried again at once though it is over. */
    cr_assert_eq(trio_command(trio, ORDER_SVC, &first).code, ANSWER_BUSY);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &first).code, ANSWER_BUSY);
    sqlite3_close(db);
    trio_run(trio, 200);
    cr_assert_eq(trio_command(trio, ORDER_SVC, &first).code, ANSWER_DONE);
    trio_run(trio, 1000);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_close(trio);
}

/* Appends a row that our own code would never write to a log that is down. */
static void plant(struct trio *trio, unsigned service, const struct row *what)
{
    struct row row = *what;
    uint8_t hash[HASH_BYTES];
    char why[STORE_WHY_BYTES], sql[1024], hex[2 * HASH_BYTES + 1];
    char data[2 * 256 + 1];
    struct store *log;

    cr_assert_eq(
        store_open_readonly(trio->nodes[service].path, NULL, NULL, &log, why),
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
    edit(trio, service, sql);
}

Test(shell,
     what_cannot_be_understood_is_parked_and_redriven) /* HC20 HC37 F27 F37 */
{
    struct trio *trio = seeded();
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

    trio_stop(trio, INVENTORY_SVC);
    plant(trio, INVENTORY_SVC, &poison);
    poison.version = 1; /* no customer: malformed */
    plant(trio, INVENTORY_SVC, &poison);
    plant(trio, INVENTORY_SVC, &stranger);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    trio_run(trio, 1000);
    cr_assert_eq(ask(trio, PAYMENT_SVC, "SELECT count(*) FROM parked"), 2);
    place(trio, "o-1", 2);
    trio_run(trio, 100);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);

    reply = trio_control(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "left")), 2);
    cr_assert_eq(json_integer_value(json_object_get(reply, "redriven")), 0);
    json_decref(reply);
    trio_close(trio);
}

/* What an upgrade would do: the parked bytes now decode. */
static void heal_parked(struct trio *trio)
{
    struct event event = {
        .type = STOCK_RESERVED,
        .order_id = "o-9",
        .data = {.customer = "alice",
                 .total_cents = 100,
                 .line_count = 1,
                 .lines = {{.sku = "widget", .quantity = 1}}}};
    uint8_t data[DATA_MAX], raw[4096];
    char sql[8300], hex[8193];
    struct row row;

    event.at.seq = (uint64_t)ask(trio, PAYMENT_SVC, "SELECT seq FROM parked");
    codec_to_row(&event, data, &row);
    snprintf(sql, sizeof sql, "UPDATE parked SET raw=x'%s'",
             text_hex(raw, frame_row_write(&row, raw, sizeof raw), hex));
    edit(trio, PAYMENT_SVC, sql);
}

Test(shell, a_redriven_event_is_a_late_one)
{
    struct trio *trio = seeded();
    struct row poison = {.type = "StockReserved",
                         .version = 9,
                         .order_id = "o-9",
                         .data = (const uint8_t *)"\x80",
                         .data_bytes = 1};
    json_t *reply;

    trio_stop(trio, INVENTORY_SVC);
    plant(trio, INVENTORY_SVC, &poison);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    trio_run(trio, 1000);
    trio_stop(trio, PAYMENT_SVC);
    heal_parked(trio);
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_run(trio, 50);
    reply = trio_control(trio, PAYMENT_SVC,
                         "{\"do\":\"redrive\",\"source\":\"inventory\"}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "redriven")), 1);
    cr_assert_eq(json_integer_value(json_object_get(reply, "left")), 0);
    json_decref(reply);
    cr_assert_eq(ask(trio, PAYMENT_SVC,
                     "SELECT count(*) FROM event WHERE type='PaymentCharged' "
                     "AND cause_source='inventory' AND cause_seq>0"),
                 1);
    trio_close(trio);
}

/* What a control comes to: "redriven", "left" or "code"; -1: it is not there.
 */
static json_int_t told(struct trio *trio, unsigned service, const char *request,
                       const char *member)
{
    json_t *reply = trio_control(trio, service, request);
    json_t *value = json_object_get(reply, member);
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;

    json_decref(reply);
    return number;
}

static void park(struct trio *trio, const char *source, int seq,
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
    edit(trio, PAYMENT_SVC, sql);
}

/* Whatever has been parked; and only what the request names. */
Test(shell, a_redrive_is_for_what_it_names) /* HC37 */
{
    struct trio *trio = seeded();
    struct row listed = {.seq = 7,
                         .type = "ProductListed",
                         .version = 1,
                         .command_id = "p",
                         .data_bytes = 0};
    uint8_t data[DATA_MAX];
    struct event event = {.type = PRODUCT_LISTED,
                          .data = {.sku = "widget", .price_cents = 5}};

    codec_to_row(&event, data, &listed);
    trio_stop(trio, PAYMENT_SVC);
    park(trio, "order", 7, &listed); /* nobody's business any more */
    park(trio, "order", 8, &listed);
    park(trio, "inventory", 7, NULL); /* no row at all */
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_run(trio, 50);
    cr_assert_eq(told(trio, PAYMENT_SVC,
                      "{\"do\":\"redrive\",\"source\":\"payment\"}",
                      "redriven"),
                 0);
    cr_assert_eq(told(trio, PAYMENT_SVC,
                      "{\"do\":\"redrive\",\"source\":\"order\",\"seq\":9}",
                      "left"),
                 3);
    cr_assert_eq(
        told(trio, PAYMENT_SVC, "{\"do\":\"redrive\",\"seq\":7}", "redriven"),
        1);
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "redriven"),
                 1);
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "left"), 1);
    trio_close(trio);
}

Test(shell, a_control_that_cannot_be_done_says_why)
{
    struct trio *trio = seeded();
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
        cr_assert_eq(told(trio, PAYMENT_SVC, cases[i].request, "code"),
                     cases[i].code, "%s", cases[i].request);
    trio_stop(trio, PAYMENT_SVC);
    park(trio, "order", 7, NULL);
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_run(trio, 50);
    cr_assert_eq(sqlite3_open(trio->nodes[PAYMENT_SVC].path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"), 75);
    sqlite3_close(db);
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "left"), 1);
    edit(trio, PAYMENT_SVC, "UPDATE parked SET reason = printf('%.900c', 'x')");
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"), 74,
                 "a damaged row is no lock");
    trio_close(trio);
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
    struct trio *trio = seeded();
    struct shell *shell = trio->nodes[ORDER_SVC].shell;
    unsigned calls = 0;

    cr_assert_eq(told(trio, ORDER_SVC, "{\"get\":\"calls\"}", "code"), 65);
    shell->routes = routes;
    shell->routes_ctx = &calls;
    cr_assert_eq(told(trio, ORDER_SVC, "{\"get\":\"calls\"}", "calls"), 1);
    cr_assert_eq(told(trio, ORDER_SVC, "{\"do\":\"calls\"}", "code"), 65);
    cr_assert_eq(told(trio, ORDER_SVC, "{\"get\":\"else\"}", "code"), 65);
    cr_assert_eq(told(trio, ORDER_SVC, "{\"do\":\"redrive\"}", "redriven"), 0,
                 "the shell's own come first");
    cr_assert_eq(calls, 1);
    trio_close(trio);
}

/* Keeps a copy of a service's file, or puts it back; the service is down. */
static void copy_file(const char *from, const char *to)
{
    char command[400];

    snprintf(command, sizeof command, "rm -f %s-wal %s-shm; cp %s %s", to, to,
             from, to);
    cr_assert_eq(system(command), 0);
}

/* Started @after_ms after payment-svc, whose heartbeats may tell it first. */
static void fires_no_timer(unsigned after_ms)
{
    struct trio *trio = seeded();
    const char *path = trio->nodes[ORDER_SVC].path;
    char backup[160];
    struct shell_status before, after;

    snprintf(backup, sizeof backup, "%s.backup", path);
    trio_stop(trio, PAYMENT_SVC);
    place(trio, "o-1", 1);
    trio_run(trio, 1000);
    trio_stop(trio, ORDER_SVC);
    copy_file(path, backup);
    cr_assert_eq(trio_start(trio, ORDER_SVC), EVT_OK);
    trio_run(trio, 1000);
    place(trio, "o-2", 1);
    trio_run(trio, 1000);
    trio_stop(trio, ORDER_SVC);
    copy_file(backup, path);
    trio->mono_ms += 40000;
    trio->wall_ms += 40000;
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_run(trio, after_ms);
    cr_assert_eq(trio_start(trio, ORDER_SVC), EVT_OK);
    trio_status(trio, ORDER_SVC, &before);
    trio_run(trio, 3000);
    trio_status(trio, ORDER_SVC, &after);
    cr_expect_eq(after.mode, SHELL_BEHIND, "started %u ms later", after_ms);
    cr_expect_eq(after.head_seq, before.head_seq, "started %u ms later",
                 after_ms);
    trio_close(trio);
    unlink(backup);
}

/* The answer that tells it may be the last one that due timers wait for. */
Test(shell, a_restored_log_fires_no_timer_until_accepted) /* HC11 F21 */
{
    for (unsigned after_ms = 10; after_ms < 1010; after_ms += 125)
        fires_no_timer(after_ms);
}

Test(shell, a_restored_backup_stops_the_stream_until_accepted) /* HC11 F21 */
{
    struct trio *trio = seeded();
    struct command stock = {.type = RECEIVE_STOCK,
                            .command_id = "late",
                            .data = {.sku = "widget", .quantity = 1}};
    const char *path = trio->nodes[INVENTORY_SVC].path;
    char backup[160];
    struct shell_status status;
    json_t *reply;

    snprintf(backup, sizeof backup, "%s.backup", path);
    trio_stop(trio, INVENTORY_SVC);
    copy_file(path, backup);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    trio_run(trio, 100);
    place(trio, "o-1", 2);
    trio_run(trio, 1000);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    trio_stop(trio, INVENTORY_SVC);
    copy_file(backup, path);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    trio_run(trio, 3000);

    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert(status.subscriptions[1].diverged);
    cr_assert_eq(status.subscriptions[1].verdict, PULL_AHEAD);
    trio_status(trio, INVENTORY_SVC, &status);
    cr_assert_eq(status.mode, SHELL_BEHIND);
    cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code, ANSWER_BEHIND);

    reply = trio_control(trio, PAYMENT_SVC,
                         "{\"do\":\"accept\",\"source\":\"inventory\"}");
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    reply = trio_control(trio, ORDER_SVC,
                         "{\"do\":\"accept\",\"source\":\"inventory\"}");
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    trio_run(trio, 3000);
    cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code, ANSWER_DONE);
    place(trio, "o-2", 1);
    trio_run(trio, 1000);
    cr_assert_str_eq(trio_story(trio, "o-2"), HAPPY);
    trio_close(trio);
}

/* Asks as `saga` does: again, with what the answer adds, while it passes. */
static json_t *patiently(struct trio *trio, unsigned service,
                         const char *request)
{
    json_t *asked = json_loads(request, 0, NULL), *reply = NULL, *again;

    for (int times = 0; times < 200; times++) {
        char *text = json_dumps(asked, JSON_COMPACT);

        json_decref(reply);
        reply = trio_control(trio, service, text);
        free(text);
        again = json_object_get(reply, "again");
        if (again == NULL)
            break;
        json_object_update(asked, again);
        trio_run(trio, 10);
    }
    json_decref(asked);
    return reply;
}

/* An operator need not wait until a reader has noticed: it looks for itself,
 * and a log that is whole stays as it is. */
Test(shell, accept_looks_at_a_log_that_was_not_found_diverged_yet) /* HC11 */
{
    static const char accept[] = "{\"do\":\"accept\",\"source\":\"inventory\"}";
    struct trio *trio = seeded();
    const char *path = trio->nodes[INVENTORY_SVC].path;
    char backup[160];
    struct shell_status status;
    json_t *reply;

    snprintf(backup, sizeof backup, "%s.backup", path);
    trio_stop(trio, INVENTORY_SVC);
    copy_file(path, backup);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    trio_run(trio, 100);
    place(trio, "o-1", 2);
    trio_run(trio, 1000);
    reply = patiently(trio, PAYMENT_SVC, accept);
    cr_assert_eq(json_integer_value(json_object_get(reply, "code")), 1);
    json_decref(reply);
    trio_stop(trio, INVENTORY_SVC);
    copy_file(backup, path);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);

    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert_not(status.subscriptions[1].diverged, "nobody has noticed");
    reply = patiently(trio, PAYMENT_SVC, accept);
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    reply = patiently(trio, ORDER_SVC, accept);
    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
    trio_run(trio, 1000);
    trio_status(trio, INVENTORY_SVC, &status);
    cr_assert_not(status.mode == SHELL_BEHIND);
    trio_close(trio);
    unlink(backup);
}

/* One answer that does not chain may be noise: it takes two, and between them
 * nobody can say that the log has not diverged. */
Test(shell, accept_waits_for_the_second_look_at_an_edited_log) /* HC48 */
{
    struct command stock = {.type = RECEIVE_STOCK,
                            .command_id = "late",
                            .data = {.sku = "widget", .quantity = 1}};
    struct trio *trio = seeded();
    json_int_t code = 75;
    json_t *reply;

    trio_stop(trio, PAYMENT_SVC);
    cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code, ANSWER_DONE);
    trio_stop(trio, INVENTORY_SVC);
    edit(trio, INVENTORY_SVC,
         "DROP TRIGGER event_is_never_changed;"
         "UPDATE event SET command_id = 'edit' WHERE command_id = 'late'");
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    for (int i = 0; i < 50 && code == 75; i++) {
        reply = trio_control(
            trio, PAYMENT_SVC,
            "{\"do\":\"accept\",\"source\":\"inventory\",\"look\":1}");
        code = json_integer_value(json_object_get(reply, "code"));
        json_decref(reply); /* each control is a step, too */
    }
    cr_assert_eq(code, 0, "it is accepted, not found whole");
    trio_close(trio);
}

/* A service that has just started, and hears nobody yet, is asked again. */
Test(shell, a_redrive_right_after_a_start_says_that_this_passes)
{
    struct trio *trio = seeded();
    struct shell_status status;
    json_t *reply;

    for (unsigned s = 0; s < SERVICES; s++)
        trio_stop(trio, s);
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert(status.mode == SHELL_STARTING);
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"), 75);
    reply = patiently(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    cr_assert_eq(json_integer_value(json_object_get(reply, "left")), 0);
    cr_assert(json_is_array(json_object_get(reply, "events")));
    json_decref(reply);
    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert_not(status.mode == SHELL_STARTING);
    trio_close(trio);
}

Test(shell, another_log_in_a_publishers_place_is_not_consumed) /* HC11 F22 */
{
    struct trio *trio = seeded();
    struct shell_status status;
    struct command stock = {.type = RECEIVE_STOCK,
                            .command_id = "late",
                            .data = {.sku = "widget", .quantity = 1}};

    trio->nodes[PAYMENT_SVC].deaf = true;
    trio_stop(trio, INVENTORY_SVC);
    cr_assert_eq(unlink(trio->nodes[INVENTORY_SVC].path), 0);
    cr_assert_eq(trio_start(trio, INVENTORY_SVC), EVT_OK);
    trio_run(trio, 1000);
    cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code, ANSWER_DONE);
    trio_run(trio, 3000);
    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert(status.subscriptions[1].diverged);
    cr_assert_eq(status.subscriptions[1].verdict, PULL_OTHER_LOG);
    /* It has only been asked so far; which log it is, a heartbeat tells. */
    cr_assert_eq(told(trio, PAYMENT_SVC,
                      "{\"do\":\"accept\",\"source\":\"inventory\"}", "code"),
                 75);
    trio->nodes[PAYMENT_SVC].deaf = false;
    trio_run(trio, 1000);
    /* Accepted, it is read from its beginning. */
    cr_assert_eq(told(trio, PAYMENT_SVC,
                      "{\"do\":\"accept\",\"source\":\"inventory\"}", "seq"),
                 0);
    trio_run(trio, 1000);
    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert_not(status.subscriptions[1].diverged);
    trio_close(trio);
}

Test(shell, what_arrives_together_shares_one_commit)
{
    struct trio *trio = seeded();
    struct shell_status before, after;
    struct command commands[COMMANDS_PER_REQUEST];
    uint8_t message[MESSAGE_MAX];
    struct input input;

    for (int i = 0; i < COMMANDS_PER_REQUEST; i++) {
        char id[ID_BYTES];

        snprintf(id, sizeof id, "o-%d", i);
        commands[i] = trio_place(id, "alice", "widget", 1);
    }
    input =
        (struct input){INPUT_REQUEST, 1, message,
                       request_write(commands, COMMANDS_PER_REQUEST, message)};
    trio_status(trio, ORDER_SVC, &before);
    cr_assert_eq(shell_step(trio->nodes[ORDER_SVC].shell, &input, 1), EVT_OK);
    trio_status(trio, ORDER_SVC, &after);
    cr_assert_eq(after.commits, before.commits + 1);
    cr_assert_eq(after.appended, before.appended + COMMANDS_PER_REQUEST);
    trio_close(trio);
}

/* Five events of inventory that payment hears, and does not react to. */
static void receive_five(struct trio *trio)
{
    for (int i = 0; i < 5; i++) {
        struct command stock = {.type = RECEIVE_STOCK,
                                .data = {.sku = "widget", .quantity = 1}};

        snprintf(stock.command_id, sizeof stock.command_id, "s-%d", i);
        cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code,
                     ANSWER_DONE);
        cr_assert_eq(trio_step(trio, PAYMENT_SVC), EVT_OK);
    }
}

Test(shell, cursors_that_nothing_hangs_on_move_when_idle)
{
    struct trio *trio = seeded();
    struct shell_status before, after;

    trio_run(trio, 1000);
    trio_status(trio, PAYMENT_SVC, &before);
    receive_five(trio);
    trio_status(trio, PAYMENT_SVC, &after);
    cr_assert_eq(after.commits, before.commits);
    trio_run(trio, 1000);
    trio_status(trio, PAYMENT_SVC, &after);
    cr_assert_eq(after.commits, before.commits + 1);
    cr_assert_eq(ask(trio, PAYMENT_SVC,
                     "SELECT seq FROM inbox WHERE source='inventory'"),
                 ask(trio, INVENTORY_SVC, "SELECT max(seq) FROM event"));
    trio_close(trio);
}

Test(shell, cursors_that_nothing_hangs_on_move_under_load_too)
{
    struct trio *trio = seeded();
    struct shell_status before, after;

    trio_run(trio, 1000);
    trio_status(trio, PAYMENT_SVC, &before);
    for (int i = 0; i < 22; i++) { /* 1100 ms, and never idle */
        struct command stock = {.type = RECEIVE_STOCK,
                                .data = {.sku = "widget", .quantity = 1}};

        snprintf(stock.command_id, sizeof stock.command_id, "l-%d", i);
        cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code,
                     ANSWER_DONE);
        trio_run(trio, 50);
    }
    trio_status(trio, PAYMENT_SVC, &after);
    cr_assert_eq(after.commits, before.commits + 1);
    trio_close(trio);
}

Test(shell, what_nobody_here_reacts_to_leaves_no_gap) /* HC10 */
{
    struct trio *trio = seeded();
    struct shell_status before, after;
    const struct subscription *was = &before.subscriptions[0],
                              *is = &after.subscriptions[0];

    trio_run(trio, 1000);
    trio_status(trio, PAYMENT_SVC, &before);
    while (was < &before.subscriptions[before.subscription_count] &&
           strcmp(was->source, "inventory") != 0)
        was++, is++;
    cr_assert_lt(was - before.subscriptions,
                 (ptrdiff_t)before.subscription_count);
    receive_five(trio);
    trio_status(trio, PAYMENT_SVC, &after);
    cr_assert_eq(is->cursor.at.seq, was->cursor.at.seq + 5);
    cr_assert_eq(is->counts.events, was->counts.events + 5);
    cr_assert_eq(is->counts.gaps, was->counts.gaps);
    cr_assert_eq(is->counts.pulls, was->counts.pulls);
    trio_close(trio);
}

/* Follows the queued frames of subscription @from from event @last on; the
 * last. */
static uint64_t follow(const struct trio_node *node, uint64_t from,
                       uint64_t last)
{
    for (const struct trio_message *m = node->queue; m != NULL; m = m->next) {
        struct frame frame;

        if (m->input.kind != INPUT_FRAME || m->input.from != from)
            continue;
        cr_assert(frame_read(m->input.bytes, m->input.count, &frame));
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
    struct trio *trio = seeded();
    sqlite3 *db = store_connection(trio->nodes[INVENTORY_SVC].shell->store);
    const struct trio_node *reader = &trio->nodes[PAYMENT_SVC];
    struct shell_status status;
    uint64_t from = 0, last;

    while (strcmp(payment_service.listens_to[from], "inventory") != 0)
        from++;
    trio_run(trio, 1000);
    trio_lose(trio, PAYMENT_SVC);
    trio_status(trio, INVENTORY_SVC, &status);
    last = status.head_seq;
    for (int i = 0; i < 40; i++) { /* one batch for inventory */
        char id[ID_BYTES];

        snprintf(id, sizeof id, "o-%d", i);
        place(trio, id, 1);
    }
    sqlite3_exec(db, "PRAGMA max_page_count=1", NULL, NULL, NULL);
    cr_assert_eq(trio_step(trio, INVENTORY_SVC), EVT_OK);
    trio_status(trio, INVENTORY_SVC, &status);
    cr_assert_eq(status.mode, SHELL_FULL);
    cr_assert_eq(status.head_seq, last);
    cr_assert_eq(follow(reader, from, last), last);
    sqlite3_exec(db, "PRAGMA max_page_count=100000", NULL, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        trio->mono_ms += 1000;
        cr_assert_eq(trio_step(trio, INVENTORY_SVC), EVT_OK);
    }
    trio_status(trio, INVENTORY_SVC, &status);
    cr_assert_eq(status.head_seq, last + 40);
    cr_assert_eq(follow(reader, from, last), last + 40);
    trio_close(trio);
}

/* All states are folded anew after a restart: nothing is charged, reserved or
 * published again. */
Test(shell, a_replay_repeats_no_effect) /* HC41 */
{
    struct trio *trio = seeded();
    struct command funds = {.type = DEPOSIT_FUNDS,
                            .command_id = "d-1",
                            .data = {.customer = "alice", .amount_cents = 5}};
    struct shell_status before[SERVICES], after;

    place(trio, "o-1", 2);
    trio_run(trio, 1000);
    for (unsigned i = 0; i < SERVICES; i++) {
        trio_status(trio, i, &before[i]);
        trio_stop(trio, i);
        edit(trio, i, "DELETE FROM snapshot");
    }
    for (unsigned i = 0; i < SERVICES; i++)
        cr_assert_eq(trio_start(trio, i), EVT_OK);
    trio_run(trio, 1000);
    cr_assert_eq(trio_command(trio, PAYMENT_SVC, &funds).code, ANSWER_DONE);
    cr_assert_eq(cancel(trio, "o-1", "c-1").code, ANSWER_REFUSED);
    trio_run(trio, 3000);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    for (unsigned i = 0; i < SERVICES; i++) {
        uint64_t heard = 0;

        trio_status(trio, i, &after);
        cr_assert_eq(after.head_seq, before[i].head_seq + (i == PAYMENT_SVC));
        for (size_t f = 0; f < after.subscription_count; f++)
            heard += after.subscriptions[f].counts.events;
        cr_assert_eq(heard, i == PAYMENT_SVC ? 0 : 1, "%u heard %d", i,
                     (int)heard);
    }
    trio_close(trio);
}

Test(shell, a_cursor_that_cannot_be_saved_is_no_reason_to_spin)
{
    struct trio *trio = seeded();
    struct shell *shell = trio->nodes[PAYMENT_SVC].shell;
    struct command stock = {.type = RECEIVE_STOCK,
                            .command_id = "s-1",
                            .data = {.sku = "widget", .quantity = 1}};
    uint8_t hash[HASH_BYTES];

    trio_run(trio, 1000);
    cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code, ANSWER_DONE);
    cr_assert_eq(trio_step(trio, PAYMENT_SVC), EVT_OK);
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
    cr_assert_eq(trio_step(trio, PAYMENT_SVC), EVT_OK);
    cr_assert_eq(shell->mode, SHELL_BEHIND);
    cr_assert_eq(told(trio, PAYMENT_SVC, "{\"do\":\"redrive\"}", "code"), 75);
    trio->mono_ms += 150;
    cr_assert_eq(trio_step(trio, PAYMENT_SVC), EVT_OK);
    cr_assert_gt(shell_wake_ms(shell), trio->mono_ms);
    trio_close(trio);
}

Test(shell, a_long_account_is_loaded_from_its_snapshot) /* HC49 */
{
    struct trio *trio = seeded();
    struct shell_status status;

    for (int i = 0; i < SNAPSHOT_EVERY + 10; i++) {
        struct command funds = {
            .type = DEPOSIT_FUNDS,
            .data = {.customer = "alice", .amount_cents = 1}};

        snprintf(funds.command_id, sizeof funds.command_id, "d-%d", i);
        cr_assert_eq(trio_command(trio, PAYMENT_SVC, &funds).code, ANSWER_DONE);
        trio_run(trio, 10);
    }
    trio_status(trio, PAYMENT_SVC, &status);
    cr_assert_eq(status.snapshots, 1);
    trio_stop(trio, PAYMENT_SVC);
    cr_assert_eq(trio_start(trio, PAYMENT_SVC), EVT_OK);
    /* 1000.00 and 266 cents: an order for 50 widgets leaves 7.66 */
    place(trio, "o-1", 50);
    trio_run(trio, 2000);
    cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY);
    place(trio, "o-2", 1);
    trio_run(trio, 100);
    cr_assert_str_eq(trio_story(trio, "o-2"),
                     "OrderPlaced OrderCancelled StockReserved StockReleased "
                     "PaymentDeclined");
    trio_close(trio);
}

/* One life that ends by kill -9 at the given pass of a fault point. */
static bool dies_at(const char *directory, const char *point, unsigned after)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct trio *trio = trio_open(directory);

        trio_run(trio, 100);
        trio_seed(trio);
        trio_run(trio, 100);
        if (fault_set(point, after, 1, 100) != EVT_OK)
            _exit(2);
        place(trio, "o-1", 2);
        trio_run(trio, 200);
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
        struct command again = trio_place("o-1", "alice", "widget", 2);
        struct trio *trio;
        bool died;

        cr_assert_not_null(mkdtemp(directory));
        died = dies_at(directory, point, after);
        deaths += died;
        trio = trio_open(directory);
        trio_run(trio, 50);
        /* The client has no answer: it sends the command again. */
        cr_assert_eq(trio_command(trio, ORDER_SVC, &again).code, ANSWER_DONE);
        trio_run(trio, 4000);
        cr_assert_str_eq(trio_story(trio, "o-1"), HAPPY, "%s after %u: %s",
                         point, after, trio_story(trio, "o-1"));
        trio_close(trio);
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
