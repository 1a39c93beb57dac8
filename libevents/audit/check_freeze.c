/* check_freeze.c - what the verdict is about: a head of each log, and the small
 * tables of the same instant.
 *
 * One short snapshot of each log.  What is small and changes is copied out of
 * it (cursors, timers, parked rows, snapshots of states); the events up to the
 * head are read later, in slices.  Next: check_log.c. */
#include "audit/check_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A log that claims to have lost more rows than this is no log of ours. */
    HOLES_MAX = 1000000,
    ROW_BYTES_MIN = 64 /* of any event */
};

static enum evt_status open_one(struct check *check,
                                const struct checked_log *log,
                                struct store **store)
{
    char path[4096], why[STORE_WHY_BYTES] = "";
    enum evt_status rc;
    int length = snprintf(path, sizeof path, "%s/%s/log.db",
                          check->options->directory, log->service->name);

    if (length < 0 || (size_t)length >= sizeof path) {
        snprintf(check->why, STORE_WHY_BYTES, "the path is too long");
        return EVT_BAD;
    }
    rc = store_open_readonly(path, log->service->name, check->options->vfs,
                             store, why);
    if (rc != EVT_OK)
        snprintf(check->why, STORE_WHY_BYTES, "%s", why);
    return rc;
}

static enum evt_status too_few(struct check *check, struct checked_log *log,
                               sqlite3_stmt *row)
{
    snprintf(check->why, STORE_WHY_BYTES,
             "%s's log: its head is #%" PRIu64 ", with %" PRId64 " events",
             log->service->name, log->head,
             (int64_t)sqlite3_column_int64(row, 0));
    return EVT_BAD;
}

/* Whether the file is large enough for its head: then all that is kept for each
 * event is, too. */
static enum evt_status fits_its_file(struct check *check,
                                     struct checked_log *log, sqlite3_stmt *row)
{
    uint64_t bytes = (uint64_t)sqlite3_column_int64(row, 0);

    return log->head <= HOLES_MAX + bytes / ROW_BYTES_MIN
               ? EVT_OK
               : check_select(check, log, "SELECT count(*) FROM event",
                              too_few);
}

/* ---- S7, Q2: what is armed and parked at the instant --------------------- */

static enum evt_status keep_timer(struct check *check, struct checked_log *log,
                                  sqlite3_stmt *row)
{
    struct armed_row *timer;

    if ((log->timer_count & (log->timer_count - 1)) == 0) { /* full: double */
        size_t room = log->timer_count == 0 ? 1 : 2 * log->timer_count;
        void *larger = realloc(log->timers, room * sizeof *log->timers);

        if (larger == NULL)
            abort();
        log->timers = larger;
    }
    timer = &log->timers[log->timer_count++];
    timer->seq = (uint64_t)sqlite3_column_int64(row, 0);
    text_copy(timer->order_id, ID_BYTES, check_text(row, 1));
    timer->set_ms = sqlite3_column_int64(row, 2);
    timer->after_ms = sqlite3_column_int64(row, 3);
    check->summary->timers++;
    return EVT_OK;
}

static enum evt_status check_parked(struct check *check,
                                    struct checked_log *log, sqlite3_stmt *row)
{
    const char *order = check_text(row, 0);

    check_broken(check, CHECK_Q2, *order != '\0' ? order : log->service->name,
                 "%s has parked %s #%" PRId64 ": %s", log->service->name,
                 check_text(row, 1), (int64_t)sqlite3_column_int64(row, 2),
                 check_text(row, 3));
    return EVT_OK;
}

static enum evt_status read_cursors(struct check *check,
                                    struct checked_log *log)
{
    enum evt_status rc = EVT_OK;

    for (unsigned i = 0; i < check->services && rc == EVT_OK; i++) {
        rc = store_cursor(log->judged, check->options->services[i]->name,
                          &log->cursors[i]);
        log->has_cursor[i] = rc == EVT_OK;
        if (rc == EVT_NONE)
            rc = EVT_OK;
    }
    return rc;
}

/* The head of one log, and the small tables of that instant. */
static enum evt_status freeze_judged(struct check *check,
                                     struct checked_log *log)
{
    uint8_t hash[HASH_BYTES];
    enum evt_status rc = open_one(check, log, &log->judged);

    if (rc != EVT_OK)
        return rc;
    rc = store_snapshot_begin(log->judged);
    if (rc == EVT_OK)
        rc = store_head(log->judged, &log->head, hash);
    if (rc == EVT_OK)
        rc = read_cursors(check, log);
    if (rc != EVT_OK)
        return check_failed(check, log, rc);
    rc = check_select(check, log,
                      "SELECT page_count * page_size"
                      " FROM pragma_page_count, pragma_page_size",
                      fits_its_file);
    if (rc == EVT_OK)
        rc = check_select(check, log,
                          "SELECT event_seq, order_id, set_ms, after_ms"
                          " FROM timer",
                          keep_timer);
    if (rc == EVT_OK && check->options->final)
        rc = check_select(check, log,
                          "SELECT order_id, source, seq, reason FROM parked",
                          check_parked);
    if (rc == EVT_OK)
        rc = check_snapshots(check, log);
    store_snapshot_end(log->judged);
    return rc;
}

/* All are judged as they are now, then looked at once more. */
enum evt_status check_freeze(struct check *check)
{
    enum evt_status rc = EVT_OK;
    uint8_t hash[HASH_BYTES];

    for (unsigned i = 0; i < check->services && rc == EVT_OK; i++) {
        check->logs[i].number = i;
        check->logs[i].service = check->options->services[i];
        check->logs[i].names = check->options->names;
        rc = freeze_judged(check, &check->logs[i]);
    }
    for (unsigned i = 0; i < check->services && rc == EVT_OK; i++) {
        struct checked_log *log = &check->logs[i];

        rc = open_one(check, log, &log->later);
        if (rc != EVT_OK)
            break;
        rc =
            check_failed(check, log, store_head(log->later, &log->known, hash));
        if (rc == EVT_OK &&
            (log->known < log->head ||
             memcmp(store_log_id(log->later), store_log_id(log->judged),
                    LOG_ID_BYTES) != 0)) {
            snprintf(check->why, STORE_WHY_BYTES,
                     "%s's log was replaced while it was read",
                     log->service->name);
            rc = EVT_BUSY;
        }
        check->summary->heads[i] = log->head;
    }
    return rc;
}
