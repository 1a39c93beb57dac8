/* cluster.c - see cluster.h.  The publisher's read side answers a pull.  Where
 * none runs, the cluster answers from the publisher's file, at once. */
#include "cluster.h"

#include "base/logger.h"
#include "must.h"
#include "read/pull_answer.h"
#include "shop/shop.h"
#include "write/shell_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NODES = 2 * SERVICES,
    LINKS = 16, /* more than a node has: tokens of pulls */
    STEP_MS = 10,
    QUIET_STEPS = 12,
    STEPS_MAX = 10000000
};

static struct cluster_node *node_at(struct cluster *cluster, unsigned number)
{
    return number < SERVICES ? &cluster->writers[number]
                             : &cluster->readers[number - SERVICES];
}

static bool is_up(const struct cluster_node *node)
{
    return node->shell != NULL || node->reader != NULL;
}

static unsigned service_named(const char *name)
{
    unsigned number = 0;

    while (number < SERVICES &&
           strcmp(roster_services[number]->name, name) != 0)
        number++;
    MUST(number < SERVICES);
    return number;
}

/* Which of @node's publishers @service is; its source_count: none. */
static unsigned link_to(const struct cluster_node *node, unsigned service)
{
    unsigned link = 0;

    while (link < node->source_count &&
           strcmp(node->sources[link], roster_services[service]->name) != 0)
        link++;
    return link;
}

/* ---- what a node is given ---- */

static uint64_t node_mono_ms(void *ctx)
{
    return ((struct cluster_node *)ctx)->cluster->mono_ms;
}

static int64_t node_wall_ms(void *ctx)
{
    return ((struct cluster_node *)ctx)->cluster->wall_ms;
}

static void node_random(void *ctx, void *bytes, size_t count)
{
    struct cluster *cluster = ((struct cluster_node *)ctx)->cluster;

    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)must_random(&cluster->random, 256);
}

void cluster_pass(struct cluster *cluster, uint64_t ms)
{
    cluster->mono_ms += ms;
    cluster->wall_ms += (int64_t)ms;
}

void cluster_give(struct cluster_node *node, enum input_kind kind,
                  uint64_t from, const void *bytes, size_t count)
{
    struct cluster_queue *queue = &node->queue;
    void *copy = malloc(count > 0 ? count : 1); /* no byte to spare */

    MUST(copy != NULL);
    if (count > 0)
        memcpy(copy, bytes, count);
    if (queue->count == queue->room) {
        queue->room = 2 * queue->room + 64;
        queue->inputs =
            realloc(queue->inputs, queue->room * sizeof *queue->inputs);
        MUST(queue->inputs != NULL);
    }
    queue->inputs[queue->count++] = (struct input){kind, from, copy, count};
}

static void empty(struct cluster_queue *queue)
{
    while (queue->count > 0) {
        union {
            const void *borrowed;
            void *owned;
        } bytes = {.borrowed = queue->inputs[--queue->count].bytes};

        free(bytes.owned);
    }
}

size_t cluster_lose(struct cluster *cluster, unsigned service)
{
    size_t lost = cluster->writers[service].queue.count;

    empty(&cluster->writers[service].queue);
    return lost;
}

/* ---- what it sends ---- */

static void publish(struct cluster *cluster, unsigned service,
                    const void *bytes, size_t count)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct cluster_node *node = node_at(cluster, i);
        unsigned link = link_to(node, service);

        if (link < node->source_count && is_up(node) && !node->deaf)
            cluster_give(node, INPUT_FRAME, link, bytes, count);
    }
}

static void answer_from_file(struct cluster_node *asker,
                             const struct cluster_node *publisher,
                             uint64_t link, const void *bytes, size_t count)
{
    static uint8_t reply[MESSAGE_MAX];
    char why[STORE_WHY_BYTES] = "";
    struct store *log;
    struct pull pull;
    size_t length = 0;

    MUST(pull_read(bytes, count, &pull));
    MUST(store_open_readonly(publisher->path, pull.source, NULL, &log, why) ==
         EVT_OK);
    MUST(pull_answer(log, &pull, reply, &length) == EVT_OK);
    store_close(log);
    cluster_give(asker, INPUT_REPLY, link, reply, length);
}

/* A pull's token says who asked: its answer goes there.  A read side has two
 * links to each publisher. */
