/* log_query.h - a log as JSON: its events, its cursors, what it has parked. */
#ifndef LOG_QUERY_H
#define LOG_QUERY_H

#include "log/store.h"

#include <jansson.h>

/* @domain reads the events; NULL: they are shown raw.
 * Answers one {"get": "log" | "parked"} from a log file, as the read side
 * does; for tools when a service is down.  A new reference; an error when it
 * is another request. */
json_t *log_query(const struct domain *domain, struct store *log,
                  const json_t *request);

#endif
