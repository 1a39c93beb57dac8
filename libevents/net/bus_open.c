/* bus_open.c - opening and closing the sockets of a bus, and looking after
 * them while it lives.  Next: bus.c, which uses them. */
#include "net/bus_internal.h"

#include "base/logger.h"
#include "net/nng/close_bounded.h"
#include "stream/request.h"

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- opening ---- */

/* The size of buffers, smaller in tests that want frames to be lost. */
static int buffered_frames(void)
{
    const char *text = getenv("SAGA_TEST_BUFFER");
    int64_t wanted = BUFFERED_FRAMES;

    if (text != NULL && !text_parse_count(text, 1, 8192, &wanted))
        return BUFFERED_FRAMES;
    return (int)wanted;
}

static int listen_on(struct listening *listening)
{
    int rc = nng_listener_create(&listening->listener, listening->socket,
                                 listening->url);

    if (rc != 0)
        return rc;
    if (strncmp(listening->url, "ipc:", 4) == 0)
        rc = nng_listener_set_int(listening->listener, NNG_OPT_IPC_PERMISSIONS,
                                  0600);
    if (rc == 0)
        rc = nng_listener_start(listening->listener, 0);
    if (rc != 0)
        nng_listener_close(listening->listener);
    return rc;
}

static int open_listening(struct listening *listening, const char *url,
                          enum probe_kind kind)
{
    int rc =
        nng_socket_set_size(listening->socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX);

    snprintf(listening->url, sizeof listening->url, "%s", url);
    probe_open(&listening->probe, kind, url);
    return rc == 0 ? listen_on(listening) : rc;
}

static int dial(nng_socket socket, const char *url, int first_ms, int most_ms,
                nng_dialer *dialer)
{
    int rc = nng_dialer_create(dialer, socket, url);

    if (rc == 0)
        rc = nng_dialer_set_ms(*dialer, NNG_OPT_RECONNMINT, first_ms);
    if (rc == 0)
        rc = nng_dialer_set_ms(*dialer, NNG_OPT_RECONNMAXT, most_ms);
    return rc == 0 ? nng_dialer_start(*dialer, NNG_FLAG_NONBLOCK) : rc;
}

