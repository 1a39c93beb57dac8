/* lexicon.c - see lexicon.h. */
#include "core/lexicon.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 32, MESSAGES_MAX = 2 * TYPES_MAX };

struct lexicon {
    struct domain domain;
    struct message messages[MESSAGES_MAX];
    char learned[TYPES_MAX][NAME_BYTES]; /* names, by type */
};

static const struct field nothing[] = {{.name = NULL}};

struct lexicon *lexicon_new(const struct domain *domain)
{
    struct lexicon *lexicon = calloc(1, sizeof *lexicon);

    if (lexicon == NULL)
        abort();
    if (domain != NULL && domain->message_count <= MESSAGES_MAX) {
        lexicon->domain = *domain;
        memcpy(lexicon->messages, domain->messages,
               domain->message_count * sizeof *domain->messages);
    }
    lexicon->domain.messages = lexicon->messages;
    return lexicon;
}

void lexicon_free(struct lexicon *lexicon)
{
    free(lexicon);
}

const struct domain *lexicon_domain(const struct lexicon *lexicon)
{
    return &lexicon->domain;
}

unsigned lexicon_number(const struct lexicon *lexicon, const char *name)
{
    for (size_t i = 0; i < lexicon->domain.message_count; i++)
        if (strcmp(lexicon->messages[i].name, name) == 0)
            return lexicon->messages[i].type;
    return NO_MESSAGE;
}

unsigned lexicon_learn(struct lexicon *lexicon, const char *name,
                       int is_command)
{
    unsigned type = lexicon_number(lexicon, name);
    struct domain *domain = &lexicon->domain;

    if (type != NO_MESSAGE || strlen(name) >= NAME_BYTES ||
        domain->message_count == MESSAGES_MAX)
        return type;
    type = domain_types(domain);
    if (type == TYPES_MAX)
        return NO_MESSAGE;
    strcpy(lexicon->learned[type], name);
    lexicon->messages[domain->message_count++] =
        (struct message){.type = type,
                         .version = 1,
                         .name = lexicon->learned[type],
                         .is_command = is_command,
                         .fields = nothing};
    return type;
}

void lexicon_learn_undoes(struct lexicon *lexicon, const char *name,
                          const char *undone)
{
    for (size_t i = 0; i < lexicon->domain.message_count; i++) {
        struct message *message = &lexicon->messages[i];

        if (message->fields == nothing && strcmp(message->name, name) == 0)
            message->undoes = lexicon_number(lexicon, undone);
    }
}
