/* router.h - what arrives on the command socket, told apart in one place.
 *
 *     msgpack                              commands     commands.c
 *     {"do": "redrive"}, "accept"          operators    control.c
 *     {"get": "faults"}, {"do": ...}       the process  its own routes, which
 *                                                       it hands to shell_open
 *
 * Anything else is answered "not a request".  {"get": "ping"} arrives nowhere:
 * it is how bus.c asks its own listener whether it still hears, and the bus
 * answers it below every loop, so that a busy loop does not look deaf. */
#ifndef ROUTER_H
#define ROUTER_H

#include "base/env.h"
#include "core/event.h"

#include <jansson.h>

struct shell;

/* Does what @request asks for; *reply is a new reference.  Any error but
 * EVT_IO is answered for it: storage full, locked, or what the store says. */
typedef enum evt_status route_fn(void *ctx, const json_t *request,
                                 json_t **reply);

/* A request {@member: @value, ...}; a table of them ends with NULL. */
struct route {
    const char *member, *value;
    route_fn *run;
};

/* Whether @input goes to router_take, and not to commands_handle. */
bool router_takes(const struct input *input);

/* Runs a JSON request in transactions of its own, between two batches, and
 * answers it.  EVT_IO: it was not answered, leave. */
MUST_CHECK enum evt_status router_take(struct shell *shell,
                                       const struct input *input);

/* Answers and counts bytes that are no request. */
void router_not_a_request(struct shell *shell, uint64_t token);

/* {"error": text, "code": exit code}, a new reference. */
json_t *router_error(int code, const char *text);

#endif
