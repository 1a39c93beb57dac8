/* sql.h - binding and reading columns of SQLite.
 *
 * What is bound is borrowed until the statement is reset.  What is read comes
 * from a file that anybody may have edited, so it is measured first. */
#ifndef SQL_H
#define SQL_H

#include "base/status.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a result code of SQLite means: EVT_OK, EVT_FULL, EVT_BUSY or EVT_IO. */
enum evt_status sql_status(int rc);

/* Whether a file beside the database could not be made because the disk is
 * full, which SQLite says as an I/O error: for one who is opening @db and has
 * written nothing yet.  After that a commit may be on the disk all the same. */
bool sql_has_no_room(sqlite3 *db);

void sql_bind_text(sqlite3_stmt *s, int column, const char *text);
void sql_bind_int(sqlite3_stmt *s, int column, uint64_t value);
void sql_bind_blob(sqlite3_stmt *s, int column, const void *bytes,
                   size_t count);

/* Copies a text, "" for NULL.  False: it does not fit, holds a NUL, or is of
 * another type, which compares differently from what could be bound of it. */
MUST_CHECK bool sql_read_text(sqlite3_stmt *s, int column, char *text,
                              size_t size);
/* Copies a blob of exactly @size bytes, or, if @may_be_empty, of none. */
MUST_CHECK bool sql_read_blob(sqlite3_stmt *s, int column, uint8_t *bytes,
                              size_t size, bool may_be_empty);
/* Whether it is an integer: columns have no types of their own in SQLite. */
bool sql_is_whole(sqlite3_stmt *s, int column);

#endif
