/* seams.c - stands in for fault.c and logger.c in a simulation: a fault point
 * is one more place to die at, a log line one more line of the trace.
 *
 * It defines every function of fault.h and logger.h that the shell and the read
 * side call, so that the linker takes these.  Next: simvfs.h, the seam below
 * SQLite. */
#include "base/fault.h"
#include "base/logger.h"
#include "shop/shop.h"
#include "sim.h"
#include "simvfs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct sim *current;
static int acting = -1;

void seams_act(struct sim *sim, int node)
{
    current = sim;
    acting = node;
    simvfs_act(node);
}

void fault_open(bool enabled)
{
    (void)enabled;
}

void fault_declare(const char *name, const char *what)
{
    (void)name;
    (void)what;
}

bool fault_fires(const char *name)
{
    (void)name;
    return false;
}

void fault_hang(const char *name)
{
    (void)name;
}

void fault_crash(const char *name)
{
    struct node *node;

    if (acting < 0 || simvfs_dead(acting))
        return;
    node = &current->nodes[acting];
    if (node->point == NULL || strcmp(node->point, name) != 0 ||
        node->point_after-- > 0)
        return;
    node->point = NULL;
    node->died_at = name;
    simvfs_kill(acting);
}

void logger_open(const char *service, enum logger_level least)
{
    (void)service;
    (void)least;
}

void logger_fact(enum logger_level level, const char *order_id,
                 const char *event_id, const char *format, ...)
{
    char message[512];
    va_list arguments;

    if (current == NULL || acting < 0 || level < LOG_INFO ||
        simvfs_dead(acting))
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    sim_trace(current, "%s says: %s %s %s", shop_services[acting], message,
              order_id != NULL ? order_id : "",
              event_id != NULL ? event_id : "");
}
