/* check_causes.c - every event against the one that it answers (S2, S8, S9,
 * S10).
 *
 * Runs when all three logs are known, over the notes that check_log.c took: is
 * the cause there, about the same order, below the cursor, answered once, and
 * does a rule say that this may follow it?  Next:
 * shop/invariants.c. */
#include "audit/check_parts.h"

#include <inttypes.h>

/* ---- causes: every event against the one that it answers ---------------- */

/* Whether a rule of @service lets @type follow a message of type @on. */
static bool rule_allows(const struct service *service, enum message_type on,
                        enum message_type type)
{
    const struct rule *rule = service_rule(service, on);

    return rule != NULL && event_type_in(type, rule->may_emit, MAY_EMIT_MAX);
}

/* A timer's command comes from its event, any other from a client. */
static const struct timer *timer_sending(const struct service *service,
                                         enum message_type command)
{
    for (size_t i = 0; i < service->timer_count; i++) {
        if (service->timers[i].send == command)
            return &service->timers[i];
    }
    return NULL;
}

static bool command_allows(const struct service *service,
                           enum message_type type)
{
    for (size_t i = 0; i < service->rule_count; i++) {
        enum message_type on = service->rules[i].on;

        if (domain_message(service->domain, on)->is_command &&
            timer_sending(service, on) == NULL &&
            rule_allows(service, on, type))
            return true;
    }
    return false;
}

static bool timer_allows(const struct service *service, enum message_type from,
                         enum message_type type)
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
                           uint64_t seq, const char *subject,
                           enum message_type cause)
{
    const struct note *note = &log->notes[seq];
    enum message_type type = (enum message_type)note->type;
    bool allowed;

    if (note->cause_from == CAUSE_COMMAND)
        allowed = command_allows(log->service, type);
    else if (note->cause_from == (int)log->number)
        allowed = timer_allows(log->service, cause, type);
    else
        allowed = rule_allows(log->service, cause, type);
    if (!allowed)
        check_broken(check, CHECK_S9, subject,
                     "%s #%" PRIu64 " %s follows %s: no rule of %s allows it",
                     log->service->name, seq,
                     domain_type_name(log->service->domain, type),
                     cause == NO_MESSAGE
                         ? "a command"
                         : domain_type_name(log->service->domain, cause),
                     log->service->name);
}

/* S10, the half about causes: what was acted upon counts as consumed. */
static void check_below_cursor(struct check *check, struct checked_log *log,
                               uint64_t seq, const char *subject)
{
    const struct note *note = &log->notes[seq];
    unsigned from = (unsigned)note->cause_from;

    if (from == log->number ||
        (log->has_cursor[from] && note->cause_seq <= log->cursors[from].at.seq))
        return;
    check_broken(check, CHECK_S10, subject,
                 "%s #%" PRIu64 " was caused by %s #%" PRIu64
                 ", which is beyond its cursor",
                 log->service->name, seq, check->logs[from].service->name,
                 note->cause_seq);
}

/* S2: the cause is there. */
static bool check_known(struct check *check, const struct checked_log *log,
                        uint64_t seq, const char *subject)
{
    const struct note *note = &log->notes[seq];
    const struct checked_log *from = &check->logs[note->cause_from];
    uint64_t at = note->cause_seq;

    if (at > 0 && at <= from->known && from->notes[at].type != NO_MESSAGE &&
        (from != log || at < seq))
        return true;
    check_broken(check, CHECK_S2, subject,
                 "%s #%" PRIu64 " was caused by %s #%" PRIu64
                 ", which does not exist",
                 log->service->name, seq, from->service->name, at);
    return false;
}

/* S2: the cause has no other event in this log. */
static void check_answered_once(struct check *check, struct checked_log *log,
                                uint64_t seq, const char *subject)
{
    const struct note *note = &log->notes[seq];
    uint64_t at = note->cause_seq;
    uint8_t *answered = &log->answered[note->cause_from][at / 8];
    uint8_t bit = (uint8_t)(1u << at % 8);

    if ((*answered & bit) != 0)
        check_broken(check, CHECK_S2, subject,
                     "%s #%" PRIu64 " is a second event caused by %s #%" PRIu64,
                     log->service->name, seq,
                     check->logs[note->cause_from].service->name, at);
    *answered |= bit;
}

static void check_cause(struct check *check, struct checked_log *log,
                        uint64_t seq)
{
    const struct note *note = &log->notes[seq], *cause;
    const char *subject =
        note->saga != NULL ? note->saga->id : log->service->name;

    if (note->type == NO_MESSAGE || note->cause_from == CAUSE_UNKNOWN)
        return;
    check->summary->causes++;
    if (note->cause_from == CAUSE_COMMAND) {
        check_declared(check, log, seq, subject, NO_MESSAGE);
        return;
    }
    check_below_cursor(check, log, seq, subject);
    if (!check_known(check, log, seq, subject))
        return;
    cause = &check->logs[note->cause_from].notes[note->cause_seq];
    /* What answers a lost event under whose number stands another one now
     * (HC11) does not count against the order of that one. */
    if (cause->saga == note->saga)
        check_answered_once(check, log, seq, subject);
    else
        check_broken(
            check, CHECK_S8, subject,
            "%s #%" PRIu64 " was caused by %s #%" PRIu64 ", which is about %s",
            log->service->name, seq,
            check->logs[note->cause_from].service->name, note->cause_seq,
            cause->saga != NULL ? cause->saga->id : "no order");
    check_declared(check, log, seq, subject, (enum message_type)cause->type);
}

void check_causes(struct check *check)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        for (uint64_t seq = 1; seq <= check->logs[i].head; seq++)
            check_cause(check, &check->logs[i], seq);
    }
}
