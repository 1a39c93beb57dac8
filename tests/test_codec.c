/* test_codec.c - payloads to bytes and back, and what strangers may send.
 *
 * Driven by the catalogue, as the codec is: a new message needs no new test.
 * Rows on the wire are in test_wire.c, stored ones in test_golden.c. */
#include "core/codec.h"
#include "core/json.h"
#include "sample.h"
#include "shop/money.h"
#include "shop/shop.h"
#include "unpacked.h"

#include <criterion/criterion.h>
#include <msgpack.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const uint8_t log_id[LOG_ID_BYTES] = "a log's identity";

/* The row behind the last. */
static const struct message *catalogue_end(void)
{
    return shop_catalogue + shop_catalogue_count;
}

static const struct message *named(const char *name)
{
    const struct message *message = shop_message_named(name, 1, NULL);

    cr_assert_not_null(message, "%s", name);
    return message;
}

/* Decodes, and insists that a refusal says why and touches nothing. */
static enum evt_status decode(const struct message *message,
                              const uint8_t *bytes, size_t count,
                              struct payload *payload)
{
    const char *why = NULL, *field = NULL;
    struct payload before = *payload;
    enum evt_status rc = codec_decode(&shop_domain, message, bytes, count,
                                      payload, &why, &field);

    if (rc != EVT_OK) {
        cr_assert_eq(rc, EVT_BAD);
        cr_assert(why != NULL && why[0] != '\0', "%s", message->name);
        cr_assert_arr_eq(payload, &before, sizeof before);
    }
    return rc;
}

/* ---- round trips --------------------------------------------------------- */

Test(codec, what_is_encoded_is_decoded_to_the_same)
{
    struct sample sample = {.random = 20260101};

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++)
        for (int i = 0; i < 400; i++) {
            struct payload in, out = {.quantity = 77};
            uint8_t bytes[DATA_MAX];
            size_t count;

            sample_payload(&sample, m, &in);
            count = codec_encode(m, &in, bytes);
            cr_assert(unpacked_whole(bytes, count));
            cr_assert_eq(decode(m, bytes, count, &out), EVT_OK, "%s", m->name);
            cr_assert_arr_eq(&in, &out, sizeof in, "%s", m->name);
        }
}

Test(codec, the_largest_payload_of_every_message_fits) /* HC25 */
{
    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++) {
        struct payload in, out = {.quantity = 77};
        uint8_t bytes[DATA_MAX];
        size_t count;

        sample_largest(m, &in);
        count = codec_encode(m, &in, bytes);
        cr_assert_eq(decode(m, bytes, count, &out), EVT_OK, "%s", m->name);
        cr_assert_arr_eq(&in, &out, sizeof in, "%s", m->name);
    }
}

/* The stored bytes are hashed: they may not depend on the compiler, on a
 * library's mood, or on the order in which a client wrote its map. */
Test(codec, a_map_has_one_encoding)
{
    static const char known[] = "\x82\xa8"
                                "customer\xa5"
                                "alice\xac"
                                "amount_cents\xcd\x13\x88";
    static const char turned[] = "\x82\xac"
                                 "amount_cents\xd3\0\0\0\0\0\0\x13\x88\xd9\x08"
                                 "customer\xda\0\x05"
                                 "alice";
    const struct message *deposit = named("DepositFunds");
    struct payload in = {.customer = "alice", .amount_cents = 5000}, out;
    uint8_t bytes[DATA_MAX];

    memset(&out, 0, sizeof out);
    cr_assert_eq(codec_encode(deposit, &in, bytes), sizeof known - 1);
    cr_assert_arr_eq(bytes, known, sizeof known - 1);
    cr_assert_eq(
        decode(deposit, (const uint8_t *)turned, sizeof turned - 1, &out),
        EVT_OK);
    cr_assert_eq(codec_encode(deposit, &out, bytes), sizeof known - 1);
    cr_assert_arr_eq(bytes, known, sizeof known - 1);
}

/* Writes the fields of a map in another order and in longer forms. */
static void repack(const msgpack_object *from, msgpack_packer *packer,
                   struct sample *sample)
{
    const msgpack_object_map *map = &from->via.map;
    uint32_t start;

    if (from->type == MSGPACK_OBJECT_ARRAY) {
        msgpack_pack_array(packer, from->via.array.size);
        for (uint32_t i = 0; i < from->via.array.size; i++)
            repack(&from->via.array.ptr[i], packer, sample);
    } else if (from->type != MSGPACK_OBJECT_MAP) {
        if (from->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
            msgpack_pack_fix_uint64(packer, from->via.u64);
        else
            msgpack_pack_object(packer, *from);
    } else {
        msgpack_pack_map(packer, map->size);
        start = (uint32_t)sample_random(sample, map->size + 1);
        for (uint32_t i = 0; i < map->size; i++) {
            uint32_t at = (start + i) % map->size;

            msgpack_pack_object(packer, map->ptr[at].key);
            repack(&map->ptr[at].val, packer, sample);
        }
    }
}

Test(codec, any_order_of_fields_comes_to_the_same_bytes)
{
    struct sample sample = {.random = 4};

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++)
        for (int i = 0; i < 50; i++) {
            struct payload in, out = {.quantity = 77};
            uint8_t bytes[DATA_MAX], again[DATA_MAX];
            msgpack_unpacked unpacked;
            msgpack_sbuffer buffer;
            msgpack_packer packer;
            size_t count;

            sample_payload(&sample, m, &in);
            count = codec_encode(m, &in, bytes);
            msgpack_unpacked_init(&unpacked);
            cr_assert_eq(msgpack_unpack_next(&unpacked, (const char *)bytes,
                                             count, NULL),
                         MSGPACK_UNPACK_SUCCESS);
            msgpack_sbuffer_init(&buffer);
            msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
            repack(&unpacked.data, &packer, &sample);
            cr_assert_eq(
                decode(m, (const uint8_t *)buffer.data, buffer.size, &out),
                EVT_OK);
            cr_assert_eq(codec_encode(m, &out, again), count);
            cr_assert_arr_eq(again, bytes, count);
            msgpack_sbuffer_destroy(&buffer);
            msgpack_unpacked_destroy(&unpacked);
        }
}

