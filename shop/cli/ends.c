/* ends.c - what an order has come to, and waiting for its end.
 *
 * Its status is what order-svc's own state says, folded from the story; while
 * it is waited for, the order view is asked. */
#include "shop/cli/present.h"
#include "shop/cli/shop_cli.h"

#include "core/json.h"
#include "shop/shop.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

void *ends_fold(unsigned service, const struct kind *kind, const char *key,
                const struct event *events, size_t count, size_t *folded)
{
    void *state = calloc(1, kind->bytes);
    size_t many = 0;

    if (state == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        if (strcmp(events[i].source, saga_service(service)) != 0 ||
            !event_type_in(events[i].type, kind->folds, FOLDS_MAX))
            continue;
        kind->evolve(state, key, &events[i]);
        many++;
    }
    if (folded != NULL)
        *folded = many;
    return state;
}

/* The word that @service's state of the order has for its status. */
static void status_word(const struct story *story, unsigned service, char *text,
                        size_t size)
{
    const struct service *owner = roster_services[service];

    text[0] = '\0';
    for (size_t k = 0; k < owner->kind_count; k++) {
        const struct kind *kind = &owner->kinds[k];
        json_t *fields;
        const char *word;
        size_t folded;
        void *state;

        if (kind->tag != TAG_ORDER)
            continue;
        state = ends_fold(service, kind, story->id, story->events, story->count,
                          &folded);
        fields = json_from_fields(kind->fields, state);
        word = json_string_value(json_object_get(fields, "status"));
        if (folded > 0 && word != NULL)
            snprintf(text, size, "%s", word);
        json_decref(fields);
        free(state);
    }
}

/* Why it turned back, and when it came to the status that it has. */
static void look_back(const struct story *story, struct story_end *end)
{
    for (size_t i = 0; i < story->count; i++) {
        const struct event *event = &story->events[i];
        bool turned =
            event->type == ORDER_CANCELLED || event->type == ORDER_CANCELLING;

        if (turned || event->type == ORDER_CONFIRMED)
            end->since_ms = event->time_ms;
        if (turned && payload_of(event)->reason[0] != '\0')
            end->reason = payload_of(event)->reason;
    }
}

void ends_of(const struct story *story, struct story_end *end)
{
    char stock[32];

    look_back(story, end);
    status_word(story, 0, end->status, sizeof end->status);
    status_word(story, 1, stock, sizeof stock);
    end->ended = strcmp(end->status, "CANCELLED") == 0 ||
                 (strcmp(end->status, "CONFIRMED") == 0 &&
                  strcmp(stock, "SHIPPED") == 0);
    for (size_t i = 0; i < story->gap_count; i++)
        if (story_gap_is_open(story, i) &&
            saga_is_built_in(
                (unsigned)saga_service_number(story->gaps[i].owner->name)))
            end->ended = false;
}

/* ---- orders that nobody knows ----------------------------------------------
 */

/* Sets @similar to the id of a recent order that is almost @id, for the error
 * message; to "" if none is. */
static void find_similar(struct saga *saga, const char *id, char *similar)
{
    json_t *ask = json_pack("{s:s,s:i}", "get", "orders", "limit", 200);
    json_t *reply = NULL, *order;
    size_t least = 3, i;

    similar[0] = '\0';
    if (client_ask(saga->client, "order", "qry", ask, 500, &reply) == EVT_OK)
        json_array_foreach(json_object_get(reply, "orders"), i, order)
        {
            const char *other =
                json_string_value(json_object_get(order, "order"));

            if (other != NULL && saga_is_closer(id, other, &least))
                snprintf(similar, ID_BYTES, "%s", other);
        }
    json_decref(reply);
    json_decref(ask);
}

int ends_no_such(struct saga *saga, const char *order)
{
    char similar[ID_BYTES];

    find_similar(saga, order, similar);
    if (similar[0] != '\0')
        return saga_fail(saga, SAGA_NO_SUCH,
                         "no order %s (did you mean %s? './saga ls' shows all)",
                         order, similar);
    return saga_fail(saga, SAGA_NO_SUCH, "no order %s ('./saga %s' shows all)",
                     order, saga_runs(saga, "order") ? "ls" : "log --all");
}

/* ---- waiting ---------------------------------------------------------------
 */

/* The reply of the order view once the order has ended; NULL: not yet. */
static json_t *ended_order(struct saga *saga, const char *order, int64_t ms,
                           bool *unknown, enum evt_status *rc)
{
    json_t *request =
        json_pack("{s:s,s:s,s:s,s:I}", "get", "order", "order", order, "until",
                  "ended", "timeout_ms", (json_int_t)ms);
    json_t *reply = NULL;

    *rc = client_ask(saga->client, "order", "qry", request, (int)ms + 1000,
                     &reply);
    json_decref(request);
    *unknown = *rc == EVT_OK && json_number(reply, "code") == SAGA_NO_SUCH;
    if (*rc == EVT_OK && json_is_true(json_object_get(reply, "ended")))
        return reply;
    json_decref(reply);
    return NULL;
}

/* It may wait for a service that nobody starts again. */
static int not_ended(struct saga *saga, const char *order, int64_t timeout_s)
{
    char given_up[START_BYTES + 256] = "; ";
    bool found = false;

    for (unsigned i = 0; i < saga_services() && !found; i++)
        found = saga_given_up(saga, saga_service(i), given_up + 2,
                              sizeof given_up - 2);
    return saga_fail(saga, SAGA_TRY_AGAIN,
                     "%s has not ended after %" PRId64 " s ('./saga why %s')%s",
                     order, timeout_s, order, found ? given_up : "");
}

int ends_wait(struct saga *saga, const char *order, int64_t timeout_s)
{
    int64_t deadline = (int64_t)saga_mono_ms() + timeout_s * 1000, left;
    struct timespec pause = {.tv_nsec = 50000000};
    enum evt_status rc = EVT_OK;
    bool unknown = false;
    json_t *reply = NULL;

    while (reply == NULL && (left = deadline - (int64_t)saga_mono_ms()) > 0) {
        reply =
            ended_order(saga, order, left < 2000 ? left : 2000, &unknown, &rc);
        if (reply == NULL)
            nanosleep(&pause, NULL); /* down, or not known there yet */
    }
    if (reply == NULL && rc != EVT_OK) /* it may have ended long ago */
        return saga_no_answer(saga, "order", rc);
    if (reply == NULL)
        return unknown ? ends_no_such(saga, order)
                       : not_ended(saga, order, timeout_s);
    if (saga->json) {
        saga_print_json(present_json(reply));
    } else {
        const json_t *row = json_object_get(reply, "order");
        const char *reason = json_text(row, "reason");

        printf("%s has ended: %s%s%s\n", order, json_text(row, "status"),
               reason[0] != '\0' ? ", " : "", reason);
    }
    json_decref(reply);
    return SAGA_YES;
}
