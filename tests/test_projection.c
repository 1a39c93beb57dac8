/* test_projection.c - the read side as a whole, on real logs and files, with
 * a simulated clock and bus: the order view, folded from three logs that the
 * test writes itself. */
#include "base/fault.h"
#include "cluster.h"
#include "order-svc/order.h"
#include "read/projection_internal.h"
#include "read/pull_answer.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- three logs, one reader, and the bus between them -------------------- */

enum { ORDER, INVENTORY, PAYMENT, TOKENS = 512 };

static char why[STORE_WHY_BYTES];
static struct cluster *cluster;
static struct cluster_node *node; /* where the reader runs */
static struct store *logs[SERVICES];
static bool away[SERVICES]; /* answers no pull */
static struct view view;    /* the order view, or a spoiled copy */
static struct projection *reader;
static bool alone;              /* a read side without a log */
static json_t *answers[TOKENS]; /* by token */
static size_t raw_answers, pulls[2 * SERVICES];
static struct pull_reply raw_reply;
static uint8_t raw_bytes[MESSAGE_MAX];

static void answer_pull(uint64_t to, const void *bytes, size_t count)
{
    static uint8_t reply[MESSAGE_MAX];
    struct pull pull;
    size_t size = 0;

    pulls[to]++;
    cr_assert(pull_read(bytes, count, &pull));
    cr_assert_str_eq(pull.source, shop_services[to % SERVICES]);
    if (away[to % SERVICES])
        return;
    cr_assert_eq(pull_answer(logs[to % SERVICES], &pull, reply, &size), EVT_OK);
    cluster_give(node, INPUT_REPLY, to, reply, size);
}

static bool take_sent(void *ctx, enum channel channel, uint64_t to,
                      const void *bytes, size_t count)
{
    (void)ctx;
    cr_assert_leq(count, MESSAGE_MAX);
    if (channel == TO_PUBLISHER) {
        answer_pull(to, bytes, count);
    } else if (*(const char *)bytes == '{') {
        cr_assert_null(answers[to], "token %d answered twice", (int)to);
        answers[to] = json_loadb(bytes, count, 0, NULL);
        cr_assert_not_null(answers[to]);
    } else {
        memcpy(raw_bytes, bytes, count);
        cr_assert(pull_reply_read(raw_bytes, count, &raw_reply));
        raw_answers++;
    }
    return false;
}

static const char *path_of(const char *name)
{
    static char path[320];

    snprintf(path, sizeof path, "%s/%s", cluster->directory, name);
    return path;
}

static void open_log(int log, uint8_t identity)
{
    uint8_t log_id[LOG_ID_BYTES];
    char name[32];

    memset(log_id, identity, sizeof log_id);
    snprintf(name, sizeof name, "%s.db", shop_services[log]);
    store_close(logs[log]);
    cr_assert_eq(store_open(path_of(name), shop_services[log], NULL, log_id,
                            &logs[log], why),
                 EVT_OK, "%s", why);
}

static void open_reader(void)
{
    static struct projection_config config;
    static char log_path[320];

    snprintf(log_path, sizeof log_path, "%s", path_of("order.db"));
    config = (struct projection_config){
        .service = "order",
        .log_path = alone ? NULL : log_path,
        .directory = cluster->directory,
    };
    cr_assert_eq(projection_open(&view, &node->env, &config, &reader, why),
                 EVT_OK, "%s", why);
    node->reader = reader;
}

static void set_up(void)
{
    cluster = cluster_open(NULL, 1);
    cluster_pass(cluster, 100000);
    cluster->sent = take_sent;
    node = &cluster->readers[ORDER];
    view = order_view;
    for (int i = 0; i < SERVICES; i++)
        open_log(i, (uint8_t)('a' + i));
}

static void tear_down(void)
{
    for (int i = 0; i < SERVICES; i++)
        store_close(logs[i]);
    for (int i = 0; i < TOKENS; i++)
        json_decref(answers[i]);
    cluster_remove(cluster);
}

TestSuite(projection, .init = set_up, .fini = tear_down);

/* ---- what tests do ------------------------------------------------------- */

static void append(int log, unsigned type, const char *order_id)
{
    struct event event = {.type = type, .time_ms = cluster->wall_ms};
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    struct row row;

    text_copy(event.order_id, sizeof event.order_id, order_id);
    snprintf(event.cause.command_id, ID_BYTES, "%d-%.30s", (int)type, order_id);
    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "alice");
    payload_in(event.data)->line_count = 1;
    text_copy(payload_in(event.data)->lines[0].sku, SKU_BYTES, "widget");
    payload_in(event.data)->lines[0].quantity = 1;
    payload_in(event.data)->lines[0].price_cents = 1990;
    payload_in(event.data)->total_cents = payload_in(event.data)->amount_cents =
        1990;
    codec_trim(&shop_domain, shop_message(type), event.data);
    cr_assert_eq(store_append(logs[log], &shop_domain, 1u << TAG_ORDER, &event,
                              data, &row, hash),
                 EVT_OK, "%s", store_error(logs[log]));
}

/* Appends whole sagas, o-@first to o-@last. */
static void sagas(int first, int last)
{
    for (int i = 0; i < SERVICES; i++)
        cr_assert_eq(store_begin(logs[i]), EVT_OK);
    for (int i = first; i <= last; i++) {
        char order_id[ID_BYTES];

        snprintf(order_id, sizeof order_id, "o-%d", i);
        append(ORDER, ORDER_PLACED, order_id);
        append(INVENTORY, STOCK_RESERVED, order_id);
        append(PAYMENT, PAYMENT_CHARGED, order_id);
        append(ORDER, ORDER_CONFIRMED, order_id);
        append(INVENTORY, STOCK_SHIPPED, order_id);
    }
    for (int i = 0; i < SERVICES; i++)
        cr_assert_eq(store_commit(logs[i]), EVT_OK);
}

static void one(int log, unsigned type, const char *order_id)
{
    cr_assert_eq(store_begin(logs[log]), EVT_OK);
    append(log, type, order_id);
    cr_assert_eq(store_commit(logs[log]), EVT_OK);
}

