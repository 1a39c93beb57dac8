/* test_client.c - asking services, and the options that say where they are.
 *
 * The service is a bus in this process.  The lock on its endpoint says that it
 * runs; the test takes that lock as address.c does. */
#include "base/logger.h"
#include "host/options.h"
#include "net/address.h"
#include "net/bus.h"
#include "net/client.h"
#include "nng_vices.h"
#include "scratch.h"

#include "../order-svc/order.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct scratch scratch;
static struct client *client;
static char directory[512];

static void set_up(void)
{
    logger_open("test", LOG_ERROR + 1);
    scratch_open(&scratch);
    snprintf(directory, sizeof directory, "%s", scratch.path);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- a service that answers ---------------------------------------------- */

static struct {
    struct bus *bus;
    pthread_t thread;
    atomic_bool stop, silent, deaf;
    atomic_int taken; /* while it was deaf */
    int lock;
} service = {.lock = -1};

/* To JSON {"answer":request}, to commands "done" each, with its number. */
static void answer(const struct input *input)
{
    static struct command commands[COMMANDS_PER_REQUEST];
    static struct answer answers[COMMANDS_PER_REQUEST];
    static uint8_t reply[MESSAGE_MAX];
    size_t count = 0;

    if (request_read(&shop_domain, input->bytes, input->count, commands,
                     answers, &count)) {
        for (size_t i = 0; i < count; i++)
            answers[i].at.seq = i + 1;
        bus_send(service.bus, TO_CLIENT, input->from, reply,
                 request_answers_write(answers, count, reply));
        return;
    }
    count = (size_t)snprintf((char *)reply, sizeof reply, "{\"answer\":%.*s}",
                             (int)input->count, (const char *)input->bytes);
    bus_send(service.bus, TO_CLIENT, input->from, reply, count);
}

static void *serve(void *unused)
{
    static struct input inputs[INPUTS_MAX];

    (void)unused;
    while (!service.stop) {
        size_t count;

        bus_wait(service.bus, -1, 20);
        bus_watch(service.bus, now_ms());
        if (service.silent)
            continue;
        count = bus_gather(service.bus, inputs, INPUTS_MAX);
        for (size_t i = 0; i < count; i++) {
            if (service.deaf)
                service.taken++;
            else
                answer(&inputs[i]);
        }
        bus_release(service.bus);
    }
    return NULL;
}

static void start_service(const char *url)
{
    struct bus_config config = {.rep_url = url};
    char why[256] = "";

    cr_assert_eq(bus_open(&config, &service.bus, why, sizeof why), EVT_OK, "%s",
                 why);
    cr_assert_eq(pthread_create(&service.thread, NULL, serve, NULL), 0);
}

/* In @directory, as order-svc would; the test changes into it. */
static void take_endpoint(void)
{
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(mkdir("run", 0700), 0);
    service.lock = open("run/order.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_eq(flock(service.lock, LOCK_EX | LOCK_NB), 0);
}

static void start_order(const char *socket)
{
    char url[64];

    take_endpoint();
    snprintf(url, sizeof url, "ipc://run/order.%s", socket);
    start_service(url);
    cr_assert_eq(chdir("/"), 0);
}

static void stop_service(void)
{
    service.stop = true;
    pthread_join(service.thread, NULL);
    bus_close(service.bus);
    service.bus = NULL;
    service.stop = false;
}

static void tear_down(void)
{
    client_close(client);
    if (service.bus != NULL)
        stop_service();
    if (service.lock >= 0)
        close(service.lock);
    cr_assert_eq(chdir("/"), 0);
    scratch_close(&scratch);
}

TestSuite(client, .init = set_up, .fini = tear_down);
TestSuite(options);

static void open_client(const char *bus)
{
    char why[256] = "";

    cr_assert_eq(
        client_open(&shop_domain, directory, bus, &client, why, sizeof why),
        EVT_OK, "%s", why);
}

static enum evt_status ask(const char *name, const char *socket, int timeout_ms)
{
    json_t *request = json_pack("{s:s}", "get", "status"), *reply = NULL;
    enum evt_status rc =
        client_ask(client, name, socket, request, timeout_ms, &reply);

    if (rc == EVT_OK)
        cr_assert(json_equal(json_object_get(reply, "answer"), request));
    json_decref(request);
    json_decref(reply);
    return rc;
}

/* ---- asking -------------------------------------------------------------- */

Test(client, a_request_is_answered)
{
    start_order("qry");
    open_client(NULL);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(ask("order", "qry", 5000), EVT_OK);
}

Test(client, where_nobody_listens_it_says_so_at_once)
{
    uint64_t begun = now_ms();

    open_client(NULL); /* nothing is there at all */
    cr_assert_eq(ask("order", "qry", 20000), EVT_NONE);
    cr_assert_eq(ask("no-such-service", "qry", 20000), EVT_NONE);
    client_close(client);
    snprintf(directory, sizeof directory, "%s/no-such-directory", scratch.path);
    open_client(NULL);
    cr_assert_eq(ask("order", "cmd", 20000), EVT_NONE);
    cr_assert_lt(now_ms() - begun, 5000);
}

/* What a killed service leaves behind: a lock that nobody holds, a socket
 * that nobody listens on. */
Test(client, a_dead_services_remains_are_no_service)
{
    uint64_t begun = now_ms();

    start_order("qry");
    open_client(NULL);
    cr_assert_eq(ask("payment", "qry", 20000), EVT_NONE);
    close(service.lock);
    service.lock = -1;
    cr_assert_eq(ask("order", "qry", 20000), EVT_NONE);
    cr_assert_lt(now_ms() - begun, 5000);
}

Test(client, no_answer_in_time_is_busy)
{
    uint64_t begun;

    start_order("qry");
    service.silent = true;
    open_client(NULL);
    begun = now_ms();
    cr_assert_eq(ask("order", "qry", 200), EVT_BUSY);
    cr_assert_geq(now_ms() - begun, 190);
    cr_assert_lt(now_ms() - begun, 10000);
    service.silent = false; /* the old answer is not taken for the new one */
    for (int i = 0; i < 5; i++)
        cr_assert_eq(ask("order", "qry", 5000), EVT_OK);
}

/* A REQ socket of NNG's that resends after a tenth of a second, not after a
 * minute, unless it is told otherwise; the rest of the test finds it first. */
int nng_req0_open(nng_socket *socket)
{
    int (*open_req)(nng_socket *) = NULL;
    int rc;

    *(void **)&open_req = dlsym(RTLD_NEXT, "nng_req0_open");
    rc = open_req(socket);
    return rc != 0 ? rc
                   : nng_socket_set_ms(*socket, NNG_OPT_REQ_RESENDTIME, 100);
}

Test(client, however_long_it_waits_a_request_is_sent_once)
{
    start_order("qry");
    service.deaf = true;
    open_client(NULL);
    cr_assert_eq(ask("order", "qry", 1000), EVT_BUSY);
    cr_assert_eq(service.taken, 1);
}

/* How many more dialers find that the peer hung up before they said a word, as
 * a listener does that is closed just then. */
static atomic_int hang_up;

/* By what NNG sends; the end that dialled has no name. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t (*really)(int, const struct msghdr *, int) = NULL;
    struct sockaddr_un name;
    socklen_t bytes = sizeof name;

    if (hang_up > 0 && getsockname(fd, (struct sockaddr *)&name, &bytes) == 0 &&
        bytes == sizeof name.sun_family) {
        hang_up--;
        errno = EPIPE;
        return -1;
    }
    *(void **)&really = dlsym(RTLD_NEXT, "sendmsg");
    return really(fd, message, flags);
}

/* VICE_DEAD_DIALER: neither of the first two would ever dial again. */
Test(client, a_dialer_that_was_hung_up_on_keeps_nobody_waiting) /* F36 real */
{
    char url[sizeof directory + 32];

    take_endpoint();
    snprintf(url, sizeof url, "ipc://%s/run/order.qry", directory);
    start_service(url); /* it listens anew by that name */
    open_client(NULL);
    nng_leaks = has_vice(VICE_DEAF_LISTENER); /* the other end of it */
    hang_up = 2;
    cr_assert_eq(ask("order", "qry", 20000), EVT_OK);
    cr_assert_eq(hang_up, 0);
}

static void *ask_order(void *rc)
{
    *(enum evt_status *)rc = ask("order", "qry", 20000);
    return NULL;
}

Test(client, a_request_whose_connection_was_lost_is_sent_again)
{
    enum evt_status rc = EVT_IO;
    uint64_t begun = now_ms();
    pthread_t asking;

    start_order("qry");
    service.deaf = true;
    open_client(NULL);
    cr_assert_eq(pthread_create(&asking, NULL, ask_order, &rc), 0);
    while (service.taken == 0)
        cr_assert_lt(now_ms() - begun, 20000, "no request");
    stop_service();
    service.deaf = false;
    cr_assert_eq(chdir(directory), 0);
    start_service("ipc://run/order.qry");
    cr_assert_eq(chdir("/"), 0);
    pthread_join(asking, NULL);
    cr_assert_eq(rc, EVT_OK);
}

Test(client, commands_are_answered_in_order)
{
    struct command commands[COMMANDS_PER_REQUEST] = {{.type = NO_MESSAGE}};
    struct answer answers[COMMANDS_PER_REQUEST];

    start_order("cmd");
    open_client(NULL);
    for (size_t i = 0; i < COMMANDS_PER_REQUEST; i++) {
        commands[i].type = CANCEL_ORDER;
        client_new_id("c", commands[i].command_id);
    }
    memset(answers, 0x7f, sizeof answers);
    cr_assert_eq(client_command(client, "order", commands, COMMANDS_PER_REQUEST,
                                5000, answers),
                 EVT_OK);
    for (size_t i = 0; i < COMMANDS_PER_REQUEST; i++) {
        cr_assert_eq(answers[i].code, ANSWER_DONE);
        cr_assert_eq(answers[i].at.seq, i + 1);
    }
}

/* HC55: both ends reach a directory whose path no socket address can hold. */
Test(client, a_service_in_a_very_long_path_is_reached)
{
    for (int i = 0; i < 3; i++) {
        size_t length = strlen(directory);

        snprintf(directory + length, sizeof directory - length, "/%0100d", i);
        cr_assert_eq(mkdir(directory, 0700), 0);
    }
    cr_assert_gt(strlen(directory), 300);
    start_order("qry");
    open_client(NULL);
    cr_assert_eq(ask("order", "qry", 5000), EVT_OK);
}

/* One connection that stays open and says nothing; then the real service. */
Test(client, whoever_did_not_answer_is_dialled_anew)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX,
                                  .sun_path = "run/order.qry"};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), mute;

    take_endpoint();
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address),
                 0);
    cr_assert_eq(listen(listener, 8), 0);
    open_client(NULL);
    cr_assert_eq(ask("order", "qry", 300), EVT_BUSY);
    mute = accept(listener, NULL, NULL);
    cr_assert(mute >= 0);
    close(listener);
    cr_assert_eq(unlink("run/order.qry"), 0);
    start_service("ipc://run/order.qry");
    cr_assert_eq(ask("order", "qry", 5000), EVT_OK);
    close(mute);
}

