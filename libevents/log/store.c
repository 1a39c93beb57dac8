/* store.c - the statements of daily life, one prepared statement each.
 *
 * The log's seq comes from a counter inside the transaction, so a rollback
 * leaves no hole and a gap always means "fetch".  Opening and recovery are in
 * store_open.c.  Next in reading order: env.h and host.h. */
#include "log/store_internal.h"

#include "core/codec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define EVENT_COLUMNS                                                          \
    "e.seq, e.type, e.version, e.order_id, e.time_ms, e.cause_source,"         \
    " e.cause_log, e.cause_seq, e.command_id, e.data, e.hash"

static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [SNAPSHOT_BEGIN] = "BEGIN",
    [HEAD] = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1",
    [APPEND] = "INSERT INTO event (seq, type, version, order_id, time_ms,"
               " cause_source, cause_log, cause_seq, command_id, data, hash)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [ADD_TAG] = "INSERT INTO tag (tag, seq) VALUES (?1, ?2)",
    [FIND_COMMAND] =
        "SELECT " EVENT_COLUMNS " FROM event e WHERE e.command_id = ?1"
        " AND e.command_id <> ''",
    [SCAN_LOG] = "SELECT " EVENT_COLUMNS " FROM event e"
                 " WHERE e.seq > ?2 AND e.seq <= ?3 ORDER BY e.seq",
    [SCAN_TAG] = "SELECT " EVENT_COLUMNS
                 " FROM tag t CROSS JOIN event e ON e.seq = t.seq"
                 " WHERE t.tag = ?1 AND t.seq > ?2 AND t.seq <= ?3"
                 " ORDER BY t.seq",
    [HASH_AT] = "SELECT hash FROM event WHERE seq = ?1",
    [CURSOR] = "SELECT log_id, seq, hash FROM inbox WHERE source = ?1",
    [SET_CURSOR] = "INSERT INTO inbox (source, log_id, seq, hash)"
                   " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source) DO UPDATE"
                   " SET log_id = ?2, seq = ?3, hash = ?4",
    [SNAPSHOT] = "SELECT layout, seq, bytes FROM snapshot"
                 " WHERE kind = ?1 AND key = ?2",
    [SET_SNAPSHOT] = "INSERT OR REPLACE INTO snapshot"
                     " (kind, key, layout, seq, bytes)"
                     " VALUES (?1, ?2, ?3, ?4, ?5)",
    [ARM] = "INSERT OR REPLACE INTO timer (event_seq, order_id, set_ms,"
            " after_ms) VALUES (?1, ?2, ?3, ?4)",
    /* by the order's few events, not by a walk over all armed timers */
    [ARMED] = "SELECT t.seq FROM tag t CROSS JOIN timer"
              " ON timer.event_seq = t.seq WHERE t.tag = ?1",
    [DISARM] = "DELETE FROM timer WHERE event_seq = ?1",
    [DUE] = "SELECT event_seq, order_id, set_ms, after_ms FROM timer"
            " WHERE set_ms + after_ms <= ?1"
            " ORDER BY set_ms + after_ms, event_seq LIMIT ?2",
    [NEXT_DUE] = "SELECT min(set_ms + after_ms) FROM timer",
    [COUNT_TIMERS] = "SELECT count(*) FROM timer",
    [LATE_TIMERS] = "SELECT count(*) FROM timer WHERE set_ms > ?1",
    [CLAMP_TIMERS] = "UPDATE timer SET set_ms = ?1 WHERE set_ms > ?1",
    [PARK] = "INSERT OR REPLACE INTO parked (source, log_id, seq, order_id,"
             " reason, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [NEXT_PARKED] = "SELECT source, log_id, seq, order_id, reason, raw"
                    " FROM parked WHERE (source, log_id, seq) > (?1, ?2, ?3)"
                    " ORDER BY source, log_id, seq LIMIT 1",
    [UNPARK] = "DELETE FROM parked"
               " WHERE source = ?1 AND log_id = ?2 AND seq = ?3",
    [COUNT_PARKED] = "SELECT count(*) FROM parked",
};

enum { CHECKPOINT_FRAMES = 4000 }; /* 16 MB of WAL */

/* ---- helpers ---- */

