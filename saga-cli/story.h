/* story.h - one saga as the three logs tell it: what trace, why and show
 * stand on.
 *
 * A saga is every event tagged with its order, in all three logs.  Each log is
 * read at one instant, events and cursors together, so that "has seen it and
 * did nothing" can be told from "has not come to it yet". */
#ifndef STORY_H
#define STORY_H

#include "core/flow.h"
#include "saga-cli/saga.h"

enum { STORY_GAPS_MAX = 32 };

struct story {
    const char *order;
    const struct service *const *services; /* of all logs; borrowed */
    struct event *events; /* every one behind its cause; owned */
    json_t **rows;        /* the same events as json_from_row made them */
    size_t count;
    struct position
        consumed[SERVICES_MAX * SERVICES_MAX]; /* as flow_gaps wants it */
    struct flow_gap gaps[STORY_GAPS_MAX];
    size_t gap_count;
    char *parked[STORY_GAPS_MAX]; /* why the owner has put the cause of a gap
                                     aside, NULL if it has not; owned */
    uint64_t heads[SERVICES_MAX];
    bool from_file[SERVICES_MAX]; /* read there, since the service is down */
    json_t *unreadable;     /* events that this program cannot decode; owned */
    struct event *of_order; /* the OrderPlaced, or NULL */
};

/* Reads the story of @order.  SAGA_YES, or the exit code, having said why:
 * SAGA_NO_SUCH when no log knows the order. */
int story_read(struct saga *saga, const char *order, struct story *story);
/* Says that no log knows @order, and which one may be meant. */
int story_no_such_order(struct saga *saga, const char *order);
void story_free(struct story *story);

/* 1-based place of the event that caused events[i]; 0: a command did. */
size_t story_because(const struct story *story, size_t i);
/* 1-based place of the event that events[i] takes back; 0: none. */
size_t story_undoes(const struct story *story, size_t i);

/* Folds the events of @kind (of service number @service) under @key out of
 * @events into a new state, which the caller frees; *folded (may be NULL) says
 * how many there were. */
void *story_fold(unsigned service, const struct kind *kind, const char *key,
                 const struct event *events, size_t count, size_t *folded);

/* "PENDING", ...: what order-svc's own state says; "" before OrderPlaced.
 * Returns @text. */
char *story_status(const struct story *story, char *text, size_t size);
/* Why it turned back; "" if it did not.  Borrowed. */
const char *story_reason(const struct story *story);
/* Confirmed and shipped, or cancelled, and the shop has nothing left to do.  A
 * service that only watches may yet have. */
bool story_ended(const struct story *story);

/* "PaymentCharged or PaymentDeclined": what @rule may emit.  Returns @text. */
char *story_answers(const struct rule *rule, char *text, size_t size);

/* What a client said to make @service emit @type: "PlaceOrder". */
const char *story_command(const struct story *story, unsigned service,
                          enum message_type type);

/* Prints @text and fills up to @width columns (not bytes). */
void print_padded(const char *text, int width);

/* Unix time, for comparing with time_ms. */
int64_t unix_ms_now(void);

#endif
