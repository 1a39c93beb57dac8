/* fuzz_reader.c - any bytes on the sockets of a read side: queries, pulls of
 * others, frames, pull replies.
 *
 * The first byte chooses the view.  Every request is answered exactly once,
 * at the latest when its time is up, and nothing ends the process. */
#include "read/projection.h"
#include "read/reader.h"
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct actor {
    struct stage stage;
    struct projection_config config;
    struct projection *reader; /* NULL: open it anew */
    const struct view *view;
    char log_path[160], directory[160];
    uint8_t *file; /* view.1.db, all caught up */
    size_t file_bytes;
} actors[SERVICES];

enum { CATCH_UP_STEPS = 50, SETTLE_STEPS = 400 };

static void step(struct actor *actor, const struct input *inputs, size_t count)
{
    MUST(projection_step(actor->reader, inputs, count) == EVT_OK);
    MUST(actor->stage.answered <= actor->stage.asked);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)inputs[i].bytes); /* it borrowed them */
}

/* Honest publishers answer, and time passes as far as it wants. */
static void run_on(struct actor *actor)
{
    struct input inputs[STAGE_LINKS_MAX];
    uint64_t wake;
    size_t count = 0;

    for (unsigned link = 0; link < actor->stage.link_count; link++)
        count += stage_answer(&actor->stage, link, &inputs[count]);
    wake = projection_wake_ms(actor->reader);
    if (count == 0 && wake > actor->stage.now_ms)
        actor->stage.now_ms = wake;
    step(actor, inputs, count);
}

static const char *file_of(const struct actor *actor, const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", actor->directory, name);
    return path;
}

static void open_reader(struct actor *actor)
{
    char why[STORE_WHY_BYTES];

    MUST(projection_open(actor->view, &actor->stage.env, &actor->config,
                         &actor->reader, why) == EVT_OK);
}

static void close_reader(struct actor *actor)
{
    char name[32];

    projection_close(actor->reader);
    actor->reader = NULL;
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
static void make_view(struct actor *actor)
{
    MUST(mkdir(actor->directory, 0700) == 0);
    open_reader(actor);
    for (unsigned i = 0; i < CATCH_UP_STEPS; i++)
        run_on(actor);
    projection_close(actor->reader);
    actor->file = fuzz_read(file_of(actor, "view.1.db"), &actor->file_bytes);
    actor->reader = NULL;
}

static void make_golden(void)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        char name[40];

        snprintf(name, sizeof name, "golden-%s.db", shop_services[i]);
        fuzz_golden(shop_services[i], fuzz_path(name));
    }
}

static void set_up(struct actor *actor, unsigned number)
{
    static bool golden;
    char name[40];

    if (!golden)
        make_golden();
    golden = true;
    actor->view = roster_views[number];
    snprintf(name, sizeof name, "golden-%s.db", shop_services[number]);
    text_copy(actor->log_path, sizeof actor->log_path, fuzz_path(name));
    text_copy(actor->directory, sizeof actor->directory,
              fuzz_path(actor->view->name));
    actor->config.service = shop_services[number];
    actor->config.log_path = actor->log_path;
    actor->config.directory = actor->directory;
    stage_open(&actor->stage, actor->view->sources, 2);
    make_view(actor);
}

static struct actor *choose(uint8_t byte)
{
    struct actor *actor = &actors[byte % SERVICES];

    if (actor->view == NULL)
        set_up(actor, byte % SERVICES);
    if (actor->reader == NULL) {
        close_reader(actor);
        fuzz_write(file_of(actor, "view.1.db"), actor->file, actor->file_bytes);
        MUST(symlink("view.1.db", file_of(actor, "view.db")) == 0);
        stage_reset(&actor->stage);
        open_reader(actor);
    }
    return actor;
}

/* Whatever is not answered yet will be. */
static void settle(struct actor *actor)
{
    unsigned steps = 0;

    while (actor->stage.answered < actor->stage.asked) {
        MUST(steps++ < SETTLE_STEPS);
        run_on(actor);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {bytes, count};
    struct actor *actor = choose(take_byte(&taker));
    struct reader_counts before = actor->reader->counts, after;
    struct input inputs[STAGE_ACTS_MAX];
    size_t waiting = 0;
    bool only_queries = true;

    for (unsigned act = 0; act < STAGE_ACTS_MAX && taker.left > 0; act++) {
        bool now = (*taker.at & 0x80) != 0; /* or with what comes next */

        if (!stage_act(&actor->stage, &taker, &inputs[waiting]))
            continue;
        only_queries &= inputs[waiting++].kind == INPUT_REQUEST;
        if (now) {
            step(actor, inputs, waiting);
            waiting = 0;
        }
    }
    step(actor, inputs, waiting);
    settle(actor);
    after = actor->reader->counts;
    if (!only_queries || after.rebuilds != before.rebuilds ||
        after.waited != before.waited)
        close_reader(actor);
    else
        stage_reset(&actor->stage);
    return 0;
}
