/* inbox.c - the inbox, with a cursor for each publisher as the inbox.
 *
 * The pattern (Chris Richardson, microservices.io/patterns/
 * communication-style/idempotent-consumer.html; Hohpe and Woolf call it the
 * idempotent receiver): what was consumed is recorded by the transaction that
 * records the effects, and what is recorded there is skipped.  Events of one
 * publisher come in the order of its log, so that one number, not the id of
 * every message, says what was seen: stream/subscription.h keeps it, and
 * shell_commit saves it.
 *
 * Each event ends in shell_decide, or in nothing: one of a type that no rule
 * names only moves the cursor, one that cannot be understood is parked, as
 * others put it into a dead letter queue.  Commands are in commands.c. */
#include "write/inbox.h"

#include "write/shell_internal.h"

#include <stdio.h>
#include <string.h>

/* Keeps an event that cannot be handled, raw, with its reason.  Everything
 * else goes on, its order too: a parked event is just a late one. */
static enum evt_status park(struct shell *shell,
                            const struct new_rows *new_rows,
                            const struct row *row, const char *reason)
{
    struct parked parked = {.at.seq = row->seq};
    char id[EVENT_ID_BYTES];

    text_copy(parked.source, sizeof parked.source, new_rows->frame.source);
    memcpy(parked.at.log_id, new_rows->frame.log_id, LOG_ID_BYTES);
    text_copy(parked.order_id, sizeof parked.order_id, row->order_id);
    snprintf(parked.reason, sizeof parked.reason, "%s version %u: %s",
             row->type, row->version, reason);
    parked.raw_bytes = frame_row_write(row, parked.raw, sizeof parked.raw);
    logger_fact(LOG_WARN, row->order_id,
                event_id(parked.source, &parked.at, id), "parked: %s",
                parked.reason);
    shell->counts.parked++;
    return store_park(shell->store, &parked);
}

const struct rule *inbox_rule_for(const struct shell *shell,
                                  const struct row *row)
{
    uint32_t newest = 0;
    const struct message *message = domain_message_named(
        shell->service->domain, row->type, row->version, &newest);

    if (message == NULL && newest > 0) /* known, but not in this version */
        message = domain_message_named(shell->service->domain, row->type,
                                       newest, NULL);
    if (message == NULL || message->is_command)
        return NULL;
    return service_rule(shell->service, message->type);
}

void inbox_cause_of(const struct event *event, struct cause *cause)
{
    memset(cause, 0, sizeof *cause);
    text_copy(cause->source, sizeof cause->source, event->source);
    cause->at = event->at;
}

/* Reacts to one event by @rule. */
static enum evt_status react(struct shell *shell, const struct rule *rule,
                             const struct new_rows *new_rows,
                             const struct row *row)
{
    const char *why = "", *field = NULL;
    struct decision decision;
    struct cause because;
    struct event event;
    enum evt_status rc;

    rc = codec_from_row(shell->service->domain, new_rows->frame.source,
                        new_rows->frame.log_id, row, &event, &why, &field);
    if (rc != EVT_OK)
        return park(shell, new_rows, row,
                    rc == EVT_NEWER ? "newer than this program" : why);
    inbox_cause_of(&event, &because);
    rc = shell_decide(shell, rule, &event, &because, &decision);
    if (rc == EVT_OK && !decision.emitted)
        shell->counts.ignored++;
    return rc;
}

/* Handles one event of a publisher, whatever it is, and moves the cursor: in
 * the same transaction, so that neither happens without the other. */
static enum evt_status handle_event(struct shell *shell,
                                    struct subscription *sub,
                                    const struct new_rows *new_rows, size_t i)
{
    const struct row *row = &new_rows->frame.rows[i];
    const struct rule *rule = inbox_rule_for(shell, row);
    enum evt_status rc = EVT_OK;

    if (rule != NULL) { /* any other type is somebody else's business */
        rc = shell_begin(shell);
        if (rc == EVT_OK)
            rc = react(shell, rule, new_rows, row);
    }
    if (rc == EVT_OK)
        subscription_advance(sub, new_rows, i);
    return rc;
}

/* Whether a reader has consumed another event of this log than the one that
 * has the number now. */
