/* clock.h - the machine's clocks, in the form that env wants them. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* env.mono_ms and env.wall_ms; @ctx is not used. */
uint64_t clock_mono_ms(void *ctx);
int64_t clock_wall_ms(void *ctx);

#endif
