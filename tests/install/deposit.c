/* deposit.c - deposit DIRECTORY CUSTOMER CENTS: sends the till a command, and
 * prints what its view says then. */
#include "coins.h"

#include <net/client.h>

#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what)
{
    fprintf(stderr, "deposit: %s\n", what);
    return 1;
}

/* Asks the view, which answers when it has folded the event at @at. */
static json_t *ask(struct client *client, const struct position *at)
{
    char log[2 * LOG_ID_BYTES + 1];
    json_t *request, *reply = NULL;

    text_hex(at->log_id, LOG_ID_BYTES, log);
    request =
        json_pack("{s:s,s:[{s:s,s:s,s:I}]}", "get", "deposits", "after",
                  "service", "till", "log", log, "seq", (json_int_t)at->seq);
    if (client_ask(client, "till", "qry", request, 5000, &reply) != EVT_OK)
        reply = NULL;
    json_decref(request);
    return reply;
}

static int deposit(struct client *client, const struct command *command)
{
    struct answer answer;
    json_t *reply;

    if (client_command(client, "till", command, 1, 5000, &answer) != EVT_OK)
        return fail("no answer");
    if (answer.code != ANSWER_DONE)
        return fail("not recorded");
    reply = ask(client, &answer.at);
    if (reply == NULL)
        return fail("no answer from the view");
    json_dumpf(reply, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(reply);
    return 0;
}

int main(int argc, char **argv)
{
    struct command command = {.type = DEPOSIT_COINS};
    struct client *client;
    char why[256];
    int code;

    if (argc != 4)
        return fail("usage: deposit DIRECTORY CUSTOMER CENTS");
    if (client_open(&coins_domain, argv[1], NULL, &client, why, sizeof why) !=
        EVT_OK)
        return fail(why);
    client_new_id("d", command.command_id);
    snprintf(coins_in(command.data)->customer,
             sizeof coins_in(command.data)->customer, "%s", argv[2]);
    coins_in(command.data)->cents = strtoll(argv[3], NULL, 10);
    code = deposit(client, &command);
    client_close(client);
    return code;
}
