/* projection.c - the read side's step: take events, fold, commit; then answer.
 *
 * Read reader_step first.  Position and rows move in one transaction, so a
 * view is always exactly some prefix of each log; what arrives twice, or too
 * far ahead, the feeds sort out (subscription.c).  An event that cannot be read
 * is noted and passed over: a view never stops for one.  Questions are in
 * queries.c, the making of a new generation in rebuild.c, the file itself in
 * view_db.c; what the rows mean is the domain's (order-svc/view.c). */
#include "read/reader.h"

#include "base/fault.h"
#include "base/logger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t reader_now(const struct reader *reader)
{
    return reader->env->mono_ms(reader->env->ctx);
}

/* ---- a side: one generation being folded --------------------------------- */

enum evt_status side_open(struct reader *reader, struct side *side,
                          struct view_db *db, uint64_t first_link)
{
    char name[SERVICE_BYTES];

    memset(side, 0, sizeof *side);
    side->db = db;
    side->first_link = first_link;
    side->feed_count = reader->source_count;
    snprintf(name, sizeof name, "%s-view", reader->view->name);
    for (size_t i = 0; i < side->feed_count; i++) {
        const char *source = reader->view->sources[i];
        enum evt_status rc = view_db_position(db, source, &side->saved[i]);

        feed_open(&side->feeds[i], name, source,
                  rc == EVT_OK ? &side->saved[i] : NULL);
        if (rc != EVT_OK && rc != EVT_NONE)
            return rc;
    }
    side_unlimit(side);
    return EVT_OK;
}

void side_close(struct side *side)
{
    for (size_t i = 0; i < side->feed_count; i++)
        feed_close(&side->feeds[i]);
    view_db_close(side->db);
    memset(side, 0, sizeof *side);
}

void side_unlimit(struct side *side)
{
    for (size_t i = 0; i < side->feed_count; i++) {
        side->limit[i] = UINT64_MAX;
        side->feeds[i].pull_wanted = true; /* what the limit held back */
    }
}

static bool side_held(const struct reader *reader, const struct side *side)
{
    return side->held != EVT_OK && reader_now(reader) < side->retry_ms;
}

/* Whether feed @i may consume now: then it may ask, too. */
static bool side_open_for(const struct reader *reader, const struct side *side,
                          size_t i)
{
    return !side_held(reader, side) &&
           side->feeds[i].cursor.at.seq < side->limit[i];
}

static enum evt_status side_begin(struct side *side)
{
    enum evt_status rc = EVT_OK;

    if (!side->in_transaction)
        rc = view_db_begin(side->db);
    if (rc == EVT_OK)
        side->in_transaction = true;
    return rc;
}

static enum evt_status side_commit(struct reader *reader, struct side *side)
{
    enum evt_status rc = EVT_OK;

    if (!side->in_transaction)
        return EVT_OK;
    for (size_t i = 0; i < side->feed_count && rc == EVT_OK; i++)
        if (side->feeds[i].cursor.at.seq != side->saved[i].at.seq)
            rc = view_db_set_position(side->db, side->feeds[i].source,
                                      &side->feeds[i].cursor);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/read-before-commit");
    rc = view_db_commit(side->db);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/read-after-commit");
    for (size_t i = 0; i < side->feed_count; i++)
        side->saved[i] = side->feeds[i].cursor;
    if (side->held != EVT_OK)
        log_fact(LOG_INFO, NULL, NULL, "view %s goes on", reader->view->name);
    side->held = EVT_OK;
    side->folded += side->batch;
    reader->counts.events += side->batch;
    reader->counts.commits++;
    side->batch = 0;
    side->in_transaction = false;
    return EVT_OK;
}

/* The transaction failed: rows and positions are what they were.  A full disk
 * or a lock passes; the view answers from what it has meanwhile. */
static enum evt_status side_give_up(struct reader *reader, struct side *side,
                                    enum evt_status rc)
{
    view_db_rollback(side->db);
    side->in_transaction = false;
    side->batch = 0;
    reader->counts.rollbacks++;
    for (size_t i = 0; i < side->feed_count; i++)
        feed_reset(&side->feeds[i], &side->saved[i]);
    if (rc != EVT_FULL && rc != EVT_BUSY)
        return EVT_IO;
    if (side->held != rc)
        log_fact(LOG_WARN, NULL, NULL, "%s; trying again",
                 view_db_error(side->db));
    side->held = rc;
    side->retry_ms = reader_now(reader) + VIEW_RETRY_MS;
    return EVT_OK;
}

/* ---- folding ------------------------------------------------------------- */

/* Passes over an event that this program cannot read, and says so for good: in
 * the view, since the position moves past it. */
static enum evt_status skip_row(struct reader *reader, struct side *side,
                                const struct feed *feed, const struct row *row,
                                const char *why, const char *field)
{
    char reason[STORE_WHY_BYTES];

    snprintf(reason, sizeof reason, "%s version %u: %s%s%s", row->type,
             row->version, field != NULL ? field : "",
             field != NULL ? ": " : "", why);
    log_fact(LOG_WARN, row->order_id, NULL, "%s/%llu cannot be read: %s",
             feed->source, (unsigned long long)row->seq, reason);
    reader->counts.skipped++;
    return view_db_skip(side->db, feed->source, row->seq, reason);
}

