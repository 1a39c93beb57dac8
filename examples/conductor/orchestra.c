/* orchestra.c - the command of the conducted shop: the library's verbs, and
 * five of its own.  `orchestra help` lists them. */
#include "invariants.h"
#include "services.h"

#include "core/codec.h"
#include "saga-cli/story.h"
#include "saga-cli/verbs.h"

#include <stdio.h>
#include <string.h>

static struct payload *data_of(struct command *command)
{
    return (void *)command->data;
}

/* ---- sending ---------------------------------------------------------- */

static int usage(const struct saga *saga)
{
    return saga_fail(saga, SAGA_USAGE, "usage: orchestra %s %s",
                     saga->verb->name, saga->verb->args);
}

/* Sends one command, and says what became of it. */
static int tell(struct saga *saga, const char *service, struct command *command)
{
    struct answer answer;
    enum saga_sent sent;
    enum evt_status rc;

    saga->deadline_ms = saga_mono_ms() + SAGA_PATIENCE_MS;
    sent = saga_send(saga, service, command, 1, &answer, &rc);
    if (sent != SENT_ANSWERED)
        return saga_not_sent(saga, service, sent, rc, &answer);
    if (answer.code != ANSWER_DONE)
        return saga_fail(saga, SAGA_NO, "%s: %s %s", service, answer.reason,
                         answer.field);
    printf("%s (%s #%llu)\n", command->command_id, service,
           (unsigned long long)answer.at.seq);
    return SAGA_YES;
}

/* A name of @size bytes, and "12.50" or a number; the id of a command. */
static int two_words(struct saga *saga, char *name, size_t size, int64_t scale,
                     int64_t *number, struct command *command)
{
    int64_t whole = 0, rest = 0;
    int code = saga_parse(saga, NULL);
    char *point;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count != 2 || !text_is_id(saga->words[0], size))
        return usage(saga);
    point = strchr(saga->words[1], '.');
    if (point != NULL)
        *point++ = '\0';
    if (!text_parse_count(saga->words[1], 0, 1000000, &whole) ||
        (point != NULL &&
         (scale == 1 || strlen(point) != 2 ||
          !text_parse_count(point[0] == '0' ? point + 1 : point, 0, 99,
                            &rest))))
        return usage(saga);
    *number = whole * scale + rest;
    text_copy(name, size, saga->words[0]);
    client_new_id("c", command->command_id);
    return SAGA_YES;
}

static int product(struct saga *saga)
{
    struct command command = {.type = LIST_PRODUCT};
    struct payload *data = data_of(&command);
    int code = two_words(saga, data->sku, SKU_BYTES, 100, &data->price_cents,
                         &command);

    return code == SAGA_YES ? tell(saga, "conductor", &command) : code;
}

static int stock(struct saga *saga)
{
    struct command command = {.type = RECEIVE_STOCK};
    struct payload *data = data_of(&command);
    int code =
        two_words(saga, data->sku, SKU_BYTES, 1, &data->quantity, &command);

    return code == SAGA_YES ? tell(saga, "inventory", &command) : code;
}

static int fund(struct saga *saga)
{
    struct command command = {.type = DEPOSIT_FUNDS};
    struct payload *data = data_of(&command);
    int code = two_words(saga, data->customer, CUSTOMER_BYTES, 100,
                         &data->amount_cents, &command);

    return code == SAGA_YES ? tell(saga, "payment", &command) : code;
}

static int cancel(struct saga *saga)
{
    struct command command = {.type = CANCEL_ORDER};
    int code = saga_parse(saga, NULL);

    if (code != SAGA_YES)
        return code;
    if (saga->word_count != 1 || !text_is_id(saga->words[0], ID_BYTES))
        return usage(saga);
    text_copy(command.order_id, ID_BYTES, saga->words[0]);
    client_new_id("c", command.command_id);
    return tell(saga, "conductor", &command);
}

/* ---- placing ---------------------------------------------------------- */

struct placing {
    const char *customer, *id, *journal;
    int64_t count;
};

