/* moment.c - reads a point in time; strict, since a wrong time would be
 * answered for all the same.
 *
 * strptime(3) and mktime(3) take the 31st of November for the 1st of December;
 * so the fields are read by hand, and compared with those of the result. */
#include "shop/cli/moment.h"

#include "saga-cli/story.h"

#include <string.h>
#include <time.h>

/* Unix milliseconds have 13 digits from 2001-09-09 to 2286-11-20. */
#define MS_MIN INT64_C(1000000000000)
#define MS_MAX INT64_C(9999999999999)

/* Takes @digits digits and @behind from *text; -1: they are not there. */
static int take(const char **text, int digits, const char *behind)
{
    const char *at = *text;
    int value = 0;

    for (int i = 0; i < digits; i++, at++) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + (*at - '0');
    }
    if (strncmp(at, behind, strlen(behind)) != 0)
        return -1;
    *text = at + strlen(behind);
    return value;
}

/* Fills the fields as they are written, whether or not there is such a day. */
static bool read_fields(const char *text, struct tm *tm, bool *utc)
{
    int year = take(&text, 4, "-"), month = take(&text, 2, "-");
    int day = take(&text, 2, "");

    *tm = (struct tm){.tm_year = year - 1900,
                      .tm_mon = month - 1,
                      .tm_mday = day,
                      .tm_isdst = -1};
    *utc = false;
    if (year < 1970 || month < 1 || day < 1)
        return false;
    if (*text == '\0')
        return true;
    if (*text != 'T' && *text != ' ')
        return false;
    text++;
    tm->tm_hour = take(&text, 2, ":");
    tm->tm_min = take(&text, 2, ":");
    tm->tm_sec = take(&text, 2, "");
    *utc = *text == 'Z';
    text += *utc;
    return tm->tm_hour >= 0 && tm->tm_min >= 0 && tm->tm_sec >= 0 &&
           *text == '\0';
}

/* False: there is no such day, hour or second (a clock that is set forward
 * leaves out an hour). */
static bool to_seconds(const struct tm *tm, bool utc, time_t *seconds)
{
    struct tm read = *tm;

    *seconds = utc ? timegm(&read) : mktime(&read);
    return *seconds >= 0 && read.tm_year == tm->tm_year &&
           read.tm_mon == tm->tm_mon && read.tm_mday == tm->tm_mday &&
           read.tm_hour == tm->tm_hour && read.tm_min == tm->tm_min &&
           read.tm_sec == tm->tm_sec;
}

/* A number alone: milliseconds.  Seconds would be a day of 1970. */
static int read_number(const struct saga *saga, const char *text, int64_t *ms)
{
    int64_t seconds;

    if (text_parse_count(text, MS_MIN, MS_MAX, ms))
        return SAGA_YES;
    if (text_parse_count(text, MS_MIN / 1000, MS_MAX / 1000, &seconds))
        return saga_fail(saga, SAGA_USAGE,
                         "--time takes milliseconds, not seconds: %s000 is "
                         "the time that begins with second %s",
                         text, text);
    return saga_fail(saga, SAGA_USAGE,
                     "--time takes Unix milliseconds of 13 digits, not '%s'",
                     text);
}

int moment_read(const struct saga *saga, const char *text, int64_t *ms)
{
    int64_t begin_ms;
    time_t seconds;
    struct tm tm;
    bool utc;
    int code;

    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
        code = read_number(saga, text, &begin_ms);
        *ms = begin_ms;
        if (code != SAGA_YES)
            return code;
    } else if (!read_fields(text, &tm, &utc)) {
        return saga_fail(saga, SAGA_USAGE,
                         "--time takes 2026-01-31T12:00:00 (with a Z: UTC) or "
                         "Unix milliseconds, not '%s'",
                         text);
    } else if (!to_seconds(&tm, utc, &seconds)) {
        return saga_fail(saga, SAGA_USAGE, "there is no such time as %s", text);
    } else {
        begin_ms = (int64_t)seconds * 1000;
        *ms = begin_ms + 999; /* all of that second */
    }
    if (begin_ms > saga_unix_ms())
        return saga_fail(saga, SAGA_USAGE,
                         "%s has not come yet; without --time the present is "
                         "shown",
                         text);
    return SAGA_YES;
}
