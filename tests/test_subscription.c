/* test_subscription.c - what a reader takes, drops, and asks for. */
#include "stream/subscription.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 9 };

/* A publisher's log in memory: rows 1 to EVENTS and their hashes. */
static struct row rows[EVENTS + 1];
static uint8_t hashes[EVENTS + 1][HASH_BYTES];
static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";
static struct new_rows new_rows;
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
static size_t take(struct subscription *sub, size_t bytes)
{
    size_t count = subscription_frame(sub, 1000, message, bytes, &new_rows);

    cr_assert_eq(new_rows.count, count, "what is not taken is not fresh");
    for (size_t i = 0; i < count; i++)
        subscription_advance(sub, &new_rows, new_rows.first + i);
    return count;
}

static size_t take_reply(struct subscription *sub, size_t bytes)
{
    size_t count = subscription_reply(sub, 1000, message, bytes, &new_rows);

    cr_assert_eq(new_rows.count, count, "what is not taken is not fresh");
    for (size_t i = 0; i < count; i++)
        subscription_advance(sub, &new_rows, new_rows.first + i);
    return count;
}

/* A subscription that has consumed the events up to @seq and wants nothing. */
static struct subscription subscription_at(uint64_t seq)
{
    struct cursor cursor = {.at.seq = seq};
    struct subscription sub;

    make_log();
    memcpy(cursor.at.log_id, log_id, LOG_ID_BYTES);
    memcpy(cursor.hash, hashes[seq], HASH_BYTES);
    subscription_open(&sub, "payment", "order", &cursor);
    sub.pull_wanted = false;
    sub.state = SUB_LIVE;
    return sub;
}

Test(subscription, frames_in_order_are_taken)
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take(&sub, frame_of(3, 5)), 3);
    cr_assert_eq(take(&sub, frame_of(6, 6)), 1);
    cr_assert_eq(sub.cursor.at.seq, 6);
    cr_assert_arr_eq(sub.cursor.hash, hashes[6], HASH_BYTES);
    cr_assert_not(sub.pull_wanted);
}

Test(subscription, what_overlaps_is_taken_once) /* HC4 HC13 F33 */
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take(&sub, frame_of(1, 5)), 3);
    cr_assert_eq(take(&sub, frame_of(1, 5)), 0);
    cr_assert_eq(sub.counts.duplicates, 2 + 5);
    cr_assert_not(sub.pull_wanted);
}

Test(subscription, a_gap_is_pulled_not_skipped) /* HC9 F32 */
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take(&sub, frame_of(4, 5)), 0);
    cr_assert_eq(sub.cursor.at.seq, 2);
    cr_assert_eq(sub.counts.gaps, 1);
    cr_assert(sub.pull_wanted);
    cr_assert_gt(subscription_pull(&sub, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(77, PULL_OK, 3, EVENTS)), 7);
    cr_assert_not(sub.pull_wanted);
    subscription_close(&sub);
}

/* Takes what was held back, as a caller does; returns how many rows. */
static size_t take_held(struct subscription *sub)
{
    size_t all = 0, count;

    while ((count = subscription_held(sub, &new_rows)) > 0) {
        for (size_t i = 0; i < count; i++)
            subscription_advance(sub, &new_rows, new_rows.first + i);
        all += count;
    }
    cr_assert_eq(new_rows.count, 0, "what is not there is not fresh");
    return all;
}

/* HC8 */
Test(subscription, what_lies_beyond_a_gap_waits_until_a_pull_has_closed_it)
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take(&sub, frame_of(4, 5)), 0);
    cr_assert_eq(take(&sub, frame_of(6, 8)), 0);
    cr_assert_eq(take_held(&sub), 0, "3 is missing");
    cr_assert_gt(subscription_pull(&sub, 1000, 77, message), 0);
    cr_assert_eq(take(&sub, frame_of(9, 9)), 0);
    cr_assert_eq(take_reply(&sub, reply_of(77, PULL_OK, 3, 4)), 2);
    cr_assert_not(sub.pull_wanted, "the rest is here");
    cr_assert_eq(take_held(&sub), 5);
    cr_assert_eq(sub.cursor.at.seq, 9);
    cr_assert_arr_eq(sub.cursor.hash, hashes[9], HASH_BYTES);
    cr_assert_not(sub.pull_wanted);
    cr_assert_eq(sub.held_bytes, 0);
}

