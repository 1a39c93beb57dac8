/* store_tables.c - what hangs on the log: cursors (the inbox), snapshots,
 * timers and parked events, in the same file and the same transactions. */
#include "log/store_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- the inbox ---- */

/* Its columns are log_id, seq, hash. */
static enum evt_status read_cursor(struct store *store, sqlite3_stmt *s,
                                   const char *source, struct cursor *cursor)
{
    struct cursor found = {0};

    found.at.seq = (uint64_t)sqlite3_column_int64(s, 1);
    if (!sql_read_blob(s, 0, found.at.log_id, LOG_ID_BYTES, false) ||
        !sql_read_blob(s, 2, found.hash, HASH_BYTES, false))
        return store_fail(store, EVT_BAD, "%s: malformed cursor for %s",
                          store->path, source);
    *cursor = found;
    return EVT_OK;
}

enum evt_status store_cursor(struct store *store, const char *source,
                             struct cursor *cursor)
{
    sqlite3_stmt *s = store_statement(store, CURSOR);
    enum evt_status rc;

    sql_bind_text(s, 1, source);
    rc = store_first_row(store, s, "reading a cursor");
    if (rc == EVT_OK)
        rc = read_cursor(store, s, source, cursor);
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_next_cursor(struct store *store,
                                  char source[SERVICE_BYTES],
                                  struct cursor *cursor)
{
    sqlite3_stmt *s = store_statement(store, NEXT_CURSOR);
    char found[SERVICE_BYTES];
    enum evt_status rc;

