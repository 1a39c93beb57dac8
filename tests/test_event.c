/* test_event.c - the hash chain, tags, and ids.
 *
 * The chain is a promise to files that exist: its bytes are pinned here. */
#include "core/event.h"
#include "sample.h"
#include "shop/shop.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- the chain ----------------------------------------------------------- */

/* Worked out without this program, with Python's own BLAKE2b:
 *
 *   import hashlib, struct
 *   def col(b): return struct.pack('>I', len(b)) + b
 *   def num(n): return col(struct.pack('>Q', n & (2**64 - 1)))
 *   def b2(b):  return hashlib.blake2b(b, digest_size=32).digest()
 *   def event(previous, seq, type, version, order, time, source, log,
 * cause_seq, command, data): return b2(previous + num(seq) + col(type) +
 * num(version) + col(order) + num(time) + col(source) + col(log) +
 * num(cause_seq) + col(command) + col(data)) genesis = b2(b'payment' +
 * bytes(range(16))) first = event(genesis, 1, b'FundsDeposited', 2, b'',
 * 1700000000123, b'', b'', 0, b'd-1',
 * b'\x82\xa8customer\xa5alice\xacamount_cents\xcd\x13\x88') second =
 * event(first, 2, b'PaymentCharged', 1, b'o-1', -1, b'inventory',
 *       bytes(range(16, 32)), 7, b'',
 *       b'\x82\xa8customer\xa5alice\xacamount_cents\xcd\x07\xc6')
 */
static const char genesis_hex[] =
    "adb5edc7fcee019a299621ad6460fc26ff393fddc8ea400c96375e4eded8ec2c";
static const char first_hex[] =
    "ba53fcee81b4d0667bb49a75c35fb839878f797de824017dcfdd81a9fb03f266";
static const char second_hex[] =
    "7f6997fedf0a0ea065d637d0e577813bf6bfe59b0835ddb970cf2bfa503d318c";

#define DATA                                                                   \
    "\x82\xa8"                                                                 \
    "customer\xa5"                                                             \
    "alice\xac"                                                                \
    "amount_cents\xcd"

static struct row first_row(void)
{
    return (struct row){.seq = 1,
                        .type = "FundsDeposited",
                        .version = 2,
                        .time_ms = 1700000000123,
                        .command_id = "d-1",
                        .data = (const uint8_t *)DATA "\x13\x88",
                        .data_bytes = sizeof DATA + 1};
}

static struct row second_row(void)
{
    struct row row = {.seq = 2,
                      .type = "PaymentCharged",
                      .version = 1,
                      .order_id = "o-1",
                      .time_ms = -1,
                      .cause_source = "inventory",
                      .cause_seq = 7,
                      .data = (const uint8_t *)DATA "\x07\xc6",
                      .data_bytes = sizeof DATA + 1};

    for (int i = 0; i < LOG_ID_BYTES; i++)
        row.cause_log[i] = (uint8_t)(16 + i);
    return row;
}

static void genesis(uint8_t hash[HASH_BYTES])
{
    uint8_t log_id[LOG_ID_BYTES];

    for (int i = 0; i < LOG_ID_BYTES; i++)
        log_id[i] = (uint8_t)i;
    event_genesis("payment", log_id, hash);
}

static const char *hex(const uint8_t hash[HASH_BYTES])
{
    static char text[2 * HASH_BYTES + 1];

    return sodium_bin2hex(text, sizeof text, hash, HASH_BYTES);
}

Test(event, the_chain_is_the_one_that_files_were_written_with) /* HC48 */
{
    struct row first = first_row(), second = second_row();
    uint8_t hash[HASH_BYTES], next[HASH_BYTES];

    genesis(hash);
    cr_assert_str_eq(hex(hash), genesis_hex);
    event_hash(hash, &first, next);
    cr_assert_str_eq(hex(next), first_hex);
    event_hash(next, &second, hash);
    cr_assert_str_eq(hex(hash), second_hex);
}

Test(event, a_hash_may_be_written_over_the_previous_one)
{
    struct row first = first_row(), second = second_row();
    uint8_t hash[HASH_BYTES];

    genesis(hash);
    event_hash(hash, &first, hash);
    event_hash(hash, &second, hash);
    cr_assert_str_eq(hex(hash), second_hex);
}

/* Every column counts, and none runs into the next. */
Test(event, any_change_of_a_row_changes_its_hash) /* HC48 */
{
    struct row rows[16];
    uint8_t hashes[16][HASH_BYTES], previous[HASH_BYTES];
    size_t count = 0;

    for (size_t i = 0; i < 16; i++)
        rows[i] = second_row();
    count++; /* as it is */
    rows[count++].seq = 3;
    text_copy(rows[count++].type, sizeof rows[0].type, "PaymentCharge");
    rows[count++].version = 2;
    text_copy(rows[count++].order_id, ID_BYTES, "o-2");
    rows[count++].time_ms = 0;
    text_copy(rows[count++].cause_source, SERVICE_BYTES, "order");
    rows[count++].cause_log[15] ^= 1;
    memset(rows[count++].cause_log, 0, LOG_ID_BYTES);
    rows[count++].cause_seq = 8;
    text_copy(rows[count++].command_id, ID_BYTES, "c");
    rows[count].data = (const uint8_t *)DATA "\x07\xc7";
    count++;
    rows[count++].data_bytes--;
    /* the same letters, on the other side of a border */
    text_copy(rows[count].type, sizeof rows[0].type, "PaymentChargedo");
    text_copy(rows[count++].order_id, ID_BYTES, "-1");
    genesis(previous);
    for (size_t i = 0; i < count; i++) {
        event_hash(previous, &rows[i], hashes[i]);
        for (size_t k = 0; k < i; k++)
            cr_assert(memcmp(hashes[i], hashes[k], HASH_BYTES) != 0,
                      "%zu and %zu", i, k);
    }
    previous[0] ^= 1;
    event_hash(previous, &rows[0], hashes[1]);
    cr_assert(memcmp(hashes[0], hashes[1], HASH_BYTES) != 0);
}

