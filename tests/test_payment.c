/* test_payment.c - payment-svc's decisions: given these events, when this
 * cause comes, then this event, or nothing, or a refusal.  The first test
 * tries every cause in every state; the others look at what is said and at
 * what is left in the accounts. */
#include "payment-svc/payment.h"
#include "shop/shop.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

enum status { NONE, CHARGED, DECLINED, VOIDED, REFUNDED, STATUSES };
enum { REFUSED = MESSAGE_TYPES };

static struct event money(const char *source, unsigned type,
                          const char *order_id, const char *customer,
                          int64_t cents)
{
    struct event event = an_event(source, type, order_id);

    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, customer);
    payload_in(event.data)->amount_cents = cents;
    return event;
}

static struct event reserved(const char *order_id, int64_t total_cents)
{
    struct event event = an_event("inventory", STOCK_RESERVED, order_id);

    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "alice");
    with_line(&event, "widget", 2, total_cents / 2);
    payload_in(event.data)->total_cents = total_cents;
    return event;
}

static struct event because(const char *source, unsigned type,
                            const char *reason)
{
    struct event event = an_event(source, type, "o-1");

    text_copy(payload_in(event.data)->reason, REASON_BYTES, reason);
    return event;
}

static void given(struct world *world, struct event event)
{
    world_given(world, AT_PAYMENT, &event);
}

static struct decision when(const struct world *world, struct event cause)
{
    struct decision out;

    world_decide(world, AT_PAYMENT, &cause, NULL, &out);
    return out;
}

static struct world with_funds(int64_t cents)
{
    struct world world = {0};

    given(&world, money("payment", FUNDS_DEPOSITED, "", "alice", cents));
    return world;
}

static struct world in(enum status status)
{
    struct world world = with_funds(10000);
    struct event declined = because("payment", PAYMENT_DECLINED, "no");

    text_copy(payload_in(declined.data)->customer, CUSTOMER_BYTES, "alice");
    payload_in(declined.data)->needed = 20000;
    payload_in(declined.data)->available = 10000;
    if (status == CHARGED || status == REFUNDED)
        given(&world, money("payment", PAYMENT_CHARGED, "o-1", "alice", 3980));
    if (status == DECLINED)
        given(&world, declined);
    if (status == VOIDED)
        given(&world, because("payment", PAYMENT_VOIDED, "timed out"));
    if (status == REFUNDED)
        given(&world, money("payment", PAYMENT_REFUNDED, "o-1", "alice", 3980));
    return world;
}

static int64_t cents(const struct world *world, const char *what)
{
    return world_number(world, AT_PAYMENT, "account", "alice", what);
}

static int outcome(const struct decision *out)
{
    if (out->refusal != NULL)
        return REFUSED;
    return out->emitted ? (int)out->event.type : NO_MESSAGE;
}

