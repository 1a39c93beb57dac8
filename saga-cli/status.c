/* status.c - `saga status` and `saga wait`: health, and waiting for the end.
 *
 * No service knows the state of the whole.  Each one reports how long its own
 * log is and how far it has read the others'; comparing these answers tells
 * whether anything is left to do. */
#include "saga-cli/story.h"
#include "saga-cli/verbs.h"

#include "log/store.h"
#include "stream/subscription.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static json_t *ask(struct saga *saga, const char *service, const char *what,
                   int timeout_ms, enum evt_status *rc)
{
    json_t *request = json_pack("{s:s}", "get", what), *reply = NULL;

    *rc = saga_ask_view(saga, service, request, timeout_ms, &reply);
    json_decref(request);
    return reply;
}

/* ---- saga status --------------------------------------------------------- */

struct health {
    bool asked;
    json_t *before; /* what it said first, for the head of its log; owned */
    json_t *status; /* NULL: it does not answer; owned */
    enum evt_status rc;
};

/* Whether this one is looked at: a lone read side is of one service. */
static bool looked_at(const struct saga *saga, const char *service)
{
    char path[4096];

    if (saga->read_side == NULL)
        return true;
    snprintf(path, sizeof path, "%s/%s.qry", saga->read_side, service);
    return access(path, F_OK) == 0;
}

/* Asks the services but @but (-1: all of them) for the heads of their logs: a
 * reader knows only of what it has heard.  Returns whether none was waited for
 * in vain. */
static bool ask_for_heads(struct saga *saga, struct health health[], int but,
                          int timeout_ms)
{
    json_t *request = json_pack("{s:s}", "get", "status");
    bool at_once = true;

    for (unsigned i = 0; i < saga_services(); i++)
        if ((int)i != but) {
            health[i].rc = client_ask(saga->client, saga_service(i), "qry",
                                      request, timeout_ms, &health[i].before);
            at_once = at_once && health[i].rc != EVT_BUSY;
        }
    json_decref(request);
    return at_once;
}

static void ask_for_status(struct saga *saga, struct health health[],
                           unsigned i)
{
    health[i].asked = true;
    health[i].status =
        ask(saga, saga_service(i), "status", 1000, &health[i].rc);
}

/* The heads are asked for before the positions, so that no lag is greater than
 * it is.  What has not answered by then is not waited for again. */
static void ask_all(struct saga *saga, struct health health[])
{
    (void)ask_for_heads(saga, health, -1, 1000);
    for (unsigned i = 0; i < saga_services(); i++) {
        health[i].asked = looked_at(saga, saga_service(i));
        if (health[i].asked &&
            (health[i].before != NULL || saga->read_side != NULL))
            ask_for_status(saga, health, i);
    }
}

/* Its own state comes first: another service may be paused. */
static void ask_one(struct saga *saga, struct health health[], unsigned i)
{
    int but = saga->read_side == NULL ? (int)i : -1; /* it has no log */
    json_t *first;

    ask_for_status(saga, health, i);
    first = health[i].status;
    if (first == NULL || !ask_for_heads(saga, health, but, 250))
        return;
    ask_for_status(saga, health, i);
    if (health[i].status != NULL)
        json_decref(first);
    else
        health[i].status = first;
}

/* The head of @source's log, if it is the log named @id; otherwise 0. */
static int64_t told_head(const struct health health[], const char *source,
                         const char *id)
{
    int i = saga_service_number(source);
    const json_t *log;

    if (i < 0)
        return 0;
    log = json_object_get(
        health[i].before != NULL ? health[i].before : health[i].status, "log");
    return strcmp(json_text(log, "id"), id) == 0 ? json_number(log, "head") : 0;
}

static int64_t raise_head(json_t *object, const char *name, int64_t head)
{
    if (head > json_number(object, name))
        json_object_set_new(object, name, json_integer(head));
    return json_number(object, name);
}

