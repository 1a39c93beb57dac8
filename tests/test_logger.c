/* test_logger.c - one line per fact, and the service never waits for it. */
#include "base/logger.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int heard = -1; /* the reading end of what was standard error */
static int stderr_kept = -1;

static void set_up(void)
{
    int ends[2];

    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    stderr_kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    heard = ends[0];
    cr_assert_eq(fcntl(heard, F_SETFL, O_NONBLOCK), 0);
}

static void tear_down(void)
{
    dup2(stderr_kept, STDERR_FILENO);
    close(stderr_kept);
    close(heard);
}

TestSuite(log, .init = set_up, .fini = tear_down);

/* All that was written so far. */
static const char *lines(void)
{
    static char text[8192];
    ssize_t count = read(heard, text, sizeof text - 1);

    text[count > 0 ? count : 0] = '\0';
    return text;
}

static const char *word(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text == NULL ? "" : text;
}

Test(log, a_fact_is_one_line_of_json_beside_a_terminal)
{
    const char *text;
    json_t *json;

    logger_open("payment", LOG_INFO);
    logger_fact(LOG_WARN, "o-7", "payment/00/3", "said \"no\" to %s", "alice");
    text = lines();
    cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "%s", text);
    json = json_loads(text, 0, NULL);
    cr_assert_not_null(json, "%s", text);
    cr_assert_str_eq(word(json, "service"), "payment");
    cr_assert_str_eq(word(json, "level"), "warn");
    cr_assert_str_eq(word(json, "message"), "said \"no\" to alice");
    cr_assert_str_eq(word(json, "order"), "o-7");
    cr_assert_str_eq(word(json, "event"), "payment/00/3");
    cr_assert_eq(strlen(word(json, "time")),
                 strlen("2026-01-01T00:00:00.000Z"));
    json_decref(json);
}

Test(log, what_is_not_known_is_left_out)
{
    json_t *json;

    logger_open("payment", LOG_INFO);
    logger_fact(LOG_INFO, NULL, "", "started");
    json = json_loads(lines(), 0, NULL);
    cr_assert_null(json_object_get(json, "order"));
    cr_assert_null(json_object_get(json, "event"));
    json_decref(json);
}

Test(log, what_is_below_the_level_is_not_written)
{
    logger_open("payment", LOG_WARN);
    logger_fact(LOG_DEBUG, NULL, NULL, "quiet");
    logger_fact(LOG_INFO, NULL, NULL, "quiet");
    cr_assert_str_eq(lines(), "");
    logger_fact(LOG_WARN, NULL, NULL, "loud");
    logger_fact(LOG_ERROR, NULL, NULL, "louder");
    cr_assert_not_null(strstr(lines(), "louder"));
}

Test(log, a_long_fact_is_cut_not_torn)
{
    char text[2000];
    json_t *json;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    logger_open("payment", LOG_INFO);
    logger_fact(LOG_INFO, "o-7", NULL, "%s", text);
    json = json_loads(lines(), 0, NULL);
    cr_assert_not_null(json);
    cr_assert_gt(strlen(word(json, "message")), 400);
    cr_assert_str_eq(word(json, "order"), "o-7");
    json_decref(json);
}

/* What a stranger sent may be in it. */
Test(log, a_fact_is_never_two_lines)
{
    const char *text;

    logger_open("payment", LOG_INFO);
    logger_fact(LOG_INFO, "o\n7", NULL, "one\ntwo\x1b[31m");
    text = lines();
    cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "%s", text);
    cr_assert_null(strchr(text, '\x1b'));
    logger_fact(LOG_INFO, NULL, NULL, "\xff\xfe");
    logger_fact(LOG_INFO, NULL, NULL, "next");
    cr_assert_not_null(strstr(lines(), "next"), "the service lives on");
}

/* Logs into a pipe that nobody empties, or that is closed; its exit code. */
static int lives_on(void (*spoil)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        spoil();
        signal(SIGPIPE, SIG_IGN); /* as the host does */
        alarm(20);                /* a bound, should it block */
        logger_open("payment", LOG_INFO);
        for (int i = 0; i < 2000; i++)
            logger_fact(LOG_INFO, NULL, NULL, "fact number %d of a great many",
                        i);
        _exit(7);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void nothing(void)
{
}

static void close_stderr(void)
{
    close(STDERR_FILENO);
}

Test(log, a_stderr_that_is_full_loses_lines) /* F13 real */
{
    cr_assert_eq(lives_on(nothing), 7);
    cr_assert_not_null(strstr(lines(), "fact number 0 of"));
}

Test(log, a_stderr_that_is_closed_loses_lines) /* F13 real */
{
    cr_assert_eq(lives_on(close_stderr), 7);
    close(heard); /* nobody reads any more */
    heard = -1;
    cr_assert_eq(lives_on(nothing), 7);
}
