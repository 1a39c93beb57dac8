/* check_view.c - Q3: is each read model what a fold of the logs makes?
 *
 * The view's own project function folds the logs from scratch into a file
 * that nobody else sees, and the two are compared row by row.  That finds
 * what was lost, doubled or edited on the way.  Whether the function itself
 * is right is another question: invariants.c compares its essential numbers
 * with facts that it has worked out by itself. */
#include "audit/check_parts.h"
#include "log/sql.h"
#include "read/view_db.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Commits while rebuilding, and differences of one table that are told. */
enum { FOLD_BATCH = 10000, TOLD_MAX = 1000 };

/* ---- folding --------------------------------------------------------------
 */

static enum evt_status fold_row(struct view_db *db, const struct view *view,
                                const struct checked_log *log,
                                const struct row *row)
{
    const char *why, *field;
    struct event event;

    if (codec_from_row(log->service->name, store_log_id(log->later), row,
                       &event, &why, &field) != EVT_OK)
        return EVT_OK; /* readers leave it out, too; S1 has named it */
    return view->project(db, &event);
}

static enum evt_status fold_log(struct view_db *db, const struct view *view,
                                const struct checked_log *log)
{
    struct row row;
    enum evt_status rc = store_scan(log->later, NULL, 0, UINT64_MAX);

    while (rc == EVT_OK &&
           (rc = store_next(log->later, &row, NULL)) == EVT_OK) {
        if (row.seq % FOLD_BATCH == 0)
            rc = view_db_commit(db);
        if (rc == EVT_OK && row.seq % FOLD_BATCH == 0)
            rc = view_db_begin(db);
        if (rc == EVT_OK)
            rc = fold_row(db, view, log, &row);
    }
    store_scan_end(log->later);
    return rc == EVT_NONE || rc == EVT_BAD ? EVT_OK : rc;
}

/* Generation 1 in @place is the fold of all logs that @view is made of. */
static enum evt_status fold_all(struct check *check,
                                const struct view_files *files)
{
    const char *const *source = files->view->sources;
    struct view_db *db = NULL;
    enum evt_status rc = view_db_create(files, 1, &db, check->why);

    if (rc != EVT_OK)
        return rc;
    rc = view_db_begin(db);
    for (; rc == EVT_OK && *source != NULL; source++) {
        int number = check_service(check, *source);

        if (number >= 0)
            rc = fold_log(db, files->view, &check->logs[number]);
    }
    if (rc == EVT_OK)
        rc = view_db_commit(db);
    if (rc != EVT_OK)
        snprintf(check->why, STORE_WHY_BYTES, "rebuilding a view: %s",
                 view_db_error(db));
    view_db_close(db);
    return rc;
}

/* ---- comparing ------------------------------------------------------------
 */

/* What a view's file cannot answer is said as a difference: readers would
 * throw such a file away and build another. */
static void unreadable(struct check *check, const struct view *view,
                       sqlite3 *db)
{
    check_broken(check, CHECK_Q3, view->name, "cannot be compared: %s",
                 sqlite3_errmsg(db));
}

/* FNV-1a over the columns of a row. */
static uint64_t row_hash(sqlite3_stmt *row)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (int i = 0; i < sqlite3_column_count(row); i++) {
        const uint8_t *text = sqlite3_column_text(row, i);
        int bytes = sqlite3_column_bytes(row, i);

        for (int k = 0; k <= bytes; k++) /* with its final NUL */
            hash =
                (hash ^ (text != NULL ? text[k] : 1)) * UINT64_C(1099511628211);
    }
    return hash;
}

/* The sum of the rows of one table: equal tables have equal sums, found
 * without sorting millions of rows. */
static bool table_sum(sqlite3 *db, const char *schema, const char *table,
                      uint64_t *sum)
{
    char *sql = sqlite3_mprintf("SELECT * FROM %s.%w", schema, table);
    sqlite3_stmt *row = NULL;
    bool good = sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK;

    *sum = 0;
    while (good && sqlite3_step(row) == SQLITE_ROW)
        *sum += row_hash(row);
    good = sqlite3_finalize(row) == SQLITE_OK && good;
    sqlite3_free(sql);
    return good;
}

