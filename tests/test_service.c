/* test_service.c - what surrounds a decision: the states a cause names, and
 * the assertions that catch a domain that breaks its contract. */
#include "core/service.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

/* ---- a toy domain, badly behaved on request ----------------------------- */

static decide_fn *behaviour;

static void decide(const struct states *states, const struct event *cause,
                   struct decision *out)
{
    behaviour(states, cause, out);
}

static void evolve(void *state, const char *key, const struct event *own)
{
    (void)key;
    (void)own;
    ++*(int64_t *)state;
}

static const struct rule rules[] = {
    {ORDER_PLACED, decide, {STOCK_RESERVED, STOCK_REJECTED}},
    {RECEIVE_STOCK, decide, {STOCK_RECEIVED}},
};
static const struct field fields[] = {{"count", FIELD_INT, .size = 8},
                                      {.name = NULL}};
static const struct kind kinds[] = {
    {"by_order", TAG_ORDER, 8, fields, evolve, {STOCK_RESERVED}, .revision = 1},
    {"by_sku", TAG_SKU, 8, fields, evolve, {STOCK_RECEIVED}, .revision = 1},
};
static const char *const listens_to[] = {"order", NULL};
static const struct service toy = {
    "toy", &shop_domain, listens_to, rules, 2, kinds, 2, .timers = NULL};

static struct event order_placed(void)
{
    struct event event;

    memset(&event, 0, sizeof event);
    event.type = ORDER_PLACED;
    text_copy(event.order_id, ID_BYTES, "o-1");
    text_copy(payload_in(event.data)->customer, CUSTOMER_BYTES, "alice");
    payload_in(event.data)->line_count = 2;
    text_copy(payload_in(event.data)->lines[0].sku, SKU_BYTES, "widget");
    text_copy(payload_in(event.data)->lines[1].sku, SKU_BYTES, "gadget");
    payload_in(event.data)->lines[0].quantity =
        payload_in(event.data)->lines[1].quantity = 1;
    payload_in(event.data)->lines[0].price_cents =
        payload_in(event.data)->lines[1].price_cents = 1;
    payload_in(event.data)->total_cents = 2;
    return event;
}

static int64_t ones[STATES_MAX];

static enum evt_status load(void *ctx, unsigned kind, const char *key,
                            const void **state)
{
    int *budget = ctx;

    (void)kind;
    (void)key;
    if (budget != NULL && (*budget)-- == 0)
        return EVT_IO;
    *state = ones;
    return EVT_OK;
}

static struct decision run(const struct event *cause, decide_fn *how)
{
    struct states states;
    struct decision out;

    behaviour = how;
    cr_assert_eq(service_load_states(&states, &toy, cause, load, NULL), EVT_OK);
    service_decide(service_rule(&toy, cause->type), NULL, &states, cause, &out);
    return out;
}

/* ---- states ------------------------------------------------------------- */

Test(service, loads_the_states_that_the_tags_of_a_cause_name)
{
    struct event cause = order_placed();
    struct states states;

    cr_assert_eq(service_load_states(&states, &toy, &cause, load, NULL),
                 EVT_OK);
    cr_assert_eq(states.count, 3);
    cr_assert_eq(state_of(&states, 0, "o-1"), ones);
    cr_assert_eq(state_of(&states, 1, "widget"), ones);
    cr_assert_eq(state_of(&states, 1, "gadget"), ones);
}

Test(service, stops_at_the_first_state_that_cannot_be_loaded)
{
    struct event cause = order_placed();
    struct states states;
    int budget = 2;

    cr_assert_eq(service_load_states(&states, &toy, &cause, load, &budget),
                 EVT_IO);
}

Test(service, a_state_that_the_cause_does_not_name_is_a_bug, .signal = SIGABRT)
{
    struct event cause = order_placed();
    struct states states;

    cr_assert_eq(service_load_states(&states, &toy, &cause, load, NULL),
                 EVT_OK);
    (void)state_of(&states, 1, "gizmo");
}

/* ---- decisions ---------------------------------------------------------- */

static void nothing(const struct states *states, const struct event *cause,
                    struct decision *out)
{
    (void)states;
    (void)cause;
    (void)out;
}

static void reserve(const struct states *states, const struct event *cause,
                    struct decision *out)
{
    (void)states;
    emit(out, STOCK_RESERVED, cause);
}

static void emit_twice(const struct states *states, const struct event *cause,
                       struct decision *out)
{
    reserve(states, cause, out);
    reserve(states, cause, out);
}

static void emit_undeclared(const struct states *states,
                            const struct event *cause, struct decision *out)
{
    (void)states;
    emit(out, PAYMENT_CHARGED, cause);
}

static void refuse_it(const struct states *states, const struct event *cause,
                      struct decision *out)
{
    (void)states;
    (void)cause;
    refuse(out, "no room", "quantity");
}

