/* start.c - see start.h.  Starts order-svc alone, as a person would: spawns it,
 * asks until it answers, ends it by its pid. */
#include "start.h"

#include "clock.h"
#include "net/client.h"
#include "net/nng/close_bounded.h"

#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 60000, LOOK_US = 200 };

static pid_t running;
static int directory_fd = -1;

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "start: %s: %s\n", what, why);
    exit(74);
}

static double now_ms(void)
{
    return (double)clock_ns() / 1e6;
}

static void pause_us(long us)
{
    struct timespec t = {.tv_nsec = us * 1000};

    nanosleep(&t, NULL);
}

uint64_t memory_kib(int pid)
{
    char path[64], line[128] = "", *second;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    second = strchr(line, ' '); /* all of it, then what is in memory */
    return second == NULL ? 0 : strtoull(second, NULL, 10) * 4;
}

static void kill_it(void)
{
    if (running > 0)
        kill(running, SIGKILL);
}

/* What it logs goes to a file beside its data. */
static void spawn(const char *program, const char *directory)
{
    static char dir_option[] = "--dir";
    char log[4096], name[4096], dir[4096];
    char *argv[] = {name, dir_option, dir, NULL};
    posix_spawn_file_actions_t actions;
    int rc;

    snprintf(name, sizeof name, "%s", program);
    snprintf(dir, sizeof dir, "%s", directory);
    snprintf(log, sizeof log, "%s/service.log", directory);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log,
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    rc = posix_spawn(&running, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        running = 0;
        fail(program, strerror(rc));
    }
}

static void must_run(double begun)
{
    if (waitpid(running, NULL, WNOHANG) != 0) {
        running = 0;
        fail("the service", "has ended, see service.log");
    }
    if (now_ms() > begun + START_MS)
        fail("the service", "does not answer");
}

/* Dials again and again: client.h would leave that to NNG, which waits longer
 * from try to try. */
static void until_it_answers(const char *name, const char *request)
{
    double begun = now_ms();
    nng_socket socket;
    nng_msg *msg;
    char url[128];

    snprintf(url, sizeof url, "ipc:///proc/self/fd/%d/run/order.%s",
             directory_fd, name);
    if (nng_req0_open(&socket) != 0 ||
        nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX) != 0 ||
        nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, START_MS) != 0)
        fail(url, "no socket");
    while (nng_dial(socket, url, NULL, 0) != 0) {
        must_run(begun);
        pause_us(LOOK_US);
    }
    if (nng_msg_alloc(&msg, 0) != 0 ||
        nng_msg_append(msg, request, strlen(request)) != 0 ||
        nng_sendmsg(socket, msg, 0) != 0 || nng_recvmsg(socket, &msg, 0) != 0)
        fail(url, "does not answer");
    nng_msg_free(msg);
    close_bounded(socket);
}

double start_service(const char *program, const char *directory)
{
    double begun = now_ms();

    if (directory_fd < 0) {
        unsetenv("SAGA_BUS");
        atexit(kill_it);
        directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    spawn(program, directory);
    until_it_answers("qry", "{\"get\":\"status\"}");
    until_it_answers("cmd", "{\"get\":\"faults\"}");
    return now_ms() - begun;
}

void start_catch_up(const char *directory, uint64_t seq)
{
    json_t *request = json_pack("{s:s}", "get", "status");
    struct client *client = NULL;
    double begun = now_ms();
    json_int_t have = 0;
    char why[256];

    if (client_open(NULL, directory, NULL, &client, why, sizeof why) != EVT_OK)
        fail(directory, why);
    while ((uint64_t)have < seq) {
        json_t *status = NULL;

        if (client_ask(client, "order", "qry", request, 1000, &status) ==
            EVT_OK)
            (void)json_unpack(status, "{s:{s:{s:{s:I}}}}", "view", "positions",
                              "order", "seq", &have);
        json_decref(status);
        must_run(begun + (double)seq); /* 1,000 a second at least */
        pause_us(50000);
    }
    json_decref(request);
    client_close(client);
}

uint64_t start_memory_kib(void)
{
    return memory_kib(running);
}

void start_end(void)
{
    int status;

    kill(running, SIGTERM);
    if (waitpid(running, &status, 0) != running || status != 0)
        fail("the service", "did not end well, see service.log");
    running = 0;
}
