/* projection_internal.h - the read side from within.
 *
 * There is one generation that serves, and during a rebuild a second one that
 * starts from zero.
 *
 * Used by: generation.c, projection.c, queries.c, rebuild.c. */
#ifndef PROJECTION_INTERNAL_H
#define PROJECTION_INTERNAL_H

#include "read/projection.h"
#include "read/view_db.h"
#include "read/view_diff.h"
#include "stream/subscription.h"

enum {
    VIEW_RETRY_MS = 500, /* after a full disk or a locked database */
    CUT_MS_MAX =
        2000, /* how long a generation may be held at a rebuild's cut */
    COMPARE_ROWS = 2000, /* in one step */
    REBUILD_ASKED_MAX = 8,
    LOOK_MS = 250,        /* between two checks that the file is there */
    LOOK_AGAIN_MS = 5000, /* after a rebuild for that reason was given up */
    ANSWER_TEXT_MAX = MESSAGE_MAX - 512
};

/* A generation being folded. */
struct generation {
    struct view_db *db; /* NULL: there is no such generation */
    uint64_t first_link;
    size_t subscription_count;
    struct subscription subscriptions[CURSORS_MAX];
    struct cursor saved[CURSORS_MAX]; /* as the database has them */
    uint64_t limit[CURSORS_MAX];      /* consume no event beyond it */

    bool in_transaction;
    size_t batch;         /* events in it */
    uint64_t folded;      /* events since it was opened */
    enum evt_status held; /* EVT_FULL or EVT_BUSY: it came to this, and */
    uint64_t retry_ms;    /* is tried again then */
};

/* A query that waits until the view has reached some positions, and maybe
 * until its answer says "ended". */
struct waiting {
    uint64_t token, deadline_ms;
    json_t *request;
    size_t want_count;
    struct want {
        size_t source;
        struct position at;
    } wants[CURSORS_MAX];
    bool until_ended;
    bool look; /* something may have changed since it was last asked */
    char order[ID_BYTES];
};

enum rebuild_phase {
    REBUILD_NONE,
    REBUILD_CATCHING_UP, /* the new generation pulls from zero */
    REBUILD_CUTTING, /* both generations come to a stop at the same positions */
    REBUILD_COMPARING /* as they were at the cut; both run on */
};

struct rebuild {
    enum rebuild_phase phase;
    struct asked {
        uint64_t token, deadline_ms;
    } asked[REBUILD_ASKED_MAX]; /* to be answered */
    size_t asked_count;
    uint64_t begun_ms;
    uint64_t cut_ms;        /* when the cut is given up */
    bool lost;              /* the file that serves was: nothing to compare */
    struct view_diff *diff; /* while comparing */
    json_t *differences;    /* NULL: not compared yet */
    /* These outlive a rebuild: */
    bool tried_by_itself; /* nobody asked, and it did not succeed yet */
    uint64_t looked_ms;   /* when it was last looked for the file */
    json_t *result;       /* of the last one that succeeded, or NULL */
};

struct projection {
    const struct view *view;
    const struct env *env;
    const struct projection_config *config;
    struct view_files files;
    size_t source_count;

    struct generation live; /* answers queries */
    struct generation next; /* of a rebuild */
    struct rebuild rebuild;

    struct store *log; /* read-only, opened when first asked for */
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;

    struct projection_counts {
        uint64_t commits, events, ignored, skipped, rollbacks, rebuilds;
        uint64_t pulls_answered, queries, waited, timeouts, garbage;
    } counts;
    char error[STORE_WHY_BYTES];

    /* Room to work in, so that a step needs no allocation. */
    struct new_rows *new_rows;
    uint8_t message[MESSAGE_MAX];
};

uint64_t projection_now(const struct projection *projection);

/* ---- generation.c ---- */

/* Takes @db over; its subscriptions begin where its positions are. */
MUST_CHECK enum evt_status generation_open(struct projection *projection,
                                           struct generation *generation,
                                           struct view_db *db,
                                           uint64_t first_link);
void generation_close(struct generation *generation);
/* Lifts all limits; what they held back is pulled. */
void generation_unlimit(struct generation *generation);
/* Whether subscription @i may consume now: then it may ask, too. */
bool generation_may_consume(const struct projection *projection,
                            const struct generation *generation, size_t i);
/* Opens the transaction with the first row; then nothing. */
MUST_CHECK enum evt_status generation_begin(struct generation *generation);
/* Rows and positions move together. */
MUST_CHECK enum evt_status generation_commit(struct projection *projection,
                                             struct generation *generation);
/* The transaction failed with @rc: rows and positions are what they were.  A
 * full disk or a lock passes (EVT_OK), and the view answers from what it has
 * meanwhile; anything else is EVT_IO. */
MUST_CHECK enum evt_status generation_give_up(struct projection *projection,
                                              struct generation *generation,
                                              enum evt_status rc);
/* Commits what the inputs of a step came to, or gives it up. */
MUST_CHECK enum evt_status generation_finish(struct projection *projection,
                                             struct generation *generation);
/* When it wants to pull or to try again, in mono_ms; UINT64_MAX: never. */
uint64_t generation_wake_ms(const struct projection *projection,
                            const struct generation *generation);

/* ---- queries.c: everything that is asked ---- */

/* Answers it, now or later.  The request's bytes are borrowed. */
void queries_take(struct projection *projection, const struct input *input);
/* An event of @order_id was folded: queries that wait for its end look again.
 */
void queries_touch(struct projection *projection, const char *order_id);
/* Answers those waiting queries that have waited long enough, or too long. */
void queries_reconsider(struct projection *projection);
/* Sends @answer and releases it. */
void queries_answer(struct projection *projection, uint64_t token,
                    json_t *answer);
/* "order has diverged: ...", "storage full", ..., or "". */
void queries_trouble(struct projection *projection, char text[STORE_WHY_BYTES]);

/* ---- rebuild.c ---- */

void rebuild_ask(struct projection *projection, uint64_t token,
                 const json_t *request);
void rebuild_step(struct projection *projection);
void rebuild_abandon(struct projection *projection, int code, const char *why);
/* When it wants to be stepped again, in mono_ms. */
uint64_t rebuild_wake_ms(const struct projection *projection);

#endif
