/* test_inventory.c - inventory-svc's decisions: given these events, when this
 * cause comes, then this event, or nothing, or a refusal.  The first test
 * tries every cause in every state; the others look at what is said and at
 * what is left on the shelves. */
#include "inventory-svc/inventory.h"
#include "shop/shop.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

enum status { NONE, RESERVED, REJECTED, RELEASED, SHIPPED, CLOSED, STATUSES };
enum { REFUSED = MESSAGE_TYPES };

/* 2 widget and 1 gadget for alice. */
static struct event lines(const char *source, unsigned type,
                          const char *order_id)
{
    struct event event = an_event(source, type, order_id);

    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "alice");
    with_line(&event, "widget", 2, 1990);
    with_line(&event, "gadget", 1, 4900);
    payload_in(event.data)->total_cents = 8880;
    return event;
}

static struct event because(const char *source, unsigned type,
                            const char *reason)
{
    struct event event = an_event(source, type, "o-1");

    text_copy(payload_in(event.data)->reason, REASON_BYTES, reason);
    return event;
}

static struct event goods(const char *source, unsigned type, const char *sku,
                          int64_t quantity)
{
    struct event event = an_event(source, type, "");

    text_copy(payload_in(event.data)->sku, SKU_BYTES, sku);
    payload_in(event.data)->quantity = quantity;
    return event;
}

static void given(struct world *world, struct event event)
{
    world_given(world, AT_INVENTORY, &event);
}

static struct decision when(const struct world *world, struct event cause)
{
    struct decision out;

    world_decide(world, AT_INVENTORY, &cause, NULL, &out);
    return out;
}

static struct world with_goods(int64_t widgets, int64_t gadgets)
{
    struct world world = {0};

    if (widgets > 0)
        given(&world, goods("inventory", STOCK_RECEIVED, "widget", widgets));
    if (gadgets > 0)
        given(&world, goods("inventory", STOCK_RECEIVED, "gadget", gadgets));
    return world;
}

static struct event rejected(void)
{
    struct event event = because("inventory", STOCK_REJECTED, "insufficient");

    text_copy(payload_in(event.data)->sku, SKU_BYTES, "gadget");
    payload_in(event.data)->needed = 1;
    return event;
}

static struct world in(enum status status)
{
    struct world world = with_goods(10, 10);
    struct event closed = because("inventory", STOCK_RELEASED, "timed out");

    if (status == RESERVED || status == RELEASED || status == SHIPPED)
        given(&world, lines("inventory", STOCK_RESERVED, "o-1"));
    if (status == REJECTED)
        given(&world, rejected());
    if (status == RELEASED)
        given(&world, lines("inventory", STOCK_RELEASED, "o-1"));
    if (status == SHIPPED)
        given(&world, lines("inventory", STOCK_SHIPPED, "o-1"));
    if (status == CLOSED) /* by a compensation that overtook the order */
        given(&world, closed);
    return world;
}

static int64_t pieces(const struct world *world, const char *sku,
                      const char *where)
{
    return world_number(world, AT_INVENTORY, "shelf", sku, where);
}

static int outcome(const struct decision *out)
{
    if (out->refusal != NULL)
        return REFUSED;
    return out->emitted ? (int)out->event.type : NO_MESSAGE;
}

