/* peer.c - drives the saga of redis.c or postgres.c, measures it, and checks
 * what it came to.
 *
 *   NAME --dir DIR --server PID [--sagas N] [--inflight K] [--alone N]
 *                                [--rate R]
 *
 * The server listens in DIR.  Two processes are inventory and payment, and this
 * one is order with a closed loop of K orders in it: other than a client of
 * `saga bench` it needs no requests.  First --alone orders go one at a time,
 * then --sagas, or R of these a second, whatever becomes of them; then latency
 * runs from when an order was due.  Otherwise it runs from placing to the
 * answer that has made the confirmation durable.  CPU is that of the three and
 * of the server and its children; syncs are counted by syncs.c, in DIR/syncs.
 * Prints JSON; exits with 1 if the totals are wrong. */
#include "peer.h"

#include "../clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GIVE_UP_S = 120, WAIT_MS = 1000 };

struct run {
    uint64_t placed, ended, limit, inflight;
    uint64_t rate, first_ns, first; /* offered; 0: a closed loop */
    uint64_t *begun_ns, *took_ns;   /* by order */
};

static const char *directory;
static int server;
static pid_t children[2];

_Noreturn void peer_fail(const char *what, const char *why)
{
    fprintf(stderr, "peer: %s: %s\n", what, why);
    exit(74);
}

/* ---- what it takes ---- */

/* Ticks of @pid, and with @and_ended those of its children that have ended;
 * 0 if it is neither one of ours nor of the server's.  See proc(5). */
static uint64_t ticks_of(int pid)
{
    char path[64], line[1024], *rest;
    unsigned long long own, system, ended = 0, ended_system = 0;
    int parent = 0, fields;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    rest = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (rest == NULL)
        return 0;
    fields = sscanf(rest,
                    ") %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu"
                    " %llu %llu",
                    &parent, &own, &system, &ended, &ended_system);
    if (fields != 5 || (pid != server && parent != server && pid != getpid() &&
                        parent != getpid()))
        return 0;
    return own + system + (pid == server ? ended + ended_system : 0);
}

static double cpu_us(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    uint64_t ticks = 0;

    if (proc == NULL)
        peer_fail("/proc", strerror(errno));
    while ((entry = readdir(proc)) != NULL)
        ticks += ticks_of((int)strtol(entry->d_name, NULL, 10));
    closedir(proc);
    return (double)ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static uint64_t syncs(void)
{
    char path[4096];
    uint64_t count = 0;
    int fd;

    snprintf(path, sizeof path, "%s/syncs", directory);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &count, sizeof count) != sizeof count)
        peer_fail(path, "no syncs are counted");
    close(fd);
    return count;
}

/* ---- the other two ---- */