static uint64_t head(int log)
{
    uint8_t hash[HASH_BYTES];
    uint64_t seq = 0;

    cr_assert_eq(store_head(logs[log], &seq, hash), EVT_OK);
    return seq;
}

/* Queues a frame of a log's events @first to @last, as PUB would carry it; a
 * heartbeat when @last < @first. */
static void publish(int log, uint64_t first, uint64_t last)
{
    static struct frame_writer frame;
    static uint8_t message[MESSAGE_MAX];
    uint8_t hash[HASH_BYTES];
    struct row row;

    cr_assert_eq(store_hash_at(logs[log], first - 1, hash), EVT_OK);
    frame_begin(&frame, shop_services[log], store_log_id(logs[log]), first - 1,
                hash);
    cr_assert_eq(store_scan(logs[log], NULL, first - 1, last), EVT_OK);
    while (store_next(logs[log], &row, hash) == EVT_OK)
        cr_assert(frame_add(&frame, &row, hash));
    store_scan_end(logs[log]);
    cluster_give(node, INPUT_FRAME, (uint64_t)log, message,
                 frame_finish(&frame, message));
}

static enum evt_status step(void)
{
    return cluster_step_node(node);
}

/* Steps until there is nothing left to do now. */
static void settle(void)
{
    int steps = 0;

    do {
        cr_assert_eq(step(), EVT_OK, "%s", projection_error(reader));
        cr_assert_lt(++steps, 10000, "it never comes to rest");
    } while (node->queue.count > 0 ||
             projection_wake_ms(reader) <= cluster->mono_ms);
}

/* Lets the clock run for @ms, stopping where the reader wants to be woken. */
static void pass_ms(uint64_t ms)
{
    uint64_t end = cluster->mono_ms + ms;

    for (;;) {
        uint64_t wake;

        settle();
        wake = projection_wake_ms(reader);
        if (wake > end)
            break;
        cluster_pass(cluster, wake - cluster->mono_ms);
    }
    cluster_pass(cluster, end - cluster->mono_ms);
    settle();
}

static void ask(uint64_t token, const char *request)
{
    cluster_give(node, INPUT_REQUEST, token, request, strlen(request));
}

/* The answer so far; NULL: still waiting. */
static json_t *answer_to(const char *request)
{
    static uint64_t token = TOKENS;

    token--;
    ask(token, request);
    settle();
    return answers[token];
}

static int64_t number(const json_t *json, const char *path)
{
    char name[32];
    int used = 0;

    while (sscanf(path, "%31[^.]%n", name, &used) == 1) {
        json = json_object_get(json, name);
        path += used;
        path += *path == '.';
    }
    return json_is_integer(json) ? json_integer_value(json) : -1;
}

static const char *word(const json_t *json, const char *object,
                        const char *name)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(json, object), name));

    return text != NULL ? text : "(none)";
}

static json_t *status(void)
{
    return answer_to("{\"get\":\"status\"}");
}

/* How many entries the timelines of all orders have. */
#define ENTRIES                                                                \
    "SELECT ifnull(sum(json_array_length('[' || rtrim(order_timeline ||"       \
    " inventory_timeline || payment_timeline, ',') || ']')), 0) FROM orders"

/* One number from the view's file, through a connection of its own. */
static int64_t sql_number(const char *sql)
{
    sqlite3 *file = NULL;
    sqlite3_stmt *row = NULL;
    int64_t value;

    cr_assert_eq(sqlite3_open(path_of("view.db"), &file), 0);
    cr_assert_eq(sqlite3_prepare_v2(file, sql, -1, &row, NULL), 0, "%s: %s",
                 sql, sqlite3_errmsg(file));
    cr_assert_eq(sqlite3_step(row), SQLITE_ROW);
    value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(file);
    return value;
}

static void edit(const char *sql)
{
    sqlite3 *file = NULL;

    cr_assert_eq(sqlite3_open(path_of("view.db"), &file), 0);
    cr_assert_eq(sqlite3_exec(file, sql, NULL, NULL, NULL), 0, "%s",
                 sqlite3_errmsg(file));
    sqlite3_close(file);
}

static bool exists(const char *name)
{
    struct stat info;

    return stat(path_of(name), &info) == 0;
}

/* ---- consuming ----------------------------------------------------------- */

/* HC12 */
Test(projection, a_new_view_reads_whole_logs_by_pulls_alone)
{
    sagas(1, 700);
    open_reader();
    settle();
    cr_assert_eq(sql_number("SELECT count(*) FROM orders WHERE status ="
                            " 'CONFIRMED' AND stock = 'SHIPPED' AND"
                            " payment = 'CHARGED' AND events = 5"),
                 700);
    cr_assert_eq(sql_number("SELECT seq FROM position WHERE source = 'order'"),
                 1400);
    cr_assert_eq(number(status(), "view.lag"), 0);
}

Test(projection, a_frame_is_folded_without_a_pull)
{
    size_t before;

    open_reader();
    settle();
    before = pulls[ORDER];
    one(ORDER, ORDER_PLACED, "o-1");
    publish(ORDER, 1, 1);
    settle();
    cr_assert_eq(number(answer_to("{\"get\":\"order\",\"order\":\"o-1\"}"),
                        "order.events"),
                 1);
    cr_assert_eq(pulls[ORDER], before);
}

/* HC2, HC4, HC13 */
Test(projection, lost_and_repeated_frames_change_nothing) /* F32 F33 */
{
    open_reader();
    settle();
    sagas(1, 5);
    publish(ORDER, 1, 3);
    publish(ORDER, 8, 10); /* 4 to 7 are lost */
    publish(ORDER, 2, 6);
    publish(ORDER, 1, 10);
    publish(INVENTORY, 10, 10);
    publish(PAYMENT, 6, 5); /* a heartbeat gives its head away: HC3 */
    settle();
    publish(ORDER, 1, 10);
    settle();
    cr_assert_eq(sql_number(ENTRIES), 25);
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 25);
    cr_assert_eq(sql_number("SELECT sum(seq) FROM position"), 25);
}

