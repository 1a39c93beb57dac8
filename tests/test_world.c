/* test_world.c - whole sagas through the three real domains.
 *
 * First as transcripts, compared with tests/transcripts/ (UPDATE_GOLDEN=1
 * writes them anew: then read the diff).  Then every interleaving of small
 * worlds: the numbers are printed and compared, so that a change of the
 * choreography cannot pass unnoticed. */
#include "world.h"

#include <criterion/criterion.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

/* ---- commands ---------------------------------------------------------------
 */

static struct event place(const char *order_id, const char *customer)
{
    struct event command = an_event(NULL, PLACE_ORDER, order_id);

    text_copy(command.data.customer, CUSTOMER_BYTES, customer);
    return command;
}

static struct event about_sku(enum message_type type, const char *sku,
                              int64_t quantity, int64_t price_cents)
{
    struct event command = an_event(NULL, type, "");

    text_copy(command.data.sku, SKU_BYTES, sku);
    command.data.quantity = quantity;
    command.data.price_cents = price_cents;
    return command;
}

static struct event deposit(const char *customer, int64_t cents)
{
    struct event command = an_event(NULL, DEPOSIT_FUNDS, "");

    text_copy(command.data.customer, CUSTOMER_BYTES, customer);
    command.data.amount_cents = cents;
    return command;
}

/* ---- transcripts ------------------------------------------------------------
 */

/* A world, and what was written down about it. */
struct tale {
    struct world world;
    FILE *out;
    char *text;
    size_t bytes;
};

static void note(struct tale *tale, struct step step)
{
    if (step.by_rule || step.refusal != NULL)
        world_print_step(tale->out, &step);
}

static void command(struct tale *tale, struct event command)
{
    static unsigned number;
    char id[ID_BYTES];

    snprintf(id, sizeof id, "c-%u", ++number);
    note(tale,
         world_command(&tale->world, &command,
                       command.type == PLACE_ORDER ? command.order_id : id));
}

static void hears(struct tale *tale, unsigned consumer, unsigned publisher)
{
    note(tale, world_deliver(&tale->world, consumer, publisher));
}

/* Everybody hears everything, in turn. */
static void settle(struct tale *tale)
{
    while (!world_quiet(&tale->world)) {
        for (unsigned c = 0; c < SERVICES; c++) {
            for (unsigned p = 0; p < SERVICES; p++)
                hears(tale, c, p);
        }
    }
}

static void begin(struct tale *tale, int64_t widgets, int64_t gadgets,
                  int64_t cents)
{
    memset(tale, 0, sizeof *tale);
    tale->out = open_memstream(&tale->text, &tale->bytes);
    cr_assert_not_null(tale->out);
    command(tale, about_sku(LIST_PRODUCT, "widget", 0, 1990));
    command(tale, about_sku(LIST_PRODUCT, "gadget", 0, 4900));
    if (widgets > 0)
        command(tale, about_sku(RECEIVE_STOCK, "widget", widgets, 0));
    if (gadgets > 0)
        command(tale, about_sku(RECEIVE_STOCK, "gadget", gadgets, 0));
    command(tale, deposit("alice", cents));
    settle(tale);
    fputc('\n', tale->out);
}

static void print_shelf(struct tale *tale, const char *sku)
{
    static const char *const parts[] = {"received", "free", "reserved",
                                        "shipped"};

    fprintf(tale->out, "%s:", sku);
    for (size_t i = 0; i < 4; i++)
        fprintf(tale->out, " %s %lld", parts[i],
                (long long)world_number(&tale->world, AT_INVENTORY, "shelf",
                                        sku, parts[i]));
    fputc('\n', tale->out);
}

/* The text of a file, "" if there is none; the caller frees it. */
static char *text_of(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = NULL;
    size_t bytes = 0;

    if (in != NULL && getdelim(&text, &bytes, '\0', in) < 0)
        *text = '\0';
    if (in != NULL)
        fclose(in);
    return text != NULL ? text : strdup("");
}

