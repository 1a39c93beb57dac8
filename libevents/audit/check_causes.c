/* check_causes.c - every event against the one that it answers (S2, S9, S10).
 *
 * Is the cause there, about the same saga, below the cursor, answered once,
 * and does a rule say that this may follow it?  Next: the invariants that a
 * domain adds. */
#include "audit/check_parts.h"

#include <inttypes.h>
#include <string.h>

enum { CAUSE_COMMAND = -1, CAUSE_UNKNOWN = -2 };

/* An event that is judged, with what it says of its cause. */
struct answer {
    uint64_t seq;
    unsigned type;
    const char *order_id, *subject;
    int cause_from;     /* number of the service, or one of the above */
    uint64_t cause_seq; /* in that service's log */
};

/* ---- causes: every event against the one that it answers ---------------- */

/* Whether a rule of @service lets @type follow a message of type @on. */
static bool rule_allows(const struct service *service, unsigned on,
                        unsigned type)
{
    const struct rule *rule = service_rule(service, on);

    return rule != NULL && event_type_in(type, rule->may_emit, MAY_EMIT_MAX);
}

/* A timer's command comes from its event, any other from a client. */
static const struct timer *timer_sending(const struct service *service,
                                         unsigned command)
{
    for (size_t i = 0; i < service->timer_count; i++) {
        if (service->timers[i].send == command)
            return &service->timers[i];
    }
    return NULL;
}

static bool command_allows(const struct checked_log *log, unsigned type)
{
    const struct service *service = log->service;

    for (size_t i = 0; i < service->rule_count; i++) {
        unsigned on = service->rules[i].on;

        if (check_message_of(log, on)->is_command &&
            timer_sending(service, on) == NULL &&
            rule_allows(service, on, type))
            return true;
    }
    return false;
}

static bool timer_allows(const struct service *service, unsigned from,
                         unsigned type)
{
    for (size_t i = 0; i < service->timer_count; i++) {
        if (service->timers[i].from == from &&
            rule_allows(service, service->timers[i].send, type))
            return true;
    }
    return false;
}

/* S9: declared in a rule table. */
static void check_declared(struct check *check, const struct checked_log *log,
                           const struct answer *answer, unsigned cause)
{
    unsigned type = answer->type;
    bool allowed;

    if (answer->cause_from == CAUSE_COMMAND)
        allowed = command_allows(log, type);
    else if (answer->cause_from == (int)log->number)
        allowed = timer_allows(log->service, cause, type);
    else
        allowed = rule_allows(log->service, cause, type);
    if (!allowed)
        check_broken(check, CHECK_S9, answer->subject,
                     "%s #%" PRIu64 " %s follows %s: no rule of %s allows it",
                     log->service->name, answer->seq,
                     check_message_of(log, type)->name,
                     cause == NO_MESSAGE ? "a command"
                                         : check_message_of(log, cause)->name,
                     log->service->name);
}

/* S10, the half about causes: what was acted upon counts as consumed. */
static void check_below_cursor(struct check *check, struct checked_log *log,
                               const struct answer *answer)
{
    unsigned from = (unsigned)answer->cause_from;

    if (from == log->number || (log->has_cursor[from] &&
                                answer->cause_seq <= log->cursors[from].at.seq))
        return;
    check_broken(check, CHECK_S10, answer->subject,
                 "%s #%" PRIu64 " was caused by %s #%" PRIu64
                 ", which is beyond its cursor",
                 log->service->name, answer->seq,
                 check->logs[from].service->name, answer->cause_seq);
}

/* S2: the cause is there. */
static bool check_known(struct check *check, const struct checked_log *log,
                        const struct answer *answer, const struct note *cause)
{
    const struct checked_log *from = &check->logs[answer->cause_from];

    if (cause->type != NO_MESSAGE &&
        (from != log || answer->cause_seq < answer->seq))
        return true;
    check_broken(check, CHECK_S2, answer->subject,
                 "%s #%" PRIu64 " was caused by %s #%" PRIu64
                 ", which does not exist",
                 log->service->name, answer->seq, from->service->name,
                 answer->cause_seq);
    return false;
}

