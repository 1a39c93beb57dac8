/* subscription.c - consuming one publisher's log, without doing any I/O.
 *
 * Every path that is not "the next event, proven by its hash" ends in
 * pull_wanted: the pull repairs gaps, lost tails, late starts and noise alike,
 * so there is no second mechanism to get wrong.  What a cursor means on disk
 * is its owner's business: see shell.c and projection.c. */
#include "stream/subscription.h"

#include <stdlib.h>
#include <string.h>

void feed_open(struct feed *feed, const char *reader, const char *source,
               const struct cursor *cursor)
{
    memset(feed, 0, sizeof *feed);
    text_copy(feed->reader, sizeof feed->reader, reader);
    text_copy(feed->source, sizeof feed->source, source);
    if (cursor != NULL)
        feed->cursor = *cursor;
    feed->pull_wanted = true;
}

static void drop_held(struct feed *feed, struct held_frame **at)
{
    struct held_frame *held = *at;

    *at = held->next;
    feed->held_bytes -= held->count;
    free(held);
}

void feed_close(struct feed *feed)
{
    while (feed->held != NULL)
        drop_held(feed, &feed->held);
}

void feed_connected(struct feed *feed)
{
    feed_close(feed);
    feed->pull_wanted = true;
    feed->nonce = 0; /* the pull in flight may have gone to the old process */
    feed->answered = false;
}

static bool cursor_equal(const struct cursor *a, const struct cursor *b)
{
    return a->at.seq == b->at.seq &&
           memcmp(a->at.log_id, b->at.log_id, LOG_ID_BYTES) == 0 &&
           memcmp(a->hash, b->hash, HASH_BYTES) == 0;
}

/* Where the log ends, as its publisher says: `saga accept` goes on from there.
 */
static void note_head(struct feed *feed, const uint8_t log_id[], uint64_t seq,
                      const uint8_t hash[])
{
    struct cursor *head = &feed->heard_head;

    head->at.seq = feed->head_seq = seq;
    memcpy(head->at.log_id, log_id, LOG_ID_BYTES);
    memcpy(head->hash, hash, HASH_BYTES);
}

/* A heartbeat is only a hint: whatever differs from the cursor, even an older
 * head, is a reason to ask. */
static void take_heartbeat(struct feed *feed, const struct frame *frame)
{
    note_head(feed, frame->log_id, frame->first_seq - 1, frame->last_hash);
    if (!cursor_equal(&feed->heard_head, &feed->cursor))
        feed->pull_wanted = true;
}

/* Hashes the rows after the cursor; true if they end where the frame says. */
static bool chains(const struct feed *feed, struct fresh *fresh)
{
    const struct frame *frame = &fresh->frame;
    const uint8_t *previous = feed->cursor.hash;

    for (size_t i = fresh->first; i < frame->count; i++) {
        event_hash(previous, &frame->rows[i], fresh->hashes[i]);
        previous = fresh->hashes[i];
    }
    return memcmp(previous, frame->last_hash, HASH_BYTES) == 0;
}

/* Sorts a frame's rows into seen, fresh and out of reach. */
static size_t take_rows(struct feed *feed, struct fresh *fresh)
{
    const struct frame *frame = &fresh->frame;
    uint64_t seen = feed->cursor.at.seq;
    uint64_t last = frame->first_seq + frame->count - 1;

    if (memcmp(frame->log_id, feed->cursor.at.log_id, LOG_ID_BYTES) != 0) {
        feed->pull_wanted = true;
        return 0;
    }
    if (last > feed->head_seq)
        feed->head_seq = last;
    if (last <= seen) { /* the inbox: at or below the cursor is a duplicate */
        feed->counts.duplicates += frame->count;
        return 0;
    }
    if (frame->first_seq > seen + 1) {
        feed->counts.gaps++;
        feed->pull_wanted = true;
        return 0;
    }
    fresh->first = (size_t)(seen + 1 - frame->first_seq);
    if (!chains(feed, fresh)) {
        feed->counts.unchained++;
        feed->pull_wanted = true;
        return 0;
    }
    feed->counts.duplicates += fresh->first;
    fresh->count = frame->count - fresh->first;
    return fresh->count;
}

