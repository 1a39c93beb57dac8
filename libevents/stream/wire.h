/* wire.h - what the processes say to each other: frames, pulls, commands.
 *
 * All are msgpack arrays that begin with a letter and a version; docs/
 * protocol.md shows them.  Every decoder takes bytes of a stranger: it checks
 * them with codec_check_bytes, then types, counts and lengths, and says false
 * without touching its output's meaning when anything is off.  A message
 * whose first byte is '{' is JSON instead: queries and controls. */
#ifndef WIRE_H
#define WIRE_H

#include "core/codec.h"
#include "log/store.h"

enum {
    ROWS_MAX = 512,      /* rows in one frame */
    FRAME_BYTES = 49152, /* rows of one frame; leaves room for a reply's
                            head within MESSAGE_MAX */
    COMMANDS_PER_REQUEST = 64,
    CURSORS_MAX = 8
};

/* ---- frames: consecutive events of one log; an empty one is a heartbeat ----
 */

struct frame {
    char source[SERVICE_BYTES];
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t first_seq; /* of rows[0]; a heartbeat: the head + 1 */
    uint8_t
        last_hash[HASH_BYTES]; /* of the last row; a heartbeat: the head's */
    size_t count;
    struct row rows[ROWS_MAX]; /* data borrowed from the message */
};

/* Builds a frame row by row. */
struct frame_writer {
    char source[SERVICE_BYTES];
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t first_seq;
    uint8_t last_hash[HASH_BYTES];
    size_t count, bytes;
    uint8_t rows[FRAME_BYTES];
};

/* An empty frame after @head_seq, whose hash is @head_hash. */
void frame_begin(struct frame_writer *frame, const char *source,
                 const uint8_t log_id[LOG_ID_BYTES], uint64_t head_seq,
                 const uint8_t head_hash[HASH_BYTES]);
/* False when the frame is full: finish it, begin another, add again. */
MUST_CHECK bool frame_add(struct frame_writer *frame, const struct row *row,
                          const uint8_t hash[HASH_BYTES]);
/* Writes the frame as a message; returns its bytes. */
size_t frame_finish(const struct frame_writer *frame,
                    uint8_t message[MESSAGE_MAX]);
/* Also checks that rows are consecutive from first_seq. */
MUST_CHECK bool frame_read(const void *bytes, size_t count,
                           struct frame *frame);

/* One row alone, as parked events keep it. */
size_t frame_row_write(const struct row *row, uint8_t *bytes, size_t size);
MUST_CHECK bool frame_row_read(const void *bytes, size_t count,
                               struct row *row);

/* ---- pulls
 * ------------------------------------------------------------------- */

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
    size_t cursor_count; /* the publisher's own inbox, so that whoever asks
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

/* Answers @pull from @store's log, at one instant of it, with at most one
 * frame of rows.  @store may be read-only; @bytes gets the reply's length. */
MUST_CHECK enum evt_status pull_answer(struct store *store,
                                       const struct pull *pull,
                                       uint8_t message[MESSAGE_MAX],
                                       size_t *bytes);

/* ---- commands
 * ------------------------------------------------------------------ */

struct command {
    enum message_type type;
    char command_id[ID_BYTES]; /* chosen by the client; PlaceOrder: order id */
    char order_id[ID_BYTES];   /* "" for stock, product and funds */
    struct payload data;
};

/* What became of a command. */
enum answer_code {
    ANSWER_DONE,    /* recorded, now or when it was first sent */
    ANSWER_REFUSED, /* by the domain: reason and field; nothing recorded */
    ANSWER_BAD,     /* malformed: reason and field; nothing recorded */
    ANSWER_BUSY,    /* overload or a locked database; nothing recorded */
    ANSWER_FULL,    /* storage full; nothing recorded */
    ANSWER_BEHIND,  /* this log has lost its tail; nothing recorded */
    ANSWER_CODES
};
struct answer {
    enum answer_code code;
    struct position at; /* DONE: where the log holds its first event, or the
                           head when there was nothing to do */
    char reason[128];
    char field[32];
};

size_t request_write(const struct command commands[], size_t count,
                     uint8_t message[MESSAGE_MAX]);
/* False: not a request at all.  A single command that is malformed does not
 * spoil the others: its answers[i] is set to ANSWER_BAD with the reason (and
 * commands[i].type to NO_MESSAGE), all others' code to ANSWER_DONE. */
MUST_CHECK bool request_read(const void *bytes, size_t count,
                             struct command commands[COMMANDS_PER_REQUEST],
                             struct answer answers[COMMANDS_PER_REQUEST],
                             size_t *command_count);
size_t request_answers_write(const struct answer answers[], size_t count,
                             uint8_t message[MESSAGE_MAX]);
MUST_CHECK bool
request_answers_read(const void *bytes, size_t count,
                     struct answer answers[COMMANDS_PER_REQUEST],
                     size_t *answer_count);

#endif
