/* fault.c - named fault points over libfiu.
 *
 * libfiu decides nothing here: each point is enabled with a callback of ours
 * ("external" in its terms), which counts passes and keeps after, times and
 * percent exact.  Reading order: nothing of the services depends on this
 * file; shell.c shows where the points are. */
#define FIU_ENABLE
#include "base/fault.h"

#include <fiu-control.h>
#include <fiu.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

enum { POINTS_MAX = 32 };

struct point {
    const char *name, *what;
    bool set;
    unsigned after, times, percent;
    uint64_t passed, fired; /* since it was set */
};

static struct point points[POINTS_MAX];
static size_t point_count;
static bool faults_enabled;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct point *find(const char *name)
{
    for (size_t i = 0; i < point_count; i++)
        if (strcmp(points[i].name, name) == 0)
            return &points[i];
    return NULL;
}

void fault_open(bool enabled)
{
    fiu_init(0);
    faults_enabled = enabled;
}

void fault_declare(const char *name, const char *what)
{
    pthread_mutex_lock(&mutex);
    if (find(name) == NULL && point_count < POINTS_MAX)
        points[point_count++] = (struct point){.name = name, .what = what};
    pthread_mutex_unlock(&mutex);
}

/* libfiu asks at each pass of an enabled point. */
static int decide_pass(const char *name, int *failnum, void **failinfo,
                       unsigned int *flags)
{
    struct point *point;
    bool fires;

    (void)failnum;
    (void)failinfo;
    (void)flags;
    pthread_mutex_lock(&mutex);
    point = find(name);
    fires = point != NULL && point->set && point->passed++ >= point->after &&
            (point->times == 0 || point->fired < point->times) &&
            randombytes_uniform(100) < point->percent;
    if (fires)
        point->fired++;
    pthread_mutex_unlock(&mutex);
    return fires;
}

bool fault_fires(const char *name)
{
    return faults_enabled && fiu_fail(name) != 0;
}

bool fault_is_set(const char *name)
{
    const struct point *point;
    bool set;

    if (!faults_enabled)
        return false;
    pthread_mutex_lock(&mutex);
    point = find(name);
    set = point != NULL && point->set;
    pthread_mutex_unlock(&mutex);
    return set;
}

void fault_crash(const char *name)
{
    if (fault_fires(name))
        kill(getpid(), SIGKILL);
}

void fault_hang(const char *name)
{
    if (fault_fires(name))
        for (;;)
            (void)pause();
}

enum evt_status fault_set(const char *name, unsigned after, unsigned times,
                          unsigned percent)
{
    struct point *point;
    bool was_set;

    if (!faults_enabled || percent < 1 || percent > 100)
        return EVT_BAD;
    pthread_mutex_lock(&mutex);
    point = find(name);
    was_set = point != NULL && point->set;
    if (point != NULL) {
        point->after = after;
        point->times = times;
        point->percent = percent;
        point->passed = point->fired = 0;
        point->set = true;
    }
    pthread_mutex_unlock(&mutex);
    if (point == NULL)
        return EVT_NONE;
    if (!was_set)
        fiu_enable_external(point->name, 1, NULL, 0, decide_pass);
    return EVT_OK;
}

enum evt_status fault_clear(const char *name)
{
    bool found = name == NULL;

    for (size_t i = 0; i < point_count; i++) {
        struct point *point = &points[i];

        if (name != NULL && strcmp(point->name, name) != 0)
            continue;
        found = true;
        if (point->set)
            fiu_disable(point->name);
        pthread_mutex_lock(&mutex);
        point->set = false;
        pthread_mutex_unlock(&mutex);
    }
    return found ? EVT_OK : EVT_NONE;
}

json_t *fault_list(void)
{
    json_t *list = json_array();
    bool listed[POINTS_MAX] = {false};

    pthread_mutex_lock(&mutex);
    for (size_t n = 0; n < point_count; n++) {
        const struct point *next = NULL;

        for (size_t i = 0; i < point_count; i++)
            if (!listed[i] &&
                (next == NULL || strcmp(points[i].name, next->name) < 0))
                next = &points[i];
        listed[next - points] = true;
        json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:b,s:i,s:i,s:i,s:I,s:I}", "point", next->name,
                      "what", next->what, "set", next->set, "after",
                      (int)next->after, "times", (int)next->times, "percent",
                      (int)next->percent, "passed", (json_int_t)next->passed,
                      "fired", (json_int_t)next->fired));
    }
    pthread_mutex_unlock(&mutex);
    return list;
}
