/* main.c - saga-web: shows the services of a data directory to a browser.
 *
 * `saga web` and `./run.sh --web` start it.  It listens on 127.0.0.1, prints a
 * link with the token of this start, and runs until a signal ends it.  It holds
 * the lock of `web` in the data directory, so that `saga pids` and
 * `saga shutdown` find it, and a second one is refused.  Next: guard.h for who
 * may ask, server.c for how they are answered, follow.c for what they see. */
#include "saga-cli/saga_main.h"
#include "saga-cli/web.h"
#include "saga-web/metrics.h"
#include "saga-web/promises.h"
#include "saga-web/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The descriptor that holds the lock, or -1: it was reported as *code. */
static int take_lock(const struct saga *saga, int *code)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof path, "%s/web", saga->directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        *code = saga_fail(saga, SAGA_IO, "%s: %s", path, strerror(errno));
        return -1;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0 && errno == EWOULDBLOCK)
        *code = saga_fail(saga, SAGA_TRY_AGAIN,
                          "a saga-web runs on %s; end it with './saga shutdown "
                          "--force web'",
                          saga->directory);
    else
        *code = saga_fail(saga, SAGA_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* What the commands that we run are to look at: what we do. */
static bool hand_on(const struct saga *saga)
{
    char directory[PATH_MAX];

    return realpath(saga->directory, directory) != NULL &&
           setenv("SAGA_DIR", directory, 1) == 0 &&
           (saga->bus == NULL || setenv("SAGA_BUS", saga->bus, 1) == 0);
}

static void print_link(const struct saga *saga, const struct server *server)
{
    char link[SERVER_LINK_BYTES];

    server_link(server, link);
    if (saga->json)
        saga_print_json(json_pack("{s:s}", "link", link));
    else
        puts(link);
    fflush(stdout);
}

/* What the page wants to know once. */
static void say_about(const struct saga *saga, struct server *server,
                      const struct server_options *options)
{
    server_say(server, "about",
               json_pack("{s:s,s:s,s:b,s:b}", "version", SAGA_VERSION,
                         "directory", saga->directory, "read_only",
                         options->read_only, "can_start",
                         options->run_sh != NULL),
               true);
}

static void follow_until(const sigset_t *ends, struct follow *follow,
                         struct metrics *metrics)
{
    const struct timespec tick = {.tv_nsec = FOLLOW_TICK_MS * 1000000L};

    do {
        follow_tick(follow);
        metrics_tick(metrics);
    } while (sigtimedwait(ends, NULL, &tick) < 0);
}

static int serve(struct saga *saga, const struct server_options *options,
                 const sigset_t *ends)
{
    struct promises *promises;
    struct metrics *metrics;
    struct server *server;
    struct follow *follow;
    enum evt_status rc = server_open(options, &server);

    if (rc == EVT_BUSY)
        return saga_fail(saga, SAGA_TRY_AGAIN,
                         "port %u of 127.0.0.1 is in use; take another one, or "
                         "any free one without --port",
                         options->port);
    if (rc != EVT_OK)
        return saga_fail(saga, SAGA_IO, "port %u of 127.0.0.1: %s",
                         options->port, strerror(errno));
    say_about(saga, server, options);
    follow = follow_open(saga, server);
    metrics = metrics_open(saga, server, follow);
    promises = promises_open(options->saga, server, options->stop);
    print_link(saga, server);
    follow_until(ends, follow, metrics);
    (void)eventfd_write(options->stop, 1);
    promises_close(promises);
    metrics_close(metrics);
    follow_close(follow);
    server_close(server);
    return SAGA_YES;
}

/* Only the main thread takes them, in follow_until(). */
static void block(sigset_t *ends)
{
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGINT);
    sigaddset(ends, SIGHUP);
    sigprocmask(SIG_BLOCK, ends, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run_serve(struct saga *saga)
{
    struct web_options web = {.port = 0};
    char program[PATH_MAX], run_sh[PATH_MAX];
    struct server_options options = {.saga = program};
    sigset_t ends;
    int code, lock;

    block(&ends); /* before any thread begins */
    code = saga_parse(saga, &web);
    if (code != SAGA_YES)
        return code;
    if (!saga_find_above("saga", program))
        return saga_fail(saga, SAGA_NOT_RUNNING, "no saga beside this program");
    if (!hand_on(saga))
        return saga_fail(saga, SAGA_IO, "%s: %s", saga->directory,
                         strerror(errno));
    options.run_sh = saga_find_above("run.sh", run_sh) ? run_sh : NULL;
    options.port = (unsigned)web.port;
    options.read_only = web.read_only;
    options.metrics_open = web.metrics_open;
    lock = take_lock(saga, &code);
    if (lock < 0)
        return code;
    options.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    code = serve(saga, &options, &ends);
    close(options.stop);
    close(lock);
    return code;
}

int main(int argc, char **argv)
{
    static struct verb verb_serve;
    static const struct verb *const verbs[] = {&verb_serve, NULL};
    static const struct saga_tool tool = {.verbs = verbs};
    static char name[] = "serve";
    char *words[WORDS_MAX + 3] = {argv[0], name};

    verb_serve = verb_web;
    verb_serve.name = name;
    verb_serve.run = run_serve;
    for (int i = 1; i < argc && i <= WORDS_MAX; i++)
        words[i + 1] = argv[i];
    return saga_main(argc <= WORDS_MAX ? argc + 1 : WORDS_MAX, words, &tool);
}
