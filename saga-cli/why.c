/* why.c - `saga why`: shows what an unfinished saga waits for.
 *
 * There is no conductor to ask.  But a rule says that a service reacts to an
 * event, and the service's cursor says whether it has handled it; so the logs
 * alone tell which event is missing, since when, and which service owes it.
 * The processes tell what state that service is in. */
#include "saga-cli/story.h"
#include "saga-cli/verbs.h"

#include "log/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How the service that a saga waits for is doing. */
enum owner_state { RUNNING, DOWN, SILENT, DIVERGED, FULL, LOCKED, BEHIND };

static const char *const state_words[] = {
    [RUNNING] = "running",          [DOWN] = "down",
    [SILENT] = "does not answer",   [DIVERGED] = "has stopped reading",
    [FULL] = "storage full",        [LOCKED] = "database locked",
    [BEHIND] = "behind its readers"};

struct owner {
    enum owner_state state;
    char trouble[STORE_WHY_BYTES]; /* DIVERGED: what the subscription says */
    int64_t heard_ms_ago;          /* by another service; -1: not known */
    const char *heard_by;
};

/* What the services say of themselves, asked once. */
struct answers {
    json_t *status[SERVICES_MAX]; /* NULL: no answer; owned */
    enum evt_status rc[SERVICES_MAX];
};

/* ---- looking ------------------------------------------------------------- */

static void ask_all(struct saga *saga, struct answers *answers)
{
    json_t *ask = json_pack("{s:s}", "get", "status");

    memset(answers, 0, sizeof *answers);
    for (unsigned i = 0; i < saga_services(); i++)
        answers->rc[i] = client_ask(saga->client, saga_service(i), "qry", ask,
                                    500, &answers->status[i]);
    json_decref(ask);
}

static void answers_free(struct answers *answers)
{
    for (unsigned i = 0; i < saga_services(); i++)
        json_decref(answers->status[i]);
}

static const json_t *subscription_of(const json_t *status, const char *source)
{
    const json_t *sub;
    size_t i;

    json_array_foreach(json_object_get(status, "feeds"), i, sub)
    {
        const char *name = json_string_value(json_object_get(sub, "source"));

        if (name != NULL && strcmp(name, source) == 0)
            return sub;
    }
    return NULL;
}

/* When any other service last heard from @name. */
static void ask_neighbours(const struct answers *answers, const char *name,
                           struct owner *owner)
{
    owner->heard_ms_ago = -1;
    for (unsigned i = 0; i < saga_services(); i++) {
        const json_t *heard = json_object_get(
            subscription_of(answers->status[i], name), "heard_ms_ago");

        if (json_is_integer(heard) &&
            (owner->heard_ms_ago < 0 ||
             json_integer_value(heard) < owner->heard_ms_ago)) {
            owner->heard_ms_ago = json_integer_value(heard);
            owner->heard_by = saga_service(i);
        }
    }
}

/* How service number @i is. */
static enum owner_state state_of_service(const struct answers *answers,
                                         unsigned i)
{
    const char *state = json_text(answers->status[i], "state");

    if (answers->status[i] == NULL)
        return answers->rc[i] == EVT_NONE ? DOWN : SILENT;
    for (unsigned k = FULL; k <= BEHIND; k++)
        if (strcmp(state, state_words[k]) == 0)
            return (enum owner_state)k;
    return RUNNING;
}

static void look_at_owner(const struct answers *answers,
                          const struct flow_gap *gap, struct owner *owner)
{
    unsigned i = (unsigned)saga_service_number(gap->owner->name);
    const char *trouble = json_text(
        subscription_of(answers->status[i], gap->cause->source), "trouble");

    memset(owner, 0, sizeof *owner);
    owner->state = state_of_service(answers, i);
    if (owner->state == RUNNING && trouble[0] != '\0')
        owner->state = DIVERGED;
    snprintf(owner->trouble, sizeof owner->trouble, "%s", trouble);
    ask_neighbours(answers, gap->owner->name, owner);
}

