/* service_check.c - what the library takes for granted about a domain's tables.
 *
 * A payload is the domain's own struct, and reaches the codec as offsets: one
 * that lies outside, or over another, would be written there in silence. */
#include "core/service.h"

#include <stdarg.h>
#include <stdio.h>

enum { NAME_BYTES = sizeof((struct row *)0)->type };

struct verdict {
    char *why;
    const struct service *service;
};

/* Says what is wrong; always false. */
static bool bad(const struct verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool bad(const struct verdict *verdict, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(verdict->why, SERVICE_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_name(const char *text, size_t size)
{
    return text != NULL && text[0] != '\0' && text_is_id(text, size);
}

/* ---- fields -------------------------------------------------------------- */

/* The bytes of a struct that are taken. */
struct taken {
    unsigned char bytes[STATE_BYTES_MAX];
    size_t count; /* of the struct */
};

/* Whether @count bytes from @from are in the struct, free, and whole. */
static bool take(struct taken *taken, size_t from, size_t count, size_t align)
{
    if (count == 0 || from % align != 0 || from > taken->count ||
        count > taken->count - from)
        return false;
    for (size_t i = from; i < from + count; i++)
        if (taken->bytes[i]++ != 0)
            return false;
    return true;
}

static bool take_field(struct taken *taken, const struct field *field)
{
    if (field->kind == FIELD_INT)
        return field->size == sizeof(int64_t) &&
               take(taken, field->offset, sizeof(int64_t), alignof(int64_t));
    if (field->kind == FIELD_ID || field->kind == FIELD_TEXT)
        return field->size >= 2 && take(taken, field->offset, field->size, 1);
    return field->size == sizeof(uint32_t) && field->item_bytes > 0 &&
           field->max >= 1 && field->max <= STATE_BYTES_MAX &&
           take(taken, field->offset, sizeof(uint32_t), alignof(uint32_t)) &&
           take(taken, field->list, (size_t)field->max * field->item_bytes, 1);
}

static bool has_tag(const struct domain *domain, unsigned tag)
{
    return tag == NO_TAG || tag == TAG_ORDER ||
           (tag < domain->tag_count && is_name(domain->tags[tag], NAME_BYTES));
}

/* Those of a struct of @bytes; in a list there is no list. */
static bool check_fields(const struct verdict *verdict, const char *of,
                         const struct field *fields, size_t bytes, bool nested)
{
    struct taken taken = {.count = bytes};

    if (fields == NULL || bytes == 0 || bytes > STATE_BYTES_MAX)
        return bad(verdict, "%s: it has no fields, or more than %d bytes", of,
                   STATE_BYTES_MAX);
    for (; fields->name != NULL; fields++) {
        if (!is_name(fields->name, NAME_BYTES) ||
            (unsigned)fields->kind > FIELD_LIST || fields->min > fields->max ||
            (fields->kind == FIELD_LIST) != (fields->items != NULL))
            return bad(verdict,
                       "%s.%s: its name, kind or limits are wrong for a "
                       "field",
                       of, fields->name);
        if (!take_field(&taken, fields))
            return bad(verdict,
                       "%s.%s: it does not lie in its struct, is of another "
                       "size, or lies over another field",
                       of, fields->name);
        if (!has_tag(verdict->service->domain, fields->tag))
            return bad(verdict, "%s.%s: kind of tag %u has no name", of,
                       fields->name, fields->tag);
        if (nested && fields->kind == FIELD_LIST)
            return bad(verdict, "%s.%s: a list in a list", of, fields->name);
        if (fields->kind == FIELD_LIST &&
            !check_fields(verdict, fields->name, fields->items,
                          fields->item_bytes, true))
            return false;
    }
    return true;
}

/* ---- messages ------------------------------------------------------------ */

/* What the message before @message in the catalogue demands of it. */
static bool follows(const struct message *before, const struct message *message)
{
    bool same = before != NULL && before->type == message->type;

    if (!same)
        return message->version == 1 &&
               (before == NULL || before->upcast == NULL);
    return message->version == before->version + 1 && before->upcast != NULL &&
           strcmp(before->name, message->name) == 0 &&
           before->is_command == message->is_command;
}

static bool is_known(const struct domain *domain, unsigned type, int is_command)
{
    const struct message *message = domain_message(domain, type);

    return message != NULL && message->is_command == is_command;
}

/* Whether no other message has the number or the name of number @i. */
static bool is_alone(const struct domain *domain, size_t i)
{
    const struct message *message = &domain->messages[i];

    for (size_t j = 0; j < i; j++) {
        const struct message *other = &domain->messages[j];
        bool same_type = other->type == message->type;

        if (same_type != (strcmp(other->name, message->name) == 0) ||
            (same_type && j + 1 < i &&
             domain->messages[j + 1].type != message->type))
            return false;
    }
    return true;
}

static bool check_message(const struct verdict *verdict, size_t i)
{
    const struct domain *domain = verdict->service->domain;
    const struct message *message = &domain->messages[i];
    bool last = i + 1 == domain->message_count;

    if (message->type == NO_MESSAGE || message->type >= TYPES_MAX ||
        !is_name(message->name, NAME_BYTES))
        return bad(verdict,
                   "message %zu: its number must be 1 to %d, and its name "
                   "an id of 1 to %d characters",
                   i, TYPES_MAX - 1, NAME_BYTES - 1);
    if (!is_alone(domain, i))
        return bad(verdict, "%s: another message has its name or its number",
                   message->name);
    if (!follows(i > 0 ? message - 1 : NULL, message) ||
        (last && message->upcast != NULL))
        return bad(verdict,
                   "%s: versions go up from 1 by one, and each but the newest "
                   "has an upcast",
                   message->name);
    if (message->undoes != NO_MESSAGE && !is_known(domain, message->undoes, 0))
        return bad(verdict, "%s: it undoes something that is not an event",
                   message->name);
    return check_fields(verdict, message->name, message->fields,
                        domain->payload_bytes, false);
}

static bool check_domain(const struct verdict *verdict)
{
    const struct domain *domain = verdict->service->domain;

    if (domain == NULL || domain->messages == NULL)
        return bad(verdict, "it has no domain, or that has no messages");
    if (domain->payload_bytes == 0 || domain->payload_bytes > PAYLOAD_BYTES_MAX)
        return bad(verdict, "payloads have %zu bytes, of at most %d",
                   domain->payload_bytes, PAYLOAD_BYTES_MAX);
    if (domain->payload_align == 0 ||
        domain->payload_align > alignof(max_align_t))
        return bad(verdict, "payloads are aligned to %zu bytes, of at most %zu",
                   domain->payload_align, alignof(max_align_t));
    if (domain->tag_count > TAG_KINDS_MAX)
        return bad(verdict, "it has %zu kinds of tags, of at most %d",
                   domain->tag_count, TAG_KINDS_MAX);
    for (size_t i = 0; i < domain->message_count; i++)
        if (!check_message(verdict, i))
            return false;
    return true;
}

/* ---- tables -------------------------------------------------------------- */

static bool are_events(const struct domain *domain, const unsigned *types,
                       size_t max)
{
    for (size_t i = 0; i < max && types[i] != NO_MESSAGE; i++)
        if (!is_known(domain, types[i], 0))
            return false;
    return true;
}

static bool check_rules(const struct verdict *verdict)
{
    const struct service *service = verdict->service;

    for (size_t i = 0; i < service->rule_count; i++) {
        const struct rule *rule = &service->rules[i];

        if (domain_message(service->domain, rule->on) == NULL ||
            rule->decide == NULL ||
            !are_events(service->domain, rule->may_emit, MAY_EMIT_MAX))
            return bad(verdict,
                       "rule %zu: its message is unknown, it has no decide, or "
                       "it may emit something that is not an event",
                       i);
        if (service_rule(service, rule->on) != rule)
            return bad(verdict, "%s: it has two rules",
                       domain_type_name(service->domain, rule->on));
    }
    for (size_t i = 0; i < service->fault_count; i++)
        if (service_rule(service, service->faults[i].on) == NULL)
            return bad(verdict, "fault %s: it is on no rule",
                       service->faults[i].name);
    return true;
}

static bool check_kinds(const struct verdict *verdict)
{
    const struct service *service = verdict->service;

    for (size_t i = 0; i < service->kind_count; i++) {
        const struct kind *kind = &service->kinds[i];

        if (!is_name(kind->name, NAME_BYTES) || kind->evolve == NULL ||
            kind->tag == NO_TAG || !has_tag(service->domain, kind->tag) ||
            !are_events(service->domain, kind->folds, FOLDS_MAX))
            return bad(verdict,
                       "kind %zu: it lacks a name, a tag or evolve, or folds "
                       "something that is not an event",
                       i);
        if (!check_fields(verdict, kind->name, kind->fields, kind->bytes,
                          false))
            return false;
    }
    return true;
}

static bool check_timers(const struct verdict *verdict)
{
    const struct service *service = verdict->service;

    for (size_t i = 0; i < service->timer_count; i++) {
        const struct timer *timer = &service->timers[i];

        if (!is_known(service->domain, timer->from, 0) ||
            !is_known(service->domain, timer->send, 1) ||
            service_rule(service, timer->send) == NULL ||
            !is_name(timer->option, NAME_BYTES) ||
            !are_events(service->domain, timer->unless, UNLESS_MAX))
            return bad(verdict,
                       "timer %zu: it is not from an event to a "
                       "command that has a rule",
                       i);
    }
    return true;
}

bool service_check(const struct service *service, char why[SERVICE_WHY_BYTES])
{
    struct verdict verdict = {why, service};

    if (!is_name(service->name, SERVICE_BYTES) || service->listens_to == NULL)
        return bad(&verdict,
                   "it has no name of at most %d letters, or no list "
                   "of those that it listens to",
                   SERVICE_BYTES - 1);
    for (size_t i = 0; service->listens_to[i] != NULL; i++)
        if (!is_name(service->listens_to[i], SERVICE_BYTES))
            return bad(
                &verdict,
                "it listens to something that is not the name of a service");
    return check_domain(&verdict) && check_rules(&verdict) &&
           check_kinds(&verdict) && check_timers(&verdict);
}