/* Names the rows that only one of the files has, by their first column: the
 * key that people know. */
static void tell_differences(struct check *check, const struct view *view,
                             sqlite3 *db, const char *table)
{
    sqlite3_stmt *row = NULL;
    char *sql = sqlite3_mprintf(
        "WITH lost AS (SELECT * FROM main.%w EXCEPT SELECT * FROM seen.%w),"
        " extra AS (SELECT * FROM seen.%w EXCEPT SELECT * FROM main.%w)"
        " SELECT * FROM lost UNION ALL SELECT * FROM extra ORDER BY 1 LIMIT %d",
        table, table, table, table, TOLD_MAX);
    char last[ID_BYTES] = "";
    int rc = sqlite3_prepare_v2(db, sql, -1, &row, NULL);

    while (rc == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW) {
        const char *key = check_text(row, 0);

        if (strcmp(last, key) != 0)
            check_broken(check, CHECK_Q3, view->name,
                         "%s %s is not what the logs say", table, key);
        snprintf(last, sizeof last, "%s", key);
    }
    if (sqlite3_finalize(row) != SQLITE_OK || rc != SQLITE_OK)
        unreadable(check, view, db);
    sqlite3_free(sql);
}

static void compare_table(struct check *check, const struct view *view,
                          sqlite3 *db, const char *table)
{
    uint64_t fold, seen;

    if (!table_sum(db, "main", table, &fold) ||
        !table_sum(db, "seen", table, &seen))
        unreadable(check, view, db);
    else if (fold != seen)
        tell_differences(check, view, db, table);
}

/* The fold itself, by the facts: project may be wrong, too. */
static void compare_facts(struct check *check, unsigned number, sqlite3 *db)
{
    const struct view *view = check->options->views[number];
    sqlite3_stmt *row = NULL;
    uint64_t expected = check->options->invariants->view_rows(check, number);
    uint64_t rows = 0;

    if (sqlite3_prepare_v2(db, check->options->invariants->view_query(number),
                           -1, &row, NULL) != SQLITE_OK)
        unreadable(check, view, db);
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        rows++;
        if (!check->options->invariants->view_agrees(check, number, row))
            check_broken(check, CHECK_Q3, view->name,
                         "the fold of %s is not what its events add up to",
                         check_text(row, 0));
    }
    if (row != NULL && rows != expected)
        check_broken(check, CHECK_Q3, view->name,
                     "the fold has %" PRIu64 " rows, not %" PRIu64, rows,
                     expected);
    sqlite3_finalize(row);
}

/* Whether the view of service @number has read all of @log; reported when it
 * has not. */
static bool has_read(struct check *check, unsigned number, sqlite3 *db,
                     const struct checked_log *log)
{
    const struct view *view = check->options->views[number];
    struct check_wait wait = {LANE_VIEW, number, log->number, 0, 0};
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;
    int64_t seq = 0;
    bool same = false;
    sqlite3_stmt *row = NULL;

    if (store_head(log->later, &head, hash) != EVT_OK ||
        sqlite3_prepare_v2(db,
                           "SELECT seq, hash FROM seen.position"
                           " WHERE source = ?",
                           -1, &row, NULL) != SQLITE_OK) {
        unreadable(check, view, db);
        return false;
    }
    sqlite3_bind_text(row, 1, log->service->name, -1, SQLITE_STATIC);
    if (sqlite3_step(row) == SQLITE_ROW) {
        seq = sqlite3_column_int64(row, 0);
        same = sqlite3_column_bytes(row, 1) == HASH_BYTES &&
               memcmp(sqlite3_column_blob(row, 1), hash, HASH_BYTES) == 0;
    }
    sqlite3_finalize(row);
    wait.at = (uint64_t)seq;
    wait.head = head;
    same = wait.at == head && (same || head == 0);
    if (!same)
        check_waits(check, CHECK_Q3, wait.at == head ? NULL : &wait, view->name,
                    "has read %s up to #%" PRId64 "%s, the head is #%" PRIu64,
                    log->service->name, seq,
                    wait.at == head ? " of another log" : "", head);
    return same;
}

