/* place.c - `saga place`: places orders and waits for their ends.
 *
 * It sends a command until it is answered.  That is harmless, since order-svc
 * records an id once.  An answer is final; the order view tells how the saga
 * ends. */
#include "saga.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct placing {
    struct saga *saga;
    struct command order; /* without its ids */
    const char *customer, *id, *journal;
    int64_t count, timeout_s;
    bool no_wait;
    uint64_t deadline_ms; /* on the monotonic clock */
};

/* How the orders came out. */
struct outcome {
    int64_t confirmed, cancelled, unfinished;
    json_t *reasons; /* reason -> how many */
};

/* "widget:2" */
static int parse_line(struct placing *placing, const char *text)
{
    struct payload *data = &placing->order.data;
    const char *colon = strrchr(text, ':');
    struct line *line = &data->lines[data->line_count];
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);

    if (data->line_count == LINES_MAX)
        return saga_fail(placing->saga, SAGA_USAGE,
                         "an order has at most %d lines", LINES_MAX);
    if (colon == NULL || length == 0 || length >= SKU_BYTES)
        return saga_fail(placing->saga, SAGA_USAGE,
                         "%s: a line is SKU:QUANTITY, as in widget:2", text);
    memcpy(line->sku, text, length);
    if (!text_is_id(line->sku, SKU_BYTES))
        return saga_fail(
            placing->saga, SAGA_USAGE,
            "a sku is 1 to %d letters, digits and . _ - , not '%s' "
            "(separate lines with spaces: place widget:1 gadget:2)",
            SKU_BYTES - 1, line->sku);
    for (uint32_t i = 0; i < data->line_count; i++)
        if (strcmp(data->lines[i].sku, line->sku) == 0)
            return saga_fail(
                placing->saga, SAGA_USAGE,
                "%s is given twice; give %s:QUANTITY once, with the total",
                line->sku, line->sku);
    if (!text_parse_count(colon + 1, 1, QUANTITY_MAX, &line->quantity))
        return saga_fail(placing->saga, SAGA_USAGE,
                         "quantity must be 1 to %d, not %s (%s)", QUANTITY_MAX,
                         colon + 1, text);
    data->line_count++;
    return SAGA_YES;
}

static error_t parse(int key, char *arg, struct argp_state *state)
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
    case 'n':
        return saga_take_number(saga, "count", arg, 1, 1000000,
                                &placing->count);
    case 'w':
        placing->no_wait = true;
        return SAGA_YES;
    case 't':
        return saga_take_number(saga, "timeout", arg, 1, 86400,
                                &placing->timeout_s);
    case 'j':
        placing->journal = arg;
        return SAGA_YES;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int check_words(struct placing *placing)
{
    const struct saga *saga = placing->saga;
    int code = SAGA_YES;

    if (!text_is_id(placing->customer, CUSTOMER_BYTES))
        return saga_fail(saga, SAGA_USAGE,
                         "customer must be letters, digits and . _ - , at most "
                         "%d, not '%s'",
                         CUSTOMER_BYTES - 1, placing->customer);
    text_copy(placing->order.data.customer, CUSTOMER_BYTES, placing->customer);
    if (saga->word_count == 0)
        return saga_missing(saga, "SKU:QTY");
    for (unsigned i = 0; i < saga->word_count && code == SAGA_YES; i++)
        code = parse_line(placing, saga->words[i]);
    return code;
}

/* Room for "-1000000" behind an id given. */
static int check_ids(struct placing *placing)
{
    size_t room = placing->count > 1 ? ID_BYTES - 8 : ID_BYTES;
    const char *why, *field;

    /* One that begins with - would be taken for an option by other verbs. */
    if (placing->id != NULL &&
        (!text_is_id(placing->id, room) || placing->id[0] == '-'))
        return saga_fail(placing->saga, SAGA_USAGE,
                         "an id is 1 to %zu letters, digits and . _ - , not "
                         "'%s', and does not begin with -",
                         room - 1, placing->id);
    if (codec_check(shop_message(PLACE_ORDER), &placing->order.data, &why,
                    &field) != EVT_OK)
        return saga_fail(placing->saga, SAGA_USAGE, "%s: %s",
                         field ? field : "order", why);
    return SAGA_YES;
}

