/* inbox.c - what makes a service act: events of the others, and commands.
 *
 * Everything here runs inside the transaction of a batch (shell.c) and ends in
 * shell_decide, or in nothing: an event of a type that no rule names only
 * moves the cursor, one that cannot be understood is parked, a command whose
 * id the log knows is answered from the log.  Timers are in timers.c. */
#include "write/shell_internal.h"

#include "base/logger.h"

#include <stdio.h>
#include <string.h>

/* ---- causes: events of the others -------------------------------------------
 */

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

const struct rule *shell_rule_for_row(const struct shell *shell,
                                      const struct row *row)
{
    uint32_t newest = 0;
    const struct message *message =
        shop_message_named(row->type, row->version, &newest);

    if (message == NULL && newest > 0) /* known, but not in this version */
        message = shop_message_named(row->type, newest, NULL);
    if (message == NULL || message->is_command)
        return NULL;
    return service_rule(shell->service, message->type);
}

void shell_cause_of(const struct event *event, struct cause *cause)
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

    rc = codec_from_row(new_rows->frame.source, new_rows->frame.log_id, row,
                        &event, &why, &field);
    if (rc != EVT_OK)
        return park(shell, new_rows, row,
                    rc == EVT_NEWER ? "newer than this program" : why);
    shell_cause_of(&event, &because);
    rc = shell_decide(shell, rule, &event, &because, &decision);
    if (rc == EVT_OK && !decision.emitted)
        shell->counts.ignored++;
    return rc;
}

/* Handles one event of a publisher, whatever it is, and moves the cursor: in
 * the same transaction, so that neither happens without the other. */
