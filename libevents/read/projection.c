/* projection.c - the read side's step: take events, fold, commit; then answer.
 *
 * Read projection_step first.  Position and rows move in one transaction, so a
 * view is always exactly some prefix of each log; what arrives twice, or too
 * far ahead, the subscriptions sort out (subscription.c).  An event that cannot
 * be read is noted and passed over: a view never stops for one.  Questions are
 * in queries.c, the making of a new generation in rebuild.c, the file itself in
 * view_db.c; what the rows mean is the domain's (order-svc/view.c). */
#include "read/reader.h"

#include "base/fault.h"
#include "base/logger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t projection_now(const struct projection *projection)
{
    return projection->env->mono_ms(projection->env->ctx);
}

/* ---- a side: one generation being folded --------------------------------- */

enum evt_status side_open(struct projection *projection, struct side *side,
                          struct view_db *db, uint64_t first_link)
{
    char name[SERVICE_BYTES];

    memset(side, 0, sizeof *side);
    side->db = db;
    side->first_link = first_link;
    side->subscription_count = projection->source_count;
    snprintf(name, sizeof name, "%s-view", projection->view->name);
    for (size_t i = 0; i < side->subscription_count; i++) {
        const char *source = projection->view->sources[i];
        enum evt_status rc = view_db_position(db, source, &side->saved[i]);

        subscription_open(&side->subscriptions[i], name, source,
                          rc == EVT_OK ? &side->saved[i] : NULL);
        if (rc != EVT_OK && rc != EVT_NONE)
            return rc;
    }
    side_unlimit(side);
    return EVT_OK;
}

void side_close(struct side *side)
{
    for (size_t i = 0; i < side->subscription_count; i++)
        subscription_close(&side->subscriptions[i]);
    view_db_close(side->db);
    memset(side, 0, sizeof *side);
}

void side_unlimit(struct side *side)
{
    for (size_t i = 0; i < side->subscription_count; i++) {
        side->limit[i] = UINT64_MAX;
        side->subscriptions[i].pull_wanted =
            true; /* what the limit held back */
    }
}

static bool side_held(const struct projection *projection,
                      const struct side *side)
{
    return side->held != EVT_OK && projection_now(projection) < side->retry_ms;
}

