/* trio.h - the three services' real shells and stores, on a simulated bus and
 * clock, in one process.
 *
 * Not a simulator: faults are what a test does by hand (drop what is queued,
 * close a shell, lock its file).  Nothing here reads a real clock, so a test
 * never sleeps. */
#ifndef TRIO_H
#define TRIO_H

#include "write/shell.h"

#include <jansson.h>

enum { ORDER_SVC, INVENTORY_SVC, PAYMENT_SVC };

struct trio_message {
    struct trio_message *next;
    struct input input;
    uint8_t bytes[];
};

struct trio_node {
    struct trio *trio;
    unsigned number;
    struct env env;
    struct shell *shell; /* NULL: down */
    char path[128];
    struct trio_message *queue; /* what has arrived, oldest first */
    uint32_t deadline_ms;
    bool deaf; /* frames to it are lost */
};

struct trio {
    char directory[64];
    uint64_t mono_ms;
    int64_t wall_ms;
    uint64_t random;
    struct trio_node nodes[SERVICES];
    /* The last answer of a command or control, by token. */
    uint8_t reply[MESSAGE_MAX];
    size_t reply_bytes;
    unsigned replies;
};

/* Three services in a fresh directory, or in @directory, started. */
struct trio *trio_open(const char *directory);
/* Removes their files. */
void trio_close(struct trio *trio);

/* kill -9 in miniature: nothing is flushed beyond what was committed. */
void trio_stop(struct trio *trio, unsigned service);
enum evt_status trio_start(struct trio *trio, unsigned service);

/* One step of one service with everything that has arrived. */
enum evt_status trio_step(struct trio *trio, unsigned service);

/* Steps all, in turn, moving the clock when nothing is queued, for @ms. */
void trio_run(struct trio *trio, uint64_t ms);

/* Loses everything that is queued for @service; returns how many. */
size_t trio_lose(struct trio *trio, unsigned service);

/* Sends a command and steps its service once. */
struct answer trio_command(struct trio *trio, unsigned service,
                           const struct command *command);
struct command trio_place(const char *order_id, const char *customer,
                          const char *sku, int64_t quantity);
/* The same for a control; a new reference. */
json_t *trio_control(struct trio *trio, unsigned service, const char *json);

/* Products, stock and accounts: widget 19.90, 100 in stock, alice 1000.00. */
void trio_seed(struct trio *trio);

/* "OrderPlaced StockReserved ..." of one order over the three logs, by
 * service: what each log holds.  Borrowed until the next call. */
const char *trio_story(struct trio *trio, const char *order_id);

void trio_status(struct trio *trio, unsigned service,
                 struct shell_status *status);

#endif
