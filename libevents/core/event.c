/* event.c - ids, tags and the hash chain.
 *
 * The chain is what a cursor's hash stands on: equal hash, equal history.
 * Pure but for libsodium's BLAKE2b.  Next in reading order: codec.h. */
#include "core/event.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void event_genesis(const char *source, const uint8_t log_id[LOG_ID_BYTES],
                   uint8_t hash[HASH_BYTES])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)source, strlen(source));
    crypto_generichash_update(&state, log_id, LOG_ID_BYTES);
    crypto_generichash_final(&state, hash, HASH_BYTES);
}

/* Columns, each behind its length, gathered so that one call hashes them. */
struct columns {
    size_t count;
    uint8_t bytes[HASH_BYTES + 512];
};

static void put_length(struct columns *columns, size_t length)
{
    uint32_t big_endian = htobe32((uint32_t)length);

    memcpy(columns->bytes + columns->count, &big_endian, sizeof big_endian);
    columns->count += sizeof big_endian;
}

static void put(struct columns *columns, const void *bytes, size_t length)
{
    put_length(columns, length);
    assert(columns->count + length <= sizeof columns->bytes);
    memcpy(columns->bytes + columns->count, bytes, length);
    columns->count += length;
}

static void put_text(struct columns *columns, const char *text)
{
    put(columns, text, strlen(text));
}

static void put_int(struct columns *columns, uint64_t value)
{
    uint64_t big_endian = htobe64(value);

    put_length(columns, sizeof big_endian);
    memcpy(columns->bytes + columns->count, &big_endian, sizeof big_endian);
    columns->count += sizeof big_endian;
}

void event_hash(const uint8_t previous[HASH_BYTES], const struct row *row,
                uint8_t hash[HASH_BYTES])
{
    static const uint8_t none[LOG_ID_BYTES];
    bool has_log = memcmp(row->cause_log, none, LOG_ID_BYTES) != 0;
    struct columns columns = {.count = HASH_BYTES};
    crypto_generichash_state state;

    memcpy(columns.bytes, previous, HASH_BYTES);
    put_int(&columns, row->seq);
    put_text(&columns, row->type);
    put_int(&columns, row->version);
    put_text(&columns, row->order_id);
    put_int(&columns, (uint64_t)row->time_ms);
    put_text(&columns, row->cause_source);
    put(&columns, row->cause_log, has_log ? LOG_ID_BYTES : 0);
    put_int(&columns, row->cause_seq);
    put_text(&columns, row->command_id);
    put_length(&columns, row->data_bytes);
    crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
    crypto_generichash_update(&state, columns.bytes, columns.count);
    crypto_generichash_update(&state, row->data, row->data_bytes);
    crypto_generichash_final(&state, hash, HASH_BYTES);
}

void event_tag(const struct domain *domain, unsigned kind, const char *key,
               char text[TAG_BYTES])
{
    const char *name = kind == TAG_ORDER ? "order" : domain->tags[kind];
    size_t length = strlen(name);

    /* half of all statements name a tag: no snprintf */
    memcpy(text, name, length);
    text[length++] = ':';
    text_copy(text + length, TAG_BYTES - length, key);
}

static size_t add_tag(struct tag tags[], size_t count, unsigned kind,
                      const char *key)
{
    if (key[0] == '\0')
        return count;
    for (size_t i = 0; i < count; i++)
        if (tags[i].kind == kind && strcmp(tags[i].key, key) == 0)
            return count;
    assert(count < EVENT_TAGS_MAX);
    tags[count] = (struct tag){kind, key};
    return count + 1;
}

static size_t add_item_tags(struct tag tags[], size_t count,
                            const struct field *list, const void *data)
{
    for (const struct field *f = list->items; f->name != NULL; f++)
        for (uint32_t i = 0; f->tag != NO_TAG && i < field_count(list, data);
             i++)
            count =
                add_tag(tags, count, f->tag,
                        (const char *)field_item(list, data, i) + f->offset);
    return count;
}

size_t event_tags(const struct domain *domain, const struct event *event,
                  struct tag tags[EVENT_TAGS_MAX])
{
    const struct message *message = domain_message(domain, event->type);
    size_t count = add_tag(tags, 0, TAG_ORDER, event->order_id);

    if (message == NULL)
        return count;
    for (const struct field *f = message->fields; f->name != NULL; f++) {
        if (f->kind == FIELD_LIST)
            count = add_item_tags(tags, count, f, event->data);
        else if (f->tag != NO_TAG)
            count = add_tag(tags, count, f->tag,
                            (const char *)event->data + f->offset);
    }
    return count;
}

char *event_id(const char *source, const struct position *at,
               char text[EVENT_ID_BYTES])
{
    char log_id[2 * LOG_ID_BYTES + 1];

    sodium_bin2hex(log_id, sizeof log_id, at->log_id, LOG_ID_BYTES);
    snprintf(text, EVENT_ID_BYTES, "%s/%s/%llu", source, log_id,
             (unsigned long long)at->seq);
    return text;
}

bool event_type_in(unsigned type, const unsigned *types, size_t max)
{
    for (size_t i = 0; i < max && types[i] != NO_MESSAGE; i++) {
        if (types[i] == type)
            return true;
    }
    return false;
}
