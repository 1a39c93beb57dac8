/* effect.c - what a verb changes is told, however the verb ends.
 *
 * The id of an effect is chosen before the effect, so that a repetition counts
 * once.  It helps only who knows it: a verb names it here first, and stderr
 * says it when the process is interrupted or its answer cannot be written. */
#include "saga-cli/saga.h"
#include "saga-cli/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EFFECT_BYTES = 512 };

static char texts[2][2 * START_BYTES];    /* the one told, and the next */
static _Atomic(const char *) effect = ""; /* one of them, whole */
static char written[EFFECT_BYTES];        /* the same, with hints as written */

const char *saga_effect(void)
{
    return written;
}

/* Calls only what signal-safety(7) allows. */
static void interrupted(int number)
{
    static const char before[] = "\nsaga: interrupted; ";
    const char *text = effect;

    if (text[0] != '\0' &&
        (write(STDERR_FILENO, before, sizeof before - 1) < 0 ||
         write(STDERR_FILENO, text, strlen(text)) < 0 ||
         write(STDERR_FILENO, "\n", 1) < 0))
        _exit(128 + number);
    (void)raise(number); /* as if it had not been caught (SA_RESETHAND) */
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = interrupted,
                               .sa_flags = (int)SA_RESETHAND},
                     old;

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            (void)sigaction(numbers[i], &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* it is a failed write like any other */
}

void saga_set_effect(const char *format, ...)
{
    char *next = texts[effect == texts[0]];
    bool first = effect != texts[0] && effect != texts[1];
    va_list args;

    va_start(args, format);
    vsnprintf(written, sizeof written, format, args);
    va_end(args);
    snprintf(next, sizeof texts[0], "%s", written);
    hint_from_here(next, sizeof texts[0]);
    effect = next;
    if (first)
        catch_signals();
}

int saga_finish(int code)
{
    bool failed = ferror(stdout) != 0;

    errno = 0;
    failed = !screen_close() || failed;
    if (!failed)
        return code;
    fprintf(stderr, "saga: the answer could not be written%s%s%s%s\n",
            errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "",
            effect[0] != '\0' ? "; " : "", effect);
    return SAGA_IO;
}

void saga_open_standard(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            abort();
}
