/* test_worlds.c - every interleaving of small worlds, through the real domains.
 *
 * What each world comes to (worlds, edges, end states) stands in worlds.txt
 * and is compared, so that no change of the choreography passes unnoticed;
 * `make worlds` writes it again: then read the diff.  worlds.txt also says what
 * becomes of each world when a decision sees a wrong state, one guard after
 * another: a search that does not notice a missing guard proves nothing.  The
 * shortest way to what is broken is shown.
 *
 * The ladder is the same search where a protection is missing.  `make lab-test`
 * builds this file with patched domains (lab/), passes their names in
 * $LAB_WITHOUT, and lab/worlds.txt says what the search has to find.  Next:
 * world.c, which does the walking. */
#include "scratch.h"
#include "shop/shop.h"
#include "world.h"

#include <criterion/criterion.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

/* ---- how a saga may end ------------------------------------------------- */

enum { ENDS = 6, PAIRS_MAX = 64, PAIR_BYTES = 2 * END_BYTES + 4 };
static const char *const good_ends[ENDS] = {
    "CONFIRMED/SHIPPED/CHARGED",   "CANCELLED/REJECTED/NONE",
    "CANCELLED/REJECTED/VOIDED",   "CANCELLED/RELEASED/DECLINED",
    "CANCELLED/RELEASED/REFUNDED", "CANCELLED/RELEASED/VOIDED",
};

static bool is_good_end(const char *end)
{
    for (unsigned i = 0; i < ENDS; i++) {
        if (strcmp(good_ends[i], end) == 0)
            return true;
    }
    return false;
}

/* ---- the small worlds --------------------------------------------------- */

/* Widgets cost 19.90, and every order is for two of them. */
struct small_world {
    const char *name;
    int64_t widgets, cents; /* in stock; on alice's account */
    unsigned orders;
    bool placed;   /* before it begins; otherwise at any moment */
    bool cancels;  /* of every order, at any moment */
    bool deadline; /* of every order, at any moment */
    bool crashes;  /* of every service, at any moment */
    /* How many orders are confirmed when all is quiet: never more than @most,
     * and (nobody cancels) not less than @least. */
    unsigned least, most;
};

// clang-format off
static const struct small_world one_order[] = {
    {"one order", 2, 3980, 1, true, true, true, false, 0, 1},
    {"one order, too little money", 2, 3979, 1, true, true, true, false, 0, 0},
    {"one order, too little stock", 1, 3980, 1, true, true, true, false, 0, 0},
    {"one order, too little of both", 1, 3979, 1, true, true, true, false, 0, 0},
    {"one order, nobody cancels", 2, 3980, 1, true, false, false, false, 1, 1},
};
static const struct small_world two_orders[] = {
    {"two orders, one unit", 2, 100000, 2, false, false, false, false, 1, 1},
    {"two orders, one balance", 10, 3980, 2, false, false, false, false, 1, 1},
    {"two orders, one unit, cancels and deadlines",
     2, 100000, 2, true, true, true, false, 0, 1},
};
static const struct small_world restarts[] = {
    {"one order, restarts", 2, 3980, 1, true, true, true, true, 0, 1},
    {"one order, too little money, restarts",
     2, 3979, 1, true, true, true, true, 0, 0},
    {"one order, too little stock, restarts",
     1, 3980, 1, true, true, true, true, 0, 0},
};
// clang-format on

/* Products, stock and money, all settled. */
static struct world shop(const struct small_world *small)
{
    struct world world = {0};
    struct event listed = a_sku(LIST_PRODUCT, "widget", 0, 1990);
    struct event received = a_sku(RECEIVE_STOCK, "widget", small->widgets, 0);
    struct event deposited = a_deposit("alice", small->cents);

    (void)world_command(&world, &listed, "s-1"); /* setup, never refused */
    (void)world_command(&world, &received, "s-2");
    (void)world_command(&world, &deposited, "s-3");
    world_settle(&world);
    return world;
}

static const char *order_id(unsigned i)
{
    static const char *const ids[] = {"o-1", "o-2"};

    return ids[i];
}

