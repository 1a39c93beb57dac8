/* test_wire.c - frames, pulls, replies, commands and answers, both ways.
 *
 * The receiver treats all of it as a stranger's bytes: cut, damaged, oversized.
 * test_codec.c tests the payloads inside. */
#include "log/store.h"
#include "sample.h"
#include "shop/shop.h"
#include "stream/frame.h"
#include "stream/pull.h"
#include "stream/request.h"

#include <criterion/criterion.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";
static uint8_t message[MESSAGE_MAX], data[ROWS_MAX][DATA_MAX];
static struct row rows[ROWS_MAX];
static struct frame_writer writer;
static struct frame frame;

/* Rows of random events from @first on. */
static void make_rows(uint64_t seed, uint64_t first, size_t count)
{
    struct sample sample = {.random = seed};

    for (size_t i = 0; i < count; i++) {
        unsigned type = PRODUCT_LISTED;
        struct event event;

        type += (unsigned)sample_random(&sample, MESSAGE_TYPES - type);
        sample_event(&sample, (unsigned)type, &event);
        event.at.seq = first + i;
        codec_to_row(&shop_domain, &event, data[i], &rows[i]);
    }
}

static void expect_row(const struct row *got, const struct row *wanted)
{
    cr_assert_eq(got->seq, wanted->seq);
    cr_assert_str_eq(got->type, wanted->type);
    cr_assert_eq(got->version, wanted->version);
    cr_assert_str_eq(got->order_id, wanted->order_id);
    cr_assert_eq(got->time_ms, wanted->time_ms);
    cr_assert_str_eq(got->cause_source, wanted->cause_source);
    cr_assert_arr_eq(got->cause_log, wanted->cause_log, LOG_ID_BYTES);
    cr_assert_eq(got->cause_seq, wanted->cause_seq);
    cr_assert_str_eq(got->command_id, wanted->command_id);
    cr_assert_eq(got->data_bytes, wanted->data_bytes);
    cr_assert_arr_eq(got->data, wanted->data, wanted->data_bytes);
}

/* A frame of rows[0 .. count), hashed or not: the hash is only carried. */
static size_t write_frame(uint64_t first, size_t count)
{
    uint8_t hash[HASH_BYTES];

    memset(hash, 0xaa, sizeof hash);
    frame_begin(&writer, "order", log_id, first - 1, hash);
    for (size_t i = 0; i < count; i++) {
        memset(hash, (int)i, sizeof hash);
        cr_assert(frame_add(&writer, &rows[i], hash));
    }
    return frame_finish(&writer, message);
}

/* ---- frames -------------------------------------------------------------- */

Test(wire, a_frame_carries_its_rows)
{
    size_t bytes;

    make_rows(1, 41, 60);
    bytes = write_frame(41, 60);
    cr_assert(frame_read(message, bytes, &frame));
    cr_assert_str_eq(frame.source, "order");
    cr_assert_arr_eq(frame.log_id, log_id, LOG_ID_BYTES);
    cr_assert_eq(frame.first_seq, 41);
    cr_assert_eq(frame.last_hash[0], 59);
    cr_assert_eq(frame.count, 60);
    for (size_t i = 0; i < 60; i++)
        expect_row(&frame.rows[i], &rows[i]);
}

Test(wire, a_heartbeat_is_a_frame_without_rows)
{
    size_t bytes = write_frame(1, 0);

    cr_assert(frame_read(message, bytes, &frame));
    cr_assert_eq(frame.count, 0);
    cr_assert_eq(frame.first_seq, 1);
    cr_assert_eq(frame.last_hash[31], 0xaa);
}

