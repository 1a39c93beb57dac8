/* saga_main.c - the `saga` command: lists the verbs and runs the requested one.
 *
 * Everything about a verb is in its own file; next: verbs.h. */
#include "saga-cli/saga_main.h"

#include "saga-cli/screen.h"
#include "saga-cli/verbs.h"

#include "base/fault.h"
#include "base/logger.h"
#include "host/options.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Those of the library, in the order of their groups. */
static const struct verb *const generic[] = {
    &verb_trace,     &verb_why,     &verb_log,     &verb_status,
    &verb_wait,      &verb_check,   &verb_verify,  &verb_fault,
    &verb_parked,    &verb_redrive, &verb_accept,  &verb_acknowledge,
    &verb_rebuild,   &verb_backup,  &verb_pids,    &verb_signal,
    &verb_shutdown,  &verb_web,     &verb_flow,    &verb_scenario,
    &verb_learn,     &verb_help,    &verb_version, &verb_man,
    &verb_completion};
enum { GENERIC = sizeof generic / sizeof generic[0], VERBS_MAX = 64 };

static const struct saga_tool none; /* without a domain */
static const struct saga_tool *tool = &none;
static struct verb worded[GENERIC];
const struct verb *saga_verbs[VERBS_MAX + 1];

const struct saga_tool *saga_tool(void)
{
    return tool;
}

const char *saga_a_saga(void)
{
    return tool->a_saga != NULL ? tool->a_saga : "a saga";
}

const char *saga_noun(void)
{
    return strchr(saga_a_saga(), ' ') + 1;
}

const char *saga_together(void)
{
    return tool->together != NULL ? tool->together : "services";
}

/* ---- the list ------------------------------------------------------------ */

/* A verb of the library, in the words of the domain. */
static const struct verb *in_words(size_t i)
{
    const struct verb_words *words = tool->words;
    struct verb *verb = &worded[i];

    *verb = *generic[i];
    while (words != NULL && words->verb != NULL &&
           strcmp(words->verb, verb->name) != 0)
        words++;
    if (words == NULL || words->verb == NULL)
        return verb;
    verb->args = words->args != NULL ? words->args : verb->args;
    verb->summary = words->summary != NULL ? words->summary : verb->summary;
    verb->examples = words->examples != NULL ? words->examples : verb->examples;
    verb->notes = words->notes != NULL ? words->notes : verb->notes;
    return verb;
}

static void list(const struct verb *verb)
{
    static size_t count;

    assert(count < VERBS_MAX);
    saga_verbs[count++] = verb;
}

/* The domain's own of @group that stand behind the verb @after; NULL: first. */
static void list_own(int group, const char *after)
{
    for (const struct verb *const *own = tool->verbs;
         own != NULL && *own != NULL; own++)
        if ((int)(*own)->group == group &&
            (after == NULL || (*own)->after == NULL
                 ? after == (*own)->after
                 : strcmp(after, (*own)->after) == 0))
            list(*own);
}

static void list_verbs(void)
{
    for (int group = 0; group < GROUPS; group++) {
        list_own(group, NULL);
        for (size_t i = 0; i < GENERIC; i++) {
            if ((int)generic[i]->group != group)
                continue;
            list(in_words(i));
            list_own(group, generic[i]->name);
        }
    }
}

/* ---- which verb --------------------------------------------------------- */

/* What is about saga itself may be written as an option: --version, -h. */
const struct verb *saga_find_verb(const char *name)
{
    bool dashed = strncmp(name, "--", 2) == 0;

    if (strcmp(name, "-h") == 0)
        return saga_find_verb("help");
    for (size_t i = 0; saga_verbs[i] != NULL; i++)
        if (strcmp(saga_verbs[i]->name, dashed ? name + 2 : name) == 0)
            return dashed && saga_verbs[i]->group != ABOUT ? NULL
                                                           : saga_verbs[i];
    return NULL;
}

int saga_unknown_verb(const struct saga *saga, const char *name)
{
    const char *closest = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; saga_verbs[i] != NULL; i++)
        if (saga_is_closer(name, saga_verbs[i]->name, &least))
            closest = saga_verbs[i]->name;
    if (closest != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "no verb %s (did you mean %s? './saga --help' lists "
                         "them)",
                         name, closest);
    return saga_fail(
        saga, SAGA_USAGE, "no verb %s%s ('./saga --help' lists them)", name,
        tool == &none ? ": this program has no domain, and none of "
                        "its verbs"
                      : "");
}

/* Where the verb stands in @argv, behind global options; @argc: nowhere. */
static int verb_at(int argc, char **argv)
{
    int i = 1, taken;

    while (i < argc && (taken = saga_global_option_words(argv, i)) > 0)
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
static const struct verb nothing = {
    .name = "help", .group = ABOUT, .args = "", .run = run_nothing};

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

    saga->verb = at < argc ? saga_find_verb(name) : &nothing;
    if (saga->verb == NULL)
        return saga_unknown_verb(saga, name);
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

/* Whether all services that were handed in have tables to go by. */
static bool check_tool(const struct saga *saga)
{
    char why[SERVICE_WHY_BYTES];

    for (size_t i = 0; i < tool->service_count; i++) {
        if (service_check(tool->services[i], why))
            continue;
        (void)saga_fail(saga, 70,
                        "it was built with tables that it cannot go by: %s: %s",
                        tool->services[i]->name, why);
        return false;
    }
    return true;
}

int saga_main(int argc, char **argv, const struct saga_tool *handed)
{
    struct saga saga = {.directory =
                            environment("SAGA_DIR", saga_usual_directory()),
                        .bus = environment("SAGA_BUS", NULL)};
    int code;

    if (handed != NULL)
        tool = handed;
    hint_about(&saga);
    list_verbs();
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
    code = check_tool(&saga) ? run_verb(&saga, argc, argv) : 70;
    client_close(saga.client);
    return saga_finish(code);
}
