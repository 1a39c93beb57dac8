/* scratch.h - a directory of a test's own, removed when the test ends.
 *
 * Real files for tests of the store and of what stands on it.  Not a
 * simulated disk: for failing writes see faultvfs.h. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>

struct scratch {
    char path[96];
};

/* A fresh directory (0700) under $TMPDIR, or /tmp. */
void scratch_open(struct scratch *scratch);
/* Removes it with all that is in it. */
void scratch_close(struct scratch *scratch);

/* @name in the directory; borrowed until eight more were asked for. */
const char *scratch_file(const struct scratch *scratch, const char *name);

/* The text of a file, "" if there is none; the caller frees it. */
char *scratch_text(const char *path);
/* Copies a file to one that it makes or empties. */
void scratch_copy(const char *from, const char *to);

/* Runs SQL on the database file @path, on a connection of its own. */
void scratch_sql(const char *path, const char *sql);
/* The first column of the first row, as a number. */
long long scratch_ask(const char *path, const char *sql);

#endif
