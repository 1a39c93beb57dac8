/* view_db_internal.h - an open view from within.
 *
 * Used by: view.c, view_db.c. */
#ifndef VIEW_DB_INTERNAL_H
#define VIEW_DB_INTERNAL_H

#include "read/view_db.h"

#include <sqlite3.h>
#include <sys/types.h>

enum { VIEW_FILES = 3 };

struct view_db {
    struct view_files files;
    uint64_t generation;
    sqlite3 *sqlite;
    sqlite3_stmt **statements; /* view->sql_count of them */
    sqlite3_stmt *begin, *commit, *set_position;
    void *notes;              /* the view's own */
    ino_t inodes[VIEW_FILES]; /* of the file, its WAL and its shared memory */
    bool failed;
    char error[STORE_WHY_BYTES];
};

/* What a result code means; the reason is kept.  A damaged file loses its
 * link: see view_db.c. */
enum evt_status view_db_fail(struct view_db *db, int rc);
/* Runs a statement that returns no rows. */
MUST_CHECK enum evt_status view_db_step(struct view_db *db,
                                        sqlite3_stmt *statement);

#endif
