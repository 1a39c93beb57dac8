/* logger.c - one line a fact, written with one call, and never in the way. */
#include "base/logger.h"

#include "base/text.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *service_name = "?";
static enum logger_level least_level = LOG_INFO;
static int for_people;
static char log_path[PATH_MAX]; /* "": stderr is no file */

static const char *const words[] = {"debug", "info", "warn", "error"};

static void find_log_path(void)
{
    ssize_t length = readlink("/proc/self/fd/2", log_path, sizeof log_path - 1);
    struct stat status;

    if (length < 0 || fstat(STDERR_FILENO, &status) != 0 ||
        !S_ISREG(status.st_mode))
        length = 0;
    log_path[length] = '\0';
}

void logger_open(const char *service, enum logger_level least)
{
    service_name = service;
    least_level = least;
    for_people = isatty(STDERR_FILENO);
    find_log_path();
}

void logger_reopen(void)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    int fd = log_path[0] != '\0' ? open(log_path, flags, 0600) : -1;
    struct stat err, out;

    if (fd < 0)
        return;
    if (fstat(STDERR_FILENO, &err) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
        err.st_dev == out.st_dev && err.st_ino == out.st_ino)
        (void)dup2(fd, STDOUT_FILENO); /* fails only for a bad number */
    (void)dup2(fd, STDERR_FILENO);
    close(fd);
}

/* A line that cannot be written now is lost: logging must not stop the
 * service.  A pipe that is writable has room for PIPE_BUF bytes, and no line
 * is as long. */
static void write_line(const char *line, size_t count)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0 ||
        write(STDERR_FILENO, line, count) < 0)
        return;
}

static void write_json(enum logger_level level, const char *time,
                       const char *message, const char *order_id,
                       const char *event_id)
{
    char line[1024], plain[sizeof line];
    json_t *json = json_pack(
        "{s:s,s:s,s:s,s:s}", "time", time, "level", words[level], "service",
        service_name, "message",
        text_plain(message, false, plain, sizeof plain)); /* a path may be
                                                             any bytes */
    size_t count;

    if (order_id != NULL && order_id[0] != '\0')
        json_object_set_new(json, "order", json_string(order_id));
    if (event_id != NULL && event_id[0] != '\0')
        json_object_set_new(json, "event", json_string(event_id));
    count = json_dumpb(json, line, sizeof line - 1, JSON_COMPACT);
    if (count > 0 && count < sizeof line) {
        line[count] = '\n';
        write_line(line, count + 1);
    }
    json_decref(json);
}

void logger_fact(enum logger_level level, const char *order_id,
                 const char *event_id, const char *format, ...)
{
    char message[512], line[1024], clock[40];
    struct timespec now;
    struct tm broken;
    va_list args;
    int count;

    if (level < least_level)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &now);
    if (!for_people) {
        gmtime_r(&now.tv_sec, &broken);
        strftime(clock, sizeof clock, "%Y-%m-%dT%H:%M:%S", &broken);
        snprintf(clock + strlen(clock), 20, ".%03dZ",
                 (int)(now.tv_nsec / 1000000) % 1000);
        write_json(level, clock, message, order_id, event_id);
        return;
    }
    localtime_r(&now.tv_sec, &broken);
    strftime(clock, sizeof clock, "%H:%M:%S", &broken);
    count = snprintf(line, sizeof line, "%s.%03ld %-9s %-5s %s%s%s%s%s\n",
                     clock, now.tv_nsec / 1000000, service_name, words[level],
                     message, order_id ? "  " : "", order_id ? order_id : "",
                     event_id ? " " : "", event_id ? event_id : "");
    if (count > 0)
        write_line(line, (size_t)count < sizeof line ? (size_t)count
                                                     : sizeof line - 1);
}
