/* services.h - the three services, the view of each, and what an event of
 * theirs carries. */
#ifndef SERVICES_H
#define SERVICES_H

#include "catalogue.h"

#include "core/service.h"
#include "read/view.h"

static inline const struct payload *payload_of(const struct event *event)
{
    return (const void *)event->data;
}

/* Their numbers, in the order in which a saga climbs. */
enum { CONDUCTOR, INVENTORY, PAYMENT, SERVICE_COUNT };

extern const struct service conductor_service, inventory_service,
    payment_service;
extern const struct view conductor_view, inventory_view, payment_view;

#endif