/* Reads a frame that must be the publisher's own. */
static bool read_frame(struct feed *feed, const void *bytes, size_t count,
                       struct fresh *fresh)
{
    fresh->first = fresh->count = 0;
    if (frame_read(bytes, count, &fresh->frame) &&
        strcmp(fresh->frame.source, feed->source) == 0)
        return true;
    feed->counts.garbage++;
    return false;
}

/* Keeps a copy of a frame that take_rows found out of reach.  What finds no
 * room is dropped: it is in the publisher's log. */
static void hold(struct feed *feed, const struct frame *frame,
                 const void *bytes, size_t count)
{
    struct held_frame **end = &feed->held, *held = NULL;

    if (count <= HELD_BYTES_MAX - feed->held_bytes)
        held = malloc(sizeof *held + count);
    if (held == NULL)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    held->next = NULL;
    held->first = frame->first_seq;
    held->last = frame->first_seq + frame->count - 1;
    held->pulls = feed->counts.pulls;
    held->count = count;
    memcpy(held->bytes, bytes, count);
    feed->held_bytes += count;
    *end = held;
}

size_t feed_held(struct feed *feed, struct fresh *fresh)
{
    struct held_frame **at = &feed->held;

    while (*at != NULL) {
        struct held_frame *held = *at;
        size_t rows = 0;

        if (held->first > feed->cursor.at.seq + 1) {
            at = &held->next;
            continue;
        }
        if (held->last > feed->cursor.at.seq &&
            read_frame(feed, held->bytes, held->count, fresh))
            rows = take_rows(feed, fresh);
        if (rows > 0)
            return rows; /* lent to the caller; dropped when asked again */
        drop_held(feed, at);
    }
    fresh->first = fresh->count = 0;
    feed->pull_wanted = feed->pull_wanted || feed->held != NULL;
    return 0;
}

size_t feed_frame(struct feed *feed, uint64_t now_ms, const void *bytes,
                  size_t count, struct fresh *fresh)
{
    uint64_t gaps = feed->counts.gaps;
    size_t rows;

    if (!read_frame(feed, bytes, count, fresh))
        return 0;
    feed->heard_ms = now_ms;
    feed->counts.frames++;
    if (fresh->frame.count == 0) {
        take_heartbeat(feed, &fresh->frame);
        return 0;
    }
    if (!feed->met) { /* first learn how the publisher sees us */
        feed->pull_wanted = true;
        return 0;
    }
    rows = feed->diverged ? 0 : take_rows(feed, fresh);
    if (feed->counts.gaps > gaps)
        hold(feed, &fresh->frame, bytes, count);
    return rows;
}

/* What the publisher has consumed of our own log. */
static void take_cursor_on_us(struct feed *feed, const struct pull_reply *reply)
{
    feed->owes_me = false;
    for (size_t i = 0; i < reply->cursor_count; i++)
        if (strcmp(reply->cursors[i].source, feed->reader) == 0) {
            feed->owes_me = true;
            feed->on_us = reply->cursors[i].cursor;
        }
}

/* The first reply of a log tells us its identity; the chain starts there. */
static void adopt(struct feed *feed, const struct frame *frame)
{
    if (feed->cursor.at.seq > 0)
        return;
    memcpy(feed->cursor.at.log_id, frame->log_id, LOG_ID_BYTES);
    event_genesis(feed->source, frame->log_id, feed->cursor.hash);
}

/* The rows of a reply that answers our own pull.  That they do not follow the
 * cursor which the publisher has just agreed to means that its log is not what
 * its own hashes say - or that one message was damaged on the way, so it takes
 * two in a row to stop the stream. */
static size_t take_reply_rows(struct feed *feed, const struct pull_reply *reply,
                              struct fresh *fresh)
{
    uint64_t unchained = feed->counts.unchained;
    size_t count = 0;
    bool sound;

    sound = read_frame(feed, reply->frame, reply->frame_bytes, fresh);
    if (sound) {
        adopt(feed, &fresh->frame);
        if (fresh->frame.count > 0)
            count = take_rows(feed, fresh);
        sound = unchained == feed->counts.unchained;
    }
    feed->diverged = !sound && feed->unchained;
    feed->verdict = feed->diverged ? PULL_FORKED : PULL_OK;
    feed->unchained = !sound;
    return count;
}

/* Whether what comes after @seq is here already. */
static bool held_follows(const struct feed *feed, uint64_t seq)
{
    for (const struct held_frame *held = feed->held; held != NULL;
         held = held->next)
        if (held->first <= seq + 1 && held->last > seq)
            return true;
    return false;
}

