/* syncs.c - see syncs.h: a VFS before the default one, which lends each file
 * another xSync and xWrite, and otherwise stays out of the way. */
#include "log/syncs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Behind what the real VFS keeps of a file. */
struct counted {
    const sqlite3_io_methods *real;
    sqlite3_io_methods methods; /* the same, but for two */
};

static sqlite3_vfs *real_vfs, counting_vfs;
static atomic_uint_fast64_t sync_count;

static struct counted *counted(sqlite3_file *file)
{
    return (void *)((char *)file + real_vfs->szOsFile);
}

static int sync_file(sqlite3_file *file, int flags)
{
    atomic_fetch_add_explicit(&sync_count, 1, memory_order_relaxed);
    return counted(file)->real->xSync(file, flags);
}

/* SQLite takes ENOSPC alone for a full disk.  A quota, and a limit on the size
 * of files, are as full: what was not written can be written later. */
static int write_file(sqlite3_file *file, const void *bytes, int count,
                      sqlite3_int64 at)
{
    const sqlite3_io_methods *real = counted(file)->real;
    int rc = real->xWrite(file, bytes, count, at), cause = 0;

    if (rc != SQLITE_IOERR_WRITE ||
        real->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &cause) != SQLITE_OK)
        return rc;
    return cause == EDQUOT || cause == EFBIG ? SQLITE_FULL : rc;
}

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name,
                     sqlite3_file *file, int flags, int *out_flags)
{
    int rc = real_vfs->xOpen(real_vfs, name, file, flags, out_flags);

    (void)vfs;
    if (file->pMethods != NULL) {
        struct counted *its = counted(file);

        its->real = file->pMethods;
        its->methods = *its->real;
        its->methods.xSync = sync_file;
        its->methods.xWrite = write_file;
        file->pMethods = &its->methods;
    }
    return rc;
}

void syncs_count(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    if (real_vfs == NULL)
        abort(); /* this SQLite could open nothing */
    counting_vfs = *real_vfs;
    counting_vfs.zName = "counting";
    counting_vfs.szOsFile += (int)sizeof(struct counted);
    counting_vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&counting_vfs, 1) != SQLITE_OK)
        abort();
}

uint64_t syncs_total(void)
{
    return atomic_load_explicit(&sync_count, memory_order_relaxed);
}
