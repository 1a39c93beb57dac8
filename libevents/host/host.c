/* host.c - a service in the real world: files, locks, signals, two loops.
 *
 * The write loop subscriptions the shell, the read loop the read side; neither
 * knows more of the world than env.  An I/O error in either ends the process at
 * once: a failed commit may be on the disk all the same, so nothing is
 * answered, published or retried before a new start has read what is true.
 * Options are in options.c, sockets in bus.c. */
#include "host/host.h"

#include "base/fault.h"
#include "base/logger.h"
#include "host/datadir.h"
#include "host/options.h"
#include "log/syncs.h"
#include "net/bus.h"
#include "write/modes.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    WATCH_EVERY_MS = 250,
    LINGER_MS = 200, /* a view is that much late when nobody asks */
    DELAY_MS = 300,
    SLOW_MS = 100,
    HELD_MAX = 256
};

/* A frame that the fault "frame/delay" holds back. */
struct held {
    uint64_t until_ms, from;
    uint8_t *bytes;
    size_t count;
};

struct host {
    const struct service *service;
    const struct view *view;
    struct options options;
    struct datadir datadir; /* directories and locks */
    int signal_fd;
    uint64_t started_ms;
    ino_t log_inode;

    struct bus *write_bus;
    struct env write_env;
    struct shell *shell;
    struct held held[HELD_MAX];
    size_t held_count;

    /* The read side's links to ourselves and to those whom the write side
     * hears: their frames are passed on; -1: it does not follow them. */
    int own_link, passed_links[LINKS_MAX];
    struct bus *read_bus;
    struct env read_env;
    struct projection_config projection_config;
    struct projection *reader;
    pthread_t read_thread;
    atomic_bool stopping;

    pthread_mutex_t mutex; /* guards what follows */
    struct shell_status status;
    struct bus_counts write_counts;
};

/* ---- env ---- */

static uint64_t real_mono_ms(void *ctx)
{
    struct timespec now;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t real_wall_ms(void *ctx)
{
    struct timespec now;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
    .mono_ms = real_mono_ms, .wall_ms = real_wall_ms, .random = real_random};

/* The one way out after an I/O error. */
static _Noreturn void die(const char *side, const char *why)
{
    logger_fact(LOG_ERROR, NULL, NULL, "%s: %s: leaving at once", side, why);
    _exit(74);
}

/* ---- status ---- */

static json_t *subscription_json(const struct subscription *sub, uint64_t now)
{
    char log_id[2 * LOG_ID_BYTES + 1];
    json_t *heard = sub->heard_ms == 0
                        ? json_null()
                        : json_integer((json_int_t)(now - sub->heard_ms));

    return json_pack(
        "{s:s,s:s,s:I,s:I,s:o,s:s,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}}",
        "source", sub->source, "log",
        text_hex(sub->cursor.at.log_id, LOG_ID_BYTES, log_id), "seq",
        (json_int_t)sub->cursor.at.seq, "head", (json_int_t)sub->head_seq,
        "heard_ms_ago", heard, "trouble", subscription_trouble(sub), "counts",
        "frames", (json_int_t)sub->counts.frames, "events",
        (json_int_t)sub->counts.events, "duplicates",
        (json_int_t)sub->counts.duplicates, "gaps",
        (json_int_t)sub->counts.gaps, "unchained",
        (json_int_t)sub->counts.unchained, "garbage",
        (json_int_t)sub->counts.garbage, "pulls", (json_int_t)sub->counts.pulls,
        "replies", (json_int_t)sub->counts.replies, "stale",
        (json_int_t)sub->counts.stale);
}

static void add_write_side(json_t *json, const struct shell_status *status,
                           const struct bus_counts *bus)
{
    char log_id[2 * LOG_ID_BYTES + 1];
    json_t *subscriptions = json_array();

    for (size_t i = 0; i < status->subscription_count; i++)
        json_array_append_new(
            subscriptions,
            subscription_json(&status->subscriptions[i], real_mono_ms(NULL)));
    json_object_set_new(
        json, "log",
        json_pack("{s:s,s:I}", "id",
                  text_hex(status->log_id, LOG_ID_BYTES, log_id), "head",
                  (json_int_t)status->head_seq));
    json_object_set_new(json, "state", json_string(modes[status->mode].state));
    json_object_set_new(json, "feeds", subscriptions);
    json_object_set_new(json, "timers_held",
                        json_boolean(status->timers_held != 0));
    json_object_set_new(
        json, "counts",
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
                  "commits", (json_int_t)status->commits, "appended",
                  (json_int_t)status->appended, "commands",
                  (json_int_t)status->commands, "refused",
                  (json_int_t)status->refused, "answered_busy",
                  (json_int_t)(status->answered_busy + bus->busy), "garbage",
                  (json_int_t)status->garbage, "parked",
                  (json_int_t)status->parked, "ignored",
                  (json_int_t)status->ignored, "snapshots",
                  (json_int_t)status->snapshots, "states_cached",
                  (json_int_t)status->states_cached, "largest_batch",
                  (json_int_t)status->largest_batch, "redialled",
                  (json_int_t)bus->redialled, "relistened",
                  (json_int_t)bus->relistened));
}

