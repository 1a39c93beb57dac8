/* modes.h - what a service can do now, and what it says when that is not
 * everything.
 *
 * One table has every answer, so that a command, a control and the status of
 * one moment never contradict each other.  The legal moves:
 *
 *     RUNNING or LOCKED -> FULL      a transaction found the disk full
 *     RUNNING or FULL   -> LOCKED    a transaction found the database locked
 *     FULL or LOCKED    -> RUNNING   a transaction was committed
 *     any               -> BEHIND    a reader is ahead of this log
 *     BEHIND            -> RUNNING   no reader is ahead of it any more
 *
 * STARTING is never entered: for decisions, and in the status, it takes the
 * place of RUNNING until every publisher has said once how far it has read this
 * log, or is known to be away.  Until then nobody knows whether the log is
 * whole, so nothing is recorded: no command, no event, no timer. */
#ifndef MODES_H
#define MODES_H

#include "base/logger.h"
#include "write/shell.h"

#include <jansson.h>

struct mode {
    const char *state;     /* in the status */
    enum answer_code code; /* what a command is answered: */
    const char *reason;
    int json_code; /* what a control is answered: */
    const char *json_error;
    bool passes;       /* by itself: who is told so asks again for a while */
    uint32_t retry_ms; /* a transaction is tried again then; 0: a time does not
                          end this mode */
    enum logger_level level;
    const char *entered; /* log line; NULL: what the store says */
    const char *left;    /* log line on the way back to RUNNING */
};

extern const struct mode modes[SHELL_MODES];

/* Whether transactions wait now: inputs are turned away. */
bool modes_refusing(const struct shell *shell);

/* Whether this log still awaits what its publishers say of it.  When that has
 * just ended, asks for the events that were postponed. */
bool modes_awaiting(struct shell *shell);

/* When it awaits them no longer, as far as is known now, in mono_ms. */
uint64_t modes_awaits_until_ms(const struct shell *shell);

/* SHELL_RUNNING if commands and redrives may be decided now, else the mode
 * whose answer they get.  FULL and LOCKED are not among these: to decide is
 * how one finds out that they are over. */
enum shell_mode modes_for_decisions(const struct shell *shell);

/* What a control is answered in @mode, a new reference.  If the mode passes by
 * itself, "again" holds what to add to the request when asking again: nothing.
 */
json_t *modes_error(enum shell_mode mode);

/* The mode that a transaction which failed with @rc leads to; SHELL_RUNNING:
 * to none, the process has to leave. */
enum shell_mode modes_of_failure(enum evt_status rc);

/* A transaction led to @mode, FULL or LOCKED.  Call it before the rollback:
 * the log line quotes the store's error. */
void modes_failed(struct shell *shell, enum shell_mode mode);
/* A transaction was committed. */
void modes_committed(struct shell *shell);
/* Whether a reader is ahead of this log. */
void modes_set_behind(struct shell *shell, bool behind);

#endif
