/* check.c - `saga check`: the verdict over the logs.
 *
 * Collects what libevents/audit/check.c reports and prints one line for each
 * invariant, or one JSON value.  Asks no service: it reads files.
 *
 * What an operator has acknowledged after a log was restored does not count as
 * broken, but is told each time: `saga acknowledge` is here, too.
 *
 * --final judges services that may still be working.  A violation that a
 * running service is about to remove is "under way", neither ok nor FAIL; but
 * only if the files show that this service makes progress. */
#include "saga-cli/explain.h"
#include "saga-cli/losses.h"
#include "saga-cli/story.h"
#include "saga-cli/verbs.h"

#include "audit/check.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SHOWN_MAX = 20,     /* violations of one invariant, as text */
    PROGRESS_MS = 5000, /* what makes none for so long is broken */
    LANES = CHECK_LANES * SERVICES_MAX * SERVICES_MAX
};

/* One thing that violations wait for. */
struct lane {
    struct check_wait wait;
    bool awaited, moved;
};

struct verdict_run {
    struct check_options options;
    bool explain;                /* only what they mean */
    unsigned ids[CHECK_IDS_MAX]; /* all, in the order of the verdict */
    size_t id_count;
    struct check_summary summary;      /* .broken: without what is under way */
    uint64_t under_way[CHECK_IDS_MAX]; /* violations, by invariant */
    struct lane lanes[LANES];
    json_t *violations; /* [{"id","subject","text","under_way"}] */
    json_t *losses;     /* acknowledged once; and those that were seen: */
    json_t *given_up;
};

static const struct check_promise *promise_of(const struct verdict_run *run,
                                              unsigned id)
{
    return check_promise(run->options.invariants, id);
}

static const char *name_of(const struct verdict_run *run, unsigned id)
{
    return promise_of(run, id)->name;
}

/* Which invariant @violation is about. */
static unsigned id_of(const struct verdict_run *run, const json_t *violation)
{
    const char *name = json_text(violation, "id");
    size_t i = 0;

    while (strcmp(name, name_of(run, run->ids[i])) != 0)
        i++;
    return run->ids[i];
}

/* ---- looking ------------------------------------------------------------ */

/* Whether it was acknowledged; then it does not count. */
static bool is_given_up(struct verdict_run *run, unsigned id,
                        const json_t *violation)
{
    json_t *loss = losses_find(run->losses, name_of(run, id),
                               json_text(violation, "subject"),
                               json_text(violation, "text"));

    if (loss == NULL)
        return false;
    json_array_append(run->given_up, loss);
    run->summary.broken[id]--;
    return true;
}

/* "under_way" is the number of the lane until watch() has looked. */
static void collect(void *ctx, unsigned id, const char *subject,
                    const char *text, const struct check_wait *wait)
{
    struct verdict_run *run = ctx;
    unsigned lane = LANES;
    json_t *violation =
        json_pack("{s:s, s:o, s:o}", "id", name_of(run, id), "subject",
                  saga_json_text(subject), "text", saga_json_text(text));

    if (is_given_up(run, id, violation)) {
        json_decref(violation);
        return;
    }
    if (wait != NULL) {
        lane = ((unsigned)wait->lane * SERVICES_MAX + wait->service) *
                   SERVICES_MAX +
               wait->source;
        run->lanes[lane].wait = *wait;
        run->lanes[lane].awaited = true;
    }
    json_object_set_new(violation, "under_way", json_integer(lane));
    json_array_append_new(run->violations, violation);
}

/* Looks at every lane until it has moved.  One whose service is down never
 * will; one whose service is paused, refuses, or cannot go on does not. */
