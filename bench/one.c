/* one.c - the same shop without services: one database, one transaction.
 *
 * Chapter 11 of the tutorial compares the shop with it.  An order looks up its
 * price, takes stock and money, and is stored, with a sync at the end.  Sent
 * again under its id it counts once; without stock or money it leaves nothing
 * behind.  There are no events, no saga, no messages and no views: it does the
 * work of order-svc, inventory-svc and payment-svc at once.
 *
 *   one [--orders N] [--group G] [--json] DIR     orders one after the other,
 *                                                 G in one transaction (1)
 *
 * Settings are those of the services' logs: WAL, synchronous=FULL. */
#include <getopt.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SKUS = 10, CUSTOMERS = 100 };

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE product (sku TEXT PRIMARY KEY, cents INTEGER NOT NULL,"
    " available INTEGER NOT NULL CHECK (available >= 0)) WITHOUT ROWID;"
    "CREATE TABLE account (customer TEXT PRIMARY KEY,"
    " cents INTEGER NOT NULL CHECK (cents >= 0)) WITHOUT ROWID;"
    "CREATE TABLE placed (id TEXT PRIMARY KEY, customer TEXT NOT NULL,"
    " sku TEXT NOT NULL, quantity INTEGER NOT NULL, cents INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL) WITHOUT ROWID;";

static sqlite3 *db;
static sqlite3_stmt *begin, *commit, *savepoint, *undo, *insert, *take, *charge;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "one: %s: %s\n", what, sqlite3_errmsg(db));
    exit(74);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(sql);
    return statement;
}

static int run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    sqlite3_reset(statement);
    if (rc != SQLITE_DONE && rc != SQLITE_CONSTRAINT)
        fail(sqlite3_sql(statement));
    return rc;
}

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

/* ---- the shop ---- */

static void open_shop(const char *directory)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/one.db", directory);
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
        fail(path);
    begin = prepare("BEGIN IMMEDIATE");
    commit = prepare("COMMIT");
    savepoint = prepare("SAVEPOINT an_order");
    undo = prepare("ROLLBACK TO an_order");
    insert = prepare("INSERT INTO placed SELECT ?1, ?2, sku, ?4, ?4 * cents, ?5"
                     " FROM product WHERE sku = ?3");
    take = prepare("UPDATE product SET available = available - ?2"
                   " WHERE sku = ?1");
    charge = prepare("UPDATE account SET cents = cents -"
                     " (SELECT cents FROM placed WHERE id = ?2)"
                     " WHERE customer = ?1");
}

/* All of it or nothing; false: known, unknown, out of stock or of money. */
static bool place(const char *id, const char *customer, const char *sku,
                  int64_t quantity, int64_t time_ms)
{
    bool done;

    bind_text(insert, 1, id);
    bind_text(insert, 2, customer);
    bind_text(insert, 3, sku);
    sqlite3_bind_int64(insert, 4, quantity);
    sqlite3_bind_int64(insert, 5, time_ms);
    bind_text(take, 1, sku);
    sqlite3_bind_int64(take, 2, quantity);
    bind_text(charge, 1, customer);
    bind_text(charge, 2, id);
    run(savepoint);
    done = run(insert) == SQLITE_DONE && sqlite3_changes(db) == 1 &&
           run(take) == SQLITE_DONE && run(charge) == SQLITE_DONE &&
           sqlite3_changes(db) == 1;
    if (!done)
        run(undo);
    return done;
}

/* ---- measuring ---- */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void seed(uint64_t orders)
{
    char sql[256];

    run(begin);
    for (int i = 0; i < SKUS; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO product VALUES ('sku-%d', 1990, %llu)", i,
                 (unsigned long long)orders);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    for (int i = 0; i < CUSTOMERS; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO account VALUES ('customer-%d', %llu)", i,
                 (unsigned long long)orders * 1990);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    run(commit);
}

/* Orders in transactions of @group; what each transaction took, in ms. */
static size_t place_all(uint64_t orders, uint64_t group, double took_ms[])
{
    size_t count = 0;

    for (uint64_t n = 0; n < orders; n += group) {
        uint64_t begun = now_ns(CLOCK_MONOTONIC);

        run(begin);
        for (uint64_t i = n; i < n + group && i < orders; i++) {
            char id[32], customer[32], sku[32];

            snprintf(id, sizeof id, "o-%llu", (unsigned long long)i);
            snprintf(customer, sizeof customer, "customer-%u",
                     (unsigned)(i % CUSTOMERS));
            snprintf(sku, sizeof sku, "sku-%u", (unsigned)(i % SKUS));
            if (!place(id, customer, sku, 1,
                       (int64_t)(now_ns(CLOCK_REALTIME) / 1000000u)))
                fail(id);
        }
        run(commit);
        took_ms[count++] = (double)(now_ns(CLOCK_MONOTONIC) - begun) / 1e6;
    }
    return count;
}

static int64_t count_of(const char *sql)
{
    sqlite3_stmt *statement = prepare(sql);
    int64_t value;

    if (sqlite3_step(statement) != SQLITE_ROW)
        fail(sql);
    value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

/* Sent again, out of stock, of somebody or of something unknown: nothing of it
 * may be there; and what was taken and charged is what was ordered. */
static void check(uint64_t orders)
{
    run(begin);
    if (place("o-0", "customer-0", "sku-0", 1, 0) ||
        place("more", "customer-0", "sku-0", (int64_t)orders + 1, 0) ||
        place("who", "nobody", "sku-0", 1, 0) ||
        place("what", "customer-0", "nothing", 1, 0))
        fail("an order that cannot be was taken");
    run(commit);
    if (count_of("SELECT count(*) FROM placed") != (int64_t)orders ||
        count_of("SELECT sum(available) FROM product") !=
            (int64_t)orders * (SKUS - 1) ||
        count_of("SELECT sum(cents) FROM account") !=
            (int64_t)orders * 1990 * (CUSTOMERS - 1))
        fail("stock, money and orders do not agree");
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"orders", 1, NULL, 'o'},
                                          {"group", 1, NULL, 'g'},
                                          {"json", 0, NULL, 'j'},
                                          {0}};
    uint64_t orders = 1000, group = 1, begun;
    bool json = false;
    double *took, seconds;
    size_t count;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'o')
            orders = strtoull(optarg, NULL, 10);
        else if (c == 'g')
            group = strtoull(optarg, NULL, 10);
        else if (c == 'j')
            json = true;
        else
            return 64;
    }
    if (optind != argc - 1 || orders == 0 || group == 0 || orders > 100000000) {
        fprintf(stderr, "usage: one [--orders N] [--group G] [--json] DIR\n");
        return 64;
    }
    open_shop(argv[optind]);
    seed(orders);
    took = calloc(orders / group + 1, sizeof *took);
    if (took == NULL)
        fail("memory");
    begun = now_ns(CLOCK_MONOTONIC);
    count = place_all(orders, group, took);
    seconds = (double)(now_ns(CLOCK_MONOTONIC) - begun) / 1e9;
    check(orders);
    qsort(took, count, sizeof *took, compare);
    printf(json ? "{\"orders\":%llu,\"group\":%llu,\"orders_per_second\":%.0f,"
                  "\"median_ms\":%.2f,\"p99_ms\":%.2f}\n"
                : "%llu orders, %llu in a transaction: %.0f a second\n"
                  "  begun to durable: median %.2f ms, p99 %.2f\n",
           (unsigned long long)orders, (unsigned long long)group,
           (double)orders / seconds, took[count / 2], took[count * 99 / 100]);
    free(took);
    return 0;
}
