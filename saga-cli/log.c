/* log.c - `saga log`: prints the events of one service or of all.
 *
 * Each event is one line: when, which saga, who, what, and because of what.
 * merge.c reads, follows and orders the logs. */
#include "core/json.h"
#include "saga-cli/cloudevents.h"
#include "saga-cli/merge.h"
#include "saga-cli/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 75, KNOWN_MAX = 4096, TYPE_BYTES = 32 };

/* What is remembered of an event, to name it as a cause: the last KNOWN_MAX
 * of each log, at seq modulo KNOWN_MAX. */
struct known {
    uint64_t seq;
    char type[TYPE_BYTES];
};

struct log_verb {
    struct saga *saga;
    struct merge_options options;
    int64_t limit; /* 0: none */
    bool all;
    bool cloudevents;
    json_t *descriptions; /* with --cloudevents, of the services */
    int only;             /* the one service, or -1 */

    bool begun;
    int64_t first_ms; /* the time of the first event shown */
    int id_width;
    struct known known[SERVICES_MAX][KNOWN_MAX];
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* ---- causes in words ---------------------------------------------------- */

/* Text of a log that somebody may have edited: nothing that moves a cursor. */
static const char *clean(const char *text, size_t size)
{
    return text != NULL && text_is_id(text, size) ? text : "?";
}

static void remember(struct log_verb *verb, const json_t *event)
{
    const char *source = json_string_value(json_object_get(event, "source"));
    int i = source == NULL ? -1 : saga_service_number(source);
    const char *type = json_string_value(json_object_get(event, "type"));
    json_int_t seq = json_integer_value(json_object_get(event, "seq"));
    struct known *known;

    if (i < 0 || seq < 1)
        return;
    known = &verb->known[i][(uint64_t)seq % KNOWN_MAX];
    known->seq = (uint64_t)seq;
    snprintf(known->type, sizeof known->type, "%s", clean(type, TYPE_BYTES));
}

/* Remembers a page of a log from @seq on: causes lie close together. */
static void look_up(struct log_verb *verb, unsigned i, uint64_t seq)
{
    json_t *ask = json_pack("{s:s,s:I,s:i}", "get", "log", "after",
                            (json_int_t)seq - 1, "limit", KNOWN_MAX / 8);
    json_t *reply = NULL;
    const json_t *event;
    size_t n;

    if (client_ask(verb->saga->client, saga_service(i), "qry", ask, 250,
                   &reply) == EVT_NONE)
        reply = saga_ask_file(verb->saga, saga_service(i), ask);
    json_array_foreach(json_object_get(reply, "events"), n, event)
        remember(verb, event);
    json_decref(reply);
    json_decref(ask);
}

/* The type of event @seq of service @i; NULL: it could not be found out. */
static const char *type_of(struct log_verb *verb, unsigned i, uint64_t seq)
{
    const struct known *known = &verb->known[i][seq % KNOWN_MAX];

    if (known->seq != seq && seq > 0)
        look_up(verb, i, seq);
    return known->seq == seq ? known->type : NULL;
}

/* "you", "ThisHappened", "ThisHappened (timer)"; of one log alone with where to
 * find it: "ThisHappened (NAME #12)", "ThisHappened (timer, #5)". */
static void print_cause(struct log_verb *verb, const struct event *event)
{
    const struct cause *cause = &event->cause;
    unsigned long long seq = cause->at.seq;
    bool timer = strcmp(cause->source, event->source) == 0;
    int i = saga_service_number(cause->source);
    const char *type = i < 0 ? NULL : type_of(verb, (unsigned)i, cause->at.seq);

    if (cause->source[0] == '\0')
        fputs("you", stdout);
    else if (type == NULL)
        printf("%s #%llu", clean(cause->source, SERVICE_BYTES), seq);
    else if (verb->only < 0)
        printf("%s%s", type, timer ? " (timer)" : "");
    else if (timer)
        printf("%s (timer, #%llu)", type, seq);
    else
        printf("%s (%s #%llu)", type, cause->source, seq);
}

/* ---- one event ---------------------------------------------------------- */

/* The data of a message that nobody has words for here: its numbers and its
 * plain texts, "carrier dhl  pieces 2". */
static void describe_data(json_t *data, char *text, size_t size)
{
    const json_t *value;
    const char *name;
    size_t at = 0;

    text[0] = '\0';
    json_object_foreach(data, name, value)
    {
        const char *string = json_string_value(value);
        char shown[32] = "";

        if (json_is_integer(value))
            snprintf(shown, sizeof shown, "%lld",
                     (long long)json_integer_value(value));
        for (size_t i = 0;
             string != NULL && string[i] != '\0' && i + 1 < sizeof shown; i++)
            shown[i] = string[i] >= ' ' && string[i] <= '~' ? string[i] : '?';
        if (shown[0] != '\0' && at < size)
            at += (size_t)snprintf(text + at, size - at, "%s%s %s",
                                   at > 0 ? "  " : "", clean(name, 32), shown);
    }
}

/* What it says; of one that this program cannot read, why not. */
static void describe(const json_t *json, struct event *event, char *text,
                     size_t size)
{
    const char *problem = json_string_value(json_object_get(json, "problem"));
    enum evt_status rc = json_to_event(saga_domain(), json, event);

    json_t *data = json_object_get(json, "data");

    if (rc == EVT_OK && saga_tool()->say != NULL)
        saga_describe(event, text, size);
    else if (rc != EVT_BAD && rc != EVT_NEWER && json_is_object(data))
        describe_data(data, text, size);
    else
        snprintf(text, size, "(%s)", problem != NULL ? problem : "unreadable");
    if (rc == EVT_BAD) /* what can be said of it all the same */
        *event = (struct event){.at.seq = (uint64_t)json_integer_value(
                                    json_object_get(json, "seq"))};
}

static void print_offset(struct log_verb *verb, const struct event *event)
{
    char text[32];
    int64_t offset_ms;

    if (!verb->begun)
        verb->first_ms = event->time_ms;
    verb->begun = true;
    offset_ms = event->time_ms - verb->first_ms;
    if (offset_ms < 0) /* a clock was set back: nobody knows how much later */
        snprintf(text, sizeof text, "     ?");
    else
        snprintf(text, sizeof text, "+%" PRId64 ".%03" PRId64, offset_ms / 1000,
                 offset_ms % 1000);
    printf("%-8s ", text);
}

static void print_line(struct log_verb *verb, const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    const char *id, *dim = verb->saga->colour ? "\033[2m" : "";
    const char *plain = verb->saga->colour ? "\033[m" : "";
    struct event event;
    char says[512];

    describe(json, &event, says, sizeof says);
    id = event.order_id[0] == '\0' ? "-" : clean(event.order_id, ID_BYTES);
    if ((int)strlen(id) > verb->id_width)
        verb->id_width = (int)strlen(id);
    if (verb->only >= 0)
        printf("%6llu", (unsigned long long)event.at.seq);
    fputs("  ", stdout);
    print_offset(verb, &event);
    printf("%-*s  ", verb->id_width, id);
    if (verb->only < 0)
        printf("%-9s  ", clean(event.source, SERVICE_BYTES));
    printf("%-15s  %s%*s  %s<- ", clean(type, TYPE_BYTES), says,
           saga_columns(says) < 24 ? 24 - saga_columns(says) : 0, "", dim);
    print_cause(verb, &event);
    printf("%s\n", plain);
}

/* Without the end of its line. */
static void print_object(const struct log_verb *verb, const json_t *event)
{
    json_t *shown = verb->cloudevents
                        ? cloudevents_from(event, verb->descriptions)
                        : saga_event_json(event);

    json_dumpf(shown, stdout, JSON_COMPACT);
    json_decref(shown);
}

/* ---- the two ways of reading -------------------------------------------- */

/* Asked for an event that no log has: not the next one, of which somebody who
 * polls asks whether it is there yet. */
static int is_past_end(const struct log_verb *verb, const struct merge *merge)
{
    uint64_t from = verb->options.from, longest = 0;

    for (unsigned i = 0; i < saga_services(); i++)
        if (verb->options.wanted[i] && merge_head(merge, i) > longest)
            longest = merge_head(merge, i);
    if (from <= longest + 1)
        return SAGA_YES;
    if (verb->only < 0)
        return saga_fail(verb->saga, SAGA_NO_SUCH,
                         "the longest log ends at #%" PRIu64
                         ": there is no #%" PRIu64 " yet",
                         longest, from);
    return saga_fail(verb->saga, SAGA_NO_SUCH,
                     "%s's log ends at #%" PRIu64 ": there is no #%" PRIu64
                     " yet",
                     saga_service((unsigned)verb->only), longest, from);
}

static int print_once(struct log_verb *verb, struct merge *merge)
{
    struct saga *saga = verb->saga;
    bool json = saga->json;
    int64_t count = 0;
    int code = SAGA_YES;
    json_t *event;

    while ((verb->limit == 0 || count < verb->limit) &&
           (event = merge_next(merge, &code)) != NULL) {
        remember(verb, event);
        if (json) {
            fputs(count == 0 ? "[" : ",\n", stdout);
            print_object(verb, event);
            saga->json = false; /* the array has begun: errors to stderr */
        } else {
            print_line(verb, event);
        }
        json_decref(event);
        count++;
    }
    if (code == SAGA_YES && count == 0)
        code = is_past_end(verb, merge);
    if (json && (count > 0 || code == SAGA_YES))
        puts(count == 0 ? "[]" : "]");
    saga->json = json;
    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++)
        if (merge_from_file(merge, i))
            fprintf(stderr, "saga: %s-svc %s; its log was read from its file\n",
                    saga_service(i),
                    saga_runs(saga, saga_service(i)) ? "does not answer"
                                                     : "is not running");
    return code;
}

