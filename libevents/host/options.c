/* options.c - what operators may tell a service, and what is refused. */
#include "host/options.h"

#include "base/text.h"
#include "net/address.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMER_OPTION = 256, WEEK_MS = 7 * 24 * 3600 * 1000 };

static void usage(FILE *to, const struct service *service)
{
    fprintf(
        to,
        "usage: %s-svc [--dir DIR] [--bus tcp://127.0.0.1:PORT] [--faults]\n"
        "       [--read-side DIR] [--verbose] [--version]",
        service->name);
    for (size_t i = 0; i < service->timer_count; i++)
        fprintf(to, " [--%s MS]", service->timers[i].option);
    fprintf(to,
            "\n"
            "  --dir DIR        data directory ($SAGA_DIR, else ./var)\n"
            "  --bus URL        loopback tcp instead of ipc ($SAGA_BUS)\n"
            "  --faults         allow fault points to be set (saga fault)\n"
            "  --read-side DIR  run only a read side, with its view in DIR\n"
            "  --verbose        log every decision\n");
    for (size_t i = 0; i < service->timer_count; i++)
        fprintf(to, "  --%s MS  default %u\n", service->timers[i].option,
                service->timers[i].default_ms);
}

static bool read_ms(const char *text, uint32_t *ms)
{
    int64_t value;

    if (!text_parse_count(text, 1, WEEK_MS, &value))
        return false;
    *ms = (uint32_t)value;
    return true;
}

static int wrong(const struct service *service, const char *what)
{
    fprintf(stderr, "%s-svc: %s\n", service->name, what);
    return 64;
}

static bool read_bus(struct options *options, const struct service *service,
                     const char *bus, int *code)
{
    if (bus == NULL || address_parse_bus(bus, &options->port))
        return true;
    fprintf(stderr,
            "%s-svc: %s: only tcp://127.0.0.1:PORT, since nothing on the wire "
            "is authenticated yet\n",
            service->name, bus);
    *code = 64;
    return false;
}

bool options_read(struct options *options, const struct service *service,
                  int argc, char **argv, int *code)
{
    struct option known[8 + OPTION_TIMERS_MAX] = {
        {"dir", required_argument, NULL, 'd'},
        {"bus", required_argument, NULL, 'b'},
        {"read-side", required_argument, NULL, 'r'},
        {"faults", no_argument, NULL, 'f'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'}};
    const char *bus = getenv("SAGA_BUS");
    int c;

    memset(options, 0, sizeof *options);
    options->directory = getenv("SAGA_DIR");
    if (options->directory == NULL || options->directory[0] == '\0')
        options->directory = "./var";
    if (bus != NULL && bus[0] == '\0')
        bus = NULL;
    for (size_t i = 0; i < service->timer_count; i++) {
        options->timer_ms[i] = service->timers[i].default_ms;
        known[7 + i] =
            (struct option){service->timers[i].option, required_argument, NULL,
                            TIMER_OPTION + (int)i};
    }
    *code = 0;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'd')
            options->directory = optarg;
        else if (c == 'b')
            bus = optarg;
        else if (c == 'r')
            options->read_side = optarg;
        else if (c == 'f')
            options->faults = true;
        else if (c == 'v')
            options->verbose = true;
        else if (c == 'V')
            return printf("%s-svc " SAGA_VERSION "\n", service->name), false;
        else if (c == 'h')
            return usage(stdout, service), false;
        else if (c < TIMER_OPTION)
            return usage(stderr, service), *code = 64, false;
        else if (!read_ms(optarg, &options->timer_ms[c - TIMER_OPTION]))
            return *code = wrong(service, "a time must be 1 to 604800000 ms"),
                   false;
    }
    if (optind != argc)
        return *code = wrong(service, "unexpected argument"), false;
    return read_bus(options, service, bus, code);
}
