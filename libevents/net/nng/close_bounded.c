/* close_bounded.c - see close_bounded.h. */
#include "net/nng/close_bounded.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* A socket is a number: nothing to be lent, so nothing to outlive. */
static void *closing_thread(void *id)
{
    nng_close((nng_socket){.id = (uint32_t)(uintptr_t)id});
    return NULL;
}

bool close_bounded(nng_socket socket)
{
    struct timespec end;
    pthread_t thread;

    if (pthread_create(&thread, NULL, closing_thread,
                       (void *)(uintptr_t)socket.id) != 0)
        return false; /* left to the end of the process */
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CLOSING_MS / 1000;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end) == 0)
        return true;
    pthread_detach(thread);
    return false;
}
