/* either.c - a closed loop of orders against either shop, choreographed or
 * conducted: one client for both, so that they can be compared.
 *
 *   either [--sagas N] [--inflight K] [--decline PCT] SHOP DIR
 *
 * SHOP is "order" or "conductor": the service that takes orders.  Both shops
 * call their commands the same and encode them alike, and that is all a client
 * needs of them.  An order counts as ended when that service publishes that it
 * is confirmed or taken back, durably.  Prints JSON.  conductor.sh runs it. */
#include "clock.h"
#include "net/client.h"
#include "shop/shop.h"
#include "stream/frame.h"
#include "use.h"

#include <getopt.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SHOP_SERVICES = 3,
    SKUS = 10,
    CUSTOMERS = 100,
    ANSWER_MS = 10000,
    STALL_MS = 60000
};

static const struct shop {
    const char *services[SHOP_SERVICES]; /* the first takes orders */
    const char *confirmed, *cancelled;
} shops[] = {
    {{"order", "inventory", "payment"}, "OrderConfirmed", "OrderCancelled"},
    {{"conductor", "inventory", "payment"}, "ShipAsked", "OrderFailed"},
};

struct service_use {
    int pid;
    uint64_t commits, appended, syncs;
    struct use use;
};

static const struct shop *shop;
static struct client *client;
static nng_socket sub;
static unsigned sagas = 1000, inflight = 1, decline;
static unsigned placed, ended, confirmed;
static char run_id[12];
static uint64_t *started_ns, *latency_ns;

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "either: %s: %s\n", what, why);
    exit(74);
}

/* ---- commands ------------------------------------------------------------ */

/* Sends until each is recorded: busy passes. */
static void tell(const char *service, struct command commands[], size_t count)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    bool again = true;

    while (again) {
        if (client_command(client, service, commands, count, ANSWER_MS,
                           answers) != EVT_OK)
            fail(service, "no answer");
        again = false;
        for (size_t i = 0; i < count; i++) {
            if (answers[i].code == ANSWER_BUSY)
                again = true;
            else if (answers[i].code != ANSWER_DONE)
                fail(service, answers[i].reason);
        }
    }
}

static void seed(void)
{
    for (unsigned i = 0; i < SKUS; i++) {
        struct command product = {.type = LIST_PRODUCT, .data.price_cents = 1};
        struct command stock = {.type = RECEIVE_STOCK,
                                .data.quantity = RECEIPT_MAX};

        snprintf(product.data.sku, SKU_BYTES, "bench-%u", i);
        text_copy(stock.data.sku, SKU_BYTES, product.data.sku);
        client_new_id("c", product.command_id);
        client_new_id("c", stock.command_id);
        tell(shop->services[0], &product, 1);
        tell("inventory", &stock, 1);
    }
    for (unsigned i = 0; i < CUSTOMERS; i++) {
        struct command funds = {.type = DEPOSIT_FUNDS,
                                .data.amount_cents = DEPOSIT_CENTS_MAX};

        snprintf(funds.data.customer, CUSTOMER_BYTES, "bench-%u", i);
        client_new_id("c", funds.command_id);
        tell("payment", &funds, 1);
    }
}

static void make_order(struct command *command)
{
    unsigned n = placed++;
    struct payload *data = &command->data;

    memset(command, 0, sizeof *command);
    command->type = PLACE_ORDER;
    snprintf(command->order_id, ID_BYTES, "e-%s-%u", run_id, n);
    text_copy(command->command_id, ID_BYTES, command->order_id);
    if (n * decline % 100 < decline)
        snprintf(data->customer, CUSTOMER_BYTES, "bench-poor");
    else
        snprintf(data->customer, CUSTOMER_BYTES, "bench-%u", n % CUSTOMERS);
    data->line_count = 1;
    snprintf(data->lines[0].sku, SKU_BYTES, "bench-%u", n % SKUS);
    data->lines[0].quantity = 1;
    started_ns[n] = clock_ns();
}

/* As many as there is room for, in one request. */
static void place_more(void)
{
    struct command commands[COMMANDS_PER_REQUEST];
    size_t count = 0;

    while (placed < sagas && placed - ended < inflight &&
           count < COMMANDS_PER_REQUEST)
        make_order(&commands[count++]);
    if (count > 0)
        tell(shop->services[0], commands, count);
}

/* ---- ends ---------------------------------------------------------------- */

static void end_order(const char *id, bool good)
{
    size_t prefix = strlen(run_id) + 3;
    unsigned long n;

    if (strlen(id) <= prefix || strncmp(id + 2, run_id, strlen(run_id)) != 0)
        return; /* somebody else's */
    n = strtoul(id + prefix, NULL, 10);
    if (n >= placed || latency_ns[n] > 0)
        return;
    latency_ns[n] = clock_ns() - started_ns[n];
    ended++;
    confirmed += good;
}

static void take_frame(nng_msg *msg)
{
    static struct frame frame;

    if (frame_read(nng_msg_body(msg), nng_msg_len(msg), &frame))
        for (size_t i = 0; i < frame.count; i++) {
            const struct row *row = &frame.rows[i];

            if (strcmp(row->type, shop->confirmed) == 0)
                end_order(row->order_id, true);
            else if (strcmp(row->type, shop->cancelled) == 0)
                end_order(row->order_id, false);
        }
    nng_msg_free(msg);
}

/* Waits for one frame, unless there is room for another request, and takes
 * what else is there. */
