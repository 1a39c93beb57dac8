/* operations.c - the verbs for operators: parked, redrive, accept, shutdown.
 *
 * Each sends one request to the service (docs/protocol.md) and prints the
 * answer.  rebuild, which asks again and again, is in rebuild.c; backup, which
 * asks no service, in backup.c. */
#include "saga-cli/saga.h"
#include "saga-cli/verbs.h"

#include "host/holder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CONTROL_MS = 10000,
    SHUTDOWN_MS = 5000,
    REDRIVE_S = 60,
    SOON_MS = 500, /* who answers within that is not kept waiting */
    END_MS = 10000,
    ENDING_MS = 1000 /* who answers no more, and is about to */
};

/* ---- parked ------------------------------------------------------------- */

static void print_parked(const char *service, const json_t *parked)
{
    const char *id = json_text(parked, "order");

    printf("%-9s  %s #%" PRId64 "  %s  %s\n", service,
           json_text(parked, "source"), json_number(parked, "seq"),
           id[0] == '\0' ? "-" : id, json_text(parked, "reason"));
}

/* Adds what a service has parked to @all, with its name. */
static int collect_parked(struct saga *saga, const char *service, json_t *all,
                          bool *more)
{
    json_t *ask = json_pack("{s:s}", "get", "parked"), *parked;
    int code = SAGA_YES;
    json_t *reply = saga_ask(saga, service, ask, NULL, &code);
    size_t i;

    json_decref(ask);
    if (reply == NULL)
        return code;
    json_array_foreach(json_object_get(reply, "parked"), i, parked)
    {
        json_t *one = json_pack("{s:s}", "service", service);

        json_object_update(one, parked);
        json_array_append_new(all, one);
    }
    *more = *more || json_is_true(json_object_get(reply, "more"));
    json_decref(reply);
    return SAGA_YES;
}

static void print_all_parked(const json_t *all, bool more)
{
    const json_t *parked;
    size_t i;

    if (json_array_size(all) == 0) {
        puts("nothing is parked");
        return;
    }
    json_array_foreach(all, i, parked)
        print_parked(json_text(parked, "service"), parked);
    if (more)
        puts("... and more than one answer can hold");
    hint_print("%s\n", "Once the program can read them:  ./saga redrive");
}

static int run_parked(struct saga *saga)
{
    json_t *all = json_array();
    bool more = false;
    int only = -1, code = saga_parse(saga, NULL);

    if (code == SAGA_YES)
        code = saga_one_service(saga, &only);
    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++)
        if (only < 0 || i == (unsigned)only)
            code = collect_parked(saga, saga_service(i), all, &more);
    if (code == SAGA_YES && saga->json)
        saga_print_json(json_incref(all));
    else if (code == SAGA_YES)
        print_all_parked(all, more);
    json_decref(all);
    return code;
}

const struct verb verb_parked = {
    .name = "parked",
    .group = OPERATION,
    .examples = "parked",
    .summary = "list the events that a service could not read",
    .args = "[SERVICE]",
    .words_max = 1,
    .run = run_parked};

/* ---- redrive ------------------------------------------------------------ */

struct redrive {
    int only; /* -1: all services */
    const char *source;
    int64_t seq, timeout_s;
    int64_t redriven, left, seen; /* over all services */
    bool done[SERVICES_MAX];      /* it was asked */
    bool stopped;                 /* one could not go on */
    json_t *all;                  /* service -> answer */
};

static error_t parse_redrive(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct redrive *redrive = saga->options;

    if (key == 'n')
        return saga_take_number(saga, "seq", arg, 1, INT64_MAX, &redrive->seq);
    if (key == 't')
        return saga_take_number(saga, "timeout", arg, 1, 86400,
                                &redrive->timeout_s);
    if (key != 's')
        return ARGP_ERR_UNKNOWN;
    redrive->source = arg; /* which services there are is not known yet */
    return SAGA_YES;
}

static void print_redriven(const char *service, const json_t *reply)
{
    const char *stopped = json_text(reply, "stopped");
    const json_t *event;
    size_t i;

    if (json_object_get(reply, "events") == NULL) /* too many to list */
        printf("%s: done, with more events than one answer can list\n",
               service);
    else
        printf("%s: %" PRId64 " handled, %" PRId64 " still parked%s%s\n",
               service, json_number(reply, "redriven"),
               json_number(reply, "left"),
               stopped[0] != '\0' ? "; stopped: " : "", stopped);
    json_array_foreach(json_object_get(reply, "events"), i, event)
        printf("  %s #%" PRId64 "  %s  %s\n", json_text(event, "source"),
               json_number(event, "seq"), json_text(event, "order"),
               json_text(event, "result"));
}