Test(wire, a_frame_takes_no_more_rows_than_it_may)
{
    static const struct row small = {.type = "OrderConfirmed",
                                     .version = 1,
                                     .data = (const uint8_t *)"\x80",
                                     .data_bytes = 1};
    uint8_t hash[HASH_BYTES] = {0};
    struct row row = small;

    frame_begin(&writer, "order", log_id, 0, hash);
    for (row.seq = 1; row.seq <= ROWS_MAX; row.seq++)
        cr_assert(frame_add(&writer, &row, hash));
    hash[0] = 1;
    cr_assert_not(frame_add(&writer, &row, hash));
    cr_assert(frame_read(message, frame_finish(&writer, message), &frame));
    cr_assert_eq(frame.count, ROWS_MAX);
    cr_assert_eq(frame.last_hash[0], 0, "a refused row leaves nothing behind");
}

/* Full by bytes: what was there before the row that no longer fitted is
 * whole, and the message with all its heads is within bounds. */
Test(wire, a_frame_takes_no_more_bytes_than_it_may)
{
    static uint8_t large[DATA_MAX];
    uint8_t hash[HASH_BYTES] = {0};
    struct row row = {.seq = 1,
                      .type = "a type name of thirty-one bytes",
                      .version = UINT32_MAX,
                      .time_ms = INT64_MIN,
                      .cause_seq = INT64_MAX,
                      .data = large,
                      .data_bytes = DATA_MAX};
    size_t bytes;

    memset(row.order_id, 'o', ID_BYTES - 1);
    memset(row.cause_source, 's', SERVICE_BYTES - 1);
    memset(row.command_id, 'c', ID_BYTES - 1);
    frame_begin(&writer, "inventory-depot", log_id, 0, hash);
    while (frame_add(&writer, &row, hash))
        row.seq++;
    cr_assert_geq(row.seq, FRAME_BYTES / (DATA_MAX + 200));
    bytes = frame_finish(&writer, message);
    cr_assert_leq(bytes, FRAME_BYTES + 128);
    cr_assert(frame_read(message, bytes, &frame));
    cr_assert_eq(frame.count, row.seq - 1);
    for (size_t i = 0; i < frame.count; i++) {
        row.seq = i + 1;
        expect_row(&frame.rows[i], &row);
    }
}

Test(wire, one_row_alone_survives_parking)
{
    struct parked parked;

    make_rows(2, 1, ROWS_MAX);
    for (size_t i = 0; i < ROWS_MAX; i++) {
        size_t bytes = frame_row_write(&rows[i], parked.raw, sizeof parked.raw);
        struct row row;

        cr_assert(frame_row_read(parked.raw, bytes, &row));
        expect_row(&row, &rows[i]);
        cr_assert_not(frame_row_read(parked.raw, bytes - 1, &row));
    }
}

/* ---- pulls and replies --------------------------------------------------- */

static struct pull some_pull(void)
{
    struct pull pull = {.nonce = UINT64_MAX,
                        .reader = "payment",
                        .source = "order",
                        .cursor = {.at.seq = INT64_MAX}};

    memset(pull.cursor.at.log_id, 0x11, LOG_ID_BYTES);
    memset(pull.cursor.hash, 0x22, HASH_BYTES);
    return pull;
}

Test(wire, a_pull_is_read_as_it_was_written)
{
    struct pull in = some_pull(), out;
    size_t bytes = pull_write(&in, message);

    memset(&out, 0, sizeof out);
    cr_assert(pull_read(message, bytes, &out));
    cr_assert_eq(out.nonce, in.nonce);
    cr_assert_str_eq(out.reader, in.reader);
    cr_assert_str_eq(out.source, in.source);
    cr_assert_eq(memcmp(&in.cursor, &out.cursor, sizeof in.cursor), 0);
}

static struct pull_reply some_reply(size_t cursors)
{
    static uint8_t inner[MESSAGE_MAX];
    struct pull_reply reply = {
        .nonce = 9, .head_seq = 12345, .cursor_count = cursors, .frame = inner};

    make_rows(3, 1, 20);
    reply.frame_bytes = write_frame(1, 20);
    memcpy(inner, message, reply.frame_bytes);
    memset(reply.head_hash, 0x33, HASH_BYTES);
    for (size_t i = 0; i < cursors && i < CURSORS_MAX; i++) {
        snprintf(reply.cursors[i].source, SERVICE_BYTES, "service-%zu", i);
        reply.cursors[i].cursor.at.seq = i;
        memset(reply.cursors[i].cursor.hash, (int)i, HASH_BYTES);
    }
    return reply;
}

