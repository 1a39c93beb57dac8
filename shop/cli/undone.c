/* undone.c - `saga undone`: what has not ended yet, for `./run.sh stop`.
 *
 * "nothing" is a promise: it is said only when the order view has reached the
 * heads of the logs, as they were when this began, and every service's parked
 * events were counted.  A view that lags says how far. */

#include "shop/cli/shop_cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 200, PAGES = 5, UNDONE_MS = 3000 };

/* What is counted, in the order in which it is told. */
enum undone { PENDING, CANCELLING, UNSHIPPED, PARKED, KINDS };

static const char *const statuses[] = {"PENDING", "CANCELLING", "CONFIRMED"};
static const char *const kind_names[KINDS] = {
    "PENDING", "CANCELLING", "CONFIRMED but not shipped", "parked"};
static const char *const kind_keys[KINDS] = {"pending", "cancelling",
                                             "unshipped", "parked"};

/* The logs that decide what an order's row says of these. */
static const char *const decisive[] = {"order", "inventory"};
enum { DECISIVE = sizeof decisive / sizeof decisive[0] };

struct undone_look {
    uint64_t deadline_ms;
    json_t *after;         /* the heads, as {service, log, seq} */
    int64_t counts[KINDS]; /* -1: nobody answers for it */
    bool more[KINDS];      /* at least so many */
    int64_t behind;        /* events that the view has not seen */
    const char *headless;  /* a service whose log cannot be read, or NULL */
};

static int left_ms(const struct undone_look *look)
{
    uint64_t now = saga_mono_ms();

    return now < look->deadline_ms ? (int)(look->deadline_ms - now) : 1;
}

/* @service's answer about its log: from the file, which cannot keep us
 * waiting, else from its socket. */
static json_t *ask_log(struct saga *saga, const char *service,
                       const json_t *request, const struct undone_look *look)
{
    json_t *reply = saga_ask_file(saga, service, request);

    if (reply == NULL && client_ask(saga->client, service, "qry", request,
                                    left_ms(look), &reply) != EVT_OK)
        return NULL;
    if (json_object_get(reply, "error") == NULL)
        return reply;
    json_decref(reply);
    return NULL;
}

static void read_heads(struct saga *saga, struct undone_look *look)
{
    json_t *request = json_pack("{s:s,s:I,s:i}", "get", "log", "after",
                                (json_int_t)INT64_MAX, "limit", 1);

    for (int i = 0; i < DECISIVE; i++) {
        json_t *reply = ask_log(saga, decisive[i], request, look);

        if (reply == NULL)
            look->headless = decisive[i];
        else
            json_array_append_new(
                look->after, json_pack("{s:s,s:s,s:I}", "service", decisive[i],
                                       "log", json_text(reply, "log"), "seq",
                                       (json_int_t)json_number(reply, "head")));
        json_decref(reply);
    }
    json_decref(request);
}

/* How many events of the heads that were read the answer lacks. */
static int64_t missing(const struct undone_look *look, const json_t *reply)
{
    const json_t *as_of = json_object_get(reply, "as_of"), *head;
    int64_t sum = 0;
    size_t i;

    json_array_foreach(look->after, i, head)
    {
        int64_t lag = json_number(head, "seq") -
                      json_number(as_of, json_text(head, "service"));

        sum += lag > 0 ? lag : 0;
    }
    return sum;
}

/* A page of a status, newest first, of what is older than @before (NULL: the
 * newest): with all that the heads say, or, when that does not come in time,
 * as the view has them.  NULL: no answer. */
