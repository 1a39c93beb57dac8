/* address.h - where the sockets of a service are, and who is behind them.
 *
 * Over ipc they lie in the data directory, run/<service>.{pub,cmd,qry}, with
 * the lock of the endpoint beside them.  Over tcp, service number i of its
 * domain's (domain.h: services) has three ports from PORT + 3i on: pub, cmd,
 * qry. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { URL_BYTES = 128, LOCK_PATH_BYTES = 64 };

/* Whether @bus is an address that we listen on: loopback tcp with room for the
 * ports of SERVICES_MAX services.  *@port is its first. */
MUST_CHECK bool address_parse_bus(const char *bus, int *port);

/* The port of @socket ("pub", "cmd", "qry") of @service when the bus begins at
 * @port; 0: it is not among @services (ends with NULL, may be NULL). */
int address_port(const char *const *services, int port, const char *service,
                 const char *socket);

/* Writes the address of @socket of @service to @url: tcp if @port is not 0,
 * else ipc below @directory ("" or a path that ends in '/'). */
void address_url(const char *const *services, int port, const char *directory,
                 const char *service, const char *socket, char url[URL_BYTES]);

/* The lock of @service's endpoint, relative to the data directory. */
void address_lock(const char *service, char path[LOCK_PATH_BYTES]);

/* Whether a process holds a lock on @path, seen from @directory_fd; @flags are
 * open(2)'s. */
MUST_CHECK bool address_is_locked(int directory_fd, const char *path,
                                  int flags);

/* Whether anybody accepts connections on loopback @port.  It answers at once,
 * which a dial of NNG's to a stopped process does not; over tcp a connection
 * that is closed again does no harm. */
MUST_CHECK bool address_listens(int port);

#endif
