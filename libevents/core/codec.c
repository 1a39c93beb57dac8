/* codec.c - payloads <-> msgpack maps, by the catalogue's field tables.
 *
 * One walk over a field table serves every message: it encodes, decodes,
 * checks, trims, compares.  Bytes of a stranger go through codec_check_bytes,
 * then msgpack-c, then the field table, and only then into a struct.  JSON is
 * in json.c. */
#include "core/codec.h"

#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes of a stranger ------------------------------------------------ */

static uint32_t big_endian(const uint8_t *bytes, unsigned count)
{
    uint32_t value = 0;

    while (count-- > 0)
        value = value << 8 | *bytes++;
    return value;
}

/* What follows one msgpack head: @skip bytes of its own, then @kids objects.
 * False for what we never accept: extensions and the reserved byte. */
struct head {
    unsigned length_bytes; /* of the length behind the first byte */
    uint32_t skip, kids;
};

static bool read_head(const uint8_t *at, size_t left, struct head *head)
{
    static const uint8_t wide[] = {1, 2, 4};
    static const uint8_t number[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    uint8_t b = *at;
    uint32_t n;

    memset(head, 0, sizeof *head);
    if (b <= 0x7f || b >= 0xe0 || b == 0xc0 || b == 0xc2 || b == 0xc3)
        return true; /* small integers, nil, booleans */
    if (b >= 0x80 && b <= 0x9f) {
        head->kids = b <= 0x8f ? (b & 0x0fu) * 2 : b & 0x0fu;
        return true;
    }
    if (b >= 0xa0 && b <= 0xbf) {
        head->skip = b & 0x1fu;
        return true;
    }
    if (b >= 0xca && b <= 0xd3) {
        head->skip = number[b - 0xca];
        return true;
    }
    if (b >= 0xc4 && b <= 0xc6)
        head->length_bytes = wide[b - 0xc4];
    else if (b >= 0xd9 && b <= 0xdb)
        head->length_bytes = wide[b - 0xd9];
    else if (b >= 0xdc)
        head->length_bytes = b & 1 ? 4 : 2;
    else
        return false;
    if (head->length_bytes >= left)
        return false;
    n = big_endian(at + 1, head->length_bytes);
    if (b < 0xdc)
        head->skip = n;
    else if (n > ITEMS_MAX)
        return false;
    else
        head->kids = b >= 0xde ? n * 2 : n;
    return true;
}

bool codec_check_bytes(const void *bytes, size_t count)
{
    const uint8_t *at = bytes, *end = at + count;
    uint32_t left[DEPTH_MAX + 1] = {1}, items = 0;
    unsigned depth = 0;

    for (;;) {
        struct head head;

        while (left[depth] == 0) {
            if (depth == 0)
                return at == end;
            depth--;
        }
        left[depth]--;
        if (at == end || ++items > ITEMS_MAX ||
            !read_head(at, (size_t)(end - at), &head))
            return false;
        at += 1 + head.length_bytes;
        if (head.skip > (size_t)(end - at))
            return false;
        at += head.skip;
        if (head.kids > (size_t)(end - at) ||
            (head.kids > 0 && depth == DEPTH_MAX))
            return false;
        if (head.kids > 0)
            left[++depth] = head.kids;
    }
}

/* UTF-8 as RFC 3629 has it, without control characters. */
static bool text_is_clean(const char *text, size_t count)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + count;

    while (at < end) {
        uint32_t c = *at++;
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        static const uint32_t mask[] = {0x7f, 0x1f, 0x0f, 0x07};

        if (c > 0xf4 || (c >= 0x80 && more == 0) || more > (size_t)(end - at))
            return false;
        c &= mask[more];
        for (unsigned i = 0; i < more; i++) {
            if ((*at & 0xc0) != 0x80)
                return false;
            c = c << 6 | (*at++ & 0x3fu);
        }
        if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ||
            c < 0x20 || (c >= 0x7f && c <= 0x9f))
            return false;
    }
    return true;
}

/* ---- one field ---------------------------------------------------------- */

static void *at_field(void *base, const struct field *field)
{
    return (char *)base + field->offset;
}

static int64_t int_at(const void *base, const struct field *field)
{
    int64_t value;

    memcpy(&value, (const char *)base + field->offset, sizeof value);
    return value;
}

static const char *text_at(const void *base, const struct field *field)
{
    return (const char *)base + field->offset;
}

