/* env.h - the seam: everything a service touches that is not deterministic.
 *
 * The shell and the read side do their I/O through this struct only, so that
 * the same code runs on NNG, clocks and the disk in the services (host.c) and
 * on a simulated world in the tests.  What comes in arrives as `struct
 * input`; what goes out goes through send. */
#ifndef ENV_H
#define ENV_H

#include <stddef.h>
#include <stdint.h>

/* Where a message goes. */
enum channel {
    TO_SUBSCRIBERS, /* PUB: may be dropped, silently; `to` unused */
    TO_PUBLISHER,   /* REQ to publisher number `to`: a pull; may get no reply */
    TO_CLIENT       /* the answer to the request that came as token `to` */
};

struct env {
    void *ctx;
    uint64_t (*mono_ms)(void *ctx); /* never goes back; waiting uses this */
    int64_t (*wall_ms)(void *ctx);  /* Unix time; for people, may jump */
    void (*random)(void *ctx, void *bytes, size_t count);
    void (*send)(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count);
    const char *vfs; /* name of the SQLite VFS; NULL = the operating system's */
};

/* What arrives.  Publishers are numbered by their place in the consumer's
 * list (service.listens_to, view.sources). */
enum input_kind {
    INPUT_FRAME,     /* `from` = publisher */
    INPUT_REPLY,     /* to a pull; `from` = publisher */
    INPUT_CONNECTED, /* a new connection to publisher `from` */
    INPUT_REQUEST    /* command, query, pull or control; `from` = token, which
                        is answered exactly once */
};
struct input {
    enum input_kind kind;
    uint64_t from;
    const void *bytes; /* borrowed until the step returns */
    size_t count;
};

#endif
