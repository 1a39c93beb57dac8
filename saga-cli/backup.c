/* backup.c - `saga backup DIR`: consistent copies of the logs.
 *
 * Several files cannot be read at one instant, and a copy whose cursor is
 * beyond its publisher's head would be a service that has heard events that
 * nobody published.  So backup first freezes all (a read transaction each),
 * then checks that the cut is consistent: no cursor is beyond a head.  A
 * service that was frozen later may have consumed an event written after the
 * first was frozen; then all are thawed and frozen again, which takes
 * microseconds where a commit takes an fsync.  The copies are made from the
 * frozen transactions.  Each log stays frozen until it is copied: SQLite begins
 * a copy anew when its source changes, so it cannot be made in slices.  A
 * service goes on meanwhile, and starts; only its WAL grows.
 *
 * losses.jsonl, which `saga acknowledge` writes, goes with them.
 */
#include "log/store.h"
#include "saga-cli/saga.h"
#include "saga-cli/verbs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TRIES_MAX = 200, TRY_AGAIN_NS = 5000000 };

struct backup {
    struct saga *saga;
    char target[PATH_MAX]; /* absolute */
    char parent[PATH_MAX];
    char partial[PATH_MAX + 24]; /* what is renamed in the end */
    bool inside;                 /* of target, which was there before */
    bool losses;                 /* losses.jsonl is one of the copies */
    struct store *logs[SERVICES_MAX];
    uint64_t heads[SERVICES_MAX];
    char misfit[256]; /* why the last cut was none */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* ---- the cut ------------------------------------------------------------ */

static int open_logs(struct backup *backup)
{
    int code = SAGA_YES;

    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++)
        backup->logs[i] = saga_open_log(backup->saga, saga_service(i), &code);
    return code;
}

static void thaw(struct backup *backup)
{
    for (unsigned i = 0; i < saga_services(); i++)
        store_snapshot_end(backup->logs[i]);
}

static enum evt_status freeze(struct backup *backup)
{
    uint8_t hash[HASH_BYTES];
    enum evt_status rc = EVT_OK;

    for (unsigned i = 0; i < saga_services() && rc == EVT_OK; i++)
        rc = store_snapshot_begin(backup->logs[i]);
    for (unsigned i = 0; i < saga_services() && rc == EVT_OK; i++)
        rc = store_head(backup->logs[i], &backup->heads[i], hash);
    return rc;
}

/* Whether what @reader has consumed of @publisher is in the frozen log. */
static enum evt_status fits(struct backup *backup, unsigned reader,
                            unsigned publisher, bool *fit)
{
    struct store *log = backup->logs[publisher];
    uint8_t hash[HASH_BYTES];
    struct cursor cursor;
    enum evt_status rc =
        store_cursor(backup->logs[reader], saga_service(publisher), &cursor);
    const char *problem = NULL;

    if (rc == EVT_NONE)
        return EVT_OK; /* nothing consumed yet */
    if (rc != EVT_OK)
        return rc;
    if (memcmp(cursor.at.log_id, store_log_id(log), LOG_ID_BYTES) != 0) {
        problem = "a different log";
    } else {
        rc = store_hash_at(log, cursor.at.seq, hash);
        if (rc == EVT_NONE)
            problem = "beyond the end of the log";
        else if (rc != EVT_OK)
            return rc;
        else if (memcmp(hash, cursor.hash, HASH_BYTES) != 0)
            problem = "a different event with this number";
    }
    *fit = *fit && problem == NULL;
    if (problem != NULL)
        snprintf(backup->misfit, sizeof backup->misfit,
                 "%s has consumed %s up to #%llu: %s", saga_service(reader),
                 saga_service(publisher), (unsigned long long)cursor.at.seq,
                 problem);
    return EVT_OK;
}

static enum evt_status all_fit(struct backup *backup, bool *fit)
{
    enum evt_status rc = EVT_OK;

    *fit = true;
    for (unsigned reader = 0; reader < saga_services(); reader++)
        for (unsigned publisher = 0;
             publisher < saga_services() && rc == EVT_OK; publisher++)
            if (publisher != reader)
                rc = fits(backup, reader, publisher, fit);
    return rc;
}

