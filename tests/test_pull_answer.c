/* test_pull_answer.c - what a publisher answers to a reader that asks for more.
 */
#include "payment-svc/payment.h"
#include "read/log_query.h"
#include "read/pull_answer.h"
#include "sample.h"
#include "scratch.h"
#include "shop/shop.h"
#include "write/shell.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <string.h>

static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";
static uint8_t message[MESSAGE_MAX];
static struct frame frame;

static struct scratch scratch;
static struct store *log_file;

static void open_log(void)
{
    char why[STORE_WHY_BYTES] = "";

    scratch_open(&scratch);
    cr_assert_eq(store_open(scratch_file(&scratch, "log.db"), "order", NULL,
                            log_id, &log_file, why),
                 EVT_OK, "%s", why);
}

static void append(size_t count)
{
    cr_assert_eq(store_begin(log_file), EVT_OK);
    for (size_t i = 0; i < count; i++) {
        struct event event = {.type = ORDER_PLACED};
        uint8_t bytes[DATA_MAX], hash[HASH_BYTES];
        struct row row;

        sample_largest(shop_message(ORDER_PLACED), payload_in(event.data));
        cr_assert_eq(
            store_append(log_file, &shop_domain, 0, &event, bytes, &row, hash),
            EVT_OK);
    }
    cr_assert_eq(store_commit(log_file), EVT_OK);
}

static void close_log(void)
{
    store_close(log_file);
    scratch_close(&scratch);
}

static struct pull_reply reply_to(const struct pull *pull)
{
    struct pull_reply reply;
    size_t bytes;

    cr_assert_eq(pull_answer(log_file, pull, message, &bytes), EVT_OK);
    cr_assert(pull_reply_read(message, bytes, &reply));
    cr_assert_eq(reply.nonce, pull->nonce);
    return reply;
}

/* From nothing to the head, window by window, every row chained. */
Test(pull_answer, pulls_walk_a_whole_log, .init = open_log,
     .fini = close_log) /* HC12 */
{
    struct pull pull = {.nonce = 5, .reader = "payment", .source = "order"};
    uint8_t hash[HASH_BYTES];
    unsigned windows = 0;
    uint64_t seq = 0;

    append(300);
    event_genesis("order", log_id, hash);
    for (;; windows++) {
        struct pull_reply reply = reply_to(&pull);

        cr_assert_eq(reply.verdict, PULL_OK);
        cr_assert_eq(reply.head_seq, 300);
        cr_assert(frame_read(reply.frame, reply.frame_bytes, &frame));
        cr_assert_eq(frame.first_seq, seq + 1);
        if (frame.count == 0)
            break;
        for (size_t i = 0; i < frame.count; i++, seq++)
            event_hash(hash, &frame.rows[i], hash);
        cr_assert_arr_eq(hash, frame.last_hash, HASH_BYTES);
        pull.cursor.at.seq = seq;
        memcpy(pull.cursor.at.log_id, log_id, LOG_ID_BYTES);
        memcpy(pull.cursor.hash, hash, HASH_BYTES);
    }
    cr_assert_eq(seq, 300);
    cr_assert_gt(windows, 3);
}

Test(pull_answer, a_pull_is_judged_by_its_cursor, .init = open_log,
     .fini = close_log) /* HC11 */
{
    struct pull pull = {.nonce = 5, .reader = "payment", .source = "order"};

    append(9);
    memcpy(pull.cursor.at.log_id, log_id, LOG_ID_BYTES);
    pull.cursor.at.seq = 9;
    cr_assert_eq(store_hash_at(log_file, 9, pull.cursor.hash), EVT_OK);
    cr_assert_eq(reply_to(&pull).verdict, PULL_OK);
    pull.cursor.hash[31] ^= 1;
    cr_assert_eq(reply_to(&pull).verdict, PULL_FORKED);
    pull.cursor.at.seq = 10;
    cr_assert_eq(reply_to(&pull).verdict, PULL_AHEAD);
    pull.cursor.at.log_id[0] ^= 1;
    cr_assert_eq(reply_to(&pull).verdict, PULL_OTHER_LOG);
    pull.cursor.at.seq = 0;
    cr_assert_eq(reply_to(&pull).verdict, PULL_OK, "nothing was consumed");
    text_copy(pull.source, SERVICE_BYTES, "payment");
    cr_assert_eq(reply_to(&pull).verdict, PULL_OTHER_LOG);
}

