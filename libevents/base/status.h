/* status.h - what can become of a call that may fail. */
#ifndef STATUS_H
#define STATUS_H

#define MUST_CHECK __attribute__((warn_unused_result))

/* What can become of a fallible call.  0 is good. */
enum evt_status {
    EVT_OK = 0,
    EVT_BAD,   /* bytes or arguments that are not what they should be */
    EVT_NEWER, /* well formed, but of a newer version than this program */
    EVT_FULL,  /* the disk is full; nothing of this transaction will be kept */
    EVT_BUSY,  /* somebody else holds the database; try again */
    EVT_IO,    /* the disk or the file failed: leave the process, see store.h */
    EVT_NONE   /* there is no such thing */
};

#endif
