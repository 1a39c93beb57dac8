/* chaos.c - what goes wrong: a few kinds of trouble, drawn for each run, that
 * strike nodes, links, disks and clocks; and how all of it ends.
 *
 * Each run allows some kinds only (swarm testing: Groce et al., ISSTA 2012):
 * a run with everything at once rarely gets deep into anything.  This file does
 * what a machine or a stranger can do to a service, and never reaches into one.
 * Next: main.c. */
#include "sim.h"

#include "shop/shop.h"
#include "simvfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum trouble {
    KILL,    /* between two steps */
    KILL_OP, /* at an operation on the disk */
    KILL_POINT /* at a fault point */,
    KILL_ALL,
    KILL_TWICE, /* and once more, while it opens its files */
    POWER,      /* as the first two, and the power is cut */
    POWER_OP,
    POWER_POINT,
    TERMINATE, /* SIGTERM: closes everything in order */
    PAUSE,     /* SIGSTOP */
    FULL,
    SLOW,
    READ_ERROR,
    SHORT_READ_ERROR,
    WRITE_ERROR,
    SYNC_ERROR,
    PARTITION,
    CLOCK,
    DEAF,
    DEAD_DIALER,
    LOCKED,       /* a stranger's write transaction */
    OLD_SNAPSHOT, /* a stranger's read transaction */
    ROTTEN_VIEW,
    REBUILD,
    BACKUP,
    RESTORE,
    KINDS
};

static const char *const points[] = {
    "crash/after-commit",       "crash/before-begin",     "crash/after-append",
    "crash/before-commit",      "crash/before-publish",   "crash/after-publish",
    "crash/read-before-commit", "crash/read-after-commit"};

/* ---- what may happen in this run ---------------------------------------- */

void chaos_open(struct sim *sim)
{
    static const unsigned noises[] = {0, 8, 40, 120};
    static const unsigned latencies[] = {1, 10, 100, 2};
    static const unsigned queues[] = {128, 16, 2};
    struct sim_config *config = &sim->config;
    struct choice *choice = sim->choice;
    unsigned rich;

    config->noise = noises[choose(choice, 4)];
    for (unsigned i = 0; i < 5; i++)
        if (chance(choice, 128))
            config->noises[config->noise_count++] = i;
    if (config->noise_count == 0)
        config->noise = 0;
    config->latency_ms = latencies[choose(choice, 4)];
    config->step_ms = choose(choice, 3) * 4;
    config->queue = queues[choose(choice, 3)];
    rich = choose(choice, 4) * 50; /* of 256: how many kinds there are */
    for (unsigned i = 0; i < KINDS; i++)
        if (chance(choice, 20 + rich))
            config->kinds[config->kind_count++] = i;
    config->faults = config->kind_count > 0 ? choose(choice, 24) : 0;
    config->fault_gap_ms = 64u << choose(choice, 8);
    config->down = chance(choice, 16) ? 1 + choose(choice, 2) : 0;
    config->checks = chance(choice, 32) ? 128 : 0;
    sim_trace(sim, "%u orders, %u faults of %u kinds, noise %u of %u kinds",
              config->orders, config->faults, config->kind_count, config->noise,
              config->noise_count);
    if (config->faults > 0)
        sim_push(sim, sim_item(sim, A_FAULT, 1 + choose(choice, 4096), 0));
}

/* ---- striking ----------------------------------------------------------- */

static void end_later(struct sim *sim, enum trouble kind, unsigned node,
                      uint64_t in_ms)
{
    struct item *item = sim_item(sim, AN_END, in_ms, 0);

    item->node = node;
    item->number = kind;
    sim_push(sim, item);
}

static uint64_t back_in_ms(struct sim *sim)
{
    return 50 + (uint64_t)(choose(sim->choice, 256) << choose(sim->choice, 7));
}

static void arm(struct sim *sim, struct node *node, enum disk_fault fault)
{
    unsigned after = 1 + choose(sim->choice, fault == DISK_EIO_SYNC ? 6 : 64);

    if (fault == DISK_CRASH && chance(sim->choice, 64))
        after += choose(sim->choice, 1024);
    simvfs_arm((int)node->number, fault, after);
}

