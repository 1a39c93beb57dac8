/* saga_bench.c - `saga bench`: a loop of orders against running services.
 *
 * Keeps K orders in flight through the public command socket, or offers R of
 * them a second whatever becomes of them (--rate), and sees them end as any
 * client can: on order-svc's public stream.  The loop is of K callers with one
 * order each, in this process, whose commands packer.h packs; with --batch, and
 * at a rate, each request is one caller's and goes on its own, by NNG itself.
 * Latency runs from just before the command is handed over to the arrival of
 * OrderConfirmed or OrderCancelled, which order-svc publishes after its commit:
 * durable, as a client sees it.
 *
 * The stream may lose frames (PUB promises nothing): after a while it asks the
 * order view about orders that have not ended, and counts these as "found
 * late".
 */
#include "audit/check.h"
#include "clock.h"
#include "net/packer.h"
#include "shop/cli/shop_cli.h"
#include "shop/invariants.h"
#include "shop/shop.h"
#include "stream/frame.h"
#include "use.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/req.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

enum {
    SKUS = 10,
    CUSTOMERS = 100,
    REQUESTS_MAX = 1024, /* commands in flight, not orders */
    OFFERED_MAX = 4096,  /* the same when they are offered at a rate */
    STALL_MS = 3000,     /* nothing ended for so long: ask the view */
    ANSWER_MS = 5000,    /* a request is sent anew after that */
    GIVE_UP_MS = 60000
};

struct order {
    char id[ID_BYTES];
    uint64_t started_ns;
    UT_hash_handle hh;
};

/* Who waits for an answer: a caller whose command is packed, or one with
 * requests of its own, on a REQ context. */
struct slot {
    struct bench *bench;
    struct slot *next;
    struct packer_caller *caller; /* NULL: the latter */
    enum evt_status rc;           /* of the former's command */
    struct answer answer;
    nng_ctx ctx;
    nng_aio *aio;
    bool sending;
    size_t count;
    struct command *commands; /* as many as @batch */
};

struct bench {
    struct saga *saga;
    /* options */
    uint64_t sagas, inflight, decline_percent, lines, batch;
    uint64_t rate; /* orders offered a second; 0: a closed loop */
    bool packed, unchecked;
    /* run */
    char run_id[16];
    struct packer *packer;
    nng_socket req, sub;
    int sub_fd, wake_fd;
    pthread_mutex_t mutex;
    struct slot *slots;
    size_t slot_count;
    struct slot *idle, *answered; /* answered: under mutex */
    struct order *running;
    uint64_t placed, ended, confirmed, cancelled, late, busy, refused, failed;
    uint64_t begun_ns, turned_away;
    uint64_t *latency_ns;
    uint64_t last_end_ns;
    struct frame *frame;
};

/* ---- what the processes used -------------------------------------------- */

/* A service as one moment finds it. */
struct service_use {
    int pid;
    uint64_t commits, appended, syncs;
    struct use use;
};

static uint64_t count_of(const json_t *status, const char *name)
{
    return (uint64_t)json_number(json_object_get(status, "counts"), name);
}

static int service_use(struct bench *bench, const char *service,
                       struct service_use *found)
{
    json_t *ask = json_pack("{s:s}", "get", "status"), *status;
    int code = SAGA_YES;

    status = saga_ask_on(bench->saga, service, "qry", ask, 5000, &code);
    json_decref(ask);
    if (status == NULL)
        return code;
    found->pid = (int)json_number(status, "pid");
    found->commits = count_of(status, "commits");
    found->appended = count_of(status, "appended");
    found->syncs = (uint64_t)json_number(status, "syncs");
    json_decref(status);
    if (!use_read(found->pid, &found->use))
        return saga_fail(bench->saga, SAGA_IO, "/proc/%d cannot be read",
                         found->pid);
    return SAGA_YES;
}

/* All services, and ourselves behind them. */
static int all_use(struct bench *bench, struct service_use found[SERVICES + 1])
{
    int rc = SAGA_YES;

    for (int i = 0; i < SERVICES && rc == SAGA_YES; i++)
        rc = service_use(bench, shop_services[i], &found[i]);
    if (rc == SAGA_YES && !use_read(getpid(), &found[SERVICES].use))
        rc = saga_fail(bench->saga, SAGA_IO, "/proc/self cannot be read");
    return rc;
}

