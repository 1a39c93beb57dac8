/* datadir.h - where a service lives: directories, locks, addresses.
 *
 * Two locks, taken before NNG or SQLite is touched: on the data directory
 * itself, since two processes on one log would corrupt it, and on the
 * endpoint, since a second listen on an ipc address can deafen the first
 * listener for good.  Both are flocks on what they protect (not a pid file
 * that can be stale or deleted), and end with the process. */
#ifndef DATADIR_H
#define DATADIR_H

#include "host/options.h"
#include "net/address.h"

enum { DATADIR_URLS = 32 };

struct datadir {
    const char *const *services; /* that have ports, see domain.h */
    int port;                    /* tcp; 0: ipc */
    int locks[2];                /* data directory, endpoint */
    char log_path[64]; /* all paths are relative to the data directory */
    char view_directory[64];
    char pub_url[URL_BYTES], cmd_url[URL_BYTES], qry_url[URL_BYTES];
    char urls[DATADIR_URLS][URL_BYTES]; /* handed out by datadir_url */
    unsigned url_count;
};

/* @services are those that have ports over tcp (domain.h); borrowed.
 * Creates what is missing (0700), takes the locks, changes into the data
 * directory.  Returns 0, or the exit code, having said why. */
int datadir_take(struct datadir *datadir, const char *service,
                 const char *const *services, const struct options *options);
void datadir_leave(struct datadir *datadir);

/* Makes again what was deleted of the endpoint: the directory of the sockets
 * and its lock.  bus_watch then listens there again.  False: somebody else has
 * taken the lock meanwhile. */
MUST_CHECK bool datadir_mend(struct datadir *datadir, const char *service);

/* Leaves @text as the service's description in its data directory, in place of
 * an older one, whole or not at all.  False: it could not be written, and
 * errno says why. */
MUST_CHECK bool datadir_describe(const char *service, const char *text);

/* The address of @socket of @service; borrowed from @datadir. */
const char *datadir_url(struct datadir *datadir, const char *service,
                        const char *socket);

/* Which processes have @path open, "sqlite3 (pid 12)", as far as we may see.
 * Returns @text. */
char *datadir_holders(const char *path, char *text, size_t size);

#endif
