/* store.c - the statements of daily life, one prepared statement each.
 *
 * The log's seq comes from a counter inside the transaction, so a rollback
 * leaves no hole and a gap always means "fetch".  Opening and recovery are in
 * store_open.c; cursors, snapshots, timers and parked events, which hang on the
 * log, in store_tables.c.  Next in reading order: env.h and host.h. */
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
    [NEXT_CURSOR] = "SELECT log_id, seq, hash, source FROM inbox"
                    " WHERE source > ?1 ORDER BY source LIMIT 1",
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
    [ORDER_DUE] = "SELECT min(set_ms + after_ms) FROM timer"
                  " WHERE order_id = ?1",
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

enum {
    CHECKPOINT_FRAMES = 4000, /* 16 MB of WAL */
    SLICE_EVENTS = 4096
};

/* ---- helpers ---- */

sqlite3_stmt *store_statement(struct store *store, enum statement which)
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

/* What a statement that could not be prepared means. */
static enum evt_status unprepared(struct store *store)
{
    return sql_status(sqlite3_errcode(store->db)) == EVT_BUSY ? EVT_BUSY
                                                              : EVT_IO;
}

enum evt_status store_run(struct store *store, sqlite3_stmt *s,
                          const char *doing)
{
    enum evt_status status;

    if (s == NULL)
        return unprepared(store);
    status = store_sqlite(store, sqlite3_step(s), doing);

    sqlite3_reset(s);
    return status;
}

