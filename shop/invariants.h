/* invariants.h - what the shop's events must add up to, for check_run. */
#ifndef INVARIANTS_H
#define INVARIANTS_H

#include "audit/check.h"

enum {
    CHECK_S3 = CHECK_OWN, /* no order both confirmed and cancelled */
    CHECK_S4, /* one charge an order, a refund only after it and equal */
    CHECK_S5, /* deposits + refunds - charges = balance, never below zero */
    CHECK_S6, /* received = free + reserved + shipped, none below zero */
    CHECK_S8, /* the services agree on order, customer, lines and total */
    CHECK_L1, /* no order pending past its deadline */
    CHECK_Q1, /* every saga is in one of its six end states */
    CHECK_SHOP_IDS
};

extern const struct check_invariants shop_invariants;

#endif
