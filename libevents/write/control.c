/* control.c - what operators tell the write side: redrive and accept.
 *
 * JSON requests on the command socket; docs/protocol.md lists them, and
 * router.c parses and answers them.  Each runs in transactions of its own,
 * between the batches of shell.c. */
#include "write/control.h"

#include "write/inbox.h"
#include "write/shell_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- redrive: parked events, handled now as the late events they are ---- */

/* Decides on a parked event.  *result says in a word what came of it; *done
 * whether it need not be parked any more. */
static enum evt_status redrive_one(struct shell *shell,
                                   const struct parked *parked,
                                   const char **result, bool *done)
{
    const char *why = "", *field = NULL;
    struct decision decision;
    struct cause because;
    const struct rule *rule;
    struct event event;
    struct row row;
    enum evt_status rc;

    *done = false;
    *result = "still unreadable";
    if (!frame_row_read(parked->raw, parked->raw_bytes, &row))
        return EVT_OK;
    rc = codec_from_row(shell->service->domain, parked->source,
                        parked->at.log_id, &row, &event, &why, &field);
    if (rc != EVT_OK) {
        *result = rc == EVT_NEWER ? "newer than this program" : why;
        return EVT_OK;
    }
    *done = true;
    *result = "nothing left to do";
    rule = inbox_rule_for(shell, &row);
    if (rule == NULL)
        return EVT_OK;
    inbox_cause_of(&event, &because);
    rc = shell_decide(shell, rule, &event, &because, &decision);
    if (rc == EVT_OK && decision.emitted)
        *result = domain_type_name(shell->service->domain, decision.event.type);
    return rc;
}

/* Decides and deletes the row in one transaction. */
static enum evt_status redrive_and_commit(struct shell *shell,
                                          const struct parked *parked,
                                          const char **result, bool *done)
{
    enum evt_status rc = shell_begin(shell);

    if (rc == EVT_OK)
        rc = redrive_one(shell, parked, result, done);
    if (rc == EVT_OK && *done)
        rc = store_unpark(shell->store, parked);
    if (rc == EVT_OK)
        rc = shell_commit(shell);
    if (rc != EVT_OK)
        shell_undo(shell);
    else
        outbox_publish(shell);
    return rc;
}

static bool wanted(const struct parked *parked, const char *source,
                   json_int_t seq)
{
    return (source == NULL || strcmp(parked->source, source) == 0) &&
           (seq == 0 || parked->at.seq == (uint64_t)seq);
}

static enum evt_status redrive(void *ctx, const json_t *request, json_t **reply)
{
    struct shell *shell = ctx;
    enum shell_mode mode = modes_for_decisions(shell);
    const char *source = json_string_value(json_object_get(request, "source"));
    json_int_t seq = json_integer_value(json_object_get(request, "seq"));
    struct parked *parked = &shell->parked;
    json_t *events;
    json_int_t redriven = 0;
    uint64_t left = 0;
    enum shell_mode stopped;
    enum evt_status rc;

    if (mode != SHELL_RUNNING) {
        *reply = modes_error(mode);
        return EVT_OK;
    }
    events = json_array();
    memset(parked, 0, sizeof *parked);
    while ((rc = store_next_parked(shell->store, parked)) == EVT_OK) {
        const char *result;
        bool done;

        if (!wanted(parked, source, seq))
            continue;
        rc = redrive_and_commit(shell, parked, &result, &done);
        if (rc != EVT_OK)
            break;
        redriven += done;
        json_array_append_new(
            events, json_pack("{s:s,s:I,s:s,s:s}", "source", parked->source,
                              "seq", (json_int_t)parked->at.seq, "order",
                              parked->order_id, "result", result));
    }
    stopped = modes_of_failure(rc);
    if (rc == EVT_NONE || (stopped != SHELL_RUNNING && redriven > 0))
        rc = store_parked_count(shell->store, &left);
    if (rc == EVT_OK)
        *reply = json_pack("{s:I,s:I,s:O}", "redriven", redriven, "left",
                           (json_int_t)left, "events", events);
    if (rc == EVT_OK && stopped != SHELL_RUNNING) /* what is done is done */
        json_object_set_new(*reply, "stopped",
                            json_string(modes[stopped].state));
    json_decref(events);
    return rc;
}

/* ---- accept: go on with a diverged publisher from what is there --------- */

