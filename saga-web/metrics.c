/* metrics.c - see metrics.h, and
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "saga-web/metrics.h"

#include "saga-web/census.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A part that keeps the page waiting for a tick or three. */
enum { PART_EVENTS = 250000 };

struct metrics {
    struct saga *saga;
    struct server *server;
    struct follow *follow;
    struct census *census;
    bool reading; /* it has not come to the end of the logs */
};

/* All services, at one scrape; NULL: it cannot be had. */
struct scrape {
    json_t *logs[SERVICES_MAX]; /* as the files say; owned */
    json_t *parked[SERVICES_MAX];
    const json_t *looks[SERVICES_MAX]; /* at the processes; borrowed */
};

struct metrics *metrics_open(struct saga *saga, struct server *server,
                             struct follow *follow)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics == NULL)
        abort();
    metrics->saga = saga;
    metrics->server = server;
    metrics->follow = follow;
    metrics->census = census_open(saga);
    return metrics;
}

void metrics_close(struct metrics *metrics)
{
    if (metrics != NULL)
        census_close(metrics->census);
    free(metrics);
}

/* ---- looking ------------------------------------------------------------- */

static json_t *read_file(struct saga *saga, unsigned i, json_t *ask)
{
    json_t *reply = saga_ask_file(saga, saga_service(i), ask);

    json_decref(ask);
    if (json_object_get(reply, "error") == NULL)
        return reply;
    json_decref(reply);
    return NULL;
}

static void look(const struct metrics *metrics, struct scrape *scrape)
{
    const json_t *looks = follow_processes(metrics->follow);

    for (unsigned i = 0; i < saga_services(); i++) {
        scrape->logs[i] =
            read_file(metrics->saga, i,
                      json_pack("{s:s,s:I,s:i}", "get", "log", "after",
                                (json_int_t)INT64_MAX, "limit", 1));
        scrape->parked[i] =
            read_file(metrics->saga, i, json_pack("{s:s}", "get", "parked"));
        scrape->looks[i] = json_array_get(looks, i);
    }
}

static void forget(struct scrape *scrape)
{
    for (unsigned i = 0; i < SERVICES_MAX; i++) {
        json_decref(scrape->logs[i]);
        json_decref(scrape->parked[i]);
    }
}

static const json_t *status_of(const struct scrape *scrape, unsigned i)
{
    const json_t *status = json_object_get(scrape->looks[i], "status");

    return json_is_object(status) ? status : NULL;
}

/* ---- one number of a service; false: nobody can say ---------------------- */

typedef bool number_of(const struct scrape *scrape, unsigned i,
                       int64_t *number);

static bool is_up(const struct scrape *scrape, unsigned i, int64_t *number)
{
    *number = status_of(scrape, i) != NULL;
    return true;
}

static bool head(const struct scrape *scrape, unsigned i, int64_t *number)
{
    *number = json_number(scrape->logs[i], "head");
    return scrape->logs[i] != NULL;
}

static bool parked(const struct scrape *scrape, unsigned i, int64_t *number)
{
    const json_t *status = status_of(scrape, i);
    size_t count =
        json_array_size(json_object_get(scrape->parked[i], "parked"));

    *number = status != NULL ? json_number(status, "parked") : (int64_t)count;
    return status != NULL || scrape->parked[i] != NULL;
}

static bool commits(const struct scrape *scrape, unsigned i, int64_t *number)
{
    const json_t *status = status_of(scrape, i);

    *number = json_number(json_object_get(status, "counts"), "commits");
    return status != NULL;
}

static bool syncs(const struct scrape *scrape, unsigned i, int64_t *number)
{
    *number = json_number(status_of(scrape, i), "syncs");
    return status_of(scrape, i) != NULL;
}

static bool faults(const struct scrape *scrape, unsigned i, int64_t *number)
{
    const json_t *armed = json_object_get(scrape->looks[i], "faults");

    *number = (int64_t)json_array_size(armed);
    return status_of(scrape, i) != NULL;
}

