/* check_view.c - Q3: is each read model what a fold of the logs makes?
 *
 * The view's own project function folds the logs from scratch into a file
 * that nobody else sees, and view_diff.c compares the two row by row.  That
 * finds what was lost, doubled or edited on the way.  Whether the function
 * itself is right is another question: the domain's invariants compare its
 * essential numbers with facts that they have worked out by themselves. */
#include "audit/check_parts.h"
#include "log/sql.h"
#include "read/view_diff.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLD_BATCH = 10000 }; /* events between commits while rebuilding */

/* The folds, while the sagas are judged part by part. */
struct checked_views {
    char scratch[PATH_MAX];
    struct {
        bool folded;    /* into scratch */
        sqlite3 *facts; /* the fold, to be compared with the facts; or NULL */
        uint64_t rows;
    } views[SERVICES_MAX];
};

/* A view that is there, and the fold of the logs: a generation of its own, so
 * that all folds find room in one directory. */
struct both {
    struct view_files seen, fold;
    uint64_t number, fold_number; /* of the generations */
};

/* ---- folding ------------------------------------------------------------ */

static enum evt_status fold_row(struct view_db *db, const struct view *view,
                                const struct checked_log *log,
                                const struct row *row)
{
    const char *why, *field;
    struct event event;

    if (codec_from_row(log->service->domain, log->service->name,
                       store_log_id(log->later), row, &event, &why,
                       &field) != EVT_OK)
        return EVT_OK; /* readers leave it out, too; S1 has named it */
    return view->project(db, &event);
}

