/* main.c - the program `sim`: runs one seed, many seeds, or a recorded run.
 *
 *   sim --seed N [--trace] [--hash]       one run
 *   sim --seeds A-B [--hash]              these
 *   sim --minutes M [--seed N]            as many as fit, from N on
 *   sim --replay FILE [--trace] [--hash]  what --shrink or a failure has left
 *   sim --shrink FILE [--to FILE]         the smallest run that fails in the
 *                                         same way, within --seconds N (60)
 *   --require-sometimes                   fail if a rare thing never happened
 *   --expect ID                           succeed only with this violation
 *   --find ID                             run until a run violates this one
 *   --keep DIR                            where failures are written (.)
 *
 * Exit code 0: all is well; 1: an invariant was violated; 64: usage. */
#include "scratch.h"
#include "shrink.h"
#include "sim.h"
#include "simvfs.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct settings {
    uint64_t first, last;
    double minutes;
    unsigned seconds;
    bool many, trace, hash, require;
    const char *replay, *shrink, *to, *expect, *find, *keep;
};

static struct totals {
    uint64_t runs, steps, events, orders, ms, power_cuts, crashes;
    uint64_t sometimes[SOMETIMES];
} totals;

static char directory[SCRATCH_BYTES];

/* For a run that ends in an abort: what it was. */
static struct choice *running;
static char running_file[PATH_MAX + 64];

static void usage(void)
{
    fprintf(stderr,
            "usage: sim --seed N | --seeds A-B | --minutes M | --replay FILE |"
            " --shrink FILE\n"
            "           [--trace] [--hash] [--require-sometimes] [--to FILE]\n"
            "           [--seconds N]\n"
            "           [--expect ID] [--find ID] [--keep DIR]\n");
    exit(64);
}

/* ---- files -------------------------------------------------------------- */

static uint8_t *read_file(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(CHOICES_MAX);

    if (file == NULL || bytes == NULL) {
        fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
        exit(66);
    }
    *count = fread(bytes, 1, CHOICES_MAX, file);
    fclose(file);
    return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL || fwrite(bytes, 1, count, file) != count ||
        fclose(file) != 0)
        fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
}

/* An assertion of the code under test, or worse: the choices so far make it
 * again. */
