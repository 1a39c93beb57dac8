/* shop.c - see shop.h: looks everything up in the conductor's catalogue. */
#include "shop/shop.h"

const char *const shop_services[SERVICES] = {"conductor", "inventory",
                                             "payment"};

const struct message *shop_message(enum message_type type)
{
    return domain_message(&conducted_domain, type);
}

const struct message *shop_message_named(const char *name, uint32_t version,
                                         uint32_t *newest)
{
    return domain_message_named(&conducted_domain, name, version, newest);
}

const char *shop_type_name(enum message_type type)
{
    return domain_type_name(&conducted_domain, type);
}

enum message_type shop_undoes(enum message_type type)
{
    const struct message *message = shop_message(type);

    return message == NULL ? NO_MESSAGE : (enum message_type)message->undoes;
}

enum message_type shop_type_named(const char *name)
{
    const struct message *known = shop_message_named(name, 1, NULL);

    return known == NULL ? NO_MESSAGE : (enum message_type)known->type;
}

enum message_type shop_types(void)
{
    return MESSAGE_TYPES;
}

enum message_type shop_learn(const char *name, int is_command)
{
    (void)is_command;
    return shop_type_named(name);
}

void shop_learn_undoes(const char *name, const char *undone)
{
    (void)name;
    (void)undone;
}
