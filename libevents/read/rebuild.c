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
#include "read/reader.h"

#include "base/logger.h"

#include <stdio.h>
#include <string.h>

/* ---- beginning and ending ------------------------------------------------ */

/* Answers all who have asked. */
static void answer(struct reader *reader, json_t *reply)
{
    struct rebuild *rebuild = &reader->rebuild;

    for (size_t i = 0; i < rebuild->asked_count; i++)
        query_answer(reader, rebuild->asked[i].token, json_incref(reply));
    rebuild->asked_count = 0;
    json_decref(reply);
}

static void forget(struct rebuild *rebuild)
{
    struct rebuild kept = {.tried_by_itself = rebuild->tried_by_itself,
                           .result = rebuild->result};

    view_diff_close(rebuild->diff);
    json_decref(rebuild->differences);
    *rebuild = kept;
}

/* Gives up; the old side goes on as if nothing had been. */
void rebuild_abandon(struct reader *reader, int code, const char *why)
{
    uint64_t generation = view_db_generation(reader->next.db);

    log_fact(LOG_WARN, NULL, NULL, "view %s: rebuild given up: %s",
             reader->view->name, why);
    answer(reader, view_error(code, "rebuild given up: %s", why));
    forget(&reader->rebuild);
    side_close(&reader->next);
    side_unlimit(&reader->live);
    generation_remove(&reader->place, generation);
}

static enum evt_status begin(struct reader *reader, char why[STORE_WHY_BYTES])
{
    uint64_t generation = view_db_generation(reader->live.db) + 1;
    struct view_db *db = NULL;
    enum evt_status rc = view_db_create(&reader->place, generation, &db, why);

    if (rc == EVT_OK) {
        rc = side_open(reader, &reader->next, db, reader->source_count);
        if (rc != EVT_OK) {
            snprintf(why, STORE_WHY_BYTES, "%s", view_db_error(db));
            side_close(&reader->next);
            generation_remove(&reader->place, generation);
        }
    }
    if (rc != EVT_OK) {
        log_fact(LOG_WARN, NULL, NULL, "view %s cannot be rebuilt: %s",
                 reader->view->name, why);
        return rc;
    }
    reader->rebuild.phase = REBUILD_CATCHING_UP;
    reader->rebuild.begun_ms = reader_now(reader);
    log_fact(LOG_INFO, NULL, NULL, "view %s: building generation %llu",
             reader->view->name, (unsigned long long)generation);
    return EVT_OK;
}

/* Whether somebody asks again for a rebuild that was done meanwhile. */
static bool is_done(const struct reader *reader, json_int_t generation)
{
    return reader->rebuild.result != NULL && generation > 0 &&
           (uint64_t)generation <= view_db_generation(reader->live.db);
}

/* It joins a rebuild that is under way. */
void rebuild_ask(struct reader *reader, uint64_t token, const json_t *request)
{
    struct rebuild *rebuild = &reader->rebuild;
    int64_t timeout_ms = WAIT_MS_MAX, generation = 0;
    char why[STORE_WHY_BYTES] = "";
    enum evt_status rc = EVT_OK;
    json_t *reply = NULL;

    if (!request_number(request, "timeout_ms", 0, WAIT_MS_MAX, &timeout_ms))
        reply = view_error(65, "timeout_ms must be 0 to %d", WAIT_MS_MAX);
    else if (!request_number(request, "generation", 1, INT64_MAX, &generation))
        reply = view_error(65, "generation must be a number from 1 on");
    else if (is_done(reader, generation))
        reply = json_incref(rebuild->result);
    else if (rebuild->asked_count == REBUILD_ASKED_MAX)
        reply = view_error(75, "%d wait for this rebuild already",
                           REBUILD_ASKED_MAX);
    else if (rebuild->phase == REBUILD_NONE)
        rc = begin(reader, why);
    if (rc != EVT_OK)
        reply = view_error(rc == EVT_IO ? 74 : 75, "%s", why);
    if (reply != NULL) {
        query_answer(reader, token, reply);
        return;
    }
    rebuild->asked[rebuild->asked_count++] =
        (struct asked){token, reader_now(reader) + (uint64_t)timeout_ms};
}

/* ---- the cut ------------------------------------------------------------- */

/* Of a log that is another one now, the old side says nothing any more: the
 * new one only has to have all that there is. */
static bool has_all(const struct feed *feed)
{
    return feed->answered && feed->cursor.at.seq >= feed->head_seq;
}

static bool nearly_there(const struct reader *reader)
{
    for (size_t i = 0; i < reader->source_count; i++) {
        const struct feed *live = &reader->live.feeds[i];
        const struct feed *next = &reader->next.feeds[i];

        if (live->diverged
                ? !has_all(next)
                : next->cursor.at.seq + ROWS_MAX < live->cursor.at.seq)
            return false;
    }
    return true;
}