Test(wire, a_reply_is_read_as_it_was_written)
{
    struct pull_reply in = some_reply(CURSORS_MAX), out;
    size_t bytes = pull_reply_write(&in, message);

    memset(&out, 0, sizeof out);
    cr_assert(pull_reply_read(message, bytes, &out));
    cr_assert_eq(out.nonce, 9);
    cr_assert_eq(out.verdict, PULL_OK);
    cr_assert_eq(out.head_seq, 12345);
    cr_assert_arr_eq(out.head_hash, in.head_hash, HASH_BYTES);
    cr_assert_eq(out.cursor_count, CURSORS_MAX);
    cr_assert_eq(memcmp(in.cursors, out.cursors, sizeof in.cursors), 0);
    cr_assert_eq(out.frame_bytes, in.frame_bytes);
    cr_assert_arr_eq(out.frame, in.frame, in.frame_bytes);
    cr_assert(frame_read(out.frame, out.frame_bytes, &frame));
    cr_assert_eq(frame.count, 20);
}

Test(wire, only_a_good_verdict_comes_with_rows)
{
    struct pull_reply reply = some_reply(0), out;

    for (int verdict = PULL_OTHER_LOG; verdict < VERDICTS; verdict++) {
        reply.verdict = (enum verdict)verdict;
        cr_assert_not(
            pull_reply_read(message, pull_reply_write(&reply, message), &out));
        reply.frame_bytes = 0;
        cr_assert(
            pull_reply_read(message, pull_reply_write(&reply, message), &out));
        cr_assert_eq(out.verdict, (enum verdict)verdict);
        reply = some_reply(0);
    }
    reply.frame_bytes = 0;
    cr_assert_not(
        pull_reply_read(message, pull_reply_write(&reply, message), &out));
}

/* ---- commands and answers ------------------------------------------------ */

static struct command commands[COMMANDS_PER_REQUEST + 1];
static struct command commands_out[COMMANDS_PER_REQUEST];
static struct answer answers[COMMANDS_PER_REQUEST + 1];
static struct answer answers_out[COMMANDS_PER_REQUEST];

static void make_commands(size_t count)
{
    struct sample sample = {.random = 17};

    memset(commands, 0, sizeof commands);
    for (size_t i = 0; i < count; i++) {
        unsigned type =
            LIST_PRODUCT + (unsigned)sample_random(&sample, DEPOSIT_FUNDS);

        commands[i].type = (unsigned)type;
        snprintf(commands[i].command_id, ID_BYTES, "c-%zu", i);
        if (i % 2 == 0)
            snprintf(commands[i].order_id, ID_BYTES, "o-%zu", i);
        sample_payload(&sample, shop_message(commands[i].type),
                       payload_in(commands[i].data));
    }
}

Test(wire, commands_are_read_as_they_were_written)
{
    for (size_t count = 1; count <= COMMANDS_PER_REQUEST; count += 21) {
        size_t read = 0;

        make_commands(count);
        memset(answers, 0x7f, sizeof answers);
        cr_assert(
            request_read(&shop_domain, message,
                         request_write(&shop_domain, commands, count, message),
                         commands_out, answers, &read));
        cr_assert_eq(read, count);
        for (size_t i = 0; i < count; i++) {
            cr_assert_arr_eq(&commands[i], &commands_out[i],
                             sizeof commands[0]);
            cr_assert_eq(answers[i].code, ANSWER_DONE);
        }
    }
}