/* The prepared statement, reset and ready to be bound; NULL: store->error. */
static sqlite3_stmt *statement(struct store *store, enum statement which)
{
    sqlite3_stmt **prepared = &store->statements[which];
    int rc = SQLITE_OK;

    if (*prepared == NULL)
        rc = sqlite3_prepare_v3(store->db, sql[which], -1,
                                SQLITE_PREPARE_PERSISTENT, prepared, NULL);
    if (rc != SQLITE_OK) {
        (void)store_sqlite(store, rc, "preparing");
        return NULL;
    }
    return *prepared;
}

static void bind_text(sqlite3_stmt *s, int column, const char *text)
{
    sqlite3_bind_text(s, column, text, -1, SQLITE_STATIC);
}

static void bind_int(sqlite3_stmt *s, int column, uint64_t value)
{
    sqlite3_bind_int64(s, column, (sqlite3_int64)value);
}

static void bind_blob(sqlite3_stmt *s, int column, const void *bytes,
                      size_t count)
{
    /* a length of 0 must not become NULL */
    sqlite3_bind_blob64(s, column, count > 0 ? bytes : "", count,
                        SQLITE_STATIC);
}

/* What a statement that could not be prepared means. */
static enum evt_status unprepared(struct store *store)
{
    return store_status_of(sqlite3_errcode(store->db)) == EVT_BUSY ? EVT_BUSY
                                                                   : EVT_IO;
}

/* Runs a statement that returns no rows. */
static enum evt_status run(struct store *store, sqlite3_stmt *s,
                           const char *doing)
{
    int rc = sqlite3_step(s);
    enum evt_status status = store_sqlite(store, rc, doing);

    sqlite3_reset(s);
    return status;
}

/* Steps to the first row.  EVT_NONE: there is none.  Reset it afterwards. */
static enum evt_status first_row(struct store *store, sqlite3_stmt *s,
                                 const char *doing)
{
    int rc = sqlite3_step(s);

    if (rc == SQLITE_ROW)
        return EVT_OK;
    if (rc == SQLITE_DONE)
        return EVT_NONE;
    return store_sqlite(store, rc, doing);
}

/* Text of a file that anybody may have edited: measured, then copied. */
static bool read_text(sqlite3_stmt *s, int column, char *text, size_t size)
{
    const char *value = (const char *)sqlite3_column_text(s, column);
    size_t length = (size_t)sqlite3_column_bytes(s, column);

    memset(text, 0, size);
    if (value == NULL)
        return true;
    if (length >= size || strlen(value) != length)
        return false;
    memcpy(text, value, length);
    return true;
}

/* A blob of exactly @size bytes, or, if @may_be_empty, of none. */
static bool read_blob(sqlite3_stmt *s, int column, uint8_t *bytes, size_t size,
                      bool may_be_empty)
{
    const void *value = sqlite3_column_blob(s, column);
    size_t length = (size_t)sqlite3_column_bytes(s, column);

    memset(bytes, 0, size);
    if (length == 0)
        return may_be_empty;
    if (length != size)
        return false;
    memcpy(bytes, value, size);
    return true;
}

/* Columns have no types of their own in SQLite. */
static bool is_whole(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_INTEGER;
}

/* A row of EVENT_COLUMNS. */
static enum evt_status read_event(struct store *store, sqlite3_stmt *s,
                                  struct row *row, uint8_t *hash)
{
    uint8_t unused[HASH_BYTES];
    bool good;

    memset(row, 0, sizeof *row);
    row->seq = (uint64_t)sqlite3_column_int64(s, 0);
    row->version = (uint32_t)sqlite3_column_int64(s, 2);
    row->time_ms = sqlite3_column_int64(s, 4);
    row->cause_seq = (uint64_t)sqlite3_column_int64(s, 7);
    /* What is cut off here would not be hashed. */
    good = sqlite3_column_int64(s, 2) == (int64_t)row->version &&
           is_whole(s, 2) && is_whole(s, 4) && is_whole(s, 7);
    row->data = sqlite3_column_blob(s, 9);
    row->data_bytes = (uint32_t)sqlite3_column_bytes(s, 9);
    if (row->data == NULL) /* what SQLite makes of no bytes */
        row->data = (const uint8_t *)"";
    good = good && read_text(s, 1, row->type, sizeof row->type) &&
           read_text(s, 3, row->order_id, sizeof row->order_id) &&
           read_text(s, 5, row->cause_source, sizeof row->cause_source) &&
           read_blob(s, 6, row->cause_log, LOG_ID_BYTES, true) &&
           read_text(s, 8, row->command_id, sizeof row->command_id) &&
           read_blob(s, 10, hash ? hash : unused, HASH_BYTES, false) &&
           row->data_bytes <= DATA_MAX;
    if (!good)
        return store_fail(store, EVT_BAD,
                          "%s: event %llu has a column that is no event's",
                          store->path, (unsigned long long)row->seq);
    return EVT_OK;
}

