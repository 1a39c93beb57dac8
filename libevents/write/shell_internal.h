/* shell_internal.h - what shell.c and control.c share; nobody else's. */
#ifndef SHELL_INTERNAL_H
#define SHELL_INTERNAL_H

#include "write/cache.h"
#include "write/shell.h"

enum {
    TIMERS_MAX = 4,
    STARTING_MS = 500,
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
    struct store *store;
    struct cache *cache;
    uint32_t timer_ms[TIMERS_MAX];

    struct subscription subscriptions[CURSORS_MAX];
    struct cursor saved[CURSORS_MAX];  /* as the inbox has them */
    struct cursor before[CURSORS_MAX]; /* as the transaction began */
    size_t subscription_count;

    /* The open batch: true only after the commit. */
    bool in_transaction;
    uint64_t appended;
    uint64_t open, open_as_of; /* timers armed, as of how many commits plus 1 */
    struct frame_writer *frames; /* to publish */
    size_t frame_count, frame_size;
    struct pending pending[ANSWERS_MAX];
    struct answer answers[ANSWERS_MAX];
    size_t pending_count, answer_count;

    /* Clocks; _ms without more is on env->mono_ms. */
    uint64_t opened_mono_ms, stepped_ms, busy_ms, heartbeat_ms, retry_ms;
    uint64_t saved_ms; /* when all cursors were durable, or tried to be */
    int64_t opened_wall_ms;
    int64_t due_ms; /* steady: no timer is due before */
    bool timers_held;
    uint64_t held_until_ms;

    bool storage_full, busy, behind;
    struct shell_status counts; /* only its counters are kept here */
    char error[STORE_WHY_BYTES];

    /* Room to work in, so that a step needs no allocation. */
    struct new_rows *new_rows;
    struct frame_writer *heartbeat;
    struct command commands[COMMANDS_PER_REQUEST];
    struct parked parked;
    uint8_t message[MESSAGE_MAX];
};

uint64_t shell_now(const struct shell *shell);
bool shell_refusing(const struct shell *shell);
bool shell_starting(const struct shell *shell);

/* The transaction of a batch; see the definitions. */
MUST_CHECK enum evt_status shell_begin(struct shell *shell);
MUST_CHECK enum evt_status shell_commit(struct shell *shell);
void shell_undo(struct shell *shell);

/* Decides on @cause by @rule and appends what comes of it, with @because as
 * its cause. */
MUST_CHECK enum evt_status shell_decide(struct shell *shell,
                                        const struct rule *rule,
                                        const struct event *cause,
                                        const struct cause *because,
                                        struct decision *decision);

/* The rule for a row's type, in whatever version it is; NULL: none. */
const struct rule *shell_rule_for_row(const struct shell *shell,
                                      const struct row *row);
void shell_cause_of(const struct event *event, struct cause *cause);

/* inbox.c: inputs of a batch. */
MUST_CHECK enum evt_status take_rows(struct shell *shell,
                                     const struct input *input);
MUST_CHECK enum evt_status take_request(struct shell *shell,
                                        const struct input *input);
void shell_look_behind(struct shell *shell);
void set_answer(struct answer *to, enum answer_code code, const char *reason,
                const char *field);
void answer_garbage(struct shell *shell, uint64_t token);

/* timers.c: see the definitions. */
MUST_CHECK enum evt_status timers_open(struct shell *shell,
                                       const struct shell_config *config);
void timers_hold(struct shell *shell);
int64_t timers_clock(const struct shell *shell);
MUST_CHECK enum evt_status timers_follow(struct shell *shell,
                                         const struct event *own);
MUST_CHECK enum evt_status timers_fire(struct shell *shell);

/* Publishes what a control has committed. */
void shell_publish(struct shell *shell);

/* A JSON request on the command socket: redrive, accept.  Answers it. */
MUST_CHECK enum evt_status control_take(struct shell *shell,
                                        const struct input *input);

#endif