/* Counts the lag in @status to the logs' heads, not to those heard. */
static void count_to_heads(json_t *status, const struct health health[])
{
    json_t *view = json_object_get(status, "view"), *at, *feed;
    const char *source;
    int64_t lag = 0, head;
    size_t i;

    json_object_foreach(json_object_get(view, "positions"), source, at)
    {
        head = raise_head(json_object_get(view, "heads"), source,
                          told_head(health, source, json_text(at, "log")));
        if (head > json_number(at, "seq"))
            lag += head - json_number(at, "seq");
    }
    if (view != NULL)
        json_object_set_new(view, "lag", json_integer(lag));
    json_array_foreach(json_object_get(status, "feeds"), i, feed)
    {
        head = told_head(health, json_text(feed, "source"),
                         json_text(feed, "log"));
        (void)raise_head(feed, "head", head);
    }
}

/* "this, that": whom the service has heard from of late. */
static void heard_text(const json_t *status, char *text, size_t size)
{
    const json_t *sub;
    size_t i, at = 0;

    text[0] = '\0';
    json_array_foreach(json_object_get(status, "feeds"), i, sub)
    {
        const json_t *ago = json_object_get(sub, "heard_ms_ago");
        const char *name = json_text(sub, "source");

        if (at >= size)
            break;
        if (!json_is_integer(ago))
            at += (size_t)snprintf(text + at, size - at, "%s%s never",
                                   at > 0 ? ", " : "", name);
        else if (json_integer_value(ago) > SUBSCRIPTION_LOST_MS)
            at += (size_t)snprintf(text + at, size - at, "%s%s %.0f s ago",
                                   at > 0 ? ", " : "", name,
                                   (double)json_integer_value(ago) / 1000);
        else
            at += (size_t)snprintf(text + at, size - at, "%s%s",
                                   at > 0 ? ", " : "", name);
    }
}

static void read_side_text(const json_t *status, char *text, size_t size)
{
    const json_t *view = json_object_get(status, "view");
    int64_t lag = json_number(view, "lag");

    if (json_is_true(json_object_get(view, "rebuilding")))
        snprintf(text, size, "rebuilding");
    else if (lag > 0)
        snprintf(text, size, "%" PRId64 " behind", lag);
    else
        snprintf(text, size, "up to date");
}

/* What is wrong with a service that runs, one line each. */
static void print_troubles(const char *service, const json_t *status)
{
    const char *state = json_text(status, "state");
    const json_t *view = json_object_get(status, "view"), *sub;
    size_t i;

    /* Only writing shows that there is room again. */
    if (strcmp(state, "storage full") == 0)
        printf("  ! %s: storage full at its last attempt to record; it resumes "
               "by itself\n",
               service);
    else if (strcmp(state, "starting") == 0)
        printf("    %s is starting: commands wait\n", service);
    else if (state[0] != '\0' && strcmp(state, "running") != 0)
        printf("  ! %s: %s\n", service, state);
    json_array_foreach(json_object_get(status, "feeds"), i, sub)
    {
        const char *source = json_text(sub, "source");
        int64_t behind = json_number(sub, "head") - json_number(sub, "seq");

        if (json_text(sub, "trouble")[0] != '\0')
            hint_print(
                "  ! %s has stopped reading %s: %s  (./saga accept %s %s)\n",
                service, source, json_text(sub, "trouble"), service, source);
        else if (behind > 0)
            printf("    %s is %" PRId64 " event%s behind %s\n", service, behind,
                   behind == 1 ? "" : "s", source);
    }
    if (json_number(status, "parked") > 0)
        hint_print("  ! %s has parked %" PRId64
                   " event%s  (./saga parked %s)\n",
                   service, json_number(status, "parked"),
                   json_number(status, "parked") == 1 ? "" : "s", service);
    if (json_text(view, "trouble")[0] != '\0')
        printf("  ! %s's read side: %s\n", service, json_text(view, "trouble"));
}

/* Whether run.sh has given a service up, and the last that it logged: until it
 * is started again, which removes the file. */
static bool is_given_up(const struct saga *saga, const char *service,
                        char *words, size_t size)
{
    char path[4096], line[256] = "";
    FILE *file;

    snprintf(path, sizeof path, "%s/%s/given-up", saga->directory, service);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(line, sizeof line, file) != NULL)
        line[strcspn(line, "\n")] = '\0';
    fclose(file);
    (void)text_plain(line, false, words, size);
    return true;
}

