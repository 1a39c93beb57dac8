/* compat.c - whether today's catalogue keeps what was released.
 *
 *     compat print COMMIT             today's catalogue as a release of COMMIT
 *     compat check RELEASED GOLDEN    against RELEASED/VERSION.json, and the
 *                                     logs in GOLDEN/VERSION/
 *
 * Users have logs, and programs that decode strictly: a field, a range, a unit,
 * a tag that a version has lost or gained is one that somebody misreads or
 * refuses.  So a version that was released never changes; a new version has its
 * upcast and a golden event; what a golden log holds is not removed.  Prints
 * each breach and what to do about it, and exits 1.  Called by
 * scripts/compat.sh. */
#include "core/describe.h"
#include "shop/shop.h"

#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, NAME_BYTES = 64, LINE_BYTES = 160 };

struct check {
    json_t *today;          /* messages_today() */
    const char *golden;     /* the directory */
    const char *release;    /* "0.1.0", which is looked at */
    const json_t *released; /* its messages */
    unsigned problems;
};

static _Noreturn void fail(int code, const char *what, const char *why)
{
    fprintf(stderr, "compat: %s: %s\n", what, why);
    exit(code);
}

/* ---- messages of a catalogue --------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static json_int_t version_of(const json_t *message)
{
    return json_integer_value(json_object_get(message, "version"));
}

static bool is_command(const json_t *message)
{
    return json_is_true(json_object_get(message, "command"));
}

/* Every version of every message, in the catalogue's order. */
static json_t *messages_today(void)
{
    json_t *array = json_array();

    for (size_t i = 0; i < shop_catalogue_count; i++) {
        json_t *message = describe_message(&shop_domain, &shop_catalogue[i]);

        json_object_set_new(message, "upcast",
                            json_boolean(shop_catalogue[i].upcast != NULL));
        json_array_append_new(array, message);
    }
    return array;
}

/* An object of @array that has that name, and that version unless 0. */
static json_t *find(const json_t *array, const char *name, json_int_t version)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *one = json_array_get(array, i);

        if (strcmp(text_of(one, "name"), name) == 0 &&
            (version == 0 || version_of(one) == version))
            return one;
    }
    return NULL;
}

/* Of all versions of that name. */
static json_int_t newest(const json_t *messages, const char *name)
{
    json_int_t last = 0;

    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *one = json_array_get(messages, i);

        if (strcmp(text_of(one, "name"), name) == 0 && version_of(one) > last)
            last = version_of(one);
    }
    return last;
}

/* ---- what is wrong, and what to do --------------------------------------- */

