/* sim.h - the whole system in one process: three services with their read
 * sides on a simulated clock, network and disk, and their clients.
 *
 * A run takes all its chances from one choice stream (choice.h): the same
 * bytes make the same run, whatever the compiler, the address or the day.  It
 * has a time of chaos, a time in which everything heals, and an end, at which
 * the checker of `saga check --final` judges the three logs and views, with
 * the journal of what the clients were promised.  Some invariants are checked
 * after every step.
 *
 * The code under test is the object files of the services; only fault.c and
 * logger.c have another body here (seams.c).  Files:
 *     sim.c       a run: nodes, steps, the order of events, the end
 *     simbus.c    what is between the nodes
 *     clients.c   who sends commands, and what answers must be
 *     chaos.c     what is done to all of them
 *     main.c      the program; shrink.c makes failing runs small
 * This header is theirs and main's; nothing outside this directory knows it. */
#ifndef SIM_H
#define SIM_H

#include "audit/check.h"
#include "base/env.h"
#include "choice.h"
#include "read/projection.h"
#include "shop/shop.h"
#include "write/shell.h"

enum {
    SIDES = 2, /* of a node: */
    WRITE_SIDE = 0,
    READ_SIDE = 1,
    SIM_LINKS = 6, /* of a side, at most */
    JOBS_MAX = 2048
};

/* ---- what a run comes to ------------------------------------------------ */

/* Rare things that must happen sometimes: when one never does in a long time,
 * the simulation has lost its bite.  Names are in sim.c. */
enum sometimes {
    GAP_FOUND,
    DUPLICATE_DROPPED,
    STALE_REPLY_DROPPED,
    DAMAGED_FRAME_DROPPED,
    GARBAGE_DROPPED,
    FRAME_LOST_BY_QUEUE,
    HELD_MESSAGES_RELEASED,
    DEAF_LISTENER_HEALED,
    DEAD_DIALER_HEALED,
    HALF_OPEN_HEALED,
    DIVERGENCE_BY_NOISE_HEALED,
    KILLED_IN_A_STEP,
    KILLED_BEFORE_COMMIT,
    KILLED_BETWEEN_COMMIT_AND_PUBLISH,
    KILLED_WHILE_OPENING,
    KILLED_IN_A_CHECKPOINT,
    KILLED_IN_A_VIEW,
    ALL_KILLED_AT_ONCE,
    POWER_CUT_LOST_SECTORS,
    RESTART_WITH_A_HOT_WAL,
    SYNC_FAILED,
    COMMIT_FAILED_YET_THERE,
    READ_FAILED,
    WRITE_FAILED,
    SHORT_READ,
    DISK_FULL_AND_ON,
    DATABASE_LOCKED_AND_ON,
    OLD_SNAPSHOT_AT_START,
    VIEW_BUILT_ANEW,
    VIEW_REBUILT,
    CLOCK_WENT_BACK,
    CLOCKS_DAYS_APART,
    CUT_BOTH_WAYS,
    CUT_ONE_WAY,
    LONG_PAUSE,
    TIMERS_HELD,
    COMMAND_RESENT,
    CONFLICT_REFUSED,
    CANCEL_TOO_LATE,
    ORDER_EXPIRED,
    STOCK_REJECTED_SEEN,
    PAYMENT_DECLINED_SEEN,
    REFUND_SEEN,
    VOID_SEEN,
    RELEASE_WITHOUT_RESERVATION,
    SNAPSHOT_WRITTEN,
    BACKUP_RESTORED,
    BEHIND_ITS_READERS,
    FORK_REFUSED,
    ENDED_WITHOUT_THE_OTHERS,
    READ_YOUR_WRITE,
    SOMETIMES
};
extern const char *const sometimes_names[SOMETIMES];

struct sim_result {
    char broken[16]; /* the id of what was violated; "": nothing */
    char what[320];
    uint64_t hash; /* of everything that happened, in order */
    uint64_t steps, events, orders, ended_ms, power_cuts, crashes;
    uint32_t sometimes[SOMETIMES];
};

