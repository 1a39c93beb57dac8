/* check_journal.c - what a client was told against what the logs hold (J1,
 * J2).
 *
 * An answer "done" is a promise: the event is on the disk, and the command
 * will never have another one.  The journal is read before the logs are
 * frozen, so that everything it names must be in them. */
#include "audit/check_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOURNAL_LINE_BYTES = 1024 };

struct acknowledged {
    struct acknowledged_key {
        unsigned service;
        char command[ID_BYTES];
    } id;
    bool may_do_nothing; /* a cancellation: then its answer names the head, and
                            no event is its own */
    struct position at;
    UT_hash_handle hh;
};

static const char *text_in(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    return text != NULL ? text : "";
}

/* One line into @entry; false when it is not what check.h says. */
static bool parse(struct check *check, const json_t *line,
                  struct acknowledged *entry)
{
    const char *command = text_in(line, "command"), *log = text_in(line, "log");
    const struct message *message = NULL;
    const json_t *seq = json_object_get(line, "seq");
    int service = check_service(check, text_in(line, "service"));

    if (service >= 0)
        message =
            domain_message_named(check->options->services[service]->domain,
                                 text_in(line, "type"), 1, NULL);
    if (message == NULL || !message->is_command ||
        !text_is_id(command, ID_BYTES) || !json_is_integer(seq) ||
        json_integer_value(seq) < 0 || strlen(log) != 2 * LOG_ID_BYTES ||
        !text_parse_hex(log, entry->at.log_id, LOG_ID_BYTES))
        return false;
    entry->id.service = (unsigned)service;
    text_copy(entry->id.command, ID_BYTES, command);
    entry->may_do_nothing = message->saga == OF_SAGA;
    entry->at.seq = (uint64_t)json_integer_value(seq);
    return true;
}

/* J2, the half that the journal shows: one command, one answer. */
static void remember(struct check *check, const struct acknowledged *entry)
{
    struct acknowledged *known;

    check->summary->acknowledged++;
    HASH_FIND(hh, check->journal, &entry->id, sizeof entry->id, known);
    if (known == NULL) {
        known = check_alloc(1, sizeof *known);
        *known = *entry;
        HASH_ADD(hh, check->journal, id, sizeof known->id, known);
    } else if (memcmp(&known->at, &entry->at, sizeof known->at) != 0 &&
               !entry->may_do_nothing) {
        check_broken(check, CHECK_J2, entry->id.command,
                     "was acknowledged at #%" PRIu64 " and at #%" PRIu64,
                     known->at.seq, entry->at.seq);
    }
}

static enum evt_status read_line(struct check *check, const char *text,
                                 unsigned number)
{
    struct acknowledged entry;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool good;

    memset(&entry, 0, sizeof entry);
    good = line != NULL && parse(check, line, &entry);
    json_decref(line);
    if (!good) {
        snprintf(check->why, STORE_WHY_BYTES, "%s:%u: malformed journal line",
                 check->options->journal, number);
        return EVT_BAD;
    }
    remember(check, &entry);
    return EVT_OK;
}

enum evt_status check_journal_read(struct check *check)
{
    char line[JOURNAL_LINE_BYTES];
    enum evt_status rc = EVT_OK;
    FILE *file;

    if (check->options->journal == NULL)
        return EVT_OK;
    file = fopen(check->options->journal, "r");
    if (file == NULL) {
        snprintf(check->why, STORE_WHY_BYTES, "no journal %s",
                 check->options->journal);
        return EVT_NONE;
    }
    for (unsigned n = 1; rc == EVT_OK; n++) {
        if (fgets(line, sizeof line, file) == NULL)
            break;
        if (strchr(line, '\n') == NULL && feof(file))
            break; /* torn: the client never got to know, either */
        rc = read_line(check, line, n);
    }
    if (rc == EVT_OK && ferror(file)) {
        snprintf(check->why, STORE_WHY_BYTES, "%s cannot be read",
                 check->options->journal);
        rc = EVT_IO;
    }
    fclose(file);
    return rc;
}

/* J1: where the answer said, there is the command's event. */
static enum evt_status check_kept(struct check *check, struct checked_log *log,
                                  const struct acknowledged *entry)
{
    enum evt_status rc;
    struct row row;

    if (memcmp(entry->at.log_id, store_log_id(log->later), LOG_ID_BYTES) != 0) {
        check_broken(check, CHECK_J1, entry->id.command,
                     "was acknowledged by a different log of %s",
                     log->service->name);
        return EVT_OK;
    }
    if (entry->may_do_nothing && entry->at.seq <= log->known)
        return EVT_OK;
    if (entry->at.seq == 0) {
        rc = EVT_NONE;
    } else {
        rc = store_scan(log->later, NULL, entry->at.seq - 1, entry->at.seq);
        if (rc == EVT_OK)
            rc = store_next(log->later, &row, NULL);
    }
    if (rc == EVT_NONE || rc == EVT_BAD ||
        (rc == EVT_OK && strcmp(row.command_id, entry->id.command) != 0)) {
        check_broken(check, CHECK_J1, entry->id.command,
                     "was acknowledged at %s #%" PRIu64
                     ", but its event is not there",
                     log->service->name, entry->at.seq);
        rc = EVT_OK;
    }
    store_scan_end(log->later);
    return rc;
}

/* J2, the other half: one command, one event. */
void check_repeated(struct check *check, const struct checked_log *log,
                    const char *command, int count)
{
    struct acknowledged_key id;
    struct acknowledged *entry;

    memset(&id, 0, sizeof id);
    id.service = log->number;
    if (strlen(command) >= ID_BYTES)
        return;
    text_copy(id.command, ID_BYTES, command);
    HASH_FIND(hh, check->journal, &id, sizeof id, entry);
    if (entry != NULL)
        check_broken(check, CHECK_J2, id.command, "has %d events in %s's log",
                     count, log->service->name);
}

enum evt_status check_journal(struct check *check)
{
    struct acknowledged *entry, *next;
    enum evt_status rc = EVT_OK;

    if (check->options->journal == NULL)
        return EVT_OK;
    HASH_ITER(hh, check->journal, entry, next)
    {
        struct checked_log *log = &check->logs[entry->id.service];

        rc = check_failed(check, log, check_kept(check, log, entry));
        if (rc != EVT_OK)
            return rc;
    }
    return rc;
}

void check_journal_free(struct check *check)
{
    struct acknowledged *entry, *next;

    HASH_ITER(hh, check->journal, entry, next)
    {
        HASH_DEL(check->journal, entry);
        free(entry);
    }
}
