/* clients.c - the clients: commands with retries, resends, other content under
 * the same id, cancellations, and questions to the read side.
 *
 * After an answer, a client writes what it was promised into the journal, as
 * the checker wants it (check.h).  Until it has a final answer it asks again,
 * since its request may have been lost.  Next: chaos.c. */
#include "shop/shop.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 1200, REFUSALS_MAX = 3, QUERY_MS = 2000 };

/* ---- what they will want ------------------------------------------------ */

static struct job *new_job(struct sim *sim, enum job_kind kind, unsigned node,
                           uint64_t at_ms)
{
    struct job *job = &sim->jobs[sim->job_count];
    struct item *item;

    if (sim->job_count == JOBS_MAX)
        abort();
    memset(job, 0, sizeof *job);
    job->kind = kind;
    job->node = node;
    job->of = sim->job_count;
    item = sim_item(sim, A_JOB, at_ms, 0);
    item->number = sim->job_count++;
    sim_push(sim, item);
    if (at_ms > sim->last_job_ms)
        sim->last_job_ms = at_ms;
    return job;
}

static void name_command(struct job *job, unsigned type, const char *prefix,
                         unsigned number)
{
    job->command.type = type;
    snprintf(job->command.command_id, ID_BYTES, "%s-%03u", prefix, number);
}

static void stock_shop(struct sim *sim)
{
    for (unsigned i = 0; i < sim->config.skus; i++) {
        struct job *product = new_job(sim, JOB_COMMAND, 0, 0);
        struct job *stock = new_job(sim, JOB_COMMAND, 1, 0);
        bool scarce = chance(sim->choice, sim->config.scarce);

        name_command(product, LIST_PRODUCT, "product", i);
        snprintf(payload_in(product->command.data)->sku, SKU_BYTES, "sku-%u",
                 i);
        payload_in(product->command.data)->price_cents = 100 + 50 * (int64_t)i;
        name_command(stock, RECEIVE_STOCK, "stock", i);
        snprintf(payload_in(stock->command.data)->sku, SKU_BYTES, "sku-%u", i);
        payload_in(stock->command.data)->quantity =
            scarce ? 1 + (int64_t)choose(sim->choice, 8) : 10000;
    }
    for (unsigned i = 0; i < sim->config.customers; i++) {
        struct job *funds = new_job(sim, JOB_COMMAND, 2, 0);
        bool poor = chance(sim->choice, sim->config.poor);

        name_command(funds, DEPOSIT_FUNDS, "funds", i);
        snprintf(payload_in(funds->command.data)->customer, CUSTOMER_BYTES,
                 "customer-%u", i);
        payload_in(funds->command.data)->amount_cents =
            poor ? 1 + (int64_t)choose(sim->choice, 2000) : 10000000;
    }
}

static void fill_lines(struct sim *sim, struct payload *data)
{
    unsigned lines = 1 + choose(sim->choice, sim->config.lines);
    unsigned first = chance(sim->choice, sim->config.hot)
                         ? 0
                         : choose(sim->choice, sim->config.skus);

    for (unsigned i = 0; i < lines && i < sim->config.skus; i++) {
        struct line *line = &data->lines[data->line_count++];

        snprintf(line->sku, SKU_BYTES, "sku-%u",
                 (first + i) % sim->config.skus);
        line->quantity = 1 + choose(sim->choice, 4);
    }
}

static void add_cancel(struct sim *sim, const struct job *order, uint64_t at_ms)
{
    size_t of = order->of;
    unsigned number = (unsigned)of;
    struct job *cancel =
        new_job(sim, JOB_COMMAND, 0,
                at_ms + choose(sim->choice, sim->config.deadline_ms / 4));

    name_command(cancel, CANCEL_ORDER, "cancel", number);
    text_copy(cancel->command.order_id, ID_BYTES,
              sim->jobs[of].command.order_id);
    cancel->of = of;
}

