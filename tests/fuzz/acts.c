/* acts.c - see acts.h.  Next: fuzz_shell.c, in which a shell takes
 * them. */
#include "acts.h"

#include "read/pull_answer.h"
#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what it sends ------------------------------------------------------ */

static void look_at_frame(const void *bytes, size_t count)
{
    static struct frame frame;

    MUST(frame_read(bytes, count, &frame));
}

static void look_at_pull(struct acts *acts, uint64_t link, const void *bytes,
                         size_t count)
{
    struct pull pull;

    MUST(link < acts->link_count && count <= sizeof acts->pulls[0]);
    MUST(pull_read(bytes, count, &pull));
    MUST(strcmp(pull.source, store_service(acts->logs[link])) == 0);
    memcpy(acts->pulls[link], bytes, count);
    acts->pull_bytes[link] = count;
}

static void look_at_answer(struct acts *acts, uint64_t token, const void *bytes,
                           size_t count)
{
    static struct answer answers[COMMANDS_PER_REQUEST];
    static struct pull_reply reply;
    size_t in;

    MUST(token < acts->asked && !acts->is_answered[token]);
    acts->is_answered[token] = true;
    acts->answered++;
    if (*(const char *)bytes == '{') {
        json_t *json = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, NULL);

        MUST(json != NULL);
        json_decref(json);
    } else {
        MUST(request_answers_read(bytes, count, answers, &in) ||
             pull_reply_read(bytes, count, &reply));
    }
}

static bool look(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count)
{
    MUST(count > 0 && count <= MESSAGE_MAX);
    if (channel == TO_SUBSCRIBERS)
        look_at_frame(bytes, count);
    else if (channel == TO_PUBLISHER)
        look_at_pull(ctx, to, bytes, count);
    else
        look_at_answer(ctx, to, bytes, count);
    return false; /* there is nobody else */
}

/* ---- opening ------------------------------------------------------------ */

const char *acts_golden(void)
{
    static struct cluster *golden;

    if (golden == NULL) {
        golden = cluster_open(fuzz_path("golden"), 1);
        for (unsigned i = 0; i < SERVICES; i++)
            fuzz_golden(shop_services[i], golden->writers[i].path);
    }
    return golden->directory;
}

void acts_reset(struct acts *acts)
{
    acts->cluster->mono_ms = 1000000;
    acts->cluster->wall_ms = INT64_C(1700001000000);
    acts->cluster->random = 1;
    memset(acts->pull_bytes, 0, sizeof acts->pull_bytes);
    memset(acts->is_answered, 0, sizeof acts->is_answered);
    acts->asked = acts->answered = 0;
}

void acts_open(struct acts *acts, const char *directory, unsigned service,
               bool read_side)
{
    unsigned rounds = read_side ? 2 : 1;
    struct cluster_node *node;

    memset(acts, 0, sizeof *acts);
    acts->cluster = cluster_open(directory, 1);
    acts->cluster->sent = look;
    acts->cluster->ctx = acts;
    node = read_side ? &acts->cluster->readers[service]
                     : &acts->cluster->writers[service];
    acts->node = node;
    acts->link_count = rounds * node->source_count;
    MUST(acts->link_count <= ACTS_LINKS_MAX);
    for (unsigned i = 0; i < acts->link_count; i++) {
        const char *publisher = node->sources[i % node->source_count];
        char path[256], why[STORE_WHY_BYTES];

        snprintf(path, sizeof path, "%s/%s/log.db", acts_golden(), publisher);
        MUST(store_open_readonly(path, publisher, NULL, &acts->logs[i], why) ==
             EVT_OK);
    }
    acts_reset(acts);
}

/* ---- acts --------------------------------------------------------------- */

/* A frame of the golden log from @first on. */
static size_t true_frame(struct acts *acts, unsigned link, uint64_t first,
                         uint8_t message[MESSAGE_MAX])
{
    static struct frame_writer writer;
    struct store *log = acts->logs[link];
    uint8_t hash[HASH_BYTES];
    struct row row;

    if (store_hash_at(log, first - 1, hash) != EVT_OK)
        return 0;
    frame_begin(&writer, store_service(log), store_log_id(log), first - 1,
                hash);
    MUST(store_scan(log, NULL, first - 1, first + 6) == EVT_OK);
    while (store_next(log, &row, hash) == EVT_OK)
        MUST(frame_add(&writer, &row, hash));
    store_scan_end(log);
    return frame_finish(&writer, message);
}

