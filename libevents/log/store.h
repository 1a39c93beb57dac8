/* store.h - one SQLite file: the log (= outbox), the inbox, and what hangs on
 * them.  One transaction covers all of it; that is what the whole design
 * stands on.
 *
 * Settings, and why: WAL with synchronous=FULL, since with NORMAL a power cut
 * un-happens published events; BEGIN IMMEDIATE, since a deferred transaction
 * fails with BUSY_SNAPSHOT at its first write; no automatic checkpoint, since
 * it swallows I/O errors; one read-write connection a file, since SQLite
 * before 3.51.3 can corrupt a WAL that two connections write and checkpoint.
 *
 * EVT_IO from any function: leave the process.  A failed commit may be on the
 * disk all the same (SQLITE_IOERR_FSYNC is ambiguous), so nothing is retried
 * in the process; the next start reads what is true.
 *
 * Not thread safe: one store, one thread. */
#ifndef STORE_H
#define STORE_H

#include "core/event.h"

enum { STORE_SCHEMA = 2, STORE_WHY_BYTES = 256 };

struct store;

/* Before anything else of SQLite, at most once a process: no statistics of
 * its memory, which would take a lock at each of its many allocations. */
void store_quicken(void);

/* Opens (and creates, or migrates) the log of @service at @path for reading
 * and writing.  @vfs NULL = the operating system's.  @new_log_id becomes the
 * log's identity if the file is new.  Before this returns, the whole WAL has
 * been written again and synced: nothing is published that lives only in a
 * page cache which a failed fsync marked clean.  Then it is checkpointed, as
 * far as no reader stands on an older snapshot; a reader is never waited for.
 *
 * On success the caller closes with store_close().  On error *store is
 * untouched and @why, of STORE_WHY_BYTES, names the cause:
 *   EVT_BUSY   another program holds a lock; try again
 *   EVT_NEWER  the file's schema is newer than STORE_SCHEMA
 *   EVT_BAD    the file is another service's, or no log at all
 *   EVT_FULL, EVT_IO */
MUST_CHECK enum evt_status store_open(const char *path, const char *service,
                                      const char *vfs,
                                      const uint8_t new_log_id[LOG_ID_BYTES],
                                      struct store **store,
                                      char why[STORE_WHY_BYTES]);

/* Opens an existing log for reading only: never checkpoints, never migrates,
 * may run beside the writer.  Where nothing can be written, as on read-only
 * media, it takes the file for one that nobody changes.  @service NULL =
 * whichever it is.
 * EVT_NONE: there is no such file. */
MUST_CHECK enum evt_status
store_open_readonly(const char *path, const char *service, const char *vfs,
                    struct store **store, char why[STORE_WHY_BYTES]);

/* Closes; rolls back what is open.  NULL is fine. */
void store_close(struct store *store);

/* What went wrong last, for people.  Borrowed until the next call. */
const char *store_error(const struct store *store);

const char *store_service(const struct store *store);
const uint8_t *store_log_id(const struct store *store);

/* ---- transactions ------------------------------------------------------- */

/* Takes the write lock.  EVT_BUSY after a short wait. */
MUST_CHECK enum evt_status store_begin(struct store *store);
/* The only line that makes anything true: returns after the fsync. */
MUST_CHECK enum evt_status store_commit(struct store *store);
/* Forgets everything since store_begin, in memory too.  Never fails. */
void store_rollback(struct store *store);

/* Copies WAL frames into the database when there are many (a passive
 * checkpoint: never waits for readers).  Call between transactions. */
MUST_CHECK enum evt_status store_checkpoint(struct store *store);

/* Copies all of the WAL into the database, for who has seen that the WAL is
 * deleted: true if everything that was committed is in the database now. */
bool store_save(struct store *store);

/* A read-only store sees one instant between these two. */
MUST_CHECK enum evt_status store_snapshot_begin(struct store *store);
void store_snapshot_end(struct store *store);

/* ---- the log ------------------------------------------------------------ */

/* The last event's seq and hash; 0 and the genesis hash for an empty log.
 * For the writer from memory, inside a transaction including its appends; for
 * a read-only store from the file. */
MUST_CHECK enum evt_status store_head(struct store *store, uint64_t *seq,
                                      uint8_t hash[HASH_BYTES]);

/* Appends @event inside the open transaction, with its tag rows (those that
 * @indexed, a bit mask of 1 << tag_kind, allows).
 *
 * Sets event->source, event->at (log id and the next seq: contiguous, since a
 * counter inside the transaction gives it) and fills @row, whose data lies in
 * @data, and @hash.  On error nothing is appended and *event is unchanged. */
MUST_CHECK enum evt_status
store_append(struct store *store, const struct domain *domain, unsigned indexed,
             struct event *event, uint8_t data[], /* DATA_MAX bytes */
             struct row *row, uint8_t hash[HASH_BYTES]);

/* The first event that the command @command_id caused.  EVT_NONE: none.  The
 * row's data is borrowed until the next call on @store. */
MUST_CHECK enum evt_status store_find_command(struct store *store,
                                              const char *command_id,
                                              struct row *row);

/* Reading in seq order: the whole log (@tag NULL) or one stream, events with
 * after < seq <= upto (UINT64_MAX: to the end).
 *     store_scan(); while ((rc = store_next()) == EVT_OK) ...; store_scan_end()
 * One scan at a time per store, but a scan may be begun inside a transaction.
 * Outside of one a read-only store takes the log in slices, each as it is then:
 * it stands on no snapshot for long, and sees what is appended meanwhile.
 * store_next: EVT_NONE at the end.  The row's data is borrowed until the next
 * store_next or store_scan_end; @hash may be NULL. */
