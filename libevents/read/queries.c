/* queries.c - everything that a read side is asked: pulls from other services'
 * readers, status, the log, and the queries that the view answers.
 *
 * Every request is answered exactly once.  A query may carry positions
 * ("after") and waits, with a bound, until the view has reached them: that is
 * how a client reads its own writes from a view that lags.  All bytes here are
 * a stranger's: each member's type and range is checked before it is used. */
#include "read/log_query.h"
#include "read/projection_internal.h"
#include "read/pull_answer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- answering ----------------------------------------------------------- */

static size_t text_bytes(const json_t *json)
{
    return json_dumpb(json, NULL, 0, JSON_COMPACT);
}

static json_t *longest_list(json_t *answer)
{
    json_t *longest = NULL, *member;
    const char *name;

    json_object_foreach(answer, name, member) if (json_array_size(member) >
                                                  json_array_size(longest))
        longest = member;
    return longest;
}

/* Cuts lists until @answer fits a message, and says so. */
static json_t *fit(json_t *answer)
{
    size_t bytes = text_bytes(answer);

    while (bytes > ANSWER_TEXT_MAX) {
        json_t *list = longest_list(answer);
        size_t count = json_array_size(list);
        size_t keep = count * ANSWER_TEXT_MAX / bytes;

        if (count == 0) {
            json_decref(answer);
            return view_error(65, "the answer is too long for a message");
        }
        while (count > keep) /* keep < count: it always gets shorter */
            json_array_remove(list, --count);
        json_object_set_new(answer, "more", json_true());
        bytes = text_bytes(answer);
    }
    return answer;
}

void queries_answer(struct projection *projection, uint64_t token,
                    json_t *answer)
{
    char *text = (char *)projection->message;
    size_t bytes;

    answer = fit(answer);
    bytes = json_dumpb(answer, text, sizeof projection->message, JSON_COMPACT);
    assert(bytes > 0 && bytes <= sizeof projection->message);
    projection->env->send(projection->env->ctx, TO_CLIENT, token, text, bytes);
    json_decref(answer);
}

static void answer_garbage(struct projection *projection, uint64_t token)
{
    projection->counts.garbage++;
    queries_answer(projection, token, view_error(65, "not a request"));
}

static bool member_is(const json_t *request, const char *name,
                      const char *value)
{
    const char *text = json_string_value(json_object_get(request, name));

    return text != NULL && strcmp(text, value) == 0;
}

/* ---- the log behind the view --------------------------------------------- */

/* Opens it when it is first asked for.  NULL: *@error says why. */
static struct store *open_log(struct projection *projection, json_t **error)
{
    char why[STORE_WHY_BYTES] = "";
    enum evt_status rc;

    if (projection->log != NULL)
        return projection->log;
    if (projection->config->log_path == NULL) {
        *error = view_error(69, "a lone read side has no log");
        return NULL;
    }
    rc = store_open_readonly(projection->config->log_path,
                             projection->config->service, projection->env->vfs,
                             &projection->log, why);
    if (rc == EVT_OK)
        return projection->log;
    *error = view_error(rc == EVT_NONE || rc == EVT_BUSY ? 75 : 74, "%s", why);
    return NULL;
}

/* The message's bytes must not be in reader->message yet. */
static json_t *pull_failed(struct projection *projection, enum evt_status rc)
{
    json_t *error = view_error(rc == EVT_BUSY ? 75 : 74, "%s",
                               store_error(projection->log));

    store_close(projection->log); /* the next request opens it anew */
    projection->log = NULL;
    return error;
}

static void take_pull(struct projection *projection, const struct input *input)
{
    struct pull pull;
    json_t *error = NULL;
    struct store *log;
    enum evt_status rc;
    size_t bytes = 0;

    if (!pull_read(input->bytes, input->count, &pull)) {
        answer_garbage(projection, input->from);
        return;
    }
    log = open_log(projection, &error);
    if (log != NULL && strcmp(pull.source, store_service(log)) != 0)
        error = view_error(65, "this is the log of %s", store_service(log));
    if (error == NULL) {
        rc = pull_answer(log, &pull, projection->message, &bytes);
        if (rc != EVT_OK)
            error = pull_failed(projection, rc);
    }
    if (error != NULL) {
        queries_answer(projection, input->from, error);
        return;
    }
    projection->counts.pulls_answered++;
    projection->env->send(projection->env->ctx, TO_CLIENT, input->from,
                          projection->message, bytes);
}

