/* test_flow.c - what the rule tables of all three services say together:
 * readers, circles, compensations, and what a saga waits for. */
#include "core/flow.h"
#include "shop/shop.h"
#include "world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables --------------------------------------------------------- */

/* Events that end something: nobody reacts to them. */
static const unsigned finals[] = {PRODUCT_LISTED,  STOCK_RECEIVED,
                                  FUNDS_DEPOSITED, STOCK_SHIPPED,
                                  ORDER_CANCELLED, NO_MESSAGE};

Test(flow, every_event_has_one_writer_and_a_reader_unless_it_is_final)
{
    for (unsigned type = 1; type < MESSAGE_TYPES; type++) {
        const char *name = shop_type_name(type);

        if (shop_message(type)->is_command) {
            cr_assert(flow_has_reader(roster_services, SERVICES, type), "%s",
                      name);
            continue;
        }
        cr_assert_not_null(flow_writer(roster_services, SERVICES, type), "%s",
                           name);
        cr_assert_neq(flow_has_reader(roster_services, SERVICES, type),
                      event_type_in(type, finals, MESSAGE_TYPES), "%s", name);
    }
}

Test(flow, every_rule_is_on_a_message_that_comes_to_its_service)
{
    for (size_t s = 0; s < SERVICES; s++) {
        const struct service *service = roster_services[s];

        for (size_t i = 0; i < service->rule_count; i++) {
            unsigned on = service->rules[i].on;
            const struct service *writer =
                flow_writer(roster_services, SERVICES, on);
            bool heard = shop_message(on)->is_command;

            for (size_t l = 0; service->listens_to[l] != NULL; l++)
                heard |= writer != NULL &&
                         strcmp(service->listens_to[l], writer->name) == 0;
            cr_assert(heard, "%s never hears %s", service->name,
                      shop_type_name(on));
            for (size_t j = 0; j < i; j++)
                cr_assert_neq(on, service->rules[j].on, "two rules on %s",
                              shop_type_name(on));
        }
    }
}

Test(flow, services_write_what_they_fold_and_fold_what_they_index)
{
    for (size_t s = 0; s < SERVICES; s++) {
        const struct service *service = roster_services[s];

        for (size_t k = 0; k < service->kind_count; k++) {
            const struct kind *kind = &service->kinds[k];

            for (size_t f = 0; f < FOLDS_MAX && kind->folds[f]; f++) {
                cr_assert_eq(
                    flow_writer(roster_services, SERVICES, kind->folds[f]),
                    service, "%s folds %s of another", kind->name,
                    shop_type_name(kind->folds[f]));
                cr_assert(service_indexes(service, kind->folds[f], kind->tag));
            }
        }
    }
}

/* HC40 */
Test(flow, no_events_cause_each_other_in_a_circle)
{
    unsigned circle[TYPES_MAX];

    cr_assert_eq(flow_cycle(roster_services, SERVICES, circle), 0);
}

static void never(const struct states *states, const struct event *cause,
                  struct decision *out)
{
    (void)states;
    (void)cause;
    (void)out;
}

/* HC40: and the finder does find one, over services and over a timer. */
Test(flow, a_circle_is_found_through_rules_and_timers)
{
    static const struct rule eager[] = {
        {STOCK_REJECTED, never, {STOCK_RECEIVED}},
        {STOCK_RECEIVED, never, {ORDER_PLACED}},
    };
    static const struct timer again[] = {
        {STOCK_SHIPPED, PLACE_ORDER, {NO_MESSAGE}, "again-ms", 1},
    };
    static const char *const all[] = {"order", "inventory", NULL};
    const struct service restock = {"restock", &shop_domain, all, eager,
                                    2,         .kinds = NULL};
    const struct service repeat = {"repeat", &shop_domain, all, .timers = again,
                                   .timer_count = 1};
    const struct service *four[SERVICES + 1];
    unsigned circle[TYPES_MAX];

    memcpy(four, roster_services, sizeof roster_services);
    four[3] = &restock;
    cr_assert_eq(flow_cycle(four, 4, circle), 3);
    cr_assert_eq(circle[0], ORDER_PLACED);
    cr_assert_eq(circle[1], STOCK_REJECTED);
    cr_assert_eq(circle[2], STOCK_RECEIVED);
    four[3] = &repeat;
    cr_assert_gt(flow_cycle(four, 4, circle), 0);
    cr_assert_eq(circle[0], PLACE_ORDER);
}

