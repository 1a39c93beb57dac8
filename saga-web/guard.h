/* guard.h - may this request be answered?
 *
 * Every local user and every web page can reach a loopback port, so a request
 * is judged by what its sender cannot choose.  `Host` must be our address,
 * against pages that rebind their name to it.  `Origin` must be ours or
 * missing, against pages that send requests across sites.  And all but the page
 * itself needs the token of this start, against other users; numbers for a
 * Prometheus need none where the operator says so.  Judging is pure,
 * so that tests/fuzz/fuzz_web.c can do it with any bytes. */
#ifndef GUARD_H
#define GUARD_H

#include <stdbool.h>

enum { GUARD_TOKEN_CHARS = 32, GUARD_BODY_MAX = 2048 };

struct guard {
    unsigned port;
    char token[GUARD_TOKEN_CHARS + 1];
    bool metrics_open; /* /metrics needs no token */
};

/* What a request says about itself.  NULL: it has no such header; a header
 * that is there twice is in @repeated. */
struct guard_request {
    const char *method, *path;
    const char *host, *origin, *site, *authorization, *type;
    bool repeated;
};

/* Takes a new token from the system's random numbers; @port as it is. */
void guard_renew(struct guard *guard);

/* 0: it may be answered.  Otherwise the HTTP status of the refusal, and *why
 * is a sentence without its full stop. */
unsigned guard_judge(const struct guard *guard,
                     const struct guard_request *request, const char **why);

#endif
