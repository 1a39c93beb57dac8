/* main.c - order-svc as a process: its tables, handed to the host. */
#include "host/host.h"
#include "order-svc/order.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv, &order_service, &order_view);
}
