/* described.c - reads what describe.c writes, as bytes of a stranger.
 *
 * json_unpack's "!" refuses unknown members; every list has a bound, and every
 * name is an id: nothing of it can be a path, or move a terminal's cursor.
 * Messages are checked first, since the tables may name no others. */
#include "core/describe.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 32, TEXT_BYTES = 128, WORDS_MAX = 32, FIELDS_MAX = 32 };

/* ---- elements ------------------------------------------------------------ */

static bool is_name(const char *text)
{
    return text_is_id(text, NAME_BYTES);
}

/* Text for people: our tables hold printable ASCII. */
static bool is_text(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length < TEXT_BYTES;
}

/* Reads a list of names into @names (NULL: it is only checked), which has room
 * for @max and the final NULL. */
static bool read_names(const json_t *list, const char **names, size_t max)
{
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count > max)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name == NULL || !is_name(name))
            return false;
        if (names != NULL)
            names[i] = name;
    }
    return true;
}

/* The same for services. */
static bool read_services(const json_t *list,
                          const char *names[DESCRIBED_LINKS_MAX + 1])
{
    if (!read_names(list, names, DESCRIBED_LINKS_MAX))
        return false;
    for (; *names != NULL; names++)
        if (!text_is_id(*names, SERVICE_BYTES))
            return false;
    return true;
}

/* Whether @list is one of at most @max objects that all pass @check. */
typedef bool check_fn(void *ctx, json_t *object, size_t i);
static bool each(json_t *list, size_t max, check_fn *check, void *ctx)
{
    if (!json_is_array(list) || json_array_size(list) > max)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!check(ctx, json_array_get(list, i), i))
            return false;
    return true;
}

/* ---- fields and messages ------------------------------------------------- */

/* @ctx: NULL for the fields of a line, which has no lines. */
static bool check_field(void *ctx, json_t *field, size_t i)
{
    const char *name, *type, *unit = "", *tag = "x";
    json_t *words = NULL, *items = NULL;
    json_int_t min = 0, max = 0;
    bool is_lines;

    (void)i;
    if (json_unpack(field, "{s:s,s:s,s?I,s?I,s?s,s?s,s?o,s?o!}", "name", &name,
                    "type", &type, "min", &min, "max", &max, "unit", &unit,
                    "tag", &tag, "words", &words, "items", &items) != 0)
        return false;
    is_lines = strcmp(type, "lines") == 0;
    return is_name(name) && is_text(unit) && is_name(tag) && min <= max &&
           (is_lines || strcmp(type, "int") == 0 || strcmp(type, "id") == 0 ||
            strcmp(type, "text") == 0) &&
           is_lines == (items != NULL) && (!is_lines || ctx != NULL) &&
           (words == NULL || read_names(words, NULL, WORDS_MAX)) &&
           (items == NULL || each(items, FIELDS_MAX, check_field, NULL));
}

static bool check_fields(json_t *fields)
{
    static bool outermost;

    return each(fields, FIELDS_MAX, check_field, &outermost);
}

static bool check_message(void *ctx, json_t *message, size_t i)
{
    const char *name, *saga = NULL, *undoes = "x";
    json_int_t version;
    json_t *fields;
    int command;

    (void)ctx;
    (void)i;
    if (json_unpack(message, "{s:s,s:I,s:b,s:o,s?s,s?s!}", "name", &name,
                    "version", &version, "command", &command, "fields", &fields,
                    "saga", &saga, "undoes", &undoes) != 0)
        return false;
    return is_name(name) && version >= 1 && version <= UINT32_MAX &&
           check_fields(fields) && is_name(undoes) &&
           (saga != NULL) == (command != 0) &&
           (saga == NULL || strcmp(saga, "none") == 0 ||
            strcmp(saga, "opens") == 0 || strcmp(saga, "of") == 0);
}

