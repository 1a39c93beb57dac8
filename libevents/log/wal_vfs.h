/* wal_vfs.h - a VFS for logs: a commit is one write, and the WAL is used again.
 *
 * SQLite writes each page of a commit with two calls, its frame's header and
 * the page.  This VFS keeps what is written to a WAL in memory and writes it
 * as one when SQLite syncs the WAL, before the sync.  Growing costs more than
 * that: the sync of a file that became longer waits for the file system's
 * journal, one of bytes that were there does not.  So the WAL of a log that is
 * closed stays, for the next life to write over.
 *
 * What holds, and what SQLite's source (wal.c) has to do with it:
 *   - Nothing is shown before it is written.  With synchronous=FULL SQLite
 *     syncs the frames of a commit before it counts them in the WAL's index,
 *     and only what the index counts is read by others.  With less than FULL
 *     it does not sync; then it is written when the write lock is released.
 *   - The connection reads its own frames back before they are written, when
 *     its cache spills and when it corrects their checksums: reads are served
 *     from memory first.
 *   - What a rollback leaves is forgotten, when the write lock is released.
 *   - An error of the write leaves xSync, and SQLite rolls back: a full disk is
 *     SQLITE_FULL, as from xWrite, and keeps the process alive.
 *   - Where SQLite would delete the WAL, at the end of the last connection, all
 *     of it has been copied and the database is locked and synced.  The WAL's
 *     header is overwritten with zeros and synced then: no SQLite takes
 *     anything from such a WAL (https://www.sqlite.org/walformat.html), be it
 *     beside another database.  If that fails, SQLite deletes it after all.
 *   - A new header has new random salts, so no frame of an older life counts.
 *
 * Only for who writes a log, one connection a file; never with
 * locking_mode=EXCLUSIVE, which takes no lock to release.  Views, and who reads
 * a log, need none of this. */
#ifndef WAL_VFS_H
#define WAL_VFS_H

#include <sqlite3.h>
#include <stdbool.h>

/* The store has it copied at 4,000 frames.  Only beside a reader who stayed for
 * long does it become larger than this, and is not kept. */
enum { WAL_KEPT_MAX = 17 << 20, WAL_HEADER_BYTES = 32 };

/* The name of this VFS over @vfs (NULL = the default one), which is made known
 * to SQLite.  @vfs itself where there is no such VFS: opening says so. */
const char *wal_vfs_over(const char *vfs);

/* How many bytes of the WAL count, by its index: the frames behind them are
 * what a commit left that failed, or an older WAL.  An SQLite result code. */
int wal_vfs_counting(sqlite3_file *database, sqlite3_int64 *bytes);

/* Whether the WAL begins with zeros where its header would be, as a clean stop
 * leaves it: nothing in it counts, whatever follows. */
bool wal_vfs_is_emptied(sqlite3_file *wal);

#endif
