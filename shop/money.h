/* money.h - cents as people write them. */
#ifndef MONEY_H
#define MONEY_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* "12.34" <-> 1234.  money_text returns @text, of MONEY_BYTES.  money_parse
 * accepts "12", "12.3", "12.34", nothing else: no leading zero but that of
 * "0.50", and nothing that overflows. */
enum { MONEY_BYTES = 24 };
char *money_text(int64_t cents, char text[MONEY_BYTES]);
MUST_CHECK bool money_parse(const char *text, int64_t *cents);

#endif
