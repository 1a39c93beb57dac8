/* check_log.c - one log by itself: chain, snapshots (S1, S7).
 *
 * A pass in seq order for each part of the sagas.  In the first one every
 * event is hashed, decoded, compared with its cause and handed to the domain's
 * sums; in each, the events of the part's sagas go to the invariants that are
 * about one saga.  Next: check_causes.c. */
#include "audit/check_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A state as evolve folds it, and the snapshot of it that the log holds. */
struct folded {
    struct folded_key {
        unsigned kind;
        char key[ID_BYTES];
    } id;
    uint64_t snapshot_seq; /* 0: none, or compared already */
    uint8_t *snapshot;
    max_align_t *state;
    UT_hash_handle hh;
};

/* ---- the judged snapshot, event by event -------------------------------- */

const char *check_subject(const struct checked_log *log, const struct row *row)
{
    return row->order_id[0] != '\0' ? row->order_id : log->service->name;
}

/* S1: no holes, and @hash is what the row and its predecessors hash to. */
static void check_chain(struct check *check, const struct checked_log *log,
                        const struct row *row, const uint8_t hash[HASH_BYTES],
                        uint64_t expected, uint8_t previous[HASH_BYTES])
{
    uint8_t computed[HASH_BYTES];

    if (row->seq != expected)
        check_broken(check, CHECK_S1, log->service->name,
                     "#%" PRIu64 " follows #%" PRIu64 ": there is a hole",
                     row->seq, expected - 1);
    event_hash(previous, row, computed);
    if (memcmp(computed, hash, HASH_BYTES) != 0)
        check_broken(check, CHECK_S1, check_subject(log, row),
                     "%s #%" PRIu64 " %s does not chain: this event, its hash "
                     "or the previous event was changed",
                     log->service->name, row->seq, row->type);
    memcpy(previous, hash, HASH_BYTES); /* an edit is named once */
}

const struct message *check_message_of(const struct checked_log *log,
                                       unsigned type)
{
    return log->service->domain != NULL
               ? domain_message(log->service->domain, type)
               : domain_message(log->names, type);
}

unsigned check_row_type(const struct checked_log *log, const struct row *row)
{
    const struct domain *domain = log->service->domain;
    const struct message *message =
        domain != NULL
            ? domain_message_named(domain, row->type, row->version, NULL)
            : domain_message_named(log->names, row->type, 1, NULL);

    return message != NULL ? message->type : NO_MESSAGE;
}

bool check_decode(const struct checked_log *log, const struct row *row,
                  struct event *event, const char **why, const char **field)
{
    enum evt_status rc;

    *why = "its type is unknown";
    *field = NULL;
    if (log->service->domain == NULL) {
        memset(event, 0, sizeof *event);
        event->type = check_row_type(log, row);
        event->at.seq = row->seq;
        text_copy(event->order_id, ID_BYTES, row->order_id);
        return event->type != NO_MESSAGE;
    }
    rc = codec_from_row(log->service->domain, log->service->name,
                        store_log_id(log->judged), row, event, why, field);
    if (rc == EVT_NEWER)
        *why = "it is newer than this program";
    return rc == EVT_OK;
}

/* The same, with S1 reported. */
static bool decode(struct check *check, const struct checked_log *log,
                   const struct row *row, struct event *event)
{
    const char *why, *field;
    bool readable = check_decode(log, row, event, &why, &field);

    if (!readable && check->part == 0)
        check_broken(check, CHECK_S1, check_subject(log, row),
                     "%s #%" PRIu64 " %s cannot be read: %s%s%s",
                     log->service->name, row->seq, row->type, why,
                     field != NULL ? ": " : "", field != NULL ? field : "");
    return readable;
}

/* ---- S7: states, folded as the services fold them ----------------------- */

