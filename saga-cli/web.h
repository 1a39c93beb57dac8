/* web.h - the options of `saga web`, which are those of saga-web. */
#ifndef WEB_H
#define WEB_H

#include "saga-cli/verbs.h"

struct web_options {
    int64_t port; /* 0: any free one */
    bool read_only, metrics_open;
};

#endif
