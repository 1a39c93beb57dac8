/* sql.c - binding and reading columns of SQLite. */
#include "log/sql.h"

#include <errno.h>
#include <string.h>

enum evt_status sql_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return EVT_OK;
    case SQLITE_FULL:
        return EVT_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EVT_BUSY;
    default:
        return EVT_IO;
    }
}

bool sql_has_no_room(sqlite3 *db)
{
    int rc = sqlite3_extended_errcode(db), cause = sqlite3_system_errno(db);

    return (rc == SQLITE_IOERR_SHMSIZE || rc == SQLITE_IOERR_SHMOPEN ||
            (rc & 0xff) == SQLITE_CANTOPEN) &&
           (cause == ENOSPC || cause == EDQUOT || cause == EFBIG);
}

void sql_bind_text(sqlite3_stmt *s, int column, const char *text)
{
    sqlite3_bind_text(s, column, text, -1, SQLITE_STATIC);
}

void sql_bind_int(sqlite3_stmt *s, int column, uint64_t value)
{
    sqlite3_bind_int64(s, column, (sqlite3_int64)value);
}

void sql_bind_blob(sqlite3_stmt *s, int column, const void *bytes, size_t count)
{
    /* a length of 0 must not become NULL */
    sqlite3_bind_blob64(s, column, count > 0 ? bytes : "", count,
                        SQLITE_STATIC);
}

bool sql_read_text(sqlite3_stmt *s, int column, char *text, size_t size)
{
    int type = sqlite3_column_type(s, column);
    const char *value = (const char *)sqlite3_column_text(s, column);
    size_t length = (size_t)sqlite3_column_bytes(s, column);

    memset(text, 0, size);
    if (value == NULL)
        return true;
    if (type != SQLITE_TEXT || length >= size || strlen(value) != length)
        return false;
    memcpy(text, value, length);
    return true;
}

bool sql_read_blob(sqlite3_stmt *s, int column, uint8_t *bytes, size_t size,
                   bool may_be_empty)
{
    const void *value = sqlite3_column_blob(s, column);
    size_t length = (size_t)sqlite3_column_bytes(s, column);

    memset(bytes, 0, size);
    if (length == 0)
        return may_be_empty;
    if (length != size)
        return false;
    memcpy(bytes, value, size);
    return true;
}

bool sql_is_whole(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_INTEGER;
}
