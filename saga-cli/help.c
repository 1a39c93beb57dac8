/* help.c - `saga help`: lists the verbs and their options, from their tables.
 *
 * The manual page comes from the same tables, in man.c. */
#include "saga-cli/screen.h"
#include "saga-cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 79 };

/* What a line may take: of a narrow terminal, all of it. */
static size_t width(void)
{
    size_t columns = screen_width();

    return columns > 0 && columns < WIDTH ? columns : WIDTH;
}

const char *const saga_group_titles[GROUPS] = {[COMMANDS] = "Commands",
                                               [QUERIES] = "Queries",
                                               [OPERATION] = "Operation",
                                               [LEARNING] = "Learning",
                                               [ABOUT] = "About saga"};

char *help_synopsis(const struct verb *verb)
{
    char *text = NULL;
    size_t bytes = 0, length = strlen(verb->args);
    FILE *out = open_memstream(&text, &bytes);
    bool begun = length > 0 && verb->args[length - 1] != '\n';

    if (out == NULL)
        abort();
    fputs(verb->args, out);
    for (const struct argp_option *o = verb->options; o && o->name; o++) {
        if ((o->flags & OPTION_NO_USAGE) != 0)
            continue;
        fprintf(out, "%s[--%s%s%s]", begun ? " " : "", o->name,
                o->arg ? " " : "", o->arg ? o->arg : "");
        begun = true;
    }
    fclose(out);
    return text;
}

/* ---- filled lines ------------------------------------------------------- */

/* A line in progress; those that follow it are indented. */
struct filled {
    FILE *out;
    size_t column, indent;
};

/* Appends @length bytes that stay together, on a new line if need be. */
static void fill(struct filled *line, const char *piece, size_t length)
{
    if (line->column + 1 + length > width()) {
        fprintf(line->out, "\n%*s", (int)line->indent, "");
        line->column = line->indent;
    } else if (line->column > line->indent) {
        putc(' ', line->out);
        line->column++;
    }
    fwrite(piece, 1, length, line->out);
    line->column += length;
}

/* A newline in @text stays one. */
static void fill_text(struct filled *line, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");

        fill(line, text, length);
        text += length;
        if (*text == '\n') {
            fprintf(line->out, "\n%*s", (int)line->indent, "");
            line->column = line->indent;
        }
        text += *text != '\0';
    }
    putc('\n', line->out);
}

void help_fill(FILE *out, size_t indent, const char *text)
{
    struct filled line = {out, indent, indent};

    fill_text(&line, text);
}

/* ---- one verb ----------------------------------------------------------- */

/* A form of the verb; breaks lines only before an option in brackets. */
static void print_form(FILE *out, const char *lead, const struct verb *verb,
                       const char *form)
{
    size_t indent = strlen(lead) + strlen(" saga ") + strlen(verb->name);
    struct filled line = {out, indent, indent};

    fprintf(out, "%s saga %s", lead, verb->name);
    if (*form != '\0')
        putc(' ', out);
    line.indent = ++line.column;
    while (*form != '\0') {
        const char *next = strstr(form, " [--");
        size_t length = next ? (size_t)(next - form) : strlen(form);

        fill(&line, form, length);
        form += length + (next != NULL);
    }
    putc('\n', out);
}

static void print_usage(FILE *out, const struct verb *verb)
{
    char *synopsis = help_synopsis(verb), *rest = synopsis, *form;
    const char *lead = "usage:";

    while ((form = strsep(&rest, "\n")) != NULL) {
        print_form(out, lead, verb, form);
        lead = "      ";
    }
    free(synopsis);
}

static void print_options(FILE *out, const struct argp_option *options)
{
    size_t width = 0;

    for (const struct argp_option *o = options; o && o->name; o++) {
        size_t own = strlen(o->name) + (o->arg ? 1 + strlen(o->arg) : 0);

        width = own > width ? own : width;
    }
    for (const struct argp_option *o = options; o && o->name; o++) {
        struct filled line = {out, width + 6, width + 6};
        int used = fprintf(out, "  --%s%s%s", o->name, o->arg ? " " : "",
                           o->arg ? o->arg : "");

        fprintf(out, "%*s", (int)(width + 6) - used, "");
        fill_text(&line, o->doc);
    }
}