Test(client, a_lone_read_side_is_asked_in_its_own_directory)
{
    json_t *request = json_pack("{s:i}", "get", 7), *reply = NULL;

    cr_assert_eq(
        client_ask_read_side(directory, "order", request, 5000, &reply),
        EVT_NONE);
    cr_assert_eq(chdir(directory), 0);
    start_service("ipc://order.qry");
    /* a socket alone is nobody: a read side holds its directory */
    cr_assert_eq(
        client_ask_read_side(directory, "order", request, 5000, &reply),
        EVT_NONE);
    service.lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(flock(service.lock, LOCK_EX | LOCK_NB), 0);
    cr_assert_eq(
        client_ask_read_side(directory, "order", request, 5000, &reply),
        EVT_OK);
    cr_assert(json_equal(json_object_get(reply, "answer"), request));
    json_decref(reply);
    json_decref(request);
}

/* Some port that is free, with room for all services. */
static int start_tcp(void)
{
    struct bus_config config = {.pub_url = NULL};
    unsigned seed = (unsigned)getpid() * 7919u;

    for (int tries = 0; tries < 50; tries++) {
        int port = 20000 + (int)((seed += 101) % 30000);
        char url[64], why[256];

        snprintf(url, sizeof url, "tcp://127.0.0.1:%d", port + 1);
        config.rep_url = url; /* order is the first service, cmd its second */
        if (bus_open(&config, &service.bus, why, sizeof why) != EVT_OK)
            continue;
        cr_assert_eq(pthread_create(&service.thread, NULL, serve, NULL), 0);
        return port;
    }
    cr_assert(false, "no port is free");
    return 0;
}