static void *at_item(void *base, const struct field *list, uint32_t i)
{
    return (char *)base + list->list + (size_t)i * list->item_bytes;
}

static bool is_zero(const struct field *field, const void *base)
{
    switch (field->kind) {
    case FIELD_INT:
        return int_at(base, field) == 0;
    case FIELD_ID:
    case FIELD_TEXT:
        return text_at(base, field)[0] == '\0';
    case FIELD_LIST:
        return field_count(field, base) == 0;
    }
    return false;
}

/* ---- checking values ---------------------------------------------------- */

static const char *check_fields(const struct field *fields, const void *base,
                                const char **field);

static const char *check_items(const struct field *list, const void *base,
                               uint32_t count, const char **field)
{
    const struct field *key = &list->items[0];

    for (uint32_t i = 0; i < count; i++) {
        const void *item = field_item(list, base, i);
        const char *why = check_fields(list->items, item, field);

        if (why != NULL)
            return why;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(text_at(item, key),
                       text_at(field_item(list, base, k), key)) == 0) {
                *field = key->name;
                return "given twice";
            }
    }
    return NULL;
}

static const char *check_field(const struct field *f, const void *base,
                               const char **field)
{
    const char *text = text_at(base, f);

    *field = f->name;
    switch (f->kind) {
    case FIELD_INT:
        return int_at(base, f) < f->min   ? "too small, or missing"
               : int_at(base, f) > f->max ? "too large"
                                          : NULL;
    case FIELD_ID:
        return text_is_id(text, f->size)
                   ? NULL
                   : "must be letters, digits and . _ - only";
    case FIELD_TEXT:
        return memchr(text, '\0', f->size) != NULL &&
                       text_is_clean(text, strlen(text))
                   ? NULL
                   : "not clean UTF-8 text";
    case FIELD_LIST:
        if ((int64_t)field_count(f, base) < f->min)
            return "empty";
        if ((int64_t)field_count(f, base) > f->max)
            return "too many";
        return check_items(f, base, field_count(f, base), field);
    }
    return "of no known kind";
}

static const char *check_fields(const struct field *fields, const void *base,
                                const char **field)
{
    for (; fields->name != NULL; fields++) {
        const char *why = check_field(fields, base, field);

        if (why != NULL)
            return why;
    }
    return NULL;
}

enum evt_status codec_check(const struct message *message,
                            const struct payload *payload, const char **why,
                            const char **field)
{
    const char *name = NULL;
    const char *problem = check_fields(message->fields, payload, &name);

    if (problem == NULL)
        return EVT_OK;
    *why = problem;
    *field = name;
    return EVT_BAD;
}

bool codec_check_state(const struct field *fields, const void *base)
{
    const char *field;

    return check_fields(fields, base, &field) == NULL;
}

/* ---- encoding ----------------------------------------------------------- */

/* A fixed buffer that msgpack-c packs into. */
struct out {
    uint8_t *bytes;
    size_t count;
};

