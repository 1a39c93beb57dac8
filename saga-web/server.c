/* server.c - libmicrohttpd around guard.c, page.c and wanted.c.
 *
 * All that threads share is guarded by server->lock: the kept lines, the
 * streams, the state and the queue of commands.  While a connection has nothing
 * to send it is suspended; the thread that makes its next line, or its answer,
 * resumes it. */
#include "saga-web/server.h"

#include "saga-web/answer.h"
#include "saga-web/child.h"
#include "saga-web/guard.h"
#include "saga-web/page.h"
#include "saga-web/wanted.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    IDLE_S = 30,        /* a connection that sends and reads nothing */
    COMMAND_MS = 20000, /* then it is killed */
    WAITING_MAX = 8,    /* commands in the queue; one more is refused (503) */
    MEMORY_BYTES = 32768,
    STREAM_BLOCK_BYTES = 65536
};

/* A reader of /stream. */
struct stream {
    struct server *server;
    struct stream *next;
    struct MHD_Connection *connection;
    uint64_t at;   /* the next line that it takes */
    char *pending; /* of which @sent bytes are sent; NULL: none */
    size_t sent;
    bool suspended;
};

/* A request while it is answered. */
struct exchange {
    char body[GUARD_BODY_MAX];
    size_t size;
    bool too_long, queued;
    struct wanted wanted;
    struct MHD_Connection *connection;
    struct exchange *next; /* in the queue */
    json_t *answer;        /* once it is done */
    char *metrics;         /* the same, of a scrape */
};

struct server {
    struct server_options options;
    struct guard guard;
    struct MHD_Daemon *daemon;
    pthread_t runner;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    bool stopping;
    struct stream *streams;
    char *kept[SERVER_KEPT];
    uint64_t said; /* lines so far */
    json_t *state;
    struct exchange *waiting; /* the first one is run */
    unsigned waiting_count;
    struct exchange *scrapes; /* that wait */
};

/* ---- what is kept -------------------------------------------------------- */

static enum MHD_Result give_state(struct server *server,
                                  struct MHD_Connection *connection)
{
    char *text;

    pthread_mutex_lock(&server->lock);
    text = json_dumps(server->state, JSON_COMPACT);
    pthread_mutex_unlock(&server->lock);
    return answer_json(connection, MHD_HTTP_OK, text);
}

/* ---- the stream ---------------------------------------------------------- */

/* Returns the next line for @stream as a server-sent event, or NULL if it has
 * had all of them. */
static char *next_line(struct server *server, struct stream *stream)
{
    char *event = NULL;
    uint64_t missed;

    if (stream->at == server->said)
        return NULL;
    missed = server->said - stream->at;
    if (missed > SERVER_KEPT) {
        missed -= SERVER_KEPT;
        stream->at += missed;
        if (asprintf(&event, "data: {\"missed\":%llu}\n\n",
                     (unsigned long long)missed) < 0)
            abort();
        return event;
    }
    if (asprintf(&event, "data: %s\n\n",
                 server->kept[stream->at % SERVER_KEPT]) < 0)
        abort();
    stream->at++;
    return event;
}

static ssize_t read_stream(void *ctx, uint64_t at, char *block, size_t size)
{
    struct stream *stream = ctx;
    struct server *server = stream->server;
    ssize_t count = 0;
    size_t left;

    (void)at;
    pthread_mutex_lock(&server->lock);
    if (stream->pending == NULL) {
        stream->pending = next_line(server, stream);
        stream->sent = 0;
    }
    if (server->stopping) {
        count = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (stream->pending == NULL) {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    } else {
        left = strlen(stream->pending + stream->sent);
        count = (ssize_t)(left < size ? left : size);
        memcpy(block, stream->pending + stream->sent, (size_t)count);
        stream->sent += (size_t)count;
        if ((size_t)count == left) {
            free(stream->pending);
            stream->pending = NULL;
        }
    }
    pthread_mutex_unlock(&server->lock);
    return count;
}

static void end_stream(void *ctx)
{
    struct stream *stream = ctx, **link = &stream->server->streams;

    pthread_mutex_lock(&stream->server->lock);
    while (*link != NULL && *link != stream)
        link = &(*link)->next;
    if (*link != NULL)
        *link = stream->next;
    pthread_mutex_unlock(&stream->server->lock);
    free(stream->pending);
    free(stream);
}

static enum MHD_Result give_stream(struct server *server,
                                   struct MHD_Connection *connection)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return MHD_NO;
    stream->server = server;
    stream->connection = connection;
    pthread_mutex_lock(&server->lock);
    stream->at = server->said;
    stream->next = server->streams;
    server->streams = stream;
    pthread_mutex_unlock(&server->lock);
    return answer_with(
        connection, MHD_HTTP_OK, "text/event-stream",
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
                                          read_stream, stream, end_stream));
}

