/* peer.h - the shop's saga on somebody else's store: what its services do.
 *
 * Three processes, as here: order (which the driver is part of), inventory and
 * payment.  Each takes a step at a time and makes it durable before it goes on;
 * redis.c and postgres.c implement the steps, peer.c drives and measures them.
 * What comes twice must have no effect twice. */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SKUS = 10,
    CUSTOMERS = 100,
    STOCK = 1000000,
    FUNDS = 1000000,
    STEP = 512
};

enum peer_service { ORDER, INVENTORY, PAYMENT };

/* Connects as @service to the server that listens in @directory. */
void peer_open(const char *directory, enum peer_service service);

/* Stock and money for each sku and customer. */
void peer_seed(void);

/* One step of the service: takes events that have come, at most STEP of each
 * stream, waiting up to @wait_ms for some.  order also places the orders @first
 * to
 * @first + @count - 1, for customer N % CUSTOMERS, sku N % SKUS, at a price of
 * 1, and writes the numbers of those that have ended to @ended.  Returns how
 * many; all of that is durable then. */
size_t peer_step(uint64_t first, size_t count, int wait_ms, uint64_t ended[]);

/* Whether inventory has written what it has to for so many orders. */
bool peer_caught_up(uint64_t orders);

/* All events once more, as after a crash that has lost every position.  The
 * effects must stay what they are. */
void peer_again(void);

struct peer_totals {
    int64_t placed, confirmed, cancelled; /* states of orders */
    int64_t reserved, shipped, charged;   /* events */
    int64_t stock_left, funds_left;       /* of all skus and customers */
};
void peer_totals(struct peer_totals *totals);

_Noreturn void peer_fail(const char *what, const char *why);

#endif
