/* generation.c - one generation being folded: its database, a subscription for
 * each log, and the transaction that moves rows and positions together. */
#include "read/projection_internal.h"

#include "base/fault.h"
#include "base/logger.h"

#include <stdio.h>
#include <string.h>

enum evt_status generation_open(struct projection *projection,
                                struct generation *generation,
                                struct view_db *db, uint64_t first_link)
{
    char name[SERVICE_BYTES];

    memset(generation, 0, sizeof *generation);
    generation->db = db;
    generation->first_link = first_link;
    generation->subscription_count = projection->source_count;
    snprintf(name, sizeof name, "%s-view", projection->view->name);
    for (size_t i = 0; i < generation->subscription_count; i++) {
        const char *source = projection->view->sources[i];
        enum evt_status rc =
            view_db_position(db, source, &generation->saved[i]);

        subscription_open(&generation->subscriptions[i], name, source,
                          rc == EVT_OK ? &generation->saved[i] : NULL);
        if (rc != EVT_OK && rc != EVT_NONE)
            return rc;
    }
    generation_unlimit(generation);
    return EVT_OK;
}

void generation_close(struct generation *generation)
{
    for (size_t i = 0; i < generation->subscription_count; i++)
        subscription_close(&generation->subscriptions[i]);
    view_db_close(generation->db);
    memset(generation, 0, sizeof *generation);
}

void generation_unlimit(struct generation *generation)
{
    for (size_t i = 0; i < generation->subscription_count; i++) {
        generation->limit[i] = UINT64_MAX;
        subscription_urge(
            &generation->subscriptions[i]); /* what it held back */
    }
}

static bool is_held(const struct projection *projection,
                    const struct generation *generation)
{
    return generation->held != EVT_OK &&
           projection_now(projection) < generation->retry_ms;
}

bool generation_may_consume(const struct projection *projection,
                            const struct generation *generation, size_t i)
{
    return !is_held(projection, generation) &&
           generation->subscriptions[i].cursor.at.seq < generation->limit[i];
}

enum evt_status generation_begin(struct generation *generation)
{
    enum evt_status rc = EVT_OK;

    if (!generation->in_transaction)
        rc = view_db_begin(generation->db);
    if (rc == EVT_OK)
        generation->in_transaction = true;
    return rc;
}

enum evt_status generation_commit(struct projection *projection,
                                  struct generation *generation)
{
    enum evt_status rc = EVT_OK;

    if (!generation->in_transaction)
        return EVT_OK;
    for (size_t i = 0; i < generation->subscription_count && rc == EVT_OK; i++)
        if (generation->subscriptions[i].cursor.at.seq !=
            generation->saved[i].at.seq)
            rc = view_db_set_position(generation->db,
                                      generation->subscriptions[i].source,
                                      &generation->subscriptions[i].cursor);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/read-before-commit");
    rc = view_db_commit(generation->db);
    if (rc != EVT_OK)
        return rc;
    fault_crash("crash/read-after-commit");
    for (size_t i = 0; i < generation->subscription_count; i++)
        generation->saved[i] = generation->subscriptions[i].cursor;
    if (generation->held != EVT_OK)
        logger_fact(LOG_INFO, NULL, NULL, "view %s goes on",
                    projection->view->name);
    generation->held = EVT_OK;
    generation->folded += generation->batch;
    projection->counts.events += generation->batch;
    projection->counts.commits++;
    generation->batch = 0;
    generation->in_transaction = false;
    return EVT_OK;
}

enum evt_status generation_give_up(struct projection *projection,
                                   struct generation *generation,
                                   enum evt_status rc)
{
    view_db_rollback(generation->db);
    generation->in_transaction = false;
    generation->batch = 0;
    projection->counts.rollbacks++;
    for (size_t i = 0; i < generation->subscription_count; i++)
        subscription_reset(&generation->subscriptions[i],
                           &generation->saved[i]);
    if (rc != EVT_FULL && rc != EVT_BUSY)
        return EVT_IO;
    if (generation->held != rc)
        logger_fact(LOG_WARN, NULL, NULL, "%s; trying again",
                    view_db_error(generation->db));
    generation->held = rc;
    generation->retry_ms = projection_now(projection) + VIEW_RETRY_MS;
    return EVT_OK;
}

enum evt_status generation_finish(struct projection *projection,
                                  struct generation *generation)
{
    enum evt_status rc = generation_commit(projection, generation);

    return rc == EVT_OK ? EVT_OK
                        : generation_give_up(projection, generation, rc);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t generation_wake_ms(const struct projection *projection,
                            const struct generation *generation)
{
    uint64_t now = projection_now(projection), wake = UINT64_MAX;

    if (is_held(projection, generation))
        return generation->retry_ms;
    for (size_t i = 0; i < generation->subscription_count; i++)
        if (generation_may_consume(projection, generation, i))
            wake = earlier(
                wake, subscription_wake_ms(&generation->subscriptions[i], now));
    return wake;
}