static int cannot_read(struct backup *backup, enum evt_status rc)
{
    for (unsigned i = 0; i < saga_services(); i++)
        if (store_error(backup->logs[i])[0] != '\0')
            return saga_fail(backup->saga,
                             rc == EVT_BUSY ? SAGA_TRY_AGAIN : SAGA_IO, "%s",
                             store_error(backup->logs[i]));
    return saga_fail(backup->saga, SAGA_IO, "the logs cannot be read");
}

static int cut(struct backup *backup)
{
    struct timespec pause = {.tv_nsec = TRY_AGAIN_NS};

    for (int tries = 0; tries < TRIES_MAX && !interrupted; tries++) {
        bool fit = false;
        enum evt_status rc = freeze(backup);

        if (rc == EVT_OK)
            rc = all_fit(backup, &fit);
        if (rc != EVT_OK)
            return cannot_read(backup, rc);
        if (fit)
            return SAGA_YES;
        thaw(backup);
        nanosleep(&pause, NULL);
    }
    if (interrupted)
        return saga_fail(backup->saga, SAGA_TRY_AGAIN, "interrupted");
    return saga_fail(backup->saga, SAGA_NO,
                     "the logs are inconsistent: %s ('./saga status' and "
                     "'./saga check' show more)",
                     backup->misfit);
}

/* ---- copying ------------------------------------------------------------ */

static int failed(const struct backup *backup, const char *path)
{
    return saga_fail(backup->saga, SAGA_IO, "%s: %s", path, strerror(errno));
}

static int sync_path(const struct backup *backup, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return synced ? SAGA_YES : failed(backup, path);
}

static bool is_interrupted(void)
{
    return interrupted != 0;
}

/* What the service says about itself goes with its log.  A copy without it can
 * be started all the same: the service writes it anew. */
static int copy_description(struct backup *backup, unsigned i,
                            const char *directory)
{
    char path[PATH_MAX + 64];
    char *text = saga_description_of(backup->saga, backup->logs[i]);
    FILE *file;
    bool written;

    if (text == NULL)
        return SAGA_YES;
    snprintf(path, sizeof path, "%s/service.json", directory);
    file = fopen(path, "wxe");
    written = file != NULL && fputs(text, file) >= 0;
    free(text);
    if (file != NULL && fclose(file) != 0)
        written = false;
    return written ? sync_path(backup, path) : failed(backup, path);
}

/* What was given up is on record nowhere else.  Sets @there. */
static int copy_losses(const struct backup *backup, bool *there)
{
    char path[PATH_MAX + 64], line[4096];
    FILE *from, *to;
    bool copied;

    *there = false;
    snprintf(path, sizeof path, "%s/losses.jsonl", backup->saga->directory);
    from = fopen(path, "re");
    if (from == NULL)
        return errno == ENOENT ? SAGA_YES : failed(backup, path);
    snprintf(path, sizeof path, "%s/losses.jsonl", backup->partial);
    to = fopen(path, "wxe");
    copied = to != NULL;
    for (size_t n; copied && (n = fread(line, 1, sizeof line, from)) > 0;)
        copied = fwrite(line, 1, n, to) == n;
    copied = copied && ferror(from) == 0;
    fclose(from);
    if (to != NULL && fclose(to) != 0)
        copied = false;
    *there = copied;
    return copied ? sync_path(backup, path) : failed(backup, path);
}

static int copy_log(struct backup *backup, unsigned i)
{
    char directory[PATH_MAX + 32], path[PATH_MAX + 64], why[STORE_WHY_BYTES];
    int code = SAGA_YES;

    snprintf(directory, sizeof directory, "%s/%s", backup->partial,
             saga_service(i));
    snprintf(path, sizeof path, "%s/log.db", directory);
    if (mkdir(directory, 0700) != 0)
        return failed(backup, directory);
    if (store_copy(backup->logs[i], path, is_interrupted, why) != EVT_OK)
        code = interrupted
                   ? saga_fail(backup->saga, SAGA_TRY_AGAIN, "interrupted")
                   : saga_fail(backup->saga, SAGA_IO, "%s", why);
    store_snapshot_end(backup->logs[i]); /* lets its log be tidied again */
    if (code == SAGA_YES)
        code = sync_path(backup, path);
    if (code == SAGA_YES)
        code = copy_description(backup, i, directory);
    return code == SAGA_YES ? sync_path(backup, directory) : code;
}

