/* use.c - see use.h.  schedstat counts nanoseconds on the CPU, where stat has
 * ticks of 10 ms; proc(5) describes both. */
#include "use.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line of /proc/PID/@rest, without its newline. */
static bool read_line(int pid, const char *rest, char *line, size_t size)
{
    char path[96];
    FILE *file;
    bool good;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, rest);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    good = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (good)
        line[strcspn(line, "\n")] = '\0';
    return good;
}

static uint64_t written_by(int pid)
{
    char path[64], line[128];
    uint64_t bytes = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/io", pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "write_bytes: %" SCNu64, &bytes) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return bytes;
}

static struct use_thread *thread_named(struct use *use, const char *name)
{
    for (size_t i = 0; i < use->thread_count; i++)
        if (strcmp(use->threads[i].name, name) == 0)
            return &use->threads[i];
    if (use->thread_count == USE_THREADS_MAX)
        return &use->threads[USE_THREADS_MAX - 1];
    snprintf(use->threads[use->thread_count].name, USE_NAME_BYTES, "%s", name);
    return &use->threads[use->thread_count++];
}

static void add_thread(struct use *use, int pid, const char *task)
{
    char rest[64], name[USE_NAME_BYTES], line[96];
    uint64_t ns;

    snprintf(rest, sizeof rest, "task/%.20s/comm", task);
    if (!read_line(pid, rest, name, sizeof name))
        return; /* it has just ended */
    snprintf(rest, sizeof rest, "task/%.20s/schedstat", task);
    if (!read_line(pid, rest, line, sizeof line) ||
        sscanf(line, "%" SCNu64, &ns) != 1)
        return;
    use->cpu_ns += ns;
    thread_named(use, name)->cpu_ns += ns;
}

bool use_read(int pid, struct use *use)
{
    char path[64];
    const struct dirent *entry;
    DIR *tasks;

    memset(use, 0, sizeof *use);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    if (tasks == NULL)
        return false;
    while ((entry = readdir(tasks)) != NULL)
        if (entry->d_name[0] != '.')
            add_thread(use, pid, entry->d_name);
    closedir(tasks);
    use->write_bytes = written_by(pid);
    return true;
}

static int most_first(const void *a, const void *b)
{
    const struct use_thread *x = a, *y = b;

    return x->cpu_ns < y->cpu_ns ? 1 : x->cpu_ns > y->cpu_ns ? -1 : 0;
}

void use_since(const struct use *before, struct use *after)
{
    size_t kept = 0;

    after->cpu_ns -= before->cpu_ns;
    after->write_bytes -= before->write_bytes;
    for (size_t i = 0; i < after->thread_count; i++) {
        struct use_thread thread = after->threads[i];

        for (size_t k = 0; k < before->thread_count; k++)
            if (strcmp(before->threads[k].name, thread.name) == 0)
                thread.cpu_ns -= before->threads[k].cpu_ns;
        if (thread.cpu_ns > 0)
            after->threads[kept++] = thread;
    }
    after->thread_count = kept;
    qsort(after->threads, kept, sizeof after->threads[0], most_first);
}
