/* wire.h - the elements of every message: a cursor over msgpack, both ways.
 *
 * A message is an array that begins with a letter and the version of the
 * protocol.  Writers pack straight into the caller's buffer.  Readers take each
 * element by its place and type: the first that is not what was asked for makes
 * all that follow fail, too, so it is enough to look at the end.
 * Used by: frame.c, pull.c, request.c, wire.c. */
#ifndef WIRE_H
#define WIRE_H

#include "core/codec.h"
#include "core/unpack.h"

#include <msgpack.h>

/* ---- writing ---- */

struct wire_out {
    msgpack_packer packer;
    uint8_t *bytes;
    size_t count, size;
    bool overflow; /* it did not fit: what follows is dropped */
};

void wire_begin(struct wire_out *out, uint8_t *bytes, size_t size);
/* Begins [letter, version, ...], of @items in all. */
void wire_begin_message(struct wire_out *out, uint8_t message[MESSAGE_MAX],
                        const char *letter, size_t items);
void wire_put_list(struct wire_out *out, size_t items);
void wire_put_text(struct wire_out *out, const char *text);
void wire_put_bin(struct wire_out *out, const void *bytes, size_t count);
void wire_put_uint(struct wire_out *out, uint64_t value);
void wire_put_int(struct wire_out *out, int64_t value);
/* Elements that were written before. */
void wire_put_written(struct wire_out *out, const uint8_t *bytes, size_t count);
/* How many bytes were written.  Asserts that all fit. */
size_t wire_end(const struct wire_out *out);

/* ---- reading ---- */

/* What is left of a message.  Binaries point into the message itself, so they
 * outlive this struct. */
struct wire_in {
    struct unpack left;
    bool good; /* so far everything was as asked */
};

void wire_open(struct wire_in *in, const void *bytes, size_t count);
/* The same for a message of @items elements, of which the first two are @letter
 * and our version.  False when it is something else. */
MUST_CHECK bool wire_open_message(struct wire_in *in, const void *bytes,
                                  size_t count, const char *letter,
                                  uint32_t items);
/* True if everything was as asked and nothing is left over. */
MUST_CHECK bool wire_close(const struct wire_in *in);

uint64_t wire_take_uint(struct wire_in *in, uint64_t max);
int64_t wire_take_int(struct wire_in *in);
void wire_take_text(struct wire_in *in, char *text, size_t size);
/* An id, or "". */
void wire_take_id(struct wire_in *in, char *text, size_t size);
/* A binary of @size bytes, or, if it may be empty, of none: zeros then. */
void wire_take_fixed(struct wire_in *in, uint8_t *bytes, size_t size,
                     bool may_be_empty);
/* A binary of any length; borrowed from the message. */
const uint8_t *wire_take_bin(struct wire_in *in, size_t *count);
/* The head of a list of at most @max elements, which are taken next; returns
 * how many. */
uint32_t wire_take_list(struct wire_in *in, uint32_t max);
/* The head of a list of exactly @items elements. */
void wire_take_list_of(struct wire_in *in, uint32_t items);
/* Any element, to be read by itself: what is wrong in it stays with it, unless
 * it is no msgpack at all. */
struct wire_in wire_take_element(struct wire_in *in);

#endif
