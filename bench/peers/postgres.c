/* postgres.c - the saga on PostgreSQL: see peer.h.
 *
 * Each service has tables of its own and a log, which it alone writes: the
 * outbox.  A step is one function call, which is one transaction: it reads the
 * other logs behind its cursors, decides by the states of the orders, writes
 * states and events, moves the cursors and notifies the readers.  The primary
 * key of a state makes the consumer idempotent.  With synchronous_commit on the
 * answer to the call comes when all of it is synced. */
#include "peer.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The events of a log behind the cursor of a reader, which moves. */
#define TAKE(source)                                                           \
    "CREATE FUNCTION take_" source "(me text, most int)"                       \
    " RETURNS TABLE (type text, o bigint) LANGUAGE sql AS $$"                  \
    "  WITH few AS (SELECT * FROM log_" source " WHERE seq > (SELECT seq"      \
    "     FROM cursors WHERE reader = me AND source = '" source "')"           \
    "    ORDER BY seq LIMIT most),"                                            \
    "   moved AS (UPDATE cursors SET seq = (SELECT max(seq) FROM few)"         \
    "    WHERE reader = me AND source = '" source "'"                          \
    "     AND EXISTS (SELECT FROM few))"                                       \
    "  SELECT few.type, few.o FROM few ORDER BY seq $$;"

