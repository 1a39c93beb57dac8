/* subscription.c - consuming one publisher's log, without doing any I/O.
 *
 * Every path that is not "the next event, proven by its hash" ends in
 * pull_wanted: the pull repairs gaps, lost tails, late starts and noise alike,
 * so there is no second mechanism to get wrong.  What a cursor means on disk
 * is its owner's business: see shell.c and projection.c. */
#include "stream/subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- the state ----------------------------------------------------------- */

/* What moves it. */
enum occasion {
    CHAINED,   /* a reply whose rows follow the cursor */
    UNCHAINED, /* a reply whose rows do not */
    REFUSED,   /* a reply that says that our cursor is not on its log */
    CONNECTED,
    ACCEPTED,
    OCCASIONS
};

/* The legal moves, all of them: the header draws this table. */
enum { NO = SUB_STATES };
// clang-format off
static const unsigned char moves[SUB_STATES][OCCASIONS] = {
    /*                CHAINED   UNCHAINED     REFUSED       CONNECTED */
    [SUB_STARTING] = {SUB_LIVE, SUB_SUSPECT,  SUB_DIVERGED, SUB_STARTING, NO},
    [SUB_REJOINED] = {SUB_LIVE, SUB_SUSPECT,  SUB_DIVERGED, SUB_REJOINED, NO},
    [SUB_LIVE]     = {SUB_LIVE, SUB_SUSPECT,  SUB_DIVERGED, SUB_REJOINED, NO},
    [SUB_SUSPECT]  = {SUB_LIVE, SUB_DIVERGED, SUB_DIVERGED, SUB_REJOINED, NO},
    [SUB_DIVERGED] = {SUB_LIVE, SUB_DIVERGED, SUB_DIVERGED, SUB_DIVERGED,
                      SUB_LIVE /* ACCEPTED: from here only */},
};
// clang-format on

static void move(struct subscription *sub, enum occasion on)
{
    unsigned to = moves[sub->state][on];

    assert(to != NO);
    sub->state = (enum subscription_state)to;
}

bool subscription_answered(const struct subscription *sub)
{
    if (sub->state == SUB_DIVERGED) /* a new connection does not change that */
        return sub->nonce == 0;
    return sub->state != SUB_STARTING && sub->state != SUB_REJOINED;
}

/* ---- life ---------------------------------------------------------------- */

void subscription_open(struct subscription *sub, const char *reader,
                       const char *source, const struct cursor *cursor)
{
    memset(sub, 0, sizeof *sub);
    text_copy(sub->reader, sizeof sub->reader, reader);
    text_copy(sub->source, sizeof sub->source, source);
    if (cursor != NULL)
        sub->cursor = *cursor;
    sub->pull_wanted = true;
}

static void drop_held(struct subscription *sub, struct held_frame **at)
{
    struct held_frame *held = *at;

    *at = held->next;
    sub->held_bytes -= held->count;
    free(held);
}

void subscription_close(struct subscription *sub)
{
    while (sub->held != NULL)
        drop_held(sub, &sub->held);
}

void subscription_connected(struct subscription *sub)
{
    subscription_close(sub);
    sub->pull_wanted = true;
    sub->nonce = 0; /* the pull in flight may have gone to the old process */
    move(sub, CONNECTED);
}

void subscription_look(struct subscription *sub)
{
    sub->pull_wanted = true;
    sub->nonce = 0;
}

/* ---- frames -------------------------------------------------------------- */

static bool cursor_equal(const struct cursor *a, const struct cursor *b)
{
    return a->at.seq == b->at.seq &&
           memcmp(a->at.log_id, b->at.log_id, LOG_ID_BYTES) == 0 &&
           memcmp(a->hash, b->hash, HASH_BYTES) == 0;
}

/* Where the log ends, as its publisher says: `saga accept` goes on from there.
 */
static void note_head(struct subscription *sub, const uint8_t log_id[],
                      uint64_t seq, const uint8_t hash[])
{
    struct cursor *head = &sub->heard_head;

    head->at.seq = sub->head_seq = seq;
    memcpy(head->at.log_id, log_id, LOG_ID_BYTES);
    memcpy(head->hash, hash, HASH_BYTES);
}

/* A heartbeat is only a hint: whatever differs from the cursor, even an older
 * head, is a reason to ask. */
