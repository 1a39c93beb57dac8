/* rebuild.c - `saga rebuild`: a view is made anew from the logs, beside the old
 * one (libevents/read/rebuild.c).
 *
 * That may take longer than any request: the verb asks, and asks again, and
 * says on stderr what the rebuild waits for. */
#include "saga-cli/saga.h"
#include "saga-cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    REBUILD_MS = 3000, /* one answer; then it is asked again */
    REBUILD_S = 3600,
    REBUILD_AWAITS = 10,    /* so often a service that is away is waited for */
    REBUILD_LATE_MS = 30000 /* a read side that is busy answers later */
};

/* The service whose read side has the view; -1: none. */
static int service_of_view(struct saga *saga, const char *name)
{
    for (unsigned i = 0; i < saga_services(); i++)
        if (strcmp(saga_view(saga, i), name) == 0)
            return (int)i;
    return saga_service_number(name);
}

/* Names those that there are: of the services that we were built with. */
static int no_view(struct saga *saga, const char *name)
{
    char list[SERVICES_MAX * (SERVICE_BYTES + 6)] = "";
    size_t at = 0;
    unsigned count = saga_own_services();

    if (count == 0)
        return saga_no_services(saga, SAGA_NO_SUCH);
    for (unsigned i = 0; i < count && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i == 0           ? ""
                               : i + 1 == count ? " and "
                                                : ", ",
                               saga_view(saga, i));
    return saga_fail(saga, SAGA_USAGE, "no view %s: the views are %s", name,
                     list);
}

/* A rebuild that is waited for. */
struct rebuilding {
    unsigned service;
    int64_t timeout_s;          /* 0: not chosen */
    int64_t generation;         /* that is being built; 0: not known yet */
    int awaits;                 /* so many answers in a row named who is away */
    char told[4 * START_BYTES]; /* what it waits for, as it was told last */
};

/* "NAME-svc is not running; start it with './run.sh restart NAME'" */
static void awaited_text(struct saga *saga, const char *service, char *text,
                         size_t size)
{
    char start[START_BYTES];
    int pid = saga_pid(saga, service);

    if (pid > 0)
        snprintf(text, size,
                 "%s-svc (pid %d) does not answer; if it is paused: kill "
                 "-CONT %d",
                 service, pid, pid);
    else if (saga_runs(saga, service))
        snprintf(text, size,
                 "%s-svc does not answer ('./saga status' shows more)",
                 service);
    else
        snprintf(text, size, "%s-svc is not running; start it with '%s'",
                 service, start_hint(saga, service, start));
}

/* On stderr, each time that there is something new. */
static void tell_rebuilding(struct saga *saga, struct rebuilding *rebuilding,
                            const json_t *reply)
{
    const json_t *awaited = json_object_get(reply, "awaited"), *service;
    char text[sizeof rebuilding->told], *at = text;
    size_t i;

    rebuilding->awaits =
        json_array_size(awaited) > 0 ? rebuilding->awaits + 1 : 0;
    at += snprintf(at, sizeof text, "%s view: %s",
                   saga_view(saga, rebuilding->service),
                   json_text(reply, "error"));
    json_array_foreach(awaited, i, service)
    {
        size_t left = sizeof text - (size_t)(at - text);
        char one[START_BYTES + 80];

        awaited_text(saga, json_string_value(service), one, sizeof one);
        if (strlen(one) + 3 < left)
            at += snprintf(at, left, "%s%s", i == 0 ? ": " : ", ", one);
    }
    if (strcmp(text, rebuilding->told) == 0)
        return;
    text_copy(rebuilding->told, sizeof rebuilding->told, text);
    hint_from_here(text, sizeof text);
    fprintf(stderr, "saga: %s\n", text);
}

static json_t *rebuild_request(const struct saga *saga,
                               const struct rebuilding *rebuilding)
{
    int left_ms = saga_within(saga, REBUILD_MS); /* and time for the answer */
    json_t *ask = json_pack("{s:s,s:i}", "do", "rebuild", "timeout_ms",
                            left_ms - (left_ms > 500 ? 250 : left_ms / 2));

    if (rebuilding->generation > 0)
        json_object_set_new(ask, "generation",
                            json_integer(rebuilding->generation));
    return ask;
}

/* One question; it joins a rebuild that is under way.  *again: it answered
 * that it is still at it. */
