/* inventory.h - what inventory-svc is made of: its domain (inventory.c) and
 * the view that it answers queries from (view.c).  Next: inventory.c. */
#ifndef INVENTORY_H
#define INVENTORY_H

#include "core/service.h"

struct view;

extern const struct service inventory_service;
extern const struct view stock_view;

#endif
