/* codec.h - event <-> row: payloads as msgpack maps, driven by the catalogue.
 *
 * No message has code of its own here: the field tables of shop.c say what is
 * written and what is accepted.  Every byte from outside passes
 * codec_check_bytes before msgpack-c sees it, because msgpack-c 4.0.0 reserves
 * what an array header claims (5 bytes can ask for 16 GiB). */
#ifndef CODEC_H
#define CODEC_H

#include "core/event.h"

#include <jansson.h>

enum {
    DEPTH_MAX = 8,       /* nesting of any message we accept */
    MESSAGE_MAX = 65536, /* bytes of any frame, request or reply */
    DATA_MAX = 2048,     /* bytes of one encoded payload */
    ITEMS_MAX = 16384    /* objects in any message we accept */
};

/* Whether @bytes hold exactly one well-formed msgpack object within DEPTH_MAX
 * and ITEMS_MAX, whose every length fits the bytes that are there.  Does not
 * allocate.  Extension types and the reserved byte 0xc1 are refused. */
bool codec_check_bytes(const void *bytes, size_t count);

/* Encodes @payload as @message declares it: a map from field name to value,
 * fields in catalogue order.  Fields that hold their zero are left out, so a
 * map is as short as it can be, and every map has exactly one encoding.
 * @out holds DATA_MAX; returns the bytes used.  Asserts on a payload out of
 * its declared limits: what we write ourselves is never malformed. */
size_t codec_encode(const struct message *message,
                    const struct payload *payload, uint8_t out[DATA_MAX]);

/* Decodes and checks: a map, known fields of the right kind, each at most
 * once, in range, ids and UTF-8 valid, list keys unique.  A missing field is
 * zero (and refused when zero is out of its range).  On EVT_BAD *@why (static
 * text) and *@field (borrowed from the catalogue, may be NULL) say what is
 * wrong, and *payload is untouched. */
MUST_CHECK enum evt_status codec_decode(const struct message *message,
                                        const uint8_t *bytes, size_t count,
                                        struct payload *payload,
                                        const char **why, const char **field);

/* Checks a payload's values as codec_decode does, without bytes: for what a
 * client built itself.  EVT_OK or EVT_BAD. */
MUST_CHECK enum evt_status codec_check(const struct message *message,
                                       const struct payload *payload,
                                       const char **why, const char **field);

/* Whether the state at @base holds only what its kind's @fields allow: for
 * bytes that were read from a file. */
MUST_CHECK bool codec_check_state(const struct field *fields, const void *base);

/* Zeroes what @message does not declare. */
void codec_trim(const struct message *message, struct payload *payload);

/* Whether every field that both messages declare is equal (lines: in the item
 * fields that both declare, in the same order).  What is zero in @pa was left
 * to the service and agrees with anything.  This is how a command sent again
 * (@pa) is told from another command under the same id. */
bool codec_agrees(const struct message *a, const struct payload *pa,
                  const struct message *b, const struct payload *pb);

/* Makes a row of @event in its newest version.  @data is the row's payload,
 * DATA_MAX bytes, and must outlive the row. */
void codec_to_row(const struct event *event, uint8_t data[DATA_MAX],
                  struct row *row);

/* Decodes @row of @source's log @log_id, upcasting old versions.
 * EVT_NONE: the type is unknown.  EVT_NEWER: known, but this version is newer
 * than ours.  EVT_BAD: *@why and *@field as in codec_decode. */
MUST_CHECK enum evt_status codec_from_row(const char *source,
                                          const uint8_t log_id[LOG_ID_BYTES],
                                          const struct row *row,
                                          struct event *event, const char **why,
                                          const char **field);

/* ---- JSON, for people and programs ----------------------------------------
 * All return new references that the caller releases with json_decref. */

/* A payload (@fields of a message, @base a struct payload) or a state (a
 * kind's fields): the same walk over the same tables. */
json_t *json_from_fields(const struct field *fields, const void *base);

/* The same as text, exactly as json_dumps(JSON_COMPACT) would print it, but
 * without building a tree first.  @text holds FIELDS_TEXT_MAX; returns the
 * length. */
enum { FIELDS_TEXT_MAX = 4096 };
size_t json_write_fields(const struct field *fields, const void *base,
                         char text[FIELDS_TEXT_MAX]);

/* {"source","log","seq","type","version","order","time_ms","cause":{...},
 * "data":{...},"hash"?}: log ids and hashes in hex.  A row that cannot be
 * decoded has "raw" (hex) and "problem" in place of "data".  @hash may be
 * NULL. */
json_t *json_from_row(const char *source, const uint8_t log_id[LOG_ID_BYTES],
                      const struct row *row, const uint8_t *hash);

/* The reverse, for clients that read logs through queries: decodes such an
 * object into @event (upcast, newest version).  EVT_BAD when it is not one,
 * EVT_NONE/EVT_NEWER as codec_from_row: then only the envelope is set. */
MUST_CHECK enum evt_status json_to_event(const json_t *json,
                                         struct event *event);

/* "12.34" <-> 1234.  text_cents holds CENTS_BYTES.  text_parse_cents accepts
 * "12", "12.3", "12.34", nothing else, and refuses what overflows. */
enum { CENTS_BYTES = 24 };
char *text_cents(int64_t cents, char text[CENTS_BYTES]);
MUST_CHECK bool text_parse_cents(const char *text, int64_t *cents);

/* Bytes <-> lower-case hex.  @text holds 2 * count + 1. */
char *text_hex(const uint8_t *bytes, size_t count, char *text);
MUST_CHECK bool text_parse_hex(const char *text, uint8_t *bytes, size_t count);

#endif