static void ask(struct cluster_node *asker, uint64_t link, const void *bytes,
                size_t count)
{
    struct cluster *cluster = asker->cluster;
    unsigned number = service_named(asker->sources[link % asker->source_count]);
    uint64_t self = asker->service + (asker->reader != NULL ? SERVICES : 0);

    if (cluster->readers[number].reader != NULL)
        cluster_give(&cluster->readers[number], INPUT_REQUEST,
                     self * LINKS + link, bytes, count);
    else if (cluster->writers[number].shell != NULL)
        answer_from_file(asker, &cluster->writers[number], link, bytes, count);
}

static void answer(struct cluster *cluster, uint64_t to, const void *bytes,
                   size_t count)
{
    if (to < CLUSTER_CLIENT) {
        struct cluster_node *asker = node_at(cluster, (unsigned)(to / LINKS));

        if (is_up(asker))
            cluster_give(asker, INPUT_REPLY, to % LINKS, bytes, count);
        return;
    }
    MUST(count <= sizeof cluster->reply);
    memcpy(cluster->reply, bytes, count);
    cluster->reply_bytes = count;
    cluster->replies++;
}

static void node_send(void *ctx, enum channel channel, uint64_t to,
                      const void *bytes, size_t count)
{
    struct cluster_node *node = ctx;
    struct cluster *cluster = node->cluster;

    if (cluster->sent != NULL &&
        !cluster->sent(cluster->ctx, channel, to, bytes, count))
        return;
    if (channel == TO_CLIENT)
        answer(cluster, to, bytes, count);
    else if (cluster->by_hand)
        return;
    else if (channel == TO_SUBSCRIBERS)
        publish(cluster, node->service, bytes, count);
    else
        ask(node, to, bytes, count);
}

/* ---- life ---- */

static void set_up_node(struct cluster *cluster, unsigned number)
{
    struct cluster_node *node = node_at(cluster, number);
    unsigned service = number % SERVICES;

    memset(node, 0, sizeof *node);
    node->cluster = cluster;
    node->service = service;
    node->sources = number < SERVICES ? roster_services[service]->listens_to
                                      : roster_views[service]->sources;
    while (node->sources[node->source_count] != NULL)
        node->source_count++;
    node->env = (struct env){.ctx = node,
                             .mono_ms = node_mono_ms,
                             .wall_ms = node_wall_ms,
                             .random = node_random,
                             .send = node_send};
    snprintf(node->directory, sizeof node->directory, "%s/%s",
             cluster->directory, roster_services[service]->name);
    snprintf(node->path, sizeof node->path, "%s/log.db", node->directory);
    node->config =
        (struct projection_config){.service = roster_services[service]->name,
                                   .log_path = node->path,
                                   .directory = node->directory};
    (void)mkdir(node->directory, 0700); /* it may be there */
}

/* Where fresh directories go: in memory, if there is /dev/shm. */
static const char *top_directory(void)
{
    const char *top = getenv("TMPDIR");

    if (top != NULL && strlen(top) < 80)
        return top;
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void set_up(struct cluster *cluster, const char *directory)
{
    if (directory == NULL) {
        snprintf(cluster->directory, sizeof cluster->directory,
                 "%s/cluster-XXXXXX", top_directory());
        MUST(mkdtemp(cluster->directory) != NULL);
    } else {
        MUST(strlen(directory) < sizeof cluster->directory);
        text_copy(cluster->directory, sizeof cluster->directory, directory);
        (void)mkdir(directory, 0700); /* it may be there */
    }
    for (unsigned i = 0; i < NODES; i++)
        set_up_node(cluster, i);
}

struct cluster *cluster_open(const char *directory, uint64_t seed)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);

    MUST(cluster != NULL);
    logger_open("cluster", (enum logger_level)(LOG_ERROR + 1)); /* silence */
    cluster->mono_ms = 1000;
    cluster->wall_ms = INT64_C(1700000000000);
    cluster->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    set_up(cluster, directory);
    return cluster;
}

void cluster_close(struct cluster *cluster)
{
    cluster_stop_all(cluster);
    for (unsigned i = 0; i < NODES; i++) {
        free(node_at(cluster, i)->queue.inputs);
        free(node_at(cluster, i)->spare.inputs);
    }
    free(cluster);
}

void cluster_remove(struct cluster *cluster)
{
    char command[256];

    snprintf(command, sizeof command, "rm -r '%s'", cluster->directory);
    cluster_close(cluster);
    MUST(system(command) == 0);
}

struct cluster *cluster_copy(const struct cluster *from)
{
    struct cluster *cluster = malloc(sizeof *cluster);
    char command[512];

