/* roster.h - the three services of the shop and their views, by number.
 *
 * For those who handle all of them: ./saga, the tests, the benchmarks.  A
 * service knows the catalogue (shop.h), never this list. */
#ifndef ROSTER_H
#define ROSTER_H

#include "shop/shop.h"

struct service; /* core/service.h */
struct view;    /* read/view.h */

/* Numbered as shop_services. */
extern const struct service *const roster_services[SERVICES];
extern const struct view *const roster_views[SERVICES];

#endif