Test(projection, noise_on_the_bus_is_counted_and_dropped) /* F34 */
{
    open_reader();
    sagas(1, 1);
    cluster_give(node, INPUT_FRAME, ORDER, "noise", 5);
    cluster_give(node, INPUT_REPLY, PAYMENT, "\x93", 1);
    cluster_give(node, INPUT_REPLY, SERVICES + PAYMENT, "\x93",
                 1); /* no rebuild */
    cluster_give(node, INPUT_CONNECTED, INVENTORY, "", 0);
    settle();
    cr_assert_eq(sql_number(ENTRIES), 5);
}

Test(projection, after_a_restart_it_goes_on_from_its_position)
{
    sagas(1, 10);
    open_reader();
    settle();
    projection_close(reader);
    sagas(11, 11);
    open_reader();
    settle();
    cr_assert_eq(number(status(), "view.counts.events"), 5);
    cr_assert_eq(number(status(), "view.generation"), 1);
    cr_assert_eq(sql_number(ENTRIES), 55);
}

/* ---- rows and position move together ------------------------------------- */

static unsigned fail_at, project_calls;

static enum evt_status failing_project(struct view_db *db,
                                       const struct event *event)
{
    if (++project_calls == fail_at)
        return EVT_FULL;
    return order_view.project(db, event);
}

/* HC44, HC50 */
Test(projection, a_full_disk_takes_rows_and_position_back_and_passes) /* F18 */
{
    json_t *answer;

    view.project = failing_project;
    fail_at = 7;
    sagas(1, 4);
    away[INVENTORY] = away[PAYMENT] = true;
    open_reader();
    settle();
    cr_assert_eq(sql_number(ENTRIES), 0);
    cr_assert_eq(sql_number("SELECT count(*) FROM position"), 0);
    answer = status();
    cr_assert_str_eq(word(answer, "view", "trouble"), "storage full");
    answer = answer_to("{\"get\":\"orders\"}");
    cr_assert_eq(json_array_size(json_object_get(answer, "orders")), 0);
    publish(ORDER, 1, 8); /* not the time to try again */
    settle();
    cr_assert_eq(project_calls, 7);

    pass_ms(VIEW_RETRY_MS);
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 8);
    cr_assert_eq(sql_number("SELECT seq FROM position"), 8);
    cr_assert_str_eq(word(status(), "view", "trouble"), "");
}

/* HC54 */
Test(projection, a_locked_view_is_tried_again) /* F24 real */
{
    sqlite3 *outsider = NULL;

    open_reader();
    settle();
    cr_assert_eq(sqlite3_open(path_of("view.db"), &outsider), 0);
    cr_assert_eq(sqlite3_exec(outsider, "BEGIN IMMEDIATE", 0, 0, 0), 0);
    sagas(1, 1);
    publish(ORDER, 1, 2);
    settle();
    cr_assert_str_eq(word(status(), "view", "trouble"), "database locked");
    sqlite3_close(outsider);
    pass_ms(PULL_IDLE_MS + VIEW_RETRY_MS);
    cr_assert_eq(sql_number("SELECT sum(seq) FROM position"), 5);
    cr_assert_str_eq(word(status(), "view", "trouble"), "");
}

/* Runs a reader in a child that the fault @point kills at its @nth pass: after
 * the start, or (@request not NULL) after it was up to date and was asked. */
static void crash_at(const char *point, unsigned nth, const char *request)
{
    int how = 0;
    pid_t child;

    for (int i = 0; i < SERVICES; i++) {
        store_close(logs[i]); /* no connection crosses a fork */
        logs[i] = NULL;
    }
    child = fork();
    if (child == 0) {
        for (int i = 0; i < SERVICES; i++)
            open_log(i, 0);
        fault_open(true);
        open_reader();
        if (request != NULL) {
            settle();
            ask(1, request);
        }
        if (fault_set(point, nth, 1, 100) == EVT_OK)
            settle();
        _exit(1);
    }
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL, "%s: %x", point,
              (unsigned)how);
    for (int i = 0; i < SERVICES; i++)
        open_log(i, 0);
}

/* HC44, HC52 */
Test(projection,
     killed_at_any_commit_it_holds_a_prefix_of_the_logs) /* F02 real */
{
    static const char *const points[] = {"crash/read-before-commit",
                                         "crash/read-after-commit"};
    enum { SAGAS = 3 * VIEW_BATCH_MAX / 5 }; /* more than two commits */
    int64_t reached = 0;

    sagas(1, SAGAS);
    for (unsigned i = 0; i < 4; i++) {
        crash_at(points[i % 2], i / 2, NULL);
        cr_assert_eq(sql_number(ENTRIES),
                     sql_number("SELECT ifnull(sum(seq), 0) FROM position"));
        cr_assert_eq(sql_number("SELECT ifnull(sum(events), 0) FROM orders"),
                     sql_number(ENTRIES));
        cr_assert_geq(sql_number(ENTRIES), reached);
        reached = sql_number(ENTRIES);
    }
    cr_assert_gt(reached, 0);
    open_reader();
    settle();
    cr_assert_eq(sql_number(ENTRIES), 5 * SAGAS);
}

/* ---- events that cannot be read ------------------------------------------ */

