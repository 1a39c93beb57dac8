/* fuzz_web.c - any bytes as the headers and the body of a request to saga-web.
 *
 * Nothing but a page file is answered without the token, and no command is
 * taken but by a verb of the list, with words that no program mistakes. */
#include "fuzz.h"
#include "saga-web/guard.h"
#include "saga-web/page.h"
#include "saga-web/wanted.h"

#include <string.h>

static const struct guard guard = {.port = 8420,
                                   .token = "0123456789abcdef0123456789abcdef"};

/* The next text up to a zero byte; NULL where it begins with one. */
static const char *take_text(struct taker *taker, char text[256])
{
    size_t size = 0;
    uint8_t byte;

    while ((byte = take_byte(taker)) != 0)
        if (size < 255)
            text[size++] = (char)byte;
    text[size] = '\0';
    return size == 0 ? NULL : text;
}

static void judge(struct taker *taker)
{
    char texts[7][256];
    struct guard_request request = {.method = take_text(taker, texts[0]),
                                    .path = take_text(taker, texts[1]),
                                    .host = take_text(taker, texts[2]),
                                    .origin = take_text(taker, texts[3]),
                                    .site = take_text(taker, texts[4]),
                                    .authorization = take_text(taker, texts[5]),
                                    .type = take_text(taker, texts[6])};
    const char *why;
    unsigned status;

    request.method = request.method != NULL ? request.method : "";
    request.path = request.path != NULL ? request.path : "";
    status = guard_judge(&guard, &request, &why);
    if (status != 0) {
        MUST(status >= 400 && status < 500 && why[0] != '\0');
        return;
    }
    MUST(request.host != NULL && strstr(request.host, ":8420") != NULL);
    MUST(request.origin == NULL || strstr(request.origin, ":8420") != NULL);
    MUST(page_find(request.path) != NULL ||
         (request.authorization != NULL &&
          strcmp(request.authorization + strlen("Bearer "), guard.token) == 0));
}

static void parse(const uint8_t *bytes, size_t count)
{
    static struct wanted wanted;

    if (wanted_parse((const char *)bytes, count, &wanted) != NULL)
        return;
    MUST(wanted.count > 0 && wanted.count <= WANTED_WORDS);
    MUST(wanted.words[wanted.count] == NULL);
    for (unsigned i = 0; i < wanted.count; i++) {
        const char *word = wanted.words[i];

        MUST(word >= wanted.text && word < wanted.text + WANTED_TEXT);
        MUST(word[0] != '\0' && strpbrk(word, " \t\n;|&$`\"'\\<>=*?~") == NULL);
        MUST(strncmp(word, "--d", 3) != 0 && strncmp(word, "--b", 3) != 0 &&
             strncmp(word, "--r", 3) != 0 && strcmp(word, "--") != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct taker taker = {.at = bytes, .left = count};

    judge(&taker);
    parse(bytes, count);
    return 0;
}
