/* fuzz_wire.c - any bytes as each message that comes over a socket: frames,
 * pulls, their replies, commands, answers, parked rows.
 *
 * What a reader accepts is within its limits, and reads the same after it has
 * been written again. */
#include "fuzz.h"
#include "shop/shop.h"
#include "stream/frame.h"
#include "stream/pull.h"
#include "stream/request.h"

#include <string.h>

static uint8_t message[MESSAGE_MAX];

static bool same_row(const struct row *a, const struct row *b)
{
    return a->seq == b->seq && strcmp(a->type, b->type) == 0 &&
           a->version == b->version && strcmp(a->order_id, b->order_id) == 0 &&
           a->time_ms == b->time_ms &&
           strcmp(a->cause_source, b->cause_source) == 0 &&
           a->cause_seq == b->cause_seq &&
           strcmp(a->command_id, b->command_id) == 0 &&
           a->data_bytes == b->data_bytes &&
           memcmp(a->data, b->data, a->data_bytes) == 0;
}

static void check_row(const struct row *row)
{
    static uint8_t bytes[4096];
    size_t size = frame_row_write(row, bytes, sizeof bytes);
    struct row again;

    MUST(row->data_bytes <= DATA_MAX);
    MUST(frame_row_read(bytes, size, &again));
    MUST(same_row(row, &again));
}

static void check_frame(const uint8_t *bytes, size_t count)
{
    static struct frame frame, again;
    static struct frame_writer writer;
    static const uint8_t hash[HASH_BYTES];
    size_t size;

    if (!frame_read(bytes, count, &frame))
        return;
    MUST(frame.first_seq > 0 && frame.count <= ROWS_MAX);
    frame_begin(&writer, frame.source, frame.log_id, frame.first_seq - 1,
                frame.last_hash);
    for (size_t i = 0; i < frame.count; i++) {
        MUST(frame.rows[i].seq == frame.first_seq + i);
        check_row(&frame.rows[i]);
        if (!frame_add(&writer, &frame.rows[i], hash))
            return; /* it came as a longer frame than we write */
    }
    size = frame_finish(&writer, message);
    MUST(frame_read(message, size, &again));
    MUST(again.count == frame.count && again.first_seq == frame.first_seq);
    MUST(memcmp(again.log_id, frame.log_id, LOG_ID_BYTES) == 0);
    for (size_t i = 0; i < frame.count; i++)
        MUST(same_row(&again.rows[i], &frame.rows[i]));
}

static void check_pull(const uint8_t *bytes, size_t count)
{
    struct pull pull, again;

    memset(&pull, 0, sizeof pull);
    memset(&again, 0, sizeof again);
    if (!pull_read(bytes, count, &pull))
        return;
    MUST(pull_read(message, pull_write(&pull, message), &again));
    MUST(memcmp(&pull, &again, sizeof pull) == 0);
}

static void check_reply(const uint8_t *bytes, size_t count)
{
    static struct pull_reply reply, again;

    if (!pull_reply_read(bytes, count, &reply))
        return;
    MUST(reply.verdict < VERDICTS && reply.cursor_count <= CURSORS_MAX);
    MUST((reply.verdict == PULL_OK) == (reply.frame_bytes > 0));
    MUST(pull_reply_read(message, pull_reply_write(&reply, message), &again));
    MUST(again.nonce == reply.nonce && again.verdict == reply.verdict);
    MUST(again.head_seq == reply.head_seq);
    MUST(again.cursor_count == reply.cursor_count);
    MUST(again.frame_bytes == reply.frame_bytes);
    if (reply.frame_bytes > 0)
        check_frame(reply.frame, reply.frame_bytes);
}

static void check_commands(const uint8_t *bytes, size_t count)
{
    static struct command commands[COMMANDS_PER_REQUEST];
    static struct command again[COMMANDS_PER_REQUEST];
    static struct answer answers[COMMANDS_PER_REQUEST];
    size_t in = 0, out = 0, good = 0;

    if (!request_read(&shop_domain, bytes, count, commands, answers, &in))
        return;
    MUST(in > 0 && in <= COMMANDS_PER_REQUEST);
    for (size_t i = 0; i < in; i++) {
        if (answers[i].code == ANSWER_DONE)
            commands[good++] = commands[i];
        else
            MUST(commands[i].type == NO_MESSAGE && answers[i].reason[0]);
    }
    MUST(request_answers_write(answers, in, message) <= MESSAGE_MAX);
    if (good == 0)
        return;
    for (size_t i = 0; i < good; i++)
        MUST(shop_message(commands[i].type)->is_command);
    MUST(request_read(&shop_domain, message,
                      request_write(&shop_domain, commands, good, message),
                      again, answers, &out));
    MUST(out == good);
    MUST(memcmp(commands, again, good * sizeof commands[0]) == 0);
}

static void check_answers(const uint8_t *bytes, size_t count)
{
    static struct answer answers[COMMANDS_PER_REQUEST];
    static struct answer again[COMMANDS_PER_REQUEST];
    size_t in = 0, out = 0;

    memset(answers, 0, sizeof answers);
    memset(again, 0, sizeof again);
    if (!request_answers_read(bytes, count, answers, &in))
        return;
    MUST(in <= COMMANDS_PER_REQUEST);
    MUST(request_answers_read(
        message, request_answers_write(answers, in, message), again, &out));
    MUST(out == in);
    MUST(memcmp(answers, again, in * sizeof answers[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct row row;

    check_frame(bytes, count);
    check_pull(bytes, count);
    check_reply(bytes, count);
    check_commands(bytes, count);
    check_answers(bytes, count);
    if (frame_row_read(bytes, count, &row))
        check_row(&row);
    return 0;
}
