/* main.c - inventory-svc as a process: its tables, handed to the host. */
#include "host/host.h"
#include "inventory-svc/inventory.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv, &inventory_service, &stock_view);
}
