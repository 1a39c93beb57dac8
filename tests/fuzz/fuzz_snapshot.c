/* fuzz_snapshot.c - any bytes as a snapshot in a service's own file.
 *
 * What is loaded from it is shown, folded on with every event of the log, and
 * decided on with every cause that names it, as the service would.  The first
 * bytes choose service, kind, and where it is dated. */
#include "core/codec.h"
#include "core/json.h"
#include "fuzz.h"
#include "shop/shop.h"
#include "write/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store *logs[SERVICES];

static struct store *log_of(unsigned number)
{
    char name[40], path[160], why[STORE_WHY_BYTES];

    if (logs[number] == NULL) {
        snprintf(name, sizeof name, "%s.db", shop_services[number]);
        text_copy(path, sizeof path, fuzz_path(name));
        fuzz_golden(shop_services[number], path);
        MUST(store_open(path, shop_services[number], NULL, NULL, &logs[number],
                        why) == EVT_OK);
    }
    return logs[number];
}

/* A key under which the golden logs have events. */
static const char *key_of(const struct kind *kind)
{
    return kind->tag == TAG_SKU        ? "widget"
           : kind->tag == TAG_CUSTOMER ? "alice"
                                       : "o-refunded";
}

/* Folds what the log has after @seq again, as if it were new. */
static void fold_on(struct cache *cache, struct store *log,
                    const struct service *service)
{
    const char *why, *field;
    struct event events[40];
    size_t count = 0;
    struct row row;

    MUST(store_scan(log, NULL, 0, UINT64_MAX) == EVT_OK);
    while (count < 40 && store_next(log, &row, NULL) == EVT_OK)
        MUST(codec_from_row(&shop_domain, service->name, store_log_id(log),
                            &row, &events[count++], &why, &field) == EVT_OK);
    store_scan_end(log);
    for (size_t i = 0; i < count; i++)
        MUST(cache_fold(cache, &events[i]) == EVT_OK);
}

/* Everything in bounds that a cause can hold, about the same keys. */
static void decide_all(struct cache *cache, const struct service *service)
{
    for (size_t i = 0; i < service->rule_count; i++) {
        struct event cause = {.type = service->rules[i].on,
                              .order_id = "o-refunded"};
        struct decision decision;
        struct states states;

        *payload_in(cause.data) = (struct payload){.customer = "alice",
                                                   .sku = "widget",
                                                   .quantity = 1,
                                                   .price_cents = 1,
                                                   .amount_cents = 1,
                                                   .total_cents = 1,
                                                   .line_count = 1,
                                                   .lines = {{"widget", 1, 1}}};
        MUST(service_load_states(&states, service, &cause, cache_load, cache) ==
             EVT_OK);
        service_decide(&service->rules[i], NULL, &states, &cause, &decision);
        if (decision.emitted)
            MUST(cache_fold(cache, &decision.event) == EVT_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {bytes, count};
    unsigned number = take_byte(&taker) % SERVICES;
    const struct service *service = roster_services[number];
    struct store *log = log_of(number);
    struct cache *cache = cache_open(service, log);
    unsigned kind_number = take_byte(&taker) % (unsigned)service->kind_count;
    const struct kind *kind = &service->kinds[kind_number];
    uint64_t seq = (uint64_t)take_number(&taker);
    uint8_t state[1024] = {0};
    const void *loaded;
    const uint8_t *given = take_span(&taker, kind->bytes, &count);

    MUST(cache != NULL && kind->bytes <= sizeof state);
    memcpy(state, given, count);
    MUST(store_begin(log) == EVT_OK);
    MUST(store_set_snapshot(log, kind->name, key_of(kind),
                            service_kind_layout(kind), state, kind->bytes,
                            seq) == EVT_OK);
    MUST(cache_load(cache, kind_number, key_of(kind), &loaded) == EVT_OK);
    json_decref(json_from_fields(kind->fields, loaded));
    fold_on(cache, log, service);
    decide_all(cache, service);
    store_rollback(log);
    cache_close(cache);
    return 0;
}