static void take_heartbeat(struct subscription *sub, const struct frame *frame)
{
    note_head(sub, frame->log_id, frame->first_seq - 1, frame->last_hash);
    if (!cursor_equal(&sub->heard_head, &sub->cursor))
        sub->pull_wanted = true;
}

/* Hashes the rows after the cursor; true if they end where the frame says. */
static bool chains(const struct subscription *sub, struct new_rows *new_rows)
{
    const struct frame *frame = &new_rows->frame;
    const uint8_t *previous = sub->cursor.hash;

    for (size_t i = new_rows->first; i < frame->count; i++) {
        event_hash(previous, &frame->rows[i], new_rows->hashes[i]);
        previous = new_rows->hashes[i];
    }
    return memcmp(previous, frame->last_hash, HASH_BYTES) == 0;
}

/* Sorts a frame's rows into seen, fresh and out of reach. */
static size_t take_rows(struct subscription *sub, struct new_rows *new_rows)
{
    const struct frame *frame = &new_rows->frame;
    uint64_t seen = sub->cursor.at.seq;
    uint64_t last = frame->first_seq + frame->count - 1;

    if (memcmp(frame->log_id, sub->cursor.at.log_id, LOG_ID_BYTES) != 0) {
        sub->pull_wanted = true;
        return 0;
    }
    if (last > sub->head_seq)
        sub->head_seq = last;
    if (last <= seen) { /* the inbox: at or below the cursor is a duplicate */
        sub->counts.duplicates += frame->count;
        return 0;
    }
    if (frame->first_seq > seen + 1) {
        sub->counts.gaps++;
        sub->pull_wanted = true;
        return 0;
    }
    new_rows->first = (size_t)(seen + 1 - frame->first_seq);
    if (!chains(sub, new_rows)) {
        sub->counts.unchained++;
        sub->pull_wanted = true;
        return 0;
    }
    sub->counts.duplicates += new_rows->first;
    new_rows->count = frame->count - new_rows->first;
    return new_rows->count;
}

/* Reads a frame that must be the publisher's own. */
static bool read_frame(struct subscription *sub, const void *bytes,
                       size_t count, struct new_rows *new_rows)
{
    new_rows->first = new_rows->count = 0;
    if (frame_read(bytes, count, &new_rows->frame) &&
        strcmp(new_rows->frame.source, sub->source) == 0)
        return true;
    sub->counts.garbage++;
    return false;
}

/* Keeps a copy of a frame that take_rows found out of reach.  What finds no
 * room is dropped: it is in the publisher's log. */
static void hold(struct subscription *sub, const struct frame *frame,
                 const void *bytes, size_t count)
{
    struct held_frame **end = &sub->held, *held = NULL;

    if (count <= HELD_BYTES_MAX - sub->held_bytes)
        held = malloc(sizeof *held + count);
    if (held == NULL)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    held->next = NULL;
    held->first = frame->first_seq;
    held->last = frame->first_seq + frame->count - 1;
    held->pulls = sub->counts.pulls;
    held->count = count;
    memcpy(held->bytes, bytes, count);
    sub->held_bytes += count;
    *end = held;
}

size_t subscription_held(struct subscription *sub, struct new_rows *new_rows)
{
    struct held_frame **at = &sub->held;

    while (*at != NULL) {
        struct held_frame *held = *at;
        size_t rows = 0;

        if (held->first > sub->cursor.at.seq + 1) {
            at = &held->next;
            continue;
        }
        if (held->last > sub->cursor.at.seq &&
            read_frame(sub, held->bytes, held->count, new_rows))
            rows = take_rows(sub, new_rows);
        if (rows > 0)
            return rows; /* lent to the caller; dropped when asked again */
        drop_held(sub, at);
    }
    new_rows->first = new_rows->count = 0;
    sub->pull_wanted = sub->pull_wanted || sub->held != NULL;
    return 0;
}

size_t subscription_frame(struct subscription *sub, uint64_t now_ms,
                          const void *bytes, size_t count,
                          struct new_rows *new_rows)
{
    uint64_t gaps = sub->counts.gaps;
    size_t rows;