/* ---- what is missing: a program of the lab, or the real one ------------ */

static const char *without(void)
{
    const char *names = getenv("LAB_WITHOUT");

    return names != NULL && names[0] != '\0' ? names : "nothing";
}

static bool is_without(const char *name)
{
    size_t length = strlen(name);

    for (const char *at = without(); at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && strchr(",", at[length]) != NULL)
            return true;
    }
    return false;
}

/* ---- walking one -------------------------------------------------------- */

/* What was seen in the quiet worlds: how its orders ended, how often. */
struct seen {
    const struct small_world *small;
    bool repeats; /* every old event again, in every world */
    size_t count;
    struct pair {
        char text[PAIR_BYTES];
        size_t times;
    } pairs[PAIRS_MAX];
};

static void count_pair(struct seen *seen, const char *text)
{
    size_t i = 0;

    while (i < seen->count && strcmp(seen->pairs[i].text, text) != 0)
        i++;
    if (i == seen->count) {
        cr_assert_lt(seen->count, PAIRS_MAX);
        snprintf(seen->pairs[seen->count++].text, PAIR_BYTES, "%s", text);
    }
    seen->pairs[i].times++;
}

/* HC13, HC36: even if the inbox were lost, what was handled once is never
 * handled again. */
static const char *repeat_all(const struct world *world)
{
    for (unsigned c = 0; c < SERVICES; c++) {
        for (unsigned p = 0; p < SERVICES; p++) {
            for (unsigned seq = 1; seq <= world->cursor[c][p]; seq++) {
                struct world again = *world;

                (void)world_redeliver(&again, c, p, seq, false);
                (void)world_redeliver(&again, c, p, seq, true);
                if (memcmp(&again.length, &world->length,
                           sizeof again.length) != 0)
                    return "HC13: an old event was handled again";
            }
        }
    }
    return NULL;
}

static const char *look(void *ctx, const struct world *world, bool quiet)
{
    struct seen *seen = ctx;
    const struct small_world *small = seen->small;
    char ends[2][END_BYTES] = {"", ""}, pair[PAIR_BYTES];
    unsigned won = 0, placed = 0;

    for (unsigned i = 0; i < small->orders; i++) {
        const char *end = world_end(world, order_id(i), ends[i]);

        won += strncmp(end, "CONFIRMED", 9) == 0;
        placed += strncmp(end, "NONE", 4) != 0;
        if (quiet && strncmp(end, "NONE", 4) != 0 && !is_good_end(end))
            return "a quiet saga in none of the six end states";
    }
    if (won > small->most)
        return "more orders were confirmed than there is for them";
    if (quiet && placed == small->orders && won < small->least)
        return "fewer orders were confirmed than there is for them";
    if (quiet) {
        snprintf(pair, sizeof pair, "%s%s%s", ends[0],
                 small->orders > 1 ? " | " : "", ends[1]);
        count_pair(seen, pair);
    }
    return seen->repeats ? repeat_all(world) : NULL;
}

static struct explored walk(const struct small_world *small, bool repeats,
                            struct seen *seen)
{
    struct event commands[4];
    struct script script = {commands, 0, false};
    struct world start = shop(small);

    for (unsigned i = 0; i < small->orders; i++) {
        struct event order = a_place(order_id(i), "alice");

        with_line(&order, "widget", 2, 0);
        if (small->placed)
            (void)world_command(&start, &order, order_id(i)); /* in the log */
        else
            commands[script.command_count++] = order;
    }
    for (unsigned i = 0; small->cancels && i < small->orders; i++)
        commands[script.command_count++] =
            an_event(NULL, CANCEL_ORDER, order_id(i));
    if (small->crashes) {
        start.crashes = 1;
        memcpy(start.durable, start.cursor, sizeof start.durable);
    }
    start.no_inbox = is_without("inbox");
    start.no_catchup = is_without("catchup");
    script.deadlines = small->deadline && !is_without("deadline");
    *seen = (struct seen){.small = small, .repeats = repeats};
    return world_explore(&start, &script, look, seen);
}

