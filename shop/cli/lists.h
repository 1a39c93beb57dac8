/* lists.h - `saga ls products|stock|customers`. */
#ifndef LISTS_H
#define LISTS_H

#include "shop/cli/shop_cli.h"

/* Whether there is such a list. */
bool list_is_one(const char *name);

/* Prints the list @name, at most @limit entries of it, by their names; returns
 * the exit code. */
int list_print(struct saga *saga, const char *name, int64_t limit);

#endif
