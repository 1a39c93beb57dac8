/* stage.c - see stage.h.  Next: fuzz_shell.c, which puts a shell on it. */
#include "stage.h"

#include "stream/wire.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the service is given -------------------------------------------
 */

static uint64_t mono_ms(void *ctx)
{
    return ((struct stage *)ctx)->now_ms;
}

static int64_t wall_ms(void *ctx)
{
    return INT64_C(1700000000000) + (int64_t)((struct stage *)ctx)->now_ms;
}

static void random_bytes(void *ctx, void *bytes, size_t count)
{
    struct stage *stage = ctx;

    for (size_t i = 0; i < count; i++) {
        stage->random = stage->random * 6364136223846793005u + 1;
        ((uint8_t *)bytes)[i] = (uint8_t)(stage->random >> 40);
    }
}

/* ---- what it sends -------------------------------------------------------
 */

static void look_at_frame(const void *bytes, size_t count)
{
    static struct frame frame;

    MUST(frame_read(bytes, count, &frame));
}

static void look_at_pull(struct stage *stage, uint64_t link, const void *bytes,
                         size_t count)
{
    struct pull pull;

    MUST(link < stage->link_count && count <= sizeof stage->pulls[0]);
    MUST(pull_read(bytes, count, &pull));
    MUST(strcmp(pull.source, stage->publishers[link]) == 0);
    memcpy(stage->pulls[link], bytes, count);
    stage->pull_bytes[link] = count;
}

static void look_at_answer(struct stage *stage, uint64_t token,
                           const void *bytes, size_t count)
{
    static struct answer answers[COMMANDS_PER_REQUEST];
    static struct pull_reply reply;
    size_t in;

    MUST(token < stage->asked && !stage->is_answered[token]);
    stage->is_answered[token] = true;
    stage->answered++;
    if (*(const char *)bytes == '{') {
        json_t *json = json_loadb(bytes, count, JSON_REJECT_DUPLICATES, NULL);

        MUST(json != NULL);
        json_decref(json);
    } else {
        MUST(request_answers_read(bytes, count, answers, &in) ||
             pull_reply_read(bytes, count, &reply));
    }
}

static void look(void *ctx, enum channel channel, uint64_t to,
                 const void *bytes, size_t count)
{
    MUST(count > 0 && count <= MESSAGE_MAX);
    if (channel == TO_SUBSCRIBERS)
        look_at_frame(bytes, count);
    else if (channel == TO_PUBLISHER)
        look_at_pull(ctx, to, bytes, count);
    else
        look_at_answer(ctx, to, bytes, count);
}

/* ---- the stage -----------------------------------------------------------
 */

void stage_reset(struct stage *stage)
{
    stage->now_ms = 1000000;
    stage->random = 1;
    memset(stage->pull_bytes, 0, sizeof stage->pull_bytes);
    memset(stage->is_answered, 0, sizeof stage->is_answered);
    stage->asked = stage->answered = 0;
}

void stage_open(struct stage *stage, const char *const *publishers,
                size_t rounds)
{
    char why[STORE_WHY_BYTES], path[160], name[SERVICE_BYTES + 16];

    memset(stage, 0, sizeof *stage);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; publishers[i] != NULL; i++) {
            size_t link = stage->link_count++;

            MUST(link < STAGE_LINKS_MAX);
            stage->publishers[link] = publishers[i];
            snprintf(name, sizeof name, "golden-%s.db", publishers[i]);
            text_copy(path, sizeof path, fuzz_path(name));
            MUST(store_open_readonly(path, publishers[i], NULL,
                                     &stage->logs[link], why) == EVT_OK);
        }
    }
    stage->env =
        (struct env){stage, mono_ms, wall_ms, random_bytes, look, NULL};
    stage_reset(stage);
}

