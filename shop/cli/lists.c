/* lists.c - `saga ls products|stock|customers`: what there is besides orders.
 *
 * Stock and accounts come from the views of inventory and payment, page by
 * page.  No view has the prices: the log of order is read for them. */
#include "shop/cli/lists.h"

#include "saga-cli/merge.h"
#include "shop/shop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row as text. */
static void print_product(const json_t *row)
{
    char price[MONEY_BYTES];

    printf("  %-20s %12s\n", json_text(row, "sku"),
           money_text(json_number(row, "price_cents"), price));
}

static void print_stock(const json_t *row)
{
    printf("  %-20s %9" PRId64 " %9" PRId64 " %9" PRId64 " %9" PRId64 "\n",
           json_text(row, "sku"), json_number(row, "on_hand"),
           json_number(row, "reserved"), json_number(row, "available"),
           json_number(row, "shipped"));
}

static void print_customer(const json_t *row)
{
    char balance[MONEY_BYTES], charged[MONEY_BYTES];

    printf("  %-20s %12s %12s\n", json_text(row, "customer"),
           money_text(json_number(row, "balance_cents"), balance),
           money_text(json_number(row, "charged_cents"), charged));
}

static const struct list {
    const char *name, *service;
    const char *get, *member, *key; /* of the view; NULL: none has it */
    const char *header;
    void (*print)(const json_t *row);
} lists[] = {
    {"products", "order", NULL, NULL, "sku",
     "  sku                         price", print_product},
    {"stock", "inventory", "stock", "stock", "sku",
     "  sku                    on hand  reserved available   shipped",
     print_stock},
    {"customers", "payment", "accounts", "accounts", "customer",
     "  customer                  balance      charged", print_customer},
};

static const struct list *find(const char *name)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strcmp(lists[i].name, name) == 0)
            return &lists[i];
    return NULL;
}

bool list_is_one(const char *name)
{
    return find(name) != NULL;
}

/* ---- gathering ---------------------------------------------------------- */

/* Asks the view page by page; NULL: reported, *code set. */
static json_t *from_view(struct saga *saga, const struct list *list,
                         int64_t limit, bool *more, int *code)
{
    json_t *rows = json_array();

    *more = true;
    while (*more && (int64_t)json_array_size(rows) < limit) {
        size_t have = json_array_size(rows);
        json_t *ask = json_pack("{s:s}", "get", list->get), *reply;

        if (have > 0)
            json_object_set_new(
                ask, "past",
                json_string(
                    json_text(json_array_get(rows, have - 1), list->key)));
        reply = saga_ask(saga, list->service, ask, NULL, code);
        json_decref(ask);
        if (reply == NULL) {
            json_decref(rows);
            return NULL;
        }
        json_array_extend(rows, json_object_get(reply, list->member));
        *more = json_is_true(json_object_get(reply, "more"));
        json_decref(reply);
    }
    return rows;
}

/* The last price of each sku in the log of order; NULL: reported. */
static json_t *prices(struct saga *saga, const struct list *list, int *code)
{
    struct merge_options options = {.from = 1};
    json_t *all = json_object(), *event;
    struct merge *merge;

    options.wanted[saga_service_number(list->service)] = true;
    merge = merge_open(saga, &options);
    while ((event = merge_next(merge, code)) != NULL) {
        const json_t *data = json_object_get(event, "data");

        if (strcmp(json_text(event, "type"), shop_type_name(PRODUCT_LISTED)) ==
                0 &&
            data != NULL)
            json_object_set_new(all, json_text(data, "sku"),
                                json_integer(json_number(data, "price_cents")));
        json_decref(event);
    }
    merge_close(merge);
    if (*code == SAGA_YES)
        return all;
    json_decref(all);
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *products(struct saga *saga, const struct list *list, int *code)
{
    json_t *all = prices(saga, list, code), *rows, *price;
    const char **names, *name;
    size_t count = 0;

    if (all == NULL)
        return NULL;
    names = calloc(json_object_size(all) + 1, sizeof *names);
    if (names == NULL)
        abort();
    json_object_foreach(all, name, price) names[count++] = name;
    qsort(names, count, sizeof *names, by_name);
    rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, json_pack("{s:s,s:O}", "sku", names[i],
                                              "price_cents",
                                              json_object_get(all, names[i])));
    free(names);
    json_decref(all);
    return rows;
}

/* ---- telling ------------------------------------------------------------ */

int list_print(struct saga *saga, const char *name, int64_t limit)
{
    const struct list *list = find(name);
    bool more = false;
    int code = SAGA_YES;
    json_t *rows = list->get == NULL
                       ? products(saga, list, &code)
                       : from_view(saga, list, limit, &more, &code);
    const json_t *row;
    size_t i;

    if (rows == NULL)
        return code;
    while ((int64_t)json_array_size(rows) > limit) {
        json_array_remove(rows, json_array_size(rows) - 1);
        more = true;
    }
    if (saga->json) {
        saga_print_json(json_pack("{s:O,s:b}", name, rows, "more", more));
    } else if (json_array_size(rows) == 0) {
        printf("No %s yet.\n", name);
    } else {
        puts(list->header);
        json_array_foreach(rows, i, row) list->print(row);
        if (more)
            puts("  ... and more (--limit N shows more)");
    }
    json_decref(rows);
    return SAGA_YES;
}