enum evt_status store_first_row(struct store *store, sqlite3_stmt *s,
                                const char *doing)
{
    int rc;

    if (s == NULL)
        return unprepared(store);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return EVT_OK;
    if (rc == SQLITE_DONE)
        return EVT_NONE;
    return store_sqlite(store, rc, doing);
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
           sql_is_whole(s, 2) && sql_is_whole(s, 4) && sql_is_whole(s, 7);
    row->data = sqlite3_column_blob(s, 9);
    row->data_bytes = (uint32_t)sqlite3_column_bytes(s, 9);
    if (row->data == NULL) /* what SQLite makes of no bytes */
        row->data = (const uint8_t *)"";
    good = good && sql_read_text(s, 1, row->type, sizeof row->type) &&
           sql_read_text(s, 3, row->order_id, sizeof row->order_id) &&
           sql_read_text(s, 5, row->cause_source, sizeof row->cause_source) &&
           sql_read_blob(s, 6, row->cause_log, LOG_ID_BYTES, true) &&
           sql_read_text(s, 8, row->command_id, sizeof row->command_id) &&
           sql_read_blob(s, 10, hash ? hash : unused, HASH_BYTES, false) &&
           row->data_bytes <= DATA_MAX;
    if (!good)
        return store_fail(store, EVT_BAD,
                          "%s: event %llu has a malformed column", store->path,
                          (unsigned long long)row->seq);
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
    sqlite3_stmt *s = store_statement(store, which);

    return store_run(store, s, doing);
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

bool store_save(struct store *store)
{
    int in_log = 0, done = -1;

    return sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                     &in_log, &done) == SQLITE_OK &&
           done == in_log;
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
    sqlite3_stmt *s = store_statement(store, HEAD);
    enum evt_status rc;

    rc = store_first_row(store, s, "reading the head");
    if (rc == EVT_NONE) {
        *seq = 0;
        event_genesis(store->service, store->log_id, hash);
        rc = EVT_OK;
    } else if (rc == EVT_OK) {
        *seq = (uint64_t)sqlite3_column_int64(s, 0);
        if (!sql_read_blob(s, 1, hash, HASH_BYTES, false))
            rc =
                store_fail(store, EVT_BAD,
                           "%s: malformed hash of the last event", store->path);
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
    sqlite3_stmt *s = store_statement(store, APPEND);

    sql_bind_int(s, 1, row->seq);
    sql_bind_text(s, 2, row->type);
    sql_bind_int(s, 3, row->version);
    sql_bind_text(s, 4, row->order_id);
    sqlite3_bind_int64(s, 5, row->time_ms);
    sql_bind_text(s, 6, row->cause_source);
    sql_bind_blob(s, 7, row->cause_log,
                  row->cause_source[0] == '\0' ? 0 : LOG_ID_BYTES);
    sql_bind_int(s, 8, row->cause_seq);
    sql_bind_text(s, 9, row->command_id);
    sql_bind_blob(s, 10, row->data, row->data_bytes);
    sql_bind_blob(s, 11, hash, HASH_BYTES);
    return store_run(store, s, "appending");
}

static enum evt_status insert_tags(struct store *store,
                                   const struct domain *domain,
                                   unsigned indexed, const struct event *event,
                                   uint64_t seq)
{
    sqlite3_stmt *s = store_statement(store, ADD_TAG);
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(domain, event, tags);
    enum evt_status rc = EVT_OK;

    for (size_t i = 0; i < count && rc == EVT_OK; i++) {
        char text[TAG_BYTES];

        if ((indexed & 1u << tags[i].kind) == 0)
            continue;
        event_tag(domain, tags[i].kind, tags[i].key, text);
        sql_bind_text(s, 1, text);
        sql_bind_int(s, 2, seq);
        rc = store_run(store, s, "tagging");
    }
    return rc;
}

enum evt_status store_append(struct store *store, const struct domain *domain,
                             unsigned indexed, struct event *event,
                             uint8_t data[], struct row *row,
                             uint8_t hash[HASH_BYTES])
{
    uint64_t seq = store->head_seq + 1;
    enum evt_status rc;

    assert(!sqlite3_get_autocommit(store->db));
    codec_to_row(domain, event, data, row);
    row->seq = seq;
    event_hash(store->head_hash, row, hash);
    rc = insert_event(store, row, hash);
    if (rc == EVT_OK)
        rc = insert_tags(store, domain, indexed, event, seq);
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
    sqlite3_stmt *s = store_statement(store, FIND_COMMAND);
    enum evt_status rc;

    sqlite3_reset(s); /* the row that was borrowed last ends here */
    sql_bind_text(s, 1, command_id);
    rc = store_first_row(store, s, "finding a command");
    return rc == EVT_OK ? read_event(store, s, row, NULL) : rc;
}

enum evt_status store_scan(struct store *store, const char *tag, uint64_t after,
                           uint64_t upto)
{
    sqlite3_stmt *s = store_statement(store, tag == NULL ? SCAN_LOG : SCAN_TAG);

    store_scan_end(store);
    if (s == NULL)
        return unprepared(store);
    if (tag != NULL)
        sqlite3_bind_text(s, 1, tag, -1, SQLITE_TRANSIENT);
    sql_bind_int(s, 2, after > INT64_MAX ? INT64_MAX : after);
    sql_bind_int(s, 3, upto > INT64_MAX ? INT64_MAX : upto);
    store->scan = s;
    store->scan_at = after;
    store->slice = 0;
    store->wanted = NULL;
    return EVT_OK;
}

void store_scan_wanted(struct store *store, store_wanted_fn *wanted, void *ctx)
{
    store->wanted = wanted;
    store->wanted_ctx = ctx;
}

static bool is_wanted(struct store *store)
{
    const char *order_id;

    if (store->wanted == NULL)
        return true;
    order_id = (const char *)sqlite3_column_text(store->scan, 3);
    return store->wanted(store->wanted_ctx, order_id != NULL ? order_id : "");
}

/* A reader that goes through a log for minutes must not stand on one snapshot
 * for so long, since no checkpoint gets beyond it: outside of a transaction it
 * takes the log in slices.  An event that is there stays as it is. */
static void begin_slice(struct store *store)
{
    if (!store->readonly || ++store->slice <= SLICE_EVENTS ||
        !sqlite3_get_autocommit(store->db))
        return;
    sqlite3_reset(store->scan);
    sql_bind_int(store->scan, 2, store->scan_at);
    store->slice = 1;
}

enum evt_status store_next(struct store *store, struct row *row,
                           uint8_t hash[HASH_BYTES])
{
    enum evt_status rc;
    uint64_t seq;

    assert(store->scan != NULL);
    do {
        begin_slice(store);
        rc = store_first_row(store, store->scan, "reading the log");
        if (rc != EVT_OK)
            return rc;
        seq = (uint64_t)sqlite3_column_int64(store->scan, 0);
        if (seq <= store->scan_at) /* of a damaged tree */
            return store_fail(store, EVT_IO, "%s: its events are out of order",
                              store->path);
        store->scan_at = seq;
    } while (!is_wanted(store));
    return read_event(store, store->scan, row, hash);
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
    sqlite3_stmt *s = store_statement(store, HASH_AT);
    enum evt_status rc;

    if (seq == 0) {
        event_genesis(store->service, store->log_id, hash);
        return EVT_OK;
    }
    sql_bind_int(s, 1, seq > INT64_MAX ? 0 : seq);
    rc = store_first_row(store, s, "reading a hash");
    if (rc == EVT_OK && !sql_read_blob(s, 0, hash, HASH_BYTES, false))
        rc = store_fail(store, EVT_BAD, "%s: event %llu has no hash",
                        store->path, (unsigned long long)seq);
    sqlite3_reset(s);
    return rc;
}
