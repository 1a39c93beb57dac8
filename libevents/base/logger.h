/* logger.h - one line a fact, on stderr: for people on a terminal, JSON
 * otherwise.
 *
 * Only the shell, the read side, the host and main log; library functions
 * return errors instead.  Logging never blocks or kills the service: a stderr
 * that is closed or full loses lines. */
#ifndef LOGGER_H
#define LOGGER_H

enum logger_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* @service is shown on every line; static text.  Lines below @least are not
 * written. */
void logger_open(const char *service, enum logger_level least);

/* Opens the file again that stderr was when logger_open was called, as after
 * the old one was moved away, also for stdout if that is the same file.  Does
 * nothing when it was no file, or cannot be opened. */
void logger_reopen(void);

/* @order_id and @event_id may be NULL: JSON fields "order" and "event". */
void logger_fact(enum logger_level level, const char *order_id,
                 const char *event_id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