static bool knows_another(struct shell *shell, size_t i)
{
    const struct cursor *on_us = &shell->subscriptions[i].on_us;
    uint8_t hash[HASH_BYTES];

    if (memcmp(on_us, &shell->compared[i].cursor, sizeof *on_us) == 0)
        return shell->compared[i].differs;
    shell->compared[i].cursor = *on_us;
    shell->compared[i].differs =
        on_us->at.seq > 0 &&
        store_hash_at(shell->store, on_us->at.seq, hash) == EVT_OK &&
        memcmp(hash, on_us->hash, HASH_BYTES) != 0;
    return shell->compared[i].differs;
}

/* Whether a reader's nonce-fresh reply says that it has consumed more of this
 * log than there is, or another event than there is: then this log was restored
 * from an old backup, and what it records now takes the numbers of events that
 * others know, or is skipped by one who accepts it. */
void inbox_look_behind(struct shell *shell)
{
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;
    bool behind = false;

    if (store_head(shell->store, &head, hash) != EVT_OK)
        return;
    for (size_t i = 0; i < shell->subscription_count; i++) {
        const struct subscription *sub = &shell->subscriptions[i];

        behind =
            behind || (sub->owes_me &&
                       memcmp(sub->on_us.at.log_id, store_log_id(shell->store),
                              LOG_ID_BYTES) == 0 &&
                       (sub->on_us.at.seq > head || knows_another(shell, i)));
    }
    modes_set_behind(shell, behind);
}

/* Handles the new rows in order, until this log turns out to be behind. */
static enum evt_status handle_rows(struct shell *shell,
                                   struct subscription *sub)
{
    const struct new_rows *new_rows = shell->new_rows;
    enum evt_status rc = EVT_OK;

    for (size_t i = 0;
         i < new_rows->count && rc == EVT_OK && shell->mode != SHELL_BEHIND;
         i++)
        rc = handle_event(shell, sub, new_rows, new_rows->first + i);
    return rc;
}

/* Leaves what was lent of @from, and what it holds back, to a later pull: until
 * all were heard, a reader that has not spoken yet may know more of this log
 * than there is. */
static void postpone(struct shell *shell, uint64_t from)
{
    struct subscription *sub = &shell->subscriptions[from];

    if (sub->state != SUB_LIVE) /* it has nothing to give yet */
        return;
    if (shell->new_rows->count > 0 || sub->held != NULL || sub->pull_wanted)
        shell->postponed[from] = true;
    subscription_postpone(sub);
}

enum evt_status inbox_handle(struct shell *shell, const struct input *input)
{
    struct subscription *sub = &shell->subscriptions[input->from];
    struct new_rows *new_rows = shell->new_rows;
    uint64_t now = shell_now(shell);
    bool diverged = sub->state == SUB_DIVERGED;
    enum evt_status rc;

    if (input->kind == INPUT_FRAME)
        subscription_frame(sub, now, input->bytes, input->count, new_rows);
    else
        subscription_reply(sub, now, input->bytes, input->count, new_rows);
    inbox_look_behind(shell); /* a reply tells, before its rows count */
    if ((sub->state == SUB_DIVERGED) != diverged)
        logger_fact(diverged ? LOG_INFO : LOG_ERROR, NULL, NULL, "%s: %s",
                    sub->source,
                    diverged ? "agrees again" : subscription_trouble(sub));
    if (shell->awaiting) {
        postpone(shell, input->from);
        (void)modes_awaiting(shell); /* if this was the last: all are asked */
        return EVT_OK;
    }
    if (input->kind == INPUT_REPLY && sub->nonce == 0)
        shell->postponed[input->from] = false; /* here they are */
    rc = handle_rows(shell, sub);
    while (rc == EVT_OK && shell->mode != SHELL_BEHIND &&
           subscription_held(sub, new_rows) > 0)
        rc = handle_rows(shell, sub);
    return rc;
}

void inbox_turn_away(struct shell *shell, const struct input *input)
{
    struct subscription *sub = &shell->subscriptions[input->from];
    struct cursor cursor = sub->cursor;

    if (input->kind == INPUT_REPLY)
        subscription_reply(sub, shell_now(shell), input->bytes, input->count,
                           shell->new_rows);
    subscription_reset(sub, &cursor);
}
