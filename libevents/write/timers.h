/* timers.h - own event -> command, unless something else comes first. */
#ifndef TIMERS_H
#define TIMERS_H

#include "write/shell.h"

/* Takes the durations from @config, and what is armed from the store. */
MUST_CHECK enum evt_status timers_open(struct shell *shell,
                                       const struct shell_config *config);

/* The service was away: timers that are due wait, for at most TIMERS_HOLD_MS,
 * until every publisher has answered a pull. */
void timers_hold(struct shell *shell);

/* A clock that starts at the wall's time and never jumps: what timers are set
 * on, in milliseconds.  After a restart a timer therefore waits what is left
 * of it. */
int64_t timers_clock(const struct shell *shell);

/* Sets the timers that @own, just appended, starts, and clears those that it
 * makes needless. */
MUST_CHECK enum evt_status timers_follow(struct shell *shell,
                                         const struct event *own);

/* Decides on the commands of timers that are due, inside the transaction of
 * the batch. */
MUST_CHECK enum evt_status timers_fire(struct shell *shell);

/* When timers_fire wants to be called again, in mono_ms; UINT64_MAX: no timer
 * is armed. */
uint64_t timers_wake_ms(const struct shell *shell);

#endif
