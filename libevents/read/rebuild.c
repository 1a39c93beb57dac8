/* rebuild.c - a new generation of a view beside the one that serves.
 *
 * The new side starts from zero and lives on pulls alone, over links of its
 * own.  When it has nearly caught up, both sides are let run to the same
 * positions and no further: that is the cut.  There the two are frozen and
 * compared, a slice at each step, while both run on; at a second cut the new
 * side takes the old one's place, so nobody's "after" goes backwards.  A crash
 * anywhere leaves the old generation, and a file that the next start removes.
 *
 * Asked for by `saga rebuild`, or by itself when a log has turned out to be
 * another one than the view was made from: a view has no memory that is worth
 * protecting from that. */
#include "read/projection_internal.h"

#include "base/logger.h"

#include <stdio.h>
#include <string.h>

/* ---- beginning and ending ------------------------------------------------ */

/* Answers all who have asked. */
static void answer(struct projection *projection, json_t *reply)
{
    struct rebuild *rebuild = &projection->rebuild;

    for (size_t i = 0; i < rebuild->asked_count; i++)
        queries_answer(projection, rebuild->asked[i].token, json_incref(reply));
    rebuild->asked_count = 0;
    json_decref(reply);
}

static void forget(struct rebuild *rebuild)
{
    struct rebuild kept = {.tried_by_itself = rebuild->tried_by_itself,
                           .looked_ms = rebuild->looked_ms,
                           .result = rebuild->result};

    view_diff_close(rebuild->diff);
    json_decref(rebuild->differences);
    *rebuild = kept;
}

/* Gives up; the old side goes on as if nothing had been. */
void rebuild_abandon(struct projection *projection, int code, const char *why)
{
    uint64_t generation = view_db_generation(projection->next.db);

    logger_fact(LOG_WARN, NULL, NULL, "view %s: rebuild given up: %s",
                projection->view->name, why);
    answer(projection, view_error(code, "rebuild given up: %s", why));
    forget(&projection->rebuild);
    generation_close(&projection->next);
    generation_unlimit(&projection->live);
    view_db_remove(&projection->files, generation);
}

static enum evt_status begin(struct projection *projection,
                             char why[STORE_WHY_BYTES])
{
    uint64_t generation = view_db_generation(projection->live.db) + 1;
    struct view_db *db = NULL;
    enum evt_status rc =
        view_db_create(&projection->files, generation, &db, why);

    if (rc == EVT_OK) {
        rc = generation_open(projection, &projection->next, db,
                             projection->source_count);
        if (rc != EVT_OK) {
            snprintf(why, STORE_WHY_BYTES, "%s", view_db_error(db));
            generation_close(&projection->next);
            view_db_remove(&projection->files, generation);
        }
    }
    if (rc != EVT_OK) {
        logger_fact(LOG_WARN, NULL, NULL, "view %s cannot be rebuilt: %s",
                    projection->view->name, why);
        return rc;
    }
    projection->rebuild.phase = REBUILD_CATCHING_UP;
    projection->rebuild.begun_ms = projection_now(projection);
    logger_fact(LOG_INFO, NULL, NULL, "view %s: building generation %llu",
                projection->view->name, (unsigned long long)generation);
    return EVT_OK;
}

/* Whether somebody asks again for a rebuild that was done meanwhile. */
static bool is_done(const struct projection *projection, json_int_t generation)
{
    return projection->rebuild.result != NULL && generation > 0 &&
           (uint64_t)generation <= view_db_generation(projection->live.db);
}

/* It joins a rebuild that is under way. */
void rebuild_ask(struct projection *projection, uint64_t token,
                 const json_t *request)
{
    struct rebuild *rebuild = &projection->rebuild;
    int64_t timeout_ms = WAIT_MS_MAX, generation = 0;
    char why[STORE_WHY_BYTES] = "";
    enum evt_status rc = EVT_OK;
    json_t *reply = NULL;

    if (!view_request_number(request, "timeout_ms", 0, WAIT_MS_MAX,
                             &timeout_ms))
        reply = view_error(65, "timeout_ms must be 0 to %d", WAIT_MS_MAX);
    else if (!view_request_number(request, "generation", 1, INT64_MAX,
                                  &generation))
        reply = view_error(65, "generation must be a number from 1 on");
    else if (is_done(projection, generation))
        reply = json_incref(rebuild->result);
    else if (rebuild->asked_count == REBUILD_ASKED_MAX)
        reply = view_error(75, "%d wait for this rebuild already",
                           REBUILD_ASKED_MAX);
    else if (rebuild->phase == REBUILD_NONE)
        rc = begin(projection, why);
    if (rc != EVT_OK)
        reply = view_error(rc == EVT_IO ? 74 : 75, "%s", why);
    if (reply != NULL) {
        queries_answer(projection, token, reply);
        return;
    }
    rebuild->asked[rebuild->asked_count++] = (struct asked){
        token, projection_now(projection) + (uint64_t)timeout_ms};
}

