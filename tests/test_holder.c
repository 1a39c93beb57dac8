/* test_holder.c - which process holds a lock. */
#include "host/holder.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch scratch;
static const char *path;
static struct holder holder;

static void set_up(void)
{
    scratch_open(&scratch);
    path = scratch_file(&scratch, "lock");
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void tear_down(void)
{
    scratch_close(&scratch);
}

TestSuite(holder, .init = set_up, .fini = tear_down);

static enum evt_status find(int hint)
{
    return holder_find(AT_FDCWD, path, hint, &holder);
}

static int lock(int operation)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    cr_assert_eq(flock(fd, operation | LOCK_NB), 0);
    return fd;
}

/* A process that does nothing, with all that we have open. */
static pid_t child(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(holder, of_what_is_not_locked_there_is_none)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    cr_assert_eq(find(0), EVT_NONE);
    cr_assert_eq(find(getpid()), EVT_NONE, "open is not locked");
    cr_assert_eq(flock(fd, LOCK_SH), 0);
    cr_assert_eq(find(0), EVT_NONE, "a look does not run");
    close(fd);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(find(0), EVT_NONE);
}

Test(holder, is_found_whatever_the_hint_says)
{
    int fd = lock(LOCK_EX);
    int hints[] = {0, 1, getpid(), 0x3fffff};

    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        cr_assert_eq(find(hints[i]), EVT_OK);
        cr_assert_eq(holder.pid, getpid());
        cr_assert_not(holder_ended(&holder, 0));
        close(holder.pidfd);
    }
    close(fd);
    cr_assert_eq(find(0), EVT_NONE);
}

Test(holder, of_a_lock_that_is_shared_by_descent_is_the_first)
{
    int fd = lock(LOCK_EX);
    pid_t one = child(), two = child();

    cr_assert_eq(find(two), EVT_OK);
    cr_assert_eq(holder.pid, getpid());
    close(holder.pidfd);
    end(two);
    close(fd);
    cr_assert_eq(find(0), EVT_OK, "the lock lives on");
    cr_assert_eq(holder.pid, one);
    end(one);
    cr_assert(holder_ended(&holder, 1000));
    close(holder.pidfd);
    cr_assert_eq(find(0), EVT_NONE);
}
