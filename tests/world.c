/* world.c - the three real domains in one process, over logs in memory.
 *
 * The first part is a shell without durability: load, decide, append, move the
 * cursor.  The second states the invariants, from the events alone and from
 * the folded states.  The third walks every interleaving, breadth first, so
 * that it shows the shortest way to whatever is broken. */
#include "world.h"

#include "core/codec.h"
#include "core/flow.h"
#include "shop/money.h"
#include "shop/shop.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* ---- interned events ---------------------------------------------------- */

struct interned {
    struct event event; /* the key: padding is zero, see copy_event */
    uint16_t number;
    UT_hash_handle hh;
};

enum { INTERNED_MAX = 65535 };
static struct interned *table;
static const struct event *numbered[INTERNED_MAX + 1]; /* from 1 */

/* A struct assignment may leave padding as it likes; memcpy does not. */
static void copy_event(struct event *to, const struct event *from)
{
    memset(to, 0, sizeof *to);
    to->type = from->type;
    memcpy(to->source, from->source, sizeof to->source);
    to->at = from->at;
    memcpy(to->order_id, from->order_id, sizeof to->order_id);
    to->time_ms = from->time_ms;
    memcpy(to->cause.source, from->cause.source, sizeof to->cause.source);
    to->cause.at = from->cause.at;
    memcpy(to->cause.command_id, from->cause.command_id,
           sizeof to->cause.command_id);
    memcpy(to->data, from->data, sizeof to->data);
}

static uint16_t intern(const struct event *event)
{
    struct interned *entry = malloc(sizeof *entry), *known;

    assert(entry != NULL);
    copy_event(&entry->event, event);
    HASH_FIND(hh, table, &entry->event, sizeof entry->event, known);
    if (known != NULL) {
        free(entry);
        return known->number;
    }
    assert(HASH_COUNT(table) < INTERNED_MAX);
    entry->number = (uint16_t)(HASH_COUNT(table) + 1);
    numbered[entry->number] = &entry->event;
    HASH_ADD(hh, table, event, sizeof entry->event, entry);
    return entry->number;
}

/* ---- causes, built by hand ---------------------------------------------- */

struct event an_event(const char *source, unsigned type, const char *order_id)
{
    struct event event;

    memset(&event, 0, sizeof event);
    event.type = type;
    if (source != NULL)
        text_copy(event.source, sizeof event.source, source);
    text_copy(event.order_id, sizeof event.order_id, order_id);
    return event;
}

struct event *with_line(struct event *event, const char *sku, int64_t quantity,
                        int64_t price_cents)
{
    struct payload *data = payload_in(event->data);
    struct line *line = &data->lines[data->line_count++];

    assert(data->line_count <= LINES_MAX);
    text_copy(line->sku, sizeof line->sku, sku);
    line->quantity = quantity;
    line->price_cents = price_cents;
    return event;
}

struct event a_place(const char *order_id, const char *customer)
{
    struct event command = an_event(NULL, PLACE_ORDER, order_id);

    text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES, customer);
    return command;
}

struct event a_sku(unsigned type, const char *sku, int64_t quantity,
                   int64_t price_cents)
{
    struct event command = an_event(NULL, type, "");

    text_copy(payload_in(command.data)->sku, SKU_BYTES, sku);
    payload_in(command.data)->quantity = quantity;
    payload_in(command.data)->price_cents = price_cents;
    return command;
}

struct event a_deposit(const char *customer, int64_t cents)
{
    struct event command = an_event(NULL, DEPOSIT_FUNDS, "");

    text_copy(payload_in(command.data)->customer, CUSTOMER_BYTES, customer);
    payload_in(command.data)->amount_cents = cents;
    return command;
}

/* ---- one service -------------------------------------------------------- */

const struct event *world_event(const struct world *world, unsigned service,
                                unsigned seq)
{
    assert(seq >= 1 && seq <= world->length[service]);
    return numbered[world->log[service][seq - 1]];
}

/* Appends what @own says; the log adds who, where and when. */
static const struct event *append(struct world *world, unsigned service,
                                  const struct event *own)
{
    const struct message *message = shop_message(own->type);
    uint16_t seq = ++world->length[service];
    const char *why, *field;
    struct event event;

    assert(seq <= WORLD_LOG_MAX);
    copy_event(&event, own);
    codec_trim(&shop_domain, message, event.data);
    assert(codec_check(message, event.data, &why, &field) == EVT_OK);
    text_copy(event.source, sizeof event.source,
              roster_services[service]->name);
    memset(event.at.log_id, (int)service + 1, LOG_ID_BYTES);
    event.at.seq = seq;
    world->log[service][seq - 1] = intern(&event);
    return world_event(world, service, seq);
}

