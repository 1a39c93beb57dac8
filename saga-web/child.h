/* child.h - runs a command and keeps what it prints. */
#ifndef CHILD_H
#define CHILD_H

#include <jansson.h>

enum { CHILD_SAID_MAX = 1 << 20 };

/* Runs @argv and returns {"code","said"}: its exit code, and its standard
 * output, as JSON if it is that.  It is killed after @timeout_ms, when it
 * prints more than CHILD_SAID_MAX bytes, when the descriptor @stop becomes
 * readable, and when the thread that runs it ends.  A code above 128 is a
 * signal's, -1 means that it could not be started.  Never NULL. */
json_t *child_run(char *const argv[], int timeout_ms, int stop);

#endif
