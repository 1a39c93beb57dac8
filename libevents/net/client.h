/* client.h - asking a service: what `saga` and outside programs link against.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "net/address.h"
#include "stream/request.h"

#include <jansson.h>

/* Sockets to services, whose addresses are those of address.h. */
struct client;

/* @domain has the commands that will be sent, and the services' ports over tcp;
 * NULL: none.  @directory is the data directory (SAGA_DIR), any length; @bus
 * NULL for ipc.
 * EVT_BAD: @bus is not a loopback tcp address (@why says so). */
MUST_CHECK enum evt_status client_open(const struct domain *domain,
                                       const char *directory, const char *bus,
                                       struct client **client, char *why,
                                       size_t why_bytes);
void client_close(struct client *client);

/* The address of a service's "pub", "cmd" or "qry" socket, for a program that
 * dials by itself; good as long as @client is open. */
void client_url(const struct client *client, const char *service,
                const char *socket, char url[URL_BYTES]);

/* Sends @request to a service's "cmd" or "qry" socket, waits for the reply.
 * EVT_NONE: nobody listens there (at once, not after the timeout);
 * EVT_BUSY: somebody does, but there is no answer in time.  @reply holds
 * MESSAGE_MAX. */
MUST_CHECK enum evt_status
client_request(struct client *client, const char *service, const char *socket,
               const void *request, size_t count, int timeout_ms,
               uint8_t *reply, size_t *reply_bytes);

/* The same with JSON both ways; *reply is a new reference. */
MUST_CHECK enum evt_status client_ask(struct client *client,
                                      const char *service, const char *socket,
                                      const json_t *request, int timeout_ms,
                                      json_t **reply);

/* The same of a lone read side that runs in @directory. */
MUST_CHECK enum evt_status client_ask_read_side(const char *directory,
                                                const char *service,
                                                const json_t *request,
                                                int timeout_ms, json_t **reply);

/* Sends commands (at most COMMANDS_PER_REQUEST) to @service.  EVT_BAD: they are
 * too long for one request, or the reply is no answer. */
MUST_CHECK enum evt_status client_command(struct client *client,
                                          const char *service,
                                          const struct command commands[],
                                          size_t count, int timeout_ms,
                                          struct answer answers[]);

/* A time-ordered id: @prefix, "-", ten characters of time, eight random ones
 * (Crockford base 32, lower case). */
void client_new_id(const char *prefix, char id[ID_BYTES]);

#endif
