/* wire.c - writing and reading what the processes say to each other.
 *
 * Writers pack straight into the caller's buffer.  Readers check the bytes,
 * let msgpack-c build its tree, then take each element by its place and type;
 * anything unexpected ends in false.  docs/protocol.md shows the messages. */
#include "stream/wire.h"

#include <assert.h>
#include <msgpack.h>
#include <string.h>

enum { PROTOCOL = 1, ROW_ITEMS = 9 };

/* ---- writing ---- */

struct out {
    uint8_t *bytes;
    size_t count, size;
    bool overflow;
};

static int write_out(void *ctx, const char *bytes, size_t count)
{
    struct out *out = ctx;

    if (count > out->size - out->count) {
        out->overflow = true;
        return -1;
    }
    if (count > 0)
        memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
    return 0;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

static void pack_bin(msgpack_packer *packer, const void *bytes, size_t count)
{
    msgpack_pack_bin_with_body(packer, bytes, count);
}

/* [letter, version, ...], @items in all. */
static void pack_start(msgpack_packer *packer, struct out *out,
                       const char *letter, size_t items)
{
    msgpack_packer_init(packer, out, write_out);
    msgpack_pack_array(packer, items);
    pack_text(packer, letter);
    msgpack_pack_int(packer, PROTOCOL);
}

static void pack_row(msgpack_packer *packer, const struct row *row)
{
    bool caused = row->cause_source[0] != '\0';

    msgpack_pack_array(packer, ROW_ITEMS);
    pack_text(packer, row->type);
    msgpack_pack_uint32(packer, row->version);
    pack_text(packer, row->order_id);
    msgpack_pack_int64(packer, row->time_ms);
    pack_text(packer, row->cause_source);
    pack_bin(packer, row->cause_log, caused ? LOG_ID_BYTES : 0);
    msgpack_pack_uint64(packer, row->cause_seq);
    pack_text(packer, row->command_id);
    pack_bin(packer, row->data, row->data_bytes);
}

/* ---- reading ---- */

/* A checked message and a walk over its elements.  The first element that is
 * not what was asked for makes all that follow fail, too.  Text and binaries
 * point into the message itself (msgpack_unpack_next copies none of them), so
 * they outlive this struct. */
struct in {
    msgpack_unpacked unpacked;
    const msgpack_object *next, *end;
    bool good;
};

static void in_array(struct in *in, const msgpack_object *array)
{
    in->good = array->type == MSGPACK_OBJECT_ARRAY;
    in->next = in->good ? array->via.array.ptr : NULL;
    in->end = in->good ? in->next + array->via.array.size : NULL;
}

static const msgpack_object *take(struct in *in, msgpack_object_type type)
{
    if (!in->good || in->next == in->end || in->next->type != type) {
        in->good = false;
        return NULL;
    }
    return in->next++;
}

static uint64_t take_uint(struct in *in, uint64_t max)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_POSITIVE_INTEGER);

    if (o == NULL || o->via.u64 > max) {
        in->good = false;
        return 0;
    }
    return o->via.u64;
}

static int64_t take_int(struct in *in)
{
    if (in->good && in->next != in->end &&
        in->next->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return in->next++->via.i64;
    return (int64_t)take_uint(in, INT64_MAX);
}

static void take_text(struct in *in, char *text, size_t size)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_STR);

    memset(text, 0, size);
    if (o != NULL && o->via.str.size == 0)
        return; /* msgpack-c has NULL for it */
    if (o == NULL || o->via.str.size >= size ||
        memchr(o->via.str.ptr, '\0', o->via.str.size) != NULL) {
        in->good = false;
        return;
    }
    memcpy(text, o->via.str.ptr, o->via.str.size);
}

/* An id, or "". */
static void take_id(struct in *in, char *text, size_t size)
{
    take_text(in, text, size);
    in->good = in->good && (text[0] == '\0' || text_is_id(text, size));
}

static void take_fixed(struct in *in, uint8_t *bytes, size_t size,
                       bool may_be_empty)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_BIN);

    memset(bytes, 0, size);
    if (o == NULL ||
        (o->via.bin.size != size && !(may_be_empty && o->via.bin.size == 0))) {
        in->good = false;
        return;
    }
    if (o->via.bin.size == size)
        memcpy(bytes, o->via.bin.ptr, size);
}

