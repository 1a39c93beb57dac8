/* cloudevents.h - an event of a log as a CloudEvent. */
#ifndef CLOUDEVENTS_H
#define CLOUDEVENTS_H

#include <jansson.h>

/* Makes a CloudEvent 1.0 in JSON of @event, an object as json_from_row() makes
 * it; docs/protocol.md lists the attributes.  What cannot be decoded is there
 * as it was stored, in "data_base64".  @services are descriptions, which know
 * the newest version of each message.  A new reference. */
json_t *cloudevents_from(const json_t *event, const json_t *services);

#endif
