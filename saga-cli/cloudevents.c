/* cloudevents.c - see cloudevents.h, and
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
 *
 * Nothing here trusts a log: whatever an event lacks is left out, or has a
 * value that the specification allows. */
#include "saga-cli/cloudevents.h"

#include "core/codec.h"
#include "saga-cli/asyncapi.h"
#include "saga-cli/saga.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ID_TEXT_BYTES = 2 * LOG_ID_BYTES + 24 };

/* Unlike a source and a number, this is no other event's, whatever log was
 * restored or replaced. */
static void set_id(json_t *cloud, const char *name, const json_t *at)
{
    char text[ID_TEXT_BYTES];

    snprintf(text, sizeof text, "%s-%lld", json_text(at, "log"),
             (long long)json_number(at, "seq"));
    json_object_set_new(cloud, name, json_string(text));
}

static void set_text(json_t *cloud, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(cloud, name, json_string(text));
}

/* As RFC 3339 writes it, which knows years of four digits. */
static void set_time(json_t *cloud, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000 - (time_ms % 1000 < 0));
    int thousandths = (int)((time_ms % 1000 + 1000) % 1000);
    char text[40], date[24];
    struct tm utc;

    if (gmtime_r(&seconds, &utc) == NULL || utc.tm_year < -1900 ||
        utc.tm_year > 9999 - 1900 ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return;
    snprintf(text, sizeof text, "%s.%03dZ", date, thousandths);
    json_object_set_new(cloud, "time", json_string(text));
}

static void set_cause(json_t *cloud, const json_t *event)
{
    const json_t *cause = json_object_get(event, "cause");

    if (json_object_get(cause, "seq") != NULL)
        set_id(cloud, "causationid", cause);
    else
        set_text(cloud, "causationid", json_text(cause, "command"));
}

/* Of those that its service lists. */
static int64_t newest_version(const json_t *event, const json_t *services)
{
    const json_t *service, *message;
    int64_t newest = 0;
    size_t i, k;

    json_array_foreach(services, i, service)
    {
        if (strcmp(json_text(service, "name"), json_text(event, "source")) != 0)
            continue;
        json_array_foreach(json_object_get(service, "messages"), k, message)
        {
            if (strcmp(json_text(message, "name"), json_text(event, "type")) ==
                    0 &&
                json_number(message, "version") > newest)
                newest = json_number(message, "version");
        }
    }
    return newest;
}

/* "data" is of the newest version, whatever was stored. */
static uint32_t version_shown(const json_t *event, const json_t *services)
{
    int64_t stored = json_number(event, "version"), newest = 0;

    if (json_object_get(event, "data") != NULL)
        newest = newest_version(event, services);
    return (uint32_t)(stored > newest ? stored : newest);
}

static void set_raw(json_t *cloud, const char *hex)
{
    char base64[sodium_base64_ENCODED_LEN(DATA_MAX,
                                          sodium_base64_VARIANT_ORIGINAL)];
    uint8_t raw[DATA_MAX];
    size_t bytes = 0;

    if (sodium_hex2bin(raw, sizeof raw, hex, strlen(hex), NULL, &bytes, NULL) !=
        0)
        return;
    json_object_set_new(cloud, "datacontenttype",
                        json_string("application/msgpack"));
    sodium_bin2base64(base64, sizeof base64, raw, bytes,
                      sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new(cloud, "data_base64", json_string(base64));
}

static void set_data(json_t *cloud, const json_t *event, const json_t *services)
{
    char id[SCHEMA_ID_BYTES];

    json_object_set_new(
        cloud, "dataschema",
        json_string(asyncapi_schema_id(json_text(event, "type"),
                                       version_shown(event, services), id)));
    if (json_object_get(event, "data") == NULL) {
        set_raw(cloud, json_text(event, "raw"));
        return;
    }
    json_object_set_new(cloud, "datacontenttype",
                        json_string("application/json"));
    json_object_set(cloud, "data", json_object_get(event, "data"));
}

json_t *cloudevents_from(const json_t *event, const json_t *services)
{
    const char *type = json_text(event, "type");
    char source[SERVICE_BYTES + 1], sequence[24];
    json_t *cloud = json_pack("{s:s}", "specversion", "1.0");

    snprintf(source, sizeof source, "/%s", json_text(event, "source"));
    snprintf(sequence, sizeof sequence, "%020lld",
             (long long)json_number(event, "seq"));
    set_id(cloud, "id", event);
    json_object_set_new(cloud, "source", json_string(source));
    json_object_set_new(cloud, "type",
                        json_string(type[0] != '\0' ? type : "unreadable"));
    set_text(cloud, "subject", json_text(event, "order"));
    if (json_object_get(event, "time_ms") != NULL)
        set_time(cloud, json_number(event, "time_ms"));
    json_object_set_new(cloud, "sequence", json_string(sequence));
    set_text(cloud, "correlationid", json_text(event, "order"));
    set_cause(cloud, event);
    set_text(cloud, "chainhash", json_text(event, "hash"));
    set_data(cloud, event, services);
    return cloud;
}
