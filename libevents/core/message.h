/* message.h - what a message is: names, versions and fields, as tables.
 *
 * A domain describes its messages in a catalogue of these, with the limits of
 * every field; codec.h encodes, decodes and checks by it, json.h prints by it.
 * A state is described in the same way (service.h). */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SERVICE_BYTES = 16,       /* all *_BYTES include the final NUL */
    ID_BYTES = 40,            /* a saga's id, a command's: A-Z a-z 0-9 . _ - */
    PAYLOAD_BYTES_MAX = 1024, /* of a domain's payload, as a struct */
    STATE_BYTES_MAX = 4096    /* of a state */
};

/* Message types and kinds of tags are numbers of the domain's own, from 1.
 * One kind is the library's: the saga that an event belongs to. */
enum { NO_MESSAGE = 0, NO_TAG = 0, TAG_ORDER = 1 };

enum field_kind {
    FIELD_INT,  /* int64_t, min to max */
    FIELD_ID,   /* text of A-Z a-z 0-9 . _ -, 1 to size - 1 bytes */
    FIELD_TEXT, /* UTF-8 without control characters, 0 to size - 1 bytes */
    FIELD_LIST  /* a uint32_t that counts, and an array of structs */
};

/* One field of a payload, of a state, or of an item in a list. */
struct field {
    const char *name;
    enum field_kind kind;
    uint16_t offset;           /* in its struct; of the counter, for LIST */
    uint16_t size;             /* of the char array, for ID and TEXT */
    const char *unit;          /* "pieces" or NULL: how people read it */
    int64_t min, max;          /* of an INT; number of items, for LIST */
    unsigned tag;              /* the kind of tag that it is; 0 = none */
    const struct field *items; /* LIST only: ends with name == NULL; the first
                                  is the key, repeats are refused */
    const char *const *names;  /* an INT that is an enum: its words, or NULL */
    uint16_t list;             /* LIST only: the offset of the array, */
    uint16_t item_bytes;       /* and the size of one item */
};

/* Where a field lies: {"status", FIELD_INT, AT(struct order, status)}, and a
 * list with its counter: AT_LIST(struct order, line_count, lines). */
#define AT(type, member)                                                       \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define AT_LIST(type, counter, array)                                          \
    AT(type, counter), .list = offsetof(type, array),                          \
                       .item_bytes = sizeof(((type *)0)->array[0])

/* How many items list @field of the struct at @base has, and the one of number
 * @i.  What a file or a stranger counted is checked against field->max before
 * items are asked for. */
static inline uint32_t field_count(const struct field *field, const void *base)
{
    uint32_t count;

    memcpy(&count, (const char *)base + field->offset, sizeof count);
    return count;
}

static inline const void *field_item(const struct field *field,
                                     const void *base, uint32_t i)
{
    return (const char *)base + field->list + (size_t)i * field->item_bytes;
}

/* What a command's envelope says about the saga that it is for. */
enum saga_rule {
    NO_SAGA,    /* it is for none */
    OPENS_SAGA, /* its own id becomes the saga's */
    OF_SAGA     /* it names one */
};

/* One version of one message. */
struct message {
    unsigned type;    /* the domain's number for it, from 1 */
    uint32_t version; /* from 1; an event is always written in the newest */
    const char *name;
    int is_command;
    const struct field *fields; /* ends with name == NULL */
    /* Makes a payload of this version one of the next; NULL for the newest.
     * Pure, and never fails: the limits are chosen so. */
    void (*upcast)(void *payload);
    enum saga_rule saga; /* of a command */
    unsigned undoes;     /* the event that this one compensates; 0: none */
};

#endif
