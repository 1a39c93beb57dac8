/* holder.h - which process holds the lock of a file or directory.
 *
 * A number in a file names a process that may have ended, or one of another
 * PID namespace.  A lock ends with its process, and the kernel shows which
 * open file has it (proc_pid_fdinfo(5)): what holds the lock runs.  The
 * process is then referred to by a pidfd, which never means another one. */
#ifndef HOLDER_H
#define HOLDER_H

#include "base/status.h"

#include <stdbool.h>

struct holder {
    int pid;   /* as seen from here */
    int pidfd; /* caller closes with close(2) */
};

/* Finds the process that holds an exclusive flock(2) on @path, which is
 * relative to @directory_fd.  Where a process shares its lock with children,
 * it is the one that all others descend from.  The process @hint is looked at
 * first; 0: none.
 *
 * Errors, with *holder unchanged:
 *   EVT_NONE  nobody holds it, or there is no such file.
 *   EVT_BUSY  somebody does who cannot be seen from here: a process of
 *             another user or of another PID namespace.
 *   EVT_IO    it cannot be opened; errno says why. */
MUST_CHECK enum evt_status holder_find(int directory_fd, const char *path,
                                       int hint, struct holder *holder);

/* Whether the process has ended, or does so within @timeout_ms. */
MUST_CHECK bool holder_ended(const struct holder *holder, int timeout_ms);

#endif
