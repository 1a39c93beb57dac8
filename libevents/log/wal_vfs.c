/* wal_vfs.c - see wal_vfs.h.  As syncs.c does, it lends the files of another
 * VFS some methods of its own, here those of a database and of its WAL. */
#include "log/wal_vfs.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOINED_MAX = 1 << 20,
    PIECE = 1 << 16, /* unix masks the length of a write with 0x1ffff */
    WRITE_LOCK = 0   /* of those in the shared memory: walformat.html */
};

/* Behind what the VFS below keeps of a file. */
struct lent {
    const sqlite3_io_methods *below;
    sqlite3_io_methods methods; /* the same, but for some */
    sqlite3_file *other;        /* a database's WAL, and the other way round */
    bool keeps_wal;             /* of a database that is being closed */

    uint8_t *joined; /* of a WAL: what is not yet written */
    size_t used;
    sqlite3_int64 at; /* where it belongs */
};

static struct lent *lent(const sqlite3_file *file)
{
    return (void *)((uintptr_t)file->pMethods - offsetof(struct lent, methods));
}

/* ---- a WAL --------------------------------------------------------------- */

/* Writes what is joined, in order.  On error all of it stays joined. */
static int flush(sqlite3_file *file)
{
    struct lent *its = lent(file);
    int rc = SQLITE_OK;

    for (size_t done = 0; done < its->used && rc == SQLITE_OK; done += PIECE) {
        size_t left = its->used - done;

        rc = its->below->xWrite(file, its->joined + done,
                                (int)(left < PIECE ? left : PIECE),
                                its->at + (sqlite3_int64)done);
    }
    if (rc == SQLITE_OK)
        its->used = 0;
    return rc;
}

/* Whether [@at, @at + @count) continues what is joined, or changes it. */
static bool continues(const struct lent *its, sqlite3_int64 at, size_t count)
{
    sqlite3_int64 offset = at - its->at;

    return its->used > 0 && offset >= 0 && offset <= (sqlite3_int64)its->used &&
           (size_t)offset + count <= JOINED_MAX;
}

static int write_wal(sqlite3_file *file, const void *bytes, int count,
                     sqlite3_int64 at)
{
    struct lent *its = lent(file);
    size_t size = (size_t)count, end;

    if (!continues(its, at, size)) {
        int rc = flush(file);

        if (rc != SQLITE_OK)
            return rc;
        its->at = at;
    }
    end = (size_t)(at - its->at) + size;
    memcpy(its->joined + end - size, bytes, size);
    if (end > its->used)
        its->used = end;
    return SQLITE_OK;
}

static int read_wal(sqlite3_file *file, void *bytes, int count,
                    sqlite3_int64 at)
{
    const struct lent *its = lent(file);
    sqlite3_int64 end = at + count,
                  joined_end = its->at + (sqlite3_int64)its->used;
    sqlite3_int64 from = at > its->at ? at : its->at,
                  upto = end < joined_end ? end : joined_end;
    int rc = SQLITE_OK;

    if (from >= upto)
        return its->below->xRead(file, bytes, count, at);
    if (end > upto) /* on both sides of what is joined, or behind it */
        rc = its->below->xRead(file, bytes, count, at);
    else if (at < from)
        rc = its->below->xRead(file, bytes, (int)(from - at), at);
    memcpy((uint8_t *)bytes + (from - at), its->joined + (from - its->at),
           (size_t)(upto - from));
    return rc;
}

static int truncate_wal(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = flush(file);

    return rc == SQLITE_OK ? lent(file)->below->xTruncate(file, size) : rc;
}

static int sync_wal(sqlite3_file *file, int flags)
{
    int rc = flush(file);

    return rc == SQLITE_OK ? lent(file)->below->xSync(file, flags) : rc;
}

static int size_wal(sqlite3_file *file, sqlite3_int64 *size)
{
    const struct lent *its = lent(file);
    int rc = its->below->xFileSize(file, size);

    if (its->used > 0 && *size < its->at + (sqlite3_int64)its->used)
        *size = its->at + (sqlite3_int64)its->used;
    return rc;
}

static int close_wal(sqlite3_file *file)
{
    struct lent *its = lent(file);

    free(its->joined);
    if (its->other != NULL)
        lent(its->other)->other = NULL;
    return its->below->xClose(file);
}

bool wal_vfs_is_emptied(sqlite3_file *wal)
{
    static const uint8_t zeros[WAL_HEADER_BYTES];
    uint8_t header[WAL_HEADER_BYTES];

    return wal->pMethods->xRead(wal, header, sizeof header, 0) == SQLITE_OK &&
           memcmp(header, zeros, sizeof zeros) == 0;
}

