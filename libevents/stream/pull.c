/* pull.c - writing and reading pulls and what answers them. */
#include "stream/pull.h"

#include "stream/wire.h"

enum { PULL_ITEMS = 8, REPLY_ITEMS = 8, ENTRY_ITEMS = 4 };

static void put_cursor(struct wire_out *out, const struct cursor *cursor)
{
    wire_put_bin(out, cursor->at.log_id, LOG_ID_BYTES);
    wire_put_uint(out, cursor->at.seq);
    wire_put_bin(out, cursor->hash, HASH_BYTES);
}

static void take_cursor(struct wire_in *in, struct cursor *cursor)
{
    wire_take_fixed(in, cursor->at.log_id, LOG_ID_BYTES, false);
    cursor->at.seq = wire_take_uint(in, INT64_MAX);
    wire_take_fixed(in, cursor->hash, HASH_BYTES, false);
}

size_t pull_write(const struct pull *pull, uint8_t message[MESSAGE_MAX])
{
    struct wire_out out;

    wire_begin_message(&out, message, "p", PULL_ITEMS);
    wire_put_uint(&out, pull->nonce);
    wire_put_text(&out, pull->reader);
    wire_put_text(&out, pull->source);
    put_cursor(&out, &pull->cursor);
    return wire_end(&out);
}

bool pull_read(const void *bytes, size_t count, struct pull *pull)
{
    struct wire_in in;

    if (wire_open_message(&in, bytes, count, "p", PULL_ITEMS)) {
        pull->nonce = wire_take_uint(&in, UINT64_MAX);
        wire_take_id(&in, pull->reader, SERVICE_BYTES);
        wire_take_id(&in, pull->source, SERVICE_BYTES);
        take_cursor(&in, &pull->cursor);
    }
    return wire_close(&in);
}

size_t pull_reply_write(const struct pull_reply *reply,
                        uint8_t message[MESSAGE_MAX])
{
    struct wire_out out;

    wire_begin_message(&out, message, "r", REPLY_ITEMS);
    wire_put_uint(&out, reply->nonce);
    wire_put_uint(&out, reply->verdict);
    wire_put_uint(&out, reply->head_seq);
    wire_put_bin(&out, reply->head_hash, HASH_BYTES);
    wire_put_list(&out, reply->cursor_count);
    for (size_t i = 0; i < reply->cursor_count; i++) {
        wire_put_list(&out, ENTRY_ITEMS);
        wire_put_text(&out, reply->cursors[i].source);
        put_cursor(&out, &reply->cursors[i].cursor);
    }
    wire_put_bin(&out, reply->frame, reply->frame_bytes);
    return wire_end(&out);
}

bool pull_reply_read(const void *bytes, size_t count, struct pull_reply *reply)
{
    struct wire_in in;

    if (wire_open_message(&in, bytes, count, "r", REPLY_ITEMS)) {
        reply->nonce = wire_take_uint(&in, UINT64_MAX);
        reply->verdict = (enum verdict)wire_take_uint(&in, VERDICTS - 1);
        reply->head_seq = wire_take_uint(&in, INT64_MAX);
        wire_take_fixed(&in, reply->head_hash, HASH_BYTES, false);
        reply->cursor_count = wire_take_list(&in, CURSORS_MAX);
        for (size_t i = 0; in.good && i < reply->cursor_count; i++) {
            wire_take_list_of(&in, ENTRY_ITEMS);
            wire_take_id(&in, reply->cursors[i].source, SERVICE_BYTES);
            take_cursor(&in, &reply->cursors[i].cursor);
        }
        reply->frame = wire_take_bin(&in, &reply->frame_bytes);
        in.good =
            in.good && (reply->verdict == PULL_OK) == (reply->frame_bytes > 0);
    }
    return wire_close(&in);
}
