/* cuts.c - the program `cuts`: one log, and power cuts by the thousand.
 *
 *   cuts [--cuts N] [--seed S]     20,000 cuts and seed 1 by default
 *
 * The whole simulation (main.c) cuts the power now and then, among all else
 * that goes wrong.  Here little else goes wrong: a writer appends batches with
 * their cursor and a timer, the power fails at any operation of the disk,
 * during the start too, and what was not synced is kept or lost sector by
 * sector.  Some lives before the cut end otherwise, by a stop, a kill or a sync
 * that fails, and beside some of the next a reader still holds an old snapshot.
 * Then the log is opened as a service opens it.  It must end with the last
 * acknowledged batch or with the one that was being committed: never less,
 * never half a batch, never another event under a number that was given out.
 *
 * Exit code 0: every log was right; 1: one was not, and the output names the
 * cut that shows it again; 64: usage. */
#include "../sample.h"
#include "choice.h"
#include "core/codec.h"
#include "log/store.h"
#include "scratch.h"
#include "shop/shop.h"
#include "simvfs.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DISK = 0,          /* that of order-svc */
    BATCH_MAX = 8,     /* events */
    CUTS_A_WORLD = 50, /* then the log begins anew */
    DEPARTED = 7       /* the cursor's publisher, see cursor_at */
};

/* Where a log ends, and whose the last event is. */
struct end {
    uint64_t seq;
    uint8_t hash[HASH_BYTES];
    char order_id[ID_BYTES];
};

struct cuts {
    uint64_t random;
    struct sample sample;
    char path[SCRATCH_BYTES + 32];
    struct store *store;
    struct store *reader; /* on an old snapshot; or NULL */
    struct end acked;     /* what a client or a reader may know of */
    struct end tried;     /* with the batch that is being committed */
    uint64_t seed, done, sectors, batches, unacked, beside, failed_syncs,
        next_world, stops;
};

_Noreturn static void broken(const struct cuts *cuts, const char *format, ...)
{
    va_list arguments;

    printf("cut %" PRIu64 " of seed %" PRIu64 ": ", cuts->done, cuts->seed);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    exit(1);
}

static unsigned below(struct cuts *cuts, unsigned n)
{
    return (unsigned)(mix64(&cuts->random) % n);
}

/* An error is right only when the power is gone, or a sync has failed. */
static bool went_well(struct cuts *cuts, enum evt_status rc, const char *what,
                      const char *why)
{
    uint64_t failed_syncs = simvfs_hits(DISK, DISK_EIO_SYNC);
    bool failed = rc == EVT_IO && failed_syncs > cuts->failed_syncs;

    if (rc == EVT_OK)
        return true;
    cuts->failed_syncs = failed_syncs;
    if (!failed && !simvfs_dead(DISK))
        broken(cuts, "%s: %s (%d), though nothing is wrong", what, why, rc);
    return false;
}

/* ---- what is written ---------------------------------------------------- */

static struct cursor cursor_at(const struct end *end)
{
    struct cursor cursor = {.at.seq = end->seq};

    memset(cursor.at.log_id, DEPARTED, LOG_ID_BYTES);
    memcpy(cursor.hash, end->hash, HASH_BYTES);
    return cursor;
}

static enum evt_status append_some(struct cuts *cuts, struct end *end)
{
    unsigned count = 1 + below(cuts, BATCH_MAX);
    enum evt_status rc = EVT_OK;

    for (unsigned i = 0; i < count && rc == EVT_OK; i++) {
        uint8_t data[DATA_MAX];
        struct event event;
        struct row row;

        sample_event(&cuts->sample, ORDER_PLACED, &event);
        snprintf(event.order_id, ID_BYTES, "o-%" PRIu64, ++end->seq);
        memcpy(end->order_id, event.order_id, ID_BYTES);
        memcpy(event.cause.command_id, event.order_id, ID_BYTES);
        rc = store_append(cuts->store, &shop_domain, ~0u, &event, data, &row,
                          end->hash);
    }
    return rc;
}

/* A batch, and beside it what has to be there exactly when the batch is: the
 * cursor, and one timer, of the last event. */
static enum evt_status write_batch(struct cuts *cuts)
{
    struct end *end = &cuts->tried;
    struct armed timer = {.after_ms = 1};
    enum evt_status rc = store_begin(cuts->store);
    struct cursor cursor;

    *end = cuts->acked;
    if (rc == EVT_OK && end->seq > 0)
        rc = store_disarm(cuts->store, end->order_id);
    if (rc == EVT_OK)
        rc = append_some(cuts, end);
    cursor = cursor_at(end);
    timer.event_seq = end->seq;
    memcpy(timer.order_id, end->order_id, ID_BYTES);
    if (rc == EVT_OK)
        rc = store_set_cursor(cuts->store, "payment", &cursor);
    if (rc == EVT_OK)
        rc = store_arm(cuts->store, &timer);
    return rc == EVT_OK ? store_commit(cuts->store) : rc;
}

