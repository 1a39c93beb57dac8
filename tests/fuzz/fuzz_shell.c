/* fuzz_shell.c - any bytes on the sockets of a write side: commands, controls,
 * frames, pull replies.
 *
 * The first byte chooses the service and whether its log is the golden one or
 * empty.  Every request is answered exactly once, nothing ends the process,
 * the log never gets shorter, and what it holds afterwards it can read. */
#include "acts.h"
#include "core/codec.h"
#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct actor {
    struct acts acts;
    uint8_t *golden; /* the log that it begins with; NULL: an empty one */
    size_t golden_bytes;
    struct shell_status before;
} actors[SERVICES][2];

static void remove_log(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[300];

    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name); /* most are not there */
    }
}

static void open_shell(struct actor *actor, unsigned number)
{
    const char *path = actor->acts.node->path;

    remove_log(path);
    if (actor->golden != NULL)
        fuzz_write(path, actor->golden, actor->golden_bytes);
    acts_reset(&actor->acts);
    MUST(cluster_start(actor->acts.cluster, number) == EVT_OK);
    shell_status(actor->acts.node->shell, &actor->before);
}

static struct actor *choose(uint8_t byte)
{
    unsigned number = byte % SERVICES;
    struct actor *actor = &actors[number][byte / SERVICES % 2];
    bool golden = byte / SERVICES % 2 == 0;
    char name[300];

    if (actor->acts.cluster == NULL) {
        snprintf(name, sizeof name, "%s-%d", shop_services[number], golden);
        acts_open(&actor->acts, fuzz_path(name), number, false);
        snprintf(name, sizeof name, "%s/%s/log.db", acts_golden(),
                 shop_services[number]);
        if (golden)
            actor->golden = fuzz_read(name, &actor->golden_bytes);
    }
    if (actor->acts.node->shell == NULL)
        open_shell(actor, number);
    return actor;
}

/* Whether anything but counters of garbage is other than it was: then the
 * next input must not find it so. */
static bool has_changed(struct actor *actor)
{
    struct shell_status now;

    shell_status(actor->acts.node->shell, &now);
    MUST(now.head_seq >= actor->before.head_seq);
    now.garbage = actor->before.garbage;
    for (size_t i = 0; i < now.subscription_count; i++)
        now.subscriptions[i].counts = actor->before.subscriptions[i].counts;
    return memcmp(&now, &actor->before, sizeof now) != 0;
}

/* What was appended must be readable, as it will be after a restart. */
static void read_log(const struct actor *actor)
{
    const struct cluster_node *node = actor->acts.node;
    const char *what, *field, *name = shop_services[node->service];
    char why[STORE_WHY_BYTES];
    struct store *log;
    struct event event;
    struct row row;

    MUST(store_open_readonly(node->path, name, NULL, &log, why) == EVT_OK);
    MUST(store_scan(log, NULL, actor->before.head_seq, UINT64_MAX) == EVT_OK);
    while (store_next(log, &row, NULL) == EVT_OK)
        MUST(codec_from_row(&shop_domain, name, store_log_id(log), &row, &event,
                            &what, &field) == EVT_OK);
    store_scan_end(log);
    store_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {bytes, count};
    struct actor *actor = choose(take_byte(&taker));

    (void)acts_play(&actor->acts, &taker);
    if (has_changed(actor)) {
        read_log(actor);
        cluster_stop(actor->acts.cluster, actor->acts.node->service);
    }
    acts_reset(&actor->acts);
    return 0;
}
