/* processes.c - the processes of a data directory: `saga pids`, `saga signal`,
 * and how `saga shutdown --force` ends them.
 *
 * What runs is what holds a lock (host/holder.h): a service that of its
 * directory, the run.sh that watches over services that of the file "keeper".
 * Each is signalled through a pidfd, so a signal never reaches a stranger that
 * has got the number. */
#include "saga-cli/verbs.h"

#include "host/holder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define KEEPER "keeper"

enum {
    NAMES_MAX = 64,
    END_KINDLY_MS = 1000, /* then it is killed */
    END_KEEPER_MS = 2000, /* it stops services itself */
    END_KILLED_MS = 2000
};

/* ---- finding ------------------------------------------------------------- */

bool saga_is_paused(int pid)
{
    char path[64], line[256] = "";
    const char *state;
    FILE *stat;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    stat = pid > 0 ? fopen(path, "re") : NULL;
    if (stat == NULL)
        return false;
    if (fgets(line, sizeof line, stat) == NULL)
        line[0] = '\0';
    fclose(stat);
    state = strrchr(line, ')'); /* behind the name: see proc(5) */
    return state != NULL && state[1] == ' ' &&
           (state[2] == 'T' || state[2] == 't');
}

enum evt_status saga_holder(const struct saga *saga, const char *name,
                            struct holder *holder)
{
    enum evt_status rc = EVT_IO;
    int directory = open(saga->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (directory < 0)
        return errno == ENOENT || errno == ENOTDIR ? EVT_NONE : EVT_IO;
    rc = holder_find(directory, name, 0, holder);
    close(directory);
    return rc;
}

int saga_pid(const struct saga *saga, const char *service)
{
    struct holder holder;

    if (saga_holder(saga, service, &holder) != EVT_OK)
        return 0;
    close(holder.pidfd);
    return holder.pid;
}

/* Reports why a process was not found; returns the exit code. */
static int not_found(const struct saga *saga, const char *name,
                     enum evt_status rc)
{
    if (rc == EVT_NONE && strcmp(name, KEEPER) == 0)
        return saga_fail(saga, SAGA_NOT_RUNNING, "no run.sh watches over %s",
                         saga->directory);
    if (rc == EVT_NONE)
        return saga_not_running(saga, name);
    if (rc == EVT_BUSY)
        return saga_fail(saga, SAGA_TRY_AGAIN,
                         "%s runs, but its process cannot be seen from here: "
                         "it is another user's or in another PID namespace; "
                         "signal it from there",
                         name);
    return saga_fail(saga, SAGA_IO, "%s/%s: %s", saga->directory, name,
                     strerror(errno));
}

/* No name leads out of the data directory. */
static bool is_name(const char *name)
{
    return name[0] != '.' && text_is_id(name, SERVICE_BYTES);
}

static int selected(const struct dirent *entry)
{
    return is_name(entry->d_name) && strcmp(entry->d_name, KEEPER) != 0;
}

/* The names of all services that run, and, if @keeper, first of all its.
 * Returns how many; caller frees each. */
static unsigned running(const struct saga *saga, bool keeper,
                        char *names[NAMES_MAX])
{
    struct dirent **entries = NULL;
    int found = scandir(saga->directory, &entries, selected, alphasort);
    unsigned count = 0;

    if (keeper && saga_runs(saga, KEEPER))
        names[count++] = strdup(KEEPER);
    for (int i = 0; i < found; i++) {
        if (count < NAMES_MAX && saga_runs(saga, entries[i]->d_name))
            names[count++] = strdup(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return count;
}

static void free_names(char *names[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(names[i]);
}

/* ---- saga pids ----------------------------------------------------------- */

static int print_pid(struct saga *saga, const char *name)
{
    struct holder holder;
    enum evt_status rc = saga_holder(saga, name, &holder);

    if (rc != EVT_OK)
        return not_found(saga, name, rc);
    if (saga->json)
        saga_print_json(json_pack("{s:i}", name, holder.pid));
    else
        printf("%d\n", holder.pid);
    close(holder.pidfd);
    return SAGA_YES;
}

static void print_pids(struct saga *saga)
{
    char *names[NAMES_MAX];
    unsigned count = running(saga, true, names);
    json_t *all = json_object();

    for (unsigned i = 0; i < count; i++) {
        int pid = saga_pid(saga, names[i]);

        json_object_set_new(all, names[i],
                            pid > 0 ? json_integer(pid) : json_null());
        if (!saga->json && pid > 0)
            printf("%s %d\n", names[i], pid);
        else if (!saga->json)
            printf("%s -\n", names[i]);
    }
    if (saga->json)
        saga_print_json(json_incref(all));
    json_decref(all);
    free_names(names, count);
}

static int run_pids(struct saga *saga)
{
    int code = saga_parse(saga, NULL);

    if (code != SAGA_YES)
        return code;
    if (saga->word_count > 0 && !is_name(saga->words[0]))
        return saga_no_service(saga, saga->words[0]);
    if (saga->word_count > 0)
        return print_pid(saga, saga->words[0]);
    print_pids(saga);
    return SAGA_YES;
}

/* ---- saga signal --------------------------------------------------------- */

/* "TERM", "SIGTERM" or "15"; 0: no signal. */
static int signal_of(const char *word)
{
    const char *name = strncasecmp(word, "SIG", 3) == 0 ? word + 3 : word;
    int64_t number;

    if (text_parse_count(word, 1, 31, &number))
        return (int)number;
    for (int i = 1; i < 32; i++)
        if (sigabbrev_np(i) != NULL && strcasecmp(name, sigabbrev_np(i)) == 0)
            return i;
    return 0;
}

static int send_signal(struct saga *saga, const char *name, int number)
{
    struct holder holder;
    enum evt_status rc = saga_holder(saga, name, &holder);
    bool sent;

    if (rc != EVT_OK)
        return not_found(saga, name, rc);
    sent = pidfd_send_signal(holder.pidfd, number, NULL, 0) == 0;
    close(holder.pidfd);
    if (!sent && errno == ESRCH)
        return not_found(saga, name, EVT_NONE);
    if (!sent)
        return saga_fail(saga, SAGA_IO, "%s (pid %d): %s", name, holder.pid,
                         strerror(errno));
    if (saga->json)
        saga_print_json(json_pack("{s:s,s:i,s:s}", "service", name, "pid",
                                  holder.pid, "signal", sigabbrev_np(number)));
    else
        printf("sent SIG%s to %s (pid %d)\n", sigabbrev_np(number), name,
               holder.pid);
    return SAGA_YES;
}

static int run_signal(struct saga *saga)
{
    int code = saga_parse(saga, NULL), number;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count < 2)
        return saga_missing(saga, saga->word_count == 0 ? "SERVICE and SIGNAL"
                                                        : "SIGNAL");
    if (!is_name(saga->words[0]))
        return saga_no_service(saga, saga->words[0]);
    number = signal_of(saga->words[1]);
    if (number == 0)
        return saga_fail(saga, SAGA_USAGE,
                         "no signal %s: it is a name such as TERM, STOP, CONT "
                         "or KILL",
                         saga->words[1]);
    return send_signal(saga, saga->words[0], number);
}

/* ---- saga shutdown --force ----------------------------------------------- */

/* One that is being ended; pidfd -1: there is nothing to wait for. */
struct ending {
    const char *name;
    struct holder holder;
};

static int begin_to_end(struct saga *saga, struct ending *ending, json_t *done)
{
    enum evt_status rc = saga_holder(saga, ending->name, &ending->holder);

    if (rc == EVT_NONE) {
        json_object_set_new(done, ending->name, json_string("was down"));
        return SAGA_YES;
    }
    if (rc != EVT_OK) {
        struct saga telling = *saga;

        telling.json = false; /* one member of the answer */
        json_object_set_new(done, ending->name, json_string("not seen"));
        return not_found(&telling, ending->name, rc);
    }
    (void)pidfd_send_signal(ending->holder.pidfd, SIGTERM, NULL, 0);
    /* One that is stopped has to wake to hear of it. */
    (void)pidfd_send_signal(ending->holder.pidfd, SIGCONT, NULL, 0);
    return SAGA_YES;
}

/* Ends what has not ended by @deadline_ms: then it is killed. */
static int end_one(struct ending *ending, uint64_t deadline_ms, json_t *done)
{
    const struct holder *holder = &ending->holder;
    uint64_t now = saga_mono_ms();
    int left = now < deadline_ms ? (int)(deadline_ms - now) : 0;
    bool killed = !holder_ended(holder, left), ended = !killed;

    if (killed) {
        (void)pidfd_send_signal(holder->pidfd, SIGKILL, NULL, 0);
        ended = holder_ended(holder, END_KILLED_MS);
    }
    if (!ended)
        fprintf(stderr, "saga: %s (pid %d) does not end, not even killed\n",
                ending->name, holder->pid);
    else if (killed)
        fprintf(stderr,
                "saga: %s (pid %d) did not stop, so it was killed. Its log has "
                "every event that it acknowledged.\n",
                ending->name, holder->pid);
    json_object_set_new(done, ending->name,
                        json_string(!ended   ? "runs"
                                    : killed ? "killed"
                                             : "ended"));
    close(holder->pidfd);
    return ended ? SAGA_YES : SAGA_TRY_AGAIN;
}

static int end_names(struct saga *saga, char *const names[], unsigned count,
                     unsigned patience_ms, json_t *done)
{
    struct ending endings[NAMES_MAX];
    uint64_t deadline_ms = saga_mono_ms() + patience_ms;
    int code = SAGA_YES, one;

    for (unsigned i = 0; i < count; i++) {
        endings[i] = (struct ending){.name = names[i], .holder.pidfd = -1};
        one = begin_to_end(saga, &endings[i], done);
        code = one != SAGA_YES ? one : code;
    }
    for (unsigned i = 0; i < count; i++)
        if (endings[i].holder.pidfd >= 0) {
            one = end_one(&endings[i], deadline_ms, done);
            code = one != SAGA_YES ? one : code;
        }
    return code;
}

int saga_end_all(struct saga *saga, json_t *done)
{
    char keeper_name[] = KEEPER, *keeper[] = {keeper_name}, *names[NAMES_MAX];
    int code = SAGA_YES, rest;
    unsigned count;

    if (saga_runs(saga, KEEPER)) /* it would start again what is killed */
        code = end_names(saga, keeper, 1, END_KEEPER_MS, done);
    count = running(saga, false, names);
    rest = end_names(saga, names, count, END_KINDLY_MS, done);
    free_names(names, count);
    return rest != SAGA_YES ? rest : code;
}

int saga_end(struct saga *saga, json_t *done)
{
    for (unsigned i = 0; i < saga->word_count; i++)
        if (!is_name(saga->words[i]))
            return saga_no_service(saga, saga->words[i]);
    return end_names(saga, saga->words, saga->word_count, END_KINDLY_MS, done);
}

const struct verb verb_pids = {
    .name = "pids",
    .group = OPERATION,
    .examples = "pids",
    .summary = "list the processes that run in the data directory",
    .args = "[SERVICE]",
    .words_max = 1,
    .notes = "A process that cannot be seen from here is shown as '-'.  With "
             "SERVICE, its pid alone; exits 69 if it is down, 75 if it cannot "
             "be seen",
    .run = run_pids};

const struct verb verb_signal = {
    .name = "signal",
    .group = OPERATION,
    .examples = "signal SERVICE STOP",
    .summary = "send a signal to the process that runs as SERVICE",
    .args = "SERVICE SIGNAL",
    .words_max = 2,
    .notes = "SIGNAL is TERM, KILL, STOP, CONT, HUP (opens the log file "
             "again), ...\n"
             "exits 0 if it was sent, 69 if SERVICE is down, 75 if its process "
             "cannot be seen from here",
    .run = run_signal};
