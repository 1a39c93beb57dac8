/* faultvfs.h - the operating system's files, until one call fails.
 *
 * An SQLite VFS that hands every call on to the default one and counts those
 * that change a file.  The n-th can be made to fail; from then on either all
 * fail (the process is as good as dead: what it does next must not reach the
 * file) or none (the fault was transient).  It does to a process what a failing
 * disk does; it does not simulate a disk that loses what was written. */
#ifndef FAULTVFS_H
#define FAULTVFS_H

#include <stdbool.h>

#define FAULTVFS "faultvfs"

enum fault_call {
    FAULT_WRITES = 1, /* xWrite and xTruncate */
    FAULT_SYNCS = 2,
    FAULT_READS = 4
};

/* Makes the VFS known to SQLite under FAULTVFS; more than once is fine. */
void faultvfs_register(void);

/* Counts calls of @which from now on; the @nth of them (from 1; 0: none) fails
 * with the SQLite result @code.  @for_good: so does every one after it. */
void faultvfs_set(unsigned which, unsigned nth, int code, bool for_good);

/* How many calls were counted since then, and whether one has failed. */
unsigned faultvfs_calls(void);
bool faultvfs_failed(void);

#endif
