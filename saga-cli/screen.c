/* screen.c - a filter between stdio's stdout and the file: escapes and folds.
 *
 * Verbs print what they like; here is the one place that knows of terminals. */
#include "saga-cli/screen.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BYTES_SHOWN = 6 /* of one byte, at most: \u001b */, WIDTH_MIN = 20 };

static struct {
    FILE *real; /* stdout as it was */
    bool colour;
    char *line; /* what has come of it */
    size_t used, room;
} screen;

size_t screen_width(void)
{
    struct winsize size = {.ws_col = 0};

    if (!isatty(STDOUT_FILENO) ||
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 0;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

/* The bytes of a colour that @text begins with; 0: it does not. */
static size_t colour_at(const char *text)
{
    size_t length;

    if (!screen.colour || strncmp(text, "\033[", 2) != 0)
        return 0;
    length = 2 + strspn(text + 2, "0123456789;");
    return text[length] == 'm' ? length + 1 : 0;
}

/* @text as it is shown; @shown holds BYTES_SHOWN times as much. */
static void escape(const char *text, char *shown)
{
    while (*text != '\0') {
        size_t count = colour_at(text);

        if (count > 0 || (*text >= ' ' && *text <= '~') || *text == '\t') {
            count = count > 0 ? count : 1;
            memcpy(shown, text, count);
            shown += count;
        } else {
            count = text_show(text, shown);
            shown += strlen(shown);
        }
        text += count;
    }
    *shown = '\0';
}

/* ---- folding ------------------------------------------------------------ */

/* The bytes of @text that take at most @columns, with colours. */
static size_t bytes_within(const char *text, size_t columns)
{
    size_t at = 0, taken = 0, count;

    while (text[at] != '\0') {
        count = colour_at(text + at);
        if (count == 0) {
            if (taken++ == columns)
                break;
            count = 1;
            while ((text[at + count] & 0xc0) == 0x80)
                count++;
        }
        at += count;
    }
    return at;
}

/* Where lines that go on begin: below what stands behind the first gap, as in
 * a list of names and meanings, or a little in. */
static size_t indent_of(const char *line, size_t width)
{
    size_t lead = strspn(line, " ");
    const char *gap = strstr(line + lead, "  ");
    size_t behind =
        gap == NULL ? width : (size_t)(gap - line) + strspn(gap, " ");

    if (behind <= width / 3)
        return behind;
    return lead + 4 < width / 3 ? lead + 4 : width / 3;
}

/* How much of @line goes on one line of @columns; behind it is a space. */
static size_t cut(const char *line, size_t columns)
{
    size_t most = bytes_within(line, columns), at = most;

    if (line[most] == '\0')
        return most;
    while (at > 0 && line[at] != ' ')
        at--;
    while (at > 0 && line[at - 1] == ' ')
        at--;
    return at > 0 ? at : most;
}

static void put_folded(const char *line, size_t width)
{
    size_t indent = indent_of(line, width);
    size_t length = strspn(line, " ");

    length += cut(line + length, width - length);
    while (line[length] != '\0') {
        fprintf(screen.real, "%.*s\n%*s", (int)length, line, (int)indent, "");
        line += length;
        line += strspn(line, " ");
        length = cut(line, width - indent);
    }
    fputs(line, screen.real);
}

static void put_line(const char *line)
{
    char *shown = malloc(BYTES_SHOWN * strlen(line) + SHOWN_BYTES);
    size_t width = screen_width();

    if (shown == NULL)
        abort();
    escape(line, shown);
    if (width == 0 || shown[bytes_within(shown, width)] == '\0')
        fputs(shown, screen.real);
    else
        put_folded(shown, width);
    free(shown);
}

/* ---- the stream --------------------------------------------------------- */

static void take(char byte)
{
    if (screen.used + 1 >= screen.room) {
        screen.room = 2 * screen.room + 256;
        screen.line = realloc(screen.line, screen.room);
        if (screen.line == NULL)
            abort();
    }
    screen.line[screen.used++] = byte;
    screen.line[screen.used] = '\0';
}

static void put_taken(void)
{
    if (screen.used > 0)
        put_line(screen.line);
    screen.used = 0;
}

/* As fopencookie(3) wants it: fewer than @size is an error. */
static ssize_t write_screen(void *cookie, const char *bytes, size_t size)
{
    (void)cookie;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            take(bytes[i]);
            continue;
        }
        put_taken();
        putc('\n', screen.real);
    }
    return fflush(screen.real) == 0 ? (ssize_t)size : 0;
}

void screen_open(bool colour)
{
    const cookie_io_functions_t functions = {.write = write_screen};
    FILE *filter = fopencookie(NULL, "w", functions);

    if (filter == NULL)
        abort();
    screen.real = stdout;
    screen.colour = colour;
    if (isatty(STDOUT_FILENO))
        setvbuf(filter, NULL, _IOLBF, BUFSIZ);
    stdout = filter;
}

bool screen_close(void)
{
    bool good = fflush(stdout) == 0;

    if (screen.real == NULL)
        return good;
    put_taken();
    return fflush(screen.real) == 0 && good;
}