static void strike_all(struct sim *sim)
{
    bool power = chance(sim->choice, 128);

    for (unsigned n = 0; n < SERVICES; n++) {
        sim->nodes[n].power = power ? 1 : 0;
        if (sim->nodes[n].running)
            sim_die(sim, n, back_in_ms(sim));
    }
    sim_sometimes(sim, ALL_KILLED_AT_ONCE);
}

static void partition(struct sim *sim)
{
    unsigned from = choose(sim->choice, SERVICES);
    unsigned to = choose(sim->choice, SERVICES);
    uint64_t until =
        sim->now_ms + 100 +
        (uint64_t)(choose(sim->choice, 128) << choose(sim->choice, 8));
    unsigned kinds = 1 + choose(sim->choice, 7), both = choose(sim->choice, 2);
    bool hold = chance(sim->choice, 128);

    for (unsigned kind = 0; kind < 3; kind++)
        if ((kinds & 1u << kind) != 0) {
            sim->blocked_ms[from][to][kind] = until;
            sim->held[from][to][kind] = hold;
            if (both) {
                sim->blocked_ms[to][from][kind] = until;
                sim->held[to][from][kind] = hold;
            }
        }
    if (from != to)
        sim_sometimes(sim, both ? CUT_BOTH_WAYS : CUT_ONE_WAY);
    sim_trace(sim, "%s to %s is cut%s until %u.%03u", shop_services[from],
              shop_services[to], both ? " both ways" : "",
              (unsigned)(until / 1000), (unsigned)(until % 1000));
}

static void change_clock(struct sim *sim, struct node *node)
{
    static const int64_t steps[] = {1000, 60000, 3600000, 86400000,
                                    INT64_C(31536000000)};
    int64_t step = steps[choose(sim->choice, 5)];

    if (chance(sim->choice, 128)) {
        sim_sometimes(sim, CLOCK_WENT_BACK);
        step = -step;
    }
    node->skew_ms += step;
    for (unsigned n = 0; n < SERVICES; n++)
        if (llabs(node->skew_ms - sim->nodes[n].skew_ms) > 86400000)
            sim_sometimes(sim, CLOCKS_DAYS_APART);
    sim_trace(sim, "the clock of %s jumps by %lld s", node->service->name,
              (long long)(step / 1000));
}

/* A program of somebody else's takes hold of the log file. */
static void hold_file(struct sim *sim, struct node *node, bool write)
{
    const char *sql =
        write ? "BEGIN IMMEDIATE" : "BEGIN; SELECT count(*) FROM event";

    if (node->other != NULL || !node->opened)
        return;
    if (sqlite3_open_v2(node->log_path, &node->other,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        "sim") != SQLITE_OK ||
        sqlite3_exec(node->other, sql, NULL, NULL, NULL) != SQLITE_OK) {
        sqlite3_close(node->other);
        node->other = NULL;
        return;
    }
    sim_trace(sim, "somebody holds %s's log", node->service->name);
    end_later(sim, LOCKED, node->number, 50 + choose(sim->choice, 4096));
}

static void let_go(struct node *node)
{
    sqlite3_close(node->other);
    node->other = NULL;
}

static void deafen(struct sim *sim, struct node *node)
{
    unsigned which = choose(sim->choice, 2);

    node->deaf[which] = true;
    node->deaf_ms[which] = sim->now_ms;
}

static void kill_dialer(struct sim *sim, struct node *node)
{
    unsigned side = choose(sim->choice, SIDES);
    struct link *link;
    struct wire *wire;

    if (node->link_count[side] == 0)
        return;
    link = &node->links[side]
                       [choose(sim->choice, (unsigned)node->link_count[side])];
    wire =
        chance(sim->choice, 128) || !link->sub.exists ? &link->req : &link->sub;
    wire->up = false;
    wire->dead = true;
}

/* The view's file is damaged where SQLite is sure to notice. */
static void rot(struct sim *sim, struct node *node)
{
    char name[64];

    if (node->generation == 0)
        return;
    snprintf(name, sizeof name, "/view.%llu.db",
             (unsigned long long)node->generation);
    if (!simvfs_rot((int)node->number, name, 0, 100))
        return;
    node->excused = true;
    sim_trace(sim, "%s's view is damaged", node->service->name);
    sim_die(sim, node->number, back_in_ms(sim));
}

