/* seed.c - what a search begins with: valid messages of every kind, and a few
 * simple edits of files.
 *
 * seed DIR writes them to DIR/NAME/seed-NNN for every target.  The corpora
 * hold what libFuzzer made of them.  Run it when a message or a target has
 * changed so much that the search has to start over. */
#include "core/codec.h"
#include "core/json.h"
#include "fuzz.h"
#include "read/log_query.h"
#include "read/projection.h"
#include "read/pull_answer.h"
#include "stream/request.h"

#include "../sample.h"
#include "shop/shop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *top;
static struct store *logs[SERVICES];

/* ---- writing one -------------------------------------------------------- */

struct seed {
    uint8_t bytes[MESSAGE_MAX + 16];
    size_t count;
};

static void put_byte(struct seed *seed, size_t byte)
{
    seed->bytes[seed->count++] = (uint8_t)byte;
}

static void put_short(struct seed *seed, size_t number)
{
    put_byte(seed, number & 0xff);
    put_byte(seed, number >> 8);
}

static void put(struct seed *seed, const void *bytes, size_t count)
{
    memcpy(seed->bytes + seed->count, bytes, count);
    seed->count += count;
}

static void save(const char *target, const struct seed *seed)
{
    static unsigned number;
    char path[512];

    snprintf(path, sizeof path, "%s/%s", top, target);
    MUST(mkdir(path, 0777) == 0 || errno == EEXIST);
    snprintf(path, sizeof path, "%s/%s/seed-%03u", top, target, ++number);
    fuzz_write(path, seed->bytes, seed->count);
}

static void save_bytes(const char *target, const void *bytes, size_t count)
{
    struct seed seed = {.count = 0};

    put(&seed, bytes, count);
    save(target, &seed);
}

/* ---- the targets -------------------------------------------------------- */

static void seed_codec(void)
{
    struct sample sample = {.random = 1};

    for (unsigned i = 0; i < shop_catalogue_count; i++) {
        struct seed seed = {.count = 0};
        struct payload payload;

        sample_payload(&sample, &shop_catalogue[i], &payload);
        put_byte(&seed, i);
        seed.count +=
            codec_encode(&shop_catalogue[i], &payload, &seed.bytes[1]);
        save("codec", &seed);
    }
}

static size_t golden_frame(unsigned number, uint64_t first, uint64_t last,
                           uint8_t message[MESSAGE_MAX])
{
    static struct frame_writer writer;
    struct store *log = logs[number];
    uint8_t hash[HASH_BYTES];
    struct row row;

    MUST(store_hash_at(log, first - 1, hash) == EVT_OK);
    frame_begin(&writer, shop_services[number], store_log_id(log), first - 1,
                hash);
    MUST(store_scan(log, NULL, first - 1, last) == EVT_OK);
    while (store_next(log, &row, hash) == EVT_OK)
        MUST(frame_add(&writer, &row, hash));
    store_scan_end(log);
    return frame_finish(&writer, message);
}

static size_t some_commands(unsigned service, uint8_t message[MESSAGE_MAX])
{
    static struct command commands[COMMANDS_PER_REQUEST];
    struct sample sample = {.random = 7 + service};
    size_t count = 0;

    memset(commands, 0, sizeof commands);
    for (size_t i = 0; i < shop_catalogue_count; i++) {
        const struct message *type = &shop_catalogue[i];

        if (!type->is_command ||
            service_rule(roster_services[service], type->type) == NULL)
            continue;
        commands[count].type = type->type;
        snprintf(commands[count].command_id, ID_BYTES, "c-%d", (int)count);
        text_copy(commands[count].order_id, ID_BYTES,
                  type->type == CANCEL_ORDER ? "o-shipped" : "c-1");
        sample_payload(&sample, type, &commands[count++].data);
    }
    return request_write(&shop_domain, commands, count, message);
}

static void seed_wire(void)
{
    static uint8_t message[MESSAGE_MAX];
    static struct answer answers[2] = {
        {ANSWER_DONE, {{1}, 4}, "", ""},
        {ANSWER_REFUSED, {{1}, 0}, "unknown product", "lines"}};
    struct pull pull = {.nonce = 77, .reader = "payment", .source = "order"};
    struct row row;
    size_t bytes;

    for (unsigned i = 0; i < SERVICES; i++) {
        save_bytes("wire", message, golden_frame(i, 1, 2, message));
        save_bytes("wire", message, golden_frame(i, 3, 2, message));
        save_bytes("wire", message, some_commands(i, message));
    }
    save_bytes("wire", message, pull_write(&pull, message));
    MUST(pull_answer(logs[0], &pull, message, &bytes) == EVT_OK);
    save_bytes("wire", message, bytes);
    memset(pull.cursor.at.log_id, 1, LOG_ID_BYTES);
    MUST(pull_answer(logs[0], &pull, message, &bytes) == EVT_OK);
    save_bytes("wire", message, bytes);
    save_bytes("wire", message, request_answers_write(answers, 2, message));
    /* another version; a list that is shorter than it must be; an end */
    save_bytes("wire",
               "\x97\xa1"
               "f\x02",
               4);
    save_bytes("wire", "\x98\xa1r\x01\x01\x00\x01\xc4\x00\x91\x93\xa1o", 13);
    save_bytes("wire", "\x92\x01\x99\xa1t\x01\xa0", 7);
    MUST(store_scan(logs[0], NULL, 0, 1) == EVT_OK);
    MUST(store_next(logs[0], &row, NULL) == EVT_OK);
    save_bytes("wire", message, frame_row_write(&row, message, sizeof message));
    store_scan_end(logs[0]);
}

