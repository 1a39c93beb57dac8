/* refold.h - what a view would answer, from the logs alone. */
#ifndef REFOLD_H
#define REFOLD_H

#include "shop/cli/shop_cli.h"

/* Answers @request as the view of service number @service does, from the events
 * under @tag of the logs that it is folded from, whether their services run or
 * not: the same members, with "as_of" for the heads of those logs.  NULL: it
 * was reported, and *code is the exit code.  Releases @request. */
json_t *refold_answer(struct saga *saga, unsigned service, const char *tag,
                      json_t *request, int *code);

#endif
