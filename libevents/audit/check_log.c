/* check_log.c - one log by itself: chain, tags, snapshots (S1, S7).
 *
 * One pass in seq order.  Every event is hashed, decoded and handed to
 * the domain's invariants, which know what it means; what remains of it is a
 * note of 32 bytes, for the events of other logs that name it as their cause.
 * Next: check_causes.c, which walks the notes; then shop/invariants.c. */
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

/* Whom a violation is about, as long as only the row is known. */
static const char *subject_of(const struct checked_log *log,
                              const struct row *row)
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
        check_broken(check, CHECK_S1, subject_of(log, row),
                     "%s #%" PRIu64 " %s does not chain: this event, its hash "
                     "or the previous event was changed",
                     log->service->name, row->seq, row->type);
    memcpy(previous, hash, HASH_BYTES); /* an edit is named once */
}

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
    size_t count = event_tags(event, tags);
    char text[TAG_BYTES];
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        if (!service_indexes(log->service, event->type, tags[i].kind))
            continue;
        event_tag(tags[i].kind, tags[i].key, text);
        sum += tag_hash(text, event->at.seq);
    }
    return sum;
}

/* S2, as far as the row alone shows it: a cause that can be looked up. */
static void note_cause(struct check *check, struct checked_log *log,
                       const struct row *row, struct note *note)
{
    int from = check_service(check, row->cause_source);
    const struct checked_log *publisher;

    note->cause_from = CAUSE_UNKNOWN;
    if (row->cause_source[0] == '\0' && row->command_id[0] != '\0') {
        note->cause_from = CAUSE_COMMAND;
        return;
    }
    if (from < 0 || row->command_id[0] != '\0') {
        check_broken(check, CHECK_S2, subject_of(log, row),
                     "%s #%" PRIu64 " %s has no cause, or too many",
                     log->service->name, row->seq, row->type);
        return;
    }
    publisher = &check->logs[from];
    if (memcmp(row->cause_log, store_log_id(publisher->judged), LOG_ID_BYTES) !=
        0) {
        check_broken(check, CHECK_S2, subject_of(log, row),
                     "%s #%" PRIu64 " %s was caused by %s #%" PRIu64
                     " of a different log",
                     log->service->name, row->seq, row->type,
                     publisher->service->name, row->cause_seq);
        return;
    }
    note->cause_from = (int8_t)from;
    note->cause_seq = row->cause_seq;
}

static struct note *note_row(struct check *check, struct checked_log *log,
                             const struct row *row, const struct event *event)
{
    struct note *note = &log->notes[row->seq];
    const struct message *message = domain_message_named(
        log->service->domain, row->type, row->version, NULL);

    note->saga = check_saga(check, row->order_id);
    if (event != NULL)
        note->type = (uint8_t)event->type;
    else if (message != NULL) /* its payload is spoilt, not its type */
        note->type = (uint8_t)message->type;
    return note;
}

