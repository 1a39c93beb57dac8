/* use.h - what processes have used so far: CPU by thread, bytes written.
 *
 * Read from /proc, for the difference between two moments. */
#ifndef USE_H
#define USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { USE_THREADS_MAX = 24, USE_NAME_BYTES = 24 };

/* Threads of one name count together: NNG has several of a kind. */
struct use {
    uint64_t cpu_ns, write_bytes;
    size_t thread_count;
    struct use_thread {
        char name[USE_NAME_BYTES];
        uint64_t cpu_ns;
    } threads[USE_THREADS_MAX];
};

/* False when there is no such process (or it is somebody else's). */
bool use_read(int pid, struct use *use);

/* @after becomes what was used since @before; threads that used nothing are
 * left out, those that used most come first. */
void use_since(const struct use *before, struct use *after);

#endif
