/* frame.h - a frame: consecutive events of one log, as published and pulled.
 * An empty one is a heartbeat.
 *
 * docs/protocol.md shows it.  Reading takes bytes of a stranger: it returns
 * false if they are malformed; the output is then unspecified. */
#ifndef FRAME_H
#define FRAME_H

#include "core/codec.h"

enum {
    ROWS_MAX = 512,     /* rows in one frame */
    FRAME_BYTES = 49152 /* of its rows; leaves room for the head of a pull reply
                           within MESSAGE_MAX */
};

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

#endif
