/* scenario.c - `saga scenario` and `saga learn`: hand over to the scripts that
 * run the files of scenarios/ and docs/tutorial/.
 *
 * There is no language and no interpreter here: both are Markdown whose
 * commands are what a reader types.  Scripts and files lie in the repository
 * that this program was built in. */
#include "verbs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Finds @wanted in the directory of this program or in one above it, and
 * writes its path; false: nowhere. */
static bool find_above(const char *wanted, char path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length <= 0)
        return false;
    self[length] = '\0';
    for (char *slash; (slash = strrchr(self, '/')) != NULL;) {
        int bytes;

        *slash = '\0';
        bytes = snprintf(path, PATH_MAX, "%s/%s", self, wanted);
        if (bytes > 0 && bytes < PATH_MAX && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* Becomes the script @wanted, with the verb's arguments. */
static int become(struct saga *saga, const char *wanted, char **argv)
{
    char path[PATH_MAX];

    if (!find_above(wanted, path))
        return saga_fail(saga, SAGA_NO_SUCH,
                         "no %s above this program: it belongs to the "
                         "repository that it was built in",
                         wanted);
    argv[0] = path;
    execv(path, argv);
    return saga_fail(saga, SAGA_IO, "%s: %s", path, strerror(errno));
}

int verb_scenario(struct saga *saga, int argc, char **argv)
{
    (void)argc;
    return become(saga, "scripts/scenario.sh", argv);
}

int verb_learn(struct saga *saga, int argc, char **argv)
{
    (void)argc;
    return become(saga, "scripts/learn.sh", argv);
}