/* ---- what it comes to, as worlds.txt has it ----------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->text,
                  ((const struct pair *)b)->text);
}

static void print_world(FILE *out, const struct small_world *small,
                        const struct explored *found, struct seen *seen)
{
    fprintf(out, "%s: %zu worlds, %zu edges, %zu quiet\n", small->name,
            found->worlds, found->edges, found->quiet);
    qsort(seen->pairs, seen->count, sizeof seen->pairs[0], by_text);
    for (size_t i = 0; i < seen->count; i++)
        fprintf(out, "    %4zu  %s\n", seen->pairs[i].times,
                seen->pairs[i].text);
}

static void print_worlds(FILE *out, const struct small_world *worlds,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct seen seen;
        struct explored found = walk(&worlds[i], true, &seen);

        cr_assert_null(found.violation, "%s: %s", worlds[i].name,
                       found.violation);
        print_world(out, &worlds[i], &found, &seen);
        fputc('\n', out);
    }
}

/* Compares @text with the part of @name (as seen from this file) that begins
 * with the line "== @part", or writes it where @write_to says. */
static void compare(const char *name, const char *write_to, const char *part,
                    const char *text)
{
    char here[] = __FILE__, path[512], head[80];
    char *golden, *from, *end;

    snprintf(head, sizeof head, "== %s\n\n", part);
    if (write_to != NULL) {
        FILE *out = fopen(write_to, "a");

        cr_assert_not_null(out, "%s", write_to);
        fprintf(out, "%s%s", head, text);
        fclose(out);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", dirname(here), name);
    golden = scratch_text(path);
    from = strstr(golden, head);
    cr_assert_not_null(from, "%s has no part '%s'", path, part);
    from += strlen(head);
    end = strstr(from, "== ");
    if (end != NULL)
        *end = '\0';
    cr_assert_str_eq(text, from, "%s differs; '%s' now reads:\n%s", path, part,
                     text);
    free(golden);
}

static void compare_worlds(const char *part, const char *text)
{
    compare("worlds.txt", getenv("SAGA_WORLDS"), part, text);
}

static void explore_part(const char *part, const struct small_world *worlds,
                         size_t count)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    cr_assert_not_null(out);
    print_worlds(out, worlds, count);
    fclose(out);
    compare_worlds(part, text);
    free(text);
}

#define PART(worlds) worlds, sizeof worlds / sizeof worlds[0]

/* HC19, HC22, HC30, HC31, HC34, HC35: a cancel and a deadline at any moment of
 * one order, with and without stock, with and without money; and every old
 * event again at any moment. */
Test(every_interleaving,
     of_one_order_ends_in_one_of_the_six_states) /* F33 F43 F44 */
{
    explore_part("one order", PART(one_order));
}

/* HC19, HC22, HC26, HC31, HC34 */
Test(every_interleaving, of_two_orders_gives_what_there_is_to_exactly_one)
{
    explore_part("two orders", PART(two_orders));
}

/* HC6, HC14, HC38: a restart hands out again what was consumed without an
 * event after the cursors were last made durable. */
Test(every_interleaving,
     with_a_restart_at_any_moment_comes_to_the_same_ends) /* F33 */
{
    explore_part("restarts", PART(restarts));
    for (size_t i = 0; i < sizeof restarts / sizeof restarts[0]; i++) {
        struct seen with, without;
        struct explored found = walk(&restarts[i], false, &with);

        free(found.violation); /* NULL, as the part above has asserted */
        found = walk(&one_order[i], false, &without);
        free(found.violation);
        qsort(with.pairs, with.count, sizeof with.pairs[0], by_text);
        qsort(without.pairs, without.count, sizeof without.pairs[0], by_text);
        cr_assert_eq(with.count, without.count, "%s", restarts[i].name);
        for (size_t k = 0; k < with.count; k++)
            cr_assert_str_eq(with.pairs[k].text, without.pairs[k].text);
    }
}