/* With the lock held. */
static void wake_streams(struct server *server)
{
    for (struct stream *s = server->streams; s != NULL; s = s->next)
        if (s->suspended) {
            s->suspended = false;
            MHD_resume_connection(s->connection);
        }
}

unsigned server_watchers(struct server *server)
{
    unsigned count = 0;

    pthread_mutex_lock(&server->lock);
    for (struct stream *s = server->streams; s != NULL; s = s->next)
        count++;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void server_say(struct server *server, const char *name, json_t *value,
                bool keep)
{
    json_t *said = json_pack("{s:O}", name, value);
    char *line = json_dumps(said, JSON_COMPACT), **kept;

    if (line == NULL)
        abort();
    pthread_mutex_lock(&server->lock);
    kept = &server->kept[server->said++ % SERVER_KEPT];
    free(*kept);
    *kept = line;
    if (keep)
        json_object_set(server->state, name, value);
    json_decref(said);
    json_decref(value);
    wake_streams(server);
    pthread_mutex_unlock(&server->lock);
}

/* ---- commands ------------------------------------------------------------ */

static json_t *run(const struct server *server, struct wanted *wanted)
{
    char *argv[WANTED_WORDS + 3], json[] = "--json";
    const char *program =
        wanted->of_run_sh ? server->options.run_sh : server->options.saga;
    char *path = strdup(program);
    unsigned count = 0;
    json_t *answer;

    if (path == NULL)
        abort();
    argv[count++] = path;
    for (unsigned i = 0; i < wanted->count; i++)
        argv[count++] = wanted->words[i];
    if (!wanted->of_run_sh)
        argv[count++] = json;
    argv[count] = NULL;
    answer = child_run(argv, COMMAND_MS, server->options.stop);
    free(path);
    return answer;
}

/* The thread that runs commands.  The one that runs stays the first in the
 * queue until it is done. */
static void *run_commands(void *ctx)
{
    struct server *server = ctx;
    struct exchange *first;
    json_t *answer;

    pthread_mutex_lock(&server->lock);
    while (!server->stopping) {
        if (server->waiting == NULL) {
            pthread_cond_wait(&server->has_work, &server->lock);
            continue;
        }
        first = server->waiting;
        pthread_mutex_unlock(&server->lock);
        answer = run(server, &first->wanted);
        pthread_mutex_lock(&server->lock);
        server->waiting = first->next;
        server->waiting_count--;
        first->answer = answer;
        MHD_resume_connection(first->connection);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* With the lock held; false: there are too many. */
static bool enqueue(struct server *server, struct exchange *exchange)
{
    struct exchange **link = &server->waiting;

    if (server->waiting_count == WAITING_MAX || server->stopping)
        return false;
    while (*link != NULL)
        link = &(*link)->next;
    *link = exchange;
    server->waiting_count++;
    exchange->queued = true;
    MHD_suspend_connection(exchange->connection);
    pthread_cond_signal(&server->has_work);
    return true;
}

static enum MHD_Result begin_command(struct server *server,
                                     struct MHD_Connection *connection,
                                     struct exchange *exchange)
{
    const char *why =
        wanted_parse(exchange->body, exchange->size, &exchange->wanted);
    bool queued;

    if (why != NULL)
        return answer_decline(connection, 400, why);
    if (exchange->wanted.changes && server->options.read_only)
        return answer_decline(connection, 403, "this page is for reading only");
    if (exchange->wanted.of_run_sh && server->options.run_sh == NULL)
        return answer_decline(connection, 404,
                              "there is no run.sh above this program");
    exchange->connection = connection;
    pthread_mutex_lock(&server->lock);
    queued = enqueue(server, exchange);
    pthread_mutex_unlock(&server->lock);
    return queued ? MHD_YES
                  : answer_decline(connection, 503,
                                   "too many commands wait; try again");
}

static enum MHD_Result take_command(struct server *server,
                                    struct MHD_Connection *connection,
                                    struct exchange *exchange, const char *data,
                                    size_t *size)
{
    if (*size > 0) {
        exchange->too_long |= *size > sizeof exchange->body - exchange->size;
        if (!exchange->too_long) {
            memcpy(exchange->body + exchange->size, data, *size);
            exchange->size += *size;
        }
        *size = 0;
        return MHD_YES;
    }
    if (exchange->too_long)
        return answer_decline(connection, 413, "the command is too long");
    if (!exchange->queued)
        return begin_command(server, connection, exchange);
    if (exchange->answer == NULL)
        return answer_decline(connection, 503, "the server stops");
    return answer_json(connection, MHD_HTTP_OK,
                       json_dumps(exchange->answer, JSON_COMPACT));
}

/* ---- metrics ------------------------------------------------------------- */

static enum MHD_Result give_metrics(struct server *server,
                                    struct MHD_Connection *connection,
                                    struct exchange *exchange)
{
    char *text = exchange->metrics;
    bool waits;

    if (text != NULL) {
        exchange->metrics = NULL;
        return answer_with(connection, MHD_HTTP_OK,
                           "text/plain; version=0.0.4; charset=utf-8",
                           MHD_create_response_from_buffer(
                               strlen(text), text, MHD_RESPMEM_MUST_FREE));
    }
    pthread_mutex_lock(&server->lock);
    waits = !server->stopping;
    if (waits) {
        exchange->connection = connection;
        exchange->next = server->scrapes;
        server->scrapes = exchange;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&server->lock);
    return waits ? MHD_YES
                 : answer_decline(connection, 503, "the server stops");
}

bool server_is_scraped(struct server *server)
{
    bool scraped;

    pthread_mutex_lock(&server->lock);
    scraped = server->scrapes != NULL;
    pthread_mutex_unlock(&server->lock);
    return scraped;
}

/* With the lock held; @text may be NULL. */
static void end_scrapes(struct server *server, const char *text)
{
    while (server->scrapes != NULL) {
        struct exchange *first = server->scrapes;

        server->scrapes = first->next;
        if (text != NULL && (first->metrics = strdup(text)) == NULL)
            abort();
        MHD_resume_connection(first->connection);
    }
}

void server_answer_scrapes(struct server *server, char *text)
{
    pthread_mutex_lock(&server->lock);
    end_scrapes(server, text);
    pthread_mutex_unlock(&server->lock);
    free(text);
}

/* ---- requests ------------------------------------------------------------ */

static enum MHD_Result look_at(void *ctx, enum MHD_ValueKind kind,
                               const char *name, const char *value)
{
    struct guard_request *request = ctx;
    const struct {
        const char *name, **value;
    } wanted[] = {{"Host", &request->host},
                  {"Origin", &request->origin},
                  {"Sec-Fetch-Site", &request->site},
                  {"Authorization", &request->authorization},
                  {"Content-Type", &request->type}};

    (void)kind;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strcasecmp(name, wanted[i].name) == 0) {
            request->repeated |= *wanted[i].value != NULL;
            *wanted[i].value = value != NULL ? value : "";
        }
    return MHD_YES;
}

static enum MHD_Result answer(struct server *server,
                              struct MHD_Connection *connection,
                              const char *path, struct exchange *exchange)
{
    const struct page_file *file = page_find(path);

    if (file != NULL)
        return answer_file(connection, file);
    if (strcmp(path, "/state") == 0)
        return give_state(server, connection);
    if (strcmp(path, "/stream") == 0)
        return give_stream(server, connection);
    if (strcmp(path, "/metrics") == 0)
        return give_metrics(server, connection, exchange);
    return answer_decline(connection, 404, "there is nothing here");
}

/* Before its body is read: later a refusal could not be sent. */
static enum MHD_Result judge(struct server *server,
                             struct MHD_Connection *connection,
                             const char *path, const char *method)
{
    struct guard_request request = {.method = method, .path = path};
    struct guard guard;
    const char *why;
    unsigned status;

    pthread_mutex_lock(&server->lock);
    guard = server->guard;
    pthread_mutex_unlock(&server->lock);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, look_at, &request);
    status = guard_judge(&guard, &request, &why);
    return status == 0 ? MHD_YES : answer_decline(connection, status, why);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *data,
                                  size_t *size, void **own)
{
    struct server *server = ctx;
    struct exchange *exchange = *own;

    (void)version;
    if (exchange == NULL) {
        *own = calloc(1, sizeof *exchange);
        return *own != NULL ? judge(server, connection, path, method) : MHD_NO;
    }
    if (strcmp(method, "POST") == 0)
        return take_command(server, connection, exchange, data, size);
    return *size > 0 ? MHD_NO : answer(server, connection, path, exchange);
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **own,
                   enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *own;

    (void)ctx;
    (void)connection;
    (void)code;
    if (exchange != NULL) {
        json_decref(exchange->answer);
        free(exchange->metrics);
    }
    free(exchange);
    *own = NULL;
}

/* ---- opening and closing ------------------------------------------------- */

/* A socket that listens on loopback, and its port in *@port, which may be 0
 * before; -1: errno says why, which MHD_start_daemon does not keep. */
static int listen_on(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)*port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int yes = 1, why;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, SERVER_CONNECTIONS) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &bytes) == 0) {
        *port = ntohs(address.sin_port);
        return fd;
    }
    why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