/* Writes a row past the store, which would refuse it. */
static void append_raw(int log, const char *type, uint32_t version,
                       const char *data)
{
    struct row row = {.seq = head(log) + 1,
                      .version = version,
                      .order_id = "o-1",
                      .time_ms = 5,
                      .data = (const uint8_t *)data,
                      .data_bytes = (uint32_t)strlen(data)};
    uint8_t hash[HASH_BYTES];
    sqlite3_stmt *insert = NULL;

    text_copy(row.type, sizeof row.type, type);
    cr_assert_eq(store_hash_at(logs[log], row.seq - 1, hash), EVT_OK);
    event_hash(hash, &row, hash);
    cr_assert_eq(
        sqlite3_prepare_v2(store_connection(logs[log]),
                           "INSERT INTO event (seq, type, version, order_id,"
                           " time_ms, cause_source, cause_log, cause_seq,"
                           " command_id, data, hash)"
                           " VALUES (?, ?, ?, 'o-1', 5, '', x'', 0, '', ?, ?)",
                           -1, &insert, NULL),
        0);
    sqlite3_bind_int64(insert, 1, (int64_t)row.seq);
    sqlite3_bind_text(insert, 2, type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 3, version);
    sqlite3_bind_blob(insert, 4, data, (int)row.data_bytes, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 5, hash, HASH_BYTES, SQLITE_STATIC);
    cr_assert_eq(sqlite3_step(insert), SQLITE_DONE);
    sqlite3_finalize(insert);
    open_log(log, 0); /* a writer has its head in memory */
}

/* HC20, HC37 */
Test(projection, what_cannot_be_read_is_passed_over_and_said)
{
    json_t *answer;

    one(ORDER, ORDER_PLACED, "o-1");
    append_raw(ORDER, "OrderConfirmed", 9, "\x80");
    append_raw(ORDER, "OrderCancelled", 1, "\xa1x");
    append_raw(ORDER, "OrderAdmired", 1, "\x80"); /* somebody else's */
    one(ORDER, ORDER_CONFIRMED, "o-1");
    open_reader();
    settle();
    answer = status();
    cr_assert_eq(number(answer, "view.positions.order.seq"), 5);
    cr_assert_eq(number(answer, "view.counts.skipped"), 2);
    cr_assert_eq(number(answer, "view.counts.ignored"), 1);
    cr_assert_not_null(strstr(word(answer, "view", "trouble"),
                              "order/2 cannot be read: OrderConfirmed"));
    cr_assert_not_null(strstr(word(answer, "view", "trouble"), "(and 1 more)"));
    cr_assert_str_eq(word(answer_to("{\"get\":\"order\",\"order\":\"o-1\"}"),
                          "order", "status"),
                     "CONFIRMED");

    projection_close(reader); /* it is not forgotten */
    open_reader();
    settle();
    cr_assert_not_null(
        strstr(word(status(), "view", "trouble"), "order/2 cannot be read"));
}

/* ---- reading your own writes --------------------------------------------- */

static const char *after(int log, uint64_t seq, const char *more)
{
    static char request[512];
    char hex[2 * LOG_ID_BYTES + 1];

    snprintf(request, sizeof request,
             "{\"get\":\"order\",\"order\":\"o-1\",\"after\":[{\"service\":"
             "\"%s\",\"log\":\"%s\",\"seq\":%d}]%s}",
             shop_services[log],
             text_hex(store_log_id(logs[log]), LOG_ID_BYTES, hex), (int)seq,
             more);
    return request;
}

/* HC46 */
Test(projection, a_query_waits_for_the_position_it_names)
{
    json_t *answer;

    open_reader();
    settle();
    one(ORDER, ORDER_PLACED, "o-1");
    ask(1, after(ORDER, 1, ""));
    settle();
    cr_assert_null(answers[1]);
    publish(ORDER, 1, 1);
    settle();
    cr_assert_str_eq(word(answers[1], "order", "status"), "PENDING");
    cr_assert_eq(number(answers[1], "as_of.order"), 1);
    cr_assert_eq(number(answers[1], "as_of.payment"), 0);
    answer = answer_to(after(ORDER, 1, "")); /* now at once */
    cr_assert_str_eq(word(answer, "order", "status"), "PENDING");
}

/* HC46 */
Test(projection, a_query_that_waits_too_long_is_told_where_the_view_is)
{
    sagas(1, 2);
    open_reader();
    settle();
    ask(1, after(ORDER, 9, ",\"timeout_ms\":700"));
    ask(2, after(ORDER, 9, ""));
    ask(3, after(ORDER, 9, ",\"timeout_ms\":0"));
    settle();
    cr_assert_eq(number(answers[3], "code"), 75);
    pass_ms(699);
    cr_assert_null(answers[1]);
    pass_ms(1);
    cr_assert_eq(number(answers[1], "code"), 75);
    cr_assert_str_eq(json_string_value(json_object_get(answers[1], "error")),
                     "the order view has not reached order/9 yet (at 4)");
    pass_ms(WAIT_MS_DEFAULT - 701);
    cr_assert_null(answers[2]);
    pass_ms(1);
    cr_assert_eq(number(answers[2], "code"), 75);
}

/* HC46 */
Test(projection, a_query_waits_for_the_end_of_its_saga)
{
    open_reader();
    one(ORDER, ORDER_PLACED, "o-1");
    settle();
    ask(1, after(ORDER, 1, ",\"until\":\"ended\""));
    ask(2, "{\"get\":\"order\",\"order\":\"o-9\",\"until\":\"ended\"}");
    ask(3, after(ORDER, 1, ",\"until\":\"ended\",\"timeout_ms\":100"));
    settle();
    cr_assert_null(answers[1]);
    cr_assert_eq(number(answers[2], "code"), 66);
    pass_ms(100);
    cr_assert_eq(number(answers[3], "code"), 75);
    one(ORDER, ORDER_PLACED, "o-2");
    one(ORDER, ORDER_CONFIRMED, "o-1");
    publish(ORDER, 2, 3);
    settle();
    cr_assert_null(answers[1]);
    one(INVENTORY, STOCK_SHIPPED, "o-1");
    publish(INVENTORY, 1, 1);
    settle();
    cr_assert_null(answers[1]);
    one(PAYMENT, PAYMENT_CHARGED, "o-1");
    publish(PAYMENT, 1, 1);
    settle();
    cr_assert(json_is_true(json_object_get(answers[1], "ended")));
}

