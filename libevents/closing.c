/* closing.c - see closing.h. */
#include "closing.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* A socket is a number, and its owner may be gone when the thread starts. */
static void *closing_thread(void *arg)
{
    nng_socket socket = *(nng_socket *)arg;

    free(arg);
    nng_close(socket);
    return NULL;
}

bool close_socket(nng_socket socket)
{
    nng_socket *copy = malloc(sizeof *copy);
    struct timespec end;
    pthread_t thread;

    if (copy == NULL)
        abort();
    *copy = socket;
    if (pthread_create(&thread, NULL, closing_thread, copy) != 0) {
        free(copy);
        return false; /* left to the end of the process */
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CLOSING_MS / 1000;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end) == 0)
        return true;
    pthread_detach(thread);
    return false;
}
