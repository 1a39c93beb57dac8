/* main.c - payment-svc as a process: its tables, handed to the host. */
#include "host/host.h"
#include "payment-svc/payment.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv, &payment_service, &account_view);
}
