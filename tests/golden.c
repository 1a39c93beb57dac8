/* golden.c - see golden.h.  A cluster plays the story. */
#include "golden.h"

#include "cluster.h"
#include "core/json.h"
#include "sample.h"
#include "scratch.h"
#include "shop/shop.h"
#include "write/cache.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEED = 1 };

/* ---- the story ----------------------------------------------------------- */

/* A deposit as it was written before there was a version 2: no code of today
 * can do so, hence the row by hand.  The payment log is closed and empty. */
static void plant_units(const struct cluster *cluster, const char *customer,
                        int64_t units)
{
    const struct message *old = shop_message_named("FundsDeposited", 1, NULL);
    struct payload payload = {.amount_units = units};
    struct row row = {.seq = 1, .version = 1, .command_id = "old-deposit"};
    char path[192], why[STORE_WHY_BYTES] = "", sql[1024];
    char hex_data[512], hex_hash[2 * HASH_BYTES + 1];
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    struct store *log;

    text_copy(payload.customer, CUSTOMER_BYTES, customer);
    row.data = data;
    row.data_bytes = (uint32_t)codec_encode(old, &payload, data);
    row.time_ms = cluster->wall_ms;
    text_copy(row.type, sizeof row.type, old->name);
    snprintf(path, sizeof path, "%s/payment/log.db", cluster->directory);
    cr_assert_eq(store_open_readonly(path, "payment", NULL, &log, why), EVT_OK,
                 "%s", why);
    event_genesis("payment", store_log_id(log), hash);
    store_close(log);
    event_hash(hash, &row, hash);
    snprintf(sql, sizeof sql,
             "INSERT INTO event VALUES (1, '%s', 1, '', %lld, '', x'', 0, '%s',"
             " x'%s', x'%s'); INSERT INTO tag VALUES ('customer:%s', 1)",
             row.type, (long long)row.time_ms, row.command_id,
             text_hex(data, row.data_bytes, hex_data),
             text_hex(hash, HASH_BYTES, hex_hash), customer);
    scratch_sql(path, sql);
}

/* Everything that can be written, at least once. */
static struct cluster *tell(void)
{
    struct cluster *cluster = cluster_open(NULL, SEED);

    cluster_start_all(cluster, false);
    cluster_stop_all(cluster);
    plant_units(cluster, "alice", 50);
    cluster_start_by_hand(cluster);
    cluster_product(cluster, "widget", 1000);
    cluster_product(cluster, "gadget", 4900);
    cluster_stock(cluster, "widget", 10);
    cluster_stock(cluster, "gadget", 2);
    cluster_fund(cluster, "alice", 8000);
    cluster_fund(cluster, "bob", 1995);
    cluster_place(cluster, "o-shipped", "alice", "widget", 3, NULL, 0);
    cluster_settle(cluster);
    cluster_place(cluster, "o-rejected", "alice", "widget", 1, "gadget", 3);
    cluster_place(cluster, "o-declined", "bob", "widget", 2, NULL, 0);
    cluster_settle(cluster);
    cluster_place(cluster, "o-refunded", "alice", "widget", 1, "gadget", 1);
    cluster_drain(cluster, INVENTORY_SVC, ORDER_SVC);
    cluster_drain(cluster, PAYMENT_SVC, INVENTORY_SVC);
    cluster_cancel(cluster, "o-refunded"); /* the charge is on its way */
    cluster_settle(cluster);
    cluster_place(cluster, "o-voided", "alice", "gadget", 1, NULL, 0);
    cluster_cancel(cluster, "o-voided");
    cluster_drain(cluster, PAYMENT_SVC, ORDER_SVC); /* overtakes */
    cluster_settle(cluster);
    cluster_stop_all(cluster);
    return cluster;
}

/* ---- a log as text ------------------------------------------------------- */

static void dump_table(sqlite3 *db, const char *table, const char *columns,
                       FILE *out)
{
    sqlite3_stmt *rows;
    char sql[400];

    snprintf(sql, sizeof sql, "SELECT %s FROM %s ORDER BY 1, 2", columns,
             table);
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    while (sqlite3_step(rows) == SQLITE_ROW)
        fprintf(out, "INSERT INTO %s VALUES (%s);\n", table,
                (const char *)sqlite3_column_text(rows, 0));
    sqlite3_finalize(rows);
}

/* Schema first, triggers and all, then the rows of @path. */
static void dump_log(const char *path, FILE *out)
{
    sqlite3_stmt *schema;
    sqlite3 *db;

    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db,
                                    "SELECT sql FROM sqlite_schema"
                                    " WHERE sql IS NOT NULL ORDER BY rowid",
                                    -1, &schema, NULL),
                 SQLITE_OK);
    while (sqlite3_step(schema) == SQLITE_ROW)
        fprintf(out, "%s;\n", (const char *)sqlite3_column_text(schema, 0));
    sqlite3_finalize(schema);
    dump_table(db, "meta", "quote(key) || ', ' || quote(value), 1", out);
    dump_table(db, "event",
               "seq || ', ' || quote(type) || ', ' || version || ', ' ||"
               " quote(order_id) || ', ' || time_ms || ', ' ||"
               " quote(cause_source) || ', ' || quote(cause_log) || ', ' ||"
               " cause_seq || ', ' || quote(command_id) || ',\n  ' ||"
               " quote(data) || ',\n  ' || quote(hash), seq",
               out);
    dump_table(db, "tag", "quote(tag) || ', ' || seq, seq", out);
    dump_table(db, "inbox",
               "quote(source) || ', ' || quote(log_id) || ', ' || seq ||"
               " ',\n  ' || quote(hash), 1",
               out);
    sqlite3_close(db);
}