static void add_orders(struct sim *sim)
{
    const struct sim_config *config = &sim->config;
    uint64_t at_ms = 1500;

    for (unsigned i = 0; i < config->orders; i++) {
        struct job *order;
        size_t of;

        at_ms += choose(sim->choice, config->spread_ms);
        order = new_job(sim, JOB_COMMAND, 0, at_ms);
        of = order->of;
        name_command(order, PLACE_ORDER, "order", i);
        text_copy(order->command.order_id, ID_BYTES, order->command.command_id);
        snprintf(payload_in(order->command.data)->customer, CUSTOMER_BYTES,
                 "customer-%u", choose(sim->choice, config->customers));
        fill_lines(sim, payload_in(order->command.data));
        if (chance(sim->choice, config->repeats))
            order->repeats = 1 + choose(sim->choice, 2);
        if (chance(sim->choice, config->cancels))
            add_cancel(sim, &sim->jobs[of], at_ms);
        if (chance(sim->choice, config->conflicts)) {
            struct job *other = new_job(sim, JOB_CONFLICT, 0,
                                        at_ms + choose(sim->choice, 8192));

            other->command = sim->jobs[of].command;
            payload_in(other->command.data)->lines[0].quantity += 1;
            other->of = of;
        }
        if (chance(sim->choice, config->queries)) {
            struct job *query =
                new_job(sim, JOB_QUERY, 0, at_ms + choose(sim->choice, 8192));

            query->command = sim->jobs[of].command;
            query->of = of;
        }
    }
}

void clients_open(struct sim *sim)
{
    static const uint32_t deadlines[] = {30000, 15000, 6000, 3000};
    static const unsigned of256[] = {0, 20, 80, 200};
    struct sim_config *config = &sim->config;
    struct choice *choice = sim->choice;

    config->orders = 1 + choose(choice, 48);
    if (chance(choice, 8)) /* enough for snapshots */
        config->orders += 150 + choose(choice, 150);
    config->customers = 1 + choose(choice, 5);
    config->skus = 1 + choose(choice, 4);
    config->lines = 1 + choose(choice, 3);
    config->hot = of256[choose(choice, 4)];
    config->poor = of256[choose(choice, 4)];
    config->scarce = of256[choose(choice, 4)];
    config->cancels = of256[choose(choice, 4)];
    config->repeats = of256[choose(choice, 4)];
    config->conflicts = of256[choose(choice, 3)];
    config->queries = of256[choose(choice, 3)];
    config->deadline_ms = deadlines[choose(choice, 4)];
    config->spread_ms = 1 + (choose(choice, 4) << choose(choice, 9));
    stock_shop(sim);
    add_orders(sim);
}

bool clients_done(const struct sim *sim)
{
    for (size_t i = 0; i < sim->job_count; i++)
        if (!sim->jobs[i].over)
            return false;
    return true;
}

/* ---- asking ------------------------------------------------------------- */

static void look_again(struct sim *sim, size_t number, uint64_t in_ms)
{
    struct item *item = sim_item(sim, A_JOB, in_ms, 0);

    item->number = number;
    sim_push(sim, item);
}

static void send_job(struct sim *sim, size_t number)
{
    static uint8_t message[MESSAGE_MAX];
    struct job *job = &sim->jobs[number];
    size_t bytes = request_write(&shop_domain, &job->command, 1, message);

    job->tries++;
    job->request =
        simbus_command(sim, job->node, WRITE_SIDE, number, message, bytes);
    sim_trace(sim, "client sends %s %s to %s, for the %u. time",
              shop_type_name(job->command.type), job->command.command_id,
              shop_services[job->node], job->tries);
    look_again(sim, number, RETRY_MS);
}

/* Asks for an order that was acknowledged, at the position of the answer. */
static void send_query(struct sim *sim, size_t number)
{
    struct job *job = &sim->jobs[number];
    const struct job *of = &sim->jobs[job->of];
    char log_id[2 * LOG_ID_BYTES + 1], text[512];
    int bytes;

    if (!of->acknowledged || job->tries > 3) {
        job->over = true; /* nothing that one may rely on */
        return;
    }
    bytes = snprintf(text, sizeof text,
                     "{\"get\":\"order\",\"order\":\"%s\",\"timeout_ms\":%d,"
                     "\"after\":[{\"service\":\"order\",\"log\":\"%s\","
                     "\"seq\":%" PRIu64 "}]}",
                     job->command.order_id, QUERY_MS,
                     text_hex(of->at.log_id, LOG_ID_BYTES, log_id), of->at.seq);
    job->tries++;
    job->request =
        simbus_command(sim, 0, READ_SIDE, number, text, (size_t)bytes);
    look_again(sim, number, QUERY_MS + RETRY_MS);
}

