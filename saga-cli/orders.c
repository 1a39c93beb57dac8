/* orders.c - `saga ls`: the orders, newest first, from the order view. */
#include "story.h"
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 200, SHOWN = 20, LIMIT_MAX = 1000000 };

static const char *const statuses[] = {"PENDING", "CANCELLING", "CONFIRMED",
                                       "CANCELLED"};
enum { STATUSES = sizeof statuses / sizeof statuses[0] };

/* "2 widget, 1 gizmo" */
static void lines_text(const json_t *order, char *text, size_t size)
{
    const json_t *lines = json_object_get(order, "lines"), *line;
    size_t i, at = 0;

    text[0] = '\0';
    json_array_foreach(lines, i, line)
    {
        if (at < size)
            at += (size_t)snprintf(
                text + at, size - at, "%s%" PRId64 " %s", i > 0 ? ", " : "",
                json_number(line, "quantity"), json_text(line, "sku"));
    }
}

/* "12 s", "3 min", "2 h", "5 d" */
static void age_text(int64_t ms, char *text, size_t size)
{
    int64_t s = ms > 0 ? ms / 1000 : 0;

    if (s < 120)
        snprintf(text, size, "%" PRId64 " s", s);
    else if (s < 7200)
        snprintf(text, size, "%" PRId64 " min", s / 60);
    else if (s < 172800)
        snprintf(text, size, "%" PRId64 " h", s / 3600);
    else
        snprintf(text, size, "%" PRId64 " d", s / 86400);
}

static void print_order(const json_t *order, int id_width, int64_t now)
{
    char lines[512], total[MONEY_BYTES], age[32];

    lines_text(order, lines, sizeof lines);
    age_text(now - json_number(order, "placed_ms"), age, sizeof age);
    printf("  %-*s  %-10s %-10s %10s  %8s  %s", id_width,
           json_text(order, "order"), json_text(order, "status"),
           json_text(order, "customer"),
           money_text(json_number(order, "total_cents"), total), age, lines);
    if (json_text(order, "reason")[0] != '\0')
        printf("  (%s)", json_text(order, "reason"));
    putchar('\n');
}

static void print_text(const json_t *orders, bool more, const char *status)
{
    int64_t now = unix_ms_now();
    const json_t *order;
    int width = 5;
    size_t i;

    if (json_array_size(orders) == 0) {
        printf("No orders%s%s. Place one:  ./saga place widget:2\n",
               status != NULL ? " that are " : "",
               status != NULL ? status : "");
        return;
    }
    json_array_foreach(orders, i, order)
    {
        int length = (int)strlen(json_text(order, "order"));

        width = length > width ? length : width;
    }
    printf("  %-*s  %-10s %-10s %10s  %8s  %s\n", width, "order", "status",
           "customer", "total", "placed", "lines");
    json_array_foreach(orders, i, order) print_order(order, width, now);
    if (more)
        printf("  ... and older ones (--limit N shows more)\n");
}

/* Asks page by page, since one answer is one message. */
static json_t *gather(struct saga *saga, const char *status, int64_t limit,
                      bool *more, int *code)
{
    json_t *orders = json_array();

    *more = true;
    while (*more && (int64_t)json_array_size(orders) < limit) {
        size_t have = json_array_size(orders);
        int64_t left = limit - (int64_t)have;
        json_t *ask = json_pack("{s:s,s:I}", "get", "orders", "limit",
                                (json_int_t)(left < PAGE ? left : PAGE));
        json_t *reply;

        if (status != NULL)
            json_object_set_new(ask, "status", json_string(status));
        if (have > 0)
            json_object_set_new(
                ask, "before",
                json_string(
                    json_text(json_array_get(orders, have - 1), "order")));
        reply = saga_ask(saga, "order", ask, NULL, code);
        json_decref(ask);
        if (reply == NULL) {
            json_decref(orders);
            return NULL;
        }
        json_array_extend(orders, json_object_get(reply, "orders"));
        *more = json_is_true(json_object_get(reply, "more")) &&
                json_array_size(orders) > have;
        json_decref(reply);
    }
    return orders;
}

/* What to list. */
struct wanted {
    const char *status; /* NULL: any */
    int64_t limit;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct wanted *wanted = saga->options;

    if (key == 'n')
        return saga_take_number(saga, "limit", arg, 1, LIMIT_MAX,
                                &wanted->limit);
    if (key != 's')
        return ARGP_ERR_UNKNOWN;
    wanted->status = NULL;
    for (size_t i = 0; i < STATUSES; i++)
        if (strcasecmp(arg, statuses[i]) == 0)
            wanted->status = statuses[i];
    if (wanted->status != NULL)
        return SAGA_YES;
    return saga_fail(saga, SAGA_USAGE,
                     "status must be PENDING, CANCELLING, CONFIRMED or "
                     "CANCELLED, not %s",
                     arg);
}

static int run(struct saga *saga)
{
    struct wanted wanted = {.limit = SHOWN};
    int code = saga_parse(saga, &wanted);
    json_t *orders;
    bool more;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count > 0)
        return saga_fail(
            saga, SAGA_USAGE,
            "unexpected argument '%s' ('./saga show %s' shows one order)",
            saga->words[0], saga->words[0]);
    orders = gather(saga, wanted.status, wanted.limit, &more, &code);
    if (orders == NULL)
        return code;
    if (saga->json)
        saga_print_json(json_pack("{s:O,s:b}", "orders", orders, "more", more));
    else
        print_text(orders, more, wanted.status);
    json_decref(orders);
    return SAGA_YES;
}

static const struct argp_option options[] = {
    {"status", 's', "S", 0, "PENDING, CANCELLING, CONFIRMED or CANCELLED", 0},
    {"limit", 'n', "N", 0, "show at most N orders (20)", 0},
    {0}};

const struct verb verb_ls = {.name = "ls",
                             .group = QUERIES,
                             .summary = "list the orders, newest first",
                             .args = "",
                             .options = options,
                             .parse = parse,
                             .words_max = 1,
                             .run = run};
