/* simvfs.c - see simvfs.h.  Files first, then the faults, then SQLite's three
 * tables: methods of a file, of its shared memory, of the VFS. */
#include "simvfs.h"

#include "choice.h"
#include "shop/shop.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECTOR = 512,
    FILES_MAX = 256,
    HANDLES_MAX = 64,
    REGIONS_MAX = 16,
    SCRATCH = SIM_DISKS /* the disk that never fails */
};

/* Of a sector: what a sync would do about it. */
enum { CLEAN, DIRTY, GIVEN_UP /* by a sync that failed: nobody writes it */ };

struct image {
    uint8_t *bytes;
    size_t size, room;
};

struct file {
    char *name;
    int disk;
    bool exists, named; /* now; and after a power cut */
    bool fresh;         /* not synced since it was made */
    struct image now, safe /* as the last sync left it */;
    uint8_t *sectors;
    size_t sector_room;
    uint8_t *regions[REGIONS_MAX];
    size_t mappers; /* connections that use its shared memory */
};

/* An open connection. */
struct handle {
    sqlite3_file base;
    struct file *file;
    bool throw_away; /* when closed */
    bool readonly;
    bool sync_directory; /* with the next sync of this file */
    int lock;
    bool mapped;
    unsigned shared, exclusive; /* shm locks, a bit each */
};

static struct file files[FILES_MAX];
static size_t file_count;
static struct handle *handles[HANDLES_MAX];
static int acting = -1;
static uint64_t randomness;

static struct disk {
    bool dead, full;
    unsigned in[DISK_FAULTS]; /* operations until it hits; 0: never */
    uint64_t hits[DISK_FAULTS];
    char last[32];
    struct image backup[2]; /* of log.db and its WAL */
    bool backed_up;
} disks[SIM_DISKS + 1];

/* ---- images ------------------------------------------------------------- */

static void image_resize(struct image *image, size_t size)
{
    if (size > image->room) {
        image->room = size * 2 + 4096;
        image->bytes = realloc(image->bytes, image->room);
        if (image->bytes == NULL)
            abort();
    }
    if (size > image->size)
        memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
}

static void image_free(struct image *image)
{
    free(image->bytes);
    memset(image, 0, sizeof *image);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- files -------------------------------------------------------------- */

static int disk_of(const char *name)
{
    for (int i = 0; i < SIM_DISKS; i++) {
        char part[SERVICE_BYTES + 2];

        snprintf(part, sizeof part, "/%s/", shop_services[i]);
        if (strstr(name, part) != NULL)
            return i;
    }
    return SCRATCH;
}

static struct file *find(const char *name)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].name != NULL && strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}

/* By the end of its name. */
static struct file *find_end(int disk, const char *end)
{
    for (size_t i = 0; i < file_count; i++) {
        const char *name = files[i].name;

        if (name != NULL && files[i].disk == disk && files[i].exists &&
            strlen(name) >= strlen(end) &&
            strcmp(name + strlen(name) - strlen(end), end) == 0)
            return &files[i];
    }
    return NULL;
}

static void forget(struct file *file)
{
    for (size_t i = 0; i < REGIONS_MAX; i++)
        free(file->regions[i]);
    image_free(&file->now);
    image_free(&file->safe);
    free(file->sectors);
    free(file->name);
    memset(file, 0, sizeof *file);
}

static void mark(struct file *file, size_t from, size_t upto)
{
    size_t last = (upto + SECTOR - 1) / SECTOR;

    if (last > file->sector_room) {
        size_t room = last * 2 + 64;

        file->sectors = realloc(file->sectors, room);
        if (file->sectors == NULL)
            abort();
        memset(file->sectors + file->sector_room, CLEAN,
               room - file->sector_room);
        file->sector_room = room;
    }
    for (size_t i = from / SECTOR; i < last; i++)
        file->sectors[i] = DIRTY;
}

static struct file *create(const char *name)
{
    struct file *file = find(name);

