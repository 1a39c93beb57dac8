/* again.c - what a service has said, it says again, later.
 *
 * A library to preload: LD_PRELOAD=again.so AGAIN_COUNTS=FILE order-svc ...
 * Behind every second frame that the service publishes it sends an older one,
 * from up to KEPT before; heartbeats are kept apart from those with events.
 * Every third reply to a pull it replaces by an older reply: the one who asked
 * gets it in place of the answer, as no NNG would deliver it.  What was
 * replaced is lost, and an older one comes after a newer one, or, where the
 * reader was started again, after its restart.
 *
 * FILE gets a letter for each that was sent again: h, e or r.  Messages of NNG
 * on a stream are a 1, the number of their bytes in eight, and those; in a
 * reply, they begin with the four of the request's number. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    KEPT = 64,
    HEAD = 9,           /* of a message of NNG */
    REQUEST = 4,        /* number of the request that a reply is for */
    HEARTBEAT_MAX = 96, /* bytes; a frame with a row has more */
    BYTES_MAX = 1 << 17
};

/* The last messages of a kind. */
struct kind {
    char letter;
    unsigned every;
    unsigned long seen;
    uint8_t *kept[KEPT];
    size_t bytes[KEPT];
};

static struct kind heartbeats = {.letter = 'h', .every = 2},
                   frames = {.letter = 'e', .every = 2},
                   replies = {.letter = 'r', .every = 3};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int counts_fd = -1;

__attribute__((constructor)) static void open_counts(void)
{
    const char *path = getenv("AGAIN_COUNTS");

    if (path == NULL)
        return;
    counts_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (counts_fd < 0) {
        perror(path);
        _exit(64);
    }
}

/* NULL: it is let alone.  A frame is a list of 7 that begins with "f", a reply
 * to a pull one of 8 with "r" (docs/protocol.md). */
static struct kind *kind_of(const uint8_t *message, size_t bytes)
{
    static const uint8_t frame[] = {0x97, 0xa1, 'f'};
    static const uint8_t reply[] = {0x98, 0xa1, 'r'};

    if (bytes > HEAD + sizeof frame &&
        memcmp(message + HEAD, frame, sizeof frame) == 0)
        return bytes <= HEAD + HEARTBEAT_MAX ? &heartbeats : &frames;
    if (bytes > HEAD + REQUEST + sizeof reply &&
        memcmp(message + HEAD + REQUEST, reply, sizeof reply) == 0)
        return &replies;
    return NULL;
}

static void keep(struct kind *kind, const uint8_t *message, size_t bytes)
{
    size_t at = kind->seen % KEPT;

    free(kind->kept[at]);
    kind->kept[at] = malloc(bytes);
    if (kind->kept[at] == NULL)
        abort();
    memcpy(kind->kept[at], message, bytes);
    kind->bytes[at] = bytes;
}

/* Which of the kept ones it is this time; -1: none. */
static int choose(const struct kind *kind)
{
    unsigned long kept = kind->seen < KEPT ? kind->seen : KEPT;

    if (kept < 2 || kind->seen % kind->every != 0)
        return -1;
    /* 5 is prime to KEPT - 1: each distance from the last comes. */
    return (int)((kind->seen - 2 - kind->seen / kind->every * 5 % (kept - 1)) %
                 KEPT);
}

static void tell(const struct kind *kind)
{
    if (syscall(SYS_write, counts_fd, &kind->letter, 1) != 1)
        _exit(64);
}

/* All of it, however long that takes: a part of a message would be its end. */
static bool send_whole(int fd, const uint8_t *bytes, size_t count, int flags)
{
    while (count > 0) {
        ssize_t sent =
            syscall(SYS_sendto, fd, bytes, count, flags, NULL, (socklen_t)0);
        struct pollfd room = {.fd = fd, .events = POLLOUT};

        if (sent > 0) {
            bytes += sent;
            count -= (size_t)sent;
        } else if (errno == EAGAIN) {
            (void)poll(&room, 1, 1000);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool send_kind(struct kind *kind, int fd, uint8_t *message, size_t bytes,
                      int flags)
{
    bool is_reply = kind == &replies;
    int again = choose(kind);
    bool good = true;

    if (again >= 0 && is_reply)
        memcpy(kind->kept[again] + HEAD, message + HEAD, REQUEST);
    if (again < 0 || !is_reply)
        good = send_whole(fd, message, bytes, flags);
    if (good && again >= 0)
        good = send_whole(fd, kind->kept[again], kind->bytes[again], flags);
    if (good && again >= 0)
        tell(kind);
    keep(kind, message, bytes);
    kind->seen++;
    return good;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static uint8_t bytes[BYTES_MAX];
    size_t count = 0;
    struct kind *kind = NULL;
    bool good = true;

    if (counts_fd < 0)
        return syscall(SYS_sendmsg, fd, message, flags);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];

        if (count + part->iov_len <= sizeof bytes)
            memcpy(bytes + count, part->iov_base, part->iov_len);
        count += part->iov_len;
    }
    if (count <= sizeof bytes)
        kind = kind_of(bytes, count);
    if (kind != NULL)
        good = send_kind(kind, fd, bytes, count, flags);
    pthread_mutex_unlock(&lock);
    if (kind == NULL)
        return syscall(SYS_sendmsg, fd, message, flags);
    return good ? (ssize_t)count : -1;
}
