/* view_db.c - a view's file: generations, statements, positions.
 *
 * Unlike a log, a view may run with synchronous=NORMAL: after a power cut it
 * is some earlier prefix of the logs, since its positions go back together
 * with its rows, and the pulls bring the rest again.  For the same reason a
 * damaged file is no tragedy: its link is taken away, and the next start
 * builds another.  Read projection.c for the loop, rebuild.c for the swap. */
#include "read/view_db_internal.h"

#include "log/sql.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RECIPE_BYTES = 16,
    VIEW_CHECKPOINT_PAGES = 4000,
    VIEW_CACHE_KIB = 16384
};

static const char own_schema[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE position (source TEXT PRIMARY KEY, log_id BLOB NOT NULL,"
    " seq INTEGER NOT NULL, hash BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE skipped (source TEXT, seq INTEGER, reason TEXT,"
    " PRIMARY KEY (source, seq)) WITHOUT ROWID;";

/* ---- generations --------------------------------------------------------- */

/* Returns whether it fits. */
static bool file_name(const struct view_files *files, uint64_t generation,
                      const char *suffix, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/view.%llu.db%s", files->directory,
                          (unsigned long long)generation, suffix);

    return length > 0 && length < PATH_MAX;
}

/* The N of "view.N.db" and whatever follows it; 0: another name. */
static uint64_t number_in(const char *name)
{
    unsigned long long generation = 0;
    int end = 0;

    if (sscanf(name, "view.%20llu.db%n", &generation, &end) != 1 || end == 0)
        return 0;
    return generation;
}

uint64_t view_db_current(const struct view_files *files)
{
    char path[PATH_MAX], target[NAME_MAX + 1];
    ssize_t length;

    snprintf(path, sizeof path, "%s/view.db", files->directory);
    length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return 0;
    target[length] = '\0';
    return number_in(target);
}

enum evt_status view_db_publish(const struct view_files *files,
                                uint64_t generation, char why[STORE_WHY_BYTES])
{
    char target[64], link[PATH_MAX], next[PATH_MAX];

    snprintf(target, sizeof target, "view.%llu.db",
             (unsigned long long)generation);
    snprintf(link, sizeof link, "%s/view.db", files->directory);
    snprintf(next, sizeof next, "%s/view.db.new", files->directory);
    if (unlink(next) != 0 && errno != ENOENT)
        goto fail;
    if (symlink(target, next) != 0 || rename(next, link) != 0)
        goto fail;
    return EVT_OK;
fail:
    snprintf(why, STORE_WHY_BYTES, "view.db: %s", strerror(errno));
    return errno == ENOSPC || errno == EDQUOT ? EVT_FULL : EVT_IO;
}

/* Through the VFS, so that a simulated disk forgets the file, too (SQLite's
 * "memdb" has nothing to remove).  What cannot be removed now is removed at the
 * next start. */
void view_db_remove(const struct view_files *files, uint64_t generation)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    sqlite3_vfs *vfs = sqlite3_vfs_find(files->vfs);
    char path[PATH_MAX], full[PATH_MAX];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (vfs != NULL && vfs->xDelete != NULL &&
            vfs->mxPathname <= PATH_MAX &&
            file_name(files, generation, suffixes[i], path) &&
            vfs->xFullPathname(vfs, path, PATH_MAX, full) == SQLITE_OK)
            vfs->xDelete(vfs, full, 0);
}

void view_db_clean(const struct view_files *files, uint64_t keep)
{
    DIR *directory = opendir(files->directory);
    const struct dirent *entry;

    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL) {
        uint64_t generation = number_in(entry->d_name);

        if (generation != 0 && generation != keep)
            view_db_remove(files, generation);
    }
    closedir(directory);
}

/* ---- opening ------------------------------------------------------------- */

int view_db_open_file(const struct view_files *files, uint64_t generation,
                      int flags, sqlite3 **sqlite)
{
    char path[PATH_MAX];

    *sqlite = NULL;
    if (!file_name(files, generation, "", path))
        return SQLITE_CANTOPEN;
    return sqlite3_open_v2(path, sqlite, flags | SQLITE_OPEN_NOMUTEX,
                           files->vfs);
}

/* What rows depend on besides the logs: when any of it is another, the file is
 * of no use.  The catalogue is part of it, since a program that has learnt a
 * newer version can read what an older one had to skip. */