static const uint8_t *take_bin(struct in *in, size_t *count)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_BIN);

    *count = o == NULL ? 0 : o->via.bin.size;
    if (*count == 0)
        return (const uint8_t *)""; /* msgpack-c has NULL for it */
    return (const uint8_t *)o->via.bin.ptr;
}

static uint32_t take_list(struct in *in, struct in *list, uint32_t max)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_ARRAY);

    if (o == NULL || o->via.array.size > max) {
        in->good = false;
        return 0;
    }
    in_array(list, o);
    return o->via.array.size;
}

/* Unpacks @bytes; false when they are no msgpack that we accept.  in_close is
 * due either way. */
static bool in_open(struct in *in, const void *bytes, size_t count)
{
    size_t used = 0;

    msgpack_unpacked_init(&in->unpacked);
    in->good = count <= MESSAGE_MAX && codec_check_bytes(bytes, count) &&
               msgpack_unpack_next(&in->unpacked, bytes, count, &used) ==
                   MSGPACK_UNPACK_SUCCESS &&
               used == count;
    if (in->good)
        in_array(in, &in->unpacked.data);
    return in->good;
}

/* The same for a message that must begin with @letter and our version. */
static bool in_start(struct in *in, const void *bytes, size_t count,
                     const char *letter)
{
    char got[4];

    if (!in_open(in, bytes, count))
        return false;
    take_text(in, got, sizeof got);
    in->good = in->good && strcmp(got, letter) == 0;
    in->good = take_uint(in, PROTOCOL) == PROTOCOL && in->good;
    return in->good;
}

/* True if everything was as asked and nothing is left over. */
static bool in_close(struct in *in)
{
    bool good = in->good && in->next == in->end;

    msgpack_unpacked_destroy(&in->unpacked);
    return good;
}

static void take_row(struct in *in, struct row *row)
{
    struct in columns;
    size_t count;

    if (take_list(in, &columns, ROW_ITEMS) != ROW_ITEMS) {
        in->good = false;
        return;
    }
    take_text(&columns, row->type, sizeof row->type);
    row->version = (uint32_t)take_uint(&columns, UINT32_MAX);
    take_id(&columns, row->order_id, ID_BYTES);
    row->time_ms = take_int(&columns);
    take_id(&columns, row->cause_source, SERVICE_BYTES);
    take_fixed(&columns, row->cause_log, LOG_ID_BYTES, true);
    row->cause_seq = take_uint(&columns, INT64_MAX);
    take_id(&columns, row->command_id, ID_BYTES);
    row->data = take_bin(&columns, &count);
    row->data_bytes = (uint32_t)count;
    in->good = columns.good && count <= DATA_MAX;
}

/* ---- frames ---- */

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
    struct out out = {.bytes = frame->rows + frame->bytes,
                      .size = sizeof frame->rows - frame->bytes};
    msgpack_packer packer;

    assert(row->seq == frame->first_seq + frame->count);
    if (frame->count == ROWS_MAX)
        return false;
    msgpack_packer_init(&packer, &out, write_out);
    pack_row(&packer, row);
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
    struct out out = {.bytes = message, .size = MESSAGE_MAX};
    msgpack_packer packer;

    pack_start(&packer, &out, "f", 7);
    pack_text(&packer, frame->source);
    pack_bin(&packer, frame->log_id, LOG_ID_BYTES);
    msgpack_pack_uint64(&packer, frame->first_seq);
    pack_bin(&packer, frame->last_hash, HASH_BYTES);
    msgpack_pack_array(&packer, frame->count);
    write_out(&out, (const char *)frame->rows, frame->bytes);
    assert(!out.overflow);
    return out.count;
}

bool frame_read(const void *bytes, size_t count, struct frame *frame)
{
    struct in in, rows;

    if (in_start(&in, bytes, count, "f")) {
        take_id(&in, frame->source, SERVICE_BYTES);
        take_fixed(&in, frame->log_id, LOG_ID_BYTES, false);
        frame->first_seq = take_uint(&in, INT64_MAX - ROWS_MAX);
        take_fixed(&in, frame->last_hash, HASH_BYTES, false);
        frame->count = take_list(&in, &rows, ROWS_MAX);
        for (size_t i = 0; in.good && i < frame->count; i++) {
            take_row(&rows, &frame->rows[i]);
            frame->rows[i].seq = frame->first_seq + i;
            in.good = rows.good;
        }
        in.good = in.good && frame->first_seq > 0;
    }
    return in_close(&in);
}

