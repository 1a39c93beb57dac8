/* datadir.c - see datadir.h. */
#include "host/datadir.h"

#include "host/holder.h"
#include "net/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_TRIES = 7, LOCK_PAUSE_US = 10000 };

/* In a data directory: written by a program that lacks a protection. */
#define LAB_MARK "lab"

static int complain(const char *service, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(const char *service, int code, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s-svc: ", service);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return code;
}

/* Insists that a directory, which is told as @name, is ours and that nobody
 * else puts anything in it.  It stays as it is: others may read a directory
 * that they could read before, but no file or socket of ours. */
static int check_directory(const char *service, const char *path,
                           const char *name)
{
    struct stat found;

    if (lstat(path, &found) != 0)
        return complain(service, 74, "%s: %s", name, strerror(errno));
    if (!S_ISDIR(found.st_mode))
        return complain(service, 74, "%s: not a directory", name);
    if (found.st_uid != geteuid())
        return complain(service, 74, "%s: belongs to another user (uid %u)",
                        name, found.st_uid);
    if ((found.st_mode & 022) != 0)
        return complain(service, 74,
                        "%s: other users can write to it (if it is to be ours "
                        "alone: chmod 700)",
                        name);
    return 0;
}

static int make_directory(const char *service, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return complain(service, 74, "%s: %s", path, strerror(errno));
    return 0;
}

static int own_directory(const char *service, const char *path)
{
    int code = make_directory(service, path);

    return code == 0 ? check_directory(service, path, path) : code;
}

/* Makes the data directory, or takes the one that is there, and changes into
 * it.  It may be reached by a link: what is checked is where we are then. */
static int enter_directory(const char *service, const char *path)
{
    int code = make_directory(service, path);

    if (code == 0 && chdir(path) != 0)
        code = complain(service, 74, "%s: %s", path,
                        errno == ENOTDIR ? "not a directory" : strerror(errno));
    return code == 0 ? check_directory(service, ".", path) : code;
}

/* For people: who holds the lock.  The lock itself never looks at it. */
static void write_pid(const char *directory)
{
    char path[96];
    FILE *file;

    snprintf(path, sizeof path, "%s/pid", directory);
    file = fopen(path, "w");
    if (file != NULL) {
        fprintf(file, "%d\n", (int)getpid());
        fclose(file);
    }
}

/* Those who ask whether we run (client.c, run.sh) try the lock for a moment,
 * so one refusal does not mean that somebody has it for good. */
static int take_lock(const char *service, const char *path, int flags,
                     int *lock)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    struct holder holder;

    if (fd < 0)
        return complain(service, 74, "%s: %s", path, strerror(errno));
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            *lock = fd;
            return 0;
        }
        (void)usleep(LOCK_PAUSE_US);
    }
    close(fd);
    if (holder_find(AT_FDCWD, path, 0, &holder) != EVT_OK)
        return complain(service, 75,
                        "%s is in use: already running, and not to be seen "
                        "from here (another user, another PID namespace)",
                        path);
    close(holder.pidfd);
    return complain(service, 75, "%s is in use: already running, pid %d", path,
                    holder.pid);
}

static void set_urls(struct datadir *datadir, const char *service)
{
    strcpy(datadir->pub_url, datadir_url(datadir, service, "pub"));
    strcpy(datadir->cmd_url, datadir_url(datadir, service, "cmd"));
    strcpy(datadir->qry_url, datadir_url(datadir, service, "qry"));
}

/* A read side of its own: its view and its query socket lie in a directory of
 * its own, reached by a short name whatever its path. */
static int take_read_side(struct datadir *datadir, const char *service,
                          const char *directory)
{
    int code = own_directory(service, directory);

    if (code == 0)
        code = take_lock(service, directory, O_RDONLY | O_DIRECTORY,
                         &datadir->locks[0]);
    if (code != 0)
        return code;
    write_pid(directory);
    snprintf(datadir->view_directory, sizeof datadir->view_directory,
             "/proc/self/fd/%d", datadir->locks[0]);
    snprintf(datadir->qry_url, sizeof datadir->qry_url,
             "ipc:///proc/self/fd/%d/%s.qry", datadir->locks[0], service);
    return 0;
}

static int take_service(struct datadir *datadir, const char *service)
{
    char lock[LOCK_PATH_BYTES];
    int code = own_directory(service, service);

    if (code == 0)
        code = own_directory(service, "run");
    if (code == 0)
        code = take_lock(service, service, O_RDONLY | O_DIRECTORY,
                         &datadir->locks[0]);
    address_lock(service, lock);
    if (code == 0)
        code = take_lock(service, lock, O_RDWR | O_CREAT, &datadir->locks[1]);
    if (code == 0)
        write_pid(service);
    return code;
}

/* Nothing of the ablation lab (lab/README.md) is taken for good: its programs
 * mark their data directory, since what they wrote may break every promise. */
static int refuse_lab(const char *service, const char *directory)
{
    if (access(LAB_MARK, F_OK) != 0)
        return 0;
    return complain(service, 65,
                    "%s: a program of the ablation lab wrote this, and its "
                    "logs cannot be trusted: use another directory",
                    directory);
}