/* Keeps what a service answered; NULL: nothing, for which @code stands. */
static void keep_redriven(struct redrive *redrive, const char *service,
                          json_t *reply, int code)
{
    if (reply == NULL)
        reply = json_pack("{s:s,s:i}", "error",
                          code == SAGA_NOT_RUNNING
                              ? "is not running"
                              : "gave no answer, and may do it yet",
                          "code", code);
    redrive->stopped =
        redrive->stopped || json_text(reply, "stopped")[0] != '\0';
    redrive->redriven += json_number(reply, "redriven");
    redrive->left += json_number(reply, "left");
    redrive->seen += (int64_t)json_array_size(json_object_get(reply, "events"));
    json_object_set_new(redrive->all, service, reply);
}

static int redrive_one(struct saga *saga, const char *service,
                       struct redrive *redrive)
{
    json_t *ask = json_pack("{s:s}", "do", "redrive"), *reply;
    struct saga asking = *saga;
    int code = SAGA_YES;

    if (redrive->only < 0)
        asking.json = false; /* what fails is one member of the answer */
    if (redrive->source != NULL)
        json_object_set_new(ask, "source", json_string(redrive->source));
    if (redrive->seq > 0)
        json_object_set_new(ask, "seq", json_integer(redrive->seq));
    reply = saga_ask_on(&asking, service, "cmd", ask, REDRIVE_S * 1000, &code);
    json_decref(ask);
    if (!saga->json && reply != NULL &&
        (json_array_size(json_object_get(reply, "events")) > 0 ||
         json_number(reply, "left") > 0 ||
         json_is_true(json_object_get(reply, "more"))))
        print_redriven(service, reply);
    keep_redriven(redrive, service, reply, code);
    return code;
}

/* Asks the services that are wanted, or of those only the ones that answer
 * soon; returns SAGA_YES or how the last failure ended. */
static int redrive_some(struct saga *saga, struct redrive *redrive, bool soon)
{
    json_t *ask = json_pack("{s:s}", "get", "status");
    int code = SAGA_YES;

    for (unsigned i = 0; i < saga_services(); i++) {
        json_t *reply = NULL;
        int one;

        if (redrive->done[i] ||
            (redrive->only >= 0 && i != (unsigned)redrive->only) ||
            (soon &&
             client_ask(saga->client, saga_service(i), "qry", ask,
                        saga_within(saga, SOON_MS), &reply) == EVT_BUSY))
            continue;
        json_decref(reply);
        redrive->done[i] = true;
        one = redrive_one(saga, saga_service(i), redrive);
        code = one != SAGA_YES ? one : code;
    }
    json_decref(ask);
    return code;
}

/* One that is down or paused keeps none of the others waiting. */
static int redrive_all(struct saga *saga, struct redrive *redrive)
{
    int soon, later;

    saga->deadline_ms = saga_mono_ms() + (uint64_t)redrive->timeout_s * 1000;
    soon = redrive_some(saga, redrive, true);
    later = redrive_some(saga, redrive, false);
    return later != SAGA_YES ? later : soon;
}

static int run_redrive(struct saga *saga)
{
    struct redrive redrive = {.only = -1, .timeout_s = REDRIVE_S};
    int code = saga_parse(saga, &redrive);
    bool one_wanted = redrive.source != NULL || redrive.seq > 0;

    if (code == SAGA_YES && redrive.source != NULL &&
        saga_service_number(redrive.source) < 0)
        code = saga_no_service(saga, redrive.source);
    if (code == SAGA_YES)
        code = saga_one_service(saga, &redrive.only);
    if (code != SAGA_YES)
        return code;
    redrive.all = json_object();
    code = redrive_all(saga, &redrive);
    if (code != SAGA_YES && saga->json && redrive.only < 0)
        saga_print_json(json_incref(redrive.all));
    else if (code == SAGA_YES && one_wanted && redrive.seen == 0)
        code = saga_fail(saga, SAGA_NO_SUCH,
                         "no such event is parked ('./saga parked' shows all)");
    else if (code == SAGA_YES && saga->json)
        saga_print_json(json_incref(redrive.all));
    else if (code == SAGA_YES && redrive.seen + redrive.left == 0)
        puts("nothing is parked");
    if (code == SAGA_YES && redrive.stopped)
        code = SAGA_TRY_AGAIN;
    if (code == SAGA_YES &&
        (one_wanted ? redrive.redriven < redrive.seen : redrive.left > 0))
        code = SAGA_NO;
    json_decref(redrive.all);
    return code;
}

