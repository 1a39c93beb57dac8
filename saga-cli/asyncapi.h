/* asyncapi.h - the services as an AsyncAPI 3.1 document, and the schemas of
 * their messages. */
#ifndef ASYNCAPI_H
#define ASYNCAPI_H

#include <jansson.h>
#include <stdint.h>

/* @services is an array of descriptions, as describe_service() makes them.  A
 * new reference. */
json_t *asyncapi_document(const json_t *services);

/* The "$id" of the schema that a payload of that version follows, in such a
 * document and in the "dataschema" of a CloudEvent.  Returns @id. */
enum { SCHEMA_ID_BYTES = 96 };
const char *asyncapi_schema_id(const char *name, uint32_t version,
                               char id[SCHEMA_ID_BYTES]);

#endif
