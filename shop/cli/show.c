/* show.c - `saga show`: shows a state, now or at any point in the past.
 *
 * State is a fold of the log, so folding less of it gives a past state: --at
 * and --time take the events of one tag up to a point and run them through the
 * same evolve that the service decides with.  Without them the read model
 * answers; when its service is down, refold.c does what that would. */
#include "core/json.h"
#include "shop/cli/moment.h"
#include "shop/cli/present.h"
#include "shop/cli/refold.h"
#include "shop/cli/shop_cli.h"
#include "shop/shop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct question {
    struct saga *saga;
    const char *subject, *at, *time; /* as asked */
    unsigned tag;
    const char *key;
    int service; /* whose log is folded; -1: of every service that has a state
                    under this tag */
    bool past;
    uint64_t upto;    /* --at; UINT64_MAX: the end */
    int64_t upto_ms;  /* --time; INT64_MAX: the end */
    const char *when; /* as asked, NULL: now */
};

/* ---- what was asked ------------------------------------------------------ */

static bool has_state(unsigned service, unsigned tag)
{
    for (size_t k = 0; k < roster_services[service]->kind_count; k++)
        if (roster_services[service]->kinds[k].tag == tag)
            return true;
    return false;
}

/* "o-7", "order:o-7", "sku:widget", "customer:alice" */
static int parse_subject(struct question *question)
{
    static const struct {
        const char *prefix;
        unsigned tag;
        int service;
        size_t size;
    } tags[] = {{"order:", TAG_ORDER, 0, ID_BYTES},
                {"sku:", TAG_SKU, 1, SKU_BYTES},
                {"customer:", TAG_CUSTOMER, 2, CUSTOMER_BYTES}};
    size_t size = ID_BYTES;

    question->tag = TAG_ORDER;
    question->key = question->subject;
    question->service = 0;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        size_t length = strlen(tags[i].prefix);

        if (strncmp(question->subject, tags[i].prefix, length) != 0)
            continue;
        question->tag = tags[i].tag;
        question->key = question->subject + length;
        question->service = tags[i].service;
        size = tags[i].size;
    }
    if (text_is_id(question->key, size))
        return SAGA_YES;
    return saga_fail(question->saga, SAGA_USAGE,
                     "expected an order id, sku:X or customer:Y, not '%s'",
                     question->subject);
}

/* "[SERVICE:]SEQ" */
static int parse_at(struct question *question, const char *text)
{
    const char *colon = strchr(text, ':');
    int64_t seq;

    question->past = true;
    question->when = text;
    if (colon != NULL) {
        char name[SERVICE_BYTES];
        size_t length = (size_t)(colon - text);

        snprintf(name, sizeof name, "%.*s", (int)length, text);
        question->service =
            length < sizeof name ? saga_service_number(name) : -1;
        if (question->service < 0)
            return saga_fail(question->saga, SAGA_USAGE,
                             "no service %.*s: the services are order, "
                             "inventory and payment",
                             (int)length, text);
        text = colon + 1;
    }
    if (!text_parse_count(text, 0, INT64_MAX, &seq))
        return saga_fail(question->saga, SAGA_USAGE,
                         "--at takes [SERVICE:]SEQ, as in payment:3, not '%s'",
                         question->when);
    question->upto = (uint64_t)seq;
    return SAGA_YES;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct question *question = saga->options;

    if (key != 'a' && key != 't')
        return ARGP_ERR_UNKNOWN;
    *(key == 'a' ? &question->at : &question->time) = arg;
    return SAGA_YES;
}

static int check_words(struct question *question)
{
    const struct saga *saga = question->saga;
    int code;

    if (saga->word_count == 0)
        return saga_missing(saga, "ORDER, sku:X or customer:Y");
    if (question->at != NULL && question->time != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "--at and --time exclude each other");
    question->subject = saga->words[0];
    code = parse_subject(question);
    if (code == SAGA_YES && question->at != NULL)
        code = parse_at(question, question->at);
    if (code == SAGA_YES && question->time != NULL) {
        question->past = true;
        question->when = question->time;
        code = moment_read(saga, question->time, &question->upto_ms);
        if (question->tag == TAG_ORDER)
            question->service = -1; /* a time means the same in all logs */
    }
    if (code == SAGA_YES && question->service >= 0 &&
        !has_state((unsigned)question->service, question->tag))
        code = saga_fail(saga, SAGA_USAGE, "%s-svc has no state of %s",
                         shop_services[question->service], question->subject);
    return code;
}

