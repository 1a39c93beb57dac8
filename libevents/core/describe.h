/* describe.h - what a service says about itself, as JSON, and reading it back.
 *
 * Every process answers {"get": "description"} with it and leaves it in its
 * data directory, so that `saga` can show a service that it was not built with.
 * docs/protocol.md lists the members.  What is read back is a stranger's: it is
 * bounded and checked strictly, and names no program and no file. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "core/lexicon.h"
#include "core/service.h"

#include <jansson.h>

enum {
    DESCRIPTION_MAX = 61440, /* bytes of one, as text */
    DESCRIBED_LINKS_MAX = 8, /* logs that a service, or its view, reads */
    DESCRIBED_RULES_MAX = 64,
    DESCRIBED_KINDS_MAX = 16,
    DESCRIBED_TIMERS_MAX = 8,
    DESCRIBED_FAULTS_MAX = 32,
    DESCRIBED_MESSAGES_MAX = 96 /* each version counts */
};

/* Describes @service, whose view @view is folded from @view_sources (ends with
 * NULL).  @log_id may be NULL: a lone read side has no log.  A new reference.
 */
json_t *describe_service(const struct service *service, const char *view,
                         const char *const *view_sources,
                         const uint8_t *log_id);

/* One member of its "messages": what that version of a message carries, and
 * what it does to a saga.  A new reference. */
json_t *describe_message(const struct domain *domain,
                         const struct message *message);

/* A description that was read.  Its tables hold names, types and times, but no
 * functions: they can be shown, and compared with events, not run. */
struct description {
    struct service service; /* name, listens_to, rules, timers */
    const char *version;    /* of the program that wrote it */
    const char *view;
    const char *view_sources[DESCRIBED_LINKS_MAX + 1];
    bool has_log;
    uint8_t log_id[LOG_ID_BYTES];

    const char *listens_to[DESCRIBED_LINKS_MAX + 1];
    struct rule rules[DESCRIBED_RULES_MAX];
    struct timer timers[DESCRIBED_TIMERS_MAX];
    json_t *json; /* what it was read from, which holds all text; owned */
};

/* Reads @json, which must describe the service called @name.  Its messages get
 * the numbers that @lexicon has for them, or gives them.  NULL: it is
 * malformed, and *@why (static text) says how.  Caller closes with
 * describe_close(). */
struct description *describe_read(json_t *json, const char *name,
                                  struct lexicon *lexicon, const char **why);
/* The same of @count bytes of text. */
struct description *describe_parse(const char *text, size_t count,
                                   const char *name, struct lexicon *lexicon,
                                   const char **why);
/* NULL is fine. */
void describe_close(struct description *description);

#endif
