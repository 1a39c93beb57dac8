/* view_diff.c - what differs between two generations of a view, in words.
 *
 * Both files are frozen by a read transaction each, and their tables walked
 * side by side in key order, a slice at a time: the read side goes on folding
 * and answering meanwhile.  It knows nothing of what the tables mean; keys and
 * columns are what SQLite says they are.  Used by rebuild.c. */
#include "read/view_diff.h"

#include "log/sql.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 64, TEXT_BYTES = 1024 };

enum which { OLD, NEW, FILES };

struct view_diff {
    const struct view *view;
    sqlite3 *files[FILES];
    size_t table;               /* the one being compared */
    sqlite3_stmt *scans[FILES]; /* of it, both on a row or at the end */
    bool more[FILES];
    bool broken;       /* it cannot be read any further */
    int keys, columns; /* the first columns are its key */
    json_t *texts;     /* at most DIFFERENCES_MAX */
    uint64_t count;
};

/* ---- opening and closing ------------------------------------------------- */

/* A read transaction begins with the first read, not with BEGIN. */
static int freeze(sqlite3 *sqlite)
{
    return sqlite3_exec(sqlite, "BEGIN; SELECT count(*) FROM sqlite_master",
                        NULL, NULL, NULL);
}

enum evt_status view_diff_open(const struct view_files *old, uint64_t number,
                               const struct view_files *rebuilt,
                               uint64_t rebuilt_number, struct view_diff **out,
                               char why[STORE_WHY_BYTES])
{
    const struct view_files *const files[FILES] = {old, rebuilt};
    const uint64_t numbers[FILES] = {number, rebuilt_number};
    struct view_diff *diff = calloc(1, sizeof *diff);

    if (diff == NULL)
        abort();
    diff->view = old->view;
    diff->texts = json_array();
    for (int i = 0; i < FILES; i++) {
        int rc = view_db_open_file(files[i], numbers[i], SQLITE_OPEN_READONLY,
                                   &diff->files[i]);

        if (rc == SQLITE_OK)
            rc = freeze(diff->files[i]);
        if (rc != SQLITE_OK) {
            snprintf(why, STORE_WHY_BYTES, "comparing views: %s",
                     sqlite3_errmsg(diff->files[i]));
            view_diff_close(diff);
            return sql_status(rc);
        }
    }
    *out = diff;
    return EVT_OK;
}

static void end_table(struct view_diff *diff)
{
    for (int i = 0; i < FILES; i++) {
        sqlite3_finalize(diff->scans[i]);
        diff->scans[i] = NULL;
    }
    diff->table++;
}

void view_diff_close(struct view_diff *diff)
{
    if (diff == NULL)
        return;
    end_table(diff);
    for (int i = 0; i < FILES; i++)
        sqlite3_close(diff->files[i]);
    json_decref(diff->texts);
    free(diff);
}

/* ---- telling ------------------------------------------------------------- */

static void tell(struct view_diff *diff, const char *text)
{
    char plain[1024];
    json_t *string = json_string(text_plain(text, false, plain, sizeof plain));

    diff->count++;
    if (diff->count <= DIFFERENCES_MAX)
        json_array_append_new(diff->texts, string);
    else
        json_decref(string);
}

json_t *view_diff_texts(const struct view_diff *diff)
{
    json_t *texts = json_copy(diff->texts);

    if (diff->count > DIFFERENCES_MAX)
        json_array_append_new(
            texts,
            json_sprintf("and %llu more",
                         (unsigned long long)diff->count - DIFFERENCES_MAX));
    return texts;
}

static const char *value_text(sqlite3_stmt *scan, int column,
                              char text[VALUE_BYTES])
{
    const unsigned char *value = sqlite3_column_text(scan, column);
    int length = sqlite3_column_bytes(scan, column);

    snprintf(text, VALUE_BYTES, "%s%s", value ? (const char *)value : "none",
             length == 0 && value ? "''" : "");
    return text;
}

/* "sagas s-7", "entries bob/12": the table and the row's key. */
static void row_name(const struct view_diff *diff, sqlite3_stmt *scan,
                     char *text, size_t size)
{
    char value[VALUE_BYTES];
    size_t used =
        (size_t)snprintf(text, size, "%s", diff->view->tables[diff->table]);

    for (int i = 0; i < diff->keys && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%c%s",
                             i == 0 ? ' ' : '/', value_text(scan, i, value));
}

static void tell_missing(struct view_diff *diff, enum which in)
{
    char name[TEXT_BYTES / 2], text[TEXT_BYTES];

    row_name(diff, diff->scans[in], name, sizeof name);
    snprintf(text, sizeof text, "%s: %s", name,
             in == OLD ? "not in the rebuilt view" : "was missing");
    tell(diff, text);
}

/* ---- comparing ----------------------------------------------------------- */

static int type_rank(int type)
{
    if (type == SQLITE_NULL)
        return 0;
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
        return 1;
    return type == SQLITE_TEXT ? 2 : 3;
}

static int compare_numbers(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    if (sqlite3_column_type(a, column) == SQLITE_INTEGER &&
        sqlite3_column_type(b, column) == SQLITE_INTEGER) {
        int64_t x = sqlite3_column_int64(a, column);
        int64_t y = sqlite3_column_int64(b, column);

        return (x > y) - (x < y);
    } else {
        double x = sqlite3_column_double(a, column);
        double y = sqlite3_column_double(b, column);

        return (x > y) - (x < y);
    }
}