/* Marks the owners of whatever may follow from @rule. */
static void mark_needed(const struct story *story, const struct rule *rule,
                        bool needed[SERVICES_MAX], bool seen[TYPES_MAX])
{
    for (size_t i = 0; i < MAY_EMIT_MAX; i++) {
        unsigned type = rule->may_emit[i];

        if (type == NO_MESSAGE || seen[type])
            continue;
        seen[type] = true;
        for (unsigned k = 0; k < saga_services(); k++) {
            const struct rule *next = service_rule(story->services[k], type);

            if (next == NULL)
                continue;
            needed[k] = true;
            mark_needed(story, next, needed, seen);
        }
    }
}

/* Which services the saga needs to go on to its end, beside those that it
 * waits for; with nothing open it is a timer that ends it. */
static void find_needed(const struct story *story, bool needed[SERVICES_MAX])
{
    bool seen[TYPES_MAX] = {false};
    size_t open = 0;

    memset(needed, 0, SERVICES_MAX * sizeof needed[0]);
    for (size_t i = 0; i < story->gap_count; i++)
        if (story_gap_is_open(story, i)) {
            mark_needed(story, story->gaps[i].rule, needed, seen);
            open++;
        }
    for (unsigned i = 0; i < saga_services(); i++)
        needed[i] =
            needed[i] || (open == 0 && story->services[i]->timer_count > 0);
    for (size_t i = 0; i < story->gap_count; i++)
        if (story_gap_is_open(story, i))
            needed[saga_service_number(story->gaps[i].owner->name)] = false;
}

/* The timer that ends the saga if nothing else does. */
struct deadline {
    int64_t due_ms; /* Unix time; 0: none is armed */
    unsigned owner; /* the service whose timer it is */
};

static struct deadline deadline_of(struct saga *saga, const struct story *story)
{
    struct deadline deadline = {.due_ms = 0};

    for (unsigned i = 0; i < saga_services() && deadline.due_ms == 0; i++) {
        char path[4096], why[STORE_WHY_BYTES];
        struct store *log = NULL;

        if (story->services[i]->timer_count == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s/log.db", saga->directory,
                 saga_service(i));
        if (store_open_readonly(path, NULL, NULL, &log, why) != EVT_OK)
            continue;
        if (store_order_due(log, story->id, &deadline.due_ms) != EVT_OK)
            deadline.due_ms = 0;
        deadline.owner = i;
        store_close(log);
    }
    return deadline;
}

/* ---- telling ------------------------------------------------------------- */

static double seconds(int64_t ms)
{
    return (double)(ms > 0 ? ms : 0) / 1000;
}

/* "NAME-svc is down. Start it:  ./run.sh restart NAME", as far as it goes for a
 * service that is not at fault for a single event. */
static void print_state(const struct saga *saga, const char *name,
                        const struct owner *owner)
{
    char start[START_BYTES];

    printf("%s", owner->state == DOWN     ? "is down"
                 : owner->state == SILENT ? "is running but does not answer"
                                          : "is running, but reports: ");
    if (owner->state != DOWN && owner->state != SILENT) {
        hint_print("%s ('./saga status' shows more).\n",
                   state_words[owner->state]);
        return;
    }
    if (owner->heard_ms_ago >= 0)
        printf(", last heard %.1f s ago by %s", seconds(owner->heard_ms_ago),
               owner->heard_by);
    printf(". %s it:  %s\n", owner->state == DOWN ? "Start" : "Wake or restart",
           start_hint(saga, name, start));
}

