/* test_describe.c - what a service says about itself, and reading it back. */
#include "core/describe.h"
#include "read/view.h"
#include "shop/roster.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t log_id[LOG_ID_BYTES] = {1, 2, 3};

static struct lexicon *lexicon;

static void begin(void)
{
    lexicon = lexicon_new(&shop_domain);
}

static void end(void)
{
    lexicon_free(lexicon);
}

TestSuite(describe, .init = begin, .fini = end);

static json_t *described(unsigned number)
{
    return describe_service(roster_services[number], roster_views[number]->name,
                            roster_views[number]->sources, log_id);
}

static void same_types(const unsigned *a, const unsigned *b, size_t max)
{
    cr_assert_eq(memcmp(a, b, max * sizeof *a), 0);
}

Test(describe, reads_back_the_tables_of_every_service)
{
    for (unsigned s = 0; s < SERVICES; s++) {
        const struct service *wrote = roster_services[s], *read;
        const char *why = NULL;
        json_t *json = described(s);
        struct description *description =
            describe_read(json, wrote->name, lexicon, &why);

        cr_assert_not_null(description, "%s: %s", wrote->name, why);
        read = &description->service;
        cr_assert_str_eq(read->name, wrote->name);
        cr_assert_eq(memcmp(description->log_id, log_id, LOG_ID_BYTES), 0);
        cr_assert_str_eq(description->view, roster_views[s]->name);
        for (size_t i = 0; wrote->listens_to[i] != NULL; i++)
            cr_assert_str_eq(read->listens_to[i], wrote->listens_to[i]);
        cr_assert_eq(read->rule_count, wrote->rule_count);
        for (size_t i = 0; i < read->rule_count; i++) {
            cr_assert_eq(read->rules[i].on, wrote->rules[i].on);
            same_types(read->rules[i].may_emit, wrote->rules[i].may_emit,
                       MAY_EMIT_MAX);
        }
        cr_assert_eq(read->timer_count, wrote->timer_count);
        for (size_t i = 0; i < read->timer_count; i++) {
            cr_assert_eq(read->timers[i].send, wrote->timers[i].send);
            cr_assert_eq(read->timers[i].default_ms,
                         wrote->timers[i].default_ms);
            same_types(read->timers[i].unless, wrote->timers[i].unless,
                       UNLESS_MAX);
        }
        describe_close(description);
        json_decref(json);
    }
}

/* ---- a stranger's -------------------------------------------------------- */

/* One of a service that this program was not built with. */
static const char shipping[] =
    "{'format':1,'name':'shipping','version':'0.9.0','listens_to':['order'],"
    "'rules':[{'on':'OrderConfirmed','may_emit':['ParcelSent']}],"
    "'kinds':[{'name':'parcel','tag':'order','folds':['ParcelSent'],"
    "'fields':[{'name':'status','type':'int','min':0,'max':1,"
    "'words':['NONE','SENT']}],'revision':1}],"
    "'timers':[{'from':'ParcelSent','send':'ChaseParcel','unless':[],"
    "'option':'chase-ms','default_ms':5}],"
    "'faults':[{'point':'shipping/lose','what':'a parcel is lost',"
    "'on':'OrderConfirmed'}],"
    "'view':{'name':'parcel','sources':['shipping']},"
    "'messages':["
    "{'name':'OrderConfirmed','version':1,'command':false,'fields':[]},"
    "{'name':'ChaseParcel','version':1,'command':true,'fields':[],"
    "'saga':'of'},"
    "{'name':'ParcelLost','version':1,'command':false,'fields':[],"
    "'undoes':'ParcelSent'},"
    "{'name':'ParcelSent','version':2,'command':false,'fields':["
    "{'name':'lines','type':'lines','min':1,'max':10,'items':["
    "{'name':'sku','type':'id','min':1,'max':31,'tag':'sku'}]}]}],"
    "'log':'000102030405060708090a0b0c0d0e0f'}";

/* The same with @from replaced by @to, and ' by ". */
static struct description *parse(const char *from, const char *to,
                                 const char **why)
{
    char text[sizeof shipping + 256];
    const char *at = strstr(shipping, from);
    int length;

    cr_assert_not_null(at, "%s", from);
    length = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - shipping),
                      shipping, to, at + strlen(from));
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return describe_parse(text, (size_t)length, "shipping", lexicon, why);
}

Test(describe, messages_that_the_catalogue_does_not_know_get_numbers)
{
    const char *why = NULL;
    struct description *description = parse("", "", &why);
    const struct domain *names;
    unsigned sent;

    cr_assert_not_null(description, "%s", why);
    sent = description->service.rules[0].may_emit[0];
    cr_assert_eq(description->service.rules[0].on, ORDER_CONFIRMED);
    cr_assert_geq(sent, MESSAGE_TYPES);
    names = lexicon_domain(lexicon);
    cr_assert_lt(sent, domain_types(names));
    cr_assert_str_eq(domain_type_name(names, sent), "ParcelSent");
    cr_assert_not(domain_message(names, sent)->is_command);
    cr_assert(
        domain_message(names, description->service.timers[0].send)->is_command);
    cr_assert_eq(domain_undoes(names, lexicon_number(lexicon, "ParcelLost")),
                 sent);
    cr_assert_null(domain_message_named(names, "ParcelSent", 2, NULL));
    cr_assert_null(shop_message(sent)); /* the domain itself learns nothing */
    describe_close(description);
    description = parse("", "", &why); /* again: the same numbers */
    cr_assert_eq(description->service.rules[0].may_emit[0], sent);
    describe_close(description);
}