struct sim_options {
    const char *directory; /* an empty one, for links and the journal */
    bool trace;            /* a line for each thing that happens, on stdout */
};

/* One run.  Never fails to run: what goes wrong is in @result. */
void sim_run(struct choice *choice, const struct sim_options *options,
             struct sim_result *result);

/* ---- the inside --------------------------------------------------------- */

/* What chance has decided about this run as a whole. */
struct sim_config {
    unsigned orders, customers, skus, lines, hot; /* hot: of 256, sku 0 */
    unsigned poor, scarce; /* of 256: a customer's, a sku's chance */
    unsigned cancels, repeats, conflicts, queries; /* of 256 */
    uint32_t deadline_ms;
    unsigned spread_ms; /* between two jobs, at most */
    unsigned latency_ms, step_ms, queue;
    unsigned noise; /* of 256 messages */
    unsigned noises[8], noise_count;
    unsigned faults; /* how many things go wrong */
    unsigned fault_gap_ms;
    unsigned kinds[32], kind_count;
    unsigned down; /* 0, or a node that never comes back when all else heals */
    unsigned checks; /* of 256 crashes are followed by a check */
};

/* What a message is, for partitions. */
enum { FRAMES, PULLS, REPLIES };

/* Something that will happen. */
enum item_kind {
    AN_INPUT,
    AN_ANSWER,
    A_JOB,
    A_FAULT,
    A_START,
    AN_END,
    A_WATCH
};
struct item {
    struct item *next; /* in an inbox */
    uint64_t at_ms, order;
    enum item_kind kind;
    unsigned node, side;  /* AN_INPUT, AN_END, A_START */
    uint64_t life;        /* of the node it is meant for; 0: any */
    uint64_t number;      /* of the job, the fault, the request */
    struct wire *through; /* whose queue it is in */
    enum input_kind input;
    uint64_t from;
    size_t count;
    uint8_t bytes[];
};

/* One half of a link: frames, or pulls. */
struct wire {
    bool exists, up;
    bool dead;      /* the dialer never dials again */
    bool half_open; /* nobody is there any more, but nobody said so */
    uint64_t life;  /* of the publisher it is connected to */
    uint64_t heard_ms, dialled_ms, asked_ms;
    uint64_t last_ms; /* when its last message arrives */
    unsigned queued;
};

/* From a side of a node to a publisher. */
struct link {
    unsigned publisher;
    struct wire sub, req;
};

struct side_ctx {
    struct sim *sim;
    unsigned node, side;
};

struct node {
    unsigned number;
    const struct service *service;
    const struct view *view;
    bool running;
    uint64_t life;
    uint64_t paused_until_ms; /* stopped, with everything in place */
    uint64_t boot_ms;         /* where its monotonic clock begins */
    int64_t skew_ms;          /* of its wall clock */
    unsigned power;           /* its death to come is a power cut */
    bool deaf[2];             /* its listeners hear no new peer: pub, rep */
    uint64_t deaf_ms[2], watched_ms;
    char log_path[256], directory[256];

    struct side_ctx ctx[SIDES];
    struct env env[SIDES];
    struct shell *shell;
    struct projection_config config;
    struct projection *reader;
    struct link links[SIDES][SIM_LINKS];
    size_t link_count[SIDES];
    struct item *inbox[SIDES];
    uint64_t busy_ms[SIDES];
    unsigned spins;      /* steps without anything to do, at one instant */
    uint64_t hits[5];    /* faults of the disk that are accounted for */
    uint64_t doubted;    /* the head of a batch whose commit failed */
    uint64_t generation; /* of its view */
    const char *point;   /* dies there, at the point_after-th pass */
    unsigned point_after;
    const char *died_at;         /* the point at which it did */
    struct sqlite3 *other;       /* a program of somebody else's */
    bool opened;                 /* once, at least */
    bool excused;                /* damage was done: it may leave for it */
    enum shell_mode mode_before; /* as of its last step */
    uint64_t slow_until_ms;

