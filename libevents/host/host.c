/* host.c - a service in the real world: files, locks, signals, two loops.
 *
 * The write loop feeds the shell, the read loop the read side; neither
 * knows more of the world than env.  An I/O error in either ends the process at
 * once: a failed commit may be on the disk all the same, so nothing is
 * answered, published or retried before a new start has read what is true.
 * Options are in options.c, requests to the process in process.c, what it says
 * about itself in status.c, sockets in net/bus.c. */
#include "host/host.h"

#include "base/fault.h"
#include "base/logger.h"
#include "core/describe.h"
#include "host/clock.h"
#include "host/datadir.h"
#include "host/frame_faults.h"
#include "host/options.h"
#include "host/presence.h"
#include "host/process.h"
#include "host/status.h"
#include "log/syncs.h"
#include "net/bus.h"
#include "read/projection.h"
#include "write/shell.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    WATCH_EVERY_MS = 250,
    LINGER_MS = 200, /* a view is that much late when nobody asks */
    SLOW_MS = 100,
    TRY_EVERY_MS = 100, /* what is waited for at the start */
    SAY_EVERY_TRIES = 60
};

struct host {
    const struct service *service;
    const struct view *view;
    struct options options;
    struct datadir datadir; /* directories and locks */
    int signal_fd;
    struct presence presence; /* of the log's files */
    struct process process;
    struct status status;

    struct bus *write_bus;
    struct env write_env;
    struct shell *shell;
    struct frame_faults frame_faults;

    /* The read side's links to ourselves and to those whom the write side
     * hears: their frames are passed on; -1: it does not follow them. */
    int own_link, passed_links[LINKS_MAX];
    struct bus *read_bus;
    struct env read_env;
    struct projection_config projection_config;
    json_t *description;
    struct projection *reader;
    pthread_t read_thread;
};

/* ---- env ---- */

static void real_random(void *ctx, void *bytes, size_t count)
{
    (void)ctx;
    randombytes_buf(bytes, count);
}

/* What is published to others is passed to our own read side. */
static void write_send(void *ctx, enum channel channel, uint64_t to,
                       const void *bytes, size_t count)
{
    struct host *host = ctx;

    if (channel == TO_SUBSCRIBERS && host->own_link >= 0)
        bus_pass(host->read_bus, (uint64_t)host->own_link, bytes, count);
    bus_send(host->write_bus, channel, to, bytes, count);
}

static void read_send(void *ctx, enum channel channel, uint64_t to,
                      const void *bytes, size_t count)
{
    struct host *host = ctx;

    bus_send(host->read_bus, channel, to, bytes, count);
}

static const struct env real_env = {
    .mono_ms = clock_mono_ms, .wall_ms = clock_wall_ms, .random = real_random};

/* The one way out after an I/O error. */
static _Noreturn void die(const char *side, const char *why)
{
    logger_fact(LOG_ERROR, NULL, NULL, "%s: %s: exiting at once", side, why);
    _exit(74);
}

static bool stopping(struct host *host)
{
    return atomic_load(&host->process.stopping);
}

/* ---- the two loops ---- */

/* How long to wait, so that shell or reader, watchdog and delayed frames
 * get their turn in time. */
static int timeout_until(uint64_t wake_ms)
{
    uint64_t now = clock_mono_ms(NULL);

    if (wake_ms <= now)
        return 0;
    return wake_ms - now < WATCH_EVERY_MS ? (int)(wake_ms - now)
                                          : WATCH_EVERY_MS;
}

static const char *lost_file(void *ctx)
{
    struct host *host = ctx;

    return presence_lost(&host->presence);
}

/* What the write side hears the read side need not hear for itself. */
static void pass_on(struct host *host, const struct input inputs[],
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (inputs[i].kind == INPUT_FRAME &&
            host->passed_links[inputs[i].from] >= 0)
            bus_pass(host->read_bus,
                     (uint64_t)host->passed_links[inputs[i].from],
                     inputs[i].bytes, inputs[i].count);
}

static void write_step(struct host *host, struct input inputs[],
                       struct input sifted[])
{
    size_t count = bus_gather(host->write_bus, inputs, INPUTS_MAX);

