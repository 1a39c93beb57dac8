/* options.h - a service's command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "core/service.h"

enum { OPTION_TIMERS_MAX = 4 };

struct options {
    const char *directory; /* the data directory */
    const char *read_side; /* run only a read side, in this directory */
    int port;              /* tcp; 0: ipc */
    bool faults, verbose;
    uint32_t timer_ms[OPTION_TIMERS_MAX];
};

/* Fills @options.  False: *code is the exit code, all is said. */
bool options_read(struct options *options, const struct service *service,
                  int argc, char **argv, int *code);

#endif