static void on_abort(int signal_number)
{
    static const char text[] = "BROKEN abort: an assertion failed, or worse\n";

    if (running != NULL)
        write_file(running_file, running->record, running->at);
    if (write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        _exit(1);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* ---- running ------------------------------------------------------------ */

static void add_up(const struct sim_result *result)
{
    totals.runs++;
    totals.steps += result->steps;
    totals.events += result->events;
    totals.orders += result->orders;
    totals.ms += result->ended_ms;
    totals.power_cuts += result->power_cuts;
    totals.crashes += result->crashes;
    for (int i = 0; i < SOMETIMES; i++)
        totals.sometimes[i] += result->sometimes[i];
}

/* Whether the run was as wanted; the choices of one that was not are kept. */
static bool run_one(const struct settings *settings, struct choice *choice,
                    const char *name)
{
    struct sim_options options = {.directory = directory,
                                  .trace = settings->trace};
    struct sim_result result;
    bool good;

    snprintf(running_file, sizeof running_file, "%s/%s.choices", settings->keep,
             name);
    running = choice;
    sim_run(choice, &options, &result);
    running = NULL;
    add_up(&result);
    if (settings->find != NULL)
        good = strcmp(result.broken, settings->find) != 0;
    else
        good = strcmp(result.broken,
                      settings->expect != NULL ? settings->expect : "") == 0;
    if (settings->hash)
        printf("%s %016" PRIx64 "\n", name, result.hash);
    if (result.broken[0] != '\0' && (settings->find == NULL || !good))
        printf("%s: BROKEN %s: %s\n", name, result.broken, result.what);
    if (!good && result.broken[0] == '\0')
        printf("%s: nothing is broken, expected was %s\n", name,
               settings->expect);
    if (!good && settings->replay == NULL) {
        write_file(running_file, choice->record, choice->at);
        printf("%s: its choices are in %s (%zu bytes)\n", name, running_file,
               choice->at);
    }
    fflush(stdout);
    return good;
}

static bool run_seed(const struct settings *settings, uint64_t seed)
{
    struct choice choice;
    char name[40];
    bool good;

    snprintf(name, sizeof name, "seed-%" PRIu64, seed);
    choice_from_seed(&choice, seed);
    good = run_one(settings, &choice, name);
    choice_close(&choice);
    return good;
}

static bool run_file(const struct settings *settings)
{
    struct choice choice;
    const char *slash = strrchr(settings->replay, '/');
    size_t count;
    uint8_t *bytes = read_file(settings->replay, &count);
    bool good;

    choice_from_bytes(&choice, bytes, count);
    good = run_one(settings, &choice,
                   slash != NULL ? slash + 1 : settings->replay);
    choice_close(&choice);
    free(bytes);
    return good;
}

static bool run_many(const struct settings *settings)
{
    time_t end = time(NULL) + (time_t)(settings->minutes * 60);
    uint64_t seed = settings->first;
    bool good = true;

    for (; good &&
           (settings->minutes > 0 ? time(NULL) < end : seed <= settings->last);
         seed++)
        good = run_seed(settings, seed);
    return good;
}

static bool all_sometimes(const struct settings *settings)
{
    bool all = true;

    for (int i = 0; i < SOMETIMES; i++) {
        all = all && totals.sometimes[i] > 0;
        if (settings->require)
            printf("%10" PRIu64 "  %s\n", totals.sometimes[i],
                   sometimes_names[i]);
    }
    if (settings->require && !all)
        printf("something rare never happened\n");
    return all || !settings->require;
}

static void tell_totals(void)
{
    printf("%" PRIu64 " runs, %" PRIu64 " steps, %" PRIu64 " events, %" PRIu64
           " orders, %" PRIu64 " crashes, %" PRIu64 " power cuts, %.1f hours\n",
           totals.runs, totals.steps, totals.events, totals.orders,
           totals.crashes, totals.power_cuts, (double)totals.ms / 3600000.0);
}

static bool shrink_file(const struct settings *settings)
{
    size_t count;
    uint8_t *bytes = read_file(settings->shrink, &count);
    char broken[16];
    bool good = shrink(bytes, &count, directory, settings->seconds, broken);

    if (good) {
        write_file(settings->to != NULL ? settings->to : settings->shrink,
                   bytes, count);
        printf("%s: %zu bytes\n", broken, count);
    } else {
        printf("nothing is broken by it\n");
    }
    free(bytes);
    return good;
}

static void read_options(struct settings *settings, int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'S'},
        {"minutes", required_argument, NULL, 'm'},
        {"replay", required_argument, NULL, 'r'},
        {"shrink", required_argument, NULL, 'k'},
        {"to", required_argument, NULL, 'o'},
        {"expect", required_argument, NULL, 'e'},
        {"seconds", required_argument, NULL, 'n'},
        {"find", required_argument, NULL, 'f'},
        {"keep", required_argument, NULL, 'd'},
        {"trace", no_argument, NULL, 't'},
        {"hash", no_argument, NULL, 'h'},
        {"require-sometimes", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 's':
            settings->first = settings->last = strtoull(optarg, NULL, 10);
            break;
        case 'S':
            if (sscanf(optarg, "%" SCNu64 "-%" SCNu64, &settings->first,
                       &settings->last) != 2)
                usage();
            settings->many = true;
            break;
        case 'm':
            settings->minutes = strtod(optarg, NULL);
            settings->many = true;
            break;
        case 'r':
            settings->replay = optarg;
            break;
        case 'k':
            settings->shrink = optarg;
            break;
        case 'o':
            settings->to = optarg;
            break;
        case 'e':
            settings->expect = optarg;
            break;
        case 'n':
            settings->seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            settings->find = optarg;
            break;
        case 'd':
            settings->keep = optarg;
            break;
        case 't':
            settings->trace = true;
            break;
        case 'h':
            settings->hash = true;
            break;
        case 'q':
            settings->require = true;
            break;
        default:
            usage();
        }
    }
    if (optind != argc)
        usage();
}

int main(int argc, char **argv)
{
    struct settings settings = {.keep = ".", .seconds = 60};
    char keep[PATH_MAX];
    bool good;

    read_options(&settings, argc, argv);
    settings.keep = realpath(settings.keep, keep);
    if (settings.keep == NULL)
        usage();
    if (sodium_init() < 0)
        return 70;
    json_object_seed(1);
    simvfs_open();
    scratch_make(directory);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    if (settings.shrink != NULL)
        good = shrink_file(&settings);
    else if (settings.replay != NULL)
        good = run_file(&settings);
    else if (settings.many)
        good = run_many(&settings);
    else
        good = run_seed(&settings, settings.first);
    if (settings.many) {
        tell_totals();
        good = all_sometimes(&settings) && good;
    }
    scratch_remove(directory);
    return good ? 0 : 1;
}