/* Instead of deleting it. */
static bool empty_wal(sqlite3_file *wal)
{
    static const uint8_t zeros[WAL_HEADER_BYTES];
    const sqlite3_io_methods *below = lent(wal)->below;
    sqlite3_int64 size;

    return below->xFileSize(wal, &size) == SQLITE_OK &&
           size > (sqlite3_int64)sizeof zeros && size <= WAL_KEPT_MAX &&
           below->xWrite(wal, zeros, sizeof zeros, 0) == SQLITE_OK &&
           below->xSync(wal, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

/* ---- a database ---------------------------------------------------------- */

int wal_vfs_counting(sqlite3_file *database, sqlite3_int64 *bytes)
{
    enum { REGION = 32768, FRAME_HEADER = 24 };
    volatile void *region = NULL;
    const volatile uint8_t *index;
    uint32_t frames;
    uint16_t page;
    int rc = database->pMethods->xShmMap(database, 0, REGION, 0, &region);

    if (rc == SQLITE_OK && region == NULL)
        rc = SQLITE_IOERR_SHMMAP;
    if (rc != SQLITE_OK)
        return rc;
    /* mxFrame, and the size of a page:
     * https://www.sqlite.org/walformat.html#walidxfmt */
    index = region;
    page = *(const volatile uint16_t *)(const volatile void *)(index + 14);
    frames = *(const volatile uint32_t *)(const volatile void *)(index + 16);
    *bytes = frames == 0 ? 0
                         : WAL_HEADER_BYTES +
                               (sqlite3_int64)frames *
                                   (FRAME_HEADER + (page == 1 ? 65536 : page));
    return SQLITE_OK;
}

/* A transaction has ended.  What is joined still is of one that was rolled
 * back, unless the index counts it: then it was committed without a sync, and
 * an error is told by whatever is written next. */
static void end_transaction(sqlite3_file *database, sqlite3_file *wal)
{
    struct lent *its = lent(wal);
    sqlite3_int64 counting;

    if (its->used == 0)
        return;
    if (wal_vfs_counting(database, &counting) == SQLITE_OK &&
        counting <= its->at)
        its->used = 0;
    else
        (void)flush(wal);
}

static int lock_index(sqlite3_file *file, int first, int count, int flags)
{
    const struct lent *its = lent(file);

    if (its->other != NULL && first == WRITE_LOCK &&
        flags == (SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE))
        end_transaction(file, its->other);
    return its->below->xShmLock(file, first, count, flags);
}

/* SQLite asks for this (with -1) when it would delete the WAL otherwise. */
static int control_database(sqlite3_file *file, int op, void *argument)
{
    struct lent *its = lent(file);
    int *persistent = argument;

    if (op != SQLITE_FCNTL_PERSIST_WAL || *persistent >= 0 ||
        its->other == NULL)
        return its->below->xFileControl(file, op, argument);
    its->keeps_wal = empty_wal(its->other);
    *persistent = its->keeps_wal;
    return SQLITE_OK;
}

/* The index goes all the same. */
static int unmap_index(sqlite3_file *file, int delete)
{
    const struct lent *its = lent(file);

    return its->below->xShmUnmap(file, delete || its->keeps_wal);
}

/* ---- the VFS ------------------------------------------------------------- */

static void lend_wal_methods(sqlite3_io_methods *methods)
{
    methods->xRead = read_wal;
    methods->xWrite = write_wal;
    methods->xTruncate = truncate_wal;
    methods->xSync = sync_wal;
    methods->xFileSize = size_wal;
    methods->xClose = close_wal;
}

static void lend_database_methods(sqlite3_io_methods *methods)
{
    methods->xShmLock = lock_index;
    methods->xShmUnmap = unmap_index;
    methods->xFileControl = control_database;
}

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name,
                     sqlite3_file *file, int flags, int *out_flags)
{
    sqlite3_vfs *below = vfs->pAppData;
    struct lent *its = (void *)((char *)file + below->szOsFile);
    int rc = below->xOpen(below, name, file, flags, out_flags);

    if (rc != SQLITE_OK ||
        (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
        return rc;
    memset(its, 0, sizeof *its);
    its->below = file->pMethods;
    its->methods = *its->below;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
        lend_database_methods(&its->methods);
    } else {
        its->joined = malloc(JOINED_MAX); /* takes memory as it is used */
        if (its->joined == NULL)
            abort();
        lend_wal_methods(&its->methods);
        its->other = sqlite3_database_file_object(name);
        lent(its->other)->other = file;
    }
    file->pMethods = &its->methods;
    return SQLITE_OK;
}

const char *wal_vfs_over(const char *vfs)
{
    sqlite3_vfs *below = sqlite3_vfs_find(vfs), *over;
    char name[64];

    if (below == NULL)
        return vfs;
    snprintf(name, sizeof name, "wal over %s", below->zName);
    over = sqlite3_vfs_find(name);
    if (over != NULL)
        return over->zName;
    over = malloc(sizeof *over); /* for as long as SQLite knows it */
    if (over == NULL)
        abort();
    *over = *below;
    over->zName = strdup(name);
    over->szOsFile += (int)sizeof(struct lent);
    over->pAppData = below;
    over->xOpen = open_file;
    if (over->zName == NULL || sqlite3_vfs_register(over, 0) != SQLITE_OK)
        abort();
    return over->zName;
}
