/* shell_internal.h - the shell from within: its memory, and the transaction
 * that the modules of write/ work in.  Tests that look inside include it, too.
 */
#ifndef SHELL_INTERNAL_H
#define SHELL_INTERNAL_H

#include "write/cache.h"
#include "write/modes.h"
#include "write/outbox.h"
#include "write/router.h"
#include "write/shell.h"

enum {
    TIMERS_MAX = 4,
    STARTING_MS = 500, /* a publisher that was not seen for so long is away */
    SILENT_MS = 3000,  /* so is one that is there, but silent for so long */
    CURSOR_IDLE_MS = 100,  /* quiet for so long: cursors are made durable */
    CURSOR_LATE_MS = 1000, /* at the latest so long after they moved */
    OPEN_MAX =
        16384, /* timers armed: as many sagas as have room in the cache */
    ANSWERS_MAX = BATCH_MAX + COMMANDS_PER_REQUEST
};

/* A request whose answers wait for the commit. */
struct pending {
    uint64_t token;
    size_t first, count; /* in shell->answers */
};

struct shell {
    const struct service *service;
    const struct env *env;
    const struct route *routes; /* of the process */
    void *routes_ctx;
    const char *(*lost)(void *ctx);
    void *lost_ctx;
    const char *path; /* log.db */
    struct store *store;
    struct cache *cache;
    uint32_t timer_ms[TIMERS_MAX];

    struct subscription subscriptions[CURSORS_MAX];
    struct cursor saved[CURSORS_MAX];  /* as the inbox has them */
    struct cursor before[CURSORS_MAX]; /* as the transaction began */
    bool connected[CURSORS_MAX];       /* once, in this life */
    bool postponed[CURSORS_MAX];       /* its rows are asked for again */
    struct {
        struct cursor cursor; /* its own on this log, as of the last look; */
        bool differs;         /* another event has that number here */
    } compared[CURSORS_MAX];
    size_t subscription_count;

    /* The open batch: true only after the commit. */
    bool in_transaction;
    uint64_t appended;
    uint64_t open, open_as_of; /* timers armed, as of how many commits plus 1 */
    struct outbox outbox;
    struct pending pending[ANSWERS_MAX];
    struct answer answers[ANSWERS_MAX];
    bool stands[ANSWERS_MAX]; /* true without this commit, from earlier ones */
    size_t pending_count, answer_count;

    /* Clocks; _ms without more is on env->mono_ms. */
    uint64_t opened_mono_ms, stepped_ms, busy_ms, retry_ms;
    bool awaiting;            /* the publishers' first answers, */
    uint64_t awaits_since_ms; /* since the first step */
    uint64_t saved_ms; /* when all cursors were durable, or tried to be */
    int64_t opened_wall_ms;
    int64_t due_ms; /* steady: no timer is due before */
    bool timers_held;
    uint64_t held_until_ms;

    enum shell_mode mode;
    struct shell_status counts; /* only its counters are kept here */
    char error[STORE_WHY_BYTES];

    /* Room to work in, so that a step needs no allocation. */
    struct new_rows *new_rows;
    struct command commands[COMMANDS_PER_REQUEST];
    struct parked parked;
    uint8_t message[MESSAGE_MAX];
};

/* env's monotonic clock. */
uint64_t shell_now(const struct shell *shell);

/* The transaction of a batch.  The first cause that may change something opens
 * it; until then a step costs no lock.  Calling shell_begin again is fine. */
MUST_CHECK enum evt_status shell_begin(struct shell *shell);

/* Saves the cursors and ends the transaction, if there is one: the one thing
 * that makes anything true.  On error nothing is, and shell_undo is due. */
MUST_CHECK enum evt_status shell_commit(struct shell *shell);

/* Takes back everything since shell_begin, in memory too. */
void shell_undo(struct shell *shell);

/* Decides on @cause by @rule and appends what comes of it, with @because as
 * its cause.  EVT_IO: shell_error() says which event could not be read, or
 * nothing, and then store_error() does. */
MUST_CHECK enum evt_status shell_decide(struct shell *shell,
                                        const struct rule *rule,
                                        const struct event *cause,
                                        const struct cause *because,
                                        struct decision *decision);

#endif
