/* asyncapi.c - see asyncapi.h.
 *
 * Everything is read from descriptions, nothing from the catalogue: a service
 * that this program was not built with has its channels, too.  A payload on the
 * wire leaves out what is zero, one in JSON does not; the schemas accept
 * both. */
#include "saga-cli/asyncapi.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64, REF_BYTES = 192 };

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* {"$ref": "#/..."} */
static json_t *ref(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
static json_t *ref(const char *format, ...)
{
    char text[REF_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return json_pack("{s:s}", "$ref", text);
}

/* "ThisHappened.1": what a version of a message is called in the document. */
static const char *key_of(const json_t *message, char key[NAME_BYTES])
{
    snprintf(key, NAME_BYTES, "%s.%lld", text_of(message, "name"),
             (long long)number_of(message, "version"));
    return key;
}

const char *asyncapi_schema_id(const char *name, uint32_t version,
                               char id[SCHEMA_ID_BYTES])
{
    snprintf(id, SCHEMA_ID_BYTES, "urn:saga:message:%s:%u", name, version);
    return id;
}

/* ---- schemas ------------------------------------------------------------- */

static json_t *fields_schema(const json_t *fields);

/* @least and @most name the keywords. */
static json_t *limited(json_t *schema, const json_t *field, const char *least,
                       const char *most)
{
    json_object_set(schema, least, json_object_get(field, "min"));
    json_object_set(schema, most, json_object_get(field, "max"));
    return schema;
}

/* Of text, a schema counts characters where the codec counts bytes, which are
 * never fewer. */
static json_t *field_schema(const json_t *field)
{
    const char *type = text_of(field, "type");
    json_t *schema;

    if (strcmp(type, "int") == 0)
        schema = limited(json_pack("{s:s}", "type", "integer"), field,
                         "minimum", "maximum");
    else if (strcmp(type, "lines") == 0)
        schema =
            limited(json_pack("{s:s,s:o}", "type", "array", "items",
                              fields_schema(json_object_get(field, "items"))),
                    field, "minItems", "maxItems");
    else
        schema =
            limited(json_pack("{s:s,s:s}", "type", "string", "pattern",
                              strcmp(type, "id") == 0 ? "^[A-Za-z0-9._-]*$"
                                                      : "^[^\\u0000-\\u001f"
                                                        "\\u007f-\\u009f]*$"),
                    field, "minLength", "maxLength");
    if (json_object_get(field, "unit") != NULL)
        json_object_set(schema, "x-unit", json_object_get(field, "unit"));
    if (json_object_get(field, "tag") != NULL)
        json_object_set(schema, "x-tag", json_object_get(field, "tag"));
    return schema;
}

static json_t *fields_schema(const json_t *fields)
{
    json_t *properties = json_object(), *required = json_array();
    const json_t *field;
    size_t i;

    json_array_foreach(fields, i, field)
    {
        json_object_set_new(properties, text_of(field, "name"),
                            field_schema(field));
        if (number_of(field, "min") > 0 || number_of(field, "max") < 0)
            json_array_append(required, json_object_get(field, "name"));
    }
    return json_pack("{s:s,s:o,s:o,s:b}", "type", "object", "properties",
                     properties, "required", required, "additionalProperties",
                     0);
}

static json_t *message_schema(const json_t *message)
{
    json_t *schema = fields_schema(json_object_get(message, "fields"));
    char id[SCHEMA_ID_BYTES];

    json_object_set_new(schema, "$id",
                        json_string(asyncapi_schema_id(
                            text_of(message, "name"),
                            (uint32_t)number_of(message, "version"), id)));
    return schema;
}

/* ---- messages ------------------------------------------------------------ */

static json_t *message_component(const json_t *message)
{
    char key[NAME_BYTES];
    json_t *component = json_pack(
        "{s:O,s:o,s:O}", "name", json_object_get(message, "name"), "payload",
        ref("#/components/schemas/%s", key_of(message, key)), "x-version",
        json_object_get(message, "version"));

    if (json_object_get(message, "saga") != NULL)
        json_object_set(component, "x-saga", json_object_get(message, "saga"));
    if (json_object_get(message, "undoes") != NULL)
        json_object_set(component, "x-undoes",
                        json_object_get(message, "undoes"));
    return component;
}

static json_t *components(const json_t *services)
{
    json_t *messages = json_object(), *schemas = json_object();
    const json_t *service, *message;
    char key[NAME_BYTES];
    size_t i, k;

    json_array_foreach(services, i, service)
    {
        json_array_foreach(json_object_get(service, "messages"), k, message)
        {
            key_of(message, key);
            json_object_set_new(messages, key, message_component(message));
            json_object_set_new(schemas, key, message_schema(message));
        }
    }
    return json_pack("{s:o,s:o}", "messages", messages, "schemas", schemas);
}

/* ---- channels ------------------------------------------------------------ */

static bool has_text(const json_t *array, const char *text)
{
    const json_t *one;
    size_t i;

    json_array_foreach(array, i, one)
    {
        if (strcmp(json_string_value(one), text) == 0)
            return true;
    }
    return false;
}

static bool emits(const json_t *service, const char *type)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(service, "rules"), i, rule)
    {
        if (has_text(json_object_get(rule, "may_emit"), type))
            return true;
    }
    return false;
}

