/* syncs.h - how often SQLite makes the disk write, in this process.
 *
 * Commits are no measure of it: a commit that changes nothing syncs nothing, a
 * checkpoint syncs twice, and a view's commits hardly ever do.  Counted is each
 * file that SQLite syncs; not that of the directory, once in the life of a new
 * file.  `saga status --json` and `saga bench` show it. */
#ifndef SYNCS_H
#define SYNCS_H

#include <stdint.h>

/* From now on, of all files that are opened through SQLite's default VFS.  At
 * most once a process, after store_quicken(). */
void syncs_count(void);

/* How many there were.  From any thread. */
uint64_t syncs_total(void);

#endif
