/* test_probe.c - a probe tells a deaf listener from one that is merely slow.
 *
 * The listener is a plain socket of this test, and time is a number.
 * test_bus.c tests what NNG's own listeners make of a probe. */
#include "net/nng/probe.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct scratch scratch;
static struct probe probe;
static char url[160];
static int listener = -1;

static void set_up(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    scratch_open(&scratch);
    snprintf(address.sun_path, sizeof address.sun_path, "%s",
             scratch_file(&scratch, "socket"));
    snprintf(url, sizeof url, "ipc://%s", address.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address),
                 0);
    cr_assert_eq(listen(listener, 8), 0);
}

static void tear_down(void)
{
    probe_close(&probe);
    close(listener);
    scratch_close(&scratch);
}

TestSuite(probe, .init = set_up, .fini = tear_down);

/* Steps every 250 ms from @from until @until; whether it ever said deaf. */
static bool deaf_between(uint64_t from, uint64_t until)
{
    bool deaf = false;

    for (uint64_t now = from; now < until && !deaf; now += 250)
        deaf = probe_step(&probe, now);
    return deaf;
}

static int take_peer(uint8_t *said, size_t size, ssize_t *count)
{
    int fd = accept(listener, NULL, NULL);

    cr_assert(fd >= 0);
    *count = recv(fd, said, size, MSG_DONTWAIT);
    return fd;
}

/* The header of a REP's end (0x31) or a PUB's (0x20), and a message's start. */
static void say(int fd, uint8_t protocol, bool message)
{
    uint8_t bytes[17] = {0, 'S', 'P', 0, 0, protocol, 0, 0, 1};
    size_t count = message ? sizeof bytes : 8;

    cr_assert_eq(send(fd, bytes, count, MSG_NOSIGNAL), (ssize_t)count);
}

Test(probe, a_subscriber_waits_for_a_frame)
{
    uint8_t said[64];
    ssize_t count;
    int fd;

    probe_open(&probe, PROBE_PUB, url);
    cr_assert_not(probe_step(&probe, 10000));
    fd = take_peer(said, sizeof said, &count);
    cr_assert_eq(count, 8);
    cr_assert_arr_eq(said, "\0SP\0\0\x21\0\0", 8);
    say(fd, 0x20, false);
    cr_assert_not(probe_step(&probe, 10100));
    cr_assert_geq(probe_pollfd(&probe).fd, 0, "a header alone is no frame");
    say(fd, 0x20, true);
    cr_assert_not(probe_step(&probe, 10200));
    cr_assert_lt(probe_pollfd(&probe).fd, 0, "that was one");
    close(fd);
}

Test(probe, a_client_asks_and_waits_for_an_answer)
{
    uint8_t said[64];
    ssize_t count;
    int fd;

    probe_open(&probe, PROBE_REP, url);
    cr_assert_not(probe_step(&probe, 10000));
    fd = take_peer(said, sizeof said, &count);
    cr_assert_eq(count, 8 + 9 + 4 + (ssize_t)strlen(PROBE_REQUEST));
    cr_assert_eq(said[5], 0x30);
    cr_assert_eq(said[16], 4 + strlen(PROBE_REQUEST), "the length");
    cr_assert_arr_eq(said + 21, PROBE_REQUEST, strlen(PROBE_REQUEST));
    say(fd, 0x31, true);
    cr_assert_not(deaf_between(10250, 11000));
    cr_assert_lt(probe_pollfd(&probe).fd, 0);
    close(fd);
}

Test(probe, a_listener_that_never_says_a_word_is_deaf) /* F36 real */
{
    probe_open(&probe, PROBE_PUB, url);
    cr_assert_not(deaf_between(10000, 10000 + PROBE_DEAF_MS));
    cr_assert(deaf_between(10000 + PROBE_DEAF_MS, 10500 + PROBE_DEAF_MS));
    cr_assert_lt(probe_pollfd(&probe).fd, 0, "it is over");
}

Test(probe, a_handshake_alone_does_not_count) /* F36 real */
{
    uint8_t said[64];
    ssize_t count;

    probe_open(&probe, PROBE_REP, url);
    cr_assert_not(probe_step(&probe, 10000));
    say(take_peer(said, sizeof said, &count), 0x31, false);
    cr_assert(deaf_between(10250, 10500 + PROBE_DEAF_MS));
}

Test(probe, a_listener_that_is_gone_is_deaf)
{
    close(listener);
    listener = -1;
    unlink(url + 6);
    probe_open(&probe, PROBE_PUB, url);
    cr_assert(deaf_between(10000, 10500 + PROBE_DEAF_MS));
}

