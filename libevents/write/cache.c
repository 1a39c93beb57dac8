/* cache.c - loading, folding and forgetting states; see cache.h for why.
 *
 * One hash table for all kinds.  uthash keeps entries in the order of their
 * insertion, which makes forgetting cheap: the oldest go first, unless they
 * were used since they were last looked at (a "second chance" queue). */
#include "write/cache.h"

#include "core/codec.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct cached_key {
    unsigned kind;
    char key[ID_BYTES];
};

struct cached {
    struct cached_key id;
    bool used;
    unsigned unsaved; /* events folded since the snapshot */
    UT_hash_handle hh;
    max_align_t state[]; /* kind->bytes of it */
};

struct cache {
    const struct service *service;
    struct store *store;
    struct cached *table;
    uint64_t snapshots;
    char error[STORE_WHY_BYTES];
};

struct cache *cache_open(const struct service *service, struct store *store)
{
    struct cache *cache = calloc(1, sizeof *cache);

    if (cache != NULL) {
        cache->service = service;
        cache->store = store;
    }
    return cache;
}

void cache_close(struct cache *cache)
{
    if (cache != NULL)
        cache_drop(cache);
    free(cache);
}

static void forget(struct cache *cache, struct cached *entry)
{
    HASH_DEL(cache->table, entry);
    free(entry);
}

void cache_drop(struct cache *cache)
{
    struct cached *entry, *next;

    HASH_ITER(hh, cache->table, entry, next)
    forget(cache, entry);
}

void cache_trim(struct cache *cache)
{
    while (HASH_COUNT(cache->table) > STATES_CACHED_MAX) {
        struct cached *oldest = cache->table;

        if (!oldest->used) {
            forget(cache, oldest);
            continue;
        }
        oldest->used = false;
        HASH_DEL(cache->table, oldest);
        HASH_ADD(hh, cache->table, id, sizeof oldest->id, oldest);
    }
}

static struct cached *find(struct cache *cache, unsigned kind, const char *key)
{
    struct cached_key id;
    struct cached *entry;

    memset(&id, 0, sizeof id); /* padding and tail count in the hash */
    id.kind = kind;
    text_copy(id.key, sizeof id.key, key);
    HASH_FIND(hh, cache->table, &id, sizeof id, entry);
    if (entry != NULL)
        entry->used = true;
    return entry;
}

static struct cached *add(struct cache *cache, unsigned kind, const char *key)
{
    size_t bytes = cache->service->kinds[kind].bytes;
    struct cached *entry = calloc(1, sizeof *entry + bytes);

    if (entry == NULL)
        abort(); /* out of memory: the log is intact, a restart goes on */
    entry->id.kind = kind;
    text_copy(entry->id.key, sizeof entry->id.key, key);
    /* not "used": what is asked for once only goes before what is again */
    HASH_ADD(hh, cache->table, id, sizeof entry->id, entry);
    return entry;
}

/* Folds the stream of @tag after @after into @entry. */
static enum evt_status replay(struct cache *cache, struct cached *entry,
                              const char *tag, uint64_t after)
{
    const struct kind *kind = &cache->service->kinds[entry->id.kind];
    const char *why = "", *field = NULL;
    struct event event;
    struct row row;
    enum evt_status rc = store_scan(cache->store, tag, after, UINT64_MAX);

    while (rc == EVT_OK && (rc = store_next(cache->store, &row, NULL)) == 0) {
        rc = codec_from_row(cache->service->domain, cache->service->name,
                            store_log_id(cache->store), &row, &event, &why,
                            &field);
        if (rc != EVT_OK) {
            snprintf(cache->error, sizeof cache->error,
                     "own event %llu (%s version %u) cannot be read: %s",
                     (unsigned long long)row.seq, row.type, row.version,
                     rc == EVT_BAD ? why : "newer than this program");
            rc = EVT_BAD;
        } else if (event_type_in(event.type, kind->folds, FOLDS_MAX)) {
            kind->evolve(entry->state, entry->id.key, &event);
            entry->unsaved++;
        }
    }
    store_scan_end(cache->store);
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* The latest snapshot into @entry, and its seq; or nothing, and 0.  One that
 * is damaged is as good as none: the log has it all. */
static enum evt_status load_snapshot(struct cache *cache, struct cached *entry,
                                     uint64_t *seq)
{
    const struct kind *kind = &cache->service->kinds[entry->id.kind];
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;
    enum evt_status rc = EVT_NONE;

    if (kind->snapshotted)
        rc = store_snapshot(cache->store, kind->name, entry->id.key,
                            service_kind_layout(kind), entry->state,
                            kind->bytes, seq);
    if (rc == EVT_OK)
        rc = store_head(cache->store, &head, hash);
    if (rc == EVT_OK &&
        (*seq > head || !codec_check_state(kind->fields, entry->state))) {
        memset(entry->state, 0, kind->bytes);
        rc = EVT_NONE;
    }
    if (rc == EVT_NONE)
        *seq = 0;
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status cache_load(void *ctx, unsigned kind_number, const char *key,
                           const void **state)
{
    struct cache *cache = ctx;
    const struct kind *kind = &cache->service->kinds[kind_number];
    struct cached *entry = find(cache, kind_number, key);
    char tag[TAG_BYTES];
    uint64_t after;
    enum evt_status rc;

    if (entry != NULL) {
        *state = entry->state;
        return EVT_OK;
    }
    entry = add(cache, kind_number, key);
    rc = load_snapshot(cache, entry, &after);
    event_tag(cache->service->domain, kind->tag, key, tag);
    if (rc == EVT_OK)
        rc = replay(cache, entry, tag, after);
    if (rc != EVT_OK) {
        forget(cache, entry);
        return rc;
    }
    *state = entry->state;
    return EVT_OK;
}

static enum evt_status fold_into(struct cache *cache, unsigned kind_number,
                                 const char *key, const struct event *own)
{
    const struct kind *kind = &cache->service->kinds[kind_number];
    struct cached *entry = find(cache, kind_number, key);
    enum evt_status rc;

    if (entry == NULL) /* loading it, one day, will find the event */
        return EVT_OK;
    kind->evolve(entry->state, key, own);
    if (!kind->snapshotted || ++entry->unsaved < SNAPSHOT_EVERY)
        return EVT_OK;
    rc = store_set_snapshot(cache->store, kind->name, key,
                            service_kind_layout(kind), entry->state,
                            kind->bytes, own->at.seq);
    if (rc == EVT_OK) {
        entry->unsaved = 0;
        cache->snapshots++;
    }
    return rc;
}

enum evt_status cache_fold(struct cache *cache, const struct event *own)
{
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(cache->service->domain, own, tags);

    for (unsigned k = 0; k < cache->service->kind_count; k++) {
        const struct kind *kind = &cache->service->kinds[k];

        if (!event_type_in(own->type, kind->folds, FOLDS_MAX))
            continue;
        for (size_t t = 0; t < count; t++) {
            enum evt_status rc = EVT_OK;

            if (tags[t].kind == kind->tag)
                rc = fold_into(cache, k, tags[t].key, own);
            if (rc != EVT_OK)
                return rc;
        }
    }
    return EVT_OK;
}

size_t cache_count(const struct cache *cache)
{
    return HASH_COUNT(cache->table);
}

uint64_t cache_snapshots(const struct cache *cache)
{
    return cache->snapshots;
}

const char *cache_error(const struct cache *cache)
{
    return cache->error;
}
