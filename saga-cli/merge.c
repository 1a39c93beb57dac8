/* merge.c - merges the events of one log or of three, causes first.
 *
 * Reads page by page, so a log of any length needs little memory.  To follow a
 * log, it asks again for the events after the last one; so it misses nothing,
 * even if a service was down, killed or restarted meanwhile.  log.c prints the
 * events. */
#include "saga-cli/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ANSWER_MS = 250,   /* following: patience with one service */
    LEAVE_MS = 500,    /* one that gave no answer is left alone for so long */
    LOOK_MS = 150,     /* one that does not run is looked for again so often */
    HOLD_MS = 1000,    /* how long an event waits for its cause */
    JUST_NOW_MS = 100, /* "from now on" begins so long before we started */
    JUST_NOW_EVENTS = 64
};

struct source {
    const char *service;
    bool wanted, more;    /* more: there may be events behind the page */
    bool down, from_file; /* following: told so; what the page came from */
    uint64_t after;       /* asked up to here */
    uint64_t head;        /* where the log ended when we last heard */
    uint64_t upto;        /* where a log ended when we began to read it */
    uint64_t merged;      /* handed out up to here */
    uint64_t again_ms;    /* not to be asked before, when it is down */
    uint64_t held_ms;     /* since when its next event waits, 0: it does not */
    char log[2 * LOG_ID_BYTES + 1];
    json_t *page; /* array */
    size_t at;    /* the next of it */
};

struct merge {
    struct saga *saga;
    bool follow;
    int64_t since_ms; /* from now on: nothing from before this Unix time */
    struct source sources[SERVICES_MAX];
};

struct merge *merge_open(struct saga *saga, const struct merge_options *options)
{
    struct merge *merge = calloc(1, sizeof *merge);
    struct timespec now;