static void compare(struct check *check, unsigned number, sqlite3 *db)
{
    const struct view *view = check->options->views[number];
    const char *const *name = view->sources;
    bool all_read = true, still = true;

    for (; *name != NULL; name++) {
        int source = check_service(check, *name);

        if (source < 0)
            continue;
        all_read =
            has_read(check, number, db, &check->logs[source]) && all_read;
        still = still && check->logs[source].known == check->logs[source].head;
    }
    if (!all_read)
        return; /* rows would differ, and say nothing new */
    for (name = view->tables; *name != NULL; name++)
        compare_table(check, view, db, *name);
    if (still) /* the facts are those of the judged snapshot */
        compare_facts(check, number, db);
}

/* Opens the fold, with the view that is there attached as "seen". */
static enum evt_status open_both(struct check *check,
                                 const struct view_files *fold,
                                 const struct view_files *seen,
                                 uint64_t generation, sqlite3 **db)
{
    char path[PATH_MAX];
    sqlite3_stmt *attach = NULL;
    int rc = view_db_open_file(fold, 1, SQLITE_OPEN_READONLY, db);
    int length = snprintf(path, sizeof path, "%s/view.%" PRIu64 ".db",
                          seen->directory, generation);

    if (length < 0 || (size_t)length >= sizeof path)
        rc = SQLITE_CANTOPEN;
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(*db, "ATTACH ? AS seen", -1, &attach, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(attach, 1, path, -1, SQLITE_STATIC);
        sqlite3_step(attach);
        rc = sqlite3_finalize(attach);
    }
    if (rc != SQLITE_OK)
        snprintf(check->why, STORE_WHY_BYTES, "view %s: %s", seen->view->name,
                 sqlite3_errmsg(*db));
    return sql_status(rc);
}

/* One view: folds it in @scratch, compares, cleans up. */
static enum evt_status check_view(struct check *check, unsigned number,
                                  const char *scratch)
{
    const struct view *view = check->options->views[number];
    struct view_files fold = {view, scratch, check->options->vfs};
    struct view_files seen = {view, NULL, check->options->vfs};
    char directory[PATH_MAX];
    sqlite3 *db = NULL;
    uint64_t generation;
    enum evt_status rc;

    snprintf(directory, sizeof directory, "%s/%s", check->options->directory,
             check->options->services[number]->name);
    seen.directory = directory;
    generation = view_db_current(&seen);
    if (generation == 0) {
        check->summary->skipped[CHECK_Q3] = "a view.db is missing";
        return EVT_OK;
    }
    rc = fold_all(check, &fold);
    if (rc == EVT_OK)
        rc = open_both(check, &fold, &seen, generation, &db);
    if (rc == EVT_OK) {
        check->summary->views++;
        compare(check, number, db);
    }
    sqlite3_close(db);
    view_db_remove(&fold, 1);
    return rc;
}

enum evt_status check_views(struct check *check)
{
    const char *top = check->options->scratch;
    char scratch[PATH_MAX];
    enum evt_status rc = EVT_OK;

    if (check->options->views == NULL) {
        check->summary->skipped[CHECK_Q3] = "no views were given";
        return EVT_OK;
    }
    if (top == NULL)
        top = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    snprintf(scratch, sizeof scratch, "%s/saga-check-XXXXXX", top);
    if (mkdtemp(scratch) == NULL) {
        snprintf(check->why, STORE_WHY_BYTES, "cannot write in %s", top);
        return EVT_IO;
    }
    for (unsigned i = 0; i < SERVICES && rc == EVT_OK; i++)
        rc = check_view(check, i, scratch);
    rmdir(scratch);
    return rc;
}
