/* trace.c - `saga trace`: shows what happened to a saga, where, and why.
 *
 * Each service has a lane and each event a row, after its cause: the saga's
 * ladder, up and down.  Below it are facts that a table of events cannot show:
 * which service ignored an event, and which has not handled one yet. */
#include "saga-cli/screen.h"
#include "saga-cli/story.h"
#include "saga-cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANE = 20, SOURCE = 11, MARGIN = 13, BECAUSE = 7 };

/* Whether service number @i has a lane: always, if the program was built with
 * it; else if it has anything to do with this saga. */
static bool has_lane(const struct story *story, unsigned i)
{
    bool has = saga_is_built_in(i);

    for (size_t e = 0; e < story->count; e++)
        has = has || strcmp(story->events[e].source, saga_service(i)) == 0;
    return has;
}

/* Whether the terminal is wide enough for lanes; else the service is named. */
static bool has_room(const struct story *story)
{
    size_t width = screen_width(), needed = MARGIN + BECAUSE;

    for (unsigned i = 0; i < saga_services(); i++)
        needed += has_lane(story, i) ? LANE : 0;
    return width == 0 || width >= needed;
}

/* ---- as text ------------------------------------------------------------- */

/* Whether an event is older, by the clock, than the first: that clock was set
 * back, or another one set forward. */
static bool is_set_back(const struct story *story)
{
    for (size_t i = 1; i < story->count; i++)
        if (story->events[i].time_ms < story->events[0].time_ms)
            return true;
    return false;
}

static void print_head(const struct story *story)
{
    const struct event *first = &story->events[0];
    const struct event *last = &story->events[story->count - 1];
    const char *status = story->end.status, *reason = story->end.reason;
    char words[256];

    printf("%s", story->id);
    if (saga_tool()->describe != NULL)
        saga_tool()->describe(stdout, story);
    if (status[0] == '\0' && saga_tool()->unopened != NULL)
        status = saga_tool()->unopened;
    snprintf(words, sizeof words, "%s%s%s%s", status[0] != '\0' ? " · " : "",
             status, reason[0] != '\0' ? ": " : "", reason);
    printf("%s · %zu event%s", words, story->count,
           story->count == 1 ? "" : "s");
    if (!is_set_back(story))
        printf(" · %" PRId64 " ms", last->time_ms - first->time_ms);
    puts("\n");
}

/* What stands in one lane; @undoing: in another colour. */
static void print_cell(const struct saga *saga, const char *cell, bool undoing)
{
    bool coloured = saga->colour && undoing && cell[0] != '\0';

    if (coloured)
        printf("\033[33m");
    saga_print_padded(cell, LANE);
    if (coloured)
        printf("\033[0m");
}

static void print_row(const struct saga *saga, const struct story *story,
                      size_t i)
{
    const struct event *event = &story->events[i];
    size_t because = story_because(story, i), undoes = story_undoes(story, i);
    char cell[64], cause[64] = "you", text[256];
    int lane = saga_service_number(event->source);

    snprintf(cell, sizeof cell, "%s",
             domain_type_name(saga_names(), event->type));
    if (undoes > 0)
        snprintf(cell, sizeof cell, "%s ↺ %zu",
                 domain_type_name(saga_names(), event->type), undoes);
    if (because > 0)
        snprintf(cause, sizeof cause, "%zu%s", because,
                 strcmp(event->cause.source, event->source) == 0 ? ", timer"
                                                                 : "");
    else if (event->cause.source[0] != '\0')
        snprintf(cause, sizeof cause, "%s #%" PRIu64, event->cause.source,
                 event->cause.at.seq);
    if (event->time_ms < story->events[0].time_ms)
        printf("  %2zu      ?  ", i + 1);
    else
        printf("  %2zu %6" PRId64 "  ", i + 1,
               event->time_ms - story->events[0].time_ms);
    if (!has_room(story))
        saga_print_padded(event->source, SOURCE);
    if (!has_room(story))
        print_cell(saga, cell, undoes > 0);
    for (unsigned l = 0; l < saga_services() && has_room(story); l++)
        if (has_lane(story, l))
            print_cell(saga, (int)l == lane ? cell : "", undoes > 0);
    saga_note(event, text, sizeof text);
    saga_print_padded(cause, text[0] != '\0' ? 10 : 0);
    printf("%s\n", text);
}