/* ---- printing ----------------------------------------------------------- */

static char *printed(void print(FILE *, const struct domain *,
                                const struct service *const[], size_t))
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    cr_assert_not_null(out);
    print(out, &shop_domain, roster_services, SERVICES);
    fclose(out);
    return text;
}

static const char ladder[] =
    "Forward: each event triggers the next step.\n"
    "\n"
    "  client    PlaceOrder\n"
    "                 |\n"
    "  order     OrderPlaced ------+\n"
    "                              v\n"
    "  inventory             StockReserved -----+\n"
    "                                           v\n"
    "  payment                           PaymentCharged\n"
    "                                           |\n"
    "  order   OrderConfirmed <-----------------+\n"
    "                 +------------+\n"
    "                              v\n"
    "  inventory             StockShipped\n"
    "\n"
    "Backward: each compensation triggers the one before it.\n"
    "\n"
    "  client    CancelOrder\n"
    "  timer     ExpireOrder                              30 s after "
    "OrderPlaced\n"
    "                 |\n"
    "  order   OrderCancelling -----------------+\n"
    "                                           v\n"
    "  payment                           PaymentRefunded  undoes "
    "PaymentCharged\n"
    "                                     PaymentVoided   instead of "
    "PaymentRefunded\n"
    "                                    PaymentDeclined  instead of "
    "PaymentCharged\n"
    "                                           |\n"
    "  inventory             StockReleased <----+         undoes "
    "StockReserved\n"
    "                        StockRejected                instead of "
    "StockReserved\n"
    "                              |\n"
    "  order   OrderCancelled <----+                      undoes "
    "OrderPlaced\n";

Test(flow, the_ladder_is_drawn_from_the_rules)
{
    char *text = printed(flow_print_ladder);

    cr_assert_str_eq(text, ladder, "%s", text);
    free(text);
}

/* A service that is not there, and what only it does, is not drawn. */
Test(flow, another_table_draws_another_ladder)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    cr_assert_not_null(out);
    flow_print_ladder(out, &shop_domain, roster_services, SERVICES - 1);
    fclose(out);
    cr_assert_not_null(strstr(text, "  inventory             StockReserved\n"),
                       "%s", text);
    cr_assert_null(strstr(text, "Payment"), "%s", text);
    cr_assert_null(strstr(text, "OrderConfirmed"), "%s", text);
    cr_assert_not_null(strstr(text, "OrderCancelled <----+"), "%s", text);
    free(text);
}

Test(flow, prints_every_rule_and_timer_as_a_table)
{
    char *text = printed(flow_print);

    cr_assert_not_null(
        strstr(text, "OrderPlaced      order     order     ExpireOrder after "
                     "30 s, unless\n"
                     "                                     OrderConfirmed, "
                     "OrderCancelling,\n"
                     "                                     OrderCancelled\n"
                     "                           inventory StockReserved | "
                     "StockRejected\n"),
        "%s", text);
    cr_assert_not_null(
        strstr(text, "CancelOrder      client    order     OrderCancelling\n"));
    cr_assert_not_null(
        strstr(text, "ExpireOrder      order     order     OrderCancelling\n"));
    cr_assert_not_null(strstr(text, "StockShipped     inventory nobody\n"));
    free(text);
}

/* A column is as wide as the longest name in it. */
Test(flow, a_long_name_does_not_run_into_the_next_column)
{
    struct service renamed = *roster_services[1];
    const struct service *services[SERVICES];
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    cr_assert_not_null(out);
    for (unsigned i = 0; i < SERVICES; i++)
        services[i] = roster_services[i];
    renamed.name = "inventory-two";
    services[1] = &renamed;
    flow_print(out, &shop_domain, services, SERVICES);
    fclose(out);
    cr_assert_not_null(
        strstr(text, "on               from          reacts        may emit\n"),
        "%s", text);
    cr_assert_not_null(
        strstr(text, "StockRejected    inventory-two order         Order"),
        "%s", text);
    cr_assert_not_null(
        strstr(text, "ReceiveStock     client        inventory-two Stock"),
        "%s", text);
    free(text);
}