/* Waits a moment; false: the reader of our lines is gone, or we shall stop. */
static bool pause_a_moment(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO}; /* errors only */

    return poll(&out, 1, POLL_MS) <= 0 && !stopped;
}

static int follow(struct log_verb *verb, struct merge *merge)
{
    int64_t count = 0;
    int code = SAGA_YES;

    while (!stopped && !ferror(stdout)) {
        json_t *event = merge_next(merge, &code);

        if (event == NULL) {
            if (!pause_a_moment())
                break;
            merge_poll(merge);
            continue;
        }
        remember(verb, event);
        if (verb->saga->json) {
            print_object(verb, event);
            putchar('\n');
        } else {
            print_line(verb, event);
        }
        json_decref(event);
        if (++count == verb->limit)
            break;
    }
    if (ferror(stdout) && errno != EPIPE)
        return saga_fail(verb->saga, SAGA_IO, "standard output: %s",
                         strerror(errno));
    if (ferror(stdout)) { /* nobody reads any more: that is an end, too */
        __fpurge(stdout);
        clearerr(stdout);
    }
    return code;
}

static int print_log(struct log_verb *verb)
{
    struct merge *merge = merge_open(verb->saga, &verb->options);
    int code;

    if (verb->options.follow) {
        struct sigaction action = {.sa_handler = stop};

        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        signal(SIGPIPE, SIG_IGN);
        setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
        code = follow(verb, merge);
    } else {
        code = print_once(verb, merge);
    }
    merge_close(merge);
    return code;
}