Test(wire, the_largest_request_fits_a_message)
{
    size_t read = 0, bytes;

    make_commands(COMMANDS_PER_REQUEST);
    for (size_t i = 0; i < COMMANDS_PER_REQUEST; i++) {
        commands[i].type = PLACE_ORDER;
        sample_largest(shop_message(PLACE_ORDER), payload_in(commands[i].data));
        memset(commands[i].command_id, 'c', ID_BYTES - 1);
        memset(commands[i].order_id, 'o', ID_BYTES - 1);
    }
    bytes =
        request_write(&shop_domain, commands, COMMANDS_PER_REQUEST, message);
    cr_assert_leq(bytes, MESSAGE_MAX);
    cr_assert(request_read(&shop_domain, message, bytes, commands_out, answers,
                           &read));
    cr_assert_arr_eq(commands, commands_out, sizeof commands_out);
}

Test(wire, answers_are_read_as_they_were_written)
{
    size_t count = COMMANDS_PER_REQUEST, read = 0, bytes;

    memset(answers, 0, sizeof answers);
    for (size_t i = 0; i < count; i++) {
        answers[i].code = (enum answer_code)(i % ANSWER_CODES);
        answers[i].at.seq = i;
        memset(answers[i].at.log_id, (int)i, LOG_ID_BYTES);
        memset(answers[i].reason, 'r', i % sizeof answers[i].reason);
        memset(answers[i].field, 'f', i % sizeof answers[i].field);
    }
    bytes = request_answers_write(answers, count, message);
    cr_assert(request_answers_read(message, bytes, answers_out, &read));
    cr_assert_eq(read, count);
    cr_assert_arr_eq(answers, answers_out, sizeof answers_out);
}

Test(wire, one_answer_for_all_is_that_of_each)
{
    size_t bytes;

    memset(answers, 0, sizeof answers);
    answers[0].code = ANSWER_BUSY;
    answers[1].code = ANSWER_REFUSED;
    bytes = request_answers_write(answers, 1, message);
    cr_assert_eq(request_answers_of(message, bytes, 3, answers_out), EVT_OK);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(answers_out[i].code, ANSWER_BUSY);
    bytes = request_answers_write(answers, 2, message);
    cr_assert_eq(request_answers_of(message, bytes, 2, answers_out), EVT_OK);
    cr_assert_eq(answers_out[1].code, ANSWER_REFUSED);
    cr_assert_eq(request_answers_of(message, bytes, 3, answers_out), EVT_BAD,
                 "two answers to three commands");
    cr_assert_eq(request_answers_of(message, bytes - 1, 2, answers_out),
                 EVT_BAD);
}

/* ---- cut, damaged, too much ---------------------------------------------- */

typedef bool read_fn(const uint8_t *bytes, size_t count);

static bool reads_frame(const uint8_t *bytes, size_t count)
{
    return frame_read(bytes, count, &frame);
}

static bool reads_row(const uint8_t *bytes, size_t count)
{
    struct row row;

    return frame_row_read(bytes, count, &row);
}

static bool reads_pull(const uint8_t *bytes, size_t count)
{
    struct pull pull;

    return pull_read(bytes, count, &pull);
}

static bool reads_reply(const uint8_t *bytes, size_t count)
{
    struct pull_reply reply;

    return pull_reply_read(bytes, count, &reply);
}

static bool reads_commands(const uint8_t *bytes, size_t count)
{
    size_t read;

    return request_read(&shop_domain, bytes, count, commands_out, answers,
                        &read);
}

static bool reads_answers(const uint8_t *bytes, size_t count)
{
    size_t read;

    return request_answers_read(bytes, count, answers_out, &read);
}

/* One message of each sort, and who reads it. */
static const struct sort {
    const char *name;
    read_fn *read;
} sorts[] = {{"frame", reads_frame},       {"row", reads_row},
             {"pull", reads_pull},         {"reply", reads_reply},
             {"commands", reads_commands}, {"answers", reads_answers}};

enum { SORTS = sizeof sorts / sizeof sorts[0] };