static int no_port(const char *service, const char *const *services)
{
    char list[SERVICES_MAX * (SERVICE_BYTES + 5)] = "no service";
    size_t at = 0;

    for (size_t i = 0; services != NULL && services[i] != NULL; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i == 0                    ? ""
                               : services[i + 1] != NULL ? ", "
                                                         : " and ",
                               services[i]);
    return complain(service, 64,
                    "--bus has ports for %s only, and %s would take one of "
                    "theirs",
                    list, service);
}

int datadir_take(struct datadir *datadir, const char *service,
                 const char *const *services, const struct options *options)
{
    int code;

    memset(datadir, 0, sizeof *datadir);
    datadir->locks[0] = datadir->locks[1] = -1;
    datadir->services = services;
    datadir->port = options->port;
    umask(077);
    snprintf(datadir->log_path, sizeof datadir->log_path, "%s/log.db", service);
    snprintf(datadir->view_directory, sizeof datadir->view_directory, "%s",
             service);
    if (datadir->port != 0 &&
        address_port(services, datadir->port, service, "pub") == 0)
        return no_port(service, services);
    set_urls(datadir, service);
    if (options->read_side != NULL) {
        code = take_read_side(datadir, service, options->read_side);
        if (code != 0)
            return code;
    }
    code = enter_directory(service, options->directory);
    if (code == 0)
        code = refuse_lab(service, options->directory);
    if (code == 0 && options->read_side == NULL)
        code = take_service(datadir, service);
    return code;
}

void datadir_leave(struct datadir *datadir)
{
    for (int i = 0; i < 2; i++)
        if (datadir->locks[i] >= 0)
            close(datadir->locks[i]);
}

/* Whether @path holds @text and nothing else. */
static bool holds(const char *path, const char *text)
{
    size_t length = strlen(text), at = 0;
    FILE *file = fopen(path, "re");
    int c;

    if (file == NULL)
        return false;
    while ((c = getc(file)) != EOF && at < length && text[at] == (char)c)
        at++;
    fclose(file);
    return c == EOF && at == length;
}

static bool write_synced(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t length = strlen(text);
    bool done;

    if (fd < 0)
        return false;
    done = write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
    return close(fd) == 0 && done;
}

bool datadir_describe(const char *service, const char *text)
{
    char path[64], partial[64];

    snprintf(path, sizeof path, "%s/service.json", service);
    snprintf(partial, sizeof partial, "%s/service.json.new", service);
    return holds(path, text) ||
           (write_synced(partial, text) && rename(partial, path) == 0);
}

bool datadir_mend(struct datadir *datadir, const char *service)
{
    char path[LOCK_PATH_BYTES];
    struct stat named, held;
    int lock = -1;

    if (datadir->locks[1] < 0)
        return true; /* a read side of its own has another directory */
    address_lock(service, path);
    if (fstat(datadir->locks[1], &held) == 0 && stat(path, &named) == 0 &&
        named.st_ino == held.st_ino && named.st_dev == held.st_dev)
        return true;
    if (own_directory(service, "run") != 0)
        return true; /* it has said why; the next look tries again */
    if (take_lock(service, path, O_RDWR | O_CREAT, &lock) != 0)
        return false;
    close(datadir->locks[1]);
    datadir->locks[1] = lock;
    return true;
}

const char *datadir_url(struct datadir *datadir, const char *service,
                        const char *socket)
{
    char *url = datadir->urls[datadir->url_count++ % DATADIR_URLS];

    address_url(datadir->services, datadir->port, "", service, socket, url);
    return url;
}

/* Whether process @pid has the file @path open. */
static bool has_open(const char *pid, const char *path)
{
    char directory[300], link[600], target[PATH_MAX];
    const struct dirent *entry;
    bool found = false;
    DIR *fds;

    snprintf(directory, sizeof directory, "/proc/%s/fd", pid);
    fds = opendir(directory);
    while (fds != NULL && !found && (entry = readdir(fds)) != NULL) {
        ssize_t length;

        snprintf(link, sizeof link, "%s/%s", directory, entry->d_name);
        length = readlink(link, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        found = strcmp(target, path) == 0;
    }
    if (fds != NULL)
        closedir(fds);
    return found;
}

char *datadir_holders(const char *path, char *text, size_t size)
{
    char real[PATH_MAX], own[16];
    const struct dirent *entry;
    DIR *processes = opendir("/proc");
    size_t used = 0;

    snprintf(text, size, "cannot see who holds it");
    snprintf(own, sizeof own, "%d", (int)getpid());
    if (realpath(path, real) == NULL)
        real[0] = '\0';
    while (processes != NULL && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            strcmp(entry->d_name, own) == 0 || used >= size ||
            !has_open(entry->d_name, real))
            continue;
        used += (size_t)snprintf(text + used, size - used, "%spid %s",
                                 used > 0 ? ", " : "held by ", entry->d_name);
    }
    if (processes != NULL)
        closedir(processes);
    return text;
}
