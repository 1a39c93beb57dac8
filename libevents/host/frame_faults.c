/* frame_faults.c - see frame_faults.h.
 *
 * Only frames with events count as a pass of these points, not heartbeats; to
 * tell them apart takes decoding them, which is done while one of the points
 * is set and not otherwise. */
#include "host/frame_faults.h"

#include "base/fault.h"
#include "host/clock.h"
#include "stream/frame.h"

#include <stdlib.h>
#include <string.h>

void frame_faults_declare(void)
{
    fault_declare("frame/drop", "an incoming frame of events is lost");
    fault_declare("frame/duplicate", "an incoming frame arrives twice");
    fault_declare("frame/delay", "an incoming frame waits 300 ms");
}

static bool any_is_set(void)
{
    return fault_is_set("frame/drop") || fault_is_set("frame/duplicate") ||
           fault_is_set("frame/delay");
}

static bool carries_events(const struct input *input)
{
    static struct frame frame; /* large; the write loop is one thread */

    return input->kind == INPUT_FRAME &&
           frame_read(input->bytes, input->count, &frame) && frame.count > 0;
}

static bool hold_back(struct frame_faults *faults, const struct input *input)
{
    struct delayed *delayed = &faults->delayed[faults->count];

    if (faults->count == DELAYED_MAX)
        return false;
    delayed->bytes = malloc(input->count);
    if (delayed->bytes == NULL)
        return false;
    memcpy(delayed->bytes, input->bytes, input->count);
    delayed->count = input->count;
    delayed->from = input->from;
    delayed->until_ms = clock_mono_ms(NULL) + DELAY_MS;
    faults->count++;
    return true;
}

/* Delayed frames whose time has come. */
static size_t take_ripe(struct frame_faults *faults, struct input out[])
{
    uint64_t now = clock_mono_ms(NULL);
    size_t ripe = 0;

    while (ripe < faults->count && faults->delayed[ripe].until_ms <= now) {
        const struct delayed *delayed = &faults->delayed[ripe];

        out[ripe++] = (struct input){INPUT_FRAME, delayed->from, delayed->bytes,
                                     delayed->count};
    }
    return ripe;
}

size_t frame_faults_apply(struct frame_faults *faults,
                          const struct input inputs[], size_t count,
                          struct input out[])
{
    bool set = any_is_set();
    size_t kept = faults->ripe = take_ripe(faults, out);

    for (size_t i = 0; i < count; i++) {
        if (set && carries_events(&inputs[i])) {
            if (fault_fires("frame/drop") ||
                (fault_fires("frame/delay") && hold_back(faults, &inputs[i])))
                continue;
            if (fault_fires("frame/duplicate"))
                out[kept++] = inputs[i];
        }
        out[kept++] = inputs[i];
    }
    return kept;
}

static void drop(struct frame_faults *faults, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(faults->delayed[i].bytes);
    faults->count -= count;
    memmove(faults->delayed, faults->delayed + count,
            faults->count * sizeof faults->delayed[0]);
}

void frame_faults_release(struct frame_faults *faults)
{
    drop(faults, faults->ripe);
    faults->ripe = 0;
}

uint64_t frame_faults_wake_ms(const struct frame_faults *faults)
{
    return faults->count == 0 ? UINT64_MAX : faults->delayed[0].until_ms;
}

void frame_faults_close(struct frame_faults *faults)
{
    drop(faults, faults->count);
}
