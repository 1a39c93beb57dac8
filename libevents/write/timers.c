/* timers.c - own event -> command, unless something else comes first.
 *
 * The set of armed timers is a fold of the log, kept as rows beside it in the
 * same transaction, so a timer survives whatever its order survives.  Waiting
 * uses the monotonic clock only: see timers_clock. */
#include "write/timers.h"

#include "write/shell_internal.h"

#include <assert.h>
#include <string.h>

int64_t timers_clock(const struct shell *shell)
{
    return shell->opened_wall_ms +
           (int64_t)(shell_now(shell) - shell->opened_mono_ms);
}

/* Timers that fell due while we were away must not fire before we know what
 * happened meanwhile: what disarms it may be in the first pull. */
void timers_hold(struct shell *shell)
{
    shell->timers_held = true;
    shell->held_until_ms = shell_now(shell) + TIMERS_HOLD_MS;
    for (size_t i = 0; i < shell->subscription_count; i++)
        subscription_connected(&shell->subscriptions[i]);
}

enum evt_status timers_follow(struct shell *shell, const struct event *own)
{
    enum evt_status rc = EVT_OK;

    for (size_t i = 0; i < shell->service->timer_count && rc == EVT_OK; i++) {
        const struct timer *timer = &shell->service->timers[i];

        if (timer->from == own->type) {
            struct armed armed = {.event_seq = own->at.seq,
                                  .set_ms = timers_clock(shell),
                                  .after_ms = shell->timer_ms[i]};
            text_copy(armed.order_id, sizeof armed.order_id, own->order_id);
            rc = store_arm(shell->store, &armed);
            if (armed.set_ms + armed.after_ms < shell->due_ms)
                shell->due_ms = armed.set_ms + armed.after_ms;
        } else if (event_type_in(own->type, timer->unless, UNLESS_MAX)) {
            rc = store_disarm(shell->store, own->order_id);
        }
    }
    return rc;
}

/* Which timer the event at @seq of our own log has set. */
static enum evt_status timer_of(struct shell *shell, uint64_t seq,
                                const struct timer **timer)
{
    struct row row;
    enum evt_status rc = store_scan(shell->store, NULL, seq - 1, seq);

    *timer = NULL;
    if (rc == EVT_OK)
        rc = store_next(shell->store, &row, NULL);
    store_scan_end(shell->store);
    for (size_t i = 0; rc == EVT_OK && i < shell->service->timer_count; i++)
        if (strcmp(domain_type_name(shell->service->domain,
                                    shell->service->timers[i].from),
                   row.type) == 0)
            *timer = &shell->service->timers[i];
    return rc == EVT_NONE ? EVT_OK : rc;
}

static enum evt_status fire_timer(struct shell *shell,
                                  const struct armed *armed)
{
    const struct timer *timer;
    struct event cause = {0};
    struct cause because = {.at.seq = armed->event_seq};
    struct decision decision = {0};
    enum evt_status rc = timer_of(shell, armed->event_seq, &timer);

    if (rc == EVT_OK && timer != NULL) {
        cause.type = timer->send;
        text_copy(cause.order_id, sizeof cause.order_id, armed->order_id);
        cause.time_ms = shell->env->wall_ms(shell->env->ctx);
        text_copy(because.source, sizeof because.source, shell->service->name);
        memcpy(because.at.log_id, store_log_id(shell->store), LOG_ID_BYTES);
        rc = shell_decide(shell, service_rule(shell->service, cause.type),
                          &cause, &because, &decision);
    }
    if (rc == EVT_OK) /* a timer fires once, whatever came of it */
        rc = store_disarm(shell->store, armed->order_id);
    return rc;
}

/* Whether due timers still wait for the publishers' first answers. */
static bool still_held(struct shell *shell)
{
    bool all_answered = true;

    for (size_t i = 0; i < shell->subscription_count; i++)
        all_answered =
            all_answered && subscription_answered(&shell->subscriptions[i]) &&
            !shell->subscriptions[i].pull_wanted && !shell->postponed[i];
    if (all_answered || shell_now(shell) >= shell->held_until_ms)
        shell->timers_held = false;
    return shell->timers_held;
}

enum evt_status timers_fire(struct shell *shell)
{
    struct armed due[64];
    size_t count = 0;
    enum evt_status rc;

    if (timers_clock(shell) < shell->due_ms || still_held(shell) ||
        modes_for_decisions(shell) != SHELL_RUNNING)
        return EVT_OK;
    rc = store_due(shell->store, timers_clock(shell), due,
                   sizeof due / sizeof due[0], &count);
    if (rc == EVT_OK && count > 0)
        rc = shell_begin(shell);
    for (size_t i = 0; i < count && rc == EVT_OK; i++)
        rc = fire_timer(shell, &due[i]);
    if (rc == EVT_OK)
        rc = store_next_due(shell->store, &shell->due_ms);
    if (rc == EVT_NONE) {
        shell->due_ms = INT64_MAX;
        rc = EVT_OK;
    }
    return rc;
}

uint64_t timers_wake_ms(const struct shell *shell)
{
    uint64_t now = shell_now(shell), due = now;
    int64_t left;

    if (shell->due_ms == INT64_MAX)
        return UINT64_MAX;
    left = shell->due_ms - timers_clock(shell);
    if (left > 0)
        due += (uint64_t)left;
    if (shell->timers_held && due < shell->held_until_ms)
        due = shell->held_until_ms; /* looked at again with every reply */
    return due;
}

enum evt_status timers_open(struct shell *shell,
                            const struct shell_config *config)
{
    enum evt_status rc;

    assert(shell->service->timer_count <= TIMERS_MAX);
    for (size_t i = 0; i < shell->service->timer_count; i++)
        shell->timer_ms[i] = config->timer_ms == NULL
                                 ? shell->service->timers[i].default_ms
                                 : config->timer_ms[i];
    rc = store_clamp_timers(shell->store, shell->opened_wall_ms);
    shell->due_ms = 0; /* look at the first chance */
    return rc;
}
