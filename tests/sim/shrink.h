/* shrink.h - makes a failing run small: fewer choices, and calmer ones. */
#ifndef SHRINK_H
#define SHRINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHOICES_MAX = 1 << 20 };

/* Replaces the choices in @bytes (of *@count, room for CHOICES_MAX) by fewer
 * and lower ones that violate the same invariant, whose id it writes to
 * @broken; false: they violate none.  Runs in @directory, each candidate in a
 * process of its own, for at most @seconds. */
bool shrink(uint8_t *bytes, size_t *count, const char *directory,
            unsigned seconds, char broken[16]);

#endif
