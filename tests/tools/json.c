/* json.c - tells a shell test whether a text is JSON, and what it holds.
 *
 *     json [PATH...] < text
 *
 * Standard input has to be one JSON value and nothing else; otherwise it exits
 * 65.  Each PATH ("order.status", "events.0.type") prints the value there: text
 * without quotes, all else as JSON; "*" is every member of an array or object,
 * "#" their number.  Exits 1 when there is no value at a PATH.  This is a
 * program of its own: tests/test_cli.sh and tests/test_survives.sh call it. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 128 };

static bool show(const json_t *value, const char *path);

/* Every member in turn. */
static bool show_each(json_t *value, const char *rest)
{
    const char *name;
    bool found = true;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, member) found =
            show(member, rest) && found;
    } else {
        json_object_foreach(value, name, member) found =
            show(member, rest) && found;
    }
    return found;
}

static void print(const json_t *value)
{
    if (json_is_string(value))
        puts(json_string_value(value));
    else if (json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
        putchar('\n');
}

/* Follows @path; false: there is no such thing. */
static bool show(const json_t *value, const char *path)
{
    size_t length = strcspn(path, ".");
    const char *rest = path[length] == '.' ? path + length + 1 : "";
    char name[NAME_BYTES];

    if (value == NULL)
        return false;
    if (length == 0) {
        print(value);
        return true;
    }
    snprintf(name, sizeof name, "%.*s", (int)length, path);
    if (strcmp(name, "*") == 0) {
        json_t *each = json_deep_copy(value);
        bool found = show_each(each, rest);

        json_decref(each);
        return found;
    }
    if (strcmp(name, "#") == 0) {
        printf("%zu\n", json_is_array(value) ? json_array_size(value)
                                             : json_object_size(value));
        return json_is_array(value) || json_is_object(value);
    }
    if (json_is_array(value))
        return show(json_array_get(value, strtoul(name, NULL, 10)), rest);
    return show(json_object_get(value, name), rest);
}

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *value =
        json_loadf(stdin, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    int code = 0;

    if (value == NULL) {
        fprintf(stderr, "json: line %d: %s\n", error.line, error.text);
        return 65;
    }
    for (int i = 1; i < argc; i++)
        if (!show(value, argv[i])) {
            fprintf(stderr, "json: there is no %s in ", argv[i]);
            json_dumpf(value, stderr, JSON_COMPACT | JSON_ENCODE_ANY);
            fputc('\n', stderr);
            code = 1;
        }
    json_decref(value);
    return code;
}
