/* probe.c - see probe.h.  Never blocks; one probe a listener at a time. */
#include "net/nng/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SP_HEADER = 8, SP_SUB = 0x21, SP_REQ = 0x30 };

void probe_open(struct probe *probe, enum probe_kind kind, const char *url)
{
    memset(probe, 0, sizeof *probe);
    probe->kind = kind;
    probe->fd = -1;
    if (strncmp(url, "ipc://", 6) == 0 && strlen(url + 6) < sizeof probe->path)
        strcpy(probe->path, url + 6);
}

void probe_close(struct probe *probe)
{
    if (probe->path[0] != '\0' && probe->fd >= 0)
        close(probe->fd);
    probe->fd = -1;
}

struct pollfd probe_pollfd(const struct probe *probe)
{
    int fd = probe->path[0] == '\0' ? -1 : probe->fd;

    return (struct pollfd){.fd = fd, .events = POLLIN};
}

/* Says who we are, and of a REP listener asks something. */
static bool introduce(const struct probe *probe)
{
    static const char body[] = PROBE_REQUEST;
    uint8_t bytes[SP_HEADER + 9 + 4 + sizeof body] = {0, 'S', 'P', 0};
    size_t count = SP_HEADER;

    bytes[5] = probe->kind == PROBE_PUB ? SP_SUB : SP_REQ;
    if (probe->kind == PROBE_REP) {
        uint8_t *message = bytes + SP_HEADER;

        message[0] = 1;
        message[8] = 4 + sizeof body - 1; /* length, big-endian */
        message[9] = 0x80;                /* request id */
        message[12] = 1;
        memcpy(message + 13, body, sizeof body - 1);
        count += 9 + 4 + sizeof body - 1;
    }
    return send(probe->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT) ==
           (ssize_t)count;
}

static void begin(struct probe *probe)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, probe->path);
    probe->got = 0;
    probe->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd >= 0 &&
        (connect(probe->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
         !introduce(probe))) {
        close(probe->fd); /* a full backlog, say: counts as no answer */
        probe->fd = -1;
    }
}

/* Whether a message has begun to arrive. */
static bool answered(struct probe *probe)
{
    ssize_t count;

    if (probe->fd < 0)
        return false;
    count = recv(probe->fd, probe->head + probe->got,
                 sizeof probe->head - probe->got, MSG_DONTWAIT);
    if (count > 0)
        probe->got += (size_t)count;
    else if (count == 0 || errno != EAGAIN) /* hung up: no answer, no event */
        probe_close(probe);
    return probe->got > SP_HEADER;
}

static bool just_woken(const struct probe *probe, uint64_t now_ms)
{
    return probe->kind == PROBE_REP && probe->woken_ms > 0 &&
           now_ms < probe->woken_ms + PROBE_WOKEN_MS;
}

static uint64_t patience_ms(const struct probe *probe)
{
    if (probe->kind == PROBE_PUB)
        return PROBE_DEAF_MS;
    return just_woken(probe, probe->begun_ms) ? PROBE_WOKEN_UNHEARD_MS
                                              : PROBE_UNHEARD_MS;
}

static void end(struct probe *probe, uint64_t now_ms)
{
    probe_close(probe);
    probe->begun_ms = 0;
    probe->next_ms = now_ms + (just_woken(probe, now_ms) ? PROBE_WOKEN_EVERY_MS
                                                         : PROBE_EVERY_MS);
}

/* A probe from before the pause says nothing about who gave up meanwhile. */
static void begin_anew(struct probe *probe, uint64_t now_ms)
{
    end(probe, now_ms);
    probe->next_ms = probe->woken_ms = now_ms;
}

bool probe_step(struct probe *probe, uint64_t now_ms)
{
    bool paused =
        probe->stepped_ms > 0 && now_ms > probe->stepped_ms + PROBE_PAUSED_MS;

    if (probe->path[0] == '\0')
        return false;
    probe->stepped_ms = now_ms;
    if (paused)
        begin_anew(probe, now_ms);
    if (probe->begun_ms == 0) {
        if (now_ms < probe->next_ms)
            return false;
        probe->begun_ms = now_ms;
        begin(probe);
    }
    if (answered(probe)) {
        end(probe, now_ms);
        return false;
    }
    if (now_ms < probe->begun_ms + patience_ms(probe))
        return false;
    end(probe, now_ms);
    return true;
}
