/* json.h - events and states as JSON, for people and programs.
 *
 * The same field tables as codec.h, walked the other way.  Nothing here is
 * stored or hashed.  Whatever returns a json_t returns a new reference, which
 * the caller releases with json_decref. */
#ifndef JSON_H
#define JSON_H

#include "core/event.h"

#include <jansson.h>

/* A payload (@fields of a message, @base a payload) or a state (a
 * kind's fields): the same walk over the same tables. */
json_t *json_from_fields(const struct field *fields, const void *base);

/* The same as text, exactly as json_dumps(JSON_COMPACT) would print it, but
 * without building a tree first.  @text holds FIELDS_TEXT_MAX; returns the
 * length. */
enum { FIELDS_TEXT_MAX = 4096 };
size_t json_write_fields(const struct field *fields, const void *base,
                         char text[FIELDS_TEXT_MAX]);

/* {"source","log","seq","type","version","order","time_ms","cause":{...},
 * "data":{...},"hash"?}: log ids and hashes in hex.  A row that cannot be
 * decoded has "raw" (hex) and "problem" in place of "data".  @hash may be
 * NULL. */
json_t *json_from_row(const struct domain *domain, const char *source,
                      const uint8_t log_id[LOG_ID_BYTES], const struct row *row,
                      const uint8_t *hash);

/* The reverse, for clients that read logs through queries: decodes such an
 * object into @event (upcast, newest version).  EVT_BAD when it is not one,
 * EVT_NONE/EVT_NEWER as codec_from_row: then only the envelope is set. */
MUST_CHECK enum evt_status json_to_event(const struct domain *domain,
                                         const json_t *json,
                                         struct event *event);

#endif