static json_t *ask_log(struct projection *projection, const json_t *request)
{
    json_t *answer = NULL;
    struct store *log = open_log(projection, &answer);

    return log != NULL ? log_query(projection->view->domain, log, request)
                       : answer;
}

/* ---- status -------------------------------------------------------------- */

void queries_trouble(struct projection *projection, char text[STORE_WHY_BYTES])
{
    const struct generation *live = &projection->live;
    char first[STORE_WHY_BYTES - 64] = "";
    uint64_t skipped = 0;

    text[0] = '\0';
    for (size_t i = 0; i < live->subscription_count && text[0] == '\0'; i++)
        if (live->subscriptions[i].state == SUB_DIVERGED)
            snprintf(text, STORE_WHY_BYTES, "%s has %s",
                     live->subscriptions[i].source,
                     subscription_trouble(&live->subscriptions[i]));
    if (live->held != EVT_OK)
        snprintf(text, STORE_WHY_BYTES, "%s",
                 live->held == EVT_FULL ? "storage full" : "database locked");
    if (text[0] != '\0' ||
        view_db_skipped(live->db, first, sizeof first, &skipped) != EVT_OK)
        return;
    if (skipped > 1)
        snprintf(text, STORE_WHY_BYTES, "%s (and %llu more)", first,
                 (unsigned long long)skipped - 1);
    else
        snprintf(text, STORE_WHY_BYTES, "%s", first);
}

static json_t *counts_json(const struct projection *projection)
{
    const struct projection_counts *c = &projection->counts;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"commits", c->commits},
        {"events", c->events},
        {"ignored", c->ignored},
        {"skipped", c->skipped},
        {"rollbacks", c->rollbacks},
        {"rebuilds", c->rebuilds},
        {"pulls_answered", c->pulls_answered},
        {"queries", c->queries},
        {"waited", c->waited},
        {"timeouts", c->timeouts},
        {"garbage", c->garbage},
    };
    struct subscription_counts sum = {0};
    json_t *json = json_object();

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(json, counts[i].name,
                            json_integer((json_int_t)counts[i].value));
    for (size_t i = 0; i < projection->source_count; i++) {
        const struct subscription_counts *sub =
            &projection->live.subscriptions[i].counts;

        sum.frames += sub->frames;
        sum.duplicates += sub->duplicates;
        sum.gaps += sub->gaps;
        sum.pulls += sub->pulls;
    }
    json_object_set_new(json, "frames", json_integer((json_int_t)sum.frames));
    json_object_set_new(json, "duplicates",
                        json_integer((json_int_t)sum.duplicates));
    json_object_set_new(json, "gaps", json_integer((json_int_t)sum.gaps));
    json_object_set_new(json, "pulls", json_integer((json_int_t)sum.pulls));
    return json;
}

static json_t *view_json(struct projection *projection)
{
    const struct generation *live = &projection->live;
    json_t *positions = json_object(), *heads = json_object();
    char hex[2 * LOG_ID_BYTES + 1], trouble[STORE_WHY_BYTES];
    char plain[2 * STORE_WHY_BYTES];
    uint64_t lag = 0;

    for (size_t i = 0; i < live->subscription_count; i++) {
        const struct subscription *sub = &live->subscriptions[i];
        const struct position *at = &live->saved[i].at;

        json_object_set_new(positions, sub->source,
                            json_pack("{s:s, s:I}", "log",
                                      text_hex(at->log_id, LOG_ID_BYTES, hex),
                                      "seq", (json_int_t)at->seq));
        json_object_set_new(heads, sub->source,
                            json_integer((json_int_t)sub->head_seq));
        lag += sub->head_seq > at->seq ? sub->head_seq - at->seq : 0;
    }
    queries_trouble(projection, trouble);
    return json_pack("{s:s, s:I, s:o, s:o, s:I, s:b, s:s, s:o}", "name",
                     projection->view->name, "generation",
                     (json_int_t)view_db_generation(live->db), "positions",
                     positions, "heads", heads, "lag", (json_int_t)lag,
                     "rebuilding", projection->rebuild.phase != REBUILD_NONE,
                     "trouble", text_plain(trouble, false, plain, sizeof plain),
                     "counts", counts_json(projection));
}