    pass_on(host, inputs, count);
    count = frame_faults_apply(&host->frame_faults, inputs, count, sifted);
    if (count > 0 && fault_fires("handler/slow"))
        (void)usleep(SLOW_MS * 1000);
    if (shell_step(host->shell, sifted, count) != EVT_OK)
        die("write side", shell_error(host->shell));
    bus_release(host->write_bus);
    frame_faults_release(&host->frame_faults);
    status_share(&host->status, host->shell, host->write_bus);
}

/* Whether a signal tells us to stop.  SIGHUP is for the log file, unless the
 * terminal that shows the log has hung up. */
static bool told_to_stop(int signal_fd)
{
    struct signalfd_siginfo info;

    if (read(signal_fd, &info, sizeof info) != sizeof info)
        return false;
    if (info.ssi_signo != SIGHUP || isatty(STDERR_FILENO))
        return true;
    logger_reopen();
    return false;
}

static void write_loop(struct host *host)
{
    struct input *inputs = calloc(INPUTS_MAX, sizeof *inputs);
    struct input *sifted = calloc(2 * INPUTS_MAX + DELAYED_MAX, sizeof *sifted);
    uint64_t watched_ms = 0;

    if (inputs == NULL || sifted == NULL)
        abort();
    while (!stopping(host)) {
        uint64_t wake = shell_wake_ms(host->shell), now;
        uint64_t delayed = frame_faults_wake_ms(&host->frame_faults);

        if (delayed < wake)
            wake = delayed;
        if (bus_wait(host->write_bus, host->signal_fd, timeout_until(wake)) &&
            told_to_stop(host->signal_fd))
            atomic_store(&host->process.stopping, true);
        now = clock_mono_ms(NULL);
        if (now >= watched_ms + WATCH_EVERY_MS || watched_ms == 0) {
            if (!datadir_mend(&host->datadir, host->service->name))
                die("write side", "another process has taken its address");
            bus_watch(host->write_bus, now);
            watched_ms = now;
        }
        write_step(host, inputs, sifted);
    }
    frame_faults_close(&host->frame_faults);
    free(sifted);
    free(inputs);
}

/* Nothing but questions, where a fault keeps all else from the read side. */
static size_t sift_for_view(struct input inputs[], size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (inputs[i].kind == INPUT_REQUEST || !fault_fires("view/drop"))
            inputs[kept++] = inputs[i];
    return kept;
}

static void read_loop(struct host *host)
{
    struct input *inputs = calloc(INPUTS_MAX, sizeof *inputs);
    uint64_t watched_ms = 0;

    if (inputs == NULL)
        abort();
    while (!stopping(host)) {
        int fd = host->shell == NULL ? host->signal_fd : -1;
        int timeout = timeout_until(projection_wake_ms(host->reader));
        uint64_t now;
        size_t count;

        if (bus_wait(host->read_bus, fd, timeout) && told_to_stop(fd))
            atomic_store(&host->process.stopping, true);
        if (!projection_awaited(host->reader) && bus_may_linger(host->read_bus))
            (void)bus_wait(host->read_bus, -1, LINGER_MS);
        now = clock_mono_ms(NULL);
        if (now >= watched_ms + WATCH_EVERY_MS || watched_ms == 0) {
            bus_watch(host->read_bus, now);
            watched_ms = now;
        }
        count = bus_gather(host->read_bus, inputs, INPUTS_MAX);
        count = sift_for_view(inputs, count);
        if (projection_step(host->reader, inputs, count) != EVT_OK)
            die("read side", projection_error(host->reader));
        bus_release(host->read_bus);
    }
    free(inputs);
}

static void *read_thread(void *ctx)
{
    (void)pthread_setname_np(pthread_self(), "read-side"); /* for top -H */
    read_loop(ctx);
    return NULL;
}

/* ---- opening ---- */

/* What a failure to open a database means for the one who started us. */
static int exit_code_of(enum evt_status status)
{
    return status == EVT_BUSY                         ? 75
           : status == EVT_NEWER || status == EVT_BAD ? 65
                                                      : 74;
}

static int complain(const struct host *host, enum evt_status status,
                    const char *why)
{
    logger_fact(LOG_ERROR, NULL, NULL, "%s-svc: %s", host->service->name, why);
    return exit_code_of(status);
}

/* A database that another program locks, and a disk that is full, are waited
 * for, however long: to leave would mend neither, and count as a death.  False:
 * @rc is something else, or we are to stop. */
