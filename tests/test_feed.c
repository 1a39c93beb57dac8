/* test_feed.c - what a reader takes, drops, and asks for. */
#include "stream/subscription.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS = 9 };

/* A publisher's log in memory: rows 1 to EVENTS and their hashes. */
static struct row rows[EVENTS + 1];
static uint8_t hashes[EVENTS + 1][HASH_BYTES];
static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";
static struct fresh fresh;
static uint8_t message[MESSAGE_MAX];

static void make_log(void)
{
    event_genesis("order", log_id, hashes[0]);
    for (uint64_t i = 1; i <= EVENTS; i++) {
        rows[i] = (struct row){.seq = i,
                               .type = "OrderConfirmed",
                               .version = 1,
                               .order_id = "o-1",
                               .data = (const uint8_t *)"\x80",
                               .data_bytes = 1};
        event_hash(hashes[i - 1], &rows[i], hashes[i]);
    }
}

/* A frame of the events first to last; a heartbeat when last < first. */
static size_t frame_of(uint64_t first, uint64_t last)
{
    static struct frame_writer writer;

    frame_begin(&writer, "order", log_id, first - 1, hashes[first - 1]);
    for (uint64_t i = first; i <= last; i++)
        cr_assert(frame_add(&writer, &rows[i], hashes[i]));
    return frame_finish(&writer, message);
}

static size_t reply_of(uint64_t nonce, enum verdict verdict, uint64_t first,
                       uint64_t last)
{
    static uint8_t frame[MESSAGE_MAX];
    struct pull_reply reply = {
        .nonce = nonce, .verdict = verdict, .head_seq = EVENTS};

    memcpy(reply.head_hash, hashes[EVENTS], HASH_BYTES);
    if (verdict == PULL_OK) {
        reply.frame_bytes = frame_of(first, last);
        memcpy(frame, message, reply.frame_bytes);
        reply.frame = frame;
    }
    return pull_reply_write(&reply, message);
}

/* Takes a frame as a caller does; returns how many rows were fresh. */
static size_t take(struct feed *feed, size_t bytes)
{
    size_t count = feed_frame(feed, 1000, message, bytes, &fresh);

    cr_assert_eq(fresh.count, count, "what is not taken is not fresh");
    for (size_t i = 0; i < count; i++)
        feed_advance(feed, &fresh, fresh.first + i);
    return count;
}

static size_t take_reply(struct feed *feed, size_t bytes)
{
    size_t count = feed_reply(feed, 1000, message, bytes, &fresh);

    cr_assert_eq(fresh.count, count, "what is not taken is not fresh");
    for (size_t i = 0; i < count; i++)
        feed_advance(feed, &fresh, fresh.first + i);
    return count;
}

/* A feed that has consumed the events up to @seq and wants nothing. */
static struct feed feed_at(uint64_t seq)
{
    struct cursor cursor = {.at.seq = seq};
    struct feed feed;

    make_log();
    memcpy(cursor.at.log_id, log_id, LOG_ID_BYTES);
    memcpy(cursor.hash, hashes[seq], HASH_BYTES);
    feed_open(&feed, "payment", "order", &cursor);
    feed.pull_wanted = false;
    feed.met = true;
    return feed;
}

Test(feed, frames_in_order_are_taken)
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take(&feed, frame_of(3, 5)), 3);
    cr_assert_eq(take(&feed, frame_of(6, 6)), 1);
    cr_assert_eq(feed.cursor.at.seq, 6);
    cr_assert_arr_eq(feed.cursor.hash, hashes[6], HASH_BYTES);
    cr_assert_not(feed.pull_wanted);
}

Test(feed, what_overlaps_is_taken_once) /* HC4 HC13 F33 */
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take(&feed, frame_of(1, 5)), 3);
    cr_assert_eq(take(&feed, frame_of(1, 5)), 0);
    cr_assert_eq(feed.counts.duplicates, 2 + 5);
    cr_assert_not(feed.pull_wanted);
}

Test(feed, a_gap_is_pulled_not_skipped) /* HC9 F32 */
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take(&feed, frame_of(4, 5)), 0);
    cr_assert_eq(feed.cursor.at.seq, 2);
    cr_assert_eq(feed.counts.gaps, 1);
    cr_assert(feed.pull_wanted);
    cr_assert_gt(feed_pull(&feed, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(77, PULL_OK, 3, EVENTS)), 7);
    cr_assert_not(feed.pull_wanted);
    feed_close(&feed);
}

