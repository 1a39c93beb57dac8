/* commands.h - requests of clients, each answered exactly once. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "base/env.h"
#include "write/shell.h"

/* Decides on the commands of one request, inside the transaction of the batch;
 * their answers wait for commands_answer.  Errors as the store's: nothing of
 * the batch is kept then. */
MUST_CHECK enum evt_status commands_handle(struct shell *shell,
                                           const struct input *input);

/* Answers a request at once: with what the shell's mode says, unless the
 * command is recorded already. */
void commands_turn_away(struct shell *shell, const struct input *input);

/* Answers every request of the batch.  @mode: SHELL_RUNNING after the commit;
 * otherwise, outside of a transaction, commands that earlier ones have recorded
 * are answered as the first time, and all others as that mode says. */
void commands_answer(struct shell *shell, enum shell_mode mode);

#endif
