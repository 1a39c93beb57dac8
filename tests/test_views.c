/* test_views.c - the rows that the three views make of events, and what they
 * answer.  Calls the views' functions directly: no logs, no reader. */
#include "inventory-svc/inventory.h"
#include "must.h"
#include "order-svc/order.h"
#include "payment-svc/payment.h"
#include "read/view_db.h"
#include "shop/shop.h"
#include "stream/frame.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- events and views --------------------------------------------------- */

static char directory[256], why[STORE_WHY_BYTES];
static struct view_files place;
static struct view_db *db;

static void make_directory(void)
{
    const char *top = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";

    snprintf(directory, sizeof directory, "%s/test-views-XXXXXX", top);
    cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
    view_db_close(db);
    db = NULL;
    view_db_clean(&place, 0);
    rmdir(directory);
}

TestSuite(views, .init = make_directory, .fini = remove_directory);

/* An empty view, in place of the one before. */
static void open_view(const struct view *view)
{
    view_db_close(db);
    place = (struct view_files){view, directory, NULL};
    cr_assert_eq(view_db_create(&place, 1, &db, why), EVT_OK, "%s", why);
    cr_assert_eq(view_db_begin(db), EVT_OK);
}

static struct event an_event(const char *source, uint64_t seq, unsigned type,
                             const char *order_id)
{
    struct event event = {.type = type, .at = {.seq = seq}};

    text_copy(event.source, sizeof event.source, source);
    text_copy(event.order_id, sizeof event.order_id, order_id);
    memset(event.at.log_id, source[0], LOG_ID_BYTES);
    event.time_ms = 1000 + (int64_t)seq;
    return event;
}

static void project(const struct event *event)
{
    cr_assert_eq(place.view->project(db, event), EVT_OK, "%s",
                 view_db_error(db));
}

/* What was noted becomes rows. */
static void commit(void)
{
    cr_assert_eq(view_db_commit(db), EVT_OK, "%s", view_db_error(db));
    cr_assert_eq(view_db_begin(db), EVT_OK);
}

/* Asks the view; "%s" in @request is @value. */
static json_t *ask(const char *request, const char *value)
{
    char text[256];
    json_t *json, *answer;

    snprintf(text, sizeof text, request, value);
    json = json_loads(text, 0, NULL);
    cr_assert_not_null(json, "%s", text);
    commit();
    answer = place.view->query(db, json);
    json_decref(json);
    return answer;
}

/* Asserts that the answer has (at least) all members of @expected, deep down;
 * a list as long. */
static bool has(const json_t *json, const json_t *expected)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_object(expected)) {
        json_object_foreach(
            (json_t *)(uintptr_t)expected, name,
            member) if (!has(json_object_get(json, name), member)) return false;
        return json_is_object(json);
    }
    if (json_is_array(expected)) {
        json_array_foreach(
            expected, i,
            member) if (!has(json_array_get(json, i), member)) return false;
        return json_array_size(json) == json_array_size(expected);
    }
    return json_equal(json, expected);
}

static void expect(const char *request, const char *value, const char *expected)
{
    json_t *answer = ask(request, value);
    json_t *wanted = json_loads(expected, 0, NULL);
    char *text = json_dumps(answer, JSON_COMPACT);

    cr_assert_not_null(wanted, "%s", expected);
    cr_assert(has(answer, wanted), "%s\nis not %s", text, expected);
    free(text);
    json_decref(wanted);
    json_decref(answer);
}

/* ---- the order view ----------------------------------------------------- */

/* One saga of every end, as the logs of the three services hold them. */
struct made_log {
    const char *source;
    size_t count;
    struct event events[32];
};
static struct made_log logs[SERVICES] = {
    {.source = "order"}, {.source = "inventory"}, {.source = "payment"}};

static struct event *made(int log, unsigned type, const char *order_id)
{
    struct made_log *to = &logs[log];
    struct event *event = &to->events[to->count++];

