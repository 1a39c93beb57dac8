/* layers.c - measures each layer alone, on one core.
 *
 *   layers codec|append|size|account|catchup|rebuild|sagas N DIR [ORDER-SVC]
 *
 * Prints lines of "what<TAB>for how much<TAB>figure<TAB>unit"; layers.sh runs
 * all of them, in turn, and plots.  N bounds the work (events, or sagas).  With
 * the program of order-svc, "size" measures its start, too. */
#include "clock.h"
#include "core/codec.h"
#include "order-svc/order.h"
#include "orders.h"
#include "payment-svc/payment.h"
#include "read/pull_answer.h"
#include "shop/shop.h"
#include "start.h"
#include "write/cache.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "layers: %s: %s\n", what, why);
    exit(74);
}

static double now_s(void)
{
    return (double)clock_ns() / 1e9;
}

static void tell(const char *what, uint64_t of, double figure, const char *unit)
{
    printf("%s\t%llu\t%.4g\t%s\n", what, (unsigned long long)of, figure, unit);
    fflush(stdout);
}

/* ---- events and logs to measure with ---- */

static struct event order_event(uint64_t n)
{
    struct event event = {.type = n % 2 == 0 ? ORDER_PLACED : ORDER_CONFIRMED,
                          .time_ms = 1700000000000 + (int64_t)n};
    struct payload *data = payload_in(event.data);

    snprintf(event.order_id, ID_BYTES, "b-layer-%010llu",
             (unsigned long long)n / 2);
    if (event.type == ORDER_PLACED)
        memcpy(event.cause.command_id, event.order_id, ID_BYTES);
    else
        text_copy(event.cause.source, SERVICE_BYTES, "payment");
    text_copy(data->customer, CUSTOMER_BYTES, "bench-42");
    data->total_cents = 1990;
    data->line_count = 1;
    text_copy(data->lines[0].sku, SKU_BYTES, "widget");
    data->lines[0].quantity = 1;
    data->lines[0].price_cents = 1990;
    codec_trim(&shop_domain, shop_message(event.type), data);
    return event;
}

static struct event deposit(uint64_t n)
{
    struct event event = {.type = FUNDS_DEPOSITED, .time_ms = 1700000000000};

    snprintf(event.cause.command_id, ID_BYTES, "c-layer-%010llu",
             (unsigned long long)n);
    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "bench-42");
    payload_in(event.data)->amount_cents = 1;
    return event;
}

enum { PATH_BYTES = 4096 };

/* Where a service on @directory has it. */
static void log_path(const char *directory, const char *service,
                     char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", directory, service);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        fail(path, strerror(errno));
    snprintf(path, PATH_BYTES, "%s/%s/log.db", directory, service);
}

static struct store *open_log(const char *directory, const char *service)
{
    uint8_t log_id[LOG_ID_BYTES];
    char path[PATH_BYTES], why[STORE_WHY_BYTES] = "";
    struct store *store = NULL;

    memset(log_id, 7, sizeof log_id);
    log_path(directory, service, path);
    if (store_open(path, service, NULL, log_id, &store, why) != EVT_OK)
        fail(path, why);
    return store;
}

static void must(struct store *store, enum evt_status rc)
{
    if (rc != EVT_OK)
        fail("the log", store_error(store));
}

/* Appends events number @from to @to - 1, @batch in a transaction. */
static double append(struct store *store, struct event make(uint64_t n),
                     unsigned indexed, uint64_t from, uint64_t to,
                     uint64_t batch)
{
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    double begun = now_s();
    struct row row;

    for (uint64_t n = from; n < to; n++) {
        struct event event = make(n);

        if ((n - from) % batch == 0)
            must(store, store_begin(store));
        must(store, store_append(store, &shop_domain, indexed, &event, data,
                                 &row, hash));
        if ((n - from) % batch == batch - 1 || n + 1 == to) {
            must(store, store_commit(store));
            must(store, store_checkpoint(store));
        }
    }
    return now_s() - begun;
}

/* ---- the layers ---- */