static enum evt_status take_event(struct shell *shell, struct subscription *sub,
                                  const struct new_rows *new_rows, size_t i)
{
    const struct row *row = &new_rows->frame.rows[i];
    const struct rule *rule = shell_rule_for_row(shell, row);
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

/* Whether a reader's nonce-fresh reply says that it has consumed more of this
 * log than there is: then this log was restored from an old backup, and what
 * it records now takes the numbers of events that others know. */
void shell_look_behind(struct shell *shell)
{
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;
    bool behind = false;

    if (store_head(shell->store, &head, hash) != EVT_OK)
        return;
    for (size_t i = 0; i < shell->subscription_count; i++) {
        const struct subscription *sub = &shell->subscriptions[i];

        behind =
            behind || (sub->owes_me && sub->on_us.at.seq > head &&
                       memcmp(sub->on_us.at.log_id, store_log_id(shell->store),
                              LOG_ID_BYTES) == 0);
    }
    if (behind != shell->behind)
        logger_fact(behind ? LOG_ERROR : LOG_INFO, NULL, NULL,
                    behind
                        ? "others have consumed events that this log has lost: "
                          "nothing is recorded until they `saga accept` it"
                        : "no reader is ahead of this log any more");
    shell->behind = behind;
}

enum evt_status take_rows(struct shell *shell, const struct input *input)
{
    struct subscription *sub = &shell->subscriptions[input->from];
    struct new_rows *new_rows = shell->new_rows;
    uint64_t now = shell_now(shell);
    enum evt_status rc = EVT_OK;
    bool diverged = sub->diverged;

    if (input->kind == INPUT_FRAME)
        subscription_frame(sub, now, input->bytes, input->count, new_rows);
    else
        subscription_reply(sub, now, input->bytes, input->count, new_rows);
    shell_look_behind(shell); /* a reply tells, before its rows count */
    if (sub->diverged != diverged)
        logger_fact(sub->diverged ? LOG_ERROR : LOG_INFO, NULL, NULL, "%s: %s",
                    sub->source,
                    sub->diverged ? subscription_trouble(sub) : "agrees again");
    do
        for (size_t i = 0;
             i < new_rows->count && rc == EVT_OK && !shell->behind; i++)
            rc = take_event(shell, sub, new_rows, new_rows->first + i);
    while (rc == EVT_OK && !shell->behind &&
           subscription_held(sub, new_rows) > 0);
    return rc;
}

/* ---- causes: commands ---- */

void set_answer(struct answer *to, enum answer_code code, const char *reason,
                const char *field)
{
    memset(to, 0, sizeof *to);
    to->code = code;
    snprintf(to->reason, sizeof to->reason, "%s", reason);
    snprintf(to->field, sizeof to->field, "%s", field == NULL ? "" : field);
}

static enum evt_status answer_done(struct shell *shell, uint64_t seq,
                                   struct answer *done)
{
    uint8_t hash[HASH_BYTES];
    enum evt_status rc = EVT_OK;

    set_answer(done, ANSWER_DONE, "", NULL);
    memcpy(done->at.log_id, store_log_id(shell->store), LOG_ID_BYTES);
    done->at.seq = seq;
    if (seq == 0) /* there was nothing to do: it is true as of the head */
        rc = store_head(shell->store, &done->at.seq, hash);
    return rc;
}

/* A command whose id the log knows was sent again, by a client or by NNG
 * itself: it is answered as the first time, and never counts twice. */
static enum evt_status answer_again(struct shell *shell,
                                    const struct command *command,
                                    const struct row *first, struct answer *to)
{
    const char *why = "", *field = NULL;
    struct event event;

    if (codec_from_row(shell->service->name, store_log_id(shell->store), first,
                       &event, &why, &field) != EVT_OK) {
        snprintf(shell->error, sizeof shell->error,
                 "own event %llu cannot be read",
                 (unsigned long long)first->seq);
        return EVT_IO;
    }
    if (event_type_in(event.type,
                      service_rule(shell->service, command->type)->may_emit,
                      MAY_EMIT_MAX) &&
        strcmp(event.order_id, command->order_id) == 0 &&
        codec_agrees(shop_message(command->type), &command->data,
                     shop_message(event.type), &event.data))
        return answer_done(shell, first->seq, to);
    set_answer(to, ANSWER_REFUSED, "this id was used for something else", "id");
    return EVT_OK;
}

/* What is wrong with the envelope of a command, or NULL. */
static const char *envelope_problem(const struct shell *shell,
                                    const struct command *command)
{
    const struct rule *rule = service_rule(shell->service, command->type);

    if (rule == NULL || !shop_message(command->type)->is_command)
        return "not a command of this service";
    for (size_t i = 0; i < shell->service->timer_count; i++)
        if (shell->service->timers[i].send == command->type)
            return "only a timer may say so";
    if (command->type == PLACE_ORDER &&
        strcmp(command->order_id, command->command_id) != 0)
        return "an order's id is its command's id";
    if ((command->type == PLACE_ORDER || command->type == CANCEL_ORDER) !=
        (command->order_id[0] != '\0'))
        return "an order id is missing, or one too many";
    return NULL;
}

/* Until the publishers have said once how far they have read this log - or
 * half a second has passed, for they may be away - nobody knows whether it is
 * whole.  Commands wait for that, and so does a redrive. */
bool shell_starting(const struct shell *shell)
{
    bool met = true;

    for (size_t i = 0; i < shell->subscription_count; i++)
        met = met && shell->subscriptions[i].met;
    return !met && shell_now(shell) < shell->opened_mono_ms + STARTING_MS;
}

/* Whether a command by @rule would begin one more saga than can be followed.
 * A service takes commands faster than all three see them through; without a
 * bound the sagas of an overload would wait in the logs until their deadlines
 * undid them, one after the other.  Counted once a batch, so that a batch may
 * exceed it. */
static enum evt_status crowded(struct shell *shell, const struct rule *rule,
                               bool *full)
{
    enum evt_status rc = EVT_OK;
    bool begins = false;

    for (size_t i = 0; i < shell->service->timer_count; i++)
        begins = begins || event_type_in(shell->service->timers[i].from,
                                         rule->may_emit, MAY_EMIT_MAX);
    if (begins && shell->open_as_of != shell->counts.commits + 1) {
        rc = store_timer_count(shell->store, &shell->open);
        shell->open_as_of = shell->counts.commits + 1;
    }
    *full = begins && shell->open >= OPEN_MAX;
    return rc;
}

static enum evt_status take_command(struct shell *shell,
                                    const struct command *command,
                                    struct answer *to)
{
    const char *problem = envelope_problem(shell, command);
    const struct rule *rule = service_rule(shell->service, command->type);
    struct event cause = {.type = command->type, .data = command->data};
    struct cause because = {0};
    struct decision decision;
    struct row first;
    enum evt_status rc;
    bool full;

    if (problem != NULL) {
        set_answer(to, ANSWER_BAD, problem, "id");
        return EVT_OK;
    }
    if (shell_starting(shell) || shell->behind) {
        set_answer(to, shell->behind ? ANSWER_BEHIND : ANSWER_BUSY,
                   shell->behind ? "this log has lost events" : "starting",
                   NULL);
        return EVT_OK;
    }
    rc = shell_begin(shell);
    if (rc == EVT_OK)
        rc = store_find_command(shell->store, command->command_id, &first);
    if (rc != EVT_NONE)
        return rc == EVT_OK ? answer_again(shell, command, &first, to) : rc;
    rc = crowded(shell, rule, &full);
    if (rc != EVT_OK)
        return rc;
    if (full) {
        set_answer(to, ANSWER_BUSY, "too many orders are open, try again",
                   NULL);
        shell->counts.answered_busy++;
        return EVT_OK;
    }
    text_copy(cause.order_id, sizeof cause.order_id, command->order_id);
    cause.time_ms = shell->env->wall_ms(shell->env->ctx);
    text_copy(because.command_id, sizeof because.command_id,
              command->command_id);
    rc = shell_decide(shell, rule, &cause, &because, &decision);
    if (rc != EVT_OK)
        return rc;
    if (decision.refusal != NULL) {
        set_answer(to, ANSWER_REFUSED, decision.refusal, decision.field);
        shell->counts.refused++;
        return EVT_OK;
    }
    return answer_done(shell, decision.emitted ? decision.event.at.seq : 0, to);
}

/* Sends a request that is none back to where it came from. */
void answer_garbage(struct shell *shell, uint64_t token)
{
    static const char text[] = "{\"error\":\"not a request\",\"code\":65}";

    shell->counts.garbage++;
    shell->env->send(shell->env->ctx, TO_CLIENT, token, text, sizeof text - 1);
}

/* Takes the commands of one request; their answers wait for the commit. */
enum evt_status take_request(struct shell *shell, const struct input *input)
{
    struct pending *pending = &shell->pending[shell->pending_count];
    struct command *commands = shell->commands;
    size_t count = 0;
    enum evt_status rc = EVT_OK;

    pending->token = input->from;
    pending->first = shell->answer_count;
    pending->count = 0;
    if (!request_read(input->bytes, input->count, commands,
                      shell->answers + pending->first, &count)) {
        answer_garbage(shell, input->from);
        return EVT_OK;
    }
    pending->count = count;
    shell->answer_count += count;
    shell->pending_count++;
    shell->counts.commands += count;
    for (size_t i = 0; i < count && rc == EVT_OK; i++) {
        struct answer *to = &shell->answers[pending->first + i];

        if (to->code == ANSWER_DONE)
            rc = take_command(shell, &commands[i], to);
    }
    return rc;
}