static error_t parse_place(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct placing *placing = saga->options;

    switch (key) {
    case 'c':
        placing->customer = arg;
        return SAGA_YES;
    case 'i':
        placing->id = arg;
        return SAGA_YES;
    case 'j':
        placing->journal = arg;
        return SAGA_YES;
    case 'n':
        return saga_take_number(saga, "count", arg, 1, 1000000,
                                &placing->count);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* "widget:2" */
static bool read_line(char *text, struct line *line)
{
    char *colon = strrchr(text, ':');

    if (colon == NULL)
        return false;
    *colon = '\0';
    if (!text_is_id(text, SKU_BYTES) ||
        !text_parse_count(colon + 1, 1, QUANTITY_MAX, &line->quantity))
        return false;
    text_copy(line->sku, SKU_BYTES, text);
    return true;
}

/* As `orchestra check --journal` reads it. */
static int acknowledge(const struct saga *saga, const struct placing *placing,
                       const struct command *command,
                       const struct answer *answer)
{
    char log_id[2 * LOG_ID_BYTES + 1];
    FILE *file;

    if (placing->journal == NULL)
        return SAGA_YES;
    file = fopen(placing->journal, "ae");
    if (file == NULL)
        return saga_fail(saga, SAGA_IO, "%s cannot be written",
                         placing->journal);
    fprintf(file,
            "{\"command\":\"%s\",\"type\":\"PlaceOrder\","
            "\"service\":\"conductor\",\"log\":\"%s\",\"seq\":%llu}\n",
            command->command_id,
            text_hex(answer->at.log_id, LOG_ID_BYTES, log_id),
            (unsigned long long)answer->at.seq);
    return fclose(file) == 0 ? SAGA_YES : SAGA_IO;
}

static int place_one(struct saga *saga, const struct placing *placing,
                     struct command *command)
{
    struct answer answer;
    enum saga_sent sent;
    enum evt_status rc;

    text_copy(command->command_id, ID_BYTES, command->order_id);
    saga->deadline_ms = saga_mono_ms() + SAGA_PATIENCE_MS;
    sent = saga_send(saga, "conductor", command, 1, &answer, &rc);
    if (sent != SENT_ANSWERED)
        return saga_not_sent(saga, "conductor", sent, rc, &answer);
    if (answer.code != ANSWER_DONE)
        return saga_fail(saga, SAGA_NO, "%s was not placed: %s %s",
                         command->order_id, answer.reason, answer.field);
    printf("%s placed (conductor #%llu)\n", command->order_id,
           (unsigned long long)answer.at.seq);
    return acknowledge(saga, placing, command, &answer);
}

static int place(struct saga *saga)
{
    struct placing placing = {.customer = "alice", .count = 1};
    struct command command = {.type = PLACE_ORDER};
    struct payload *data = data_of(&command);
    char id[ID_BYTES];
    int code = saga_parse(saga, &placing);

    if (code != SAGA_YES)
        return code;
    for (unsigned i = 0; i < saga->word_count; i++)
        if (!read_line(saga->words[i], &data->lines[data->line_count++]))
            return usage(saga);
    if (data->line_count == 0 ||
        !text_is_id(placing.customer, CUSTOMER_BYTES) ||
        (placing.id != NULL && !text_is_id(placing.id, ID_BYTES - 8)))
        return usage(saga);
    text_copy(data->customer, CUSTOMER_BYTES, placing.customer);
    client_new_id("o", id);
    if (placing.id != NULL)
        text_copy(id, ID_BYTES, placing.id);
    for (int64_t i = 1; i <= placing.count && code == SAGA_YES; i++) {
        if (placing.count == 1)
            text_copy(command.order_id, ID_BYTES, id);
        else
            snprintf(command.order_id, ID_BYTES, "%.31s-%d", id, (int)i);
        code = place_one(saga, &placing, &command);
    }
    return code;
}

/* ---- what the library's verbs say of it ------------------------------- */

static void say(FILE *out, const struct event *event)
{
    const struct payload *data = payload_of(event);

    if (data->customer[0] != '\0')
        fprintf(out, "%s ", data->customer);
    if (data->amount_cents > 0)
        fprintf(out, "%lld.%02d ", (long long)data->amount_cents / 100,
                (int)(data->amount_cents % 100));
    for (uint32_t i = 0; i < data->line_count; i++)
        fprintf(out, "%lld %s ", (long long)data->lines[i].quantity,
                data->lines[i].sku);
    fputs(data->reason, out);
}

/* The conductor's own log says where an order is: nothing is derived. */
static void end_of(const struct story *story, struct story_end *end)
{
    static const char *const words[MESSAGE_TYPES] = {
        [RESERVE_ASKED] = "RESERVING", [CHARGE_ASKED] = "CHARGING",
        [SHIP_ASKED] = "SHIPPING",     [REFUND_ASKED] = "REFUNDING",
        [RELEASE_ASKED] = "RELEASING", [ORDER_DONE] = "DONE",
        [ORDER_FAILED] = "FAILED"};

    end->reason = "";
    for (size_t i = 0; i < story->count; i++) {
        const struct event *event = &story->events[i];

        if (strcmp(event->source, "conductor") != 0 ||
            event->type >= MESSAGE_TYPES || words[event->type] == NULL)
            continue;
        text_copy(end->status, sizeof end->status, words[event->type]);
        end->since_ms = event->time_ms;
        end->reason = payload_of(event)->reason;
        end->ended = event->type == ORDER_DONE || event->type == ORDER_FAILED;
    }
}

/* ---- the command ------------------------------------------------------ */

static const struct argp_option place_options[] = {
    {"customer", 'c', "NAME", 0, "who orders and pays (alice)", 0},
    {"id", 'i', "ID", 0, "the order's id, to repeat it safely", 0},
    {"count", 'n', "N", 0, "so many orders, ID-1 to ID-N", 0},
    {"journal", 'j', "FILE", 0, "append what was acknowledged, for check", 0},
    {0}};

static const struct verb verb_place = {.name = "place",
                                       .group = COMMANDS,
                                       .summary = "place orders",
                                       .args = "SKU:QTY...",
                                       .options = place_options,
                                       .parse = parse_place,
                                       .words_max = LINES_MAX,
                                       .run = place};
static const struct verb verb_cancel = {.name = "cancel",
                                        .group = COMMANDS,
                                        .summary = "cancel an order",
                                        .args = "ORDER",
                                        .words_max = 1,
                                        .run = cancel};
static const struct verb verb_product = {.name = "product",
                                         .group = COMMANDS,
                                         .summary = "list a product",
                                         .args = "SKU PRICE",
                                         .words_max = 2,
                                         .run = product};
static const struct verb verb_stock = {.name = "stock",
                                       .group = COMMANDS,
                                       .summary = "receive stock",
                                       .args = "SKU PIECES",
                                       .words_max = 2,
                                       .run = stock};
static const struct verb verb_fund = {.name = "fund",
                                      .group = COMMANDS,
                                      .summary = "deposit money",
                                      .args = "CUSTOMER AMOUNT",
                                      .words_max = 2,
                                      .run = fund};

static const struct verb *const verbs_of_ours[] = {
    &verb_place, &verb_cancel, &verb_product, &verb_stock, &verb_fund, NULL};

static const struct service *const services[] = {
    &conductor_service, &inventory_service, &payment_service};
static const struct view *const views[] = {&conductor_view, &inventory_view,
                                           &payment_view};

int main(int argc, char **argv)
{
    static const struct saga_tool tool = {
        .services = services,
        .views = views,
        .service_count = SERVICE_COUNT,
        .invariants = &conducted_invariants,
        .verbs = verbs_of_ours,
        .about = "Sends commands to a conducted shop, and reads its logs.",
        .a_saga = "an order",
        .unopened = "NOT PLACED YET",
        .no_opening = "has no ReserveAsked in conductor's log; its",
        .timer_does = "takes it back",
        .timer_will = "takes it back",
        .say = say,
        .end = end_of};

    return saga_main(argc, argv, &tool);
}
