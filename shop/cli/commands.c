/* commands.c - all commands except `place`: cancel, stock, fund, product. */
#include "shop/cli/names.h"
#include "shop/cli/shop_cli.h"
#include "shop/shop.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Whether there is a word for each one in the verb's args. */
static int check_words(const struct saga *saga)
{
    const char *name = saga->verb->args;
    char word[32];

    if (saga->word_count == saga->verb->words_max)
        return SAGA_YES;
    for (unsigned i = 0; i < saga->word_count; i++)
        name += strcspn(name, " ") + 1;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " "), name);
    return saga_missing(saga, word);
}

/* All words, and the value of the one option. */
static int parse(struct saga *saga, const char **value)
{
    int code = saga_parse(saga, value);

    return code == SAGA_YES ? check_words(saga) : code;
}

static int set_id(const struct saga *saga, const char *id,
                  struct command *command)
{
    if (id == NULL) {
        client_new_id("c", command->command_id);
        return SAGA_YES;
    }
    if (!text_is_id(id, ID_BYTES))
        return saga_fail(saga, SAGA_USAGE,
                         "an id is 1 to %d letters, digits and . _ - , not "
                         "'%s'",
                         ID_BYTES - 1, id);
    text_copy(command->command_id, ID_BYTES, id);
    return SAGA_YES;
}

static int set_name(const struct saga *saga, const char *what, const char *text,
                    char *name, size_t size)
{
    if (!text_is_id(text, size))
        return saga_fail(saga, SAGA_USAGE,
                         "%s %s is 1 to %zu letters, digits and . _ - , not "
                         "'%s'",
                         strchr("aeiou", what[0]) != NULL ? "an" : "a", what,
                         size - 1, text);
    text_copy(name, size, text);
    return SAGA_YES;
}

static int set_cents(const struct saga *saga, const char *what,
                     const char *text, int64_t most, int64_t *cents)
{
    char limit[MONEY_BYTES];

    if (money_parse(text, cents) && *cents >= 1 && *cents <= most)
        return SAGA_YES;
    return saga_fail(saga, SAGA_USAGE,
                     "%s must be 0.01 to %s, in whole cents, not %s", what,
                     money_text(most, limit), text);
}

/* What a command that recorded nothing exits with. */
static int exit_code(const struct answer *answer)
{
    if (answer->code == ANSWER_BEHIND)
        return SAGA_TRY_AGAIN;
    return answer->code == ANSWER_REFUSED ? SAGA_NO : SAGA_BAD_DATA;
}

/* Only CancelOrder names an order that somebody else has to know. */
static int refused(const struct saga *saga, const char *service,
                   const struct command *command, const struct answer *answer)
{
    const char *order = command->order_id;

    if (strcmp(answer->reason, "unknown order") == 0)
        return saga_fail(saga, SAGA_NO_SUCH,
                         "no order %s ('./saga ls' shows all)", order);
    if (strcmp(answer->field, "id") == 0 && answer->code == ANSWER_REFUSED)
        return saga_fail(saga, SAGA_NO, "%s: %s ('./saga log %s' has it)",
                         command->command_id, answer->reason, service);
    if (order[0] != '\0' && answer->code == ANSWER_REFUSED)
        return saga_fail(saga, SAGA_NO, "%s: %s ('./saga trace %s' shows it)",
                         order, answer->reason, order);
    return saga_fail(
        saga, exit_code(answer), "%s-svc: %s%s%s%s%s", service, answer->reason,
        answer->field[0] ? " (" : "", answer->field,
        answer->field[0] ? ")" : "",
        answer->code == ANSWER_BEHIND ? " ('./saga status' shows more)" : "");
}

/* A cancellation is safe to repeat without its id. */
static void announce(const struct command *command)
{
    if (command->type == CANCEL_ORDER)
        saga_set_effect("%s may be being cancelled: './saga trace %s' shows it",
                        command->order_id, command->order_id);
    else
        saga_set_effect("%s may be recorded: to repeat it safely, use --id %s",
                        command->command_id, command->command_id);
}

