/* lexicon.h - the messages of several domains, known by name alone.
 *
 * A program that shows services which it was not built with needs one number
 * for each message that they name in their descriptions (describe.h).  A
 * lexicon gives them: it begins as a copy of the program's own domain, and
 * what it learns comes behind that. */
#ifndef LEXICON_H
#define LEXICON_H

#include "core/domain.h"

struct lexicon;

/* Begins with the messages of @domain; NULL: with none.  They must outlive it.
 * Never returns NULL.  The caller frees it with lexicon_free(). */
struct lexicon *lexicon_new(const struct domain *domain);
void lexicon_free(struct lexicon *lexicon); /* NULL is fine */

/* The number of the message called @name: the one that it has, or a new one.
 * NO_MESSAGE: there is no room, or the name is too long. */
unsigned lexicon_learn(struct lexicon *lexicon, const char *name,
                       int is_command);
/* Remembers that @name, a learned one, takes back @undone. */
void lexicon_learn_undoes(struct lexicon *lexicon, const char *name,
                          const char *undone);
/* The number of the message called @name, or NO_MESSAGE. */
unsigned lexicon_number(const struct lexicon *lexicon, const char *name);

/* All of it as a domain, which changes as more is learned.  Learned messages
 * have no fields: nothing can be encoded or decoded by it. */
const struct domain *lexicon_domain(const struct lexicon *lexicon);

#endif