    sql_bind_text(s, 1, source);
    rc = store_first_row(store, s, "reading cursors");
    if (rc == EVT_OK && !sql_read_text(s, 3, found, SERVICE_BYTES))
        rc = store_fail(store, EVT_BAD, "%s: malformed cursor", store->path);
    if (rc == EVT_OK) {
        rc = read_cursor(store, s, found, cursor);
        text_copy(source, SERVICE_BYTES, found);
    }
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_set_cursor(struct store *store, const char *source,
                                 const struct cursor *cursor)
{
    sqlite3_stmt *s = store_statement(store, SET_CURSOR);

    sql_bind_text(s, 1, source);
    sql_bind_blob(s, 2, cursor->at.log_id, LOG_ID_BYTES);
    sql_bind_int(s, 3, cursor->at.seq);
    sql_bind_blob(s, 4, cursor->hash, HASH_BYTES);
    return store_run(store, s, "moving a cursor");
}

/* ---- snapshots ---- */

enum evt_status store_snapshot(struct store *store, const char *kind,
                               const char *key, uint32_t layout, void *state,
                               size_t bytes, uint64_t *seq)
{
    sqlite3_stmt *s = store_statement(store, SNAPSHOT);
    enum evt_status rc;

    sql_bind_text(s, 1, kind);
    sql_bind_text(s, 2, key);
    rc = store_first_row(store, s, "reading a snapshot");
    if (rc == EVT_OK && (sqlite3_column_int64(s, 0) != (int64_t)layout ||
                         (size_t)sqlite3_column_bytes(s, 2) != bytes))
        rc = EVT_NONE; /* of another layout: folded anew from the log */
    if (rc == EVT_OK) {
        memcpy(state, sqlite3_column_blob(s, 2), bytes);
        *seq = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_set_snapshot(struct store *store, const char *kind,
                                   const char *key, uint32_t layout,
                                   const void *state, size_t bytes,
                                   uint64_t seq)
{
    sqlite3_stmt *s = store_statement(store, SET_SNAPSHOT);

    sql_bind_text(s, 1, kind);
    sql_bind_text(s, 2, key);
    sql_bind_int(s, 3, layout);
    sql_bind_int(s, 4, seq);
    sql_bind_blob(s, 5, state, bytes);
    return store_run(store, s, "writing a snapshot");
}

/* ---- timers ---- */

enum evt_status store_arm(struct store *store, const struct armed *timer)
{
    sqlite3_stmt *s = store_statement(store, ARM);

    sql_bind_int(s, 1, timer->event_seq);
    sql_bind_text(s, 2, timer->order_id);
    sqlite3_bind_int64(s, 3, timer->set_ms);
    sqlite3_bind_int64(s, 4, timer->after_ms);
    return store_run(store, s, "arming a timer");
}

enum evt_status store_disarm(struct store *store, const char *order_id)
{
    sqlite3_stmt *armed = store_statement(store, ARMED);
    sqlite3_stmt *disarm = store_statement(store, DISARM);
    enum evt_status rc = EVT_OK;
    char tag[TAG_BYTES];

    event_tag(NULL, TAG_ORDER, order_id, tag);
    sql_bind_text(armed, 1, tag);
    /* what is deleted lies behind the walk, which goes by the tag's rows */
    while (rc == EVT_OK &&
           (rc = store_first_row(store, armed, "looking for a timer")) ==
               EVT_OK) {
        sqlite3_bind_int64(disarm, 1, sqlite3_column_int64(armed, 0));
        rc = store_run(store, disarm, "disarming a timer");
    }
    sqlite3_reset(armed);
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status store_due(struct store *store, int64_t now_ms,
                          struct armed due[], size_t max, size_t *count)
{
    sqlite3_stmt *s = store_statement(store, DUE);
    enum evt_status rc;

    *count = 0;
    sqlite3_bind_int64(s, 1, now_ms);
    sql_bind_int(s, 2, max);
    while ((rc = store_first_row(store, s, "reading timers")) == EVT_OK) {
        struct armed *timer = &due[(*count)++];

        timer->event_seq = (uint64_t)sqlite3_column_int64(s, 0);
        timer->set_ms = sqlite3_column_int64(s, 2);
        timer->after_ms = sqlite3_column_int64(s, 3);
        if (!sql_read_text(s, 1, timer->order_id, ID_BYTES)) {
            rc = store_fail(store, EVT_BAD, "%s: malformed timer", store->path);
            break;
        }
    }
    sqlite3_reset(s);
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* The earliest time that @s selects. */
static enum evt_status read_due(struct store *store, sqlite3_stmt *s,
                                int64_t *due_ms)
{
    enum evt_status rc = store_first_row(store, s, "reading timers");

    if (rc == EVT_OK && sqlite3_column_type(s, 0) == SQLITE_NULL)
        rc = EVT_NONE;
    if (rc == EVT_OK)
        *due_ms = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_next_due(struct store *store, int64_t *due_ms)
{
    return read_due(store, store_statement(store, NEXT_DUE), due_ms);
}

enum evt_status store_order_due(struct store *store, const char *order_id,
                                int64_t *due_ms)
{
    sqlite3_stmt *s = store_statement(store, ORDER_DUE);

    sql_bind_text(s, 1, order_id);
    return read_due(store, s, due_ms);
}

enum evt_status store_timer_count(struct store *store, uint64_t *count)
{
    sqlite3_stmt *s = store_statement(store, COUNT_TIMERS);
    enum evt_status rc;

    rc = store_first_row(store, s, "counting timers");
    if (rc == EVT_OK)
        *count = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_clamp_timers(struct store *store, int64_t now_ms)
{
    sqlite3_stmt *s = store_statement(store, LATE_TIMERS);
    enum evt_status rc;
    bool any;

    sqlite3_bind_int64(s, 1, now_ms);
    rc = store_first_row(store, s, "reading timers");
    any = rc == EVT_OK && sqlite3_column_int64(s, 0) > 0;
    sqlite3_reset(s);
    if (rc != EVT_OK || !any)
        return rc;
    s = store_statement(store, CLAMP_TIMERS);
    rc = store_begin(store);
    if (rc != EVT_OK)
        return rc;
    sqlite3_bind_int64(s, 1, now_ms);
    rc = store_run(store, s, "setting timers");
    if (rc == EVT_OK)
        rc = store_commit(store);
    if (rc != EVT_OK)
        store_rollback(store);
    return rc;
}

/* ---- parked events ---- */

enum evt_status store_park(struct store *store, const struct parked *parked)
{
    sqlite3_stmt *s = store_statement(store, PARK);

    sql_bind_text(s, 1, parked->source);
    sql_bind_blob(s, 2, parked->at.log_id, LOG_ID_BYTES);
    sql_bind_int(s, 3, parked->at.seq);
    sql_bind_text(s, 4, parked->order_id);
    sql_bind_text(s, 5, parked->reason);
    sql_bind_blob(s, 6, parked->raw, parked->raw_bytes);
    return store_run(store, s, "parking");
}

enum evt_status store_next_parked(struct store *store, struct parked *parked)
{
    sqlite3_stmt *s = store_statement(store, NEXT_PARKED);
    enum evt_status rc;
    bool good = true;

    sqlite3_bind_text(s, 1, parked->source, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(s, 2, parked->at.log_id, LOG_ID_BYTES, SQLITE_TRANSIENT);
    sql_bind_int(s, 3, parked->at.seq);
    rc = store_first_row(store, s, "reading parked events");
    if (rc == EVT_OK) {
        parked->raw_bytes = (size_t)sqlite3_column_bytes(s, 5);
        good = sql_read_text(s, 0, parked->source, SERVICE_BYTES) &&
               sql_read_blob(s, 1, parked->at.log_id, LOG_ID_BYTES, false) &&
               sql_read_text(s, 3, parked->order_id, ID_BYTES) &&
               sql_read_text(s, 4, parked->reason, sizeof parked->reason) &&
               parked->raw_bytes <= sizeof parked->raw;
        parked->at.seq = (uint64_t)sqlite3_column_int64(s, 2);
        if (good && parked->raw_bytes > 0)
            memcpy(parked->raw, sqlite3_column_blob(s, 5), parked->raw_bytes);
    }
    sqlite3_reset(s);
    if (!good)
        return store_fail(store, EVT_BAD, "%s: malformed parked event",
                          store->path);
    return rc;
}

enum evt_status store_unpark(struct store *store, const struct parked *parked)
{
    sqlite3_stmt *s = store_statement(store, UNPARK);

    sql_bind_text(s, 1, parked->source);
    sql_bind_blob(s, 2, parked->at.log_id, LOG_ID_BYTES);
    sql_bind_int(s, 3, parked->at.seq);
    return store_run(store, s, "unparking");
}

enum evt_status store_parked_count(struct store *store, uint64_t *count)
{
    sqlite3_stmt *s = store_statement(store, COUNT_PARKED);
    enum evt_status rc;

    rc = store_first_row(store, s, "counting parked events");
    if (rc == EVT_OK)
        *count = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return rc;
}