/* ---- the directory ------------------------------------------------------ */

/* Where DIR is, or is to be, whatever the way it was written. */
static int find_target(struct backup *backup, const char *given)
{
    char first[PATH_MAX], second[PATH_MAX];
    char *parent = realpath(given, backup->target), *name;
    size_t used;

    if (parent != NULL) {
        snprintf(first, sizeof first, "%s", backup->target);
        snprintf(backup->parent, sizeof backup->parent, "%s", dirname(first));
        return SAGA_YES;
    }
    if (errno != ENOENT || strlen(given) >= PATH_MAX)
        return saga_fail(backup->saga, SAGA_USAGE, "%s: %s", given,
                         strerror(errno));
    snprintf(first, sizeof first, "%s", given); /* both functions cut it up */
    snprintf(second, sizeof second, "%s", given);
    name = basename(second);
    parent = dirname(first);
    if (realpath(parent, backup->parent) == NULL)
        return saga_fail(backup->saga, SAGA_NO_SUCH, "%s: %s", parent,
                         strerror(errno));
    used = strlen(backup->parent);
    if (used + strlen(name) + 2 > PATH_MAX)
        return saga_fail(backup->saga, SAGA_USAGE, "%s: too long", given);
    snprintf(backup->target, sizeof backup->target, "%s", backup->parent);
    snprintf(backup->target + used, PATH_MAX - used, "/%s", name);
    return SAGA_YES;
}

/* DIR has to be new, or empty.  What mkfs has left at a mount point is not
 * counted. */
static int insist_on_empty(struct backup *backup)
{
    DIR *directory = opendir(backup->target);
    const struct dirent *entry;
    bool empty = true;

    if (directory == NULL)
        return errno == ENOENT ? SAGA_YES
                               : saga_fail(backup->saga, SAGA_USAGE, "%s: %s",
                                           backup->target, strerror(errno));
    while ((entry = readdir(directory)) != NULL)
        empty = empty && (strcmp(entry->d_name, ".") == 0 ||
                          strcmp(entry->d_name, "..") == 0 ||
                          strcmp(entry->d_name, "lost+found") == 0);
    closedir(directory);
    backup->inside = true;
    if (empty)
        return SAGA_YES;
    return saga_fail(backup->saga, SAGA_USAGE,
                     "%s is not empty: a backup needs an empty directory",
                     backup->target);
}

/* A new DIR takes its name with one rename.  One that is there may be a mount
 * point, or in a directory that is not ours: it stays, and the logs move. */
static int make_partial(struct backup *backup)
{
    snprintf(backup->partial, sizeof backup->partial,
             backup->inside ? "%s/.partial.XXXXXX" : "%s.XXXXXX",
             backup->target);
    return mkdtemp(backup->partial) != NULL ? SAGA_YES
                                            : failed(backup, backup->partial);
}

/* Nothing half is left. */
static void remove_partial(const struct backup *backup)
{
    static const char *const files[] = {
        "log.db", "log.db-journal", "log.db-wal", "log.db-shm", "service.json"};
    char path[PATH_MAX + 64];

    for (unsigned i = 0; i < saga_services(); i++) {
        for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
            snprintf(path, sizeof path, "%s/%s/%s", backup->partial,
                     saga_service(i), files[f]);
            (void)unlink(path); /* most are not there */
        }
        snprintf(path, sizeof path, "%s/%s", backup->partial, saga_service(i));
        (void)rmdir(path);
    }
    snprintf(path, sizeof path, "%s/losses.jsonl", backup->partial);
    (void)unlink(path);
    (void)rmdir(backup->partial);
}

static int move_one(const struct backup *backup, const char *name)
{
    char from[PATH_MAX + 64], to[PATH_MAX + 32];

    snprintf(from, sizeof from, "%s/%s", backup->partial, name);
    snprintf(to, sizeof to, "%s/%s", backup->target, name);
    return rename(from, to) == 0 ? SAGA_YES : failed(backup, to);
}

