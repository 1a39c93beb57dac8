/* parse.c - parses the words of a verb by its table, with glibc's argp(3).
 *
 * argp would report errors in its own form, and never as JSON; so it is silent,
 * and check_words() checks every option first.  The verb's own parse function
 * reports a bad value. */
#include "saga-cli/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct argp_option saga_global_options[] = {
    {"dir", 'd', "DIR", 0, "data directory ($SAGA_DIR, else var beside run.sh)",
     0},
    {"bus", 'b', "URL", 0, "tcp://127.0.0.1:PORT instead of ipc ($SAGA_BUS)",
     0},
    {"read-side", 'r', "DIR", 0, "query the separate read side in DIR", 0},
    {"json", 'j', NULL, 0, "one JSON value on standard output", 0},
    {0}};

/* ---- what is wrong with an option --------------------------------------- */

/* The option that @name means, up to its "=": by its whole name, or by the
 * beginning that only one has, as with getopt_long(3).  NULL: none. */
static const struct argp_option *find_option(const struct verb *verb,
                                             const char *name)
{
    const struct argp_option *tables[] = {saga_global_options,
                                          verb ? verb->options : NULL};
    const struct argp_option *found = NULL;
    size_t length = strcspn(name, "="), count = 0;

    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct argp_option *o = tables[t]; o && o->name; o++) {
            if (strncmp(o->name, name, length) != 0)
                continue;
            if (o->name[length] == '\0')
                return o;
            found = o;
            count++;
        }
    return count == 1 ? found : NULL;
}

static bool is_global(const struct argp_option *option)
{
    for (const struct argp_option *o = saga_global_options; o->name; o++)
        if (o == option)
            return true;
    return false;
}

int saga_global_option_words(char **argv, int at)
{
    const char *word = argv[at];
    const struct argp_option *option =
        strncmp(word, "--", 2) == 0 && word[2] != '\0'
            ? find_option(NULL, word + 2)
            : NULL;

    if (option == NULL)
        return 0;
    return option->arg == NULL || strchr(word, '=') || !argv[at + 1] ? 1 : 2;
}

/* Below zero is a number, too; and "-" alone is never an option. */
static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' &&
           strspn(word + 1, "0123456789.") == 0;
}

/* What is wrong with the option @word, before @next (NULL: it is the last);
 * "" when nothing is. */
static const char *option_problem(const struct argp_option *option,
                                  const char *word, const char *next)
{
    bool has_value = strchr(word, '=') != NULL;

    if (option == NULL && looks_like_option(word))
        return "is not an option";
    if (option == NULL)
        return "is negative, but numbers must not be";
    if (option->arg == NULL)
        return has_value ? "takes no value" : "";
    if (has_value || (next != NULL && !looks_like_option(next)))
        return "";
    return "needs a value";
}

static int check_words(const struct saga *saga)
{
    char **argv = saga->argv;

    for (int i = 1; i < saga->argc && strcmp(argv[i], "--") != 0; i++) {
        const struct argp_option *option = NULL;
        const char *word = argv[i], *next = argv[i + 1], *problem;
        bool own;

        if (word[0] != '-' || word[1] == '\0')
            continue;
        if (word[1] == '-')
            option = find_option(saga->verb, word + 2);
        problem = option_problem(option, word, next);
        own = !is_global(option);
        if (problem[0] != '\0')
            return saga_fail(saga, SAGA_USAGE,
                             "%s %s%s%s ('./saga %s%s--help')", word, problem,
                             option && option->arg && next ? ", not " : "",
                             option && option->arg && next ? next : "",
                             own ? saga->verb->name : "", own ? " " : "");
        if (option->arg != NULL && strchr(word, '=') == NULL)
            i++;
    }
    return SAGA_YES;
}

/* ---- parsing ------------------------------------------------------------ */

int saga_unexpected(const struct saga *saga, const char *word)
{
    return saga_fail(saga, SAGA_USAGE,
                     "unexpected argument '%s' ('./saga %s --help')", word,
                     saga->verb->name);
}

int saga_missing(const struct saga *saga, const char *word)
{
    return saga_fail(saga, SAGA_USAGE, "missing %s ('./saga %s --help')", word,
                     saga->verb->name);
}