    MUST(cluster != NULL);
    *cluster = *from;
    set_up(cluster, NULL);
    snprintf(command, sizeof command, "cp -r '%s'/. '%s'", from->directory,
             cluster->directory);
    MUST(system(command) == 0);
    return cluster;
}

enum evt_status cluster_start(struct cluster *cluster, unsigned service)
{
    struct cluster_node *node = &cluster->writers[service];
    struct shell_config config = {.path = node->path};
    char why[STORE_WHY_BYTES];

    return shell_open(roster_services[service], &node->env, &config,
                      &node->shell, why);
}

void cluster_stop(struct cluster *cluster, unsigned service)
{
    shell_close(cluster->writers[service].shell);
    cluster->writers[service].shell = NULL;
    (void)cluster_lose(cluster, service);
}

void cluster_start_reader(struct cluster *cluster, unsigned service)
{
    struct cluster_node *node = &cluster->readers[service];
    char why[STORE_WHY_BYTES];

    MUST(projection_open(roster_views[service], &node->env, &node->config,
                         &node->reader, why) == EVT_OK);
}

void cluster_stop_reader(struct cluster *cluster, unsigned service)
{
    projection_close(cluster->readers[service].reader);
    cluster->readers[service].reader = NULL;
    empty(&cluster->readers[service].queue);
}

void cluster_start_all(struct cluster *cluster, bool with_readers)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        MUST(cluster_start(cluster, i) == EVT_OK);
        if (with_readers)
            cluster_start_reader(cluster, i);
    }
}

void cluster_stop_all(struct cluster *cluster)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        cluster_stop(cluster, i);
        cluster_stop_reader(cluster, i);
    }
}

void cluster_start_by_hand(struct cluster *cluster)
{
    cluster->by_hand = false;
    cluster_start_all(cluster, false);
    cluster_settle(cluster);
    cluster->by_hand = true;
}

void cluster_build_views(const char *directory)
{
    struct cluster *cluster = cluster_open(directory, 1);

    for (unsigned i = 0; i < SERVICES; i++)
        cluster_start_reader(cluster, i);
    cluster_settle(cluster);
    cluster_close(cluster);
}

/* ---- steps ---- */

enum evt_status cluster_step_node(struct cluster_node *node)
{
    struct cluster_queue taken = node->queue;
    enum evt_status rc = EVT_OK;

    node->queue = node->spare;
    if (node->shell != NULL)
        rc = shell_step(node->shell, taken.inputs, taken.count);
    else if (node->reader != NULL)
        rc = projection_step(node->reader, taken.inputs, taken.count);
    empty(&taken);
    node->spare = taken;
    return rc;
}

enum evt_status cluster_step(struct cluster *cluster, unsigned service)
{
    if (cluster->by_hand)
        cluster_pass(cluster, 1); /* no two events at the same time */
    return cluster_step_node(&cluster->writers[service]);
}

bool cluster_step_all(struct cluster *cluster)
{
    size_t queued = 0;

    for (unsigned i = 0; i < NODES; i++)
        MUST(cluster_step_node(node_at(cluster, i)) == EVT_OK);
    for (unsigned i = 0; i < NODES; i++)
        queued += node_at(cluster, i)->queue.count;
    return queued > 0;
}

void cluster_run(struct cluster *cluster, uint64_t ms)
{
    uint64_t end = cluster->mono_ms + ms;

    for (unsigned steps = 0; cluster->mono_ms < end; steps++) {
        MUST(steps < STEPS_MAX);
        if (!cluster_step_all(cluster))
            cluster_pass(cluster, STEP_MS);
    }
}

/* Everybody takes one event of everybody, round after round. */
static void take_all(struct cluster *cluster)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned reader = 0; reader < SERVICES; reader++)
            for (unsigned publisher = 0; publisher < SERVICES; publisher++)
                moved = cluster_take(cluster, reader, publisher) || moved;
    }
}

void cluster_settle(struct cluster *cluster)
{
    unsigned steps = 0;

    if (cluster->by_hand)
        take_all(cluster);
    for (unsigned quiet = 0; quiet < QUIET_STEPS; quiet++) {
        MUST(steps++ < STEPS_MAX);
        if (cluster_step_all(cluster))
            quiet = 0;
        else
            cluster_pass(cluster, STEP_MS);
    }
}

/* ---- by hand ---- */

