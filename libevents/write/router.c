/* router.c - see router.h: parses a JSON request, once, and runs its route. */
#include "write/router.h"

#include "write/control.h"
#include "write/shell_internal.h"

#include <stdio.h>
#include <string.h>

bool router_takes(const struct input *input)
{
    return input->kind == INPUT_REQUEST && input->count > 0 &&
           *(const uint8_t *)input->bytes == '{';
}

json_t *router_error(int code, const char *text)
{
    char plain[1024];

    return json_pack("{s:s,s:i}", "error",
                     text_plain(text, false, plain, sizeof plain), "code",
                     code);
}

static void answer(struct shell *shell, uint64_t token, const void *bytes,
                   size_t count)
{
    shell->env->send(shell->env->ctx, TO_CLIENT, token, bytes, count);
}

void router_not_a_request(struct shell *shell, uint64_t token)
{
    static const char text[] = "{\"error\":\"not a request\",\"code\":65}";

    shell->counts.garbage++;
    answer(shell, token, text, sizeof text - 1);
}

static const struct route *find(const struct route *route,
                                const json_t *request)
{
    for (; route != NULL && route->member != NULL; route++) {
        const char *value =
            json_string_value(json_object_get(request, route->member));

        if (value != NULL && strcmp(value, route->value) == 0)
            return route;
    }
    return NULL;
}

/* What a client is told when its request came to @rc. */
static json_t *failure(const struct shell *shell, enum evt_status rc)
{
    enum shell_mode mode = modes_of_failure(rc);

    return mode == SHELL_RUNNING ? router_error(74, store_error(shell->store))
                                 : modes_error(mode);
}

static void reply_with(struct shell *shell, uint64_t token, const json_t *reply)
{
    char *text = (char *)shell->message;
    size_t bytes = json_dumpb(reply, text, MESSAGE_MAX, JSON_COMPACT);

    if (bytes > MESSAGE_MAX) /* only a long list of events can be */
        bytes = (size_t)snprintf(text, MESSAGE_MAX,
                                 "{\"done\":true,\"more\":true}");
    answer(shell, token, text, bytes);
}

enum evt_status router_take(struct shell *shell, const struct input *input)
{
    json_t *request =
        json_loadb(input->bytes, input->count, JSON_REJECT_DUPLICATES, NULL);
    const struct route *route = find(control_routes, request);
    void *ctx = shell;
    json_t *reply = NULL;
    enum evt_status rc;

    if (route == NULL) {
        route = find(shell->routes, request);
        ctx = shell->routes_ctx;
    }
    if (route == NULL) {
        json_decref(request);
        router_not_a_request(shell, input->from);
        return EVT_OK;
    }
    rc = route->run(ctx, request, &reply);
    json_decref(request);
    if (rc == EVT_IO)
        return rc;
    if (rc != EVT_OK)
        reply = failure(shell, rc);
    reply_with(shell, input->from, reply);
    json_decref(reply);
    return EVT_OK;
}
