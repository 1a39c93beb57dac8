/* store_internal.h - the store from within.
 *
 * Used by: store.c, store_copy.c, store_open.c, store_tables.c. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "log/sql.h"
#include "log/store.h"

enum statement {
    BEGIN,
    COMMIT,
    SNAPSHOT_BEGIN,
    HEAD,
    APPEND,
    ADD_TAG,
    FIND_COMMAND,
    SCAN_LOG,
    SCAN_TAG,
    HASH_AT,
    CURSOR,
    SET_CURSOR,
    NEXT_CURSOR,
    SNAPSHOT,
    SET_SNAPSHOT,
    ARM,
    ARMED,
    DISARM,
    DUE,
    NEXT_DUE,
    ORDER_DUE,
    COUNT_TIMERS,
    LATE_TIMERS,
    CLAMP_TIMERS,
    PARK,
    NEXT_PARKED,
    UNPARK,
    COUNT_PARKED,
    STATEMENTS
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS]; /* prepared when first used */
    bool readonly;
    char *path;
    char service[SERVICE_BYTES], error[STORE_WHY_BYTES];
    uint8_t log_id[LOG_ID_BYTES];

    /* The writer's head, with what the open transaction has appended, and as
     * of the last commit. */
    uint64_t head_seq, durable_seq;
    uint8_t head_hash[HASH_BYTES], durable_hash[HASH_BYTES];
    int wal_frames;          /* as of the last commit */
    int checkpointed_frames; /* of those, when a checkpoint was last tried */
    sqlite3_stmt *scan;      /* the scan in progress */
    uint64_t scan_at;        /* the event that it has come to */
    unsigned slice;          /* events of its slice */
    store_wanted_fn *wanted; /* of which orders; NULL: all */
    void *wanted_ctx;
};

enum evt_status store_fail(struct store *store, enum evt_status status,
                           const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* EVT_OK, or notes what SQLite said while @doing. */
enum evt_status store_sqlite(struct store *store, int rc, const char *doing);
/* The prepared statement, reset and ready to be bound; NULL: store->error says
 * why, and store_run and store_first_row take it for that. */
sqlite3_stmt *store_statement(struct store *store, enum statement which);
/* Runs a statement that returns no rows. */
MUST_CHECK enum evt_status store_run(struct store *store, sqlite3_stmt *s,
                                     const char *doing);
/* Steps to the first row, and when called again to the next one.  Returns
 * EVT_NONE when no row is left.  The caller resets the statement. */
MUST_CHECK enum evt_status store_first_row(struct store *store, sqlite3_stmt *s,
                                           const char *doing);
/* The head as the file has it. */
MUST_CHECK enum evt_status store_read_head(struct store *store, uint64_t *seq,
                                           uint8_t hash[HASH_BYTES]);

#endif
