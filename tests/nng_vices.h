/* nng_vices.h - which bugs the NNG has that this runs on, and what it never
 * frees because of them. */
#ifndef NNG_VICES_H
#define NNG_VICES_H

#include "net/bus.h"

#include <criterion/criterion.h>
#include <nng/nng.h>
#include <stdbool.h>
#include <stdio.h>

/* Whether the NNG that this runs on has it. */
static bool has_vice(enum nng_vice vice)
{
    int major = 0, minor = 0, patch = 0;

    cr_assert_eq(sscanf(nng_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    return major * 10000 + minor * 100 + patch < (int)vice;
}

/* An endpoint that VICE_DEAF_LISTENER has made deaf is never freed.  A test
 * that provokes that sets this, and LeakSanitizer, which asks below as the
 * process ends, looks away. */
static bool nng_leaks;

int __lsan_is_turned_off(void); /* NOLINT: its name, not ours */
int __lsan_is_turned_off(void)  /* NOLINT */
{
    return nng_leaks;
}

#endif
