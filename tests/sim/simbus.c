/* simbus.c - what is between the nodes: links that lose, repeat, reorder,
 * delay, damage and hold what is sent, and the two defects of NNG 1.5.2.
 *
 * Frames travel from a publisher to every side that follows it, over a wire
 * with a queue that overflows silently; pulls and their replies over another.
 * A wire belongs to one life of its publisher.  When that ends, the dialer
 * dials again - unless it is dead, or was not told that the other end is gone,
 * or the listener there is deaf.  Only the watchdog helps then, with the rules
 * and bounds of libevents/net/bus.c, which this file replaces.  Next: sim.c. */
#include "shop/shop.h"
#include "sim.h"
#include "simvfs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_EVERY_MS = 250, SILENCE_MS = 3000 /* WATCH_MS of bus.h */ };

/* In the order of config.noises. */
enum { DROP, REPEAT, DELAY, REORDER, DAMAGE };

static int number_of(const char *service)
{
    for (int i = 0; i < SERVICES; i++)
        if (strcmp(shop_services[i], service) == 0)
            return i;
    abort();
}

/* ---- on the way --------------------------------------------------------- */

/* Flips a bit: what a checksum of the transport would have caught. */
static void damage(struct sim *sim, struct item *item)
{
    if (item->count > 0)
        item->bytes[choose(sim->choice, 65536) % item->count] ^=
            (uint8_t)(1u << choose(sim->choice, 8));
}

static bool from_client(const struct sim *sim, const struct item *item)
{
    return item->input == INPUT_REQUEST && !sim->requests[item->from].pull;
}

static void send_item(struct sim *sim, struct item *item, bool in_order)
{
    struct wire *wire = item->through;

    if (wire != NULL && in_order) {
        if (item->at_ms < wire->last_ms)
            item->at_ms = wire->last_ms;
        wire->last_ms = item->at_ms;
    }
    sim_push(sim, item);
}

static struct item *twin(struct sim *sim, const struct item *item)
{
    struct item *copy = sim_item(sim, item->kind, 0, item->count);
    uint64_t order = copy->order;

    memcpy(copy, item, sizeof *item + item->count);
    copy->order = order;
    copy->next = NULL;
    return copy;
}

/* Takes @item over, and does to it what the run's noise wants. */
static void travel(struct sim *sim, struct item *item)
{
    const struct sim_config *config = &sim->config;
    bool in_order = true;

    item->at_ms = sim->now_ms + config->latency_ms;
    if (config->noise > 0 && !sim->healing &&
        chance(sim->choice, config->noise)) {
        unsigned noise =
            config->noises[choose(sim->choice, config->noise_count)];

        switch (noise) {
        case DROP:
            free(item);
            return;
        case REPEAT: {
            struct item *copy = twin(sim, item);

            copy->through = NULL;
            copy->at_ms += choose(sim->choice, 4096);
            sim_push(sim, copy);
            break;
        }
        case DELAY:
            item->at_ms += choose(sim->choice, 3000);
            break;
        case REORDER:
            item->at_ms += choose(sim->choice, 256);
            in_order = false;
            break;
        default:
            if (from_client(sim, item)) { /* has no checksum: TCP's, disk's */
                free(item);
                return;
            }
            damage(sim, item);
            break;
        }
    }
    if (item->through != NULL)
        item->through->queued++;
    send_item(sim, item, in_order);
}

/* Whether a message of @kind passes now; a held one gets its time. */
static bool passes(struct sim *sim, unsigned from, unsigned to, int kind,
                   uint64_t *hold_ms)
{
    *hold_ms = 0;
    if (sim->now_ms >= sim->blocked_ms[from][to][kind])
        return true;
    if (sim->held[from][to][kind])
        *hold_ms = sim->blocked_ms[from][to][kind] - sim->now_ms;
    return *hold_ms > 0;
}

static bool connected(const struct sim *sim, const struct wire *wire,
                      unsigned publisher)
{
    return wire->up && wire->life == sim->nodes[publisher].life &&
           sim->nodes[publisher].running;
}