/* Settles, sums up, and compares with the transcript of that name. */
static void end(struct tale *tale, const char *name, unsigned orders)
{
    char here[] = __FILE__, path[512], id[] = "o-0", ending[END_BYTES];
    char *golden;

    settle(tale);
    fputc('\n', tale->out);
    for (unsigned i = 1; i <= orders; i++) {
        id[2] = (char)('0' + i);
        fprintf(tale->out, "%s: %s\n", id, world_end(&tale->world, id, ending));
    }
    print_shelf(tale, "widget");
    print_shelf(tale, "gadget");
    fprintf(tale->out, "alice: balance %lld cents\n",
            (long long)world_number(&tale->world, AT_PAYMENT, "account",
                                    "alice", "balance_cents"));
    fclose(tale->out);
    cr_assert_null(world_broken(&tale->world));
    snprintf(path, sizeof path, "%s/transcripts/%s.txt", dirname(here), name);
    if (getenv("UPDATE_GOLDEN") != NULL) {
        FILE *out = fopen(path, "w");

        cr_assert_not_null(out, "%s", path);
        fputs(tale->text, out);
        fclose(out);
    }
    golden = text_of(path);
    cr_assert_str_eq(tale->text, golden, "%s differs; now it reads:\n%s", path,
                     tale->text);
    free(golden);
    free(tale->text);
}

static struct event two_widgets(const char *order_id)
{
    struct event order = place(order_id, "alice");

    return *with_line(&order, "widget", 2, 0);
}

Test(transcript, a_happy_saga_climbs_to_its_top)
{
    struct tale tale;

    begin(&tale, 10, 0, 10000);
    command(&tale, two_widgets("o-1"));
    end(&tale, "happy", 1);
}

Test(transcript, a_declined_payment_puts_the_stock_back)
{
    struct tale tale;

    begin(&tale, 10, 0, 2000);
    command(&tale, two_widgets("o-1"));
    end(&tale, "declined", 1);
}

Test(transcript, an_order_that_is_out_of_stock_ends_at_the_first_rung)
{
    struct tale tale;

    begin(&tale, 1, 0, 10000);
    command(&tale, two_widgets("o-1"));
    end(&tale, "out-of-stock", 1);
}

/* HC22, HC31, HC34 */
Test(transcript, a_cancel_while_the_charge_is_in_flight_leads_to_a_refund)
{
    struct tale tale;

    begin(&tale, 10, 0, 10000);
    command(&tale, two_widgets("o-1"));
    hears(&tale, AT_INVENTORY, AT_ORDER);
    hears(&tale, AT_PAYMENT, AT_INVENTORY);
    command(&tale, an_event(NULL, CANCEL_ORDER, "o-1"));
    command(&tale, an_event(NULL, CANCEL_ORDER, "o-1")); /* impatient */
    end(&tale, "cancelled", 1);
}

/* HC31, HC34 */
Test(transcript, a_cancel_after_the_pivot_is_refused)
{
    struct tale tale;

    begin(&tale, 10, 0, 10000);
    command(&tale, two_widgets("o-1"));
    settle(&tale);
    note(&tale, world_expire(&tale.world, "o-1")); /* no timer is armed */
    command(&tale, an_event(NULL, CANCEL_ORDER, "o-1"));
    end(&tale, "too-late", 1);
}

/* HC24: payment is away until after the deadline. */
Test(transcript, an_order_expires_while_payment_is_away_and_ends_later)
{
    struct tale tale;

    begin(&tale, 10, 0, 10000);
    command(&tale, two_widgets("o-1"));
    hears(&tale, AT_INVENTORY, AT_ORDER);
    note(&tale, world_expire(&tale.world, "o-1"));
    end(&tale, "expired", 1);
}