static void watch(const struct saga *saga, struct verdict_run *run)
{
    uint64_t until_ms = saga_mono_ms() + PROGRESS_MS;
    struct timespec pause = {.tv_nsec = 20000000};
    bool all = false;

    while (!all) {
        bool last = saga_mono_ms() >= until_ms;

        all = true;
        for (unsigned i = 0; i < LANES; i++) {
            struct lane *lane = &run->lanes[i];

            if (!lane->awaited || lane->moved)
                continue;
            lane->moved = check_moved(&run->options, &lane->wait);
            if (!lane->moved && !last &&
                saga_runs(saga, saga_service(lane->wait.service)))
                all = false;
        }
        if (!all)
            nanosleep(&pause, NULL);
    }
}

/* Tells what is under way from what is broken. */
static void sort_out(const struct saga *saga, struct verdict_run *run)
{
    json_t *violation;
    size_t i;

    watch(saga, run);
    json_array_foreach(run->violations, i, violation)
    {
        json_int_t lane = json_number(violation, "under_way");
        bool under_way =
            lane < LANES && run->lanes[lane].moved &&
            saga_runs(saga, saga_service(run->lanes[lane].wait.service));
        unsigned id = id_of(run, violation);

        run->under_way[id] += under_way;
        run->summary.broken[id] -= under_way;
        json_object_set_new(violation, "under_way", json_boolean(under_way));
    }
}

static enum evt_status look(struct saga *saga, struct verdict_run *run,
                            char why[STORE_WHY_BYTES])
{
    json_array_clear(run->violations);
    json_array_clear(run->given_up);
    memset(run->lanes, 0, sizeof run->lanes);
    run->options.now_ms = saga_unix_ms();
    run->options.names = saga_names();
    for (unsigned i = 0; i < run->options.service_count; i++)
        run->options.runs[i] = saga_runs(saga, saga_service(i));
    return check_run(&run->options, collect, run, &run->summary, why);
}

/* Whether something has not happened within its bound. */
static bool is_late(const struct verdict_run *run)
{
    for (size_t i = 0; i < run->id_count; i++)
        if (name_of(run, run->ids[i])[0] == 'L' &&
            run->summary.broken[run->ids[i]] > 0)
            return true;
    return false;
}

/* A service that was just started has not come round to its timers yet: one
 * that is still late after the slack is late. */
static enum evt_status look_twice(struct saga *saga, struct verdict_run *run,
                                  char why[STORE_WHY_BYTES])
{
    enum evt_status rc = look(saga, run, why);

    if (rc == EVT_OK && is_late(run)) {
        nanosleep(&(struct timespec){.tv_sec = CHECK_SLACK_MS / 1000}, NULL);
        rc = look(saga, run, why);
    }
    return rc;
}

static int exit_code(enum evt_status rc)
{
    switch (rc) {
    case EVT_OK:
        return SAGA_YES;
    case EVT_NONE:
        return SAGA_NO_SUCH;
    case EVT_BAD:
    case EVT_NEWER:
        return SAGA_BAD_DATA;
    case EVT_BUSY:
        return SAGA_TRY_AGAIN;
    default:
        return SAGA_IO;
    }
}

static bool knows_domain(const struct verdict_run *run)
{
    return run->options.invariants != NULL;
}

/* Whether only a domain could tell. */
static bool is_unknown(const struct verdict_run *run, unsigned id)
{
    const char *skipped = run->summary.skipped[id];

    return skipped != NULL && strcmp(skipped, CHECK_UNKNOWN) == 0;
}

/* Whether all was checked that a program of this release and domain can. */
static bool is_whole(const struct verdict_run *run)
{
    const char *views = run->summary.skipped[CHECK_Q3];

    return knows_domain(run) &&
           (views == NULL || strcmp(views, CHECK_FOREIGN) != 0);
}

/* The exit code: one broken promise outweighs all that is under way, and what
 * was not checked is not well. */
static int verdict_of(const struct verdict_run *run)
{
    int code = is_whole(run) ? SAGA_YES : SAGA_TRY_AGAIN;

    for (size_t i = 0; i < run->id_count; i++) {
        if (run->summary.broken[run->ids[i]] > 0)
            return SAGA_NO;
        if (run->under_way[run->ids[i]] > 0)
            code = SAGA_TRY_AGAIN;
    }
    return code;
}

