/* flow.c - reading the rule tables of several services together.
 *
 * Everything here follows from two relations: "on this type that service may
 * emit those" (the rules) and "this event has that cause" (the envelopes);
 * which event undoes which is the catalogue's.  Next: flow_print.c, and
 * saga-cli/, whose verbs trace and why print what is found here. */
#include "core/flow.h"

#include <assert.h>
#include <string.h>

/* ---- the tables ---------------------------------------------------------- */

static bool writes(const struct service *service, unsigned type)
{
    for (size_t i = 0; i < service->rule_count; i++) {
        if (event_type_in(type, service->rules[i].may_emit, MAY_EMIT_MAX))
            return true;
    }
    for (size_t i = 0; i < service->timer_count; i++) {
        if (service->timers[i].send == type)
            return true;
    }
    return false;
}

const struct service *flow_writer(const struct service *const services[],
                                  size_t count, unsigned type)
{
    for (size_t i = 0; i < count; i++) {
        if (writes(services[i], type))
            return services[i];
    }
    return NULL;
}

/* Whether @from can lead to @to in one step. */
static bool leads_to(const struct service *const services[], size_t count,
                     unsigned from, unsigned to)
{
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = service_rule(services[i], from);

        if (rule != NULL && event_type_in(to, rule->may_emit, MAY_EMIT_MAX))
            return true;
        for (size_t t = 0; t < services[i]->timer_count; t++) {
            if (services[i]->timers[t].from == from &&
                services[i]->timers[t].send == to)
                return true;
        }
    }
    return false;
}

bool flow_has_reader(const struct service *const services[], size_t count,
                     unsigned type)
{
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = service_rule(services[i], type);

        if (rule != NULL && rule->may_emit[0] != NO_MESSAGE)
            return true;
        for (size_t t = 0; t < services[i]->timer_count; t++)
            if (services[i]->timers[t].from == type)
                return true;
    }
    return false;
}

/* Depth-first: @path[0..length) is how we came here; meeting it again closes
 * a circle.  @done marks types from which none can be reached. */
struct walk {
    const struct service *const *services;
    size_t count, length;
    unsigned path[TYPES_MAX];
    bool done[TYPES_MAX];
};

static size_t circle_from(struct walk *walk, unsigned type)
{
    for (size_t i = 0; i < walk->length; i++) {
        if (walk->path[i] != type)
            continue;
        walk->length -= i;
        memmove(walk->path, walk->path + i, walk->length * sizeof type);
        return walk->length;
    }
    if (walk->done[type])
        return 0;
    walk->path[walk->length++] = type;
    for (unsigned to = 1; to < TYPES_MAX; to++) {
        if (leads_to(walk->services, walk->count, type, to) &&
            circle_from(walk, to) > 0)
            return walk->length;
    }
    walk->length--;
    walk->done[type] = true;
    return 0;
}

size_t flow_cycle(const struct service *const services[], size_t count,
                  unsigned circle[TYPES_MAX])
{
    struct walk walk = {.services = services, .count = count};

    for (unsigned type = 1; type < TYPES_MAX; type++) {
        if (circle_from(&walk, type) > 0) {
            memcpy(circle, walk.path, sizeof walk.path);
            return walk.length;
        }
    }
    return 0;
}

/* ---- one saga ------------------------------------------------------------ */

static bool names(const struct cause *cause, const struct event *event)
{
    return strcmp(cause->source, event->source) == 0 &&
           cause->at.seq == event->at.seq &&
           memcmp(cause->at.log_id, event->at.log_id, LOG_ID_BYTES) == 0;
}

const struct event *flow_cause(const struct event *events, size_t count,
                               const struct event *event)
{
    for (size_t i = 0; i < count; i++) {
        if (names(&event->cause, &events[i]))
            return &events[i];
    }
    return NULL;
}

const struct event *flow_undone(const struct domain *domain,
                                const struct event *events, size_t count,
                                const struct event *event)
{
    unsigned undone = domain_undoes(domain, event->type);

    for (size_t i = 0; i < count && undone != NO_MESSAGE; i++) {
        if (events[i].type == undone)
            return &events[i];
    }
    return NULL;
}