/* HC16 */
Test(transcript, a_cancel_that_overtakes_the_reservation_voids_the_payment)
{
    struct tale tale;

    begin(&tale, 10, 0, 10000);
    command(&tale, two_widgets("o-1"));
    hears(&tale, AT_INVENTORY, AT_ORDER);
    command(&tale, an_event(NULL, CANCEL_ORDER, "o-1"));
    hears(&tale, AT_PAYMENT, AT_ORDER); /* OrderPlaced: passed over */
    hears(&tale, AT_PAYMENT, AT_ORDER);
    hears(&tale, AT_PAYMENT, AT_INVENTORY); /* StockReserved, too late */
    end(&tale, "voided", 1);
}

/* HC17, HC18 */
Test(transcript, a_release_that_overtakes_the_order_closes_the_reservation)
{
    struct tale tale;

    begin(&tale, 10, 0, 10000);
    command(&tale, two_widgets("o-1"));
    command(&tale, an_event(NULL, CANCEL_ORDER, "o-1"));
    hears(&tale, AT_PAYMENT, AT_ORDER); /* OrderPlaced: passed over */
    hears(&tale, AT_PAYMENT, AT_ORDER);
    hears(&tale, AT_INVENTORY, AT_PAYMENT);
    hears(&tale, AT_INVENTORY, AT_ORDER); /* OrderPlaced, too late */
    end(&tale, "closed", 1);
}

/* HC27 */
Test(transcript, one_short_line_of_several_reserves_nothing)
{
    struct event order = two_widgets("o-1");
    struct tale tale;

    begin(&tale, 10, 1, 100000);
    command(&tale, *with_line(&order, "gadget", 2, 0));
    end(&tale, "multi-line", 1);
}

/* HC26 */
Test(transcript, of_two_buyers_of_the_last_piece_exactly_one_gets_it)
{
    struct event first = place("o-1", "alice"), second = place("o-2", "bob");
    struct tale tale;

    begin(&tale, 1, 0, 10000);
    command(&tale, deposit("bob", 10000));
    command(&tale, *with_line(&second, "widget", 1, 0));
    command(&tale, *with_line(&first, "widget", 1, 0));
    end(&tale, "last-piece", 2);
}

/* HC15 */
Test(transcript, an_order_sent_again_counts_once)
{
    struct event order = two_widgets("o-1"), other = two_widgets("o-1");
    struct tale tale;
    uint16_t length;

    begin(&tale, 10, 0, 10000);
    command(&tale, order);
    length = tale.world.length[AT_ORDER];
    command(&tale, order);
    cr_assert_eq(tale.world.length[AT_ORDER], length);
    /* Even if the log did not know the command, the order would. */
    note(&tale, world_command(&tale.world, &order, "o-1-again"));
    with_line(&other, "gadget", 1, 0);
    note(&tale, world_command(&tale.world, &other, "o-1-other"));
    cr_assert_eq(tale.world.length[AT_ORDER], length);
    end(&tale, "sent-again", 1);
}

/* ---- every interleaving
 * ------------------------------------------------------- */

enum { ENDS = 6 };
static const char *const good_ends[ENDS] = {
    "CONFIRMED/SHIPPED/CHARGED",   "CANCELLED/REJECTED/NONE",
    "CANCELLED/REJECTED/VOIDED",   "CANCELLED/RELEASED/DECLINED",
    "CANCELLED/RELEASED/REFUNDED", "CANCELLED/RELEASED/VOIDED",
};

/* Which of the six, or ENDS. */
static unsigned end_number(const struct world *world, const char *order_id)
{
    char text[END_BYTES];
    unsigned i = 0;

    world_end(world, order_id, text);
    while (i < ENDS && strcmp(good_ends[i], text) != 0)
        i++;
    return i;
}

/* Products, @widgets in stock, @cents on alice's account, all settled. */
static struct world shop(int64_t widgets, int64_t cents)
{
    struct world world = {0};
    struct event listed = about_sku(LIST_PRODUCT, "widget", 0, 1990);
    struct event received = about_sku(RECEIVE_STOCK, "widget", widgets, 0);
    struct event deposited = deposit("alice", cents);

