/* packer.c - callers in turn, a thread that packs, and those who wait.
 *
 * Read work() first. */
#include "net/packer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

/* A command that waits for its turn, or for its answer. */
struct item {
    STAILQ_ENTRY(item) next;
    packer_done *done;
    void *ctx;
    size_t bytes;
    uint8_t written[]; /* by request_command_write */
};
STAILQ_HEAD(items, item);

struct packer_caller {
    struct packer *packer;
    struct items items;               /* in the order of submission */
    TAILQ_ENTRY(packer_caller) turn;  /* while it has items */
    SLIST_ENTRY(packer_caller) owned; /* by the packer */
};

struct packer {
    const struct domain *domain;
    struct client *client;
    char service[SERVICE_BYTES];
    int timeout_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below, and of the callers */
    pthread_cond_t woken;
    bool closing;
    TAILQ_HEAD(, packer_caller) turns;
    SLIST_HEAD(, packer_caller) callers;
    /* of the thread alone: */
    struct item *packed[COMMANDS_PER_REQUEST];
    size_t packed_count, message_bytes;
    uint8_t message[MESSAGE_MAX], reply[MESSAGE_MAX];
};

static void must(int error)
{
    if (error != 0)
        abort(); /* no memory */
}

/* ---- the thread that packs ----------------------------------------------- */

/* The next item, of the caller whose turn it is.  NULL: it does not fit. */
static struct item *take_turn(struct packer *packer, size_t room)
{
    struct packer_caller *caller = TAILQ_FIRST(&packer->turns);
    struct item *item = STAILQ_FIRST(&caller->items);

    if (item->bytes > room)
        return NULL;
    TAILQ_REMOVE(&packer->turns, caller, turn);
    STAILQ_REMOVE_HEAD(&caller->items, next);
    if (!STAILQ_EMPTY(&caller->items))
        TAILQ_INSERT_TAIL(&packer->turns, caller, turn);
    return item;
}

/* Takes what waits, as far as one request can hold it. */
static void pack(struct packer *packer)
{
    size_t room = MESSAGE_MAX - REQUEST_HEAD_BYTES;
    struct item *item;

    packer->packed_count = 0;
    while (packer->packed_count < COMMANDS_PER_REQUEST &&
           !TAILQ_EMPTY(&packer->turns) &&
           (item = take_turn(packer, room)) != NULL) {
        packer->packed[packer->packed_count++] = item;
        room -= item->bytes;
    }
}

static enum evt_status exchange(struct packer *packer,
                                struct answer answers[COMMANDS_PER_REQUEST])
{
    size_t bytes = request_head_write(packer->packed_count, packer->message);
    size_t count = packer->packed_count;
    enum evt_status rc;

    for (size_t i = 0; i < count; i++) {
        const struct item *item = packer->packed[i];

        memcpy(packer->message + bytes, item->written, item->bytes);
        bytes += item->bytes;
    }
    rc = client_request(packer->client, packer->service, "cmd", packer->message,
                        bytes, packer->timeout_ms, packer->reply, &bytes);
    if (rc == EVT_OK)
        rc = request_answers_of(packer->reply, bytes, count, answers);
    return rc;
}

static void tell(struct item *item, enum evt_status rc,
                 const struct answer *answer)
{
    item->done(item->ctx, rc, answer);
    free(item);
}

static void *work(void *ctx)
{
    struct answer answers[COMMANDS_PER_REQUEST];
    struct packer *packer = ctx;

    must(pthread_mutex_lock(&packer->lock));
    for (;;) {
        enum evt_status rc;
        bool closing;

        while (!packer->closing && TAILQ_EMPTY(&packer->turns))
            must(pthread_cond_wait(&packer->woken, &packer->lock));
        if (TAILQ_EMPTY(&packer->turns))
            break;
        pack(packer);
        closing = packer->closing;
        must(pthread_mutex_unlock(&packer->lock));
        rc = closing ? EVT_NONE : exchange(packer, answers);
        for (size_t i = 0; i < packer->packed_count; i++)
            tell(packer->packed[i], rc, &answers[i]);
        must(pthread_mutex_lock(&packer->lock));
    }
    must(pthread_mutex_unlock(&packer->lock));
    return NULL;
}

enum evt_status packer_open(const struct domain *domain, const char *directory,
                            const char *bus, const char *service,
                            int timeout_ms, struct packer **opened, char *why,
                            size_t why_bytes)
{
    struct packer *packer = calloc(1, sizeof *packer);
    enum evt_status rc;

    must(packer == NULL);
    rc = client_open(domain, directory, bus, &packer->client, why, why_bytes);
    if (rc != EVT_OK) {
        free(packer);
        return rc;
    }
    text_copy(packer->service, sizeof packer->service, service);
    packer->domain = domain;
    packer->timeout_ms = timeout_ms;
    TAILQ_INIT(&packer->turns);
    SLIST_INIT(&packer->callers);
    must(pthread_mutex_init(&packer->lock, NULL));
    must(pthread_cond_init(&packer->woken, NULL));
    must(pthread_create(&packer->thread, NULL, work, packer));
    *opened = packer;
    return EVT_OK;
}

