/* completion.c - `saga completion bash`: a script that completes the words of
 * saga in bash, from the verbs' tables.
 *
 *     . <(saga completion bash)
 *
 * `make completion` keeps it as build/saga.bash. */
#include "saga-cli/explain.h"
#include "saga-cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the script -------------------------------------------------------------
 * Bash hands over "--id=x" as three words. */

static const char before_verb[] =
    "# bash completion for saga, printed by 'saga completion bash'\n"
    "_saga()\n"
    "{\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before verb='' kind=-W i\n"
    "    local words='' options='' values='' files='' dirs=''\n"
    "\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "            ";

static const char behind_verb[] =
    ")\n"
    "                i=$((i + 1))\n"
    "                [ \"${COMP_WORDS[i]-}\" != = ] || i=$((i + 1))\n"
    "                ;;\n"
    "            -*) ;;\n"
    "            *)\n"
    "                verb=${COMP_WORDS[i]}\n"
    "                break\n"
    "                ;;\n"
    "        esac\n"
    "    done\n"
    "    before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    if [ \"$word\" = = ]; then\n"
    "        word=''\n"
    "    elif [ \"$before\" = = ]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    case $verb in\n";

static const char behind_lists[] =
    "    esac\n"
    "    case \" $dirs \" in *\" $before \"*) kind=-d ;; esac\n"
    "    case \" $files \" in *\" $before \"*) kind=-f ;; esac\n"
    "    case \" $values \" in *\" $before \"*) kind=-W words='' ;; esac\n"
    "    case $word in -*) kind=-W words=$options ;; esac\n"
    "    if [ $kind = -W ]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
    "    else\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen $kind -- \"$word\")\n"
    "    fi\n"
    "}\n"
    "complete -F _saga saga\n";

/* ---- what the tables say ------------------------------------------------ */

static void put_verb_names(void)
{
    for (size_t i = 0; saga_verbs[i] != NULL; i++)
        printf(" %s", saga_verbs[i]->name);
}

/* The words that may stand where @word stands in a verb's args. */
static void put_words_for(const char *word)
{
    if (word[strspn(word, "abcdefghijklmnopqrstuvwxyz")] == '\0')
        printf(" %s", word);
    else if (strcmp(word, "SERVICE") == 0 || strcmp(word, "SOURCE") == 0)
        for (unsigned i = 0; i < saga_own_services(); i++)
            printf(" %s", saga_service(i));
    else if (strcmp(word, "VERB") == 0)
        put_verb_names();
    else if (strcmp(word, "INVARIANT") == 0)
        explain_print_names(stdout);
}

static void put_words(const struct verb *verb)
{
    char *args = strdup(verb->args), *rest = args, *word;

    if (args == NULL)
        abort();
    fputs(" words='", stdout);
    while ((word = strsep(&rest, " |[].\n")) != NULL)
        if (word[0] != '\0')
            put_words_for(word);
    putchar('\'');
    if (strcmp(verb->args, "DIR") == 0)
        fputs(" kind=-d", stdout);
    free(args);
}

enum option_kind { ANY, VALUE, FILES, DIRS };

static enum option_kind kind_of(const struct argp_option *option)
{
    if (option->arg == NULL)
        return ANY;
    if (strcmp(option->arg, "DIR") == 0)
        return DIRS;
    return strcmp(option->arg, "FILE") == 0 ? FILES : VALUE;
}

/* name='--id --count': those options of the verb and of saga that are of
 * @kind; ANY: all. */
static void put_options(const char *name, const struct verb *verb,
                        enum option_kind kind)
{
    const struct argp_option *tables[] = {verb ? verb->options : NULL,
                                          saga_global_options};

    printf(" %s='%s", name, kind == ANY ? "--help" : "");
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct argp_option *o = tables[t]; o && o->name; o++)
            if (kind == ANY || kind_of(o) == kind)
                printf(" --%s", o->name);
    putchar('\'');
}

static void put_lists(const struct verb *verb)
{
    put_options("options", verb, ANY);
    put_options("values", verb, VALUE);
    put_options("files", verb, FILES);
    put_options("dirs", verb, DIRS);
    fputs(" ;;\n", stdout);
}

static void put_script(void)
{
    const char *separator = "";

    fputs(before_verb, stdout);
    for (const struct argp_option *o = saga_global_options; o->name; o++)
        if (o->arg != NULL) {
            printf("%s--%s", separator, o->name);
            separator = " | ";
        }
    fputs(behind_verb, stdout);
    for (size_t i = 0; saga_verbs[i] != NULL; i++) {
        printf("        %s)", saga_verbs[i]->name);
        put_words(saga_verbs[i]);
        put_lists(saga_verbs[i]);
    }
    fputs("        *) words='", stdout);
    put_verb_names();
    fputs("'", stdout);
    put_lists(NULL);
    fputs(behind_lists, stdout);
}

static int run(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code != SAGA_YES)
        return code;
    if (saga->word_count == 0)
        return saga_missing(saga, "bash");
    if (strcmp(saga->words[0], "bash") != 0)
        return saga_fail(
            saga, SAGA_USAGE,
            "%s: only bash is supported ('./saga completion bash')",
            saga->words[0]);
    if (saga->json)
        return saga_fail(saga, SAGA_USAGE,
                         "a completion script has no JSON form");
    put_script();
    return SAGA_YES;
}

const struct verb verb_completion = {
    .name = "completion",
    .group = ABOUT,
    .examples = "completion bash",
    .summary = "print bash completion: . <(saga completion bash)",
    .args = "bash",
    .words_max = 1,
    .run = run};
