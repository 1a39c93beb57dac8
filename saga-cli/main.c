/* main.c - the `saga` command: its verbs, its global options, its help.
 *
 * A verb is one function (verbs.h); what they share is in common.c.  Global
 * options may stand before or behind the verb. */
#include "verbs.h"

#include "base/fault.h"
#include "base/logger.h"
#include "host/options.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct verb verbs[] = {
    {"place", verb_place,
     "SKU:QTY... [--customer C] [--id ORDER] [--count N] [--no-wait]\n"
     "                  [--timeout S] [--journal FILE]",
     "place an order, wait for its end, print its trace",
     "  --customer C   who pays (alice)\n"
     "  --id ORDER     an id of your own; sent again, it counts once\n"
     "  --count N      N such orders (ids ORDER-1 ... ORDER-N)\n"
     "  --no-wait      only until order-svc has recorded it\n"
     "  --timeout S    how long to wait for the end (60)\n"
     "  --journal FILE append each acknowledged command, for `saga check`\n"
     "exits 0 confirmed, 1 cancelled or refused, 75 not ended in time\n"},
    {"cancel", verb_cancel, "ORDER [--reason TEXT]",
     "cancel an order that is not confirmed yet",
     "exits 0 the cancellation has begun, 1 too late, 66 no such order\n"},
    {"stock", verb_stock, "SKU QTY [--id ID]", "receive goods",
     "  --id ID  sent again under the same id, it counts once\n"},
    {"fund", verb_fund, "CUSTOMER AMOUNT [--id ID]",
     "deposit money, as in 12.50",
     "  --id ID  sent again under the same id, it counts once\n"},
    {"product", verb_product, "SKU PRICE [--id ID]",
     "name the price of a product",
     "  --id ID  sent again under the same id, it counts once\n"},
    {"ls", verb_ls, "[--status S] [--limit N]", "the orders, newest first",
     "  --status S  PENDING, CANCELLING, CONFIRMED or CANCELLED\n"
     "  --limit N   at most N (20)\n"},
    {"show", verb_show,
     "ORDER|sku:X|customer:Y [--at [SERVICE:]SEQ | --time T]",
     "a state, now or at any point of the past",
     "  --at SEQ      as of event SEQ of the log that the thing lives in:\n"
     "                orders order, skus inventory, customers payment; "
     "another\n"
     "                one as SERVICE:SEQ\n"
     "  --time T      as of that time: 2026-01-31T12:00:00, or Unix ms\n"},
    {"trace", verb_trace, "ORDER [--mermaid]",
     "what happened, why, over the three logs",
     "  --mermaid  as a sequence diagram in mermaid\n"},
    {"why", verb_why, "ORDER",
     "what an unfinished order waits for, from whom, until when", ""},
    {"log", verb_log, "SERVICE|--all [--follow] [--from N] [--limit N]",
     "events as they are",
     "  --all      the three logs together\n"
     "  --follow   from now on, as they happen, until Ctrl-C\n"
     "  --from N   from event N on (with --all: of each log)\n"
     "  --limit N  at most N\n"},
    {"flow", verb_flow, "[--mermaid]",
     "who reacts to what, from the rule tables", ""},
    {"status", verb_status, "", "health, heads, cursors, lag",
     "exits 0 all run, 69 one is down\n"},
    {"wait", verb_wait, "ORDER | --quiet [--timeout S]",
     "until an order has ended, or everything is done",
     "  --quiet      every cursor and view at every head, twice in a row\n"
     "  --timeout S  at most that long (30)\n"
     "exits 0 so it is, 75 not in time\n"},
    {"check", verb_check, "[--final] [--journal FILE]",
     "whether the invariants hold",
     "  --final         also that every saga has ended and views agree\n"
     "  --journal FILE  also that every acknowledged command is there, once\n"
     "exits 0 all hold, 1 something is broken\n"},
    {"verify", verb_verify, "[SERVICE]",
     "walk the hash chains; name the first edited event",
     "Tamper-evident, not tamper-proof: who can write a log can hash it anew,\n"
     "but the cursors of the other services remember its old hashes.\n"},
    {"fault", verb_fault,
     "ls [SERVICE]\n"
     "       saga fault set SERVICE POINT [--after N] [--times N] "
     "[--percent P]\n"
     "       saga fault clear SERVICE [POINT] | --all",
     "fault points, asked of the processes themselves",
     "  --after N    from the pass after the next N on (0)\n"
     "  --times N    so often (0: until cleared)\n"
     "  --percent P  each pass with that chance (100)\n"},
    {"parked", verb_parked, "[SERVICE]", "events that could not be understood",
     ""},
    {"redrive", verb_redrive, "[SERVICE] [--source S] [--seq N]",
     "handle parked events now, as late ones",
     "  --source S  only those of service S's log\n"
     "  --seq N     only event N\n"
     "exits 0 all handled, 1 some are still parked, 66 no such\n"},
    {"accept", verb_accept, "SERVICE SOURCE",
     "let SERVICE go on with SOURCE's log as it is now",
     "For a stream that diverged: a restored backup, another database.  What\n"
     "SERVICE had consumed and SOURCE has lost stays lost; `saga check` then\n"
     "names the orders that suffer.\n"},
    {"rebuild", verb_rebuild, "VIEW|SERVICE",
     "fold a view anew from the logs, beside the old one",
     "VIEW is order, stock or account.\n"},
    {"backup", verb_backup, "DIR",
     "copies of the three logs that fit each other",
     "DIR must be empty or new.  Works on running and on stopped services.\n"
     "To put a log back: end its service, remove all *.db* beside it (a file\n"
     "changed under a program that has it open is spoilt), copy, start.\n"},
    {"shutdown", verb_shutdown, "SERVICE|--all",
     "end a service: it finishes its batch first",
     "exits 0 it has ended, 69 it was not running (with --all: 0), 75 not\n"
     "ended within 10 s\n"},
    {"scenario", verb_scenario,
     "ls | show N | run N [--without A[,B]] | run --all",
     "break it on purpose: the files of scenarios/",
     "  ls             all of them\n"
     "  show N         the file, with the commands to type\n"
     "  run N          its commands, compared with what it says\n"
     "  --without A,B  on services that lack these protections (lab/)\n"
     "  run --all      all of them, one line each\n"
     "exits 0 as it says, 1 not so, 69 clitest is missing\n"},
    {"learn", verb_learn, "[CHAPTER]",
     "walk through a chapter of the tutorial, command by command", ""},
    {"bench", verb_bench,
     "[--sagas N] [--inflight K] [--batch B] [--decline PCT]\n"
     "                  [--lines L] [--rate R] [--no-check]",
     "a closed loop of orders, and what it cost",
     "  --sagas N      in all (20000)\n"
     "  --inflight K   placed and not yet ended (1000)\n"
     "  --batch B      commands in one request (1)\n"
     "  --decline PCT  so many are declined by payment (0)\n"
     "  --lines L      lines of an order (1)\n"
     "  --rate R       offers R orders a second, however many are in flight,\n"
     "                 and gives up what is answered busy\n"
     "  --no-check     does not run `saga check` afterwards\n"},
};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *to)
{
    fprintf(to, "usage: saga [--dir DIR] [--bus URL] [--json] VERB ...\n\n");
    for (size_t i = 0; i < VERBS; i++)
        fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].summary);
    fprintf(to,
            "\n  --dir DIR      data directory ($SAGA_DIR, else ./var)\n"
            "  --bus URL      tcp://127.0.0.1:PORT in place of ipc "
            "($SAGA_BUS)\n"
            "  --read-side D  ask the lone read side that runs in D\n"
            "  --json         one JSON value on standard output\n"
            "'./saga help VERB' tells more.  Exit codes: 0 yes, 1 no, 64 "
            "usage,\n65 bad data, 66 no such thing, 69 not running, 74 I/O, "
            "75 try again.\n");
}

