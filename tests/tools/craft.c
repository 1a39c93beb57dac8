/* craft.c - shows and changes what a parked event carries.
 *
 *     craft LOG.db SEQ             prints the payload in hex
 *     craft LOG.db SEQ data=HEX    replaces it
 *
 * The event is the one parked under SEQ.  The change is what a damaged disk, or
 * the person who repairs it, would do.  The log's service must not run.  A
 * program of its own: tests/test_trouble.sh calls it. */
#include "stream/frame.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3 *db;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "craft: %s: %s\n", what, sqlite3_errmsg(db));
    exit(74);
}

/* Reads the one parked row of @seq; its data is borrowed from @raw. */
static void read_parked(const char *seq, uint8_t raw[4096], struct row *row)
{
    sqlite3_stmt *s;
    size_t bytes;

    if (sqlite3_prepare_v2(db, "SELECT raw FROM parked WHERE seq = ?", -1, &s,
                           NULL) != SQLITE_OK ||
        sqlite3_bind_text(s, 1, seq, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW)
        fail("no such parked event");
    bytes = (size_t)sqlite3_column_bytes(s, 0);
    if (bytes > 4096)
        fail("too long");
    memcpy(raw, sqlite3_column_blob(s, 0), bytes);
    if (!frame_row_read(raw, bytes, row))
        fail("not a row");
    sqlite3_finalize(s);
}

static void write_parked(const char *seq, const struct row *row)
{
    uint8_t raw[4096];
    size_t bytes = frame_row_write(row, raw, sizeof raw);
    sqlite3_stmt *s;

    if (sqlite3_prepare_v2(db, "UPDATE parked SET raw = ? WHERE seq = ?", -1,
                           &s, NULL) != SQLITE_OK ||
        sqlite3_bind_blob(s, 1, raw, (int)bytes, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(s, 2, seq, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_DONE || sqlite3_finalize(s) != SQLITE_OK)
        fail("writing");
}

int main(int argc, char **argv)
{
    static uint8_t raw[4096], data[DATA_MAX];
    size_t bytes;
    struct row row;

    if (argc < 3 || argc > 4 ||
        sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        fail("craft LOG.db SEQ [data=HEX]");
    read_parked(argv[2], raw, &row);
    if (argc == 3) {
        char text[2 * DATA_MAX + 1];

        puts(sodium_bin2hex(text, sizeof text, row.data, row.data_bytes));
    } else if (strncmp(argv[3], "data=", 5) == 0 &&
               sodium_hex2bin(data, sizeof data, argv[3] + 5,
                              strlen(argv[3] + 5), NULL, &bytes, NULL) == 0) {
        row.data = data;
        row.data_bytes = (uint32_t)bytes;
        write_parked(argv[2], &row);
    } else {
        fail(argv[3]);
    }
    return sqlite3_close(db) == SQLITE_OK ? 0 : 74;
}