void world_given(struct world *world, unsigned service, const struct event *own)
{
    (void)append(world, service, own); /* only its effect is wanted */
}

static bool has_tag(const struct event *event, unsigned kind, const char *key)
{
    struct tag tags[EVENT_TAGS_MAX];
    size_t count = event_tags(&shop_domain, event, tags);

    for (size_t i = 0; i < count; i++) {
        if (tags[i].kind == kind && strcmp(tags[i].key, key) == 0)
            return true;
    }
    return false;
}

static void fold(const struct world *world, unsigned service,
                 const struct kind *kind, const char *key, void *state)
{
    memset(state, 0, kind->bytes);
    for (unsigned seq = 1; seq <= world->length[service]; seq++) {
        const struct event *own = world_event(world, service, seq);

        if (event_type_in(own->type, kind->folds, FOLDS_MAX) &&
            has_tag(own, kind->tag, key))
            kind->evolve(state, key, own);
    }
}

enum { WORLD_STATE_MAX = 1024 };

/* The states that one decision reads. */
struct desk {
    const struct world *world;
    unsigned on;
    unsigned service, used;
    _Alignas(max_align_t) uint8_t states[STATES_MAX][WORLD_STATE_MAX];
};

struct delusion world_delusion;

static void delude(const struct kind *kind, void *state)
{
    const int64_t told = world_delusion.status, huge = INT64_C(1000000000000);

    for (const struct field *f = kind->fields; f->name != NULL; f++) {
        if (f->kind == FIELD_INT && told >= 0 && f->names != NULL)
            memcpy((char *)state + f->offset, &told, sizeof told);
        else if (f->kind == FIELD_INT && told < 0)
            memcpy((char *)state + f->offset, &huge, sizeof huge);
    }
}

static enum evt_status load(void *ctx, unsigned kind_number, const char *key,
                            const void **state)
{
    struct desk *desk = ctx;
    const struct kind *kind =
        &roster_services[desk->service]->kinds[kind_number];

    assert(kind->bytes <= WORLD_STATE_MAX);
    fold(desk->world, desk->service, kind, key, desk->states[desk->used]);
    if (world_delusion.on == desk->on && desk->on != NO_MESSAGE &&
        strcmp(world_delusion.kind, kind->name) == 0)
        delude(kind, desk->states[desk->used]);
    *state = desk->states[desk->used++];
    return EVT_OK;
}

void world_decide(const struct world *world, unsigned service,
                  const struct event *cause, decide_fn *decide,
                  struct decision *out)
{
    const struct rule *rule =
        service_rule(roster_services[service], cause->type);
    struct states states;
    struct desk desk;
    enum evt_status rc;

    assert(rule != NULL);
    desk.world = world;
    desk.on = cause->type;
    desk.service = service;
    desk.used = 0;
    rc = service_load_states(&states, roster_services[service], cause, load,
                             &desk);
    assert(rc == EVT_OK);
    service_decide(rule, decide, &states, cause, out);
}

const char *world_untried(const struct service *service,
                          bool pairs[MESSAGE_TYPES][MESSAGE_TYPES])
{
    static char text[80];

    for (size_t i = 0; i < service->rule_count; i++) {
        const struct rule *rule = &service->rules[i];

        for (size_t m = 0; m < MAY_EMIT_MAX && rule->may_emit[m]; m++) {
            if (pairs[rule->on][rule->may_emit[m]])
                continue;
            snprintf(text, sizeof text, "%s -> %s", shop_type_name(rule->on),
                     shop_type_name(rule->may_emit[m]));
            return text;
        }
    }
    return NULL;
}

static const struct kind *kind_named(unsigned service, const char *name)
{
    const struct service *of = roster_services[service];
    size_t i = 0;

    while (i < of->kind_count && strcmp(of->kinds[i].name, name) != 0)
        i++;
    assert(i < of->kind_count);
    return &of->kinds[i];
}