static bool aligned(const struct reader *reader)
{
    for (size_t i = 0; i < reader->source_count; i++) {
        const struct cursor *live = &reader->live.saved[i];
        const struct cursor *next = &reader->next.saved[i];

        if (reader->live.feeds[i].diverged
                ? !has_all(&reader->next.feeds[i])
                : live->at.seq != next->at.seq ||
                      (live->at.seq > 0 &&
                       memcmp(live->hash, next->hash, HASH_BYTES) != 0))
            return false;
    }
    return true;
}

/* Neither side goes further than the one that is ahead. */
static void begin_cut(struct reader *reader)
{
    struct side *live = &reader->live, *next = &reader->next;

    for (size_t i = 0; i < reader->source_count; i++) {
        uint64_t a = live->saved[i].at.seq, b = next->saved[i].at.seq;

        if (live->feeds[i].diverged)
            continue;
        live->limit[i] = next->limit[i] = a > b ? a : b;
    }
    reader->rebuild.phase = REBUILD_CUTTING;
    reader->rebuild.cut_ms = reader_now(reader) + CUT_MS_MAX;
}

/* Whether the new side lacks what the old one has, or of another log than the
 * old one's, what its publisher is known to have. */
static bool lacks(const struct reader *reader, size_t i)
{
    const struct feed *live = &reader->live.feeds[i];
    const struct feed *next = &reader->next.feeds[i];

    return live->diverged ? !has_all(next)
                          : next->cursor.at.seq < live->cursor.at.seq;
}

/* Whoever is behind the other asks at once: no heartbeat tells the new side
 * that there is more, and the old one may have missed a frame. */
static void urge(struct reader *reader)
{
    for (size_t i = 0; i < reader->source_count; i++) {
        struct feed *live = &reader->live.feeds[i];
        struct feed *next = &reader->next.feeds[i];

        if (lacks(reader, i))
            next->pull_wanted = true;
        if (!live->diverged && live->cursor.at.seq < next->cursor.at.seq)
            live->pull_wanted = true;
    }
}

/* A publisher does not answer: the old side must not stand still for it. */
static void end_cut(struct reader *reader)
{
    side_unlimit(&reader->live);
    side_unlimit(&reader->next);
    reader->rebuild.phase = REBUILD_CATCHING_UP;
}

/* ---- comparing and switching --------------------------------------------- */

static const struct feed *diverged(const struct side *side)
{
    for (size_t i = 0; i < side->feed_count; i++)
        if (side->feeds[i].diverged)
            return &side->feeds[i];
    return NULL;
}

/* At the cut.  Rows of different logs are not compared. */
static void begin_comparing(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;
    const struct feed *other = diverged(&reader->live);
    char why[STORE_WHY_BYTES] = "";

    end_cut(reader);
    if (other != NULL) {
        rebuild->differences =
            json_pack("[o]", json_sprintf("not compared: %s has %s",
                                          other->source, feed_trouble(other)));
        return;
    }
    if (view_diff_open(&reader->place, view_db_generation(reader->live.db),
                       view_db_generation(reader->next.db), &rebuild->diff,
                       why) == EVT_OK)
        rebuild->phase = REBUILD_COMPARING;
    else
        rebuild_abandon(reader, 74, why);
}

static void end_comparing(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;

    rebuild->differences = view_diff_texts(rebuild->diff);
    view_diff_close(rebuild->diff);
    rebuild->diff = NULL;
    rebuild->phase = REBUILD_CATCHING_UP;
}

static void tell(struct reader *reader)
{
    const json_t *differences = reader->rebuild.differences;
    size_t i;
    json_t *text;

    log_fact(LOG_INFO, NULL, NULL,
             "view %s: generation %llu serves, built from %llu events",
             reader->view->name,
             (unsigned long long)view_db_generation(reader->live.db),
             (unsigned long long)reader->live.folded);
    json_array_foreach(differences, i, text)
        log_fact(LOG_WARN, NULL, NULL, "view %s differed: %s",
                 reader->view->name, json_string_value(text));
}

/* The new side takes the old one's place: the link first, then the rest. */
static void swap(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;
    uint64_t old = view_db_generation(reader->live.db);
    uint64_t generation = view_db_generation(reader->next.db);
    char why[STORE_WHY_BYTES] = "";

    if (generation_publish(&reader->place, generation, why) != EVT_OK) {
        rebuild_abandon(reader, 74, why);
        return;
    }
    side_close(&reader->live);
    generation_remove(&reader->place, old);
    reader->live = reader->next;
    memset(&reader->next, 0, sizeof reader->next);
    reader->live.first_link = 0;
    side_unlimit(&reader->live);
    for (size_t i = 0; i < reader->source_count; i++)
        feed_connected(&reader->live.feeds[i]); /* a reply on the old link is
                                                   not waited for */
    for (size_t i = 0; i < reader->waiting_count; i++)
        reader->waiting[i].look = true;
    reader->counts.rebuilds++;
    rebuild->tried_by_itself = false;
    tell(reader);
    json_decref(rebuild->result);
    rebuild->result = json_pack(
        "{s:s, s:I, s:I, s:O}", "view", reader->view->name, "generation",
        (json_int_t)generation, "events", (json_int_t)reader->live.folded,
        "differences", rebuild->differences);
    answer(reader, json_incref(rebuild->result));
    forget(rebuild);
}