/* ---- placing ------------------------------------------------------------ */

static void hand_back(struct slot *slot)
{
    struct bench *bench = slot->bench;
    uint64_t one = 1;
    bool first;

    pthread_mutex_lock(&bench->mutex);
    first = bench->answered == NULL;
    slot->next = bench->answered;
    bench->answered = slot;
    pthread_mutex_unlock(&bench->mutex);
    if (first && write(bench->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is full: it wakes all the same */
}

static void on_answer(void *arg)
{
    struct slot *slot = arg;

    if (slot->sending && nng_aio_result(slot->aio) == 0) {
        slot->sending = false;
        nng_ctx_recv(slot->ctx, slot->aio);
    } else {
        hand_back(slot);
    }
}

static void on_packed_answer(void *arg, enum evt_status rc,
                             const struct answer *answer)
{
    struct slot *slot = arg;

    slot->rc = rc;
    if (rc == EVT_OK)
        slot->answer = *answer;
    hand_back(slot);
}

static void send_slot(struct slot *slot)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes;
    nng_msg *msg;

    if (slot->caller != NULL) {
        packer_submit(slot->caller, slot->commands, on_packed_answer, slot);
        return;
    }
    bytes = request_write(&shop_domain, slot->commands, slot->count, message);
    if (nng_msg_alloc(&msg, 0) != 0 || nng_msg_append(msg, message, bytes) != 0)
        abort();
    nng_aio_set_msg(slot->aio, msg);
    slot->sending = true;
    nng_ctx_send(slot->ctx, slot->aio);
}

/* When order @n is to be offered.  Its latency runs from then, also when this
 * client is late: what a stall keeps from being sent would otherwise not count
 * ("coordinated omission", Gil Tene). */
static uint64_t due_ns(const struct bench *bench, uint64_t n)
{
    return bench->begun_ns + (uint64_t)((double)n * 1e9 / (double)bench->rate);
}

static void make_order(struct bench *bench, struct command *command)
{
    uint64_t n = bench->placed++;
    struct order *order = calloc(1, sizeof *order);
    struct payload *data = payload_in(command->data);

    if (order == NULL)
        abort();
    memset(command, 0, sizeof *command);
    command->type = PLACE_ORDER;
    snprintf(order->id, sizeof order->id, "b-%s-%010llu", bench->run_id,
             (unsigned long long)n);
    text_copy(command->order_id, ID_BYTES, order->id);
    text_copy(command->command_id, ID_BYTES, order->id);
    if (n * bench->decline_percent % 100 < bench->decline_percent) /* evenly */
        snprintf(data->customer, CUSTOMER_BYTES, "bench-poor");
    else
        snprintf(data->customer, CUSTOMER_BYTES, "bench-%u",
                 (unsigned)(n % CUSTOMERS));
    data->line_count = (uint32_t)bench->lines;
    for (uint32_t i = 0; i < data->line_count; i++) {
        snprintf(data->lines[i].sku, SKU_BYTES, "bench-%u",
                 (unsigned)((n + i) % SKUS));
        data->lines[i].quantity = 1;
    }
    order->started_ns = bench->rate > 0 ? due_ns(bench, n) : clock_ns();
    HASH_ADD_STR(bench->running, id, order);
}

/* How many orders may be placed now: what is missing to the given number in
 * flight, or what has become due at the given rate. */
static uint64_t room(const struct bench *bench)
{
    uint64_t limit = bench->inflight, used = HASH_COUNT(bench->running);

    if (bench->rate > 0) {
        limit = (uint64_t)((double)(clock_ns() - bench->begun_ns) / 1e9 *
                           (double)bench->rate);
        used = bench->placed;
    }
    return used < limit ? limit - used : 0;
}

static void place_more(struct bench *bench)
{
    while (bench->idle != NULL && bench->placed < bench->sagas) {
        uint64_t left = bench->sagas - bench->placed;
        uint64_t want = bench->batch < left ? bench->batch : left;
        struct slot *slot = bench->idle;

        if (room(bench) < want)
            return;
        bench->idle = slot->next;
        for (slot->count = 0; slot->count < want; slot->count++)
            make_order(bench, &slot->commands[slot->count]);
        send_slot(slot);
    }
}

static void end_order(struct bench *bench, const char *id, bool confirmed)
{
    struct order *order;

    HASH_FIND_STR(bench->running, id, order);
    if (order == NULL)
        return; /* somebody else's */
    bench->last_end_ns = clock_ns();
    bench->latency_ns[bench->ended++] = bench->last_end_ns - order->started_ns;
    bench->confirmed += confirmed;
    bench->cancelled += !confirmed;
    HASH_DEL(bench->running, order);
    free(order);
}

/* Forgets an order; @count says as what. */
static void drop_order(struct bench *bench, const char *id, uint64_t *count)
{
    struct order *order;

    HASH_FIND_STR(bench->running, id, order);
    if (order != NULL) {
        HASH_DEL(bench->running, order);
        free(order);
        ++*count;
    }
}

/* How many answers there are; 0: no request has been answered. */
static size_t answers_of(struct slot *slot,
                         struct answer answers[COMMANDS_PER_REQUEST])
{
    size_t count = 0;
    nng_msg *msg;

    if (slot->caller != NULL) {
        answers[0] = slot->answer;
        return slot->rc == EVT_OK;
    }
    if (nng_aio_result(slot->aio) != 0)
        return 0;
    msg = nng_aio_get_msg(slot->aio);
    if (!request_answers_read(nng_msg_body(msg), nng_msg_len(msg), answers,
                              &count))
        count = 0;
    nng_msg_free(msg);
    nng_aio_set_msg(slot->aio, NULL);
    return count;
}

/* Busy ones are sent again under the same id, unless that is just what a rate
 * is to show; refusals end the order. */
static bool take_answers(struct bench *bench, struct slot *slot)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    size_t count = answers_of(slot, answers), kept = 0;

    for (size_t i = 0; i < slot->count; i++) {
        enum answer_code code = ANSWER_BUSY;

        if (count > 0)
            code = answers[i < count ? i : count - 1].code;
        if (code == ANSWER_DONE)
            continue;
        if (code == ANSWER_BUSY || code == ANSWER_FULL) {
            bench->busy++;
            if (bench->rate > 0)
                drop_order(bench, slot->commands[i].order_id,
                           &bench->turned_away);
            else
                slot->commands[kept++] = slot->commands[i];
        } else {
            bench->refused++;
            drop_order(bench, slot->commands[i].order_id, &bench->failed);
        }
    }
    slot->count = kept;
    if (kept > 0)
        send_slot(slot);
    return kept == 0;
}

