/* invariants.c - what the events of all three logs must add up to: no double
 * charge, money and stock conserved, every saga ends.
 *
 * Sums and ladders of its own, none of evolve's: a checker that trusted evolve
 * would believe its bugs. */
#include "invariants.h"

#include "services.h"

#include "audit/check_parts.h"

#include <inttypes.h>
#include <stdlib.h>

/* What the logs say of one order: its last event in each, and its money. */
struct order_facts {
    unsigned step[SERVICE_COUNT];
    int64_t asked_cents, charged_cents, held; /* held: pieces, of all skus */
};

/* Of one sku in pieces, or of one customer in cents: what came in, what is
 * held by orders (or was charged), and what has left. */
struct tally {
    char tag[TAG_BYTES]; /* "sku:widget" */
    int64_t in, held, gone, back;
    UT_hash_handle hh;
};

struct facts {
    struct tally *tallies;
    uint64_t skus, accounts, confirmed, cancelled, charges, refunds;
};

/* What it promises: the numbers are in invariants.h. */
static const struct check_promise promises[] = {
    {.name = "S3",
     .text = "no order is both confirmed and cancelled",
     .means = "An order ends once: it is confirmed, or it is cancelled.",
     .accident = "The deadline passes while payment's answer is on its way, "
                 "and a conductor that does not look at the order's state "
                 "takes both: the goods are shipped, and the money is paid "
                 "back.",
     .look = "trace ORDER",
     .where = "invariants.c: climb()"},
    {.name = "S4",
     .text = "at most one charge per order, refunds equal it",
     .means = "An order is charged at most once; a refund comes after the "
              "charge and is as high.",
     .accident = "payment-svc dies after it has charged alice and before it "
                 "has noted that the event is done.  It gets the event "
                 "again, and alice pays twice.",
     .look = "trace ORDER",
     .where = "invariants.c: climb(), judge()"},
    {.name = "S5",
     .text = "money is conserved, no balance is negative",
     .means = "A balance is what was deposited and refunded less what was "
              "charged, and is never below zero.",
     .accident = "Two orders are compared with the same balance before "
                 "either of them is charged.  Both fit, and together they "
                 "overdraw the account.",
     .look = "show customer:NAME",
     .where = "invariants.c: move_money(), check_state()"},
    {.name = "S6",
     .text = "stock is conserved, none is negative",
     .means = "What was received of a product is free, reserved or shipped, "
              "and none of these numbers is ever below zero.",
     .accident = "Two buyers get the last piece.  Or a cancellation "
                 "overtakes the order that it cancels, and the reservation "
                 "that comes afterwards is never released.",
     .look = "show sku:SKU",
     .where = "invariants.c: climb(), move_goods(), check_state()"},
    {.name = "S8",
     .text = "the services agree on every order",
     .restored = true,
     .means = "All services name the same customer, lines and total for an "
              "order, and none of them knows an order that was not placed.",
     .accident = "conductor's log is restored from yesterday's backup: the "
                 "others hold stock and money for an order that was never "
                 "placed, as far as that log knows.",
     .look = "trace ORDER",
     .where = "invariants.c: judge(), check_goods()"},
    {.name = "L1",
     .text = "no order is pending past its deadline",
     .down = "conductor-svc is not running",
     .service = CONDUCTOR,
     .means = "While conductor-svc runs, no order is pending five seconds "
              "after its deadline.",
     .accident = "A deadline that is only in memory is forgotten by a "
                 "restart.  If payment never answers, the order waits for "
                 "ever, and so does its stock.",
     .look = "why ORDER",
     .where = "libevents/audit/check.c: check_timer(); invariants.c: late()"},
    {.name = "Q1",
     .text = "every saga has ended",
     .restored = true,
     .means = "When no work is left, each order has ended in one of its end "
              "states, for all three services.",
     .accident = "The conductor dies between two steps of an undo and "
                 "forgets the second: the order has failed, and its stock "
                 "stays reserved.",
     .look = "why ORDER",
     .where = "invariants.c: has_ended()"},
};

static struct facts *facts_of(struct check *check)
{
    if (check->facts == NULL)
        check->facts = check_alloc(1, sizeof(struct facts));
    return check->facts;
}

static struct order_facts *order_of(struct checked_saga *saga)
{
    if (saga->facts == NULL)
        saga->facts = check_alloc(1, sizeof(struct order_facts));
    return saga->facts;
}

static struct tally *tally_of(struct check *check, const char *kind,
                              const char *key)
{
    struct facts *facts = facts_of(check);
    char tag[TAG_BYTES];
    struct tally *tally;

    snprintf(tag, sizeof tag, "%s:%s", kind, key);
    HASH_FIND_STR(facts->tallies, tag, tally);
    if (tally == NULL) {
        tally = check_alloc(1, sizeof *tally);
        text_copy(tally->tag, sizeof tally->tag, tag);
        HASH_ADD_STR(facts->tallies, tag, tally);
        facts->skus += kind[0] == 's';
        facts->accounts += kind[0] == 'c';
    }
    return tally;
}