static const struct field *field_named(const struct field *field,
                                       const char *name)
{
    while (field->name != NULL && strcmp(field->name, name) != 0)
        field++;
    assert(field->name != NULL && field->kind == FIELD_INT);
    return field;
}

int64_t world_number(const struct world *world, unsigned service,
                     const char *kind_name, const char *key, const char *name)
{
    const struct kind *kind = kind_named(service, kind_name);
    const struct field *field = field_named(kind->fields, name);
    _Alignas(max_align_t) uint8_t state[WORLD_STATE_MAX];
    int64_t number;

    fold(world, service, kind, key, state);
    memcpy(&number, state + field->offset, sizeof number);
    return number;
}

const char *world_word(const struct world *world, unsigned service,
                       const char *kind, const char *key, const char *name)
{
    int64_t number = world_number(world, service, kind, key, name);

    return field_named(kind_named(service, kind)->fields, name)->names[number];
}

/* ---- steps -------------------------------------------------------------- */

static bool is_writable(const struct event *event)
{
    const char *why, *field;

    return codec_check(shop_message(event->type), event->data, &why, &field) ==
           EVT_OK;
}

static void save_cursors(struct world *world, unsigned service)
{
    if (world->crashes)
        memcpy(world->durable[service], world->cursor[service],
               sizeof world->durable[service]);
}

/* Decides on @cause, and appends what comes of it because of @because. */
static struct step take(struct world *world, unsigned service,
                        const struct event *cause, const struct cause *because)
{
    struct step step = {.service = service, .cause = cause};
    struct decision decision;

    step.by_rule = service_rule(roster_services[service], cause->type) != NULL;
    if (!step.by_rule)
        return step;
    world_decide(world, service, cause, NULL, &decision);
    step.refusal = decision.refusal;
    step.field = decision.field;
    if (decision.emitted && !is_writable(&decision.event)) {
        world->spoilt = 1; /* no writer would take it: world_broken tells */
    } else if (decision.emitted) {
        decision.event.cause = *because;
        step.emitted = append(world, service, &decision.event);
        if (!world->no_inbox)
            save_cursors(world, service); /* in the event's transaction */
    }
    return step;
}

static bool known_command(const struct world *world, unsigned service,
                          const char *command_id)
{
    for (unsigned seq = 1; seq <= world->length[service]; seq++) {
        const struct event *own = world_event(world, service, seq);

        if (strcmp(own->cause.command_id, command_id) == 0)
            return true;
    }
    return false;
}

struct step world_command(struct world *world, const struct event *command,
                          const char *command_id)
{
    const struct event *cause = numbered[intern(command)];
    struct cause because;
    unsigned service = 0;

    while (service_rule(roster_services[service], command->type) == NULL)
        service++;
    if (!world->no_inbox && known_command(world, service, command_id))
        return (struct step){.service = service, .cause = cause};
    memset(&because, 0, sizeof because);
    text_copy(because.command_id, sizeof because.command_id, command_id);
    return take(world, service, cause, &because);
}

static struct cause because_of(const struct event *event)
{
    struct cause because;

    memset(&because, 0, sizeof because);
    memcpy(because.source, event->source, sizeof because.source);
    because.at = event->at;
    return because;
}

struct step world_deliver(struct world *world, unsigned consumer,
                          unsigned publisher)
{
    uint16_t *cursor = &world->cursor[consumer][publisher];
    const struct event *event;
    struct cause because;

    if (consumer == publisher || *cursor == world->length[publisher])
        return (struct step){0};
    event = world_event(world, publisher, ++*cursor);
    because = because_of(event);
    return take(world, consumer, event, &because);
}

struct step world_redeliver(struct world *world, unsigned consumer,
                            unsigned publisher, unsigned seq, bool past_inbox)
{
    const struct event *event = world_event(world, publisher, seq);
    struct cause because = because_of(event);

    assert(seq <= world->cursor[consumer][publisher]);
    if (!past_inbox)
        return (struct step){.service = consumer, .cause = event};
    return take(world, consumer, event, &because);
}

/* The events of one order, or ("") all; @events holds SERVICES logs. */
static size_t events_of(const struct world *world, const char *order_id,
                        struct event events[SERVICES * WORLD_LOG_MAX])
{
    size_t count = 0;