static void take_answered(struct bench *bench)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    struct slot *slot, *next;
    bool away = false;

    pthread_mutex_lock(&bench->mutex);
    slot = bench->answered;
    bench->answered = NULL;
    pthread_mutex_unlock(&bench->mutex);
    for (; slot != NULL; slot = next) {
        next = slot->next;
        away = away || (slot->caller != NULL && slot->rc == EVT_NONE);
        if (take_answers(bench, slot)) {
            slot->next = bench->idle;
            bench->idle = slot;
        }
    }
    if (away) /* it says so at once, each time */
        nanosleep(&pause, NULL);
}

static void take_frames(struct bench *bench)
{
    nng_msg *msg;

    while (nng_recvmsg(bench->sub, &msg, NNG_FLAG_NONBLOCK) == 0) {
        if (frame_read(nng_msg_body(msg), nng_msg_len(msg), bench->frame))
            for (size_t i = 0; i < bench->frame->count; i++) {
                const struct row *row = &bench->frame->rows[i];

                if (strcmp(row->type, "OrderConfirmed") == 0)
                    end_order(bench, row->order_id, true);
                else if (strcmp(row->type, "OrderCancelled") == 0)
                    end_order(bench, row->order_id, false);
            }
        nng_msg_free(msg);
    }
}

/* Asks the view about what seems stuck: the stream may have dropped its end. */
static void look_for_stalled(struct bench *bench)
{
    struct order *order, *next;

    HASH_ITER(hh, bench->running, order, next)
    {
        json_t *ask =
            json_pack("{s:s,s:s}", "get", "order", "order", order->id);
        json_t *reply = NULL;
        const char *status;

        if (client_ask(bench->saga->client, "order", "qry", ask, 1000,
                       &reply) == EVT_OK) {
            status = json_string_value(
                json_object_get(json_object_get(reply, "order"), "status"));
            if (status != NULL && strcmp(status, "CONFIRMED") == 0) {
                bench->late++;
                end_order(bench, order->id, true);
            } else if (status != NULL && strcmp(status, "CANCELLED") == 0) {
                bench->late++;
                end_order(bench, order->id, false);
            }
        }
        json_decref(reply);
        json_decref(ask);
    }
}

