/* redis.c - the saga on Redis streams: see peer.h.
 *
 * Each service has a stream, which it alone writes, and reads the others' by a
 * consumer group of its own.  A message is handled by one Lua script, which
 * Redis runs as a whole: it looks at the state of the order, decides, writes
 * state and event, and acknowledges.  The state makes the consumer idempotent.
 * Scripts are pipelined, a step's and the next read in one write; with
 * appendfsync always Redis answers when all of it is synced. */
#include "peer.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS = 2, SHA_BYTES = 41 };

/* KEYS: none, it is no cluster.  ARGV: source, id, type, order; the source ""
 * is a command.  Returns the order's number if it has ended. */
static const char *const scripts[] = {
    [ORDER] =
        "local source, id, type, order = unpack(ARGV)\n"
        "local state = redis.call('HGET', 'orders', order)\n"
        "local function become(new, event)\n"
        "  redis.call('HSET', 'orders', order, new)\n"
        "  redis.call('XADD', 'order', '*', 't', event, 'o', order)\n"
        "end\n"
        "local ended = false\n"
        "if type == 'PlaceOrder' then\n"
        "  if not state then become('placed', 'OrderPlaced') end\n"
        "elseif state == 'placed' then\n"
        "  if type == 'PaymentCharged' then\n"
        "    become('confirmed', 'OrderConfirmed') ended = order\n"
        "  elseif type == 'PaymentDeclined' or type == 'StockRejected' then\n"
        "    become('cancelled', 'OrderCancelled') ended = order\n"
        "  end\n"
        "end\n"
        "if source ~= '' then redis.call('XACK', source, 'order', id) end\n"
        "return ended\n",
    [INVENTORY] =
        "local source, id, type, order = unpack(ARGV)\n"
        "local state = redis.call('HGET', 'reservations', order)\n"
        "local sku = order % 10\n"
        "local function become(new, event, stock)\n"
        "  redis.call('HSET', 'reservations', order, new)\n"
        "  if stock ~= 0 then redis.call('HINCRBY', 'stock', sku, stock) end\n"
        "  redis.call('XADD', 'inventory', '*', 't', event, 'o', order)\n"
        "end\n"
        "if type == 'OrderPlaced' and not state then\n"
        "  if tonumber(redis.call('HGET', 'stock', sku)) >= 1 then\n"
        "    become('reserved', 'StockReserved', -1)\n"
        "  else become('rejected', 'StockRejected', 0) end\n"
        "elseif type == 'OrderConfirmed' and state == 'reserved' then\n"
        "  become('shipped', 'StockShipped', 0)\n"
        "elseif type == 'PaymentDeclined' and state == 'reserved' then\n"
        "  become('released', 'StockReleased', 1)\n"
        "end\n"
        "redis.call('XACK', source, 'inventory', id)\n"
        "return false\n",
    [PAYMENT] =
        "local source, id, type, order = unpack(ARGV)\n"
        "local state = redis.call('HGET', 'charges', order)\n"
        "local customer = order % 100\n"
        "local function become(new, event)\n"
        "  redis.call('HSET', 'charges', order, new)\n"
        "  redis.call('XADD', 'payment', '*', 't', event, 'o', order)\n"
        "end\n"
        "if type == 'StockReserved' and not state then\n"
        "  if tonumber(redis.call('HGET', 'funds', customer)) >= 1 then\n"
        "    redis.call('HINCRBY', 'funds', customer, -1)\n"
        "    become('charged', 'PaymentCharged')\n"
        "  else become('declined', 'PaymentDeclined') end\n"
        "end\n"
        "redis.call('XACK', source, 'payment', id)\n"
        "return false\n"};
/* For the totals. */
static const char count_values[] =
    "local n = 0\n"
    "for _, v in ipairs(redis.call('HVALS', ARGV[1])) do\n"
    "  if v == ARGV[2] then n = n + 1 end\n"
    "end\n"
    "return n";
static const char count_events[] =
    "local n = 0\n"
    "for _, e in ipairs(redis.call('XRANGE', ARGV[1], '-', '+')) do\n"
    "  if e[2][2] == ARGV[2] then n = n + 1 end\n"
    "end\n"
    "return n";
static const char sum_values[] =
    "local n = 0\n"
    "for _, v in ipairs(redis.call('HVALS', ARGV[1])) do n = n + v end\n"
    "return n";

static const char *const names[] = {"order", "inventory", "payment"};
static const char *const sources[][STREAMS] = {
    {"inventory", "payment"}, {"order", "payment"}, {"inventory", NULL}};

static redisContext *redis;
static enum peer_service me;
static char shas[3][SHA_BYTES];
static redisReply *messages; /* read, to be handled by the next step */
static bool recovered;       /* what an earlier life left unacknowledged is */

