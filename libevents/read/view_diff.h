/* view_diff.h - what differs between two generations of a view, in words. */
#ifndef VIEW_DIFF_H
#define VIEW_DIFF_H

#include "read/view_db.h"

enum { DIFFERENCES_MAX = 20 }; /* told one by one; the rest is counted */

struct view_diff;

/* Both generations as they are at this instant: they may go on meanwhile. */
MUST_CHECK enum evt_status view_diff_open(const struct view_files *files,
                                          uint64_t old_generation,
                                          uint64_t new_generation,
                                          struct view_diff **diff,
                                          char why[STORE_WHY_BYTES]);
/* Compares about @rows more.  EVT_NONE: that was all. */
MUST_CHECK enum evt_status view_diff_step(struct view_diff *diff, size_t rows);
/* In words, a new reference: "orders o-7: status CONFIRMED, rebuilt PENDING".
 */
json_t *view_diff_texts(const struct view_diff *diff);
void view_diff_close(struct view_diff *diff);

#endif