    if (merge == NULL)
        abort();
    merge->saga = saga;
    merge->follow = options->follow;
    for (unsigned i = 0; i < saga_services(); i++) {
        struct source *source = &merge->sources[i];

        source->service = saga_service(i);
        source->wanted = source->more = options->wanted[i];
        source->upto = UINT64_MAX;
        source->page = json_array();
        if (options->from > 0)
            source->after = source->merged = options->from - 1;
    }
    if (options->follow && options->from == 0) {
        clock_gettime(CLOCK_REALTIME, &now);
        merge->since_ms =
            (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - JUST_NOW_MS;
    }
    return merge;
}

void merge_close(struct merge *merge)
{
    for (unsigned i = 0; merge != NULL && i < SERVICES_MAX; i++)
        json_decref(merge->sources[i].page);
    free(merge);
}

uint64_t merge_head(const struct merge *merge, unsigned i)
{
    return merge->sources[i].head;
}

bool merge_from_file(const struct merge *merge, unsigned i)
{
    return merge->sources[i].from_file;
}

static const json_t *pending(const struct source *source)
{
    return json_array_get(source->page, source->at);
}

static uint64_t seq_of(const json_t *event)
{
    return (uint64_t)json_integer_value(json_object_get(event, "seq"));
}

static int64_t time_of(const json_t *event)
{
    return json_integer_value(json_object_get(event, "time_ms"));
}

/* ---- asking ------------------------------------------------------------- */

static json_t *question(const struct source *source, bool only_head)
{
    json_t *ask = json_pack("{s:s,s:I}", "get", "log", "after",
                            (json_int_t)source->after);

    if (source->upto <= INT64_MAX)
        json_object_set_new(ask, "upto",
                            json_integer((json_int_t)source->upto));
    if (only_head)
        json_object_set_new(ask, "limit", json_integer(1));
    return ask;
}

/* Puts a reply's events behind those that are pending. */
static void take(struct source *source, const json_t *reply)
{
    json_t *events = json_object_get(reply, "events");
    size_t count = json_array_size(events);

    if (pending(source) == NULL) {
        json_array_clear(source->page);
        source->at = 0;
    }
    json_array_extend(source->page, events);
    source->more = json_is_true(json_object_get(reply, "more")) && count > 0;
    if (count > 0)
        source->after = seq_of(json_array_get(events, count - 1));
}

/* Following from now on: the first answer only tells where the log ends. */
static bool begins_at_head(const struct merge *merge,
                           const struct source *source)
{
    return merge->since_ms > 0 && source->log[0] == '\0';
}

static void remember_log(struct source *source, const json_t *reply)
{
    const char *log = json_string_value(json_object_get(reply, "log"));

    snprintf(source->log, sizeof source->log, "%s", log == NULL ? "" : log);
}

/* Reading on demand: the log as it was at the first page. */
static int read_page(struct merge *merge, struct source *source)
{
    json_t *ask = question(source, false);
    int code = SAGA_YES;
    json_t *reply =
        saga_ask(merge->saga, source->service, ask, &source->from_file, &code);

    json_decref(ask);
    if (reply == NULL)
        return code;
    source->head = (uint64_t)json_integer_value(json_object_get(reply, "head"));
    if (source->upto == UINT64_MAX) {
        source->upto = source->head;
        remember_log(source, reply);
    }
    take(source, reply);
    json_decref(reply);
    return SAGA_YES;
}

/* ---- following ---------------------------------------------------------- */

/* One question to the process; NULL and *rc when it does not answer. */
static json_t *ask_process(struct merge *merge, const struct source *source,
                           const json_t *ask, enum evt_status *rc)
{
    json_t *reply = NULL;

    *rc = client_ask(merge->saga->client, source->service, "qry", ask,
                     ANSWER_MS, &reply);
    return *rc == EVT_OK ? reply : NULL;
}

/* Begins a little before the head of the log, and leaves out what is from
 * before we began: so nothing falls between our start and the first answer. */
static void begin_near_head(struct merge *merge, struct source *source,
                            json_t *reply)
{
    uint64_t head =
        (uint64_t)json_integer_value(json_object_get(reply, "head"));
    enum evt_status rc;
    json_t *ask;

    source->after = head > JUST_NOW_EVENTS ? head - JUST_NOW_EVENTS : 0;
    ask = question(source, false);
    reply = source->from_file ? saga_ask_file(merge->saga, source->service, ask)
                              : ask_process(merge, source, ask, &rc);
    json_decref(ask);
    if (reply == NULL)
        source->after = head;
    else
        take(source, reply);
    json_decref(reply);
    while (pending(source) != NULL &&
           time_of(pending(source)) < merge->since_ms)
        source->at++;
    source->merged =
        pending(source) != NULL ? seq_of(pending(source)) - 1 : source->after;
}

/* The log that we followed may be gone, or shorter: a restored backup, a new
 * data directory. */
static void compare_log(struct source *source, const json_t *reply)
{
    const char *log = json_string_value(json_object_get(reply, "log"));
    uint64_t head =
        (uint64_t)json_integer_value(json_object_get(reply, "head"));

    if (log == NULL)
        return;
    if (source->log[0] != '\0' && strcmp(source->log, log) != 0) {
        fprintf(stderr,
                "saga: %s-svc has a different log now; reading from its first "
                "event\n",
                source->service);
        source->after = source->merged = 0;
        source->more = true;
    } else if (head < source->head) {
        fprintf(stderr,
                "saga: %s-svc's log has lost its tail; it now ends at #%llu\n",
                source->service, (unsigned long long)head);
        if (source->after > head)
            source->after = source->merged = head;
    }
    source->head = head;
    remember_log(source, reply);
}

static void accept_reply(struct merge *merge, struct source *source,
                         json_t *reply)
{
    bool at_head = begins_at_head(merge, source);

    if (json_object_get(reply, "error") != NULL)
        return; /* busy; the next poll asks again */
    compare_log(source, reply);
    if (at_head)
        begin_near_head(merge, source, reply);
    else if (seq_of(json_array_get(json_object_get(reply, "events"), 0)) ==
             source->after + 1)
        take(source, reply);
}

/* A service that died may have written more than it could still say. */
static void read_last_words(struct merge *merge, struct source *source)
{
    source->from_file = true;
    do {
        json_t *ask = question(source, begins_at_head(merge, source));
        json_t *reply = saga_ask_file(merge->saga, source->service, ask);

        json_decref(ask);
        source->more = false;
        if (reply != NULL)
            accept_reply(merge, source, reply);
        json_decref(reply);
    } while (source->more);
}

static void on_silence(struct merge *merge, struct source *source,
                       enum evt_status rc)
{
    source->more = false;
    source->again_ms = saga_mono_ms() + (rc == EVT_NONE ? LOOK_MS : LEAVE_MS);
    if (!source->down) {
        fprintf(stderr,
                "saga: %s-svc does not answer; its events follow when "
                "it does\n",
                source->service);
        if (rc == EVT_NONE)
            read_last_words(merge, source);
    }
    source->down = true;
}

static void look_for_news(struct merge *merge, struct source *source)
{
    enum evt_status rc;
    json_t *ask = question(source, begins_at_head(merge, source));
    json_t *reply = ask_process(merge, source, ask, &rc);

    json_decref(ask);
    if (reply == NULL) {
        on_silence(merge, source, rc);
        return;
    }
    if (source->down)
        fprintf(stderr, "saga: %s-svc answers again\n", source->service);
    source->down = source->from_file = source->more = false;
    accept_reply(merge, source, reply);
    json_decref(reply);
}

void merge_poll(struct merge *merge)
{
    uint64_t now = saga_mono_ms();

    for (unsigned i = 0; i < saga_services(); i++) {
        struct source *source = &merge->sources[i];

        if (source->wanted && pending(source) == NULL)
            source->more = !source->down || now >= source->again_ms;
    }
}

/* ---- merging ------------------------------------------------------------ */

/* The log that holds the cause of @event, if it is one that we merge. */
static struct source *source_of_cause(struct merge *merge, const json_t *event)
{
    const json_t *cause = json_object_get(event, "cause");
    const char *name = json_string_value(json_object_get(cause, "source"));
    const char *log = json_string_value(json_object_get(cause, "log"));
    int i = name == NULL ? -1 : saga_service_number(name);

