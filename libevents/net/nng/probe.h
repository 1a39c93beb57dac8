/* probe.h - does one of our own listeners still hear new peers?
 *
 * Those of NNG before 1.6 can go deaf (VICE_DEAF_LISTENER, bus.h): connections
 * succeed, even the handshake does, but the peer never reaches the socket.  So
 * a probe behaves like a fresh peer, on a plain socket (a dialer of NNG's would
 * have troubles of its own), and waits for a message: of a PUB listener any
 * frame, of a REP listener the answer to a request that bus.c answers by
 * itself.  It speaks SP over ipc as documented in the SP wire mapping for ipc
 * (RFC of nanomsg: sp-ipc-mapping-01): 8 bytes of header, then 0x01, length,
 * body. */
#ifndef PROBE_H
#define PROBE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_REQUEST "{\"get\":\"ping\"}"

enum probe_kind { PROBE_PUB, PROBE_REP };
enum {
    PROBE_EVERY_MS = 2000,
    PROBE_DEAF_MS = 3000,    /* a frame may take so long */
    PROBE_UNHEARD_MS = 1000, /* an answer may not: it needs no loop */
    /* probe_step not called for so long: we were paused, and may go deaf by
     * peers that did not wait for us.  It is probed at once, and what hears
     * requests again and again for a while, with little patience: NNG's threads
     * take those peers in any order, so one probe may get in before the peer
     * that makes it deaf. */
    PROBE_PAUSED_MS = 500,
    PROBE_WOKEN_MS = 6000,
    PROBE_WOKEN_EVERY_MS = 200,
    PROBE_WOKEN_UNHEARD_MS = 500
};

struct probe {
    enum probe_kind kind;
    char path[108]; /* "": nothing to probe (tcp does not go deaf) */
    int fd;         /* -1: none under way */
    uint64_t begun_ms, next_ms, stepped_ms, woken_ms;
    uint8_t head[17]; /* the peer's header, and the start of a message */
    size_t got;
};

/* Probes the listener on @url, once probe_step is called. */
void probe_open(struct probe *probe, enum probe_kind kind, const char *url);
void probe_close(struct probe *probe);

/* For the loop's poll; fd is -1 when there is nothing to wait for. */
struct pollfd probe_pollfd(const struct probe *probe);

/* Goes on as far as possible without waiting.  True: the listener is deaf. */
bool probe_step(struct probe *probe, uint64_t now_ms);

#endif
