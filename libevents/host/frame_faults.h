/* frame_faults.h - fault points on frames that arrive: lost, late, twice. */
#ifndef FRAME_FAULTS_H
#define FRAME_FAULTS_H

#include "base/env.h"

enum {
    DELAYED_MAX = 256, /* frames held back at once; more are not delayed */
    DELAY_MS = 300
};

struct frame_faults {
    struct delayed {
        uint64_t until_ms, from;
        uint8_t *bytes;
        size_t count;
    } delayed[DELAYED_MAX]; /* as they came */
    size_t count, ripe;     /* the first @ripe are in the open step */
};

void frame_faults_declare(void);

/* Writes to @out what the step gets instead of @inputs; room for 2 * @count +
 * DELAYED_MAX.  Returns how many.  Bytes are borrowed until
 * frame_faults_release. */
size_t frame_faults_apply(struct frame_faults *faults,
                          const struct input inputs[], size_t count,
                          struct input out[]);
void frame_faults_release(struct frame_faults *faults);

/* When the next delayed frame is due, in mono_ms; UINT64_MAX if no frame is
 * delayed. */
uint64_t frame_faults_wake_ms(const struct frame_faults *faults);

/* Frees what is still delayed. */
void frame_faults_close(struct frame_faults *faults);

#endif
