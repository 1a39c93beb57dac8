/* request.c - writing and reading requests of clients and their answers. */
#include "stream/request.h"

#include "stream/wire.h"

#include <assert.h>
#include <string.h>

enum { REQUEST_ITEMS = 3, COMMAND_ITEMS = 4, ANSWER_ITEMS = 5 };

size_t request_head_write(size_t count, uint8_t message[MESSAGE_MAX])
{
    struct wire_out out;

    assert(count <= COMMANDS_PER_REQUEST);
    wire_begin_message(&out, message, "c", REQUEST_ITEMS);
    wire_put_list(&out, count);
    return wire_end(&out);
}

size_t request_command_write(const struct domain *domain,
                             const struct command *command,
                             uint8_t bytes[COMMAND_BYTES])
{
    const struct message *type = domain_message(domain, command->type);
    uint8_t data[DATA_MAX];
    size_t data_bytes = codec_encode(type, command->data, data);
    struct wire_out out;

    wire_begin(&out, bytes, COMMAND_BYTES);
    wire_put_list(&out, COMMAND_ITEMS);
    wire_put_text(&out, type->name);
    wire_put_text(&out, command->command_id);
    wire_put_text(&out, command->order_id);
    wire_put_bin(&out, data, data_bytes);
    return wire_end(&out);
}

size_t request_write(const struct domain *domain,
                     const struct command commands[], size_t count,
                     uint8_t message[MESSAGE_MAX])
{
    size_t bytes = request_head_write(count, message);

    for (size_t i = 0; i < count; i++) {
        uint8_t command[COMMAND_BYTES];
        size_t more = request_command_write(domain, &commands[i], command);

        if (more > MESSAGE_MAX - bytes)
            return 0;
        memcpy(message + bytes, command, more);
        bytes += more;
    }
    return bytes;
}

static void set_bad(struct command *command, struct answer *answer,
                    const char *why, const char *field)
{
    command->type = NO_MESSAGE;
    answer->code = ANSWER_BAD;
    text_copy(answer->reason, sizeof answer->reason, why);
    text_copy(answer->field, sizeof answer->field, field ? field : "");
}

/* One command of a request; what is wrong with it alone stays with it. */
static void take_command(const struct domain *domain, struct wire_in in,
                         struct command *command, struct answer *answer)
{
    const struct message *message;
    const char *why = "", *field = NULL;
    const uint8_t *data;
    size_t bytes;
    char type[32];

    memset(command, 0, sizeof *command);
    memset(answer, 0, sizeof *answer);
    wire_take_list_of(&in, COMMAND_ITEMS);
    wire_take_text(&in, type, sizeof type);
    wire_take_id(&in, command->command_id, ID_BYTES);
    wire_take_id(&in, command->order_id, ID_BYTES);
    data = wire_take_bin(&in, &bytes);
    message = in.good ? domain_message_named(domain, type, 1, NULL) : NULL;
    if (!in.good)
        set_bad(command, answer, "not a command", NULL);
    else if (message == NULL || !message->is_command)
        set_bad(command, answer, "no such command", "type");
    else if (command->command_id[0] == '\0')
        set_bad(command, answer, "a command needs an id", "id");
    else if (codec_decode(domain, message, data, bytes, command->data, &why,
                          &field) != EVT_OK)
        set_bad(command, answer, why, field);
    else
        command->type = message->type;
}

bool request_read(const struct domain *domain, const void *bytes, size_t count,
                  struct command commands[COMMANDS_PER_REQUEST],
                  struct answer answers[COMMANDS_PER_REQUEST],
                  size_t *command_count)
{
    struct wire_in in;
    size_t commands_in = 0;

    if (wire_open_message(&in, bytes, count, "c", REQUEST_ITEMS)) {
        commands_in = wire_take_list(&in, COMMANDS_PER_REQUEST);
        for (size_t i = 0; in.good && i < commands_in; i++)
            take_command(domain, wire_take_element(&in), &commands[i],
                         &answers[i]);
        in.good = in.good && commands_in > 0;
    }
    if (!wire_close(&in))
        return false;
    *command_count = commands_in;
    return true;
}

size_t request_answers_write(const struct answer answers[], size_t count,
                             uint8_t message[MESSAGE_MAX])
{
    struct wire_out out;

    assert(count <= COMMANDS_PER_REQUEST);
    wire_begin_message(&out, message, "a", REQUEST_ITEMS);
    wire_put_list(&out, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_list(&out, ANSWER_ITEMS);
        wire_put_uint(&out, answers[i].code);
        wire_put_bin(&out, answers[i].at.log_id, LOG_ID_BYTES);
        wire_put_uint(&out, answers[i].at.seq);
        wire_put_text(&out, answers[i].reason);
        wire_put_text(&out, answers[i].field);
    }
    return wire_end(&out);
}

bool request_answers_read(const void *bytes, size_t count,
                          struct answer answers[COMMANDS_PER_REQUEST],
                          size_t *answer_count)
{
    struct wire_in in;
    size_t answers_in = 0;

    if (wire_open_message(&in, bytes, count, "a", REQUEST_ITEMS)) {
        answers_in = wire_take_list(&in, COMMANDS_PER_REQUEST);
        for (size_t i = 0; in.good && i < answers_in; i++) {
            wire_take_list_of(&in, ANSWER_ITEMS);
            answers[i].code =
                (enum answer_code)wire_take_uint(&in, ANSWER_CODES - 1);
            wire_take_fixed(&in, answers[i].at.log_id, LOG_ID_BYTES, false);
            answers[i].at.seq = wire_take_uint(&in, INT64_MAX);
            wire_take_text(&in, answers[i].reason, sizeof answers[i].reason);
            wire_take_text(&in, answers[i].field, sizeof answers[i].field);
        }
    }
    if (!wire_close(&in))
        return false;
    *answer_count = answers_in;
    return true;
}

enum evt_status request_answers_of(const void *bytes, size_t byte_count,
                                   size_t count,
                                   struct answer answers[COMMANDS_PER_REQUEST])
{
    size_t answered = 0;

    if (!request_answers_read(bytes, byte_count, answers, &answered) ||
        (answered != count && answered != 1))
        return EVT_BAD;
    for (size_t i = answered; i < count; i++) /* busy: one for all */
        answers[i] = answers[0];
    return EVT_OK;
}
