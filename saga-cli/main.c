/* main.c - the `saga` that is installed: without a domain, the library's verbs
 * alone. */
#include "saga-cli/saga_main.h"

int main(int argc, char **argv)
{
    return saga_main(argc, argv, NULL);
}