/* It is asked by @reader, and has consumed @seq events of the log @id of it. */
static struct pull_reply reply_to_consumed(const char *reader,
                                           const uint8_t *id, uint64_t seq)
{
    struct pull pull = {.nonce = 5, .source = "order"};
    struct cursor cursor = {.at.seq = seq};

    text_copy(pull.reader, SERVICE_BYTES, reader);
    memcpy(cursor.at.log_id, id, LOG_ID_BYTES);
    cr_assert_eq(store_begin(log_file), EVT_OK);
    cr_assert_eq(store_set_cursor(log_file, reader, &cursor), EVT_OK);
    cr_assert_eq(store_commit(log_file), EVT_OK);
    return reply_to(&pull);
}

Test(pull_answer, a_reply_tells_the_publishers_own_cursors, .init = open_log,
     .fini = close_log)
{
    struct pull_reply reply;

    reply_to_consumed("payment", log_id, 31);
    reply = reply_to_consumed("inventory", log_id, 7);
    cr_assert_eq(reply.cursor_count, 2);
    cr_assert_str_eq(reply.cursors[0].source, "inventory");
    cr_assert_eq(reply.cursors[0].cursor.at.seq, 7);
    cr_assert_str_eq(reply.cursors[1].source, "payment");
    cr_assert_eq(reply.cursors[1].cursor.at.seq, 31);
}

Test(pull_answer, a_reply_tells_no_more_cursors_than_it_may, .init = open_log,
     .fini = close_log) /* HC56 */
{
    struct pull_reply reply;

    for (int i = 0; i <= CURSORS_MAX; i++)
        reply =
            reply_to_consumed((const char[]){(char)('a' + i), '\0'}, log_id, 1);
    cr_assert_eq(reply.cursor_count, CURSORS_MAX);
}

Test(pull_answer, a_malformed_cursor_is_an_error, .init = open_log,
     .fini = close_log)
{
    struct pull pull = {.nonce = 5, .reader = "payment", .source = "order"};
    size_t bytes = 77;

    reply_to_consumed("payment", log_id, 1);
    cr_assert_eq(sqlite3_exec(store_connection(log_file),
                              "UPDATE inbox SET hash = x'00'", NULL, NULL,
                              NULL),
                 SQLITE_OK);
    cr_assert_eq(pull_answer(log_file, &pull, message, &bytes), EVT_BAD);
    cr_assert_eq(bytes, 77, "untouched");
    cr_assert(strstr(store_error(log_file), "malformed cursor for payment"));
}