/* HC16, HC23, HC30, HC36 */
Test(payment, every_cause_in_every_state_comes_to_what_the_table_says)
{
    const struct {
        struct event cause;
        int then[STATUSES];
    } trials[] = {
        /* NONE, CHARGED, DECLINED, VOIDED, REFUNDED */
        {reserved("o-1", 3980), {PAYMENT_CHARGED}},
        {reserved("o-1", 10002), {PAYMENT_DECLINED}},
        {because("order", ORDER_CANCELLING, "timed out"),
         {PAYMENT_VOIDED, PAYMENT_REFUNDED}},
        {money(NULL, DEPOSIT_FUNDS, "", "alice", 100),
         {FUNDS_DEPOSITED, FUNDS_DEPOSITED, FUNDS_DEPOSITED, FUNDS_DEPOSITED,
          FUNDS_DEPOSITED}},
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
    untried = world_untried(&payment_service, pairs);
    cr_assert_null(untried, "never came: %s", untried);
}

Test(payment, charges_the_total_to_the_last_cent)
{
    struct world world = with_funds(3980);
    struct decision out = when(&world, reserved("o-1", 3980));

    cr_assert_eq(out.event.type, PAYMENT_CHARGED);
    cr_assert_str_eq(out.event.order_id, "o-1");
    cr_assert_str_eq(payload_in(out.event.data)->customer, "alice");
    cr_assert_eq(payload_in(out.event.data)->amount_cents, 3980);
    given(&world, out.event);
    cr_assert_eq(cents(&world, "deposited_cents"), 3980);
    cr_assert_eq(cents(&world, "charged_cents"), 3980);
    cr_assert_eq(cents(&world, "balance_cents"), 0);
}

Test(payment, declines_with_the_two_numbers_and_moves_no_money)
{
    struct world world = with_funds(2000);
    struct decision out = when(&world, reserved("o-1", 9800));

    cr_assert_eq(out.event.type, PAYMENT_DECLINED);
    cr_assert_str_eq(payload_in(out.event.data)->reason, "insufficient funds");
    cr_assert_eq(payload_in(out.event.data)->needed, 9800);
    cr_assert_eq(payload_in(out.event.data)->available, 2000);
    given(&world, out.event);
    cr_assert_eq(cents(&world, "balance_cents"), 2000);
}

Test(payment, declines_an_unknown_customer_like_an_empty_account)
{
    struct world world = {0};
    struct decision out = when(&world, reserved("o-1", 2));

    cr_assert_eq(out.event.type, PAYMENT_DECLINED);
    cr_assert_eq(payload_in(out.event.data)->available, 0);
}

/* HC22: by what was charged, not by what the cause says. */
Test(payment, refunds_what_was_charged_to_whom_it_was_charged)
{
    struct world world = in(CHARGED);
    struct event cancelling = because("order", ORDER_CANCELLING, "too slow");
    struct decision out;

    text_copy(payload_in(cancelling.data)->customer, CUSTOMER_BYTES, "mallory");
    payload_in(cancelling.data)->amount_cents = 1;
    out = when(&world, cancelling);
    cr_assert_eq(out.event.type, PAYMENT_REFUNDED);
    cr_assert_str_eq(payload_in(out.event.data)->customer, "alice");
    cr_assert_eq(payload_in(out.event.data)->amount_cents, 3980);
    cr_assert_str_eq(payload_in(out.event.data)->reason, "too slow");
    given(&world, out.event);
    cr_assert_eq(cents(&world, "balance_cents"), 10000);
    cr_assert_eq(cents(&world, "refunded_cents"), 3980);
}

/* HC16: the cancel overtook the reservation. */
Test(payment, never_charges_an_order_that_was_voided)
{
    struct world world = with_funds(10000);
    struct decision out =
        when(&world, because("order", ORDER_CANCELLING, "timed out"));

    cr_assert_eq(out.event.type, PAYMENT_VOIDED);
    cr_assert_str_eq(payload_in(out.event.data)->reason, "timed out");
    given(&world, out.event);
    cr_assert_not(when(&world, reserved("o-1", 3980)).emitted);
    cr_assert(when(&world, reserved("o-2", 3980)).emitted);
    cr_assert_eq(cents(&world, "balance_cents"), 10000);
}

Test(payment, can_be_made_to_decline_by_a_fault)
{
    const struct fault_rule *fault = &payment_service.faults[0];
    struct event cause = reserved("o-1", 3980);
    struct world world = with_funds(10000);
    struct decision out;

    cr_assert_eq(payment_service.fault_count, 1);
    cr_assert_str_eq(fault->name, "payment/decline");
    cr_assert_str_eq(fault->what, "declines every payment");
    cr_assert_eq(fault->on, STOCK_RESERVED);
    world_decide(&world, AT_PAYMENT, &cause, fault->decide, &out);
    cr_assert_eq(out.event.type, PAYMENT_DECLINED);
    cr_assert_str_eq(payload_in(out.event.data)->reason, "declined by a fault");
    cr_assert_eq(payload_in(out.event.data)->needed, 3980);
    cr_assert_eq(payload_in(out.event.data)->available, 10000);
    for (enum status status = CHARGED; status < STATUSES; status++) {
        world = in(status);
        world_decide(&world, AT_PAYMENT, &cause, fault->decide, &out);
        cr_assert_not(out.emitted, "in state %d", status);
    }
}

/* Decides with an account that no log in a test is long enough to reach. */
static struct decision with_account(const int64_t account[4],
                                    struct event cause)
{
    int64_t payment[8] = {0}; /* a state that no event has touched */
    struct states states = {
        &payment_service, 2, {{0, "o-1", payment}, {1, "alice", account}}};
    struct decision out;

    cr_assert_str_eq(payment_service.kinds[1].name, "account");
    cr_assert_eq(payment_service.kinds[1].bytes, 4 * sizeof account[0]);
    cr_assert_leq(payment_service.kinds[0].bytes, sizeof payment);
    service_decide(service_rule(&payment_service, cause.type), NULL, &states,
                   &cause, &out);
    return out;
}

/* HC25 */
Test(payment, refuses_more_money_than_an_account_can_ever_hold)
{
    int64_t account[4] = {FUNDS_TOTAL_MAX - 7, 0, 0, FUNDS_TOTAL_MAX - 7};
    struct event deposit = money(NULL, DEPOSIT_FUNDS, "", "alice", 7);
    struct decision out = with_account(account, deposit);

    cr_assert_eq(out.event.type, FUNDS_DEPOSITED);
    cr_assert_eq(payload_in(out.event.data)->amount_cents, 7);
    cr_assert_str_eq(payload_in(out.event.data)->customer, "alice");
    account[0]++;
    out = with_account(account, deposit);
    cr_assert_str_eq(out.refusal, "more than the account can ever hold");
    cr_assert_str_eq(out.field, "amount_cents");
}

/* HC25: charging and refunding the same money for ever ends, too. */
Test(payment, declines_before_the_sum_of_all_charges_can_overflow)
{
    int64_t most = INT64_C(1000000000000000000);
    int64_t account[4] = {10000, most - 10, most - 10, 10000};

    cr_assert_eq(with_account(account, reserved("o-1", 10)).event.type,
                 PAYMENT_CHARGED);
    cr_assert_eq(with_account(account, reserved("o-1", 12)).event.type,
                 PAYMENT_DECLINED);
}
