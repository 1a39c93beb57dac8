/* story.c - gathers one saga from the logs.
 *
 * No file stores which service ignored which event: libevents/core/flow.h
 * derives that from the rule tables, the causes and the cursors. */
#include "saga-cli/story.h"
#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t saga_unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void saga_print_padded(const char *text, int width)
{
    int columns = 0;

    for (const char *c = text; *c != '\0'; c++)
        columns += (*c & 0xc0) != 0x80; /* not inside a UTF-8 character */
    printf("%s%*s", text, width > columns ? width - columns : 0, "");
}

/* ---- reading ------------------------------------------------------------- */

/* Enters how far service number @reader has read the logs of the others. */
static void read_cursors(struct story *story, unsigned reader,
                         const json_t *cursors)
{
    for (unsigned i = 0; i < saga_services(); i++) {
        struct position *at = &story->consumed[reader * saga_services() + i];
        const json_t *cursor = json_object_get(cursors, saga_service(i));
        const char *log = json_string_value(json_object_get(cursor, "log"));

        if (log == NULL || !text_parse_hex(log, at->log_id, LOG_ID_BYTES))
            continue; /* nothing consumed of it yet */
        at->seq = (uint64_t)json_integer_value(json_object_get(cursor, "seq"));
    }
}

/* An event of a service that this program was not built with, in whose messages
 * it knows only the names: without its data. */
static bool read_strangers(json_t *row, struct event *event)
{
    json_t *envelope = json_copy(row);
    enum evt_status rc;

    json_object_set_new(envelope, "type", json_string("?"));
    rc = json_to_event(saga_domain(), envelope, event);
    json_decref(envelope);
    if (rc == EVT_NONE)
        event->type =
            lexicon_learn(saga_lexicon(), json_text(row, "type"), false);
    return rc == EVT_NONE && event->type != NO_MESSAGE;
}

static void add_events(struct story *story, bool built_in, json_t *rows)
{
    size_t room = story->count + json_array_size(rows), i;
    json_t *row;

    story->events =
        reallocarray(story->events, room + 1, sizeof *story->events);
    if (story->events == NULL)
        abort();
    json_array_foreach(rows, i, row)
    {
        struct event *event = &story->events[story->count];

        if (json_to_event(saga_domain(), row, event) == EVT_OK ||
            (!built_in && read_strangers(row, event)))
            story->count++;
        else
            json_array_append(story->unreadable, row);
    }
}

/* The row that @event was made from. */
static json_t *row_of(json_t *all, const struct event *event)
{
    json_t *row;
    size_t i;

    json_array_foreach(all, i, row)
    {
        const char *source = json_string_value(json_object_get(row, "source"));

        if (source != NULL && strcmp(source, event->source) == 0 &&
            (uint64_t)json_integer_value(json_object_get(row, "seq")) ==
                event->at.seq)
            return json_incref(row);
    }
    return NULL;
}

/* Whether @gap's owner did react, with an event that this program cannot read.
 */
static bool is_answered(const struct story *story, const struct flow_gap *gap)
{
    const json_t *row;
    size_t i;

    json_array_foreach(story->unreadable, i, row)
    {
        const json_t *cause = json_object_get(row, "cause");

        if (strcmp(json_text(row, "source"), gap->owner->name) == 0 &&
            strcmp(json_text(cause, "source"), gap->cause->source) == 0 &&
            (uint64_t)json_number(cause, "seq") == gap->cause->at.seq)
            return true;
    }
    return false;
}

/* Everything that follows from the events and cursors. */
static void understand(struct story *story, json_t *all)
{
    flow_sort(story->events, story->count);
    story->rows = calloc(story->count + 1, sizeof(json_t *));
    if (story->rows == NULL)
        abort();
    for (size_t i = 0; i < story->count; i++)
        story->rows[i] = row_of(all, &story->events[i]);
    story->gap_count =
        flow_gaps(story->services, saga_services(), story->consumed,
                  story->events, story->count, story->gaps, STORY_GAPS_MAX);
    if (story->gap_count > STORY_GAPS_MAX)
        story->gap_count = STORY_GAPS_MAX;
    for (size_t i = 0; i < story->gap_count;)
        if (is_answered(story, &story->gaps[i]))
            memmove(&story->gaps[i], &story->gaps[i + 1],
                    (--story->gap_count - i) * sizeof story->gaps[0]);
        else
            i++;
}