/* Batch after batch, until the power goes; true: it is told to stop first. */
static bool write_on(struct cuts *cuts)
{
    unsigned batches = below(cuts, 4) == 0 ? 1 + below(cuts, 40) : UINT_MAX;

    for (; batches > 0; batches--) {
        if (!went_well(cuts, write_batch(cuts), "a batch",
                       store_error(cuts->store)))
            return false;
        cuts->acked = cuts->tried;
        cuts->batches++;
        if (!went_well(cuts, store_checkpoint(cuts->store), "a checkpoint",
                       store_error(cuts->store)))
            return false;
    }
    return true;
}

/* ---- what is there afterwards ------------------------------------------- */

static bool same_end(const struct end *a, const struct end *b)
{
    return a->seq == b->seq && memcmp(a->hash, b->hash, HASH_BYTES) == 0;
}

static void check_chain(const struct cuts *cuts, const struct end *head)
{
    struct end end = {0};
    struct row row;

    if (store_scan(cuts->store, NULL, 0, UINT64_MAX) != EVT_OK)
        broken(cuts, "the log cannot be read");
    while (store_next(cuts->store, &row, end.hash) == EVT_OK)
        if (row.seq != ++end.seq)
            broken(cuts, "event %" PRIu64 " stands where %" PRIu64 " should",
                   row.seq, end.seq);
    store_scan_end(cuts->store);
    if (end.seq > 0 && !same_end(&end, head))
        broken(cuts, "the log ends at %" PRIu64 ", its head says %" PRIu64,
               end.seq, head->seq);
}

/* Cursor and timer tell of the same batch as the events. */
static void check_beside(const struct cuts *cuts, const struct end *head)
{
    struct cursor cursor = {0}, wanted = cursor_at(head);
    enum evt_status rc = store_cursor(cuts->store, "payment", &cursor);
    struct armed due[2];
    size_t count = 0;

    if (head->seq == 0
            ? rc != EVT_NONE
            : rc != EVT_OK || memcmp(&cursor, &wanted, sizeof cursor) != 0)
        broken(cuts, "the log ends at %" PRIu64 ", the cursor at %" PRIu64,
               head->seq, cursor.at.seq);
    if (store_due(cuts->store, INT64_MAX, due, 2, &count) != EVT_OK ||
        count != (head->seq > 0) ||
        (count == 1 && due[0].event_seq != head->seq))
        broken(cuts, "the log ends at %" PRIu64 ", the timers do not",
               head->seq);
}

static void check(struct cuts *cuts)
{
    struct end head;
    uint8_t hash[HASH_BYTES];

    if (store_head(cuts->store, &head.seq, head.hash) != EVT_OK)
        broken(cuts, "there is no head");
    if (head.seq < cuts->acked.seq)
        broken(cuts,
               "%" PRIu64 " events were acknowledged, %" PRIu64 " are there",
               cuts->acked.seq, head.seq);
    if (cuts->acked.seq > 0 &&
        (store_hash_at(cuts->store, cuts->acked.seq, hash) != EVT_OK ||
         memcmp(hash, cuts->acked.hash, HASH_BYTES) != 0))
        broken(cuts, "event %" PRIu64 " was acknowledged as another",
               cuts->acked.seq);
    if (head.seq != cuts->acked.seq && !same_end(&head, &cuts->tried))
        broken(cuts, "a part of a batch is there: up to %" PRIu64, head.seq);
    check_beside(cuts, &head);
    check_chain(cuts, &head);
    cuts->unacked += head.seq != cuts->acked.seq;
    if (head.seq != cuts->acked.seq)
        cuts->acked = cuts->tried; /* it is published from here on */
}

/* ---- a life, and its end ------------------------------------------------ */

/* Near the start as often as far from it. */
static unsigned some_operations(struct cuts *cuts)
{
    switch (below(cuts, 4)) {
    case 0:
        return 1 + below(cuts, 30);
    case 1:
        return 1 + below(cuts, 600);
    default:
        return 1 + below(cuts, 120);
    }
}

/* Mostly the power goes; sometimes a sync fails before it does. */
static void arm(struct cuts *cuts)
{
    if (below(cuts, 4) == 0)
        simvfs_arm(DISK, DISK_EIO_SYNC, 1 + below(cuts, 20));
    else
        simvfs_arm(DISK, DISK_CRASH, some_operations(cuts));
}