const char *store_error(const struct store *store)
{
    return store->error;
}

const char *store_service(const struct store *store)
{
    return store->service;
}

const uint8_t *store_log_id(const struct store *store)
{
    return store->log_id;
}

struct sqlite3 *store_connection(struct store *store)
{
    return store->db;
}

/* ---- transactions ---- */

static enum evt_status run_plain(struct store *store, enum statement which,
                                 const char *doing)
{
    sqlite3_stmt *s = statement(store, which);

    return s == NULL ? unprepared(store) : run(store, s, doing);
}

enum evt_status store_begin(struct store *store)
{
    assert(!store->readonly);
    return run_plain(store, BEGIN, "beginning");
}

enum evt_status store_commit(struct store *store)
{
    enum evt_status rc;

    /* a row still borrowed from it would hold an old snapshot open */
    if (store->statements[FIND_COMMAND] != NULL)
        sqlite3_reset(store->statements[FIND_COMMAND]);
    rc = run_plain(store, COMMIT, "committing");
    if (rc == EVT_OK) {
        store->durable_seq = store->head_seq;
        memcpy(store->durable_hash, store->head_hash, HASH_BYTES);
    }
    return rc;
}

void store_rollback(struct store *store)
{
    store_scan_end(store);
    for (int i = 0; i < STATEMENTS; i++)
        if (store->statements[i] != NULL)
            sqlite3_reset(store->statements[i]);
    /* a full disk may have rolled back by itself */
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    store->head_seq = store->durable_seq;
    memcpy(store->head_hash, store->durable_hash, HASH_BYTES);
}

/* Passive: copies what no reader stands on and never waits.  Its result is
 * checked here, which SQLite's automatic checkpoint does not do. */
enum evt_status store_checkpoint(struct store *store)
{
    int in_log = 0, done = 0, rc;

    if (store->wal_frames < store->checkpointed_frames)
        store->checkpointed_frames = 0; /* SQLite has begun it anew */
    if (store->wal_frames < store->checkpointed_frames + CHECKPOINT_FRAMES)
        return EVT_OK;
    store->checkpointed_frames = store->wal_frames;
    rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                   &in_log, &done);
    return store_sqlite(store, rc, "checkpointing");
}

enum evt_status store_snapshot_begin(struct store *store)
{
    return run_plain(store, SNAPSHOT_BEGIN, "reading");
}

