/* store_open.c - opening a log file: settings, schema, migration, recovery.
 *
 * Everything a process does before it may believe its log.  The statements of
 * daily life are in store.c. */
#include "base/text.h"
#include "log/store_internal.h"
#include "log/wal_vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* migrations[n] makes a file of schema n one of schema n + 1.  A fresh file
 * runs them all, so the path of an old one is walked every day. */
static const char *const migrations[STORE_SCHEMA] = {
    /* 0 -> 1 */
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, type TEXT NOT NULL,"
    " version INTEGER NOT NULL, order_id TEXT NOT NULL,"
    " time_ms INTEGER NOT NULL, cause_source TEXT NOT NULL,"
    " cause_log BLOB NOT NULL, cause_seq INTEGER NOT NULL,"
    " command_id TEXT NOT NULL, data BLOB NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE tag (tag TEXT NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY (tag, seq)) WITHOUT ROWID;"
    "CREATE TABLE inbox (source TEXT PRIMARY KEY NOT NULL,"
    " log_id BLOB NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE snapshot (kind TEXT NOT NULL, key TEXT NOT NULL,"
    " layout INTEGER NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL,"
    " PRIMARY KEY (kind, key)) WITHOUT ROWID;"
    "CREATE TABLE timer (event_seq INTEGER PRIMARY KEY,"
    " order_id TEXT NOT NULL, set_ms INTEGER NOT NULL,"
    " after_ms INTEGER NOT NULL);"
    "CREATE TABLE parked (source TEXT NOT NULL, log_id BLOB NOT NULL,"
    " seq INTEGER NOT NULL, order_id TEXT NOT NULL, reason TEXT NOT NULL,"
    " raw BLOB NOT NULL, PRIMARY KEY (source, log_id, seq));"
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value);"
    "CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event"
    " BEGIN SELECT raise(ABORT, 'the log is append-only'); END;"
    "CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event"
    " BEGIN SELECT raise(ABORT, 'the log is append-only'); END;",
    /* 1 -> 2: a command sent again is found by its id */
    "CREATE UNIQUE INDEX event_command ON event (command_id)"
    " WHERE command_id <> '';",
};

enum evt_status store_fail(struct store *store, enum evt_status status,
                           const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(store->error, sizeof store->error, format, args);
    va_end(args);
    return status;
}

enum evt_status store_sqlite(struct store *store, int rc, const char *doing)
{
    enum evt_status status = sql_status(rc);

    if (status == EVT_OK)
        return EVT_OK;
    return store_fail(store, status, "%s: %s: %s", store->path, doing,
                      sqlite3_errmsg(store->db));
}

static enum evt_status execute(struct store *store, const char *sql,
                               const char *doing)
{
    return store_sqlite(store, sqlite3_exec(store->db, sql, NULL, NULL, NULL),
                        doing);
}

/* The first column of the first row, as text; "" when there is none. */
static enum evt_status ask(struct store *store, const char *sql, char *text,
                           size_t size)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

    text[0] = '\0';
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
        snprintf(text, size, "%s",
                 (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return store_sqlite(store, rc, "reading");
}

/* Runs a pragma that must answer @wanted. */
static enum evt_status insist(struct store *store, const char *pragma,
                              const char *wanted)
{
    char got[32];
    enum evt_status rc = ask(store, pragma, got, sizeof got);

    if (rc == EVT_OK && strcmp(got, wanted) != 0)
        return store_fail(store, EVT_IO, "%s: %s is %s, not %s", store->path,
                          pragma, got, wanted);
    return rc;
}

static int note_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct store *store = arg;

    (void)db;
    (void)name;
    store->wal_frames = frames;
    return SQLITE_OK;
}

static enum evt_status settle(struct store *store)
{
    enum evt_status rc;

    sqlite3_busy_timeout(store->db, 50);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    rc = execute(store, "PRAGMA cache_size = -8192", "setting up");
    if (rc != EVT_OK || store->readonly)
        return rc;
    rc = execute(store, "PRAGMA page_size = 4096", "setting up");
    if (rc == EVT_OK)
        rc = insist(store, "PRAGMA journal_mode = WAL", "wal");
    if (rc == EVT_OK)
        rc = execute(store, "PRAGMA synchronous = FULL", "setting up");
    if (rc == EVT_OK)
        rc = insist(store, "PRAGMA synchronous", "2");
    /* also takes the place of SQLite's automatic checkpoint */
    sqlite3_wal_hook(store->db, note_frames, store);
    return rc;
}