/* ---- the cut ------------------------------------------------------------- */

/* Of a log that is another one now, the old side says nothing any more: the
 * new one only has to have all that there is. */
static bool has_all(const struct subscription *sub)
{
    return subscription_answered(sub) && sub->cursor.at.seq >= sub->head_seq;
}

static bool nearly_there(const struct projection *projection)
{
    for (size_t i = 0; i < projection->source_count; i++) {
        const struct subscription *live = &projection->live.subscriptions[i];
        const struct subscription *next = &projection->next.subscriptions[i];

        if (live->state == SUB_DIVERGED
                ? !has_all(next)
                : next->cursor.at.seq + ROWS_MAX < live->cursor.at.seq)
            return false;
    }
    return true;
}

static bool aligned(const struct projection *projection)
{
    for (size_t i = 0; i < projection->source_count; i++) {
        const struct cursor *live = &projection->live.saved[i];
        const struct cursor *next = &projection->next.saved[i];

        if (projection->live.subscriptions[i].state == SUB_DIVERGED
                ? !has_all(&projection->next.subscriptions[i])
                : live->at.seq != next->at.seq ||
                      (live->at.seq > 0 &&
                       memcmp(live->hash, next->hash, HASH_BYTES) != 0))
            return false;
    }
    return true;
}

/* Neither side goes further than the one that is ahead. */
static void begin_cut(struct projection *projection)
{
    struct generation *live = &projection->live, *next = &projection->next;

    for (size_t i = 0; i < projection->source_count; i++) {
        uint64_t a = live->saved[i].at.seq, b = next->saved[i].at.seq;

        if (live->subscriptions[i].state == SUB_DIVERGED)
            continue;
        live->limit[i] = next->limit[i] = a > b ? a : b;
    }
    projection->rebuild.phase = REBUILD_CUTTING;
    projection->rebuild.cut_ms = projection_now(projection) + CUT_MS_MAX;
}

/* Whether the new side lacks what the old one has, or of another log than the
 * old one's, what its publisher is known to have. */
static bool lacks(const struct projection *projection, size_t i)
{
    const struct subscription *live = &projection->live.subscriptions[i];
    const struct subscription *next = &projection->next.subscriptions[i];

    return live->state == SUB_DIVERGED
               ? !has_all(next)
               : next->cursor.at.seq < live->cursor.at.seq;
}

/* The one that lags pulls at once: no heartbeat tells the new side
 * that there is more, and the old one may have missed a frame. */
static void urge(struct projection *projection)
{
    for (size_t i = 0; i < projection->source_count; i++) {
        struct subscription *live = &projection->live.subscriptions[i];
        struct subscription *next = &projection->next.subscriptions[i];

        if (lacks(projection, i))
            subscription_urge(next);
        if (live->state != SUB_DIVERGED &&
            live->cursor.at.seq < next->cursor.at.seq)
            subscription_urge(live);
    }
}

/* A publisher does not answer: the old side must not stand still for it. */
static void end_cut(struct projection *projection)
{
    generation_unlimit(&projection->live);
    generation_unlimit(&projection->next);
    projection->rebuild.phase = REBUILD_CATCHING_UP;
}

/* ---- comparing and switching --------------------------------------------- */

static const struct subscription *diverged(const struct generation *generation)
{
    for (size_t i = 0; i < generation->subscription_count; i++)
        if (generation->subscriptions[i].state == SUB_DIVERGED)
            return &generation->subscriptions[i];
    return NULL;
}