static void make_command(const struct placing *placing, int64_t n,
                         struct command *command)
{
    char id[2 * ID_BYTES];

    *command = placing->order;
    if (placing->id == NULL)
        client_new_id("o", id);
    else if (placing->count == 1)
        snprintf(id, sizeof id, "%s", placing->id);
    else
        snprintf(id, sizeof id, "%s-%lld", placing->id, (long long)(n + 1));
    text_copy(command->order_id, ID_BYTES, id);
    text_copy(command->command_id, ID_BYTES, id);
}

static int write_journal(const struct placing *placing,
                         const struct command *commands,
                         const struct answer *answers, size_t count)
{
    FILE *file;
    bool good = true;

    if (placing->journal == NULL)
        return SAGA_YES;
    file = fopen(placing->journal, "a");
    for (size_t i = 0; file != NULL && i < count; i++) {
        char log_id[2 * LOG_ID_BYTES + 1];

        if (answers[i].code == ANSWER_DONE)
            good = fprintf(file,
                           "{\"command\":\"%s\",\"type\":\"PlaceOrder\","
                           "\"service\":\"order\",\"log\":\"%s\",\"seq\":%llu}"
                           "\n",
                           commands[i].command_id,
                           text_hex(answers[i].at.log_id, LOG_ID_BYTES, log_id),
                           (unsigned long long)answers[i].at.seq) > 0 &&
                   good;
    }
    if (file == NULL || fclose(file) != 0 || !good)
        return saga_fail(placing->saga, SAGA_IO, "%s: %s", placing->journal,
                         strerror(errno));
    return SAGA_YES;
}

/* Sends a batch until each command has its answer, or time is up. */
static int send_batch(const struct placing *placing,
                      const struct command *commands, struct answer *answers,
                      size_t count)
{
    int code = saga_send(placing->saga, "order", commands, count,
                         placing->deadline_ms, answers);

    return code != SAGA_YES ? code
                            : write_journal(placing, commands, answers, count);
}

/* An answer that is no yes, and what to type about it. */
static int refused(const struct placing *placing, const struct command *command,
                   const struct answer *answer)
{
    const char *id = command->order_id;

    if (strcmp(answer->reason, "unknown product") == 0)
        return saga_fail(placing->saga, SAGA_NO,
                         "%s was not placed: unknown product %s "
                         "('./saga product %s 9.90' lists it)",
                         id, answer->field, answer->field);
    if (answer->code == ANSWER_REFUSED)
        return saga_fail(placing->saga, SAGA_NO,
                         "%s was not placed: %s ('./saga trace %s' shows it)",
                         id, answer->reason, id);
    if (answer->code == ANSWER_BEHIND)
        return saga_fail(placing->saga, SAGA_TRY_AGAIN,
                         "%s was not placed: %s ('./saga status' shows more)",
                         id, answer->reason);
    return saga_fail(placing->saga, SAGA_BAD_DATA,
                     "%s was not placed: %s%s%s%s", id, answer->reason,
                     answer->field[0] ? " (" : "", answer->field,
                     answer->field[0] ? ")" : "");
}