static void complain(struct check *check, const json_t *message,
                     const char *todo, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void complain(struct check *check, const json_t *message,
                     const char *todo, const char *format, ...)
{
    va_list args;

    printf("%s version %" JSON_INTEGER_FORMAT, text_of(message, "name"),
           version_of(message));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n    %s\n", todo);
    check->problems++;
}

/* For a change within a version. */
static const char *restore(const json_t *message)
{
    return is_command(message)
               ? "Restore it in shop/shop.c, and declare a command of another"
                 " name: commands\n    carry no version."
               : "Restore it in shop/shop.c, and declare a new version with an"
                 " upcast from this one\n    (CONTRIBUTING.md: a changed"
                 " payload).";
}

/* ---- golden logs --------------------------------------------------------- */

/* Whether a line of a file that @pattern names, below the golden directory,
 * reads by @format as that name and version. */
static bool golden_says(const struct check *check, const char *pattern,
                        const char *format, const char *name,
                        json_int_t version)
{
    char path[PATH_BYTES], *line = NULL;
    bool found = false;
    size_t size = 0;
    glob_t files;

    snprintf(path, sizeof path, "%s/%s", check->golden, pattern);
    if (glob(path, 0, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc && !found; i++) {
        FILE *file = fopen(files.gl_pathv[i], "r");

        if (file == NULL)
            fail(74, files.gl_pathv[i], "cannot be opened");
        while (!found && getline(&line, &size, file) > 0) {
            char type[NAME_BYTES] = "";
            unsigned number = 0;

            found = sscanf(line, format, type, &number) == 2 &&
                    strcmp(type, name) == 0 && number == version;
        }
        fclose(file);
    }
    globfree(&files);
    free(line);
    return found;
}

/* Events are in logs; of a command there is a payload only. */
static bool golden_holds(const struct check *check, const json_t *message)
{
    const char *name = text_of(message, "name");

    if (is_command(message))
        return golden_says(check, "*/messages.txt", "%63s %u", name,
                           version_of(message));
    return golden_says(check, "*/*.sql",
                       "INSERT INTO event VALUES (%*u, '%63[^']', %u", name,
                       version_of(message));
}

/* ---- within a version nothing changes ------------------------------------ */

static const char *shown(const json_t *value, char text[LINE_BYTES])
{
    snprintf(text, LINE_BYTES, "nothing");
    if (json_is_string(value)) {
        snprintf(text, LINE_BYTES, "%s", json_string_value(value));
    } else if (value != NULL) {
        size_t count = json_dumpb(value, text, LINE_BYTES - 1,
                                  JSON_ENCODE_ANY | JSON_COMPACT);

        text[count < LINE_BYTES ? count : LINE_BYTES - 1] = '\0';
    }
    return text;
}

/* A member, but for those that are looked at one by one. */
static void compare_member(struct check *check, const json_t *message,
                           const char *where, const char *member,
                           const json_t *was, const json_t *is)
{
    char before[LINE_BYTES], after[LINE_BYTES];

    if (strcmp(member, "fields") == 0 || strcmp(member, "items") == 0 ||
        strcmp(member, "upcast") == 0 || (was != NULL && json_equal(was, is)))
        return;
    complain(check, message, restore(message), "%s: %s was %s in %s and is %s",
             where, member, shown(was, before), check->release,
             shown(is, after));
}

static void compare_members(struct check *check, const json_t *message,
                            const char *where, json_t *was, json_t *is)
{
    const char *member;
    json_t *value;

    json_object_foreach(was, member, value)
    {
        compare_member(check, message, where, member, value,
                       json_object_get(is, member));
    }
    json_object_foreach(is, member, value)
    {
        if (json_object_get(was, member) == NULL)
            compare_member(check, message, where, member, NULL, value);
    }
}

static void compare_fields(struct check *check, const json_t *message,
                           const char *within, const json_t *was,
                           const json_t *is);

static void compare_field(struct check *check, const json_t *message,
                          const char *within, json_t *was, json_t *is)
{
    char where[LINE_BYTES];

    snprintf(where, sizeof where, ", field %s%s", within, text_of(was, "name"));
    compare_members(check, message, where, was, is);
    snprintf(where, sizeof where, "%s%s.", within, text_of(was, "name"));
    compare_fields(check, message, where, json_object_get(was, "items"),
                   json_object_get(is, "items"));
}

/* The order in which fields are encoded decides over bytes and hashes. */
static void compare_order(struct check *check, const json_t *message,
                          const char *within, const json_t *was,
                          const json_t *is)
{
    for (size_t i = 0; i < json_array_size(was); i++) {
        const char *name = text_of(json_array_get(was, i), "name");

        if (strcmp(text_of(json_array_get(is, i), "name"), name) == 0)
            continue;
        complain(check, message, restore(message),
                 ", field %s%s: it was number %zu in %s", within, name, i + 1,
                 check->release);
        return; /* once is enough */
    }
}

static void compare_fields(struct check *check, const json_t *message,
                           const char *within, const json_t *was,
                           const json_t *is)
{
    bool same = true;

    for (size_t i = 0; i < json_array_size(was); i++) {
        json_t *before = json_array_get(was, i);
        json_t *after = find(is, text_of(before, "name"), 0);

        same = same && after != NULL;
        if (after != NULL)
            compare_field(check, message, within, before, after);
        else
            complain(check, message, restore(message),
                     ", field %s%s: it is in %s and is gone", within,
                     text_of(before, "name"), check->release);
    }
    for (size_t i = 0; i < json_array_size(is); i++) {
        const char *name = text_of(json_array_get(is, i), "name");

        if (find(was, name, 0) != NULL)
            continue;
        same = false;
        complain(check, message, restore(message),
                 ", field %s%s: it is new, and programs of %s refuse it",
                 within, name, check->release);
    }
    if (same)
        compare_order(check, message, within, was, is);
}

/* ---- rules --------------------------------------------------------------- */

static void check_removed(struct check *check, const json_t *message)
{
    if (golden_holds(check, message))
        complain(check, message,
                 "Put its row back in shop/shop.c: users have logs and programs"
                 " like them.",
                 ": it was released in %s, %s holds one, and it is gone",
                 check->release,
                 is_command(message) ? "messages.txt" : "a golden log");
}

static void check_released(struct check *check)
{
    for (size_t i = 0; i < json_array_size(check->released); i++) {
        json_t *was = json_array_get(check->released, i);
        json_t *is = find(check->today, text_of(was, "name"), version_of(was));

        if (is == NULL) {
            check_removed(check, was);
        } else {
            compare_members(check, was, "", was, is);
            compare_fields(check, was, "", json_object_get(was, "fields"),
                           json_object_get(is, "fields"));
        }
    }
}

/* A later version, in whatever release. */
static void check_newer(struct check *check, const json_t *message)
{
    const char *name = text_of(message, "name");
    json_int_t version = version_of(message);
    const json_t *before = find(check->today, name, version - 1);

    if (is_command(message))
        complain(check, message,
                 "Declare a command of another name: requests carry no version"
                 " (docs/protocol.md).",
                 ": a command has version 1 only");
    else if (before == NULL)
        complain(check, message,
                 "Number versions one by one, and keep the row of each.",
                 ": there is no version %" JSON_INTEGER_FORMAT, version - 1);
    else if (!json_is_true(json_object_get(before, "upcast")))
        complain(check, before,
                 "Write one in shop/shop.c, as units_to_cents is, and name it"
                 " in this row.",
                 ": there is no upcast to version %" JSON_INTEGER_FORMAT,
                 version);
    if (!is_command(message) && !golden_holds(check, message))
        complain(check, message,
                 "Add it to the story in tests/golden.c, raise VERSION, and"
                 " run: make golden",
                 ": no golden log holds one");
}

static void check_versions(struct check *check)
{
    for (size_t i = 0; i < json_array_size(check->today); i++) {
        const json_t *message = json_array_get(check->today, i);

        if (version_of(message) > 1)
            check_newer(check, message);
        if (version_of(message) ==
                newest(check->today, text_of(message, "name")) &&
            json_is_true(json_object_get(message, "upcast")))
            complain(check, message, "Take it out, or declare that version.",
                     ": its upcast leads to a version that is not there");
    }
}

/* ---- the files ----------------------------------------------------------- */

/* What a release's golden messages.txt has is what its catalogue had. */
static void check_golden_messages(struct check *check)
{
    char pattern[PATH_BYTES];

    snprintf(pattern, sizeof pattern, "%s/messages.txt", check->release);
    for (size_t i = 0; i < json_array_size(check->released); i++) {
        const json_t *message = json_array_get(check->released, i);

        if (!golden_says(check, pattern, "%63s %u", text_of(message, "name"),
                         version_of(message)))
            complain(check, message,
                     "Never edit a released file: git log shows what it was.",
                     ": the catalogue of %s has it, its golden %s does not",
                     check->release, pattern);
    }
}

/* One of the files that are called VERSION.json. */
static void check_file(struct check *check, char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    if (file == NULL)
        fail(65, path, error.text);
    check->release = text_of(file, "version");
    check->released = json_object_get(file, "messages");
    if (json_array_size(check->released) == 0)
        fail(65, path, "it has no messages");
    check_golden_messages(check);
    check_released(check);
    printf("compat: %zu messages of %s compared\n",
           json_array_size(check->released), check->release);
    json_decref(file);
}

/* Golden logs are written for a release: its catalogue belongs to them. */
static void check_all_are_there(struct check *check, const char *directory)
{
    char path[PATH_BYTES];
    glob_t found;

    snprintf(path, sizeof path, "%s/*/messages.txt", check->golden);
    if (glob(path, 0, NULL, &found) != 0)
        fail(66, check->golden, "there are no golden logs");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *version = found.gl_pathv[i] + strlen(check->golden) + 1;
        FILE *file;

        *strchr(version, '/') = '\0';
        snprintf(path, sizeof path, "%s/%s.json", directory, version);
        file = fopen(path, "r");
        if (file == NULL && strcmp(version, SAGA_VERSION) != 0) {
            printf("version %s has golden logs, and no %s\n    Check its"
                   " commit out, and run there: make released\n",
                   version, path);
            check->problems++;
        }
        if (file != NULL)
            fclose(file);
    }
    globfree(&found);
}

static int check_all(const char *directory, const char *golden)
{
    struct check check = {.today = messages_today(), .golden = golden};
    char pattern[PATH_BYTES];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/*.json", directory);
    if (glob(pattern, 0, NULL, &found) != 0)
        fail(66, directory, "no release is there");
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_file(&check, found.gl_pathv[i]);
    globfree(&found);
    check_all_are_there(&check, directory);
    check_versions(&check);
    json_decref(check.today);
    return check.problems > 0;
}

/* A message a line, so that a difference is one. */
static int print(const char *commit)
{
    json_t *messages = messages_today();

    printf("{\"version\":\"%s\",\n\"commit\":\"%s\",\n\"messages\":[",
           SAGA_VERSION, commit);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        fputs(i == 0 ? "\n" : ",\n", stdout);
        json_dumpf(json_array_get(messages, i), stdout, JSON_COMPACT);
    }
    puts("\n]}");
    json_decref(messages);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "print") == 0)
        return print(argv[2]);
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return check_all(argv[2], argv[3]);
    fputs("usage: compat print COMMIT | compat check RELEASED GOLDEN\n",
          stderr);
    return 64;
}
