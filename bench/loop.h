/* loop.h - the three services and their read sides in one process.
 *
 * The real shells, stores and projections on real files; messages are handed
 * over in memory, one after the other, and the clock moves only when nothing
 * else does.  So a run costs the same instructions every time: what smoke.c
 * counts.  Sockets, threads and the waiting for disks are not in it. */
#ifndef LOOP_H
#define LOOP_H

#include "stream/wire.h"

struct loop;

/* Starts all in @directory.  Ends the program with a message on any error, as
 * everything here does. */
struct loop *loop_open(const char *directory);
void loop_close(struct loop *loop);

/* Sends commands to service @service (as in shop_services), as one request. */
void loop_send(struct loop *loop, unsigned service,
               const struct command commands[], size_t count);

/* Steps everybody until nothing is under way any more. */
void loop_run(struct loop *loop);

/* Products, stock and money for a long run; runs. */
void loop_seed(struct loop *loop);

/* Places @count orders, COMMANDS_PER_REQUEST in a request and @inflight at a
 * time, and runs until they have ended. */
void loop_orders(struct loop *loop, uint64_t count, uint64_t inflight);

/* Events in the log of @service. */
uint64_t loop_head(const struct loop *loop, unsigned service);

#endif
