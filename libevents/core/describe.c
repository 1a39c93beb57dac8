/* describe.c - a service's tables as JSON.  Reading them back: described.c. */
#include "core/describe.h"

#include <string.h>

/* ---- fields -------------------------------------------------------------- */

static json_t *fields_json(const struct domain *domain,
                           const struct field *fields);

/* A tag's name is the prefix of its text, without the colon. */
static json_t *tag_json(const struct domain *domain, unsigned tag)
{
    char text[TAG_BYTES];

    event_tag(domain, tag, "", text);
    return json_stringn(text, strlen(text) - 1);
}

static json_t *words_json(const struct field *field)
{
    json_t *words = json_array();

    for (int64_t i = 0; i <= field->max; i++)
        json_array_append_new(words, json_string(field->names[i]));
    return words;
}

static json_t *field_json(const struct domain *domain,
                          const struct field *field)
{
    static const char *const kinds[] = {[FIELD_INT] = "int",
                                        [FIELD_ID] = "id",
                                        [FIELD_TEXT] = "text",
                                        [FIELD_LIST] = "lines"};
    bool is_text = field->kind == FIELD_ID || field->kind == FIELD_TEXT;
    int64_t min = is_text ? field->kind == FIELD_ID : field->min;
    int64_t max = is_text ? field->size - 1 : field->max;
    json_t *json =
        json_pack("{s:s,s:s}", "name", field->name, "type", kinds[field->kind]);

    if (min != 0 || max != 0) /* a state's number may have no limits */
        json_object_update_new(json,
                               json_pack("{s:I,s:I}", "min", (json_int_t)min,
                                         "max", (json_int_t)max));
    if (field->unit != NULL)
        json_object_set_new(json, "unit", json_string(field->unit));
    if (field->tag != NO_TAG)
        json_object_set_new(json, "tag", tag_json(domain, field->tag));
    if (field->names != NULL)
        json_object_set_new(json, "words", words_json(field));
    if (field->items != NULL)
        json_object_set_new(json, "items", fields_json(domain, field->items));
    return json;
}

static json_t *fields_json(const struct domain *domain,
                           const struct field *fields)
{
    json_t *array = json_array();

    for (; fields->name != NULL; fields++)
        json_array_append_new(array, field_json(domain, fields));
    return array;
}

/* ---- messages ------------------------------------------------------------ */

static json_t *types_json(const struct domain *domain, const unsigned *types,
                          size_t max)
{
    json_t *array = json_array();

    for (size_t i = 0; i < max && types[i] != NO_MESSAGE; i++)
        json_array_append_new(array,
                              json_string(domain_type_name(domain, types[i])));
    return array;
}

json_t *describe_message(const struct domain *domain,
                         const struct message *message)
{
    static const char *const rules[] = {
        [NO_SAGA] = "none", [OPENS_SAGA] = "opens", [OF_SAGA] = "of"};
    json_t *json =
        json_pack("{s:s,s:I,s:b,s:o}", "name", message->name, "version",
                  (json_int_t)message->version, "command", message->is_command,
                  "fields", fields_json(domain, message->fields));

    if (message->is_command)
        json_object_set_new(json, "saga", json_string(rules[message->saga]));
    if (message->undoes != NO_MESSAGE)
        json_object_set_new(
            json, "undoes",
            json_string(domain_type_name(domain, message->undoes)));
    return json;
}

/* Whether a table of @service names @type. */
static bool names(const struct service *service, unsigned type)
{
    bool named = false;

    for (size_t i = 0; i < service->rule_count; i++)
        named = named || service->rules[i].on == type ||
                event_type_in(type, service->rules[i].may_emit, MAY_EMIT_MAX);
    for (size_t i = 0; i < service->kind_count; i++)
        named =
            named || event_type_in(type, service->kinds[i].folds, FOLDS_MAX);
    for (size_t i = 0; i < service->timer_count; i++)
        named = named || service->timers[i].from == type ||
                service->timers[i].send == type ||
                event_type_in(type, service->timers[i].unless, UNLESS_MAX);
    return named;
}

/* Every version: older ones are in logs. */
static json_t *messages_json(const struct service *service)
{
    json_t *array = json_array();

    for (size_t i = 0; i < service->domain->message_count; i++)
        if (names(service, service->domain->messages[i].type))
            json_array_append_new(
                array, describe_message(service->domain,
                                        &service->domain->messages[i]));
    return array;
}

/* ---- tables -------------------------------------------------------------- */

static json_t *rules_json(const struct service *service)
{
    json_t *array = json_array();

    for (size_t i = 0; i < service->rule_count; i++)
        json_array_append_new(
            array,
            json_pack("{s:s,s:o}", "on",
                      domain_type_name(service->domain, service->rules[i].on),
                      "may_emit",
                      types_json(service->domain, service->rules[i].may_emit,
                                 MAY_EMIT_MAX)));
    return array;
}

static json_t *kinds_json(const struct service *service)
{
    json_t *array = json_array();

    for (size_t i = 0; i < service->kind_count; i++) {
        const struct kind *kind = &service->kinds[i];

        json_array_append_new(
            array,
            json_pack("{s:s,s:o,s:o,s:o,s:I}", "name", kind->name, "tag",
                      tag_json(service->domain, kind->tag), "folds",
                      types_json(service->domain, kind->folds, FOLDS_MAX),
                      "fields", fields_json(service->domain, kind->fields),
                      "revision", (json_int_t)kind->revision));
    }
    return array;
}

static json_t *timers_json(const struct service *service)
{
    json_t *array = json_array();

    for (size_t i = 0; i < service->timer_count; i++) {
        const struct timer *timer = &service->timers[i];

        json_array_append_new(
            array,
            json_pack("{s:s,s:s,s:o,s:s,s:I}", "from",
                      domain_type_name(service->domain, timer->from), "send",
                      domain_type_name(service->domain, timer->send), "unless",
                      types_json(service->domain, timer->unless, UNLESS_MAX),
                      "option", timer->option, "default_ms",
                      (json_int_t)timer->default_ms));
    }
    return array;
}

static json_t *faults_json(const struct service *service)
{
    json_t *array = json_array();

    for (size_t i = 0; i < service->fault_count; i++)
        json_array_append_new(
            array, json_pack("{s:s,s:s,s:s}", "point", service->faults[i].name,
                             "what", service->faults[i].what, "on",
                             domain_type_name(service->domain,
                                              service->faults[i].on)));
    return array;
}

static json_t *names_json(const char *const *list)
{
    json_t *array = json_array();

    for (; *list != NULL; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

json_t *describe_service(const struct service *service, const char *view,
                         const char *const *view_sources, const uint8_t *log_id)
{
    char hex[2 * LOG_ID_BYTES + 1];
    json_t *json = json_pack(
        "{s:i,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:{s:s,s:o},s:o}", "format", 1,
        "name", service->name, "version", SAGA_VERSION, "listens_to",
        names_json(service->listens_to), "rules", rules_json(service), "kinds",
        kinds_json(service), "timers", timers_json(service), "faults",
        faults_json(service), "view", "name", view, "sources",
        names_json(view_sources), "messages", messages_json(service));

    if (log_id != NULL)
        json_object_set_new(json, "log",
                            json_string(text_hex(log_id, LOG_ID_BYTES, hex)));
    return json;
}
