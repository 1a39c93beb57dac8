/* invariants.h - what the conducted shop promises, for `orchestra check`. */
#ifndef INVARIANTS_H
#define INVARIANTS_H

#include "audit/check.h"

enum { /* S: at every moment; L: within a bound; Q: when all is quiet */
       CHECK_S3 = CHECK_OWN, /* no order both confirmed and cancelled */
       CHECK_S4, /* one charge an order, a refund only after it and equal */
       CHECK_S5, /* deposits + refunds - charges = balance, never below zero */
       CHECK_S6, /* received = free + reserved + shipped, none below zero */
       CHECK_S8, /* the services agree on what was ordered */
       CHECK_L1, /* no order pending past its deadline */
       CHECK_Q1, /* every saga is in one of its end states */
       CHECK_CONDUCTED_IDS
};

extern const struct check_invariants conducted_invariants;

#endif
