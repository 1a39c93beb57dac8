/* packer.h - one request for many callers: what waits while a request is under
 * way goes into the next one.
 *
 * A service commits at once all that it has been asked (group commit: DeWitt
 * et al., "Implementation Techniques for Main Memory Database Systems", 1984).
 * A packer does the same on the other side, in a program that asks for many.
 * Nobody lingers for company: when no request is under way, a command leaves at
 * once.  Each keeps its own id and gets its own answer; callers take turns, so
 * that one with a thousand commands does not hold up one with a single command.
 * All functions may be called from any thread. */
#ifndef PACKER_H
#define PACKER_H

#include "net/client.h"

struct packer;        /* of one service; one request at a time */
struct packer_caller; /* who takes turns */

/* Opens a client of its own as client_open does: @domain has its commands.  A
 * request that is not answered within @timeout_ms is given up. */
MUST_CHECK enum evt_status packer_open(const struct domain *domain,
                                       const char *directory, const char *bus,
                                       const char *service, int timeout_ms,
                                       struct packer **packer, char *why,
                                       size_t why_bytes);
/* Waits for the request that is under way.  What has not been sent hears
 * EVT_NONE.  Frees the callers, too. */
void packer_close(struct packer *packer);

/* A new caller; @packer's. */
struct packer_caller *packer_join(struct packer *packer);

/* What became of a command, told once, in the packer's thread: it must not
 * block, and may submit.  EVT_OK: *@answer is the service's.  EVT_NONE: it was
 * not sent, nobody listens there.  Otherwise (EVT_BUSY: no answer in time) it
 * may be recorded: only the same command under the same id is safe to send. */
typedef void packer_done(void *ctx, enum evt_status rc,
                         const struct answer *answer);
/* Sends a copy of @command when it is @caller's turn; returns at once. */
void packer_submit(struct packer_caller *caller, const struct command *command,
                   packer_done *done, void *ctx);

/* The same, and waits for at most @timeout_ms; after that EVT_BUSY: it may be
 * recorded, or be sent later yet. */
MUST_CHECK enum evt_status packer_command(struct packer_caller *caller,
                                          const struct command *command,
                                          int timeout_ms,
                                          struct answer *answer);

#endif