Test(subscription, a_frame_that_comes_late_closes_the_gap_by_itself)
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take(&sub, frame_of(4, 5)), 0);
    cr_assert_eq(take(&sub, frame_of(3, 3)), 1);
    cr_assert_eq(take_held(&sub), 2);
    cr_assert_eq(sub.held_bytes, 0);
}

Test(subscription, of_two_gaps_each_is_pulled)
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take(&sub, frame_of(4, 5)), 0);
    cr_assert_eq(take(&sub, frame_of(8, 9)), 0);
    cr_assert_gt(subscription_pull(&sub, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(77, PULL_OK, 3, 3)), 1);
    cr_assert_eq(take_held(&sub), 2);
    cr_assert_eq(sub.cursor.at.seq, 5);
    cr_assert(sub.pull_wanted);
    cr_assert_gt(subscription_pull(&sub, 1000, 78, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(78, PULL_OK, 6, 7)), 2);
    cr_assert_eq(take_held(&sub), 2);
    cr_assert_eq(sub.cursor.at.seq, EVENTS);
    cr_assert_not(sub.pull_wanted);
}

Test(subscription,
     what_was_held_back_is_believed_no_more_than_what_comes) /* F34 */
{
    struct subscription sub = subscription_at(2);

    text_copy(rows[5].order_id, ID_BYTES, "o-2");
    cr_assert_eq(take(&sub, frame_of(4, 6)), 0);
    text_copy(rows[5].order_id, ID_BYTES, "o-1");
    cr_assert_gt(subscription_pull(&sub, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(77, PULL_OK, 3, 3)), 1);
    cr_assert_eq(take_held(&sub), 0);
    cr_assert_eq(sub.cursor.at.seq, 3);
    cr_assert_eq(sub.counts.unchained, 1);
    cr_assert(sub.pull_wanted);
    cr_assert(sub.state != SUB_DIVERGED);
    cr_assert_eq(sub.held_bytes, 0);
}

/* Else it would be asked for, again and again, for ever. */
Test(subscription,
     a_frame_beyond_the_end_of_the_log_is_not_waited_for) /* F34 */
{
    struct subscription sub = subscription_at(2);
    static struct frame_writer writer;

    frame_begin(&writer, "order", log_id, 999, hashes[9]);
    rows[3].seq = 1000;
    cr_assert(frame_add(&writer, &rows[3], hashes[3]));
    rows[3].seq = 3;
    cr_assert_eq(take(&sub, frame_finish(&writer, message)), 0);
    cr_assert_gt(sub.held_bytes, 0);
    cr_assert_gt(subscription_pull(&sub, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(77, PULL_OK, 3, EVENTS)), 7);
    cr_assert_eq(take_held(&sub), 0);
    cr_assert_eq(sub.held_bytes, 0);
    cr_assert_not(sub.pull_wanted);
}

Test(subscription, what_finds_no_room_beyond_a_gap_is_pulled)
{
    struct subscription sub = subscription_at(2);

    sub.held_bytes = HELD_BYTES_MAX - 1;
    cr_assert_eq(take(&sub, frame_of(4, 5)), 0);
    cr_assert_null(sub.held);
    cr_assert_gt(subscription_pull(&sub, 1000, 77, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(77, PULL_OK, 3, 3)), 1);
    cr_assert_eq(take_held(&sub), 0);
    cr_assert(sub.pull_wanted);
}

Test(subscription, a_reply_that_ends_before_the_head_is_followed_by_another)
{
    struct subscription sub = subscription_at(0);

    sub.pull_wanted = true;
    cr_assert_gt(subscription_pull(&sub, 1000, 1, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(1, PULL_OK, 1, 4)), 4);
    cr_assert(sub.pull_wanted);
    cr_assert_eq(subscription_wake_ms(&sub, 1000), 1000);
}

