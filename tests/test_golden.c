/* test_golden.c - today's code reads what every released version wrote.
 *
 * For each directory under tests/golden/: the logs open (and migrate), chain
 * to the same hash, fold to the same states, keep every invariant, and make
 * views; and every payload means what it meant.  HC42 HC43. */
#include "audit/check.h"
#include "cluster.h"
#include "core/json.h"
#include "golden.h"
#include "host/options.h"
#include "scratch.h"

#include "read/view_db.h"
#include "shop/invariants.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct scratch scratch;

static void set_up(void)
{
    scratch_open(&scratch);
}

static void tear_down(void)
{
    scratch_close(&scratch);
}

TestSuite(golden, .init = set_up, .fini = tear_down);

/* tests/golden, wherever the test is started from. */
static const char *golden_directory(void)
{
    static char path[256];
    char here[] = __FILE__;

    snprintf(path, sizeof path, "%s/golden", dirname(here));
    return path;
}

/* The directories of all releases. */
static glob_t releases(void)
{
    char pattern[300];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/*/states.json", golden_directory());
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++)
        *strrchr(found.gl_pathv[i], '/') = '\0';
    return found;
}

/* Loads release @number into a directory below the scratch one. */
static const char *load(const char *release, size_t number)
{
    static char to[160];
    char name[32];

    snprintf(name, sizeof name, "%zu", number);
    snprintf(to, sizeof to, "%s", scratch_file(&scratch, name));
    cr_assert_eq(mkdir(to, 0700), 0);
    golden_load(release, to);
    return to;
}

/* ---- logs ---------------------------------------------------------------- */

/* Whether @got says all that @wanted says: a state may have gained a field
 * since. */
static bool says(const json_t *got, json_t *wanted)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_object(wanted)) {
        json_object_foreach(
            wanted, name,
            member) if (!says(json_object_get(got, name), member)) return false;
        return json_is_object(got);
    }
    if (!json_is_array(wanted))
        return json_equal(got, wanted);
    json_array_foreach(wanted, i, member) if (!says(json_array_get(got, i),
                                                    member)) return false;
    return json_array_size(got) == json_array_size(wanted);
}

static void expect_states(const char *release, const char *logs)
{
    json_t *got = golden_states(logs), *wanted;
    char path[256];
    char *text;

    snprintf(path, sizeof path, "%s/states.json", release);
    wanted = json_load_file(path, 0, NULL);
    cr_assert_not_null(wanted, "%s", path);
    text = json_dumps(got, JSON_INDENT(1) | JSON_SORT_KEYS);
    cr_assert(says(got, wanted), "%s folds to:\n%s", release, text);
    free(text);
    json_decref(got);
    json_decref(wanted);
}

Test(golden, every_released_log_chains_and_folds_as_it_did)
{
    glob_t found = releases();

    for (size_t i = 0; i < found.gl_pathc; i++)
        expect_states(found.gl_pathv[i], load(found.gl_pathv[i], i));
    globfree(&found);
}

static void report(void *ctx, unsigned id, const char *subject,
                   const char *text, const struct check_wait *wait)
{
    (void)wait;
    cr_log_error("%s: %s %s: %s", (const char *)ctx,
                 check_name(&shop_invariants, id), subject, text);
}

/* Among them: that each view is what a fold from scratch makes of the logs. */
Test(golden, every_released_log_keeps_every_invariant)
{
    glob_t found = releases();

    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *directory = load(found.gl_pathv[i], i);
        struct check_options options = {.invariants = &shop_invariants,
                                        .directory = directory,
                                        .services = roster_services,
                                        .service_count = SERVICES,
                                        .views = roster_views,
                                        .final = true,
                                        .runs = {true},
                                        .scratch = directory};
        char why[STORE_WHY_BYTES] = "";
        struct check_summary summary;

        json_decref(golden_states(directory)); /* migrated */
        cluster_build_views(directory);
        cr_assert_eq(
            check_run(&options, report, found.gl_pathv[i], &summary, why),
            EVT_OK, "%s", why);
        for (unsigned id = 0; id < CHECK_IDS_MAX; id++)
            cr_assert_eq(summary.broken[id], 0, "number %u", id);
        cr_assert_eq(summary.views, SERVICES);
        cr_assert_gt(summary.heads[2], 0);
    }
    globfree(&found);
}

/* Not only the newest versions: this is what the old ones are kept for. */
Test(golden, every_version_of_every_event_is_in_a_log)
{
    glob_t found = releases();
    bool seen[64] = {false};

    cr_assert_lt(shop_catalogue_count, 64);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *directory = load(found.gl_pathv[i], i);

        for (size_t m = 0; m < shop_catalogue_count; m++)
            for (unsigned s = 0; s < SERVICES; s++) {
                char path[200], sql[160];

                snprintf(path, sizeof path, "%s/%s/log.db", directory,
                         shop_services[s]);
                snprintf(sql, sizeof sql,
                         "SELECT count(*) FROM event WHERE type = '%s'"
                         " AND version = %u",
                         shop_catalogue[m].name, shop_catalogue[m].version);
                seen[m] = seen[m] || scratch_ask(path, sql) > 0;
            }
    }
    for (size_t m = 0; m < shop_catalogue_count; m++)
        cr_assert(seen[m] || shop_catalogue[m].is_command,
                  "%s version %u is in no golden log: tests/README.md says how"
                  " to add one",
                  shop_catalogue[m].name, shop_catalogue[m].version);
    globfree(&found);
}

