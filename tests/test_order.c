/* test_order.c - order-svc's decisions: given these events, when this cause
 * comes, then this event, or nothing, or a refusal.  The first test tries
 * every cause in every state; the others look at what is said. */
#include "order-svc/order.h"
#include "shop/shop.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

enum status { NONE, PENDING, CANCELLING, CONFIRMED, CANCELLED, STATUSES };
enum { REFUSED = MESSAGE_TYPES };

static struct event placed(void)
{
    struct event event = an_event("order", ORDER_PLACED, "o-1");

    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "alice");
    with_line(&event, "widget", 2, 1990);
    with_line(&event, "gadget", 1, 4900);
    payload_in(event.data)->total_cents = 8880;
    return event;
}

/* The command that placed() answers. */
static struct event place(void)
{
    struct event event = placed();

    event.type = PLACE_ORDER;
    memset(event.source, 0, sizeof event.source);
    payload_in(event.data)->total_cents = 0;
    payload_in(event.data)->lines[0].price_cents =
        payload_in(event.data)->lines[1].price_cents = 0;
    return event;
}

static struct event because(const char *source, unsigned type,
                            const char *reason)
{
    struct event event = an_event(source, type, "o-1");

    text_copy(payload_in(event.data)->reason, REASON_BYTES, reason);
    return event;
}

static struct event price(const char *source, unsigned type, const char *sku,
                          int64_t cents)
{
    struct event event = an_event(source, type, "");

    text_copy(payload_in(event.data)->sku, SKU_BYTES, sku);
    payload_in(event.data)->price_cents = cents;
    return event;
}

static void given(struct world *world, struct event event)
{
    world_given(world, AT_ORDER, &event);
}

static struct decision when(const struct world *world, struct event cause)
{
    struct decision out;

    world_decide(world, AT_ORDER, &cause, NULL, &out);
    return out;
}

static struct world with_products(void)
{
    struct world world = {0};

    given(&world, price("order", PRODUCT_LISTED, "widget", 1990));
    given(&world, price("order", PRODUCT_LISTED, "gadget", 4900));
    return world;
}

static struct world in(enum status status)
{
    struct world world = with_products();

    if (status != NONE)
        given(&world, placed());
    if (status == CANCELLING)
        given(&world, because("order", ORDER_CANCELLING, "timed out"));
    if (status == CONFIRMED)
        given(&world, an_event("order", ORDER_CONFIRMED, "o-1"));
    if (status == CANCELLED)
        given(&world, because("order", ORDER_CANCELLED, "timed out"));
    return world;
}

static int outcome(const struct decision *out)
{
    if (out->refusal != NULL)
        return REFUSED;
    return out->emitted ? (int)out->event.type : NO_MESSAGE;
}

