/* status.c - see status.h.  docs/protocol.md lists the members. */
#include "host/status.h"

#include "host/clock.h"
#include "log/syncs.h"
#include "write/modes.h"

#include <unistd.h>

void status_open(struct status *status, const char *service, bool faults)
{
    status->service = service;
    status->started_ms = clock_mono_ms(NULL);
    status->faults = faults;
    pthread_mutex_init(&status->mutex, NULL);
}

void status_share(struct status *status, const struct shell *shell,
                  const struct bus *bus)
{
    pthread_mutex_lock(&status->mutex);
    shell_status(shell, &status->shell);
    status->bus = bus_counts(bus);
    status->shared = true;
    pthread_mutex_unlock(&status->mutex);
}

static json_t *subscription_json(const struct subscription *sub, uint64_t now)
{
    char log_id[2 * LOG_ID_BYTES + 1];
    json_t *heard = sub->heard_ms == 0
                        ? json_null()
                        : json_integer((json_int_t)(now - sub->heard_ms));

    return json_pack(
        "{s:s,s:s,s:I,s:I,s:o,s:s,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}}",
        "source", sub->source, "log",
        text_hex(sub->cursor.at.log_id, LOG_ID_BYTES, log_id), "seq",
        (json_int_t)sub->cursor.at.seq, "head", (json_int_t)sub->head_seq,
        "heard_ms_ago", heard, "trouble", subscription_trouble(sub), "counts",
        "frames", (json_int_t)sub->counts.frames, "events",
        (json_int_t)sub->counts.events, "duplicates",
        (json_int_t)sub->counts.duplicates, "gaps",
        (json_int_t)sub->counts.gaps, "unchained",
        (json_int_t)sub->counts.unchained, "garbage",
        (json_int_t)sub->counts.garbage, "pulls", (json_int_t)sub->counts.pulls,
        "replies", (json_int_t)sub->counts.replies, "stale",
        (json_int_t)sub->counts.stale);
}

static json_t *counts_json(const struct shell_status *status,
                           const struct bus_counts *bus)
{
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "commits",
        (json_int_t)status->commits, "appended", (json_int_t)status->appended,
        "commands", (json_int_t)status->commands, "refused",
        (json_int_t)status->refused, "answered_busy",
        (json_int_t)(status->answered_busy + bus->busy), "garbage",
        (json_int_t)status->garbage, "parked", (json_int_t)status->parked,
        "ignored", (json_int_t)status->ignored, "snapshots",
        (json_int_t)status->snapshots, "states_cached",
        (json_int_t)status->states_cached, "largest_batch",
        (json_int_t)status->largest_batch, "redialled",
        (json_int_t)bus->redialled, "relistened", (json_int_t)bus->relistened);
}

static void add_write_side(json_t *json, const struct shell_status *status,
                           const struct bus_counts *bus)
{
    char log_id[2 * LOG_ID_BYTES + 1];
    json_t *subscriptions = json_array();

    for (size_t i = 0; i < status->subscription_count; i++)
        json_array_append_new(
            subscriptions,
            subscription_json(&status->subscriptions[i], clock_mono_ms(NULL)));
    json_object_set_new(
        json, "log",
        json_pack("{s:s,s:I}", "id",
                  text_hex(status->log_id, LOG_ID_BYTES, log_id), "head",
                  (json_int_t)status->head_seq));
    json_object_set_new(json, "state", json_string(modes[status->mode].state));
    json_object_set_new(json, "feeds", subscriptions);
    json_object_set_new(json, "timers_held",
                        json_boolean(status->timers_held != 0));
    json_object_set_new(json, "counts", counts_json(status, bus));
}

void status_add(void *ctx, json_t *json)
{
    struct status *status = ctx;
    struct shell_status shell;
    struct bus_counts bus;
    bool shared;

    pthread_mutex_lock(&status->mutex);
    shared = status->shared;
    shell = status->shell;
    bus = status->bus;
    pthread_mutex_unlock(&status->mutex);
    json_object_set_new(json, "service", json_string(status->service));
    json_object_set_new(json, "pid", json_integer(getpid()));
    json_object_set_new(json, "version", json_string(SAGA_VERSION));
    json_object_set_new(
        json, "uptime_ms",
        json_integer((json_int_t)(clock_mono_ms(NULL) - status->started_ms)));
    json_object_set_new(json, "faults", json_boolean(status->faults));
    json_object_set_new(json, "syncs", json_integer((json_int_t)syncs_total()));
    if (shared)
        add_write_side(json, &shell, &bus);
}