static void begin(enum peer_service service, pid_t *child)
{
    *child = fork();
    if (*child < 0)
        peer_fail("fork", strerror(errno));
    if (*child > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    peer_open(directory, service);
    for (;;)
        (void)peer_step(0, 0, WAIT_MS, NULL);
}

static void end_children(void)
{
    for (int i = 0; i < 2; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
}

/* ---- the loop ---- */

/* When order @n is due, if orders are offered at a rate. */
static uint64_t due_ns(const struct run *run, uint64_t n)
{
    return run->first_ns +
           (uint64_t)((double)(n - run->first) * 1e9 / (double)run->rate);
}

/* How many orders may be placed now. */
static uint64_t room(const struct run *run, uint64_t now)
{
    uint64_t most = run->limit - run->placed, few = 0;

    if (most > STEP)
        most = STEP;
    if (run->rate == 0)
        few = run->inflight - (run->placed - run->ended);
    else
        while (few < most && due_ns(run, run->placed + few) <= now)
            few++;
    return few < most ? few : most;
}

static void loop(struct run *run)
{
    static uint64_t ended[4 * STEP];
    uint64_t last = clock_ns();
    int patience_ms = run->rate > 0 ? 1 : WAIT_MS;

    run->first = run->placed;
    run->first_ns = last;
    while (run->ended < run->limit) {
        uint64_t now = clock_ns(), few = room(run, now);
        size_t count;

        for (uint64_t n = run->placed; n < run->placed + few; n++)
            run->begun_ns[n] = run->rate > 0 ? due_ns(run, n) : now;
        count = peer_step(run->placed, few, few > 0 ? 0 : patience_ms, ended);
        run->placed += few;
        now = clock_ns();
        for (size_t i = 0; i < count; i++)
            run->took_ns[ended[i]] = now - run->begun_ns[ended[i]];
        run->ended += count;
        if (count > 0)
            last = now;
        if (now - last > (uint64_t)GIVE_UP_S * 1000000000u)
            peer_fail("the saga", "no order has ended for long");
    }
}

static void await_shipped(const struct run *run)
{
    uint64_t begun = clock_ns();
    struct timespec pause = {.tv_nsec = 1000000};

    while (!peer_caught_up(run->limit)) {
        if (clock_ns() - begun > (uint64_t)GIVE_UP_S * 1000000000u)
            peer_fail("inventory", "it has not shipped all");
        nanosleep(&pause, NULL);
    }
}

/* ---- what it came to ---- */

static bool holds(bool condition, const char *what)
{
    if (!condition)
        fprintf(stderr, "peer: broken: %s\n", what);
    return condition;
}

static bool check(const struct run *run)
{
    int64_t sagas = (int64_t)run->limit;
    struct peer_totals t;
    bool good = true;

    peer_totals(&t);
    good &= holds(t.placed == 0 && t.confirmed + t.cancelled == sagas,
                  "every order has ended");
    good &= holds(t.charged == t.confirmed, "each order is charged once");
    good &= holds(t.reserved == t.confirmed && t.shipped == t.confirmed,
                  "each order is reserved and shipped once");
    good &= holds(t.stock_left == (int64_t)SKUS * STOCK - t.confirmed,
                  "stock adds up");
    good &= holds(t.funds_left == (int64_t)CUSTOMERS * FUNDS - t.confirmed,
                  "money adds up");
    return good;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_us(uint64_t took_ns[], uint64_t count, double p)
{
    if (count == 0)
        return 0;
    qsort(took_ns, count, sizeof took_ns[0], compare);
    return (double)took_ns[(size_t)(p * (double)(count - 1))] / 1e3;
}

static void measure(uint64_t alone, uint64_t sagas, uint64_t inflight,
                    uint64_t offered)
{
    struct run run = {.limit = alone, .inflight = 1};
    uint64_t begun, synced, took;
    double cpu, rate;

    run.begun_ns = calloc(alone + sagas + 1, sizeof *run.begun_ns);
    run.took_ns = calloc(alone + sagas + 1, sizeof *run.took_ns);
    if (run.begun_ns == NULL || run.took_ns == NULL)
        abort();
    loop(&run);
    await_shipped(&run);
    run.limit = alone + sagas;
    run.inflight = inflight;
    run.rate = offered;
    synced = syncs();
    cpu = cpu_us();
    begun = clock_ns();
    loop(&run);
    took = clock_ns() - begun;
    rate = (double)sagas * 1e9 / (double)(took > 0 ? took : 1);
    await_shipped(&run);
    sagas = sagas > 0 ? sagas : 1;
    cpu = (cpu_us() - cpu) / (double)sagas;
    printf("{\"sagas_per_second\":%.1f,\"cpu_us_per_saga\":%.2f,"
           "\"syncs_per_saga\":%.5f,\"alone_us\":{\"median\":%.1f,"
           "\"p99\":%.1f},\"loaded_us\":{\"median\":%.1f,\"p99\":%.1f,"
           "\"p999\":%.1f,\"max\":%.1f}}\n",
           rate, cpu, (double)(syncs() - synced) / (double)sagas,
           percentile_us(run.took_ns, alone, 0.5),
           percentile_us(run.took_ns, alone, 0.99),
           percentile_us(run.took_ns + alone, run.limit - alone, 0.5),
           percentile_us(run.took_ns + alone, run.limit - alone, 0.99),
           percentile_us(run.took_ns + alone, run.limit - alone, 0.999),
           percentile_us(run.took_ns + alone, run.limit - alone, 1));
    end_children();
    peer_again();
    if (!check(&run))
        exit(1);
}

static uint64_t number(const char *text, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value > most) {
        fprintf(stderr, "peer: %s is not a number up to %llu\n", text,
                (unsigned long long)most);
        exit(64);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"dir", required_argument, NULL, 'd'},
        {"server", required_argument, NULL, 'p'},
        {"sagas", required_argument, NULL, 's'},
        {"inflight", required_argument, NULL, 'i'},
        {"alone", required_argument, NULL, 'a'},
        {"rate", required_argument, NULL, 'r'},
        {0}};
    uint64_t sagas = 20000, inflight = 1000, alone = 500, rate = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'd')
            directory = optarg;
        else if (c == 'p')
            server = (int)number(optarg, 1 << 30);
        else if (c == 's')
            sagas = number(optarg, 10000000);
        else if (c == 'i')
            inflight = number(optarg, 65536);
        else if (c == 'a')
            alone = number(optarg, 100000);
        else if (c == 'r')
            rate = number(optarg, 1000000);
        else
            return 64;
    }
    if (directory == NULL || server == 0 || optind != argc) {
        fprintf(stderr,
                "usage: %s --dir DIR --server PID [--sagas N]"
                " [--inflight K] [--alone N] [--rate R]\n",
                argv[0]);
        return 64;
    }
    peer_open(directory, ORDER);
    peer_seed();
    begin(INVENTORY, &children[0]);
    begin(PAYMENT, &children[1]);
    measure(alone, sagas, inflight, rate);
    return 0;
}
