/* service.h - what a service is: rules, kinds of state, timers.
 *
 * A domain fills these tables with pure functions and hands them to the shell
 * (shell.h), which does everything else.  Nothing in here does I/O, reads a
 * clock or allocates.  The pattern is the functional core and imperative
 * shell of Gary Bernhardt; decide and evolve are Jeremie Chassaing's decider.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include "core/event.h"

/* What decide may read: the states named by the tags of its cause. */
struct states;

/* The state of kind number @kind (an index into service.kinds) under @key.
 * Never NULL: a state that no event has touched is all zeros.  Asserts that
 * the cause carries @key under the kind's tag: a decision may only depend on
 * what its cause names, or replay could not find it.  Borrowed until decide
 * returns. */
const void *state_of(const struct states *states, unsigned kind,
                     const char *key);

/* What a decision comes to: one event, or nothing, or a refusal. */
struct decision {
    size_t payload_bytes; /* of the domain; set before decide is called */
    bool emitted;
    struct event event;  /* type, order_id, data; the shell adds the rest */
    const char *refusal; /* NULL, or static text: "unknown item" */
    const char *field;   /* what it is about: a field, a key; or NULL */
};

/* Emits an event of @type for the saga of @cause, and returns its payload to
 * fill; it starts as a copy of the cause's payload (event-carried state), of
 * which the shell keeps what @type declares.  At most once per decision:
 * every cause leads to at most one event. */
void *emit(struct decision *out, unsigned type, const struct event *cause);

/* Refuses a command: answered with @why, never logged.  @why is static text,
 * @field lives as long as the cause.  Only for commands: a business no to an
 * event is an event. */
void refuse(struct decision *out, const char *why, const char *field);

/* Reads states and one cause, and writes a decision.  Pure.  A cause that
 * makes no sense in this state writes nothing. */
typedef void decide_fn(const struct states *states, const struct event *cause,
                       struct decision *out);

/* Folds one of the service's own events into one state, whose key it is told.
 * Pure, never refuses, the same code live, in replay and in time travel. */
typedef void evolve_fn(void *state, const char *key, const struct event *own);

enum { MAY_EMIT_MAX = 3, FOLDS_MAX = 8, UNLESS_MAX = 4 };

/* One row of a service: on this message, decide so.  The order of the rows
 * does not matter; a type stands at most once. */
struct rule {
    unsigned on;
    decide_fn *decide;
    unsigned may_emit[MAY_EMIT_MAX]; /* checked at every decision */
};

/* A kind of state, one value per key of its tag. */
struct kind {
    const char *name;
    unsigned tag;
    size_t bytes;
    const struct field *fields; /* prints it, checks and dates its snapshots */
    evolve_fn *evolve;
    unsigned folds[FOLDS_MAX];
    bool snapshotted;  /* long streams only: shelves and accounts, not orders */
    unsigned revision; /* raise when evolve changes: old snapshots are void */
};

/* Own event -> command, unless one of these comes first. */
struct timer {
    unsigned from;
    unsigned send;
    unsigned unless[UNLESS_MAX];
    const char *option; /* "order-deadline-ms": how operators set it */
    uint32_t default_ms;
};

/* A decision to use in a rule's place while the fault point @name is set. */
struct fault_rule {
    const char *name; /* "till/refuse" */
    const char *what; /* happens then, as `saga fault ls` says it */
    unsigned on;
    decide_fn *decide;
};

struct service {
    const char *name;
    const struct domain *domain;   /* what its messages are */
    const char *const *listens_to; /* the publishers, ends with NULL */
    const struct rule *rules;
    size_t rule_count;
    const struct kind *kinds;
    size_t kind_count;
    const struct timer *timers;
    size_t timer_count;
    const struct fault_rule *faults;
    size_t fault_count;
};

/* Whether the tables of @service are such as the library takes for granted:
 * fields lie in their struct and not over each other, names are names, versions
 * follow each other, and what a table names is in the domain.  False: @why says
 * what is not.  host_main() and saga_main() refuse such a service. */
enum { SERVICE_WHY_BYTES = 160 };
MUST_CHECK bool service_check(const struct service *service,
                              char why[SERVICE_WHY_BYTES]);

/* The rule for @type, or NULL: then it is somebody else's business. */
const struct rule *service_rule(const struct service *service, unsigned type);

/* Runs @rule's decide (or @decide in its place, when not NULL) and asserts
 * what every decision must keep: at most one event, only declared ones, a
 * refusal only of a command and never beside an event.  Undeclared fields of
 * the event's payload are zeroed. */
void service_decide(const struct rule *rule, decide_fn *decide,
                    const struct states *states, const struct event *cause,
                    struct decision *out);

/* ---- states, for the driver of a domain: shell, world, time travel ----- */

/* The states loaded for one cause.  The driver fills it; the domain reads it
 * through state_of. */
enum { STATES_MAX = EVENT_TAGS_MAX * 2 };
struct states {
    const struct service *service;
    size_t count;
    struct loaded {
        unsigned kind;
        const char *key;
        const void *state;
    } loaded[STATES_MAX];
};

/* Which states @cause names: for each kind and each tag of that kind, calls
 * @load(ctx, kind, key) for the state and enters it.  Stops and returns the
 * first status that is not EVT_OK. */
typedef enum evt_status load_fn(void *ctx, unsigned kind, const char *key,
                                const void **state);
MUST_CHECK enum evt_status service_load_states(struct states *states,
                                               const struct service *service,
                                               const struct event *cause,
                                               load_fn *load, void *ctx);

/* Under which of its tags an event of @type is indexed in @service's log: its
 * order, and the tags of those kinds that fold the type. */
bool service_indexes(const struct service *service, unsigned type,
                     unsigned tag);
/* All of them, as bits: 1 << kind of tag. */
unsigned service_indexed(const struct service *service, unsigned type);

/* The number that dates a kind's snapshots: a hash of its field table, size
 * and revision. */
uint32_t service_kind_layout(const struct kind *kind);

#endif
