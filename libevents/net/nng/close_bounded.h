/* close_bounded.h - closing a socket of NNG 1.5.2 without being held up for
 * ever.
 *
 * nng_close waits until NNG's reaper has taken every connection apart, and the
 * reaper waits for each transfer to end.  One that was being started in that
 * very moment never ends, so neither does nng_close, of this socket or of any
 * later one (mended upstream by aac4dc36, "fix deadlock on socket close"). */
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
