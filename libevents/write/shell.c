/* shell.c - one deterministic step: receive, decide, commit, answer, publish.
 *
 * Read shell_step and run_batch first: they are the whole story.  Everything
 * above a commit only prepares; everything that leaves the process - answers,
 * frames - is kept in `struct shell` until the commit has made it true, and is
 * forgotten by shell_undo otherwise.
 *
 * What a batch is made of is in inbox.c (events of the others), commands.c
 * (requests of clients) and timers.c; what leaves it in outbox.c; what is said
 * when nothing can be recorded in modes.c; operators' requests in router.c and
 * control.c.  Next in reading order is log/store.h. */
#include "write/shell_internal.h"

#include "base/fault.h"
#include "write/commands.h"
#include "write/inbox.h"
#include "write/timers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void declare_faults(const struct service *service)
{
    fault_declare("crash/before-begin", "kill -9 before the transaction");
    fault_declare("crash/after-append", "kill -9 after an event is appended");
    fault_declare("crash/before-commit", "kill -9 before the commit");
    fault_declare("crash/after-commit", "kill -9 between commit and answers");
    fault_declare("crash/before-publish", "kill -9 after the answers");
    fault_declare("crash/after-publish", "kill -9 after a frame was published");
    fault_declare("hang/before-commit", "hangs before the commit until killed");
    for (size_t i = 0; i < service->fault_count; i++)
        fault_declare(service->faults[i].name, service->faults[i].what);
}

uint64_t shell_now(const struct shell *shell)
{
    return shell->env->mono_ms(shell->env->ctx);
}

/* ---- the transaction ---- */

enum evt_status shell_begin(struct shell *shell)
{
    enum evt_status rc;

    if (shell->in_transaction)
        return EVT_OK;
    fault_crash("crash/before-begin");
    rc = store_begin(shell->store);
    if (rc != EVT_OK)
        return rc;
    shell->in_transaction = true;
    for (size_t i = 0; i < shell->subscription_count; i++)
        shell->before[i] = shell->subscriptions[i].cursor;
    return EVT_OK;
}

/* Moves the durable cursors to where the subscriptions are. */
static enum evt_status save_cursors(struct shell *shell)
{
    enum evt_status rc = EVT_OK;

    for (size_t i = 0; i < shell->subscription_count && rc == EVT_OK; i++)
        if (shell->subscriptions[i].cursor.at.seq != shell->saved[i].at.seq)
            rc = store_set_cursor(shell->store, shell->subscriptions[i].source,
                                  &shell->subscriptions[i].cursor);
    return rc;
}

/* Whether what was committed is in files that others will find.  A WAL that
 * was deleted is still ours to read: what it holds is saved before we leave. */
static enum evt_status still_there(struct shell *shell)
{
    const char *path =
        shell->lost != NULL ? shell->lost(shell->lost_ctx) : NULL;

    if (path == NULL)
        return EVT_OK;
    snprintf(
        shell->error, sizeof shell->error, "%s was deleted or replaced%s", path,
        strcmp(path, shell->path) == 0 ? "; restore it from a backup"
        : store_save(shell->store) ? "; all that was recorded is in log.db now"
                                   : "; its last events may be lost");
    return EVT_IO;
}

enum evt_status shell_commit(struct shell *shell)
{
    enum evt_status rc;

    if (!shell->in_transaction)
        return still_there(shell); /* for what is answered once more */
    rc = save_cursors(shell);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/before-commit");
    fault_hang("hang/before-commit");
    rc = store_commit(shell->store);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/after-commit");
    shell->in_transaction = false;
    for (size_t i = 0; i < shell->subscription_count; i++)
        shell->saved[i] = shell->subscriptions[i].cursor;
    modes_committed(shell);
    shell->counts.commits++;
    shell->counts.appended += shell->appended;
    if (shell->appended > shell->counts.largest_batch)
        shell->counts.largest_batch = shell->appended;
    shell->appended = 0;
    cache_trim(shell->cache);
    return still_there(shell);
}

void shell_undo(struct shell *shell)
{
    store_rollback(shell->store);
    cache_drop(shell->cache);
    for (size_t i = 0; i < shell->subscription_count; i++)
        subscription_reset(&shell->subscriptions[i], shell->in_transaction
                                                         ? &shell->before[i]
                                                         : &shell->saved[i]);
    shell->in_transaction = false;
    outbox_forget(&shell->outbox);
    shell->appended = 0;
    shell->due_ms = 0; /* what has fired is armed again: look */
}

/* ---- decide, append, fold ---- */

