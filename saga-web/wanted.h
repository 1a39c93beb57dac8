/* wanted.h - what a visitor wants done: the words of one `saga` command.
 *
 * The page can do what the terminal can, by the same commands.  Their verbs and
 * options are those of a fixed list; no word reaches a shell. */
#ifndef WANTED_H
#define WANTED_H

#include <stdbool.h>
#include <stddef.h>

enum { WANTED_WORDS = 16, WANTED_TEXT = 2048 };

struct wanted {
    char *words[WANTED_WORDS + 1]; /* into text; ends with NULL */
    unsigned count;
    bool changes;   /* a visitor who may only read must not do it */
    bool of_run_sh; /* ./run.sh does it, not ./saga */
    char text[WANTED_TEXT];
};

/* Reads {"words":["place","widget:2"]}.  NULL: it is on the list.  Otherwise
 * why it is not, a sentence without its full stop; *wanted is then
 * unspecified. */
const char *wanted_parse(const char *body, size_t size, struct wanted *wanted);

#endif
