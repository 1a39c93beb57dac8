/* view.c - what the author of a view calls: see view.h.  The file behind it is
 * in view_db.c. */
#include "read/view.h"

#include "read/view_db_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- statements --------------------------------------------------------- */

static void bind(sqlite3_stmt *statement, const char *types, va_list arguments)
{
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 'i') {
            sqlite3_bind_int64(statement, i + 1, va_arg(arguments, int64_t));
        } else {
            assert(types[i] == 't');
            sqlite3_bind_text(statement, i + 1, va_arg(arguments, const char *),
                              -1, SQLITE_STATIC);
        }
    }
}

enum evt_status view_run(struct view_db *db, unsigned sql, const char *types,
                         ...)
{
    sqlite3_stmt *statement = db->statements[sql];
    va_list arguments;

    va_start(arguments, types);
    bind(statement, types, arguments);
    va_end(arguments);
    return view_db_step(db, statement);
}

enum evt_status view_update(struct view_db *db, unsigned update,
                            unsigned insert, const char *types, ...)
{
    const unsigned both[] = {update, insert};
    enum evt_status rc = EVT_OK;

    for (int i = 0; i < 2 && rc == EVT_OK; i++) {
        sqlite3_stmt *statement = db->statements[both[i]];
        va_list arguments;

        va_start(arguments, types);
        bind(statement, types, arguments);
        va_end(arguments);
        rc = view_db_step(db, statement);
        if (sqlite3_changes(db->sqlite) > 0)
            break;
    }
    return rc;
}

void *view_notes(struct view_db *db)
{
    return db->notes;
}

/* "lines_json": the column's name without that suffix; 0: it has none. */
static size_t json_suffix(const char *name)
{
    size_t length = strlen(name);

    return length > 5 && strcmp(name + length - 5, "_json") == 0 ? length - 5
                                                                 : 0;
}

static json_t *column_value(sqlite3_stmt *statement, int column, bool parse)
{
    const char *text;
    size_t bytes;
    json_t *value;

    if (sqlite3_column_type(statement, column) == SQLITE_INTEGER)
        return json_integer(sqlite3_column_int64(statement, column));
    if (sqlite3_column_type(statement, column) != SQLITE_TEXT)
        return json_null();
    text = (const char *)sqlite3_column_text(statement, column);
    bytes = (size_t)sqlite3_column_bytes(statement, column);
    value =
        parse ? json_loadb(text, bytes, 0, NULL) : json_stringn(text, bytes);
    return value != NULL ? value : json_null(); /* somebody edited the file */
}

static json_t *row_object(sqlite3_stmt *statement)
{
    json_t *row = json_object();

    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *name = sqlite3_column_name(statement, i);
        size_t shortened = json_suffix(name);
        char key[64];

        snprintf(key, sizeof key, "%.*s",
                 (int)(shortened > 0 ? shortened : strlen(name)), name);
        json_object_set_new(row, key,
                            column_value(statement, i, shortened > 0));
    }
    return row;
}

json_t *view_select(struct view_db *db, unsigned sql, const char *types, ...)
{
    sqlite3_stmt *statement = db->statements[sql];
    json_t *rows = json_array();
    va_list arguments;

    va_start(arguments, types);
    bind(statement, types, arguments);
    va_end(arguments);
    while (sqlite3_step(statement) == SQLITE_ROW)
        json_array_append_new(rows, row_object(statement));
    if (view_db_fail(db, sqlite3_reset(statement)) == EVT_OK)
        return rows;
    json_decref(rows);
    return NULL;
}

json_t *view_error(int code, const char *format, ...)
{
    char text[512], plain[2 * sizeof text];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return json_pack("{s:s, s:i}", "error",
                     text_plain(text, false, plain, sizeof plain), "code",
                     code);
}

json_t *view_unreadable(const struct view_db *db)
{
    return view_error(db->failed ? 74 : 75, "%s", db->error);
}

json_t *view_page(const struct view_db *db, json_t *rows, size_t most,
                  const char *name)
{
    bool more = json_array_size(rows) > most;

    if (rows == NULL)
        return view_unreadable(db);
    if (more)
        json_array_remove(rows, most);
    return json_pack("{s:o, s:b}", name, rows, "more", more);
}

/* ---- members of a request ----------------------------------------------- */

bool view_request_id(const json_t *request, const char *name,
                     const char **value)
{
    const json_t *member = json_object_get(request, name);

    if (member == NULL)
        return true;
    if (!json_is_string(member) ||
        !text_is_id(json_string_value(member), ID_BYTES))
        return false;
    *value = json_string_value(member);
    return true;
}

bool view_request_number(const json_t *request, const char *name, int64_t min,
                         int64_t max, int64_t *value)
{
    const json_t *member = json_object_get(request, name);

    if (member == NULL)
        return true;
    if (!json_is_integer(member) || json_integer_value(member) < min ||
        json_integer_value(member) > max)
        return false;
    *value = json_integer_value(member);
    return true;
}
