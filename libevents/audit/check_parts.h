/* check_parts.h - what the files of the checker share; check.h is for users.
 */
#ifndef CHECK_PARTS_H
#define CHECK_PARTS_H

#include "audit/check.h"

#include <sqlite3.h>
#include <uthash.h>

/* What all three logs say of one order. */
struct order_facts {
    char id[ID_BYTES];
    /* the last event of each service: where the saga stands on its ladder */
    enum message_type step[SERVICES];
    bool placed;
    char customer[CUSTOMER_BYTES];
    int64_t total_cents, charged_cents;
    uint32_t line_count;
    struct line *lines;
    uint64_t armed_seq; /* the event that set its timer; 0 = none is armed */
    UT_hash_handle hh;
};

struct shelf_facts {
    char sku[SKU_BYTES];
    char tag[TAG_BYTES]; /* "sku:widget" */
    int64_t received, reserved, shipped;
    bool reported;
    UT_hash_handle hh;
};

struct account_facts {
    char customer[CUSTOMER_BYTES];
    char tag[TAG_BYTES]; /* "customer:alice" */
    int64_t deposited, charged, refunded;
    bool reported;
    UT_hash_handle hh;
};

/* What is remembered of every event, for those that name it as their cause. */
struct note {
    uint8_t type;       /* NO_MESSAGE: there is no such event */
    int8_t cause_from;  /* number of the service; or: */
    uint64_t cause_seq; /* in that service's log */
    uint64_t tags;      /* hashes of its tags, less those of its tag rows */
    struct order_facts *order; /* NULL: none */
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
    struct order_facts *orders;
    struct shelf_facts *shelves;
    struct account_facts *accounts;
    struct acknowledged *journal; /* see check_journal.c */
};

/* ---- check.c: helpers of all parts ----------------------------------------
 */

void check_broken(struct check *check, enum check_id id, const char *subject,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));

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

/* calloc that never returns NULL: a checker without memory has no verdict. */
void *check_alloc(size_t count, size_t bytes);

/* ---- check_log.c: one log by itself ---------------------------------------
 */

MUST_CHECK enum evt_status check_log(struct check *check,
                                     struct checked_log *log);
void check_log_free(struct checked_log *log);

/* check_causes.c: after all three logs were read. */
void check_causes(struct check *check);

/* ---- invariants.c: what the events mean -----------------------------------
 */

/* The facts of order @id, made when missing; NULL for "". */
struct order_facts *check_order(struct check *check, const char *id);
/* An event that is evidence: only what others may need of it. */
void check_shop_note(struct check *check, const struct event *event);
/* An event that is judged. */
void check_shop_event(struct check *check, const struct checked_log *log,
                      const struct event *event);
/* Whether a state that evolve folded says what the facts say. */
void check_shop_state(struct check *check, const struct checked_log *log,
                      const struct kind *kind, const char *key,
                      const void *state);
/* Q3: the essential columns of service @number's view, whether a row of them
 * is what the facts say, and how many rows there should be. */
const char *check_shop_query(unsigned number);
bool check_shop_agrees(struct check *check, unsigned number, sqlite3_stmt *row);
uint64_t check_shop_rows(const struct check *check, unsigned number);
/* Counts the orders; Q1 when final. */
void check_shop_end(struct check *check);
void check_shop_free(struct check *check);

/* ---- the others -----------------------------------------------------------
 */

/* Read before the logs are frozen: what was acknowledged then is in them. */
MUST_CHECK enum evt_status check_journal_read(struct check *check);
MUST_CHECK enum evt_status check_journal(struct check *check);
void check_journal_free(struct check *check);

MUST_CHECK enum evt_status check_views(struct check *check);

#endif
