/* presence.c - see presence.h. */
#include "host/presence.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SETTLED_AFTER_MS = 50 }; /* coarser than any kernel's file times */

static bool same_file(const struct present *file, const struct stat *now)
{
    return now->st_nlink > 0 && now->st_ino == file->inode &&
           now->st_dev == file->device;
}

bool presence_open(struct presence *presence, int directory, const char *path)
{
    static const char *const endings[PRESENCE_FILES] = {"", "-wal", "-shm"};

    memset(presence, 0, sizeof *presence);
    presence->directory = directory;
    for (int i = 0; i < PRESENCE_FILES; i++) {
        struct present *file = &presence->files[i];
        struct stat found;

        snprintf(file->path, sizeof file->path, "%s%s", path, endings[i]);
        if (stat(file->path, &found) != 0)
            return false;
        file->inode = found.st_ino;
        file->device = found.st_dev;
    }
    return true;
}

static int64_t ms_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return ((int64_t)now.tv_sec - then->tv_sec) * 1000 +
           (now.tv_nsec - then->tv_nsec) / 1000000;
}

const char *presence_lost(struct presence *presence)
{
    struct stat now;

    if (fstat(presence->directory, &now) != 0)
        return presence->files[0].path;
    if (presence->settled && now.st_nlink > 0 &&
        now.st_mtim.tv_sec == presence->changed.tv_sec &&
        now.st_mtim.tv_nsec == presence->changed.tv_nsec)
        return NULL;
    presence->changed = now.st_mtim;
    presence->settled = ms_since(&now.st_mtim) >= SETTLED_AFTER_MS;
    for (int i = 0; i < PRESENCE_FILES; i++)
        if (stat(presence->files[i].path, &now) != 0 ||
            !same_file(&presence->files[i], &now))
            return presence->files[i].path;
    return NULL;
}