Test(codec, what_a_type_does_not_declare_is_trimmed)
{
    struct sample sample = {.random = 11};

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++) {
        struct payload declared, full;

        sample_payload(&sample, m, &declared);
        memset(&full, 'x', sizeof full);
        full.line_count = declared.line_count;
        for (const struct field *f = m->fields; f->name != NULL; f++)
            if (f->kind != FIELD_LIST)
                memcpy((char *)&full + f->offset, (char *)&declared + f->offset,
                       f->kind == FIELD_INT ? 8 : f->size);
            else
                for (uint32_t i = 0; i < declared.line_count; i++)
                    for (const struct field *g = f->items; g->name; g++)
                        memcpy((char *)&full.lines[i] + g->offset,
                               (char *)&declared.lines[i] + g->offset,
                               g->kind == FIELD_INT ? 8 : g->size);
        codec_trim(&shop_domain, m, &full);
        cr_assert_arr_eq(&full, &declared, sizeof full, "%s", m->name);
    }
}

/* ---- damaged bytes ------------------------------------------------------- */

Test(codec, every_truncation_is_refused) /* HC21 */
{
    struct sample sample = {.random = 5};

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++)
        for (int i = 0; i < 20; i++) {
            struct payload in, out = {.quantity = 77};
            uint8_t bytes[DATA_MAX];
            size_t count;

            if (i == 0)
                sample_largest(m, &in);
            else
                sample_payload(&sample, m, &in);
            count = codec_encode(m, &in, bytes);
            for (size_t cut = 0; cut < count; cut++)
                cr_assert_eq(decode(m, bytes, cut, &out), EVT_BAD, "%s at %zu",
                             m->name, cut);
        }
}

/* A damaged message is refused, or it is another one that keeps every limit:
 * nothing in between reaches a domain. */
Test(codec, every_damaged_byte_is_refused_or_still_in_range) /* HC21 */
{
    struct sample sample = {.random = 6};
    unsigned refused = 0, taken = 0;

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++) {
        struct payload in;
        uint8_t bytes[DATA_MAX];
        size_t count;

        do {
            sample_payload(&sample, m, &in);
            count = codec_encode(m, &in, bytes);
        } while (count > 300);
        for (size_t at = 0; at < count; at++)
            for (unsigned change = 1; change < 256; change++) {
                struct payload out = {.quantity = 77};
                const char *why, *field;

                bytes[at] ^= (uint8_t)change;
                if (decode(m, bytes, count, &out) == EVT_OK) {
                    taken++;
                    cr_assert_eq(codec_check(m, &out, &why, &field), EVT_OK);
                } else {
                    refused++;
                }
                bytes[at] ^= (uint8_t)change;
            }
    }
    cr_assert_gt(refused, 10 * shop_catalogue_count);
    cr_assert_gt(taken, 10 * shop_catalogue_count);
}

/* ---- hostile bytes ------------------------------------------------------- */

struct hostile {
    const char *message;
    const char *bytes;
    size_t count;
    const char *field; /* that the refusal names; NULL: none */
};

#define CUSTOMER                                                               \
    "\xa8"                                                                     \
    "customer"
#define CENTS                                                                  \
    "\xac"                                                                     \
    "amount_cents"
#define ALICE                                                                  \
    CUSTOMER "\xa5"                                                            \
             "alice"
#define LINES                                                                  \
    "\xa5"                                                                     \
    "lines"
#define ONE                                                                    \
    "\x82\xa3"                                                                 \
    "sku\xa1"                                                                  \
    "a\xa8"                                                                    \
    "quantity\x01"
#define OF(message, bytes, field)                                              \
    {                                                                          \
        message, bytes, sizeof(bytes) - 1, field                               \
    }