/* Whether @later must stand behind @event. */
static bool precedes(const struct event *event, const struct event *later)
{
    return names(&later->cause, event) ||
           (strcmp(event->source, later->source) == 0 &&
            event->at.seq < later->at.seq);
}

static bool may_be_next(const struct event *events, size_t count, size_t i)
{
    for (size_t j = 0; j < count; j++) {
        if (j != i && precedes(&events[j], &events[i]))
            return false;
    }
    return true;
}

/* Picks, again and again, the earliest of those that nothing left precedes. */
void flow_sort(struct event *events, size_t count)
{
    for (; count > 1; events++, count--) {
        struct event first;
        size_t next = count;

        for (size_t i = 0; i < count; i++) {
            if (may_be_next(events, count, i) &&
                (next == count || events[i].time_ms < events[next].time_ms))
                next = i;
        }
        if (next == count) /* damaged logs: a circle of causes; leave it */
            return;
        first = events[next];
        memmove(events + 1, events, next * sizeof *events);
        events[0] = first;
    }
}

static bool listens(const struct service *service, const char *source)
{
    for (size_t i = 0; service->listens_to[i] != NULL; i++) {
        if (strcmp(service->listens_to[i], source) == 0)
            return true;
    }
    return false;
}

static bool answered(const struct service *owner, const struct event *cause,
                     const struct event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(events[i].source, owner->name) == 0 &&
            names(&events[i].cause, cause))
            return true;
    }
    return false;
}

static bool consumed_it(const struct position *cursor,
                        const struct event *event)
{
    return cursor->seq >= event->at.seq &&
           memcmp(cursor->log_id, event->at.log_id, LOG_ID_BYTES) == 0;
}

/* The number of the service called @name; @count when there is none. */
static size_t number_of(const struct service *const services[], size_t count,
                        const char *name)
{
    size_t i = 0;

    while (i < count && strcmp(services[i]->name, name) != 0)
        i++;
    return i;
}

size_t flow_gaps(const struct service *const services[], size_t count,
                 const struct position consumed[], const struct event *events,
                 size_t event_count, struct flow_gap gaps[], size_t max)
{
    size_t found = 0;

    for (size_t e = 0; e < event_count; e++) {
        const struct event *event = &events[e];
        size_t publisher = number_of(services, count, event->source);

        for (size_t r = 0; r < count && publisher < count; r++) {
            const struct service *owner = services[r];
            const struct rule *rule = service_rule(owner, event->type);

            if (rule == NULL || rule->may_emit[0] == NO_MESSAGE ||
                !listens(owner, event->source) ||
                answered(owner, event, events, event_count))
                continue;
            if (found < max) {
                gaps[found].cause = event;
                gaps[found].owner = owner;
                gaps[found].rule = rule;
                gaps[found].ignored =
                    consumed_it(&consumed[r * count + publisher], event);
            }
            found++;
        }
    }
    return found;
}

/* Whether @events of @service hold one that disarms @timer. */
static bool disarmed(const struct service *service, const struct timer *timer,
                     const struct event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(events[i].source, service->name) == 0 &&
            event_type_in(events[i].type, timer->unless, UNLESS_MAX))
            return true;
    }
    return false;
}

const struct timer *flow_timer(const struct service *const services[],
                               size_t count, const struct event *events,
                               size_t event_count, const struct event **set)
{
    for (size_t s = 0; s < count; s++) {
        const struct service *service = services[s];

        for (size_t t = 0; t < service->timer_count; t++) {
            const struct timer *timer = &service->timers[t];

            for (size_t e = 0; e < event_count; e++) {
                if (events[e].type == timer->from &&
                    strcmp(events[e].source, service->name) == 0 &&
                    !disarmed(service, timer, events, event_count)) {
                    *set = &events[e];
                    return timer;
                }
            }
        }
    }
    return NULL;
}
