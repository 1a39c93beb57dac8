/* host.h - a service in the real world: options, locks, signals, two loops.
 *
 * The main thread polls and feeds the shell; a second thread polls and feeds
 * the read side.  All of NNG is behind bus.h. */
#ifndef HOST_H
#define HOST_H

#include "core/service.h"
#include "read/view.h"

/* Runs @service with its view until SIGTERM or SIGINT, or {"do":"shutdown"}.
 * Returns the exit code of sysexits.h: 0; 64 usage; 65 a database that is not
 * ours or newer; 69 address refused; 74 I/O; 75 already running, or locked. */
int host_main(int argc, char **argv, const struct service *service,
              const struct view *view);

#endif
