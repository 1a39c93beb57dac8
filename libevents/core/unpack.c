/* unpack.c - heads of msgpack, and what must be behind them. */
#include "core/unpack.h"

/* What the bytes 0xc0 to 0xdf begin: the kind, and how many bytes of a number
 * or a length follow. */
enum { REFUSED = UNPACK_OTHER + 1 };
static const struct {
    uint8_t kind, bytes;
} wide_heads[] = {
    {UNPACK_OTHER, 0},  {REFUSED, 0},       {UNPACK_OTHER, 0},
    {UNPACK_OTHER, 0},  {UNPACK_BINARY, 1}, {UNPACK_BINARY, 2},
    {UNPACK_BINARY, 4}, {REFUSED, 0},       {REFUSED, 0},
    {REFUSED, 0},       {UNPACK_OTHER, 4},  {UNPACK_OTHER, 8},
    {UNPACK_UINT, 1},   {UNPACK_UINT, 2},   {UNPACK_UINT, 4},
    {UNPACK_UINT, 8},   {UNPACK_INT, 1},    {UNPACK_INT, 2},
    {UNPACK_INT, 4},    {UNPACK_INT, 8},    {REFUSED, 0},
    {REFUSED, 0},       {REFUSED, 0},       {REFUSED, 0},
    {REFUSED, 0},       {UNPACK_TEXT, 1},   {UNPACK_TEXT, 2},
    {UNPACK_TEXT, 4},   {UNPACK_LIST, 2},   {UNPACK_LIST, 4},
    {UNPACK_MAP, 2},    {UNPACK_MAP, 4},
};

static size_t bytes_left(const struct unpack *in)
{
    return (size_t)(in->end - in->at);
}

/* Of a signed number of @bytes bytes, the 64 bits that mean the same. */
static uint64_t widened(uint64_t value, unsigned bytes)
{
    uint64_t sign = UINT64_C(1) << (8 * bytes - 1);

    return (value ^ sign) - sign;
}

static bool take_wide(struct unpack *in, uint8_t first, struct element *element)
{
    unsigned kind = wide_heads[first - 0xc0].kind;
    unsigned bytes = wide_heads[first - 0xc0].bytes;

    if (kind == REFUSED || bytes > bytes_left(in))
        return false;
    element->kind = (enum unpack_kind)kind;
    element->value = 0;
    for (unsigned i = 0; i < bytes; i++)
        element->value = element->value << 8 | *in->at++;
    if (kind == UNPACK_INT) {
        element->value = widened(element->value, bytes);
        if (element->value <= INT64_MAX)
            element->kind = UNPACK_UINT;
    }
    return true;
}

static bool take_head(struct unpack *in, struct element *element)
{
    uint8_t first;

    if (in->at == in->end)
        return false;
    first = *in->at++;
    if (first >= 0xc0 && first <= 0xdf)
        return take_wide(in, first, element);
    if (first <= 0x7f)
        *element = (struct element){.kind = UNPACK_UINT, .value = first};
    else if (first >= 0xe0)
        *element =
            (struct element){.kind = UNPACK_INT, .value = widened(first, 1)};
    else if (first >= 0xa0)
        *element = (struct element){.kind = UNPACK_TEXT, .value = first & 0x1f};
    else
        *element =
            (struct element){.kind = first >= 0x90 ? UNPACK_LIST : UNPACK_MAP,
                             .value = first & 0x0f};
    return true;
}

bool unpack_next(struct unpack *in, struct element *element)
{
    if (!take_head(in, element))
        return false;
    switch (element->kind) {
    case UNPACK_TEXT:
    case UNPACK_BINARY:
        if (element->value > bytes_left(in))
            return false;
        element->bytes = in->at;
        in->at += element->value;
        return true;
    case UNPACK_LIST:
    case UNPACK_MAP: /* each element takes a byte at least */
        return element->value <= ITEMS_MAX &&
               element->value * (element->kind == UNPACK_MAP ? 2 : 1) <=
                   bytes_left(in);
    default:
        return true;
    }
}

bool unpack_skip(struct unpack *in)
{
    uint64_t left[DEPTH_MAX + 1] = {1};
    uint32_t items = 0;
    unsigned depth = 0;

    for (;;) {
        struct element element;

        while (left[depth] == 0) {
            if (depth == 0)
                return true;
            depth--;
        }
        left[depth]--;
        if (++items > ITEMS_MAX || !unpack_next(in, &element))
            return false;
        if (element.kind != UNPACK_LIST && element.kind != UNPACK_MAP)
            continue;
        if (element.value > 0 && depth == DEPTH_MAX)
            return false;
        if (element.value > 0)
            left[++depth] =
                element.value * (element.kind == UNPACK_MAP ? 2 : 1);
    }
}