static json_t *ask_orders(struct saga *saga, const char *status,
                          const char *before, const struct undone_look *look)
{
    json_t *request =
        json_pack("{s:s,s:s,s:i,s:s*,s:O,s:i}", "get", "orders", "status",
                  status, "limit", PAGE, "before", before, "after", look->after,
                  "timeout_ms", left_ms(look) / 2);
    json_t *reply = NULL;
    enum evt_status rc;

    rc = client_ask(saga->client, "order", "qry", request, left_ms(look),
                    &reply);
    if (rc == EVT_OK && json_number(reply, "code") == SAGA_TRY_AGAIN) {
        json_object_del(request, "after");
        json_decref(reply);
        reply = NULL;
        rc = client_ask(saga->client, "order", "qry", request, left_ms(look),
                        &reply);
    }
    json_decref(request);
    if (rc == EVT_OK && json_object_get(reply, "error") == NULL)
        return reply;
    json_decref(reply);
    return NULL;
}

/* What is confirmed and not shipped is among the newest: inventory-svc reads
 * in order. */
static bool counts_as(enum undone kind, const json_t *order)
{
    const char *stock = json_text(order, "stock");

    return kind != UNSHIPPED || strcmp(stock, "NONE") == 0 ||
           strcmp(stock, "RESERVED") == 0;
}

/* Takes a page; whether an older one may have more that counts. */
static bool count_page(enum undone kind, const json_t *reply,
                       struct undone_look *look)
{
    int64_t behind = missing(look, reply), counted = 0;
    const json_t *order;
    size_t i;

    json_array_foreach(json_object_get(reply, "orders"), i, order) counted +=
        counts_as(kind, order);
    look->counts[kind] += counted;
    if (behind > look->behind)
        look->behind = behind;
    return counted > 0 && json_is_true(json_object_get(reply, "more"));
}

static void count_orders(struct saga *saga, enum undone kind,
                         struct undone_look *look)
{
    json_t *reply = ask_orders(saga, statuses[kind], NULL, look), *next;

    look->counts[kind] = reply == NULL ? -1 : 0;
    for (int page = 1; reply != NULL; page++) {
        const json_t *orders = json_object_get(reply, "orders");
        const json_t *last =
            json_array_get(orders, json_array_size(orders) - 1);

        look->more[kind] = count_page(kind, reply, look);
        next = look->more[kind] && page < PAGES
                   ? ask_orders(saga, statuses[kind], json_text(last, "order"),
                                look)
                   : NULL;
        json_decref(reply);
        reply = next;
    }
}

static void count_parked(struct saga *saga, struct undone_look *look)
{
    json_t *request = json_pack("{s:s}", "get", "parked");
    int64_t sum = 0;

    for (unsigned i = 0; i < saga_services() && sum >= 0; i++) {
        json_t *reply = ask_log(saga, saga_service(i), request, look);

        if (reply == NULL)
            sum = -1;
        else
            sum += (int64_t)json_array_size(json_object_get(reply, "parked"));
        if (json_is_true(json_object_get(reply, "more")))
            look->more[PARKED] = true;
        json_decref(reply);
    }
    look->counts[PARKED] = sum;
    json_decref(request);
}

/* ---- telling it ---------------------------------------------------------- */

/* ", 2 PENDING, 1 parked": those whose count is known and not 0 (@wanted 1),
 * or ", PENDING, CANCELLING": those nobody answers for (-1).  Returns whether
 * there are any. */
static bool list_kinds(const struct undone_look *look, int wanted, char *text,
                       size_t size)
{
    size_t at = 0;

    text[0] = '\0';
    for (int kind = 0; kind < KINDS && at < size; kind++) {
        int64_t count = look->counts[kind];

        if (wanted < 0 && count < 0)
            at += (size_t)snprintf(text + at, size - at, "%s%s",
                                   at > 0 ? ", " : "", kind_names[kind]);
        else if (wanted > 0 && count > 0)
            at += (size_t)snprintf(
                text + at, size - at, "%s%s%" PRId64 " %s", at > 0 ? ", " : "",
                look->more[kind] ? "at least " : "", count, kind_names[kind]);
    }
    return at > 0;
}

