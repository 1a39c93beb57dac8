/* domain.h - the catalogue of a domain: every message that its services share.
 *
 * Each service names its domain (service.h), and what it sends and reads is
 * looked up there.  The numbers of message types are the domain's own: names,
 * versions and encoded fields are all that two services have in common. */
#ifndef DOMAIN_H
#define DOMAIN_H

#include "core/message.h"

enum {
    TYPES_MAX = 256,    /* the numbers of message types are below it */
    TAG_KINDS_MAX = 32, /* the numbers of kinds of tags are below it */
    SERVICES_MAX = 16   /* that work together, for programs that see them all */
};

struct domain {
    const struct message *messages; /* a type's versions in ascending order */
    size_t message_count;
    /* The names of its kinds of tags, by number; those of NO_TAG and TAG_ORDER
     * are not looked at. */
    const char *const *tags;
    size_t tag_count;
    /* Of the struct that its fields lie in: sizeof and alignof. */
    size_t payload_bytes, payload_align;
    /* The services that have ports of their own on a tcp bus, in that order
     * (address.h); ends with NULL.  NULL: none has. */
    const char *const *services;
};

/* @domain may be NULL below: then there is nothing in it. */

/* The newest version of @type, or NULL: @domain has no such type. */
const struct message *domain_message(const struct domain *domain,
                                     unsigned type);

/* Exactly @version of the message called @name, or NULL.  *@newest (may be
 * NULL) is set to the newest known version of that name, 0 for an unknown
 * name: so "unknown" and "too new" can be told apart. */
const struct message *domain_message_named(const struct domain *domain,
                                           const char *name, uint32_t version,
                                           uint32_t *newest);

/* The type's name, or "?" when @domain has no such type. */
const char *domain_type_name(const struct domain *domain, unsigned type);

/* The event that @type takes back, or NO_MESSAGE: the compensations. */
unsigned domain_undoes(const struct domain *domain, unsigned type);

/* One more than the largest number of a type. */
unsigned domain_types(const struct domain *domain);

#endif
