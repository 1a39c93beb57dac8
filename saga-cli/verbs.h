/* verbs.h - every verb of the `saga` command, in the order of the help. */
#ifndef VERBS_H
#define VERBS_H

#include "saga.h"

verb_fn verb_place, verb_cancel, verb_stock, verb_fund, verb_product;
verb_fn verb_ls, verb_show, verb_trace, verb_why, verb_log, verb_flow;
verb_fn verb_status, verb_wait, verb_check, verb_verify;
verb_fn verb_fault, verb_parked, verb_redrive, verb_accept;
verb_fn verb_rebuild, verb_backup, verb_shutdown, verb_scenario, verb_learn,
    verb_bench;

#endif