static const struct argp_option redrive_options[] = {
    {"source", 's', "S", 0, "only those of service S's log", 0},
    {"seq", 'n', "N", 0, "only event N", 0},
    {"timeout", 't', "S", 0, "at most S seconds in all (60)", 0},
    {0}};

const struct verb verb_redrive = {
    .name = "redrive",
    .group = OPERATION,
    .examples = "redrive SERVICE --timeout 5",
    .summary = "retry parked events now",
    .args = "[SERVICE]",
    .options = redrive_options,
    .parse = parse_redrive,
    .words_max = 1,
    .notes = "exits 0 if all were handled, 1 if some are still parked, 66 if "
             "there is no such event, 69 if a service is down, 75 if one does "
             "not answer, or can record nothing more",
    .run = run_redrive};

/* ---- accept ------------------------------------------------------------- */

static int run_accept(struct saga *saga)
{
    const char *service, *source;
    json_t *ask, *reply;
    int code = saga_parse(saga, NULL);

    if (code != SAGA_YES)
        return code;
    if (saga->word_count < 2)
        return saga_missing(saga, saga->word_count == 0 ? "SERVICE and SOURCE"
                                                        : "SOURCE");
    service = saga->words[0];
    source = saga->words[1];
    if (saga_service_number(service) < 0)
        return saga_no_service(saga, service);
    if (saga_service_number(source) < 0)
        return saga_no_service(saga, source);
    ask = json_pack("{s:s,s:s}", "do", "accept", "source", source);
    reply = saga_ask_on(saga, service, "cmd", ask, CONTROL_MS, &code);
    json_decref(ask);
    if (reply == NULL)
        return code;
    if (saga->json) {
        saga_print_json(reply);
        return SAGA_YES;
    }
    hint_print("%s continues after #%" PRId64
               " of %s's log; it had consumed the old one up to #%" PRId64
               ".\nEvents that it consumed and %s lost are not recovered; list "
               "the affected %ss:  ./saga check\n",
               service, json_number(reply, "seq"), source,
               json_number(reply, "was"), source, saga_noun());
    json_decref(reply);
    return SAGA_YES;
}

const struct verb verb_accept = {
    .name = "accept",
    .group = OPERATION,
    .examples = "accept SERVICE SOURCE",
    .summary = "let SERVICE continue with SOURCE's log as it is now",
    .args = "SERVICE SOURCE",
    .words_max = 2,
    .notes =
        "For a stream that diverged: a restored backup, another database.  "
        "SERVICE reads SOURCE's log first, in case it has not noticed yet.  "
        "Events that SERVICE consumed and SOURCE lost are not recovered; `saga "
        "check` then names the affected sagas.",
    .run = run_accept};

/* ---- shutdown ----------------------------------------------------------- */

/* Whether it is gone within END_MS: the process, or, where that cannot be
 * seen, whatever answers. */
static bool is_gone(struct saga *saga, const char *service,
                    const struct holder *holder)
{
    uint64_t deadline_ms = saga_mono_ms() + END_MS;
    struct timespec pause = {.tv_nsec = 20000000};
    json_t *ask = json_pack("{s:s}", "get", "status");
    bool gone = false;

    if (holder->pidfd >= 0)
        gone = holder_ended(holder, END_MS);
    while (holder->pidfd < 0 && !gone && saga_mono_ms() < deadline_ms) {
        json_t *reply = NULL;

        gone = !saga_runs(saga, service) &&
               client_ask(saga->client, service, "qry", ask, 100, &reply) ==
                   EVT_NONE;
        json_decref(reply);
        nanosleep(&pause, NULL);
    }
    json_decref(ask);
    return gone;
}

/* Ends one service; *was_down (may be NULL) takes "it does not run" as well.
 * The process is found before it is told, so no other process can be taken for
 * it.  One that was paused may end by what another asked before: then nobody
 * answers, and it has stopped. */