static void print_gap(const struct story *story, size_t i)
{
    const struct flow_gap *gap = &story->gaps[i];
    size_t n = (size_t)(gap->cause - story->events) + 1;
    const char *type = domain_type_name(saga_names(), gap->cause->type);
    char text[128];

    if (story->parked[i] != NULL)
        hint_print("  %s has parked event %zu, %s: %s  (./saga redrive %s)\n",
                   gap->owner->name, n, type, story->parked[i],
                   gap->owner->name);
    else if (gap->ignored)
        printf("  %s ignored event %zu, %s.\n", gap->owner->name, n, type);
    else
        hint_print(
            "  %s has not handled event %zu, %s, yet: %s  (./saga why %s)\n",
            gap->owner->name, n, type,
            story_answers(gap->rule, text, sizeof text), story->id);
}

static void print_text(const struct saga *saga, const struct story *story)
{
    const json_t *row;
    size_t n;

    print_head(story);
    printf("   #    +ms  ");
    if (!has_room(story))
        printf("%-*s%-*s", SOURCE, "service", LANE, "event");
    for (unsigned l = 0; l < saga_services() && has_room(story); l++)
        if (has_lane(story, l))
            saga_print_padded(saga_service(l), LANE);
    printf("because\n");
    for (size_t i = 0; i < story->count; i++)
        print_row(saga, story, i);
    if (is_set_back(story))
        puts("\n  ?  A clock was set back: by their times, these events are "
             "older than the first.");
    if (story->gap_count > 0)
        putchar('\n');
    for (size_t i = 0; i < story->gap_count; i++)
        print_gap(story, i);
    if (json_array_size(story->unreadable) > 0)
        putchar('\n');
    json_array_foreach(story->unreadable, n, row)
        hint_print("  %s #%" PRId64 " %s version %" PRId64
                   " cannot be read by this program  (./saga log %s)\n",
                   json_text(row, "source"), json_number(row, "seq"),
                   json_text(row, "type"), json_number(row, "version"),
                   json_text(row, "source"));
    for (unsigned l = 0; l < saga_services(); l++)
        if (story->from_file[l])
            printf("\n  From %s's log file, since %s-svc does not answer.\n",
                   saga_service(l), saga_service(l));
}

/* ---- as JSON ------------------------------------------------------------- */

static json_t *gap_json(const struct story *story, size_t i)
{
    const struct flow_gap *gap = &story->gaps[i];
    char text[128];
    json_t *json = json_pack(
        "{s:s,s:I,s:b}", "service", gap->owner->name, "event",
        (json_int_t)(gap->cause - story->events) + 1, "ignored", gap->ignored);

    json_object_set_new(
        json, "for", json_string(story_answers(gap->rule, text, sizeof text)));
    json_object_set_new(json, "parked",
                        story->parked[i] != NULL ? json_string(story->parked[i])
                                                 : json_null());
    return json;
}

