/* world.h - the three real domains in one process, over logs in memory.
 *
 * No shell, no store, no network, no clock: what is left is the choreography
 * itself.  A world is a small plain value: copy it, compare it, hash it.  Its
 * events are interned (equal events are one object, numbered).  Its states are
 * folded from its logs whenever they are needed, so that every step is also the
 * step after a restart.  world_explore walks every world that can be reached
 * from one.  test_world.c shows its use. */
#ifndef WORLD_H
#define WORLD_H

#include "core/service.h"
#include "shop/roster.h"
#include "shop/shop.h"

#include <stdio.h>

enum { AT_ORDER, AT_INVENTORY, AT_PAYMENT };

enum { WORLD_LOG_MAX = 32 };

/* All zeros: empty logs, nothing consumed.  Without padding. */
struct world {
    uint16_t log[SERVICES][WORLD_LOG_MAX]; /* numbers of interned events */
    uint16_t length[SERVICES];
    uint16_t cursor[SERVICES][SERVICES]; /* [consumer][publisher] */
    /* As a restart finds the cursors: they are moved with an event, or lazily.
     * All zeros while `crashes` is 0: then nobody ever restarts. */
    uint16_t durable[SERVICES][SERVICES];
    uint16_t crashes;
    /* Protections of the shell that this world goes without, for the ladder:
     * cursors are only saved lazily and commands have no memory; or an event
     * may pass a service by that never notices. */
    uint16_t no_inbox, no_catchup;
    uint16_t spoilt; /* a service decided what cannot be written */
};

/* What one step came to.  Pointers live as long as the process. */
struct step {
    unsigned service;            /* who took it */
    const struct event *cause;   /* NULL: there was nothing to do */
    const struct event *emitted; /* NULL: nothing */
    const char *refusal, *field;
    bool by_rule; /* the service has a rule for the cause */
};

/* ---- causes, built by hand ---------------------------------------------- */

/* An event of @source's log, or (source NULL) a command; the payload is zeros
 * for the caller to fill. */
struct event an_event(const char *source, unsigned type, const char *order_id);
/* Adds a line; returns @event. */
struct event *with_line(struct event *event, const char *sku, int64_t quantity,
                        int64_t price_cents);
/* Commands: PLACE_ORDER without lines; LIST_PRODUCT or RECEIVE_STOCK;
 * DEPOSIT_FUNDS. */
struct event a_place(const char *order_id, const char *customer);
struct event a_sku(unsigned type, const char *sku, int64_t quantity,
                   int64_t price_cents);
struct event a_deposit(const char *customer, int64_t cents);

/* ---- one service -------------------------------------------------------- */

/* Appends @own to the log of @service as it is: "given". */
void world_given(struct world *world, unsigned service,
                 const struct event *own);

/* What @service decides on @cause now, without appending it: "when, then".
 * @decide NULL: as the rule says. */
void world_decide(const struct world *world, unsigned service,
                  const struct event *cause, decide_fn *decide,
                  struct decision *out);

/* A test that tries every cause in every state records what came of it in
 * @pairs, [cause][emitted].  Returns the first pair that @service declares and
 * that never came, "StockReserved -> PaymentCharged", or NULL. */
const char *world_untried(const struct service *service,
                          bool pairs[MESSAGE_TYPES][MESSAGE_TYPES]);

/* Folds the log of @service: one field of a state, by names.  world_word is
 * for fields that are enums. */
int64_t world_number(const struct world *world, unsigned service,
                     const char *kind, const char *key, const char *field);
const char *world_word(const struct world *world, unsigned service,
                       const char *kind, const char *key, const char *field);

/* Event @seq of the log of @service. */
const struct event *world_event(const struct world *world, unsigned service,
                                unsigned seq);

/* ---- steps -------------------------------------------------------------- */

/* A client sends @command under @command_id to the service that has a rule for
 * it.  A known id changes nothing: by_rule false. */
struct step world_command(struct world *world, const struct event *command,
                          const char *command_id);

/* @consumer takes the next event of @publisher's log. */
struct step world_deliver(struct world *world, unsigned consumer,
                          unsigned publisher);

/* Event @seq of @publisher comes to @consumer again.  Through the inbox this
 * is nothing; @past_inbox, the domain itself has to cope. */
struct step world_redeliver(struct world *world, unsigned consumer,
                            unsigned publisher, unsigned seq, bool past_inbox);

/* The timer of @order_id fires, if one is armed. */
struct step world_expire(struct world *world, const char *order_id);

/* Every cursor stands at its publisher's head.  (Without catch-up,
 * world_explore calls no world quiet while a deadline is still to come.) */
bool world_quiet(const struct world *world);
/* Delivers until it is quiet. */
void world_settle(struct world *world);

/* ---- what must hold ----------------------------------------------------- */

/* Safety, at any moment: NULL, or the first invariant that does not hold (S3,
 * S4, S5, S6, S8). */
const char *world_broken(const struct world *world);

/* "CONFIRMED/SHIPPED/CHARGED": how the three see @order_id. */
enum { END_BYTES = 40 };
const char *world_end(const struct world *world, const char *order_id,
                      char text[END_BYTES]);

/* ---- every interleaving ------------------------------------------------- */

/* What may happen at any moment besides deliveries: commands (each under its
 * place in the list as command id, a PLACE_ORDER under its order's), the
 * deadlines of all orders, and (if the world has crashes) that a service makes
 * its cursors durable, or starts again from those that are; (without catch-up)
 * that an event is lost on its way to one service. */
struct script {
    const struct event *commands;
    size_t command_count;
    bool deadlines;
};

/* What a decision is told in place of the truth: on @on, that the status of
 * the state of @kind is number @status; or, without an @status (-1), that
 * every amount in it is huge.  NO_MESSAGE: the truth.  For tests that ask
 * whether a guard is missed when it is gone. */
struct delusion {
    unsigned on;
    const char *kind;
    int status;
};
extern struct delusion world_delusion;

struct explored {
    size_t worlds, edges, quiet;
    char *violation; /* NULL, or what was broken, then the shortest way there,
                        one step a line; the caller frees it */
    size_t steps;    /* of that way */
    struct world broken; /* where it ends */
};

/* Called for every world that is reached, once; returns NULL or what is wrong
 * with it (static text). */
typedef const char *look_fn(void *ctx, const struct world *world, bool quiet);

/* Walks breadth first through every world that deliveries and @script can
 * reach from @start.  Checks world_broken everywhere; @look may be NULL. */
struct explored world_explore(const struct world *start,
                              const struct script *script, look_fn *look,
                              void *ctx);

/* ---- for people --------------------------------------------------------- */

/* "order 2 OrderPlaced o-1: customer alice, ..." without a newline. */
void world_print_event(FILE *out, const struct event *event);
/* One step, as transcripts show it. */
void world_print_step(FILE *out, const struct step *step);

#endif