/* At the cut.  Rows of different logs are not compared. */
static void begin_comparing(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;
    const struct subscription *other = diverged(&projection->live);
    char why[STORE_WHY_BYTES] = "";

    end_cut(projection);
    if (other != NULL) {
        rebuild->differences = json_pack(
            "[o]", json_sprintf("not compared: %s has %s", other->source,
                                subscription_trouble(other)));
        return;
    }
    if (rebuild->lost || view_db_lost(projection->live.db)) {
        rebuild->differences =
            json_pack("[s]", "not compared: its file was deleted");
        return;
    }
    if (view_diff_open(
            &projection->files, view_db_generation(projection->live.db),
            &projection->files, view_db_generation(projection->next.db),
            &rebuild->diff, why) == EVT_OK)
        rebuild->phase = REBUILD_COMPARING;
    else
        rebuild_abandon(projection, 74, why);
}

static void end_comparing(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;

    rebuild->differences = view_diff_texts(rebuild->diff);
    view_diff_close(rebuild->diff);
    rebuild->diff = NULL;
    rebuild->phase = REBUILD_CATCHING_UP;
}

static void tell(struct projection *projection)
{
    const json_t *differences = projection->rebuild.differences;
    size_t i;
    json_t *text;

    logger_fact(LOG_INFO, NULL, NULL,
                "view %s: generation %llu serves, built from %llu events",
                projection->view->name,
                (unsigned long long)view_db_generation(projection->live.db),
                (unsigned long long)projection->live.folded);
    json_array_foreach(differences, i, text)
        logger_fact(LOG_WARN, NULL, NULL, "view %s differed: %s",
                    projection->view->name, json_string_value(text));
}

/* The new side takes the old one's place: the link first, then the rest. */
static void swap(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;
    uint64_t old = view_db_generation(projection->live.db);
    uint64_t generation = view_db_generation(projection->next.db);
    char why[STORE_WHY_BYTES] = "";

    if (view_db_publish(&projection->files, generation, why) != EVT_OK) {
        rebuild_abandon(projection, 74, why);
        return;
    }
    generation_close(&projection->live);
    view_db_remove(&projection->files, old);
    projection->live = projection->next;
    memset(&projection->next, 0, sizeof projection->next);
    projection->live.first_link = 0;
    generation_unlimit(&projection->live);
    for (size_t i = 0; i < projection->source_count; i++)
        subscription_connected(
            &projection->live.subscriptions[i]); /* a reply on the old link is
                                not waited for */
    for (size_t i = 0; i < projection->waiting_count; i++)
        projection->waiting[i].look = true;
    projection->counts.rebuilds++;
    rebuild->tried_by_itself = false;
    tell(projection);
    json_decref(rebuild->result);
    rebuild->result = json_pack(
        "{s:s, s:I, s:I, s:O}", "view", projection->view->name, "generation",
        (json_int_t)generation, "events", (json_int_t)projection->live.folded,
        "differences", rebuild->differences);
    answer(projection, json_incref(rebuild->result));
    forget(rebuild);
}

/* ---- who waits too long ------------------------------------------------- */

/* Whether source @i keeps the rebuild from going on: it has what one side
 * lacks, and has said nothing for a while. */
static bool is_awaited(const struct projection *projection, size_t i)
{
    const struct subscription *live = &projection->live.subscriptions[i];
    const struct subscription *next = &projection->next.subscriptions[i];
    uint64_t heard_ms = next->heard_ms > projection->rebuild.begun_ms
                            ? next->heard_ms
                            : projection->rebuild.begun_ms;
    bool behind = live->state != SUB_DIVERGED &&
                  live->cursor.at.seq < next->cursor.at.seq;

    return (behind || lacks(projection, i)) &&
           projection_now(projection) >= heard_ms + SUBSCRIPTION_LOST_MS;
}

static json_t *awaited(const struct projection *projection)
{
    json_t *services = json_array();

    for (size_t i = 0; i < projection->source_count; i++)
        if (is_awaited(projection, i))
            json_array_append_new(
                services,
                json_string(projection->next.subscriptions[i].source));
    return services;
}

/* A client that asks again under this generation misses nothing. */
static json_t *still_rebuilding(const struct projection *projection)
{
    json_t *error = view_error(75, "still rebuilding, at %llu events",
                               (unsigned long long)projection->next.folded);

    json_object_set_new(
        error, "generation",
        json_integer((json_int_t)view_db_generation(projection->next.db)));
    json_object_set_new(error, "awaited", awaited(projection));
    return error;
}

