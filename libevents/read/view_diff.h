/* view_diff.h - what differs between two generations of a view, in words: the
 * one that serves, and the one that was folded anew.
 *
 * A rebuild compares so before it switches, and the checker its own fold with
 * what it finds. */
#ifndef VIEW_DIFF_H
#define VIEW_DIFF_H

#include "read/view_db.h"

enum { DIFFERENCES_MAX = 20 }; /* told one by one; the rest is counted */

struct view_diff;

/* Generation @number of @old and @rebuilt_number of @rebuilt as they are at
 * this instant: they may go on meanwhile. */
MUST_CHECK enum evt_status
view_diff_open(const struct view_files *old, uint64_t number,
               const struct view_files *rebuilt, uint64_t rebuilt_number,
               struct view_diff **diff, char why[STORE_WHY_BYTES]);
/* Compares about @rows more.  EVT_NONE: that was all. */
MUST_CHECK enum evt_status view_diff_step(struct view_diff *diff, size_t rows);
/* In words, a new reference: "orders o-7: status CONFIRMED, rebuilt PENDING".
 */
json_t *view_diff_texts(const struct view_diff *diff);
void view_diff_close(struct view_diff *diff);

#endif
