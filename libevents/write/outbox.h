/* outbox.h - appended events wait here for their commit, and are published
 * then. */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "stream/frame.h"

struct shell;

struct outbox {
    struct frame_writer *frames; /* what the open batch has appended */
    size_t count, size;
    struct frame_writer *heartbeat;
    uint64_t heartbeat_ms; /* when the next one is due, in mono_ms */
};

void outbox_open(struct outbox *outbox);
void outbox_close(struct outbox *outbox);

/* Keeps an event, just appended in the open transaction. */
void outbox_keep(struct shell *shell, const struct row *row,
                 const uint8_t hash[HASH_BYTES]);

/* The transaction was rolled back: what was kept has never happened. */
void outbox_forget(struct outbox *outbox);

/* The transaction was committed: publishes what was kept, strictly by seq. */
void outbox_publish(struct shell *shell);

/* Says how far the log goes, twice a second. */
void outbox_heartbeat(struct shell *shell);

#endif