    *event = an_event(to->source, to->count, type, order_id);
    event->time_ms = 1000 * (log + 1) + (int64_t)to->count;
    return event;
}

static void placed(const char *order_id)
{
    struct payload *data = payload_in(made(0, ORDER_PLACED, order_id)->data);

    text_copy(data->customer, sizeof data->customer, "alice");
    data->line_count = 1;
    text_copy(data->lines[0].sku, SKU_BYTES, "widget");
    data->lines[0].quantity = 2;
    data->lines[0].price_cents = 1990;
    data->total_cents = 3980;
}

static void because(int log, unsigned type, const char *order_id,
                    const char *reason)
{
    text_copy(payload_in(made(log, type, order_id)->data)->reason, REASON_BYTES,
              reason);
}

enum { ORDER, INVENTORY, PAYMENT };

static void make_logs(void)
{
    made(ORDER, PRODUCT_LISTED, "");
    made(INVENTORY, STOCK_RECEIVED, "");
    placed("o-shipped");
    made(INVENTORY, STOCK_RESERVED, "o-shipped");
    made(PAYMENT, PAYMENT_CHARGED, "o-shipped");
    made(ORDER, ORDER_CONFIRMED, "o-shipped");
    made(INVENTORY, STOCK_SHIPPED, "o-shipped");
    placed("o-rejected");
    because(INVENTORY, STOCK_REJECTED, "o-rejected", "insufficient stock");
    because(ORDER, ORDER_CANCELLED, "o-rejected", "insufficient stock");
    placed("o-declined");
    made(INVENTORY, STOCK_RESERVED, "o-declined");
    because(PAYMENT, PAYMENT_DECLINED, "o-declined", "insufficient funds");
    because(INVENTORY, STOCK_RELEASED, "o-declined", "insufficient funds");
    because(ORDER, ORDER_CANCELLED, "o-declined", "insufficient funds");
    placed("o-refunded");
    made(INVENTORY, STOCK_RESERVED, "o-refunded");
    because(ORDER, ORDER_CANCELLING, "o-refunded", "timed out");
    made(PAYMENT, PAYMENT_CHARGED, "o-refunded");
    because(PAYMENT, PAYMENT_REFUNDED, "o-refunded", "timed out");
    because(INVENTORY, STOCK_RELEASED, "o-refunded", "timed out");
    because(ORDER, ORDER_CANCELLED, "o-refunded", "timed out");
    placed("o-voided");
    because(ORDER, ORDER_CANCELLING, "o-voided", "changed my mind");
    because(PAYMENT, PAYMENT_VOIDED, "o-voided", "changed my mind");
    because(INVENTORY, STOCK_RELEASED, "o-voided", "changed my mind");
    because(ORDER, ORDER_CANCELLED, "o-voided", "changed my mind");
    placed("o-pending");
}

static uint64_t choices;

/* Each log in its own order, mixed as @seed says. */
static void project_mixed(uint64_t seed)
{
    size_t next[SERVICES] = {0}, left = 0;

    choices = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < SERVICES; i++)
        left += logs[i].count;
    while (left > 0) {
        unsigned i = (unsigned)must_random(&choices, SERVICES);

        if (next[i] == logs[i].count)
            continue;
        project(&logs[i].events[next[i]++]);
        left--;
        if (must_random(&choices, 4) == 0)
            commit(); /* what is noted together is as mixed */
    }
}

/* All rows of all tables as text; the caller frees it. */
static char *all_rows(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sqlite3 *file = NULL;

    commit();
    cr_assert_eq(view_db_open_file(&place, 1, SQLITE_OPEN_READONLY, &file), 0);
    for (const char *const *table = place.view->tables; *table; table++) {
        char sql[64];
        sqlite3_stmt *row = NULL;

        snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1, 2, 3", *table);
        cr_assert_eq(sqlite3_prepare_v2(file, sql, -1, &row, NULL), 0);
        while (sqlite3_step(row) == SQLITE_ROW) {
            fputs(*table, out);
            for (int i = 0; i < sqlite3_column_count(row); i++)
                fprintf(out, " %s", (const char *)sqlite3_column_text(row, i));
            fputc('\n', out);
        }
        sqlite3_finalize(row);
    }
    sqlite3_close(file);
    fclose(out);
    return text;
}

