/* verify.c - `saga verify`: finds edited events.
 *
 * The hash of an event covers the event and the previous hash, so an edit shows
 * at once.  If somebody edits an event and recomputes all later hashes, the
 * consumers reveal it: each keeps the hash of the last event that it consumed.
 * A log is therefore tamper-evident, not tamper-proof: an edit of all
 * databases in step, or of events that nobody has consumed yet, stays hidden.
 */
#include "saga-cli/verbs.h"

#include "log/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct finding {
    uint64_t events, witnesses;
    json_t *edited; /* [{"service","seq","witness","text"}] */
};

/* @witness: whose memory shows it; NULL: the log's own hashes do. */
__attribute__((format(printf, 5, 6))) static void
found(struct finding *finding, const char *service, uint64_t seq,
      const char *witness, const char *format, ...)
{
    va_list arguments;
    char text[512];

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(finding->edited,
                          json_pack("{s:s, s:I, s:s?, s:o}", "service", service,
                                    "seq", (json_int_t)seq, "witness", witness,
                                    "text", saga_json_text(text)));
}

/* ---- the chain ---------------------------------------------------------- */

static void found_hash(struct finding *finding, const char *service,
                       const struct row *row, const uint8_t stored[HASH_BYTES],
                       const uint8_t computed[HASH_BYTES])
{
    char stored_text[2 * HASH_BYTES + 1], computed_text[2 * HASH_BYTES + 1];

    found(finding, service, row->seq, NULL,
          "%s: the stored hash is %.16s..., computed is %.16s...", row->type,
          text_hex(stored, HASH_BYTES, stored_text),
          text_hex(computed, HASH_BYTES, computed_text));
}

/* Walks the chain, as long as it is now, up to the first event that does not
 * fit. */
static enum evt_status walk(struct store *log, struct finding *finding)
{
    uint8_t hash[HASH_BYTES], computed[HASH_BYTES];
    const char *service = store_service(log);
    uint64_t seq = 0, head = 0;
    struct row row;
    enum evt_status rc = store_head(log, &head, hash);

    if (rc == EVT_OK)
        rc = store_scan(log, NULL, 0, head);
    event_genesis(service, store_log_id(log), computed);
    while (rc == EVT_OK && (rc = store_next(log, &row, hash)) == EVT_OK) {
        finding->events++;
        if (row.seq != ++seq) {
            found(finding, service, seq, NULL, "is missing");
            break;
        }
        event_hash(computed, &row, computed);
        if (memcmp(hash, computed, HASH_BYTES) != 0) {
            found_hash(finding, service, &row, hash, computed);
            break;
        }
    }
    store_scan_end(log);
    if (rc == EVT_BAD) {
        found(finding, service, seq + 1, NULL, "is malformed");
        rc = EVT_OK;
    }
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* ---- the witnesses ------------------------------------------------------ */

/* What @witness remembers of @log: the hash of the last event it consumed.
 * It is asked before the log is, so nothing can be missing. */
static enum evt_status ask_witness(struct store *log, struct store *witness,
                                   struct finding *finding)
{
    const char *service = store_service(log), *who = store_service(witness);
    uint8_t hash[HASH_BYTES];
    struct cursor cursor;
    enum evt_status rc = store_cursor(witness, service, &cursor);

