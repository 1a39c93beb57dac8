/* follow.h - what the page draws: the logs, the cursors and the processes.
 *
 * Nothing is simulated.  Events and cursors are read from the files, so a
 * service that is paused or dead is seen as well as one that runs; who runs is
 * asked of the locks, and what it says of itself, of the process. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "saga-cli/saga.h"
#include "saga-web/server.h"

enum {
    FOLLOW_TICK_MS = 100,
    FOLLOW_EVENTS_MAX = 40 /* of one tick, in full; of others only a count */
};

struct follow;

/* Both stay the caller's.  Caller closes. */
struct follow *follow_open(struct saga *saga, struct server *server);
void follow_close(struct follow *follow);

/* Call every FOLLOW_TICK_MS: says what is new to who watches. */
void follow_tick(struct follow *follow);

/* What was said last of the processes, an array by number: {"name", "process",
 * "pid", "status", "faults"}; borrowed until the next tick. */
const json_t *follow_processes(const struct follow *follow);

#endif