int saga_take_word(struct saga *saga, char *word)
{
    if (saga->word_count == saga->verb->words_max)
        return saga_unexpected(saga, word);
    saga->words[saga->word_count++] = word;
    return SAGA_YES;
}

int saga_take_number(const struct saga *saga, const char *what,
                     const char *text, int64_t least, int64_t most,
                     int64_t *number)
{
    if (text_parse_count(text, least, most, number))
        return SAGA_YES;
    if (most == INT64_MAX)
        return saga_fail(saga, SAGA_USAGE,
                         "%s must be a number, at least %lld, not %s", what,
                         (long long)least, text);
    return saga_fail(saga, SAGA_USAGE, "%s must be %lld to %lld, not %s", what,
                     (long long)least, (long long)most, text);
}

error_t saga_parse_flag(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    bool *flag = saga->options;

    (void)arg;
    if (key != 'o')
        return ARGP_ERR_UNKNOWN;
    *flag = true;
    return SAGA_YES;
}

error_t saga_parse_value(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    const char **value = saga->options;

    if (key != 'o')
        return ARGP_ERR_UNKNOWN;
    *value = arg;
    return SAGA_YES;
}

static error_t parse_global(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = saga;
        return SAGA_YES;
    case ARGP_KEY_ARG:
        return saga_take_word(saga, arg);
    case 'd':
        saga->directory = arg;
        return SAGA_YES;
    case 'b':
        saga->bus = arg;
        return SAGA_YES;
    case 'r':
        saga->read_side = arg;
        return SAGA_YES;
    case 'j':
        saga->json = true;
        return SAGA_YES;
    default:
        return ARGP_ERR_UNKNOWN;
    }
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

/* What another user keeps to himself neither runs nor is down: it is not seen.
 * @name: "", or a directory in the data directory. */
static int check_access(const struct saga *saga, const char *name)
{
    char path[4096];
    struct stat found;

    snprintf(path, sizeof path, "%s/%s", saga->directory, name);
    if (access(path, R_OK | X_OK) == 0 || errno != EACCES)
        return SAGA_YES;
    if (stat(path, &found) != 0)
        return saga_fail(saga, SAGA_IO, "%s: %s", saga->directory,
                         strerror(EACCES));
    return saga_fail(saga, SAGA_IO,
                     "%s is closed to us: it belongs to user %u; ask as that "
                     "user",
                     path, found.st_uid);
}

/* Whether the verb looks into the data directory. */
static bool looks(const struct saga *saga)
{
    enum verb_group group = saga->verb->group;

    return saga->bus == NULL &&
           (group == COMMANDS || group == QUERIES || group == OPERATION);
}

/* All that look but those that end what there may be. */
static bool needs_services(const struct saga *saga)
{
    return looks(saga) && saga->verb->run != verb_pids.run &&
           saga->verb->run != verb_signal.run &&
           saga->verb->run != verb_shutdown.run;
}

static int open_client(struct saga *saga)
{
    int code = SAGA_YES;
    char why[256];

    if (saga->bus == NULL)
        saga->bus = bus_of(saga->directory);
    if (client_open(saga_domain(), saga->directory, saga->bus, &saga->client,
                    why, sizeof why) != EVT_OK)
        return saga_fail(saga, SAGA_USAGE, "%s", why);
    if (looks(saga))
        code = check_access(saga, "");
    for (unsigned i = 0; looks(saga) && i < saga_services(); i++)
        if (code == SAGA_YES)
            code = check_access(saga, saga_service(i));
    if (code == SAGA_YES && needs_services(saga) && saga_services() == 0)
        code = saga_no_services(saga, SAGA_NOT_RUNNING);
    return code;
}

int saga_parse(struct saga *saga, void *options)
{
    const struct verb *verb = saga->verb;
    const struct argp own = {.options = verb->options, .parser = verb->parse};
    const struct argp_child children[] = {{&own, 0, NULL, 0}, {0}};
    const struct argp all = {.options = saga_global_options,
                             .parser = parse_global,
                             .children = children};
    int code = check_words(saga);

    saga->options = options;
    if (code == SAGA_YES) /* in order: nothing is moved about */
        code = argp_parse(&all, saga->argc, saga->argv,
                          ARGP_SILENT | ARGP_IN_ORDER, NULL, saga);
    saga_find_services(saga);
    if (code == SAGA_YES && verb->group != ABOUT)
        code = open_client(saga);
    return code;
}