static bool outwaits(struct host *host, enum evt_status rc, const char *path,
                     const char *why, unsigned *tries)
{
    char holders[128] = "no room";

    if (rc != EVT_BUSY && rc != EVT_FULL)
        return false;
    if ((*tries)++ % SAY_EVERY_TRIES == 0) { /* to look takes long */
        if (rc == EVT_BUSY)
            datadir_holders(path, holders, sizeof holders);
        logger_fact(LOG_WARN, NULL, NULL, "waiting: %s (%s)", why, holders);
    }
    if (poll(&(struct pollfd){.fd = host->signal_fd, .events = POLLIN}, 1,
             TRY_EVERY_MS) > 0 &&
        told_to_stop(host->signal_fd))
        atomic_store(&host->process.stopping, true);
    return !stopping(host);
}

static int open_shell(struct host *host)
{
    const char *path = host->datadir.log_path;
    struct shell_config config = {.path = path,
                                  .timer_ms = host->options.timer_ms,
                                  .routes = process_routes,
                                  .routes_ctx = &host->process,
                                  .lost = lost_file,
                                  .lost_ctx = host};
    char why[STORE_WHY_BYTES] = "";
    unsigned tries = 0;
    enum evt_status rc;

    do
        rc = shell_open(host->service, &host->write_env, &config, &host->shell,
                        why);
    while (outwaits(host, rc, path, why, &tries));
    if (stopping(host))
        return 0;
    if (rc != EVT_OK)
        return complain(host, rc, why);
    if (!presence_open(&host->presence, host->datadir.locks[0], path))
        return complain(host, EVT_IO, "its files were deleted at the start");
    return 0;
}

static int open_write_side(struct host *host)
{
    struct bus_config config = {.pub_url = host->datadir.pub_url,
                                .rep_url = host->datadir.cmd_url};
    char why[STORE_WHY_BYTES];
    enum evt_status rc;

    for (const char *const *name = host->service->listens_to; *name; name++) {
        size_t i = config.link_count++;

        config.sub_urls[i] = datadir_url(&host->datadir, *name, "pub");
        config.req_urls[i] = datadir_url(&host->datadir, *name, "qry");
    }
    rc = bus_open(&config, &host->write_bus, why, sizeof why);
    if (rc != EVT_OK)
        return complain(host, rc, why);
    host->write_env = real_env;
    host->write_env.ctx = host;
    host->write_env.send = write_send;
    frame_faults_declare();
    fault_declare("handler/slow", "a step with input waits 100 ms first");
    return open_shell(host);
}

/* Whether the write side has the frames of @name, to pass them on to @link. */
static bool pass_link(struct host *host, const char *name, int link)
{
    const char *const *heard = host->service->listens_to;

    if (host->shell == NULL)
        return false;
    if (strcmp(name, host->service->name) == 0) {
        host->own_link = link;
        return true;
    }
    for (size_t i = 0; heard[i] != NULL; i++)
        if (strcmp(name, heard[i]) == 0) {
            host->passed_links[i] = link;
            return true;
        }
    return false;
}

static int open_read_side(struct host *host)
{
    struct bus_config bus = {.rep_url = host->datadir.qry_url};
    struct projection_config *config = &host->projection_config;
    char why[STORE_WHY_BYTES];
    unsigned tries = 0;
    enum evt_status rc;
    size_t count = 0;

    *config = (struct projection_config){
        .service = host->service->name,
        .log_path = host->shell == NULL ? NULL : host->datadir.log_path,
        .directory = host->datadir.view_directory,
        .description = host->description,
        .add_status = status_add,
        .ctx = &host->status};
    while (host->view->sources[count] != NULL)
        count++;
    for (size_t i = 0; i < 2 * count; i++) { /* again, to rebuild through */
        const char *name = host->view->sources[i % count];

        bus.sub_urls[i] = i < count && !pass_link(host, name, (int)i)
                              ? datadir_url(&host->datadir, name, "pub")
                              : NULL;
        bus.req_urls[i] = datadir_url(&host->datadir, name, "qry");
        bus.link_count++;
    }
    fault_declare("view/drop", "a frame or a reply for the view is dropped");
    rc = bus_open(&bus, &host->read_bus, why, sizeof why);
    if (rc != EVT_OK)
        return complain(host, rc, why);
    host->read_env = real_env;
    host->read_env.ctx = host;
    host->read_env.send = read_send;
    do
        rc = projection_open(host->view, &host->read_env, config, &host->reader,
                             why);
    while (outwaits(host, rc, config->directory, why, &tries));
    return rc == EVT_OK || stopping(host) ? 0 : complain(host, rc, why);
}

