/* fuzz.c - see fuzz.h.  Next: acts.h, for targets that run a whole service. */
#include "fuzz.h"

#include "base/logger.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whose files are the golden ones; any released version will do. */
#define GOLDEN "tests/golden/0.1.0"

/* ---- inputs ------------------------------------------------------------- */

const uint8_t *take_span(struct taker *taker, size_t wanted, size_t *got)
{
    const uint8_t *at = taker->at;

    *got = wanted < taker->left ? wanted : taker->left;
    taker->at += *got;
    taker->left -= *got;
    return at;
}

int64_t take_number(struct taker *taker)
{
    size_t got;
    const uint8_t *at = take_span(taker, 8, &got);
    uint64_t number = 0;

    for (size_t i = 0; i < got; i++)
        number |= (uint64_t)at[i] << (8 * i);
    return (int64_t)number;
}

uint8_t take_byte(struct taker *taker)
{
    size_t got;
    const uint8_t *at = take_span(taker, 1, &got);

    return got == 1 ? *at : 0;
}

uint16_t take_short(struct taker *taker)
{
    uint8_t low = take_byte(taker);

    return (uint16_t)(low | take_byte(taker) << 8);
}

/* ---- files -------------------------------------------------------------- */

static char directory[64];
static pid_t owner;

static int remove_one(const char *path, const struct stat *status, int kind,
                      struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_directory(void)
{
    if (owner == getpid())
        (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_path(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];

    if (owner == 0) {
        const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

        snprintf(directory, sizeof directory, "%s/saga-fuzz-XXXXXX", top);
        MUST(mkdtemp(directory) != NULL);
        owner = getpid();
        MUST(atexit(remove_directory) == 0);
        logger_open("fuzz",
                    (enum logger_level)(LOG_ERROR + 1)); /* say nothing */
    }
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

uint8_t *fuzz_read(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    long size;

    MUST(file != NULL);
    MUST(fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    MUST(size >= 0);
    rewind(file);
    bytes = malloc((size_t)size + 1);
    MUST(bytes != NULL);
    *count = fread(bytes, 1, (size_t)size, file);
    MUST(*count == (size_t)size);
    bytes[*count] = '\0';
    fclose(file);
    return bytes;
}

void fuzz_write(const char *path, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");

    MUST(file != NULL);
    MUST(fwrite(bytes, 1, count, file) == count);
    MUST(fclose(file) == 0);
}

void fuzz_golden(const char *service, const char *path)
{
    char source[80];
    sqlite3 *db = NULL;
    size_t count;
    uint8_t *sql;

    snprintf(source, sizeof source, GOLDEN "/%s.sql", service);
    sql = fuzz_read(source, &count);
    MUST(sqlite3_open(path, &db) == SQLITE_OK);
    MUST(sqlite3_exec(db, (const char *)sql, NULL, NULL, NULL) == SQLITE_OK);
    MUST(sqlite3_close(db) == SQLITE_OK);
    free(sql);
}