Test(event, two_logs_never_begin_alike)
{
    uint8_t log_id[LOG_ID_BYTES] = {1};
    uint8_t a[HASH_BYTES], b[HASH_BYTES], c[HASH_BYTES];

    event_genesis("order", log_id, a);
    event_genesis("payment", log_id, b);
    log_id[15] = 1;
    event_genesis("order", log_id, c);
    cr_assert(memcmp(a, b, HASH_BYTES) != 0);
    cr_assert(memcmp(a, c, HASH_BYTES) != 0);
}

/* ---- tags ---------------------------------------------------------------- */

static bool tagged(const struct event *event, const char *text)
{
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(&shop_domain, event, tags);

    for (size_t i = 0; i < count; i++) {
        char tag[TAG_BYTES];

        event_tag(&shop_domain, tags[i].kind, tags[i].key, tag);
        if (strcmp(tag, text) == 0)
            return true;
    }
    return false;
}

static size_t tag_count(const struct event *event)
{
    struct tag tags[EVENT_TAGS_MAX];

    return event_tags(&shop_domain, event, tags);
}

Test(event, tags_name_the_order_and_the_tagged_fields)
{
    struct event event = {.type = ORDER_PLACED, .order_id = "o-7"};

    *payload_in(event.data) =
        (struct payload){.customer = "alice",
                         .sku = "not-declared",
                         .line_count = 2,
                         .lines = {{.sku = "widget"}, {.sku = "gizmo"}}};
    cr_assert_eq(tag_count(&event), 4);
    cr_assert(tagged(&event, "order:o-7"));
    cr_assert(tagged(&event, "customer:alice"));
    cr_assert(tagged(&event, "sku:widget"));
    cr_assert(tagged(&event, "sku:gizmo"));
}

Test(event, a_tag_is_named_once_and_never_empty)
{
    struct event event = {.type = STOCK_RELEASED};

    *payload_in(event.data) = (struct payload){
        .line_count = 3, .lines = {{.sku = "a"}, {.sku = "a"}, {.sku = ""}}};
    cr_assert_eq(tag_count(&event), 1); /* no order either */
    cr_assert(tagged(&event, "sku:a"));
}

Test(event, a_field_that_moves_no_state_has_no_tag)
{
    struct event event = {.type = STOCK_REJECTED, .order_id = "o-1"};

    *payload_in(event.data) = (struct payload){.sku = "widget"};
    cr_assert_eq(tag_count(&event), 1);
    event.type = NO_MESSAGE;
    cr_assert_eq(tag_count(&event), 1);
    cr_assert(tagged(&event, "order:o-1"));
}

Test(event, the_largest_event_of_every_type_has_room_for_its_tags)
{
    size_t most = 0;

    for (unsigned type = 1; type < MESSAGE_TYPES; type++) {
        struct event event = {.type = (unsigned)type};
        struct tag tags[EVENT_TAGS_MAX];
        size_t count;

        sample_largest(shop_message(event.type), payload_in(event.data));
        memset(event.order_id, 'o', ID_BYTES - 1);
        count = event_tags(&shop_domain, &event, tags);
        most = count > most ? count : most;
        for (size_t i = 0; i < count; i++) {
            char text[TAG_BYTES];

            event_tag(&shop_domain, tags[i].kind, tags[i].key, text);
            cr_assert_str_eq(strchr(text, ':') + 1, tags[i].key,
                             "nothing is cut off");
        }
    }
    cr_assert_eq(most, 2 + LINES_MAX);
}

/* ---- ids ----------------------------------------------------------------- */

Test(event, an_event_id_names_service_log_and_position)
{
    struct position at = {.seq = UINT64_MAX};
    char text[EVENT_ID_BYTES], longest[SERVICE_BYTES];

    memset(longest, 's', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cr_assert_eq(event_id("order", &at, text), text);
    cr_assert_str_eq(
        text, "order/00000000000000000000000000000000/18446744073709551615");
    memset(at.log_id, 0xff, LOG_ID_BYTES);
    event_id(longest, &at, text);
    cr_assert_str_eq(strrchr(text, '/'), "/18446744073709551615");
}

Test(event, an_id_is_short_and_plain)
{
    static const char *const bad[] = {
        "", " ", "a b", "a/b", "a:b", "a\n", "\xc3\xa4", "a*", "'", "12345678"};
    static const char *const good[] = {"a", "Z9", "._-", "1234567"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert(text_is_id(good[i], 8), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(text_is_id(bad[i], 8), "%s", bad[i]);
}

Test(event, copied_text_fills_its_array)
{
    char text[8];

    memset(text, 'x', sizeof text);
    text_copy(text, sizeof text, "abc");
    cr_assert_arr_eq(text, "abc\0\0\0\0\0", 8);
    text_copy(text, sizeof text, "1234567");
    cr_assert_str_eq(text, "1234567");
}

Test(event, text_that_does_not_fit_is_a_bug, .signal = SIGABRT)
{
    char text[8];

    text_copy(text, sizeof text, "12345678");
}
