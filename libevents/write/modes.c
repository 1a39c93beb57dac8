/* modes.c - see modes.h: the table, and the moves from mode to mode. */
#include "write/modes.h"

#include "write/shell_internal.h"

const struct mode modes[SHELL_MODES] = {
    [SHELL_RUNNING] = {.state = "running", .code = ANSWER_DONE, .reason = ""},
    [SHELL_STARTING] = {.state = "starting",
                        .code = ANSWER_BUSY,
                        .reason = "starting",
                        .json_code = 75,
                        .json_error = "starting",
                        .passes = true},
    [SHELL_FULL] = {.state = "storage full",
                    .code = ANSWER_FULL,
                    .reason = "storage full, nothing recorded",
                    .json_code = 75,
                    .json_error = "storage full, nothing recorded",
                    .passes = true,
                    .retry_ms = FULL_RETRY_MS,
                    .level = LOG_ERROR,
                    .entered = "storage full: nothing is recorded until there "
                               "is room again",
                    .left = "recording again"},
    [SHELL_LOCKED] = {.state = "database locked",
                      .code = ANSWER_BUSY,
                      .reason = "the database is locked, try again",
                      .json_code = 75,
                      .json_error = "the database is locked, try again",
                      .passes = true,
                      .retry_ms = BUSY_RETRY_MS,
                      .level = LOG_WARN,
                      .left = "recording again"},
    [SHELL_BEHIND] = {.state = "behind its readers",
                      .code = ANSWER_BEHIND,
                      .reason = "this log has lost events that others consumed",
                      .json_code = 75,
                      .json_error = "this log has lost events that others "
                                    "consumed, nothing is recorded",
                      .level = LOG_ERROR,
                      .entered = "others have consumed events that this log "
                                 "has lost: nothing is recorded until they "
                                 "`saga accept` it",
                      .left = "no reader is ahead of this log any more"},
};

bool modes_refusing(const struct shell *shell)
{
    return shell->mode == SHELL_BEHIND ||
           (shell->mode != SHELL_RUNNING && shell_now(shell) < shell->retry_ms);
}

/* A publisher that neither connects nor is heard is known to be away soon; one
 * that is there and does not answer is given more time. */
uint64_t modes_awaits_until_ms(const struct shell *shell)
{
    uint64_t longest_ms = 0;

    for (size_t i = 0; i < shell->subscription_count; i++) {
        const struct subscription *sub = &shell->subscriptions[i];
        bool there = shell->connected[i] || sub->heard_ms > 0;
        uint64_t ms = there ? SILENT_MS : STARTING_MS;

        if (sub->state == SUB_STARTING && ms > longest_ms)
            longest_ms = ms;
    }
    return shell->awaits_since_ms + longest_ms;
}

bool modes_awaiting(struct shell *shell)
{
    if (!shell->awaiting || shell_now(shell) < modes_awaits_until_ms(shell))
        return shell->awaiting;
    shell->awaiting = false;
    for (size_t i = 0; i < shell->subscription_count; i++)
        if (shell->postponed[i])
            subscription_urge(&shell->subscriptions[i]);
    return false;
}

enum shell_mode modes_for_decisions(const struct shell *shell)
{
    if (shell->mode == SHELL_BEHIND)
        return SHELL_BEHIND;
    return shell->awaiting ? SHELL_STARTING : SHELL_RUNNING;
}

json_t *modes_error(enum shell_mode mode)
{
    json_t *error = json_pack("{s:s,s:i}", "error", modes[mode].json_error,
                              "code", modes[mode].json_code);

    if (modes[mode].passes)
        json_object_set_new(error, "again", json_object());
    return error;
}

enum shell_mode modes_of_failure(enum evt_status rc)
{
    return rc == EVT_FULL   ? SHELL_FULL
           : rc == EVT_BUSY ? SHELL_LOCKED
                            : SHELL_RUNNING;
}

static void enter(struct shell *shell, enum shell_mode mode)
{
    const struct mode *from = &modes[shell->mode], *to = &modes[mode];

    if (mode == shell->mode)
        return;
    if (mode == SHELL_RUNNING)
        logger_fact(LOG_INFO, NULL, NULL, "%s", from->left);
    else
        logger_fact(to->level, NULL, NULL, "%s",
                    to->entered != NULL ? to->entered
                                        : store_error(shell->store));
    shell->mode = mode;
}

void modes_failed(struct shell *shell, enum shell_mode mode)
{
    enter(shell, mode);
    shell->retry_ms = shell_now(shell) + modes[mode].retry_ms;
}

void modes_committed(struct shell *shell)
{
    if (shell->mode != SHELL_BEHIND) /* to accept another log commits, too */
        enter(shell, SHELL_RUNNING);
}

void modes_set_behind(struct shell *shell, bool behind)
{
    if (behind)
        enter(shell, SHELL_BEHIND);
    else if (shell->mode == SHELL_BEHIND)
        enter(shell, SHELL_RUNNING);
}
