/* faults.c - `saga fault`: lists, sets and clears the fault points of the
 * services.
 *
 * Only the processes know their points and which are set; no file records them,
 * so a restarted service has none set. */
#include "saga-cli/saga.h"
#include "saga-cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 3000, CLOSE_ENOUGH = 5 };

/* {"enabled","faults"} of a running service; NULL: reported, *code set. */
static json_t *ask_faults(struct saga *saga, const char *service, int *code)
{
    json_t *ask = json_pack("{s:s}", "get", "faults");
    json_t *reply = saga_ask_on(saga, service, "cmd", ask, PATIENCE_MS, code);

    json_decref(ask);
    return reply;
}

/* ---- ls ----------------------------------------------------------------- */

/* The answers of all services that were asked, by their numbers; NULL: not
 * asked, or no answer. */
struct answers {
    json_t *of[SERVICES_MAX];
};

/* The fault @point in what service number @i says; NULL: it has none. */
static const json_t *find(const struct answers *answers, unsigned i,
                          const char *point)
{
    const json_t *fault;
    size_t n;

    json_array_foreach(json_object_get(answers->of[i], "faults"), n, fault)
    {
        if (strcmp(json_text(fault, "point"), point) == 0)
            return fault;
    }
    return NULL;
}

/* Whether it is set and has fired as often as it was to. */
static bool is_used_up(const json_t *fault)
{
    int64_t times = json_number(fault, "times");

    return times > 0 && json_number(fault, "fired") >= times;
}

/* A word in service number @i's column; the last one is not padded. */
static void print_column(const struct answers *answers, unsigned i,
                         const char *word)
{
    bool last = true;

    for (unsigned j = i + 1; j < saga_services(); j++)
        last = last && answers->of[j] == NULL;
    printf("  %-*s", last ? 0 : 9, word);
}

static void print_header(const struct answers *answers)
{
    printf("%-24s  %-36s", "point", "what happens there");
    for (unsigned i = 0; i < saga_services(); i++)
        if (answers->of[i] != NULL)
            print_column(answers, i, saga_service(i));
    putchar('\n');
}

/* A fault's line: in which of the services it is on. */
static void print_point(const struct answers *answers, const json_t *fault)
{
    const char *point = json_text(fault, "point");

    printf("%-24s  %-36s", point, json_text(fault, "what"));
    for (unsigned i = 0; i < saga_services(); i++) {
        const json_t *its = find(answers, i, point);
        bool set = json_is_true(json_object_get(its, "set"));

        if (answers->of[i] != NULL)
            print_column(answers, i,
                         its == NULL       ? "-"
                         : !set            ? "off"
                         : is_used_up(its) ? "used up"
                                           : "ON");
    }
    putchar('\n');
}

/* When a point is to fire. */
struct setting {
    int64_t after, times, percent;
};

/* The options, of which each goes with one of the words set and clear. */
struct fault_options {
    struct setting setting;
    const char *of_set; /* the last one that belongs to set, or NULL */
    bool all;
};

/* "NAME: handler/slow is on, 2 times, after 3 passes" */
static void print_setting(const char *service, const char *point,
                          const struct setting *setting)
{
    printf("%s: %s is on", service, point);
    if (setting->times == 1)
        fputs(", once", stdout);
    else if (setting->times > 1)
        printf(", %" PRId64 " times", setting->times);
    if (setting->after > 0)
        printf(", after %" PRId64 " pass%s", setting->after,
               setting->after > 1 ? "es" : "");
    if (setting->percent < 100)
        printf(", at %" PRId64 " %% of passes", setting->percent);
}

static void print_fault(const char *service, const json_t *fault)
{
    struct setting setting = {.after = json_number(fault, "after"),
                              .times = json_number(fault, "times"),
                              .percent = json_number(fault, "percent")};

    print_setting(service, json_text(fault, "point"), &setting);
    printf("%s; passed %lld, fired %lld\n",
           is_used_up(fault) ? ", and is used up" : "",
           (long long)json_number(fault, "passed"),
           (long long)json_number(fault, "fired"));
}

static void print_settings(const char *service, const json_t *reply)
{
    const json_t *fault;
    size_t n;

    json_array_foreach(json_object_get(reply, "faults"), n, fault)
    {
        if (json_is_true(json_object_get(fault, "set")))
            print_fault(service, fault);
    }
    if (!json_is_true(json_object_get(reply, "enabled")))
        printf("%s: started without --faults, so none can be set\n", service);
}

/* One table for all that answered: most points are in every service. */
static void print_faults(const struct answers *answers)
{
    print_header(answers);
    for (unsigned i = 0; i < saga_services(); i++) {
        const json_t *fault;
        size_t n;

        json_array_foreach(json_object_get(answers->of[i], "faults"), n, fault)
        {
            bool printed = false;

            for (unsigned j = 0; j < i; j++)
                printed = printed ||
                          find(answers, j, json_text(fault, "point")) != NULL;
            if (!printed)
                print_point(answers, fault);
        }
    }
    for (unsigned i = 0; i < saga_services(); i++)
        if (answers->of[i] != NULL)
            print_settings(saga_service(i), answers->of[i]);
}