static void add_status(void *ctx, json_t *json)
{
    struct host *host = ctx;
    struct shell_status status;
    struct bus_counts counts;

    json_object_set_new(json, "service", json_string(host->service->name));
    json_object_set_new(json, "pid", json_integer(getpid()));
    json_object_set_new(json, "version", json_string(SAGA_VERSION));
    json_object_set_new(
        json, "uptime_ms",
        json_integer((json_int_t)(real_mono_ms(NULL) - host->started_ms)));
    json_object_set_new(json, "faults", json_boolean(host->options.faults));
    json_object_set_new(json, "syncs", json_integer((json_int_t)syncs_total()));
    if (host->shell == NULL)
        return; /* a lone read side */
    pthread_mutex_lock(&host->mutex);
    status = host->status;
    counts = host->write_counts;
    pthread_mutex_unlock(&host->mutex);
    add_write_side(json, &status, &counts);
}

/* ---- controls that concern the process ---- */

static json_t *failed(int code, const char *why)
{
    return json_pack("{s:s,s:i}", "error", why, "code", code);
}

/* A whole number from 0 to @max, or @otherwise when it is left out; -1: no. */
static int number_of(const json_t *request, const char *name, int max,
                     int otherwise)
{
    const json_t *member = json_object_get(request, name);
    json_int_t value = json_integer_value(member);

    if (member == NULL)
        return otherwise;
    return json_is_integer(member) && value >= 0 && value <= max ? (int)value
                                                                 : -1;
}

static json_t *set_fault(const json_t *request, bool enabled)
{
    const char *point = json_string_value(json_object_get(request, "point"));
    int after = number_of(request, "after", 1000000, 0);
    int times = number_of(request, "times", 1000000, 0);
    int percent = number_of(request, "percent", 100, 100);

    if (!enabled)
        return failed(1, "faults are off here: start it with --faults");
    if (point == NULL || after < 0 || times < 0 || percent < 1)
        return failed(64, "a point, and numbers from 0 on");
    if (fault_set(point, (unsigned)after, (unsigned)times, (unsigned)percent) !=
        EVT_OK)
        return failed(66, "no such fault point ('./saga fault ls' shows all)");
    logger_fact(LOG_WARN, NULL, NULL, "fault set: %s", point);
    return json_pack("{s:b}", "done", 1);
}

static json_t *clear_fault(const json_t *request)
{
    const json_t *point = json_object_get(request, "point");

    if (point != NULL && !json_is_string(point))
        return failed(64, "a point is text");
    if (fault_clear(json_string_value(point)) != EVT_OK)
        return failed(66, "no such fault point ('./saga fault ls' shows all)");
    logger_fact(LOG_WARN, NULL, NULL, "fault cleared: %s",
                point == NULL ? "all" : json_string_value(point));
    return json_pack("{s:b}", "done", 1);
}

/* The answer to a control of the process; NULL: it is the shell's. */
static json_t *control(struct host *host, const json_t *request)
{
    const char *what = json_string_value(json_object_get(request, "do"));
    const char *get = json_string_value(json_object_get(request, "get"));

    if (get != NULL && strcmp(get, "faults") == 0)
        return json_pack("{s:b,s:o}", "enabled", host->options.faults, "faults",
                         fault_list());
    if (what == NULL)
        return NULL;
    if (strcmp(what, "fault-set") == 0)
        return set_fault(request, host->options.faults);
    if (strcmp(what, "fault-clear") == 0)
        return clear_fault(request);
    if (strcmp(what, "shutdown") != 0)
        return NULL;
    atomic_store(&host->stopping, true);
    return json_pack("{s:b}", "done", 1);
}

/* Answers @input if it is for the process and not for the shell. */
static bool take_control(struct host *host, const struct input *input)
{
    json_t *request, *reply;
    char *text;

    if (input->kind != INPUT_REQUEST || input->count == 0 ||
        *(const char *)input->bytes != '{')
        return false;
    request =
        json_loadb(input->bytes, input->count, JSON_REJECT_DUPLICATES, NULL);
    reply = control(host, request);
    json_decref(request);
    if (reply == NULL)
        return false;
    text = json_dumps(reply, JSON_COMPACT);
    bus_send(host->write_bus, TO_CLIENT, input->from, text, strlen(text));
    free(text);
    json_decref(reply);
    return true;
}