/* ---- folding ------------------------------------------------------------- */

struct stream {
    struct event *events; /* owned */
    size_t count;
    uint64_t head;
    bool from_file;
};

/* What comes of folding, as JSON. */
struct folded {
    json_t *states, *as_of, *from_files;
    size_t count; /* of states that any event had touched */
};

/* The events of the tag up to the point asked, decoded.  A fold over a log
 * that cannot be read whole would be a wrong answer, so there is none. */
static int read_stream(const struct question *question, unsigned service,
                       struct stream *stream)
{
    char tag[TAG_BYTES];
    int code = SAGA_YES;
    json_t *rows, *row;
    size_t i;

    memset(stream, 0, sizeof *stream);
    event_tag(&shop_domain, question->tag, question->key, tag);
    rows = saga_log_events(question->saga, shop_services[service], tag, 0,
                           question->upto, NULL, &stream->head,
                           &stream->from_file, &code);
    if (rows == NULL)
        return code;
    stream->events = calloc(json_array_size(rows) + 1, sizeof *stream->events);
    if (stream->events == NULL)
        abort();
    json_array_foreach(rows, i, row)
    {
        struct event *event = &stream->events[stream->count];

        if (json_to_event(&shop_domain, row, event) != EVT_OK) {
            code = saga_fail(
                question->saga, SAGA_BAD_DATA,
                "%s #%" JSON_INTEGER_FORMAT " cannot be read by this program, "
                "so %s cannot be folded ('./saga log %s' shows it raw)",
                shop_services[service],
                json_integer_value(json_object_get(row, "seq")),
                question->subject, shop_services[service]);
            break;
        }
        if (event->time_ms > question->upto_ms)
            break;
        stream->count++;
    }
    json_decref(rows);
    return code;
}

static void stream_free(struct stream *stream)
{
    free(stream->events);
}

/* "total_cents" is printed as "total"; money as 12.34. */
static void print_field(const struct field *field, const json_t *value)
{
    bool cents = field->unit != NULL && strcmp(field->unit, "cents") == 0;
    size_t length = strlen(field->name), i;
    char text[MONEY_BYTES];
    json_t *line;

    if (json_is_string(value) && json_string_length(value) == 0)
        return; /* an order that was not cancelled has no reason */
    if (cents && length > 6 && strcmp(field->name + length - 6, "_cents") == 0)
        length -= 6;
    printf("  %-12.*s", (int)length, field->name);
    if (cents) {
        printf("%s", money_text(json_integer_value(value), text));
    } else if (json_is_integer(value)) {
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_string(value)) {
        printf("%s", json_string_value(value));
    } else {
        json_array_foreach(value, i, line)
        {
            const json_t *price = json_object_get(line, "price_cents");

            printf("%s%" JSON_INTEGER_FORMAT " %s", i > 0 ? ", " : "",
                   json_integer_value(json_object_get(line, "quantity")),
                   json_string_value(json_object_get(line, "sku")));
            if (price != NULL)
                printf(" at %s", money_text(json_integer_value(price), text));
        }
    }
    putchar('\n');
}

static void print_state(const struct question *question, unsigned service,
                        const struct kind *kind, const struct stream *stream,
                        const json_t *fields)
{
    uint64_t seq =
        question->upto < stream->head ? question->upto : stream->head;

    printf("%s, %s's %s", question->subject, shop_services[service],
           kind->name);
    if (question->upto_ms != INT64_MAX)
        printf(" as of %s", question->when);
    else
        printf(" at #%" PRIu64 " of %" PRIu64, seq, stream->head);
    printf("%s\n", stream->from_file
                       ? " (from its file, since it does not answer)"
                       : "");
    for (const struct field *f = kind->fields; f->name != NULL; f++)
        print_field(f, json_object_get(fields, f->name));
}