bool saga_given_up(const struct saga *saga, const char *service, char *what,
                   size_t size)
{
    char words[512], start[START_BYTES];

    if (saga_runs(saga, service) ||
        !is_given_up(saga, service, words, sizeof words))
        return false;
    snprintf(what, size,
             "%s-svc was given up after 5 deaths in 30 s (%.100s); start it "
             "with '%s'",
             service, words, start_hint(saga, service, start));
    return true;
}

/* For programs: of each service that was given up, why and what starts it. */
static json_t *given_up_json(const struct saga *saga,
                             const struct health health[])
{
    json_t *all = json_object();
    char words[512], start[START_BYTES];

    for (unsigned i = 0; i < saga_services(); i++) {
        const char *service = saga_service(i);

        if (health[i].asked && health[i].rc == EVT_NONE &&
            is_given_up(saga, service, words, sizeof words))
            json_object_set_new(all, service,
                                json_pack("{s:s,s:s}", "said", words, "start",
                                          start_hint(saga, service, start)));
    }
    return all;
}

/* A service without an answer, and how to get one. */
static void print_silent(const struct saga *saga, const char *service,
                         enum evt_status rc)
{
    char start[START_BYTES], pid[16] = "-", words[512];
    int known = saga_pid(saga, service);

    if (known > 0)
        snprintf(pid, sizeof pid, "%d", known);
    printf("  %-11s %-6s ", service, pid);
    if (rc == EVT_NONE && is_given_up(saga, service, words, sizeof words))
        printf("given up, it died 5 times in 30 s: %s  (start it: %s)\n", words,
               start_hint(saga, service, start));
    else if (rc == EVT_NONE)
        printf("down  (start it: %s)\n", start_hint(saga, service, start));
    else if (rc != EVT_BUSY)
        puts("sent a malformed answer");
    else
        hint_print(
            "is running but does not answer  (paused? ./saga signal %s CONT "
            "wakes it)\n",
            service);
}

static void print_service(const struct saga *saga, const char *service,
                          const struct health *health)
{
    char log[32], read_side[64], heard[128], number[24];
    const json_t *status = health->status;
    int64_t head, pid;

    if (status == NULL) {
        print_silent(saga, service, health->rc);
        return;
    }
    /* In another PID namespace it has another pid for itself. */
    pid = saga_pid(saga, service);
    if (pid == 0 && !saga_runs(saga, service))
        pid = json_number(status, "pid");
    snprintf(number, sizeof number, "%" PRId64, pid);
    head = json_number(json_object_get(status, "log"), "head");
    snprintf(log, sizeof log, "%" PRId64 " event%s", head,
             head == 1 ? "" : "s");
    read_side_text(status, read_side, sizeof read_side);
    heard_text(status, heard, sizeof heard);
    printf("  %-11s %-6s %-14s %-16s %s\n", service, pid > 0 ? number : "-",
           saga->read_side != NULL ? "-" : log, read_side, heard);
}

static int print_health(const struct saga *saga, const struct health health[])
{
    json_t *services = json_object();
    int code = SAGA_YES, shown = 0;

    if (!saga->json)
        printf("  %-11s %-6s %-14s %-16s %s\n", "service", "pid", "log",
               "read side", "heard from the others");
    for (unsigned i = 0; i < saga_services(); i++) {
        const char *service = saga_service(i);

        if (!health[i].asked)
            continue;
        shown++;
        if (health[i].status == NULL)
            code = health[i].rc == EVT_BUSY ? SAGA_TRY_AGAIN : SAGA_NOT_RUNNING;
        else if (code == SAGA_YES &&
                 strcmp(json_text(health[i].status, "state"), "starting") == 0)
            code = SAGA_TRY_AGAIN;
        if (saga->json)
            json_object_set_new(services, service,
                                health[i].status != NULL
                                    ? json_incref(health[i].status)
                                    : json_null());
        else
            print_service(saga, service, &health[i]);
    }
    for (unsigned i = 0; i < saga_services() && !saga->json; i++)
        if (health[i].status != NULL)
            print_troubles(saga_service(i), health[i].status);
    if (saga->json)
        saga_print_json(json_pack("{s:O,s:b,s:o}", "services", services,
                                  "running", code == SAGA_YES && shown > 0,
                                  "given_up", given_up_json(saga, health)));
    json_decref(services);
    return shown > 0 ? code : SAGA_NOT_RUNNING;
}