static int tell_json(const struct command *command, const char *service,
                     uint64_t seq, const int *is_new)
{
    json_t *json = json_pack("{s:s,s:s,s:I}", "command", command->command_id,
                             "service", service, "seq", (json_int_t)seq);

    if (is_new != NULL)
        json_object_set_new(json, "new",
                            *is_new < 0 ? json_null() : json_boolean(*is_new));
    saga_print_json(json);
    return SAGA_YES;
}

/* ", a new sku; did you mean widget?" */
static void tell_new(struct saga *saga, const struct name *name)
{
    const char *meant = name_meant(saga, name);

    printf(", a new %s", name->noun);
    if (meant != NULL)
        printf("; did you mean %s?", meant);
}

/* Whether an order that somebody wants to cancel is cancelled by now; the view
 * answers with all that was recorded. */
static bool is_cancelled(struct saga *saga, const struct command *command)
{
    json_t *ask = json_pack("{s:s,s:s}", "get", "order", "order",
                            command->order_id),
           *reply = NULL;
    bool cancelled =
        saga_ask_view(saga, "order", ask, 3000, &reply) == EVT_OK &&
        strcmp(json_text(json_object_get(reply, "order"), "status"),
               "CANCELLED") == 0;

    json_decref(reply);
    json_decref(ask);
    return cancelled;
}

/* Sends, and says what was done: "deposited 5.00 for bob", and whether @name,
 * if that is not NULL, is new. */
__attribute__((format(printf, 5, 6))) static int
tell(struct saga *saga, const char *service, const struct command *command,
     const struct name *name, const char *done, ...)
{
    struct answer answer;
    enum saga_sent sent;
    enum evt_status rc;
    int is_new = 0;
    va_list words;

    announce(command);
    saga->deadline_ms = saga_mono_ms() + SAGA_PATIENCE_MS;
    sent = saga_send(saga, service, command, 1, &answer, &rc);
    if (sent != SENT_ANSWERED)
        return saga_not_sent(saga, service, sent, rc, &answer);
    if (answer.code != ANSWER_DONE) {
        saga_set_effect("%s", "nothing was recorded");
        return refused(saga, service, command, &answer);
    }
    saga_set_effect("%s is recorded (%s #%llu)", command->command_id, service,
                    (unsigned long long)answer.at.seq);
    if (name != NULL)
        is_new = name_is_new(saga, service, name, answer.at.seq);
    if (saga->json)
        return tell_json(command, service, answer.at.seq,
                         name != NULL ? &is_new : NULL);
    if (command->type == CANCEL_ORDER && is_cancelled(saga, command))
        done = "%s is cancelled";
    va_start(words, done);
    vprintf(done, words);
    va_end(words);
    if (is_new == 1)
        tell_new(saga, name);
    printf(" (%s #%llu)\n", service, (unsigned long long)answer.at.seq);
    return SAGA_YES;
}

static int cancel(struct saga *saga)
{
    struct command command = {.type = CANCEL_ORDER};
    const char *reason = "cancelled by customer", *why, *field;
    int code = parse(saga, &reason);

    if (code == SAGA_YES)
        code = set_id(saga, NULL, &command);
    if (code == SAGA_YES)
        code = set_name(saga, "order id", saga->words[0], command.order_id,
                        ID_BYTES);
    if (code != SAGA_YES)
        return code;
    if (strlen(reason) >= REASON_BYTES)
        return saga_fail(saga, SAGA_USAGE, "a reason has at most %d bytes",
                         REASON_BYTES - 1);
    text_copy(payload_in(command.data)->reason, REASON_BYTES, reason);
    if (codec_check(shop_message(CANCEL_ORDER), command.data, &why, &field) !=
        EVT_OK)
        return saga_fail(saga, SAGA_USAGE, "%s: %s", field, why);
    return tell(saga, "order", &command, NULL, "%s is being cancelled",
                command.order_id);
}

/* NAME AMOUNT [--id ID]: all but the amount, which is saga->words[1].  @what
 * names NAME. */
