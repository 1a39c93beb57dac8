/* store_copy.c - a copy of a log file, page by page, as of one instant.
 *
 * What is copied is the database alone: the copy has no WAL, and needs none.
 * `saga backup` is the caller; see saga-cli/backup.c for how three copies come
 * to fit each other. */
#include "log/store_internal.h"

#include <stdio.h>

enum { PAGES_PER_STEP = 256 };

/* All pages: sqlite3_backup_step reads through the connection's open
 * transaction if there is one. */
static int copy_pages(sqlite3 *from, sqlite3 *to, bool (*stop)(void))
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    int rc = SQLITE_OK;

    if (copy == NULL)
        return sqlite3_errcode(to);
    while (rc == SQLITE_OK && !stop())
        rc = sqlite3_backup_step(copy, PAGES_PER_STEP);
    sqlite3_backup_finish(copy);
    return rc;
}

enum evt_status store_copy(struct store *store, const char *path,
                           bool (*stop)(void), char why[STORE_WHY_BYTES])
{
    sqlite3 *to = NULL;
    int rc = sqlite3_open_v2(path, &to,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    int closed;

    if (rc == SQLITE_OK)
        rc = copy_pages(store->db, to, stop);
    if (rc == SQLITE_DONE && sqlite3_exec(to, "PRAGMA journal_mode = DELETE",
                                          NULL, NULL, NULL) != SQLITE_OK)
        rc = sqlite3_errcode(to);
    closed = sqlite3_close(to);
    if (rc == SQLITE_DONE)
        rc = closed;
    else if (rc == SQLITE_OK)
        rc = SQLITE_BUSY; /* stopped on the way */
    if (rc != SQLITE_OK)
        snprintf(why, STORE_WHY_BYTES, "%s: %s", path, sqlite3_errstr(rc));
    return sql_status(rc);
}