Test(projection, only_so_many_may_wait)
{
    open_reader();
    settle();
    for (uint64_t token = 1; token <= WAITING_MAX + 1; token++)
        ask(token, after(ORDER, 1, ""));
    settle();
    cr_assert_null(answers[1]);
    cr_assert_null(answers[WAITING_MAX]);
    cr_assert_eq(number(answers[WAITING_MAX + 1], "code"), 75);
    one(ORDER, ORDER_PLACED, "o-1");
    publish(ORDER, 1, 1);
    settle();
    for (uint64_t token = 1; token <= WAITING_MAX; token++)
        cr_assert_str_eq(word(answers[token], "order", "status"), "PENDING");
}

static uint64_t asked; /* how often the view was */

static json_t *counted_query(struct view_db *db, const json_t *request)
{
    asked++;
    return order_view.query(db, request);
}

/* As many wait as can, each for the end of its order: events of others ask the
 * view nothing, one of theirs asks it once. */
Test(projection, those_who_wait_cost_nothing_until_it_is_about_them)
{
    char id[16];

    view.query = counted_query;
    open_reader();
    settle();
    for (int i = 1; i <= WAITING_MAX; i++) {
        snprintf(id, sizeof id, "o-%d", i);
        one(ORDER, ORDER_PLACED, id);
    }
    publish(ORDER, 1, WAITING_MAX);
    settle();
    for (int i = 1; i <= WAITING_MAX; i++) {
        char request[80];

        snprintf(request, sizeof request,
                 "{\"get\":\"order\",\"order\":\"o-%d\",\"until\":\"ended\"}",
                 i);
        ask((uint64_t)i, request);
    }
    settle();
    cr_assert_eq(asked, WAITING_MAX, "when it comes, each is asked for");
    for (int i = 1; i <= 300; i++) {
        snprintf(id, sizeof id, "other-%d", i);
        one(ORDER, ORDER_PLACED, id);
        publish(ORDER, WAITING_MAX + (uint64_t)i, WAITING_MAX + (uint64_t)i);
        settle();
    }
    cr_assert_eq(asked, WAITING_MAX, "300 steps about others");
    one(INVENTORY, STOCK_RESERVED, "o-7");
    publish(INVENTORY, 1, 1);
    settle();
    cr_assert_eq(asked, WAITING_MAX + 1, "one about one of them");
    cr_assert_null(answers[7]);
}

/* ---- rebuilding ---------------------------------------------------------- */

static bool tells(const json_t *differences, const char *part)
{
    size_t i;
    json_t *text;

    json_array_foreach(differences, i,
                       text) if (strstr(json_string_value(text), part) !=
                                 NULL) return true;
    return false;
}

/* HC47 */
Test(projection, a_rebuild_swaps_while_events_arrive_and_tells_what_differed)
{
    json_t *differences;
    int order = 600;
    uint64_t first;

    sagas(1, order);
    open_reader();
    settle();
    edit("UPDATE orders SET status = 'PENDING', total_cents = 1"
         " WHERE order_id = 'o-7';"
         "UPDATE orders SET payment_timeline = '' WHERE order_id = 'o-8';"
         "INSERT INTO orders SELECT 'o-x', status, customer, total_cents,"
         " lines_json, reason, placed_ms, placed_seq, stock, payment, ended_ms,"
         " 1, '', '', '' FROM orders WHERE order_id = 'o-8'");
    ask(1, "{\"do\":\"rebuild\"}");
    while (answers[1] == NULL && order < 1000) {
        first = head(ORDER) + 1;
        order++;
        sagas(order, order);
        publish(ORDER, first, first + 1);
        cr_assert_eq(step(), EVT_OK);
        if (answers[1] == NULL) { /* the old one serves */
            json_t *answer = NULL;

            ask(2, "{\"get\":\"order\",\"order\":\"o-7\"}");
            cr_assert_eq(step(), EVT_OK);
            answer = answers[2];
            answers[2] = NULL;
            cr_assert_str_eq(word(answer, "order", "status"),
                             answers[1] != NULL ? "CONFIRMED" : "PENDING");
            json_decref(answer);
        }
    }
    cr_assert_eq(number(answers[1], "generation"), 2, "%s",
                 json_dumps(answers[1], 0));
    cr_assert_geq(number(answers[1], "events"), 3000);
    differences = json_object_get(answers[1], "differences");
    cr_assert_eq(json_array_size(differences), 3);
    cr_assert(tells(differences, "orders o-7: status PENDING, rebuilt "
                                 "CONFIRMED; total_cents 1, rebuilt 1990"));
    cr_assert(
        tells(differences, "orders o-8: payment_timeline '', rebuilt [8,"));
    cr_assert(tells(differences, "orders o-x: not in the rebuilt view"));

    pass_ms(5000);
    cr_assert(!exists("view.1.db") && exists("view.2.db"));
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 5 * order);
    cr_assert_eq(number(status(), "view.lag"), 0);
    cr_assert_eq(number(status(), "view.generation"), 2);
}

Test(projection, a_rebuild_of_a_sound_view_finds_nothing)
{
    json_t *answer;

    sagas(1, 20);
    open_reader();
    settle();
    answer = answer_to("{\"do\":\"rebuild\"}");
    cr_assert_eq(number(answer, "generation"), 2);
    cr_assert_eq(number(answer, "events"), 100);
    cr_assert_eq(json_array_size(json_object_get(answer, "differences")), 0);
    answer = answer_to("{\"do\":\"rebuild\"}");
    cr_assert_eq(number(answer, "generation"), 3);
    sagas(21, 21); /* and it lives on the first links again */
    publish(ORDER, 41, 42);
    publish(INVENTORY, 41, 42);
    publish(PAYMENT, 21, 21);
    settle();
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 105);
}

