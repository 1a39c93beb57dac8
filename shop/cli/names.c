/* names.c - see names.h.  The log decides what is new, so that a command that
 * is repeated under its id is answered as the first time. */
#include "shop/cli/names.h"

#include "shop/shop.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 1000 };

/* NULL: no answer. */
static json_t *ask(struct saga *saga, const char *service, json_t *request)
{
    json_t *reply = NULL;

    if (client_ask(saga->client, service, "qry", request,
                   saga_within(saga, LOOK_MS), &reply) != EVT_OK)
        reply = NULL;
    json_decref(request);
    return reply;
}

int name_is_new(struct saga *saga, const char *service, const struct name *name,
                uint64_t seq)
{
    char tag[TAG_BYTES];
    const json_t *events;
    json_t *reply;
    int is_new;

    snprintf(tag, sizeof tag, "%s:%s", name->kind, name->text);
    reply = ask(saga, service,
                json_pack("{s:s,s:s,s:I,s:i}", "get", "log", "tag", tag, "upto",
                          (json_int_t)seq - 1, "limit", 1));
    events = json_object_get(reply, "events");
    is_new = !json_is_array(events) ? -1 : json_array_size(events) == 0;
    json_decref(reply);
    return is_new;
}

const char *name_meant(struct saga *saga, const struct name *name)
{
    static char meant[SKU_BYTES + CUSTOMER_BYTES];
    bool is_sku = strcmp(name->kind, "sku") == 0;
    const char *list = is_sku ? "stock" : "accounts";
    json_t *reply = ask(saga, is_sku ? "inventory" : "payment",
                        json_pack("{s:s}", "get", list));
    size_t least = 3, i; /* at most two letters are wrong */
    const json_t *row;

    meant[0] = '\0';
    json_array_foreach(json_object_get(reply, list), i, row)
    {
        const char *other = json_text(row, name->kind);

        if (strcmp(other, name->text) != 0 &&
            saga_is_closer(name->text, other, &least))
            snprintf(meant, sizeof meant, "%s", other);
    }
    json_decref(reply);
    return meant[0] != '\0' ? meant : NULL;
}