Test(every_interleaving, reaches_each_of_the_six_end_states)
{
    bool reached[ENDS] = {0};

    for (size_t i = 0; i < sizeof one_order / sizeof one_order[0]; i++) {
        struct seen seen;
        struct explored found = walk(&one_order[i], false, &seen);

        free(found.violation);
        for (size_t k = 0; k < seen.count; k++)
            for (unsigned e = 0; e < ENDS; e++)
                reached[e] |= strcmp(seen.pairs[k].text, good_ends[e]) == 0;
    }
    for (unsigned e = 0; e < ENDS; e++)
        cr_assert(reached[e], "no saga ends as %s", good_ends[e]);
}

/* ---- teeth: guards that are gone ---------------------------------------- */

enum { SMALL_WORLDS = 7 };
static const struct small_world *small_world(size_t i)
{
    return i < 5 ? &one_order[i] : &two_orders[i - 5];
}

static size_t lines_of(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static struct explored walk_deceived(const struct delusion *delusion, size_t i,
                                     bool repeats)
{
    struct explored found;
    struct seen seen;

    world_delusion = *delusion;
    found = walk(small_world(i), repeats, &seen);
    world_delusion = (struct delusion){.on = NO_MESSAGE};
    return found;
}

/* The first broken invariant under @delusion, in a line.  False: none. */
static bool breaks(const struct delusion *delusion, bool repeats, FILE *out)
{
    for (size_t i = 0; i < SMALL_WORLDS; i++) {
        struct explored found = walk_deceived(delusion, i, repeats);

        if (found.violation == NULL)
            continue;
        fprintf(out, "%.*s (%s, %zu steps)",
                (int)strcspn(found.violation, "\n"), found.violation,
                small_world(i)->name, (lines_of(found.violation) - 1) / 2);
        free(found.violation);
        return true;
    }
    return false;
}

/* Whether the small worlds come to something else than in truth, in a line. */
static bool changes(const struct delusion *delusion, FILE *out)
{
    for (size_t i = 0; i < SMALL_WORLDS; i++) {
        struct seen seen;
        struct explored truth = walk(small_world(i), false, &seen);
        struct explored found = walk_deceived(delusion, i, false);

        if (found.worlds == truth.worlds && found.edges == truth.edges)
            continue;
        fprintf(out, "%zu worlds, not %zu (%s)", found.worlds, truth.worlds,
                small_world(i)->name);
        return true;
    }
    return false;
}

static void print_deceived(const struct delusion *delusion, FILE *out)
{
    if (!breaks(delusion, false, out) && !breaks(delusion, true, out) &&
        !changes(delusion, out))
        fputs("nothing", out);
}

static const struct field *status_of(const struct kind *kind)
{
    const struct field *field = kind->fields;

    while (field->name != NULL && field->names == NULL)
        field++;
    return field->name != NULL ? field : NULL;
}

static void deceive_kind(FILE *out, const struct rule *rule,
                         const struct kind *kind)
{
    const struct field *status = status_of(kind);
    int last = status != NULL ? (int)status->max : -1;

    for (int told = status != NULL ? 0 : -1; told <= last; told++) {
        struct delusion delusion = {rule->on, kind->name, told};

        fprintf(out, "%-16s %-11s %-10s -> ", shop_type_name(rule->on),
                kind->name, told < 0 ? "huge" : status->names[told]);
        print_deceived(&delusion, out);
        fputc('\n', out);
    }
}

static bool is_setup(unsigned type)
{
    return type == LIST_PRODUCT || type == RECEIVE_STOCK ||
           type == DEPOSIT_FUNDS;
}

/* Every decision is told another status, or that there is plenty on shelves
 * and accounts: each is one guard less. */
Test(teeth, a_guard_that_is_gone_is_missed)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    cr_assert_not_null(out);
    for (unsigned s = 0; s < SERVICES; s++) {
        const struct service *service = roster_services[s];

        for (size_t r = 0; r < service->rule_count; r++)
            for (size_t k = 0; k < service->kind_count; k++)
                if (!is_setup(service->rules[r].on))
                    deceive_kind(out, &service->rules[r], &service->kinds[k]);
    }
    fclose(out);
    compare_worlds("teeth", text);
    free(text);
}

/* ---- the ladder: what each protection is for ---------------------------- */

