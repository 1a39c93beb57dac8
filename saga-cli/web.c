/* web.c - `saga web`: becomes saga-web, the program beside this one.
 *
 * That has the same words (saga-web/main.c), and says what is wrong with
 * them. */
#include "saga-cli/web.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct web_options *web = saga->options;

    if (key == 'p')
        return saga_take_number(saga, "port", arg, 1024, 65535, &web->port);
    if (key == 'o')
        web->read_only = true;
    else if (key == 'm')
        web->metrics_open = true;
    else
        return ARGP_ERR_UNKNOWN;
    return SAGA_YES;
}

static int run_web(struct saga *saga)
{
    struct web_options web = {.port = 0};
    int code = saga_parse(saga, &web);
    char path[PATH_MAX];

    if (code != SAGA_YES)
        return code;
    if (!saga_find_above("bin/saga-web", path))
        return saga_fail(saga, SAGA_NOT_RUNNING,
                         "there is no saga-web beside this program; 'make' "
                         "builds it");
    saga->argv[0] = path;
    execv(path, saga->argv);
    return saga_fail(saga, SAGA_IO, "%s: %s", path, strerror(errno));
}

static const struct argp_option options[] = {
    {"port", 'p', "N", 0, "on this port of 127.0.0.1 (any free one)", 0},
    {"metrics-open", 'm', NULL, 0,
     "a Prometheus on this machine needs no token for /metrics", 0},
    {"read-only", 'o', NULL, 0, "visitors can look, and change nothing", 0},
    {0}};

const struct verb verb_web = {
    .name = "web",
    .group = OPERATION,
    .examples = "web\n"
                "web --port 8420 --read-only",
    .summary = "show the services in a browser, live, until Ctrl-C",
    .args = "",
    .options = options,
    .parse = parse,
    .notes = "Prints a link, which holds the token of this start: a visitor "
             "with the link can do what the page can.  Nobody else gets an "
             "answer, on "
             "this machine or from another web page.\n"
             "exits 75 if the port is in use, or a saga-web runs already",
    .run = run_web};