/* Notes which events of the log the answer has seen. */
static void note_log(const struct question *question, const char *service,
                     const struct stream *stream, struct folded *folded)
{
    uint64_t last =
        stream->count > 0 ? stream->events[stream->count - 1].at.seq : 0;
    uint64_t seen = question->upto_ms != INT64_MAX  ? last
                    : question->upto < stream->head ? question->upto
                                                    : stream->head;

    json_object_set_new(folded->as_of, service, json_integer((json_int_t)seen));
    if (stream->from_file)
        json_array_append_new(folded->from_files, json_string(service));
}

static json_t *state_json(const struct service *owner, const struct kind *kind,
                          size_t events, const struct stream *stream,
                          json_t *fields)
{
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:O}", "service", owner->name,
                     "kind", kind->name, "events", (json_int_t)events,
                     "last_seq",
                     (json_int_t)stream->events[stream->count - 1].at.seq,
                     "head", (json_int_t)stream->head, "state", fields);
}

/* Folds every state that @service keeps under the tag. */
static int fold_service(const struct question *question, unsigned service,
                        struct folded *all)
{
    const struct service *owner = roster_services[service];
    struct stream stream;
    int code = read_stream(question, service, &stream);

    if (code == SAGA_YES && question->upto != UINT64_MAX &&
        question->upto > stream.head)
        code = saga_fail(question->saga, SAGA_NO_SUCH,
                         "%s's log ends at #%" PRIu64 ": there is no #%" PRIu64
                         " yet",
                         owner->name, stream.head, question->upto);
    note_log(question, owner->name, &stream, all);
    for (size_t k = 0; code == SAGA_YES && k < owner->kind_count; k++) {
        const struct kind *kind = &owner->kinds[k];
        json_t *fields;
        size_t folded;
        void *state;

        if (kind->tag != question->tag)
            continue;
        state = ends_fold(service, kind, question->key, stream.events,
                          stream.count, &folded);
        if (folded > 0) {
            fields = json_from_fields(kind->fields, state);
            if (question->saga->json)
                json_array_append_new(
                    all->states,
                    state_json(owner, kind, folded, &stream, fields));
            else
                print_state(question, service, kind, &stream, fields);
            json_decref(fields);
            all->count++;
        }
        free(state);
    }
    stream_free(&stream);
    return code;
}

static bool view_knows(struct saga *saga, const char *service, json_t *ask)
{
    json_t *reply = NULL;
    bool known = saga_ask_view(saga, service, ask, 1000, &reply) == EVT_OK &&
                 json_object_get(reply, "error") == NULL;

    json_decref(reply);
    json_decref(ask);
    return known;
}

/* What else is called as the order that was asked for, "sku" or "customer",
 * whose first half was forgotten; NULL: nothing. */
static const char *other_kind(const struct question *question)
{
    const char *name = question->key;

    if (question->subject != name)
        return NULL;
    if (view_knows(question->saga, "inventory",
                   json_pack("{s:s,s:s}", "get", "stock", "sku", name)))
        return "sku";
    if (view_knows(question->saga, "payment",
                   json_pack("{s:s,s:s}", "get", "account", "customer", name)))
        return "customer";
    return NULL;
}

static int nothing_there(const struct question *question)
{
    const char *kind = other_kind(question);

    if (kind != NULL)
        return saga_fail(question->saga, SAGA_NO_SUCH,
                         "no order %s, but a %s: './saga show %s:%s'",
                         question->key, kind, kind, question->key);
    if (question->tag == TAG_ORDER && !question->past)
        return ends_no_such(question->saga, question->key);
    return saga_fail(question->saga, SAGA_NO_SUCH,
                     "no %s%s%s ('./saga log --all' shows what happened)",
                     question->subject, question->past ? " at " : "",
                     question->past ? question->when : "");
}