static int64_t rest(const struct tally *tally)
{
    return tally->in + tally->back - tally->held - tally->gone;
}

/* ---- each order ------------------------------------------------------- */

// clang-format off
/* An event, and those of the same log that it may come after; 0: none yet. */
static const struct rung {
    unsigned type, after[3];
    unsigned id;
} ladder[] = {
    { RESERVE_ASKED,    { 0 },                                CHECK_S3 },
    { CHARGE_ASKED,     { RESERVE_ASKED },                    CHECK_S3 },
    { SHIP_ASKED,       { CHARGE_ASKED },                     CHECK_S3 },
    { REFUND_ASKED,     { CHARGE_ASKED },                     CHECK_S3 },
    { RELEASE_ASKED,    { RESERVE_ASKED, CHARGE_ASKED,
                          REFUND_ASKED },                     CHECK_S3 },
    { ORDER_DONE,       { SHIP_ASKED },                       CHECK_S3 },
    { ORDER_FAILED,     { RESERVE_ASKED, RELEASE_ASKED },     CHECK_S3 },
    { STOCK_RESERVED,   { 0 },                                CHECK_S6 },
    { STOCK_REFUSED,    { 0 },                                CHECK_S6 },
    { STOCK_RELEASED,   { 0, STOCK_RESERVED },                CHECK_S6 },
    { STOCK_SHIPPED,    { STOCK_RESERVED },                   CHECK_S6 },
    { PAYMENT_CHARGED,  { 0 },                                CHECK_S4 },
    { PAYMENT_REFUSED,  { 0 },                                CHECK_S4 },
    { PAYMENT_VOIDED,   { 0 },                                CHECK_S4 },
    { PAYMENT_REFUNDED, { PAYMENT_CHARGED },                  CHECK_S4 },
};

/* The ways in which a saga may have ended: conductor, inventory, payment. */
static const unsigned ends[][SERVICE_COUNT] = {
    { ORDER_DONE,   STOCK_SHIPPED,  PAYMENT_CHARGED  },
    { ORDER_FAILED, STOCK_REFUSED,  0                },
    { ORDER_FAILED, STOCK_RELEASED, 0                },
    { ORDER_FAILED, STOCK_RELEASED, PAYMENT_REFUSED  },
    { ORDER_FAILED, STOCK_RELEASED, PAYMENT_REFUNDED },
    { ORDER_FAILED, STOCK_RELEASED, PAYMENT_VOIDED   },
};
// clang-format on

static const char *name_of(unsigned type)
{
    return type == 0 ? "nothing" : domain_type_name(&conducted_domain, type);
}

static bool may_follow(const struct rung *rung, unsigned last)
{
    if (last == 0)
        return rung->after[0] == 0;
    for (size_t i = 0; i < 3; i++)
        if (rung->after[i] == last)
            return true;
    return false;
}

/* Each service takes an order up and down its rungs, once. */
static void climb(struct check *check, const struct checked_log *log,
                  const struct checked_saga *saga, unsigned type,
                  unsigned *last)
{
    for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++)
        if (ladder[i].type == type && !may_follow(&ladder[i], *last))
            check_broken(check, ladder[i].id, saga->id, "%s: %s after %s",
                         log->service->name, name_of(type), name_of(*last));
    *last = type;
}

static void note(struct check *check, struct checked_saga *saga,
                 const struct event *event)
{
    (void)check;
    if (saga != NULL && event->type == RESERVE_ASKED)
        order_of(saga)->asked_cents = payload_of(event)->amount_cents;
}

static int64_t pieces_in(const struct payload *data)
{
    int64_t pieces = 0;

    for (uint32_t i = 0; i < data->line_count; i++)
        pieces += data->lines[i].quantity;
    return pieces;
}

/* What is released or shipped is what was reserved. */
static void check_goods(struct check *check, const struct checked_saga *saga,
                        const struct event *event, int64_t *held)
{
    int64_t pieces = pieces_in(payload_of(event));

    if (event->type == STOCK_RESERVED)
        *held = pieces;
    else if ((event->type == STOCK_RELEASED || event->type == STOCK_SHIPPED) &&
             pieces != *held)
        check_broken(check, CHECK_S8, saga->id,
                     "%" PRId64 " pieces reserved, %" PRId64 " in %s", *held,
                     pieces, name_of(event->type));
}

static void judge(struct check *check, const struct checked_log *log,
                  struct checked_saga *saga, const struct event *event)
{
    struct order_facts *order;
    int64_t cents = payload_of(event)->amount_cents;

