/* place.c - `saga place`: places orders and waits for their ends.
 *
 * It sends a command until it is answered.  That is harmless, since order-svc
 * records an id once.  An answer is final; the order view tells how the saga
 * ends. */

#include "shop/cli/shop_cli.h"
#include "shop/shop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GRACE_MS = 1000 };

struct placing {
    struct saga *saga;
    struct command order; /* without its ids */
    const char *customer, *id, *journal;
    char base[ID_BYTES]; /* the order's id, or what those of many begin with */
    FILE *acknowledged;  /* the journal, or NULL */
    int *journal_errno;  /* why a line could not be written; 0: all were */
    int64_t count, timeout_s;
    bool no_wait;
};

/* How the orders came out. */
struct outcome {
    int64_t placed, refused, unknown, not_sent; /* together all of them */
    int64_t confirmed, cancelled, unfinished;   /* of those placed */
    json_t *reasons;                            /* reason -> how many */
};

/* "widget:2" */
static int parse_line(struct placing *placing, const char *text)
{
    struct payload *data = payload_in(placing->order.data);
    const char *colon = strrchr(text, ':');
    struct line *line = &data->lines[data->line_count];
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);

    if (data->line_count == LINES_MAX)
        return saga_fail(placing->saga, SAGA_USAGE,
                         "an order has at most %d lines", LINES_MAX);
    if (colon == NULL || length == 0 || length >= SKU_BYTES || colon[1] == '\0')
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
    text_copy(payload_in(placing->order.data)->customer, CUSTOMER_BYTES,
              placing->customer);
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
    if (codec_check(shop_message(PLACE_ORDER), placing->order.data, &why,
                    &field) != EVT_OK)
        return saga_fail(placing->saga, SAGA_USAGE, "%s: %s",
                         field ? field : "order", why);
    return SAGA_YES;
}

/* Chosen before anything is sent, and told however this ends. */
static void choose_ids(struct placing *placing)
{
    char id[2 * ID_BYTES];

    if (placing->id == NULL)
        client_new_id("o", id);
    text_copy(placing->base, ID_BYTES, placing->id == NULL ? id : placing->id);
    if (placing->count == 1)
        saga_set_effect("%s may be recorded: to repeat it safely, use --id %s",
                        placing->base, placing->base);
    else
        saga_set_effect("%s-1 to %s-%" PRId64
                        " may be recorded: to repeat them safely, use --id %s",
                        placing->base, placing->base, placing->count,
                        placing->base);
}

static void make_command(const struct placing *placing, int64_t n,
                         struct command *command)
{
    char id[2 * ID_BYTES];

    *command = placing->order;
    if (placing->count == 1)
        snprintf(id, sizeof id, "%s", placing->base);
    else
        snprintf(id, sizeof id, "%s-%" PRId64, placing->base, n + 1);
    text_copy(command->order_id, ID_BYTES, id);
    text_copy(command->command_id, ID_BYTES, id);
}

/* Before anything is sent: what is acknowledged can be written down. */
static int open_journal(struct placing *placing)
{
    if (placing->journal == NULL)
        return SAGA_YES;
    placing->acknowledged = fopen(placing->journal, "ae");
    if (placing->acknowledged == NULL)
        return saga_fail(placing->saga, SAGA_IO, "%s: %s; no order was placed",
                         placing->journal, strerror(errno));
    /* A line at a time: others may write to the same journal, and a client
     * that is killed has written down what it was told. */
    setvbuf(placing->acknowledged, NULL, _IOLBF, 0);
    return SAGA_YES;
}

/* Later lines are appended whatever becomes of one. */
static void write_journal(const struct placing *placing,
                          const struct command *command,
                          const struct answer *answer)
{
    char log_id[2 * LOG_ID_BYTES + 1];

    if (placing->acknowledged != NULL &&
        fprintf(placing->acknowledged,
                "{\"command\":\"%s\",\"type\":\"PlaceOrder\","
                "\"service\":\"order\",\"log\":\"%s\",\"seq\":%" PRIu64 "}\n",
                command->command_id,
                text_hex(answer->at.log_id, LOG_ID_BYTES, log_id),
                answer->at.seq) < 0)
        *placing->journal_errno = errno;
}

