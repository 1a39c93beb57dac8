/* test_packer.c - many callers, few requests.
 *
 * The service is a REP socket of this process.  It keeps each request until it
 * is let go, so that a test decides what waits meanwhile. */
#include "net/address.h"
#include "net/packer.h"
#include "scratch.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS_MAX = 2048, ALL = 100000 };

static struct scratch scratch;
static struct packer *packer;

static struct {
    nng_socket socket;
    pthread_t thread;
    atomic_bool stop;
    int lock;
    sem_t let_go; /* so many requests are answered */
    atomic_size_t requests;
    size_t sizes[REQUESTS_MAX];
    char ids[4 * COMMANDS_PER_REQUEST][ID_BYTES]; /* the first that came */
    size_t id_count;
} service = {.lock = -1};

static void note(const struct command commands[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (service.id_count == sizeof service.ids / sizeof service.ids[0])
            break;
        text_copy(service.ids[service.id_count++], ID_BYTES,
                  commands[i].command_id);
    }
    service.sizes[service.requests % REQUESTS_MAX] = count;
    service.requests++;
}

/* Each command "x-7" is answered with position 7. */
static size_t answer(const struct command commands[], size_t count,
                     uint8_t reply[MESSAGE_MAX])
{
    static struct answer answers[COMMANDS_PER_REQUEST];

    for (size_t i = 0; i < count; i++)
        answers[i].at.seq =
            strtoull(strchr(commands[i].command_id, '-') + 1, NULL, 10);
    return request_answers_write(answers, count, reply);
}

static void *serve(void *unused)
{
    static struct command commands[COMMANDS_PER_REQUEST];
    static struct answer bad[COMMANDS_PER_REQUEST];
    static uint8_t reply[MESSAGE_MAX];
    nng_msg *msg;

    (void)unused;
    while (!service.stop) {
        size_t count = 0;

        if (nng_recvmsg(service.socket, &msg, 0) != 0)
            continue; /* timed out: look whether to stop */
        if (!request_read(&shop_domain, nng_msg_body(msg), nng_msg_len(msg),
                          commands, bad, &count))
            abort();
        note(commands, count);
        sem_wait(&service.let_go);
        nng_msg_clear(msg);
        nng_msg_append(msg, reply, answer(commands, count, reply));
        if (nng_sendmsg(service.socket, msg, 0) != 0)
            nng_msg_free(msg);
    }
    return NULL;
}

