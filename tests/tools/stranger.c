/* stranger.c - connects to our sockets as a hostile program would.
 *
 *     stranger KIND sub|req ADDRESS N [SEED]
 *     stranger crowd ADDRESS N PREFIX
 *
 * ADDRESS is the path of a unix socket or a port of 127.0.0.1; "sub" speaks to
 * a PUB socket, "req" to a REP socket.  KIND is what each of the N connections
 * does:
 *
 *     - silent: nothing; close: close at once; half: half a header
 *     - http: GET /; garbage: random bytes; wrong: another protocol
 *     - giant: a good header, then a frame of 2^63 - 1 bytes
 *     - large: a good header, then a frame of 100,000 bytes
 *     - bodies: a good header, then 100 messages of nonsense
 *     - mixed: each of them in turn
 *
 * Prints "held" when all have done so, then keeps the connections open until
 * its standard input ends, so that a test decides how long.
 * "crowd" instead sends N orders at once, PREFIX-1 and so on, over one
 * connection, and counts the answers by their code.  It speaks SP over ipc and
 * tcp by itself, since a library would refuse to send such messages.  A program
 * of its own: tests/test_survives.sh calls it. */
#include "shop/shop.h"
#include "stream/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { HELD_MAX = 8192, BODIES = 100, LARGE = 100000, HEADER = 8 };
enum { REQ = 0x30, SUB = 0x21 };

static bool is_ipc;
static uint16_t protocol;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "stranger: %s: %s\n", what, strerror(errno));
    exit(69);
}

/* ---- sockets ------------------------------------------------------------- */

static int connect_to(const char *address)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 2};
    int fd, rc;

    is_ipc = strchr(address, '/') != NULL;
    fd = socket(is_ipc ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    snprintf(path.sun_path, sizeof path.sun_path, "%s", address);
    port.sin_port = htons((uint16_t)atoi(address));
    do
        rc = is_ipc ? connect(fd, (struct sockaddr *)&path, sizeof path)
                    : connect(fd, (struct sockaddr *)&port, sizeof port);
    while (rc != 0 && (errno == EINTR || errno == EAGAIN));
    if (rc != 0)
        fail(address);
    return fd;
}

/* Says as much of it as the other side will hear. */
static void say(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;

    while (count > 0) {
        ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* it hung up, or reads no more: as it should */
        at += sent;
        count -= (size_t)sent;
    }
}

static void say_header(int fd, uint16_t as)
{
    const uint8_t header[HEADER] = {
        0, 'S', 'P', 0, (uint8_t)(as >> 8), (uint8_t)as, 0, 0};

    say(fd, header, sizeof header);
}

/* The start of an SP message of @count bytes, see probe.h for the mapping. */
static void say_length(int fd, uint64_t count)
{
    uint8_t head[9] = {1};

    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(count >> (56 - 8 * i));
    say(fd, is_ipc ? head : head + 1, is_ipc ? 9 : 8);
}

/* A request is preceded by its number, with the highest bit set. */
static void say_request(int fd, uint32_t number, const void *bytes,
                        size_t count)
{
    const uint8_t id[4] = {(uint8_t)(0x80 | number >> 24),
                           (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                           (uint8_t)number};

    say_length(fd, sizeof id + count);
    say(fd, id, sizeof id);
    say(fd, bytes, count);
}

/* ---- nonsense ------------------------------------------------------------ */

static void noise(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(random() >> 7);
}

/* A good request that was damaged somewhere, or a message that promises much
 * more than it holds. */
static size_t nonsense(uint8_t bytes[MESSAGE_MAX], int n)
{
    static const char *const texts[] = {"{",
                                        "{}",
                                        "{\"get\":",
                                        "{\"get\":7}",
                                        "{\"do\":\"dance\"}",
                                        "[]",
                                        "{\"get\":\"log\",\"limit\":-1}",
                                        "\xdd\xff\xff\xff\xff",
                                        ("\x93\xa1"
                                         "c\x01\xdd\x7f\xff\xff\xff"),
                                        "\x91\x91\x91\x91\x91\x91\x91"};
    struct command command = {.type = PLACE_ORDER};
    size_t count, texts_count = sizeof texts / sizeof texts[0];

    if (n % 3 == 0) {
        count = (size_t)random() % 300;
        noise(bytes, count);
        return count;
    }
    if (n % 3 == 1) {
        const char *text = texts[(size_t)random() % texts_count];

        memcpy(bytes, text, strlen(text));
        return strlen(text);
    }
    text_copy(command.command_id, ID_BYTES, "o-damaged");
    text_copy(command.order_id, ID_BYTES, "o-damaged");
    text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES, "mallory");
    payload_in(command.data)->line_count = 1;
    text_copy(payload_in(command.data)->lines[0].sku, SKU_BYTES, "nothing");
    payload_in(command.data)->lines[0].quantity = 1;
    count = request_write(&shop_domain, &command, 1, bytes);
    if (random() % 2 == 0)
        return (size_t)random() % count; /* cut */
    bytes[(size_t)random() % count] ^= (uint8_t)(1u << random() % 8);
    return count;
}

static void say_bodies(int fd)
{
    static uint8_t bytes[MESSAGE_MAX];

    say_header(fd, protocol);
    for (int i = 0; i < BODIES; i++) {
        size_t count = nonsense(bytes, i);

        if (protocol == REQ && i % 10 != 9) {
            say_request(fd, (uint32_t)i + 1, bytes, count);
        } else { /* without a request's number */
            say_length(fd, count);
            say(fd, bytes, count);
        }
    }
}