/* By two looks of the same moment, so that a view which keeps up has none. */
static bool view_lag(const struct scrape *scrape, unsigned i, int64_t *number)
{
    const json_t *view = json_object_get(status_of(scrape, i), "view");
    json_t *positions = json_object_get(view, "positions"), *at;
    const char *source;

    *number = 0;
    json_object_foreach(positions, source, at)
    {
        int p = saga_service_number(source);
        const json_t *log =
            p < 0 ? NULL
                  : json_object_get(status_of(scrape, (unsigned)p), "log");
        int64_t end = json_number(log, "head");

        if (log == NULL && p >= 0)
            end = json_number(scrape->logs[p], "head");
        if (end > json_number(at, "seq"))
            *number += end - json_number(at, "seq");
    }
    return view != NULL;
}

/* ---- writing ------------------------------------------------------------- */

static const struct {
    const char *name, *type, *help;
    number_of *number;
} families[] = {
    {"saga_up", "gauge", "Whether the service runs and answers.", is_up},
    {"saga_log_head_events", "gauge", "Events in the log.", head},
    {"saga_view_lag_events", "gauge",
     "Events of all logs that the view has not folded yet.", view_lag},
    {"saga_parked_events", "gauge", "Events that could not be read.", parked},
    {"saga_commits_total", "counter",
     "Transactions of the write side since the service started.", commits},
    {"saga_syncs_total", "counter",
     "Calls of fsync and the like since the service started.", syncs},
    {"saga_faults_armed", "gauge", "Fault points that are set.", faults},
};

static void write_families(FILE *out, const struct scrape *scrape)
{
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        census_heading(out, families[f].name, families[f].type,
                       families[f].help);
        for (unsigned i = 0; i < saga_services(); i++) {
            int64_t number = 0;

            if (families[f].number(scrape, i, &number))
                fprintf(out, "%s{service=\"%s\"} %" PRId64 "\n",
                        families[f].name, saga_service(i), number);
        }
    }
}

/* How far service @i is behind the log of @source; all of it, if it has read
 * none of that log. */
static int64_t feed_lag(const struct scrape *scrape, unsigned i,
                        const json_t *source)
{
    const json_t *cursor =
        json_object_get(json_object_get(scrape->logs[i], "cursors"),
                        json_text(source, "service"));
    int64_t end = json_number(source, "head"), seq = json_number(cursor, "seq");

    if (strcmp(json_text(cursor, "log"), json_text(source, "log")) != 0)
        return end;
    return end > seq ? end - seq : 0;
}

static void write_feeds(FILE *out, struct saga *saga,
                        const struct scrape *scrape)
{
    const struct service *const *tables = saga_tables(saga);

    census_heading(out, "saga_feed_lag_events", "gauge",
                   "Events of a log that a service has not consumed yet.");
    for (unsigned i = 0; i < saga_services(); i++)
        for (const char *const *source = tables[i]->listens_to; *source != NULL;
             source++) {
            int p = saga_service_number(*source);

            if (p >= 0 && scrape->logs[i] != NULL && scrape->logs[p] != NULL)
                fprintf(out,
                        "saga_feed_lag_events{service=\"%s\",source=\"%s\"} "
                        "%" PRId64 "\n",
                        saga_service(i), *source,
                        feed_lag(scrape, i, scrape->logs[p]));
        }
}

/* Caller frees. */
static char *write_all(const struct metrics *metrics)
{
    struct scrape scrape = {.logs = {NULL}};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        abort();
    look(metrics, &scrape);
    write_families(out, &scrape);
    write_feeds(out, metrics->saga, &scrape);
    census_write(metrics->census, out);
    forget(&scrape);
    if (fclose(out) != 0)
        abort();
    return text;
}

void metrics_tick(struct metrics *metrics)
{
    if (!metrics->reading && !server_is_scraped(metrics->server))
        return;
    metrics->reading = !census_read(metrics->census, PART_EVENTS);
    if (!metrics->reading && server_is_scraped(metrics->server))
        server_answer_scrapes(metrics->server, write_all(metrics));
}