static void start_service(void)
{
    cr_assert_eq(mkdir("run", 0700), 0);
    service.lock = open("run/order.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_eq(flock(service.lock, LOCK_EX | LOCK_NB), 0);
    cr_assert_eq(sem_init(&service.let_go, 0, 0), 0);
    cr_assert_eq(nng_rep0_open(&service.socket), 0);
    cr_assert_eq(nng_socket_set_ms(service.socket, NNG_OPT_RECVTIMEO, 20), 0);
    cr_assert_eq(nng_listen(service.socket, "ipc://run/order.cmd", NULL, 0), 0);
    cr_assert_eq(pthread_create(&service.thread, NULL, serve, NULL), 0);
}

static void let_go(unsigned requests)
{
    while (requests-- > 0)
        sem_post(&service.let_go);
}

static void open_packer(int timeout_ms)
{
    char why[256] = "";

    cr_assert_eq(packer_open(&shop_domain, scratch.path, NULL, "order",
                             timeout_ms, &packer, why, sizeof why),
                 EVT_OK, "%s", why);
}

/* A service, a packer, and the caller of most tests. */
static struct packer_caller *begin(int timeout_ms)
{
    start_service();
    open_packer(timeout_ms);
    return packer_join(packer);
}

static void set_up(void)
{
    scratch_open(&scratch);
    cr_assert_eq(chdir(scratch.path), 0);
}

static void tear_down(void)
{
    if (service.lock >= 0) {
        service.stop = true;
        let_go(REQUESTS_MAX);
    }
    packer_close(packer);
    if (service.lock >= 0) {
        pthread_join(service.thread, NULL);
        nng_close(service.socket);
        close(service.lock);
    }
    cr_assert_eq(chdir("/"), 0);
    scratch_close(&scratch);
}

TestSuite(packer, .init = set_up, .fini = tear_down);

/* Until so many requests have come, for some 10 seconds at most. */
static void wait_for_requests(size_t count)
{
    for (int i = 0; i < 10000 && service.requests < count; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    cr_assert_eq(service.requests, count);
}

/* ---- commands ------------------------------------------------------------ */

static struct command numbered(char caller, unsigned number)
{
    struct command command = {.type = CANCEL_ORDER, .order_id = "o-1"};

    snprintf(command.command_id, ID_BYTES, "%c-%u", caller, number);
    return command;
}

/* What became of commands, by their numbers. */
static struct {
    atomic_int told;
    enum evt_status rc[4 * COMMANDS_PER_REQUEST];
    uint64_t seq[4 * COMMANDS_PER_REQUEST];
} outcome;

static void note_outcome(void *ctx, enum evt_status rc,
                         const struct answer *answered)
{
    size_t number = (size_t)(uintptr_t)ctx;

    outcome.rc[number] = rc;
    outcome.seq[number] = rc == EVT_OK ? answered->at.seq : 0;
    outcome.told++;
}

static void submit(struct packer_caller *caller, char name, unsigned number)
{
    struct command command = numbered(name, number);

    packer_submit(caller, &command, note_outcome, (void *)(uintptr_t)number);
}

static void wait_until_told(int count)
{
    for (int i = 0; i < 10000 && outcome.told < count; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    cr_assert_eq(outcome.told, count);
}

/* ---- packing ------------------------------------------------------------- */

Test(packer, what_waits_while_a_request_is_under_way_goes_into_the_next)
{
    struct packer_caller *caller = begin(20000);

    submit(caller, 'a', 0);
    wait_for_requests(1); /* alone: nobody lingers for company */
    for (unsigned i = 1; i < 10; i++)
        submit(caller, 'a', i);
    let_go(2);
    wait_until_told(10);
    cr_assert_eq(service.requests, 2);
    cr_assert_eq(service.sizes[0], 1);
    cr_assert_eq(service.sizes[1], 9);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(outcome.rc[i], EVT_OK);
        cr_assert_eq(outcome.seq[i], i, "each hears its own answer");
    }
}

Test(packer, a_request_holds_as_many_as_a_service_takes)
{
    struct packer_caller *caller = begin(20000);

    submit(caller, 'a', 0);
    wait_for_requests(1);
    for (unsigned i = 1; i <= 2 * COMMANDS_PER_REQUEST + 1; i++)
        submit(caller, 'a', i);
    let_go(4);
    wait_until_told(2 * COMMANDS_PER_REQUEST + 2);
    cr_assert_eq(service.requests, 4);
    cr_assert_eq(service.sizes[1], COMMANDS_PER_REQUEST);
    cr_assert_eq(service.sizes[2], COMMANDS_PER_REQUEST);
    cr_assert_eq(service.sizes[3], 1);
}

Test(packer, callers_take_turns)
{
    static const char *const turns[] = {"a-0", "a-1", "b-6", "c-8", "a-2",
                                        "b-7", "a-3", "a-4", "a-5"};
    struct packer_caller *a, *b, *c;

    start_service();
    open_packer(20000);
    a = packer_join(packer);
    b = packer_join(packer);
    c = packer_join(packer);
    submit(a, 'a', 0);
    wait_for_requests(1);
    for (unsigned i = 1; i <= 5; i++)
        submit(a, 'a', i);
    submit(b, 'b', 6);
    submit(b, 'b', 7);
    submit(c, 'c', 8);
    let_go(2);
    wait_until_told(9);
    for (size_t i = 0; i < 9; i++)
        cr_assert_str_eq(service.ids[i], turns[i]);
}

/* ---- those who wait ------------------------------------------------------ */

static enum evt_status command(struct packer_caller *caller, unsigned number,
                               int timeout_ms, struct answer *answered)
{
    struct command sent = numbered('x', number);

    return packer_command(caller, &sent, timeout_ms, answered);
}

Test(packer, who_gives_up_hears_that_it_may_be_recorded)
{
    struct packer_caller *caller = begin(20000);
    struct answer answered;

    cr_assert_eq(command(caller, 1, 50, &answered), EVT_BUSY);
    cr_assert_eq(command(caller, 2, 50, &answered), EVT_BUSY,
                 "the first is still under way");
    let_go(ALL);
    cr_assert_eq(command(caller, 3, 20000, &answered), EVT_OK);
    cr_assert_eq(answered.at.seq, 3,
                 "an old answer is not taken for a new one");
}

Test(packer, where_nobody_listens_it_says_so_at_once)
{
    struct answer answered;

    open_packer(20000);
    cr_assert_eq(command(packer_join(packer), 1, 20000, &answered), EVT_NONE);
}

Test(packer, a_request_that_is_not_answered_does_not_hold_up_the_next)
{
    struct packer_caller *caller = begin(100);

    submit(caller, 'a', 0);
    wait_until_told(1);
    cr_assert_eq(outcome.rc[0], EVT_BUSY);
    let_go(ALL);
    submit(caller, 'a', 1);
    wait_until_told(2);
    cr_assert_eq(outcome.rc[1], EVT_OK);
}

Test(packer, closing_tells_those_who_wait)
{
    struct packer_caller *caller = begin(300);

    submit(caller, 'a', 0);
    wait_for_requests(1);
    submit(caller, 'a', 1);
    packer_close(packer);
    packer = NULL;
    cr_assert_eq(outcome.told, 2);
    cr_assert_eq(outcome.rc[0], EVT_BUSY);
    cr_assert_eq(outcome.rc[1], EVT_NONE, "it was not sent");
}

/* ---- many threads -------------------------------------------------------- */

enum { THREADS = 32, EACH = 50 };

static void *send_many(void *first)
{
    struct packer_caller *caller = packer_join(packer);
    struct answer answered;
    uintptr_t good = 0;

    for (unsigned i = 0; i < EACH; i++) {
        unsigned number = (unsigned)(uintptr_t)first + i;

        good += command(caller, number, 20000, &answered) == EVT_OK &&
                answered.at.seq == number;
    }
    return (void *)good;
}

Test(packer, many_threads_need_few_requests)
{
    pthread_t threads[THREADS];
    void *good;

    start_service();
    let_go(ALL);
    open_packer(20000);
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(
            pthread_create(&threads[i], NULL, send_many, (void *)(i * EACH)),
            0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &good);
        cr_assert_eq((uintptr_t)good, EACH);
    }
    cr_assert_lt(service.requests, THREADS * EACH);
}
