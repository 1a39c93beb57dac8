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
#include "read/view.h"

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
    /* What {"get": "description"} is answered (core/describe.h); NULL: the
     * request is refused. */
    const json_t *description;
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

#endif
