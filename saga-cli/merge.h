/* merge.h - the events of one log or of three as one stream, causes first.
 *
 * Within a log the order is the log's.  Between logs an event never comes
 * before its cause when both can be had; beyond that, by time, which is for
 * display only. */
#ifndef MERGE_H
#define MERGE_H

#include "saga-cli/saga.h"

struct merge_options {
    bool wanted[SERVICES_MAX]; /* which logs */
    bool follow;               /* go on for ever; services may come and go */
    uint64_t from; /* from this event of each log on; 0: the first, or,
                      following, what happens from now on */
};

struct merge;

/* Never fails; caller closes with merge_close.  Asks nobody yet. */
struct merge *merge_open(struct saga *saga,
                         const struct merge_options *options);
void merge_close(struct merge *merge); /* NULL is fine */

/* The next event, as json_from_row makes it: a new reference.  NULL: there is
 * none (following: none yet), or *code is no longer SAGA_YES: reported. */
json_t *merge_next(struct merge *merge, int *code);

/* Following: the next merge_next asks again for news.  Services that do not
 * answer are tried again later; that they went and came is told on stderr. */
void merge_poll(struct merge *merge);

/* Whether service number @i was read from its file, since it is down. */
bool merge_from_file(const struct merge *merge, unsigned i);
/* Where the log of service @i ended when it was last asked. */
uint64_t merge_head(const struct merge *merge, unsigned i);

#endif