/* What this process says about itself, to those who ask and, for when it is
 * down, in its data directory.  A description that cannot be left there keeps
 * nobody from an order. */
static void describe(struct host *host)
{
    struct shell_status status;
    char *text;

    if (host->shell != NULL)
        shell_status(host->shell, &status);
    host->description =
        describe_service(host->service, host->view->name, host->view->sources,
                         host->shell != NULL ? status.log_id : NULL);
    text = json_dumps(host->description, JSON_INDENT(1));
    assert(text != NULL);
    assert(strlen(text) <= DESCRIPTION_MAX);
    if (host->shell != NULL && !datadir_describe(host->service->name, text))
        logger_fact(LOG_WARN, NULL, NULL,
                    "%s/service.json cannot be written: %s",
                    host->service->name, strerror(errno));
    free(text);
}

/* Signals are blocked before NNG starts its threads, which inherit that. */
static void prepare_process(struct host *host)
{
    struct rlimit files;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    host->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN); /* mean nothing, and end nobody */
    signal(SIGUSR2, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* EFBIG says it, too: the disk is full */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* strangers hold connections */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int run(struct host *host)
{
    int code = 0;

    if (host->options.read_side == NULL)
        code = open_write_side(host);
    if (code == 0 && !stopping(host)) {
        describe(host);
        code = open_read_side(host);
    }
    if (code != 0 || stopping(host))
        return code;
    if (host->shell == NULL) {
        logger_fact(LOG_INFO, NULL, NULL, "read side running");
        read_loop(host);
        return 0;
    }
    status_share(&host->status, host->shell, host->write_bus);
    if (pthread_create(&host->read_thread, NULL, read_thread, host) != 0)
        return complain(host, EVT_IO, "cannot start the read side's thread");
    logger_fact(LOG_INFO, NULL, NULL, "running, log at event %llu",
                (unsigned long long)host->status.shell.head_seq);
    write_loop(host);
    bus_wake(host->read_bus);
    pthread_join(host->read_thread, NULL);
    return 0;
}

/* Ends what is written to disk.  Sockets and locks are left to the end of the
 * process: nothing is to be told by them any more, and nng_close may not end
 * (close_bounded.h). */
static void leave(struct host *host, int code)
{
    projection_close(host->reader);
    json_decref(host->description);
    shell_close(host->shell);
    logger_fact(LOG_INFO, NULL, NULL, "ended, exit code %d", code);
}

/* Tables that nobody can run by: 70, having said why. */
static int refuse_tables(const struct service *service, const struct view *view)
{
    char why[SERVICE_WHY_BYTES] = "its view has no domain";

    if (service_check(service, why) && view->domain != NULL)
        return 0;
    fprintf(stderr,
            "%s-svc: it was built with tables that it cannot run by: "
            "%s\n",
            service->name, why);
    return 70;
}

int host_main(int argc, char **argv, const struct service *service,
              const struct view *view)
{
    static struct host the_host; /* NNG's threads use it to the very end */
    struct host *host = &the_host;
    int code = 0;

    if (sodium_init() < 0)
        abort();
    store_quicken();
    syncs_count();
    code = refuse_tables(service, view);
    if (code != 0)
        return code;
    host->service = service;
    host->view = view;
    host->own_link = -1;
    for (size_t i = 0; i < LINKS_MAX; i++)
        host->passed_links[i] = -1;
    if (options_read(&host->options, service, argc, argv, &code)) {
        logger_open(service->name,
                    host->options.verbose ? LOG_DEBUG : LOG_INFO);
        fault_open(host->options.faults);
        host->process.faults = host->options.faults;
        status_open(&host->status, service->name, host->options.faults);
        prepare_process(host);
        code = datadir_take(&host->datadir, service->name,
                            service->domain->services, &host->options);
        if (code == 0) {
            code = run(host);
            leave(host, code);
        }
    }
    return code;
}