    for (size_t i = 0; file == NULL && i < FILES_MAX; i++)
        if (files[i].name == NULL) {
            file = &files[i];
            file->name = strdup(name);
            file->disk = disk_of(name);
            if (i >= file_count)
                file_count = i + 1;
        }
    assert(file != NULL);
    file->exists = file->fresh = true;
    file->named = false;
    image_resize(&file->now, 0);
    if (file->sectors != NULL)
        memset(file->sectors, CLEAN, file->sector_room);
    return file;
}

static void delete_file(struct file *file)
{
    file->exists = false;
    if (!file->named)
        forget(file);
}

static void sync_file(struct file *file)
{
    size_t sectors = (file->now.size + SECTOR - 1) / SECTOR;

    if (file->fresh) { /* what had this name before is no more */
        image_resize(&file->safe, 0);
        file->fresh = false;
    }
    image_resize(&file->safe, file->now.size);
    for (size_t i = 0; i < sectors && i < file->sector_room; i++) {
        size_t at = i * SECTOR;

        if (file->sectors[i] != DIRTY)
            continue;
        memcpy(file->safe.bytes + at, file->now.bytes + at,
               smaller(SECTOR, file->now.size - at));
        file->sectors[i] = CLEAN;
    }
}

/* The names of the directory of @of are on the disk as they are now. */
static void sync_names(const struct file *of)
{
    size_t prefix = (size_t)(strrchr(of->name, '/') - of->name) + 1;

    for (size_t i = 0; i < file_count; i++) {
        struct file *file = &files[i];

        if (file->name == NULL || file->disk != of->disk ||
            strncmp(file->name, of->name, prefix) != 0)
            continue;
        if (!file->exists)
            forget(file);
        else
            file->named = true;
    }
}

/* The sync failed: some sectors got there, none will be tried again. */
static void fail_sync(struct file *file)
{
    for (size_t i = 0; i < file->sector_room; i++)
        if (file->sectors[i] == DIRTY)
            file->sectors[i] = GIVEN_UP;
}

/* ---- faults ------------------------------------------------------------- */

static bool due(struct disk *disk, enum disk_fault fault)
{
    if (disk->in[fault] == 0 || --disk->in[fault] > 0)
        return false;
    if (fault != DISK_CRASH)
        disk->hits[fault]++;
    return true;
}

/* Whether an operation on @file fails now; @fault: what else than a crash can
 * hit it, DISK_CRASH: nothing. */
static bool fails(const struct file *file, enum disk_fault fault)
{
    struct disk *disk = &disks[file->disk];
    const char *slash;

    if (acting != file->disk || file->disk == SCRATCH)
        return false;
    if (!disk->dead) {
        slash = strrchr(file->name, '/');
        snprintf(disk->last, sizeof disk->last, "%s",
                 slash != NULL ? slash + 1 : file->name);
        disk->dead = due(disk, DISK_CRASH);
    }
    return disk->dead || (fault != DISK_CRASH && due(disk, fault));
}

void simvfs_act(int disk)
{
    acting = disk;
}

void simvfs_arm(int disk, enum disk_fault fault, unsigned after)
{
    disks[disk].in[fault] = after;
}

void simvfs_disarm(int disk)
{
    memset(disks[disk].in, 0, sizeof disks[disk].in);
}

void simvfs_set_full(int disk, bool full)
{
    disks[disk].full = full;
}

void simvfs_kill(int disk)
{
    disks[disk].dead = true;
}

bool simvfs_dead(int disk)
{
    return disks[disk].dead;
}

uint64_t simvfs_hits(int disk, enum disk_fault fault)
{
    return disks[disk].hits[fault];
}

const char *simvfs_last(int disk)
{
    return disks[disk].last;
}

void simvfs_revive(int disk)
{
    disks[disk].dead = false;
    simvfs_disarm(disk);
}

