/* names.h - whether a name that was typed is new, and which one may have been
 * meant: a misspelt sku is received as any other. */
#ifndef NAMES_H
#define NAMES_H

#include "saga-cli/saga.h"

struct name {
    const char *noun; /* "sku", "product", "customer" */
    const char *kind; /* of its stream: "sku", "customer" */
    const char *text;
};

/* Whether @service's log had nothing of @name before its event @seq: 1 yes, 0
 * no, -1 nobody could tell. */
int name_is_new(struct saga *saga, const char *service, const struct name *name,
                uint64_t seq);

/* Of what is in stock, or of the customers: the name that @name may be a
 * misspelling of; NULL: none.  Borrowed until the next call. */
const char *name_meant(struct saga *saga, const struct name *name);

#endif