/* Appends @event, folds it, sets its timers, keeps it for publishing. */
static enum evt_status append(struct shell *shell, struct event *event)
{
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    struct row row;
    enum evt_status rc;

    event->time_ms = shell->env->wall_ms(shell->env->ctx);
    rc = store_append(shell->store, shell->service->domain,
                      service_indexed(shell->service, event->type), event, data,
                      &row, hash);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/after-append");
    outbox_keep(shell, &row, hash);
    shell->appended++;
    rc = cache_fold(shell->cache, event);
    return rc == EVT_OK ? timers_follow(shell, event) : rc;
}

/* A fault point may put another decision in the rule's place. */
static decide_fn *overridden(const struct shell *shell, unsigned on)
{
    for (size_t i = 0; i < shell->service->fault_count; i++) {
        const struct fault_rule *fault = &shell->service->faults[i];

        if (fault->on == on && fault_fires(fault->name))
            return fault->decide;
    }
    return NULL;
}

enum evt_status shell_decide(struct shell *shell, const struct rule *rule,
                             const struct event *cause,
                             const struct cause *because,
                             struct decision *decision)
{
    struct states states;
    enum evt_status rc = service_load_states(&states, shell->service, cause,
                                             cache_load, shell->cache);

    if (rc == EVT_BAD)
        snprintf(shell->error, sizeof shell->error, "%s",
                 cache_error(shell->cache));
    if (rc != EVT_OK)
        return rc == EVT_BAD ? EVT_IO : rc;
    service_decide(rule, overridden(shell, cause->type), &states, cause,
                   decision);
    logger_fact(LOG_DEBUG, cause->order_id, NULL, "%s: %s",
                domain_type_name(shell->service->domain, cause->type),
                decision->emitted ? domain_type_name(shell->service->domain,
                                                     decision->event.type)
                : decision->refusal != NULL ? decision->refusal
                                            : "nothing to do");
    if (!decision->emitted)
        return EVT_OK;
    decision->event.cause = *because;
    return append(shell, &decision->event);
}

/* ---- the step ---- */

/* The transaction failed with @rc: nothing of it is there, and its clients are
 * told so. */
static enum evt_status give_up(struct shell *shell, enum evt_status rc)
{
    enum shell_mode mode = modes_of_failure(rc);

    if (mode == SHELL_RUNNING)
        return EVT_IO; /* what was written may be there: do not answer */
    modes_failed(shell, mode);
    shell_undo(shell);
    if (still_there(shell) != EVT_OK)
        return EVT_IO;
    if (mode == SHELL_LOCKED)
        shell->counts.answered_busy += shell->answer_count;
    commands_answer(shell, mode);
    return EVT_OK;
}

static void connected(struct shell *shell, const struct input *input)
{
    assert(input->from < shell->subscription_count);
    shell->connected[input->from] = true;
    subscription_connected(&shell->subscriptions[input->from]);
}

static enum evt_status handle(struct shell *shell, const struct input *input)
{
    switch (input->kind) {
    case INPUT_FRAME:
    case INPUT_REPLY:
        assert(input->from < shell->subscription_count);
        return inbox_handle(shell, input);
    case INPUT_CONNECTED:
        connected(shell, input);
        return EVT_OK;
    case INPUT_REQUEST:
        return commands_handle(shell, input);
    }
    return EVT_OK;
}

static bool batch_has_room(const struct shell *shell)
{
    return shell->appended < BATCH_MAX && shell->answer_count < BATCH_MAX &&
           shell->pending_count < BATCH_MAX;
}

/* Handles inputs from *@next on, until there are no more or the batch is large
 * enough.  A batch is whatever arrived while the last one was being synced, so
 * the cost of an fsync is shared as much as the load asks for. */
static enum evt_status handle_inputs(struct shell *shell,
                                     const struct input *inputs, size_t count,
                                     size_t *next)
{
    enum evt_status rc = EVT_OK;

    while (rc == EVT_OK && *next < count && !router_takes(&inputs[*next]) &&
           batch_has_room(shell))
        rc = handle(shell, &inputs[(*next)++]);
    return rc;
}

/* One transaction. */
static enum evt_status run_batch(struct shell *shell,
                                 const struct input *inputs, size_t count,
                                 size_t *next)
{
    enum evt_status rc;

    /* Begin; skip what was seen; decide, append, fold; move the cursor. */
    if ((rc = handle_inputs(shell, inputs, count, next)) != EVT_OK ||
        (rc = timers_fire(shell)) != EVT_OK)
        return give_up(shell, rc);

    /* COMMIT: the only line that makes anything true. */
    if ((rc = shell_commit(shell)) != EVT_OK)
        return give_up(shell, rc);

    commands_answer(shell, SHELL_RUNNING); /* every client its own answer */
    outbox_publish(shell);                 /* what the log now holds */
    return store_checkpoint(shell->store) == EVT_IO ? EVT_IO : EVT_OK;
}

