/* loop.c - see loop.h. */
#include "loop.h"

#include "inventory-svc/inventory.h"
#include "order-svc/order.h"
#include "payment-svc/payment.h"
#include "read/projection.h"
#include "write/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SKUS = 10, CUSTOMERS = 100, CLIENT = 1000, QUEUE_MAX = 65536 };

static const struct service *const services[SERVICES] = {
    &order_service, &inventory_service, &payment_service};
static const struct view *const views[SERVICES] = {&order_view, &stock_view,
                                                   &account_view};

/* One shell or one read side, and what waits for it. */
struct node {
    struct loop *loop;
    unsigned number;
    struct env env;
    struct shell *shell;
    struct projection *reader;
    struct projection_config config;
    char log_path[256], directory[256];
    size_t count;
    struct input *queue;
};

struct loop {
    struct node writers[SERVICES], readers[SERVICES];
    uint64_t mono_ms, random, placed, refused;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(74);
}

/* ---- env ---- */

static uint64_t mono_ms(void *ctx)
{
    return ((struct node *)ctx)->loop->mono_ms;
}

static int64_t wall_ms(void *ctx)
{
    return 1700000000000 + (int64_t)mono_ms(ctx);
}

static void fill_random(void *ctx, void *bytes, size_t count)
{
    uint64_t *random = &((struct node *)ctx)->loop->random;

    for (size_t i = 0; i < count; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(*random >> 56);
    }
}

static void enqueue(struct node *node, enum input_kind kind, uint64_t from,
                    const void *bytes, size_t count)
{
    void *copy = malloc(count + 1);

    if (copy == NULL || node->count == QUEUE_MAX)
        fail("a queue", "too long");
    memcpy(copy, bytes, count);
    node->queue[node->count++] = (struct input){kind, from, copy, count};
}

/* Whom a node hears. */
static const char *const *sources_of(const struct node *node)
{
    return node->reader != NULL ? views[node->number]->sources
                                : services[node->number]->listens_to;
}

static void publish(struct loop *loop, unsigned from, const void *bytes,
                    size_t count)
{
    for (unsigned i = 0; i < 2 * SERVICES; i++) {
        struct node *node =
            i < SERVICES ? &loop->writers[i] : &loop->readers[i - SERVICES];
        const char *const *names = sources_of(node);

        for (uint64_t k = 0; names[k] != NULL; k++)
            if (strcmp(names[k], services[from]->name) == 0)
                enqueue(node, INPUT_FRAME, k, bytes, count);
    }
}

/* A pull's token says who asked: its answer goes there. */
static void ask(struct node *node, uint64_t link, const void *bytes,
                size_t count)
{
    const char *name = sources_of(node)[link];
    uint64_t asker = node->number + (node->reader != NULL ? SERVICES : 0);

    for (unsigned i = 0; i < SERVICES; i++)
        if (strcmp(services[i]->name, name) == 0)
            enqueue(&node->loop->readers[i], INPUT_REQUEST, asker * 8 + link,
                    bytes, count);
}

static void answer(struct loop *loop, uint64_t to, const void *bytes,
                   size_t count)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    size_t n = 0;

    if (to < CLIENT) {
        enqueue(to / 8 < SERVICES ? &loop->writers[to / 8]
                                  : &loop->readers[to / 8 - SERVICES],
                INPUT_REPLY, to % 8, bytes, count);
        return;
    }
    if (!request_answers_read(bytes, count, answers, &n))
        fail("an answer", "is none");
    for (size_t i = 0; i < n; i++)
        if (answers[i].code != ANSWER_DONE)
            fail("a command", answers[i].reason);
}

static void send(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count)
{
    struct node *node = ctx;

    if (channel == TO_SUBSCRIBERS)
        publish(node->loop, node->number, bytes, count);
    else if (channel == TO_PUBLISHER)
        ask(node, to, bytes, count);
    else
        answer(node->loop, to, bytes, count);
}

/* ---- opening ---- */

static void open_node(struct loop *loop, struct node *node, unsigned number,
                      const char *directory)
{
    node->loop = loop;
    node->number = number;
    node->env = (struct env){.ctx = node,
                             .mono_ms = mono_ms,
                             .wall_ms = wall_ms,
                             .random = fill_random,
                             .send = send};
    node->queue = calloc(QUEUE_MAX, sizeof *node->queue);
    if (node->queue == NULL)
        abort();
    snprintf(node->directory, sizeof node->directory, "%.200s/%s", directory,
             services[number]->name);
    snprintf(node->log_path, sizeof node->log_path, "%.240s/log.db",
             node->directory);
    (void)mkdir(node->directory, 0700); /* the second time it is there */
}

struct loop *loop_open(const char *directory)
{
    struct loop *loop = calloc(1, sizeof *loop);
    char why[STORE_WHY_BYTES] = "";

    if (loop == NULL)
        abort();
    loop->mono_ms = 1000000;
    for (unsigned i = 0; i < SERVICES; i++) {
        struct node *writer = &loop->writers[i], *reader = &loop->readers[i];
        struct shell_config config = {0};

        open_node(loop, writer, i, directory);
        open_node(loop, reader, i, directory);
        config.path = writer->log_path;
        if (shell_open(services[i], &writer->env, &config, &writer->shell,
                       why) != EVT_OK)
            fail(writer->log_path, why);
        reader->config =
            (struct projection_config){.service = services[i]->name,
                                       .log_path = reader->log_path,
                                       .directory = reader->directory};
        if (projection_open(views[i], &reader->env, &reader->config,
                            &reader->reader, why) != EVT_OK)
            fail(reader->directory, why);
    }
    loop_run(loop);
    return loop;
}