/* A command that a client sends: a timer's is never on a socket. */
static bool takes(const json_t *service, const char *type)
{
    const json_t *one;
    bool found = false;
    size_t i;

    json_array_foreach(json_object_get(service, "timers"), i, one)
    {
        if (strcmp(text_of(one, "send"), type) == 0)
            return false;
    }
    json_array_foreach(json_object_get(service, "rules"), i, one)
    {
        found = found || strcmp(text_of(one, "on"), type) == 0;
    }
    return found;
}

/* Whether @message goes over that socket of @service. */
static bool is_on(const json_t *service, const char *socket,
                  const json_t *message)
{
    const char *type = text_of(message, "name");

    if (json_is_true(json_object_get(message, "command")))
        return strcmp(socket, "cmd") == 0 && takes(service, type);
    return strcmp(socket, "pub") == 0 && emits(service, type);
}

static void add_channel(json_t *channels, const json_t *service,
                        const char *socket, const char *carries)
{
    const char *name = text_of(service, "name");
    char key[NAME_BYTES], address[NAME_BYTES], id[NAME_BYTES];
    json_t *messages = json_object();
    const json_t *message;
    size_t i;

    json_array_foreach(json_object_get(service, "messages"), i, message)
    {
        key_of(message, key);
        if (is_on(service, socket, message))
            json_object_set_new(messages, key,
                                ref("#/components/messages/%s", key));
    }
    snprintf(id, sizeof id, "%s.%s", name, socket);
    snprintf(address, sizeof address, "run/%s.%s", name, socket);
    json_object_set_new(channels, id,
                        json_pack("{s:s,s:s,s:o}", "address", address,
                                  "description", carries, "messages",
                                  messages));
}

/* ---- operations ---------------------------------------------------------- */

static json_t *operation(const char *action, const json_t *service,
                         const char *socket)
{
    return json_pack("{s:s,s:o,s:[]}", "action", action, "channel",
                     ref("#/channels/%s.%s", text_of(service, "name"), socket),
                     "messages");
}

/* Every version of @type (NULL: every message) that is on @service's socket. */
static bool add_messages(json_t *operation, const json_t *service,
                         const char *socket, const char *type)
{
    json_t *messages = json_object_get(operation, "messages");
    const json_t *message;
    char key[NAME_BYTES];
    size_t i;

    json_array_foreach(json_object_get(service, "messages"), i, message)
    {
        if (is_on(service, socket, message) &&
            (type == NULL || strcmp(text_of(message, "name"), type) == 0))
            json_array_append_new(messages, ref("#/channels/%s.%s/messages/%s",
                                                text_of(service, "name"),
                                                socket, key_of(message, key)));
    }
    return json_array_size(messages) > 0;
}

/* A reaction: what @service receives from one of @services, and may emit. */
static void add_reaction(json_t *operations, const json_t *services,
                         const json_t *service, const json_t *rule)
{
    const char *type = text_of(rule, "on");
    static const char *const sockets[] = {"cmd", "pub"};
    const json_t *from;
    char id[REF_BYTES];
    size_t i;

    snprintf(id, sizeof id, "%s.on.%s", text_of(service, "name"), type);
    json_array_foreach(services, i, from)
    {
        for (int k = from == service ? 0 : 1; k < 2; k++) {
            json_t *receive = operation("receive", from, sockets[k]);

            if (add_messages(receive, from, sockets[k], type)) {
                json_object_set(receive, "x-may-emit",
                                json_object_get(rule, "may_emit"));
                json_object_set(operations, id, receive);
            }
            json_decref(receive);
        }
    }
}

static void add_operations(json_t *operations, const json_t *services,
                           const json_t *service)
{
    json_t *send = operation("send", service, "pub");
    const json_t *rule;
    char id[NAME_BYTES];
    size_t i;

    snprintf(id, sizeof id, "%s.publish", text_of(service, "name"));
    if (add_messages(send, service, "pub", NULL))
        json_object_set(operations, id, send);
    json_decref(send);
    json_array_foreach(json_object_get(service, "rules"), i, rule)
    {
        add_reaction(operations, services, service, rule);
    }
}

json_t *asyncapi_document(const json_t *services)
{
    json_t *channels = json_object(), *operations = json_object();
    const json_t *service;
    size_t i;

    json_array_foreach(services, i, service)
    {
        add_channel(channels, service, "pub",
                    "the events of its log, in frames");
        add_channel(channels, service, "cmd", "commands, which it answers");
        add_operations(operations, services, service);
    }
    return json_pack(
        "{s:s,s:{s:s,s:s,s:s},s:s,s:o,s:o,s:o}", "asyncapi", "3.1.0", "info",
        "title", "The services of a choreographed saga", "version",
        SAGA_VERSION, "description",
        "Printed by saga flow --asyncapi from the rule tables.  A schema is"
        " that of a payload; docs/protocol.md has the envelope.",
        "defaultContentType", "application/msgpack", "channels", channels,
        "operations", operations, "components", components(services));
}
