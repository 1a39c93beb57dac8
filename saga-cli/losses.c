/* losses.c - see losses.h: one file, appended to with a single write. */
#include "saga-cli/losses.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void path_of(const struct saga *saga, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/losses.jsonl", saga->directory);
}

/* Takes one line; false: it is not a loss. */
static bool take(json_t *losses, const char *line)
{
    json_t *loss = json_loads(line, 0, NULL);
    bool good = json_text(loss, "id")[0] != '\0' &&
                json_text(loss, "subject")[0] != '\0' &&
                json_text(loss, "text")[0] != '\0';

    if (good)
        json_array_append(losses, loss);
    json_decref(loss);
    return good;
}

json_t *losses_read(const struct saga *saga, int *code)
{
    char path[PATH_MAX], *line = NULL;
    json_t *losses = json_array();
    size_t room = 0;
    bool good = true;
    FILE *file;

    path_of(saga, path);
    file = fopen(path, "re");
    *code = SAGA_YES;
    if (file == NULL && errno != ENOENT)
        *code = saga_fail(saga, SAGA_IO, "%s: %s", path, strerror(errno));
    while (file != NULL && good && getline(&line, &room, file) >= 0)
        good = take(losses, line);
    if (!good)
        *code = saga_fail(saga, SAGA_BAD_DATA,
                          "%s: malformed line (look: cat %s)", path, path);
    if (file != NULL)
        fclose(file);
    free(line);
    if (*code == SAGA_YES)
        return losses;
    json_decref(losses);
    return NULL;
}

json_t *losses_find(const json_t *losses, const char *id, const char *subject,
                    const char *text)
{
    json_t *loss;
    size_t i;

    json_array_foreach(losses, i, loss)
    {
        if (strcmp(json_text(loss, "id"), id) == 0 &&
            strcmp(json_text(loss, "subject"), subject) == 0 &&
            strcmp(json_text(loss, "text"), text) == 0)
            return loss;
    }
    return NULL;
}

static bool sync_directory(const struct saga *saga)
{
    int fd = open(saga->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return synced;
}

/* The lines, in one text; caller frees. */
static char *lines_of(const json_t *losses, size_t *bytes)
{
    char *text = NULL;
    FILE *memory = open_memstream(&text, bytes);
    json_t *loss;
    size_t i;

    if (memory == NULL)
        abort();
    json_array_foreach(losses, i, loss)
    {
        json_dumpf(loss, memory, JSON_COMPACT);
        fputc('\n', memory);
    }
    if (fclose(memory) != 0)
        abort();
    return text;
}

int losses_append(const struct saga *saga, const json_t *losses)
{
    char path[PATH_MAX], *text;
    size_t bytes = 0;
    bool written;
    off_t before;
    int fd, code = SAGA_YES;

    path_of(saga, path);
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    before = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    text = lines_of(losses, &bytes);
    written = before >= 0 && write(fd, text, bytes) == (ssize_t)bytes &&
              fsync(fd) == 0 && sync_directory(saga);
    if (!written) {
        code = saga_fail(saga, SAGA_IO, "%s: %s: nothing is acknowledged", path,
                         strerror(errno));
        if (before >= 0 && ftruncate(fd, before) != 0)
            code =
                saga_fail(saga, SAGA_IO, "%s: its last line may be cut", path);
    }
    free(text);
    if (fd >= 0)
        close(fd);
    return code;
}