static void print_owner(const struct saga *saga, const char *name,
                        const char *source, const struct owner *owner)
{
    switch (owner->state) {
    case DIVERGED:
        hint_print(
            "%s-svc has stopped reading %s: %s. To accept the log as it is:"
            "  ./saga accept %s %s\n",
            name, source, owner->trouble, name, source);
        break;
    case BEHIND:
        printf("%s-svc has lost events that others consumed, and records "
               "nothing until they accept the loss:\n",
               name);
        for (unsigned i = 0; i < saga_services(); i++)
            if (strcmp(saga_service(i), name) != 0)
                hint_print("  ./saga accept %s %s\n", saga_service(i), name);
        break;
    case RUNNING:
        printf("%s-svc is running and will handle it.\n", name);
        break;
    default:
        printf("%s-svc ", name);
        print_state(saga, name, owner);
    }
}

/* Those that are missing and whose turn comes later. */
static void print_missing(const struct saga *saga, const struct story *story,
                          const struct answers *answers)
{
    bool needed[SERVICES_MAX];

    find_needed(story, needed);
    for (unsigned i = 0; i < saga_services(); i++) {
        struct owner owner = {.state = state_of_service(answers, i)};

        if (!needed[i] || owner.state == RUNNING)
            continue;
        ask_neighbours(answers, saga_service(i), &owner);
        printf("It also needs %s-svc, which ", saga_service(i));
        print_state(saga, saga_service(i), &owner);
    }
}

/* Whether how the owner of gap @i does was told with an earlier one. */
static bool told_before(const struct story *story, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (story_gap_is_open(story, k) && story->parked[k] == NULL &&
            story->gaps[k].owner == story->gaps[i].owner)
            return true;
    return false;
}

static void print_gap(const struct saga *saga, const struct story *story,
                      const struct answers *answers, size_t i, int64_t now)
{
    const struct flow_gap *gap = &story->gaps[i];
    const char *name = gap->owner->name;
    struct owner owner;
    char wanted[128];

    story_answers(gap->rule, wanted, sizeof wanted);
    printf("It has waited %.1f s for %s's answer to %s (%s #%" PRIu64 "):\n"
           "%s.\n",
           seconds(now - gap->cause->time_ms), name,
           domain_type_name(saga_names(), gap->cause->type), gap->cause->source,
           gap->cause->at.seq, wanted);
    if (story->parked[i] != NULL) {
        hint_print(
            "%s-svc has parked it: %s. To retry it:  ./saga redrive %s\n", name,
            story->parked[i], name);
        return;
    }
    look_at_owner(answers, gap, &owner);
    if (owner.state == DIVERGED || !told_before(story, i))
        print_owner(saga, name, gap->cause->source, &owner);
}

/* ---- what this program cannot read -------------------------------------- */

/* An event of a newer release is in no rule table that this program knows, so
 * it makes no gap; but the service that has parked it says so.  An array of
 * what
 * {"get":"parked"} lists, each with its "service" and "type". */
static json_t *unreadable_parked(struct saga *saga, const struct story *story)
{
    json_t *ask = json_pack("{s:s}", "get", "parked"), *found = json_array();
    struct saga asking = *saga;

    asking.json = false; /* what fails is told beside the answer */
    for (unsigned i = 0; i < saga_services(); i++) {
        json_t *reply = NULL, *parked, *event;
        size_t n, k;
        int code;

        if (json_array_size(story->unreadable) > 0)
            reply = saga_ask(&asking, saga_service(i), ask, NULL, &code);
        json_array_foreach(json_object_get(reply, "parked"), n, parked)
            json_array_foreach(story->unreadable, k, event)
        {
            if (strcmp(json_text(parked, "source"),
                       json_text(event, "source")) != 0 ||
                json_number(parked, "seq") != json_number(event, "seq"))
                continue;
            json_object_set_new(parked, "service",
                                json_string(saga_service(i)));
            json_object_set_new(parked, "type",
                                json_string(json_text(event, "type")));
            json_array_append(found, parked);
        }
        json_decref(reply);
    }
    json_decref(ask);
    return found;
}

