/* check_tags.c - are the tag rows of a log those of its events (S1)?
 *
 * Expected and actual rows are summed up as hashes and cancel out, for a block
 * of events at a time.  Only of a block whose sum is not zero the events are
 * looked at one by one. */
#include "audit/check_parts.h"
#include "log/sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 4096,        /* events */
    BLOCKS_AT_ONCE = 64, /* looked at in one more walk over the tag rows */
    TAGS_AT_ONCE = 4096  /* rows in one statement: no snapshot for long */
};

/* The blocks that are looked at closely: event by event. */
struct close_look {
    uint64_t blocks[BLOCKS_AT_ONCE];
    size_t count;
    uint64_t *sums; /* BLOCK of each */
};

/* A tag row with what it is subtracted from. */
typedef void subtract_fn(struct check *check, struct checked_log *log,
                         struct close_look *look, const char *tag, int64_t seq);

/* FNV-1a of tag and seq.  Sums of it compare sets without sorting them. */
static uint64_t tag_hash(const char *tag, uint64_t seq)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ seq;

    for (; *tag != '\0'; tag++)
        hash = (hash ^ (uint8_t)*tag) * UINT64_C(1099511628211);
    return (hash ^ hash >> 29) * UINT64_C(11400714819323198485);
}

static uint64_t tags_of(const struct checked_log *log,
                        const struct event *event)
{
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(log->service->domain, event, tags);
    char text[TAG_BYTES];
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        if (!service_indexes(log->service, event->type, tags[i].kind))
            continue;
        event_tag(log->service->domain, tags[i].kind, tags[i].key, text);
        sum += tag_hash(text, event->at.seq);
    }
    return sum;
}

void check_tags_open(struct checked_log *log)
{
    log->tag_sums = check_alloc(log->head / BLOCK + 1, sizeof *log->tag_sums);
}

void check_tags_add(struct checked_log *log, const struct event *event)
{
    log->tag_sums[event->at.seq / BLOCK] += tags_of(log, event);
}

/* ---- the rows ------------------------------------------------------------ */

/* Of an event that came after those that are judged, or of none. */
static void beyond_head(struct check *check, struct checked_log *log,
                        const char *tag, int64_t seq)
{
    uint8_t hash[HASH_BYTES];

    if (seq > 0 && store_hash_at(log->later, (uint64_t)seq, hash) != EVT_NONE)
        return;
    check_broken(check, CHECK_S1, log->service->name,
                 "tag %s points at #%" PRId64 ", which does not exist", tag,
                 seq);
}

static void subtract(struct check *check, struct checked_log *log,
                     struct close_look *look, const char *tag, int64_t seq)
{
    (void)look;
    if (seq < 1 || (uint64_t)seq > log->head)
        beyond_head(check, log, tag, seq);
    else
        log->tag_sums[(uint64_t)seq / BLOCK] -= tag_hash(tag, (uint64_t)seq);
}

/* The sum of event @seq; NULL: its block is not looked at. */
static uint64_t *sum_of(const struct close_look *look, uint64_t seq)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->blocks[i] == seq / BLOCK)
            return &look->sums[i * BLOCK + seq % BLOCK];
    return NULL;
}

static void subtract_closely(struct check *check, struct checked_log *log,
                             struct close_look *look, const char *tag,
                             int64_t seq)
{
    uint64_t *sum = seq > 0 ? sum_of(look, (uint64_t)seq) : NULL;

    (void)check;
    (void)log;
    if (sum != NULL)
        *sum -= tag_hash(tag, (uint64_t)seq);
}

/* Some more rows behind (@tag, @seq), which become the last of them.
 * EVT_NONE: no more, or, which is reported, no rows can be asked for behind the
 * last one: a damaged row may hold any type in any column. */
static enum evt_status some_rows(struct check *check, struct checked_log *log,
                                 sqlite3_stmt *rows, subtract_fn *each,
                                 struct close_look *look)
{
    char tag[TAG_BYTES] = "";
    int64_t seq = 0;
    int step;
    bool any = false;

    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
        if (!sql_read_text(rows, 0, tag, sizeof tag) ||
            !sql_is_whole(rows, 1)) {
            sqlite3_reset(rows);
            check_broken(check, CHECK_S1, log->service->name,
                         "a row of its tags holds no tag and number");
            return EVT_NONE;
        }
        any = true;
        seq = sqlite3_column_int64(rows, 1);
        each(check, log, look, tag, seq);
    }
    sqlite3_reset(rows);
    sqlite3_bind_text(rows, 1, tag, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(rows, 2, seq);
    if (step != SQLITE_DONE)
        return sql_status(step);
    return any ? EVT_OK : EVT_NONE;
}

