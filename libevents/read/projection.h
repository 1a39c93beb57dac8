/* projection.h - the read side: views, folded from logs for those who ask.
 *
 * A read side has its own database, its own position in every log it follows,
 * and its own thread or process.  Rows and positions move in one transaction,
 * so a view is always exactly some prefix of the logs; it may be thrown away
 * and rebuilt at will.  It also answers pulls, so that a reader far behind
 * does not disturb writing.  Like the shell it is a step function over env. */
#ifndef PROJECTION_H
#define PROJECTION_H

#include "base/env.h"
#include "log/store.h"
#include "stream/subscription.h"

#include <jansson.h>

struct view_db; /* a view's open database with its prepared statements */

/* A read model.  The domain side (order-svc/view.c and its siblings) is a
 * schema, its statements, and two functions. */
struct view {
    const char *name;           /* "order", "stock", "account" */
    const char *const *sources; /* the logs it is folded from; ends with NULL */
    unsigned revision;  /* raise when anything below changes: old files are
                           rebuilt at the next start */
    const char *schema; /* CREATE TABLE statements */
    const char *const *tables; /* their names, ends with NULL: what a rebuild
                                  compares, row by row */
    const char *const *sql;    /* statements, by number */
    size_t sql_count;

    /* Folds one event into the rows.  Events of one source come in order, of
     * different sources in any order.  Must be a function of the event and the
     * rows alone, whatever the interleaving. */
    enum evt_status (*project)(struct view_db *db, const struct event *event);

    /* Answers {"get": ...}: a new reference; NULL when the request is none of
     * this view's.  Errors as view_error makes them.  An answer with "ended":
     * true satisfies {"until": "ended"}. */
    json_t *(*query)(struct view_db *db, const json_t *request);
};

/* Runs statement @sql with parameters as @types says, one letter each: t text
 * (NULL: SQL NULL), i int64_t. */
MUST_CHECK enum evt_status view_run(struct view_db *db, unsigned sql,
                                    const char *types, ...);

/* Runs UPDATE statement @update, and, when no row was there to change, INSERT
 * statement @insert, both with the same parameters.  For rows that are mostly
 * there this takes half of what an upsert does, which always inserts first. */
MUST_CHECK enum evt_status view_update(struct view_db *db, unsigned update,
                                       unsigned insert, const char *types, ...);

/* Runs a SELECT: each row becomes an object (column name -> string, integer,
 * null; a column called "..._json" is parsed and keeps its name without the
 * suffix) in the returned new array; NULL on an I/O error. */
json_t *view_select(struct view_db *db, unsigned sql, const char *types, ...);

/* A page of a list, which was asked for one row more than @most: {@name: rows,
 * "more": whether there was one}.  Takes @rows; NULL is answered with what
 * failed. */
json_t *view_page(const struct view_db *db, json_t *rows, size_t most,
                  const char *name);

/* {"error": text, "code": exit code}, a new reference. */
json_t *view_error(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What a query answers when view_select returned NULL. */
json_t *view_unreadable(const struct view_db *db);

/* Members of a request, checked.  False: it is there, but no id (or no whole
 * number of @min to @max).  Not there: true, and @value is untouched. */
MUST_CHECK bool request_id(const json_t *request, const char *name,
                           const char **value);
MUST_CHECK bool request_number(const json_t *request, const char *name,
                               int64_t min, int64_t max, int64_t *value);

enum {
    VIEW_BATCH_MAX = 4096, /* events in one transaction */
    WAITING_MAX = 256,     /* queries held until a view has caught up */
    WAIT_MS_DEFAULT = 5000,
    WAIT_MS_MAX = 60000
};

struct projection;

struct projection_config {
    const char *service;   /* whose read side this is */
    const char *log_path;  /* log.db, to answer pulls and log queries from; NULL
                              in a read side of its own process */
    const char *directory; /* where view.db lives */
    /* Adds what the rest of the process knows to a status answer; may be
     * NULL. */
    void (*add_status)(void *ctx, json_t *status);
    void *ctx;
};

/* Opens (or rebuilds, or creates) the view and recovers its position.  Errors
 * as store_open.  All arguments stay the caller's and outlive the reader.
 * Publishers are numbered by view.sources; the same numbers plus the count of
 * sources are a second link to each, which a rebuild uses. */
MUST_CHECK enum evt_status
projection_open(const struct view *view, const struct env *env,
                const struct projection_config *config,
                struct projection **projection, char why[STORE_WHY_BYTES]);
void projection_close(struct projection *projection);

/* As shell_step: takes frames, replies, pulls and queries. */
MUST_CHECK enum evt_status projection_step(struct projection *projection,
                                           const struct input *inputs,
                                           size_t count);
uint64_t projection_wake_ms(const struct projection *projection);
/* Whether somebody waits for the next event to be folded. */
bool projection_awaited(const struct projection *projection);
const char *projection_error(const struct projection *projection);

/* Answers one {"get": "log" | "parked"} from a log file, as the read side
 * does; for tools when a service is down.  A new reference; an error when it
 * is another request. */
json_t *log_query(struct store *log, const json_t *request);

#endif
