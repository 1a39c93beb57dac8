/* saga_main.c - the `saga` command: lists its verbs and runs the requested one.
 *
 * Everything about a verb is in its own file; next: verbs.h. */
#include "saga-cli/screen.h"
#include "saga-cli/verbs.h"

#include "base/fault.h"
#include "base/logger.h"
#include "host/options.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In the order of their groups. */
const struct verb *const verbs[] = {
    &verb_place,      &verb_cancel,  &verb_stock,    &verb_fund,
    &verb_product,    &verb_ls,      &verb_show,     &verb_trace,
    &verb_why,        &verb_log,     &verb_status,   &verb_wait,
    &verb_undone,     &verb_check,   &verb_verify,   &verb_fault,
    &verb_parked,     &verb_redrive, &verb_accept,   &verb_acknowledge,
    &verb_rebuild,    &verb_backup,  &verb_pids,     &verb_signal,
    &verb_shutdown,   &verb_flow,    &verb_scenario, &verb_learn,
    &verb_bench,      &verb_help,    &verb_version,  &verb_man,
    &verb_completion, NULL};

/* ---- which verb --------------------------------------------------------- */

/* What is about saga itself may be written as an option: --version, -h. */
const struct verb *find_verb(const char *name)
{
    bool dashed = strncmp(name, "--", 2) == 0;

    if (strcmp(name, "-h") == 0)
        return &verb_help;
    for (size_t i = 0; verbs[i] != NULL; i++)
        if (strcmp(verbs[i]->name, dashed ? name + 2 : name) == 0)
            return dashed && verbs[i]->group != ABOUT ? NULL : verbs[i];
    return NULL;
}

int unknown_verb(const struct saga *saga, const char *name)
{
    const char *closest = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; verbs[i] != NULL; i++)
        if (saga_is_closer(name, verbs[i]->name, &least))
            closest = verbs[i]->name;
    if (closest != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "no verb %s (did you mean %s? './saga --help' lists "
                         "them)",
                         name, closest);
    return saga_fail(saga, SAGA_USAGE,
                     "no verb %s ('./saga --help' lists them)", name);
}

/* Where the verb stands in @argv, behind global options; @argc: nowhere. */
static int verb_at(int argc, char **argv)
{
    int i = 1, taken;

    while (i < argc && (taken = global_option_words(argv, i)) > 0)
        i += taken;
    return i;
}

static int run_nothing(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code == SAGA_YES && saga->json)
        return saga_fail(saga, SAGA_USAGE, "missing VERB ('./saga --help')");
    if (code == SAGA_YES)
        help_print(stderr);
    return SAGA_USAGE;
}

static int run_version(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code == SAGA_YES && saga->json)
        saga_print_json(json_pack("{s:s}", "version", SAGA_VERSION));
    else if (code == SAGA_YES)
        puts("saga " SAGA_VERSION);
    return code;
}

const struct verb verb_version = {.name = "version",
                                  .group = ABOUT,
                                  .examples = "version",
                                  .summary = "show the version",
                                  .args = "",
                                  .run = run_version};

/* What is run where no verb is given: words before one are checked, too. */
static const struct verb nothing = {.name = "help",
                                    .group = ABOUT,
                                    .args = "",

                                    .run = run_nothing};

/* ---- running it --------------------------------------------------------- */

/* Whether @word is among the words before a "--". */
static bool has_word(char **argv, const char *word)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
        if (strcmp(*argv, word) == 0)
            return true;
    return false;
}

/* The same for --json, which may be shortened: --js. */
static bool wants_json(char **argv)
{
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
        if (strlen(*argv) > 2 && strncmp("--json", *argv, strlen(*argv)) == 0)
            return true;
    return false;
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : otherwise;
}

/* Finds the verb, moves it in front of the global options that stand before
 * it, and runs it. */
static int run_verb(struct saga *saga, int argc, char **argv)
{
    int at = verb_at(argc, argv);
    char *name = argv[at];

    saga->verb = at < argc ? find_verb(name) : &nothing;
    if (saga->verb == NULL)
        return unknown_verb(saga, name);
    saga->argc = argc;
    saga->argv = argv;
    if (at == argc)
        return saga->verb->run(saga);
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
    argv[1] = name;
    saga->argc--;
    saga->argv++;
    if (has_word(argv + 2, "--help") || has_word(argv + 2, "-h"))
        return help_print_verb(saga, saga->verb);
    return saga->verb->run(saga);
}

int main(int argc, char **argv)
{
    struct saga saga = {.directory =
                            environment("SAGA_DIR", saga_usual_directory()),
                        .bus = environment("SAGA_BUS", NULL)};
    int code;

    saga_open_standard();
    if (sodium_init() < 0)
        return SAGA_IO;
    logger_open("saga", LOG_ERROR);
    fault_open(false);
    saga.colour = isatty(STDOUT_FILENO) &&
                  environment("NO_COLOR", NULL) == NULL &&
                  strcmp(environment("TERM", "dumb"), "dumb") != 0;
    saga.json = wants_json(argv); /* also for what is wrong before it */
    if (!saga.json)
        screen_open(saga.colour);
    code = run_verb(&saga, argc, argv);
    client_close(saga.client);
    return saga_finish(code);
}
