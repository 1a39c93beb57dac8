/* losses.h - what an operator has given up after a log was restored.
 *
 * A line for each damage that `saga acknowledge` recorded, in losses.jsonl of
 * the data directory: {"id","subject","text","time","by","reason"}, the first
 * three as `saga check` says them, the time in Unix milliseconds.  Lines are
 * only ever added. */
#ifndef LOSSES_H
#define LOSSES_H

#include "saga-cli/saga.h"

/* All of them, a new array; *@code is SAGA_YES, or it was reported that the
 * file cannot be read, and the array is NULL. */
json_t *losses_read(const struct saga *saga, int *code);

/* The recorded loss with this id, subject and text, borrowed, or NULL. */
json_t *losses_find(const json_t *losses, const char *id, const char *subject,
                    const char *text);

/* Records @losses durably, all or none.  Reported; returns the exit code. */
int losses_append(const struct saga *saga, const json_t *losses);

#endif
