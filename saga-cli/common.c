/* common.c - shared by the verbs: errors, requests, reading files, text. */
#include "saga-cli/saga.h"

#include "net/address.h"
#include "read/log_query.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FRESH_MS = 2000, /* how long a view is given to catch up */
    LEAST_MS = 250   /* how long anybody has for an answer */
};

static bool printed; /* a JSON value was */

int saga_fail(const struct saga *saga, int code, const char *format, ...)
{
    char text[2 * START_BYTES], plain[2 * sizeof text];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hint_from_here(text, sizeof text);
    (void)text_plain(text, false, plain, sizeof plain);
    if (saga->json && !printed) /* there is to be one value */
        saga_print_json(json_pack("{s:s,s:i}", "error", plain, "code", code));
    else
        fprintf(stderr, "saga: %s\n", plain);
    return code;
}

json_t *saga_json_text(const char *text)
{
    size_t size = 4 * strlen(text) + 1;
    char *plain = malloc(size);
    json_t *json;

    if (plain == NULL)
        abort();
    json = json_string(text_plain(text, true, plain, size));
    free(plain);
    return json;
}

void saga_print_json(json_t *json)
{
    printed = true;
    if (json == NULL) /* a programmer's error, but never an empty line */
        json = json_pack("{s:s,s:i}", "error", "an answer without text", "code",
                         SAGA_IO);
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

/* Members of @from and null for those that it lacks. */
static json_t *with_all(const json_t *from, const char *const names[])
{
    json_t *all = json_object();

    for (size_t i = 0; names[i] != NULL; i++) {
        json_t *value = json_object_get(from, names[i]);

        json_object_set_new(all, names[i],
                            value != NULL ? json_incref(value) : json_null());
    }
    return all;
}

json_t *saga_event_json(const json_t *event)
{
    static const char *const names[] = {
        "source", "log",  "seq", "type",    "version", "order", "time_ms",
        "cause",  "data", "raw", "problem", "hash",    NULL};
    static const char *const causes[] = {"command", "source", "log", "seq",
                                         NULL};
    json_t *all = with_all(event, names);

    json_object_set_new(all, "cause",
                        with_all(json_object_get(event, "cause"), causes));
    return all;
}

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

int64_t json_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

bool saga_runs(const struct saga *saga, const char *service)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", saga->directory, service);
    return address_is_locked(AT_FDCWD, path, O_NONBLOCK);
}