static size_t write_sort(size_t sort)
{
    struct answer answer = {
        .code = ANSWER_REFUSED, .reason = "no", .at.seq = 1};
    struct pull pull = some_pull();
    struct pull_reply reply;

    make_rows(5, 1, 4);
    make_commands(3);
    switch (sort) {
    case 0:
        return write_frame(1, 4);
    case 1:
        return frame_row_write(&rows[0], message, sizeof message);
    case 2:
        return pull_write(&pull, message);
    case 3:
        reply = some_reply(2);
        return pull_reply_write(&reply, message);
    case 4:
        return request_write(&shop_domain, commands, 3, message);
    default:
        return request_answers_write(&answer, 1, message);
    }
}

Test(wire, every_truncation_is_refused) /* HC21 F34 */
{
    for (size_t sort = 0; sort < SORTS; sort++) {
        size_t count = write_sort(sort);

        cr_assert(sorts[sort].read(message, count), "%s", sorts[sort].name);
        for (size_t cut = 0; cut < count; cut++) {
            uint8_t *exact = malloc(cut + 1); /* so that ASan sees beyond */

            memcpy(exact, message, cut);
            cr_assert_not(sorts[sort].read(exact, cut), "%s at %zu",
                          sorts[sort].name, cut);
            free(exact);
        }
        message[count] = 0xc0;
        cr_assert_not(sorts[sort].read(message, count + 1), "%s and more",
                      sorts[sort].name);
    }
}

Test(wire, a_message_is_never_taken_for_another_sort)
{
    for (size_t sort = 0; sort < SORTS; sort++) {
        size_t count = write_sort(sort);

        for (size_t other = 0; other < SORTS; other++)
            if (other != sort)
                cr_assert_not(sorts[other].read(message, count), "%s as %s",
                              sorts[sort].name, sorts[other].name);
    }
}

/* Nothing crashes, and what is taken keeps the limits of its texts. */
Test(wire, every_damaged_byte_is_survived) /* HC21 F34 */
{
    unsigned refused = 0;

    for (size_t sort = 0; sort < SORTS; sort++) {
        size_t count = write_sort(sort);

        for (size_t at = 0; at < count; at++)
            for (unsigned change = 1; change < 256; change += 2) {
                message[at] ^= (uint8_t)change;
                refused += !sorts[sort].read(message, count);
                message[at] ^= (uint8_t)change;
            }
        cr_assert(sorts[sort].read(message, count));
    }
    cr_assert_gt(refused, 10000);
}

Test(wire, every_head_of_another_type_is_refused) /* HC21 */
{
    static const uint8_t heads[] = {0x00, 0xc0, 0xc1, 0xc3, 0xca, 0xcb, 0xcf,
                                    0xd4, 0xdd, 0xdf, 0xff, 0x80, 0x90, 0xa0};
    static const uint8_t junk[16] = {0xff, 0xff, 0xff, 0xff};

    for (size_t sort = 0; sort < SORTS; sort++)
        for (size_t i = 0; i < sizeof heads; i++) {
            message[0] = heads[i];
            memcpy(message + 1, junk, sizeof junk);
            for (size_t count = 0; count <= sizeof junk; count++)
                cr_assert_not(sorts[sort].read(message, 1 + count));
        }
}

/* Messages that this program would not write, made by hand. */
static msgpack_sbuffer buffer;
static msgpack_packer packer;

static void text(const char *words)
{
    msgpack_pack_str_with_body(&packer, words, strlen(words));
}

static void start(const char *letter, int version, size_t items)
{
    msgpack_sbuffer_clear(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&packer, items);
    text(letter);
    msgpack_pack_int(&packer, version);
}

static void bin(size_t count)
{
    static const uint8_t zeros[DATA_MAX + 1];

    msgpack_pack_bin_with_body(&packer, zeros, count);
}

struct odd_frame {
    const char *letter, *source;
    int version;
    size_t items, log_bytes, hash_bytes, rows, columns;
    uint64_t first;
    size_t data;
    const char *order, *type;
};

