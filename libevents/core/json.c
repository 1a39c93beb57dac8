/* json.c - events and states as JSON.
 *
 * The same field tables as codec.c, walked for people and programs.  Nothing
 * here is stored or hashed. */
#include "core/json.h"

#include "core/codec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- out ---- */

/* How many items to show: a damaged state may count more than it holds. */
static uint32_t items_in(const struct field *list, const void *base)
{
    uint32_t count = field_count(list, base);

    return count <= list->max ? count : (uint32_t)list->max;
}

static json_t *list_to_json(const struct field *list, const void *base)
{
    json_t *array = json_array();
    uint32_t count = items_in(list, base);

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(
            array, json_from_fields(list->items, field_item(list, base, i)));
    return array;
}

static json_t *int_to_json(const struct field *field, const void *base)
{
    int64_t value;

    memcpy(&value, (const char *)base + field->offset, sizeof value);
    if (field->names != NULL && value >= 0 && value <= field->max)
        return json_string(field->names[value]);
    return json_integer(value);
}

json_t *json_from_fields(const struct field *fields, const void *base)
{
    json_t *object = json_object();

    for (const struct field *f = fields; f->name != NULL; f++) {
        json_t *value;

        if (f->kind == FIELD_INT)
            value = int_to_json(f, base);
        else if (f->kind == FIELD_LIST)
            value = list_to_json(f, base);
        else
            value = json_string((const char *)base + f->offset);
        json_object_set_new(object, f->name, value);
    }
    return object;
}

/* ---- the same as text ---- */

struct text {
    char *bytes;
    size_t count;
};

static void put(struct text *text, const char *bytes, size_t count)
{
    assert(count < FIELDS_TEXT_MAX - text->count);
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
}

/* Ids and texts hold no control characters (see codec.c), which leaves two
 * that JSON wants escaped. */
static void put_string(struct text *text, const char *string)
{
    size_t plain;

    put(text, "\"", 1);
    for (;; string += plain + 1) {
        plain = strcspn(string, "\"\\");
        put(text, string, plain);
        if (string[plain] == '\0')
            break;
        put(text, "\\", 1);
        put(text, string + plain, 1);
    }
    put(text, "\"", 1);
}

static void put_int(struct text *text, const struct field *field,
                    const void *base)
{
    char digits[24], *first = digits + sizeof digits;
    int64_t value;
    uint64_t left;

    memcpy(&value, (const char *)base + field->offset, sizeof value);
    if (field->names != NULL && value >= 0 && value <= field->max) {
        put_string(text, field->names[value]);
        return;
    }
    left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        *--first = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        *--first = '-';
    put(text, first, (size_t)(digits + sizeof digits - first));
}

static void put_fields(struct text *text, const struct field *fields,
                       const void *base)
{
    uint32_t count;

    put(text, "{", 1);
    for (const struct field *f = fields; f->name != NULL; f++) {
        put(text, ",", f != fields);
        put_string(text, f->name);
        put(text, ":", 1);
        if (f->kind == FIELD_INT) {
            put_int(text, f, base);
        } else if (f->kind == FIELD_LIST) {
            count = items_in(f, base);
            put(text, "[", 1);
            for (uint32_t i = 0; i < count; i++) {
                put(text, ",", i > 0);
                put_fields(text, f->items, field_item(f, base, i));
            }
            put(text, "]", 1);
        } else {
            put_string(text, (const char *)base + f->offset);
        }
    }
    put(text, "}", 1);
}

size_t json_write_fields(const struct field *fields, const void *base,
                         char bytes[FIELDS_TEXT_MAX])
{
    struct text text = {.bytes = bytes};

    put_fields(&text, fields, base);
    bytes[text.count] = '\0';
    return text.count;
}

/* ---- rows ---- */

static json_t *hex_json(const uint8_t *bytes, size_t count)
{
    char text[2 * DATA_MAX + 1];

    return json_string(text_hex(bytes, count, text));
}

static json_t *cause_to_json(const struct row *row)
{
    char text[4 * ID_BYTES];

    /* An edited file can hold what is not text. */
    if (row->command_id[0] != '\0')
        return json_pack("{s:s}", "command",
                         text_plain(row->command_id, false, text, sizeof text));
    return json_pack("{s:s,s:o,s:I}", "source",
                     text_plain(row->cause_source, false, text, sizeof text),
                     "log", hex_json(row->cause_log, LOG_ID_BYTES), "seq",
                     (json_int_t)row->cause_seq);
}

