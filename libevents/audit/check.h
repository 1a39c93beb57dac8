/* check.h - do the three logs keep the promises that the design makes?
 *
 * The checker reads what the services have written and nothing else: it asks
 * no process, opens every file for reading only, and may run beside the
 * services, on copies, or on the simulated disk of a test (through its VFS).
 * It shares the codec and the rule tables with the services; sums, ladders
 * and agreements it works out by itself, since a checker that trusted evolve
 * would believe its bugs.
 *
 * Three files are never read at one instant.  So each log's head is read
 * twice: first those of all three, each with the small tables of the same
 * instant (up to there the log is judged), then again (up to there is
 * evidence).  Whatever a judged event or cursor points at was committed before
 * it, hence lies in the evidence: nobody has to stop, and nothing has to be
 * looked at twice.  The events themselves are read in slices, since they stay
 * as they are: no snapshot is held while a large log is read.
 *
 * Memory is bounded, whatever the size of the logs: of an event nothing is
 * kept but sums, and the sagas are judged a part at a time, each part in a
 * pass over the logs.
 *
 * Read check_log.c next, then shop/invariants.c. */
#ifndef CHECK_H
#define CHECK_H

#include "core/service.h"
#include "log/store.h"
#include "read/view.h"
#include "shop/shop.h"

/* The invariants.  S: at every moment.  L: within a bound.  Q: when all is
 * quiet.  J: what a client's journal says. */
enum check_id {
    CHECK_S1,  /* seq without holes, the chain holds, tags are the events' */
    CHECK_S2,  /* a cause is in its log, and has at most one event */
    CHECK_S3,  /* no order both confirmed and cancelled */
    CHECK_S4,  /* one charge an order, a refund only after it and equal */
    CHECK_S5,  /* deposits + refunds - charges = balance, never below zero */
    CHECK_S6,  /* received = free + reserved + shipped, none below zero */
    CHECK_S7,  /* snapshots and armed timers are folds of the log */
    CHECK_S8,  /* the services agree on order, customer, lines and total */
    CHECK_S9,  /* only events that the rule tables declare follow a cause */
    CHECK_S10, /* cursors are in their publisher's log, causes below them */
    CHECK_L1,  /* no order pending past its deadline */
    CHECK_Q1,  /* every saga is in one of its six end states */
    CHECK_Q2,  /* cursors at the heads, nothing parked, no timer overdue */
    CHECK_Q3,  /* read models = a fold of the logs from scratch */
    CHECK_J1,  /* no acknowledged command is lost */
    CHECK_J2,  /* no acknowledged command counts twice */
    CHECK_IDS
};

enum { CHECK_SLACK_MS = 5000, CHECK_TEXT_BYTES = 256 };

/* Why something was skipped that only a domain can tell. */
#define CHECK_UNKNOWN "not without its domain"

/* "S1", and what it promises, in a few words. */
const char *check_name(enum check_id id);
const char *check_promise(enum check_id id);

struct check;
struct checked_log;
struct checked_saga;
struct sqlite3_stmt;

/* What the events of a domain must add up to.  The checker calls these as it
 * reads; they report with check_broken (check_parts.h) and keep what they know
 * in check->facts and saga->facts.  None is NULL. */
struct check_invariants {
    /* An event that is evidence: only what others may need of it. */
    void (*note)(struct check *check, struct checked_saga *saga,
                 const struct event *event);
    /* An event that is judged, as one of @saga. */
    void (*judge)(struct check *check, const struct checked_log *log,
                  struct checked_saga *saga, const struct event *event);
    /* The same event, or one of no saga, once: for sums over all sagas. */
    void (*sum)(struct check *check, const struct checked_log *log,
                const struct event *event);
    /* Whether a state that evolve folded says what the facts say. */
    void (*state)(struct check *check, const struct checked_log *log,
                  const struct kind *kind, const char *key, const void *state);
    /* Q3: the essential columns of service @number's view, whether a row of
     * them is what the facts say, and how many rows there should be.  A row is
     * shown once for each part of the sagas. */
    const char *(*view_query)(unsigned number);
    bool (*view_agrees)(struct check *check, unsigned number,
                        struct sqlite3_stmt *row);
    uint64_t (*view_rows)(const struct check *check, unsigned number);
    /* Counts the sagas of this part; Q1 when final. */
    void (*end)(struct check *check);
    /* Frees what is known of the sagas of this part. */
    void (*forget)(struct check *check);
    void (*free)(struct check *check);
};

struct check_options {
    const struct check_invariants *invariants; /* of the domain, or NULL: then
                            nobody knows S3 to S6, S8, L1 and Q1 */
    const char *directory; /* of <service>/log.db and <service>/view.db */
    const char *vfs;       /* NULL = the operating system's */
    /* SERVICES of them.  One without a domain is known from its description:
     * its payloads, and so its tags and snapshots, are not looked at. */
    const struct service *const *services;
    const struct domain *names;      /* numbers the messages of those */
    const struct view *const *views; /* the same; NULL: Q3 is skipped */
    bool final;                      /* all is quiet: Q1 to Q3 too */
    bool order_runs;                 /* order-svc is alive, so L1 is due */
    int64_t now_ms;      /* on the clock of the timer rows: Unix time */
    const char *journal; /* a file, or NULL.  One line for each command that
                            was answered "done", written after the answer:
        {"command":ID,"type":"PlaceOrder","service":"order","log":HEX,"seq":N}
                            A last line without its newline is ignored. */
    const char *scratch; /* where Q3 rebuilds views; NULL = $TMPDIR or /tmp */
    unsigned parts;      /* of the sagas; 0 = as many as memory is to bear */
};

/* What still has to be done, by service number @service: consume the log of
 * @source and save the cursor, fold it into the view, or fire a timer. */
enum check_lane { LANE_CURSOR, LANE_VIEW, LANE_TIMER, CHECK_LANES };
struct check_wait {
    enum check_lane lane;
    unsigned service, source;
    uint64_t at, head; /* where the file was, and @source's log */
};

/* One violation.  @subject is an order id, a tag ("sku:widget"), a service, a
 * view or a command id; @text is a sentence without its full stop.  @wait is
 * NULL, or what has to be done for the violation to go away: Q1 to Q3 while
 * work is under way.  All borrowed. */
typedef void check_report_fn(void *ctx, enum check_id id, const char *subject,
                             const char *text, const struct check_wait *wait);

/* What was looked at. */
struct check_summary {
    uint64_t broken[CHECK_IDS];       /* violations, by invariant */
    const char *skipped[CHECK_IDS];   /* why it was not looked at, or NULL */
    uint64_t heads[SERVICES];         /* events judged, by log */
    uint64_t causes, orders, unended; /* an order that was placed */
    uint64_t confirmed, cancelled, charges, refunds;
    uint64_t skus, accounts, snapshots, timers, cursors, views, acknowledged;
};

/* Checks everything, reporting each violation as it is found.
 *
 * EVT_OK: it could look; summary->broken says what it saw.  Otherwise @why
 * names the file and the cause:
 *   EVT_NONE   no such directory or file
 *   EVT_BAD    not a log, or not a journal
 *   EVT_NEWER, EVT_BUSY, EVT_FULL (scratch), EVT_IO */
MUST_CHECK enum evt_status check_run(const struct check_options *options,
                                     check_report_fn *report, void *ctx,
                                     struct check_summary *summary,
                                     char why[STORE_WHY_BYTES]);

/* Whether @wait has got further since it was reported, as its file says now.
 * A file that cannot be read has not. */
bool check_moved(const struct check_options *options,
                 const struct check_wait *wait);

#endif