/* How many events the service has put aside.  A lone read side has no log. */
static void add_parked(struct projection *projection, json_t *status)
{
    json_t *error = NULL;
    struct store *log = projection->config->log_path != NULL
                            ? open_log(projection, &error)
                            : NULL;
    uint64_t parked = 0;

    json_decref(error);
    if (log != NULL && store_parked_count(log, &parked) == EVT_OK)
        json_object_set_new(status, "parked", json_integer((json_int_t)parked));
}

static json_t *ask_status(struct projection *projection)
{
    json_t *status =
        json_pack("{s:s, s:o}", "service", projection->config->service, "view",
                  view_json(projection));

    add_parked(projection, status);
    if (projection->config->add_status != NULL)
        projection->config->add_status(projection->config->ctx, status);
    return status;
}

/* ---- queries of the view ------------------------------------------------- */

/* Asks the view now. */
static json_t *ask_view(struct projection *projection, const json_t *request)
{
    json_t *answer = projection->view->query(projection->live.db, request);
    json_t *as_of;

    if (answer == NULL)
        return view_error(65, "not a request");
    as_of = json_object();
    for (size_t i = 0; i < projection->source_count; i++)
        json_object_set_new(
            as_of, projection->view->sources[i],
            json_integer((json_int_t)projection->live.saved[i].at.seq));
    json_object_set_new(answer, "as_of", as_of);
    return answer;
}

/* NULL, or what is wrong with one {"service", "log", "seq"}. */
static json_t *read_want(const struct projection *projection,
                         const json_t *json, struct want *want)
{
    const char *service = json_string_value(json_object_get(json, "service"));
    const char *log = json_string_value(json_object_get(json, "log"));
    int64_t seq = -1;

    memset(want, 0, sizeof *want);
    if (service == NULL || log == NULL || strlen(log) != 2 * LOG_ID_BYTES ||
        !text_parse_hex(log, want->at.log_id, LOG_ID_BYTES) ||
        !view_request_number(json, "seq", 0, INT64_MAX, &seq) || seq < 0)
        return view_error(65, "after is a list of {service, log, seq}");
    want->at.seq = (uint64_t)seq;
    for (; want->source < projection->source_count; want->source++)
        if (strcmp(projection->view->sources[want->source], service) == 0)
            return NULL;
    return view_error(65, "the %s view is not made from that service's log",
                      projection->view->name);
}

/* NULL, or what is wrong with the waiting that @request asks for. */
static json_t *read_waiting(const struct projection *projection,
                            const json_t *request, struct waiting *waiting)
{
    const json_t *after = json_object_get(request, "after");
    const json_t *until = json_object_get(request, "until");
    int64_t timeout_ms = WAIT_MS_DEFAULT;
    const char *order = "";
    json_t *error = NULL;

    memset(waiting, 0, sizeof *waiting);
    if (!view_request_number(request, "timeout_ms", 0, WAIT_MS_MAX,
                             &timeout_ms))
        return view_error(65, "timeout_ms must be 0 to %d", WAIT_MS_MAX);
    if (until != NULL && !member_is(request, "until", "ended"))
        return view_error(65, "until can only be \"ended\"");
    if (after != NULL && !json_is_array(after))
        return view_error(65, "after is a list of {service, log, seq}");
    if (json_array_size(after) > CURSORS_MAX)
        return view_error(65, "after has more than %d positions", CURSORS_MAX);
    while (error == NULL && waiting->want_count < json_array_size(after)) {
        const json_t *want = json_array_get(after, waiting->want_count);

        error =
            read_want(projection, want, &waiting->wants[waiting->want_count++]);
    }
    if (view_request_id(request, "order", &order))
        text_copy(waiting->order, sizeof waiting->order, order);
    waiting->until_ended = until != NULL;
    waiting->look = true;
    waiting->deadline_ms = projection_now(projection) + (uint64_t)timeout_ms;
    return error;
}

static const struct want *not_reached(const struct projection *projection,
                                      const struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->want_count; i++) {
        const struct want *want = &waiting->wants[i];
        const struct position *at = &projection->live.saved[want->source].at;

        if (want->at.seq > 0 &&
            (at->seq < want->at.seq ||
             memcmp(at->log_id, want->at.log_id, LOG_ID_BYTES) != 0))
            return want;
    }
    return NULL;
}