Test(flow, prints_the_same_as_a_mermaid_flowchart)
{
    char *text = printed(flow_print_mermaid);

    cr_assert_eq(strncmp(text, "flowchart TD\n", 13), 0);
    cr_assert_not_null(strstr(text, "    subgraph payment\n"
                                    "        DepositFunds([DepositFunds])\n"
                                    "        FundsDeposited\n"),
                       "%s", text);
    cr_assert_not_null(strstr(
        text, "    StockReserved --> PaymentCharged & PaymentDeclined\n"));
    cr_assert_not_null(
        strstr(text, "    OrderPlaced -. after 30 s .-> ExpireOrder\n"));
    free(text);
}

/* ---- one saga ----------------------------------------------------------- */

/* A world in which o-1 was placed; its events, and the cursors. */
struct scene {
    struct world world;
    struct event events[SERVICES * WORLD_LOG_MAX];
    size_t count;
    struct position consumed[SERVICES * SERVICES];
    struct flow_gap gaps[8];
    size_t gap_count;
};

static void command(struct world *world, unsigned type, const char *order_id,
                    const char *id)
{
    struct event command = an_event(NULL, type, order_id);

    text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES, "alice");
    text_copy(payload_in(command.data)->sku, SKU_BYTES, "widget");
    payload_in(command.data)->quantity = payload_in(command.data)->price_cents =
        5;
    payload_in(command.data)->amount_cents = 100;
    if (type == PLACE_ORDER)
        with_line(&command, "widget", 2, 0);
    cr_assert_not_null(world_command(world, &command, id).emitted);
}

static struct scene placed(void)
{
    struct scene scene;

    memset(&scene, 0, sizeof scene);
    command(&scene.world, LIST_PRODUCT, "", "c-1");
    command(&scene.world, RECEIVE_STOCK, "", "c-2");
    command(&scene.world, DEPOSIT_FUNDS, "", "c-3");
    world_settle(&scene.world);
    command(&scene.world, PLACE_ORDER, "o-1", "o-1");
    return scene;
}

static void look(struct scene *scene)
{
    scene->count = 0;
    for (unsigned s = 0; s < SERVICES; s++) {
        for (unsigned seq = 1; seq <= scene->world.length[s]; seq++) {
            const struct event *event = world_event(&scene->world, s, seq);

            if (strcmp(event->order_id, "o-1") == 0)
                scene->events[scene->count++] = *event;
        }
        for (unsigned p = 0; p < SERVICES; p++) {
            struct position *at = &scene->consumed[s * SERVICES + p];

            at->seq = scene->world.cursor[s][p];
            memset(at->log_id, (int)p + 1, LOG_ID_BYTES);
        }
    }
    scene->gap_count = flow_gaps(roster_services, SERVICES, scene->consumed,
                                 scene->events, scene->count, scene->gaps, 8);
}

/* HC39 */
Test(flow, a_saga_waits_for_the_service_that_has_not_come_to_its_event)
{
    struct scene scene = placed();

    look(&scene);
    cr_assert_eq(scene.gap_count, 1);
    cr_assert_eq(scene.gaps[0].cause->type, ORDER_PLACED);
    cr_assert_str_eq(scene.gaps[0].owner->name, "inventory");
    cr_assert_eq(scene.gaps[0].rule->may_emit[0], STOCK_RESERVED);
    cr_assert_eq(scene.gaps[0].rule->may_emit[1], STOCK_REJECTED);
    cr_assert_not(scene.gaps[0].ignored);

    (void)world_deliver(&scene.world, AT_INVENTORY, AT_ORDER);
    look(&scene);
    cr_assert_eq(scene.gap_count, 1);
    cr_assert_eq(scene.gaps[0].cause->type, STOCK_RESERVED);
    cr_assert_str_eq(scene.gaps[0].owner->name, "payment");

    world_settle(&scene.world);
    look(&scene);
    cr_assert_eq(scene.gap_count, 0);
}

