/* flow.c - `saga flow`: who reacts to what, printed from the rule tables.
 *
 * The rules of a service that this program was built with are those that it was
 * built from (`make check-flow` compares the README); another service tells its
 * own.  Next: libevents/core/flow_print.c. */
#include "core/flow.h"
#include "saga-cli/asyncapi.h"
#include "saga-cli/saga.h"
#include "saga-cli/verbs.h"

#include <stdlib.h>

/* The names of @types up to the first NO_MESSAGE. */
static json_t *names(const unsigned *types, size_t max)
{
    json_t *list = json_array();

    for (size_t i = 0; i < max && types[i] != NO_MESSAGE; i++)
        json_array_append_new(
            list, json_string(domain_type_name(saga_names(), types[i])));
    return list;
}

static json_t *service_json(const struct service *service)
{
    json_t *rules = json_array(), *timers = json_array();

    for (size_t i = 0; i < service->rule_count; i++)
        json_array_append_new(
            rules,
            json_pack("{s:s,s:o}", "on",
                      domain_type_name(saga_names(), service->rules[i].on),
                      "may_emit",
                      names(service->rules[i].may_emit, MAY_EMIT_MAX)));
    for (size_t i = 0; i < service->timer_count; i++) {
        const struct timer *timer = &service->timers[i];

        json_array_append_new(
            timers,
            json_pack("{s:s,s:s,s:I,s:s,s:o}", "from",
                      domain_type_name(saga_names(), timer->from), "send",
                      domain_type_name(saga_names(), timer->send), "after_ms",
                      (json_int_t)timer->default_ms, "option", timer->option,
                      "unless", names(timer->unless, UNLESS_MAX)));
    }
    return json_pack("{s:s,s:o,s:o}", "service", service->name, "rules", rules,
                     "timers", timers);
}

static json_t *flow_json(struct saga *saga)
{
    const struct service *const *services = saga_tables(saga);
    json_t *all = json_array();

    for (unsigned i = 0; i < saga_services(); i++)
        json_array_append_new(all, service_json(services[i]));
    return all;
}

/* The drawn text as one JSON value. */
static json_t *mermaid_json(struct saga *saga)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    json_t *json;

    if (out == NULL)
        abort();
    flow_print_mermaid(out, saga_names(), saga_tables(saga), saga_services());
    fclose(out);
    json = json_pack("{s:s}", "mermaid", text);
    free(text);
    return json;
}

static json_t *asyncapi_json(struct saga *saga)
{
    json_t *services = saga_descriptions(saga);
    json_t *document = asyncapi_document(services);

    json_decref(services);
    return document;
}

enum { LADDER_MAX = 3 };

struct flow_verb {
    bool mermaid, asyncapi;
};

/* The picture, of those that we were built with: who stands beside whom is
 * known of them alone, and it has room for three. */
static void print_ladder(struct saga *saga)
{
    unsigned count = saga_own_services();

    if (!saga_is_built_in(0) || count > LADDER_MAX)
        return;
    flow_print_ladder(stdout, saga_names(), saga_tables(saga), count);
    puts("\nIn full: who reacts to what, and with what.\n");
}

static void print(struct saga *saga, const struct flow_verb *verb)
{
    if (verb->asyncapi) {
        saga_print_json(asyncapi_json(saga));
    } else if (saga->json) {
        saga_print_json(verb->mermaid ? mermaid_json(saga) : flow_json(saga));
    } else if (verb->mermaid) {
        flow_print_mermaid(stdout, saga_names(), saga_tables(saga),
                           saga_services());
    } else {
        print_ladder(saga);
        flow_print(stdout, saga_names(), saga_tables(saga), saga_services());
    }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's own type */
static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct flow_verb *verb = saga->options;

    (void)arg;
    switch (key) {
    case 'm':
        verb->mermaid = true;
        return SAGA_YES;
    case 'a':
        verb->asyncapi = true;
        return SAGA_YES;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(struct saga *saga)
{
    struct flow_verb verb = {0};
    int code = saga_parse(saga, &verb);

    if (code != SAGA_YES)
        return code;
    if (verb.mermaid && verb.asyncapi)
        return saga_fail(saga, SAGA_USAGE,
                         "--mermaid and --asyncapi: only one of them");
    print(saga, &verb);
    for (unsigned i = 0; i < saga_services(); i++)
        if (saga_undescribed(i) != NULL)
            fprintf(stderr, "saga: %s-svc is left out: %s\n", saga_service(i),
                    saga_undescribed(i));
    return SAGA_YES;
}

static const struct argp_option options[] = {
    {"mermaid", 'm', NULL, 0, "as a diagram in mermaid", 0},
    {"asyncapi", 'a', NULL, 0, "as an AsyncAPI 3.1 document, in JSON", 0},
    {0}};

const struct verb verb_flow = {
    .name = "flow",
    .group = LEARNING,
    .examples = "flow",
    .summary = "show who reacts to what, from the rule tables",
    .args = "",
    .options = options,
    .parse = parse,
    .run = run};
