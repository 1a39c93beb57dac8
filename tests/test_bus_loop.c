/* test_bus_loop.c - a loop's sockets: what it passes on, and that it never
 * spins. */
#include "net/bus.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/test-bus-XXXXXX";
static struct bus *bus;

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* On relative paths, as the services do: an ipc path has no room for more. */
static void setup(void)
{
    static const struct bus_config config = {.pub_url = "ipc://pub",
                                             .rep_url = "ipc://rep",
                                             .link_count = 1,
                                             .req_urls = {"ipc://rep"}};
    char why[256] = "";

    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(bus_open(&config, &bus, why, sizeof why), EVT_OK, "%s", why);
}

static void teardown(void)
{
    bus_close(bus);
    (void)unlink("pub");
    (void)unlink("rep");
    (void)rmdir(directory);
}

TestSuite(bus, .init = setup, .fini = teardown, .timeout = 20);

/* Nothing is published here, so a probe of the PUB listener hears no more than
 * the handshake: its socket was readable, and stayed so. */
Test(bus, waits_without_spinning_while_a_probe_is_under_way)
{
    uint64_t begun = now_ms(), until = begun + 500;
    unsigned turns = 0;

    bus_watch(bus, begun);
    for (uint64_t now = begun; now < until; now = now_ms()) {
        (void)bus_wait(bus, -1, (int)(until - now));
        turns++;
    }
    cr_assert_lt(turns, 50, "woken %u times in half a second", turns);
}

static size_t gather(struct input inputs[], size_t max)
{
    (void)bus_wait(bus, -1, 0);
    return bus_gather(bus, inputs, max);
}

/* Past what the sockets have to say of themselves. */
static void settle(void)
{
    struct input inputs[8];
    bool connected = false;

    for (uint64_t begun = now_ms(); !connected; connected = false) {
        size_t count;

        cr_assert_lt(now_ms(), begun + 5000, "the link was not connected");
        (void)bus_wait(bus, -1, 100);
        count = bus_gather(bus, inputs, 8);
        for (size_t i = 0; i < count; i++)
            connected = connected || inputs[i].kind == INPUT_CONNECTED;
        bus_release(bus);
        if (connected)
            return;
    }
}

Test(bus, a_frame_that_was_passed_arrives_once_and_as_it_was)
{
    struct input inputs[8];

    settle();
    bus_pass(bus, 3, "one", 3);
    bus_pass(bus, 5, "other", 5);
    cr_assert_eq(gather(inputs, 8), 2);
    cr_assert_eq(inputs[0].kind, INPUT_FRAME);
    cr_assert_eq(inputs[0].from, 3);
    cr_assert_eq(inputs[0].count, 3);
    cr_assert_eq(memcmp(inputs[0].bytes, "one", 3), 0);
    cr_assert_eq(inputs[1].from, 5);
    cr_assert_eq(memcmp(inputs[1].bytes, "other", 5), 0);
    bus_release(bus);
    cr_assert_eq(gather(inputs, 8), 0);
}

Test(bus, what_does_not_fit_one_step_stays_for_the_next)
{
    struct input inputs[8];
    uint64_t begun;

    settle();
    (void)bus_wait(bus, -1, 0); /* takes what wakes are left */
    for (uint64_t i = 0; i < 10; i++)
        bus_pass(bus, i, "frame", 5);
    cr_assert_eq(gather(inputs, 8), 8);
    cr_assert_eq(inputs[7].from, 7);
    bus_release(bus);
    begun = now_ms();
    (void)bus_wait(bus, -1, 5000);
    cr_assert_lt(now_ms(), begun + 2500, "the rest did not wake the loop");
    cr_assert_eq(gather(inputs, 8), 2);
    cr_assert_eq(inputs[1].from, 9);
    bus_release(bus);
}

Test(bus, passed_frames_beyond_the_limit_are_dropped_not_kept)
{
    static struct input inputs[INPUTS_MAX];

    settle();
    for (uint64_t i = 0; i < PASSED_MAX + 100; i++)
        bus_pass(bus, i, "frame", 5);
    cr_assert_eq(gather(inputs, INPUTS_MAX), PASSED_MAX);
    cr_assert_eq(inputs[PASSED_MAX - 1].from, PASSED_MAX - 1);
    bus_release(bus);
}

