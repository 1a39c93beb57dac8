/* bus.h - the sockets of one loop; with client.c all there is of NNG.
 *
 * What every NNG does, and what this project does about it:
 *   - PUB drops silently: nobody here believes in delivery, see subscription.h;
 *   - a message of any size is accepted unless one says otherwise.
 * What only older ones do has a name in enum nng_vice.  One thread uses a bus;
 * NNG's own threads only fill its queue of requests. */
#ifndef BUS_H
#define BUS_H

#include "base/env.h"
#include "core/codec.h"

#include <poll.h>

enum {
    REQUESTS_MAX = 1024, /* requests waiting or being answered */
    SPARE_MAX = 64,      /* receivers that only say "busy" beyond that */
    INPUTS_MAX = 2048,   /* gathered for one step */
    FRAMES_MAX = 128,    /* of one publisher, gathered for one step */
    LINKS_MAX = 8,
    PASSED_MAX = 512,      /* frames that another loop may leave here */
    PASSED_BYTES = 524288, /* of them, gathered for one step: about a batch */
    WATCH_MS = 3000,       /* silence that makes us dial or listen anew */
    /* A peer that is away is dialled again after up to so long, doubled each
     * time; after that silence it is dialled seldom: it costs little then. */
    DIAL_MS = 10,
    DIAL_MOST_MS = 200,
    SELDOM_MOST_MS = 1000
};

/* The bugs of NNG that are worked around.  A value is the first version without
 * that bug: 1.6.0 is 10600.  Debian 12 has 1.5.2, with all of them; Debian 13
 * has 1.10.1, with none.  The workarounds are always in force; tests ask which
 * of these bugs the installed NNG has. */
enum nng_vice {
    /* A receive on SUB that times out or is cancelled can crash (#1523, #1682):
     * SUB and REQ are read without waiting, when poll says so. */
    VICE_CANCEL_CRASHES = 10600,
    /* A peer that leaves during the handshake makes an ipc listener deaf for
     * new peers (#1518): bus_watch probes it and listens anew. */
    VICE_DEAF_LISTENER = 10600,
    /* The same at the other end: a dialer never dials again.  bus_watch
     * replaces the dialer of a link that is silent; client.c, whose peer may
     * be paused, adds one. */
    VICE_DEAD_DIALER = 10600,
    /* nng_close can wait for ever (aac4dc36): see close_bounded.h. */
    VICE_ENDLESS_CLOSE = 10900
};

struct bus;

struct bus_config {
    const char *pub_url; /* to publish on; NULL: this loop does not */
    const char *rep_url; /* where requests come in */
    size_t link_count;   /* publishers: heard on sub_urls, asked on req_urls */
    const char *sub_urls[LINKS_MAX]; /* NULL: a link for asking only, whose
                                        frames, if any, come by bus_pass */
    const char *req_urls[LINKS_MAX];
};

struct bus_counts {
    uint64_t busy, redialled, relistened;
};

/* Opens everything; peers need not be there yet.  EVT_BUSY: an address is in
 * use; EVT_IO otherwise; @why says so.  Caller closes with bus_close(). */
MUST_CHECK enum evt_status bus_open(const struct bus_config *config,
                                    struct bus **bus, char *why,
                                    size_t why_bytes);
void bus_close(struct bus *bus);

/* Waits for something to arrive, for @fd (-1: none) to become readable, or for
 * @timeout_ms; the one place of the loop that waits.  True if @fd is. */
bool bus_wait(struct bus *bus, int fd, int timeout_ms);

/* Makes bus_wait return, from any thread. */
void bus_wake(struct bus *bus);

/* Leaves a copy of a frame of publisher @from for the loop of @bus, from any
 * thread: as if it had come through a SUB socket, without the sends, reads and
 * wakes of threads that each socket costs.  Like PUB it drops what finds no
 * room. */
void bus_pass(struct bus *bus, uint64_t from, const void *bytes, size_t count);

/* Whether nothing has come but a few passed frames, less than one step takes:
 * they can wait a moment for more.  bus_wait then waits for anything else, or
 * until they are enough. */
bool bus_may_linger(struct bus *bus);

/* Collects what has arrived, at most @max.  Bytes are borrowed until
 * bus_release. */
size_t bus_gather(struct bus *bus, struct input inputs[], size_t max);
void bus_release(struct bus *bus);

/* An env.send: @bus is a struct bus. */
void bus_send(void *bus, enum channel channel, uint64_t to, const void *bytes,
              size_t count);

/* Looks after dialers and listeners; call it at least every half second. */
void bus_watch(struct bus *bus, uint64_t now_ms);

struct bus_counts bus_counts(const struct bus *bus);

#endif
