/* fuzz.h - what the fuzz targets share: taking an input apart, files of real
 * logs, and a verdict.
 *
 * Each fuzz_NAME.c is one target: a function that takes any bytes and must
 * neither crash, nor trip a sanitizer, nor see one of its assertions (MUST)
 * fail.  clang's libFuzzer looks for inputs (`make fuzz`);
 * replay.c walks through those that are kept in corpus/NAME (`make
 * fuzz-replay`, any compiler).  A target depends on its input alone: the same
 * bytes do the same, whatever came before. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../must.h"
#include "core/service.h"
#include "shop/roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* An input is taken from the front; beyond its end everything is 0. */
struct taker {
    const uint8_t *at;
    size_t left;
};
uint8_t take_byte(struct taker *taker);
uint16_t take_short(struct taker *taker);
int64_t take_number(struct taker *taker); /* 8 bytes, or less */
/* At most @wanted bytes; *@got says how many.  Borrowed from the input. */
const uint8_t *take_span(struct taker *taker, size_t wanted, size_t *got);

/* A directory of this process's own, gone when it ends; in memory if there is
 * /dev/shm.  @name in it; borrowed until eight more were asked for. */
const char *fuzz_path(const char *name);

/* Makes @path the log of @service as a released version wrote it: real events
 * of every kind (tests/golden). */
void fuzz_golden(const char *service, const char *path);
/* The bytes of a file, from malloc. */
uint8_t *fuzz_read(const char *path, size_t *count);
void fuzz_write(const char *path, const uint8_t *bytes, size_t count);

#endif