static void codec(uint64_t count)
{
    uint8_t data[DATA_MAX], hash[HASH_BYTES] = {0}, log_id[LOG_ID_BYTES] = {0};
    struct event event = order_event(0), back;
    const char *why, *field;
    struct row row;
    double begun = now_s();

    for (uint64_t n = 0; n < count; n++)
        codec_to_row(&shop_domain, &event, data, &row);
    tell("encode", count, (double)count / (now_s() - begun), "events/s");
    begun = now_s();
    for (uint64_t n = 0; n < count; n++)
        if (codec_from_row(&shop_domain, "order", log_id, &row, &back, &why,
                           &field) != EVT_OK)
            fail("decode", why);
    tell("decode", count, (double)count / (now_s() - begun), "events/s");
    begun = now_s();
    for (uint64_t n = 0; n < count; n++)
        event_hash(hash, &row, hash);
    tell("hash", count, (double)count / (now_s() - begun), "events/s");
}

static void append_by_batch(const char *directory, uint64_t count)
{
    struct store *store = open_log(directory, "order");
    uint64_t n = 0;

    for (uint64_t batch = 1; batch <= 1000; batch *= 10) {
        uint64_t events = batch < 10 ? count / 20 : count;
        double took =
            append(store, order_event, 1u << TAG_ORDER, n, n + events, batch);

        tell("append", batch, (double)events / took, "events/s");
        n += events;
    }
    store_close(store);
}

/* The whole log read, decoded and folded into one state after the other. */
static double replay(struct store *store, uint64_t count)
{
    const char *why = "", *field;
    const struct kind *kind = &order_service.kinds[0];
    double begun = now_s();
    void *state = calloc(1, kind->bytes);
    struct event event;
    struct row row;
    uint64_t seen = 0;

    if (state == NULL)
        abort();
    must(store, store_scan(store, NULL, 0, UINT64_MAX));
    while (store_next(store, &row, NULL) == EVT_OK) {
        if (codec_from_row(&shop_domain, "order", store_log_id(store), &row,
                           &event, &why, &field) != EVT_OK)
            fail("replay", why);
        kind->evolve(state, event.order_id, &event);
        seen++;
    }
    store_scan_end(store);
    free(state);
    if (seen != count)
        fail("replay", "not every event was seen");
    return now_s() - begun;
}

/* One saga's events by their tag, at places all over the log. */
static double query(struct store *store, uint64_t count)
{
    enum { QUERIES = 1000 };
    double begun = now_s();
    struct row row;

    for (uint64_t i = 0; i < QUERIES; i++) {
        char tag[TAG_BYTES];

        snprintf(tag, sizeof tag, "order:b-layer-%010llu",
                 (unsigned long long)(i * 7919 % (count / 2)));
        must(store, store_scan(store, tag, 0, UINT64_MAX));
        while (store_next(store, &row, NULL) == EVT_OK)
            continue;
        store_scan_end(store);
    }
    return (now_s() - begun) * 1e6 / QUERIES;
}

static unsigned kind_named(const struct service *service, const char *name)
{
    for (unsigned k = 0; k < service->kind_count; k++)
        if (strcmp(service->kinds[k].name, name) == 0)
            return k;
    fail("no such kind", name);
}

static double load_account(struct store *store)
{
    struct cache *cache = cache_open(&payment_service, store);
    unsigned kind = kind_named(&payment_service, "account");
    const void *state;
    double begun = now_s();

    if (cache == NULL)
        abort();
    must(store, cache_load(cache, kind, "bench-42", &state));
    begun = now_s() - begun;
    cache_close(cache);
    return begun;
}

/* A long stream loaded from its first event, and from a snapshot. */
static void account(const char *directory, uint64_t count)
{
    const struct kind *kind =
        &payment_service.kinds[kind_named(&payment_service, "account")];
    struct store *store = open_log(directory, "payment");
    void *state = calloc(1, kind->bytes);

    if (state == NULL)
        abort();
    append(store, deposit, 1u << TAG_CUSTOMER, 0, count, 1000);
    tell("account without a snapshot", count, load_account(store) * 1e3, "ms");
    for (uint64_t n = 0; n + SNAPSHOT_EVERY / 2 < count; n++) {
        struct event event = deposit(n);

        kind->evolve(state, "bench-42", &event);
    }
    must(store, store_begin(store));
    must(store, store_set_snapshot(store, kind->name, "bench-42",
                                   service_kind_layout(kind), state,
                                   kind->bytes, count - SNAPSHOT_EVERY / 2));
    must(store, store_commit(store));
    tell("account with a snapshot", count, load_account(store) * 1e3, "ms");
    free(state);
    store_close(store);
}

/* ---- whole services ---- */

/* payment-svc, to which no event of order but OrderCancelling matters, comes
 * to a log of @count events that it has never heard of. */
struct late {
    struct store *publisher;
    struct cluster *cluster;
};

