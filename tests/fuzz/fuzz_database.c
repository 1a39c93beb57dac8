/* fuzz_database.c - damaged databases: what `saga check`, `saga verify` and
 * the next start make of them.
 *
 * The three golden logs with their views, and a list of edits: bytes of a file
 * changed or cut off, or values of a row changed in SQL, where any type may
 * stand in any column.  Whatever they hold, there is a verdict. */
#include "../cluster.h"
#include "audit/check.h"
#include "fuzz.h"
#include "read/log_query.h"
#include "shop/invariants.h"
#include "shop/shop.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EDITS_MAX = 12, FILES = 2 * SERVICES };

/* Three logs, then their three views. */
static struct golden_file {
    char path[160];
    uint8_t *bytes;
    size_t count;
    bool edited;
} files[FILES];

// clang-format off
static const char *const columns[] = {
    "event SET seq", "event SET type", "event SET version",
    "event SET order_id", "event SET time_ms", "event SET cause_source",
    "event SET cause_log", "event SET cause_seq", "event SET command_id",
    "event SET data", "event SET hash", "tag SET tag", "tag SET seq",
    "inbox SET source", "inbox SET log_id", "inbox SET seq", "inbox SET hash",
    "snapshot SET kind", "snapshot SET key", "snapshot SET layout",
    "snapshot SET seq", "snapshot SET bytes", "timer SET event_seq",
    "timer SET order_id", "timer SET set_ms", "timer SET after_ms",
    "parked SET source", "parked SET log_id", "parked SET seq",
    "parked SET order_id", "parked SET reason", "parked SET raw",
    "meta SET key", "meta SET value",
};
// clang-format on
enum { COLUMNS = sizeof columns / sizeof columns[0] };

/* ---- the files ---------------------------------------------------------- */

static void execute(sqlite3 *db, const char *sql)
{
    (void)sqlite3_exec(db, sql, NULL, NULL, NULL); /* may well be refused */
}

/* A row in every table, so that every column can be spoilt. */
static void fill_tables(const char *path)
{
    sqlite3 *db = NULL;

    MUST(sqlite3_open(path, &db) == SQLITE_OK);
    execute(db,
            "PRAGMA journal_mode = WAL; DROP TRIGGER event_is_never_changed;"
            "DROP TRIGGER event_is_never_deleted; DROP INDEX event_command;"
            "INSERT INTO timer VALUES (3, 'o-shipped', 1, 1);"
            "INSERT INTO snapshot VALUES ('shelf', 'widget', 1, 1, x'00');"
            "INSERT INTO parked VALUES ('order', zeroblob(16), 1, 'o-1',"
            " 'why', x'00'); PRAGMA wal_checkpoint(TRUNCATE);"
            "PRAGMA journal_mode = DELETE");
    MUST(sqlite3_close(db) == SQLITE_OK);
}

static void make_files(void)
{
    struct cluster *cluster = cluster_open(fuzz_path("d"), 1);

    for (unsigned i = 0; i < SERVICES; i++) {
        const struct cluster_node *node = &cluster->writers[i];

        text_copy(files[i].path, sizeof files[i].path, node->path);
        snprintf(files[SERVICES + i].path, sizeof files[0].path,
                 "%.140s/view.1.db", node->directory);
        fuzz_golden(shop_services[i], files[i].path);
        fill_tables(files[i].path);
    }
    cluster_close(cluster);
    cluster_build_views(fuzz_path("d"));
    for (unsigned i = 0; i < FILES; i++)
        files[i].bytes = fuzz_read(files[i].path, &files[i].count);
}

static void restore(struct golden_file *file)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    char name[sizeof file->path + 16];

    for (size_t i = 0; i < 3; i++) {
        text_copy(name, sizeof name, file->path);
        strcat(name, ends[i]);
        (void)unlink(name); /* most are not there */
    }
    if (file->edited)
        fuzz_write(file->path, file->bytes, file->count);
    file->edited = false;
}

/* ---- edits -------------------------------------------------------------- */

static void edit_bytes(struct taker *taker, struct golden_file *file)
{
    FILE *out = fopen(file->path, "r+b");
    size_t at = (size_t)take_short(taker) * 16 % file->count, got;
    const uint8_t *bytes;

    at += take_byte(taker) % 16;
    bytes = take_span(taker, 1u + take_byte(taker) % 32u, &got);
    MUST(out != NULL && fseek(out, (long)at, SEEK_SET) == 0);
    MUST(fwrite(bytes, 1, got, out) == got);
    fclose(out);
}

static void cut(struct taker *taker, const struct golden_file *file)
{
    MUST(truncate(file->path,
                  (long)((size_t)take_short(taker) * 16 % file->count)) == 0);
}