/* HC45 */
Test(views, any_interleaving_of_the_logs_makes_the_same_order_rows)
{
    char *first = NULL;

    make_logs();
    for (uint64_t seed = 0; seed < 40; seed++) {
        char *rows;

        open_view(&order_view);
        project_mixed(seed);
        rows = all_rows();
        if (first == NULL)
            first = rows;
        cr_assert_str_eq(rows, first, "seed %d", (int)seed);
        if (rows != first)
            free(rows);
    }
    free(first);
}

/* A shop without guards may ship what it cancelled. */
Test(views, the_latest_end_of_an_order_is_shown)
{
    struct event shipped = an_event("inventory", 4, STOCK_SHIPPED, "o-pending");
    struct event cancelled = an_event("order", 9, ORDER_CANCELLED, "o-pending");

    make_logs();
    shipped.time_ms = 9000;
    cancelled.time_ms = 5000;
    open_view(&order_view);
    project_mixed(1);
    project(&shipped);
    project(&cancelled); /* in one transaction */
    expect("{\"get\":\"order\",\"order\":\"%s\"}", "o-pending",
           "{\"order\":{\"ended_ms\":9000}}");
}

/* HC45 */
Test(views, an_order_is_not_shown_before_its_first_event)
{
    struct event confirmed = an_event("order", 9, ORDER_CONFIRMED, "o-1");
    struct event reserved = an_event("inventory", 4, STOCK_RESERVED, "o-1");

    open_view(&order_view);
    project(&reserved);
    project(&confirmed);
    expect("{\"get\":\"order\",\"order\":\"o-1\"}", "", "{\"code\":66}");
    expect("{\"get\":\"orders\"}", "", "{\"orders\":[],\"more\":false}");
}

Test(views, every_end_of_a_saga_is_one_row_with_its_timeline)
{
    static const char get[] = "{\"get\":\"order\",\"order\":\"%s\"}";

    make_logs();
    open_view(&order_view);
    project_mixed(7);
    expect(get, "o-shipped",
           "{\"ended\":true,\"order\":{\"order\":\"o-shipped\","
           "\"status\":\"CONFIRMED\",\"customer\":\"alice\","
           "\"total_cents\":3980,\"lines\":[{\"sku\":\"widget\","
           "\"quantity\":2,\"price_cents\":1990}],\"reason\":\"\","
           "\"stock\":\"SHIPPED\",\"payment\":\"CHARGED\","
           "\"placed_ms\":1002,\"ended_ms\":2003,\"events\":5},"
           "\"timeline\":[{\"source\":\"order\",\"seq\":2,"
           "\"type\":\"OrderPlaced\",\"time_ms\":1002,\"cause_source\":\"\","
           "\"cause_log\":\"\",\"cause_seq\":0,\"command_id\":\"\","
           "\"data\":{\"customer\":\"alice\"}},{},{},{},{}]}");
    expect(get, "o-rejected",
           "{\"ended\":true,\"order\":{\"status\":\"CANCELLED\","
           "\"stock\":\"REJECTED\",\"payment\":\"NONE\","
           "\"reason\":\"insufficient stock\",\"events\":3}}");
    expect(get, "o-declined",
           "{\"ended\":true,\"order\":{\"status\":\"CANCELLED\","
           "\"stock\":\"RELEASED\",\"payment\":\"DECLINED\",\"events\":5}}");
    expect(get, "o-refunded",
           "{\"ended\":true,\"order\":{\"status\":\"CANCELLED\","
           "\"stock\":\"RELEASED\",\"payment\":\"REFUNDED\","
           "\"reason\":\"timed out\",\"events\":7}}");
    expect(get, "o-voided",
           "{\"ended\":true,\"order\":{\"status\":\"CANCELLED\","
           "\"stock\":\"RELEASED\",\"payment\":\"VOIDED\",\"events\":5}}");
    expect(get, "o-pending",
           "{\"ended\":false,\"order\":{\"status\":\"PENDING\","
           "\"stock\":\"NONE\",\"payment\":\"NONE\",\"ended_ms\":null}}");
}

