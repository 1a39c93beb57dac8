/* stage.h - one service on a stage: whatever an input says arrives, all that
 * it sends is looked at.
 *
 * An input is a list of acts.  Some are a stranger's bytes as they are; others
 * are what an honest peer would send - frames and pull replies made from the
 * golden logs, with the nonce that was asked for - with a few bytes changed, so
 * that the search need not invent hashes.  A clock that only the stage moves
 * makes it all repeatable. */
#ifndef STAGE_H
#define STAGE_H

#include "base/env.h"
#include "fuzz.h"
#include "log/store.h"

enum { STAGE_ACTS_MAX = 24, STAGE_LINKS_MAX = 8, STAGE_TOKENS = 64 };

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

struct stage {
    struct env env;
    uint64_t now_ms, random;
    /* The publishers by link, and their logs, read-only. */
    const char *publishers[STAGE_LINKS_MAX];
    struct store *logs[STAGE_LINKS_MAX];
    size_t link_count;
    /* What the service sent. */
    uint8_t pulls[STAGE_LINKS_MAX][256];
    size_t pull_bytes[STAGE_LINKS_MAX]; /* 0: none since the last answer */
    unsigned asked, answered;           /* requests, by token */
    bool is_answered[STAGE_TOKENS];
};

/* @publishers ends with NULL; @links times round (a reader has two links to
 * each).  The logs are golden. */
void stage_open(struct stage *stage, const char *const *publishers,
                size_t rounds);
/* As when it was opened: clock, random numbers, nothing sent. */
void stage_reset(struct stage *stage);

/* Takes the next act from @taker and makes it an input, or moves the clock.
 * False: there was no more, or nothing comes of it.  The input's bytes are
 * from malloc, exactly as many as there are; the caller frees them. */
bool stage_act(struct stage *stage, struct taker *taker, struct input *input);

/* The honest answer to the last pull on @link.  False: there was none. */
bool stage_answer(struct stage *stage, unsigned link, struct input *input);

#endif