Test(bus, a_few_passed_frames_may_wait_but_many_or_a_request_may_not)
{
    static struct input inputs[INPUTS_MAX];
    static const char question[] = "{\"get\":\"status\"}";

    settle();
    cr_assert(!bus_may_linger(bus), "nothing has come");
    bus_pass(bus, 0, "frame", 5);
    (void)bus_wait(bus, -1, 0);
    cr_assert(bus_may_linger(bus));
    for (uint64_t i = 0; i < PASSED_MAX / 2; i++)
        bus_pass(bus, i, "frame", 5);
    cr_assert(!bus_may_linger(bus));
    cr_assert_eq(gather(inputs, INPUTS_MAX), PASSED_MAX / 2 + 1);
    bus_release(bus);

    bus_pass(bus, 0, "frame", 5);
    bus_send(bus, TO_PUBLISHER, 0, question, sizeof question - 1);
    for (uint64_t begun = now_ms(); bus_may_linger(bus);)
        cr_assert_lt(now_ms(), begun + 5000, "the request did not arrive");
    cr_assert_eq(gather(inputs, INPUTS_MAX), 2);
    cr_assert_eq(inputs[1].kind, INPUT_REQUEST);
    bus_send(bus, TO_CLIENT, inputs[1].from, "{}", 2);
    bus_release(bus);
}

/* Frames of 8 KiB: a few of them, but more than one step takes.  No step of a
 * loop that works them off may wait, until what is left is less than that. */
Test(bus, a_backlog_of_passed_frames_is_not_lingered_over)
{
    enum { FRAME = 8192, A_STEP = PASSED_BYTES / FRAME, STEPS = 3 };
    static struct input inputs[INPUTS_MAX];
    static const char frame[FRAME];
    size_t left = STEPS * A_STEP, steps = 0, lingered = 0;

    settle();
    for (size_t i = 0; i < left; i++)
        bus_pass(bus, 0, frame, sizeof frame);
    for (; left > 0; steps++) {
        size_t count;

        (void)bus_wait(bus, -1, 5000);
        lingered += bus_may_linger(bus);
        count = bus_gather(bus, inputs, INPUTS_MAX);
        cr_assert_gt(count, 0, "woken for nothing");
        left -= count;
        bus_release(bus);
    }
    cr_assert_eq(steps, STEPS);
    cr_assert_eq(lingered, 0, "in %zu of %zu steps", lingered, steps);
}

/* A wait for more ends when there is enough for a step. */
Test(bus, a_loop_that_lingers_wakes_when_a_step_is_full)
{
    static struct input inputs[INPUTS_MAX];
    static const char frame[PASSED_BYTES / 8];
    uint64_t begun;

    settle();
    bus_pass(bus, 0, frame, sizeof frame);
    (void)bus_wait(bus, -1, 5000);
    cr_assert(bus_may_linger(bus));
    for (int i = 1; i < 8; i++)
        bus_pass(bus, 0, frame, sizeof frame);
    begun = now_ms();
    (void)bus_wait(bus, -1, 5000);
    cr_assert_lt(now_ms(), begun + 2500, "it is not woken");
    cr_assert(!bus_may_linger(bus));
    cr_assert_eq(gather(inputs, INPUTS_MAX), 8);
    bus_release(bus);
}

/* LeakSanitizer sees here what it is told to overlook in test_bus.c: that a
 * message which nobody takes is freed. */
Test(bus, what_nobody_takes_neither_waits_nor_stays)
{
    static const struct bus_config config = {
        .rep_url = "ipc://lone", .link_count = 1, .req_urls = {"ipc://nobody"}};
    uint64_t begun = now_ms();
    struct bus *lone;
    char why[256] = "";

    cr_assert_eq(bus_open(&config, &lone, why, sizeof why), EVT_OK, "%s", why);
    for (int i = 0; i < 100; i++)
        bus_send(lone, TO_PUBLISHER, 0, "anybody?", 8);
    cr_assert_lt(now_ms() - begun, 10000, "a send waits for nobody");
    bus_close(lone);
    (void)unlink("lone");
}
