/* orders.c - `saga ls`: the orders, newest first, from the order view.  lists.c
 * lists what there is besides. */
#include "shop/cli/lists.h"
#include "shop/cli/shop_cli.h"
#include "shop/shop.h"

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
    int64_t now = saga_unix_ms();
    const json_t *order;
    int width = 5;
    size_t i;

    if (json_array_size(orders) == 0) {
        hint_print("No orders%s%s. Place one:  ./saga place widget:2\n",
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

/* What to list. */
struct wanted {
    const char *status, *customer; /* NULL: any */
    int64_t limit;
};

/* One page of orders, those before @last ("": the newest). */
static json_t *ask_page(struct saga *saga, const struct wanted *wanted,
                        int64_t limit, const char *last, int *code)
{
    json_t *ask = json_pack("{s:s,s:I}", "get", "orders", "limit",
                            (json_int_t)(limit < PAGE ? limit : PAGE));
    json_t *reply;

    if (wanted->status != NULL)
        json_object_set_new(ask, "status", json_string(wanted->status));
    if (last[0] != '\0')
        json_object_set_new(ask, "before", json_string(last));
    reply = saga_ask(saga, "order", ask, NULL, code);
    json_decref(ask);
    return reply;
}

/* Appends those of @page that are wanted; @last becomes the id of its last. */
static void add_page(const struct wanted *wanted, json_t *page, json_t *orders,
                     char last[ID_BYTES])
{
    json_t *order;
    size_t i;

    json_array_foreach(page, i, order)
    {
        snprintf(last, ID_BYTES, "%s", json_text(order, "order"));
        if (wanted->customer == NULL ||
            strcmp(wanted->customer, json_text(order, "customer")) == 0)
            json_array_append(orders, order);
    }
}

/* Asks page by page, since one answer is one message; of one customer, until
 * there are enough. */
static json_t *gather(struct saga *saga, const struct wanted *wanted,
                      bool *more, int *code)
{
    json_t *orders = json_array();
    char last[ID_BYTES] = "";

    *more = true;
    while (*more && (int64_t)json_array_size(orders) < wanted->limit) {
        int64_t left = wanted->limit - (int64_t)json_array_size(orders);
        json_t *page, *reply = ask_page(saga, wanted,
                                        wanted->customer != NULL ? PAGE : left,
                                        last, code);

        if (reply == NULL) {
            json_decref(orders);
            return NULL;
        }
        page = json_object_get(reply, "orders");
        add_page(wanted, page, orders, last);
        *more = json_is_true(json_object_get(reply, "more")) &&
                json_array_size(page) > 0;
        json_decref(reply);
    }
    while ((int64_t)json_array_size(orders) > wanted->limit) {
        json_array_remove(orders, json_array_size(orders) - 1);
        *more = true;
    }
    return orders;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct wanted *wanted = saga->options;

    if (key == 'n')
        return saga_take_number(saga, "limit", arg, 1, LIMIT_MAX,
                                &wanted->limit);
    if (key == 'c') {
        wanted->customer = arg;
        return text_is_id(arg, CUSTOMER_BYTES)
                   ? SAGA_YES
                   : saga_fail(saga, SAGA_USAGE, "'%s' is no customer's name",
                               arg);
    }
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

static int list_orders(struct saga *saga, const struct wanted *wanted)
{
    int code = SAGA_YES;
    bool more;
    json_t *orders = gather(saga, wanted, &more, &code);

    if (orders == NULL)
        return code;
    if (saga->json)
        saga_print_json(json_pack("{s:O,s:b}", "orders", orders, "more", more));
    else
        print_text(orders, more, wanted->status);
    json_decref(orders);
    return SAGA_YES;
}

static int run(struct saga *saga)
{
    struct wanted wanted = {.limit = SHOWN};
    int code = saga_parse(saga, &wanted);
    const char *what = saga->word_count > 0 ? saga->words[0] : "orders";

    if (code != SAGA_YES)
        return code;
    if (strcmp(what, "orders") == 0)
        return list_orders(saga, &wanted);
    if (!list_is_one(what))
        return saga_fail(saga, SAGA_USAGE,
                         "unexpected argument '%s': orders, products, stock or "
                         "customers ('./saga show %s' shows one order)",
                         what, what);
    if (wanted.status != NULL || wanted.customer != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "--status and --customer are options of 'ls orders'");
    return list_print(saga, what, wanted.limit);
}

static const struct argp_option options[] = {
    {"status", 's', "S", 0, "PENDING, CANCELLING, CONFIRMED or CANCELLED", 0},
    {"customer", 'c', "C", 0, "only the orders of customer C", 0},
    {"limit", 'n', "N", 0, "show at most N (20)", 0},
    {0}};

const struct verb verb_ls = {
    .name = "ls",
    .group = QUERIES,
    .examples = "ls --status PENDING\n"
                "ls stock",
    .summary = "list orders, newest first, or what else there is",
    .args = "[orders|products|stock|customers]",
    .options = options,
    .parse = parse,
    .words_max = 1,
    .run = run};