static int run_status(struct saga *saga)
{
    struct health health[SERVICES_MAX] = {{.rc = EVT_NONE}};
    int code = saga_parse(saga, NULL), only = -1;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count == 1)
        only = saga_service_number(saga->words[0]);
    if (saga->word_count == 1 && only < 0)
        return saga_no_service(saga, saga->words[0]);
    if (only < 0)
        ask_all(saga, health);
    else if (looked_at(saga, saga_service((unsigned)only)))
        ask_one(saga, health, (unsigned)only);
    for (unsigned i = 0; i < saga_services(); i++)
        count_to_heads(health[i].status, health);
    code = print_health(saga, health);
    for (unsigned i = 0; i < saga_services(); i++) {
        json_decref(health[i].status);
        json_decref(health[i].before);
    }
    return code;
}

const struct verb verb_status = {
    .name = "status",
    .group = QUERIES,
    .examples = "status\n"
                "status SERVICE",
    .summary = "show health, heads, cursors and lag",
    .args = "[SERVICE]",
    .words_max = 1,
    .notes = "exits 0 if all run, 69 if one is down, 75 if "
             "one does not answer or is starting",
    .run = run_status};

/* ---- saga wait ---------------------------------------------------------- */

/* Everything at one look.  What is on the disk counts, not what is in memory:
 * one who waits wants to read the files next. */
struct look {
    struct position head[SERVICES_MAX];
    struct position cursor[SERVICES_MAX]
                          [SERVICES_MAX]; /* [reader][publisher] */
    struct position view[SERVICES_MAX][SERVICES_MAX];
    bool reads[SERVICES_MAX][SERVICES_MAX]; /* the reader listens to it */
    bool views[SERVICES_MAX][SERVICES_MAX]; /* its view is made from it */
};

static bool listens(const struct service *service, const char *source)
{
    for (size_t i = 0; service->listens_to[i] != NULL; i++)
        if (strcmp(service->listens_to[i], source) == 0)
            return true;
    return false;
}

static bool read_position(const json_t *json, struct position *at)
{
    memset(at, 0, sizeof *at);
    at->seq = (uint64_t)json_number(json, "seq");
    return text_parse_hex(json_text(json, "log"), at->log_id, LOG_ID_BYTES);
}

/* The log's head and the cursors beside it, at one instant of the file. */
static bool look_at_log(struct saga *saga, unsigned i, struct look *look,
                        char *what, size_t size)
{
    json_t *request = json_pack("{s:s,s:I,s:i}", "get", "log", "after",
                                (json_int_t)INT64_MAX, "limit", 1);
    const char *name = saga_service(i);
    json_t *reply = NULL;
    enum evt_status rc =
        client_ask(saga->client, name, "qry", request, 1000, &reply);
    bool good = rc == EVT_OK && json_object_get(reply, "error") == NULL;

    if (good) {
        good = text_parse_hex(json_text(reply, "log"), look->head[i].log_id,
                              LOG_ID_BYTES);
        look->head[i].seq = (uint64_t)json_number(reply, "head");
        for (unsigned p = 0; p < saga_services(); p++)
            (void)read_position(
                json_object_get(json_object_get(reply, "cursors"),
                                saga_service(p)),
                &look->cursor[i][p]); /* none: nothing consumed */
    }
    if (!good && (rc != EVT_NONE || !saga_given_up(saga, name, what, size)))
        snprintf(what, size, "%s-svc %s", name,
                 rc == EVT_NONE ? "is down" : "does not answer");
    json_decref(reply);
    json_decref(request);
    return good;
}