static void recipe(const struct view *view, uint8_t out[RECIPE_BYTES])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, RECIPE_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)own_schema,
                              sizeof own_schema);
    crypto_generichash_update(&state, (const uint8_t *)view->name,
                              strlen(view->name) + 1);
    crypto_generichash_update(&state, (const uint8_t *)&view->revision,
                              sizeof view->revision);
    crypto_generichash_update(&state, (const uint8_t *)view->schema,
                              strlen(view->schema) + 1);
    for (size_t i = 0; i < view->domain->message_count; i++) {
        const struct message *message = &view->domain->messages[i];

        crypto_generichash_update(&state, (const uint8_t *)message->name,
                                  strlen(message->name) + 1);
        crypto_generichash_update(&state, (const uint8_t *)&message->version,
                                  sizeof message->version);
    }
    crypto_generichash_final(&state, out, RECIPE_BYTES);
}

enum evt_status view_db_fail(struct view_db *db, int rc)
{
    enum evt_status status = sql_status(rc);

    if (status == EVT_OK)
        return EVT_OK;
    snprintf(db->error, sizeof db->error, "view %s: %s", db->files.view->name,
             sqlite3_errmsg(db->sqlite));
    if (status == EVT_FULL || status == EVT_BUSY)
        return status;
    rc &= 0xff;
    if ((rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) &&
        view_db_current(&db->files) == db->generation) {
        char link[PATH_MAX];

        snprintf(link, sizeof link, "%s/view.db", db->files.directory);
        unlink(link);
    }
    db->failed = true;
    return EVT_IO;
}

static int run(struct view_db *db, const char *sql)
{
    return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
}

static int write_recipe(struct view_db *db)
{
    uint8_t bytes[RECIPE_BYTES];
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(
        db->sqlite, "INSERT INTO meta VALUES ('view', ?), ('recipe', ?)", -1,
        &statement, NULL);

    recipe(db->files.view, bytes);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, db->files.view->name, -1,
                          SQLITE_STATIC);
        sqlite3_bind_blob(statement, 2, bytes, sizeof bytes, SQLITE_STATIC);
        sqlite3_step(statement);
    }
    return rc == SQLITE_OK ? sqlite3_finalize(statement) : rc;
}

/* SQLITE_OK and *@same, or what reading it came to. */
static int read_recipe(const struct view *view, sqlite3 *sqlite, bool *same)
{
    uint8_t bytes[RECIPE_BYTES];
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(sqlite,
                                "SELECT value FROM meta WHERE key = 'recipe'",
                                -1, &statement, NULL);

    recipe(view, bytes);
    *same = false;
    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        *same =
            sqlite3_column_bytes(statement, 0) == RECIPE_BYTES &&
            memcmp(sqlite3_column_blob(statement, 0), bytes, RECIPE_BYTES) == 0;
    return rc == SQLITE_OK ? sqlite3_finalize(statement) : rc;
}

bool view_db_is_foreign(const struct view_files *files, uint64_t generation)
{
    sqlite3 *sqlite = NULL;
    bool same = true;
    int rc =
        view_db_open_file(files, generation, SQLITE_OPEN_READONLY, &sqlite);

    if (rc == SQLITE_OK)
        rc = read_recipe(files->view, sqlite, &same);
    sqlite3_close(sqlite);
    return rc == SQLITE_OK && !same;
}

static int prepare_one(struct view_db *db, const char *sql,
                       sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT,
                              statement, NULL);
}

static int prepare(struct view_db *db)
{
    const struct view *view = db->files.view;
    int rc = prepare_one(db, "BEGIN IMMEDIATE", &db->begin);

    if (rc == SQLITE_OK)
        rc = prepare_one(db, "COMMIT", &db->commit);
    if (rc == SQLITE_OK)
        rc = prepare_one(db, "INSERT OR REPLACE INTO position VALUES (?,?,?,?)",
                         &db->set_position);
    for (size_t i = 0; i < view->sql_count && rc == SQLITE_OK; i++)
        rc = prepare_one(db, view->sql[i], &db->statements[i]);
    return rc;
}

static struct view_db *view_db_new(const struct view_files *files,
                                   uint64_t generation)
{
    struct view_db *db = calloc(1, sizeof *db);

    if (db == NULL)
        abort();
    db->statements = calloc(files->view->sql_count, sizeof *db->statements);
    db->notes = calloc(1, files->view->notes_bytes + 1);
    if (db->statements == NULL || db->notes == NULL)
        abort();
    db->files = *files;
    db->generation = generation;
    return db;
}