void loop_close(struct loop *loop)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        shell_close(loop->writers[i].shell);
        projection_close(loop->readers[i].reader);
        free(loop->writers[i].queue);
        free(loop->readers[i].queue);
    }
    free(loop);
}

/* ---- running ---- */

/* Gives a node all that waits for it. */
static void step(struct node *node)
{
    size_t count = node->count;
    struct input *inputs = malloc((count + 1) * sizeof *inputs);
    enum evt_status rc;

    if (inputs == NULL)
        abort();
    memcpy(inputs, node->queue, count * sizeof *inputs);
    node->count = 0;
    rc = node->reader != NULL ? projection_step(node->reader, inputs, count)
                              : shell_step(node->shell, inputs, count);
    if (rc != EVT_OK)
        fail("a step", node->reader != NULL ? projection_error(node->reader)
                                            : shell_error(node->shell));
    for (size_t i = 0; i < count; i++) {
        union {
            const void *borrowed;
            void *owned;
        } bytes = {.borrowed = inputs[i].bytes};

        free(bytes.owned);
    }
    free(inputs);
}

static bool step_all(struct loop *loop)
{
    bool any = false;

    for (unsigned i = 0; i < SERVICES; i++) {
        any = any || loop->writers[i].count + loop->readers[i].count > 0;
        step(&loop->writers[i]);
        step(&loop->readers[i]);
    }
    return any;
}

/* Quiet is when nobody has said a word while the clock went on for longer than
 * the shells hold back anything. */
void loop_run(struct loop *loop)
{
    enum { QUIET_STEPS = 12, STEP_MS = 10 };

    for (int quiet = 0; quiet < QUIET_STEPS; quiet++)
        if (step_all(loop))
            quiet = 0;
        else
            loop->mono_ms += STEP_MS;
}

void loop_send(struct loop *loop, unsigned service,
               const struct command commands[], size_t count)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes = request_write(commands, count, message);

    enqueue(&loop->writers[service], INPUT_REQUEST, CLIENT, message, bytes);
}

uint64_t loop_head(const struct loop *loop, unsigned service)
{
    struct shell_status status;

    shell_status(loop->writers[service].shell, &status);
    return status.head_seq;
}

/* ---- what to do ---- */

static struct command *next_command(struct command *command,
                                    enum message_type type, unsigned number)
{
    memset(command, 0, sizeof *command);
    command->type = type;
    snprintf(command->command_id, ID_BYTES, "%s-%u", shop_type_name(type),
             number);
    return command;
}

void loop_seed(struct loop *loop)
{
    struct command command;

    loop->mono_ms += 1000; /* a shell that has just started says "starting" */
    loop_run(loop);
    for (unsigned i = 0; i < SKUS; i++) {
        next_command(&command, LIST_PRODUCT, i);
        snprintf(command.data.sku, SKU_BYTES, "bench-%u", i);
        command.data.price_cents = 1;
        loop_send(loop, 0, &command, 1);
        next_command(&command, RECEIVE_STOCK, i);
        snprintf(command.data.sku, SKU_BYTES, "bench-%u", i);
        command.data.quantity = RECEIPT_MAX;
        loop_send(loop, 1, &command, 1);
    }
    for (unsigned i = 0; i < CUSTOMERS; i++) {
        next_command(&command, DEPOSIT_FUNDS, i);
        snprintf(command.data.customer, CUSTOMER_BYTES, "bench-%u", i);
        command.data.amount_cents = DEPOSIT_CENTS_MAX;
        loop_send(loop, 2, &command, 1);
    }
    loop_run(loop);
}

static void make_order(struct command *command, uint64_t n)
{
    memset(command, 0, sizeof *command);
    command->type = PLACE_ORDER;
    snprintf(command->order_id, ID_BYTES, "b-loop-%010llu",
             (unsigned long long)n);
    memcpy(command->command_id, command->order_id, ID_BYTES);
    snprintf(command->data.customer, CUSTOMER_BYTES, "bench-%u",
             (unsigned)(n % CUSTOMERS));
    command->data.line_count = 1;
    snprintf(command->data.lines[0].sku, SKU_BYTES, "bench-%u",
             (unsigned)(n % SKUS));
    command->data.lines[0].quantity = 1;
}

void loop_orders(struct loop *loop, uint64_t count, uint64_t inflight)
{
    static struct command commands[COMMANDS_PER_REQUEST];
    uint64_t running = 0;
    size_t n = 0;

    for (uint64_t i = 0; i < count; i++) {
        make_order(&commands[n++], loop->placed++);
        running++;
        if (n == COMMANDS_PER_REQUEST || i + 1 == count ||
            running == inflight) {
            loop_send(loop, 0, commands, n);
            n = 0;
        }
        if (running == inflight || i + 1 == count) {
            while (step_all(loop))
                continue;
            running = 0;
        }
    }
}