/* ---- faults on incoming frames ---- */

static void declare_frame_faults(void)
{
    fault_declare("frame/drop", "an arriving frame of events is lost");
    fault_declare("frame/duplicate", "an arriving frame arrives twice");
    fault_declare("frame/delay", "an arriving frame waits 300 ms");
    fault_declare("handler/slow", "a step with input waits 100 ms first");
}

static bool carries_events(const struct input *input)
{
    static struct frame frame; /* large; the write loop is one thread */

    return input->kind == INPUT_FRAME &&
           frame_read(input->bytes, input->count, &frame) && frame.count > 0;
}

static bool hold_back(struct host *host, const struct input *input)
{
    struct held *held = &host->held[host->held_count];

    if (host->held_count == HELD_MAX)
        return false;
    held->bytes = malloc(input->count);
    if (held->bytes == NULL)
        return false;
    memcpy(held->bytes, input->bytes, input->count);
    held->count = input->count;
    held->from = input->from;
    held->until_ms = real_mono_ms(NULL) + DELAY_MS;
    host->held_count++;
    return true;
}

/* Takes process controls out, and does to frames what the faults say.
 * @inputs has room for twice @count. */
static size_t sift(struct host *host, struct input inputs[], size_t count,
                   struct input out[])
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (take_control(host, &inputs[i]))
            continue;
        if (host->options.faults && carries_events(&inputs[i])) {
            if (fault_fires("frame/drop") ||
                (fault_fires("frame/delay") && hold_back(host, &inputs[i])))
                continue;
            if (fault_fires("frame/duplicate"))
                out[kept++] = inputs[i];
        }
        out[kept++] = inputs[i];
    }
    return kept;
}

/* Held frames whose time has come; the first @*ripe of host->held. */
static size_t ripe_frames(struct host *host, struct input out[])
{
    uint64_t now = real_mono_ms(NULL);
    size_t ripe = 0;

    while (ripe < host->held_count && host->held[ripe].until_ms <= now) {
        const struct held *held = &host->held[ripe];

        out[ripe++] =
            (struct input){INPUT_FRAME, held->from, held->bytes, held->count};
    }
    return ripe;
}

static void drop_held(struct host *host, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(host->held[i].bytes);
    host->held_count -= count;
    memmove(host->held, host->held + count,
            host->held_count * sizeof host->held[0]);
}

/* ---- the two loops ---- */

/* How long to wait, so that shell or reader, watchdog and held frames get
 * their turn in time. */
static int timeout_until(uint64_t wake_ms)
{
    uint64_t now = real_mono_ms(NULL);

    if (wake_ms <= now)
        return 0;
    return wake_ms - now < WATCH_EVERY_MS ? (int)(wake_ms - now)
                                          : WATCH_EVERY_MS;
}

/* A log that was deleted or replaced under us: what we append is in a file
 * that nobody will ever read. */
static void check_inode(struct host *host)
{
    struct stat now;

    if (stat(host->datadir.log_path, &now) != 0 ||
        now.st_ino != host->log_inode)
        die("write side", "its log file was deleted or replaced");
}

static void share_status(struct host *host)
{
    pthread_mutex_lock(&host->mutex);
    shell_status(host->shell, &host->status);
    host->write_counts = bus_counts(host->write_bus);
    pthread_mutex_unlock(&host->mutex);
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
    size_t ripe = ripe_frames(host, sifted), count;

    count = bus_gather(host->write_bus, inputs, INPUTS_MAX);
    pass_on(host, inputs, count);
    count = ripe + sift(host, inputs, count, sifted + ripe);
    if (count > 0 && fault_fires("handler/slow"))
        (void)usleep(SLOW_MS * 1000);
    if (shell_step(host->shell, sifted, count) != EVT_OK)
        die("write side", shell_error(host->shell));
    bus_release(host->write_bus);
    drop_held(host, ripe);
    share_status(host);
}

static bool signalled(int signal_fd)
{
    struct signalfd_siginfo info;

    return read(signal_fd, &info, sizeof info) == sizeof info;
}

static void write_loop(struct host *host)
{
    struct input *inputs = calloc(INPUTS_MAX, sizeof *inputs);
    struct input *sifted = calloc(2 * INPUTS_MAX + HELD_MAX, sizeof *sifted);
    uint64_t watched_ms = 0;

    if (inputs == NULL || sifted == NULL)
        abort();
    while (!atomic_load(&host->stopping)) {
        uint64_t wake = shell_wake_ms(host->shell), now;

        if (host->held_count > 0 && host->held[0].until_ms < wake)
            wake = host->held[0].until_ms;
        if (bus_wait(host->write_bus, host->signal_fd, timeout_until(wake)) &&
            signalled(host->signal_fd))
            atomic_store(&host->stopping, true);
        now = real_mono_ms(NULL);
        if (now >= watched_ms + WATCH_EVERY_MS || watched_ms == 0) {
            bus_watch(host->write_bus, now);
            check_inode(host);
            watched_ms = now;
        }
        write_step(host, inputs, sifted);
    }
    drop_held(host, host->held_count);
    free(sifted);
    free(inputs);
}

