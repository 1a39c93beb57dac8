/* test_check.c - who checks the checker?
 *
 * Triples of logs that the real domains wrote must pass; the same triples with
 * one thing spoilt must be reported, under the right invariant and about the
 * right order.  The table of mutations documents what the checker can see, one
 * line each.  A cluster writes the triples step by step, so that a test can
 * stop after any step. */
#include "cluster.h"
#include "must.h"

#include "audit/check_parts.h"
#include "shop/invariants.h"
#include "shop/shop.h"
#include "write/shell_internal.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- running the checker ------------------------------------------------ */

struct seen {
    unsigned ids;      /* bit per invariant */
    unsigned for_good; /* those of which nothing is under way */
    const char *wanted_id, *wanted_subject;
    bool hit;
    char text[4096]; /* all reports, for the message of a failing test */
};

static void see(void *ctx, unsigned id, const char *subject, const char *text,
                const struct check_wait *wait)
{
    struct seen *seen = ctx;
    size_t used = strlen(seen->text);

    seen->ids |= 1u << id;
    if (wait == NULL)
        seen->for_good |= 1u << id;
    if (seen->wanted_id != NULL &&
        strcmp(check_name(&shop_invariants, id), seen->wanted_id) == 0 &&
        strcmp(subject, seen->wanted_subject) == 0)
        seen->hit = true;
    snprintf(seen->text + used, sizeof seen->text - used, "    %s %s: %s\n",
             check_name(&shop_invariants, id), subject, text);
}

static struct check_options options_for(const struct cluster *cluster)
{
    return (struct check_options){.invariants = &shop_invariants,
                                  .directory = cluster->directory,
                                  .services = roster_services,
                                  .service_count = SERVICES,
                                  .now_ms = cluster->wall_ms,
                                  .scratch = cluster->directory};
}

/* Borrowed until the next call. */
static const char *journal_of(const struct cluster *cluster)
{
    static char path[192];

    snprintf(path, sizeof path, "%s/journal", cluster->directory);
    return path;
}

/* Whether nobody has written in between: cursors and snapshots are saved
 * without events, too. */
static bool is_same_moment(const struct check_summary *a,
                           const struct check_summary *b)
{
    return memcmp(a->heads, b->heads, sizeof a->heads) == 0 &&
           a->cursors == b->cursors && a->snapshots == b->snapshots &&
           a->timers == b->timers;
}

/* In how many parts the sagas are judged changes nothing of the verdict. */
static void judge_in_parts(const struct check_options *options,
                           const struct seen *whole,
                           const struct check_summary *summary)
{
    char why[STORE_WHY_BYTES] = "";
    struct check_options in_parts = *options;
    struct check_summary parts_summary;
    struct seen parts = {.ids = 0};

    in_parts.parts = 3;
    cr_assert_eq(check_run(&in_parts, see, &parts, &parts_summary, why), EVT_OK,
                 "%s", why);
    cr_assert_eq(parts.ids, whole->ids, "%s", parts.text);
    cr_assert_eq(parts.for_good, whole->for_good, "%s", parts.text);
    if (is_same_moment(&parts_summary, summary))
        cr_assert_arr_eq(&parts_summary, summary, sizeof parts_summary);
}

static enum evt_status run(const struct check_options *options,
                           struct seen *seen, struct check_summary *summary)
{
    char why[STORE_WHY_BYTES] = "";
    bool fresh = seen->ids == 0;
    enum evt_status rc = check_run(options, see, seen, summary, why);
    size_t used = strlen(seen->text);

    snprintf(seen->text + used, sizeof seen->text - used, "    (%s)\n", why);
    if (rc == EVT_OK && fresh)
        judge_in_parts(options, seen, summary);
    return rc;
}

static void assert_holds(const struct check_options *options)
{
    struct check_summary summary;
    struct seen seen = {.ids = 0};

    cr_assert_eq(run(options, &seen, &summary), EVT_OK, "%s", seen.text);
    cr_assert_eq(seen.ids, 0, "%s:\n%s", options->directory, seen.text);
}

/* ---- valid triples ------------------------------------------------------ */

static struct cluster *by_hand(uint64_t seed)
{
    struct cluster *cluster = cluster_open(NULL, seed);

    cluster_start_by_hand(cluster);
    return cluster;
}

/* A snapshot of a state, as the shell writes them now and then. */
static void snapshot(struct cluster *cluster, unsigned service, unsigned kind,
                     const char *key)
{
    struct shell *shell = cluster->writers[service].shell;
    const struct kind *what = &shell->service->kinds[kind];
    uint64_t head = cluster_head(cluster, service);
    const void *state;

    cr_assert_eq(store_begin(shell->store), EVT_OK);
    cr_assert_eq(cache_load(shell->cache, kind, key, &state), EVT_OK);
    if (head > 0)
        cr_assert_eq(store_set_snapshot(shell->store, what->name, key,
                                        service_kind_layout(what), state,
                                        what->bytes, head),
                     EVT_OK);
    cr_assert_eq(store_commit(shell->store), EVT_OK);
}

static unsigned below(struct cluster *cluster, unsigned limit)
{
    return (unsigned)must_random(&cluster->random, limit);
}

static const char *const skus[] = {"widget", "gadget", "gizmo"};
static const char *const customers[] = {"alice", "bob", "carol"};

static const char *random_sku(struct cluster *cluster)
{
    return skus[below(cluster, 3)];
}

static const char *random_order(struct cluster *cluster, char id[ID_BYTES])
{
    snprintf(id, ID_BYTES, "o-%d", (int)below(cluster, 12));
    return id;
}

static void random_command(struct cluster *cluster)
{
    const char *customer = customers[below(cluster, 3)];
    int64_t pieces = 1 + (int64_t)below(cluster, 4);
    const char *sku = random_sku(cluster), *second = random_sku(cluster);
    char id[ID_BYTES];

    switch (below(cluster, 8)) {
    case 0:
        cluster_stock(cluster, sku, pieces);
        break;
    case 1:
        cluster_fund(cluster, customer, 1000 * pieces);
        break;
    case 2:
        cluster_product(cluster, sku, 100 * pieces);
        break;
    case 3:
        cluster_cancel(cluster, random_order(cluster, id));
        break;
    case 4:
        cluster_expire(cluster);
        break;
    default:
        cluster_place(cluster, random_order(cluster, id), customer, sku, pieces,
                      sku != second ? second : NULL, 1);
    }
}

static void random_snapshot(struct cluster *cluster)
{
    static const unsigned kinds[SERVICES] = {1, 1, 1}; /* product, shelf,
                                                          account */
    unsigned log = below(cluster, SERVICES);

    snapshot(cluster, log, kinds[log],
             log == PAYMENT_SVC ? customers[below(cluster, 3)]
                                : random_sku(cluster));
}

/* @steps random ones: commands, deadlines, snapshots, and mostly takes. */
static void walk(struct cluster *cluster, unsigned steps)
{
    for (size_t i = 0; i < 3; i++) {
        cluster_product(cluster, skus[i], 500);
        cluster_stock(cluster, skus[i], 6);
        cluster_fund(cluster, customers[i], 3000);
    }
    while (steps-- > 0) {
        uint64_t choice = below(cluster, 20);

        if (choice < 3)
            random_command(cluster);
        else if (choice == 3)
            random_snapshot(cluster);
        else
            (void)cluster_take(cluster, below(cluster, SERVICES),
                               below(cluster, SERVICES));
    }
}

