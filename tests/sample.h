/* sample.h - payloads and events as the catalogue allows them, from a seed.
 *
 * Values lie at a limit as often as between the limits.  The code names no
 * message, so that it covers a new row of the catalogue by itself. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "core/event.h"
#include "shop/shop.h"

struct sample {
    uint64_t random;
};

/* 0 to @below - 1. */
uint64_t sample_random(struct sample *sample, uint64_t below);

/* Fills what @message declares, within its limits; the rest is zero. */
void sample_payload(struct sample *sample, const struct message *message,
                    struct payload *payload);
/* Every field as large as it may be. */
void sample_largest(const struct message *message, struct payload *payload);

/* An event of @type (no command) with a whole envelope; at is not set. */
void sample_event(struct sample *sample, unsigned type, struct event *event);

#endif