    if (!read_frame(sub, bytes, count, new_rows))
        return 0;
    sub->heard_ms = now_ms;
    sub->counts.frames++;
    if (new_rows->frame.count == 0) {
        take_heartbeat(sub, &new_rows->frame);
        return 0;
    }
    if (sub->state ==
        SUB_STARTING) { /* first learn how the publisher sees us */
        sub->pull_wanted = true;
        return 0;
    }
    rows = sub->state == SUB_DIVERGED ? 0 : take_rows(sub, new_rows);
    if (sub->counts.gaps > gaps)
        hold(sub, &new_rows->frame, bytes, count);
    return rows;
}

/* ---- replies ------------------------------------------------------------- */

/* What the publisher has consumed of our own log. */
static void take_cursor_on_us(struct subscription *sub,
                              const struct pull_reply *reply)
{
    sub->owes_me = false;
    for (size_t i = 0; i < reply->cursor_count; i++)
        if (strcmp(reply->cursors[i].source, sub->reader) == 0) {
            sub->owes_me = true;
            sub->on_us = reply->cursors[i].cursor;
        }
}

/* The first reply of a log tells us its identity; the chain starts there. */
static void adopt(struct subscription *sub, const struct frame *frame)
{
    if (sub->cursor.at.seq > 0)
        return;
    memcpy(sub->cursor.at.log_id, frame->log_id, LOG_ID_BYTES);
    event_genesis(sub->source, frame->log_id, sub->cursor.hash);
}

/* The rows of a reply that answers our own pull.  That they do not follow the
 * cursor which the publisher has just agreed to means that its log is not what
 * its own hashes say - or that one message was damaged on the way, so it takes
 * two in a row to stop the stream. */
static size_t take_reply_rows(struct subscription *sub,
                              const struct pull_reply *reply,
                              struct new_rows *new_rows)
{
    uint64_t unchained = sub->counts.unchained;
    size_t count = 0;
    bool chained;

    chained = read_frame(sub, reply->frame, reply->frame_bytes, new_rows);
    if (chained) {
        adopt(sub, &new_rows->frame);
        if (new_rows->frame.count > 0)
            count = take_rows(sub, new_rows);
        chained = unchained == sub->counts.unchained;
    }
    move(sub, chained ? CHAINED : UNCHAINED);
    if (sub->state == SUB_DIVERGED) /* an earlier verdict is over: it agrees */
        sub->verdict = PULL_FORKED; /* to our cursor */
    return count;
}

/* Whether what comes after @seq is here already. */
static bool held_follows(const struct subscription *sub, uint64_t seq)
{
    for (const struct held_frame *held = sub->held; held != NULL;
         held = held->next)
        if (held->first <= seq + 1 && held->last > seq)
            return true;
    return false;
}

/* Drops the held frames that arrived before the pull was sent and lie beyond
 * the head that answered it.  They do not belong to that log, so the gap before
 * them would never close. */
static void drop_unknown(struct subscription *sub, uint64_t head_seq)
{
    struct held_frame **at = &sub->held;

    while (*at != NULL)
        if ((*at)->last > head_seq && (*at)->pulls < sub->counts.pulls)
            drop_held(sub, at);
        else
            at = &(*at)->next;
}

/* Reads a reply to the pull in flight: only that one counts. */
static bool read_reply(struct subscription *sub, const void *bytes,
                       size_t count, struct pull_reply *reply)
{
    if (!pull_reply_read(bytes, count, reply)) {
        sub->counts.garbage++;
        return false;
    }
    if (sub->nonce == 0 || reply->nonce != sub->nonce) {
        sub->counts.stale++; /* of an older pull, or of an older life */
        return false;
    }
    sub->nonce = 0;
    sub->counts.replies++;
    return true;
}

/* Whether to pull again at once after a reply that was read up to @seq. */
static bool wants_more(const struct subscription *sub, uint64_t head_seq,
                       uint64_t seq)
{
    if (sub->state != SUB_LIVE)
        return sub->state == SUB_SUSPECT;
    return head_seq > seq && !held_follows(sub, seq);
}

size_t subscription_reply(struct subscription *sub, uint64_t now_ms,
                          const void *bytes, size_t count,
                          struct new_rows *new_rows)
{
    struct pull_reply reply;
    size_t rows = 0;

