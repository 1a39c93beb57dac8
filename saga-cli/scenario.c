/* scenario.c - `saga scenario` and `saga learn`: hand over to the scripts that
 * run the files of scenarios/ and docs/tutorial/.
 *
 * There is no language and no interpreter here: both are Markdown whose
 * commands are what a reader types.  Scripts and files lie in the source tree,
 * above the program that was built there.  Asked for JSON, it runs the script
 * and makes one value of what that says. */
#include "saga-cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- with --json -------------------------------------------------------- */

/* What the script says on either output, read to its end; caller frees. */
static char *read_all(FILE *from)
{
    char *text = NULL;
    size_t size = 0;

    if (getdelim(&text, &size, '\0', from) < 0 && text != NULL)
        text[0] = '\0'; /* it said nothing */
    return text;
}

/* Runs a script to its end; its exit code, or -1 with errno.  The script dies
 * with this process. */
static int run_script(char **argv, char **said)
{
    int out[2], status = 0;
    pid_t child;
    FILE *from;

    *said = NULL;
    if (pipe2(out, O_CLOEXEC) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        execv(argv[0], argv);
        _exit(SAGA_IO);
    }
    close(out[1]);
    from = fdopen(out[0], "r");
    if (from == NULL || child < 0) {
        close(out[0]);
        return -1;
    }
    *said = read_all(from);
    fclose(from);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Lines such as "07 Crash before the commit". */
static json_t *titles_json(char *text)
{
    json_t *titles = json_array();
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *title = strchr(line, ' ');

        if (title == NULL || title == line || line[0] < '0' || line[0] > '9')
            continue; /* what the list says besides */
        json_array_append_new(titles,
                              json_pack("{s:i,s:o}", "number",
                                        (int)strtol(line, NULL, 10), "title",
                                        saga_json_text(title + 1)));
    }
    return titles;
}

/* One value: the list under @list, or what a run said. */
static int print_as_json(struct saga *saga, const char *list, char **argv)
{
    char *said = NULL;
    int code = run_script(argv, &said);

    if (code < 0)
        code = saga_fail(saga, SAGA_IO, "%s: %s", argv[0], strerror(errno));
    else if (code >= SAGA_USAGE || said == NULL)
        saga_fail(saga, code, "%.*s",
                  said == NULL ? 0 : (int)strcspn(said, "\n"), said);
    else if (list != NULL)
        saga_print_json(json_pack("{s:o}", list, titles_json(said)));
    else
        saga_print_json(
            json_pack("{s:o,s:i}", "said", saga_json_text(said), "code", code));
    free(said);
    return code;
}

/* ---- the verbs ---------------------------------------------------------- */

/* Becomes the script @wanted, with the verb's words; with --json, runs it.
 * @list: what it lists now, or NULL. */
static int become(struct saga *saga, const char *wanted, const char *list)
{
    char *argv[WORDS_MAX + 2] = {NULL}, path[PATH_MAX];

    if (!saga_find_above(wanted, path))
        return saga_fail(saga, SAGA_NO_SUCH,
                         "%s needs the source tree: there is no %s above this "
                         "program; clone and build it there",
                         saga->verb->name, wanted);
    argv[0] = path;
    memcpy(argv + 1, saga->words, saga->word_count * sizeof *argv);
    if (saga->json)
        return print_as_json(saga, list, argv);
    execv(path, argv);
    return saga_fail(saga, SAGA_IO, "%s: %s", path, strerror(errno));
}

/* The script parses them itself: they are handed on among its words. */
static error_t hand_on(int key, char *arg, struct argp_state *state)
{
    static char all[] = "--all", without[] = "--without";
    struct saga *saga = state->input;
    int code;

    if (key == 'a')
        return saga_take_word(saga, all);
    if (key != 'w')
        return ARGP_ERR_UNKNOWN;
    code = saga_take_word(saga, without);
    return code == SAGA_YES ? saga_take_word(saga, arg) : code;
}

static int run_scenario(struct saga *saga)
{
    int code = saga_parse(saga, NULL);
    bool list = saga->word_count == 1 && strcmp(saga->words[0], "ls") == 0;

    if (code != SAGA_YES)
        return code;
    return become(saga, "scripts/scenario.sh", list ? "scenarios" : NULL);
}

static int run_learn(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code != SAGA_YES)
        return code;
    if (saga->json && saga->word_count > 0)
        return saga_fail(saga, SAGA_USAGE,
                         "'learn' is interactive and has no --json");
    return become(saga, "scripts/learn.sh", "chapters");
}

static const struct argp_option options[] = {
    {"without", 'w', "A,B", OPTION_NO_USAGE,
     "on services that lack these protections (lab/)", 0},
    {"all", 'a', NULL, OPTION_NO_USAGE, "all scenarios, one line each", 0},
    {0}};

const struct verb verb_scenario = {
    .name = "scenario",
    .group = LEARNING,
    .examples = "scenario ls\n"
                "scenario show 7\n"
                "scenario run 7\n"
                "scenario score",
    .summary = "break the services on purpose, and predict what happens",
    .args = "ls\nshow N\nrun N [--without A[,B]]\nrun --all\nscore",
    .options = options,
    .parse = hand_on,
    .words_max = WORDS_MAX,
    .notes =
        "show prints the file, with the commands and what they printed; run "
        "runs them and compares (docs/may-differ.txt). In a terminal, run asks "
        "for a prediction first and says whether it was right; score lists "
        "the predictions.\nexits 0 if all of it matches, with --without if "
        "it ends as its table says, 1 if not",
    .run = run_scenario};

const struct verb verb_learn = {
    .name = "learn",
    .group = LEARNING,
    .first = true,
    .examples = "learn 1\n"
                "learn exercise 3\n"
                "learn progress",
    .summary = "walk through a chapter of the tutorial, command by command",
    .args = "[CHAPTER]\nexercise CHAPTER\ncheck CHAPTER\nprogress",
    .words_max = WORDS_MAX,
    .notes = "a chapter runs its commands, or those that you type, asks its "
             "questions, and goes on where you left it. exercise makes a copy "
             "of the source with a fault in it, under build/exercise; check "
             "judges what you made of it.\nexits 0 if an exercise is solved, "
             "1 if not yet",
    .run = run_learn};