static void seed_json(void)
{
    static const char *const bad[] = {
        "{\"source\":7}",
        "{\"source\":\"order\",\"order\":5}",
        "{\"source\":\"order\",\"log\":\"x\"}",
        "{\"source\":\"order\",\"log\":\"00112233445566778899aabbccddeeff\","
        "\"seq\":1,\"time_ms\":1,\"cause\":{\"source\":\"order\",\"log\":1}}",
        "{\"source\":\"order\",\"log\":\"00112233445566778899aabbccddeeff\","
        "\"seq\":1,\"time_ms\":1,\"cause\":{\"source\":\"order\",\"log\":"
        "\"00112233445566778899aabbccddeeff\",\"seq\":\"x\"}}",
        "{\"source\":\"order\",\"log\":\"00112233445566778899aabbccddeeff\","
        "\"seq\":1,\"time_ms\":1,\"cause\":{\"command\":\"c\"},\"type\":"
        "\"OrderPlaced\",\"version\":1,\"data\":{\"customer\":\"alice\","
        "\"lines\":7,\"total_cents\":1}}",
        "{\"source\":\"order\",\"log\":\"00112233445566778899aabbccddeeff\","
        "\"seq\":1,\"time_ms\":1,\"cause\":{\"command\":\"c\"},\"type\":"
        "\"OrderPlaced\",\"version\":1,\"data\":{\"customer\":\"alice\","
        "\"lines\":[1,2,3,4,5,6,7,8,9,10,11],\"total_cents\":1}}"};
    json_t *request = json_pack("{s:s,s:i}", "get", "log", "limit", 1);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        save_bytes("json", bad[i], strlen(bad[i]));
    for (unsigned i = 0; i < SERVICES; i++) {
        json_t *answer = log_query(&shop_domain, logs[i], request), *event;
        struct row row;
        char *text;

        text = json_dumps(answer, JSON_COMPACT);
        save_bytes("json", text, strlen(text));
        free(text);
        json_decref(answer);
        MUST(store_scan(logs[i], NULL, 0, UINT64_MAX) == EVT_OK);
        while (store_next(logs[i], &row, NULL) == EVT_OK) {
            event = json_from_row(&shop_domain, shop_services[i],
                                  store_log_id(logs[i]), &row, NULL);
            text = json_dumps(event, JSON_COMPACT);
            save_bytes("json", text, strlen(text));
            free(text);
            json_decref(event);
        }
        store_scan_end(logs[i]);
    }
    json_decref(request);
}

/* Acts of acts.h; 0x80 would be "and now step", which 7 acts leave free. */
enum { REQUEST, FRAME, REPLY, CONNECTED, TRUE_FRAME, TRUE_REPLY, TIME, ACTS };

static void put_request(struct seed *seed, const void *bytes, size_t count)
{
    put_byte(seed, REQUEST);
    put_short(seed, count);
    put(seed, bytes, count);
}

static void seed_requests(const char *target, unsigned who,
                          const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        struct seed seed = {.count = 0};

        put_byte(&seed, who);
        put_request(&seed, *texts, strlen(*texts));
        save(target, &seed);
    }
}

/* All of a publisher's rows in frames; or by a pull, as a new reader has it. */
static void seed_stream(const char *target, unsigned who)
{
    for (unsigned link = 0; link < 2; link++) {
        struct seed seed = {.count = 0};

        put_byte(&seed, who);
        put_byte(&seed, CONNECTED + ACTS * link);
        put_byte(&seed, TIME);
        put_byte(&seed, 1);
        put_byte(&seed, TRUE_REPLY + ACTS * (link + 18)); /* step before */
        put_byte(&seed, 0);
        for (unsigned first = 1; first < 24; first += 6) {
            put_byte(&seed, TRUE_FRAME + ACTS * link);
            put_byte(&seed, first - 1);
            put_byte(&seed, 0);
        }
        save(target, &seed);
    }
}

static void seed_shell(void)
{
    static uint8_t message[MESSAGE_MAX];
    static const char *const controls[] = {
        "{\"do\":\"redrive\"}",
        "{\"do\":\"redrive\",\"source\":\"order\",\"seq\":3}",
        "{\"do\":\"accept\",\"source\":\"order\"}",
        "{\"do\":\"accept\",\"source\":\"payment\"}",
        "{\"get\":\"faults\"}",
        NULL};

    for (unsigned who = 0; who < 2 * SERVICES; who++) {
        struct seed seed = {.count = 0};

        put_byte(&seed, who);
        put_request(&seed, message, some_commands(who % SERVICES, message));
        put_request(&seed, message, some_commands(who % SERVICES, message));
        save("shell", &seed);
        seed_requests("shell", who, controls);
        seed_stream("shell", who);
    }
}

