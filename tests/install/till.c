/* till.c - a service: it takes deposits, and counts them for each customer. */
#include "coins.h"

#include <core/service.h>
#include <host/host.h>

static decide_fn take;

static const struct rule rules[] = {
    {DEPOSIT_COINS, take, {COINS_DEPOSITED}},
};

enum kind_number { PURSE };

struct purse {
    int64_t cents;
};

static void take(const struct states *states, const struct event *cause,
                 struct decision *out)
{
    const struct purse *purse =
        state_of(states, PURSE, coins_of(cause)->customer);

    if (coins_of(cause)->cents > PURSE_MAX - purse->cents)
        refuse(out, "more than a purse can hold", "cents");
    else
        emit(out, COINS_DEPOSITED, cause);
}

static void evolve(void *state, const char *key, const struct event *own)
{
    struct purse *purse = state;

    (void)key;
    purse->cents += coins_of(own)->cents;
}

static const struct field fields[] = {
    {"cents", FIELD_INT, AT(struct purse, cents), .max = PURSE_MAX},
    {.name = NULL},
};

static const struct kind kinds[] = {
    [PURSE] = {"purse",
               TAG_CUSTOMER,
               sizeof(struct purse),
               fields,
               evolve,
               {COINS_DEPOSITED},
               .revision = 1},
};

static const char *const nobody[] = {NULL};

static const struct service till = {
    .name = "till",
    .domain = &coins_domain,
    .listens_to = nobody,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .kinds = kinds,
    .kind_count = sizeof kinds / sizeof kinds[0],
};

/* ---- its view ------------------------------------------------------------ */

static const char *const tables[] = {"deposits", NULL};
static const char *const statements[] = {
    "INSERT INTO deposits VALUES (?, ?, ?)",
    "SELECT customer, cents FROM deposits ORDER BY seq DESC LIMIT 100",
};

static enum evt_status project(struct view_db *db, const struct event *event)
{
    return view_run(db, 0, "iti", (int64_t)event->at.seq,
                    coins_of(event)->customer, coins_of(event)->cents);
}

static json_t *query(struct view_db *db, const json_t *request)
{
    const char *get = json_string_value(json_object_get(request, "get"));

    if (get == NULL || strcmp(get, "deposits") != 0)
        return NULL;
    return json_pack("{s:o}", "deposits", view_select(db, 1, ""));
}

static const char *const sources[] = {"till", NULL};

static const struct view view = {
    .name = "deposits",
    .domain = &coins_domain,
    .sources = sources,
    .revision = 1,
    .schema = "CREATE TABLE deposits (seq INTEGER PRIMARY KEY,"
              " customer TEXT NOT NULL, cents INTEGER NOT NULL);",
    .tables = tables,
    .sql = statements,
    .sql_count = 2,
    .project = project,
    .query = query,
};

int main(int argc, char **argv)
{
    return host_main(argc, argv, &till, &view);
}
