/* shop.c - see shop.h: looks everything up in the conductor's catalogue. */
#include "shop/shop.h"

const char *const shop_services[SERVICES] = {"conductor", "inventory",
                                             "payment"};

const struct message *shop_message(unsigned type)
{
    return domain_message(&conducted_domain, type);
}

const struct message *shop_message_named(const char *name, uint32_t version,
                                         uint32_t *newest)
{
    return domain_message_named(&conducted_domain, name, version, newest);
}

const char *shop_type_name(unsigned type)
{
    return domain_type_name(&conducted_domain, type);
}

unsigned shop_undoes(unsigned type)
{
    const struct message *message = shop_message(type);

    return message == NULL ? NO_MESSAGE : message->undoes;
}

unsigned shop_type_named(const char *name)
{
    const struct message *known = shop_message_named(name, 1, NULL);

    return known == NULL ? NO_MESSAGE : known->type;
}

unsigned shop_types(void)
{
    return MESSAGE_TYPES;
}

unsigned shop_learn(const char *name, int is_command)
{
    (void)is_command;
    return shop_type_named(name);
}

void shop_learn_undoes(const char *name, const char *undone)
{
    (void)name;
    (void)undone;
}
