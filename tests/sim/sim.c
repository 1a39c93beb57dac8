/* sim.c - a run: nodes that live, step and die on a virtual clock, until all
 * is quiet and the checker has given its verdict.
 *
 * Read sim_run first, then step_side: it does to a service what host.c does,
 * and looks at the cheap invariants after it.  Next: simbus.c. */
#include "sim.h"

#include "log/store_internal.h"
#include "read/projection_internal.h"
#include "simvfs.h"
#include "write/shell_internal.h"
#include "write/timers.h"

#include "shop/invariants.h"
#include "shop/roster.h"
#include "shop/shop.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WATCH_EVERY_MS = 250,
    SPINS_MAX = 50,
    STEPS_MAX = 2000000,
    INPUTS_AT_ONCE = 512,
    QUIET_SLACK_MS = 30000, /* after the last deadline all must be quiet */
    MONO_START_MS = 1000
};
#define WALL_START_MS INT64_C(1700000000000)

const char *const sometimes_names[SOMETIMES] = {
    [GAP_FOUND] = "a gap was found",
    [DUPLICATE_DROPPED] = "a duplicate was dropped",
    [STALE_REPLY_DROPPED] = "a reply to an older pull was dropped",
    [DAMAGED_FRAME_DROPPED] = "rows that do not chain were dropped",
    [GARBAGE_DROPPED] = "what is no frame was dropped",
    [FRAME_LOST_BY_QUEUE] = "a full queue lost a frame",
    [HELD_MESSAGES_RELEASED] = "a held message was released",
    [DEAF_LISTENER_HEALED] = "a deaf listener was healed",
    [DEAD_DIALER_HEALED] = "a dead dialer was healed",
    [HALF_OPEN_HEALED] = "a half-open connection was healed",
    [DIVERGENCE_BY_NOISE_HEALED] = "a stream diverged by noise, and healed",
    [KILLED_IN_A_STEP] = "a process died in the middle of a step",
    [KILLED_BEFORE_COMMIT] = "a process died before its commit",
    [KILLED_BETWEEN_COMMIT_AND_PUBLISH] = "a process died unpublished",
    [KILLED_WHILE_OPENING] = "a process died while it opened its files",
    [KILLED_IN_A_CHECKPOINT] = "a process died in a checkpoint",
    [KILLED_IN_A_VIEW] = "a process died while it wrote its view",
    [ALL_KILLED_AT_ONCE] = "all processes died at once",
    [POWER_CUT_LOST_SECTORS] = "a power cut lost sectors",
    [RESTART_WITH_A_HOT_WAL] = "a process found a hot WAL",
    [SYNC_FAILED] = "a sync failed",
    [COMMIT_FAILED_YET_THERE] = "a commit failed, yet was there",
    [READ_FAILED] = "a read failed",
    [WRITE_FAILED] = "a write failed",
    [SHORT_READ] = "a read was short",
    [DISK_FULL_AND_ON] = "a disk was full, and it went on",
    [DATABASE_LOCKED_AND_ON] = "a database was locked, and it went on",
    [OLD_SNAPSHOT_AT_START] = "a start waited for an old snapshot",
    [VIEW_BUILT_ANEW] = "a damaged view was built anew",
    [VIEW_REBUILT] = "a view was rebuilt",
    [CLOCK_WENT_BACK] = "a clock went back",
    [CLOCKS_DAYS_APART] = "two clocks were days apart",
    [CUT_BOTH_WAYS] = "two services were cut off from each other",
    [CUT_ONE_WAY] = "a service was not heard by another",
    [LONG_PAUSE] = "a process was stopped for long",
    [TIMERS_HELD] = "due timers were held back",
    [COMMAND_RESENT] = "a command was sent again, and answered the same",
    [CONFLICT_REFUSED] = "other content under the same id was refused",
    [CANCEL_TOO_LATE] = "a cancellation came too late",
    [ORDER_EXPIRED] = "an order expired",
    [STOCK_REJECTED_SEEN] = "stock did not suffice",
    [PAYMENT_DECLINED_SEEN] = "a payment was declined",
    [REFUND_SEEN] = "a payment was refunded",
    [VOID_SEEN] = "a payment was voided before it was asked for",
    [RELEASE_WITHOUT_RESERVATION] = "a release overtook its order",
    [SNAPSHOT_WRITTEN] = "a snapshot was written",
    [BACKUP_RESTORED] = "a backup was restored",
    [BEHIND_ITS_READERS] = "a log found itself behind its readers",
    [FORK_REFUSED] = "a fork was refused",
    [ENDED_WITHOUT_THE_OTHERS] = "orders expired while a service was away",
    [READ_YOUR_WRITE] = "a client read its own write",
};

/* ---- what is told ------------------------------------------------------- */

bool sim_stopped(const struct sim *sim)
{
    return sim->result->broken[0] != '\0';
}

void sim_broken(struct sim *sim, const char *id, const char *format, ...)
{
    struct sim_result *result = sim->result;
    va_list arguments;

    if (sim_stopped(sim))
        return; /* what follows may be a mere consequence */
    snprintf(result->broken, sizeof result->broken, "%s", id);
    va_start(arguments, format);
    vsnprintf(result->what, sizeof result->what, format, arguments);
    va_end(arguments);
    sim_trace(sim, "BROKEN %s: %s", id, result->what);
}

