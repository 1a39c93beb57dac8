/* flow_print.c - the choreography in print: a ladder, a table, a flowchart.
 *
 * Nothing is drawn by hand.  The way up is the longest chain of first outcomes
 * that a client's command starts (rules name the good outcome first); the way
 * down is all else that leads to a compensation, ordered by how far it still
 * has to go.  See flow.h. */
#include "core/flow.h"

#include <string.h>

/* ---- the ladder ---------------------------------------------------------- */

enum {
    FIRST_LANE = 17, /* the middle of the first service's lane */
    LANE = 13,
    NOTES = 53 /* the column of what stands beside the lanes */
};

struct ladder {
    FILE *out;
    const struct domain *domain;
    const struct service *const *services;
    size_t count;
    unsigned up[TYPES_MAX]; /* a command, then its events */
    size_t up_count;
    int level[TYPES_MAX]; /* steps still to go down; -1: not on the way */
};

/* What @type leads to if all goes well; NO_MESSAGE: nothing. */
static unsigned good_outcome(const struct ladder *ladder, unsigned type)
{
    for (size_t i = 0; i < ladder->count; i++) {
        const struct rule *rule = service_rule(ladder->services[i], type);

        if (rule != NULL && rule->may_emit[0] != NO_MESSAGE)
            return rule->may_emit[0];
    }
    return NO_MESSAGE;
}

static void find_way_up(struct ladder *ladder)
{
    for (unsigned command = 1; command < TYPES_MAX; command++) {
        const struct message *message = domain_message(ladder->domain, command);
        unsigned path[TYPES_MAX], type = command;
        size_t length = 0;

        if (message == NULL || !message->is_command ||
            flow_writer(ladder->services, ladder->count, command) != NULL)
            continue; /* a client's commands only */
        while (type != NO_MESSAGE && length < TYPES_MAX) {
            path[length++] = type;
            type = good_outcome(ladder, type);
        }
        if (length > ladder->up_count) {
            memcpy(ladder->up, path, sizeof path);
            ladder->up_count = length;
        }
    }
}

/* Raises the level of @type above what it leads to; whether it had to. */
static bool raise_level(struct ladder *ladder, unsigned type)
{
    int least = domain_undoes(ladder->domain, type) != NO_MESSAGE ? 0 : -1;

    for (size_t i = 0; i < ladder->count; i++) {
        const struct rule *rule = service_rule(ladder->services[i], type);

        for (size_t j = 0; rule != NULL && j < MAY_EMIT_MAX; j++) {
            unsigned to = rule->may_emit[j];

            if (to != NO_MESSAGE && ladder->level[to] >= 0 &&
                ladder->level[to] + 1 > least)
                least = ladder->level[to] + 1;
        }
    }
    if (least <= ladder->level[type] || least >= TYPES_MAX)
        return false;
    ladder->level[type] = least;
    return true;
}

/* Whether one of these services writes or takes @type. */
static bool is_ours(const struct ladder *ladder, unsigned type)
{
    const struct message *message = domain_message(ladder->domain, type);

    return message != NULL &&
           (message->is_command ||
            flow_writer(ladder->services, ladder->count, type) != NULL);
}

static void find_way_down(struct ladder *ladder)
{
    bool raised = true;

    memset(ladder->level, -1, sizeof ladder->level);
    while (raised) {
        raised = false;
        for (unsigned type = 1; type < TYPES_MAX; type++) {
            if (is_ours(ladder, type) &&
                !event_type_in(type, ladder->up, ladder->up_count))
                raised = raise_level(ladder, type) || raised;
        }
    }
}

/* The middle of the lane in which @type stands: a command stands with the one
 * who takes it. */
static int lane_of(const struct ladder *ladder, unsigned type)
{
    const struct service *writer =
        flow_writer(ladder->services, ladder->count, type);
    bool command = domain_message(ladder->domain, type)->is_command;

    for (size_t i = 0; i < ladder->count; i++) {
        if (command ? service_rule(ladder->services[i], type) != NULL
                    : ladder->services[i] == writer)
            return FIRST_LANE + LANE * (int)i;
    }
    return FIRST_LANE;
}