/* Random sagas; every second one is cut off where it stands. */
static void valid_triple(uint64_t seed)
{
    struct cluster *cluster;
    struct check_options options;
    bool quiet = seed % 2 == 1;

    cluster = by_hand(seed);
    walk(cluster, 40 + below(cluster, 400));
    if (quiet)
        cluster_settle(cluster);
    cluster_stop_all(cluster);
    options = options_for(cluster);
    options.final = quiet;
    options.runs[ORDER_SVC] = true;
    options.journal = journal_of(cluster);
    if (seed % 10 == 1) {
        cluster_build_views(cluster->directory);
        options.views = roster_views;
    }
    assert_holds(&options);
    cluster_remove(cluster);
}

Test(check, three_hundred_valid_triples_hold)
{
    for (uint64_t seed = 0; seed < 300; seed++)
        valid_triple(seed);
}

/* What stands in the files of a saga that is half done, and after it. */
static void see_waits(void *ctx, unsigned id, const char *subject,
                      const char *text, const struct check_wait *wait)
{
    struct check_wait *waits = ctx;

    cr_assert_not_null(wait, "%s %s: %s", check_name(&shop_invariants, id),
                       subject, text);
    waits[id] = *wait;
}

Test(check, what_is_under_way_moves_once_it_is_saved)
{
    struct check_wait waits[CHECK_IDS_MAX] = {{.head = 0}};
    char why[STORE_WHY_BYTES] = "";
    struct check_summary summary;
    struct check_options options;
    struct cluster *cluster = by_hand(5);

    cluster_product(cluster, "widget", 100);
    cluster_stock(cluster, "widget", 3);
    cluster_fund(cluster, "alice", 1000);
    cluster_settle(cluster);
    cluster_place(cluster, "o-1", "alice", "widget", 1, NULL, 0);
    cluster_stop_all(cluster);
    options = options_for(cluster);
    options.final = true;
    cr_assert_eq(check_run(&options, see_waits, waits, &summary, why), EVT_OK,
                 "%s", why);
    cr_assert_eq(waits[CHECK_Q1].service, INVENTORY_SVC);
    cr_assert_eq(waits[CHECK_Q1].source, ORDER_SVC);
    cr_assert_eq(waits[CHECK_Q1].head, waits[CHECK_Q1].at + 1);
    cr_assert_not(check_moved(&options, &waits[CHECK_Q1]));
    cr_assert_not(check_moved(&options, &waits[CHECK_Q2]));
    cluster_start_by_hand(cluster);
    cluster_settle(cluster);
    cluster_stop_all(cluster);
    cr_assert(check_moved(&options, &waits[CHECK_Q1]));
    cr_assert(check_moved(&options, &waits[CHECK_Q2]));
    assert_holds(&options);
    cluster_remove(cluster);
}

/* @reader's cursor passes all of order's log, and nothing comes of it. */
static void pass_over(struct cluster *cluster, unsigned reader)
{
    struct store *order = cluster->writers[ORDER_SVC].shell->store;
    struct store *store = cluster->writers[reader].shell->store;
    struct cursor cursor = {.at.seq = 0};

    memcpy(cursor.at.log_id, store_log_id(order), LOG_ID_BYTES);
    cr_assert_eq(store_head(order, &cursor.at.seq, cursor.hash), EVT_OK);
    cr_assert_eq(store_begin(store), EVT_OK);
    cr_assert_eq(store_set_cursor(store, "order", &cursor), EVT_OK);
    cr_assert_eq(store_commit(store), EVT_OK);
}

Test(check, what_nobody_has_left_to_read_is_not_under_way)
{
    struct cluster *cluster = by_hand(5);
    struct check_options options;
    struct seen seen = {.ids = 0};
    struct check_summary summary;

    cluster_product(cluster, "widget", 100);
    cluster_settle(cluster);
    cluster_place(cluster, "o-1", "alice", "widget", 1, NULL, 0);
    options = options_for(cluster);
    options.final = true;
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_eq(seen.ids, 1u << CHECK_Q1 | 1u << CHECK_Q2, "%s", seen.text);
    cr_assert_eq(seen.for_good, 0, "%s", seen.text);
    options.now_ms += 3600000; /* its timer should have fired long ago */
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_eq(seen.for_good, 1u << CHECK_Q2, "%s", seen.text);
    options.now_ms -= 3600000;
    seen.for_good = 0;
    pass_over(cluster, INVENTORY_SVC);
    pass_over(cluster, PAYMENT_SVC);
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_eq(seen.for_good, 1u << CHECK_Q1, "%s", seen.text);
    cluster_remove(cluster);
}

Test(check, empty_logs_hold_and_are_quiet)
{
    struct cluster *cluster;
    struct check_options options;

    cluster = by_hand(1);
    cluster_stop_all(cluster);
    options = options_for(cluster);
    options.final = true;
    assert_holds(&options);
    cluster_remove(cluster);
}

/* Nobody says what the events add up to: what is true of any saga is checked,
 * and how many services there are is no matter. */
Test(check, logs_are_checked_without_what_the_domain_promises)
{
    struct cluster *cluster = by_hand(11);
    struct check_options options;
    struct check_summary summary;
    struct seen seen = {.ids = 0};

    walk(cluster, 300);
    cluster_settle(cluster);
    cluster_stop_all(cluster);
    cluster_build_views(cluster->directory);
    options = options_for(cluster);
    options.invariants = NULL;
    options.final = true;
    options.views = roster_views;
    assert_holds(&options);
    options.service_count = 1; /* the others' events are causes of nobody */
    options.views = NULL;
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_eq(seen.ids, 1u << CHECK_S2, "%s", seen.text);
    cr_assert_str_eq(summary.skipped[CHECK_Q3], CHECK_UNKNOWN);
    cluster_remove(cluster);
}

/* Its rows may be what that release makes of the logs, and are no fold of this
 * one: neither right nor wrong. */
Test(check, a_view_of_another_release_is_not_compared)
{
    struct cluster *cluster = by_hand(11);
    struct check_options options;
    struct check_summary summary;
    struct seen seen = {.ids = 0};
    char path[256];
    sqlite3 *db;

    walk(cluster, 300);
    cluster_settle(cluster);
    cluster_stop_all(cluster);
    cluster_build_views(cluster->directory);
    snprintf(path, sizeof path, "%s/order/view.db", cluster->directory);
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db,
                              "UPDATE meta SET value = x'00'"
                              " WHERE key = 'recipe'; DELETE FROM orders",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(db);
    options = options_for(cluster);
    options.final = true;
    options.views = roster_views;
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_eq(seen.ids, 0, "%s", seen.text);
    cr_assert_str_eq(summary.skipped[CHECK_Q3], CHECK_FOREIGN);
    cluster_remove(cluster);
}

Test(check, ids_are_in_the_order_in_which_people_read_them)
{
    static const char *const order[] = {"S1", "S2", "S3", "S4",  "S5", "S6",
                                        "S7", "S8", "S9", "S10", "L1", "Q1",
                                        "Q2", "Q3", "J1", "J2"};
    unsigned ids[CHECK_IDS_MAX];

    cr_assert_eq(check_ids(&shop_invariants, ids),
                 sizeof order / sizeof order[0]);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        cr_assert_str_eq(check_name(&shop_invariants, ids[i]), order[i]);
    cr_assert_eq(check_ids(NULL, ids), CHECK_OWN);
}

