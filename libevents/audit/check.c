/* check.c - the checker's order of work, and what stands beside the events:
 * cursors, timers, parked rows (S7, S10, Q2).
 *
 * Freeze (check_freeze.c), read log by log, a part of the sagas in each pass,
 * and whatever is left when all is known.  Next: check_log.c, the pass over one
 * log. */
#include "audit/check_parts.h"

#include "log/sql.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events, of all logs, whose sagas are one part: some 100 MB of them. */
enum { PART_EVENTS = 800000 };

/* ---- helpers of all parts ----------------------------------------------- */

/* What comes from a damaged file must not spoil a terminal, or JSON. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void report_as(struct check *check, unsigned id,
                      const struct check_wait *wait, const char *subject,
                      const char *format, va_list arguments)
{
    char text[CHECK_TEXT_BYTES], about[TAG_BYTES];

    vsnprintf(text, sizeof text, format, arguments);
    snprintf(about, sizeof about, "%s", subject[0] != '\0' ? subject : "-");
    make_plain(text);
    make_plain(about);
    check->summary->broken[id]++;
    check->report(check->ctx, id, about, text, wait);
}

void check_broken(struct check *check, unsigned id, const char *subject,
                  const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report_as(check, id, NULL, subject, format, arguments);
    va_end(arguments);
}

void check_waits(struct check *check, unsigned id,
                 const struct check_wait *wait, const char *subject,
                 const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report_as(check, id, wait, subject, format, arguments);
    va_end(arguments);
}

int check_service(const struct check *check, const char *name)
{
    for (unsigned i = 0; i < check->services; i++) {
        if (strcmp(check->options->services[i]->name, name) == 0)
            return (int)i;
    }
    return -1;
}

bool check_mine(const struct check *check, const char *id)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    if (check->parts == 1)
        return true;
    for (; *id != '\0'; id++)
        hash = (hash ^ (uint8_t)*id) * UINT64_C(1099511628211);
    return (hash >> 32) % check->parts == check->part;
}

struct checked_saga *check_saga(struct check *check, const char *id)
{
    struct checked_saga *saga;

    if (id[0] == '\0' || !check_mine(check, id))
        return NULL;
    HASH_FIND_STR(check->sagas, id, saga);
    if (saga == NULL) {
        saga = check_alloc(1, offsetof(struct checked_saga, last) +
                                  check->services * sizeof saga->last[0]);
        text_copy(saga->id, sizeof saga->id, id);
        HASH_ADD_STR(check->sagas, id, saga);
    }
    return saga;
}

static void free_sagas(struct check *check)
{
    struct checked_saga *saga, *next;

    HASH_ITER(hh, check->sagas, saga, next)
    {
        HASH_DEL(check->sagas, saga);
        free(saga);
    }
}

void *check_alloc(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);

    if (memory == NULL)
        abort();
    return memory;
}

enum evt_status check_failed(struct check *check, const struct checked_log *log,
                             enum evt_status rc)
{
    if (rc != EVT_OK)
        snprintf(check->why, STORE_WHY_BYTES, "%s's log: %s",
                 log->service->name, store_error(log->judged));
    return rc;
}

const char *check_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);

    return text != NULL ? (const char *)text : "";
}

enum evt_status check_select(struct check *check, struct checked_log *log,
                             const char *sql, each_fn *each)
{
    sqlite3 *db = store_connection(log->judged);
    sqlite3_stmt *row = NULL;
    enum evt_status rc = EVT_OK;
    int sqlite = sqlite3_prepare_v2(db, sql, -1, &row, NULL);

    while (sqlite == SQLITE_OK && rc == EVT_OK &&
           sqlite3_step(row) == SQLITE_ROW)
        rc = each(check, log, row);
    if (rc == EVT_OK) {
        sqlite = sqlite3_errcode(db);
        if (sqlite != SQLITE_OK && sqlite != SQLITE_DONE) {
            snprintf(check->why, STORE_WHY_BYTES, "%s's log: %s",
                     log->service->name, sqlite3_errmsg(db));
            rc = sql_status(sqlite);
        }
    }
    sqlite3_finalize(row);
    return rc;
}

/* ---- S10, Q2: cursors --------------------------------------------------- */

/* What is wrong with a cursor on @publisher, or NULL. */
static const char *cursor_fault(struct checked_log *publisher,
                                const struct cursor *cursor)
{
    uint8_t hash[HASH_BYTES];

    if (memcmp(cursor->at.log_id, store_log_id(publisher->judged),
               LOG_ID_BYTES) != 0)
        return "belongs to a different log";
    if (cursor->at.seq > publisher->known)
        return "is beyond the head of that log";
    if (store_hash_at(publisher->later, cursor->at.seq, hash) != EVT_OK)
        return "points to a missing event";
    if (memcmp(hash, cursor->hash, HASH_BYTES) != 0)
        return "has a different hash than that log";
    return NULL;
}