/* The order's row once it has ended; NULL: not in time, or reported. */
static json_t *wait_for_end(const struct placing *placing, const char *id,
                            const struct position *after, int *code)
{
    char log_id[2 * LOG_ID_BYTES + 1];

    for (;;) {
        uint64_t now = saga_mono_ms();
        json_int_t left = placing->deadline_ms > now
                              ? (json_int_t)(placing->deadline_ms - now)
                              : 1;
        json_t *reply = NULL, *ask;
        enum evt_status rc;

        if (left > 5000)
            left = 5000;
        ask = json_pack("{s:s,s:s,s:s,s:I,s:[{s:s,s:s,s:I}]}", "get", "order",
                        "order", id, "until", "ended", "timeout_ms", left,
                        "after", "service", "order", "log",
                        text_hex(after->log_id, LOG_ID_BYTES, log_id), "seq",
                        (json_int_t)after->seq);
        rc = client_ask(placing->saga->client, "order", "qry", ask,
                        (int)left + 1000, &reply);
        json_decref(ask);
        if (rc == EVT_OK && json_is_true(json_object_get(reply, "ended")))
            return reply;
        json_decref(reply);
        *code = SAGA_TRY_AGAIN;
        if (rc == EVT_NONE) { /* it may be on its way back */
            struct timespec pause = {.tv_nsec = 100000000};

            nanosleep(&pause, NULL);
        }
        if (saga_mono_ms() >= placing->deadline_ms)
            return NULL;
    }
}

static void count_outcome(struct outcome *outcome, const json_t *reply)
{
    const json_t *order = json_object_get(reply, "order");
    const char *status = json_string_value(json_object_get(order, "status"));
    const char *reason = json_string_value(json_object_get(order, "reason"));

    if (status != NULL && strcmp(status, "CONFIRMED") == 0) {
        outcome->confirmed++;
        return;
    }
    outcome->cancelled++;
    if (reason == NULL)
        reason = "";
    json_object_set_new(outcome->reasons, reason,
                        json_integer(1 + json_integer_value(json_object_get(
                                             outcome->reasons, reason))));
}

/* ---- one order ---- */

static int place_one(struct placing *placing)
{
    struct command command;
    struct answer answer;
    json_t *reply;
    bool confirmed;
    int code;

    make_command(placing, 0, &command);
    code = send_batch(placing, &command, &answer, 1);
    if (code != SAGA_YES)
        return code;
    if (answer.code != ANSWER_DONE)
        return refused(placing, &command, &answer);
    if (placing->no_wait) {
        if (placing->saga->json)
            saga_print_json(json_pack("{s:s,s:I}", "order", command.order_id,
                                      "seq", (json_int_t)answer.at.seq));
        else
            printf("%s placed (order #%llu)\n", command.order_id,
                   (unsigned long long)answer.at.seq);
        return SAGA_YES;
    }
    reply = wait_for_end(placing, command.order_id, &answer.at, &code);
    if (reply == NULL) {
        (void)why_print(placing->saga, command.order_id);
        return code;
    }
    confirmed = strcmp(json_string_value(json_object_get(
                           json_object_get(reply, "order"), "status")),
                       "CONFIRMED") == 0;
    json_decref(reply);
    code = trace_print(placing->saga, command.order_id, false);
    return code != SAGA_YES ? code : confirmed ? SAGA_YES : SAGA_NO;
}

/* ---- many ---- */

static void print_outcome(const struct placing *placing,
                          const struct outcome *outcome, uint64_t took_ms)
{
    const char *reason;
    json_t *many;

    if (placing->saga->json) {
        saga_print_json(json_pack(
            "{s:I,s:I,s:I,s:I,s:O,s:I}", "placed", (json_int_t)placing->count,
            "confirmed", (json_int_t)outcome->confirmed, "cancelled",
            (json_int_t)outcome->cancelled, "unfinished",
            (json_int_t)outcome->unfinished, "reasons", outcome->reasons,
            "took_ms", (json_int_t)took_ms));
        return;
    }
    printf("%lld orders in %.1f s: %lld confirmed, %lld cancelled",
           (long long)placing->count, (double)took_ms / 1000,
           (long long)outcome->confirmed, (long long)outcome->cancelled);
    json_object_foreach(outcome->reasons, reason, many)
        printf(" (%lld %s)", (long long)json_integer_value(many), reason);
    if (outcome->unfinished > 0)
        printf(", %lld not yet ended", (long long)outcome->unfinished);
    putchar('\n');
}

