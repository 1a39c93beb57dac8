/* codec.h - event <-> row: payloads as msgpack maps, driven by the catalogue.
 *
 * No message has code of its own here: the field tables of the catalogue say
 * what is written and what is accepted. */
#ifndef CODEC_H
#define CODEC_H

#include "core/event.h"

enum {
    MESSAGE_MAX = 65536, /* bytes of any frame, request or reply */
    DATA_MAX = 2048      /* bytes of one encoded payload */
};

/* Encodes @payload as @message declares it: a map from field name to value,
 * fields in catalogue order.  Fields that hold their zero are left out, so a
 * map is as short as it can be, and every map has exactly one encoding.
 * @out holds DATA_MAX; returns the bytes used.  Asserts on a payload out of
 * its declared limits: what we write ourselves is never malformed. */
size_t codec_encode(const struct message *message, const void *payload,
                    uint8_t out[DATA_MAX]);

/* Decodes and checks: a map, known fields of the right kind, each at most
 * once, in range, ids and UTF-8 valid, list keys unique.  A missing field is
 * zero (and refused when zero is out of its range).  On EVT_BAD *@why (static
 * text) and *@field (borrowed from the catalogue, may be NULL) say what is
 * wrong, and the payload is untouched; else all of its bytes are set. */
MUST_CHECK enum evt_status codec_decode(const struct domain *domain,
                                        const struct message *message,
                                        const uint8_t *bytes, size_t count,
                                        void *payload, const char **why,
                                        const char **field);

/* Checks a payload's values as codec_decode does, without bytes: for what a
 * client built itself.  EVT_OK or EVT_BAD. */
MUST_CHECK enum evt_status codec_check(const struct message *message,
                                       const void *payload, const char **why,
                                       const char **field);

/* Whether the state at @base holds only what its kind's @fields allow: for
 * bytes that were read from a file. */
MUST_CHECK bool codec_check_state(const struct field *fields, const void *base);

/* Zeroes what @message does not declare. */
void codec_trim(const struct domain *domain, const struct message *message,
                void *payload);

/* Whether every field that both messages declare is equal (lists: in the item
 * fields that both declare, in the same order).  What is zero in @pa was left
 * to the service and agrees with anything.  This is how a command sent again
 * (@pa) is told from another command under the same id. */
bool codec_agrees(const struct message *a, const void *pa,
                  const struct message *b, const void *pb);

/* Makes a row of @event in its newest version.  @data is the row's payload,
 * DATA_MAX bytes, and must outlive the row. */
void codec_to_row(const struct domain *domain, const struct event *event,
                  uint8_t data[DATA_MAX], struct row *row);

/* Decodes @row of @source's log @log_id, upcasting old versions.
 * EVT_NONE: the type is unknown.  EVT_NEWER: known, but this version is newer
 * than ours.  EVT_BAD: *@why and *@field as in codec_decode. */
MUST_CHECK enum evt_status
codec_from_row(const struct domain *domain, const char *source,
               const uint8_t log_id[LOG_ID_BYTES], const struct row *row,
               struct event *event, const char **why, const char **field);

#endif
