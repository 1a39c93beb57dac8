/* torn.c - remembers what a power cut could undo.
 *
 * A library to preload: LD_PRELOAD=torn.so TORN_LOG=FILE order-svc ...  Before
 * each call that changes a regular file it writes to FILE what the file holds
 * there (torn.h); after each sync, that the sync has returned.  When a test
 * has killed the process, tests/tools/power_cut.c puts old sectors back: some
 * of those, in any order, that no sync has made durable.  TORN_LIE=1 forgets
 * the syncs: a disk that lies.
 *
 * As with LazyFS, the file system needs no mount and no root.  Names are taken
 * for durable at once: files that come and go are cuts.sh's.  What is written
 * through a mapping is not seen; SQLite maps its -shm only, which is rebuilt.
 */
#include "torn.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_fd = -1;
static bool lies;

__attribute__((constructor)) static void open_log(void)
{
    const char *path = getenv("TORN_LOG");

    if (path == NULL)
        return;
    lies = getenv("TORN_LIE") != NULL;
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        perror(path);
        _exit(64);
    }
}

static void put(struct torn_entry *entry, const struct stat *file, void *old)
{
    struct iovec parts[2] = {{entry, sizeof *entry}, {old, entry->bytes}};
    ssize_t wanted = (ssize_t)(sizeof *entry + entry->bytes);

    entry->device = file->st_dev;
    entry->inode = file->st_ino;
    if (syscall(SYS_writev, log_fd, parts, 2) != wanted) {
        perror("torn.so");
        _exit(64);
    }
}

/* Whether it is a file of the services'; their output is not. */
static bool is_watched(int fd, struct stat *file)
{
    return log_fd >= 0 && fd > STDERR_FILENO && fd != log_fd &&
           fstat(fd, file) == 0 && S_ISREG(file->st_mode);
}

/* A descriptor that may only write is read through another.  Only such a one:
 * to close any descriptor of a file drops the locks that the process has on
 * it, and SQLite's would be among them. */
static bool read_old(int fd, char *old, size_t count, int64_t at)
{
    char path[40];
    int reader;

    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
        return syscall(SYS_pread64, fd, old, count, at) >= 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (reader < 0 || syscall(SYS_pread64, reader, old, count, at) < 0)
        return false;
    (void)syscall(SYS_close, reader);
    return true;
}

/* What stands from @from to @to, before a call of that kind changes it. */
static void remember(int fd, const struct stat *file, enum torn_kind kind,
                     int64_t from, int64_t to)
{
    struct torn_entry entry = {.kind = kind, .size = file->st_size};
    char *old;

    entry.at = from / SECTOR * SECTOR;
    if (to > entry.at)
        entry.bytes =
            (uint32_t)((to - entry.at + SECTOR - 1) / SECTOR * SECTOR);
    old = calloc(1, entry.bytes + 1);
    if (old == NULL || !read_old(fd, old, entry.bytes, entry.at)) {
        perror("torn.so");
        _exit(64);
    }
    put(&entry, file, old);
    free(old);
}

/* ---- contents ------------------------------------------------------------ */

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    struct stat file;

    if (is_watched(fd, &file))
        remember(fd, &file, TORN_WRITE, at, at + (off64_t)count);
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    return pwrite64(fd, bytes, count, at);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    struct stat file;
    off_t at;

    if (is_watched(fd, &file)) {
        at = (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? file.st_size
                                                  : lseek(fd, 0, SEEK_CUR);
        remember(fd, &file, TORN_WRITE, at, at + (off_t)count);
    }
    return syscall(SYS_write, fd, bytes, count);
}

int ftruncate64(int fd, off64_t size)
{
    struct stat file;

    if (is_watched(fd, &file))
        remember(fd, &file, TORN_TRUNCATE, size, file.st_size);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

/* A sync covers what was written before it began. */
static int sync_by(long call, int fd)
{
    struct torn_entry entry = {.kind = TORN_SYNC};
    struct stat file, log;
    bool counts = is_watched(fd, &file) && !lies && fstat(log_fd, &log) == 0;
    int rc = (int)syscall(call, fd);

    if (counts && rc == 0) {
        entry.upto = log.st_size;
        put(&entry, &file, NULL);
    }
    return rc;
}

int fdatasync(int fd)
{
    return sync_by(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_by(SYS_fsync, fd);
}

/* ---- names --------------------------------------------------------------- */

static void forget(const char *path)
{
    struct torn_entry entry = {.kind = TORN_FORGET};
    struct stat file;

    if (log_fd >= 0 && lstat(path, &file) == 0 && S_ISREG(file.st_mode))
        put(&entry, &file, NULL);
}

int unlink(const char *path)
{
    forget(path);
    return (int)syscall(SYS_unlink, path);
}

int rename(const char *from, const char *to)
{
    forget(to);
    return (int)syscall(SYS_rename, from, to);
}