static const char *label_of(const struct ladder *ladder, unsigned type)
{
    const struct service *writer =
        flow_writer(ladder->services, ladder->count, type);

    if (domain_message(ladder->domain, type)->is_command)
        return writer == NULL ? "client" : "timer";
    return writer == NULL ? "?" : writer->name;
}

static void repeat(FILE *out, char what, int times)
{
    for (int i = 0; i < times; i++)
        fputc(what, out);
}

/* "undoes Reserved", "instead of Reserved", "30 s after Asked", or nothing. */
static void note_on(const struct ladder *ladder, unsigned type, char *note,
                    size_t size)
{
    unsigned undone = domain_undoes(ladder->domain, type);

    note[0] = '\0';
    if (undone != NO_MESSAGE)
        snprintf(note, size, "undoes %s",
                 domain_type_name(ladder->domain, undone));
    for (size_t i = 0; i < ladder->count && note[0] == '\0'; i++) {
        const struct service *service = ladder->services[i];

        for (size_t r = 0; r < service->rule_count; r++) {
            const unsigned *may = service->rules[r].may_emit;

            if (may[0] != type && event_type_in(type, may, MAY_EMIT_MAX))
                snprintf(note, size, "instead of %s",
                         domain_type_name(ladder->domain, may[0]));
        }
        for (size_t t = 0; t < service->timer_count; t++) {
            if (service->timers[t].send == type)
                snprintf(
                    note, size, "%g s after %s",
                    service->timers[t].default_ms / 1000.0,
                    domain_type_name(ladder->domain, service->timers[t].from));
        }
    }
}

/* One line.  @from > 0: an arrow comes from that column; @to > 0: one goes to
 * that column.  Returns whether @to was drawn: there may be no room. */
static bool print_rung(const struct ladder *ladder, const char *label,
                       unsigned type, int from, int to)
{
    const char *name = domain_type_name(ladder->domain, type);
    int middle = lane_of(ladder, type), length = (int)strlen(name);
    int at = middle - length / 2 + length; /* the column behind the name */
    char note[64];

    note_on(ladder, type, note, sizeof note);
    fprintf(ladder->out, "  %-*s%s", at - length - 2, label, name);
    if (from > at + 2) {
        fputs(" <", ladder->out);
        repeat(ladder->out, '-', from - at - 2);
        fputc('+', ladder->out);
        at = from + 1;
        to = 0;
    } else if (note[0] == '\0' && to > at + 1) {
        fputc(' ', ladder->out);
        repeat(ladder->out, '-', to - at - 1);
        fputc('+', ladder->out);
    } else {
        to = 0;
    }
    if (note[0] != '\0')
        fprintf(ladder->out, "%*s%s", NOTES >= at + 2 ? NOTES - at : 2, "",
                note);
    fputc('\n', ladder->out);
    return to > 0;
}

/* The line or lines between a rung at @from and the next at @to. */
static void print_between(const struct ladder *ladder, int from, int to,
                          bool drawn)
{
    if (to <= from) {
        fprintf(ladder->out, "%*s|\n", from, "");
        return;
    }
    if (!drawn) {
        fprintf(ladder->out, "%*s+", from, "");
        repeat(ladder->out, '-', to - from - 1);
        fputs("+\n", ladder->out);
    }
    fprintf(ladder->out, "%*sv\n", to, "");
}

static void print_way_up(const struct ladder *ladder)
{
    int from = 0;

    for (size_t i = 0; i < ladder->up_count; i++) {
        unsigned type = ladder->up[i];
        bool last = i + 1 == ladder->up_count;
        int at = lane_of(ladder, type);
        int to = last ? 0 : lane_of(ladder, ladder->up[i + 1]);
        bool drawn = print_rung(ladder, label_of(ladder, type), type,
                                from > at ? from : 0, to > at ? to : 0);

        if (!last)
            print_between(ladder, at, to, drawn);
        from = at;
    }
}

/* Whether a message of @level leads straight to @type. */
static bool is_led_to(const struct ladder *ladder, int level, unsigned type)
{
    for (unsigned from = 1; from < TYPES_MAX; from++) {
        for (size_t i = 0; i < ladder->count; i++) {
            const struct rule *rule = service_rule(ladder->services[i], from);

            if (ladder->level[from] == level && rule != NULL &&
                event_type_in(type, rule->may_emit, MAY_EMIT_MAX))
                return true;
        }
    }
    return false;
}