static int run(struct bench *bench)
{
    uint64_t shown = clock_ns(), begun = shown;

    bench->begun_ns = bench->last_end_ns = begun;
    while (bench->ended + bench->failed + bench->turned_away < bench->sagas) {
        struct pollfd fds[] = {{.fd = bench->sub_fd, .events = POLLIN},
                               {.fd = bench->wake_fd, .events = POLLIN}};
        uint64_t count, now;

        place_more(bench);
        if (poll(fds, 2, bench->rate > 0 ? 1 : 200) < 0 && errno != EINTR)
            return saga_fail(bench->saga, SAGA_IO, "poll: %s", strerror(errno));
        if (read(bench->wake_fd, &count, sizeof count) == sizeof count)
            take_answered(bench);
        take_frames(bench);
        now = clock_ns();
        if (now - bench->last_end_ns > STALL_MS * UINT64_C(1000000))
            look_for_stalled(bench);
        /* by a new look at the clock: the view may have told of an end */
        if (clock_ns() - bench->last_end_ns > GIVE_UP_MS * UINT64_C(1000000))
            return saga_fail(
                bench->saga, SAGA_TRY_AGAIN,
                "no order has ended for %d s ('./saga status' shows why)",
                GIVE_UP_MS / 1000);
        if (isatty(STDERR_FILENO) && now - shown > 200000000) {
            fprintf(stderr, "\r%llu of %llu sagas, %.0f a second ",
                    (unsigned long long)bench->ended,
                    (unsigned long long)bench->sagas,
                    (double)bench->ended * 1e9 / (double)(now - begun));
            shown = now;
        }
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%40s\r", "");
    return SAGA_YES;
}

/* ---- before and after --------------------------------------------------- */

static int tell(struct bench *bench, const char *service,
                struct command *command)
{
    struct answer answer;
    enum saga_sent sent;
    enum evt_status rc;

    client_new_id("c", command->command_id);
    bench->saga->deadline_ms = saga_mono_ms() + SAGA_PATIENCE_MS;
    sent = saga_send(bench->saga, service, command, 1, &answer, &rc);
    bench->saga->deadline_ms = 0; /* nothing else is bounded by it */
    if (sent != SENT_ANSWERED)
        return saga_not_sent(bench->saga, service, sent, rc, &answer);
    return answer.code == ANSWER_DONE
               ? SAGA_YES
               : saga_fail(bench->saga, SAGA_TRY_AGAIN, "%s-svc: %s", service,
                           answer.reason);
}

/* Products, stock and money enough for the whole run. */
static int seed(struct bench *bench)
{
    uint64_t goods = bench->sagas * bench->lines;
    int rc = SAGA_YES;

    for (unsigned i = 0; i < SKUS && rc == SAGA_YES; i++) {
        struct command product = {.type = LIST_PRODUCT};
        struct command stock = {.type = RECEIVE_STOCK};

        *payload_in(stock.data) = (struct payload){.quantity = RECEIPT_MAX};
        *payload_in(product.data) = (struct payload){.price_cents = 1};
        snprintf(payload_in(product.data)->sku, SKU_BYTES, "bench-%u", i);
        text_copy(payload_in(stock.data)->sku, SKU_BYTES,
                  payload_in(product.data)->sku);
        rc = tell(bench, "order", &product);
        for (uint64_t have = 0; rc == SAGA_YES && have < goods;
             have += RECEIPT_MAX)
            rc = tell(bench, "inventory", &stock);
    }
    for (unsigned i = 0; i < CUSTOMERS && rc == SAGA_YES; i++) {
        struct command funds = {.type = DEPOSIT_FUNDS};

        *payload_in(funds.data) =
            (struct payload){.amount_cents = DEPOSIT_CENTS_MAX};
        snprintf(payload_in(funds.data)->customer, CUSTOMER_BYTES, "bench-%u",
                 i);
        rc = tell(bench, "payment", &funds);
    }
    return rc;
}

static int connect_sockets(struct bench *bench)
{
    char cmd[URL_BYTES], pub[URL_BYTES];

    client_url(bench->saga->client, "order", "pub", pub);
    client_url(bench->saga->client, "order", "cmd", cmd);
    if (nng_req0_open(&bench->req) != 0 || nng_sub0_open(&bench->sub) != 0 ||
        nng_socket_set_size(bench->req, NNG_OPT_RECVMAXSZ, MESSAGE_MAX) != 0 ||
        nng_socket_set_size(bench->sub, NNG_OPT_RECVMAXSZ, MESSAGE_MAX) != 0 ||
        nng_socket_set_int(bench->sub, NNG_OPT_RECVBUF, 8192) != 0 ||
        nng_socket_set(bench->sub, NNG_OPT_SUB_SUBSCRIBE, "", 0) != 0 ||
        nng_socket_get_int(bench->sub, NNG_OPT_RECVFD, &bench->sub_fd) != 0 ||
        nng_dial(bench->sub, pub, NULL, 0) != 0 ||
        nng_dial(bench->req, cmd, NULL, 0) != 0)
        return saga_not_running(bench->saga, "order");
    return SAGA_YES;
}

static void open_slot(struct bench *bench, struct slot *slot)
{
    slot->bench = bench;
    slot->commands = calloc(bench->batch, sizeof *slot->commands);
    if (slot->commands == NULL)
        abort();
    if (bench->packed)
        slot->caller = packer_join(bench->packer);
    else if (nng_ctx_open(&slot->ctx, bench->req) != 0 ||
             nng_aio_alloc(&slot->aio, on_answer, slot) != 0)
        abort();
    slot->next = bench->idle;
    bench->idle = slot;
}

static size_t slots_wanted(const struct bench *bench)
{
    size_t wanted = (bench->inflight + bench->batch - 1) / bench->batch;

    if (bench->packed)
        return wanted;
    if (bench->rate > 0)
        return OFFERED_MAX;
    return wanted < REQUESTS_MAX ? wanted : REQUESTS_MAX;
}

static int open_packer(struct bench *bench)
{
    struct saga *saga = bench->saga;
    char why[STORE_WHY_BYTES];

    if (packer_open(&shop_domain, saga->directory, saga->bus, "order",
                    ANSWER_MS, &bench->packer, why, sizeof why) != EVT_OK)
        return saga_fail(saga, SAGA_USAGE, "%s", why);
    return SAGA_YES;
}

static int open_bench(struct bench *bench)
{
    char id[ID_BYTES];
    int rc = connect_sockets(bench);

    if (rc == SAGA_YES && bench->packed)
        rc = open_packer(bench);
    if (rc != SAGA_YES)
        return rc;
    client_new_id("b", id);
    text_copy(bench->run_id, sizeof bench->run_id, id + 6);
    bench->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bench->latency_ns = calloc(bench->sagas, sizeof *bench->latency_ns);
    bench->frame = malloc(sizeof *bench->frame);
    bench->slot_count = slots_wanted(bench);
    bench->slots = calloc(bench->slot_count, sizeof *bench->slots);
    if (!bench->latency_ns || !bench->frame || !bench->slots)
        abort();
    pthread_mutex_init(&bench->mutex, NULL);
    for (size_t i = 0; i < bench->slot_count; i++)
        open_slot(bench, &bench->slots[i]);
    return SAGA_YES;
}

/* The sockets are left to the end of the process: nng_close may not end
 * (close_bounded.h). */
static void close_bench(struct bench *bench)
{
    struct order *order, *next;

    HASH_ITER(hh, bench->running, order, next)
    {
        /* clang-tidy 14 takes each for the last, with which the table goes */
        HASH_DEL(bench->running, order); // NOLINT(*-unix.Malloc)
        free(order);
    }
    packer_close(bench->packer);
    free(bench->frame);
    free(bench->latency_ns);
}

/* How long until every cursor and every view is saved at its log's head, in ms;
 * -1: not in a minute.  The heads are the logs' own: what a view has heard of
 * may be much less than what it has still to do. */
static double catch_up_ms(struct bench *bench)
{
    uint64_t begun = clock_ns();
    int64_t deadline = (int64_t)saga_mono_ms() + GIVE_UP_MS;
    struct timespec pause = {.tv_nsec = 5000000};
    char what[256];

    while (!saga_is_quiet(bench->saga, deadline, what, sizeof what)) {
        if ((int64_t)saga_mono_ms() >= deadline)
            return -1;
        nanosleep(&pause, NULL);
    }
    return (double)(clock_ns() - begun) / 1e6;
}

static int compare_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_ms(const struct bench *bench, double p)
{
    size_t i;

    if (bench->ended == 0)
        return 0;
    i = (size_t)(p * (double)(bench->ended - 1));
    return (double)bench->latency_ns[i] / 1e6;
}

static double a_saga(const struct bench *bench, uint64_t of)
{
    return (double)of / (double)(bench->ended > 0 ? bench->ended : 1);
}

/* What the threads of a process are to people: its main thread has its name. */
static const char *thread_name(const struct use_thread *thread,
                               const char *service)
{
    bool is_main = strncmp(thread->name, service, strlen(service)) == 0 &&
                   strcmp(thread->name + strlen(service), "-svc") == 0;

    return is_main ? "write-side" : thread->name;
}

static json_t *report_process(const struct bench *bench, const char *name,
                              const struct service_use *before,
                              struct service_use *after)
{
    json_t *threads = json_object();
    uint64_t commits = after->commits - before->commits;
    uint64_t appended = after->appended - before->appended;

    use_since(&before->use, &after->use);
    for (size_t i = 0; i < after->use.thread_count; i++) {
        const struct use_thread *thread = &after->use.threads[i];

        json_object_set_new(threads, thread_name(thread, name),
                            json_real(a_saga(bench, thread->cpu_ns) / 1e3));
    }
    return json_pack(
        "{s:s,s:f,s:o,s:f,s:f,s:f,s:f}", "service", name, "cpu_us_per_saga",
        a_saga(bench, after->use.cpu_ns) / 1e3, "thread_cpu_us_per_saga",
        threads, "written_bytes_per_saga",
        a_saga(bench, after->use.write_bytes), "fsyncs_per_saga",
        a_saga(bench, after->syncs - before->syncs), "commits_per_saga",
        a_saga(bench, commits), "events_per_commit",
        commits ? (double)appended / (double)commits : 0.0);
}

static json_t *report_latency(const struct bench *bench)
{
    return json_pack(
        "{s:f,s:f,s:f,s:f,s:f}", "median", percentile_ms(bench, 0.5), "p90",
        percentile_ms(bench, 0.9), "p99", percentile_ms(bench, 0.99), "p999",
        percentile_ms(bench, 0.999), "max", percentile_ms(bench, 1));
}

/* Releases nothing; takes @processes and @client over. */
static json_t *report(const struct bench *bench, double took_s,
                      double caught_up_ms, double cpu_us, json_t *processes,
                      json_t *client)
{
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:b,s:I,s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:o,s:f,s:f,s:o,"
        "s:o}",
        "sagas", (json_int_t)bench->ended, "inflight",
        (json_int_t)bench->inflight, "rate", (json_int_t)bench->rate, "batch",
        (json_int_t)bench->batch, "packed", bench->packed, "decline_percent",
        (json_int_t)bench->decline_percent, "lines", (json_int_t)bench->lines,
        "sagas_per_second", (double)bench->ended / took_s, "confirmed",
        (json_int_t)bench->confirmed, "cancelled", (json_int_t)bench->cancelled,
        "refused", (json_int_t)bench->refused, "busy", (json_int_t)bench->busy,
        "found_late", (json_int_t)bench->late, "latency_ms",
        report_latency(bench), "cpu_us_per_saga", cpu_us, "catch_up_ms",
        caught_up_ms, "processes", processes, "client", client);
}

