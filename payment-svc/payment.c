/* payment.c - takes the money, or says no, or gives it back.
 *
 * The step that can refuse: a business "no" to an event is an event
 * (PaymentDeclined), not an error.  It is also where every cancellation turns
 * round: what was charged is refunded, and what was not yet charged never will
 * be (PaymentVoided, a tombstone for the StockReserved that may still be on
 * its way).  Pure, like order.c.  Next: libevents/core/service.h, which says
 * what these tables are. */
#include "payment-svc/payment.h"

#include "shop/shop.h"

#include <string.h>

static decide_fn deposit_funds, charge, decline_on_purpose, refund;

// clang-format off
static const struct rule rules[] = {
    /* on               decide           may emit                            */
    { DEPOSIT_FUNDS,    deposit_funds, { FUNDS_DEPOSITED                   } },
    { STOCK_RESERVED,   charge,        { PAYMENT_CHARGED, PAYMENT_DECLINED } },
    { ORDER_CANCELLING, refund,        { PAYMENT_REFUNDED, PAYMENT_VOIDED  } },
};
// clang-format on

/* ---- states -------------------------------------------------------------- */

enum kind_number { PAYMENT, ACCOUNT };

enum payment_status { NONE, CHARGED, DECLINED, VOIDED, REFUNDED };

struct payment {
    int64_t status;
    char customer[CUSTOMER_BYTES];
    int64_t amount_cents;
};

/* Always: balance = deposited + refunded - charged, and not below zero. */
struct account {
    int64_t deposited_cents;
    int64_t charged_cents;
    int64_t refunded_cents;
    int64_t balance_cents;
};

/* Money that is charged and refunded counts in both sums, again and again.  So
 * charges have an end, too; a refund never exceeds a charge and needs none. */
#define CHARGED_TOTAL_MAX INT64_C(1000000000000000000)

/* ---- decide -------------------------------------------------------------- */

static void deposit_funds(const struct states *states,
                          const struct event *cause, struct decision *out)
{
    const struct account *account =
        state_of(states, ACCOUNT, payload_of(cause)->customer);

    if (payload_of(cause)->amount_cents >
        FUNDS_TOTAL_MAX - account->deposited_cents)
        refuse(out, "more than the account can ever hold", "amount_cents");
    else
        emit(out, FUNDS_DEPOSITED, cause);
}

static void decline(const struct event *cause, int64_t available,
                    const char *reason, struct decision *out)
{
    struct payload *declined = emit(out, PAYMENT_DECLINED, cause);

    declined->needed = payload_of(cause)->total_cents;
    declined->available = available;
    text_copy(declined->reason, REASON_BYTES, reason);
}

static void charge(const struct states *states, const struct event *cause,
                   struct decision *out)
{
    const struct payment *payment = state_of(states, PAYMENT, cause->order_id);
    const struct account *account =
        state_of(states, ACCOUNT, payload_of(cause)->customer);
    int64_t total = payload_of(cause)->total_cents;

    if (payment->status != NONE) {
        return; /* voided: the cancellation overtook the reservation */
    } else if (total > account->balance_cents) {
        decline(cause, account->balance_cents, "insufficient funds", out);
    } else if (total > CHARGED_TOTAL_MAX - account->charged_cents) {
        decline(cause, account->balance_cents, "the account is used up", out);
    } else {
        struct payload *charged = emit(out, PAYMENT_CHARGED, cause);

        charged->amount_cents = total;
    }
}

/* In charge's place while the fault "payment/decline" is set. */
static void decline_on_purpose(const struct states *states,
                               const struct event *cause, struct decision *out)
{
    const struct payment *payment = state_of(states, PAYMENT, cause->order_id);
    const struct account *account =
        state_of(states, ACCOUNT, payload_of(cause)->customer);

    if (payment->status == NONE)
        decline(cause, account->balance_cents, "declined by a fault", out);
}

/* The order is being taken back.  The refund goes by what this payment was,
 * not by what the cause says. */
