/* orders.c - see orders.h. */
#include "orders.h"

#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKUS = 10, CUSTOMERS = 100 };

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(74);
}

/* Looks at the answers of a cluster's client. */
static bool all_done(void *ctx, enum channel channel, uint64_t to,
                     const void *bytes, size_t count)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    size_t n = 0;

    (void)ctx;
    if (channel != TO_CLIENT || to < CLUSTER_CLIENT)
        return true;
    if (!request_answers_read(bytes, count, answers, &n))
        fail("an answer", "malformed");
    for (size_t i = 0; i < n; i++)
        if (answers[i].code != ANSWER_DONE)
            fail("a command", answers[i].reason);
    return true;
}

struct cluster *orders_open(const char *directory)
{
    struct cluster *cluster = cluster_open(directory, 1);

    cluster->sent = all_done;
    cluster_start_all(cluster, true);
    cluster_settle(cluster);
    return cluster;
}

uint64_t orders_events(const struct cluster *cluster)
{
    uint64_t events = 0;

    for (unsigned i = 0; i < SERVICES; i++)
        events += cluster_head(cluster, i);
    return events;
}

/* As one request. */
static void send(struct cluster *cluster, unsigned service,
                 const struct command commands[], size_t count)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes = request_write(&shop_domain, commands, count, message);

    cluster_give(&cluster->writers[service], INPUT_REQUEST, CLUSTER_CLIENT,
                 message, bytes);
}

static struct command *next_command(struct command *command, unsigned type,
                                    unsigned number)
{
    memset(command, 0, sizeof *command);
    command->type = type;
    snprintf(command->command_id, ID_BYTES, "%s-%u", shop_type_name(type),
             number);
    return command;
}

void orders_seed(struct cluster *cluster)
{
    struct command command;

    cluster_run(cluster, 1000); /* what has just started says "starting" */
    for (unsigned i = 0; i < SKUS; i++) {
        next_command(&command, LIST_PRODUCT, i);
        snprintf(payload_in(command.data)->sku, SKU_BYTES, "bench-%u", i);
        payload_in(command.data)->price_cents = 1;
        send(cluster, ORDER_SVC, &command, 1);
        next_command(&command, RECEIVE_STOCK, i);
        snprintf(payload_in(command.data)->sku, SKU_BYTES, "bench-%u", i);
        payload_in(command.data)->quantity = RECEIPT_MAX;
        send(cluster, INVENTORY_SVC, &command, 1);
    }
    for (unsigned i = 0; i < CUSTOMERS; i++) {
        next_command(&command, DEPOSIT_FUNDS, i);
        snprintf(payload_in(command.data)->customer, CUSTOMER_BYTES, "bench-%u",
                 i);
        payload_in(command.data)->amount_cents = DEPOSIT_CENTS_MAX;
        send(cluster, PAYMENT_SVC, &command, 1);
    }
    cluster_settle(cluster);
}

static void make_order(struct command *command, uint64_t n)
{
    memset(command, 0, sizeof *command);
    command->type = PLACE_ORDER;
    snprintf(command->order_id, ID_BYTES, "b-loop-%010llu",
             (unsigned long long)n);
    memcpy(command->command_id, command->order_id, ID_BYTES);
    snprintf(payload_in(command->data)->customer, CUSTOMER_BYTES, "bench-%u",
             (unsigned)(n % CUSTOMERS));
    payload_in(command->data)->line_count = 1;
    snprintf(payload_in(command->data)->lines[0].sku, SKU_BYTES, "bench-%u",
             (unsigned)(n % SKUS));
    payload_in(command->data)->lines[0].quantity = 1;
}

void orders_run(struct cluster *cluster, uint64_t first, uint64_t count,
                uint64_t inflight)
{
    static struct command commands[COMMANDS_PER_REQUEST];
    uint64_t running = 0;
    size_t n = 0;

    for (uint64_t i = 0; i < count; i++) {
        make_order(&commands[n++], first + i);
        running++;
        if (n == COMMANDS_PER_REQUEST || i + 1 == count ||
            running == inflight) {
            send(cluster, ORDER_SVC, commands, n);
            n = 0;
        }
        if (running == inflight || i + 1 == count) {
            while (cluster_step_all(cluster))
                continue;
            running = 0;
        }
    }
}
