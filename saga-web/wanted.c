/* wanted.c - reads a command of a visitor against the list of verbs. */
#include "saga-web/wanted.h"

#include <jansson.h>
#include <string.h>

/* Each takes the options that are named, and no others: none that reads or
 * writes a file, or leads to another data directory. */
static const struct allowed {
    const char *verb;
    bool changes, of_run_sh;
    const char *options; /* each with a space before and behind */
} allowed[] = {
    {"place", true, false, " --customer --id --no-wait "},
    {"cancel", true, false, " --id "},
    {"stock", true, false, " --id "},
    {"fund", true, false, " --id "},
    {"product", true, false, " --id "},
    {"fault", true, false, " --times --after --percent --all "},
    {"redrive", true, false, " "},
    {"signal", true, false, " "},
    {"restart", true, true, " "},
    {"ls", false, false, " --limit --status "},
    {"show", false, false, " --at --time "},
    {"undone", false, false, " "},
    {"trace", false, false, " "},
    {"why", false, false, " "},
    {"status", false, false, " "},
    {"flow", false, false, " "},
};

static const struct allowed *find(const char *verb)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strcmp(allowed[i].verb, verb) == 0)
            return &allowed[i];
    return NULL;
}

/* Letters, digits and what stands in ids, amounts and names of faults. */
static bool is_word(const char *word, size_t size)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789._:/-";

    return size > 0 && size <= 64 && strspn(word, characters) == size &&
           word[size] == '\0';
}

static bool is_option(const struct allowed *verb, const char *word)
{
    size_t size = strlen(word);
    const char *found = strstr(verb->options, word);

    return size > 2 && found != NULL && found[-1] == ' ' && found[size] == ' ';
}

static const char *take(struct wanted *wanted, size_t *used, const json_t *json)
{
    const char *word = json_string_value(json);
    size_t size = json_string_length(json);

    if (word == NULL || !is_word(word, size))
        return "a word has letters, digits and ._:/- alone, and at most 64";
    if (wanted->count == WANTED_WORDS || *used + size + 1 > WANTED_TEXT)
        return "there are too many words";
    wanted->words[wanted->count++] = wanted->text + *used;
    memcpy(wanted->text + *used, word, size + 1);
    *used += size + 1;
    return NULL;
}

static const char *judge(struct wanted *wanted)
{
    const struct allowed *verb =
        wanted->count > 0 ? find(wanted->words[0]) : NULL;

    if (verb == NULL)
        return "the page has no such command";
    for (unsigned i = 1; i < wanted->count; i++)
        if (wanted->words[i][0] == '-' && !is_option(verb, wanted->words[i]))
            return "the page has no such option";
    if (verb->of_run_sh && wanted->count != 2)
        return "it takes the name of one service";
    wanted->changes = verb->changes;
    wanted->of_run_sh = verb->of_run_sh;
    return NULL;
}

const char *wanted_parse(const char *body, size_t size, struct wanted *wanted)
{
    json_t *json = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *words = json_object_get(json, "words"), *word;
    const char *why = json_is_array(words) && json_object_size(json) == 1
                          ? NULL
                          : "the body is not {\"words\":[...]}";
    size_t used = 0, i;

    memset(wanted, 0, sizeof *wanted);
    if (why == NULL)
        json_array_foreach(words, i, word)
        {
            why = why == NULL ? take(wanted, &used, word) : why;
        }
    json_decref(json);
    return why != NULL ? why : judge(wanted);
}