Test(client, over_tcp_it_finds_the_port)
{
    uint64_t begun;
    char bus[64];

    snprintf(bus, sizeof bus, "tcp://127.0.0.1:%d", start_tcp());
    open_client(bus);
    cr_assert_eq(ask("order", "cmd", 5000), EVT_OK);
    begun = now_ms();
    cr_assert_eq(ask("order", "qry", 20000), EVT_NONE);
    cr_assert_lt(now_ms() - begun, 5000);
}

/* ---- addresses and ids --------------------------------------------------- */

Test(client, only_loopback_is_a_bus)
{
    static const char *const bad[] = {"",
                                      "tcp://",
                                      "tcp://0.0.0.0:7000",
                                      "tcp://10.0.0.1:7000",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:",
                                      "tcp://127.0.0.1:x",
                                      "tcp://127.0.0.1:7000x",
                                      "tcp://127.0.0.1:7000/",
                                      "tcp://127.0.0.1:1023",
                                      "tcp://127.0.0.1:0",
                                      "tcp://127.0.0.1:-7000",
                                      "tcp://127.0.0.1:65488",
                                      "tcp://127.0.0.1:99999999999999999999",
                                      "tcp://127.0.0.1.evil.example:7000",
                                      "ipc:///tmp/x",
                                      "tls+tcp://127.0.0.1:7000"};
    int port = -1;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char why[256] = "";

        cr_assert_not(address_parse_bus(bad[i], &port), "%s", bad[i]);
        cr_assert_eq(client_open(&shop_domain, directory, bad[i], &client, why,
                                 sizeof why),
                     EVT_BAD);
        cr_assert_null(client);
        cr_assert_not_null(strstr(why, "tcp://127.0.0.1:PORT"), "%s", why);
    }
    cr_assert_eq(port, -1);
    cr_assert(address_parse_bus("tcp://127.0.0.1:65487", &port));
    cr_assert_eq(port, 65487, "its last port is 65534");
    cr_assert(address_parse_bus("tcp://localhost:1024", &port));
    cr_assert_eq(port, 1024);
}

