/* main.c - order-svc as a process: its tables, handed to the host. */
#include "host.h"
#include "order.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv, &order_service, &order_view);
}
