/* trio.c - see trio.h.  The bus is a queue per service; a pull is answered at
 * once from the publisher's file, as its read side would. */
#include "trio.h"

#include "base/fault.h"
#include "base/logger.h"

#include "../inventory-svc/inventory.h"
#include "../order-svc/order.h"
#include "../payment-svc/payment.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct service *const services[SERVICES] = {
    &order_service, &inventory_service, &payment_service};

static uint64_t node_mono_ms(void *ctx)
{
    return ((struct trio_node *)ctx)->trio->mono_ms;
}

static int64_t node_wall_ms(void *ctx)
{
    return ((struct trio_node *)ctx)->trio->wall_ms;
}

static void node_random(void *ctx, void *bytes, size_t count)
{
    struct trio *trio = ((struct trio_node *)ctx)->trio;

    for (size_t i = 0; i < count; i++) {
        trio->random =
            trio->random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(trio->random >> 56);
    }
}

static void enqueue(struct trio_node *node, enum input_kind kind, uint64_t from,
                    const void *bytes, size_t count)
{
    struct trio_message *message = malloc(sizeof *message + count);
    struct trio_message **last = &node->queue;

    memcpy(message->bytes, bytes, count);
    message->next = NULL;
    message->input = (struct input){kind, from, message->bytes, count};
    while (*last != NULL)
        last = &(*last)->next;
    *last = message;
}

/* Which of @consumer's publishers @publisher is; -1: none. */
static int publisher_number(unsigned consumer, const char *publisher)
{
    const char *const *names = services[consumer]->listens_to;

    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], publisher) == 0)
            return i;
    return -1;
}

static void answer_pull(struct trio_node *reader, uint64_t to,
                        const void *bytes, size_t count)
{
    static uint8_t reply[MESSAGE_MAX];
    const char *name = services[reader->number]->listens_to[to];
    struct trio *trio = reader->trio;

    for (unsigned i = 0; i < SERVICES; i++) {
        char why[STORE_WHY_BYTES];
        struct store *log;
        struct pull pull;
        size_t length;

        if (strcmp(services[i]->name, name) != 0 ||
            trio->nodes[i].shell == NULL)
            continue;
        cr_assert(pull_read(bytes, count, &pull));
        cr_assert_eq(
            store_open_readonly(trio->nodes[i].path, name, NULL, &log, why),
            EVT_OK, "%s", why);
        cr_assert_eq(pull_answer(log, &pull, reply, &length), EVT_OK);
        enqueue(reader, INPUT_REPLY, to, reply, length);
        store_close(log);
    }
}

static void node_send(void *ctx, enum channel channel, uint64_t to,
                      const void *bytes, size_t count)
{
    struct trio_node *node = ctx;
    struct trio *trio = node->trio;

    if (channel == TO_PUBLISHER) {
        answer_pull(node, to, bytes, count);
    } else if (channel == TO_CLIENT) {
        memcpy(trio->reply, bytes, count);
        trio->reply_bytes = count;
        trio->replies++;
    } else {
        for (unsigned i = 0; i < SERVICES; i++) {
            int from = publisher_number(i, services[node->number]->name);

            if (from >= 0 && trio->nodes[i].shell && !trio->nodes[i].deaf)
                enqueue(&trio->nodes[i], INPUT_FRAME, (uint64_t)from, bytes,
                        count);
        }
    }
}

struct trio *trio_open(const char *directory)
{
    struct trio *trio = calloc(1, sizeof *trio);

    fault_open(true);
    logger_open("test", LOG_ERROR + 1);
    snprintf(trio->directory, sizeof trio->directory, "/tmp/trio-XXXXXX");
    if (directory == NULL)
        cr_assert_not_null(mkdtemp(trio->directory));
    else
        text_copy(trio->directory, sizeof trio->directory, directory);
    trio->mono_ms = 1000;
    trio->wall_ms = 1700000000000;
    trio->random = directory == NULL ? 1 : 2; /* nonces of another life */
    for (unsigned i = 0; i < SERVICES; i++) {
        struct trio_node *node = &trio->nodes[i];

        node->trio = trio;
        node->number = i;
        node->env = (struct env){.ctx = node,
                                 .mono_ms = node_mono_ms,
                                 .wall_ms = node_wall_ms,
                                 .random = node_random,
                                 .send = node_send};
        node->deadline_ms = 30000;
        snprintf(node->path, sizeof node->path, "%s/%s.db", trio->directory,
                 services[i]->name);
        cr_assert_eq(trio_start(trio, i), EVT_OK);
    }
    return trio;
}

void trio_close(struct trio *trio)
{
    char command[128];

    for (unsigned i = 0; i < SERVICES; i++)
        trio_stop(trio, i);
    snprintf(command, sizeof command, "rm -r %s", trio->directory);
    cr_assert_eq(system(command), 0);
    free(trio);
}

void trio_stop(struct trio *trio, unsigned service)
{
    shell_close(trio->nodes[service].shell);
    trio->nodes[service].shell = NULL;
    trio_lose(trio, service);
}

enum evt_status trio_start(struct trio *trio, unsigned service)
{
    struct trio_node *node = &trio->nodes[service];
    struct shell_config config = {.path = node->path,
                                  .timer_ms = &node->deadline_ms};
    char why[STORE_WHY_BYTES];

