/* test_modes.c - what a service says while it cannot do everything: each mode
 * of write/modes.h, entered for real, and its answers to a command, to an
 * operator and in the status. */
#include "cluster.h"
#include "payment-svc/payment.h"
#include "shop/shop.h"
#include "write/shell_internal.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { PARKED = 200 };

static struct cluster *cluster;
static sqlite3 *outsider;

static struct command deposit_of(unsigned number)
{
    struct command command = {.type = DEPOSIT_FUNDS};

    *payload_in(command.data) =
        (struct payload){.customer = "alice", .amount_cents = 1};
    snprintf(command.command_id, ID_BYTES, "d-%u", number);
    return command;
}

static struct answer deposit(unsigned number)
{
    struct command command = deposit_of(number);

    return cluster_command(cluster, PAYMENT_SVC, &command);
}

static void run_sql(sqlite3 *db, const char *sql)
{
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s",
                 sql, sqlite3_errmsg(db));
}

/* Events that payment-svc would have charged for, had it understood them. */
static void park_many(void)
{
    struct event event = {.type = STOCK_RESERVED};
    uint8_t data[DATA_MAX], raw[4096];
    char sql[8400], hex[8193];
    struct row row;

    *payload_in(event.data) =
        (struct payload){.customer = "alice",
                         .total_cents = 1,
                         .line_count = 1,
                         .lines = {{.sku = "widget", .quantity = 1}}};
    for (unsigned i = 1; i <= PARKED; i++) {
        event.at.seq = i;
        snprintf(event.order_id, sizeof event.order_id, "o-%u", i);
        codec_to_row(&shop_domain, &event, data, &row);
        snprintf(sql, sizeof sql,
                 "INSERT INTO parked VALUES ('inventory', zeroblob(16), %u, "
                 "'%s', 'why', x'%s')",
                 i, event.order_id,
                 text_hex(raw, frame_row_write(&row, raw, sizeof raw), hex));
        run_sql(outsider, sql);
    }
}

static void nothing(void)
{
}

/* Nobody is there to say how far this log was read. */
static void be_starting(void)
{
    for (unsigned i = 0; i < SERVICES; i++)
        cluster_stop(cluster, i);
    cr_assert_eq(cluster_start(cluster, PAYMENT_SVC), EVT_OK);
}

static void fill_disk(void)
{
    unsigned number = 1000;

    run_sql(store_connection(cluster->writers[PAYMENT_SVC].shell->store),
            "PRAGMA max_page_count=1");
    while (deposit(number).code == ANSWER_DONE)
        cr_assert_lt(number++, 2000, "the disk does not become full");
}

static void make_room(void)
{
    run_sql(store_connection(cluster->writers[PAYMENT_SVC].shell->store),
            "PRAGMA max_page_count=100000");
}

static void lock(void)
{
    run_sql(outsider, "BEGIN IMMEDIATE");
    cr_assert_eq(deposit(1).code, ANSWER_BUSY);
}

static void unlock(void)
{
    run_sql(outsider, "COMMIT");
}

/* As if order-svc's reply had said that it has read more than there is. */
static void fall_behind(void)
{
    struct shell *shell = cluster->writers[PAYMENT_SVC].shell;
    struct subscription *sub = &shell->subscriptions[0];
    uint8_t hash[HASH_BYTES];

    cr_assert_eq(store_head(shell->store, &sub->on_us.at.seq, hash), EVT_OK);
    sub->on_us.at.seq++;
    memcpy(sub->on_us.at.log_id, store_log_id(shell->store), LOG_ID_BYTES);
    sub->owes_me = true;
    cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
}

static void be_accepted(void)
{
    cluster->writers[PAYMENT_SVC].shell->subscriptions[0].owes_me = false;
    cr_assert_eq(cluster_step(cluster, PAYMENT_SVC), EVT_OK);
}