static bool look_at_view(struct saga *saga, unsigned i, struct look *look,
                         char *what, size_t size)
{
    enum evt_status rc;
    json_t *status = ask(saga, saga_service(i), "status", 1000, &rc);
    const json_t *positions =
        json_object_get(json_object_get(status, "view"), "positions");

    for (unsigned p = 0; p < saga_services(); p++) {
        const json_t *position = json_object_get(positions, saga_service(p));

        look->reads[i][p] = listens(saga_tables(saga)[i], saga_service(p));
        look->views[i][p] = position != NULL;
        if (!read_position(position, &look->view[i][p]))
            memset(&look->view[i][p], 0, sizeof look->view[i][p]);
    }
    if (status == NULL)
        snprintf(what, size, "%s-svc does not answer", saga_service(i));
    json_decref(status);
    return status != NULL;
}

static bool same(const struct position *a, const struct position *b)
{
    return a->seq == b->seq && memcmp(a->log_id, b->log_id, LOG_ID_BYTES) == 0;
}

static bool at_head(const char *who, const char *publisher,
                    const struct position *at, const struct position *head,
                    char *what, size_t size)
{
    /* Nothing written and nothing read is as far as one can be. */
    if (same(at, head) || (head->seq == 0 && at->seq == 0))
        return true;
    if (memcmp(at->log_id, head->log_id, LOG_ID_BYTES) != 0 && at->seq > 0)
        snprintf(what, size, "%s has read a different log of %s", who,
                 publisher);
    else if (at->seq > head->seq)
        snprintf(what, size, "%s is ahead of %s's log", who, publisher);
    else
        snprintf(what, size, "%s is %" PRIu64 " event%s behind %s", who,
                 head->seq - at->seq, head->seq - at->seq == 1 ? "" : "s",
                 publisher);
    return false;
}

/* Whether every cursor and view is at every head; if not, *what says which
 * is not. */
static bool all_at_heads(const struct look *look, char *what, size_t size)
{
    for (unsigned i = 0; i < saga_services(); i++)
        for (unsigned p = 0; p < saga_services(); p++) {
            char view[64];

            if (look->reads[i][p] &&
                !at_head(saga_service(i), saga_service(p), &look->cursor[i][p],
                         &look->head[p], what, size))
                return false;
            snprintf(view, sizeof view, "%s's read side", saga_service(i));
            if (look->views[i][p] &&
                !at_head(view, saga_service(p), &look->view[i][p],
                         &look->head[p], what, size))
                return false;
        }
    return true;
}

/* Not asked any more after @deadline_ms: *what stays as it was. */
static bool take_look(struct saga *saga, int64_t deadline_ms, struct look *look,
                      char *what, size_t size)
{
    memset(look, 0, sizeof *look);
    for (unsigned i = 0; i < 2 * saga_services(); i++) {
        unsigned n = i % saga_services();

        if ((int64_t)saga_mono_ms() >= deadline_ms)
            return false;
        if (i < saga_services() ? !look_at_log(saga, n, look, what, size)
                                : !look_at_view(saga, n, look, what, size))
            return false;
    }
    return all_at_heads(look, what, size);
}

/* Twice in a row with the same heads: an event that was on its way during the
 * first look has been appended or consumed by the second. */
bool saga_is_quiet(struct saga *saga, int64_t deadline_ms, char *what,
                   size_t size)
{
    struct look first, second;

    if (!take_look(saga, deadline_ms, &first, what, size) ||
        !take_look(saga, deadline_ms, &second, what, size))
        return false;
    for (unsigned i = 0; i < saga_services(); i++)
        if (!same(&first.head[i], &second.head[i])) {
            snprintf(what, size, "%s still appends", saga_service(i));
            return false;
        }
    return true;
}

static int wait_quiet(struct saga *saga, int64_t timeout_s)
{
    int64_t begun = (int64_t)saga_mono_ms(),
            deadline = begun + timeout_s * 1000;
    struct timespec pause = {.tv_nsec = 20000000};
    char what[2 * START_BYTES] = "the services answered too slowly";

    while (!saga_is_quiet(saga, deadline, what, sizeof what)) {
        if ((int64_t)saga_mono_ms() >= deadline)
            return saga_fail(saga, SAGA_TRY_AGAIN,
                             "not quiet after %" PRId64
                             " s: %s ('./saga status' shows more)",
                             timeout_s, what);
        nanosleep(&pause, NULL);
    }
    if (saga->json)
        saga_print_json(
            json_pack("{s:b,s:I}", "quiet", 1, "waited_ms",
                      (json_int_t)((int64_t)saga_mono_ms() - begun)));
    else
        printf("quiet: every cursor and every view is at the head\n");
    return SAGA_YES;
}

