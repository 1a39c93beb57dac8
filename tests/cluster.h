/* cluster.h - the services of the roster in one process: the real shells, the
 * real read sides where a test wants them, and real files.
 *
 * Messages are handed over in memory, and the clock moves only when the test
 * moves it, so a run repeats exactly and never sleeps.  This is not the
 * simulator (tests/sim): the test makes each fault itself.  It stops a service,
 * edits its file, loses what is queued, or watches and drops messages as they
 * are sent.
 *
 * A failed assertion ends the process with a message, since bench/ and
 * tests/fuzz do not link Criterion. */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "read/projection.h"
#include "shop/roster.h"
#include "shop/shop.h"
#include "write/shell.h"

#include <jansson.h>

enum { ORDER_SVC, INVENTORY_SVC, PAYMENT_SVC };
enum { CLUSTER_CLIENT = 1000 }; /* tokens from here on are a test's own */

/* The write side or the read side of one service. */
struct cluster_node {
    struct cluster *cluster;
    unsigned service;           /* its number in the roster */
    const char *const *sources; /* the publishers it listens to */
    unsigned source_count;
    struct env env;
    struct shell *shell;       /* NULL: down, or this is a read side */
    struct projection *reader; /* NULL: down, or this is a write side */
    struct projection_config config;
    char directory[224], path[256]; /* of log.db */
    bool deaf;                      /* frames to it are lost */
    /* What has arrived, oldest first; the bytes are from malloc.  A step takes
     * it all, and gets the spare one for what arrives meanwhile. */
    struct cluster_queue {
        struct input *inputs;
        size_t count, room;
    } queue, spare;
};

struct cluster {
    char directory[160]; /* DIR/<service>/log.db and view.db; DIR/journal: what
                            a client noted of each command that was done */
    uint64_t mono_ms, random;
    int64_t wall_ms;
    struct cluster_node writers[SERVICES], readers[SERVICES];
    /* Services exchange nothing but by cluster_take. */
    bool by_hand;
    /* Is shown every message that is sent, and says whether it arrives; NULL:
     * every one does. */
    bool (*sent)(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count);
    void *ctx;
    /* The last answer to a client, and how many there were. */
    uint8_t reply[MESSAGE_MAX];
    size_t reply_bytes;
    unsigned replies, commands;
};

/* ---- life ---- */

/* Nothing runs yet.  @directory NULL: a fresh one; else its files are used, if
 * it has any.  @seed decides ids and nonces.  Caller closes or removes it. */
struct cluster *cluster_open(const char *directory, uint64_t seed);
/* Stops all and frees; the files stay. */
void cluster_close(struct cluster *cluster);
/* The same, and the files go. */
void cluster_remove(struct cluster *cluster);
/* A new cluster on a copy of @from's files; in @from nothing runs. */
struct cluster *cluster_copy(const struct cluster *from);

/* Start or stop the write side of a service.  To stop is kill -9 in miniature:
 * nothing is flushed beyond what was committed. */
MUST_CHECK enum evt_status cluster_start(struct cluster *cluster,
                                         unsigned service);
void cluster_stop(struct cluster *cluster, unsigned service);
/* The same for its read side. */
void cluster_start_reader(struct cluster *cluster, unsigned service);
void cluster_stop_reader(struct cluster *cluster, unsigned service);
/* All write sides; read sides, too. */
void cluster_start_all(struct cluster *cluster, bool with_readers);
void cluster_stop_all(struct cluster *cluster);
/* Starts all write sides, has them meet, and sets by_hand. */
void cluster_start_by_hand(struct cluster *cluster);

/* Makes the three view.db beside the logs in @directory, which nobody has
 * open. */
void cluster_build_views(const char *directory);

/* ---- time and messages ---- */

/* Moves the clocks. */
void cluster_pass(struct cluster *cluster, uint64_t ms);

/* Queues an input; its bytes are copied. */
void cluster_give(struct cluster_node *node, enum input_kind kind,
                  uint64_t from, const void *bytes, size_t count);
/* Loses what is queued for the write side of @service; returns how many. */
size_t cluster_lose(struct cluster *cluster, unsigned service);

/* One step with everything that has arrived; when it is down, nothing. */
MUST_CHECK enum evt_status cluster_step_node(struct cluster_node *node);
/* The write side of @service. */
MUST_CHECK enum evt_status cluster_step(struct cluster *cluster,
                                        unsigned service);
/* All of them once.  Returns whether anything is under way. */
bool cluster_step_all(struct cluster *cluster);
/* Steps all, moving the clock when nothing is under way, for @ms. */
void cluster_run(struct cluster *cluster, uint64_t ms);
/* Until nobody has said a word for longer than a shell holds anything back;
 * by hand: until everybody has taken everything. */
void cluster_settle(struct cluster *cluster);

/* By hand: @reader takes @publisher's next event.  False: there was none. */
bool cluster_take(struct cluster *cluster, unsigned reader, unsigned publisher);
/* Takes all that @reader has not taken of @publisher. */
void cluster_drain(struct cluster *cluster, unsigned reader,
                   unsigned publisher);
/* By hand: the deadline of every order that waits now passes. */
void cluster_expire(struct cluster *cluster);

/* ---- clients ---- */

/* Sends a command and steps its service once.  A command without an id gets
 * one. */
struct answer cluster_command(struct cluster *cluster, unsigned service,
                              const struct command *command);
/* The same for one request of several, which have ids; no journal is kept. */
void cluster_request(struct cluster *cluster, unsigned service,
                     const struct command commands[], size_t count,
                     struct answer answers[COMMANDS_PER_REQUEST]);
/* The same for a control; a new reference. */
json_t *cluster_control(struct cluster *cluster, unsigned service,
                        const char *json);

struct answer cluster_product(struct cluster *cluster, const char *sku,
                              int64_t cents);
struct answer cluster_stock(struct cluster *cluster, const char *sku,
                            int64_t pieces);
struct answer cluster_fund(struct cluster *cluster, const char *customer,
                           int64_t cents);
struct answer cluster_place(struct cluster *cluster, const char *order,
                            const char *customer, const char *sku,
                            int64_t pieces, const char *sku2,
                            int64_t pieces2); /* @sku2 may be NULL */
struct answer cluster_cancel(struct cluster *cluster, const char *order);
/* A PlaceOrder of one line, not sent yet. */
struct command cluster_order(const char *order, const char *customer,
                             const char *sku, int64_t pieces);

/* ---- looking ---- */

/* "OrderPlaced StockReserved ..." of one order over all logs, by service: what
 * each log holds.  Borrowed until the next call. */
const char *cluster_story(struct cluster *cluster, const char *order);
void cluster_status(const struct cluster *cluster, unsigned service,
                    struct shell_status *status);
/* Events in the log of @service. */
uint64_t cluster_head(const struct cluster *cluster, unsigned service);

#endif