static FILE *create(const char *directory, const char *name, const char *end)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s%s", directory, name, end);
    file = fopen(path, "wx");
    cr_assert_not_null(file, "%s", path);
    return file;
}

/* ---- messages ------------------------------------------------------------ */

static void write_messages(FILE *out)
{
    struct sample sample = {.random = SEED};

    for (size_t i = 0; i < shop_catalogue_count; i++) {
        const struct message *m = &shop_catalogue[i];
        char hex[2 * DATA_MAX + 1], *text;
        struct payload payload;
        uint8_t data[DATA_MAX];
        json_t *json;

        sample_payload(&sample, m, &payload);
        json = json_from_fields(m->fields, &payload);
        text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
        fprintf(out, "%s %u %s %s\n", m->name, m->version,
                text_hex(data, codec_encode(m, &payload, data), hex), text);
        free(text);
        json_decref(json);
    }
}

/* ---- writing and loading ------------------------------------------------- */

void golden_write(const char *directory)
{
    struct cluster *cluster = tell();
    char path[192];
    json_t *states;
    FILE *out;

    for (unsigned i = 0; i < SERVICES; i++) {
        snprintf(path, sizeof path, "%s/%s/log.db", cluster->directory,
                 shop_services[i]);
        out = create(directory, shop_services[i], ".sql");
        dump_log(path, out);
        cr_assert_eq(fclose(out), 0);
    }
    states = golden_states(cluster->directory);
    out = create(directory, "states", ".json");
    json_dumpf(states, out, JSON_INDENT(1) | JSON_SORT_KEYS);
    fputc('\n', out);
    cr_assert_eq(fclose(out), 0);
    json_decref(states);
    out = create(directory, "messages", ".txt");
    write_messages(out);
    cr_assert_eq(fclose(out), 0);
    cluster_remove(cluster);
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    cr_assert_not_null(file, "%s", path);
    cr_assert_gt(getdelim(&text, &size, '\0', file), 0, "%s", path);
    fclose(file);
    return text;
}

void golden_load(const char *directory, const char *to)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        char from[256], path[256], *sql;

        snprintf(path, sizeof path, "%s/%s", to, shop_services[i]);
        cr_assert_eq(mkdir(path, 0700), 0, "%s", path);
        snprintf(path, sizeof path, "%s/%s/log.db", to, shop_services[i]);
        snprintf(from, sizeof from, "%s/%s.sql", directory, shop_services[i]);
        sql = read_all(from);
        scratch_sql(path, sql);
        free(sql);
    }
}

/* ---- what logs fold to --------------------------------------------------- */

/* Adds the states of every kind that the tag "prefix:key" names. */
static void add_states(json_t *states, const struct service *service,
                       struct cache *cache, const char *tag)
{
    for (unsigned k = 0; k < service->kind_count; k++) {
        const struct kind *kind = &service->kinds[k];
        const char *key = strchr(tag, ':') + 1;
        char wanted[TAG_BYTES], name[TAG_BYTES + 16];
        const void *state;

        event_tag(&shop_domain, kind->tag, key, wanted);
        if (strcmp(wanted, tag) != 0)
            continue;
        cr_assert_eq(cache_load(cache, k, key, &state), EVT_OK, "%s",
                     cache_error(cache));
        snprintf(name, sizeof name, "%s %s", kind->name, key);
        json_object_set_new(states, name,
                            json_from_fields(kind->fields, state));
    }
}

static json_t *states_of(struct store *log, const struct service *service)
{
    struct cache *cache = cache_open(service, log);
    json_t *states = json_object();
    sqlite3_stmt *tags;

    cr_assert_eq(sqlite3_prepare_v2(store_connection(log),
                                    "SELECT DISTINCT tag FROM tag", -1, &tags,
                                    NULL),
                 SQLITE_OK);
    while (sqlite3_step(tags) == SQLITE_ROW)
        add_states(states, service, cache,
                   (const char *)sqlite3_column_text(tags, 0));
    sqlite3_finalize(tags);
    cache_close(cache);
    return states;
}

/* The head that the rows themselves come to, not the one that is stored. */
static uint64_t rehash(struct store *log, uint8_t hash[HASH_BYTES])
{
    uint64_t seq = 0;
    struct row row;

    event_genesis(store_service(log), store_log_id(log), hash);
    cr_assert_eq(store_scan(log, NULL, 0, UINT64_MAX), EVT_OK);
    for (; store_next(log, &row, NULL) == EVT_OK; seq = row.seq)
        event_hash(hash, &row, hash);
    store_scan_end(log);
    return seq;
}

json_t *golden_states(const char *from)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < SERVICES; i++) {
        char path[256], why[STORE_WHY_BYTES] = "", hex[2 * HASH_BYTES + 1];
        static const uint8_t unused[LOG_ID_BYTES];
        uint8_t hash[HASH_BYTES];
        struct store *log;
        uint64_t head;

        snprintf(path, sizeof path, "%s/%s/log.db", from, shop_services[i]);
        cr_assert_eq(access(path, F_OK), 0, "%s", path);
        cr_assert_eq(store_open(path, shop_services[i], NULL, unused, &log,
                                why), /* and migrates it */
                     EVT_OK, "%s", why);
        head = rehash(log, hash);
        json_object_set_new(all, shop_services[i],
                            json_pack("{s:I,s:s,s:o}", "head", (json_int_t)head,
                                      "hash", text_hex(hash, HASH_BYTES, hex),
                                      "states",
                                      states_of(log, roster_services[i])));
        store_close(log);
    }
    return all;
}
