/* invariants.h - what the conducted shop promises, for `orchestra check`. */
#ifndef INVARIANTS_H
#define INVARIANTS_H

#include "audit/check.h"

extern const struct check_invariants conducted_invariants;

#endif