static void send_rebuild(struct sim *sim, size_t number)
{
    static const char text[] = "{\"do\":\"rebuild\",\"timeout_ms\":10000}";
    struct job *job = &sim->jobs[number];

    job->over = true; /* whatever comes of it */
    job->request = simbus_command(sim, job->node, READ_SIDE, number, text,
                                  sizeof text - 1);
    sim_trace(sim, "client asks %s for a rebuild", shop_services[job->node]);
}

void clients_run(struct sim *sim, size_t number)
{
    struct job *job = &sim->jobs[number];

    if (job->over && job->repeats == 0)
        return;
    switch (job->kind) {
    case JOB_CONFLICT:
        if (sim->jobs[job->of].acknowledged)
            send_job(sim, number);
        else
            job->over = true; /* it would be the first */
        break;
    case JOB_QUERY:
        send_query(sim, number);
        break;
    case JOB_REBUILD:
        send_rebuild(sim, number);
        break;
    case JOB_COMMAND:
        if (job->over)
            job->repeats--;
        send_job(sim, number);
        break;
    }
}

/* The order that was placed as @id, or NULL. */
static struct job *job_of(struct sim *sim, const char *id)
{
    for (size_t i = 0; i < sim->job_count; i++)
        if (sim->jobs[i].kind == JOB_COMMAND &&
            sim->jobs[i].command.type == PLACE_ORDER &&
            strcmp(sim->jobs[i].command.order_id, id) == 0)
            return &sim->jobs[i];
    return NULL;
}

/* Within one life of order-svc the clock cannot be wrong; after a restart a
 * timer goes by the wall's time, for want of another. */
void clients_watch(struct sim *sim, const struct frame *frame)
{
    uint64_t life = sim->nodes[0].life;

    for (size_t i = 0; i < frame->count; i++) {
        const struct row *row = &frame->rows[i];
        struct job *job = job_of(sim, row->order_id);

        if (job == NULL)
            continue;
        if (strcmp(row->type, "OrderPlaced") == 0) {
            job->placed_ms = sim->now_ms;
            job->placed_life = life;
        } else if (strcmp(row->type, "OrderCancelling") == 0 &&
                   row->cause_source[0] != '\0' && job->placed_life == life &&
                   sim->now_ms < job->placed_ms + sim->config.deadline_ms) {
            sim_broken(sim, "early", "%s expired after %llu ms, not %u",
                       row->order_id,
                       (unsigned long long)(sim->now_ms - job->placed_ms),
                       (unsigned)sim->config.deadline_ms);
        }
    }
}

/* ---- being answered ----------------------------------------------------- */

static void write_journal(struct sim *sim, const struct job *job,
                          const struct answer *answer)
{
    char log_id[2 * LOG_ID_BYTES + 1], line[256];
    int bytes = snprintf(
        line, sizeof line,
        "{\"command\":\"%s\",\"type\":\"%s\",\"service\":\"%s\","
        "\"log\":\"%s\",\"seq\":%" PRIu64 "}\n",
        job->command.command_id, shop_type_name(job->command.type),
        shop_services[job->node],
        text_hex(answer->at.log_id, LOG_ID_BYTES, log_id), answer->at.seq);

    if (sim->journal_bytes + (size_t)bytes > sim->journal_room) {
        sim->journal_room = sim->journal_room * 2 + 4096;
        sim->journal = realloc(sim->journal, sim->journal_room);
        if (sim->journal == NULL)
            abort();
    }
    memcpy(sim->journal + sim->journal_bytes, line, (size_t)bytes);
    sim->journal_bytes += (size_t)bytes;
}