/* Whether subscription @i may consume now: then it may ask, too. */
static bool side_open_for(const struct projection *projection,
                          const struct side *side, size_t i)
{
    return !side_held(projection, side) &&
           side->subscriptions[i].cursor.at.seq < side->limit[i];
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

static enum evt_status side_commit(struct projection *projection,
                                   struct side *side)
{
    enum evt_status rc = EVT_OK;

    if (!side->in_transaction)
        return EVT_OK;
    for (size_t i = 0; i < side->subscription_count && rc == EVT_OK; i++)
        if (side->subscriptions[i].cursor.at.seq != side->saved[i].at.seq)
            rc = view_db_set_position(side->db, side->subscriptions[i].source,
                                      &side->subscriptions[i].cursor);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/read-before-commit");
    rc = view_db_commit(side->db);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/read-after-commit");
    for (size_t i = 0; i < side->subscription_count; i++)
        side->saved[i] = side->subscriptions[i].cursor;
    if (side->held != EVT_OK)
        logger_fact(LOG_INFO, NULL, NULL, "view %s goes on",
                    projection->view->name);
    side->held = EVT_OK;
    side->folded += side->batch;
    projection->counts.events += side->batch;
    projection->counts.commits++;
    side->batch = 0;
    side->in_transaction = false;
    return EVT_OK;
}

/* The transaction failed: rows and positions are what they were.  A full disk
 * or a lock passes; the view answers from what it has meanwhile. */
static enum evt_status side_give_up(struct projection *projection,
                                    struct side *side, enum evt_status rc)
{
    view_db_rollback(side->db);
    side->in_transaction = false;
    side->batch = 0;
    projection->counts.rollbacks++;
    for (size_t i = 0; i < side->subscription_count; i++)
        subscription_reset(&side->subscriptions[i], &side->saved[i]);
    if (rc != EVT_FULL && rc != EVT_BUSY)
        return EVT_IO;
    if (side->held != rc)
        logger_fact(LOG_WARN, NULL, NULL, "%s; trying again",
                    view_db_error(side->db));
    side->held = rc;
    side->retry_ms = projection_now(projection) + VIEW_RETRY_MS;
    return EVT_OK;
}

/* ---- folding ------------------------------------------------------------- */

/* Passes over an event that this program cannot read, and says so for good: in
 * the view, since the position moves past it. */
static enum evt_status skip_row(struct projection *projection,
                                struct side *side,
                                const struct subscription *sub,
                                const struct row *row, const char *why,
                                const char *field)
{
    char reason[STORE_WHY_BYTES];

    snprintf(reason, sizeof reason, "%s version %u: %s%s%s", row->type,
             row->version, field != NULL ? field : "",
             field != NULL ? ": " : "", why);
    logger_fact(LOG_WARN, row->order_id, NULL, "%s/%llu cannot be read: %s",
                sub->source, (unsigned long long)row->seq, reason);
    projection->counts.skipped++;
    return view_db_skip(side->db, sub->source, row->seq, reason);
}

static enum evt_status fold_row(struct projection *projection,
                                struct side *side,
                                const struct subscription *sub,
                                const struct row *row)
{
    const char *why = "", *field = NULL;
    struct event event;

    switch (codec_from_row(sub->source, sub->cursor.at.log_id, row, &event,
                           &why, &field)) {
    case EVT_OK:
        break;
    case EVT_NONE: /* somebody else's business: only the position moves */
        projection->counts.ignored++;
        return EVT_OK;
    case EVT_NEWER:
        return skip_row(projection, side, sub, row,
                        "newer than this program knows", NULL);
    default:
        return skip_row(projection, side, sub, row, why, field);
    }
    if (side == &projection->live && event.order_id[0] != '\0')
        query_touch(projection, event.order_id);
    return projection->view->project(side->db, &event);
}

/* Takes row @k of reader->fresh for subscription @i of @side.  EVT_NONE: it may
 * not consume now. */
static enum evt_status take_row(struct projection *projection,
                                struct side *side, size_t i, size_t k)
{
    const struct new_rows *new_rows = projection->new_rows;
    struct subscription *sub = &side->subscriptions[i];
    enum evt_status rc;

    if (!side_open_for(projection, side, i))
        return EVT_NONE;
    rc = side_begin(side);
    if (rc == EVT_OK)
        rc = fold_row(projection, side, sub, &new_rows->frame.rows[k]);
    if (rc == EVT_OK)
        subscription_advance(sub, new_rows, k);
    if (rc == EVT_OK && ++side->batch == VIEW_BATCH_MAX)
        rc = side_commit(projection, side);
    return rc;
}

/* Takes a frame or a reply for subscription @i of @side, and what waited for
 * it. */
static enum evt_status take_rows(struct projection *projection,
                                 struct side *side, size_t i,
                                 const struct input *input)
{
    struct subscription *sub = &side->subscriptions[i];
    struct new_rows *new_rows = projection->new_rows;
    uint64_t now = projection_now(projection);
    enum evt_status rc = EVT_OK;
    size_t rows;

    rows =
        input->kind == INPUT_FRAME
            ? subscription_frame(sub, now, input->bytes, input->count, new_rows)
            : subscription_reply(sub, now, input->bytes, input->count,
                                 new_rows);
    do
        for (size_t k = 0; k < rows && rc == EVT_OK; k++)
            rc = take_row(projection, side, i, new_rows->first + k);
    while (rc == EVT_OK && (rows = subscription_held(sub, new_rows)) > 0);
    if (rc == EVT_NONE) {
        struct cursor stay = sub->cursor;

        subscription_reset(sub, &stay);
        return EVT_OK;
    }
    return rc == EVT_OK ? EVT_OK : side_give_up(projection, side, rc);
}

static enum evt_status take_input(struct projection *projection,
                                  const struct input *input)
{
    struct side *side = &projection->live;
    size_t i = (size_t)input->from;

    if (input->kind == INPUT_REQUEST)
        return EVT_OK; /* first learn, then answer */
    if (i >= projection->source_count) {
        side = &projection->next;
        i -= projection->source_count;
    }
    if (side->db == NULL)
        return EVT_OK; /* a reply to a rebuild that is over */
    assert(i < side->subscription_count);
    if (input->kind == INPUT_CONNECTED)
        subscription_connected(&side->subscriptions[i]);
    else
        return take_rows(projection, side, i, input);
    return EVT_OK;
}

/* Commits what the inputs came to. */
static enum evt_status side_finish(struct projection *projection,
                                   struct side *side)
{
    enum evt_status rc = side_commit(projection, side);

    return rc == EVT_OK ? EVT_OK : side_give_up(projection, side, rc);
}

/* ---- the step ------------------------------------------------------------ */

static void pull(struct projection *projection, struct side *side)
{
    const struct env *env = projection->env;
    uint64_t now = projection_now(projection), nonce;

    for (size_t i = 0; i < side->subscription_count; i++) {
        size_t bytes;

        if (!side_open_for(projection, side, i) ||
            subscription_wake_ms(&side->subscriptions[i], now) > now)
            continue;
        do
            env->random(env->ctx, &nonce, sizeof nonce);
        while (nonce == 0);
        bytes = subscription_pull(&side->subscriptions[i], now, nonce,
                                  projection->message);
        if (bytes > 0)
            env->send(env->ctx, TO_PUBLISHER, side->first_link + i,
                      projection->message, bytes);
    }
}

static enum evt_status failed(struct projection *projection)
{
    snprintf(projection->error, sizeof projection->error, "%s",
             view_db_error(projection->live.db));
    return EVT_IO;
}

/* A rebuild that cannot write is given up; the view that serves goes on. */
static enum evt_status take_inputs(struct projection *projection,
                                   const struct input *inputs, size_t count)
{
    enum evt_status rc = EVT_OK;

    for (size_t i = 0; i < count && rc == EVT_OK; i++) {
        rc = take_input(projection, &inputs[i]);
        if (rc != EVT_OK && inputs[i].from >= projection->source_count) {
            rebuild_abandon(projection, 74, view_db_error(projection->next.db));
            rc = EVT_OK;
        }
    }
    if (rc == EVT_OK)
        rc = side_finish(projection, &projection->live);
    if (rc == EVT_OK && side_finish(projection, &projection->next) != EVT_OK)
        rebuild_abandon(projection, 74, view_db_error(projection->next.db));
    return rc;
}

/* A pull is answered from the log, whatever the view has learnt of it; for
 * whoever sent it a gap is open until then. */
static bool is_pull(const struct input *input)
{
    return input->kind == INPUT_REQUEST && input->count > 0 &&
           *(const char *)input->bytes != '{';
}

enum evt_status projection_step(struct projection *projection,
                                const struct input *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_pull(&inputs[i]))
            query_take(projection, &inputs[i]);
    if (take_inputs(projection, inputs, count) != EVT_OK)
        return failed(projection);
    rebuild_step(projection);
    for (size_t i = 0; i < count; i++)
        if (inputs[i].kind == INPUT_REQUEST && !is_pull(&inputs[i]))
            query_take(projection, &inputs[i]);
    query_reconsider(projection);
    pull(projection, &projection->live);
    pull(projection, &projection->next);
    return view_db_failed(projection->live.db) ? failed(projection) : EVT_OK;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t side_wake_ms(const struct projection *projection,
                             const struct side *side)
{
    uint64_t now = projection_now(projection), wake = UINT64_MAX;

    if (side_held(projection, side))
        return side->retry_ms;
    for (size_t i = 0; i < side->subscription_count; i++)
        if (side_open_for(projection, side, i))
            wake = earlier(wake,
                           subscription_wake_ms(&side->subscriptions[i], now));
    return wake;
}

uint64_t projection_wake_ms(const struct projection *projection)
{
    uint64_t wake = earlier(side_wake_ms(projection, &projection->live),
                            side_wake_ms(projection, &projection->next));

    for (size_t i = 0; i < projection->waiting_count; i++)
        wake = earlier(wake, projection->waiting[i].deadline_ms);
    return earlier(wake, rebuild_wake_ms(projection));
}

bool projection_awaited(const struct projection *projection)
{
    return projection->waiting_count > 0 ||
           projection->rebuild.phase != REBUILD_NONE;
}

/* ---- life ---------------------------------------------------------------- */

/* The generation that serves; or, when there is none of use, an empty one in
 * its place: it will pull the logs from the beginning. */
static enum evt_status open_generation(struct projection *projection,
                                       struct view_db **db,
                                       char why[STORE_WHY_BYTES])
{
    const struct view_files *files = &projection->files;
    uint64_t generation = generation_current(files);
    enum evt_status rc = EVT_NONE;

    snprintf(why, STORE_WHY_BYTES, "there is none yet");
    if (generation != 0)
        rc = view_db_open(files, generation, db, why);
    if (rc == EVT_NONE) {
        logger_fact(LOG_INFO, NULL, NULL, "view %s is built from zero: %s",
                    projection->view->name, why);
        rc = view_db_create(files, ++generation, db, why);
        if (rc == EVT_OK)
            rc = generation_publish(files, generation, why);
        if (rc != EVT_OK)
            view_db_close(*db);
    }
    if (rc == EVT_OK)
        generation_clean(files, generation);
    return rc;
}

enum evt_status projection_open(const struct view *view, const struct env *env,
                                const struct projection_config *config,
                                struct projection **opened,
                                char why[STORE_WHY_BYTES])
{
    struct projection *projection = calloc(1, sizeof *projection);
    struct view_db *db = NULL;
    enum evt_status rc;

    if (projection == NULL)
        abort();
    fault_declare("crash/read-before-commit", "kill -9 before a view commits");
    fault_declare("crash/read-after-commit", "kill -9 after a view commits");
    projection->view = view;
    projection->env = env;
    projection->config = config;
    projection->files = (struct view_files){view, config->directory, env->vfs};
    while (view->sources[projection->source_count] != NULL)
        projection->source_count++;
    assert(projection->source_count <= CURSORS_MAX);
    projection->new_rows = malloc(sizeof *projection->new_rows);
    if (projection->new_rows == NULL)
        abort();
    rc = open_generation(projection, &db, why);
    if (rc == EVT_OK) {
        rc = side_open(projection, &projection->live, db, 0);
        if (rc != EVT_OK)
            snprintf(why, STORE_WHY_BYTES, "%s", view_db_error(db));
    }
    if (rc != EVT_OK) {
        projection_close(projection);
        return rc;
    }
    *opened = projection;
    return EVT_OK;
}

/* Who still waits for an answer gets none: the sockets are closing, too. */
void projection_close(struct projection *projection)
{
    if (projection == NULL)
        return;
    if (projection->rebuild.phase != REBUILD_NONE) {
        projection->rebuild.asked_count = 0;
        rebuild_abandon(projection, 75, "the read side is closing");
    }
    json_decref(projection->rebuild.result);
    for (size_t i = 0; i < projection->waiting_count; i++)
        json_decref(projection->waiting[i].request);
    side_close(&projection->live);
    store_close(projection->log);
    free(projection->new_rows);
    free(projection);
}

const char *projection_error(const struct projection *projection)
{
    return projection->error;
}