static int settle(struct view_db *db)
{
    char sql[128];

    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
             "PRAGMA wal_autocheckpoint = %d; PRAGMA cache_size = %d;",
             VIEW_CHECKPOINT_PAGES, -VIEW_CACHE_KIB);
    return run(db, sql);
}

/* ---- files that vanish ----------------------------------------------------
 */

static const char *const endings[VIEW_FILES] = {"", "-wal", "-shm"};

/* The inode of the view's file with this ending, or 0 if it is missing. */
static ino_t inode_of(const struct view_db *db, int ending)
{
    char path[PATH_MAX];
    struct stat found;

    return file_name(&db->files, db->generation, endings[ending], path) &&
                   stat(path, &found) == 0
               ? found.st_ino
               : 0;
}

static void note_inodes(struct view_db *db)
{
    for (int i = 0; i < VIEW_FILES; i++)
        db->inodes[i] = inode_of(db, i);
}

bool view_db_lost(const struct view_db *db)
{
    if (db->files.vfs != NULL)
        return false;
    for (int i = 0; i < VIEW_FILES; i++)
        if (inode_of(db, i) != db->inodes[i])
            return true;
    return view_db_current(&db->files) != db->generation;
}

bool view_db_exists(const struct view_files *files, uint64_t generation)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(files->vfs);
    char path[PATH_MAX], full[PATH_MAX];
    int there = 0;

    return vfs != NULL && vfs->mxPathname <= PATH_MAX &&
           file_name(files, generation, "", path) &&
           vfs->xFullPathname(vfs, path, PATH_MAX, full) == SQLITE_OK &&
           vfs->xAccess(vfs, full, SQLITE_ACCESS_EXISTS, &there) == SQLITE_OK &&
           there != 0;
}

/* Ends an attempt to open: hands @db over, or takes it down again. */
static enum evt_status opened(struct view_db *db, int rc, struct view_db **out,
                              char why[STORE_WHY_BYTES])
{
    enum evt_status status = view_db_fail(db, rc);

    if (status == EVT_IO && sql_has_no_room(db->sqlite))
        status = EVT_FULL;
    if (status == EVT_OK) {
        note_inodes(db);
        *out = db;
    } else {
        snprintf(why, STORE_WHY_BYTES, "%s", db->error);
        view_db_close(db);
    }
    return status;
}

enum evt_status view_db_open(const struct view_files *files,
                             uint64_t generation, struct view_db **out,
                             char why[STORE_WHY_BYTES])
{
    struct view_db *db = view_db_new(files, generation);
    bool same = false;
    int rc = view_db_open_file(files, generation, SQLITE_OPEN_READWRITE,
                               &db->sqlite);

    if (rc == SQLITE_OK)
        rc = settle(db);
    if (rc == SQLITE_OK)
        rc = store_renew_wal(db->sqlite);
    if (rc == SQLITE_OK)
        rc = read_recipe(db->files.view, db->sqlite, &same);
    if (rc == SQLITE_OK && same)
        rc = prepare(db);
    switch (rc & 0xff) {
    case SQLITE_OK:
        if (same)
            break;
        /* fall through */
    case SQLITE_CANTOPEN: /* no such file */
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR: /* no such table */
        snprintf(why, STORE_WHY_BYTES, "%s",
                 rc == SQLITE_OK ? "it was made by another version"
                                 : sqlite3_errmsg(db->sqlite));
        view_db_close(db);
        return EVT_NONE;
    default:
        break;
    }
    return opened(db, rc, out, why);
}