/* What came before the pull was sent lies within the log that answered it, or
 * is none of its frames: nothing would ever close that gap. */
static void drop_unknown(struct feed *feed, uint64_t head_seq)
{
    struct held_frame **at = &feed->held;

    while (*at != NULL)
        if ((*at)->last > head_seq && (*at)->pulls < feed->counts.pulls)
            drop_held(feed, at);
        else
            at = &(*at)->next;
}

size_t feed_reply(struct feed *feed, uint64_t now_ms, const void *bytes,
                  size_t count, struct fresh *fresh)
{
    struct pull_reply reply;
    size_t rows = 0;

    fresh->first = fresh->count = 0;
    if (!pull_reply_read(bytes, count, &reply)) {
        feed->counts.garbage++;
        return 0;
    }
    if (feed->nonce == 0 || reply.nonce != feed->nonce) {
        feed->counts.stale++; /* of an older pull, or of an older life */
        return 0;
    }
    feed->nonce = 0;
    feed->heard_ms = now_ms;
    feed->counts.replies++;
    feed->answered = feed->met = true;
    feed->head_seq = reply.head_seq;
    drop_unknown(feed, reply.head_seq);
    take_cursor_on_us(feed, &reply);
    if (reply.verdict == PULL_OK) {
        rows = take_reply_rows(feed, &reply, fresh);
    } else {
        feed->diverged = true;
        feed->verdict = reply.verdict;
    }
    /* The last heartbeat may be older than what stops the stream; but only a
     * heartbeat tells the name of another log. */
    if (feed->diverged && feed->verdict != PULL_OTHER_LOG)
        note_head(feed, feed->cursor.at.log_id, reply.head_seq,
                  reply.head_hash);
    feed->pull_wanted =
        feed->unchained ||
        (!feed->diverged && reply.head_seq > feed->cursor.at.seq + rows &&
         !held_follows(feed, feed->cursor.at.seq + rows));
    return rows;
}

void feed_advance(struct feed *feed, const struct fresh *fresh, size_t i)
{
    feed->cursor.at.seq = fresh->frame.rows[i].seq;
    memcpy(feed->cursor.hash, fresh->hashes[i], HASH_BYTES);
    feed->counts.events++;
}

void feed_reset(struct feed *feed, const struct cursor *cursor)
{
    feed_close(feed);
    feed->cursor = *cursor;
    feed->pull_wanted = true;
}

/* Since when the next pull is due.  A pull in flight is given up after a
 * while; a diverged stream is asked now and then whether it has healed. */
static uint64_t pull_due_ms(const struct feed *feed, uint64_t now_ms)
{
    uint64_t last =
        feed->heard_ms > feed->pulled_ms ? feed->heard_ms : feed->pulled_ms;

    if (feed->nonce != 0)
        return feed->pulled_ms + PULL_TIMEOUT_MS;
    if (feed->diverged)
        return feed->pulled_ms + PULL_IDLE_MS;
    return feed->pull_wanted ? now_ms : last + PULL_IDLE_MS;
}

size_t feed_pull(struct feed *feed, uint64_t now_ms, uint64_t nonce,
                 uint8_t message[MESSAGE_MAX])
{
    struct pull pull = {.nonce = nonce};

    if (pull_due_ms(feed, now_ms) > now_ms)
        return 0;
    text_copy(pull.reader, sizeof pull.reader, feed->reader);
    text_copy(pull.source, sizeof pull.source, feed->source);
    if (feed->cursor.at.seq > 0)
        pull.cursor = feed->cursor;
    feed->pull_wanted = false;
    feed->nonce = nonce;
    feed->pulled_ms = now_ms;
    feed->counts.pulls++;
    return pull_write(&pull, message);
}

uint64_t feed_wake_ms(const struct feed *feed, uint64_t now_ms)
{
    return pull_due_ms(feed, now_ms);
}

const char *feed_trouble(const struct feed *feed)
{
    static const char *const troubles[VERDICTS] = {
        [PULL_OK] = "",
        [PULL_OTHER_LOG] = "diverged: its log is another one than I consumed",
        [PULL_AHEAD] = "diverged: it has lost events that I consumed",
        [PULL_FORKED] = "diverged: its log differs from what I consumed",
    };

    return feed->diverged ? troubles[feed->verdict] : "";
}
