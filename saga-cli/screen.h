/* screen.h - text on its way to standard output. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* From now on, what is printed on stdout is shown by text_show (base/text.h):
 * the text of an event can neither move the cursor nor turn a line around.  On
 * a terminal that is narrower than a line, the line is folded between words.
 * @colour: colours that are printed stay.  stdout reports errors as before. */
void screen_open(bool colour);

/* Prints what is left of a line without an end; false: it got not out. */
bool screen_close(void);

/* The width of the terminal on stdout, or 0 if stdout is no terminal. */
size_t screen_width(void);

#endif
