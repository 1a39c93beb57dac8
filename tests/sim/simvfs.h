/* simvfs.h - a disk in memory behind SQLite's VFS, which fails as disks do.
 *
 * Each node has a disk of its own, chosen by the directory of a file's
 * name ("…/order/log.db" is on disk 0); anything else is on a scratch disk
 * that never fails.  A write is in the "page cache" until xSync makes it
 * durable:
 *   - a killed process loses nothing that it has written;
 *   - a power cut keeps, of every 512-byte sector written since the last
 *     sync, either the old or the new content, each sector by itself; a file
 *     never synced may be gone, one just deleted may be back;
 *   - a sync that failed leaves its sectors in the cache, marked clean: no
 *     later sync writes them (Rebello et al., "Can Applications Recover from
 *     fsync Failures?", ATC 2020).
 * A process that dies in the middle of a step cannot be stopped there.  Its
 * disk goes dead instead, and whatever it still tries fails without effect.
 *
 * Shared memory and locks are kept as unix has them, among the connections of
 * this process; nothing here is thread safe.  Next: simvfs.c, or sim.h. */
#ifndef SIMVFS_H
#define SIMVFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_DISKS = 3 };

/* Registers the VFS "sim" and makes it the default one, whose randomness
 * seeds SQLite's.  Once a process. */
void simvfs_open(void);
/* Forgets all files: a new world, in which SQLite starts from @seed.  No
 * connection may be open. */
void simvfs_reset(uint64_t seed);

/* The process of @disk acts from now on: only what it does can fail.  -1:
 * nobody who could. */
void simvfs_act(int disk);

enum disk_fault {
    DISK_CRASH,      /* the process dies before the operation */
    DISK_EIO_READ,   /* a read fails, once */
    DISK_SHORT_READ, /* a read gets nothing, as if the file ended there */
    DISK_EIO_WRITE,
    DISK_EIO_SYNC,
    DISK_FAULTS
};

/* The @after-th operation from now that @fault can hit is hit; 0 disarms. */
void simvfs_arm(int disk, enum disk_fault fault, unsigned after);
void simvfs_disarm(int disk);
/* While full, no file of @disk can grow. */
void simvfs_set_full(int disk, bool full);

/* The process of @disk has died; its connections may be closed without doing
 * anything more.  Then call simvfs_revive. */
void simvfs_kill(int disk);
bool simvfs_dead(int disk);
/* How often a fault other than a crash has hit. */
uint64_t simvfs_hits(int disk, enum disk_fault fault);
/* What the last operation before the crash was done to: "log.db-wal". */
const char *simvfs_last(int disk);
void simvfs_revive(int disk);

/* Power is cut: what was not synced is lost in part, as *state wills; nothing
 * at all is lost when it is 0, and everything when it is 1.  No connection may
 * be open.  Returns how many sectors were lost. */
size_t simvfs_power_cut(int disk, uint64_t state);

/* Keeps a copy of the log of @disk as it is now, in place of an older one; and
 * puts it back where it was, as somebody would who restores a backup.  Its
 * process must not run.  False: there is no copy. */
void simvfs_backup(int disk);
bool simvfs_restore(int disk);

/* Damages @count bytes of the file whose name ends so, at @offset.  False:
 * there is none, or it is shorter. */
bool simvfs_rot(int disk, const char *name_end, size_t offset, size_t count);

/* Bytes of the file whose name ends so; 0: none. */
size_t simvfs_size(int disk, const char *name_end);

#endif