size_t frame_row_write(const struct row *row, uint8_t *bytes, size_t size)
{
    struct out out = {.bytes = bytes, .size = size};
    msgpack_packer packer;

    msgpack_packer_init(&packer, &out, write_out);
    msgpack_pack_array(&packer, 2);
    msgpack_pack_uint64(&packer, row->seq);
    pack_row(&packer, row);
    assert(!out.overflow); /* DATA_MAX and the texts fit a parked row */
    return out.count;
}

bool frame_row_read(const void *bytes, size_t count, struct row *row)
{
    struct in in;

    if (in_open(&in, bytes, count)) {
        row->seq = take_uint(&in, INT64_MAX);
        take_row(&in, row);
    }
    return in_close(&in);
}

/* ---- pulls ---- */

static void pack_cursor(msgpack_packer *packer, const struct cursor *cursor)
{
    pack_bin(packer, cursor->at.log_id, LOG_ID_BYTES);
    msgpack_pack_uint64(packer, cursor->at.seq);
    pack_bin(packer, cursor->hash, HASH_BYTES);
}

static void take_cursor(struct in *in, struct cursor *cursor)
{
    take_fixed(in, cursor->at.log_id, LOG_ID_BYTES, false);
    cursor->at.seq = take_uint(in, INT64_MAX);
    take_fixed(in, cursor->hash, HASH_BYTES, false);
}

size_t pull_write(const struct pull *pull, uint8_t message[MESSAGE_MAX])
{
    struct out out = {.bytes = message, .size = MESSAGE_MAX};
    msgpack_packer packer;

    pack_start(&packer, &out, "p", 8);
    msgpack_pack_uint64(&packer, pull->nonce);
    pack_text(&packer, pull->reader);
    pack_text(&packer, pull->source);
    pack_cursor(&packer, &pull->cursor);
    assert(!out.overflow);
    return out.count;
}

bool pull_read(const void *bytes, size_t count, struct pull *pull)
{
    struct in in;

    if (in_start(&in, bytes, count, "p")) {
        pull->nonce = take_uint(&in, UINT64_MAX);
        take_id(&in, pull->reader, SERVICE_BYTES);
        take_id(&in, pull->source, SERVICE_BYTES);
        take_cursor(&in, &pull->cursor);
    }
    return in_close(&in);
}

size_t pull_reply_write(const struct pull_reply *reply,
                        uint8_t message[MESSAGE_MAX])
{
    struct out out = {.bytes = message, .size = MESSAGE_MAX};
    msgpack_packer packer;

    pack_start(&packer, &out, "r", 8);
    msgpack_pack_uint64(&packer, reply->nonce);
    msgpack_pack_int(&packer, (int)reply->verdict);
    msgpack_pack_uint64(&packer, reply->head_seq);
    pack_bin(&packer, reply->head_hash, HASH_BYTES);
    msgpack_pack_array(&packer, reply->cursor_count);
    for (size_t i = 0; i < reply->cursor_count; i++) {
        msgpack_pack_array(&packer, 4);
        pack_text(&packer, reply->cursors[i].source);
        pack_cursor(&packer, &reply->cursors[i].cursor);
    }
    pack_bin(&packer, reply->frame, reply->frame_bytes);
    assert(!out.overflow);
    return out.count;
}

bool pull_reply_read(const void *bytes, size_t count, struct pull_reply *reply)
{
    struct in in, list, entry;

    if (in_start(&in, bytes, count, "r")) {
        reply->nonce = take_uint(&in, UINT64_MAX);
        reply->verdict = (enum verdict)take_uint(&in, VERDICTS - 1);
        reply->head_seq = take_uint(&in, INT64_MAX);
        take_fixed(&in, reply->head_hash, HASH_BYTES, false);
        reply->cursor_count = take_list(&in, &list, CURSORS_MAX);
        for (size_t i = 0; in.good && i < reply->cursor_count; i++) {
            if (take_list(&list, &entry, 4) != 4)
                entry.good = false;
            take_id(&entry, reply->cursors[i].source, SERVICE_BYTES);
            take_cursor(&entry, &reply->cursors[i].cursor);
            in.good = list.good && entry.good;
        }
        reply->frame = take_bin(&in, &reply->frame_bytes);
        in.good =
            in.good && (reply->verdict == PULL_OK) == (reply->frame_bytes > 0);
    }
    return in_close(&in);
}