static void refund(const struct states *states, const struct event *cause,
                   struct decision *out)
{
    const struct payment *payment = state_of(states, PAYMENT, cause->order_id);

    if (payment->status == CHARGED) {
        struct payload *refunded = emit(out, PAYMENT_REFUNDED, cause);

        memcpy(refunded->customer, payment->customer, CUSTOMER_BYTES);
        refunded->amount_cents = payment->amount_cents;
    } else if (payment->status == NONE) {
        emit(out, PAYMENT_VOIDED, cause);
    }
}

/* ---- evolve -------------------------------------------------------------- */

static void evolve_payment(void *state, const char *key,
                           const struct event *own)
{
    struct payment *payment = state;

    (void)key;
    if (own->type == PAYMENT_CHARGED) {
        payment->status = CHARGED;
        memcpy(payment->customer, payload_of(own)->customer, CUSTOMER_BYTES);
        payment->amount_cents = payload_of(own)->amount_cents;
    } else if (own->type == PAYMENT_DECLINED) {
        payment->status = DECLINED;
    } else if (own->type == PAYMENT_VOIDED) {
        payment->status = VOIDED;
    } else if (own->type == PAYMENT_REFUNDED) {
        payment->status = REFUNDED;
    }
}

static void evolve_account(void *state, const char *key,
                           const struct event *own)
{
    struct account *account = state;
    int64_t cents = payload_of(own)->amount_cents;

    (void)key;
    if (own->type == FUNDS_DEPOSITED) {
        account->deposited_cents += cents;
        account->balance_cents += cents;
    } else if (own->type == PAYMENT_CHARGED) {
        account->charged_cents += cents;
        account->balance_cents -= cents;
    } else if (own->type == PAYMENT_REFUNDED) {
        account->refunded_cents += cents;
        account->balance_cents += cents;
    }
}

/* ---- what the shell needs to know ---------------------------------------- */

static const char *const payment_words[] = {"NONE", "CHARGED", "DECLINED",
                                            "VOIDED", "REFUNDED"};

// clang-format off
static const struct field payment_fields[] = {
    {"status", FIELD_INT, AT(struct payment, status),
     .max = REFUNDED, .names = payment_words},
    {"customer", FIELD_ID, AT(struct payment, customer)},
    {"amount_cents", FIELD_INT, AT(struct payment, amount_cents),
     .unit = "cents"},
    {.name = NULL},
};
static const struct field account_fields[] = {
    {"deposited_cents", FIELD_INT, AT(struct account, deposited_cents),
     .unit = "cents", .max = FUNDS_TOTAL_MAX},
    {"charged_cents", FIELD_INT, AT(struct account, charged_cents),
     .unit = "cents", .max = CHARGED_TOTAL_MAX},
    {"refunded_cents", FIELD_INT, AT(struct account, refunded_cents),
     .unit = "cents", .max = CHARGED_TOTAL_MAX},
    {"balance_cents", FIELD_INT, AT(struct account, balance_cents),
     .unit = "cents", .max = FUNDS_TOTAL_MAX},
    {.name = NULL},
};

static const struct kind kinds[] = {
    [PAYMENT] = {"payment", TAG_ORDER, sizeof(struct payment), payment_fields,
                 evolve_payment, {PAYMENT_CHARGED, PAYMENT_DECLINED,
                                  PAYMENT_VOIDED, PAYMENT_REFUNDED},
                 .revision = 1},
    [ACCOUNT] = {"account", TAG_CUSTOMER, sizeof(struct account),
                 account_fields, evolve_account,
                 {FUNDS_DEPOSITED, PAYMENT_CHARGED, PAYMENT_REFUNDED},
                 .snapshotted = true, .revision = 1},
};

static const struct fault_rule faults[] = {
    { "payment/decline", "declines every payment",
      STOCK_RESERVED, decline_on_purpose },
};
// clang-format on

static const char *const listens_to[] = {"order", "inventory", NULL};

const struct service payment_service = {
    .name = "payment",
    .domain = &shop_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
    .faults = faults,
    .fault_count = sizeof faults / sizeof faults[0],
};
