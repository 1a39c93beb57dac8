/* scratch.c - see scratch.h. */
#include "scratch.h"

#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void scratch_make(char directory[SCRATCH_BYTES])
{
    const char *top = getenv("TMPDIR");
    char path[128];

    snprintf(directory, SCRATCH_BYTES, "%s/saga-sim-XXXXXX",
             top != NULL && strlen(top) < 40 ? top : "/tmp");
    if (mkdtemp(directory) == NULL)
        abort();
    for (int i = 0; i < SERVICES; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, shop_services[i]);
        if (mkdir(path, 0700) != 0)
            abort();
    }
}

void scratch_remove(const char *directory)
{
    char path[128];

    for (int i = 0; i < SERVICES; i++) {
        snprintf(path, sizeof path, "%s/%s/view.db", directory,
                 shop_services[i]);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s/view.db.new", directory,
                 shop_services[i]);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s", directory, shop_services[i]);
        rmdir(path);
    }
    snprintf(path, sizeof path, "%s/journal", directory);
    unlink(path);
    rmdir(directory);
}