static struct item *message(struct sim *sim, unsigned node, unsigned side,
                            enum input_kind kind, uint64_t from,
                            const void *bytes, size_t count)
{
    struct item *item = sim_item(sim, AN_INPUT, 0, count);

    item->node = node;
    item->side = side;
    item->input = kind;
    item->from = from;
    if (count > 0)
        memcpy(item->bytes, bytes, count);
    return item;
}

/* As travel, or later, all in one go. */
static void travel_or_wait(struct sim *sim, struct item *item, uint64_t hold)
{
    if (hold == 0) {
        travel(sim, item);
        return;
    }
    sim_sometimes(sim, HELD_MESSAGES_RELEASED);
    item->at_ms = sim->now_ms + hold;
    if (item->through != NULL)
        item->through->queued++;
    send_item(sim, item, true);
}

/* ---- env.send ----------------------------------------------------------- */

static void publish_to(struct sim *sim, unsigned from, unsigned node,
                       unsigned side, size_t number, const void *bytes,
                       size_t count)
{
    struct link *link = &sim->nodes[node].links[side][number];
    struct item *item;
    uint64_t hold;

    if (!link->sub.exists || link->publisher != from ||
        !connected(sim, &link->sub, from) ||
        !passes(sim, from, node, FRAMES, &hold))
        return;
    if (link->sub.queued >= sim->config.queue) {
        sim_sometimes(sim, FRAME_LOST_BY_QUEUE);
        return;
    }
    item = message(sim, node, side, INPUT_FRAME, number, bytes, count);
    item->through = &link->sub;
    travel_or_wait(sim, item, hold);
}

static void publish(struct sim *sim, unsigned from, const void *bytes,
                    size_t count)
{
    for (unsigned node = 0; node < SERVICES; node++)
        for (unsigned side = 0; side < SIDES; side++)
            for (size_t i = 0; i < sim->nodes[node].link_count[side]; i++)
                publish_to(sim, from, node, side, i, bytes, count);
}

static size_t new_request(struct sim *sim)
{
    if (sim->request_count == sim->request_room) {
        sim->request_room = sim->request_room * 2 + 64;
        sim->requests =
            realloc(sim->requests, sim->request_room * sizeof *sim->requests);
        if (sim->requests == NULL)
            abort();
    }
    memset(&sim->requests[sim->request_count], 0, sizeof *sim->requests);
    return sim->request_count++;
}

static void ask(struct sim *sim, unsigned node, unsigned side, uint64_t number,
                const void *bytes, size_t count)
{
    struct link *link = &sim->nodes[node].links[side][number];
    struct request *request;
    struct item *item;
    size_t token;
    uint64_t hold;

    link->req.asked_ms = sim->now_ms;
    if (!connected(sim, &link->req, link->publisher) ||
        !passes(sim, node, link->publisher, PULLS, &hold))
        return;
    token = new_request(sim);
    request = &sim->requests[token];
    request->node = link->publisher;
    request->side = READ_SIDE;
    request->pull = true;
    request->reader_node = node;
    request->reader_side = side;
    request->reader_life = sim->nodes[node].life;
    request->link = number;
    item = message(sim, link->publisher, READ_SIDE, INPUT_REQUEST, token, bytes,
                   count);
    travel_or_wait(sim, item, hold);
}

size_t simbus_again(struct sim *sim, size_t token)
{
    size_t again = new_request(sim);

    sim->requests[again] = sim->requests[token];
    sim->requests[again].open = false;
    return again;
}

size_t simbus_command(struct sim *sim, unsigned node, unsigned side,
                      uint64_t job, const void *bytes, size_t count)
{
    size_t token = new_request(sim);
    struct request *request = &sim->requests[token];

    request->node = node;
    request->side = side;
    request->job = job;
    travel(sim, message(sim, node, side, INPUT_REQUEST, token, bytes, count));
    return token;
}

