/* invariants_promises.c - what the shop promises (S3-S6, S8, L1, Q1), by its
 * name, in a sentence, and by the accident that breaks it: `saga check
 * --explain`.
 *
 * Next: invariants.c, which checks it. */
#include "shop/invariants_parts.h"

const struct check_promise invariants_promises[CHECK_SHOP_IDS - CHECK_OWN] = {
    {.name = "S3",
     .text = "no order is both confirmed and cancelled",
     .means = "An order ends once: it is confirmed, or it is cancelled.",
     .accident = "The deadline passes while the payment is on its way, and a "
                 "service that does not look at the order's state takes "
                 "both: the goods are shipped, and the money is paid back.",
     .look = "trace ORDER",
     .where = "shop/invariants.c: climb()"},
    {.name = "S4",
     .text = "at most one charge per order, refunds equal it",
     .means = "An order is charged at most once; a refund comes after the "
              "charge and is as high.",
     .accident = "payment-svc dies after it has charged alice and before it "
                 "has noted that the event is done.  It gets the event "
                 "again, and alice pays twice.",
     .look = "trace ORDER",
     .where = "shop/invariants.c: climb(), check_refund()"},
    {.name = "S5",
     .text = "money is conserved, no balance is negative",
     .means = "A balance is what was deposited and refunded less what was "
              "charged, and is never below zero.",
     .accident = "Two orders are compared with the same balance before "
                 "either of them is charged.  Both fit, and together they "
                 "overdraw the account.",
     .look = "show customer:NAME",
     .where = "shop/invariants.c: move_money(), check_state()"},
    {.name = "S6",
     .text = "stock is conserved, none is negative",
     .means = "What was received of a product is free, reserved or shipped, "
              "and none of these numbers is ever below zero.",
     .accident = "Two buyers get the last piece.  Or a cancellation "
                 "overtakes the order that it cancels, and the reservation "
                 "that comes afterwards is never released.",
     .look = "show sku:SKU",
     .where = "shop/invariants.c: climb(), move_shelf(), check_state()"},
    {.name = "S8",
     .text = "the services agree on every order",
     .restored = true,
     .means = "All services name the same customer, lines and total for an "
              "order, and none of them knows an order that was not placed.",
     .accident = "order's log is restored from yesterday's backup: the "
                 "others hold stock and money for an order that was never "
                 "placed, as far as that log knows.",
     .look = "trace ORDER",
     .where = "shop/invariants.c: check_agreement()"},
    {.name = "L1",
     .text = "no order is pending past its deadline",
     .down = "order-svc is not running",
     .service = ORDER,
     .means = "While order-svc runs, no order is pending five seconds after "
              "its deadline.",
     .accident = "A deadline that is only in memory is forgotten by a "
                 "restart.  If payment never answers, the order waits for "
                 "ever, and so does its stock.",
     .look = "why ORDER",
     .where = "libevents/audit/check.c: check_timer(); shop/invariants.c: "
              "late()"},
    {.name = "Q1",
     .text = "every saga has ended",
     .restored = true,
     .means = "When no work is left, each order has ended in one of six "
              "ways, for all three services.",
     .accident = "A step that failed is compensated by two services, but not "
                 "by the third: the order is cancelled, and its stock stays "
                 "reserved.",
     .look = "why ORDER",
     .where = "shop/invariants.c: has_ended()"},
};
