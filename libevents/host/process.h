/* process.h - requests on the command socket that concern the process: faults
 * and shutdown.  write/router.h has everything that arrives there. */
#ifndef PROCESS_H
#define PROCESS_H

#include "write/router.h"

#include <stdatomic.h>

struct process {
    bool faults;          /* whether faults can be set */
    atomic_bool stopping; /* both loops end */
};

/* Their ctx is the struct process. */
extern const struct route process_routes[];

#endif