/* What is held lies behind the next gap, or in what the reply had already. */
Test(subscription, what_is_held_elsewhere_is_no_reason_not_to_ask)
{
    static const uint64_t replies[] = {2, 8};

    for (size_t i = 0; i < 2; i++) {
        struct subscription sub = subscription_at(0);

        cr_assert_eq(take(&sub, frame_of(6, 7)), 0);
        cr_assert_gt(subscription_pull(&sub, 1000, 1, message), 0);
        cr_assert_eq(take_reply(&sub, reply_of(1, PULL_OK, 1, replies[i])),
                     replies[i]);
        cr_assert(sub.pull_wanted, "after %d", (int)replies[i]);
        subscription_close(&sub);
    }
}

Test(subscription, a_heartbeat_that_differs_is_a_reason_to_ask) /* HC3 */
{
    struct subscription sub = subscription_at(5);

    take(&sub, frame_of(6, 5));
    cr_assert_not(sub.pull_wanted);
    take(&sub, frame_of(8, 7));
    cr_assert(sub.pull_wanted);
    sub.pull_wanted = false;
    hashes[5][0] ^= 1; /* the same seq, but not what we consumed */
    take(&sub, frame_of(6, 5));
    cr_assert(sub.pull_wanted);
    cr_assert(sub.state != SUB_DIVERGED, "a heartbeat is a hint");
}

Test(subscription, rows_that_do_not_chain_are_dropped) /* HC21 HC48 F34 */
{
    struct subscription sub = subscription_at(2);

    text_copy(rows[3].order_id, ID_BYTES, "o-2");
    cr_assert_eq(take(&sub, frame_of(3, 5)), 0);
    cr_assert_eq(sub.counts.unchained, 1);
    cr_assert(sub.pull_wanted);
    cr_assert(sub.state != SUB_DIVERGED);
}

Test(subscription, only_a_reply_to_the_pull_in_flight_counts) /* F38 F50 */
{
    struct subscription sub = subscription_at(2);

    cr_assert_eq(take_reply(&sub, reply_of(5, PULL_AHEAD, 0, 0)), 0);
    cr_assert(sub.state != SUB_DIVERGED);
    sub.pull_wanted = true;
    cr_assert_gt(subscription_pull(&sub, 1000, 6, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(5, PULL_OTHER_LOG, 0, 0)), 0);
    cr_assert(sub.state != SUB_DIVERGED);
    cr_assert_eq(sub.counts.stale, 2);
    cr_assert_eq(take_reply(&sub, reply_of(6, PULL_AHEAD, 0, 0)), 0);
    cr_assert(sub.state == SUB_DIVERGED);
    cr_assert_eq(take_reply(&sub, reply_of(6, PULL_OK, 3, 4)), 0);
    cr_assert(sub.state == SUB_DIVERGED, "a nonce is good for one reply");
}

/* Or `saga accept` would go on from a head that is no more: HC11. */
Test(subscription,
     a_reply_that_stops_the_stream_tells_where_the_log_ends) /* F42 */
{
    struct subscription sub = subscription_at(2);

    sub.heard_head = sub.cursor; /* from before the restore */
    sub.heard_head.at.seq = EVENTS + 3;
    sub.pull_wanted = true;
    cr_assert_gt(subscription_pull(&sub, 1000, 6, message), 0);
    take_reply(&sub, reply_of(6, PULL_AHEAD, 0, 0));
    cr_assert_eq(sub.heard_head.at.seq, EVENTS);
    cr_assert_eq(memcmp(sub.heard_head.hash, hashes[EVENTS], HASH_BYTES), 0);
    cr_assert_eq(memcmp(sub.heard_head.at.log_id, log_id, LOG_ID_BYTES), 0);
}

Test(subscription,
     a_diverged_stream_is_not_consumed_and_may_heal) /* HC11 F42 */
{
    struct subscription sub = subscription_at(2);

    sub.pull_wanted = true;
    cr_assert_gt(subscription_pull(&sub, 1000, 6, message), 0);
    take_reply(&sub, reply_of(6, PULL_FORKED, 0, 0));
    cr_assert_eq(take(&sub, frame_of(3, 5)), 0);
    cr_assert_str_neq(subscription_trouble(&sub), "");
    cr_assert_eq(subscription_pull(&sub, 1001, 7, message), 0);
    cr_assert_gt(subscription_pull(&sub, 1000 + PULL_IDLE_MS, 7, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(7, PULL_OK, 3, EVENTS)), 7);
    cr_assert(sub.state != SUB_DIVERGED);
    cr_assert_str_eq(subscription_trouble(&sub), "");
}