static void take_ends(void)
{
    bool full = placed == sagas || placed - ended >= inflight;
    nng_msg *msg;
    int rc = nng_recvmsg(sub, &msg, full ? 0 : NNG_FLAG_NONBLOCK);

    if (rc != 0 && full)
        fail("no order has ended in a minute", nng_strerror(rc));
    for (; rc == 0; rc = nng_recvmsg(sub, &msg, NNG_FLAG_NONBLOCK))
        take_frame(msg);
}

static void listen_to_ends(void)
{
    char url[URL_BYTES];

    client_url(client, shop->services[0], "pub", url);
    if (nng_sub0_open(&sub) != 0 ||
        nng_socket_set_size(sub, NNG_OPT_RECVMAXSZ, MESSAGE_MAX) != 0 ||
        nng_socket_set_int(sub, NNG_OPT_RECVBUF, 8192) != 0 ||
        nng_socket_set_ms(sub, NNG_OPT_RECVTIMEO, STALL_MS) != 0 ||
        nng_socket_set(sub, NNG_OPT_SUB_SUBSCRIBE, "", 0) != 0 ||
        nng_dial(sub, url, NULL, 0) != 0)
        fail(url, "cannot listen");
}

/* ---- what it took -------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void read_use(const char *service, struct service_use *use)
{
    json_t *ask = json_pack("{s:s}", "get", "status"), *status = NULL, *counts;

    if (client_ask(client, service, "qry", ask, ANSWER_MS, &status) != EVT_OK)
        fail(service, "does not answer");
    counts = json_object_get(status, "counts");
    use->pid = (int)number(status, "pid");
    use->commits = number(counts, "commits");
    use->appended = number(counts, "appended");
    use->syncs = number(status, "syncs");
    if (!use_read(use->pid, &use->use))
        fail(service, "/proc cannot be read");
    json_decref(status);
    json_decref(ask);
}

static int compare_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static double ms_of(unsigned percent)
{
    size_t at = (size_t)(sagas - 1) * percent / 100;

    return (double)latency_ns[at] / 1e6;
}

static void report(double took_s, const struct service_use *before,
                   const struct service_use *after)
{
    uint64_t cpu_ns = 0, commits = 0, events = 0, syncs = 0;

    for (int i = 0; i < SHOP_SERVICES; i++) {
        cpu_ns += after[i].use.cpu_ns - before[i].use.cpu_ns;
        commits += after[i].commits - before[i].commits;
        events += after[i].appended - before[i].appended;
        syncs += after[i].syncs - before[i].syncs;
    }
    qsort(latency_ns, sagas, sizeof *latency_ns, compare_ns);
    printf("{\"sagas\":%u,\"confirmed\":%u,\"sagas_per_second\":%.1f,"
           "\"median_ms\":%.3f,\"p99_ms\":%.3f,\"events\":%.2f,"
           "\"commits\":%.3f,\"fsyncs\":%.3f,\"cpu_us\":%.1f}\n",
           sagas, confirmed, sagas / took_s, ms_of(50), ms_of(99),
           (double)events / sagas, (double)commits / sagas,
           (double)syncs / sagas, (double)cpu_ns / 1e3 / sagas);
}

/* Until no log has grown for a while: an order goes on behind its end. */
static void settle(void)
{
    uint64_t last = 0, sum = 1;
    struct timespec pause = {.tv_nsec = 300000000};

    while (sum != last) {
        last = sum;
        sum = 0;
        nanosleep(&pause, NULL);
        for (int i = 0; i < SHOP_SERVICES; i++) {
            struct service_use use;

            read_use(shop->services[i], &use);
            sum += use.appended;
        }
    }
}

/* ---- the program --------------------------------------------------------- */

static unsigned whole(const char *text, int64_t least, int64_t most)
{
    int64_t value;

    if (!text_parse_count(text, least, most, &value))
        fail(text, "not a number in its range");
    return (unsigned)value;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"sagas", required_argument, NULL, 's'},
        {"inflight", required_argument, NULL, 'i'},
        {"decline", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            sagas = whole(optarg, 1, 10000000);
        else if (c == 'i')
            inflight = whole(optarg, 1, 100000);
        else if (c == 'd')
            decline = whole(optarg, 0, 100);
        else
            exit(64);
    }
    for (size_t i = 0; argc == optind + 2 && i < 2; i++)
        if (strcmp(argv[optind], shops[i].services[0]) == 0)
            shop = &shops[i];
    if (shop == NULL)
        fail("usage", "either [OPTIONS] order|conductor DIR");
}

int main(int argc, char **argv)
{
    struct service_use before[SHOP_SERVICES], after[SHOP_SERVICES];
    char why[256], id[ID_BYTES];
    uint64_t begun, took;

    read_options(argc, argv);
    if (client_open(&shop_domain, argv[optind + 1], NULL, &client, why,
                    sizeof why) != EVT_OK)
        fail(argv[optind + 1], why);
    started_ns = calloc(sagas, sizeof *started_ns);
    latency_ns = calloc(sagas, sizeof *latency_ns);
    if (started_ns == NULL || latency_ns == NULL)
        abort();
    client_new_id("e", id);
    snprintf(run_id, sizeof run_id, "%.9s", id + 8);
    listen_to_ends();
    seed();
    settle();
    for (int i = 0; i < SHOP_SERVICES; i++)
        read_use(shop->services[i], &before[i]);
    begun = clock_ns();
    while (ended < sagas) {
        place_more();
        take_ends();
    }
    took = clock_ns() - begun;
    settle();
    for (int i = 0; i < SHOP_SERVICES; i++)
        read_use(shop->services[i], &after[i]);
    report((double)took / 1e9, before, after);
    client_close(client);
    return 0; /* the socket goes with the process: nng_close may not end */
}