    (void)world_command(&world, &listed, "s-1"); /* setup, never refused */
    if (widgets > 0)
        (void)world_command(&world, &received, "s-2");
    (void)world_command(&world, &deposited, "s-3");
    world_settle(&world);
    return world;
}

static void report(const char *what, const struct explored *found)
{
    cr_log_info("%s: %zu worlds, %zu edges, %zu quiet\n", what, found->worlds,
                found->edges, found->quiet);
    cr_assert_null(found->violation, "%s: %s", what, found->violation);
}

struct one_order {
    const char *name;
    int64_t widgets, cents;
    size_t worlds, edges; /* as counted, so that a change is seen */
    bool ends[ENDS];      /* in the order of good_ends */
};

static const char *look_at_one(void *ctx, const struct world *world, bool quiet)
{
    bool *ends = ctx;
    unsigned end = end_number(world, "o-1");

    if (!quiet)
        return NULL;
    if (end == ENDS)
        return "a quiet saga in none of the six end states";
    ends[end] = true;
    return NULL;
}

/* HC19, HC22, HC30, HC31, HC34, HC35: a cancel and a deadline at any moment of
 * one order, with and without stock, with and without money. */
Test(every_interleaving, of_one_order_ends_in_one_of_the_six_states)
{
    static const struct one_order cases[] = {
        {"stock, money", 2, 3980, 558, 1457, {1, 0, 0, 0, 1, 1}},
        {"stock, no money", 2, 3979, 558, 1537, {0, 0, 0, 1, 0, 1}},
        {"no stock, money", 1, 3980, 282, 721, {0, 1, 1, 0, 0, 1}},
        {"no stock, no money", 1, 3979, 282, 721, {0, 1, 1, 0, 0, 1}},
    };
    struct event cancel = an_event(NULL, CANCEL_ORDER, "o-1");
    struct script script = {&cancel, 1, true};
    struct event order = two_widgets("o-1");
    bool all[ENDS] = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world start = shop(cases[i].widgets, cases[i].cents);
        bool ends[ENDS] = {0};
        struct explored found;

        (void)world_command(&start, &order, "o-1"); /* seen in the log */
        found = world_explore(&start, &script, look_at_one, ends);
        report(cases[i].name, &found);
        cr_assert_arr_eq(ends, cases[i].ends, sizeof ends, "%s: other ends",
                         cases[i].name);
        cr_assert_eq(found.worlds, cases[i].worlds);
        cr_assert_eq(found.edges, cases[i].edges);
        for (size_t e = 0; e < ENDS; e++)
            all[e] |= ends[e];
    }
    for (size_t e = 0; e < ENDS; e++)
        cr_assert(all[e], "no saga ends as %s", good_ends[e]);
}

/* HC13, HC36: even if the inbox were lost, what was handled once is never
 * handled again. */
static const char *repeat_all(void *ctx, const struct world *world, bool quiet)
{
    (void)ctx;
    (void)quiet;
    for (unsigned c = 0; c < SERVICES; c++) {
        for (unsigned p = 0; p < SERVICES; p++) {
            for (unsigned seq = 1; seq <= world->cursor[c][p]; seq++) {
                struct world again = *world;

                (void)world_redeliver(&again, c, p, seq, false);
                (void)world_redeliver(&again, c, p, seq, true);
                if (memcmp(&again, world, sizeof again) != 0)
                    return "HC13: an old event was handled again";
            }
        }
    }
    return NULL;
}

Test(every_interleaving, with_every_old_event_again_at_any_moment_is_the_same)
{
    struct event cancel = an_event(NULL, CANCEL_ORDER, "o-1");
    struct script script = {&cancel, 1, true};
    struct event order = two_widgets("o-1");

    for (int funds = 0; funds <= 1; funds++) {
        struct world start = shop(2, funds ? 3980 : 3979);
        struct explored found;

        (void)world_command(&start, &order, "o-1"); /* seen in the log */
        found = world_explore(&start, &script, repeat_all, NULL);
        report("duplicates", &found);
    }
}

