/* follow.c - one look at the files each tick, one at the processes each half
 * second. */
#include "saga-web/follow.h"

#include "host/holder.h"
#include "saga-cli/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOOK_MS = 500,       /* at the processes, while somebody watches */
    IDLE_LOOK_MS = 2000, /* while nobody does */
    FIND_MS = 2000,      /* new services */
    ANSWER_MS = 250,     /* patience with one service */
    LEAVE_MS = 2000      /* one that gave no answer is left alone for so long */
};

struct followed {
    uint64_t after; /* read up to here */
    bool begun;
    uint64_t again_ms; /* not to be asked before */
    json_t *status, *faults;
};

struct follow {
    struct saga *saga;
    struct server *server;
    bool watched;
    uint64_t look_ms, find_ms;  /* when next */
    json_t *tables, *processes; /* that were said last */
    struct followed services[SERVICES_MAX];
};

struct follow *follow_open(struct saga *saga, struct server *server)
{
    struct follow *follow = calloc(1, sizeof *follow);

    if (follow == NULL)
        abort();
    follow->saga = saga;
    follow->server = server;
    return follow;
}

void follow_close(struct follow *follow)
{
    for (unsigned i = 0; follow != NULL && i < SERVICES_MAX; i++) {
        json_decref(follow->services[i].status);
        json_decref(follow->services[i].faults);
    }
    if (follow != NULL) {
        json_decref(follow->tables);
        json_decref(follow->processes);
    }
    free(follow);
}

/* ---- the logs ------------------------------------------------------------ */

/* Events up to @limit of service number @i, of which the first look takes none:
 * it begins at the end.  Those beyond are counted. */
static json_t *read_log(struct follow *follow, unsigned i, unsigned limit,
                        json_t *events)
{
    struct followed *followed = &follow->services[i];
    json_t *ask = json_pack("{s:s,s:I,s:i}", "get", "log", "after",
                            followed->begun ? (json_int_t)followed->after
                                            : (json_int_t)INT64_MAX,
                            "limit", (int)limit);
    json_t *reply = saga_ask_file(follow->saga, saga_service(i), ask), *log;
    uint64_t head = (uint64_t)json_number(reply, "head"), taken;

    json_decref(ask);
    if (json_object_get(reply, "head") == NULL) {
        json_decref(reply);
        followed->begun = false;
        return json_null();
    }
    taken = json_array_size(json_object_get(reply, "events"));
    if (followed->begun)
        json_array_extend(events, json_object_get(reply, "events"));
    if (!followed->begun || head < followed->after) /* or another log */
        taken = 0, followed->after = head;
    log = json_pack("{s:s,s:I,s:O?,s:I}", "log", json_text(reply, "log"),
                    "head", (json_int_t)head, "cursors",
                    json_object_get(reply, "cursors"), "skipped",
                    (json_int_t)(head - followed->after - taken));
    followed->after = head;
    followed->begun = true;
    json_decref(reply);
    return log;
}

static void say_logs(struct follow *follow)
{
    json_t *events = json_array(), *logs = json_object();

    for (unsigned i = 0; i < saga_services(); i++)
        json_object_set_new(
            logs, saga_service(i),
            read_log(follow, i, FOLLOW_EVENTS_MAX / saga_services(), events));
    server_say(follow->server, "tick",
               json_pack("{s:I,s:o,s:o}", "at", (json_int_t)saga_unix_ms(),
                         "logs", logs, "events", events),
               false);
}

/* ---- the processes ------------------------------------------------------- */

/* A new reference, or NULL: it gave no answer. */
static json_t *ask(struct follow *follow, unsigned i, const char *socket,
                   const char *what)
{
    json_t *request = json_pack("{s:s}", "get", what), *reply = NULL;
    enum evt_status rc = client_ask(follow->saga->client, saga_service(i),
                                    socket, request, ANSWER_MS, &reply);

    json_decref(request);
    return rc == EVT_OK ? reply : NULL;
}

/* Of all fault points those that are set: a new array. */
static json_t *armed(const json_t *reply)
{
    const json_t *faults = json_object_get(reply, "faults");
    json_t *set = json_array();

    for (size_t i = 0; i < json_array_size(faults); i++)
        if (json_is_true(json_object_get(json_array_get(faults, i), "set")))
            json_array_append(set, json_array_get(faults, i));
    return set;
}

static void ask_process(struct follow *follow, unsigned i)
{
    struct followed *followed = &follow->services[i];
    json_t *reply;

    if (saga_mono_ms() < followed->again_ms)
        return;
    followed->status = ask(follow, i, "qry", "status");
    if (followed->status == NULL) {
        followed->again_ms = saga_mono_ms() + LEAVE_MS;
        return;
    }
    reply = ask(follow, i, "cmd", "faults");
    followed->faults = armed(reply);
    json_decref(reply);
}

static json_t *look_at(struct follow *follow, unsigned i)
{
    struct followed *followed = &follow->services[i];
    const char *process = "down";
    struct holder holder = {.pid = 0};
    enum evt_status rc = saga_holder(follow->saga, saga_service(i), &holder);

    json_decref(followed->status);
    json_decref(followed->faults);
    followed->status = followed->faults = NULL;
    if (rc == EVT_OK) {
        process = saga_is_paused(holder.pid) ? "paused" : "runs";
        close(holder.pidfd);
    } else if (rc == EVT_BUSY) {
        process = "unseen";
    }
    if (strcmp(process, "runs") == 0 || strcmp(process, "unseen") == 0)
        ask_process(follow, i);
    return json_pack("{s:s,s:s,s:i,s:O?,s:O?}", "name", saga_service(i),
                     "process", process, "pid", holder.pid, "status",
                     followed->status, "faults", followed->faults);
}

static void say_processes(struct follow *follow)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < saga_services(); i++)
        json_array_append_new(all, look_at(follow, i));
    json_decref(follow->processes);
    follow->processes = json_incref(all);
    server_say(follow->server, "services", all, true);
}

const json_t *follow_processes(const struct follow *follow)
{
    return follow->processes;
}

/* Which services there are, and what each does. */
static void find(struct follow *follow)
{
    json_t *tables;

    (void)saga_find_services(follow->saga);
    tables = saga_descriptions(follow->saga);
    if (!json_equal(tables, follow->tables)) {
        json_decref(follow->tables);
        follow->tables = json_incref(tables);
        server_say(follow->server, "tables", json_incref(tables), true);
    }
    json_decref(tables);
}

/* ---- a tick -------------------------------------------------------------- */

void follow_tick(struct follow *follow)
{
    bool watched = server_watchers(follow->server) > 0;
    uint64_t now = saga_mono_ms();

    if (now >= follow->find_ms) {
        find(follow);
        follow->find_ms = now + FIND_MS;
    }
    for (unsigned i = 0; !watched && i < saga_services(); i++)
        follow->services[i].begun = false;
    if (now >= follow->look_ms || (watched && !follow->watched)) {
        say_processes(follow);
        follow->look_ms = now + (watched ? LOOK_MS : IDLE_LOOK_MS);
    }
    follow->watched = watched;
    if (watched)
        say_logs(follow);
}
