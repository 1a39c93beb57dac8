/* nth.c - at the n-th call that writes: kill -9, an error, or a lie.
 *
 * A library to preload: LD_PRELOAD=nth.so NTH_CONTROL=FILE order-svc ...  It
 * counts every call of the process that changes a file, syncs one, or sends to
 * a socket, whichever thread makes it, before the kernel sees it.  FILE is
 * shared memory: tests/crash/common.sh sets there what happens when, while the
 * process runs, and reads how far the count is.
 *
 * Why not strace's inject=...:when=N?  It counts "per syscall and per tracee"
 * (its manual): in a process with threads, most calls are nobody's n-th.
 * kills.sh has strace confirm that no such call goes uncounted.  Not counted:
 * standard error, eventfds, and what stdio writes itself (the pid file). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 1, SYNCS = 2, SOCKETS = 4 };
enum { KILL, FAIL_IO, FAIL_FULL, LIE };

/* In FILE, as it is: numbers of 8 bytes, then a name. */
static struct control {
    _Atomic int64_t seen; /* calls so far, of the kinds in which */
    _Atomic int64_t at;   /* from this one on; 0: never */
    _Atomic int64_t times;
    _Atomic int64_t action;
    _Atomic int64_t which;
    char hit[24]; /* the call that was hit last */
} * control;

__attribute__((constructor)) static void find_control(void)
{
    const char *path = getenv("NTH_CONTROL");
    int fd;

    if (path == NULL)
        return;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE,
                       MAP_SHARED, fd, 0);
    if (fd < 0 || control == MAP_FAILED) {
        perror(path);
        _exit(64);
    }
    close(fd);
}

/* Counts a call of @kind; true: it must not happen. */
static bool is_hit(int kind, const char *call)
{
    int64_t n, at;

    if (control == NULL || (control->which & kind) == 0)
        return false;
    n = atomic_fetch_add(&control->seen, 1) + 1;
    at = control->at;
    if (at == 0 || n < at || n - at >= control->times)
        return false;
    if (n == at)
        strncpy(control->hit, call, sizeof control->hit - 1);
    while (control->action == KILL)
        (void)kill(getpid(), SIGKILL);
    errno = control->action == FAIL_IO ? EIO : ENOSPC;
    return true;
}

/* What a call returns that was hit; @lied if it was only to be left out. */
static int result(int lied)
{
    return control->action == LIE ? lied : -1;
}

/* The kind of what is written to; 0: it is not counted. */
static int kind_of(int fd)
{
    struct stat what;

    if (fd == STDERR_FILENO || fstat(fd, &what) != 0)
        return 0;
    return S_ISREG(what.st_mode) ? FILES : S_ISSOCK(what.st_mode) ? SOCKETS : 0;
}

/* ---- contents ------------------------------------------------------------ */

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (is_hit(kind_of(fd), "write"))
        return result((int)count);
    return syscall(SYS_write, fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (is_hit(kind_of(fd), "writev"))
        return -1;
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    if (is_hit(kind_of(fd), "pwrite64"))
        return result((int)count);
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    return pwrite64(fd, bytes, count, at);
}

int ftruncate64(int fd, off64_t size)
{
    if (is_hit(FILES, "ftruncate"))
        return result(0);
    return (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fdatasync(int fd)
{
    if (is_hit(SYNCS, "fdatasync"))
        return result(0);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    if (is_hit(SYNCS, "fsync"))
        return result(0);
    return (int)syscall(SYS_fsync, fd);
}

/* ---- names --------------------------------------------------------------- */

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) != 0 && is_hit(FILES, "open"))
        return -1;
    return (int)syscall(SYS_openat, directory, path, flags, mode);
}

/* The mode is there only if something may be created.  (NOLINT: clang-tidy 14
 * does not know va_start any more in its second file.) */
int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;

    va_start(more, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(more, mode_t); // NOLINT(*-valist.Uninitialized)
    va_end(more);
    return open_at(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;

    va_start(more, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(more, mode_t); // NOLINT(*-valist.Uninitialized)
    va_end(more);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;

    va_start(more, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(more, mode_t); // NOLINT(*-valist.Uninitialized)
    va_end(more);
    return open_at(directory, path, flags, mode);
}

FILE *fopen(const char *path, const char *how)
{
    FILE *(*real)(const char *, const char *);

    if (how[0] != 'r' && is_hit(FILES, "fopen"))
        return NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    return real(path, how);
}

int unlink(const char *path)
{
    if (is_hit(FILES, "unlink"))
        return result(0);
    return (int)syscall(SYS_unlink, path);
}

int rename(const char *from, const char *to)
{
    if (is_hit(FILES, "rename"))
        return result(0);
    return (int)syscall(SYS_rename, from, to);
}

int symlink(const char *target, const char *path)
{
    if (is_hit(FILES, "symlink"))
        return result(0);
    return (int)syscall(SYS_symlink, target, path);
}

int mkdir(const char *path, mode_t mode)
{
    if (is_hit(FILES, "mkdir"))
        return result(0);
    return (int)syscall(SYS_mkdir, path, mode);
}

/* ---- sockets ------------------------------------------------------------- */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (is_hit(SOCKETS, "sendmsg"))
        return -1;
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
    if (is_hit(SOCKETS, "send"))
        return -1;
    return syscall(SYS_sendto, fd, bytes, count, flags, NULL, 0);
}