static struct folded *folded_of(struct checked_log *log, unsigned kind,
                                const char *key)
{
    struct folded *folded;
    struct folded_key id;

    memset(&id, 0, sizeof id);
    id.kind = kind;
    text_copy(id.key, sizeof id.key, key);
    HASH_FIND(hh, log->folds, &id, sizeof id, folded);
    if (folded == NULL) {
        folded = check_alloc(1, sizeof *folded);
        folded->id = id;
        folded->state = check_alloc(1, log->service->kinds[kind].bytes);
        HASH_ADD(hh, log->folds, id, sizeof id, folded);
    }
    return folded;
}

static void broken_snapshot(struct check *check, const struct checked_log *log,
                            const struct kind *kind, const char *key,
                            int64_t seq, const char *what)
{
    char tag[TAG_BYTES];

    event_tag(log->service->domain, kind->tag, key, tag);
    check_broken(check, CHECK_S7, tag, "%s's snapshot at #%" PRId64 " %s",
                 log->service->name, seq, what);
}

/* The state is now what the snapshot should be. */
static void compare_snapshot(struct check *check, const struct checked_log *log,
                             struct folded *folded)
{
    const struct kind *kind = &log->service->kinds[folded->id.kind];

    if (memcmp(folded->snapshot, folded->state, kind->bytes) != 0)
        broken_snapshot(check, log, kind, folded->id.key,
                        (int64_t)folded->snapshot_seq,
                        "is not the fold of the events up to there");
    folded->snapshot_seq = 0;
}

static void fold_event(struct check *check, struct checked_log *log,
                       const struct event *event)
{
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(log->service->domain, event, tags);

    for (unsigned k = 0; k < log->service->kind_count; k++) {
        const struct kind *kind = &log->service->kinds[k];

        if (!kind->snapshotted ||
            !event_type_in(event->type, kind->folds, FOLDS_MAX))
            continue;
        for (size_t i = 0; i < count; i++) {
            struct folded *folded;

            if (tags[i].kind != kind->tag)
                continue;
            folded = folded_of(log, k, tags[i].key);
            if (folded->snapshot_seq != 0 &&
                folded->snapshot_seq < event->at.seq)
                compare_snapshot(check, log, folded);
            kind->evolve(folded->state, tags[i].key, event);
        }
    }
}