static void check_cursor(struct check *check, const struct checked_log *log,
                         struct checked_log *publisher)
{
    const struct cursor *cursor = &log->cursors[publisher->number];
    struct check_wait wait = {LANE_CURSOR, log->number, publisher->number,
                              cursor->at.seq, publisher->head};
    const char *fault = NULL;

    if (log->has_cursor[publisher->number]) {
        check->summary->cursors++;
        fault = cursor_fault(publisher, cursor);
    }
    if (fault != NULL)
        check_broken(check, CHECK_S10, log->service->name,
                     "%s's cursor at %s #%" PRIu64 " %s", log->service->name,
                     publisher->service->name, cursor->at.seq, fault);
    else if (check->options->final && cursor->at.seq != publisher->head)
        check_waits(check, CHECK_Q2, &wait, log->service->name,
                    "%s has consumed %s up to #%" PRIu64
                    ", the head is #%" PRIu64,
                    log->service->name, publisher->service->name,
                    cursor->at.seq, publisher->head);
}

/* Whether reader @log has not consumed all of @saga's events in @from. */
static bool is_unread(const struct checked_log *log,
                      const struct checked_log *from,
                      const struct checked_saga *saga, struct check_wait *wait)
{
    uint64_t at = log->cursors[from->number].at.seq;

    if (at >= saga->last[from->number].seq)
        return false;
    *wait = (struct check_wait){LANE_CURSOR, log->number, from->number, at,
                                from->head};
    return true;
}

/* A saga goes on when somebody consumes an event of it: what nobody has left
 * to read moves no more, but by its timer.  One who has a rule for the last
 * event comes before those who only have to pass it. */
bool check_unread(const struct check *check, const struct checked_saga *saga,
                  struct check_wait *wait)
{
    bool unread = false;

    for (unsigned i = 0; i < check->services; i++) {
        const struct service *service = check->logs[i].service;
        const char *const *source = service->listens_to;

        for (; *source != NULL; source++) {
            int from = check_service(check, *source);
            struct check_wait found;

            if (from < 0 ||
                !is_unread(&check->logs[i], &check->logs[from], saga, &found))
                continue;
            if (!unread || service_rule(service, saga->last[from].type) != NULL)
                *wait = found;
            unread = true;
        }
    }
    return unread;
}

static void check_cursors(struct check *check)
{
    for (unsigned i = 0; i < check->services; i++) {
        struct checked_log *log = &check->logs[i];
        const char *const *source = log->service->listens_to;

        for (; *source != NULL; source++) {
            int number = check_service(check, *source);

            if (number >= 0)
                check_cursor(check, log, &check->logs[number]);
        }
    }
}

/* ---- S7, Q2: timers ----------------------------------------------------- */

/* How long a timer is overdue; 0 when it is not yet due. */
static int64_t overdue_ms(const struct check *check,
                          const struct armed_row *timer)
{
    int64_t due;

    if (__builtin_add_overflow(timer->set_ms, timer->after_ms, &due) ||
        due >= check->options->now_ms)
        return 0;
    return check->options->now_ms - due;
}

static struct check_wait firing(const struct checked_log *log)
{
    return (struct check_wait){LANE_TIMER, log->number, log->number, log->head,
                               log->head};
}

struct check_wait check_fires(const struct check *check,
                              const struct checked_saga *saga)
{
    return saga->fires > 0 ? firing(&check->logs[saga->fires - 1])
                           : (struct check_wait){.at = 0};
}

static void check_timer(struct check *check, const struct checked_log *log,
                        const struct armed_row *timer)
{
    const char *id = timer->order_id;
    int64_t late_ms = overdue_ms(check, timer);
    struct check_wait fires = firing(log);
    struct checked_saga *saga;

    if (check->options->final && late_ms > 0)
        check_waits(check, CHECK_Q2, late_ms > CHECK_SLACK_MS ? NULL : &fires,
                    id, "its timer is %" PRId64 " ms overdue", late_ms);
    HASH_FIND_STR(check->sagas, id, saga);
    if (saga == NULL || saga->armed_seq != timer->seq) {
        check_broken(check, CHECK_S7, id,
                     "%s's timer of #%" PRIu64
                     " is armed, but its %s is not waiting",
                     log->service->name, timer->seq, check->invariants->saga);
        return;
    }
    saga->armed_seq = 0; /* found; what stays has no timer */
    if (late_ms > 0 && late_ms <= CHECK_SLACK_MS)
        saga->fires = (uint8_t)(log->number + 1);
    if (check->invariants->late != NULL && check->options->runs[log->number] &&
        late_ms > CHECK_SLACK_MS)
        check->invariants->late(check, log, id, late_ms);
}

