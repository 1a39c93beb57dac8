/* address.c - see address.h.  Next: client.c, which asks; bus.c, which
 * listens. */
#include "net/address.h"

#include "base/text.h"
#include "core/domain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const sockets[] = {"pub", "cmd", "qry"};

enum { SOCKETS = sizeof sockets / sizeof sockets[0] };

bool address_parse_bus(const char *bus, int *port)
{
    static const char *const loopback[] = {"tcp://127.0.0.1:",
                                           "tcp://localhost:"};

    for (int i = 0; i < 2; i++) {
        size_t length = strlen(loopback[i]);
        int64_t value;

        if (strncmp(bus, loopback[i], length) != 0)
            continue;
        if (text_parse_count(bus + length, 1024, 65535 - SOCKETS * SERVICES_MAX,
                             &value)) {
            *port = (int)value;
            return true;
        }
    }
    return false;
}

int address_port(const char *const *services, int port, const char *service,
                 const char *socket)
{
    for (int number = 0; services != NULL && services[number] != NULL; number++)
        for (int offset = 0; offset < SOCKETS; offset++)
            if (strcmp(services[number], service) == 0 &&
                strcmp(sockets[offset], socket) == 0)
                return port + SOCKETS * number + offset;
    return 0;
}

void address_url(const char *const *services, int port, const char *directory,
                 const char *service, const char *socket, char url[URL_BYTES])
{
    if (port != 0)
        snprintf(url, URL_BYTES, "tcp://127.0.0.1:%d",
                 address_port(services, port, service, socket));
    else
        snprintf(url, URL_BYTES, "ipc://%srun/%s.%s", directory, service,
                 socket);
}

void address_lock(const char *service, char path[LOCK_PATH_BYTES])
{
    snprintf(path, LOCK_PATH_BYTES, "run/%s.lock", service);
}

bool address_is_locked(int directory_fd, const char *path, int flags)
{
    int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | flags);
    bool held;

    if (fd < 0)
        return false;
    held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

bool address_listens(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens;

    if (fd < 0)
        return false;
    listens = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    close(fd);
    return listens;
}