/* Takes what was held back, as a caller does; returns how many rows. */
static size_t take_held(struct feed *feed)
{
    size_t all = 0, count;

    while ((count = feed_held(feed, &fresh)) > 0) {
        for (size_t i = 0; i < count; i++)
            feed_advance(feed, &fresh, fresh.first + i);
        all += count;
    }
    cr_assert_eq(fresh.count, 0, "what is not there is not fresh");
    return all;
}

/* HC8 */
Test(feed, what_lies_beyond_a_gap_waits_until_a_pull_has_closed_it)
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take(&feed, frame_of(4, 5)), 0);
    cr_assert_eq(take(&feed, frame_of(6, 8)), 0);
    cr_assert_eq(take_held(&feed), 0, "3 is missing");
    cr_assert_gt(feed_pull(&feed, 1000, 77, message), 0);
    cr_assert_eq(take(&feed, frame_of(9, 9)), 0);
    cr_assert_eq(take_reply(&feed, reply_of(77, PULL_OK, 3, 4)), 2);
    cr_assert_not(feed.pull_wanted, "the rest is here");
    cr_assert_eq(take_held(&feed), 5);
    cr_assert_eq(feed.cursor.at.seq, 9);
    cr_assert_arr_eq(feed.cursor.hash, hashes[9], HASH_BYTES);
    cr_assert_not(feed.pull_wanted);
    cr_assert_eq(feed.held_bytes, 0);
}

Test(feed, a_frame_that_comes_late_closes_the_gap_by_itself)
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take(&feed, frame_of(4, 5)), 0);
    cr_assert_eq(take(&feed, frame_of(3, 3)), 1);
    cr_assert_eq(take_held(&feed), 2);
    cr_assert_eq(feed.held_bytes, 0);
}

Test(feed, of_two_gaps_each_is_pulled)
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take(&feed, frame_of(4, 5)), 0);
    cr_assert_eq(take(&feed, frame_of(8, 9)), 0);
    cr_assert_gt(feed_pull(&feed, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(77, PULL_OK, 3, 3)), 1);
    cr_assert_eq(take_held(&feed), 2);
    cr_assert_eq(feed.cursor.at.seq, 5);
    cr_assert(feed.pull_wanted);
    cr_assert_gt(feed_pull(&feed, 1000, 78, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(78, PULL_OK, 6, 7)), 2);
    cr_assert_eq(take_held(&feed), 2);
    cr_assert_eq(feed.cursor.at.seq, EVENTS);
    cr_assert_not(feed.pull_wanted);
}

Test(feed, what_was_held_back_is_believed_no_more_than_what_comes) /* F34 */
{
    struct feed feed = feed_at(2);

    text_copy(rows[5].order_id, ID_BYTES, "o-2");
    cr_assert_eq(take(&feed, frame_of(4, 6)), 0);
    text_copy(rows[5].order_id, ID_BYTES, "o-1");
    cr_assert_gt(feed_pull(&feed, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(77, PULL_OK, 3, 3)), 1);
    cr_assert_eq(take_held(&feed), 0);
    cr_assert_eq(feed.cursor.at.seq, 3);
    cr_assert_eq(feed.counts.unchained, 1);
    cr_assert(feed.pull_wanted);
    cr_assert_not(feed.diverged);
    cr_assert_eq(feed.held_bytes, 0);
}

/* Else it would be asked for, again and again, for ever. */
Test(feed, a_frame_beyond_the_end_of_the_log_is_not_waited_for) /* F34 */
{
    struct feed feed = feed_at(2);
    static struct frame_writer writer;

    frame_begin(&writer, "order", log_id, 999, hashes[9]);
    rows[3].seq = 1000;
    cr_assert(frame_add(&writer, &rows[3], hashes[3]));
    rows[3].seq = 3;
    cr_assert_eq(take(&feed, frame_finish(&writer, message)), 0);
    cr_assert_gt(feed.held_bytes, 0);
    cr_assert_gt(feed_pull(&feed, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(77, PULL_OK, 3, EVENTS)), 7);
    cr_assert_eq(take_held(&feed), 0);
    cr_assert_eq(feed.held_bytes, 0);
    cr_assert_not(feed.pull_wanted);
}

Test(feed, what_finds_no_room_beyond_a_gap_is_pulled)
{
    struct feed feed = feed_at(2);

    feed.held_bytes = HELD_BYTES_MAX - 1;
    cr_assert_eq(take(&feed, frame_of(4, 5)), 0);
    cr_assert_null(feed.held);
    cr_assert_gt(feed_pull(&feed, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(77, PULL_OK, 3, 3)), 1);
    cr_assert_eq(take_held(&feed), 0);
    cr_assert(feed.pull_wanted);
}