static void read_loop(struct host *host)
{
    struct input *inputs = calloc(INPUTS_MAX, sizeof *inputs);
    uint64_t watched_ms = 0;

    if (inputs == NULL)
        abort();
    while (!atomic_load(&host->stopping)) {
        int fd = host->shell == NULL ? host->signal_fd : -1;
        int timeout = timeout_until(projection_wake_ms(host->reader));
        uint64_t now;
        size_t count;

        if (bus_wait(host->read_bus, fd, timeout) && signalled(fd))
            atomic_store(&host->stopping, true);
        if (!projection_awaited(host->reader) && bus_may_linger(host->read_bus))
            (void)bus_wait(host->read_bus, -1, LINGER_MS);
        now = real_mono_ms(NULL);
        if (now >= watched_ms + WATCH_EVERY_MS || watched_ms == 0) {
            bus_watch(host->read_bus, now);
            watched_ms = now;
        }
        count = bus_gather(host->read_bus, inputs, INPUTS_MAX);
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

/* What a failure to open a database means for whoever started us. */
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

/* A log that another program reads or locks is waited for, a while. */
static int open_shell(struct host *host)
{
    const char *path = host->datadir.log_path;
    struct shell_config config = {.path = path,
                                  .timer_ms = host->options.timer_ms};
    char why[STORE_WHY_BYTES] = "", holders[128];
    struct stat now;
    enum evt_status rc;

    for (int tries = 0;; tries++) {
        rc = shell_open(host->service, &host->write_env, &config, &host->shell,
                        why);
        if (rc != EVT_BUSY || tries == 50)
            break;
        if (tries % 10 == 0)
            logger_fact(LOG_WARN, NULL, NULL, "waiting: %s (%s)", why,
                        datadir_holders(path, holders, sizeof holders));
        (void)usleep(100000);
    }
    if (rc != EVT_OK)
        return complain(host, rc, why);
    if (stat(path, &now) == 0)
        host->log_inode = now.st_ino;
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
    declare_frame_faults();
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
    enum evt_status rc;
    size_t count = 0;

    *config = (struct projection_config){
        .service = host->service->name,
        .log_path = host->shell == NULL ? NULL : host->datadir.log_path,
        .directory = host->datadir.view_directory,
        .add_status = add_status,
        .ctx = host};
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
    rc = bus_open(&bus, &host->read_bus, why, sizeof why);
    if (rc != EVT_OK)
        return complain(host, rc, why);
    host->read_env = real_env;
    host->read_env.ctx = host;
    host->read_env.send = read_send;
    rc = projection_open(host->view, &host->read_env, config, &host->reader,
                         why);
    return rc == EVT_OK ? 0 : complain(host, rc, why);
}

/* Signals are blocked before NNG starts its threads, which inherit that. */
static void prepare_process(struct host *host)
{
    struct rlimit files;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    host->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
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
    if (code == 0)
        code = open_read_side(host);
    if (code != 0)
        return code;
    if (host->shell == NULL) {
        logger_fact(LOG_INFO, NULL, NULL, "read side running");
        read_loop(host);
        return 0;
    }
    share_status(host);
    if (pthread_create(&host->read_thread, NULL, read_thread, host) != 0)
        return complain(host, EVT_IO, "cannot start the read side's thread");
    logger_fact(LOG_INFO, NULL, NULL, "running, log at event %llu",
                (unsigned long long)host->status.head_seq);
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
    shell_close(host->shell);
    logger_fact(LOG_INFO, NULL, NULL, "ended, exit code %d", code);
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
    host->service = service;
    host->view = view;
    host->started_ms = real_mono_ms(NULL);
    host->own_link = -1;
    for (size_t i = 0; i < LINKS_MAX; i++)
        host->passed_links[i] = -1;
    pthread_mutex_init(&host->mutex, NULL);
    if (options_read(&host->options, service, argc, argv, &code)) {
        logger_open(service->name,
                    host->options.verbose ? LOG_DEBUG : LOG_INFO);
        fault_open(host->options.faults);
        prepare_process(host);
        code = datadir_take(&host->datadir, service->name, &host->options);
        if (code == 0) {
            code = run(host);
            leave(host, code);
        }
    }
    return code;
}
