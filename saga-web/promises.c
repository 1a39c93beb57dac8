/* promises.c - a thread that checks, and then rests.
 *
 * A check reads all logs, so it takes the longer the more there is.  The rest
 * is so long that checking takes a tenth of the time at most, and the page says
 * of when its lights are. */
#include "saga-web/promises.h"

#include "saga-cli/story.h"
#include "saga-web/child.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { REST_MS = 2000, REST_FACTOR = 9, CHECK_MS = 600000 };

struct promises {
    char *saga;
    struct server *server;
    int stop;
    pthread_t thread;
};

/* Returns how long it took. */
static uint64_t check(struct promises *promises)
{
    char verb[] = "check", json[] = "--json";
    char *argv[] = {promises->saga, verb, json, NULL};
    uint64_t begun = saga_mono_ms(), took;
    int64_t at = saga_unix_ms();
    json_t *checked = child_run(argv, CHECK_MS, promises->stop);

    took = saga_mono_ms() - begun;
    json_object_set_new(checked, "at", json_integer(at));
    json_object_set_new(checked, "took_ms", json_integer((json_int_t)took));
    server_say(promises->server, "check", checked, true);
    return took;
}

static void *run(void *ctx)
{
    struct promises *promises = ctx;
    struct pollfd stop = {.fd = promises->stop, .events = POLLIN};
    uint64_t rest = 0;

    while (poll(&stop, 1, (int)rest) == 0) {
        rest = REST_MS;
        if (server_watchers(promises->server) == 0)
            continue;
        rest = check(promises) * REST_FACTOR;
        rest = rest < REST_MS ? REST_MS : rest;
    }
    return NULL;
}

struct promises *promises_open(const char *saga, struct server *server,
                               int stop)
{
    struct promises *promises = calloc(1, sizeof *promises);

    if (promises == NULL || (promises->saga = strdup(saga)) == NULL)
        abort();
    promises->server = server;
    promises->stop = stop;
    if (pthread_create(&promises->thread, NULL, run, promises) != 0)
        abort();
    return promises;
}

void promises_close(struct promises *promises)
{
    if (promises == NULL)
        return;
    pthread_join(promises->thread, NULL);
    free(promises->saga);
    free(promises);
}
