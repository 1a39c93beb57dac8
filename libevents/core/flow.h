/* flow.h - reading the rule tables of several services together.
 *
 * A choreography has no conductor to ask.  But the tables say who reacts to
 * what, so from them and the logs it can be told what a saga waits for, who
 * ignored what, which event undoes which, and whether events could cause each
 * other for ever.  Pure; printing goes to the FILE that the caller gives. */
#ifndef FLOW_H
#define FLOW_H

#include "core/service.h"

#include <stdio.h>

/* ---- the tables ------------------------------------------------------------
 * @services has @count members; all pointers stay the caller's. */

/* Who writes @type (an event), who sends it (a command by a timer), or NULL:
 * a client does. */
const struct service *flow_writer(const struct service *const services[],
                                  size_t count, unsigned type);

/* Whether a rule of any service is on @type, or a timer is set by it. */
bool flow_has_reader(const struct service *const services[], size_t count,
                     unsigned type);

/* Finds types that cause each other in a circle, timers included.  Writes the
 * circle to @circle, each type once, and returns its length; 0: there is
 * none. */
size_t flow_cycle(const struct service *const services[], size_t count,
                  unsigned circle[TYPES_MAX]);

/* Prints who reacts to what: the ladder as a picture (at most 80 columns, for
 * up to three services), everything as a table, as a Mermaid flowchart.
 * @domain names the types of all (a lexicon's, when the services have several).
 * Depends on nothing but the tables, so that a printed text can be compared
 * with a committed one. */
void flow_print_ladder(FILE *out, const struct domain *domain,
                       const struct service *const services[], size_t count);
void flow_print(FILE *out, const struct domain *domain,
                const struct service *const services[], size_t count);
void flow_print_mermaid(FILE *out, const struct domain *domain,
                        const struct service *const services[], size_t count);

/* ---- one saga --------------------------------------------------------------
 * @events are those of one order, from all logs.  Pointers that are returned
 * lie in @events or in the tables: borrowed as long as those live. */

/* Sorts so that every event stands behind its cause and behind what its own
 * log holds before it; beyond that by time_ms, which is for display only. */
void flow_sort(struct event *events, size_t count);

/* The event among @events that caused @event; NULL: a command did, or it is
 * not among them. */
const struct event *flow_cause(const struct event *events, size_t count,
                               const struct event *event);

/* The event among @events that @event takes back; NULL: it takes nothing back
 * (a release of what was never reserved, say). */
const struct event *flow_undone(const struct domain *domain,
                                const struct event *events, size_t count,
                                const struct event *event);

/* An event that a service has a rule for, and that did not lead to any event
 * there.  Either the service has not come to it yet: then the saga waits for
 * it.  Or it has, and decided that there was nothing to do. */
struct flow_gap {
    const struct event *cause;   /* since when: cause->time_ms */
    const struct service *owner; /* from whom */
    const struct rule *rule;     /* for what: rule->may_emit */
    bool ignored;                /* the owner has consumed the cause */
};

/* Writes at most @max gaps, in the order of @events, and returns how many
 * there are.  consumed[r * count + p] is how far services[r] has consumed the
 * log of services[p], all zeros for nothing; a cursor on another log than the
 * event's is not past it.  An event that its reader has parked counts as
 * ignored here; a caller that knows the parked ones says so. */
size_t flow_gaps(const struct service *const services[], size_t count,
                 const struct position consumed[], const struct event *events,
                 size_t event_count, struct flow_gap gaps[], size_t max);

/* The timer that is armed for this saga, and in *set the event that set it;
 * NULL when none is. */
const struct timer *flow_timer(const struct service *const services[],
                               size_t count, const struct event *events,
                               size_t event_count, const struct event **set);

#endif
