/* floor.c - the physical limit: the rows of N sagas, and nothing else.
 *
 * Three threads write what the three services write into their logs - events,
 * tags, cursors - into three files of the same schema and settings, G events
 * in one transaction, each transaction synced.  Nothing is decided, encoded,
 * hashed or sent, no timer is set, no view is kept.  A system that stores
 * these rows can be as fast as this on this machine, not faster.
 *
 *   floor [--sagas N] [--group G] [--json] DIR    rows a second, all at once
 *   floor --in-a-row N [--json] DIR               one saga after another: four
 *                                                 commits, each after the last
 *
 * In a row it measures twice: on fresh files, whose WAL grows with each commit,
 * so that each sync waits for the file system's journal as well; and warm, in a
 * WAL that is written again from its start after a checkpoint, as that of a
 * service which has run for a while.
 *
 * Both first say how long one write of a page and its fdatasync take. */
#include "clock.h"
#include "core/codec.h"
#include "log/store.h"
#include "shop/shop.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SKUS = 10,
    CUSTOMERS = 100,
    SYNCS = 500, /* to measure one */
    CHECKPOINT_EVERY = 4000,
    EVENTS_MAX = 2,
    TAGS_MAX = 2
};

/* One kind of event row that a saga leaves in a log. */
struct sample {
    unsigned type;
    const char *cause; /* the service whose event it follows; "": a command */
    unsigned tags[TAGS_MAX];
};

/* A log: its samples in the order of a saga, and whom it listens to. */
struct log {
    const char *service;
    struct sample samples[EVENTS_MAX];
    size_t count;
    const char *sources[2];

    const char *directory;
    uint64_t sagas, group, seq, in_transaction, checkpointed;
    struct row rows[EVENTS_MAX];
    uint8_t data[EVENTS_MAX][DATA_MAX];
    struct store *store;
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *event, *tag, *cursor;
};

static struct log logs[SERVICES] = {
    {.service = "order",
     .samples = {{ORDER_PLACED, "", {TAG_ORDER}},
                 {ORDER_CONFIRMED, "payment", {TAG_ORDER}}},
     .count = 2,
     .sources = {"inventory", "payment"}},
    {.service = "inventory",
     .samples = {{STOCK_RESERVED, "order", {TAG_ORDER, TAG_SKU}},
                 {STOCK_SHIPPED, "order", {TAG_ORDER, TAG_SKU}}},
     .count = 2,
     .sources = {"order", "payment"}},
    {.service = "payment",
     .samples = {{PAYMENT_CHARGED, "inventory", {TAG_ORDER, TAG_CUSTOMER}}},
     .count = 1,
     .sources = {"order", "inventory"}},
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "floor: %s: %s\n", what, why);
    exit(74);
}

static void check(struct log *log, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        fail(log->service, sqlite3_errmsg(log->db));
}

/* ---- one log ---- */

static sqlite3_stmt *prepare(struct log *log, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    check(log, sqlite3_prepare_v3(log->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  &statement, NULL));
    return statement;
}

/* The rows are real ones, but for what differs from saga to saga. */
static void make_rows(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        struct event event = {.type = log->samples[i].type,
                              .order_id = "floor-0000000000",
                              .time_ms = 1700000000000};
        struct payload *data = payload_in(event.data);

        if (log->samples[i].cause[0] == '\0')
            text_copy(event.cause.command_id, ID_BYTES, event.order_id);
        else
            memset(event.cause.at.log_id, 0x5a, LOG_ID_BYTES);
        text_copy(event.cause.source, SERVICE_BYTES, log->samples[i].cause);
        text_copy(data->customer, CUSTOMER_BYTES, "bench-42");
        data->total_cents = data->amount_cents = 1;
        data->line_count = 1;
        text_copy(data->lines[0].sku, SKU_BYTES, "bench-4");
        data->lines[0].quantity = data->lines[0].price_cents = 1;
        codec_trim(&shop_domain, shop_message(event.type), data);
        codec_to_row(&shop_domain, &event, log->data[i], &log->rows[i]);
    }
}