Test(projection, a_rebuild_waits_for_a_publisher_and_the_old_view_goes_on)
{
    sagas(1, 20);
    open_reader();
    settle();
    away[PAYMENT] = true;
    ask(1, "{\"do\":\"rebuild\",\"timeout_ms\":3000}");
    ask(2, "{\"do\":\"rebuild\"}"); /* it joins */
    settle();
    sagas(21, 21);
    publish(ORDER, 41, 42);
    pass_ms(3000);
    cr_assert_eq(number(answers[1], "code"), 75); /* it goes on */
    cr_assert_eq(number(answers[1], "generation"), 2);
    cr_assert_eq(json_array_size(json_object_get(answers[1], "awaited")), 1);
    cr_assert_str_eq(json_string_value(json_array_get(
                         json_object_get(answers[1], "awaited"), 0)),
                     "payment");
    cr_assert_null(answers[2]);
    cr_assert_eq(sql_number("SELECT count(*) FROM orders"), 21);
    away[PAYMENT] = false;
    pass_ms(6000);
    cr_assert_eq(number(status(), "view.generation"), 2);
    cr_assert_eq(number(answers[2], "generation"), 2);
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 105);
}

/* Between two questions of one who waits a rebuild may end. */
Test(projection, who_asks_again_for_a_generation_gets_what_came_of_it)
{
    json_t *first, *again;

    sagas(1, 20);
    open_reader();
    settle();
    edit("DELETE FROM orders WHERE order_id = 'o-8'");
    first = answer_to("{\"do\":\"rebuild\"}");
    cr_assert_eq(json_array_size(json_object_get(first, "differences")), 1);
    first = json_copy(first);
    again = answer_to("{\"do\":\"rebuild\",\"generation\":2}");
    cr_assert(json_equal(first, again), "%s", json_dumps(again, 0));
    again = answer_to("{\"do\":\"rebuild\",\"generation\":3}");
    cr_assert_eq(number(again, "generation"), 3);
    json_decref(first);
}

Test(projection, many_wait_for_one_rebuild_but_not_any_number)
{
    sagas(1, 20);
    open_reader();
    settle();
    away[PAYMENT] = true;
    for (uint64_t i = 1; i <= REBUILD_ASKED_MAX + 1; i++)
        ask(i, "{\"do\":\"rebuild\"}");
    settle();
    cr_assert_eq(number(answers[REBUILD_ASKED_MAX + 1], "code"), 75);
    away[PAYMENT] = false;
    pass_ms(6000);
    for (uint64_t i = 1; i <= REBUILD_ASKED_MAX; i++)
        cr_assert_eq(number(answers[i], "generation"), 2);
}

Test(projection, a_crash_in_a_rebuild_leaves_the_old_view)
{
    sagas(1, 700);
    crash_at("crash/read-before-commit", 2, "{\"do\":\"rebuild\"}");
    cr_assert(exists("view.1.db") && exists("view.2.db"));
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 3500);
    open_reader();
    settle();
    cr_assert(exists("view.1.db") && !exists("view.2.db"));
    cr_assert_eq(number(status(), "view.generation"), 1);
    cr_assert_eq(number(status(), "view.counts.events"), 0);
    cr_assert_eq(number(answer_to("{\"do\":\"rebuild\"}"), "generation"), 2);
}

Test(projection,
     another_revision_or_a_damaged_file_is_built_anew) /* F20 real */
{
    FILE *file;

    sagas(1, 3);
    open_reader();
    settle();
    projection_close(reader);
    view.revision++;
    open_reader();
    settle();
    cr_assert_eq(number(status(), "view.generation"), 2);
    cr_assert(!exists("view.1.db"));
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 15);
    projection_close(reader);

    file = fopen(path_of("view.2.db"), "w");
    cr_assert_not_null(file);
    fputs("no database at all", file);
    fclose(file);
    open_reader();
    settle();
    cr_assert_eq(number(status(), "view.generation"), 3);
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 15);
}

