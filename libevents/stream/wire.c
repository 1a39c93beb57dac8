/* wire.c - the elements of every message, on top of msgpack-c. */
#include "stream/wire.h"

#include <assert.h>
#include <string.h>

enum { PROTOCOL = 1 };

/* ---- writing ---- */

static int write_out(void *ctx, const char *bytes, size_t count)
{
    struct wire_out *out = ctx;

    if (count > out->size - out->count) {
        out->overflow = true;
        return -1;
    }
    if (count > 0)
        memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
    return 0;
}

void wire_begin(struct wire_out *out, uint8_t *bytes, size_t size)
{
    *out = (struct wire_out){.bytes = bytes, .size = size};
    msgpack_packer_init(&out->packer, out, write_out);
}

void wire_begin_message(struct wire_out *out, uint8_t message[MESSAGE_MAX],
                        const char *letter, size_t items)
{
    wire_begin(out, message, MESSAGE_MAX);
    wire_put_list(out, items);
    wire_put_text(out, letter);
    wire_put_uint(out, PROTOCOL);
}

void wire_put_list(struct wire_out *out, size_t items)
{
    msgpack_pack_array(&out->packer, items);
}

void wire_put_text(struct wire_out *out, const char *text)
{
    msgpack_pack_str_with_body(&out->packer, text, strlen(text));
}

void wire_put_bin(struct wire_out *out, const void *bytes, size_t count)
{
    msgpack_pack_bin_with_body(&out->packer, bytes, count);
}

void wire_put_uint(struct wire_out *out, uint64_t value)
{
    msgpack_pack_uint64(&out->packer, value);
}

void wire_put_int(struct wire_out *out, int64_t value)
{
    msgpack_pack_int64(&out->packer, value);
}

void wire_put_written(struct wire_out *out, const uint8_t *bytes, size_t count)
{
    write_out(out, (const char *)bytes, count);
}

size_t wire_end(const struct wire_out *out)
{
    assert(!out->overflow);
    return out->count;
}

/* ---- reading ---- */

static void walk(struct wire_in *in, const msgpack_object *array)
{
    in->good = array->type == MSGPACK_OBJECT_ARRAY;
    in->next = in->good ? array->via.array.ptr : NULL;
    in->end = in->good ? in->next + array->via.array.size : NULL;
}

static const msgpack_object *take(struct wire_in *in, msgpack_object_type type)
{
    if (!in->good || in->next == in->end || in->next->type != type) {
        in->good = false;
        return NULL;
    }
    return in->next++;
}

uint64_t wire_take_uint(struct wire_in *in, uint64_t max)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_POSITIVE_INTEGER);

    if (o == NULL || o->via.u64 > max) {
        in->good = false;
        return 0;
    }
    return o->via.u64;
}

int64_t wire_take_int(struct wire_in *in)
{
    if (in->good && in->next != in->end &&
        in->next->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return in->next++->via.i64;
    return (int64_t)wire_take_uint(in, INT64_MAX);
}

void wire_take_text(struct wire_in *in, char *text, size_t size)
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

void wire_take_id(struct wire_in *in, char *text, size_t size)
{
    wire_take_text(in, text, size);
    in->good = in->good && (text[0] == '\0' || text_is_id(text, size));
}

void wire_take_fixed(struct wire_in *in, uint8_t *bytes, size_t size,
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

const uint8_t *wire_take_bin(struct wire_in *in, size_t *count)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_BIN);

    *count = o == NULL ? 0 : o->via.bin.size;
    if (*count == 0)
        return (const uint8_t *)""; /* msgpack-c has NULL for it */
    return (const uint8_t *)o->via.bin.ptr;
}

uint32_t wire_take_list(struct wire_in *in, struct wire_in *list, uint32_t max)
{
    const msgpack_object *o = take(in, MSGPACK_OBJECT_ARRAY);

    if (o == NULL || o->via.array.size > max) {
        in->good = false;
        return 0;
    }
    walk(list, o);
    return o->via.array.size;
}

bool wire_open(struct wire_in *in, const void *bytes, size_t count)
{
    size_t used = 0;

    msgpack_unpacked_init(&in->unpacked);
    in->good = count <= MESSAGE_MAX && codec_check_bytes(bytes, count) &&
               msgpack_unpack_next(&in->unpacked, bytes, count, &used) ==
                   MSGPACK_UNPACK_SUCCESS &&
               used == count;
    if (in->good)
        walk(in, &in->unpacked.data);
    return in->good;
}

bool wire_open_message(struct wire_in *in, const void *bytes, size_t count,
                       const char *letter)
{
    char got[4];

    if (!wire_open(in, bytes, count))
        return false;
    wire_take_text(in, got, sizeof got);
    in->good = in->good && strcmp(got, letter) == 0;
    in->good = wire_take_uint(in, PROTOCOL) == PROTOCOL && in->good;
    return in->good;
}

bool wire_close(struct wire_in *in)
{
    bool good = in->good && in->next == in->end;

    msgpack_unpacked_destroy(&in->unpacked);
    return good;
}