/* The types of @level: first what the level above leads to, then what begins
 * the way down here. */
static size_t types_at(const struct ladder *ladder, int level,
                       unsigned types[TYPES_MAX])
{
    size_t count = 0;

    for (int led = 1; led >= 0; led--) {
        for (unsigned type = 1; type < TYPES_MAX; type++) {
            if (ladder->level[type] == level &&
                is_led_to(ladder, level + 1, type) == (led == 1))
                types[count++] = type;
        }
    }
    return count;
}

static void print_way_down(const struct ladder *ladder)
{
    unsigned types[TYPES_MAX];
    int from = 0;
    bool drawn = false;

    for (int level = TYPES_MAX - 1; level >= 0; level--) {
        size_t count = types_at(ladder, level, types);
        const char *label = "";

        if (count > 0 && from > 0)
            print_between(ladder, from, lane_of(ladder, types[0]), drawn);
        for (size_t i = 0; i < count; i++) {
            unsigned next[TYPES_MAX];
            bool same = strcmp(label, label_of(ladder, types[i])) == 0;
            int at = lane_of(ladder, types[i]), to = 0;

            if (i + 1 == count && level > 0 &&
                types_at(ladder, level - 1, next) > 0)
                to = lane_of(ladder, next[0]);
            label = label_of(ladder, types[i]);
            drawn =
                print_rung(ladder, same ? "" : label, types[i],
                           i == 0 && from > at ? from : 0, to > at ? to : 0);
        }
        if (count > 0)
            from = lane_of(ladder, types[count - 1]);
    }
}

void flow_print_ladder(FILE *out, const struct domain *domain,
                       const struct service *const services[], size_t count)
{
    struct ladder ladder = {
        .out = out, .domain = domain, .services = services, .count = count};

    find_way_up(&ladder);
    find_way_down(&ladder);
    fputs("Forward: each event triggers the next step.\n\n", out);
    print_way_up(&ladder);
    fputs("\nBackward: each compensation triggers the one before it.\n\n", out);
    print_way_down(&ladder);
}

/* ---- the table ----------------------------------------------------------- */

enum { TYPE_COLUMNS = 16, NAME_COLUMNS = 9, LINE_BYTES = 80 };

/* What the two tables below are printed from, and where. */
struct tables {
    FILE *out;
    const struct domain *domain;
    const struct service *const *services;
    size_t count;
    int types, names; /* columns for a message and for a service */
};

static const char *origin(const struct tables *tables, unsigned type)
{
    const struct service *writer =
        flow_writer(tables->services, tables->count, type);

    return writer != NULL ? writer->name : "client";
}

static void print_types(const struct tables *tables, const unsigned *types,
                        size_t max, const char *between)
{
    for (size_t i = 0; i < max && types[i] != NO_MESSAGE; i++)
        fprintf(tables->out, "%s%s", i > 0 ? between : "",
                domain_type_name(tables->domain, types[i]));
}

/* The first two columns, on a type's first line only. */
static void print_left(const struct tables *tables, const char *type,
                       const char *from, bool *first)
{
    fprintf(tables->out, "%-*s %-*s ", tables->types, *first ? type : "",
            tables->names, *first ? from : "");
    *first = false;
}

static void print_timer(const struct tables *tables, const struct timer *timer)
{
    FILE *out = tables->out;
    const int left = tables->types + 2 * tables->names + 3;
    int column = left;

    column += fprintf(out, "%s after %g s, unless",
                      domain_type_name(tables->domain, timer->send),
                      timer->default_ms / 1000.0);
    for (size_t i = 0; i < UNLESS_MAX && timer->unless[i] != NO_MESSAGE; i++) {
        const char *name = domain_type_name(tables->domain, timer->unless[i]);
        bool more = i + 1 < UNLESS_MAX && timer->unless[i + 1] != NO_MESSAGE;

        if (column + 1 + (int)strlen(name) + more > LINE_BYTES) {
            fprintf(out, "\n%*s", left - 1, "");
            column = left - 1;
        }
        column += fprintf(out, " %s%s", name, more ? "," : "");
    }
    fputc('\n', out);
}

