/* roster.c - see roster.h.  Linked with the domains, not into the library. */
#include "shop/roster.h"

#include "inventory-svc/inventory.h"
#include "order-svc/order.h"
#include "payment-svc/payment.h"
#include "shop/shop.h"

_Static_assert(SERVICES == 3, "each service and its view stand here");
const struct service *const roster_services[SERVICES] = {
    &order_service, &inventory_service, &payment_service};

const struct view *const roster_views[SERVICES] = {&order_view, &stock_view,
                                                   &account_view};