/* A frame of the one event that follows @cursor in @log; 0: there is none. */
static size_t next_frame(struct store *log, const struct cursor *cursor,
                         uint8_t message[MESSAGE_MAX])
{
    static struct frame_writer frame;
    uint64_t seq = cursor->at.seq;
    uint8_t hash[HASH_BYTES];
    struct row row;
    bool found;

    if (store_hash_at(log, seq, hash) != EVT_OK)
        return 0;
    frame_begin(&frame, store_service(log), store_log_id(log), seq, hash);
    MUST(store_scan(log, NULL, seq, seq + 1) == EVT_OK);
    found = store_next(log, &row, hash) == EVT_OK;
    MUST(!found || frame_add(&frame, &row, hash));
    store_scan_end(log);
    return found ? frame_finish(&frame, message) : 0;
}

bool cluster_take(struct cluster *cluster, unsigned reader, unsigned publisher)
{
    static uint8_t message[MESSAGE_MAX];
    struct cluster_node *node = &cluster->writers[reader];
    unsigned link = link_to(node, publisher);
    const struct cursor *cursor;
    uint64_t before;
    size_t bytes;

    if (link == node->source_count)
        return false;
    cursor = &node->shell->subscriptions[link].cursor;
    before = cursor->at.seq;
    bytes =
        next_frame(cluster->writers[publisher].shell->store, cursor, message);
    if (bytes == 0)
        return false;
    cluster_give(node, INPUT_FRAME, link, message, bytes);
    MUST(cluster_step(cluster, reader) == EVT_OK);
    return cursor->at.seq > before;
}

void cluster_drain(struct cluster *cluster, unsigned reader, unsigned publisher)
{
    while (cluster_take(cluster, reader, publisher))
        continue;
}

void cluster_expire(struct cluster *cluster)
{
    uint64_t left_ms = roster_services[ORDER_SVC]->timers[0].default_ms;

    while (left_ms > 0) {
        /* a longer gap would count as having been away */
        uint64_t ms = left_ms < LONG_PAUSE_MS / 2 ? left_ms : LONG_PAUSE_MS / 2;

        cluster_pass(cluster, ms);
        MUST(cluster_step(cluster, ORDER_SVC) == EVT_OK);
        left_ms -= ms;
    }
}

/* ---- clients ---- */

/* What a client notes of a command that is done (audit/check.h), at times
 * twice: it may ask again and get the same answer. */
static void note_in_journal(const struct cluster *cluster, unsigned service,
                            const struct command *command,
                            const struct position *at)
{
    char path[192], log_id[2 * LOG_ID_BYTES + 1];
    FILE *journal;

    snprintf(path, sizeof path, "%s/journal", cluster->directory);
    journal = fopen(path, "a");
    MUST(journal != NULL);
    text_hex(at->log_id, LOG_ID_BYTES, log_id);
    for (uint64_t times = 1 + at->seq % 2; times > 0; times--)
        fprintf(journal,
                "{\"command\":\"%s\",\"type\":\"%s\",\"service\":\"%s\","
                "\"log\":\"%s\",\"seq\":%llu}\n",
                command->command_id, shop_type_name(command->type),
                roster_services[service]->name, log_id,
                (unsigned long long)at->seq);
    MUST(fclose(journal) == 0);
}

/* Sends a request; the answer is in cluster->reply. */
static void request(struct cluster *cluster, unsigned service,
                    const void *bytes, size_t count)
{
    cluster_give(&cluster->writers[service], INPUT_REQUEST, CLUSTER_CLIENT,
                 bytes, count);
    cluster->replies = 0;
    MUST(cluster_step(cluster, service) == EVT_OK);
    MUST(cluster->replies == 1); /* a request is answered exactly once */
}

struct answer cluster_command(struct cluster *cluster, unsigned service,
                              const struct command *command)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    struct command sent = *command;
    uint8_t message[MESSAGE_MAX];
    size_t count = 0;

    if (sent.command_id[0] == '\0')
        snprintf(sent.command_id, ID_BYTES, "auto-%u", ++cluster->commands);
    request(cluster, service, message,
            request_write(&shop_domain, &sent, 1, message));
    MUST(request_answers_read(cluster->reply, cluster->reply_bytes, answers,
                              &count) &&
         count == 1);
    if (answers[0].code == ANSWER_DONE)
        note_in_journal(cluster, service, &sent, &answers[0].at);
    return answers[0];
}