/* HC51: damage that shows up while it runs. */
Test(projection, a_view_that_breaks_is_left_and_built_anew_at_the_next_start)
{
    uint8_t noise[4096];
    FILE *file;
    long size;

    sagas(1, 700);
    open_reader();
    settle();
    projection_close(reader);
    memset(noise, 0xa5, sizeof noise);
    file = fopen(path_of("view.1.db"), "r+");
    cr_assert_not_null(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    for (long at = 8 * 4096; at < size; at += 4096) { /* past the small ones */
        fseek(file, at, SEEK_SET);
        fwrite(noise, 1, sizeof noise, file);
    }
    fclose(file);
    open_reader();
    ask(1, "{\"get\":\"orders\"}");
    cr_assert_eq(step(), EVT_IO);
    cr_assert_eq(number(answers[1], "code"), 74);
    cr_assert(!exists("view.db"));
    projection_close(reader);
    open_reader();
    settle();
    cr_assert_eq(sql_number("SELECT sum(events) FROM orders"), 3500);
}

/* ---- logs that turn out to be others ------------------------------------- */

/* By another one, of one order. */
static void replace_order_log(void)
{
    store_close(logs[ORDER]);
    logs[ORDER] = NULL;
    unlink(path_of("order.db"));
    open_log(ORDER, 'x');
    one(ORDER, ORDER_PLACED, "o-new");
}

/* HC11 */
Test(projection, a_replaced_log_makes_the_view_build_itself_anew) /* F21 */
{
    sagas(1, 5);
    open_reader();
    settle();
    replace_order_log();
    pass_ms(3 * PULL_IDLE_MS);
    cr_assert_eq(number(status(), "view.generation"), 2);
    cr_assert_str_eq(word(status(), "view", "trouble"), "");
    cr_assert_eq(sql_number("SELECT count(*) FROM orders WHERE status <> ''"),
                 1);
    cr_assert_eq(number(status(), "view.positions.inventory.seq"), 10);
    one(ORDER, ORDER_CONFIRMED, "o-new");
    pass_ms(PULL_IDLE_MS);
    cr_assert_eq(sql_number("SELECT count(*) FROM orders WHERE status ="
                            " 'CONFIRMED'"),
                 1);
    cr_assert_eq(number(status(), "view.generation"), 2);
}

/* Of the other log all is there; who is away is another publisher. */
Test(projection, a_rebuild_that_began_by_itself_is_joined)
{
    const json_t *awaited;

    sagas(1, 5);
    open_reader();
    settle();
    replace_order_log();
    away[PAYMENT] = true;
    pass_ms(3 * PULL_IDLE_MS);
    cr_assert_eq(number(status(), "view.generation"), 1);
    ask(1, "{\"do\":\"rebuild\",\"timeout_ms\":3000}");
    ask(2, "{\"do\":\"rebuild\"}");
    pass_ms(3000);
    awaited = json_object_get(answers[1], "awaited");
    cr_assert_eq(json_array_size(awaited), 1);
    cr_assert_str_eq(json_string_value(json_array_get(awaited, 0)), "payment");
    away[PAYMENT] = false;
    pass_ms(6000);
    cr_assert_eq(number(answers[2], "generation"), 2);
}

/* HC11: an edited log can be followed by nobody.  The view tries once. */
Test(projection, a_log_that_does_not_chain_is_said_and_the_old_view_serves)
{
    sagas(1, 5);
    open_reader();
    settle();
    cr_assert_eq(sqlite3_exec(store_connection(logs[ORDER]),
                              "DROP TRIGGER event_is_never_changed;"
                              "UPDATE event SET time_ms = 1 WHERE seq = 3;"
                              "UPDATE event SET hash = zeroblob(32)"
                              " WHERE seq = 10",
                              NULL, NULL, NULL),
                 0);
    pass_ms(4 * PULL_IDLE_MS);
    cr_assert_eq(number(status(), "view.generation"), 1);
    /* 25, and in the one try the 15 of the two logs that are sound */
    cr_assert_eq(number(status(), "view.counts.events"), 25 + 15);
    cr_assert_not_null(
        strstr(word(status(), "view", "trouble"), "order has diverged"));
    cr_assert(!json_is_true(
        json_object_get(json_object_get(status(), "view"), "rebuilding")));
    cr_assert(!exists("view.2.db"));
    cr_assert_str_eq(word(answer_to("{\"get\":\"order\",\"order\":\"o-5\"}"),
                          "order", "status"),
                     "CONFIRMED");
}

/* ---- requests ------------------------------------------------------------ */

Test(projection, pulls_are_answered_from_the_log)
{
    struct pull pull = {.nonce = 77, .reader = "payment", .source = "order"};
    uint8_t message[MESSAGE_MAX];
    static struct frame frame;

    sagas(1, 3);
    open_reader();
    cluster_give(node, INPUT_REQUEST, 1, message, pull_write(&pull, message));
    settle();
    cr_assert_eq(raw_answers, 1);
    cr_assert_eq(raw_reply.nonce, 77);
    cr_assert_eq(raw_reply.verdict, PULL_OK);
    cr_assert(frame_read(raw_reply.frame, raw_reply.frame_bytes, &frame));
    cr_assert_eq(frame.count, 6);
    text_copy(pull.source, sizeof pull.source, "payment");
    cluster_give(node, INPUT_REQUEST, 2, message, pull_write(&pull, message));
    settle();
    cr_assert_eq(number(answers[2], "code"), 65); /* not my log */
}

Test(projection, a_lone_read_side_has_no_log_to_answer_from)
{
    struct pull pull = {.nonce = 77, .reader = "payment", .source = "order"};
    uint8_t message[MESSAGE_MAX];

    alone = true;
    sagas(1, 3);
    open_reader();
    cluster_give(node, INPUT_REQUEST, 1, message, pull_write(&pull, message));
    settle();
    cr_assert_eq(number(answers[1], "code"), 69);
    cr_assert_eq(number(answer_to("{\"get\":\"log\"}"), "code"), 69);
    cr_assert_eq(number(answer_to("{\"get\":\"parked\"}"), "code"), 69);
    cr_assert_eq(number(status(), "view.lag"), 0);
    cr_assert_eq(number(answer_to("{\"get\":\"order\",\"order\":\"o-3\"}"),
                        "order.events"),
                 5);
}

/* HC21 */
Test(projection, hostile_requests_are_answered_with_an_error) /* F48 */
{
    static const char *const hostile[] = {
        "{",
        "{}",
        "{\"get\":null}",
        "{\"get\":\"nothing\"}",
        "{\"get\":{\"get\":\"status\"}}",
        "{\"do\":\"nothing\"}",
        "{\"do\":\"rebuild\",\"timeout_ms\":-1}",
        "{\"do\":\"rebuild\",\"generation\":0}",
        "{\"get\":\"orders\",\"get\":\"orders\"}",
        "{\"get\":\"order\",\"order\":\"o-1\",\"after\":{}}",
        "{\"get\":\"order\",\"order\":\"o-1\",\"after\":[7]}",
        "{\"get\":\"order\",\"order\":\"o-1\",\"after\":[{}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":"
        "\"zz\",\"seq\":1}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":"
        "\"61616161616161616161616161616161\",\"seq\":-1}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":"
        "\"61616161616161616161616161616161\",\"seq\":1.5}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"nobody\",\"log\":"
        "\"61616161616161616161616161616161\",\"seq\":1}]}",
        "{\"get\":\"orders\",\"after\":[1,2,3,4,5,6,7,8,9]}",
        "{\"get\":\"orders\",\"until\":\"doomsday\"}",
        "{\"get\":\"orders\",\"timeout_ms\":60001}",
        "{\"get\":\"orders\",\"timeout_ms\":\"long\"}",
        "{\"get\":\"orders\",\"limit\":99999999999999999999999}",
        "{\"get\":\"orders\",\"limit\":1e999}",
        "{\"get\":\"order\",\"order\":\"\xff\xfe\"}",
        "{\"get\":\"order\",\"order\":\"a\\u0000b\"}",
        "{\"get\":\"log\",\"after\":-1}",
        "{\"get\":\"log\",\"limit\":0}",
        "{\"get\":\"log\",\"upto\":[]}",
        "{\"get\":\"log\",\"tag\":7}",
        "{\"get\":\"log\",\"tag\":\"\"}",
        "[\"p\",1]",
        " {\"get\":\"status\"}",
        "\x93\xa1p\x01\x01",
        "\xdd\x18",
        "",
    };
    size_t count = sizeof hostile / sizeof hostile[0];
    char *deep = malloc(MESSAGE_MAX + 10);

    cr_assert_not_null(deep);
    open_reader();
    for (size_t i = 0; i < count; i++)
        ask(i, hostile[i]);
    memset(deep, '[', MESSAGE_MAX + 10);
    memcpy(deep, "{\"get\":", 7);
    cluster_give(node, INPUT_REQUEST, count, deep, MESSAGE_MAX);
    cluster_give(node, INPUT_REQUEST, count + 1, deep, MESSAGE_MAX + 10);
    free(deep);
    settle();
    for (size_t i = 0; i < count + 2; i++)
        cr_assert_eq(number(answers[i], "code"), 65, "%zu: %s", i,
                     i < count ? hostile[i] : "deep");
    cr_assert_eq(number(status(), "view.generation"), 1); /* still there */
}

Test(projection, a_list_that_fits_no_message_is_cut)
{
    json_t *answer;

    cr_assert_eq(store_begin(logs[ORDER]), EVT_OK);
    for (int i = 0; i < 200; i++) {
        struct event event = {.type = ORDER_PLACED};
        uint8_t data[DATA_MAX], hash[HASH_BYTES];
        struct row row;

        snprintf(event.order_id, ID_BYTES, "o-%037d", i);
        text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "alice");
        payload_in(event.data)->line_count = LINES_MAX;
        for (int k = 0; k < LINES_MAX; k++) {
            snprintf(payload_in(event.data)->lines[k].sku, SKU_BYTES,
                     "widget-%024d", k);
            payload_in(event.data)->lines[k].quantity = QUANTITY_MAX;
            payload_in(event.data)->lines[k].price_cents = PRICE_CENTS_MAX;
        }
        payload_in(event.data)->total_cents = ORDER_TOTAL_MAX;
        cr_assert_eq(store_append(logs[ORDER], &shop_domain, 0, &event, data,
                                  &row, hash),
                     EVT_OK);
    }
    cr_assert_eq(store_commit(logs[ORDER]), EVT_OK);
    open_reader();
    settle();
    answer = answer_to("{\"get\":\"orders\",\"limit\":200}");
    cr_assert(json_is_true(json_object_get(answer, "more")));
    cr_assert_gt(json_array_size(json_object_get(answer, "orders")), 30);
}

