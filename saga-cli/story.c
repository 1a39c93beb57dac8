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

int64_t unix_ms_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void print_padded(const char *text, int width)
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
    rc = json_to_event(envelope, event);
    json_decref(envelope);
    if (rc == EVT_NONE)
        event->type = shop_learn(json_text(row, "type"), false);
    return rc == EVT_NONE && event->type != NO_MESSAGE;
}

static void add_events(struct story *story, bool of_shop, json_t *rows)
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

        if (json_to_event(row, event) == EVT_OK ||
            (!of_shop && read_strangers(row, event)))
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
    for (size_t i = 0; i < story->count; i++) {
        story->rows[i] = row_of(all, &story->events[i]);
        if (story->events[i].type == ORDER_PLACED)
            story->of_order = &story->events[i];
    }
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

/* An order whose id is nearly @id, for the error; "" when there is none. */
static void find_similar(struct saga *saga, const char *id, char *similar)
{
    json_t *ask = json_pack("{s:s,s:i}", "get", "orders", "limit", 200);
    json_t *reply = NULL, *order;
    size_t least = 3, i;

    similar[0] = '\0';
    if (client_ask(saga->client, "order", "qry", ask, 500, &reply) == EVT_OK)
        json_array_foreach(json_object_get(reply, "orders"), i, order)
        {
            const char *other =
                json_string_value(json_object_get(order, "order"));

            if (other != NULL && saga_is_closer(id, other, &least))
                snprintf(similar, ID_BYTES, "%s", other);
        }
    json_decref(reply);
    json_decref(ask);
}

int story_no_such_order(struct saga *saga, const char *order)
{
    char similar[ID_BYTES];

    find_similar(saga, order, similar);
    if (similar[0] != '\0')
        return saga_fail(saga, SAGA_NO_SUCH,
                         "no order %s (did you mean %s? './saga ls' shows all)",
                         order, similar);
    return saga_fail(saga, SAGA_NO_SUCH, "no order %s ('./saga %s' shows all)",
                     order, saga_runs(saga, "order") ? "ls" : "log --all");
}

int story_read(struct saga *saga, const char *order, struct story *story)
{
    json_t *all = json_array();
    char tag[TAG_BYTES];
    int code = SAGA_YES;

    memset(story, 0, sizeof *story);
    story->order = order;
    story->services = saga_tables(saga);
    story->unreadable = json_array();
    if (!text_is_id(order, ID_BYTES))
        code = story_no_such_order(saga, order);
    else
        event_tag(TAG_ORDER, order, tag);
    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++) {
        json_t *cursors = NULL;
        json_t *rows =
            saga_log_events(saga, saga_service(i), tag, 0, UINT64_MAX, &cursors,
                            &story->heads[i], &story->from_file[i], &code);

        if (rows == NULL)
            break;
        code = SAGA_YES;
        read_cursors(story, i, cursors);
        add_events(story, saga_is_of_shop(i), rows);
        json_array_extend(all, rows);
        json_decref(cursors);
        json_decref(rows);
    }
    if (code == SAGA_YES && json_array_size(all) == 0)
        code = story_no_such_order(saga, order);
    if (code == SAGA_YES)
        understand(story, all);
    for (size_t i = 0; code == SAGA_YES && i < story->gap_count; i++)
        if (story->gaps[i].ignored)
            find_parked(saga, story, i);
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
    const struct event *undone =
        flow_undone(story->events, story->count, &story->events[i]);

    return undone == NULL ? 0 : (size_t)(undone - story->events) + 1;
}

void *story_fold(unsigned service, const struct kind *kind, const char *key,
                 const struct event *events, size_t count, size_t *folded)
{
    void *state = calloc(1, kind->bytes);
    size_t many = 0;

    if (state == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        if (strcmp(events[i].source, saga_service(service)) != 0 ||
            !event_type_in(events[i].type, kind->folds, FOLDS_MAX))
            continue;
        kind->evolve(state, key, &events[i]);
        many++;
    }
    if (folded != NULL)
        *folded = many;
    return state;
}

/* The word that @service's state of the order has for its status. */
static void status_word(const struct story *story, unsigned service, char *text,
                        size_t size)
{
    const struct service *owner = roster_services[service];

    text[0] = '\0';
    for (size_t k = 0; k < owner->kind_count; k++) {
        const struct kind *kind = &owner->kinds[k];
        json_t *fields;
        const char *word;
        size_t folded;
        void *state;

        if (kind->tag != TAG_ORDER)
            continue;
        state = story_fold(service, kind, story->order, story->events,
                           story->count, &folded);
        fields = json_from_fields(kind->fields, state);
        word = json_string_value(json_object_get(fields, "status"));
        if (folded > 0 && word != NULL)
            snprintf(text, size, "%s", word);
        json_decref(fields);
        free(state);
    }
}

char *story_status(const struct story *story, char *text, size_t size)
{
    status_word(story, 0, text, size);
    return text;
}

const char *story_reason(const struct story *story)
{
    for (size_t i = story->count; i > 0; i--) {
        const struct event *event = &story->events[i - 1];

        if ((event->type == ORDER_CANCELLED ||
             event->type == ORDER_CANCELLING) &&
            event->data.reason[0] != '\0')
            return event->data.reason;
    }
    return "";
}

bool story_ended(const struct story *story)
{
    char order[32], stock[32];

    for (size_t i = 0; i < story->gap_count; i++)
        if ((!story->gaps[i].ignored || story->parked[i] != NULL) &&
            saga_is_of_shop(
                (unsigned)saga_service_number(story->gaps[i].owner->name)))
            return false;
    story_status(story, order, sizeof order);
    status_word(story, 1, stock, sizeof stock);
    return strcmp(order, "CANCELLED") == 0 ||
           (strcmp(order, "CONFIRMED") == 0 && strcmp(stock, "SHIPPED") == 0);
}

char *story_answers(const struct rule *rule, char *text, size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < MAY_EMIT_MAX && rule->may_emit[i] != NO_MESSAGE; i++)
        at +=
            (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? " or " : "",
                             shop_type_name(rule->may_emit[i]));
    return text;
}

const char *story_command(const struct story *story, unsigned service,
                          enum message_type type)
{
    const struct service *owner = story->services[service];

    for (size_t i = 0; i < owner->rule_count; i++) {
        const struct rule *rule = &owner->rules[i];

        if (shop_message(rule->on)->is_command &&
            flow_writer(story->services, saga_services(), rule->on) == NULL &&
            event_type_in(type, rule->may_emit, MAY_EMIT_MAX))
            return shop_type_name(rule->on);
    }
    return "?";
}
