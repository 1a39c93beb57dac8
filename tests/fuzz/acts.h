/* acts.h - does to one service of a cluster what an input says, and looks at
 * all that the service sends.
 *
 * An input is a list of acts.  Some are a stranger's bytes as they are; others
 * are what an honest peer would send - frames and pull replies made from the
 * golden logs, with the nonce that was asked for - with a few bytes changed, so
 * that the search need not invent hashes. */
#ifndef ACTS_H
#define ACTS_H

#include "../cluster.h"
#include "fuzz.h"

enum { ACTS_MAX = 24, ACTS_LINKS_MAX = 8, ACTS_TOKENS = 64 };

enum act {
    ACT_REQUEST,    /* bytes */
    ACT_FRAME,      /* publisher, bytes */
    ACT_REPLY,      /* publisher, bytes */
    ACT_CONNECTED,  /* publisher */
    ACT_TRUE_FRAME, /* publisher, first seq, edits */
    ACT_TRUE_REPLY, /* publisher, edits: to its last pull */
    ACT_TIME,       /* quarters of a second */
    ACTS
};

struct acts {
    struct cluster *cluster; /* NULL: not opened yet */
    struct cluster_node *node;
    /* The publishers' logs by link, read-only. */
    struct store *logs[ACTS_LINKS_MAX];
    unsigned link_count;
    /* What the service sent. */
    uint8_t pulls[ACTS_LINKS_MAX][256];
    size_t pull_bytes[ACTS_LINKS_MAX]; /* 0: none since the last answer */
    unsigned asked, answered;          /* requests, by token */
    bool is_answered[ACTS_TOKENS];
};

/* Makes the golden logs, once: DIR/golden/<service>/log.db.  Borrowed: DIR. */
const char *acts_golden(void);

/* The write side of @service, or its read side (which has two links to each
 * publisher), is about to run in @directory.  The publishers' logs are golden.
 */
void acts_open(struct acts *acts, const char *directory, unsigned service,
               bool read_side);
/* As when it was opened: clock, random numbers, nothing sent. */
void acts_reset(struct acts *acts);

/* Takes all acts of @taker, with a step wherever it says so and at the end.
 * Returns whether all inputs were requests. */
bool acts_play(struct acts *acts, struct taker *taker);
/* One step of the service with what is queued. */
void acts_step(struct acts *acts);

/* Queues the honest answer to the last pull on @link.  False: there was none.
 */
bool acts_answer(struct acts *acts, unsigned link);

#endif