static bool late_asks(void *ctx, enum channel channel, uint64_t to,
                      const void *bytes, size_t count)
{
    static uint8_t reply[MESSAGE_MAX];
    struct late *late = ctx;
    struct pull pull;
    size_t length;

    if (channel != TO_PUBLISHER || !pull_read(bytes, count, &pull) ||
        strcmp(pull.source, "order") != 0)
        return false; /* inventory stays away */
    must(late->publisher, pull_answer(late->publisher, &pull, reply, &length));
    cluster_give(&late->cluster->writers[PAYMENT_SVC], INPUT_REPLY, to, reply,
                 length);
    return false;
}

/* A start waits for the first answer of each publisher, up to three seconds. */
static void know_who_is_away(struct cluster *cluster)
{
    if (cluster_step(cluster, PAYMENT_SVC) != EVT_OK)
        fail("a start", shell_error(cluster->writers[PAYMENT_SVC].shell));
    cluster_pass(cluster, 3000);
}

/* How many events a second it takes from the log of order, @count long. */
static double catch_up_rate(const char *directory, uint64_t count)
{
    struct cluster *cluster = cluster_open(directory, 1);
    const char *path = cluster->writers[PAYMENT_SVC].path;
    struct late late = {.cluster = cluster};
    struct shell_status status = {0};
    char why[STORE_WHY_BYTES] = "";
    double begun;

    cluster->sent = late_asks;
    cluster->ctx = &late;
    if (store_open_readonly(cluster->writers[ORDER_SVC].path, "order", NULL,
                            &late.publisher, why) != EVT_OK)
        fail("the log of order", why);
    if (unlink(path) != 0 && errno != ENOENT) /* of a smaller log */
        fail(path, strerror(errno));
    if (cluster_start(cluster, PAYMENT_SVC) != EVT_OK)
        fail(path, "does not open");
    know_who_is_away(cluster);
    begun = now_s();
    while (status.subscription_count == 0 ||
           status.subscriptions[0].cursor.at.seq < count) {
        if (cluster_step(cluster, PAYMENT_SVC) != EVT_OK)
            fail("catching up",
                 shell_error(cluster->writers[PAYMENT_SVC].shell));
        cluster_status(cluster, PAYMENT_SVC, &status);
        if (now_s() > begun + 600)
            fail("catching up", "takes longer than ten minutes");
    }
    begun = now_s() - begun;
    store_close(late.publisher);
    cluster_close(cluster);
    return (double)count / begun;
}

static void catch_up(const char *directory, uint64_t count)
{
    struct store *writer = open_log(directory, "order");

    append(writer, order_event, 1u << TAG_ORDER, 0, count, 1000);
    store_close(writer);
    tell("catch-up", count, catch_up_rate(directory, count), "events/s");
}

/* ---- as a log grows ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* order-svc on a log of @size events: its view is made first, which is no part
 * of a start. */
static void service_at(const char *program, const char *directory,
                       uint64_t size)
{
    enum { STARTS = 5 };
    double took_ms[STARTS];

    start_service(program, directory);
    start_catch_up(directory, size);
    start_end();
    for (int i = 0; i < STARTS; i++) {
        took_ms[i] = start_service(program, directory);
        if (i == STARTS - 1)
            tell("service memory at", size, (double)start_memory_kib() / 1024,
                 "MiB");
        start_end();
    }
    qsort(took_ms, STARTS, sizeof took_ms[0], compare);
    tell("service start at", size, took_ms[STARTS / 2], "ms");
}

/* The same once more, behind a writer of events @from to @to - 1 who did not
 * close its log: a start writes all the WAL anew, and copies it. */
