/* payment.h - what payment-svc is made of: its domain (payment.c) and the view
 * that it answers queries from (view.c).  Next: payment.c. */
#ifndef PAYMENT_H
#define PAYMENT_H

#include "core/service.h"

struct view;

extern const struct service payment_service;
extern const struct view account_view;

#endif