/* HC30, HC39 */
Test(flow, what_was_consumed_without_an_answer_was_ignored)
{
    struct scene scene = placed();
    struct event cancel = an_event(NULL, CANCEL_ORDER, "o-1");

    (void)world_deliver(&scene.world, AT_INVENTORY, AT_ORDER);
    (void)world_deliver(&scene.world, AT_PAYMENT, AT_INVENTORY);
    (void)world_command(&scene.world, &cancel, "c-4");
    (void)world_deliver(&scene.world, AT_ORDER, AT_INVENTORY);
    (void)world_deliver(&scene.world, AT_ORDER, AT_PAYMENT);
    (void)world_deliver(&scene.world, AT_ORDER, AT_PAYMENT); /* charged */
    look(&scene);
    for (size_t i = 0; i < scene.gap_count; i++) {
        const struct flow_gap *gap = &scene.gaps[i];

        cr_assert_eq(gap->ignored, gap->cause->type == PAYMENT_CHARGED);
        cr_assert_str_eq(gap->owner->name, gap->ignored ? "order" : "payment");
    }
    cr_assert_eq(scene.gap_count, 2);

    /* A cursor on another log of payment says nothing about this one. */
    memset(scene.consumed[AT_ORDER * SERVICES + AT_PAYMENT].log_id, 9,
           LOG_ID_BYTES);
    cr_assert_eq(flow_gaps(roster_services, SERVICES, scene.consumed,
                           scene.events, scene.count, scene.gaps, 1),
                 2);
    cr_assert_not(scene.gaps[0].ignored);
}

Test(flow, a_compensation_names_what_it_takes_back)
{
    struct scene scene = placed();
    struct event cancel = an_event(NULL, CANCEL_ORDER, "o-1");

    (void)world_deliver(&scene.world, AT_INVENTORY, AT_ORDER);
    (void)world_deliver(&scene.world, AT_PAYMENT, AT_INVENTORY);
    (void)world_command(&scene.world, &cancel, "c-4");
    world_settle(&scene.world);
    look(&scene);
    for (size_t i = 0; i < scene.count; i++) {
        unsigned undoes = domain_undoes(&shop_domain, scene.events[i].type);
        const struct event *undone = flow_undone(&shop_domain, scene.events,
                                                 scene.count, &scene.events[i]);

        cr_assert_eq(undone != NULL, undoes != NO_MESSAGE);
        cr_assert(undone == NULL || undone->type == undoes);
    }
    cr_assert_eq(domain_undoes(&shop_domain, PAYMENT_REFUNDED),
                 PAYMENT_CHARGED);
    cr_assert_eq(domain_undoes(&shop_domain, STOCK_RELEASED), STOCK_RESERVED);
    cr_assert_eq(domain_undoes(&shop_domain, ORDER_CANCELLED), ORDER_PLACED);
    cr_assert_eq(domain_undoes(&shop_domain, PAYMENT_VOIDED), NO_MESSAGE);
    cr_assert_eq(scene.count, 7);
}

/* HC33: by causes, not by clocks. */
Test(flow, events_are_sorted_by_what_caused_what)
{
    static const unsigned sorted[] = {ORDER_PLACED, STOCK_RESERVED,
                                      PAYMENT_CHARGED, ORDER_CONFIRMED,
                                      STOCK_SHIPPED};
    struct scene scene = placed();

    world_settle(&scene.world);
    look(&scene);
    for (size_t i = 0; i < scene.count; i++) /* clocks that run backwards */
        scene.events[i].time_ms = -(int64_t)i;
    flow_sort(scene.events, scene.count);
    cr_assert_eq(scene.count, 5);
    for (size_t i = 0; i < scene.count; i++) {
        const struct event *cause =
            flow_cause(scene.events, scene.count, &scene.events[i]);

        cr_assert_eq(scene.events[i].type, sorted[i]);
        cr_assert(i == 0 ? cause == NULL : cause == &scene.events[i - 1]);
    }
}

Test(flow, a_circle_of_causes_in_damaged_logs_is_left_alone)
{
    struct event events[2] = {an_event("order", ORDER_PLACED, "o-1"),
                              an_event("payment", PAYMENT_CHARGED, "o-1")};

    for (int i = 0; i < 2; i++) {
        events[i].at.seq = 1;
        events[i].cause.at.seq = 1;
        memcpy(events[i].cause.source, events[1 - i].source, SERVICE_BYTES);
    }
    flow_sort(events, 2);
    cr_assert_eq(events[0].type, ORDER_PLACED);
}

Test(flow, the_deadline_is_armed_until_the_order_moves_on)
{
    struct scene scene = placed();
    const struct event *set = NULL;
    const struct timer *timer;

    look(&scene);
    timer =
        flow_timer(roster_services, SERVICES, scene.events, scene.count, &set);
    cr_assert_not_null(timer);
    cr_assert_eq(timer->send, EXPIRE_ORDER);
    cr_assert_eq(set->type, ORDER_PLACED);
    world_settle(&scene.world);
    look(&scene);
    cr_assert_null(
        flow_timer(roster_services, SERVICES, scene.events, scene.count, &set));
}
