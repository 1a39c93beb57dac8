/* close_bounded.h - closing a socket of NNG without being held up for ever.
 *
 * This is for VICE_ENDLESS_CLOSE (bus.h).  nng_close waits until NNG's reaper
 * has taken every connection apart, and the reaper waits for each transfer to
 * end.  One that was being started in that very moment never ends, so neither
 * does nng_close, of this socket or of any later one (fixed in 1.9.0 by
 * aac4dc36, "fix deadlock on socket close"). */
#ifndef CLOSE_BOUNDED_H
#define CLOSE_BOUNDED_H

#include <nng/nng.h>
#include <stdbool.h>

/* nng_close in a thread of its own, for which this waits CLOSING_MS at most.
 * False: it is not over.  The listeners and dialers of @socket are closed all
 * the same, and what waited on it has ended; but NNG still knows it, and may
 * call what it was told to call.  The thread then stays to the process's end.
 */
enum { CLOSING_MS = 1000 };
bool close_bounded(nng_socket socket);

#endif