/* Not the time to record anything. */
static void turn_away(struct shell *shell, const struct input *input)
{
    switch (input->kind) {
    case INPUT_FRAME:
    case INPUT_REPLY:
        inbox_turn_away(shell, input);
        break;
    case INPUT_CONNECTED:
        connected(shell, input);
        break;
    case INPUT_REQUEST:
        commands_turn_away(shell, input);
    }
}

/* Cursors that moved without effects are made durable when there is nothing
 * else to do: lazily, since a crash would only mean to skip the same events
 * again.  Under a load that never pauses, within a second: who reads the files
 * sees that this service goes on. */
static enum evt_status save_idle_cursors(struct shell *shell)
{
    uint64_t now = shell_now(shell), moved = 0;
    bool due = now >= shell->busy_ms + CURSOR_IDLE_MS ||
               now >= shell->saved_ms + CURSOR_LATE_MS;
    enum evt_status rc;

    for (size_t i = 0; i < shell->subscription_count; i++)
        moved += shell->subscriptions[i].cursor.at.seq - shell->saved[i].at.seq;
    if (moved == 0 || due)
        shell->saved_ms = now;
    if (moved == 0 || !due)
        return EVT_OK;
    rc = shell_begin(shell);
    if (rc == EVT_OK)
        rc = shell_commit(shell);
    return rc == EVT_OK ? EVT_OK : give_up(shell, rc);
}

/* Asks the publishers for what is missing; while nothing can be recorded, only
 * as often as it takes to learn that this is over. */
static void pull(struct shell *shell)
{
    uint64_t now = shell_now(shell);

    for (size_t i = 0; i < shell->subscription_count; i++) {
        struct subscription *sub = &shell->subscriptions[i];

        if (!modes_refusing(shell) || now >= sub->pulled_ms + FULL_RETRY_MS)
            subscription_poll(sub, shell->env, now, i, shell->message);
    }
}

/* Takes the next inputs: a JSON request, or as many others as make a batch. */
static enum evt_status take_next(struct shell *shell,
                                 const struct input *inputs, size_t count,
                                 size_t *next)
{
    if (*next < count && router_takes(&inputs[*next]))
        return router_take(shell, &inputs[(*next)++]);
    if (!modes_refusing(shell))
        return run_batch(shell, inputs, count, next);
    if (still_there(shell) != EVT_OK)
        return EVT_IO;
    while (*next < count && !router_takes(&inputs[*next]))
        turn_away(shell, &inputs[(*next)++]);
    return EVT_OK;
}

/* Keeps in the error why the process has to leave. */
static enum evt_status leave(struct shell *shell)
{
    if (shell->error[0] == '\0')
        snprintf(shell->error, sizeof shell->error, "%s",
                 store_error(shell->store));
    return EVT_IO;
}