/* What the next start does about it; "" when nobody knows of anything. */
static void print_advice(const struct undone_look *look, bool some)
{
    bool parked = look->counts[PARKED] > 0;
    bool orders = look->counts[PENDING] > 0 || look->counts[CANCELLING] > 0 ||
                  look->counts[UNSHIPPED] > 0;

    if (some && orders)
        hint_print(" The next start continues %s",
                   parked ? "it; to retry parked events:  ./saga redrive"
                          : "it.");
    else if (some && parked)
        hint_print(" To retry parked events:  ./saga redrive");
    putchar('\n');
}

/* Whether the order view was asked about everything that is recorded. */
static bool is_stale(const struct undone_look *look)
{
    return look->behind > 0 || look->headless != NULL;
}

static void print_text(const struct undone_look *look)
{
    char known[256], unknown[256];
    bool some = list_kinds(look, 1, known, sizeof known);
    bool silent = list_kinds(look, -1, unknown, sizeof unknown);
    bool stale = is_stale(look) && look->counts[PENDING] >= 0;

    if (!some && !silent && !stale) {
        puts("Left undone: nothing.");
        return;
    }
    printf("Left undone: %s", known);
    if (silent)
        printf("%sno answer about %s", some ? "; " : "", unknown);
    if (stale && !some && !silent)
        printf("not known");
    if (stale && look->behind > 0)
        printf("; the order view is %" PRId64 " event%s behind", look->behind,
               look->behind == 1 ? "" : "s");
    else if (stale)
        printf("; the log of %s-svc cannot be read", look->headless);
    putchar('.');
    print_advice(look, some);
}

static json_t *as_json(const struct undone_look *look)
{
    json_t *json = json_pack("{s:I}", "behind", (json_int_t)look->behind);
    json_t *more = json_array(), *unknown = json_array();

    for (int kind = 0; kind < KINDS; kind++) {
        json_t *name = json_string(kind_keys[kind]);

        json_object_set_new(json, kind_keys[kind],
                            look->counts[kind] < 0
                                ? json_null()
                                : json_integer(look->counts[kind]));
        if (look->counts[kind] < 0)
            json_array_append(unknown, name);
        if (look->more[kind])
            json_array_append(more, name);
        json_decref(name);
    }
    json_object_set_new(json, "unknown", unknown);
    json_object_set_new(json, "at_least", more);
    return json;
}

static int exit_code(const struct undone_look *look)
{
    bool some = false, all = !is_stale(look);

    for (int kind = 0; kind < KINDS; kind++) {
        some = some || look->counts[kind] > 0;
        all = all && look->counts[kind] >= 0;
    }
    if (!all)
        return SAGA_TRY_AGAIN;
    return some ? SAGA_NO : SAGA_YES;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;

    if (key != 'w')
        return ARGP_ERR_UNKNOWN;
    return saga_take_number(saga, "within", arg, 1, 60000, saga->options);
}

static int run_undone(struct saga *saga)
{
    int64_t within_ms = UNDONE_MS;
    int code = saga_parse(saga, &within_ms);
    struct undone_look look = {.headless = NULL};

    if (code != SAGA_YES)
        return code;
    look.deadline_ms = saga_mono_ms() + (uint64_t)within_ms;
    look.after = json_array();
    read_heads(saga, &look);
    for (int kind = PENDING; kind < PARKED; kind++)
        count_orders(saga, (enum undone)kind, &look);
    count_parked(saga, &look);
    if (saga->json)
        saga_print_json(as_json(&look));
    else
        print_text(&look);
    json_decref(look.after);
    return exit_code(&look);
}

static const struct argp_option options[] = {
    {"within", 'w', "MS", 0, "at most MS milliseconds (3000)", 0}, {0}};

const struct verb verb_undone = {
    .name = "undone",
    .group = QUERIES,
    .after = "wait",
    .examples = "undone",
    .summary = "count the orders and events that are not done yet",
    .args = "",
    .options = options,
    .parse = parse,
    .notes = "exits 0 if nothing is left and all was seen, 1 if something is "
             "left, 75 if nobody answered for a part of it or the order view "
             "lags behind the logs",
    .run = run_undone};