/* Three files are not read at one instant, and nobody stops for it. */
Test(check, logs_that_grow_meanwhile_hold)
{
    struct cluster *cluster;
    struct check_options options;
    int status;
    pid_t writer;

    cluster = by_hand(7);
    cluster_stop_all(cluster);
    options = options_for(cluster);
    writer = fork();
    if (writer == 0) {
        cluster_start_by_hand(cluster);
        walk(cluster, 8000);
        _exit(0);
    }
    while (waitpid(writer, &status, WNOHANG) == 0)
        assert_holds(&options);
    cr_assert_eq(status, 0);
    cluster_remove(cluster);
}

Test(check, what_cannot_be_looked_at_is_no_verdict)
{
    struct cluster *cluster;
    struct check_options options;
    struct check_summary summary;
    struct seen seen = {.ids = 0};
    char path[192];
    FILE *file;

    cluster = by_hand(1);
    cluster_stop_all(cluster);
    options = options_for(cluster);
    options.directory = "/nonexistent";
    cr_assert_eq(run(&options, &seen, &summary), EVT_NONE);
    options.directory = cluster->directory;
    options.journal = "/nonexistent";
    cr_assert_eq(run(&options, &seen, &summary), EVT_NONE);
    options.journal = NULL;
    snprintf(path, sizeof path, "%s/order/log.db", cluster->directory);
    file = fopen(path, "w");
    fputs("this is no database, and never was one", file);
    fclose(file);
    cr_assert_neq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_eq(seen.ids, 0, "%s", seen.text);
    cluster_remove(cluster);
}

/* ---- the triple that is spoilt ------------------------------------------ */

/* o-1 confirmed, o-2 declined, o-3 rejected, o-4 refunded, o-5 voided behind
 * a tombstone, o-6 timed out.  All is quiet. */
static void tell_the_stories(struct cluster *cluster)
{
    cluster_product(cluster, "widget", 500);
    cluster_product(cluster, "gadget", 700);
    cluster_stock(cluster, "widget", 20);
    cluster_stock(cluster, "gadget", 10);
    cluster_fund(cluster, "alice", 100000);
    cluster_fund(cluster, "bob", 300);
    cluster_place(cluster, "o-1", "alice", "widget", 2, "gadget", 1);
    cluster_settle(cluster);
    cluster_place(cluster, "o-2", "bob", "gadget", 1, NULL, 0);
    cluster_settle(cluster);
    cluster_place(cluster, "o-3", "alice", "widget", 100, NULL, 0);
    cluster_settle(cluster);
    cluster_place(cluster, "o-4", "alice", "widget", 3, NULL, 0);
    cluster_drain(cluster, INVENTORY_SVC, ORDER_SVC);
    cluster_drain(cluster, PAYMENT_SVC, INVENTORY_SVC);
    cluster_cancel(cluster, "o-4");
    cluster_settle(cluster);
    cluster_place(cluster, "o-5", "alice", "gadget", 2, NULL, 0);
    cluster_cancel(cluster, "o-5");
    cluster_drain(cluster, PAYMENT_SVC, ORDER_SVC);
    cluster_drain(cluster, INVENTORY_SVC, PAYMENT_SVC);
    cluster_settle(cluster);
    cluster_place(cluster, "o-6", "alice", "widget", 1, NULL, 0);
    cluster_drain(cluster, INVENTORY_SVC, ORDER_SVC);
    cluster_expire(cluster);
    cluster_drain(cluster, PAYMENT_SVC, ORDER_SVC);
    snapshot(cluster, ORDER_SVC, 1, "widget");
    snapshot(cluster, INVENTORY_SVC, 1, "widget");
    snapshot(cluster, PAYMENT_SVC, 1, "alice");
    cluster_settle(cluster);
}

/* o-7 is reserved and waits for payment; o-8 is about to be cancelled. */
static void tell_unfinished_stories(struct cluster *cluster)
{
    cluster_place(cluster, "o-7", "alice", "widget", 1, NULL, 0);
    cluster_drain(cluster, INVENTORY_SVC, ORDER_SVC);
    cluster_place(cluster, "o-8", "alice", "widget", 1, NULL, 0);
    cluster_cancel(cluster, "o-8");
    cluster_settle(cluster);
    cluster_place(cluster, "o-9", "alice", "widget", 1, NULL, 0);
}

enum {
    LIVE = 1,  /* unfinished sagas too, and not --final */
    RAW = 2,   /* hashes and tags stay as the mutation leaves them */
    LATE = 4,  /* order-svc runs, and it is an hour later */
    VIEWS = 8, /* with read models */
    STALE = 16 /* inventory's log is replaced by an older copy of itself */
};

/* ---- writing a mutation in SQL ------------------------------------------ */

/* The databases are attached as o, i and p; views as ov, iv and pv. */
#define SEQ(log, type, order)                                                  \
    "(SELECT min(seq) FROM " log ".event WHERE type = '" type                  \
    "' AND order_id = '" order "')"
#define WHERE(log, type, order) " WHERE seq = " SEQ(log, type, order)
#define LAST(log) "(SELECT max(seq) FROM " log ".event)"
#define SET(log, type, order, what)                                            \
    "UPDATE " log ".event SET " what WHERE(log, type, order) ";"
/* set('field', value): in the payload */
#define PUT(log, type, order, field, value)                                    \
    SET(log, type, order,                                                      \
        "data = put(type, version, data, '" field "', " value ")")
/* Appends a copy of an event, as it is or with another type and payload. */
#define COPY(log, what, type, order)                                           \
    "INSERT INTO " log ".event (seq, type, version, order_id, time_ms,"        \
    " cause_source, cause_log, cause_seq, command_id, data, hash) "            \
    "SELECT " LAST(log) " + 1, " what                                          \
                        ", version, order_id, time_ms, cause_source,"          \
                        " cause_log, cause_seq, command_id, data, "            \
                        "randomblob(32) FROM " log                             \
                        ".event" WHERE(log, type, order) ";"
#define AGAIN(log, type, order) COPY(log, "type", type, order)
/* The last event of a log was caused by that one. */
#define BECAUSE(log, source, name, type, order)                                \
    "UPDATE " log ".event SET cause_source = '" name "', cause_log = "         \
    "(SELECT value FROM " source                                               \
    ".meta WHERE key = 'log_id'), cause_seq = " SEQ(                           \
        source, type, order) ", command_id = '' WHERE seq = " LAST(log) ";"
#define EMPTY "x'80'" /* a payload without fields */
#define LAST_IS(log, what)                                                     \
    "UPDATE " log ".event SET " what " WHERE seq = " LAST(log) ";"