    for (unsigned s = 0; s < SERVICES; s++) {
        for (unsigned seq = 1; seq <= world->length[s]; seq++) {
            const struct event *event = world_event(world, s, seq);

            if (order_id[0] == '\0' || strcmp(event->order_id, order_id) == 0)
                events[count++] = *event;
        }
    }
    return count;
}

/* The timer of @order_id that is armed, or NULL; @because of which event. */
static const struct timer *armed(const struct world *world,
                                 const char *order_id, struct cause *because)
{
    struct event events[SERVICES * WORLD_LOG_MAX];
    const struct event *set;
    const struct timer *timer =
        flow_timer(roster_services, SERVICES, events,
                   events_of(world, order_id, events), &set);

    if (timer != NULL)
        *because = because_of(set);
    return timer;
}

struct step world_expire(struct world *world, const char *order_id)
{
    struct cause because;
    const struct timer *timer = armed(world, order_id, &because);
    struct event command;

    if (timer == NULL)
        return (struct step){0};
    command = an_event(NULL, timer->send, order_id);
    return take(world, AT_ORDER, numbered[intern(&command)], &because);
}

bool world_quiet(const struct world *world)
{
    for (unsigned c = 0; c < SERVICES; c++) {
        for (unsigned p = 0; p < SERVICES; p++) {
            if (c != p && world->cursor[c][p] != world->length[p])
                return false;
        }
    }
    return true;
}

void world_settle(struct world *world)
{
    while (!world_quiet(world)) {
        for (unsigned c = 0; c < SERVICES; c++) {
            for (unsigned p = 0; p < SERVICES; p++)
                (void)world_deliver(world, c, p); /* nothing there is fine */
        }
    }
}

const char *world_end(const struct world *world, const char *order_id,
                      char text[END_BYTES])
{
    snprintf(text, END_BYTES, "%s/%s/%s",
             world_word(world, AT_ORDER, "order", order_id, "status"),
             world_word(world, AT_INVENTORY, "reservation", order_id, "status"),
             world_word(world, AT_PAYMENT, "payment", order_id, "status"));
    return text;
}

/* ---- what must hold ----------------------------------------------------- */

static bool same_lines(const struct payload *a, const struct payload *b)
{
    if (a->line_count != b->line_count)
        return false;
    for (uint32_t i = 0; i < a->line_count; i++) {
        if (strcmp(a->lines[i].sku, b->lines[i].sku) != 0 ||
            a->lines[i].quantity != b->lines[i].quantity)
            return false;
    }
    return true;
}

static int64_t sum_of_lines(const struct payload *order)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < order->line_count; i++)
        sum += order->lines[i].quantity * order->lines[i].price_cents;
    return sum;
}

/* What is wrong with @event of the order that @placed placed, the earlier ones
 * being @seen, by type. */
static const char *event_broken(const struct event *event,
                                const struct payload *placed,
                                const struct event *const seen[MESSAGE_TYPES])
{
    const struct event *charged = seen[PAYMENT_CHARGED];
    const struct payload nothing = {0};

    if (seen[event->type] != NULL)
        return event->type == PAYMENT_CHARGED ? "S4: charged twice"
                                              : "S2: the same step twice";
    if (event->type == STOCK_RESERVED && !same_lines(payload_of(event), placed))
        return "S8: reserved other lines than ordered";
    if ((event->type == STOCK_RELEASED || event->type == STOCK_SHIPPED) &&
        !same_lines(payload_of(event),
                    seen[STOCK_RESERVED] ? placed : &nothing))
        return "S8: released or shipped other lines than reserved";
    if (event->type == PAYMENT_CHARGED &&
        (payload_of(event)->amount_cents != placed->total_cents ||
         payload_of(event)->amount_cents != sum_of_lines(placed) ||
         strcmp(payload_of(event)->customer, placed->customer) != 0))
        return "S8: charged something else than the order's total";
    if (event->type == PAYMENT_REFUNDED &&
        (charged == NULL ||
         payload_of(event)->amount_cents != payload_of(charged)->amount_cents ||
         strcmp(payload_of(event)->customer, payload_of(charged)->customer) !=
             0))
        return "S4: refunded something else than was charged";
    return NULL;
}

static unsigned service_number(const char *name)
{
    unsigned number = 0;

    while (strcmp(roster_services[number]->name, name) != 0)
        number++;
    return number;
}