static void take_done(struct sim *sim, struct job *job,
                      const struct answer *answer)
{
    if (job->kind == JOB_CONFLICT && sim->restored) {
        job->over = true; /* the first one was lost with the tail */
        return;
    }
    if (job->kind == JOB_CONFLICT) {
        sim_broken(sim, "conflict", "%s was done with other content",
                   job->command.command_id);
        return;
    }
    if (job->acknowledged && job->at.seq == answer->at.seq)
        sim_sometimes(sim, COMMAND_RESENT);
    write_journal(sim, job, answer);
    if (!job->acknowledged && job->repeats > 0)
        look_again(sim, (size_t)(job - sim->jobs),
                   1 + choose(sim->choice, 16384));
    job->acknowledged = job->over = true;
    job->at = answer->at;
}

static void take_refusal(struct sim *sim, struct job *job,
                         const struct answer *answer)
{
    if (job->kind == JOB_CONFLICT) {
        sim_sometimes(sim, CONFLICT_REFUSED);
        job->over = true;
        return;
    }
    if (job->acknowledged && job->command.type != CANCEL_ORDER &&
        !sim->restored)
        sim_broken(sim, "J2", "%s was done, then refused: %s",
                   job->command.command_id, answer->reason);
    if (strstr(answer->reason, "late") != NULL)
        sim_sometimes(sim, CANCEL_TOO_LATE);
    job->over = job->tries >= REFUSALS_MAX || job->command.type == CANCEL_ORDER;
}

static void take_answer(struct sim *sim, struct job *job, const void *bytes,
                        size_t count)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    size_t answered = 0;

    if (!request_answers_read(bytes, count, answers, &answered))
        return; /* the request was damaged on the way: asked again */
    if (answered != 1) {
        sim_broken(sim, "answer", "%zu answers to one command", answered);
        return;
    }
    sim_trace(sim, "client is told of %s: %d #%" PRIu64 " %s",
              job->command.command_id, (int)answers[0].code, answers[0].at.seq,
              answers[0].reason);
    if (answers[0].code == ANSWER_DONE)
        take_done(sim, job, &answers[0]);
    else if (answers[0].code == ANSWER_REFUSED)
        take_refusal(sim, job, &answers[0]);
    /* BAD: damaged on the way; BUSY, FULL, BEHIND: later */
}

/* A position that was reached shows what was written there, and an end that
 * was shown once stays. */
static void take_query(struct sim *sim, struct job *job, const void *bytes,
                       size_t count)
{
    json_t *reply = json_loadb(bytes, count, 0, NULL);
    const json_t *order = json_object_get(reply, "order");
    const char *status = json_string_value(json_object_get(order, "status"));
    json_int_t code = json_integer_value(json_object_get(reply, "code"));
    char *final = &sim->finals[job->of], shown = 0;

    if (status != NULL) {
        sim_sometimes(sim, READ_YOUR_WRITE);
        job->over = true;
        shown = strcmp(status, "CONFIRMED") == 0   ? 'C'
                : strcmp(status, "CANCELLED") == 0 ? 'X'
                                                   : 0;
        if (*final != 0 && shown != *final && !sim->restored)
            sim_broken(sim, "read", "%s was shown as ended, now it is %s",
                       job->command.order_id, status);
        *final = shown;
    } else if (code == 66 && !sim->restored) {
        sim_broken(sim, "read", "%s was done, and cannot be seen",
                   job->command.order_id);
    }
    json_decref(reply);
}

void clients_answer(struct sim *sim, size_t number, const void *bytes,
                    size_t count)
{
    struct job *job = &sim->jobs[sim->requests[number].job];

    switch (job->kind) {
    case JOB_COMMAND:
    case JOB_CONFLICT:
        take_answer(sim, job, bytes, count);
        break;
    case JOB_QUERY:
        take_query(sim, job, bytes, count);
        break;
    case JOB_REBUILD:
        if (memmem(bytes, count, "\"error\"", 7) == NULL)
            sim_sometimes(sim, VIEW_REBUILT);
        break;
    }
}

void clients_rebuild(struct sim *sim, unsigned node)
{
    if (sim->job_count < JOBS_MAX)
        new_job(sim, JOB_REBUILD, node, 0);
}
