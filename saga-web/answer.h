/* answer.h - answers to one request, with the headers that keep others out. */
#ifndef ANSWER_H
#define ANSWER_H

#include "saga-web/page.h"

#include <microhttpd.h>

/* @response becomes libmicrohttpd's; NULL: there was no memory. */
enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned status,
                            const char *type, struct MHD_Response *response);
/* @text becomes libmicrohttpd's. */
enum MHD_Result answer_json(struct MHD_Connection *connection, unsigned status,
                            char *text);
/* {"error": @why} */
enum MHD_Result answer_decline(struct MHD_Connection *connection,
                               unsigned status, const char *why);
enum MHD_Result answer_file(struct MHD_Connection *connection,
                            const struct page_file *file);

#endif