static enum evt_status each_row(struct check *check, struct checked_log *log,
                                subtract_fn *each, struct close_look *look)
{
    sqlite3 *db = store_connection(log->judged);
    sqlite3_stmt *rows = NULL;
    enum evt_status rc = sql_status(sqlite3_prepare_v2(
        db,
        "SELECT tag, seq FROM tag WHERE (tag, seq) > (?1, ?2)"
        " ORDER BY tag, seq LIMIT ?3",
        -1, &rows, NULL));

    if (rc == EVT_OK) {
        sqlite3_bind_text(rows, 1, "", -1, SQLITE_STATIC);
        sqlite3_bind_int64(rows, 2, INT64_MIN);
        sqlite3_bind_int(rows, 3, TAGS_AT_ONCE);
    }
    while (rc == EVT_OK)
        rc = some_rows(check, log, rows, each, look);
    if (rc != EVT_NONE)
        snprintf(check->why, STORE_WHY_BYTES, "%s's log: %s",
                 log->service->name, sqlite3_errmsg(db));
    sqlite3_finalize(rows);
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* ---- looking closely ----------------------------------------------------- */

/* Over the events of block @i: adds what is expected, or, when all rows are
 * subtracted, names those whose sum is not zero. */
static enum evt_status each_event(struct check *check, struct checked_log *log,
                                  struct close_look *look, size_t i, bool name)
{
    uint64_t first = look->blocks[i] * BLOCK, last = first + BLOCK - 1;
    uint64_t after = first > 0 ? first - 1 : 0;
    const char *why, *field;
    struct event event;
    struct row row;
    enum evt_status rc;

    if (last > log->head)
        last = log->head;
    rc = store_scan(log->judged, NULL, after, last);
    while (rc == EVT_OK &&
           (rc = store_next(log->judged, &row, NULL)) != EVT_NONE) {
        uint64_t *sum = &look->sums[i * BLOCK + row.seq % BLOCK];

        if (rc == EVT_OK && name && *sum != 0 &&
            check_row_type(log, &row) != NO_MESSAGE)
            check_broken(check, CHECK_S1, check_subject(log, &row),
                         "the tag rows of %s #%" PRIu64
                         " do not match the event",
                         log->service->name, row.seq);
        if (rc == EVT_OK && !name &&
            check_decode(log, &row, &event, &why, &field))
            *sum += tags_of(log, &event);
        if (rc == EVT_BAD) { /* S1 has named it */
            store_scan_end(log->judged);
            rc = store_scan(log->judged, NULL, row.seq, last);
        }
    }
    store_scan_end(log->judged);
    return rc == EVT_NONE ? EVT_OK : check_failed(check, log, rc);
}

static enum evt_status look_closely(struct check *check,
                                    struct checked_log *log,
                                    struct close_look *look)
{
    enum evt_status rc = EVT_OK;

    look->sums = check_alloc(look->count * BLOCK, sizeof *look->sums);
    for (size_t i = 0; i < look->count && rc == EVT_OK; i++)
        rc = each_event(check, log, look, i, false);
    if (rc == EVT_OK)
        rc = each_row(check, log, subtract_closely, look);
    for (size_t i = 0; i < look->count && rc == EVT_OK; i++)
        rc = each_event(check, log, look, i, true);
    free(look->sums);
    look->count = 0;
    return rc;
}

enum evt_status check_tags(struct check *check, struct checked_log *log)
{
    struct close_look look = {.count = 0};
    enum evt_status rc = each_row(check, log, subtract, &look);

    for (uint64_t block = 0; block <= log->head / BLOCK && rc == EVT_OK;
         block++) {
        if (log->tag_sums[block] != 0)
            look.blocks[look.count++] = block;
        if (look.count == BLOCKS_AT_ONCE)
            rc = look_closely(check, log, &look);
    }
    return rc == EVT_OK && look.count > 0 ? look_closely(check, log, &look)
                                          : rc;
}