static void die_at_point(struct sim *sim, struct node *node)
{
    node->point = points[choose(sim->choice, 8)];
    node->point_after = choose(sim->choice, 4);
}

/* One of the others may hear nothing of what comes now: it is not among those
 * who have consumed what a restore will lose. */
static void back_up(struct sim *sim, struct node *node)
{
    unsigned deaf = choose(sim->choice, 2 * SERVICES);

    simvfs_backup((int)node->number);
    if (deaf >= SERVICES)
        return;
    for (unsigned kind = FRAMES; kind <= REPLIES; kind++)
        if (kind != PULLS) {
            sim->blocked_ms[node->number][deaf][kind] = sim->now_ms + 16384;
            sim->held[node->number][deaf][kind] = false;
        }
}

/* It hears late where others are: where one of them is, or where all are. */
static void hear_late(struct sim *sim, const struct node *node)
{
    unsigned late = choose(sim->choice, 2 * SERVICES);

    for (unsigned n = 0; n < SERVICES; n++)
        if (late >= SERVICES)
            sim->blocked_ms[node->number][n][PULLS] = sim->now_ms + 16384;
        else if (n == late)
            sim->blocked_ms[node->number][n][PULLS] =
                sim->now_ms + 256 + choose(sim->choice, 2048);
}

/* From here on promises are broken; nobody may take the log for whole. */
static void restore(struct sim *sim, struct node *node)
{
    sim_die(sim, node->number, back_in_ms(sim));
    /* Whoever puts a file back under another program that has it open spoils
     * it in place: sqlite.org, "How To Corrupt An SQLite Database File".  `saga
     * help backup` says so; it is no fault that anybody could heal. */
    sqlite3_close(node->other);
    node->other = NULL;
    if (!simvfs_restore((int)node->number)) {
        back_up(sim, node); /* for the next time */
        return;
    }
    sim_sometimes(sim, BACKUP_RESTORED);
    if (chance(sim->choice, 192))
        hear_late(sim, node);
    sim->restored = true;
    node->witnessed = node->head = 0;
}

static void strike(struct sim *sim, enum trouble kind, struct node *node)
{
    unsigned n = node->number;

    switch (kind) {
    case POWER:
        node->power = 1 + choose(sim->choice, 2);
        /* fall through */
    case KILL:
        sim_die(sim, n, back_in_ms(sim));
        break;
    case POWER_OP:
        node->power = 1 + choose(sim->choice, 2);
        /* fall through */
    case KILL_OP:
        arm(sim, node, DISK_CRASH);
        break;
    case POWER_POINT:
        node->power = 1 + choose(sim->choice, 2);
        /* fall through */
    case KILL_POINT:
        die_at_point(sim, node);
        break;
    case KILL_ALL:
        strike_all(sim);
        break;
    case KILL_TWICE:
        node->power = choose(sim->choice, 3);
        sim_die(sim, n, back_in_ms(sim));
        node->power = choose(sim->choice, 3);
        arm(sim, node, DISK_CRASH);
        break;
    case TERMINATE:
        sim_leave(sim, n, back_in_ms(sim));
        break;
    case PAUSE:
        node->paused_until_ms = sim->now_ms + 100 + choose(sim->choice, 16384);
        if (node->paused_until_ms > sim->now_ms + LONG_PAUSE_MS)
            sim_sometimes(sim, LONG_PAUSE);
        break;
    case FULL:
        simvfs_set_full((int)n, true);
        end_later(sim, FULL, n, 100 + choose(sim->choice, 8192));
        break;
    case SLOW:
        node->slow_until_ms = sim->now_ms + choose(sim->choice, 8192);
        break;
    case READ_ERROR:
        arm(sim, node, DISK_EIO_READ);
        break;
    case SHORT_READ_ERROR:
        arm(sim, node, DISK_SHORT_READ);
        break;
    case WRITE_ERROR:
        arm(sim, node, DISK_EIO_WRITE);
        break;
    case SYNC_ERROR:
        arm(sim, node, DISK_EIO_SYNC);
        break;
    case PARTITION:
        partition(sim);
        break;
    case CLOCK:
        change_clock(sim, node);
        break;
    case DEAF:
        deafen(sim, node);
        break;
    case DEAD_DIALER:
        kill_dialer(sim, node);
        break;
    case LOCKED:
    case OLD_SNAPSHOT:
        hold_file(sim, node, kind == LOCKED);
        break;
    case ROTTEN_VIEW:
        rot(sim, node);
        break;
    case REBUILD:
        clients_rebuild(sim, n);
        break;
    case BACKUP:
        sim_die(sim, n, back_in_ms(sim));
        back_up(sim, node);
        break;
    case RESTORE:
        restore(sim, node);
        break;
    case KINDS:
        break;
    }
}

