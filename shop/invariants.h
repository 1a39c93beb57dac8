/* invariants.h - what the shop's events must add up to, for check_run. */
#ifndef INVARIANTS_H
#define INVARIANTS_H

#include "audit/check.h"

extern const struct check_invariants shop_invariants;

#endif