    if (saga == NULL)
        return;
    note(check, saga, event);
    order = order_of(saga);
    climb(check, log, saga, event->type, &order->step[log->number]);
    check_goods(check, saga, event, &order->held);
    if (event->type == PAYMENT_CHARGED) {
        order->charged_cents = cents;
        if (cents != order->asked_cents)
            check_broken(check, CHECK_S8, saga->id,
                         "%" PRId64 " cents charged of an order of %" PRId64,
                         cents, order->asked_cents);
    } else if (event->type == PAYMENT_REFUNDED &&
               cents != order->charged_cents) {
        check_broken(check, CHECK_S4, saga->id,
                     "%" PRId64 " cents refunded, %" PRId64 " charged", cents,
                     order->charged_cents);
    }
}

/* ---- sums over all orders --------------------------------------------- */

static void not_below_zero(struct check *check, unsigned id,
                           const struct tally *tally)
{
    if (rest(tally) < 0 || tally->held < 0)
        check_broken(check, id, tally->tag,
                     "%" PRId64 " came in, but %" PRId64
                     " are held and %" PRId64 " have gone",
                     tally->in, tally->held, tally->gone);
}

static void move_goods(struct check *check, unsigned type, const char *sku,
                       int64_t pieces)
{
    struct tally *tally = tally_of(check, "sku", sku);

    if (type == STOCK_RECEIVED)
        tally->in += pieces;
    else
        tally->held += type == STOCK_RESERVED ? pieces : -pieces;
    if (type == STOCK_SHIPPED)
        tally->gone += pieces;
    not_below_zero(check, CHECK_S6, tally);
}

static void move_money(struct check *check, const struct event *event)
{
    const struct payload *data = payload_of(event);
    struct tally *tally = tally_of(check, "customer", data->customer);

    if (event->type == FUNDS_DEPOSITED)
        tally->in += data->amount_cents;
    else if (event->type == PAYMENT_CHARGED)
        tally->gone += data->amount_cents;
    else
        tally->back += data->amount_cents;
    facts_of(check)->charges += event->type == PAYMENT_CHARGED;
    facts_of(check)->refunds += event->type == PAYMENT_REFUNDED;
    not_below_zero(check, CHECK_S5, tally);
}

static void sum(struct check *check, const struct checked_log *log,
                const struct event *event)
{
    const struct payload *data = payload_of(event);

    (void)log;
    switch (event->type) {
    case FUNDS_DEPOSITED:
    case PAYMENT_CHARGED:
    case PAYMENT_REFUNDED:
        move_money(check, event);
        break;
    case STOCK_RECEIVED:
        move_goods(check, event->type, data->sku, data->quantity);
        break;
    case STOCK_RESERVED:
    case STOCK_RELEASED:
    case STOCK_SHIPPED:
        for (uint32_t i = 0; i < data->line_count; i++)
            move_goods(check, event->type, data->lines[i].sku,
                       data->lines[i].quantity);
        break;
    default:
        break;
    }
}

/* ---- what evolve and the views make of it ----------------------------- */

/* "free" and "balance_cents" are the numbers that decisions use. */
static void check_state(struct check *check, const struct checked_log *log,
                        const struct kind *kind, const char *key,
                        const void *state)
{
    bool shelf = log->number == INVENTORY;
    const char *name = shelf ? "free" : "balance_cents";
    const struct tally *tally;
    const struct field *field = kind->fields;
    int64_t number;

    if (log->number == CONDUCTOR || kind->tag == TAG_ORDER)
        return;
    tally = tally_of(check, shelf ? "sku" : "customer", key);
    while (strcmp(field->name, name) != 0)
        field++;
    memcpy(&number, (const char *)state + field->offset, sizeof number);
    if (number != rest(tally))
        check_broken(check, shelf ? CHECK_S6 : CHECK_S5, tally->tag,
                     "%s is %" PRId64 ", but %" PRId64 " are left", name,
                     number, rest(tally));
}

static bool order_agrees(struct check *check, sqlite3_stmt *row)
{
    static const char *const words[MESSAGE_TYPES] = {
        [RESERVE_ASKED] = "PENDING",    [CHARGE_ASKED] = "PENDING",
        [SHIP_ASKED] = "CONFIRMED",     [REFUND_ASKED] = "CANCELLING",
        [RELEASE_ASKED] = "CANCELLING", [ORDER_DONE] = "DONE",
        [ORDER_FAILED] = "CANCELLED"};
    struct checked_saga *saga;
    const char *word;

    if (!check_mine(check, check_text(row, 0)))
        return true;
    HASH_FIND_STR(check->sagas, check_text(row, 0), saga);
    word = saga == NULL ? NULL : words[order_of(saga)->step[CONDUCTOR]];
    return word != NULL && strcmp(word, check_text(row, 1)) == 0;
}