/* ---- telling ------------------------------------------------------------ */

/* Whether it was asked for at all; what was asked for and skipped is said. */
static bool is_asked(const struct verdict_run *run, unsigned id)
{
    switch (name_of(run, id)[0]) {
    case 'Q':
        return run->options.final;
    case 'J':
        return run->options.journal != NULL;
    default:
        return true;
    }
}

/* "1 timer", "62 causes": appended to @text. */
static void add_many(char *text, size_t size, uint64_t many, const char *what)
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s%" PRIu64 " %s%s",
             used > 0 ? ", " : "", many, what, many == 1 ? "" : "s");
}

/* "62 causes, 4 timers": what an "ok" rests on. */
static void count_text(const struct verdict_run *run, unsigned id, char *text,
                       size_t size)
{
    const struct check_summary *s = &run->summary;

    text[0] = '\0';
    if (id == CHECK_S1) {
        for (unsigned i = 0; i < run->options.service_count; i++) {
            size_t used = strlen(text);

            snprintf(text + used, size - used, "%s%s %" PRIu64,
                     i > 0 ? " · " : "", saga_service(i), s->heads[i]);
        }
    } else if (id == CHECK_S2 || id == CHECK_S9) {
        add_many(text, size, s->causes, "cause");
    } else if (id == CHECK_S7) {
        add_many(text, size, s->snapshots, "snapshot");
        add_many(text, size, s->timers, "timer");
    } else if (id == CHECK_S10 || id == CHECK_Q2) {
        add_many(text, size, s->cursors, "cursor");
    } else if (id == CHECK_Q3) {
        add_many(text, size, s->views, "view");
    } else if (id < CHECK_OWN) {
        snprintf(text, size, "%" PRIu64 " acknowledged", s->acknowledged);
    } else {
        snprintf(text, size, "%s", s->counts[id]);
    }
}

/* A reader whose cursor is not in its publisher's log: either that log was put
 * back from a backup, or somebody has edited it. */
static void print_accepts(const struct verdict_run *run)
{
    static const char mark[] = "'s cursor at ";
    const json_t *violation;
    size_t i;

    hint_print("%s\n", "             look:  ./saga verify");
    json_array_foreach(run->violations, i, violation)
    {
        const char *text = json_text(violation, "text");
        const char *source = strstr(text, mark);

        if (id_of(run, violation) != CHECK_S10 || source == NULL)
            continue; /* about a saga */
        source += strlen(mark);
        hint_print("             if %.*s's log was restored:  ./saga accept %s "
                   "%.*s\n",
                   (int)strcspn(source, " "), source,
                   json_text(violation, "subject"), (int)strcspn(source, " "),
                   source);
    }
}

/* What to type next about @subject. */
static void print_hint(const struct saga *saga, const struct verdict_run *run,
                       unsigned id, const char *subject)
{
    const char *shows =
        strchr(subject, ':') == NULL ? "trace" : saga_tool()->show;
    bool is_service = saga_service_number(subject) >= 0;
    char start[START_BYTES];
    int pid = is_service ? saga_pid(saga, subject) : 0;

    if (is_service && (id == CHECK_Q2 || id == CHECK_Q3) &&
        !saga_runs(saga, subject))
        printf("             %s-svc is down:  %s\n", subject,
               start_hint(saga, subject, start));
    else if (is_service && (id == CHECK_Q2 || id == CHECK_Q3) &&
             saga_is_paused(pid))
        printf("             %s-svc is paused:  kill -CONT %d\n", subject, pid);
    else if (id == CHECK_Q3)
        hint_print("             mend:  ./saga rebuild %s\n", subject);
    else if (id == CHECK_S10 && is_service)
        print_accepts(run);
    else if (is_service)
        hint_print("             look:  ./saga %s %s\n",
                   id == CHECK_S1 ? "verify" : "log", subject);
    else if (id != CHECK_J1 && id != CHECK_J2 && shows != NULL)
        hint_print("             look:  ./saga %s %s\n", shows, subject);
}