/* {NAME: {"enabled","faults"}, ...}; a service that says nothing has
 * "error" and "code" beside them. */
static json_t *faults_json(const struct answers *answers, const bool *asked,
                           const int *codes)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < saga_services(); i++) {
        if (answers->of[i] != NULL)
            json_object_set(all, saga_service(i), answers->of[i]);
        else if (asked[i])
            json_object_set_new(all, saga_service(i),
                                json_pack("{s:b,s:[],s:s,s:i}", "enabled", 0,
                                          "faults", "error", "no answer",
                                          "code", codes[i]));
    }
    return all;
}

/* A service that says nothing does not keep the others from the list; what
 * ails it is told on stderr, beside the list. */
static int list(struct saga *saga)
{
    const char *service = saga->words[1];
    int only = service != NULL ? saga_service_number(service) : -1;
    struct answers answers = {{NULL}};
    int codes[SERVICES_MAX] = {SAGA_YES}, code = SAGA_YES;
    bool asked[SERVICES_MAX] = {false}, any = false;
    struct saga asking = *saga;

    if (saga->word_count > 2)
        return saga_unexpected(saga, saga->words[2]);
    if (service != NULL && only < 0)
        return saga_no_service(saga, service);
    asking.json = false;
    for (unsigned i = 0; i < saga_services(); i++) {
        asked[i] = only < 0 || i == (unsigned)only;
        if (asked[i])
            answers.of[i] = ask_faults(&asking, saga_service(i), &codes[i]);
        code = codes[i] != SAGA_YES ? codes[i] : code;
        any = any || answers.of[i] != NULL;
    }
    if (saga->json)
        saga_print_json(faults_json(&answers, asked, codes));
    else if (any)
        print_faults(&answers);
    for (unsigned i = 0; i < saga_services(); i++)
        json_decref(answers.of[i]);
    return code;
}

/* ---- set ---------------------------------------------------------------- */

/* Whether the process knows @point; if not, which one may be meant. */
static bool knows(const json_t *reply, const char *point, const char **closest)
{
    size_t least = CLOSE_ENOUGH, i;
    const json_t *fault;

    *closest = NULL;
    json_array_foreach(json_object_get(reply, "faults"), i, fault)
    {
        const char *name = json_text(fault, "point");
        const char *behind = strchr(name, '/');

        if (strcmp(point, name) == 0)
            return true;
        if (behind != NULL && strcmp(point, behind + 1) == 0)
            least = 0; /* "slow" for handler/slow */
        else if (!saga_is_closer(point, name, &least))
            continue;
        *closest = name;
    }
    return false;
}

/* SAGA_YES if the process has @point and lets faults be set. */
static int insist_on(struct saga *saga, const char *service, const char *point,
                     bool settable)
{
    const char *closest = NULL;
    char restart[32], start[START_BYTES];
    int code = SAGA_YES;
    json_t *reply = ask_faults(saga, service, &code);

    snprintf(restart, sizeof restart, "restart %s", service);
    if (reply == NULL)
        return code;
    if (!knows(reply, point, &closest))
        code = saga_fail(saga, SAGA_NO_SUCH,
                         "%s-svc has no fault point %s (%s%s%s'./saga fault "
                         "ls %s' shows all)",
                         service, point, closest ? "did you mean " : "",
                         closest ? closest : "", closest ? "? " : "", service);
    else if (settable && !json_is_true(json_object_get(reply, "enabled")))
        code = saga_fail(saga, SAGA_NO,
                         "%s-svc was started without --faults, so none can be "
                         "set ('%s' restarts it with --faults)",
                         service, run_hint(saga, restart, start));
    json_decref(reply);
    return code;
}

/* Sends a control that is answered with {"done"}; releases it. */
static int control(struct saga *saga, const char *service, json_t *ask)
{
    int code = SAGA_YES;
    json_t *reply = saga_ask_on(saga, service, "cmd", ask, PATIENCE_MS, &code);

    json_decref(ask);
    json_decref(reply);
    return reply == NULL ? code : SAGA_YES;
}

static int set(struct saga *saga, const struct setting *setting)
{
    const char *service = saga->words[1], *point = saga->words[2];
    int code;

    if (saga->word_count < 3)
        return saga_missing(saga, saga->word_count == 1 ? "SERVICE and POINT"
                                                        : "POINT");
    if (saga_service_number(service) < 0)
        return saga_no_service(saga, service);
    code = insist_on(saga, service, point, true);
    if (code == SAGA_YES)
        code = control(saga, service,
                       json_pack("{s:s,s:s,s:I,s:I,s:I}", "do", "fault-set",
                                 "point", point, "after",
                                 (json_int_t)setting->after, "times",
                                 (json_int_t)setting->times, "percent",
                                 (json_int_t)setting->percent));
    if (code != SAGA_YES)
        return code;
    if (saga->json)
        saga_print_json(json_pack("{s:b,s:s,s:s}", "done", 1, "service",
                                  service, "point", point));
    if (saga->json)
        return SAGA_YES;
    print_setting(service, point, setting);
    puts(setting->times == 0 ? ", until it is cleared" : "");
    return SAGA_YES;
}

