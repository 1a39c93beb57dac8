/* shop_cli.h - what the command adds for the shop: verbs, words, ends. */
#ifndef SHOP_CLI_H
#define SHOP_CLI_H

#include "saga-cli/story.h"
#include "saga-cli/verbs.h"
#include "shop/money.h"
#include "shop/roster.h"

extern const struct verb verb_place, verb_cancel, verb_stock, verb_fund,
    verb_product, verb_ls, verb_show, verb_undone, verb_bench;

/* ---- words.c ---------------------------------------------------------------
 */

/* What @event says: "alice  2 widget  39.80", "2 widget", "needs 500 gizmo, has
 * 100"; nothing when its type says it all. */
void words_say(FILE *out, const struct event *event);
/* What is worth saying beside it in its lane; nothing for most. */
void words_note(FILE *out, const struct event *event);
/* " · alice · 2 widget · 39.80": of the OrderPlaced, if it is there. */
void words_describe(FILE *out, const struct story *story);

/* ---- ends.c ----------------------------------------------------------------
 */

/* Folds the events of @kind (of service number @service) under @key out of
 * @events into a new state, which the caller frees; *folded (may be NULL) says
 * how many there were. */
void *ends_fold(unsigned service, const struct kind *kind, const char *key,
                const struct event *events, size_t count, size_t *folded);
/* "PENDING", ...: what order-svc's own state says.  Ended is what is confirmed
 * and shipped, or cancelled, when the shop has nothing left to do; a service
 * that only watches may yet have. */
void ends_of(const struct story *story, struct story_end *end);
/* Says that no log knows @order, and which one may be meant; returns
 * SAGA_NO_SUCH. */
int ends_no_such(struct saga *saga, const char *order);
/* Waits until @order has ended. */
int ends_wait(struct saga *saga, const char *order, int64_t timeout_s);

#endif