static enum evt_status fold_row(struct reader *reader, struct side *side,
                                const struct feed *feed, const struct row *row)
{
    const char *why = "", *field = NULL;
    struct event event;

    switch (event_from_row(feed->source, feed->cursor.at.log_id, row, &event,
                           &why, &field)) {
    case EVT_OK:
        break;
    case EVT_NONE: /* somebody else's business: only the position moves */
        reader->counts.ignored++;
        return EVT_OK;
    case EVT_NEWER:
        return skip_row(reader, side, feed, row,
                        "newer than this program knows", NULL);
    default:
        return skip_row(reader, side, feed, row, why, field);
    }
    if (side == &reader->live && event.order_id[0] != '\0')
        query_touch(reader, event.order_id);
    return reader->view->project(side->db, &event);
}

/* Takes row @k of reader->fresh for feed @i of @side.  EVT_NONE: it may not
 * consume now. */
static enum evt_status take_row(struct reader *reader, struct side *side,
                                size_t i, size_t k)
{
    const struct fresh *fresh = reader->fresh;
    struct feed *feed = &side->feeds[i];
    enum evt_status rc;

    if (!side_open_for(reader, side, i))
        return EVT_NONE;
    rc = side_begin(side);
    if (rc == EVT_OK)
        rc = fold_row(reader, side, feed, &fresh->frame.rows[k]);
    if (rc == EVT_OK)
        feed_advance(feed, fresh, k);
    if (rc == EVT_OK && ++side->batch == VIEW_BATCH_MAX)
        rc = side_commit(reader, side);
    return rc;
}

/* Takes a frame or a reply for feed @i of @side, and what waited for it. */
static enum evt_status take_rows(struct reader *reader, struct side *side,
                                 size_t i, const struct input *input)
{
    struct feed *feed = &side->feeds[i];
    struct fresh *fresh = reader->fresh;
    uint64_t now = reader_now(reader);
    enum evt_status rc = EVT_OK;
    size_t rows;

    rows = input->kind == INPUT_FRAME
               ? feed_frame(feed, now, input->bytes, input->count, fresh)
               : feed_reply(feed, now, input->bytes, input->count, fresh);
    do
        for (size_t k = 0; k < rows && rc == EVT_OK; k++)
            rc = take_row(reader, side, i, fresh->first + k);
    while (rc == EVT_OK && (rows = feed_held(feed, fresh)) > 0);
    if (rc == EVT_NONE) {
        struct cursor stay = feed->cursor;

        feed_reset(feed, &stay);
        return EVT_OK;
    }
    return rc == EVT_OK ? EVT_OK : side_give_up(reader, side, rc);
}

static enum evt_status take_input(struct reader *reader,
                                  const struct input *input)
{
    struct side *side = &reader->live;
    size_t i = (size_t)input->from;

    if (input->kind == INPUT_REQUEST)
        return EVT_OK; /* first learn, then answer */
    if (i >= reader->source_count) {
        side = &reader->next;
        i -= reader->source_count;
    }
    if (side->db == NULL)
        return EVT_OK; /* a reply to a rebuild that is over */
    assert(i < side->feed_count);
    if (input->kind == INPUT_CONNECTED)
        feed_connected(&side->feeds[i]);
    else
        return take_rows(reader, side, i, input);
    return EVT_OK;
}

/* Commits what the inputs came to. */
static enum evt_status side_finish(struct reader *reader, struct side *side)
{
    enum evt_status rc = side_commit(reader, side);

    return rc == EVT_OK ? EVT_OK : side_give_up(reader, side, rc);
}

/* ---- the step ------------------------------------------------------------ */

static void pull(struct reader *reader, struct side *side)
{
    const struct env *env = reader->env;
    uint64_t now = reader_now(reader), nonce;

    for (size_t i = 0; i < side->feed_count; i++) {
        size_t bytes;

        if (!side_open_for(reader, side, i) ||
            feed_wake_ms(&side->feeds[i], now) > now)
            continue;
        do
            env->random(env->ctx, &nonce, sizeof nonce);
        while (nonce == 0);
        bytes = feed_pull(&side->feeds[i], now, nonce, reader->message);
        if (bytes > 0)
            env->send(env->ctx, TO_PUBLISHER, side->first_link + i,
                      reader->message, bytes);
    }
}

static enum evt_status failed(struct reader *reader)
{
    snprintf(reader->error, sizeof reader->error, "%s",
             view_db_error(reader->live.db));
    return EVT_IO;
}

/* A rebuild that cannot write is given up; the view that serves goes on. */
static enum evt_status take_inputs(struct reader *reader,
                                   const struct input *inputs, size_t count)
{
    enum evt_status rc = EVT_OK;

    for (size_t i = 0; i < count && rc == EVT_OK; i++) {
        rc = take_input(reader, &inputs[i]);
        if (rc != EVT_OK && inputs[i].from >= reader->source_count) {
            rebuild_abandon(reader, 74, view_db_error(reader->next.db));
            rc = EVT_OK;
        }
    }
    if (rc == EVT_OK)
        rc = side_finish(reader, &reader->live);
    if (rc == EVT_OK && side_finish(reader, &reader->next) != EVT_OK)
        rebuild_abandon(reader, 74, view_db_error(reader->next.db));
    return rc;
}

