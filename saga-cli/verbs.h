/* verbs.h - what a verb of the `saga` command is, and those of the library.
 *
 * Each verb's file ends with its `struct verb`.  Its words are parsed by that
 * table (parse.c), and so are made help (help.c), man page (man.c) and
 * completion (completion.c).  A domain hands in verbs of its own
 * (saga_main.h). */
#ifndef VERBS_H
#define VERBS_H

#include "saga-cli/saga.h"

#include <argp.h>

/* In the order of the help. */
enum verb_group { COMMANDS, QUERIES, OPERATION, LEARNING, ABOUT, GROUPS };
extern const char *const saga_group_titles[GROUPS];

struct verb {
    const char *name;
    enum verb_group group;
    const char *after; /* of a domain's own: behind that verb of the library in
                          the help; NULL: before all of the group */
    bool first;        /* among those of the first ten minutes, which stand
                          above all groups of the help */
    const char *summary;  /* one line */
    const char *examples; /* without "./saga", a line each; or NULL */
    /* What follows the name, a line for each form.  Words in small letters are
     * typed as they are; SERVICE, SOURCE, VERB, INVARIANT and DIR are
     * completed.  If a newline is its end, the options are a form alone. */
    const char *args;
    /* NULL, or a table of argp(3).  An option has its long name alone; the key
     * is for @parse.  With OPTION_NO_USAGE it stands in @args already, else it
     * is shown behind them. */
    const struct argp_option *options;
    argp_parser_t parse; /* takes options: state->input is the struct saga */
    unsigned words_max;  /* that are no options, at most WORDS_MAX */
    const char *notes;   /* the help's last paragraph: exit codes; or NULL */
    int (*run)(struct saga *saga); /* returns the exit code */
};

/* All of them: in each group the domain's own, then those of the library; the
 * last is NULL. */
extern const struct verb *saga_verbs[];
/* Returns NULL if no verb has that name. */
const struct verb *saga_find_verb(const char *name);
/* Reports that; returns SAGA_USAGE. */
int saga_unknown_verb(const struct saga *saga, const char *name);

/* The options that stand before or behind any verb; the last has no name. */
extern const struct argp_option saga_global_options[];
/* How many words of @argv, from @at on, are a global option with its value; 0:
 * it is not one. */
int saga_global_option_words(char **argv, int at);

/* ---- for the verbs ------------------------------------------------------ */

/* Parses saga->argv by the tables: options into @options, which is what
 * saga->options is meanwhile; words into saga->words.  Then opens the client,
 * unless the verb is ABOUT saga itself.  Else it was reported, and this is the
 * exit code. */
MUST_CHECK int saga_parse(struct saga *saga, void *options);

/* Parse functions of a verb with one option, whose key is 'o': what
 * saga->options points to is a bool that becomes true, or a const char * that
 * becomes the value. */
error_t saga_parse_flag(int key, char *arg, struct argp_state *state);
error_t saga_parse_value(int key, char *arg, struct argp_state *state);

/* For parse functions.  A whole number, or it is reported that @what must be
 * one; returns the exit code. */
int saga_take_number(const struct saga *saga, const char *what,
                     const char *text, int64_t least, int64_t most,
                     int64_t *number);
/* Appends to saga->words, or reports that it is one too many. */
int saga_take_word(struct saga *saga, char *word);

/* Reports that the verb has no @word; returns SAGA_USAGE. */
int saga_missing(const struct saga *saga, const char *word);

/* Reports that @word is one too many; returns SAGA_USAGE. */
int saga_unexpected(const struct saga *saga, const char *word);

/* ---- help --------------------------------------------------------------- */

/* What follows the verb's name, a line for each form, options behind the last;
 * caller frees. */
char *help_synopsis(const struct verb *verb);
void help_print(FILE *out);
/* @text in lines that fit the terminal, with its end of line.  The first one is
 * at column @indent already, the others are indented by as much. */
void help_fill(FILE *out, size_t indent, const char *text);
/* Whether no verb is in @group: a program without a domain has no COMMANDS. */
bool help_group_is_empty(int group);
/* @head, and the verb's examples, each on a line behind @lead. */
void help_print_examples(FILE *out, const struct verb *verb, const char *head,
                         const char *lead);
int help_print_verb(const struct saga *saga, const struct verb *verb);

/* Those of the library. */
extern const struct verb verb_trace, verb_why, verb_log, verb_status, verb_wait,
    verb_check, verb_verify;
extern const struct verb verb_fault, verb_parked, verb_redrive, verb_accept,
    verb_acknowledge, verb_rebuild, verb_backup, verb_pids, verb_signal,
    verb_shutdown, verb_web;
extern const struct verb verb_flow, verb_scenario, verb_learn;
extern const struct verb verb_help, verb_version, verb_man, verb_completion;

#endif
