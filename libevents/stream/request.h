/* request.h - what clients send to a service: commands, and their answers.
 *
 * docs/protocol.md shows both.  Reading takes bytes of a stranger.  A request
 * whose first byte is '{' is JSON instead: queries and controls. */
#ifndef REQUEST_H
#define REQUEST_H

#include "core/codec.h"

enum {
    COMMANDS_PER_REQUEST = 64,
    REQUEST_HEAD_BYTES = 16,       /* most that stands before the commands */
    COMMAND_BYTES = DATA_MAX + 160 /* of one command with its envelope */
};

struct command {
    unsigned type;
    char command_id[ID_BYTES]; /* chosen by the client; one that opens a saga is
                                  its id */
    char order_id[ID_BYTES];   /* the saga's; "" for none */
    alignas(max_align_t) unsigned char data[PAYLOAD_BYTES_MAX];
};

/* What became of a command. */
enum answer_code {
    ANSWER_DONE,    /* recorded, now or when it was first sent */
    ANSWER_REFUSED, /* by the domain: reason and field; nothing recorded */
    ANSWER_BAD,     /* malformed: reason and field; nothing recorded */
    ANSWER_BUSY,    /* overload or a locked database; nothing recorded */
    ANSWER_FULL,    /* storage full; nothing recorded */
    ANSWER_BEHIND,  /* this log has lost its tail; nothing recorded */
    ANSWER_CODES
};
struct answer {
    enum answer_code code;
    struct position at; /* DONE: where the log holds its first event, or the
                           head when there was nothing to do */
    char reason[128];
    char field[32];
};

/* 0: together they are longer than MESSAGE_MAX. */
size_t request_write(const struct domain *domain,
                     const struct command commands[], size_t count,
                     uint8_t message[MESSAGE_MAX]);
/* The same in pieces: what stands before @count commands, and one of them.
 * Both return their bytes. */
size_t request_head_write(size_t count, uint8_t message[MESSAGE_MAX]);
size_t request_command_write(const struct domain *domain,
                             const struct command *command,
                             uint8_t bytes[COMMAND_BYTES]);
/* False: not a request at all; nothing was written.  A single command that is
 * malformed does not spoil the others: its answers[i] is set to ANSWER_BAD with
 * the reason (and commands[i].type to NO_MESSAGE), all others' code to
 * ANSWER_DONE. */
MUST_CHECK bool request_read(const struct domain *domain, const void *bytes,
                             size_t count,
                             struct command commands[COMMANDS_PER_REQUEST],
                             struct answer answers[COMMANDS_PER_REQUEST],
                             size_t *command_count);
size_t request_answers_write(const struct answer answers[], size_t count,
                             uint8_t message[MESSAGE_MAX]);
MUST_CHECK bool
request_answers_read(const void *bytes, size_t count,
                     struct answer answers[COMMANDS_PER_REQUEST],
                     size_t *answer_count);
/* The answers to @count commands: a service that is busy gives one for all.
 * EVT_BAD: these are none. */
MUST_CHECK enum evt_status
request_answers_of(const void *bytes, size_t byte_count, size_t count,
                   struct answer answers[COMMANDS_PER_REQUEST]);

#endif