enum evt_status shell_step(struct shell *shell, const struct input *inputs,
                           size_t count)
{
    uint64_t now = shell_now(shell);
    size_t next = 0;

    if (shell->awaits_since_ms == 0) /* it took a while to open all files */
        shell->awaits_since_ms = now;
    (void)modes_awaiting(shell); /* asks for what was postponed */
    if (now > shell->stepped_ms + LONG_PAUSE_MS)
        timers_hold(shell);
    shell->stepped_ms = now;
    if (count > 0)
        shell->busy_ms = now;
    do { /* without any input, too: timers may be due */
        if (take_next(shell, inputs, count, &next) != EVT_OK)
            return leave(shell);
        pull(shell); /* at once: a gap may hold up all that follows */
    } while (next < count);
    if (!modes_refusing(shell) && save_idle_cursors(shell) != EVT_OK)
        return leave(shell);
    inbox_look_behind(shell);
    outbox_heartbeat(shell);
    return EVT_OK;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When cursors that moved are to be saved; not while nothing can be. */
static uint64_t save_due_ms(const struct shell *shell)
{
    uint64_t due = shell->busy_ms + CURSOR_IDLE_MS;

    return modes_refusing(shell) && due < shell->retry_ms ? shell->retry_ms
                                                          : due;
}

uint64_t shell_wake_ms(const struct shell *shell)
{
    uint64_t now = shell_now(shell), wake = shell->outbox.heartbeat_ms;

    for (size_t i = 0; i < shell->subscription_count; i++) {
        const struct subscription *sub = &shell->subscriptions[i];
        uint64_t due = subscription_wake_ms(sub, now);

        if (modes_refusing(shell) && due < sub->pulled_ms + FULL_RETRY_MS)
            due = sub->pulled_ms + FULL_RETRY_MS;
        wake = earlier(wake, due);
        if (sub->cursor.at.seq != shell->saved[i].at.seq &&
            shell->mode != SHELL_BEHIND)
            wake = earlier(wake, save_due_ms(shell));
    }
    if (shell->awaiting)
        wake = earlier(wake, modes_awaits_until_ms(shell));
    else if (!modes_refusing(shell))
        wake = earlier(wake, timers_wake_ms(shell));
    return wake;
}

/* ---- life ---- */

static enum evt_status open_subscriptions(struct shell *shell)
{
    const char *const *source = shell->service->listens_to;
    enum evt_status rc = EVT_OK;

    for (; *source != NULL && rc == EVT_OK; source++) {
        struct cursor *cursor = &shell->saved[shell->subscription_count];

        assert(shell->subscription_count < CURSORS_MAX);
        rc = store_cursor(shell->store, *source, cursor);
        subscription_open(&shell->subscriptions[shell->subscription_count++],
                          shell->service->name, *source,
                          rc == EVT_OK ? cursor : NULL);
        rc = rc == EVT_NONE ? EVT_OK : rc;
    }
    return rc;
}

enum evt_status shell_open(const struct service *service, const struct env *env,
                           const struct shell_config *config,
                           struct shell **opened, char why[STORE_WHY_BYTES])
{
    struct shell *shell = calloc(1, sizeof *shell);
    uint8_t new_log_id[LOG_ID_BYTES];
    enum evt_status rc;

    if (shell == NULL)
        abort();
    shell->service = service;
    shell->env = env;
    shell->routes = config->routes;
    shell->routes_ctx = config->routes_ctx;
    shell->path = config->path;
    shell->lost = config->lost;
    shell->lost_ctx = config->lost_ctx;
    env->random(env->ctx, new_log_id, sizeof new_log_id);
    rc = store_open(config->path, service->name, env->vfs, new_log_id,
                    &shell->store, why);
    if (rc != EVT_OK) {
        free(shell);
        return rc;
    }
    declare_faults(service);
    shell->cache = cache_open(service, shell->store);
    shell->new_rows = malloc(sizeof *shell->new_rows);
    if (!shell->cache || !shell->new_rows)
        abort();
    outbox_open(&shell->outbox);
    shell->opened_wall_ms = env->wall_ms(env->ctx);
    shell->opened_mono_ms = shell->stepped_ms = shell_now(shell);
    shell->awaiting = true;
    rc = open_subscriptions(shell);
    if (rc == EVT_OK)
        rc = timers_open(shell, config);
    if (rc != EVT_OK) {
        snprintf(why, STORE_WHY_BYTES, "%s", store_error(shell->store));
        shell_close(shell);
        return rc;
    }
    timers_hold(shell);
    *opened = shell;
    return EVT_OK;
}

void shell_close(struct shell *shell)
{
    if (shell == NULL)
        return;
    for (size_t i = 0; i < shell->subscription_count; i++)
        subscription_close(&shell->subscriptions[i]);
    cache_close(shell->cache);
    store_close(shell->store);
    outbox_close(&shell->outbox);
    free(shell->new_rows);
    free(shell);
}

void shell_status(const struct shell *shell, struct shell_status *status)
{
    uint8_t hash[HASH_BYTES];

    *status = shell->counts;
    if (store_head(shell->store, &status->head_seq, hash) != EVT_OK)
        status->head_seq = 0; /* cannot be: a writer has it in memory */
    memcpy(status->log_id, store_log_id(shell->store), LOG_ID_BYTES);
    status->mode =
        shell->mode == SHELL_RUNNING ? modes_for_decisions(shell) : shell->mode;
    status->timers_held = shell->timers_held;
    status->snapshots = cache_snapshots(shell->cache);
    status->states_cached = cache_count(shell->cache);
    status->subscription_count = shell->subscription_count;
    memcpy(status->subscriptions, shell->subscriptions,
           sizeof status->subscriptions);
    for (size_t i = 0; i < status->subscription_count; i++)
        status->subscriptions[i].held = NULL; /* the shell's own */
}

const char *shell_error(const struct shell *shell)
{
    return shell->error;
}
