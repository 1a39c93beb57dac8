/* census.c - see census.h; metrics.c calls it at each scrape. */
#include "saga-web/census.h"

#include "core/event.h"
#include "core/flow.h"
#include "log/store.h"
#include "saga-cli/story.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Upper bounds of the buckets; the last bucket has none. */
static const int64_t bounds_ms[] = {5,    10,   25,   50,    100,   250,  500,
                                    1000, 2500, 5000, 10000, 30000, 60000};
enum { BOUNDS = sizeof bounds_ms / sizeof bounds_ms[0] };

struct open {
    char id[ID_BYTES];
    int64_t since_ms;
    UT_hash_handle hh;
};

struct durations {
    uint64_t counts[BOUNDS + 1]; /* of each bucket alone */
    int64_t sum_ms;
};

/* What an event of its type does to a saga. */
enum role { NOTHING, BEGINS, ENDS };

/* Of one service. */
struct counted {
    enum role roles[TYPES_MAX];
    bool has_sagas; /* some of them begin here */
    uint8_t log_id[LOG_ID_BYTES];
    uint64_t after; /* read up to here */
    struct open *open;
    struct durations durations[TYPES_MAX]; /* by the type that ended it */
};

struct census {
    struct saga *saga;
    struct counted services[SERVICES_MAX];
};

struct census *census_open(struct saga *saga)
{
    struct census *census = calloc(1, sizeof *census);

    if (census == NULL)
        abort();
    census->saga = saga;
    return census;
}

static void forget(struct counted *counted, struct open *open)
{
    HASH_DEL(counted->open, open);
    free(open);
}

/* What was read of a log that is another one now. */
static void begin_anew(struct counted *counted)
{
    while (counted->open != NULL)
        forget(counted, counted->open);
    memset(counted->durations, 0, sizeof counted->durations);
    counted->after = 0;
}

void census_close(struct census *census)
{
    for (unsigned i = 0; census != NULL && i < SERVICES_MAX; i++)
        begin_anew(&census->services[i]);
    free(census);
}

/* ---- what begins a saga, and what ends it -------------------------------- */

static void follow_type(struct saga *saga, unsigned type, bool seen[TYPES_MAX]);

static void mark(struct saga *saga, unsigned type, bool seen[TYPES_MAX])
{
    if (type == NO_MESSAGE || seen[type])
        return;
    seen[type] = true;
    follow_type(saga, type, seen);
}

/* Marks all that may follow @type. */
static void follow_type(struct saga *saga, unsigned type, bool seen[TYPES_MAX])
{
    const struct service *const *all = saga_tables(saga);

    for (unsigned i = 0; i < saga_services(); i++) {
        const struct rule *rule = service_rule(all[i], type);

        for (unsigned k = 0; rule != NULL && k < MAY_EMIT_MAX; k++)
            mark(saga, rule->may_emit[k], seen);
        for (size_t k = 0; k < all[i]->timer_count; k++)
            if (all[i]->timers[k].from == type)
                mark(saga, all[i]->timers[k].send, seen);
    }
}

static bool is_of(struct saga *saga, unsigned service, unsigned type)
{
    const struct service *const *all = saga_tables(saga);

    return flow_writer(all, saga_services(), type) == all[service];
}

/* Whether @service writes nothing more for a saga after its event @type. */
static bool is_last(struct saga *saga, unsigned service, unsigned type)
{
    bool seen[TYPES_MAX] = {false};

    follow_type(saga, type, seen);
    for (unsigned other = 0; other < TYPES_MAX; other++)
        if (seen[other] && is_of(saga, service, other))
            return false;
    return true;
}

/* @type begins a saga: what may end that? */
static void find_ends(struct saga *saga, unsigned service, unsigned type,
                      struct counted *counted)
{
    bool seen[TYPES_MAX] = {false};

    counted->has_sagas = true;
    counted->roles[type] = BEGINS;
    follow_type(saga, type, seen);
    for (unsigned other = 0; other < TYPES_MAX; other++)
        if (seen[other] && is_of(saga, service, other) &&
            is_last(saga, service, other))
            counted->roles[other] = ENDS;
}

static void find_roles(struct saga *saga, unsigned service,
                       struct counted *counted)
{
    const struct service *table = saga_tables(saga)[service];

    counted->has_sagas = false;
    memset(counted->roles, 0, sizeof counted->roles);
    for (size_t i = 0; i < table->rule_count; i++) {
        const struct rule *rule = &table->rules[i];
        const struct message *on = domain_message(saga_names(), rule->on);

        for (unsigned k = 0; k < MAY_EMIT_MAX; k++)
            if (on != NULL && on->is_command &&
                rule->may_emit[k] != NO_MESSAGE &&
                !is_last(saga, service, rule->may_emit[k]))
                find_ends(saga, service, rule->may_emit[k], counted);
    }
}

/* ---- counting ------------------------------------------------------------ */

static void count_end(struct counted *counted, unsigned type, int64_t took_ms)
{
    struct durations *durations = &counted->durations[type];
    unsigned i = 0;

    took_ms = took_ms > 0 ? took_ms : 0; /* the clock was set back */
    while (i < BOUNDS && took_ms > bounds_ms[i])
        i++;
    durations->counts[i]++;
    durations->sum_ms += took_ms;
}