Test(client, ids_are_plain_distinct_and_sorted_by_time)
{
    static char ids[2000][ID_BYTES];
    struct timespec pause = {.tv_nsec = 2000000};
    char later[ID_BYTES];

    for (size_t i = 0; i < 2000; i++) {
        client_new_id("o", ids[i]);
        cr_assert(text_is_id(ids[i], ID_BYTES), "%s", ids[i]);
        cr_assert_eq(strlen(ids[i]), 20);
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(ids[i], ids[k]);
    }
    nanosleep(&pause, NULL); /* the next millisecond is another prefix */
    client_new_id("o", later);
    cr_assert_gt(strncmp(later, ids[1999], 12), 0);
}

/* ---- options ------------------------------------------------------------- */

static struct options options;

/* Reads "a b c" as order-svc's command line; the exit code, or -1. */
static int read_line(const char *line)
{
    static char words[256];
    char *argv[16] = {words};
    int argc = 0, code = 77;

    snprintf(words, sizeof words, "order-svc %s", line);
    for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " "))
        argv[argc++] = w;
    optind = 0; /* getopt starts anew */
    if (options_read(&options, &order_service, argc, argv, &code)) {
        cr_assert_eq(code, 0);
        return -1;
    }
    return code;
}

static void no_environment(void)
{
    unsetenv("SAGA_DIR");
    unsetenv("SAGA_BUS");
}

Test(options, everything_has_a_default, .init = no_environment)
{
    cr_assert_eq(read_line(""), -1);
    cr_assert_str_eq(options.directory, "./var");
    cr_assert_null(options.read_side);
    cr_assert_eq(options.port, 0);
    cr_assert_not(options.faults);
    cr_assert_not(options.verbose);
    cr_assert_eq(options.timer_ms[0], 30000);
}

Test(options, every_option_is_read, .init = no_environment)
{
    cr_assert_eq(read_line("--dir /d --bus tcp://127.0.0.1:7000 --faults"
                           " --read-side /r --verbose --order-deadline-ms 250"),
                 -1);
    cr_assert_str_eq(options.directory, "/d");
    cr_assert_str_eq(options.read_side, "/r");
    cr_assert_eq(options.port, 7000);
    cr_assert(options.faults);
    cr_assert(options.verbose);
    cr_assert_eq(options.timer_ms[0], 250);
}

Test(options, the_environment_stands_in, .init = no_environment)
{
    setenv("SAGA_DIR", "/from/env", 1);
    setenv("SAGA_BUS", "tcp://127.0.0.1:7100", 1);
    cr_assert_eq(read_line(""), -1);
    cr_assert_str_eq(options.directory, "/from/env");
    cr_assert_eq(options.port, 7100);
    cr_assert_eq(read_line("--dir /d --bus tcp://127.0.0.1:7000"), -1);
    cr_assert_str_eq(options.directory, "/d");
    cr_assert_eq(options.port, 7000);
    setenv("SAGA_DIR", "", 1);
    setenv("SAGA_BUS", "", 1);
    cr_assert_eq(read_line(""), -1);
    cr_assert_str_eq(options.directory, "./var");
    cr_assert_eq(options.port, 0);
}

Test(options, what_makes_no_sense_ends_it, .init = no_environment)
{
    static const struct {
        const char *line;
        int code;
    } lines[] = {{"--no-such", 64},
                 {"--dir", 64},
                 {"argument", 64},
                 {"--order-deadline-ms 0", 64},
                 {"--order-deadline-ms -5", 64},
                 {"--order-deadline-ms 5s", 64},
                 {"--order-deadline-ms 604800001", 64},
                 {"--order-deadline-ms 99999999999999999999", 64},
                 {"--order-deadline-ms x", 64},
                 {"--bus tcp://10.0.0.1:7000", 64},
                 {"--bus ipc:///tmp/x", 64},
                 {"--help", 0},
                 {"--version", 0}};

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_assert_eq(read_line(lines[i].line), lines[i].code, "%s",
                     lines[i].line);
    cr_assert_eq(read_line("--order-deadline-ms 604800000"), -1, "a week");
}
