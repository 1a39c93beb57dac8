/* view.h - what a read model is, for its author.
 *
 * A view is a schema, its statements, and two functions: one folds an event
 * into rows, the other answers questions from them.  projection.h does the
 * rest. */
#ifndef VIEW_H
#define VIEW_H

#include "core/event.h"

#include <jansson.h>

struct view_db; /* a view's open database with its prepared statements */

/* A read model. */
struct view {
    const char *name;            /* "parcels" */
    const struct domain *domain; /* what it is told of */
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

    /* A view may note what events come to, and write a row once a transaction:
     * project() finds its notes by view_notes.  NULL, or both are there. */
    size_t notes_bytes; /* zeroed at first */
    enum evt_status (*write)(struct view_db *db, void *notes); /* and empties */
    void (*forget)(void *notes); /* empties: the transaction was given up */

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

/* What this view has noted and not written yet. */
void *view_notes(struct view_db *db);

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
MUST_CHECK bool view_request_id(const json_t *request, const char *name,
                                const char **value);
MUST_CHECK bool view_request_number(const json_t *request, const char *name,
                                    int64_t min, int64_t max, int64_t *value);

#endif