/* Whether what was heard last is of another log than the one we consumed. */
static bool is_another_log(const struct subscription *sub)
{
    return memcmp(sub->heard_head.at.log_id, sub->cursor.at.log_id,
                  LOG_ID_BYTES) != 0;
}

/* Where consumption goes on.  Another log: from its beginning.  The same log,
 * shortened or forked: from its head, since what it has written under numbers
 * that we consumed before cannot be told from what we consumed. */
static void accepted_position(const struct subscription *sub,
                              struct cursor *cursor)
{
    *cursor = sub->heard_head;
    if (!is_another_log(sub))
        return;
    cursor->at.seq = 0;
    event_genesis(sub->source, cursor->at.log_id, cursor->hash);
}

static enum evt_status
accept_publisher(struct shell *shell, struct subscription *sub, json_t **reply)
{
    char log_id[2 * LOG_ID_BYTES + 1];
    uint64_t was = sub->cursor.at.seq;
    struct cursor cursor;
    enum evt_status rc;

    accepted_position(sub, &cursor);
    rc = shell_begin(shell);
    if (rc == EVT_OK)
        rc = store_set_cursor(shell->store, sub->source, &cursor);
    if (rc == EVT_OK) {
        sub->cursor = cursor;
        rc = shell_commit(shell);
    }
    if (rc != EVT_OK) {
        shell_undo(shell);
        return rc;
    }
    subscription_accept(sub, &cursor);
    logger_fact(
        LOG_WARN, NULL, NULL,
        "%s accepted at event %llu after consuming %llu of the old log: "
        "lost events are not recovered, `saga check` names the orders",
        sub->source, (unsigned long long)cursor.at.seq,
        (unsigned long long)was);
    *reply =
        json_pack("{s:b,s:s,s:s,s:I,s:I}", "done", 1, "source", sub->source,
                  "log", text_hex(cursor.at.log_id, LOG_ID_BYTES, log_id),
                  "seq", (json_int_t)cursor.at.seq, "was", (json_int_t)was);
    return EVT_OK;
}

/* Whether the publisher was asked for its log since @look was 0; then the
 * answer has said whether it has diverged.  Otherwise it is asked, and *look
 * becomes what to say the next time.  A reply that did not chain is no answer:
 * the next one is (subscription.c). */
static bool was_looked_at(struct subscription *sub, json_int_t *look)
{
    json_int_t next = (json_int_t)sub->counts.replies + 1;

    if (*look < 1 || *look > next) { /* never, or by an earlier process */
        subscription_look(sub);
        *look = next;
    }
    return *look < next && sub->state != SUB_SUSPECT;
}

/* Why @source's log, whatever a stranger calls it, is not accepted. */
static json_t *accept_error(const struct shell *shell, int code,
                            const char *source, const char *why)
{
    char text[256];

    snprintf(text, sizeof text,
             "%s: %s's log %s ('./saga status' shows which logs it reads)",
             shell->service->name,
             text_is_id(source, SERVICE_BYTES) ? source : "nobody", why);
    return router_error(code, text);
}

static enum evt_status accept_source(void *ctx, const json_t *request,
                                     json_t **reply)
{
    struct shell *shell = ctx;
    const char *source = json_string_value(json_object_get(request, "source"));
    json_int_t look = json_integer_value(json_object_get(request, "look"));

    for (size_t i = 0; source != NULL && i < shell->subscription_count; i++) {
        struct subscription *sub = &shell->subscriptions[i];

        if (strcmp(sub->source, source) != 0)
            continue;
        if (sub->state == SUB_DIVERGED &&
            (sub->verdict != PULL_OTHER_LOG || is_another_log(sub)))
            return accept_publisher(shell, sub, reply);
        if (sub->state != SUB_DIVERGED && was_looked_at(sub, &look)) {
            *reply = accept_error(shell, 1, source,
                                  "has not diverged, nothing to accept");
            return EVT_OK;
        }
        *reply = accept_error(shell, 75, source, "has not been heard from yet");
        json_object_set_new(*reply, "again", json_pack("{s:I}", "look", look));
        return EVT_OK;
    }
    *reply = source == NULL
                 ? router_error(64, "missing source")
                 : accept_error(shell, 64, source, "is not one that it reads");
    return EVT_OK;
}

const struct route control_routes[] = {
    {"do", "redrive", redrive},
    {"do", "accept", accept_source},
    {NULL, NULL, NULL},
};
