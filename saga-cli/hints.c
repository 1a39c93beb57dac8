/* hints.c - what to type next: where run.sh and saga are as seen from here, and
 * which data directory they take by themselves.  A program that is installed
 * has no run.sh above it, and is found by its name. */
#include "saga-cli/saga.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool saga_find_above(const char *wanted, char *path)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length <= 0)
        return false;
    self[length] = '\0';
    for (char *slash; (slash = strrchr(self, '/')) != NULL;) {
        int bytes;

        *slash = '\0';
        bytes = snprintf(path, PATH_MAX, "%s/%s", self, wanted);
        if (bytes > 0 && bytes < PATH_MAX && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static bool is_same(const char *a, const char *b)
{
    struct stat one, other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* The directory of run.sh, with a "/" behind it: "./" if we are there, or if
 * it is nowhere. */
static const char *root(void)
{
    static char path[PATH_MAX];
    char *slash;

    if (path[0] != '\0')
        return path;
    slash = saga_find_above("run.sh", path) ? strrchr(path, '/') : NULL;
    if (slash != NULL)
        slash[1] = '\0';
    if (slash == NULL || is_same(path, "."))
        strcpy(path, "./");
    return path;
}

bool hint_is_installed(void)
{
    static int known; /* 1: it is, -1: it is not */
    char path[PATH_MAX];

    if (known == 0)
        known = saga_find_above("run.sh", path) ? -1 : 1;
    return known > 0;
}

const char *saga_usual_directory(void)
{
    static char path[PATH_MAX + 8];

    snprintf(path, sizeof path, "%svar", root());
    return path;
}

/* Whether that is what run.sh takes by itself. */
static bool is_usual(const char *directory)
{
    const char *usual = saga_usual_directory();

    return strcmp(directory, usual) == 0 || is_same(directory, usual) ||
           (strcmp(usual, "./var") == 0 && strcmp(directory, "var") == 0);
}

/* Whether some of it is shown as \u202e or \xff (base/text.h). */
static bool is_escaped(const char *word)
{
    char shown[SHOWN_BYTES];

    while (*word != '\0') {
        size_t count = text_show(word, shown);

        if (strncmp(word, shown, count) != 0)
            return true;
        word += count;
    }
    return false;
}

/* bash reads the same escapes in $'...'. */
static void print_escaped(FILE *out, const char *word)
{
    char shown[SHOWN_BYTES];

    fputs("$'", out);
    while (*word != '\0') {
        if (*word == '\'' || *word == '\\')
            fputc('\\', out);
        word += text_show(word, shown);
        fputs(shown, out);
    }
    fputc('\'', out);
}

/* Writes @word so that a shell reads it as one. */
static void print_quoted(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_./+:@%,-";

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    if (is_escaped(word)) {
        print_escaped(out, word);
        return;
    }
    fputc('\'', out);
    for (; *word != '\0'; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    fputc('\'', out);
}

/* What starts a service without run.sh, by the custom of names: for "restart
 * NAME --faults", "NAME-svc --faults". */
static void print_service(FILE *out, const char *words)
{
    static const char restart[] = "restart ";
    const char *name = strncmp(words, restart, sizeof restart - 1) == 0
                           ? words + sizeof restart - 1
                           : "SERVICE";
    size_t length = strcspn(name, " ");

    fprintf(out, "%.*s-svc%s", (int)length, name, name + length);
}

/* What the command looks at, if that is not what it takes by itself. */
static void print_where(FILE *out, const struct saga *saga)
{
    if (!is_usual(saga->directory)) {
        fputs("SAGA_DIR=", out);
        print_quoted(out, saga->directory);
        fputc(' ', out);
    }
    if (saga->bus != NULL) {
        fputs("SAGA_BUS=", out);
        print_quoted(out, saga->bus);
        fputc(' ', out);
    }
}

const char *run_hint(const struct saga *saga, const char *words,
                     char text[START_BYTES])
{
    FILE *out = fmemopen(text, START_BYTES, "w");
    char program[PATH_MAX + 8];

    if (out == NULL)
        abort();
    print_where(out, saga);
    if (hint_is_installed()) {
        print_service(out, words);
    } else {
        snprintf(program, sizeof program, "%srun.sh", root());
        print_quoted(out, program);
        fprintf(out, "%s%s", words[0] != '\0' ? " " : "", words);
    }
    fclose(out);
    text[START_BYTES - 1] = '\0';
    return text;
}

const char *start_hint(const struct saga *saga, const char *service,
                       char text[START_BYTES])
{
    bool others = false; /* then run.sh would find the directory in use */
    char words[32] = "";

    for (unsigned i = 0; i < saga_services(); i++)
        others = others || saga_runs(saga, saga_service(i));
    if (others || hint_is_installed())
        snprintf(words, sizeof words, "restart %s", service);
    return run_hint(saga, words, text);
}

const char *read_side_hint(const struct saga *saga, const char *service,
                           char text[START_BYTES])
{
    FILE *out = fmemopen(text, START_BYTES, "w");
    char name[SERVICE_BYTES + 8], path[PATH_MAX], here[PATH_MAX];
    size_t cut = 0;

    if (out == NULL)
        abort();
    snprintf(name, sizeof name, "%s-svc", service);
    if (!saga_find_above(name, path))
        snprintf(path, sizeof path, "%s", name);
    if (getcwd(here, sizeof here) != NULL &&
        strncmp(path, here, strlen(here)) == 0 && path[strlen(here)] == '/')
        cut = strlen(here) + 1;
    print_where(out, saga);
    print_quoted(out, path + cut);
    fputs(" --read-side ", out);
    print_quoted(out, saga->read_side);
    fclose(out);
    text[START_BYTES - 1] = '\0';
    return text;
}

/* ---- saga itself --------------------------------------------------------- */

static const struct saga *asked; /* what hints are about */

void hint_about(const struct saga *saga)
{
    asked = saga;
}

/* How this program is called from here: beside run.sh it is saga, an installed
 * one has the name that was typed. */
static void print_program(FILE *out)
{
    char path[PATH_MAX + 8];

    snprintf(path, sizeof path, "%ssaga", root());
    print_quoted(out, hint_is_installed() ? program_invocation_name : path);
}

/* Whether what is called with @words, up to the end of the hint, reads a data
 * directory. */
static bool looks_at_data(const char *words)
{
    static const char *const others[] = {"help", "--help", "completion",
                                         "learn", "scenario"};
    size_t length = strcspn(words, "')\n");
    const char *help = strstr(words, "--help");

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strncmp(words, others[i], strlen(others[i])) == 0)
            return false;
    return help == NULL || help >= words + length;
}

/* A new string in which each "./saga " of @text is what to type here. */
static char *from_here(const char *text, bool with_data)
{
    static const char written[] = "./saga ";
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);

    if (out == NULL)
        abort();
    for (const char *at; (at = strstr(text, written)) != NULL;) {
        fwrite(text, 1, (size_t)(at - text), out);
        text = at + strlen(written);
        if (with_data && asked != NULL && looks_at_data(text))
            print_where(out, asked);
        print_program(out);
        fputc(' ', out);
    }
    fputs(text, out);
    if (fclose(out) != 0)
        abort();
    return made;
}

void hint_from_here(char *text, size_t size)
{
    char *made = from_here(text, true);

    snprintf(text, size, "%s", made);
    free(made);
}

void hint_print(const char *format, ...)
{
    char *text = NULL, *made;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    made = from_here(text, true);
    fputs(made, stdout);
    free(made);
    free(text);
}

char *hint_example(const char *text)
{
    return from_here(text, false);
}