static int write_out(void *ctx, const char *bytes, size_t count)
{
    struct out *out = ctx;

    assert(count <= DATA_MAX - out->count);
    memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
    return 0;
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

static void pack_fields(msgpack_packer *packer, const struct field *fields,
                        const void *base)
{
    size_t count = 0;

    for (const struct field *f = fields; f->name != NULL; f++)
        count += !is_zero(f, base);
    msgpack_pack_map(packer, count);
    for (const struct field *f = fields; f->name != NULL; f++) {
        if (is_zero(f, base))
            continue;
        pack_text(packer, f->name);
        if (f->kind == FIELD_INT) {
            msgpack_pack_int64(packer, int_at(base, f));
        } else if (f->kind == FIELD_LIST) {
            uint32_t items = field_count(f, base);

            msgpack_pack_array(packer, items);
            for (uint32_t i = 0; i < items; i++)
                pack_fields(packer, f->items, field_item(f, base, i));
        } else {
            pack_text(packer, text_at(base, f));
        }
    }
}

size_t codec_encode(const struct message *message,
                    const struct payload *payload, uint8_t bytes[DATA_MAX])
{
    struct out out = {.bytes = bytes};
    const char *why, *field;
    msgpack_packer packer;

    assert(codec_check(message, payload, &why, &field) == EVT_OK);
    msgpack_packer_init(&packer, &out, write_out);
    pack_fields(&packer, message->fields, payload);
    return out.count;
}

/* ---- decoding ----------------------------------------------------------- */

/* Of msgpack-c's tree: more than an order with a line needs, and little enough
 * for malloc to hand out without a search; the 8 KiB that msgpack-c takes by
 * itself are not. */
enum { ZONE_BYTES = 960 };

struct problem {
    const char *why, *field;
};

static bool bad(struct problem *problem, const char *why, const char *field)
{
    problem->why = why;
    problem->field = field;
    return false;
}

static bool unpack_map(const struct field *fields, const msgpack_object *map,
                       void *base, struct problem *problem);

static bool unpack_list(const struct field *f, const msgpack_object *value,
                        void *base, struct problem *problem)
{
    const msgpack_object_array *array = &value->via.array;

    if (value->type != MSGPACK_OBJECT_ARRAY)
        return bad(problem, "not a list", f->name);
    if (array->size > f->max)
        return bad(problem, "too many", f->name);
    memcpy(at_field(base, f), &array->size, sizeof array->size);
    for (uint32_t i = 0; i < array->size; i++)
        if (!unpack_map(f->items, &array->ptr[i], at_item(base, f, i), problem))
            return false;
    return true;
}

static bool unpack_field(const struct field *f, const msgpack_object *value,
                         void *base, struct problem *problem)
{
    if (f->kind == FIELD_LIST)
        return unpack_list(f, value, base, problem);
    if (f->kind == FIELD_INT) {
        int64_t number = value->via.i64;

        if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER
                ? value->via.u64 > INT64_MAX
                : value->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
            return bad(problem, "not a whole number", f->name);
        memcpy(at_field(base, f), &number, sizeof number);
        return true;
    }
    if (value->type != MSGPACK_OBJECT_STR)
        return bad(problem, "not text", f->name);
    if (value->via.str.size >= f->size)
        return bad(problem, "too long", f->name);
    if (memchr(value->via.str.ptr, '\0', value->via.str.size) != NULL)
        return bad(problem, "not clean UTF-8 text", f->name);
    memcpy(at_field(base, f), value->via.str.ptr, value->via.str.size);
    return true;
}

/* Fields may come in any order, each once; a missing one stays zero. */
static bool unpack_map(const struct field *fields, const msgpack_object *map,
                       void *base, struct problem *problem)
{
    uint32_t seen = 0;

    if (map->type != MSGPACK_OBJECT_MAP)
        return bad(problem, "not a map", NULL);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        const msgpack_object_str *key = &pair->key.via.str;
        const struct field *f = fields;
        uint32_t bit = 1;

        if (pair->key.type != MSGPACK_OBJECT_STR)
            return bad(problem, "a field without a name", NULL);
        while (f->name != NULL && (strlen(f->name) != key->size ||
                                   memcmp(f->name, key->ptr, key->size) != 0)) {
            f++;
            bit <<= 1;
        }
        if (f->name == NULL)
            return bad(problem, "unknown field", NULL);
        if (seen & bit)
            return bad(problem, "given twice", f->name);
        seen |= bit;
        if (!unpack_field(f, &pair->val, base, problem))
            return false;
    }
    return true;
}

enum evt_status codec_decode(const struct message *message,
                             const uint8_t *bytes, size_t count,
                             struct payload *payload, const char **why,
                             const char **field)
{
    struct problem problem = {"not a msgpack map", NULL};
    struct payload decoded;
    msgpack_object map;
    msgpack_zone zone;
    size_t used = 0;
    bool good = false;

    memset(&decoded, 0, sizeof decoded);
    if (!msgpack_zone_init(&zone, ZONE_BYTES))
        abort(); /* out of memory */
    if (count <= DATA_MAX && codec_check_bytes(bytes, count) &&
        msgpack_unpack((const char *)bytes, count, &used, &zone, &map) ==
            MSGPACK_UNPACK_SUCCESS &&
        used == count)
        good = unpack_map(message->fields, &map, &decoded, &problem);
    msgpack_zone_destroy(&zone);
    if (good)
        good = codec_check(message, &decoded, &problem.why, &problem.field) ==
               EVT_OK;
    if (!good) {
        *why = problem.why;
        *field = problem.field;
        return EVT_BAD;
    }
    *payload = decoded;
    return EVT_OK;
}

/* ---- trimming and comparing --------------------------------------------- */