/* ---- the verb ----------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct log_verb *verb = saga->options;
    int64_t from = 0;
    int code;

    switch (key) {
    case 'a':
        verb->all = true;
        return SAGA_YES;
    case 'c':
        verb->cloudevents = saga->json = true;
        return SAGA_YES;
    case 'f':
        verb->options.follow = true;
        return SAGA_YES;
    case 's':
        code = saga_take_number(saga, "from", arg, 1, INT64_MAX, &from);
        verb->options.from = (uint64_t)from;
        return code;
    case 'n':
        return saga_take_number(saga, "limit", arg, 1, INT64_MAX, &verb->limit);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int check_words(struct log_verb *verb)
{
    const struct saga *saga = verb->saga;
    bool all = verb->all;

    if (all && saga->word_count > 0)
        return saga_unexpected(saga, saga->words[0]);
    if (!all && saga->word_count == 0)
        return saga_missing(saga, "SERVICE or --all");
    verb->only = all ? -1 : saga_service_number(saga->words[0]);
    if (!all && verb->only < 0)
        return saga_no_service(saga, saga->words[0]);
    for (unsigned i = 0; i < saga_services(); i++)
        verb->options.wanted[i] = all || i == (unsigned)verb->only;
    return SAGA_YES;
}

static int run(struct saga *saga)
{
    struct log_verb *verb = calloc(1, sizeof *verb);
    int code;

    if (verb == NULL)
        abort();
    verb->saga = saga;
    code = saga_parse(saga, verb);
    if (code == SAGA_YES)
        code = check_words(verb);
    /* What lies in a log begins with events of no saga; what is yet to come
     * seldom does.  20 is the length of an id that client_new_id() makes. */
    verb->id_width = verb->options.follow ? 3 : 20;
    if (code == SAGA_YES && verb->cloudevents)
        verb->descriptions = saga_descriptions(saga);
    if (code == SAGA_YES)
        code = print_log(verb);
    json_decref(verb->descriptions);
    free(verb);
    return code;
}

static const struct argp_option options[] = {
    {"all", 'a', NULL, OPTION_NO_USAGE, "all logs together", 0},
    {"cloudevents", 'c', NULL, 0, "as CloudEvents 1.0, in JSON", 0},
    {"follow", 'f', NULL, 0, "new events as they happen, until Ctrl-C", 0},
    {"from", 's', "N", 0, "start at event N (with --all: of each log)", 0},
    {"limit", 'n', "N", 0, "at most N", 0},
    {0}};

const struct verb verb_log = {.name = "log",
                              .group = QUERIES,
                              .examples = "log SERVICE --from 20\n"
                                          "log --all --follow",
                              .summary = "print the events of a log",
                              .args = "SERVICE|--all",
                              .options = options,
                              .parse = parse,
                              .words_max = 1,
                              .run = run};