static void print_json(const struct story *story)
{
    json_t *events = json_array(), *gaps = json_array(), *row;
    json_t *as_of = json_object(), *from_files = json_array();
    json_t *unreadable = json_array();
    size_t n;

    for (size_t i = 0; i < story->count; i++) {
        json_t *event = saga_event_json(story->rows[i]);

        json_object_set_new(event, "n", json_integer((json_int_t)i + 1));
        json_object_set_new(event, "because",
                            json_integer((json_int_t)story_because(story, i)));
        json_object_set_new(event, "undoes",
                            json_integer((json_int_t)story_undoes(story, i)));
        json_array_append_new(events, event);
    }
    for (size_t i = 0; i < story->gap_count; i++)
        json_array_append_new(gaps, gap_json(story, i));
    json_array_foreach(story->unreadable, n, row)
        json_array_append_new(unreadable, saga_event_json(row));
    for (unsigned l = 0; l < saga_services(); l++) {
        json_object_set_new(as_of, saga_service(l),
                            json_integer((json_int_t)story->heads[l]));
        if (story->from_file[l])
            json_array_append_new(from_files, json_string(saga_service(l)));
    }
    saga_print_json(json_pack(
        "{s:s,s:s,s:s,s:b,s:o,s:o,s:o,s:o,s:o}", "order", story->id, "status",
        story->end.status, "reason", story->end.reason, "ended",
        story->end.ended, "events", events, "unanswered", gaps, "unreadable",
        unreadable, "as_of", as_of, "from_files", from_files));
}

/* ---- as a sequence diagram ----------------------------------------------- */

static void draw_mermaid(FILE *out, const struct story *story)
{
    fprintf(out, "sequenceDiagram\n    actor you\n");
    for (unsigned l = 0; l < saga_services(); l++)
        if (has_lane(story, l))
            fprintf(out, "    participant %s\n", saga_service(l));
    for (size_t i = 0; i < story->count; i++) {
        const struct event *event = &story->events[i];
        size_t because = story_because(story, i);
        int lane = saga_service_number(event->source);

        if (because > 0)
            fprintf(out, "    %s%s%s: %s\n", story->events[because - 1].source,
                    strcmp(event->cause.source, event->source) == 0 ? "-->>"
                                                                    : "->>",
                    event->source,
                    domain_type_name(saga_names(),
                                     story->events[because - 1].type));
        else
            fprintf(out, "    you->>%s: %s\n", event->source,
                    lane < 0
                        ? "?"
                        : story_command(story, (unsigned)lane, event->type));
        fprintf(out, "    Note over %s: %s\n", event->source,
                domain_type_name(saga_names(), event->type));
    }
}

/* With --json one value all the same: {"mermaid": the text}. */
static void print_mermaid(const struct saga *saga, const struct story *story)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = saga->json ? open_memstream(&text, &bytes) : stdout;

    if (out == NULL)
        abort();
    draw_mermaid(out, story);
    if (saga->json) {
        fclose(out);
        saga_print_json(json_pack("{s:s}", "mermaid", text));
        free(text);
    }
}

int trace_print(struct saga *saga, const char *id, bool mermaid)
{
    struct story story;
    int code = story_read(saga, id, &story);

    if (code != SAGA_YES)
        return code;
    if (story.count == 0)
        code =
            saga_fail(saga, SAGA_BAD_DATA,
                      "%s: none of its events can be read by this program", id);
    else if (mermaid)
        print_mermaid(saga, &story);
    else if (saga->json)
        print_json(&story);
    else
        print_text(saga, &story);
    story_free(&story);
    return code;
}

static int run(struct saga *saga)
{
    bool mermaid = false;
    int code = saga_parse(saga, &mermaid);

    if (code != SAGA_YES)
        return code;
    if (saga->word_count == 0)
        return saga_missing(saga, saga->verb->args);
    return trace_print(saga, saga->words[0], mermaid);
}

static const struct argp_option options[] = {
    {"mermaid", 'o', NULL, 0, "as a sequence diagram in mermaid", 0}, {0}};

const struct verb verb_trace = {.name = "trace",
                                .group = QUERIES,
                                .first = true,
                                .examples = "trace SAGA",
                                .summary =
                                    "show what happened to a saga, and why",
                                .args = "SAGA",
                                .options = options,
                                .parse = saga_parse_flag,
                                .words_max = 1,
                                .run = run};