/* HC17, HC18, HC30, HC36 */
Test(inventory, every_cause_in_every_state_comes_to_what_the_table_says)
{
    struct event too_much = lines("order", ORDER_PLACED, "o-1");
    const struct {
        struct event cause;
        int then[STATUSES];
    } trials[] = {
        /* NONE, RESERVED, REJECTED, RELEASED, SHIPPED, CLOSED */
        {lines("order", ORDER_PLACED, "o-1"), {STOCK_RESERVED}},
        {*with_line(&too_much, "gizmo", 1, 1), {STOCK_REJECTED}},
        {because("payment", PAYMENT_DECLINED, "insufficient funds"),
         {STOCK_RELEASED, STOCK_RELEASED}},
        {because("payment", PAYMENT_REFUNDED, "timed out"),
         {STOCK_RELEASED, STOCK_RELEASED}},
        {because("payment", PAYMENT_VOIDED, "timed out"),
         {STOCK_RELEASED, STOCK_RELEASED}},
        {an_event("order", ORDER_CONFIRMED, "o-1"),
         {NO_MESSAGE, STOCK_SHIPPED}},
        {goods(NULL, RECEIVE_STOCK, "widget", 5),
         {STOCK_RECEIVED, STOCK_RECEIVED, STOCK_RECEIVED, STOCK_RECEIVED,
          STOCK_RECEIVED, STOCK_RECEIVED}},
    };
    bool pairs[MESSAGE_TYPES][MESSAGE_TYPES] = {0};
    const char *untried;

    for (size_t t = 0; t < sizeof trials / sizeof trials[0]; t++) {
        for (enum status status = NONE; status < STATUSES; status++) {
            struct world world = in(status);
            struct decision out = when(&world, trials[t].cause);

            cr_assert_eq(outcome(&out), trials[t].then[status],
                         "%s (trial %zu) in state %d came to %d",
                         shop_type_name(trials[t].cause.type), t, status,
                         outcome(&out));
            if (out.emitted)
                pairs[trials[t].cause.type][out.event.type] = true;
        }
    }
    untried = world_untried(&inventory_service, pairs);
    cr_assert_null(untried, "never came: %s", untried);
}

Test(inventory, a_reservation_carries_what_payment_needs_to_know)
{
    struct world world = with_goods(2, 1); /* just enough */
    struct decision out = when(&world, lines("order", ORDER_PLACED, "o-1"));
    const struct payload *data = payload_of(&out.event);

    cr_assert_eq(out.event.type, STOCK_RESERVED);
    cr_assert_str_eq(out.event.order_id, "o-1");
    cr_assert_str_eq(data->customer, "alice");
    cr_assert_eq(data->total_cents, 8880);
    cr_assert_eq(data->line_count, 2);
    cr_assert_str_eq(data->lines[0].sku, "widget");
    cr_assert_eq(data->lines[0].quantity, 2);
    cr_assert_str_eq(data->lines[1].sku, "gadget");
    cr_assert_eq(data->lines[1].quantity, 1);
    given(&world, out.event);
    cr_assert_eq(pieces(&world, "widget", "free"), 0);
    cr_assert_eq(pieces(&world, "widget", "reserved"), 2);
}

/* HC27 */
Test(inventory, one_short_line_rejects_the_whole_order)
{
    struct world world = with_goods(10, 0);
    struct decision out = when(&world, lines("order", ORDER_PLACED, "o-1"));
    const struct payload *data = payload_of(&out.event);

    cr_assert_eq(out.event.type, STOCK_REJECTED);
    cr_assert_str_eq(data->reason, "insufficient stock");
    cr_assert_str_eq(data->sku, "gadget");
    cr_assert_eq(data->needed, 1);
    cr_assert_eq(data->available, 0);
    given(&world, out.event);
    cr_assert_eq(pieces(&world, "widget", "free"), 10);
    cr_assert_eq(pieces(&world, "widget", "reserved"), 0);
}

Test(inventory, the_first_short_line_is_the_one_that_is_named)
{
    struct world world = with_goods(1, 0);
    struct decision out = when(&world, lines("order", ORDER_PLACED, "o-1"));

    cr_assert_str_eq(payload_in(out.event.data)->sku, "widget");
    cr_assert_eq(payload_in(out.event.data)->needed, 2);
    cr_assert_eq(payload_in(out.event.data)->available, 1);
}

Test(inventory, held_stock_is_not_available_to_the_next_order)
{
    struct world world = with_goods(3, 10);

    given(&world, lines("inventory", STOCK_RESERVED, "o-1"));
    cr_assert_eq(when(&world, lines("order", ORDER_PLACED, "o-2")).event.type,
                 STOCK_REJECTED);
}

