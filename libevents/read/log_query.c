/* log_query.c - a log as JSON: its events, its cursors, what it has parked.
 *
 * Used by the read side, and by `saga` on the file of a service that is down.
 * Everything is read at one instant, and bounded to what one message holds:
 * "more" says that there is more, and a client asks on after the last seq. */
#include "read/log_query.h"

#include "core/json.h"
#include "read/view.h"

#include <string.h>

enum { LOG_EVENTS_MAX = 500, LOG_TEXT_MAX = 56 * 1024 };

static json_t *log_id_json(const uint8_t *log_id)
{
    char text[2 * LOG_ID_BYTES + 1];

    return json_string(text_hex(log_id, LOG_ID_BYTES, text));
}

static json_t *store_failed(struct store *log, enum evt_status rc)
{
    return view_error(rc == EVT_BUSY ? 75 : 74, "%s", store_error(log));
}

/* ---- the cursors --------------------------------------------------------- */

/* What is no cursor was not written by a service: it is passed over. */
static enum evt_status cursors_json(struct store *log, json_t *cursors)
{
    char source[SERVICE_BYTES] = "", last[SERVICE_BYTES];
    struct cursor cursor;
    enum evt_status rc;

    do {
        text_copy(last, sizeof last, source);
        rc = store_next_cursor(log, source, &cursor);
        if (rc == EVT_OK)
            json_object_set_new(cursors, source,
                                json_pack("{s:o, s:I}", "log",
                                          log_id_json(cursor.at.log_id), "seq",
                                          (json_int_t)cursor.at.seq));
    } while (rc == EVT_OK || (rc == EVT_BAD && strcmp(last, source) != 0));
    return rc == EVT_NONE || rc == EVT_BAD ? EVT_OK : rc;
}

/* ---- the events ---------------------------------------------------------- */

struct log_request {
    int64_t after, upto, limit;
    const char *tag;
};

/* NULL, or what is wrong with @json. */
static json_t *read_request(const json_t *json, struct log_request *request)
{
    const json_t *tag = json_object_get(json, "tag");

    *request = (struct log_request){.upto = INT64_MAX, .limit = LOG_EVENTS_MAX};
    if (!view_request_number(json, "after", 0, INT64_MAX, &request->after) ||
        !view_request_number(json, "upto", 0, INT64_MAX, &request->upto))
        return view_error(65, "after and upto are positions in the log");
    if (!view_request_number(json, "limit", 1, INT64_MAX, &request->limit))
        return view_error(65, "limit is a number of events");
    if (tag != NULL && (!json_is_string(tag) || json_string_length(tag) == 0 ||
                        json_string_length(tag) >= TAG_BYTES))
        return view_error(65, "tag is a text such as \"order:o-7\"");
    request->tag = json_string_value(tag);
    if (request->limit > LOG_EVENTS_MAX)
        request->limit = LOG_EVENTS_MAX;
    return NULL;
}

/* One row more than is answered is read: to know whether there is more. */
static enum evt_status events_json(const struct domain *domain,
                                   struct store *log,
                                   const struct log_request *request,
                                   json_t *events, bool *more)
{
    uint8_t hash[HASH_BYTES];
    struct row row;
    size_t text = 0;
    enum evt_status rc = store_scan(log, request->tag, (uint64_t)request->after,
                                    (uint64_t)request->upto);

    *more = false;
    while (rc == EVT_OK && !*more) {
        json_t *event;

        rc = store_next(log, &row, hash);
        if (rc != EVT_OK)
            break;
        event = json_from_row(domain, store_service(log), store_log_id(log),
                              &row, hash);
        text += json_dumpb(event, NULL, 0, JSON_COMPACT) + 1;
        *more = (int64_t)json_array_size(events) == request->limit ||
                (text > LOG_TEXT_MAX && json_array_size(events) > 0);
        if (*more)
            json_decref(event);
        else
            json_array_append_new(events, event);
    }
    store_scan_end(log);
    return rc == EVT_NONE ? EVT_OK : rc;
}

static json_t *query_log(const struct domain *domain, struct store *log,
                         const json_t *json)
{
    struct log_request request;
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;
    bool more = false;
    json_t *events, *cursors, *error = read_request(json, &request);
    enum evt_status rc;

    if (error != NULL)
        return error;
    events = json_array();
    cursors = json_object();
    rc = store_head(log, &head, hash);
    if (rc == EVT_OK)
        rc = events_json(domain, log, &request, events, &more);
    if (rc == EVT_OK)
        rc = cursors_json(log, cursors);
    if (rc != EVT_OK) {
        json_decref(events);
        json_decref(cursors);
        return store_failed(log, rc);
    }
    return json_pack("{s:s, s:o, s:I, s:o, s:b, s:o}", "service",
                     store_service(log), "log", log_id_json(store_log_id(log)),
                     "head", (json_int_t)head, "events", events, "more", more,
                     "cursors", cursors);
}

/* ---- what is parked ------------------------------------------------------ */

static json_t *parked_json(const struct parked *parked)
{
    char source[4 * SERVICE_BYTES], order[4 * ID_BYTES];
    char reason[4 * sizeof parked->reason];

    /* A log that somebody has edited may hold what is not text. */
    return json_pack(
        "{s:s, s:o, s:I, s:s, s:s}", "source",
        text_plain(parked->source, false, source, sizeof source), "log",
        log_id_json(parked->at.log_id), "seq", (json_int_t)parked->at.seq,
        "order", text_plain(parked->order_id, false, order, sizeof order),
        "reason", text_plain(parked->reason, false, reason, sizeof reason));
}

static json_t *query_parked(struct store *log)
{
    struct parked parked;
    json_t *list = json_array(), *answer;
    size_t text = 0;
    bool more = false;
    enum evt_status rc = EVT_OK;

    memset(&parked, 0, sizeof parked);
    while (!more && (rc = store_next_parked(log, &parked)) == EVT_OK) {
        json_t *one = parked_json(&parked);

        text += json_dumpb(one, NULL, 0, JSON_COMPACT) + 1;
        more = text > LOG_TEXT_MAX;
        if (more)
            json_decref(one);
        else
            json_array_append_new(list, one);
    }
    if (rc != EVT_OK && rc != EVT_NONE) {
        json_decref(list);
        return store_failed(log, rc);
    }
    answer = json_pack("{s:o}", "parked", list);
    if (more)
        json_object_set_new(answer, "more", json_true());
    return answer;
}

json_t *log_query(const struct domain *domain, struct store *log,
                  const json_t *request)
{
    const char *get = json_string_value(json_object_get(request, "get"));
    json_t *answer;
    enum evt_status rc;

    if (get == NULL || (strcmp(get, "log") != 0 && strcmp(get, "parked") != 0))
        return view_error(65, "not a request");
    rc = store_snapshot_begin(log);
    if (rc != EVT_OK)
        return store_failed(log, rc);
    answer = strcmp(get, "log") == 0 ? query_log(domain, log, request)
                                     : query_parked(log);
    store_snapshot_end(log);
    return answer;
}