    return shell_open(services[service], &node->env, &config, &node->shell,
                      why);
}

enum evt_status trio_step(struct trio *trio, unsigned service)
{
    struct trio_node *node = &trio->nodes[service];
    struct trio_message *taken = node->queue, *next;
    struct input inputs[256] = {{0}};
    enum evt_status rc;
    size_t count = 0;

    if (node->shell == NULL)
        return EVT_OK;
    node->queue = NULL;
    for (next = taken; next != NULL; next = next->next) {
        cr_assert_lt(count, sizeof inputs / sizeof inputs[0]);
        inputs[count++] = next->input;
    }
    rc = shell_step(node->shell, inputs, count);
    for (; taken != NULL; taken = next) {
        next = taken->next;
        free(taken);
    }
    return rc;
}

void trio_run(struct trio *trio, uint64_t ms)
{
    uint64_t end = trio->mono_ms + ms;

    while (trio->mono_ms < end) {
        bool queued = false;

        for (unsigned i = 0; i < SERVICES; i++)
            cr_assert_eq(trio_step(trio, i), EVT_OK);
        for (unsigned i = 0; i < SERVICES; i++)
            queued = queued || trio->nodes[i].queue != NULL;
        if (!queued) {
            trio->mono_ms += 10;
            trio->wall_ms += 10;
        }
    }
}

size_t trio_lose(struct trio *trio, unsigned service)
{
    struct trio_message *message = trio->nodes[service].queue;
    size_t lost = 0;

    while (message != NULL) {
        struct trio_message *next = message->next;

        free(message);
        message = next;
        lost++;
    }
    trio->nodes[service].queue = NULL;
    return lost;
}

struct answer trio_command(struct trio *trio, unsigned service,
                           const struct command *command)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    uint8_t message[MESSAGE_MAX];
    size_t count = 0;

    enqueue(&trio->nodes[service], INPUT_REQUEST, 7, message,
            request_write(command, 1, message));
    trio->replies = 0;
    cr_assert_eq(trio_step(trio, service), EVT_OK);
    cr_assert_eq(trio->replies, 1, "a request is answered exactly once");
    cr_assert(
        request_answers_read(trio->reply, trio->reply_bytes, answers, &count));
    cr_assert_eq(count, 1);
    return answers[0];
}

json_t *trio_control(struct trio *trio, unsigned service, const char *json)
{
    enqueue(&trio->nodes[service], INPUT_REQUEST, 8, json, strlen(json));
    trio->replies = 0;
    cr_assert_eq(trio_step(trio, service), EVT_OK);
    cr_assert_eq(trio->replies, 1);
    return json_loadb((const char *)trio->reply, trio->reply_bytes, 0, NULL);
}

struct command trio_place(const char *order_id, const char *customer,
                          const char *sku, int64_t quantity)
{
    struct command command = {.type = PLACE_ORDER};

    text_copy(command.command_id, sizeof command.command_id, order_id);
    text_copy(command.order_id, sizeof command.order_id, order_id);
    text_copy(command.data.customer, sizeof command.data.customer, customer);
    text_copy(command.data.lines[0].sku, SKU_BYTES, sku);
    command.data.lines[0].quantity = quantity;
    command.data.line_count = 1;
    return command;
}

void trio_seed(struct trio *trio)
{
    struct command product = {.type = LIST_PRODUCT,
                              .command_id = "seed-product",
                              .data = {.sku = "widget", .price_cents = 1990}};
    struct command stock = {.type = RECEIVE_STOCK,
                            .command_id = "seed-stock",
                            .data = {.sku = "widget", .quantity = 100}};
    struct command funds = {
        .type = DEPOSIT_FUNDS,
        .command_id = "seed-funds",
        .data = {.customer = "alice", .amount_cents = 100000}};

    cr_assert_eq(trio_command(trio, ORDER_SVC, &product).code, ANSWER_DONE);
    cr_assert_eq(trio_command(trio, INVENTORY_SVC, &stock).code, ANSWER_DONE);
    cr_assert_eq(trio_command(trio, PAYMENT_SVC, &funds).code, ANSWER_DONE);
}

const char *trio_story(struct trio *trio, const char *order_id)
{
    static char story[1024];
    char tag[TAG_BYTES];

    story[0] = '\0';
    event_tag(TAG_ORDER, order_id, tag);
    for (unsigned i = 0; i < SERVICES; i++) {
        char why[STORE_WHY_BYTES];
        struct store *log;
        struct row row;

        cr_assert_eq(
            store_open_readonly(trio->nodes[i].path, NULL, NULL, &log, why),
            EVT_OK, "%s", why);
        cr_assert_eq(store_scan(log, tag, 0, UINT64_MAX), EVT_OK);
        while (store_next(log, &row, NULL) == EVT_OK) {
            if (story[0] != '\0')
                strcat(story, " ");
            strcat(story, row.type);
        }
        store_scan_end(log);
        store_close(log);
    }
    return story;
}

void trio_status(struct trio *trio, unsigned service,
                 struct shell_status *status)
{
    shell_status(trio->nodes[service].shell, status);
}