static enum evt_status fold_log(struct view_db *db, const struct view *view,
                                const struct checked_log *log)
{
    struct row row;
    enum evt_status rc = store_scan(log->later, NULL, 0, log->known);

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

/* Generation @number is the fold of all logs that its view is made of. */
static enum evt_status fold_all(struct check *check,
                                const struct view_files *files, uint64_t number)
{
    const char *const *source = files->view->sources;
    struct view_db *db = NULL;
    enum evt_status rc = view_db_create(files, number, &db, check->why);

    if (rc != EVT_OK)
        return rc;
    rc = view_db_begin(db);
    for (; rc == EVT_OK && *source != NULL; source++) {
        int log = check_service(check, *source);

        if (log >= 0)
            rc = fold_log(db, files->view, &check->logs[log]);
    }
    if (rc == EVT_OK)
        rc = view_db_commit(db);
    if (rc != EVT_OK)
        snprintf(check->why, STORE_WHY_BYTES, "rebuilding a view: %s",
                 view_db_error(db));
    view_db_close(db);
    return rc;
}

/* ---- comparing ---------------------------------------------------------- */

/* What a view's file cannot answer is said as a difference: readers would
 * throw such a file away and build another. */
static void unreadable(struct check *check, const struct view *view,
                       sqlite3 *db)
{
    check_broken(check, CHECK_Q3, view->name, "cannot be compared: %s",
                 sqlite3_errmsg(db));
}

/* The fold itself, by the facts: project may be wrong, too.  Rows that are not
 * about one saga are told, and all are counted, once. */
static void compare_facts(struct check *check, unsigned number, sqlite3 *db)
{
    const struct view *view = check->options->views[number];
    const struct check_view *facts = &check->invariants->views[number];
    sqlite3_stmt *row = NULL;

    if (sqlite3_prepare_v2(db, facts->query, -1, &row, NULL) != SQLITE_OK)
        unreadable(check, view, db);
    while (row != NULL && sqlite3_step(row) == SQLITE_ROW) {
        check->views->views[number].rows += check->part == 0;
        if (!facts->agrees(check, row))
            check_broken(check, CHECK_Q3, view->name,
                         "the fold of %s does not match its events",
                         check_text(row, 0));
    }
    sqlite3_finalize(row);
}

/* When all parts are counted. */
static void compare_count(struct check *check, unsigned number)
{
    uint64_t expected = check->invariants->views[number].rows(check);
    uint64_t rows = check->views->views[number].rows;

    if (rows != expected)
        check_broken(check, CHECK_Q3, check->options->views[number]->name,
                     "the fold has %" PRIu64 " rows, not %" PRIu64, rows,
                     expected);
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

    head = log->known;
    if (store_hash_at(log->later, head, hash) != EVT_OK ||
        sqlite3_prepare_v2(db,
                           "SELECT seq, hash FROM position"
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
                    wait.at == head ? " of a different log" : "", head);
    return same;
}

static bool has_read_all(struct check *check, unsigned number, sqlite3 *db)
{
    const struct view *view = check->options->views[number];
    bool all = true;

    for (const char *const *name = view->sources; *name != NULL; name++) {
        int source = check_service(check, *name);

        if (source >= 0)
            all = has_read(check, number, db, &check->logs[source]) && all;
    }
    return all;
}

/* Whether none of the logs that the view is made of has grown since it was
 * judged: the facts are those of the judged snapshot. */
static bool logs_stand_still(struct check *check, const struct view *view)
{
    bool still = true;

    for (const char *const *name = view->sources; *name != NULL; name++) {
        int source = check_service(check, *name);

        still = still && (source < 0 || check->logs[source].known ==
                                            check->logs[source].head);
    }
    return still;
}

/* Whether the domain has worked out by itself what the view should say. */
static bool has_facts(const struct check *check, unsigned number)
{
    return check->invariants->views != NULL &&
           check->invariants->views[number].query != NULL;
}

/* How many events the view has folded, to see whether it moves. */
static int64_t folded_events(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    int64_t sum = -1;

    if (sqlite3_prepare_v2(db, "SELECT sum(seq) FROM position", -1, &row,
                           NULL) == SQLITE_OK &&
        sqlite3_step(row) == SQLITE_ROW)
        sum = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return sum;
}

/* In words, each row in which the view that is there differs from the fold; a
 * new reference. */
static enum evt_status differences(struct check *check, const struct both *both,
                                   json_t **texts)
{
    struct view_diff *diff = NULL;
    enum evt_status rc = view_diff_open(&both->seen, both->number, &both->fold,
                                        both->fold_number, &diff, check->why);

    if (rc != EVT_OK)
        return rc;
    while (view_diff_step(diff, SIZE_MAX) == EVT_OK)
        ;
    *texts = view_diff_texts(diff);
    view_diff_close(diff);
    return EVT_OK;
}

/* Compares the rows.  A view that has folded an event since it had @before was
 * not compared with the right fold: then nothing can be said. */
static enum evt_status compare_rows(struct check *check,
                                    const struct both *both, sqlite3 *seen,
                                    int64_t before)
{
    json_t *texts = NULL, *text;
    enum evt_status rc = differences(check, both, &texts);
    size_t i;

    if (rc == EVT_OK && folded_events(seen) != before) {
        check->summary->skipped[CHECK_Q3] = "a view moved while it was read";
        json_decref(texts);
        return EVT_OK;
    }
    json_array_foreach(texts, i, text)
    {
        check_broken(check, CHECK_Q3, both->seen.view->name, "%s",
                     json_string_value(text));
    }
    json_decref(texts);
    return rc;
}

static enum evt_status open_one(struct check *check,
                                const struct view_files *files, uint64_t number,
                                sqlite3 **db)
{
    int rc = view_db_open_file(files, number, SQLITE_OPEN_READONLY, db);

    if (rc != SQLITE_OK)
        snprintf(check->why, STORE_WHY_BYTES, "view %s: %s", files->view->name,
                 sqlite3_errmsg(*db));
    return sql_status(rc);
}

/* Compares with the fold; what is left of it for the facts is kept open. */
static enum evt_status compare(struct check *check, unsigned number,
                               const struct both *both)
{
    sqlite3 *seen = NULL, *fold = NULL;
    enum evt_status rc = open_one(check, &both->seen, both->number, &seen);
    bool all_read = false;
    int64_t folded = 0;

    if (rc == EVT_OK)
        rc = open_one(check, &both->fold, both->fold_number, &fold);
    if (rc == EVT_OK) {
        check->summary->views++;
        folded = folded_events(seen);
        all_read = has_read_all(check, number, seen);
    }
    /* Rows of a view that has not read all would differ, and say nothing. */
    if (rc == EVT_OK && all_read)
        rc = compare_rows(check, both, seen, folded);
    if (rc == EVT_OK && all_read && has_facts(check, number) &&
        logs_stand_still(check, both->seen.view)) {
        check->views->views[number].facts = fold;
        fold = NULL;
    }
    sqlite3_close(seen);
    sqlite3_close(fold);
    return rc;
}

/* One view: folds it in the scratch directory and compares. */
static enum evt_status check_view(struct check *check, unsigned number)
{
    const struct view *view = check->options->views[number];
    char directory[PATH_MAX];
    struct both both = {
        .fold = {view, check->views->scratch, check->options->vfs},
        .seen = {view, directory, check->options->vfs}};
    enum evt_status rc;

    snprintf(directory, sizeof directory, "%s/%s", check->options->directory,
             check->options->services[number]->name);
    both.fold_number = number + 1;
    both.number = view_db_current(&both.seen);
    if (both.number == 0 || !view_db_exists(&both.seen, both.number)) {
        check->summary->skipped[CHECK_Q3] = "a view.db is missing";
        return EVT_OK;
    }
    if (view_db_is_foreign(&both.seen, both.number)) {
        check->summary->skipped[CHECK_Q3] = CHECK_FOREIGN;
        return EVT_OK;
    }
    check->views->views[number].folded = true;
    rc = fold_all(check, &both.fold, both.fold_number);
    return rc == EVT_OK ? compare(check, number, &both) : rc;
}

enum evt_status check_views(struct check *check)
{
    const char *top = check->options->scratch;
    enum evt_status rc = EVT_OK;

    if (check->options->views == NULL)
        return EVT_OK;
    if (top == NULL)
        top = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    check->views = check_alloc(1, sizeof *check->views);
    snprintf(check->views->scratch, PATH_MAX, "%s/saga-check-XXXXXX", top);
    if (mkdtemp(check->views->scratch) == NULL) {
        snprintf(check->why, STORE_WHY_BYTES, "cannot write in %s", top);
        free(check->views);
        check->views = NULL;
        return EVT_IO;
    }
    for (unsigned i = 0; i < check->services && rc == EVT_OK; i++)
        rc = check_view(check, i);
    return rc;
}

void check_views_facts(struct check *check)
{
    const struct check_view *views = check->invariants->views;

    for (unsigned i = 0; i < check->services && check->views != NULL; i++) {
        if (check->views->views[i].facts == NULL)
            continue;
        if (views[i].of_sagas || check->part == 0)
            compare_facts(check, i, check->views->views[i].facts);
        if (check->part == check->parts - 1)
            compare_count(check, i);
    }
}

void check_views_close(struct check *check)
{
    if (check->views == NULL)
        return;
    for (unsigned i = 0; i < check->services; i++) {
        struct view_files files = {check->options->views[i],
                                   check->views->scratch, check->options->vfs};

        sqlite3_close(check->views->views[i].facts);
        if (check->views->views[i].folded)
            view_db_remove(&files, i + 1);
    }
    rmdir(check->views->scratch);
    free(check->views);
}