static bool agrees(const struct tally *tally, sqlite3_stmt *row)
{
    return sqlite3_column_int64(row, 1) == tally->in &&
           sqlite3_column_int64(row, 2) == tally->held &&
           sqlite3_column_int64(row, 3) == tally->gone &&
           sqlite3_column_int64(row, 4) == tally->back;
}

static bool shelf_agrees(struct check *check, sqlite3_stmt *row)
{
    return agrees(tally_of(check, "sku", check_text(row, 0)), row);
}

static bool account_agrees(struct check *check, sqlite3_stmt *row)
{
    return agrees(tally_of(check, "customer", check_text(row, 0)), row);
}

static uint64_t orders(const struct check *check)
{
    return check->summary->sagas;
}

static uint64_t shelves(const struct check *check)
{
    return check->facts == NULL ? 0 : ((struct facts *)check->facts)->skus;
}

static uint64_t accounts(const struct check *check)
{
    return check->facts == NULL ? 0 : ((struct facts *)check->facts)->accounts;
}

static const struct check_view views[SERVICE_COUNT] = {
    {"SELECT order_id, status FROM orders", true, order_agrees, orders},
    {"SELECT sku, received, reserved, shipped, 0 FROM stock", false,
     shelf_agrees, shelves},
    {"SELECT customer, deposited_cents, 0, charged_cents, refunded_cents"
     " FROM accounts",
     false, account_agrees, accounts},
};

/* ---- the end ---------------------------------------------------------- */

static bool has_ended(const struct order_facts *order)
{
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (memcmp(order->step, ends[i], sizeof ends[i]) == 0)
            return true;
    return false;
}

static void count(struct check *check, const struct checked_saga *saga,
                  const struct order_facts *order)
{
    struct check_summary *summary = check->summary;
    struct facts *facts = facts_of(check);
    struct check_wait wait = check_fires(check, saga);
    unsigned at = order->step[CONDUCTOR];

    if (at == 0)
        return; /* opened after the judged snapshot */
    summary->sagas++;
    facts->confirmed += at == ORDER_DONE || at == SHIP_ASKED;
    facts->cancelled += at == ORDER_FAILED;
    if (has_ended(order))
        return;
    summary->unended++;
    if (!check->options->final)
        return;
    if (!check_unread(check, saga, &wait) && wait.at == 0)
        check_broken(check, CHECK_Q1, saga->id,
                     "has not ended: conductor has %s, inventory %s, payment "
                     "%s",
                     name_of(at), name_of(order->step[INVENTORY]),
                     name_of(order->step[PAYMENT]));
    else
        check_waits(check, CHECK_Q1, &wait, saga->id, "has not ended yet");
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
        free(saga->facts);
        saga->facts = NULL;
    }
}

static void free_facts(struct check *check)
{
    struct facts *facts = facts_of(check);
    struct tally *tally, *next;

    forget(check);
    HASH_ITER(hh, facts->tallies, tally, next)
    {
        /* clang-tidy 14 takes each for the last, with which the table goes */
        HASH_DEL(facts->tallies, tally); // NOLINT(*-unix.Malloc)
        free(tally);
    }
    free(facts);
}

/* What was looked at. */
static void tell(struct check *check, unsigned id, char text[CHECK_COUNT_BYTES])
{
    const struct facts *facts = facts_of(check);
    const struct {
        uint64_t many;
        const char *what;
    } rows[CHECK_CONDUCTED_IDS][2] = {
        [CHECK_S3] = {{facts->confirmed, "confirmed"},
                      {facts->cancelled, "cancelled"}},
        [CHECK_S4] = {{facts->charges, "charges"}, {facts->refunds, "refunds"}},
        [CHECK_S5] = {{facts->accounts, "accounts"}},
        [CHECK_S6] = {{facts->skus, "skus"}},
        [CHECK_S8] = {{check->summary->sagas, "orders"}},
        [CHECK_L1] = {{check->summary->sagas, "orders"}},
        [CHECK_Q1] = {{check->summary->sagas, "orders"},
                      {check->summary->unended, "under way"}},
    };
    int used = snprintf(text, CHECK_COUNT_BYTES, "%" PRIu64 " %s",
                        rows[id][0].many, rows[id][0].what);

    if (rows[id][1].what != NULL)
        snprintf(text + used, CHECK_COUNT_BYTES - (size_t)used,
                 ", %" PRIu64 " %s", rows[id][1].many, rows[id][1].what);
}

const struct check_invariants conducted_invariants = {
    .promises = promises,
    .promise_count = sizeof promises / sizeof promises[0],
    .saga = "order",
    .cross = CHECK_S8,
    .views = views,
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
