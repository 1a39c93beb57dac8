/* outbox.c - the transactional outbox, with the log itself as the outbox.
 *
 * The pattern (Chris Richardson, microservices.io/patterns/data/
 * transactional-outbox.html): a message is stored in the service's own
 * database by the transaction that changes its data, and is sent from there
 * after the commit, so that neither can happen without the other.  Here the
 * event is both at once, the change and the message, and no second table is
 * needed.  To publish is a hint that saves its readers time: what a crash
 * leaves unpublished, a heartbeat makes known, and the readers pull it from
 * the log (stream/subscription.h). */
#include "write/outbox.h"

#include "base/fault.h"
#include "write/shell_internal.h"

#include <assert.h>
#include <stdlib.h>

void outbox_open(struct outbox *outbox)
{
    outbox->heartbeat = malloc(sizeof *outbox->heartbeat);
    if (outbox->heartbeat == NULL)
        abort();
}

void outbox_close(struct outbox *outbox)
{
    free(outbox->frames);
    free(outbox->heartbeat);
}

/* One frame more; borrowed until the next one. */
static struct frame_writer *add_frame(struct outbox *outbox)
{
    if (outbox->count == outbox->size) {
        size_t size = outbox->size * 2 + 4;
        void *grown = realloc(outbox->frames, size * sizeof *outbox->frames);

        if (grown == NULL)
            abort(); /* nothing is committed yet: a restart goes on */
        outbox->frames = grown;
        outbox->size = size;
    }
    return &outbox->frames[outbox->count++];
}

void outbox_keep(struct shell *shell, const struct row *row,
                 const uint8_t hash[HASH_BYTES])
{
    struct outbox *outbox = &shell->outbox;
    struct frame_writer *frame = NULL;
    bool fits;

    if (outbox->count > 0)
        frame = &outbox->frames[outbox->count - 1];
    if (frame != NULL && frame_add(frame, row, hash))
        return;
    frame = add_frame(outbox);
    frame_begin(frame, shell->service->name, store_log_id(shell->store),
                row->seq - 1, hash);
    fits = frame_add(frame, row, hash);
    assert(fits); /* one event always does */
}

void outbox_forget(struct outbox *outbox)
{
    outbox->count = 0;
}

static void publish(struct shell *shell, struct frame_writer *frame)
{
    size_t bytes = frame_finish(frame, shell->message);

    shell->env->send(shell->env->ctx, TO_SUBSCRIBERS, 0, shell->message, bytes);
}

void outbox_publish(struct shell *shell)
{
    for (size_t i = 0; i < shell->outbox.count; i++) {
        fault_crash("crash/before-publish");
        publish(shell, &shell->outbox.frames[i]);
        fault_crash("crash/after-publish");
    }
    shell->outbox.count = 0;
}

void outbox_heartbeat(struct shell *shell)
{
    struct outbox *outbox = &shell->outbox;
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;

    if (shell_now(shell) < outbox->heartbeat_ms)
        return;
    if (store_head(shell->store, &head, hash) != EVT_OK)
        return;
    outbox->heartbeat_ms = shell_now(shell) + HEARTBEAT_MS;
    frame_begin(outbox->heartbeat, shell->service->name,
                store_log_id(shell->store), head, hash);
    publish(shell, outbox->heartbeat);
}