/* {"verbs":[{"name","synopsis","summary"}]} */
static void print_help_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < VERBS; i++)
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:s}", "name", verbs[i].name, "synopsis",
                            verbs[i].synopsis, "summary", verbs[i].summary));
    saga_print_json(json_pack("{s:o}", "verbs", list));
}

static int print_verb_help(const struct saga *saga, const struct verb *verb)
{
    if (saga->json) {
        saga_print_json(json_pack("{s:s,s:s,s:s,s:s}", "name", verb->name,
                                  "synopsis", verb->synopsis, "summary",
                                  verb->summary, "help", verb->help));
        return SAGA_YES;
    }
    printf("usage: saga %s%s%s\n\n%s\n%s", verb->name,
           verb->synopsis[0] != '\0' ? " " : "", verb->synopsis, verb->summary,
           verb->help);
    return SAGA_YES;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int unknown_verb(const struct saga *saga, const char *name)
{
    const char *closest = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < VERBS; i++)
        if (saga_is_closer(name, verbs[i].name, &least))
            closest = verbs[i].name;
    if (closest != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "no verb %s (did you mean %s? './saga --help' lists "
                         "them)",
                         name, closest);
    return saga_fail(saga, SAGA_USAGE,
                     "no verb %s ('./saga --help' lists them)", name);
}