static void open_log(struct log *log)
{
    uint8_t log_id[LOG_ID_BYTES];
    char path[4096], why[STORE_WHY_BYTES] = "";

    memset(log_id, 0xa5, sizeof log_id);
    snprintf(path, sizeof path, "%s/%s.db", log->directory, log->service);
    if (store_open(path, log->service, NULL, log_id, &log->store, why) !=
        EVT_OK)
        fail(path, why);
    log->db = store_connection(log->store);
    log->begin = prepare(log, "BEGIN IMMEDIATE");
    log->commit = prepare(log, "COMMIT");
    log->event = prepare(
        log, "INSERT INTO event (seq, type, version, order_id, time_ms,"
             " cause_source, cause_log, cause_seq, command_id, data, hash)"
             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    log->tag = prepare(log, "INSERT INTO tag (tag, seq) VALUES (?, ?)");
    log->cursor = prepare(
        log, "INSERT INTO inbox (source, log_id, seq, hash) VALUES (?, ?, ?, ?)"
             " ON CONFLICT (source) DO UPDATE SET log_id = excluded.log_id,"
             " seq = excluded.seq, hash = excluded.hash");
    make_rows(log);
}

static void close_log(struct log *log)
{
    sqlite3_finalize(log->begin);
    sqlite3_finalize(log->commit);
    sqlite3_finalize(log->event);
    sqlite3_finalize(log->tag);
    sqlite3_finalize(log->cursor);
    store_close(log->store);
}

static void run(struct log *log, sqlite3_stmt *statement)
{
    check(log, sqlite3_step(statement));
    check(log, sqlite3_reset(statement));
}

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

static void bind_blob(sqlite3_stmt *statement, int column, const void *bytes,
                      size_t count)
{
    sqlite3_bind_blob64(statement, column, count > 0 ? bytes : "", count,
                        SQLITE_STATIC);
}

static void write_cursors(struct log *log)
{
    uint8_t hash[HASH_BYTES];

    memset(hash, (int)(log->seq & 0xff), sizeof hash);
    for (size_t i = 0; i < 2; i++) {
        bind_text(log->cursor, 1, log->sources[i]);
        bind_blob(log->cursor, 2, store_log_id(log->store), LOG_ID_BYTES);
        sqlite3_bind_int64(log->cursor, 3, (sqlite3_int64)log->seq);
        bind_blob(log->cursor, 4, hash, sizeof hash);
        run(log, log->cursor);
    }
}

/* Nobody else reads here: the next write begins the WAL anew. */
static void checkpoint(struct log *log)
{
    log->checkpointed = log->seq;
    check(log, sqlite3_wal_checkpoint_v2(
                   log->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
}

static void commit(struct log *log)
{
    if (log->in_transaction == 0)
        return;
    write_cursors(log);
    run(log, log->commit);
    log->in_transaction = 0;
    if (log->seq >= log->checkpointed + CHECKPOINT_EVERY)
        checkpoint(log);
}

static void write_tag(struct log *log, unsigned kind, uint64_t saga,
                      const char *order_id)
{
    char key[32], text[TAG_BYTES];

    snprintf(key, sizeof key, "bench-%u",
             (unsigned)(saga % (kind == TAG_SKU ? SKUS : CUSTOMERS)));
    event_tag(&shop_domain, kind, kind == TAG_ORDER ? order_id : key, text);
    bind_text(log->tag, 1, text);
    sqlite3_bind_int64(log->tag, 2, (sqlite3_int64)log->seq);
    run(log, log->tag);
}

/* The row of sample @i for @saga; commits when the group is full. */
static void write_event(struct log *log, size_t i, uint64_t saga)
{
    struct row *row = &log->rows[i];
    sqlite3_stmt *s = log->event;
    uint8_t hash[HASH_BYTES];

    if (log->in_transaction++ == 0)
        run(log, log->begin);
    log->seq++;
    memset(hash, (int)(log->seq & 0xff), sizeof hash);
    snprintf(row->order_id, ID_BYTES, "floor-%010llu",
             (unsigned long long)saga);
    if (row->command_id[0] != '\0')
        memcpy(row->command_id, row->order_id, ID_BYTES);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)log->seq);
    bind_text(s, 2, row->type);
    sqlite3_bind_int64(s, 3, row->version);
    bind_text(s, 4, row->order_id);
    sqlite3_bind_int64(s, 5, row->time_ms + (int64_t)saga);
    bind_text(s, 6, row->cause_source);
    bind_blob(s, 7, row->cause_log, row->cause_source[0] ? LOG_ID_BYTES : 0);
    sqlite3_bind_int64(s, 8, (sqlite3_int64)saga);
    bind_text(s, 9, row->command_id);
    bind_blob(s, 10, row->data, row->data_bytes);
    bind_blob(s, 11, hash, sizeof hash);
    run(log, s);
    for (size_t t = 0; t < TAGS_MAX && log->samples[i].tags[t] != NO_TAG; t++)
        write_tag(log, log->samples[i].tags[t], saga, row->order_id);
    if (log->in_transaction == log->group)
        commit(log);
}

/* ---- all at once ---- */

/* As in a closed loop of G sagas: those that are placed come a wave before
 * those that end. */
static void *write_all(void *ctx)
{
    struct log *log = ctx;

    for (uint64_t first = 0; first < log->sagas; first += log->group)
        for (size_t i = 0; i < log->count; i++)
            for (uint64_t n = first; n < first + log->group && n < log->sagas;
                 n++)
                write_event(log, i, n);
    commit(log);
    return NULL;
}

static double measure_all(void)
{
    pthread_t threads[SERVICES];
    uint64_t begun = clock_ns();

    for (int i = 0; i < SERVICES; i++)
        if (pthread_create(&threads[i], NULL, write_all, &logs[i]) != 0)
            fail("a thread", strerror(errno));
    for (int i = 0; i < SERVICES; i++)
        pthread_join(threads[i], NULL);
    return (double)(clock_ns() - begun) / 1e9;
}

/* ---- one after another ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Sagas @first to @last - 1.  Placed, reserved, charged, confirmed: what a
 * client waits for.  Shipping follows outside the measured time, as it does for
 * the client. */
static void write_in_a_row(uint64_t first, uint64_t last, double took_us[])
{
    struct log *order = &logs[0], *inventory = &logs[1], *payment = &logs[2];

    for (uint64_t n = first; n < last; n++) {
        uint64_t begun = clock_ns();

        write_event(order, 0, n);
        write_event(inventory, 0, n);
        write_event(payment, 0, n);
        write_event(order, 1, n);
        took_us[n - first] = (double)(clock_ns() - begun) / 1e3;
        write_event(inventory, 1, n);
    }
}

static off_t wal_bytes(void)
{
    off_t sum = 0;

    for (int i = 0; i < SERVICES; i++) {
        char path[4096];
        struct stat file;

        snprintf(path, sizeof path, "%s/%s.db-wal", logs[i].directory,
                 logs[i].service);
        if (stat(path, &file) != 0)
            fail(path, strerror(errno));
        sum += file.st_size;
    }
    return sum;
}

/* The WALs have room for a quarter more than is then measured: trees grow. */
static void measure_in_a_row(uint64_t sagas, double fresh_us[],
                             double warm_us[])
{
    uint64_t more = sagas + sagas / 4 + 1;
    off_t bytes;

    write_in_a_row(0, sagas, fresh_us);
    write_in_a_row(sagas, more, warm_us);
    for (int i = 0; i < SERVICES; i++)
        checkpoint(&logs[i]);
    bytes = wal_bytes();
    write_in_a_row(more, more + sagas, warm_us);
    if (wal_bytes() != bytes)
        fail("the warm files", "their WALs have grown");
    qsort(fresh_us, sagas, sizeof fresh_us[0], compare);
    qsort(warm_us, sagas, sizeof warm_us[0], compare);
}

/* A page written over another, and synced: what a small commit to a WAL that
 * is used again costs at least. */
static void measure_syncs(const char *directory, double took_us[SYNCS])
{
    static const char page[4096] = "x";
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/sync", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(path, strerror(errno));
    for (int i = -SYNCS; i < SYNCS; i++) { /* the first time to make room */
        off_t at = (off_t)sizeof page * ((i + SYNCS) % SYNCS);
        uint64_t begun = clock_ns();

        if (pwrite(fd, page, sizeof page, at) != (ssize_t)sizeof page ||
            (i >= 0 && fdatasync(fd) != 0) || (i == -1 && fsync(fd) != 0))
            fail(path, strerror(errno));
        if (i >= 0)
            took_us[i] = (double)(clock_ns() - begun) / 1e3;
    }
    close(fd);
    unlink(path);
    qsort(took_us, SYNCS, sizeof took_us[0], compare);
}

/* ---- main ---- */

static double cpu_seconds(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void report_all(uint64_t sagas, uint64_t group, bool json,
                       const double syncs[SYNCS])
{
    double cpu = cpu_seconds(), took = measure_all();
    double rate = (double)sagas / took;

    cpu = (cpu_seconds() - cpu) * 1e6 / (double)sagas;
    if (json)
        printf("{\"sagas\":%llu,\"group\":%llu,\"sagas_per_second\":%.1f,"
               "\"cpu_us_per_saga\":%.2f,\"sync_us\":{\"median\":%.1f,"
               "\"p99\":%.1f}}\n",
               (unsigned long long)sagas, (unsigned long long)group, rate, cpu,
               syncs[SYNCS / 2], syncs[SYNCS * 99 / 100]);
    else
        printf("floor: %llu sagas, %llu events a commit: %.0f sagas a second,"
               " %.1f us CPU each; a synced page %.0f us, p99 %.0f\n",
               (unsigned long long)sagas, (unsigned long long)group, rate, cpu,
               syncs[SYNCS / 2], syncs[SYNCS * 99 / 100]);
}

static void report_in_a_row(uint64_t sagas, bool json,
                            const double syncs[SYNCS])
{
    double *fresh = calloc(sagas + 1, sizeof *fresh);
    double *warm = calloc(sagas + 1, sizeof *warm);
    size_t half = sagas / 2, most = sagas * 99 / 100;

    if (fresh == NULL || warm == NULL)
        abort();
    measure_in_a_row(sagas, fresh, warm);
    if (json)
        printf("{\"sagas\":%llu,\"fresh_us\":{\"median\":%.1f,\"p99\":%.1f},"
               "\"warm_us\":{\"median\":%.1f,\"p99\":%.1f},"
               "\"sync_us\":{\"median\":%.1f,\"p99\":%.1f}}\n",
               (unsigned long long)sagas, fresh[half], fresh[most], warm[half],
               warm[most], syncs[SYNCS / 2], syncs[SYNCS * 99 / 100]);
    else
        printf("floor: one after another: 4 commits take %.0f us, p99 %.0f, on"
               " fresh files; %.0f, p99 %.0f, on warm ones; a synced page"
               " %.0f us, p99 %.0f\n",
               fresh[half], fresh[most], warm[half], warm[most],
               syncs[SYNCS / 2], syncs[SYNCS * 99 / 100]);
    free(fresh);
    free(warm);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value == 0 || value > 100000000)
        fail(text, "not a number from 1 to 100000000");
    return value;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"sagas", required_argument, NULL, 's'},
        {"group", required_argument, NULL, 'g'},
        {"in-a-row", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {0}};
    static double syncs[SYNCS];
    uint64_t sagas = 50000, group = 1000, in_a_row = 0;
    bool json = false;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == '?')
            return 64;
        if (c == 's')
            sagas = number(optarg);
        if (c == 'g')
            group = number(optarg);
        if (c == 'r')
            in_a_row = number(optarg);
        json = json || c == 'j';
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: floor [--sagas N] [--group G] [--in-a-row N]"
                        " [--json] DIR\n");
        return 64;
    }
    if (sodium_init() < 0)
        abort();
    measure_syncs(argv[optind], syncs);
    for (int i = 0; i < SERVICES; i++) {
        logs[i].directory = argv[optind];
        logs[i].sagas = sagas;
        logs[i].group = in_a_row > 0 ? 1 : group;
        open_log(&logs[i]);
    }
    if (in_a_row > 0)
        report_in_a_row(in_a_row, json, syncs);
    else
        report_all(sagas, group, json, syncs);
    for (int i = 0; i < SERVICES; i++)
        close_log(&logs[i]);
    return 0;
}