static void print_reactions(const struct tables *tables, unsigned type)
{
    FILE *out = tables->out;
    const char *name = domain_type_name(tables->domain, type);
    const char *from = origin(tables, type);
    bool first = true;

    for (size_t i = 0; i < tables->count; i++) {
        const struct service *service = tables->services[i];
        const struct rule *rule = service_rule(service, type);

        if (rule != NULL) {
            print_left(tables, name, from, &first);
            fprintf(out, "%-*s ", tables->names, service->name);
            print_types(tables, rule->may_emit, MAY_EMIT_MAX, " | ");
            fputs(rule->may_emit[0] == NO_MESSAGE ? "nothing\n" : "\n", out);
        }
        for (size_t t = 0; t < service->timer_count; t++) {
            if (service->timers[t].from != type)
                continue;
            print_left(tables, name, from, &first);
            fprintf(out, "%-*s ", tables->names, service->name);
            print_timer(tables, &service->timers[t]);
        }
    }
    if (first && flow_writer(tables->services, tables->count, type) != NULL) {
        print_left(tables, name, from, &first);
        fputs("nobody\n", out);
    }
}

static void widen(int *columns, const char *name)
{
    if ((int)strlen(name) > *columns)
        *columns = (int)strlen(name);
}

void flow_print(FILE *out, const struct domain *domain,
                const struct service *const services[], size_t count)
{
    struct tables tables = {out,   domain,       services,
                            count, TYPE_COLUMNS, NAME_COLUMNS};

    for (unsigned type = 1; type < TYPES_MAX; type++)
        widen(&tables.types, domain_type_name(domain, type));
    for (size_t i = 0; i < count; i++)
        widen(&tables.names, services[i]->name);
    fprintf(out, "%-*s %-*s %-*s %s\n", tables.types, "on", tables.names,
            "from", tables.names, "reacts", "may emit");
    for (unsigned type = 1; type < TYPES_MAX; type++)
        print_reactions(&tables, type);
}

/* ---- the flowchart ------------------------------------------------------- */

static void mermaid_nodes(const struct tables *tables,
                          const struct service *service)
{
    FILE *out = tables->out;

    fprintf(out, "    subgraph %s\n", service->name);
    for (unsigned type = 1; type < TYPES_MAX; type++) {
        const struct message *message = domain_message(tables->domain, type);
        const char *name = message == NULL ? "" : message->name;

        if (message != NULL && message->is_command) {
            if (service_rule(service, type) != NULL)
                fprintf(out, "        %s([%s])\n", name, name);
        } else if (flow_writer(tables->services, tables->count, type) ==
                   service) {
            fprintf(out, "        %s\n", name);
        }
    }
    fputs("    end\n", out);
}

static void mermaid_edges(const struct tables *tables,
                          const struct service *service)
{
    FILE *out = tables->out;

    for (size_t i = 0; i < service->rule_count; i++) {
        const struct rule *rule = &service->rules[i];

        if (rule->may_emit[0] == NO_MESSAGE)
            continue;
        fprintf(out, "    %s --> ", domain_type_name(tables->domain, rule->on));
        print_types(tables, rule->may_emit, MAY_EMIT_MAX, " & ");
        fputc('\n', out);
    }
    for (size_t t = 0; t < service->timer_count; t++) {
        const struct timer *timer = &service->timers[t];

        fprintf(out, "    %s -. after %g s .-> %s\n",
                domain_type_name(tables->domain, timer->from),
                timer->default_ms / 1000.0,
                domain_type_name(tables->domain, timer->send));
    }
}

void flow_print_mermaid(FILE *out, const struct domain *domain,
                        const struct service *const services[], size_t count)
{
    struct tables tables = {out, domain, services, count, 0, 0};

    fputs("flowchart TD\n", out);
    for (size_t i = 0; i < count; i++)
        mermaid_nodes(&tables, services[i]);
    for (size_t i = 0; i < count; i++)
        mermaid_edges(&tables, services[i]);
}