// clang-format off
static const struct hostile hostile[] = {
    /* not one map */
    OF("DepositFunds", "", NULL),
    OF("DepositFunds", "\xc0", NULL),
    OF("DepositFunds", "\x90", NULL),
    OF("DepositFunds", "\x05", NULL),
    OF("DepositFunds", "\xa3" "map", NULL),
    OF("CancelOrder", "\x80\x80", NULL), /* two of them */
    OF("CancelOrder", "\x80\xc1", NULL),
    OF("DepositFunds", "\x82" ALICE CENTS "\x05\x00", NULL),
    /* what asks msgpack-c for memory */
    OF("CancelOrder", "\xdd\xff\xff\xff\xff", NULL),
    OF("CancelOrder", "\xdf\xff\xff\xff\xff", NULL),
    OF("CancelOrder", "\xdd\x00\xff\xff\xff\x00\x00\x00", NULL),
    OF("CancelOrder", "\x81\xa6" "reason\xdb\xff\xff\xff\xff" "a", NULL),
    OF("CancelOrder", "\x81\xa6" "reason\xc6\xff\xff\xff\xff" "a", NULL),
    OF("PlaceOrder", "\x82" ALICE LINES "\xdd\x7f\xff\xff\xff", NULL),
    /* reserved and extension types */
    OF("CancelOrder", "\xc1", NULL),
    OF("CancelOrder", "\x81\xa6" "reason\xc1", NULL),
    OF("CancelOrder", "\x81\xa6" "reason\xd4\x01\x00", NULL),
    OF("CancelOrder", "\x81\xa6" "reason\xd6\xff\x00\x00\x00\x00", NULL),
    OF("CancelOrder", "\x81\xa6" "reason\xc7\x01\x05" "a", NULL),
    /* too deep */
    OF("CancelOrder", "\x81\xa6" "reason\x91\x91\x91\x91\x91\x91\x91\x91\x90",
       "reason"),
    /* amounts that are no whole numbers */
    OF("DepositFunds", "\x82" ALICE CENTS "\xcb\x7f\xf8\0\0\0\0\0\0",
       "amount_cents"), /* NaN */
    OF("DepositFunds", "\x82" ALICE CENTS "\xcb\x40\x14\0\0\0\0\0\0",
       "amount_cents"), /* 5.0 */
    OF("DepositFunds", "\x82" ALICE CENTS "\xca\x40\xa0\0\0", "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\xa1" "5", "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\xc0", "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\xc3", "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\x91\x05", "amount_cents"),
    /* out of range: zero, negative, one too many, overflowing */
    OF("DepositFunds", "\x82" ALICE CENTS "\x00", "amount_cents"),
    OF("DepositFunds", "\x81" ALICE, "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\xff", "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\xd3\x80\0\0\0\0\0\0\0",
       "amount_cents"),
    OF("DepositFunds", "\x82" ALICE CENTS "\xce\x05\xf5\xe1\x01",
       "amount_cents"), /* a million and a cent */
    OF("DepositFunds", "\x82" ALICE CENTS "\xcf\x80\0\0\0\0\0\0\0",
       "amount_cents"), /* 2^63 */
    OF("DepositFunds", "\x82" ALICE CENTS "\xcf\xff\xff\xff\xff\xff\xff\xff"
       "\xff", "amount_cents"),
    /* fields */
    OF("DepositFunds", "\x83" ALICE CENTS "\x05\xa3" "tip\x01", NULL),
    OF("DepositFunds", "\x83" ALICE CENTS "\x05" CENTS "\x05",
       "amount_cents"),
    OF("DepositFunds", "\x83" ALICE CENTS "\x05" ALICE, "customer"),
    OF("DepositFunds", "\x82\x01\xa5" "alice" CENTS "\x05", NULL),
    OF("DepositFunds", "\x82\xc4\x08" "customer\xa5" "alice" CENTS "\x05",
       NULL), /* a name that is no text */
    OF("DepositFunds", "\x82\xa9" "customer\0\xa5" "alice" CENTS "\x05", NULL),
    OF("ExpireOrder", "\x81\xa6" "reason\xa1" "a", NULL),
    /* ids */
    OF("DepositFunds", "\x81" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xa0" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xa3" "a b" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xa3" "a/b" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xa3" "a:b" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xa3" "a\0b" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xa2\xc3\xa4" CENTS "\x05",
       "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\x07" CENTS "\x05", "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xc4\x05" "alice" CENTS "\x05",
       "customer"),
    OF("DepositFunds", "\x82" CUSTOMER "\xd9\x20"
       "abcdefghabcdefghabcdefghabcdefgh" CENTS "\x05", "customer"),
    /* text: 48 bytes, NUL, controls, DEL, and what is not UTF-8 */
    OF("CancelOrder", "\x81\xa6" "reason\xd9\x30"
       "abcdefghabcdefghabcdefghabcdefghabcdefghabcdefgh", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa3" "a\0b", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa1\n", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa1\x1b", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa1\x7f", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa2\xc2\x85", "reason"), /* U+0085 */
    OF("CancelOrder", "\x81\xa6" "reason\xa1\x80", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa1\xc3", "reason"), /* cut off */
    OF("CancelOrder", "\x81\xa6" "reason\xa2\xc3" "a", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa2\xc1\xa1", "reason"), /* overlong */
    OF("CancelOrder", "\x81\xa6" "reason\xa3\xe0\x80\xaf", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa3\xed\xa0\x80", "reason"), /* half */
    OF("CancelOrder", "\x81\xa6" "reason\xa4\xf4\x90\x80\x80", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa4\xf0\x80\x80\x80", "reason"),
    OF("CancelOrder", "\x81\xa6" "reason\xa1\xff", "reason"),
    /* lines: none, not a list, not maps, eleven, the same twice */
    OF("PlaceOrder", "\x81" ALICE, "lines"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x90", "lines"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x80", "lines"),
    OF("PlaceOrder", "\x82" ALICE LINES "\xa1" "a", "lines"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x01", NULL),
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x80", "sku"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x81\xa3" "sku\xa1" "a",
       "quantity"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x82\xa3" "sku\xa1" "a\xa8"
       "quantity\x00", "quantity"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x82\xa3" "sku\xa1" "a\xa8"
       "quantity\xff", "quantity"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x82\xa3" "sku\xa1" "a\xa8"
       "quantity\xcd\x03\xe9", "quantity"), /* 1001 */
    OF("PlaceOrder", "\x82" ALICE LINES "\x91\x83\xa3" "sku\xa1" "a\xa8"
       "quantity\x01\xab" "price_cents\x01", NULL), /* a wish has no price */
    OF("PlaceOrder", "\x82" ALICE LINES "\x92" ONE ONE, "sku"),
    OF("PlaceOrder", "\x82" ALICE LINES "\x9b" ONE ONE ONE ONE ONE ONE ONE ONE
       ONE ONE ONE, "lines"),
    OF("PlaceOrder", "\x82" ALICE LINES "\xdc\x00\x0b" ONE ONE ONE ONE ONE ONE
       ONE ONE ONE ONE ONE, "lines"),
};
// clang-format on

Test(codec, hostile_bytes_are_refused_with_the_field) /* HC21 HC25 F48 */
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        const struct hostile *h = &hostile[i];
        const char *why = NULL, *field = "untouched";
        struct payload out = {.quantity = 77}, before = out;

        cr_assert_eq(codec_decode(&shop_domain, named(h->message),
                                  (const uint8_t *)h->bytes, h->count, &out,
                                  &why, &field),
                     EVT_BAD, "number %zu", i);
        cr_assert_not_null(why);
        cr_assert_arr_eq(&out, &before, sizeof out);
        if (h->field == NULL)
            cr_assert_null(field, "number %zu: %s", i, field);
        else
            cr_assert_str_eq(field, h->field, "number %zu: %s", i, why);
    }
}

Test(codec, what_stands_beside_the_hostile_is_taken)
{
    static const struct hostile good[] = {
        OF("CancelOrder", "\x80", NULL),
        OF("ExpireOrder", "\x80", NULL),
        OF("CancelOrder", "\xde\x00\x00", NULL),
        OF("DepositFunds", "\x82" ALICE CENTS "\x01", NULL),
        OF("DepositFunds", "\x82" ALICE CENTS "\xce\x05\xf5\xe1\x00", NULL),
        OF("DepositFunds", "\x82" ALICE CENTS "\xd3\0\0\0\0\0\0\0\x05", NULL),
        OF("PlaceOrder", "\x82" ALICE LINES "\x91" ONE, NULL),
        OF("CancelOrder",
           "\x81\xa6"
           "reason\xd9\x2f"
           "abcdefghabcdefghabcdefghabcdefghabcdefghabcdefg",
           NULL),
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct payload out = {.quantity = 77};

        cr_assert_eq(decode(named(good[i].message),
                            (const uint8_t *)good[i].bytes, good[i].count,
                            &out),
                     EVT_OK, "number %zu", i);
    }
}

/* ---- the first gate ------------------------------------------------------ */

static size_t nested(uint8_t *bytes, size_t depth)
{
    memset(bytes, 0x91, depth);
    bytes[depth] = 0xc0;
    return depth + 1;
}

/* Five bytes that would make msgpack-c reserve gigabytes, among them a map
 * whose doubled count is 0 again in 32 bits. */
Test(codec, a_head_claims_no_more_than_is_there) /* HC21 */
{
    static const char *const bombs[] = {
        "\xdd\xff\xff\xff\xff", "\xdd\x00\xff\xff\xff", "\xdf\xff\xff\xff\xff",
        "\xdf\x80\x00\x00\x00", "\xdf\x80\x00\x00\x01", "\xdb\xff\xff\xff\xff",
        "\xc6\xff\xff\xff\xff", "\xdc\xff\xff\xc0\xc0", "\xde\xff\xff\xc0\xc0",
        "\xda\xff\xff\xc0\xc0"};
    uint8_t bytes[64];

    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        memset(bytes, 0xc0, sizeof bytes); /* something follows */
        memcpy(bytes, bombs[i], 5);
        for (size_t count = 1; count <= sizeof bytes; count++)
            cr_assert_not(unpacked_whole(bytes, count), "number %zu", i);
    }
}

Test(codec, depth_and_number_of_objects_are_bounded) /* HC21 F48 */
{
    static uint8_t bytes[ITEMS_MAX + 16];

    cr_assert(unpacked_whole(bytes, nested(bytes, DEPTH_MAX)));
    cr_assert_not(unpacked_whole(bytes, nested(bytes, DEPTH_MAX + 1)));
    cr_assert_not(unpacked_whole(bytes, nested(bytes, 10000)));
    memset(bytes, 0, sizeof bytes);
    bytes[0] = 0xdc; /* as many as are allowed, then one more */
    bytes[1] = (ITEMS_MAX - 1) >> 8;
    bytes[2] = (ITEMS_MAX - 1) & 0xff;
    cr_assert(unpacked_whole(bytes, 3 + ITEMS_MAX - 1));
    bytes[1] = ITEMS_MAX >> 8;
    bytes[2] = 0;
    cr_assert_not(unpacked_whole(bytes, 3 + ITEMS_MAX));
    bytes[0] = 0xdf; /* two objects a pair */
    bytes[1] = bytes[2] = 0;
    bytes[3] = (ITEMS_MAX / 2) >> 8;
    bytes[4] = 0;
    cr_assert_not(unpacked_whole(bytes, 5 + ITEMS_MAX));
    bytes[3] = (ITEMS_MAX / 2 - 1) >> 8;
    bytes[4] = (ITEMS_MAX / 2 - 1) & 0xff;
    cr_assert(unpacked_whole(bytes, 5 + ITEMS_MAX - 2));
}

/* Random objects, as msgpack-c writes them, at most @depth deep. */
static void pack_any(msgpack_packer *packer, struct sample *sample, int depth)
{
    size_t count = (size_t)sample_random(sample, 4);
    char text[300] = "";

    switch (sample_random(sample, depth > 0 ? 9 : 7)) {
    case 0:
        msgpack_pack_nil(packer);
        break;
    case 1:
        msgpack_pack_true(packer);
        break;
    case 2:
        msgpack_pack_int64(packer,
                           (int64_t)sample_random(sample, 1 << 20) - 500000);
        break;
    case 3:
        msgpack_pack_double(packer, 1.5);
        break;
    case 4:
        msgpack_pack_uint64(packer, UINT64_MAX - sample_random(sample, 9));
        break;
    case 5:
        msgpack_pack_str_with_body(packer, text, 90 * count);
        break;
    case 6:
        msgpack_pack_bin_with_body(packer, text, 90 * count);
        break;
    case 7:
        msgpack_pack_array(packer, 7 * count);
        for (size_t i = 0; i < 7 * count; i++)
            pack_any(packer, sample, depth - 1);
        break;
    default:
        msgpack_pack_map(packer, 6 * count);
        for (size_t i = 0; i < 12 * count; i++)
            pack_any(packer, sample, depth - 1);
    }
}

/* What msgpack-c writes is read; what is read, msgpack-c reads the same. */
Test(codec, the_gate_agrees_with_the_library_behind_it)
{
    struct sample sample = {.random = 8};
    unsigned passed = 0;

    for (int i = 0; i < 3000; i++) {
        msgpack_sbuffer buffer;
        msgpack_packer packer;

        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        pack_any(&packer, &sample, 3);
        cr_assert(unpacked_whole(buffer.data, buffer.size));
        cr_assert(unpacked_agrees(buffer.data, buffer.size));
        cr_assert_not(unpacked_whole(buffer.data, buffer.size - 1));
        for (int k = 0; k < 20; k++) { /* damaged */
            size_t at = (size_t)sample_random(&sample, buffer.size);

            buffer.data[at] = (char)sample_random(&sample, 256);
            if (!unpacked_whole(buffer.data, buffer.size))
                continue;
            passed++;
            cr_assert(unpacked_agrees(buffer.data, buffer.size));
        }
        msgpack_sbuffer_destroy(&buffer);
    }
    cr_assert_gt(passed, 1000);
}

Test(codec, noise_is_never_a_message) /* F48 */
{
    struct sample sample = {.random = 9};

    for (int i = 0; i < 200000; i++) {
        uint8_t noise[40];
        size_t count = (size_t)sample_random(&sample, sizeof noise + 1);
        const struct message *m =
            &shop_catalogue[sample_random(&sample, shop_catalogue_count)];
        struct payload out = {.quantity = 77};

        for (size_t k = 0; k < count; k++)
            noise[k] = (uint8_t)sample_random(&sample, 256);
        if (unpacked_whole(noise, count))
            cr_assert(unpacked_agrees(noise, count));
        if (count > 1) /* an empty map is a CancelOrder */
            cr_assert_eq(decode(m, noise, count, &out), EVT_BAD);
    }
}

/* ---- values without bytes ------------------------------------------------ */

/* One field after the other out of its limits. */
static unsigned spoil(const struct message *m, const struct field *f,
                      const struct payload *good)
{
    const char *why = NULL, *field = NULL;
    struct payload bad[4];
    unsigned count = 0;

    for (unsigned i = 0; i < 4; i++)
        bad[i] = *good;
    if (f->kind == FIELD_INT) {
        int64_t below = f->min - 1, above = f->max + (f->max < INT64_MAX);

        memcpy((char *)&bad[count++] + f->offset, &below, sizeof below);
        if (f->max < INT64_MAX)
            memcpy((char *)&bad[count++] + f->offset, &above, sizeof above);
    } else if (f->kind == FIELD_LIST) {
        if (f->min > 0)
            bad[count++].line_count = 0;
        bad[count++].line_count = (uint32_t)f->max + 1;
        bad[count++].line_count = UINT32_MAX;
        bad[count].line_count = 2;
        bad[count].lines[0].quantity = bad[count].lines[1].quantity = 1;
        bad[count].lines[0].price_cents = bad[count].lines[1].price_cents = 1;
        memcpy(bad[count].lines[0].sku, "same", 5);
        memcpy(bad[count++].lines[1].sku, "same", 5);
    } else {
        ((char *)&bad[count++])[f->offset] = '\n';
        memset((char *)&bad[count++] + f->offset, 'x', f->size); /* no NUL */
    }
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(codec_check(m, &bad[i], &why, &field), EVT_BAD,
                     "%s.%s, number %u", m->name, f->name, i);
        if (f->kind != FIELD_LIST)
            cr_assert_str_eq(field, f->name);
    }
    return count;
}

Test(codec, values_are_checked_as_bytes_are) /* HC25 */
{
    struct sample sample = {.random = 10};
    unsigned spoilt = 0;

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++) {
        const char *why, *field;
        struct payload good;

        sample_payload(&sample, m, &good);
        cr_assert_eq(codec_check(m, &good, &why, &field), EVT_OK);
        for (const struct field *f = m->fields; f->name != NULL; f++)
            spoilt += spoil(m, f, &good);
    }
    cr_assert_gt(spoilt, 60);
}

