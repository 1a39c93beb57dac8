/* test_world.c - whole sagas through the three real domains, told as
 * transcripts and compared with tests/transcripts/ (UPDATE_GOLDEN=1 writes
 * them again: then read the diff).  Next: test_worlds.c, every interleaving. */
#include "scratch.h"
#include "shop/shop.h"
#include "world.h"

#include <criterion/criterion.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

/* ---- transcripts -------------------------------------------------------- */

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
    command(tale, a_sku(LIST_PRODUCT, "widget", 0, 1990));
    command(tale, a_sku(LIST_PRODUCT, "gadget", 0, 4900));
    if (widgets > 0)
        command(tale, a_sku(RECEIVE_STOCK, "widget", widgets, 0));
    if (gadgets > 0)
        command(tale, a_sku(RECEIVE_STOCK, "gadget", gadgets, 0));
    command(tale, a_deposit("alice", cents));
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
    golden = scratch_text(path);
    cr_assert_str_eq(tale->text, golden, "%s differs; now it reads:\n%s", path,
                     tale->text);
    free(golden);
    free(tale->text);
}

static struct event two_widgets(const char *order_id)
{
    struct event order = a_place(order_id, "alice");

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
Test(transcript,
     a_cancel_while_the_charge_is_in_flight_leads_to_a_refund) /* F44 */
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
    struct event first = a_place("o-1", "alice"),
                 second = a_place("o-2", "bob");
    struct tale tale;

    begin(&tale, 1, 0, 10000);
    command(&tale, a_deposit("bob", 10000));
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
