/* choice.c - see choice.h. */
#include "choice.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint64_t mix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void choice_from_seed(struct choice *choice, uint64_t seed)
{
    memset(choice, 0, sizeof *choice);
    choice->state = seed;
}

void choice_from_bytes(struct choice *choice, const uint8_t *bytes,
                       size_t count)
{
    memset(choice, 0, sizeof *choice);
    choice->replayed = true;
    choice->bytes = bytes;
    choice->count = count;
}

void choice_close(struct choice *choice)
{
    free(choice->record);
    choice->record = NULL;
    choice->room = 0;
}

static uint8_t next_byte(struct choice *choice)
{
    uint8_t byte = 0;

    if (!choice->replayed)
        byte = (uint8_t)(mix64(&choice->state) >> 56);
    else if (choice->at < choice->count)
        byte = choice->bytes[choice->at];
    if (choice->at == choice->room) {
        choice->room = choice->room * 2 + 4096;
        choice->record = realloc(choice->record, choice->room);
        if (choice->record == NULL)
            abort();
    }
    choice->record[choice->at++] = byte;
    return byte;
}

unsigned choose(struct choice *choice, unsigned n)
{
    unsigned value;

    assert(n > 0 && n <= 65536);
    if (n == 1)
        return 0;
    value = next_byte(choice);
    if (n > 256)
        value = value << 8 | next_byte(choice);
    return value % n;
}

bool chance(struct choice *choice, unsigned of256)
{
    return of256 > 0 && choose(choice, 256) >= 256 - of256;
}