/* To its reader's cursor a parked event looks like one that was ignored. */
static void find_parked(struct saga *saga, struct story *story, size_t gap)
{
    const struct event *cause = story->gaps[gap].cause;
    json_t *ask = json_pack("{s:s}", "get", "parked"), *reply, *parked;
    struct saga asking = *saga;
    int code;
    size_t i;

    asking.json = false; /* what fails is told beside the answer */
    reply = saga_ask(&asking, story->gaps[gap].owner->name, ask, NULL, &code);
    json_array_foreach(json_object_get(reply, "parked"), i, parked)
    {
        const char *source =
            json_string_value(json_object_get(parked, "source"));

        if (source != NULL && strcmp(source, cause->source) == 0 &&
            (uint64_t)json_integer_value(json_object_get(parked, "seq")) ==
                cause->at.seq)
            story->parked[gap] =
                strdup(json_string_value(json_object_get(parked, "reason")));
    }
    json_decref(reply);
    json_decref(ask);
}

int story_no_such(struct saga *saga, const char *id)
{
    if (saga_tool()->no_such != NULL)
        return saga_tool()->no_such(saga, id);
    return saga_fail(saga, SAGA_NO_SUCH,
                     "no %s %s ('./saga log --all' shows all)", saga_noun(),
                     id);
}

/* What its domain says of it, if there is one. */
static void look_at_end(struct story *story)
{
    story->end.reason = "";
    story->end.since_ms = story->count > 0 ? story->events[0].time_ms : 0;
    if (saga_tool()->end != NULL && story->count > 0)
        saga_tool()->end(story, &story->end);
}

int story_read(struct saga *saga, const char *id, struct story *story)
{
    json_t *all = json_array();
    char tag[TAG_BYTES];
    int code = SAGA_YES;

    memset(story, 0, sizeof *story);
    story->id = id;
    story->services = saga_tables(saga);
    story->unreadable = json_array();
    if (!text_is_id(id, ID_BYTES))
        code = story_no_such(saga, id);
    else
        event_tag(NULL, TAG_ORDER, id, tag);
    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++) {
        json_t *cursors = NULL;
        json_t *rows =
            saga_log_events(saga, saga_service(i), tag, 0, UINT64_MAX, &cursors,
                            &story->heads[i], &story->from_file[i], &code);

        if (rows == NULL)
            break;
        code = SAGA_YES;
        read_cursors(story, i, cursors);
        add_events(story, saga_is_built_in(i), rows);
        json_array_extend(all, rows);
        json_decref(cursors);
        json_decref(rows);
    }
    if (code == SAGA_YES && json_array_size(all) == 0)
        code = story_no_such(saga, id);
    if (code == SAGA_YES)
        understand(story, all);
    for (size_t i = 0; code == SAGA_YES && i < story->gap_count; i++)
        if (story->gaps[i].ignored)
            find_parked(saga, story, i);
    if (code == SAGA_YES)
        look_at_end(story);
    json_decref(all);
    if (code != SAGA_YES)
        story_free(story);
    return code;
}

void story_free(struct story *story)
{
    for (size_t i = 0; story->rows != NULL && i < story->count; i++)
        json_decref(story->rows[i]);
    for (size_t i = 0; i < STORY_GAPS_MAX; i++)
        free(story->parked[i]);
    free(story->rows);
    free(story->events);
    json_decref(story->unreadable);
    memset(story, 0, sizeof *story);
}

/* ---- telling ------------------------------------------------------------- */

size_t story_because(const struct story *story, size_t i)
{
    const struct event *cause =
        flow_cause(story->events, story->count, &story->events[i]);

    return cause == NULL ? 0 : (size_t)(cause - story->events) + 1;
}

size_t story_undoes(const struct story *story, size_t i)
{
    const struct event *undone = flow_undone(saga_names(), story->events,
                                             story->count, &story->events[i]);

    return undone == NULL ? 0 : (size_t)(undone - story->events) + 1;
}

bool story_gap_is_open(const struct story *story, size_t i)
{
    return !story->gaps[i].ignored || story->parked[i] != NULL;
}

char *story_answers(const struct rule *rule, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < MAY_EMIT_MAX && rule->may_emit[i] != NO_MESSAGE; i++)
        at +=
            (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? " or " : "",
                             domain_type_name(saga_names(), rule->may_emit[i]));
    return text;
}

const char *story_command(const struct story *story, unsigned service,
                          unsigned type)
{
    const struct service *owner = story->services[service];

    for (size_t i = 0; i < owner->rule_count; i++) {
        const struct rule *rule = &owner->rules[i];

        if (domain_message(saga_names(), rule->on)->is_command &&
            flow_writer(story->services, saga_services(), rule->on) == NULL &&
            event_type_in(type, rule->may_emit, MAY_EMIT_MAX))
            return domain_type_name(saga_names(), rule->on);
    }
    return "?";
}