/* HC29 */
Test(inventory, a_release_adds_to_what_came_in_meanwhile)
{
    struct world world = with_goods(2, 1);
    struct decision out;

    given(&world, lines("inventory", STOCK_RESERVED, "o-1"));
    given(&world, goods("inventory", STOCK_RECEIVED, "widget", 5));
    out = when(&world, because("payment", PAYMENT_DECLINED, "no funds"));
    cr_assert_str_eq(payload_in(out.event.data)->reason, "no funds");
    cr_assert_eq(payload_in(out.event.data)->line_count, 2);
    given(&world, out.event);
    cr_assert_eq(pieces(&world, "widget", "free"), 7);
    cr_assert_eq(pieces(&world, "widget", "reserved"), 0);
    cr_assert_eq(pieces(&world, "widget", "received"), 7);
}

/* HC17, HC18: the release overtook the order. */
Test(inventory, a_release_of_nothing_closes_the_order_and_moves_no_stock)
{
    struct world world = with_goods(10, 10);
    struct decision out =
        when(&world, because("payment", PAYMENT_VOIDED, "timed out"));

    cr_assert_eq(out.event.type, STOCK_RELEASED);
    cr_assert_eq(payload_in(out.event.data)->line_count, 0);
    cr_assert_str_eq(payload_in(out.event.data)->reason, "timed out");
    given(&world, out.event);
    cr_assert_eq(pieces(&world, "widget", "free"), 10);
    cr_assert_not(when(&world, lines("order", ORDER_PLACED, "o-1")).emitted);
    cr_assert(when(&world, lines("order", ORDER_PLACED, "o-2")).emitted);
}

Test(inventory, what_is_shipped_is_what_was_reserved)
{
    struct world world = in(RESERVED);
    struct decision out =
        when(&world, an_event("order", ORDER_CONFIRMED, "o-1"));

    cr_assert_eq(out.event.type, STOCK_SHIPPED);
    cr_assert_eq(payload_in(out.event.data)->line_count, 2);
    cr_assert_eq(payload_in(out.event.data)->lines[0].quantity, 2);
    given(&world, out.event);
    cr_assert_eq(pieces(&world, "widget", "received"), 10);
    cr_assert_eq(pieces(&world, "widget", "free"), 8);
    cr_assert_eq(pieces(&world, "widget", "reserved"), 0);
    cr_assert_eq(pieces(&world, "widget", "shipped"), 2);
}

/* HC25: the limit is on what ever came in, in the state itself, since no log
 * in a test is long enough to reach it. */
Test(inventory, no_delivery_may_exceed_what_a_shelf_can_ever_hold)
{
    const struct rule *rule = service_rule(&inventory_service, RECEIVE_STOCK);
    struct event delivery = goods(NULL, RECEIVE_STOCK, "widget", 7);
    int64_t shelf[] = {STOCK_TOTAL_MAX - 7, 0, 0, STOCK_TOTAL_MAX - 7};
    struct states states = {&inventory_service, 1, {{1, "widget", shelf}}};
    struct decision out;

    cr_assert_str_eq(inventory_service.kinds[1].name, "shelf");
    cr_assert_eq(inventory_service.kinds[1].bytes, sizeof shelf);
    service_decide(rule, NULL, &states, &delivery, &out);
    cr_assert_eq(out.event.type, STOCK_RECEIVED);
    cr_assert_eq(payload_in(out.event.data)->quantity, 7);
    cr_assert_str_eq(payload_in(out.event.data)->sku, "widget");
    shelf[0]++;
    service_decide(rule, NULL, &states, &delivery, &out);
    cr_assert_str_eq(out.refusal, "more than the shelf can ever hold");
    cr_assert_str_eq(out.field, "quantity");
}
