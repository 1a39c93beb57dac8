/* holder.c - see holder.h. */
#include "host/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 7, PAUSE_US = 10000 }; /* as datadir.c, which takes the lock */

/* Whether the open file @fd of process @pid, whose text is that of a
 * directory entry, has an exclusive lock. */
static bool has_lock(int pid, const char *fd)
{
    char path[64], line[256];
    bool found = false;
    FILE *info;

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%.16s", pid, fd);
    info = fopen(path, "re");
    while (info != NULL && !found && fgets(line, sizeof line, info) != NULL)
        found = strncmp(line, "lock:", 5) == 0 &&
                strstr(line, " FLOCK ") != NULL &&
                strstr(line, " WRITE ") != NULL;
    if (info != NULL)
        fclose(info);
    return found;
}

/* Whether process @pid holds the lock of @file. */
static bool holds(int pid, const struct stat *file)
{
    const struct dirent *entry;
    struct stat open_file;
    bool found = false;
    char path[32];
    DIR *fds;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    fds = opendir(path);
    while (fds != NULL && !found && (entry = readdir(fds)) != NULL)
        found = isdigit((unsigned char)entry->d_name[0]) &&
                fstatat(dirfd(fds), entry->d_name, &open_file, 0) == 0 &&
                open_file.st_dev == file->st_dev &&
                open_file.st_ino == file->st_ino &&
                has_lock(pid, entry->d_name);
    if (fds != NULL)
        closedir(fds);
    return found;
}

/* 0: it has none that can be seen. */
static int parent_of(int pid)
{
    char path[32], line[256] = "";
    const char *name_end;
    FILE *stat_file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    stat_file = fopen(path, "re");
    if (stat_file == NULL)
        return 0;
    if (fgets(line, sizeof line, stat_file) == NULL)
        line[0] = '\0';
    fclose(stat_file);
    name_end = strrchr(line, ')'); /* the name may have any character */
    if (name_end == NULL || strlen(name_end) < strlen(") S 1"))
        return 0;
    return (int)strtol(name_end + strlen(") S "), NULL, 10);
}

/* The pid of one that holds the lock; 0: none that can be seen. */
static int any_holder(const struct stat *file)
{
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    int found = 0;

    while (processes != NULL && found == 0 &&
           (entry = readdir(processes)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && holds(pid, file))
            found = pid;
    }
    if (processes != NULL)
        closedir(processes);
    return found;
}

/* Looks once.  A pidfd that was open before its process was seen to hold the
 * lock, and has not ended since, is that process's. */
static bool look(const struct stat *file, int hint, struct holder *holder)
{
    int pid = hint > 0 && holds(hint, file) ? hint : any_holder(file);
    int above = parent_of(pid);
    struct holder found;

    while (pid > 0 && above > 0 && holds(above, file)) {
        pid = above;
        above = parent_of(pid);
    }
    if (pid == 0)
        return false;
    found = (struct holder){.pid = pid, .pidfd = pidfd_open(pid, 0)};
    if (found.pidfd < 0)
        return false;
    if (holds(pid, file) && !holder_ended(&found, 0)) {
        *holder = found;
        return true;
    }
    close(found.pidfd);
    return false;
}

static bool is_held(int fd)
{
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK;
    (void)flock(fd, LOCK_UN); /* cannot fail where locking did not */
    return false;
}

/* Others look for a moment, with an exclusive lock, whether somebody runs: so
 * one refusal does not mean that somebody has it for good. */
enum evt_status holder_find(int directory_fd, const char *path, int hint,
                            struct holder *holder)
{
    int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum evt_status rc = EVT_BUSY;
    struct stat file;

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? EVT_NONE : EVT_IO;
    for (int tries = 0; rc == EVT_BUSY && tries < TRIES; tries++) {
        if (tries > 0)
            (void)usleep(PAUSE_US);
        if (!is_held(fd))
            rc = EVT_NONE;
        else if (fstat(fd, &file) == 0 && look(&file, hint, holder))
            rc = EVT_OK;
    }
    close(fd);
    return rc;
}

bool holder_ended(const struct holder *holder, int timeout_ms)
{
    struct pollfd ended = {.fd = holder->pidfd, .events = POLLIN};

    return poll(&ended, 1, timeout_ms) == 1;
}
