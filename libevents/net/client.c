/* client.c - asking services over REQ sockets, one a service and socket.
 *
 * Whether somebody is there is read off the endpoint lock that a running
 * service holds, not tried by connecting: a connection that is closed too
 * early can make an ipc listener deaf (VICE_DEAF_LISTENER, see bus.h). */
#include "net/client.h"

#include "net/nng/close_bounded.h"

#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SOCKETS_MAX = 64,
    /* Never, for any wait: a service may take its time, and must not get its
     * question twice.  Not NNG_DURATION_INFINITE, which would also give up a
     * request whose connection is lost (nng_req(7); req.c, req0_pipe_close). */
    RESEND_MS = INT32_MAX,
    /* Silence for so long, doubled each time, makes us dial once more: the
     * first dialer may never do so again (VICE_DEAD_DIALER).  It is not closed,
     * since its connection may be good, or wait for a peer that is paused and
     * would find it gone (VICE_DEAF_LISTENER).  A request that was sent is not
     * sent again. */
    DIAL_AGAIN_MS = 1000
};

struct client {
    const struct domain *domain;
    int directory_fd; /* the data directory; -1 over tcp */
    int port;         /* over tcp */
    struct {
        char service[SERVICE_BYTES], name[8];
        nng_socket socket;
    } sockets[SOCKETS_MAX];
    size_t socket_count;
};

static const char *const *services_of(const struct client *client)
{
    return client->domain != NULL ? client->domain->services : NULL;
}

enum evt_status client_open(const struct domain *domain, const char *directory,
                            const char *bus, struct client **opened, char *why,
                            size_t why_bytes)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        abort();
    client->domain = domain;
    client->directory_fd = -1;
    if (bus != NULL && !address_parse_bus(bus, &client->port)) {
        snprintf(why, why_bytes,
                 "%s: only tcp://127.0.0.1:PORT, since nothing on the wire is "
                 "authenticated yet",
                 bus);
        free(client);
        return EVT_BAD;
    }
    if (bus == NULL)
        client->directory_fd =
            open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *opened = client; /* no directory: nobody answers, as each request says */
    return EVT_OK;
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    for (size_t i = 0; i < client->socket_count; i++)
        close_bounded(client->sockets[i].socket);
    if (client->directory_fd >= 0)
        close(client->directory_fd);
    free(client);
}

/* Whether the service is there; it may yet be too busy to answer. */
static bool is_running(const struct client *client, const char *service,
                       const char *name)
{
    char path[LOCK_PATH_BYTES];
    int port;

    if (client->port != 0) {
        port = address_port(services_of(client), client->port, service, name);
        return port != 0 && address_listens(port);
    }
    address_lock(service, path);
    return address_is_locked(client->directory_fd, path, 0);
}

void client_url(const struct client *client, const char *service,
                const char *name, char url[URL_BYTES])
{
    char directory[48];

    snprintf(directory, sizeof directory, "/proc/self/fd/%d/",
             client->directory_fd);
    address_url(services_of(client), client->port, directory, service, name,
                url);
}

/* Opens a REQ socket that dials @url, and goes on doing so by itself. */
static bool dial(const char *url, nng_socket *socket)
{
    if (nng_req0_open(socket) != 0)
        return false;
    if (nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, MESSAGE_MAX) == 0 &&
        nng_socket_set_ms(*socket, NNG_OPT_RECONNMINT, 10) == 0 &&
        nng_socket_set_ms(*socket, NNG_OPT_RECONNMAXT, 200) == 0 &&
        nng_socket_set_ms(*socket, NNG_OPT_REQ_RESENDTIME, RESEND_MS) == 0 &&
        nng_dial(*socket, url, NULL, NNG_FLAG_NONBLOCK) == 0)
        return true;
    close_bounded(*socket);
    return false;
}

/* Where a service's socket is, or would be: socket_count. */
static size_t find_socket(const struct client *client, const char *service,
                          const char *name)
{
    size_t i;

    for (i = 0; i < client->socket_count; i++)
        if (strcmp(client->sockets[i].service, service) == 0 &&
            strcmp(client->sockets[i].name, name) == 0)
            break;
    return i;
}

/* A service that died may have left a dialer that never dials again (see
 * bus.c), and one that does not answer may never do so: the next question
 * gets a socket of its own. */
static void forget_socket(struct client *client, const char *service,
                          const char *name)
{
    size_t i = find_socket(client, service, name);

    if (i == client->socket_count)
        return;
    close_bounded(client->sockets[i].socket);
    client->sockets[i] = client->sockets[--client->socket_count];
}

static enum evt_status socket_of(struct client *client, const char *service,
                                 const char *name, const char *url,
                                 nng_socket *socket)
{
    size_t i = find_socket(client, service, name);

    if (i < client->socket_count) {
        *socket = client->sockets[i].socket;
        return EVT_OK;
    }
    if (i == SOCKETS_MAX || !dial(url, socket))
        return EVT_IO;
    text_copy(client->sockets[i].service, SERVICE_BYTES, service);
    text_copy(client->sockets[i].name, sizeof client->sockets[i].name, name);
    client->sockets[i].socket = *socket;
    client->socket_count++;
    return EVT_OK;
}

static int64_t mono_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool readable(int fd, int64_t timeout_ms)
{
    struct pollfd it = {.fd = fd, .events = POLLIN};

    return poll(&it, 1, (int)timeout_ms) > 0;
}