/* Somebody who looks into the log for as long as the machine stays up. */
static void begin_reading(struct cuts *cuts)
{
    char why[STORE_WHY_BYTES] = "";
    uint8_t hash[HASH_BYTES];
    uint64_t seq;

    if (store_open_readonly(cuts->path, "order", NULL, &cuts->reader, why) !=
            EVT_OK ||
        store_snapshot_begin(cuts->reader) != EVT_OK ||
        store_head(cuts->reader, &seq, hash) != EVT_OK)
        broken(cuts, "a reader: %s", why);
}

/* True: it has come to its end, and stops. */
static bool live(struct cuts *cuts)
{
    static const uint8_t log_id[LOG_ID_BYTES] = {1};
    char why[STORE_WHY_BYTES] = "";
    bool early = below(cuts, 4) == 0;

    simvfs_act(DISK);
    if (early)
        arm(cuts);
    if (!went_well(
            cuts,
            store_open(cuts->path, "order", NULL, log_id, &cuts->store, why),
            "a start", why))
        return false;
    simvfs_act(-1); /* who checks is not the one who dies */
    check(cuts);
    cuts->beside += cuts->reader != NULL;
    if (cuts->reader == NULL && below(cuts, 3) == 0)
        begin_reading(cuts);
    simvfs_act(DISK);
    if (!early)
        arm(cuts);
    return write_on(cuts);
}

/* It closes its log, as far as it comes: with less than all of it, its WAL
 * stays, or what is left of it. */
static void stop(struct cuts *cuts)
{
    store_close(cuts->store);
    cuts->store = NULL;
    cuts->stops += !simvfs_dead(DISK);
    cuts->failed_syncs = simvfs_hits(DISK, DISK_EIO_SYNC);
}

/* The process is gone; what it has written is in the page cache. */
static void die(struct cuts *cuts)
{
    simvfs_kill(DISK);
    store_close(cuts->store);
    cuts->store = NULL;
    simvfs_act(-1);
}

static void cut(struct cuts *cuts)
{
    /* Mostly some of what was not synced; all of it; nothing of it. */
    uint64_t some = mix64(&cuts->random) | 2;
    const uint64_t fate[8] = {0, 1, some, some, some, some, some, some};

    store_close(cuts->reader);
    cuts->reader = NULL;
    cuts->sectors += simvfs_power_cut(DISK, fate[below(cuts, 8)]);
    cuts->done++;
}

static void begin_anew(struct cuts *cuts)
{
    store_close(cuts->reader);
    cuts->reader = NULL;
    simvfs_reset(mix64(&cuts->random));
    cuts->failed_syncs = simvfs_hits(DISK, DISK_EIO_SYNC);
    cuts->next_world += CUTS_A_WORLD;
    memset(&cuts->acked, 0, sizeof cuts->acked);
    memset(&cuts->tried, 0, sizeof cuts->tried);
}

static bool number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 10);
    return *end == '\0' && *value > 0;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"cuts", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 't'}, /* at most */
        {0}};
    static struct cuts cuts = {.seed = 1};
    char directory[SCRATCH_BYTES];
    uint64_t many = 20000, seconds = INT32_MAX;
    time_t end;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (c == '?' || !number(optarg, c == 'c'   ? &many
                                        : c == 't' ? &seconds
                                                   : &cuts.seed)) {
            fprintf(stderr,
                    "usage: cuts [--cuts N] [--seed S] [--seconds T]\n");
            return 64;
        }
    cuts.random = cuts.sample.random = cuts.seed;
    simvfs_open();
    scratch_make(directory);
    snprintf(cuts.path, sizeof cuts.path, "%s/order/log.db", directory);
    end = time(NULL) + (time_t)seconds;
    while (cuts.done < many && time(NULL) < end) {
        if (cuts.done >= cuts.next_world)
            begin_anew(&cuts);
        if (live(&cuts))
            stop(&cuts);
        die(&cuts);
        if (below(&cuts, 3) > 0)
            cut(&cuts);
        simvfs_revive(DISK);
    }
    scratch_remove(directory);
    printf("%" PRIu64 " power cuts, %" PRIu64 " sectors lost, %" PRIu64
           " batches acknowledged and kept, %" PRIu64 " kept unacknowledged, "
           "%" PRIu64 " starts beside a reader, %" PRIu64 " clean stops\n",
           cuts.done, cuts.sectors, cuts.batches, cuts.unacked, cuts.beside,
           cuts.stops);
    if (cuts.done >= 1000 && (cuts.sectors == 0 || cuts.unacked == 0 ||
                              cuts.beside == 0 || cuts.stops == 0)) {
        puts("the disk was too kind: nothing lost, nothing in doubt, no "
             "reader, or no clean stop");
        return 1;
    }
    return 0;
}