static void count_row(struct counted *counted, const struct row *row)
{
    unsigned type = lexicon_number(saga_lexicon(), row->type);
    enum role role = counted->roles[type];
    struct open *open;

    if (role == NOTHING || row->order_id[0] == '\0')
        return;
    HASH_FIND_STR(counted->open, row->order_id, open);
    if (role == ENDS && open != NULL) {
        count_end(counted, type, row->time_ms - open->since_ms);
        forget(counted, open);
    } else if (role == BEGINS && open == NULL && row->command_id[0] != '\0') {
        open = calloc(1, sizeof *open);
        if (open == NULL)
            abort();
        text_copy(open->id, sizeof open->id, row->order_id);
        open->since_ms = row->time_ms;
        HASH_ADD_STR(counted->open, id, open);
    }
}

/* Returns how many events it has read; *more: there are more. */
static uint64_t read_rows(struct counted *counted, struct store *log,
                          uint64_t limit, bool *more)
{
    uint64_t count = 0;
    struct row row;
    enum evt_status rc = store_scan(log, NULL, counted->after, UINT64_MAX);

    while (rc == EVT_OK && count < limit &&
           (rc = store_next(log, &row, NULL)) == EVT_OK) {
        count_row(counted, &row);
        counted->after = row.seq;
        count++;
    }
    store_scan_end(log);
    *more = rc == EVT_OK;
    return count;
}

static void compare_log(struct counted *counted, struct store *log)
{
    uint8_t hash[HASH_BYTES];
    uint64_t head = 0;

    if (memcmp(counted->log_id, store_log_id(log), LOG_ID_BYTES) != 0 ||
        (store_head(log, &head, hash) == EVT_OK && head < counted->after))
        begin_anew(counted);
    memcpy(counted->log_id, store_log_id(log), LOG_ID_BYTES);
}

bool census_read(struct census *census, uint64_t limit)
{
    char path[4096], why[STORE_WHY_BYTES];
    bool more = false;

    for (unsigned i = 0; i < saga_services() && !more; i++) {
        struct counted *counted = &census->services[i];
        struct store *log = NULL;

        find_roles(census->saga, i, counted);
        if (!counted->has_sagas)
            continue;
        snprintf(path, sizeof path, "%s/%s/log.db", census->saga->directory,
                 saga_service(i));
        if (store_open_readonly(path, saga_service(i), NULL, &log, why) ==
            EVT_OK) {
            compare_log(counted, log);
            limit -= read_rows(counted, log, limit, &more);
        }
        store_close(log);
    }
    return !more;
}

/* ---- writing ------------------------------------------------------------- */

void census_heading(FILE *out, const char *name, const char *type,
                    const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_open(const struct census *census, FILE *out)
{
    census_heading(out, "saga_open_sagas", "gauge",
                   "Sagas that have begun and not ended.");
    for (unsigned i = 0; i < saga_services(); i++)
        if (census->services[i].has_sagas)
            fprintf(out, "saga_open_sagas{service=\"%s\"} %u\n",
                    saga_service(i), HASH_COUNT(census->services[i].open));
}

static int64_t oldest_ms(const struct counted *counted)
{
    int64_t now = saga_unix_ms(), since = now;

    for (const struct open *o = counted->open; o != NULL; o = o->hh.next)
        since = o->since_ms < since ? o->since_ms : since;
    return now - since;
}

static void write_oldest(const struct census *census, FILE *out)
{
    census_heading(out, "saga_oldest_open_seconds", "gauge",
                   "Age of the oldest open saga; 0 without one.");
    for (unsigned i = 0; i < saga_services(); i++)
        if (census->services[i].has_sagas)
            fprintf(out, "saga_oldest_open_seconds{service=\"%s\"} %.3f\n",
                    saga_service(i),
                    (double)oldest_ms(&census->services[i]) / 1000);
}

static void write_histogram(FILE *out, const char *service, unsigned type,
                            const struct durations *durations)
{
    const char *outcome = domain_type_name(saga_names(), type);
    uint64_t count = 0;

    for (unsigned i = 0; i < BOUNDS; i++) {
        count += durations->counts[i];
        fprintf(out,
                "saga_duration_seconds_bucket{service=\"%s\",outcome=\"%s\","
                "le=\"%g\"} %" PRIu64 "\n",
                service, outcome, (double)bounds_ms[i] / 1000, count);
    }
    count += durations->counts[BOUNDS];
    fprintf(out,
            "saga_duration_seconds_bucket{service=\"%s\",outcome=\"%s\","
            "le=\"+Inf\"} %" PRIu64 "\n"
            "saga_duration_seconds_sum{service=\"%s\",outcome=\"%s\"} %.3f\n"
            "saga_duration_seconds_count{service=\"%s\",outcome=\"%s\"} "
            "%" PRIu64 "\n",
            service, outcome, count, service, outcome,
            (double)durations->sum_ms / 1000, service, outcome, count);
}

void census_write(const struct census *census, FILE *out)
{
    write_open(census, out);
    write_oldest(census, out);
    census_heading(out, "saga_duration_seconds", "histogram",
                   "How long ended sagas took, by the event that ended them.");
    for (unsigned i = 0; i < saga_services(); i++)
        for (unsigned type = 0; type < TYPES_MAX; type++)
            if (census->services[i].roles[type] == ENDS)
                write_histogram(out, saga_service(i), type,
                                &census->services[i].durations[type]);
}