/* The small worlds, and some with few things that may happen: the less there
 * is, the plainer is what goes wrong. */
// clang-format off
static const struct small_world plain[] = {
    {"one order, a deadline", 2, 3980, 1, true, false, true, false, 0, 1},
    {"one order, restarts, nobody cancels",
     2, 3980, 1, true, false, false, true, 1, 1},
    {"one order, restarts", 2, 3980, 1, true, true, true, true, 0, 1},
};
// clang-format on
enum { RUNGS = SMALL_WORLDS + sizeof plain / sizeof plain[0] };
static const struct small_world *rung(size_t i)
{
    return i < SMALL_WORLDS ? small_world(i) : &plain[i - SMALL_WORLDS];
}

static size_t first_line(const char *text)
{
    return strcspn(text, "\n");
}

/* Another world before number @i is broken in the same way. */
static bool is_known(const struct explored found[RUNGS], size_t i)
{
    const char *violation = found[i].violation;
    size_t length = first_line(violation);

    for (size_t k = 0; k < i; k++) {
        if (found[k].violation != NULL &&
            first_line(found[k].violation) == length &&
            strncmp(found[k].violation, violation, length) == 0)
            return true;
    }
    return false;
}

/* What breaks there, by the shortest way, and how its orders stand then. */
static void print_way(FILE *out, const struct small_world *small,
                      const struct explored *found)
{
    char end[END_BYTES];

    fprintf(out, "-- %s: %s", small->name, found->violation);
    for (unsigned i = 0; i < small->orders; i++)
        fprintf(out, "=> %s is %s\n", order_id(i),
                world_end(&found->broken, order_id(i), end));
    fputc('\n', out);
}

static void print_ladder(FILE *out)
{
    static struct explored found[RUNGS];

    for (size_t i = 0; i < RUNGS; i++) {
        struct seen seen;

        found[i] = walk(rung(i), false, &seen);
        fprintf(out, "%s: ", rung(i)->name);
        if (found[i].violation == NULL)
            fprintf(out, "%zu worlds, all hold\n", found[i].worlds);
        else
            fprintf(out, "%.*s (%zu steps)\n",
                    (int)first_line(found[i].violation), found[i].violation,
                    found[i].steps);
    }
    fputc('\n', out);
    for (size_t i = 0; i < RUNGS; i++) {
        if (found[i].violation != NULL && !is_known(found, i))
            print_way(out, rung(i), &found[i]);
    }
    for (size_t i = 0; i < RUNGS; i++)
        free(found[i].violation);
}

/* The complete code holds everywhere; what a lab's program does instead is
 * exactly what lab/worlds.txt says of it. */
Test(ladder, each_protection_that_is_missing_is_missed)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    cr_assert_not_null(out);
    print_ladder(out);
    fclose(out);
    compare("../lab/worlds.txt", getenv("LAB_WORLDS"), without(), text);
    free(text);
}

/* ---- the explorer itself ------------------------------------------------ */

static const char *no_refund(void *ctx, const struct world *world, bool quiet)
{
    char text[END_BYTES];

    (void)ctx;
    (void)quiet;
    return strstr(world_end(world, "o-1", text), "REFUNDED") != NULL
               ? "a refund"
               : NULL;
}

Test(explorer, shows_a_violation_by_the_shortest_way_to_it)
{
    struct event cancel = an_event(NULL, CANCEL_ORDER, "o-1");
    struct script script = {&cancel, 1, false};
    struct event order = a_place("o-1", "alice");
    struct world start = shop(&one_order[0]);
    struct explored found;

    with_line(&order, "widget", 2, 0);
    (void)world_command(&start, &order, "o-1"); /* seen in the log */
    found = world_explore(&start, &script, no_refund, NULL);
    cr_assert_not_null(found.violation);
    cr_assert_eq(strncmp(found.violation, "a refund\n", 9), 0);
    /* The words; then place, reserve, charge, cancel, refund need five steps
     * of which the first was before: OrderPlaced passes by payment, too. */
    cr_assert_eq(lines_of(found.violation), 1 + 2 * 5, "%s", found.violation);
    free(found.violation);
}