static redisReply *checked(redisReply *reply)
{
    if (reply == NULL)
        peer_fail("redis", redis->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        peer_fail("redis", reply->str);
    return reply;
}

static redisReply *next_reply(void)
{
    void *reply = NULL;

    return checked(redisGetReply(redis, &reply) == REDIS_OK ? reply : NULL);
}

/* Takes @reply over. */
static int64_t number_of(redisReply *reply)
{
    int64_t value = checked(reply)->integer;

    freeReplyObject(reply);
    return value;
}

void peer_open(const char *directory, enum peer_service service)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/redis.sock", directory);
    me = service;
    redis = redisConnectUnix(path);
    if (redis == NULL || redis->err != 0)
        peer_fail(path, redis != NULL ? redis->errstr : "no memory");
    for (int i = 0; i < 3; i++) {
        redisReply *reply =
            checked(redisCommand(redis, "SCRIPT LOAD %s", scripts[i]));

        snprintf(shas[i], SHA_BYTES, "%s", reply->str);
        freeReplyObject(reply);
    }
}

void peer_seed(void)
{
    for (int i = 0; i < SKUS; i++)
        (void)number_of(redisCommand(redis, "HSET stock %d %d", i, STOCK));
    for (int i = 0; i < CUSTOMERS; i++)
        (void)number_of(redisCommand(redis, "HSET funds %d %d", i, FUNDS));
    for (int reader = 0; reader < 3; reader++)
        for (int i = 0; i < STREAMS && sources[reader][i] != NULL; i++)
            (void)number_of(redisCommand(redis,
                                         "XGROUP CREATE %s %s 0 MKSTREAM",
                                         sources[reader][i], names[reader]));
}

static void append_message(enum peer_service service, const char *source,
                           const redisReply *entry)
{
    const redisReply *fields = entry->element[1];

    redisAppendCommand(redis, "EVALSHA %s 0 %s %s %s %s", shas[service], source,
                       entry->element[0]->str, fields->element[1]->str,
                       fields->element[3]->str);
}

/* A script for each message of an XREADGROUP; returns how many. */
static size_t append_messages(const redisReply *read)
{
    size_t count = 0;

    for (size_t i = 0; read != NULL && i < read->elements; i++) {
        const redisReply *entries = read->element[i]->element[1];

        for (size_t k = 0; k < entries->elements; k++, count++)
            append_message(me, read->element[i]->element[0]->str,
                           entries->element[k]);
    }
    return count;
}

static void append_read(int wait_ms)
{
    const char *words[16] = {"XREADGROUP", "GROUP", names[me],
                             "1",          "COUNT", "512"};
    char block[16];
    int count = 6, streams = sources[me][1] != NULL ? 2 : 1;

    if (wait_ms > 0) {
        snprintf(block, sizeof block, "%d", wait_ms);
        words[count++] = "BLOCK";
        words[count++] = block;
    }
    words[count++] = "STREAMS";
    for (int i = 0; i < streams; i++)
        words[count++] = sources[me][i];
    for (int i = 0; i < streams; i++)
        words[count++] = recovered ? ">" : "0";
    redisAppendCommandArgv(redis, count, words, NULL);
}

size_t peer_step(uint64_t first, size_t count, int wait_ms, uint64_t ended[])
{
    size_t handled, ends = 0;

    for (size_t i = 0; i < count; i++)
        redisAppendCommand(redis, "EVALSHA %s 0 %s %s PlaceOrder %llu",
                           shas[ORDER], "", "",
                           (unsigned long long)(first + i));
    handled = append_messages(messages) + count;
    append_read(handled == 0 ? wait_ms : 0);
    for (size_t i = 0; i < handled; i++) {
        redisReply *reply = next_reply();

        if (reply->type == REDIS_REPLY_STRING && ended != NULL)
            ended[ends++] = strtoull(reply->str, NULL, 10);
        freeReplyObject(reply);
    }
    freeReplyObject(messages);
    messages = next_reply();
    recovered = recovered || handled == count;
    return ends;
}

bool peer_caught_up(uint64_t orders)
{
    return (uint64_t)number_of(redisCommand(redis, "XLEN inventory")) >=
           2 * orders;
}

void peer_again(void)
{
    for (int reader = 0; reader < 3; reader++)
        for (int i = 0; i < STREAMS && sources[reader][i] != NULL; i++) {
            const char *source = sources[reader][i];
            redisReply *all =
                checked(redisCommand(redis, "XRANGE %s - +", source));

            for (size_t k = 0; k < all->elements; k++)
                append_message((enum peer_service)reader, source,
                               all->element[k]);
            for (size_t k = 0; k < all->elements; k++)
                freeReplyObject(next_reply());
            freeReplyObject(all);
        }
}

static int64_t total(const char *script, const char *key, const char *what)
{
    return number_of(redisCommand(redis, "EVAL %s 0 %s %s", script, key, what));
}

void peer_totals(struct peer_totals *totals)
{
    *totals = (struct peer_totals){
        .placed = total(count_values, "orders", "placed"),
        .confirmed = total(count_values, "orders", "confirmed"),
        .cancelled = total(count_values, "orders", "cancelled"),
        .reserved = total(count_events, "inventory", "StockReserved"),
        .shipped = total(count_events, "inventory", "StockShipped"),
        .charged = total(count_events, "payment", "PaymentCharged"),
        .stock_left = total(sum_values, "stock", ""),
        .funds_left = total(sum_values, "funds", "")};
}