static const struct {
    void (*enter)(void), (*end)(void);
    uint64_t over_ms; /* after its end it goes on for so long */
    enum answer_code code;
    int json_code; /* 0: redriven */
    const char *state;
} expected[] = {
    [SHELL_RUNNING] = {nothing, nothing, 0, ANSWER_DONE, 0, "running"},
    [SHELL_STARTING] = {be_starting, nothing, 500, ANSWER_BUSY, 75, "starting"},
    [SHELL_FULL] = {fill_disk, make_room, 500, ANSWER_FULL, 75, "storage full"},
    [SHELL_LOCKED] = {lock, unlock, 20, ANSWER_BUSY, 75, "database locked"},
    [SHELL_BEHIND] = {fall_behind, be_accepted, 0, ANSWER_BEHIND, 75,
                      "behind its readers"},
};

_Static_assert(sizeof expected / sizeof expected[0] == SHELL_MODES,
               "every mode is walked");

static void enter(enum shell_mode mode)
{
    struct shell_status status;

    cluster = cluster_open(NULL, 1);
    cluster_start_all(cluster, false);
    cluster_run(cluster, 100);
    cr_assert_eq(cluster_product(cluster, "widget", 1990).code, ANSWER_DONE);
    cr_assert_eq(cluster_fund(cluster, "alice", 100000).code, ANSWER_DONE);
    cluster_run(cluster, 1000);
    cr_assert_eq(sqlite3_open(cluster->writers[PAYMENT_SVC].path, &outsider),
                 SQLITE_OK);
    park_many();
    expected[mode].enter();
    cluster_status(cluster, PAYMENT_SVC, &status);
    cr_assert_str_eq(modes[status.mode].state, expected[mode].state);
}

static void leave(void)
{
    sqlite3_close(outsider);
    cluster_remove(cluster);
}

/* Refused for as long as the table says, and then decided. */
static void commands_in(enum shell_mode mode)
{
    struct answer answer;

    enter(mode);
    answer = deposit(2);
    cr_expect_eq(answer.code, expected[mode].code, "%s: %d",
                 expected[mode].state, (int)answer.code);
    cr_expect_str_eq(answer.reason, modes[mode].reason);
    expected[mode].end();
    if (expected[mode].over_ms > 0) {
        cluster->mono_ms += expected[mode].over_ms - 1;
        cr_expect_eq(deposit(2).code, expected[mode].code,
                     "%s is over too early", expected[mode].state);
        cluster->mono_ms++;
    }
    cr_expect_eq(deposit(2).code, ANSWER_DONE, "%s is not over",
                 expected[mode].state);
    leave();
}