/* One who looks at an edited file sees its events all the same. */
Test(pull_answer, a_malformed_cursor_hides_no_event, .init = open_log,
     .fini = close_log)
{
    json_t *request = json_pack("{s:s}", "get", "log"), *answer;

    append(3);
    reply_to_consumed("inventory", log_id, 1);
    reply_to_consumed("payment", log_id, 2);
    cr_assert_eq(sqlite3_exec(store_connection(log_file),
                              "UPDATE inbox SET hash = x'00'"
                              " WHERE source = 'inventory'",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    answer = log_query(&shop_domain, log_file, request);
    cr_assert_eq(json_array_size(json_object_get(answer, "events")), 3);
    cr_assert_eq(json_object_size(json_object_get(answer, "cursors")), 1);
    json_decref(answer);
    cr_assert_eq(sqlite3_exec(store_connection(log_file),
                              "UPDATE inbox SET source = printf('%.200c', 'z')"
                              " WHERE source = 'payment'",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    answer = log_query(&shop_domain, log_file, request);
    cr_assert_eq(json_array_size(json_object_get(answer, "events")), 3);
    json_decref(answer);
    cr_assert_eq(sqlite3_exec(store_connection(log_file),
                              "UPDATE inbox SET source = x'7a'"
                              " WHERE source > 'payment'",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    answer = log_query(&shop_domain, log_file,
                       request); /* a blob is behind every text */
    cr_assert_eq(json_array_size(json_object_get(answer, "events")), 3);
    json_decref(answer);
    json_decref(request);
}

/* ---- a service that order-svc does not know by name ---- */

/* What its shell lives in: a clock, and nobody there. */
static struct living {
    uint64_t mono_ms, random, nonce; /* of its pull to order-svc */
} living;

static uint64_t mono_ms(void *ctx)
{
    (void)ctx;
    return living.mono_ms;
}

static int64_t wall_ms(void *ctx)
{
    (void)ctx;
    return (int64_t)living.mono_ms;
}

static void random_bytes(void *ctx, void *bytes, size_t count)
{
    (void)ctx;
    memset(bytes, (int)++living.random, count);
}

static void send(void *ctx, enum channel to, uint64_t where, const void *bytes,
                 size_t count)
{
    struct pull pull;

    (void)ctx;
    if (to == TO_PUBLISHER && where == 0 && pull_read(bytes, count, &pull))
        living.nonce = pull.nonce;
}

static struct shell_status step(struct shell *shell, const struct input *input)
{
    struct shell_status status;

    cr_assert_eq(shell_step(shell, input, input != NULL), EVT_OK);
    shell_status(shell, &status);
    return status;
}

/* Its log was restored from a backup, so order-svc has consumed more of it than
 * there is: it must learn that before it writes over what it has lost. */
Test(pull_answer, a_fourth_service_learns_that_its_readers_are_ahead,
     .init = open_log, .fini = close_log) /* HC11 F21 */
{
    struct service shipping = payment_service;
    struct env env = {.mono_ms = mono_ms,
                      .wall_ms = wall_ms,
                      .random = random_bytes,
                      .send = send};
    struct shell_config config = {0};
    struct input input = {.kind = INPUT_REPLY, .bytes = message};
    struct shell_status status;
    struct pull pull = {.reader = "shipping", .source = "order"};
    char why[STORE_WHY_BYTES] = "";
    struct shell *shell;

    shipping.name = "shipping";
    config.path = scratch_file(&scratch, "shipping.db");
    cr_assert_eq(shell_open(&shipping, &env, &config, &shell, why), EVT_OK,
                 "%s", why);
    status = step(shell, NULL);
    cr_assert_neq(status.mode, SHELL_BEHIND);
    cr_assert_str_eq(status.subscriptions[0].source, "order");
    reply_to_consumed("shipping", status.log_id, status.head_seq + 1);
    pull.nonce = living.nonce;
    cr_assert_eq(pull_answer(log_file, &pull, message, &input.count), EVT_OK);
    status = step(shell, &input);
    cr_assert_eq(status.mode, SHELL_BEHIND);
    shell_close(shell);
}

/* A file may have been edited: what is no service's name would make the reply
 * unreadable for every reader. */
Test(pull_answer, a_cursor_under_no_name_is_left_out, .init = open_log,
     .fini = close_log)
{
    struct pull pull = {.nonce = 5, .reader = "payment", .source = "order"};
    struct cursor cursor = {.at.seq = 7};
    struct pull_reply reply;

    append(1);
    cr_assert_eq(store_begin(log_file), EVT_OK);
    cr_assert_eq(store_set_cursor(log_file, "no name", &cursor), EVT_OK);
    cr_assert_eq(store_set_cursor(log_file, "payment", &cursor), EVT_OK);
    cr_assert_eq(store_commit(log_file), EVT_OK);
    reply = reply_to(&pull);
    cr_assert_eq(reply.cursor_count, 1);
    cr_assert_str_eq(reply.cursors[0].source, "payment");
}