static void check_timers(struct check *check)
{
    struct checked_saga *saga, *next;

    for (unsigned i = 0; i < check->services; i++) {
        const struct checked_log *log = &check->logs[i];

        for (size_t t = 0; t < log->timer_count; t++)
            if (check_mine(check, log->timers[t].order_id))
                check_timer(check, log, &log->timers[t]);
    }
    HASH_ITER(hh, check->sagas, saga, next)
    {
        if (saga->armed_seq != 0)
            check_broken(check, CHECK_S7, saga->id,
                         "is waiting, but its timer (event #%" PRIu64
                         ") is not armed",
                         saga->armed_seq);
    }
}

/* ---- the whole ---------------------------------------------------------- */

/* Nobody says what the events add up to. */
static const struct check_invariants no_invariants = {.saga = "saga",
                                                      .cross = CHECK_S2};

static void name_skipped(struct check *check)
{
    const struct check_options *options = check->options;
    const char **skipped = check->summary->skipped;
    unsigned ids[CHECK_IDS_MAX];
    size_t count = check_ids(check->invariants, ids);

    for (size_t i = 0; i < count; i++) {
        const struct check_promise *promise =
            check_promise(check->invariants, ids[i]);

        if (promise->down != NULL && !options->runs[promise->service])
            skipped[ids[i]] = promise->down;
        if (promise->name[0] == 'Q' && !options->final)
            skipped[ids[i]] = "only with --final";
        if (promise->name[0] == 'J' && options->journal == NULL)
            skipped[ids[i]] = "only with --journal";
    }
    if (options->final && options->views == NULL)
        skipped[CHECK_Q3] =
            options->invariants == NULL ? CHECK_UNKNOWN : "no views were given";
}

/* So many that the sagas of one are no burden, whatever there is in all. */
static unsigned count_parts(const struct check *check)
{
    uint64_t events = 0;

    if (check->options->parts > 0)
        return check->options->parts;
    for (unsigned i = 0; i < check->services; i++)
        events += check->logs[i].known;
    return 1 + (unsigned)(events / PART_EVENTS);
}

/* One pass over all logs, for the sagas of one part. */
static enum evt_status check_part(struct check *check)
{
    enum evt_status rc = EVT_OK;

    for (unsigned i = 0; i < check->services && rc == EVT_OK; i++)
        rc = check_log(check, &check->logs[i]);
    if (rc != EVT_OK)
        return rc;
    check_timers(check);
    if (check->invariants->end != NULL)
        check->invariants->end(check);
    check_views_facts(check);
    if (check->invariants->forget != NULL)
        check->invariants->forget(check);
    free_sagas(check);
    return EVT_OK;
}

/* What was looked at, in the domain's words. */
static void count_own(struct check *check)
{
    const struct check_invariants *invariants = check->invariants;

    for (size_t i = 0; i < invariants->promise_count; i++) {
        unsigned id = (unsigned)(CHECK_OWN + i);

        if (invariants->count != NULL)
            invariants->count(check, id, check->summary->counts[id]);
    }
}

static enum evt_status check_all(struct check *check)
{
    enum evt_status rc = check_journal_read(check);

    if (rc == EVT_OK)
        rc = check_freeze(check);
    if (rc == EVT_OK && check->options->final)
        rc = check_views(check);
    check->parts = count_parts(check);
    for (; rc == EVT_OK && check->part < check->parts; check->part++)
        rc = check_part(check);
    if (rc != EVT_OK)
        return rc;
    check_cursors(check);
    count_own(check);
    return check_journal(check);
}

enum evt_status check_run(const struct check_options *options,
                          check_report_fn *report, void *ctx,
                          struct check_summary *summary,
                          char why[STORE_WHY_BYTES])
{
    struct check check = {.options = options,
                          .invariants = options->invariants != NULL
                                            ? options->invariants
                                            : &no_invariants,
                          .report = report,
                          .ctx = ctx,
                          .summary = summary,
                          .services = (unsigned)options->service_count,
                          .parts = 1,
                          .why = why};
    enum evt_status rc;

    assert(options->service_count <= SERVICES_MAX);
    memset(summary, 0, sizeof *summary);
    name_skipped(&check);
    rc = check_all(&check);
    check_views_close(&check);
    for (unsigned i = 0; i < check.services; i++) {
        check_log_free(&check.logs[i]);
        store_close(check.logs[i].judged);
        store_close(check.logs[i].later);
    }
    if (check.invariants->free != NULL)
        check.invariants->free(&check);
    free_sagas(&check);
    check_journal_free(&check);
    return rc;
}