Test(codec, what_we_write_ourselves_is_never_malformed, .signal = SIGABRT)
{
    struct payload payload = {.customer = "alice", .amount_cents = 0};
    uint8_t bytes[DATA_MAX];

    codec_encode(named("DepositFunds"), &payload, bytes);
}

Test(codec, a_command_agrees_with_its_event_in_what_both_declare) /* HC15 */
{
    const struct message *wish = named("PlaceOrder");
    const struct message *placed = named("OrderPlaced");
    struct payload command = {
        .customer = "alice",
        .line_count = 2,
        .lines = {{.sku = "a", .quantity = 1}, {.sku = "b", .quantity = 2}}};
    struct payload event = command, other;

    event.total_cents = 500; /* only the event has prices and a total */
    event.lines[0].price_cents = event.lines[1].price_cents = 100;
    cr_assert(codec_agrees(wish, &command, placed, &event));
    other = command;
    other.customer[0] = 'b';
    cr_assert_not(codec_agrees(wish, &other, placed, &event));
    other = command;
    other.lines[1].quantity = 3;
    cr_assert_not(codec_agrees(wish, &other, placed, &event));
    other = command;
    other.lines[1].sku[0] = 'c';
    cr_assert_not(codec_agrees(wish, &other, placed, &event));
    other = command;
    other.line_count = 1;
    cr_assert_not(codec_agrees(wish, &other, placed, &event));
    other = command;
    other.lines[0] = command.lines[1];
    other.lines[1] = command.lines[0];
    cr_assert_not(codec_agrees(wish, &other, placed, &event),
                  "the order of lines counts");
}

