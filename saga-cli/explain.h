/* explain.h - the promises behind `saga check`, in words. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "saga-cli/saga.h"

#include <stdio.h>

/* Explains the invariant @name ("S6", in any case), or all if @name is NULL.
 * Returns the exit code: SAGA_NO_SUCH if there is no such one. */
int explain_print(struct saga *saga, const char *name);

/* The names of all, each behind a space: for the completion. */
void explain_print_names(FILE *out);

#endif