/* S2: the cause has no other event in this log. */
static void check_answered_once(struct check *check, struct checked_log *log,
                                const struct answer *answer)
{
    uint64_t at = answer->cause_seq;
    uint8_t *answered = &log->answered[answer->cause_from][at / 8];
    uint8_t bit = (uint8_t)(1u << at % 8);

    if ((*answered & bit) != 0)
        check_broken(check, CHECK_S2, answer->subject,
                     "%s #%" PRIu64 " is a second event caused by %s #%" PRIu64,
                     log->service->name, answer->seq,
                     check->logs[answer->cause_from].service->name, at);
    *answered |= bit;
}

/* S2, as far as the row alone shows it: a cause that can be looked up. */
static void find_cause(struct check *check, const struct checked_log *log,
                       const struct row *row, struct answer *answer)
{
    int from = check_service(check, row->cause_source);
    const struct checked_log *publisher;

    answer->cause_from = CAUSE_UNKNOWN;
    if (row->cause_source[0] == '\0' && row->command_id[0] != '\0') {
        answer->cause_from = CAUSE_COMMAND;
        return;
    }
    if (from < 0 || row->command_id[0] != '\0') {
        check_broken(check, CHECK_S2, answer->subject,
                     "%s #%" PRIu64 " %s has no cause, or too many",
                     log->service->name, row->seq, row->type);
        return;
    }
    publisher = &check->logs[from];
    if (memcmp(row->cause_log, store_log_id(publisher->judged), LOG_ID_BYTES) !=
        0) {
        check_broken(check, CHECK_S2, answer->subject,
                     "%s #%" PRIu64 " %s was caused by %s #%" PRIu64
                     " of a different log",
                     log->service->name, row->seq, row->type,
                     publisher->service->name, row->cause_seq);
        return;
    }
    answer->cause_from = from;
    answer->cause_seq = row->cause_seq;
}

/* An event answers one of its own saga. */
static void check_crossed(struct check *check, const struct checked_log *log,
                          const struct answer *answer, const char *other)
{
    const char *noun = check->invariants->saga;
    bool none = other[0] == '\0';

    check_broken(check, check->invariants->cross, answer->subject,
                 "%s #%" PRIu64 " was caused by %s #%" PRIu64
                 ", which is about %s%s",
                 log->service->name, answer->seq,
                 check->logs[answer->cause_from].service->name,
                 answer->cause_seq, none ? "no " : other, none ? noun : "");
}

/* One that names an event as its cause. */
static enum evt_status check_event_cause(struct check *check,
                                         struct checked_log *log,
                                         const struct answer *answer)
{
    struct checked_log *from = &check->logs[answer->cause_from];
    const struct note *cause;
    enum evt_status rc = check_note(check, from, answer->cause_seq, &cause);

    if (rc != EVT_OK)
        return rc;
    check_below_cursor(check, log, answer);
    if (!check_known(check, log, answer, cause))
        return EVT_OK;
    /* What answers a lost event under whose number stands another one now
     * (HC11) does not count against the saga of that one. */
    if (strcmp(cause->order_id, answer->order_id) == 0)
        check_answered_once(check, log, answer);
    else
        check_crossed(check, log, answer, cause->order_id);
    check_declared(check, log, answer, cause->type);
    return EVT_OK;
}

enum evt_status check_cause(struct check *check, struct checked_log *log,
                            const struct row *row)
{
    struct answer answer = {.seq = row->seq,
                            .type = check_row_type(log, row),
                            .order_id = row->order_id,
                            .subject = check_subject(log, row)};

    find_cause(check, log, row, &answer);
    if (answer.type == NO_MESSAGE || answer.cause_from == CAUSE_UNKNOWN)
        return EVT_OK;
    check->summary->causes++;
    if (answer.cause_from != CAUSE_COMMAND)
        return check_event_cause(check, log, &answer);
    check_declared(check, log, &answer, NO_MESSAGE);
    return EVT_OK;
}