/* ---- one story, told by hand -------------------------------------------- */

/* alice: 50 units (version 1), 80.00 (version 2), 30.00 paid; later 59.00
 * charged and refunded. */
Test(golden, a_balance_stands_on_deposits_of_both_versions)
{
    char path[300], why[STORE_WHY_BYTES] = "";
    struct view_files place = {roster_views[PAYMENT_SVC], path, NULL};
    json_t *states, *account, *answer, *statement, *request;
    const char *directory;
    struct view_db *db;

    snprintf(path, sizeof path, "%s/0.1.0", golden_directory());
    directory = load(path, 0);
    states = golden_states(directory);
    account = json_object_get(
        json_object_get(json_object_get(states, "payment"), "states"),
        "account alice");
    cr_assert_eq(
        json_integer_value(json_object_get(account, "deposited_cents")), 13000);
    cr_assert_eq(json_integer_value(json_object_get(account, "balance_cents")),
                 10000);
    json_decref(states);

    cluster_build_views(directory);
    snprintf(path, sizeof path, "%s/payment", directory);
    cr_assert_eq(view_db_open(&place, 1, &db, why), EVT_OK, "%s", why);
    request = json_pack("{s:s,s:s}", "get", "account", "customer", "alice");
    answer = place.view->query(db, request);
    statement = json_object_get(answer, "statement");
    for (int i = 0; i < 3; i++) {
        static const int cents[] = {5000, 13000, 10000};

        cr_assert_eq(
            json_integer_value(json_object_get(
                json_array_get(statement, (size_t)i), "balance_cents")),
            cents[i]);
    }
    json_decref(request);
    json_decref(answer);
    view_db_close(db);
}

/* ---- payloads ------------------------------------------------------------ */

/* "NAME VERSION HEX JSON": the bytes mean that, and that makes the bytes. */
static void expect_message(const char *line, bool seen[])
{
    char name[32], number[16], hex[2 * DATA_MAX + 1];
    uint8_t data[DATA_MAX], again[DATA_MAX];
    const char *why = "", *field = NULL;
    const struct message *message;
    struct payload payload;
    json_t *got, *wanted;
    uint32_t version;
    size_t bytes;
    int used = 0;

    cr_assert_eq(sscanf(line, "%31s %15s %4096s %n", name, number, hex, &used),
                 3, "%s", line);
    version = (uint32_t)strtoul(number, NULL, 10);
    bytes = strlen(hex) / 2;
    cr_assert(bytes <= DATA_MAX && text_parse_hex(hex, data, bytes), "%s",
              line);
    message = shop_message_named(name, version, NULL);
    cr_assert_not_null(message, "%s version %u is not understood any more",
                       name, version);
    cr_assert_eq(codec_decode(&shop_domain, message, data, bytes, &payload,
                              &why, &field),
                 EVT_OK, "%s version %u: %s", name, version, why);
    got = json_from_fields(message->fields, &payload);
    wanted = json_loads(line + used, 0, NULL);
    cr_assert_not_null(wanted, "%s", line);
    cr_assert(json_equal(got, wanted), "%s", line);
    cr_assert_eq(codec_encode(message, &payload, again), bytes);
    cr_assert_arr_eq(again, data, bytes, "%s", line);
    seen[message - shop_catalogue] = true;
    json_decref(got);
    json_decref(wanted);
}

Test(golden, every_released_payload_means_what_it_meant)
{
    glob_t found = releases();
    bool seen[64] = {false};

    for (size_t i = 0; i < found.gl_pathc; i++) {
        char path[256], *line = NULL;
        size_t size = 0;
        FILE *file;

        snprintf(path, sizeof path, "%s/messages.txt", found.gl_pathv[i]);
        file = fopen(path, "r");
        cr_assert_not_null(file, "%s", path);
        while (getline(&line, &size, file) > 0)
            expect_message(line, seen);
        free(line);
        fclose(file);
    }
    for (size_t m = 0; m < shop_catalogue_count; m++)
        cr_assert(seen[m], "%s version %u: tests/README.md says how to add it",
                  shop_catalogue[m].name, shop_catalogue[m].version);
    globfree(&found);
}

/* ---- writing them -------------------------------------------------------- */

/* With SAGA_GOLDEN=DIR (`make golden`) what is written stays, as
 * DIR/<version>. */
Test(golden, todays_logs_are_read_back)
{
    const char *keep = getenv("SAGA_GOLDEN");
    char directory[256];

    snprintf(directory, sizeof directory, "%s/%s",
             keep == NULL ? scratch.path : keep, SAGA_VERSION);
    cr_assert_eq(mkdir(directory, 0755), 0,
                 "%s is there already, and files like it exist: raise"
                 " VERSION",
                 directory);
    golden_write(directory);
    expect_states(directory, load(directory, 0));
}
