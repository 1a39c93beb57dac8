/* triple.h - writes real triples of logs: the three domains driven by hand,
 * without shells, sockets or clocks.
 *
 * Every step is one transaction of one service, as the shell's would be, so a
 * triple may be cut off after any of them.  Nothing is synced: these files
 * need not survive a power cut. */
#ifndef TRIPLE_H
#define TRIPLE_H

#include "audit/check.h"
#include "write/cache.h"

enum { ORDER_LOG, INVENTORY_LOG, PAYMENT_LOG };

struct triple {
    char directory[96]; /* DIR/<service>/log.db, and DIR/journal: what a client
                           noted of every command that was answered "done" */
    uint64_t random;
    int64_t now_ms; /* the clock of time_ms and timers */
    unsigned commands;
    struct triple_log {
        const struct service *service;
        struct store *store; /* NULL: closed */
        struct cache *cache;
        struct cursor cursors[SERVICES]; /* by publisher; may be ahead of what
                                            is durable */
    } logs[SERVICES];
};

extern const struct service *const triple_services[SERVICES];
extern const struct view *const triple_views[SERVICES];

/* Empty logs in a fresh directory; @seed decides ids and all that is random.
 */
void triple_open(struct triple *triple, uint64_t seed);
/* Closes the files and keeps them; triple_reopen goes on with them. */
void triple_close(struct triple *triple);
void triple_reopen(struct triple *triple);
void triple_remove(struct triple *triple);
/* Copies the closed files of @from into a fresh directory of @to. */
void triple_copy(struct triple *to, const struct triple *from);

/* 0 to @below - 1. */
uint64_t triple_random(struct triple *triple, uint64_t below);

/* Commands; a refused one changes nothing. */
void triple_product(struct triple *triple, const char *sku, int64_t cents);
void triple_stock(struct triple *triple, const char *sku, int64_t pieces);
void triple_fund(struct triple *triple, const char *customer, int64_t cents);
void triple_place(struct triple *triple, const char *order,
                  const char *customer, const char *sku, int64_t pieces,
                  const char *sku2, int64_t pieces2); /* sku2 may be NULL */
void triple_cancel(struct triple *triple, const char *order);
/* The deadline of a random waiting order has passed. */
void triple_expire(struct triple *triple);

/* @reader takes @publisher's next event, if there is one. */
bool triple_take(struct triple *triple, unsigned reader, unsigned publisher);
/* Takes all that @reader has not taken of @publisher. */
void triple_drain(struct triple *triple, unsigned reader, unsigned publisher);
/* Everybody takes everything, again and again, until all is quiet; cursors
 * are durable then. */
void triple_settle(struct triple *triple);

/* `saga accept`: @reader goes on from @publisher's head, whatever it was. */
void triple_accept(struct triple *triple, unsigned reader, unsigned publisher);

/* A snapshot of a state, as the shell writes them now and then. */
void triple_snapshot(struct triple *triple, unsigned log, unsigned kind,
                     const char *key);

/* @steps random ones: commands, deadlines, snapshots, and mostly takes. */
void triple_walk(struct triple *triple, unsigned steps);

/* Writes the three view.db beside the (closed) logs. */
void triple_build_views(struct triple *triple);

#endif