static const char *order_broken(const struct world *world,
                                const struct event *placed)
{
    const char *order_id = placed->order_id;
    const struct event *seen[MESSAGE_TYPES] = {0};

    for (unsigned s = 0; s < SERVICES; s++) {
        for (unsigned seq = 1; seq <= world->length[s]; seq++) {
            const struct event *event = world_event(world, s, seq);
            const struct cause *cause = &event->cause;
            const char *what;

            if (strcmp(event->order_id, order_id) != 0)
                continue;
            if (cause->source[0] != '\0' &&
                strcmp(world_event(world, service_number(cause->source),
                                   (unsigned)cause->at.seq)
                           ->order_id,
                       order_id) != 0)
                return "S8: cause and event name different orders";
            what = event_broken(event, payload_of(placed), seen);
            if (what != NULL)
                return what;
            seen[event->type] = event;
        }
    }
    return seen[ORDER_CONFIRMED] != NULL && seen[ORDER_CANCELLED] != NULL
               ? "S3: both confirmed and cancelled"
               : NULL;
}

static const char *shelf_broken(const struct world *world, const char *sku)
{
    int64_t received = 0, part[3], sum = 0;
    static const char *const parts[3] = {"free", "reserved", "shipped"};

    for (unsigned seq = 1; seq <= world->length[AT_INVENTORY]; seq++) {
        const struct event *event = world_event(world, AT_INVENTORY, seq);

        if (event->type == STOCK_RECEIVED &&
            strcmp(payload_of(event)->sku, sku) == 0)
            received += payload_of(event)->quantity;
    }
    for (size_t i = 0; i < 3; i++) {
        part[i] = world_number(world, AT_INVENTORY, "shelf", sku, parts[i]);
        if (part[i] < 0)
            return "S6: stock below zero";
        sum += part[i];
    }
    return sum != received ? "S6: stock appeared or vanished" : NULL;
}

static const char *account_broken(const struct world *world,
                                  const char *customer)
{
    int64_t balance =
        world_number(world, AT_PAYMENT, "account", customer, "balance_cents");
    int64_t sum = 0;

    for (unsigned seq = 1; seq <= world->length[AT_PAYMENT]; seq++) {
        const struct event *event = world_event(world, AT_PAYMENT, seq);

        if (strcmp(payload_of(event)->customer, customer) == 0)
            sum += event->type == PAYMENT_CHARGED
                       ? -payload_of(event)->amount_cents
                       : payload_of(event)->amount_cents;
    }
    if (balance < 0)
        return "S5: a balance below zero";
    return sum != balance ? "S5: money appeared or vanished" : NULL;
}

const char *world_broken(const struct world *world)
{
    const char *what = world->spoilt ? "an event that cannot be written" : NULL;

    for (unsigned s = 0; s < SERVICES; s++) {
        for (unsigned seq = 1; seq <= world->length[s] && !what; seq++) {
            const struct event *event = world_event(world, s, seq);

            if (event->type == ORDER_PLACED)
                what = order_broken(world, event);
            for (uint32_t i = 0; i < payload_of(event)->line_count && !what;
                 i++)
                what = shelf_broken(world, payload_of(event)->lines[i].sku);
            if (what == NULL && event->type == STOCK_RECEIVED)
                what = shelf_broken(world, payload_of(event)->sku);
            if (what == NULL && s == AT_PAYMENT)
                what = account_broken(world, payload_of(event)->customer);
        }
    }
    return what;
}

/* ---- every interleaving ------------------------------------------------- */

struct move {
    enum { DELIVER, LOSE, COMMAND, EXPIRE, SAVE, RESTART } kind;
    unsigned a, b; /* consumer, publisher (both) | which command | seq of the
                      OrderPlaced | service (both) */
};

struct node {
    struct world world; /* the key */
    struct node *from;  /* the shortest way here ... */
    struct move by;     /* ... and its last step */
    UT_hash_handle hh;
};

static struct step make_move(struct world *world, const struct script *script,
                             struct move move)
{
    const struct event *command;
    char id[ID_BYTES];

    switch (move.kind) {
    case DELIVER:
        return world_deliver(world, move.a, move.b);
    case LOSE:
        world->cursor[move.a][move.b]++;
        return (struct step){0};
    case EXPIRE:
        return world_expire(world,
                            world_event(world, AT_ORDER, move.a)->order_id);
    case SAVE:
        save_cursors(world, move.a);
        return (struct step){0};
    case RESTART: /* its states are folded anew at every step anyway */
        memcpy(world->cursor[move.a], world->durable[move.a],
               sizeof world->cursor[move.a]);
        return (struct step){0};
    default:
        command = &script->commands[move.a];
        snprintf(id, sizeof id, "c-%u", move.a + 1);
        return world_command(world, command,
                             command->type == PLACE_ORDER ? command->order_id
                                                          : id);
    }
}

