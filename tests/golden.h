/* golden.h - logs and payloads as released versions wrote them.
 *
 * tests/golden/VERSION/ holds what version VERSION wrote, as text that a
 * reviewer can read: order.sql, inventory.sql and payment.sql (each a whole
 * log.db), states.json (what they fold to), messages.txt (one payload of every
 * message).  A committed directory is never changed, since users have such
 * files. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <jansson.h>

/* Writes the five files into the existing, empty @directory, from a story that
 * today's domains live through. */
void golden_write(const char *directory);

/* Makes three log.db of the .sql files: @to/<service>/log.db. */
void golden_load(const char *directory, const char *to);

/* What the logs under @from fold to; a new reference:
 * {"order": {"head": N, "hash": hex, "states": {"order o-1": {...}}}, ...} */
json_t *golden_states(const char *from);

#endif