/* The answer, if the waiting is over; NULL: not yet. */
static json_t *try_answer(struct projection *projection,
                          struct waiting *waiting)
{
    json_t *answer;

    if (!waiting->look || not_reached(projection, waiting) != NULL)
        return NULL;
    answer = ask_view(projection, waiting->request);
    if (!waiting->until_ended || json_object_get(answer, "error") != NULL ||
        json_is_true(json_object_get(answer, "ended")))
        return answer;
    json_decref(answer);
    waiting->look = false; /* until an event of its order is folded */
    return NULL;
}

static json_t *too_late(const struct projection *projection,
                        const struct waiting *waiting)
{
    const struct want *want = not_reached(projection, waiting);
    const struct position *at;

    if (want == NULL)
        return view_error(75, "%s has not ended yet",
                          waiting->order[0] ? waiting->order : "it");
    at = &projection->live.saved[want->source].at;
    return view_error(
        75, "the %s view has not reached %s/%llu yet (at %llu%s)",
        projection->view->name, projection->view->sources[want->source],
        (unsigned long long)want->at.seq, (unsigned long long)at->seq,
        at->seq >= want->at.seq ? " of another log" : "");
}

static void take_query(struct projection *projection, uint64_t token,
                       json_t *request)
{
    struct waiting waiting;
    json_t *answer = read_waiting(projection, request, &waiting);

    projection->counts.queries++;
    waiting.token = token;
    waiting.request = request;
    if (answer == NULL)
        answer = try_answer(projection, &waiting);
    if (answer == NULL && projection_now(projection) >= waiting.deadline_ms)
        answer = too_late(projection, &waiting);
    if (answer == NULL && projection->waiting_count == WAITING_MAX)
        answer = view_error(75, "too many waiting");
    if (answer != NULL) {
        queries_answer(projection, token, answer);
        return;
    }
    json_incref(request);
    projection->counts.waited++;
    projection->waiting[projection->waiting_count++] = waiting;
}

void queries_touch(struct projection *projection, const char *order_id)
{
    for (size_t i = 0; i < projection->waiting_count; i++) {
        struct waiting *waiting = &projection->waiting[i];

        if (!waiting->look && strcmp(waiting->order, order_id) == 0)
            waiting->look = true;
    }
}

void queries_reconsider(struct projection *projection)
{
    uint64_t now = projection_now(projection);

    for (size_t i = 0; i < projection->waiting_count;) {
        struct waiting *waiting = &projection->waiting[i];
        json_t *answer = try_answer(projection, waiting);

        if (answer == NULL && now >= waiting->deadline_ms) {
            answer = too_late(projection, waiting);
            projection->counts.timeouts++;
        }
        if (answer == NULL) {
            i++;
            continue;
        }
        queries_answer(projection, waiting->token, answer);
        json_decref(waiting->request);
        projection->waiting[i] =
            projection->waiting[--projection->waiting_count];
    }
}

/* ---- requests ------------------------------------------------------------ */

static void take_json(struct projection *projection, uint64_t token,
                      json_t *request)
{
    if (member_is(request, "do", "rebuild"))
        rebuild_ask(projection, token, request);
    else if (!json_is_string(json_object_get(request, "get")))
        answer_garbage(projection, token);
    else if (member_is(request, "get", "status"))
        queries_answer(projection, token, ask_status(projection));
    else if (member_is(request, "get", "description") &&
             projection->config->description != NULL)
        queries_answer(projection, token,
                       json_deep_copy(projection->config->description));
    else if (member_is(request, "get", "log") ||
             member_is(request, "get", "parked"))
        queries_answer(projection, token, ask_log(projection, request));
    else
        take_query(projection, token, request);
}

void queries_take(struct projection *projection, const struct input *input)
{
    json_t *request;

    if (input->count == 0 || input->count > MESSAGE_MAX) {
        answer_garbage(projection, input->from);
        return;
    }
    if (*(const char *)input->bytes != '{') {
        take_pull(projection, input);
        return;
    }
    request =
        json_loadb(input->bytes, input->count, JSON_REJECT_DUPLICATES, NULL);
    if (request == NULL) {
        answer_garbage(projection, input->from);
        return;
    }
    take_json(projection, input->from, request);
    json_decref(request);
}
