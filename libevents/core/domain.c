/* domain.c - looking up messages in a catalogue. */
#include "core/domain.h"

const struct message *domain_message(const struct domain *domain, unsigned type)
{
    size_t i = domain == NULL ? 0 : domain->message_count;

    while (i-- > 0) /* the newest comes last */
        if (domain->messages[i].type == type)
            return &domain->messages[i];
    return NULL;
}

const struct message *domain_message_named(const struct domain *domain,
                                           const char *name, uint32_t version,
                                           uint32_t *newest)
{
    const struct message *found = NULL;
    uint32_t last = 0;

    for (size_t i = 0; domain != NULL && i < domain->message_count; i++) {
        const struct message *message = &domain->messages[i];

        /* most differ in a letter that is cheaper to see than to call for */
        if (message->name[0] != name[0] || strcmp(message->name, name) != 0)
            continue;
        last = message->version;
        if (last == version)
            found = message;
    }
    if (newest != NULL)
        *newest = last;
    return found;
}

const char *domain_type_name(const struct domain *domain, unsigned type)
{
    const struct message *message = domain_message(domain, type);

    return message == NULL ? "?" : message->name;
}

unsigned domain_undoes(const struct domain *domain, unsigned type)
{
    const struct message *message = domain_message(domain, type);

    return message == NULL ? NO_MESSAGE : message->undoes;
}

unsigned domain_types(const struct domain *domain)
{
    unsigned types = 1;

    for (size_t i = 0; domain != NULL && i < domain->message_count; i++)
        if (domain->messages[i].type >= types)
            types = domain->messages[i].type + 1;
    return types;
}
