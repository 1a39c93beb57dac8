/* orders.h - orders for a cluster to work on (tests/cluster.h): smoke.c counts
 * their instructions, layers.c times them.
 *
 * A command that fails ends the program. */
#ifndef ORDERS_H
#define ORDERS_H

#include "tests/cluster.h"

/* Opens @directory, starts everything, and runs until all is quiet. */
struct cluster *orders_open(const char *directory);

/* Products, stock and money for a long run; runs. */
void orders_seed(struct cluster *cluster);

/* Places orders number @first to @first + @count - 1, COMMANDS_PER_REQUEST in a
 * request and @inflight at a time, and runs until they have ended. */
void orders_run(struct cluster *cluster, uint64_t first, uint64_t count,
                uint64_t inflight);

/* Events in all logs. */
uint64_t orders_events(const struct cluster *cluster);

#endif