/* SIGSTOP, a debugger, a laptop's lid: the silence was ours. */
Test(probe, a_pause_of_our_own_is_not_held_against_it)
{
    uint8_t said[64];
    ssize_t count;
    int fd;

    probe_open(&probe, PROBE_PUB, url);
    cr_assert_not(probe_step(&probe, 10000));
    cr_assert_not(probe_step(&probe, 10000 + 10 * PROBE_DEAF_MS));
    close(take_peer(said, sizeof said, &count)); /* from before the pause */
    fd = take_peer(said, sizeof said, &count);
    say(fd, 0x20, true);
    cr_assert_not(probe_step(&probe, 10100 + 10 * PROBE_DEAF_MS));
    cr_assert_lt(probe_pollfd(&probe).fd, 0);
    close(fd);
}

/* Takes the probe's connection and answers it. */
static void hear(uint64_t now)
{
    uint8_t said[64];
    ssize_t count;
    int fd = take_peer(said, sizeof said, &count);

    say(fd, 0x31, true);
    cr_assert_not(probe_step(&probe, now));
    cr_assert_lt(probe_pollfd(&probe).fd, 0, "that was an answer");
    close(fd);
}

/* Clients that gave up during the pause may have made it deaf. */
Test(probe, after_a_pause_one_that_is_deaf_is_soon_found) /* F04 F36 real */
{
    uint64_t woken = 10101 + PROBE_PAUSED_MS;

    probe_open(&probe, PROBE_REP, url);
    cr_assert_not(probe_step(&probe, 10000));
    hear(10100);
    cr_assert_not(probe_step(&probe, woken));
    cr_assert_geq(probe_pollfd(&probe).fd, 0, "it is probed at once");
    cr_assert_not(deaf_between(woken, woken + PROBE_WOKEN_UNHEARD_MS));
    cr_assert(probe_step(&probe, woken + PROBE_WOKEN_UNHEARD_MS));
}

/* Or are yet to do so: NNG takes the probe first. */
Test(probe, after_a_pause_it_is_probed_again_and_again) /* F04 F36 real */
{
    uint64_t now = 10200 + PROBE_PAUSED_MS;

    probe_open(&probe, PROBE_REP, url);
    cr_assert_not(probe_step(&probe, 10000));
    hear(10100);
    for (int i = 0; i < 5; i++, now += PROBE_WOKEN_EVERY_MS) {
        cr_assert_not(probe_step(&probe, now));
        cr_assert_geq(probe_pollfd(&probe).fd, 0);
        hear(now);
    }
    cr_assert(deaf_between(now, now + PROBE_WOKEN_UNHEARD_MS + 251));
}

Test(probe, some_time_after_a_pause_it_is_probed_as_ever)
{
    uint64_t now = 10200 + PROBE_PAUSED_MS, end = now + PROBE_WOKEN_MS;

    probe_open(&probe, PROBE_REP, url);
    cr_assert_not(probe_step(&probe, 10000));
    hear(10100);
    for (; now < end; now += PROBE_WOKEN_EVERY_MS) {
        cr_assert_not(probe_step(&probe, now));
        hear(now);
    }
    cr_assert_not(probe_step(&probe, end));
    hear(end);
    cr_assert_not(deaf_between(end, end + PROBE_EVERY_MS));
    cr_assert_lt(probe_pollfd(&probe).fd, 0);
    cr_assert_not(deaf_between(end + PROBE_EVERY_MS,
                               end + PROBE_EVERY_MS + PROBE_UNHEARD_MS));
    cr_assert_geq(probe_pollfd(&probe).fd, 0);
}

Test(probe, it_probes_again_after_a_while)
{
    uint8_t said[64];
    ssize_t count;
    int fd;

    probe_open(&probe, PROBE_PUB, url);
    cr_assert_not(probe_step(&probe, 10000));
    fd = take_peer(said, sizeof said, &count);
    say(fd, 0x20, true);
    cr_assert_not(deaf_between(10100, 10100 + PROBE_EVERY_MS));
    cr_assert_lt(probe_pollfd(&probe).fd, 0);
    cr_assert_not(deaf_between(10100 + PROBE_EVERY_MS, 10700 + PROBE_EVERY_MS));
    cr_assert_geq(probe_pollfd(&probe).fd, 0);
    close(fd);
    close(take_peer(said, sizeof said, &count));
}

Test(probe, what_is_no_ipc_is_left_alone)
{
    probe_open(&probe, PROBE_PUB, "tcp://127.0.0.1:1");
    cr_assert_not(deaf_between(10000, 40000));
    cr_assert_lt(probe_pollfd(&probe).fd, 0);
}
