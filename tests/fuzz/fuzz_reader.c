/* fuzz_reader.c - any bytes on the sockets of a read side: queries, pulls of
 * others, frames, pull replies.
 *
 * The first byte chooses the view.  Every request is answered exactly once,
 * at the latest when its time is up, and nothing ends the process. */
#include "acts.h"
#include "read/projection_internal.h"
#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct actor {
    struct acts acts;
    uint8_t *file; /* view.1.db, all caught up */
    size_t file_bytes;
} actors[SERVICES];

enum { CATCH_UP_STEPS = 50, SETTLE_STEPS = 400 };

/* Honest publishers answer, and time passes as far as it wants. */
static void run_on(struct acts *acts)
{
    uint64_t now = acts->cluster->mono_ms, wake;
    bool any = false;

    for (unsigned link = 0; link < acts->link_count; link++)
        any = acts_answer(acts, link) || any;
    wake = projection_wake_ms(acts->node->reader);
    if (!any && wake > now)
        cluster_pass(acts->cluster, wake - now);
    acts_step(acts);
}

static const char *file_of(const struct actor *actor, const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", actor->acts.node->directory, name);
    return path;
}

static void close_reader(struct actor *actor)
{
    char name[32];

    cluster_stop_reader(actor->acts.cluster, actor->acts.node->service);
    for (unsigned generation = 1; generation < 40; generation++) {
        static const char *const ends[] = {"", "-wal", "-shm", "-journal"};

        for (size_t i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "view.%u.db%s", generation, ends[i]);
            (void)unlink(file_of(actor, name)); /* most are not there */
        }
    }
    (void)unlink(file_of(actor, "view.db"));
}

/* Folds the golden logs once; the file is what every input begins with. */
static void set_up(struct actor *actor, unsigned number)
{
    struct acts *acts = &actor->acts;

    acts_open(acts, fuzz_path(roster_views[number]->name), number, true);
    fuzz_golden(shop_services[number], acts->node->path);
    cluster_start_reader(acts->cluster, number);
    for (unsigned i = 0; i < CATCH_UP_STEPS; i++)
        run_on(acts);
    cluster_stop_reader(acts->cluster, number);
    actor->file = fuzz_read(file_of(actor, "view.1.db"), &actor->file_bytes);
}

static struct actor *choose(uint8_t byte)
{
    unsigned number = byte % SERVICES;
    struct actor *actor = &actors[number];

    if (actor->acts.cluster == NULL)
        set_up(actor, number);
    if (actor->acts.node->reader == NULL) {
        close_reader(actor);
        fuzz_write(file_of(actor, "view.1.db"), actor->file, actor->file_bytes);
        MUST(symlink("view.1.db", file_of(actor, "view.db")) == 0);
        acts_reset(&actor->acts);
        cluster_start_reader(actor->acts.cluster, number);
    }
    return actor;
}

/* Whatever is not answered yet will be. */
static void settle(struct acts *acts)
{
    for (unsigned steps = 0; acts->answered < acts->asked; steps++) {
        MUST(steps < SETTLE_STEPS);
        run_on(acts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {bytes, count};
    struct actor *actor = choose(take_byte(&taker));
    const struct projection_counts *counts = &actor->acts.node->reader->counts;
    struct projection_counts before = *counts;
    bool only_queries = acts_play(&actor->acts, &taker);

    settle(&actor->acts);
    if (!only_queries || counts->rebuilds != before.rebuilds ||
        counts->waited != before.waited)
        close_reader(actor);
    else
        acts_reset(&actor->acts);
    return 0;
}
