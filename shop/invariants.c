/* invariants.c - what the shop's events must add up to (S3-S6, S8, Q1).
 * Sums of money and goods, one ladder for each service, and the agreement of
 * all on what was ordered.  Not the domains' code, nor folded by evolve. */
#include "shop/invariants_parts.h"
#include "shop/shop.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the ladder --------------------------------------------------------- */

/* Whose event it is, and which one of its own it may come after. */
static const struct rung {
    unsigned type;
    unsigned service;
    unsigned after[2]; /* NO_MESSAGE: as the first */
    unsigned id;       /* what it breaks otherwise */
} ladder[] = {
    {ORDER_PLACED, ORDER, {NO_MESSAGE, NO_MESSAGE}, CHECK_S3},
    {ORDER_CANCELLING, ORDER, {ORDER_PLACED, ORDER_PLACED}, CHECK_S3},
    {ORDER_CONFIRMED, ORDER, {ORDER_PLACED, ORDER_PLACED}, CHECK_S3},
    {ORDER_CANCELLED, ORDER, {ORDER_PLACED, ORDER_CANCELLING}, CHECK_S3},
    {STOCK_RESERVED, INVENTORY, {NO_MESSAGE, NO_MESSAGE}, CHECK_S6},
    {STOCK_REJECTED, INVENTORY, {NO_MESSAGE, NO_MESSAGE}, CHECK_S6},
    {STOCK_RELEASED, INVENTORY, {NO_MESSAGE, STOCK_RESERVED}, CHECK_S6},
    {STOCK_SHIPPED, INVENTORY, {STOCK_RESERVED, STOCK_RESERVED}, CHECK_S6},
    {PAYMENT_CHARGED, PAYMENT, {NO_MESSAGE, NO_MESSAGE}, CHECK_S4},
    {PAYMENT_DECLINED, PAYMENT, {NO_MESSAGE, NO_MESSAGE}, CHECK_S4},
    {PAYMENT_VOIDED, PAYMENT, {NO_MESSAGE, NO_MESSAGE}, CHECK_S4},
    {PAYMENT_REFUNDED, PAYMENT, {PAYMENT_CHARGED, PAYMENT_CHARGED}, CHECK_S4},
};

_Static_assert(SERVICES == 3, "ends[] names each service");

/* The six ways in which a saga may have ended. */
static const unsigned ends[][SERVICES] = {
    {ORDER_CONFIRMED, STOCK_SHIPPED, PAYMENT_CHARGED},
    {ORDER_CANCELLED, STOCK_REJECTED, NO_MESSAGE},
    {ORDER_CANCELLED, STOCK_REJECTED, PAYMENT_VOIDED},
    {ORDER_CANCELLED, STOCK_RELEASED, PAYMENT_DECLINED},
    {ORDER_CANCELLED, STOCK_RELEASED, PAYMENT_REFUNDED},
    {ORDER_CANCELLED, STOCK_RELEASED, PAYMENT_VOIDED},
};

static const struct rung *rung_of(unsigned type)
{
    for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++) {
        if (ladder[i].type == type)
            return &ladder[i];
    }
    return NULL;
}

/* S3, S4, S6: each service takes an order up and down its rungs, once. */
static void climb(struct check *check, const struct checked_log *log,
                  const struct event *event, struct order_facts *order)
{
    const struct rung *rung = rung_of(event->type);
    unsigned last = order->step[log->number];

    if (rung == NULL || rung->service != log->number)
        return; /* S9 speaks of events in a foreign log */
    if (last != rung->after[0] && last != rung->after[1])
        check_broken(check, rung->id, order->id, "%s #%" PRIu64 " %s %s %s",
                     log->service->name, event->at.seq,
                     shop_type_name(event->type),
                     last == NO_MESSAGE ? "comes" : "comes after",
                     last == NO_MESSAGE ? "first" : shop_type_name(last));
    order->step[log->number] = event->type;
}

/* ---- facts -------------------------------------------------------------- */

struct facts *invariants_facts(struct check *check)
{
    if (check->facts == NULL)
        check->facts = check_alloc(1, sizeof(struct facts));
    return check->facts;
}

static struct order_facts *order_of(struct checked_saga *saga)
{
    struct order_facts *order;

    if (saga == NULL || saga->facts != NULL)
        return saga == NULL ? NULL : saga->facts;
    saga->facts = order = check_alloc(1, sizeof *order);
    order->id = saga->id;
    return order;
}

static struct shelf_facts *shelf_of(struct check *check, const char *sku)
{
    struct facts *facts = invariants_facts(check);
    struct shelf_facts *shelf;

