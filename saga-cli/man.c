/* man.c - `saga man`: the manual page, from the verbs' tables.
 *
 * Written in the macros of man(7); `make man` keeps it as build/saga.1. */
#include "saga-cli/verbs.h"

#include "host/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @text as roff shows it: dashes are no hyphens, no line is a macro because it
 * begins with a dot or a quote, and what stands in brackets is not broken. */
static void put_text(const char *text)
{
    int depth = 0;

    if (text[0] == '.' || text[0] == '\'')
        fputs("\\&", stdout);
    for (; *text != '\0'; text++) {
        depth += (*text == '[') - (*text == ']');
        if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == ' ' && depth > 0)
            fputs("\\ ", stdout);
        else
            putchar(*text);
    }
}

static void put_line(const char *macro, const char *text)
{
    if (macro != NULL)
        printf("%s\n", macro);
    put_text(text);
    putchar('\n');
}

static void put_title(const char *title)
{
    fputs(".SH ", stdout);
    for (; *title != '\0'; title++)
        putchar(toupper((unsigned char)*title));
    putchar('\n');
}

static void put_options(const struct argp_option *options)
{
    for (const struct argp_option *o = options; o && o->name; o++) {
        fputs(".TP\n\\fB\\-\\-", stdout);
        put_text(o->name);
        fputs("\\fR", stdout);
        if (o->arg != NULL) {
            fputs(" \\fI", stdout);
            put_text(o->arg);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        put_line(NULL, o->doc);
    }
}

/* Each form begins a line. */
static void put_forms(const struct verb *verb)
{
    char *synopsis = help_synopsis(verb), *rest = synopsis, *form;
    const char *macro = "";

    while ((form = strsep(&rest, "\n")) != NULL) {
        printf("%s\\fBsaga %s\\fR%s", macro, verb->name,
               *form != '\0' ? " " : "");
        put_text(form);
        putchar('\n');
        macro = ".br\n";
    }
    free(synopsis);
}

static void put_verb(const struct verb *verb)
{
    printf(".SS %s\n", verb->name);
    put_forms(verb);
    put_line(".PP", verb->summary);
    put_options(verb->options);
    if (verb->notes != NULL)
        put_line(".PP", verb->notes);
    help_print_examples(stdout, verb, ".PP\n.nf\n", "saga ");
    if (verb->examples != NULL)
        puts(".fi");
}

static void put_page(void)
{
    puts(".TH SAGA 1 \"\" \"saga " SAGA_VERSION "\" \"Pas de Trois\"\n"
         ".SH NAME\nsaga \\- command and inspect a choreographed saga\n"
         ".SH SYNOPSIS\n\\fBsaga\\fR [\\fIOPTION\\fR]... \\fIVERB\\fR ...\n"
         ".SH DESCRIPTION");
    puts(saga_tool()->about != NULL
             ? saga_tool()->about
             : "Asks the services of a data directory, and reads their logs.");
    puts(".SH OPTIONS\nThese may stand before or after any verb.");
    put_options(saga_global_options);
    for (int group = 0; group < GROUPS; group++) {
        if (help_group_is_empty(group))
            continue;
        put_title(saga_group_titles[group]);
        for (size_t i = 0; saga_verbs[i] != NULL; i++)
            if ((int)saga_verbs[i]->group == group)
                put_verb(saga_verbs[i]);
    }
    puts(".SH EXIT STATUS\n0 yes, 1 no, 64 usage, 65 bad data, 66 no such "
         "thing, 69 not running,\n74 I/O, 75 try again.\n"
         ".SH ENVIRONMENT\n"
         ".TP\n\\fBSAGA_DIR\\fR\nthe data directory, without "
         "\\fB\\-\\-dir\\fR\n"
         ".TP\n\\fBSAGA_BUS\\fR\nthe address, without "
         "\\fB\\-\\-bus\\fR\n"
         ".TP\n\\fBNO_COLOR\\fR\nif not empty: no colours");
}

static int run(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code == SAGA_YES && saga->json)
        return saga_fail(saga, SAGA_USAGE, "a manual page has no JSON form");
    if (code == SAGA_YES)
        put_page();
    return code;
}

const struct verb verb_man = {.name = "man",
                              .group = ABOUT,
                              .examples = "man | man -l -",
                              .summary =
                                  "print the manual page: saga man | man -l -",
                              .args = "",
                              .run = run};
