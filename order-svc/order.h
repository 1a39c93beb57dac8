/* order.h - what order-svc is made of: its domain (order.c) and the view that
 * it answers queries from (view.c).  Next: order.c. */
#ifndef ORDER_H
#define ORDER_H

#include "core/service.h"

struct view;

extern const struct service order_service;
extern const struct view order_view;

#endif
