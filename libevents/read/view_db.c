/* view_db.c - a view's file: generations, statements, positions.
 *
 * Unlike a log, a view may run with synchronous=NORMAL: after a power cut it
 * is some earlier prefix of the logs, since its positions go back together
 * with its rows, and the pulls bring the rest again.  For the same reason a
 * damaged file is no tragedy: its link is taken away, and the next start
 * builds another.  Read projection.c for the loop, rebuild.c for the swap. */
#include "read/view_db.h"

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
#include <unistd.h>

enum {
    RECIPE_BYTES = 16,
    VIEW_CHECKPOINT_PAGES = 4000,
    VIEW_CACHE_KIB = 16384
};

struct view_db {
    struct view_files files;
    uint64_t generation;
    sqlite3 *sqlite;
    sqlite3_stmt **statements; /* view->sql_count of them */
    sqlite3_stmt *begin, *commit, *set_position;
    bool failed;
    char error[STORE_WHY_BYTES];
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
static uint64_t generation_of(const char *name)
{
    unsigned long long generation = 0;
    int end = 0;

    if (sscanf(name, "view.%20llu.db%n", &generation, &end) != 1 || end == 0)
        return 0;
    return generation;
}

uint64_t generation_current(const struct view_files *files)
{
    char path[PATH_MAX], target[NAME_MAX + 1];
    ssize_t length;

    snprintf(path, sizeof path, "%s/view.db", files->directory);
    length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return 0;
    target[length] = '\0';
    return generation_of(target);
}

enum evt_status generation_publish(const struct view_files *files,
                                   uint64_t generation,
                                   char why[STORE_WHY_BYTES])
{
    char target[64], link[PATH_MAX], new_rows[PATH_MAX];

    snprintf(target, sizeof target, "view.%llu.db",
             (unsigned long long)generation);
    snprintf(link, sizeof link, "%s/view.db", files->directory);
    snprintf(new_rows, sizeof new_rows, "%s/view.db.new", files->directory);
    if (unlink(new_rows) != 0 && errno != ENOENT)
        goto fail;
    if (symlink(target, new_rows) != 0 || rename(new_rows, link) != 0)
        goto fail;
    return EVT_OK;
fail:
    snprintf(why, STORE_WHY_BYTES, "view.db: %s", strerror(errno));
    return errno == ENOSPC || errno == EDQUOT ? EVT_FULL : EVT_IO;
}

/* Through the VFS, so that a simulated disk forgets the file, too.  What
 * cannot be removed now is removed at the next start. */
void generation_remove(const struct view_files *files, uint64_t generation)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    sqlite3_vfs *vfs = sqlite3_vfs_find(files->vfs);
    char path[PATH_MAX], full[PATH_MAX];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (vfs != NULL && vfs->mxPathname <= PATH_MAX &&
            file_name(files, generation, suffixes[i], path) &&
            vfs->xFullPathname(vfs, path, PATH_MAX, full) == SQLITE_OK)
            vfs->xDelete(vfs, full, 0);
}

void generation_clean(const struct view_files *files, uint64_t keep)
{
    DIR *directory = opendir(files->directory);
    const struct dirent *entry;

    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL) {
        uint64_t generation = generation_of(entry->d_name);

        if (generation != 0 && generation != keep)
            generation_remove(files, generation);
    }
    closedir(directory);
}

/* ---- opening ------------------------------------------------------------- */

int view_file_open(const struct view_files *files, uint64_t generation,
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
    for (size_t i = 0; i < shop_catalogue_count; i++) {
        const struct message *message = &shop_catalogue[i];

        crypto_generichash_update(&state, (const uint8_t *)message->name,
                                  strlen(message->name) + 1);
        crypto_generichash_update(&state, (const uint8_t *)&message->version,
                                  sizeof message->version);
    }
    crypto_generichash_final(&state, out, RECIPE_BYTES);
}

/* Keeps the reason.  A damaged file loses its link: see the top. */
static enum evt_status fail(struct view_db *db, int rc)
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
        generation_current(&db->files) == db->generation) {
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
static int read_recipe(struct view_db *db, bool *same)
{
    uint8_t bytes[RECIPE_BYTES];
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite,
                                "SELECT value FROM meta WHERE key = 'recipe'",
                                -1, &statement, NULL);

    recipe(db->files.view, bytes);
    *same = false;
    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        *same =
            sqlite3_column_bytes(statement, 0) == RECIPE_BYTES &&
            memcmp(sqlite3_column_blob(statement, 0), bytes, RECIPE_BYTES) == 0;
    return rc == SQLITE_OK ? sqlite3_finalize(statement) : rc;
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
    if (db->statements == NULL)
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

/* Ends an attempt to open: hands @db over, or takes it down again. */
static enum evt_status opened(struct view_db *db, int rc, struct view_db **out,
                              char why[STORE_WHY_BYTES])
{
    enum evt_status status = fail(db, rc);

    if (status == EVT_OK) {
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
    int rc =
        view_file_open(files, generation, SQLITE_OPEN_READWRITE, &db->sqlite);

    if (rc == SQLITE_OK)
        rc = settle(db);
    if (rc == SQLITE_OK)
        rc = store_renew_wal(db->sqlite);
    if (rc == SQLITE_OK)
        rc = read_recipe(db, &same);
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

    generation_remove(files, generation);
    rc =
        view_file_open(files, generation,
                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db->sqlite);
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

void view_db_close(struct view_db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < db->files.view->sql_count; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    sqlite3_finalize(db->set_position);
    sqlite3_close(db->sqlite);
    free(db->statements);
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

/* Runs a statement that returns no rows. */
static enum evt_status step(struct view_db *db, sqlite3_stmt *statement)
{
    (void)sqlite3_step(statement); /* reset says it again */
    return fail(db, sqlite3_reset(statement));
}

enum evt_status view_db_begin(struct view_db *db)
{
    return step(db, db->begin);
}

enum evt_status view_db_commit(struct view_db *db)
{
    return step(db, db->commit);
}

void view_db_rollback(struct view_db *db)
{
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
        return fail(db, rc);
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
    return rc == SQLITE_OK ? status : fail(db, rc);
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
    return step(db, statement);
}

enum evt_status view_db_skip(struct view_db *db, const char *source,
                             uint64_t seq, const char *reason)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db->sqlite,
                                "INSERT OR REPLACE INTO skipped VALUES (?,?,?)",
                                -1, &statement, NULL);

    if (rc != SQLITE_OK)
        return fail(db, rc);
    sqlite3_bind_text(statement, 1, source, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)seq);
    sqlite3_bind_text(statement, 3, reason, -1, SQLITE_STATIC);
    (void)sqlite3_step(statement);
    return fail(db, sqlite3_finalize(statement));
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
        return fail(db, rc);
    *count = 0;
    first[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 1);

        *count = (uint64_t)sqlite3_column_int64(statement, 0);
        snprintf(first, size, "%s", text != NULL ? (const char *)text : "");
    }
    return fail(db, sqlite3_finalize(statement));
}

