/* service.c - what surrounds every decision: loading the states that a cause
 * names, and asserting what a decision must keep.
 *
 * Nothing here knows a domain, the log or the network.  Each assertion guards
 * against a mistake in a domain's tables or functions, never against input:
 * that was checked when it was decoded.  Next: shell.c, which drives this. */
#include "core/service.h"

#include "core/codec.h"

#include <assert.h>
#include <string.h>

const struct rule *service_rule(const struct service *service, unsigned type)
{
    for (size_t i = 0; i < service->rule_count; i++) {
        if (service->rules[i].on == type)
            return &service->rules[i];
    }
    return NULL;
}

bool service_indexes(const struct service *service, unsigned type, unsigned tag)
{
    if (tag == TAG_ORDER)
        return true;
    for (size_t i = 0; i < service->kind_count; i++) {
        const struct kind *kind = &service->kinds[i];

        if (kind->tag == tag && event_type_in(type, kind->folds, FOLDS_MAX))
            return true;
    }
    return false;
}

unsigned service_indexed(const struct service *service, unsigned type)
{
    unsigned indexed = 1U << TAG_ORDER; /* the domain need not name it */

    for (unsigned tag = TAG_ORDER + 1; tag < service->domain->tag_count; tag++)
        if (service_indexes(service, type, tag))
            indexed |= 1U << tag;
    return indexed;
}

/* ---- deciding ------------------------------------------------------------ */

void *emit(struct decision *out, unsigned type, const struct event *cause)
{
    assert(!out->emitted);
    assert(out->refusal == NULL);
    out->emitted = true;
    out->event.type = type;
    memcpy(out->event.order_id, cause->order_id, sizeof cause->order_id);
    memcpy(out->event.data, cause->data, out->payload_bytes);
    return out->event.data;
}

void refuse(struct decision *out, const char *why, const char *field)
{
    assert(!out->emitted);
    assert(out->refusal == NULL);
    assert(why != NULL);
    out->refusal = why;
    out->field = field;
}

static bool is_command(const struct service *service, unsigned type)
{
    return domain_message(service->domain, type)->is_command != 0;
}

void service_decide(const struct rule *rule, decide_fn *decide,
                    const struct states *states, const struct event *cause,
                    struct decision *out)
{
    const struct domain *domain = states->service->domain;

    assert(rule->on == cause->type);
    memset(out, 0, sizeof *out);
    out->payload_bytes = domain->payload_bytes;
    (decide != NULL ? decide : rule->decide)(states, cause, out);
    if (out->refusal != NULL) {
        assert(!out->emitted);
        assert(is_command(states->service, cause->type));
    }
    if (out->emitted) {
        assert(event_type_in(out->event.type, rule->may_emit, MAY_EMIT_MAX));
        codec_trim(domain, domain_message(domain, out->event.type),
                   out->event.data);
    }
}

/* ---- states -------------------------------------------------------------- */

const void *state_of(const struct states *states, unsigned kind,
                     const char *key)
{
    const struct loaded *found = NULL;

    for (size_t i = 0; i < states->count && found == NULL; i++) {
        const struct loaded *loaded = &states->loaded[i];

        if (loaded->kind == kind && strcmp(loaded->key, key) == 0)
            found = loaded;
    }
    assert(found != NULL); /* the cause does not carry this tag */
    return found->state;
}

enum evt_status service_load_states(struct states *states,
                                    const struct service *service,
                                    const struct event *cause, load_fn *load,
                                    void *ctx)
{
    struct tag tags[EVENT_TAGS_MAX];
    size_t tag_count = event_tags(service->domain, cause, tags);

    states->service = service;
    states->count = 0;
    for (unsigned k = 0; k < service->kind_count; k++) {
        for (size_t t = 0; t < tag_count; t++) {
            struct loaded *loaded = &states->loaded[states->count];
            enum evt_status rc;

            if (tags[t].kind != service->kinds[k].tag)
                continue;
            assert(states->count < STATES_MAX);
            loaded->kind = k;
            loaded->key = tags[t].key;
            rc = load(ctx, k, loaded->key, &loaded->state);
            if (rc != EVT_OK)
                return rc;
            states->count++;
        }
    }
    return EVT_OK;
}

/* ---- the layout of a state, as a number ---------------------------------- */

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t mix(uint32_t hash, const void *bytes, size_t count)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < count; i++)
        hash = (hash ^ byte[i]) * UINT32_C(16777619);
    return hash;
}

static uint32_t mix_fields(uint32_t hash, const struct field *field)
{
    for (; field->name != NULL; field++) {
        uint32_t facts[] = {(uint32_t)field->kind, field->offset, field->size};

        hash = mix(hash, field->name, strlen(field->name) + 1);
        hash = mix(hash, facts, sizeof facts);
        if (field->items != NULL) {
            uint32_t place[] = {field->list, field->item_bytes};

            hash = mix_fields(mix(hash, place, sizeof place), field->items);
        }
    }
    return hash;
}

uint32_t service_kind_layout(const struct kind *kind)
{
    uint32_t facts[] = {(uint32_t)kind->bytes, kind->revision};
    uint32_t hash = UINT32_C(2166136261);

    hash = mix(hash, facts, sizeof facts);
    return mix_fields(hash, kind->fields);
}