/* Whether a sector survives the cut in its new form. */
static bool survives(uint64_t *state)
{
    return *state == 0 || (*state != 1 && (mix64(state) & 1) != 0);
}

static size_t cut_sectors(struct file *file, uint64_t *state)
{
    size_t lost = 0;
    struct image *now = &file->now, *safe = &file->safe;

    if (file->fresh) /* another file had this name when it was synced */
        image_resize(safe, 0);
    if (now->size != safe->size && !survives(state)) {
        size_t kept = now->size;

        image_resize(now, safe->size);
        if (kept < now->size)
            memcpy(now->bytes + kept, safe->bytes + kept, now->size - kept);
    }
    image_resize(safe, now->size);
    for (size_t i = 0; i < file->sector_room && i * SECTOR < now->size; i++) {
        size_t at = i * SECTOR, bytes = smaller(SECTOR, now->size - at);

        if (file->sectors[i] != CLEAN && !survives(state)) {
            memcpy(now->bytes + at, safe->bytes + at, bytes);
            lost++;
        }
        file->sectors[i] = CLEAN;
        memcpy(safe->bytes + at, now->bytes + at, bytes);
    }
    return lost;
}

/* A name that was given or taken since its file was last synced. */
static size_t cut_name(struct file *file, uint64_t *state)
{
    if (!file->exists) { /* deleted, but that may not be on the disk */
        if (survives(state)) {
            forget(file);
            return 0;
        }
        file->exists = true;
        file->fresh = false;
        image_resize(&file->now, 0);
        image_resize(&file->now, file->safe.size);
        memcpy(file->now.bytes, file->safe.bytes, file->safe.size);
        return 1;
    }
    if (!file->named && !survives(state)) {
        forget(file);
        return 1;
    }
    return 0;
}

size_t simvfs_power_cut(int disk, uint64_t state)
{
    size_t lost = 0;

    for (size_t i = 0; i < file_count; i++) {
        struct file *file = &files[i];

        if (file->name == NULL || file->disk != disk)
            continue;
        lost += cut_name(file, &state);
        if (file->name == NULL)
            continue;
        lost += cut_sectors(file, &state);
        file->named = true;
        file->fresh = false;
    }
    return lost;
}

static const char *const log_files[] = {"/log.db", "/log.db-wal"};

void simvfs_backup(int disk)
{
    for (int i = 0; i < 2; i++) {
        struct image *copy = &disks[disk].backup[i];
        const struct file *file = find_end(disk, log_files[i]);

        image_resize(copy, 0);
        if (file == NULL || file->now.size == 0)
            continue;
        image_resize(copy, file->now.size);
        memcpy(copy->bytes, file->now.bytes, copy->size);
    }
    disks[disk].backed_up = true;
}

bool simvfs_restore(int disk)
{
    if (!disks[disk].backed_up || disks[disk].backup[0].size == 0)
        return false;
    for (int i = 0; i < 2; i++) {
        const struct image *copy = &disks[disk].backup[i];
        struct file *file = find_end(disk, log_files[i]);

        if (copy->size == 0) {
            if (file != NULL)
                forget(file);
            continue;
        }
        if (file == NULL) {
            char name[64];

            snprintf(name, sizeof name, "./%s%s", shop_services[disk],
                     log_files[i]);
            file = create(name);
        }
        image_resize(&file->now, 0);
        image_resize(&file->now, copy->size);
        memcpy(file->now.bytes, copy->bytes, copy->size);
        mark(file, 0, copy->size);
        sync_file(file);
    }
    return true;
}

bool simvfs_rot(int disk, const char *name_end, size_t offset, size_t count)
{
    struct file *file = find_end(disk, name_end);

    if (file == NULL || file->now.size < offset + count)
        return false;
    for (size_t i = offset; i < offset + count; i++) {
        file->now.bytes[i] ^= 0x5a;
        if (i < file->safe.size)
            file->safe.bytes[i] ^= 0x5a;
    }
    return true;
}

