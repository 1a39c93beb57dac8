/* process.c - see process.h; what happens at a fault point is in base/fault.c.
 */
#include "host/process.h"

#include "base/fault.h"
#include "base/logger.h"

/* A whole number from 0 to @max, or @otherwise when it is left out; -1: no. */
static int number_of(const json_t *request, const char *name, int max,
                     int otherwise)
{
    const json_t *member = json_object_get(request, name);
    json_int_t value = json_integer_value(member);

    if (member == NULL)
        return otherwise;
    return json_is_integer(member) && value >= 0 && value <= max ? (int)value
                                                                 : -1;
}

static json_t *done(void)
{
    return json_pack("{s:b}", "done", 1);
}

static enum evt_status list_faults(void *ctx, const json_t *request,
                                   json_t **reply)
{
    const struct process *process = ctx;

    (void)request;
    *reply = json_pack("{s:b,s:o}", "enabled", process->faults, "faults",
                       fault_list());
    return EVT_OK;
}

static json_t *no_such_point(void)
{
    return router_error(66,
                        "no such fault point ('./saga fault ls' shows all)");
}

/* Sets the point that @request names; the answer. */
static json_t *set_fault(const json_t *request, bool enabled)
{
    const char *point = json_string_value(json_object_get(request, "point"));
    int after = number_of(request, "after", 1000000, 0);
    int times = number_of(request, "times", 1000000, 0);
    int percent = number_of(request, "percent", 100, 100);

    if (!enabled)
        return router_error(
            1, "faults are disabled: start the service with --faults");
    if (point == NULL || after < 0 || times < 0 || percent < 1)
        return router_error(64, "expected a point, and numbers from 0");
    if (fault_set(point, (unsigned)after, (unsigned)times, (unsigned)percent) !=
        EVT_OK)
        return no_such_point();
    logger_fact(LOG_WARN, NULL, NULL, "fault set: %s", point);
    return done();
}

static enum evt_status run_set_fault(void *ctx, const json_t *request,
                                     json_t **reply)
{
    const struct process *process = ctx;

    *reply = set_fault(request, process->faults);
    return EVT_OK;
}

/* Clears the point that @request names, or all; the answer. */
static json_t *clear_fault(const json_t *request)
{
    const json_t *point = json_object_get(request, "point");

    if (point != NULL && !json_is_string(point))
        return router_error(64, "the point must be text");
    if (fault_clear(json_string_value(point)) != EVT_OK)
        return no_such_point();
    logger_fact(LOG_WARN, NULL, NULL, "fault cleared: %s",
                point == NULL ? "all" : json_string_value(point));
    return done();
}

static enum evt_status run_clear_fault(void *ctx, const json_t *request,
                                       json_t **reply)
{
    (void)ctx;
    *reply = clear_fault(request);
    return EVT_OK;
}

static enum evt_status shut_down(void *ctx, const json_t *request,
                                 json_t **reply)
{
    struct process *process = ctx;

    (void)request;
    atomic_store(&process->stopping, true);
    *reply = done();
    return EVT_OK;
}

const struct route process_routes[] = {
    {"get", "faults", list_faults},
    {"do", "fault-set", run_set_fault},
    {"do", "fault-clear", run_clear_fault},
    {"do", "shutdown", shut_down},
    {NULL, NULL, NULL},
};
