/* saga_main.h - the `saga` command, for programs that hand in a domain.
 *
 * The verbs of this folder work on the services of any domain: they ask them
 * and read their files, and learn from descriptions what they do.  A domain
 * adds what only it can know: verbs of its own, words for its events, what a
 * saga has come to, and what its events must add up to.  saga-cli/main.c is the
 * smallest one. */
#ifndef SAGA_MAIN_H
#define SAGA_MAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct check_invariants; /* audit/check.h */
struct event;            /* core/event.h */
struct saga;             /* saga-cli/saga.h */
struct service;          /* core/service.h */
struct story;            /* saga-cli/story.h */
struct verb;             /* saga-cli/verbs.h */
struct view;             /* read/view.h */

/* What a saga has come to. */
struct story_end {
    char status[32];    /* a word of the domain; "": nobody has begun it */
    const char *reason; /* why it turned back, or ""; borrowed of the story */
    bool ended;
    int64_t since_ms; /* when it came to that status */
};

/* Other words for a verb of the library, in its help; NULL: it keeps its own.
 */
struct verb_words {
    const char *verb, *args, *summary, *examples, *notes;
};

/* What a domain hands in.  All of it may be missing, and what is missing is
 * left out, or said in general words; all pointers stay the caller's. */
struct saga_tool {
    /* The services that the program was built with, and the view of each, in
     * the order in which a saga climbs. */
    const struct service *const *services;
    const struct view *const *views;
    size_t service_count;
    const struct check_invariants *invariants;

    const struct verb *const *verbs; /* its own; ends with NULL */
    const char *show; /* the one that shows what a tag names, "parcel:7" */
    const struct verb_words *words; /* ends with verb == NULL */
    const char *about;      /* a sentence for the manual page, in lines */
    const char *a_saga;     /* what its people call one, with the article */
    const char *together;   /* and what they call all services of a directory */
    const char *unopened;   /* the status of a saga that has none, in trace, */
    const char *no_opening; /* and a clause of it, in why */
    const char *timer_does, *timer_will; /* "cancels it", when its time is up */

    /* Says what @event tells, in a few words, and, beside it in its lane, what
     * is worth a word there; most events say nothing there. */
    void (*say)(FILE *out, const struct event *event);
    void (*note)(FILE *out, const struct event *event);
    /* Describes the saga behind its id, from " · " on. */
    void (*describe)(FILE *out, const struct story *story);
    void (*end)(const struct story *story, struct story_end *end);

    /* Reports that there is no such saga; returns the exit code. */
    int (*no_such)(struct saga *saga, const char *id);
    /* `saga wait ID`: waits until it has ended; returns the exit code. */
    int (*wait)(struct saga *saga, const char *id, int64_t timeout_s);
};

/* Runs the verb that @argv names; returns the exit code.  NULL: no domain, so
 * that the program has the verbs of the library alone. */
int saga_main(int argc, char **argv, const struct saga_tool *tool);

/* ---- for the verbs --------------------------------------------------------
 */

/* What was handed in; never NULL. */
const struct saga_tool *saga_tool(void);
/* What a saga is called, "a saga" if nobody says; the same without the article;
 * and all services of a directory together. */
const char *saga_a_saga(void);
const char *saga_noun(void);
const char *saga_together(void);

#endif