static const struct mutation {
    const char *id, *subject; /* how it must be reported */
    const char *also;         /* what else it breaks */
    unsigned flags;
    const char *what, *sql;
} mutations[] = {
    // clang-format off
    /* ---- S1: holes, chains, tags ---- */
    {"S1", "o-1", "", RAW, "a date is altered",
     SET("p", "PaymentCharged", "o-1", "time_ms = time_ms + 1")},
    {"S1", "o-4", "S4 S7", RAW, "an amount is altered",
     PUT("p", "PaymentRefunded", "o-4", "amount_cents", "1400")},
    {"S1", "order", "S2 S7", RAW, "a row is dropped",
     "DELETE FROM o.event" WHERE("o", "OrderConfirmed", "o-1") ";"},
    {"S1", "payment", "S2", 0, "a row is dropped, the rest chained anew",
     "DELETE FROM p.event" WHERE("p", "PaymentDeclined", "o-2") ";"},
    {"S1", "o-2", "", RAW, "two hashes are swapped",
     "UPDATE p.event SET hash = (SELECT e.hash FROM p.event e WHERE e.seq = CASE p.event.seq"
     " WHEN " SEQ("p", "PaymentDeclined", "o-2") " THEN " SEQ("p", "PaymentCharged", "o-1")
     " ELSE " SEQ("p", "PaymentDeclined", "o-2") " END) WHERE seq IN ("
     SEQ("p", "PaymentDeclined", "o-2") ", " SEQ("p", "PaymentCharged", "o-1") ");"},
    {"S1", "o-1", "", 0, "a payload that cannot be decoded, chained anew",
     SET("p", "PaymentCharged", "o-1", "data = x'ff'")},
    {"S1", "o-1", "", 0, "an event of a type that nobody knows, chained anew",
     SET("i", "StockShipped", "o-1", "type = 'StockEaten'")},
    {"S1", "o-1", "", RAW, "a tag row is deleted",
     "DELETE FROM p.tag WHERE tag = 'order:o-1';"},
    {"S1", "o-1", "", RAW, "a tag row is added",
     "INSERT INTO p.tag VALUES ('customer:bob', " SEQ("p", "PaymentCharged", "o-1") ");"},
    {"S1", "o-4", "", RAW, "a tag row names another order",
     "UPDATE i.tag SET tag = 'order:o-x' WHERE tag = 'order:o-4' AND seq = "
     SEQ("i", "StockReleased", "o-4") ";"},
    {"S1", "payment", "", RAW, "a tag row points beyond the head",
     "INSERT INTO p.tag VALUES ('customer:bob', 1000);"},
    {"S1", "payment", "", RAW, "a tag row holds a blob",
     "INSERT INTO p.tag VALUES (x'00', 1);"},
    {"S1", "payment", "", RAW, "a tag has a byte that is zero",
     "INSERT INTO p.tag VALUES ('bob' || char(0) || 'x', 1);"},
    {"S1", "payment", "", RAW, "a tag is longer than any",
     "INSERT INTO p.tag VALUES (replace(hex(zeroblob(2500)), '0', 'b'), 1);"},
    {"S1", "payment", "", RAW, "a tag row has no number",
     "INSERT INTO p.tag VALUES ('customer:bob', 'one');"},
    {"S1", "order", "", RAW, "there is an event number 0",
     AGAIN("o", "OrderConfirmed", "o-1") "UPDATE o.event SET seq = 0, command_id = '' WHERE seq = " LAST("o") ";"},
    {"S1", "payment", "S2 S10", RAW, "the log has another identity",
     "UPDATE p.meta SET value = randomblob(16) WHERE key = 'log_id';"},

    /* ---- S2: causes ---- */
    {"S2", "o-2", "S4", 0, "two declines of one reservation",
     AGAIN("p", "PaymentDeclined", "o-2")},
    {"S2", "payment", "", 0, "one deposit counts twice",
     "INSERT INTO p.event (seq, type, version, order_id, time_ms, cause_source, cause_log, cause_seq,"
     " command_id, data, hash) SELECT " LAST("p") " + 1, type, version, order_id, time_ms, cause_source,"
     " cause_log, cause_seq, command_id, data, randomblob(32) FROM p.event WHERE seq = 1;"},
    {"S2", "o-1", "S10", 0, "a cause beyond its log's head",
     SET("o", "OrderConfirmed", "o-1", "cause_seq = 1000")},
    {"S2", "o-1", "", 0, "a cause of a log that is gone",
     SET("o", "OrderConfirmed", "o-1", "cause_log = zeroblob(16)")},
    {"S2", "o-1", "", 0, "a cause of a service that is none",
     SET("o", "OrderConfirmed", "o-1", "cause_source = 'shipping'")},
    {"S2", "o-1", "", 0, "an event without a cause",
     SET("o", "OrderConfirmed", "o-1", "cause_source = '', cause_log = x'', cause_seq = 0")},
    {"S2", "o-1", "", 0, "an event with two causes",
     SET("o", "OrderConfirmed", "o-1", "command_id = 'c-x'")},
    {"S2", "o-6", "", 0, "a timer that was set by a later event",
     SET("o", "OrderCancelling", "o-6", "cause_seq = seq + 1")},
    {"S2", "o-6", "S10", 0, "a log has lost its tail",
     "DELETE FROM i.event WHERE seq >= " SEQ("i", "StockReleased", "o-6") ";"},

    /* ---- S3: one outcome ---- */
    {"S3", "o-4", "", 0, "a cancelled order is confirmed",
     COPY("o", "'OrderConfirmed'", "OrderCancelled", "o-4") LAST_IS("o", "data = " EMPTY)
     BECAUSE("o", "p", "payment", "PaymentCharged", "o-4")},
    {"S3", "o-1", "S8", 0, "a confirmed order is cancelled",
     AGAIN("o", "OrderCancelled", "o-4") LAST_IS("o", "order_id = 'o-1'")},
    {"S3", "o-1", "S2 S7", 0, "an order is placed twice",
     AGAIN("o", "OrderPlaced", "o-1")},
    {"S3", "o-1", "", 0, "a confirmed order is being cancelled",
     COPY("o", "'OrderCancelling'", "OrderConfirmed", "o-1")
     LAST_IS("o", "cause_source = '', cause_log = x'', cause_seq = 0, command_id = 'c-x'")},

    /* ---- S4: charges and refunds ---- */
    {"S4", "o-1", "S2", 0, "an order is charged twice",
     AGAIN("p", "PaymentCharged", "o-1")},
    {"S4", "o-4", "", 0, "a refund of less than was charged",
     PUT("p", "PaymentRefunded", "o-4", "amount_cents", "1")},
    {"S4", "o-4", "", 0, "a refund of more than was charged",
     PUT("p", "PaymentRefunded", "o-4", "amount_cents", "1501")},
    {"S4", "o-5", "", 0, "a refund of what was never charged",
     SET("p", "PaymentVoided", "o-5", "type = 'PaymentRefunded', data = (SELECT data FROM p.event"
         WHERE("p", "PaymentRefunded", "o-4") ")")},
    {"S4", "o-4", "S2", 0, "a charge is refunded twice",
     AGAIN("p", "PaymentRefunded", "o-4")},
    {"S4", "o-6", "", 0, "an order is charged after it was voided",
     AGAIN("p", "PaymentCharged", "o-4") LAST_IS("p", "order_id = 'o-6', data = put(type, version, data,"
     " 'amount_cents', 500)") BECAUSE("p", "i", "inventory", "StockReserved", "o-6")},

    /* ---- S5: money ---- */
    {"S5", "customer:alice", "", 0, "a balance goes below zero",
     "UPDATE p.event SET data = put(type, version, data, 'amount_cents', 1000) WHERE seq = 1;"},
    {"S5", "customer:bob", "S8", 0, "somebody else pays",
     PUT("p", "PaymentCharged", "o-1", "customer", "'bob'")},

    /* ---- S6: goods ---- */
    {"S6", "sku:widget", "", 0, "more is reserved than was received",
     "UPDATE i.event SET data = put(type, version, data, 'quantity', 2) WHERE seq = 1;"},
    {"S6", "o-4", "S8", 0, "released goods are shipped",
     AGAIN("i", "StockShipped", "o-1") LAST_IS("i", "order_id = 'o-4'")},
    {"S6", "o-1", "S9", 0, "goods are shipped that were not reserved",
     SET("i", "StockReserved", "o-1", "type = 'StockRejected', data = (SELECT data FROM i.event"
         WHERE("i", "StockRejected", "o-3") ")")},
    {"S6", "sku:widget", "S2", 0, "goods are released twice",
     AGAIN("i", "StockReleased", "o-4") AGAIN("i", "StockReleased", "o-4")},

    /* ---- S7: snapshots and timers ---- */
    {"S7", "sku:widget", "", RAW, "a snapshot is altered",
     "UPDATE i.snapshot SET bytes = cast(zeroblob(length(bytes)) AS BLOB);"},
    {"S7", "customer:alice", "", RAW, "a snapshot is dated later than it was taken",
     "UPDATE p.snapshot SET seq = 1;"},
    {"S7", "sku:widget", "", RAW, "a snapshot is beyond the log",
     "UPDATE i.snapshot SET seq = 1000;"},
    {"S7", "customer:alice", "", RAW, "a snapshot is cut short",
     "UPDATE p.snapshot SET bytes = x'00';"},
    {"S7", "o-9", "", LIVE | RAW, "a timer is lost", "DELETE FROM o.timer;"},
    {"S7", "o-1", "", RAW, "a timer is left over",
     "INSERT INTO o.timer (event_seq, order_id, set_ms, after_ms) VALUES (" SEQ("o", "OrderPlaced", "o-1") ", 'o-1', 4e12, 1);"},
    {"S7", "o-9", "", LIVE | RAW, "a timer of another event",
     "UPDATE o.timer SET event_seq = 1;"},

    /* ---- S8: agreement ---- */
    {"S8", "o-1", "", 0, "the total is not the sum of the lines",
     PUT("o", "OrderPlaced", "o-1", "total_cents", "1699")},
    {"S8", "o-1", "", 0, "the charge is not the total",
     PUT("p", "PaymentCharged", "o-1", "amount_cents", "1699")},
    {"S8", "o-1", "", 0, "the reservation names another total",
     PUT("i", "StockReserved", "o-1", "total_cents", "1699")},
    {"S8", "o-1", "", 0, "another quantity is reserved than was ordered",
     PUT("i", "StockReserved", "o-1", "lines", "3")},
    {"S8", "o-1", "", 0, "less is shipped than was reserved",
     PUT("i", "StockShipped", "o-1", "lines", "1")},
    {"S8", "o-4", "", 0, "reserved goods are not put back",
     PUT("i", "StockReleased", "o-4", "lines", "0")},
    {"S8", "o-2", "S4", 0, "a charge is booked on another order",
     SET("p", "PaymentCharged", "o-1", "order_id = 'o-2'")},
    {"S8", "o-x", "", 0, "a charge of an order that was never placed",
     SET("p", "PaymentCharged", "o-1", "order_id = 'o-x'")},
    {"S8", "o-1", "", 0, "an order was placed by another command",
     SET("o", "OrderPlaced", "o-1", "command_id = 'c-x'")},

    /* ---- S9: the rule tables ---- */
    {"S9", "o-1", "", 0, "an order is confirmed because stock was reserved",
     SET("o", "OrderConfirmed", "o-1", "cause_source = 'inventory', cause_log = "
         "(SELECT value FROM i.meta WHERE key = 'log_id'), cause_seq = " SEQ("i", "StockReserved", "o-1"))},
    {"S9", "o-1", "", 0, "an order is confirmed by a command",
     SET("o", "OrderConfirmed", "o-1", "cause_source = '', cause_log = x'', cause_seq = 0, command_id = 'c-x'")},
    {"S9", "o-1", "S2 S8", 0, "a service writes another service's event",
     COPY("o", "'PaymentDeclined'", "OrderConfirmed", "o-1") LAST_IS("o", "data = (SELECT data FROM p.event"
     WHERE("p", "PaymentDeclined", "o-2") ")")},
    {"S9", "o-6", "S8", 0, "an event that sets no timer times an order out",
     SET("o", "OrderCancelling", "o-6", "cause_seq = 1")},

    /* ---- S10: cursors ---- */
    {"S10", "payment", "", RAW, "a cursor is beyond its publisher's head",
     "UPDATE p.inbox SET seq = 1000 WHERE source = 'order';"},
    {"S10", "payment", "", RAW, "a cursor has another hash",
     "UPDATE p.inbox SET hash = randomblob(32) WHERE source = 'order';"},
    {"S10", "payment", "", RAW, "a cursor is on another log",
     "UPDATE p.inbox SET log_id = randomblob(16) WHERE source = 'order';"},
    {"S10", "o-6", "", 0, "a cursor is behind what was answered",
     "UPDATE p.inbox SET seq = " SEQ("o", "OrderCancelling", "o-6") " - 1 WHERE source = 'order';"},
    {"S10", "o-6", "", RAW, "a cursor is lost",
     "DELETE FROM p.inbox WHERE source = 'order';"},
    {"S10", "payment", "S2", STALE, "a log is restored from a backup", ""},

    /* ---- L1 ---- */
    {"L1", "o-9", "", LIVE | LATE, "an order waits past its deadline", ""},

    /* ---- quiet ---- */
    {"Q1", "o-6", "S10", 0, "a saga has lost its last event",
     "DELETE FROM o.event" WHERE("o", "OrderCancelled", "o-6") ";"},
    {"Q1", "o-1", "S1", 0, "an order is confirmed, and nothing shipped",
     SET("i", "StockShipped", "o-1", "type = 'StockEaten'")},
    {"Q2", "inventory", "", 0, "a cursor is not at the head",
     "UPDATE i.inbox SET seq = seq - 1 WHERE source = 'order';"},
    {"Q2", "o-1", "", RAW, "an event is parked",
     "INSERT INTO p.parked (source, log_id, seq, order_id, reason, raw) VALUES"
     " ('order', zeroblob(16), 1, 'o-1', 'too new', x'00');"},
    {"Q2", "o-1", "S7", RAW, "a timer is overdue",
     "INSERT INTO o.timer (event_seq, order_id, set_ms, after_ms) VALUES (" SEQ("o", "OrderPlaced", "o-1") ", 'o-1', 1, 1);"},

    /* ---- read models ---- */
    {"Q3", "order", "", RAW | VIEWS, "an order's row is altered",
     "UPDATE ov.orders SET status = 'CONFIRMED' WHERE order_id = 'o-4';"},
    {"Q3", "order", "", RAW | VIEWS, "an order's row is lost",
     "DELETE FROM ov.orders WHERE order_id = 'o-2';"},
    {"Q3", "order", "", RAW | VIEWS, "an event is not in an order's timeline",
     "UPDATE ov.orders SET inventory_timeline = '' WHERE order_id = 'o-1';"},
    {"Q3", "stock", "", RAW | VIEWS, "a stock view counts a delivery twice",
     "UPDATE iv.stock SET received = received + 20 WHERE sku = 'widget';"},
    {"Q3", "account", "", RAW | VIEWS, "an account view shows another balance",
     "UPDATE pv.accounts SET refunded_cents = 0 WHERE customer = 'alice';"},
    {"Q3", "account", "", RAW | VIEWS, "an account view knows somebody who is unknown",
     "INSERT INTO pv.accounts SELECT 'eve', 1, 0, 0;"},
    {"Q3", "stock", "", RAW | VIEWS, "a view has not read all",
     "UPDATE iv.position SET seq = seq - 1;"},
    {"Q3", "stock", "", RAW | VIEWS, "a view has read another log",
     "UPDATE iv.position SET hash = zeroblob(32);"},
    {"Q3", "account", "", RAW | VIEWS, "a view's table is gone", "DROP TABLE pv.statement;"},
    // clang-format on
};
enum { MUTATIONS = sizeof mutations / sizeof mutations[0] };

