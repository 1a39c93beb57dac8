/* explain.c - `saga check --explain`: what each invariant promises, the
 * accident behind it, what to look at, and where it is checked.
 *
 * All of it stands in the tables of promises (libevents/audit/check.h); no log
 * is read. */
#include "saga-cli/explain.h"

#include "saga-cli/verbs.h"

#include "audit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { INDENT = 15 };

/* What @name's letter says of when it has to hold. */
static const char *when(const char *name)
{
    switch (name[0]) {
    case 'L':
        return "within a bound";
    case 'Q':
        return "when no work is left: --final";
    case 'J':
        return "of a client's commands: --journal";
    default:
        return "at every moment";
    }
}

/* The library's tables say SAGA; caller frees. */
static char *look_of(const struct check_promise *promise)
{
    static const char general[] = "SAGA";
    const char *at = strstr(promise->look, general);
    const char *here = saga_find_verb("trace")->args;
    char *text = NULL;
    int length = at != NULL
                     ? asprintf(&text, "%.*s%s%s", (int)(at - promise->look),
                                promise->look, here, at + strlen(general))
                     : asprintf(&text, "%s", promise->look);

    if (length < 0)
        abort();
    return text;
}

static void print_part(const char *head, const char *text)
{
    printf("     %-*s", INDENT - 5, head);
    help_fill(stdout, INDENT, text);
}

static void print_look(const struct check_promise *promise)
{
    char *look = look_of(promise), *shown = hint_example("./saga ");

    printf("     %-*s%s%s\n", INDENT - 5, "look", shown, look);
    free(shown);
    free(look);
}

static void print_one(const struct check_promise *promise)
{
    printf("%-3s  %s (%s)\n", promise->name, promise->text,
           when(promise->name));
    if (promise->means == NULL)
        return;
    print_part("means", promise->means);
    print_part("accident", promise->accident);
    print_look(promise);
    print_part("code", promise->where);
}

static json_t *one_json(const struct check_promise *promise)
{
    json_t *one = json_pack("{s:s, s:s, s:s}", "id", promise->name, "promise",
                            promise->text, "when", when(promise->name));
    char *look;

    if (promise->means == NULL)
        return one;
    look = look_of(promise);
    json_object_set_new(one, "means", json_string(promise->means));
    json_object_set_new(one, "accident", json_string(promise->accident));
    json_object_set_new(one, "look", json_string(look));
    json_object_set_new(one, "where", json_string(promise->where));
    free(look);
    return one;
}

int explain_print(struct saga *saga, const char *name)
{
    const struct check_invariants *invariants = saga_tool()->invariants;
    unsigned ids[CHECK_IDS_MAX];
    size_t count = check_ids(invariants, ids);
    json_t *list = json_array();
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        const struct check_promise *promise = check_promise(invariants, ids[i]);

        if (name != NULL && strcasecmp(name, promise->name) != 0)
            continue;
        if (found++ > 0 && !saga->json)
            putchar('\n');
        if (saga->json)
            json_array_append_new(list, one_json(promise));
        else
            print_one(promise);
    }
    if (saga->json && found > 0)
        saga_print_json(json_pack("{s:O}", "promises", list));
    json_decref(list);
    if (found > 0)
        return SAGA_YES;
    return saga_fail(saga, SAGA_NO_SUCH,
                     "no invariant %s ('./saga check --explain' lists them)",
                     name);
}

void explain_print_names(FILE *out)
{
    const struct check_invariants *invariants = saga_tool()->invariants;
    unsigned ids[CHECK_IDS_MAX];
    size_t count = check_ids(invariants, ids);

    for (size_t i = 0; i < count; i++)
        fprintf(out, " %s", check_name(invariants, ids[i]));
}