/* What @pull's cursor is to this log. */
static enum evt_status judge(struct store *store, const struct pull *pull,
                             uint64_t head, enum verdict *verdict)
{
    static const uint8_t none[LOG_ID_BYTES];
    const struct position *at = &pull->cursor.at;
    uint8_t hash[HASH_BYTES];
    enum evt_status rc;

    *verdict = PULL_OTHER_LOG;
    if (strcmp(pull->source, store_service(store)) != 0)
        return EVT_OK;
    *verdict = PULL_OK;
    if (at->seq == 0 && memcmp(at->log_id, none, LOG_ID_BYTES) == 0)
        return EVT_OK;
    if (memcmp(at->log_id, store_log_id(store), LOG_ID_BYTES) != 0) {
        *verdict = at->seq == 0 ? PULL_OK : PULL_OTHER_LOG;
        return EVT_OK;
    }
    if (at->seq > head) {
        *verdict = PULL_AHEAD;
        return EVT_OK;
    }
    rc = store_hash_at(store, at->seq, hash);
    if (rc == EVT_OK && memcmp(hash, pull->cursor.hash, HASH_BYTES) != 0)
        *verdict = PULL_FORKED;
    return rc;
}

static enum evt_status own_cursors(struct store *store,
                                   struct pull_reply *reply)
{
    for (int i = 0; i < SERVICES; i++) {
        enum evt_status rc;
        size_t n = reply->cursor_count;

        rc = store_cursor(store, shop_services[i], &reply->cursors[n].cursor);
        if (rc == EVT_NONE)
            continue;
        if (rc != EVT_OK)
            return rc;
        text_copy(reply->cursors[n].source, SERVICE_BYTES, shop_services[i]);
        reply->cursor_count++;
    }
    return EVT_OK;
}

static enum evt_status rows_after(struct store *store, uint64_t after,
                                  struct frame_writer *frame)
{
    uint8_t hash[HASH_BYTES];
    struct row row;
    enum evt_status rc = store_hash_at(store, after, hash);

    if (rc != EVT_OK)
        return rc;
    frame_begin(frame, store_service(store), store_log_id(store), after, hash);
    rc = store_scan(store, NULL, after, after + ROWS_MAX);
    while (rc == EVT_OK && (rc = store_next(store, &row, hash)) == EVT_OK)
        if (!frame_add(frame, &row, hash))
            break;
    store_scan_end(store);
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status pull_answer(struct store *store, const struct pull *pull,
                            uint8_t message[MESSAGE_MAX], size_t *bytes)
{
    static _Thread_local struct frame_writer writer;
    static _Thread_local uint8_t frame[MESSAGE_MAX];
    struct pull_reply reply = {.nonce = pull->nonce};
    enum evt_status rc = store_snapshot_begin(store);

    if (rc == EVT_OK)
        rc = store_head(store, &reply.head_seq, reply.head_hash);
    if (rc == EVT_OK)
        rc = judge(store, pull, reply.head_seq, &reply.verdict);
    if (rc == EVT_OK)
        rc = own_cursors(store, &reply);
    if (rc == EVT_OK && reply.verdict == PULL_OK) {
        rc = rows_after(store, pull->cursor.at.seq, &writer);
        reply.frame = frame;
        reply.frame_bytes = rc == EVT_OK ? frame_finish(&writer, frame) : 0;
    }
    store_snapshot_end(store);
    if (rc == EVT_OK)
        *bytes = pull_reply_write(&reply, message);
    return rc;
}

/* ---- commands ---- */

size_t request_write(const struct command commands[], size_t count,
                     uint8_t message[MESSAGE_MAX])
{
    struct out out = {.bytes = message, .size = MESSAGE_MAX};
    msgpack_packer packer;

    assert(count <= COMMANDS_PER_REQUEST);
    pack_start(&packer, &out, "c", 3);
    msgpack_pack_array(&packer, count);
    for (size_t i = 0; i < count; i++) {
        const struct message *type = shop_message(commands[i].type);
        uint8_t data[DATA_MAX];
        size_t bytes = codec_encode(type, &commands[i].data, data);

        msgpack_pack_array(&packer, 4);
        pack_text(&packer, type->name);
        pack_text(&packer, commands[i].command_id);
        pack_text(&packer, commands[i].order_id);
        pack_bin(&packer, data, bytes);
    }
    assert(!out.overflow);
    return out.count;
}

static void set_bad(struct command *command, struct answer *answer,
                    const char *why, const char *field)
{
    command->type = NO_MESSAGE;
    answer->code = ANSWER_BAD;
    text_copy(answer->reason, sizeof answer->reason, why);
    text_copy(answer->field, sizeof answer->field, field ? field : "");
}

/* One command of a request; what is wrong with it alone stays with it. */
static void take_command(struct in *list, struct command *command,
                         struct answer *answer)
{
    const struct message *message;
    const char *why = "", *field = NULL;
    const uint8_t *data;
    struct in in;
    size_t bytes;
    char type[32];