void packer_close(struct packer *packer)
{
    struct packer_caller *caller;

    if (packer == NULL)
        return;
    must(pthread_mutex_lock(&packer->lock));
    packer->closing = true;
    must(pthread_cond_signal(&packer->woken));
    must(pthread_mutex_unlock(&packer->lock));
    must(pthread_join(packer->thread, NULL));
    while ((caller = SLIST_FIRST(&packer->callers)) != NULL) {
        SLIST_REMOVE_HEAD(&packer->callers, owned);
        free(caller);
    }
    client_close(packer->client);
    must(pthread_cond_destroy(&packer->woken));
    must(pthread_mutex_destroy(&packer->lock));
    free(packer);
}

/* ---- callers ------------------------------------------------------------- */

struct packer_caller *packer_join(struct packer *packer)
{
    struct packer_caller *caller = calloc(1, sizeof *caller);

    must(caller == NULL);
    caller->packer = packer;
    STAILQ_INIT(&caller->items);
    must(pthread_mutex_lock(&packer->lock));
    SLIST_INSERT_HEAD(&packer->callers, caller, owned);
    must(pthread_mutex_unlock(&packer->lock));
    return caller;
}

void packer_submit(struct packer_caller *caller, const struct command *command,
                   packer_done *done, void *ctx)
{
    struct packer *packer = caller->packer;
    uint8_t written[COMMAND_BYTES];
    size_t bytes = request_command_write(packer->domain, command, written);
    struct item *item = malloc(sizeof *item + bytes);

    must(item == NULL);
    *item = (struct item){.done = done, .ctx = ctx, .bytes = bytes};
    memcpy(item->written, written, bytes);
    must(pthread_mutex_lock(&packer->lock));
    if (STAILQ_EMPTY(&caller->items))
        TAILQ_INSERT_TAIL(&packer->turns, caller, turn);
    STAILQ_INSERT_TAIL(&caller->items, item, next);
    must(pthread_cond_signal(&packer->woken));
    must(pthread_mutex_unlock(&packer->lock));
}

/* ---- who waits ----------------------------------------------------------- */

/* Of the one who waits and of the item; the last frees it. */
struct wait {
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool done, given_up;
    enum evt_status rc;
    struct answer answer;
};

static void free_wait(struct wait *wait)
{
    must(pthread_cond_destroy(&wait->woken));
    must(pthread_mutex_destroy(&wait->lock));
    free(wait);
}

static void wake(void *ctx, enum evt_status rc, const struct answer *answer)
{
    struct wait *wait = ctx;
    bool given_up;

    must(pthread_mutex_lock(&wait->lock));
    wait->done = true;
    wait->rc = rc;
    if (rc == EVT_OK)
        wait->answer = *answer;
    given_up = wait->given_up;
    must(pthread_cond_signal(&wait->woken));
    must(pthread_mutex_unlock(&wait->lock));
    if (given_up)
        free_wait(wait);
}

static struct wait *new_wait(void)
{
    struct wait *wait = calloc(1, sizeof *wait);
    pthread_condattr_t monotonic;

    must(wait == NULL);
    must(pthread_condattr_init(&monotonic));
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC));
    must(pthread_cond_init(&wait->woken, &monotonic));
    must(pthread_condattr_destroy(&monotonic));
    must(pthread_mutex_init(&wait->lock, NULL));
    return wait;
}

static struct timespec in_ms(int timeout_ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

enum evt_status packer_command(struct packer_caller *caller,
                               const struct command *command, int timeout_ms,
                               struct answer *answer)
{
    struct timespec until = in_ms(timeout_ms);
    struct wait *wait = new_wait();
    enum evt_status rc = EVT_BUSY;
    int late = 0;

    packer_submit(caller, command, wake, wait);
    must(pthread_mutex_lock(&wait->lock));
    while (!wait->done && late == 0)
        late = pthread_cond_timedwait(&wait->woken, &wait->lock, &until);
    if (!wait->done) {
        assert(late == ETIMEDOUT);
        wait->given_up = true;
        must(pthread_mutex_unlock(&wait->lock));
        return EVT_BUSY;
    }
    rc = wait->rc;
    if (rc == EVT_OK)
        *answer = wait->answer;
    must(pthread_mutex_unlock(&wait->lock));
    free_wait(wait);
    return rc;
}