static void say_noise(int fd, size_t count)
{
    static uint8_t bytes[LARGE];

    noise(bytes, count);
    say(fd, bytes, count);
}

/* What one connection does. */
static void behave(const char *kind, int fd, int n)
{
    static const char *const kinds[] = {"silent",  "half",   "http",
                                        "garbage", "wrong",  "giant",
                                        "large",   "bodies", "close"};
    static const char http[] = "GET /%41 HTTP/1.1\r\nHost: localhost\r\n\r\n";

    if (strcmp(kind, "mixed") == 0)
        kind = kinds[(size_t)n % (sizeof kinds / sizeof kinds[0])];
    if (strcmp(kind, "half") == 0) {
        say(fd, "\0SP", 3);
    } else if (strcmp(kind, "http") == 0) {
        say(fd, http, sizeof http - 1);
    } else if (strcmp(kind, "garbage") == 0) {
        say_noise(fd, 4096);
    } else if (strcmp(kind, "wrong") == 0) {
        say_header(fd, protocol == REQ ? SUB : REQ);
    } else if (strcmp(kind, "giant") == 0 || strcmp(kind, "large") == 0) {
        say_header(fd, protocol);
        say_length(fd, kind[0] == 'g' ? INT64_MAX : LARGE);
        say_noise(fd, LARGE);
    } else if (strcmp(kind, "bodies") == 0) {
        say_bodies(fd);
    } else if (strcmp(kind, "close") == 0) {
        shutdown(fd, SHUT_RDWR);
    } else if (strcmp(kind, "silent") != 0) {
        errno = EINVAL;
        fail(kind);
    }
}

static int visit(const char *kind, const char *address, int count)
{
    static int fds[HELD_MAX];
    char rest[64];

    for (int i = 0; i < count; i++) {
        fds[i] = connect_to(address);
        behave(kind, fds[i], i);
    }
    printf("held %d\n", count);
    fflush(stdout);
    while (read(STDIN_FILENO, rest, sizeof rest) > 0)
        continue;
    for (int i = 0; i < count; i++)
        close(fds[i]);
    return 0;
}

/* ---- a crowd ------------------------------------------------------------- */

static void hear(int fd, void *bytes, size_t count)
{
    char *at = bytes;

    while (count > 0) {
        ssize_t got = recv(fd, at, count, 0);

        if (got <= 0)
            fail("it hung up");
        at += got;
        count -= (size_t)got;
    }
}

/* The code of the one answer in the next message. */
static enum answer_code hear_answer(int fd)
{
    static struct answer answers[COMMANDS_PER_REQUEST];
    static uint8_t bytes[MESSAGE_MAX + 4];
    uint8_t head[9];
    uint64_t length = 0;
    size_t count;

    hear(fd, is_ipc ? head : head + 1, is_ipc ? 9 : 8);
    for (int i = 0; i < 8; i++)
        length = length << 8 | head[1 + i];
    if (length < 4 || length > sizeof bytes)
        fail("a length that is none");
    hear(fd, bytes, length);
    if (!request_answers_read(bytes + 4, length - 4, answers, &count) ||
        count != 1)
        fail("an answer that is none");
    return answers[0].code;
}

static int send_crowd(const char *address, int count, const char *prefix)
{
    static uint8_t bytes[MESSAGE_MAX];
    static const char *const words[ANSWER_CODES] = {
        "done", "refused", "bad", "busy", "full", "behind"};
    int fd = connect_to(address), codes[ANSWER_CODES] = {0};
    struct timeval forever = {0};
    uint8_t header[HEADER];

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &forever, sizeof forever);
    say_header(fd, REQ);
    hear(fd, header, sizeof header);
    if (fork() == 0) { /* one speaks, one listens: nobody waits for nobody */
        for (int i = 1; i <= count; i++) {
            struct command command = {.type = PLACE_ORDER};
            size_t length;

            snprintf(command.order_id, ID_BYTES, "%.24s-%d", prefix, i);
            text_copy(command.command_id, ID_BYTES, command.order_id);
            text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES,
                      "alice");
            payload_in(command.data)->line_count = 1;
            text_copy(payload_in(command.data)->lines[0].sku, SKU_BYTES,
                      "gizmo");
            payload_in(command.data)->lines[0].quantity = 1;
            length = request_write(&shop_domain, &command, 1, bytes);
            say_request(fd, (uint32_t)i, bytes, length);
        }
        _exit(0);
    }
    for (int i = 0; i < count; i++)
        codes[hear_answer(fd)]++;
    for (int i = 0; i < ANSWER_CODES; i++)
        printf("%s%s %d", i > 0 ? " " : "", words[i], codes[i]);
    putchar('\n');
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    bool crowd = argc == 5 && strcmp(argv[1], "crowd") == 0;
    int count = argc < 5 ? 0 : atoi(argv[crowd ? 3 : 4]);
    struct rlimit files;

    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (count < 1 || count > HELD_MAX) {
        fprintf(stderr, "stranger: see its first lines for its words\n");
        return 64;
    }
    if (crowd)
        return send_crowd(argv[2], count, argv[4]);
    protocol = strcmp(argv[2], "sub") == 0 ? SUB : REQ;
    srandom(argc > 5 ? (unsigned)atoi(argv[5]) : 1);
    return visit(argv[1], argv[3], count);
}