/* Decodes @row; false, with S1 reported, when it cannot be. */
static bool decode(struct check *check, const struct checked_log *log,
                   const struct row *row, struct event *event)
{
    const char *why = "its type is unknown", *field = NULL;
    enum evt_status rc =
        codec_from_row(log->service->name, store_log_id(log->judged), row,
                       event, &why, &field);

    if (rc == EVT_NEWER)
        why = "it is newer than this program";
    if (rc != EVT_OK)
        check_broken(check, CHECK_S1, subject_of(log, row),
                     "%s #%" PRIu64 " %s cannot be read: %s%s%s",
                     log->service->name, row->seq, row->type, why,
                     field != NULL ? ": " : "", field != NULL ? field : "");
    return rc == EVT_OK;
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

    event_tag(kind->tag, key, tag);
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
    size_t count = event_tags(event, tags);

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

/* What is left when the log has been read; S5 and S6 of the states, too. */
static void finish_folds(struct check *check, struct checked_log *log)
{
    struct folded *folded, *next;

    HASH_ITER(hh, log->folds, folded, next)
    {
        if (folded->snapshot_seq != 0)
            compare_snapshot(check, log, folded);
        check->options->invariants->state(check, log,
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

static void judge_row(struct check *check, struct checked_log *log,
                      const struct row *row)
{
    struct event event;
    bool readable = decode(check, log, row, &event);
    struct note *note = note_row(check, log, row, readable ? &event : NULL);

    note_cause(check, log, row, note);
    if (!readable)
        return;
    note->tags += tags_of(log, &event);
    fold_event(check, log, &event);
    if (note->saga != NULL) {
        note->saga->last_seq[log->number] = event.at.seq;
        note->saga->last_type[log->number] = event.type;
        wind_timers(log, &event, note->saga);
    }
    check->options->invariants->judge(check, log, note->saga, &event);
}

static enum evt_status judge(struct check *check, struct checked_log *log)
{
    uint8_t previous[HASH_BYTES], hash[HASH_BYTES];
    uint64_t expected = 1;
    struct row row;
    enum evt_status rc;

    event_genesis(log->service->name, store_log_id(log->judged), previous);
    rc = store_scan(log->judged, NULL, 0, UINT64_MAX);
    while (rc == EVT_OK &&
           (rc = store_next(log->judged, &row, hash)) != EVT_NONE) {
        if (rc == EVT_BAD) { /* cannot be a row of ours: look behind it */
            check_broken(check, CHECK_S1, log->service->name,
                         "#%" PRIu64 " is malformed", expected);
            store_scan_end(log->judged);
            rc = store_scan(log->judged, NULL, expected++, UINT64_MAX);
            continue;
        }
        if (rc != EVT_OK)
            break;
        check_chain(check, log, &row, hash, expected, previous);
        judge_row(check, log, &row);
        expected = row.seq + 1;
    }
    store_scan_end(log->judged);
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* What came after the judged snapshot is evidence only. */
static enum evt_status note_later(struct check *check, struct checked_log *log)
{
    const char *why, *field;
    struct event event;
    struct row row;
    enum evt_status rc = store_scan(log->later, NULL, log->head, log->known);

    while (rc == EVT_OK &&
           (rc = store_next(log->later, &row, NULL)) == EVT_OK) {
        bool readable =
            codec_from_row(log->service->name, store_log_id(log->later), &row,
                           &event, &why, &field) == EVT_OK;

        struct note *note =
            note_row(check, log, &row, readable ? &event : NULL);

        if (readable)
            check->options->invariants->note(check, note->saga, &event);
    }
    store_scan_end(log->later);
    return rc == EVT_NONE || rc == EVT_BAD ? EVT_OK : rc;
}

/* ---- tables beside the events ------------------------------------------- */

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
    return EVT_OK;
}

static enum evt_status subtract_tag(struct check *check,
                                    struct checked_log *log, sqlite3_stmt *row)
{
    const char *tag = check_text(row, 0);
    int64_t seq = sqlite3_column_int64(row, 1);

    if (seq < 1 || (uint64_t)seq > log->head)
        check_broken(check, CHECK_S1, log->service->name,
                     "tag %s points at #%" PRId64 ", which does not exist", tag,
                     seq);
    else
        log->notes[seq].tags -= tag_hash(tag, (uint64_t)seq);
    return EVT_OK;
}

/* Expected and actual tag rows cancel out, or the event is named. */
static void check_tags(struct check *check, const struct checked_log *log)
{
    for (uint64_t seq = 1; seq <= log->head; seq++) {
        const struct note *note = &log->notes[seq];

        if (note->tags != 0 && note->type != NO_MESSAGE)
            check_broken(
                check, CHECK_S1,
                note->saga != NULL ? note->saga->id : log->service->name,
                "the tag rows of %s #%" PRIu64 " do not match the event",
                log->service->name, seq);
    }
}

enum evt_status check_log(struct check *check, struct checked_log *log)
{
    enum evt_status rc;

    log->notes = check_alloc(log->known + 1, sizeof *log->notes);
    for (unsigned i = 0; i < SERVICES; i++)
        log->answered[i] = check_alloc(check->logs[i].known / 8 + 1, 1);
    rc = check_select(check, log, "SELECT seq FROM event WHERE seq < 1",
                      stray_event);
    if (rc == EVT_OK)
        rc = check_select(check, log,
                          "SELECT kind, key, layout, seq, bytes FROM snapshot",
                          take_snapshot);
    if (rc == EVT_OK)
        rc = check_failed(check, log, judge(check, log));
    if (rc == EVT_OK)
        rc = check_failed(check, log, note_later(check, log));
    if (rc == EVT_OK)
        rc = check_select(check, log, "SELECT tag, seq FROM tag", subtract_tag);
    if (rc == EVT_OK)
        rc = check_select(check, log,
                          "SELECT command_id, max(order_id), count(*),"
                          " min(seq), max(seq) FROM event"
                          " WHERE command_id <> ''"
                          " GROUP BY command_id HAVING count(*) > 1",
                          repeated_command);
    if (rc != EVT_OK)
        return rc;
    check_tags(check, log);
    finish_folds(check, log);
    return EVT_OK;
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
    for (unsigned i = 0; i < SERVICES; i++)
        free(log->answered[i]);
    free(log->notes);
}