static int fold(const struct question *question)
{
    struct folded all = {json_array(), json_object(), json_array(), 0};
    int code = SAGA_YES;

    for (unsigned i = 0; i < SERVICES && code == SAGA_YES; i++)
        if (question->service == (int)i ||
            (question->service < 0 && has_state(i, question->tag)))
            code = fold_service(question, i, &all);
    if (code == SAGA_YES && all.count == 0)
        code = nothing_there(question);
    else if (code == SAGA_YES && question->saga->json)
        saga_print_json(json_pack(
            "{s:s,s:O,s:O,s:O}", "subject", question->subject, "states",
            all.states, "as_of", all.as_of, "from_files", all.from_files));
    json_decref(all.states);
    json_decref(all.as_of);
    json_decref(all.from_files);
    return code;
}

/* ---- the read models ----------------------------------------------------- */

static json_t *view_request(const struct question *question)
{
    switch (question->tag) {
    case TAG_SKU:
        return json_pack("{s:s,s:s}", "get", "stock", "sku", question->key);
    case TAG_CUSTOMER:
        return json_pack("{s:s,s:s}", "get", "account", "customer",
                         question->key);
    default:
        return json_pack("{s:s,s:s}", "get", "order", "order", question->key);
    }
}

/* Asks the read model; EVT_NONE and EVT_BUSY: it does not answer. */
static enum evt_status ask_view(const struct question *question, json_t **reply)
{
    const char *service = shop_services[question->service];
    json_t *ask = view_request(question);
    enum evt_status rc;

    rc = saga_ask_view(question->saga, service, ask, 2000, reply);
    json_decref(ask);
    return rc;
}

/* What the view said instead, and what to type about it. */
static int view_refused(const struct question *question, const json_t *reply)
{
    const char *error = json_text(reply, "error");
    int code = (int)json_number(reply, "code");

    if (code != SAGA_NO_SUCH)
        return saga_fail(question->saga, code > 0 ? code : SAGA_IO, "%s",
                         error);
    switch (question->tag) {
    case TAG_SKU:
        return saga_fail(question->saga, code,
                         "%s ('./saga stock %s 1' receives one)", error,
                         question->key);
    case TAG_CUSTOMER:
        return saga_fail(question->saga, code,
                         "%s ('./saga fund %s 10.00' opens an account)", error,
                         question->key);
    default:
        return nothing_there(question);
    }
}

static int show_view(const struct question *question, json_t *reply)
{
    int code = SAGA_YES;

    if (json_object_get(reply, "error") != NULL)
        code = view_refused(question, reply);
    else if (question->saga->json)
        saga_print_json(present_json(reply));
    else
        present_print(reply);
    json_decref(reply);
    return code;
}

static int run(struct saga *saga)
{
    struct question question = {
        .saga = saga, .upto = UINT64_MAX, .upto_ms = INT64_MAX};
    int code = saga_parse(saga, &question);
    char tag[TAG_BYTES];
    json_t *reply = NULL;
    enum evt_status rc;

    if (code == SAGA_YES)
        code = check_words(&question);
    if (code != SAGA_YES)
        return code;
    if (question.past)
        return fold(&question);
    rc = ask_view(&question, &reply);
    if (rc == EVT_OK)
        return show_view(&question, reply);
    if (rc == EVT_BAD || saga->read_side != NULL)
        return saga_no_view(saga, shop_services[question.service], rc);
    event_tag(&shop_domain, question.tag, question.key, tag);
    reply = refold_answer(saga, (unsigned)question.service, tag,
                          view_request(&question), &code);
    return reply == NULL ? code : show_view(&question, reply);
}

static const struct argp_option options[] = {
    {"at", 'a', "SEQ", OPTION_NO_USAGE,
     "as of event SEQ of the log that holds it: order for orders, inventory "
     "for skus, payment for customers; for another log, SERVICE:SEQ",
     0},
    {"time", 't', "T", OPTION_NO_USAGE,
     "as of time T: 2026-01-31T12:00:00, or Unix ms", 0},
    {0}};

const struct verb verb_show = {
    .name = "show",
    .group = QUERIES,
    .examples = "show o-7\n"
                "show sku:widget\n"
                "show customer:alice --time 2026-01-31T12:00:00",
    .summary = "show a state, now or at any point in the past",
    .args = "ORDER|sku:X|customer:Y [--at [SERVICE:]SEQ | --time T]",
    .options = options,
    .parse = parse,
    .words_max = 1,
    .run = run};