static int shut_down(struct saga *saga, const char *service, bool *was_down)
{
    struct holder holder = {.pidfd = -1};
    json_t *ask = json_pack("{s:s}", "do", "shutdown"), *reply = NULL;
    enum evt_status found = saga_holder(saga, service, &holder);
    enum evt_status rc =
        client_ask(saga->client, service, "cmd", ask, SHUTDOWN_MS, &reply);
    bool told = rc == EVT_OK && json_object_get(reply, "error") == NULL;
    bool ended =
        told ? is_gone(saga, service, &holder)
             : found == EVT_OK &&
                   holder_ended(&holder, rc == EVT_NONE ? ENDING_MS : 0);

    json_decref(ask);
    json_decref(reply);
    if (found == EVT_OK)
        close(holder.pidfd);
    if (was_down != NULL)
        *was_down = rc == EVT_NONE && !ended;
    if (ended || (rc == EVT_NONE && was_down != NULL))
        return SAGA_YES;
    if (!told)
        return saga_no_answer(saga, service, rc == EVT_OK ? EVT_BAD : rc);
    return saga_fail(saga, SAGA_TRY_AGAIN,
                     "%s-svc was told to stop and has not after %d s", service,
                     END_MS / 1000);
}

struct shutdown {
    bool all, force;
};

static error_t parse_shutdown(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct shutdown *shutdown = saga->options;

    (void)arg;
    if (key == 'a')
        shutdown->all = true;
    else if (key == 'f')
        shutdown->force = true;
    else
        return ARGP_ERR_UNKNOWN;
    return SAGA_YES;
}

/* Takes the words; *only: the service to end; -1: all. */
static int services_to_end(struct saga *saga, struct shutdown *shutdown,
                           int *only)
{
    int code = saga_parse(saga, shutdown);

    *only = -1;
    if (code != SAGA_YES)
        return code;
    if (shutdown->all && saga->word_count > 0)
        return saga_unexpected(saga, saga->words[0]);
    if (!shutdown->all && saga->word_count == 0)
        return saga_missing(saga, "SERVICE or --all");
    if (shutdown->force)
        return SAGA_YES;
    if (saga->word_count > 1)
        return saga_unexpected(saga, saga->words[1]);
    return saga_one_service(saga, only);
}

/* Says what became of each, in any case. */
static int end_by_force(struct saga *saga, bool all)
{
    json_t *done = json_object(), *how;
    int code = all ? saga_end_all(saga, done) : saga_end(saga, done);
    const char *name;

    if (saga->json && code != SAGA_USAGE)
        saga_print_json(json_incref(done));
    else if (!saga->json)
        json_object_foreach(done, name, how)
            printf("%s: %s\n", name, json_string_value(how));
    json_decref(done);
    return code;
}

/* What fails does not keep the others from being asked: with @all it is
 * reported on stderr, and @done has what became of each. */
static int end_one(struct saga *saga, const char *service, bool all,
                   json_t *done)
{
    struct saga asking = *saga;
    bool was_down = false;
    int code;

    asking.json = saga->json && !all;
    code = shut_down(&asking, service, all ? &was_down : NULL);
    if (code == SAGA_YES && !saga->json)
        printf("%s-svc %s\n", service,
               was_down ? "was not running" : "has stopped");
    json_object_set_new(done, service,
                        json_string(was_down           ? "was down"
                                    : code == SAGA_YES ? "ended"
                                                       : "runs"));
    return code;
}

static int run_shutdown(struct saga *saga)
{
    struct shutdown shutdown = {.all = false};
    int only, code = services_to_end(saga, &shutdown, &only);
    json_t *done;

    if (code == SAGA_YES && shutdown.force)
        return end_by_force(saga, shutdown.all);
    if (code != SAGA_YES)
        return code;
    done = json_object();
    for (unsigned i = 0; i < saga_services(); i++)
        if (only < 0 || i == (unsigned)only) {
            int one = end_one(saga, saga_service(i), only < 0, done);

            code = one != SAGA_YES ? one : code;
        }
    if (saga->json && (code == SAGA_YES || only < 0))
        saga_print_json(json_incref(done));
    json_decref(done);
    return code;
}

static const struct argp_option shutdown_options[] = {
    {"all", 'a', NULL, OPTION_NO_USAGE, "all that run in the data directory",
     0},
    {"force", 'f', NULL, 0,
     "end processes by signals: what has not ended after a second is killed",
     0},
    {0}};

const struct verb verb_shutdown = {
    .name = "shutdown",
    .group = OPERATION,
    .examples = "shutdown SERVICE\n"
                "shutdown --all",
    .summary = "stop a service; it finishes its batch first",
    .args = "SERVICE|--all",
    .options = shutdown_options,
    .parse = parse_shutdown,
    .words_max = WORDS_MAX,
    .notes = "exits 0 if it has stopped, 69 if it was not running (with --all: "
             "0), 75 if it has not stopped within 10 s",
    .run = run_shutdown};
