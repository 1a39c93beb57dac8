/* metrics.h - what Prometheus is told: its text format 0.0.4.
 *
 * Heads, feeds and what is parked come from the files, so that a service that
 * is down is counted, too; the rest of it from the last look at the processes
 * (follow.h), and sagas from census.h.  Nothing is read before the first
 * scrape.  No label has more values than there are services or types of
 * events: an order's id is never one. */
#ifndef METRICS_H
#define METRICS_H

#include "saga-web/follow.h"

struct metrics;

/* All three stay the caller's.  Caller closes; NULL is fine there. */
struct metrics *metrics_open(struct saga *saga, struct server *server,
                             struct follow *follow);
void metrics_close(struct metrics *metrics);

/* Call after each follow_tick(): answers the scrapes that wait, or, while
 * there is much to read, reads a part of it. */
void metrics_tick(struct metrics *metrics);

#endif
