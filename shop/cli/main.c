/* main.c - the shop's `saga`: the library's verbs, and those of the shop. */
#include "shop/cli/shop_cli.h"

#include "shop/invariants.h"
#include "shop/shop.h"

static const struct verb *const verbs_of_shop[] = {
    &verb_place, &verb_cancel, &verb_stock,  &verb_fund,  &verb_product,
    &verb_ls,    &verb_show,   &verb_undone, &verb_bench, NULL};

/* The library speaks of sagas; here they are orders. */
static const struct verb_words words[] = {
    {"trace", .args = "ORDER", .examples = "trace o-7",
     .summary = "show what happened to an order, and why"},
    {"why", .args = "ORDER", .examples = "why o-7",
     .summary = "show what an unfinished order waits for"},
    {"wait", .args = "ORDER|--quiet",
     .examples = "wait o-7 --timeout 5\n"
                 "wait --quiet",
     .summary = "wait until an order has ended, or everything is done"},
    {"log", .examples = "log payment --from 20\n"
                        "log --all --follow"},
    {"status", .examples = "status\n"
                           "status payment"},
    {"verify", .examples = "verify payment"},
    {"fault", .examples = "fault ls payment\n"
                          "fault set payment handler/slow --times 3\n"
                          "fault clear --all"},
    {"redrive", .examples = "redrive payment"},
    {"accept", .examples = "accept order payment",
     .notes = "For a stream that diverged: a restored backup, another "
              "database.  SERVICE reads SOURCE's log first, in case it has "
              "not noticed yet.  Events that SERVICE consumed and SOURCE lost "
              "are not recovered; `saga check` then names the affected "
              "orders."},
    {"check",
     .notes = "With --final, work that a running service has still to do is "
              "\"under way\" if the service makes progress within five "
              "seconds, and broken otherwise.\n"
              "exits 0 if all hold, 1 if one is broken, 75 if work is under "
              "way ('./saga wait --quiet' returns when it is done)"},
    {"acknowledge",
     .notes = "For orders that `saga check` names after a log was restored and "
              "accepted.  A log that contradicts itself, or was not accepted, "
              "cannot be given up; what is still under way is left out.  Each "
              "loss is recorded in losses.jsonl of the data directory, with "
              "the time, the user and the reason; `saga check` goes on to tell "
              "of it, but it no longer counts as broken.\n"
              "exits 0 if nothing is left that is broken, 1 if something "
              "cannot be given up"},
    {"rebuild", .examples = "rebuild stock",
     .notes = "VIEW is order, stock or account.  Without --timeout the command "
              "waits for an hour, and half a minute for a service that is away "
              "and whose events are needed.\n"
              "exits 75 if the rebuild goes on without this command"},
    {"signal", .examples = "signal payment STOP"},
    {"shutdown", .examples = "shutdown payment\n"
                             "shutdown --all"},
    {"scenario",
     .summary = "break the shop on purpose, and predict what happens"},
    {"help", .examples = "help place"},
    {.verb = NULL}};

int main(int argc, char **argv)
{
    static const struct saga_tool tool = {
        .services = roster_services,
        .views = roster_views,
        .service_count = SERVICES,
        .invariants = &shop_invariants,
        .verbs = verbs_of_shop,
        .show = "show",
        .words = words,
        .about = "Sends commands to the three services of a shop, asks their "
                 "read sides,\nand reads their logs.",
        .a_saga = "an order",
        .together = "shop",
        .unopened = "NOT PLACED YET",
        .no_opening = "has no OrderPlaced in order's log; its",
        .timer_does = "cancels it",
        .timer_will = "gives up and cancels it",
        .say = words_say,
        .note = words_note,
        .describe = words_describe,
        .end = ends_of,
        .no_such = ends_no_such,
        .wait = ends_wait};

    return saga_main(argc, argv, &tool);
}
