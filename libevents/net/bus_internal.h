/* bus_internal.h - the bus from within.
 *
 * Used by: bus.c, bus_open.c. */
#ifndef BUS_INTERNAL_H
#define BUS_INTERNAL_H

#include "net/bus.h"
#include "net/nng/probe.h"

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    BUFFERED_FRAMES = 512,
    PASSED_MANY = 256, /* are worth a wake */
    SLOTS = REQUESTS_MAX + SPARE_MAX
};

/* A receiver of requests: waits for one, holds it until it is answered. */
struct slot {
    struct bus *bus;
    nng_ctx ctx;
    nng_aio *aio;
    enum { RECEIVING, HELD, SENDING } state;
    nng_msg *request;
    struct slot *next; /* in the queue */
};

struct link {
    struct bus *bus;
    const char *sub_url, *req_url;
    nng_socket sub, req;
    nng_dialer sub_dialer, req_dialer;
    int sub_fd, req_fd;
    bool sub_ready, req_ready; /* as of the last bus_wait */
    atomic_bool connected;
    uint64_t heard_ms, dialled_ms; /* on the SUB side */
    uint64_t asked_ms, replied_ms, redialled_ms;
};

struct listening {
    nng_socket socket;
    nng_listener listener;
    char url[160];
    struct probe probe;
};

struct bus {
    struct listening pub, rep;
    bool publishes;
    int wake_fd;
    struct link links[LINKS_MAX];
    size_t link_count;
    nng_aio *at_once; /* for what is done without waiting, or not at all */
    uint64_t now_ms;  /* as of the last bus_watch */

    struct slot slots[SLOTS];
    pthread_mutex_t mutex;      /* guards what follows */
    struct slot *first, **last; /* requests that have arrived */
    size_t held;                /* requests not yet answered */
    struct passed {
        uint64_t from;
        nng_msg *msg;
    } passed[PASSED_MAX]; /* a ring */
    size_t passed_first, passed_count, passed_max, passed_bytes;

    nng_msg *messages[INPUTS_MAX]; /* behind the inputs last gathered */
    size_t message_count;
    struct bus_counts counts;
    atomic_ullong busy;
    uint8_t busy_answer[MESSAGE_MAX]; /* to commands: one answer for them all */
    size_t busy_bytes;
};

/* Callbacks of NNG's threads: a request came, or an answer is out; @arg is a
 * struct slot. */
void bus_on_slot(void *arg);
/* A publisher was connected; @arg is a struct link. */
void bus_on_connected(nng_pipe pipe, nng_pipe_ev event, void *arg);

/* What helps against VICE_DEAF_LISTENER: listens anew when the probe has found
 * that nobody gets in. */
void bus_watch_listening(struct bus *bus, struct listening *listening);

#endif
