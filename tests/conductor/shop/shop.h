/* shop.h - the conducted shop's catalogue under the name that the library
 * still includes.
 *
 * Only while the library knows one shop at compile time.  The example itself
 * knows nothing of this file, and `make` builds the library for it with this
 * folder in front of the real shop/. */
#ifndef SHOP_H
#define SHOP_H

#include "examples/conductor/catalogue.h"

enum { SERVICES = 3, TYPES_MAX = MESSAGE_TYPES };
extern const char *const shop_services[SERVICES];

#define shop_domain conducted_domain
#define shop_catalogue (conducted_domain.messages)
#define shop_catalogue_count (conducted_domain.message_count)

const struct message *shop_message(unsigned type);
const struct message *shop_message_named(const char *name, uint32_t version,
                                         uint32_t *newest);
const char *shop_type_name(unsigned type);
unsigned shop_undoes(unsigned type);
unsigned shop_type_named(const char *name);
unsigned shop_types(void);

/* It learns nothing: there is no fourth service here. */
unsigned shop_learn(const char *name, int is_command);
void shop_learn_undoes(const char *name, const char *undone);

#endif
