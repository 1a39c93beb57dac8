/* subscription.h - consuming one publisher's log: cursor, gaps, pulls,
 * divergence.
 *
 * PUB is a hint, the pull is the truth.  A frame is taken when it chains onto
 * the cursor; anything else - a gap, a heartbeat that differs, a new
 * connection, two seconds without news - makes the reader pull from the
 * publisher's log.  Only a pull reply with the nonce of the pull in flight can
 * say that the stream has diverged: frames can be late, old or a stranger's.
 *
 * A lost frame must not cost those that come behind it: what arrives beyond a
 * gap is held back until the pull has closed the gap, and then taken.  Under
 * load more arrives while a pull is on its way than one reply brings, so that
 * a reader which drops it would run behind for as long as the load lasts.
 *
 * How we stand with the publisher is one of five states.  Only its replies,
 * a new connection and an operator move it; frames never do.
 *
 *     STARTING ----.                      .---- REJOINED <---.
 *                  | a reply that chains  |                  |
 *                  '---------> LIVE <-----'                  |
 *                              |  ^                          | a new
 *          one that does not   |  | one that does            | connection
 *          (it may be noise)   v  |                          |
 *                             SUSPECT ----- (and LIVE) ------'
 *                                |
 *                                | another that does not; or, in any state,
 *                                v the publisher's verdict on our cursor
 *                             DIVERGED ----> LIVE  by a reply that chains, or
 *                                                  when an operator accepts it
 *
 * Write side and read sides use the same subscription.  It does no I/O but for
 * subscription_poll, which sends.  Read shell.c or projection.c for the loop
 * around it. */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include "base/env.h"
#include "stream/frame.h"
#include "stream/pull.h"

enum {
    PULL_TIMEOUT_MS = 1000,
    PULL_IDLE_MS = 2000, /* without news, pull: a lost heartbeat heals too */
    SUBSCRIPTION_LOST_MS =
        2500, /* not heard for so long: the publisher seems away */
    HELD_BYTES_MAX = 524288 /* of frames beyond a gap; more is pulled again */
};

/* A frame that waits for what comes before it. */
struct held_frame {
    struct held_frame *next;
    uint64_t first, last;
    uint64_t pulls; /* sent before it came: see subscription_reply */
    size_t count;
    uint8_t bytes[];
};

enum subscription_state {
    SUB_STARTING, /* no pull was answered in this life: frames do not count */
    SUB_REJOINED, /* connected anew: what we know of the head may be old */
    SUB_LIVE,
    SUB_SUSPECT,  /* the last reply did not chain: one may be noise on the way,
                     two are the publisher's log */
    SUB_DIVERGED, /* consumption has stopped */
    SUB_STATES
};

struct subscription {
    char source[SERVICE_BYTES]; /* the publisher */
    char reader[SERVICE_BYTES]; /* who we are, for the pull */
    struct cursor cursor;       /* in memory; its owner makes it durable */

    enum subscription_state state;
    enum verdict verdict; /* why it has diverged */

    bool pull_wanted;         /* at once: something is missing */
    uint64_t nonce;           /* of the pull in flight; 0 = none */
    uint64_t pulled_ms;       /* when it was sent */
    uint64_t heard_ms;        /* when anything valid last arrived; 0 = never */
    uint64_t head_seq;        /* the publisher's newest known head */
    struct cursor heard_head; /* what its last heartbeat said: a hint */
    bool owes_me;             /* its reply named its cursor on our log: */
    struct cursor on_us;
    struct held_frame *held; /* beyond a gap, as they came; owned */
    size_t held_bytes;

    struct subscription_counts {
        uint64_t frames, events, duplicates, gaps, unchained, garbage, pulls,
            replies, stale;
    } counts;
};

/* Rows that follow the cursor, verified to chain onto it. */
struct new_rows {
    struct frame frame;
    size_t first, count; /* frame.rows[first .. first + count) are new */
    uint8_t hashes[ROWS_MAX][HASH_BYTES]; /* of frame.rows[i] at [i] */
};

/* @cursor NULL: nothing consumed yet. */
void subscription_open(struct subscription *sub, const char *reader,
                       const char *source, const struct cursor *cursor);
/* Frees what is held back.  A subscription of all zeros may be closed, too. */
void subscription_close(struct subscription *sub);

/* A connection was made: what we know may be old. */
void subscription_connected(struct subscription *sub);

/* The publisher is asked at once.  What is in flight may have been answered
 * before: it does not count, so counts.replies grows with an answer that is
 * newer than this call. */
void subscription_look(struct subscription *sub);

/* A frame arrived.  Returns how many new rows @new_rows holds; the caller
 * handles them in order, calls subscription_advance for each, and then asks
 * subscription_held. */
size_t subscription_frame(struct subscription *sub, uint64_t now_ms,
                          const void *bytes, size_t count,
                          struct new_rows *new_rows);

/* The same for a pull reply. */
size_t subscription_reply(struct subscription *sub, uint64_t now_ms,
                          const void *bytes, size_t count,
                          struct new_rows *new_rows);

/* The same for frames that were held back and follow the cursor by now: ask
 * until there are none. */
size_t subscription_held(struct subscription *sub, struct new_rows *new_rows);

/* Row @i of @new_rows has been handled: the cursor moves onto it. */
void subscription_advance(struct subscription *sub,
                          const struct new_rows *new_rows, size_t i);

/* The transaction was rolled back: the cursor is @cursor again; what was
 * dropped, and what was held back, is pulled. */
void subscription_reset(struct subscription *sub, const struct cursor *cursor);

/* An operator goes on with a publisher that has diverged, from @cursor. */
void subscription_accept(struct subscription *sub, const struct cursor *cursor);

/* Whether the publisher has answered since the last connection was made; of
 * one that has diverged, whether no answer is on its way. */
bool subscription_answered(const struct subscription *sub);

/* Something may be missing: pulls at the next chance. */
void subscription_urge(struct subscription *sub);

/* The new rows are not handled now: they, and what is held back, are pulled
 * when subscription_urge says so. */
void subscription_postpone(struct subscription *sub);

/* If a pull is due, writes it to @message with @nonce (not 0, never used
 * before) and returns its bytes; otherwise 0. */
size_t subscription_pull(struct subscription *sub, uint64_t now_ms,
                         uint64_t nonce, uint8_t message[MESSAGE_MAX]);

/* If a pull is due, sends it to publisher number @link.  @message is room to
 * work in. */
void subscription_poll(struct subscription *sub, const struct env *env,
                       uint64_t now_ms, uint64_t link,
                       uint8_t message[MESSAGE_MAX]);

/* When subscription_pull wants to be asked again, in mono_ms. */
uint64_t subscription_wake_ms(const struct subscription *sub, uint64_t now_ms);

/* "its log is another one", ... for status and why; "" when all is well. */
const char *subscription_trouble(const struct subscription *sub);

#endif
