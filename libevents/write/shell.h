/* shell.h - a service as one deterministic step function over env.
 *
 * The shell is everything around a domain's pure functions: it takes what has
 * arrived, and in one transaction decides, appends, folds, moves cursors and
 * sets timers; after the commit - the only thing that makes anything true -
 * it answers and publishes.  It is the write side; projection.h is the other.
 */
#ifndef SHELL_H
#define SHELL_H

#include "base/env.h"
#include "core/service.h"
#include "log/store.h"
#include "stream/request.h"
#include "stream/subscription.h"

enum {
    BATCH_MAX = 1024, /* causes in one transaction */
    HEARTBEAT_MS = 500,
    FULL_RETRY_MS = 500, /* how often a full disk is tried again */
    BUSY_RETRY_MS = 20,
    LONG_PAUSE_MS = 2000, /* a step gap that counts as "was away" */
    TIMERS_HOLD_MS = 3000 /* how long due timers wait for pulls then */
};

/* What a service can do now: modes.h has the moves and the answers. */
enum shell_mode {
    SHELL_RUNNING,
    SHELL_STARTING, /* publishers have not said how far they have read us */
    SHELL_FULL,     /* the disk is full */
    SHELL_LOCKED,   /* another program has locked the database */
    SHELL_BEHIND,   /* a reader has consumed more of this log than there is */
    SHELL_MODES
};

struct route; /* router.h */
struct shell;

struct shell_config {
    const char *path;         /* log.db */
    const uint32_t *timer_ms; /* one per service.timers; NULL = defaults */
    /* JSON requests that the process answers by itself, with the context of
     * their functions; NULL: none. */
    const struct route *routes;
    void *routes_ctx;
    /* Names a file of the log that was deleted or replaced, borrowed; NULL: all
     * are there.  Asked after each commit, before anything is answered or
     * published.  The function itself may be NULL. */
    const char *(*lost)(void *ctx);
    void *lost_ctx;
};

/* Opens the log and recovers.  Errors as store_open; @why names the cause.
 * @service, @env and the config's text stay the caller's and must outlive the
 * shell.  Caller closes with shell_close(). */
MUST_CHECK enum evt_status shell_open(const struct service *service,
                                      const struct env *env,
                                      const struct shell_config *config,
                                      struct shell **shell,
                                      char why[STORE_WHY_BYTES]);
/* NULL is fine.  Nothing is lost by not calling it. */
void shell_close(struct shell *shell);

/* One step: takes all @inputs (none is fine: a tick), commits as often as it
 * must, answers every request exactly once, publishes.
 *
 * EVT_OK, or EVT_IO: leave the process at once; what was not answered is not
 * known. Everything else (full disk, locked database, a stranger's bytes) is
 * dealt with inside. */
MUST_CHECK enum evt_status shell_step(struct shell *shell,
                                      const struct input *inputs, size_t count);

/* When shell_step wants to be called again without input, in mono_ms. */
uint64_t shell_wake_ms(const struct shell *shell);

/* For status; a copy, so that the read side's thread can have it. */
struct shell_status {
    uint64_t head_seq;
    uint8_t log_id[LOG_ID_BYTES];
    enum shell_mode mode;
    uint64_t timers_held; /* 1 while due timers wait for pulls */
    uint64_t commits, appended, commands, refused, answered_busy, garbage,
        parked, ignored, snapshots, states_cached, largest_batch;
    size_t subscription_count;
    struct subscription subscriptions[CURSORS_MAX];
};
void shell_status(const struct shell *shell, struct shell_status *status);

/* Why the last step returned EVT_IO. */
const char *shell_error(const struct shell *shell);

#endif
