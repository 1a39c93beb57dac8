/* fuzz_sim.c - libFuzzer as the source of chance: it learns which choices lead
 * the whole system into code that no run has reached yet.
 *
 * Built by `make fuzz-sim`; its inputs are choice streams, so what it finds is
 * replayed and shrunk by `sim --replay` and `sim --shrink`.  Next: sim.h. */
#include "scratch.h"
#include "sim.h"
#include "simvfs.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static char directory[SCRATCH_BYTES];

static void leave(void)
{
    scratch_remove(directory);
}

static void prepare(void)
{
    if (directory[0] != '\0')
        return;
    if (sodium_init() < 0)
        abort();
    json_object_seed(1);
    simvfs_open();
    scratch_make(directory);
    atexit(leave);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct sim_options options = {.directory = directory};
    struct sim_result result;
    struct choice choice;

    prepare();
    choice_from_bytes(&choice, bytes, count);
    sim_run(&choice, &options, &result);
    choice_close(&choice);
    if (result.broken[0] == '\0')
        return 0;
    printf("BROKEN %s: %s\n", result.broken, result.what);
    abort();
}
