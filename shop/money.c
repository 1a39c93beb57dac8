/* money.c - cents as people write them. */
#include "shop/money.h"

#include <stdio.h>

char *money_text(int64_t cents, char text[MONEY_BYTES])
{
    uint64_t amount = cents < 0 ? 0 - (uint64_t)cents : (uint64_t)cents;

    snprintf(text, MONEY_BYTES, "%s%llu.%02u", cents < 0 ? "-" : "",
             (unsigned long long)(amount / 100), (unsigned)(amount % 100));
    return text;
}

bool money_parse(const char *text, int64_t *cents)
{
    int64_t value = 0;
    int digits = 0, decimals = -1; /* -1: no point yet */

    if (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
        return false;
    for (; *text != '\0'; text++) {
        if (*text == '.' && decimals < 0 && digits > 0) {
            decimals = 0;
            continue;
        }
        if (*text < '0' || *text > '9' || decimals == 2 ||
            value > (INT64_MAX / 100 - 9) / 10)
            return false;
        value = value * 10 + (*text - '0');
        digits++;
        decimals += decimals >= 0;
    }
    if (digits == 0 || decimals == 0)
        return false;
    *cents = decimals == 2 ? value : decimals == 1 ? value * 10 : value * 100;
    return true;
}