size_t simvfs_size(int disk, const char *name_end)
{
    const struct file *file = find_end(disk, name_end);

    return file != NULL ? file->now.size : 0;
}

/* ---- methods of a file -------------------------------------------------- */

static struct handle *handle_of(sqlite3_file *base)
{
    return (struct handle *)base;
}

static int vfs_shm_unmap(sqlite3_file *base, int delete_it);

static int vfs_close(sqlite3_file *base)
{
    struct handle *handle = handle_of(base);

    vfs_shm_unmap(base, 0);
    for (size_t i = 0; i < HANDLES_MAX; i++)
        if (handles[i] == handle)
            handles[i] = NULL;
    if (handle->throw_away)
        forget(handle->file);
    return SQLITE_OK;
}

/* A page that reads as zeros must be one that SQLite can tell from a good one:
 * a b-tree page, whose first byte is never 0 (that of page 1: "S"). */
static bool may_be_short(const struct file *file, const uint8_t *bytes,
                         size_t count)
{
    uint8_t type = bytes[0];

    return strstr(file->name, "-wal") != NULL ||
           (count == 4096 && (type == 2 || type == 5 || type == 10 ||
                              type == 13 || type == 'S'));
}

static int vfs_read(sqlite3_file *base, void *to, int count, sqlite3_int64 at)
{
    struct file *file = handle_of(base)->file;
    size_t offset = (size_t)at, wanted = (size_t)count, there = 0;

    if (fails(file, DISK_EIO_READ))
        return SQLITE_IOERR_READ;
    if (offset < file->now.size)
        there = smaller(wanted, file->now.size - offset);
    if (there > 0)
        memcpy(to, file->now.bytes + offset, there);
    if (there == wanted && may_be_short(file, to, wanted) &&
        fails(file, DISK_SHORT_READ))
        there = 0;
    memset((uint8_t *)to + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int vfs_write(sqlite3_file *base, const void *from, int count,
                     sqlite3_int64 at)
{
    struct file *file = handle_of(base)->file;
    struct disk *disk = &disks[file->disk];
    size_t offset = (size_t)at, end = offset + (size_t)count;

    if (fails(file, DISK_EIO_WRITE))
        return SQLITE_IOERR_WRITE;
    if (disk->full && end > file->now.size)
        return SQLITE_FULL;
    if (end > file->now.size) {
        mark(file, file->now.size, end);
        image_resize(&file->now, end);
    }
    memcpy(file->now.bytes + offset, from, (size_t)count);
    mark(file, offset, end);
    return SQLITE_OK;
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *file = handle_of(base)->file;

    if (fails(file, DISK_EIO_WRITE))
        return SQLITE_IOERR_TRUNCATE;
    if ((size_t)size < file->now.size)
        image_resize(&file->now, (size_t)size);
    return SQLITE_OK;
}

static int vfs_sync(sqlite3_file *base, int flags)
{
    struct file *file = handle_of(base)->file;

    (void)flags;
    if (fails(file, DISK_EIO_SYNC)) {
        if (!disks[file->disk].dead)
            fail_sync(file);
        return SQLITE_IOERR_FSYNC;
    }
    sync_file(file);
    if (handle_of(base)->sync_directory)
        sync_names(file);
    handle_of(base)->sync_directory = false;
    return SQLITE_OK;
}

static int vfs_file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct file *file = handle_of(base)->file;

    if (fails(file, DISK_CRASH))
        return SQLITE_IOERR_FSTAT;
    *size = (sqlite3_int64)file->now.size;
    return SQLITE_OK;
}

/* The strongest lock that another connection has on the same file. */
static int others_lock(const struct handle *handle)
{
    int strongest = SQLITE_LOCK_NONE;

    for (size_t i = 0; i < HANDLES_MAX; i++)
        if (handles[i] != NULL && handles[i] != handle &&
            handles[i]->file == handle->file && handles[i]->lock > strongest)
            strongest = handles[i]->lock;
    return strongest;
}

static int vfs_lock(sqlite3_file *base, int level)
{
    struct handle *handle = handle_of(base);
    int others = others_lock(handle);

    if (fails(handle->file, DISK_CRASH))
        return SQLITE_IOERR_LOCK;
    if (handle->lock >= level)
        return SQLITE_OK;
    if (handle->readonly && level > SQLITE_LOCK_SHARED)
        return SQLITE_IOERR_LOCK; /* as fcntl has it */
    if (level == SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_PENDING)
        return SQLITE_BUSY;
    if (level > SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_RESERVED)
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && others >= SQLITE_LOCK_SHARED) {
        handle->lock = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    handle->lock = level;
    return SQLITE_OK;
}

static int vfs_unlock(sqlite3_file *base, int level)
{
    struct handle *handle = handle_of(base);

    if (handle->lock > level)
        handle->lock = level;
    return SQLITE_OK;
}

static int vfs_check_reserved(sqlite3_file *base, int *reserved)
{
    struct handle *handle = handle_of(base);

    *reserved = handle->lock >= SQLITE_LOCK_RESERVED ||
                others_lock(handle) >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

static int vfs_control(sqlite3_file *base, int op, void *argument)
{
    (void)base;
    (void)op;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int vfs_sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096; /* as unix says */
}

static int vfs_device(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as unix says */
}

/* ---- methods of its shared memory --------------------------------------- */

static int vfs_shm_map(sqlite3_file *base, int region, int bytes, int extend,
                       void volatile **memory)
{
    struct handle *handle = handle_of(base);
    struct file *file = handle->file;

    *memory = NULL;
    if (fails(file, DISK_CRASH))
        return SQLITE_IOERR_SHMMAP;
    assert(region < REGIONS_MAX);
    if (!handle->mapped) {
        handle->mapped = true;
        file->mappers++;
    }
    if (file->regions[region] == NULL && extend) {
        file->regions[region] = calloc(1, (size_t)bytes);
        if (file->regions[region] == NULL)
            abort();
    }
    *memory = file->regions[region];
    return SQLITE_OK;
}

static int vfs_shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    struct handle *handle = handle_of(base);
    unsigned mask = (1u << (first + count)) - (1u << first);

    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        handle->shared &= ~mask;
        handle->exclusive &= ~mask;
        return SQLITE_OK;
    }
    if (fails(handle->file, DISK_CRASH))
        return SQLITE_IOERR_SHMLOCK;
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        const struct handle *other = handles[i];

        if (other == NULL || other == handle || other->file != handle->file)
            continue;
        if ((other->exclusive & mask) != 0 ||
            ((flags & SQLITE_SHM_EXCLUSIVE) != 0 &&
             (other->shared & mask) != 0))
            return SQLITE_BUSY;
    }
    if ((flags & SQLITE_SHM_EXCLUSIVE) != 0)
        handle->exclusive |= mask;
    else
        handle->shared |= mask;
    return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *base)
{
    (void)base;
}

