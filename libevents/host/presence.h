/* presence.h - are the files that a service lives on still where they were?
 *
 * What is written to a deleted file is gone when the process ends: a log whose
 * WAL was deleted acknowledges orders that nobody will ever find.  So the write
 * side looks after each commit, before it answers.  A look costs one fstat of
 * the directory: only when its time of change is another one, or so recent that
 * a second change could have the same, are the files themselves looked at. */
#ifndef PRESENCE_H
#define PRESENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { PRESENCE_FILES = 3, PRESENCE_PATH_BYTES = 80 };

struct presence {
    int directory;
    struct timespec changed; /* the directory, when all was there */
    bool settled;            /* a later change has a later time */
    struct present {
        char path[PRESENCE_PATH_BYTES];
        dev_t device;
        ino_t inode;
    } files[PRESENCE_FILES];
};

/* Remembers an open database @path, its WAL and its shared memory, all in the
 * open directory @directory, which stays the caller's.  False: one of them is
 * not there. */
bool presence_open(struct presence *presence, int directory, const char *path);

/* The file that was deleted or replaced; NULL: all are there.  Borrowed. */
const char *presence_lost(struct presence *presence);

#endif