static const char *const names[KINDS] = {
    [KILL] = "is killed",
    [KILL_OP] = "will be killed at an operation",
    [KILL_POINT] = "will be killed at a fault point",
    [KILL_TWICE] = "is killed, and will be again",
    [KILL_ALL] = "and all others are killed",
    [POWER] = "loses power",
    [POWER_OP] = "will lose power at an operation",
    [POWER_POINT] = "will lose power at a fault point",
    [TERMINATE] = "is told to end",
    [PAUSE] = "is stopped for a while",
    [FULL] = "has a full disk",
    [SLOW] = "has a slow disk",
    [READ_ERROR] = "will not be able to read",
    [SHORT_READ_ERROR] = "will read too little",
    [WRITE_ERROR] = "will not be able to write",
    [SYNC_ERROR] = "will not be able to sync",
    [PARTITION] = "is cut off",
    [CLOCK] = "has another time",
    [DEAF] = "has a deaf listener",
    [DEAD_DIALER] = "has a dead dialer",
    [LOCKED] = "is locked out by somebody",
    [OLD_SNAPSHOT] = "is read by somebody",
    [ROTTEN_VIEW] = "has a rotten view",
    [REBUILD] = "is asked to rebuild",
    [BACKUP] = "ends for a backup",
    [RESTORE] = "ends for a restore"};

void chaos_strike(struct sim *sim)
{
    struct sim_config *config = &sim->config;
    enum trouble kind = config->kinds[choose(sim->choice, config->kind_count)];
    struct node *node = &sim->nodes[choose(sim->choice, SERVICES)];

    if (node->running || kind == PARTITION || kind == LOCKED ||
        kind == OLD_SNAPSHOT || kind == CLOCK) {
        sim_trace(sim, "%s %s", node->service->name, names[kind]);
        strike(sim, kind, node);
        if (config->checks > 0 && chance(sim->choice, config->checks))
            sim_check(sim, false);
    }
    if (--config->faults > 0) {
        uint64_t in_ms = 1 + choose(sim->choice, config->fault_gap_ms);

        sim_push(sim, sim_item(sim, A_FAULT, in_ms, 0));
        if (sim->now_ms + in_ms >= sim->last_job_ms)
            sim->last_job_ms = sim->now_ms + in_ms + 1;
    }
}

void chaos_end(struct sim *sim, const struct item *item)
{
    struct node *node = &sim->nodes[item->node];

    if (item->number == FULL)
        simvfs_set_full((int)item->node, false);
    else if (item->number == LOCKED)
        let_go(node);
    sim_trace(sim, "%s: it is over", node->service->name);
}

/* What was armed and did not go off never will. */
void chaos_heal(struct sim *sim)
{
    memset(sim->blocked_ms, 0, sizeof sim->blocked_ms);
    for (unsigned n = 0; n < SERVICES; n++) {
        struct node *node = &sim->nodes[n];

        simvfs_disarm((int)n);
        simvfs_set_full((int)n, false);
        node->paused_until_ms = node->slow_until_ms = 0;
        node->point = NULL;
        node->power = 0;
        let_go(node);
        if (n != 0 && n == sim->config.down && node->running)
            sim_die(sim, n, 0); /* for ever, see sim.c */
    }
}
