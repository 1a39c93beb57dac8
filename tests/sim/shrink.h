/* shrink.h - makes a failing run small: fewer choices, and calmer ones. */
#ifndef SHRINK_H
#define SHRINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHOICES_MAX = 1 << 20, SHRINK_SECONDS = 60 };

/* Replaces the choices in @bytes (of *@count, room for CHOICES_MAX) by fewer
 * and lower ones that violate the same invariant, whose id it writes to
 * @broken; false: they violate none.  Runs in @directory, each candidate in a
 * process of its own, for at most SHRINK_SECONDS. */
bool shrink(uint8_t *bytes, size_t *count, const char *directory,
            char broken[16]);

#endif
