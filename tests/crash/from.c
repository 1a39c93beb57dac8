/* from.c - where a service's own connections come from.
 *
 * A library to preload: LD_PRELOAD=from.so FROM=127.0.0.12 order-svc ...  Over
 * tcp:// all services connect from 127.0.0.1: a packet says where it goes, but
 * not which service sent it.  When each has its own address, nft can separate
 * one pair; see partitions.sh. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As glibc declares it with _GNU_SOURCE: its second argument is any of the
 * sockaddr pointers. */
int connect(int fd, __CONST_SOCKADDR_ARG any, socklen_t size)
{
    const struct sockaddr *to = any.__sockaddr__;
    struct sockaddr_in from = {.sin_family = AF_INET};
    const char *address = getenv("FROM");

    if (address != NULL && to->sa_family == AF_INET &&
        inet_pton(AF_INET, address, &from.sin_addr) == 1)
        (void)bind(fd, (struct sockaddr *)&from, sizeof from);
    return (int)syscall(SYS_connect, fd, to, size);
}