/* put(type, version, data, field, value): a payload with one field changed.
 * 'lines' sets the first line's quantity; 0: there are no lines. */
static void sql_put(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct message *message =
        shop_message_named((const char *)sqlite3_value_text(argv[0]),
                           (uint32_t)sqlite3_value_int(argv[1]), NULL);
    const char *name = (const char *)sqlite3_value_text(argv[3]), *why, *where;
    int64_t value = sqlite3_value_int64(argv[4]);
    uint8_t data[DATA_MAX];
    struct payload payload;

    cr_assert_eq(argc, 5);
    cr_assert_eq(codec_decode(&shop_domain, message,
                              sqlite3_value_blob(argv[2]),
                              (size_t)sqlite3_value_bytes(argv[2]), &payload,
                              &why, &where),
                 EVT_OK);
    for (const struct field *f = message->fields; f->name != NULL; f++) {
        if (strcmp(f->name, name) != 0)
            continue;
        if (f->kind == FIELD_INT)
            memcpy((char *)&payload + f->offset, &value, sizeof value);
        else if (f->kind == FIELD_ID)
            text_copy((char *)&payload + f->offset, f->size,
                      (const char *)sqlite3_value_text(argv[4]));
        else if (value == 0)
            payload.line_count = 0;
        else
            payload.lines[0].quantity = value;
    }
    sqlite3_result_blob(context, data,
                        (int)codec_encode(message, &payload, data),
                        SQLITE_TRANSIENT);
}