static json_t *ask_rebuild(struct saga *saga, struct rebuilding *rebuilding,
                           bool *again, int *code)
{
    const char *service = saga_service(rebuilding->service), *error;
    json_t *ask = rebuild_request(saga, rebuilding), *reply = NULL;
    enum evt_status rc;

    rc =
        saga_ask_view(saga, service, ask, REBUILD_MS + REBUILD_LATE_MS, &reply);
    json_decref(ask);
    *again = rc == EVT_BUSY && rebuilding->generation > 0 &&
             saga_mono_ms() >= saga->deadline_ms;
    if (*again)
        return NULL;
    if (rc != EVT_OK) {
        *code = saga_no_view(saga, service, rc);
        return NULL;
    }
    error = json_text(reply, "error");
    if (error[0] == '\0')
        return reply;
    *again = json_number(reply, "generation") > 0;
    *code = (int)json_number(reply, "code");
    rebuilding->generation = json_number(reply, "generation");
    if (*again)
        tell_rebuilding(saga, rebuilding, reply);
    else
        (void)saga_fail(saga, *code, "%s view: %s",
                        saga_view(saga, rebuilding->service), error);
    json_decref(reply);
    return NULL;
}

static void print_rebuilt(const json_t *reply)
{
    const json_t *difference;
    size_t i;

    printf("%s view: generation %" PRId64 " serves, folded from %" PRId64
           " event%s\n",
           json_text(reply, "view"), json_number(reply, "generation"),
           json_number(reply, "events"),
           json_number(reply, "events") == 1 ? "" : "s");
    json_array_foreach(json_object_get(reply, "differences"), i, difference)
        printf("  the old generation differed: %s\n",
               json_string_value(difference));
    if (i == 0)
        puts("  the old generation was identical");
}

/* Asks until it is done, for as long as was wanted.  Unless a time was chosen,
 * a service that is away is not waited for as long as one that is busy. */
static json_t *await_rebuild(struct saga *saga, struct rebuilding *rebuilding,
                             int *code)
{
    bool again = true, chosen = rebuilding->timeout_s > 0;
    json_t *reply = NULL;

    saga->deadline_ms =
        saga_mono_ms() +
        1000 * (uint64_t)(chosen ? rebuilding->timeout_s : REBUILD_S);
    if (saga->read_side == NULL)
        saga_tell_whom_we_wait_for(saga, saga_service(rebuilding->service));
    while (again && saga_mono_ms() < saga->deadline_ms &&
           (chosen || rebuilding->awaits < REBUILD_AWAITS))
        reply = ask_rebuild(saga, rebuilding, &again, code);
    if (reply == NULL && again)
        *code = saga_fail(saga, SAGA_TRY_AGAIN,
                          "the %s view is still rebuilding; it continues by "
                          "itself ('./saga status' shows when it is done)%s%s",
                          saga_view(saga, rebuilding->service),
                          rebuilding->awaits > 0 ? "; " : "",
                          rebuilding->awaits > 0 ? rebuilding->told : "");
    return reply;
}

static error_t parse_rebuild(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct rebuilding *rebuilding = saga->options;

    if (key != 't')
        return ARGP_ERR_UNKNOWN;
    return saga_take_number(saga, "timeout", arg, 1, 86400,
                            &rebuilding->timeout_s);
}

static int run_rebuild(struct saga *saga)
{
    struct rebuilding rebuilding = {.told = ""};
    int i, code = saga_parse(saga, &rebuilding);
    json_t *reply;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count == 0)
        return saga_missing(saga, "VIEW or SERVICE");
    i = service_of_view(saga, saga->words[0]);
    if (i < 0)
        return no_view(saga, saga->words[0]);
    rebuilding.service = (unsigned)i;
    reply = await_rebuild(saga, &rebuilding, &code);
    if (reply == NULL)
        return code;
    if (saga->json) {
        saga_print_json(reply);
        return SAGA_YES;
    }
    print_rebuilt(reply);
    json_decref(reply);
    return SAGA_YES;
}

static const struct argp_option rebuild_options[] = {
    {"timeout", 't', "S", 0, "wait at most S seconds", 0}, {0}};

const struct verb verb_rebuild = {
    .name = "rebuild",
    .group = OPERATION,
    .examples = "rebuild SERVICE",
    .summary = "rebuild a view from the logs, beside the old one",
    .args = "VIEW|SERVICE",
    .options = rebuild_options,
    .parse = parse_rebuild,
    .words_max = 1,
    .notes =
        "VIEW is what SERVICE calls its view.  Without --timeout the command "
        "waits for an hour, and half a minute for a service that is away "
        "and whose events are needed.\n"
        "exits 75 if the rebuild goes on without this command",
    .run = run_rebuild};
