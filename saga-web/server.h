/* server.h - the HTTP server: the page, one answer, one stream, one command.
 *
 *   GET  /        the page and its files (page.h)
 *   GET  /state   what was said last of each kind that is kept
 *   GET  /stream  server-sent events from now on
 *   GET  /metrics for a Prometheus (metrics.h)
 *   POST /run     runs a command (wanted.h) and answers what it said
 *
 * libmicrohttpd's one thread serves all connections; a second thread runs the
 * commands, one after another. */
#ifndef SERVER_H
#define SERVER_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>

enum { SERVER_CONNECTIONS = 64 };

struct server;

struct server_options {
    unsigned port;      /* 0: any free one */
    bool read_only;     /* refuse commands that change something */
    bool metrics_open;  /* give /metrics to all local users */
    const char *saga;   /* the programs that run commands; borrowed */
    const char *run_sh; /* starts services again; NULL: no run.sh was found */
    int stop;           /* readable once no command is to go on */
};

/* Listens on 127.0.0.1.  EVT_BUSY: the port is taken; EVT_IO: errno says why.
 * Caller closes with server_close(). */
MUST_CHECK enum evt_status server_open(const struct server_options *options,
                                       struct server **server);
/* Ends all streams and the command that runs.  NULL is fine. */
void server_close(struct server *server);

/* http://127.0.0.1:PORT/#TOKEN; returns @link. */
enum { SERVER_LINK_BYTES = 96 };
const char *server_link(const struct server *server,
                        char link[SERVER_LINK_BYTES]);

/* How many streams are read. */
unsigned server_watchers(struct server *server);
/* Sends {@name: @value} to all of them; one that is more than SERVER_KEPT
 * events behind is told how many it has missed.  @value becomes the server's.
 * With @keep it is also what /state says under that name from now on. */
enum { SERVER_KEPT = 64 };
void server_say(struct server *server, const char *name, json_t *value,
                bool keep);

/* Whether somebody waits for /metrics; answers all that do.  @text becomes the
 * server's. */
bool server_is_scraped(struct server *server);
void server_answer_scrapes(struct server *server, char *text);

#endif