static int set_id_and_name(struct saga *saga, struct command *command,
                           const char *what, char *name, size_t size)
{
    const char *id = NULL;
    int code = parse(saga, &id);

    if (code == SAGA_YES)
        code = set_id(saga, id, command);
    return code == SAGA_YES ? set_name(saga, what, saga->words[0], name, size)
                            : code;
}

static int stock(struct saga *saga)
{
    struct command command = {.type = RECEIVE_STOCK};
    struct payload *data = payload_in(command.data);
    int code = set_id_and_name(saga, &command, "sku", data->sku, SKU_BYTES);

    if (code == SAGA_YES)
        code = saga_take_number(saga, "quantity", saga->words[1], 1,
                                RECEIPT_MAX, &data->quantity);
    if (code != SAGA_YES)
        return code;
    return tell(saga, "inventory", &command,
                &(struct name){"sku", "sku", data->sku}, "received %lld %s",
                (long long)data->quantity, data->sku);
}

static int fund(struct saga *saga)
{
    struct command command = {.type = DEPOSIT_FUNDS};
    struct payload *data = payload_in(command.data);
    char amount[MONEY_BYTES];
    int code = set_id_and_name(saga, &command, "customer", data->customer,
                               CUSTOMER_BYTES);

    if (code == SAGA_YES)
        code = set_cents(saga, "amount", saga->words[1], DEPOSIT_CENTS_MAX,
                         &data->amount_cents);
    if (code != SAGA_YES)
        return code;
    return tell(saga, "payment", &command,
                &(struct name){"customer", "customer", data->customer},
                "deposited %s for %s", money_text(data->amount_cents, amount),
                data->customer);
}

static int product(struct saga *saga)
{
    struct command command = {.type = LIST_PRODUCT};
    struct payload *data = payload_in(command.data);
    char price[MONEY_BYTES];
    int code = set_id_and_name(saga, &command, "sku", data->sku, SKU_BYTES);

    if (code == SAGA_YES)
        code = set_cents(saga, "price", saga->words[1], PRICE_CENTS_MAX,
                         &data->price_cents);
    if (code != SAGA_YES)
        return code;
    return tell(saga, "order", &command,
                &(struct name){"product", "sku", data->sku}, "%s costs %s",
                data->sku, money_text(data->price_cents, price));
}

/* ---- the verbs ---------------------------------------------------------- */

static const struct argp_option reason_option[] = {
    {"reason", 'o', "TEXT", 0, "the reason (cancelled by customer)", 0}, {0}};
static const struct argp_option id_option[] = {
    {"id", 'o', "ID", 0, "your own id; repeated, it counts once", 0}, {0}};

const struct verb verb_cancel = {
    .name = "cancel",
    .group = COMMANDS,
    .examples = "cancel o-7 --reason \"changed my mind\"",
    .summary = "cancel an order that is not confirmed yet",
    .args = "ORDER",
    .options = reason_option,
    .parse = saga_parse_value,
    .words_max = 1,
    .notes =
        "exits 0 if the cancellation has begun, 1 if it is too late, 66 if "
        "there is no such order",
    .run = cancel};

const struct verb verb_stock = {.name = "stock",
                                .group = COMMANDS,
                                .examples = "stock widget 100",
                                .summary = "receive goods",
                                .args = "SKU QTY",
                                .options = id_option,
                                .parse = saga_parse_value,
                                .words_max = 2,
                                .run = stock};

const struct verb verb_fund = {.name = "fund",
                               .group = COMMANDS,
                               .examples = "fund alice 12.50",
                               .summary = "deposit money, as in 12.50",
                               .args = "CUSTOMER AMOUNT",
                               .options = id_option,
                               .parse = saga_parse_value,
                               .words_max = 2,
                               .run = fund};

const struct verb verb_product = {.name = "product",
                                  .group = COMMANDS,
                                  .examples = "product widget 19.90",
                                  .summary = "set the price of a product",
                                  .args = "SKU PRICE",
                                  .options = id_option,
                                  .parse = saga_parse_value,
                                  .words_max = 2,
                                  .run = product};
