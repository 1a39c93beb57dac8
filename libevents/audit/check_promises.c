/* check_promises.c - what the logs of every domain promise, and why: the
 * sentence, the accident and the place that `saga check --explain` tells.
 *
 * A domain has a table of its own.  Next: check.c. */
#include "audit/check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct check_promise promises[CHECK_OWN] = {
    [CHECK_S1] =
        {.name = "S1",
         .text = "logs have no holes, hash chains are intact",
         .means = "The events of a log are numbered 1, 2, 3 and so on, each "
                  "one holds the hash of the one before it, and its tags are "
                  "those of its payload.",
         .accident = "Somebody edits a row of log.db with sqlite3, or a disk "
                     "returns an old sector: history says something else "
                     "than what the services acted on.",
         .look = "verify SERVICE",
         .where = "libevents/audit/check_log.c: check_chain(); "
                  "libevents/audit/check_tags.c: check_tags()"},
    [CHECK_S2] = {.name = "S2",
                  .text = "every cause exists and was answered once",
                  .restored = true,
                  .means =
                      "The event or command that an event names as its cause "
                      "exists, and no service has answered it twice.",
                  .accident =
                      "A service dies right after its commit and is sent the "
                      "same event again.  Without an inbox it acts a second "
                      "time.",
                  .look = "trace SAGA",
                  .where = "libevents/audit/check_causes.c: check_known(), "
                           "check_answered_once()"},
    [CHECK_S7] =
        {.name = "S7",
         .text = "snapshots and timers match the logs",
         .means = "A snapshot equals the state that is folded from the log, "
                  "and a timer is armed if and only if the log says so.",
         .accident = "The code of a fold is changed, but a snapshot that the "
                     "old code made stays in use: from then on decisions rest "
                     "on a state that no log explains.",
         .look = "log SERVICE",
         .where = "libevents/audit/check_log.c: compare_snapshot(); "
                  "libevents/audit/check.c: check_timer()"},
    [CHECK_S9] =
        {.name = "S9",
         .text = "only declared events follow a cause",
         .restored = true,
         .means = "A service answers a cause only with events that its rule "
                  "table declares for it.",
         .accident = "A patched service emits an event that is in nobody's "
                     "table.  It is recorded, nobody reacts, and the saga "
                     "stops half-way.",
         .look = "trace SAGA",
         .where = "libevents/audit/check_causes.c: check_declared()"},
    [CHECK_S10] = {.name = "S10",
                   .text = "every cursor points into its publisher's log",
                   .restored = true,
                   .means =
                       "The event at which a reader's cursor stands is in its "
                       "publisher's log with the same hash, and the reader has "
                       "reacted to nothing beyond it.",
                   .accident =
                       "A log is restored from an old backup.  Its readers "
                       "remember events that it has lost, and would skip the "
                       "new ones that get the same numbers.",
                   .look = "verify",
                   .where =
                       "libevents/audit/check.c: check_cursor(); "
                       "libevents/audit/check_causes.c: check_below_cursor()"},
    [CHECK_Q2] = {.name = "Q2",
                  .text = "cursors at the heads, nothing parked or overdue",
                  .means =
                      "When no work is left, every reader has read each log to "
                      "its end, no event is parked, and no timer is overdue.",
                  .accident =
                      "A reader parks an event that it cannot handle, and "
                      "nobody looks: all processes run, and one saga waits "
                      "for ever.",
                  .look = "parked",
                  .where =
                      "libevents/audit/check.c: check_cursor(), check_timer(); "
                      "libevents/audit/check_freeze.c: check_parked()"},
    [CHECK_Q3] = {.name = "Q3",
                  .text = "read models match the logs",
                  .means =
                      "Each read model equals one that is folded from the logs "
                      "from the beginning.",
                  .accident =
                      "A view misses an event or counts one twice, and shows "
                      "a wrong balance from then on, while every log is "
                      "right.",
                  .look = "status",
                  .where = "libevents/audit/check_view.c: compare_rows(), "
                           "compare_facts()"},
    [CHECK_J1] =
        {.name = "J1",
         .text = "no acknowledged command is lost",
         .means = "A command that was answered as done has its event in the "
                  "log.",
         .accident = "A service answers before it commits, and the power "
                     "fails in between: the client believes in something "
                     "that never happened.",
         .look = "log SERVICE",
         .where = "libevents/audit/check_journal.c: check_kept()"},
    [CHECK_J2] = {.name = "J2",
                  .text = "no acknowledged command counts twice",
                  .means =
                      "A command has one event in the log, however often the "
                      "client sent it.",
                  .accident =
                      "The answer is lost, so the client repeats the command, "
                      "and a service that does not remember its id carries it "
                      "out again.",
                  .look = "log SERVICE",
                  .where = "libevents/audit/check_journal.c: check_repeated()"},
};

const struct check_promise *
check_promise(const struct check_invariants *invariants, unsigned id)
{
    return id < CHECK_OWN ? &promises[id]
                          : &invariants->promises[id - CHECK_OWN];
}

const char *check_name(const struct check_invariants *invariants, unsigned id)
{
    return check_promise(invariants, id)->name;
}

/* Whether people read @a before @b. */
static bool is_before(const char *a, const char *b)
{
    static const char letters[] = "SLQJ";

    return a[0] != b[0] ? strchr(letters, a[0]) < strchr(letters, b[0])
                        : strtol(a + 1, NULL, 10) < strtol(b + 1, NULL, 10);
}

size_t check_ids(const struct check_invariants *invariants,
                 unsigned ids[CHECK_IDS_MAX])
{
    size_t own = invariants != NULL ? invariants->promise_count : 0;

    assert(own <= CHECK_IDS_MAX - CHECK_OWN);
    for (size_t i = 0; i < CHECK_OWN + own; i++) {
        const char *name = check_name(invariants, (unsigned)i);
        size_t at = i;

        for (; at > 0 && is_before(name, check_name(invariants, ids[at - 1]));
             at--)
            ids[at] = ids[at - 1];
        ids[at] = (unsigned)i;
    }
    return CHECK_OWN + own;
}
