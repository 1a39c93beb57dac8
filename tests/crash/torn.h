/* torn.h - what torn.c writes down about files, and tests/tools/power_cut.c
 * undoes.
 *
 * The log is a sequence of entries, each followed by the bytes that its call
 * replaced: whole sectors, filled up with zeros beyond the end of the file. */
#ifndef TORN_H
#define TORN_H

#include <stdint.h>

enum { SECTOR = 512 };

enum torn_kind {
    TORN_WRITE,
    TORN_TRUNCATE, /* bytes: what was cut off, from the sector of the new end */
    TORN_SYNC,     /* everything before offset `upto` of this log is durable */
    TORN_FORGET    /* the file is gone; its number may be another's soon */
};

struct torn_entry {
    uint64_t device, inode;
    uint32_t kind;
    uint32_t bytes;
    int64_t at;   /* of the bytes, in the file; a multiple of SECTOR */
    int64_t size; /* of the file, before */
    int64_t upto;
};

#endif