static void answer(struct sim *sim, struct node *node, uint64_t token,
                   const void *bytes, size_t count)
{
    struct request *request = &sim->requests[token];
    struct item *item;
    uint64_t hold;

    if (token >= sim->request_count || !request->open ||
        request->node != node->number || request->life != node->life) {
        sim_broken(sim, "answer", "%s answered a request that was not open",
                   node->service->name);
        return;
    }
    request->open = false;
    if (!request->pull) {
        item = sim_item(sim, AN_ANSWER, 0, count);
        item->number = token;
        memcpy(item->bytes, bytes, count);
        item->at_ms = sim->now_ms + sim->config.latency_ms;
        if (sim->config.noise > 0 && !sim->healing &&
            chance(sim->choice, sim->config.noise / 2))
            free(item); /* the client will ask again */
        else
            sim_push(sim, item);
        return;
    }
    if (!passes(sim, node->number, request->reader_node, REPLIES, &hold))
        return;
    item = message(sim, request->reader_node, request->reader_side, INPUT_REPLY,
                   request->link, bytes, count);
    travel_or_wait(sim, item, hold);
}

/* What left the process has happened: remembered, to be found again in its
 * log by every later life. */
static void witness(struct sim *sim, struct node *node, const void *bytes,
                    size_t count)
{
    static struct frame frame; /* large */

    if (!frame_read(bytes, count, &frame)) {
        sim_broken(sim, "frame", "%s published what is no frame",
                   node->service->name);
        return;
    }
    if (frame.first_seq + frame.count - 1 <= node->witnessed)
        return;
    if (node->number == 0)
        clients_watch(sim, &frame);
    node->witnessed = frame.first_seq + frame.count - 1;
    memcpy(node->witness, frame.last_hash, HASH_BYTES);
}

static void witness_reply(struct node *node, const void *bytes, size_t count)
{
    static struct pull_reply reply; /* large */

    if (!pull_reply_read(bytes, count, &reply) ||
        reply.head_seq <= node->witnessed)
        return;
    node->witnessed = reply.head_seq;
    memcpy(node->witness, reply.head_hash, HASH_BYTES);
}

void simbus_send(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count)
{
    const struct side_ctx *from = ctx;
    struct sim *sim = from->sim;
    struct node *node = &sim->nodes[from->node];

    if (simvfs_dead((int)from->node) || sim_stopped(sim))
        return; /* it is dead, it only does not know it yet */
    sim_mix(sim, bytes, count);
    switch (channel) {
    case TO_SUBSCRIBERS:
        witness(sim, node, bytes, count);
        publish(sim, from->node, bytes, count);
        break;
    case TO_PUBLISHER:
        assert(to < node->link_count[from->side]);
        ask(sim, from->node, from->side, to, bytes, count);
        break;
    case TO_CLIENT:
        witness_reply(node, bytes, count);
        answer(sim, node, to, bytes, count);
        break;
    }
}

/* ---- dialling ----------------------------------------------------------- */

static void tell_connected(struct sim *sim, unsigned node, unsigned side,
                           size_t number)
{
    struct item *item =
        message(sim, node, side, INPUT_CONNECTED, number, NULL, 0);

    item->at_ms = sim->now_ms;
    item->life = sim->nodes[node].life;
    sim_push(sim, item);
}

/* A dialer tries; what it reaches may be deaf. */
static void dial(struct sim *sim, unsigned node, unsigned side, size_t number,
                 bool req)
{
    struct link *link = &sim->nodes[node].links[side][number];
    struct wire *wire = req ? &link->req : &link->sub;
    const struct node *publisher = &sim->nodes[link->publisher];

    if (!wire->exists || wire->dead || wire->up || !publisher->running ||
        publisher->paused_until_ms > sim->now_ms)
        return;
    wire->up = true;
    wire->half_open = false;
    wire->life = publisher->deaf[req] ? UINT64_MAX : publisher->life;
    if (wire->last_ms > sim->now_ms) /* what was on the way is lost */
        wire->last_ms = sim->now_ms;
    tell_connected(sim, node, side, number);
}

static void hang_up(struct wire *wire)
{
    wire->up = wire->dead = wire->half_open = false;
}