void store_snapshot_end(struct store *store)
{
    store_scan_end(store);
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- the log ---- */

enum evt_status store_read_head(struct store *store, uint64_t *seq,
                                uint8_t hash[HASH_BYTES])
{
    sqlite3_stmt *s = statement(store, HEAD);
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    rc = first_row(store, s, "reading the head");
    if (rc == EVT_NONE) {
        *seq = 0;
        event_genesis(store->service, store->log_id, hash);
        rc = EVT_OK;
    } else if (rc == EVT_OK) {
        *seq = (uint64_t)sqlite3_column_int64(s, 0);
        if (!read_blob(s, 1, hash, HASH_BYTES, false))
            rc = store_fail(store, EVT_BAD, "%s: the last hash is no hash",
                            store->path);
    }
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_head(struct store *store, uint64_t *seq,
                           uint8_t hash[HASH_BYTES])
{
    if (store->readonly)
        return store_read_head(store, seq, hash);
    *seq = store->head_seq;
    memcpy(hash, store->head_hash, HASH_BYTES);
    return EVT_OK;
}

static enum evt_status insert_event(struct store *store, const struct row *row,
                                    const uint8_t hash[HASH_BYTES])
{
    sqlite3_stmt *s = statement(store, APPEND);

    if (s == NULL)
        return unprepared(store);
    bind_int(s, 1, row->seq);
    bind_text(s, 2, row->type);
    bind_int(s, 3, row->version);
    bind_text(s, 4, row->order_id);
    sqlite3_bind_int64(s, 5, row->time_ms);
    bind_text(s, 6, row->cause_source);
    bind_blob(s, 7, row->cause_log,
              row->cause_source[0] == '\0' ? 0 : LOG_ID_BYTES);
    bind_int(s, 8, row->cause_seq);
    bind_text(s, 9, row->command_id);
    bind_blob(s, 10, row->data, row->data_bytes);
    bind_blob(s, 11, hash, HASH_BYTES);
    return run(store, s, "appending");
}

static enum evt_status insert_tags(struct store *store, unsigned indexed,
                                   const struct event *event, uint64_t seq)
{
    sqlite3_stmt *s = statement(store, ADD_TAG);
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(event, tags);
    enum evt_status rc = s == NULL ? unprepared(store) : EVT_OK;

    for (size_t i = 0; i < count && rc == EVT_OK; i++) {
        char text[TAG_BYTES];

        if ((indexed & 1u << tags[i].kind) == 0)
            continue;
        event_tag(tags[i].kind, tags[i].key, text);
        bind_text(s, 1, text);
        bind_int(s, 2, seq);
        rc = run(store, s, "tagging");
    }
    return rc;
}

enum evt_status store_append(struct store *store, unsigned indexed,
                             struct event *event, uint8_t data[],
                             struct row *row, uint8_t hash[HASH_BYTES])
{
    uint64_t seq = store->head_seq + 1;
    enum evt_status rc;

    assert(!sqlite3_get_autocommit(store->db));
    codec_to_row(event, data, row);
    row->seq = seq;
    event_hash(store->head_hash, row, hash);
    rc = insert_event(store, row, hash);
    if (rc == EVT_OK)
        rc = insert_tags(store, indexed, event, seq);
    if (rc != EVT_OK)
        return rc;
    text_copy(event->source, SERVICE_BYTES, store->service);
    memcpy(event->at.log_id, store->log_id, LOG_ID_BYTES);
    event->at.seq = seq;
    store->head_seq = seq;
    memcpy(store->head_hash, hash, HASH_BYTES);
    return EVT_OK;
}

enum evt_status store_find_command(struct store *store, const char *command_id,
                                   struct row *row)
{
    sqlite3_stmt *s = statement(store, FIND_COMMAND);
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    sqlite3_reset(s); /* the row that was borrowed last ends here */
    bind_text(s, 1, command_id);
    rc = first_row(store, s, "finding a command");
    return rc == EVT_OK ? read_event(store, s, row, NULL) : rc;
}

enum evt_status store_scan(struct store *store, const char *tag, uint64_t after,
                           uint64_t upto)
{
    sqlite3_stmt *s = statement(store, tag == NULL ? SCAN_LOG : SCAN_TAG);

    store_scan_end(store);
    if (s == NULL)
        return unprepared(store);
    if (tag != NULL)
        sqlite3_bind_text(s, 1, tag, -1, SQLITE_TRANSIENT);
    bind_int(s, 2, after > INT64_MAX ? INT64_MAX : after);
    bind_int(s, 3, upto > INT64_MAX ? INT64_MAX : upto);
    store->scan = s;
    return EVT_OK;
}

enum evt_status store_next(struct store *store, struct row *row,
                           uint8_t hash[HASH_BYTES])
{
    enum evt_status rc;

    assert(store->scan != NULL);
    rc = first_row(store, store->scan, "reading the log");
    return rc == EVT_OK ? read_event(store, store->scan, row, hash) : rc;
}

void store_scan_end(struct store *store)
{
    if (store->scan != NULL)
        sqlite3_reset(store->scan);
    store->scan = NULL;
}

enum evt_status store_hash_at(struct store *store, uint64_t seq,
                              uint8_t hash[HASH_BYTES])
{
    sqlite3_stmt *s = statement(store, HASH_AT);
    enum evt_status rc;

    if (seq == 0) {
        event_genesis(store->service, store->log_id, hash);
        return EVT_OK;
    }
    if (s == NULL)
        return unprepared(store);
    bind_int(s, 1, seq > INT64_MAX ? 0 : seq);
    rc = first_row(store, s, "reading a hash");
    if (rc == EVT_OK && !read_blob(s, 0, hash, HASH_BYTES, false))
        rc = store_fail(store, EVT_BAD, "%s: event %llu has no hash",
                        store->path, (unsigned long long)seq);
    sqlite3_reset(s);
    return rc;
}

/* ---- the inbox ---- */

enum evt_status store_cursor(struct store *store, const char *source,
                             struct cursor *cursor)
{
    sqlite3_stmt *s = statement(store, CURSOR);
    struct cursor found = {0};
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    bind_text(s, 1, source);
    rc = first_row(store, s, "reading a cursor");
    if (rc == EVT_OK) {
        found.at.seq = (uint64_t)sqlite3_column_int64(s, 1);
        if (read_blob(s, 0, found.at.log_id, LOG_ID_BYTES, false) &&
            read_blob(s, 2, found.hash, HASH_BYTES, false))
            *cursor = found;
        else
            rc = store_fail(store, EVT_BAD, "%s: the cursor of %s is none",
                            store->path, source);
    }
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_set_cursor(struct store *store, const char *source,
                                 const struct cursor *cursor)
{
    sqlite3_stmt *s = statement(store, SET_CURSOR);

    if (s == NULL)
        return unprepared(store);
    bind_text(s, 1, source);
    bind_blob(s, 2, cursor->at.log_id, LOG_ID_BYTES);
    bind_int(s, 3, cursor->at.seq);
    bind_blob(s, 4, cursor->hash, HASH_BYTES);
    return run(store, s, "moving a cursor");
}

/* ---- snapshots ---- */

enum evt_status store_snapshot(struct store *store, const char *kind,
                               const char *key, uint32_t layout, void *state,
                               size_t bytes, uint64_t *seq)
{
    sqlite3_stmt *s = statement(store, SNAPSHOT);
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    bind_text(s, 1, kind);
    bind_text(s, 2, key);
    rc = first_row(store, s, "reading a snapshot");
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
    sqlite3_stmt *s = statement(store, SET_SNAPSHOT);

    if (s == NULL)
        return unprepared(store);
    bind_text(s, 1, kind);
    bind_text(s, 2, key);
    bind_int(s, 3, layout);
    bind_int(s, 4, seq);
    bind_blob(s, 5, state, bytes);
    return run(store, s, "writing a snapshot");
}

/* ---- timers ---- */

enum evt_status store_arm(struct store *store, const struct armed *timer)
{
    sqlite3_stmt *s = statement(store, ARM);

    if (s == NULL)
        return unprepared(store);
    bind_int(s, 1, timer->event_seq);
    bind_text(s, 2, timer->order_id);
    sqlite3_bind_int64(s, 3, timer->set_ms);
    sqlite3_bind_int64(s, 4, timer->after_ms);
    return run(store, s, "arming a timer");
}

enum evt_status store_disarm(struct store *store, const char *order_id)
{
    sqlite3_stmt *armed = statement(store, ARMED);
    sqlite3_stmt *disarm = statement(store, DISARM);
    enum evt_status rc = EVT_OK;
    char tag[TAG_BYTES];

    if (armed == NULL || disarm == NULL)
        return unprepared(store);
    event_tag(TAG_ORDER, order_id, tag);
    bind_text(armed, 1, tag);
    /* what is deleted lies behind the walk, which goes by the tag's rows */
    while (rc == EVT_OK &&
           (rc = first_row(store, armed, "looking for a timer")) == EVT_OK) {
        sqlite3_bind_int64(disarm, 1, sqlite3_column_int64(armed, 0));
        rc = run(store, disarm, "disarming a timer");
    }
    sqlite3_reset(armed);
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status store_due(struct store *store, int64_t now_ms,
                          struct armed due[], size_t max, size_t *count)
{
    sqlite3_stmt *s = statement(store, DUE);
    enum evt_status rc;

    *count = 0;
    if (s == NULL)
        return unprepared(store);
    sqlite3_bind_int64(s, 1, now_ms);
    bind_int(s, 2, max);
    while ((rc = first_row(store, s, "reading timers")) == EVT_OK) {
        struct armed *timer = &due[(*count)++];

        timer->event_seq = (uint64_t)sqlite3_column_int64(s, 0);
        timer->set_ms = sqlite3_column_int64(s, 2);
        timer->after_ms = sqlite3_column_int64(s, 3);
        if (!read_text(s, 1, timer->order_id, ID_BYTES)) {
            rc = store_fail(store, EVT_BAD, "%s: a timer of no order",
                            store->path);
            break;
        }
    }
    sqlite3_reset(s);
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status store_next_due(struct store *store, int64_t *due_ms)
{
    sqlite3_stmt *s = statement(store, NEXT_DUE);
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    rc = first_row(store, s, "reading timers");
    if (rc == EVT_OK && sqlite3_column_type(s, 0) == SQLITE_NULL)
        rc = EVT_NONE;
    if (rc == EVT_OK)
        *due_ms = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_timer_count(struct store *store, uint64_t *count)
{
    sqlite3_stmt *s = statement(store, COUNT_TIMERS);
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    rc = first_row(store, s, "counting timers");
    if (rc == EVT_OK)
        *count = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return rc;
}

enum evt_status store_clamp_timers(struct store *store, int64_t now_ms)
{
    sqlite3_stmt *s = statement(store, LATE_TIMERS);
    enum evt_status rc;
    bool any;

    if (s == NULL)
        return unprepared(store);
    sqlite3_bind_int64(s, 1, now_ms);
    rc = first_row(store, s, "reading timers");
    any = rc == EVT_OK && sqlite3_column_int64(s, 0) > 0;
    sqlite3_reset(s);
    if (rc != EVT_OK || !any)
        return rc;
    s = statement(store, CLAMP_TIMERS);
    if (s == NULL)
        return unprepared(store);
    rc = store_begin(store);
    if (rc != EVT_OK)
        return rc;
    sqlite3_bind_int64(s, 1, now_ms);
    rc = run(store, s, "setting timers");
    if (rc == EVT_OK)
        rc = store_commit(store);
    if (rc != EVT_OK)
        store_rollback(store);
    return rc;
}

/* ---- parked events ---- */

enum evt_status store_park(struct store *store, const struct parked *parked)
{
    sqlite3_stmt *s = statement(store, PARK);

    if (s == NULL)
        return unprepared(store);
    bind_text(s, 1, parked->source);
    bind_blob(s, 2, parked->at.log_id, LOG_ID_BYTES);
    bind_int(s, 3, parked->at.seq);
    bind_text(s, 4, parked->order_id);
    bind_text(s, 5, parked->reason);
    bind_blob(s, 6, parked->raw, parked->raw_bytes);
    return run(store, s, "parking");
}

enum evt_status store_next_parked(struct store *store, struct parked *parked)
{
    sqlite3_stmt *s = statement(store, NEXT_PARKED);
    enum evt_status rc;
    bool good = true;

    if (s == NULL)
        return unprepared(store);
    sqlite3_bind_text(s, 1, parked->source, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(s, 2, parked->at.log_id, LOG_ID_BYTES, SQLITE_TRANSIENT);
    bind_int(s, 3, parked->at.seq);
    rc = first_row(store, s, "reading parked events");
    if (rc == EVT_OK) {
        parked->raw_bytes = (size_t)sqlite3_column_bytes(s, 5);
        good = read_text(s, 0, parked->source, SERVICE_BYTES) &&
               read_blob(s, 1, parked->at.log_id, LOG_ID_BYTES, false) &&
               read_text(s, 3, parked->order_id, ID_BYTES) &&
               read_text(s, 4, parked->reason, sizeof parked->reason) &&
               parked->raw_bytes <= sizeof parked->raw;
        parked->at.seq = (uint64_t)sqlite3_column_int64(s, 2);
        if (good && parked->raw_bytes > 0)
            memcpy(parked->raw, sqlite3_column_blob(s, 5), parked->raw_bytes);
    }
    sqlite3_reset(s);
    if (!good)
        return store_fail(store, EVT_BAD, "%s: a parked event that is none",
                          store->path);
    return rc;
}

enum evt_status store_unpark(struct store *store, const struct parked *parked)
{
    sqlite3_stmt *s = statement(store, UNPARK);

    if (s == NULL)
        return unprepared(store);
    bind_text(s, 1, parked->source);
    bind_blob(s, 2, parked->at.log_id, LOG_ID_BYTES);
    bind_int(s, 3, parked->at.seq);
    return run(store, s, "unparking");
}

enum evt_status store_parked_count(struct store *store, uint64_t *count)
{
    sqlite3_stmt *s = statement(store, COUNT_PARKED);
    enum evt_status rc;

    if (s == NULL)
        return unprepared(store);
    rc = first_row(store, s, "counting parked events");
    if (rc == EVT_OK)
        *count = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return rc;
}
