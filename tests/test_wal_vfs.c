/* test_wal_vfs.c - wal_vfs.h below SQLite itself: what reaches the files, and
 * when; what SQLite without it finds there afterwards.
 *
 * The store over it is in test_store.c, and power cuts in tests/sim/cuts.c. */
#include "faultvfs.h"
#include "log/wal_vfs.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch scratch;
static char path[160], wal[192];

static void set_up(void)
{
    scratch_open(&scratch);
    snprintf(path, sizeof path, "%s", scratch_file(&scratch, "log.db"));
    snprintf(wal, sizeof wal, "%s-wal", path);
    faultvfs_register();
    faultvfs_set(0, 0, 0, false);
}

static void tear_down(void)
{
    scratch_close(&scratch);
}

TestSuite(wal_vfs, .init = set_up, .fini = tear_down);

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void must(sqlite3 *db, const char *sql)
{
    cr_assert_eq(run(db, sql), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

/* As the store has it, and with a cache so small that it spills. */
static int try_open(sqlite3 **db)
{
    int rc =
        sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        wal_vfs_over(FAULTVFS));

    if (rc == SQLITE_OK)
        rc = run(*db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 4;"
                      "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY,"
                      " life INTEGER, bytes BLOB)");
    return rc;
}

static sqlite3 *open_it(void)
{
    sqlite3 *db = NULL;

    cr_assert_eq(try_open(&db), SQLITE_OK, "%s", sqlite3_errmsg(db));
    return db;
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t answer;

    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK,
                 "%s: %s", sql, sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW, "%s: %s", sql,
                 sqlite3_errmsg(db));
    answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

static int64_t size_of(const char *name)
{
    struct stat found;

    return stat(name, &found) == 0 ? (int64_t)found.st_size : -1;
}

/* What SQLite finds without this VFS, in copies of the files as they are. */
static int64_t found_by_others(const char *sql)
{
    char copy[192], copied_wal[200];
    int64_t answer;

    snprintf(copy, sizeof copy, "%s", scratch_file(&scratch, "copy.db"));
    snprintf(copied_wal, sizeof copied_wal, "%s-wal", copy);
    unlink(copied_wal);
    scratch_copy(path, copy);
    if (size_of(wal) >= 0)
        scratch_copy(wal, copied_wal);
    cr_assert_eq(scratch_ask(copy, "SELECT count(*) FROM"
                                   " pragma_integrity_check"
                                   " WHERE integrity_check = 'ok'"),
                 1);
    answer = scratch_ask(copy, sql);
    unlink(copy);
    return answer;
}

enum { ROWS = 60 };

/* All rows are of the same life, or something is lost: that life; 0: no rows.
 * The bytes say it, too. */
#define LIFE                                                                   \
    "SELECT CASE WHEN count(*) = 0 THEN 0 WHEN count(*) = 60"                  \
    " AND min(life) = max(life) AND min(bytes = CAST(substr(life || '" SPACE   \
    "', 1, 8) || zeroblob(3000) AS BLOB)) THEN max(life) ELSE -1 END FROM t"
#define SPACE "        "

/* One transaction that spills, writes its pages twice, and reads them back. */
static int live(sqlite3 *db, int life)
{
    static const char fill[] =
        "UPDATE t SET life = life, bytes = CAST(substr(%d || '" SPACE
        "', 1, 8) || zeroblob(3000) AS BLOB); UPDATE t SET life = %d";
    char sql[400];
    int rc = run(db, "BEGIN IMMEDIATE");

    for (int i = 0; rc == SQLITE_OK && i < ROWS; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT OR IGNORE INTO t VALUES (%d, 0, zeroblob(3008))", i);
        rc = run(db, sql);
    }
    snprintf(sql, sizeof sql, fill, life, life);
    if (rc == SQLITE_OK)
        rc = run(db, sql);
    if (rc == SQLITE_OK && ask(db, LIFE) != life)
        rc = SQLITE_CORRUPT;
    if (rc == SQLITE_OK)
        rc = run(db, "COMMIT");
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        run(db, "ROLLBACK");
    return rc;
}

/* ---- joined -------------------------------------------------------------- */

Test(wal_vfs, a_commit_is_one_write_and_one_sync)
{
    sqlite3 *db = open_it();

    must(db, "INSERT INTO t VALUES (1, 1, zeroblob(20000))");
    faultvfs_set(FAULT_WRITES, 0, 0, false);
    must(db, "INSERT INTO t VALUES (2, 1, zeroblob(20000))");
    cr_assert_eq(faultvfs_calls(), 1);
    cr_assert_eq(found_by_others("SELECT max(n) FROM t"), 2);
    faultvfs_set(FAULT_WRITES | FAULT_SYNCS, 0, 0, false);
    must(db, "INSERT INTO t VALUES (3, 1, zeroblob(20000))");
    cr_assert_eq(faultvfs_calls(), 2);
    faultvfs_set(FAULT_WRITES, 0, 0, false);
    must(db, "INSERT INTO t VALUES (4, 1, zeroblob(200000))");
    cr_assert_eq(faultvfs_calls(), 4, "no longer than unix takes them");
    cr_assert_eq(found_by_others("SELECT max(n) FROM t"), 4);
    sqlite3_close(db);
}

Test(wal_vfs, what_is_not_yet_written_is_read_all_the_same)
{
    sqlite3 *db = open_it();

    for (int life = 1; life <= 8; life++) {
        cr_assert_eq(live(db, life), SQLITE_OK, "%s", sqlite3_errmsg(db));
        cr_assert_eq(ask(db, LIFE), life);
        cr_assert_eq(found_by_others(LIFE), life);
        if (life % 3 == 0)
            must(db, "PRAGMA wal_checkpoint");
    }
    sqlite3_close(db);
    cr_assert_eq(found_by_others(LIFE), 8);
}

/* More than is kept in memory. */
Test(wal_vfs, a_transaction_may_be_of_any_size)
{
    sqlite3 *db = open_it();

    for (int i = 0; i < 3; i++) {
        must(db, "BEGIN");
        for (int n = 0; n < 12; n++) {
            must(db, "INSERT INTO t (life, bytes)"
                     " VALUES (1, randomblob(300000))");
            must(db, "UPDATE t SET life = life + 1");
        }
        must(db, "COMMIT");
        cr_assert_eq(ask(db, "SELECT count(*) FROM t"), 12 * (i + 1));
        cr_assert_eq(found_by_others("SELECT sum(life) FROM t"),
                     ask(db, "SELECT sum(life) FROM t"));
    }
    sqlite3_close(db);
}

Test(wal_vfs, a_rollback_leaves_nothing)
{
    sqlite3 *db = open_it();
    int64_t size;

    cr_assert_eq(live(db, 1), SQLITE_OK);
    size = size_of(wal);
    faultvfs_set(FAULT_WRITES, 0, 0, false);
    must(db, "BEGIN");
    must(db, "UPDATE t SET life = 2");
    must(db, "ROLLBACK");
    must(db, "INSERT INTO t VALUES (1000, 1, NULL)");
    cr_assert_eq(faultvfs_calls(), 1);
    cr_assert_eq((size_of(wal) - size) % 4120, 0);
    cr_assert_leq(size_of(wal) - size, 3 * 4120, "the commit, and no more");
    must(db, "DELETE FROM t WHERE n = 1000");
    cr_assert_eq(found_by_others(LIFE), 1);
    sqlite3_close(db);
}

/* With less than FULL, SQLite counts frames that it has not synced. */
Test(wal_vfs, what_others_are_shown_is_written)
{
    sqlite3 *db = open_it(), *outsider = NULL;
    const char *alone = scratch_file(&scratch, "alone.db");

    cr_assert_eq(live(db, 1), SQLITE_OK);
    must(db, "PRAGMA synchronous = NORMAL");
    cr_assert_eq(sqlite3_open(path, &outsider), SQLITE_OK);
    cr_assert_eq(live(db, 2), SQLITE_OK);
    cr_assert_eq(ask(outsider, LIFE), 2);
    must(outsider, "PRAGMA wal_checkpoint");
    scratch_copy(path, alone);
    cr_assert_eq(scratch_ask(alone, LIFE), 2);
    sqlite3_close(outsider);
    sqlite3_close(db);
}

/* ---- a disk that is full, or fails --------------------------------------- */

Test(wal_vfs, a_full_disk_ends_a_commit_and_no_more) /* HC50 F18 */
{
    sqlite3 *db = open_it();
    int kept = 1, full = 0;

    cr_assert_eq(live(db, kept), SQLITE_OK);
    for (unsigned nth = 1;; nth++) {
        int rc;

        faultvfs_set(FAULT_WRITES, nth, SQLITE_FULL, false);
        rc = live(db, kept + 1);
        if (!faultvfs_failed()) {
            cr_assert_eq(rc, SQLITE_OK);
            break;
        }
        faultvfs_set(0, 0, 0, false);
        cr_assert_eq(rc, SQLITE_FULL, "write %u: %d", nth, rc);
        cr_assert_eq(ask(db, LIFE), kept);
        cr_assert_eq(found_by_others(LIFE), kept, "write %u", nth);
        cr_assert_eq(live(db, ++kept), SQLITE_OK, "there is room again");
        cr_assert_eq(found_by_others(LIFE), kept);
        full++;
    }
    cr_assert_gt(full, 3);
    sqlite3_close(db);
}

/* Four lives, a checkpoint, and an end; how far they came. */
static void live_on(int *said, bool *closed)
{
    sqlite3 *db = NULL;
    int rc = try_open(&db);

    for (int life = *said + 1; rc == SQLITE_OK && life <= 5; life++) {
        rc = live(db, life);
        if (rc == SQLITE_OK)
            *said = life;
        if (rc == SQLITE_OK && life == 3)
            rc = run(db, "PRAGMA wal_checkpoint");
    }
    sqlite3_close(db);
    *closed = !faultvfs_failed();
}

/* Dead at each of its calls, it leaves what SQLite can read: the last life that
 * was acknowledged, or the one that was being written. */
static void dies_at_every(unsigned which)
{
    char first[192], first_wal[200];
    bool closed = false;
    unsigned nth, doubt = 0;
    sqlite3 *db = open_it();

    cr_assert_eq(live(db, 1), SQLITE_OK);
    snprintf(first, sizeof first, "%s", scratch_file(&scratch, "first.db"));
    snprintf(first_wal, sizeof first_wal, "%s-wal", first);
    scratch_copy(path, first);
    scratch_copy(wal, first_wal);
    sqlite3_close(db);
    for (nth = 1; !closed; nth++) {
        int said = 1, life;

        scratch_copy(first, path);
        scratch_copy(first_wal, wal);
        faultvfs_set(which, nth, SQLITE_IOERR, true);
        live_on(&said, &closed);
        faultvfs_set(0, 0, 0, false);
        life = (int)found_by_others(LIFE);
        cr_assert(life == said || life == said + 1, "call %u: %d, not %d", nth,
                  life, said);
        doubt += life != said;
    }
    cr_assert_gt(nth, 8);
    cr_assert_eq(doubt > 0, which == FAULT_SYNCS);
}

Test(wal_vfs, any_write_may_be_the_last)
{
    dies_at_every(FAULT_WRITES);
}

Test(wal_vfs, any_sync_may_be_the_last)
{
    dies_at_every(FAULT_SYNCS);
}

/* ---- kept ---------------------------------------------------------------- */

Test(wal_vfs, a_closed_log_keeps_its_wal_and_replays_nothing)
{
    const char *older = scratch_file(&scratch, "older.db");
    char restored[192], kept_wal[200];
    sqlite3 *db = open_it();
    int64_t size;

    cr_assert_eq(live(db, 1), SQLITE_OK);
    must(db, "PRAGMA wal_checkpoint");
    scratch_copy(path, older);
    cr_assert_eq(live(db, 2), SQLITE_OK);
    size = size_of(wal);
    sqlite3_close(db);
    cr_assert_eq(size_of(wal), size, "it is kept");
    cr_assert_eq(found_by_others(LIFE), 2);
    /* The older log alone, beside the kept WAL. */
    snprintf(restored, sizeof restored, "%s",
             scratch_file(&scratch, "restored.db"));
    snprintf(kept_wal, sizeof kept_wal, "%s-wal", restored);
    scratch_copy(older, restored);
    scratch_copy(wal, kept_wal);
    cr_assert_eq(scratch_ask(restored, LIFE), 1);
    /* The next life writes over it. */
    db = open_it();
    cr_assert_eq(ask(db, LIFE), 2);
    cr_assert_eq(live(db, 3), SQLITE_OK);
    cr_assert_eq(size_of(wal), size);
    cr_assert_eq(found_by_others(LIFE), 3);
    sqlite3_close(db);
    cr_assert_eq(found_by_others(LIFE), 3);
}

Test(wal_vfs, a_wal_that_cannot_be_emptied_is_deleted)
{
    sqlite3 *db = open_it();

    cr_assert_eq(live(db, 1), SQLITE_OK);
    must(db, "PRAGMA wal_checkpoint"); /* nothing is left to copy */
    faultvfs_set(FAULT_WRITES, 1, SQLITE_FULL, false);
    sqlite3_close(db);
    cr_assert(faultvfs_failed());
    cr_assert_eq(size_of(wal), -1);
    faultvfs_set(0, 0, 0, false);
    db = open_it();
    faultvfs_set(FAULT_SYNCS, 1, SQLITE_IOERR_FSYNC, false);
    cr_assert_eq(ask(db, LIFE), 1);
    cr_assert_eq(run(db, "INSERT INTO t VALUES (99, 9, NULL)"), SQLITE_IOERR);
    sqlite3_close(db);
    faultvfs_set(0, 0, 0, false);
    cr_assert_eq(found_by_others("SELECT max(n) < 99 FROM t"), 1);
}

Test(wal_vfs, a_wal_that_has_outgrown_its_limit_is_deleted)
{
    sqlite3 *db = open_it();

    must(db, "PRAGMA cache_size = 10000");
    must(db, "INSERT INTO t VALUES (1, 1, zeroblob(18000000))");
    cr_assert_gt(size_of(wal), WAL_KEPT_MAX);
    sqlite3_close(db);
    cr_assert_eq(size_of(wal), -1);
    cr_assert_eq(found_by_others("SELECT length(bytes) FROM t"), 18000000);
}

/* While somebody else reads, the last to close is not this connection. */
Test(wal_vfs, beside_a_reader_the_wal_stays_as_it_is)
{
    sqlite3 *db = open_it(), *reader = NULL;

    cr_assert_eq(live(db, 1), SQLITE_OK);
    cr_assert_eq(sqlite3_open(path, &reader), SQLITE_OK);
    must(reader, "BEGIN");
    cr_assert_eq(ask(reader, LIFE), 1);
    cr_assert_eq(live(db, 2), SQLITE_OK);
    sqlite3_close(db);
    cr_assert_eq(ask(reader, LIFE), 1);
    must(reader, "COMMIT");
    cr_assert_eq(ask(reader, LIFE), 2);
    sqlite3_close(reader);
    cr_assert_eq(size_of(wal), -1, "the reader is plain SQLite");
}

Test(wal_vfs, it_is_one_over_each_other)
{
    cr_assert_str_eq(wal_vfs_over(FAULTVFS), "wal over faultvfs");
    cr_assert_eq(wal_vfs_over(FAULTVFS), wal_vfs_over(FAULTVFS));
    cr_assert_neq(wal_vfs_over(NULL), wal_vfs_over(FAULTVFS));
    cr_assert_str_eq(wal_vfs_over("no such one"), "no such one");
}
