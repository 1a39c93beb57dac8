/* bus.c - see bus.h.  Requests come through contexts whose callbacks only
 * queue them; everything else happens in the loop's own thread. */
#include "net/bus.h"

#include "base/logger.h"
#include "net/nng/close_bounded.h"
#include "net/nng/probe.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BUFFERED_FRAMES = 512,
    PASSED_MANY = 256,     /* are worth a wake */
    PASSED_BYTES = 524288, /* and so many are taken at once: about one batch */
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
    size_t passed_first, passed_count, passed_max;

    nng_msg *messages[INPUTS_MAX]; /* behind the inputs last gathered */
    size_t message_count;
    struct bus_counts counts;
    atomic_ullong busy;
    uint8_t busy_answer[MESSAGE_MAX]; /* to commands: one answer for them all */
    size_t busy_bytes;
};

void bus_wake(struct bus *bus)
{
    uint64_t one = 1;

    if (write(bus->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is full, so the loop wakes anyway */
}

/* ---- frames from another loop: its thread ---- */

static nng_msg *message_of(const void *bytes, size_t count)
{
    nng_msg *msg;

    if (nng_msg_alloc(&msg, count) != 0)
        abort();
    if (count > 0)
        memcpy(nng_msg_body(msg), bytes, count);
    return msg;
}

void bus_pass(struct bus *bus, uint64_t from, const void *bytes, size_t count)
{
    bool wake = false;

    pthread_mutex_lock(&bus->mutex);
    if (bus->passed_count < bus->passed_max) {
        size_t last = (bus->passed_first + bus->passed_count) % PASSED_MAX;

        bus->passed[last] = (struct passed){from, message_of(bytes, count)};
        bus->passed_count++;
        wake = bus->passed_count == 1 || bus->passed_count == PASSED_MANY;
    }
    pthread_mutex_unlock(&bus->mutex);
    if (wake)
        bus_wake(bus);
}

bool bus_may_linger(struct bus *bus)
{
    bool ready = false, linger;

    for (size_t i = 0; i < bus->link_count; i++)
        ready = ready || bus->links[i].sub_ready || bus->links[i].req_ready;
    pthread_mutex_lock(&bus->mutex);
    linger = !ready && bus->first == NULL && bus->passed_count > 0 &&
             bus->passed_count < PASSED_MANY;
    pthread_mutex_unlock(&bus->mutex);
    return linger;
}

/* ---- requests: NNG's threads ---- */

static void answer_slot(struct slot *slot, const void *bytes, size_t count)
{
    slot->state = SENDING;
    nng_aio_set_msg(slot->aio, message_of(bytes, count));
    nng_ctx_send(slot->ctx, slot->aio);
}

static void answer_busy(struct slot *slot, bool json)
{
    static const char text[] = "{\"error\":\"busy, try again\",\"code\":75}";

    atomic_fetch_add(&slot->bus->busy, 1);
    if (json)
        answer_slot(slot, text, sizeof text - 1);
    else
        answer_slot(slot, slot->bus->busy_answer, slot->bus->busy_bytes);
}

/* A probe of our own asks whether anybody is in; no loop need answer that. */
static bool is_ping(const void *bytes, size_t count)
{
    static const char ping[] = PROBE_REQUEST;

    return count == sizeof ping - 1 && memcmp(bytes, ping, count) == 0;
}

static void take_request(struct slot *slot)
{
    struct bus *bus = slot->bus;
    nng_msg *request = nng_aio_get_msg(slot->aio);
    const uint8_t *bytes = nng_msg_body(request);
    size_t count = nng_msg_len(request);
    bool full, wake;

    if (is_ping(bytes, count)) {
        nng_msg_free(request);
        answer_slot(slot, "{}", 2);
        return;
    }
    pthread_mutex_lock(&bus->mutex);
    full = bus->held >= REQUESTS_MAX;
    wake = bus->first == NULL; /* or it has been woken, and not looked yet */
    if (!full) {
        bus->held++;
        slot->state = HELD;
        slot->request = request;
        slot->next = NULL;
        *bus->last = slot;
        bus->last = &slot->next;
    }
    pthread_mutex_unlock(&bus->mutex);
    if (!full && wake)
        bus_wake(bus);
    if (!full)
        return;
    answer_busy(slot, count > 0 && bytes[0] == '{');
    nng_msg_free(request);
}

static void on_slot(void *arg)
{
    struct slot *slot = arg;
    int rc = nng_aio_result(slot->aio);

    if (rc != 0 && slot->state == SENDING) /* not sent: it stayed ours */
        nng_msg_free(nng_aio_get_msg(slot->aio));
    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED)
        return;
    if (rc == 0 && slot->state == RECEIVING) {
        take_request(slot);
        return;
    }
    slot->state = RECEIVING;
    nng_ctx_recv(slot->ctx, slot->aio);
}

static void on_connected(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct link *link = arg;

    (void)pipe;
    (void)event;
    atomic_store(&link->connected, true);
    bus_wake(link->bus);
}

/* ---- opening ---- */

/* The size of buffers, smaller in tests that want frames to be lost. */
static int buffered_frames(void)
{
    const char *text = getenv("SAGA_TEST_BUFFER");
    int wanted = text == NULL ? 0 : atoi(text);

    return wanted >= 1 && wanted <= 8192 ? wanted : BUFFERED_FRAMES;
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
        rc = nng_pipe_notify(link->sub, NNG_PIPE_EV_ADD_POST, on_connected,
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
        rc = nng_pipe_notify(link->req, NNG_PIPE_EV_ADD_POST, on_connected,
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
            rc = nng_aio_alloc(&slot->aio, on_slot, slot);
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
        return; /* NNG may yet call on_connected */
    pthread_mutex_destroy(&bus->mutex);
    close(bus->wake_fd);
    free(bus);
}

/* ---- the loop's side ---- */

/* What helps against VICE_DEAF_LISTENER. */
static void watch_listening(struct bus *bus, struct listening *listening);

bool bus_wait(struct bus *bus, int fd, int timeout_ms)
{
    enum { OURS = 4 };
    struct pollfd fds[OURS + 2 * LINKS_MAX], *peers = fds + OURS;
    uint64_t woken;

    fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = bus->wake_fd, .events = POLLIN};
    fds[2] = probe_pollfd(&bus->rep.probe);
    fds[3] = probe_pollfd(&bus->pub.probe);
    for (size_t i = 0; i < bus->link_count; i++) {
        const struct link *link = &bus->links[i];

        peers[2 * i] = (struct pollfd){.fd = link->sub_fd, .events = POLLIN};
        peers[2 * i + 1] =
            (struct pollfd){.fd = link->req_fd, .events = POLLIN};
    }
    if (poll(fds, OURS + 2 * bus->link_count, timeout_ms) < 0)
        return false; /* EINTR: the loop looks again */
    if (fds[1].revents != 0 && read(bus->wake_fd, &woken, sizeof woken) < 0 &&
        errno != EAGAIN)
        abort();
    if (fds[2].revents != 0)
        watch_listening(bus, &bus->rep);
    if (fds[3].revents != 0)
        watch_listening(bus, &bus->pub);
    for (size_t i = 0; i < bus->link_count; i++) {
        bus->links[i].sub_ready = peers[2 * i].revents != 0;
        bus->links[i].req_ready = peers[2 * i + 1].revents != 0;
    }
    return (fds[0].revents & POLLIN) != 0;
}

/* The next message, if there is one already.  As nng_recvmsg with
 * NNG_FLAG_NONBLOCK, which makes an aio anew each time: two locks, a condition
 * and a random number, read from the kernel. */
static bool receive(struct bus *bus, nng_socket socket, nng_msg **msg)
{
    nng_recv_aio(socket, bus->at_once);
    nng_aio_wait(bus->at_once);
    if (nng_aio_result(bus->at_once) != 0)
        return false;
    *msg = nng_aio_get_msg(bus->at_once);
    nng_aio_set_msg(bus->at_once, NULL);
    return true;
}

static void add_message(struct bus *bus, struct input *input,
                        enum input_kind kind, uint64_t from, nng_msg *msg)
{
    bus->messages[bus->message_count++] = msg;
    *input = (struct input){kind, from, nng_msg_body(msg), nng_msg_len(msg)};
}

static size_t gather_link(struct bus *bus, size_t number, struct input inputs[],
                          size_t max)
{
    struct link *link = &bus->links[number];
    size_t count = 0, frames = 0;
    nng_msg *msg;

    if (count < max && atomic_exchange(&link->connected, false))
        inputs[count++] = (struct input){INPUT_CONNECTED, number, NULL, 0};
    if (count < max && link->req_ready && receive(bus, link->req, &msg)) {
        link->replied_ms = bus->now_ms;
        add_message(bus, &inputs[count++], INPUT_REPLY, number, msg);
    }
    while (link->sub_ready && count < max && frames++ < FRAMES_MAX &&
           receive(bus, link->sub, &msg)) { /* more keep the fd readable */
        link->heard_ms = bus->now_ms;
        add_message(bus, &inputs[count++], INPUT_FRAME, number, msg);
    }
    link->sub_ready = link->req_ready = false;
    return count;
}

static size_t gather_passed(struct bus *bus, struct input inputs[], size_t max)
{
    size_t count = 0, bytes = 0;
    bool more;

    pthread_mutex_lock(&bus->mutex);
    for (; bus->passed_count > 0 && count < max && bytes < PASSED_BYTES;
         bus->passed_count--) {
        struct passed *passed = &bus->passed[bus->passed_first];

        bytes += nng_msg_len(passed->msg);
        add_message(bus, &inputs[count++], INPUT_FRAME, passed->from,
                    passed->msg);
        bus->passed_first = (bus->passed_first + 1) % PASSED_MAX;
    }
    more = bus->passed_count > 0;
    pthread_mutex_unlock(&bus->mutex);
    if (more) /* in the next step: requests come in between */
        bus_wake(bus);
    return count;
}

static size_t gather_requests(struct bus *bus, struct input inputs[],
                              size_t max)
{
    struct slot *slot;
    size_t count = 0;

    pthread_mutex_lock(&bus->mutex);
    while (bus->first != NULL && count < max) {
        slot = bus->first;
        bus->first = slot->next;
        if (bus->first == NULL)
            bus->last = &bus->first;
        add_message(bus, &inputs[count++], INPUT_REQUEST,
                    (uint64_t)(slot - bus->slots), slot->request);
        slot->request = NULL;
    }
    pthread_mutex_unlock(&bus->mutex);
    return count;
}

size_t bus_gather(struct bus *bus, struct input inputs[], size_t max)
{
    size_t count = 0;

    if (max > INPUTS_MAX)
        max = INPUTS_MAX;
    for (size_t i = 0; i < bus->link_count; i++)
        count += gather_link(bus, i, inputs + count, max - count);
    count += gather_passed(bus, inputs + count, max - count);
    count += gather_requests(bus, inputs + count, max - count);
    if (count == max)
        bus_wake(bus); /* there may be more, whose wake was this one */
    return count;
}

void bus_release(struct bus *bus)
{
    while (bus->message_count > 0)
        nng_msg_free(bus->messages[--bus->message_count]);
}

static void send_message(struct bus *bus, nng_socket socket, const void *bytes,
                         size_t count)
{
    nng_aio_set_msg(bus->at_once, message_of(bytes, count));
    nng_send_aio(socket, bus->at_once);
    nng_aio_wait(bus->at_once);
    if (nng_aio_result(bus->at_once) != 0) /* nobody there: pulled later */
        nng_msg_free(nng_aio_get_msg(bus->at_once));
    nng_aio_set_msg(bus->at_once, NULL);
}

void bus_send(void *ctx, enum channel channel, uint64_t to, const void *bytes,
              size_t count)
{
    struct bus *bus = ctx;

    if (channel == TO_SUBSCRIBERS) {
        send_message(bus, bus->pub.socket, bytes, count);
    } else if (channel == TO_PUBLISHER) {
        bus->links[to].asked_ms = bus->now_ms;
        send_message(bus, bus->links[to].req, bytes, count);
    } else {
        pthread_mutex_lock(&bus->mutex);
        bus->held--;
        pthread_mutex_unlock(&bus->mutex);
        answer_slot(&bus->slots[to], bytes, count);
    }
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
static void watch_listening(struct bus *bus, struct listening *listening)
{
    if (!probe_step(&listening->probe, bus->now_ms))
        return;
    logger_fact(LOG_WARN, NULL, NULL,
                "%s does not hear new peers: listening anew", listening->url);
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
    watch_listening(bus, &bus->rep);
    if (bus->publishes)
        watch_listening(bus, &bus->pub);
}

struct bus_counts bus_counts(const struct bus *bus)
{
    struct bus_counts counts = bus->counts;

    counts.busy = atomic_load(&bus->busy);
    return counts;
}