/* ---- identity and schema ---- */

static enum evt_status meta_text(struct store *store, const char *key,
                                 char *text, size_t size)
{
    char sql[96];

    snprintf(sql, sizeof sql, "SELECT value FROM meta WHERE key = '%s'", key);
    return ask(store, sql, text, size);
}

static enum evt_status read_schema(struct store *store, int *schema)
{
    char text[64];
    enum evt_status rc;

    *schema = 0;
    rc = ask(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'",
             text, sizeof text);
    if (rc != EVT_OK)
        return rc;
    if (strcmp(text, "0") == 0) {
        rc =
            ask(store, "SELECT count(*) FROM sqlite_schema", text, sizeof text);
        if (rc == EVT_OK && strcmp(text, "0") != 0)
            return store_fail(store, EVT_BAD, "%s: not a log of this system",
                              store->path);
        return rc;
    }
    rc = meta_text(store, "schema", text, sizeof text);
    *schema = atoi(text);
    if (rc == EVT_OK && *schema > STORE_SCHEMA)
        return store_fail(store, EVT_NEWER,
                          "%s: schema version %d, but this program knows "
                          "version %d",
                          store->path, *schema, STORE_SCHEMA);
    if (rc == EVT_OK && *schema < 1)
        return store_fail(store, EVT_BAD, "%s: not a log of this system",
                          store->path);
    return rc;
}

static enum evt_status write_identity(struct store *store, const char *service,
                                      const uint8_t new_log_id[LOG_ID_BYTES])
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db,
                                "INSERT INTO meta (key, value) VALUES"
                                " ('service', ?1), ('log_id', ?2)",
                                -1, &statement, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, service, -1, SQLITE_STATIC);
        sqlite3_bind_blob(statement, 2, new_log_id, LOG_ID_BYTES,
                          SQLITE_STATIC);
        rc = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return store_sqlite(store, rc, "writing its identity");
}

/* One migration, whole or not at all. */
static enum evt_status migrate(struct store *store, int from,
                               const char *service,
                               const uint8_t new_log_id[LOG_ID_BYTES])
{
    char sql[96];
    enum evt_status rc = execute(store, "BEGIN IMMEDIATE", "migrating");

    if (rc != EVT_OK)
        return rc;
    rc = execute(store, migrations[from], "migrating");
    if (rc == EVT_OK && from == 0)
        rc = write_identity(store, service, new_log_id);
    snprintf(sql, sizeof sql,
             "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema', %d)",
             from + 1);
    if (rc == EVT_OK)
        rc = execute(store, sql, "migrating");
    if (rc == EVT_OK)
        rc = execute(store, "COMMIT", "migrating");
    else
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static enum evt_status read_identity(struct store *store, const char *service)
{
    sqlite3_stmt *statement = NULL;
    enum evt_status rc =
        meta_text(store, "service", store->service, sizeof store->service);
    int step;

    if (rc == EVT_OK && service != NULL && strcmp(store->service, service) != 0)
        return store_fail(store, EVT_BAD,
                          "%s: this is the log of %s, not of %s", store->path,
                          store->service, service);
    if (rc != EVT_OK)
        return rc;
    step = sqlite3_prepare_v2(store->db,
                              "SELECT value FROM meta WHERE key = 'log_id'", -1,
                              &statement, NULL);
    if (step == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW &&
        sqlite3_column_bytes(statement, 0) == LOG_ID_BYTES)
        memcpy(store->log_id, sqlite3_column_blob(statement, 0), LOG_ID_BYTES);
    else if (sql_status(step) == EVT_OK)
        rc = store_fail(store, EVT_BAD, "%s: no log id", store->path);
    else
        rc = store_sqlite(store, step, "reading its identity");
    sqlite3_finalize(statement);
    return rc;
}

/* ---- recovery ---- */

/* The @counting first bytes once more, and no others.  Of a WAL that a clean
 * stop has emptied, the zeros that say so; what follows stays, to be written
 * over. */
static int rewrite(sqlite3_file *file, sqlite3_int64 counting)
{
    static _Thread_local uint8_t bytes[65536];
    sqlite3_int64 size = 0;
    int rc = file->pMethods->xFileSize(file, &size);

    if (rc == SQLITE_OK && size < counting)
        return SQLITE_BUSY; /* deleted; a program still has the old one open */
    if (rc == SQLITE_OK && counting == 0 && wal_vfs_is_emptied(file))
        counting = WAL_HEADER_BYTES;
    else if (rc == SQLITE_OK && size > counting)
        rc = file->pMethods->xTruncate(file, counting);
    for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < counting;) {
        sqlite3_int64 left = counting - at;
        int part =
            left < (sqlite3_int64)sizeof bytes ? (int)left : (int)sizeof bytes;

        rc = file->pMethods->xRead(file, bytes, part, at);
        if (rc == SQLITE_OK)
            rc = file->pMethods->xWrite(file, bytes, part, at);
        at += part;
    }
    if (rc == SQLITE_OK && size > 0)
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return rc;
}

