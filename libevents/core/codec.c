/* codec.c - payloads <-> msgpack maps, by the catalogue's field tables.
 *
 * One walk over a field table serves every message: it encodes, decodes,
 * checks, trims, compares.  msgpack-c writes; bytes of a stranger are read by
 * unpack.c.  JSON is in json.c. */
#include "core/codec.h"

#include "core/unpack.h"

#include <assert.h>
#include <msgpack.h>
#include <string.h>

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

enum evt_status codec_check(const struct message *message, const void *payload,
                            const char **why, const char **field)
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

size_t codec_encode(const struct message *message, const void *payload,
                    uint8_t bytes[DATA_MAX])
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

struct problem {
    const char *why, *field;
};

static bool bad(struct problem *problem, const char *why, const char *field)
{
    *problem = (struct problem){why, field};
    return false;
}

static bool take(struct unpack *in, struct element *element,
                 struct problem *problem)
{
    if (unpack_next(in, element))
        return true;
    return bad(problem, "not a msgpack map", NULL);
}

static bool decode_map(const struct field *fields, struct unpack *in,
                       void *base, struct problem *problem);

static bool decode_list(const struct field *f, const struct element *list,
                        struct unpack *in, void *base, struct problem *problem)
{
    uint32_t count = (uint32_t)list->value;

    if (list->kind != UNPACK_LIST)
        return bad(problem, "not a list", f->name);
    if (count > f->max)
        return bad(problem, "too many", f->name);
    memcpy(at_field(base, f), &count, sizeof count);
    for (uint32_t i = 0; i < count; i++)
        if (!decode_map(f->items, in, at_item(base, f, i), problem))
            return false;
    return true;
}

static bool decode_field(const struct field *f, struct unpack *in, void *base,
                         struct problem *problem)
{
    struct element element;

    if (!take(in, &element, problem))
        return false;
    if (f->kind == FIELD_LIST)
        return decode_list(f, &element, in, base, problem);
    if (f->kind == FIELD_INT) {
        if (element.kind == UNPACK_UINT ? element.value > INT64_MAX
                                        : element.kind != UNPACK_INT)
            return bad(problem, "not a whole number", f->name);
        memcpy(at_field(base, f), &element.value, sizeof element.value);
        return true;
    }
    if (element.kind != UNPACK_TEXT)
        return bad(problem, "not text", f->name);
    if (element.value >= f->size)
        return bad(problem, "too long", f->name);
    if (memchr(element.bytes, '\0', element.value) != NULL)
        return bad(problem, "not clean UTF-8 text", f->name);
    memcpy(at_field(base, f), element.bytes, element.value);
    return true;
}

/* Where the field called @name stands in @fields; where they end, if none of
 * them is called so. */
static unsigned find_field(const struct field *fields,
                           const struct element *name)
{
    unsigned i = 0;

    while (fields[i].name != NULL &&
           (strlen(fields[i].name) != name->value ||
            memcmp(fields[i].name, name->bytes, name->value) != 0))
        i++;
    return i;
}

/* Fields may come in any order, each once; a missing one stays zero. */
static bool decode_map(const struct field *fields, struct unpack *in,
                       void *base, struct problem *problem)
{
    struct element map, name;
    uint32_t seen = 0;

    if (!take(in, &map, problem))
        return false;
    if (map.kind != UNPACK_MAP)
        return bad(problem, "not a map", NULL);
    while (map.value-- > 0) {
        const struct field *f;

        if (!take(in, &name, problem))
            return false;
        if (name.kind != UNPACK_TEXT)
            return bad(problem, "a field without a name", NULL);
        f = &fields[find_field(fields, &name)];
        if (f->name == NULL)
            return bad(problem, "unknown field", NULL);
        if (seen & UINT32_C(1) << (f - fields))
            return bad(problem, "given twice", f->name);
        seen |= UINT32_C(1) << (f - fields);
        if (!decode_field(f, in, base, problem))
            return false;
    }
    return true;
}

enum evt_status codec_decode(const struct domain *domain,
                             const struct message *message,
                             const uint8_t *bytes, size_t count, void *payload,
                             const char **why, const char **field)
{
    struct problem problem = {"not a msgpack map", NULL};
    struct unpack in = {bytes, bytes + count};
    alignas(max_align_t) unsigned char decoded[PAYLOAD_BYTES_MAX];
    bool good;

    memset(decoded, 0, domain->payload_bytes);
    good = decode_map(message->fields, &in, decoded, &problem);
    if (good && in.at != in.end)
        good = bad(&problem, "not a msgpack map", NULL);
    if (good)
        good = codec_check(message, decoded, &problem.why, &problem.field) ==
               EVT_OK;
    if (!good) {
        *why = problem.why;
        *field = problem.field;
        return EVT_BAD;
    }
    memcpy(payload, decoded, domain->payload_bytes);
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

void codec_trim(const struct domain *domain, const struct message *message,
                void *payload)
{
    alignas(max_align_t) unsigned char kept[PAYLOAD_BYTES_MAX];

    memset(kept, 0, domain->payload_bytes);
    keep_fields(message->fields, payload, kept);
    memcpy(payload, kept, domain->payload_bytes);
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

bool codec_agrees(const struct message *a, const void *pa,
                  const struct message *b, const void *pb)
{
    return fields_agree(a->fields, pa, b->fields, pb);
}

/* ---- rows --------------------------------------------------------------- */

void codec_to_row(const struct domain *domain, const struct event *event,
                  uint8_t data[DATA_MAX], struct row *row)
{
    const struct message *message = domain_message(domain, event->type);

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
    row->data_bytes = (uint32_t)codec_encode(message, event->data, data);
}

enum evt_status codec_from_row(const struct domain *domain, const char *source,
                               const uint8_t log_id[LOG_ID_BYTES],
                               const struct row *row, struct event *event,
                               const char **why, const char **field)
{
    uint32_t newest = 0;
    const struct message *message =
        domain_message_named(domain, row->type, row->version, &newest);
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
    rc = codec_decode(domain, message, row->data, row->data_bytes, event->data,
                      why, field);
    if (rc != EVT_OK)
        return rc;
    for (const struct message *m = message; m->upcast != NULL; m++)
        m->upcast(event->data); /* versions stand in ascending order */
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