/* The customer gives no reason; the service fills one in. */
Test(codec, what_a_command_left_open_agrees_with_anything)
{
    struct payload open = {.line_count = 0}, said = {.reason = "too slow"};
    struct payload event = {.reason = "cancelled by customer"};

    cr_assert(codec_agrees(named("CancelOrder"), &open,
                           named("OrderCancelling"), &event));
    cr_assert_not(codec_agrees(named("CancelOrder"), &said,
                               named("OrderCancelling"), &event));
}

/* ---- rows ---------------------------------------------------------------- */

static enum evt_status from_row(const struct row *row, struct event *event)
{
    const char *why, *field;

    return codec_from_row(&shop_domain, "order", log_id, row, event, &why,
                          &field);
}

Test(codec, an_event_survives_its_row)
{
    struct sample sample = {.random = 12};

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++) {
        struct event in, out = {.type = NO_MESSAGE};
        uint8_t data[DATA_MAX];
        struct row row;

        sample_event(&sample, m->type, &in);
        in.at.seq = 7;
        text_copy(in.source, SERVICE_BYTES, "order");
        memcpy(in.at.log_id, log_id, LOG_ID_BYTES);
        codec_to_row(&shop_domain, &in, data, &row);
        cr_assert_eq(row.version, shop_message(m->type)->version);
        cr_assert_eq(from_row(&row, &out), EVT_OK);
        cr_assert_arr_eq(&in, &out, sizeof in, "%s", m->name);
    }
}

Test(codec, unknown_newer_and_impossible_rows_are_told_apart) /* HC20 */
{
    struct row row = {.seq = 1,
                      .type = "OrderConfirmed",
                      .version = 1,
                      .data = (const uint8_t *)"\x80",
                      .data_bytes = 1};
    struct event event;

    cr_assert_eq(from_row(&row, &event), EVT_OK);
    row.version = 2;
    cr_assert_eq(from_row(&row, &event), EVT_NEWER);
    row.version = UINT32_MAX;
    cr_assert_eq(from_row(&row, &event), EVT_NEWER);
    row.version = 0;
    cr_assert_eq(from_row(&row, &event), EVT_BAD);
    row.version = 1;
    row.data = (const uint8_t *)"\x90";
    cr_assert_eq(from_row(&row, &event), EVT_BAD);
    row.data_bytes = 0;
    cr_assert_eq(from_row(&row, &event), EVT_BAD);
    text_copy(row.type, sizeof row.type, "OrderFramed");
    cr_assert_eq(from_row(&row, &event), EVT_NONE);
}

/* ---- old versions -------------------------------------------------------- */

/* Pure: the same comes of the same, whatever was there before; and what comes
 * of the smallest and of the largest keeps the next version's limits. */
