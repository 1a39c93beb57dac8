/* sample.c - see sample.h. */
#include "sample.h"

#include "must.h"
#include "shop/shop.h"

#include <stdio.h>
#include <string.h>

uint64_t sample_random(struct sample *sample, uint64_t below)
{
    return must_random(&sample->random, below);
}

static int64_t some_int(struct sample *sample, const struct field *f)
{
    uint64_t span = (uint64_t)f->max - (uint64_t)f->min;

    switch (sample_random(sample, 6)) {
    case 0:
        return f->min;
    case 1:
        return f->max;
    case 2: /* around the sizes of msgpack's integers */
        span = span > 70000 ? 70000 : span;
        break;
    case 3:
        span = span > 300 ? 300 : span;
        break;
    default:
        break;
    }
    return f->min + (int64_t)sample_random(sample, span == 0 ? 1 : span);
}

static void some_id(struct sample *sample, char *text, size_t size)
{
    static const char letters[] = "ABCXYZabcxyz0189._-";
    size_t length = 1 + (size_t)sample_random(sample, size - 1);

    if (sample_random(sample, 4) == 0)
        length = size - 1;
    memset(text, 0, size);
    for (size_t i = 0; i < length; i++)
        text[i] = letters[sample_random(sample, sizeof letters - 1)];
}

/* One, two, three and four bytes a letter. */
static void some_text(struct sample *sample, char *text, size_t size)
{
    static const char *const letters[] = {"a",
                                          "Z",
                                          " ",
                                          "~",
                                          "\"",
                                          "\\",
                                          "/",
                                          "<",
                                          "'",
                                          "\xc3\xa4",
                                          "\xe2\x82\xac",
                                          "\xf0\x9f\x8d\x8e",
                                          "\xc2\xa0",
                                          "\xed\x9f\xbf",
                                          "\xee\x80\x80",
                                          "\xf4\x8f\xbf\xbf"};
    size_t wanted = (size_t)sample_random(sample, size), length = 0;

    if (sample_random(sample, 4) == 0)
        wanted = size - 1;
    memset(text, 0, size);
    for (;;) {
        const char *letter = letters[sample_random(sample, 16)];

        if (length + strlen(letter) > wanted)
            break;
        strcpy(text + length, letter);
        length += strlen(letter);
    }
}

static void some_fields(struct sample *sample, const struct field *fields,
                        void *base);

static void some_lines(struct sample *sample, const struct field *list,
                       struct payload *payload)
{
    uint64_t span = (uint64_t)(list->max - list->min) + 1;

    payload->line_count = (uint32_t)list->min;
    payload->line_count += (uint32_t)sample_random(sample, span);
    if (sample_random(sample, 4) == 0)
        payload->line_count = (uint32_t)list->max;
    for (uint32_t i = 0; i < payload->line_count; i++) {
        some_fields(sample, list->items, &payload->lines[i]);
        /* no key twice: one letter tells them apart */
        payload->lines[i].sku[0] = (char)('a' + i);
    }
}

static void some_fields(struct sample *sample, const struct field *fields,
                        void *base)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        char *at = (char *)base + f->offset;
        int64_t value;

        switch (f->kind) {
        case FIELD_INT:
            value = some_int(sample, f);
            memcpy(at, &value, sizeof value);
            break;
        case FIELD_ID:
            some_id(sample, at, f->size);
            break;
        case FIELD_TEXT:
            some_text(sample, at, f->size);
            break;
        case FIELD_LIST:
            some_lines(sample, f, base);
            break;
        }
    }
}

void sample_payload(struct sample *sample, const struct message *message,
                    struct payload *payload)
{
    memset(payload, 0, sizeof *payload);
    some_fields(sample, message->fields, payload);
}

static void largest_fields(const struct field *fields, void *base)
{
    for (const struct field *f = fields; f->name != NULL; f++) {
        char *at = (char *)base + f->offset;
        struct payload *payload = base;

        if (f->kind == FIELD_INT) {
            memcpy(at, &f->max, sizeof f->max);
        } else if (f->kind != FIELD_LIST) {
            memset(at, 'z', f->size - 1u);
        } else {
            payload->line_count = (uint32_t)f->max;
            for (uint32_t i = 0; i < payload->line_count; i++) {
                largest_fields(f->items, &payload->lines[i]);
                payload->lines[i].sku[0] = (char)('a' + i);
            }
        }
    }
}

void sample_largest(const struct message *message, struct payload *payload)
{
    memset(payload, 0, sizeof *payload);
    largest_fields(message->fields, payload);
}

void sample_event(struct sample *sample, unsigned type, struct event *event)
{
    memset(event, 0, sizeof *event);
    event->type = type;
    some_id(sample, event->order_id, ID_BYTES);
    event->time_ms = (int64_t)sample_random(sample, UINT64_C(1) << 42);
    if (sample_random(sample, 2) == 0) {
        some_id(sample, event->cause.command_id, ID_BYTES);
    } else {
        text_copy(event->cause.source, SERVICE_BYTES,
                  shop_services[sample_random(sample, SERVICES)]);
        for (size_t i = 0; i < LOG_ID_BYTES; i++)
            event->cause.at.log_id[i] =
                (uint8_t)(1 + sample_random(sample, 255));
        event->cause.at.seq = 1 + sample_random(sample, 1000000);
    }
    sample_payload(sample, shop_message(type), payload_in(event->data));
}
