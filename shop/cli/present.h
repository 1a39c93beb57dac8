/* present.h - what a view says of one order, sku or customer, as text and as
 * JSON. */
#ifndef PRESENT_H
#define PRESENT_H

#include "shop/cli/shop_cli.h"

/* The answer of a view, or of refold_answer, with the members of its one row
 * beside the others: {"order","status",...,"ended","timeline","as_of",
 * "from_files"}.  A new reference; @reply stays the caller's. */
json_t *present_json(json_t *reply);

void present_print(const json_t *reply);

#endif