/* Whether any service has ever run in the data directory. */
static bool has_services(const struct saga *saga)
{
    char path[4096];

    for (unsigned i = 0; i < saga_services(); i++) {
        snprintf(path, sizeof path, "%s/%s", saga->directory, saga_service(i));
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

int saga_no_services(const struct saga *saga, int code)
{
    const char *usual = saga_usual_directory();
    char start[START_BYTES], path[4096] = "";
    bool chosen = strcmp(saga->directory, usual) != 0;

    if (!chosen && usual[0] == '.' && getcwd(path, sizeof path - 8) != NULL)
        strcat(path, "/var");
    return saga_fail(saga, code, "no %s in %s%s; start one with '%s'",
                     saga_together(), path[0] != '\0' ? path : saga->directory,
                     chosen ? ""
                            : " (looked there because SAGA_DIR is not set)",
                     run_hint(saga, "", start));
}

/* Appends @rest, which may be "", to the message. */
static int no_answer(const struct saga *saga, const char *service,
                     enum evt_status rc, const char *rest)
{
    char start[START_BYTES];
    int pid = rc == EVT_BUSY ? saga_pid(saga, service) : 0;

    if (rc == EVT_NONE && !has_services(saga))
        return saga_no_services(saga, SAGA_NOT_RUNNING);
    if (rc == EVT_NONE)
        return saga_fail(saga, SAGA_NOT_RUNNING,
                         "%s-svc is not running; start it with '%s'%s", service,
                         start_hint(saga, service, start), rest);
    if (rc == EVT_BUSY && pid > 0)
        return saga_fail(
            saga, SAGA_TRY_AGAIN,
            "%s-svc (pid %d) is running but does not answer; if it is paused: "
            "kill -CONT %d ('./saga status' shows more)%s",
            service, pid, pid, rest);
    if (rc == EVT_BUSY)
        return saga_fail(
            saga, SAGA_TRY_AGAIN,
            "%s-svc is running but does not answer ('./saga status' "
            "shows more)%s",
            service, rest);
    return saga_fail(saga, SAGA_IO, "%s-svc sent a malformed answer%s", service,
                     rest);
}

int saga_not_running(const struct saga *saga, const char *service)
{
    return no_answer(saga, service, EVT_NONE, "");
}

int saga_no_answer(const struct saga *saga, const char *service,
                   enum evt_status rc)
{
    return no_answer(saga, service, rc, "");
}

int saga_no_view(const struct saga *saga, const char *service,
                 enum evt_status rc)
{
    char start[START_BYTES];

    if (saga->read_side == NULL || rc == EVT_BAD)
        return saga_no_answer(saga, service, rc);
    return saga_fail(saga, rc == EVT_NONE ? SAGA_NOT_RUNNING : SAGA_TRY_AGAIN,
                     "no read side of %s answers in %s; start one with '%s'",
                     service, saga->read_side,
                     read_side_hint(saga, service, start));
}

struct store *saga_open_log(struct saga *saga, const char *service, int *code)
{
    char path[4096], why[STORE_WHY_BYTES];
    struct store *log = NULL;
    enum evt_status rc;

    snprintf(path, sizeof path, "%s/%s/log.db", saga->directory, service);
    rc = store_open_readonly(path, service, NULL, &log, why);
    if (rc == EVT_OK)
        return log;
    if (rc == EVT_NONE)
        *code = has_services(saga)
                    ? saga_fail(saga, SAGA_NO_SUCH, "%s-svc has no log in %s",
                                service, saga->directory)
                    : saga_no_services(saga, SAGA_NO_SUCH);
    else
        *code = saga_fail(saga,
                          rc == EVT_BUSY ? SAGA_TRY_AGAIN
                          : rc == EVT_IO ? SAGA_IO
                                         : SAGA_BAD_DATA,
                          "%s", why);
    return NULL;
}

/* Whether a request can be answered from a file while the service is down. */
static bool reads_the_log(const json_t *request)
{
    const char *get = json_string_value(json_object_get(request, "get"));

    return get != NULL &&
           (strcmp(get, "log") == 0 || strcmp(get, "parked") == 0);
}

static json_t *ask_the_file(struct saga *saga, const char *service,
                            const json_t *request, int *code)
{
    struct store *log = saga_open_log(saga, service, code);
    json_t *reply;

    if (log == NULL)
        return NULL;
    reply = log_query(saga_domain(), log, request);
    store_close(log);
    return reply;
}

json_t *saga_ask_file(const struct saga *saga, const char *service,
                      const json_t *request)
{
    char path[4096], why[STORE_WHY_BYTES];
    struct store *log = NULL;
    json_t *reply = NULL;

    snprintf(path, sizeof path, "%s/%s/log.db", saga->directory, service);
    if (store_open_readonly(path, service, NULL, &log, why) == EVT_OK)
        reply = log_query(saga_domain(), log, request);
    store_close(log);
    return reply;
}

/* An {"error","code"} answer, reported and released. */
static json_t *report(const struct saga *saga, json_t *reply, int *code)
{
    const json_t *error = json_object_get(reply, "error");

    if (error == NULL)
        return reply;
    *code = (int)json_integer_value(json_object_get(reply, "code"));
    if (*code == 0)
        *code = SAGA_IO;
    (void)saga_fail(saga, *code, "%s", json_string_value(error));
    json_decref(reply);
    return NULL;
}

enum {
    LOOK_MS = 1500, /* who does not answer within that is named */
    LONG_MS = 5000  /* what may take longer is not waited for in silence */
};

void saga_tell_whom_we_wait_for(struct saga *saga, const char *service)
{
    json_t *ask = json_pack("{s:s}", "get", "status"), *reply = NULL;
    enum evt_status rc = client_ask(saga->client, service, "qry", ask,
                                    saga_within(saga, LOOK_MS), &reply);
    int pid = rc == EVT_BUSY ? saga_pid(saga, service) : 0;

    json_decref(ask);
    json_decref(reply);
    if (pid > 0)
        fprintf(stderr,
                "saga: waiting for %s-svc (pid %d), which does not answer; if "
                "it is paused: kill -CONT %d\n",
                service, pid, pid);
}

json_t *saga_ask_on(struct saga *saga, const char *service, const char *socket,
                    const json_t *request, int timeout_ms, int *code)
{
    uint64_t deadline_ms =
        saga_mono_ms() + (uint64_t)saga_within(saga, SAGA_PATIENCE_MS);
    struct timespec pause = {.tv_nsec = 20000000};
    json_t *asked = json_deep_copy(request), *reply = NULL, *again;
    enum evt_status rc;

    if (timeout_ms > LONG_MS)
        saga_tell_whom_we_wait_for(saga, service);
    for (;;) {
        rc = client_ask(saga->client, service, socket, asked,
                        saga_within(saga, timeout_ms), &reply);
        again = rc == EVT_OK ? json_object_get(reply, "again") : NULL;
        if (again == NULL || saga_mono_ms() > deadline_ms)
            break;
        json_object_update(asked, again);
        json_decref(reply);
        nanosleep(&pause, NULL);
    }
    json_decref(asked);
    if (rc == EVT_OK)
        return report(saga, reply, code);
    *code = saga_no_answer(saga, service, rc);
    return NULL;
}

int saga_within(const struct saga *saga, int timeout_ms)
{
    uint64_t now = saga_mono_ms(), left;

    if (saga->deadline_ms == 0)
        return timeout_ms;
    left = saga->deadline_ms > now ? saga->deadline_ms - now : 0;
    left = left > LEAST_MS ? left : LEAST_MS;
    return left < (uint64_t)timeout_ms ? (int)left : timeout_ms;
}

static bool passes(const struct answer *answer)
{
    return answer->code == ANSWER_BUSY || answer->code == ANSWER_FULL;
}

/* No answer is not a no: a service that died had perhaps committed, and one
 * that is slow may do so yet.  A client that asks again has to do so under the
 * same id. */
enum saga_sent saga_send(struct saga *saga, const char *service,
                         const struct command commands[], size_t count,
                         struct answer answers[], enum evt_status *rc)
{
    struct timespec pause = {.tv_nsec = 20000000};
    bool ran = false, unheard = false;

    for (;;) {
        size_t passing = 0;

        ran = saga_runs(saga, service) || ran;
        *rc = client_command(saga->client, service, commands, count,
                             saga_within(saga, 2000), answers);
        if (*rc != EVT_OK && *rc != EVT_BUSY)
            return ran ? SENT_UNKNOWN : SENT_NOTHING;
        for (size_t i = 0; *rc == EVT_OK && i < count; i++)
            passing += passes(&answers[i]);
        if (*rc == EVT_OK && passing == 0)
            return SENT_ANSWERED;
        unheard = unheard || *rc == EVT_BUSY;
        if (saga_mono_ms() > saga->deadline_ms) {
            enum saga_sent sent = *rc == EVT_OK ? SENT_BUSY : SENT_UNKNOWN;

            *rc = unheard ? EVT_BUSY : EVT_OK;
            return sent;
        }
        nanosleep(&pause, NULL); /* back off, then under the same ids */
    }
}

int saga_not_sent(const struct saga *saga, const char *service,
                  enum saga_sent sent, enum evt_status rc,
                  const struct answer *answer)
{
    char rest[600] = "";

    if (sent == SENT_ANSWERED)
        return SAGA_YES;
    if (sent == SENT_BUSY)
        return saga_fail(saga, SAGA_TRY_AGAIN,
                         "%s-svc: %s ('./saga status' shows more)", service,
                         answer->reason);
    if (sent == SENT_UNKNOWN && saga_effect()[0] != '\0')
        snprintf(rest, sizeof rest, "; %s", saga_effect());
    return no_answer(saga, service, rc, rest);
}

static enum evt_status ask_read_side(struct saga *saga, const char *service,
                                     const json_t *request, int timeout_ms,
                                     json_t **reply)
{
    if (saga->read_side != NULL && !reads_the_log(request))
        return client_ask_read_side(saga->read_side, service, request,
                                    saga_within(saga, timeout_ms), reply);
    return client_ask(saga->client, service, "qry", request,
                      saga_within(saga, timeout_ms), reply);
}

/* Whether the answer is a fold of the log, which comes later than the log: all
 * but what every service answers by itself. */
static bool is_of_a_view(const json_t *request)
{
    static const char *const gets[] = {"", "log", "parked", "status",
                                       "description"};
    const char *get = json_text(request, "get");

    for (size_t i = 0; i < sizeof gets / sizeof gets[0]; i++)
        if (strcmp(get, gets[i]) == 0)
            return false;
    return true;
}

/* Has @request wait until the view has what @service has recorded by now. */
static enum evt_status want_fresh(struct saga *saga, const char *service,
                                  json_t *request)
{
    json_t *ask = json_pack("{s:s,s:I,s:i}", "get", "log", "after",
                            (json_int_t)INT64_MAX, "limit", 1);
    json_t *reply = NULL;
    enum evt_status rc = client_ask(saga->client, service, "qry", ask,
                                    saga_within(saga, 1000), &reply);

    if (rc == EVT_OK && json_object_get(reply, "error") == NULL)
        json_object_update_new(
            request, json_pack("{s:i,s:[{s:s,s:s,s:I}]}", "timeout_ms",
                               FRESH_MS, "after", "service", service, "log",
                               json_text(reply, "log"), "seq",
                               (json_int_t)json_number(reply, "head")));
    json_decref(reply);
    json_decref(ask);
    return rc;
}

enum evt_status saga_ask_view(struct saga *saga, const char *service,
                              const json_t *request, int timeout_ms,
                              json_t **reply)
{
    json_t *fresh;
    enum evt_status rc;

    if (!is_of_a_view(request))
        return ask_read_side(saga, service, request, timeout_ms, reply);
    fresh = json_deep_copy(request);
    rc = want_fresh(saga, service, fresh);
    if (rc == EVT_OK || saga->read_side != NULL)
        rc = ask_read_side(saga, service, fresh, timeout_ms + FRESH_MS, reply);
    json_decref(fresh);
    if (rc != EVT_OK || json_number(*reply, "code") != SAGA_TRY_AGAIN)
        return rc;
    json_decref(*reply); /* it is far behind: as it is, then */
    *reply = NULL;
    return ask_read_side(saga, service, request, timeout_ms, reply);
}

json_t *saga_ask(struct saga *saga, const char *service, const json_t *request,
                 bool *as_of, int *code)
{
    json_int_t wait =
        json_integer_value(json_object_get(request, "timeout_ms"));
    /* A log can be read without its service, so that is not waited for. */
    int timeout_ms =
        reads_the_log(request) ? 1000 : (int)(wait > 0 ? wait : 0) + 5000;
    json_t *reply = NULL;
    enum evt_status rc;

    if (as_of != NULL)
        *as_of = false;
    rc = saga_ask_view(saga, service, request, timeout_ms, &reply);
    if ((rc == EVT_NONE || rc == EVT_BUSY) && reads_the_log(request)) {
        if (as_of != NULL)
            *as_of = true;
        reply = ask_the_file(saga, service, request, code);
        return reply == NULL ? NULL : report(saga, reply, code);
    }
    if (rc == EVT_OK)
        return report(saga, reply, code);
    *code = saga_no_view(saga, service, rc);
    return NULL;
}

uint64_t saga_mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

size_t saga_distance(const char *a, const char *b)
{
    size_t rows[3][64]; /* of the last three letters of @a */
    size_t columns = strlen(b), length = strlen(a);

    if (length >= 64 || columns >= 63)
        return 64;
    for (size_t j = 0; j <= columns; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];

        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1] && rows[(i + 1) % 3][j - 2] + 1 < best)
                best = rows[(i + 1) % 3][j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[length % 3][columns];
}

bool saga_is_closer(const char *word, const char *other, size_t *least)
{
    size_t distance = saga_distance(word, other);
    size_t a = strlen(word), b = strlen(other);

    if (distance >= *least || 3 * distance > (a > b ? a : b))
        return false;
    *least = distance;
    return true;
}

json_t *saga_log_events(struct saga *saga, const char *service, const char *tag,
                        uint64_t after, uint64_t upto, json_t **cursors,
                        uint64_t *head, bool *as_of, int *code)
{
    json_t *events = json_array();
    bool more = true, from_file = false;

    while (more) {
        json_t *ask =
            json_pack("{s:s,s:I}", "get", "log", "after", (json_int_t)after);
        json_t *reply, *list;

        if (tag != NULL)
            json_object_set_new(ask, "tag", json_string(tag));
        if (upto <= INT64_MAX)
            json_object_set_new(ask, "upto", json_integer((json_int_t)upto));
        reply = saga_ask(saga, service, ask, &from_file, code);
        json_decref(ask);
        if (reply == NULL) {
            json_decref(events);
            return NULL;
        }
        list = json_object_get(reply, "events");
        more = json_is_true(json_object_get(reply, "more")) &&
               json_array_size(list) > 0;
        json_array_extend(events, list);
        if (json_array_size(list) > 0)
            after = (uint64_t)json_integer_value(json_object_get(
                json_array_get(list, json_array_size(list) - 1), "seq"));
        if (head != NULL)
            *head =
                (uint64_t)json_integer_value(json_object_get(reply, "head"));
        if (cursors != NULL && !more)
            *cursors = json_incref(json_object_get(reply, "cursors"));
        if (as_of != NULL)
            *as_of = *as_of || from_file;
        json_decref(reply);
    }
    return events;
}

/* ---- words --------------------------------------------------------------- */

/* What @say writes of @event, if there is such a function. */
static char *said(void (*say)(FILE *, const struct event *),
                  const struct event *event, char *text, size_t size)
{
    FILE *out = say != NULL ? fmemopen(text, size, "w") : NULL;

    text[0] = '\0';
    if (out != NULL) {
        setbuf(out, NULL);
        say(out, event);
        fclose(out);
    }
    text[size - 1] = '\0';
    return text;
}

char *saga_describe(const struct event *event, char *text, size_t size)
{
    return said(saga_tool()->say, event, text, size);
}

char *saga_note(const struct event *event, char *text, size_t size)
{
    return said(saga_tool()->note, event, text, size);
}

int saga_columns(const char *text)
{
    int columns = 0;

    for (; *text != '\0'; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}