/* ---- statements of the view ---------------------------------------------- */

static void bind(sqlite3_stmt *statement, const char *types, va_list arguments)
{
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 'i') {
            sqlite3_bind_int64(statement, i + 1, va_arg(arguments, int64_t));
        } else {
            assert(types[i] == 't');
            sqlite3_bind_text(statement, i + 1, va_arg(arguments, const char *),
                              -1, SQLITE_STATIC);
        }
    }
}

enum evt_status view_run(struct view_db *db, unsigned sql, const char *types,
                         ...)
{
    sqlite3_stmt *statement = db->statements[sql];
    va_list arguments;

    va_start(arguments, types);
    bind(statement, types, arguments);
    va_end(arguments);
    return step(db, statement);
}

enum evt_status view_update(struct view_db *db, unsigned update,
                            unsigned insert, const char *types, ...)
{
    const unsigned both[] = {update, insert};
    enum evt_status rc = EVT_OK;

    for (int i = 0; i < 2 && rc == EVT_OK; i++) {
        sqlite3_stmt *statement = db->statements[both[i]];
        va_list arguments;

        va_start(arguments, types);
        bind(statement, types, arguments);
        va_end(arguments);
        rc = step(db, statement);
        if (sqlite3_changes(db->sqlite) > 0)
            break;
    }
    return rc;
}

/* "lines_json": the column's name without that suffix; 0: it has none. */
static size_t json_suffix(const char *name)
{
    size_t length = strlen(name);

    return length > 5 && strcmp(name + length - 5, "_json") == 0 ? length - 5
                                                                 : 0;
}

static json_t *column_value(sqlite3_stmt *statement, int column, bool parse)
{
    const char *text;
    size_t bytes;
    json_t *value;

    if (sqlite3_column_type(statement, column) == SQLITE_INTEGER)
        return json_integer(sqlite3_column_int64(statement, column));
    if (sqlite3_column_type(statement, column) != SQLITE_TEXT)
        return json_null();
    text = (const char *)sqlite3_column_text(statement, column);
    bytes = (size_t)sqlite3_column_bytes(statement, column);
    value =
        parse ? json_loadb(text, bytes, 0, NULL) : json_stringn(text, bytes);
    return value != NULL ? value : json_null(); /* somebody edited the file */
}

static json_t *row_object(sqlite3_stmt *statement)
{
    json_t *row = json_object();

    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *name = sqlite3_column_name(statement, i);
        size_t shortened = json_suffix(name);
        char key[64];

        snprintf(key, sizeof key, "%.*s",
                 (int)(shortened > 0 ? shortened : strlen(name)), name);
        json_object_set_new(row, key,
                            column_value(statement, i, shortened > 0));
    }
    return row;
}

json_t *view_select(struct view_db *db, unsigned sql, const char *types, ...)
{
    sqlite3_stmt *statement = db->statements[sql];
    json_t *rows = json_array();
    va_list arguments;

    va_start(arguments, types);
    bind(statement, types, arguments);
    va_end(arguments);
    while (sqlite3_step(statement) == SQLITE_ROW)
        json_array_append_new(rows, row_object(statement));
    if (fail(db, sqlite3_reset(statement)) == EVT_OK)
        return rows;
    json_decref(rows);
    return NULL;
}

json_t *view_error(int code, const char *format, ...)
{
    char text[512];
    json_t *message;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message = json_string(text);
    if (message == NULL) /* cut within a character */
        message = json_string("an error that cannot be shown");
    return json_pack("{s:o, s:i}", "error", message, "code", code);
}

json_t *view_unreadable(const struct view_db *db)
{
    return view_error(db->failed ? 74 : 75, "%s", db->error);
}

json_t *view_page(const struct view_db *db, json_t *rows, size_t most,
                  const char *name)
{
    bool more = json_array_size(rows) > most;

    if (rows == NULL)
        return view_unreadable(db);
    if (more)
        json_array_remove(rows, most);
    return json_pack("{s:o, s:b}", name, rows, "more", more);
}
