/* text.c - ids, numbers and bytes as text. */
#include "base/text.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void text_copy(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);

    assert(length < size);
    memcpy(to, from, length);
    memset(to + length, 0, size - length); /* states are compared as bytes */
}

bool text_is_id(const char *text, size_t size)
{
    static const uint8_t good[256] = {
        ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1,
        ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1,
        ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1,
        ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
        ['y'] = 1, ['z'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1,
        ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
        ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
        ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1,
        ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['0'] = 1, ['1'] = 1,
        ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
        ['8'] = 1, ['9'] = 1, ['.'] = 1, ['_'] = 1, ['-'] = 1};
    size_t length = 0;

    while (length < size && good[(uint8_t)text[length]])
        length++;
    return length > 0 && length < size && text[length] == '\0';
}

/* Whether the digits that @text begins with are written as people and programs
 * write a number: "0" or no zero in front. */
static bool has_leading_zero(const char *text)
{
    return text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

bool text_parse_count(const char *text, int64_t least, int64_t most,
                      int64_t *count)
{
    int64_t value = 0;

    if (text[0] == '\0' || has_leading_zero(text))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' ||
            value > (INT64_MAX - (*text - '0')) / 10)
            return false;
        value = value * 10 + (*text - '0');
    }
    if (value < least || value > most)
        return false;
    *count = value;
    return true;
}

/* ---- for the eye --------------------------------------------------------- */

/* Reads the first character of @text by the rules of RFC 3629.  Returns its
 * length in bytes, or 0 if the bytes encode no character. */
static size_t read_character(const uint8_t *text, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t count = text[0] < 0x80   ? 1
                   : text[0] < 0xc0 ? 0
                   : text[0] < 0xe0 ? 2
                   : text[0] < 0xf0 ? 3
                   : text[0] < 0xf8 ? 4
                                    : 0;

    if (count == 0)
        return 0;
    *character = count == 1 ? text[0] : text[0] & (0x7fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((text[i] & 0xc0) != 0x80) /* also at the final NUL */
            return 0;
        *character = *character << 6 | (text[i] & 0x3f);
    }
    return *character < least[count] || *character > 0x10ffff ||
                   (*character >= 0xd800 && *character < 0xe000)
               ? 0
               : count;
}

/* Whether a character moves the cursor, or others, or is not seen: Unicode's
 * categories Cc, Cf, Zl and Zp, and what fills space without being seen. */
static bool is_formatting(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0, 0x1f},           {0x7f, 0x9f},       {0xad, 0xad},
        {0x34f, 0x34f},      {0x600, 0x605},     {0x61c, 0x61c},
        {0x6dd, 0x6dd},      {0x70f, 0x70f},     {0x890, 0x891},
        {0x8e2, 0x8e2},      {0x115f, 0x1160},   {0x17b4, 0x17b5},
        {0x180b, 0x180f},    {0x200b, 0x200f},   {0x2028, 0x202e},
        {0x2060, 0x206f},    {0x3164, 0x3164},   {0xfe00, 0xfe0f},
        {0xfeff, 0xfeff},    {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
        {0xfffe, 0xffff},    {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
        {0x13430, 0x1343f},  {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
        {0xe0000, 0x10ffff}, /* tags, private use */
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

size_t text_show(const char *text, char shown[SHOWN_BYTES])
{
    uint32_t character = 0;
    size_t count = read_character((const uint8_t *)text, &character);

    if (count == 0) {
        snprintf(shown, SHOWN_BYTES, "\\x%02x", (uint8_t)text[0]);
        return 1;
    }
    if (is_formatting(character))
        snprintf(shown, SHOWN_BYTES, character > 0xffff ? "\\U%08x" : "\\u%04x",
                 character);
    else
        snprintf(shown, SHOWN_BYTES, "%.*s", (int)count, text);
    return count;
}

char *text_plain(const char *text, bool lines, char *plain, size_t size)
{
    size_t used = 0;

    while (*text != '\0') {
        char shown[SHOWN_BYTES] = {*text};
        size_t count = 1, length;

        if ((*text < ' ' || *text > '~') &&
            !(lines && (*text == '\n' || *text == '\t')))
            count = text_show(text, shown);
        length = strlen(shown);
        if (used + length >= size)
            break;
        memcpy(plain + used, shown, length);
        used += length;
        text += count;
    }
    plain[used] = '\0';
    return plain;
}

char *text_hex(const uint8_t *bytes, size_t count, char *text)
{
    return sodium_bin2hex(text, 2 * count + 1, bytes, count);
}

bool text_parse_hex(const char *text, uint8_t *bytes, size_t count)
{
    size_t used;

    return strlen(text) == 2 * count &&
           sodium_hex2bin(bytes, count, text, 2 * count, NULL, &used, NULL) ==
               0 &&
           used == count;
}
