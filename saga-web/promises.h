/* promises.h - runs `saga check` again and again while somebody watches. */
#ifndef PROMISES_H
#define PROMISES_H

#include "saga-web/server.h"

struct promises;

/* @saga is the program, @stop becomes readable when this is to end; both, and
 * the server, stay the caller's.  Caller closes, after that. */
struct promises *promises_open(const char *saga, struct server *server,
                               int stop);
void promises_close(struct promises *promises);

#endif
