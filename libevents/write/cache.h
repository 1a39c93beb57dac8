/* cache.h - the states that a service decides on, loaded when a cause names
 * them.
 *
 * State is a fold of the log and nothing else: loading = the cached value,
 * else the latest snapshot plus the events after it, found by tag.  So memory
 * stays bounded whatever the number of orders, a restart replays nothing, and
 * the common path writes events and tags only. */
#ifndef CACHE_H
#define CACHE_H

#include "core/service.h"
#include "log/store.h"

enum {
    STATES_CACHED_MAX = 16384, /* all kinds together, between batches */
    SNAPSHOT_EVERY = 256       /* events folded between two snapshots */
};

struct cache;

/* @service and @store stay the caller's and outlive the cache. */
struct cache *cache_open(const struct service *service, struct store *store);
void cache_close(struct cache *cache);

/* The state of @kind under @key as the log has it now, open transaction
 * included.  *state is borrowed until cache_trim or cache_drop.  A load_fn for
 * service_load_states: @cache is a struct cache.
 * EVT_BAD: the log holds an event of ours that this program cannot read. */
MUST_CHECK enum evt_status cache_load(void *cache, unsigned kind,
                                      const char *key, const void **state);

/* Folds an event, just appended in the open transaction, into every cached
 * state that it touches, and writes the snapshots that are due. */
MUST_CHECK enum evt_status cache_fold(struct cache *cache,
                                      const struct event *own);

/* After a rollback: memory never knows more than the log. */
void cache_drop(struct cache *cache);

/* Between batches: forgets the states used least lately beyond the limit. */
void cache_trim(struct cache *cache);

size_t cache_count(const struct cache *cache);
uint64_t cache_snapshots(const struct cache *cache); /* written so far */

/* Which event a failed load could not read: "event 12: ...".  Borrowed. */
const char *cache_error(const struct cache *cache);

#endif
