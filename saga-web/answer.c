/* answer.c - see answer.h; every answer leaves by answer_with(). */
#include "saga-web/answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned status,
                            const char *type, struct MHD_Response *response)
{
    static const char *const headers[][2] = {
        {"Content-Security-Policy", policy},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-store"}};
    enum MHD_Result result;

    if (response == NULL)
        return MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result answer_json(struct MHD_Connection *connection, unsigned status,
                            char *text)
{
    if (text == NULL)
        return MHD_NO;
    return answer_with(connection, status, "application/json",
                       MHD_create_response_from_buffer(strlen(text), text,
                                                       MHD_RESPMEM_MUST_FREE));
}

enum MHD_Result answer_decline(struct MHD_Connection *connection,
                               unsigned status, const char *why)
{
    json_t *json = json_pack("{s:s}", "error", why);
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return answer_json(connection, status, text);
}

enum MHD_Result answer_file(struct MHD_Connection *connection,
                            const struct page_file *file)
{
    size_t size = (size_t)(file->end - file->begin);
    void *bytes = malloc(size);

    if (bytes == NULL)
        return MHD_NO;
    memcpy(bytes, file->begin, size);
    return answer_with(
        connection, MHD_HTTP_OK, file->type,
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE));
}