int store_renew_wal(sqlite3 *db)
{
    sqlite3_file *wal = NULL, *file = NULL;
    sqlite3_int64 counting = 0;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (rc == SQLITE_OK)
        rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL)
        rc = wal_vfs_counting(file, &counting);
    if (rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL)
        rc = rewrite(wal, counting);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* Copies the WAL into the database, as far as no reader stands on an older
 * snapshot: what is left has been written again by store_renew_wal, so it is
 * on the disk all the same, and a later checkpoint copies it. */
static enum evt_status checkpoint(struct store *store)
{
    return store_sqlite(store,
                        sqlite3_wal_checkpoint_v2(store->db, NULL,
                                                  SQLITE_CHECKPOINT_PASSIVE,
                                                  NULL, NULL),
                        "checkpointing");
}

static enum evt_status prepare_file(struct store *store, const char *service,
                                    const uint8_t new_log_id[LOG_ID_BYTES])
{
    int schema;
    enum evt_status rc = settle(store);

    if (rc == EVT_OK)
        rc = read_schema(store, &schema);
    if (rc == EVT_OK && store->readonly && schema == 0)
        rc = store_fail(store, EVT_BAD, "%s: not a log", store->path);
    if (rc == EVT_OK && store->readonly)
        return read_identity(store, service);
    if (rc == EVT_OK)
        rc = store_sqlite(store, store_renew_wal(store->db),
                          "rewriting the WAL");
    if (rc == EVT_OK)
        rc = checkpoint(store);
    for (; rc == EVT_OK && schema < STORE_SCHEMA; schema++)
        rc = migrate(store, schema, service, new_log_id);
    if (rc == EVT_OK)
        rc = read_identity(store, service);
    if (rc == EVT_OK)
        rc = checkpoint(store);
    if (rc == EVT_OK)
        rc = store_read_head(store, &store->head_seq, store->head_hash);
    store->durable_seq = store->head_seq;
    memcpy(store->durable_hash, store->head_hash, HASH_BYTES);
    return rc;
}

/* Whether the WAL at @path holds nothing: none, or one that was emptied. */
static bool is_empty_wal(const char *path)
{
    static const uint8_t zeros[WAL_HEADER_BYTES];
    uint8_t header[WAL_HEADER_BYTES];
    FILE *file = fopen(path, "re");
    size_t got = 0;

    if (file == NULL)
        return errno == ENOENT;
    got = fread(header, 1, sizeof header, file);
    fclose(file);
    return got == 0 ||
           (got == sizeof header && memcmp(header, zeros, got) == 0);
}

/* Whether @path lies where we can write nothing, and has no WAL: a backup on
 * read-only media.  SQLite cannot make the shared memory that it needs there,
 * unless it is told that nobody else will write, either. */