    if (i < 0 || log == NULL || strcmp(merge->sources[i].log, log) != 0)
        return NULL; /* a command, or of a log that is no more */
    return merge->sources[i].wanted ? &merge->sources[i] : NULL;
}

/* Whether the next event of @source has to wait for its cause.  That it is
 * there proves that its cause is, too: the service that wrote that is asked
 * again now, down or not. */
static bool is_held(struct merge *merge, const struct source *source)
{
    const json_t *event = pending(source);
    uint64_t seq = seq_of(json_object_get(event, "cause"));
    struct source *cause = source_of_cause(merge, event);

    if (cause == NULL || cause == source || seq <= cause->merged)
        return false;
    cause->again_ms = 0;
    return merge->follow || (pending(cause) != NULL && seq <= cause->upto);
}

/* The source whose event comes next.  NULL: none, or all wait. */
static struct source *choose(struct merge *merge)
{
    struct source *next = NULL, *waiting = NULL;
    uint64_t now = saga_mono_ms();

    for (unsigned i = 0; i < saga_services(); i++) {
        struct source *source = &merge->sources[i];
        const json_t *event = pending(source);
        bool held;

        if (event == NULL)
            continue;
        held = is_held(merge, source);
        if (held && source->held_ms == 0)
            source->held_ms = now;
        if (held && merge->follow && now - source->held_ms < HOLD_MS)
            continue;
        if (held && !merge->follow) { /* only damaged logs hold each other */
            waiting = source;
            continue;
        }
        if (next == NULL || time_of(event) < time_of(pending(next)))
            next = source;
    }
    return next != NULL ? next : waiting;
}

json_t *merge_next(struct merge *merge, int *code)
{
    struct source *next;
    json_t *event;

    for (unsigned i = 0; i < saga_services(); i++) {
        struct source *source = &merge->sources[i];

        if (pending(source) != NULL || !source->more)
            continue;
        if (merge->follow)
            look_for_news(merge, source);
        else
            *code = read_page(merge, source);
        if (*code != SAGA_YES)
            return NULL;
    }
    next = choose(merge);
    if (next == NULL)
        return NULL;
    event = json_incref(json_array_get(next->page, next->at++));
    next->merged = seq_of(event);
    next->held_ms = 0;
    return event;
}