enum evt_status view_db_create(const struct view_files *files,
                               uint64_t generation, struct view_db **out,
                               char why[STORE_WHY_BYTES])
{
    struct view_db *db = view_db_new(files, generation);
    int rc;

    view_db_remove(files, generation);
    rc = view_db_open_file(files, generation,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                           &db->sqlite);
    if (rc == SQLITE_OK)
        rc = settle(db);
    if (rc == SQLITE_OK)
        rc = run(db, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = run(db, own_schema);
    if (rc == SQLITE_OK)
        rc = run(db, files->view->schema);
    if (rc == SQLITE_OK)
        rc = write_recipe(db);
    if (rc == SQLITE_OK)
        rc = run(db, "COMMIT");
    if (rc == SQLITE_OK)
        rc = prepare(db);
    return opened(db, rc, out, why);
}

/* What the view has noted, and will not write. */
static void forget(struct view_db *db)
{
    if (db->files.view->forget != NULL)
        db->files.view->forget(db->notes);
}

void view_db_close(struct view_db *db)
{
    if (db == NULL)
        return;
    forget(db);
    for (size_t i = 0; i < db->files.view->sql_count; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    sqlite3_finalize(db->set_position);
    sqlite3_close(db->sqlite);
    free(db->statements);
    free(db->notes);
    free(db);
}

uint64_t view_db_generation(const struct view_db *db)
{
    return db->generation;
}

const char *view_db_error(const struct view_db *db)
{
    return db->error;
}

bool view_db_failed(const struct view_db *db)
{
    return db->failed;
}

/* ---- transactions and positions ------------------------------------------ */

enum evt_status view_db_step(struct view_db *db, sqlite3_stmt *statement)
{
    (void)sqlite3_step(statement); /* reset says it again */
    return view_db_fail(db, sqlite3_reset(statement));
}

enum evt_status view_db_begin(struct view_db *db)
{
    return view_db_step(db, db->begin);
}

enum evt_status view_db_commit(struct view_db *db)
{
    const struct view *view = db->files.view;
    enum evt_status rc = EVT_OK;

    if (view->write != NULL)
        rc = view->write(db, db->notes);
    return rc == EVT_OK ? view_db_step(db, db->commit) : rc;
}

void view_db_rollback(struct view_db *db)
{
    forget(db);
    /* A full disk makes SQLite roll back by itself. */
    if (!sqlite3_get_autocommit(db->sqlite))
        (void)run(db, "ROLLBACK");
}

enum evt_status view_db_position(struct view_db *db, const char *source,
                                 struct cursor *cursor)
{
    sqlite3_stmt *statement = NULL;
    enum evt_status status = EVT_NONE;
    int rc = sqlite3_prepare_v2(
        db->sqlite, "SELECT log_id, seq, hash FROM position WHERE source = ?",
        -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return view_db_fail(db, rc);
    sqlite3_bind_text(statement, 1, source, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW &&
        sqlite3_column_bytes(statement, 0) == LOG_ID_BYTES &&
        sqlite3_column_bytes(statement, 2) == HASH_BYTES) {
        memcpy(cursor->at.log_id, sqlite3_column_blob(statement, 0),
               LOG_ID_BYTES);
        cursor->at.seq = (uint64_t)sqlite3_column_int64(statement, 1);
        memcpy(cursor->hash, sqlite3_column_blob(statement, 2), HASH_BYTES);
        status = EVT_OK;
    }
    rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? status : view_db_fail(db, rc);
}

enum evt_status view_db_set_position(struct view_db *db, const char *source,
                                     const struct cursor *cursor)
{
    sqlite3_stmt *statement = db->set_position;

    sqlite3_bind_text(statement, 1, source, -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, cursor->at.log_id, LOG_ID_BYTES,
                      SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (int64_t)cursor->at.seq);
    sqlite3_bind_blob(statement, 4, cursor->hash, HASH_BYTES, SQLITE_STATIC);
    return view_db_step(db, statement);
}

enum evt_status view_db_skip(struct view_db *db, const char *source,
                             uint64_t seq, const char *reason)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite,
                                "INSERT OR REPLACE INTO skipped VALUES (?,?,?)",
                                -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return view_db_fail(db, rc);
    sqlite3_bind_text(statement, 1, source, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)seq);
    sqlite3_bind_text(statement, 3, reason, -1, SQLITE_STATIC);
    (void)sqlite3_step(statement);
    return view_db_fail(db, sqlite3_finalize(statement));
}

enum evt_status view_db_skipped(struct view_db *db, char *first, size_t size,
                                uint64_t *count)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(
        db->sqlite,
        "SELECT (SELECT count(*) FROM skipped), source || '/' || seq || "
        "' cannot be read: ' || reason FROM skipped LIMIT 1",
        -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return view_db_fail(db, rc);
    *count = 0;
    first[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 1);

        *count = (uint64_t)sqlite3_column_int64(statement, 0);
        snprintf(first, size, "%s", text != NULL ? (const char *)text : "");
    }
    return view_db_fail(db, sqlite3_finalize(statement));
}
