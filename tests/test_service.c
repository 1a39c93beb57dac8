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
    cr_assert_eq(service_indexed(&toy, STOCK_RECEIVED),
                 1U << TAG_ORDER | 1U << TAG_SKU);
    cr_assert_eq(service_indexed(&toy, STOCK_RESERVED), 1U << TAG_ORDER);
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

/* ---- tables that the library refuses ---------------------------------------
 */

struct small {
    int64_t number;
    uint32_t count;
    struct item {
        char name[8];
    } items[2];
    char text[12];
};

/* A domain of two messages, whose tables a test may spoil. */
static struct {
    struct service service;
    struct domain domain;
    struct message messages[3];
    struct field fields[4], item[2];
    struct rule rules[2];
    struct kind kinds[1];
    struct timer timers[1];
    struct fault_rule faults[1];
} own;

static void small_upcast(void *payload)
{
    (void)payload;
}

static const char *const own_tags[] = {
    [TAG_ORDER + 1] = "thing",
};

static void build_own(void)
{
    own.item[0] = (struct field){"name", FIELD_ID, AT(struct item, name)};
    own.fields[0] =
        (struct field){"number", FIELD_INT, AT(struct small, number), .max = 9};
    own.fields[1] =
        (struct field){"items", FIELD_LIST, AT_LIST(struct small, count, items),
                       .max = 2, .items = own.item};
    own.fields[2] = (struct field){"text", FIELD_TEXT, AT(struct small, text),
                                   .tag = TAG_ORDER + 1};
    own.messages[0] =
        (struct message){1, 1, "Do", 1, own.fields, .saga = OPENS_SAGA};
    own.messages[1] =
        (struct message){2, 1, "Done", 0, own.fields, .upcast = small_upcast};
    own.messages[2] =
        (struct message){2, 2, "Done", 0, own.fields, .undoes = 0};
    own.domain = (struct domain){.messages = own.messages,
                                 .message_count = 3,
                                 .tags = own_tags,
                                 .tag_count = TAG_ORDER + 2,
                                 .payload_bytes = sizeof(struct small),
                                 .payload_align = 8};
    own.rules[0] = (struct rule){1, decide, {2}};
    own.rules[1] = (struct rule){2, decide, {NO_MESSAGE}};
    own.kinds[0] =
        (struct kind){"things", TAG_ORDER + 1, sizeof(struct small), own.fields,
                      evolve,   {2},           .revision = 1};
    own.timers[0] = (struct timer){2, 1, {2}, "thing-ms", 5};
    own.faults[0] = (struct fault_rule){"own/fault", "x", 1, decide};
    own.service = (struct service){"own", &own.domain, listens_to, own.rules,
                                   2,     own.kinds,   1,          own.timers,
                                   1,     own.faults,  1};
}

Test(service, a_domain_without_kinds_of_tags_indexes_its_sagas)
{
    build_own();
    own.domain.tag_count = 0;
    own.domain.tags = NULL;
    cr_assert_eq(service_indexed(&own.service, 2), 1U << TAG_ORDER);
}

