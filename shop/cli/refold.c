/* refold.c - answers as a view does while its service is down: folds the events
 * of one stream with the view's own functions, in memory.
 *
 * So the answer has the same members, whether the view or the logs gave it. */
#include "shop/cli/refold.h"

#include "core/json.h"
#include "core/service.h"
#include "read/view_db.h"

#include <stdlib.h>

/* Folds the events of one log; what cannot be read would be a wrong answer. */
static int fold(struct saga *saga, struct view_db *db, const struct view *view,
                json_t *rows)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        struct event event;

        if (json_to_event(&shop_domain, row, &event) != EVT_OK)
            return saga_fail(saga, SAGA_BAD_DATA,
                             "%s #%lld cannot be read by this program, so it "
                             "cannot be folded ('./saga log %s' shows it raw)",
                             json_text(row, "source"),
                             (long long)json_number(row, "seq"),
                             json_text(row, "source"));
        if (view->project(db, &event) != EVT_OK)
            return saga_fail(saga, SAGA_IO, "the %s view: %s", view->name,
                             view_db_error(db));
    }
    return SAGA_YES;
}

/* Every log that the view is folded from.  @as_of gets their heads,
 * @from_files the services of those that did not answer. */
static int fold_all(struct saga *saga, struct view_db *db,
                    const struct view *view, const char *tag, json_t *as_of,
                    json_t *from_files)
{
    int code = SAGA_YES;

    for (size_t i = 0; view->sources[i] != NULL && code == SAGA_YES; i++) {
        const char *source = view->sources[i];
        bool from_file = false;
        uint64_t head = 0;
        json_t *rows = saga_log_events(saga, source, tag, 0, UINT64_MAX, NULL,
                                       &head, &from_file, &code);

        if (rows == NULL)
            return code;
        code = fold(saga, db, view, rows);
        json_decref(rows);
        json_object_set_new(as_of, source, json_integer((json_int_t)head));
        if (from_file)
            json_array_append_new(from_files, json_string(source));
    }
    return code;
}

static int fold_in_transaction(struct saga *saga, struct view_db *db,
                               const struct view *view, const char *tag,
                               json_t *as_of, json_t *from_files)
{
    int code = SAGA_IO;

    if (view_db_begin(db) == EVT_OK) {
        code = fold_all(saga, db, view, tag, as_of, from_files);
        if (code != SAGA_YES || view_db_commit(db) == EVT_OK)
            return code;
    }
    return saga_fail(saga, SAGA_IO, "the %s view: %s", view->name,
                     view_db_error(db));
}

json_t *refold_answer(struct saga *saga, unsigned service, const char *tag,
                      json_t *request, int *code)
{
    const struct view *view = roster_views[service];
    const struct view_files memory = {view, "/refold", "memdb"};
    char why[STORE_WHY_BYTES];
    json_t *answer = NULL, *as_of = json_object(), *from_files = json_array();
    struct view_db *db = NULL;

    *code = SAGA_YES;
    if (view_db_create(&memory, 1, &db, why) != EVT_OK)
        *code = saga_fail(saga, SAGA_IO, "%s view: %s", view->name, why);
    if (*code == SAGA_YES)
        *code = fold_in_transaction(saga, db, view, tag, as_of, from_files);
    if (*code == SAGA_YES) {
        answer = view->query(db, request);
        json_object_set(answer, "as_of", as_of);
        json_object_set(answer, "from_files", from_files);
    }
    view_db_close(db);
    json_decref(as_of);
    json_decref(from_files);
    json_decref(request);
    return answer;
}
