/* status.h - what a process says about itself: {"get": "status"}.
 *
 * The read side answers it (read/queries.c puts the view's part in and asks
 * for the rest); the write side runs in another thread and leaves a copy of
 * its numbers here after each step. */
#ifndef HOST_STATUS_H
#define HOST_STATUS_H

#include "net/bus.h"
#include "write/shell.h"

#include <jansson.h>
#include <pthread.h>

struct status {
    const char *service;
    uint64_t started_ms;
    bool faults;

    pthread_mutex_t mutex; /* guards what follows */
    bool shared;           /* false: a lone read side */
    struct shell_status shell;
    struct bus_counts bus;
};

/* @service is static text.  @faults: whether faults can be set. */
void status_open(struct status *status, const char *service, bool faults);

/* Leaves the write side's numbers, from its thread. */
void status_share(struct status *status, const struct shell *shell,
                  const struct bus *bus);

/* Adds everything to @json; a projection_config.add_status: @status is a
 * struct status.  From any thread. */
void status_add(void *status, json_t *json);

#endif