Test(codec, every_upcast_is_pure_and_never_fails) /* HC43 */
{
    struct sample sample = {.random = 13};
    unsigned upcasts = 0;

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++)
        for (int i = 0; m->upcast != NULL && i < 500; i++) {
            struct payload once, twice;
            const char *why, *field;

            if (i == 0)
                sample_largest(m, &once);
            else
                sample_payload(&sample, m, &once);
            twice = once;
            m->upcast(&once);
            m->upcast(&twice);
            cr_assert_arr_eq(&once, &twice, sizeof once);
            cr_assert_eq(m[1].type, m->type);
            cr_assert_eq(codec_check(m + 1, &once, &why, &field), EVT_OK);
            codec_trim(&shop_domain, m + 1, &twice);
            cr_assert_arr_eq(&once, &twice, sizeof once,
                             "nothing of the old version is left");
            upcasts++;
        }
    cr_assert_geq(upcasts, 500);
}

Test(codec, a_version_1_deposit_counts_whole_units) /* HC43 */
{
    static const char units[] = "\x82" CUSTOMER "\xa5"
                                "alice\xac"
                                "amount_units\x32";
    struct row row = {.seq = 1,
                      .type = "FundsDeposited",
                      .version = 1,
                      .data = (const uint8_t *)units,
                      .data_bytes = sizeof units - 1};
    struct event event;

    cr_assert_eq(from_row(&row, &event), EVT_OK);
    cr_assert_eq(event.type, FUNDS_DEPOSITED);
    cr_assert_eq(payload_in(event.data)->amount_cents, 5000);
    cr_assert_eq(payload_in(event.data)->amount_units, 0);
    row.version = 2; /* as a version 2 it is malformed */
    cr_assert_eq(from_row(&row, &event), EVT_BAD);
}

/* ---- JSON ---------------------------------------------------------------- */

Test(codec, an_event_survives_its_json)
{
    struct sample sample = {.random = 14};

    for (const struct message *m = shop_catalogue; m < catalogue_end(); m++)
        for (int i = 0; i < 30; i++) {
            struct event in, out;
            uint8_t data[DATA_MAX], hash[HASH_BYTES] = {0xab};
            struct row row;
            json_t *json, *read;
            char *text;

            sample_event(&sample, m->type, &in);
            in.at.seq = 7;
            text_copy(in.source, SERVICE_BYTES, "order");
            memcpy(in.at.log_id, log_id, LOG_ID_BYTES);
            codec_to_row(&shop_domain, &in, data, &row);
            json = json_from_row(&shop_domain, "order", log_id, &row, hash);
            text = json_dumps(json, JSON_COMPACT);
            read = json_loads(text, 0, NULL);
            cr_assert_eq(json_to_event(&shop_domain, read, &out), EVT_OK, "%s",
                         text);
            cr_assert_arr_eq(&in, &out, sizeof in, "%s", text);
            cr_assert_str_eq(json_string_value(json_object_get(read, "hash")),
                             "ab0000000000000000000000000000000000000000000000"
                             "0000000000000000");
            free(text);
            json_decref(json);
            json_decref(read);
        }
}

Test(codec, an_old_version_is_shown_as_what_it_means)
{
    static const char units[] = "\x82" CUSTOMER "\xa5"
                                "alice\xac"
                                "amount_units\x32";
    struct row row = {.seq = 1,
                      .type = "FundsDeposited",
                      .version = 1,
                      .command_id = "d-1",
                      .data = (const uint8_t *)units,
                      .data_bytes = sizeof units - 1};
    json_t *json = json_from_row(&shop_domain, "payment", log_id, &row, NULL);
    struct event event;

    cr_assert_eq(json_integer_value(json_object_get(
                     json_object_get(json, "data"), "amount_cents")),
                 5000);
    cr_assert_eq(json_integer_value(json_object_get(json, "version")), 1);
    cr_assert_eq(json_to_event(&shop_domain, json, &event), EVT_OK);
    cr_assert_eq(payload_in(event.data)->amount_cents, 5000);
    json_decref(json);
}

/* A row's JSON, parsed again: what a client gets. */
static enum evt_status through_json(const struct row *row, struct event *event,
                                    const char **problem)
{
    static char words[128];
    json_t *json = json_from_row(&shop_domain, "order", log_id, row, NULL);
    const char *text = json_string_value(json_object_get(json, "problem"));
    enum evt_status rc = json_to_event(&shop_domain, json, event);

    cr_assert_null(json_object_get(json, "data"));
    snprintf(words, sizeof words, "%s", text == NULL ? "" : text);
    *problem = words;
    json_decref(json);
    return rc;
}

Test(codec, what_cannot_be_read_says_so_in_json) /* HC20 */
{
    struct row row = {.seq = 1,
                      .type = "OrderConfirmed",
                      .version = 2,
                      .order_id = "o-1",
                      .data = (const uint8_t *)"\x90",
                      .data_bytes = 1};
    struct event event;
    const char *problem;

    cr_assert_eq(through_json(&row, &event, &problem), EVT_NEWER);
    cr_assert_str_eq(event.order_id, "o-1");
    cr_assert_str_eq(problem, "newer than this program");
    row.version = UINT32_MAX;
    cr_assert_eq(through_json(&row, &event, &problem), EVT_NEWER);
    row.version = 1;
    cr_assert_eq(through_json(&row, &event, &problem), EVT_BAD);
    cr_assert_str_eq(problem, "not a map");
    text_copy(row.type, sizeof row.type, "OrderFramed");
    cr_assert_eq(through_json(&row, &event, &problem), EVT_NONE);
    cr_assert_str_eq(event.order_id, "o-1");
    cr_assert_eq(event.at.seq, 1);
    text_copy(row.order_id, ID_BYTES, "\xff"); /* an edited file */
    cr_assert_eq(through_json(&row, &event, &problem), EVT_NONE);
    cr_assert_str_eq(event.order_id, "\\xff");
    text_copy(row.type, sizeof row.type, "OrderConfirmed");
    cr_assert_eq(through_json(&row, &event, &problem), EVT_BAD);
    text_copy(row.cause_source, sizeof row.cause_source, "\xfe");
    cr_assert_eq(through_json(&row, &event, &problem), EVT_BAD);
}

