/* commands.c - from a request to its answers: known already, refused, or done.
 *
 * The inbox for commands is the log itself (the pattern is in inbox.c): an
 * event carries the id of the command that it comes from, under a unique
 * index, and a command whose id the log knows is answered from there as it was
 * the first time.  Answers wait until the commit has made them true. */
#include "write/commands.h"

#include "write/shell_internal.h"

#include <stdio.h>
#include <string.h>

static void set_answer(struct answer *to, enum answer_code code,
                       const char *reason, const char *field)
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
    const struct domain *domain = shell->service->domain;
    const char *why = "", *field = NULL;
    struct event event;

    if (codec_from_row(domain, shell->service->name, store_log_id(shell->store),
                       first, &event, &why, &field) != EVT_OK) {
        snprintf(shell->error, sizeof shell->error,
                 "own event %llu cannot be read",
                 (unsigned long long)first->seq);
        return EVT_IO;
    }
    if (event_type_in(event.type,
                      service_rule(shell->service, command->type)->may_emit,
                      MAY_EMIT_MAX) &&
        strcmp(event.order_id, command->order_id) == 0 &&
        codec_agrees(domain_message(domain, command->type), command->data,
                     domain_message(domain, event.type), event.data))
        return answer_done(shell, first->seq, to);
    set_answer(to, ANSWER_REFUSED, "this id was used for something else", "id");
    return EVT_OK;
}

/* What is wrong with the envelope of a command, or NULL. */
static const char *envelope_problem(const struct shell *shell,
                                    const struct command *command)
{
    const struct rule *rule = service_rule(shell->service, command->type);
    const struct message *message =
        domain_message(shell->service->domain, command->type);

    if (rule == NULL || !message->is_command)
        return "not a command of this service";
    for (size_t i = 0; i < shell->service->timer_count; i++)
        if (shell->service->timers[i].send == command->type)
            return "only a timer may send this";
    if (message->saga == OPENS_SAGA &&
        strcmp(command->order_id, command->command_id) != 0)
        return "the order id must equal the command id";
    if ((message->saga != NO_SAGA) != (command->order_id[0] != '\0'))
        return "the order id is missing, or not allowed";
    return NULL;
}

/* Whether a command by @rule would begin one more saga than can be followed.
 * A service takes commands faster than all three see them through; without a
 * bound the sagas of an overload would wait in the logs until their deadlines
 * undid them, one after the other.  Counted once a batch, so that a batch may
 * exceed it. */
static enum evt_status over_saga_limit(struct shell *shell,
                                       const struct rule *rule, bool *over)
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
    *over = begins && shell->open >= OPEN_MAX;
    return rc;
}

/* Admits a new command, unless it would begin one saga too many. */
static enum evt_status admit_below_limit(struct shell *shell,
                                         const struct command *command,
                                         struct answer *to, bool *admitted)
{
    const struct rule *rule = service_rule(shell->service, command->type);
    bool over = false;
    enum evt_status rc = over_saga_limit(shell, rule, &over);

    *admitted = rc == EVT_OK && !over;
    if (over) {
        set_answer(to, ANSWER_BUSY, "too many orders are open, try again",
                   NULL);
        shell->counts.answered_busy++;
    }
    return rc;
}

/* Whether an event was committed, and not only appended in this batch. */
static bool is_committed(struct shell *shell, uint64_t seq)
{
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;

    return store_head(shell->store, &head, hash) == EVT_OK &&
           seq + shell->appended <= head;
}

/* Answers a command that the log knows.  EVT_NONE: it knows none of that id. */
static enum evt_status answer_known(struct shell *shell,
                                    const struct command *command,
                                    struct answer *to)
{
    struct row first;
    enum evt_status rc =
        store_find_command(shell->store, command->command_id, &first);

    if (rc != EVT_OK)
        return rc;
    shell->stands[to - shell->answers] = is_committed(shell, first.seq);
    return answer_again(shell, command, &first, to);
}

/* Whether @command may be decided: then *@admitted; else *@to is its answer. */
static enum evt_status admit(struct shell *shell, const struct command *command,
                             struct answer *to, bool *admitted)
{
    const char *problem = envelope_problem(shell, command);
    enum shell_mode mode = modes_for_decisions(shell);
    enum evt_status rc;

    *admitted = false;
    if (problem != NULL) {
        set_answer(to, ANSWER_BAD, problem, "id");
        return EVT_OK;
    }
    if (mode != SHELL_RUNNING) {
        set_answer(to, modes[mode].code, modes[mode].reason, NULL);
        return EVT_OK;
    }
    rc = shell_begin(shell);
    if (rc == EVT_OK)
        rc = answer_known(shell, command, to);
    return rc == EVT_NONE ? admit_below_limit(shell, command, to, admitted)
                          : rc;
}