static void bind_value(struct taker *taker, sqlite3_stmt *statement)
{
    uint8_t how = take_byte(taker);
    size_t got;
    const uint8_t *bytes;

    if (how % 4 == 0) {
        sqlite3_bind_int64(statement, 1, take_number(taker));
    } else if (how % 4 == 1) {
        sqlite3_bind_double(statement, 1, (double)take_number(taker) / 3);
    } else {
        bytes = take_span(taker, how / 4, &got);
        if (how % 4 == 2)
            sqlite3_bind_text(statement, 1, (const char *)bytes, (int)got,
                              SQLITE_TRANSIENT);
        else
            sqlite3_bind_blob(statement, 1, bytes, (int)got, SQLITE_TRANSIENT);
    }
}

static void edit_value(struct taker *taker, const struct golden_file *file)
{
    const char *column = columns[take_byte(taker) % COLUMNS];
    unsigned row = take_byte(taker) % 32u;
    sqlite3_stmt *statement = NULL;
    int table = (int)strcspn(column, " ");
    char sql[256];
    sqlite3 *db = NULL;

    snprintf(sql, sizeof sql,
             "UPDATE %s = ? WHERE %.*s IN (SELECT %.*s FROM %.*s LIMIT 1"
             " OFFSET %u)",
             column, (int)strlen(column + table + 5), column + table + 5,
             (int)strlen(column + table + 5), column + table + 5, table, column,
             row);
    MUST(sqlite3_open(file->path, &db) == SQLITE_OK);
    execute(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY");
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
        bind_value(taker, statement);
        (void)sqlite3_step(statement); /* a constraint may refuse it */
    }
    sqlite3_finalize(statement);
    MUST(sqlite3_close(db) == SQLITE_OK);
}

static void edit(struct taker *taker)
{
    uint8_t head = take_byte(taker);
    struct golden_file *file = &files[head / 4 % FILES];

    file->edited = true;
    if (head % 4 == 0)
        edit_bytes(taker, file);
    else if (head % 16 == 1)
        cut(taker, file);
    else
        edit_value(taker, file);
}

/* ---- those who read it -------------------------------------------------- */

static void count_report(void *ctx, unsigned id, const char *subject,
                         const char *text, const struct check_wait *wait)
{
    (void)wait;
    MUST(id < CHECK_SHOP_IDS && strlen(subject) > 0 && strlen(text) > 0);
    (*(uint64_t *)ctx)++;
}

static void check_it(bool final)
{
    struct check_options options = {.invariants = &shop_invariants,
                                    .services = roster_services,
                                    .service_count = SERVICES,
                                    .views = final ? roster_views : NULL,
                                    .final = final,
                                    .runs = {true},
                                    .now_ms = INT64_C(1700000100000)};
    char directory[160], scratch[160], why[STORE_WHY_BYTES] = "";
    struct check_summary summary;
    uint64_t reports = 0, counted = 0;
    enum evt_status rc;

    text_copy(directory, sizeof directory, fuzz_path("d"));
    text_copy(scratch, sizeof scratch, fuzz_path("."));
    options.directory = directory;
    options.scratch = scratch;
    rc = check_run(&options, count_report, &reports, &summary, why);
    MUST(rc == EVT_OK || why[0] != '\0');
    for (unsigned i = 0; i < CHECK_SHOP_IDS; i++)
        counted += summary.broken[i];
    MUST(rc != EVT_OK || counted == reports);
}

/* The log as JSON, page by page, as tools read it when a service is down. */
static void show_it(unsigned number)
{
    char why[STORE_WHY_BYTES];
    struct store *log = NULL;
    json_t *request, *answer;

    if (store_open_readonly(files[number].path, NULL, NULL, &log, why) !=
        EVT_OK)
        return;
    request = json_pack("{s:s}", "get", "log");
    answer = log_query(&shop_domain, log, request);
    MUST(answer != NULL);
    json_decref(answer);
    json_object_set_new(request, "get", json_string("parked"));
    answer = log_query(&shop_domain, log, request);
    MUST(answer != NULL);
    json_decref(answer);
    json_decref(request);
    store_close(log);
}

/* The next start: it opens, or says why not. */
static void start_it(unsigned number)
{
    static const uint8_t log_id[LOG_ID_BYTES] = {1};
    char why[STORE_WHY_BYTES] = "";
    struct store *log = NULL;

    files[number].edited = true; /* a migration, a clean-up */
    if (store_open(files[number].path, shop_services[number], NULL, log_id,
                   &log, why) == EVT_OK)
        store_close(log);
    else
        MUST(why[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {bytes, count};
    uint8_t head = take_byte(&taker);

    if (files[0].bytes == NULL)
        make_files();
    for (unsigned i = 0; i < EDITS_MAX && taker.left > 0; i++)
        edit(&taker);
    check_it(head % 4 == 0);
    for (unsigned i = 0; i < SERVICES; i++)
        if (files[i].edited) {
            show_it(i);
            start_it(i);
        }
    for (unsigned i = 0; i < FILES; i++)
        restore(&files[i]);
    return 0;
}