Test(codec, any_bytes_can_be_shown)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {
        {"", ""},
        {"cold feet", "cold feet"},
        {"Zu\u0308rich \u00e9t\u00e9 \u4e2d\u6587 \U0001f600",
         "Zu\u0308rich \u00e9t\u00e9 \u4e2d\u6587 \U0001f600"},
        {"\x1b[31m\n\t\x7f", "\\u001b[31m\\u000a\\u0009\\u007f"},
        {"\u202eevil\u202c", "\\u202eevil\\u202c"},
        {"a\u200bb\ufeff\u2066\u2028", "a\\u200bb\\ufeff\\u2066\\u2028"},
        {"\xc2\x9b[0m", "\\u009b[0m"},
        {"\xf3\xa0\x80\x81", "\\U000e0001"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc3", "\\xc3"},                   /* cut */
        {"\xe2\x80", "\\xe2\\x80"},          /* cut */
        {"\xc0\x80", "\\xc0\\x80"},          /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}};
    char plain[128];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_str_eq(text_plain(texts[i].text, false, plain, sizeof plain),
                         texts[i].shown);
    cr_assert_str_eq(text_plain("a\n\tb\r", true, plain, sizeof plain),
                     "a\n\tb\\u000d");
    /* cut between characters, never within one */
    cr_assert_str_eq(text_plain("ab\u00e9", false, plain, 4), "ab");
    cr_assert_str_eq(text_plain("ab\u202e", false, plain, 8), "ab");
}

static void spoil_json(const char *path, json_t *value)
{
    static const char text[] =
        "{\"source\":\"order\",\"log\":\"00112233445566778899aabbccddeeff\","
        "\"seq\":1,\"type\":\"OrderPlaced\",\"version\":1,\"order\":\"o-1\","
        "\"time_ms\":5,\"cause\":{\"command\":\"o-1\"},\"data\":{\"customer\":"
        "\"alice\",\"total_cents\":5,\"lines\":[{\"sku\":\"a\",\"quantity\":1,"
        "\"price_cents\":5}]}}";
    json_t *json = json_loads(text, 0, NULL), *inside = json;
    struct event event, before;
    const char *name = path;

    cr_assert_eq(json_to_event(&shop_domain, json, &event), EVT_OK);
    before = event;
    for (const char *dot; (dot = strchr(name, '.')) != NULL; name = dot + 1) {
        char member[16] = "";

        memcpy(member, name, (size_t)(dot - name));
        inside = json_object_get(inside, member);
        if (json_is_array(inside))
            inside = json_array_get(inside, 0);
    }
    if (value == NULL)
        json_object_del(inside, name);
    else
        json_object_set_new(inside, name, value);
    cr_assert_eq(json_to_event(&shop_domain, json, &event), EVT_BAD, "%s",
                 path);
    cr_assert_arr_eq(&event, &before, sizeof event, "%s", path);
    json_decref(json);
}

/* Written straight or by way of a tree: the same text. */
static void same_text(const struct message *message,
                      const struct payload *payload)
{
    json_t *tree = json_from_fields(message->fields, payload);
    char *dumped = json_dumps(tree, JSON_COMPACT), text[FIELDS_TEXT_MAX];
    size_t length = json_write_fields(message->fields, payload, text);

    cr_assert_not_null(dumped);
    cr_assert_str_eq(text, dumped);
    cr_assert_eq(length, strlen(dumped));
    free(dumped);
    json_decref(tree);
}

Test(codec, text_is_what_the_json_tree_prints)
{
    struct sample sample = {.random = 71};

    for (size_t i = 0; i < shop_catalogue_count; i++) {
        const struct message *message = &shop_catalogue[i];
        struct payload payload;

        for (int turn = 0; turn < 200; turn++) {
            sample_payload(&sample, message, &payload);
            same_text(message, &payload);
        }
        sample_largest(message, &payload);
        same_text(message, &payload);
        memset(payload.reason, '"', REASON_BYTES - 1); /* each is two bytes */
        same_text(message, &payload);
        snprintf(payload.reason, REASON_BYTES, "\\\"a\\b\"\\");
        same_text(message, &payload);
    }
}

Test(codec, json_that_is_no_event_is_refused)
{
    static const char *const needed[] = {
        "source",        "log",        "seq",           "type",
        "version",       "time_ms",    "cause",         "cause.command",
        "data",          "data.lines", "data.customer", "data.total_cents",
        "data.lines.sku"};

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        spoil_json(needed[i], NULL);
        spoil_json(needed[i], json_true());
        spoil_json(needed[i], json_real(1.5));
    }
    spoil_json("seq", json_integer(0));
    spoil_json("seq", json_string("1"));
    spoil_json("version", json_integer(0));
    spoil_json("log", json_string("00112233445566778899aabbccddee"));
    spoil_json("log", json_string("zz112233445566778899aabbccddeeff"));
    spoil_json("source", json_string("a name that is too long"));
    spoil_json("order", json_stringn("o\0x", 3));
    spoil_json("cause.command", json_array());
    spoil_json("data.total_cents", json_integer(-1));
    spoil_json("data.lines", json_array());
    spoil_json("data.lines.quantity", json_integer(QUANTITY_MAX + 1));
}

/* ---- money and bytes ----------------------------------------------------- */

Test(codec, cents_are_written_with_two_decimals)
{
    static const struct {
        int64_t cents;
        const char *text;
    } known[] = {{0, "0.00"},
                 {5, "0.05"},
                 {-5, "-0.05"},
                 {1990, "19.90"},
                 {-100, "-1.00"},
                 {INT64_MAX, "92233720368547758.07"},
                 {INT64_MIN, "-92233720368547758.08"}};
    char text[MONEY_BYTES];

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_assert_str_eq(money_text(known[i].cents, text), known[i].text);
}

