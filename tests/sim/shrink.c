/* shrink.c - deletes chunks, zeroes them, lowers bytes, as long as the same
 * invariant is violated.
 *
 * In a choice stream 0 is the calm choice and what is missing reads as 0, so
 * nothing has to be known about what a byte means (choice.h names the idea's
 * origin).  A candidate runs in a child process: what aborts is a find, too. */
#include "shrink.h"

#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shrinking {
    uint8_t *bytes, *trial;
    size_t count;
    const char *directory;
    char broken[16];
    time_t end;
};

static void run_child(const struct shrinking *shrinking, const uint8_t *bytes,
                      size_t count, int to)
{
    struct sim_options options = {.directory = shrinking->directory};
    struct sim_result result;
    struct choice choice;
    size_t used;

    if (freopen("/dev/null", "w", stderr) == NULL ||
        freopen("/dev/null", "w", stdout) == NULL)
        _exit(1);
    choice_from_bytes(&choice, bytes, count);
    sim_run(&choice, &options, &result);
    used = choice.at;
    if (write(to, result.broken, sizeof result.broken) !=
            sizeof result.broken ||
        write(to, &used, sizeof used) != sizeof used)
        _exit(1);
    _exit(0);
}

/* What these choices violate, and how many of them were used. */
static void judge(const struct shrinking *shrinking, const uint8_t *bytes,
                  size_t count, char broken[16], size_t *used)
{
    int pipes[2], status = 0;
    pid_t child;

    if (pipe(pipes) != 0)
        abort();
    fflush(stdout);
    child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        close(pipes[0]);
        run_child(shrinking, bytes, count, pipes[1]);
    }
    close(pipes[1]);
    *used = count;
    if (read(pipes[0], broken, 16) != 16 ||
        read(pipes[0], used, sizeof *used) != sizeof *used)
        snprintf(broken, 16, "abort");
    close(pipes[0]);
    waitpid(child, &status, 0);
    if (*used > count)
        *used = count;
}

/* Keeps @trial if it fails the same way. */
static bool keep(struct shrinking *shrinking, size_t count)
{
    char broken[16];
    size_t used;

    if (time(NULL) >= shrinking->end)
        return false;
    judge(shrinking, shrinking->trial, count, broken, &used);
    if (strcmp(broken, shrinking->broken) != 0)
        return false;
    while (used > 0 && shrinking->trial[used - 1] == 0)
        used--;
    memcpy(shrinking->bytes, shrinking->trial, used);
    shrinking->count = used;
    return true;
}

static bool try_delete(struct shrinking *shrinking, size_t at, size_t chunk)
{
    size_t count = shrinking->count;

    memcpy(shrinking->trial, shrinking->bytes, at);
    memcpy(shrinking->trial + at, shrinking->bytes + at + chunk,
           count - at - chunk);
    return keep(shrinking, count - chunk);
}

static bool try_set(struct shrinking *shrinking, size_t at, size_t chunk,
                    uint8_t value)
{
    bool differs = false;

    memcpy(shrinking->trial, shrinking->bytes, shrinking->count);
    for (size_t i = at; i < at + chunk; i++) {
        differs = differs || shrinking->trial[i] > value;
        shrinking->trial[i] = value;
    }
    return differs && keep(shrinking, shrinking->count);
}

static bool pass(struct shrinking *shrinking, size_t chunk)
{
    bool better = false;

    for (size_t at = 0; at + chunk <= shrinking->count;) {
        if (try_delete(shrinking, at, chunk))
            better = true;
        else
            at += chunk;
    }
    return better;
}

/* Before anything is moved: what is calm stays where it is. */
static bool calm(struct shrinking *shrinking, size_t chunk)
{
    bool better = false;

    for (size_t at = 0; at + chunk <= shrinking->count; at += chunk)
        better = try_set(shrinking, at, chunk, 0) || better;
    return better;
}

static bool lower(struct shrinking *shrinking)
{
    bool better = false;

    for (size_t at = 0; at < shrinking->count; at++) {
        uint8_t value = shrinking->bytes[at];

        if (value > 1 && (try_set(shrinking, at, 1, value / 2) ||
                          try_set(shrinking, at, 1, (uint8_t)(value - 1))))
            better = true;
    }
    return better;
}

bool shrink(uint8_t *bytes, size_t *count, const char *directory,
            unsigned seconds, char broken[16])
{
    struct shrinking shrinking = {.bytes = bytes,
                                  .trial = malloc(CHOICES_MAX),
                                  .count = *count,
                                  .directory = directory,
                                  .end = time(NULL) + seconds};
    size_t used, chunk = 1;
    bool better = true;

    if (shrinking.trial == NULL)
        abort();
    judge(&shrinking, bytes, *count, shrinking.broken, &used);
    memcpy(broken, shrinking.broken, 16);
    shrinking.count = used;
    while (chunk < shrinking.count)
        chunk *= 2;
    while (better && broken[0] != '\0') {
        better = false;
        for (size_t size = chunk; size > 0; size /= 2)
            better = calm(&shrinking, size) || better;
        for (size_t size = chunk; size > 0; size /= 2)
            better = pass(&shrinking, size) || better;
        better = lower(&shrinking) || better;
        if (time(NULL) >= shrinking.end)
            break;
    }
    *count = shrinking.count;
    free(shrinking.trial);
    return broken[0] != '\0';
}
