/* inbox.h - events of the others, each with effect at most once. */
#ifndef INBOX_H
#define INBOX_H

#include "base/env.h"
#include "core/service.h"

struct shell;

/* Handles the new events of a frame or a pull reply, inside the transaction of
 * the batch, and moves the cursor past them.  Errors as the store's: nothing
 * of the batch is kept then. */
MUST_CHECK enum evt_status inbox_handle(struct shell *shell,
                                        const struct input *input);

/* The same while nothing can be recorded: events are dropped, for their
 * publisher has them, but a reply still says how far this log was read. */
void inbox_turn_away(struct shell *shell, const struct input *input);

/* Looks whether a reader is ahead of this log, and enters or leaves
 * SHELL_BEHIND. */
void inbox_look_behind(struct shell *shell);

/* The rule for a row's type, in whatever version it is; NULL: none. */
const struct rule *inbox_rule_for(const struct shell *shell,
                                  const struct row *row);

/* *@cause names @event, an event of another service. */
void inbox_cause_of(const struct event *event, struct cause *cause);

#endif