    HASH_FIND_STR(facts->shelves, sku, shelf);
    if (shelf == NULL) {
        shelf = check_alloc(1, sizeof *shelf);
        text_copy(shelf->sku, sizeof shelf->sku, sku);
        event_tag(&shop_domain, TAG_SKU, sku, shelf->tag);
        HASH_ADD_STR(facts->shelves, sku, shelf);
    }
    return shelf;
}

static struct account_facts *account_of(struct check *check,
                                        const char *customer)
{
    struct facts *facts = invariants_facts(check);
    struct account_facts *account;

    HASH_FIND_STR(facts->accounts, customer, account);
    if (account == NULL) {
        account = check_alloc(1, sizeof *account);
        text_copy(account->customer, sizeof account->customer, customer);
        event_tag(&shop_domain, TAG_CUSTOMER, customer, account->tag);
        HASH_ADD_STR(facts->accounts, customer, account);
    }
    return account;
}

/* A sum of what a forged log may hold. */
static void add(int64_t *sum, int64_t by)
{
    if (__builtin_add_overflow(*sum, by, sum))
        *sum = by < 0 ? INT64_MIN : INT64_MAX;
}

static void note(struct check *check, struct checked_saga *saga,
                 const struct event *event)
{
    struct order_facts *order = order_of(saga);
    const struct payload *wish = payload_of(event);

    (void)check;
    if (event->type != ORDER_PLACED || order == NULL || order->placed)
        return;
    order->placed = true;
    text_copy(order->customer, sizeof order->customer, wish->customer);
    order->total_cents = wish->total_cents;
    order->line_count = wish->line_count;
    order->lines = check_alloc(order->line_count + 1, sizeof *order->lines);
    memcpy(order->lines, wish->lines, wish->line_count * sizeof *order->lines);
}

/* ---- S8: agreement ------------------------------------------------------ */

static int64_t sum_of(const struct payload *placed)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < placed->line_count; i++)
        add(&sum, placed->lines[i].quantity * placed->lines[i].price_cents);
    return sum;
}

/* Whether @event carries nothing else than @order says.  A release without
 * lines is a tombstone, which closes an order of which nothing was held. */
static bool agrees(const struct order_facts *order, const struct event *event)
{
    const struct message *placed = shop_message(ORDER_PLACED);
    const struct message *message = shop_message(event->type);
    struct payload agreed = {0};
    bool tombstone = event->type == STOCK_RELEASED &&
                     payload_of(event)->line_count == 0 &&
                     order->step[INVENTORY] != STOCK_RESERVED;

    text_copy(agreed.customer, sizeof agreed.customer, order->customer);
    agreed.total_cents = order->total_cents;
    agreed.line_count = tombstone ? 0 : order->line_count;
    if (agreed.line_count > 0)
        memcpy(agreed.lines, order->lines,
               order->line_count * sizeof *order->lines);
    return codec_agrees(placed, &agreed, message, event->data);
}

static void check_agreement(struct check *check, const struct checked_log *log,
                            const struct event *event,
                            const struct order_facts *order)
{
    const char *what = NULL;

    if (!order->placed)
        what = "names an order that was never placed";
    else if (event->type == ORDER_PLACED &&
             payload_of(event)->total_cents != sum_of(payload_of(event)))
        what = "has a total that is not the sum of its lines";
    else if (event->type == ORDER_PLACED &&
             strcmp(event->cause.command_id, order->id) != 0)
        what = "was placed by a command with another id";
    else if (!agrees(order, event))
        what = "differs from the order in customer, total or lines";
    else if (event->type == PAYMENT_CHARGED &&
             payload_of(event)->amount_cents != order->total_cents)
        what = "charges an amount other than the order's total";
    if (what != NULL)
        check_broken(check, CHECK_S8, order->id, "%s #%" PRIu64 " %s %s",
                     log->service->name, event->at.seq,
                     shop_type_name(event->type), what);
}

/* ---- S4, S5, S6: money and goods ---------------------------------------- */

/* S4: what is given back is what was taken. */
static void check_refund(struct check *check, const struct event *event,
                         struct order_facts *order)
{
    int64_t cents = payload_of(event)->amount_cents;

    if (event->type == PAYMENT_CHARGED)
        order->charged_cents = cents;
    else if (event->type == PAYMENT_REFUNDED && order->charged_cents != cents)
        check_broken(check, CHECK_S4, order->id,
                     "payment #%" PRIu64 " refunds %" PRId64
                     " cents, but %" PRId64 " were charged",
                     event->at.seq, cents, order->charged_cents);
}

