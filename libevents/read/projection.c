/* projection.c - the read side's step: take events, fold, commit; then answer.
 *
 * Read projection_step first.  Position and rows move in one transaction, so a
 * view is always exactly some prefix of each log; what arrives twice, or too
 * far ahead, the subscriptions sort out (subscription.c).  An event that cannot
 * be read is noted and passed over: a view never stops for one.  Questions are
 * in queries.c, the transaction of a generation in generation.c, the making of
 * a new one in rebuild.c, the file itself in view_db.c; what the rows mean is
 * the domain's (view.h). */
#include "read/projection_internal.h"

#include "base/fault.h"
#include "base/logger.h"
#include "core/codec.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t projection_now(const struct projection *projection)
{
    return projection->env->mono_ms(projection->env->ctx);
}

/* ---- folding ------------------------------------------------------------- */

/* Passes over an event that this program cannot read, and says so for good: in
 * the view, since the position moves past it. */
static enum evt_status skip_row(struct projection *projection,
                                struct generation *generation,
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
    return view_db_skip(generation->db, sub->source, row->seq, reason);
}

static enum evt_status fold_row(struct projection *projection,
                                struct generation *generation,
                                const struct subscription *sub,
                                const struct row *row)
{
    const char *why = "", *field = NULL;
    struct event event;

    switch (codec_from_row(projection->view->domain, sub->source,
                           sub->cursor.at.log_id, row, &event, &why, &field)) {
    case EVT_OK:
        break;
    case EVT_NONE: /* somebody else's business: only the position moves */
        projection->counts.ignored++;
        return EVT_OK;
    case EVT_NEWER:
        return skip_row(projection, generation, sub, row,
                        "newer than this program knows", NULL);
    default:
        return skip_row(projection, generation, sub, row, why, field);
    }
    if (generation == &projection->live && event.order_id[0] != '\0')
        queries_touch(projection, event.order_id);
    return projection->view->project(generation->db, &event);
}

/* What became of a row. */
enum take {
    TAKEN,
    HELD,  /* its generation may not consume it now */
    FAILED /* *rc says how */
};

/* Takes row @k of the new rows for subscription @i of @generation. */
static enum take take_row(struct projection *projection,
                          struct generation *generation, size_t i, size_t k,
                          enum evt_status *rc)
{
    const struct new_rows *new_rows = projection->new_rows;
    struct subscription *sub = &generation->subscriptions[i];

    if (!generation_may_consume(projection, generation, i))
        return HELD;
    *rc = generation_begin(generation);
    if (*rc == EVT_OK)
        *rc = fold_row(projection, generation, sub, &new_rows->frame.rows[k]);
    if (*rc == EVT_OK)
        subscription_advance(sub, new_rows, k);
    if (*rc == EVT_OK && ++generation->batch == VIEW_BATCH_MAX)
        *rc = generation_commit(projection, generation);
    return *rc == EVT_OK ? TAKEN : FAILED;
}

/* Takes @rows new rows, and those that were held back until these came. */
static enum take take_new_rows(struct projection *projection,
                               struct generation *generation, size_t i,
                               size_t rows, enum evt_status *rc)
{
    struct subscription *sub = &generation->subscriptions[i];
    struct new_rows *new_rows = projection->new_rows;
    enum take take = TAKEN;

    do {
        for (size_t k = 0; k < rows && take == TAKEN; k++)
            take = take_row(projection, generation, i, new_rows->first + k, rc);
    } while (take == TAKEN && (rows = subscription_held(sub, new_rows)) > 0);
    return take;
}