/* Every step that may be taken from @world; returns how many. */
enum { MOVES_MAX = SERVICES * (2 * SERVICES + 2) + WORLD_LOG_MAX + 16 };
static size_t moves_from(const struct world *world, const struct script *script,
                         struct move moves[MOVES_MAX])
{
    size_t count = 0;

    for (unsigned c = 0; c < SERVICES; c++) {
        for (unsigned p = 0; p < SERVICES; p++) {
            if (c == p || world->cursor[c][p] == world->length[p])
                continue;
            moves[count++] = (struct move){DELIVER, c, p};
            if (world->no_catchup)
                moves[count++] = (struct move){LOSE, c, p};
        }
    }
    assert(script->command_count <= 16);
    for (unsigned i = 0; i < script->command_count; i++)
        moves[count++] = (struct move){COMMAND, i, 0};
    for (unsigned seq = 1; script->deadlines && seq <= world->length[AT_ORDER];
         seq++) {
        if (world_event(world, AT_ORDER, seq)->type == ORDER_PLACED)
            moves[count++] = (struct move){EXPIRE, seq, 0};
    }
    for (unsigned c = 0; world->crashes && c < SERVICES; c++) {
        moves[count++] = (struct move){SAVE, c, 0};
        moves[count++] = (struct move){RESTART, c, 0};
    }
    return count;
}

static void print_lost(FILE *out, const struct world *after, struct move move)
{
    unsigned seq = after->cursor[move.a][move.b];
    const struct event *event = world_event(after, move.b, seq);

    fprintf(out, "%s <- %s %u %s\n    lost on the way\n",
            roster_services[move.a]->name, event->source, seq,
            shop_type_name(event->type));
}

/* The way to @node, in @steps, printed one by one, into a text the caller
 * frees. */
static char *way_to(const struct node *node, const struct script *script,
                    const char *what, size_t *steps)
{
    const struct node *way[SERVICES * SERVICES * WORLD_LOG_MAX];
    size_t length = 0, bytes;
    char *text = NULL;
    FILE *out = open_memstream(&text, &bytes);

    assert(out != NULL);
    fprintf(out, "%s\n", what);
    for (; node->from != NULL; node = node->from)
        way[length++] = node;
    *steps = length;
    while (length-- > 0) {
        struct world world = way[length]->from->world;
        struct move move = way[length]->by;
        struct step step = make_move(&world, script, move);

        if (move.kind == SAVE || move.kind == RESTART)
            fprintf(out, "%s %s\n", roster_services[move.a]->name,
                    move.kind == SAVE ? "makes its cursors durable"
                                      : "starts again");
        if (move.kind == LOSE)
            print_lost(out, &world, move);
        world_print_step(out, &step);
    }
    fclose(out);
    return text;
}

/* The queue of a breadth-first walk is the table itself: uthash keeps entries
 * in the order in which they were added. */
struct walk {
    const struct script *script;
    struct node *nodes;
    struct explored found;
};

static void reach(struct walk *walk, const struct world *world,
                  struct node *from, struct move by)
{
    struct node *node;

    HASH_FIND(hh, walk->nodes, world, sizeof *world, node);
    if (node != NULL)
        return;
    node = calloc(1, sizeof *node);
    assert(node != NULL);
    node->world = *world;
    node->from = from;
    node->by = by;
    HASH_ADD(hh, walk->nodes, world, sizeof node->world, node);
}

static void leave(struct walk *walk, struct node *node)
{
    struct move moves[MOVES_MAX];
    size_t count = moves_from(&node->world, walk->script, moves);

    for (size_t i = 0; i < count; i++) {
        struct world next = node->world;

        (void)make_move(&next, walk->script, moves[i]); /* seen in next */
        if (memcmp(&next, &node->world, sizeof next) == 0)
            continue; /* refused, or nothing to do */
        walk->found.edges++;
        reach(walk, &next, node, moves[i]);
    }
}

