/* start.h - a whole service, from its exec to its first answers.
 *
 * layers.c measures a log alone, without a process, sockets, locks and a view.
 * On any error it ends what it has started, and the program, with a message. */
#ifndef START_H
#define START_H

#include <stdint.h>

/* Starts @program on @directory with nothing else running there, and returns
 * how many ms pass before both sides have answered: its read side a status,
 * its write side a control. */
double start_service(const char *program, const char *directory);

/* Waits until the view of the one that runs has read its log up to @seq. */
void start_catch_up(const char *directory, uint64_t seq);

/* KiB that it holds in memory. */
uint64_t start_memory_kib(void);

/* Ends it, and waits for that. */
void start_end(void);

/* KiB that a process holds in memory; 0: there is none. */
uint64_t memory_kib(int pid);

#endif