static double real_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void print_process(const json_t *process)
{
    const char *name;
    json_t *cpu, *threads = json_object_get(process, "thread_cpu_us_per_saga");
    int shown = 0;

    printf("  %-10s %8.1f %9.0f %9.4f %9.4f %9.1f  ",
           json_text(process, "service"), real_of(process, "cpu_us_per_saga"),
           real_of(process, "written_bytes_per_saga"),
           real_of(process, "fsyncs_per_saga"),
           real_of(process, "commits_per_saga"),
           real_of(process, "events_per_commit"));
    json_object_foreach(threads, name, cpu) if (shown++ < 4)
        printf(" %s %.1f", name, json_number_value(cpu));
    putchar('\n');
}

static void print_report(const struct bench *bench, const json_t *told)
{
    const json_t *processes = json_object_get(told, "processes"), *process;
    size_t i;

    char requests[32] = "packed";

    if (!bench->packed)
        snprintf(requests, sizeof requests, "%llu a request",
                 (unsigned long long)bench->batch);
    printf(
        "%llu sagas, %llu %s, %s: %.0f a second\n",
        (unsigned long long)bench->ended,
        (unsigned long long)(bench->rate > 0 ? bench->rate : bench->inflight),
        bench->rate > 0 ? "offered a second" : "in flight", requests,
        real_of(told, "sagas_per_second"));
    printf("  %llu confirmed, %llu cancelled, %llu refused, %llu times busy, "
           "%llu found late\n",
           (unsigned long long)bench->confirmed,
           (unsigned long long)bench->cancelled,
           (unsigned long long)bench->refused, (unsigned long long)bench->busy,
           (unsigned long long)bench->late);
    printf("  placed to ended and durable: median %.2f ms, p90 %.2f, p99 "
           "%.2f, p99.9 %.2f, max %.2f\n",
           percentile_ms(bench, 0.5), percentile_ms(bench, 0.9),
           percentile_ms(bench, 0.99), percentile_ms(bench, 0.999),
           percentile_ms(bench, 1));
    printf("  per saga     CPU us   written    fsyncs   commits   events/   "
           "CPU us by thread\n  %50s\n",
           "commit");
    json_array_foreach(processes, i, process) print_process(process);
    printf("  %-10s %8.1f\n  %-10s %8.1f\n", "together",
           real_of(told, "cpu_us_per_saga"), "the client",
           real_of(json_object_get(told, "client"), "cpu_us_per_saga"));
    if (real_of(told, "catch_up_ms") < 0)
        printf("  views not at the logs' heads after %d s ('./saga status' "
               "shows more)\n",
               GIVE_UP_MS / 1000);
    else
        printf("  views at the logs' heads after %.0f ms\n",
               real_of(told, "catch_up_ms"));
}