/* Two orders, @ctx of which may be had. */
static const char *look_at_two(void *ctx, const struct world *world, bool quiet)
{
    const unsigned *wins = ctx;
    unsigned first = end_number(world, "o-1");
    unsigned second = end_number(world, "o-2");
    bool both = strcmp(world_word(world, AT_ORDER, "order", "o-1", "status"),
                       "NONE") != 0 &&
                strcmp(world_word(world, AT_ORDER, "order", "o-2", "status"),
                       "NONE") != 0;

    if (!quiet || !both)
        return NULL;
    if (first == ENDS || second == ENDS)
        return "a quiet saga in none of the six end states";
    if ((first == 0) + (second == 0) != (int)*wins)
        return "confirmed for too many, or for too few";
    return NULL;
}

/* HC26 */
Test(every_interleaving, of_two_orders_over_one_unit_gives_it_to_exactly_one)
{
    struct event commands[] = {two_widgets("o-1"), two_widgets("o-2")};
    struct script script = {commands, 2, false};
    struct world start = shop(2, 100000);
    unsigned wins = 1;
    struct explored found = world_explore(&start, &script, look_at_two, &wins);

    report("two orders, one unit", &found);
    cr_assert_eq(found.worlds, 1371);
    cr_assert_eq(found.edges, 4092);
}

Test(every_interleaving, of_two_orders_over_one_balance_charges_exactly_one)
{
    struct event commands[] = {two_widgets("o-1"), two_widgets("o-2")};
    struct script script = {commands, 2, false};
    struct world start = shop(10, 3980);
    unsigned wins = 1;
    struct explored found = world_explore(&start, &script, look_at_two, &wins);

    report("two orders, one balance", &found);
    cr_assert_eq(found.worlds, 2445);
    cr_assert_eq(found.edges, 7498);
}

/* A cancelled order's unit may go to the other: then one wins, or none. */
static const char *look_at_most_one(void *ctx, const struct world *world,
                                    bool quiet)
{
    unsigned first = end_number(world, "o-1");
    unsigned second = end_number(world, "o-2");

    (void)ctx;
    if (first == 0 && second == 0)
        return "one unit was sold twice";
    if (quiet && (first == ENDS || second == ENDS))
        return "a quiet saga in none of the six end states";
    return NULL;
}

/* HC19, HC22, HC26, HC31, HC34 */
Test(every_interleaving, of_two_orders_cancels_and_deadlines_sells_a_unit_once)
{
    struct event cancels[] = {an_event(NULL, CANCEL_ORDER, "o-1"),
                              an_event(NULL, CANCEL_ORDER, "o-2")};
    struct event first = two_widgets("o-1"), second = two_widgets("o-2");
    struct script script = {cancels, 2, true};
    struct world start = shop(2, 100000);
    struct explored found;

    (void)world_command(&start, &first, "o-1"); /* seen in the log */
    (void)world_command(&start, &second, "o-2");
    found = world_explore(&start, &script, look_at_most_one, NULL);
    report("two orders, one unit, cancels, deadlines", &found);
    cr_assert_eq(found.worlds, 95453);
    cr_assert_eq(found.edges, 326298);
}

/* ---- the explorer itself
 * ------------------------------------------------------- */

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
    struct event order = two_widgets("o-1");
    struct world start = shop(2, 3980);
    struct explored found;
    unsigned lines = 0;

    (void)world_command(&start, &order, "o-1"); /* seen in the log */
    found = world_explore(&start, &script, no_refund, NULL);
    cr_assert_not_null(found.violation);
    cr_assert_eq(strncmp(found.violation, "a refund\n", 9), 0);
    for (const char *c = found.violation; *c != '\0'; c++)
        lines += *c == '\n';
    /* The words; then place, reserve, charge, cancel, refund need five steps
     * of which the first was before: OrderPlaced passes by payment, too. */
    cr_assert_eq(lines, 1 + 2 * 5, "%s", found.violation);
    free(found.violation);
}