/* ---- the log as JSON ----------------------------------------------------- */

Test(projection, a_log_is_read_in_pages)
{
    uint64_t after_seq = 0;
    bool more = true;
    int pages = 0;

    sagas(1, 600);
    open_reader();
    settle();
    while (more) {
        char request[64];
        json_t *answer, *events, *event;
        size_t i;

        snprintf(request, sizeof request, "{\"get\":\"log\",\"after\":%d}",
                 (int)after_seq);
        answer = answer_to(request);
        cr_assert_eq(number(answer, "head"), 1200);
        cr_assert_lt(json_dumpb(answer, NULL, 0, JSON_COMPACT), MESSAGE_MAX);
        events = json_object_get(answer, "events");
        more = json_is_true(json_object_get(answer, "more"));
        cr_assert(!more || json_array_size(events) > 0);
        json_array_foreach(events, i, event)
            cr_assert_eq(number(event, "seq"), (int64_t)++after_seq);
        pages++;
    }
    cr_assert_eq(after_seq, 1200);
    cr_assert_gt(pages, 2);
}

Test(projection, a_log_query_is_narrowed_by_range_limit_and_tag)
{
    json_t *answer, *events;

    sagas(1, 10);
    open_reader();
    answer = answer_to("{\"get\":\"log\",\"after\":4,\"upto\":9,\"limit\":3}");
    events = json_object_get(answer, "events");
    cr_assert_eq(json_array_size(events), 3);
    cr_assert_eq(number(json_array_get(events, 0), "seq"), 5);
    cr_assert(json_is_true(json_object_get(answer, "more")));
    answer = answer_to("{\"get\":\"log\",\"after\":7,\"upto\":9,\"limit\":2}");
    cr_assert_eq(json_array_size(json_object_get(answer, "events")), 2);
    cr_assert(json_is_false(json_object_get(answer, "more")));
    answer = answer_to("{\"get\":\"log\",\"tag\":\"order:o-3\"}");
    events = json_object_get(answer, "events");
    cr_assert_eq(json_array_size(events), 2);
    cr_assert_eq(number(json_array_get(events, 1), "seq"), 6);
    cr_assert_eq(strlen(json_string_value(
                     json_object_get(json_array_get(events, 1), "hash"))),
                 2 * HASH_BYTES);
}

Test(projection, a_log_query_tells_cursors_and_parked_events)
{
    struct cursor cursor = {.at = {.seq = 41}};
    struct parked parked = {.source = "payment",
                            .at = {.seq = 12},
                            .order_id = "o-1",
                            .reason = "newer than this program",
                            .raw_bytes = 1};
    json_t *answer;

    memset(cursor.at.log_id, 0xab, LOG_ID_BYTES);
    memset(parked.at.log_id, 0xab, LOG_ID_BYTES);
    cr_assert_eq(store_begin(logs[ORDER]), EVT_OK);
    cr_assert_eq(store_set_cursor(logs[ORDER], "payment", &cursor), EVT_OK);
    cr_assert_eq(store_park(logs[ORDER], &parked), EVT_OK);
    cr_assert_eq(store_commit(logs[ORDER]), EVT_OK);
    open_reader();
    answer = answer_to("{\"get\":\"log\"}");
    cr_assert_eq(number(answer, "cursors.payment.seq"), 41);
    answer = answer_to("{\"get\":\"parked\"}");
    answer = json_array_get(json_object_get(answer, "parked"), 0);
    cr_assert_eq(number(answer, "seq"), 12);
    cr_assert_str_eq(json_string_value(json_object_get(answer, "log")),
                     "abababababababababababababababab");
    cr_assert_str_eq(json_string_value(json_object_get(answer, "reason")),
                     "newer than this program");
    cr_assert_eq(number(answer_to("{\"get\":\"status\"}"), "parked"), 1);
}
