/* pull_answer.c - a publisher's answer to a reader that asks for more. */
#include "read/pull_answer.h"

#include <string.h>

/* What @pull's cursor is to this log. */
static enum evt_status judge(struct store *store, const struct pull *pull,
                             uint64_t head, enum verdict *verdict)
{
    static const uint8_t none[LOG_ID_BYTES];
    const struct position *at = &pull->cursor.at;
    uint8_t hash[HASH_BYTES];
    enum evt_status rc;

    *verdict = PULL_OTHER_LOG;
    if (strcmp(pull->source, store_service(store)) != 0)
        return EVT_OK;
    *verdict = PULL_OK;
    if (at->seq == 0 && memcmp(at->log_id, none, LOG_ID_BYTES) == 0)
        return EVT_OK;
    if (memcmp(at->log_id, store_log_id(store), LOG_ID_BYTES) != 0) {
        *verdict = at->seq == 0 ? PULL_OK : PULL_OTHER_LOG;
        return EVT_OK;
    }
    if (at->seq > head) {
        *verdict = PULL_AHEAD;
        return EVT_OK;
    }
    rc = store_hash_at(store, at->seq, hash);
    if (rc == EVT_OK && memcmp(hash, pull->cursor.hash, HASH_BYTES) != 0)
        *verdict = PULL_FORKED;
    return rc;
}

/* How far this service has itself consumed other logs, whichever they are: one
 * of them may be the reader's, restored from a backup. */
static enum evt_status own_cursors(struct store *store,
                                   struct pull_reply *reply)
{
    char source[SERVICE_BYTES] = "";
    struct cursor cursor;
    enum evt_status rc = EVT_OK;

    while (reply->cursor_count < CURSORS_MAX &&
           (rc = store_next_cursor(store, source, &cursor)) == EVT_OK) {
        size_t n = reply->cursor_count;

        if (!text_is_id(source, SERVICE_BYTES))
            continue; /* of an edited file: nobody could read the reply */
        reply->cursor_count++;
        text_copy(reply->cursors[n].source, SERVICE_BYTES, source);
        reply->cursors[n].cursor = cursor;
    }
    return rc == EVT_NONE ? EVT_OK : rc;
}

static enum evt_status rows_after(struct store *store, uint64_t after,
                                  struct frame_writer *frame)
{
    uint8_t hash[HASH_BYTES];
    struct row row;
    enum evt_status rc = store_hash_at(store, after, hash);

    if (rc != EVT_OK)
        return rc;
    frame_begin(frame, store_service(store), store_log_id(store), after, hash);
    rc = store_scan(store, NULL, after, after + ROWS_MAX);
    while (rc == EVT_OK && (rc = store_next(store, &row, hash)) == EVT_OK)
        if (!frame_add(frame, &row, hash))
            break;
    store_scan_end(store);
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status pull_answer(struct store *store, const struct pull *pull,
                            uint8_t message[MESSAGE_MAX], size_t *bytes)
{
    static _Thread_local struct frame_writer writer;
    static _Thread_local uint8_t frame[MESSAGE_MAX];
    struct pull_reply reply = {.nonce = pull->nonce};
    enum evt_status rc = store_snapshot_begin(store);

    if (rc == EVT_OK)
        rc = store_head(store, &reply.head_seq, reply.head_hash);
    if (rc == EVT_OK)
        rc = judge(store, pull, reply.head_seq, &reply.verdict);
    if (rc == EVT_OK)
        rc = own_cursors(store, &reply);
    if (rc == EVT_OK && reply.verdict == PULL_OK) {
        rc = rows_after(store, pull->cursor.at.seq, &writer);
        reply.frame = frame;
        reply.frame_bytes = rc == EVT_OK ? frame_finish(&writer, frame) : 0;
    }
    store_snapshot_end(store);
    if (rc == EVT_OK)
        *bytes = pull_reply_write(&reply, message);
    return rc;
}
