/* pull_answer.h - a publisher's answer to a reader that asks for more.
 *
 * It tells the reader what its cursor is to the log, how far the publisher has
 * itself consumed other logs, and, if all is well, brings the rows that follow.
 * Used by: pull_answer.c, queries.c. */
#ifndef PULL_ANSWER_H
#define PULL_ANSWER_H

#include "log/store.h"
#include "stream/frame.h"
#include "stream/pull.h"

/* Answers @pull from @store's log, at one instant of it, with at most one
 * frame of rows.  @store may be read-only; @bytes gets the reply's length. */
MUST_CHECK enum evt_status pull_answer(struct store *store,
                                       const struct pull *pull,
                                       uint8_t message[MESSAGE_MAX],
                                       size_t *bytes);

#endif