MUST_CHECK enum evt_status store_scan(struct store *store, const char *tag,
                                      uint64_t after, uint64_t upto);
/* Narrows the scan just begun to orders that @wanted says yes to. */
typedef bool store_wanted_fn(void *ctx, const char *order_id);
void store_scan_wanted(struct store *store, store_wanted_fn *wanted, void *ctx);
MUST_CHECK enum evt_status store_next(struct store *store, struct row *row,
                                      uint8_t hash[HASH_BYTES]);
void store_scan_end(struct store *store);

/* The hash of event @seq (genesis for 0); EVT_NONE beyond the head. */
MUST_CHECK enum evt_status store_hash_at(struct store *store, uint64_t seq,
                                         uint8_t hash[HASH_BYTES]);

/* ---- the inbox: one cursor per publisher -------------------------------- */

/* EVT_NONE: nothing consumed of @source yet. */
MUST_CHECK enum evt_status store_cursor(struct store *store, const char *source,
                                        struct cursor *cursor);
MUST_CHECK enum evt_status store_set_cursor(struct store *store,
                                            const char *source,
                                            const struct cursor *cursor);

/* The cursor on the log that comes after @source by name, written over both;
 * start with "".  EVT_NONE: no more.  EVT_BAD: it is malformed; unless @source
 * is still the same, the next call goes on behind it. */
MUST_CHECK enum evt_status store_next_cursor(struct store *store,
                                             char source[SERVICE_BYTES],
                                             struct cursor *cursor);

/* ---- snapshots ---------------------------------------------------------- */

/* EVT_NONE: none of this @layout and size. */
MUST_CHECK enum evt_status store_snapshot(struct store *store, const char *kind,
                                          const char *key, uint32_t layout,
                                          void *state, size_t bytes,
                                          uint64_t *seq);
MUST_CHECK enum evt_status store_set_snapshot(struct store *store,
                                              const char *kind, const char *key,
                                              uint32_t layout,
                                              const void *state, size_t bytes,
                                              uint64_t seq);

/* ---- timers ------------------------------------------------------------- */

struct armed {
    uint64_t event_seq; /* the event that set it */
    char order_id[ID_BYTES];
    int64_t set_ms; /* on the shell's steady clock, see timers.c */
    int64_t after_ms;
};
MUST_CHECK enum evt_status store_arm(struct store *store,
                                     const struct armed *timer);
/* Disarms every timer of the order; none is fine. */
MUST_CHECK enum evt_status store_disarm(struct store *store,
                                        const char *order_id);
/* Timers due at @now_ms, at most @max, earliest first; *count says how many. */
MUST_CHECK enum evt_status store_due(struct store *store, int64_t now_ms,
                                     struct armed due[], size_t max,
                                     size_t *count);
/* When the earliest is due; EVT_NONE when none is armed. */
MUST_CHECK enum evt_status store_next_due(struct store *store, int64_t *due_ms);
/* The same of one order's timers. */
MUST_CHECK enum evt_status
store_order_due(struct store *store, const char *order_id, int64_t *due_ms);
/* How many are armed. */
MUST_CHECK enum evt_status store_timer_count(struct store *store,
                                             uint64_t *count);
/* After a start: no timer was set later than now, so that none waits longer
 * than it was told.  Opens its own transaction if there is anything to do. */
MUST_CHECK enum evt_status store_clamp_timers(struct store *store,
                                              int64_t now_ms);

/* ---- parked events ------------------------------------------------------ */

struct parked {
    char source[SERVICE_BYTES];
    struct position at;
    char order_id[ID_BYTES];
    char reason[128];
    uint8_t raw[4096]; /* the row as frame.h writes one */
    size_t raw_bytes;
};
MUST_CHECK enum evt_status store_park(struct store *store,
                                      const struct parked *parked);
/* The first parked event after (source, log id, seq) of @parked in that order,
 * written over it; start with all zeros.  EVT_NONE: no more. */
MUST_CHECK enum evt_status store_next_parked(struct store *store,
                                             struct parked *parked);
MUST_CHECK enum evt_status store_unpark(struct store *store,
                                        const struct parked *parked);
MUST_CHECK enum evt_status store_parked_count(struct store *store,
                                              uint64_t *count);

/* ---- copies ------------------------------------------------------------- */

/* Copies the log into a new file at @path, as of the open snapshot; asks @stop
 * now and then whether to give up.  The copy is not in WAL mode, so that who
 * looks into it leaves no trace; store_open makes it so again.  Neither the
 * file nor its directory is synced.  On error a file may be left, and @why
 * names the cause: EVT_BUSY  @stop said so, or the log is locked EVT_FULL,
 * EVT_IO */
MUST_CHECK enum evt_status store_copy(struct store *store, const char *path,
                                      bool (*stop)(void),
                                      char why[STORE_WHY_BYTES]);

/* The connection underneath, for the checker's SQL.  Borrowed. */
struct sqlite3;
struct sqlite3 *store_connection(struct store *store);

/* Makes the WAL of an open database durable whatever its past; an SQLite
 * result code.
 *
 * A sync that fails leaves pages in the page cache that are marked clean and
 * never reach the disk (Rebello et al., "Can Applications Recover from fsync
 * Failures?", ATC 2020).  The next process reads them there; a checkpoint's own
 * sync of the WAL does not write them, and a power cut then brings back an
 * older WAL that hides the newer pages of the database.  So before anything
 * believes the WAL, each of its bytes is written again and synced, under the
 * write lock.
 *
 * Frames that its index does not count are cut off: beside a reader there is
 * no recovery, so a commit that failed in an earlier life is not seen now, and
 * must not come back after a power cut. */
int store_renew_wal(struct sqlite3 *db);

#endif