static void execute(sqlite3 *db, const char *sql)
{
    char *why = NULL;

    sqlite3_exec(db, sql, NULL, NULL, &why);
    cr_assert_null(why, "%s\nin %s", why, sql);
}

/* All three logs in one connection, append-only no more. */
static sqlite3 *open_logs(const struct cluster *cluster, bool with_views)
{
    static const char *const names[SERVICES] = {"o", "i", "p"};
    sqlite3 *db = NULL;
    char sql[512];

    cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
    cr_assert_eq(sqlite3_create_function(db, "put", 5, SQLITE_UTF8, NULL,
                                         sql_put, NULL, NULL),
                 SQLITE_OK);
    for (unsigned i = 0; i < SERVICES; i++) {
        sqlite3_stmt *row = NULL;
        char drops[1024] = "";

        snprintf(sql, sizeof sql, "ATTACH '%s/%s/log.db' AS %s",
                 cluster->directory, shop_services[i], names[i]);
        execute(db, sql);
        snprintf(sql, sizeof sql, "ATTACH '%s/%s/view.1.db' AS %sv",
                 cluster->directory, shop_services[i], names[i]);
        if (with_views)
            execute(db, sql);
        snprintf(sql, sizeof sql,
                 "SELECT name FROM %s.sqlite_master WHERE type = 'trigger'",
                 names[i]);
        cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
        while (sqlite3_step(row) == SQLITE_ROW)
            snprintf(drops + strlen(drops), sizeof drops - strlen(drops),
                     "DROP TRIGGER %s.%s;", names[i], check_text(row, 0));
        sqlite3_finalize(row);
        snprintf(drops + strlen(drops), sizeof drops - strlen(drops),
                 "DROP INDEX %s.event_command", names[i]);
        execute(db, drops);
    }
    return db;
}

/* ---- making a mutation look innocent ------------------------------------ */

static void copy_text(char *to, size_t size, sqlite3_stmt *row, int column)
{
    snprintf(to, size, "%s", check_text(row, column));
}

static void read_row(sqlite3_stmt *stmt, struct row *row)
{
    memset(row, 0, sizeof *row);
    row->seq = (uint64_t)sqlite3_column_int64(stmt, 0);
    copy_text(row->type, sizeof row->type, stmt, 1);
    row->version = (uint32_t)sqlite3_column_int(stmt, 2);
    copy_text(row->order_id, sizeof row->order_id, stmt, 3);
    row->time_ms = sqlite3_column_int64(stmt, 4);
    copy_text(row->cause_source, sizeof row->cause_source, stmt, 5);
    if (sqlite3_column_bytes(stmt, 6) == LOG_ID_BYTES)
        memcpy(row->cause_log, sqlite3_column_blob(stmt, 6), LOG_ID_BYTES);
    row->cause_seq = (uint64_t)sqlite3_column_int64(stmt, 7);
    copy_text(row->command_id, sizeof row->command_id, stmt, 8);
    row->data = sqlite3_column_blob(stmt, 9);
    row->data_bytes = (uint32_t)sqlite3_column_bytes(stmt, 9);
}

static void write_tags(sqlite3 *db, const char *name,
                       const struct service *service, const struct row *row)
{
    static const uint8_t no_log[LOG_ID_BYTES];
    struct tag tags[EVENT_TAGS_MAX];
    struct event event;
    const char *why, *field;
    char text[TAG_BYTES], sql[256];
    size_t count;

    if (codec_from_row(&shop_domain, service->name, no_log, row, &event, &why,
                       &field) != EVT_OK)
        return;
    count = event_tags(&shop_domain, &event, tags);
    for (size_t i = 0; i < count; i++) {
        if (!service_indexes(service, event.type, tags[i].kind))
            continue;
        event_tag(&shop_domain, tags[i].kind, tags[i].key, text);
        snprintf(sql, sizeof sql,
                 "INSERT OR IGNORE INTO %s.tag (tag, seq) VALUES ('%s', %d)",
                 name, text, (int)row->seq);
        execute(db, sql);
    }
}

/* Computes all hashes and tags of one log anew. */
static void rechain(sqlite3 *db, const char *name,
                    const struct service *service)
{
    uint8_t hash[HASH_BYTES], log_id[LOG_ID_BYTES];
    sqlite3_stmt *read = NULL, *write = NULL;
    char sql[256];
    struct row row;

    snprintf(sql, sizeof sql, "SELECT value FROM %s.meta WHERE key = 'log_id'",
             name);
    sqlite3_prepare_v2(db, sql, -1, &read, NULL);
    cr_assert_eq(sqlite3_step(read), SQLITE_ROW);
    memcpy(log_id, sqlite3_column_blob(read, 0), LOG_ID_BYTES);
    sqlite3_finalize(read);
    event_genesis(service->name, log_id, hash);
    snprintf(sql, sizeof sql, "DELETE FROM %s.tag", name);
    execute(db, sql);
    snprintf(sql, sizeof sql, "UPDATE %s.event SET hash = ? WHERE seq = ?",
             name);
    sqlite3_prepare_v2(db, sql, -1, &write, NULL);
    snprintf(sql, sizeof sql,
             "SELECT seq, type, version, order_id, time_ms, cause_source,"
             " cause_log, cause_seq, command_id, data FROM %s.event"
             " ORDER BY seq",
             name);
    sqlite3_prepare_v2(db, sql, -1, &read, NULL);
    while (sqlite3_step(read) == SQLITE_ROW) {
        read_row(read, &row);
        event_hash(hash, &row, hash);
        sqlite3_bind_blob(write, 1, hash, HASH_BYTES, SQLITE_STATIC);
        sqlite3_bind_int64(write, 2, (int64_t)row.seq);
        cr_assert_eq(sqlite3_step(write), SQLITE_DONE);
        sqlite3_reset(write);
        write_tags(db, name, service, &row);
    }
    sqlite3_finalize(read);
    sqlite3_finalize(write);
}

/* Chains, tags and cursors fit again, and no snapshot remembers: only its own
 * invariant can find the mutation now. */