void sim_trace(struct sim *sim, const char *format, ...)
{
    va_list arguments;

    if (!sim->options->trace)
        return;
    printf("%8" PRIu64 ".%03u  ", sim->now_ms / 1000,
           (unsigned)(sim->now_ms % 1000));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* The running hash: eight bytes at a time, whatever the machine's order. */
void sim_mix(struct sim *sim, const void *bytes, size_t count)
{
    const uint8_t *byte = bytes;
    uint64_t hash = sim->result->hash ^ count;

    while (count > 0) {
        uint64_t word = 0;
        size_t part = count < 8 ? count : 8;

        for (size_t i = 0; i < part; i++)
            word |= (uint64_t)byte[i] << (8 * i);
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
        byte += part;
        count -= part;
    }
    sim->result->hash = hash;
}

static void mix_number(struct sim *sim, uint64_t number)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    sim_mix(sim, bytes, sizeof bytes);
}

/* ---- what will happen: a heap by time, then by order of birth ----------- */

static bool before(const struct item *a, const struct item *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

struct item *sim_item(struct sim *sim, enum item_kind kind, uint64_t in_ms,
                      size_t count)
{
    struct item *item = calloc(1, sizeof *item + count);

    if (item == NULL)
        abort();
    item->kind = kind;
    item->count = count;
    item->at_ms = sim->now_ms + in_ms;
    item->order = ++sim->order;
    return item;
}

void sim_push(struct sim *sim, struct item *item)
{
    size_t i = sim->heap_count++;

    if (i == sim->heap_room) {
        sim->heap_room = sim->heap_room * 2 + 64;
        sim->heap = realloc(sim->heap, sim->heap_room * sizeof(void *));
        if (sim->heap == NULL)
            abort();
    }
    for (; i > 0 && before(item, sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = item;
}

static struct item *pop(struct sim *sim)
{
    struct item *first = sim->heap[0], *last = sim->heap[--sim->heap_count];
    size_t i = 0, child;

    for (; (child = 2 * i + 1) < sim->heap_count; i = child) {
        if (child + 1 < sim->heap_count &&
            before(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!before(sim->heap[child], last))
            break;
        sim->heap[i] = sim->heap[child];
    }
    sim->heap[i] = last;
    return first;
}

/* ---- env ---------------------------------------------------------------- */

static uint64_t mono_of(const struct sim *sim, const struct node *node)
{
    return sim->now_ms - node->boot_ms + MONO_START_MS;
}

static uint64_t sim_mono_ms(void *ctx)
{
    const struct side_ctx *side = ctx;

    return mono_of(side->sim, &side->sim->nodes[side->node]);
}

static int64_t sim_wall_ms(void *ctx)
{
    const struct side_ctx *side = ctx;

    return WALL_START_MS + (int64_t)side->sim->now_ms +
           side->sim->nodes[side->node].skew_ms;
}

static void sim_random(void *ctx, void *bytes, size_t count)
{
    const struct side_ctx *side = ctx;

    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)mix64(&side->sim->random);
}

/* ---- life and death ----------------------------------------------------- */

static void drop_inbox(struct node *node)
{
    for (unsigned side = 0; side < SIDES; side++)
        while (node->inbox[side] != NULL) {
            struct item *item = node->inbox[side];

            node->inbox[side] = item->next;
            free(item);
        }
}

/* Everything in memory is gone; what the disk keeps is its own affair. */
static void bury(struct sim *sim, struct node *node)
{
    unsigned n = node->number;

    for (size_t i = 0;
         node->shell != NULL && i < node->shell->subscription_count; i++) {
        const struct subscription_counts *counts =
            &node->shell->subscriptions[i].counts;
        uint32_t *seen = sim->result->sometimes;

        seen[GAP_FOUND] += counts->gaps > 0;
        seen[DUPLICATE_DROPPED] += counts->duplicates > 0;
        seen[STALE_REPLY_DROPPED] += counts->stale > 0;
        seen[DAMAGED_FRAME_DROPPED] += counts->unchained > 0;
        seen[GARBAGE_DROPPED] += counts->garbage > 0;
    }
    if (node->shell != NULL && cache_snapshots(node->shell->cache) > 0)
        sim_sometimes(sim, SNAPSHOT_WRITTEN);
    if (node->reader != NULL)
        node->generation = view_db_generation(node->reader->live.db);
    seams_act(sim, (int)n);
    projection_close(node->reader);
    shell_close(node->shell);
    seams_act(sim, -1);
    node->reader = NULL;
    node->shell = NULL;
    drop_inbox(node);
    node->running = false;
    node->life++;
    node->paused_until_ms = 0;
    node->mode_before = SHELL_RUNNING;
}

static void start_later(struct sim *sim, unsigned number, uint64_t in_ms)
{
    struct item *item = sim_item(sim, A_START, in_ms, 0);

    item->node = number;
    item->life = sim->nodes[number].life;
    sim_push(sim, item);
}

static void cut_power(struct sim *sim, struct node *node)
{
    size_t lost;

    if (node->other != NULL) { /* on the same machine */
        sqlite3_close(node->other);
        node->other = NULL;
    }
    lost = simvfs_power_cut((int)node->number,
                            node->power == 2 ? 1 : sim->random | 2);
    sim->result->power_cuts++;
    if (lost > 0)
        sim_sometimes(sim, POWER_CUT_LOST_SECTORS);
    node->boot_ms = sim->now_ms;
    sim_trace(sim, "%s: the power was cut, %zu sectors are lost",
              node->service->name, lost);
    mix_number(sim, lost);
}

void sim_die(struct sim *sim, unsigned number, uint64_t back_in_ms)
{
    struct node *node = &sim->nodes[number];
    bool half_open = node->power != 0; /* nobody is left to say goodbye */

    sim->result->crashes++;
    simvfs_kill((int)number);
    bury(sim, node);
    if (node->power != 0)
        cut_power(sim, node);
    node->power = 0;
    node->point = NULL;
    simvfs_revive((int)number);
    simbus_close_node(sim, number, half_open);
    start_later(sim, number, back_in_ms);
}

void sim_leave(struct sim *sim, unsigned number, uint64_t back_in_ms)
{
    bury(sim, &sim->nodes[number]);
    simbus_close_node(sim, number, false);
    start_later(sim, number, back_in_ms);
}

/* Why it died, as far as anybody can tell: for the counters. */
static void count_death(struct sim *sim, struct node *node, bool opening)
{
    const char *last = simvfs_last((int)node->number);

    sim_sometimes(sim, KILLED_IN_A_STEP);
    if (opening)
        sim_sometimes(sim, KILLED_WHILE_OPENING);
    if (strncmp(last, "view", 4) == 0)
        sim_sometimes(sim, KILLED_IN_A_VIEW);
    if (strcmp(last, "log.db") == 0 && opening)
        sim_sometimes(sim, KILLED_IN_A_CHECKPOINT);
    if (node->died_at != NULL &&
        (strcmp(node->died_at, "crash/after-commit") == 0 ||
         strcmp(node->died_at, "crash/before-publish") == 0))
        sim_sometimes(sim, KILLED_BETWEEN_COMMIT_AND_PUBLISH);
    if (node->died_at == NULL && strcmp(last, "log.db-wal") == 0)
        sim_sometimes(sim, KILLED_BEFORE_COMMIT);
    sim_trace(sim, "%s died%s at %s", node->service->name,
              opening ? " while opening" : "",
              node->died_at != NULL ? node->died_at : last);
    node->died_at = NULL;
}

/* An I/O error said that nothing was kept of a batch that is there now. */
static void check_doubt(struct sim *sim, struct node *node)
{
    if (node->doubted > 0 && node->shell->store->head_seq >= node->doubted)
        sim_sometimes(sim, COMMIT_FAILED_YET_THERE);
    node->doubted = 0;
}

static void check_generation(struct sim *sim, struct node *node)
{
    uint64_t generation = view_db_generation(node->reader->live.db);

    if (node->generation != 0 && generation != node->generation)
        sim_sometimes(sim, VIEW_BUILT_ANEW);
    node->generation = generation;
}

/* What left the last life must be in this one's log. */
static void check_witness(struct sim *sim, struct node *node)
{
    uint8_t hash[HASH_BYTES];
    enum evt_status rc;

    seams_act(sim, -1);
    rc = store_hash_at(node->shell->store, node->witnessed, hash);
    if (node->witnessed == 0)
        return;
    if (rc != EVT_OK)
        sim_broken(sim, "lost",
                   "%s had event %" PRIu64 " published or "
                   "acknowledged, and has lost it",
                   node->service->name, node->witnessed);
    else if (memcmp(hash, node->witness, HASH_BYTES) != 0)
        sim_broken(sim, "lost",
                   "%s had another event %" PRIu64 " published or acknowledged",
                   node->service->name, node->witnessed);
}

static enum evt_status open_both(struct sim *sim, struct node *node,
                                 char why[STORE_WHY_BYTES])
{
    static const uint32_t no_timers[TIMERS_MAX];
    const struct shell_config config = {
        .path = node->log_path,
        .timer_ms = node->number == 0 ? &sim->config.deadline_ms : no_timers};
    enum evt_status rc;

    seams_act(sim, (int)node->number);
    rc = shell_open(node->service, &node->env[WRITE_SIDE], &config,
                    &node->shell, why);
    if (rc == EVT_OK)
        rc = projection_open(node->view, &node->env[READ_SIDE], &node->config,
                             &node->reader, why);
    seams_act(sim, -1);
    return rc;
}

/* Whether it may leave: something was done to its disk. */
static bool excused(struct sim *sim, struct node *node)
{
    static const enum sometimes seen[DISK_FAULTS] = {
        [DISK_EIO_READ] = READ_FAILED,
        [DISK_SHORT_READ] = SHORT_READ,
        [DISK_EIO_WRITE] = WRITE_FAILED,
        [DISK_EIO_SYNC] = SYNC_FAILED};
    bool excuse = node->excused;

    for (int fault = DISK_EIO_READ; fault < DISK_FAULTS; fault++) {
        uint64_t hits = simvfs_hits((int)node->number, (enum disk_fault)fault);

        if (hits > node->hits[fault]) {
            sim_sometimes(sim, seen[fault]);
            excuse = true;
        }
        node->hits[fault] = hits;
    }
    node->excused = false;
    return excuse;
}

/* Who runs and knows more of @node's log than there is: a backup was put back.
 * What such a reader has not saved its answer does not say, either. */
static void note_ahead(struct sim *sim, struct node *node)
{
    const struct store *log = node->shell->store;

    memset(node->ahead, 0, sizeof node->ahead);
    for (unsigned n = 0; n < SERVICES; n++) {
        const struct node *reader = &sim->nodes[n];

        for (size_t i = 0;
             reader->running && i < reader->shell->subscription_count; i++) {
            const struct position *at = &reader->shell->saved[i].at;

            if (reader->links[WRITE_SIDE][i].publisher == node->number &&
                at->seq > log->head_seq &&
                memcmp(at->log_id, store_log_id(log), LOG_ID_BYTES) == 0)
                node->ahead[n] = reader->life;
        }
    }
}

/* Such a reader is there to say so: what is recorded before it can possibly
 * have been found away takes the number of an event that it consumed. */
static void check_lost_numbers(struct sim *sim, const struct node *node)
{
    if (sim->now_ms >= node->started_ms + STARTING_MS)
        return;
    for (unsigned n = 0; n < SERVICES; n++)
        if (sim->nodes[n].running && sim->nodes[n].life == node->ahead[n])
            sim_broken(sim, "restored",
                       "%s has recorded #%" PRIu64
                       ", before %s could say that it had consumed that",
                       node->service->name, node->shell->store->head_seq,
                       sim->nodes[n].service->name);
}

static void start(struct sim *sim, struct node *node)
{
    char why[STORE_WHY_BYTES] = "";
    bool hot = simvfs_size((int)node->number, "log.db-wal") > 0;
    enum evt_status rc = open_both(sim, node, why);

    if (simvfs_dead((int)node->number)) {
        count_death(sim, node, true);
        sim_die(sim, node->number, 200);
        return;
    }
    if (rc != EVT_OK) {
        sim_trace(sim, "%s cannot start: %s", node->service->name, why);
        if (rc == EVT_BUSY && node->other != NULL)
            sim_sometimes(sim, OLD_SNAPSHOT_AT_START);
        else if (rc != EVT_FULL && !excused(sim, node))
            sim_broken(sim, "start", "%s cannot start (%d): %s",
                       node->service->name, (int)rc, why);
        bury(sim, node);
        start_later(sim, node->number, 300);
        return;
    }
    if (hot)
        sim_sometimes(sim, RESTART_WITH_A_HOT_WAL);
    node->running = node->opened = true;
    node->head = 0;
    node->started_ms = sim->now_ms;
    node->started_head = node->shell->store->head_seq;
    note_ahead(sim, node);
    node->spins = 0;
    node->busy_ms[0] = node->busy_ms[1] = sim->now_ms;
    simbus_open_node(sim, node->number);
    check_witness(sim, node);
    check_doubt(sim, node);
    check_generation(sim, node);
    sim_trace(sim, "%s runs, its log is at %" PRIu64, node->service->name,
              node->shell->store->head_seq);
}

/* ---- a step ------------------------------------------------------------- */

/* Heads and cursors only ever grow, and no cursor is where nothing is. */
static void check_step(struct sim *sim, struct node *node)
{
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;

    if (store_head(node->shell->store, &head, hash) != EVT_OK)
        return;
    if (head < node->head)
        sim_broken(sim, "head", "%s's head went from %" PRIu64 " to %" PRIu64,
                   node->service->name, node->head, head);
    if (head > node->started_head)
        check_lost_numbers(sim, node);
    node->head = head;
    mix_number(sim, head);
    for (size_t i = 0; i < node->shell->subscription_count; i++) {
        const struct subscription *sub = &node->shell->subscriptions[i];
        unsigned from = node->links[WRITE_SIDE][i].publisher;
        const struct node *publisher = &sim->nodes[from];

        mix_number(sim, sub->cursor.at.seq);
        if (sub->cursor.at.seq < node->shell->saved[i].at.seq)
            sim_broken(sim, "cursor", "%s's cursor on %s went back",
                       node->service->name, sub->source);
        if (publisher->running && sub->cursor.at.seq > publisher->head &&
            publisher->head > 0 && !sim->restored)
            sim_broken(sim, "S10",
                       "%s has consumed %s #%" PRIu64
                       ", whose head is #%" PRIu64,
                       node->service->name, sub->source, sub->cursor.at.seq,
                       publisher->head);
    }
}

/* A step answers what it was asked; only a query may wait. */
static void check_answered(struct sim *sim, const struct node *node,
                           unsigned side, const struct item *taken)
{
    for (; taken != NULL; taken = taken->next) {
        const struct request *request = &sim->requests[taken->from];

        if (taken->input == INPUT_REQUEST && request->open &&
            (side == WRITE_SIDE || request->pull))
            sim_broken(sim, "answer", "%s did not answer a request",
                       node->service->name);
    }
}

/* What the shell's states say about rare things. */
static void watch_states(struct sim *sim, struct node *node)
{
    const struct shell *shell = node->shell;

    if (shell->mode == SHELL_RUNNING && node->mode_before == SHELL_FULL)
        sim_sometimes(sim, DISK_FULL_AND_ON);
    if (shell->mode == SHELL_RUNNING && node->mode_before == SHELL_LOCKED)
        sim_sometimes(sim, DATABASE_LOCKED_AND_ON);
    node->mode_before = shell->mode;
    if (shell->timers_held && shell->due_ms > 0 &&
        timers_clock(shell) >= shell->due_ms)
        sim_sometimes(sim, TIMERS_HELD);
}

static size_t take_inbox(struct sim *sim, struct node *node, unsigned side,
                         struct input inputs[], struct item **taken)
{
    struct item **end = taken;
    size_t count = 0;

    while (node->inbox[side] != NULL && count < INPUTS_AT_ONCE) {
        struct item *item = node->inbox[side];
        struct link *link =
            item->from < SIM_LINKS && item->input != INPUT_REQUEST
                ? &node->links[side][item->from]
                : NULL;

        node->inbox[side] = item->next;
        item->next = NULL;
        *end = item;
        end = &item->next;
        if (item->through != NULL && item->through->queued > 0)
            item->through->queued--;
        if (item->input == INPUT_FRAME)
            link->sub.heard_ms = sim->now_ms;
        if (item->input == INPUT_REPLY)
            link->req.heard_ms = sim->now_ms;
        if (item->input == INPUT_REQUEST) {
            struct request *request = &sim->requests[item->from];

            if (request->open) { /* a repeated message has its own answer */
                item->from = simbus_again(sim, item->from);
                request = &sim->requests[item->from];
            }
            request->open = true;
            request->life = node->life;
        }
        inputs[count++] =
            (struct input){item->input, item->from, item->bytes, item->count};
        mix_number(sim, (uint64_t)item->input << 8 | side);
        sim_mix(sim, item->bytes, item->count);
    }
    return count;
}

static void trace_step(struct sim *sim, const struct node *node, unsigned side,
                       const struct input inputs[], size_t count)
{
    unsigned kinds[4] = {0};

    if (!sim->options->trace || count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        kinds[inputs[i].kind]++;
    sim_trace(sim,
              "%s %s took %u frames, %u replies, %u connections, %u requests",
              node->service->name, side == WRITE_SIDE ? "writer" : "reader",
              kinds[INPUT_FRAME], kinds[INPUT_REPLY], kinds[INPUT_CONNECTED],
              kinds[INPUT_REQUEST]);
}

/* The process has left because of an I/O error. */
static void left(struct sim *sim, struct node *node, const char *why)
{
    sim_trace(sim, "%s leaves: %s", node->service->name, why);
    if (node->shell->store->head_seq > node->shell->store->durable_seq)
        node->doubted = node->shell->store->head_seq;
    if (!excused(sim, node))
        sim_broken(sim, "left", "%s left without a reason: %s",
                   node->service->name, why);
    sim_die(sim, node->number, 500);
}

static bool diverged(const struct node *node)
{
    bool any = false;

    for (size_t i = 0; i < node->shell->subscription_count; i++)
        any = any || node->shell->subscriptions[i].state == SUB_DIVERGED;
    return any;
}

/* As one turn of a loop of host.c. */
static void step_side(struct sim *sim, struct node *node, unsigned side)
{
    static struct input inputs[INPUTS_AT_ONCE];
    struct item *taken = NULL, *next;
    size_t count = take_inbox(sim, node, side, inputs, &taken);
    bool was_diverged = diverged(node);
    enum evt_status rc;

    sim->result->steps++;
    mix_number(sim, sim->now_ms << 8 | node->number << 1 | side);
    trace_step(sim, node, side, inputs, count);
    node->spins =
        count > 0 || node->busy_ms[side] < sim->now_ms ? 0 : node->spins + 1;
    node->busy_ms[side] =
        sim->now_ms + (count > 0 ? sim->config.step_ms : 0) +
        (sim->now_ms < node->slow_until_ms && count > 0 ? 1500 : 0);
    seams_act(sim, (int)node->number);
    rc = side == WRITE_SIDE ? shell_step(node->shell, inputs, count)
                            : projection_step(node->reader, inputs, count);
    seams_act(sim, -1);
    if (simvfs_dead((int)node->number)) {
        count_death(sim, node, false);
        sim_die(sim, node->number, 200 + choose(sim->choice, 64) * 40);
    } else if (rc != EVT_OK) {
        left(sim, node,
             side == WRITE_SIDE ? shell_error(node->shell)
                                : projection_error(node->reader));
    } else {
        check_answered(sim, node, side, taken);
        if (side == WRITE_SIDE) {
            check_step(sim, node);
            watch_states(sim, node);
        }
        if (was_diverged && !diverged(node))
            sim_sometimes(sim, DIVERGENCE_BY_NOISE_HEALED);
        if (node->spins > SPINS_MAX)
            sim_broken(sim, "livelock", "%s %s spins", node->service->name,
                       side == WRITE_SIDE ? "writer" : "reader");
    }
    for (; taken != NULL; taken = next) {
        next = taken->next;
        free(taken);
    }
}

/* ---- the order of events ------------------------------------------------ */

static bool can_step(const struct sim *sim, const struct node *node)
{
    return node->running && node->paused_until_ms <= sim->now_ms;
}

/* When a side wants its turn. */
static uint64_t wanted_ms(const struct sim *sim, const struct node *node,
                          unsigned side)
{
    uint64_t wake, now;

    if (!node->running)
        return UINT64_MAX;
    now = sim->now_ms > node->paused_until_ms ? sim->now_ms
                                              : node->paused_until_ms;
    if (node->busy_ms[side] > now)
        now = node->busy_ms[side];
    if (node->inbox[side] != NULL)
        return now;
    wake = side == WRITE_SIDE ? shell_wake_ms(node->shell)
                              : projection_wake_ms(node->reader);
    if (wake == UINT64_MAX)
        return wake;
    wake = wake + node->boot_ms < MONO_START_MS
               ? 0
               : wake + node->boot_ms - MONO_START_MS;
    return wake > now ? wake : now;
}

static void deliver(struct sim *sim, struct item *item)
{
    struct node *node = &sim->nodes[item->node];
    struct item **end = &node->inbox[item->side];

    if (!node->running || (item->life != 0 && item->life != node->life)) {
        if (item->through != NULL && item->through->queued > 0)
            item->through->queued--;
        free(item);
        return;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = item;
}

static bool stays_away(const struct sim *sim, const struct node *node)
{
    return sim->healing && node->number != 0 &&
           node->number == sim->config.down;
}

static void happen(struct sim *sim, struct item *item)
{
    struct node *node = &sim->nodes[item->node];

    switch (item->kind) {
    case AN_INPUT:
        deliver(sim, item);
        return;
    case AN_ANSWER:
        clients_answer(sim, item->number, item->bytes, item->count);
        break;
    case A_JOB:
        clients_run(sim, item->number);
        break;
    case A_FAULT:
        if (!sim->healing)
            chaos_strike(sim);
        break;
    case A_START:
        if (!node->running && item->life == node->life &&
            !stays_away(sim, node))
            start(sim, node);
        break;
    case AN_END:
        chaos_end(sim, item);
        break;
    case A_WATCH:
        for (unsigned i = 0; i < SERVICES; i++)
            if (can_step(sim, &sim->nodes[i]))
                simbus_watch(sim, i);
        item->at_ms += WATCH_EVERY_MS;
        sim_push(sim, item);
        return;
    }
    free(item);
}

/* The next thing that happens, if it does so before @end_ms. */
static bool advance(struct sim *sim, uint64_t end_ms)
{
    uint64_t next = sim->heap_count > 0 ? sim->heap[0]->at_ms : UINT64_MAX;
    struct node *node = NULL;
    unsigned side = 0;

    for (unsigned n = 0; n < SERVICES; n++)
        for (unsigned s = 0; s < SIDES; s++) {
            uint64_t wanted = wanted_ms(sim, &sim->nodes[n], s);

            if (wanted < next) {
                next = wanted;
                node = &sim->nodes[n];
                side = s;
            }
        }
    if (next >= end_ms || sim_stopped(sim))
        return false;
    if (next > sim->now_ms)
        sim->now_ms = next;
    if (node != NULL)
        step_side(sim, node, side);
    else
        happen(sim, pop(sim));
    if (sim->result->steps > STEPS_MAX)
        sim_broken(sim, "livelock", "more than %d steps", STEPS_MAX);
    return true;
}

/* ---- the end ------------------------------------------------------------ */

static bool subscriptions_quiet(const struct sim *sim,
                                const struct subscription *subscriptions,
                                size_t count)
{
    bool quiet = true;

    for (size_t i = 0; i < count; i++)
        for (unsigned n = 0; n < SERVICES; n++)
            if (strcmp(subscriptions[i].source, shop_services[n]) == 0)
                quiet = quiet && subscriptions[i].state != SUB_DIVERGED &&
                        subscriptions[i].cursor.at.seq == sim->nodes[n].head;
    return quiet;
}

static bool saved_quiet(const struct subscription *subscriptions,
                        const struct cursor *saved, size_t count)
{
    bool quiet = true;

    for (size_t i = 0; i < count; i++)
        quiet = quiet && subscriptions[i].cursor.at.seq == saved[i].at.seq;
    return quiet;
}

static bool all_quiet(const struct sim *sim)
{
    bool quiet = clients_done(sim);

    for (unsigned n = 0; n < SERVICES && quiet; n++) {
        const struct node *node = &sim->nodes[n];

        quiet = node->running && node->shell->due_ms == INT64_MAX &&
                subscriptions_quiet(sim, node->shell->subscriptions,
                                    node->shell->subscription_count) &&
                saved_quiet(node->shell->subscriptions, node->shell->saved,
                            node->shell->subscription_count) &&
                subscriptions_quiet(sim, node->reader->live.subscriptions,
                                    node->reader->live.subscription_count) &&
                node->reader->rebuild.phase == REBUILD_NONE &&
                node->inbox[0] == NULL && node->inbox[1] == NULL;
    }
    return quiet;
}

/* A cursor that is not in its publisher's log is known for what it is. */
static void check_fork(struct sim *sim, const struct node *node,
                       const struct subscription *sub)
{
    const struct node *publisher = node;
    uint8_t hash[HASH_BYTES];
    bool whole;

    for (unsigned n = 0; n < SERVICES; n++)
        if (strcmp(shop_services[n], sub->source) == 0)
            publisher = &sim->nodes[n];
    if (!publisher->running)
        return;
    whole = store_hash_at(publisher->shell->store, sub->cursor.at.seq, hash) ==
                EVT_OK &&
            (sub->cursor.at.seq == 0 ||
             memcmp(hash, sub->cursor.hash, HASH_BYTES) == 0);
    if (!whole && sub->state != SUB_DIVERGED)
        sim_broken(sim, "fork",
                   "%s goes on with %s's log at #%" PRIu64
                   ", which is not what it consumed",
                   node->service->name, sub->source, sub->cursor.at.seq);
    if (whole && sub->state == SUB_DIVERGED)
        sim_broken(sim, "fork", "%s takes %s's log for another one",
                   node->service->name, sub->source);
    if (!whole && sub->verdict == PULL_FORKED)
        sim_sometimes(sim, FORK_REFUSED);
    if (sub->cursor.at.seq <= publisher->shell->store->head_seq)
        return;
    if (publisher->shell->mode == SHELL_BEHIND)
        sim_sometimes(sim, BEHIND_ITS_READERS);
    else
        sim_broken(sim, "fork", "%s does not notice that %s is ahead of it",
                   publisher->service->name, node->service->name);
}

static void check_forks(struct sim *sim)
{
    for (unsigned n = 0; n < SERVICES; n++)
        for (size_t i = 0; sim->nodes[n].running &&
                           i < sim->nodes[n].shell->subscription_count;
             i++)
            check_fork(sim, &sim->nodes[n],
                       &sim->nodes[n].shell->subscriptions[i]);
}

static void report(void *ctx, unsigned id, const char *subject,
                   const char *text, const struct check_wait *wait)
{
    (void)wait;
    sim_broken(ctx, check_name(&shop_invariants, id), "%s: %s", subject, text);
}

static void write_journal(const struct sim *sim, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL ||
        fwrite(sim->journal, 1, sim->journal_bytes, file) !=
            sim->journal_bytes ||
        fclose(file) != 0)
        abort();
}

void sim_check(struct sim *sim, bool final)
{
    static const char journal[] = "journal";
    char why[STORE_WHY_BYTES] = "";
    struct check_summary summary;
    struct check_options options = {.invariants = &shop_invariants,
                                    .directory = ".",
                                    .vfs = "sim",
                                    .services = roster_services,
                                    .service_count = SERVICES,
                                    .views = roster_views,
                                    .final = final,
                                    .journal = journal,
                                    .scratch = "."};
    enum evt_status rc;

    for (unsigned n = 0; n < SERVICES; n++)
        if (!sim->nodes[n].opened || sim->restored)
            return; /* there is no file yet; or it is not whole */
    write_journal(sim, journal);
    if (sim->healing)
        options.now_ms = timers_clock(sim->nodes[0].shell);
    for (unsigned n = 0; n < SERVICES; n++)
        options.runs[n] = sim->healing;
    seams_act(sim, -1);
    rc = check_run(&options, report, sim, &summary, why);
    if (rc != EVT_OK)
        sim_broken(sim, "look", "the checker cannot look (%d): %s", (int)rc,
                   why);
    if (final && rc == EVT_OK && summary.views != SERVICES)
        sim_broken(sim, "look", "only %" PRIu64 " views were compared",
                   summary.views);
    sim_trace(sim, "checked: %" PRIu64 " orders, %" PRIu64 " unended",
              summary.sagas, summary.unended);
    sim->result->orders = summary.sagas;
    sim->result->events =
        summary.heads[0] + summary.heads[1] + summary.heads[2];
}

/* How many rows a query finds in the log of @node. */
static int64_t rows(const struct node *node, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t count = 0;

    if (sqlite3_prepare_v2(store_connection(node->shell->store), sql, -1,
                           &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

/* What the logs say about rare things. */
static void count_stories(struct sim *sim)
{
    static const struct {
        enum sometimes what;
        unsigned node;
        const char *sql;
    } stories[] = {
        {ORDER_EXPIRED, 0,
         "SELECT count(*) FROM event WHERE type = 'OrderCancelling'"
         " AND cause_source <> ''"},
        {STOCK_REJECTED_SEEN, 1,
         "SELECT count(*) FROM event WHERE type = 'StockRejected'"},
        {RELEASE_WITHOUT_RESERVATION, 1,
         "SELECT count(*) FROM event e WHERE type = 'StockReleased' AND NOT"
         " EXISTS (SELECT 1 FROM event r WHERE r.order_id = e.order_id"
         " AND r.type = 'StockReserved')"},
        {PAYMENT_DECLINED_SEEN, 2,
         "SELECT count(*) FROM event WHERE type = 'PaymentDeclined'"},
        {REFUND_SEEN, 2,
         "SELECT count(*) FROM event WHERE type = 'PaymentRefunded'"},
        {VOID_SEEN, 2,
         "SELECT count(*) FROM event WHERE type = 'PaymentVoided'"},
    };

    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
        if (rows(&sim->nodes[stories[i].node], stories[i].sql) > 0)
            sim_sometimes(sim, stories[i].what);
}

/* ---- the run ------------------------------------------------------------ */

static void open_world(struct sim *sim)
{
    for (unsigned n = 0; n < SERVICES; n++) {
        struct node *node = &sim->nodes[n];
        struct item *item = sim_item(sim, A_START, 0, 0);

        node->number = n;
        node->life = 1;
        node->service = roster_services[n];
        node->view = roster_views[n];
        snprintf(node->directory, sizeof node->directory, "./%s",
                 node->service->name);
        snprintf(node->log_path, sizeof node->log_path, "%s/log.db",
                 node->directory);
        node->config =
            (struct projection_config){.service = node->service->name,
                                       .log_path = node->log_path,
                                       .directory = node->directory};
        for (unsigned side = 0; side < SIDES; side++) {
            node->ctx[side] = (struct side_ctx){sim, n, side};
            node->env[side] = (struct env){.ctx = &node->ctx[side],
                                           .mono_ms = sim_mono_ms,
                                           .wall_ms = sim_wall_ms,
                                           .random = sim_random,
                                           .send = simbus_send,
                                           .vfs = "sim"};
        }
        item->node = n;
        item->life = node->life;
        sim_push(sim, item);
    }
    sim_push(sim, sim_item(sim, A_WATCH, 10, 0));
}

static void close_world(struct sim *sim)
{
    char link[300];

    for (unsigned n = 0; n < SERVICES; n++) {
        struct node *node = &sim->nodes[n];

        if (node->other != NULL)
            sqlite3_close(node->other);
        bury(sim, node);
        snprintf(link, sizeof link, "%s/view.db", node->directory);
        unlink(link);
    }
    while (sim->heap_count > 0)
        free(pop(sim));
    free(sim->heap);
    free(sim->requests);
    free(sim->journal);
}

/* One service is away for ever: all that can be known is safe, and no order
 * waits beyond its deadline. */
static void check_alone(struct sim *sim)
{
    if (!sim->nodes[0].running)
        sim_broken(sim, "quiet", "order does not run");
    else if (!sim->nodes[0].opened || !sim->nodes[1].opened ||
             !sim->nodes[2].opened)
        return;
    else
        sim_check(sim, false);
    if (!sim_stopped(sim) &&
        rows(&sim->nodes[0], "SELECT count(*) FROM event "
                             "WHERE type = 'OrderCancelling' AND "
                             "cause_source <> ''") > 0)
        sim_sometimes(sim, ENDED_WITHOUT_THE_OTHERS);
}

/* Everything works again; then all has to come to rest within a bound. */
static void heal(struct sim *sim)
{
    uint64_t end;

    sim->healing = true;
    sim_trace(sim, "from here on nothing goes wrong any more");
    chaos_heal(sim);
    end = sim->now_ms + sim->config.deadline_ms + QUIET_SLACK_MS;
    while ((sim->restored || sim->config.down != 0 || !all_quiet(sim)) &&
           advance(sim, end))
        ;
    if (sim_stopped(sim))
        return;
    if (!all_quiet(sim))
        for (unsigned n = 0; n < SERVICES; n++)
            if (!sim->nodes[n].running && n != sim->config.down)
                sim_broken(sim, "quiet", "%s does not run",
                           roster_services[n]->name);
    if (sim_stopped(sim))
        return;
    if (sim->restored) {
        check_forks(sim);
        return;
    }
    if (sim->config.down != 0) {
        check_alone(sim);
        return;
    }
    if (!sim_stopped(sim))
        sim_check(sim, true);
    if (!sim_stopped(sim) && !all_quiet(sim))
        sim_broken(sim, "quiet", "it does not come to rest");
    if (!sim_stopped(sim))
        count_stories(sim);
}

/* As the services do, it lives in its directory: then no path that anything
 * says depends on where that is.  Returns the way back. */
static int enter(const char *directory)
{
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (back < 0 || chdir(directory) != 0)
        abort();
    return back;
}

static void leave(int back)
{
    if (fchdir(back) != 0)
        abort();
    close(back);
}

void sim_run(struct choice *choice, const struct sim_options *options,
             struct sim_result *result)
{
    static struct sim sim; /* large */
    int back = enter(options->directory);

    memset(&sim, 0, sizeof sim);
    memset(result, 0, sizeof *result);
    sim.choice = choice;
    sim.options = options;
    sim.result = result;
    sim.random = 42;
    simvfs_reset(42);
    open_world(&sim);
    clients_open(&sim);
    chaos_open(&sim);
    while ((!sim_stopped(&sim) && sim.now_ms < sim.last_job_ms) &&
           advance(&sim, sim.last_job_ms))
        ;
    if (!sim_stopped(&sim))
        heal(&sim);
    result->ended_ms = sim.now_ms;
    close_world(&sim);
    leave(back);
}