/* ---- afterwards, `saga check` ------------------------------------------- */

static void see_nothing(void *ctx, unsigned id, const char *subject,
                        const char *text, const struct check_wait *wait)
{
    (void)ctx;
    (void)id;
    (void)subject;
    (void)text;
    (void)wait;
}

/* Adds to @told what the checker says of the logs. */
static int check(const struct bench *bench, json_t *told)
{
    struct check_options options = {.invariants = &shop_invariants,
                                    .directory = bench->saga->directory,
                                    .services = roster_services,
                                    .service_count = SERVICES,
                                    .views = roster_views};
    struct check_summary summary;
    char why[STORE_WHY_BYTES] = "";
    unsigned broken = 0;

    if (check_run(&options, see_nothing, NULL, &summary, why) != EVT_OK)
        return saga_fail(bench->saga, SAGA_IO, "check: %s", why);
    for (unsigned id = 0; id < CHECK_IDS_MAX; id++)
        broken += summary.broken[id] > 0;
    json_object_set_new(told, "check_holds", json_boolean(broken == 0));
    if (broken > 0 && !bench->saga->json)
        printf(
            "  check: %u invariants are broken ('./saga check' says which)\n",
            broken);
    else if (!bench->saga->json)
        printf("  check: every invariant holds\n");
    return broken > 0 ? SAGA_NO : SAGA_YES;
}

