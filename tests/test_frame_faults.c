/* test_frame_faults.c - a fault point loses, delays or repeats frames that
 * arrive; without one, no frame is decoded for it. */
#include "base/fault.h"
#include "host/clock.h"
#include "host/frame_faults.h"
#include "stream/frame.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

static struct frame_faults faults;
static struct input out[8 + DELAYED_MAX];
static uint8_t message[MESSAGE_MAX];

static void set_up(void)
{
    fault_open(true);
    frame_faults_declare();
}

static void tear_down(void)
{
    frame_faults_close(&faults);
}

TestSuite(frame_faults, .init = set_up, .fini = tear_down);

/* A frame with @events events; none: a heartbeat. */
static struct input frame(unsigned events)
{
    static struct frame_writer writer;
    static const uint8_t log_id[LOG_ID_BYTES] = {1}, hash[HASH_BYTES] = {2};
    struct row row = {.type = "StockRejected",
                      .version = 1,
                      .order_id = "o-1",
                      .data = (const uint8_t *)"\x80",
                      .data_bytes = 1};

    frame_begin(&writer, "inventory", log_id, 7, hash);
    for (row.seq = 8; row.seq < 8 + events; row.seq++)
        cr_assert(frame_add(&writer, &row, hash));
    return (struct input){INPUT_FRAME, 1, message,
                          frame_finish(&writer, message)};
}

static size_t apply(struct input input)
{
    size_t count = frame_faults_apply(&faults, &input, 1, out);

    frame_faults_release(&faults);
    return count;
}

static void set(const char *point)
{
    cr_assert_eq(fault_set(point, 0, 0, 100), EVT_OK);
}

/* To decode these bytes would crash. */
Test(frame_faults, no_frame_is_decoded_while_no_point_is_set)
{
    struct input unreadable = {INPUT_FRAME, 1, NULL, 100};

    cr_assert_eq(apply(unreadable), 1);
    cr_assert_eq(out[0].count, 100);
    set("frame/drop");
    cr_assert_eq(apply(frame(1)), 0);
    cr_assert_eq(fault_clear("frame/drop"), EVT_OK);
    cr_assert_eq(apply(unreadable), 1, "cleared, it is as before");
}

Test(frame_faults, frames_are_lost_or_come_twice_and_heartbeats_do_not)
{
    set("frame/drop");
    cr_assert_eq(apply(frame(2)), 0);
    cr_assert_eq(apply(frame(0)), 1);
    cr_assert_eq(apply((struct input){INPUT_REPLY, 1, message, 3}), 1);
    cr_assert_eq(fault_clear(NULL), EVT_OK);
    set("frame/duplicate");
    cr_assert_eq(apply(frame(2)), 2);
    cr_assert_eq(out[0].bytes, out[1].bytes);
    cr_assert_eq(apply(frame(0)), 1);
}

Test(frame_faults, a_delayed_frame_comes_by_itself)
{
    struct input input = frame(1);
    uint64_t begun = clock_mono_ms(NULL);
    size_t bytes = input.count, count;

    cr_assert_eq(frame_faults_wake_ms(&faults), UINT64_MAX);
    set("frame/delay");
    cr_assert_eq(apply(input), 0);
    cr_assert_geq(frame_faults_wake_ms(&faults), begun + DELAY_MS);
    memset(message, 0, sizeof message); /* it has a copy */
    while (clock_mono_ms(NULL) < frame_faults_wake_ms(&faults))
        (void)poll(NULL, 0, 1);
    count = frame_faults_apply(&faults, NULL, 0, out);
    cr_assert_eq(count, 1);
    cr_assert_eq(out[0].from, 1);
    cr_assert_eq(out[0].count, bytes);
    cr_assert_neq(*(const uint8_t *)out[0].bytes, 0);
    frame_faults_release(&faults);
    cr_assert_eq(frame_faults_apply(&faults, NULL, 0, out), 0, "once");
}