Test(subscription, a_log_that_contradicts_its_own_hashes_stops_the_stream)
{
    struct subscription sub = subscription_at(2);

    text_copy(rows[3].order_id, ID_BYTES, "o-2");
    for (uint64_t nonce = 1; nonce <= 2; nonce++) {
        cr_assert(sub.state != SUB_DIVERGED);
        sub.pull_wanted = true;
        cr_assert_gt(subscription_pull(&sub, 1000, nonce, message), 0);
        cr_assert_eq(take_reply(&sub, reply_of(nonce, PULL_OK, 3, 5)), 0);
    }
    cr_assert(sub.state == SUB_DIVERGED);
    cr_assert_eq(sub.heard_head.at.seq, EVENTS, "without a heartbeat, too");
    cr_assert_eq(memcmp(sub.heard_head.at.log_id, log_id, LOG_ID_BYTES), 0);
}

Test(subscription, a_pull_without_reply_is_sent_again) /* F39 */
{
    struct subscription sub = subscription_at(2);

    sub.pull_wanted = true;
    cr_assert_gt(subscription_pull(&sub, 1000, 1, message), 0);
    cr_assert_eq(subscription_pull(&sub, 1500, 2, message), 0);
    cr_assert_eq(subscription_wake_ms(&sub, 1500), 1000 + PULL_TIMEOUT_MS);
    cr_assert_gt(subscription_pull(&sub, 1000 + PULL_TIMEOUT_MS, 2, message),
                 0);
    cr_assert_eq(take_reply(&sub, reply_of(1, PULL_OK, 3, 4)), 0);
    cr_assert_eq(take_reply(&sub, reply_of(2, PULL_OK, 3, 4)), 2);
}

Test(subscription, silence_is_a_reason_to_ask)
{
    struct subscription sub = subscription_at(EVENTS);

    take(&sub, frame_of(EVENTS + 1, EVENTS));
    cr_assert_eq(subscription_wake_ms(&sub, 1000), 1000 + PULL_IDLE_MS);
    cr_assert_eq(subscription_pull(&sub, 1000 + PULL_IDLE_MS - 1, 1, message),
                 0);
    cr_assert_gt(subscription_pull(&sub, 1000 + PULL_IDLE_MS, 1, message), 0);
}

Test(subscription, a_new_reader_learns_the_log_from_a_reply_only) /* HC12 */
{
    struct subscription sub;

    make_log();
    subscription_open(&sub, "payment", "order", NULL);
    cr_assert_eq(take(&sub, frame_of(1, 3)), 0);
    cr_assert_gt(subscription_pull(&sub, 1000, 9, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(9, PULL_OK, 1, EVENTS)), EVENTS);
    cr_assert_arr_eq(sub.cursor.at.log_id, log_id, LOG_ID_BYTES);
}

Test(subscription, frames_count_after_the_first_answer_of_a_life)
{
    struct subscription sub = subscription_at(2);

    sub.state = SUB_STARTING;
    cr_assert_eq(take(&sub, frame_of(3, 5)), 0);
    cr_assert(sub.pull_wanted);
    cr_assert_gt(subscription_pull(&sub, 1000, 9, message), 0);
    cr_assert_eq(take_reply(&sub, reply_of(9, PULL_OK, 3, 5)), 3);
    cr_assert_eq(take(&sub, frame_of(6, 7)), 2);
}

Test(subscription, a_strangers_frame_is_counted_and_dropped) /* F34 */
{
    struct subscription sub = subscription_at(2);
    static struct frame_writer writer;

    frame_begin(&writer, "payment", log_id, 2, hashes[2]);
    cr_assert(frame_add(&writer, &rows[3], hashes[3]));
    cr_assert_eq(take(&sub, frame_finish(&writer, message)), 0);
    memset(message, 0xc1, 100);
    cr_assert_eq(take(&sub, 100), 0);
    cr_assert_eq(take_reply(&sub, 100), 0);
    cr_assert_eq(sub.counts.garbage, 3);
    cr_assert_eq(sub.heard_ms, 0, "noise is no sign of life");
}