/* The logs take their places in DIR; the first service's is the last. */
static int move_in(const struct backup *backup)
{
    int code = backup->losses ? move_one(backup, "losses.jsonl") : SAGA_YES;

    for (unsigned i = saga_services(); i-- > 0 && code == SAGA_YES;)
        code = move_one(backup, saga_service(i));
    if (code == SAGA_YES && rmdir(backup->partial) != 0)
        code = failed(backup, backup->partial);
    return code == SAGA_YES ? sync_path(backup, backup->target) : code;
}

/* Takes DIR's name, for good. */
static int publish(const struct backup *backup)
{
    int code = sync_path(backup, backup->partial);

    if (code == SAGA_YES && backup->inside)
        return move_in(backup);
    if (code == SAGA_YES && rename(backup->partial, backup->target) != 0)
        code = failed(backup, backup->target);
    return code == SAGA_YES ? sync_path(backup, backup->parent) : code;
}

static int copy_all(struct backup *backup)
{
    int code = make_partial(backup);

    if (code != SAGA_YES)
        return code;
    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++)
        code = copy_log(backup, i);
    if (code == SAGA_YES)
        code = copy_losses(backup, &backup->losses);
    if (code == SAGA_YES)
        code = publish(backup);
    if (code != SAGA_YES)
        remove_partial(backup);
    return code;
}

/* ---- the verb ----------------------------------------------------------- */

static void tell(const struct backup *backup)
{
    struct saga copy = *backup->saga;
    json_t *logs = json_object();
    char start[START_BYTES];

    for (unsigned i = 0; i < saga_services(); i++) {
        char log_id[2 * LOG_ID_BYTES + 1];

        if (!backup->saga->json)
            printf("  %-9s  %llu events\n", saga_service(i),
                   (unsigned long long)backup->heads[i]);
        json_object_set_new(logs, saga_service(i),
                            json_pack("{s:s,s:I}", "log",
                                      text_hex(store_log_id(backup->logs[i]),
                                               LOG_ID_BYTES, log_id),
                                      "head", (json_int_t)backup->heads[i]));
    }
    copy.directory = backup->target;
    if (backup->saga->json)
        saga_print_json(json_pack("{s:o,s:O}", "directory",
                                  saga_json_text(backup->target), "logs",
                                  logs));
    else
        printf("Copied into %s; the copies are consistent with each other.\n"
               "    start from it:  %s\n",
               backup->target, run_hint(&copy, "", start));
    json_decref(logs);
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = interrupt};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int run(struct saga *saga)
{
    static struct backup backup;
    int code = saga_parse(saga, NULL);

    if (code == SAGA_YES && saga->word_count == 0)
        code = saga_missing(saga, "DIR");
    if (code != SAGA_YES)
        return code;
    backup.saga = saga;
    umask(077);
    catch_interrupts();
    code = find_target(&backup, saga->words[0]);
    if (code == SAGA_YES)
        code = insist_on_empty(&backup);
    if (code == SAGA_YES)
        code = open_logs(&backup);
    if (code == SAGA_YES)
        code = cut(&backup);
    if (code == SAGA_YES)
        code = copy_all(&backup);
    if (code == SAGA_YES)
        tell(&backup);
    for (unsigned i = 0; i < saga_services(); i++)
        store_close(backup.logs[i]);
    return code;
}

const struct verb verb_backup = {
    .name = "backup",
    .group = OPERATION,
    .examples = "backup /tmp/copy",
    .summary = "copy the logs, consistent with each other",
    .args = "DIR",
    .words_max = 1,
    .notes = "DIR must be empty or new.  The services may be running or "
             "stopped.  To restore a log: stop its service, remove all *.db* "
             "beside it (a file that changes while a program has it open is "
             "corrupted), copy, start.  losses.jsonl is what `saga "
             "acknowledge` has recorded; keep it with the logs.\n"
             "While a log is copied, what is recorded stays in log.db-wal, "
             "which grows by it.",
    .run = run};
