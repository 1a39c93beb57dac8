/* check_notes.c - what the events of a log are about, for those that name them
 * as their causes.
 *
 * A log answers another one in the order in which that was written, so causes
 * come nearly in order, too: a few slices of each log are at hand, and what is
 * in none of them is read when it is asked for. */
#include "audit/check_parts.h"

#include <stdlib.h>
#include <string.h>

enum { SLICE = 512, SLICES = 16 };

struct notes {
    struct slice {
        bool filled;
        uint64_t number;
        struct note notes[SLICE];
    } slices[SLICES];
};

static enum evt_status fill(struct checked_log *log, struct slice *slice)
{
    uint64_t first = slice->number * SLICE, last = first + SLICE - 1;
    struct row row;
    enum evt_status rc;

    memset(slice->notes, 0, sizeof slice->notes);
    rc = store_scan(log->later, NULL, first > 0 ? first - 1 : 0,
                    last < log->known ? last : log->known);
    while (rc == EVT_OK &&
           (rc = store_next(log->later, &row, NULL)) != EVT_NONE) {
        struct note *note = &slice->notes[row.seq % SLICE];

        if (rc == EVT_OK) {
            note->type = check_row_type(log, &row);
            text_copy(note->order_id, ID_BYTES, row.order_id);
        } else if (rc == EVT_BAD) { /* no event of ours */
            store_scan_end(log->later);
            rc = store_scan(log->later, NULL, row.seq, last);
        }
    }
    store_scan_end(log->later);
    return rc == EVT_NONE ? EVT_OK : rc;
}

enum evt_status check_note(struct check *check, struct checked_log *log,
                           uint64_t seq, const struct note **note)
{
    static const struct note none = {.type = NO_MESSAGE};
    enum evt_status rc = EVT_OK;
    struct slice *slice;

    *note = &none;
    if (seq == 0 || seq > log->known)
        return EVT_OK;
    if (log->notes == NULL)
        log->notes = check_alloc(1, sizeof *log->notes);
    slice = &log->notes->slices[seq / SLICE % SLICES];
    if (!slice->filled || slice->number != seq / SLICE) {
        slice->filled = true;
        slice->number = seq / SLICE;
        rc = fill(log, slice);
    }
    *note = &slice->notes[seq % SLICE];
    return check_failed(check, log, rc);
}