/* Returns @code, or SAGA_IO if an acknowledged order is not in the journal. */
static int close_journal(const struct placing *placing, int code)
{
    struct saga telling = *placing->saga;

    if (placing->acknowledged == NULL)
        return code;
    if (fclose(placing->acknowledged) != 0 && *placing->journal_errno == 0)
        *placing->journal_errno = errno;
    if (*placing->journal_errno == 0)
        return code;
    telling.json = false; /* the answer is on stdout already */
    return saga_fail(&telling, SAGA_IO,
                     "%s: cannot write: %s; orders that were placed are "
                     "missing there",
                     placing->journal, strerror(*placing->journal_errno));
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

/* The order's row once it has ended; NULL: not in time.  Who answers at once
 * is heard for a second after the deadline, so that many orders that have ended
 * are counted though the first of them has not. */
static json_t *wait_for_end(const struct placing *placing, const char *id,
                            const struct position *after)
{
    uint64_t deadline_ms = placing->saga->deadline_ms, now;
    char log_id[2 * LOG_ID_BYTES + 1];

    while ((now = saga_mono_ms()) < deadline_ms + GRACE_MS) {
        json_int_t left =
            now < deadline_ms ? (json_int_t)(deadline_ms - now) : 1;
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
                        (int)left + GRACE_MS, &reply);
        json_decref(ask);
        if (rc == EVT_OK && json_is_true(json_object_get(reply, "ended")))
            return reply;
        json_decref(reply);
        if (rc == EVT_NONE) { /* it may be on its way back */
            struct timespec pause = {.tv_nsec = 100000000};

            nanosleep(&pause, NULL);
        }
        if (now >= deadline_ms)
            return NULL;
    }
    return NULL;
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

/* It is recorded. */
static int print_placed(const struct placing *placing,
                        const struct position *at)
{
    if (placing->saga->json)
        saga_print_json(json_pack("{s:s,s:I}", "order", placing->base, "seq",
                                  (json_int_t)at->seq));
    else
        printf("%s placed (order #%" PRIu64 ")\n", placing->base, at->seq);
    return SAGA_YES;
}

static int place_one(struct placing *placing)
{
    struct command command;
    struct answer answer;
    enum saga_sent sent;
    enum evt_status rc;
    json_t *reply;
    bool confirmed;
    int code;

    make_command(placing, 0, &command);
    sent = saga_send(placing->saga, "order", &command, 1, &answer, &rc);
    if (sent != SENT_ANSWERED)
        return saga_not_sent(placing->saga, "order", sent, rc, &answer);
    if (answer.code != ANSWER_DONE) {
        saga_set_effect("%s was not placed", placing->base);
        return refused(placing, &command, &answer);
    }
    saga_set_effect("%s is placed: './saga trace %s' shows it", placing->base,
                    placing->base);
    write_journal(placing, &command, &answer);
    if (placing->no_wait)
        return print_placed(placing, &answer.at);
    reply = wait_for_end(placing, command.order_id, &answer.at);
    if (reply == NULL) {
        (void)why_print(placing->saga, command.order_id);
        return SAGA_TRY_AGAIN;
    }
    confirmed = strcmp(json_string_value(json_object_get(
                           json_object_get(reply, "order"), "status")),
                       "CONFIRMED") == 0;
    json_decref(reply);
    code = trace_print(placing->saga, command.order_id, false);
    return code != SAGA_YES ? code : confirmed ? SAGA_YES : SAGA_NO;
}

/* ---- many ---- */

static void print_json(const struct placing *placing,
                       const struct outcome *outcome, uint64_t took_ms)
{
    char first[2 * ID_BYTES], last[2 * ID_BYTES];

    snprintf(first, sizeof first, "%s-1", placing->base);
    snprintf(last, sizeof last, "%s-%" PRId64, placing->base, placing->count);
    saga_print_json(json_pack(
        "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O,s:I}", "first", first, "last",
        last, "placed", (json_int_t)outcome->placed, "refused",
        (json_int_t)outcome->refused, "unknown", (json_int_t)outcome->unknown,
        "not_sent", (json_int_t)outcome->not_sent, "confirmed",
        (json_int_t)outcome->confirmed, "cancelled",
        (json_int_t)outcome->cancelled, "unfinished",
        (json_int_t)outcome->unfinished, "reasons", outcome->reasons, "took_ms",
        (json_int_t)took_ms));
}

/* "4 of 5 orders placed (part-1 to part-5), 1 refused" */
static void print_sent(const struct placing *placing,
                       const struct outcome *outcome)
{
    if (outcome->placed < placing->count)
        printf("%" PRId64 " of ", outcome->placed);
    printf("%" PRId64 " orders placed (%s-1 to %s-%" PRId64 ")", placing->count,
           placing->base, placing->base, placing->count);
    if (outcome->refused > 0)
        printf(", %" PRId64 " refused", outcome->refused);
    if (outcome->unknown > 0)
        printf(", %" PRId64 " may be recorded", outcome->unknown);
    if (outcome->not_sent > 0)
        printf(", %" PRId64 " not sent", outcome->not_sent);
    putchar('\n');
}

static void print_text(const struct placing *placing,
                       const struct outcome *outcome, uint64_t took_ms)
{
    const char *reason;
    json_t *many;

    if (placing->no_wait || outcome->placed < placing->count)
        print_sent(placing, outcome);
    if (outcome->unknown + outcome->not_sent > 0)
        printf("To repeat them safely: the same command with --id %s\n",
               placing->base);
    if (placing->no_wait || outcome->placed == 0)
        return;
    printf("%" PRId64 " orders in %.1f s: %" PRId64 " confirmed, %" PRId64
           " cancelled",
           outcome->placed, (double)took_ms / 1000, outcome->confirmed,
           outcome->cancelled);
    json_object_foreach(outcome->reasons, reason, many)
        printf(" (%lld %s)", (long long)json_integer_value(many), reason);
    if (outcome->unfinished > 0)
        printf(", %" PRId64 " not yet ended", outcome->unfinished);
    putchar('\n');
}

/* What is kept of a placed order until its end is asked for. */
struct placed {
    char id[ID_BYTES];
    struct position at;
};

/* Enters the answers of a batch.  Returns the exit code: of the first refusal,
 * which is reported. */
static int enter_answers(const struct placing *placing,
                         const struct command *commands,
                         const struct answer *answers, size_t count,
                         bool may_be, struct outcome *outcome,
                         struct placed *placed)
{
    int code = SAGA_YES;

    for (size_t i = 0; i < count; i++) {
        const struct answer *answer = &answers[i];

        if (answer->code == ANSWER_DONE) {
            write_journal(placing, &commands[i], answer);
            text_copy(placed[outcome->placed].id, ID_BYTES,
                      commands[i].order_id);
            placed[outcome->placed++].at = answer->at;
        } else if (answer->code != ANSWER_BUSY && answer->code != ANSWER_FULL) {
            outcome->refused++;
            if (code == SAGA_YES)
                code = refused(placing, &commands[i], answer);
        } else if (may_be) {
            outcome->unknown++;
        } else {
            outcome->not_sent++;
        }
    }
    return code;
}

static const struct answer *first_passing(const struct answer *answers)
{
    while (answers->code != ANSWER_BUSY && answers->code != ANSWER_FULL)
        answers++;
    return answers;
}

/* Sends in batches, up to the first with an order that is not placed. */
static int place_all(const struct placing *placing, struct outcome *outcome,
                     struct placed *placed)
{
    struct command commands[COMMANDS_PER_REQUEST];
    struct answer answers[COMMANDS_PER_REQUEST];
    int code = SAGA_YES;

    outcome->not_sent = placing->count;
    while (outcome->not_sent > 0 && code == SAGA_YES) {
        int64_t first = placing->count - outcome->not_sent;
        size_t count = 0;
        enum saga_sent sent;
        enum evt_status rc;

        while (count < COMMANDS_PER_REQUEST &&
               (int64_t)count < outcome->not_sent) {
            make_command(placing, first + (int64_t)count, &commands[count]);
            count++;
        }
        sent = saga_send(placing->saga, "order", commands, count, answers, &rc);
        if (sent == SENT_ANSWERED || sent == SENT_BUSY) {
            outcome->not_sent -= (int64_t)count;
            code = enter_answers(placing, commands, answers, count,
                                 rc == EVT_BUSY, outcome, placed);
        } else if (sent == SENT_UNKNOWN) {
            outcome->not_sent -= (int64_t)count;
            outcome->unknown += (int64_t)count;
        }
        if (sent != SENT_ANSWERED && code == SAGA_YES)
            code = saga_not_sent(placing->saga, "order", sent, rc,
                                 sent == SENT_BUSY ? first_passing(answers)
                                                   : NULL);
    }
    return code;
}

static void wait_for_all(const struct placing *placing,
                         const struct placed *placed, struct outcome *outcome)
{
    for (int64_t i = 0; i < outcome->placed; i++) {
        json_t *reply = wait_for_end(placing, placed[i].id, &placed[i].at);

        if (reply == NULL)
            outcome->unfinished++;
        else
            count_outcome(outcome, reply);
        json_decref(reply);
    }
}

static int place_many(struct placing *placing)
{
    struct placed *placed = calloc((size_t)placing->count, sizeof *placed);
    struct outcome outcome = {.reasons = json_object()};
    uint64_t begun = saga_mono_ms();
    bool json = placing->saga->json;
    int code;

    if (placed == NULL)
        abort();
    placing->saga->json = false; /* what fails is told beside the one answer */
    code = place_all(placing, &outcome, placed);
    placing->saga->json = json;
    if (placing->no_wait)
        outcome.unfinished = outcome.placed;
    else
        wait_for_all(placing, placed, &outcome);
    if (json)
        print_json(placing, &outcome, saga_mono_ms() - begun);
    else
        print_text(placing, &outcome, saga_mono_ms() - begun);
    if (code == SAGA_YES && !placing->no_wait)
        code = outcome.unfinished > 0  ? SAGA_TRY_AGAIN
               : outcome.cancelled > 0 ? SAGA_NO
                                       : SAGA_YES;
    json_decref(outcome.reasons);
    free(placed);
    return code;
}

static int run(struct saga *saga)
{
    int journal_errno = 0;
    struct placing placing = {.saga = saga,
                              .journal_errno = &journal_errno,
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
    code = open_journal(&placing);
    if (code != SAGA_YES)
        return code;
    choose_ids(&placing);
    saga->deadline_ms = saga_mono_ms() + (uint64_t)placing.timeout_s * 1000;
    code = placing.count == 1 ? place_one(&placing) : place_many(&placing);
    return close_journal(&placing, code);
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
    .first = true,
    .examples = "place widget:2 gadget:1\n"
                "place gizmo:1 --customer bob --id my-1",
    .summary = "place an order, wait for its end, print its trace",
    .args = "SKU:QTY...",
    .options = options,
    .parse = parse,
    .words_max = WORDS_MAX,
    .notes = "exits 0 if confirmed, 1 if cancelled or refused, 75 on timeout",
    .run = run};
