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
    void *facts;        /* what the domain's invariants know of it */
    UT_hash_handle hh;
    uint8_t fires; /* its timer is overdue, by a little: in that log, plus 1 */
    /* Of its newest event in each log; 0 and NO_MESSAGE = none.  In a word,
     * since millions of these are kept. */
    struct last {
        uint64_t seq : 40;
        uint64_t type : 24;
    } last[];
};

struct folded; /* a state with its snapshot, see check_log.c */
struct notes;  /* what events of a log are about, see check_notes.c */

enum { TYPE_KEPT = 0xffffff };
#define SEQ_KEPT UINT64_C(0xffffffffff)

/* A timer that was armed when the log was judged. */
struct armed_row {
    uint64_t seq;
    char order_id[ID_BYTES];
    int64_t set_ms, after_ms;
};

struct checked_log {
    unsigned number; /* in options->services */
    const struct service *service;
    const struct domain *names; /* of messages, if the service has no domain */
    struct store *judged, *later; /* the log, for scans and for look-ups */
    uint64_t head, known;         /* judged up to there, evidence up to there */
    struct notes *notes;
    uint64_t *tag_sums;              /* by block of events, see check_tags.c */
    uint8_t *answered[SERVICES_MAX]; /* bit per cause: it has its event */
    struct armed_row *timers;
    size_t timer_count;
    struct cursor cursors[SERVICES_MAX];
    bool has_cursor[SERVICES_MAX];
    struct folded *folds;
};

struct check {
    const struct check_options *options;
    const struct check_invariants *invariants; /* empty without a domain */
    check_report_fn *report;
    void *ctx;
    struct check_summary *summary;
    char *why;         /* STORE_WHY_BYTES */
    unsigned services; /* how many */
    struct checked_log logs[SERVICES_MAX];
    struct checked_saga *sagas; /* of this part */
    unsigned part, parts;
    struct checked_views *views;  /* while Q3 is looked at */
    void *facts;                  /* the invariants' own */
    struct acknowledged *journal; /* see check_journal.c */
};

/* ---- check.c: helpers of all parts -------------------------------------- */

void check_broken(struct check *check, unsigned id, const char *subject,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same of what goes away when @wait is done (NULL: it does not). */
void check_waits(struct check *check, unsigned id,
                 const struct check_wait *wait, const char *subject,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Who has not consumed all that the logs say of @saga; false: nobody. */
bool check_unread(const struct check *check, const struct checked_saga *saga,
                  struct check_wait *wait);

/* The firing of its timer, if that is what it waits for; else .at is 0. */
struct check_wait check_fires(const struct check *check,
                              const struct checked_saga *saga);

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

/* Whether saga @id belongs to the part that is judged now. */
bool check_mine(const struct check *check, const char *id);

/* The saga @id, made when missing; NULL for "", and for one of another part. */
struct checked_saga *check_saga(struct check *check, const char *id);

/* calloc that never returns NULL: a checker without memory has no verdict. */
void *check_alloc(size_t count, size_t bytes);

/* check_freeze.c: opens all logs. */
MUST_CHECK enum evt_status check_freeze(struct check *check);

/* ---- check_log.c: one log by itself ------------------------------------- */

/* Of the instant that is judged: the snapshots of states. */
MUST_CHECK enum evt_status check_snapshots(struct check *check,
                                           struct checked_log *log);
/* One pass; the first part's looks at all that is not about one saga. */
MUST_CHECK enum evt_status check_log(struct check *check,
                                     struct checked_log *log);
void check_log_free(struct checked_log *log);

/* The message of @type, in the domain of @log or as it was learned. */
const struct message *check_message_of(const struct checked_log *log,
                                       unsigned type);
/* The message type that a row names, or NO_MESSAGE if the name is unknown. */
unsigned check_row_type(const struct checked_log *log, const struct row *row);
/* As the services decode it; of one without a domain, its envelope.  False:
 * *why and *field say why not. */
bool check_decode(const struct checked_log *log, const struct row *row,
                  struct event *event, const char **why, const char **field);
/* Whom a violation in @row is about. */
const char *check_subject(const struct checked_log *log, const struct row *row);

/* ---- check_tags.c: tag rows against events (S1) -------------------------- */

void check_tags_open(struct checked_log *log);
/* The tags that @event should have. */
void check_tags_add(struct checked_log *log, const struct event *event);
MUST_CHECK enum evt_status check_tags(struct check *check,
                                      struct checked_log *log);

/* ---- check_notes.c: events that others name ------------------------------ */

struct note {
    unsigned type; /* NO_MESSAGE: there is no such event */
    char order_id[ID_BYTES];
};

/* What event @seq is about, borrowed until the next call on @log. */
MUST_CHECK enum evt_status check_note(struct check *check,
                                      struct checked_log *log, uint64_t seq,
                                      const struct note **note);

/* check_causes.c: an event that is judged, against its cause. */
MUST_CHECK enum evt_status check_cause(struct check *check,
                                       struct checked_log *log,
                                       const struct row *row);

/* ---- the others --------------------------------------------------------- */

/* Read before the logs are frozen: what was acknowledged then is in them. */
MUST_CHECK enum evt_status check_journal_read(struct check *check);
MUST_CHECK enum evt_status check_journal(struct check *check);
void check_journal_free(struct check *check);

/* The command @id has @count events in @log. */
void check_repeated(struct check *check, const struct checked_log *log,
                    const char *id, int count);

/* Folds each view anew and compares rows; then, part by part, the fold with
 * the facts. */
MUST_CHECK enum evt_status check_views(struct check *check);
void check_views_facts(struct check *check);
void check_views_close(struct check *check);

#endif