static void print_violations(const struct saga *saga,
                             const struct verdict_run *run, unsigned id)
{
    const char *first = NULL;
    unsigned shown = 0;
    bool under_way;
    const json_t *violation;
    size_t i;

    json_array_foreach(run->violations, i, violation)
    {
        const char *subject =
            json_string_value(json_object_get(violation, "subject"));

        if (id_of(run, violation) != id)
            continue;
        under_way = json_is_true(json_object_get(violation, "under_way"));
        if (first == NULL && !under_way)
            first = subject;
        if (shown++ < SHOWN_MAX)
            printf("        %-3s  %s: %s%s\n", name_of(run, id), subject,
                   json_string_value(json_object_get(violation, "text")),
                   under_way && run->summary.broken[id] > 0 ? " (under way)"
                                                            : "");
    }
    if (shown > SHOWN_MAX)
        printf("             and %u more (--json has them all)\n",
               shown - SHOWN_MAX);
    if (first != NULL)
        print_hint(saga, run, id, first);
}

static void print_one(const struct saga *saga, const struct verdict_run *run,
                      unsigned id)
{
    const char *skipped = run->summary.skipped[id];
    bool broken = run->summary.broken[id] > 0;
    bool under_way = run->under_way[id] > 0;
    const struct check_promise *promise = promise_of(run, id);
    char counts[1024];

    count_text(run, id, counts, sizeof counts);
    if (broken)
        printf("  %sFAIL%s  %-3s  %s\n", saga->colour ? "\033[31m" : "",
               saga->colour ? "\033[0m" : "", promise->name, promise->text);
    else if (under_way)
        printf("  wait  %-3s  %-51s under way\n", promise->name, promise->text);
    else
        printf("  %-4s  %-3s  %-51s %s\n", skipped != NULL ? "--" : "ok",
               promise->name, promise->text,
               skipped != NULL ? skipped : counts);
    print_violations(saga, run, id);
}

