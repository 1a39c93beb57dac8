/* view_db.h - one generation of a view: a database file with rows, positions
 * and prepared statements; and how one generation takes another's place.
 *
 * DIR/view.db is a symbolic link to DIR/view.N.db, generation N.  A rebuild
 * writes N+1 beside it and moves the link, which is one rename: who opens
 * view.db sees the one or the other, whole.  What no link names is left over
 * from a crash and is removed at the next start.
 */
#ifndef VIEW_DB_H
#define VIEW_DB_H

#include "log/store.h"
#include "read/view.h"

/* Where a view's files live. */
struct view_files {
    const struct view *view;
    const char *directory;
    const char *vfs;
};

/* The generation that view.db names; 0: none. */
uint64_t view_db_current(const struct view_files *files);
/* view.db names @generation from now on: EVT_OK, EVT_FULL or EVT_IO. */
MUST_CHECK enum evt_status view_db_publish(const struct view_files *files,
                                           uint64_t generation,
                                           char why[STORE_WHY_BYTES]);
void view_db_remove(const struct view_files *files, uint64_t generation);
/* Removes every generation but @keep. */
void view_db_clean(const struct view_files *files, uint64_t keep);

/* Opens @generation.  EVT_NONE: there is no such file, or it is damaged, or it
 * was made by another revision, schema or catalogue: build another. */
MUST_CHECK enum evt_status view_db_open(const struct view_files *files,
                                        uint64_t generation,
                                        struct view_db **db,
                                        char why[STORE_WHY_BYTES]);
/* Makes an empty @generation, in place of anything that has its name. */
MUST_CHECK enum evt_status view_db_create(const struct view_files *files,
                                          uint64_t generation,
                                          struct view_db **db,
                                          char why[STORE_WHY_BYTES]);
void view_db_close(struct view_db *db);

uint64_t view_db_generation(const struct view_db *db);
const char *view_db_error(const struct view_db *db);
/* Whether any call failed with EVT_IO since it was opened. */
bool view_db_failed(const struct view_db *db);

/* Whether its file, or one beside it, or the link to it was deleted or
 * replaced: it still answers, but nobody else can find it, nor we after a
 * start.  Not asked of a file behind a VFS. */
bool view_db_lost(const struct view_db *db);
/* Whether @generation was made by another revision, schema or catalogue of the
 * view.  A file that cannot be read was not. */
bool view_db_is_foreign(const struct view_files *files, uint64_t generation);
/* Whether @generation has a file. */
bool view_db_exists(const struct view_files *files, uint64_t generation);

/* Rows and positions move together, in one transaction. */
MUST_CHECK enum evt_status view_db_begin(struct view_db *db);
MUST_CHECK enum evt_status view_db_commit(struct view_db *db);
void view_db_rollback(struct view_db *db);

/* EVT_NONE: nothing of @source was folded yet. */
MUST_CHECK enum evt_status
view_db_position(struct view_db *db, const char *source, struct cursor *cursor);
MUST_CHECK enum evt_status view_db_set_position(struct view_db *db,
                                                const char *source,
                                                const struct cursor *cursor);

/* Notes that an event could not be read and was left out; in the transaction
 * that moves the position over it. */
MUST_CHECK enum evt_status view_db_skip(struct view_db *db, const char *source,
                                        uint64_t seq, const char *reason);
/* The first such note ("" if there is none), and how many there are. */
MUST_CHECK enum evt_status view_db_skipped(struct view_db *db, char *first,
                                           size_t size, uint64_t *count);

/* Opens a generation's file with @flags of sqlite3_open_v2. */
struct sqlite3;
int view_db_open_file(const struct view_files *files, uint64_t generation,
                      int flags, struct sqlite3 **sqlite);

#endif