/* In SQLite's own order, which the scans are in. */
static int compare_values(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    int rank = type_rank(sqlite3_column_type(a, column));
    int other = type_rank(sqlite3_column_type(b, column));
    const void *x, *y;
    int nx, ny, order;

    if (rank != other || rank == 0)
        return rank - other;
    if (rank == 1)
        return compare_numbers(a, b, column);
    x = sqlite3_column_blob(a, column);
    y = sqlite3_column_blob(b, column);
    nx = sqlite3_column_bytes(a, column);
    ny = sqlite3_column_bytes(b, column);
    order = nx == 0 || ny == 0 ? 0 : memcmp(x, y, (size_t)(nx < ny ? nx : ny));
    return order != 0 ? order : nx - ny;
}

static int compare_keys(const struct view_diff *diff)
{
    int order = 0;

    for (int i = 0; i < diff->keys && order == 0; i++)
        order = compare_values(diff->scans[OLD], diff->scans[NEW], i);
    return order;
}

/* One text a row, with every column that differs. */
static void compare_columns(struct view_diff *diff)
{
    char text[TEXT_BYTES], was[VALUE_BYTES], is[VALUE_BYTES];
    sqlite3_stmt *a = diff->scans[OLD], *b = diff->scans[NEW];
    size_t used = 0;

    for (int i = diff->keys; i < diff->columns; i++) {
        char separator = ';';

        if (compare_values(a, b, i) == 0)
            continue;
        if (used == 0) {
            row_name(diff, a, text, sizeof text / 2);
            separator = ':';
        }
        used = strlen(text);
        snprintf(text + used, sizeof text - used, "%c %s %s, rebuilt %s",
                 separator, sqlite3_column_name(a, i), value_text(a, i, was),
                 value_text(b, i, is));
    }
    if (used > 0)
        tell(diff, text);
}

/* A table that cannot be read differs, too. */
static void tell_broken(struct view_diff *diff, enum which in)
{
    char text[TEXT_BYTES];

    snprintf(text, sizeof text, "%s: the %sview cannot be read: %s",
             diff->view->tables[diff->table], in == OLD ? "" : "rebuilt ",
             sqlite3_errmsg(diff->files[in]));
    tell(diff, text);
    diff->broken = true;
}

static void advance(struct view_diff *diff, enum which in)
{
    int rc = sqlite3_step(diff->scans[in]);

    diff->more[in] = rc == SQLITE_ROW;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        tell_broken(diff, in);
}

/* "SELECT key columns, the others FROM table ORDER BY the key" (of a table
 * without one: by all of it).  NULL: no memory. */
static char *scan_sql(struct view_diff *diff, const char *table)
{
    sqlite3_str *sql = sqlite3_str_new(diff->files[NEW]);
    sqlite3_stmt *info = NULL;

    diff->keys = diff->columns = 0;
    sqlite3_str_appendall(sql, "SELECT ");
    if (sqlite3_prepare_v2(diff->files[NEW],
                           "SELECT name, pk FROM pragma_table_info(?) "
                           "ORDER BY pk = 0, pk, cid",
                           -1, &info, NULL) == SQLITE_OK)
        sqlite3_bind_text(info, 1, table, -1, SQLITE_STATIC);
    while (info != NULL && sqlite3_step(info) == SQLITE_ROW) {
        sqlite3_str_appendf(sql, "%s\"%w\"", diff->columns > 0 ? ", " : "",
                            sqlite3_column_text(info, 0));
        diff->columns++;
        diff->keys += sqlite3_column_int(info, 1) > 0;
    }
    sqlite3_finalize(info);
    if (diff->keys == 0)
        diff->keys = diff->columns;
    sqlite3_str_appendf(sql, " FROM \"%w\" ORDER BY 1", table);
    for (int i = 2; i <= diff->keys; i++)
        sqlite3_str_appendf(sql, ", %d", i);
    return sqlite3_str_finish(sql);
}

static void begin_table(struct view_diff *diff)
{
    char *sql = scan_sql(diff, diff->view->tables[diff->table]);

    diff->broken = false;
    for (int i = 0; i < FILES && !diff->broken; i++) {
        if (sql == NULL || sqlite3_prepare_v2(diff->files[i], sql, -1,
                                              &diff->scans[i], NULL) != 0)
            tell_broken(diff, (enum which)i);
        else
            advance(diff, (enum which)i);
    }
    sqlite3_free(sql);
}

/* Compares the row that comes first, and moves on. */
static void compare_row(struct view_diff *diff)
{
    int order = diff->more[OLD] ? -1 : 1;

    if (diff->more[OLD] && diff->more[NEW])
        order = compare_keys(diff);
    if (order < 0)
        tell_missing(diff, OLD);
    else if (order > 0)
        tell_missing(diff, NEW);
    else
        compare_columns(diff);
    if (order <= 0)
        advance(diff, OLD);
    if (order >= 0)
        advance(diff, NEW);
}

static bool table_has_more(const struct view_diff *diff)
{
    return !diff->broken && (diff->more[OLD] || diff->more[NEW]);
}

enum evt_status view_diff_step(struct view_diff *diff, size_t rows)
{
    while (diff->view->tables[diff->table] != NULL) {
        if (diff->scans[OLD] == NULL)
            begin_table(diff);
        for (; rows > 0 && table_has_more(diff); rows--)
            compare_row(diff);
        if (table_has_more(diff))
            return EVT_OK;
        end_table(diff);
    }
    return EVT_NONE;
}