Test(views, a_confirmed_order_has_ended_only_when_it_is_shipped)
{
    struct event confirmed = an_event("order", 9, ORDER_CONFIRMED, "o-pending");

    make_logs();
    open_view(&order_view);
    project_mixed(1);
    project(&confirmed);
    expect("{\"get\":\"order\",\"order\":\"%s\"}", "o-pending",
           "{\"ended\":false,\"order\":{\"status\":\"CONFIRMED\"}}");
}

/* The logs come by themselves: the word of the end may be the first. */
Test(views, a_cancelled_order_has_ended_only_when_its_undoing_is_seen)
{
    struct event undoing[] = {
        an_event("order", 9, ORDER_CANCELLED, "o-pending"),
        an_event("payment", 9, PAYMENT_CHARGED, "o-pending"),
        an_event("inventory", 9, STOCK_RELEASED, "o-pending"),
        an_event("payment", 10, PAYMENT_REFUNDED, "o-pending"),
    };
    enum { UNDOING = sizeof undoing / sizeof undoing[0] };

    make_logs();
    open_view(&order_view);
    project_mixed(1);
    for (size_t i = 0; i < UNDOING; i++) {
        project(&undoing[i]);
        expect("{\"get\":\"order\",\"order\":\"%s\"}", "o-pending",
               i < UNDOING - 1
                   ? "{\"ended\":false,\"order\":{\"status\":\"CANCELLED\"}}"
                   : "{\"ended\":true,\"order\":{\"status\":\"CANCELLED\"}}");
    }
}

Test(views, orders_are_listed_newest_first_by_page_and_status)
{
    make_logs();
    open_view(&order_view);
    project_mixed(3);
    expect("{\"get\":\"orders\",\"limit\":2}", "",
           "{\"orders\":[{\"order\":\"o-pending\"},{\"order\":\"o-voided\"}],"
           "\"more\":true}");
    expect("{\"get\":\"orders\",\"limit\":2,\"before\":\"o-voided\"}", "",
           "{\"orders\":[{\"order\":\"o-refunded\"},"
           "{\"order\":\"o-declined\"}],\"more\":true}");
    expect("{\"get\":\"orders\",\"before\":\"o-rejected\"}", "",
           "{\"orders\":[{\"order\":\"o-shipped\"}],\"more\":false}");
    expect("{\"get\":\"orders\",\"status\":\"CANCELLED\",\"limit\":2,"
           "\"before\":\"o-voided\"}",
           "",
           "{\"orders\":[{\"order\":\"o-refunded\"},"
           "{\"order\":\"o-declined\"}],\"more\":true}");
    expect("{\"get\":\"orders\",\"status\":\"CANCELLING\"}", "",
           "{\"orders\":[],\"more\":false}");
    expect("{\"get\":\"orders\",\"before\":\"o-none\"}", "", "{\"code\":66}");
}

/* A list must not walk through a million orders to find three. */
Test(views, lists_of_orders_go_by_an_index)
{
    sqlite3 *file = NULL;
    sqlite3_stmt *plan = NULL;

    open_view(&order_view);
    free(all_rows());
    cr_assert_eq(view_db_open_file(&place, 1, SQLITE_OPEN_READONLY, &file), 0);
    for (size_t i = 0; i < order_view.sql_count; i++) {
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", order_view.sql[i]);

        cr_assert_eq(sqlite3_prepare_v2(file, sql, -1, &plan, NULL), 0);
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(plan, 3);

            cr_assert_null(strstr(detail, "SCAN"), "%s: %s", sql, detail);
            if (strstr(order_view.sql[i], "placed_seq DESC") != NULL)
                cr_assert_null(strstr(detail, "TEMP"), "%s: %s", sql, detail);
        }
        sqlite3_finalize(plan);
        sqlite3_free(sql);
    }
    sqlite3_close(file);
}

