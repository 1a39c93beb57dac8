/* moment.h - a point in time, as people type it.  */
#ifndef MOMENT_H
#define MOMENT_H

#include "saga-cli/saga.h"

/* Reads @text: "2026-01-31T12:00:00" (or a space for the T) in local time,
 * with a Z behind it in UTC, "2026-01-31" for its midnight, or Unix
 * milliseconds of 13 digits.  A day or an hour that does not exist, a leap
 * second, and what has not come yet are refused.
 *
 * *ms becomes the last millisecond of what was named.  Else it was reported;
 * returns the exit code. */
MUST_CHECK int moment_read(const struct saga *saga, const char *text,
                           int64_t *ms);

#endif
