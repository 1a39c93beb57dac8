/* story.h - one saga as the three logs tell it: what trace, why and show
 * stand on.
 *
 * A saga is every event tagged with its id, in all logs.  Each log is read at
 * one instant, events and cursors together, so that "has seen it and did
 * nothing" can be told from "has not come to it yet". */
#ifndef STORY_H
#define STORY_H

#include "core/flow.h"
#include "saga-cli/saga.h"

enum { STORY_GAPS_MAX = 32 };

struct story {
    const char *id;
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
    json_t *unreadable;   /* events that this program cannot decode; owned */
    struct story_end end; /* what its domain says; all zeros: it is not asked */
};

/* Reads the story of saga @id.  SAGA_YES, or the exit code, having said why:
 * SAGA_NO_SUCH when no log knows it. */
int story_read(struct saga *saga, const char *id, struct story *story);
/* Says that no log knows saga @id; returns SAGA_NO_SUCH. */
int story_no_such(struct saga *saga, const char *id);
void story_free(struct story *story);

/* 1-based place of the event that caused events[i]; 0: a command did. */
size_t story_because(const struct story *story, size_t i);
/* 1-based place of the event that events[i] takes back; 0: none. */
size_t story_undoes(const struct story *story, size_t i);

/* Whether a service has a gap's cause still to handle, or has parked it. */
bool story_gap_is_open(const struct story *story, size_t i);

/* "ThisHappened or ThatHappened": what @rule may emit.  Returns @text. */
char *story_answers(const struct rule *rule, char *text, size_t size);

/* What a client said to make @service emit @type: "DoThis". */
const char *story_command(const struct story *story, unsigned service,
                          unsigned type);

/* Prints @text and fills up to @width columns (not bytes). */
void saga_print_padded(const char *text, int width);

/* Unix time, for comparing with time_ms. */
int64_t saga_unix_ms(void);

#endif