static size_t true_reply(struct acts *acts, unsigned link,
                         uint8_t message[MESSAGE_MAX])
{
    struct pull pull;
    size_t bytes = 0;

    if (acts->pull_bytes[link] == 0)
        return 0;
    MUST(pull_read(acts->pulls[link], acts->pull_bytes[link], &pull));
    MUST(pull_answer(acts->logs[link], &pull, message, &bytes) == EVT_OK);
    acts->pull_bytes[link] = 0;
    return bytes;
}

bool acts_answer(struct acts *acts, unsigned link)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes = true_reply(acts, link, message);

    if (bytes > 0)
        cluster_give(acts->node, INPUT_REPLY, link, message, bytes);
    return bytes > 0;
}

/* Up to 7 bytes become others; or the end is cut off. */
static size_t edit(struct taker *taker, uint8_t *message, size_t bytes)
{
    uint8_t edits = take_byte(taker);

    for (unsigned i = 0; i < (edits & 7u); i++) {
        uint16_t at = take_short(taker);

        message[at % bytes] ^= take_byte(taker);
    }
    if ((edits & 0x80) != 0)
        bytes -= take_short(taker) % bytes;
    return bytes;
}

static bool true_act(struct acts *acts, enum act act, unsigned link,
                     struct taker *taker)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes;

    if (act == ACT_TRUE_FRAME)
        bytes = true_frame(acts, link, 1u + take_byte(taker) % 32u, message);
    else
        bytes = true_reply(acts, link, message);
    if (bytes == 0)
        return false;
    bytes = edit(taker, message, bytes);
    cluster_give(acts->node, act == ACT_TRUE_FRAME ? INPUT_FRAME : INPUT_REPLY,
                 link, message, bytes);
    return true;
}

/* Takes the next act and queues an input, or moves the clock.  False: nothing
 * comes of it. */
static bool take_act(struct acts *acts, struct taker *taker)
{
    uint8_t head = take_byte(taker);
    enum act act = (enum act)(head % ACTS);
    unsigned link = head / ACTS % acts->link_count;
    const uint8_t *bytes;
    size_t count;

    switch (act) {
    case ACT_REQUEST:
    case ACT_FRAME:
    case ACT_REPLY:
        count = take_short(taker);
        bytes = take_span(taker, count, &count);
        cluster_give(acts->node,
                     act == ACT_REQUEST ? INPUT_REQUEST
                     : act == ACT_FRAME ? INPUT_FRAME
                                        : INPUT_REPLY,
                     act == ACT_REQUEST ? acts->asked++ : link, bytes, count);
        return true;
    case ACT_CONNECTED:
        cluster_give(acts->node, INPUT_CONNECTED, link, NULL, 0);
        return true;
    case ACT_TIME:
        cluster_pass(acts->cluster, UINT64_C(250) * take_byte(taker));
        return false;
    default:
        return true_act(acts, act, link, taker);
    }
}

void acts_step(struct acts *acts)
{
    MUST(cluster_step_node(acts->node) == EVT_OK);
    MUST(acts->answered <= acts->asked);
    if (acts->node->shell != NULL) /* a query may wait, a command never does */
        MUST(acts->answered == acts->asked);
}

bool acts_play(struct acts *acts, struct taker *taker)
{
    const struct cluster_queue *queue = &acts->node->queue;
    bool only_requests = true;

    for (unsigned act = 0; act < ACTS_MAX && taker->left > 0; act++) {
        bool now = (*taker->at & 0x80) != 0; /* or with what comes next */

        if (take_act(acts, taker))
            only_requests &=
                queue->inputs[queue->count - 1].kind == INPUT_REQUEST;
        if (now)
            acts_step(acts);
    }
    acts_step(acts);
    return only_requests;
}
