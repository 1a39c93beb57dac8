/* fault.h - named fault points, switched at run time (libfiu underneath).
 *
 * A point costs one call of a test when nothing is set.  Points can only be
 * set in processes started with --faults. */
#ifndef FAULT_H
#define FAULT_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>

/* Reads and sets nothing before this.  @enabled false: fault_set refuses, and
 * no point ever fires. */
void fault_open(bool enabled);

/* Makes a point known, so that `fault ls` can list it.  @what says what
 * happens there, in a few words; both static text.  Registering twice is fine.
 */
void fault_declare(const char *name, const char *what);

/* Whether the fault at @name happens now.  Thread safe. */
bool fault_fires(const char *name);

/* Whether @name is switched on, whether or not it fires at its next pass.  This
 * is no pass.  Thread safe. */
bool fault_is_set(const char *name);

/* kill -9 of this very process if the fault at @name happens now. */
void fault_crash(const char *name);

/* If the fault at @name happens now, the calling thread waits until the process
 * is killed; the other threads go on, and send what was handed to them. */
void fault_hang(const char *name);

/* Switches @name on: from the @after-th pass on (0: the next), @times times
 * (0: until cleared), each with @percent probability.  EVT_NONE: no such
 * point; EVT_BAD: faults are not enabled, or a number is out of range. */
MUST_CHECK enum evt_status fault_set(const char *name, unsigned after,
                                     unsigned times, unsigned percent);
/* Switches @name off; NULL: all of them. */
MUST_CHECK enum evt_status fault_clear(const char *name);

/* [{"point","what","set":bool,"after","times","percent","passed","fired"}],
 * sorted by name.  A new reference. */
json_t *fault_list(void);

#endif