static void move_money(struct check *check, const struct checked_log *log,
                       const struct event *event)
{
    struct account_facts *account =
        account_of(check, payload_of(event)->customer);
    int64_t cents = payload_of(event)->amount_cents, balance;

    if (event->type == FUNDS_DEPOSITED) {
        add(&account->deposited, cents);
    } else if (event->type == PAYMENT_CHARGED) {
        add(&account->charged, cents);
        invariants_facts(check)->charges++;
    } else {
        add(&account->refunded, cents);
        invariants_facts(check)->refunds++;
    }
    balance = account->deposited;
    add(&balance, account->refunded);
    add(&balance, -account->charged);
    if (balance < 0 && !account->reported)
        check_broken(check, CHECK_S5, account->tag,
                     "%s #%" PRIu64 " takes the balance to %" PRId64 " cents",
                     log->service->name, event->at.seq, balance);
    account->reported = balance < 0;
}

static void move_shelf(struct check *check, const struct checked_log *log,
                       const struct event *event, const char *sku,
                       int64_t pieces)
{
    struct shelf_facts *shelf = shelf_of(check, sku);
    bool negative;

    if (event->type == STOCK_RECEIVED) {
        add(&shelf->received, pieces);
    } else if (event->type == STOCK_RESERVED) {
        add(&shelf->reserved, pieces);
    } else {
        add(&shelf->reserved, -pieces);
        if (event->type == STOCK_SHIPPED)
            add(&shelf->shipped, pieces);
    }
    negative = shelf->reserved < 0 ||
               shelf->received - shelf->shipped < shelf->reserved;
    if (negative && !shelf->reported)
        check_broken(check, CHECK_S6, shelf->tag,
                     "%s #%" PRIu64 ": %" PRId64 " received, but %" PRId64
                     " reserved and %" PRId64 " shipped",
                     log->service->name, event->at.seq, shelf->received,
                     shelf->reserved, shelf->shipped);
    shelf->reported = negative;
}

static void move_goods(struct check *check, const struct checked_log *log,
                       const struct event *event)
{
    const struct payload *goods = payload_of(event);

    if (event->type == STOCK_RECEIVED)
        move_shelf(check, log, event, goods->sku, goods->quantity);
    else
        for (uint32_t i = 0; i < goods->line_count; i++)
            move_shelf(check, log, event, goods->lines[i].sku,
                       goods->lines[i].quantity);
}

static void judge(struct check *check, const struct checked_log *log,
                  struct checked_saga *saga, const struct event *event)
{
    struct order_facts *order = order_of(saga);

    if (log->number == ORDER)
        note(check, saga, event);
    check_agreement(check, log, event, order);
    climb(check, log, event, order);
    check_refund(check, event, order);
}

static void sum(struct check *check, const struct checked_log *log,
                const struct event *event)
{
    switch (event->type) {
    case FUNDS_DEPOSITED:
    case PAYMENT_CHARGED:
    case PAYMENT_REFUNDED:
        move_money(check, log, event);
        break;
    case STOCK_RECEIVED:
    case STOCK_RESERVED:
    case STOCK_RELEASED:
    case STOCK_SHIPPED:
        move_goods(check, log, event);
        break;
    default:
        break;
    }
}

/* ---- what evolve makes of it -------------------------------------------- */

/* The integer field @name of a state. */
static int64_t number_of(const struct kind *kind, const void *state,
                         const char *name)
{
    const struct field *field = kind->fields;
    int64_t number;

    while (field->name != NULL && strcmp(field->name, name) != 0)
        field++;
    assert(field->name != NULL && field->kind == FIELD_INT);
    memcpy(&number, (const char *)state + field->offset, sizeof number);
    return number;
}

/* S5 and S6 say "= balance", "= free": the numbers that decisions use. */
static void check_state(struct check *check, const struct checked_log *log,
                        const struct kind *kind, const char *key,
                        const void *state)
{
    int64_t expected;

    if (log->number == PAYMENT && kind->tag == TAG_CUSTOMER) {
        struct account_facts *account = account_of(check, key);

        expected = account->deposited;
        add(&expected, account->refunded);
        add(&expected, -account->charged);
        if (number_of(kind, state, "balance_cents") != expected)
            check_broken(check, CHECK_S5, account->tag,
                         "deposits + refunds - charges are %" PRId64
                         " cents, but the balance is %" PRId64,
                         expected, number_of(kind, state, "balance_cents"));
    } else if (log->number == INVENTORY && kind->tag == TAG_SKU) {
        struct shelf_facts *shelf = shelf_of(check, key);

        expected = shelf->received - shelf->reserved - shelf->shipped;
        if (number_of(kind, state, "free") != expected ||
            number_of(kind, state, "reserved") != shelf->reserved)
            check_broken(
                check, CHECK_S6, shelf->tag,
                "%" PRId64 " should be free and %" PRId64
                " reserved, but the shelf has %" PRId64 " and %" PRId64,
                expected, shelf->reserved, number_of(kind, state, "free"),
                number_of(kind, state, "reserved"));
    }
}