/* Takes a global option out of argv at @i; returns how many words it had, 0
 * when it is none, -1 when its value is missing. */
static int take_global(struct saga *saga, int argc, char **argv, int i)
{
    const char **value = strcmp(argv[i], "--dir") == 0   ? &saga->directory
                         : strcmp(argv[i], "--bus") == 0 ? &saga->bus
                         : strcmp(argv[i], "--read-side") == 0
                             ? &saga->read_side
                             : NULL;

    if (strcmp(argv[i], "--json") == 0) {
        saga->json = true;
        return 1;
    }
    if (value == NULL)
        return 0;
    if (i + 1 >= argc)
        return -1;
    *value = argv[i + 1];
    return 2;
}

/* Leaves the verb and its own words in argv; -1: a value is missing, and that
 * is reported. */
static int take_globals(struct saga *saga, int argc, char **argv)
{
    int kept = 1;

    for (int i = 1; i < argc;) {
        int taken = take_global(saga, argc, argv, i);

        if (taken < 0) {
            (void)saga_fail(saga, SAGA_USAGE,
                            "%s needs a value ('./saga --help')", argv[i]);
            return -1;
        }
        if (taken == 0)
            argv[kept++] = argv[i++];
        i += taken;
    }
    argv[kept] = NULL;
    return kept;
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
           strcmp(word, "-h") == 0;
}

/* `saga`, `saga help`, `saga --version` and the like: no verb is asked, and
 * nothing else is said.  @argv ends with NULL. */
static int about_itself(const struct saga *saga, char **argv)
{
    const char *word = argv[1];

    if (word == NULL && !saga->json) {
        print_help(stderr);
        return SAGA_USAGE;
    }
    if (word == NULL)
        return saga_fail(saga, SAGA_USAGE, "what? ('saga --help')");
    if (!is_help(word) && strcmp(word, "--version") != 0)
        return unknown_verb(saga, word);
    if (argv[2] != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "%s stands alone: what is %s? ('./saga --help')", word,
                         argv[2]);
    if (!is_help(word)) {
        if (saga->json)
            saga_print_json(json_pack("{s:s}", "version", SAGA_VERSION));
        else
            puts("saga " SAGA_VERSION);
        return SAGA_YES;
    }
    if (saga->json)
        print_help_json();
    else
        print_help(stdout);
    return SAGA_YES;
}

/* The bus that run.sh was told and has written down, or NULL: ipc. */
static const char *bus_of(const char *directory)
{
    static char bus[64];
    char path[4096];
    FILE *options;

    snprintf(path, sizeof path, "%s/options", directory);
    options = fopen(path, "re");
    if (options == NULL || fgets(bus, sizeof bus, options) == NULL)
        bus[0] = '\0';
    if (options != NULL)
        fclose(options);
    bus[strcspn(bus, "\n")] = '\0';
    return strncmp(bus, "tcp://", 6) == 0 ? bus : NULL;
}

int main(int argc, char **argv)
{
    struct saga saga = {.directory = environment("SAGA_DIR", "./var"),
                        .bus = environment("SAGA_BUS", NULL)};
    const struct verb *verb;
    char why[256];
    bool help;
    int code;

    if (sodium_init() < 0)
        return SAGA_IO;
    logger_open("saga", LOG_ERROR);
    fault_open(false);
    saga.colour =
        isatty(STDOUT_FILENO) && environment("NO_COLOR", NULL) == NULL;
    argc = take_globals(&saga, argc, argv);
    if (argc < 0)
        return SAGA_USAGE;
    if (saga.bus == NULL)
        saga.bus = bus_of(saga.directory);
    help = argc > 2 && is_help(argv[1]);
    if (argc < 2 || (!help && (argv[1][0] == '-' || is_help(argv[1]))))
        return about_itself(&saga, argv);
    verb = find_verb(argv[help ? 2 : 1]);
    if (verb == NULL)
        return unknown_verb(&saga, argv[help ? 2 : 1]);
    if (help && argc > 3)
        return saga_fail(&saga, SAGA_USAGE,
                         "help with one verb, not with %s and %s ('./saga help "
                         "VERB')",
                         argv[2], argv[3]);
    if (help)
        return print_verb_help(&saga, verb);
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return print_verb_help(&saga, verb);
    if (client_open(saga.directory, saga.bus, &saga.client, why, sizeof why) !=
        EVT_OK)
        return saga_fail(&saga, SAGA_USAGE, "%s", why);
    saga.verb = verb->name;
    code = verb->run(&saga, argc - 1, argv + 1);
    client_close(saga.client);
    if (fflush(stdout) != 0)
        return SAGA_IO;
    return code;
}