/* What is kept of a placed order until its end is asked for. */
struct placed {
    char id[ID_BYTES];
    struct position at;
};

static int place_all(const struct placing *placing, struct placed *placed)
{
    struct command commands[COMMANDS_PER_REQUEST];
    struct answer answers[COMMANDS_PER_REQUEST];
    int code = SAGA_YES;

    for (int64_t done = 0; done < placing->count && code == SAGA_YES;) {
        size_t count = 0;

        while (count < COMMANDS_PER_REQUEST &&
               done + (int64_t)count < placing->count) {
            make_command(placing, done + (int64_t)count, &commands[count]);
            count++;
        }
        code = send_batch(placing, commands, answers, count);
        for (size_t i = 0; i < count && code == SAGA_YES; i++) {
            if (answers[i].code != ANSWER_DONE)
                return refused(placing, &commands[i], &answers[i]);
            text_copy(placed[done].id, ID_BYTES, commands[i].order_id);
            placed[done++].at = answers[i].at;
        }
    }
    return code;
}

static int place_many(struct placing *placing)
{
    struct placed *placed = calloc((size_t)placing->count, sizeof *placed);
    struct outcome outcome = {.reasons = json_object()};
    uint64_t begun = saga_mono_ms();
    int code;

    if (placed == NULL)
        abort();
    code = place_all(placing, placed);
    if (code == SAGA_YES && placing->no_wait) {
        outcome.unfinished = placing->count;
        if (placing->saga->json)
            print_outcome(placing, &outcome, saga_mono_ms() - begun);
        else
            printf("%lld orders placed\n", (long long)placing->count);
    } else if (code == SAGA_YES) {
        for (int64_t i = 0; i < placing->count; i++) {
            int ignored;
            json_t *reply =
                wait_for_end(placing, placed[i].id, &placed[i].at, &ignored);

            if (reply == NULL)
                outcome.unfinished++;
            else
                count_outcome(&outcome, reply);
            json_decref(reply);
        }
        print_outcome(placing, &outcome, saga_mono_ms() - begun);
        code = outcome.unfinished > 0  ? SAGA_TRY_AGAIN
               : outcome.cancelled > 0 ? SAGA_NO
                                       : SAGA_YES;
    }
    json_decref(outcome.reasons);
    free(placed);
    return code;
}

static int run(struct saga *saga)
{
    struct placing placing = {.saga = saga,
                              .order.type = PLACE_ORDER,
                              .customer = "alice",
                              .count = 1,
                              .timeout_s = 60};
    int code = saga_parse(saga, &placing);

    if (code == SAGA_YES)
        code = check_words(&placing);
    if (code == SAGA_YES)
        code = check_ids(&placing);
    if (code != SAGA_YES)
        return code;
    placing.deadline_ms = saga_mono_ms() + (uint64_t)placing.timeout_s * 1000;
    return placing.count == 1 ? place_one(&placing) : place_many(&placing);
}

static const struct argp_option options[] = {
    {"customer", 'c', "C", 0, "the customer who pays (alice)", 0},
    {"id", 'i', "ORDER", 0, "your own id; repeated, it counts once", 0},
    {"count", 'n', "N", 0, "place N such orders (ORDER-1 ... ORDER-N)", 0},
    {"no-wait", 'w', NULL, 0, "return once order-svc has recorded it", 0},
    {"timeout", 't', "S", 0, "wait at most S seconds for the end (60)", 0},
    {"journal", 'j', "FILE", 0,
     "append each acknowledged command, for `saga check`", 0},
    {0}};

const struct verb verb_place = {
    .name = "place",
    .group = COMMANDS,
    .summary = "place an order, wait for its end, print its trace",
    .args = "SKU:QTY...",
    .options = options,
    .parse = parse,
    .words_max = WORDS_MAX,
    .notes = "exits 0 if confirmed, 1 if cancelled or refused, 75 on timeout",
    .run = run};