/* The last one out takes the memory along: the next one in recovers. */
static int vfs_shm_unmap(sqlite3_file *base, int delete_it)
{
    struct handle *handle = handle_of(base);
    struct file *file = handle->file;

    (void)delete_it;
    handle->shared = handle->exclusive = 0;
    if (!handle->mapped)
        return SQLITE_OK;
    handle->mapped = false;
    if (--file->mappers > 0)
        return SQLITE_OK;
    for (size_t i = 0; i < REGIONS_MAX; i++) {
        free(file->regions[i]);
        file->regions[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = vfs_close,
                                           .xRead = vfs_read,
                                           .xWrite = vfs_write,
                                           .xTruncate = vfs_truncate,
                                           .xSync = vfs_sync,
                                           .xFileSize = vfs_file_size,
                                           .xLock = vfs_lock,
                                           .xUnlock = vfs_unlock,
                                           .xCheckReservedLock =
                                               vfs_check_reserved,
                                           .xFileControl = vfs_control,
                                           .xSectorSize = vfs_sector_size,
                                           .xDeviceCharacteristics = vfs_device,
                                           .xShmMap = vfs_shm_map,
                                           .xShmLock = vfs_shm_lock,
                                           .xShmBarrier = vfs_shm_barrier,
                                           .xShmUnmap = vfs_shm_unmap};

/* ---- methods of the VFS ------------------------------------------------- */

static void keep_handle(struct handle *handle)
{
    size_t i = 0;

    while (i < HANDLES_MAX && handles[i] != NULL)
        i++;
    assert(i < HANDLES_MAX);
    handles[i] = handle;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base,
                    int flags, int *out_flags)
{
    static unsigned temporary;
    struct handle *handle = handle_of(base);
    char own[32];
    struct file *file;

    (void)vfs;
    memset(handle, 0, sizeof *handle);
    if (name == NULL) {
        snprintf(own, sizeof own, "temporary-%u", temporary++);
        name = own;
    }
    file = find(name);
    if ((file == NULL || !file->exists) && (flags & SQLITE_OPEN_CREATE) == 0)
        return SQLITE_CANTOPEN;
    if (acting >= 0 && disks[acting].dead)
        return SQLITE_CANTOPEN;
    if (file == NULL || !file->exists)
        file = create(name);
    if (fails(file, DISK_CRASH))
        return SQLITE_CANTOPEN;
    handle->file = file;
    handle->throw_away = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    /* unix does so for these, and leaves the database's name to them */
    handle->sync_directory =
        (flags & SQLITE_OPEN_CREATE) != 0 &&
        (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    handle->readonly = (flags & SQLITE_OPEN_READONLY) != 0;
    handle->base.pMethods = &methods;
    keep_handle(handle);
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    struct file *file = find(name);

    (void)vfs;
    if (file == NULL || !file->exists)
        return SQLITE_IOERR_DELETE_NOENT;
    if (fails(file, DISK_CRASH))
        return SQLITE_IOERR_DELETE;
    if (sync_directory)
        file->named = false;
    delete_file(file);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *there)
{
    const struct file *file = find(name);

    (void)vfs;
    (void)flags;
    *there = file != NULL && file->exists;
    if (acting >= 0 && disks[acting].dead)
        return SQLITE_IOERR_ACCESS;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size,
                         char *full)
{
    (void)vfs;
    return snprintf(full, (size_t)size, "%s", name) < size ? SQLITE_OK
                                                           : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *bytes)
{
    (void)vfs;
    for (int i = 0; i < count; i++)
        bytes[i] = (char)(mix64(&randomness) & 0xff);
    return count;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds; /* nobody else could run meanwhile */
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *ms)
{
    (void)vfs;
    *ms = INT64_C(212400000000000);
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *text)
{
    (void)vfs;
    (void)size;
    (void)text;
    return 0;
}

void simvfs_open(void)
{
    static sqlite3_vfs vfs = {.iVersion = 2,
                              .szOsFile = sizeof(struct handle),
                              .mxPathname = 512,
                              .zName = "sim",
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_path,
                              .xRandomness = vfs_randomness,
                              .xSleep = vfs_sleep,
                              .xGetLastError = vfs_last_error,
                              .xCurrentTimeInt64 = vfs_time};

    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        abort();
}

void simvfs_reset(uint64_t seed)
{
    for (size_t i = 0; i < HANDLES_MAX; i++)
        assert(handles[i] == NULL);
    for (size_t i = 0; i < file_count; i++)
        forget(&files[i]);
    file_count = 0;
    for (int i = 0; i <= SIM_DISKS; i++) {
        image_free(&disks[i].backup[0]);
        image_free(&disks[i].backup[1]);
    }
    memset(disks, 0, sizeof disks);
    acting = -1;
    randomness = seed;
    sqlite3_randomness(0, NULL); /* seeded anew, by vfs_randomness */
}
