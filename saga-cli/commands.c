/* commands.c - the commands but `place`: cancel, stock, fund, product. */
#include "saga.h"
#include "verbs.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Whether the words are those that @names (ends with NULL) says; if not, which
 * one is missing, or too much. */
static int check_words(const struct saga *saga, int argc, char **argv,
                       const char *const *names)
{
    char all[64] = "";
    int given = argc - optind, wanted = 0;

    for (; names[wanted] != NULL; wanted++)
        snprintf(all + strlen(all), sizeof all - strlen(all), " %s",
                 names[wanted]);
    if (given < wanted)
        return saga_fail(saga, SAGA_USAGE, "%s is missing: ./saga %s%s",
                         names[given], argv[0], all);
    if (given > wanted)
        return saga_fail(saga, SAGA_USAGE, "'%s' is too much: ./saga %s%s",
                         argv[optind + wanted], argv[0], all);
    return SAGA_YES;
}

/* --id ID (or --reason TEXT for cancel); leaves the words, which are @names,
 * in argv[optind]. */
static int one_option(const struct saga *saga, int argc, char **argv,
                      const char *name, const char **value,
                      const char *const *names)
{
    const struct option known[] = {{name, required_argument, NULL, 'o'}, {0}};
    int c;

    while ((c = saga_getopt(saga, argc, argv, known)) != -1) {
        if (c != 'o')
            return SAGA_USAGE;
        *value = optarg;
    }
    return check_words(saga, argc, argv, names);
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
    char limit[CENTS_BYTES];

    if (text_parse_cents(text, cents) && *cents >= 1 && *cents <= most)
        return SAGA_YES;
    return saga_fail(saga, SAGA_USAGE,
                     "%s must be 0.01 to %s, in whole cents, not %s", what,
                     text_cents(most, limit), text);
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

/* Sends, and says what was done: "deposited 5.00 for bob". */
__attribute__((format(printf, 4, 5))) static int
tell(struct saga *saga, const char *service, const struct command *command,
     const char *done, ...)
{
    struct answer answer;
    int code = saga_send(saga, service, command, 1,
                         saga_mono_ms() + SAGA_PATIENCE_MS, &answer);
    va_list words;

    if (code == SAGA_YES && answer.code != ANSWER_DONE)
        code = refused(saga, service, command, &answer);
    if (code != SAGA_YES)
        return code;
    if (saga->json) {
        saga_print_json(json_pack("{s:s,s:s,s:I}", "command",
                                  command->command_id, "service", service,
                                  "seq", (json_int_t)answer.at.seq));
        return SAGA_YES;
    }
    va_start(words, done);
    vprintf(done, words);
    va_end(words);
    printf(" (%s #%llu)\n", service, (unsigned long long)answer.at.seq);
    return SAGA_YES;
}

int verb_cancel(struct saga *saga, int argc, char **argv)
{
    static const char *const names[] = {"ORDER", NULL};
    struct command command = {.type = CANCEL_ORDER};
    const char *reason = "cancelled by customer", *why, *field;
    int code = one_option(saga, argc, argv, "reason", &reason, names);

    if (code == SAGA_YES)
        code = set_id(saga, NULL, &command);
    if (code == SAGA_YES)
        code = set_name(saga, "order id", argv[optind], command.order_id,
                        ID_BYTES);
    if (code != SAGA_YES)
        return code;
    if (strlen(reason) >= REASON_BYTES)
        return saga_fail(saga, SAGA_USAGE, "a reason has at most %d bytes",
                         REASON_BYTES - 1);
    text_copy(command.data.reason, REASON_BYTES, reason);
    if (codec_check(shop_message(CANCEL_ORDER), &command.data, &why, &field) !=
        EVT_OK)
        return saga_fail(saga, SAGA_USAGE, "%s: %s", field, why);
    return tell(saga, "order", &command, "%s is being cancelled",
                command.order_id);
}

/* What stands in a command's words: "sku", and as SKU QTY in its help. */
struct words {
    const char *what, *names[3];
};

/* NAME AMOUNT [--id ID]: all but the amount, which is left in argv[optind + 1].
 */
static int set_id_and_name(const struct saga *saga, int argc, char **argv,
                           struct command *command, const struct words *words,
                           char *name, size_t size)
{
    const char *id = NULL;
    int code = one_option(saga, argc, argv, "id", &id, words->names);

    if (code == SAGA_YES)
        code = set_id(saga, id, command);
    return code == SAGA_YES
               ? set_name(saga, words->what, argv[optind], name, size)
               : code;
}

int verb_stock(struct saga *saga, int argc, char **argv)
{
    static const struct words words = {"sku", {"SKU", "QTY", NULL}};
    struct command command = {.type = RECEIVE_STOCK};
    struct payload *data = &command.data;
    int code = set_id_and_name(saga, argc, argv, &command, &words, data->sku,
                               SKU_BYTES);

    if (code != SAGA_YES)
        return code;
    if (!saga_number(argv[optind + 1], 1, RECEIPT_MAX, &data->quantity))
        return saga_fail(saga, SAGA_USAGE, "quantity must be 1 to %d, not %s",
                         RECEIPT_MAX, argv[optind + 1]);
    return tell(saga, "inventory", &command, "received %lld %s",
                (long long)data->quantity, data->sku);
}

int verb_fund(struct saga *saga, int argc, char **argv)
{
    static const struct words words = {"customer",
                                       {"CUSTOMER", "AMOUNT", NULL}};
    struct command command = {.type = DEPOSIT_FUNDS};
    struct payload *data = &command.data;
    char amount[CENTS_BYTES];
    int code = set_id_and_name(saga, argc, argv, &command, &words,
                               data->customer, CUSTOMER_BYTES);

    if (code == SAGA_YES)
        code = set_cents(saga, "amount", argv[optind + 1], DEPOSIT_CENTS_MAX,
                         &data->amount_cents);
    if (code != SAGA_YES)
        return code;
    return tell(saga, "payment", &command, "deposited %s for %s",
                text_cents(data->amount_cents, amount), data->customer);
}

int verb_product(struct saga *saga, int argc, char **argv)
{
    static const struct words words = {"sku", {"SKU", "PRICE", NULL}};
    struct command command = {.type = LIST_PRODUCT};
    struct payload *data = &command.data;
    char price[CENTS_BYTES];
    int code = set_id_and_name(saga, argc, argv, &command, &words, data->sku,
                               SKU_BYTES);

    if (code == SAGA_YES)
        code = set_cents(saga, "price", argv[optind + 1], PRICE_CENTS_MAX,
                         &data->price_cents);
    if (code != SAGA_YES)
        return code;
    return tell(saga, "order", &command, "%s costs %s", data->sku,
                text_cents(data->price_cents, price));
}