static void loss_time(int64_t ms, char *text, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;

    if (localtime_r(&seconds, &local) == NULL ||
        strftime(text, size, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(text, size, "?");
}

/* What an operator has acknowledged, who, and why. */
static void print_given_up(const struct verdict_run *run)
{
    const json_t *loss;
    size_t i;

    json_array_foreach(run->given_up, i, loss)
    {
        const char *reason = json_text(loss, "reason");
        char time[40];

        loss_time(json_number(loss, "time"), time, sizeof time);
        if (i < SHOWN_MAX)
            printf("  lost  %-3s  %s: %s (given up by %s, %s%s%s)\n",
                   json_text(loss, "id"), json_text(loss, "subject"),
                   json_text(loss, "text"), json_text(loss, "by"), time,
                   reason[0] != '\0' ? ": " : "", reason);
    }
    if (i > SHOWN_MAX)
        printf("        and %zu more (--json has them all)\n", i - SHOWN_MAX);
}

/* What was not checked without a domain. */
static json_t *unknown_json(const struct verdict_run *run)
{
    json_t *unknown = json_array();

    for (size_t i = 0; i < run->id_count; i++)
        if (is_unknown(run, run->ids[i]))
            json_array_append_new(unknown,
                                  json_string(name_of(run, run->ids[i])));
    if (!knows_domain(run)) {
        json_array_append_new(unknown, json_string("the domain's promises"));
        /* parts of S1 and S7 */
        json_array_append_new(unknown, json_string("tags"));
        json_array_append_new(unknown, json_string("snapshots"));
    }
    return unknown;
}

/* How the verdict ends that is not ok only because of them. */
static void print_unknown(const struct verdict_run *run)
{
    json_t *unknown = unknown_json(run);
    const json_t *one;
    size_t i;

    json_array_foreach(unknown, i, one)
        printf("%s%s", i == 0 ? "Without their domain, not checked: " : ", ",
               json_string_value(one));
    if (i > 0)
        putchar('\n');
    json_decref(unknown);
}

/* Whether a restored log can be the cause.  A log that contradicts itself has
 * lost nothing; it is wrong. */
static bool may_be_lost(const struct verdict_run *run, const json_t *violation)
{
    return promise_of(run, id_of(run, violation))->restored &&
           saga_service_number(json_text(violation, "subject")) < 0;
}

static bool is_under_way(const json_t *violation)
{
    return json_is_true(json_object_get(violation, "under_way"));
}

/* Whether nothing is broken but what may be lost: what to type then. */
static void print_acknowledge(const struct verdict_run *run)
{
    const json_t *violation;
    size_t i;

    json_array_foreach(run->violations, i, violation)
    {
        if (!is_under_way(violation) && !may_be_lost(run, violation))
            return;
    }
    hint_print("If a log was restored, give these losses up:  ./saga "
               "acknowledge --reason TEXT\n");
}

static void print_text(const struct saga *saga, const struct verdict_run *run)
{
    unsigned broken = 0, under_way = 0, checked = 0;

    for (size_t i = 0; i < run->id_count; i++) {
        unsigned id = run->ids[i];

        if (!is_asked(run, id))
            continue;
        print_one(saga, run, id);
        broken += run->summary.broken[id] > 0;
        under_way += run->summary.broken[id] == 0 && run->under_way[id] > 0;
        checked += run->summary.broken[id] > 0 || run->under_way[id] > 0 ||
                   run->summary.skipped[id] == NULL;
    }
    print_given_up(run);
    print_unknown(run);
    if (broken > 0 && under_way > 0)
        printf("%u of %u broken, %u under way\n", broken, checked, under_way);
    else if (broken > 0)
        printf("%u of %u broken\n", broken, checked);
    else if (under_way > 0)
        hint_print("%u of %u under way, none broken  "
                   "('./saga wait --quiet' returns when it is done)\n",
                   under_way, checked);
    else
        printf("all %u%s hold%s\n", checked,
               is_whole(run) ? "" : " that were checked",
               json_array_size(run->given_up) > 0
                   ? ", but for the losses given up"
                   : "");
    if (broken > 0)
        print_acknowledge(run);
}

static void print_json(const struct verdict_run *run)
{
    json_t *list = json_array(), *unknown = unknown_json(run), *verdict;
    int code = verdict_of(run);
    bool under_way = false;

    for (size_t i = 0; i < run->id_count; i++) {
        unsigned id = run->ids[i];
        json_t *one = json_pack("{s:s, s:s, s:I, s:I}", "id", name_of(run, id),
                                "promise", promise_of(run, id)->text, "broken",
                                (json_int_t)run->summary.broken[id],
                                "under_way", (json_int_t)run->under_way[id]);

        under_way = under_way || run->under_way[id] > 0;

        if (run->summary.skipped[id] != NULL)
            json_object_set_new(one, "skipped",
                                json_string(run->summary.skipped[id]));
        json_array_append_new(list, one);
    }
    verdict = json_pack("{s:b, s:b, s:o, s:O, s:O}", "holds", code == SAGA_YES,
                        "under_way", under_way && code == SAGA_TRY_AGAIN,
                        "invariants", list, "violations", run->violations,
                        "given_up", run->given_up);
    if (json_array_size(unknown) > 0)
        json_object_set(verdict, "unchecked", unknown);
    json_decref(unknown);
    saga_print_json(verdict);
}

/* ---- the verb ----------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's own type */
static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct verdict_run *run = saga->options;

    switch (key) {
    case 'f':
        run->options.final = true;
        return SAGA_YES;
    case 'j':
        run->options.journal = arg;
        return SAGA_YES;
    case 'e':
        run->explain = true;
        return SAGA_YES;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Whom it is about: those that we were built with, or else all.  What nobody
 * describes cannot be judged; reported. */
static int choose_services(struct saga *saga, struct verdict_run *run)
{
    struct check_options *options = &run->options;

    options->invariants = saga_tool()->invariants;
    options->views = saga_tool()->views;
    options->services = saga_tables(saga);
    options->service_count = saga_own_services();
    run->id_count = check_ids(options->invariants, run->ids);
    if (options->service_count == 0)
        return saga_no_services(saga, SAGA_NO_SUCH);
    if (!knows_domain(run) && options->journal != NULL)
        return saga_fail(saga, SAGA_TRY_AGAIN,
                         "%s: its commands are known to their domain alone, "
                         "and this program has none",
                         options->journal);
    for (unsigned i = 0; i < options->service_count; i++)
        if (saga_undescribed(i) != NULL)
            return saga_fail(saga, SAGA_TRY_AGAIN,
                             "%s-svc cannot be checked: %s", saga_service(i),
                             saga_undescribed(i));
    return SAGA_YES;
}

/* Reads what was given up, and looks.  Returns the exit code; not SAGA_YES: it
 * was reported why it could not. */
static int judge(struct saga *saga, struct verdict_run *run)
{
    char why[STORE_WHY_BYTES] = "";
    int code = choose_services(saga, run);

    for (unsigned i = 0; code == SAGA_YES && i < run->options.service_count;
         i++)
        store_close(saga_open_log(saga, saga_service(i), &code));
    if (code != SAGA_YES)
        return code;
    run->losses = losses_read(saga, &code);
    if (code != SAGA_YES)
        return code;
    run->violations = json_array();
    run->given_up = json_array();
    code = exit_code(look_twice(saga, run, why));
    if (code != SAGA_YES)
        return saga_fail(saga, code, "%s", why);
    sort_out(saga, run);
    return SAGA_YES;
}

static void forget(struct verdict_run *run)
{
    json_decref(run->violations);
    json_decref(run->given_up);
    json_decref(run->losses);
}

static int run_check(struct saga *saga)
{
    struct verdict_run run = {.options = {.directory = saga->directory}};
    int code = saga_parse(saga, &run);

    if (code == SAGA_YES && run.explain)
        return explain_print(saga,
                             saga->word_count > 0 ? saga->words[0] : NULL);
    if (code == SAGA_YES && saga->word_count > 0)
        return saga_unexpected(saga, saga->words[0]);
    if (code == SAGA_YES)
        code = judge(saga, &run);
    if (code == SAGA_YES) {
        if (saga->json)
            print_json(&run);
        else
            print_text(saga, &run);
        code = verdict_of(&run);
    }
    forget(&run);
    return code;
}

static const struct argp_option options[] = {
    {"final", 'f', NULL, 0,
     "also check that every saga has ended and views agree", 0},
    {"journal", 'j', "FILE", 0,
     "also check that each acknowledged command is there, once", 0},
    {"explain", 'e', NULL, OPTION_NO_USAGE,
     "say what it promises, and the accident behind it; without INVARIANT, of "
     "all",
     0},
    {0}};

const struct verb verb_check = {
    .name = "check",
    .group = QUERIES,
    .first = true,
    .examples = "check --final\n"
                "check --explain S2",
    .summary = "check the invariants",
    .args = "--explain [INVARIANT]\n",
    .options = options,
    .parse = parse,
    .words_max = 1,
    .notes = "With --final, work that a running service has still to do is "
             "\"under way\" if the service makes progress within five "
             "seconds, and broken otherwise.\n"
             "exits 0 if all hold, 1 if one is broken, 75 if work is under "
             "way ('./saga wait --quiet' returns when it is done) or if the "
             "program has no domain, which it needs for some",
    .run = run_check};

/* ---- acknowledge -------------------------------------------------------- */

/* Reports why what is broken cannot be given up; SAGA_YES: it can. */
static int insist_on_losses(const struct saga *saga,
                            const struct verdict_run *run)
{
    const json_t *violation;
    size_t i;

    json_array_foreach(run->violations, i, violation)
    {
        if (!is_under_way(violation) && !may_be_lost(run, violation))
            return saga_fail(saga, SAGA_NO,
                             "%s, %s: %s: this is no loss to give up ('./saga "
                             "check' says what to do)",
                             json_text(violation, "id"),
                             json_text(violation, "subject"),
                             json_text(violation, "text"));
    }
    return SAGA_YES;
}

/* All that is broken, signed by who asks; what is under way is not. */
static json_t *sign(const struct verdict_run *run, const char *reason)
{
    const struct passwd *user = getpwuid(getuid());
    json_t *losses = json_array();
    const json_t *violation;
    size_t i;

    json_array_foreach(run->violations, i, violation)
    {
        json_t *loss;

        if (is_under_way(violation))
            continue;
        loss = json_pack("{s:O, s:O, s:O, s:I, s:o, s:o}", "id",
                         json_object_get(violation, "id"), "subject",
                         json_object_get(violation, "subject"), "text",
                         json_object_get(violation, "text"), "time",
                         (json_int_t)run->options.now_ms, "by",
                         saga_json_text(user != NULL ? user->pw_name : "?"),
                         "reason", saga_json_text(reason));
        json_array_append_new(losses, loss);
    }
    return losses;
}

static void print_signed(const struct saga *saga, json_t *losses, bool known)
{
    const json_t *loss;
    size_t i;

    if (saga->json) {
        saga_print_json(json_pack("{s:O}", "given_up", losses));
        return;
    }
    json_array_foreach(losses, i, loss)
    {
        printf("given up: %s, %s: %s\n", json_text(loss, "id"),
               json_text(loss, "subject"), json_text(loss, "text"));
    }
    hint_print(i == 0 && !known ? "Nothing that was checked is broken.\n"
               : i == 0
                   ? "Nothing is broken.\n"
                   : "Recorded in losses.jsonl; './saga check' lists them.\n");
}

static int run_acknowledge(struct saga *saga)
{
    struct verdict_run run = {
        .options = {.directory = saga->directory, .final = true}};
    const char *reason = "";
    json_t *losses = NULL;
    int code = saga_parse(saga, &reason);

    if (code == SAGA_YES)
        code = judge(saga, &run);
    if (code == SAGA_YES)
        code = insist_on_losses(saga, &run);
    if (code == SAGA_YES)
        losses = sign(&run, reason);
    if (code == SAGA_YES && json_array_size(losses) > 0)
        code = losses_append(saga, losses);
    if (code == SAGA_YES)
        print_signed(saga, losses, is_whole(&run));
    if (code == SAGA_YES && !is_whole(&run))
        code = SAGA_TRY_AGAIN;
    json_decref(losses);
    forget(&run);
    return code;
}

static const struct argp_option acknowledge_options[] = {
    {"reason", 'o', "TEXT", 0, "why, for those who read it later", 0}, {0}};

const struct verb verb_acknowledge = {
    .name = "acknowledge",
    .group = OPERATION,
    .examples = "acknowledge --reason \"backup of Monday\"",
    .summary = "give up what a restored log has lost",
    .args = "",
    .options = acknowledge_options,
    .parse = saga_parse_value,
    .notes = "For sagas that `saga check` names after a log was restored and "
             "accepted.  A log that contradicts itself, or was not accepted, "
             "cannot be given up; what is still under way is left out.  Each "
             "loss is recorded in losses.jsonl of the data directory, with "
             "the time, the user and the reason; `saga check` goes on to tell "
             "of it, but it no longer counts as broken.\n"
             "exits 0 if nothing is left that is broken, 1 if something "
             "cannot be given up",
    .run = run_acknowledge};