/* Returns how many there were. */
static size_t print_unreadable(struct saga *saga, const struct story *story)
{
    json_t *all = unreadable_parked(saga, story), *parked;
    size_t i, count = json_array_size(all);

    json_array_foreach(all, i, parked)
        hint_print("%s-svc has parked %s (%s #%" PRId64 "): %s.\n"
                   "Once %s-svc can read it:  ./saga redrive %s\n",
                   json_text(parked, "service"), json_text(parked, "type"),
                   json_text(parked, "source"), json_number(parked, "seq"),
                   json_text(parked, "reason"), json_text(parked, "service"),
                   json_text(parked, "service"));
    json_decref(all);
    return count;
}

static void unreadable_json(struct saga *saga, const struct story *story,
                            json_t *waits)
{
    json_t *all = unreadable_parked(saga, story), *parked;
    size_t i;

    json_array_foreach(all, i, parked) json_array_append_new(
        waits, json_pack("{s:s,s:{s:s,s:I,s:s},s:s,s:s}", "service",
                         json_text(parked, "service"), "event", "source",
                         json_text(parked, "source"), "seq",
                         (json_int_t)json_number(parked, "seq"), "type",
                         json_text(parked, "type"), "state", "parked",
                         "trouble", json_text(parked, "reason")));
    json_decref(all);
}

/* What the timer will do. */
static void print_deadline(const struct story *story,
                           const struct answers *answers,
                           const struct deadline *deadline, int64_t now)
{
    static const char *const as_soon[] = {
        [RUNNING] = "it can", [DOWN] = "it runs", [SILENT] = "it answers"};
    enum owner_state state = state_of_service(answers, deadline->owner);
    const char *can = state <= SILENT ? as_soon[state] : "it can record that";
    const char *name = saga_service(deadline->owner);
    const char *does = saga_tool()->timer_does, *will = saga_tool()->timer_will;
    double at = seconds(deadline->due_ms - story->events[0].time_ms);

    does = does != NULL ? does : "acts";
    will = will != NULL ? will : "acts";
    if (deadline->due_ms <= now)
        printf("Its deadline, %.1f s, has passed: %s-svc %s as soon as %s.\n",
               at, name, does, can);
    else if (state == RUNNING)
        printf("At %.1f s (in %.1f s) %s-svc %s.\n", at,
               seconds(deadline->due_ms - now), name, will);
    else
        printf("Its deadline passes at %.1f s (in %.1f s): %s-svc %s then, or "
               "as soon as %s.\n",
               at, seconds(deadline->due_ms - now), name, does, can);
}

/* How long it has been so. */
static void print_standing(const struct story *story, int64_t now)
{
    const char *unopened = saga_tool()->no_opening;
    double since = seconds(now - story->end.since_ms);

    if (story->end.status[0] != '\0')
        printf("%s has been %s for %.1f s. ", story->id, story->end.status,
               since);
    else
        printf("%s%s%s first event is %.1f s old. ", story->id,
               unopened != NULL ? " " : "",
               unopened != NULL ? unopened : ": its", since);
}

static void print_unfinished(struct saga *saga, const struct story *story,
                             const struct answers *answers)
{
    struct deadline deadline = deadline_of(saga, story);
    bool armed = deadline.due_ms != 0;
    int64_t now = saga_unix_ms();
    size_t open = 0;

    print_standing(story, now);
    for (size_t i = 0; i < story->gap_count; i++)
        if (story_gap_is_open(story, i)) {
            print_gap(saga, story, answers, i, now);
            open++;
        }
    open += print_unreadable(saga, story);
    if (open == 0)
        hint_print("No service has anything to do for it%s.\n",
                   armed                      ? " before its deadline"
                   : saga_tool()->end == NULL ? ""
                                              : ", which should not happen "
                                                "('./saga check')");
    print_missing(saga, story, answers);
    if (armed)
        print_deadline(story, answers, &deadline, now);
}

