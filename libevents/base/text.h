/* text.h - ids, numbers and bytes as text. */
#ifndef TEXT_H
#define TEXT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies text into an array of @size bytes; what does not fit is a
 * programmer's error and asserts (outside text is measured before). */
void text_copy(char *to, size_t size, const char *from);

/* Whether @text is an id: 1 to @size - 1 of A-Z a-z 0-9 . _ - */
bool text_is_id(const char *text, size_t size);

/* A whole number of @least to @most, and @least is not below zero: decimal
 * digits alone.  No sign, no space, no leading zero ("07" is octal to some
 * readers), nothing behind it. */
MUST_CHECK bool text_parse_count(const char *text, int64_t least, int64_t most,
                                 int64_t *count);

/* How the character that @text begins with is shown: as it is, or, if it is no
 * UTF-8, a control character or one that formats (a bidi override, a zero
 * width), as "\\xff", "\\u202e" or "\\U000e0001".  Returns how many bytes it
 * takes of @text, which must not be empty. */
enum { SHOWN_BYTES = 12 };
size_t text_show(const char *text, char shown[SHOWN_BYTES]);

/* Copies @text as it is shown, cut to @size; line breaks and tabs stay if
 * @lines.  The copy is clean UTF-8, whatever @text was.  Returns @plain. */
char *text_plain(const char *text, bool lines, char *plain, size_t size);

/* Bytes <-> lower-case hex.  @text holds 2 * count + 1. */
char *text_hex(const uint8_t *bytes, size_t count, char *text);
MUST_CHECK bool text_parse_hex(const char *text, uint8_t *bytes, size_t count);

#endif