/* HC30, HC31, HC34, HC35, HC36 */
Test(order, every_cause_in_every_state_comes_to_what_the_table_says)
{
    struct event other = place();
    const struct {
        struct event cause;
        int then[STATUSES];
    } trials[] = {
        /* NONE, PENDING, CANCELLING, CONFIRMED, CANCELLED */
        {place(), {ORDER_PLACED}},
        {*with_line(&other, "widget2", 1, 0),
         {REFUSED, REFUSED, REFUSED, REFUSED, REFUSED}},
        {because(NULL, CANCEL_ORDER, ""),
         {REFUSED, ORDER_CANCELLING, NO_MESSAGE, REFUSED, NO_MESSAGE}},
        {because(NULL, EXPIRE_ORDER, ""), {NO_MESSAGE, ORDER_CANCELLING}},
        {an_event("payment", PAYMENT_CHARGED, "o-1"),
         {NO_MESSAGE, ORDER_CONFIRMED}},
        {because("inventory", STOCK_REJECTED, "insufficient stock"),
         {NO_MESSAGE, ORDER_CANCELLED, ORDER_CANCELLED}},
        {because("inventory", STOCK_RELEASED, "timed out"),
         {NO_MESSAGE, ORDER_CANCELLED, ORDER_CANCELLED}},
        {price(NULL, LIST_PRODUCT, "widget", 2000),
         {PRODUCT_LISTED, PRODUCT_LISTED, PRODUCT_LISTED, PRODUCT_LISTED,
          PRODUCT_LISTED}},
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
    untried = world_untried(&order_service, pairs);
    cr_assert_null(untried, "never came: %s", untried);
}

Test(order, is_priced_when_it_is_placed)
{
    struct world world = with_products();
    struct decision out = when(&world, place());
    struct event expected = placed();

    cr_assert_eq(out.event.type, ORDER_PLACED);
    cr_assert_str_eq(out.event.order_id, "o-1");
    cr_assert_str_eq(payload_in(out.event.data)->customer, "alice");
    cr_assert_eq(payload_in(out.event.data)->total_cents, 8880);
    cr_assert_eq(payload_in(out.event.data)->line_count, 2);
    cr_assert_arr_eq(payload_in(out.event.data)->lines,
                     payload_in(expected.data)->lines,
                     sizeof payload_in(expected.data)->lines);
}

/* HC42 */
Test(order, keeps_its_price_when_the_product_gets_another)
{
    struct world world = in(PENDING);
    struct event next = place();

    given(&world, price("order", PRODUCT_LISTED, "widget", 5000));
    cr_assert_eq(world_number(&world, AT_ORDER, "order", "o-1", "total_cents"),
                 8880);
    text_copy(next.order_id, ID_BYTES, "o-2");
    cr_assert_eq(payload_in(when(&world, next).event.data)->total_cents, 14900);
}

Test(order, of_an_unknown_product_is_refused)
{
    struct world world = with_products();
    struct event order = place();
    struct decision out = when(&world, *with_line(&order, "gizmo", 1, 0));

    cr_assert_not(out.emitted);
    cr_assert_str_eq(out.refusal, "unknown product");
    cr_assert_str_eq(out.field, "gizmo"); /* of several lines, this one */
}

/* HC25 */
Test(order, of_the_largest_size_does_not_overflow)
{
    struct world world = {0};
    struct event order = an_event(NULL, PLACE_ORDER, "o-1");
    char sku[] = "sku-0";

    text_copy(payload_in(order.data)->customer, CUSTOMER_BYTES, "alice");
    for (int i = 0; i < LINES_MAX; i++) {
        sku[4] = (char)('0' + i);
        given(&world, price("order", PRODUCT_LISTED, sku, PRICE_CENTS_MAX));
        with_line(&order, sku, QUANTITY_MAX, 0);
    }
    cr_assert_eq(payload_in(when(&world, order).event.data)->total_cents,
                 ORDER_TOTAL_MAX);
}

/* HC15 */
Test(order, under_a_known_id_with_any_difference_is_refused)
{
    struct world world = in(PENDING);
    struct event customer = place(), sku = place(), quantity = place(),
                 fewer = place();
    struct event others[4];
    struct decision out;

    text_copy(payload_in(customer.data)->customer, CUSTOMER_BYTES, "bob");
    text_copy(payload_in(sku.data)->lines[1].sku, SKU_BYTES, "gizmo");
    payload_in(quantity.data)->lines[1].quantity++;
    payload_in(fewer.data)->line_count--;
    others[0] = customer;
    others[1] = sku;
    others[2] = quantity;
    others[3] = fewer;
    for (size_t i = 0; i < 4; i++) {
        out = when(&world, others[i]);
        cr_assert_not(out.emitted);
        cr_assert_str_eq(out.refusal, "another order has this id");
        cr_assert_str_eq(out.field, "order");
    }
}

Test(order, is_cancelled_for_the_reason_that_the_customer_gives)
{
    struct world world = in(PENDING);

    cr_assert_str_eq(
        payload_in(when(&world, because(NULL, CANCEL_ORDER, "")).event.data)
            ->reason,
        "cancelled by customer");
    cr_assert_str_eq(
        payload_in(
            when(&world, because(NULL, CANCEL_ORDER, "too slow")).event.data)
            ->reason,
        "too slow");
    cr_assert_str_eq(
        payload_in(when(&world, because(NULL, EXPIRE_ORDER, "")).event.data)
            ->reason,
        "timed out");
}

/* HC34 */
Test(order, that_is_confirmed_or_unknown_cannot_be_cancelled)
{
    struct world confirmed = in(CONFIRMED), none = in(NONE);
    struct decision late = when(&confirmed, because(NULL, CANCEL_ORDER, ""));
    struct decision unknown = when(&none, because(NULL, CANCEL_ORDER, ""));

    cr_assert_str_eq(late.refusal, "too late: the order is confirmed");
    cr_assert_str_eq(late.field, "order");
    cr_assert_str_eq(unknown.refusal, "unknown order");
    cr_assert_str_eq(unknown.field, "order");
}

/* HC35: the reason is the one of the evidence, whatever was asked before. */
Test(order, is_cancelled_for_the_reason_that_the_evidence_carries)
{
    struct world world = in(CANCELLING);
    struct decision out = when(
        &world, because("inventory", STOCK_REJECTED, "insufficient stock"));

    cr_assert_eq(out.event.type, ORDER_CANCELLED);
    cr_assert_str_eq(payload_in(out.event.data)->reason, "insufficient stock");
    given(&world, out.event);
    cr_assert_str_eq(world_word(&world, AT_ORDER, "order", "o-1", "status"),
                     "CANCELLED");
}

Test(order, does_not_look_at_other_orders)
{
    struct world world = in(PENDING);
    struct event other = an_event("payment", PAYMENT_CHARGED, "o-2");

    cr_assert_not(when(&world, other).emitted);
    cr_assert_str_eq(world_word(&world, AT_ORDER, "order", "o-2", "status"),
                     "NONE");
    cr_assert_str_eq(world_word(&world, AT_ORDER, "order", "o-1", "status"),
                     "PENDING");
}

/* HC32 */
Test(order, has_a_deadline_until_it_is_confirmed_or_turns_back)
{
    const struct timer *timer = &order_service.timers[0];

    cr_assert_eq(order_service.timer_count, 1);
    cr_assert_eq(timer->from, ORDER_PLACED);
    cr_assert_eq(timer->send, EXPIRE_ORDER);
    cr_assert(event_type_in(ORDER_CONFIRMED, timer->unless, UNLESS_MAX));
    cr_assert(event_type_in(ORDER_CANCELLING, timer->unless, UNLESS_MAX));
    cr_assert(event_type_in(ORDER_CANCELLED, timer->unless, UNLESS_MAX));
    cr_assert_str_eq(timer->option, "order-deadline-ms");
    cr_assert_eq(timer->default_ms, 30000);
}