Test(subscription, a_rollback_takes_the_cursor_back)
{
    struct subscription sub = subscription_at(2);
    struct cursor before = sub.cursor;

    cr_assert_eq(take(&sub, frame_of(3, 5)), 3);
    cr_assert_eq(take(&sub, frame_of(8, 9)), 0);
    subscription_reset(&sub, &before);
    cr_assert_eq(sub.cursor.at.seq, 2);
    cr_assert_null(sub.held);
    cr_assert(sub.pull_wanted);
    cr_assert_eq(take(&sub, frame_of(3, 5)), 3);
}

/* ---- the states ---------------------------------------------------------- */

enum { BY_SOUND, BY_UNSOUND, BY_VERDICT, BY_CONNECTION, BY_ACCEPTANCE, MOVES };

static void pull_and_take(struct subscription *sub, enum verdict verdict)
{
    static uint64_t nonce;
    uint64_t due = subscription_wake_ms(sub, 1000);

    cr_assert_gt(subscription_pull(sub, due, ++nonce, message), 0);
    take_reply(sub, reply_of(sub->nonce, verdict, 3, 4));
}

static void move_by(struct subscription *sub, int how)
{
    struct cursor cursor = sub->cursor;

    make_log();
    switch (how) {
    case BY_SOUND:
        pull_and_take(sub, PULL_OK);
        break;
    case BY_UNSOUND:
        text_copy(rows[3].order_id, ID_BYTES, "o-2");
        pull_and_take(sub, PULL_OK);
        break;
    case BY_VERDICT:
        pull_and_take(sub, PULL_AHEAD);
        break;
    case BY_CONNECTION:
        subscription_connected(sub);
        break;
    case BY_ACCEPTANCE:
        subscription_accept(sub, &cursor);
        break;
    }
}

static struct subscription in_state(int state)
{
    static const int way[SUB_STATES] = {
        [SUB_REJOINED] = BY_CONNECTION,
        [SUB_LIVE] = BY_SOUND,
        [SUB_SUSPECT] = BY_UNSOUND,
        [SUB_DIVERGED] = BY_VERDICT,
    };
    struct subscription sub = subscription_at(2);
    struct cursor cursor = sub.cursor;

    subscription_open(&sub, "payment", "order", &cursor);
    if (state == SUB_REJOINED)
        move_by(&sub, BY_SOUND);
    if (state != SUB_STARTING)
        move_by(&sub, way[state]);
    sub.cursor = cursor; /* so that the same rows are new again */
    cr_assert_eq((int)sub.state, state);
    return sub;
}

/* Each state, each thing that may happen: -1 must not. */
static const int ends[SUB_STATES][MOVES] = {
    [SUB_STARTING] = {SUB_LIVE, SUB_SUSPECT, SUB_DIVERGED, SUB_STARTING, -1},
    [SUB_REJOINED] = {SUB_LIVE, SUB_SUSPECT, SUB_DIVERGED, SUB_REJOINED, -1},
    [SUB_LIVE] = {SUB_LIVE, SUB_SUSPECT, SUB_DIVERGED, SUB_REJOINED, -1},
    [SUB_SUSPECT] = {SUB_LIVE, SUB_DIVERGED, SUB_DIVERGED, SUB_REJOINED, -1},
    [SUB_DIVERGED] = {SUB_LIVE, SUB_DIVERGED, SUB_DIVERGED, SUB_DIVERGED,
                      SUB_LIVE},
};

Test(subscription, every_legal_move_ends_where_the_picture_says)
{
    for (int state = 0; state < SUB_STATES; state++)
        for (int how = 0; how < MOVES; how++) {
            struct subscription sub = in_state(state);

            if (ends[state][how] < 0)
                continue;
            move_by(&sub, how);
            cr_expect_eq((int)sub.state, ends[state][how],
                         "from %d by %d to %d", state, how, (int)sub.state);
            cr_expect_eq(subscription_answered(&sub),
                         sub.state != SUB_STARTING &&
                             sub.state != SUB_REJOINED);
            subscription_close(&sub);
        }
}

