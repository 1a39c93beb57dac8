/* present.c - what a view says of one order, sku or customer.
 *
 * Its answer names its row by what it is ("order", "stock", "account"); in the
 * output of saga, "order" is always an order's id. */
#include "shop/cli/present.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- as JSON ------------------------------------------------------------ */

/* The row that the answer is about; *member is the name under which it lies. */
static json_t *row_of(const json_t *reply, const char **member)
{
    static const char *const members[] = {"order", "stock", "account"};
    json_t *row = NULL;

    for (size_t i = 0; row == NULL && i < sizeof members / sizeof members[0];
         i++) {
        row = json_object_get(reply, members[i]);
        *member = members[i];
    }
    return json_is_array(row) ? json_array_get(row, 0) : row;
}

json_t *present_json(json_t *reply)
{
    json_t *flat = json_object(), *value;
    const char *member = "", *name;
    json_t *row = row_of(reply, &member);

    json_object_update(flat, row);
    json_object_foreach(reply, name, value)
    {
        if (strcmp(name, member) != 0)
            json_object_set(flat, name, value);
    }
    if (json_object_get(flat, "from_files") == NULL)
        json_object_set_new(flat, "from_files", json_array());
    return flat;
}

/* ---- as text ------------------------------------------------------------ */

/* "2026-01-31 12:00:00" in local time. */
static char *time_text(int64_t ms, char *text, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    localtime_r(&seconds, &tm);
    strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm);
    return text;
}

static void print_order(const json_t *reply)
{
    const json_t *order = json_object_get(reply, "order"), *line;
    const json_t *ended = json_object_get(order, "ended_ms");
    const char *reason = json_text(order, "reason");
    int64_t placed_ms = json_number(order, "placed_ms");
    char money[MONEY_BYTES], when[32];
    size_t i;

    printf("%s · %s", json_text(order, "order"), json_text(order, "customer"));
    json_array_foreach(json_object_get(order, "lines"), i, line)
        printf("%s %" PRId64 " %s at %s", i == 0 ? " ·" : ",",
               json_number(line, "quantity"), json_text(line, "sku"),
               money_text(json_number(line, "price_cents"), money));
    printf(" · %s\n", money_text(json_number(order, "total_cents"), money));
    printf("  status    %s%s%s\n", json_text(order, "status"),
           reason[0] != '\0' ? ": " : "", reason);
    printf("  stock     %s\n  payment   %s\n", json_text(order, "stock"),
           json_text(order, "payment"));
    printf("  placed    %s", time_text(placed_ms, when, sizeof when));
    if (json_is_integer(ended) && json_integer_value(ended) < placed_ms)
        printf(", ended, by a clock that was set back, at %s",
               time_text(json_integer_value(ended), when, sizeof when));
    else if (json_is_integer(ended))
        printf(", ended %" PRId64 " ms later",
               (int64_t)json_integer_value(ended) - placed_ms);
    hint_print("\n  events    %" PRId64 "  (./saga %s %s)\n",
               json_number(order, "events"),
               json_is_true(json_object_get(reply, "ended")) ? "trace" : "why",
               json_text(order, "order"));
}

static void print_sku(const json_t *reply)
{
    const json_t *stock = json_array_get(json_object_get(reply, "stock"), 0);

    printf("sku:%s\n  on hand   %" PRId64 "\n  reserved  %" PRId64
           "  held by orders that have not ended\n  available %" PRId64
           "\n  shipped   %" PRId64 "\n  received  %" PRId64 "\n",
           json_text(stock, "sku"), json_number(stock, "on_hand"),
           json_number(stock, "reserved"), json_number(stock, "available"),
           json_number(stock, "shipped"), json_number(stock, "received"));
}

enum { STATEMENT_SHOWN = 20 };

static void print_customer(const json_t *reply)
{
    const json_t *account = json_object_get(reply, "account"), *line;
    const json_t *statement = json_object_get(reply, "statement");
    size_t count = json_array_size(statement), i;
    char money[MONEY_BYTES], when[32];

    printf("customer:%s\n  balance   %s\n", json_text(account, "customer"),
           money_text(json_number(account, "balance_cents"), money));
    printf("  deposited %s\n",
           money_text(json_number(account, "deposited_cents"), money));
    printf("  charged   %s\n",
           money_text(json_number(account, "charged_cents"), money));
    printf("  refunded  %s\n\n",
           money_text(json_number(account, "refunded_cents"), money));
    json_array_foreach(statement, i, line)
    {
        if (i + STATEMENT_SHOWN < count)
            continue;
        printf("  #%-6" PRId64 " %s  %-16s %12s", json_number(line, "seq"),
               time_text(json_number(line, "time_ms"), when, sizeof when),
               json_text(line, "type"),
               money_text(json_number(line, "amount_cents"), money));
        printf(" %12s%s%s\n",
               money_text(json_number(line, "balance_cents"), money),
               json_text(line, "order")[0] != '\0' ? "  " : "",
               json_text(line, "order")); /* a deposit is for none */
    }
    if (count > STATEMENT_SHOWN || json_is_true(json_object_get(reply, "more")))
        hint_print("  ... and older ones (./saga log payment)\n");
}

void present_print(const json_t *reply)
{
    const json_t *source;
    const char *member = "";
    size_t i;

    (void)row_of(reply, &member);
    if (strcmp(member, "order") == 0)
        print_order(reply);
    else if (strcmp(member, "stock") == 0)
        print_sku(reply);
    else
        print_customer(reply);
    json_array_foreach(json_object_get(reply, "from_files"), i, source)
        printf("  From %s's log file, since %s-svc does not answer.\n",
               json_string_value(source), json_string_value(source));
}