static bool is_immutable(const char *path)
{
    char wal[4096 + 8], directory[4096], *slash;

    if (strlen(path) >= sizeof directory)
        return false;
    snprintf(wal, sizeof wal, "%s-wal", path);
    if (!is_empty_wal(wal))
        return false;
    text_copy(directory, sizeof directory, path);
    slash = strrchr(directory, '/');
    if (slash != NULL)
        *slash = '\0';
    return faccessat(AT_FDCWD, slash != NULL ? directory : ".", W_OK,
                     AT_EACCESS) != 0 &&
           (errno == EROFS || errno == EACCES);
}

/* As https://www.sqlite.org/uri.html wants it. */
static int open_immutable(const char *path, int flags, sqlite3 **db)
{
    char uri[3 * 4096 + 32], *to = uri;

    to += sprintf(to, "file:");
    for (; *path != '\0'; path++)
        if (strchr("%?#", *path) != NULL)
            to += sprintf(to, "%%%02x", (unsigned)(unsigned char)*path);
        else
            *to++ = *path;
    memcpy(to, "?immutable=1", sizeof "?immutable=1");
    return sqlite3_open_v2(uri, db, flags | SQLITE_OPEN_URI, NULL);
}

static enum evt_status open_file(struct store *store, const char *vfs,
                                 char why[STORE_WHY_BYTES])
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (store->readonly ? SQLITE_OPEN_READONLY
                                 : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    int rc, fd;

    if (vfs == NULL && store->readonly && access(store->path, F_OK) != 0) {
        snprintf(why, STORE_WHY_BYTES, "%s: %s", store->path, strerror(errno));
        return errno == ENOENT ? EVT_NONE : EVT_IO;
    }
    if (vfs == NULL && !store->readonly) { /* nobody else's to read */
        fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            snprintf(why, STORE_WHY_BYTES, "%s: %s", store->path,
                     strerror(errno));
            return errno == ENOSPC || errno == EDQUOT ? EVT_FULL : EVT_IO;
        }
        close(fd);
    }
    if (vfs == NULL && store->readonly && is_immutable(store->path))
        rc = open_immutable(store->path, flags, &store->db);
    else
        rc = sqlite3_open_v2(store->path, &store->db, flags,
                             store->readonly ? vfs : wal_vfs_over(vfs));
    if (rc == SQLITE_OK)
        return EVT_OK;
    snprintf(why, STORE_WHY_BYTES, "%s: %s", store->path,
             store->db ? sqlite3_errmsg(store->db) : "out of memory");
    return sql_status(rc);
}

static enum evt_status open_store(const char *path, const char *service,
                                  const char *vfs, const uint8_t *new_log_id,
                                  bool readonly, struct store **opened,
                                  char why[STORE_WHY_BYTES])
{
    struct store *store = calloc(1, sizeof *store);
    enum evt_status rc;

    if (store == NULL)
        abort();
    store->readonly = readonly;
    store->path = strdup(path);
    if (store->path == NULL)
        abort();
    rc = open_file(store, vfs, why);
    if (rc == EVT_OK) {
        rc = prepare_file(store, service, new_log_id);
        if (rc != EVT_OK)
            snprintf(why, STORE_WHY_BYTES, "%s", store->error);
        if (rc == EVT_IO && sql_has_no_room(store->db)) {
            snprintf(why, STORE_WHY_BYTES, "%s: the disk is full", path);
            rc = EVT_FULL;
        }
        if (rc == EVT_IO && sqlite3_errcode(store->db) == SQLITE_NOTADB)
            rc = EVT_BAD;
    }
    if (rc != EVT_OK) {
        store_close(store);
        return rc;
    }
    *opened = store;
    return EVT_OK;
}

enum evt_status store_open(const char *path, const char *service,
                           const char *vfs,
                           const uint8_t new_log_id[LOG_ID_BYTES],
                           struct store **store, char why[STORE_WHY_BYTES])
{
    return open_store(path, service, vfs, new_log_id, false, store, why);
}

enum evt_status store_open_readonly(const char *path, const char *service,
                                    const char *vfs, struct store **store,
                                    char why[STORE_WHY_BYTES])
{
    return open_store(path, service, vfs, NULL, true, store, why);
}

void store_quicken(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* or slower, no more */
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db); /* rolls back what is open */
    free(store->path);
    free(store);
}
