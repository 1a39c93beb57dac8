/* event.h - an event: envelope and payload, its tags, and the hash chain.
 *
 * An event has two shapes.  `struct event` is decoded, what domains decide on
 * and fold.  `struct row` is the event as the log stores it and the wire
 * carries it, payload still encoded: rows are hashed, sent and parked without
 * being understood.  codec.h turns one into the other. */
#ifndef EVENT_H
#define EVENT_H

#include "base/status.h"
#include "base/text.h"
#include "core/domain.h"

#include <stdalign.h>
#include <stdbool.h>

enum {
    LOG_ID_BYTES = 16,
    HASH_BYTES = 32,
    TAG_BYTES = 64,
    EVENT_TAGS_MAX = 16
};

/* A position in one log: the unit of causality, of cursors and of answers. */
struct position {
    uint8_t log_id[LOG_ID_BYTES]; /* the identity of one log file */
    uint64_t seq;                 /* 1-based; 0 = before the first event */
};

/* What a reader has consumed of one log. */
struct cursor {
    struct position at;
    uint8_t hash[HASH_BYTES]; /* of the event at that position */
};

/* Why something happened: an event of a log, or a command. */
struct cause {
    char source[SERVICE_BYTES]; /* "" when a command was the cause */
    struct position at;
    char command_id[ID_BYTES]; /* "" when an event was the cause */
};

/* Decoded.  A plain value that can be copied; its payload lies inside, the
 * domain's own struct (domain.h: payload_bytes): so a program that includes
 * this compiles with -fno-strict-aliasing, as pkg-config says. */
struct event {
    unsigned type;              /* the domain's number for it */
    char source[SERVICE_BYTES]; /* the service whose log holds it */
    struct position at;
    char order_id[ID_BYTES]; /* the saga; "" for none */
    int64_t time_ms;         /* Unix time, for display: no decision uses two
                                processes' clocks */
    struct cause cause;
    alignas(max_align_t) unsigned char data[PAYLOAD_BYTES_MAX];
};

/* An event as stored and sent.  Pointers are borrowed from the message or the
 * database row that it was read from; text is NUL-terminated and was checked
 * for length.  Empty text and NULL blobs stand for "none". */
struct row {
    uint64_t seq;
    char type[32];
    uint32_t version;
    char order_id[ID_BYTES];
    int64_t time_ms;
    char cause_source[SERVICE_BYTES];
    uint8_t cause_log[LOG_ID_BYTES]; /* all zeros when the cause is a command */
    uint64_t cause_seq;
    char command_id[ID_BYTES];
    const uint8_t *data; /* msgpack map, see codec.h */
    uint32_t data_bytes;
};

/* The hash before the first event: BLAKE2b-256 of source and log id. */
void event_genesis(const char *source, const uint8_t log_id[LOG_ID_BYTES],
                   uint8_t hash[HASH_BYTES]);

/* The hash of @row: BLAKE2b-256 over @previous and the columns in table order
 * (seq, type, version, order_id, time_ms, cause_source, cause_log, cause_seq,
 * command_id, data), each with its length as 4 bytes big-endian in front,
 * integers as 8 bytes big-endian, no cause_log as length 0.  @hash may be
 * @previous. */
void event_hash(const uint8_t previous[HASH_BYTES], const struct row *row,
                uint8_t hash[HASH_BYTES]);

/* The text of a tag, "order:o-7", or in the words of @domain, which may be NULL
 * for TAG_ORDER.  @text holds TAG_BYTES. */
void event_tag(const struct domain *domain, unsigned kind, const char *key,
               char text[TAG_BYTES]);

struct tag {
    unsigned kind;
    const char *key; /* borrowed from the event */
};

/* Every tag of @event: its order's, and (@domain may be NULL: no others) those
 * of its tagged fields.  Writes at most EVENT_TAGS_MAX (order + one + LINES_MAX
 * fit); returns how many.  The same tag is never named twice. */
size_t event_tags(const struct domain *domain, const struct event *event,
                  struct tag tags[EVENT_TAGS_MAX]);

/* "order/9f3a.../12" - the event id, for logs and people.  Returns @text,
 * which holds EVENT_ID_BYTES. */
enum { EVENT_ID_BYTES = SERVICE_BYTES + 2 * LOG_ID_BYTES + 24 };
char *event_id(const char *source, const struct position *at,
               char text[EVENT_ID_BYTES]);

/* Whether @type is among the (zero-terminated, at most @max) @types. */
bool event_type_in(unsigned type, const unsigned *types, size_t max);

#endif
