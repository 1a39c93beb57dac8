/* unpacked.h - bytes as core/unpack.h reads them, beside msgpack-c.
 *
 * Used by: test_codec.c, fuzz/fuzz_codec.c. */
#ifndef UNPACKED_H
#define UNPACKED_H

#include "core/unpack.h"

#include <msgpack.h>
#include <string.h>

/* Whether @bytes hold exactly one element. */
static inline bool unpacked_whole(const void *bytes, size_t count)
{
    struct unpack in = {bytes, (const uint8_t *)bytes + count};

    return unpack_skip(&in) && in.at == in.end;
}

static inline bool unpacked_text(const struct element *element,
                                 const char *bytes, size_t count)
{
    return element->value == count &&
           (count == 0 || memcmp(element->bytes, bytes, count) == 0);
}

/* Whether the next element of @in is what msgpack-c made of it. */
static inline bool unpacked_same(struct unpack *in,
                                 const msgpack_object *object)
{
    struct element element;

    if (!unpack_next(in, &element))
        return false;
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return element.kind == UNPACK_UINT && element.value == object->via.u64;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return element.kind == UNPACK_INT &&
               (int64_t)element.value == object->via.i64;
    case MSGPACK_OBJECT_STR:
        return element.kind == UNPACK_TEXT &&
               unpacked_text(&element, object->via.str.ptr,
                             object->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return element.kind == UNPACK_BINARY &&
               unpacked_text(&element, object->via.bin.ptr,
                             object->via.bin.size);
    case MSGPACK_OBJECT_ARRAY:
        if (element.kind != UNPACK_LIST ||
            element.value != object->via.array.size)
            return false;
        for (uint32_t i = 0; i < object->via.array.size; i++)
            if (!unpacked_same(in, &object->via.array.ptr[i]))
                return false;
        return true;
    case MSGPACK_OBJECT_MAP:
        if (element.kind != UNPACK_MAP || element.value != object->via.map.size)
            return false;
        for (uint32_t i = 0; i < object->via.map.size; i++)
            if (!unpacked_same(in, &object->via.map.ptr[i].key) ||
                !unpacked_same(in, &object->via.map.ptr[i].val))
                return false;
        return true;
    default:
        return element.kind == UNPACK_OTHER;
    }
}

/* Whether msgpack-c takes @bytes whole, and finds in them what we do. */
static inline bool unpacked_agrees(const void *bytes, size_t count)
{
    struct unpack in = {bytes, (const uint8_t *)bytes + count};
    msgpack_unpacked unpacked;
    size_t used = 0;
    bool agrees;

    msgpack_unpacked_init(&unpacked);
    agrees = msgpack_unpack_next(&unpacked, bytes, count, &used) ==
                 MSGPACK_UNPACK_SUCCESS &&
             used == count && unpacked_same(&in, &unpacked.data) &&
             in.at == in.end;
    msgpack_unpacked_destroy(&unpacked);
    return agrees;
}

#endif
