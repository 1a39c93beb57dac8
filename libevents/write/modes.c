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

/* Until the publishers have said once how far they have read this log - or
 * half a second has passed, for they may be away - nobody knows whether it is
 * whole.  Commands wait for that, and so does a redrive. */
static bool starting(const struct shell *shell)
{
    bool met = true;

    for (size_t i = 0; i < shell->subscription_count; i++)
        met = met && shell->subscriptions[i].state != SUB_STARTING;
    return !met && shell_now(shell) < shell->opened_mono_ms + STARTING_MS;
}

enum shell_mode modes_for_decisions(const struct shell *shell)
{
    if (shell->mode == SHELL_BEHIND)
        return SHELL_BEHIND;
    return starting(shell) ? SHELL_STARTING : SHELL_RUNNING;
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