static void seed_reader(void)
{
    static uint8_t message[MESSAGE_MAX];
    static const char *const queries[] = {
        "{\"get\":\"status\"}",
        "{\"get\":\"log\",\"after\":1,\"upto\":3,\"limit\":1}",
        "{\"get\":\"log\",\"tag\":\"order:o-shipped\"}", "{\"get\":\"parked\"}",
        "{\"do\":\"rebuild\"}",
        "{\"get\":\"order\",\"order\":\"o-shipped\",\"until\":\"ended\"}",
        "{\"get\":\"orders\",\"status\":\"CONFIRMED\",\"limit\":1,"
        "\"before\":\"o-voided\"}",
        "{\"get\":\"stock\"}", "{\"get\":\"stock\",\"sku\":\"widget\"}",
        "{\"get\":\"accounts\"}",
        "{\"get\":\"account\",\"customer\":\"alice\"}",
        "{\"get\":\"orders\",\"timeout_ms\":10,\"after\":[{\"service\":"
        "\"order\",\"log\":\"00112233445566778899aabbccddeeff\",\"seq\":9}]}",
        /* members that are not what they should be */
        "{\"get\":\"orders\",\"after\":3}",
        "{\"get\":\"orders\",\"after\":[{}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\"}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":\"0\","
        "\"seq\":1}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":"
        "\"0011223344556677zz99aabbccddeeff\",\"seq\":1}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":"
        "\"00112233445566778899aabbccddeeff\"}]}",
        "{\"get\":\"orders\",\"after\":[{\"service\":\"order\",\"log\":"
        "\"00112233445566778899aabbccddeeff\",\"seq\":0}]}",
        "{\"get\":\"orders\",\"order\":5,\"limit\":\"x\"}",
        "{\"get\":\"order\",\"order\":\"no id!\"}",
        "{\"get\":\"stock\",\"until\":\"ended\",\"timeout_ms\":1}",
        "{\"get\":\"orders\",\"limit\":0,\"until\":\"ended\"}",
        "{\"get\":\"log\",\"limit\":5000,\"tag\":7}",
        "{\"get\":\"log\",\"limit\":5000}", "{\"get\":\"log\",\"tag\":\"\"}",
        "{\"get\":\"log\",\"tag\":\"order:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
        NULL};
    struct pull pull = {.nonce = 77, .reader = "payment", .source = "order"};

    for (unsigned who = 0; who < SERVICES; who++) {
        struct seed seed = {.count = 0};

        seed_requests("reader", who, queries);
        seed_stream("reader", who);
        put_byte(&seed, who);
        text_copy(pull.source, SERVICE_BYTES, shop_services[who]);
        put_request(&seed, message, pull_write(&pull, message));
        save("reader", &seed);
    }
}

static void seed_snapshot(void)
{
    for (unsigned who = 0; who < SERVICES; who++) {
        for (unsigned kind = 0; kind < 2; kind++) {
            struct seed seed = {.count = 0};
            uint64_t numbers[] = {1, 10, 8, 1, 1};

            put_byte(&seed, who);
            put_byte(&seed, kind);
            put(&seed, numbers, sizeof numbers); /* little-endian */
            save("snapshot", &seed);
        }
    }
}

static void seed_database(void)
{
    for (unsigned column = 0; column < 34; column++) {
        struct seed seed = {.count = 0};

        put_byte(&seed, column % 5); /* 0: with the views */
        put_byte(&seed, 4 * (column % SERVICES) + 2);
        put_byte(&seed, column);
        put_byte(&seed, column % 4);
        put_byte(&seed, 4 * 8 + column % 4); /* 8 bytes, of each type */
        put(&seed, "o-voided", 8);
        save("database", &seed);
    }
    for (unsigned at = 0; at < 24; at++) {
        struct seed seed = {.count = 0};

        put_byte(&seed, at % 5);
        put_byte(&seed, 4 * (at % 6) + (at % 4 == 3)); /* bytes, or cut */
        put_short(&seed, at * 128);
        put_byte(&seed, 3);
        put_byte(&seed, 4);
        put(&seed, "\xff\0\x7f\x80", 4);
        save("database", &seed);
    }
}

int main(int argc, char **argv)
{
    char why[STORE_WHY_BYTES];

    MUST(argc == 2);
    top = argv[1];
    for (unsigned i = 0; i < SERVICES; i++) {
        char name[40], path[160];

        snprintf(name, sizeof name, "%s.db", shop_services[i]);
        text_copy(path, sizeof path, fuzz_path(name));
        fuzz_golden(shop_services[i], path);
        MUST(store_open_readonly(path, shop_services[i], NULL, &logs[i], why) ==
             EVT_OK);
    }
    seed_codec();
    seed_wire();
    seed_json();
    seed_shell();
    seed_reader();
    seed_snapshot();
    seed_database();
    return 0;
}
