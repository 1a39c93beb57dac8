/* bus.c - see bus.h.  Requests come through contexts whose callbacks only
 * queue them; everything else happens in the loop's own thread.  Opening,
 * closing and looking after connections are in bus_open.c. */
#include "net/bus_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Whether they can wait for more: neither many nor as much as one step takes.
 * Under the mutex. */
static bool passed_are_few(const struct bus *bus)
{
    return bus->passed_count < PASSED_MANY && bus->passed_bytes < PASSED_BYTES;
}

void bus_pass(struct bus *bus, uint64_t from, const void *bytes, size_t count)
{
    bool wake = false;

    pthread_mutex_lock(&bus->mutex);
    if (bus->passed_count < bus->passed_max) {
        size_t last = (bus->passed_first + bus->passed_count) % PASSED_MAX;
        bool few = passed_are_few(bus);

        bus->passed[last] = (struct passed){from, message_of(bytes, count)};
        bus->passed_count++;
        bus->passed_bytes += count;
        wake = bus->passed_count == 1 || few != passed_are_few(bus);
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
             passed_are_few(bus);
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

static void queue_request(struct slot *slot)
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

void bus_on_slot(void *arg)
{
    struct slot *slot = arg;
    int rc = nng_aio_result(slot->aio);

    if (rc != 0 && slot->state == SENDING) /* not sent: it stayed ours */
        nng_msg_free(nng_aio_get_msg(slot->aio));
    if (rc == NNG_ECLOSED || rc == NNG_ECANCELED)
        return;
    if (rc == 0 && slot->state == RECEIVING) {
        queue_request(slot);
        return;
    }
    slot->state = RECEIVING;
    nng_ctx_recv(slot->ctx, slot->aio);
}

void bus_on_connected(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct link *link = arg;

    (void)pipe;
    (void)event;
    atomic_store(&link->connected, true);
    bus_wake(link->bus);
}

/* ---- the loop's side ---- */

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
        bus_watch_listening(bus, &bus->rep);
    if (fds[3].revents != 0)
        bus_watch_listening(bus, &bus->pub);
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
    bus->passed_bytes -= bytes;
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

struct bus_counts bus_counts(const struct bus *bus)
{
    struct bus_counts counts = bus->counts;

    counts.busy = atomic_load(&bus->busy);
    return counts;
}
