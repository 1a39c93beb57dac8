/* choice.h - the one stream from which a simulation takes all its chances.
 *
 * A run is a function of this stream and of nothing else.  It comes from a
 * seed, and is recorded as it is read; or from bytes: a recorded run, what the
 * shrinker made of one, or what a fuzzer proposes.  In every choice 0 is the
 * calm one (no fault, no delay, the first of a list), and bytes that are not
 * there read as 0: so zeroing and deleting bytes makes runs simpler.  The idea
 * is Hypothesis' (MacIver and Donaldson, "Test-Case Reduction via Test-Case
 * Generation", ECOOP 2020).  Next: sim.h. */
#ifndef CHOICE_H
#define CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choice {
    uint64_t state; /* of the generator, when there is a seed */
    bool replayed;  /* from bytes */
    size_t at;      /* how many bytes were used */
    size_t count;   /* how many there are to replay */
    const uint8_t *bytes;
    uint8_t *record; /* what was used */
    size_t room;
};

void choice_from_seed(struct choice *choice, uint64_t seed);
/* @bytes stays the caller's. */
void choice_from_bytes(struct choice *choice, const uint8_t *bytes,
                       size_t count);
/* Forgets the record. */
void choice_close(struct choice *choice);

/* A number below @n, 1 to 65536. */
unsigned choose(struct choice *choice, unsigned n);

/* True in @of256 of 256 cases. */
bool chance(struct choice *choice, unsigned of256);

/* The generator behind it, for what needs no say in a run: nonces, ids, the
 * fate of single sectors.  Steele, Lea and Flood's SplitMix64. */
uint64_t mix64(uint64_t *state);

#endif