static const char *const schema[] = {
    "CREATE TABLE log_order (seq bigint GENERATED ALWAYS AS IDENTITY"
    "  PRIMARY KEY, type text, o bigint);"
    "CREATE TABLE log_inventory (LIKE log_order INCLUDING ALL);"
    "CREATE TABLE log_payment (LIKE log_order INCLUDING ALL);"
    "CREATE TABLE orders (o bigint PRIMARY KEY, state text);"
    "CREATE TABLE reservations (o bigint PRIMARY KEY, state text);"
    "CREATE TABLE charges (o bigint PRIMARY KEY, state text);"
    "CREATE TABLE stock (sku int PRIMARY KEY, amount bigint);"
    "CREATE TABLE funds (customer int PRIMARY KEY, amount bigint);"
    "CREATE TABLE cursors (reader text, source text, seq bigint,"
    "                      PRIMARY KEY (reader, source));"
    "INSERT INTO cursors VALUES ('order', 'inventory', 0),"
    " ('order', 'payment', 0), ('inventory', 'order', 0),"
    " ('inventory', 'payment', 0), ('payment', 'inventory', 0);" TAKE("order")
        TAKE("inventory") TAKE("payment"),

    /* Of each: the orders that have ended; at last, how many events it took,
     * below zero. */
    "CREATE FUNCTION step_order(first_ bigint, count_ bigint, most int)"
    " RETURNS SETOF bigint LANGUAGE plpgsql AS $$\n"
    "DECLARE e record; wrote boolean := count_ > 0;\n"
    "  taken bigint := 0;\n"
    "BEGIN\n"
    "  WITH placed AS (INSERT INTO orders"
    "      SELECT n, 'placed' FROM"
    "       generate_series(first_, first_ + count_ - 1) AS n"
    "      ON CONFLICT DO NOTHING RETURNING orders.o)"
    "   INSERT INTO log_order (type, o) SELECT 'OrderPlaced', p.o"
    "    FROM placed p;\n"
    "  FOR e IN SELECT * FROM take_inventory('order', most)"
    "     UNION ALL SELECT * FROM take_payment('order', most) LOOP\n"
    "    taken := taken + 1;\n"
    "    UPDATE orders SET state = CASE e.type"
    "        WHEN 'PaymentCharged' THEN 'confirmed' ELSE 'cancelled' END"
    "     WHERE orders.o = e.o AND state = 'placed' AND e.type IN"
    "        ('PaymentCharged', 'PaymentDeclined', 'StockRejected');\n"
    "    CONTINUE WHEN NOT FOUND;\n"
    "    INSERT INTO log_order (type, o) VALUES (CASE e.type"
    "        WHEN 'PaymentCharged' THEN 'OrderConfirmed'"
    "        ELSE 'OrderCancelled' END, e.o);\n"
    "    wrote := true;\n"
    "    RETURN NEXT e.o;\n"
    "  END LOOP;\n"
    "  IF wrote THEN NOTIFY log_order; END IF;\n"
    "  RETURN NEXT -taken;\n"
    "END $$;",

    "CREATE FUNCTION step_inventory(bigint, bigint, most int)"
    " RETURNS SETOF bigint LANGUAGE plpgsql AS $$\n"
    "DECLARE e record; event text; wrote boolean := false;\n"
    "  taken bigint := 0;\n"
    "BEGIN\n"
    "  FOR e IN SELECT * FROM take_order('inventory', most)"
    "     UNION ALL SELECT * FROM take_payment('inventory', most) LOOP\n"
    "    taken := taken + 1;\n"
    "    event := NULL;\n"
    "    IF e.type = 'OrderPlaced' THEN\n"
    "      INSERT INTO reservations VALUES (e.o, 'reserved')"
    "       ON CONFLICT DO NOTHING;\n"
    "      CONTINUE WHEN NOT FOUND;\n"
    "      UPDATE stock SET amount = amount - 1"
    "       WHERE sku = e.o % 10 AND amount >= 1;\n"
    "      event := CASE WHEN FOUND THEN 'StockReserved'"
    "        ELSE 'StockRejected' END;\n"
    "      IF NOT FOUND THEN UPDATE reservations SET state = 'rejected'"
    "        WHERE reservations.o = e.o; END IF;\n"
    "    ELSIF e.type IN ('OrderConfirmed', 'PaymentDeclined') THEN\n"
    "      UPDATE reservations SET state = CASE e.type"
    "          WHEN 'OrderConfirmed' THEN 'shipped' ELSE 'released' END"
    "       WHERE reservations.o = e.o AND state = 'reserved';\n"
    "      CONTINUE WHEN NOT FOUND;\n"
    "      event := CASE e.type WHEN 'OrderConfirmed' THEN 'StockShipped'"
    "        ELSE 'StockReleased' END;\n"
    "      IF e.type = 'PaymentDeclined' THEN"
    "        UPDATE stock SET amount = amount + 1 WHERE sku = e.o % 10;"
    "      END IF;\n"
    "    END IF;\n"
    "    CONTINUE WHEN event IS NULL;\n"
    "    INSERT INTO log_inventory (type, o) VALUES (event, e.o);\n"
    "    wrote := true;\n"
    "  END LOOP;\n"
    "  IF wrote THEN NOTIFY log_inventory; END IF;\n"
    "  RETURN NEXT -taken;\n"
    "END $$;",

    "CREATE FUNCTION step_payment(bigint, bigint, most int)"
    " RETURNS SETOF bigint LANGUAGE plpgsql AS $$\n"
    "DECLARE e record; wrote boolean := false;\n"
    "  taken bigint := 0;\n"
    "BEGIN\n"
    "  FOR e IN SELECT * FROM take_inventory('payment', most) LOOP\n"
    "    taken := taken + 1;\n"
    "    CONTINUE WHEN e.type <> 'StockReserved';\n"
    "    INSERT INTO charges VALUES (e.o, 'charged') ON CONFLICT DO NOTHING;\n"
    "    CONTINUE WHEN NOT FOUND;\n"
    "    UPDATE funds SET amount = amount - 1"
    "     WHERE customer = e.o % 100 AND amount >= 1;\n"
    "    IF FOUND THEN\n"
    "      INSERT INTO log_payment (type, o) VALUES ('PaymentCharged', e.o);\n"
    "    ELSE\n"
    "      UPDATE charges SET state = 'declined' WHERE charges.o = e.o;\n"
    "      INSERT INTO log_payment (type, o) VALUES ('PaymentDeclined', e.o);\n"
    "    END IF;\n"
    "    wrote := true;\n"
    "  END LOOP;\n"
    "  IF wrote THEN NOTIFY log_payment; END IF;\n"
    "  RETURN NEXT -taken;\n"
    "END $$;"};

static const char *const steps[] = {"SELECT * FROM step_order($1, $2, 512)",
                                    "SELECT * FROM step_inventory($1, $2, 512)",
                                    "SELECT * FROM step_payment($1, $2, 512)"};
static const char *const listens[] = {
    "LISTEN log_inventory; LISTEN log_payment",
    "LISTEN log_order; LISTEN log_payment", "LISTEN log_inventory"};

static PGconn *db;
static bool idle; /* the last step took all there was: a notice tells more */