static void cover_up(sqlite3 *db)
{
    static const char *const names[SERVICES] = {"o", "i", "p"};
    char sql[256];

    for (unsigned i = 0; i < SERVICES; i++)
        rechain(db, names[i], roster_services[i]);
    for (unsigned reader = 0; reader < SERVICES; reader++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s.snapshot", names[reader]);
        execute(db, sql); /* a log may have none */
        for (unsigned from = 0; from < SERVICES; from++) {
            snprintf(sql, sizeof sql,
                     "UPDATE %s.inbox SET hash = coalesce((SELECT e.hash FROM "
                     "%s.event e WHERE e.seq = inbox.seq), hash)"
                     " WHERE source = '%s'",
                     names[reader], names[from], shop_services[from]);
            execute(db, sql);
        }
    }
}

/* ---- journals ----------------------------------------------------------- */

/* Writes @lines as a journal; %s stands for the order log's id. */
static void check_with_journal(const char *lines, struct seen *seen,
                               enum evt_status wanted)
{
    struct check_summary summary;
    struct check_options options;
    struct cluster *cluster;
    char path[192], log[2 * LOG_ID_BYTES + 1];
    FILE *file;

    cluster = by_hand(5);
    cluster_product(cluster, "widget", 500);
    cluster_stock(cluster, "widget", 20);
    cluster_place(cluster, "o-1", "alice", "widget", 1, NULL, 0);
    cluster_place(cluster, "o-2", "alice", "widget", 1, NULL, 0);
    text_hex(store_log_id(cluster->writers[ORDER_SVC].shell->store),
             LOG_ID_BYTES, log);
    cluster_stop_all(cluster);
    snprintf(path, sizeof path, "%s/journal", cluster->directory);
    file = fopen(path, "w");
    for (; *lines != '\0'; lines++)
        if (*lines == '@')
            fputs(log, file);
        else
            fputc(*lines, file);
    fclose(file);
    options = options_for(cluster);
    options.journal = path;
    cr_expect_eq(run(&options, seen, &summary), wanted, "%s", seen->text);
    cluster_remove(cluster);
}

#define DONE(command, type, seq)                                               \
    "{\"command\":\"" command "\",\"type\":\"" type                            \
    "\",\"service\":\"order\",\"log\":\"@\",\"seq\":" seq "}\n"

Test(check, acknowledged_commands_are_where_the_answer_said)
{
    struct seen seen = {.ids = 0};

    check_with_journal(
        DONE("o-1", "PlaceOrder", "2") DONE("o-2", "PlaceOrder", "3")
            DONE("o-2", "PlaceOrder", "3")
                DONE("c-9", "CancelOrder", "1") "{\"command\":\"torn",
        &seen, EVT_OK);
    cr_assert_eq(seen.ids, 0, "%s", seen.text);
}

Test(check, a_lost_command_is_named)
{
    struct seen seen = {.wanted_id = "J1", .wanted_subject = "o-3"};

    check_with_journal(DONE("o-1", "PlaceOrder", "2")
                           DONE("o-3", "PlaceOrder", "4"),
                       &seen, EVT_OK);
    cr_assert(seen.hit && seen.ids == 1u << CHECK_J1, "%s", seen.text);
}

Test(check, a_command_whose_place_another_event_has_taken_is_named)
{
    struct seen seen = {.wanted_id = "J1", .wanted_subject = "o-9"};

    check_with_journal(DONE("o-9", "PlaceOrder", "2"), &seen, EVT_OK);
    cr_assert(seen.hit && seen.ids == 1u << CHECK_J1, "%s", seen.text);
}

Test(check, a_command_that_was_acknowledged_by_a_log_now_gone_is_named)
{
    struct seen seen = {.wanted_id = "J1", .wanted_subject = "o-1"};

    check_with_journal(
        "{\"command\":\"o-1\",\"type\":\"PlaceOrder\",\"service\":\"order\","
        "\"log\":\"00112233445566778899aabbccddeeff\",\"seq\":2}\n",
        &seen, EVT_OK);
    cr_assert(seen.hit && seen.ids == 1u << CHECK_J1, "%s", seen.text);
}

Test(check, a_command_that_was_acknowledged_at_two_places_is_named)
{
    struct seen seen = {.wanted_id = "J2", .wanted_subject = "o-1"};

    check_with_journal(DONE("o-1", "PlaceOrder", "2")
                           DONE("o-1", "PlaceOrder", "3"),
                       &seen, EVT_OK);
    cr_assert(seen.hit && seen.ids == 1u << CHECK_J2, "%s", seen.text);
}

Test(check, a_journal_that_is_none_is_refused)
{
    static const char *const bad[] = {"hello\n",
                                      "[]\n",
                                      DONE("o-1", "OrderPlaced", "2"),
                                      DONE("o-1", "PlaceOrder", "-2"),
                                      DONE("", "PlaceOrder", "2"),
                                      DONE("o-1", "PlaceOrder", "2") "{}\n"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct seen seen = {.ids = 0};

        check_with_journal(bad[i], &seen, EVT_BAD);
        cr_expect_eq(seen.ids, 0, "%s", seen.text);
    }
}

/* ---- the mutations ------------------------------------------------------ */

/* The mutation's own invariant and those that it cannot but break as well. */
static unsigned expected_ids(const struct mutation *mutation)
{
    char list[64], wanted[16];
    unsigned ids = 0;

    snprintf(list, sizeof list, " %s %s ", mutation->id, mutation->also);
    for (unsigned id = 0; id < CHECK_SHOP_IDS; id++) {
        snprintf(wanted, sizeof wanted, " %s ",
                 check_name(&shop_invariants, id));
        if (strstr(list, wanted) != NULL)
            ids |= 1u << id;
    }
    return ids;
}

static void restore_backup(const struct cluster *cluster,
                           const struct cluster *backup)
{
    char command[512];

    snprintf(command, sizeof command, "cp '%s'/inventory/* '%s'/inventory/",
             backup->directory, cluster->directory);
    cr_assert_eq(system(command), 0);
}

static void spoil(const struct cluster *cluster,
                  const struct mutation *mutation, const struct cluster *backup)
{
    sqlite3 *db;

    if (mutation->flags & STALE)
        restore_backup(cluster, backup);
    db = open_logs(cluster, mutation->flags & VIEWS);
    execute(db, mutation->sql);
    if (!(mutation->flags & (RAW | STALE)))
        cover_up(db);
    sqlite3_close(db);
}

static void try_mutation(const struct mutation *mutation,
                         const struct cluster *base,
                         const struct cluster *backup)
{
    struct check_options options;
    struct check_summary summary;
    struct seen seen = {.wanted_id = mutation->id,
                        .wanted_subject = mutation->subject};
    struct cluster *cluster;

    cluster = cluster_copy(base);
    if (mutation->flags & VIEWS)
        cluster_build_views(cluster->directory);
    spoil(cluster, mutation, backup);
    options = options_for(cluster);
    options.final = mutation->id[0] == 'Q';
    options.views = mutation->flags & VIEWS ? roster_views : NULL;
    if (mutation->flags & LATE) {
        options.runs[ORDER_SVC] = true;
        options.now_ms += 3600000;
    }
    cr_expect_eq(run(&options, &seen, &summary), EVT_OK, "%s:\n%s",
                 mutation->what, seen.text);
    cr_expect(seen.hit, "%s must be reported as %s of %s, not as:\n%s",
              mutation->what, mutation->id, mutation->subject, seen.text);
    cr_expect_eq(seen.ids, expected_ids(mutation),
                 "%s must be reported as %s and %s only:\n%s", mutation->what,
                 mutation->id, mutation->also, seen.text);
    cluster_remove(cluster);
}