/* Gives every message a number. */
static bool learn(struct lexicon *lexicon, const json_t *messages)
{
    const json_t *message;
    size_t i;

    json_array_foreach(messages, i, message)
    {
        const char *name = json_string_value(json_object_get(message, "name"));

        if (lexicon_learn(lexicon, name,
                          json_is_true(json_object_get(message, "command"))) ==
            NO_MESSAGE)
            return false;
    }
    json_array_foreach(messages, i, message)
    {
        const char *undone =
            json_string_value(json_object_get(message, "undoes"));

        if (undone != NULL)
            lexicon_learn_undoes(
                lexicon, json_string_value(json_object_get(message, "name")),
                undone);
    }
    return true;
}

/* ---- tables -------------------------------------------------------------- */

/* What is being read. */
struct reading {
    struct description *description;
    const struct lexicon *lexicon;
};

static bool read_types(const struct reading *reading, const json_t *list,
                       unsigned *types, size_t max)
{
    const char *names[FOLDS_MAX + 1] = {NULL};

    if (!read_names(list, names, max))
        return false;
    for (size_t i = 0; i < max && names[i] != NULL; i++)
        if ((types[i] = lexicon_number(reading->lexicon, names[i])) ==
            NO_MESSAGE)
            return false;
    return true;
}

static bool read_rule(void *ctx, json_t *json, size_t i)
{
    const struct reading *reading = ctx;
    struct rule *rule = &reading->description->rules[i];
    const char *on;
    json_t *may_emit;

    if (json_unpack(json, "{s:s,s:o!}", "on", &on, "may_emit", &may_emit) != 0)
        return false;
    rule->on = lexicon_number(reading->lexicon, on);
    return rule->on != NO_MESSAGE &&
           read_types(reading, may_emit, rule->may_emit, MAY_EMIT_MAX);
}

static bool read_timer(void *ctx, json_t *json, size_t i)
{
    const struct reading *reading = ctx;
    struct timer *timer = &reading->description->timers[i];
    const char *from, *send;
    json_int_t default_ms;
    json_t *unless;

    if (json_unpack(json, "{s:s,s:s,s:o,s:s,s:I!}", "from", &from, "send",
                    &send, "unless", &unless, "option", &timer->option,
                    "default_ms", &default_ms) != 0)
        return false;
    timer->from = lexicon_number(reading->lexicon, from);
    timer->send = lexicon_number(reading->lexicon, send);
    timer->default_ms = (uint32_t)default_ms;
    return timer->from != NO_MESSAGE && timer->send != NO_MESSAGE &&
           default_ms >= 0 && default_ms <= UINT32_MAX &&
           is_name(timer->option) &&
           read_types(reading, unless, timer->unless, UNLESS_MAX);
}

static bool check_kind(void *ctx, json_t *json, size_t i)
{
    unsigned folded[FOLDS_MAX];
    const char *name, *tag;
    json_int_t revision;
    json_t *folds, *fields;

    (void)i;
    return json_unpack(json, "{s:s,s:s,s:o,s:o,s:I!}", "name", &name, "tag",
                       &tag, "folds", &folds, "fields", &fields, "revision",
                       &revision) == 0 &&
           is_name(name) && is_name(tag) && revision >= 0 &&
           read_types(ctx, folds, folded, FOLDS_MAX) && check_fields(fields);
}

/* A fault point is two names: "till/refuse". */
static bool is_point(const char *point)
{
    const char *slash = strchr(point, '/');
    char first[NAME_BYTES] = "";

    if (slash == NULL || slash - point >= NAME_BYTES)
        return false;
    memcpy(first, point, (size_t)(slash - point));
    return is_name(first) && is_name(slash + 1);
}

static bool check_fault(void *ctx, json_t *json, size_t i)
{
    const struct reading *reading = ctx;
    const char *point, *what, *on;

    (void)i;
    return json_unpack(json, "{s:s,s:s,s:s!}", "point", &point, "what", &what,
                       "on", &on) == 0 &&
           is_point(point) && is_text(what) &&
           lexicon_number(reading->lexicon, on) != NO_MESSAGE;
}

