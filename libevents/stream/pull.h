/* pull.h - asking a publisher for what follows a cursor, and its reply.
 *
 * docs/protocol.md shows both.  Reading takes bytes of a stranger: it returns
 * false if they are malformed; the output is then unspecified.  What the
 * publisher makes of a pull is in read/pull_answer.h. */
#ifndef PULL_H
#define PULL_H

#include "core/codec.h"

enum { CURSORS_MAX = 8 }; /* logs that one service or view follows */

struct pull {
    uint64_t nonce;
    char reader[SERVICE_BYTES]; /* who asks, for logs and status only */
    char source[SERVICE_BYTES]; /* whose log is meant */
    struct cursor cursor;       /* all zeros: nothing consumed yet */
};

/* What a publisher finds when it compares a reader's cursor with its log. */
enum verdict {
    PULL_OK,
    PULL_OTHER_LOG, /* the cursor is on another log than mine */
    PULL_AHEAD,     /* the cursor is beyond my head: I lost my tail */
    PULL_FORKED,    /* my event of that seq has another hash */
    VERDICTS
};

struct pull_reply {
    uint64_t nonce;
    enum verdict verdict;
    uint64_t head_seq; /* of the publisher's log as it answered */
    uint8_t head_hash[HASH_BYTES];
    size_t cursor_count; /* the publisher's own inbox, so that the one who asks
                            learns how far it was itself consumed */
    struct {
        char source[SERVICE_BYTES];
        struct cursor cursor;
    } cursors[CURSORS_MAX];
    const uint8_t *frame; /* the rows after the cursor; borrowed */
    size_t frame_bytes;   /* 0 unless PULL_OK */
};

size_t pull_write(const struct pull *pull, uint8_t message[MESSAGE_MAX]);
MUST_CHECK bool pull_read(const void *bytes, size_t count, struct pull *pull);
size_t pull_reply_write(const struct pull_reply *reply,
                        uint8_t message[MESSAGE_MAX]);
MUST_CHECK bool pull_reply_read(const void *bytes, size_t count,
                                struct pull_reply *reply);

#endif