/* ---- the verb ----------------------------------------------------------- */

/* Runs, and tells what it took; NULL: it was reported, *code says how. */
static json_t *measure(struct bench *bench, int *code)
{
    struct service_use before[SERVICES + 1] = {0}, after[SERVICES + 1] = {0};
    json_t *processes = json_array(), *client;
    uint64_t begun, took, cpu_ns = 0;
    double caught_up_ms = 0;

    *code = all_use(bench, before);
    begun = clock_ns();
    if (*code == SAGA_YES)
        *code = run(bench);
    took = clock_ns() - begun;
    if (*code == SAGA_YES) {
        caught_up_ms = catch_up_ms(bench);
        *code = all_use(bench, after);
    }
    if (*code != SAGA_YES) {
        json_decref(processes);
        return NULL;
    }
    qsort(bench->latency_ns, bench->ended, sizeof *bench->latency_ns,
          compare_ns);
    for (int i = 0; i < SERVICES; i++) {
        json_array_append_new(processes, report_process(bench, shop_services[i],
                                                        &before[i], &after[i]));
        cpu_ns += after[i].use.cpu_ns;
    }
    client = report_process(bench, "saga", &before[SERVICES], &after[SERVICES]);
    return report(bench, (double)took / 1e9, caught_up_ms,
                  a_saga(bench, cpu_ns) / 1e3, processes, client);
}