    new_rows->first = new_rows->count = 0;
    if (!read_reply(sub, bytes, count, &reply))
        return 0;
    sub->heard_ms = now_ms;
    sub->head_seq = reply.head_seq;
    drop_unknown(sub, reply.head_seq);
    take_cursor_on_us(sub, &reply);
    if (reply.verdict == PULL_OK) {
        rows = take_reply_rows(sub, &reply, new_rows);
    } else {
        move(sub, REFUSED);
        sub->verdict = reply.verdict;
    }
    /* The last heartbeat may be older than what stops the stream; but only a
     * heartbeat tells the name of another log. */
    if (sub->state == SUB_DIVERGED && sub->verdict != PULL_OTHER_LOG)
        note_head(sub, sub->cursor.at.log_id, reply.head_seq, reply.head_hash);
    sub->pull_wanted =
        wants_more(sub, reply.head_seq, sub->cursor.at.seq + rows);
    return rows;
}

/* ---- the cursor ---------------------------------------------------------- */

void subscription_advance(struct subscription *sub,
                          const struct new_rows *new_rows, size_t i)
{
    sub->cursor.at.seq = new_rows->frame.rows[i].seq;
    memcpy(sub->cursor.hash, new_rows->hashes[i], HASH_BYTES);
    sub->counts.events++;
}

void subscription_reset(struct subscription *sub, const struct cursor *cursor)
{
    subscription_close(sub);
    sub->cursor = *cursor;
    sub->pull_wanted = true;
}

void subscription_accept(struct subscription *sub, const struct cursor *cursor)
{
    move(sub, ACCEPTED);
    subscription_reset(sub, cursor);
}

/* ---- pulls --------------------------------------------------------------- */

void subscription_urge(struct subscription *sub)
{
    sub->pull_wanted = true;
}

void subscription_postpone(struct subscription *sub)
{
    subscription_close(sub);
    sub->pull_wanted = false;
}

/* Since when the next pull is due.  A pull in flight is given up after a
 * while; a diverged stream is asked now and then whether it has healed. */
static uint64_t pull_due_ms(const struct subscription *sub, uint64_t now_ms)
{
    uint64_t last =
        sub->heard_ms > sub->pulled_ms ? sub->heard_ms : sub->pulled_ms;

    if (sub->nonce != 0)
        return sub->pulled_ms + PULL_TIMEOUT_MS;
    if (sub->state == SUB_DIVERGED)
        return sub->pulled_ms + PULL_IDLE_MS;
    return sub->pull_wanted ? now_ms : last + PULL_IDLE_MS;
}

size_t subscription_pull(struct subscription *sub, uint64_t now_ms,
                         uint64_t nonce, uint8_t message[MESSAGE_MAX])
{
    struct pull pull = {.nonce = nonce};

    if (pull_due_ms(sub, now_ms) > now_ms)
        return 0;
    text_copy(pull.reader, sizeof pull.reader, sub->reader);
    text_copy(pull.source, sizeof pull.source, sub->source);
    if (sub->cursor.at.seq > 0)
        pull.cursor = sub->cursor;
    sub->pull_wanted = false;
    sub->nonce = nonce;
    sub->pulled_ms = now_ms;
    sub->counts.pulls++;
    return pull_write(&pull, message);
}

void subscription_poll(struct subscription *sub, const struct env *env,
                       uint64_t now_ms, uint64_t link,
                       uint8_t message[MESSAGE_MAX])
{
    uint64_t nonce;
    size_t bytes;

    if (pull_due_ms(sub, now_ms) > now_ms)
        return;
    do
        env->random(env->ctx, &nonce, sizeof nonce);
    while (nonce == 0);
    bytes = subscription_pull(sub, now_ms, nonce, message);
    env->send(env->ctx, TO_PUBLISHER, link, message, bytes);
}

uint64_t subscription_wake_ms(const struct subscription *sub, uint64_t now_ms)
{
    return pull_due_ms(sub, now_ms);
}

const char *subscription_trouble(const struct subscription *sub)
{
    static const char *const troubles[VERDICTS] = {
        [PULL_OK] = "",
        [PULL_OTHER_LOG] = "diverged: its log is another one than I consumed",
        [PULL_AHEAD] = "diverged: it has lost events that I consumed",
        [PULL_FORKED] = "diverged: its log differs from what I consumed",
    };

    return sub->state == SUB_DIVERGED ? troubles[sub->verdict] : "";
}
