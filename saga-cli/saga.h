/* saga.h - what the verbs of the `saga` command share.
 *
 * One file per verb or family of verbs, each with its table (verbs.h);
 * saga_main.c lists them.  Verbs ask services through client.h, or read their
 * files when they are down. */
#ifndef SAGA_H
#define SAGA_H

#include "core/lexicon.h"
#include "core/service.h"
#include "net/client.h"
#include "saga-cli/saga_main.h"

#include <stdio.h>

/* Exit codes, so that a script can tell "no" from "could not look". */
enum {
    SAGA_YES = 0,
    SAGA_NO = 1, /* the thing asked is false */
    SAGA_USAGE = 64,
    SAGA_BAD_DATA = 65,
    SAGA_NO_SUCH = 66,     /* no such saga, event, file */
    SAGA_NOT_RUNNING = 69, /* or a package is missing */
    SAGA_IO = 74,
    SAGA_TRY_AGAIN = 75
};

enum { WORDS_MAX = 16 };

struct saga {
    const struct verb *verb;
    int argc;
    char **argv;           /* the verb, then all other words; ends with NULL */
    const char *directory; /* $SAGA_DIR, --dir, or ./var */
    const char *bus;       /* $SAGA_BUS, --bus, or NULL: ipc */
    const char *read_side; /* --read-side: whose view to ask, or NULL */
    struct client *client;
    uint64_t deadline_ms; /* of the verb, by saga_mono_ms(); 0: none is set */
    bool json;            /* --json: one JSON value on stdout, errors too */
    bool colour;          /* a terminal, and no NO_COLOR */

    /* What saga_parse() fills. */
    void *options; /* the verb's own, for its parse function */
    char *words[WORDS_MAX];
    unsigned word_count;
};

/* Prints "saga: ..." on stderr (or {"error","code"} on stdout with --json)
 * and returns @code. */