static void answer_late(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;

    for (size_t i = rebuild->asked_count; i-- > 0;)
        if (projection_now(projection) >= rebuild->asked[i].deadline_ms) {
            queries_answer(projection, rebuild->asked[i].token,
                           still_rebuilding(projection));
            rebuild->asked[i] = rebuild->asked[--rebuild->asked_count];
        }
}

/* ---- the step ------------------------------------------------------------ */

/* One phase further, if it is time; false: nothing to do before more events
 * or a later step. */
static bool advance(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;

    switch (rebuild->phase) {
    case REBUILD_NONE:
        return false;
    case REBUILD_CATCHING_UP:
        if (!nearly_there(projection))
            return false;
        begin_cut(projection);
        return aligned(projection);
    case REBUILD_CUTTING:
        if (aligned(projection) && rebuild->differences != NULL)
            swap(projection);
        else if (aligned(projection))
            begin_comparing(projection);
        else if (projection_now(projection) >= rebuild->cut_ms)
            end_cut(projection);
        else
            return false;
        return rebuild->phase == REBUILD_CATCHING_UP &&
               rebuild->differences != NULL;
    case REBUILD_COMPARING:
        if (view_diff_step(rebuild->diff, COMPARE_ROWS) == EVT_OK)
            return false;
        end_comparing(projection);
        return true;
    }
    return false;
}

/* A view whose file was deleted answers on, until another takes its place. */
static void replace_lost(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;
    uint64_t now = projection_now(projection);
    char why[STORE_WHY_BYTES];

    if (now < rebuild->looked_ms + LOOK_MS)
        return;
    rebuild->looked_ms = now;
    if (!view_db_lost(projection->live.db))
        return;
    logger_fact(LOG_WARN, NULL, NULL,
                "view %s: its file was deleted or replaced: building another",
                projection->view->name);
    rebuild->looked_ms += LOOK_AGAIN_MS - LOOK_MS;
    if (begin(projection, why) == EVT_OK)
        rebuild->lost = true;
}

/* A log that is another one than the view was made of: build anew, unless that
 * was tried in vain. */
static void start_by_itself(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;
    const struct subscription *sub = diverged(&projection->live);
    char why[STORE_WHY_BYTES];

    if (sub == NULL || rebuild->tried_by_itself)
        return;
    logger_fact(LOG_WARN, NULL, NULL, "view %s: %s has %s",
                projection->view->name, sub->source, subscription_trouble(sub));
    rebuild->tried_by_itself = true; /* until it has succeeded */
    (void)begin(projection, why);    /* it has logged why not */
}

void rebuild_step(struct projection *projection)
{
    struct rebuild *rebuild = &projection->rebuild;
    const struct subscription *sub;

    if (rebuild->phase == REBUILD_NONE)
        start_by_itself(projection);
    if (rebuild->phase == REBUILD_NONE)
        replace_lost(projection);
    if (rebuild->phase == REBUILD_NONE)
        return;
    sub = diverged(&projection->next);
    if (sub != NULL) {
        char why[STORE_WHY_BYTES];

        snprintf(why, sizeof why, "%s has %s", sub->source,
                 subscription_trouble(sub));
        rebuild_abandon(projection, 75, why);
        return;
    }
    if (projection->next.held == EVT_FULL) {
        rebuild_abandon(projection, 75, "storage full");
        return;
    }
    while (advance(projection))
        ;
    if (rebuild->phase != REBUILD_NONE)
        urge(projection);
    answer_late(projection);
}

uint64_t rebuild_wake_ms(const struct projection *projection)
{
    const struct rebuild *rebuild = &projection->rebuild;
    uint64_t wake = UINT64_MAX;

    if (rebuild->phase == REBUILD_COMPARING)
        return projection_now(projection);
    if (rebuild->phase == REBUILD_CUTTING)
        wake = rebuild->cut_ms;
    for (size_t i = 0; i < rebuild->asked_count; i++)
        if (rebuild->asked[i].deadline_ms < wake)
            wake = rebuild->asked[i].deadline_ms;
    return wake;
}