static void set_input(struct input *input, enum input_kind kind, uint64_t from,
                      const void *bytes, size_t count)
{
    void *copy = malloc(count > 0 ? count : 1);

    MUST(copy != NULL);
    if (count > 0)
        memcpy(copy, bytes, count);
    *input = (struct input){kind, from, copy, count};
}

/* A frame of the golden log from @first on. */
static size_t true_frame(struct stage *stage, unsigned link, uint64_t first,
                         uint8_t message[MESSAGE_MAX])
{
    static struct frame_writer writer;
    struct store *log = stage->logs[link];
    uint8_t hash[HASH_BYTES];
    struct row row;

    if (store_hash_at(log, first - 1, hash) != EVT_OK)
        return 0;
    frame_begin(&writer, stage->publishers[link], store_log_id(log), first - 1,
                hash);
    MUST(store_scan(log, NULL, first - 1, first + 6) == EVT_OK);
    while (store_next(log, &row, hash) == EVT_OK)
        MUST(frame_add(&writer, &row, hash));
    store_scan_end(log);
    return frame_finish(&writer, message);
}

static size_t true_reply(struct stage *stage, unsigned link,
                         uint8_t message[MESSAGE_MAX])
{
    struct pull pull;
    size_t bytes = 0;

    if (stage->pull_bytes[link] == 0)
        return 0;
    MUST(pull_read(stage->pulls[link], stage->pull_bytes[link], &pull));
    MUST(pull_answer(stage->logs[link], &pull, message, &bytes) == EVT_OK);
    stage->pull_bytes[link] = 0;
    return bytes;
}

bool stage_answer(struct stage *stage, unsigned link, struct input *input)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes = true_reply(stage, link, message);

    if (bytes == 0)
        return false;
    set_input(input, INPUT_REPLY, link, message, bytes);
    return true;
}

/* Up to 7 bytes become others; or the end is cut off. */
static size_t edit(struct taker *taker, uint8_t *message, size_t bytes)
{
    uint8_t edits = take_byte(taker);

    for (unsigned i = 0; i < (edits & 7u); i++) {
        uint16_t at = take_short(taker);

        message[at % bytes] ^= take_byte(taker);
    }
    if ((edits & 0x80) != 0)
        bytes -= take_short(taker) % bytes;
    return bytes;
}

static bool true_act(struct stage *stage, enum act act, unsigned link,
                     struct taker *taker, struct input *input)
{
    static uint8_t message[MESSAGE_MAX];
    size_t bytes;

    if (act == ACT_TRUE_FRAME)
        bytes = true_frame(stage, link, 1u + take_byte(taker) % 32u, message);
    else
        bytes = true_reply(stage, link, message);
    if (bytes == 0)
        return false;
    bytes = edit(taker, message, bytes);
    set_input(input, act == ACT_TRUE_FRAME ? INPUT_FRAME : INPUT_REPLY, link,
              message, bytes);
    return true;
}

bool stage_act(struct stage *stage, struct taker *taker, struct input *input)
{
    uint8_t head = take_byte(taker);
    enum act act = (enum act)(head % ACTS);
    unsigned link = head / ACTS % (unsigned)stage->link_count;
    const uint8_t *bytes;
    size_t count;

    switch (act) {
    case ACT_REQUEST:
    case ACT_FRAME:
    case ACT_REPLY:
        count = take_short(taker);
        bytes = take_span(taker, count, &count);
        set_input(input,
                  act == ACT_REQUEST ? INPUT_REQUEST
                  : act == ACT_FRAME ? INPUT_FRAME
                                     : INPUT_REPLY,
                  act == ACT_REQUEST ? stage->asked++ : link, bytes, count);
        return true;
    case ACT_CONNECTED:
        set_input(input, INPUT_CONNECTED, link, NULL, 0);
        return true;
    case ACT_TIME:
        stage->now_ms += 250u * take_byte(taker);
        return false;
    default:
        return true_act(stage, act, link, taker, input);
    }
}