void cluster_request(struct cluster *cluster, unsigned service,
                     const struct command commands[], size_t count,
                     struct answer answers[COMMANDS_PER_REQUEST])
{
    uint8_t message[MESSAGE_MAX];
    size_t answered = 0;

    request(cluster, service, message,
            request_write(&shop_domain, commands, count, message));
    MUST(request_answers_read(cluster->reply, cluster->reply_bytes, answers,
                              &answered) &&
         answered == count);
}

json_t *cluster_control(struct cluster *cluster, unsigned service,
                        const char *json)
{
    request(cluster, service, json, strlen(json));
    return json_loadb((const char *)cluster->reply, cluster->reply_bytes, 0,
                      NULL);
}

struct answer cluster_product(struct cluster *cluster, const char *sku,
                              int64_t cents)
{
    struct command command = {.type = LIST_PRODUCT};

    *payload_in(command.data) = (struct payload){.price_cents = cents};
    text_copy(payload_in(command.data)->sku, SKU_BYTES, sku);
    return cluster_command(cluster, ORDER_SVC, &command);
}

struct answer cluster_stock(struct cluster *cluster, const char *sku,
                            int64_t pieces)
{
    struct command command = {.type = RECEIVE_STOCK};

    *payload_in(command.data) = (struct payload){.quantity = pieces};
    text_copy(payload_in(command.data)->sku, SKU_BYTES, sku);
    return cluster_command(cluster, INVENTORY_SVC, &command);
}

struct answer cluster_fund(struct cluster *cluster, const char *customer,
                           int64_t cents)
{
    struct command command = {.type = DEPOSIT_FUNDS};

    *payload_in(command.data) = (struct payload){.amount_cents = cents};
    text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES, customer);
    return cluster_command(cluster, PAYMENT_SVC, &command);
}

struct command cluster_order(const char *order, const char *customer,
                             const char *sku, int64_t pieces)
{
    struct command command = {.type = PLACE_ORDER};

    *payload_in(command.data) = (struct payload){.line_count = 1};
    text_copy(command.command_id, ID_BYTES, order);
    text_copy(command.order_id, ID_BYTES, order);
    text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES, customer);
    text_copy(payload_in(command.data)->lines[0].sku, SKU_BYTES, sku);
    payload_in(command.data)->lines[0].quantity = pieces;
    return command;
}

struct answer cluster_place(struct cluster *cluster, const char *order,
                            const char *customer, const char *sku,
                            int64_t pieces, const char *sku2, int64_t pieces2)
{
    struct command command = cluster_order(order, customer, sku, pieces);

    if (sku2 != NULL) {
        text_copy(payload_in(command.data)->lines[1].sku, SKU_BYTES, sku2);
        payload_in(command.data)->lines[1].quantity = pieces2;
        payload_in(command.data)->line_count = 2;
    }
    return cluster_command(cluster, ORDER_SVC, &command);
}

struct answer cluster_cancel(struct cluster *cluster, const char *order)
{
    struct command command = {.type = CANCEL_ORDER};

    text_copy(command.order_id, ID_BYTES, order);
    return cluster_command(cluster, ORDER_SVC, &command);
}

/* ---- looking ---- */

const char *cluster_story(struct cluster *cluster, const char *order)
{
    static char story[1024];
    char tag[TAG_BYTES], why[STORE_WHY_BYTES];
    size_t bytes = 0;

    story[0] = '\0';
    event_tag(&shop_domain, TAG_ORDER, order, tag);
    for (unsigned i = 0; i < SERVICES; i++) {
        struct store *log;
        struct row row;

        MUST(store_open_readonly(cluster->writers[i].path, NULL, NULL, &log,
                                 why) == EVT_OK);
        MUST(store_scan(log, tag, 0, UINT64_MAX) == EVT_OK);
        while (store_next(log, &row, NULL) == EVT_OK) {
            MUST(bytes + sizeof row.type + 1 < sizeof story);
            bytes += (size_t)snprintf(story + bytes, sizeof story - bytes,
                                      "%s%s", bytes > 0 ? " " : "", row.type);
        }
        store_scan_end(log);
        store_close(log);
    }
    return story;
}

void cluster_status(const struct cluster *cluster, unsigned service,
                    struct shell_status *status)
{
    shell_status(cluster->writers[service].shell, status);
}

uint64_t cluster_head(const struct cluster *cluster, unsigned service)
{
    struct shell_status status;

    cluster_status(cluster, service, &status);
    return status.head_seq;
}