static void controls_in(enum shell_mode mode)
{
    json_t *reply;
    int code;

    enter(mode);
    reply = cluster_control(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    code = (int)json_integer_value(json_object_get(reply, "code"));
    cr_expect_eq(code, expected[mode].json_code, "%s: %d", expected[mode].state,
                 code);
    if (expected[mode].json_code == 0)
        cr_expect_eq(json_integer_value(json_object_get(reply, "redriven")),
                     PARKED);
    else
        cr_expect_str_eq(json_string_value(json_object_get(reply, "error")),
                         modes[mode].json_error);
    cr_expect_eq(json_object_get(reply, "again") != NULL, modes[mode].passes,
                 "%s", expected[mode].state);
    json_decref(reply);
    leave();
}

Test(modes, commands_are_answered_as_the_table_says)
{
    for (int mode = 0; mode < SHELL_MODES; mode++)
        commands_in((enum shell_mode)mode);
}

Test(modes, controls_are_answered_as_the_table_says)
{
    for (int mode = 0; mode < SHELL_MODES; mode++)
        controls_in((enum shell_mode)mode);
}

/* Room for some of them only. */
Test(modes, what_was_redriven_before_the_disk_was_full_is_told)
{
    const char *state = modes[SHELL_FULL].state;
    json_int_t redriven, left;
    json_t *reply;

    enter(SHELL_RUNNING);
    run_sql(store_connection(cluster->writers[PAYMENT_SVC].shell->store),
            "PRAGMA max_page_count=1");
    reply = cluster_control(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    redriven = json_integer_value(json_object_get(reply, "redriven"));
    left = json_integer_value(json_object_get(reply, "left"));
    cr_expect_gt(redriven, 0);
    cr_expect_gt(left, 0);
    cr_expect_eq(redriven + left, PARKED);
    cr_expect_eq((json_int_t)json_array_size(json_object_get(reply, "events")),
                 redriven);
    cr_expect_str_eq(json_string_value(json_object_get(reply, "stopped")),
                     state);
    json_decref(reply);
    make_room();
    cluster->mono_ms += 1000;
    reply = cluster_control(cluster, PAYMENT_SVC, "{\"do\":\"redrive\"}");
    cr_expect_eq(json_integer_value(json_object_get(reply, "redriven")), left);
    cr_expect_null(json_object_get(reply, "stopped"));
    json_decref(reply);
    leave();
}

/* What was recorded is answered as the first time, whether the batch fails or
 * is turned away; what was not is not. */
static void repeats_in(enum shell_mode mode)
{
    struct command commands[4];
    struct answer answers[COMMANDS_PER_REQUEST];
    struct answer first;

    cluster = cluster_open(NULL, 1);
    cluster_start_all(cluster, false);
    cluster_run(cluster, 100);
    cr_assert_eq(sqlite3_open(cluster->writers[PAYMENT_SVC].path, &outsider),
                 SQLITE_OK);
    for (unsigned i = 0; i < 4; i++)
        commands[i] = deposit_of(i == 3 ? 77777 : 500 + i);
    first = cluster_command(cluster, PAYMENT_SVC, &commands[2]);
    cr_assert_eq(first.code, ANSWER_DONE);
    expected[mode].enter(); /* which commits nothing of 500, 501 and 77777 */
    cluster->mono_ms += 1000;
    for (int round = 0; round < 2; round++) { /* fails; is turned away */
        cluster_request(cluster, PAYMENT_SVC, commands, 4, answers);
        for (unsigned i = 0; i < 4; i++)
            cr_expect_eq(answers[i].code,
                         i == 2 ? ANSWER_DONE : expected[mode].code,
                         "%s, round %d, %u: %d", expected[mode].state, round, i,
                         (int)answers[i].code);
        cr_expect_eq(answers[2].at.seq, first.at.seq);
        cr_expect_str_eq(answers[2].reason, "");
    }
    expected[mode].end();
    cluster->mono_ms += 1000;
    cluster_request(cluster, PAYMENT_SVC, commands, 4, answers);
    for (unsigned i = 0; i < 4; i++)
        cr_expect_eq(answers[i].code, ANSWER_DONE);
    leave();
}

Test(modes, a_command_that_is_recorded_is_answered_so_while_the_disk_is_full)
{
    repeats_in(SHELL_FULL);
}

Test(modes, a_command_that_is_recorded_is_answered_so_while_it_is_locked)
{
    repeats_in(SHELL_LOCKED);
}

/* Full, then locked, then neither; behind outlasts a commit. */
Test(modes, one_follows_another)
{
    struct shell *shell;

    enter(SHELL_FULL);
    shell = cluster->writers[PAYMENT_SVC].shell;
    run_sql(outsider, "BEGIN IMMEDIATE");
    cluster->mono_ms += 500;
    cr_assert_eq(deposit(2).code, ANSWER_BUSY);
    cr_assert_eq(shell->mode, SHELL_LOCKED);
    unlock();
    make_room();
    cluster->mono_ms += 20;
    cr_assert_eq(deposit(2).code, ANSWER_DONE);
    cr_assert_eq(shell->mode, SHELL_RUNNING);
    fall_behind();
    cr_assert_eq(shell_begin(shell), EVT_OK);
    cr_assert_eq(shell_commit(shell), EVT_OK);
    cr_assert_eq(shell->mode, SHELL_BEHIND);
    be_accepted();
    cr_assert_eq(shell->mode, SHELL_RUNNING);
    leave();
}
