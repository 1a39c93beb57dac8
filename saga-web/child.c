/* child.c - a child process on a pipe, bounded in time and output. */
#include "saga-web/child.h"

#include "saga-cli/saga.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, where only what is safe after fork may be called. */
static void become(char *const argv[], int out, pid_t parent)
{
    int nothing = open("/dev/null", O_RDWR);
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it ended before the line above */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(nothing, 2) < 0)
        _exit(127);
    execv(argv[0], argv);
    _exit(127);
}

/* Reads to the end of @in; false: too late, too much, or told to stop. */
static bool read_all(int in, int64_t deadline_ms, int stop, char *said,
                     size_t *size)
{
    struct pollfd ready[] = {{.fd = in, .events = POLLIN},
                             {.fd = stop, .events = POLLIN}};
    ssize_t got;

    for (;;) {
        int64_t left = deadline_ms - (int64_t)saga_mono_ms();

        if (left <= 0 || *size == CHILD_SAID_MAX)
            return false;
        if (poll(ready, 2, (int)left) < 0 && errno != EINTR)
            return false;
        if (ready[1].revents != 0)
            return false;
        if (ready[0].revents == 0)
            continue;
        got = read(in, said + *size, CHILD_SAID_MAX - *size);
        if (got == 0)
            return true;
        if (got > 0)
            *size += (size_t)got;
        else if (errno != EINTR)
            return false;
    }
}

static int code_of(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static json_t *answer(int code, const char *said, size_t size)
{
    json_t *json = json_loadb(said, size, JSON_DECODE_ANY, NULL);

    if (json == NULL)
        json = json_stringn(said, size);
    return json_pack("{s:i,s:o}", "code", code, "said",
                     json != NULL ? json : json_null());
}

json_t *child_run(char *const argv[], int timeout_ms, int stop)
{
    int64_t deadline_ms = (int64_t)saga_mono_ms() + timeout_ms;
    char *said = malloc(CHILD_SAID_MAX);
    pid_t parent = getpid(), child;
    size_t size = 0;
    json_t *result;
    int ends[2];

    if (said == NULL)
        abort();
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(said);
        return answer(-1, "", 0);
    }
    child = fork();
    if (child == 0)
        become(argv, ends[1], parent);
    close(ends[1]);
    if (child > 0 && !read_all(ends[0], deadline_ms, stop, said, &size))
        kill(child, SIGKILL); /* not yet waited for: it is still ours */
    close(ends[0]);
    result = answer(child > 0 ? code_of(child) : -1, said, size);
    free(said);
    return result;
}
