/* main.c - each service as a process: the Makefile says which. */
#include "services.h"

#include "host/host.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv, &SERVICE, &VIEW);
}