/* Sends, and waits for the reply, in all at most @timeout_ms. */
static enum evt_status exchange(nng_socket socket, const char *url,
                                const void *request, size_t count,
                                int timeout_ms, nng_msg **reply)
{
    int64_t end_ms = mono_ms() + timeout_ms, turn_ms = DIAL_AGAIN_MS, left_ms;
    bool sent = false, received = false;
    int send_fd, recv_fd;
    nng_msg *msg;

    if (nng_socket_get_int(socket, NNG_OPT_SENDFD, &send_fd) != 0 ||
        nng_socket_get_int(socket, NNG_OPT_RECVFD, &recv_fd) != 0)
        return EVT_IO;
    if (nng_msg_alloc(&msg, 0) != 0 || nng_msg_append(msg, request, count) != 0)
        abort();
    while (!received && (left_ms = end_ms - mono_ms()) > 0) {
        int64_t wait_ms = left_ms < turn_ms ? left_ms : turn_ms;

        if (!readable(sent ? recv_fd : send_fd, wait_ms)) {
            if (wait_ms < left_ms)
                (void)!nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK);
            turn_ms *= 2;
        } else if (sent) {
            received = nng_recvmsg(socket, reply, NNG_FLAG_NONBLOCK) == 0;
        } else {
            sent = nng_sendmsg(socket, msg, NNG_FLAG_NONBLOCK) == 0;
        }
    }
    if (!sent)
        nng_msg_free(msg);
    return received ? EVT_OK : EVT_BUSY;
}

enum evt_status client_request(struct client *client, const char *service,
                               const char *name, const void *request,
                               size_t count, int timeout_ms, uint8_t *reply,
                               size_t *reply_bytes)
{
    char url[URL_BYTES];
    nng_socket socket;
    nng_msg *msg;
    enum evt_status rc = EVT_NONE;

    client_url(client, service, name, url);
    if (is_running(client, service, name))
        rc = socket_of(client, service, name, url, &socket);
    if (rc == EVT_OK)
        rc = exchange(socket, url, request, count, timeout_ms, &msg);
    if (rc == EVT_NONE || rc == EVT_BUSY)
        forget_socket(client, service, name);
    if (rc == EVT_BUSY && !is_running(client, service, name))
        return EVT_NONE; /* it ended while we waited */
    if (rc != EVT_OK)
        return rc;
    if (nng_msg_len(msg) <= MESSAGE_MAX) {
        *reply_bytes = nng_msg_len(msg);
        memcpy(reply, nng_msg_body(msg), *reply_bytes);
    } else {
        rc = EVT_BAD;
    }
    nng_msg_free(msg);
    return rc;
}

enum evt_status client_ask(struct client *client, const char *service,
                           const char *socket, const json_t *request,
                           int timeout_ms, json_t **reply)
{
    char *text = json_dumps(request, JSON_COMPACT);
    uint8_t *bytes = malloc(MESSAGE_MAX);
    size_t count = 0;
    enum evt_status rc;

    if (text == NULL || bytes == NULL)
        abort();
    rc = client_request(client, service, socket, text, strlen(text), timeout_ms,
                        bytes, &count);
    if (rc == EVT_OK) {
        json_t *json = json_loadb((const char *)bytes, count, 0, NULL);

        if (json == NULL)
            rc = EVT_BAD;
        else
            *reply = json;
    }
    free(bytes);
    free(text);
    return rc;
}

enum evt_status client_ask_read_side(const char *directory, const char *service,
                                     const json_t *request, int timeout_ms,
                                     json_t **reply)
{
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char url[128], *text = json_dumps(request, JSON_COMPACT);
    enum evt_status rc = EVT_NONE;
    nng_socket socket;
    nng_msg *msg;

    if (text == NULL)
        abort();
    snprintf(url, sizeof url, "ipc:///proc/self/fd/%d/%s.qry", fd, service);
    if (fd >= 0 && address_is_locked(fd, ".", O_DIRECTORY) &&
        dial(url, &socket)) {
        rc = exchange(socket, url, text, strlen(text), timeout_ms, &msg);
        if (rc == EVT_OK) {
            *reply = json_loadb(nng_msg_body(msg), nng_msg_len(msg), 0, NULL);
            rc = *reply == NULL ? EVT_BAD : EVT_OK;
            nng_msg_free(msg);
        }
        close_bounded(socket);
    }
    if (fd >= 0)
        close(fd);
    free(text);
    return rc;
}

enum evt_status client_command(struct client *client, const char *service,
                               const struct command commands[], size_t count,
                               int timeout_ms, struct answer answers[])
{
    struct answer read[COMMANDS_PER_REQUEST];
    uint8_t *message = malloc(MESSAGE_MAX), *reply = malloc(MESSAGE_MAX);
    enum evt_status rc = EVT_BAD;
    size_t bytes;

    if (message == NULL || reply == NULL)
        abort();
    bytes = request_write(client->domain, commands, count, message);
    if (bytes > 0)
        rc = client_request(client, service, "cmd", message, bytes, timeout_ms,
                            reply, &bytes);
    if (rc == EVT_OK)
        rc = request_answers_of(reply, bytes, count, read);
    if (rc == EVT_OK)
        memcpy(answers, read, count * sizeof *answers);
    free(reply);
    free(message);
    return rc;
}

void client_new_id(const char *prefix, char id[ID_BYTES])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    struct timespec now;
    uint64_t time_ms;
    size_t at = strlen(prefix);

    clock_gettime(CLOCK_REALTIME, &now);
    time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    memset(id, 0, ID_BYTES);
    memcpy(id, prefix, at);
    id[at++] = '-';
    for (int shift = 45; shift >= 0; shift -= 5)
        id[at++] = digits[time_ms >> shift & 31];
    for (int i = 0; i < 8; i++)
        id[at++] = digits[randombytes_uniform(32)];
}
