/* census.h - how many sagas are open, and how long those took that have ended.
 *
 * Counted in the logs, each of which is read once: a census goes on where it
 * stopped.  The tables of the services say what to count.  A saga begins with
 * an event that a command led to, and is over with an event of the same log
 * after which no rule leads back to that service.  Both times are of one
 * clock, and only open sagas are kept in memory. */
#ifndef CENSUS_H
#define CENSUS_H

#include "saga-cli/saga.h"

struct census;

/* @saga stays the caller's.  Caller closes; NULL is fine there. */
struct census *census_open(struct saga *saga);
void census_close(struct census *census);

/* Reads at most @limit events more.  True: it is at the end of each log, as far
 * as logs can be read. */
bool census_read(struct census *census, uint64_t limit);

/* What comes before the samples of one metric, as Prometheus reads it. */
void census_heading(FILE *out, const char *name, const char *type,
                    const char *help);

/* Writes what was counted, as Prometheus reads it. */
void census_write(const struct census *census, FILE *out);

#endif