    memset(command, 0, sizeof *command);
    memset(answer, 0, sizeof *answer);
    if (take_list(list, &in, 4) != 4) {
        list->good = false;
        return;
    }
    take_text(&in, type, sizeof type);
    take_id(&in, command->command_id, ID_BYTES);
    take_id(&in, command->order_id, ID_BYTES);
    data = take_bin(&in, &bytes);
    message = in.good ? shop_message_named(type, 1, NULL) : NULL;
    if (!in.good)
        set_bad(command, answer, "not a command", NULL);
    else if (message == NULL || !message->is_command)
        set_bad(command, answer, "no such command", "type");
    else if (command->command_id[0] == '\0')
        set_bad(command, answer, "a command needs an id", "id");
    else if (codec_decode(message, data, bytes, &command->data, &why, &field) !=
             EVT_OK)
        set_bad(command, answer, why, field);
    else
        command->type = message->type;
}

bool request_read(const void *bytes, size_t count,
                  struct command commands[COMMANDS_PER_REQUEST],
                  struct answer answers[COMMANDS_PER_REQUEST],
                  size_t *command_count)
{
    struct in in, list;
    size_t commands_in = 0;

    if (in_start(&in, bytes, count, "c")) {
        commands_in = take_list(&in, &list, COMMANDS_PER_REQUEST);
        for (size_t i = 0; in.good && i < commands_in; i++) {
            take_command(&list, &commands[i], &answers[i]);
            in.good = list.good;
        }
        in.good = in.good && commands_in > 0;
    }
    if (!in_close(&in))
        return false;
    *command_count = commands_in;
    return true;
}

size_t request_answers_write(const struct answer answers[], size_t count,
                             uint8_t message[MESSAGE_MAX])
{
    struct out out = {.bytes = message, .size = MESSAGE_MAX};
    msgpack_packer packer;

    assert(count <= COMMANDS_PER_REQUEST);
    pack_start(&packer, &out, "a", 3);
    msgpack_pack_array(&packer, count);
    for (size_t i = 0; i < count; i++) {
        msgpack_pack_array(&packer, 5);
        msgpack_pack_int(&packer, (int)answers[i].code);
        pack_bin(&packer, answers[i].at.log_id, LOG_ID_BYTES);
        msgpack_pack_uint64(&packer, answers[i].at.seq);
        pack_text(&packer, answers[i].reason);
        pack_text(&packer, answers[i].field);
    }
    assert(!out.overflow);
    return out.count;
}

bool request_answers_read(const void *bytes, size_t count,
                          struct answer answers[COMMANDS_PER_REQUEST],
                          size_t *answer_count)
{
    struct in in, list, entry;
    size_t answers_in = 0;

    if (in_start(&in, bytes, count, "a")) {
        answers_in = take_list(&in, &list, COMMANDS_PER_REQUEST);
        for (size_t i = 0; in.good && i < answers_in; i++) {
            if (take_list(&list, &entry, 5) != 5)
                entry.good = false;
            answers[i].code =
                (enum answer_code)take_uint(&entry, ANSWER_CODES - 1);
            take_fixed(&entry, answers[i].at.log_id, LOG_ID_BYTES, false);
            answers[i].at.seq = take_uint(&entry, INT64_MAX);
            take_text(&entry, answers[i].reason, sizeof answers[i].reason);
            take_text(&entry, answers[i].field, sizeof answers[i].field);
            in.good = list.good && entry.good;
        }
    }
    if (!in_close(&in))
        return false;
    *answer_count = answers_in;
    return true;
}
