/* test_datadir.c - directories, locks and addresses of a service.
 *
 * A test is a process of its own, so it may change into a directory; other
 * instances are forked (nothing here touches NNG). */
#include "host/datadir.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct scratch scratch;
static struct datadir datadir;
static const char *const services[] = {"order", "inventory", "payment", NULL};
static char its_pid[64];
static char said[512]; /* by the last other instance, on standard error */

static void set_up(void)
{
    scratch_open(&scratch);
}

static void tear_down(void)
{
    cr_assert_eq(chdir("/"), 0);
    datadir_leave(&datadir);
    scratch_close(&scratch);
}

TestSuite(datadir, .init = set_up, .fini = tear_down);

Test(datadir, tcp_has_no_ports_for_a_service_of_your_own)
{
    struct options options = {.directory = scratch.path, .port = 23450};

    cr_assert_eq(datadir_take(&datadir, "shipping", services, &options), 64);
    cr_assert_eq(datadir_take(&datadir, "payment", services, &options), 0);
    cr_assert_str_eq(datadir.pub_url, "tcp://127.0.0.1:23456");
}

static int take(const char *service, const char *directory)
{
    struct options options = {.directory = directory};

    return datadir_take(&datadir, service, services, &options);
}

/* Another instance, which ends with the code that it was given. */
static int other(const char *service, const char *directory,
                 const char *read_side)
{
    struct options options = {.directory = directory, .read_side = read_side};
    int ends[2], status;
    size_t length = 0;
    ssize_t count;
    pid_t child;

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        struct datadir its;

        dup2(ends[1], STDERR_FILENO);
        _exit(datadir_take(&its, service, services, &options));
    }
    close(ends[1]);
    while ((count = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)count;
    said[length] = '\0';
    close(ends[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static unsigned mode_of(const char *path)
{
    struct stat status;

    cr_assert_eq(lstat(path, &status), 0, "%s", path);
    return status.st_mode & 07777;
}

Test(datadir, it_makes_what_is_missing_and_goes_there)
{
    const char *directory = scratch_file(&scratch, "data");
    char here[200];

    cr_assert_eq(take("payment", directory), 0);
    cr_assert_not_null(getcwd(here, sizeof here));
    cr_assert_str_eq(here, directory);
    cr_assert_eq(mode_of("."), 0700);
    cr_assert_eq(mode_of("payment"), 0700);
    cr_assert_eq(mode_of("run"), 0700);
    cr_assert_eq(mode_of("run/payment.lock"), 0600);
    cr_assert_str_eq(datadir.log_path, "payment/log.db");
    cr_assert_str_eq(datadir.view_directory, "payment");
    cr_assert_str_eq(datadir.pub_url, "ipc://run/payment.pub");
    cr_assert_str_eq(datadir.cmd_url, "ipc://run/payment.cmd");
    cr_assert_str_eq(datadir.qry_url, "ipc://run/payment.qry");
    cr_assert_str_eq(datadir_url(&datadir, "order", "pub"),
                     "ipc://run/order.pub");
}

Test(datadir, over_tcp_each_service_has_three_ports)
{
    struct options options = {.directory = scratch_file(&scratch, "data"),
                              .port = 7000};

    cr_assert_eq(datadir_take(&datadir, "payment", services, &options), 0);
    cr_assert_str_eq(datadir.pub_url, "tcp://127.0.0.1:7006");
    cr_assert_str_eq(datadir.cmd_url, "tcp://127.0.0.1:7007");
    cr_assert_str_eq(datadir_url(&datadir, "order", "qry"),
                     "tcp://127.0.0.1:7002");
}

Test(datadir, a_second_instance_is_refused_and_told_who_runs) /* HC7 F07 real */
{
    const char *directory = scratch_file(&scratch, "data");
    cr_assert_eq(take("payment", directory), 0);
    snprintf(its_pid, sizeof its_pid, "already running, pid %d", (int)getpid());
    cr_assert_eq(other("payment", directory, NULL), 75);
    cr_assert_not_null(strstr(said, its_pid), "%s", said);
    cr_assert_eq(other("payment", directory, NULL), 75, "and again");
    cr_assert_eq(other("order", directory, NULL), 0, "others may live here");
    datadir_leave(&datadir);
    cr_assert_eq(other("payment", directory, NULL), 0, "now it is free");
}

/* The lock is on the directory, not in a pid file that may be stale. */
Test(datadir, a_killed_instance_leaves_no_lock) /* HC7 HC52 */
{
    const char *directory = scratch_file(&scratch, "data");
    struct options options = {.directory = directory};
    int ends[2], status;
    char taken;
    pid_t child;

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        struct datadir its;

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should this test fail */
        if (datadir_take(&its, "payment", services, &options) != 0 ||
            write(ends[1], "t", 1) != 1)
            _exit(1);
        pause();
    }
    close(ends[1]);
    cr_assert_eq(read(ends[0], &taken, 1), 1);
    cr_assert_eq(other("payment", directory, NULL), 75);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(take("payment", directory), 0, "whatever the pid file says");
    close(ends[0]);
}

Test(datadir, deleting_the_pid_file_does_not_let_a_second_in) /* HC7 */
{
    const char *directory = scratch_file(&scratch, "data");

    cr_assert_eq(take("payment", directory), 0);
    cr_assert_eq(unlink("payment/pid"), 0);
    cr_assert_eq(other("payment", directory, NULL), 75);
}

/* Nor is it told for the number of the one that runs. */
Test(datadir, who_runs_is_who_holds_the_lock)
{
    const char *directory = scratch_file(&scratch, "data");
    FILE *file;

    cr_assert_eq(take("payment", directory), 0);
    file = fopen("payment/pid", "w");
    fputs("1\n", file);
    fclose(file);
    cr_assert_eq(other("payment", directory, NULL), 75);
    snprintf(its_pid, sizeof its_pid, "already running, pid %d\n",
             (int)getpid());
    cr_assert_not_null(strstr(said, its_pid), "%s", said);
}

/* A second listen on an address can deafen the first: the address is locked
 * by itself, too. */
Test(datadir, an_endpoint_that_is_held_is_not_taken) /* HC7 F08 real */
{
    const char *directory = scratch_file(&scratch, "data");
    char lock[200];
    int fd;

    cr_assert_eq(other("payment", directory, NULL), 0);
    snprintf(lock, sizeof lock, "%s/run/payment.lock", directory);
    fd = open(lock, O_RDWR | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    cr_assert_eq(other("payment", directory, NULL), 75);
    close(fd);
    cr_assert_eq(other("payment", directory, NULL), 0);
}

/* 400 bytes, four times what fits a socket's address. */
Test(datadir, a_path_may_be_very_long) /* HC55 */
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[512], path[sizeof directory + 32];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(directory, sizeof directory, "%s/%0100d", scratch.path, 1);
    cr_assert_eq(mkdir(directory, 0700), 0);
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(directory);

        snprintf(directory + length, sizeof directory - length, "/%0100d", i);
        cr_assert_eq(mkdir(directory, 0700), 0);
    }
    cr_assert_gt(strlen(directory), 300);
    cr_assert_eq(take("payment", directory), 0);
    text_copy(address.sun_path, sizeof address.sun_path,
              datadir.cmd_url + strlen("ipc://"));
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    snprintf(path, sizeof path, "%s/run/payment.cmd", directory);
    cr_assert_eq(access(path, F_OK), 0);
}

/* It may be anything: /srv, a home, the mount point of a disk. */
Test(datadir, a_directory_that_is_there_keeps_its_mode)
{
    const char *directory = scratch_file(&scratch, "data");

    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_assert_eq(take("payment", directory), 0);
    cr_assert_eq(mode_of("."), 0755);
    cr_assert_eq(mode_of("payment"), 0700);
    cr_assert_eq(mode_of("run"), 0700);
}

Test(datadir, where_others_can_write_is_refused_and_left_alone)
{
    const char *directory = scratch_file(&scratch, "data");
    static char run[200];

    snprintf(run, sizeof run, "%s/run", directory);
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(chmod(directory, 01777), 0);
    cr_assert_eq(other("payment", directory, NULL), 74);
    cr_assert_not_null(strstr(said, "other users can write to it"), "%s", said);
    cr_assert_eq(mode_of(directory), 01777);
    cr_assert_neq(access(run, F_OK), 0);
    cr_assert_eq(chmod(directory, 0700), 0);
    cr_assert_eq(mkdir(run, 0700), 0);
    cr_assert_eq(chmod(run, 01777), 0);
    cr_assert_eq(other("payment", directory, NULL), 74);
    cr_assert_eq(mode_of(run), 01777);
}

Test(datadir, a_link_leads_to_a_directory)
{
    const char *directory = scratch_file(&scratch, "data");
    const char *link = scratch_file(&scratch, "link");

    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(symlink(directory, link), 0);
    cr_assert_eq(take("payment", link), 0);
    cr_assert_eq(other("payment", directory, NULL), 75);
    cr_assert_eq(chmod(directory, 0777), 0);
    cr_assert_eq(other("order", link, NULL), 74);
    cr_assert_eq(chmod(directory, 0700), 0);
}

Test(datadir, what_is_no_directory_of_ours_is_refused) /* F26 real */
{
    const char *directory = scratch_file(&scratch, "data");
    const char *elsewhere = scratch_file(&scratch, "elsewhere");
    int fd = open(directory, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    close(fd);
    cr_assert_eq(other("payment", directory, NULL), 74);
    cr_assert_not_null(strstr(said, "not a directory"), "%s", said);
    unlink(directory);
    cr_assert_eq(mkdir(elsewhere, 0700), 0);
    cr_assert_eq(chmod(elsewhere, 0722), 0);
    cr_assert_eq(symlink(elsewhere, directory), 0);
    cr_assert_eq(other("payment", directory, NULL), 74);
    cr_assert_not_null(strstr(said, "can write"), "%s", said);
    cr_assert_eq(other("payment", "/proc/no-such/place", NULL), 74);
    cr_assert_not_null(strstr(said, "No such file"), "%s", said);
}

Test(datadir, a_directory_of_somebody_else_is_refused) /* F26 real */
{
    const char *directory = scratch_file(&scratch, "data");

    if (geteuid() != 0)
        cr_skip_test("only root can give a directory away");
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(chown(directory, 65534, 65534), 0);
    cr_assert_eq(other("payment", directory, NULL), 74);
    cr_assert_not_null(strstr(said, "another user"), "%s", said);
}

Test(datadir, a_read_side_has_a_directory_and_a_lock_of_its_own)
{
    struct options options = {.directory = scratch_file(&scratch, "data"),
                              .read_side = scratch_file(&scratch, "reader")};
    struct stat there, here;

    cr_assert_eq(other("payment", options.directory, NULL), 0);
    cr_assert_eq(datadir_take(&datadir, "payment", services, &options), 0);
    cr_assert_eq(stat(options.read_side, &there), 0);
    cr_assert_eq(stat(datadir.view_directory, &here), 0);
    cr_assert_eq(there.st_ino, here.st_ino, "%s", datadir.view_directory);
    cr_assert_eq(strncmp(datadir.qry_url, "ipc:///proc/self/fd/", 20), 0);
    cr_assert_eq(other("payment", options.directory, options.read_side), 75);
    cr_assert_eq(other("payment", options.directory, NULL), 0,
                 "the service itself may run beside it");
}

static void contents(const char *path, char text[64])
{
    FILE *file = fopen(path, "r");

    memset(text, 0, 64);
    cr_assert_not_null(file);
    cr_assert_lt(fread(text, 1, 63, file), 63);
    fclose(file);
}

Test(datadir, a_description_takes_the_place_of_an_older_one)
{
    struct stat first, second;
    char text[64];

    cr_assert_eq(take("order", scratch.path), 0);
    cr_assert(datadir_describe("order", "{\"a\":1}"));
    contents("order/service.json", text);
    cr_assert_str_eq(text, "{\"a\":1}");
    cr_assert_eq(stat("order/service.json", &first), 0);
    cr_assert_eq(first.st_mode & 0777, 0600);
    cr_assert(datadir_describe("order", "{\"a\":1}")); /* nothing to write */
    cr_assert_eq(stat("order/service.json", &second), 0);
    cr_assert_eq(first.st_ino, second.st_ino);
    cr_assert(datadir_describe("order", "{\"b\":1}"));
    contents("order/service.json", text);
    cr_assert_str_eq(text, "{\"b\":1}");
    cr_assert(datadir_describe("order", "{}"));
    contents("order/service.json", text);
    cr_assert_str_eq(text, "{}");
    cr_assert_eq(mkdir("order/service.json.new", 0700), 0);
    cr_assert_not(datadir_describe("order", "{\"c\":1}"));
    contents("order/service.json", text);
    cr_assert_str_eq(text, "{}"); /* whole, or not at all */
}

Test(datadir, who_has_a_file_open_is_named)
{
    const char *path = scratch_file(&scratch, "file");
    char text[256], wanted[32], go;
    int ends[2], back[2];
    pid_t child;

    close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    cr_assert(pipe(ends) == 0 && pipe(back) == 0);
    child = fork();
    if (child == 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should this test fail */
        if (fd < 0 || write(ends[1], "r", 1) != 1 || read(back[0], &go, 1) < 0)
            _exit(1);
        _exit(0);
    }
    cr_assert_eq(read(ends[0], &go, 1), 1);
    snprintf(wanted, sizeof wanted, "pid %d", (int)child);
    cr_assert_not_null(strstr(datadir_holders(path, text, sizeof text), wanted),
                       "%s", text);
    datadir_holders(path, text, 8); /* no room */
    cr_assert_lt(strlen(text), 8);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_str_eq(datadir_holders(path, text, sizeof text),
                     "cannot see who holds it");
    close(ends[0]);
    close(ends[1]);
    close(back[0]);
    close(back[1]);
}