/* ---- all of it ----------------------------------------------------------- */

struct parts {
    json_t *listens_to, *rules, *kinds, *timers, *faults, *sources, *messages;
};

/* NULL, or what is wrong with the outermost object. */
static const char *read_head(struct description *description, const char *name,
                             struct parts *parts)
{
    const char *log = NULL;
    int format;

    if (json_unpack(description->json,
                    "{s:i,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:{s:s,s:o!},s:o,s?s!}",
                    "format", &format, "name", &description->service.name,
                    "version", &description->version, "listens_to",
                    &parts->listens_to, "rules", &parts->rules, "kinds",
                    &parts->kinds, "timers", &parts->timers, "faults",
                    &parts->faults, "view", "name", &description->view,
                    "sources", &parts->sources, "messages", &parts->messages,
                    "log", &log) != 0)
        return "the members are not those of a description";
    if (format != 1)
        return "it is of a newer format";
    if (strcmp(description->service.name, name) != 0)
        return "it describes another service";
    if (!is_name(description->version) || !is_name(description->view))
        return "malformed version or view";
    description->has_log = log != NULL;
    if (log != NULL &&
        (strlen(log) != (size_t)2 * LOG_ID_BYTES ||
         !text_parse_hex(log, description->log_id, LOG_ID_BYTES)))
        return "malformed log id";
    return NULL;
}

/* NULL, or what is wrong. */
static const char *read_all(struct description *description, const char *name,
                            struct lexicon *lexicon)
{
    struct service *service = &description->service;
    struct reading reading = {description, lexicon};
    struct parts parts;
    const char *why = read_head(description, name, &parts);

    if (why != NULL)
        return why;
    if (!each(parts.messages, DESCRIBED_MESSAGES_MAX, check_message, NULL))
        return "malformed messages";
    if (!learn(lexicon, parts.messages))
        return "it has too many messages that this program does not know";
    if (!read_services(parts.listens_to, description->listens_to) ||
        !read_services(parts.sources, description->view_sources))
        return "malformed names of services";
    if (!each(parts.rules, DESCRIBED_RULES_MAX, read_rule, &reading))
        return "malformed rules";
    if (!each(parts.timers, DESCRIBED_TIMERS_MAX, read_timer, &reading))
        return "malformed timers";
    if (!each(parts.kinds, DESCRIBED_KINDS_MAX, check_kind, &reading))
        return "malformed kinds";
    if (!each(parts.faults, DESCRIBED_FAULTS_MAX, check_fault, &reading))
        return "malformed faults";
    service->listens_to = description->listens_to;
    service->rules = description->rules;
    service->rule_count = json_array_size(parts.rules);
    service->timers = description->timers;
    service->timer_count = json_array_size(parts.timers);
    return NULL;
}

struct description *describe_read(json_t *json, const char *name,
                                  struct lexicon *lexicon, const char **why)
{
    struct description *description = calloc(1, sizeof *description);

    if (description == NULL)
        abort();
    description->json = json_incref(json);
    *why = read_all(description, name, lexicon);
    if (*why == NULL)
        return description;
    describe_close(description);
    return NULL;
}

struct description *describe_parse(const char *text, size_t count,
                                   const char *name, struct lexicon *lexicon,
                                   const char **why)
{
    struct description *description = NULL;
    json_t *json = NULL;

    *why = count > DESCRIPTION_MAX ? "too long" : "not JSON";
    if (count <= DESCRIPTION_MAX)
        json = json_loadb(text, count, JSON_REJECT_DUPLICATES, NULL);
    if (json != NULL)
        description = describe_read(json, name, lexicon, why);
    json_decref(json);
    return description;
}

void describe_close(struct description *description)
{
    if (description == NULL)
        return;
    json_decref(description->json);
    free(description);
}
