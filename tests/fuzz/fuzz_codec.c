/* fuzz_codec.c - any bytes as a payload of any message.
 *
 * What we read, msgpack-c reads the same; what decodes must be within its
 * limits, encode again, and then decode to the same.  The first byte chooses
 * the message. */
#include "../unpacked.h"
#include "core/codec.h"
#include "core/json.h"
#include "fuzz.h"
#include "shop/shop.h"

#include <string.h>

static void check_payload(const struct message *message, const uint8_t *bytes,
                          size_t count)
{
    const char *why = NULL, *field = NULL;
    struct payload payload, again;
    uint8_t data[DATA_MAX];
    size_t size;

    memset(&payload, 0x55, sizeof payload);
    again = payload;
    if (codec_decode(&shop_domain, message, bytes, count, &payload, &why,
                     &field) != EVT_OK) {
        MUST(why != NULL);
        MUST(memcmp(&payload, &again, sizeof payload) == 0);
        return;
    }
    MUST(codec_check(message, &payload, &why, &field) == EVT_OK);
    size = codec_encode(message, &payload, data);
    MUST(size <= count); /* as short as it can be */
    MUST(codec_decode(&shop_domain, message, data, size, &again, &why,
                      &field) == EVT_OK);
    MUST(memcmp(&payload, &again, sizeof payload) == 0);
    MUST(codec_agrees(message, &payload, message, &again));
    codec_trim(&shop_domain, message, &again);
    MUST(memcmp(&payload, &again, sizeof payload) == 0);
}

/* The same bytes as a stored row, in JSON and back. */
static void check_row(const struct message *message, const uint8_t *bytes,
                      size_t count)
{
    static const uint8_t log_id[LOG_ID_BYTES] = {1};
    struct row row = {.seq = 1,
                      .version = message->version,
                      .command_id = "c-1",
                      .data = bytes};
    struct event event, read;
    const char *why, *field;
    json_t *json;

    row.data_bytes = (uint32_t)count;
    text_copy(row.type, sizeof row.type, message->name);
    if (count > DATA_MAX) /* what take_row and the store let through */
        return;
    json = json_from_row(&shop_domain, "order", log_id, &row, NULL);
    MUST(json != NULL);
    if (codec_from_row(&shop_domain, "order", log_id, &row, &event, &why,
                       &field) == EVT_OK) {
        MUST(json_to_event(&shop_domain, json, &read) == EVT_OK);
        MUST(memcmp(event.data, read.data, sizeof(struct payload)) == 0);
    } else {
        MUST(json_object_get(json, "problem") != NULL);
    }
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct message *message;

    if (count == 0)
        return 0;
    message = &shop_catalogue[*bytes % shop_catalogue_count];
    MUST(!unpacked_whole(bytes + 1, count - 1) ||
         unpacked_agrees(bytes + 1, count - 1));
    check_payload(message, bytes + 1, count - 1);
    check_row(message, bytes + 1, count - 1);
    return 0;
}
