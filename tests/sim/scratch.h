/* scratch.h - the directory of a simulation: the links to the views and the
 * journal are real files, all else is in memory (simvfs.h). */
#ifndef SCRATCH_H
#define SCRATCH_H

enum { SCRATCH_BYTES = 64 };

/* Makes one under $TMPDIR, or /tmp, with what sim_run expects in it. */
void scratch_make(char directory[SCRATCH_BYTES]);
void scratch_remove(const char *directory);

#endif