    if (rc == EVT_NONE)
        return EVT_OK; /* has consumed nothing yet */
    if (rc != EVT_OK)
        return rc;
    finding->witnesses++;
    if (memcmp(cursor.at.log_id, store_log_id(log), LOG_ID_BYTES) != 0) {
        found(finding, service, 0, who, "%s has consumed a different log", who);
        return EVT_OK;
    }
    rc = store_hash_at(log, cursor.at.seq, hash);
    if (rc == EVT_NONE)
        found(finding, service, cursor.at.seq, who,
              "%s has consumed it, but the log does not have it", who);
    else if (rc == EVT_OK && memcmp(hash, cursor.hash, HASH_BYTES) != 0)
        found(
            finding, service, cursor.at.seq, who,
            "%s remembers a different hash: this event, an earlier one or that "
            "memory was changed",
            who);
    return rc == EVT_NONE ? EVT_OK : rc;
}

/* ---- the verb ----------------------------------------------------------- */

static void print_text(const struct finding *finding)
{
    const json_t *edited;
    size_t i;

    json_array_foreach(finding->edited, i, edited)
    {
        const char *service =
            json_string_value(json_object_get(edited, "service"));
        json_int_t seq = json_integer_value(json_object_get(edited, "seq"));

        printf("  FAIL  %s #%" JSON_INTEGER_FORMAT " %s\n", service, seq,
               json_string_value(json_object_get(edited, "text")));
        hint_print("        look:  ./saga log %s --from %" JSON_INTEGER_FORMAT
                   "\n",
                   service, seq > 0 ? seq : 1);
        if (json_is_string(json_object_get(edited, "witness")))
            hint_print(
                "        if %s's log was restored:  ./saga accept %s %s\n",
                service, json_text(edited, "witness"), service);
    }
    if (json_array_size(finding->edited) == 0)
        printf("  ok    %" PRIu64 " events chain, %" PRIu64
               " cursors of other services agree\n",
               finding->events, finding->witnesses);
}

static int verdict(const struct saga *saga, const struct finding *finding)
{
    bool intact = json_array_size(finding->edited) == 0;
    json_t *json;

    if (!saga->json) {
        print_text(finding);
        return intact ? SAGA_YES : SAGA_NO;
    }
    json = json_pack("{s:b, s:I, s:I, s:O}", "intact", intact, "events",
                     (json_int_t)finding->events, "witnesses",
                     (json_int_t)finding->witnesses, "edited", finding->edited);
    saga_print_json(json);
    return intact ? SAGA_YES : SAGA_NO;
}

/* One log, and what the other two know of it. */
static int verify_one(struct saga *saga, unsigned number,
                      struct finding *finding)
{
    struct store *logs[SERVICES_MAX] = {NULL};
    enum evt_status rc = EVT_OK;
    int code = SAGA_YES;

    for (unsigned i = 1; i <= saga_services() && code == SAGA_YES; i++) {
        unsigned next = (number + i) % saga_services();

        logs[next] = saga_open_log(saga, saga_service(next), &code);
    }
    if (code == SAGA_YES) {
        rc = walk(logs[number], finding);
        for (unsigned i = 1; i < saga_services() && rc == EVT_OK; i++)
            rc = ask_witness(logs[number], logs[(number + i) % saga_services()],
                             finding);
        if (rc != EVT_OK)
            code = saga_fail(saga, SAGA_IO, "%s's log cannot be read: %s",
                             saga_service(number), store_error(logs[number]));
    }
    for (unsigned i = 0; i < saga_services(); i++)
        store_close(logs[i]);
    return code;
}

static int run(struct saga *saga)
{
    struct finding finding = {.edited = NULL};
    int code = saga_parse(saga, NULL), only = -1;

    if (code == SAGA_YES)
        code = saga_one_service(saga, &only);
    if (code != SAGA_YES)
        return code;
    finding.edited = json_array();
    for (unsigned i = 0; i < saga_services() && code == SAGA_YES; i++) {
        if (only < 0 || (unsigned)only == i)
            code = verify_one(saga, i, &finding);
    }
    if (code == SAGA_YES)
        code = verdict(saga, &finding);
    json_decref(finding.edited);
    return code;
}

const struct verb verb_verify = {
    .name = "verify",
    .group = QUERIES,
    .examples = "verify SERVICE",
    .summary = "walk the hash chains; name the first edited event",
    .args = "[SERVICE]",
    .words_max = 1,
    .notes =
        "Tamper-evident, not tamper-proof: anyone who can write a log can hash "
        "it anew, but the cursors of the other services remember its old "
        "hashes.",
    .run = run};