/* A pull is answered from the log, whatever the view has learnt of it; for
 * whoever sent it a gap is open until then. */
static bool is_pull(const struct input *input)
{
    return input->kind == INPUT_REQUEST && input->count > 0 &&
           *(const char *)input->bytes != '{';
}

enum evt_status reader_step(struct reader *reader, const struct input *inputs,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_pull(&inputs[i]))
            query_take(reader, &inputs[i]);
    if (take_inputs(reader, inputs, count) != EVT_OK)
        return failed(reader);
    rebuild_step(reader);
    for (size_t i = 0; i < count; i++)
        if (inputs[i].kind == INPUT_REQUEST && !is_pull(&inputs[i]))
            query_take(reader, &inputs[i]);
    query_reconsider(reader);
    pull(reader, &reader->live);
    pull(reader, &reader->next);
    return view_db_failed(reader->live.db) ? failed(reader) : EVT_OK;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t side_wake_ms(const struct reader *reader,
                             const struct side *side)
{
    uint64_t now = reader_now(reader), wake = UINT64_MAX;

    if (side_held(reader, side))
        return side->retry_ms;
    for (size_t i = 0; i < side->feed_count; i++)
        if (side_open_for(reader, side, i))
            wake = earlier(wake, feed_wake_ms(&side->feeds[i], now));
    return wake;
}

uint64_t reader_wake_ms(const struct reader *reader)
{
    uint64_t wake = earlier(side_wake_ms(reader, &reader->live),
                            side_wake_ms(reader, &reader->next));

    for (size_t i = 0; i < reader->waiting_count; i++)
        wake = earlier(wake, reader->waiting[i].deadline_ms);
    return earlier(wake, rebuild_wake_ms(reader));
}

bool reader_awaited(const struct reader *reader)
{
    return reader->waiting_count > 0 || reader->rebuild.phase != REBUILD_NONE;
}

/* ---- life ---------------------------------------------------------------- */

/* The generation that serves; or, when there is none of use, an empty one in
 * its place: it will pull the logs from the beginning. */
static enum evt_status open_generation(struct reader *reader,
                                       struct view_db **db,
                                       char why[STORE_WHY_BYTES])
{
    const struct view_place *place = &reader->place;
    uint64_t generation = generation_current(place);
    enum evt_status rc = EVT_NONE;

    snprintf(why, STORE_WHY_BYTES, "there is none yet");
    if (generation != 0)
        rc = view_db_open(place, generation, db, why);
    if (rc == EVT_NONE) {
        log_fact(LOG_INFO, NULL, NULL, "view %s is built from zero: %s",
                 reader->view->name, why);
        rc = view_db_create(place, ++generation, db, why);
        if (rc == EVT_OK)
            rc = generation_publish(place, generation, why);
        if (rc != EVT_OK)
            view_db_close(*db);
    }
    if (rc == EVT_OK)
        generation_clean(place, generation);
    return rc;
}

enum evt_status reader_open(const struct view *view, const struct env *env,
                            const struct reader_config *config,
                            struct reader **opened, char why[STORE_WHY_BYTES])
{
    struct reader *reader = calloc(1, sizeof *reader);
    struct view_db *db = NULL;
    enum evt_status rc;

    if (reader == NULL)
        abort();
    fault_declare("crash/read-before-commit", "kill -9 before a view commits");
    fault_declare("crash/read-after-commit", "kill -9 after a view commits");
    reader->view = view;
    reader->env = env;
    reader->config = config;
    reader->place = (struct view_place){view, config->directory, env->vfs};
    while (view->sources[reader->source_count] != NULL)
        reader->source_count++;
    assert(reader->source_count <= CURSORS_MAX);
    reader->fresh = malloc(sizeof *reader->fresh);
    if (reader->fresh == NULL)
        abort();
    rc = open_generation(reader, &db, why);
    if (rc == EVT_OK) {
        rc = side_open(reader, &reader->live, db, 0);
        if (rc != EVT_OK)
            snprintf(why, STORE_WHY_BYTES, "%s", view_db_error(db));
    }
    if (rc != EVT_OK) {
        reader_close(reader);
        return rc;
    }
    *opened = reader;
    return EVT_OK;
}

/* Who still waits for an answer gets none: the sockets are closing, too. */
void reader_close(struct reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->rebuild.phase != REBUILD_NONE) {
        reader->rebuild.asked_count = 0;
        rebuild_abandon(reader, 75, "the read side is closing");
    }
    json_decref(reader->rebuild.result);
    for (size_t i = 0; i < reader->waiting_count; i++)
        json_decref(reader->waiting[i].request);
    side_close(&reader->live);
    store_close(reader->log);
    free(reader->fresh);
    free(reader);
}

const char *reader_error(const struct reader *reader)
{
    return reader->error;
}
