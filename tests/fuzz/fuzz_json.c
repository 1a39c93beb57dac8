/* fuzz_json.c - any text as an event in the answer to a query.
 *
 * What can be read as an event can be written as a row, shown as JSON, and read
 * back as the same event. */
#include "core/codec.h"
#include "core/json.h"
#include "fuzz.h"
#include "shop/shop.h"

#include <string.h>

static bool is_name(const char *text)
{
    return text[0] == '\0' || text_is_id(text, ID_BYTES);
}

/* A damaged name is shown escaped, and so reads as another. */
static bool is_writable(const struct event *event)
{
    bool caused = event->cause.source[0] != '\0';

    return caused != (event->cause.command_id[0] != '\0') &&
           is_name(event->source) && is_name(event->order_id) &&
           is_name(event->cause.source) && is_name(event->cause.command_id);
}

static void check_event(const struct event *event)
{
    static uint8_t data[DATA_MAX];
    struct event again, from_json;
    const char *why, *field;
    struct row row;
    json_t *json;

    codec_to_row(&shop_domain, event, data, &row);
    MUST(codec_from_row(&shop_domain, event->source, event->at.log_id, &row,
                        &again, &why, &field) == EVT_OK);
    MUST(memcmp(again.data, event->data, sizeof(struct payload)) == 0);
    json = json_from_row(&shop_domain, event->source, event->at.log_id, &row,
                         NULL);
    MUST(json != NULL);
    if (json_object_get(json, "data") != NULL && is_writable(event)) {
        MUST(json_to_event(&shop_domain, json, &from_json) == EVT_OK);
        MUST(memcmp(&from_json, event, sizeof from_json) == 0);
    }
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    json_t *json =
        json_loadb((const char *)bytes, count, JSON_REJECT_DUPLICATES, NULL);
    struct event event;
    enum evt_status rc;
    json_t *one;
    size_t i;

    if (json == NULL)
        return 0;
    if (json_to_event(&shop_domain, json, &event) == EVT_OK)
        check_event(&event);
    json_array_foreach(json_object_get(json, "events"), i, one)
    {
        rc = json_to_event(&shop_domain, one, &event);
        MUST(rc == EVT_OK || rc == EVT_BAD || rc == EVT_NONE ||
             rc == EVT_NEWER);
    }
    json_decref(json);
    return 0;
}