static json_t *gap_json(const struct story *story,
                        const struct answers *answers, size_t i)
{
    const struct flow_gap *gap = &story->gaps[i];
    struct owner owner = {.heard_ms_ago = -1};
    char wanted[128];
    json_t *json;

    story_answers(gap->rule, wanted, sizeof wanted);
    if (story->parked[i] == NULL)
        look_at_owner(answers, gap, &owner);
    json = json_pack(
        "{s:s,s:s,s:I,s:{s:s,s:I,s:s},s:s}", "service", gap->owner->name, "for",
        wanted, "since_ms", (json_int_t)gap->cause->time_ms, "event", "source",
        gap->cause->source, "seq", (json_int_t)gap->cause->at.seq, "type",
        domain_type_name(saga_names(), gap->cause->type), "state",
        story->parked[i] != NULL ? "parked" : state_words[owner.state]);
    json_object_set_new(json, "trouble",
                        story->parked[i] != NULL ? json_string(story->parked[i])
                        : owner.trouble[0] != '\0' ? json_string(owner.trouble)
                                                   : json_null());
    return json;
}

/* [{"service","state"}] of those that print_missing names. */
static json_t *missing_json(const struct story *story,
                            const struct answers *answers)
{
    json_t *missing = json_array();
    bool needed[SERVICES_MAX];

    find_needed(story, needed);
    for (unsigned i = 0; i < saga_services(); i++) {
        enum owner_state state = state_of_service(answers, i);

        if (needed[i] && state != RUNNING)
            json_array_append_new(missing, json_pack("{s:s,s:s}", "service",
                                                     saga_service(i), "state",
                                                     state_words[state]));
    }
    return missing;
}

static void print_json(struct saga *saga, const struct story *story,
                       const struct answers *answers)
{
    json_t *waits = json_array();
    int64_t due = deadline_of(saga, story).due_ms;
    bool ended = story->end.ended;

    for (size_t i = 0; i < story->gap_count; i++)
        if (story_gap_is_open(story, i))
            json_array_append_new(waits, gap_json(story, answers, i));
    unreadable_json(saga, story, waits);
    saga_print_json(json_pack(
        "{s:s,s:s,s:s,s:b,s:I,s:o,s:o,s:o}", "order", story->id, "status",
        story->end.status, "reason", story->end.reason, "ended", ended,
        "begun_ms",
        (json_int_t)(story->count > 0 ? story->events[0].time_ms : 0), "waits",
        waits, "missing", ended ? json_array() : missing_json(story, answers),
        "deadline_ms", due != 0 ? json_integer(due) : json_null()));
}

int why_print(struct saga *saga, const char *id)
{
    struct answers answers;
    struct story story;
    int code = story_read(saga, id, &story);

    if (code != SAGA_YES)
        return code;
    ask_all(saga, &answers);
    if (story.count == 0) {
        code =
            saga_fail(saga, SAGA_BAD_DATA,
                      "%s: none of its events can be read by this program", id);
    } else if (saga->json) {
        print_json(saga, &story, &answers);
    } else if (story.end.ended) {
        const char *reason = story.end.reason;

        printf("%s has ended: %s%s%s. It is not waiting for anything.\n",
               story.id, story.end.status, reason[0] != '\0' ? ", " : "",
               reason);
    } else {
        print_unfinished(saga, &story, &answers);
    }
    answers_free(&answers);
    story_free(&story);
    return code;
}

static int run(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code == SAGA_YES && saga->word_count == 0)
        return saga_missing(saga, saga->verb->args);
    return code == SAGA_YES ? why_print(saga, saga->words[0]) : code;
}

const struct verb verb_why = {.name = "why",
                              .group = QUERIES,
                              .first = true,
                              .examples = "why SAGA",
                              .summary =
                                  "show what an unfinished saga waits for",
                              .args = "SAGA",
                              .words_max = 1,
                              .run = run};