/* ---- the stock view ----------------------------------------------------- */

static void move_stock(unsigned type, const char *order_id, int64_t widgets,
                       int64_t gadgets)
{
    static uint64_t seq;
    struct event event = an_event("inventory", ++seq, type, order_id);
    struct payload *data = payload_in(event.data);
    const int64_t quantities[] = {widgets, gadgets};
    static const char *const skus[] = {"widget", "gadget"};

    for (int i = 0; i < 2; i++) {
        if (quantities[i] == 0)
            continue;
        if (type == STOCK_RECEIVED) {
            text_copy(data->sku, SKU_BYTES, skus[i]);
            data->quantity = quantities[i];
        } else {
            text_copy(data->lines[data->line_count].sku, SKU_BYTES, skus[i]);
            data->lines[data->line_count++].quantity = quantities[i];
        }
    }
    project(&event);
}

/* HC28 */
Test(views, held_stock_is_on_hand_but_not_available)
{
    open_view(&stock_view);
    move_stock(STOCK_RECEIVED, "", 100, 0);
    move_stock(STOCK_RECEIVED, "", 0, 5);
    move_stock(STOCK_RESERVED, "o-1", 2, 1);
    move_stock(STOCK_RESERVED, "o-2", 10, 0);
    move_stock(STOCK_REJECTED, "o-3", 500, 0);
    expect("{\"get\":\"stock\"}", "",
           "{\"stock\":[{\"sku\":\"gadget\",\"received\":5,\"on_hand\":5,"
           "\"reserved\":1,\"shipped\":0,\"available\":4},"
           "{\"sku\":\"widget\",\"received\":100,\"on_hand\":100,"
           "\"reserved\":12,\"shipped\":0,\"available\":88}],"
           "\"more\":false}");
    move_stock(STOCK_SHIPPED, "o-1", 2, 1);
    move_stock(STOCK_RELEASED, "o-2", 10, 0);
    move_stock(STOCK_RELEASED, "o-4", 0, 0); /* a tombstone */
    expect("{\"get\":\"stock\",\"sku\":\"%s\"}", "widget",
           "{\"stock\":[{\"sku\":\"widget\",\"received\":100,\"on_hand\":98,"
           "\"reserved\":0,\"shipped\":2,\"available\":98}]}");
    expect("{\"get\":\"stock\",\"past\":\"%s\"}", "gadget",
           "{\"stock\":[{\"sku\":\"widget\"}],\"more\":false}");
    expect("{\"get\":\"stock\",\"sku\":\"none\"}", "", "{\"code\":66}");
}

/* ---- the account view --------------------------------------------------- */

static void move_money(uint64_t seq, unsigned type, const char *customer,
                       const char *order_id, int64_t cents)
{
    struct event event = an_event("payment", seq, type, order_id);

    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, customer);
    payload_in(event.data)->amount_cents = cents;
    project(&event);
}

Test(views, a_statement_runs_with_its_balance)
{
    open_view(&account_view);
    move_money(1, FUNDS_DEPOSITED, "alice", "", 10000);
    move_money(2, FUNDS_DEPOSITED, "bob", "", 2000);
    move_money(3, PAYMENT_CHARGED, "alice", "o-1", 3980);
    move_money(4, PAYMENT_DECLINED, "bob", "o-2", 0);
    move_money(5, PAYMENT_REFUNDED, "alice", "o-1", 3980);
    move_money(6, PAYMENT_CHARGED, "alice", "o-3", 1);
    expect("{\"get\":\"accounts\"}", "",
           "{\"accounts\":[{\"customer\":\"alice\",\"balance_cents\":9999,"
           "\"deposited_cents\":10000,\"charged_cents\":3981,"
           "\"refunded_cents\":3980},{\"customer\":\"bob\","
           "\"balance_cents\":2000}],\"more\":false}");
    expect("{\"get\":\"account\",\"customer\":\"%s\"}", "alice",
           "{\"account\":{\"customer\":\"alice\",\"balance_cents\":9999},"
           "\"statement\":[{\"seq\":1,\"time_ms\":1001,"
           "\"type\":\"FundsDeposited\",\"order\":\"\","
           "\"amount_cents\":10000,\"balance_cents\":10000},"
           "{\"seq\":3,\"type\":\"PaymentCharged\",\"order\":\"o-1\","
           "\"amount_cents\":3980,\"balance_cents\":6020},"
           "{\"seq\":5,\"type\":\"PaymentRefunded\",\"balance_cents\":10000},"
           "{\"seq\":6,\"balance_cents\":9999}],\"more\":false}");
    expect("{\"get\":\"account\",\"customer\":\"eve\"}", "", "{\"code\":66}");
}

