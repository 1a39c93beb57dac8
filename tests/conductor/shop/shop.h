/* shop.h - how many services the conducted shop has, which is all that the
 * library's checker asks of a shop. */
#ifndef SHOP_H
#define SHOP_H

enum { SERVICES = 3 };

#endif