Test(describe, what_is_not_exactly_a_description_is_refused)
{
    static const struct {
        const char *from, *to, *why;
    } bad[] = {
        {"'format':1,", "", "members"},
        {"'format':1", "'format':2", "newer"},
        {"'format':1", "'program':'/bin/sh','format':1", "members"},
        {"'format':1", "'format':1,'format':1", "JSON"},
        {"'name':'shipping'", "'name':'order'", "another service"},
        {"'0.9.0'", "'\\u001b[2J'", "version"},
        {"['order']", "['../order']", "services"},
        {"['order']", "['a-name-of-16-chr']", "services"},
        {"['order']", "['a','b','c','d','e','f','g','h','i']", "services"},
        {"['order']", "[7]", "services"},
        {"['order']", "'order'", "services"},
        {"['shipping']", "['/etc']", "services"},
        {"'on':'OrderConfirmed','may", "'on':'Nothing','may", "rules"},
        {"['ParcelSent']}],'kinds", "['Nothing']}],'kinds", "rules"},
        {"['ParcelSent']}],'kinds",
         "['ParcelSent','ParcelSent','ParcelSent','ParcelSent']}],'kinds",
         "rules"},
        {"{'on':'OrderConfirmed','may_emit':['ParcelSent']}", "7", "rules"},
        {"'revision':1", "'revision':-1", "kinds"},
        {"'folds':['ParcelSent']", "'folds':['Nothing']", "kinds"},
        {"'type':'int'", "'type':'path'", "kinds"},
        {"'min':0,'max':1", "'min':2,'max':1", "kinds"},
        {"'default_ms':5", "'default_ms':-1", "timers"},
        {"'default_ms':5", "'default_ms':4294967296", "timers"},
        {"'send':'ChaseParcel'", "'send':'Nothing'", "timers"},
        {"'chase-ms'", "'--chase ms'", "timers"},
        {"'shipping/lose'", "'lose'", "faults"},
        {"'shipping/lose'", "'a/b/c'", "faults"},
        {"a parcel is lost", "\\u009b2J", "faults"},
        {"'version':2", "'version':0", "messages"},
        {"'saga':'of'", "'saga':'its'", "messages"},
        {",'saga':'of'", "", "messages"},
        {"'undoes':'ParcelSent'", "'undoes':'a b'", "messages"},
        {"'name':'ParcelSent','version'", "'name':'Parcel\\nSent','version'",
         "messages"},
        {"'type':'id'", "'type':'lines','items':[]", "messages"},
        {",'items':[", ",'unit':'p\\u0007','items':[", "messages"},
        {"000102030405060708090a0b0c0d0e0f", "00", "log id"},
        {"000102030405060708090a0b0c0d0e0f", "zz0102030405060708090a0b0c0d0e0f",
         "log id"},
        {"'log'", "'log':7,'log'", "JSON"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *why = NULL;
        struct description *read = parse(bad[i].from, bad[i].to, &why);

        cr_assert_null(read, "%zu: %s for %s", i, bad[i].to, bad[i].from);
        cr_assert(strstr(why, bad[i].why) != NULL, "%zu: %s", i, why);
    }
}

Test(describe, every_prefix_is_refused)
{
    const char *why = NULL;

    for (size_t length = 0; length < sizeof shipping - 1; length++) {
        char text[sizeof shipping];

        for (size_t i = 0; i < length; i++)
            text[i] = shipping[i] == '\'' ? '"' : shipping[i];
        cr_assert_null(describe_parse(text, length, "shipping", lexicon, &why));
    }
}

Test(describe, what_is_too_long_is_not_parsed)
{
    char *text = malloc(DESCRIPTION_MAX + 1);
    const char *why = NULL;

    memset(text, ' ', DESCRIPTION_MAX + 1);
    cr_assert_null(
        describe_parse(text, DESCRIPTION_MAX + 1, "shipping", lexicon, &why));
    cr_assert_str_eq(why, "too long");
    free(text);
}

Test(describe, a_stranger_cannot_fill_the_numbers_without_bound)
{
    char name[32];
    unsigned type = NO_MESSAGE;

    for (unsigned i = MESSAGE_TYPES; i < TYPES_MAX; i++) {
        snprintf(name, sizeof name, "Message%u", i);
        type = lexicon_learn(lexicon, name, 0);
        cr_assert_eq(type, i);
    }
    cr_assert_eq(lexicon_learn(lexicon, "OneMore", 0), NO_MESSAGE);
    cr_assert_eq(lexicon_learn(lexicon, name, 0), type);
    cr_assert_eq(lexicon_learn(lexicon, "OrderPlaced", 1), ORDER_PLACED);
}

Test(describe, a_lexicon_may_begin_with_nothing)
{
    struct lexicon *empty = lexicon_new(NULL);

    cr_assert_eq(lexicon_number(empty, "OrderPlaced"), NO_MESSAGE);
    cr_assert_eq(lexicon_learn(empty, "OrderPlaced", 0), 1);
    cr_assert_str_eq(domain_type_name(lexicon_domain(empty), 1), "OrderPlaced");
    lexicon_free(empty);
}