int saga_fail(const struct saga *saga, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- the services of the data directory (services.c) ----------------------
 * Those that the program was built with come first, then the others by name. */

/* Looks which there are; true: there are more than at the last look. saga_parse
 * has called it. */
bool saga_find_services(const struct saga *saga);
/* How many there are, and the name of one.  Numbers stay as they are. */
unsigned saga_services(void);
const char *saga_service(unsigned number);
/* -1: no such service. */
int saga_service_number(const char *name);
/* The same, of those that the program was built with; of a program that was
 * built with none, all. */
unsigned saga_own_services(void);
/* Whether this program was built with it. */
bool saga_is_built_in(unsigned number);
/* What each does: the tables of all, for flow.h.  Those of others come from
 * their descriptions, and have no functions; they are empty where there is
 * none, and saga_undescribed says why. */
const struct service *const *saga_tables(struct saga *saga);
/* What this program was built with; NULL: nothing.  It reads and writes what
 * events and commands carry. */
const struct domain *saga_domain(void);
/* The messages of all services, by name: those of saga_domain(), and what the
 * others' descriptions name. */
struct lexicon *saga_lexicon(void);
const struct domain *saga_names(void); /* the same, as a domain */
/* NULL: it is known what it does. */
const char *saga_undescribed(unsigned number);
/* What the view of a service is called; its own name where nobody says. */
const char *saga_view(struct saga *saga, unsigned number);
/* The descriptions of all of which there is one, as describe_service() makes
 * them: a new array. */
json_t *saga_descriptions(struct saga *saga);
/* The description beside @log, for a copy of both; NULL if it is missing or
 * does not describe that log.  Caller frees. */
struct store;
char *saga_description_of(const struct saga *saga, const struct store *log);

/* Reports that the data directory has no services; returns @code. */
int saga_no_services(const struct saga *saga, int code);
/* Reports that there is no such service; returns SAGA_USAGE. */
int saga_no_service(const struct saga *saga, const char *name);
/* The service that the first word names; *only stays as it is without one. */
int saga_one_service(const struct saga *saga, int *only);

/* Whether a process holds the lock of the service's data directory. */
bool saga_runs(const struct saga *saga, const char *service);

/* The process that holds that lock, or the lock of another file or directory
 * of the data directory.  Results as holder_find's. */
struct holder;
MUST_CHECK enum evt_status saga_holder(const struct saga *saga,
                                       const char *name, struct holder *holder);

/* Whether somebody has stopped the process: SIGSTOP, Ctrl-Z, a debugger. */
bool saga_is_paused(int pid);

/* Its pid; 0: it does not run, or cannot be seen. */
int saga_pid(const struct saga *saga, const char *service);
/* Finds @wanted, which can be run, in the directory of this program or in one
 * above it, and writes its path, PATH_MAX bytes; false: nowhere. */
bool saga_find_above(const char *wanted, char *path);
/* The data directory that run.sh and saga take by themselves: var beside
 * run.sh, wherever we are. */
const char *saga_usual_directory(void);
/* Whether no run.sh is above this program, which is typed by its name then. */
bool hint_is_installed(void);
/* Hints are written with "./saga ", and told with what is to be typed here:
 * "SAGA_DIR=/tmp/x /opt/x/saga ", or "./saga " in the directory of run.sh
 * if the data directory is the usual one.  They are about what @saga looks at,
 * which is borrowed. */
void hint_about(const struct saga *saga);
/* Does so in @text; what no longer fits is cut. */
void hint_from_here(char *text, size_t size);
/* To standard output. */
void hint_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A new string, which says nothing of a data directory.  Caller frees. */
char *hint_example(const char *text);

/* What to type to have run.sh do @words ("restart NAME", or "") on the data
 * directory that is looked at: "SAGA_DIR=/tmp/x ./run.sh restart NAME", or
 * without the first word if it is the usual one.  Returns @text. */
enum { START_BYTES = 1024 };
const char *run_hint(const struct saga *saga, const char *words,
                     char text[START_BYTES]);
/* What to type to have a service that is down: './run.sh', or, while others
 * run on that directory, './run.sh restart SERVICE'.  Returns @text. */
const char *start_hint(const struct saga *saga, const char *service,
                       char text[START_BYTES]);

/* What to type to have the read side that was asked for.  Returns @text. */
const char *read_side_hint(const struct saga *saga, const char *service,
                           char text[START_BYTES]);

/* Ends processes by signals, the ones of saga->words or all: SIGTERM, and
 * SIGKILL for those that have not ended after a second.  @done takes what
 * became of each: "ended", "killed", "was down", "not seen" or "runs".  Returns
 * the exit code; what is not as asked was reported. */
int saga_end(struct saga *saga, json_t *done);
int saga_end_all(struct saga *saga, json_t *done);

/* Opens a service's log file for reading only; on error says why through
 * saga_fail, returns NULL and sets *code. */
struct store *saga_open_log(struct saga *saga, const char *service, int *code);

/* @timeout_ms, or what is left of the verb's time if that is less, but at least
 * a quarter of a second: also when time is up, who answers at once is heard. */
int saga_within(const struct saga *saga, int timeout_ms);

/* What became of commands that were sent. */
enum saga_sent {
    SENT_ANSWERED, /* each has an answer that is final */
    SENT_UNKNOWN,  /* no answer came: they may be recorded, now or later */
    SENT_BUSY,     /* the last answers say so: some are not recorded */
    SENT_NOTHING   /* nobody listened: nothing is recorded */
};

/* Sends commands until each is answered for good, which their ids make
 * harmless: busy and a full disk pass, and are sent again until the verb's
 * deadline.  Reports nothing.  With SENT_BUSY *answers are the last ones,
 * and *rc is EVT_BUSY if an earlier request had no answer at all; with
 * SENT_UNKNOWN and SENT_NOTHING *rc says why. */
enum { SAGA_PATIENCE_MS = 10000 }; /* of verbs that have no --timeout */
MUST_CHECK enum saga_sent saga_send(struct saga *saga, const char *service,
                                    const struct command commands[],
                                    size_t count, struct answer answers[],
                                    enum evt_status *rc);
/* Reports what saga_send() came to, unless that is SENT_ANSWERED, with what is
 * known of the effect; returns the exit code. */
int saga_not_sent(const struct saga *saga, const char *service,
                  enum saga_sent sent, enum evt_status rc,
                  const struct answer *answer);

/* ---- effects ------------------------------------------------------------ */

/* What a verb is about to change, or has changed: "o-7 may be recorded: to
 * repeat it safely, use --id o-7".  Told on stderr if the process is
 * interrupted from now on, or cannot write its answer; a closed pipe no longer
 * ends it.  At most 511 bytes; the last one counts. */
void saga_set_effect(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* The text that was set last; "" before the first. */
const char *saga_effect(void);

/* Writes out the answer; returns @code, or SAGA_IO when part of the answer was
 * not written, which is reported. */
int saga_finish(int code);

/* Has the descriptors 0, 1 and 2 open, so that no file or socket takes the
 * place of a stream that the caller has closed: what is written there fails. */
void saga_open_standard(void);

/* Asks @service's query socket, or, of what a view knows, the lone read side
 * that --read-side names.  What a view says has all that @service had recorded
 * when it was asked, so that who was answered finds what was done; a view that
 * is two seconds behind answers as it is. Results as client_ask's. */
MUST_CHECK enum evt_status saga_ask_view(struct saga *saga, const char *service,
                                         const json_t *request, int timeout_ms,
                                         json_t **reply);

/* Asks a service's qry socket; when it is down or does not answer within a
 * second, {"get":"log"} and {"get":"parked"} are answered from its file, and
 * *as_of (may be NULL) is set.  NULL: it was reported through saga_fail, *code
 * is the exit code. */
json_t *saga_ask(struct saga *saga, const char *service, const json_t *request,
                 bool *as_of, int *code);

/* {"get":"log"} or {"get":"parked"} of a service's file, whether it runs or
 * not.  NULL: it cannot be read, and nothing is reported. */
json_t *saga_ask_file(const struct saga *saga, const char *service,
                      const json_t *request);

/* A service that is asked to do something that may take long is asked first
 * whether it answers at all; if not, stderr says whom the verb waits for. */
void saga_tell_whom_we_wait_for(struct saga *saga, const char *service);

/* Asks any socket, never a file; again, for SAGA_PATIENCE_MS, while the answer
 * says that its error passes ("again"), as that of a service which has just
 * started does. */
json_t *saga_ask_on(struct saga *saga, const char *service, const char *socket,
                    const json_t *request, int timeout_ms, int *code);

/* All events of a log after @after up to @upto (UINT64_MAX: the end), of one
 * stream if @tag is not NULL, page by page: a new array of event objects as
 * json_from_row makes them.  *cursors (may be NULL) becomes a new reference to
 * the service's own cursors, *head its head, *as_of true if a file was read.
 * NULL: reported, *code is the exit code. */
json_t *saga_log_events(struct saga *saga, const char *service, const char *tag,
                        uint64_t after, uint64_t upto, json_t **cursors,
                        uint64_t *head, bool *as_of, int *code);

/* Reports why a service did not answer; returns the exit code. */
int saga_not_running(const struct saga *saga, const char *service);
int saga_no_answer(const struct saga *saga, const char *service,
                   enum evt_status rc);
/* The same for what is asked of a read side: with --read-side, of that one. */
int saga_no_view(const struct saga *saga, const char *service,
                 enum evt_status rc);
/* Whether run.sh has given @service up; *what then says so, and what starts it
 * again. */
bool saga_given_up(const struct saga *saga, const char *service, char *what,
                   size_t size);

/* What happened to saga @id, as text or JSON, or as a diagram; what it waits
 * for.  What went wrong was reported; returns the exit code. */
int trace_print(struct saga *saga, const char *id, bool mermaid);
int why_print(struct saga *saga, const char *id);

/* A new string of any bytes, as text_plain shows them: json_pack's "s" makes
 * nothing at all of text that is not UTF-8. */
json_t *saga_json_text(const char *text);

/* A copy of an event, as json_from_row makes it, in which every member is there
 * whatever the event is: null where it says nothing. */
json_t *saga_event_json(const json_t *event);

/* Prints one JSON value on a line, and releases it. */
void saga_print_json(json_t *json);

/* What @event says, in a few words of its domain; "" when its type says it
 * all, or is unknown.  Cut to @size bytes; returns @text. */
char *saga_describe(const struct event *event, char *text, size_t size);
/* What is worth saying beside it in its lane; "" for most. */
char *saga_note(const struct event *event, char *text, size_t size);

/* How many columns of a terminal @text takes, for padding. */
int saga_columns(const char *text);

/* Milliseconds on a clock that only goes forward. */
uint64_t saga_mono_ms(void);

/* Whether every cursor and every view is saved at the head of the log that it
 * reads, by two looks with the same heads; if not, @what says which is not.  No
 * service is asked any more after @deadline_ms, by saga_mono_ms(). */
bool saga_is_quiet(struct saga *saga, int64_t deadline_ms, char *what,
                   size_t size);

/* A member's text ("" when there is none) or whole number (0). */
const char *json_text(const json_t *object, const char *name);
int64_t json_number(const json_t *object, const char *name);

/* How many letters, or pairs of neighbours that changed places, make one word
 * the other (Damerau and Levenshtein); 64 for long ones. */
size_t saga_distance(const char *a, const char *b);
/* Whether @other may be meant by @word - it differs in fewer letters than
 * *least, and in at most a third of them; then *least becomes how many. */
bool saga_is_closer(const char *word, const char *other, size_t *least);

#endif