/* One change makes the tables of no use, and the text says which. */
#define SPOILED(member, value, word)                                           \
    do {                                                                       \
        build_own();                                                           \
        own.member = (value);                                                  \
        refused_for(word, #member " = " #value);                               \
    } while (0)

static void refused_for(const char *word, const char *change)
{
    char why[SERVICE_WHY_BYTES] = "";

    cr_assert_not(service_check(&own.service, why), "%s is taken", change);
    cr_assert(strstr(why, word) != NULL, "%s: %s", change, why);
}

Test(service, the_tables_of_a_whole_service_are_taken)
{
    char why[SERVICE_WHY_BYTES] = "";

    build_own();
    cr_assert(service_check(&own.service, why), "%s", why);
}

Test(service, a_payload_that_does_not_fit_is_refused)
{
    SPOILED(service.domain, NULL, "domain");
    SPOILED(domain.messages, NULL, "domain");
    SPOILED(domain.payload_bytes, PAYLOAD_BYTES_MAX + 1, "payloads have 1025");
    SPOILED(domain.payload_bytes, 0, "payloads have 0");
    SPOILED(domain.payload_align, 64, "aligned to 64");
    SPOILED(domain.payload_align, 0, "aligned to 0");
    SPOILED(domain.tag_count, TAG_KINDS_MAX + 1, "33 kinds of tags");
    SPOILED(kinds[0].bytes, STATE_BYTES_MAX + 1, "things");
    SPOILED(kinds[0].bytes, 0, "things");
}

Test(service, a_field_outside_its_struct_or_over_another_is_refused)
{
    SPOILED(fields[0].offset, sizeof(struct small), "Do.number");
    SPOILED(fields[0].offset, 4, "Do.number");
    SPOILED(fields[0].offset, UINT16_MAX, "Do.number");
    SPOILED(fields[0].size, 4, "Do.number");
    SPOILED(fields[2].offset, 0, "Do.text");
    SPOILED(fields[2].offset, offsetof(struct small, items), "Do.text");
    SPOILED(fields[2].size, sizeof(struct small), "Do.text");
    SPOILED(fields[2].size, 1, "Do.text");
    SPOILED(fields[1].offset, 0, "Do.items");
    SPOILED(fields[1].list, offsetof(struct small, text), "Do.items");
    SPOILED(fields[1].list, offsetof(struct small, number), "Do.items");
    SPOILED(fields[1].max, 3, "Do.text"); /* the third lies over it */
    SPOILED(fields[1].max, INT64_MAX, "Do.items");
    SPOILED(fields[1].item_bytes, 0, "Do.items");
    SPOILED(fields[1].items, NULL, "Do.items");
    SPOILED(fields[1].items, own.fields, "items.");
    SPOILED(item[0].size, 9, "items.name");
    SPOILED(fields[0].min, 10, "Do.number");
    SPOILED(fields[2].tag, TAG_ORDER + 2, "no name");
    SPOILED(fields[2].name, "a text", "Do.a text");
    SPOILED(messages[0].fields, NULL, "Do");
}

Test(service, messages_whose_numbers_names_or_versions_clash_are_refused)
{
    SPOILED(messages[0].type, NO_MESSAGE, "message 0");
    SPOILED(messages[0].type, TYPES_MAX, "message 0");
    SPOILED(messages[0].name, "", "message 0");
    SPOILED(messages[0].name, "do it", "message 0");
    SPOILED(messages[1].name, "Do", "Do");
    SPOILED(messages[0].type, 2, "Done");
    SPOILED(messages[2].version, 3, "versions");
    SPOILED(messages[2].version, 1, "versions");
    SPOILED(messages[1].upcast, NULL, "versions");
    SPOILED(messages[2].upcast, small_upcast, "versions");
    SPOILED(messages[2].is_command, 1, "versions");
    SPOILED(messages[1].undoes, 1, "undoes");
    SPOILED(messages[1].undoes, 7, "undoes");
}

Test(service, tables_that_name_what_is_not_there_are_refused)
{
    SPOILED(service.name, "", "name");
    SPOILED(service.name, "a-name-of-16-chr", "name");
    SPOILED(service.listens_to, NULL, "listens");
    SPOILED(rules[0].on, 7, "rule 0");
    SPOILED(rules[0].decide, NULL, "rule 0");
    SPOILED(rules[0].may_emit[0], 1, "rule 0");
    SPOILED(rules[1].on, 1, "two rules");
    SPOILED(faults[0].on, 7, "fault own/fault");
    SPOILED(kinds[0].tag, NO_TAG, "kind 0");
    SPOILED(kinds[0].tag, TAG_ORDER + 2, "kind 0");
    SPOILED(kinds[0].evolve, NULL, "kind 0");
    SPOILED(kinds[0].folds[0], 1, "kind 0");
    SPOILED(timers[0].from, 1, "timer 0");
    SPOILED(timers[0].send, 2, "timer 0");
    SPOILED(timers[0].unless[0], 1, "timer 0");
    SPOILED(timers[0].option, "a b", "timer 0");
}