/* Nothing is left to come.  A saga ends by its events alone; only where those
 * may be lost, it may be the deadline that ends it. */
static bool at_rest(const struct world *world, const struct script *script)
{
    struct cause because;
    unsigned watched =
        script->deadlines && world->no_catchup ? world->length[AT_ORDER] : 0;

    if (!world_quiet(world))
        return false;
    for (unsigned seq = 1; seq <= watched; seq++) {
        const struct event *event = world_event(world, AT_ORDER, seq);

        if (event->type == ORDER_PLACED &&
            armed(world, event->order_id, &because) != NULL)
            return false;
    }
    return true;
}

struct explored world_explore(const struct world *start,
                              const struct script *script, look_fn *look,
                              void *ctx)
{
    struct walk walk = {.script = script};
    struct node *node, *next;

    reach(&walk, start, NULL, (struct move){DELIVER, 0, 0});
    for (node = walk.nodes; node && !walk.found.violation; node = next) {
        bool quiet = at_rest(&node->world, script);
        const char *what = world_broken(&node->world);

        if (what == NULL && look != NULL)
            what = look(ctx, &node->world, quiet);
        if (what != NULL) {
            walk.found.violation =
                way_to(node, script, what, &walk.found.steps);
            walk.found.broken = node->world;
        }
        walk.found.worlds++;
        walk.found.quiet += quiet;
        leave(&walk, node);
        next = node->hh.next;
    }
    HASH_ITER(hh, walk.nodes, node, next)
    {
        HASH_DEL(walk.nodes, node);
        free(node);
    }
    return walk.found;
}

/* ---- for people --------------------------------------------------------- */

static void print_lines(FILE *out, const struct payload *data)
{
    char cents[MONEY_BYTES];

    for (uint32_t i = 0; i < data->line_count; i++) {
        const struct line *line = &data->lines[i];

        fprintf(out, "%s%" PRId64 " %s", i > 0 ? " + " : " ", line->quantity,
                line->sku);
        if (line->price_cents > 0)
            fprintf(out, " at %s", money_text(line->price_cents, cents));
    }
    if (data->line_count == 0)
        fputs(" none", out);
}

static void print_field(FILE *out, const struct field *field,
                        const struct payload *data)
{
    const char *at = (const char *)data + field->offset;
    bool is_money = field->unit != NULL && strcmp(field->unit, "cents") == 0;
    const char *suffix = strstr(field->name, "_cents");
    size_t length =
        suffix != NULL ? (size_t)(suffix - field->name) : strlen(field->name);
    char cents[MONEY_BYTES];
    int64_t number;

    fprintf(out, "%.*s", (int)length, field->name);
    if (field->kind == FIELD_LIST) {
        print_lines(out, data);
    } else if (field->kind == FIELD_INT) {
        memcpy(&number, at, sizeof number);
        if (is_money)
            fprintf(out, " %s", money_text(number, cents));
        else
            fprintf(out, " %" PRId64, number);
    } else {
        fprintf(out, " %s", at[0] != '\0' ? at : "-");
    }
}

void world_print_event(FILE *out, const struct event *event)
{
    const struct field *field = shop_message(event->type)->fields;
    const char *between = ": ";

    if (event->source[0] != '\0')
        fprintf(out, "%s %" PRIu64 " ", event->source, event->at.seq);
    fprintf(out, "%s", shop_type_name(event->type));
    if (event->order_id[0] != '\0')
        fprintf(out, " %s", event->order_id);
    for (; field->name != NULL; field++) {
        fputs(between, out);
        print_field(out, field, payload_of(event));
        between = ", ";
    }
}

void world_print_step(FILE *out, const struct step *step)
{
    if (step->cause == NULL)
        return;
    fprintf(out, "%s <- ", roster_services[step->service]->name);
    if (step->cause->source[0] == '\0')
        world_print_event(out, step->cause);
    else
        fprintf(out, "%s %" PRIu64 " %s", step->cause->source,
                step->cause->at.seq, shop_type_name(step->cause->type));
    if (step->emitted != NULL) {
        fputs("\n    ", out);
        world_print_event(out, step->emitted);
    } else if (step->refusal != NULL) {
        fprintf(out, "\n    refused: %s (%s)", step->refusal, step->field);
    } else {
        fputs(step->by_rule ? "\n    nothing" : "\n    passed over", out);
    }
    fputc('\n', out);
}
