/* check.h - do the logs keep the promises that the design makes?
 *
 * The checker reads what the services have written and nothing else: it asks
 * no process, opens every file for reading only, and may run beside the
 * services, on copies, or on the simulated disk of a test (through its VFS).
 * It shares the codec and the rule tables with the services; sums, ladders
 * and agreements it works out by itself, since a checker that trusted evolve
 * would believe its bugs.
 *
 * The files are never read at one instant.  So each log's head is read
 * twice: first those of all, each with the small tables of the same
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
 * What is true of every saga is checked here; what the events of one domain
 * must add up to, it hands in: see its invariants.c.  Next: promises.c,
 * check_log.c. */
#ifndef CHECK_H
#define CHECK_H

#include "core/service.h"
#include "log/store.h"
#include "read/view.h"

/* The invariants of every domain; one numbers its own from CHECK_OWN on, in
 * the order of its promises.  S: at every moment.  L: within a bound.  Q: when
 * all is quiet.  J: what a client's journal says. */
enum check_id {
    CHECK_S1,  /* seq without holes, the chain holds, tags are the events' */
    CHECK_S2,  /* a cause is in its log, and has at most one event */
    CHECK_S7,  /* snapshots and armed timers are folds of the log */
    CHECK_S9,  /* only events that the rule tables declare follow a cause */
    CHECK_S10, /* cursors are in their publisher's log, causes below them */
    CHECK_Q2,  /* cursors at the heads, nothing parked, no timer overdue */
    CHECK_Q3,  /* read models = a fold of the logs from scratch */
    CHECK_J1,  /* no acknowledged command is lost */
    CHECK_J2,  /* no acknowledged command counts twice */
    CHECK_OWN,
    CHECK_IDS_MAX = 32
};

enum { CHECK_SLACK_MS = 5000, CHECK_TEXT_BYTES = 256, CHECK_COUNT_BYTES = 64 };

struct check_promise {
    const char *name; /* one of the letters above, and a number: "S3" */
    const char *text; /* what it promises, in a few words */
    /* A log that was restored from a backup may break it, since what that log
     * says contradicts another one then. */
    bool restored;
    /* Not looked at while service @service is down, for which reason; NULL: it
     * needs no service. */
    const char *down;
    unsigned service;
    /* What `saga check --explain` says of it; NULL: nothing. */
    const char *means;    /* the promise in full: a sentence */
    const char *accident; /* what happens without it */
    const char *look;  /* what to type behind "saga" when it is broken; the word
                          SAGA is shown as the domain calls one */
    const char *where; /* it is checked: "FILE: function(), function()", and
                          so on behind a semicolon */
};

/* Why something was skipped that only a domain can tell. */
#define CHECK_UNKNOWN "not without its domain"
/* Why a view was not compared: only its own release can fold it as it is. */
#define CHECK_FOREIGN "a view was made by another release"

struct check;
struct checked_log;
struct checked_saga;
struct sqlite3_stmt;

/* Q3: the fold of a service's view against the facts. */
struct check_view {
    const char *query; /* its essential columns; NULL: it is not looked at */
    /* Its rows are about sagas: each is shown once for each part of them.  Rows
     * of another view are shown once, when all sums are known. */
    bool of_sagas;
    /* Whether a row is what the facts say, and how many there should be. */
    bool (*agrees)(struct check *check, struct sqlite3_stmt *row);
    uint64_t (*rows)(const struct check *check);
};

/* What the events of a domain must add up to.  The checker calls these as it
 * reads; they report with check_broken (check_parts.h) and keep what they know
 * in check->facts and saga->facts.  What is NULL is left out. */
struct check_invariants {
    const struct check_promise *promises; /* of CHECK_OWN and so on */
    size_t promise_count;
    const char *saga;               /* what the domain calls one: "order" */
    unsigned cross;                 /* broken by an event that answers one of a
                                            different saga: CHECK_S2, or its own */
    const struct check_view *views; /* by number of the service; or NULL */
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
    /* A timer of saga @id that has not fired, though @log's service runs and
     * its time was up @late_ms ago, which is more than CHECK_SLACK_MS. */
    void (*late)(struct check *check, const struct checked_log *log,
                 const char *id, int64_t late_ms);
    /* The sagas of this part are read: counts them in summary->sagas and
     * ->unended, and says when final which have not ended. */
    void (*end)(struct check *check);
    /* All is read: what was looked at for its own @id, "4 charges". */
    void (*count)(struct check *check, unsigned id,
                  char text[CHECK_COUNT_BYTES]);
    /* Frees what is known of the sagas of this part. */
    void (*forget)(struct check *check);
    void (*free)(struct check *check);
};

/* What @id promises, and its name: one of ours, or of @invariants, which may be
 * NULL.  @id must be one of those that check_ids() lists. */
const struct check_promise *
check_promise(const struct check_invariants *invariants, unsigned id);
const char *check_name(const struct check_invariants *invariants, unsigned id);

/* All of them, in the order in which people read them: by letter, S, L, Q, J,
 * and number.  Returns how many. */
size_t check_ids(const struct check_invariants *invariants,
                 unsigned ids[CHECK_IDS_MAX]);

struct check_options {
    const struct check_invariants *invariants; /* of the domain, or NULL: then
                            nobody knows what it promises */
    const char *directory; /* of <service>/log.db and <service>/view.db */
    const char *vfs;       /* NULL = the operating system's */
    /* At most SERVICES_MAX.  One without a domain is known from its
     * description: its payloads, and so its tags and snapshots, are not looked
     * at. */
    const struct service *const *services;
    size_t service_count;
    const struct domain *names;      /* numbers the messages of those */
    const struct view *const *views; /* the same; NULL: Q3 is skipped */
    bool final;                      /* all is quiet: those of Q too */
    bool runs[SERVICES_MAX]; /* it is alive, so its timers have to fire */
    int64_t now_ms;          /* on the clock of the timer rows: Unix time */
    const char *journal;     /* a file, or NULL.  One line for each command that
                                was answered "done", written after the answer:
            {"command":ID,"type":NAME,"service":NAME,"log":HEX,"seq":N}
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

/* One violation.  @subject is the id of a saga, a tag ("parcel:7"), a
 * service, a view or a command id; @text is a sentence without its full stop.
 * @wait is NULL, or what has to be done for the violation to go away: Q1 to Q3
 * while work is under way.  All borrowed. */
typedef void check_report_fn(void *ctx, unsigned id, const char *subject,
                             const char *text, const struct check_wait *wait);

/* What was looked at. */
struct check_summary {
    uint64_t broken[CHECK_IDS_MAX];     /* violations, by invariant */
    const char *skipped[CHECK_IDS_MAX]; /* why it was not looked at, or NULL */
    uint64_t heads[SERVICES_MAX];       /* events judged, by log */
    uint64_t causes, snapshots, timers, cursors, views, acknowledged;
    uint64_t sagas, unended; /* as the domain counts them */
    char counts[CHECK_IDS_MAX][CHECK_COUNT_BYTES]; /* the domain's own */
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