static int open_sub(struct link *link)
{
    int rc = nng_sub0_open(&link->sub);

    if (rc == 0)
        rc = nng_socket_set_size(link->sub, NNG_OPT_RECVMAXSZ, MESSAGE_MAX);
    if (rc == 0)
        rc = nng_socket_set_int(link->sub, NNG_OPT_RECVBUF, buffered_frames());
    if (rc == 0) /* all of it: a filtered stream cannot tell a gap */
        rc = nng_socket_set(link->sub, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    if (rc == 0)
        rc = nng_pipe_notify(link->sub, NNG_PIPE_EV_ADD_POST, bus_on_connected,
                             link);
    if (rc == 0)
        rc = nng_socket_get_int(link->sub, NNG_OPT_RECVFD, &link->sub_fd);
    return rc == 0 ? dial(link->sub, link->sub_url, DIAL_MS, DIAL_MOST_MS,
                          &link->sub_dialer)
                   : rc;
}

static int open_req(struct link *link)
{
    int rc = nng_req0_open(&link->req);

    if (rc == 0)
        rc = nng_socket_set_size(link->req, NNG_OPT_RECVMAXSZ, MESSAGE_MAX);
    if (rc == 0)
        rc = nng_pipe_notify(link->req, NNG_PIPE_EV_ADD_POST, bus_on_connected,
                             link);
    if (rc == 0)
        rc = nng_socket_get_int(link->req, NNG_OPT_RECVFD, &link->req_fd);
    return rc == 0 ? dial(link->req, link->req_url, DIAL_MS, DIAL_MOST_MS,
                          &link->req_dialer)
                   : rc;
}

static int open_links(struct bus *bus, const struct bus_config *config)
{
    int rc = 0;

    for (size_t i = 0; i < config->link_count && rc == 0; i++) {
        struct link *link = &bus->links[bus->link_count++];

        link->bus = bus;
        link->sub_fd = link->req_fd = -1;
        link->sub_url = config->sub_urls[i];
        link->req_url = config->req_urls[i];
        if (link->sub_url != NULL)
            rc = open_sub(link);
        if (rc == 0)
            rc = open_req(link);
    }
    return rc;
}

static int open_slots(struct bus *bus)
{
    int rc = 0;

    for (size_t i = 0; i < SLOTS && rc == 0; i++) {
        struct slot *slot = &bus->slots[i];

        slot->bus = bus;
        rc = nng_ctx_open(&slot->ctx, bus->rep.socket);
        if (rc == 0)
            rc = nng_aio_alloc(&slot->aio, bus_on_slot, slot);
    }
    for (size_t i = 0; i < SLOTS && rc == 0; i++)
        nng_ctx_recv(bus->slots[i].ctx, bus->slots[i].aio);
    return rc;
}

static int open_all(struct bus *bus, const struct bus_config *config)
{
    int rc = nng_rep0_open(&bus->rep.socket);

    if (rc == 0)
        rc = nng_aio_alloc(&bus->at_once, NULL, NULL);
    if (rc == 0) {
        nng_aio_set_timeout(bus->at_once, NNG_DURATION_ZERO);
        rc = open_slots(bus);
    }
    if (rc == 0)
        rc = open_listening(&bus->rep, config->rep_url, PROBE_REP);
    if (rc == 0 && config->pub_url != NULL) {
        rc = nng_pub0_open(&bus->pub.socket);
        bus->publishes = rc == 0;
        if (rc == 0)
            rc = nng_socket_set_int(bus->pub.socket, NNG_OPT_SENDBUF,
                                    buffered_frames());
        if (rc == 0)
            rc = open_listening(&bus->pub, config->pub_url, PROBE_PUB);
    }
    return rc == 0 ? open_links(bus, config) : rc;
}

enum evt_status bus_open(const struct bus_config *config, struct bus **opened,
                         char *why, size_t why_bytes)
{
    struct answer busy = {.code = ANSWER_BUSY, .reason = "busy, try again"};
    struct bus *bus = calloc(1, sizeof *bus);
    int rc;

    if (bus == NULL)
        abort();
    bus->busy_bytes = request_answers_write(&busy, 1, bus->busy_answer);
    bus->last = &bus->first;
    bus->passed_max = (size_t)buffered_frames();
    if (bus->passed_max > PASSED_MAX)
        bus->passed_max = PASSED_MAX;
    pthread_mutex_init(&bus->mutex, NULL);
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = open_all(bus, config);
    if (rc != 0) {
        snprintf(why, why_bytes, "%s: %s",
                 bus->publishes ? config->pub_url : config->rep_url,
                 nng_strerror(rc));
        bus_close(bus);
        return rc == NNG_EADDRINUSE ? EVT_BUSY : EVT_IO;
    }
    *opened = bus;
    return EVT_OK;
}

void bus_close(struct bus *bus)
{
    bool closed;

    if (bus == NULL)
        return;
    bus_release(bus);
    for (size_t i = 0; i < SLOTS; i++)
        if (bus->slots[i].aio != NULL)
            nng_aio_stop(bus->slots[i].aio);
    probe_close(&bus->rep.probe);
    probe_close(&bus->pub.probe);
    closed = close_bounded(bus->rep.socket);
    if (bus->publishes)
        closed = close_bounded(bus->pub.socket) && closed;
    for (size_t i = 0; i < bus->link_count; i++) {
        if (bus->links[i].sub_url != NULL)
            closed = close_bounded(bus->links[i].sub) && closed;
        closed = close_bounded(bus->links[i].req) && closed;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (bus->slots[i].request != NULL)
            nng_msg_free(bus->slots[i].request);
        nng_aio_free(bus->slots[i].aio);
    }
    for (; bus->passed_count > 0; bus->passed_count--) {
        nng_msg_free(bus->passed[bus->passed_first].msg);
        bus->passed_first = (bus->passed_first + 1) % PASSED_MAX;
    }
    nng_aio_free(bus->at_once);
    if (!closed)
        return; /* NNG may yet call bus_on_connected */
    pthread_mutex_destroy(&bus->mutex);
    close(bus->wake_fd);
    free(bus);
}

/* ---- looking after dialers and listeners ---- */

/* A dialer whose peer closes at the wrong moment may never dial again
 * (VICE_DEAD_DIALER), and a peer that vanished without a word stays "connected"
 * for ever; from here both look like silence. */
static void watch_link(struct bus *bus, struct link *link)
{
    uint64_t now = bus->now_ms;

    if (link->sub_url != NULL && now > link->heard_ms + WATCH_MS &&
        now > link->dialled_ms + WATCH_MS) {
        nng_dialer_close(link->sub_dialer);
        (void)!dial(link->sub, link->sub_url, DIAL_MOST_MS, SELDOM_MOST_MS,
                    &link->sub_dialer);
        bus->counts.redialled += link->dialled_ms > 0;
        link->dialled_ms = now;
    }
    if (link->asked_ms > link->replied_ms &&
        now > link->replied_ms + WATCH_MS &&
        now > link->redialled_ms + WATCH_MS) {
        nng_dialer_close(link->req_dialer);
        (void)!dial(link->req, link->req_url, DIAL_MOST_MS, SELDOM_MOST_MS,
                    &link->req_dialer);
        bus->counts.redialled += link->redialled_ms > 0;
        link->redialled_ms = now;
    }
}

/* What helps against VICE_DEAF_LISTENER. */
void bus_watch_listening(struct bus *bus, struct listening *listening)
{
    if (!probe_step(&listening->probe, bus->now_ms))
        return;
    logger_fact(LOG_WARN, NULL, NULL,
                "%s no longer accepts peers: listening again", listening->url);
    nng_listener_close(listening->listener);
    if (listen_on(listening) != 0)
        logger_fact(LOG_ERROR, NULL, NULL, "cannot listen on %s",
                    listening->url);
    bus->counts.relistened++;
}

void bus_watch(struct bus *bus, uint64_t now_ms)
{
    if (bus->now_ms == 0 || now_ms > bus->now_ms + WATCH_MS / 2)
        for (size_t i = 0; i < bus->link_count; i++) {
            struct link *link = &bus->links[i]; /* we were away, not they */

            link->heard_ms = link->replied_ms = link->asked_ms = now_ms;
        }
    bus->now_ms = now_ms;
    for (size_t i = 0; i < bus->link_count; i++)
        watch_link(bus, &bus->links[i]);
    bus_watch_listening(bus, &bus->rep);
    if (bus->publishes)
        bus_watch_listening(bus, &bus->pub);
}