static void refuse_and_emit(const struct states *states,
                            const struct event *cause, struct decision *out)
{
    refuse_it(states, cause, out);
    emit(out, STOCK_RECEIVED, cause);
}

Test(service, a_decision_carries_the_causes_payload_as_far_as_declared)
{
    struct event cause = order_placed();
    struct decision out;

    payload_in(cause.data)->quantity =
        99; /* StockReserved declares no such field */
    out = run(&cause, reserve);
    cr_assert(out.emitted);
    cr_assert_eq(out.event.type, STOCK_RESERVED);
    cr_assert_str_eq(out.event.order_id, "o-1");
    cr_assert_str_eq(payload_in(out.event.data)->customer, "alice");
    cr_assert_eq(payload_in(out.event.data)->line_count, 2);
    cr_assert_eq(payload_in(out.event.data)->quantity, 0);
    cr_assert_eq(payload_in(out.event.data)->lines[0].price_cents, 0);
}

Test(service, a_decision_may_be_nothing)
{
    struct event cause = order_placed();
    struct decision out = run(&cause, nothing);

    cr_assert_not(out.emitted);
    cr_assert_null(out.refusal);
}

Test(service, another_decision_can_stand_in_for_the_rules)
{
    struct event cause = order_placed();
    struct states states;
    struct decision out;

    behaviour = nothing;
    cr_assert_eq(service_load_states(&states, &toy, &cause, load, NULL),
                 EVT_OK);
    service_decide(&rules[0], reserve, &states, &cause, &out);
    cr_assert(out.emitted);
}

Test(service, a_command_may_be_refused)
{
    struct event cause = {.type = RECEIVE_STOCK};
    struct decision out = run(&cause, refuse_it);

    cr_assert_not(out.emitted);
    cr_assert_str_eq(out.refusal, "no room");
    cr_assert_str_eq(out.field, "quantity");
}

Test(service, two_events_from_one_cause_are_a_bug, .signal = SIGABRT)
{
    struct event cause = order_placed();

    (void)run(&cause, emit_twice);
}

Test(service, an_undeclared_event_is_a_bug, .signal = SIGABRT)
{
    struct event cause = order_placed();

    (void)run(&cause, emit_undeclared);
}

Test(service, refusing_an_event_is_a_bug, .signal = SIGABRT)
{
    struct event cause = order_placed();

    (void)run(&cause, refuse_it);
}

Test(service, an_event_beside_a_refusal_is_a_bug, .signal = SIGABRT)
{
    struct event cause = {.type = RECEIVE_STOCK};

    (void)run(&cause, refuse_and_emit);
}

/* ---- tables ------------------------------------------------------------- */

Test(service, a_type_without_a_rule_is_somebody_elses_business)
{
    cr_assert_eq(service_rule(&toy, ORDER_PLACED), &rules[0]);
    cr_assert_null(service_rule(&toy, ORDER_CONFIRMED));
    cr_assert_null(service_rule(&toy, NO_MESSAGE));
}

Test(service, an_event_is_indexed_by_its_order_and_by_what_folds_it)
{
    cr_assert(service_indexes(&toy, STOCK_RECEIVED, TAG_SKU));
    cr_assert_not(service_indexes(&toy, STOCK_RESERVED, TAG_SKU));
    cr_assert_not(service_indexes(&toy, STOCK_RECEIVED, TAG_CUSTOMER));
    cr_assert(service_indexes(&toy, STOCK_RESERVED, TAG_ORDER));
    cr_assert(service_indexes(&toy, STOCK_REJECTED, TAG_ORDER));
}

/* HC43 */
Test(service, any_change_of_a_kinds_layout_gives_it_another_number)
{
    struct field other[] = {fields[0], fields[1]};
    struct kind kind = kinds[0];
    uint32_t was = service_kind_layout(&kind);

    cr_assert_eq(service_kind_layout(&kind), was);
    kind.revision++;
    cr_assert_neq(service_kind_layout(&kind), was);
    kind = kinds[0];
    kind.bytes += 8;
    cr_assert_neq(service_kind_layout(&kind), was);
    kind = kinds[0];
    kind.fields = other;
    cr_assert_eq(service_kind_layout(&kind), was);
    other[0].offset = 8;
    cr_assert_neq(service_kind_layout(&kind), was);
    other[0] = fields[0];
    other[0].name = "total";
    cr_assert_neq(service_kind_layout(&kind), was);
    other[0] = fields[0];
    other[0].items = fields;
    cr_assert_neq(service_kind_layout(&kind), was);
    was = service_kind_layout(&kind);
    other[0].list = 8;
    cr_assert_neq(service_kind_layout(&kind), was);
    other[0].list = 0;
    other[0].item_bytes = 8;
    cr_assert_neq(service_kind_layout(&kind), was);
}