/* ---- clear -------------------------------------------------------------- */

/* Clears @point (NULL: all) of a service. */
static int clear_one(struct saga *saga, const char *service, const char *point)
{
    json_t *ask = json_pack("{s:s}", "do", "fault-clear");
    int code =
        point == NULL ? SAGA_YES : insist_on(saga, service, point, false);

    if (code != SAGA_YES) {
        json_decref(ask);
        return code;
    }
    if (point != NULL)
        json_object_set_new(ask, "point", json_string(point));
    code = control(saga, service, ask);
    if (code == SAGA_YES && !saga->json)
        printf("%s: %s is off\n", service,
               point == NULL ? "every fault" : point);
    return code;
}

static int clear_all(struct saga *saga)
{
    int code = SAGA_YES;

    for (unsigned i = 0; i < saga_services(); i++) {
        enum evt_status rc;
        json_t *ask = json_pack("{s:s}", "do", "fault-clear"), *reply = NULL;

        /* one that is down has none set */
        rc = client_ask(saga->client, saga_service(i), "cmd", ask, PATIENCE_MS,
                        &reply);
        json_decref(ask);
        json_decref(reply);
        if (rc != EVT_OK && rc != EVT_NONE)
            code = saga_no_answer(saga, saga_service(i), rc);
        else if (!saga->json)
            printf("%s: %s\n", saga_service(i),
                   rc == EVT_OK ? "every fault is off"
                                : "not running, so none is set");
    }
    return code;
}

static int clear(struct saga *saga, bool all)
{
    const char *service = saga->words[1];
    int code;

    if (!all && service == NULL)
        return saga_missing(saga, "SERVICE or --all");
    if (all && service != NULL)
        return saga_fail(saga, SAGA_USAGE,
                         "a service and --all exclude each other");
    if (!all && saga_service_number(service) < 0)
        return saga_no_service(saga, service);
    code = all ? clear_all(saga) : clear_one(saga, service, saga->words[2]);
    if (code == SAGA_YES && saga->json)
        saga_print_json(json_pack("{s:b}", "done", 1));
    return code;
}

/* ---- the verb ----------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct saga *saga = state->input;
    struct fault_options *options = saga->options;
    struct setting *setting = &options->setting;

    switch (key) {
    case 'c':
        options->all = true;
        return SAGA_YES;
    case 'a':
        options->of_set = "after";
        return saga_take_number(saga, "after", arg, 0, 1000000,
                                &setting->after);
    case 't':
        options->of_set = "times";
        return saga_take_number(saga, "times", arg, 0, 1000000,
                                &setting->times);
    case 'p':
        options->of_set = "percent";
        return saga_take_number(saga, "percent", arg, 1, 100,
                                &setting->percent);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(struct saga *saga)
{
    struct fault_options options = {.setting.percent = 100};
    int code = saga_parse(saga, &options);
    const char *what = saga->word_count > 0 ? saga->words[0] : "";
    bool sets = strcmp(what, "set") == 0, clears = strcmp(what, "clear") == 0;

    if (code != SAGA_YES)
        return code;
    if (saga->word_count == 0)
        return saga_missing(saga, "ls, set or clear");
    if (!sets && !clears && strcmp(what, "ls") != 0)
        return saga_fail(saga, SAGA_USAGE,
                         "%s is not ls, set or clear ('./saga fault --help')",
                         what);
    if (options.of_set != NULL && !sets)
        return saga_fail(saga, SAGA_USAGE, "--%s is an option of 'fault set'",
                         options.of_set);
    if (options.all && !clears)
        return saga_fail(saga, SAGA_USAGE,
                         "--all is an option of 'fault clear'");
    return sets     ? set(saga, &options.setting)
           : clears ? clear(saga, options.all)
                    : list(saga);
}

static const struct argp_option options[] = {
    {"after", 'a', "N", OPTION_NO_USAGE, "start after the next N passes (0)",
     0},
    {"times", 't', "N", OPTION_NO_USAGE, "fire N times (0: until cleared)", 0},
    {"percent", 'p', "P", OPTION_NO_USAGE,
     "fire at each pass with this chance (100)", 0},
    {"all", 'c', NULL, OPTION_NO_USAGE, "clear the faults of all services", 0},
    {0}};

const struct verb verb_fault = {
    .name = "fault",
    .group = OPERATION,
    .examples = "fault ls SERVICE\n"
                "fault set SERVICE handler/slow --times 3\n"
                "fault clear --all",
    .summary = "list, set and clear the fault points of the services",
    .args = "ls [SERVICE]\n"
            "set SERVICE POINT [--after N] [--times N] [--percent P]\n"
            "clear SERVICE [POINT] | --all",
    .options = options,
    .parse = parse,
    .words_max = 3,
    .run = run};