Test(subscription, every_illegal_move_is_an_error_of_the_program)
{
    for (int state = 0; state < SUB_STATES; state++)
        for (int how = 0; how < MOVES; how++) {
            struct subscription sub = in_state(state);
            int status = 0;
            pid_t child;

            if (ends[state][how] >= 0)
                continue;
            child = fork();
            if (child == 0) {
                fclose(stderr); /* it would say which assertion */
                move_by(&sub, how);
                _exit(0);
            }
            cr_assert_eq(waitpid(child, &status, 0), child);
            cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
                      "from %d by %d", state, how);
        }
}

/* Only replies, a new connection and an operator tell how we stand. */
Test(subscription, frames_and_rollbacks_move_no_state)
{
    for (int state = 0; state < SUB_STATES; state++) {
        struct subscription sub = in_state(state);
        struct cursor cursor = sub.cursor;

        make_log();
        take(&sub, frame_of(3, 4));
        take(&sub, frame_of(8, 9));
        take(&sub, frame_of(6, 5));
        text_copy(rows[5].order_id, ID_BYTES, "o-2");
        take(&sub, frame_of(5, 6));
        cr_expect_eq((int)sub.state, state);
        subscription_reset(&sub, &cursor);
        cr_expect_eq((int)sub.state, state);
        subscription_close(&sub);
    }
}

/* A verdict is about the cursor of its pull: a publisher that agrees to that
 * one has another trouble, if any, and `saga accept` goes by which. */
Test(subscription, a_verdict_that_is_over_is_not_what_it_has_diverged_by)
{
    struct subscription sub = subscription_at(2);

    pull_and_take(&sub, PULL_OTHER_LOG);
    cr_assert_eq(sub.verdict, PULL_OTHER_LOG);
    move_by(&sub, BY_UNSOUND);
    cr_expect_eq((int)sub.state, SUB_DIVERGED);
    cr_expect_eq(sub.verdict, PULL_FORKED, "its log is mine again");
    cr_expect_eq(sub.heard_head.at.seq, EVENTS, "where accept goes on");
    subscription_close(&sub);
}

/* What a diverged publisher says after a pause may be that all is well. */
Test(subscription, a_diverged_publisher_is_waited_for_after_a_connection)
{
    struct subscription sub = in_state(SUB_DIVERGED);

    subscription_connected(&sub);
    cr_assert(sub.pull_wanted);
    cr_assert_gt(subscription_pull(&sub, 9000, 5000, message), 0);
    cr_expect_not(subscription_answered(&sub), "its answer is on the way");
    take_reply(&sub, reply_of(5000, PULL_AHEAD, 0, 0));
    cr_expect(subscription_answered(&sub));
    subscription_close(&sub);
}

/* ---- sending a pull ------------------------------------------------------ */

static unsigned drawn, sent;
static uint64_t sent_to;

static void draw(void *ctx, void *bytes, size_t count)
{
    (void)ctx;
    memset(bytes, (int)drawn++, count); /* the first is no nonce */
}

static void send_pull(void *ctx, enum channel channel, uint64_t to,
                      const void *bytes, size_t count)
{
    struct pull pull;

    (void)ctx;
    cr_assert_eq(channel, TO_PUBLISHER);
    cr_assert(pull_read(bytes, count, &pull));
    cr_assert_neq(pull.nonce, 0);
    sent_to = to;
    sent++;
}

Test(subscription, a_pull_is_sent_when_it_is_due_and_no_chance_is_drawn_before)
{
    struct env env = {.random = draw, .send = send_pull};
    struct subscription sub = subscription_at(2);

    sub.heard_ms = 1000;
    subscription_poll(&sub, &env, 1000, 7, message);
    cr_assert_eq(drawn + sent, 0, "nothing is missing");
    subscription_urge(&sub);
    subscription_poll(&sub, &env, 1000, 7, message);
    cr_assert_eq(sent, 1);
    cr_assert_eq(sent_to, 7);
    cr_assert_eq(drawn, 2, "a nonce is never 0");
    subscription_poll(&sub, &env, 1000, 7, message);
    cr_assert_eq(sent, 1, "one is in flight");
}
