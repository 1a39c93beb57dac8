/* control.h - what operators tell the write side: redrive and accept. */
#ifndef CONTROL_H
#define CONTROL_H

#include "write/router.h"

/* Their ctx is the struct shell. */
extern const struct route control_routes[];

#endif
