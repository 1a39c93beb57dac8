/* fuzz_shell.c - any bytes on the sockets of a write side: commands, controls,
 * frames, pull replies.
 *
 * The first byte chooses the service and whether its log is the golden one or
 * empty.  Every request is answered exactly once, nothing ends the process,
 * the log never gets shorter, and what it holds afterwards it can read. */
#include "core/codec.h"
#include "stage.h"
#include "write/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct actor {
    struct stage stage;
    struct shell *shell; /* NULL: open it anew */
    const struct service *service;
    bool golden;
    char path[160];
    struct shell_status before;
} actors[SERVICES][2];

static uint8_t *golden_bytes[SERVICES];
static size_t golden_count[SERVICES];

static void make_golden(void)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        char name[40], path[160];

        snprintf(name, sizeof name, "golden-%s.db", shop_services[i]);
        text_copy(path, sizeof path, fuzz_path(name));
        fuzz_golden(shop_services[i], path);
        golden_bytes[i] = fuzz_read(path, &golden_count[i]);
    }
}

static void remove_log(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[200];

    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name); /* most are not there */
    }
}

static void open_shell(struct actor *actor, unsigned number)
{
    struct shell_config config = {.path = actor->path};
    char why[STORE_WHY_BYTES];

    remove_log(actor->path);
    if (actor->golden)
        fuzz_write(actor->path, golden_bytes[number], golden_count[number]);
    stage_reset(&actor->stage);
    MUST(shell_open(actor->service, &actor->stage.env, &config, &actor->shell,
                    why) == EVT_OK);
    shell_status(actor->shell, &actor->before);
}

static struct actor *choose(uint8_t byte)
{
    unsigned number = byte % SERVICES;
    struct actor *actor = &actors[number][byte / SERVICES % 2];
    char name[32];

    if (actor->service == NULL) {
        if (golden_bytes[0] == NULL)
            make_golden();
        actor->service = roster_services[number];
        actor->golden = byte / SERVICES % 2 == 0;
        snprintf(name, sizeof name, "%s-%d.db", actor->service->name,
                 actor->golden);
        text_copy(actor->path, sizeof actor->path, fuzz_path(name));
        stage_open(&actor->stage, actor->service->listens_to, 1);
    }
    if (actor->shell == NULL)
        open_shell(actor, number);
    return actor;
}

/* Whether anything but counters of garbage is other than it was: then the
 * next input must not find it so. */
static bool has_changed(struct actor *actor)
{
    struct shell_status now;

    shell_status(actor->shell, &now);
    MUST(now.head_seq >= actor->before.head_seq);
    now.garbage = actor->before.garbage;
    for (size_t i = 0; i < now.subscription_count; i++)
        now.subscriptions[i].counts = actor->before.subscriptions[i].counts;
    return memcmp(&now, &actor->before, sizeof now) != 0;
}

/* What was appended must be readable, as it will be after a restart. */
static void read_log(const struct actor *actor)
{
    char why[STORE_WHY_BYTES];
    const char *what, *field;
    struct store *log;
    struct event event;
    struct row row;

    MUST(store_open_readonly(actor->path, actor->service->name, NULL, &log,
                             why) == EVT_OK);
    MUST(store_scan(log, NULL, actor->before.head_seq, UINT64_MAX) == EVT_OK);
    while (store_next(log, &row, NULL) == EVT_OK)
        MUST(codec_from_row(actor->service->name, store_log_id(log), &row,
                            &event, &what, &field) == EVT_OK);
    store_scan_end(log);
    store_close(log);
}

static void step(struct actor *actor, const struct input *inputs, size_t count)
{
    MUST(shell_step(actor->shell, inputs, count) == EVT_OK);
    MUST(actor->stage.answered == actor->stage.asked);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)inputs[i].bytes); /* it borrowed them */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {bytes, count};
    struct actor *actor = choose(take_byte(&taker));
    struct input inputs[STAGE_ACTS_MAX];
    size_t waiting = 0;

    for (unsigned act = 0; act < STAGE_ACTS_MAX && taker.left > 0; act++) {
        bool now = (*taker.at & 0x80) != 0; /* or with what comes next */

        waiting += stage_act(&actor->stage, &taker, &inputs[waiting]);
        if (now) {
            step(actor, inputs, waiting);
            waiting = 0;
        }
    }
    step(actor, inputs, waiting);
    if (has_changed(actor)) {
        read_log(actor);
        shell_close(actor->shell);
        actor->shell = NULL;
    }
    stage_reset(&actor->stage);
    return 0;
}