/* Whether no service has anything to do for it any more.  Not SAGA_YES: it was
 * reported. */
static int is_settled(struct saga *saga, const char *id, bool *settled)
{
    struct story story;
    int code = story_read(saga, id, &story);
    const struct event *set;

    if (code != SAGA_YES)
        return code;
    *settled = flow_timer(story.services, saga_services(), story.events,
                          story.count, &set) == NULL;
    for (size_t i = 0; i < story.gap_count; i++)
        *settled = *settled && !story_gap_is_open(&story, i);
    story_free(&story);
    return SAGA_YES;
}

/* Of a saga whose domain does not say when it has ended. */
static int wait_settled(struct saga *saga, const char *id, int64_t timeout_s)
{
    int64_t deadline = (int64_t)saga_mono_ms() + timeout_s * 1000;
    struct timespec pause = {.tv_nsec = 50000000};
    bool settled = false;
    int code = is_settled(saga, id, &settled);

    while (code == SAGA_YES && !settled && (int64_t)saga_mono_ms() < deadline) {
        nanosleep(&pause, NULL);
        code = is_settled(saga, id, &settled);
    }
    if (code != SAGA_YES)
        return code;
    if (!settled)
        return saga_fail(saga, SAGA_TRY_AGAIN,
                         "services still have something to do for %s after "
                         "%" PRId64 " s ('./saga why %s')",
                         id, timeout_s, id);
    if (saga->json)
        saga_print_json(json_pack("{s:s,s:b}", "order", id, "settled", 1));
    else
        printf("%s: no service has anything left to do for it\n", id);
    return SAGA_YES;
}

struct waiting {
    bool quiet;
    int64_t timeout_s;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct waiting *waiting = saga->options;

    if (key == 't')
        return saga_take_number(saga, "timeout", arg, 1, 86400,
                                &waiting->timeout_s);
    if (key != 'q')
        return ARGP_ERR_UNKNOWN;
    waiting->quiet = true;
    return SAGA_YES;
}

static int missing_id(const struct saga *saga)
{
    char words[64];

    snprintf(words, sizeof words, "%.*s or --quiet",
             (int)strcspn(saga->verb->args, "|"), saga->verb->args);
    return saga_missing(saga, words);
}

static int run_wait(struct saga *saga)
{
    struct waiting waiting = {.timeout_s = 30};
    int code = saga_parse(saga, &waiting);

    if (code != SAGA_YES)
        return code;
    if (waiting.quiet && saga->word_count > 0)
        return saga_unexpected(saga, saga->words[0]);
    if (waiting.quiet)
        return wait_quiet(saga, waiting.timeout_s);
    if (saga->word_count == 0)
        return missing_id(saga);
    if (!text_is_id(saga->words[0], ID_BYTES))
        return saga_fail(saga, SAGA_USAGE, "'%s' is not %s id", saga->words[0],
                         saga_a_saga());
    return saga_tool()->wait != NULL
               ? saga_tool()->wait(saga, saga->words[0], waiting.timeout_s)
               : wait_settled(saga, saga->words[0], waiting.timeout_s);
}

static const struct argp_option options[] = {
    {"quiet", 'q', NULL, OPTION_NO_USAGE,
     "until all cursors and views are saved at the heads, twice in a row; "
     "`saga check --final` then finds nothing under way",
     0},
    {"timeout", 't', "S", 0, "at most S seconds (30)", 0},
    {0}};

const struct verb verb_wait = {
    .name = "wait",
    .group = QUERIES,
    .examples = "wait SAGA --timeout 5\n"
                "wait --quiet",
    .summary = "wait until a saga has ended, or everything is done",
    .args = "SAGA|--quiet",
    .options = options,
    .parse = parse,
    .words_max = 1,
    .notes = "exits 0 when it is so, 75 on timeout",
    .run = run_wait};
