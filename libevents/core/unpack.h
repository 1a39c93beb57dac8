/* unpack.h - reads msgpack in one pass: a cursor over bytes of a stranger.
 *
 * msgpack-c makes a tree first, and its version 4.0.0 reserves what the head of
 * an array claims (5 bytes can ask for 16 GiB).  Readers here know what they
 * want: they ask for element after element, each is checked against the bytes
 * that are there before it is handed out, and nothing is allocated.  What
 * writes is msgpack-c; what reads agrees with it (test_codec.c, fuzz_codec.c).
 * The format: https://github.com/msgpack/msgpack/blob/master/spec.md */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DEPTH_MAX = 8,    /* nesting of what unpack_skip passes over */
    ITEMS_MAX = 16384 /* objects in it, and in any list */
};

struct unpack {
    const uint8_t *at, *end;
};

enum unpack_kind {
    UNPACK_UINT, /* 0 and more, however it was written */
    UNPACK_INT,  /* below 0 */
    UNPACK_TEXT,
    UNPACK_BINARY,
    UNPACK_LIST,
    UNPACK_MAP,
    UNPACK_OTHER /* nil, booleans and floating point: well-formed, never used */
};

struct element {
    enum unpack_kind kind;
    uint64_t value;       /* the number (INT: cast it to int64_t); the bytes of
                             TEXT and BINARY; how many elements LIST has, how
                             many pairs MAP has: they are read next */
    const uint8_t *bytes; /* TEXT and BINARY; borrowed, never NULL */
};

/* Takes the next element, of a list or a map only its head.  False when no
 * well-formed one is there: too few bytes for what it claims, more than
 * ITEMS_MAX elements, an extension, the reserved byte 0xc1. */
bool unpack_next(struct unpack *in, struct element *element);

/* Passes over one element with all that it holds.  False when it is malformed,
 * deeper than DEPTH_MAX, or of more than ITEMS_MAX objects. */
bool unpack_skip(struct unpack *in);

#endif