Test(feed, a_reply_that_ends_before_the_head_is_followed_by_another)
{
    struct feed feed = feed_at(0);

    feed.pull_wanted = true;
    cr_assert_gt(feed_pull(&feed, 1000, 1, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(1, PULL_OK, 1, 4)), 4);
    cr_assert(feed.pull_wanted);
    cr_assert_eq(feed_wake_ms(&feed, 1000), 1000);
}

/* What is held lies behind the next gap, or in what the reply had already. */
Test(feed, what_is_held_elsewhere_is_no_reason_not_to_ask)
{
    static const uint64_t replies[] = {2, 8};

    for (size_t i = 0; i < 2; i++) {
        struct feed feed = feed_at(0);

        cr_assert_eq(take(&feed, frame_of(6, 7)), 0);
        cr_assert_gt(feed_pull(&feed, 1000, 1, message), 0);
        cr_assert_eq(take_reply(&feed, reply_of(1, PULL_OK, 1, replies[i])),
                     replies[i]);
        cr_assert(feed.pull_wanted, "after %d", (int)replies[i]);
        feed_close(&feed);
    }
}

Test(feed, a_heartbeat_that_differs_is_a_reason_to_ask) /* HC3 */
{
    struct feed feed = feed_at(5);

    take(&feed, frame_of(6, 5));
    cr_assert_not(feed.pull_wanted);
    take(&feed, frame_of(8, 7));
    cr_assert(feed.pull_wanted);
    feed.pull_wanted = false;
    hashes[5][0] ^= 1; /* the same seq, but not what we consumed */
    take(&feed, frame_of(6, 5));
    cr_assert(feed.pull_wanted);
    cr_assert_not(feed.diverged, "a heartbeat is a hint");
}

Test(feed, rows_that_do_not_chain_are_dropped) /* HC21 HC48 F34 */
{
    struct feed feed = feed_at(2);

    text_copy(rows[3].order_id, ID_BYTES, "o-2");
    cr_assert_eq(take(&feed, frame_of(3, 5)), 0);
    cr_assert_eq(feed.counts.unchained, 1);
    cr_assert(feed.pull_wanted);
    cr_assert_not(feed.diverged);
}

Test(feed, only_a_reply_to_the_pull_in_flight_counts) /* F38 F50 */
{
    struct feed feed = feed_at(2);

    cr_assert_eq(take_reply(&feed, reply_of(5, PULL_AHEAD, 0, 0)), 0);
    cr_assert_not(feed.diverged);
    feed.pull_wanted = true;
    cr_assert_gt(feed_pull(&feed, 1000, 6, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(5, PULL_OTHER_LOG, 0, 0)), 0);
    cr_assert_not(feed.diverged);
    cr_assert_eq(feed.counts.stale, 2);
    cr_assert_eq(take_reply(&feed, reply_of(6, PULL_AHEAD, 0, 0)), 0);
    cr_assert(feed.diverged);
    cr_assert_eq(take_reply(&feed, reply_of(6, PULL_OK, 3, 4)), 0);
    cr_assert(feed.diverged, "a nonce is good for one reply");
}

/* Or `saga accept` would go on from a head that is no more: HC11. */
Test(feed, a_reply_that_stops_the_stream_tells_where_the_log_ends) /* F42 */
{
    struct feed feed = feed_at(2);

    feed.heard_head = feed.cursor; /* from before the restore */
    feed.heard_head.at.seq = EVENTS + 3;
    feed.pull_wanted = true;
    cr_assert_gt(feed_pull(&feed, 1000, 6, message), 0);
    take_reply(&feed, reply_of(6, PULL_AHEAD, 0, 0));
    cr_assert_eq(feed.heard_head.at.seq, EVENTS);
    cr_assert_eq(memcmp(feed.heard_head.hash, hashes[EVENTS], HASH_BYTES), 0);
    cr_assert_eq(memcmp(feed.heard_head.at.log_id, log_id, LOG_ID_BYTES), 0);
}

Test(feed, a_diverged_stream_is_not_consumed_and_may_heal) /* HC11 F42 */
{
    struct feed feed = feed_at(2);

    feed.pull_wanted = true;
    cr_assert_gt(feed_pull(&feed, 1000, 6, message), 0);
    take_reply(&feed, reply_of(6, PULL_FORKED, 0, 0));
    cr_assert_eq(take(&feed, frame_of(3, 5)), 0);
    cr_assert_str_neq(feed_trouble(&feed), "");
    cr_assert_eq(feed_pull(&feed, 1001, 7, message), 0);
    cr_assert_gt(feed_pull(&feed, 1000 + PULL_IDLE_MS, 7, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(7, PULL_OK, 3, EVENTS)), 7);
    cr_assert_not(feed.diverged);
    cr_assert_str_eq(feed_trouble(&feed), "");
}