static bool takes_frame(const struct odd_frame *f)
{
    start(f->letter, f->version, f->items);
    text(f->source);
    bin(f->log_bytes);
    msgpack_pack_uint64(&packer, f->first);
    bin(f->hash_bytes);
    msgpack_pack_array(&packer, f->rows);
    for (size_t i = 0; i < f->rows; i++) {
        msgpack_pack_array(&packer, f->columns);
        text(f->type);
        msgpack_pack_int(&packer, 1);
        text(f->order);
        msgpack_pack_int(&packer, -5);
        text("");
        bin(0);
        msgpack_pack_int(&packer, 0);
        text("c-1");
        bin(f->data);
        if (f->columns > 9)
            msgpack_pack_nil(&packer);
    }
    if (f->items > 7)
        msgpack_pack_nil(&packer);
    return frame_read(buffer.data, buffer.size, &frame);
}

Test(wire, frames_out_of_bounds_are_refused) /* HC21 HC56 */
{
    const struct odd_frame good = {.letter = "f",
                                   .source = "order",
                                   .version = 1,
                                   .items = 7,
                                   .log_bytes = LOG_ID_BYTES,
                                   .hash_bytes = HASH_BYTES,
                                   .rows = 2,
                                   .columns = 9,
                                   .first = 5,
                                   .data = 10,
                                   .order = "o-1",
                                   .type = "OrderConfirmed"};
    struct odd_frame odd;

    cr_assert(takes_frame(&good));
    cr_assert_eq(frame.rows[1].seq, 6);
    odd = good, odd.rows = ROWS_MAX, odd.data = 1;
    cr_assert(takes_frame(&odd));
    odd.rows++;
    cr_assert_not(takes_frame(&odd), "a row too many");
    odd = good, odd.data = DATA_MAX;
    cr_assert(takes_frame(&odd));
    odd.data++;
    cr_assert_not(takes_frame(&odd), "a payload too large");
    odd = good, odd.letter = "p";
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.letter = "frame";
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.version = 2;
    cr_assert_not(takes_frame(&odd), "another protocol");
    odd = good, odd.version = 0;
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.items = 8;
    cr_assert_not(takes_frame(&odd), "an item too many");
    odd = good, odd.log_bytes = LOG_ID_BYTES - 1;
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.log_bytes = 0;
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.hash_bytes = HASH_BYTES + 1;
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.columns = 10;
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.first = 0;
    cr_assert_not(takes_frame(&odd), "seq begins at 1");
    odd = good, odd.first = UINT64_MAX;
    cr_assert_not(takes_frame(&odd), "seq would overflow");
    odd = good, odd.first = INT64_MAX;
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.source = "a service of 16.";
    cr_assert_not(takes_frame(&odd));
    odd = good, odd.source = "a/b";
    cr_assert_not(takes_frame(&odd), "no id");
    odd = good, odd.order = "o 1";
    cr_assert_not(takes_frame(&odd), "no id");
    odd = good, odd.order = "1234567890123456789012345678901234567890";
    cr_assert_not(takes_frame(&odd), "40 bytes");
    odd = good, odd.type = "a type name of thirty-two bytes.";
    cr_assert_not(takes_frame(&odd));
}