/* Decides on a command that was admitted. */
static enum evt_status decide_command(struct shell *shell,
                                      const struct command *command,
                                      struct answer *to)
{
    struct event cause = {
        .type = command->type,
        .time_ms = shell->env->wall_ms(shell->env->ctx),
    };
    struct cause because = {0};
    struct decision decision;
    enum evt_status rc;

    memcpy(cause.data, command->data, shell->service->domain->payload_bytes);
    text_copy(cause.order_id, sizeof cause.order_id, command->order_id);
    text_copy(because.command_id, sizeof because.command_id,
              command->command_id);
    rc = shell_decide(shell, service_rule(shell->service, command->type),
                      &cause, &because, &decision);
    if (rc != EVT_OK)
        return rc;
    if (decision.refusal != NULL) {
        set_answer(to, ANSWER_REFUSED, decision.refusal, decision.field);
        shell->counts.refused++;
        return EVT_OK;
    }
    return answer_done(shell, decision.emitted ? decision.event.at.seq : 0, to);
}

/* ---- requests ---- */

/* Reads a request into the batch; NULL: the bytes are no request, and were
 * answered so. */
static const struct pending *receive(struct shell *shell,
                                     const struct input *input)
{
    struct pending *pending = &shell->pending[shell->pending_count];
    size_t first = shell->answer_count, count = 0;

    if (!request_read(shell->service->domain, input->bytes, input->count,
                      shell->commands, shell->answers + first, &count)) {
        router_not_a_request(shell, input->from);
        return NULL;
    }
    memset(shell->stands + first, 0, count * sizeof shell->stands[0]);
    *pending = (struct pending){input->from, first, count};
    shell->answer_count += count;
    shell->pending_count++;
    return pending;
}

enum evt_status commands_handle(struct shell *shell, const struct input *input)
{
    const struct pending *pending = receive(shell, input);
    enum evt_status rc = EVT_OK;
    bool admitted;

    if (pending == NULL)
        return EVT_OK;
    shell->counts.commands += pending->count;
    for (size_t i = 0; i < pending->count && rc == EVT_OK; i++) {
        const struct command *command = &shell->commands[i];
        struct answer *to = &shell->answers[pending->first + i];

        if (to->code != ANSWER_DONE) /* it could not be read */
            continue;
        rc = admit(shell, command, to, &admitted);
        if (rc == EVT_OK && admitted)
            rc = decide_command(shell, command, to);
    }
    return rc;
}

void commands_turn_away(struct shell *shell, const struct input *input)
{
    if (receive(shell, input) != NULL)
        commands_answer(shell, shell->mode);
}

/* Answers what could not be recorded now with what @mode says.  It must not say
 * "nothing recorded" of a command that was recorded earlier, so those of the
 * last request, which are still in shell->commands, are looked up: not all of
 * them were when the batch failed.  Those of earlier requests were. */
static void answer_in(struct shell *shell, const struct pending *pending,
                      enum shell_mode mode)
{
    bool last = pending + 1 == shell->pending + shell->pending_count;
    bool look = last && mode != SHELL_BEHIND;

    for (size_t i = 0; i < pending->count; i++) {
        struct answer *to = &shell->answers[pending->first + i];
        const struct command *command = &shell->commands[i];
        enum evt_status rc = EVT_NONE;

        if (to->code == ANSWER_BAD || shell->stands[pending->first + i])
            continue;
        if (look && envelope_problem(shell, command) == NULL)
            rc = answer_known(shell, command, to);
        if (rc == EVT_NONE)
            set_answer(to, modes[mode].code, modes[mode].reason, NULL);
        else if (rc != EVT_OK) /* nobody knows whether it is recorded */
            set_answer(to, ANSWER_BUSY, modes[SHELL_LOCKED].reason, NULL);
        look = look && (rc == EVT_OK || rc == EVT_NONE);
    }
    if (last)
        store_rollback(shell->store); /* ends the reading */
}

void commands_answer(struct shell *shell, enum shell_mode mode)
{
    for (size_t i = 0; i < shell->pending_count; i++) {
        const struct pending *pending = &shell->pending[i];
        struct answer *answers = shell->answers + pending->first;
        size_t bytes;

        if (mode != SHELL_RUNNING)
            answer_in(shell, pending, mode);
        bytes = request_answers_write(answers, pending->count, shell->message);
        shell->env->send(shell->env->ctx, TO_CLIENT, pending->token,
                         shell->message, bytes);
    }
    shell->pending_count = shell->answer_count = 0;
}
