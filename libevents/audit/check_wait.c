/* check_wait.c - does what is under way go on?
 *
 * The checker judges one instant, and work that is half done at that instant
 * is neither well nor broken.  Whether it goes on is seen by looking at its
 * file again: a cursor, a view's position or a log's head that has moved. */
#include "audit/check.h"
#include "read/view_db.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>

/* The head of @service's log, or, of @source not NULL, its cursor there. */
static bool log_position(const struct check_options *options,
                         const char *service, const char *source, uint64_t *seq)
{
    char path[PATH_MAX], why[STORE_WHY_BYTES];
    struct cursor cursor = {.at.seq = 0};
    uint8_t hash[HASH_BYTES];
    struct store *log = NULL;
    enum evt_status rc;

    snprintf(path, sizeof path, "%s/%s/log.db", options->directory, service);
    rc = store_open_readonly(path, service, options->vfs, &log, why);
    if (rc == EVT_OK && source == NULL)
        rc = store_head(log, seq, hash);
    if (rc == EVT_OK && source != NULL) {
        rc = store_cursor(log, source, &cursor);
        *seq = cursor.at.seq;
    }
    store_close(log);
    return rc == EVT_OK;
}

/* How far the view that @service serves has read @source. */
static bool view_position(const struct check_options *options, unsigned service,
                          const char *source, uint64_t *seq)
{
    char directory[PATH_MAX];
    struct view_files files = {options->views[service], directory,
                               options->vfs};
    sqlite3_stmt *row = NULL;
    sqlite3 *db = NULL;
    bool known = false;

    snprintf(directory, sizeof directory, "%s/%s", options->directory,
             options->services[service]->name);
    if (view_db_open_file(&files, view_db_current(&files), SQLITE_OPEN_READONLY,
                          &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT seq FROM position WHERE source = ?", -1,
                           &row, NULL) == SQLITE_OK) {
        sqlite3_bind_text(row, 1, source, -1, SQLITE_STATIC);
        known = sqlite3_step(row) == SQLITE_ROW;
        *seq = (uint64_t)sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    sqlite3_close(db);
    return known;
}

bool check_moved(const struct check_options *options,
                 const struct check_wait *wait)
{
    const char *service = options->services[wait->service]->name;
    const char *source = options->services[wait->source]->name;
    uint64_t seq = 0;

    /* Files are not read at one instant: a reader that is ahead of the log as
     * it was judged has read what was appended since. */
    if (wait->at > wait->head)
        return log_position(options, source, NULL, &seq) && seq >= wait->at;
    switch (wait->lane) {
    case LANE_CURSOR:
        return log_position(options, service, source, &seq) && seq > wait->at;
    case LANE_VIEW:
        return view_position(options, wait->service, source, &seq) &&
               seq > wait->at;
    default:
        return log_position(options, service, NULL, &seq) && seq > wait->at;
    }
}