Test(feed, a_log_that_contradicts_its_own_hashes_stops_the_stream)
{
    struct feed feed = feed_at(2);

    text_copy(rows[3].order_id, ID_BYTES, "o-2");
    for (uint64_t nonce = 1; nonce <= 2; nonce++) {
        cr_assert_not(feed.diverged);
        feed.pull_wanted = true;
        cr_assert_gt(feed_pull(&feed, 1000, nonce, message), 0);
        cr_assert_eq(take_reply(&feed, reply_of(nonce, PULL_OK, 3, 5)), 0);
    }
    cr_assert(feed.diverged);
    cr_assert_eq(feed.heard_head.at.seq, EVENTS, "without a heartbeat, too");
    cr_assert_eq(memcmp(feed.heard_head.at.log_id, log_id, LOG_ID_BYTES), 0);
}

Test(feed, a_pull_without_reply_is_sent_again) /* F39 */
{
    struct feed feed = feed_at(2);

    feed.pull_wanted = true;
    cr_assert_gt(feed_pull(&feed, 1000, 1, message), 0);
    cr_assert_eq(feed_pull(&feed, 1500, 2, message), 0);
    cr_assert_eq(feed_wake_ms(&feed, 1500), 1000 + PULL_TIMEOUT_MS);
    cr_assert_gt(feed_pull(&feed, 1000 + PULL_TIMEOUT_MS, 2, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(1, PULL_OK, 3, 4)), 0);
    cr_assert_eq(take_reply(&feed, reply_of(2, PULL_OK, 3, 4)), 2);
}

Test(feed, silence_is_a_reason_to_ask)
{
    struct feed feed = feed_at(EVENTS);

    take(&feed, frame_of(EVENTS + 1, EVENTS));
    cr_assert_eq(feed_wake_ms(&feed, 1000), 1000 + PULL_IDLE_MS);
    cr_assert_eq(feed_pull(&feed, 1000 + PULL_IDLE_MS - 1, 1, message), 0);
    cr_assert_gt(feed_pull(&feed, 1000 + PULL_IDLE_MS, 1, message), 0);
}

Test(feed, a_new_reader_learns_the_log_from_a_reply_only) /* HC12 */
{
    struct feed feed;

    make_log();
    feed_open(&feed, "payment", "order", NULL);
    cr_assert_eq(take(&feed, frame_of(1, 3)), 0);
    cr_assert_gt(feed_pull(&feed, 1000, 9, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(9, PULL_OK, 1, EVENTS)), EVENTS);
    cr_assert_arr_eq(feed.cursor.at.log_id, log_id, LOG_ID_BYTES);
}

Test(feed, frames_count_after_the_first_answer_of_a_life)
{
    struct feed feed = feed_at(2);

    feed.met = false;
    cr_assert_eq(take(&feed, frame_of(3, 5)), 0);
    cr_assert(feed.pull_wanted);
    cr_assert_gt(feed_pull(&feed, 1000, 9, message), 0);
    cr_assert_eq(take_reply(&feed, reply_of(9, PULL_OK, 3, 5)), 3);
    cr_assert_eq(take(&feed, frame_of(6, 7)), 2);
}

Test(feed, a_strangers_frame_is_counted_and_dropped) /* F34 */
{
    struct feed feed = feed_at(2);
    static struct frame_writer writer;

    frame_begin(&writer, "payment", log_id, 2, hashes[2]);
    cr_assert(frame_add(&writer, &rows[3], hashes[3]));
    cr_assert_eq(take(&feed, frame_finish(&writer, message)), 0);
    memset(message, 0xc1, 100);
    cr_assert_eq(take(&feed, 100), 0);
    cr_assert_eq(take_reply(&feed, 100), 0);
    cr_assert_eq(feed.counts.garbage, 3);
    cr_assert_eq(feed.heard_ms, 0, "noise is no sign of life");
}

Test(feed, a_rollback_takes_the_cursor_back)
{
    struct feed feed = feed_at(2);
    struct cursor before = feed.cursor;

    cr_assert_eq(take(&feed, frame_of(3, 5)), 3);
    cr_assert_eq(take(&feed, frame_of(8, 9)), 0);
    feed_reset(&feed, &before);
    cr_assert_eq(feed.cursor.at.seq, 2);
    cr_assert_null(feed.held);
    cr_assert(feed.pull_wanted);
    cr_assert_eq(take(&feed, frame_of(3, 5)), 3);
}