/* ---- the end ------------------------------------------------------------ */

static bool has_ended(const struct order_facts *order)
{
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (memcmp(order->step, ends[i], sizeof ends[i]) == 0)
            return true;
    }
    return false;
}

static const char *step_name(unsigned step)
{
    return step == NO_MESSAGE ? "nothing" : shop_type_name(step);
}

static void not_ended(struct check *check, const struct checked_saga *saga,
                      const struct order_facts *order)
{
    struct check_wait wait = check_fires(check, saga);
    bool waits = check_unread(check, saga, &wait) || wait.at > 0;

    check_waits(check, CHECK_Q1, waits ? &wait : NULL, order->id,
                "has not ended: order has %s, inventory %s, payment %s",
                step_name(order->step[ORDER]),
                step_name(order->step[INVENTORY]),
                step_name(order->step[PAYMENT]));
}

static void count(struct check *check, const struct checked_saga *saga,
                  const struct order_facts *order)
{
    struct check_summary *summary = check->summary;
    struct facts *facts = invariants_facts(check);

    if (order->step[ORDER] == NO_MESSAGE)
        return; /* placed after the judged snapshot */
    summary->sagas++;
    facts->confirmed += order->step[ORDER] == ORDER_CONFIRMED;
    facts->cancelled += order->step[ORDER] == ORDER_CANCELLED;
    if (has_ended(order))
        return;
    summary->unended++;
    if (check->options->final)
        not_ended(check, saga, order);
}

static void late(struct check *check, const struct checked_log *log,
                 const char *id, int64_t late_ms)
{
    (void)log;
    check_broken(check, CHECK_L1, id,
                 "is pending, %" PRId64 " ms past its deadline", late_ms);
}

static void end(struct check *check)
{
    struct checked_saga *saga, *next;

    HASH_ITER(hh, check->sagas, saga, next)
    {
        if (saga->facts != NULL)
            count(check, saga, saga->facts);
    }
}

static void forget(struct check *check)
{
    struct checked_saga *saga, *next;

    HASH_ITER(hh, check->sagas, saga, next)
    {
        if (saga->facts != NULL)
            free(order_of(saga)->lines);
        free(saga->facts);
        saga->facts = NULL;
    }
}

static void free_facts(struct check *check)
{
    struct facts *facts = invariants_facts(check);
    struct shelf_facts *shelf, *next_shelf;
    struct account_facts *account, *next_account;

    forget(check);
    HASH_ITER(hh, facts->shelves, shelf, next_shelf)
    {
        HASH_DEL(facts->shelves, shelf);
        free(shelf);
    }
    HASH_ITER(hh, facts->accounts, account, next_account)
    {
        HASH_DEL(facts->accounts, account);
        free(account);
    }
    free(facts);
}

static const char *s_of(uint64_t many)
{
    return many == 1 ? "" : "s";
}

static void tell(struct check *check, unsigned id, char text[CHECK_COUNT_BYTES])
{
    const struct facts *facts = invariants_facts(check);
    const struct check_summary *summary = check->summary;
    unsigned many = 0;

    if (id == CHECK_S3) {
        snprintf(text, CHECK_COUNT_BYTES,
                 "%" PRIu64 " confirmed, %" PRIu64 " cancelled",
                 facts->confirmed, facts->cancelled);
    } else if (id == CHECK_S4) {
        snprintf(text, CHECK_COUNT_BYTES,
                 "%" PRIu64 " charge%s, %" PRIu64 " refund%s", facts->charges,
                 s_of(facts->charges), facts->refunds, s_of(facts->refunds));
    } else if (id == CHECK_S5) {
        many = HASH_COUNT(facts->accounts);
        snprintf(text, CHECK_COUNT_BYTES, "%u account%s", many, s_of(many));
    } else if (id == CHECK_S6) {
        many = HASH_COUNT(facts->shelves);
        snprintf(text, CHECK_COUNT_BYTES, "%u sku%s", many, s_of(many));
    } else {
        snprintf(text, CHECK_COUNT_BYTES,
                 "%" PRIu64 " order%s, %" PRIu64 " under way", summary->sagas,
                 s_of(summary->sagas), summary->unended);
    }
}

const struct check_invariants shop_invariants = {
    .promises = invariants_promises,
    .promise_count = CHECK_SHOP_IDS - CHECK_OWN,
    .saga = "order",
    .cross = CHECK_S8,
    .views = invariants_views,
    .note = note,
    .judge = judge,
    .sum = sum,
    .state = check_state,
    .late = late,
    .end = end,
    .count = tell,
    .forget = forget,
    .free = free_facts,
};