static void keep_fields(const struct field *fields, const void *from, void *to)
{
    for (; fields->name != NULL; fields++) {
        if (fields->kind == FIELD_LIST) {
            uint32_t count = field_count(fields, from);

            memcpy(at_field(to, fields), &count, sizeof count);
            for (uint32_t i = 0; i < count && i < fields->max; i++)
                keep_fields(fields->items, field_item(fields, from, i),
                            at_item(to, fields, i));
        } else {
            memcpy(at_field(to, fields), (const char *)from + fields->offset,
                   fields->kind == FIELD_INT ? sizeof(int64_t) : fields->size);
        }
    }
}

void codec_trim(const struct message *message, struct payload *payload)
{
    struct payload kept;

    memset(&kept, 0, sizeof kept);
    keep_fields(message->fields, payload, &kept);
    *payload = kept;
}

static bool fields_agree(const struct field *a, const void *pa,
                         const struct field *b, const void *pb);

static bool field_agrees(const struct field *a, const void *pa,
                         const struct field *b, const void *pb)
{
    if (a->kind == FIELD_INT)
        return int_at(pa, a) == int_at(pb, b);
    if (a->kind != FIELD_LIST)
        return strcmp(text_at(pa, a), text_at(pb, b)) == 0;
    if (field_count(a, pa) != field_count(b, pb))
        return false;
    for (uint32_t i = 0; i < field_count(a, pa); i++)
        if (!fields_agree(a->items, field_item(a, pa, i), b->items,
                          field_item(b, pb, i)))
            return false;
    return true;
}

static bool fields_agree(const struct field *a, const void *pa,
                         const struct field *b, const void *pb)
{
    for (; a->name != NULL; a++)
        for (const struct field *f = b; f->name != NULL; f++)
            if (strcmp(a->name, f->name) == 0 && a->kind == f->kind &&
                !is_zero(a, pa) && !field_agrees(a, pa, f, pb))
                return false;
    return true;
}

bool codec_agrees(const struct message *a, const struct payload *pa,
                  const struct message *b, const struct payload *pb)
{
    return fields_agree(a->fields, pa, b->fields, pb);
}

/* ---- rows --------------------------------------------------------------- */

void codec_to_row(const struct event *event, uint8_t data[DATA_MAX],
                  struct row *row)
{
    const struct message *message = shop_message(event->type);

    memset(row, 0, sizeof *row);
    row->seq = event->at.seq;
    text_copy(row->type, sizeof row->type, message->name);
    row->version = message->version;
    memcpy(row->order_id, event->order_id, ID_BYTES);
    row->time_ms = event->time_ms;
    memcpy(row->cause_source, event->cause.source, SERVICE_BYTES);
    memcpy(row->cause_log, event->cause.at.log_id, LOG_ID_BYTES);
    row->cause_seq = event->cause.at.seq;
    memcpy(row->command_id, event->cause.command_id, ID_BYTES);
    row->data = data;
    row->data_bytes = (uint32_t)codec_encode(message, &event->data, data);
}

enum evt_status codec_from_row(const char *source,
                               const uint8_t log_id[LOG_ID_BYTES],
                               const struct row *row, struct event *event,
                               const char **why, const char **field)
{
    uint32_t newest = 0;
    const struct message *message =
        shop_message_named(row->type, row->version, &newest);
    enum evt_status rc;

    if (newest == 0)
        return EVT_NONE;
    if (message == NULL && row->version > newest)
        return EVT_NEWER;
    if (message == NULL) {
        *why = "no such version";
        *field = NULL;
        return EVT_BAD;
    }
    memset(event, 0, offsetof(struct event, data));
    rc = codec_decode(message, row->data, row->data_bytes, &event->data, why,
                      field);
    if (rc != EVT_OK)
        return rc;
    for (const struct message *m = message; m->upcast != NULL; m++)
        m->upcast(&event->data); /* versions stand in ascending order */
    event->type = message->type;
    text_copy(event->source, SERVICE_BYTES, source);
    memcpy(event->at.log_id, log_id, LOG_ID_BYTES);
    event->at.seq = row->seq;
    memcpy(event->order_id, row->order_id, ID_BYTES);
    event->time_ms = row->time_ms;
    memcpy(event->cause.source, row->cause_source, SERVICE_BYTES);
    memcpy(event->cause.at.log_id, row->cause_log, LOG_ID_BYTES);
    event->cause.at.seq = row->cause_seq;
    memcpy(event->cause.command_id, row->command_id, ID_BYTES);
    return EVT_OK;
}
