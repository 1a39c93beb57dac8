/* faultvfs.c - see faultvfs.h.  A shim as SQLite's own test_vfs.c is one:
 * each file holds the real one behind itself. */
#include "faultvfs.h"

#include <sqlite3.h>
#include <string.h>

struct file {
    sqlite3_file base;
    sqlite3_file *real; /* right behind this struct */
};

static struct {
    unsigned which, nth, calls;
    int code;
    bool for_good, failed;
} fault;

void faultvfs_set(unsigned which, unsigned nth, int code, bool for_good)
{
    memset(&fault, 0, sizeof fault);
    fault.which = which;
    fault.nth = nth;
    fault.code = code;
    fault.for_good = for_good;
}

unsigned faultvfs_calls(void)
{
    return fault.calls;
}

bool faultvfs_failed(void)
{
    return fault.failed;
}

/* SQLITE_OK, or what this call shall return. */
static int pass(unsigned call)
{
    bool now = (fault.which & call) != 0 && ++fault.calls == fault.nth;

    if (now)
        fault.failed = true;
    if (now)
        return fault.code;
    /* a process that is gone writes nothing, whichever call it was */
    return fault.failed && fault.for_good && call != FAULT_READS ? SQLITE_IOERR
                                                                 : SQLITE_OK;
}

static sqlite3_file *real(sqlite3_file *file)
{
    return ((struct file *)file)->real;
}

static int shim_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int shim_read(sqlite3_file *f, void *bytes, int count, sqlite3_int64 at)
{
    int rc = pass(FAULT_READS);

    return rc ? rc : real(f)->pMethods->xRead(real(f), bytes, count, at);
}

static int shim_write(sqlite3_file *f, const void *bytes, int count,
                      sqlite3_int64 at)
{
    int rc = pass(FAULT_WRITES);

    return rc ? rc : real(f)->pMethods->xWrite(real(f), bytes, count, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = pass(FAULT_WRITES);

    return rc ? rc : real(f)->pMethods->xTruncate(real(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    int rc = pass(FAULT_SYNCS);

    return rc ? rc : real(f)->pMethods->xSync(real(f), flags);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int shim_reserved(sqlite3_file *f, int *held)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), held);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int shim_traits(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend,
                        void volatile **at)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, at);
}

static int shim_shm_lock(sqlite3_file *f, int first, int count, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), first, count, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int shim_shm_unmap(sqlite3_file *f, int delete)
{
    return real(f)->pMethods->xShmUnmap(real(f), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no memory-mapped pages: every read is a call */
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap};

static sqlite3_vfs *below(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f,
                     int flags, int *out)
{
    struct file *file = (struct file *)f;
    int rc;

    memset(file, 0, sizeof *file);
    file->real = (sqlite3_file *)(file + 1);
    rc = below(vfs)->xOpen(below(vfs), name, file->real, flags, out);
    if (file->real->pMethods != NULL) /* SQLite closes it then, open or not */
        file->base.pMethods = &methods;
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    if (fault.failed && fault.for_good)
        return SQLITE_IOERR_DELETE;
    return below(vfs)->xDelete(below(vfs), name, sync);
}

void faultvfs_register(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real_vfs = sqlite3_vfs_find(NULL);

    if (vfs.zName != NULL)
        return;
    vfs = *real_vfs; /* paths, time and randomness are the real one's */
    vfs.zName = FAULTVFS;
    vfs.pNext = NULL;
    vfs.szOsFile += (int)sizeof(struct file);
    vfs.pAppData = real_vfs;
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    sqlite3_vfs_register(&vfs, 0);
}
