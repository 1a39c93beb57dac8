/* guard.c - the rules that a request has to pass, one after another.
 *
 * Next: server.c, which fills in what a request says. */
#include "saga-web/guard.h"

#include "saga-web/page.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { AUTHORITY_BYTES = 32 };

void guard_renew(struct guard *guard)
{
    unsigned char bytes[GUARD_TOKEN_CHARS / 2];

    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(guard->token, sizeof guard->token, bytes, sizeof bytes);
    sodium_memzero(bytes, sizeof bytes);
}

/* Whether @text is @scheme and one of the two names of our address. */
static bool is_ours(const struct guard *guard, const char *scheme,
                    const char *text)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    char ours[AUTHORITY_BYTES];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(ours, sizeof ours, "%s%s:%u", scheme, names[i], guard->port);
        if (strcmp(text, ours) == 0)
            return true;
    }
    return false;
}

/* In constant time: how long it takes says nothing about the token. */
static bool has_token(const struct guard *guard, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    const char *token = authorization;

    if (token == NULL || strncmp(token, scheme, sizeof scheme - 1) != 0)
        return false;
    token += sizeof scheme - 1;
    return strlen(token) == GUARD_TOKEN_CHARS &&
           sodium_memcmp(token, guard->token, GUARD_TOKEN_CHARS) == 0;
}

static bool is_method(const struct guard_request *request)
{
    bool runs = strcmp(request->path, "/run") == 0;

    return strcmp(request->method, runs ? "POST" : "GET") == 0;
}

unsigned guard_judge(const struct guard *guard,
                     const struct guard_request *request, const char **why)
{
    *why = "a header is repeated";
    if (request->repeated)
        return 400;
    *why = "Host is not the address of this server";
    if (request->host == NULL || !is_ours(guard, "", request->host))
        return 403;
    *why = "the request comes from another site";
    if (request->origin != NULL && !is_ours(guard, "http://", request->origin))
        return 403;
    if (request->site != NULL && strcmp(request->site, "same-origin") != 0 &&
        strcmp(request->site, "none") != 0)
        return 403;
    *why = "the method is not allowed here";
    if (!is_method(request))
        return 405;
    if (page_find(request->path) != NULL ||
        (guard->metrics_open && strcmp(request->path, "/metrics") == 0))
        return 0;
    *why = "the token of this start is missing or wrong";
    if (!has_token(guard, request->authorization))
        return 401;
    *why = "a command is sent as application/json";
    if (strcmp(request->method, "POST") == 0 &&
        (request->type == NULL ||
         strcmp(request->type, "application/json") != 0))
        return 415;
    return 0;
}