void help_print_examples(FILE *out, const struct verb *verb, const char *head,
                         const char *lead)
{
    if (verb->examples == NULL)
        return;
    fputs(head, out);
    for (const char *line = verb->examples; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        fprintf(out, "%s%.*s\n", lead, (int)length, line);
        line += length + (line[length] != '\0');
    }
}

static void print_rest(FILE *out, const struct verb *verb)
{
    struct filled line = {out, 0, 0};
    char *lead = hint_example("  ./saga ");
    char *notes = hint_example(verb->notes != NULL ? verb->notes : "");

    print_options(out, verb->options);
    if (verb->notes != NULL)
        fill_text(&line, notes);
    help_print_examples(out, verb, "\nExamples:\n", lead);
    free(notes);
    free(lead);
}

/* The same as one string; caller frees. */
static char *rest_text(const struct verb *verb)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        abort();
    print_rest(out, verb);
    fclose(out);
    return text;
}

int help_print_verb(const struct saga *saga, const struct verb *verb)
{
    char *synopsis, *rest;

    if (!saga->json) {
        print_usage(stdout, verb);
        printf("\n%s\n", verb->summary);
        print_rest(stdout, verb);
        return SAGA_YES;
    }
    synopsis = help_synopsis(verb);
    rest = rest_text(verb);
    saga_print_json(json_pack("{s:s,s:s,s:s,s:s}", "name", verb->name,
                              "synopsis", synopsis, "summary", verb->summary,
                              "help", rest));
    free(synopsis);
    free(rest);
    return SAGA_YES;
}

/* ---- all of them -------------------------------------------------------- */

bool help_group_is_empty(int group)
{
    for (size_t i = 0; saga_verbs[i] != NULL; i++)
        if ((int)saga_verbs[i]->group == group)
            return false;
    return true;
}

/* Those verbs of @group that do not stand above all groups; FIRST: those that
 * do. */
enum { FIRST = -1 };
static void print_group(FILE *out, const char *title, int group)
{
    bool begun = false;

    for (size_t i = 0; saga_verbs[i] != NULL; i++) {
        const struct verb *verb = saga_verbs[i];

        if (group == FIRST ? !verb->first
                           : verb->first || (int)verb->group != group)
            continue;
        if (!begun)
            fprintf(out, "\n%s:\n", title);
        begun = true;
        fprintf(out, "  %-11s  %s\n", verb->name, verb->summary);
    }
}

void help_print(FILE *out)
{
    char *more;

    fputs("usage: saga", out);
    for (const struct argp_option *o = saga_global_options; o->name; o++)
        fprintf(out, " [--%s%s%s]", o->name, o->arg ? " " : "",
                o->arg ? o->arg : "");
    fputs(" VERB ...\n", out);
    print_group(out, "The first ten minutes", FIRST);
    for (int group = 0; group < GROUPS; group++)
        print_group(out, saga_group_titles[group], group);
    fputs("\nBefore or after any verb:\n", out);
    print_options(out, saga_global_options);
    more = hint_example("'./saga help VERB' shows more.");
    fprintf(out,
            "\n%s  Exit codes: 0 yes, 1 no, 64 usage,\n65 bad data, 66 no "
            "such thing, 69 not running, 74 I/O, 75 try again.\n",
            more);
    free(more);
}

/* {"verbs":[{"name","synopsis","summary","first"}]} */
static void print_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; saga_verbs[i] != NULL; i++) {
        char *synopsis = help_synopsis(saga_verbs[i]);

        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:b}", "name",
                                              saga_verbs[i]->name, "synopsis",
                                              synopsis, "summary",
                                              saga_verbs[i]->summary, "first",
                                              saga_verbs[i]->first));
        free(synopsis);
    }
    saga_print_json(json_pack("{s:o}", "verbs", list));
}

static int run(struct saga *saga)
{
    int code = saga_parse(saga, NULL);
    const struct verb *verb;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count > 0) {
        verb = saga_find_verb(saga->words[0]);
        return verb == NULL ? saga_unknown_verb(saga, saga->words[0])
                            : help_print_verb(saga, verb);
    }
    if (saga->json)
        print_json();
    else
        help_print(stdout);
    return SAGA_YES;
}

const struct verb verb_help = {.name = "help",
                               .group = ABOUT,
                               .examples = "help trace",
                               .summary =
                                   "show this list, or the help of one verb",
                               .args = "[VERB]",
                               .words_max = 1,
                               .run = run};