Test(wire, lists_that_are_too_long_are_refused) /* HC56 */
{
    size_t read = 77;

    start("r", 1, 8); /* a ninth cursor */
    msgpack_pack_uint64(&packer, 1);
    msgpack_pack_int(&packer, 1);
    msgpack_pack_uint64(&packer, 1);
    bin(HASH_BYTES);
    msgpack_pack_array(&packer, CURSORS_MAX + 1);
    for (int i = 0; i <= CURSORS_MAX; i++) {
        msgpack_pack_array(&packer, 4);
        text("order");
        bin(LOG_ID_BYTES);
        msgpack_pack_uint64(&packer, 1);
        bin(HASH_BYTES);
    }
    bin(0);
    cr_assert_not(reads_reply((uint8_t *)buffer.data, buffer.size));

    start("c", 1, 3); /* a 65th command */
    msgpack_pack_array(&packer, COMMANDS_PER_REQUEST + 1);
    for (int i = 0; i <= COMMANDS_PER_REQUEST; i++) {
        msgpack_pack_array(&packer, 4);
        text("ExpireOrder");
        text("c");
        text("o");
        bin(0);
    }
    cr_assert_not(request_read(&shop_domain, buffer.data, buffer.size,
                               commands_out, answers, &read));
    start("a", 1, 3); /* a 65th answer */
    msgpack_pack_array(&packer, COMMANDS_PER_REQUEST + 1);
    for (int i = 0; i <= COMMANDS_PER_REQUEST; i++) {
        msgpack_pack_array(&packer, 5);
        msgpack_pack_int(&packer, 0);
        bin(LOG_ID_BYTES);
        msgpack_pack_int(&packer, 0);
        text("");
        text("");
    }
    cr_assert_not(
        request_answers_read(buffer.data, buffer.size, answers_out, &read));
    start("c", 1, 3); /* no command at all */
    msgpack_pack_array(&packer, 0);
    cr_assert_not(request_read(&shop_domain, buffer.data, buffer.size,
                               commands_out, answers, &read));
    cr_assert_eq(read, 77, "untouched");
}

static void odd_command(const char *type, const char *id, const char *order,
                        const char *bytes, size_t count)
{
    msgpack_pack_array(&packer, 4);
    text(type);
    text(id);
    text(order);
    msgpack_pack_bin_with_body(&packer, bytes, count);
}

Test(wire, one_malformed_command_does_not_spoil_the_others) /* HC21 */
{
    static const char deposit[] = "\x82\xa8"
                                  "customer\xa5"
                                  "alice\xac"
                                  "amount_cents\x05";
    static const struct {
        const char *reason, *field;
    } wanted[] = {{"", ""},
                  {"no such command", "type"},
                  {"no such command", "type"},
                  {"a command needs an id", "id"},
                  {"not a command", ""},
                  {"not a command", ""},
                  {"not a msgpack map", ""},
                  {"too small, or missing", "amount_cents"},
                  {"not a command", ""},
                  {"", ""}};
    size_t count = sizeof wanted / sizeof wanted[0], read = 0;

    start("c", 1, 3);
    msgpack_pack_array(&packer, count);
    odd_command("DepositFunds", "d-0", "", deposit, sizeof deposit - 1);
    odd_command("DropTables", "d-1", "", deposit, sizeof deposit - 1);
    odd_command("FundsDeposited", "d-2", "", deposit, sizeof deposit - 1);
    odd_command("DepositFunds", "", "", deposit, sizeof deposit - 1);
    odd_command("DepositFunds", "d 4", "", deposit, sizeof deposit - 1);
    odd_command("DepositFunds", "d-5", "o/5", deposit, sizeof deposit - 1);
    odd_command("DepositFunds", "d-6", "", deposit, sizeof deposit - 2);
    odd_command("DepositFunds", "d-7", "",
                "\x81\xa8"
                "customer\xa1"
                "a",
                12);
    msgpack_pack_array(&packer, 4); /* data that is no binary */
    text("DepositFunds");
    text("d-8");
    text("");
    text("data");
    odd_command("CancelOrder", "d-9", "o-9", "\x80", 1);
    cr_assert(request_read(&shop_domain, buffer.data, buffer.size, commands_out,
                           answers, &read));
    cr_assert_eq(read, count);
    for (size_t i = 0; i < count; i++) {
        bool bad = wanted[i].reason[0] != '\0';

        cr_assert_eq(answers[i].code, bad ? ANSWER_BAD : ANSWER_DONE,
                     "number %zu", i);
        cr_assert_str_eq(answers[i].reason, wanted[i].reason, "number %zu: %s",
                         i, answers[i].reason);
        cr_assert_str_eq(answers[i].field, wanted[i].field);
        cr_assert_eq(commands_out[i].type == NO_MESSAGE, bad);
    }
    cr_assert_eq(payload_in(commands_out[0].data)->amount_cents, 5);
    cr_assert_str_eq(commands_out[9].order_id, "o-9");
}
