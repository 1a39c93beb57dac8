/* check_parts.h - what the files of the checker share; check.h is for users.
 */
#ifndef CHECK_PARTS_H
#define CHECK_PARTS_H

#include "audit/check.h"
#include "core/codec.h"

#include <sqlite3.h>
#include <uthash.h>

/* One saga, as all logs name it. */
struct checked_saga {
    char id[ID_BYTES];
    uint64_t armed_seq; /* the event that set its timer; 0 = none is armed */
    /* of its newest event in each log; 0 and NO_MESSAGE = none */
    uint64_t last_seq[SERVICES];
    enum message_type last_type[SERVICES];
    struct check_wait fires; /* .at > 0: its timer is overdue, by a little */
    void *facts;             /* what the domain's invariants know of it */
    UT_hash_handle hh;
};

/* What is remembered of every event, for those that name it as their cause. */
struct note {
    uint8_t type;       /* NO_MESSAGE: there is no such event */
    int8_t cause_from;  /* number of the service; or: */
    uint64_t cause_seq; /* in that service's log */
    uint64_t tags;      /* hashes of its tags, less those of its tag rows */
    struct checked_saga *saga; /* NULL: none */
};
enum { CAUSE_COMMAND = -1, CAUSE_UNKNOWN = -2 };

struct folded; /* a state with its snapshot, see check_log.c */

struct checked_log {
    unsigned number; /* in shop_services */
    const struct service *service;
    struct store *judged, *later; /* the two snapshots, judged first */
    uint64_t head, known;         /* the last seq of each */
    struct note *notes;           /* [1 .. known] */
    uint8_t *answered[SERVICES];  /* bit per cause: it has its event */
    struct cursor cursors[SERVICES];
    bool has_cursor[SERVICES], needs_cursor[SERVICES];
    struct folded *folds;
};

struct check {
    const struct check_options *options;
    check_report_fn *report;
    void *ctx;
    struct check_summary *summary;
    char *why; /* STORE_WHY_BYTES */
    struct checked_log logs[SERVICES];
    struct checked_saga *sagas;
    void *facts;                  /* the invariants' own */
    struct acknowledged *journal; /* see check_journal.c */
};

/* ---- check.c: helpers of all parts -------------------------------------- */

void check_broken(struct check *check, enum check_id id, const char *subject,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same of what goes away when @wait is done (NULL: it does not). */
void check_waits(struct check *check, enum check_id id,
                 const struct check_wait *wait, const char *subject,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Who has not consumed all that the logs say of @saga; false: nobody. */
bool check_unread(const struct check *check, const struct checked_saga *saga,
                  struct check_wait *wait);

/* -1: no such service. */
int check_service(const struct check *check, const char *name);

/* Runs a SELECT on the judged snapshot, calling @each for every row. */
typedef enum evt_status each_fn(struct check *check, struct checked_log *log,
                                sqlite3_stmt *row);
MUST_CHECK enum evt_status check_select(struct check *check,
                                        struct checked_log *log,
                                        const char *sql, each_fn *each);
/* The text of a column; "" for NULL. */
const char *check_text(sqlite3_stmt *row, int column);

/* What @rc and the store say, into check->why; returns @rc. */
enum evt_status check_failed(struct check *check, const struct checked_log *log,
                             enum evt_status rc);

/* The saga @id, made when missing; NULL for "". */
struct checked_saga *check_saga(struct check *check, const char *id);

/* calloc that never returns NULL: a checker without memory has no verdict. */
void *check_alloc(size_t count, size_t bytes);

/* ---- check_log.c: one log by itself ------------------------------------- */

MUST_CHECK enum evt_status check_log(struct check *check,
                                     struct checked_log *log);
void check_log_free(struct checked_log *log);

/* check_causes.c: after all three logs were read. */
void check_causes(struct check *check);

/* ---- the others --------------------------------------------------------- */

/* Read before the logs are frozen: what was acknowledged then is in them. */
MUST_CHECK enum evt_status check_journal_read(struct check *check);
MUST_CHECK enum evt_status check_journal(struct check *check);
void check_journal_free(struct check *check);

MUST_CHECK enum evt_status check_views(struct check *check);

#endif