static PGresult *checked(PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        peer_fail("postgres", PQerrorMessage(db));
    return result;
}

static void run(const char *sql)
{
    PQclear(checked(PQexec(db, sql)));
}

void peer_open(const char *directory, enum peer_service service)
{
    char options[4200];

    snprintf(options, sizeof options, "host=%s dbname=postgres user=postgres",
             directory);
    db = PQconnectdb(options);
    if (PQstatus(db) != CONNECTION_OK)
        peer_fail(directory, PQerrorMessage(db));
    run("SET client_min_messages = warning");
    run(listens[service]);
    if (service == ORDER)
        for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++)
            run(schema[i]);
    PQclear(checked(PQprepare(db, "step", steps[service], 2, NULL)));
}

void peer_seed(void)
{
    char sql[256];

    snprintf(sql, sizeof sql,
             "INSERT INTO stock SELECT n, %d FROM generate_series(0, %d) n;"
             "INSERT INTO funds SELECT n, %d FROM generate_series(0, %d) n",
             STOCK, SKUS - 1, FUNDS, CUSTOMERS - 1);
    run(sql);
}

/* Whether a log that we read has grown since the last look. */
static bool notified(void)
{
    PGnotify *notify;
    bool any = false;

    if (PQconsumeInput(db) == 0)
        peer_fail("postgres", PQerrorMessage(db));
    while ((notify = PQnotifies(db)) != NULL) {
        any = true;
        PQfreemem(notify);
    }
    return any;
}

static void await_notice(int wait_ms)
{
    struct pollfd fd = {.fd = PQsocket(db), .events = POLLIN};

    if (!notified() && poll(&fd, 1, wait_ms) < 0 && errno != EINTR)
        peer_fail("poll", strerror(errno));
    (void)notified();
}

/* Takes a step's @result over; returns how many orders have ended. */
static size_t ends_of(PGresult *result, uint64_t ended[])
{
    int rows = PQntuples(checked(result));

    for (int i = 0; i < rows - 1 && ended != NULL; i++)
        ended[i] = strtoull(PQgetvalue(result, i, 0), NULL, 10);
    idle = strtoll(PQgetvalue(result, rows - 1, 0), NULL, 10) > -STEP;
    PQclear(result);
    return (size_t)(rows - 1);
}

size_t peer_step(uint64_t first, size_t count, int wait_ms, uint64_t ended[])
{
    char words[2][24];
    const char *const values[] = {words[0], words[1]};

    if (wait_ms > 0 && idle)
        await_notice(wait_ms);
    snprintf(words[0], sizeof words[0], "%llu", (unsigned long long)first);
    snprintf(words[1], sizeof words[1], "%zu", count);
    return ends_of(PQexecPrepared(db, "step", 2, values, NULL, NULL, 0), ended);
}

static int64_t number(const char *sql)
{
    PGresult *result = checked(PQexec(db, sql));
    int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);

    PQclear(result);
    return value;
}

bool peer_caught_up(uint64_t orders)
{
    return number("SELECT coalesce(max(seq), 0) FROM log_inventory") >=
           (int64_t)(2 * orders);
}

void peer_again(void)
{
    run("UPDATE cursors SET seq = 0");
    for (int service = 0; service < 3; service++) {
        static const char *const calls[] = {
            "SELECT * FROM step_order(0, 0, 512)",
            "SELECT * FROM step_inventory(0, 0, 512)",
            "SELECT * FROM step_payment(0, 0, 512)"};

        do
            (void)ends_of(PQexec(db, calls[service]), NULL);
        while (!idle);
    }
}

#define COUNT(from, column, value)                                             \
    number("SELECT count(*) FROM " from " WHERE " column " = '" value "'")

void peer_totals(struct peer_totals *totals)
{
    *totals = (struct peer_totals){
        .placed = COUNT("orders", "state", "placed"),
        .confirmed = COUNT("orders", "state", "confirmed"),
        .cancelled = COUNT("orders", "state", "cancelled"),
        .reserved = COUNT("log_inventory", "type", "StockReserved"),
        .shipped = COUNT("log_inventory", "type", "StockShipped"),
        .charged = COUNT("log_payment", "type", "PaymentCharged"),
        .stock_left = number("SELECT sum(amount) FROM stock"),
        .funds_left = number("SELECT sum(amount) FROM funds")};
}