/* Takes a frame or a reply for subscription @i of @generation. */
static enum evt_status take_rows(struct projection *projection,
                                 struct generation *generation, size_t i,
                                 const struct input *input)
{
    struct subscription *sub = &generation->subscriptions[i];
    struct new_rows *new_rows = projection->new_rows;
    uint64_t now = projection_now(projection);
    struct cursor stay;
    enum evt_status rc = EVT_OK;
    size_t rows;

    if (input->kind == INPUT_FRAME)
        rows =
            subscription_frame(sub, now, input->bytes, input->count, new_rows);
    else
        rows =
            subscription_reply(sub, now, input->bytes, input->count, new_rows);
    switch (take_new_rows(projection, generation, i, rows, &rc)) {
    case HELD: /* what is dropped here is pulled when the limit is lifted */
        stay = sub->cursor;
        subscription_reset(sub, &stay);
        return EVT_OK;
    case FAILED:
        return generation_give_up(projection, generation, rc);
    default:
        return EVT_OK;
    }
}

static enum evt_status take_input(struct projection *projection,
                                  const struct input *input)
{
    struct generation *generation = &projection->live;
    size_t i = (size_t)input->from;

    if (input->kind == INPUT_REQUEST)
        return EVT_OK; /* first learn, then answer */
    if (i >= projection->source_count) {
        generation = &projection->next;
        i -= projection->source_count;
    }
    if (generation->db == NULL)
        return EVT_OK; /* a reply to a rebuild that is over */
    assert(i < generation->subscription_count);
    if (input->kind == INPUT_CONNECTED)
        subscription_connected(&generation->subscriptions[i]);
    else
        return take_rows(projection, generation, i, input);
    return EVT_OK;
}

/* ---- the step ------------------------------------------------------------ */

static void pull(struct projection *projection, struct generation *generation)
{
    uint64_t now = projection_now(projection);

    for (size_t i = 0; i < generation->subscription_count; i++)
        if (generation_may_consume(projection, generation, i))
            subscription_poll(&generation->subscriptions[i], projection->env,
                              now, generation->first_link + i,
                              projection->message);
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
        rc = generation_finish(projection, &projection->live);
    if (rc == EVT_OK &&
        generation_finish(projection, &projection->next) != EVT_OK)
        rebuild_abandon(projection, 74, view_db_error(projection->next.db));
    return rc;
}

/* A pull is answered from the log, whatever the view has learnt of it; for
 * the one who sent it a gap is open until then. */
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
            queries_take(projection, &inputs[i]);
    if (take_inputs(projection, inputs, count) != EVT_OK)
        return failed(projection);
    rebuild_step(projection);
    for (size_t i = 0; i < count; i++)
        if (inputs[i].kind == INPUT_REQUEST && !is_pull(&inputs[i]))
            queries_take(projection, &inputs[i]);
    queries_reconsider(projection);
    pull(projection, &projection->live);
    pull(projection, &projection->next);
    return view_db_failed(projection->live.db) ? failed(projection) : EVT_OK;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t projection_wake_ms(const struct projection *projection)
{
    uint64_t wake = earlier(generation_wake_ms(projection, &projection->live),
                            generation_wake_ms(projection, &projection->next));

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

/* Opens the generation that serves.  If it is missing or unusable, creates an
 * empty one in its place, which pulls the logs from the beginning. */
static enum evt_status open_file(struct projection *projection,
                                 struct view_db **db, char why[STORE_WHY_BYTES])
{
    const struct view_files *files = &projection->files;
    uint64_t generation = view_db_current(files);
    enum evt_status rc = EVT_NONE;

    snprintf(why, STORE_WHY_BYTES, "%s has no view.db yet", files->directory);
    if (generation != 0)
        rc = view_db_open(files, generation, db, why);
    if (rc == EVT_NONE) {
        logger_fact(LOG_INFO, NULL, NULL, "view %s is built from zero: %s",
                    projection->view->name, why);
        rc = view_db_create(files, ++generation, db, why);
        if (rc == EVT_OK)
            rc = view_db_publish(files, generation, why);
        if (rc != EVT_OK)
            view_db_close(*db);
    }
    if (rc == EVT_OK)
        view_db_clean(files, generation);
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
    rc = open_file(projection, &db, why);
    if (rc == EVT_OK) {
        rc = generation_open(projection, &projection->live, db, 0);
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
    generation_close(&projection->live);
    store_close(projection->log);
    free(projection->new_rows);
    free(projection);
}

const char *projection_error(const struct projection *projection)
{
    return projection->error;
}
