/* domain.h - the catalogue of a domain: every message that its services share.
 *
 * Each service names its domain (service.h), and what it sends and reads is
 * looked up there.  The numbers of message types are the domain's own: names,
 * versions and encoded fields are all that two services have in common. */
#ifndef DOMAIN_H
#define DOMAIN_H

#include "core/message.h"

struct domain {
    const struct message *messages; /* a type's versions in ascending order */
    size_t message_count;
    /* The names of its kinds of tags, by number; those of NO_TAG and TAG_ORDER
     * are not looked at. */
    const char *const *tags;
    size_t tag_count;
    size_t payload_bytes; /* of the struct that its fields lie in */
};

/* The newest version of @type, or NULL: @domain has no such type. */
const struct message *domain_message(const struct domain *domain,
                                     unsigned type);

/* Exactly @version of the message called @name, or NULL.  *@newest (may be
 * NULL) is set to the newest known version of that name, 0 for an unknown
 * name: so "unknown" and "too new" can be told apart. */
const struct message *domain_message_named(const struct domain *domain,
                                           const char *name, uint32_t version,
                                           uint32_t *newest);

/* The type's name , or "?" when @domain has no such type. */
const char *domain_type_name(const struct domain *domain, unsigned type);

#endif