Test(check, every_mutation_is_reported_under_its_invariant)
{
    struct cluster *backup, *quiet, *live;

    quiet = by_hand(3);
    cluster_product(quiet, "gizmo", 1);
    cluster_stop_all(quiet);
    backup = cluster_copy(quiet);
    cluster_start_by_hand(quiet);
    tell_the_stories(quiet);
    cluster_stop_all(quiet);
    live = cluster_copy(quiet);
    cluster_start_by_hand(live);
    tell_unfinished_stories(live);
    cluster_stop_all(live);
    for (size_t i = 0; i < MUTATIONS; i++)
        try_mutation(&mutations[i], mutations[i].flags & LIVE ? live : quiet,
                     backup);
    cluster_remove(backup);
    cluster_remove(quiet);
    cluster_remove(live);
}

/* ---- what a client was told, against spoilt logs ------------------------ */

/* The commands of a journal, in its order; each line's command id and seq. */
enum { NOTED_MAX = 64 };
struct noted {
    char command[ID_BYTES], service[SERVICE_BYTES];
    int seq;
};

static size_t read_journal(const char *path, struct noted noted[NOTED_MAX])
{
    FILE *journal = fopen(path, "r");
    char line[512];
    size_t count = 0;

    cr_assert_not_null(journal, "%s", path);
    while (fgets(line, sizeof line, journal) != NULL) {
        struct noted *next = &noted[count];

        cr_assert_lt(count, NOTED_MAX);
        cr_assert_eq(sscanf(line,
                            "{\"command\":\"%39[^\"]\",\"type\":\"%*[^\"]\","
                            "\"service\":\"%15[^\"]\",\"log\":\"%*[^\"]\","
                            "\"seq\":%d}",
                            next->command, next->service, &next->seq),
                     3, "%s", line);
        if (count == 0 || strcmp(next[-1].command, next->command) != 0)
            count++;
    }
    fclose(journal);
    return count;
}

/* Spoils a copy of @base in SQL and checks it with its journal: @id must be
 * reported about @command, whatever else the SQL has broken. */
static void try_journal(const struct cluster *base, const struct noted *noted,
                        const char *id, const char *sql)
{
    struct mutation mutation = {.flags = 0, .what = noted->command, .sql = sql};
    struct seen seen = {.wanted_id = id, .wanted_subject = noted->command};
    struct check_summary summary;
    struct check_options options;
    struct cluster *cluster;

    cluster = cluster_copy(base);
    spoil(cluster, &mutation, NULL);
    options = options_for(cluster);
    options.journal = journal_of(cluster);
    cr_expect_eq(run(&options, &seen, &summary), EVT_OK, "%s", seen.text);
    cr_expect(seen.hit, "%s must be %s:\n%s", noted->command, id, seen.text);
    cluster_remove(cluster);
}

/* A log without its tail, and with it every command that was in there. */
Test(check, every_acknowledged_command_that_is_lost_is_named)
{
    static struct noted noted[NOTED_MAX];
    struct cluster *base;
    size_t count;
    char sql[256];

    base = by_hand(3);
    tell_the_stories(base);
    cluster_stop_all(base);
    count = read_journal(journal_of(base), noted);
    cr_assert_gt(count, 12);
    for (size_t i = 0; i < count; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %c.event WHERE seq >= %d",
                 noted[i].service[0], noted[i].seq);
        try_journal(base, &noted[i], "J1", sql);
    }
    cluster_remove(base);
}

Test(check, every_acknowledged_command_that_counts_twice_is_named)
{
    static struct noted noted[NOTED_MAX];
    struct cluster *base;
    size_t count;
    char sql[1024];

    base = by_hand(3);
    tell_the_stories(base);
    cluster_stop_all(base);
    count = read_journal(journal_of(base), noted);
    for (size_t i = 0; i < count; i++) {
        char log = noted[i].service[0];

        snprintf(sql, sizeof sql,
                 "INSERT INTO %c.event (seq, type, version, order_id, time_ms,"
                 " cause_source, cause_log, cause_seq, command_id, data, hash)"
                 " SELECT (SELECT max(seq) + 1 FROM %c.event), type, version,"
                 " order_id, time_ms, cause_source, cause_log, cause_seq,"
                 " command_id, data, hash FROM %c.event WHERE seq = %d",
                 log, log, log, noted[i].seq);
        try_journal(base, &noted[i], "J2", sql);
    }
    cluster_remove(base);
}

static void accept_inventory(struct cluster *cluster, unsigned service)
{
    json_t *reply = cluster_control(
        cluster, service, "{\"do\":\"accept\",\"source\":\"inventory\"}");

    cr_assert(json_is_true(json_object_get(reply, "done")));
    json_decref(reply);
}

/* Inventory loses all that the stories wrote, and the others accept that.  Both
 * are the caller's to remove. */
static struct cluster *lose_and_accept(struct cluster **backup)
{
    struct cluster *cluster = by_hand(3);

    cluster_stop_all(cluster);
    *backup = cluster_copy(cluster);
    cluster_start_by_hand(cluster);
    tell_the_stories(cluster);
    cluster_stop_all(cluster);
    restore_backup(cluster, *backup);
    cluster_start_by_hand(cluster);
    accept_inventory(cluster, ORDER_SVC);
    accept_inventory(cluster, PAYMENT_SVC);
    cluster->by_hand = false; /* inventory is told so by its next pulls */
    cluster_run(cluster, 3000);
    return cluster;
}

/* HC11: after `saga accept` the services go on, and the damage is listed. */
Test(check, a_backup_that_was_accepted_names_the_damaged_orders)
{
    struct check_summary summary;
    struct check_options options;
    struct seen seen = {.wanted_id = "S8", .wanted_subject = "o-2"};
    struct cluster *cluster, *backup;

    cluster = lose_and_accept(&backup);
    cluster_settle(cluster);
    cluster_stop_all(cluster);
    options = options_for(cluster);
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert(seen.hit, "%s", seen.text);
    cr_assert(summary.broken[CHECK_S2] > 0, "%s", seen.text);
    cr_assert(summary.broken[CHECK_S10] > 0, "%s", seen.text);
    cluster_remove(backup);
    cluster_remove(cluster);
}

/* HC11: what was placed afterwards is not to blame, though its events stand
 * under the numbers of those that were lost. */
Test(check, an_order_placed_after_the_damage_is_not_named)
{
    struct check_summary summary;
    struct check_options options;
    struct seen seen = {.ids = 0};
    struct cluster *cluster, *backup;
    char id[8], named[16];

    cluster = lose_and_accept(&backup);
    cluster_stock(cluster, "widget", 20);
    for (int i = 0; i < 9; i++) {
        snprintf(id, sizeof id, "new-%d", i);
        cr_assert_eq(
            cluster_place(cluster, id, "alice", "widget", 1, NULL, 0).code,
            ANSWER_DONE);
        cluster_settle(cluster);
    }
    cluster_stop_all(cluster);
    options = options_for(cluster);
    cr_assert_eq(run(&options, &seen, &summary), EVT_OK);
    cr_assert_not_null(strstr(seen.text, "o-2"), "%s", seen.text);
    for (int i = 0; i < 9; i++) {
        snprintf(named, sizeof named, " new-%d: ", i);
        cr_assert_null(strstr(seen.text, named), "%s", seen.text);
    }
    cluster_remove(backup);
    cluster_remove(cluster);
}