json_t *json_from_row(const struct domain *domain, const char *source,
                      const uint8_t log_id[LOG_ID_BYTES], const struct row *row,
                      const uint8_t *hash)
{
    const char *why = "unknown type", *field = NULL;
    char type[4 * sizeof row->type], order[4 * sizeof row->order_id];
    struct event event;
    enum evt_status rc =
        codec_from_row(domain, source, log_id, row, &event, &why, &field);
    json_t *json = json_pack(
        "{s:s,s:o,s:I,s:s,s:I,s:s,s:I,s:o}", "source", source, "log",
        hex_json(log_id, LOG_ID_BYTES), "seq", (json_int_t)row->seq, "type",
        text_plain(row->type, false, type, sizeof type), "version",
        (json_int_t)row->version, "order",
        text_plain(row->order_id, false, order, sizeof order), "time_ms",
        (json_int_t)row->time_ms, "cause", cause_to_json(row));

    if (rc == EVT_OK) {
        json_object_set_new(
            json, "data",
            json_from_fields(domain_message(domain, event.type)->fields,
                             event.data));
    } else {
        json_object_set_new(json, "raw", hex_json(row->data, row->data_bytes));
        json_object_set_new(
            json, "problem",
            json_string(rc == EVT_NEWER ? "newer than this program" : why));
    }
    if (hash != NULL)
        json_object_set_new(json, "hash", hex_json(hash, HASH_BYTES));
    return json;
}

/* ---- in ---- */

/* Copies a member's text; a missing one is "" if it may be. */
static bool text_member(const json_t *json, const char *name, bool needed,
                        char *text, size_t size)
{
    const json_t *member = json_object_get(json, name);

    memset(text, 0, size);
    if (member == NULL)
        return !needed;
    if (!json_is_string(member) || json_string_length(member) >= size ||
        strlen(json_string_value(member)) != json_string_length(member))
        return false;
    memcpy(text, json_string_value(member), json_string_length(member));
    return true;
}

static bool int_member(const json_t *json, const char *name, int64_t least,
                       int64_t *value)
{
    const json_t *member = json_object_get(json, name);

    *value = json_integer_value(member);
    return json_is_integer(member) && *value >= least;
}

static bool log_member(const json_t *json, uint8_t log_id[LOG_ID_BYTES])
{
    const char *text = json_string_value(json_object_get(json, "log"));

    return text != NULL && text_parse_hex(text, log_id, LOG_ID_BYTES);
}

static bool cause_member(const json_t *json, struct cause *cause)
{
    const json_t *member = json_object_get(json, "cause");
    int64_t seq;

    if (json_object_get(member, "command") != NULL)
        return text_member(member, "command", true, cause->command_id,
                           ID_BYTES);
    if (!text_member(member, "source", true, cause->source, SERVICE_BYTES) ||
        !log_member(member, cause->at.log_id) ||
        !int_member(member, "seq", 0, &seq))
        return false;
    cause->at.seq = (uint64_t)seq;
    return true;
}

static bool fields_from_json(const struct field *fields, const json_t *json,
                             void *base);

static bool list_from_json(const struct field *list, const json_t *array,
                           void *base)
{
    uint32_t count = (uint32_t)json_array_size(array);
    char *at = (char *)base + list->list;

    if (!json_is_array(array) || json_array_size(array) > (size_t)list->max)
        return false;
    memcpy((char *)base + list->offset, &count, sizeof count);
    for (size_t i = 0; i < count; i++)
        if (!fields_from_json(list->items, json_array_get(array, i),
                              at + i * list->item_bytes))
            return false;
    return true;
}

static bool fields_from_json(const struct field *fields, const json_t *json,
                             void *base)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        char *at = (char *)base + f->offset;
        int64_t value;

        if (f->kind == FIELD_LIST) {
            if (!list_from_json(f, json_object_get(json, f->name), base))
                return false;
        } else if (f->kind == FIELD_INT) {
            if (!int_member(json, f->name, INT64_MIN, &value))
                return false;
            memcpy(at, &value, sizeof value);
        } else if (!text_member(json, f->name, true, at, f->size)) {
            return false;
        }
    }
    return true;
}

static bool envelope_from_json(const json_t *json, struct event *event)
{
    int64_t seq, time_ms;

    memset(event, 0, sizeof *event);
    if (!text_member(json, "source", true, event->source, SERVICE_BYTES) ||
        !text_member(json, "order", false, event->order_id, ID_BYTES) ||
        !log_member(json, event->at.log_id) ||
        !int_member(json, "seq", 1, &seq) ||
        !int_member(json, "time_ms", INT64_MIN, &time_ms) ||
        !cause_member(json, &event->cause))
        return false;
    event->at.seq = (uint64_t)seq;
    event->time_ms = time_ms;
    return true;
}

enum evt_status json_to_event(const struct domain *domain, const json_t *json,
                              struct event *event)
{
    char type[sizeof((struct row *)0)->type];
    const char *why, *field;
    const struct message *newest;
    const json_t *data;
    struct event read;
    uint32_t known;
    int64_t version;

    if (!envelope_from_json(json, &read) ||
        !text_member(json, "type", true, type, sizeof type) ||
        !int_member(json, "version", 1, &version))
        return EVT_BAD;
    newest = domain_message_named(domain, type, 1, &known);
    if (newest == NULL || version > (int64_t)known) {
        *event = read;
        return newest == NULL ? EVT_NONE : EVT_NEWER;
    }
    /* "data" is always of the newest version: json_from_row has upcast it */
    newest = domain_message(domain, newest->type);
    data = json_object_get(json, "data");
    if (!json_is_object(data) ||
        !fields_from_json(newest->fields, data, read.data) ||
        codec_check(newest, read.data, &why, &field) != EVT_OK)
        return EVT_BAD;
    read.type = newest->type;
    *event = read;
    return EVT_OK;
}
