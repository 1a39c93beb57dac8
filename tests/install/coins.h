/* coins.h - what the till and its customers say to each other. */
#ifndef COINS_H
#define COINS_H

#include <core/event.h>

enum message_type { DEPOSIT_COINS = 1, COINS_DEPOSITED };
enum tag_kind { TAG_CUSTOMER = TAG_ORDER + 1, TAG_KINDS };

#define PURSE_MAX INT64_C(1000000000)

struct coins {
    char customer[32];
    int64_t cents;
};

extern const struct domain coins_domain;

/* What @event carries, and the same of a command, to be filled. */
static inline const struct coins *coins_of(const struct event *event)
{
    return (const void *)event->data;
}
static inline struct coins *coins_in(unsigned char data[PAYLOAD_BYTES_MAX])
{
    return (void *)data;
}

#endif