static void crash_at(const char *program, const char *directory, uint64_t from,
                     uint64_t to, uint64_t size)
{
    char wal[PATH_BYTES + 8];
    pid_t pid = fork();
    struct stat left;
    int status = 0;

    if (pid == 0) {
        struct store *store = open_log(directory, "order");

        append(store, order_event, 1u << TAG_ORDER, from, to, 100);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fail("a writer", "could not crash");
    snprintf(wal, sizeof wal, "%s/order/log.db-wal", directory);
    if (stat(wal, &left) != 0 || left.st_size == 0)
        fail(wal, "is not left");
    tell("service start after a crash at", size,
         start_service(program, directory), "ms");
    start_end();
}

/* What a log costs as it grows: to 10 thousand events, 100 thousand, ... */
static void by_size(const char *directory, uint64_t count, const char *program)
{
    enum { LAST = 5000, CRASHED = 5000 };
    struct store *store = open_log(directory, "order");
    uint64_t n = 0;

    for (uint64_t size = 10000; size <= count; size *= 10) {
        double begun, took;

        append(store, order_event, 1u << TAG_ORDER, n, size - LAST, 1000);
        took =
            append(store, order_event, 1u << TAG_ORDER, size - LAST, size, 100);
        n = size;
        tell("append at", size, LAST / took, "events/s");
        store_close(store);
        begun = now_s();
        store = open_log(directory, "order");
        tell("start at", size, (now_s() - begun) * 1e3, "ms");
        tell("query at", size, query(store, size), "us");
        tell("replay at", size, (double)size / replay(store, size), "events/s");
        tell("memory at", size, (double)memory_kib(getpid()) / 1024, "MiB");
        store_close(store);
        tell("catch-up at", size, catch_up_rate(directory, size), "events/s");
        if (program != NULL) {
            service_at(program, directory, size);
            crash_at(program, directory, n, n + CRASHED, size);
            n += CRASHED;
        }
        store = open_log(directory, "order");
    }
    store_close(store);
}

/* The views thrown away, and folded again from the three logs. */
static void rebuild(const char *directory, uint64_t sagas)
{
    struct cluster *cluster = orders_open(directory);
    uint64_t events;
    double begun;

    orders_seed(cluster);
    begun = now_s();
    orders_run(cluster, 0, sagas, 1000);
    cluster_settle(cluster);
    tell("sagas without sockets", sagas, (double)sagas / (now_s() - begun),
         "sagas/s");
    events = orders_events(cluster);
    cluster_close(cluster);
    for (int i = 0; i < SERVICES; i++) {
        char path[PATH_BYTES];

        snprintf(path, sizeof path, "%s/%s/view.db", directory,
                 shop_services[i]);
        if (unlink(path) != 0)
            fail(path, "is not there");
    }
    begun = now_s();
    cluster = orders_open(directory); /* the order view reads every event */
    tell("rebuild", events, (double)events / (now_s() - begun), "events/s");
    cluster_close(cluster);
}

/* ---- a whole saga, as the logs grow ---- */

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU of one saga in all three services and their read sides, without sockets,
 * where the three logs hold 10,000 events together, ten times that, and so on
 * up to @events. */
static void sagas_by_size(const char *directory, uint64_t events)
{
    enum { MEASURED = 2000, EVENTS_EACH = 5 }; /* so many sagas end there */
    struct cluster *cluster = orders_open(directory);
    uint64_t placed = 0;

    orders_seed(cluster);
    for (uint64_t size = 10000; size <= events; size *= 10) {
        uint64_t have = orders_events(cluster);
        uint64_t missing = size > have ? (size - have) / EVENTS_EACH : 0;
        double begun;

        if (missing > MEASURED) {
            orders_run(cluster, placed, missing - MEASURED, 1000);
            cluster_settle(cluster);
            placed += missing - MEASURED;
        }
        begun = cpu_s();
        orders_run(cluster, placed, MEASURED, 1000);
        cluster_settle(cluster);
        placed += MEASURED;
        tell("saga at", size, (cpu_s() - begun) / MEASURED * 1e6, "us CPU");
    }
    cluster_close(cluster);
}

int main(int argc, char **argv)
{
    uint64_t count = argc == 4 || argc == 5 ? strtoull(argv[2], NULL, 10) : 0;
    const char *what = argv[1];

    if (count == 0) {
        fprintf(stderr, "usage: layers codec|append|size|account|catchup|"
                        "rebuild|sagas N DIR [ORDER-SVC]\n");
        return 64;
    }
    if (sodium_init() < 0)
        abort();
    store_quicken();
    if (strcmp(what, "codec") == 0)
        codec(count);
    else if (strcmp(what, "append") == 0)
        append_by_batch(argv[3], count);
    else if (strcmp(what, "size") == 0)
        by_size(argv[3], count, argv[4]);
    else if (strcmp(what, "account") == 0)
        account(argv[3], count);
    else if (strcmp(what, "catchup") == 0)
        catch_up(argv[3], count);
    else if (strcmp(what, "rebuild") == 0)
        rebuild(argv[3], count);
    else if (strcmp(what, "sagas") == 0)
        sagas_by_size(argv[3], count);
    else
        return 64;
    return 0;
}
