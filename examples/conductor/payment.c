/* payment.c - takes the money, or says no, or gives it back, as the conductor
 * asks.  It knows of no stock and no order but its id.  Next: views.c. */
#include "services.h"

#include <string.h>

static decide_fn deposit, charge, refund;

// clang-format off
static const struct rule rules[] = {
    /* on             decide     may emit                               */
    { DEPOSIT_FUNDS,  deposit, { FUNDS_DEPOSITED                    } },
    { CHARGE_ASKED,   charge,  { PAYMENT_CHARGED, PAYMENT_REFUSED   } },
    { REFUND_ASKED,   refund,  { PAYMENT_REFUNDED, PAYMENT_VOIDED   } },
};
// clang-format on

/* ---- states -------------------------------------------------------------- */

enum kind_number { PAYMENT_OF, ACCOUNT };

enum payment_status { NONE, CHARGED, REFUSED, VOIDED, REFUNDED };

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

/* Money that is charged and refunded counts again and again: an end, too. */
#define CHARGED_TOTAL_MAX INT64_C(1000000000000000000)

/* ---- decide -------------------------------------------------------------- */

static void deposit(const struct states *states, const struct event *cause,
                    struct decision *out)
{
    const struct payload *funds = payload_of(cause);
    const struct account *account = state_of(states, ACCOUNT, funds->customer);

    if (funds->amount_cents > FUNDS_TOTAL_MAX - account->deposited_cents)
        refuse(out, "more than the account can ever hold", "amount_cents");
    else
        emit(out, FUNDS_DEPOSITED, cause);
}

static void charge(const struct states *states, const struct event *cause,
                   struct decision *out)
{
    const struct payload *asked = payload_of(cause);
    const struct payment *payment =
        state_of(states, PAYMENT_OF, cause->order_id);
    const struct account *account = state_of(states, ACCOUNT, asked->customer);

    if (payment->status != NONE)
        return; /* voided before it was charged */
    if (asked->amount_cents <= account->balance_cents &&
        asked->amount_cents <= CHARGED_TOTAL_MAX - account->charged_cents) {
        emit(out, PAYMENT_CHARGED, cause);
    } else {
        struct payload *refused = emit(out, PAYMENT_REFUSED, cause);

        text_copy(refused->reason, REASON_BYTES, "insufficient funds");
    }
}

/* What was refused was answered already. */
static void refund(const struct states *states, const struct event *cause,
                   struct decision *out)
{
    const struct payment *payment =
        state_of(states, PAYMENT_OF, cause->order_id);

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
    const struct payload *data = payload_of(own);
    struct payment *payment = state;

    (void)key;
    if (own->type == PAYMENT_CHARGED) {
        payment->status = CHARGED;
        memcpy(payment->customer, data->customer, CUSTOMER_BYTES);
        payment->amount_cents = data->amount_cents;
    } else if (own->type == PAYMENT_REFUSED) {
        payment->status = REFUSED;
    } else if (own->type == PAYMENT_VOIDED) {
        payment->status = VOIDED;
    } else if (own->type == PAYMENT_REFUNDED) {
        payment->status = REFUNDED;
    }
}

static void evolve_account(void *state, const char *key,
                           const struct event *own)
{
    int64_t cents = payload_of(own)->amount_cents;
    struct account *account = state;

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

static const char *const status_words[] = {"NONE", "CHARGED", "REFUSED",
                                           "VOIDED", "REFUNDED"};

// clang-format off
#define CENTS(member, most) {#member, FIELD_INT, AT(struct account, member), \
                             .unit = "cents", .max = (most)}

static const struct field payment_fields[] = {
    {"status", FIELD_INT, AT(struct payment, status),
     .max = REFUNDED, .names = status_words},
    {"customer", FIELD_ID, AT(struct payment, customer)},
    {"amount_cents", FIELD_INT, AT(struct payment, amount_cents),
     .unit = "cents"},
    {.name = NULL},
};
static const struct field account_fields[] = {
    CENTS(deposited_cents, FUNDS_TOTAL_MAX),
    CENTS(charged_cents, CHARGED_TOTAL_MAX),
    CENTS(refunded_cents, CHARGED_TOTAL_MAX),
    CENTS(balance_cents, FUNDS_TOTAL_MAX),
    {.name = NULL},
};

static const struct kind kinds[] = {
    [PAYMENT_OF] = {"payment", TAG_ORDER, sizeof(struct payment),
                    payment_fields, evolve_payment,
                    {PAYMENT_CHARGED, PAYMENT_REFUSED, PAYMENT_VOIDED,
                     PAYMENT_REFUNDED}, .revision = 1},
    [ACCOUNT] = {"account", TAG_CUSTOMER, sizeof(struct account),
                 account_fields, evolve_account,
                 {FUNDS_DEPOSITED, PAYMENT_CHARGED, PAYMENT_REFUNDED},
                 .snapshotted = true, .revision = 1},
};
// clang-format on

static const char *const listens_to[] = {"conductor", NULL};

const struct service payment_service = {
    .name = "payment",
    .domain = &conducted_domain,
    .listens_to = listens_to,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
};
