/* scratch.c - see scratch.h. */
#include "scratch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void scratch_open(struct scratch *scratch)
{
    const char *top = getenv("TMPDIR");

    snprintf(scratch->path, sizeof scratch->path, "%s/saga-test-XXXXXX",
             top == NULL || strlen(top) > 60 ? "/tmp" : top);
    cr_assert_not_null(mkdtemp(scratch->path), "%s", scratch->path);
}

static int remove_one(const char *path, const struct stat *status, int kind,
                      struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void scratch_close(struct scratch *scratch)
{
    if (scratch->path[0] != '\0')
        (void)nftw(scratch->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    scratch->path[0] = '\0';
}

const char *scratch_file(const struct scratch *scratch, const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", scratch->path, name);
    return path;
}

char *scratch_text(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = NULL;
    size_t bytes = 0;

    if (in != NULL && getdelim(&text, &bytes, '\0', in) < 0)
        *text = '\0';
    if (in != NULL)
        fclose(in);
    return text != NULL ? text : strdup("");
}

void scratch_copy(const char *from, const char *to)
{
    char bytes[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    size_t count;

    cr_assert(in != NULL && out != NULL, "%s %s", from, to);
    while ((count = fread(bytes, 1, sizeof bytes, in)) > 0)
        cr_assert_eq(fwrite(bytes, 1, count, out), count);
    fclose(in);
    cr_assert_eq(fclose(out), 0);
}

void scratch_sql(const char *path, const char *sql)
{
    char *error = NULL;
    sqlite3 *db;

    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK, "%s", path);
    sqlite3_exec(db, sql, NULL, NULL, &error);
    cr_assert_null(error, "%s: %s", path, error);
    sqlite3_close(db);
}

long long scratch_ask(const char *path, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    long long value;
    sqlite3 *db;

    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL),
                 SQLITE_OK, "%s", path);
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK,
                 "%s: %s", sql, sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW, "%s", sql);
    value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}