/* ---- who waits too long ---------------------------------------------------
 */

/* Whether source @i keeps the rebuild from going on: it has what one side
 * lacks, and has said nothing for a while. */
static bool is_awaited(const struct reader *reader, size_t i)
{
    const struct feed *live = &reader->live.feeds[i];
    const struct feed *next = &reader->next.feeds[i];
    uint64_t heard_ms = next->heard_ms > reader->rebuild.begun_ms
                            ? next->heard_ms
                            : reader->rebuild.begun_ms;
    bool behind = !live->diverged && live->cursor.at.seq < next->cursor.at.seq;

    return (behind || lacks(reader, i)) &&
           reader_now(reader) >= heard_ms + FEED_LOST_MS;
}

static json_t *awaited(const struct reader *reader)
{
    json_t *services = json_array();

    for (size_t i = 0; i < reader->source_count; i++)
        if (is_awaited(reader, i))
            json_array_append_new(services,
                                  json_string(reader->next.feeds[i].source));
    return services;
}

/* Whoever asks again under this generation misses nothing. */
static json_t *still_rebuilding(const struct reader *reader)
{
    json_t *error = view_error(75, "still rebuilding, at %llu events",
                               (unsigned long long)reader->next.folded);

    json_object_set_new(
        error, "generation",
        json_integer((json_int_t)view_db_generation(reader->next.db)));
    json_object_set_new(error, "awaited", awaited(reader));
    return error;
}

static void answer_late(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;

    for (size_t i = rebuild->asked_count; i-- > 0;)
        if (reader_now(reader) >= rebuild->asked[i].deadline_ms) {
            query_answer(reader, rebuild->asked[i].token,
                         still_rebuilding(reader));
            rebuild->asked[i] = rebuild->asked[--rebuild->asked_count];
        }
}

/* ---- the step ------------------------------------------------------------ */

/* One phase further, if it is time; false: nothing to do before more events
 * or a later step. */
static bool advance(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;

    switch (rebuild->phase) {
    case REBUILD_NONE:
        return false;
    case REBUILD_CATCHING_UP:
        if (!nearly_there(reader))
            return false;
        begin_cut(reader);
        return aligned(reader);
    case REBUILD_CUTTING:
        if (aligned(reader) && rebuild->differences != NULL)
            swap(reader);
        else if (aligned(reader))
            begin_comparing(reader);
        else if (reader_now(reader) >= rebuild->cut_ms)
            end_cut(reader);
        else
            return false;
        return rebuild->phase == REBUILD_CATCHING_UP &&
               rebuild->differences != NULL;
    case REBUILD_COMPARING:
        if (view_diff_step(rebuild->diff, COMPARE_ROWS) == EVT_OK)
            return false;
        end_comparing(reader);
        return true;
    }
    return false;
}

/* A log that is another one than the view was made of: build anew, unless that
 * was tried in vain. */
static void start_by_itself(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;
    const struct feed *feed = diverged(&reader->live);
    char why[STORE_WHY_BYTES];

    if (feed == NULL || rebuild->tried_by_itself)
        return;
    log_fact(LOG_WARN, NULL, NULL, "view %s: %s has %s", reader->view->name,
             feed->source, feed_trouble(feed));
    rebuild->tried_by_itself = true; /* until it has succeeded */
    (void)begin(reader, why);        /* it has logged why not */
}

void rebuild_step(struct reader *reader)
{
    struct rebuild *rebuild = &reader->rebuild;
    const struct feed *feed;

    if (rebuild->phase == REBUILD_NONE)
        start_by_itself(reader);
    if (rebuild->phase == REBUILD_NONE)
        return;
    feed = diverged(&reader->next);
    if (feed != NULL) {
        char why[STORE_WHY_BYTES];

        snprintf(why, sizeof why, "%s has %s", feed->source,
                 feed_trouble(feed));
        rebuild_abandon(reader, 75, why);
        return;
    }
    if (reader->next.held == EVT_FULL) {
        rebuild_abandon(reader, 75, "storage full");
        return;
    }
    while (advance(reader))
        ;
    if (rebuild->phase != REBUILD_NONE)
        urge(reader);
    answer_late(reader);
}

uint64_t rebuild_wake_ms(const struct reader *reader)
{
    const struct rebuild *rebuild = &reader->rebuild;
    uint64_t wake = UINT64_MAX;

    if (rebuild->phase == REBUILD_COMPARING)
        return reader_now(reader);
    if (rebuild->phase == REBUILD_CUTTING)
        wake = rebuild->cut_ms;
    for (size_t i = 0; i < rebuild->asked_count; i++)
        if (rebuild->asked[i].deadline_ms < wake)
            wake = rebuild->asked[i].deadline_ms;
    return wake;
}
