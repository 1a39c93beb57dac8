/* ask.c - asks a service one question, as somebody else's program would.
 *
 *     ask [--bus URL | --read-side DIR] SERVICE cmd|qry JSON
 *
 * Prints the answer (docs/protocol.md), whatever it is.  $SAGA_DIR is the
 * data directory.  Exits 0 when there was an answer, 69 when nobody listens,
 * 75 when none came.  A program of its own: tests/test_*.sh call it. */
#include "log/store.h"
#include "net/client.h"
#include "shop/shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 30000 };

int main(int argc, char **argv)
{
    const char *directory = getenv("SAGA_DIR"), *bus = NULL, *read_side = NULL;
    char why[STORE_WHY_BYTES] = "", **words = argv + 1;
    json_t *request = NULL, *reply = NULL;
    struct client *client = NULL;
    enum evt_status rc;

    if (argc == 6 && strcmp(argv[1], "--bus") == 0)
        bus = argv[2];
    else if (argc == 6 && strcmp(argv[1], "--read-side") == 0)
        read_side = argv[2];
    words += argc == 6 ? 2 : 0;
    if (argc == 4 || bus != NULL || read_side != NULL)
        request = json_loads(words[2], 0, NULL);
    if (request == NULL ||
        client_open(&shop_domain, directory != NULL ? directory : "./var", bus,
                    &client, why, sizeof why) != EVT_OK) {
        fprintf(stderr, "ask: %s\n", why[0] != '\0' ? why : "wrong words");
        return 64;
    }
    rc = read_side != NULL ? client_ask_read_side(read_side, words[0], request,
                                                  PATIENCE_MS, &reply)
                           : client_ask(client, words[0], words[1], request,
                                        PATIENCE_MS, &reply);
    client_close(client);
    json_decref(request);
    if (rc != EVT_OK) {
        fprintf(stderr, "ask: no answer\n");
        return rc == EVT_NONE ? 69 : 75;
    }
    json_dumpf(reply, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(reply);
    return 0;
}
