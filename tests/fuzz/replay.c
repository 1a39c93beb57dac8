/* replay.c - main() for a fuzz target without libFuzzer: runs it once on each
 * file that is named, and on each file in a directory that is named.
 *
 * Prints how many there were.  None is an error: a replay of nothing shows
 * nothing. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned replayed;

static void replay_file(const char *path)
{
    size_t count;
    uint8_t *bytes = fuzz_read(path, &count);
    uint8_t *exact = malloc(count > 0 ? count : 1); /* no byte to spare */

    MUST(exact != NULL);
    memcpy(exact, bytes, count);
    free(bytes);
    if (getenv("V") != NULL)
        fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(exact, count); /* always 0 */
    free(exact);
    replayed++;
}

static void replay(const char *path)
{
    struct dirent **entries = NULL;
    struct stat info;
    char below[4096];
    int count;

    MUST(stat(path, &info) == 0);
    if (!S_ISDIR(info.st_mode)) {
        replay_file(path);
        return;
    }
    count = scandir(path, &entries, NULL, alphasort);
    MUST(count >= 0);
    for (int i = 0; i < count; i++) {
        snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay(below);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%s: %u inputs\n", strrchr(argv[0], '/') + 1, replayed);
    return replayed > 0 ? 0 : 1;
}
