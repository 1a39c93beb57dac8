/* frame.c - writing and reading frames and their rows. */
#include "stream/frame.h"

#include "stream/wire.h"

#include <assert.h>
#include <string.h>

enum { FRAME_ITEMS = 7, ROW_ITEMS = 9 };

static void put_row(struct wire_out *out, const struct row *row)
{
    bool caused = row->cause_source[0] != '\0';

    wire_put_list(out, ROW_ITEMS);
    wire_put_text(out, row->type);
    wire_put_uint(out, row->version);
    wire_put_text(out, row->order_id);
    wire_put_int(out, row->time_ms);
    wire_put_text(out, row->cause_source);
    wire_put_bin(out, row->cause_log, caused ? LOG_ID_BYTES : 0);
    wire_put_uint(out, row->cause_seq);
    wire_put_text(out, row->command_id);
    wire_put_bin(out, row->data, row->data_bytes);
}

static void take_row(struct wire_in *in, struct row *row)
{
    size_t count;

    wire_take_list_of(in, ROW_ITEMS);
    wire_take_text(in, row->type, sizeof row->type);
    row->version = (uint32_t)wire_take_uint(in, UINT32_MAX);
    wire_take_id(in, row->order_id, ID_BYTES);
    row->time_ms = wire_take_int(in);
    wire_take_id(in, row->cause_source, SERVICE_BYTES);
    wire_take_fixed(in, row->cause_log, LOG_ID_BYTES, true);
    row->cause_seq = wire_take_uint(in, INT64_MAX);
    wire_take_id(in, row->command_id, ID_BYTES);
    row->data = wire_take_bin(in, &count);
    row->data_bytes = (uint32_t)count;
    in->good = in->good && count <= DATA_MAX;
}

void frame_begin(struct frame_writer *frame, const char *source,
                 const uint8_t log_id[LOG_ID_BYTES], uint64_t head_seq,
                 const uint8_t head_hash[HASH_BYTES])
{
    text_copy(frame->source, sizeof frame->source, source);
    memcpy(frame->log_id, log_id, LOG_ID_BYTES);
    frame->first_seq = head_seq + 1;
    memcpy(frame->last_hash, head_hash, HASH_BYTES);
    frame->count = frame->bytes = 0;
}

bool frame_add(struct frame_writer *frame, const struct row *row,
               const uint8_t hash[HASH_BYTES])
{
    struct wire_out out;

    assert(row->seq == frame->first_seq + frame->count);
    if (frame->count == ROWS_MAX)
        return false;
    wire_begin(&out, frame->rows + frame->bytes,
               sizeof frame->rows - frame->bytes);
    put_row(&out, row);
    if (out.overflow)
        return false;
    frame->bytes += out.count;
    frame->count++;
    memcpy(frame->last_hash, hash, HASH_BYTES);
    return true;
}

size_t frame_finish(const struct frame_writer *frame,
                    uint8_t message[MESSAGE_MAX])
{
    struct wire_out out;

    wire_begin_message(&out, message, "f", FRAME_ITEMS);
    wire_put_text(&out, frame->source);
    wire_put_bin(&out, frame->log_id, LOG_ID_BYTES);
    wire_put_uint(&out, frame->first_seq);
    wire_put_bin(&out, frame->last_hash, HASH_BYTES);
    wire_put_list(&out, frame->count);
    wire_put_written(&out, frame->rows, frame->bytes);
    return wire_end(&out);
}

bool frame_read(const void *bytes, size_t count, struct frame *frame)
{
    struct wire_in in;

    if (wire_open_message(&in, bytes, count, "f", FRAME_ITEMS)) {
        wire_take_id(&in, frame->source, SERVICE_BYTES);
        wire_take_fixed(&in, frame->log_id, LOG_ID_BYTES, false);
        frame->first_seq = wire_take_uint(&in, INT64_MAX - ROWS_MAX);
        wire_take_fixed(&in, frame->last_hash, HASH_BYTES, false);
        frame->count = wire_take_list(&in, ROWS_MAX);
        for (size_t i = 0; in.good && i < frame->count; i++) {
            take_row(&in, &frame->rows[i]);
            frame->rows[i].seq = frame->first_seq + i;
        }
        in.good = in.good && frame->first_seq > 0;
    }
    return wire_close(&in);
}

size_t frame_row_write(const struct row *row, uint8_t *bytes, size_t size)
{
    struct wire_out out;

    wire_begin(&out, bytes, size);
    wire_put_list(&out, 2);
    wire_put_uint(&out, row->seq);
    put_row(&out, row);
    return wire_end(&out); /* DATA_MAX and the texts fit a parked row */
}

bool frame_row_read(const void *bytes, size_t count, struct row *row)
{
    struct wire_in in;

    wire_open(&in, bytes, count);
    wire_take_list_of(&in, 2);
    row->seq = wire_take_uint(&in, INT64_MAX);
    take_row(&in, row);
    return wire_close(&in);
}
