/* wire.c - the elements of every message: msgpack-c writes them, unpack.c reads
 * them. */
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

static bool take(struct wire_in *in, enum unpack_kind kind,
                 struct element *element)
{
    in->good =
        in->good && unpack_next(&in->left, element) && element->kind == kind;
    return in->good;
}

uint64_t wire_take_uint(struct wire_in *in, uint64_t max)
{
    struct element element;

    if (!take(in, UNPACK_UINT, &element) || element.value > max) {
        in->good = false;
        return 0;
    }
    return element.value;
}

int64_t wire_take_int(struct wire_in *in)
{
    struct element element;

    in->good = in->good && unpack_next(&in->left, &element) &&
               (element.kind == UNPACK_INT ||
                (element.kind == UNPACK_UINT && element.value <= INT64_MAX));
    return in->good ? (int64_t)element.value : 0;
}

void wire_take_text(struct wire_in *in, char *text, size_t size)
{
    struct element element;

    memset(text, 0, size);
    if (!take(in, UNPACK_TEXT, &element))
        return;
    if (element.value >= size ||
        memchr(element.bytes, '\0', element.value) != NULL)
        in->good = false;
    else
        memcpy(text, element.bytes, element.value);
}

void wire_take_id(struct wire_in *in, char *text, size_t size)
{
    wire_take_text(in, text, size);
    in->good = in->good && (text[0] == '\0' || text_is_id(text, size));
}

void wire_take_fixed(struct wire_in *in, uint8_t *bytes, size_t size,
                     bool may_be_empty)
{
    struct element element;

    memset(bytes, 0, size);
    if (!take(in, UNPACK_BINARY, &element))
        return;
    if (element.value == size)
        memcpy(bytes, element.bytes, size);
    else
        in->good = may_be_empty && element.value == 0;
}

const uint8_t *wire_take_bin(struct wire_in *in, size_t *count)
{
    struct element element;

    *count = 0;
    if (!take(in, UNPACK_BINARY, &element))
        return (const uint8_t *)"";
    *count = element.value;
    return element.bytes;
}

uint32_t wire_take_list(struct wire_in *in, uint32_t max)
{
    struct element element;

    if (!take(in, UNPACK_LIST, &element) || element.value > max) {
        in->good = false;
        return 0;
    }
    return (uint32_t)element.value;
}

void wire_take_list_of(struct wire_in *in, uint32_t items)
{
    if (wire_take_list(in, items) != items)
        in->good = false;
}

struct wire_in wire_take_element(struct wire_in *in)
{
    const uint8_t *from = in->left.at;

    in->good = in->good && unpack_skip(&in->left);
    return (struct wire_in){.left = {from, in->left.at}, .good = in->good};
}

void wire_open(struct wire_in *in, const void *bytes, size_t count)
{
    in->left = (struct unpack){bytes, (const uint8_t *)bytes + count};
    in->good = count <= MESSAGE_MAX;
}

bool wire_open_message(struct wire_in *in, const void *bytes, size_t count,
                       const char *letter, uint32_t items)
{
    char got[4];

    wire_open(in, bytes, count);
    wire_take_list_of(in, items);
    wire_take_text(in, got, sizeof got);
    in->good = in->good && strcmp(got, letter) == 0;
    in->good = wire_take_uint(in, PROTOCOL) == PROTOCOL && in->good;
    return in->good;
}

bool wire_close(const struct wire_in *in)
{
    return in->good && in->left.at == in->left.end;
}