    uint64_t head; /* of this life */
    uint64_t started_ms, started_head;
    uint64_t ahead[SERVICES];    /* 0, or the life of a reader that had consumed
                                    more of this log, as it was started, and had
                                    saved its cursor */
    uint64_t witnessed;          /* the highest seq that left the process, */
    uint8_t witness[HASH_BYTES]; /* and its hash */
};

/* A request under way. */
struct request {
    unsigned node, side;
    uint64_t life;
    bool open;
    bool pull; /* of: */
    unsigned reader_node, reader_side;
    uint64_t link, reader_life;
    uint64_t job; /* otherwise */
};

enum job_kind { JOB_COMMAND, JOB_CONFLICT, JOB_QUERY, JOB_REBUILD };

/* What a client wants. */
struct job {
    enum job_kind kind;
    unsigned node;
    struct command command; /* a query: its order */
    bool acknowledged, over;
    struct position at;
    unsigned tries, repeats;
    uint64_t placed_ms, placed_life; /* when its event was published */
    uint64_t sent_ms;
    uint64_t request; /* the last one */
    size_t of;        /* the job that this one is about */
};

struct sim {
    struct choice *choice;
    const struct sim_options *options;
    struct sim_result *result;
    struct sim_config config;
    uint64_t now_ms, order, random;
    bool healing;
    bool restored; /* a backup was: promises are broken, and must be seen to be
                    */
    struct node nodes[SERVICES];
    uint64_t blocked_ms[SERVICES][SERVICES][3]; /* until then: frames, pulls,
                                                   replies, from and to */
    bool held[SERVICES][SERVICES][3];           /* kept, rather than lost */

    struct item **heap;
    size_t heap_count, heap_room;
    struct request *requests;
    size_t request_count, request_room;
    struct job jobs[JOBS_MAX];
    size_t job_count;
    char *journal;
    size_t journal_bytes, journal_room;
    char finals[JOBS_MAX]; /* the end that a client was shown: C, X or 0 */
    uint64_t last_job_ms;
};

/* sim.c */
void sim_broken(struct sim *sim, const char *id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool sim_stopped(const struct sim *sim);
void sim_trace(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_mix(struct sim *sim, const void *bytes, size_t count);
static inline void sim_sometimes(struct sim *sim, enum sometimes what)
{
    sim->result->sometimes[what]++;
}
/* An item with room for @count bytes, not yet in the heap. */
struct item *sim_item(struct sim *sim, enum item_kind kind, uint64_t in_ms,
                      size_t count);
void sim_push(struct sim *sim, struct item *item);
/* The process of @node is gone, at once. */
void sim_die(struct sim *sim, unsigned node, uint64_t back_in_ms);
void sim_leave(struct sim *sim, unsigned node, uint64_t back_in_ms);
/* Safety, on the files as they are now. */
void sim_check(struct sim *sim, bool final);

/* simbus.c */
void simbus_open_node(struct sim *sim, unsigned node);
void simbus_close_node(struct sim *sim, unsigned node, bool half_open);
void simbus_watch(struct sim *sim, unsigned node);
void simbus_send(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count);

/* A request to a node; returns its token. */
size_t simbus_command(struct sim *sim, unsigned node, unsigned side,
                      uint64_t job, const void *bytes, size_t count);

/* The same request arrived once more: another token for it. */
size_t simbus_again(struct sim *sim, size_t token);

/* clients.c */
void clients_open(struct sim *sim);
void clients_run(struct sim *sim, size_t job);
void clients_answer(struct sim *sim, size_t request, const void *bytes,
                    size_t count);
void clients_rebuild(struct sim *sim, unsigned node);
bool clients_done(const struct sim *sim);

/* Events of order-svc were published: no order expires before its time. */
void clients_watch(struct sim *sim, const struct frame *frame);

/* chaos.c */
void chaos_open(struct sim *sim);
void chaos_strike(struct sim *sim);
void chaos_end(struct sim *sim, const struct item *item);
/* Nothing goes wrong any more; but a node may stay away for ever. */
void chaos_heal(struct sim *sim);

/* seams.c */
void seams_act(struct sim *sim, int node);

#endif
