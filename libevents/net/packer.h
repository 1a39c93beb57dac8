/* packer.h - one request for many callers: what waits while a request is under
 * way goes into the next one.
 *
 * A service commits all that it has been asked at once (group commit; DeWitt
 * et al., "Implementation Techniques for Main Memory Database Systems", 1984);
 * a packer does the same on the other side, for programs in which many ask at
 * a time.  Nobody lingers for company: when no request is under way, a command
 * leaves at once.  Each command keeps its own id and its own answer, and
 * callers take turns, so that one with a thousand commands does not hold up one
 * with a single command.  All functions may be called from any thread. */
#ifndef PACKER_H
#define PACKER_H

#include "net/client.h"

struct packer;        /* of one service */
struct packer_caller; /* has its turn */

/* For commands to @service of @client, which must outlive the packer.  A
 * request that is not answered within @timeout_ms is given up. */
struct packer *packer_open(struct client *client, const char *service,
                           int timeout_ms);
/* Whoever still waits hears EVT_BUSY first.  Frees all callers. */
void packer_close(struct packer *packer);

/* A new caller, owned by @packer. */
struct packer_caller *packer_join(struct packer *packer);

/* What became of a command; called once for each, in a thread of NNG's or, when
 * nobody listens, in that of packer_submit; it may submit again, and must not
 * block.  EVT_OK: *@answer is the service's.  EVT_NONE: nobody listens there,
 * it was not sent.  EVT_BUSY, EVT_BAD: no answer in time, or one that is none:
 * it may be recorded; the same command may be sent again. */
typedef void packer_done(void *ctx, enum evt_status rc,
                         const struct answer *answer);
/* Sends a copy of @command in @caller's turn, and returns at once. */
void packer_submit(struct packer_caller *caller, const struct command *command,
                   packer_done *done, void *ctx);

/* The same for a thread that waits for it, at most @timeout_ms; then EVT_BUSY:
 * it may be recorded, now or later. */
MUST_CHECK enum evt_status packer_command(struct packer_caller *caller,
                                          const struct command *command,
                                          int timeout_ms,
                                          struct answer *answer);

#endif
