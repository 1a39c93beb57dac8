/* must.h - assertions where Criterion is not linked, and random numbers that
 * repeat. */
#ifndef MUST_H
#define MUST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the process, loudly, when @condition does not hold. */
#define MUST(condition)                                                        \
    ((condition) ? (void)0 : must_fail(__FILE__, __LINE__, #condition))

static inline _Noreturn void must_fail(const char *file, int line,
                                       const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* 0 to @below - 1, from @state, which is not 0: Marsaglia's xorshift64. */
static inline uint64_t must_random(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

#endif