Test(views, a_long_statement_shows_its_newest_part)
{
    json_t *answer, *lines;

    open_view(&account_view);
    for (uint64_t seq = 1; seq <= 1000; seq++)
        move_money(seq, FUNDS_DEPOSITED, "alice", "", 1);
    answer = ask("{\"get\":\"account\",\"customer\":\"alice\"}", "");
    lines = json_object_get(answer, "statement");
    cr_assert_eq(json_array_size(lines), 200);
    cr_assert(json_is_true(json_object_get(answer, "more")));
    cr_assert_eq(
        json_integer_value(json_object_get(json_array_get(lines, 0), "seq")),
        801);
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(lines, 199),
                                                    "balance_cents")),
                 1000);
    cr_assert_lt(json_dumpb(answer, NULL, 0, JSON_COMPACT), MESSAGE_MAX);
    json_decref(answer);
    expect("{\"get\":\"account\",\"customer\":\"alice\",\"before\":3}", "",
           "{\"statement\":[{\"seq\":1},{\"seq\":2}],\"more\":false}");
}

/* ---- hostile questions -------------------------------------------------- */

/* HC21 */
Test(views, a_member_of_the_wrong_type_is_refused)
{
    static const char *const refused[] = {
        "{\"get\":\"order\"}",
        "{\"get\":\"order\",\"order\":7}",
        "{\"get\":\"order\",\"order\":\"\"}",
        "{\"get\":\"order\",\"order\":\"o'; DROP TABLE orders; --\"}",
        "{\"get\":\"orders\",\"limit\":0}",
        "{\"get\":\"orders\",\"limit\":\"all\"}",
        "{\"get\":\"orders\",\"limit\":9223372036854775807}",
        "{\"get\":\"orders\",\"status\":[]}",
        "{\"get\":\"orders\",\"status\":\"NONE\"}",
        "{\"get\":\"orders\",\"before\":{}}",
    };
    static const char *const refused_accounts[] = {
        "{\"get\":\"account\"}",
        "{\"get\":\"account\",\"customer\":null}",
        "{\"get\":\"account\",\"customer\":\"a\",\"before\":0}",
        "{\"get\":\"accounts\",\"past\":1}",
    };

    open_view(&order_view);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        expect("%s", refused[i], "{\"code\":65}");
    open_view(&stock_view);
    expect("{\"get\":\"stock\",\"sku\":3}", "", "{\"code\":65}");
    expect("{\"get\":\"stock\",\"past\":false}", "", "{\"code\":65}");
    open_view(&account_view);
    for (size_t i = 0; i < sizeof refused_accounts / sizeof(char *); i++)
        expect("%s", refused_accounts[i], "{\"code\":65}");
}

Test(views, what_is_no_question_of_a_view_is_left_to_others)
{
    open_view(&order_view);
    cr_assert_null(ask("{\"get\":\"stock\"}", ""));
    cr_assert_null(ask("{\"get\":7}", ""));
    open_view(&stock_view);
    cr_assert_null(ask("{\"get\":\"order\",\"order\":\"o-1\"}", ""));
    open_view(&account_view);
    cr_assert_null(ask("{}", ""));
}