Test(codec, amounts_are_read_strictly) /* HC25 */
{
    static const struct {
        const char *text;
        int64_t cents;
    } good[] = {{"0", 0},
                {"12", 1200},
                {"12.3", 1230},
                {"12.34", 1234},
                {"0.05", 5},
                {"10000000000000.00", INT64_C(1000000000000000)},
                {"92233720368547749", INT64_C(9223372036854774900)}};
    static const char *const bad[] = {
        "",
        " ",
        "007",
        "00.50",
        "12.",
        ".5",
        "1.234",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1e3",
        "0x10",
        "1,50",
        "1.2.3",
        "..",
        "inf",
        "nan",
        "12\n",
        "\xd9\xa1",
        "9223372036854775807",
        "922337203685477570",
        "92233720368547759",
        "92233720368547758.08",
        "99999999999999999999999999999999999999999999"};
    struct sample sample = {.random = 15};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t cents = -1;

        cr_assert(money_parse(good[i].text, &cents), "%s", good[i].text);
        cr_assert_eq(cents, good[i].cents, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t cents = -7;

        cr_assert_not(money_parse(bad[i], &cents), "%s", bad[i]);
        cr_assert_eq(cents, -7);
    }
    for (int i = 0; i < 10000; i++) {
        int64_t in = (int64_t)sample_random(&sample, FUNDS_TOTAL_MAX + 1), out;
        char text[MONEY_BYTES];

        cr_assert(money_parse(money_text(in, text), &out), "%s", text);
        cr_assert_eq(in, out);
    }
}

Test(codec, a_count_is_digits_alone)
{
    static const char *const bad[] = {
        "",
        " ",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "07",
        "00",
        "0x10",
        "1e3",
        "1.0",
        "1,000",
        "1_000",
        "ten",
        "1k",
        "\xd9\xa1",
        "9223372036854775808",
        "99999999999999999999999999999999999999999999"};
    int64_t count = -1;

    cr_assert(text_parse_count("0", 0, 9, &count) && count == 0);
    cr_assert(text_parse_count("10", 10, 10, &count) && count == 10);
    cr_assert(text_parse_count("9223372036854775807", 0, INT64_MAX, &count));
    cr_assert_eq(count, INT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        count = -7;
        cr_assert_not(text_parse_count(bad[i], 0, INT64_MAX, &count), "%s",
                      bad[i]);
        cr_assert_eq(count, -7);
    }
    cr_assert_not(text_parse_count("9", 10, 20, &count));
    cr_assert_not(text_parse_count("21", 10, 20, &count));
}

Test(codec, bytes_survive_hex)
{
    uint8_t bytes[256], read[256];
    char text[513];

    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    cr_assert_eq(strlen(text_hex(bytes, 256, text)), 512);
    cr_assert_eq(strncmp(text, "000102030405060708090a0b", 24), 0);
    cr_assert(text_parse_hex(text, read, 256));
    cr_assert_arr_eq(bytes, read, 256);
    cr_assert_not(text_parse_hex(text, read, 255));
    text[511] = '\0';
    cr_assert_not(text_parse_hex(text, read, 256));
    cr_assert_not(text_parse_hex("0g", read, 1));
    cr_assert_not(text_parse_hex("0 0a", read, 2));
    cr_assert(text_parse_hex("", read, 0));
}

/* ---- lists that are not the shop's --------------------------------------- */

struct stop {
    int64_t minute;
    char place[8];
};

/* Its list lies elsewhere than a payload's, holds fewer, and smaller ones. */
struct tour {
    uint32_t stop_count;
    struct stop stops[3];
    char guide[8];
};

static const struct field stop_fields[] = {
    {"place", FIELD_ID, AT(struct stop, place)},
    {"minute", FIELD_INT, AT(struct stop, minute), .max = 59},
    {.name = NULL},
};
static const struct field tour_fields[] = {
    {"guide", FIELD_ID, AT(struct tour, guide)},
    {"stops", FIELD_LIST, AT_LIST(struct tour, stop_count, stops), .min = 1,
     .max = 3, .items = stop_fields},
    {.name = NULL},
};

Test(codec, a_list_lies_where_its_field_says)
{
    struct tour tour = {.stop_count = 2,
                        .stops = {{5, "pier"}, {59, "zoo"}, {-1, "!"}},
                        .guide = "ann"};
    char text[FIELDS_TEXT_MAX];

    cr_assert(codec_check_state(tour_fields, &tour));
    json_write_fields(tour_fields, &tour, text);
    cr_assert_str_eq(text, "{\"guide\":\"ann\",\"stops\":["
                           "{\"place\":\"pier\",\"minute\":5},"
                           "{\"place\":\"zoo\",\"minute\":59}]}");
    tour.stops[1].minute = 60;
    cr_assert_not(codec_check_state(tour_fields, &tour), "beyond the limit");
    tour.stops[1] = tour.stops[0];
    cr_assert_not(codec_check_state(tour_fields, &tour), "the same place");
    tour.stop_count = 0;
    cr_assert_not(codec_check_state(tour_fields, &tour), "empty");
    tour.stop_count = 4;
    cr_assert_not(codec_check_state(tour_fields, &tour), "more than it holds");
    json_write_fields(tour_fields, &tour, text);
    cr_assert_not_null(strstr(text, "\"!\",\"minute\":-1}]}"), "%s", text);
}

/* ---- catalogues -----------------------------------------------------------
 */

Test(codec, a_name_and_a_number_belong_to_their_domain)
{
    static const struct message mine[] = {
        {1, 1, "Sent", 0, .fields = tour_fields},
        {1, 3, "Sent", 0, .undoes = 2},
        {2, 1, "Lost", 1, .fields = tour_fields}};
    static const struct message theirs[] = {
        {7, 3, "Sent", 1, .fields = stop_fields}};
    const struct domain a = {.messages = mine, .message_count = 3},
                        b = {.messages = theirs, .message_count = 1};
    uint32_t newest;

    cr_assert_eq(domain_message_named(&a, "Sent", 3, &newest), &mine[1]);
    cr_assert_eq(newest, 3);
    cr_assert_null(domain_message_named(&a, "Sent", 2, &newest));
    cr_assert_eq(newest, 3, "known, but not in this version");
    cr_assert_null(domain_message_named(&a, "Send", 1, &newest));
    cr_assert_eq(newest, 0, "unknown");
    cr_assert_eq(domain_message_named(&b, "Sent", 3, NULL), &theirs[0]);
    cr_assert_eq(domain_message(&a, 1), &mine[1], "the newest");
    cr_assert_null(domain_message(&b, 1));
    cr_assert_str_eq(domain_type_name(&a, 2), "Lost");
    cr_assert_str_eq(domain_type_name(&b, 7), "Sent");
    cr_assert_str_eq(domain_type_name(&b, 2), "?");
}