static struct MHD_Daemon *start(struct server *server, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
}

enum evt_status server_open(const struct server_options *options,
                            struct server **opened)
{
    struct server *server = calloc(1, sizeof *server);
    unsigned port = options->port;
    enum evt_status rc = EVT_IO;
    int fd;

    if (server == NULL)
        abort();
    server->options = *options;
    server->state = json_object();
    guard_renew(&server->guard);
    server->guard.metrics_open = options->metrics_open;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->has_work, NULL);
    /* No request is judged before the port is known. */
    pthread_mutex_lock(&server->lock);
    fd = listen_on(&port);
    if (fd < 0 && errno == EADDRINUSE)
        rc = EVT_BUSY;
    if (fd >= 0)
        server->daemon = start(server, fd);
    if (server->daemon == NULL) {
        if (fd >= 0)
            close(fd);
        json_decref(server->state);
        free(server);
        return rc;
    }
    server->guard.port = (uint16_t)port;
    pthread_mutex_unlock(&server->lock);
    if (pthread_create(&server->runner, NULL, run_commands, server) != 0)
        abort();
    *opened = server;
    return EVT_OK;
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    wake_streams(server);
    end_scrapes(server, NULL);
    pthread_cond_signal(&server->has_work);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->runner, NULL);
    for (struct exchange *e = server->waiting; e != NULL; e = e->next)
        MHD_resume_connection(e->connection);
    MHD_stop_daemon(server->daemon);
    for (size_t i = 0; i < SERVER_KEPT; i++)
        free(server->kept[i]);
    json_decref(server->state);
    free(server);
}

const char *server_link(const struct server *server,
                        char link[SERVER_LINK_BYTES])
{
    snprintf(link, SERVER_LINK_BYTES, "http://127.0.0.1:%u/#%s",
             server->guard.port, server->guard.token);
    return link;
}