/* The rules of bus_watch: who is silent for too long is dialled anew. */
static void watch_link(struct sim *sim, unsigned node, unsigned side, size_t i)
{
    struct link *link = &sim->nodes[node].links[side][i];
    struct wire *sub = &link->sub, *req = &link->req;
    uint64_t now = sim->now_ms;

    if (sub->exists && now > sub->heard_ms + SILENCE_MS &&
        now > sub->dialled_ms + SILENCE_MS) {
        if (sub->dead)
            sim_sometimes(sim, DEAD_DIALER_HEALED);
        if (sub->half_open && sim->nodes[link->publisher].running)
            sim_sometimes(sim, HALF_OPEN_HEALED);
        hang_up(sub);
        sub->dialled_ms = now;
    }
    if (req->asked_ms > req->heard_ms && now > req->heard_ms + SILENCE_MS &&
        now > req->dialled_ms + SILENCE_MS) {
        if (req->dead)
            sim_sometimes(sim, DEAD_DIALER_HEALED);
        hang_up(req);
        req->dialled_ms = now;
    }
    dial(sim, node, side, i, false);
    dial(sim, node, side, i, true);
}

/* A listener that does not hear its own probe listens anew. */
static void watch_listener(struct sim *sim, struct node *node, bool rep)
{
    if (!node->deaf[rep] || sim->now_ms < node->deaf_ms[rep] + SILENCE_MS)
        return;
    node->deaf[rep] = false;
    sim_sometimes(sim, DEAF_LISTENER_HEALED);
    sim_trace(sim, "%s listens anew", node->service->name);
    for (unsigned n = 0; n < SERVICES; n++)
        for (unsigned side = 0; side < SIDES; side++)
            for (size_t i = 0; i < sim->nodes[n].link_count[side]; i++) {
                struct link *link = &sim->nodes[n].links[side][i];

                if (link->publisher == node->number)
                    (rep ? &link->req : &link->sub)->up = false;
            }
}

void simbus_watch(struct sim *sim, unsigned number)
{
    struct node *node = &sim->nodes[number];
    bool was_away = sim->now_ms > node->watched_ms + SILENCE_MS / 2;

    node->watched_ms = sim->now_ms;
    for (unsigned side = 0; side < SIDES; side++)
        for (size_t i = 0; i < node->link_count[side]; i++) {
            struct link *link = &node->links[side][i];

            if (was_away)
                link->sub.heard_ms = link->req.heard_ms = link->req.asked_ms =
                    sim->now_ms;
            watch_link(sim, number, side, i);
        }
    watch_listener(sim, node, false);
    watch_listener(sim, node, true);
}

void simbus_open_node(struct sim *sim, unsigned number)
{
    struct node *node = &sim->nodes[number];
    size_t sources = 0;

    for (; node->service->listens_to[sources] != NULL; sources++)
        node->links[WRITE_SIDE][sources] =
            (struct link){.publisher = (unsigned)number_of(
                              node->service->listens_to[sources]),
                          .sub.exists = true,
                          .req.exists = true};
    node->link_count[WRITE_SIDE] = sources;
    for (sources = 0; node->view->sources[sources] != NULL; sources++)
        ;
    assert(2 * sources <= SIM_LINKS);
    for (size_t i = 0; i < 2 * sources; i++) /* again, to rebuild through */
        node->links[READ_SIDE][i] = (struct link){
            .publisher = (unsigned)number_of(node->view->sources[i % sources]),
            .sub.exists = i < sources,
            .req.exists = true};
    node->link_count[READ_SIDE] = 2 * sources;
    node->watched_ms = 0;
    node->deaf[0] = node->deaf[1] = false;
}

void simbus_close_node(struct sim *sim, unsigned number, bool half_open)
{
    for (unsigned n = 0; n < SERVICES; n++)
        for (unsigned side = 0; side < SIDES; side++)
            for (size_t i = 0; i < sim->nodes[n].link_count[side]; i++) {
                struct link *link = &sim->nodes[n].links[side][i];

                if (link->publisher != number)
                    continue;
                if (half_open)
                    link->sub.half_open = link->req.half_open = true;
                else
                    link->sub.up = link->req.up = false;
            }
    memset(sim->nodes[number].links, 0, sizeof sim->nodes[number].links);
}