static int kind_named(const struct service *service, const char *name)
{
    for (unsigned i = 0; i < service->kind_count; i++) {
        if (strcmp(service->kinds[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* A snapshot row.  One of an old layout is void: nobody will ever read it. */
static enum evt_status take_snapshot(struct check *check,
                                     struct checked_log *log, sqlite3_stmt *row)
{
    int number = kind_named(log->service, check_text(row, 0));
    const char *key = check_text(row, 1);
    const struct kind *kind = &log->service->kinds[number < 0 ? 0 : number];
    int64_t seq = sqlite3_column_int64(row, 3);
    struct folded *folded;

    if (number < 0 || !kind->snapshotted ||
        sqlite3_column_int64(row, 2) != service_kind_layout(kind))
        return EVT_OK;
    check->summary->snapshots++;
    if (strlen(key) >= ID_BYTES || seq < 1 || (uint64_t)seq > log->head ||
        (size_t)sqlite3_column_bytes(row, 4) != kind->bytes) {
        broken_snapshot(check, log, kind, strlen(key) < ID_BYTES ? key : "?",
                        seq, "is beyond the log, or of the wrong size");
        return EVT_OK;
    }
    folded = folded_of(log, (unsigned)number, key);
    folded->snapshot_seq = (uint64_t)seq;
    folded->snapshot = check_alloc(1, kind->bytes);
    memcpy(folded->snapshot, sqlite3_column_blob(row, 4), kind->bytes);
    return EVT_OK;
}

/* What is left when the log has been read; the domain sees the states. */
static void finish_folds(struct check *check, struct checked_log *log)
{
    struct folded *folded, *next;

    HASH_ITER(hh, log->folds, folded, next)
    {
        if (folded->snapshot_seq != 0)
            compare_snapshot(check, log, folded);
        if (check->invariants->state != NULL)
            check->invariants->state(check, log,
                                     &log->service->kinds[folded->id.kind],
                                     folded->id.key, folded->state);
    }
}

/* ---- the pass ----------------------------------------------------------- */

/* S7: a timer is armed by its event until one of the others comes. */
static void wind_timers(const struct checked_log *log,
                        const struct event *event, struct checked_saga *saga)
{
    for (size_t i = 0; i < log->service->timer_count; i++) {
        const struct timer *timer = &log->service->timers[i];

        if (event->type == timer->from)
            saga->armed_seq = event->at.seq;
        else if (event_type_in(event->type, timer->unless, UNLESS_MAX))
            saga->armed_seq = 0;
    }
}

/* What is looked at once, whatever the saga. */
static enum evt_status judge_once(struct check *check, struct checked_log *log,
                                  const struct row *row,
                                  const struct event *event)
{
    if (event != NULL && log->service->domain != NULL) {
        check_tags_add(log, event);
        fold_event(check, log, event);
        if (check->invariants->sum != NULL)
            check->invariants->sum(check, log, event);
    }
    return check_cause(check, log, row);
}

static enum evt_status judge_row(struct check *check, struct checked_log *log,
                                 const struct row *row)
{
    struct checked_saga *saga = check_saga(check, row->order_id);
    struct event event;
    bool readable;

    if (saga == NULL && check->part > 0)
        return EVT_OK;
    readable = decode(check, log, row, &event);
    if (readable && saga != NULL) {
        saga->last[log->number] = (struct last){.seq = event.at.seq & SEQ_KEPT,
                                                .type = event.type & TYPE_KEPT};
        wind_timers(log, &event, saga);
        if (check->invariants->judge != NULL)
            check->invariants->judge(check, log, saga, &event);
    }
    return check->part > 0
               ? EVT_OK
               : judge_once(check, log, row, readable ? &event : NULL);
}

static bool is_of_part(void *ctx, const char *order_id)
{
    return check_mine(ctx, order_id);
}

/* A scan of the log behind @after, of all events or of this part's. */
static enum evt_status scan(struct check *check, struct checked_log *log,
                            uint64_t after)
{
    enum evt_status rc = store_scan(log->judged, NULL, after, log->head);

    if (check->part > 0)
        store_scan_wanted(log->judged, is_of_part, check);
    return rc;
}

static enum evt_status judge(struct check *check, struct checked_log *log)
{
    uint8_t previous[HASH_BYTES], hash[HASH_BYTES];
    uint64_t expected = 1;
    struct row row;
    enum evt_status rc;

    event_genesis(log->service->name, store_log_id(log->judged), previous);
    rc = scan(check, log, 0);
    while (rc == EVT_OK &&
           (rc = store_next(log->judged, &row, hash)) != EVT_NONE) {
        if (rc == EVT_BAD) { /* cannot be a row of ours: look behind it */
            if (check->part == 0)
                check_broken(check, CHECK_S1, log->service->name,
                             "#%" PRIu64 " is malformed", row.seq);
            store_scan_end(log->judged);
            rc = scan(check, log, row.seq);
            expected = row.seq + 1;
            continue;
        }
        if (rc != EVT_OK)
            break;
        if (check->part == 0)
            check_chain(check, log, &row, hash, expected, previous);
        rc = judge_row(check, log, &row);
        expected = row.seq + 1;
    }
    store_scan_end(log->judged);
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* What came after what is judged is evidence only. */
static enum evt_status note_later(struct check *check, struct checked_log *log)
{
    const char *why, *field;
    struct event event;
    struct row row;
    enum evt_status rc;

    if (check->invariants->note == NULL)
        return EVT_OK;
    rc = store_scan(log->later, NULL, log->head, log->known);
    while (rc == EVT_OK &&
           (rc = store_next(log->later, &row, NULL)) == EVT_OK) {
        struct checked_saga *saga = check_saga(check, row.order_id);

        if (saga != NULL && check_decode(log, &row, &event, &why, &field))
            check->invariants->note(check, saga, &event);
    }
    store_scan_end(log->later);
    return rc == EVT_NONE || rc == EVT_BAD ? EVT_OK : rc;
}

/* ---- tables beside the events ------------------------------------------- */

enum evt_status check_snapshots(struct check *check, struct checked_log *log)
{
    return check_select(check, log,
                        "SELECT kind, key, layout, seq, bytes FROM snapshot",
                        take_snapshot);
}

static enum evt_status stray_event(struct check *check, struct checked_log *log,
                                   sqlite3_stmt *row)
{
    check_broken(check, CHECK_S1, log->service->name,
                 "there is an event before the first: #%" PRId64,
                 (int64_t)sqlite3_column_int64(row, 0));
    return EVT_OK;
}

static enum evt_status repeated_command(struct check *check,
                                        struct checked_log *log,
                                        sqlite3_stmt *row)
{
    const char *order = check_text(row, 1);

    check_broken(check, CHECK_S2, *order != '\0' ? order : log->service->name,
                 "command %s has %d events in %s's log: #%" PRId64
                 " to #%" PRId64,
                 check_text(row, 0), sqlite3_column_int(row, 2),
                 log->service->name, (int64_t)sqlite3_column_int64(row, 3),
                 (int64_t)sqlite3_column_int64(row, 4));
    check_repeated(check, log, check_text(row, 0), sqlite3_column_int(row, 2));
    return EVT_OK;
}

static enum evt_status is_there(struct check *check, struct checked_log *log,
                                sqlite3_stmt *row)
{
    (void)check;
    (void)log;
    (void)row;
    return EVT_NONE;
}

/* S2: one command, one event.  The unique index of a log says so by itself;
 * who wants two of a command has taken it away. */
static enum evt_status check_commands(struct check *check,
                                      struct checked_log *log)
{
    enum evt_status rc = check_select(
        check, log,
        "SELECT 1 FROM sqlite_schema WHERE sql = 'CREATE UNIQUE INDEX"
        " event_command ON event (command_id) WHERE command_id <> '''''",
        is_there);

    return rc == EVT_NONE
               ? EVT_OK
               : check_select(check, log,
                              "SELECT command_id, max(order_id), count(*),"
                              " min(seq), max(seq) FROM event"
                              " WHERE command_id <> ''"
                              " GROUP BY command_id HAVING count(*) > 1",
                              repeated_command);
}

/* The whole of one log, once. */
static enum evt_status check_whole(struct check *check, struct checked_log *log)
{
    enum evt_status rc;

    for (unsigned i = 0; i < check->services; i++)
        log->answered[i] = check_alloc(check->logs[i].known / 8 + 1, 1);
    check_tags_open(log);
    rc = check_select(check, log, "SELECT seq FROM event WHERE seq < 1",
                      stray_event);
    if (rc == EVT_OK)
        rc = check_failed(check, log, judge(check, log));
    if (rc == EVT_OK && log->service->domain != NULL)
        rc = check_tags(check, log);
    if (rc == EVT_OK)
        rc = check_commands(check, log);
    if (rc == EVT_OK)
        finish_folds(check, log);
    return rc;
}

enum evt_status check_log(struct check *check, struct checked_log *log)
{
    enum evt_status rc = check->part == 0
                             ? check_whole(check, log)
                             : check_failed(check, log, judge(check, log));

    return rc == EVT_OK ? check_failed(check, log, note_later(check, log)) : rc;
}

void check_log_free(struct checked_log *log)
{
    struct folded *folded, *next;

    HASH_ITER(hh, log->folds, folded, next)
    {
        HASH_DEL(log->folds, folded);
        free(folded->snapshot);
        free(folded->state);
        free(folded);
    }
    for (unsigned i = 0; i < SERVICES_MAX; i++)
        free(log->answered[i]);
    free(log->notes);
    free(log->tag_sums);
    free(log->timers);
}