static int measure_and_check(struct bench *bench)
{
    int code, checked = SAGA_YES;
    json_t *told = measure(bench, &code);

    if (told == NULL)
        return code;
    if (!bench->saga->json)
        print_report(bench, told);
    if (!bench->unchecked)
        checked = check(bench, told);
    if (bench->saga->json && (checked == SAGA_YES || checked == SAGA_NO))
        saga_print_json(told);
    else
        json_decref(told);
    return checked != SAGA_YES ? checked
           : bench->failed > 0 ? SAGA_NO
                               : SAGA_YES;
}

/* Keeps what an option says, if it is in its range. */
static int number(const struct saga *saga, const char *what, const char *text,
                  int64_t least, int64_t most, uint64_t *out)
{
    int64_t value;
    int code = saga_take_number(saga, what, text, least, most, &value);

    if (code == SAGA_YES)
        *out = (uint64_t)value;
    return code;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct bench *bench = saga->options;

    switch (key) {
    case 's':
        return number(saga, "sagas", arg, 1, 100000000, &bench->sagas);
    case 'i':
        return number(saga, "inflight", arg, 1, 100000, &bench->inflight);
    case 'b':
        return number(saga, "batch", arg, 1, COMMANDS_PER_REQUEST,
                      &bench->batch);
    case 'd':
        return number(saga, "decline", arg, 0, 100, &bench->decline_percent);
    case 'l':
        return number(saga, "lines", arg, 1, LINES_MAX, &bench->lines);
    case 'r':
        return number(saga, "rate", arg, 1, 1000000, &bench->rate);
    case 'n':
        bench->unchecked = true;
        return SAGA_YES;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run_bench(struct saga *saga)
{
    static struct bench bench = {.sagas = 20000,
                                 .inflight = 1000,
                                 .lines = 1}; /* other threads use it */
    struct service_use unused[SERVICES + 1];
    int rc = saga_parse(saga, &bench);

    bench.saga = saga;
    if (rc == SAGA_YES && saga->word_count > 0)
        return saga_fail(saga, SAGA_USAGE,
                         "unexpected argument '%s' ('./saga bench "
                         "--help')",
                         saga->words[0]);
    bench.packed = bench.batch == 0 && bench.rate == 0;
    if (bench.batch == 0)
        bench.batch = 1;
    if (bench.batch > bench.inflight)
        bench.batch = bench.inflight;
    if (rc == SAGA_YES)
        rc = all_use(&bench, unused); /* all answer: what is begun can end */
    if (rc == SAGA_YES)
        rc = open_bench(&bench);
    if (rc != SAGA_YES)
        return rc;
    rc = seed(&bench);
    if (rc == SAGA_YES)
        rc = measure_and_check(&bench);
    close_bench(&bench);
    return rc;
}

static const struct argp_option options[] = {
    {"sagas", 's', "N", 0, "how many sagas in all (20000)", 0},
    {"inflight", 'i', "K", 0, "orders in flight: placed and not ended (1000)",
     0},
    {"batch", 'b', "B", 0,
     "send requests of B commands each (without it, what callers have waiting "
     "is packed; at a rate, 1)",
     0},
    {"decline", 'd', "PCT", 0, "how many percent payment declines (0)", 0},
    {"lines", 'l', "L", 0, "lines of an order (1)", 0},
    {"rate", 'r', "R", 0,
     "offer R orders a second, however many are in flight; drop those "
     "answered busy",
     0},
    {"no-check", 'n', NULL, 0, "do not run `saga check` afterwards", 0},
    {0}};

const struct verb verb_bench = {
    .name = "bench",
    .group = LEARNING,
    .after = "learn",
    .examples = "bench --sagas 2000",
    .summary = "run a closed loop of orders and measure its cost",
    .args = "",
    .options = options,
    .parse = parse,
    .words_max = 1,
    .run = run_bench};
