/* smoke.c - a little work of each kind, for callgrind to count.
 *
 *   smoke codec|append|saga N DIR
 *
 * Only what happens in measured_*() is counted (--toggle-collect): smoke.sh
 * runs this, divides by N, and compares with the committed figures. */
#include "core/codec.h"
#include "orders.h"
#include "shop/shop.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { APPENDED_AT_ONCE = 100, IN_FLIGHT = 1000 };

void measured_codec(uint64_t count);
void measured_append(struct store *store, uint64_t count);
void measured_saga(struct cluster *cluster, uint64_t count);

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "smoke: %s: %s\n", what, why);
    exit(74);
}

static struct event order_placed(uint64_t n)
{
    struct event event = {.type = ORDER_PLACED, .time_ms = 1700000000000};
    struct payload *data = payload_in(event.data);

    snprintf(event.order_id, ID_BYTES, "b-smoke-%010llu",
             (unsigned long long)n);
    memcpy(event.cause.command_id, event.order_id, ID_BYTES);
    text_copy(data->customer, CUSTOMER_BYTES, "bench-42");
    data->total_cents = 1990;
    data->line_count = 1;
    text_copy(data->lines[0].sku, SKU_BYTES, "widget");
    data->lines[0].quantity = 1;
    data->lines[0].price_cents = 1990;
    return event;
}

/* An event to a row, the row into a frame, the frame read again, the row
 * decoded, and hashed by both sides: what one event costs on its way. */
void measured_codec(uint64_t count)
{
    static struct frame_writer writer;
    static struct frame frame;
    static uint8_t message[MESSAGE_MAX], log_id[LOG_ID_BYTES];
    uint8_t hash[HASH_BYTES] = {0}, data[DATA_MAX];
    const char *why, *field;

    for (uint64_t n = 1; n <= count; n++) {
        struct event event = order_placed(n), back;
        struct row row;
        size_t bytes;

        codec_to_row(&shop_domain, &event, data, &row);
        row.seq = n;
        frame_begin(&writer, "order", log_id, n - 1, hash);
        event_hash(hash, &row, hash);
        if (!frame_add(&writer, &row, hash))
            abort();
        bytes = frame_finish(&writer, message);
        if (!frame_read(message, bytes, &frame) ||
            codec_from_row(&shop_domain, "order", log_id, &frame.rows[0], &back,
                           &why, &field) != EVT_OK)
            abort();
        event_hash(frame.last_hash, &frame.rows[0], frame.last_hash);
    }
}

void measured_append(struct store *store, uint64_t count)
{
    uint8_t data[DATA_MAX], hash[HASH_BYTES];
    enum evt_status rc = EVT_OK;

    for (uint64_t n = 0; n < count && rc == EVT_OK; n++) {
        struct event event = order_placed(n);
        struct row row;

        if (n % APPENDED_AT_ONCE == 0)
            rc = store_begin(store);
        if (rc == EVT_OK)
            rc = store_append(store, &shop_domain, 1u << TAG_ORDER, &event,
                              data, &row, hash);
        if (rc == EVT_OK && (n + 1) % APPENDED_AT_ONCE == 0)
            rc = store_commit(store);
    }
    if (rc != EVT_OK)
        fail("append", store_error(store));
}

void measured_saga(struct cluster *cluster, uint64_t count)
{
    orders_run(cluster, 0, count, IN_FLIGHT);
    cluster_settle(cluster);
}

static void run_append(const char *directory, uint64_t count)
{
    static const uint8_t log_id[LOG_ID_BYTES] = "smoke";
    char path[4096], why[STORE_WHY_BYTES] = "";
    struct store *store = NULL;

    snprintf(path, sizeof path, "%s/log.db", directory);
    if (store_open(path, "order", NULL, log_id, &store, why) != EVT_OK)
        fail(path, why);
    measured_append(store, count);
    store_close(store);
}

/* Ends only when every saga did: five events each. */
static void run_saga(const char *directory, uint64_t count)
{
    struct cluster *cluster = orders_open(directory);
    uint64_t before;

    orders_seed(cluster);
    before = orders_events(cluster);
    measured_saga(cluster, count);
    if (orders_events(cluster) != before + 5 * count)
        fail("sagas", "not all have ended");
    cluster_close(cluster);
}

int main(int argc, char **argv)
{
    uint64_t count = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;

    if (count == 0 || count % APPENDED_AT_ONCE != 0) {
        fprintf(stderr, "usage: smoke codec|append|saga N DIR (N: hundreds)\n");
        return 64;
    }
    if (sodium_init() < 0)
        abort();
    store_quicken();
    if (strcmp(argv[1], "codec") == 0)
        measured_codec(count);
    else if (strcmp(argv[1], "append") == 0)
        run_append(argv[3], count);
    else
        run_saga(argv[3], count);
    return 0;
}
